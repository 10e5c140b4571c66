"""The operators that do nothing, and that leave nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from seisops.operators import rules
from seisops.operators.base import LinearOperator
from seisops.spaces import Space, require_space

__all__ = ["Identity", "Zero"]


@rules.identity.define
class Identity(LinearOperator):
    """The identity of a space.

    Parameters
    ----------
    space : Space
        The space.
    """

    symbol = "I"
    anywhere = True

    def __init__(self, space: Space) -> None:
        require_space(space, "Identity")
        super().__init__(space, space)

    def _apply(self, x: NDArray) -> NDArray:
        return x.copy()

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return y.copy()

    def _make_adjoint(self) -> LinearOperator:
        return self

    def select(self, shots: Sequence[int]) -> Identity:
        """Return the identity of the space of some shots."""
        return Identity(self._domain.select(shots))

    def _fingerprint(self) -> Sequence[Any]:
        return []


class Zero(LinearOperator):
    """The operator that maps everything to zero.

    Parameters
    ----------
    domain, range : Space
        The spaces it maps from and to.
    """

    symbol = "0"
    anywhere = True

    def _apply(self, x: NDArray) -> NDArray:
        return self._range.zeros(x)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._domain.zeros(y)

    def _make_adjoint(self) -> LinearOperator:
        return Zero(self._range, self._domain)

    def select(self, shots: Sequence[int]) -> Zero:
        """Return the zero operator between the spaces of some shots."""
        return Zero(self._domain.select(shots), self._range.select(shots))

    def _fingerprint(self) -> Sequence[Any]:
        return []
