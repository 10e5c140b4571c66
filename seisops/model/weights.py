"""Weights of models: scaling with depth, mutes of the top and of the water. All are diagonal, and their own adjoints."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.elsewhere import Elsewhere
from seisops.errors import ParameterError, shown
from seisops.model.models import axes_in_space, coordinates, model_of
from seisops.model.smooth import Smooth
from seisops.operators import LinearOperator, Pointwise
from seisops.spaces import Space
from seisops.wave._validate import floats, integer, not_negative, real
from seisops.wave.jacobian import Jacobian

__all__ = ["DepthScaling", "Illumination", "TopMute", "WaterMask"]


class DepthScaling(Pointwise):
    r"""Multiplies by a power of depth, :math:`((z - z_0) / (z_1 - z_0))^p` from the top of the grid to its bottom.

    What scatters at depth is weaker in data by spreading: scaled, a gradient or a step of least squares reaches it.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        What the models are those of, as of all of :mod:`seisops.model`.
    power : float, optional
        p, not negative; 1/2 in two dimensions and 1 in three make up for the spreading of the reflected wave.
    top : float, optional
        :math:`z_0` in metres: above it nothing is left. By default the top of the grid.

    Raises
    ------
    ParameterError
        If the power is negative, or the top is at the bottom of the grid or below.
    """

    symbol = "DepthScaling"
    _fingerprint = Pointwise._fingerprint

    def __init__(self, of: Any, power: float = 1.0, top: float | None = None) -> None:
        space = model_of(of, "DepthScaling")
        power, z = not_negative("DepthScaling power", power, "powers of depth"), _depths(space)
        top = z[0] if top is None else real("DepthScaling top", top, "metres")
        if not top < z[-1]:
            raise ParameterError(f"DepthScaling(top={top:g} m): the grid ends at {z[-1]:g} m, and nothing is left")
        super().__init__(space, np.clip((z - top) / (z[-1] - top), 0.0, None) ** power)


class TopMute(Pointwise):
    """Nothing above a depth, all below that and a taper.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        What the models are those of.
    depth : array_like
        Metres; one, or one for each column of nodes.
    taper : float, optional
        Metres below that, over which weights rise as the square of a sine. By default four cells.

    Raises
    ------
    ParameterError
        If depths are not finite or fit no columns, nothing is left, or the taper is negative.
    """

    symbol = "TopMute"
    _fingerprint = Pointwise._fingerprint

    def __init__(self, of: Any, depth: ArrayLike, taper: float | None = None) -> None:
        space = model_of(of, "TopMute")
        super().__init__(space, _below(space, _columns(space, depth), _taper("TopMute", space, taper)))


class WaterMask(Pointwise):
    """Nothing in the water, all below its bottom and a taper.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        What the models are those of.
    vp : array_like
        Velocities of a model in m/s, of the grid's shape: from the top of the grid, water is where they are `velocity`.
    velocity : float, optional
        In water, in m/s. By default that of the first node.
    tolerance : float, optional
        By how many m/s water may differ.
    taper : float, optional
        Metres below the bottom, over which weights rise; by default 0: the first node of rock moves as all others.

    Raises
    ------
    ParameterError
        If `vp` is not of the grid's shape, or all of it is water.
    """

    symbol = "WaterMask"
    _fingerprint = Pointwise._fingerprint

    def __init__(
        self, of: Any, vp: ArrayLike, velocity: float | None = None, tolerance: float = 1.0, taper: float = 0.0
    ) -> None:
        space = model_of(of, "WaterMask")
        shape, vp = tuple(axis.size for axis in axes_in_space(space).values()), _velocities(vp)
        if vp.shape != shape:
            raise ParameterError(f"WaterMask: vp of shape {vp.shape} is not of the grid's shape {shape}")
        water = real("WaterMask velocity", vp.flat[0] if velocity is None else velocity, "m/s", positive=True)
        rock = np.abs(vp - water) > real("WaterMask tolerance", tolerance, "m/s")
        z = _depths(space)
        bottom = np.where(rock.any(axis=-1), z[np.argmax(rock, axis=-1)], np.inf)
        if np.isinf(bottom).all():
            raise ParameterError(f"WaterMask: no velocity differs from {water:g} m/s by more than {tolerance:g} m/s")
        super().__init__(space, _below(space, bottom, _taper("WaterMask", space, taper)))


def _velocities(vp: ArrayLike) -> NDArray[np.float64]:
    try:
        return floats(vp)
    except (TypeError, ValueError):
        raise ParameterError(f"WaterMask: vp must be velocities in m/s in each cell, got {shown(vp)}") from None


class Illumination(Pointwise):
    r"""Divides by the root of what illuminates a model: :math:`(I / \max I + \epsilon)^{-p}`, at least 1 after scaling.

    Without `probes`, I is the energy of the source's wavefield, :meth:`~seisops.Jacobian.illumination`, which costs no solve
    where J holds its background. With them it is the diagonal of the Hessian :math:`J^H J`, sources and receivers, for any
    parameters: :math:`\sum_k z_k \odot J^H J z_k` over random signs (Bekas, Kokiopoulou & Saad 2007,
    doi:10.1016/j.apnum.2007.01.003), smoothed, for two solves each.

    Parameters
    ----------
    J : Jacobian
        Or any operator from models, with `probes`.
    damping : float, optional
        :math:`\epsilon`: nothing is magnified by more than its power.
    power : float, optional
        p; with 1/2, on the right of J, the diagonal of the Hessian becomes even, and its square divides an image by I.
    probes : int, optional
    smooth : float, optional
        Standard deviation in metres of the Gaussian by which the diagonal is smoothed; by default two cells with probes,
        else none.
    seed : int, optional
        Of the random signs.

    Raises
    ------
    ParameterError
        If there is no illumination by the source alone, nothing is illuminated, or a number makes no sense.
    """

    symbol = "Illumination"
    _fingerprint = Pointwise._fingerprint

    def __init__(
        self,
        J: LinearOperator,
        damping: float = 1e-2,
        power: float = 0.5,
        probes: int | None = None,
        smooth: float | None = None,
        seed: int = 0,
    ) -> None:
        space = model_of(J, "Illumination")
        damping = real("Illumination damping", damping, "the largest illumination", positive=True)
        power = real("Illumination power", power, "powers of illumination")
        if probes is not None:
            found, rng = np.zeros(space.shape), np.random.default_rng(seed)
            for _ in range(integer("Illumination probes", probes, minimum=1)):
                z = space.asarray(rng.choice([-1.0, 1.0], space.shape))
                found += z * (J.H @ (J @ z))
        elif isinstance(J, Jacobian) or (isinstance(J, Elsewhere) and isinstance(J.stands_for, Jacobian)):
            found = J.illumination().astype(np.float64)
        else:
            raise ParameterError(
                "Illumination(J): of what is no Jacobian it is that of probes, Illumination(J, probes=8)"
            )
        if smooth is None:
            smooth = 0.0 if probes is None else 2 * max(axis.step or 0.0 for axis in axes_in_space(space).values())
        if smooth:
            double = Space(space.name, space.axes, np.float64)
            found = Smooth(double, smooth) @ found
        # of several parameters each by itself: they have different units
        over = tuple(axes_in_space(space))
        most = found.max(axis=over, keepdims=True)
        if not (most > 0).all():
            raise ParameterError("Illumination: nothing is illuminated: are the source, the data or the record zero?")
        weights = (np.maximum(found, 0.0) / most + damping) ** -power
        super().__init__(space, weights / weights.min(axis=over, keepdims=True))


def _depths(space: Space) -> NDArray[np.float64]:
    return coordinates(space.axes[-1])


def _columns(space: Space, depth: ArrayLike) -> NDArray[np.float64]:
    """A depth for each column of nodes."""
    shape = tuple(axis.size for axis in axes_in_space(space).values())[:-1]
    try:
        depth = np.broadcast_to(floats(depth), shape)
    except (TypeError, ValueError):
        raise ParameterError(
            f"TopMute: depth of shape {np.shape(depth)} is not one for each column of nodes, of shape {shape}"
        ) from None
    bottom = _depths(space)[-1]
    if not np.isfinite(depth).all() or (depth > bottom).all():
        raise ParameterError(
            f"TopMute: depths from {depth.min():g} to {depth.max():g} m leave nothing of a grid that ends at {bottom:g} m"
        )
    return depth


def _taper(who: str, space: Space, taper: float | None) -> float:
    return 4 * (space.axes[-1].step or 0.0) if taper is None else not_negative(f"{who} taper", taper, "metres")


def _below(space: Space, depth: NDArray, taper: float) -> NDArray[np.float64]:
    """1 at `taper` below a depth for each column, 0 above it; at it 0 if there is a taper."""
    cell = space.axes[-1].step or 0.0
    above = _depths(space) - depth[..., None]
    if not taper:
        return (above > -1e-6 * cell).astype(np.float64)
    return np.sin(0.5 * np.pi * np.clip(above / taper, 0.0, 1.0)) ** 2
