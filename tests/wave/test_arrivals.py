"""When and how strongly waves arrive, for each quantity that is driven and each that is heard, against exact seismograms.

Grids are so large that their edges are not heard of, so that no boundary is needed.
"""

import numpy as np
import pytest
from own_media import Lid, Slope, VerticalAxis, between
from truth import Homogeneous, difference, fit

import seisops as so

C, RHO = 2000.0, 1200.0
SPACE = Homogeneous(C, RHO)

# eight points per shortest wavelength: a Ricker has a tenth of its peak amplitude at 2.3 f0
SPACING = {2: 10.0, 3: 20.0}
FREQUENCY = {ndim: C / (8 * h * 2.3) for ndim, h in SPACING.items()}
STEP = {2: 0.002, 3: 0.004}
SIZE = {2: 111, 3: 57}

# between nodes and off the axes, along which some components vanish
SOURCE = {2: np.array([553.7, 546.2]), 3: np.array([560.0, 567.4, 555.0])}
OFFSETS = {
    2: np.array([[210.0, 260.0], [-246.3, 158.4], [131.0, -225.0]]),
    3: np.array([[100.0, 150.0, -80.0], [-113.0, 61.0, 140.0]]),
}


def pulse(time, f0):
    """A Ricker wavelet, and its integral: what explosions make heard has the derivative of what drives them."""
    late = time.samples - 1.2 / f0
    return so.ricker(time, f0, delay=1.2 / f0), late * np.exp(-((np.pi * f0 * late) ** 2))


class Shot:
    """Waves in a homogeneous medium from one source, at some receivers.

    Parameters
    ----------
    ndim : int
    make : callable
        The medium on a grid.
    source, receivers : array_like
    options
        For Modeling.
    """

    def __init__(self, ndim, make, source=None, receivers=None, step=None, **options):
        self.source = SOURCE[ndim] if source is None else np.asarray(source, float)
        self.receivers = SOURCE[ndim] + OFFSETS[ndim] if receivers is None else np.asarray(receivers, float)
        self.step, f0 = step or STEP[ndim], FREQUENCY[ndim]
        # to a mirror image above a surface, if there is one
        mirror = self.source * ([1.0] * (ndim - 1) + [-1.0]) if options.get("free_surface") else self.source
        farthest = np.linalg.norm(self.receivers - mirror, axis=1).max()
        time = so.Time(int((farthest / C + 2.3 / f0) / self.step) + 1, self.step)
        grid = so.Grid((SIZE[ndim],) * ndim, SPACING[ndim])
        waves = so.Wavefield(grid, time)
        self.ricker, self.integral = pulse(time, f0)
        self.modeling = so.Modeling(waves, make(grid), boundary=None, **options)
        Pr, Ps = so.Projection(waves, self.receivers), so.Projection(waves, [self.source])
        self.F = Pr * self.modeling * Ps.H

    def record(self, signal):
        return (self.F @ signal[None, None].astype("float32"))[0]

    def exact(self, trace, signal):
        """`trace` of (signal, step, source, receiver) at every receiver."""
        return np.array([trace(signal, self.step, self.source, receiver) for receiver in self.receivers])


def first_order(drive, heard, ndim, **options):
    """A shot, its record and the exact one."""
    shot = Shot(ndim, lambda grid: between(drive, heard, ndim)(grid, kappa=RHO * C**2, b=1 / RHO), **options)
    space = Homogeneous(C, RHO, "free" if options.get("free_surface") else None)
    exact = shot.exact(lambda *a: space.record(drive, heard, *a), shot.integral)
    return shot, shot.record(shot.integral), exact


def check(shot, data, exact):
    found = fit(data, exact, step=shot.modeling.discretisation.dt / shot.step)
    assert abs(found.delay) < 0.02, f"{found.delay:.3f} steps late"
    assert abs(found.amplitude - 1) < 0.01, f"{found.amplitude:.4f} times as strong"
    assert difference(data, exact) < 5e-3


@pytest.mark.parametrize(
    ("drive", "heard", "ndim"),
    [
        *((drive, heard, 2) for drive in ("p", "vz") for heard in ("p", "vx", "vz")),
        pytest.param("p", "vx", 3, marks=pytest.mark.slow),
        pytest.param("vz", "p", 3, marks=pytest.mark.slow),
        pytest.param("vz", "vz", 3, marks=pytest.mark.slow),
    ],
)
def test_first_order(drive, heard, ndim):
    """Explosions and vertical forces, pressure and particle velocity, on a grid staggered in space and time."""
    check(*first_order(drive, heard, ndim))


