"""Devices by name: where time loops run, and whose memory their arrays are."""

from __future__ import annotations

from functools import cache

from seisops import _arrays
from seisops.engine.backend.cpu import CPU
from seisops.engine.backend.device import Device
from seisops.errors import ParameterError

__all__ = ["CPU", "Device", "device", "home"]


@cache
def device(name: str) -> Device:
    """A device: "cpu", or "cuda" or "cuda:1" for a graphics processor.

    Raises
    ------
    ParameterError
        If there is no such device, or nothing to reach it by.
    """
    kind, _, number = str(name).partition(":")
    if name == "cpu":
        return CPU
    if kind == "cuda" and (not number or number.isdecimal()):
        from seisops.engine.backend.cuda import Cuda

        return Cuda(int(number or 0))
    raise ParameterError(f'device={name!r}: use "cpu", "cuda", or "cuda:1" for the second of several')


def home(name: str) -> tuple[int, int]:
    """Where arrays of a device are, as DLPack says it; see :func:`seisops._arrays.place`."""
    return _arrays.HOST if name == "cpu" else _arrays.place(device(name).zeros((0,), "float32"))
