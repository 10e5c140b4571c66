"""Sources and receivers with a direction: forces, dipoles and moment tensors."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError, shown
from seisops.wave._validate import floats
from seisops.wave.quantities import numbers, span
from seisops.wave.sampling.combination import Combined
from seisops.wave.sampling.points import Coordinates
from seisops.wave.space import Wavefield

__all__ = ["Dipole", "Force", "MomentTensor", "double_couple"]

# entries of a tensor that differ by less than this part of the largest are the same
ASYMMETRY = 1e-5

# where the angles of a fault may lie, in radians, and by how much single precision may miss the ends
ANGLES = {"strike": (-2 * np.pi, 2 * np.pi), "dip": (0.0, np.pi / 2), "rake": (-2 * np.pi, 2 * np.pi)}
ROUNDING = 1e-6


class Force(Combined):
    r"""The particle velocity along a direction; its adjoint is a point force along it.

    Read, as in ``so.Force(...) * Ainv``, it is :math:`n \cdot v` in m/s. Driven, as in ``Ainv * so.Force(...).H``, a
    strength f(t) is the force f n, in N (N/m in two dimensions): the right-hand side of
    :math:`\rho \, \partial_t v - \nabla \cdot s = f \, n \, \delta(x - x_s)`.

    Parameters
    ----------
    waves : Wavefield
    coordinates : array_like or list of array_like
        Points, as of :class:`~seisops.Projection`.
    direction : array_like or list of array_like
        Of any length other than zero, in the order of the axes, z down: ``(ndim,)`` for all points, ``(points, ndim)`` for
        those of each shot, or a list with one such array for each shot.
    interpolation, margin
        As of :class:`~seisops.Projection`.

    Raises
    ------
    ParameterError
        If a direction has no length, is not finite, or does not fit the points; when applied, if the medium has no particle
        velocity.

    Notes
    -----
    It is a matrix times a column of projections on the components of the velocity, as many as the directions have: in a
    product with a solve these are taken into it, so that the product is one solve. By itself it takes a field in memory for
    that of every component.

    See Also
    --------
    Dipole : the same in fluids whose waves are pressure alone.
    """

    _fingerprint = Combined._fingerprint

    def __init__(
        self,
        waves: Wavefield,
        coordinates: Any,
        direction: ArrayLike,
        interpolation: str = "sinc",
        margin: float = 0.0,
    ) -> None:
        points, directions = _directed("Force", waves, coordinates, direction, margin)
        ways = [{"component": f"v{axis}", "interpolation": interpolation} for axis in waves.grid.axes]
        self._weighted(waves, points, ways, directions, np.transpose)


class Dipole(Combined):
    r"""The gradient of pressure along a direction; its adjoint is a dipole, which in a fluid is a force.

    Read, it is :math:`n \cdot \nabla p` in Pa/m: minus density times the acceleration of particles along n. Driven, a
    strength q(t) is the source :math:`-q \, n \cdot \nabla \delta(x - x_s)`: two explosions of opposite sign, q / d and
    -q / d, at d / 2 ahead and behind, where d is small. In an ``Acoustic`` medium that is a force f along n, of which q is
    f / rho where the medium has density, and f where it has none, as
    :math:`\partial_{tt} p / (\rho v_p^2) - \nabla \cdot (\nabla p / \rho) = -\nabla \cdot (f n \delta / \rho)`.

    Parameters
    ----------
    waves : Wavefield
    coordinates : array_like or list of array_like
        Points, as of :class:`~seisops.Projection`.
    direction : array_like or list of array_like
        As of :class:`~seisops.Force`.
    interpolation, margin
        As of :class:`~seisops.Projection`; interpolation is that across each axis, along it there are derivatives.
    component : str, optional
        What the gradient is of, as of :class:`~seisops.Projection`; by default the first, pressure.

    Raises
    ------
    ParameterError
        If a direction has no length, is not finite, or does not fit the points.

    Notes
    -----
    Derivatives at points are those of ``Projection(derivative=...)``. Two points at a distance that counts, such as a pair
    of guns, are a matrix beside a Projection on them. In elastic media forces are :class:`~seisops.Force`, and a pair of
    forces along their line is the :class:`~seisops.MomentTensor` of ``np.outer(n, n)``.
    """

    _fingerprint = Combined._fingerprint

    def __init__(
        self,
        waves: Wavefield,
        coordinates: Any,
        direction: ArrayLike,
        interpolation: str = "sinc",
        margin: float = 0.0,
        component: str | None = None,
    ) -> None:
        points, directions = _directed("Dipole", waves, coordinates, direction, margin)
        common = {"component": component, "interpolation": interpolation}
        ways = [{"derivative": axis, **common} for axis in waves.grid.axes]
        self._weighted(waves, points, ways, directions, np.transpose)


class MomentTensor(Combined):
    r"""Seismic moment tensors as sources, by the stresses that they drive; read, a combination of stresses.

    Driven, a strength q(t) is the rate of a moment tensor :math:`\dot M_{ij} = M_{ij} \, q`, in N m/s (N/s in two
    dimensions) for a tensor without units: the force :math:`f_i = -\partial_j (M_{ij} \, \delta(x - x_s))` of which the
    rate is stated (Aki & Richards 2002, *Quantitative Seismology*, 2nd ed., sec. 3.3). What comes off the stress is
    :math:`M_{ij} q`, where ``"sxz"`` stands for both :math:`s_{xz}` and :math:`s_{zx}`, and is driven once.

    Read, it is minus the sum over :math:`i \le j` of :math:`M_{ij} s_{ij}`, in Pa: the transpose, in which what is not on
    the diagonal counts once. In the adjoint solve, ``so.MomentTensor(...) * Ainv.H``, what is read is the contraction of M
    with the strain of the adjoint field, where it counts twice: a moment is reciprocal to strains, not to stresses.

    Parameters
    ----------
    waves : Wavefield
    coordinates : array_like or list of array_like
        Points, as of :class:`~seisops.Projection`.
    tensor : array_like or list of array_like
        Symmetric, in the order of the axes, z down: ``(ndim, ndim)`` for all points, ``(points, ndim, ndim)`` for those of
        each shot, or a list with one such array for each shot.
    interpolation, margin
        As of :class:`~seisops.Projection`.

    Raises
    ------
    ParameterError
        If tensors are of another shape, are not symmetric, not finite or all zero, or do not fit the points; when applied,
        if the medium has no stresses.

    Notes
    -----
    A double couple with the unit vectors n across the fault and d along the slip is ``np.outer(n, d) + np.outer(d, n)``:
    :func:`~seisops.double_couple` makes it of strike, dip and rake. An explosion is ``np.eye(ndim)``, of which ``"p"`` with
    ndim times the strength is the same. Catalogues state tensors by r (up), t (south) and p (east): with x to the north, y
    to the east and z down, Mxx = Mtt, Myy = Mpp, Mzz = Mrr, Mxy = -Mtp, Mxz = Mrt and Myz = -Mrp (Aki & Richards 2002,
    box 4.4).
    Codes that take the moment itself, such as SPECFEM, have the integral of q as their source time function.

    As of :class:`~seisops.Force`, all components are taken into one solve.
    """

    _fingerprint = Combined._fingerprint

    def __init__(
        self,
        waves: Wavefield,
        coordinates: Any,
        tensor: ArrayLike,
        interpolation: str = "sinc",
        margin: float = 0.0,
    ) -> None:
        Wavefield.required("MomentTensor", waves)
        axes = waves.grid.axes
        points = _points(waves, coordinates, margin)
        tensors = _at_points("MomentTensor tensor", tensor, points, (len(axes),) * 2)
        for one in {id(t): t for t in tensors}.values():
            _require_symmetric(one, axes)
        if not any(np.any(t) for t in tensors):
            raise ParameterError("MomentTensor tensor is zero: nothing is driven by it, and nothing heard")
        pairs = list(combinations_with_replacement(range(len(axes)), 2))
        ways = [{"component": f"s{axes[i]}{axes[j]}", "interpolation": interpolation} for i, j in pairs]
        self._weighted(waves, points, ways, tensors, lambda m: np.array([-m[:, i, j] for i, j in pairs]))


def double_couple(
    strike: ArrayLike, dip: ArrayLike, rake: ArrayLike, north: str = "x", ndim: int = 3
) -> NDArray[np.float64]:
    r"""The moment tensor of slip on a fault, of moment 1: a double couple, for :class:`MomentTensor`.

    Parameters
    ----------
    strike : array_like
        Azimuth of the fault in radians, clockwise from north as seen from above, such that it dips to the right of it.
    dip : array_like
        How steeply it dips, in radians: 0 is flat, pi/2 upright.
    rake : array_like
        Direction in radians in which the block above the fault slips on it, from the strike on, upward: 0 is left-lateral,
        pi/2 a thrust, pi (or -pi) right-lateral, -pi/2 a normal fault.
    north : {"x", "y"}, optional
        The axis that points north; the other one points east, and z down. By default x does, as in Aki & Richards; in map
        coordinates (easting, northing), as of a :class:`~seisops.survey.Survey`, y does. Of a grid whose x points to the
        azimuth a, with y to the right of it, subtract a from the strike.
    ndim : {3, 2}, optional
        Of the grid. In 2D there are x, to the north, and z: faults strike across the section (strike of -pi/2 or pi/2) and
        slip within it (rake of -pi/2 or pi/2).

    Returns
    -------
    ndarray of shape (..., ndim, ndim), float64
        Without a trace, of eigenvalues 1, 0, -1; times a moment in N m it is that moment's tensor. Angles may be arrays that
        broadcast: ``(points,)`` for the points of all shots.

    Raises
    ------
    ParameterError
        If an angle is not finite or out of range, as one in degrees is, or if in 2D a fault does not lie across the section.

    Notes
    -----
    With the slip d and the normal n of the fault, :math:`M_{ij} = d_i n_j + d_j n_i`, where, along north, east and down,

    .. math:: d &= (\cos\lambda \cos\phi + \cos\delta \sin\lambda \sin\phi, \;
                    \cos\lambda \sin\phi - \cos\delta \sin\lambda \cos\phi, \; -\sin\delta \sin\lambda), \\
              n &= (-\sin\delta \sin\phi, \; \sin\delta \cos\phi, \; -\cos\delta)

    for strike :math:`\phi`, dip :math:`\delta` and rake :math:`\lambda` (Aki & Richards 2002, *Quantitative Seismology*, 2nd
    ed., eqs. 4.88, 4.89 and 4.91, box 4.4).

    Examples
    --------
    >>> double_couple(0.0, np.pi / 2, 0.0).round(12) + 0.0
    array([[0., 1., 0.],
           [1., 0., 0.],
           [0., 0., 0.]])
    """
    if north not in ("x", "y"):
        raise ParameterError(f"double_couple(north={shown(north)}): 'x' or 'y', the axis that points north")
    if ndim not in (2, 3) or (ndim == 2 and north != "x"):
        raise ParameterError(
            f"double_couple(north={north!r}, ndim={shown(ndim)}): ndim is 3, or 2 for a section along x, which is then north"
        )
    angles = [_angle(name, given) for name, given in zip(ANGLES, (strike, dip, rake), strict=True)]
    try:
        angles = list(np.broadcast_arrays(*angles))
    except ValueError:
        shapes = ", ".join(f"{name} {a.shape}" for name, a in zip(ANGLES, angles, strict=True))
        raise ParameterError(f"double_couple: angles have the shapes {shapes}, which do not broadcast") from None
    (s, c), (sin_dip, cos_dip), (sin_rake, cos_rake) = ((np.sin(a), np.cos(a)) for a in angles)
    slip = np.stack(
        [cos_rake * c + cos_dip * sin_rake * s, cos_rake * s - cos_dip * sin_rake * c, -sin_dip * sin_rake], -1
    )
    normal = np.stack([-sin_dip * s, sin_dip * c, -cos_dip], -1)
    half = slip[..., :, None] * normal[..., None, :]
    tensor = half + np.swapaxes(half, -1, -2)
    if ndim == 3:
        order = [0, 1, 2] if north == "x" else [1, 0, 2]
        return tensor[..., order, :][..., order]
    across = np.abs(tensor[..., 1, :]).max(initial=0.0)
    if across > ROUNDING:
        raise ParameterError(
            f"double_couple(ndim=2): {across:.3g} of the moment lies across the section; in it are faults with a strike of "
            f"-pi/2 or pi/2, slipping with a rake of -pi/2 or pi/2, got strike {span(angles[0])} and rake {span(angles[2])} "
            "rad. Model in 3D"
        )
    return tensor[..., ::2, ::2]


def _angle(name: str, given: ArrayLike) -> NDArray[np.float64]:
    """An angle of a fault in radians, checked."""
    a, (low, high) = numbers(f"double_couple {name}", given), ANGLES[name]
    bad = a[~((a >= low - ROUNDING) & (a <= high + ROUNDING))]
    if bad.size:
        first = float(bad[0])
        degrees = f": if it is in degrees, pass np.radians({first:g})" if np.isfinite(first) else ""
        raise ParameterError(f"double_couple {name} is {first:g} rad, outside {low:.4g} to {high:.4g} rad{degrees}")
    return a


def _directed(
    what: str, waves: Wavefield, coordinates: Any, direction: Any, margin: float
) -> tuple[Coordinates, list[NDArray]]:
    """Points, and for each shot unit vectors at them."""
    Wavefield.required(what, waves)
    points = _points(waves, coordinates, margin)
    directions = _at_points(f"{what} direction", direction, points, (waves.grid.ndim,))
    units: dict[int, NDArray] = {}
    for shot, vectors in enumerate(directions):
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not length.all():
            first = int(np.flatnonzero(length == 0)[0])
            raise ParameterError(f"{what} direction of point {first} of shot {shot} is zero, and has no length")
        units.setdefault(id(vectors), vectors / length)
    return points, [units[id(vectors)] for vectors in directions]


def _points(waves: Wavefield, coordinates: Any, margin: float) -> Coordinates:
    known = isinstance(coordinates, Coordinates)  # checked before
    return coordinates if known else Coordinates(coordinates, waves.grid, waves.shots, margin)


def _at_points(what: str, given: Any, points: Coordinates, shape: tuple[int, ...]) -> list[NDArray]:
    """What is given for all points, for each, or for those of each shot: an array (points, *shape) for each shot."""
    try:
        ndim = np.ndim(given)
    except ValueError:  # lists of different lengths
        ndim = len(shape) + 2
    if ndim < len(shape) + 2:
        by_shot = [given] * len(points)
    else:
        by_shot = list(given)
        if len(by_shot) != len(points):
            raise ParameterError(
                f"{what} is given for {len(by_shot)} shots, but the wavefield has {len(points)}: pass one array for each "
                "shot, or a single one for all"
            )
    found: dict[tuple[int, int], NDArray] = {}
    keys = [(id(one), count) for one, count in zip(by_shot, points.counts, strict=True)]
    for shot, key in enumerate(keys):
        if key not in found:
            found[key] = _checked(what, by_shot[shot], points.counts[shot], shot, shape)
    return [found[key] for key in keys]


def _checked(what: str, given: Any, count: int, shot: int, shape: tuple[int, ...]) -> NDArray:
    """An array (count, *shape) of one shot."""
    try:
        a = floats(given)
    except (TypeError, ValueError):
        raise ParameterError(f"{what} is not an array of numbers of shape {shape} or (points, *{shape})") from None
    if a.shape not in (shape, (count, *shape)):
        raise ParameterError(
            f"{what} has shape {a.shape}; expected {shape} for all points, or {(count, *shape)} for the {count} points of "
            f"shot {shot}"
        )
    if not np.isfinite(a).all():
        raise ParameterError(f"{what} of shot {shot} has values that are not finite")
    return np.array(np.broadcast_to(a, (count, *shape)))


def _require_symmetric(tensors: NDArray, axes: tuple[str, ...]) -> None:
    """Refuse tensors, of shape (points, ndim, ndim), that turn what they act on."""
    off = np.abs(tensors - np.swapaxes(tensors, 1, 2))
    bad = np.argwhere(off > ASYMMETRY * np.abs(tensors).max(axis=(1, 2), initial=0.0, keepdims=True))
    if len(bad):
        n, i, j = map(int, bad[0])
        a, b = axes[i], axes[j]
        raise ParameterError(
            f"MomentTensor tensor of point {n} is not symmetric: M{a}{b} is {tensors[n, i, j]:g} and M{b}{a} is "
            f"{tensors[n, j, i]:g}. Pass (M + M.T) / 2; what is left of it is a torque, two of so.Force"
        )
