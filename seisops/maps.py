"""Nonlinear maps between spaces, their linearisations, and the chain rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import seisops._arrays as _arrays
from seisops._table import Told, listed, made_of, together
from seisops.errors import ParameterError, SpaceError, shown, unidentified
from seisops.operators import (
    Embedding,
    HStack,
    Identity,
    LinearOperator,
    VStack,
    Zero,
    add,
    as_operator,
    compose,
    scale,
)
from seisops.spaces import DirectSum, Space, compatible, difference, join, joint, require_space, split

__all__ = ["Arranged", "Composed", "LinearMap", "Linearization", "Map", "Stacked"]


def __dir__() -> list[str]:
    return __all__


class Linearization:
    """A map at a point: its value and its derivatives there.

    Parameters
    ----------
    value : ndarray
        The value of the map. Yours to change: the derivatives do not look at it.
    jacobians : sequence of LinearOperator, or callable
        The derivative by every argument; a callable without arguments that returns them is called when they
        are first needed.
    close : callable, optional
        Frees what the derivatives hold, such as a wavefield.

    Notes
    -----
    A context manager: leaving it closes it, and its Jacobians must not be used any more. Not closing is no
    error; memory is then freed with the last reference.
    """

    def __init__(
        self,
        value: NDArray,
        jacobians: Sequence[LinearOperator] | Callable[[], Sequence[LinearOperator]],
        close: Callable[[], None] | None = None,
    ) -> None:
        self.value = value
        self._jacobians = jacobians if callable(jacobians) else tuple(jacobians)
        self._close = close
        self._closed = False

    @property
    def jacobians(self) -> tuple[LinearOperator, ...]:
        """The derivative by every argument of the map."""
        self._require_open()
        if callable(self._jacobians):
            self._jacobians = tuple(self._jacobians())
        return self._jacobians

    def pushforward(self, *dx: ArrayLike | None) -> NDArray:
        """Return the derivative in a direction: the sum of ``J_i dx_i``, in one solve where the Jacobians share it.

        Parameters
        ----------
        *dx : array_like or None
            One array for every argument; None for an argument that does not move.
        """
        if len(dx) != len(self.jacobians):
            raise SpaceError(
                f"pushforward takes a direction for each of the {len(self.jacobians)} arguments, got {len(dx)}: give None "
                "for an argument that does not move"
            )
        chosen = [j for j, part in zip(self.jacobians, dx, strict=True) if part is not None]
        moving = [part for part in dx if part is not None]
        if not chosen:
            return np.zeros_like(self.value)
        row, lying = HStack(chosen), _lying(moving)
        with _arrays.current(lying):
            flat = join(_arrays.there(j.domain.asarray(x), lying) for j, x in zip(chosen, moving, strict=True))
            return _arrays.returned(row.range.asarray(row.matvec(flat)), lying)

    def pullback(self, y: ArrayLike, wanted: Sequence[bool] | None = None) -> tuple[NDArray | None, ...]:
        """Return ``J_i.H y`` for every argument: gradients, in one solve where the Jacobians share it.

        Parameters
        ----------
        y : array_like
            An array of the map's range.
        wanted : sequence of bool, optional
            Which arguments to compute; None takes the place of the others. By default all.
        """
        wanted = [True] * len(self.jacobians) if wanted is None else wanted
        chosen = [j for j, want in zip(self.jacobians, wanted, strict=True) if want]
        if not chosen:
            return (None,) * len(wanted)
        row = HStack(chosen)
        with _arrays.current(y):
            found = split(row.rmatvec(row.range.asarray(y).ravel()), [j.domain for j in chosen])
            parts = iter([_arrays.returned(part, y) for part in found])
        return tuple(next(parts) if want else None for want in wanted)

    def _require_open(self) -> None:
        if self._closed:
            raise ParameterError("this linearisation is closed: use its Jacobians before close(), or linearise again")

    @property
    def held_bytes(self) -> int:
        """How much memory the derivatives hold."""
        if callable(self._jacobians):
            return 0
        return sum({id(leaf): leaf.held_bytes for j in self._jacobians for leaf in j.leaves()}.values())

    def forget(self) -> None:
        """Close it: what an operator says when memory is needed."""
        self.close()

    def close(self) -> None:
        """Free what the derivatives hold; closing twice is harmless."""
        if not self._closed:
            self._closed = True
            self._jacobians = ()
            close, self._close = self._close, None  # with all that it knows
            if close is not None:
                close()

    def __enter__(self) -> Linearization:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Map(Told, ABC):
    """A differentiable map of one or more arguments.

    Parameters
    ----------
    domain : tuple of Space
        The space of every argument.
    range : Space
        The space of the values.

    Notes
    -----
    A subclass implements `_linearize` and, where the value alone is cheaper, `_call`; both get arrays shaped
    as the spaces, of NumPy unless it works on them `anywhere`. With `_make_tangent` it has derivatives of second and, as the
    tangent is a map itself, of any order.
    Maps compose: ``op @ map``, ``map @ op``, ``outer @ inner`` for an outer map of one argument; they add, and scale.
    """

    __array_ufunc__ = None
    _tangent: Map | None = None

    #: Whether it works on arrays wherever they are: on NumPy's, and on those of a graphics processor.
    anywhere: bool = False

    def __init__(self, domain: Sequence[Space], range: Space) -> None:
        name = type(self).__name__
        if not isinstance(domain, Iterable):
            raise SpaceError(f"the domain of {name} is a tuple, a space for each argument, got {shown(domain)}")
        self._domain = tuple(domain)
        for i, space in enumerate(self._domain):
            require_space(space, f"argument {i} of {name}")
        require_space(range, f"the range of {name}")
        self._range = range

    @property
    def domain(self) -> tuple[Space, ...]:
        """The space of every argument."""
        return self._domain

    @property
    def range(self) -> Space:
        """The space of the values."""
        return self._range

    @property
    def home(self) -> tuple[int, int] | None:
        """Where its waves are, as DLPack says it: arrays that are there need not be anywhere else; None without waves."""
        return next((home for part in self._parts if (home := part.home) is not None), None)

    @property
    def shots(self) -> int | None:
        """The number of shots, or None where the map does not know of shots."""
        return next((space.shots for space in (self._range, *self._domain) if space.shots is not None), None)

    def select(self, shots: Sequence[int]) -> Map:
        """Return the map for some of its shots.

        Parameters
        ----------
        shots : sequence of int
            Indices in ``range(self.shots)``.
        """
        raise SpaceError(f"{self!r} cannot be restricted to shots: {type(self).__name__} does not define `select`")

    @property
    def held_bytes(self) -> int:
        """How much memory it and its open linearisations hold that could be computed again."""
        return sum(part.held_bytes for part in self._owners())

    @property
    def spare_bytes(self) -> int:
        """How much memory it has that holds nothing, and waits for what its next linearisations hold."""
        return sum(part.spare_bytes for part in self._owners())

    def forget(self) -> None:
        """Release what it could compute again, and what is spare; open linearisations stay open."""
        for part in self._owners():
            part.forget()
        self._tangent = None

    @property
    def _parts(self) -> tuple[Map | LinearOperator, ...]:
        """The maps and operators that it is made of."""
        return ()

    def _owners(self) -> Iterable[Map | LinearOperator]:
        """The parts that are not made of others, each once."""
        found: dict[int, Map | LinearOperator] = {}
        for part in self._parts:
            inside = part._owners() if isinstance(part, Map) and part._parts else (part,)
            found.update((id(owner), owner) for owner in inside)
        return found.values()

    @abstractmethod
    def _linearize(self, *x: NDArray) -> Linearization:
        """Return the linearisation at a point given as arrays of the spaces, which nobody else changes."""

    def _call(self, *x: NDArray) -> NDArray:
        with self._linearize(*x) as at_x:
            return at_x.value

    def __call__(self, *x: ArrayLike) -> NDArray:
        """Return the value at a point, shaped as `range`."""
        lying = _lying(x)
        with _arrays.current(lying):
            value = self._range.asarray(self._call(*self._where(self._entered(x))))
            return _arrays.returned(_arrays.there(value, lying), lying)

    def _where(self, point: Sequence[NDArray]) -> Sequence[NDArray]:
        """A point where the map works on it."""
        return point if self.anywhere else tuple(map(_arrays.to_host, point))

    def _linearized(self, point: Sequence[NDArray], lying: Any) -> Linearization:
        with _arrays.current(lying):
            out = self._linearize(*self._where(point))
            out.value = _arrays.returned(_arrays.there(out.value, lying), lying)
            return out

    def linearize(self, *x: ArrayLike) -> Linearization:
        """Return the value and the derivatives at a point.

        Parameters
        ----------
        *x : array_like
            One array for every argument. They are copied: changing them later changes nothing.
        """
        self._require_all(x)
        point = tuple(space.owned(array) for space, array in zip(self._domain, x, strict=True))
        self._check(point)
        return self._linearized(point, _lying(x))

    def linearize_at(self, *x: NDArray) -> Linearization:
        """Return the value and the derivatives at a point that is nobody else's: neither copied nor checked.

        Parameters
        ----------
        *x : array_like
            One array for every argument, which stays as it is: a part's, at the point of the whole.
        """
        return self._linearized(self._point(x), _lying(x))

    def jacobian(self, *x: ArrayLike, argument: int = 0) -> LinearOperator:
        """Return the derivative by one argument at a point.

        Parameters
        ----------
        *x : array_like
            One array for every argument.
        argument : int, optional
            The argument; by default the first.
        """
        if not isinstance(argument, int | np.integer) or not 0 <= argument < len(self._domain):
            raise ParameterError(f"{self!r} has no argument {argument}: it has {len(self._domain)}, counted from 0")
        return self.linearize(*x).jacobians[argument]

    def tangent(self) -> Map:
        """Return the tangent map ``(x, dx) -> J(x) dx``: the same object every time.

        Its arguments are those of the map, then a direction for each. It is linear in the direction; its derivative
        by x is the second derivative of the map.

        Raises
        ------
        NotImplementedError
            If the map does not define it: use the Gauss-Newton Hessian ``J.H @ J`` instead.
        """
        if self._tangent is None:
            self._tangent = self._make_tangent()
        return self._tangent

    def second(self, x: Sequence[ArrayLike], dx: Sequence[ArrayLike], y: ArrayLike) -> tuple[NDArray, ...]:
        r"""Return the derivative of ``J(x).H y`` in the direction `dx`: the second-order part of a Hessian.

        With the Gauss-Newton part it makes the exact Hessian of a misfit :math:`\phi(F(x))`,
        :math:`H\,dx = J^H \nabla^2\phi\,J\,dx + D(J^H y)\,dx` with :math:`y = \nabla\phi` held fixed.

        Parameters
        ----------
        x, dx : sequence of array_like
            The point and the direction, one array for every argument.
        y : array_like
            An array of `range`.

        Returns
        -------
        tuple of ndarray
            One array for every argument.

        Raises
        ------
        NotImplementedError
            Unless the map has a tangent: use the Gauss-Newton Hessian ``J.H @ J`` instead.
        """
        n = len(self._domain)
        for name, given in (("x", x), ("dx", dx)):
            if not isinstance(given, Sequence) or len(given) != n:
                raise SpaceError(
                    f"second(x, dx, y) takes x and dx as a tuple of {n} arrays each, one for every argument of {self!r}; "
                    f"{name} is {type(given).__name__ if not isinstance(given, Sequence) else len(given)}"
                )
        # <y, J(x) dx> has the symmetric second derivative of <y, F(x)>: its gradient by x is what is asked for
        with self.tangent().linearize(*x, *dx) as at_x:
            return at_x.pullback(y, [True] * n + [False] * n)[:n]

    def _make_tangent(self) -> Map:
        raise NotImplementedError(
            f"{self!r} has no second derivative (it does not define `_make_tangent`): "
            "use the Gauss-Newton Hessian J.H @ J"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_tangent"}

    def _fingerprint(self) -> Sequence[Any]:
        """What makes it what it is, besides its class and spaces: numbers, text, arrays, and operators or maps."""
        raise unidentified(self)

    def _require_all(self, x: Sequence[ArrayLike]) -> None:
        if len(x) != len(self._domain):
            raise SpaceError(f"{self!r} takes {len(self._domain)} arguments, got {len(x)}")
        for i, (space, array) in enumerate(zip(self._domain, x, strict=True)):
            if space.shots is None and getattr(array, "shape", None) == (self.shots, *space.shape):
                raise SpaceError(
                    f"argument {i} of {self!r} is one {space} for all {self.shots} shots, got an array of shape "
                    f"{array.shape}: seisops.PerShot(G) is the map G of which each shot has its own"
                )

    def _point(self, x: Sequence[ArrayLike]) -> tuple[NDArray, ...]:
        self._require_all(x)
        return tuple(space.asarray(array) for space, array in zip(self._domain, x, strict=True))

    def _entered(self, x: Sequence[ArrayLike]) -> tuple[NDArray, ...]:
        """The arguments as arrays, looked at once, where they enter."""
        with np.errstate(over="ignore"):  # what overflows is said below
            point = self._point(x)
        self._check(point)
        return point

    def _check(self, point: Sequence[NDArray]) -> None:
        """Refuse arguments that would spoil all of the result; by default what is not finite."""
        for i, (space, part) in enumerate(zip(self._domain, point, strict=True)):
            space.require_finite(part, f"<{self}>: argument {i}")

    def __matmul__(self, inner: Any) -> Map:
        other = _as_map(inner, self._range)
        return NotImplemented if other is None else Composed(self, other)

    def __rmatmul__(self, outer: Any) -> Map:
        other = _as_map(outer, self._range)
        return NotImplemented if other is None else Composed(other, self)

    def __mul__(self, x: Any) -> Map:
        return _scaled(x, self) if _is_number(x) else self.__matmul__(x)

    def __rmul__(self, x: Any) -> Map:
        return _scaled(x, self) if _is_number(x) else self.__rmatmul__(x)

    def __neg__(self) -> Map:
        return _scaled(-1, self)

    def __add__(self, x: Any) -> Map:
        other = _as_map(x, self._range)
        if other is None:
            return NotImplemented
        if not compatible(self._range, other.range):
            raise SpaceError(
                f"cannot add the maps {self!r} and {other!r}: the range of the first is {self._range!r}, that of the second "
                f"{other.range!r}{difference(self._range, other.range)}"
            )
        return LinearMap(HStack([Identity(self._range), Identity(other.range)])) @ Stacked([self, other])

    __radd__ = __add__

    def __sub__(self, x: Any) -> Map:
        other = _as_map(x, self._range)
        return NotImplemented if other is None else self + -other

    def _about(self) -> dict[str, str]:
        """What else there is to say, by name: what it was made of, or what its parts say."""
        return together(part._about() for part in self._parts) if self._parts else made_of(self)

    def _rows(self) -> Iterator[tuple[str, object]]:
        yield from ((f"argument {i}", repr(space)[1:-1]) for i, space in enumerate(self._domain))
        yield "to", repr(self._range)[1:-1]
        yield from self._about().items()

    def __str__(self) -> str:
        return f"{type(self).__name__}: ({', '.join(map(str, self._domain))}) -> {self._range}"

    def __repr__(self) -> str:
        return f"<{self}{listed(self._about())}>"


class LinearMap(Map):
    """A linear operator as a map of one argument.

    Parameters
    ----------
    op : LinearOperator
        The operator.
    """

    anywhere = True

    def __init__(self, op: LinearOperator) -> None:
        self.op = op
        super().__init__((op.domain,), op.range)

    @property
    def _parts(self) -> tuple[LinearOperator]:
        return (self.op,)

    def select(self, shots: Sequence[int]) -> LinearMap:
        """Return the map of the operator for some shots."""
        return LinearMap(self.op.select(shots))

    def _fingerprint(self) -> Sequence[Any]:
        return [self.op]

    def _call(self, *x: NDArray) -> NDArray:
        return self._range.asarray(self.op.matvec(x[0].ravel()))

    def _linearize(self, *x: NDArray) -> Linearization:
        return Linearization(self._call(*x), (self.op,))

    def _make_tangent(self) -> Map:
        return Arranged(self, self._domain * 2, [(1,)])


class Composed(Map):
    """A map after other maps: ``outer(inner_1(x), inner_2(x), ...)``.

    Parameters
    ----------
    outer : Map
        A map of as many arguments as there are inner maps.
    *inner : Map
        Maps of the same arguments, whose ranges are the domain of the outer one.
    """

    anywhere = True

    def __init__(self, outer: Map, *inner: Map) -> None:
        if len(outer.domain) != len(inner):
            raise SpaceError(
                f"cannot form G @ H: the map G, {outer!r}, takes {len(outer.domain)} arguments, not "
                + ("one" if len(inner) == 1 else f"{len(inner)}")
            )
        for space, m in zip(outer.domain, inner, strict=True):
            if not compatible(space, m.range):
                raise SpaceError(
                    f"cannot form G @ H: the map G, {outer!r}, takes {space!r}; H, {m!r}, gives "
                    f"{m.range!r}{difference(space, m.range)}"
                )
        self.outer = outer
        self.inner = inner
        super().__init__(_common_arguments(inner), outer.range)

    @property
    def _parts(self) -> tuple[Map, ...]:
        return (self.outer, *self.inner)

    def select(self, shots: Sequence[int]) -> Composed:
        """Return the maps for some shots, composed."""
        return Composed(self.outer.select(shots), *(m.select(shots) for m in self.inner))

    def _fingerprint(self) -> Sequence[Any]:
        return [self.outer, *self.inner]

    def _call(self, *x: NDArray) -> NDArray:
        return self.outer(*(m(*x).ravel() for m in self.inner))

    def _linearize(self, *x: NDArray) -> Linearization:
        with ExitStack() as opened:
            inner = [opened.enter_context(m.linearize_at(*x)) for m in self.inner]
            outer = opened.enter_context(self.outer.linearize_at(*(at_x.value.ravel() for at_x in inner)))

            def jacobians() -> list[LinearOperator]:
                columns = zip(*(at_x.jacobians for at_x in inner), strict=True)
                return [_chain(outer.jacobians, column) for column in columns]

            return Linearization(outer.value, jacobians, opened.pop_all().close)

    def _make_tangent(self) -> Map:
        tangents = [m.tangent() for m in self.inner]
        if isinstance(self.outer, LinearMap):
            return Composed(self.outer, *tangents)
        arguments = [(i,) for i in range(len(self._domain))]
        values = [Arranged(m, self._domain * 2, arguments) for m in self.inner]
        return Composed(self.outer.tangent(), *values, *tangents)


class Stacked(Map):
    """Several maps of the same arguments, their values one after the other.

    Parameters
    ----------
    maps : sequence of Map
        The maps.
    """

    anywhere = True

    def __init__(self, maps: Sequence[Map]) -> None:
        self.maps = tuple(maps)
        if not self.maps:
            raise ParameterError("Stacked needs at least one map")
        super().__init__(_common_arguments(self.maps), DirectSum([m.range for m in self.maps]))

    @property
    def _parts(self) -> tuple[Map, ...]:
        return self.maps

    def select(self, shots: Sequence[int]) -> Stacked:
        """Return the maps for some shots, stacked."""
        return Stacked([m.select(shots) for m in self.maps])

    def _fingerprint(self) -> Sequence[Any]:
        return self.maps

    def _call(self, *x: NDArray) -> NDArray:
        return join(m(*x) for m in self.maps)

    def _linearize(self, *x: NDArray) -> Linearization:
        with ExitStack() as opened:
            parts = [opened.enter_context(m.linearize_at(*x)) for m in self.maps]
            value = join(part.value for part in parts)
            return Linearization(
                value,
                lambda: [VStack(column) for column in zip(*(part.jacobians for part in parts), strict=True)],
                opened.pop_all().close,
            )

    def _make_tangent(self) -> Map:
        return Stacked([m.tangent() for m in self.maps])


class Arranged(Map):
    """A map whose arguments are taken from, or put together of, those of another list.

    Parameters
    ----------
    inner : Map
        The map.
    domain : sequence of Space
        The arguments.
    groups : sequence of tuple of int
        For every argument of the inner map the indices of the arguments that it consists of, one after the other.
        What occurs nowhere is ignored.
    """

    anywhere = True

    def __init__(self, inner: Map, domain: Sequence[Space], groups: Sequence[tuple[int, ...]]) -> None:
        self.inner = inner
        self.groups = tuple(tuple(group) for group in groups)
        for space, group in zip(inner.domain, self.groups, strict=True):
            given = joint([domain[i] for i in group])
            if not compatible(space, given):
                raise SpaceError(f"{inner!r} takes {space!r}, not {given!r}")
        super().__init__(domain, inner.range)

    @property
    def _parts(self) -> tuple[Map]:
        return (self.inner,)

    def select(self, shots: Sequence[int]) -> Arranged:
        """Return the map for some shots, with its arguments arranged likewise."""
        return Arranged(self.inner.select(shots), [space.select(shots) for space in self._domain], self.groups)

    def _inner(self, x: Sequence[NDArray]) -> list[NDArray]:
        return [x[g[0]] if len(g) == 1 else join(x[i] for i in g) for g in self.groups]

    def _fingerprint(self) -> Sequence[Any]:
        return [self.inner, self.groups]

    def _call(self, *x: NDArray) -> NDArray:
        return self.inner(*self._inner(x))

    def _linearize(self, *x: NDArray) -> Linearization:
        at_x = self.inner.linearize_at(*self._inner(x))

        def by(argument: int) -> LinearOperator:
            terms = [
                jacobian
                if len(group) == 1
                else compose(jacobian, Embedding.among([self._domain[i] for i in group], place))
                for jacobian, group in zip(at_x.jacobians, self.groups, strict=True)
                for place, i in enumerate(group)
                if i == argument
            ]
            return add(*terms) if terms else Zero(self._domain[argument], self._range)

        return Linearization(at_x.value, lambda: [by(i) for i in range(len(self._domain))], at_x.close)

    def _make_tangent(self) -> Map:
        n = len(self._domain)
        directions = [tuple(i + n for i in group) for group in self.groups]
        return Arranged(self.inner.tangent(), self._domain * 2, [*self.groups, *directions])


def _lying(x: Sequence[Any]) -> Any:
    """The first array that lies on a device, where results are then; None if all are on the host."""
    return next((a for a in x if _arrays.place(a) != _arrays.HOST), None)


def _chain(outer: Sequence[LinearOperator], inner: Sequence[LinearOperator]) -> LinearOperator:
    """The chain rule for one argument; products with zero, which might be solves, are left out."""
    terms = [compose(a, b) for a, b in zip(outer, inner, strict=True) if not isinstance(b, Zero)]
    return add(*terms) if terms else Zero(inner[0].domain, outer[0].range)


def _common_arguments(maps: Sequence[Map]) -> tuple[Space, ...]:
    first = maps[0]
    for other in maps[1:]:
        if len(other.domain) != len(first.domain) or not all(map(compatible, first.domain, other.domain)):
            raise SpaceError(f"cannot combine maps of different arguments: {first!r} and {other!r}")
    return first.domain


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float))


def _scaled(scalar: float, inner: Map) -> Map:
    return LinearMap(scale(scalar, Identity(inner.range))) @ inner


def _as_map(x: Any, like: Space) -> Map | None:
    if isinstance(x, Map):
        return x
    try:
        return LinearMap(as_operator(x, like.dtype))
    except TypeError:
        return None
