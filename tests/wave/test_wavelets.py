import numpy as np
import pytest
from scipy.integrate import trapezoid

from seisops.errors import ParameterError, SpaceError
from seisops.wave.time import Time
from seisops.wave.wavelets import bandwidth, gaussian_derivative, ormsby, ricker

TIME = Time(n=4001, step=0.002, start=-0.4)
CORNERS = (4.0, 10.0, 30.0, 50.0)


def spectrum(signal):
    return np.fft.rfftfreq(8 * TIME.n, TIME.step), TIME.step * np.abs(np.fft.rfft(signal, 8 * TIME.n))


@pytest.mark.parametrize(
    "signal, start",
    [(ricker(TIME, 10.0), 1e-8), (gaussian_derivative(TIME, 10.0), 3e-8), (ormsby(TIME, CORNERS), 1e-4)],
)
def test_shape_start_and_mean(signal, start):
    assert signal.shape == (TIME.n,) and signal.dtype == np.float64
    assert abs(signal[0]) <= start * 1.05
    assert signal.max() == pytest.approx(1.0, rel=1e-2)
    assert abs(trapezoid(signal, dx=TIME.step)) < 1e-5


@pytest.mark.parametrize("wavelet", [ricker, gaussian_derivative])
def test_peak_frequency(wavelet):
    frequency, amplitude = spectrum(wavelet(TIME, 12.0))
    assert frequency[amplitude.argmax()] == pytest.approx(12.0, abs=0.05)


def test_ricker_is_minus_the_derivative_of_the_gaussian_derivative():
    slope = np.gradient(gaussian_derivative(TIME, 10.0 / np.sqrt(2), delay=0.0), TIME.step)
    reference = ricker(TIME, 10.0, delay=0.0)
    np.testing.assert_allclose(slope / slope.min(), reference, atol=5e-3)


def test_delay_and_amplitude():
    np.testing.assert_allclose(ricker(TIME, 10.0, delay=0.1, amplitude=-3.0)[250], -3.0)
    np.testing.assert_allclose(ormsby(TIME, CORNERS, delay=0.1, amplitude=2.0)[250], 2.0)
    assert gaussian_derivative(TIME, 10.0, delay=0.1)[250] == pytest.approx(0.0, abs=1e-12)


def test_ormsby_is_a_trapezoid():
    frequency, amplitude = spectrum(ormsby(TIME, CORNERS, delay=3.5))
    expected = np.interp(frequency, CORNERS, [0, 1, 1, 0])
    scale = amplitude[np.searchsorted(frequency, 20.0)]
    np.testing.assert_allclose(amplitude / scale, expected, atol=0.02)


def test_bandwidth():
    assert bandwidth(ormsby(TIME, CORNERS, delay=3.5), TIME, level=0.5) == pytest.approx(40.0, abs=0.3)
    signal = ricker(TIME, 10.0)
    x = (bandwidth(signal, TIME, 0.05) / 10.0) ** 2
    assert x * np.exp(1 - x) == pytest.approx(0.05, rel=0.03)
    both = np.stack([signal, 0.2 * ricker(TIME, 30.0)])[:, None]
    assert bandwidth(both, TIME) > 1.5 * bandwidth(signal, TIME)
    assert bandwidth(np.zeros(TIME.n), TIME) == 0.0


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: ricker(TIME, 0.0),
            "f0 of a Ricker wavelet must be a positive and finite number in Hz, got 0.0",
        ),
        (lambda: ricker(TIME, 300.0), "300 Hz, at or above the Nyquist frequency 250 Hz"),
        (lambda: ricker(Time(61, 6.0), 8.0), r"perhaps the step is 6 ms, .*: Time\(n, step=0.006\)"),
        (lambda: ormsby(Time(61, 6.0), (2, 4, 20, 30)), "perhaps the step is 6 ms"),
        (lambda: ricker(TIME, 300.0), "0.00166667 s$"),
        (lambda: ricker(Time(61, 6.0), 800.0), "s$"),
        (lambda: ricker(Time(10, 0.01), 10.0), "needs 0.15 s to rise.*lasts only 0.09 s"),
        (lambda: ricker(TIME, 10.0, delay=np.nan), "delay must be a finite number in seconds"),
        (lambda: gaussian_derivative(TIME, -1.0), "f0 of a Gaussian derivative"),
        (lambda: ormsby(TIME, (1, 2, 3)), "four frequencies"),
        (lambda: ormsby(TIME, (4, 3, 20, 30)), "f1 < f2 < f3 < f4"),
        (lambda: ormsby(TIME, (4, 8, 20, 300)), "<= 250 Hz"),
        (lambda: bandwidth(ricker(TIME, 10.0), TIME, 2.0), "level must lie between 0 and 1, got 2.0"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_bandwidth_refuses_another_time_axis():
    with pytest.raises(SpaceError, match="does not end in the 4001 samples"):
        bandwidth(np.zeros(7), TIME)
