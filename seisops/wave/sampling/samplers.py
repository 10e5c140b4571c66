"""Samplers: linear, time-local maps from a wavefield to something small. They hold data, no code of the solve."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from seisops.engine.arrays import aligned, zeros
from seisops.engine.symbols.places import Place
from seisops.errors import ParameterError
from seisops.operators import Sampler
from seisops.spaces import shot_numbers
from seisops.wave.sampling.points import Points, on_nodes, weights
from seisops.wave.space import Wavefield

__all__ = ["Channel", "Projection", "Taps", "Wavelet", "located"]

# points that a row of the table by cell holds at most
MOST = 64

# bytes of taps that a projection keeps for its next application
KEPT = 2**26


class Taps:
    """Grid cells and weights that interpolate at points: K for each point, zero weights dropped where possible.

    Attributes
    ----------
    cells : tuple of ndarray of int32, shape (points, K)
        Index of each cell along each axis.
    weights : ndarray, shape (points, K)
    """

    def __init__(self, cells: Sequence[np.ndarray], values: np.ndarray):
        self.cells, self.weights = tuple(map(aligned, cells)), aligned(values)
        self._by_cell: dict[tuple[int, ...], tuple] = {}

    @property
    def nbytes(self) -> int:
        """Memory of the table, and about as much again of that by cell."""
        return 2 * sum(a.nbytes for a in (*self.cells, self.weights))

    @classmethod
    def of(cls, gridpoints: np.ndarray, coefficients: np.ndarray, dtype) -> Taps:
        """The tensor product of separable windows."""
        points, ndim, r = coefficients.shape
        window = np.indices((r,) * ndim).reshape(ndim, -1)
        values = np.ones((points, window.shape[1]))
        for d in range(ndim):
            values *= coefficients[:, d, window[d]]
        keep = max(1, int((values != 0).sum(axis=1).max(initial=0)))
        order = np.argsort(values == 0, axis=1, kind="stable")[:, :keep]
        cells = [(gridpoints[:, d, None] + window[d][order]).astype(np.int32) for d in range(ndim)]
        return cls(cells, np.take_along_axis(values, order, axis=1).astype(dtype))

    @property
    def or_one(self) -> Taps:
        """The same, or where there are no points one that weighs nothing: loops want something to do."""
        if len(self.weights):
            return self
        return Taps([np.zeros((1, 1), np.int32) for _ in self.cells], np.zeros((1, 1), self.weights.dtype))

    @classmethod
    def joined(cls, parts: Sequence[Taps]) -> Taps:
        """The points of several sets, one after another."""
        if len(parts) == 1:
            return parts[0]
        width = max(p.weights.shape[1] for p in parts)

        def widen(a):
            return np.pad(a, ((0, 0), (0, width - a.shape[1])))

        ndim = len(parts[0].cells)
        cells = [np.concatenate([widen(p.cells[d]) for p in parts]) for d in range(ndim)]
        return cls(cells, np.concatenate([widen(p.weights) for p in parts]))

    def by_cell(self, shape: tuple[int, ...]) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """The transposed table: each cell once, with the points that reach it.

        A cell reached by more than MOST points takes several rows, so that one crowded cell does not widen the table.

        Parameters
        ----------
        shape : tuple of int
            Shape of the padded grid.

        Returns
        -------
        cells : tuple of ndarray of int32, shape (rows,)
        weights : ndarray, shape (rows, K)
        points : ndarray of int32, shape (rows, K)
        """
        if shape not in self._by_cell:
            self._by_cell[shape] = self._transposed(shape)
        return self._by_cell[shape]

    def _transposed(self, shape: tuple[int, ...]) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        point, tap = np.nonzero(self.weights)
        if not len(point):
            point, tap = np.zeros((2, 1), int)
        flat = np.ravel_multi_index([c[point, tap] for c in self.cells], shape)
        order = np.argsort(flat, kind="stable")
        flat, point, tap = flat[order], point[order], tap[order]
        rank = np.arange(len(flat)) - np.searchsorted(flat, flat)
        new = rank % MOST == 0
        row, column = np.cumsum(new) - 1, rank % MOST
        table = (row[-1] + 1, column.max() + 1)
        weights, points = zeros(table, self.weights.dtype), zeros(table, np.int32)
        weights[row, column], points[row, column] = self.weights[point, tap], point
        cells = tuple(aligned(c.astype(np.int32)) for c in np.unravel_index(flat[new], shape))
        return cells, weights, points


class Kept:
    """Taps by the points, and the grid, that they are for: those that came first, while there is room."""

    def __init__(self):
        self._taps: dict[tuple, Taps] = {}
        self._room = KEPT

    def __reduce__(self):
        return Kept, ()

    def get(self, key: tuple, make: Callable[[], Taps]) -> Taps:
        """The taps kept under a key, or those that are made now."""
        taps = self._taps.get(key)
        if taps is None:
            taps = make()
            if taps.nbytes <= self._room:
                self._room -= taps.nbytes
                self._taps[key] = taps
        return taps


class Projection(Sampler):
    """Restriction of a wavefield to points; its adjoint places sources there.

    Maps u(shot, t, x, [y,] z) to traces (shot, point, time), ``d[s, p, t] = sum_x c_p(x) u[s, t, x]`` with the weights c
    of a Kaiser-windowed sinc (Hicks 2002, doi:10.1190/1.1451454) or of linear interpolation. Where shots have different
    numbers of points, the range is flat, (trace, time).

    Parameters
    ----------
    waves : Wavefield
    coordinates : array_like or list of array_like
        Metres: ``(points, ndim)`` for all shots, ``(shots, points, ndim)``, or a list with one array for each shot.
    interpolation : {"sinc", "linear"}, optional
    margin : float, optional
        Metres by which points may lie outside the model, inside its absorbing layer. By default they may not.
        Above a free surface there is no layer: solves with one refuse such points.

    Raises
    ------
    ParameterError
        If points lie outside the model, are not finite, or do not match the number of shots.
    """

    def __init__(self, waves: Wavefield, coordinates, interpolation: str = "sinc", margin: float = 0.0):
        Wavefield.required("Projection", waves)
        if interpolation not in ("sinc", "linear"):
            raise ParameterError(f"Projection(interpolation={interpolation!r}): use 'sinc' or 'linear'")
        points = (
            coordinates if isinstance(coordinates, Points) else Points(coordinates, waves.grid, waves.shots, margin)
        )
        self.points, self.interpolation = points, interpolation
        self._kept = Kept()
        super().__init__(waves, waves.traces(points.counts))

    symbol = "P"

    def _fingerprint(self) -> list:
        return [self.interpolation, *(self.points.shot(s) for s in range(len(self.points)))]

    def select(self, shots: Sequence[int]) -> Projection:
        return Projection(self.domain.select(shots), self.points.select(shots), self.interpolation)

    def taps(self, shot: int, origin_index, padded_shape, place: Place | None = None, entering: bool = False) -> Taps:
        """Cells and weights of one shot's points in a padded grid, for samples in some place; see :func:`weights`."""
        coordinates, grid = self.points.shot(shot), self.domain.grid
        where = tuple(origin_index), tuple(padded_shape)
        entering = entering and place is not None and place.on_surface  # else there is no difference

        def make():
            kind = "node" if on_nodes(coordinates, grid, place) else self.interpolation
            return Taps.of(*weights(coordinates, grid, *where, kind, place, entering), self.domain.dtype)

        # shots with the same points share one array of them, which lives as long as this
        return self._kept.get((id(coordinates), *where, place and (place.cell, place.parity), entering), make)

    def _alone(self, shot: int) -> Taps:
        return self.taps(shot, (0,) * self.domain.grid.ndim, self.domain.grid.shape)

    def _apply(self, x):
        out = self.range.zeros()
        for s in range(self.domain.shots):
            taps = self._alone(s)
            values = x[s][(slice(None), *taps.cells)]
            self.range.shot(out, s)[...] = np.einsum("tpk,pk->pt", values, taps.weights)
        return out

    def _apply_adjoint(self, y):
        out = self.domain.zeros()
        for s in range(self.domain.shots):
            taps = self._alone(s)
            product = np.einsum("pt,pk->tpk", self.range.shot(y, s), taps.weights)
            np.add.at(out[s], (slice(None), *taps.cells), product)
        return out


