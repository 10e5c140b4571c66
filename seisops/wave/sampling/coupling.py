"""How samplers take part in a solve: what enters the wavefield by them, and what they take from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import NDArray

from seisops.wave.discretise.discretisation import Discretisation
from seisops.wave.sampling.points import Coordinates
from seisops.wave.sampling.ways import Way
from seisops.wave.sampling.where import Where

__all__ = ["Coupling", "total"]


class Coupling(ABC):
    """One side of a solve as a sampler sees it: mixed into the samplers of wavefields.

    A sampler says what ways it goes into the wavefield, or out of it, by :meth:`entering` and :meth:`leaving`; the solver
    opens them. What enters by :meth:`entering` is the transpose of what :meth:`found` makes of :meth:`leaving`.
    """

    #: Which component of a medium it samples, by name; None for the first.
    component: str | None = None

    #: The imaging condition behind it, if it is one: its background has to be there in the solve.
    imaging: Coupling | None = None

    #: Where it samples, if that is at points.
    points: Coordinates | None = None

    def own(self, side: Where) -> Where:
        """Where on one side of a solve it meets the wavefield: what a solve hands to the methods below."""
        return side.component(self.component)

    @abstractmethod
    def entering(self, shot: int, x: NDArray, where: Where) -> list[Way]:
        """What enters the wavefield of a shot, of an array in the sampler's range."""

    @abstractmethod
    def leaving(self, shot: int, where: Where) -> list[Way]:
        """What is to be read from the wavefield of a shot."""

    @abstractmethod
    def found(self, results: Sequence[Any], where: Where) -> NDArray:
        """The shot's part of the sampler's range, made of what was read: a result for each way of :meth:`leaving`."""

    def deliver(self, values: NDArray, shot: int, out: NDArray) -> None:
        """Put what was found for a shot into an array of the range."""
        out[shot] = values

    def require_fit(self, discretisation: Discretisation) -> None:  # noqa: B027 - most fit everywhere
        """Refuse a solve in which there is nothing to sample."""

    # -- for warnings

    def signals(self, x: NDArray) -> NDArray | None:
        """The signals of the sources that it is, with time along the last axis; None if it has none."""
        return None

    def silent(self, shot: int, where: Where) -> int:
        """Number of points of a shot if all of them lie where nothing is emitted or heard, else 0."""
        return 0


def total(parts: Iterable[NDArray]) -> NDArray:
    """What several components make together."""
    first, *others = parts
    return sum(others, first)
