"""Other forms that histories are kept in: fewer bits, files, a few functions of time."""

from __future__ import annotations

import os
import tempfile
from io import FileIO
from pathlib import Path
from weakref import finalize

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import get_blas_funcs

from seisops.errors import ParameterError, UnfusedError
from seisops.wave.storage.background import Codec
from seisops.wave.storage.layout import Layout, Segment
from seisops.wave.storage.pool import Arrays, Pool

__all__ = ["Basis", "File", "Integers"]


class Integers(Codec):
    """Each entry of the history as integers, as fractions of its largest value.

    Parameters
    ----------
    layout : Layout
    bits : int
        8 or 16.
    """

    def __init__(self, layout: Layout, bits: int):
        self.layout, self.dtype, self.way = layout, np.dtype(f"int{bits}"), f"in {bits} bits"
        self._codes: list[tuple[NDArray, NDArray]] = []
        self._estimate = layout.whole_bytes * self.dtype.itemsize // layout.itemsize

    @property
    def nbytes(self) -> int:
        if not self._codes:
            return self._estimate
        return sum(codes.nbytes + steps.nbytes for codes, steps in self._codes)

    def start(self):
        self._codes = []

    def put(self, k, segment):
        top = np.iinfo(self.dtype).max
        for history in segment.histories:
            codes = np.empty(history.shape, self.dtype)
            steps = np.empty(len(history), history.dtype)
            for i, a in enumerate(history):
                largest = max(a.max(), -a.min())
                steps[i] = largest / top
                scaled = np.multiply(a, top / largest if largest > 0 else 0, dtype=a.dtype)
                np.rint(scaled, out=scaled)
                codes[i] = scaled
            self._codes.append((codes, steps))

    def get(self, k, segment):
        n = len(segment.histories)
        for (codes, steps), history in zip(self._codes[n * k : n * (k + 1)], segment.histories, strict=True):
            for a, code, step in zip(history, codes, steps, strict=True):
                np.multiply(code, step, out=a, dtype=a.dtype, casting="same_kind")

    def close(self, pool):
        self._codes = []


class File(Codec):
    """Histories in a file without a name, which goes with its last user.

    Parameters
    ----------
    layout : Layout
    directory : path
    """

    nbytes = 0

    def __init__(self, layout: Layout, directory: Path):
        self.layout, self.directory, self.way = layout, directory, f"in files in {directory}"
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
            place += self._whole(os.pwrite, history, place)

    def get(self, k, segment):
        place = self._place(k, segment)
        for history in segment.histories:
            place += self._whole(lambda fd, part, at: os.preadv(fd, [part], at), history, place)

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

    @property
    def nbytes(self) -> int:
        return self.basis.shape[1] * self.layout.entry_bytes

    def start(self):
        shapes = [(self.basis.shape[1], *shape) for shape in self.layout.shapes]
        self._coefficients = self.pool.take(
            shapes, self.layout.dtype, "the coefficients of a background", "use fewer functions of time"
        )
        for c in self._coefficients:
            c.fill(0)

    def put(self, k, segment):
        gemm = get_blas_funcs("gemm", dtype=self.basis.dtype)
        part = self.basis[segment.first : segment.last + 1]
        for c, history in zip(self._coefficients, segment.histories, strict=True):
            # C += B^T H, transposed for BLAS, which counts columns first
            flat = c.reshape(len(c), -1).T
            gemm(1.0, history.reshape(len(history), -1).T, part.T, beta=1.0, c=flat, trans_b=True, overwrite_c=True)

    def get(self, k, segment):
        part = self.basis[segment.first : segment.last + 1]
        for c, history in zip(self._coefficients, segment.histories, strict=True):
            np.matmul(part, c.reshape(len(c), -1), out=history.reshape(len(history), -1))

    def close(self, pool):
        pool.give(self._coefficients)
        self._coefficients = ()
