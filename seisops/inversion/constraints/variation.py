"""Models whose gradient is bounded: blocks, and smooth models."""

from __future__ import annotations

import math
import warnings
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import dctn, idctn
from scipy.optimize import brentq

from seisops.errors import AccuracyWarning, outside
from seisops.inversion.constraints.balls import within_l1
from seisops.inversion.constraints.constraint import Ball
from seisops.wave._validate import integer, real

__all__ = ["Smoothness", "TotalVariation"]

#: Iterations after which the dual variable and its penalty are brought into balance, and how long.
EVERY, UNTIL = 10, 400
#: Over-relaxation.
RELAXED = 1.8


class Gradient:
    """Forward differences of models by metre, zero at the last nodes; what solves with them in closed form.

    Parameters
    ----------
    shape : tuple of int
        Of models.
    spacing : tuple of float
        In metres, axis by axis.

    Attributes
    ----------
    eigenvalues : ndarray
        Of its transpose times it, which cosines diagonalise.
    """

    def __init__(self, shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        self.spacing = spacing
        squares = [(2 * np.sin(0.5 * np.pi * np.arange(n) / n) / h) ** 2 for n, h in zip(shape, spacing, strict=True)]
        self.eigenvalues = sum(np.ix_(*squares))

    def __call__(self, m: NDArray) -> NDArray:
        """The gradient of a model: an array for each axis."""
        return np.stack([np.diff(m, axis=i, append=m.take([-1], i)) / h for i, h in enumerate(self.spacing)])

    def transposed(self, p: NDArray) -> NDArray:
        """The transpose, of an array for each axis."""
        out = np.zeros(p.shape[1:])
        for i, h in enumerate(self.spacing):
            inner = np.delete(p[i], -1, axis=i) / h
            out -= np.diff(inner, axis=i, prepend=0.0, append=0.0)
        return out

    def solved(self, m: NDArray, weight: float) -> NDArray:
        """What x is, if x plus a weight times the transpose of the gradient of x is a model."""
        return idctn(dctn(m, norm="ortho") / (1.0 + weight * self.eigenvalues), norm="ortho")


class Variation(Ball):
    """What bounds the gradient of a model."""

    on_grid = True

    @cached_property
    def _gradient(self) -> Gradient:
        return Gradient(self.space.shape, tuple(float(axis.step or 1.0) for axis in self.space.axes))

    @property
    def _cell(self) -> float:
        return math.prod(self._gradient.spacing)


class Smoothness(Variation):
    r"""The models with :math:`\left(\int |\nabla (m - m_0)|^2\right)^{1/2} \le r`.

    Parameters
    ----------
    of, radius, center, relative_to
        As of :class:`Ball`.

    Notes
    -----
    The nearest model is known in closed form but for one number: its cosine transform is that of the given one, divided by
    :math:`1 + \mu \lambda_k`, where :math:`\lambda_k` are the eigenvalues of the negative Laplacian.
    """

    @property
    def unit(self) -> str:  # type: ignore[override]
        """What the measure is in, by the axes of models."""
        return _times_metres(len(self.space.axes) / 2 - 1)

    def _measure(self, x: NDArray) -> float:
        return math.sqrt(self._cell) * float(np.linalg.norm(self._gradient(x)))

    def _shrunk(self, x: NDArray) -> NDArray:
        if not self.radius:
            return np.full_like(x, x.mean())
        values, spectrum = self._gradient.eigenvalues, dctn(x, norm="ortho")
        power = self._cell * values * spectrum**2

        def over(mu: float) -> float:
            return float(np.sum(power / (1.0 + mu * values) ** 2)) / self.radius**2 - 1.0

        # values / (1 + mu values)^2 is at most 1 / (4 mu)
        enough = self._cell * float(np.sum(np.delete(spectrum, 0) ** 2)) / (4 * self.radius**2)
        mu = brentq(over, 0.0, 1.01 * enough, xtol=1e-14 * enough, rtol=1e-14)
        return idctn(spectrum / (1.0 + mu * values), norm="ortho")


class TotalVariation(Variation):
    r"""The models of a total variation :math:`\int |\nabla (m - m_0)| \le r`: blocks.

    In two dimensions it is the sum of the lengths of all edges between blocks, each times its jump, and it does not change
    when the grid is refined. Gradients are forward differences.

    Parameters
    ----------
    of, radius, center, relative_to
        As of :class:`Ball`.
    tolerance : float, optional
        What is returned is in the set, and off the nearest model by at most this part of the distance, as the dual problem
        says.
    iterations : int, optional
        At most.

    Warns
    -----
    AccuracyWarning
        If the tolerance is not reached.

    Notes
    -----
    By alternating directions (Boyd et al. 2011, doi:10.1561/2200000016), of which one is a cosine transform and the other
    an l1 ball of PyProximal's.
    """

    def __init__(
        self, of: Any, radius: float, center: ArrayLike = 0.0, relative_to: ArrayLike | None = None,
        tolerance: float = 1e-2, iterations: int = 5000,
    ) -> None:  # fmt: skip
        super().__init__(of, radius, center, relative_to)
        self.tolerance = real("TotalVariation: tolerance", tolerance, "parts of the distance", positive=True)
        self.iterations = integer("TotalVariation: iterations", iterations, minimum=1)

    @property
    def unit(self) -> str:  # type: ignore[override]
        """What the measure is in, by the axes of models."""
        return _times_metres(len(self.space.axes) - 1)

    def _measure(self, x: NDArray) -> float:
        return self._cell * float(_lengths(self._gradient(x)).sum())

    def _shrunk(self, x: NDArray) -> NDArray:
        mean = x.mean()
        if not self.radius:
            return np.full_like(x, mean)
        return mean + self._nearest(x - mean, self.radius / self._cell)

    def _nearest(self, given: NDArray, radius: float) -> NDArray:
        """The model whose gradients' lengths have a sum of at most a radius, of one without mean."""
        D = self._gradient
        penalty = 10.0 / float(D.eigenvalues.max())
        dual = np.zeros((given.ndim, *given.shape))  # in units of the penalty
        inside = dual
        for k in range(1, self.iterations + 1):
            found = D.solved(given + penalty * D.transposed(inside - dual), penalty)
            steep, before = D(found), inside
            ahead = RELAXED * steep + (1.0 - RELAXED) * inside + dual
            long = _lengths(ahead)
            inside = ahead * (within_l1(long, radius) / np.where(long > 0, long, 1.0))
            dual = ahead - inside
            if k % EVERY:
                continue
            scaled = found * min(1.0, radius / float(_lengths(steep).sum()))
            pulled = penalty * D.transposed(dual)
            apart = float(np.sum((scaled - given) ** 2))
            bound = float(np.sum(pulled * given) - 0.5 * np.sum(pulled**2)) - penalty * radius * float(
                _lengths(dual).max()
            )
            # half the square of the distance from the nearest one is at most the gap
            if apart - 2 * bound <= self.tolerance**2 * apart:
                return scaled
            if k <= UNTIL:
                primal = float(np.linalg.norm(steep - inside) / np.linalg.norm(steep))
                moved = float(np.linalg.norm(D.transposed(inside - before)) / np.linalg.norm(D.transposed(dual)))
                factor = float(np.clip(np.sqrt(primal / moved), 0.25, 4.0)) if moved > 0 else 1.0
                penalty, dual = penalty * factor, dual / factor
        off = math.sqrt(max(1.0 - 2 * bound / apart, 0.0))
        warnings.warn(
            f"TotalVariation: after {self.iterations} iterations the model may be off by {off:.2g} of the distance, where "
            f"{self.tolerance:.2g} is asked for; it is in the set. Give more iterations, or a larger tolerance",
            AccuracyWarning,
            stacklevel=outside(),
        )
        return scaled


def _lengths(p: NDArray) -> NDArray:
    """Of vectors whose components come first."""
    return np.sqrt(np.sum(p**2, axis=0))


def _times_metres(power: float) -> str:
    """The unit of models, times metres to a power."""
    return "the unit of models" + {0: "", 1: " times m"}.get(power, f" times m^{power:g}")
