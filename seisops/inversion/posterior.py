"""What a model that was found is worth: its posterior, of few eigenpairs of a Hessian, and spikes as they come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError, shown
from seisops.inversion.fingerprint import fingerprint
from seisops.inversion.misfit import Misfit, MisfitSum
from seisops.maps import Map
from seisops.operators import BlockDiag, LinearOperator, Pointwise, Scaled, as_operator
from seisops.spaces import DirectSum, Space, join
from seisops.wave._validate import floats, integer
from seisops.wave.grid import NODE_TOLERANCE

__all__ = ["Posterior", "point_spread"]


class Posterior:
    r"""The Gaussian posterior of a model, near where a misfit is least.

    With W one over the standard deviation of the noise, and P a root of the prior's covariance, :math:`C = P P^\top`, so
    that x is standard normal before there are data, the posterior's covariance is

    .. math:: P (1 + H)^{-1} P^\top, \qquad H = P^\top J^\top W^\top W J P,

    H being the misfit's Gauss-Newton Hessian. The data say something along few directions, the eigenvectors V of H whose
    eigenvalues :math:`\lambda` are not small, so that :math:`(1 + H)^{-1} = 1 - V D V^\top` with
    :math:`D = \lambda / (1 + \lambda)` (Bui-Thanh, Ghattas, Martin & Stadler 2013, doi:10.1137/12089586X). They are found
    from products with random vectors (Halko, Martinsson & Tropp 2011, doi:10.1137/090771806).

    Parameters
    ----------
    misfit : Misfit or sum of misfits
        Its weights are one over the standard deviation of the noise, its P a root of the covariance of the prior, for
        example ``sigma * so.model.Smooth(...)``. Of a sum, all that have a P have the same one, and the order does not
        count. A P that is a map, such as :class:`~seisops.model.Bounded`, counts by its derivative at x; samples are taken
        through the map itself.
    x : array_like
        Where its gradient vanishes: an array of ``misfit.domain``.
    rank : int
        How many eigenpairs; enough where the last eigenvalue is well below 1.
    oversampling : int, optional
        How many more random vectors.
    seed : int, optional
        Of the random vectors.

    Attributes
    ----------
    eigenvalues : ndarray
        Of H, (rank,), largest first: how many times more data say about a direction than the prior.
    eigenvectors : ndarray
        Of H, (rank, size of x), orthonormal.
    covariance : LinearOperator
        Of the posterior, on what is looked for; of a spike it is the covariance of that cell with all others. Several
        parameters are one after the other, as of their direct sum.
    resolution : LinearOperator
        :math:`V D V^\top` on x: what the mean posterior model shows of a model; 1 what data say, 0 what the prior says.

    Raises
    ------
    ParameterError
        If there are fewer directions than asked for, or the misfits of a sum have different P, or starts.

    Notes
    -----
    It costs ``2 * (rank + oversampling)`` products with H, for modeling two solves for each shot and product, at one
    linearisation; what follows costs no solves.
    """

    def __init__(self, misfit: Any, x: ArrayLike, rank: int, oversampling: int = 10, seed: int = 0) -> None:
        if not isinstance(misfit, Misfit | MisfitSum):
            raise ParameterError(
                f"Posterior needs a misfit with a Gauss-Newton Hessian, such as a Misfit, got {shown(misfit)}"
            )
        size = misfit.domain.size
        rank = integer("Posterior rank", rank, minimum=1)
        count = rank + integer("Posterior oversampling", oversampling, minimum=0)
        if rank > size:
            raise ParameterError(f"Posterior of rank {rank}: x has {size} directions")
        self.misfit, self.x = misfit, np.array(misfit.domain.asarray(x).ravel())
        self._of = _leading(misfit)
        self._root = self._of.P.jacobian(self.x) if isinstance(self._of.P, Map) else self._of.P
        H = misfit.gauss_newton(self.x)
        random = np.random.default_rng(seed).standard_normal((size, min(count, size)))
        basis = np.linalg.qr(_columns(H, random))[0]
        within = basis.T @ _columns(H, basis)
        values, vectors = np.linalg.eigh((within + within.T) / 2)
        self.eigenvalues = np.maximum(values[::-1][:rank], 0.0)
        self.eigenvectors = (basis @ vectors[:, ::-1][:, :rank]).T
        self.resolution: LinearOperator = _Within(misfit.domain, self.eigenvectors, self._known)
        space = misfit.domain if self._root is None else self._root.domain
        less = _Within(space, self.eigenvectors, -self._known, identity=1.0)
        covariance = less if self._root is None else self._root * less * self._root.H
        whole = self._of.sought
        named = self._root is None or self._root.range == whole
        self.covariance: LinearOperator = covariance if named else _Named(whole, covariance)

    @property
    def _known(self) -> NDArray:
        return self.eigenvalues / (1.0 + self.eigenvalues)

    @property
    def resolved(self) -> float:
        r"""How many parameters the data determine, :math:`\sum \lambda / (1 + \lambda)`."""
        return float(self._known.sum())

    @property
    def information(self) -> float:
        r"""What is gained from the data, in nats: :math:`\frac12 \sum \ln(1 + \lambda)`."""
        return float(0.5 * np.log1p(self.eigenvalues).sum())

    def samples(self, n: int, seed: int = 0, prior: bool = False) -> NDArray:
        r"""Draw models: of x and :math:`(1 + V ((1 + \lambda)^{-1/2} - 1) V^\top) \xi`, :math:`\xi` standard normal.

        A P that is a map takes them to models as it is, not by its derivative, so that between bounds they are between them.

        Parameters
        ----------
        n : int
            How many.
        seed : int, optional
        prior : bool, optional
            Whether of the prior, about the same model, and of the same random numbers: what data do to each.

        Returns
        -------
        ndarray
            (n, ...), shaped as what is looked for; flat for several parameters.
        """
        n = integer("samples", n, minimum=1)
        random = np.random.default_rng(seed).standard_normal((n, self.x.size))
        return np.stack([self._model(self.x + (one if prior else self._shrunk(one))) for one in random])

    def std(self, samples: int = 100, seed: int = 0, prior: bool = False) -> NDArray:
        r"""Standard deviation of what is looked for, in its units and shape; flat for several parameters.

        The variance is the mean of the squares of :math:`P (1 + H)^{-1/2}` times random signs, which has a relative error
        of at most ``sqrt(2 / samples)`` in each cell, however much the data say there (one standard deviation; half of that
        for the standard deviation: 7 % of 100 samples). It is exact, as far as the eigenpairs are, where P is a diagonal, or
        there are as many samples as numbers in x. A P that is a map counts by its derivative.

        Parameters
        ----------
        samples, seed : int, optional
            Of the random signs.
        prior : bool, optional
            Whether of the prior.
        """
        samples, size = integer("std samples", samples, minimum=1), self.x.size
        diagonal = _diagonal(self._root, size)
        if diagonal is not None:
            V = self.eigenvectors
            unknown = np.maximum(1.0 - np.sum(V**2, axis=0), 0.0)
            left = unknown + np.sum(V**2 / (1.0 + self.eigenvalues[:, None]), axis=0)
            return self._of.sought.asarray(np.abs(diagonal) * (1.0 if prior else np.sqrt(left)))
        rng, exact, squares = np.random.default_rng(seed), samples >= size, 0.0
        for k in range(size if exact else samples):
            one = (np.arange(size) == k).astype(np.float64) if exact else rng.choice([-1.0, 1.0], size)
            squares = squares + self._root.matvec(one if prior else self._shrunk(one)).astype(np.float64) ** 2
        return self._of.sought.asarray(np.sqrt(squares if exact else squares / samples))

    def best_shots(self, count: int) -> tuple[list[int], NDArray]:
        r"""Return which shots say most, and what is known with the first of them, the first two, and so on.

        Of the shots that are left, the one that adds most to :math:`\frac12 \ln\det(1 + V^\top (H_0 + \sum_s H_s) V)` is
        taken next, within the eigenvectors of all of them (greedy D-optimal design; Krause, Singh & Guestrin 2008).
        :math:`H_0` is what a sum has of misfits without shots, a regularisation: it is known with the first shot, as with
        all of them.

        Parameters
        ----------
        count : int
            How many shots.

        Returns
        -------
        shots : list of int
        information : ndarray
            (count,), in nats.

        Notes
        -----
        It costs as many products with each shot's Hessian as there are eigenpairs.
        """
        shots = self.misfit.shots or 1
        count = integer("best_shots", count, minimum=1)
        if count > shots:
            raise ParameterError(f"best_shots: {count} of {shots} shots")
        V, terms = self.eigenvectors.T, self.misfit.terms
        still = [] if self.misfit.shots is None else [(a, m) for a, m in terms if m.shots is None]
        moving = MisfitSum([(a, m) for a, m in terms if (a, m) not in still])
        each = [V.T @ _columns(moving.select([s]).gauss_newton(self.x), V) for s in range(shots)]
        chosen: list[int] = []
        gained, seen = [], np.eye(V.shape[1])
        if still:
            seen = seen + V.T @ _columns(MisfitSum(still).gauss_newton(self.x), V)
        for _ in range(count):
            left = [s for s in range(shots) if s not in chosen]
            nats = [0.5 * np.linalg.slogdet(seen + each[s])[1] for s in left]
            best = int(np.argmax(nats))
            chosen.append(left[best])
            gained.append(nats[best])
            seen = seen + each[left[best]]
        return chosen, np.array(gained)

    def _shrunk(self, x: NDArray) -> NDArray:
        """The root of the inverse of 1 + H times x."""
        V = self.eigenvectors
        return x + ((1.0 / np.sqrt(1.0 + self.eigenvalues) - 1.0) * (V @ x)) @ V

    def _model(self, x: NDArray) -> NDArray:
        model = self._of.model(x)
        return join(model) if isinstance(model, tuple) else model

    def __repr__(self) -> str:
        return (
            f"<Posterior of {self.misfit.domain}: {self.resolved:.1f} parameters resolved, {self.information:.1f} nats>"
        )


class _Within(LinearOperator):
    """A multiple of the identity, and a diagonal within the span of orthonormal vectors."""

    symbol = "V D V.H"

    def __init__(self, space: Space, vectors: NDArray, diagonal: NDArray, identity: float = 0.0) -> None:
        self.vectors, self.diagonal, self.identity = vectors, diagonal, identity
        super().__init__(space, space)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.vectors, self.diagonal, self.identity]

    def _make_adjoint(self) -> LinearOperator:
        return self

    def _apply(self, x: NDArray) -> NDArray:
        flat = x.ravel()
        within = (self.diagonal * (self.vectors @ flat)) @ self.vectors
        return (self.identity * flat + within).astype(x.dtype).reshape(x.shape)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._apply(y)


class _Named(LinearOperator):
    """An operator on a space, by the name of the space where it goes by another."""

    def __init__(self, space: Space, op: LinearOperator) -> None:
        self.op, self.symbol = op, op._formula()
        super().__init__(space, space)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.op]

    def _apply(self, x: NDArray) -> NDArray:
        return self.op.matvec(x.ravel())

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self.op.rmatvec(y.ravel())


def point_spread(H: Any, points: ArrayLike, parameter: int | None = None) -> NDArray:
    """Return what an operator on models makes of spikes: the point-spread functions of a Hessian.

    Parameters
    ----------
    H : operator
        On models, such as ``J.H @ J``, ``misfit.gauss_newton(x)`` or ``posterior.covariance``.
    points : array_like
        (points, axes), in metres: a spike is in the nearest cell.
    parameter : int, optional
        Of models of several parameters the one that has the spikes, counted from 0.

    Returns
    -------
    ndarray
        (points, ...): one model for each spike, in the shape of the range; of a direct sum, which is flat,
        ``H.range.split`` takes the parameters apart.

    Raises
    ------
    ParameterError
        If the operator is not on models of a grid, a point is outside of it, there is none, or of several parameters none
        is named.
    """
    H = as_operator(H)
    space = H.domain
    parts = _parameters(space)
    if space.shape != H.range.shape or not all(map(_on_grid, parts)):
        raise ParameterError(
            f"point_spread of {H!r:.100}: give an operator from models on a grid to the same, not {space!r}; one made by "
            "pylops.BlockDiag knows no grid, as so.BlockDiag does"
        )
    if parameter is None and len(parts) > 1:
        raise ParameterError(
            f"point_spread: a model is of {len(parts)} parameters, {space}: say which one has the spikes, "
            f"point_spread(H, points, parameter=0) to {len(parts) - 1}"
        )
    number = integer("point_spread parameter", 0 if parameter is None else parameter, minimum=0)
    if number >= len(parts):
        raise ParameterError(f"point_spread(parameter={number}): there are {len(parts)}, counted from 0")
    cells = _cells(parts[number], points)
    spikes = np.zeros((len(cells), *parts[number].shape), space.dtype)
    spikes[(np.arange(len(cells)), *cells.T)] = 1.0
    before, after = (sum(part.size for part in some) for some in (parts[:number], parts[number + 1 :]))
    whole = np.pad(spikes.reshape(len(cells), -1), ((0, 0), (before, after)))
    return np.stack([H.range.asarray(H.matvec(spike)) for spike in whole])


def _parameters(space: Space) -> Sequence[Space]:
    """The spaces of the parameters that a model is of, which come one after the other."""
    if isinstance(space, DirectSum):
        return space.parts
    several = space.axes[0].name == "parameter"
    return [Space(space.name, space.axes[1:], space.dtype)] * space.axes[0].size if several else [space]


def _on_grid(space: Space) -> bool:
    return all(axis.step is not None for axis in space.axes)


def _cells(space: Space, points: ArrayLike) -> NDArray:
    """The cells of a model that points are nearest to, (points, axes)."""
    names = ", ".join(axis.name for axis in space.axes)
    try:
        given = np.atleast_2d(floats(points))
    except (TypeError, ValueError):
        raise ParameterError(f"point_spread: points must be numbers, ({names}) of each, got {shown(points)}") from None
    if not given.size:
        raise ParameterError(f"point_spread: there are no points: give ({names}) of each, in metres")
    if given.ndim != 2 or given.shape[1] != len(space.axes):
        raise ParameterError(
            f"point_spread: points of shape {given.shape}, not (points, {len(space.axes)}): give ({names}) of each"
        )
    origin, step = (np.array([getattr(axis, name) for axis in space.axes]) for name in ("origin", "step"))
    cells = (given - origin) / step
    last = np.array(space.shape) - 1
    inside = ((cells >= -NODE_TOLERANCE) & (cells <= last + NODE_TOLERANCE)).all(axis=1)  # NaN is not
    if not inside.all():
        ends = ", ".join(
            f"{axis.name} {low:g} to {high:g} m"
            for axis, low, high in zip(space.axes, origin, origin + last * step, strict=True)
        )
        raise ParameterError(f"point_spread: the point {given[~inside][0]} m is outside of the grid, {ends}")
    return np.rint(cells).astype(int)


def _columns(H: LinearOperator, X: NDArray) -> NDArray:
    return np.stack([H.matvec(column) for column in np.ascontiguousarray(X.T)], axis=1)


def _diagonal(root: LinearOperator | None, size: int) -> NDArray | None:
    """The diagonal of an operator that has nothing else, if that is seen of it; flat."""
    match root:
        case None:
            return np.ones(size)
        case Pointwise():
            return root.values.ravel().astype(np.float64)
        case Scaled():
            inside = _diagonal(root.op, size)
            return None if inside is None else root.scalar * inside
        case BlockDiag():
            parts = [_diagonal(block, block.domain.size) for block in root.children]
            return None if any(part is None for part in parts) else join(parts)
    return None


def _leading(misfit: Any) -> Misfit:
    """The misfit that says what x stands for, if others do not say something else."""
    first = misfit.leading
    for _, other in misfit.terms:
        if (other.P is None) is (first.P is None):
            for name in ("P", "start"):
                one, two = getattr(first, name), getattr(other, name)
                if one is not two and one is not None and two is not None and fingerprint(one) != fingerprint(two):
                    raise ParameterError(
                        f"Posterior of a sum: {first!r:.80} and {other!r:.80} have different {name}, so that x stands for "
                        f"two models: give all the same {name}"
                    )
    return first
