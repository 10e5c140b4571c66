"""Pseudo-acoustic waves with an axis: what they are without one, stretched, turned, and how fast they run; reciprocity."""

import warnings

import numpy as np
import pytest
from cases import BOUNDARIES
from rock import GRIDS, rock
from test_arrivals import OFFSETS, RHO, SOURCE, SPACE, C, Shot
from truth import difference, fit

import seisops as so
from seisops.check import dot_test, taylor_test

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")


def record(medium, layer=None):
    """In a rough world, of a source in band."""
    waves = so.Wavefield(medium.grid, so.Time(61, 0.002), dtype="float64")
    A = so.Modeling(waves, medium, layer, space_order=4)
    low, high = np.array(medium.grid.extent, float).T
    points = np.random.default_rng(1).uniform(low, high, (5, len(low)))
    F = so.Projection(waves, points) * A * so.Projection(waves, [0.4 * high]).H
    return F @ so.ricker(waves.time, 30.0, delay=0.04)[None, None]


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(("ndim", "layer"), [(2, None), (2, BOUNDARIES["pml"]), (3, None)])
def test_without_anisotropy_it_is_acoustic(ndim, layer, dense):
    """To rounding, with the axis upright."""
    grid = GRIDS[ndim]
    rng = np.random.default_rng(2)
    vp, rho = rng.uniform(1500.0, 1700.0, grid.shape), rng.uniform(1000.0, 2000.0, grid.shape) if dense else None
    acoustic = record(so.Acoustic(grid, vp, rho=rho), layer)
    np.testing.assert_allclose(record(so.TTI(grid, vp, rho=rho), layer), acoustic, rtol=0, atol=1e-11 * acoustic.max())


@pytest.mark.parametrize("dense", [False, True])
def test_without_anisotropy_the_angle_does_not_matter(dense):
    """Whatever the tilt, from cell to cell: the rotated derivatives cancel, at the edges of the model, too."""
    grid = so.Grid((24, 21), 10.0)
    rng = np.random.default_rng(2)
    vp, theta = rng.uniform(1500.0, 1700.0, grid.shape), rng.uniform(-3.0, 3.0, grid.shape)
    rho = rng.uniform(1000.0, 2000.0, grid.shape) if dense else None
    acoustic = record(so.Acoustic(grid, vp, rho=rho))
    tilted = record(so.TTI(grid, vp, theta=theta, rho=rho))
    np.testing.assert_allclose(tilted, acoustic, rtol=0, atol=1e-11 * np.abs(acoustic).max())


def test_a_contact_of_densities_in_tilted_ground():
    """Water over rock of another density, against a grid three times as fine."""

    def contact(h, theta, density=2.2):
        grid = so.Grid((round(600 / h) + 1, round(400 / h) + 1), h)
        rock = np.broadcast_to(grid.coordinates("z") > 185.0, grid.shape)
        epsilon = np.where(rock, 0.2, 0.0)
        medium = so.TTI(
            grid,
            np.where(rock, 2400.0, 1500.0),
            epsilon,
            0.5 * epsilon,
            theta=theta,
            rho=np.where(rock, 1000.0 * density, 1000.0),
        )
        waves = so.Wavefield(grid, so.Time(201, 0.002))
        line = so.Projection(waves, [(x, 100.0) for x in (200.0, 300.0, 450.0)])
        F = line * so.Modeling(waves, medium, so.PML(20)) * so.Projection(waves, [(300.0, 60.0)]).H
        return F @ so.ricker(waves.time, 10.0, delay=0.12)[None, None]

    assert difference(contact(10.0, None), contact(10.0 / 3, None)) < 6e-3
    for theta, error in ((0.0, 1e-2), (0.6, 2.5e-2)):
        found = difference(contact(10.0, theta), contact(10.0 / 3, theta))
        assert found < error, (theta, found)


STRETCH = 1.2
EPSILON = 0.5 * (STRETCH**2 - 1)


@pytest.mark.parametrize("theta", [None, 0.0, 0.6, np.pi / 2], ids=lambda t: f"theta {t}")
def test_elliptical_anisotropy(theta):
    """With epsilon = delta space is stretched across the axis, and the source with it: exact in every direction.

    Both fields are one, p = s r, so that ``m r_tt - s^2 G_across r - G_along r = q``.
    """
    turned = theta or 0.0
    axes = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])  # across, along

    def flat(x):
        return axes @ x / [STRETCH, 1.0]

    def trace(signal, step, source, receiver):
        return SPACE.pressure(signal, step, flat(source), flat(receiver)) / STRETCH

    shot = Shot(2, lambda grid: so.TTI(grid, C, EPSILON, EPSILON, theta=theta))
    data, exact = shot.record(shot.ricker), shot.exact(trace, shot.ricker)
    found = fit(data, exact, step=shot.modeling.discretisation.dt / shot.step)
    assert abs(found.delay) < 0.05 and abs(found.amplitude - 1) < 5e-3, found
    assert difference(data, exact) < 5e-3


