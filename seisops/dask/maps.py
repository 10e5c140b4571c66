"""Maps whose shots are worked off by a cluster, and their linearisations, which stay on its workers."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Sequence

from distributed import Client
from numpy.typing import ArrayLike, NDArray

from seisops.dask.cluster import Cluster, Options
from seisops.dask.errors import Failure
from seisops.dask.steps import Evaluate, Pull, Push
from seisops.maps import Linearization, Map
from seisops.operators import LinearOperator
from seisops.spaces import Space

__all__ = ["DistributedMap"]


class DistributedMap(Map):
    """A nonlinear map whose shots are worked off by a cluster.

    Attributes
    ----------
    map : Map
        The map.
    skipped : list of Failure
        Shots that failed in the last step, with ``on_error="skip"``.
    """

    def __init__(self, map: Map, options: Options, client: Client | None) -> None:
        self.map, self.options, self._cluster = map, options, Cluster(map, options, client)
        super().__init__(map.domain, map.range)

    @property
    def stands_for(self) -> Map:
        """The same map in one process."""
        return self.map

    @property
    def skipped(self) -> list[Failure]:
        """Shots that failed in the last step."""
        return self._cluster.skipped

    def select(self, shots: Sequence[int]) -> DistributedMap:
        """Return some of the shots, distributed too."""
        return DistributedMap(self.map.select(shots), self.options, self._cluster.known_client)

    def _hold(self, spaces: Sequence[Space], x: Sequence[NDArray]) -> list[list]:
        return [self._cluster.hold(space, part) for space, part in zip(spaces, x, strict=True)]

    def _call(self, *x: NDArray) -> NDArray:
        step = Evaluate("value", self.domain, (self.range,), None)
        return self._cluster.run(step, self._hold(self.domain, x))[0]

    def forget(self) -> None:
        """Release what the workers hold for the map; open linearisations stay open."""
        super().forget()
        self._cluster.drop(self._cluster.token)

    def _linearize(self, *x: NDArray) -> Linearization:
        return DistributedLinearization(self, x)

    def _make_tangent(self) -> Map:
        return DistributedMap(self.map.tangent(), self.options, self._cluster.known_client)


class Point:
    """Where a distributed map is linearised. What workers hold for it goes when the last who needs it has gone.

    Parameters
    ----------
    of : DistributedMap
    x : sequence of ndarray
    """

    def __init__(self, of: DistributedMap, x: Sequence[NDArray]) -> None:
        self.of, self.key = of, uuid.uuid4().hex
        self.held = of._hold(of.domain, x)
        self.close = weakref.finalize(self, of._cluster.drop, self.key)
        self.close.atexit = False

    def value(self) -> NDArray:
        """The value of the map."""
        step = Evaluate("linearize", self.of.domain, (self.of.range,), self.key)
        return self.of._cluster.run(step, self.held)[0]

    def push(self, dx: Sequence[ArrayLike | None]) -> NDArray:
        """The derivative in a direction, of which a part at least is not None."""
        of = self.of
        moving = tuple(part is not None for part in dx)
        spaces = [space for space, moves in zip(of.domain, moving, strict=True) if moves]
        arrays = [space.asarray(part) for space, part in zip(spaces, (p for p in dx if p is not None), strict=True)]
        step = Push("push", (*of.domain, *spaces), (of.range,), self.key, moving)
        return of._cluster.run(step, [*self.held, *of._hold(spaces, arrays)])[0]

    def pull(self, y: ArrayLike, wanted: Sequence[bool]) -> tuple[NDArray | None, ...]:
        """The gradients that are wanted, of which there is one at least, and None for the others."""
        of = self.of
        outputs = tuple(space for space, want in zip(of.domain, wanted, strict=True) if want)
        step = Pull("gradient", (*of.domain, of.range), outputs, self.key, tuple(wanted))
        found = iter(of._cluster.run(step, [*self.held, *of._hold([of.range], [of.range.asarray(y)])]))
        return tuple(next(found) if want else None for want in wanted)


class DistributedLinearization(Linearization):
    """A linearisation whose wavefields stay on the workers that made them."""

    def __init__(self, of: DistributedMap, x: Sequence[NDArray]) -> None:
        self._at = Point(of, x)
        super().__init__(self._at.value(), [ByArgument(self._at, i) for i in range(len(x))], self._at.close)

    def pushforward(self, *dx: ArrayLike | None) -> NDArray:
        """Return the derivative in a direction; see :class:`~seisops.maps.Linearization`."""
        if all(part is None for part in dx):
            return super().pushforward(*dx)
        self._require_open()
        return self._at.push(dx)

    def pullback(self, y: ArrayLike, wanted: Sequence[bool] | None = None) -> tuple[NDArray | None, ...]:
        """Return gradients; see :class:`~seisops.maps.Linearization`."""
        wanted = tuple([True] * len(self._at.of.domain) if wanted is None else wanted)
        self._require_open()
        return self._at.pull(y, wanted) if any(wanted) else (None,) * len(wanted)


class ByArgument(LinearOperator):
    """The derivative by one argument of a distributed map."""

    symbol = "J"

    def __init__(self, at: Point, argument: int) -> None:
        self.at, self.argument, self.count = at, argument, len(at.of.domain)
        super().__init__(at.of.domain[argument], at.of.range)

    def _apply(self, x: NDArray) -> NDArray:
        return self.at.push([x if i == self.argument else None for i in range(self.count)])

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self.at.pull(y, [i == self.argument for i in range(self.count)])[self.argument]
