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

__all__ = ["GRID", "Assignment", "two_levels"]

#: No strip: the whole grid.
GRID: Mapping = MappingProxyType({})


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
        sides = (self._levelled(e, template) for e in (self.lhs, evaluate(self.rhs, template)))
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
        places = dict(zip(two.dimensions, (time, *f.indices[1:]), strict=True))
        return two.subs({d: i for d, i in places.items() if i != d})


def two_levels(function) -> str:
    """Name of the symbol that stands for a field where it is advanced in place."""
    return f"{function.name.removeprefix(PREFIX)}_in_place"
