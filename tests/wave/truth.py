"""Exact seismograms of homogeneous acoustic media, and how far a record is from one: how late, how strong, how different.

With pressure p, particle velocity v, velocity c and density rho, waves of first order obey

    p_t / kappa + div v = q delta(x - s),        v_t + grad p / rho = a delta(x - s),        kappa = rho c^2,

where q is the rate at which an explosion injects volume (m3/s; per metre in two dimensions) and a is a point force over
the density. With the Green's function G of ``G_tt / c^2 - lap G = delta``, in the frequency domain (in time e^{i w t}),

    p = i w rho G q - rho dG/dx_j a_j,           v_i = -dG/dx_i q + d2G/(dx_i dx_j) a_j / (i w)     (x other than s),

as follows by elimination of v or p. G depends on the distance r alone (k = w / c):

    three dimensions   exp(-i k r) / (4 pi r)    Aki & Richards (2002), Quantitative Seismology, 2nd ed., eq. 4.4
    two dimensions     -i/4 H0(2)(k r)           Morse & Feshbach (1953), Methods of Theoretical Physics, sec. 7.3

and its derivatives along the axes follow from those along r, with the unit vector n = (x - s) / r:

    dG/dx_i = G' n_i,        d2G/(dx_i dx_j) = G'' n_i n_j + G' / r (delta_ij - n_i n_j).

A plane surface at z = 0 is a mirror. At a free surface p is odd in z: the image of an explosion has the opposite sign,
and so has that of a horizontal force; that of a vertical force has the same. At a rigid one p is even, and all signs
are the other way round.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import fft
from scipy.special import hankel2


def radial(omega, distance, c, ndim):
    """G and its first two derivatives with respect to the distance, at angular frequencies above zero."""
    k, r = omega / c, distance
    if ndim == 3:
        g = np.exp(-1j * k * r) / (4 * np.pi * r)
        s = 1j * k + 1 / r
        return g, -s * g, (s**2 + r**-2) * g
    h0, h1 = hankel2(0, k * r), hankel2(1, k * r)
    return -0.25j * h0, 0.25j * k * h1, 0.25j * k**2 * (h0 - h1 / (k * r))


@dataclass(frozen=True)
class Homogeneous:
    """Acoustic waves in a whole space, or in a half space below z = 0.

    Parameters
    ----------
    c, rho : float
        Velocity in m/s and density in kg/m3.
    surface : {"free", "rigid", None}
    """

    c: float
    rho: float = 1.0
    surface: str | None = None

    def pressure(self, signal, step, source, receiver):
        """Of a source of strength s(t), in ``p_tt / c^2 - lap p = s delta``: s = rho q_t."""
        return self._record(signal, step, source, receiver, lambda w, offset, g: g[0], odd=True)

    def record(self, drive, heard, signal, step, source, receiver):
        """What an explosion or a force makes heard.

        Parameters
        ----------
        drive : str
            "p" for an explosion, whose `signal` is q; "vx", "vy" or "vz" for a force along that axis, and a.
        heard : str
            Likewise, pressure or a component of the particle velocity.
        signal : ndarray
            Samples, whose sum has to be zero.
        step : float
            Between samples, in seconds.
        source, receiver : array_like
            Metres.
        """
        axes, rho = "xyz" if len(source) == 3 else "xz", self.rho

        def spectrum(w, offset, g):
            r = np.linalg.norm(offset)
            n = offset / r
            if drive == heard == "p":
                return 1j * w * rho * g[0]
            if drive == "p":
                return -g[1] * n[axes.index(heard[1])]
            j = axes.index(drive[1])
            if heard == "p":
                return -rho * g[1] * n[j]
            i = axes.index(heard[1])
            return (g[2] * n[i] * n[j] + g[1] / r * ((i == j) - n[i] * n[j])) / (1j * w)

        return self._record(signal, step, source, receiver, spectrum, odd=drive != "vz")

    def _record(self, signal, step, source, receiver, spectrum, odd):
        """`odd`: the image at a free surface has the opposite sign."""
        count = fft.next_fast_len(16 * len(signal))  # in two dimensions, waves have tails: they fade before they wrap
        w = 2 * np.pi * np.fft.rfftfreq(count, step)[1:]
        offsets = [(1.0, np.subtract(receiver, source))]
        if self.surface:
            image = np.array(source, float)
            image[-1] *= -1
            offsets.append((-1.0 if odd == (self.surface == "free") else 1.0, receiver - image))
        answer = np.zeros(len(w) + 1, complex)
        for sign, offset in offsets:
            g = radial(w, np.linalg.norm(offset), self.c, len(source))
            answer[1:] += sign * spectrum(w, offset, g)
        answer *= np.fft.rfft(signal, count)
        # not zero near a force; the real part is even in w
        answer[0] = (4 * answer[1].real - answer[2].real) / 3
        return np.fft.irfft(answer, count)[: len(signal)]


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
