"""Free surfaces of elastic media: no traction, waves along them, exact adjoints up to the surface, and no growth."""

import numpy as np
import pytest
from cases import check_exact
from reference import traces
from rock import MADE
from test_elastic import Shot, both_ways
from truth import difference
from truth_elastic import Elastic
from truth_interface import Interface

import seisops as so
from seisops.check import taylor_test

VP, VS, RHO, H = 2000.0, 1100.0, 1200.0, 5.0
#: Ten cells to the shortest S waves, where a Ricker wavelet has a tenth of its peak.
F0 = VS / (10 * H * 2.3)
STEP = 0.002


def land(length=0.8):
    return Shot(lambda grid: so.Elastic(grid, VP, VS, RHO), (161, 81), H, STEP, length, F0, free_surface=True)


@pytest.fixture(scope="module")
def shot():
    return land()


def exact(shot, driven, heard, source, receivers):
    truth, signal = Interface(None, Elastic(VP, VS, RHO)), shot.signal.astype(float)
    return [truth.record(driven, heard, signal, STEP, (source[0], source[1]), tuple(r)) for r in receivers]


@pytest.mark.parametrize(("driven", "depth"), [("vz", 61.0), ("vx", 23.0), ("p", 40.0), ("vz", 0.0), ("vx", 1.6)])
def test_half_space(shot, driven, depth):
    """Body waves and those along the surface, heard on it, just below it and deep, of sources down to the surface."""
    source, receivers = np.array([253.0, depth]), np.array([[403.0, 0.0], [651.3, 0.0], [601.0, 1.7], [371.0, 93.0]])
    if depth < 20.0:  # the sum over wavenumbers has to end
        receivers = receivers + [0.0, 23.0]
    for name, data in zip(("vx", "vz"), shot.record(source, receivers, driven, "vx", "vz"), strict=True):
        found = [difference(d, e) for d, e in zip(data, exact(shot, driven, name, source, receivers), strict=True)]
        assert max(found) < 0.03, (name, found)


def test_no_traction(shot):
    """The normal stress vanishes on the surface, shear as differences become exact, of third order; along it they do not."""
    source, receivers = np.array([253.0, 61.0]), np.array([[403.0, 0.0]])
    left = []
    for f0 in (F0, F0 / 2):
        data = shot.record(source, receivers, "vz", "sxx", "sxz", "szz", signal=so.ricker(shot.time, f0, delay=0.22))
        along, *tractions = np.abs(data[:, 0]).max(axis=-1)
        left.append(np.array(tractions) / along)
    (shear, normal), (finer, none) = left
    assert normal == none == 0 and finer < 0.001 and shear > 3 * finer, left
    ((along,),) = shot.record(source, receivers, "vz", "sxx")
    (expected,) = exact(shot, "vz", "sxx", source, receivers)
    assert difference(along, expected) < 0.03


def test_trace_of_another_code(data):
    """EX2DDIR at ten cells to the shortest S waves; see `test_truth_interface` for its convention."""
    reference = traces(data, "half_space_force")
    step, h = 0.0005, 2.5
    time = so.Time(1000, step)
    waves = so.Wavefield(so.Grid((161, 81), h, origin=(-150.0, 0.0)), time)
    A = so.Modeling(waves, so.Elastic(waves.grid, 1500.0, 1000.0, 2200.0), free_surface=True)
    points = [(60.0, 20.0), (62.0, 22.0)]
    F = so.VStack([so.Projection(waves, points, component=name) for name in ("vx", "vz")]) * A
    signal = 2 * so.ricker(time, 14.5, delay=0.08)
    got = (F * so.Projection(waves, [(0.0, 60.0)], component="vz").H @ signal[None, None]).reshape(2, 2, -1)
    for one, name, sign in zip(got, ("ux", "uz"), (1, -1), strict=True):
        assert difference(sign * one, reference[name][:, : time.n]) < 0.01, name


