"""What a model that was found is worth: its posterior, of few eigenpairs of a Hessian, and spikes as they come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError, shown
from seisops.maps import Map
from seisops.operators import LinearOperator, as_operator
from seisops.spaces import Space
from seisops.wave._validate import floats, integer

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
        example ``sigma * so.model.Smooth(...)``.
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
        Of the posterior, on what is looked for; of a spike it is the covariance of that cell with all others.
    resolution : LinearOperator
        :math:`V D V^\top` on x: what the mean posterior model shows of a model; 1 what data say, 0 what the prior says.

    Raises
    ------
    ParameterError
        If there are fewer directions than asked for.

    Notes
    -----
    It costs ``2 * (rank + oversampling)`` products with H, for modeling two solves for each shot and product, at one
    linearisation; what follows costs no solves.
    """

    def __init__(self, misfit: Any, x: ArrayLike, rank: int, oversampling: int = 10, seed: int = 0) -> None:
        if not (callable(getattr(misfit, "gauss_newton", None)) and isinstance(getattr(misfit, "domain", None), Space)):
            raise ParameterError(
                f"Posterior needs a misfit with a Gauss-Newton Hessian, such as a Misfit, got {shown(misfit)}"
            )
        size = misfit.domain.size
        rank = integer("Posterior rank", rank, minimum=1)
        count = rank + integer("Posterior oversampling", oversampling, minimum=0)
        if rank > size:
            raise ParameterError(f"Posterior of rank {rank}: x has {size} directions")
        self.misfit, self.x = misfit, np.array(misfit.domain.asarray(x).ravel())
        self._root = _root(misfit, self.x)
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
        self.covariance: LinearOperator = less if self._root is None else self._root * less * self._root.H

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
        r"""Draw models.

        :math:`P (1 + V ((1 + \lambda)^{-1/2} - 1) V^\top) \xi` about the model of x, :math:`\xi` standard normal.

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
        if not prior:
            shrunk = 1.0 / np.sqrt(1.0 + self.eigenvalues) - 1.0
            random = random + (random @ self.eigenvectors.T * shrunk) @ self.eigenvectors
        return self._centre() + np.stack([self._moved(one) for one in random])

    def std(self, samples: int = 100, seed: int = 0, prior: bool = False) -> NDArray:
        """Standard deviation of what is looked for, in its units and shape.

        What the data take from the variance is exact as far as the eigenpairs are; the prior's variance is the mean of the
        squares of P times random signs: exact where P is a diagonal, else with a relative error of ``sqrt(2 / samples)``.

        Parameters
        ----------
        samples, seed : int, optional
            Of the random signs.
        prior : bool, optional
            Whether of the prior.
        """
        signs = np.random.default_rng(seed).choice(
            [-1.0, 1.0], (integer("std samples", samples, minimum=1), self.x.size)
        )
        variance = np.mean([self._moved(one) ** 2 for one in signs], axis=0)
        if not prior:
            modes = zip(self._known, self.eigenvectors, strict=True)
            variance = variance - sum(known * self._moved(mode) ** 2 for known, mode in modes)
        return np.sqrt(np.maximum(variance, 0.0))

    def best_shots(self, count: int) -> tuple[list[int], NDArray]:
        r"""Return which shots say most, and what is known with the first of them, the first two, and so on.

        Of the shots that are left, the one that adds most to :math:`\frac12 \ln\det(1 + \sum_s V^\top H_s V)` is taken
        next, within the eigenvectors of all of them (greedy D-optimal design; Krause, Singh & Guestrin 2008).

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
        V = self.eigenvectors.T
        each = [V.T @ _columns(self.misfit.select([s]).gauss_newton(self.x), V) for s in range(shots)]
        chosen: list[int] = []
        gained, seen = [], np.eye(V.shape[1])
        for _ in range(count):
            left = [s for s in range(shots) if s not in chosen]
            nats = [0.5 * np.linalg.slogdet(seen + each[s])[1] for s in left]
            best = int(np.argmax(nats))
            chosen.append(left[best])
            gained.append(nats[best])
            seen = seen + each[left[best]]
        return chosen, np.array(gained)

    def _centre(self) -> NDArray:
        model = self.misfit.model(self.x)
        return np.concatenate([part.ravel() for part in model]) if isinstance(model, tuple) else model

    def _moved(self, x: NDArray) -> NDArray:
        """P of x, shaped as what is looked for."""
        if self._root is None:
            return x.reshape(self.misfit.domain.shape)
        return self._root.range.asarray(self._root.matvec(x.astype(self._root.domain.dtype)))

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


def point_spread(H: Any, points: ArrayLike) -> NDArray:
    """Return what an operator on models makes of spikes: the point-spread functions of a Hessian.

    Parameters
    ----------
    H : operator
        On models, such as ``J.H @ J``, ``misfit.gauss_newton(x)`` or ``posterior.covariance``.
    points : array_like
        (points, axes), in metres: a spike is in the nearest cell.

    Returns
    -------
    ndarray
        (points, ...): one model for each spike.

    Raises
    ------
    ParameterError
        If the operator is not on models of one grid, or a point is outside of it.
    """
    H = as_operator(H)
    space = H.domain
    axes = [axis for axis in space.axes if axis.step is not None] if isinstance(space, Space) else []
    if not axes or tuple(axis.size for axis in axes) != space.shape or space.shape != H.range.shape:
        raise ParameterError(
            f"point_spread of {H!r:.100}: give an operator from models on a grid to the same, not {space!r}"
        )
    points = np.atleast_2d(floats(points))
    if points.ndim != 2 or points.shape[1] != len(axes):
        names = ", ".join(axis.name for axis in axes)
        raise ParameterError(
            f"point_spread: points of shape {points.shape}, not (points, {len(axes)}): give ({names}) of each"
        )
    origin, step = (np.array([getattr(axis, name) for axis in axes]) for name in ("origin", "step"))
    cells = np.rint((points - origin) / step).astype(int)
    outside = ((cells < 0) | (cells >= space.shape)).any(axis=1)
    if outside.any():
        raise ParameterError(f"point_spread: {points[outside][0]} m is outside of {space!r}")
    spikes = np.zeros((len(cells), *space.shape), space.dtype)
    spikes[(np.arange(len(cells)), *cells.T)] = 1.0
    return np.stack([H.range.asarray(H.matvec(spike.ravel())) for spike in spikes])


def _columns(H: LinearOperator, X: NDArray) -> NDArray:
    return np.stack([H.matvec(column) for column in np.ascontiguousarray(X.T)], axis=1)


def _root(misfit: Any, x: NDArray) -> LinearOperator | None:
    """P at x, as a linear operator."""
    P = misfit.terms[0][1].P if hasattr(misfit, "terms") else misfit.P
    return P.jacobian(x) if isinstance(P, Map) else P
