"""What a time loop does, one assignment after another, before Devito makes loops of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import devito
import sympy

from seisops.engine.stencils import evaluate
from seisops.engine.strips import Strips
from seisops.engine.template import PREFIX, Template
from seisops.engine.terms import leaves, time_offset

__all__ = ["GRID", "RECIPROCAL", "Assignment", "two_levels"]

#: No strip: the whole grid.
GRID: Mapping = MappingProxyType({})

#: Begins the name of a parameter's reciprocal; no coefficient's name begins with a digit.
RECIPROCAL = "1_over_"


@dataclass(frozen=True)
class Assignment:
    """``lhs = rhs``, or ``lhs += rhs``, on the grid or in a strip.

    Attributes
    ----------
    kind : devito.Eq or devito.Inc
    lhs, rhs : expressions
        As on the grid, derivatives unevaluated.
    when : tuple of devito.Dimension
        Loops that the expressions do not name.
    box, phase, part
        The strip; see :meth:`Strips.place`.
    in_place : mapping
        Fields whose newest level takes the place of their oldest, with the offsets of both.
    """

    kind: type
    lhs: sympy.Expr
    rhs: sympy.Expr
    when: tuple
    box: Mapping
    phase: int
    part: tuple | None = None
    in_place: Mapping = field(default_factory=dict)

    @property
    def symbolic(self) -> devito.Eq:
        """What to compute, but not where."""
        return self.kind(self.lhs, self.rhs, implicit_dims=self.when)

    @property
    def place(self) -> tuple:
        """Where to compute it."""
        part = self.part and (self.part[0].name, *self.part[1:])
        box = ((d.name, side) for d, side in self.box.items())
        return (self.phase, part, *box, *sorted(u.name for u in self.in_place))

    def lowered(self, template: Template, strips: Strips) -> devito.Eq:
        rhs = multiplied(evaluate(self.rhs, template), template)
        sides = (self._levelled(e, template) for e in (self.lhs, rhs))
        lhs, rhs = (strips.place(e, self.box, self.phase, self.part) for e in sides)
        return self.kind(lhs, rhs, implicit_dims=self.when)

    def _levelled(self, expr, template: Template):
        """With the fields that are advanced in place."""
        found = [f for f in leaves(expr) if f.function in self.in_place]
        return sympy.sympify(expr).xreplace({f: self._on_two_levels(f, template) for f in found})

    def _on_two_levels(self, f, template: Template):
        newest, oldest = self.in_place[f.function]
        two = template.field(two_levels(f.function), levels=2)
        offset = time_offset(f)
        time = template.step + (newest if offset == oldest else offset) * template.step.spacing
        return _placed(two, (time, *f.indices[1:]))


def multiplied(expr, template: Template) -> sympy.Expr:
    """An evaluated expression with reciprocals of parameters as factors, which take a fraction of a division's time."""
    # in an order of their own: that of a set differs from process to process, and the code with it
    divisions = sorted((p for p in expr.atoms(sympy.Pow) if _divides(p, template)), key=str)
    factors = {p: _reciprocal(p.base, template) ** -p.exp for p in divisions}
    return _collected(expr.xreplace(factors), factors.values())


def _collected(expr, factors) -> sympy.Expr:
    """A sum with each of some factors taken out of the terms that have it."""
    terms = list(expr.args) if expr.is_Add else []
    for factor in factors:
        those = [t for t in terms if t.is_Mul and factor in t.args]
        if len(those) > 1:
            rest = sympy.Add(*(t.func(*(a for a in t.args if a != factor)) for t in those))
            terms = [*(t for t in terms if t not in those), factor * rest]
    return sympy.Add(*terms) if terms else expr


def _divides(power: sympy.Pow, template: Template) -> bool:
    f = power.base
    parameter = getattr(f, "is_DiscreteFunction", False) and f.function.dimensions == template.dimensions
    return parameter and power.exp.is_Integer and power.exp.is_negative


def _reciprocal(f, template: Template):
    one_over = template.parameter(RECIPROCAL + f.function.name.removeprefix(PREFIX))
    return _placed(one_over, f.indices)


def _placed(function, indices: tuple):
    """A function at some indices."""
    return function.subs({d: i for d, i in zip(function.dimensions, indices, strict=True) if i != d})


def two_levels(function) -> str:
    """Name of the symbol that stands for a field where it is advanced in place."""
    return f"{function.name.removeprefix(PREFIX)}_in_place"
