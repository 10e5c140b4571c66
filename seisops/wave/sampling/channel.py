"""Samplers of one of several wavefields that are solved for together."""

from __future__ import annotations

from collections.abc import Sequence

from seisops.operators import Sampler
from seisops.wave.sampling.coupling import Coupling
from seisops.wave.sampling.everything import coupling

__all__ = ["Channel", "located"]


class Channel(Coupling, Sampler):
    """A sampler of one of several wavefields that are solved for together, such as a field and its derivative.

    Parameters
    ----------
    sampler : Sampler
    index : int
        The wavefield.
    """

    def __init__(self, sampler: Sampler, index: int):
        self.sampler, self.index = sampler, index
        self._coupling = coupling(sampler)
        self.component, self.points = self._coupling.component, self._coupling.points
        self.symbol = f"{sampler.symbol or type(sampler).__name__}[{index}]"
        super().__init__(sampler.domain, sampler.range)

    def _fingerprint(self) -> list:
        return [self.sampler, self.index]

    def select(self, shots: Sequence[int]) -> Channel:
        return Channel(self.sampler.select(shots), self.index)

    def _apply(self, x):
        return self.sampler._apply(x)

    def _apply_adjoint(self, y):
        return self.sampler._apply_adjoint(y)

    # -- in a solve

    @property
    def imaging(self):
        return self._coupling.imaging

    def require_fit(self, discretisation):
        self._coupling.require_fit(discretisation)

    def own(self, side):
        return self._coupling.own(side.of(self.index))

    def entering(self, shot, x, where):
        return self._coupling.entering(shot, x, where)

    def leaving(self, shot, where):
        return self._coupling.leaving(shot, where)

    def found(self, results, where):
        return self._coupling.found(results, where)

    def deliver(self, values, shot, out):
        self._coupling.deliver(values, shot, out)

    def signals(self, x):
        return self._coupling.signals(x)

    def silent(self, shot, where):
        return self._coupling.silent(shot, where)


def located(sampler: Sampler) -> tuple[Sampler, int]:
    """A sampler and the wavefield that it samples, by default the first."""
    return (sampler.sampler, sampler.index) if isinstance(sampler, Channel) else (sampler, 0)
