"""Multiplication by an array: weights and masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import seisops._arrays as _arrays
from seisops.errors import ParameterError, SpaceError
from seisops.operators.base import LinearOperator
from seisops.spaces import Space

__all__ = ["Pointwise"]


class Pointwise(LinearOperator):
    """Multiplies the arrays of a space by an array, element by element.

    Parameters
    ----------
    space : Space
        The space.
    values : array_like
        Real and finite, of a shape that broadcasts to the space's.
    """

    symbol = "Pointwise"
    anywhere = True

    def __init__(self, space: Space, values: ArrayLike) -> None:
        values = np.asarray(values)
        if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
            raise ParameterError(f"must be finite real numbers, got {values.dtype} {values!r:.60}")
        values = values.astype(space.dtype)
        if values.size == space.size and values.ndim == 1:
            values = values.reshape(space.shape)
        try:
            self.values = np.broadcast_to(values, space.shape)
        except ValueError:
            raise SpaceError(
                f"numbers of shape {values.shape} do not broadcast to {space} of shape {space.shape}: add axes of length "
                "1 where they do not vary"
            ) from None
        super().__init__(space, space)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.values]

    def _make_adjoint(self) -> LinearOperator:
        return self

    def select(self, shots: Sequence[int]) -> Pointwise:
        """Return the weights of some shots."""
        return Pointwise(self.domain.select(shots), self.domain.take(self.values, shots))

    def _apply(self, x: NDArray) -> NDArray:
        return _arrays.there(self.values, x) * x

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._apply(y)
