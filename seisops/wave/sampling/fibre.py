"""Optical fibres: distributed acoustic sensing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from seisops.errors import ParameterError
from seisops.wave._validate import floats, real
from seisops.wave.sampling.combination import Combined
from seisops.wave.sampling.points import Coordinates
from seisops.wave.sampling.projection import Projection
from seisops.wave.space import Wavefield

__all__ = ["Fibre"]

# places along a fibre that differ by less than this part of its length are the same
TOLERANCE = 1e-9

# what is heard across a cable by less than this part of what is heard along it is not
STRAIGHT = 1e-9


class Fibre(Combined):
    r"""The strain rate along an optical fibre, averaged over gauges: distributed acoustic sensing (DAS).

    At a channel whose gauge reaches from a to b = a + L along the fibre, with the tangent t and the particle velocity v,

    .. math:: d = \frac1L \int_a^b t \cdot \frac{\partial v}{\partial s} \, ds
              = \frac1L \sum_k t_k \cdot \big(v(s_{k+1}) - v(s_k)\big)

    in 1/s, positive where the fibre is stretched. The sum is over the straight pieces of the fibre within the gauge, and is
    exact, as t is constant along each of them. A straight gauge is the difference of the velocity along it at both its ends,
    over its length (Bakku 2015, PhD thesis, MIT; Lindsey, Rademacher & Ajo-Franklin 2020, doi:10.1029/2019JB018145).

    Of a fibre wound around a cable as a helix, which stands at an angle :math:`\alpha` to the plane across the cable, a turn
    hears, with the strain rate e,

    .. math:: \sin^2\!\alpha \; e_{tt} + \tfrac12 \cos^2\!\alpha \, (\nabla \cdot v - e_{tt}),

    the strain along the cable and the mean of those across it (Kuvshinov 2016, doi:10.1111/1365-2478.12303), where the cable
    deforms as the ground does. At 35.26 degrees it hears a third of the divergence, from all directions alike.

    Parameters
    ----------
    waves : Wavefield
    polyline : array_like of shape (vertices, ndim)
        Where the fibre (or its cable) lies, in metres, in the order of the axes; the same in all shots. A smooth curve is
        a polyline of pieces short beside the gauge.
    gauge : float
        Gauge length in metres, along the fibre (or its cable).
    spacing : float, optional
        Metres between the middles of gauges; by default the gauge length. The first gauge begins where the fibre does.
    wrapping : float, optional
        The angle :math:`\alpha` of a helix in radians, more than 0, up to pi/2, which is a straight fibre and the default.
    interpolation, margin
        As of :class:`~seisops.Projection`.

    Attributes
    ----------
    distances : ndarray of shape (channels,)
        Of the middles of gauges, along the fibre, in metres.
    positions : ndarray of shape (channels, ndim)
        Where these are.

    Raises
    ------
    ParameterError
        If the fibre has less than two vertices, two in the same place, or lies outside the model; if the gauge is longer
        than the fibre; when applied, if the medium has no particle velocity.

    Notes
    -----
    The range is that of a projection on as many points as there are channels, (shots, channels, time). The adjoint drives
    pairs of forces. Interrogators that record strain have the integral of it over time.

    It is a matrix times a column of projections at the ends of gauges and where the fibre bends, shared by gauges that
    overlap, which are taken into one solve; for a helix also on derivatives of the velocity along each axis, at points of
    Gauss's quadrature, at least 2 for each cell along the gauges.
    """

    _fingerprint = Combined._fingerprint

    def __init__(
        self,
        waves: Wavefield,
        polyline: ArrayLike,
        gauge: float,
        spacing: float | None = None,
        wrapping: float | None = None,
        interpolation: str = "sinc",
        margin: float = 0.0,
    ) -> None:
        Wavefield.required("Fibre", waves)
        gauge = real("Fibre gauge", gauge, "metres", positive=True)
        spacing = gauge if spacing is None else real("Fibre spacing", spacing, "metres", positive=True)
        axial, across = _sensitivity(wrapping)
        line = _Line.of(polyline, waves.grid.axes)
        slack = TOLERANCE * line.length
        if gauge > line.length + slack:
            raise ParameterError(f"Fibre gauge of {gauge:g} m is longer than the fibre, which has {line.length:g} m")
        starts = spacing * np.arange(int((line.length - gauge + slack) / spacing) + 1)
        ends = np.minimum(starts + gauge, line.length)
        self.distances = (starts + ends) / 2
        self.positions = line.at(self.distances)

        knots, first, last, bends = _knots(starts, ends, line.arc, slack)
        along = [(axial - across) / gauge * m for m in _differences(line, len(knots), first, last, bends)]
        terms = [({"component": f"v{a}"}, knots, m) for a, m in zip(waves.grid.axes, along, strict=True)]
        if across:
            nodes, integral = _integral(knots, first, last, min(waves.grid.spacing))
            divergence = across / gauge * integral
            terms += [({"component": f"v{a}", "derivative": a}, nodes, divergence) for a in waves.grid.axes]
        parts, matrices = [], []
        for way, places, matrix in terms:
            matrix.eliminate_zeros()
            used = np.unique(matrix.indices)  # elsewhere nothing need be heard
            if len(used):
                points = Coordinates(line.at(places[used]), waves.grid, waves.shots, margin)
                parts.append(Projection(waves, points, interpolation, **way))
                matrices.append(matrix[:, used])
        joined = sparse.hstack(matrices, format="csr")
        super().__init__(parts, waves.traces([len(starts)] * waves.shots), [joined] * waves.shots)


class _Line(NamedTuple):
    """A polyline.

    Attributes
    ----------
    vertices : ndarray of shape (vertices, ndim)
    arc : ndarray of shape (vertices,)
        Length up to each of them.
    tangents : ndarray of shape (pieces, ndim)
    """

    vertices: NDArray
    arc: NDArray
    tangents: NDArray

    @classmethod
    def of(cls, polyline: ArrayLike, axes: tuple[str, ...]) -> _Line:
        """What a user gave, checked."""
        try:
            vertices = floats(polyline)
        except (TypeError, ValueError):
            vertices = np.empty(0)
        if vertices.ndim != 2 or vertices.shape[1] != len(axes) or len(vertices) < 2:
            raise ParameterError(
                f"Fibre polyline has shape {np.shape(vertices)}; expected (vertices, {len(axes)}), at least two of them, "
                f"with a column in metres for each of the axes {axes}"
            )
        if not np.isfinite(vertices).all():
            raise ParameterError("Fibre polyline has coordinates that are not finite")
        steps = np.diff(vertices, axis=0)
        lengths = np.linalg.norm(steps, axis=1)
        same = np.flatnonzero(lengths <= TOLERANCE * lengths.sum())
        if len(same):
            n = int(same[0])
            raise ParameterError(
                f"Fibre polyline has vertices {n} and {n + 1} in the same place, {tuple(map(float, vertices[n]))} m: "
                "leave one of them out"
            )
        return cls(vertices, np.concatenate([[0.0], np.cumsum(lengths)]), steps / lengths[:, None])

    @property
    def length(self) -> float:
        return float(self.arc[-1])

    def at(self, s: NDArray) -> NDArray:
        """Points at lengths along it."""
        return np.stack([np.interp(s, self.arc, column) for column in self.vertices.T], axis=1)


def _sensitivity(wrapping: float | None) -> tuple[float, float]:
    """How much is heard of the strain along a cable, and of each of the two across it."""
    angle = np.pi / 2 if wrapping is None else real("Fibre wrapping", wrapping, "radians", positive=True)
    if angle > np.pi / 2 * (1 + TOLERANCE):
        raise ParameterError(
            f"Fibre wrapping of {angle:g} rad is more than pi/2, a straight fibre: the angle of the helix to the plane "
            f"across the cable; {angle:g} degrees are {np.radians(angle):.4g}"
        )
    axial, across = np.sin(angle) ** 2, np.cos(angle) ** 2 / 2
    return float(axial), float(across) if across > STRAIGHT else 0.0


def _knots(starts: NDArray, ends: NDArray, arc: NDArray, slack: float) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Places along a fibre where gauges begin, end, or it bends, each once; and which these are."""
    places = np.concatenate([starts, ends, arc])
    order = np.argsort(places, kind="stable")
    new = np.concatenate([[True], np.diff(places[order]) > slack])
    numbers = np.empty(len(places), int)
    numbers[order] = np.cumsum(new) - 1
    first, last, bends = np.split(numbers, [len(starts), 2 * len(starts)])
    return places[order][new], first, last, bends


