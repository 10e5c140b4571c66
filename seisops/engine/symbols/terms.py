"""Small questions about symbolic expressions: what occurs in them, where, and how to shift it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import sympy
from devito import Derivative

__all__ = [
    "at",
    "depends",
    "differentiated",
    "leaves",
    "looked_around",
    "move",
    "names",
    "occurrences",
    "replaced",
    "shifts",
    "time_offset",
]


def occurrences(expr, function) -> set:
    """The indexed appearances of `function` in `expr`."""
    return {f for f in leaves(expr) if f.function is function}


def leaves(expr) -> frozenset:
    """All functions that appear in `expr`, with their indices."""
    return _leaves(_This(sympy.sympify(expr)))


class _This:
    """An expression and no other: those of another template are equal to it, but of other functions."""

    def __init__(self, expr):
        self.expr = expr

    def __hash__(self):
        return id(self.expr)

    def __eq__(self, other):
        return self.expr is other.expr


@lru_cache(maxsize=2**14)  # asked for again and again, of all parts of all equations
def _leaves(this: _This) -> frozenset:
    expr = this.expr
    if getattr(expr, "is_DiscreteFunction", False):
        return frozenset([expr])
    inner = (expr.expr,) if isinstance(expr, Derivative) else expr.args
    return frozenset().union(*map(leaves, inner))


def depends(expr, functions) -> bool:
    return any(f.function in functions for f in leaves(expr))


def replaced(expr, functions, by: Callable):
    """`expr` with each appearance of some functions replaced, under derivatives too."""
    if not depends(expr, functions):
        return expr
    if getattr(expr, "is_DiscreteFunction", False):
        return by(expr)
    if isinstance(expr, Derivative):
        return expr._rebuild(expr=replaced(expr.expr, functions, by))
    return expr.func(*(replaced(a, functions, by) for a in expr.args))


def differentiated(expr, function) -> bool:
    """Whether `function` stands under a derivative anywhere in `expr`."""
    return any(depends(d.expr, [function]) for d in sympy.sympify(expr).atoms(Derivative))


def looked_around(expr, function, offset: int) -> bool:
    """Whether `function` at a time offset is wanted anywhere but at the point itself."""
    expr = sympy.sympify(expr)
    here = (f for f in occurrences(expr, function) if time_offset(f) == offset)
    if any(i != d for f in here for i, d in zip(f.indices[1:], function.dimensions[1:], strict=True)):
        return True
    return any(time_offset(f) == offset for d in expr.atoms(Derivative) for f in occurrences(d.expr, function))


def time_offset(f) -> int:
    """k of an appearance ``f(t + k dt, ...)``."""
    step = f.function.time_dim
    return int((f.indices[0] - step) / step.spacing)


def shifts(f) -> dict:
    """Substitution ``{d: d - k h_d}`` that undoes the offset of an appearance ``f(d + k h_d, ...)``."""
    offsets = {d: i - d for i, d in zip(f.indices, f.function.dimensions, strict=True)}
    return {d: d - o for d, o in offsets.items() if o != 0}


def move(expr, substitution: Mapping):
    """Shift every index of `expr`, under derivatives too."""
    return sympy.sympify(expr).subs(substitution) if substitution else expr


def names(functions) -> str:
    return ", ".join(sorted(f.name for f in functions))


def at(expr, cells):
    """`expr` at the grid cells of a set of points."""
    expr = sympy.sympify(expr)
    if getattr(expr, "is_DiscreteFunction", False):
        return expr.subs(cells) if any(d in expr.function.dimensions for d in cells) else expr
    if isinstance(expr, Derivative):
        return expr._rebuild(expr=at(expr.expr, cells))
    return expr.func(*(at(a, cells) for a in expr.args)) if expr.args else expr
