"""Arrays whose memory starts where generated code assumes it does."""

from __future__ import annotations

from math import gcd, prod

import numpy as np
from numpy.typing import DTypeLike

__all__ = ["ALIGNMENT", "VECTOR", "aligned", "in_rows", "stackable", "whole", "zeros"]

#: Devito's generated loops state this alignment of their arrays, in bytes; NumPy does not guarantee it.
ALIGNMENT = 64

#: Rows of grids are multiples of this, in bytes: vectors of other rows straddle twice as many cache lines.
ROW = 32

#: The longest vectors of processors, in bytes.
VECTOR = 64


def zeros(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """A zeroed C-contiguous array that starts at a multiple of ALIGNMENT."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def aligned(a: np.ndarray) -> np.ndarray:
    """`a` itself if it starts at a multiple of ALIGNMENT and is C-contiguous, else such a copy for reading."""
    if a.ctypes.data % ALIGNMENT == 0 and a.flags.c_contiguous:
        return a
    out = zeros(a.shape, a.dtype)
    out[...] = a
    return out


def whole(n: int, unit: int) -> int:
    """`n` rounded up to a multiple of `unit`."""
    return -(-n // unit) * unit


def in_rows(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """`shape` with its last axis made a little longer, so that no row starts askew; the loops leave the rest alone."""
    return (*shape[:-1], whole(shape[-1], ROW // itemsize))


def stackable(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """`shape` with its longest axis made a little longer, so that in a stack every such array is aligned."""
    longest = max(range(len(shape)), key=shape.__getitem__)
    others = prod(shape) // shape[longest] * itemsize
    unit = ALIGNMENT // gcd(ALIGNMENT, others)
    return tuple(whole(n, unit) if axis == longest else n for axis, n in enumerate(shape))