def _differences(line: _Line, knots: int, first: NDArray, last: NDArray, bends: NDArray) -> list[sparse.csr_array]:
    """For each axis, the matrix (channels, knots) of what the velocity along it adds to the stretch of gauges."""
    numbers, pieces = np.arange(knots), len(line.tangents)
    before = line.tangents[np.clip(np.searchsorted(bends, numbers, side="left") - 1, 0, pieces - 1)]
    after = line.tangents[np.clip(np.searchsorted(bends, numbers, side="right") - 1, 0, pieces - 1)]
    channels = np.arange(len(first))
    inside, which = np.nonzero((first[:, None] < bends) & (bends < last[:, None]))
    rows = np.concatenate([channels, channels, inside])
    columns = np.concatenate([last, first, bends[which]])
    values = np.concatenate([before[last], -after[first], (before - after)[bends[which]]])
    shape = len(first), knots
    return [sparse.csr_array((column, (rows, columns)), shape=shape) for column in values.T]


def _integral(knots: NDArray, first: NDArray, last: NDArray, cell: float) -> tuple[NDArray, sparse.csr_array]:
    """Nodes of Gauss's quadrature between knots, and the matrix (channels, nodes) that integrates over gauges."""
    lengths = np.diff(knots)
    counts = 1 + np.ceil(lengths / cell).astype(int)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    nodes, weights = np.empty((2, offsets[-1]))
    for n in np.unique(counts):
        x, w = np.polynomial.legendre.leggauss(n)
        some = np.flatnonzero(counts == n)
        at = offsets[some][:, None] + np.arange(n)
        nodes[at] = knots[some][:, None] + lengths[some][:, None] * (1 + x) / 2
        weights[at] = lengths[some][:, None] * w / 2
    spans = [np.arange(offsets[a], offsets[b]) for a, b in zip(first, last, strict=True)]
    columns = np.concatenate(spans)
    rows = np.repeat(np.arange(len(first)), [len(span) for span in spans])
    return nodes, sparse.csr_array((weights[columns], (rows, columns)), shape=(len(first), len(nodes)))
