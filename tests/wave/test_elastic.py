"""Elastic waves against exact seismograms: when, how strong, and of which shape; fluids, bottoms of seas, reciprocity."""

import numpy as np
import pytest
from reference import traces
from rock import rock
from truth import difference, fit
from truth_elastic import Elastic
from truth_interface import Interface

import seisops as so

VP, VS, RHO = 3000.0, 1700.0, 2000.0

#: By the number of dimensions: cells, of which the shortest S waves have eight, the step, the record, and where.
SPACING = {2: 10.0, 3: 20.0}
STEP = {2: 0.002, 3: 0.004}
LENGTH = {2: 0.55, 3: 0.42}
SIZE = {2: 111, 3: 57}
SOURCE = {2: np.array([553.7, 546.2]), 3: np.array([560.0, 567.4, 555.0])}
OFFSETS = {
    2: np.array([[210.0, 260.0], [-246.3, 158.4], [131.0, -225.0]]),
    3: np.array([[100.0, 150.0, -80.0], [-113.0, 61.0, 140.0]]),
}


def frequency(slowest, h):
    """Of a Ricker wavelet, which has a tenth of its peak amplitude at 2.3 times that."""
    return slowest / (8 * h * 2.3)


#: What is looked at is the medium, not its layer: in smooth ground elastic waves need no more damping along it.
THICK, THICK_ELASTIC = so.PML(16), so.PML(16, multiaxial=0.05)


class Shot:
    """One source in a medium, and what is heard of it at some points.

    Parameters
    ----------
    make : callable
        The medium on a grid.
    boundary : optional
        What is around it; by default a thick layer.
    """

    def __init__(self, make, shape, h, step, length, f0, dtype="float32", boundary=None, **options):
        self.time = so.Time(int(length / step) + 1, step)
        self.waves = so.Wavefield(so.Grid(shape, h), self.time, dtype=dtype)
        medium = make(self.waves.grid)
        thick = THICK_ELASTIC if medium.multiaxial else THICK
        self.A = so.Modeling(self.waves, medium, boundary or thick, **options)
        self.signal = so.ricker(self.time, f0, delay=1.3 / f0)

    def record(self, source, receivers, driven, *heard, signal=None):
        """An array for each component that is heard."""
        P = so.VStack([so.Projection(self.waves, receivers, component=name) for name in heard])
        F = P * self.A * so.Projection(self.waves, [source], component=driven).H
        signal = self.signal if signal is None else signal
        return (F @ signal[None, None].astype(self.waves.dtype)).reshape(len(heard), len(receivers), -1)


def homogeneous(ndim, make):
    return Shot(make, (SIZE[ndim],) * ndim, SPACING[ndim], STEP[ndim], LENGTH[ndim], frequency(VS, SPACING[ndim]))


def solid(grid):
    return so.Elastic(grid, VP, VS, RHO)


@pytest.mark.parametrize("driven", ["vz", "vx", "p", "sxz", "szz"])
def test_two_dimensions(driven):
    against_truth(2, driven, "vx", "vz", "sxx", "szz", "sxz", "p")


@pytest.mark.slow
@pytest.mark.parametrize("driven", ["vz", "p"])
def test_three_dimensions(driven):
    against_truth(3, driven, "vx", "vz", "syy", "sxz", "p")


def against_truth(ndim, driven, *heard):
    """Every trace is its truth within half a percent."""
    shot, receivers = homogeneous(ndim, solid), SOURCE[ndim] + OFFSETS[ndim]
    signal = shot.signal.astype(float)
    for name, data in zip(heard, shot.record(SOURCE[ndim], receivers, driven, *heard), strict=True):
        truth = Elastic(VP, VS, RHO)
        exact = [truth.record(driven, name, signal, STEP[ndim], SOURCE[ndim], receiver) for receiver in receivers]
        found = fit(data, exact, step=shot.A.discretisation.dt / STEP[ndim])
        assert abs(found.delay) < 0.02, f"{name} is {found.delay:.3f} steps late"
        assert abs(found.amplitude - 1) < 3e-3, f"{name} is {found.amplitude:.4f} times as strong"
        assert difference(data, exact) < 5e-3, name


