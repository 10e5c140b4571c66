"""Arrays of a device without one: they answer as CuPy's do, and refuse to become NumPy's unless they are asked to.

As CuPy's, they are no NumPy arrays, take part in NumPy's functions only among themselves (NEP 13, NEP 18), and come to the
host by :func:`asnumpy` alone, which `crossed` takes down, as it does what goes the other way. The module is their namespace,
as ``cupy`` is that of CuPy's.
"""

import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
from cuda_on_host import Host

from seisops import _arrays
from seisops.engine.backend.abreast import abreast

#: What DLPack calls devices of other kinds.
KIND = 12
#: What went from the host to the device, and back: "in" or "out", and the shape.
crossed = []
#: What only looks at an array otherwise: it needs no kernel.
VIEWS = {"reshape", "ravel", "transpose", "view"}


class _Current(threading.local):
    """The device that is current in a thread; whether arrays are computed with where it is theirs alone is of all."""

    number, required = 0, False


_current = _Current()


@contextmanager
def device(number):
    """What CuPy has of this name: in the block, a device is the current one."""
    before, _current.number = _current.number, number
    try:
        yield
    finally:
        _current.number = before


@contextmanager
def beside_another():
    """In the block another device is the current one, and who computes with these arrays is to say where they are."""
    _Current.required = True
    try:
        with device(1):
            yield
    finally:
        _Current.required = False


def _require_current():
    assert _current.number == 0 or not _Current.required, "another device is the current one"


class ndarray:
    """An array of NumPy behind a wall."""

    def __init__(self, inside):
        assert type(inside) is np.ndarray
        self.inside = inside

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __dlpack_device__(self):
        return KIND, 0

    def __dlpack__(self, **options):
        return self.inside.__dlpack__()

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return _called(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function, types, args, kwargs):
        # what CuPy has no namesake of, or does otherwise
        assert function.__name__ not in ("block", "may_share_memory_", "asarray_chkfinite")
        return _called(function, args, kwargs)

    def __getattr__(self, name):
        if name in ("inside", "__array_interface__", "__array_struct__", "__buffer__", "flags_", "ctypes", "tobytes"):
            raise AttributeError(name)
        found = getattr(self.inside, name)
        if callable(found) and not isinstance(found, np.dtype):
            return lambda *args, **kwargs: _called(found, args, kwargs, name not in VIEWS)
        return _wrapped(found)

    def __setattr__(self, name, value):
        if name == "inside":
            super().__setattr__(name, value)
        else:
            setattr(self.inside, name, _unwrapped(value))

    def __getitem__(self, key):
        return _wrapped(self.inside[_index(key)])

    def __setitem__(self, key, value):
        _require_current()
        self.inside[_index(key)] = _unwrapped(value)

    def take(self, indices, axis=None):
        return _wrapped(self.inside.take(_index(indices), axis))

    def __len__(self):
        return len(self.inside)

    def __iter__(self):
        return iter([_wrapped(part) for part in self.inside])

    # numbers are waited for, as those of CuPy

    def __bool__(self):
        return bool(self.inside)

    def __int__(self):
        return int(self.inside)

    def __float__(self):
        return float(self.inside)

    def __index__(self):
        return self.inside.__index__()

    def __reduce__(self):
        return ndarray, (self.inside,)

    def get(self):
        return asnumpy(self)


def _operator(name):
    def apply(self, *others):
        if any(isinstance(x, np.ndarray) and x.ndim for x in others):
            raise TypeError(f"Unsupported type {np.ndarray}")
        return _called(getattr(self.inside, name), others, {})

    return apply


OPERATORS = """
    add radd sub rsub mul rmul truediv rtruediv floordiv mod pow rpow matmul rmatmul
    neg abs eq ne lt le gt ge and or invert
"""
for _name in OPERATORS.split():
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))
ndarray.__hash__ = None
for _name in ("__iadd__", "__isub__", "__imul__", "__itruediv__"):

    def _in_place(self, other, name=_name):
        _require_current()
        getattr(self.inside, name)(_unwrapped(other))
        return self

    setattr(ndarray, _name, _in_place)


def _index(key):
    """Indices may be NumPy's, or lists: they are small, and CuPy takes them along."""
    parts = key if isinstance(key, tuple) else (key,)
    parts = tuple(part.inside if isinstance(part, ndarray) else part for part in parts)
    return parts if isinstance(key, tuple) else parts[0]


