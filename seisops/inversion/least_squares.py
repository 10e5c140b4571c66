"""The least-squares misfit of a map."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from seisops.inversion.misfit import Misfit
from seisops.maps import Map

__all__ = ["LeastSquares"]


class LeastSquares(Misfit):
    r"""The misfit :math:`\phi(x) = \frac12 \| W (G(x_0 + P x, \dots) - d) \|^2` of a map: a :class:`Misfit` of squares.

    Parameters
    ----------
    G : Map or operator
    data : array_like
    *fixed : array_like
    weights, P, start
        All as of :class:`Misfit`.
    """

    def __init__(
        self, G: Map, data: ArrayLike, *fixed: ArrayLike, weights: Any = None, P: Any = None, start: Any = None
    ) -> None:
        super().__init__(G, data, *fixed, weights=weights, P=P, start=start)
