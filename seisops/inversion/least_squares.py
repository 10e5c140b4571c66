"""The least-squares misfit of a map, its gradient and its Hessians, as optimisers want them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops._pylops import pylops
from seisops.errors import ParameterError, SpaceError
from seisops.inversion.fingerprint import fingerprint
from seisops.maps import Linearization, LinearMap, Map
from seisops.operators import LinearOperator, Pointwise, as_operator
from seisops.spaces import DirectSum, Space, as_array, compatible, join, joint, shot_numbers, split

__all__ = ["LeastSquares"]


@dataclass
class _Point:
    """A linearisation that stays open, and where it was made."""

    x: NDArray
    linearization: Linearization
    residual: NDArray


class LeastSquares:
    r"""The misfit :math:`\phi(x) = \frac12 \| W (G(x_0 + P x, \dots) - d) \|^2` of a map, in the form SciPy wants.

    Parameters
    ----------
    G : Map or operator
        The map, such as a :class:`~seisops.Parametric` or one that is distributed; a linear operator counts as a map of
        one argument.
    data : array_like
        d, an array of the map's range. Where it is NaN or infinite the weight has to be 0; it then counts for nothing.
    *fixed : array_like
        The last arguments of the map, such as the source. Those before are what is looked for, one after another.
    weights : operator or array_like, optional
        W: an operator on the data, or an array to multiply them by, of a shape that broadcasts to theirs.
    P : operator or array_like, optional
        Preconditioner, change of variables or mask: an operator to what is looked for (for several arguments to their
        direct sum), or an array to multiply it by.
    start : array_like, optional
        :math:`x_0`, where x is zero; for several arguments a tuple, or one flat array. By default zero.

    Attributes
    ----------
    domain : Space
        Where x is: the space of what is looked for, or the domain of P, in float64.

    Notes
    -----
    ``misfit(x)`` takes x as a flat array or in the shape of ``misfit.domain``. It costs one linearisation, for modeling one
    solve forward and one backward for each shot.
    """

    def __init__(
        self,
        G: Map,
        data: ArrayLike,
        *fixed: ArrayLike,
        weights: Any = None,
        P: Any = None,
        start: Any = None,
    ) -> None:
        self.G = G = _map(G, fixed)
        self.free = len(G.domain) - len(fixed)
        if self.free < 1:
            raise SpaceError(
                f"LeastSquares got {len(fixed)} fixed arguments for {G!r}, which has {len(G.domain)}: leave out the first "
                "ones, which are looked for, and give the last ones, such as the source"
            )
        _require_order(G, data, fixed)
        if G.range.dtype.kind == "c":
            raise SpaceError(f"LeastSquares needs a map to real data, the range is {G.range!r}")
        self.data = G.range.owned(data)
        self.fixed = tuple(s.owned(x) for s, x in zip(G.domain[self.free :], fixed, strict=True))
        self._whole = joint(G.domain[: self.free])
        self.weights = _operator("weights", weights, G.range)
        self.P = _operator("P", self._sized(P, self._whole) if isinstance(P, np.ndarray) else P, self._whole)
        self.start = None if start is None else self._joined(start)
        if self.weights is not None:
            _check("weights", "domain", self.weights.domain, "the range of the map", G.range)
        if self.P is not None:
            _check("P", "range", self.P.range, "what is looked for", self._whole)
        self._require_finite()
        self.domain = _double(self._whole if self.P is None else self.P.domain)
        self._held: _Point | None = None
        self._hash: str | None = None

    def _require_finite(self) -> None:
        """Look once at what every evaluation uses: nothing that counts may be NaN or infinite."""
        finite = np.isfinite(self.data)
        if not finite.all():
            counted = self.data
            if self.weights is not None:
                # W.H of anything is zero where W does not look; of random numbers, nowhere else
                seen = self.weights.rmatvec(np.random.default_rng(0).uniform(1.0, 2.0, self.weights.shape[0]))
                counted = np.where(seen.reshape(self.data.shape) == 0, 0, self.data)
            self.G.range.require_finite(counted, "LeastSquares: data", "mend the data, or give them weight 0 there")
            self.data = np.where(finite, self.data, 0)  # 0 * NaN is NaN
        for space, x in zip(self.G.domain[self.free :], self.fixed, strict=True):
            space.require_finite(x, "LeastSquares: a fixed argument")
        if self.start is not None:
            self._whole.require_finite(self.start, "LeastSquares: start")

    def _joined(self, x: Any) -> NDArray:
        if isinstance(x, tuple) and isinstance(self._whole, DirectSum):
            return self._whole.join(x)
        return self._whole.owned(self._sized(x, self._whole))

    def _sized(self, x: ArrayLike, space: Space) -> NDArray:
        """An array for `space`; of another size where an argument was forgotten, that is said."""
        x = as_array(x, space)
        free = self.G.domain[: self.free]
        for n in range(1, self.free if x.size != space.size else 0):
            if x.size == sum(part.size for part in free[:n]):
                given, other = (" and ".join(map(str, spaces)) for spaces in (free[:n], free[n:]))
                raise SpaceError(
                    f"an array of shape {x.shape} is one of {given}, but the misfit looks for {other} as well: to hold "
                    "that fixed, give it after the data, as in LeastSquares(G, data, source)"
                )
        return x

    @property
    def gradient_shape(self) -> tuple[int, ...]:
        """The shape in which a gradient, or x, may be looked at; flat for several arguments."""
        return self.domain.shape

    @property
    def shots(self) -> int | None:
        """The number of shots of the map."""
        return self.G.shots

    @property
    def fingerprint(self) -> str:
        """A hash of all that makes the misfit: data, fixed arguments, start, weights, P and modeling.

        Raises
        ------
        ParameterError
            If a map or an operator does not say what it is made of; see :func:`~seisops.inversion.fingerprint`.
        """
        if self._hash is None:
            self._hash = fingerprint(self)
        return self._hash

    def _fingerprint(self) -> Sequence[Any]:
        return [self.G, self.weights, self.P, self.data, self.fixed, self.start]

    def select(self, shots: Sequence[int]) -> LeastSquares:
        """Return the misfit of some shots.

        Parameters
        ----------
        shots : sequence of int
            Indices in ``range(self.shots)``, such as ``Batches(...)[k]``.
        """
        if self.shots is not None:
            shots = shot_numbers(shots, self.shots, "the misfit")
        domain = self.G.domain
        return LeastSquares(
            self.G.select(shots),
            self.G.range.take(self.data, shots),
            *(s.take(x, shots) for s, x in zip(domain[self.free :], self.fixed, strict=True)),
            weights=None if self.weights is None else self.weights.select(shots),
            P=self.P if self.P is None or self._whole.shots is None else self.P.select(shots),
            start=None if self.start is None else self._whole.take(self.start, shots),
        )

    def model(self, x: ArrayLike) -> Any:
        """Return what x stands for, ``start + P x``, shaped as the map's argument; for several a tuple.

        Parameters
        ----------
        x : array_like
            An array of `domain`.
        """
        model = self._model(self.domain.asarray(x).ravel())
        return model[0] if self.free == 1 else model

    def _model(self, x: NDArray) -> tuple[NDArray, ...]:
        moved = x if self.P is None else self.P.matvec(x)
        if self.start is not None:
            moved = self.start.ravel() + moved
        return self._arguments(moved)

    def _arguments(self, x: NDArray) -> tuple[NDArray, ...]:
        """What is looked for, or a direction, cut into the map's arguments."""
        return tuple(split(x, self.G.domain[: self.free]))

    # ---- value and gradient

    def __call__(self, x: ArrayLike) -> tuple[float, NDArray]:
        """Return the misfit, a float, and its gradient, flat and float64.

        Parameters
        ----------
        x : array_like
            An array of `domain`.
        """
        x = self._point(x)
        if self._held is not None and not np.array_equal(self._held.x, x):
            self._close()
        if self._held is not None:
            return self._evaluated(self._held)
        at = self._linearize(x)
        try:
            return self._evaluated(at)
        finally:
            at.linearization.close()

    def _evaluated(self, at: _Point) -> tuple[float, NDArray]:
        weighted = self._weighted(at.residual)
        # not a BLAS product: its last bits depend on the number of threads, and optimisers branch on them
        value = 0.5 * float(np.sum(np.square(weighted, dtype=np.float64)))
        return value, self._pulled(at, self._back(weighted))

    def _point(self, x: ArrayLike) -> NDArray:
        return np.array(self.domain.asarray(self._sized(x, self.domain)).ravel())

    def _linearize(self, x: NDArray) -> _Point:
        # what is fixed is ours, and was looked at once; P may use again the array that it returns
        self.domain.require_finite(x, "LeastSquares: x")
        linearization = self.G.linearize_at(*map(np.array, self._model(x)), *self.fixed)
        return _Point(x, linearization, self.G.range.asarray(linearization.value) - self.data)

    def _weighted(self, y: NDArray) -> NDArray:
        """W of an array."""
        return y if self.weights is None else self.weights.matvec(y.ravel())

    def _back(self, weighted: NDArray) -> NDArray:
        """W.H of an array."""
        back = weighted if self.weights is None else self.weights.rmatvec(weighted.ravel())
        return self.G.range.asarray(back.ravel())

    def _pulled(self, at: _Point, y: NDArray) -> NDArray:
        """P.H J.H of data."""
        wanted = [True] * self.free + [False] * len(self.fixed)
        return self._pulled_model([g for g in at.linearization.pullback(y, wanted) if g is not None])

    def _pulled_model(self, parts: Sequence[NDArray]) -> NDArray:
        flat = join(parts)
        return np.array((flat if self.P is None else self.P.rmatvec(flat)).ravel(), np.float64)

    # ---- Hessians

    def gauss_newton(self, x: ArrayLike) -> LinearOperator:
        """Return the Gauss-Newton Hessian ``P.H J.H W.H W J P`` at x; a product costs two solves for each shot.

        Parameters
        ----------
        x : array_like
            An array of `domain`.
        """
        return GaussNewton(self, self._point(x))

    def hessian(self, x: ArrayLike) -> LinearOperator:
        """Return the exact Hessian at x, Gauss-Newton and second derivative of the map; a product costs six solves.

        Parameters
        ----------
        x : array_like
            An array of `domain`.

        Raises
        ------
        NotImplementedError
            When applied, if the map has no second derivative: use `gauss_newton`.
        """
        return Hessian(self, self._point(x))

    def held(self, x: NDArray) -> _Point:
        """Return the linearisation at x, which stays open until one elsewhere is asked for: one at a time takes memory."""
        if self._held is None or not np.array_equal(self._held.x, x):
            self._close()
            self._held = self._linearize(x)
        return self._held

    @property
    def held_bytes(self) -> int:
        """How much memory the map's wavefields hold."""
        return self.G.held_bytes

    @property
    def spare_bytes(self) -> int:
        """How much memory the map has that waits for its next wavefields."""
        return self.G.spare_bytes

    def forget(self) -> None:
        """Release the wavefields that Hessians hold, which are computed again when needed, and what the map has spare."""
        self._close()
        self.G.forget()

    def _close(self) -> None:
        if self._held is not None:
            self._held.linearization.close()
            self._held = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": None}

    def __repr__(self) -> str:
        return f"<LeastSquares of {self.domain}: {self.G!r}>"


