"""Wave equations written by users have exact adjoints and derivatives, whatever their fields and shifts."""

import numpy as np
import pytest
from devito import Derivative
from physics import ElasticWaves, Heat, Implicit, Nonlinear, TiltedWaves
from test_products import check_exact

import seisops as so
from seisops.check import dot_test, taylor_test
from seisops.errors import ParameterError, UnstableError

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")

GRID = so.Grid((22, 19), 10.0)


def elastic(grid=GRID):
    rng = np.random.default_rng(1)
    vp, vs = rng.uniform(1700.0, 2000.0, grid.shape), rng.uniform(900.0, 1000.0, grid.shape)
    rho = rng.uniform(1000.0, 1200.0, grid.shape)
    return ElasticWaves(grid, lam=rho * (vp**2 - 2 * vs**2), mu=rho * vs**2, b=1 / rho)


def tilted(grid=GRID, **parameters):
    rng = np.random.default_rng(2)
    values = {
        "m": rng.uniform(1500.0, 1700.0, grid.shape) ** -2.0,
        "epsilon": rng.uniform(0.1, 0.2, grid.shape),
        "delta": rng.uniform(0.0, 0.1, grid.shape),
        "theta": 0.4,
    }
    return TiltedWaves(grid, **{**values, **parameters})


def heat(grid=GRID):
    return Heat(grid, kappa=np.random.default_rng(3).uniform(1.0, 2.0, grid.shape))


def around(medium, boundary, step, n=25, order=2, dtype="float64"):
    """Points to points, through a medium."""
    waves = so.Wavefield(medium.grid, so.Time(n, step), shots=2, dtype=dtype)
    Pr = so.Projection(waves, [[88.0, 91.0], [131.5, 62.0], [30.0, 20.0]])
    Ps = so.Projection(waves, [[105.0, 83.0]])
    return Pr * so.Modeling(waves, medium, boundary=boundary, space_order=order) * Ps.H


CASES = {
    "elastic": (elastic, so.PML(cells=5), 0.0015, (("lam", "mu", "b"),)),
    "tilted": (tilted, so.Sponge(cells=5), 0.002, (("m", "epsilon", "delta", "theta"),)),
    "heat": (heat, None, 4.0, ("kappa",)),
    "heat in a layer": (heat, so.PML(cells=5), 4.0, ()),
}


def operator(name):
    build, boundary, step, _ = CASES[name]
    # centred first derivatives are one-sided at order 2
    return around(build(), boundary, step, order=4 if build is tilted else 2)


@pytest.mark.parametrize("name", CASES)
def test_modeling(name):
    check_exact(operator(name))


@pytest.mark.parametrize(("name", "wrt"), [(name, wrt) for name, case in CASES.items() for wrt in case[3]])
def test_jacobian(name, wrt):
    F = operator(name)
    check_exact(so.Jacobian(F, F.domain.random(0), wrt=wrt))


@pytest.mark.parametrize(("name", "wrt"), [("elastic", "lam"), ("tilted", "theta"), ("heat", "kappa")])
def test_taylor_expansion(name, wrt):
    F = operator(name)
    medium = CASES[name][0]()
    x = medium.get(wrt)
    dx = np.random.default_rng(4).uniform(-1.0, 1.0, x.shape) * np.abs(x).max()
    q = F.domain.random(5)
    result = taylor_test(so.Parametric(F, wrt=wrt), (x, q), (dx, 0 * q), steps=(1e-2, 5e-3, 2.5e-3, 1.25e-3))
    assert all(1.9 < rate < 2.1 for rate in result.rates), result


def test_tilted_waves_without_anisotropy_are_acoustic():
    """The rotated derivatives cancel: what remains is the Laplacian, whatever the tilt."""
    m = np.random.default_rng(2).uniform(1500.0, 1700.0, GRID.shape) ** -2.0
    boundary = so.Sponge(cells=5)
    isotropic = around(tilted(m=m, epsilon=0.0, delta=0.0, theta=0.7), boundary, 0.002, order=4)
    acoustic = around(so.Acoustic(GRID, m=m), boundary, 0.002, order=4)
    q = np.tile(so.ricker(so.Time(25, 0.002), f0=30.0, delay=0.02), (2, 1, 1))
    a, b = acoustic @ q, isotropic @ q
    # nested derivatives stop at the end of the layer, where the Laplacian goes on
    assert np.linalg.norm(a - b) < 1e-3 * np.linalg.norm(a)
    anisotropic = around(tilted(m=m), boundary, 0.002, order=4) @ q
    assert np.linalg.norm(a - anisotropic) > 1e-2 * np.linalg.norm(a)


