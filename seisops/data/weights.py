"""Weights of samples: mutes, windows of offsets, gains. All are diagonal, and their own adjoints."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.data.geometry import distances
from seisops.data.tracewise import Tracewise, kinds_of_traces, numbers_of_traces, taken, traces_of
from seisops.errors import ParameterError
from seisops.spaces import Axis, Space
from seisops.wave._validate import not_negative, real

__all__ = ["Gain", "Mute", "OffsetWindow"]

#: m/s below which a velocity is one in other units.
SLOW = 50.0


def ramp(x: NDArray) -> NDArray:
    """From 0 where x is negative to 1 where it exceeds 1, as the square of a sine in between."""
    return np.sin(0.5 * np.pi * np.clip(x, 0.0, 1.0)) ** 2


def _rise(x: NDArray, start: ArrayLike, length: float) -> NDArray:
    return ramp((x - start) / length) if length else (x >= start).astype(np.float64)


class Weighting(Tracewise):
    """Multiplies each sample by a weight, which a subclass says block by block: weights take no memory."""

    def _make_adjoint(self) -> Weighting:
        return self

    @abstractmethod
    def _weights(self, t: NDArray, traces: slice) -> NDArray:
        """The weights of some traces at times t in seconds: what broadcasts to (traces, time)."""

    def _along(self, traces: NDArray, axis: Axis, first: int, adjoint: bool) -> NDArray:
        t = (axis.origin or 0.0) + (axis.step or 1.0) * np.arange(axis.size)
        return traces * self._weights(t, slice(first, first + len(traces))).astype(traces.dtype)


class Mute(Weighting):
    r"""Keeps what comes after a time of each trace, or what comes before it.

    That time is that of the direct wave, :math:`t_0 = ` `delay` :math:`+ x / v`, of a reflection from a depth of normal
    time `t0`, `delay` :math:`+ \sqrt{t_0^2 + x^2 / v^2}`, or what was picked; x is the distance from the nearest source.

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
        What the traces are those of, as of all of :mod:`seisops.data`.
    velocity : float, optional
        v in m/s: that of water for the direct wave, that of the rock below for refractions.
    delay : float, optional
        Seconds, such as the length of the wavelet, so that all of the direct wave is muted.
    t0 : float, optional
        Seconds.
    picks : array_like, optional
        Instead of a velocity: the time of each trace in seconds, of a shape that broadcasts to (shots, points).
    keep : {"after", "before"}, optional
        Reflections come after the direct wave; refractions, and the waves that dive, before what is slower. The two add to
        the identity.
    taper : float, optional
        Seconds from the time on in which weights rise (fall), as the square of a sine.
    distances : array_like, optional
        x in metres, where `of` does not say where sources and receivers are.

    Raises
    ------
    ParameterError
        If neither or both of `velocity` and `picks` are given, a number is not finite or negative where it must not be, or
        there are no distances.
    """

    symbol = "Mute"

    def __init__(
        self,
        of: Any,
        velocity: float | None = None,
        delay: float = 0.0,
        t0: float = 0.0,
        picks: ArrayLike | None = None,
        keep: str = "after",
        taper: float = 0.05,
        distances: ArrayLike | None = None,
    ) -> None:
        space = traces_of(of, "Mute")
        if (velocity is None) == (picks is None):
            raise ParameterError(
                "Mute needs either a velocity in m/s or picks in seconds: Mute(F, velocity=1500.0) mutes the direct wave in "
                "water"
            )
        if keep not in ("after", "before"):
            raise ParameterError(f'Mute(keep={keep!r}): use "after" or "before"')
        self.keep, self.taper = keep, not_negative("Mute taper", taper, "seconds")
        if picks is None:
            velocity = real("Mute velocity", velocity, "m/s", positive=True)
            if velocity < SLOW:
                raise ParameterError(
                    f"Mute velocity of {velocity:g} m/s is none of waves: perhaps km/s? Give m/s, or picks"
                )
            x = _distances(of, space, "Mute", distances)
            times = np.hypot(not_negative("Mute t0", t0, "seconds"), x / velocity)
        else:
            times = numbers_of_traces("picks", picks, space)
        self._set(space, times + real("Mute delay", delay, "seconds"))
        last = max(t.origin + t.step * (t.size - 1) for t in (part.time_axis for part in kinds_of_traces(space)))
        if keep == "after" and self.times.size and self.times.min() > last:
            raise ParameterError(
                f"Mute leaves nothing: the first trace begins at {self.times.min():g} s, and records end at {last:g} s"
            )

    def _set(self, space: Space, times: NDArray) -> None:
        self.times = times
        super().__init__(space)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.times, self.keep, self.taper]

    def select(self, shots: Sequence[int]) -> Mute:
        """Return the mute of some shots."""
        some = object.__new__(Mute)
        some.keep, some.taper = self.keep, self.taper
        some._set(self.domain.select(shots), taken(self.times, self.domain, shots))
        return some

    def _weights(self, t: NDArray, traces: slice) -> NDArray:
        rising = _rise(t[None], self.times[traces, None], self.taper)
        return rising if self.keep == "after" else 1 - rising


class OffsetWindow(Weighting):
    """Keeps the traces of some offsets.

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
        What the traces are those of.
    minimum, maximum : float, optional
        Metres, between which offsets, horizontal and from the nearest source, are kept.
    taper : float, optional
        Metres within the window over which weights rise from 0 at its ends; an end at 0 or infinity has none.
    offsets : array_like, optional
        In metres, where `of` does not say where sources and receivers are; what counts is their magnitude.

    Raises
    ------
    ParameterError
        If there is nothing in the window, or there are no offsets.
    """

    symbol = "OffsetWindow"

    def __init__(
        self,
        of: Any,
        minimum: float = 0.0,
        maximum: float = np.inf,
        taper: float = 0.0,
        offsets: ArrayLike | None = None,
    ) -> None:
        space = traces_of(of, "OffsetWindow")
        low = not_negative("OffsetWindow minimum", minimum, "metres")
        high = maximum if maximum == np.inf else real("OffsetWindow maximum", maximum, "metres")
        taper = not_negative("OffsetWindow taper", taper, "metres")
        if not low < high:
            raise ParameterError(f"OffsetWindow from {low:g} m to {high:g} m is empty: give the smaller offset first")
        x = _distances(of, space, "OffsetWindow", offsets, horizontal=True)
        inside = ((x >= low) & (x <= high)).astype(np.float64)
        if taper and low > 0:
            inside *= ramp((x - low) / taper)
        if taper and high < np.inf:
            inside *= ramp((high - x) / taper)
        if x.size and not inside.any():
            raise ParameterError(
                f"OffsetWindow from {low:g} m to {high:g} m has no traces: offsets are from {x.min():g} to {x.max():g} m"
            )
        self._set(space, inside)

    def _set(self, space: Space, weights: NDArray) -> None:
        self.weights = weights
        super().__init__(space)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.weights]

    def select(self, shots: Sequence[int]) -> OffsetWindow:
        """Return the window of some shots."""
        some = object.__new__(OffsetWindow)
        some._set(self.domain.select(shots), taken(self.weights, self.domain, shots))
        return some

    def _weights(self, t: NDArray, traces: slice) -> NDArray:
        return self.weights[traces, None]


class Gain(Weighting):
    r"""Multiplies by a power of time, :math:`t^p`, which is 1 at one second; before time 0 by what it is there.

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
        What the traces are those of.
    power : float, optional
        p, not negative. Two dimensions spread as the root of time, three as time.

    Raises
    ------
    ParameterError
        If the power is negative or no number.
    """

    symbol = "Gain"

    def __init__(self, of: Any, power: float = 1.0) -> None:
        self.power = not_negative("Gain power", power, "powers of time")
        super().__init__(traces_of(of, "Gain"))

    def _fingerprint(self) -> Sequence[Any]:
        return [self.power]

    def select(self, shots: Sequence[int]) -> Gain:
        """Return the gain of some shots."""
        return Gain(self.domain.select(shots), self.power)

    def _weights(self, t: NDArray, traces: slice) -> NDArray:
        return np.maximum(t, 0.0)[None] ** self.power


def _distances(of: Any, space: Space, who: str, given: ArrayLike | None, horizontal: bool = False) -> NDArray:
    if given is None:
        return distances(of, who, horizontal)
    return np.abs(numbers_of_traces("offsets" if horizontal else "distances", given, space))