class GaussNewton(LinearOperator):
    """The Gauss-Newton Hessian of a misfit at a point; it linearises the map when first applied.

    Parameters
    ----------
    misfit : LeastSquares
        The misfit.
    x : ndarray
        The point, flat.
    """

    symbol = "J.H W.H W J"

    def __init__(self, misfit: LeastSquares, x: NDArray) -> None:
        self.misfit, self.x = misfit, x
        super().__init__(misfit.domain, misfit.domain)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.misfit.fingerprint, self.x]

    def _make_adjoint(self) -> LinearOperator:
        return self

    @property
    def shots(self) -> None:
        """None: it sums over shots."""
        return None

    @property
    def held_bytes(self) -> int:
        """How much memory the wavefields hold."""
        held = self.misfit._held
        return held.linearization.held_bytes if held is not None else 0

    @property
    def spare_bytes(self) -> int:
        """How much memory the map has that waits for its next wavefields."""
        return self.misfit.spare_bytes

    def forget(self) -> None:
        """Release the wavefields, which are computed again when needed, and what the map has spare."""
        self.misfit.forget()

    def _direction(self, x: NDArray) -> tuple[NDArray, ...]:
        flat = x.ravel()
        return self.misfit._arguments(flat if self.misfit.P is None else self.misfit.P.matvec(flat))

    def _products(self, at: _Point, dm: tuple[NDArray, ...]) -> NDArray:
        misfit = self.misfit
        pushed = at.linearization.pushforward(*dm, *(None for _ in misfit.fixed))
        return misfit._pulled(at, misfit._back(misfit._weighted(pushed)))

    def _apply(self, x: NDArray) -> NDArray:
        return self._products(self.misfit.held(self.x), self._direction(x)).reshape(self.domain.shape)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._apply(y)


