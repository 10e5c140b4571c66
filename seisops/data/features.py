"""What of traces may be compared instead of their samples: shapes without amplitudes, envelopes, distributions in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import expit

from seisops.data.tracemap import TraceMap
from seisops.data.tracewise import traces_of
from seisops.wave._validate import real

__all__ = ["Distribution", "Envelope", "Normalized"]


class Normalized(TraceMap):
    r"""Traces of unit norm, :math:`u / \sqrt{\|u\|^2 + \epsilon^2}`: what is left has no amplitude.

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
        What the traces are those of.
    floor : float, optional
        :math:`\epsilon`, in the unit of a trace's norm: silent traces stay silent.
    """

    def __init__(self, of: Any, floor: float = 1e-30) -> None:
        self.floor = real("Normalized floor", floor, "norms of traces", positive=True)
        super().__init__(traces_of(of, "Normalized"))

    def _fingerprint(self) -> Sequence[Any]:
        return [self.floor]

    def select(self, shots: Sequence[int]) -> Normalized:
        """Return the map of some shots."""
        return Normalized(self.domain[0].select(shots), self.floor)

    def _norm(self, u: NDArray) -> NDArray:
        return np.sqrt(np.sum(u * u, axis=-1, keepdims=True) + self.floor**2)

    def _value(self, u, k):
        return u / self._norm(u)

    def _forward(self, u, du, k):
        norm = self._norm(u)
        return du / norm - u * _dot(u, du) / norm**3

    _backward = _forward  # it is symmetric

    def _second(self, u, du, y, k):
        norm = self._norm(u)
        straight = y * _dot(u, du) + du * _dot(u, y) + u * _dot(du, y)
        return 3 * u * _dot(u, y) * _dot(u, du) / norm**5 - straight / norm**3


class Envelope(TraceMap):
    r"""Envelopes, :math:`e = \sqrt{u^2 + (H u)^2 + \epsilon^2}` with the Hilbert transform H, by FFT with silence behind.

    They hold low frequencies that waves do not (Bozdağ, Trampert & Tromp 2011, doi:10.1111/j.1365-246X.2011.04970.x).

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
        What the traces are those of.
    floor : float
        :math:`\epsilon`, in the unit of the traces: what is taken as silence, where the map would have no derivative.
    """

    def __init__(self, of: Any, floor: float) -> None:
        self.floor = real("Envelope floor", floor, "the unit of the traces", positive=True)
        super().__init__(traces_of(of, "Envelope"))

    def _fingerprint(self) -> Sequence[Any]:
        return [self.floor]

    def select(self, shots: Sequence[int]) -> Envelope:
        """Return the map of some shots."""
        return Envelope(self.domain[0].select(shots), self.floor)

    def _turned(self, u: NDArray) -> tuple[NDArray, NDArray]:
        turned = _hilbert(u)
        return turned, np.sqrt(u * u + turned * turned + self.floor**2)

    def _value(self, u, k):
        return self._turned(u)[1]

    def _forward(self, u, du, k):
        turned, e = self._turned(u)
        return (u * du + turned * _hilbert(du)) / e

    def _backward(self, u, y, k):
        turned, e = self._turned(u)
        return y * u / e - _hilbert(y * turned / e)  # H.T is -H

    def _second(self, u, du, y, k):
        turned, e = self._turned(u)
        moved = _hilbert(du)
        de = (u * du + turned * moved) / e
        return y * (du / e - u * de / e**2) - _hilbert(y * (moved / e - turned * de / e**2))


class Distribution(TraceMap):
    r"""Traces as cumulative distributions in time: made positive, of unit mass, and summed up.

    The distance of two of them is that of optimal transport: in one dimension the 1-Wasserstein distance of two masses is
    the integral of the difference of their distributions (Villani 2003, *Topics in Optimal Transportation*, ch. 2), which
    grows with the shift of an arrival, however large, where a difference of samples does not. They are made positive by
    :math:`\log(1 + e^{u / a})` (Qiu, Ramos-Martínez, Valenciano, Yang & Engquist 2017, doi:10.1190/segam2017-17667713.1).

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
        What the traces are those of.
    scale : float
        a, in the unit of the traces: about their standard deviation.
    """

    def __init__(self, of: Any, scale: float) -> None:
        self.scale = real("Distribution scale", scale, "the unit of the traces", positive=True)
        super().__init__(traces_of(of, "Distribution"))

    def _fingerprint(self) -> Sequence[Any]:
        return [self.scale]

    def select(self, shots: Sequence[int]) -> Distribution:
        """Return the map of some shots."""
        return Distribution(self.domain[0].select(shots), self.scale)

    def _value(self, u, k):
        return np.cumsum(np.logaddexp(0.0, u / self.scale), axis=-1) / self._total(u)

    def _total(self, u: NDArray) -> NDArray:
        # where a trace is far below zero everywhere, there is no mass
        return _sum(np.logaddexp(0.0, u / self.scale)) + np.finfo(float).tiny

    def _forward(self, u, du, k):
        moved = expit(u / self.scale) * du / self.scale
        return (np.cumsum(moved, axis=-1) - self._value(u, k) * _sum(moved)) / self._total(u)

    def _backward(self, u, y, k):
        total = self._total(u)
        return expit(u / self.scale) / self.scale * (_summed_after(y) - _dot(self._value(u, k), y)) / total

    def _second(self, u, du, y, k):
        s = expit(u / self.scale)
        slope, total = s / self.scale, self._total(u)
        by_mass = (_summed_after(y) - _dot(self._value(u, k), y)) / total
        bent = -(by_mass * _sum(slope * du) + _dot(self._forward(u, du, k), y)) / total
        return slope * (1 - s) / self.scale * du * by_mass + slope * bent


def _dot(a: NDArray, b: NDArray) -> NDArray:
    return np.sum(a * b, axis=-1, keepdims=True)


def _sum(a: NDArray) -> NDArray:
    return np.sum(a, axis=-1, keepdims=True)


def _summed_after(y: NDArray) -> NDArray:
    """The transpose of a cumulative sum."""
    return np.cumsum(y[:, ::-1], axis=-1)[:, ::-1]


def _hilbert(u: NDArray) -> NDArray:
    """The Hilbert transform: sines of cosines; cut where the traces end, it is antisymmetric."""
    bins = fft.next_fast_len(2 * u.shape[-1], real=True)
    spectrum = -1j * fft.rfft(u, bins)
    spectrum[:, 0] = 0
    if bins % 2 == 0:
        spectrum[:, -1] = 0
    return fft.irfft(spectrum, bins)[:, : u.shape[-1]]