@pytest.mark.parametrize("depth", [61.0, 10.0])
def test_a_fluid_is_acoustic(depth):
    """To its surface, under which nothing runs along it."""

    def heard(make):
        return Shot(make, (121, 81), H, STEP, 0.5, F0, free_surface=True)

    elastic = heard(lambda grid: so.Elastic(grid, VP, 0.0, RHO))
    acoustic = heard(lambda grid: so.Acoustic(grid, VP, rho=RHO))
    source, receivers = np.array([253.0, depth]), np.array([[403.0, 21.0], [353.0, 3.0], [303.0, 133.0], [453.0, 7.0]])
    late = elastic.time.samples - 1.3 / F0
    integral = late * np.exp(-((np.pi * F0 * late) ** 2))  # of the Ricker wavelet
    (p,) = elastic.record(source, receivers, "p", "p", signal=integral)
    (expected,) = acoustic.record(source, receivers, "p", "p")
    expected = expected / (2 * RHO * VP**2)
    assert max(difference(a, b) for a, b in zip(p, expected, strict=True)) < 0.004


@pytest.mark.parametrize(("depth", "bound"), [(61.0, 0.003), (10.0, 0.003), (3.0, 0.006), (1.0, 0.03)])
def test_shallow_water_is_acoustic(depth, bound):
    """Over what is next to water, and beside it, so that nothing is mirrored: no false wave runs along it."""

    def heard(make):
        return Shot(make, (121, 81), H, STEP, 0.5, F0, free_surface=True)

    def nearly(grid):
        vs = np.where(np.arange(grid.shape[-1]) < 3, np.zeros(grid.shape), 1e-2)
        vs[110:] = 1e-2  # a shore
        return so.Elastic(grid, VP, vs, RHO, ranges={"vs": (0.0, VS)})

    with pytest.warns(so.AccuracyWarning, match="110 of 121 columns, there is water at the surface"):
        elastic = heard(nearly)
    acoustic = heard(lambda grid: so.Acoustic(grid, VP, rho=RHO))
    source, receivers = np.array([253.0, depth]), np.array([[403.0, 21.0], [353.0, 3.0], [303.0, 133.0], [453.0, 7.0]])
    late = elastic.time.samples - 1.3 / F0
    (p,) = elastic.record(source, receivers, "p", "p", signal=late * np.exp(-((np.pi * F0 * late) ** 2)))
    (expected,) = acoustic.record(source, receivers, "p", "p")
    expected = expected / (2 * RHO * VP**2)
    assert max(difference(a, b) for a, b in zip(p, expected, strict=True)) < bound


@pytest.mark.parametrize(("nodes", "bound"), [(1, 0.12), (2, 0.08), (4, 0.04)])
def test_shallow_water_over_rock(nodes, bound):
    """As on a grid three times as fine, where waves in the rock and along the water are long."""
    bottom = (nodes - 0.5) * 10.0  # halfway between nodes of both grids
    time = so.Time(301, 0.003)

    def heard(h):
        grid = so.Grid((round(450 / h) + 1, round(250 / h) + 1), h)
        water = np.broadcast_to(grid.coordinates("z") < bottom, grid.shape)
        speeds = (np.where(water, *v) for v in ((1500.0, 2800.0), (0.0, 1500.0), (1000.0, 2200.0)))
        waves, below = so.Wavefield(grid, time), bottom + 60.0
        A = so.Modeling(waves, so.Elastic(grid, *speeds), so.PML(round(120 / h), multiaxial=0.05), free_surface=True)
        ears = [("vz", (300.0, 0.0)), ("vz", (300.0, below)), ("vx", (300.0, below)), ("szz", (280.0, bottom + 30.0))]
        F = so.VStack([so.Projection(waves, [at], component=name) for name, at in ears]) * A
        F = F * so.Projection(waves, [(120.0, below)], component="p").H
        return F.range.split(F @ so.ricker(time, 7.0)[None, None])

    assert max(difference(a.ravel(), b.ravel()) for a, b in zip(heard(10.0), heard(10 / 3), strict=True)) < bound


