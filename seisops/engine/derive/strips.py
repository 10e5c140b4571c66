"""Fields of an absorbing layer live in strips along the edges of the grid, and so do the loops over them.

A field that remembers a derivative along an axis vanishes outside the layer on that axis. It is kept in two small arrays,
one at either end of the axis, and every expression is separated into a part without such fields, for the whole grid, and
parts that each need a strip only (two axes at once: a corner).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import sympy
from devito import Derivative

from seisops.engine.derive.describe import in_order
from seisops.engine.derive.system import System
from seisops.engine.symbols.stencils import stencil
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import depends, leaves, shifts

__all__ = ["CORE", "MODEL", "Strips", "reach", "reach_of_fields", "reach_of_layer", "reach_of_parameters"]

#: Side of an axis that is neither end: the grid without strips, or without the layer in them.
CORE, MODEL = "core", "model"


@dataclass(frozen=True)
class Strips:
    """Where the fields and profiles of a layer are kept.

    Attributes
    ----------
    template : Template
    compact : mapping
        Axis along which a field or profile is compact, by the name of its symbol.
    widths : mapping of devito.Dimension to int
        Cells of a strip along each axis: those of the layer and those that derivatives reach beyond it.
    sides : mapping of devito.Dimension to tuple of str
        Ends of each axis that have a layer: "low", "high".
    layer : int
        Cells of the layer, the outermost of a strip.
    halo : int
        Cells around a strip that its arrays have, for derivatives to look at.
    overlapping : bool
        Whether strips at the ends of an axis have cells in common.
    """

    template: Template
    compact: Mapping
    widths: Mapping
    sides: Mapping
    layer: int = 0
    halo: int = 0
    overlapping: bool = False

    def inside(self, side: str = CORE) -> dict:
        """The grid without strips, or without the layer, as a box."""
        return dict.fromkeys(self.sides, side)

    def boxes(self, axes: frozenset) -> Iterator[dict]:
        """The strips (corners) where something compact along all of `axes` lives: ``{axis: side}``."""
        order = [d for d in self.template.dimensions if d in axes]
        for sides in product(*(self.sides[d] for d in order)):
            yield dict(zip(order, sides, strict=True))

    def separate(self, expr, known: frozenset = frozenset()) -> dict[frozenset, sympy.Expr]:
        """Parts of an expression by the axes along which they are compact; those `known` do not count."""
        out: dict = {}
        for axes, part in self._parts(sympy.sympify(expr)):
            axes = axes - known
            out[axes] = out.get(axes, sympy.S.Zero) + part
        return out

    def _parts(self, expr) -> list[tuple[frozenset, sympy.Expr]]:
        mine = {self.compact[f.function.name] for f in leaves(expr) if f.function.name in self.compact}
        if not mine:
            return [(frozenset(), expr)]
        if expr.is_Add:
            # in an order of their own: that of SymPy differs from process to process
            return [part for a in in_order(expr.args) for part in self._parts(a)]
        if isinstance(expr, Derivative):
            return [(axes, expr._rebuild(expr=inner)) for axes, inner in self._sums(expr.expr)]
        if expr.is_Mul:
            parts = [(frozenset(), sympy.S.One)]
            for a in in_order(expr.args):
                parts = [(axes | more, whole * part) for axes, whole in parts for more, part in self._parts(a)]
            return parts
        return [(frozenset(mine), expr)]

    def _sums(self, expr) -> list[tuple[frozenset, sympy.Expr]]:
        """The parts of an expression, one for each set of axes."""
        out: dict = {}
        for axes, part in self._parts(expr):
            out[axes] = out.get(axes, sympy.S.Zero) + part
        return list(out.items())

    def in_layer(self, d, side: str, beyond: int = 0) -> tuple:
        """The part of a strip that is in the layer, or so many cells beyond it; along rows, made of whole vectors, all."""
        cells = self.widths[d] if d is self.template.dimensions[-1] else min(self.layer + beyond, self.widths[d])
        return d, 0 if side == "low" else self.widths[d] - cells, cells

    def part(self, function, side: str):
        """The symbol of a compact field or profile at one end of its axis."""
        home = self.compact[function.name]
        return self.template.compact(function, home, side, self.widths[home], self.halo)

    def parts(self, function) -> list[tuple[str, object]]:
        """All symbols that hold a field: ``(side, symbol)``; the field itself where it is not compact."""
        if function.name not in self.compact:
            return [("", function)]
        return [(side, self.part(function, side)) for side in self.sides[self.compact[function.name]]]


def reach_of_layer(system: System) -> int:
    """How many cells beyond the layer the equations are influenced by its fields, along any axis."""
    widest = 0
    for row in system.residuals:
        for name, home in system.compact.items():
            mine = {f.function for f in leaves(row) if f.function.name == name}
            widest = max(widest, reach(row, mine, home, system.template))
    return widest


def reach_of_fields(system: System) -> int:
    """How many cells around, along any axis, the equations look at fields."""
    functions, axes = set(system.fields), system.template.dimensions
    return max((reach(row, functions, a, system.template) for row in system.residuals for a in axes), default=0)


def reach_of_parameters(system: System) -> int:
    """How many cells around, along any axis, averages and derivatives of parameters alone look at them."""
    alone = {d for row in system.residuals for d in row.atoms(Derivative) if not depends(d, system.fields)}
    axes = system.template.dimensions
    return max((reach(d, {f.function for f in leaves(d)}, a, system.template) for d in alone for a in axes), default=0)


def reach(expr, functions: Collection, axis, template: Template) -> int:
    """How many cells along an axis an expression looks for some functions."""
    if not depends(expr, functions):
        return 0
    if getattr(expr, "is_DiscreteFunction", False):
        return abs(int((shifts(expr).get(axis, axis) - axis) / axis.spacing))
    if isinstance(expr, Derivative):
        inside = reach(expr.expr, functions, axis, template)
        if axis not in expr.dims:
            return inside
        n = expr.dims.index(axis)
        return inside + max(abs(offsets[n]) for offsets in stencil(expr, template))
    return max((reach(a, functions, axis, template) for a in expr.args), default=0)
