"""The maps between time axes, against a dense quadrature, an exact oscillator and their transposes."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import fft
from scipy.integrate import cumulative_simpson

from seisops.errors import ParameterError, SpaceError
from seisops.wave.discretise.resampling import Resampling, _kernel, _taper
from seisops.wave.time import Time
from seisops.wave.wavelets import ricker

CASES = [(ratio, dispersion) for ratio in (1, 2, 3, 5) for dispersion in (True, False) if ratio > 1 or dispersion]


def dense_row(n, ratio, dispersion, j, points=40001):
    """Row j of K by the trapezoidal rule on a fine frequency axis, in units of the user's step."""
    half = 0.5 / ratio
    edge = min(np.pi, 0.95 / half) if dispersion else np.pi
    omega, d_omega = np.linspace(-edge, edge, points, retstep=True)
    warped = np.arcsin(half * omega) / half if dispersion else omega
    jacobian = 1 / np.sqrt(1 - (half * omega) ** 2) if dispersion else 1.0
    integrand = _taper(np.abs(omega) / edge) * np.sqrt(jacobian) * d_omega / (2 * np.pi)
    return np.array([np.sum(integrand * np.cos(warped * j / ratio - omega * m)) for m in range(n)])


def leapfrog(source, step, omega):
    """Solve u'' + omega^2 u = q with second differences in time."""
    u = np.zeros_like(source)
    for i in range(1, len(source) - 1):
        u[i + 1] = 2 * u[i] - u[i - 1] + step**2 * (source[i] - omega**2 * u[i])
    return u


def oscillator(time, omega, f0, refinement=32):
    """The exact solution for a Ricker source: its convolution with sin(omega t) / omega."""
    fine = Time((time.n - 1) * refinement + 1, time.step / refinement)
    t, q = fine.samples, ricker(fine, f0)
    sine, cosine = np.sin(omega * t), np.cos(omega * t)
    inphase = cumulative_simpson(q * cosine, x=t, initial=0)
    quadrature = cumulative_simpson(q * sine, x=t, initial=0)
    return ((sine * inphase - cosine * quadrature) / omega)[::refinement]


def relative_error(value, reference):
    return np.linalg.norm(value - reference) / np.linalg.norm(reference)


