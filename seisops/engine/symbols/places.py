"""Where samples lie: those of a field, and of what enters its row, within the cell and within the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from seisops.engine.symbols.closure import closure

__all__ = ["ON_SURFACE", "Component", "Place", "components"]

#: The part below a free surface of what is even and lies on it.
ON_SURFACE = 0.5


@dataclass(frozen=True)
class Place:
    """Where samples lie.

    Attributes
    ----------
    cell : tuple of Fraction
        Offset from the nodes of the grid, in cells along each axis.
    time : Fraction
        Offset from the samples of the solver, in steps.
    parity : int
        What continues them above a free surface: 1 an even, -1 an odd extension; 0 without one.
    closed : int
        Order of the differences that end at a free surface, above which nothing continues them; 0 without one.
    held : bool
        Whether they are zero, whatever is done to them, in the nodes of a surface at which differences end.
    """

    cell: tuple[Fraction, ...]
    time: Fraction = Fraction(0)
    parity: int = 0
    closed: int = 0
    held: bool = False

    @property
    def weighted(self) -> bool:
        """Whether there are samples to which less or more than a cell belongs: what enters them is divided by that part."""
        return self.on_surface or self.closed > 0

    def weight(self, n: int) -> np.ndarray:
        """The part of a cell that belongs to each of the first n samples below a free surface."""
        if self.closed:
            return closure(self.closed).weight(self.cell[-1] != 0, n)
        out = np.ones(n)
        out[0] = ON_SURFACE if self.on_surface else 1.0
        return out

    @property
    def on_surface(self) -> bool:
        """Whether samples lie on a free surface and do not vanish there: half of such a cell is above it."""
        return self.parity > 0 and self.cell[-1] == 0


@dataclass(frozen=True)
class Component:
    """The part of a channel that lies in one place: a linear form of fields, or of what enters their rows.

    Attributes
    ----------
    channel : int
    weights : tuple of (int, float)
        By number of the field or row.
    place : Place
    lead : int
        Index of the sample that a row of the time loop determines, counted from that of the row; 0 for what enters.
    silent : bool
        Whether all of it is zero, or moves nothing, in the nodes of a surface at which differences end.
    """

    channel: int
    weights: tuple[tuple[int, float], ...]
    place: Place
    lead: int
    silent: bool = False


def components(
    channels: Sequence[Mapping[int, float]], places: Sequence[Place], leads: Sequence[int], silent: Sequence[bool]
) -> tuple[Component, ...]:
    """Channels taken apart by place.

    Parameters
    ----------
    channels : sequence of mapping
        For every channel, weights by number of the field.
    places : sequence of Place
    leads : sequence of int
        Of every field.
    silent : sequence of bool
        Of every field, or row; see :class:`Component`.
    """
    out = []
    for n, channel in enumerate(channels):
        parts: dict = {}
        for i, weight in channel.items():
            parts.setdefault((places[i], leads[i]), []).append((i, weight))
        out += [
            Component(n, tuple(weights), place, lead, all(silent[i] for i, _ in weights))
            for (place, lead), weights in parts.items()
        ]
    return tuple(out)
