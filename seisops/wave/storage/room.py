"""What there is memory for: which backgrounds are held, and how many shots go at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext

from seisops.wave.storage.background import Background
from seisops.wave.storage.layout import Layout
from seisops.wave.storage.policies import Auto, Policy
from seisops.wave.storage.pool import Pool

__all__ = ["at_once", "foreseen"]


def foreseen(chosen: Policy, layout: Layout, pool: Pool, left: int, shots: int) -> Iterator[tuple[Background, bool]]:
    """What becomes of the backgrounds of some shots, as imaging conditions decide it one by one.

    Parameters
    ----------
    chosen : Policy
    layout : Layout
    pool : Pool
    left : int
        Bytes that may be held.
    shots : int

    Yields
    ------
    Background
        Which nobody will follow.
    bool
        Whether it is held.
    """
    background = None
    for n in range(shots):
        if background is None or isinstance(chosen, Auto):
            background = chosen.background(layout, nullcontext, pool, left, shots - n)
        held = background.held_bytes <= left
        left -= background.held_bytes if held else 0
        yield background, held


def at_once(
    pool: Pool,
    beside: int,
    kept: Collection[Background] = (),
    promised: Collection[Background] = (),
    passing: Collection[Background] = (),
) -> int:
    """Shots that can be worked off at the same time, at least one.

    Parameters
    ----------
    pool : Pool
        Whose memory it is.
    beside : int
        Bytes that each shot takes besides its background.
    kept, promised, passing : collection of Background
        Backgrounds that have their memory; that are going to take it, and to stay; that go with the shot.
    """

    def fits(where: Pool, own: Callable[[Background], int], more: int) -> int | None:
        each = more + max(map(own, passing), default=0)
        return (where.room_bytes - sum(map(own, promised))) // each if each else None

    working = max((b.working_bytes for b in (*kept, *promised, *passing)), default=0)
    found = [fits(pool, lambda b: b.nbytes - b.host_bytes, beside + working)]
    if pool.host is not pool:
        found.append(fits(pool.host, lambda b: b.host_bytes, 0))
    return max(1, min((n for n in found if n is not None), default=1))
