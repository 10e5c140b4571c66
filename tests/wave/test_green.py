"""Data of a homogeneous medium against the analytic Green's function."""

import numpy as np
import pytest
from scipy.special import hankel2

import seisops as so

C = 2000.0


def analytic(ndim, signal, step, distance):
    """Pressure at a distance (m) of a point source: Aki & Richards (2002), eq. 4.4; Morse & Feshbach (1953), sec. 7.3."""
    count = 16 * len(signal)
    omega = 2 * np.pi * np.fft.rfftfreq(count, step)
    spectrum = np.fft.rfft(signal, count)
    if ndim == 3:
        green = np.exp(-1j * omega * distance / C) / (4 * np.pi * distance)
    else:
        green = np.zeros_like(spectrum)
        green[1:] = -0.25j * hankel2(0, omega[1:] * distance / C)
    return np.fft.irfft(spectrum * green, count)[: len(signal)]


def errors(ndim, h, f0, source, receivers, size, samples=4, **options):
    """Relative L2 error at each receiver; `samples` per shortest period, options for Modeling."""
    distance = np.linalg.norm(np.asarray(receivers) - source, axis=1)
    step = 1 / (2.5 * f0 * samples)
    time = so.Time(int((distance.max() / C + 3.0 / f0) / step) + 1, step)
    dtype = options.pop("dtype", "float32")
    waves = so.Wavefield(so.Grid((int(round(size / h)) + 1,) * ndim, h), time, dtype=dtype)
    ainv = so.Modeling(waves, so.Acoustic(waves.grid, vp=C), **options)
    data = so.Projection(waves, receivers) * ainv * so.Projection(waves, [source]).H
    signal = so.ricker(time, f0)
    traces = (data @ signal[None, None])[0]
    exact = [analytic(ndim, signal, step, r) for r in distance]
    return np.array([np.linalg.norm(t - e) / np.linalg.norm(e) for t, e in zip(traces, exact, strict=True)])


# eight points per shortest wavelength: a Ricker has a tenth of its peak amplitude at 2.3 f0
FREQUENCY = C / (8 * 10.0 * 2.3)
SOURCE = np.array([600.0, 600.0])
RECEIVERS = SOURCE + np.array([[300.0, 0.0], [210.0, 280.0], [-250.0, 250.0], [0.0, -500.0]])


@pytest.mark.parametrize(
    "options",
    [{}, {"samples": 3}, {"substeps": 6}, {"dtype": "float64"}],
    ids=["default", "coarse sampling", "substeps", "float64"],
)
def test_two_dimensions(options):
    assert errors(2, 10.0, FREQUENCY, SOURCE, RECEIVERS, 1200.0, **options).max() < 2e-3


@pytest.mark.parametrize("shift", [(3.7, 0.0), (5.0, 5.0), (-2.2, 4.1)])
def test_source_between_nodes(shift):
    source = SOURCE + shift
    assert errors(2, 10.0, FREQUENCY, source, source + (RECEIVERS - SOURCE), 1200.0).max() < 5e-3


def test_spacing_does_not_matter():
    fine = errors(2, 5.0, 2 * FREQUENCY, SOURCE / 2, RECEIVERS / 2, 600.0)
    np.testing.assert_allclose(fine, errors(2, 10.0, FREQUENCY, SOURCE, RECEIVERS, 1200.0), rtol=0.1)


def test_eight_points_per_dominant_wavelength():
    """The shortest wavelengths then have 3.5 points, and off the axes of the grid the error is still below 1 %."""
    off_axes = RECEIVERS[1:3]
    assert errors(2, 10.0, C / 80.0, SOURCE, off_axes, 1200.0).max() < 1e-2


def test_time_dispersion_is_undone():
    """A negative control: near the stable limit, plain leapfrog is far off."""
    plain = errors(2, 10.0, C / 80.0, SOURCE, RECEIVERS, 1200.0, dispersion=False)
    assert plain.min() > 0.05


@pytest.mark.parametrize("shift", [0.0, 7.4])
def test_three_dimensions(shift):
    source = np.array([160.0, 160.0, 160.0]) + shift
    receivers = source + np.array([[200.0, 0.0, 0.0], [100.0, 150.0, 120.0]])
    assert errors(3, 20.0, C / (8 * 20.0 * 2.3), source, receivers, 660.0).max() < 5e-3


@pytest.mark.parametrize(("order", "spacings"), [(4, (12.5, 10.0)), (8, (20.0, 12.5))])
def test_convergence_order(order, spacings):
    """Refining the grid alone (time is exact) reduces the error at the order of the stencil."""
    source = np.array([1000.0, 1000.0])
    receivers = source + np.array([[300.0, 0.0], [0.0, -500.0]])  # nodes of all grids
    found = [
        errors(2, h, 9.0, source, receivers, 2000.0, samples=6, space_order=order, dtype="float64") for h in spacings
    ]
    rate = np.log(found[0] / found[1]) / np.log(spacings[0] / spacings[1])
    np.testing.assert_allclose(rate, order, rtol=0.15)


def test_half_space_with_image_source():
    """Above a free surface stands a mirror image of opposite sign."""
    source, receivers = np.array([600.0, 100.0]), np.array([[900.0, 150.0], [700.0, 300.0]])
    h, f0 = 10.0, FREQUENCY
    step = 1 / (10 * f0)
    time = so.Time(int(0.55 / step), step)
    waves = so.Wavefield(so.Grid((121, 61), h), time)
    ainv = so.Modeling(waves, so.Acoustic(waves.grid, vp=C), free_surface=True)
    signal = so.ricker(time, f0)
    traces = (so.Projection(waves, receivers) * ainv * so.Projection(waves, [source]).H @ signal[None, None])[0]
    mirror = source * [1, -1]
    for receiver, trace in zip(receivers, traces, strict=True):
        exact = sum(a * analytic(2, signal, step, np.linalg.norm(receiver - s)) for a, s in ((1, source), (-1, mirror)))
        assert np.linalg.norm(trace - exact) < 5e-3 * np.linalg.norm(exact)


def test_reciprocity():
    a, b = np.array([[312.0, 405.0]]), np.array([[871.0, 760.0]])
    time = so.Time(201, 0.004)
    waves = so.Wavefield(so.Grid((121, 121), 10.0), time, dtype="float64")
    rng = np.random.default_rng(3)
    ainv = so.Modeling(waves, so.Acoustic(waves.grid, vp=rng.uniform(1500, 2500, (121, 121))))
    pa, pb = so.Projection(waves, a), so.Projection(waves, b)
    signal = so.ricker(time, 10.0)[None, None]
    there, back = (pb * ainv * pa.H) @ signal, (pa * ainv * pb.H) @ signal
    assert np.linalg.norm(there - back) < 1e-3 * np.linalg.norm(there)