def _unwrapped(x):
    if isinstance(x, ndarray):
        return x.inside
    if isinstance(x, np.ndarray) and x.ndim:
        raise TypeError(f"Unsupported type {np.ndarray}")
    if isinstance(x, list | tuple) and any(isinstance(part, ndarray | np.ndarray | list | tuple) for part in x):
        return type(x)(_unwrapped(part) for part in x)
    return x


def _wrapped(x):
    if isinstance(x, np.ndarray | np.generic) and not isinstance(x, np.dtype):
        return ndarray(np.asarray(x))
    if isinstance(x, list):
        return [_wrapped(part) for part in x]
    if isinstance(x, tuple) and any(isinstance(part, np.ndarray) for part in x):
        return tuple(map(_wrapped, x))
    return x


def _called(function, args, kwargs, computes=True):
    if computes:
        _require_current()
    args = tuple(map(_unwrapped, args))
    return _wrapped(function(*args, **{name: _unwrapped(value) for name, value in kwargs.items()}))


# ---- the namespace


def asarray(x, dtype=None):
    """An array here; NumPy's is copied."""
    if isinstance(x, ndarray):
        return x if dtype is None else x.astype(dtype, copy=False)
    _require_current()
    crossed.append(("in", np.shape(x)))
    return ndarray(np.array(x, dtype))


def asnumpy(x):
    """A copy on the host."""
    crossed.append(("out", x.shape))
    return x.inside.copy()


def zeros(shape, dtype=float):
    _require_current()
    return ndarray(np.zeros(shape, dtype))


def empty(shape, dtype=float):
    _require_current()
    return ndarray(np.full(shape, np.nan, dtype))


def zeros_like(x, dtype=None):
    return np.zeros_like(x, dtype)


def ascontiguousarray(x, dtype=None):
    assert isinstance(x, ndarray)
    _require_current()
    return ndarray(np.ascontiguousarray(x.inside, dtype))


def may_share_memory(a, b):
    return np.may_share_memory(_unwrapped(a), _unwrapped(b))


def from_dlpack(x):
    """The same memory."""
    return ndarray(np.from_dlpack(_Bare(x)))


class _Bare:
    """What DLPack says of memory of the host."""

    def __init__(self, x):
        self.x = x

    def __dlpack__(self, **options):
        return self.x.__dlpack__()

    def __dlpack_device__(self):
        return 1, 0


def _transform(name):
    def apply(x, *args, **kwargs):
        return _called(getattr(np.fft, name), (x, *args), kwargs)

    return apply


fft = SimpleNamespace(**{name: _transform(name) for name in ("rfft", "irfft")})
cuda = SimpleNamespace(Device=device)


def __getattr__(name):
    """What PyLops' solvers ask of a namespace."""
    found = getattr(np, name)
    if not callable(found) or isinstance(found, type):
        return found
    return lambda *args, **kwargs: _called(found, args, kwargs)


# ---- a device of such arrays


@contextmanager
def known():
    """In the block such arrays are known for those of a device."""
    before = dict(_arrays.PACKAGES)
    _arrays.PACKAGES[KIND] = __name__
    try:
        yield sys.modules[__name__]
    finally:
        _arrays.PACKAGES.clear()
        _arrays.PACKAGES.update(before)


class Walled(Host):
    """A device whose arrays are these; see :mod:`cuda_on_host`."""

    def active(self):
        return device(0)

    def together(self, nbytes, most=None):
        return partial(abreast, most=min(self.concurrency, most or self.concurrency), within=lambda: self.active)

    def _array(self, shape, dtype, value):
        return ndarray(super()._array(shape, dtype, value.inside if isinstance(value, ndarray) else value))

    def to_device(self, a, dtype):
        if not isinstance(a, ndarray):
            crossed.append(("in", np.shape(a)))
        return super().to_device(a, dtype)

    def to_host(self, a):
        return asnumpy(a) if isinstance(a, ndarray) else a

    def copy(self, source, target):
        if isinstance(target, ndarray):
            crossed.append(("in", source.shape))
            target.inside[...] = source
        else:
            crossed.append(("out", source.shape))
            target[...] = source.inside
        return lambda: None

    def address(self, a):
        return super().address(_bare(a))

    def march(self, step, after, *given):
        # arguments are where arrays are, not what is in them
        bare = [[replace(one, arguments=list(map(_bare, one.arguments))) for one in side] for side in (step, after)]
        super().march(*bare, *given)


def _bare(x):
    return x.inside if isinstance(x, ndarray) else x
