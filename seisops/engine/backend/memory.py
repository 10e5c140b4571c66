"""Memory that nobody needs any more, for whoever needs such memory next: fresh pages cost more than a solve.

Whoever uses a lot of memory again and again has a :class:`Pool`, and what it hands in belongs to it: counted, released when
asked for, and gone with its owner. Pools of one kind make up :class:`Pools`: what is spare in one serves the others, and
there is an end to what is spare in all of them together.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from operator import itemgetter
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import numpy as np
from numpy.typing import DTypeLike

from seisops.engine.backend import CPU
from seisops.engine.backend.device import Memory

__all__ = ["Arrays", "Pool", "Pools"]

Arrays = tuple[np.ndarray, ...]

PoolT = TypeVar("PoolT", bound="Pool")

#: Bytes that may be spare in the pools of a kind, or as many as one of them has ever had in use at once.
SPARE = 2**27


class Pools(Generic[PoolT]):
    """All pools of a kind in this process.

    Memory may be handed in by finalizers, in the middle of anything: whoever hands in waits for nobody, and whoever is at
    work with the pools puts away what was handed in meanwhile.
    """

    def __init__(self):
        self._all: WeakSet[PoolT] = WeakSet()
        self._returned: deque[tuple[Pool, Arrays]] = deque()
        self._lock = threading.Lock()
        self._clock = count()
        os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # whose holder may be a thread that the child does not have

    def __iter__(self) -> Iterator[PoolT]:
        with self._at_work():
            pools = list(self._all)
        return iter(pools)

    @property
    def spare_bytes(self) -> int:
        """Memory that is free to be taken."""
        return sum(pool.spare_bytes for pool in self)

    def clear(self) -> None:
        """Release what is spare."""
        for pool in self:
            pool.clear()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self._lock:
            self._put_away()
            yield
        self._settle()

    def _settle(self) -> None:
        while self._returned and self._lock.acquire(blocking=False):
            try:
                self._put_away()
                self._trim()
            finally:
                self._lock.release()

    def _put_away(self) -> None:
        """Put what was handed in where it is found."""
        while self._returned:
            pool, arrays = self._returned.popleft()
            nbytes = _bytes(arrays)
            pool._used -= nbytes
            pool.spare_bytes += nbytes
            pool._free.setdefault(_key(arrays), []).append((next(self._clock), arrays))

    def _trim(self) -> None:
        """Release what was handed in longest ago, beyond the end of what may be spare."""
        pools = list(self._all)
        excess = sum(pool.spare_bytes for pool in pools) - max((SPARE, *(pool.peak for pool in pools)))
        if excess <= 0:
            return
        sets = [(stamp, pool, key) for pool in pools for key, alike in pool._free.items() for stamp, _ in alike]
        for _, pool, key in sorted(sets, key=itemgetter(0)):  # each list is in the order of its stamps
            if excess <= 0:
                break
            nbytes = _bytes(pool._free[key].pop(0)[1])
            pool.spare_bytes -= nbytes
            excess -= nbytes


class Pool:
    """Sets of arrays that are handed in and taken out again, by their shapes.

    Parameters
    ----------
    pools : Pools
        Of its kind.
    memory : Memory, optional
        Where its arrays are.

    Attributes
    ----------
    spare_bytes : int
        Memory that is free to be taken.
    """

    def __init__(self, pools: Pools[Any], memory: Memory = CPU):
        self.pools, self.memory = pools, memory
        self.spare_bytes = 0
        self.peak = 0  # the most bytes that were in use at once
        self._used = 0
        self._free: dict[tuple, list[tuple[int, Arrays]]] = {}
        with pools._at_work():
            pools._all.add(self)

    def reuse(self, shapes: Sequence[tuple[int, ...]], dtype: DTypeLike) -> Arrays | None:
        """Used arrays of these shapes, which hold what was last written: from here or else from another pool."""
        key = _shapes(shapes), np.dtype(dtype)
        with self.pools._at_work():
            for pool in (self, *self.pools._all):  # to which only who is at work adds
                if pool.memory is not self.memory:
                    continue
                alike = pool._free.get(key)
                if alike:
                    arrays = alike.pop()[1]  # the last: perhaps still in a cache
                    pool.spare_bytes -= _bytes(arrays)
                    self._count(arrays)
                    return arrays
        return None

    def new(self, shapes: Sequence[tuple[int, ...]], dtype: DTypeLike) -> Arrays:
        """Zeroed new arrays."""
        arrays = tuple(self.memory.zeros(shape, dtype) for shape in shapes)
        with self.pools._at_work():
            self._count(arrays)
        return arrays

    def _count(self, arrays: Arrays) -> None:
        self._used += _bytes(arrays)
        self.peak = max(self.peak, self._used)

    def give(self, arrays: Arrays) -> None:
        """Hand in arrays that are not used any more; this waits for nobody."""
        if arrays:
            self.pools._returned.append((self, tuple(arrays)))
            self.pools._settle()

    def clear(self) -> None:
        """Release what is spare."""
        with self.pools._at_work():
            free, self._free = self._free, {}
            self.spare_bytes, self.peak = 0, self._used
        del free


def _bytes(arrays: Arrays) -> int:
    return sum(a.nbytes for a in arrays)


def _shapes(shapes: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, shapes))


def _key(arrays: Arrays) -> tuple:
    return tuple(a.shape for a in arrays), arrays[0].dtype
