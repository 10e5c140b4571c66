"""Other forms that histories are kept in: fewer bits, files, a few functions of time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from seisops.engine.backend.device import Array
from seisops.errors import ParameterError, UnfusedError
from seisops.wave.storage.background import CURE, Codec
from seisops.wave.storage.layout import Layout, Segment
from seisops.wave.storage.pool import Arrays, Pool

__all__ = ["Basis", "File", "Integers"]


#: Bytes that are worked on at a time: by the processor, what its caches hold; by a device, what is worth a launch.
PIECE_BYTES, DEVICE_PIECE_BYTES = 2**20, 2**24


def pieces(pool: Pool, length: int, nbytes: int) -> Iterator[slice]:
    """Something so long, of so many bytes for each part of it, in pieces that are worked on at a time."""
    at_once = max(1, (PIECE_BYTES if pool.host is pool else DEVICE_PIECE_BYTES) // nbytes)
    return (slice(start, min(start + at_once, length)) for start in range(0, length, at_once))


class Integers(Codec):
    """Each entry of the history as integers, as fractions of its largest value.

    Parameters
    ----------
    layout : Layout
    bits : int
        8 or 16.
    pool : Pool
    """

    def __init__(self, layout: Layout, bits: int, pool: Pool):
        self.layout, self.pool, self.dtype, self.way = layout, pool, np.dtype(f"int{bits}"), f"in {bits} bits"
        self._codes: list[Arrays] = []
        self._steps: list[Arrays] = []

    @property
    def nbytes(self) -> int:
        if not self._codes:
            return self.layout.whole_bytes * self.dtype.itemsize // self.layout.itemsize
        return sum(a.nbytes for arrays in (*self._codes, *self._steps) for a in arrays)

    def start(self):
        self.close(self.pool)

    def put(self, k, segment):
        xp, top, what = self.pool.on.xp, np.iinfo(self.dtype).max, ("a background in integers", CURE)
        shapes = [history.shape for history in segment.histories]
        self._codes.append(self.pool.take(shapes, self.dtype, *what))
        self._steps.append(self.pool.take([_one_each(shape) for shape in shapes], self.layout.dtype, *what))
        for codes, steps, history in zip(self._codes[-1], self._steps[-1], segment.histories, strict=True):
            cells = tuple(range(1, history.ndim))
            for piece in pieces(self.pool, len(history), history[0].nbytes):
                a = history[piece]
                largest = xp.maximum(a.max(axis=cells, keepdims=True), -a.min(axis=cells, keepdims=True))
                steps[piece] = largest / top
                scaled = a * (top / (largest + (largest == 0)))  # zeros by anything but zero
                codes[piece] = xp.rint(scaled, out=scaled)

    def get(self, k, segment):
        xp = self.pool.on.xp
        for codes, steps, history in zip(self._codes[k], self._steps[k], segment.histories, strict=True):
            for piece in pieces(self.pool, len(history), history[0].nbytes):
                xp.multiply(codes[piece], steps[piece], out=history[piece], dtype=history.dtype)

    def close(self, pool):
        for arrays in (*self._codes, *self._steps):
            pool.give(arrays)
        self._codes, self._steps = [], []


def _one_each(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of an array with a number for each entry."""
    return (shape[0], *(1 for _ in shape[1:]))


