"""What follows from the parameters of a medium alone: computed once, not in every cell at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seisops.engine.kept.function import Function

__all__ = ["Constant"]


@dataclass(frozen=True)
class Constant:
    """An array that is a function of arrays and numbers: plain data.

    Attributes
    ----------
    name : str
        Of its symbol.
    arrays : tuple of (str, tuple of int)
        Names of what it is a function of, and how many cells away, along each axis, it takes that.
    numbers : tuple of str
        Time step and cell sizes that it is a function of, too.
    function : Function
    """

    name: str
    arrays: tuple[tuple[str, tuple[int, ...]], ...]
    numbers: tuple[str, ...]
    function: Function

    def values(self, arrays: Mapping[str, Any], numbers: Mapping[str, float]) -> Any:
        """Its values, given arrays with the same halo."""
        taken = [_moved(arrays[name], by) for name, by in self.arrays]
        with np.errstate(divide="ignore"):  # as dividing by it would
            found = self.function(*taken, *(taken[0].dtype.type(numbers[name]) for name in self.numbers))
        return found if np.ndim(found) else taken[0] * 0 + found  # of parameters that cancel when numbers are put in


def _moved(a: Any, by: Sequence[int]) -> Any:
    """What lies some cells on, the outermost cells repeated: their halo is as wide as stencils reach."""
    for axis, k in enumerate(by):
        if k:
            cells = np.clip(np.arange(a.shape[axis]) + k, 0, a.shape[axis] - 1)
            a = a.take(cells, axis=axis)
    return a
