"""Arrays of NumPy, and those that lie in the memory of a device: where one is, and what makes others there.

CuPy's arrays answer to NumPy's functions by themselves, as long as one of the arguments is one (NEP 13, NEP 18): what is
written for NumPy's serves both. Only who makes arrays of nothing, or of something else, has to say where. Nothing here
crosses between memories but :func:`to_host`, :func:`at` and :func:`there`.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

__all__ = [
    "HOST", "PACKAGES", "Array", "Rows", "at", "contiguous", "current", "namespace", "own", "place", "returned", "there",
    "to_host", "zeros",
]  # fmt: skip

#: Of NumPy, or of what a device keeps its arrays in.
Array = Any

#: What computes on devices, by the number that DLPack gives their kind: graphics processors of CUDA, its managed memory.
PACKAGES = {2: "cupy", 13: "cupy"}
#: Where NumPy's arrays are, as DLPack says it: kind of device, and number.
HOST = (1, 0)


def place(x: Any) -> tuple[int, int]:
    """Where an array is: kind of device, and number; `HOST` for whatever no package of `PACKAGES` works on."""
    if isinstance(x, np.ndarray) or not hasattr(x, "__dlpack_device__"):
        return HOST
    kind, number = map(int, x.__dlpack_device__())
    # managed memory is at home on the same cards
    return (min(k for k, name in PACKAGES.items() if name == PACKAGES[kind]), number) if kind in PACKAGES else HOST


def namespace(x: Any) -> ModuleType:
    """What makes arrays where one is: NumPy, or CuPy."""
    where = place(x)
    return np if where == HOST else import_module(PACKAGES[where[0]])


def own(x: Any) -> Array:
    """`x` as an array of NumPy, or, without a copy, of what computes on its device."""
    if isinstance(x, np.ndarray):
        return x
    xp = namespace(x)
    if xp is np:
        return np.asarray(x)
    return x if isinstance(x, xp.ndarray) else xp.from_dlpack(x)


def returned(y: Array, x: Any) -> Any:
    """What was made of an array `x` as an array of the same library, without a copy, if that is on a device."""
    if place(y) == HOST or place(x) == HOST or isinstance(x, type(y)):
        return y
    library = sys.modules[type(x).__module__.partition(".")[0]]
    return library.from_dlpack(y) if hasattr(library, "from_dlpack") else y


def zeros(shape: tuple[int, ...], dtype: DTypeLike, x: Any) -> Array:
    """A zeroed array where another one is."""
    with current(x):
        return namespace(x).zeros(shape, dtype)


def contiguous(x: Array, dtype: DTypeLike = None) -> Array:
    """`x` itself, or a copy where it is that is C-contiguous and of a dtype."""
    with current(x):
        return namespace(x).ascontiguousarray(x, dtype)


def to_host(x: Array) -> NDArray:
    """An array as one of NumPy: a copy, if it is on a device."""
    xp = namespace(x)
    return np.asarray(x) if xp is np else xp.asnumpy(own(x))


def there(a: Array, x: Any) -> Array:
    """An array where another one is: a copy, unless it is there already."""
    return at(a, place(x))


def at(a: Array, where: tuple[int, int]) -> Array:
    """An array in a place: a copy, unless it is there already."""
    if where == HOST:
        return to_host(a)
    if place(a) == where:
        return own(a)
    xp = import_module(PACKAGES[where[0]])
    with xp.cuda.Device(where[1]):
        return xp.asarray(a)


def current(x: Any) -> AbstractContextManager:
    """Makes the device that an array is on the current one, on which new ones are made."""
    where = place(x)
    return nullcontext() if where == HOST else import_module(PACKAGES[where[0]]).cuda.Device(where[1])


class Rows:
    """A sparse matrix on a device: of each row as many columns as the longest has, of which some weigh nothing.

    Parameters
    ----------
    matrix : sparse array
    where : (int, int)
        A place.
    """

    def __init__(self, matrix: sparse.csr_array, where: tuple[int, int]):
        matrix = sparse.csr_array(matrix)
        counts = np.diff(matrix.indptr)
        row = np.repeat(np.arange(len(counts)), counts)
        entry = np.arange(matrix.nnz) - matrix.indptr[row]
        columns = np.zeros((max(1, counts.max(initial=0)), len(counts)), np.int64)
        values = np.zeros(columns.shape, matrix.dtype)
        columns[entry, row], values[entry, row] = matrix.indices, matrix.data
        self.shape, self._columns, self._values = matrix.shape, at(columns, where), at(values, where)

    def __matmul__(self, x: Array) -> Array:
        out = zeros((self.shape[0], *x.shape[1:]), x.dtype, x)
        for columns, values in zip(self._columns, self._values, strict=True):
            out += values.reshape(-1, *[1] * (x.ndim - 1)) * x.take(columns, axis=0)
        return out