def test_traces_of_another_code(data):
    """Which has 0.94 % too much of the signal where waves arrive, see `test_truth_references`; up is its positive z."""
    reference = traces(data, "elastic_force")
    vp, vs, rho, h, step, start = 3297.849, 2222.536, 2000.0, 10.0, 0.001, 0.1
    time = so.Time(int((reference["t"][-1] + start) / step), step, start=-start)
    waves = so.Wavefield(so.Grid((181, 151), h), time)
    A = so.Modeling(waves, so.Elastic(waves.grid, vp, vs, rho))
    source = np.array([500.0, 1000.0])
    P = [so.Projection(waves, [source + [500.0, -500.0]], component=name) for name in ("vx", "vz")]
    F = so.VStack(P) * A * so.Projection(waves, [source], component="vz").H
    velocity = (F @ so.ricker(time, 18.0, delay=0.0)[None, None]).reshape(2, -1).astype(float)
    found = step * (np.cumsum(velocity, axis=1) - velocity / 2)
    for got, name, sign in zip(found, ("ux", "uz"), (-1, 1), strict=True):
        truth = np.interp(time.samples, reference["t"], reference[name], left=0.0)
        assert difference(sign * got, truth) < 0.015, name


def test_a_fluid_is_acoustic():
    """What drives "p", m, is a half of it off each normal stress: ``p_t / kappa + div v = m / (2 kappa)``.

    With rho v_t = -grad p that is ``p_tt / kappa - div(grad p / rho) = m_t / (2 kappa)``: so.Acoustic of that source.
    """
    shot = homogeneous(2, lambda grid: so.Elastic(grid, VP, 0.0, RHO))
    acoustic = homogeneous(2, lambda grid: so.Acoustic(grid, VP, rho=RHO))
    f0, receivers = frequency(VS, SPACING[2]), SOURCE[2] + OFFSETS[2]
    late = shot.time.samples - 1.3 / f0
    integral = late * np.exp(-((np.pi * f0 * late) ** 2))  # of the Ricker wavelet
    kappa = RHO * VP**2
    (p,) = shot.record(SOURCE[2], receivers, "p", "p", signal=integral)
    (expected,) = acoustic.record(SOURCE[2], receivers, "p", "p")
    assert difference(p, expected / (2 * kappa)) < 2e-3
    (shear,) = shot.record(SOURCE[2], receivers, "p", "sxz", signal=integral)
    assert np.abs(shear).max() < 1e-6 * np.abs(p).max()


# ---- at the bottom of the sea

SEA, GROUND = Elastic(1500.0, 0.0, 1000.0), Elastic(2500.0, 1200.0, 2000.0)


def sea_over_ground(h, width, depth, step=0.002, length=0.9, f0=12.0):
    """With the bottom between nodes, where it is between the nodes of a density and of a stress, too."""
    shape = int(width / h) + 1, int(depth / h) + 1

    def make(grid):
        below = np.arange(shape[1]) * h >= depth / 2
        both = [np.where(below, b, a) for a, b in zip((1500.0, 0.0, 1000.0), (2500.0, 1200.0, 2000.0), strict=True)]
        return so.Elastic(grid, *(np.broadcast_to(a, shape) for a in both))

    return Shot(make, shape, h, step, length, f0)


@pytest.mark.parametrize("heard", ["p", "vz"])
def test_the_bottom_of_the_sea(heard):
    """Reflected in the sea, and gone on in the ground. The bottom lies half a cell above the first node of rock."""
    h, width, depth = 5.0, 1400.0, 800.0
    shot = sea_over_ground(h, width, depth)
    bottom = depth / 2 - h / 2
    source = np.array([400.0, bottom - 151.0])
    receivers = source + [[240.0, 60.0], [300.0, 20.0], [250.0, 300.0]]
    (data,) = shot.record(source, receivers, "p", heard)
    shift = np.array([0.0, bottom])
    exact = [
        Interface(SEA, GROUND).record("p", heard, shot.signal.astype(float), 0.002, source - shift, r - shift)
        for r in receivers
    ]
    found = [difference(d, e) for d, e in zip(data, exact, strict=True)]
    assert max(found) < 2e-2, found


