"""What runs time loops, and owns the memory of their arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from seisops.engine.lower.loop import Loop

__all__ = ["BESIDE", "Device", "Memory", "Program"]

#: Times a shot's fields that it takes with what is made for it on the way, about.
BESIDE = 4

#: Of NumPy, or of what a device keeps its arrays in: what slices, shapes and assignments mean is the same.
Array = Any


class Program(Protocol):
    """A compiled time loop.

    Attributes
    ----------
    names : frozenset of str
        Arrays that it needs.
    """

    names: frozenset[str]

    def __call__(
        self,
        arrays: Mapping[str, Array],
        shape: Sequence[int],
        numbers: Mapping[str, float],
        steps: tuple[int, int],
        direction: int = 1,
        bounds: Mapping[str, int] | None = None,
        threads: int | None = None,
    ) -> None:
        """Run the loop; see :class:`seisops.engine.backend.cpu.Program`."""

    def working_bytes(self, shape: Sequence[int]) -> int:
        """Memory that it takes while it runs on a grid of so many cells, beside the arrays that it is given."""


class Memory(Protocol):
    """Where arrays are."""

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """A zeroed array, C-contiguous."""


class Device(Memory, Protocol):
    """Where time loops run.

    Attributes
    ----------
    name : str
    xp : module
        NumPy, or what stands for it with the arrays of the device.
    concurrency : int
        Shots that may be under way at the same time.
    """

    name: str

    @property
    def xp(self) -> Any: ...

    @property
    def concurrency(self) -> int: ...

    def together(self, nbytes: int, most: int | None = None) -> Callable[[Callable[[int], Any], int], Iterator] | None:
        """What does ``work(0)``, .., ``work(n - 1)`` for shots side by side, results in order; None if one by one is better.

        Parameters
        ----------
        nbytes : int
            Memory of a shot's fields.
        most : int, optional
            Shots for which there is memory at once, with all else that they take; by default as fields go by.
        """

    @property
    def host(self) -> Memory:
        """Memory of the host that it copies to and from at full speed, of NumPy's arrays; itself if that is its own."""

    @property
    def free_bytes(self) -> int:
        """Memory that can be taken."""

    def active(self) -> AbstractContextManager:
        """Where whoever works on its arrays is."""

    def copy(self, source: Array, target: Array) -> Callable[[], None]:
        """Begin to copy from the host's memory to its own, or back, after all that it was told before.

        Both are C-contiguous and alike. What is returned waits for the end; before it, the source is not to change.
        """

    def to_device(self, a: np.ndarray, dtype: DTypeLike) -> Array:
        """An array for time loops to read; `a` itself where it will do."""

    def to_host(self, a: Array) -> np.ndarray:
        """An array of NumPy; `a` itself if it is one."""

    def compile(self, loop: Loop) -> Program:
        """A time loop, compiled."""
