"""What is known of an equation without boundaries: how it acts on plane waves, and when its fields are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from seisops.engine.stability.plane_waves import Symbol
from seisops.engine.symbols.names import PREFIX

__all__ = ["Interior"]


@dataclass(frozen=True)
class Interior:
    """An equation without boundaries.

    Attributes
    ----------
    symbol : Symbol
    halo : int
        Cells around the grid that arrays have: as many as its order, or in multiples of that as many as it looks at.
    times, row_times : mapping
        Place of each field, and of each row, within the time step, by the name of the field's symbol; see
        :func:`seisops.engine.stability.timing.times`.
    """

    symbol: Symbol
    halo: int
    times: Mapping[str, Fraction]
    row_times: Mapping[str, Fraction]

    def staggered(self, channels: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> bool:
        """Whether anything is driven or heard between the time steps: rows, and fields, of each component, by name."""
        driven = (self.row_times[PREFIX + name] for rows, _ in channels for name in rows)
        heard = (self.times[PREFIX + name] for _, fields in channels for name in fields)
        return any(time != 0 for time in (*driven, *heard))
