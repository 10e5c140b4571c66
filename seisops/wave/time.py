"""Uniform time axes."""

from dataclasses import dataclass

import numpy as np

from seisops._table import Told
from seisops.wave._validate import integer, real

#: In seconds: a sampling interval of so much, that is too long for a frequency, may be one in milliseconds.
LONG = 0.1


def perhaps_in_ms(step: float, frequency: float) -> str:
    """What a sampling interval may mean that is too long for a frequency in Hz; empty if nothing is known.

    Parameters
    ----------
    step : float
        In seconds, as it was taken.
    frequency : float
    """
    if step < LONG or 1e-3 * step * frequency >= 0.5:
        return ""
    return f"; perhaps the step is {step:g} ms, and time is in seconds: Time(n, step={1e-3 * step:g})"


@dataclass(frozen=True, repr=False)
class Time(Told):
    """The uniform time axis ``t[i] = start + i * step`` on which sources and data are sampled.

    Parameters
    ----------
    n : int
        Number of samples, at least two.
    step : float
        Sampling interval in seconds.
    start : float, optional
        Time of the first sample in seconds.

    Examples
    --------
    >>> Time(n=501, step=0.004)
    Time(n=501, step=0.004 s, 0 to 2 s)
    """

    n: int
    step: float
    start: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "n", integer("Time n (the number of samples)", self.n, minimum=2))
        object.__setattr__(self, "step", real("Time step", self.step, "seconds", positive=True))
        object.__setattr__(self, "start", real("Time start", self.start, "seconds"))

    @property
    def samples(self):
        """Times of the samples in seconds, float64."""
        return self.start + self.step * np.arange(self.n)

    @property
    def duration(self):
        """Time between the first and the last sample in seconds."""
        return (self.n - 1) * self.step

    @property
    def nyquist(self):
        """Highest frequency that the sampling can hold, ``1 / (2 step)``, in Hz."""
        return 0.5 / self.step

    def _rows(self):
        yield "samples", f"{self.n}, {self.step:g} s apart"
        yield "from", f"{self.start:g} to {self.start + self.duration:g} s"
        yield "Nyquist", f"{self.nyquist:g} Hz"

    def __repr__(self):
        end = self.start + self.duration
        return f"Time(n={self.n}, step={self.step:g} s, {self.start:g} to {end:g} s)"
