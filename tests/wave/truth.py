"""Exact seismograms of homogeneous acoustic media, and how far a record is from one: how late, how strong, how different.

With pressure p, particle velocity v, velocity c and density rho, waves of first order obey

    p_t / kappa + div v = q delta(x - s),        v_t + grad p / rho = a delta(x - s),        kappa = rho c^2,

where q is the rate at which an explosion injects volume (m3/s; per metre in two dimensions) and a is a point force over
the density. With the Green's function G of ``G_tt / c^2 - lap G = delta``, in the frequency domain (in time e^{i w t}),

    p = i w rho G q - rho dG/dx_j a_j,           v_i = -dG/dx_i q + d2G/(dx_i dx_j) a_j / (i w)     (x other than s),

as follows by elimination of v or p. G depends on the distance r alone (k = w / c):

    three dimensions   exp(-i k r) / (4 pi r)    Aki & Richards (2002), Quantitative Seismology, 2nd ed., eq. 4.4
    two dimensions     -i/4 H0(2)(k r)           Morse & Feshbach (1953), Methods of Theoretical Physics, sec. 7.3

and its derivatives along the axes follow from D = 1/r d/dr: d/dx_i turns D^n G into x_i D^(n+1) G, and the product rule
does the rest. The D^n G themselves are Hankel functions (-k/r)^n H_n, and follow from each other by Helmholtz's equation.

Frequencies have a negative imaginary part, small beside those of the signal: waves fade exponentially as the record goes
on, so that nothing comes back from its end, not even the slow tails of two dimensions; the record is amplified in the end.
Velocities that depend on the frequency, and are complex, make a medium lossy; q then is what an explosion injects.

A plane surface at z = 0 is a mirror. At a free surface p is odd in z: the image of an explosion has the opposite sign,
and so has that of a horizontal force; that of a vertical force has the same. At a rigid one p is even, and all signs
are the other way round.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import fft
from scipy.special import hankel2

#: Either a number, or what is one at every angular frequency.
Velocity = float | Callable[[np.ndarray], np.ndarray]


def at(velocity, w):
    """A velocity at angular frequencies."""
    return velocity(w) if callable(velocity) else velocity


#: How much of what would come after twice the record comes back into it. Rounding errors grow up to its inverse root.
FADED = 1e-12


def heard_through(transfer, signal, step):
    """What comes out, sample for sample, where a signal goes in and `transfer` is what becomes of e^{i w t}.

    Of the frequencies, only those that the signal has are asked for; they are complex, as said above.
    """
    count = fft.next_fast_len(2 * len(signal))
    damping = -np.log(FADED) / (count * step)
    w = 2 * np.pi * np.fft.rfftfreq(count, step) - 1j * damping
    fading = np.exp(-damping * step * np.arange(len(signal)))
    spectrum = np.fft.rfft(fading * signal, count)
    there = np.abs(spectrum) > 1e-12 * np.abs(spectrum).max()
    spectrum[~there] = 0.0
    spectrum[there] *= transfer(w[there])
    return np.fft.irfft(spectrum, count)[: len(signal)] / fading


class Green:
    """G of a wavenumber at an offset from its source, and its derivatives along the axes, of up to fourth order."""

    def __init__(self, k, offset):
        self.offset, ndim, r = offset, len(offset), np.linalg.norm(offset)
        if ndim == 3:
            g = np.exp(-1j * k * r) / (4 * np.pi * r)
            self.powers = [g, -(1j * k + 1 / r) / r * g]
        else:
            self.powers = [-0.25j * hankel2(0, k * r), 0.25j * k / r * hankel2(1, k * r)]
        for n in range(3):
            self.powers.append(-((2 * n + ndim) * self.powers[n + 1] + k**2 * self.powers[n]) / r**2)

    def __call__(self, *axes, power=0):
        """Along axes, each by its number, of D^power G."""
        if not axes:
            return self.powers[power]
        *rest, i = axes
        along = self.offset[i] * self(*rest, power=power + 1)
        pairs = [m for m, j in enumerate(rest) if i == j]
        return along + sum(self(*rest[:m], *rest[m + 1 :], power=power + 1) for m in pairs)


@dataclass(frozen=True)
class Homogeneous:
    """Acoustic waves in a whole space, or in a half space below z = 0.

    Parameters
    ----------
    c : float or callable
        Velocity in m/s, or what is it at angular frequencies.
    rho : float
        Density in kg/m3.
    surface : {"free", "rigid", None}
    """

    c: Velocity
    rho: float = 1.0
    surface: str | None = None

    def pressure(self, signal, step, source, receiver):
        """Of a source of strength s(t), in ``p_tt / c^2 - lap p = s delta``: s = rho q_t."""
        return self._record(signal, step, source, receiver, lambda w, g: g(), odd=True)

    def record(self, drive, heard, signal, step, source, receiver):
        """What an explosion or a force makes heard.

        Parameters
        ----------
        drive : str
            "p" for an explosion, whose `signal` is q; "vx", "vy" or "vz" for a force along that axis, and a.
        heard : str
            Likewise, pressure or a component of the particle velocity.
        signal : ndarray
            Samples.
        step : float
            Between samples, in seconds.
        source, receiver : array_like
            Metres.
        """
        axes = "xyz" if len(source) == 3 else "xz"
        at_source, at_receiver = ([axes.index(name[1])] if name != "p" else [] for name in (drive, heard))

        def spectrum(w, g):
            derivative = g(*at_receiver, *at_source)
            if drive == heard == "p":
                return 1j * w * self.rho * derivative
            if drive == "p":
                return -derivative
            if heard == "p":
                return -self.rho * derivative
            return derivative / (1j * w)

        return self._record(signal, step, source, receiver, spectrum, odd=drive != "vz")

    def _record(self, signal, step, source, receiver, spectrum, odd):
        """`odd`: the image at a free surface has the opposite sign."""
        offsets = [(1.0, np.subtract(receiver, source))]
        if self.surface:
            image = np.array(source, float)
            image[-1] *= -1
            offsets.append((-1.0 if odd == (self.surface == "free") else 1.0, receiver - image))

        def transfer(w):
            return sum(sign * spectrum(w, Green(w / at(self.c, w), offset)) for sign, offset in offsets)

        return heard_through(transfer, signal, step)


# ---- measures


def difference(data, truth):
    """Relative L2 distance from the truth."""
    return np.linalg.norm(np.subtract(data, truth)) / np.linalg.norm(truth)


class Fit(NamedTuple):
    """By how much the truth has to be delayed, in steps, and multiplied, to come closest to the data."""

    delay: float
    amplitude: float


def fit(data, truth, step=1.0):
    """Least squares of ``data(t) = amplitude truth(t - delay)`` over one or several traces, which share both.

    The misfit ``sum |D - a e^{-i w tau} T|^2`` of the spectra is smallest where the correlation ``C(tau) = Re sum
    conj(T) D e^{i w tau}`` is largest in modulus: at its largest sample first, then between samples by Newton's method.
    That is the slope of the phase of ``conj(T) D``, each frequency weighted by its energy.

    Parameters
    ----------
    data, truth : array_like
        Traces, time last.
    step : float
        Of the delay's unit, in samples: the delay comes in steps of the solver if this is one of those.
    """
    data, truth = np.atleast_2d(data), np.atleast_2d(truth)
    count = fft.next_fast_len(2 * data.shape[-1])
    d, t = np.fft.rfft(data, count), np.fft.rfft(truth, count)
    cross = (t.conj() * d).sum(axis=0)
    w = 2 * np.pi * np.fft.rfftfreq(count)
    lag = int(np.argmax(np.abs(np.fft.irfft(cross, count))))
    tau = float(lag - count if lag > count // 2 else lag)
    for _ in range(20):
        turned = cross * np.exp(1j * w * tau)
        change = (w * turned.imag).sum() / (w**2 * turned.real).sum()
        tau -= change
        if abs(change) < 1e-10:
            break
    correlation = np.fft.irfft(cross * np.exp(1j * w * tau), count)[0]
    return Fit(tau / step, correlation / np.fft.irfft((t.conj() * t).real.sum(axis=0), count)[0])