class Hessian(GaussNewton):
    """The exact Hessian of a misfit at a point.

    Parameters
    ----------
    misfit : LeastSquares
        The misfit.
    x : ndarray
        The point, flat.
    """

    symbol = "(J.H W.H W J + second)"

    def _apply(self, x: NDArray) -> NDArray:
        misfit, at, dm = self.misfit, self.misfit.held(self.x), self._direction(x)
        first = self._products(at, dm)
        point = (*misfit._model(self.x), *misfit.fixed)
        directions = (*dm, *(np.zeros_like(array) for array in misfit.fixed))
        second = misfit.G.second(point, directions, misfit._back(misfit._weighted(at.residual)))[: misfit.free]
        return (first + misfit._pulled_model(second)).reshape(self.domain.shape)


def _map(G: Any, fixed: tuple[Any, ...]) -> Map:
    if isinstance(G, Map):
        return G
    if isinstance(G, pylops.LinearOperator):
        if fixed:
            raise ParameterError(
                f"LeastSquares needs a map of {len(fixed)} arguments and more, got the linear operator {G}, which has one: "
                "Parametric(F) is the map (m, q) -> F(m) q, and LeastSquares(Parametric(F), data, q) its misfit"
            )
        return LinearMap(as_operator(G))
    raise ParameterError(
        f"LeastSquares needs a map first, such as Parametric(F), then the data, got {type(G).__name__}"
    )


