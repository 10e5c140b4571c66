"""Balls: models of bounded norm, and of bounded rank."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisops._extras import missing
from seisops.inversion.constraints.constraint import Ball, Constraint
from seisops.wave._validate import integer

__all__ = ["L1Ball", "L2Ball", "NuclearBall", "Rank", "within_l1"]


class L2Ball(Ball):
    r"""The models with :math:`\|m - m_0\|_2 \le r`.

    Parameters
    ----------
    of, radius, center, relative_to
        As of :class:`Ball`.
    """

    def _measure(self, x: NDArray) -> float:
        return float(np.linalg.norm(x))

    def _shrunk(self, x: NDArray) -> NDArray:
        return x * (self.radius / self._measure(x))


class L1Ball(Ball):
    r"""The models with :math:`\sum |m - m_0| \le r`, by PyProximal.

    Parameters
    ----------
    of, radius, center, relative_to
        As of :class:`Ball`.
    """

    def _measure(self, x: NDArray) -> float:
        return float(np.abs(x).sum())

    def _shrunk(self, x: NDArray) -> NDArray:
        return within_l1(x, self.radius)


class NuclearBall(Ball):
    r"""The models whose singular values have a sum of at most r.

    A model is the matrix with a column for each depth, and a row for each place on the surface.

    Parameters
    ----------
    of, radius, center, relative_to
        As of :class:`Ball`.
    """

    on_grid = True

    def _measure(self, x: NDArray) -> float:
        return float(np.linalg.svd(_matrix(x), compute_uv=False).sum())

    def _shrunk(self, x: NDArray) -> NDArray:
        u, s, v = np.linalg.svd(_matrix(x), full_matrices=False)
        return ((u * within_l1(s, self.radius)) @ v).reshape(x.shape)


class Rank(Constraint):
    """The models of at most some rank, as matrices with a column for each depth; the set is not convex.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        What the models are those of.
    rank : int
        The largest rank.
    """

    convex = False
    on_grid = True

    def __init__(self, of: Any, rank: int) -> None:
        super().__init__(of)
        self.rank = integer("Rank: rank", rank, minimum=1)

    def _project(self, x: NDArray) -> NDArray:
        u, s, v = np.linalg.svd(_matrix(x), full_matrices=False)
        return ((u[:, : self.rank] * s[: self.rank]) @ v[: self.rank]).reshape(x.shape)


def _matrix(x: NDArray) -> NDArray:
    return x.reshape(-1, x.shape[-1])


def within_l1(x: NDArray, radius: float) -> NDArray:
    """The nearest array whose absolute values have a sum of at most a radius.

    Parameters
    ----------
    x : ndarray
    radius : float
    """
    try:
        from pyproximal.projection import L1BallProj
    except ImportError as error:
        raise missing("balls of the l1 norm need", "pyproximal", "prox") from error
    largest = float(np.abs(x).max())
    if not radius:
        return np.zeros_like(x)
    # in numbers of order one, to their last bits: PyProximal's bisection knows absolute tolerances only
    ball = L1BallProj(x.size, radius / largest, xtol=1e-15)
    return largest * ball(x.ravel() / largest).reshape(x.shape)