@pytest.mark.parametrize(("driven", "depth"), [("p", 7.0), ("p", 1.0), ("szz", 7.0), ("sxx", 1.0)])
def test_moments_beside_the_surface(shot, driven, depth):
    """What a moment along z would leave of stress on the surface is taken up by the strain there."""
    source, receivers = np.array([253.0, depth]), np.array([[403.0, 23.0], [651.3, 23.0], [371.0, 93.0]])
    for name, data in zip(("vx", "vz"), shot.record(source, receivers, driven, "vx", "vz"), strict=True):
        found = [difference(d, e) for d, e in zip(data, exact(shot, driven, name, source, receivers), strict=True)]
        assert max(found) < (0.03 if driven == "szz" else 0.01), (name, found)


# ---- exact to the last digit


def sea(grid, nodes):
    """Water of so many nodes over rock."""
    rng, rock = np.random.default_rng(5), np.arange(grid.shape[-1]) >= nodes
    vp, vs, rho = (rng.uniform(*ends, grid.shape) for ends in ((1700.0, 2000.0), (800.0, 1000.0), (1000.0, 1200.0)))
    return so.Elastic(grid, vp, np.where(rock, vs, 0.0), rho)


class World:
    """A rough medium with points in its layer, at its surface and just below it."""

    def __init__(self, ndim=2, name="solid", boundary="default", face="free", **options):
        grid = so.Grid((24, 21), 10.0) if ndim == 2 else so.Grid((13, 12, 15), 10.0)
        self.medium = MADE[name](grid, np.random.default_rng(11)) if isinstance(name, str) else name(grid)
        self.waves = so.Wavefield(grid, so.Time(31, 0.002), dtype="float64")
        boundary = so.PML(cells=5) if boundary == "default" else boundary
        faces = {f"{axis}_{end}": boundary for axis in grid.axes for end in ("min", "max")} | {"z_min": face}
        self.A = so.Modeling(self.waves, self.medium, faces, space_order=4, **options)
        self.beyond = 30.0 if boundary else 0.0

    def points(self, component, n, seed):
        low, high = np.array(self.waves.grid.extent, float).T
        where = np.random.default_rng(seed).uniform(low - self.beyond, high + self.beyond, (n, len(low)))
        where[:, -1] = [0.0, 3.0, 17.0, 80.0][:n]
        return so.Projection(self.waves, where, margin=self.beyond, component=component)

    def F(self, driven, heard):
        return self.points(heard, 4, 1) * self.A * self.points(driven, 3, 2).H


@pytest.mark.parametrize("component", ["p", "vx", "vz", "sxx", "szz", "sxz"])
def test_adjoints(component):
    w = World()
    check_exact(w.F(component, "vz"), 1e-11)
    check_exact(w.F("vx", component), 1e-11)


@pytest.mark.parametrize(
    "w",
    [
        {"ndim": 3},
        {"boundary": None},
        {"boundary": so.Sponge(cells=5)},
        {"name": lambda grid: so.ViscoElastic(grid, 1900.0, 900.0, 1100.0, qp=40.0, qs=30.0, f0=20.0)},
        {"name": lambda grid: sea(grid, 9)},
        {"name": lambda grid: sea(grid, 1)},
        {"name": lambda grid: sea(grid, 2), "ndim": 3},
    ],
    ids=["3D", "none", "sponge", "viscoelastic", "sea", "shallow sea", "sea in 3D"],
)
def test_adjoints_elsewhere(w):
    w = World(**w)
    F = w.F("vz", "vx")
    check_exact(F, 1e-11)
    check_exact(so.Jacobian(F, F.domain.random(0), wrt="vs"), 1e-11)


def test_derivatives():
    w = World()
    F, names = w.F("vz", "vx"), ("vp", "vs", "rho")
    q, rng = F.domain.random(5), np.random.default_rng(4)
    x = [w.medium.get(name) for name in names]
    dx = [rng.uniform(-1.0, 1.0, a.shape) * a.max() for a in x]
    result = taylor_test(so.Parametric(F, names), (*x, q), (*dx, 0 * q), steps=(1e-2, 5e-3, 2.5e-3))
    assert all(1.9 < rate < 2.1 for rate in result.rates), result
    y, full = F.range.random(4), None
    for storage in (so.storage.Full(), so.storage.Checkpointed(), so.storage.Boundary()):
        J = so.Jacobian(F, q, wrt=names, storage=storage)
        found = J.H @ y
        full = found if full is None else full
        assert np.linalg.norm(found - full) < 1e-10 * np.linalg.norm(full)


