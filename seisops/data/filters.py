"""Filters of traces: bands, fractional derivatives and integrals, shifts in time."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from seisops.data.tracewise import Tracewise, kinds_of_traces, traces_of
from seisops.errors import ParameterError
from seisops.spaces import Axis
from seisops.wave._validate import integer, real
from seisops.wave.time import perhaps_in_ms

__all__ = ["Bandpass", "TimePower", "TimeShift"]

#: What is left of the response of a filter when it counts as over.
RINGING = 1e-8


class Bandpass(Tracewise):
    r"""Butterworth filter: B, causal, or of zero phase as :math:`B^\top B`.

    Before the first sample and after the last there is silence; of zero phase the filter is its own adjoint. B is carried
    out by SciPy's second-order sections.

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
        What the traces are those of.
    low, high : float, optional
        Corners in Hz: with one of them it is a high-pass or a low-pass filter.
    order : int, optional
        Of B at each corner: it falls by 6 dB an octave for each, and B has 3 dB less at a corner. Of zero phase all is
        twice as much.
    zero_phase : bool, optional

    Raises
    ------
    ParameterError
        If there is no corner, one is not between 0 and the Nyquist frequency, or `low` is not below `high`.
    """

    symbol = "Bandpass"

    def __init__(
        self, of: Any, low: float | None = None, high: float | None = None, order: int = 4, zero_phase: bool = True
    ) -> None:
        space = traces_of(of, "Bandpass")
        given = {name: f for name, f in (("low", low), ("high", high)) if f is not None}
        if not given:
            raise ParameterError("Bandpass needs low, high or both, in Hz: Bandpass(F, low=3.0, high=12.0)")
        corners = [real(f"Bandpass {name}", f, "Hz", positive=True) for name, f in given.items()]
        step = max(part.time_axis.step for part in kinds_of_traces(space))
        for name, f in zip(given, corners, strict=True):
            if f >= 0.5 / step:
                raise ParameterError(
                    f"Bandpass({name}={f:g} Hz): the samples hold frequencies below {0.5 / step:g} Hz; leave it out"
                    + perhaps_in_ms(step, f)
                )
        if corners != sorted(set(corners)):
            raise ParameterError(f"Bandpass from {low} Hz to {high} Hz is empty: give low < high")
        self.low, self.high, self.zero_phase = low, high, bool(zero_phase)
        self.order = integer("Bandpass order", order, minimum=1)
        self._kind = "bandpass" if len(corners) == 2 else "highpass" if high is None else "lowpass"
        super().__init__(space)

    _derived = (*Tracewise._derived, "_made")

    @cached_property
    def _made(self) -> dict[float, tuple[NDArray, int]]:
        """By time step the sections of B, and for how many samples it rings on."""
        corners = [f for f in (self.low, self.high) if f is not None]
        out = {}
        for step in {part.time_axis.step for part in kinds_of_traces(self.domain)}:
            zeros, poles, gain = signal.butter(
                self.order, corners if len(corners) > 1 else corners[0], self._kind, output="zpk", fs=1 / step
            )
            out[step] = signal.zpk2sos(zeros, poles, gain), math.ceil(math.log(RINGING) / math.log(np.abs(poles).max()))
        return out

    def _fingerprint(self) -> Sequence[Any]:
        return [self.low, self.high, self.order, self.zero_phase]

    def _make_adjoint(self) -> Any:
        return self if self.zero_phase else super()._make_adjoint()

    def select(self, shots: Sequence[int]) -> Bandpass:
        """Return the filter of some shots."""
        return Bandpass(self.domain.select(shots), self.low, self.high, self.order, self.zero_phase)

    def _along(self, traces: NDArray, axis: Axis, first: int, adjoint: bool) -> NDArray:
        sections, ringing = self._made[axis.step]
        if not self.zero_phase:
            return _backward(sections, traces) if adjoint else signal.sosfilt(sections, traces)
        silence = np.zeros((len(traces), min(ringing, axis.size)), traces.dtype)
        forward = signal.sosfilt(sections, np.concatenate([traces, silence], axis=1))
        return _backward(sections, forward)[:, : axis.size]


def _backward(sections: NDArray, traces: NDArray) -> NDArray:
    """The transpose of a causal filter."""
    return signal.sosfilt(sections, traces[:, ::-1])[:, ::-1]


class Response(Tracewise):
    """A convolution with what a subclass says by its spectrum, cut where the traces end, before which there is silence."""

    _derived = (*Tracewise._derived, "_responses")

    @cached_property
    def _responses(self) -> dict[Axis, NDArray]:
        """By time axis."""
        axes = {part.time_axis for part in kinds_of_traces(self.domain)}
        dtype = np.result_type(self.dtype, np.complex64)
        return {axis: self._response(axis, _bins(axis)).astype(dtype) for axis in axes}

    @abstractmethod
    def _response(self, axis: Axis, bins: int) -> NDArray:
        """The spectrum at the frequencies of a real FFT of so many samples."""

    def _along(self, traces: NDArray, axis: Axis, first: int, adjoint: bool) -> NDArray:
        response = self._responses[axis]
        bins = _bins(axis)
        spectrum = fft.rfft(traces, bins) * (response.conj() if adjoint else response)
        return fft.irfft(spectrum, bins)[:, : axis.size]


def _bins(axis: Axis) -> int:
    """Samples of traces with the silence behind them, so that nothing comes round."""
    return fft.next_fast_len(2 * axis.size, real=True)


class TimePower(Response):
    r"""Fractional derivative, or integral, in time: multiplication of spectra by :math:`(i \omega)^p`.

    Causal: what comes out at a time is of samples until then, but for what interpolates between samples. A trace is zero
    before its first sample; an integral begins there.

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
        What the traces are those of.
    power : float
        p between -4 and 4: 1 is the derivative, -1 the integral; 1/2 takes data of line sources to the phase of point
        sources (Auer et al. 2013, doi:10.1093/gji/ggt265), with a gain by the root of time; 2 takes what a source of a
        Born image has over the image itself.

    Raises
    ------
    ParameterError
        If the power is outside of that range.

    Notes
    -----
    The differences of Grünwald and Letnikov, :math:`((1 - z) / \Delta t)^p` with z the delay by a sample, are exactly causal
    (Podlubny 1999, *Fractional Differential Equations*, ch. 7). Their spectrum is :math:`(i \omega)^p` times
    :math:`e^{-i \omega p \Delta t / 2} \mathrm{sinc}^p(f \Delta t)`, which is divided out.
    """

    symbol = "TimePower"

    def __init__(self, of: Any, power: float) -> None:
        self.power = real("TimePower power", power, "powers of the derivative")
        if not -4 <= self.power <= 4:
            raise ParameterError(f"TimePower(power={power!r}): give a power between -4 and 4")
        super().__init__(traces_of(of, "TimePower"))

    def _fingerprint(self) -> Sequence[Any]:
        return [self.power]

    def select(self, shots: Sequence[int]) -> TimePower:
        """Return the same of some shots."""
        return TimePower(self.domain.select(shots), self.power)

    def _response(self, axis: Axis, bins: int) -> NDArray:
        k = np.arange(1, axis.size)
        differences = np.cumprod(np.concatenate([[1.0], (k - 1 - self.power) / k])) * axis.step**-self.power
        f = np.arange(bins // 2 + 1) / bins  # in cycles for each sample
        between = np.exp(1j * np.pi * self.power * f) * np.sinc(f) ** -self.power
        return fft.rfft(differences, bins) * between


class TimeShift(Response):
    """Moves traces later, or earlier by a negative time, by any part of a sample; what leaves at an end is gone.

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
        What the traces are those of.
    shift : float
        Seconds, less than the length of the traces.

    Raises
    ------
    ParameterError
        If the traces are shorter.
    """

    symbol = "TimeShift"

    def __init__(self, of: Any, shift: float) -> None:
        self.shift = real("TimeShift shift", shift, "seconds")
        space = traces_of(of, "TimeShift")
        length = min(part.time_axis.step * part.time_axis.size for part in kinds_of_traces(space))
        if abs(self.shift) >= length:
            raise ParameterError(f"TimeShift(shift={shift!r} s): the traces are {length:g} s long, and nothing is left")
        super().__init__(space)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.shift]

    def select(self, shots: Sequence[int]) -> TimeShift:
        """Return the same of some shots."""
        return TimeShift(self.domain.select(shots), self.shift)

    def _response(self, axis: Axis, bins: int) -> NDArray:
        return np.exp(-2j * np.pi * self.shift / axis.step * np.arange(bins // 2 + 1) / bins)
