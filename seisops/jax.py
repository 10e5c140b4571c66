"""Operators and maps as JAX functions, differentiable in reverse mode to any order.

The rules are those of :mod:`seisops.torch`: the derivative of ``F(x)`` is a pullback ``J(x).H y``, the derivative of a
pullback is that of the tangent map. JAX calls NumPy through ``jax.pure_callback``, under ``jit`` and ``vmap`` too, and
takes the rules through ``jax.custom_vjp``, which refuses forward mode (``jvp``, ``jacfwd``) with an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from seisops._pylops import pylops
from seisops.errors import ParameterError, SpaceError
from seisops.maps import Linearization, LinearMap, Map
from seisops.operators import as_operator
from seisops.spaces import Space

__all__ = ["Layer", "lift"]


def __dir__() -> list[str]:
    return __all__


def lift(op: pylops.LinearOperator | Map) -> Layer:
    """Return an operator or a map as a JAX function.

    Parameters
    ----------
    op : pylops.LinearOperator or Map
        A linear operator, ours or one of PyLops, or a nonlinear map.

    Returns
    -------
    Layer
        A function of JAX arrays, one for each argument.
    """
    if isinstance(op, Map):
        return Layer(op)
    if isinstance(op, pylops.LinearOperator):
        return Layer(LinearMap(as_operator(op)))
    raise TypeError(f"cannot lift a {type(op).__name__}: give a pylops.LinearOperator or a seisops.Map")


class Layer:
    """A map as a JAX function; under ``vmap`` the batch is worked off one by one.

    Parameters
    ----------
    map : Map
        The map.

    Notes
    -----
    The layer keeps its last linearisation: a gradient costs one solve forward and one backward for each shot, as long as no
    other point is visited in between (under ``vmap`` one more).
    """

    def __init__(self, map: Map) -> None:
        self.map = map
        self._last: tuple[list[NDArray], Linearization] | None = None

    def __call__(self, *x: jax.Array) -> jax.Array:
        """Return the value of the map.

        Parameters
        ----------
        *x : jax.Array
            One array for every argument, of the shape of its space or flat.
        """
        spaces = self.map.domain
        if len(x) != len(spaces):
            raise SpaceError(f"{self.map!r} takes {len(spaces)} arguments, got {len(x)}")
        return self._value(*(_array(part, space, i) for i, (space, part) in enumerate(zip(spaces, x, strict=True))))

    @cached_property
    def tangent(self) -> Layer:
        """The tangent map ``(x, dx) -> J(x) dx`` as a layer: forward mode by hand."""
        return Layer(self.map.tangent())

    def forget(self) -> None:
        """Release the linearisation that is held, what the map could compute again, and what is spare."""
        self._close()
        self.map.forget()

    def _close(self) -> None:
        if self._last is not None:
            self._last[1].close()
            self._last = None

    # -- on the host, in NumPy

    def _linearize(self, x: Sequence[NDArray]) -> Linearization:
        x = [np.asarray(part) for part in x]
        if self._last is None or not all(map(np.array_equal, self._last[0], x)):
            self._close()
            self._last = [part.copy() for part in x], self.map.linearize(*x)
        return self._last[1]

    def _host_value(self, *x: NDArray) -> NDArray:
        return self.map(*map(np.asarray, x)).reshape(self.map.range.shape)

    def _host_forward(self, *x: NDArray) -> NDArray:
        return self._linearize(x).value.reshape(self.map.range.shape)

    def _host_pullback(self, y: NDArray, *x: NDArray) -> tuple[NDArray, ...]:
        # JAX transposes, without conjugation
        return tuple(part.conj() for part in self._linearize(x).pullback(np.asarray(y).conj()))

    # -- in JAX

    @cached_property
    def _value(self) -> Callable:
        value, kept = (
            jax.custom_vjp(partial(_on_host, host, self.map.range)) for host in (self._host_value, self._host_forward)
        )
        for function in (
            value,
            kept,
        ):  # what is differentiated keeps its linearisation, and may be differentiated again
            function.defvjp(lambda *x: (kept(*x), x), lambda x, y: self._pullback(y, *x))
        return value

    @cached_property
    def _pullback(self) -> Callable:
        n = len(self.map.domain)

        def backward(kept, z):
            y, *x = kept
            # <z, J(x).H y> = <J(x) z, y>: by y the tangent, by x the derivative of the tangent
            return self.tangent._value(*x, *z), *self.tangent._pullback(y, *x, *z)[:n]

        pullback = jax.custom_vjp(partial(_on_host, self._host_pullback, self.map.domain))
        pullback.defvjp(lambda y, *x: (pullback(y, *x), (y, *x)), backward)
        return pullback


def _on_host(function: Callable, spaces: Space | Sequence[Space], *x: jax.Array):
    def shape(space):
        return jax.ShapeDtypeStruct(space.shape, space.dtype)

    results = shape(spaces) if isinstance(spaces, Space) else tuple(map(shape, spaces))
    return jax.pure_callback(function, results, *x, vmap_method="sequential")


def _array(x: jax.Array, space: Space, argument: int) -> jax.Array:
    x = jnp.asarray(x)
    if x.shape not in (space.shape, (space.size,)):
        raise SpaceError(f"argument {argument} has shape {x.shape}, expected {space.shape} of {space}")
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise ParameterError(f"argument {argument} is of {x.dtype}: convert it, as in x.astype('float32')")
    if space.dtype.itemsize > jnp.finfo(jnp.result_type(space.dtype)).bits // 8 * (2 if space.dtype.kind == "c" else 1):
        raise ParameterError(
            f"the map works in {space.dtype}, which JAX does not: jax.config.update('jax_enable_x64', True) first"
        )
    if x.dtype.kind == "c" and space.dtype.kind != "c":
        raise SpaceError(f"argument {argument} is complex, {space} is real: take its real part")
    return x.reshape(space.shape).astype(space.dtype)
