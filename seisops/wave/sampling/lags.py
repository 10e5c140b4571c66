"""Lags: how far from the middle a perturbation takes the background, and scatters it."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from itertools import product

from seisops.errors import ParameterError, shown
from seisops.spaces import Axis
from seisops.wave.grid import Grid

__all__ = ["Lags"]


class Lags:
    """Half offsets in whole cells, along one axis or several: all combinations of those along each.

    Parameters
    ----------
    grid : Grid
    along : mapping of str to sequence of int
        Evenly spaced, ascending numbers of cells, by axis.

    Attributes
    ----------
    axes : tuple of Axis
        One for each axis of the grid with lags, in metres, called ``"lag_x"``.
    cells : list of dict
        Every combination, ``{"x": -3}``, the last axis fastest.

    Raises
    ------
    ParameterError
        If they are not that, or reach as far as the grid.
    """

    def __init__(self, grid: Grid, along: Mapping[str, Sequence[int]]):
        if not isinstance(along, Mapping) or not along or not set(along) <= set(grid.axes):
            raise ParameterError(
                f"Jacobian(lags={shown(along)}): give cells by axis, one of {', '.join(grid.axes)}, such as "
                f'lags={{"{grid.axes[0]}": range(-10, 11)}}'
            )
        self.along = {axis: _numbers(grid, axis, along[axis]) for axis in grid.axes if axis in along}
        spacing = dict(zip(grid.axes, grid.spacing, strict=True))
        self.axes = tuple(_axis(axis, cells, spacing[axis]) for axis, cells in self.along.items())
        self.cells = [dict(zip(self.along, cells, strict=True)) for cells in product(*self.along.values())]

    def _fingerprint(self) -> list:
        return [self.along]


def _numbers(grid: Grid, axis: str, cells: Sequence[int]) -> tuple[int, ...]:
    try:
        numbers = tuple(operator.index(n) for n in cells)
    except TypeError:
        numbers = ()
    steps = {b - a for a, b in zip(numbers, numbers[1:], strict=False)}
    if not numbers or len(steps) > 1 or any(step < 1 for step in steps):
        raise ParameterError(
            f"Jacobian(lags={{{axis!r}: {shown(cells)}}}): lags are whole numbers of cells, ascending and evenly spaced, "
            "such as range(-10, 11)"
        )
    size, most = grid.shape[grid.axes.index(axis)], max(map(abs, numbers))
    if 2 * most >= size:
        raise ParameterError(
            f"Jacobian(lags={{{axis!r}: {shown(cells)}}}): {most} cells to either side do not fit into the {size} nodes "
            f"along {axis}: use lags of up to {(size - 1) // 2}"
        )
    return numbers


def _axis(axis: str, cells: tuple[int, ...], spacing: float) -> Axis:
    step = (cells[1] - cells[0]) * spacing if len(cells) > 1 else spacing
    return Axis(f"lag_{axis}", len(cells), step, cells[0] * spacing)
