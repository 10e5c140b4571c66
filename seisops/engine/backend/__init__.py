"""Devices by name: where time loops run, and whose memory their arrays are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import seisops._arrays as _arrays
from seisops.engine.backend.cpu import CPU
from seisops.engine.backend.device import Device
from seisops.errors import ParameterError

__all__ = ["CPU", "Device", "chosen", "default_device", "device", "home"]

#: In which device those are propagated that do not say it: that of the innermost block around them.
_default: ContextVar[str] = ContextVar("device", default="cpu")


def device(name: str) -> Device:
    """A device: "cpu", or "cuda" or "cuda:1" for a graphics processor; or torch's of this name.

    Raises
    ------
    ParameterError
        If there is no such device, or nothing to reach it by.
    """
    return _device(str(name))  # one for each, and for what torch calls so


@cache
def _device(name: str) -> Device:
    if name == "cpu":
        return CPU
    if found := re.fullmatch("cuda(?::([0-9]+))?", name):
        from seisops.engine.backend.cuda import Cuda

        return Cuda(int(found[1] or 0))
    raise ParameterError(f'device={name!r}: use "cpu", "cuda", or "cuda:1" for the second of several')


def home(name: str) -> tuple[int, int]:
    """Where arrays of a device are, as DLPack says it; see :func:`seisops._arrays.place`."""
    return _arrays.HOST if name == "cpu" else _arrays.place(device(name).zeros((0,), "float32"))


def chosen(name: str | None) -> str:
    """The name of a device, or if there is none of that by default."""
    return device(_default.get() if name is None else name).name


@contextmanager
def default_device(name: str) -> Iterator[str]:
    """In the block, waves are propagated on a device unless they say on which: ``with so.default_device("cuda"): ...``.

    Every :class:`~seisops.Wavefield` that is made in the block without a `device` is on it, and stays on it afterwards, with
    all that is made of it. Blocks nest; the innermost counts. A block is that of its thread, or task: others do not see it.

    Parameters
    ----------
    name : str
        "cpu", "cuda" or "cuda:1", as of :class:`~seisops.Wavefield`.

    Yields
    ------
    str
        The full name of the device.

    Raises
    ------
    ParameterError
        If there is no such device.
    """
    named = device(name).name
    token = _default.set(named)
    try:
        yield named
    finally:
        _default.reset(token)
