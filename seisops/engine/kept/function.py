"""Functions as text, which can be noted."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import sympy

__all__ = ["Function", "function_of"]


class Function:
    """A function of numbers or arrays, in Python text.

    Parameters
    ----------
    source : str
        One definition, of names that NumPy has.
    """

    def __init__(self, source: str):
        self.source = source

    def __reduce__(self):
        return Function, (self.source,)

    @cached_property
    def _function(self) -> Callable:
        names, made = dict(vars(np)), {}
        exec(self.source, names, made)
        (function,) = made.values()
        return function

    def __call__(self, *values):
        return self._function(*values)


def function_of(arguments: Sequence[sympy.Symbol], expr: Any) -> Function:
    """What SymPy would have NumPy compute for an expression, or for several."""
    import sympy

    # where SymPy leaves the text for debuggers: `inspect.getsource` looks at every loaded module before it gets there
    made = sympy.lambdify(arguments, expr, "numpy", cse=True)
    return Function("".join(linecache.getlines(made.__code__.co_filename)))
