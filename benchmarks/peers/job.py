"""What every code implements: a piece of work that can be repeated, and its results in common units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

GIB = 2**30
SPARE = 0.9  # of the memory that the system calls available


class Skipped(Exception):
    """A code cannot do this here; the message says why."""


class TooLarge(Skipped):
    """Not enough memory beside the other codes: worth another try alone."""


@dataclass
class Job:
    """Work to be timed.

    Attributes
    ----------
    run : callable
        The timed call; returns arrays of the code's own kind.
    results : callable
        Makes of them NumPy arrays in SI units and common layouts, untimed: ``data`` (shot, receiver, time), ``by NAME`` for
        each parameter of the medium that a gradient is by, ``image`` by squared slowness.
    steps : int
        Time steps that the solver takes for a shot in one direction.
    note : str
        What the code does, in a few words.
    check : callable, optional
        The same results with boundaries that reflect next to nothing, where the code's own reflect much.
    """

    run: Callable[[], Any]
    results: Callable[[Any], dict[str, NDArray]]
    steps: int
    note: str = ""
    check: Callable[[], dict[str, NDArray]] | None = None


def available() -> int:
    """Bytes of memory that can be had without swapping."""
    with open("/proc/meminfo") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024


#: Bytes that another process will want during its turn, though it does not have them now.
reserved = 0


def reserve(size: int) -> None:
    global reserved
    reserved = size


def require(needed: float, what: str) -> None:
    """Refuse what would not fit, before the system kills somebody for it."""
    free = available() - reserved
    if needed > SPARE * free:
        raise TooLarge(f"{what} takes {needed / GIB:.1f} GiB, {free / GIB:.1f} GiB are available")
