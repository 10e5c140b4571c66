"""Models that stay between bounds, whatever an optimiser does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from seisops.errors import ParameterError
from seisops.maps import Linearization, Map
from seisops.model.models import model_of
from seisops.operators import Pointwise
from seisops.spaces import DirectSum
from seisops.wave._validate import floats

__all__ = ["Bounded"]


class Bounded(Map):
    r"""The map ``m = low + (high - low) / (1 + exp(-4 (x + x0)))`` from numbers without bounds to models within them.

    At x + x0 = 0 it is the mean of the bounds, where a step of 1 in x is one of ``high - low`` in m. As P of a misfit, or
    after it as in ``Bounded(G, low, high, around=m0) @ P``, bounds hold whatever P is.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        What the models are those of: domain and range. A direct sum has models of several parameters, one after the other.
    low, high : array_like
        Bounds in the unit of the models, of a shape that broadcasts to theirs.
    around : array_like, optional
        The model at x = 0, strictly between them; by default their mean.

    Raises
    ------
    ParameterError
        If bounds are not finite, do not fit, or `low` is not below `high` everywhere, or the model is not between them.
    """

    def __init__(self, of: Any, low: ArrayLike, high: ArrayLike, around: ArrayLike | None = None) -> None:
        space = of if isinstance(of, DirectSum) else model_of(of, "Bounded")
        try:
            low, high = (np.broadcast_to(floats(a), space.shape) for a in (low, high))
        except (TypeError, ValueError):
            raise ParameterError(
                f"Bounded: bounds of shapes {np.shape(low)} and {np.shape(high)} do not broadcast to {space.shape}"
            ) from None
        if not np.isfinite(low).all() or not np.isfinite(high).all() or not (low < high).all():
            raise ParameterError("Bounded: bounds must be finite, and low below high everywhere")
        self.low, self.high, self.origin = low, high, np.float64(0.0)
        super().__init__((space,), space)
        if around is not None:
            self.origin = self.inverse(around).astype(np.float64)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.low, self.high, self.origin]

    def select(self, shots: Sequence[int]) -> Bounded:
        """Return the map itself: it knows of no shots."""
        return self

    def inverse(self, m: ArrayLike) -> NDArray:
        """Return x of a model, such as that to start from.

        Parameters
        ----------
        m : array_like
            Strictly between the bounds.

        Raises
        ------
        ParameterError
            If it is not.
        """
        m = self.range.asarray(m).astype(np.float64)
        outside = ~((m > self.low) & (m < self.high))
        if outside.any():
            i = np.unravel_index(np.argmax(outside), m.shape)
            raise ParameterError(
                f"Bounded: {np.count_nonzero(outside)} of {m.size} values are not between their bounds, first {m[i]:.6g} at "
                f"{tuple(map(int, i))}, between {self.low[i]:.6g} and {self.high[i]:.6g}"
            )
        return self.range.asarray(logit((m - self.low) / (self.high - self.low)) / 4 - self.origin)

    def _part(self, x: NDArray) -> NDArray:
        """Where between the bounds, from 0 to 1."""
        return expit(4 * (x.astype(np.float64) + self.origin))

    def _call(self, *x: NDArray) -> NDArray:
        return self.range.asarray(self.low + (self.high - self.low) * self._part(x[0]))

    def _slope(self, x: NDArray) -> NDArray:
        s = self._part(x)
        return 4 * (self.high - self.low) * s * (1 - s)

    def _linearize(self, *x: NDArray) -> Linearization:
        return Linearization(self._call(*x), [Pointwise(self.range, self._slope(x[0]))])

    def _make_tangent(self) -> Map:
        return BoundedTangent(self)


class BoundedTangent(Map):
    """``(x, dx) -> slope(x) dx`` of a bounded map.

    Parameters
    ----------
    of : Bounded
    """

    def __init__(self, of: Bounded) -> None:
        self.of = of
        super().__init__(of.domain * 2, of.range)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.of]

    def select(self, shots: Sequence[int]) -> BoundedTangent:
        """Return the map itself."""
        return self

    def _call(self, *x: NDArray) -> NDArray:
        return self.range.asarray(self.of._slope(x[0]) * x[1])

    def _linearize(self, *x: NDArray) -> Linearization:
        slope, s = self.of._slope(x[0]), self.of._part(x[0])
        bent = 4 * slope * (1 - 2 * s) * x[1]
        return Linearization(self._call(*x), [Pointwise(self.range, a) for a in (bent, slope)])
