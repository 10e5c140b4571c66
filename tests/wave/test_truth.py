"""What other tests hold against seismograms: closed forms in time, and traces that are late and weak by known amounts."""

import numpy as np
import pytest
from truth import Homogeneous, difference, fit

C, RHO = 2000.0, 1200.0
STEP = 0.001
T = STEP * np.arange(1200)
SPACE = Homogeneous(C, RHO)
SOURCE3, RECEIVER3 = np.array([10.0, -20.0, 400.0]), np.array([110.0, 60.0, 290.0])
AXES = {"vx": 0, "vy": 1, "vz": 2}


def ricker(t, f0=12.0, centre=0.15):
    a = (np.pi * f0 * (t - centre)) ** 2
    return (1 - 2 * a) * np.exp(-a)


def ricker_rate(t, f0=12.0, centre=0.15):
    a = (np.pi * f0 * (t - centre)) ** 2
    return (4 * a - 6) * np.exp(-a) * (np.pi * f0) ** 2 * (t - centre)


def ricker_integral(t, f0=12.0, centre=0.15):
    return (t - centre) * np.exp(-((np.pi * f0 * (t - centre)) ** 2))


def ricker_twice_integrated(t, f0=12.0, centre=0.15):
    return -0.5 * np.exp(-((np.pi * f0 * (t - centre)) ** 2)) / (np.pi * f0) ** 2


# in three dimensions waves are copies of the source, and spherical: Aki & Richards (2002), sec. 4.1


def test_pressure_in_three_dimensions():
    r = np.linalg.norm(RECEIVER3 - SOURCE3)
    exact = ricker(T - r / C) / (4 * np.pi * r)
    assert difference(SPACE.pressure(ricker(T), STEP, SOURCE3, RECEIVER3), exact) < 1e-8
    explosion = RHO * ricker_rate(T - r / C) / (4 * np.pi * r)
    assert difference(SPACE.record("p", "p", ricker(T), STEP, SOURCE3, RECEIVER3), explosion) < 1e-8


def test_signals_that_have_a_sum():
    r = np.linalg.norm(RECEIVER3 - SOURCE3)
    pulse = np.exp(-(((T - 0.15) / 0.02) ** 2))
    exact = np.exp(-(((T - r / C - 0.15) / 0.02) ** 2)) / (4 * np.pi * r)
    assert difference(SPACE.pressure(pulse, STEP, SOURCE3, RECEIVER3), exact) < 1e-8


@pytest.mark.parametrize(("drive", "heard"), [("p", "p"), ("p", "vz"), ("vz", "vz")])
def test_tails_do_not_come_back(drive, heard):
    """In two dimensions they are long, and longest of a signal that has a sum: longer records begin alike."""
    pulse = np.exp(-(((T - 0.15) / 0.02) ** 2))
    short, long = (
        SPACE.record(drive, heard, np.pad(pulse, (0, more)), STEP, np.array([10.0, 400.0]), np.array([140.0, 310.0]))
        for more in (0, 5000)
    )
    assert difference(short, long[: len(T)]) < 1e-8


@pytest.mark.parametrize("heard", AXES)
def test_velocity_of_an_explosion_in_three_dimensions(heard):
    """Near and far field: the volume that is injected goes through every sphere."""
    offset = RECEIVER3 - SOURCE3
    r = np.linalg.norm(offset)
    outward = ricker(T - r / C) / (4 * np.pi * r**2) + ricker_rate(T - r / C) / (4 * np.pi * r * C)
    exact = outward * offset[AXES[heard]] / r
    assert difference(SPACE.record("p", heard, ricker(T), STEP, SOURCE3, RECEIVER3), exact) < 1e-8


@pytest.mark.parametrize(
    ("signal", "integral", "rate"),
    [(ricker, ricker_integral, ricker_rate), (ricker_integral, ricker_twice_integrated, ricker)],
    ids=["ricker", "its integral"],
)
@pytest.mark.parametrize("heard", AXES)
def test_velocity_of_a_force_in_three_dimensions(heard, signal, integral, rate):
    """The second derivatives of a(t - r / c) / (4 pi r), integrated over time, by hand."""
    offset = RECEIVER3 - SOURCE3
    r = np.linalg.norm(offset)
    n = offset / r
    i, j, late = AXES[heard], 2, T - r / C
    near = (3 * n[i] * n[j] - (i == j)) * (integral(late) / r**2 + signal(late) / (r * C))
    exact = (near + n[i] * n[j] * rate(late) / C**2) / (4 * np.pi * r)
    assert difference(SPACE.record("vz", heard, signal(T), STEP, SOURCE3, RECEIVER3), exact) < 1e-8


PAIRS = [("p", "p"), ("p", "vx"), ("p", "vz"), ("vx", "p"), ("vz", "p"), ("vz", "vx"), ("vz", "vz")]


@pytest.mark.parametrize(("drive", "heard"), PAIRS)
def test_a_line_of_points_is_two_dimensional(drive, heard):
    """Two dimensions are three, where sources stand all along y: those on one side, twice, and the one in between."""
    t, gap = T[:800], 25.0
    source, receiver = np.array([10.0, 400.0]), np.array([140.0, 310.0])

    def point(y):
        return SPACE.record(drive, heard, ricker(t), STEP, np.insert(source, 1, y), np.insert(receiver, 1, 0.0))

    # what stands farther away is heard after the record
    line = gap * (point(0.0) + 2 * sum(point(gap * i) for i in range(1, int(C * t[-1] / gap))))
    assert difference(line, SPACE.record(drive, heard, ricker(t), STEP, source, receiver)) < 1e-8


@pytest.mark.parametrize(("surface", "odd"), [("free", {"p", "vx"}), ("rigid", {"vz"})])
@pytest.mark.parametrize(("drive", "heard"), PAIRS)
def test_symmetry_about_a_surface(surface, odd, drive, heard):
    """What is odd vanishes on it, and what is even is twice what it would be without it."""
    source, half = np.array([0.0, 90.0]), Homogeneous(C, RHO, surface)

    def record(space, z):
        return space.record(drive, heard, ricker(T), STEP, source, np.array([80.0, z]))

    sign = -1.0 if heard in odd else 1.0
    assert difference(sign * record(half, -40.0), record(half, 40.0)) < 1e-12
    alone, on_it = record(SPACE, 0.0), record(half, 0.0)
    assert np.linalg.norm(on_it - (1 + sign) * alone) < 1e-12 * np.linalg.norm(alone)


# ---- measures


@pytest.mark.parametrize("shift", [0.0, 1e-4, 0.02, -0.5, 0.5, 1.3, -40.25])
@pytest.mark.parametrize("amplitude", [1.0, 0.7, -1.2])
def test_known_delays_are_found(shift, amplitude):
    coarse = 0.004 * np.arange(260)  # five samples a period at the highest frequency
    truth = np.array([ricker(coarse, 15.0, centre) for centre in (0.4, 0.5)])
    data = np.array([ricker(coarse - 0.004 * shift, 15.0, centre) for centre in (0.4, 0.5)])
    found = fit(amplitude * data, truth)
    assert abs(found.delay - shift) < 1e-5 and abs(found.amplitude - amplitude) < 1e-5
    assert fit(amplitude * data, truth, step=0.25).delay == pytest.approx(4 * found.delay, rel=1e-12)


def test_noise_moves_a_delay_by_little():
    coarse = 0.004 * np.arange(260)
    truth = ricker(coarse, 15.0, 0.4)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(truth.shape)
    found = fit(truth + noise, truth)
    assert abs(found.delay) < 2e-3 and abs(found.amplitude - 1) < 2e-3
