"""How the history of a background lies in memory: rows of its saved factors, and segments of the time axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, prod

import numpy as np

from seisops.wave.storage.pool import Arrays

__all__ = ["Layout", "Segment"]


@dataclass(frozen=True)
class Segment:
    """Part of the time loop, and the history there.

    Attributes
    ----------
    first, last : int
        Rows of the loop, both included. Row n of the equation determines the field at n + 1 forward; the last row of
        all, N, is taken backward only.
    histories : tuple of arrays
        One for each factor or field; entry ``before + i`` belongs to row ``first + i * every``.
    """

    first: int
    last: int
    histories: Arrays = ()


@dataclass(frozen=True)
class Layout:
    """The history of one shot.

    Attributes
    ----------
    steps : int
        N: rows 0 .. N - 1 have a history.
    every : int
        Every how many rows there is one.
    before : int
        Entries that precede that of the first row of a segment, for images to look back at.
    unit : int
        Segments start at multiples of this: there, the time levels of the fields take the places that they took at 0.
    shapes : tuple of tuple of int
        Shape of one entry of each factor or field, with its halo.
    dtype : str
    step : float
        Length of a time step in s.
    state_shapes : tuple of tuple of int
        Arrays that hold all that is needed to march on from a row.
    edges : callable
        ``edges()`` gives the shapes, for one row, of the arrays that hold what is needed along the edges to march backward;
        it raises a ParameterError where the wave equation does not allow it.
    """

    steps: int
    every: int
    unit: int
    shapes: tuple[tuple[int, ...], ...]
    dtype: str
    step: float
    state_shapes: tuple[tuple[int, ...], ...]
    edges: Callable[[], tuple[tuple[int, ...], ...]] = tuple
    before: int = 0

    @property
    def plain(self) -> Layout:
        """The same in numbers alone: what is cached for it keeps no medium alive, and serves the next."""
        return replace(self, edges=tuple)

    @property
    def itemsize(self) -> int:
        return np.dtype(self.dtype).itemsize

    def entries(self, rows: int) -> int:
        """How many entries of the history belong to a segment of so many rows."""
        return (rows - 1) // self.every + 1 + self.before

    def arrays(self, rows: int) -> list[tuple[int, ...]]:
        """Shapes of the histories of a segment of so many rows."""
        return [(self.entries(rows), *shape) for shape in self.shapes]

    def nbytes(self, rows: int) -> int:
        """Memory of the histories of a segment of so many rows."""
        return self.entries(rows) * self.entry_bytes

    @property
    def entry_bytes(self) -> int:
        return sum(prod(shape) for shape in self.shapes) * self.itemsize

    @property
    def whole_bytes(self) -> int:
        """Memory of the whole history."""
        return self.nbytes(self.steps + 1)

    @property
    def state_bytes(self) -> int:
        """Memory of a copy of the state."""
        return sum(prod(shape) for shape in self.state_shapes) * self.itemsize

    def segments(self, length: int) -> list[tuple[int, int]]:
        """The rows 0 .. N in segments of so many rows, a multiple of `unit`; row N joins the last."""
        starts = range(0, self.steps, length)
        return [(a, min(a + length - 1, self.steps - 1) + (a + length >= self.steps)) for a in starts]

    def longest(self, length: int) -> int:
        """Rows of the longest segment: one of `length` that row N has joined."""
        return min(length, self.steps) + 1

    def buffer_bytes(self, length: int) -> int:
        """Memory of the histories of any one segment."""
        return self.nbytes(self.longest(length))

    def length(self, rows: int) -> int:
        """The length of segments, a multiple of `unit`, that is at least so many rows or all of them."""
        return min(ceil(max(1, rows) / self.unit), ceil(self.steps / self.unit)) * self.unit

    def length_within(self, nbytes: int) -> int:
        """The greatest length of segments whose histories take at most so much memory, but at least one unit."""
        entries = nbytes // self.entry_bytes - 1 - self.before
        return self.length(max(self.unit, entries * self.every // self.unit * self.unit))

    def view(self, buffer: Arrays, first: int, last: int) -> Arrays:
        """The part of a buffer for the histories of a segment, where row N has none."""
        n = self.entries(last - first + 1)
        view = tuple(a[:n] for a in buffer)
        if last == self.steps and last % self.every == 0:
            for a in view:
                a[-1] = 0  # met by an adjoint field that is still zero
        return view
