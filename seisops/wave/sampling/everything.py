"""Whole wavefields, as sampled in a solve."""

from __future__ import annotations

from seisops.errors import SpaceError
from seisops.operators import Everything, Sampler
from seisops.wave.sampling.coupling import Coupling, total
from seisops.wave.sampling.ways import LevelsWay

__all__ = ["Whole", "coupling"]


class Whole(Coupling):
    """How all of a wavefield enters a solve, or leaves it: every sample in every cell."""

    def entering(self, shot, x, where):
        fields = ((n, place, where.to_solver(where.here(x[shot]), place, axis=0)) for n, place in where.places)
        return [LevelsWay(n, None, where.embed(field, place)) for n, place, field in fields]

    def leaving(self, shot, where):
        return [LevelsWay(n) for n, _ in where.places]

    def found(self, results, where):
        fields = zip(results, where.places, strict=True)
        return total(where.to_data(where.crop(field, place), place, axis=0) for field, (_, place) in fields)


def coupling(sampler: Sampler) -> Coupling:
    """How a sampler takes part in a solve.

    Raises
    ------
    SpaceError
        If it does not.
    """
    if isinstance(sampler, Everything):
        return Whole()
    if not isinstance(sampler, Coupling):
        raise SpaceError(f"{sampler!r} cannot be read from, or written to, a wave equation")
    return sampler
