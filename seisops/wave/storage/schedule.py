"""Which states of a forward march are kept, so that it can be followed backward with little memory.

A march of K segments is followed backward one segment at a time. Segments of which the history is not there are computed
again from a copy of the state at their start, or at the start of an earlier one. With a copy at the start of each, every
segment is marched once more: with copies of S bytes, histories of H bytes a step and segments of L of N steps that takes
``(N / L - 1) S + L H`` bytes, at least about ``2 sqrt(N S H)``. With fewer copies they are placed, and used again, as by
Griewank, A., Walther, A. (2000), Algorithm 799: revolve, ACM Transactions on Mathematical Software 26(1), 19-45,
doi:10.1145/347837.347846; for reverse-time migration see Symes, W. W. (2007), Geophysics 72(5), SM213-SM221,
doi:10.1190/1.2742686. Here the unit is a segment, not a step, and some of the copies stay, since a march is followed
backward many times.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, comb

from seisops.errors import UnfusedError
from seisops.wave.storage.layout import Layout

__all__ = ["Schedule", "leanest", "marches", "split", "with_copies", "within"]

# lengths of segments that are tried when there is memory for a few copies of the state only
LENGTHS = 48


@dataclass(frozen=True)
class Schedule:
    """What is kept of a march.

    Attributes
    ----------
    length : int
        Rows of a segment.
    count : int
        Number of segments.
    kept : int
        How many of the last segments' histories stay.
    bases : tuple of int
        Segments at whose start a copy of the state stays; at the start of the first it is zero.
    copies : int
        Further copies of the state, made and dropped on the way back.
    """

    length: int
    count: int
    kept: int
    bases: tuple[int, ...]
    copies: int = 0

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """Segments between copies that stay: (first, one past the last)."""
        cuts = [0, *self.bases, self.count - self.kept]
        return [(a, b) for a, b in zip(cuts, cuts[1:], strict=False) if b > a]

    def held_bytes(self, layout: Layout) -> int:
        """Memory of what stays from one product to the next."""
        kept = sum(layout.nbytes(b - a + 1) for a, b in layout.segments(self.length)[self.count - self.kept :])
        return len(self.bases) * layout.state_bytes + kept

    def working_bytes(self, layout: Layout) -> int:
        """Memory that is needed besides, while a march is followed."""
        return layout.buffer_bytes(self.length) * (self.kept < self.count) + self.copies * layout.state_bytes

    def again_forward(self, layout: Layout) -> float:
        """Share of a solve that is computed again on the way forward."""
        return min((self.count - self.kept) * self.length, layout.steps) / layout.steps

    def again_backward(self, layout: Layout) -> float:
        """Solves that are computed again on the way back, followed segment by segment."""
        sizes = [min(b, layout.steps - 1) - a + 1 for a, b in layout.segments(self.length)]
        return sum(_steps(sizes, a, b, self.copies) for a, b in self.blocks) / layout.steps


def _steps(sizes: list[int], first: int, end: int, copies: int) -> int:
    """Steps marched to follow segments `first` .. `end` - 1 backward from the state at the start of the first."""
    if end - first == 1:
        return sizes[first]
    m = split(end - first, copies)
    if not m:
        return sum(sum(sizes[first : k + 1]) for k in range(first, end))
    middle = first + m
    return sum(sizes[first:middle]) + _steps(sizes, middle, end, copies - 1) + _steps(sizes, first, middle, copies)


@lru_cache(maxsize=2**16)
def marches(segments: int, copies: int) -> int:
    """Fewest segments to march to follow so many backward from the state at their start, with room for copies."""
    if segments == 1:
        return 1
    # Griewank & Walther count the state at the start as a checkpoint, and not the last march over each segment
    s, r = copies + 1, 0
    while comb(s + r, s) < segments:
        r += 1
    return r * segments - comb(s + r, r - 1) + segments


@lru_cache(maxsize=2**14)
def split(segments: int, copies: int) -> int:
    """The segment at whose start a copy serves best; 0 without room for one."""
    if not copies:
        return 0
    return min(range(1, segments), key=lambda m: m + marches(segments - m, copies - 1) + marches(m, copies))


def with_copies(layout: Layout, n: int) -> Schedule:
    """At most `n` copies of the state, each segment marched once more."""
    length = layout.length(ceil(layout.steps / (n + 1)))
    count = ceil(layout.steps / length)
    return Schedule(length, count, 0, tuple(range(1, count)))


def leanest(layout: Layout) -> Schedule:
    """The least memory with each segment marched once more."""
    return _leanest(layout.plain)


@lru_cache(maxsize=64)
def _leanest(layout: Layout) -> Schedule:
    candidates = (with_copies(layout, ceil(layout.steps / length) - 1) for length in _lengths(layout))
    return min(candidates, key=lambda s: s.held_bytes(layout) + s.working_bytes(layout))


def within(layout: Layout, nbytes: int) -> Schedule:
    """The fewest steps marched again within so much memory in all, what is needed on the way included.

    Raises
    ------
    UnfusedError
        If that is less than the history of the shortest segment needs.
    """
    return _within(layout.plain, nbytes)


@lru_cache(maxsize=256)
def _within(layout: Layout, nbytes: int) -> Schedule:
    least = _leanest(layout)
    enough = least.held_bytes(layout) + least.working_bytes(layout)
    if enough <= nbytes:
        found = [s for length in _lengths(layout) if (s := _keeping(layout, length, nbytes))]
        return min(found, key=lambda s: (s.again_backward(layout), s.held_bytes(layout)))
    tries = _lengths(layout)
    tries = tries[:: max(1, len(tries) // LENGTHS)]
    found = [s for length in tries for s in _few(layout, length, nbytes)]
    if not found:
        raise UnfusedError(
            f"cannot follow a background in {nbytes / 2**20:.4g} MiB: the history of its shortest segment alone takes "
            f"{layout.buffer_bytes(layout.unit) / 2**20:.4g} MiB; with {enough / 2**20:.4g} MiB each product costs one "
            "more solve, with something in between several"
        )
    # a copy of the state, or putting one back, is worth about a step
    return min(found, key=lambda s: ((1 + 1 / s.length) * s.again_backward(layout), s.held_bytes(layout)))


def _lengths(layout: Layout) -> range:
    return range(layout.unit, layout.length(layout.steps) + 1, layout.unit)


def _keeping(layout: Layout, length: int, nbytes: int) -> Schedule | None:
    """A copy at the start of each segment, or its history, as far as the memory goes."""
    count = ceil(layout.steps / length)
    state, history = layout.state_bytes, layout.buffer_bytes(length)
    left = nbytes - history - (count - 1) * state
    if left < 0:
        return None
    kept = min(count, left // (history - state)) if history > state else 0
    return Schedule(length, count, kept, tuple(range(1, count - kept)))


def _few(layout: Layout, length: int, nbytes: int) -> list[Schedule]:
    """Fewer copies than segments: those that stay evenly placed, the others as they serve best."""
    count = ceil(layout.steps / length)
    room = (nbytes - layout.buffer_bytes(length)) // layout.state_bytes
    if room < 0:
        return []
    room = min(room, count - 1)
    best = min(range(room + 1), key=lambda n: sum(marches(b, room - n) for b in _sizes(count, n + 1)))
    bases = tuple(round(count * k / (best + 1)) for k in range(1, best + 1))
    return [Schedule(length, count, 0, bases, room - best)]


def _sizes(count: int, blocks: int) -> list[int]:
    return [round(count * (k + 1) / blocks) - round(count * k / blocks) for k in range(blocks)]
