"""Operators on traces: mutes, windows, gains, filters and other time axes, to stand before a modeling operator.

Each takes first what its traces are those of: a modeling operator or map, a :class:`~seisops.Survey`, or the space of the
traces. ``M = so.data.Mute(F, velocity=1500.0)`` makes ``M * F`` and ``M @ d``, and is itself a weight of a misfit. What is
not linear in the traces is a map: envelopes, distributions, filters that match them to others.
"""

from seisops.data.features import Distribution, Envelope, Normalized
from seisops.data.filters import Bandpass, TimePower, TimeShift
from seisops.data.geometry import offsets
from seisops.data.matching import MatchedSource, MatchingFilter, lags
from seisops.data.resample import Resample
from seisops.data.weights import Gain, Mute, OffsetWindow

__all__ = [
    "Bandpass",
    "Distribution",
    "Envelope",
    "Gain",
    "MatchedSource",
    "MatchingFilter",
    "Mute",
    "Normalized",
    "OffsetWindow",
    "Resample",
    "TimePower",
    "TimeShift",
    "lags",
    "offsets",
]


def __dir__() -> list[str]:
    return __all__