@pytest.mark.parametrize("theta", [None, 0.0], ids=lambda t: f"theta {t}")
def test_elliptical_anisotropy_with_density(theta):
    def trace(signal, step, source, receiver):
        stretch = [STRETCH, 1.0]
        return RHO * SPACE.pressure(signal, step, source / stretch, receiver / stretch) / STRETCH

    shot = Shot(2, lambda grid: so.TTI(grid, C, EPSILON, EPSILON, theta=theta, rho=RHO))
    assert difference(shot.record(shot.ricker), shot.exact(trace, shot.ricker)) < 5e-3


def test_turned_by_a_right_angle():
    """x becomes z, where the medium is not elliptic either, but around the source."""
    swap = slice(None, None, -1)

    def make(theta):
        def medium(grid):
            x, z = grid.spacing[0] * np.indices(grid.shape)
            near = np.exp(-(np.hypot(x - SOURCE[2][0], z - SOURCE[2][0]) ** 2) / 60.0**2)
            return so.TTI(grid, C, 0.2, 0.2 - 0.1 * (1 - near), theta=theta)

        return medium

    source = np.full(2, SOURCE[2][0])
    upright = Shot(2, make(None), source=source, receivers=source + OFFSETS[2])
    lying = Shot(2, make(np.pi / 2), source=source, receivers=source + OFFSETS[2][:, swap])
    assert difference(lying.record(lying.ricker), upright.record(upright.ricker)) < 5e-3


@pytest.mark.parametrize("theta", [None, 0.5])
def test_velocities_along_and_across_the_axis(theta):
    """vp along it and vp sqrt(1 + 2 epsilon) across, by how much later the waves of a line of sources are farther from it.

    Those are plane waves, without the curvature that depends on delta, nor any of the other kind: delta is not heard.
    """
    epsilon, delta, h = 0.2, 0.1, 10.0
    for turned, speed in ((0.0, C), (0.5 * np.pi, C * np.sqrt(1 + 2 * epsilon))):
        # the line lies along x; the axis is turned instead
        if theta is None and turned:
            continue
        waves = so.Wavefield(so.Grid((241, 91), h), so.Time(201, 0.002), dtype="float64")
        angle = None if theta is None else turned
        A = so.Modeling(waves, so.TTI(waves.grid, C, epsilon, delta, theta=angle), space_order=8)
        line = np.zeros((1, *waves.grid.shape))
        line[0, :, 10] = 1.0
        P = so.Projection(waves, [[1200.0, 200.0], [1200.0, 600.0]])
        near, far = (P * A * so.Wavelet(waves, so.ricker(waves.time, 12.0, delay=0.1)).H @ line)[0]
        delay = fit(far, near, step=1 / waves.time.step).delay
        assert abs(400.0 / delay / speed - 1) < 3e-3, (400.0 / delay, speed)


@pytest.mark.parametrize("name", ["vti", "tti", "dense_tti", "viscous", "dense_viscous"])
def test_pressure_is_reciprocal(name):
    """In media that are rough, anisotropic and lossy everywhere, around source and receiver, too."""
    w = rock(name)
    a, b = (so.Projection(w.waves, [point]) for point in ([63.1, 84.9], [151.7, 118.2]))
    signal = so.ricker(w.waves.time, 40.0, delay=0.03)[None, None]
    there, back = b * w.A * a.H @ signal, a * w.A * b.H @ signal
    found = difference(there, back)
    assert found < 1e-10, found


