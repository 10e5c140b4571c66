"""The memory of backgrounds: what a map or a Jacobian may hold of them, does hold, and has spare for the next ones."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Protocol
from weakref import WeakSet

import numpy as np
import psutil
from numpy.typing import DTypeLike

from seisops.engine import backend
from seisops.engine.backend import memory
from seisops.engine.backend.device import Memory
from seisops.engine.backend.memory import Arrays
from seisops.errors import UnfusedError

__all__ = ["BACKGROUNDS", "Arrays", "Holder", "Pool"]


class Backgrounds(memory.Pools["Pool"]):
    """All pools of backgrounds in this process.

    Attributes
    ----------
    limit_bytes : int, optional
        What this process may take of memory in all, if that is less than the machine has.
    """

    limit_bytes: int | None = None

    @property
    def free_bytes(self) -> int:
        """Memory that can be taken."""
        free = psutil.virtual_memory().available
        return free if self.limit_bytes is None else min(free, self.limit_bytes - psutil.Process().memory_info().rss)


#: Those of this process.
BACKGROUNDS = Backgrounds()


class Holder(Protocol):
    """Who holds backgrounds in the memory of a pool."""

    @property
    def held_bytes(self) -> int:
        """Memory of what it holds."""

    @property
    def claimed_bytes(self) -> int:
        """What counts against `keep_bytes`, of what it holds and of what it is going to hold."""

    @property
    def promised_bytes(self) -> int:
        """Memory that it is going to take."""

    def let_go(self) -> None:
        """Hand in what is held; called by who keeps the pool's books."""


class Pool(memory.Pool):
    """The memory of the backgrounds of one map or Jacobian, of all its linearisations together.

    Parameters
    ----------
    keep_bytes : int
        How much of it may be held from one product to the next.
    on : str, optional
        The device whose memory it is.
    """

    def __init__(self, keep_bytes: int = 0, on: str = "cpu"):
        self.on = backend.device(on)
        self._begin(keep_bytes, self.on)
        #: Of memory of the host, for what does not stay on the device; where there is no other, this one.
        self.host = self
        if self.on.host is not self.on:
            self.host = object.__new__(Pool)
            self.host.on = self.on
            self.host._begin(0, self.on.host)
            self.host.host = self.host

    def _begin(self, keep_bytes: int, where: Memory) -> None:
        super().__init__(BACKGROUNDS, where)
        self.keep_bytes = keep_bytes
        self.promised_bytes = 0  # memory that is going to be taken, when the books were last closed
        self._holders: WeakSet[Holder] = WeakSet()
        self._leaving: deque[Holder] = deque()
        self._lock = threading.Lock()

    def __reduce__(self):
        return type(self), (self.keep_bytes, self.on.name)

    # -- the books: who holds how much

    @contextmanager
    def books(self) -> Iterator[None]:
        """Keep the books in the block: what is left, and who takes it."""
        with self._lock:
            self._see_off()
            try:
                yield
            finally:
                self.promised_bytes = self._promised
        self._settle()

    def join(self, holder: Holder) -> None:
        """Let a holder share the budget."""
        with self.books():
            self._holders.add(holder)

    def leave(self, holder: Holder) -> None:
        """Let a holder hand in what it holds; as finalizers do so, this waits for nobody."""
        self._leaving.append(holder)
        self._settle()

    def _settle(self) -> None:
        while self._leaving and self._lock.acquire(blocking=False):
            try:
                self._see_off()
                self.promised_bytes = self._promised
            finally:
                self._lock.release()

    def _see_off(self) -> None:
        while self._leaving:
            self._leaving.popleft().let_go()

    @property
    def left(self) -> int:
        """Bytes of the budget that nobody claims, to who keeps the books."""
        return self.keep_bytes - sum(holder.claimed_bytes for holder in self._holders)

    @property
    def held_bytes(self) -> int:
        """Memory of the backgrounds that are held."""
        with self.books():
            return sum(holder.held_bytes for holder in self._holders)

    @property
    def _promised(self) -> int:
        return sum(holder.promised_bytes for holder in self._holders)

    def forget(self) -> None:
        """Release what is held, which will be computed again where it is needed, and what is spare."""
        with self.books():
            for holder in self._holders:
                holder.let_go()
        self.clear()

    # -- memory

    def clear(self) -> None:
        """Release what is spare, of the host too."""
        super().clear()
        if self.host is not self:
            self.host.clear()

    @property
    def waiting_bytes(self) -> int:
        """Memory that is spare, of the host too."""
        return sum(pool.spare_bytes for pool in {self, self.host})

    @property
    def where(self) -> str:
        """Whose memory it is, in words."""
        return "of memory" if self.on.host is self.memory else f"of the memory of {self.on.name}"

    @property
    def free_bytes(self) -> int:
        """Memory that can be taken."""
        return BACKGROUNDS.free_bytes if self.on.host is self.memory else self.on.free_bytes

    @property
    def room_bytes(self) -> int:
        """Memory that can be taken, with what is spare: for one product, all else aside."""
        return self.free_bytes + sum(pool.spare_bytes for pool in BACKGROUNDS if pool.memory is self.memory)

    def room(self, share: float) -> int:
        """Bytes that can be taken: a share of the memory that is free, and what is spare, but for what is promised.

        For who keeps the books, as long as there are any holders.
        """
        others = [pool for pool in BACKGROUNDS if pool is not self and pool.memory is self.memory]
        promised = self._promised + sum(pool.promised_bytes for pool in others)
        spare = self.spare_bytes + sum(pool.spare_bytes for pool in others)
        return int(share * self.free_bytes) + spare - promised

    def take(self, shapes: Sequence[tuple[int, ...]], dtype: DTypeLike, what: str, cure: str) -> Arrays:
        """Arrays of these shapes: used ones, which hold what was last written, or zeroed new ones.

        Parameters
        ----------
        shapes : sequence of tuple of int
        dtype : dtype_like
        what, cure : str
            What they are for, and what to do about a lack of memory: for messages.

        Raises
        ------
        UnfusedError
            If there is no memory for new ones.
        """
        found = self.reuse(shapes, dtype)
        if found is not None:
            return found
        needed = sum(map(prod, shapes)) * np.dtype(dtype).itemsize
        if needed > self.free_bytes:
            BACKGROUNDS.clear()  # of other shapes, for other surveys
            available = self.free_bytes
            if needed > available:
                raise UnfusedError(
                    f"{what} needs {needed / 2**30:.3g} GiB, but {available / 2**30:.3g} GiB {self.where} are free: {cure}"
                )
        return self.new(shapes, dtype)


def _after_fork() -> None:
    for pool in BACKGROUNDS:
        pool._lock = threading.Lock()  # whose holder may be a thread that the child does not have


os.register_at_fork(after_in_child=_after_fork)
