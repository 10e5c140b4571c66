"""The inverse-scattering condition: what it is made of, how strongly it reflects, and what it leaves out."""

import numpy as np
import pytest
from cases import check_exact, world
from scipy.ndimage import gaussian_filter

import seisops as so
from seisops.errors import ParameterError

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning", "ignore::seisops.AccuracyWarning")

CONDITION = "inverse_scattering"
#: Derivatives of order 8 half a cell from the nodes.
HALF = (1225 / 1024, -245 / 3072, 49 / 5120, -5 / 7168)


def apart(a, b):
    """Relative difference of two arrays."""
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize(
    "options",
    [{}, {"density": True}, {"surface": True}, {"substeps": True}, {"ndim": 3}, {"dtype": "float32"}],
    ids=str,
)
def test_exact(options):
    check_exact(world(**options).jacobian(condition=CONDITION))


@pytest.mark.parametrize(("wrt", "factor"), [("m", lambda m: -m.rho / (2 * m.m)), ("vp", lambda m: m.rho / m.vp)])
def test_it_is_the_derivative_by_density_at_constant_velocity(wrt, factor):
    w = world(density=True)
    J, by = w.jacobian(wrt=wrt, condition=CONDITION), w.jacobian(wrt=("vp", "rho"))
    y = J.range.random(1)
    assert apart(J.H @ y, factor(w.medium) * (by.H @ y)[1]) < 1e-13


def test_of_a_medium_without_density_it_is_that_of_one():
    w = world()
    J = w.jacobian(condition=CONDITION)
    medium = so.Acoustic(w.grid, m=w.medium.m, rho=1.0, ranges={"rho": (0.5, 2.0)})
    dense = so.Jacobian(w.Pr * w.A.over(medium) * w.Ps.H, J.q, condition=CONDITION)
    x, y = J.domain.random(1), J.range.random(2)
    assert np.array_equal(J @ x, dense @ x)
    assert np.array_equal(J.H @ y, dense.H @ y)
    assert np.array_equal(J.at(vp=1900.0) @ x, dense.at(vp=1900.0) @ x)


def half(a, axis):
    """The derivative half a cell ahead, of cells of 10 m."""
    return sum(c * (np.roll(a, -k - 1, axis) - np.roll(a, k, axis)) for k, c in enumerate(HALF)) / 10.0


def test_it_is_the_formula_on_snapshots():
    """m u_tt v + grad u . grad v, of wavefields that are propagated each by itself, and summed by NumPy."""
    grid, time = so.Grid((81, 61), 10.0), so.Time(301, 0.002)
    waves = so.Wavefield(grid, time, 1, dtype="float64")
    medium = so.Acoustic(grid, vp=2000.0, rho=1000.0)
    A = so.Modeling(waves, medium, dispersion=False)
    assert A.discretisation.ratio == 1
    every = so.Snapshots(waves, time.samples)
    Ps, Pr = so.Projection(waves, [[200.0, 150.0]]), so.Projection(waves, [[600.0, 150.0], [400.0, 100.0]])
    q = so.ricker(time, 12.0)[None, None]
    y = np.stack([so.ricker(time, 12.0, delay=0.35), so.ricker(time, 10.0, delay=0.3)])[None]
    image = so.Jacobian(Pr * A * Ps.H, q, condition=CONDITION).H @ y
    u, v = ((every * A * Ps.H) @ q)[0], ((every * A.H * Pr.H) @ y)[0]
    around = np.pad(u, ((1, 1), (0, 0), (0, 0)))
    u_tt = (around[2:] - 2 * u + around[:-2]) / time.step**2
    u_tt[-1] = 0  # the last row of all determines nothing
    m = 2000.0**-2
    total = m * (u_tt * v).sum(axis=0)
    for axis in (0, 1):
        ahead = (half(u, axis + 1) * half(v, axis + 1)).sum(axis=0)
        total += (ahead + np.roll(ahead, 1, axis)) / 2  # densities are averaged between nodes
    expected = -100.0 / 1000.0 / (2 * m) * total
    inside = np.s_[6:-6, 6:-6]
    assert apart(image[inside], expected[inside]) < 1e-12
    # and not with the other sign, which is what travels the same way
    assert apart((2 * 0.1 * -100.0 / 200.0 * (u_tt * v).sum(axis=0) - image)[inside], expected[inside]) > 0.5