def test_acoustic_with_density():
    shot = Shot(2, lambda grid: so.Acoustic(grid, vp=C, rho=RHO))
    check(shot, shot.record(shot.ricker), RHO * shot.exact(SPACE.pressure, shot.ricker))


def test_elliptical_anisotropy():
    """With epsilon = delta, both fields are one but for a factor, and space is stretched along x, as the source is."""
    stretch = np.array([1.2, 1.0])
    epsilon = 0.5 * (stretch[0] ** 2 - 1)

    class Elliptical(VerticalAxis):
        source = {"p": 1.2, "r": 1.0}

    def trace(signal, step, source, receiver):
        return SPACE.pressure(signal, step, source / stretch, receiver / stretch)

    shot = Shot(2, lambda grid: Elliptical(grid, m=C**-2.0, epsilon=epsilon, delta=epsilon))
    check(shot, shot.record(shot.ricker), shot.exact(trace, shot.ricker))


def test_a_field_without_a_step_of_its_own():
    """It follows from another one at the same time."""
    shot = Shot(2, lambda grid: Slope(grid, m=C**-2.0))
    exact = shot.exact(lambda *a: -SPACE.record("p", "vz", *a), shot.ricker)
    check(shot, shot.record(shot.ricker), exact)


# ---- at a surface

SHALLOW = np.array([553.7, 46.2])
ON_SURFACE = np.array([[703.0, 0.0], [400.0, 0.0], [742.0, 31.7]])


@pytest.mark.parametrize(("drive", "heard"), [("p", "vz"), ("vz", "p"), ("vz", "vz")])
def test_first_order_under_a_free_surface(drive, heard):
    """The pressure vanishes there, and the vertical velocity is twice what it would be."""
    check(*first_order(drive, heard, 2, source=SHALLOW, receivers=ON_SURFACE, free_surface=True))


@pytest.mark.parametrize("depth", [0.0, 3.1, 46.2])
def test_an_even_field_at_a_free_surface(depth):
    """Heard at a node on the surface and between nodes; driven below it."""
    receivers = ON_SURFACE + [[0.0, depth]]
    shot = Shot(2, lambda grid: Slope(grid, m=C**-2.0), source=SHALLOW, receivers=receivers, free_surface=True)
    space = Homogeneous(C, surface="free")
    check(shot, shot.record(shot.ricker), shot.exact(lambda *a: -space.record("p", "vz", *a), shot.ricker))


@pytest.mark.parametrize("depth", [0.0, 3.1, 46.2])
def test_a_source_on_a_rigid_surface(depth):
    """Where a field is even, it is driven twice as strongly."""
    shot = Shot(
        2,
        lambda grid: Lid(grid, m=C**-2.0),
        source=[SHALLOW[0], depth],
        receivers=[[703.0, 0.0], [403.0, 40.0], [722.0, 97.3]],
        free_surface=True,
    )
    check(shot, shot.record(shot.ricker), shot.exact(Homogeneous(C, surface="rigid").pressure, shot.ricker))


# ---- the time step

MADE = {
    "acoustic": lambda step, **options: Shot(2, lambda grid: so.Acoustic(grid, vp=C), step=step, **options),
    "first order": lambda step, **options: first_order("p", "p", 2, step=step, **options)[0],
}


@pytest.mark.parametrize("name", MADE)
def test_the_step_does_not_matter(name):
    """Where the dispersion of time stepping is undone, what remains is the grid's."""
    one, two, three = ((shot := MADE[name](0.002, substeps=n)).record(shot.ricker) for n in (1, 2, 3))
    assert difference(one, three) < 1e-4 and difference(two, three) < 1e-4


@pytest.mark.parametrize("name", MADE)
def test_plain_time_stepping_is_of_second_order(name):
    """Halving the step, the distance from what has no dispersion falls to a quarter."""
    shot = MADE[name](0.002)
    truth = shot.record(shot.ricker)
    errors = []
    for n in (2, 4):
        plain = MADE[name](0.002, substeps=n, dispersion=False)
        errors.append(difference(plain.record(shot.ricker), truth))
    assert errors[0] > 1e-3
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)
