"""The misfit of a map, its gradient and its Hessians, as optimisers want them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops._pylops import pylops
from seisops._table import Told, listed
from seisops.data.matching import MatchedSource
from seisops.data.tracemap import Following, TraceMap
from seisops.errors import ParameterError, SpaceError
from seisops.inversion.fingerprint import fingerprint
from seisops.inversion.loss import Loss, Squares
from seisops.maps import Linearization, LinearMap, Map
from seisops.operators import LinearOperator, Pointwise, add, as_operator, scale
from seisops.spaces import DirectSum, Space, as_array, compatible, doubled, join, joint, shot_numbers, split

__all__ = ["Misfit", "MisfitSum"]


@dataclass
class _Point:
    """A linearisation that stays open, where it was made, and what is compared there."""

    x: NDArray
    linearization: Linearization
    change: Linearization | None  # of a change of variables that is not linear
    weighted: NDArray  # data, where a map takes them to what is compared
    features: Linearization | None
    residual: NDArray

    def close(self) -> None:
        self.linearization.close()


class Additive(Told):
    """What adds and scales, as functions of one x."""

    def __add__(self, other: Any) -> MisfitSum:
        return MisfitSum([(1.0, self), (1.0, other)]) if isinstance(other, Additive) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return self if isinstance(other, int) and other == 0 else NotImplemented  # sum(misfits) starts from 0

    def __mul__(self, scalar: float) -> MisfitSum:
        return MisfitSum([(float(scalar), self)]) if isinstance(scalar, (int, float, np.number)) else NotImplemented

    __rmul__ = __mul__


class Misfit(Additive):
    r"""The misfit :math:`\phi(x) = \ell(W G(x_0 + P x, \dots), W d)` of a map, in the form SciPy wants.

    Parameters
    ----------
    G : Map or operator
        The map, such as a :class:`~seisops.Parametric` or one that is distributed; a linear operator counts as a map of
        one argument.
    data : array_like
        d, an array of the map's range. Where it is NaN or infinite the weight has to be 0; it then counts for nothing.
    *fixed : array_like
        The last arguments of the map, such as the source. Those before are what is looked for, one after another.
    loss : Loss, optional
        :math:`\ell`, one of :mod:`seisops.inversion.loss`; by default :class:`~seisops.inversion.loss.Squares`.
    weights : operator or array_like, optional
        W: an operator on the data, or an array to multiply them by, of a shape that broadcasts to theirs.
    P : operator, map or array_like, optional
        Preconditioner, change of variables or mask: an operator to what is looked for (for several arguments to their
        direct sum), or an array to multiply it by; a map of one argument, such as :class:`~seisops.model.Bounded`, where
        it is not linear.
    start : array_like, optional
        :math:`x_0`, where P x is zero; for several arguments a tuple, or one flat array. By default zero. To a P that is a
        map it is added as well: give it to ``Bounded(..., around=m0)`` instead.
    estimate_source : bool or float, optional
        Whether modeled data are those of the best source: a filter for each shot, of all receivers together, that is
        found anew in each evaluation, and of which derivatives know; see :class:`~seisops.data.MatchedSource`, whose
        damping a number is.

    Attributes
    ----------
    domain : Space
        Where x is: the space of what is looked for, or the domain of P, in float64.

    Raises
    ------
    ParameterError, SpaceError
        If arguments do not fit the map, are NaN or infinite where that counts, or the loss needs traces and there are none.

    Notes
    -----
    ``misfit(x)`` takes x as a flat array or in the shape of ``misfit.domain``. It costs one linearisation, for modeling one
    solve forward and one backward for each shot, whatever the loss is. Misfits of one x add, and scale:
    ``misfit + 0.1 * other``.
    """

    def __init__(
        self,
        G: Map,
        data: ArrayLike,
        *fixed: ArrayLike,
        loss: Loss | None = None,
        weights: Any = None,
        P: Any = None,
        start: Any = None,
        estimate_source: bool | float = False,
    ) -> None:
        name = type(self).__name__
        self.G = G = _map(G, fixed, name)
        self.free = len(G.domain) - len(fixed)
        if self.free < 1:
            raise SpaceError(
                f"{name} got {len(fixed)} fixed arguments for {G!r}, which has {len(G.domain)}: leave out the first "
                "ones, which are looked for, and give the last ones, such as the source"
            )
        _require_order(G, data, fixed, name)
        if G.range.dtype.kind == "c":
            raise SpaceError(f"{name} needs a map to real data, the range is {G.range!r}")
        self.loss = Squares() if loss is None else loss
        if not isinstance(self.loss, Loss):
            raise ParameterError(
                f"{name}(loss={loss!r:.60}): give one of seisops.inversion.loss, such as loss.Huber(delta=0.1)"
            )
        self.data = G.range.owned(data)
        self.fixed = tuple(s.owned(x) for s, x in zip(G.domain[self.free :], fixed, strict=True))
        self._whole = joint(G.domain[: self.free])
        self.weights = _operator("weights", weights, G.range, name)
        if isinstance(P, Map):
            if len(P.domain) != 1:
                raise ParameterError(f"{name}: P, {P!r}, has {len(P.domain)} arguments: give a map of one")
            self.P: Any = P
        else:
            self.P = _operator("P", self._sized(P, self._whole) if isinstance(P, np.ndarray) else P, self._whole, name)
        self.start = None if start is None else self._joined(start)
        if self.weights is not None:
            _check("weights", "domain", self.weights.domain, "the range of the map", G.range, name)
        if self.P is not None:
            _check("P", "range", self.P.range, "what is looked for", self._whole, name)
        self._require_finite()
        self.domain = self._changing()
        self.estimate_source = estimate_source
        self._features, self._target = self._compared(estimate_source)
        self._held: _Point | None = None
        self._hash: str | None = None

    def _changing(self) -> Space:
        """Where x is."""
        if isinstance(self.P, Map):
            return doubled(self.P.domain[0])
        return doubled(self._whole if self.P is None else self.P.domain)

    def _compared(self, estimate_source: bool | float) -> tuple[TraceMap | None, NDArray | None]:
        """The map of weighted data of which differences are taken, if it is not the data, and the observed ones by it."""
        if estimate_source is False and type(self.loss).compared is Loss.compared:
            return None, None
        space = self.G.range if self.weights is None else self.weights.range
        observed = space.asarray(self._weighted(self.data))
        features, target = self.loss.compared(space, observed)
        if estimate_source is False:
            return features, target
        source = MatchedSource(space, observed, *([] if estimate_source is True else [estimate_source]))
        return source if features is None else Following(features, source), target

    def _require_finite(self) -> None:
        """Look once at what every evaluation uses: nothing that counts may be NaN or infinite."""
        finite = np.isfinite(self.data)
        if not finite.all():
            counted = self.data
            if self.weights is not None:
                # W.H of anything is zero where W does not look; of random numbers, nowhere else
                seen = self.weights.rmatvec(np.random.default_rng(0).uniform(1.0, 2.0, self.weights.shape[0]))
                counted = np.where(seen.reshape(self.data.shape) == 0, 0, self.data)
            name = type(self).__name__
            self.G.range.require_finite(counted, f"{name}: data", "mend the data, or give them weight 0 there")
            self.data = np.where(finite, self.data, 0)  # 0 * NaN is NaN
        for space, x in zip(self.G.domain[self.free :], self.fixed, strict=True):
            space.require_finite(x, f"{type(self).__name__}: a fixed argument")
        if self.start is not None:
            self._whole.require_finite(self.start, f"{type(self).__name__}: start")

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
                    f"that fixed, give it after the data, as in {type(self).__name__}(G, data, source)"
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
    def sought(self) -> Space:
        """The space of what is looked for: that of the map's first argument, or the direct sum of several."""
        return self._whole

    @property
    def terms(self) -> tuple[tuple[float, Misfit], ...]:
        """What it is the sum of, as of :class:`MisfitSum`: itself."""
        return ((1.0, self),)

    @property
    def leading(self) -> Misfit:
        """What says what x stands for, as of :class:`MisfitSum`: itself."""
        return self

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
        made = [self.G, self.weights, self.P, self.data, self.fixed, self.start]
        # of some shots, what is compared is relative to the data of all
        compared = [] if self._features is None else [self._features]
        return [*made, *([] if type(self.loss) is Squares else [self.loss]), *compared]

    def select(self, shots: Sequence[int]) -> Misfit:
        """Return the misfit of some shots.

        Parameters
        ----------
        shots : sequence of int
            Indices in ``range(self.shots)``, such as ``Batches(...)[k]``.
        """
        if self.shots is not None:
            shots = shot_numbers(shots, self.shots, "the misfit")
        domain = self.G.domain
        some = copy(self)
        some.G, some.data = self.G.select(shots), self.G.range.take(self.data, shots)
        some.fixed = tuple(s.take(x, shots) for s, x in zip(domain[self.free :], self.fixed, strict=True))
        some.weights = None if self.weights is None else self.weights.select(shots)
        some._whole = joint(some.G.domain[: self.free])
        if self._whole.shots is not None:  # what is looked for has shots, too
            some.P = None if self.P is None else self.P.select(shots)
            some.start = None if self.start is None else self._whole.take(self.start, shots)
            some.domain = some._changing()
        if self._features is not None:  # relative to all data, so that shots add up
            some._features, some._target = (
                self._features.select(shots), self._features.range.take(self._target, shots),
            )  # fmt: skip
        some._held = some._hash = None
        return some

    def model(self, x: ArrayLike) -> Any:
        """Return what x stands for, ``start + P x``, shaped as the map's argument; for several a tuple.

        Parameters
        ----------
        x : array_like
            An array of `domain`.
        """
        x = self.domain.asarray(x).ravel()
        model = self._model(self._changed(x))
        return model[0] if self.free == 1 else model

    def _changed(self, x: NDArray) -> NDArray:
        """P x."""
        if self.P is None:
            return x
        return self.P(x).ravel() if isinstance(self.P, Map) else self.P.matvec(x)

    def _model(self, moved: NDArray) -> tuple[NDArray, ...]:
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
            at.close()

    def _evaluated(self, at: _Point) -> tuple[float, NDArray]:
        value = self.loss.value(np.asarray(at.residual, np.float64))
        return value, self._pulled(at, self._back(at, self.loss.slope(at.residual)))

    def _point(self, x: ArrayLike) -> NDArray:
        return np.array(self.domain.asarray(self._sized(x, self.domain)).ravel())

    def _linearize(self, x: NDArray) -> _Point:
        # what is fixed is ours, and was looked at once; P may use again the array that it returns
        self.domain.require_finite(x, f"{type(self).__name__}: x")
        change = self.P.linearize(x) if isinstance(self.P, Map) else None
        moved = self._changed(x) if change is None else change.value.ravel()
        linearization = self.G.linearize_at(*map(np.array, self._model(moved)), *self.fixed)
        modeled = self.G.range.asarray(linearization.value)
        if self._features is None:
            weighted = self._weighted(modeled - self.data)
            exact = weighted if type(self.loss) is Squares else np.asarray(weighted, np.float64)
            return _Point(x, linearization, change, weighted, None, exact)
        weighted = self._features.domain[0].asarray(self._weighted(modeled))
        features = self._features.linearize_at(weighted)
        apart = np.asarray(features.value, np.float64) - self._target
        return _Point(x, linearization, change, weighted, features, apart)

    def _weighted(self, y: NDArray) -> NDArray:
        """W of an array."""
        return y if self.weights is None else self.weights.matvec(y.ravel())

    def _seen(self, at: _Point, y: NDArray) -> NDArray:
        """How what is compared moves with data."""
        moved = self._weighted(y)
        return moved if at.features is None else at.features.pushforward(moved)

    def _back(self, at: _Point, compared: NDArray, bent: NDArray | float = 0.0) -> NDArray:
        """The transpose of that, plus something of weighted data."""
        weighted = compared if at.features is None else at.features.pullback(compared)[0] + bent
        back = weighted if self.weights is None else self.weights.rmatvec(weighted.ravel())
        return self.G.range.asarray(back.ravel())

    def _pulled(self, at: _Point, y: NDArray) -> NDArray:
        """P.H J.H of data."""
        return self._through_p(at.change, self._pulled_back(at, y))

    def _pulled_back(self, at: _Point, y: NDArray) -> NDArray:
        """J.H of data, flat."""
        wanted = [True] * self.free + [False] * len(self.fixed)
        return join(g for g in at.linearization.pullback(y, wanted) if g is not None)

    def _through_p(self, change: Linearization | None, flat: NDArray) -> NDArray:
        """P.H of a gradient."""
        if change is not None:
            (flat,) = change.pullback(flat)
        elif self.P is not None:
            flat = self.P.rmatvec(flat)
        return np.array(flat.ravel(), np.float64)

    def _direction(self, at: _Point, x: NDArray) -> tuple[NDArray, ...]:
        """P of a direction."""
        if at.change is not None:
            x = at.change.pushforward(x).ravel()
        elif self.P is not None:
            x = self.P.matvec(x)
        return self._arguments(x)

    # ---- Hessians

    def gauss_newton(self, x: ArrayLike) -> LinearOperator:
        """Return the Gauss-Newton Hessian at x, ``P.H J.H W.H W J P`` for squares; a product costs two solves for each shot.

        For other losses what stands in the middle is the second derivative of the penalty of differences, or what it has
        that is not negative, and the derivative of what is compared: it is positive, whatever the loss.

        Parameters
        ----------
        x : array_like
            An array of `domain`.
        """
        return GaussNewton(self, self._point(x))

    def hessian(self, x: ArrayLike) -> LinearOperator:
        """Return the exact Hessian at x, with the second derivatives of map, loss and P; a product costs six solves.

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
            self._held.close()
            self._held = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": None}

    def _rows(self) -> Iterator[tuple[str, object]]:
        yield "of", repr(self.domain)[1:-1]
        yield "map", str(self.G)
        yield "loss", repr(self.loss)
        if self.weights is not None:
            yield "weights", str(self.weights)
        if self.P is not None:
            yield "x to model", str(self.P)
        yield from self._about().items()
        yield from self.G._about().items()

    def _about(self) -> dict[str, str]:
        """What of it there is to say by name, besides its parts."""
        return {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.domain}: {self.G!r}; loss: {self.loss!r}{listed(self._about())}>"


class MisfitSum(Additive):
    """A sum of misfits of the same x, each times a number; made by ``a + 0.1 * b``.

    A regularisation is one of them: ``alpha * LeastSquares(R, np.zeros(R.shape[0]))`` is half of alpha times the squares of
    R x, for a linear operator R, such as a gradient of PyLops.

    Parameters
    ----------
    terms : sequence of (float, Misfit)

    Attributes
    ----------
    leading : Misfit
        The one that says what x stands for, whatever the order: the first with a P, or else with shots, or with a start.

    Raises
    ------
    SpaceError
        If they are not of the same x.
    """

    def __init__(self, terms: Sequence[tuple[float, Any]]) -> None:
        self.terms = tuple((a * b, m) for a, parts in terms for b, m in parts.terms)
        self.leading = max((m for _, m in self.terms), key=_says)
        self.domain = self.leading.domain
        for _, misfit in self.terms:
            if not compatible(self.domain, misfit.domain):
                raise SpaceError(f"cannot add misfits of different x: {self.domain!r} and {misfit.domain!r}")

    @property
    def gradient_shape(self) -> tuple[int, ...]:
        """The shape in which a gradient, or x, may be looked at."""
        return self.domain.shape

    @property
    def shots(self) -> int | None:
        """The number of shots of those that have shots."""
        return next((m.shots for _, m in self.terms if m.shots is not None), None)

    @property
    def fingerprint(self) -> str:
        """A hash of all that makes it; see :attr:`Misfit.fingerprint`."""
        return fingerprint(self)

    def _fingerprint(self) -> Sequence[Any]:
        return [[a, m] for a, m in self.terms]

    def select(self, shots: Sequence[int]) -> MisfitSum:
        """Return the sum of the misfits of some shots; what knows of no shots stays as it is.

        Parameters
        ----------
        shots : sequence of int
        """
        return MisfitSum([(a, m if m.shots is None else m.select(shots)) for a, m in self.terms])

    def model(self, x: ArrayLike) -> Any:
        """Return what x stands for, as `leading` says."""
        return self.leading.model(x)

    def __call__(self, x: ArrayLike) -> tuple[float, NDArray]:
        """Return the sum and its gradient, as of :class:`Misfit`."""
        found = [(a, m(x)) for a, m in self.terms]
        return sum(a * value for a, (value, _) in found), sum(a * gradient for a, (_, gradient) in found)

    def gauss_newton(self, x: ArrayLike) -> LinearOperator:
        """Return the sum of the Gauss-Newton Hessians at x."""
        return add(*(scale(a, m.gauss_newton(x)) for a, m in self.terms))

    def hessian(self, x: ArrayLike) -> LinearOperator:
        """Return the sum of the exact Hessians at x."""
        return add(*(scale(a, m.hessian(x)) for a, m in self.terms))

    @property
    def held_bytes(self) -> int:
        """How much memory the maps' wavefields hold."""
        return sum(m.held_bytes for _, m in self.terms)

    @property
    def spare_bytes(self) -> int:
        """How much memory the maps have that waits for their next wavefields."""
        return sum(m.spare_bytes for _, m in self.terms)

    def forget(self) -> None:
        """Release the wavefields that Hessians hold, and what the maps have spare."""
        for _, m in self.terms:
            m.forget()

    def _rows(self) -> Iterator[tuple[str, object]]:
        yield from ((f"{a:g} times", repr(m)) for a, m in self.terms)

    def __repr__(self) -> str:
        return f"<{' + '.join(f'{a:g} * {m!r}' for a, m in self.terms)}>"