def shot(offset, spacing=5.0):
    """Modeling from a source to a receiver, and the source; the middle between both, by number."""
    grid, time = so.Grid((321, 161), spacing), so.Time(401, 0.003)
    waves = so.Wavefield(grid, time, 1)
    A = so.Modeling(waves, so.Acoustic(grid, vp=2000.0))
    source, receiver = (so.Projection(waves, [[800.0 + x, 100.0]]) for x in (-offset / 2, offset / 2))
    return receiver * A * source.H, time, 160


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_it_reflects_as_the_square_of_the_cosine_of_incidence(offset):
    """Of an arrival from about 500 m below both, in the middle, beside the image of squared slowness."""
    F, time, middle = shot(offset)
    q = so.ricker(time, 12.0)[None, None]
    late = so.ricker(time, 12.0, delay=0.1 + 2 * np.hypot(offset / 2, 500.0) / 2000.0)[None, None]
    by_m, reflected = ((so.Jacobian(F, q, condition=c).H @ late)[middle, 80:150] for c in ("correlation", CONDITION))
    depth = 5.0 * np.arange(80, 150) - 100.0
    cosine = np.cos(np.arctan(offset / 2 / depth))
    assert by_m @ reflected == pytest.approx(by_m @ (cosine**2 * by_m), rel=0.05)


def test_what_is_transmitted_makes_no_image():
    """A direct wave, below the line from source to receiver and on it."""
    F, time, middle = shot(1000.0, spacing=5.0)
    q = so.ricker(time, 12.0)[None, None]
    direct = so.ricker(time, 12.0, delay=0.1 + 1000.0 / 2000.0)[None, None]
    by_m, reflected = ((so.Jacobian(F, q, condition=c).H @ direct)[middle] for c in ("correlation", CONDITION))
    assert abs(reflected[20]) < 0.03 * abs(by_m[20])


def test_backscattering_above_a_contrast_vanishes():
    """Two layers, migrated in their own velocity: low wavenumbers above the interface, in parts of its image."""
    grid, time = so.Grid((121, 81), 10.0), so.Time(401, 0.003)
    waves = so.Wavefield(grid, time, 3)
    vp = np.full(grid.shape, 1500.0)
    vp[:, 40:] = 2500.0
    sources = np.array([[(x, 20.0)] for x in (300.0, 600.0, 900.0)])
    A = so.Modeling(waves, so.Acoustic(grid, vp=vp))
    F = so.Projection(waves, [(x, 20.0) for x in grid.coordinates("x")]) * A * so.Projection(waves, sources).H
    q = np.tile(so.ricker(time, 12.0), (3, 1, 1))
    data = F @ q - F.at(vp=1500.0) @ q
    low = {}
    for condition in ("correlation", CONDITION):
        image = so.Jacobian(F, q, condition=condition).H @ data
        above = gaussian_filter(image, 3.0)[30:90, 10:33]
        low[condition] = np.sqrt(np.mean(above**2)) / np.abs(image[30:90, 37:44]).max()
    assert low["correlation"] > 0.08
    assert low[CONDITION] < 0.3 * low["correlation"]


@pytest.mark.parametrize(
    ("options", "asked", "says"),
    [
        ({}, {"condition": "isic"}, "'correlation' and 'inverse_scattering'"),
        ({}, {"condition": CONDITION, "lags": {"x": range(3)}}, "leave one of both out"),
        ({"density": True}, {"condition": CONDITION, "wrt": "rho"}, "rho of Acoustic is no velocity"),
    ],
    ids=str,
)
def test_what_makes_no_sense(options, asked, says):
    with pytest.raises(ParameterError, match=says):
        world(**options).jacobian(**asked)


def test_media_that_do_not_say_what_reflects():
    w = world(shots=1)
    medium = so.Elastic(w.grid, vp=2000.0, vs=1000.0, rho=1000.0)
    F = w.Pr * so.Modeling(w.waves, medium, space_order=4) * w.Ps.H
    with pytest.raises(ParameterError, match="Elastic does not say what of it reflects"):
        so.Jacobian(F, F.domain.random(1), wrt="vp", condition=CONDITION)


def test_attenuating_media_reflect():
    w = world(shots=1)
    medium = so.ViscoAcoustic(w.grid, vp=2000.0, qp=50.0, f0=20.0)
    F = w.Pr * so.Modeling(w.waves, medium, space_order=4) * w.Ps.H
    q = F.domain.random(1)
    J = so.Jacobian(F, q, condition=CONDITION)
    check_exact(J)
    with pytest.raises(ParameterError, match="qp of ViscoAcoustic is no velocity"):
        so.Jacobian(F, q, wrt="qp", condition=CONDITION)


def test_plans_know_what_is_kept():
    """Of what reflects there are histories of the gradient, too."""
    w = world()
    plain, reflecting = (so.plan(w.jacobian(condition=c), trial=False) for c in ("correlation", CONDITION))
    assert reflecting.history_bytes > 2 * plain.history_bytes
    lagged = so.plan(w.jacobian(lags={"x": range(-2, 3)}), trial=False)
    assert lagged.history_bytes == plain.history_bytes