def test_gradients_are_exact_in_every_cell_at_the_surface():
    """Against central differences, cell by cell."""
    w = World()
    F, rng = w.F("vz", "vx"), np.random.default_rng(3)
    q, y = F.domain.random(0), F.range.random(1)
    found = (so.Jacobian(F, q, wrt="rho").H @ y).reshape(w.waves.grid.shape)
    for cell in [(0, 0), (0, 1), (11, 0), (23, 0), (12, 1), (12, 2), (5, 4), (7, 6), *rng.integers(0, 21, (2, 2))]:
        cell, step = tuple(int(n) for n in cell), 1e-2
        values = []
        for sign in (1, -1):
            rho = w.medium.rho.copy()
            rho[cell] += sign * step * rho[cell]
            values.append(np.vdot(y, F.at(rho=rho) @ q))
        expected = (values[0] - values[1]) / (2 * step * w.medium.rho[cell])
        assert found[cell] == pytest.approx(expected, rel=1e-3, abs=1e-5 * np.abs(found).max()), cell


@pytest.mark.parametrize("sampler", [so.Snapshots, so.Wavelet])
def test_whole_wavefields(sampler):
    w = World()
    if sampler is so.Snapshots:
        F = so.Snapshots(w.waves, [0.02, 0.04], component="sxz") * w.A * w.points("vz", 3, 2).H
    else:
        F = w.points("vz", 3, 1) * w.A * so.Wavelet(w.waves, so.ricker(w.waves.time, 40.0), component="vx").H
    check_exact(F, 1e-11)


@pytest.mark.parametrize(("i", "j"), [("vx", "vx"), ("vx", "vz"), ("vz", "vz")])
@pytest.mark.parametrize(("face", "depths"), [("free", (0.0, 0.0)), ("free", (3.0, 17.0)), ("rigid", (3.0, 17.0))])
def test_forces_and_velocities_are_reciprocal(i, j, face, depths):
    """A force along a rigid surface moves nothing, as nothing moves it along that."""
    w = World(face=face)
    there, back = both_ways(w.waves, w.A, i, j, [[63.1, depths[0]]], [[151.7, depths[1]]])
    assert np.linalg.norm(there - back) < 1e-10 * np.linalg.norm(there)


def test_born_scattering_is_the_derivative_of_waves_at_the_surface():
    w = World()
    F = w.F("p", "vz")
    q, dm = F.domain.random(0), np.random.default_rng(1).uniform(-1.0, 1.0, w.waves.grid.shape)
    result = taylor_test(so.Parametric(F, "mu"), (w.medium.mu, q), (1e8 * dm, 0 * q), steps=(1.0, 0.5, 0.25))
    assert all(1.9 < rate < 2.1 for rate in result.rates), result


