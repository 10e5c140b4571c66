r"""Linear maps between the time axis of sources and data and the finer one of the solver.

The maps are

.. math:: K_{jm} = \frac{D}{2\pi} \int_{-B}^{B} H(\omega) \sqrt{W'(\omega)}\,
          \cos\big(W(\omega)\, t_j - \omega\, \tau_m\big)\, d\omega, \qquad t_j = (j + s)\,dt, \quad \tau_m = m D,

from the user's samples :math:`\tau_m` to the solver's :math:`t_j`, which a shift s puts between its steps, and
:math:`(dt / D)\, K^T` back. :math:`H` is a taper that is one up to 0.8 of the band edge :math:`B` and falls smoothly to
zero at :math:`B`, the Nyquist frequency :math:`\pi / D` of the user's axis.

**Interpolation.** With :math:`W(\omega) = \omega` these are band-limited interpolation and decimation.

**Time dispersion.** Leapfrog time stepping replaces :math:`\partial_t^2` by a second difference, whose symbol
is :math:`-\theta^2` with :math:`\theta(\omega) = (2 / dt) \sin(\omega\,dt / 2)`: what it computes at
frequency :math:`\omega` is the exact response at :math:`\theta(\omega)`, so that waves run early, and the
more so the higher their frequency. With the inverse :math:`W(\omega) = (2 / dt) \arcsin(\omega\,dt / 2)`, let
:math:`S` be the spectrum of the source and :math:`G` the exact response (of any linear time-invariant
system).

1. `up` gives the solver a source with spectrum :math:`H S / \sqrt{W'}` at frequency :math:`W(\omega)`: in the
   inverse Fourier integral over :math:`\Omega = W(\omega)`, substitute :math:`d\Omega = W' d\omega`.
2. The solver answers with :math:`G(\theta(W(\omega))) = G(\omega)` times that.
3. `down` takes the spectrum at :math:`W(\omega)` times :math:`H \sqrt{W'}` to the frequency :math:`\omega`.

The result is :math:`H^2 G S`: within the flat part of the band the exact data, without any error of time
stepping. That the Jacobian :math:`W'` is split into two square roots makes the two maps transposes of each
other.

**Evaluation.** In the variable :math:`\Omega = W(\omega)`, where :math:`d\omega = \theta'(\Omega)\,d\Omega`, the
integral is the trapezoidal rule on the frequencies of a zero-padded FFT of the solver's axis, spectrally
accurate as the integrand vanishes smoothly at the band edge. (Over :math:`\omega`, on an FFT of the user's axis,
it would need up to three times the frequencies: a chirp :math:`W(\omega)\,t` is that much longer than
:math:`t`.) The spectrum of the user's samples at the irregular frequencies :math:`\theta(\Omega_k)` is a
non-uniform FFT: the samples are divided by the rolloff of a spreading function, and a sparse matrix combines
several bins of their twice oversampled FFT to each coefficient. The FFTs are real, the work is in the precision of
the data, and `_PRECISION` has the numbers of bins that suffice for it. Nothing of size N x n is ever formed,
and the transpose is the same factors in reverse.

Koene, E. F. M., Robertsson, J. O. A., Broggini, F., Andersson, F. (2018), Eliminating time dispersion from
seismic wave modeling, Geophysical Journal International 213(1), 169-180, doi:10.1093/gji/ggx563.

Greengard, L., Lee, J.-Y. (2004), Accelerating the nonuniform fast Fourier transform, SIAM Review 46(3),
443-454, doi:10.1137/S003614450343200X; with the Kaiser-Bessel spreading function of Fessler, J. A., Sutton,
B. P. (2003), IEEE Transactions on Signal Processing 51(2), 560-574, doi:10.1109/TSP.2002.807005.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import fft, sparse

import seisops._arrays as _arrays
from seisops.errors import SpaceError
from seisops.wave._validate import integer
from seisops.wave.time import Time

_PASS = 0.8  # end of the flat part of the taper, as a fraction of the band edge
_STABLE = 0.95  # largest band edge as a fraction of 2 / dt, where W ends (matters at ratio 1 only)
_TAPER = 14.0  # Kaiser parameter of the taper: side lobes of its kernel are exp(-14) = 8e-7 of the main one
_BLOCK = 2**17  # numbers in the work array of one block of traces, small enough for the cache of a core
_THERE = 2**24  # the same on a device, which wants to be filled
_LANES = 4  # traces that an FFT works on at once

# By the precision of the data: the bins per coefficient of the non-uniform FFT, accurate to about 1e-13 and 1e-8, and
# the half-widths of the main lobe of the taper's kernel after which it is neglected, 1e-9 and 1e-8. Less oversampling
# than 2 would do with more bins, but spends digits of float32 on the range of the rolloff.
_PRECISION = {"float64": (14, 4.0), "float32": (8, 1.5)}


@dataclass(frozen=True)
class Resampling:
    """The pair of linear maps between the time axis of the data and that of the solver.

    Parameters
    ----------
    time : Time
        Time axis of sources and data: n samples, step D.
    ratio : int
        Steps of the solver per sample: its axis has the step ``dt = D / ratio``.
    dispersion : bool, optional
        Undo the dispersion of second-order leapfrog time stepping, exactly (see the module's documentation).
        Otherwise `up` interpolates and `down` filters and decimates; at ratio 1, without tail or shift, both are the
        identity.
    tail : int, optional
        Samples D that the solver's axis continues beyond the last sample of the data.
    shift : float, optional
        Where the solver's samples lie after its steps, in steps: sample j belongs to the time ``(j + shift) dt``. Fields
        that are staggered in time have theirs half a step from those of others.

    Notes
    -----
    Frequencies below 0.8 of the band edge (the Nyquist frequency of `time`, or 0.605 of it at ratio 1 with
    `dispersion`) pass unchanged; those above it are removed, those in between attenuated, by `up` and again
    by `down`.

    With a source in that band and a tail, leapfrog data of an oscillator agree with the exact solution to
    1e-7 (relative L2, at ratios 1 to 5 over 2 to 6 s), where they are off by 60 % to 130 % without the
    correction.

    **Ends.** The kernels are cut where the axes end. At the start this costs nothing if the source starts
    from (nearly) zero: an error of 2e-4 for a first sample of 1e-3 of the peak. Data that are not zero at the
    last sample are filtered together with the silence beyond it: without a tail, the last sample is wrong by
    up to 30 % of the amplitude, the sample 3 before it by 6 %, 8 before by 0.7 %, 16 before by 0.1 %, 32
    before by 1e-4 (largest values measured; often much less, as high frequencies run early). With ``tail=16``
    the error is below 1e-3 everywhere, with ``tail=32`` below 1e-4.
    """

    time: Time
    ratio: int
    dispersion: bool = True
    tail: int = 0
    shift: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "ratio", integer("ratio (solver steps per sample)", self.ratio, minimum=1))
        object.__setattr__(self, "tail", integer("tail (samples after the last)", self.tail, minimum=0))
        object.__setattr__(self, "dispersion", bool(self.dispersion))

    @property
    def n(self):
        """Number of samples N of the solver's axis, ``(time.n - 1 + tail) * ratio + 1``."""
        return (self.time.n - 1 + self.tail) * self.ratio + 1

    @property
    def step(self):
        """Time step dt of the solver in seconds."""
        return self.time.step / self.ratio

    @property
    def passband(self):
        """Highest frequency in Hz that passes unchanged."""
        return _PASS * _edge(self.ratio, self.dispersion) / (2 * np.pi * self.time.step)

    @property
    def is_identity(self):
        """Whether both axes are the same and the maps do nothing."""
        return self.ratio == 1 and not (self.dispersion or self.tail or self.shift)

    def up(self, data, axis=-1):
        """Take samples of the user's axis to the solver's: the matrix K.

        Parameters
        ----------
        data : ndarray, float32 or float64
            Traces or wavefields with `time.n` samples along `axis`.
        axis : int, optional
            The time axis.

        Returns
        -------
        ndarray
            The same dtype, with `n` samples along `axis`, accurate to its rounding errors. The identity returns
            `data` itself.
        """
        return self._apply("up", data, axis, 1.0)

    def up_adjoint(self, data, axis=-1):
        """Transpose of `up`, from the solver's axis to the user's: ``ratio * down``."""
        return self._apply("down", data, axis, 1.0)

    def down(self, data, axis=-1):
        """Take samples of the solver's axis to the user's: ``(1 / ratio) * K.T``. Arguments as for `up`."""
        return self._apply("down", data, axis, 1.0 / self.ratio)

    def down_adjoint(self, data, axis=-1):
        """Transpose of `down`, from the user's axis to the solver's: ``(1 / ratio) * up``."""
        return self._apply("up", data, axis, 1.0 / self.ratio)

    def _apply(self, direction, data, axis, scale):
        data = _arrays.own(data)
        sizes = (self.time.n, self.n) if direction == "up" else (self.n, self.time.n)
        if not -data.ndim <= axis < data.ndim or data.shape[axis] != sizes[0]:
            raise SpaceError(
                f"resampling {direction} needs {sizes[0]} samples along axis {axis} ({self!r}), got an "
                f"array of shape {data.shape}"
            )
        if data.dtype not in (np.float32, np.float64):
            raise SpaceError(f"resampling works on float32 and float64 arrays, got {data.dtype}: cast it first")
        if self.is_identity:
            return data
        axis %= data.ndim
        shape = data.shape[:axis], data.shape[axis + 1 :]
        lead, trail = map(math.prod, shape)
        numbers = self.time.n, self.n, self.ratio, self.dispersion, self.shift, data.dtype.name
        where = _arrays.place(data)
        kernel, most = (_kernel(*numbers), _BLOCK) if where == _arrays.HOST else (_kernel_at(*numbers, where), _THERE)
        source = data.reshape(lead, sizes[0], trail)
        result = _arrays.namespace(data).empty((lead, sizes[1], trail), data.dtype)
        columns = max(_LANES, most // max(kernel.bins, kernel.period) // _LANES * _LANES)
        width = max(1, min(columns, trail))
        height = max(1, columns // width)
        for i in range(0, lead, height):
            for k in range(0, trail, width):
                block = np.s_[i : i + height, :, k : k + width]
                traces = source[block].swapaxes(1, 2)
                resampled = getattr(kernel, direction)(traces.reshape(-1, sizes[0]), scale)
                result[block] = resampled.reshape(*traces.shape[:2], -1).swapaxes(1, 2)
        return result.reshape(*shape[0], sizes[1], *shape[1])


class _Kernel(NamedTuple):
    """The factors of K: FFT of the user's axis, rows of the non-uniform FFT, FFT of the solver's axis."""

    places: slice  # of the user's samples in their FFT
    bins: int  # its length
    rolloff: np.ndarray  # 1 / Fourier transform of the spreading function at the user's samples
    gather: (
        sparse.csr_array | _arrays.Rows
    )  # from bins to frequencies below the band edge, real and imaginary parts in turn
    spread: sparse.csr_array | _arrays.Rows  # its transpose, for the half spectra of real FFTs
    coefficients: np.ndarray  # of the frequencies
    solver_n: int  # samples of the solver's axis
    period: int  # length of its FFT

    def up(self, traces, scale):
        """Apply K to each row of samples of the user's axis."""
        padded, fft = _arrays.zeros((traces.shape[0], self.bins), traces.dtype, traces), _fft(traces)
        np.multiply(traces, self.rolloff, out=padded[:, self.places])
        spectrum = _product(self.gather, fft.rfft(padded))
        spectrum *= scale * self.coefficients
        return fft.irfft(spectrum, self.period, norm="forward")[:, : self.solver_n]

    def down(self, traces, scale):
        """Apply the transpose of K to each row of samples of the solver's axis."""
        fft = _fft(traces)
        spectrum = fft.rfft(traces, self.period)[:, : self.coefficients.size]
        spectrum *= scale * self.coefficients.conj()
        padded = fft.irfft(_product(self.spread, spectrum), self.bins, norm="forward")
        return padded[:, self.places] * self.rolloff


def _product(matrix, spectra):
    """A matrix times the real and imaginary parts of each row of `spectra`, as far as it has columns."""
    # some of a device's arrays are viewed otherwise only if they are contiguous as a whole
    whole = spectra if isinstance(spectra, np.ndarray) else _arrays.contiguous(spectra)
    parts = whole.view(spectra.real.dtype)[:, : matrix.shape[1]]
    # a copy in any case: one row alone counts as contiguous whatever its stride, which is then none of whole complex numbers
    return (matrix @ parts.T).T.copy(order="C").view(spectra.dtype)


def _fft(x):
    """Fourier transforms where an array is, in its precision."""
    xp = _arrays.namespace(x)
    return fft if xp is np else xp.fft


@lru_cache(maxsize=16)
def _kernel_at(n, solver_n, ratio, dispersion, shift, dtype, where):
    """The factors in the memory of a device."""
    known = _kernel(n, solver_n, ratio, dispersion, shift, dtype)
    return known._replace(
        rolloff=_arrays.at(known.rolloff, where),
        gather=_arrays.Rows(known.gather, where),
        spread=_arrays.Rows(known.spread, where),
        coefficients=_arrays.at(known.coefficients, where),
    )


@lru_cache(maxsize=16)
def _kernel(n, solver_n, ratio, dispersion, shift, dtype):
    """Factors of K in units of the user's step (D = 1): a function of pure numbers and the name of a dtype."""
    width, lobes = _PRECISION[dtype]
    half = 0.5 / ratio  # dt / 2
    edge = _edge(ratio, dispersion)
    # Column m of K ends at t_j = m, apart from the kernel of H and, as dispersion is cubic at low frequencies, the
    # tail of an Airy function, 1e-4 of it at five times its scale.
    reach = 2 * lobes * _TAPER / ((1 - _PASS) * edge)
    if dispersion:
        reach += 5 * np.cbrt(n * half**2 / 2)
    period = fft.next_fast_len(math.ceil(solver_n + reach * ratio), real=True)

    phase_edge = 2 * np.arcsin(half * edge) if dispersion else 2 * half * edge
    phase = 2 * np.pi / period * np.arange(math.ceil(phase_edge * period / (2 * np.pi)))  # Omega dt
    omega, slope = (np.sin(phase / 2) / half, np.cos(phase / 2)) if dispersion else (phase / (2 * half), 1.0)
    amplitude = _taper(omega / edge) * np.sqrt(slope) * ratio / period

    # The user's samples are counted from the middle one, where the non-uniform FFT is most accurate. It is at the
    # middle of the bins, not at zero, which alternates the signs of their transform.
    bins = 2 * fft.next_fast_len(n + width // 2, real=True)
    middle = n // 2
    start = bins // 2 - middle
    shape = 0.75 * np.pi * width
    position = (omega * bins / (2 * np.pi))[:, None]
    nodes = np.ceil(position - 0.5 * width).astype(int) + np.arange(width)
    argument = np.clip(1 - (2 * (nodes - position) / width) ** 2, 0, None)
    peak = np.i0(shape)  # divided out, lest small numbers in float32 vanish on the way
    values = np.i0(shape * np.sqrt(argument)) / peak * (1 - 2 * (nodes % 2))
    root = np.sqrt(shape**2 - (np.pi * width * (np.arange(n) - middle) / bins) ** 2)

    # Bins below zero and above the middle are conjugates of others, which is linear in real and imaginary parts.
    folded = np.abs((nodes + bins // 2) % bins - bins // 2)
    signs = np.where((nodes < 0) | (nodes > bins // 2), -1, 1)
    columns = np.stack([2 * folded, 2 * folded + 1], axis=1)
    values = np.stack([values, signs * values], axis=1)
    # In half spectra, an entry counts for itself and its conjugate, but those of zero and the middle only once.
    weights = np.where(np.arange(omega.size) == 0, 1, 2)[:, None, None] / np.where(columns // 2 % (bins // 2), 2, 1)
    rows = np.arange(0, values.size + 1, width)
    gather, spread = (
        sparse.csr_array((v.ravel().astype(dtype), columns.ravel(), rows), shape=(rows.size - 1, columns.max() + 1))
        for v in (values, values * weights)
    )
    return _Kernel(
        places=slice(start, start + n),
        bins=bins,
        rolloff=(peak * root / (width * np.sinh(root))).astype(dtype),
        gather=gather,
        spread=spread.T.tocsr(),
        coefficients=(amplitude * np.exp(1j * (shift * phase - omega * middle))).astype(
            np.result_type(dtype, np.complex64)
        ),
        solver_n=solver_n,
        period=period,
    )


def _edge(ratio, dispersion):
    """Edge of the band, in radians for each sample of the user."""
    return min(np.pi, 2 * _STABLE * ratio) if dispersion else np.pi


def _taper(x):
    """One up to `_PASS`, zero from 1 on, and the integral of a Kaiser window in between."""
    z = np.linspace(0, 1, 2**15 + 1)
    window = np.kaiser(z.size, _TAPER)
    integral = np.append(0.0, np.cumsum(np.diff(z) * (window[1:] + window[:-1]) / 2))
    return 1 - np.interp((x - _PASS) / (1 - _PASS), z, integral / integral[-1])
