"""Memory of backgrounds that nobody needs any more, for the next ones: fresh pages cost more than a solve."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import prod

import numpy as np
import psutil

from seisops.engine.arrays import zeros
from seisops.errors import UnfusedError

__all__ = ["Arrays", "Pool"]

Arrays = tuple[np.ndarray, ...]


class Pool:
    """Sets of arrays that are handed in and taken out again, by their shapes."""

    #: Bytes that are going to be taken, by those who said so.
    promised = 0

    def __init__(self):
        self._free: dict[tuple, list[Arrays]] = {}
        self._lock = threading.Lock()

    def __reduce__(self):
        return Pool, ()

    @property
    def nbytes(self) -> int:
        """Memory that is free to be taken."""
        with self._lock:
            return sum(a.nbytes for alike in self._free.values() for arrays in alike for a in arrays)

    def room(self, share: float) -> int:
        """Bytes that can be taken: a share of the memory that is free, and what was handed in, but for what is promised."""
        return int(share * psutil.virtual_memory().available) + self.nbytes - self.promised

    def take(self, shapes: Sequence[tuple[int, ...]], dtype, what: str, cure: str) -> Arrays:
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
        shapes, dtype = tuple(tuple(s) for s in shapes), np.dtype(dtype)
        with self._lock:
            alike = self._free.get((shapes, dtype))
            if alike:
                return alike.pop(0)
        needed = sum(prod(s) for s in shapes) * dtype.itemsize
        if needed > psutil.virtual_memory().available:
            self.clear()  # of other shapes, for other surveys
            available = psutil.virtual_memory().available
            if needed > available:
                raise UnfusedError(
                    f"{what} needs {needed / 2**30:.3g} GiB, but {available / 2**30:.3g} GiB of memory are free: {cure}"
                )
        return tuple(zeros(s, dtype) for s in shapes)

    def give(self, arrays: Arrays) -> None:
        """Hand in arrays that are not used any more."""
        if arrays:
            key = tuple(a.shape for a in arrays), arrays[0].dtype
            with self._lock:
                self._free.setdefault(key, []).append(tuple(arrays))

    def clear(self) -> None:
        """Release the memory."""
        with self._lock:
            self._free.clear()