class GaussNewton(LinearOperator):
    """The Gauss-Newton Hessian of a misfit at a point; it linearises the map when first applied.

    Parameters
    ----------
    misfit : Misfit
        The misfit.
    x : ndarray
        The point, flat.
    """

    symbol = "J.H W.H W J"

    def __init__(self, misfit: Misfit, x: NDArray) -> None:
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

    def _pushed(self, at: _Point, dm: tuple[NDArray, ...]) -> NDArray:
        return at.linearization.pushforward(*dm, *(None for _ in self.misfit.fixed))

    def _apply(self, x: NDArray) -> NDArray:
        misfit, at = self.misfit, self.misfit.held(self.x)
        seen = misfit._seen(at, self._pushed(at, misfit._direction(at, x.ravel())))
        back = misfit._back(at, misfit.loss.weight(at.residual) * seen)
        return misfit._pulled(at, back).reshape(self.domain.shape)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._apply(y)


class Hessian(GaussNewton):
    """The exact Hessian of a misfit at a point.

    Parameters
    ----------
    misfit : Misfit
        The misfit.
    x : ndarray
        The point, flat.
    """

    symbol = "(J.H W.H W J + second)"

    def _apply(self, x: NDArray) -> NDArray:
        misfit, at = self.misfit, self.misfit.held(self.x)
        dx, loss = x.ravel(), misfit.loss
        dm = misfit._direction(at, dx)
        pushed, slope = self._pushed(at, dm), loss.slope(at.residual)
        bent: NDArray | float = 0.0
        if misfit._features is not None:
            moved = misfit._features.domain[0].asarray(misfit._weighted(pushed))
            bent = misfit._features.second((at.weighted,), (moved,), slope)[0]
        curved = loss.curvature(at.residual) * misfit._seen(at, pushed)
        out = misfit._pulled_back(at, misfit._back(at, curved, bent))
        residual = misfit._back(at, slope)
        point = (*misfit._model(misfit._changed(self.x)), *misfit.fixed)
        directions = (*dm, *(np.zeros_like(array) for array in misfit.fixed))
        out = out + join(misfit.G.second(point, directions, residual)[: misfit.free])
        product = misfit._through_p(at.change, out)
        if at.change is not None:
            gradient = misfit._whole.asarray(misfit._pulled_back(at, residual))
            product = product + misfit.P.second((self.x,), (dx,), gradient)[0].ravel()
        return product.reshape(self.domain.shape)