class File(Codec):
    """Histories in a file without a name, which goes with its last user.

    Parameters
    ----------
    layout : Layout
    directory : path
    pool : Pool
    """

    nbytes = 0

    def __init__(self, layout: Layout, directory: Path, pool: Pool):
        self.layout, self.directory, self.pool, self.way = layout, directory, pool, f"in files in {directory}"
        self.held_bytes = layout.whole_bytes
        self._file: FileIO | None = None

    def start(self):
        try:
            self._file = tempfile.TemporaryFile(dir=self.directory, prefix="seisops-", buffering=0)  # noqa: SIM115
        except OSError as e:
            raise ParameterError(
                f"storage.Disk: cannot make a file in {str(self.directory)!r} ({e.strerror}): give a directory that exists "
                "and can be written to wherever shots are solved"
            ) from e
        finalize(self, self._file.close)

    def put(self, k, segment):
        place = self._place(k, segment)
        for history in segment.histories:
            with self._on_host(history) as a:
                if a is not history:
                    self.pool.on.copy(history, a)()
                place += self._whole(os.pwrite, a, place)

    def get(self, k, segment):
        place = self._place(k, segment)
        for history in segment.histories:
            with self._on_host(history) as a:
                place += self._whole(lambda fd, part, at: os.preadv(fd, [part], at), a, place)
                if a is not history:
                    self.pool.on.copy(a, history)()

    @contextmanager
    def _on_host(self, history: Array) -> Iterator[NDArray]:
        """A history, if it is in the memory of the host, or else an array there like it."""
        if self.pool.host is self.pool:
            yield history
            return
        beside = self.pool.host.take([history.shape], history.dtype, "a segment on its way to a file", CURE)
        try:
            yield beside[0]
        finally:
            self.pool.host.give(beside)

    @property
    def _descriptor(self) -> int:
        if self._file is None:
            raise RuntimeError("nothing was recorded in this file")
        return self._file.fileno()

    def _place(self, k: int, segment: Segment) -> int:
        return (segment.first // self.layout.every + k * self.layout.before) * self.layout.entry_bytes

    def _whole(self, move, history: NDArray, place: int) -> int:
        """Write or read an array, which may take several calls."""
        part, moved = history.data.cast("B"), 0
        while moved < len(part):
            try:
                n = move(self._descriptor, part[moved:], place + moved)
            except OSError as e:
                raise UnfusedError(
                    f"storage.Disk: a background of {self.layout.whole_bytes / 2**30:.3g} GiB does not fit into "
                    f"{str(self.directory)!r} ({e.strerror}): give another directory, hold fewer shots with a smaller "
                    "keep_bytes, or use storage='auto'"
                ) from e
            if n == 0:
                raise UnfusedError(
                    f"storage.Disk: the file in {str(self.directory)!r} is shorter than what was written"
                )
            moved += n
        return moved

    def close(self, pool):
        if self._file is not None:
            self._file.close()
            self._file = None


class Basis(Codec):
    """Histories as combinations of a few functions of time: ``B B^T H`` instead of H.

    Parameters
    ----------
    layout : Layout
    basis : ndarray
        B: N rows, one column for each function.
    pool : Pool
    """

    def __init__(self, layout: Layout, basis: NDArray, pool: Pool):
        self.layout, self.pool, self.way = layout, pool, f"as {basis.shape[1]} functions of time"
        self.basis = np.concatenate([basis, np.zeros((1, basis.shape[1]))]).astype(layout.dtype)
        self._coefficients: Arrays = ()
        self._functions: Array = None

    @property
    def nbytes(self) -> int:
        return self.basis.shape[1] * self.layout.entry_bytes

    def start(self):
        shapes = [(self.basis.shape[1], *shape) for shape in self.layout.shapes]
        self._coefficients = self.pool.take(
            shapes, self.layout.dtype, "the coefficients of a background", "use fewer functions of time"
        )
        self._functions = self.pool.on.to_device(self.basis, self.layout.dtype)
        for c in self._coefficients:
            c.fill(0)

    def put(self, k, segment):
        part = self._functions[segment.first : segment.last + 1].T
        for sums, history in self._flat(segment):
            # all at once would double the memory of sums
            for piece in pieces(self.pool, sums.shape[1], len(sums) * sums.itemsize):
                sums[:, piece] += part @ history[:, piece]

    def get(self, k, segment):
        part = self._functions[segment.first : segment.last + 1]
        for sums, history in self._flat(segment):
            self.pool.on.xp.matmul(part, sums, out=history)

    def _flat(self, segment: Segment) -> Iterator[tuple[Array, Array]]:
        """Coefficients and histories, as matrices."""
        for c, history in zip(self._coefficients, segment.histories, strict=True):
            yield c.reshape(len(c), -1), history.reshape(len(history), -1)

    def close(self, pool):
        pool.give(self._coefficients)
        self._coefficients = ()
