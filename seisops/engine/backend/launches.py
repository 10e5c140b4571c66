"""Which functions of pieces a graphics processor launches together, and which of its threads does what.

A launch is done before the next begins; within one, nobody waits for anybody. So what belongs together in a launch is what
is unrelated, and what meets in the same cells only, if one thread does all of it there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from math import prod

from seisops.engine.lower.cuda import Function
from seisops.engine.lower.nodes import Load, Statement
from seisops.engine.lower.piece import Array, End, Piece
from seisops.engine.lower.schedule import APART, FREE, SAME_CELL, relation

__all__ = ["Box", "Item", "Section", "arrangements", "common", "deferred", "related", "sections"]

#: First cell, and that after the last, along each axis.
Box = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Item:
    """A function of a piece; equal to itself alone.

    Attributes
    ----------
    piece : Piece
    stage : int
        Which of its functions, in their order.
    box : Box
        The cells that it computes, or the points and the parts of their taps.
    touches : Piece, optional
        What it is to other pieces; by default the whole piece.
    makes, needs : tuple
        What it makes that others of the same piece need, and what of that it needs.
    """

    piece: Piece
    stage: int
    box: Box
    touches: Piece | None = None
    makes: tuple[Hashable, ...] = ()
    needs: tuple[Hashable, ...] = ()

    @classmethod
    def of(cls, piece: Piece, stage: int, box: Box, function: Function) -> Item:
        """A function that is the last of a piece, or one that fills temporaries: it only reads what is not its own."""
        touches = None
        if function.around and function.makes:
            ends = [
                (End(first.first + low, first.high), End(end.first + high, end.high))
                for (first, end), (low, high) in zip(piece.box, function.around, strict=True)
            ]
            made = tuple(Statement(OWN, value, False) for value in function.makes)
            arrays = {**piece.arrays, OWN.name: Array(f"{OWN.name} {id(piece)}", ())}
            touches = replace(piece, box=tuple(ends), statements=made, arrays=arrays)
        return cls(piece, stage, box, touches, function.makes, function.needs)


@dataclass(frozen=True)
class Section:
    """Cells, and what a thread does in each of them, in order.

    Attributes
    ----------
    boxes : tuple of Box
        Which have no cell in common.
    items : tuple of Item
        Each has some of these cells.
    whole : bool
        Whether each has all of them.
    """

    boxes: tuple[Box, ...]
    items: tuple[Item, ...]
    whole: bool = True


#: What temporaries are, to others.
OWN = Load("own", None, ())

#: Items that meet in the same cells only, in their order.
Family = list[Item]


#: How two items are to each other, as :func:`related` finds it.
Related = Callable[[Item, Item], int]


def related(one: Item, other: Item, shape: Sequence[int]) -> int:
    """How two items are to each other on a grid of so many cells, as pieces are."""
    if one.piece is other.piece:
        return APART if _needs(one, other) else FREE
    return relation(one.touches or one.piece, other.touches or other.piece, shape)


def _needs(one: Item, other: Item) -> bool:
    """Whether one of two items of a piece makes what the other needs."""
    return bool(set(one.makes) & set(other.needs) or set(one.needs) & set(other.makes))


def arrangements(items: Sequence[Item], how: Related) -> list[list[list[Family]]]:
    """Items in as few launches as their order allows: each as early as may be, or as late; those with the fewest launches.

    What adds to an array in the same cells as what assigns it is done by the same thread where both come late.

    Parameters
    ----------
    items : sequence of Item
        In the order in which they take effect.
    how : callable
        ``how(one, other)`` is :func:`related` on the grid.
    """
    early = _early(items, how)
    late = [[family[::-1] for family in families] for families in reversed(_early(items[::-1], how))]
    fewest = min(len(early), len(late))
    return [one for one in (early, late) if len(one) == fewest]


def _early(items: Sequence[Item], how: Related) -> list[list[Family]]:
    """Each item in the first launch that it may be in, in this order of time or against it.

    One joins a launch if it is unrelated to what comes after that, and meets what is in it in the same cells only. What adds
    to the same may come before or after, but not at once.
    """
    out: list[list[Family]] = []
    for item in items:
        home, joined = len(out), []
        for n in reversed(range(len(out))):
            found = [(f, max(how(one, item) for one in f)) for f in out[n]]
            met = [(f, worst) for f, worst in found if worst != FREE]
            apart = any(worst > SAME_CELL or item.piece.bound or f[0].piece.bound for f, worst in met)
            if not apart:
                home, joined = n, [f for f, _ in met]
            if met and not (apart and all(_commute(one, item) for f, _ in met for one in f)):
                break  # it has to come after these
        if home == len(out):
            out.append([])
        others = [f for f in out[home] if not any(f is one for one in joined)]
        out[home] = [*others, [*(one for f in joined for one in f), item]]
    return out


def _commute(one: Item, other: Item) -> bool:
    """Whether all in which two items meet is what both add to."""
    if one.piece is other.piece:
        return not _needs(one, other)
    mine, others = (item.touches or item.piece for item in (one, other))
    return _shared(mine, others) <= mine.added & others.added


def _shared(one: Piece, other: Piece) -> set[str]:
    """Arrays that either of two pieces writes and the other reads or writes, wherever."""
    return set(one.written & other.touched.keys() | other.written & one.touched.keys())


def sections(family: Family) -> list[Section]:
    """The cells of a family: the most that have the same items, and the others, whose threads look which they have."""
    boxes = [item.box for item in family]
    core = _core(boxes)
    sides = [tuple(zip(*axis, strict=True)) for axis in zip(*boxes, strict=True)]
    around = tuple((min(firsts), max(ends)) for firsts, ends in sides)
    rest = tuple(box for box in _without(around, core) if any(common(box, one) for one in boxes))
    out = [Section((core,), tuple(item for item in family if common(item.box, core)))]
    if rest:
        some = tuple(item for item in family if any(common(item.box, box) for box in rest))
        out.append(Section(rest, some, whole=False))
    return out


def _core(boxes: Sequence[Box]) -> Box:
    """Cells in a box that are in all or none of each of several boxes: about the most that there are."""
    boxes = sorted(boxes, key=_cells, reverse=True)
    core = boxes[0]
    for box in boxes:
        if both := common(core, box):
            core = max([both, *_beside(core, box)], key=_cells)
    return core


def _beside(core: Box, box: Box) -> list[Box]:
    """What of a box lies on one side of another, for each side."""
    out = []
    for axis, ((first, end), (start, stop)) in enumerate(zip(core, box, strict=True)):
        for low, high in ((first, min(end, start)), (max(first, stop), end)):
            if low < high:
                out.append((*core[:axis], (low, high), *core[axis + 1 :]))
    return out


def _cells(box: Box) -> int:
    return prod(end - first for first, end in box)


def common(box: Box, other: Box) -> Box | None:
    """The cells that two boxes have in common, if there are any."""
    both = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(box, other, strict=True))
    return both if all(first < end for first, end in both) else None


def _without(box: Box, inner: Box) -> list[Box]:
    """The cells of a box around those of another within it, in boxes."""
    out, middle = [], list(box)
    for axis, ((first, end), (start, stop)) in enumerate(zip(box, inner, strict=True)):
        for low, high in ((first, start), (stop, end)):
            if low < high:
                out.append((*middle[:axis], (low, high), *box[axis + 1 :]))
        middle[axis] = (start, stop)
    return out


def deferred(pieces: Sequence[Piece], direction: int, count: Callable[[Sequence[Piece]], int]) -> tuple[Piece, ...]:
    """Pieces with those first that are better done with the step that follows their own.

    Such are those that read points: nothing else in a step needs what they find.

    Parameters
    ----------
    pieces : sequence of Piece
    direction : int
        1, or -1 backward in time.
    count : callable
        The number of launches that pieces in an order take.
    """
    order, least = tuple(pieces), count(pieces)
    for piece in reversed(pieces):
        now = [p for p in order if not p.behind]
        after = now[now.index(piece) + 1 :]
        if not piece.bound or any(_shared(piece, p) for p in after):
            continue
        late = replace(piece, behind=direction)
        # before those that are late already: they came after it
        trial = (late, *(p for p in order if p.behind), *(p for p in now if p is not piece))
        if (n := count(trial)) < least:
            order, least = trial, n
    return order
