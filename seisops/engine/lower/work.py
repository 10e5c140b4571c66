"""What pieces move and compute in a step, counted before anything runs.

Each entry of an array counts once where it is read, and once where it is written, as far as pieces go through the grid
together: what a neighbour has read is in a cache, and what is not written again need not leave one. How often that holds
is a matter of the device; the count is the least that it can do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import DTypeLike

from seisops.engine.lower.nodes import Call, Load, Node, Statement, Sum, Taps, Temporary, nodes
from seisops.engine.lower.piece import Piece
from seisops.engine.lower.text import Writer, factored

__all__ = ["FUNCTION", "Part", "Stage", "Work", "flops", "stages", "together"]

#: Operations that a division, a root or another function counts as: about what processors take for one.
FUNCTION = 8

#: From the first to the last, that not included, along each axis.
Box = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Work:
    """What is moved and computed.

    Attributes
    ----------
    read, written : float
        Bytes.
    flops : float
        Additions and multiplications, one each; see `FUNCTION`.
    """

    read: float = 0
    written: float = 0
    flops: float = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.read + other.read, self.written + other.written, self.flops + other.flops)

    @property
    def moved(self) -> float:
        """Bytes read and written."""
        return self.read + self.written

    def seconds(self, bandwidth: float, peak: float) -> float:
        """What it takes a device of so many bytes and so many operations a second, whichever is longer."""
        return max(self.moved / bandwidth, self.flops / peak)


@dataclass(frozen=True)
class Stage:
    """What is done in one cell without looking at what others do meanwhile.

    Attributes
    ----------
    reads : tuple of Load or Temporary
        Each once.
    writes : tuple of Load or Sum
        Arrays; temporaries.
    flops : int
    around : tuple of (int, int)
        Cells beyond the box in which it is done, along each axis; empty for points.
    """

    reads: tuple[Load | Temporary, ...]
    writes: tuple[Load | Sum, ...]
    flops: int
    around: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Part:
    """A stage of a piece, and where it is done."""

    piece: Piece
    stage: Stage
    box: Box


def stages(piece: Piece, dtype: DTypeLike) -> list[Stage]:
    """Families of temporaries, each as far as it is looked at, then what is wanted.

    Sums over the taps of points are one stage.
    """
    writer = Writer(piece.axes, np.dtype(dtype), frozenset(), 0)
    families = [] if piece.bound else writer.temporaries([s.value for s in piece.statements])
    out = [
        Stage(
            _reads(family), tuple(family), flops(family), tuple(tuple(writer.extents[family[0]][v]) for v in piece.axes)
        )
        for family in families
    ]
    targets = [s.target for s in piece.statements]
    tables = [i.table for t in targets for i in t.at if i.table is not None]
    added = [s.target for s in piece.statements if s.add]
    reads = dict.fromkeys([*_reads([s.value for s in piece.statements]), *tables, *added])
    around = () if piece.bound else ((0, 0),) * len(piece.axes)
    return [*out, Stage(tuple(reads), tuple(targets), flops(piece.statements), around)]


def _reads(values: Iterable[Node]) -> tuple[Load | Temporary, ...]:
    found = dict.fromkeys(n for value in values for n in nodes(value) if isinstance(n, Load | Temporary))
    return tuple(found)


def flops(wanted: Iterable[Sum | Statement]) -> int:
    """Operations of some sums in a cell, as they are written: equal differences once, common factors taken out."""
    known: set[Taps] = set()

    def of(node: Node) -> int:
        match node:
            case Taps():
                if node in known:
                    return 0
                known.add(node)
                return difference(node)
            case Sum():
                return total(node.terms)
            case Call():
                return FUNCTION + sum(total(a.terms) for a in node.arguments)
        return 0

    def product(factors: Sequence[Node]) -> int:
        return sum(map(of, factors)) + max(len(factors) - 1, 0)

    def difference(taps: Taps) -> int:
        """Terms whose weights have one magnitude share a multiplication."""
        magnitudes = {abs(float(w)) for w, _ in taps.terms}
        additions = len(taps.terms) - 1
        return sum(product(f) for _, f in taps.terms) + additions + len(magnitudes - {1.0})

    def total(terms: Sequence[tuple]) -> int:
        if not terms:
            return 0
        if (found := factored(terms)) is None:
            return sum(product(f) + (1 if abs(c) != 1 and f else 0) for c, f in terms) + len(terms) - 1
        most, those, others = found
        return of(most) + 1 + total(those) + (total(others) + 1 if others else 0)

    out = 0
    for each in wanted:
        value = each.value if isinstance(each, Statement) else each
        out += total(value.terms) + (isinstance(each, Statement) and each.add)
    return out


@dataclass
class _Entries:
    """Which entries of an array are read and written, in this order."""

    boxes: list[tuple[Box, bool]] = field(default_factory=list)

    def count(self) -> tuple[int, int]:
        """Those read before they are written, and those written."""
        axes = len(self.boxes[0][0])
        marks = [sorted({end for box, _ in self.boxes for end in box[axis]}) for axis in range(axes)]
        sizes = np.ones((1,) * axes, np.int64)
        for axis, ends in enumerate(marks):
            sizes = sizes * np.diff(ends).reshape([-1 if a == axis else 1 for a in range(axes)])
        read, written = np.zeros(sizes.shape, bool), np.zeros(sizes.shape, bool)
        for box, writes in self.boxes:
            at = tuple(slice(m.index(a), m.index(b)) for m, (a, b) in zip(marks, box, strict=True))
            if writes:
                written[at] = True
            else:
                read[at] |= ~written[at]
        return int(sizes[read].sum()), int(sizes[written].sum())


def together(parts: Iterable[Part], dtype: DTypeLike, integers: Iterable[str] = (), temporaries: bool = True) -> Work:
    """The work of parts that go through the grid together, one after the other in each cell.

    Parameters
    ----------
    parts : iterable of Part
    dtype : dtype
    integers : iterable of str
        Arrays of 32-bit integers.
    temporaries : bool, optional
        Whether temporaries are arrays like others; else they take nothing.
    """
    whole, integers, real = Work(), frozenset(integers), np.dtype(dtype).itemsize
    entries: dict[tuple, _Entries] = {}
    for part in parts:
        often = 1 / part.piece.every
        box = _grown(part)
        cells = prod(max(end - first, 0) for first, end in box)
        if not cells:
            continue
        whole += Work(flops=part.stage.flops * cells * often)
        for key, where, size, writes in _touched(part, box, integers, real):
            if isinstance(where, int):
                whole += Work(0, where * size * often) if writes else Work(where * size * often)
            elif temporaries or key[0] != "temporary":
                entries.setdefault((key, size, often), _Entries()).boxes += [(w, writes) for w in where]
    for (_, size, often), found in entries.items():
        read, written = found.count()
        whole += Work(read * size * often, written * size * often)
    return whole


def _grown(part: Part) -> Box:
    around = part.stage.around or ((0, 0),) * len(part.box)
    return tuple((first + low, end + high) for (first, end), (low, high) in zip(part.box, around, strict=True))


def _touched(part: Part, box: Box, integers: frozenset[str], real: int) -> Iterator[tuple]:
    """``key, boxes or number of entries, bytes of an entry, whether they are written``, what is read first."""
    axes = part.piece.axes
    found: dict[tuple, tuple[int, list]] = {}
    for writes, touched in ((False, part.stage.reads), (True, part.stage.writes)):
        for n in touched:
            if isinstance(n, Load):
                name = part.piece.arrays[n.name].name
                key, size = ("array", name, n.rule, writes), 4 if n.name in integers else real
                if part.piece.bound:
                    where = _of_points(n, axes, box)
                else:
                    where = tuple(_along(index, axes, box) for index in n.at)
            else:
                of, at = (n.of, dict(n.at)) if isinstance(n, Temporary) else (n, {})
                key, size = ("temporary", id(part.piece), of, writes), real
                where = tuple((a + at.get(v, 0), b + at.get(v, 0)) for v, (a, b) in zip(axes, box, strict=True))
            found.setdefault(key, (size, []))[1].append(where)
    for (*key, writes), (size, where) in found.items():
        if isinstance(where[0], int):
            yield tuple(key), sum(where), size, writes
        else:
            yield tuple(key), _merged(where), size, writes


def _of_points(load: Load, axes: Sequence[str], box: Box) -> int:
    """Entries that points read or write: those of a table, or what it says, for each tap; else one for each point."""
    rows, taps = (end - first for first, end in box)
    tap = any(i.table is not None or i.variable == axes[1] for i in load.at)
    return rows * (taps if tap else 1)


def _along(index, axes: Sequence[str], box: Box) -> tuple[int, int]:
    if not index.variable:
        return index.shift, index.shift + 1
    first, end = box[axes.index(index.variable)]
    if index.sign < 0:
        first, end = 1 - end, 1 - first
    return first + index.shift, end + index.shift


def _merged(boxes: Sequence[Box]) -> list[Box]:
    """The same cells in few boxes: those that meet along one axis and are alike along the others are one."""
    left = list(dict.fromkeys(boxes))
    for axis in range(len(left[0]) if left else 0):
        rows: dict[Box, list] = {}
        for box in left:
            rows.setdefault((*box[:axis], *box[axis + 1 :]), []).append(box[axis])
        left = []
        for others, spans in rows.items():
            joined: list[tuple[int, int]] = []
            for first, end in sorted(spans):
                if joined and first <= joined[-1][1]:
                    joined[-1] = joined[-1][0], max(joined[-1][1], end)
                else:
                    joined.append((first, end))
            left += [(*others[:axis], span, *others[axis:]) for span in joined]
    return left
