"""Wavefields at some times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.engine.symbols.places import Place
from seisops.errors import ParameterError
from seisops.operators import Sampler
from seisops.wave._validate import floats
from seisops.wave.sampling.coupling import Coupling, total
from seisops.wave.sampling.ways import LevelsWay, StackWay, Way
from seisops.wave.sampling.where import Where
from seisops.wave.space import Wavefield
from seisops.wave.time import Time

__all__ = ["Snapshots"]

# by how much of a step times may be off the samples, as decimals and single precision are
TOLERANCE = 1e-3

# snapshots up to which each has a stack of its own; a kernel is made for each number of stacks
FEW = 4


class Snapshots(Coupling, Sampler):
    """The wavefield at some times; its adjoint puts sources into all cells at those times.

    Maps u(shot, t, x, [y,] z) to its samples u(shot, times[k], x, [y,] z), as if one picked them from the whole wavefield.

    Parameters
    ----------
    waves : Wavefield
    times : float or array_like
        Seconds, each that of a sample of `waves.time`, in any order.
    component : str, optional
        What of the medium's waves they show, as of :class:`~seisops.Projection`.

    Raises
    ------
    ParameterError
        If there are no times, or one is none of a sample's: the message has the nearest.

    Notes
    -----
    In a solve, as in ``Snapshots(waves, times) * Ainv * Ps.H``, the wavefield between the snapshots is not in memory. A
    sample of the data is a weighted sum over all of the solver's steps: band-limited resampling has no ends in double
    precision, and spans 40 to 400 samples in single precision. Up to four snapshots are stacks with these weights, made in
    the loop that makes the field, for 10 to 30 % of a solve each. For more, the solve writes the field out at each step, to
    a block of 8 MiB, or as large as the snapshots, but of 7 steps at least, and adds the product of block and weights to
    them. Measured at order 8 on one core, 16 snapshots cost 2.5 solves more in 2D (400 x 300) and 0.6 in 3D (90 x 80 x 70),
    50 cost 2.4 (float32) to 4 (float64) more in 2D and 0.7 to 1.2 in 3D.
    """

    symbol = "Snapshots"

    def __init__(self, waves: Wavefield, times: ArrayLike, component: str | None = None):
        Wavefield.required("Snapshots", waves)
        self.numbers, self.component = _numbers(times, waves.time), component
        super().__init__(waves, waves.snapshots(self.numbers))

    @property
    def times(self) -> NDArray:
        """Times of the snapshots in seconds."""
        return self.domain.time.samples[list(self.numbers)]

    def _fingerprint(self) -> list:
        return [self.numbers] if self.component is None else [self.numbers, self.component]

    def select(self, shots: Sequence[int]) -> Snapshots:
        return Snapshots(self.domain.select(shots), self.times, self.component)

    def _apply(self, x):
        return x[:, list(self.numbers)]

    def _apply_adjoint(self, y):
        out = self.domain.zeros()
        for k, n in enumerate(self.numbers):
            out[:, n] += y[:, k]
        return out

    # -- in a solve

    def entering(self, shot, x, where):
        fields = where.here(x[shot])
        placed = ((n, place, where.embed(fields, place)) for n, place in where.places)
        return [way for n, place, fields in placed for way in self._ways(n, self._weights(where, place), fields)]

    def leaving(self, shot, where):
        return [way for n, place in where.places for way in self._ways(n, self._weights(where, place))]

    def found(self, results, where):
        shape = (len(where.places), len(self.numbers), *where.padding.shape)
        fields = zip(np.concatenate([np.ravel(r) for r in results]).reshape(shape), where.places, strict=True)
        return total(where.crop(several, place) for several, (_, place) in fields)

    def _ways(self, component: int, weights: NDArray, fields: NDArray | None = None) -> list[Way]:
        """Few snapshots are a stack each, in the loop that makes the field; more are sums over blocks of it."""
        if len(weights) > FEW:
            return [LevelsWay(component, weights, fields)]
        images = [None] * len(weights) if fields is None else fields
        return [StackWay(component, signal, image) for signal, image in zip(weights, images, strict=True)]

    def _weights(self, where: Where, place: Place) -> NDArray:
        """How much of each of the solver's samples is in each snapshot."""
        picks = np.zeros((len(self.numbers), self.domain.time.n), self.domain.dtype)
        picks[np.arange(len(picks)), self.numbers] = 1
        weights = where.to_solver(picks, place)
        size = np.abs(weights)
        # what is less than rounding is spared; the same is spared of the transpose
        return np.where(size > np.finfo(weights.dtype).eps * size.max(axis=1, keepdims=True), weights, 0)


def _numbers(times: ArrayLike, axis: Time) -> tuple[int, ...]:
    """The numbers of the samples at some times."""
    try:
        seconds = np.atleast_1d(floats(times))
    except (TypeError, ValueError):
        raise ParameterError(f"Snapshots(times={times!r:.80}): give times in seconds") from None
    if seconds.ndim != 1 or not seconds.size:
        raise ParameterError(
            f"Snapshots(times of shape {seconds.shape}): give one time in seconds, or several in a row"
        )
    steps = (seconds - axis.start) / axis.step
    nearest = np.rint(steps)
    for t, at, n in zip(seconds, steps, nearest, strict=True):
        if not -TOLERANCE <= at <= axis.n - 1 + TOLERANCE:
            raise ParameterError(f"Snapshots: there is nothing at {t:g} s on {axis!r}, whose times are in seconds")
        if abs(at - n) > TOLERANCE:
            before, after = axis.samples[[int(at), int(at) + 1]]
            raise ParameterError(
                f"Snapshots: {t:.9g} s lies between the samples of {axis!r}: take {before:.9g} s or {after:.9g} s, or "
                "a time axis that has it"
            )
    return tuple(map(int, nearest))