@pytest.mark.parametrize("layer", ["pml", "sponge", None])
@pytest.mark.parametrize("order", [4, 8])
def test_no_density_makes_tilted_media_grow(layer, order):
    """Random from cell to cell, as all that a tilted medium has, and where the grid just ends, too."""
    grid, rng = so.Grid((24, 20), 10.0), np.random.default_rng(7)
    waves = so.Wavefield(grid, so.Time(4000, 0.0009))
    epsilon = rng.uniform(0.0, 1.0, grid.shape)
    medium = so.TTI(
        grid,
        rng.uniform(1500.0, 5000.0, grid.shape),
        epsilon,
        np.minimum(rng.uniform(-0.3, 1.0, grid.shape), epsilon),
        theta=rng.uniform(-1.5, 1.5, grid.shape),
        rho=rng.uniform(1000.0, 3000.0, grid.shape),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", so.AccuracyWarning)
        A = so.Modeling(waves, medium, BOUNDARIES[layer] if layer else None, space_order=order)
    F = so.Projection(waves, [(30.0, 30.0), (200.0, 170.0)]) * A * so.Projection(waves, [(115.0, 95.0)]).H
    data = np.abs(F @ so.ricker(waves.time, 30.0)[None, None])
    assert data[..., -1000:].max() < 3 * data[..., :1000].max()  # slow waves stay, in what just ends


@pytest.mark.parametrize("surface", ["free", "rigid"])
@pytest.mark.parametrize("order", [4, 8])
def test_above_a_surface_the_axis_is_mirrored(surface, order):
    """As in a grid that goes on above it, with the axis turned the other way, and a source for each side; to rounding.

    On the surface, which belongs to both sides, it is upright.
    """
    half, whole = so.Grid((24, 21), 10.0), so.Grid((24, 41), 10.0, origin=(0.0, -200.0))
    rng = np.random.default_rng(3)
    epsilon, vp, rho = (rng.uniform(*ends, half.shape) for ends in ((0.1, 0.3), (2400.0, 2600.0), (1500.0, 2500.0)))
    theta = rng.uniform(-1.0, 1.0, half.shape)
    theta[:, 0] = 0.0

    def both(a, sign=1):
        return np.concatenate([sign * a[:, :0:-1], a], axis=1)

    def record(grid, vp, epsilon, theta, rho, boundary, sources):
        waves = so.Wavefield(grid, so.Time(121, 0.002), dtype="float64")
        A = so.Modeling(
            waves, so.TTI(grid, vp, epsilon, 0.5 * epsilon, theta, rho=rho), boundary, space_order=order, substeps=2
        )
        receivers = so.Projection(waves, [(40.0, 10.0), (161.0, 38.0)])
        signal = so.ricker(waves.time, 25.0, delay=0.05)
        return sum(
            sign * (receivers * A * so.Projection(waves, [place]).H @ signal[None, None]) for place, sign in sources
        )

    below = record(
        half,
        vp,
        epsilon,
        theta,
        rho,
        {"z_min": surface, "x_min": None, "x_max": None, "z_max": None},
        [((110.0, 30.0), 1)],
    )
    image = -1 if surface == "free" else 1
    expected = record(
        whole, both(vp), both(epsilon), both(theta, -1), both(rho), None, [((110.0, 30.0), 1), ((110.0, -30.0), image)]
    )
    assert difference(below, expected) < 1e-11


@pytest.mark.parametrize("surface", ["free", "rigid"])
@pytest.mark.parametrize("dense", [False, True])
def test_a_tilt_at_a_surface_is_exact(surface, dense):
    """Adjoints, of points on the surface, too, and derivatives by every parameter, there as well."""
    grid = so.Grid((24, 21), 10.0)
    waves, rng = so.Wavefield(grid, so.Time(61, 0.002), dtype="float64"), np.random.default_rng(3)
    epsilon, theta = rng.uniform(0.1, 0.3, grid.shape), rng.uniform(-1.0, 1.0, grid.shape)
    rho = rng.uniform(1500.0, 2500.0, grid.shape) if dense else None
    medium = so.TTI(grid, 2500.0, epsilon, 0.5 * epsilon, theta, rho=rho)
    near = rng.uniform((0.0, 1.0), (230.0, 60.0), (4, 2))
    if surface == "rigid":
        near[0, 1] = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error", so.AccuracyWarning)
        A = so.Modeling(waves, medium, {"z_min": surface}, space_order=4)
    F = so.Projection(waves, near) * A * so.Projection(waves, rng.uniform((0.0, 1.0), (230.0, 60.0), (2, 2))).H
    q = F.domain.random(0)
    assert dot_test(F) < 1e-12
    wrt = ("theta", *(["rho"] if dense else []))
    assert dot_test(so.Jacobian(F, q, wrt=wrt)) < 1e-12
    G, at = so.Parametric(F, wrt=wrt), [medium.get(name) for name in wrt]
    for n in range(len(wrt)):
        # by one parameter at a time, in the rows beside the surface alone
        direction = [0 * values for values in at]
        direction[n] = 0.1 * rng.uniform(-1.0, 1.0, grid.shape) * np.abs(at[n]).max() * (np.arange(21) < 3)
        assert abs(taylor_test(G, (*at, q), (*direction, 0 * q)).rate - 2) < 0.1


def test_little_comes_back_from_the_layer():
    """Into which a tilted medium turns elliptic; where the source is it is so, too, or slow waves would not leave."""
    n, big, h = 81, 241, 10.0
    time, at = so.Time(301, 0.002), np.array([400.0, 400.0])
    points = np.random.default_rng(0).uniform(0.0, (n - 1) * h, (100, 2))

    def heard(cells, layer):
        grid = so.Grid((cells, cells), h, origin=(-(cells - n) // 2 * h,) * 2)
        x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")
        near = np.clip((np.hypot(x - at[0], z - at[1]) - 60.0) / 80.0, 0.0, 1.0)
        delta = 0.2 - 0.1 * near**2 * (3 - 2 * near)
        waves = so.Wavefield(grid, time)
        medium = so.TTI(grid, 2000.0, epsilon=0.2, delta=delta, theta=np.radians(35.0))
        F = so.Projection(waves, points) * so.Modeling(waves, medium, layer) * so.Projection(waves, [at]).H
        return F @ so.ricker(time, 10.0)[None, None]

    expected = heard(big, so.PML())
    energy = {cells: difference(heard(n, so.PML(transition=cells)), expected) for cells in (None, 0, 24)}
    assert energy[24] < 0.6 * energy[None] and energy[None] < 0.4 * energy[0] and energy[None] < 0.01
    assert difference(heard(n, so.Sponge()), expected) < 0.08
