"""A discretised equation as those see it who run it: plain data, and the kernels that are made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from seisops.engine.arrays import stackable
from seisops.engine.backend import Device
from seisops.engine.facts import FACTORS, EdgeArray, History, Keep, Layer, Marched
from seisops.engine.kept.notes import Notes
from seisops.engine.kernel import Kernel
from seisops.engine.lower.loop import Loop
from seisops.engine.lower.ports import Ports
from seisops.engine.state import States
from seisops.engine.threads import making

if TYPE_CHECKING:
    from seisops.engine.derivation import Derivation

__all__ = ["AXES", "Scheme"]

AXES = {2: ("x", "z"), 3: ("x", "y", "z")}


class Scheme:
    """The kernels of one kind of wave equation, shared by all media, surveys and sizes.

    Parameters
    ----------
    template : (int, int, str, int)
        Axes of the grid, order in space, dtype, halo.
    layer : Layer
        Where the fields of its layer live.
    device : Device
        Where they run.
    notes : Notes
        What was derived.
    derive : callable
        Derives what is not.
    """

    def __init__(
        self,
        template: tuple[int, int, str, int],
        layer: Layer,
        device: Device,
        notes: Notes,
        derive: Callable[[], Derivation],
    ):
        self.ndim, self.dtype, self.halo = template[0], np.dtype(template[2]), template[3]
        self.layer, self.device, self.notes = layer, device, notes
        self._derive = derive
        self._derivation: Derivation | None = None
        self._states: dict[tuple, States] = {}
        self.kernels: dict[tuple, Kernel] = {}

    @property
    def derivation(self) -> Derivation:
        """The equation in symbols."""
        if self._derivation is None:
            self._derivation = self._derive()
        return self._derivation

    def _noted(self, what: str, *of):
        """What a method of the derivation says."""
        with making:
            return self.notes.get((what, *of), lambda: getattr(self.derivation, what)(*of))

    def of(self, transposed: bool) -> Marched:
        """The equation, or its adjoint."""
        return self._noted("marched", transposed)

    def histories(self, wrt: tuple[str, ...], keep: Keep = FACTORS, present: bool = False) -> tuple[History, ...]:
        """What of a background the derivative by some coefficients needs, kept or `present` only."""
        return self._noted("histories", wrt, keep, present)

    def beyond(self, wrt: tuple[str, ...]) -> frozenset[str]:
        """The coefficients whose perturbations and images go beyond the grid."""
        return self._noted("beyond", wrt)

    def edges(self, wrt: tuple[str, ...], shape: tuple[int, ...]) -> list[tuple[str, tuple[int, ...]]]:
        """Names of the arrays that keep what lies along the edges, and their shapes for one time step.

        A march takes them in parts, each of which has to be aligned: else it would be copied.
        """

        def extents(edge: EdgeArray) -> tuple[int, ...]:
            cells = tuple(edge.cells if axis == edge.axis else n for axis, n in enumerate(shape))
            return stackable(cells, self.dtype.itemsize)

        return [(edge.name, extents(edge)) for edge in self._noted("edges", wrt)]

    def states(self, transposed: bool = False, kernel: Kernel | None = None) -> States:
        """The time levels for marches with a kernel; without one, those of a march that is to be followed."""
        in_place = kernel.in_place if kernel else ()
        with making:
            if (transposed, in_place) not in self._states:
                self._states[transposed, in_place] = States(
                    self.of(transposed).fields, self.halo, self.dtype, in_place, self.device
                )
            return self._states[transposed, in_place]

    def kernel(
        self,
        transposed: bool,
        write: Ports,
        read: Ports,
        wrt: tuple[str, ...] = (),
        keep: Keep = FACTORS,
        again: Ports | None = None,
    ) -> Kernel:
        """The kernel of some ports; `again` are those of a background that is made again on the way."""
        key = (transposed, write, read, wrt, keep, again)
        with making:
            if key not in self.kernels:
                loop = Loop(
                    lambda: self.derivation.loop(*key).made(), AXES[self.ndim], self.dtype, self.notes, ("loop", *key)
                )
                self.kernels[key] = Kernel(loop, self.of(transposed), self.device)
            return self.kernels[key]

    def forget(self) -> None:
        """Release the kernels, what was derived, and the memory that marches have spare."""
        with making:
            self._states.clear()
            self.kernels.clear()
            self.notes.forget()
            self._derivation = None
