"""One marching loop of a system with its ports, compiled, and running it.

The same kernel serves surveys of any size: arrays and bounds are given when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from seisops.engine.backend import CPU, Device
from seisops.engine.facts import Marched
from seisops.engine.lower.loop import Loop

__all__ = ["Kernel"]


class Kernel:
    """One marching loop with its ports, compiled.

    Parameters
    ----------
    loop : Loop
    marched : Marched
        What it marches.
    device : Device, optional
        Where it runs.

    Attributes
    ----------
    in_place : tuple of str
        Names of the fields whose newest level takes the place of their oldest.
    """

    #: How many there have been in this process.
    made: ClassVar[int] = 0

    def __init__(self, loop: Loop, marched: Marched, device: Device = CPU):
        self.marched, self.device = marched, device
        self.in_place = loop.notes.get((*loop.what, "in place"), lambda: loop.made.in_place)
        self._constants = loop.notes.get((*loop.what, "constants"), lambda: loop.made.constants)
        self.axes, self.program = loop.axes, device.compile(loop)
        Kernel.made += 1

    def constants(self, arrays: Mapping[str, np.ndarray], spacing: Sequence[float], dt: float) -> dict[str, np.ndarray]:
        """What the loop needs that follows from parameters alone, but for what is among the arrays."""
        out = {}
        for constant in self._constants:
            if constant.name not in arrays:
                values = constant.values(arrays, self._numbers(spacing, dt))
                out[constant.name] = self.device.zeros(values.shape, values.dtype)
                out[constant.name][...] = values
        return out

    def _numbers(self, spacing: Sequence[float], dt: float) -> dict[str, float]:
        return {**{f"h_{axis}": float(h) for axis, h in zip(self.axes, spacing, strict=True)}, "dt": float(dt)}

    def run(
        self,
        shape: Sequence[int],
        spacing: Sequence[float],
        dt: float,
        steps: tuple[int, int],
        arrays: Mapping[str, np.ndarray],
        bounds: Mapping[str, int],
        threads: int | None = None,
    ) -> None:
        """March from one time index to another.

        Parameters
        ----------
        shape : sequence of int
            Padded grid.
        spacing : sequence of float
            Cell sizes in m.
        dt : float
            Time step in s.
        steps : (int, int)
            First and last value of the time index, both included, smaller first.
        arrays : mapping
            Every array, the state's and the :meth:`constants` too, by symbol name, with the halo that its symbol has;
            those that this kernel has no symbol for are ignored.
        bounds : mapping
            Numbers of points and of taps of each set of points, by the names of the loops over them.
        threads : int, optional
            OpenMP threads; by default as many as the environment says.
        """
        bounds = {name: int(n) for name, n in bounds.items()}
        known = {n: a for n, a in arrays.items() if n in self.program.names}
        self.program(known, tuple(shape), self._numbers(spacing, dt), steps, self.marched.direction, bounds, threads)
