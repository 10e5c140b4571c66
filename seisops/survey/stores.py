"""Where the samples of traces are: in memory, or in files that are read when the samples are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seisops.errors import ParameterError, SpaceError
from seisops.survey.segy_file import SegyFile

__all__ = ["ArrayStore", "SegyStore", "Store", "StoredTraces", "runs"]


class Store(Protocol):
    """Numbered traces of one length."""

    @property
    def dtype(self) -> np.dtype:
        """The float dtype of the samples."""

    @property
    def place(self) -> str:
        """Where the samples are, in words; "in memory" if nothing has to be read."""

    def read(self, rows: NDArray[np.int64], samples: slice) -> NDArray:
        """Some samples of some traces, shape (rows, samples)."""


def runs(rows: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The slices ``[a, b)`` of sorted numbers in which each is one more than the last."""
    edges = np.flatnonzero(np.diff(rows) != 1) + 1
    return list(zip([0, *edges.tolist()], [*edges.tolist(), len(rows)], strict=True))


@dataclass(frozen=True, eq=False)
class ArrayStore:
    """Traces in memory.

    Attributes
    ----------
    array : ndarray, shape (traces, samples)
    """

    array: NDArray
    place = "in memory"

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the array."""
        return self.array.dtype

    def read(self, rows: NDArray[np.int64], samples: slice) -> NDArray:
        """Some samples of some traces: a read-only view where the rows are one after another."""
        if len(rows) and len(runs(rows)) == 1:
            view = self.array[rows[0] : rows[-1] + 1, samples]
            view.flags.writeable = False
            return view
        return self.array[rows, samples]


@dataclass(frozen=True, eq=False)
class SegyStore:
    """Traces in SEG-Y files, numbered through from the first file to the last.

    Attributes
    ----------
    files : tuple of SegyFile
    """

    files: tuple[SegyFile, ...]

    @cached_property  # every shot asks, and there may be as many files as shots
    def dtype(self) -> np.dtype:
        """The smallest dtype that holds the samples of all files exactly."""
        return np.result_type(*(file.dtype for file in self.files))

    @cached_property
    def _firsts(self) -> NDArray[np.int64]:
        """Numbers of the first trace of each file, then that of all traces."""
        return np.cumsum([0, *(file.n_traces for file in self.files)])

    @property
    def place(self) -> str:
        """The number of files."""
        return f"in {len(self.files)} SEG-Y file{'s' if len(self.files) > 1 else ''}"

    def read(self, rows: NDArray[np.int64], samples: slice) -> NDArray:
        """Some samples of some traces; neighbours in a file are read together."""
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        n = samples.stop - samples.start
        out = np.empty((len(rows), n), self.dtype)
        for k in np.unique(np.searchsorted(self._firsts, ordered, "right") - 1):
            file = self.files[k]
            low, high = np.searchsorted(ordered, self._firsts[k : k + 2])
            mine = ordered[low:high] - self._firsts[k]
            for a, b in runs(mine):
                at = low + a
                for piece in file.read(int(mine[a]), b - a, samples):
                    out[order[at : at + len(piece)]] = piece
                    at += len(piece)
        return out


class StoredTraces:
    """Some samples of some traces of a store, in a dtype: what a shot holds of its data until they are asked for.

    Parameters
    ----------
    store : Store
    rows : ndarray of int64
        Numbers of the traces.
    first, n : int
        The first sample, and their number.
    dtype : dtype, optional
        By default the store's.
    """

    __slots__ = ("dtype", "first", "n", "rows", "store")

    def __init__(self, store: Store, rows: NDArray[np.int64], first: int, n: int, dtype: np.dtype | None = None):
        self.store, self.rows, self.first, self.n = store, np.asarray(rows, np.int64), first, n
        self.dtype = store.dtype if dtype is None else np.dtype(dtype)

    @classmethod
    def of(cls, array: NDArray) -> StoredTraces:
        """Traces in memory, (traces, samples). Integers become float32, floats of 16 or 128 bits are refused."""
        array = np.asarray(array)
        if array.dtype.kind in "biu":
            array = array.astype(np.float32)
        if array.dtype not in (np.float32, np.float64):
            raise SpaceError(f"data of dtype {array.dtype} are no traces: use float32 or float64")
        array = array.view()
        array.flags.writeable = False
        return cls(ArrayStore(array), np.arange(len(array)), 0, array.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Traces and samples."""
        return len(self.rows), self.n

    @property
    def in_memory(self) -> bool:
        """Whether nothing has to be read."""
        return isinstance(self.store, ArrayStore)

    def read(self) -> NDArray:
        """The samples, shape (traces, samples)."""
        return self.store.read(self.rows, slice(self.first, self.first + self.n)).astype(self.dtype, copy=False)

    def take(self, index: NDArray | slice) -> StoredTraces:
        """Some of the traces."""
        return StoredTraces(self.store, self.rows[index], self.first, self.n, self.dtype)

    def window(self, first: int, n: int) -> StoredTraces:
        """`n` of the samples from number `first` on."""
        if first < 0 or first + n > self.n:
            raise ParameterError(f"samples {first} to {first + n} of traces of {self.n}")
        return StoredTraces(self.store, self.rows, self.first + first, n, self.dtype)

    def astype(self, dtype: np.dtype) -> StoredTraces:
        """The same traces in another dtype."""
        return StoredTraces(self.store, self.rows, self.first, self.n, dtype)

    def __reduce__(self):
        if self.in_memory:  # not the traces of other shots
            return StoredTraces.of, (np.ascontiguousarray(self.read()),)
        return StoredTraces, (self.store, self.rows, self.first, self.n, self.dtype)
