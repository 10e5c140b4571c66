"""Operators and maps that consist of one for each shot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from numpy.typing import ArrayLike, NDArray

from seisops.maps import Linearization, Map
from seisops.operators import LinearOperator
from seisops.spaces import Space, shot_numbers

Found = TypeVar("Found")

#: Does ``work(0)``, .., ``work(n - 1)`` side by side; results in order.
Together = Callable[[Callable[[int], Any], int], Iterator]

__all__ = ["Parts", "Shotwise", "ShotwiseMap", "Together"]


class Build(Protocol):
    """Makes the operators, or maps, of shots."""

    def __call__(self, shot: int) -> LinearOperator | Map:
        """That of a shot."""

    def made_of(self, shots: Sequence[int]) -> list:
        """What those of some shots are made of, for a fingerprint: without making them, of which each has a model."""

    def work(self, shot: int) -> int:
        """What that of a shot takes beside others: grid points times samples."""


class Memory(Protocol):
    """What holds memory, and releases it."""

    held_bytes: int
    waiting_bytes: int

    def forget(self) -> None:
        """Release what could be computed again, and what is spare."""


class Parts(Sequence):
    """One operator or map for each shot, made when asked for.

    Parameters
    ----------
    build : Build
        Makes that of a shot from its number.
    numbers : sequence of int
        Of the shots.
    keep : bool
        Whether what was made is kept: Jacobians keep their backgrounds, modeling operators have nothing worth it.
    """

    def __init__(self, build: Build, numbers: Sequence[int], keep: bool):
        self.build, self.numbers, self.keep = build, tuple(numbers), keep
        self.made: dict[int, LinearOperator | Map] = {}

    def __getstate__(self):
        return {**self.__dict__, "made": {}}

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> LinearOperator | Map:
        number = self.numbers[index]
        part = self.made.get(number) or self.build(number)
        if self.keep:
            self.made[number] = part
        return part

    def costliest(self) -> Any:
        """The operator, or map, of the shot that takes most."""
        return self.build(max(self.numbers, key=self.build.work))

    def select(self, shots: Sequence[int]) -> Parts:
        """Those of some shots."""
        shots = shot_numbers(shots, len(self), f"a survey of {len(self)} shots")
        return Parts(self.build, [self.numbers[i] for i in shots], self.keep)

    @classmethod
    def of(cls, parts: Sequence[LinearOperator]) -> Parts:
        """Parts that exist already."""
        return cls(Made(tuple(parts)), range(len(parts)), False)

    def _fingerprint(self) -> list:
        return [type(self.build), *self.build.made_of(self.numbers)]


@dataclass(frozen=True)
class Made:
    """Operators that exist already."""

    parts: tuple[LinearOperator, ...]

    def __call__(self, shot: int) -> LinearOperator:
        return self.parts[shot]

    def made_of(self, shots: Sequence[int]) -> list:
        """Those of the shots."""
        return [self.parts[i] for i in shots]

    def work(self, shot: int) -> int:
        """All the same, as they are made."""
        return 1


class Shotwise(LinearOperator):
    """An operator that consists of one for each shot.

    Parameters
    ----------
    parts : Parts
        Each maps a shot's part of `domain` (all of it, where shots share it) to the shot's part of `range`.
    domain, range : Space
    together : callable, optional
        What works shots off side by side; by default they are worked off one by one.
    """

    symbol = "S"
    solves = True
    anywhere = True

    def __init__(self, parts: Parts, domain: Space, range: Space, together: Together | None = None):
        self.parts, self.together = parts, together
        super().__init__(domain, range)

    def _fingerprint(self) -> list:
        return [self.parts]

    @property
    def shots(self) -> int:
        """The number of shots."""
        return len(self.parts)

    @property
    def costliest(self) -> LinearOperator:
        """What stands for all shots in a plan: the one that takes most."""
        return self.parts.costliest()

    @property
    def held_bytes(self) -> int:
        """How much memory the parts hold."""
        return sum(part.held_bytes for part in self.parts.made.values())

    @property
    def spare_bytes(self) -> int:
        """How much memory the parts have that waits for what they hold next; they share it."""
        return max((part.spare_bytes for part in self.parts.made.values()), default=0)

    def forget(self) -> None:
        """Release what the parts hold, and what is spare."""
        for part in self.parts.made.values():
            part.forget()

    @property
    def home(self) -> tuple[int, int] | None:
        """Where the waves of the parts are."""
        return self.parts[0].home

    def select(self, shots: Sequence[int]) -> Shotwise:
        """Return the operators of some shots."""
        spaces = self.domain.select(shots), self.range.select(shots)
        return Shotwise(self.parts.select(shots), *spaces, self.together)

    def _apply(self, x: NDArray) -> NDArray:
        return self._of_all(lambda part, x: part.matvec(x), self.domain, x, self.range)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._of_all(lambda part, y: part.rmatvec(y), self.range, y, self.domain)

    def _of_all(self, product: Callable, given: Space, x: NDArray, made: Space) -> NDArray:
        def one(i: int) -> NDArray:
            return product(self.parts[i], given.take(x, [i]).ravel())

        out = made.zeros(x)
        for i, found in enumerate(_each(one, len(self.parts), self.together)):
            made.put(out, found.reshape(made.select([i]).shape), [i])
        return out


def _each(work: Callable[[int], Found], n: int, together: Together | None) -> Iterator[Found]:
    """The results of some work for every shot, in order."""
    return together(work, n) if together else map(work, range(n))


class ShotwiseMap(Map):
    """A map that consists of one for each shot.

    Parameters
    ----------
    parts : Parts
        Each maps a shot's part of the arguments (all of an argument, where shots share it) to its part of `range`.
    domain : sequence of Space
    range : Space
    pool : Memory
        What the parts share, such as a :class:`~seisops.wave.storage.pool.Pool`.
    together : callable, optional
        What works shots off side by side; by default they are worked off one by one.
    """

    anywhere = True

    def __init__(
        self, parts: Parts, domain: Sequence[Space], range: Space, pool: Memory, together: Together | None = None
    ):
        self.parts, self.pool, self._together = parts, pool, together
        super().__init__(domain, range)

    def _fingerprint(self) -> list:
        return [self.parts]

    @property
    def shots(self) -> int:
        """The number of shots."""
        return len(self.parts)

    @property
    def costliest(self) -> Map:
        """What stands for all shots in a plan: the one that takes most."""
        return self.parts.costliest()

    def select(self, shots: Sequence[int]) -> ShotwiseMap:
        """Return the maps of some shots."""
        domain = [space.select(shots) for space in self._domain]
        return ShotwiseMap(self.parts.select(shots), domain, self._range.select(shots), self.pool, self._together)

    @property
    def held_bytes(self) -> int:
        """How much memory its open linearisations hold that could be computed again."""
        return self.pool.held_bytes

    @property
    def spare_bytes(self) -> int:
        """How much memory it has that waits for what its next linearisations hold."""
        return self.pool.waiting_bytes

    def forget(self) -> None:
        """Release what it could compute again, and what is spare; open linearisations stay open."""
        super().forget()
        self.pool.forget()

    def _of(self, x: Sequence[NDArray], i: int) -> list[NDArray]:
        return [space.take(part, [i]).ravel() for space, part in zip(self._domain, x, strict=True)]

    def _put(self, out: NDArray, value: NDArray, i: int) -> None:
        self._range.put(out, value.reshape(self._range.select([i]).shape), [i])

    def _call(self, *x: NDArray) -> NDArray:
        out = None
        for i, value in enumerate(self.each(lambda i: self.parts[i](*self._of(x, i)))):
            out = self._range.zeros(value) if out is None else out
            self._put(out, value, i)
        return out

    @property
    def together(self) -> Together | None:
        """What works shots off side by side, if they are not worked off one by one."""
        return self._together

    def each(self, work: Callable[[int], Found]) -> Iterator[Found]:
        """The results of some work for every shot, in order."""
        return _each(work, len(self.parts), self.together)

    @property
    def home(self) -> tuple[int, int] | None:
        """Where the waves of the parts are."""
        return self.parts[0].home

    def _linearize(self, *x: NDArray) -> Linearization:
        return ShotwiseLinearization(self, x)

    def _make_tangent(self) -> Map:
        parts = Parts(Tangents(self.parts), range(len(self.parts)), False)
        return ShotwiseMap(parts, self._domain * 2, self._range, self.pool, self.together)


class Tangents:
    """The tangents of maps, by number."""

    def __init__(self, parts: Parts):
        self.parts = parts

    def __call__(self, i: int) -> Map:
        return self.parts[i].tangent()

    def made_of(self, shots: Sequence[int]) -> list:
        """The maps of the shots."""
        return [self.parts.select(shots)]

    def work(self, i: int) -> int:
        """That of the map."""
        return self.parts.build.work(self.parts.numbers[i])


class ShotwiseLinearization(Linearization):
    """The linearisations of all shots, of which each takes its own derivatives by all arguments at once."""

    def __init__(self, of: ShotwiseMap, x: Sequence[NDArray]):
        self._of = of
        self._parts: list[Linearization] = []
        value = None
        try:
            for i, at_x in enumerate(of.each(lambda i: of.parts[i].linearize_at(*of._of(x, i)))):
                self._parts.append(at_x)
                value = of.range.zeros(at_x.value) if value is None else value
                of._put(value, at_x.value, i)
        except BaseException:
            self._close_parts()
            raise

        def jacobians() -> list[Shotwise]:
            columns = zip(*(part.jacobians for part in self._parts), strict=True)
            return [
                Shotwise(Parts.of(column), space, of.range, of.together)
                for space, column in zip(of.domain, columns, strict=True)
            ]

        super().__init__(value, jacobians, self._close_parts)

    def _close_parts(self) -> None:
        for part in self._parts:
            part.close()

    @property
    def held_bytes(self) -> int:
        """How much memory the linearisations hold."""
        return sum(part.held_bytes for part in self._parts)

    def pushforward(self, *dx: ArrayLike | None) -> NDArray:
        """Return the derivative in a direction; see :class:`~seisops.maps.Linearization`."""
        self._require_open()
        of, out = self._of, None
        dx = [None if part is None else space.asarray(part) for space, part in zip(of.domain, dx, strict=True)]

        def pushed(i: int) -> NDArray:
            given = (
                None if part is None else space.take(part, [i]).ravel()
                for space, part in zip(of.domain, dx, strict=True)
            )
            return self._parts[i].pushforward(*given)

        for i, value in enumerate(of.each(pushed)):
            out = of.range.zeros(value) if out is None else out
            of._put(out, value, i)
        return out

    def pullback(self, y: ArrayLike, wanted: Sequence[bool] | None = None) -> tuple[NDArray | None, ...]:
        """Return gradients; see :class:`~seisops.maps.Linearization`."""
        self._require_open()
        of = self._of
        wanted = [True] * len(of.domain) if wanted is None else list(wanted)
        y = of.range.asarray(y)
        out = [space.zeros(y) if want else None for space, want in zip(of.domain, wanted, strict=True)]
        pulled = of.each(lambda i: self._parts[i].pullback(of.range.take(y, [i]).ravel(), wanted))
        for i, found in enumerate(pulled):
            for space, total, part in zip(of.domain, out, found, strict=True):
                if part is not None:
                    space.put(total, part.reshape(space.select([i]).shape), [i])
        return tuple(out)
