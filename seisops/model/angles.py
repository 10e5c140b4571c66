"""From images of subsurface lags to angle gathers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from seisops.errors import ParameterError
from seisops.model.models import coordinates, model_of
from seisops.operators import LinearOperator
from seisops.spaces import Axis, Space
from seisops.wave._validate import floats

__all__ = ["AngleGathers"]


class AngleGathers(LinearOperator):
    r"""Slant stacks of an image over its lags: how much is reflected at which angle.

    .. math:: R(\gamma, x, z) = \sum_h I(h, x, z + h \tan\gamma)

    What reflects a wave of one direction, in the right velocities, is imaged along that line: h is half the offset in
    depth, and :math:`\gamma` half the opening angle between incident and reflected ray, positive where the incident wave
    travels towards larger x (Sava & Fomel 2003, doi:10.1190/1.1527078). Depths between nodes are interpolated linearly.

    Parameters
    ----------
    of : LinearOperator or Space
        A Jacobian with lags, or its domain.
    angles : array_like
        In radians, between -pi/2 and pi/2.
    axis : str, optional
        The axis of the lags, where there are lags along several; what there is along others stays.

    Raises
    ------
    ParameterError
        If there are no such lags, or angles are not between -pi/2 and pi/2.

    Notes
    -----
    The domain is that of the Jacobian, (lag, x, [y,] z), the range (angle, x, [y,] z): ``AngleGathers(J, angles) * J.H``
    makes gathers of data, and its adjoint data of gathers.
    """

    symbol = "AngleGathers"

    def __init__(self, of: Any, angles: ArrayLike, axis: str | None = None) -> None:
        space = model_of(of, "AngleGathers")
        self._lag, lag = _lags(space, axis)
        try:
            angle = np.atleast_1d(floats(angles))
        except (TypeError, ValueError):
            angle = np.full(1, np.nan)
        if angle.ndim != 1 or not angle.size or not (np.abs(angle) < np.pi / 2).all():
            raise ParameterError(
                f"AngleGathers(angles={angles!r:.60}): give angles in radians, more than -pi/2 and less than pi/2, such as "
                "np.radians(range(-60, 61, 2))"
            )
        self.angles = tuple(angle.tolist())
        axes = [_axis(angle) if i == self._lag else a for i, a in enumerate(space.axes)]
        depth = space.axes[-1]
        shifts = np.tan(angle)[:, None] * coordinates(lag) / (depth.step or 1.0)
        self._stack = _shifted(shifts, depth.size).astype(space.dtype)
        super().__init__(space, Space("angle gathers", axes, space.dtype))

    def _fingerprint(self) -> Sequence[Any]:
        return [self.angles, self._lag]

    def _apply(self, x: NDArray) -> NDArray:
        return self._with(self._stack, x, self.range)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._with(self._stack.T, y, self.domain)

    def _with(self, matrix: sparse.spmatrix, x: NDArray, space: Space) -> NDArray:
        """A matrix over (lag or angle, z), applied wherever else."""
        beside = np.moveaxis(x, self._lag, -2)
        out = matrix @ beside.reshape(-1, matrix.shape[1]).T
        whole = out.T.reshape(*beside.shape[:-2], space.shape[self._lag], beside.shape[-1])
        return np.ascontiguousarray(np.moveaxis(whole, -2, self._lag))


def _lags(space: Space, axis: str | None) -> tuple[int, Axis]:
    """The axis of lags, with its number."""
    found = {a.name.removeprefix("lag_"): (i, a) for i, a in enumerate(space.axes) if a.name.startswith("lag_")}
    if axis in found or (axis is None and len(found) == 1):
        return found[axis or next(iter(found))]
    there = f"has lags along {', '.join(found)}" if found else "has no lags"
    raise ParameterError(
        f"AngleGathers(axis={axis!r}): {space} {there}: give a Jacobian(F, q, lags={{'x': range(-10, 11)}})"
        + (", and one of its axes" if found else "")
    )


def _axis(angle: NDArray) -> Axis:
    steps = np.diff(angle)
    even = len(steps) and np.allclose(steps, steps[0], rtol=1e-9, atol=0.0)
    return Axis("angle", len(angle), float(steps[0]) if even else None, float(angle[0]) if even else None)


def _shifted(shifts: NDArray, n: int) -> sparse.csr_matrix:
    """Sums over (lag, z) for each (angle, z), z moved by `shifts` (angle, lag) and interpolated; nothing beyond the ends."""
    angles, lags = shifts.shape
    place = shifts[:, :, None] + np.arange(n)
    below = np.floor(place).astype(int)
    rows = np.broadcast_to(np.arange(angles)[:, None, None] * n + np.arange(n), place.shape)
    start = np.broadcast_to(np.arange(lags)[None, :, None] * n, place.shape)
    entries = []
    for node, weight in ((below, below + 1 - place), (below + 1, place - below)):
        inside = (node >= 0) & (node < n) & (weight != 0)
        entries.append((weight[inside], rows[inside], (start + node)[inside]))
    weights, row, column = (np.concatenate(part) for part in zip(*entries, strict=True))
    return sparse.csr_matrix((weights, (row, column)), shape=(angles * n, lags * n))
