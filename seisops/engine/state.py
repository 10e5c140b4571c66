"""The time levels of a system's fields: memory to march in, and what of it has to be kept to go on later."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import lcm

import numpy as np

from seisops.engine.backend import CPU, Device
from seisops.engine.backend.memory import Pool, Pools
from seisops.engine.derive.strips import Strips
from seisops.engine.derive.system import System
from seisops.engine.lower.assignment import two_levels
from seisops.engine.symbols.template import PREFIX

__all__ = ["STATES", "States"]

State = Mapping[str, np.ndarray]

#: The memory of all time levels in this process.
STATES: Pools[Pool] = Pools()


class States:
    """Arrays for the fields of a system, reused between runs: fresh pages cost more than clearing old ones.

    Parameters
    ----------
    system : System
    strips : Strips
    in_place : sequence of devito.TimeFunction
        Fields whose newest level takes the place of their oldest.
    device : Device, optional
        Whose memory they are in.
    """

    def __init__(self, system: System, strips: Strips, in_place: Collection = (), device: Device = CPU):
        self.system, self.strips, self.in_place = system, strips, in_place
        self._pool = Pool(STATES, device)

    @property
    def period(self) -> int:
        """Time steps after which all levels take the same places again, whether fields are advanced in place or not."""
        return lcm(*(n for u in self.system.fields for n in (u.time_order, u.time_order + 1)))

    def _levels(self, u) -> int:
        """Number of time levels of a field; 1 where it lives in strips, and is advanced where it stands."""
        return 1 if u.name in self.strips.compact else u.time_order + (u not in self.in_place)

    def shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Shape of every array, halo and time levels included, for a padded grid of a given shape."""
        out = {}
        for u in self.system.fields:
            extents = self.strips.extents(u.name, shape)
            if u in self.in_place:
                out[PREFIX + two_levels(u)] = (self._levels(u), *extents)
                continue
            levels = () if u.name in self.strips.compact else (self._levels(u),)
            out.update({part.name: (*levels, *extents) for _, part in self.strips.parts(u)})
        return out

    def saved_shapes(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        """Shapes of the arrays that :meth:`save` fills."""
        places = self._places(0)
        return tuple((len(places[name]), *s[len(s) - len(shape) :]) for name, s in self.shapes(shape).items())

    @contextmanager
    def borrow(self, shape: tuple[int, ...]) -> Iterator[State]:
        """Zeroed arrays, to be given back at the end of the block."""
        shapes, dtype = self.shapes(shape), self.system.template.dtype
        arrays = self._pool.reuse(tuple(shapes.values()), dtype)
        if arrays is None:
            arrays = self._pool.new(tuple(shapes.values()), dtype)
        else:
            for a in arrays:
                a.fill(0)
        try:
            yield dict(zip(shapes, arrays, strict=True))
        finally:
            self._pool.give(arrays)

    def save(self, state: State, step: int, saved: Sequence[np.ndarray]) -> None:
        """Copy the levels from which the march goes on at the time index `step`, into arrays of `saved_shapes`."""
        for (name, places), out in zip(self._places(step).items(), saved, strict=True):
            for place, a in zip(places, out, strict=True):
                a[...] = state[name][place]

    def restore(self, state: State, step: int, saved: Sequence[np.ndarray]) -> None:
        """Put a copy made by :meth:`save` back, to march from the time index `step` again."""
        for (name, places), source in zip(self._places(step).items(), saved, strict=True):
            for place, a in zip(places, source, strict=True):
                state[name][place] = a

    def _places(self, step: int) -> dict[str, list]:
        """Where what is read before it is written is, in each array, when the march goes on at a time index."""
        out: dict[str, list] = {}
        for u, lead in zip(self.system.fields, self.system.leads, strict=True):
            levels = u.time_order + 1
            written = (step + lead) % levels
            kept = [k for k in range(levels) if k != written]
            # a field that lives in strips is advanced where it stands
            out.update({p.name: [...] if u.name in self.strips.compact else kept for _, p in self.strips.parts(u)})
        return out
