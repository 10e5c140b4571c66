"""Pieces of a time loop: each one a box of cells, and what is assigned in them.

A piece is made of assignments as they stand on the grid. Where its box lies, how wide the strips of a layer are, how far
halos reach and how many time levels fields have is left to whoever runs it: it is not in the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import devito
import sympy
from devito.symbolics import IntDiv

from seisops.engine.derive.reverse import Edge
from seisops.engine.derive.strips import CORE, MODEL, Strips
from seisops.engine.lower.assignment import RECIPROCAL, Assignment, two_levels
from seisops.engine.lower.form import Form, Index, Load, Node, Rule, Taps, Temporary, nodes
from seisops.engine.lower.text import Statement
from seisops.engine.symbols.template import PREFIX, Template
from seisops.engine.symbols.terms import leaves, time_offset

__all__ = ["Access", "Array", "End", "Maker", "Piece"]

ROW, TAP = "row", "tap"


@dataclass(frozen=True)
class End:
    """A cell along an axis of n cells: ``first``, or ``n + first``."""

    first: int
    high: bool = False

    def of(self, n: int) -> int:
        """Its number."""
        return self.first + n if self.high else self.first


#: Beyond the last cell on either side.
ANYWHERE = (-(2**31), 2**31)


@dataclass(frozen=True)
class Array:
    """What is bound to a pointer of a piece.

    Attributes
    ----------
    name : str
    origin : tuple of (int, End) or None
        For each axis of the array but that of time: on which axis of the grid, and the cell of its first element; None for
        axes that are not those of the grid.
    """

    name: str
    origin: tuple[tuple[int, End] | None, ...]


@dataclass(frozen=True)
class Access:
    """What a piece reads or writes in a cell.

    Attributes
    ----------
    name : str
    rule : Rule, optional
    written : bool
    reach : tuple of (int, int) or None
        First and last cell along each axis of the grid, from that of the box; None for cells that a table says.
    """

    name: str
    rule: Rule | None
    written: bool
    reach: tuple[tuple[int, int], ...] | None


@dataclass(frozen=True)
class Piece:
    """A box and what is assigned in it, one cell as the other.

    Attributes
    ----------
    axes : tuple of str
        Variables of the loops.
    box : tuple of (End, End)
        First cell, and that after the last, along each axis; empty for points.
    bound : tuple of str
        For points, what their numbers and those of their taps are called.
    every : int
        Steps from one time to the next at which this is done.
    statements : tuple of Statement
    arrays : mapping
        Arrays by the name in statements: what they are called and where they lie.
    """

    axes: tuple[str, ...]
    box: tuple[tuple[End, End], ...]
    statements: tuple[Statement, ...]
    arrays: Mapping[str, Array]
    bound: tuple[str, ...] = ()
    every: int = 1

    @cached_property
    def accesses(self) -> frozenset[Access]:
        """All that is read or written."""
        out = set()
        for s in self.statements:
            out.add(self._access(s.target, True))
            out.update(self._reads(s.value, {v: (0, 0) for v in self.axes}))
            for i in s.target.at:
                if i.table is not None:
                    out.add(self._access(i.table, False))
        return frozenset(out)

    def _reads(self, value: Node, around: Mapping[str, tuple[int, int]]) -> Iterator[Access]:
        for node in nodes(value):
            if isinstance(node, Load):
                yield self._access(node, False, around)
            elif isinstance(node, Temporary):
                moved = dict(around) | {v: (around[v][0] + k, around[v][1] + k) for v, k in node.at}
                yield from self._reads(node.of, moved)

    def _access(self, load: Load, written: bool, around: Mapping | None = None) -> Access:
        array = self.arrays[load.name]
        reach: list | None = [(0, 0)] * len(self.axes)
        for index in load.at:
            if index.table is not None or index.variable in (ROW, TAP):
                reach = None
                break
            if index.variable:
                low, high = (around or {}).get(index.variable, (0, 0))
                anywhere = index.sign < 0
                reach[self.axes.index(index.variable)] = (
                    ANYWHERE if anywhere else (low + index.shift, high + index.shift)
                )
            else:
                reach[-1] = ANYWHERE
        return Access(array.name, load.rule, written, None if reach is None else tuple(reach))

    @property
    def row(self) -> int:
        """Cells along the last axis where that is the same on all grids; else 0."""
        if self.bound or self.box[-1][0].high != self.box[-1][1].high:
            return 0
        first, end = self.box[-1]
        return end.first - first.first

    @property
    def points(self) -> tuple[str, ...]:
        """Its variables, if they number points and their taps; else nothing."""
        return self.axes if self.bound else ()

    @cached_property
    def loads(self) -> tuple[Load, ...]:
        """The arrays that it reads or writes, wherever it does."""
        found = (n for s in self.statements for e in (s.target, s.value) for n in nodes(e, inside=True))
        return tuple(dict.fromkeys(n for n in found if isinstance(n, Load)))

    @cached_property
    def costly(self) -> frozenset[Node]:
        """What is better computed once for all statements that need it."""
        return frozenset(
            n.of if isinstance(n, Temporary) else n
            for s in self.statements
            for n in nodes(s.value, inside=True)
            if isinstance(n, Taps | Temporary)
        )


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
        self.form = Form(template, self._load, self._reciprocal)
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
        return Piece(axes, box, (statement,), arrays, (), every)

    # -- where

    def _range(self, d, a: Assignment, target: Load) -> tuple[End, End]:
        if d is self.template.dimensions[-1] and target.at:
            index = target.at[-1]
            if index.sign < 0 or not index.variable:  # the image above a free surface
                return (End(1), End(1 + self.template.space_order)) if index.variable else (End(0), End(1))
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

    def _reciprocal(self, base):
        function = getattr(base, "function", None)
        if not getattr(base, "is_DiscreteFunction", False) or function.dimensions != self.template.dimensions:
            return None
        one_over = self.template.parameter(RECIPROCAL + function.name.removeprefix(PREFIX))
        return one_over.subs({d: i for d, i in zip(function.dimensions, base.indices, strict=True) if i != d})

    def _load(self, f) -> Load:
        function, rule = f.function, None
        name, places = function.name, list(zip(function.dimensions, f.indices, strict=True))
        first = function.dimensions[0] if function.dimensions else None
        if first is self.template.step:
            offset, levels = time_offset(f), function.time_order + 1
            if function in self.in_place:
                newest, oldest = self.in_place[function]
                name, levels = PREFIX + two_levels(function), levels - 1
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
