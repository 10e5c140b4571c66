"""What a wave equation adds to the algebra: the solve, and what is read from its wavefield or written into it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from seisops.operators.base import LinearOperator
from seisops.spaces import Space

__all__ = ["Everything", "Propagator", "Sampler"]


class Sampler(LinearOperator):
    """A linear map, local in time, from wavefields to something small; data only.

    Notes
    -----
    Point projections, wavelet-weighted stacks and imaging conditions are samplers. A product around a
    `Propagator` hands them to its solve as readers and, adjointed, as writers, so that no wavefield is
    stored. Applied alone, a sampler needs a wavefield in memory: that is refused where the wavefield exceeds
    its budget.
    """


class Everything(Sampler):
    """The identity of a space of wavefields as a sampler: reads, or writes, all of it.

    Parameters
    ----------
    space : Space
        The space of wavefields.
    """

    symbol = "Everything"
    anywhere = True

    def __init__(self, space: Space) -> None:
        super().__init__(space, space)

    def _apply(self, x: NDArray) -> NDArray:
        return x.copy()

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return y.copy()

    def select(self, shots: Sequence[int]) -> Everything:
        """Return the same of the wavefields of some shots."""
        return Everything(self._domain.select(shots))

    def _fingerprint(self) -> Sequence[Any]:
        return []


class Propagator(LinearOperator):
    """A map from wavefields to wavefields that costs the solve of a wave equation.

    Notes
    -----
    A subclass implements `solve`, `at` and, where its spaces do not, `shots` and `select`. Whatever an
    expression says around a propagator ends in one call of `solve`.
    """

    parametric = True
    anywhere = True

    @abstractmethod
    def solve(self, readers: tuple[Sampler, ...], writers: tuple[Sampler, ...], adjoint: bool) -> LinearOperator:
        """Return the operator ``VStack(readers) @ A @ HStack([w.H for w in writers])`` as one solve.

        Parameters
        ----------
        readers, writers : tuple of Sampler
            What is read from the wavefield and written into it; their domain is the space of wavefields. One
            of them may be `Everything`.
        adjoint : bool
            Whether A is this operator or its adjoint.

        Returns
        -------
        LinearOperator
            Its domain is the range of the writer, or the direct sum of several; its range likewise for the
            readers.
        """

    def require_fit(self, sampler: Sampler) -> None:
        """Refuse a sampler for which there is nothing to read or to write; asked when a product is formed."""

    @abstractmethod
    def at(self, **parameters: ArrayLike) -> Propagator:
        """Return the same propagator with other medium parameters."""

    def _apply(self, x: NDArray) -> NDArray:
        return self._solve_everything()._forward(x)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._solve_everything()._backward(y)

    def _solve_everything(self) -> LinearOperator:
        return self.solve((Everything(self._range),), (Everything(self._domain),), adjoint=False)
