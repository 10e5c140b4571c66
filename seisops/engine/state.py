"""The time levels of a system's fields: memory to march in, and what of it has to be kept to go on later."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import lcm

import numpy as np
from numpy.typing import DTypeLike

from seisops.engine.arrays import in_rows
from seisops.engine.backend import CPU, Device
from seisops.engine.backend.memory import Pool, Pools
from seisops.engine.facts import Field
from seisops.engine.symbols.names import PREFIX, two_levels

__all__ = ["STATES", "States"]

State = Mapping[str, np.ndarray]

#: The memory of all time levels in this process.
STATES: Pools[Pool] = Pools()


class States:
    """Arrays for the fields of a system, reused between runs: fresh pages cost more than clearing old ones.

    Parameters
    ----------
    fields : sequence of Field
    halo : int
        Cells around the grid that arrays have.
    dtype : dtype
    in_place : sequence of str
        Names of fields whose newest level takes the place of their oldest.
    device : Device, optional
        Whose memory they are in.
    """

    def __init__(
        self, fields: Sequence[Field], halo: int, dtype: DTypeLike, in_place: Collection[str] = (), device: Device = CPU
    ):
        self.fields, self.halo, self.dtype, self.in_place = tuple(fields), halo, np.dtype(dtype), in_place
        self._pool = Pool(STATES, device)

    @property
    def period(self) -> int:
        """Time steps after which all levels take the same places again, whether fields are advanced in place or not."""
        return lcm(*(n for u in self.fields for n in (u.order, u.order + 1)))

    def _extents(self, u: Field, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of an array that holds a field, halo included."""
        cells = tuple(u.cells if axis == u.axis else n + 2 * self.halo for axis, n in enumerate(shape))
        return in_rows(cells, self.dtype.itemsize)

    def shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Shape of every array, halo and time levels included, for a padded grid of a given shape."""
        out = {}
        for u in self.fields:
            extents = self._extents(u, shape)
            if u.name in self.in_place:
                out[PREFIX + two_levels(u.name)] = (u.order, *extents)
                continue
            levels = () if u.compact else (u.order + 1,)
            out.update({name: (*levels, *extents) for name in u.parts})
        return out

    def saved_shapes(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        """Shapes of the arrays that :meth:`save` fills."""
        places = self._places(0)
        return tuple((len(places[name]), *s[len(s) - len(shape) :]) for name, s in self.shapes(shape).items())

    @contextmanager
    def borrow(self, shape: tuple[int, ...]) -> Iterator[State]:
        """Zeroed arrays, to be given back at the end of the block."""
        shapes, dtype = self.shapes(shape), self.dtype
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

    def level(self, state: State, name: str, back: int, halo: int, shape: Sequence[int]) -> np.ndarray:
        """A field at the time index 0, so many steps before its newest level, on a padded grid of a given shape."""
        (u,) = (u for u in self.fields if u.name == name)
        inside = tuple(slice(self.halo - halo, self.halo + n + halo) for n in shape)
        return state[name][(u.lead - back) % (u.order + 1)][inside]

    def _places(self, step: int) -> dict[str, list]:
        """Where what is read before it is written is, in each array, when the march goes on at a time index."""
        out: dict[str, list] = {}
        for u in self.fields:
            written = (step + u.lead) % (u.order + 1)
            kept = [k for k in range(u.order + 1) if k != written]
            # a field that lives in strips is advanced where it stands
            out.update({name: [...] if u.compact else kept for name in u.parts})
        return out
