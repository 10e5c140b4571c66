"""Models on one grid, made of models on another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from seisops.errors import ParameterError
from seisops.model.models import along, axes_in_space, coordinates, model_of
from seisops.operators import LinearOperator
from seisops.spaces import Axis, Space
from seisops.wave.grid import Grid

__all__ = ["Regrid"]


class Regrid(LinearOperator):
    """Models on another grid: averages of nodes nearby where that is coarser, linear interpolation where it is finer.

    What is constant stays constant, and bounds of a model are bounds of it on the other grid. Beyond the ends of its own
    grid, a model goes on as it ends.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        What the models are those of: the domain.
    to : Grid, LinearOperator, Map, Wavefield or Space
        The other grid, or what has models on it: the range.

    Raises
    ------
    ParameterError
        If the grids have not the same axes.

    Notes
    -----
    Along each axis a matrix of hat functions as wide as the larger spacing, with rows whose sum is 1.
    """

    symbol = "Regrid"

    def __init__(self, of: Any, to: Any) -> None:
        space = model_of(of, "Regrid")
        axes, onto = axes_in_space(space), self._axes(to)
        if [axis.name for axis in axes.values()] != [axis.name for axis in onto]:
            raise ParameterError(
                f"Regrid: models have the axes {[axis.name for axis in axes.values()]}, the other grid "
                f"{[axis.name for axis in onto]}"
            )
        found = list(space.axes)
        self._matrices: dict[int, sparse.csr_array] = {}
        for (i, axis), new in zip(axes.items(), onto, strict=True):
            self._matrices[i] = _hats(axis, new).astype(space.dtype)
            found[i] = new
        super().__init__(space, Space(space.name, found, space.dtype))

    @staticmethod
    def _axes(to: Any) -> list[Axis]:
        if isinstance(to, Grid):
            named = zip(to.axes, to.shape, to.spacing, to.origin, strict=True)
            return [Axis(name, n, step, origin) for name, n, step, origin in named]
        return list(axes_in_space(model_of(to, "Regrid")).values())

    def _fingerprint(self) -> Sequence[Any]:
        return []  # spaces say it all

    def _apply(self, x: NDArray) -> NDArray:
        return along(self._matrices, x)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return along({i: matrix.T for i, matrix in self._matrices.items()}, y)


def _hats(axis: Axis, new: Axis) -> sparse.csr_array:
    """What takes nodes of an axis to those of another."""
    x = coordinates(axis)
    width = max(float(axis.step or 1.0), float(new.step or 1.0))
    at = np.clip(coordinates(new), x[0], x[-1])
    weights = np.maximum(0.0, 1.0 - np.abs(at[:, None] - x) / width)
    weights[weights < 1e-9] = 0.0  # nodes that are hit, but for rounding
    return sparse.csr_array(weights / weights.sum(axis=1, keepdims=True))
