"""Maps of traces that are not linear: what they share, and how they follow one another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.data.tracewise import kinds_of_traces
from seisops.maps import Linearization, Map
from seisops.operators import LinearOperator
from seisops.spaces import Space, Traces, split

__all__ = ["Following", "TraceMap", "shots_of"]


class TraceMap(Map):
    """A map that takes the traces of each shot, of each kind, to as many traces.

    Parameters
    ----------
    domain, range : Space
        Of traces: :class:`Traces` or direct sums of such.

    Notes
    -----
    A subclass implements, for the traces (trace, time) of one shot in float64, `_value`, `_forward` and `_backward`, the
    derivative and its transpose, and `_second`, the derivative of the transpose; and `select`. Second derivatives are
    those of :meth:`second`, which misfits use.
    """

    def __init__(self, domain: Space, range: Space | None = None) -> None:
        super().__init__((domain,), domain if range is None else range)

    @abstractmethod
    def _value(self, u: NDArray, k: int) -> NDArray:
        """What becomes of the traces of a shot, of which there are k before, counted over all kinds."""

    @abstractmethod
    def _forward(self, u: NDArray, du: NDArray, k: int) -> NDArray:
        """The derivative at u, times a direction."""

    @abstractmethod
    def _backward(self, u: NDArray, y: NDArray, k: int) -> NDArray:
        """Its transpose, times y."""

    @abstractmethod
    def _second(self, u: NDArray, du: NDArray, y: NDArray, k: int) -> NDArray:
        """The derivative of `_backward(u, y)` by u, times a direction."""

    def _each(self, do: Any, out: Space, *given: tuple[NDArray, Space]) -> NDArray:
        """Carry something out shot by shot."""
        result = out.zeros()
        whole = shots_of(result, out)
        for k, (to, *arrays) in enumerate(zip(whole, *(shots_of(x, space) for x, space in given), strict=True)):
            if to.size:
                to[...] = do(*(np.asarray(a, np.float64) for a in arrays), k)
        return result

    def _call(self, *x: NDArray) -> NDArray:
        return self._each(self._value, self.range, (x[0], self.domain[0]))

    def _linearize(self, *x: NDArray) -> Linearization:
        return Linearization(self._call(*x), [TraceDerivative(self, x[0])])

    def second(self, x: Sequence[ArrayLike], dx: Sequence[ArrayLike], y: ArrayLike) -> tuple[NDArray, ...]:
        """Return the derivative of ``J(x).H y`` in a direction; see :meth:`~seisops.Map.second`."""
        ((u,), (du,)), space = (self._point(a) for a in (x, dx)), self.domain[0]
        return (self._each(self._second, space, (u, space), (du, space), (self.range.asarray(y), self.range)),)


class TraceDerivative(LinearOperator):
    """The derivative of a map of traces.

    Parameters
    ----------
    of : TraceMap
    at : ndarray
    """

    symbol = "J"

    def __init__(self, of: TraceMap, at: NDArray) -> None:
        self.of, self.at_traces = of, at
        super().__init__(of.domain[0], of.range)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.of, self.at_traces]

    def select(self, shots: Sequence[int]) -> TraceDerivative:
        """Return the derivative of some shots."""
        return TraceDerivative(self.of.select(shots), self.domain.take(self.at_traces, shots))

    def _apply(self, x: NDArray) -> NDArray:
        return self.of._each(self.of._forward, self.range, (self.at_traces, self.domain), (x, self.domain))

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self.of._each(self.of._backward, self.domain, (self.at_traces, self.domain), (y, self.range))


class Following(TraceMap):
    """A map of traces after another.

    Parameters
    ----------
    outer, inner : TraceMap
    """

    def __init__(self, outer: TraceMap, inner: TraceMap) -> None:
        self.outer, self.inner = outer, inner
        super().__init__(inner.domain[0], outer.range)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.outer, self.inner]

    def select(self, shots: Sequence[int]) -> Following:
        """Return the maps of some shots."""
        return Following(self.outer.select(shots), self.inner.select(shots))

    def _value(self, u, k):
        return self.outer._value(self.inner._value(u, k), k)

    def _forward(self, u, du, k):
        return self.outer._forward(self.inner._value(u, k), self.inner._forward(u, du, k), k)

    def _backward(self, u, y, k):
        return self.inner._backward(u, self.outer._backward(self.inner._value(u, k), y, k), k)

    def _second(self, u, du, y, k):
        value, moved = self.inner._value(u, k), self.inner._forward(u, du, k)
        bent = self.inner._backward(u, self.outer._second(value, moved, y, k), k)
        return bent + self.inner._second(u, du, self.outer._backward(value, y, k), k)


def shots_of(x: NDArray, space: Space) -> Iterator[NDArray]:
    """Views (trace, time) of the traces of each shot, of each kind."""
    parts = kinds_of_traces(space)
    for part, piece in zip(parts, split(x, parts), strict=True):
        assert isinstance(part, Traces)
        for s in range(part.shots):
            yield part.shot(piece, s)