def _require_order(G: Map, data: Any, fixed: tuple[Any, ...]) -> None:
    """Refuse arrays that are not where they belong, and say where that is."""
    spaces = {"data": G.range, **{f"argument {i}": space for i, space in enumerate(G.domain)}}
    for name, x in zip(["data", *list(spaces)[len(spaces) - len(fixed) :]], (data, *fixed), strict=True):
        shape = as_array(x, spaces[name]).shape
        fits = [other for other, space in spaces.items() if shape in (space.shape, (space.size,))]
        if name not in fits:
            raise SpaceError(
                f"LeastSquares(G, data, *fixed): an array of shape {shape}, given as {name}, is not in {spaces[name]}: "
                f"expected shape {spaces[name].shape}" + (f"; it fits {' and '.join(fits)} of {G!r}" if fits else "")
            )


def _operator(name: str, op: Any, space: Space) -> LinearOperator | None:
    """W or P as an operator of ours; numbers and arrays multiply pointwise."""
    if op is None:
        return None
    if isinstance(op, (np.ndarray, Sequence, int, float, np.number)):
        try:
            return Pointwise(space, op)
        except (ParameterError, SpaceError) as error:
            raise type(error)(f"LeastSquares: {name}: {error}") from None
    return as_operator(op)


def _check(name: str, side: str, space: Space, what: str, expected: Space) -> None:
    if not compatible(space, expected):
        raise SpaceError(f"LeastSquares: {side} of {name} is {space!r}, {what} is {expected!r}. Did you mean {name}.H?")


def _double(space: Space) -> Space:
    """The space of the same arrays in float64, in which optimisers compute."""
    if isinstance(space, DirectSum):
        return DirectSum([_double(part) for part in space.parts])
    return Space(space.name, space.axes, np.float64)