def test_heat_spreads_as_a_gaussian():
    """The fundamental solution, of the heat that a source brings in one sample."""
    kappa, grid, time = 1.5, so.Grid((61, 59), 5.0), so.Time(401, 2.0)
    waves = so.Wavefield(grid, time, dtype="float64")
    source = np.array([150.0, 145.0])
    receivers = source + [[0.0, 0.0], [30.0, 20.0], [-40.0, 40.0], [0.0, -75.0]]
    A = so.Modeling(waves, Heat(grid, kappa=kappa), boundary=None, space_order=2)
    F = so.Projection(waves, receivers) * A * so.Projection(waves, [source]).H
    q = F.domain.zeros()
    q[..., 0] = 1.0 / time.step
    late, spread = slice(200, None), 4 * kappa * time.samples[200:]
    r = np.linalg.norm(receivers - source, axis=1)[:, None]
    exact = np.exp(-(r**2) / spread) / (np.pi * spread)
    found = (F @ q)[0, :, late]
    assert (np.abs(found - exact) < 0.01 * exact.max()).all(), np.abs(found / exact - 1).max(axis=1)


class AwkwardNames(so.WaveEquation):
    """Acoustic waves, named like what the generated code calls its own."""

    parameters = ("h_x", "dt")
    fields = ("time", "x")
    source = {"time": 1.0}
    leapfrog = True

    def residual(self, fields, parameters):
        return (parameters.h_x * fields.time.dt2 - fields.time.laplace, fields.x.dt2 - parameters.dt * fields.time)

    @property
    def velocity(self):
        return self.coefficients()["h_x"] ** -0.5


def test_names_are_free():
    m = np.random.default_rng(2).uniform(1500.0, 1700.0, GRID.shape) ** -2.0
    awkward, plain = (
        around(medium, None, 0.002, order=4) for medium in (AwkwardNames(GRID, h_x=m, dt=1.0), so.Acoustic(GRID, m=m))
    )
    q = plain.domain.random(0)
    assert np.linalg.norm(awkward @ q - plain @ q) < 1e-12 * np.linalg.norm(plain @ q)


def test_a_model_too_diffusive_for_the_frozen_step():
    F = around(heat(), None, 4.0)
    with pytest.raises(UnstableError, match=r"time step of .* s, but 4 s was frozen"):
        F.at(kappa=50.0)


def test_implicit_schemes_are_refused():
    with pytest.raises(ParameterError, match="implicit"):
        F = around(Implicit(GRID, kappa=1.0), None, 1.0)
        F @ F.domain.random(0)


def test_nonlinear_residuals_are_refused():
    with pytest.raises((ParameterError, UnstableError), match="linear"):
        F = around(Nonlinear(GRID, m=2000.0**-2), None, 0.001)
        F @ F.domain.random(0)


def test_no_free_surface_without_symmetries():
    waves = so.Wavefield(GRID, so.Time(25, 0.0015), dtype="float64")
    A = so.Modeling(waves, elastic(), boundary=None, free_surface=True)
    with pytest.raises(ParameterError, match="free surface"):
        A @ waves.zeros()


def test_rows_and_fields_are_counted():
    class OneRow(Heat):
        fields = ("T", "S")

        def residual(self, fields, parameters):
            return (fields.T.dt2 - fields.S,)

    with pytest.raises(ParameterError, match="1 rows for 2 fields"):
        around(OneRow(GRID, kappa=1.0), None, 1.0)


def test_missing_and_unknown_parameters():
    with pytest.raises(ParameterError, match=r"missing .*'b'.*unknown .*'rho'"):
        ElasticWaves(GRID, lam=1.0, mu=1.0, rho=1000.0)


class Remembering(so.WaveEquation):
    """Its residual looks at a time that is not kept."""

    parameters = ("m", "c")

    def residual(self, fields, parameters):
        u, dt = fields.u, fields.u.grid.stepping_dim.spacing
        return (parameters.m * u.dt2 - u.laplace + parameters.c * (u - u.backward.backward) / dt**2,)


def test_times_that_are_not_kept_are_refused():
    grid = so.Grid((15, 13), 10.0)
    waves = so.Wavefield(grid, so.Time(60, 0.001))
    with pytest.raises(so.ParameterError, match="reads u 3 steps before the one that it determines: 2 are kept"):
        A = so.Modeling(waves, Remembering(grid, m=2.5e-7, c=2.5e-9), substeps=1)
        (so.Projection(waves, [[50.0, 50.0]]) * A * so.Projection(waves, [[70.0, 60.0]]).H) @ np.ones(60)


