"""Symbols that go through relations as arrays do: through arithmetic, and through functions of NumPy."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

if TYPE_CHECKING:
    import sympy

__all__ = ["Symbolic", "expression"]


class Symbolic(NDArrayOperatorsMixin):
    """An expression in place of an array.

    Parameters
    ----------
    expr : sympy.Expr
    """

    def __init__(self, expr: sympy.Expr):
        self.expr = expr

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        import sympy

        function = _functions().get(ufunc)
        if function is None or method != "__call__" or options:
            raise TypeError(f"no derivative is known of np.{ufunc.__name__}")
        for x in inputs:
            if not isinstance(x, Symbolic | Number | sympy.Expr):
                raise TypeError(f"a {type(x).__name__} stands beside it, not one number")
        return Symbolic(sympy.sympify(function(*map(sympy.sympify, inputs))))

    def __array_function__(self, function, *_):
        raise TypeError(f"np.{function.__name__} looks at more than one cell, or at its numbers")

    def __bool__(self):
        raise TypeError("it depends on the numbers whether a parameter is true")

    def _sympy_(self) -> sympy.Expr:
        return self.expr


def expression(x: Any) -> sympy.Expr:
    """What came of symbols, as an expression of SymPy; raises a TypeError if it is none."""
    import sympy

    found = sympy.sympify(x)
    if not isinstance(found, sympy.Expr):
        raise TypeError(f"{x!r:.80} is no expression")
    return found


@cache
def _functions() -> dict[np.ufunc, Callable]:
    """What has derivatives everywhere that it is defined, and what SymPy calls it."""
    import sympy as sp

    same = {getattr(np, n): getattr(sp, n) for n in ("sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh")}
    arcs = {getattr(np, f"arc{n}"): getattr(sp, f"a{n}") for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh")}
    plain = {np.add: "add", np.subtract: "sub", np.multiply: "mul", np.divide: "truediv", np.power: "pow"}
    return {
        **same,
        **arcs,
        **{ufunc: getattr(operator, name) for ufunc, name in plain.items()},
        np.negative: operator.neg,
        np.positive: operator.pos,
        np.square: lambda x: x**2,
        np.reciprocal: lambda x: 1 / x,
        np.exp2: lambda x: 2**x,
        np.log2: lambda x: sp.log(x, 2),
        np.log10: lambda x: sp.log(x, 10),
        np.arctan2: sp.atan2,
        np.deg2rad: lambda x: x * sp.pi / 180,
        np.radians: lambda x: x * sp.pi / 180,
    }
