"""Models that increase with depth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from seisops.errors import ParameterError
from seisops.inversion.constraints.constraint import Constraint

__all__ = ["Monotone"]


class Monotone(Constraint):
    """The models that nowhere decrease with depth, or along another axis.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        What the models are those of.
    axis : str, optional
        The name of the axis.
    increasing : bool, optional
        Whether it is increasing along the axis, or else decreasing, that is asked for.

    Notes
    -----
    Column by column an isotonic regression, by SciPy (Busing 2022, doi:10.18637/jss.v102.c01).
    """

    on_grid = True

    def __init__(self, of: Any, axis: str = "z", increasing: bool = True) -> None:
        super().__init__(of)
        names = [one.name for one in self.space.axes]
        if axis not in names:
            raise ParameterError(f"Monotone: {axis!r} is no axis of {self.space}: use one of {names}")
        self.axis, self.increasing = names.index(axis), bool(increasing)

    def _project(self, x: NDArray) -> NDArray:
        out = np.moveaxis(x.copy(), self.axis, -1)
        steps = np.diff(out, axis=-1) * (1 if self.increasing else -1)
        for i in np.argwhere((steps < 0).any(axis=-1)):
            out[tuple(i)] = isotonic_regression(out[tuple(i)], increasing=self.increasing).x
        return np.moveaxis(out, -1, self.axis)