@pytest.mark.parametrize(
    ("rough", "boundary"), [("cells", None), ("cells", so.Sponge(cells=20)), ("sea", so.PML()), ("blocks", so.PML())]
)
def test_nothing_grows(rough, boundary):
    """In 6,000 steps. A PML grows below a surface where the medium differs from cell to cell; the surface does not."""
    rng, grid = np.random.default_rng(0), so.Grid((60, 50), 10.0)
    x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")
    if rough == "cells":
        vp, rho = rng.uniform(1800.0, 4000.0, grid.shape), rng.uniform(1500.0, 2600.0, grid.shape)
        medium = so.Elastic(grid, vp, vp * rng.uniform(0.3, 0.65, grid.shape), rho)
    elif rough == "sea":
        medium = so.Elastic(
            grid, *(np.where(z < 150.0, *v) for v in ((1500.0, 2500.0), (0.0, 1200.0), (1000.0, 2100.0)))
        )
    else:
        odd = (x // 100 + z // 100) % 2 == 1
        medium = so.Elastic(grid, *(np.where(odd, *v) for v in ((1800.0, 4000.0), (700.0, 2300.0), (1600.0, 2500.0))))
    waves = so.Wavefield(grid, so.Time(6000, 0.004))
    points = rng.uniform([0.0, 0.0], [590.0, 490.0], (40, 2))
    A = so.Modeling(waves, medium, boundary, free_surface=True)
    F = so.Projection(waves, points, component="vz") * A * so.Projection(waves, [(300.0, 0.0)], component="vz").H
    data = np.abs(F @ so.ricker(waves.time, 12.0)[None, None])[0].max(axis=0)
    middle, late = (data[n : n + 600].max() / data.max() for n in (2400, 5400))
    # along soft blocks waves run slowly, and leave the model late
    assert late < 1.2 if boundary is None else late < 0.03 and (late < 1e-4 or late < 0.6 * middle), (middle, late)


def test_what_does_not_suit():
    grid = so.Grid((24, 10), 10.0)
    waves = so.Wavefield(grid, so.Time(31, 0.002))
    with pytest.raises(so.ParameterError, match="12 nodes in depth, got 10"):
        so.Modeling(waves, so.Elastic(grid, VP, VS, RHO), free_surface=True)
    deep = so.Wavefield(so.Grid((24, 21), 10.0), waves.time)
    coast = sea(deep.grid, 8)
    coast = coast.replace(vs=np.where(np.arange(24)[:, None] < 4, 900.0, coast.vs))
    with pytest.warns(so.AccuracyWarning, match="in 20 of 24 columns the surface holds it as it holds a solid"):
        so.Modeling(deep, coast, boundary={"z_min": "rigid"}, space_order=4)
    so.Modeling(deep, coast, free_surface=True, space_order=4)
    with pytest.warns(
        so.AccuracyWarning, match="in 20 of 24 columns, there is water at the surface that is less than 6"
    ):
        so.Modeling(
            deep, coast.replace(vs=np.where(np.arange(21) < 5, coast.vs, 900.0)), free_surface=True, space_order=4
        )
    with pytest.raises(so.ParameterError, match="with solid beside it, and now fluid"):
        w = World()
        w.F("vz", "vz").at(vs=sea(w.waves.grid, 9).vs)
    with pytest.raises(so.ParameterError, match="above the free surface"):
        so.Projection(w.waves, [(50.0, -10.0)], margin=30.0, component="vz") * w.A @ w.waves.zeros()


def gradients(shape, boundary):
    """By what is taken in each cell by itself, with all of the background kept, and with what makes it again."""
    waves = so.Wavefield(so.Grid(shape, 10.0), so.Time(61, 0.002), dtype="float64")
    A = so.Modeling(waves, sea(waves.grid, 0), boundary=boundary, space_order=4)
    points = [(60.0, 7.0), (80.0, 90.0)]
    F = so.Projection(waves, points, component="vz") * A * so.Projection(waves, [(150.0, 12.0)], component="vz").H
    for policy in (so.storage.Full(), so.storage.Boundary()):
        yield so.Jacobian(F, F.domain.random(0), wrt="vp", storage=policy).H @ F.range.random(1)


@pytest.mark.parametrize(
    ("shape", "boundary"),
    [
        ((24, 31), {"z_min": "free"}),
        ((24, 21), {"z_min": "free"}),
        ((24, 21), {"z_min": "rigid"}),
        ((24, 12), so.PML()),
    ],
)
def test_backgrounds_made_again_along_the_surface(shape, boundary):
    """Rows there have other weights; and what is kept along opposite faces may be kept twice, and counts once."""
    whole, again = gradients(shape, boundary)
    assert np.linalg.norm(whole - again) < 1e-12 * np.linalg.norm(whole)


def test_a_surface_that_is_beside_the_layer():
    with pytest.raises(so.ParameterError, match="so shallow that they are one: use a deeper grid"):
        list(gradients((24, 12), {"z_min": "free"}))
