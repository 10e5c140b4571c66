"""Filters between traces and others, as functions of the traces: matching filters, and sources estimated from data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from seisops.data.tracemap import TraceMap, shots_of
from seisops.data.tracewise import alike, kinds_of_traces, traces_of
from seisops.spaces import Axis, Space, Traces
from seisops.wave._validate import real

__all__ = ["ByLag", "MatchedSource", "MatchingFilter", "lags"]


def lags(of: Any, modeled: ArrayLike, observed: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
    """By how much modeled traces come later than observed ones, by the largest correlation.

    Half a period is where least squares skips a cycle.

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
        What the traces are those of.
    modeled, observed : array_like
        Such traces.

    Returns
    -------
    late : ndarray
        Seconds, one for each trace, in their order; 0 where one of the two is silent.
    energy : ndarray
        Of each observed trace: the sum of its squares.
    period : ndarray
        Of each observed trace, in seconds: one over the mean frequency of its energy; of a silent one infinite.
    """
    space = traces_of(of, "lags")
    for name, x in (("modeled", modeled), ("observed", observed)):
        space.require_finite(space.asarray(x), f"lags: {name}")
    shots = zip(*(shots_of(space.asarray(x), space) for x in (modeled, observed)), strict=True)
    steps = [part.time_axis.step for part in kinds_of_traces(space) for _ in range(part.shots)]
    late, energy, period = [], [], []
    for step, (u, v) in zip(steps, shots, strict=True):
        U, V = (_spectrum(np.asarray(a, np.float64)) for a in (u, v))
        correlation = _filter(U * V.conj())
        shift = (np.argmax(correlation, axis=-1) - correlation.shape[-1] // 2) * step
        late.append(np.where(correlation.any(axis=-1), shift, 0.0))
        energy.append(np.sum(np.square(v, dtype=np.float64), axis=-1))
        power = np.abs(V) ** 2
        weighted = power @ (np.arange(V.shape[-1]) / (2 * (V.shape[-1] - 1) * step))
        silent = np.full(len(power), np.inf)
        period.append(np.divide(power.sum(axis=-1), weighted, out=silent, where=weighted > 0))
    return np.concatenate(late), np.concatenate(energy), np.concatenate(period)


class Matched(TraceMap):
    """What maps of traces beside others, which are fixed, have in common: spectra, and what damps their quotients.

    A subclass is made of what its traces are those of, the observed ones and the damping.
    """

    def __init__(self, domain: Space, range: Space, observed: ArrayLike, damping: float) -> None:
        name = type(self).__name__
        self.observed = domain.owned(observed)
        domain.require_finite(self.observed, f"{name}: observed")
        self.damping = real(f"{name} damping", damping, "mean power", positive=True)
        super().__init__(domain, range)
        traces = (np.asarray(shot, np.float64) for shot in shots_of(self.observed, domain))
        self._observed = [_spectrum(shot) for shot in traces]

    def _fingerprint(self) -> Sequence[Any]:
        return [self.observed, self.damping]

    def select(self, shots: Sequence[int]) -> Matched:
        """Return the map of some shots."""
        space = self.domain[0]
        return type(self)(space.select(shots), space.take(self.observed, shots), self.damping)

    def _spread(self, power: NDArray) -> NDArray:
        """Spectra plus the damping times their mean: symmetric in the inner product of spectra.

        Relative to the modeled traces, so that it does not matter how strong their source is.
        """
        mean = np.sum(self._counts(power) * power, axis=-1, keepdims=True) / (2 * (power.shape[-1] - 1))
        return power + self.damping * mean

    @staticmethod
    def _counts(power: NDArray) -> NDArray:
        """Twice for all frequencies but the first and the last."""
        counts = np.full(power.shape[-1], 2.0)
        counts[[0, -1]] = 1.0
        return counts

    @staticmethod
    def _least(power: NDArray) -> NDArray:
        """What is added where nothing is modeled, of what is observed."""
        return 1e-30 * np.mean(power, axis=-1, keepdims=True) + np.finfo(float).tiny


class MatchingFilter(Matched):
    r"""The filter of each trace that makes the observed trace of it: the Wiener filter w of :math:`w * u \approx v`.

    By spectra, :math:`W = \bar U V / (|U|^2 + \epsilon)`, with silence behind traces that are as long. The filter of traces
    that are equal is a spike at lag 0; that of a trace that comes late has its spike at a negative lag; of a silent trace it
    is zero.

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
        What the traces u are those of.
    observed : array_like
        v.
    damping : float, optional
        :math:`\epsilon` as a fraction of the mean power of u, trace by trace.
    """

    _fingerprint = Matched._fingerprint

    def __init__(self, of: Any, observed: ArrayLike, damping: float = 1e-2) -> None:
        space = traces_of(of, "MatchingFilter")
        filters = []
        for part in kinds_of_traces(space):
            n, step = _bins(part.time_axis.size), part.time_axis.step
            filters.append(Traces(part.counts, Axis("lag", n, step, -(n // 2) * step), part.dtype, "filters"))
        super().__init__(space, alike(space, filters), observed, damping)

    def _terms(self, u: NDArray, k: int) -> tuple[NDArray, NDArray, NDArray]:
        """U, V / D and D, what is divided by."""
        U, V = _spectrum(u), self._observed[k]
        D = self._spread(np.abs(U) ** 2) + self._least(np.abs(V) ** 2)
        return U, V / D, D

    def _moved(self, U: NDArray, dU: NDArray, A: NDArray, D: NDArray) -> tuple[NDArray, NDArray]:
        """How the filter moves, and the logarithm of D."""
        dD = self._spread(2 * _real(U, dU)) / D
        return dU.conj() * A - U.conj() * A * dD, dD

    def _value(self, u, k):
        U, A, _ = self._terms(u, k)
        return _filter(U.conj() * A)

    def _forward(self, u, du, k):
        U, A, D = self._terms(u, k)
        return _filter(self._moved(U, _spectrum(du), A, D)[0])

    def _backward(self, u, y, k):
        U, A, D = self._terms(u, k)
        Y = _of_filter(y)
        return _traces(Y.conj() * A - 2 * U * self._spread(_real(Y, U.conj() * A) / D), u)

    def _second(self, u, du, y, k):
        U, A, D = self._terms(u, k)
        dU, Y = _spectrum(du), _of_filter(y)
        dW, dD = self._moved(U, dU, A, D)
        by = _real(Y, U.conj() * A) / D
        bent = dU * self._spread(by) + U * self._spread(_real(Y, dW) / D - by * dD)
        return _traces(-Y.conj() * A * dD - 2 * bent, u)


class MatchedSource(Matched):
    r"""Traces with the source that fits observed ones best: :math:`w(u) * u`, with one filter w for all traces of a shot.

    Of all filters, :math:`W = \sum_r \bar U_r V_r / (\sum_r |U_r|^2 + \epsilon)` has the least :math:`\sum_r \|w * u_r -
    v_r\|^2 + \epsilon \|w\|^2`: compared with the observed traces, what is left is the misfit of the best of all sources, as
    by variable projection (Golub & Pereyra 1973, doi:10.1137/0710036; for sources Aravkin & van Leeuwen 2012,
    doi:10.1088/0266-5611/28/11/115016). The filter changes with u, and derivatives know it. Of several components each has
    a filter of its own.

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
        What the traces u are those of.
    observed : array_like
        v.
    damping : float, optional
        :math:`\epsilon` as a fraction of the mean power of the traces u of a shot, all together.
    """

    _fingerprint = Matched._fingerprint

    def __init__(self, of: Any, observed: ArrayLike, damping: float = 1e-6) -> None:
        space = traces_of(of, "MatchedSource")
        super().__init__(space, space, observed, damping)

    def filters(self, u: ArrayLike) -> list[NDArray]:
        """Return the filter of each shot, at times from 0 to the length of the traces, then negative ones, as of an FFT.

        Parameters
        ----------
        u : array_like
            Traces; what was modeled with a source, convolved with the filter, is what the best source makes.
        """
        space = self.domain[0]
        shots = enumerate(shots_of(space.asarray(u), space))
        return [
            fft.irfft(self._terms(_spectrum(np.asarray(a, np.float64)), k)[0], _bins(a.shape[-1])) for k, a in shots
        ]

    def _terms(self, U: NDArray, k: int) -> tuple[NDArray, NDArray]:
        """The filter, and what is divided by."""
        V = self._observed[k]
        D = self._spread(np.sum(np.abs(U) ** 2, axis=0)) + self._least(np.sum(np.abs(V) ** 2, axis=0))
        return np.sum(U.conj() * V, axis=0) / D, D

    def _moved(self, U: NDArray, dU: NDArray, W: NDArray, D: NDArray, k: int) -> tuple[NDArray, NDArray]:
        """How the filter moves, and the logarithm of D."""
        dD = self._spread(2 * np.sum(_real(U, dU), axis=0)) / D
        return np.sum(dU.conj() * self._observed[k], axis=0) / D - W * dD, dD

    def _value(self, u, k):
        U = _spectrum(u)
        return _traces(self._terms(U, k)[0] * U, u)

    def _forward(self, u, du, k):
        U, dU = _spectrum(u), _spectrum(du)
        W, D = self._terms(U, k)
        return _traces(self._moved(U, dU, W, D, k)[0] * U + W * dU, u)

    def _backward(self, u, y, k):
        U, Y = _spectrum(u), _spectrum(y)
        W, D = self._terms(U, k)
        p = np.sum(Y.conj() * U, axis=0)
        return _traces(W.conj() * Y + p * self._observed[k] / D - 2 * U * self._spread((p * W).real / D), u)

    def _second(self, u, du, y, k):
        U, dU, Y, V = _spectrum(u), _spectrum(du), _spectrum(y), self._observed[k]
        W, D = self._terms(U, k)
        dW, dD = self._moved(U, dU, W, D, k)
        p, dp = np.sum(Y.conj() * U, axis=0), np.sum(Y.conj() * dU, axis=0)
        by = (p * W).real / D
        bent = dU * self._spread(by) + U * self._spread((dp * W + p * dW).real / D - by * dD)
        return _traces(dW.conj() * Y + (dp - p * dD) * V / D - 2 * bent, u)


class ByLag(TraceMap):
    """Filters times the distance of each sample from lag 0, as a fraction of the largest: a linear map.

    Parameters
    ----------
    filters : Space
        The range of a :class:`MatchingFilter`.
    """

    def __init__(self, filters: Space) -> None:
        super().__init__(filters)

    def _fingerprint(self) -> Sequence[Any]:
        return []

    def select(self, shots: Sequence[int]) -> ByLag:
        """Return the map of some shots."""
        return ByLag(self.domain[0].select(shots))

    def _value(self, u, k):
        n = u.shape[-1]
        return u * np.abs(np.arange(n) - n // 2) / (n // 2)

    def _forward(self, u, du, k):
        return self._value(du, k)

    _backward = _forward

    def _second(self, u, du, y, k):
        return np.zeros_like(u)


def _bins(n: int) -> int:
    """Samples of traces with the silence behind them, an even number."""
    return 2 * fft.next_fast_len(n, real=True)


def _spectrum(traces: NDArray) -> NDArray:
    return fft.rfft(traces, _bins(traces.shape[-1]))


def _traces(spectrum: NDArray, like: NDArray) -> NDArray:
    """Traces of a spectrum, as long as others; the transpose of `_spectrum` in the inner product of spectra."""
    return fft.irfft(spectrum, _bins(like.shape[-1]))[..., : like.shape[-1]]


def _filter(spectrum: NDArray) -> NDArray:
    """A filter, with lag 0 in the middle."""
    bins = 2 * (spectrum.shape[-1] - 1)
    return fft.fftshift(fft.irfft(spectrum, bins), axes=-1)


def _of_filter(filters: NDArray) -> NDArray:
    return fft.rfft(fft.ifftshift(filters, axes=-1))


def _real(a: NDArray, b: NDArray) -> NDArray:
    """The real part of the conjugate of one times another."""
    return (a.conj() * b).real
