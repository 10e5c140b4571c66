"""Pieces of a time loop: each one a box of cells, and what is assigned in them.

A piece is made of assignments as they stand on the grid. Where its box lies, how wide the strips of a layer are, how far
halos reach and how many time levels fields have is left to whoever runs it: it is not in the text. Who runs it needs to
know where it lies and what it touches, :class:`Placed`, and its :class:`Text`: plain data, kept from process to process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from seisops.engine.lower.nodes import Load, Node, Rule, Statement, Taps, Temporary, nodes

__all__ = ["ANYWHERE", "ROW", "TAP", "VECTOR", "Access", "Array", "End", "Piece", "Placed", "Text"]

#: Variables of the loops over points and their taps.
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
class Placed:
    """Where a piece lies, and what it touches.

    Attributes
    ----------
    axes : tuple of str
        Variables of the loops.
    box : tuple of (End, End)
        First cell, and that after the last, along each axis; empty for points.
    arrays : mapping
        Arrays by the name in statements: what they are called and where they lie.
    bound : tuple of str
        For points, what their numbers and those of their taps are called.
    every : int
        Steps from one time to the next at which this is done.
    behind : int
        See :class:`Piece`.
    accesses : frozenset of Access
        All that is read or written.
    loads : tuple of Load
        The arrays that it reads or writes, wherever it does.
    """

    axes: tuple[str, ...]
    box: tuple[tuple[End, End], ...]
    arrays: Mapping[str, Array]
    bound: tuple[str, ...]
    every: int
    behind: int
    accesses: frozenset[Access]
    loads: tuple[Load, ...]

    @property
    def rows(self) -> tuple:
        """What threads share out of it."""
        return self.axes, self.box[:1], self.bound

    @property
    def points(self) -> tuple[str, ...]:
        """Its variables, if they number points and their taps; else nothing."""
        return self.axes if self.bound else ()

    def cells(self, shape: Sequence[int]) -> int:
        """Cells of its box in a grid of this shape; 1 for points."""
        return prod(
            max(end.of(n) - first.of(n), 0) for (first, end), n in zip(self.box, shape[: len(self.box)], strict=True)
        )


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
    behind : int
        1, or -1 where time runs backward, for what follows from a step and is not needed by it: it may be done with the
        pieces of the next step, which find the same levels in the cache, instead of at the end of its own. Else 0.
    """

    axes: tuple[str, ...]
    box: tuple[tuple[End, End], ...]
    statements: tuple[Statement, ...]
    arrays: Mapping[str, Array]
    bound: tuple[str, ...] = ()
    every: int = 1
    behind: int = 0

    def extent(self, shape: Sequence[int], bounds: Mapping[str, int]) -> list[tuple[int, int]]:
        """First cell, and that after the last, along each axis, in a grid of so many cells; so for points and their taps."""
        if self.bound:
            return [(0, bounds[name]) for name in self.bound]
        return [(first.of(n), end.of(n)) for (first, end), n in zip(self.box, shape, strict=True)]

    @cached_property
    def accesses(self) -> frozenset[Access]:
        """All that is read or written."""
        out = set()
        for s in self.statements:
            out.add(self._access(s.target, True))
            out.update(self._reads(s.value))
            for i in s.target.at:
                if i.table is not None:
                    out.add(self._access(i.table, False))
        return frozenset(out)

    @cached_property
    def touched(self) -> Mapping[str, tuple[Access, ...]]:
        """What is read or written of each array."""
        out: dict[str, list[Access]] = {}
        for access in self.accesses:
            out.setdefault(access.name, []).append(access)
        return {name: tuple(several) for name, several in out.items()}

    @cached_property
    def written(self) -> frozenset[str]:
        """Arrays that are written."""
        return frozenset(a.name for a in self.accesses if a.written)

    @cached_property
    def added(self) -> frozenset[str]:
        """Arrays of which it knows nothing but what it adds to them."""
        read = {a.name for a in self.accesses if not a.written}
        adds: dict[str, bool] = {}
        for s in self.statements:
            name = self.arrays[s.target.name].name
            adds[name] = adds.get(name, True) and s.add
        return frozenset(name for name, only in adds.items() if only and name not in read)

    def _reads(self, value: Node) -> Iterator[Access]:
        left, seen = [(value, {v: 0 for v in self.axes})], set()
        while left:  # temporaries are looked at in few cells, though on many ways
            whole, around = left.pop()
            for node in nodes(whole):
                if isinstance(node, Load):
                    yield self._access(node, False, around)
                elif isinstance(node, Temporary):
                    moved = around | {v: around[v] + k for v, k in node.at}
                    if (place := (id(node.of), *moved.values())) not in seen:
                        seen.add(place)
                        left.append((node.of, moved))

    def _access(self, load: Load, written: bool, around: Mapping | None = None) -> Access:
        array = self.arrays[load.name]
        reach: list | None = [(0, 0)] * len(self.axes)
        for index in load.at:
            if index.table is not None or index.variable in (ROW, TAP):
                reach = None
                break
            if index.variable:
                at = (around or {}).get(index.variable, 0) + index.shift
                reach[self.axes.index(index.variable)] = ANYWHERE if index.sign < 0 else (at, at)
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

    @cached_property
    def placed(self) -> Placed:
        """What there is to know to run its text."""
        return Placed(self.axes, self.box, self.arrays, self.bound, self.every, self.behind, self.accesses, self.loads)

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


#: Elements to a multiple of which the rows of temporaries are rounded up.
VECTOR = 16


@dataclass
class Text:
    """A piece as text, with what its arguments are.

    Attributes
    ----------
    source : str
    loads : list of Load
        One for each pointer: the array and its level; where it was found does not matter.
    strides : list of (int, int)
        Of which pointer, along which of its axes.
    scalars : list of str
        Coefficients, as Python would compute them from the time step ``dt`` and the cell sizes ``h_x``, ...
    temporaries : list of tuple
        How far beyond the box each is computed, ``((low, high), ...)`` along each axis; along those before the last None
        where it holds one row at a time.
    planes : list of int
        How many cells along the first axis each holds at a time, where it holds more than a row.
    """

    source: str = ""
    loads: list[Load] = field(default_factory=list)
    strides: list[tuple[int, int]] = field(default_factory=list)
    scalars: list[str] = field(default_factory=list)
    temporaries: list[tuple] = field(default_factory=list)
    planes: list[int] = field(default_factory=list)

    def beyond(self, axis: int) -> int:
        """Cells along an axis but the last that temporaries are computed beyond a tile."""
        return max((e[axis][1] - e[axis][0] for e in self.temporaries if e[axis] is not None), default=0)

    def scratch(self, cells: Sequence[int]) -> int:
        """Elements that temporaries take on a tile of so many cells."""
        return sum(
            _row(cells[-1] + extent[-1][1] - extent[-1][0])
            * (planes if extent[0] else 1)
            * prod(n + e[1] - e[0] for n, e in zip(cells[1:-1], extent[1:-1], strict=True) if e is not None)
            for extent, planes in zip(self.temporaries, self.planes, strict=True)
        )


def _row(n: int) -> int:
    return -(-n // VECTOR) * VECTOR
