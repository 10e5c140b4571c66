"""Source wavelets and the band that a signal occupies.

Every wavelet is a float64 array of `time.n` samples. `delay` is the time of its centre on the axis of `time`,
in seconds; by default it is late enough for the wavelet to start from (nearly) nothing.
"""

import numpy as np
from scipy import fft

from seisops.errors import ParameterError, SpaceError
from seisops.wave._validate import real
from seisops.wave.time import Time, perhaps_in_ms


def ricker(time, f0, delay=None, amplitude=1.0):
    r"""Ricker wavelet, the negative second derivative of a Gaussian.

    Parameters
    ----------
    time : Time
        Time axis.
    f0 : float
        Peak frequency in Hz.
    delay : float, optional
        Time of the peak in seconds. Default ``time.start + 1.5 / f0``, where the first sample is 1e-8 of the
        peak.
    amplitude : float, optional
        Value at the peak.

    Returns
    -------
    ndarray of shape (time.n,), float64

    Notes
    -----
    .. math:: w(t) = A\,(1 - 2 a)\,e^{-a}, \qquad a = \pi^2 f_0^2 (t - t_0)^2

    Ricker, N. (1953), The form and laws of propagation of seismic wavelets, Geophysics 18(1), 10-40,
    doi:10.1190/1.1437843.
    """
    f0 = _frequency("f0 of a Ricker wavelet", f0, time)
    a = (np.pi * f0 * _centred(time, delay, 1.5 / f0)) ** 2
    return real("amplitude", amplitude, "source units") * (1 - 2 * a) * np.exp(-a)


def gaussian_derivative(time, f0, delay=None, amplitude=1.0):
    r"""First derivative of a Gaussian, with sign such that its positive lobe comes first.

    Parameters
    ----------
    time : Time
        Time axis.
    f0 : float
        Peak frequency in Hz.
    delay : float, optional
        Time of the zero crossing in seconds. Default ``time.start + 1 / f0``, where the first sample is 3e-8
        of the peak.
    amplitude : float, optional
        Largest value.

    Returns
    -------
    ndarray of shape (time.n,), float64

    Notes
    -----
    .. math:: w(t) = -A \sqrt{e}\; b\, e^{-b^2/2}, \qquad b = 2 \pi f_0 (t - t_0)

    The spectrum :math:`|\omega| e^{-\omega^2/(8 \pi^2 f_0^2)}` has its maximum at :math:`\omega = 2 \pi f_0`.
    """
    f0 = _frequency("f0 of a Gaussian derivative", f0, time)
    b = 2 * np.pi * f0 * _centred(time, delay, 1.0 / f0)
    return -real("amplitude", amplitude, "source units") * b * np.exp(0.5 - b**2 / 2)


