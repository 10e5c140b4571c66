"""What is known of an equation without boundaries: how it acts on plane waves, and when its fields are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from seisops.engine.stability.plane_waves import Symbol

__all__ = ["Interior"]


@dataclass(frozen=True)
class Interior:
    """An equation without boundaries.

    Attributes
    ----------
    symbol : Symbol
    times, row_times : mapping
        Place of each field, and of each row, within the time step, by the name of the field's symbol; see
        :func:`seisops.engine.stability.timing.times`.
    """

    symbol: Symbol
    times: Mapping[str, Fraction]
    row_times: Mapping[str, Fraction]

    @property
    def staggered(self) -> bool:
        """Whether fields or rows stand between the time steps."""
        return any(t != 0 for by_name in (self.times, self.row_times) for t in by_name.values())
