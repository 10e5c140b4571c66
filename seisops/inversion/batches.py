"""Random subsets of shots that are the same in every run."""

from __future__ import annotations

import operator

import numpy as np

from seisops.errors import ParameterError
from seisops.wave._validate import integer

__all__ = ["Batches"]


class Batches:
    """Random batches of shots: a function of seed and iteration, so that a run can be repeated from anywhere.

    Parameters
    ----------
    shots : int
        Number of shots.
    size : int
        Number of shots in a batch; the last one of an epoch has what is left.
    seed : int, optional
        Another seed, other batches.

    Notes
    -----
    ``batches[k]`` is the tuple of shots of iteration k, in ascending order. Every epoch, of `per_epoch` iterations, takes
    every shot once, in a new random order.
    """

    __iter__ = None  # there is no last one: ask by number

    def __init__(self, shots: int, size: int, seed: int = 0) -> None:
        self.shots = integer("Batches shots", shots, minimum=1)
        self.size = integer("Batches size", size, minimum=1)
        self.seed = integer("Batches seed", seed, minimum=0)
        if self.size > self.shots:
            raise ParameterError(f"Batches of {self.size} shots cannot be taken from {self.shots} shots")

    @property
    def per_epoch(self) -> int:
        """How many batches take every shot once."""
        return -(-self.shots // self.size)

    def __getitem__(self, iteration: int) -> tuple[int, ...]:
        try:
            k = operator.index(iteration)
        except TypeError:
            k = -1
        if k < 0:
            raise ParameterError(f"batches are numbered by iteration, 0, 1, 2, ..., got {iteration!r}")
        epoch, place = divmod(k, self.per_epoch)
        # raw bits and a stable sort: what NumPy's generators make of the bits may change from release to release
        bits = np.random.PCG64(np.random.SeedSequence([self.seed, epoch])).random_raw(self.shots)
        order = np.argsort(bits, kind="stable")
        return tuple(sorted(int(i) for i in order[place * self.size : (place + 1) * self.size]))

    def __repr__(self) -> str:
        return f"Batches(shots={self.shots}, size={self.size}, seed={self.seed})"
