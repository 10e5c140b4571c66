"""Operators that do to each trace what they do, whatever the others are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError
from seisops.maps import Map
from seisops.operators import LinearOperator
from seisops.spaces import Axis, DirectSum, PerShot, Space, Traces, joint, split
from seisops.survey import Survey
from seisops.wave._validate import floats

__all__ = ["Tracewise", "alike", "kinds_of_traces", "numbers_of_traces", "per_trace", "taken", "traces_of"]

#: Numbers that are worked on at a time, which a core's cache holds.
BLOCK = 2**17


def traces_of(of: Any, who: str) -> Space:
    """The space of traces that something has, or is: :class:`Traces`, or a direct sum of such.

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
    who : str
        Who asks, for messages.
    """
    space = of
    if isinstance(of, LinearOperator | Map):
        space = of.range
    elif isinstance(of, Survey):
        space = of.space
    if not isinstance(space, Space) or not all(isinstance(part, Traces) for part in kinds_of_traces(space)):
        raise ParameterError(
            f"{who} needs traces: a modeling operator such as F = Pr * Ainv * Ps.H, a map or a Survey, or a space such as "
            f"F.range, got {space!r:.200}"
        )
    return space


def kinds_of_traces(space: Space) -> tuple[Space, ...]:
    """The spaces that a space is the direct sum of: traces of one component each, or of one shot."""
    return space.parts if isinstance(space, DirectSum) else (space,)


def per_trace(space: Space) -> Space:
    """The space of one number for each trace: of the same shape as traces, but for the axis of time, of length 1."""
    return alike(space, [Traces(part.counts, Axis("time", 1), part.dtype) for part in kinds_of_traces(space)])


def alike(space: Space, parts: Sequence[Space]) -> Space:
    """The sum of other traces that is one as a space is: of shots, or of components."""
    return PerShot(parts) if isinstance(space, PerShot) else joint(parts)


def numbers_of_traces(name: str, values: ArrayLike, space: Space) -> NDArray[np.float64]:
    """One number for each trace, flat, of what broadcasts to (shots, points), or has as many."""
    each = per_trace(space)
    shape = (each.size,) if isinstance(space, DirectSum) else each.shape[:-1]
    try:
        values = floats(values)
        flat = values.ndim == 1 and values.size == each.size
        values = np.broadcast_to(values.reshape(shape) if flat else values, shape).ravel()
    except (TypeError, ValueError):
        raise ParameterError(
            f"{name} of shape {np.shape(values)} are not numbers for each trace of {space}: give an array of shape {shape}"
        ) from None
    if not np.isfinite(values).all():
        raise ParameterError(f"{name}: {np.count_nonzero(~np.isfinite(values))} of {values.size} are NaN or infinite")
    return values


class Tracewise(LinearOperator):
    """A linear operator that takes each trace to one trace.

    Parameters
    ----------
    domain : Space
        Of traces: :class:`Traces` or a direct sum of such.
    range : Space, optional
        Of as many traces, on other time axes; by default the domain.

    Notes
    -----
    A subclass implements `_along` and `select`.
    """

    def __init__(self, domain: Space, range: Space | None = None) -> None:
        super().__init__(domain, domain if range is None else range)

    @abstractmethod
    def _along(self, traces: NDArray, axis: Axis, first: int, adjoint: bool) -> NDArray:
        """What becomes of traces (trace, time), of which the first is that number of all.

        `axis` is their time axis in the domain of the operator.
        """

    def _traced(self, x: NDArray, given: Space, made: Space, adjoint: bool) -> NDArray:
        out, first = made.zeros(), 0
        kinds = kinds_of_traces(self.domain)
        counts = [sum(part.counts) for part in kinds]
        for a, b, space in zip(_cut(x, given, counts), _cut(out, made, counts), kinds, strict=True):
            rows = max(1, BLOCK // max(a.shape[-1], 1))
            for i in range(0, len(a), rows):
                b[i : i + rows] = self._along(a[i : i + rows], space.time_axis, first + i, adjoint)
            first += len(a)
        return out

    def _apply(self, x: NDArray) -> NDArray:
        return self._traced(x, self.domain, self.range, False)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._traced(y, self.range, self.domain, True)


def _cut(x: NDArray, space: Space, counts: Sequence[int]) -> list[NDArray]:
    """The traces (trace, time) of each kind, as views; also where all kinds have become one."""
    parts = kinds_of_traces(space)
    found = [piece.reshape(-1, piece.shape[-1]) for piece in split(x, parts)]
    return found if len(parts) == len(counts) else np.split(found[0], np.cumsum(counts)[:-1])


def taken(values: NDArray, space: Space, shots: Sequence[int]) -> NDArray:
    """Of one number for each trace those of the traces of some shots."""
    each = per_trace(space)
    return each.take(each.asarray(values), shots).astype(np.float64).ravel()