class Wavelet(Sampler):
    """Wavelet-weighted stack of a wavefield; its adjoint is an extended source, a point source at every grid point.

    Maps u to one image for each shot, ``w[s, x] = sum_t f(t) u[s, t, x]``; the adjoint maps weights w to the source
    ``f(t) w(x)``.

    Parameters
    ----------
    waves : Wavefield
    signature : array_like
        f at the samples of `waves.time`: ``(nt,)`` for all shots or ``(shots, nt)``.

    Raises
    ------
    ParameterError
        If the signature does not have the samples of the time axis, or is not finite.
    """

    def __init__(self, waves: Wavefield, signature):
        Wavefield.required("Wavelet", waves)
        try:
            signature = np.asarray(signature, dtype=waves.dtype)
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"Wavelet(signature={signature!r:.60}): give an array of samples, such as ricker(time, f0)"
            ) from error
        if signature.shape not in ((waves.time.n,), (waves.shots, waves.time.n)):
            raise ParameterError(
                f"Wavelet(signature of shape {signature.shape}): needs ({waves.time.n},) samples of {waves.time!r}, or "
                f"({waves.shots}, {waves.time.n}) with one signature for each shot"
            )
        if not np.isfinite(signature).all():
            raise ParameterError(
                f"Wavelet: {int((~np.isfinite(signature)).sum())} samples of the signature are not finite"
            )
        self.signature = np.array(np.broadcast_to(signature, (waves.shots, waves.time.n)))
        self.signature.flags.writeable = False
        super().__init__(waves, waves.images())

    symbol = "W"

    def _fingerprint(self) -> list:
        return [self.signature]

    def select(self, shots: Sequence[int]) -> Wavelet:
        return Wavelet(self.domain.select(shots), self.signature[shot_numbers(shots, self.domain.shots, self)])

    def _apply(self, x):
        return np.einsum("st,st...->s...", self.signature, x)

    def _apply_adjoint(self, y):
        return np.einsum("st,s...->st...", self.signature, y)


class Channel(Sampler):
    """A sampler of one of several wavefields that are solved for together, such as a field and its derivative.

    Parameters
    ----------
    sampler : Sampler
    index : int
        The wavefield.
    """

    def __init__(self, sampler: Sampler, index: int):
        self.sampler, self.index = sampler, index
        self.symbol = f"{sampler.symbol or type(sampler).__name__}[{index}]"
        super().__init__(sampler.domain, sampler.range)

    def _fingerprint(self) -> list:
        return [self.sampler, self.index]

    def select(self, shots: Sequence[int]) -> Channel:
        return Channel(self.sampler.select(shots), self.index)

    def _apply(self, x):
        return self.sampler._apply(x)

    def _apply_adjoint(self, y):
        return self.sampler._apply_adjoint(y)


def located(sampler: Sampler) -> tuple[Sampler, int]:
    """A sampler and the wavefield that it samples, by default the first."""
    return (sampler.sampler, sampler.index) if isinstance(sampler, Channel) else (sampler, 0)
