"""Makes pieces of the assignments of a time loop: where their boxes lie, and what arrays they touch."""

from __future__ import annotations

from collections.abc import Mapping

import devito
import sympy
from devito.symbolics import IntDiv

from seisops.engine.derive.reverse import Edge
from seisops.engine.derive.strips import CORE, MODEL, Strips
from seisops.engine.lower.assignment import Assignment
from seisops.engine.lower.constancy import Constancy
from seisops.engine.lower.form import Form
from seisops.engine.lower.nodes import Index, Load, Rule, Statement, nodes
from seisops.engine.lower.piece import ROW, TAP, Array, End, Piece
from seisops.engine.symbols.names import PREFIX, two_levels
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import leaves, time_offset

__all__ = ["Maker"]


class Maker:
    """Makes pieces of assignments.

    Parameters
    ----------
    template : Template
    strips : Strips
    edges : mapping
        Where arrays that are kept along edges lie, by name.
    in_place : mapping
        Fields whose newest level takes the place of their oldest, with the offsets of both.
    """

    def __init__(self, template: Template, strips: Strips, edges: Mapping[str, Edge], in_place: Mapping):
        self.template, self.strips, self.edges, self.in_place = template, strips, edges, in_place
        self.constancy = Constancy(template)
        self.form = Form(template, self._load, self.constancy)
        self.functions: dict[str, object] = {}
        self._loops: dict[str, str] = {}  # over points and their taps

    def piece(self, a: Assignment) -> Piece:
        """The piece of one assignment."""
        loops = [d for d in a.when if d is not self.template.time and not getattr(d, "is_Conditional", False)]
        self._loops = dict(zip((d.name for d in loops), (ROW, TAP), strict=False))
        target, value = self._load(a.lhs), self.form.sum(a.rhs)
        statement = Statement(target, value, a.kind is devito.Inc)
        every = next((int(d.factor_data) for d in a.when if getattr(d, "is_Conditional", False)), 1)
        loads = {n.name for s in (target, value) for n in nodes(s, inside=True) if isinstance(n, Load)}
        arrays = {name: self._array(name, a.box) for name in loads}
        if loops:
            return Piece((ROW, TAP), (), (statement,), arrays, tuple(d.name for d in loops), every)
        axes = tuple(d.name for d in self.template.dimensions)
        box = tuple(self._range(d, a, target) for d in self.template.dimensions)
        return Piece(axes, box, (statement,), arrays, (), every, a.behind)

    # -- where

    def _range(self, d, a: Assignment, target: Load) -> tuple[End, End]:
        if d is self.template.dimensions[-1] and target.at:
            index = target.at[-1]
            if index.sign < 0 or not index.variable:  # the image above a free surface
                return (End(1), End(1 + self.template.halo)) if index.variable else (End(0), End(1))
        side, (before, after) = a.box.get(d), a.beyond.get(d, (0, 0))
        if side is None:
            return End(-before), End(after, True)
        width = self.strips.widths[d]
        if side in (CORE, MODEL):
            cells = width if side == CORE else min(self.strips.layer, width)
            low, high = (cells if end in self.strips.sides[d] else 0 for end in ("low", "high"))
            return End(low), End(-high, True)
        first, cells = a.part[1:] if a.part is not None and a.part[0] is d else (0, width)
        before, after = (before, 0) if side == "low" else (0, after)
        return self._strip(side, width, first - before), self._strip(side, width, first + cells + after)

    @staticmethod
    def _strip(side: str, width: int, cell: int) -> End:
        return End(cell) if side == "low" else End(cell - width, True)

    def _array(self, name: str, box: Mapping) -> Array:
        function = self.functions[name]
        home, spatial = self.strips.compact.get(name), [d for d in function.dimensions if d in self.template.dimensions]
        called, edge = name, self.edges.get(name)
        if home is not None:
            called = self.strips.part(function, box[home]).name
        origin: list = []
        for d in _without_time(function, self.template):
            if d not in spatial:
                origin.append(None)
                continue
            axis = self.template.dimensions.index(d)
            if d is home:
                origin.append((axis, self._strip(box[d], self.strips.widths[d], -self.strips.halo)))
            elif edge is not None:
                on = edge.axis is d
                origin.append((axis, self._strip(edge.side, self.strips.widths[d], edge.first) if on else End(0)))
            else:
                halo = dict(zip(function.dimensions, function.halo, strict=True))[d]
                origin.append((axis, End(-int(halo[0]))))
        return Array(called, tuple(origin))

    # -- what

    def _load(self, f) -> Load:
        function, rule = f.function, None
        name, places = function.name, list(zip(function.dimensions, f.indices, strict=True))
        first = function.dimensions[0] if function.dimensions else None
        if first is self.template.step:
            offset, levels = time_offset(f), function.time_order + 1
            if function in self.in_place:
                newest, oldest = self.in_place[function]
                name, levels = PREFIX + two_levels(function.name), levels - 1
                offset = newest if offset == oldest else offset
            rule = None if name in self.strips.compact else Rule("modulo", offset % levels, levels)
            places = places[1:]
        elif first is not None and first is self.template.time:
            rule = Rule("row", int(places[0][1] - first))
            places = places[1:]
        elif first is not None and isinstance(places[0][1], IntDiv):
            rule = Rule("every", 0, int(places[0][1].args[1]))
            places = places[1:]
        self.functions[name] = function
        return Load(name, rule, tuple(self._index(d, i) for d, i in places))

    def _index(self, d, index) -> Index:
        index = sympy.sympify(index)
        if index == d:
            return Index(self._variable(d))
        unit = d.spacing if d in self.template.dimensions else sympy.S.One
        for f in leaves(index):
            return Index("", int((index - f) / unit), 1, self._load(f))
        if d in index.free_symbols:
            return Index(self._variable(d), int((index - d) / unit))
        loop = next((s for s in index.free_symbols if getattr(s, "is_Dimension", False)), None)
        if loop is None:
            return Index("", int(index))
        sign = int(index.coeff(loop))
        return Index(self._variable(d), int(index - sign * loop), sign)

    def _variable(self, d) -> str:
        return d.name if d in self.template.dimensions else self._loops[d.name]


def _without_time(function, template: Template) -> list:
    dimensions = list(function.dimensions)
    if dimensions and (
        dimensions[0] in (template.step, template.time) or dimensions[0].name.startswith(f"{PREFIX}level")
    ):
        return dimensions[1:]
    return dimensions
