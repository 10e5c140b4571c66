"""Sets that bound every value on its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError, shown
from seisops.inversion.constraints.constraint import Constraint, model_in

__all__ = ["Bounds", "Known"]


class Bounds(Constraint):
    r"""The models with :math:`l \le m \le h` everywhere.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        What the models are those of.
    low, high : array_like, optional
        Bounds in the unit of the models, of a shape that broadcasts to theirs.

    Raises
    ------
    ParameterError
        If bounds do not fit, are NaN, or `low` is above `high` somewhere.
    """

    def __init__(self, of: Any, low: ArrayLike = -np.inf, high: ArrayLike = np.inf) -> None:
        super().__init__(of)
        self.low = model_in(self.space, "Bounds: low", low)
        self.high = model_in(self.space, "Bounds: high", high)
        wrong = ~(self.low <= self.high)
        if wrong.any():
            i = np.unravel_index(np.argmax(wrong), wrong.shape)
            raise ParameterError(
                f"Bounds: low must not be above high, but at {tuple(map(int, i))} they are {self.low[i]:.6g} and "
                f"{self.high[i]:.6g}"
            )

    def _project(self, x: NDArray) -> NDArray:
        return np.clip(x, self.low, self.high)


class Known(Constraint):
    """The models that are what one knows in some cells, such as water.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        What the models are those of.
    where : array_like of bool
        The cells, of a shape that broadcasts to that of models.
    values : array_like
        What is known there: a number, or a model, of which other cells are not looked at.

    Raises
    ------
    ParameterError
        If they do not fit, or a value is NaN or infinite.
    """

    def __init__(self, of: Any, where: ArrayLike, values: ArrayLike) -> None:
        super().__init__(of)
        cells = np.asarray(where)
        if cells.dtype != bool:
            raise ParameterError(f"Known: where must be True or False in each cell, got {shown(where)}")
        self.where = model_in(self.space, "Known: where", cells).astype(bool)
        self.values = model_in(self.space, "Known: values", values)[self.where]
        if not np.isfinite(self.values).all():
            raise ParameterError("Known: values must be finite where they are known")

    def _project(self, x: NDArray) -> NDArray:
        x = x.copy()
        x[self.where] = self.values
        return x