def test_nothing_rings_in_the_sea():
    """Shear, of which there is none, and what is left of pressure when waves have gone."""
    h, width, depth = 10.0, 800.0, 500.0
    shot = sea_over_ground(h, width, depth, length=3.0)
    source, receivers = np.array([400.0, 100.0]), np.array([[300.0, 60.0], [520.0, 200.0], [400.0, 100.0]])
    p, shear = shot.record(source, receivers, "p", "p", "sxz")
    assert np.abs(shear).max() < 1e-6 * np.abs(p).max()
    assert np.abs(p[:, shot.time.n // 2 :]).max() < 2e-3 * np.abs(p).max()


# ---- reciprocity


@pytest.mark.parametrize("name", ["elastic", "solid"])
@pytest.mark.parametrize(("i", "j"), [("vx", "vx"), ("vx", "vz"), ("vz", "vz")])
def test_forces_and_velocities_are_reciprocal(name, i, j):
    """From cell to cell of a rough medium, and between components that stand at different places of a cell."""
    w = rock(name)
    there, back = both_ways(w.waves, w.A, i, j)
    assert np.linalg.norm(there - back) < 1e-10 * np.linalg.norm(there)


def test_points_beside_a_layer_are_reciprocal_as_documented():
    """To rounding with a sponge; with a PML not, as far as interpolation reaches into it, and within a percent."""
    w = rock("elastic")
    low, high = np.array(w.waves.grid.extent).T
    beside = (low[0] + 63.1, low[1] + 12.0), (low[0] + 63.1, high[1] - 17.0)
    near = (low[0] + 81.4, low[1] + 48.0), (low[0] + 81.4, high[1] - 52.0)
    for layer, least, most in ((so.Sponge(cells=6), 0.0, 1e-10), ("pml", 1e-4, 1e-2)):
        A = so.Modeling(w.waves, w.medium, layer, space_order=4)
        for a, b in zip(beside, near, strict=True):
            there, back = both_ways(w.waves, A, "vz", "vz", (a,), (b,))
            assert least <= np.linalg.norm(there - back) / np.linalg.norm(there) < most


@pytest.mark.parametrize("name", ["elastic", "elastic_vti", "viscoelastic"])
@pytest.mark.parametrize(("i", "j"), [("vx", "vx"), ("vx", "vz"), ("vz", "vz")])
def test_points_where_the_grid_ends_are_reciprocal(name, i, j):
    """Interpolation reaches beyond the nodes at either end: what would enter there moves nothing, as nothing moves it."""
    w = rock(name, layer="none")
    low, high = np.array(w.waves.grid.extent).T
    for a, b in ((high - [33.0, 33.0], high - [95.0, 71.0]), (high - [3.0, 0.0], low + [3.0, 12.0])):
        there, back = both_ways(w.waves, w.A, i, j, a[None], b[None])
        assert np.linalg.norm(there - back) < 1e-10 * np.linalg.norm(there)


def test_stresses_are_reciprocal_to_strains():
    """As C^-1 s_t - grad v = C^-1 m is what is symmetric, beside forces, m = C e belongs to a strain e of a source.

    That is seen where mu, which is C of sxz, is the same everywhere; lambda and what is heard of P waves may be rough.
    """
    w = rock("elastic")
    rng = np.random.default_rng(5)
    mu, rho = 1e9, 1100.0
    medium = so.Elastic(w.waves.grid, vp=rng.uniform(1700.0, 2000.0, w.waves.grid.shape), mu=mu, rho=rho)
    A = so.Modeling(w.waves, medium, so.PML(cells=5), space_order=4)
    there, back = both_ways(w.waves, A, "sxz", "sxz")
    assert np.linalg.norm(there - back) < 1e-10 * np.linalg.norm(there)
    stress, velocity = both_ways(w.waves, A, "vz", "sxz")
    # half a step apart: what is left is what samples lose of signals where they end
    assert np.linalg.norm(stress + mu * velocity) < 1e-2 * np.linalg.norm(stress)


def both_ways(waves, A, i, j, a=((63.1, 84.9),), b=((151.7, 118.2),)):
    """What i makes heard of j, from here to there, and j of i, from there to here."""
    signal = so.ricker(waves.time, 50.0, delay=0.02)

    def heard(start, end, driven, component):
        Ps, Pr = so.Projection(waves, start, component=driven), so.Projection(waves, end, component=component)
        return (Pr * A * Ps.H @ signal[None, None]).ravel()

    return heard(a, b, i, j), heard(b, a, j, i)