class Stiff(so.WaveEquation):
    """A membrane that resists bending, by four first derivatives within each other."""

    parameters = ("m", "k")
    fields = ("u",)
    leapfrog = True
    surface = {"u": -1}

    def residual(self, fields, parameters):
        (u,), (m, k) = fields, parameters
        axes, order = u.space_dimensions, u.space_order

        def slope(f, d):
            return Derivative(f, d, fd_order=order)

        bent = sum(slope(slope(k * slope(slope(u, d), d), d), d) for d in axes)
        return (m * u.dt2 - u.laplace + bent,)


@pytest.mark.parametrize("boundary", [None, so.PML(cells=6), {"z_min": "free"}], ids=["none", "pml", "free"])
def test_derivatives_within_each_other_look_as_far_as_they_do(boundary):
    """Twice as far as the order."""
    grid, rng = so.Grid((24, 20), 10.0), np.random.default_rng(0)
    waves = so.Wavefield(grid, so.Time(61, 0.001), dtype="float64")
    medium = Stiff(grid, m=rng.uniform(2e-7, 3e-7, grid.shape), k=rng.uniform(1.0, 3.0, grid.shape))
    points = so.Projection(waves, rng.uniform((0.0, 5.0), (230.0, 185.0), (4, 2)))
    F = points * so.Modeling(waves, medium, boundary, space_order=4) * points.H
    q = F.domain.random(0)
    assert dot_test(F) < 1e-12 and dot_test(so.Jacobian(F, q, wrt="k")) < 1e-12
    dk = 0.1 * rng.standard_normal(grid.shape)
    assert abs(taylor_test(so.Parametric(F, wrt="k"), (medium.k, q), (dk, 0 * q)).rate - 2) < 0.05


class Neighbours(so.WaveEquation):
    """A coefficient, and a field beside it, in other cells than their own."""

    parameters = ("m", "b")
    leapfrog = True

    def residual(self, fields, parameters):
        u, (m, b) = fields.u, parameters
        x, h = u.dimensions[-2], u.dimensions[-2].spacing
        beside = (b * u).subs(x, x + h) + b * u.subs(x, x - h) - 2 * b * u
        return (m * u.dt2 - u.laplace - 2e-4 * beside,)

    def speeds(self):
        v = self.get("m") ** -0.5
        return v, v


class HighOrder(Neighbours):
    """Derivatives of orders of their own."""

    def residual(self, fields, parameters):
        from devito import Derivative

        u, (m, b) = fields.u, parameters
        x, z = u.dimensions[-2:]
        return (m * u.dt2 - Derivative(u, (x, 2), fd_order=2) - b * Derivative(u, (z, 2), fd_order=8),)


@pytest.mark.parametrize(("kind", "order"), [(Neighbours, 4), (HighOrder, 8)])
@pytest.mark.parametrize("boundary", [None, so.PML(cells=4)])
def test_coefficients_beside_their_cells_and_orders_of_ones_own(kind, order, boundary):
    grid, rng = so.Grid((20, 17), 10.0), np.random.default_rng(0)
    waves = so.Wavefield(grid, so.Time(40, 0.0015), dtype="float64")
    m, b = rng.uniform(2500.0, 3000.0, grid.shape) ** -2.0, rng.uniform(0.8, 1.2, grid.shape)
    A = so.Modeling(waves, kind(grid, m=m, b=b), boundary=boundary, space_order=order)
    points = rng.uniform(0.0, 160.0, (4, 2))
    F = so.Projection(waves, points) * A * so.Projection(waves, points[:2]).H
    q = np.cumsum(F.domain.random(1), axis=-1)
    assert so.check.dot_test(F) < 1e-12 and so.check.dot_test(so.Jacobian(F, q, wrt=("m", "b"))) < 1e-12
    G = so.Parametric(F, wrt=("m", "b"))
    directions = [0.2 * a * rng.uniform(-1, 1, grid.shape) for a in (m, b)]
    assert all(1.9 < rate < 2.1 for rate in so.check.taylor_test(G, (m, b, q), (*directions, 0 * q)).rates)


def test_an_order_that_the_grid_does_not_have_is_refused():
    grid = so.Grid((20, 17), 10.0)
    waves = so.Wavefield(grid, so.Time(40, 0.0015))
    with pytest.raises(ParameterError, match="higher order than space_order=4"):
        so.Modeling(waves, HighOrder(grid, m=2000.0**-2, b=1.0), space_order=4)
