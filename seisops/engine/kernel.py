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
from seisops.engine.symbols.names import PREFIX, RECIPROCAL

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
        self.axes, self.program = loop.axes, device.compile(loop)
        Kernel.made += 1

    def reciprocals(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Reciprocals of the parameters that the loop divides by, but for those that are among the arrays."""
        out, start = {}, PREFIX + RECIPROCAL
        for name in self.program.names:
            if name.startswith(start) and name not in arrays:
                parameter = arrays[PREFIX + name.removeprefix(start)]
                out[name] = self.device.zeros(parameter.shape, parameter.dtype)
                with np.errstate(divide="ignore"):  # as dividing by it would
                    np.divide(1, parameter, out=out[name])
        return out

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
            Every array, the state's and the :meth:`reciprocals` too, by symbol name, with the halo that its symbol has;
            those that this kernel has no symbol for are ignored.
        bounds : mapping
            Numbers of points and of taps of each set of points, by the names of the loops over them.
        threads : int, optional
            OpenMP threads; by default as many as the environment says.
        """
        scalars = {f"h_{axis}": float(h) for axis, h in zip(self.axes, spacing, strict=True)}
        scalars["dt"] = float(dt)
        bounds = {name: int(n) for name, n in bounds.items()}
        known = {n: a for n, a in arrays.items() if n in self.program.names}
        self.program(known, tuple(shape), scalars, steps, self.marched.direction, bounds, threads)