@pytest.mark.parametrize("ratio, dispersion", CASES)
def test_kernel_is_the_integral(ratio, dispersion):
    n = 120
    maps = Resampling(Time(n, 0.004), ratio, dispersion)
    kernel = maps.up(np.eye(n), axis=0)
    for j in (0, 3, maps.n // 2, maps.n - 1):
        np.testing.assert_allclose(kernel[j], dense_row(n, ratio, dispersion, j), atol=1e-9)


@pytest.mark.parametrize("ratio, dispersion", [*CASES, (1, False)])
@pytest.mark.parametrize("tail", [0, 5])
def test_transposes_are_exact(ratio, dispersion, tail):
    rng = np.random.default_rng(0)
    maps = Resampling(Time(151, 0.004), ratio, dispersion, tail)
    x, y = rng.standard_normal(maps.time.n), rng.standard_normal(maps.n)
    scale = np.linalg.norm(x) * np.linalg.norm(y)
    assert abs(maps.up(x) @ y - x @ maps.up_adjoint(y)) < 1e-14 * scale
    assert abs(maps.down(y) @ x - y @ maps.down_adjoint(x)) < 1e-14 * scale
    np.testing.assert_allclose(maps.up_adjoint(y), ratio * maps.down(y), atol=1e-13)
    x, y = x.astype(np.float32), y.astype(np.float32)
    assert abs(np.float64(maps.up(x) @ y) - x @ maps.up_adjoint(y)) < 1e-6 * scale


@pytest.mark.parametrize("ratio, dispersion", CASES)
@pytest.mark.parametrize("n", [2, 40, 1001])
def test_single_precision(n, ratio, dispersion):
    # the work is in float32: its rounding errors, and transposes as exact as these
    rng = np.random.default_rng(3)
    maps = Resampling(Time(n, 0.004), ratio, dispersion, tail=16)
    x = rng.standard_normal((6, n), dtype=np.float32)
    y = rng.standard_normal((6, maps.n), dtype=np.float32)
    up, down = maps.up(x), maps.down(y)
    assert up.dtype == down.dtype == np.float32
    assert relative_error(up, maps.up(x.astype(float))) < 1e-6
    assert relative_error(down, maps.down(y.astype(float))) < 1e-6
    assert relative_error(maps.up(x * np.float32(1e-30)) / 1e-30, up) < 1e-6
    up, adjoint = up.astype(float), maps.up_adjoint(y).astype(float)
    assert abs(np.vdot(up, y) - np.vdot(x, adjoint)) < 2e-7 * np.linalg.norm(up) * np.linalg.norm(y)


@pytest.mark.parametrize("n, ratio", [(20_001, 1), (20_001, 3), (202_388, 1)])  # the last just below a length of FFTs
def test_long_axes(n, ratio):
    # entries of K at both ends and on the diagonal, where rounded phases and wrap-around would show
    maps = Resampling(Time(n, 0.004), ratio)
    half = 0.5 / ratio
    edge = min(np.pi, 0.95 / half)
    omega, d_omega = np.linspace(-edge, edge, 8 * n + 1, retstep=True)
    warped, jacobian = np.arcsin(half * omega) / half, 1 / np.sqrt(1 - (half * omega) ** 2)
    integrand = _taper(np.abs(omega) / edge) * np.sqrt(jacobian) * d_omega / (2 * np.pi)
    for m in (0, n // 2, n - 1):
        impulse = np.zeros(n)
        impulse[m] = 1.0
        column, single = maps.up(impulse), maps.up(impulse.astype(np.float32))
        for j in {0, 1, max(m * ratio - 1, 0), m * ratio, (n - 1) * ratio}:
            entry = np.sum(integrand * np.cos(warped * j / ratio - omega * m))
            assert column[j] == pytest.approx(entry, abs=1e-9)
            assert single[j] == pytest.approx(entry, abs=1e-6)


def test_threads_share_the_factors():
    maps = Resampling(Time(300, 0.004), 2, tail=16)
    data = np.random.default_rng(4).standard_normal((50, 300), dtype=np.float32)
    expected = maps.up(data)
    _kernel.cache_clear()  # the first calls meet in its construction
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(maps.up, [data] * 20):
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("ratio, omega_dt, f0", [(1, 1.2, 20.0), (2, 0.8, 25.0), (3, 0.5, 25.0), (5, 0.3, 25.0)])
def test_oscillator_is_exact(ratio, omega_dt, f0):
    # some 300 periods
    time = Time(1501, 0.004)
    omega = omega_dt * ratio / time.step
    exact = oscillator(time, omega, f0)
    maps, plain = (Resampling(time, ratio, dispersion, tail=32) for dispersion in (True, False))
    error = relative_error(maps.down(leapfrog(maps.up(ricker(time, f0)), maps.step, omega)), exact)
    uncorrected = relative_error(plain.down(leapfrog(plain.up(ricker(time, f0)), plain.step, omega)), exact)
    assert error < 1e-4
    assert uncorrected > 0.3


def test_data_that_do_not_end_in_silence():
    time, omega, f0 = Time(501, 0.004), 2 * np.pi * 20, 15.0
    exact = oscillator(time, omega, f0)
    scale = np.abs(exact).max()
    for tail, reach, tolerance in ((0, 1, 0.3), (0, 9, 7e-3), (0, 33, 1e-4), (16, 1, 1e-3), (32, 1, 1e-4)):
        maps = Resampling(time, 2, tail=tail)
        data = maps.down(leapfrog(maps.up(ricker(time, f0)), maps.step, omega))
        assert np.abs(data - exact)[: time.n + 1 - reach].max() < tolerance * scale


def test_interpolation_of_a_band_limited_signal():
    time = Time(400, 0.004)
    maps = Resampling(time, 3, dispersion=False)
    fine = Time(maps.n, maps.step)
    np.testing.assert_allclose(maps.up(ricker(time, 25.0, delay=0.8)), ricker(fine, 25.0, delay=0.8), atol=1e-7)
    np.testing.assert_allclose(maps.down(ricker(fine, 25.0, delay=0.8)), ricker(time, 25.0, delay=0.8), atol=1e-7)


def test_frequencies_near_nyquist_are_removed():
    time = Time(1001, 0.004)
    envelope = np.exp(-(((time.samples - 2.0) / 0.4) ** 2))
    maps = Resampling(time, 2)
    for fraction, kept in ((0.7, 1.0), (1.0, 0.0)):
        signal = envelope * np.cos(np.pi * fraction * np.arange(time.n))
        ratio = np.linalg.norm(maps.down(maps.up(signal))) / np.linalg.norm(signal)
        assert ratio == pytest.approx(kept, abs=1e-2)


def test_identity_costs_nothing():
    data = np.zeros((2, 50), dtype=np.float32)
    maps = Resampling(Time(50, 0.004), 1, dispersion=False)
    assert maps.is_identity and maps.n == 50
    assert maps.up(data) is data and maps.down_adjoint(data) is data
    tailed = Resampling(Time(50, 0.004), 1, dispersion=False, tail=7)
    assert not tailed.is_identity and tailed.n == 57


@pytest.mark.parametrize("ratio, dispersion", [(1, False), (3, False), (3, True)])
@pytest.mark.parametrize("shift", [-0.5, 0.5])
def test_samples_between_the_steps(ratio, dispersion, shift):
    time = Time(201, 0.004)

    def pulse(t):
        return np.exp(-(((t - 0.4) * 40) ** 2)) * np.cos(150 * t)

    shifted = Resampling(time, ratio, dispersion, tail=16, shift=shift)
    late = shifted.step * (np.arange(shifted.n) + shift)
    if not dispersion:
        np.testing.assert_allclose(shifted.up(pulse(time.samples)), pulse(late), atol=2e-6)
    np.testing.assert_allclose(shifted.down(shifted.up(pulse(time.samples))), pulse(time.samples), atol=2e-6)
    # to where the samples of a plain axis are in the middle, twice
    plain = Resampling(time, ratio, dispersion, tail=16)
    spectra = [np.fft.rfft(maps.up(pulse(time.samples)), 4096) for maps in (plain, shifted)]
    band = np.abs(spectra[0]) > 1e-3 * np.abs(spectra[0]).max()
    phase = 2 * np.pi * np.arange(2049)[band] / 4096
    np.testing.assert_allclose(spectra[1][band] / spectra[0][band], np.exp(1j * shift * phase), atol=1e-3)


@pytest.mark.parametrize("ratio, dispersion", [(1, False), (2, True)])
def test_transposes_between_the_steps_are_exact(ratio, dispersion):
    maps = Resampling(Time(151, 0.004), ratio, dispersion, tail=16, shift=-0.5)
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal(151), rng.standard_normal(maps.n)
    assert maps.up(x) @ y == pytest.approx(x @ maps.up_adjoint(y), rel=1e-12)
    assert maps.down(y) @ x == pytest.approx(y @ maps.down_adjoint(x), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape, axis", [((40,), 0), ((3, 2, 40), -1), ((2, 40, 5, 3), 1), ((40, 600), 0), ((0, 40), 1)]
)
def test_axes_and_dtypes(shape, axis, dtype, monkeypatch):
    monkeypatch.setattr("seisops.wave.discretise.resampling._BLOCK", 500)  # a few traces per block
    data = np.random.default_rng(2).standard_normal(shape).astype(dtype)
    maps = Resampling(Time(40, 0.002), 2)
    kernel = maps.up(np.eye(40), axis=0)
    up = maps.up(data, axis=axis)
    assert up.dtype == dtype and up.flags.c_contiguous
    expected = np.moveaxis(np.tensordot(kernel, data.astype(float), (1, axis)), 0, axis)
    np.testing.assert_allclose(up, expected, atol=1e-12 if dtype == np.float64 else 1e-6)
    down = maps.down(up, axis=axis)
    assert down.dtype == dtype and down.shape == shape
    expected = np.moveaxis(np.tensordot(kernel.T / 2, up.astype(float), (1, axis)), 0, axis)
    np.testing.assert_allclose(down, expected, atol=1e-12 if dtype == np.float64 else 1e-6)


def test_value_semantics():
    maps = Resampling(Time(50, 0.004), np.int64(3))
    maps.up(np.zeros(50))
    assert pickle.loads(pickle.dumps(maps)) == maps and len(pickle.dumps(maps)) < 500
    assert maps.n == 148 and maps.step == pytest.approx(0.004 / 3)
    assert Resampling(Time(50, 0.004), 3, tail=2).n == 154


def test_refuses():
    maps = Resampling(Time(50, 0.004), 2)
    with pytest.raises(ParameterError, match="ratio .* at least 1, got 0"):
        Resampling(Time(50, 0.004), 0)
    with pytest.raises(ParameterError, match="ratio .* got 2.0"):
        Resampling(Time(50, 0.004), 2.0)
    with pytest.raises(SpaceError, match=r"up needs 50 samples along axis -1 .* shape \(3, 99\)"):
        maps.up(np.zeros((3, 99)))
    with pytest.raises(SpaceError, match="down needs 99 samples along axis 2"):
        maps.down(np.zeros((3, 99)), axis=2)
    with pytest.raises(SpaceError, match="got complex128"):
        maps.up(np.zeros(50, dtype=complex))


@pytest.mark.parametrize(("ratio", "dispersion", "nyquists"), [(6, True, 0.8), (1, True, 0.484), (3, False, 0.8)])
def test_the_passband_passes_and_its_end_does_not(ratio, dispersion, nyquists):
    r = Resampling(Time(401, 0.008), ratio, dispersion=dispersion, tail=16)
    assert r.passband == pytest.approx(nyquists * r.time.nyquist, rel=1e-3)
    t = r.time.samples - 1.6
    for part, passes in ((0.97, True), (1.25, False)):
        x = np.exp(-((t / 0.48) ** 2)) * np.cos(2 * np.pi * part * r.passband * t)
        lost = np.linalg.norm(r.down(r.up(x)) - x) / np.linalg.norm(x)
        assert lost < 1e-3 if passes else lost > 0.5


@pytest.mark.parametrize("rows", [1, 3])
def test_spectra_are_whole_complex_numbers_apart(monkeypatch, rows):
    """FFTs of newer SciPy refuse others, also along an axis of one row."""
    seen = []
    inverse = fft.irfft
    monkeypatch.setattr(fft, "irfft", lambda x, *more, **named: seen.append(x) or inverse(x, *more, **named))
    r = Resampling(Time(101, 0.004), 2)
    r.down(r.up(np.ones((rows, 101))))
    assert len(seen) == 2
    assert all(stride % x.itemsize == 0 for x in seen for stride in x.strides)
