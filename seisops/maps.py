"""Nonlinear maps between spaces, their linearisations, and the chain rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError, SpaceError
from seisops.operators import HStack, Identity, LinearOperator, VStack, as_operator, compose, scale
from seisops.spaces import DirectSum, Space, compatible

__all__ = ["Composed", "LinearMap", "Linearization", "Map", "Stacked"]


class Linearization:
    """A map at a point: its value and its derivatives there.

    Parameters
    ----------
    value : ndarray
        The value of the map.
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
        if self._closed:
            raise ParameterError("this linearisation is closed: use its Jacobians before close(), or linearise again")
        if callable(self._jacobians):
            self._jacobians = tuple(self._jacobians())
        return self._jacobians

    def close(self) -> None:
        """Free what the derivatives hold; closing twice is harmless."""
        if not self._closed:
            self._closed = True
            self._jacobians = ()
            if self._close is not None:
                self._close()

    def __enter__(self) -> Linearization:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Map(ABC):
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
    as the spaces. Maps compose: ``op @ map``, ``map @ op``, ``outer @ inner`` for an outer map of one
    argument; they add, and scale.
    """

    __array_ufunc__ = None

    def __init__(self, domain: Sequence[Space], range: Space) -> None:
        self._domain = tuple(domain)
        self._range = range

    @property
    def domain(self) -> tuple[Space, ...]:
        """The space of every argument."""
        return self._domain

    @property
    def range(self) -> Space:
        """The space of the values."""
        return self._range

    @abstractmethod
    def _linearize(self, *x: NDArray) -> Linearization:
        """Return the linearisation at a point given as arrays of the spaces."""

    def _call(self, *x: NDArray) -> NDArray:
        with self._linearize(*x) as at_x:
            return at_x.value

    def __call__(self, *x: ArrayLike) -> NDArray:
        """Return the value at a point, shaped as `range`."""
        return self._range.asarray(self._call(*self._point(x)))

    def linearize(self, *x: ArrayLike) -> Linearization:
        """Return the value and the derivatives at a point.

        Parameters
        ----------
        *x : array_like
            One array for every argument.
        """
        return self._linearize(*self._point(x))

    def jacobian(self, *x: ArrayLike, argument: int = 0) -> LinearOperator:
        """Return the derivative by one argument at a point.

        Parameters
        ----------
        *x : array_like
            One array for every argument.
        argument : int, optional
            The argument; by default the first.
        """
        if not 0 <= argument < len(self._domain):
            raise ParameterError(f"{self!r} has no argument {argument}: it has {len(self._domain)}, counted from 0")
        return self.linearize(*x).jacobians[argument]

    def second(self, x: Sequence[ArrayLike], dx: Sequence[ArrayLike], y: ArrayLike) -> tuple[NDArray, ...]:
        """Return the derivative of ``J(x).H y`` in the direction `dx`: the second-order part of a Hessian.

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
            Unless the map provides it: use the Gauss-Newton Hessian ``J.H @ J`` instead.
        """
        raise NotImplementedError(f"{self!r} has no second derivative: use the Gauss-Newton Hessian J.H @ J")

    def _point(self, x: Sequence[ArrayLike]) -> tuple[NDArray, ...]:
        if len(x) != len(self._domain):
            raise SpaceError(f"{self!r} takes {len(self._domain)} arguments, got {len(x)}")
        return tuple(space.asarray(array) for space, array in zip(self._domain, x, strict=True))

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
            raise SpaceError(f"cannot add maps: the range of A is {self._range!r}, the range of B is {other.range!r}")
        return LinearMap(HStack([Identity(self._range), Identity(other.range)])) @ Stacked([self, other])

    __radd__ = __add__

    def __sub__(self, x: Any) -> Map:
        other = _as_map(x, self._range)
        return NotImplemented if other is None else self + -other

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: ({', '.join(map(str, self._domain))}) -> {self._range}>"


class LinearMap(Map):
    """A linear operator as a map of one argument.

    Parameters
    ----------
    op : LinearOperator
        The operator.
    """

    def __init__(self, op: LinearOperator) -> None:
        self.op = op
        super().__init__((op.domain,), op.range)

    def _call(self, *x: NDArray) -> NDArray:
        return self._range.asarray(self.op.matvec(x[0].ravel()))

    def _linearize(self, *x: NDArray) -> Linearization:
        return Linearization(self._call(*x), (self.op,))

    def second(self, x: Sequence[ArrayLike], dx: Sequence[ArrayLike], y: ArrayLike) -> tuple[NDArray, ...]:
        """Return zero: a linear map has no curvature."""
        return (self.op.domain.zeros(),)


class Composed(Map):
    """A map of one argument after another map.

    Parameters
    ----------
    outer : Map
        A map of one argument.
    inner : Map
        A map whose range is the domain of the outer one.
    """

    def __init__(self, outer: Map, inner: Map) -> None:
        if len(outer.domain) != 1:
            raise SpaceError(f"cannot form A @ B: the map A ({outer!r}) takes {len(outer.domain)} arguments, not one")
        if not compatible(outer.domain[0], inner.range):
            raise SpaceError(f"cannot form A @ B: domain of A is {outer.domain[0]!r}, range of B is {inner.range!r}")
        self.outer = outer
        self.inner = inner
        super().__init__(inner.domain, outer.range)

    def _call(self, *x: NDArray) -> NDArray:
        return self.outer(self.inner(*x).ravel())

    def _linearize(self, *x: NDArray) -> Linearization:
        inner = self.inner.linearize(*x)
        try:
            outer = self.outer.linearize(inner.value.ravel())
        except BaseException:
            inner.close()
            raise

        def close() -> None:
            outer.close()
            inner.close()

        return Linearization(outer.value, lambda: [compose(outer.jacobians[0], j) for j in inner.jacobians], close)


class Stacked(Map):
    """Several maps of the same arguments, their values one after the other.

    Parameters
    ----------
    maps : sequence of Map
        The maps.
    """

    def __init__(self, maps: Sequence[Map]) -> None:
        self.maps = tuple(maps)
        if not self.maps:
            raise ParameterError("Stacked needs at least one map")
        first = self.maps[0]
        for other in self.maps[1:]:
            if len(other.domain) != len(first.domain) or not all(map(compatible, first.domain, other.domain)):
                raise SpaceError(f"cannot stack maps of different arguments: {first!r} and {other!r}")
        super().__init__(first.domain, DirectSum([m.range for m in self.maps]))

    def _call(self, *x: NDArray) -> NDArray:
        return _joined(m(*x) for m in self.maps)

    def _linearize(self, *x: NDArray) -> Linearization:
        parts: list[Linearization] = []

        def close() -> None:
            for part in parts:
                part.close()

        try:
            for m in self.maps:
                parts.append(m.linearize(*x))
        except BaseException:
            close()
            raise
        value = _joined(part.value for part in parts)
        return Linearization(
            value,
            lambda: [VStack(column) for column in zip(*(part.jacobians for part in parts), strict=True)],
            close,
        )


def _joined(values: Iterable[NDArray]) -> NDArray:
    return np.concatenate([value.ravel() for value in values])


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