def _map(G: Any, fixed: tuple[Any, ...], name: str) -> Map:
    if isinstance(G, Map):
        return G
    if isinstance(G, pylops.LinearOperator):
        if fixed:
            raise ParameterError(
                f"{name} needs a map of {len(fixed)} arguments and more, got the linear operator {G}, which has one: "
                f"Parametric(F) is the map (m, q) -> F(m) q, and {name}(Parametric(F), data, q) its misfit"
            )
        return LinearMap(as_operator(G))
    raise ParameterError(f"{name} needs a map first, such as Parametric(F), then the data, got {type(G).__name__}")


def _require_order(G: Map, data: Any, fixed: tuple[Any, ...], who: str) -> None:
    """Refuse arrays that are not where they belong, and say where that is."""
    spaces = {"data": G.range, **{f"argument {i}": space for i, space in enumerate(G.domain)}}
    for name, x in zip(["data", *list(spaces)[len(spaces) - len(fixed) :]], (data, *fixed), strict=True):
        shape = as_array(x, spaces[name]).shape
        fits = [other for other, space in spaces.items() if shape in (space.shape, (space.size,))]
        if name not in fits:
            raise SpaceError(
                f"{who}(G, data, *fixed): an array of shape {shape}, given as {name}, is not in {spaces[name]}: "
                f"expected shape {spaces[name].shape}" + (f"; it fits {' and '.join(fits)} of {G!r}" if fits else "")
            )


def _operator(name: str, op: Any, space: Space, who: str) -> LinearOperator | None:
    """W or P as an operator of ours; numbers and arrays multiply pointwise."""
    if op is None:
        return None
    if isinstance(op, (np.ndarray, Sequence, int, float, np.number)):
        try:
            return Pointwise(space, op)
        except (ParameterError, SpaceError) as error:
            raise type(error)(f"{who}: {name}: {error}") from None
    return as_operator(op)


def _says(misfit: Misfit) -> tuple[bool, bool, bool]:
    """How much a misfit says of what x stands for."""
    return misfit.P is not None, misfit.shots is not None, misfit.start is not None


def _check(name: str, side: str, space: Space, what: str, expected: Space, who: str) -> None:
    if not compatible(space, expected):
        raise SpaceError(f"{who}: {side} of {name} is {space!r}, {what} is {expected!r}. Did you mean {name}.H?")
