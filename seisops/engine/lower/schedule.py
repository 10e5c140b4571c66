"""The order of pieces in a time step: which go through the same rows together, and which wait for others.

A piece depends on an earlier one if either writes what the other reads or writes. Where they meet in the same cell of the
axes that are shared out, they may go through the same tile one after the other; where one looks further along the second
of three axes only, through the same slab of rows; where one looks at other rows, the whole of the first has to be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from seisops.engine.lower.nodes import Rule
from seisops.engine.lower.piece import ANYWHERE, Access, Piece

__all__ = ["Group", "schedule"]

#: How two pieces are related: not at all, in the same cell only, in the same row of cells along the last axis, in the same
#: cells of the first axis, otherwise.
FREE, SAME_CELL, SAME_ROWS, SAME_SLAB, APART = range(5)


@dataclass
class Group:
    """Pieces that go through the same rows together.

    Attributes
    ----------
    pieces : list of Piece
    waits : bool
        Whether all that comes before has to be done first.
    """

    pieces: list[Piece]
    waits: bool = False

    @property
    def rows(self) -> tuple:
        """What is shared out."""
        return self.pieces[0].placed.rows


def schedule(pieces: Sequence[Piece], shape: Sequence[int]) -> list[Group]:
    """Arrange pieces that are to be carried out in this order, on a grid of so many cells.

    Those that may be a step behind come first: what is done of a step then belongs to the one before.
    """
    groups: list[Group] = []
    for piece in sorted(pieces, key=lambda p: not p.behind):
        _place(piece, groups, shape)
    since: list[Group] = []
    for group in groups:
        group.waits = any(_waits(before, group, shape) for before in since)
        since = [group] if group.waits else [*since, group]
    return groups


def _place(piece: Piece, groups: list[Group], shape: Sequence[int]) -> None:
    """Put a piece into the first group that it may be in."""
    rows, first, last = Group([piece]).rows, 0, len(groups)
    for n in reversed(range(len(groups))):
        related = max(relation(other, piece, shape) for other in groups[n].pieces)
        if related == FREE:
            continue
        together = related < SAME_SLAB and groups[n].rows == rows and not piece.bound
        first = n if together else n + 1
        if related == SAME_SLAB and groups[n].rows == rows:
            last = first  # next to the one whose slabs it goes through
        break
    for group in groups[first:]:
        if group.rows == rows:
            _join(piece, group, shape)
            return
    groups.insert(last, Group([piece]))


def _join(piece: Piece, group: Group, shape: Sequence[int]) -> None:
    """Add a piece to a group, in one loop with another that computes some of the same."""
    for n in reversed(range(len(group.pieces))):
        other = group.pieces[n]
        same = (other.box, other.every, other.behind) == (piece.box, piece.every, piece.behind)
        alike = same and not piece.bound
        if alike and other.costly & piece.costly and relation(other, piece, shape) < SAME_ROWS:
            arrays = {**other.arrays, **piece.arrays}
            group.pieces[n] = replace(other, statements=(*other.statements, *piece.statements), arrays=arrays)
            return
        if relation(other, piece, shape) != FREE:
            break
    group.pieces.append(piece)


def _waits(before: Group, group: Group, shape: Sequence[int]) -> bool:
    """Whether a group needs what another thread does in one before."""
    related = max(relation(a, b, shape) for a in before.pieces for b in group.pieces)
    # the same rows are the same thread's
    return related == APART or related != FREE and before.rows != group.rows


def relation(a: Piece, b: Piece, shape: Sequence[int]) -> int:
    """How two pieces are related, on a grid of so many cells."""
    worst = FREE
    for name in (a.written & b.touched.keys()) | (b.written & a.touched.keys()):
        for one in a.touched[name]:
            for other in b.touched[name]:
                if one.written or other.written:
                    worst = max(worst, _meeting((a, one), (b, other), shape))
                    if worst == APART:
                        return APART
    return worst


def _meeting(one: tuple[Piece, Access], other: tuple[Piece, Access], shape: Sequence[int]) -> int:
    (piece, a), (following, b) = one, other
    if _entry(*one) != _entry(*other):
        return FREE  # another entry of the array
    if a.reach is None or b.reach is None:
        return APART
    axes = list(zip(piece.box, a.reach, following.box, b.reach, shape, strict=True))
    if any(_disjoint(*axis) for axis in axes):
        return FREE
    moved = [(low, high) != (0, 0) or (lo, hi) != (0, 0) for _, (low, high), _, (lo, hi), _ in axes]
    if any(moved[:-1]):
        return APART if moved[0] else SAME_SLAB
    return SAME_ROWS if moved[-1] else SAME_CELL


def _entry(piece: Piece, access: Access) -> Rule | None:
    """Which entry of an array is looked at, counted from the step that the others make."""
    return access.rule and access.rule.before(piece.behind)


def _disjoint(box, reach: tuple[int, int], other, other_reach: tuple[int, int], n: int) -> bool:
    """Whether what two pieces touch along an axis of n cells has no cell in common."""
    (first, end), (start, stop) = (
        (b[0].of(n) + r[0], b[1].of(n) + r[1]) for b, r in ((box, reach), (other, other_reach))
    )
    return end <= start or stop <= first


def least(pieces: Sequence[Piece]) -> int:
    """Cells along an axis from which on their number does not matter to the order of pieces."""
    ends = [abs(end.first) for piece in pieces for ends in piece.box for end in ends]
    reaches = [
        abs(r)
        for piece in pieces
        for a in piece.accesses
        for axis in a.reach or ()
        for r in axis
        if abs(r) < ANYWHERE[1]
    ]
    return 2 * (max(ends, default=0) + max(reaches, default=0)) + 1