def ormsby(time, corners, delay=None, amplitude=1.0):
    r"""Ormsby wavelet, the zero-phase wavelet with a trapezoidal spectrum.

    Parameters
    ----------
    time : Time
        Time axis.
    corners : tuple of four floats
        Corner frequencies ``0 <= f1 < f2 < f3 < f4`` in Hz: the spectrum rises from f1 to f2 and falls from
        f3 to f4.
    delay : float, optional
        Time of the peak in seconds. Default: late enough for every earlier sample than `time.start` to stay
        below 1e-4 of the peak, which is long when a ramp is narrow (see Notes); pass `delay` to choose for
        yourself.
    amplitude : float, optional
        Value at the peak.

    Returns
    -------
    ndarray of shape (time.n,), float64

    Notes
    -----
    With :math:`\tau = t - t_0` and :math:`\mathrm{sinc}(x) = \sin(\pi x) / (\pi x)`

    .. math:: w(t) = \frac{A}{f_4 + f_3 - f_2 - f_1} \left[
        \frac{f_4^2 \mathrm{sinc}^2(f_4 \tau) - f_3^2 \mathrm{sinc}^2(f_3 \tau)}{f_4 - f_3} -
        \frac{f_2^2 \mathrm{sinc}^2(f_2 \tau) - f_1^2 \mathrm{sinc}^2(f_1 \tau)}{f_2 - f_1} \right]

    so :math:`|w| \le A\,[1/(f_4 - f_3) + 1/(f_2 - f_1)] / [\pi^2 \tau^2 (f_4 + f_3 - f_2 - f_1)]`, which the
    default delay sets to 1e-4. Ryan, H. (1994), Ricker, Ormsby, Klauder, Butterworth: a choice of wavelets,
    CSEG Recorder 19(7).
    """
    _require_axis(time)
    if np.shape(corners) != (4,):
        raise ParameterError(f"corners of an Ormsby wavelet must be four frequencies in Hz, got {corners!r}")
    f1, f2, f3, f4 = (real("a corner of an Ormsby wavelet", f, "Hz") for f in corners)
    if not 0 <= f1 < f2 < f3 < f4 <= time.nyquist:
        raise ParameterError(
            f"corners of an Ormsby wavelet must satisfy 0 <= f1 < f2 < f3 < f4 <= {time.nyquist:g} Hz (the "
            f"Nyquist frequency of {time!r}), got {corners!r}"
            + (perhaps_in_ms(time.step, f4) if f4 > time.nyquist else "")
        )
    width = f4 + f3 - f2 - f1
    tau = _centred(time, delay, np.sqrt((1 / (f4 - f3) + 1 / (f2 - f1)) / (1e-4 * np.pi**2 * width)))
    s1, s2, s3, s4 = ((f * np.sinc(f * tau)) ** 2 for f in (f1, f2, f3, f4))
    trapezoid = ((s4 - s3) / (f4 - f3) - (s2 - s1) / (f2 - f1)) / width
    return real("amplitude", amplitude, "source units") * trapezoid


def bandwidth(signal, time, level=0.05):
    """Highest frequency at which the amplitude spectrum of a signal exceeds `level` of its peak.

    Parameters
    ----------
    signal : array_like of shape (..., time.n)
        One signal or many; of many, the largest amplitude at every frequency counts.
    time : Time
        Time axis.
    level : float, optional
        Fraction of the peak of the spectrum, between 0 and 1.

    Returns
    -------
    float
        Frequency in Hz, 0 for a signal that is zero throughout. The spectrum is sampled at ``1 / (4 n step)``
        or finer.
    """
    signal = np.asarray(signal)
    if signal.shape[-1:] != (time.n,):
        raise SpaceError(f"a signal with shape {signal.shape} does not end in the {time.n} samples of {time!r}")
    if not 0 < real("level", level, "fractions of the peak") < 1:
        raise ParameterError(f"level must lie between 0 and 1, got {level!r}")
    n = fft.next_fast_len(4 * time.n, real=True)
    spectrum = np.abs(fft.rfft(signal, n)).reshape(-1, n // 2 + 1).max(axis=0)
    above = np.flatnonzero(spectrum > level * spectrum.max())
    return float(above[-1] / (n * time.step)) if above.size else 0.0


def _require_axis(time):
    if not isinstance(time, Time):
        raise ParameterError(
            f"a wavelet needs a Time first, then frequencies in Hz, got {type(time).__name__} {time!r:.60}"
        )


def _frequency(name, value, time):
    _require_axis(time)
    value = real(name, value, "Hz", positive=True)
    if value >= time.nyquist:
        raise ParameterError(
            f"{name} is {value:g} Hz, at or above the Nyquist frequency {time.nyquist:g} Hz of {time!r}: "
            f"take a lower frequency or a time step below {0.5 / value:g} s{perhaps_in_ms(time.step, value)}"
        )
    return value


def _centred(time, delay, default):
    if delay is None and default > time.duration:
        raise ParameterError(
            f"the wavelet needs {default:g} s to rise from nothing to its centre, but {time!r} lasts only "
            f"{time.duration:g} s: take a longer time axis, a higher frequency (wider ramps), or pass delay="
        )
    centre = time.start + default if delay is None else real("delay", delay, "seconds")
    return time.samples - centre
