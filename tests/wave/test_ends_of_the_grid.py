"""Derivatives are exact up to the last cell, whatever parameters are beyond it; and small grids are grids."""

import numpy as np
import pytest
from devito import Derivative
from own_media import VelocityPressure
from physics import half

import seisops as so
from seisops.check import dot_test
from seisops.errors import ParameterError

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")

GRID = so.Grid((11, 9), (10.0, 11.0))


class Across(so.WaveEquation):
    """A parameter that is averaged along the axis across a flux, too: it is looked at beyond the last cell."""

    parameters = ("m", "mu")
    surface = {"u": 1}

    def residual(self, fields, parameters):
        u, (m, mu) = fields.u, parameters
        x, z = u.space_dimensions
        flux = half(half(mu, x, z) * half(u, x, order=2), x, order=2, after=False)
        return (m * u.dt2 - flux - u.dz2,)


class Corners(so.WaveEquation):
    """A flux that is averaged to the corners of cells, and back."""

    parameters = ("m", "mu")
    surface = {"u": 1}

    def residual(self, fields, parameters):
        u, (m, mu) = fields.u, parameters
        x, z = u.space_dimensions
        flux = half(mu, x, z) * half(half(u, x, order=2), z)
        return (m * u.dt2 - u.laplace - 0.3 * half(half(flux, z, after=False), x, order=2, after=False),)


class Averaged(so.WaveEquation):
    """A parameter that is averaged under no derivative."""

    parameters = ("m", "mu")
    surface = {"u": 1}

    def residual(self, fields, parameters):
        u, (m, mu) = fields.u, parameters
        return (m * u.dt2 - half(mu, u.space_dimensions[0]) * u.laplace,)


class Curved(so.WaveEquation):
    """Derivatives of a parameter."""

    parameters = ("m", "mu")
    surface = {"u": 1}

    def residual(self, fields, parameters):
        u, (m, mu) = fields.u, parameters
        return (m * u.dt2 - u.laplace + 1e-2 * mu.laplace * u,)


def through(medium, boundary, surface=False, order=4, storage="auto"):
    waves = so.Wavefield(medium.grid, so.Time(60, 0.0015), dtype="float64")
    A = so.Modeling(waves, medium, boundary=boundary, free_surface=surface, space_order=order)
    far = np.array(medium.grid.extent)[:, 1]
    return (
        so.Projection(waves, [0.2 * far, 0.9 * far], interpolation="linear")
        * A
        * so.Projection(waves, [0.7 * far], interpolation="linear").H
    )


class Widely(so.WaveEquation):
    """A parameter that is averaged over four cells: at the last half cell within the grid, over one beyond it."""

    parameters = ("m", "mu")
    surface = {"u": 1}

    def residual(self, fields, parameters):
        u, (m, mu) = fields.u, parameters
        x, _ = u.space_dimensions
        wide = Derivative(mu, x, deriv_order=0, fd_order=4, x0={x: x + x.spacing / 2})
        return (m * u.dt2 - half(wide * half(u, x, order=4), x, order=4, after=False) - u.dz2,)


BOUNDARIES = {"none": None, "sponge": so.Sponge(cells=3), "pml": so.PML(cells=2)}
#: Every equation with and without a surface in a PML; without one, where less can go wrong, every two of equation, surface
#: and boundary. `Across` is not an equation for a free surface, see below.
CASES = [
    *((kind, surface, "pml") for kind in (Across, Corners, Averaged, Curved, Widely) for surface in (False, True)),
    *((kind, True, "sponge") for kind in (Corners, Averaged)),
    *((kind, False, "none") for kind in (Corners, Averaged)),
    *((kind, False, "sponge") for kind in (Across, Curved, Widely)),
    *((kind, True, "none") for kind in (Curved, Widely)),
    (Across, False, "none"),
]
CASES.remove((Across, True, "pml"))


@pytest.mark.parametrize(("kind", "surface", "boundary"), CASES)
def test_gradients_are_exact_in_every_cell(kind, surface, boundary):
    """Against central differences, cell by cell, in the corners and along the edges; then the transpose."""
    rng = np.random.default_rng(1)
    mu = rng.uniform(0.5, 0.8, GRID.shape)
    order = 8 if kind is Widely else 4  # halos are as wide as the order says
    medium = kind(GRID, m=rng.uniform(1600.0, 2000.0, GRID.shape) ** -2.0, mu=mu)
    F = through(medium, BOUNDARIES[boundary], surface, order)
    q = F.domain.random(0)
    G = so.Parametric(F, wrt="mu")
    y = rng.standard_normal(G.range.shape)
    gradient = G.linearize(mu, q).pullback(y)[0]
    step = 1e-4
    for cell in [(0, 0), (10, 0), (0, 8), (10, 8), (0, 4), (10, 4), (5, 0), (5, 8), (1, 7), (5, 4)]:
        bump = np.zeros(GRID.shape)
        bump[cell] = step
        slope = np.vdot(y, G(mu + bump, q) - G(mu - bump, q)) / (2 * step)
        assert gradient[cell] == pytest.approx(slope, abs=1e-6 * np.abs(gradient).max()), cell
    assert dot_test(so.Jacobian(F, q, wrt="mu")) < 1e-12


@pytest.mark.parametrize("kind", [Across, Corners, Averaged, Curved])
def test_second_derivatives_are_exact_up_to_the_ends(kind):
    rng = np.random.default_rng(1)
    mu, d, step = rng.uniform(0.5, 0.8, GRID.shape), rng.standard_normal(GRID.shape), 1e-4
    F = through(kind(GRID, m=rng.uniform(1600.0, 2000.0, GRID.shape) ** -2.0, mu=mu), so.PML(cells=2))
    q, y, G = F.domain.random(0), F.range.random(1), so.Parametric(F, wrt="mu")
    up, down = (G.linearize(mu + s * step * d, q).pullback(y)[0] for s in (1, -1))
    curvature = G.second((mu, q), (d, 0 * q), y)[0]
    assert np.allclose(curvature, (up - down) / (2 * step), rtol=0, atol=1e-5 * np.abs(curvature).max())


class Bare(so.WaveEquation):
    """A parameter of the nodes where it multiplies what lies between them."""

    parameters = ("m", "mu")
    surface = {"u": 1}

    def residual(self, fields, parameters):
        u, (m, mu) = fields.u, parameters
        z = u.space_dimensions[1]
        return (m * u.dt2 - u.dx2 - half(mu * half(u, z, order=2), z, order=2, after=False),)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Across, r"takes mu \+0.5 cells from the nodes along z.* what lies at the nodes"),
        (Bare, r"takes mu at the nodes along z.* what lies \+0.5 cells"),
    ],
)
def test_equations_that_differ_in_the_mirror_are_refused(kind, words):
    medium = kind(GRID, m=2000.0**-2, mu=0.7)
    assert dot_test(through(medium, None)) < 1e-12
    F = through(medium, None, surface=True)
    with pytest.raises(ParameterError, match=words):
        F @ F.domain.zeros()


class Sloping(so.WaveEquation):
    """A derivative of a parameter within a derivative."""

    parameters = ("m", "mu")

    def residual(self, fields, parameters):
        u, (m, mu) = fields.u, parameters
        return (m * u.dt2 - u.laplace - 0.5 * (mu.dx * u.dx).dx,)


def test_images_that_halos_are_too_narrow_for_are_refused():
    F = through(Sloping(GRID, m=2000.0**-2, mu=1.0), None)
    with pytest.raises(ParameterError, match="2 cells beyond the grid along x, and look 4 cells further, .* 4: use"):
        so.Jacobian(F, F.domain.random(0), wrt="mu").H @ F.range.random(1)


@pytest.mark.parametrize("surface", [False, True], ids=["", "surface"])
@pytest.mark.parametrize(("shape", "cells"), [((2, 14), 2), ((14, 2), 2), ((4, 5), 2), ((2, 3), 2), ((6, 2), 1)])
@pytest.mark.parametrize("rho", [False, True], ids=["", "rho"])
def test_models_narrower_than_a_stencil(rho, shape, cells, surface):
    """What lies in the layer at one end of the grid reaches that at the other end, and its own image above a surface."""
    grid, rng = so.Grid(shape, 10.0), np.random.default_rng(0)
    medium = so.Acoustic(
        grid, vp=rng.uniform(1500.0, 2200.0, shape), rho=rng.uniform(1000.0, 2500.0, shape) if rho else None
    )
    F = through(medium, so.PML(cells=cells), surface, order=8)
    assert dot_test(F) < 1e-12
    wrt = "rho" if rho else "m"
    q, x = F.domain.random(0), medium.get(wrt)
    G, J = so.Parametric(F, wrt=wrt), so.Jacobian(F, q, wrt=wrt)
    assert dot_test(J) < 1e-12
    d = rng.uniform(-1.0, 1.0, shape) * x.max() * 1e-5
    slope = (G(x + d, q) - G(x - d, q)) / 2
    assert np.linalg.norm(J @ d - slope) < 1e-7 * np.linalg.norm(slope)


def test_no_storage_along_the_edges_of_a_narrow_model():
    F = through(so.Acoustic(so.Grid((3, 20), 10.0), vp=2000.0), so.PML(), order=8)
    q, y = F.domain.random(0), F.range.random(1)
    with pytest.raises(ParameterError, match="narrower than stencils reach: use a larger grid, or another"):
        so.Jacobian(F, q, storage=so.storage.Boundary()).H @ y
    assert np.array_equal(so.Jacobian(F, q).H @ y, so.Jacobian(F, q, storage=so.storage.Full()).H @ y)


@pytest.mark.parametrize("cells", [1, 2, 3, 5])
def test_thin_sponges_are_stable(cells):
    """A sponge damps more the thinner it is; the step follows."""
    grid, rng = so.Grid((24, 20), 10.0), np.random.default_rng(0)
    waves = so.Wavefield(grid, so.Time(2001, 0.0015))
    A = so.Modeling(
        waves, so.Acoustic(grid, vp=rng.uniform(1500.0, 3500.0, grid.shape)), boundary=so.Sponge(cells=cells)
    )
    F = so.Projection(waves, [[100.0, 70.0]]) * A * so.Projection(waves, [[120.0, 100.0]]).H
    q = F.domain.zeros()
    q[0, 0, :200] = so.ricker(so.Time(200, 0.0015), f0=25.0)
    d = np.abs(F @ q)[0, 0]
    assert d[-200:].max() < 2 * d[200:400].max()


class Shorthand(VelocityPressure):
    """The same equation with derivatives in time instead of differences."""

    def residual(self, fields, parameters):
        vx, vz, p = fields
        kappa, b = parameters
        x, z = p.space_dimensions
        order = p.space_order
        divergence = sum(half(v.forward, d, order=order, after=False) for v, d in ((vx, x), (vz, z)))
        return (
            vx.dt + half(b, x) * half(p, x, order=order),
            vz.dt + half(b, z) * half(p, z, order=order),
            p.dt / kappa + divergence,
        )


def test_sponges_damp_differences_however_they_are_written():
    """As derivatives in time or by hand; by how much an equation of second order says."""
    grid = so.Grid((20, 16), 10.0)
    waves = so.Wavefield(grid, so.Time(1301, 0.002), dtype="float64")
    left = []
    for medium in (
        VelocityPressure(grid, kappa=4e9, b=1e-3),
        Shorthand(grid, kappa=4e9, b=1e-3),
        so.Acoustic(grid, vp=2000.0, rho=1000.0),
    ):
        A = so.Modeling(waves, medium, boundary=so.Sponge(cells=30))
        F = so.Projection(waves, [[100.0, 70.0]]) * A * so.Projection(waves, [[120.0, 100.0]]).H
        q = F.domain.zeros()
        q[0, 0] = so.ricker(waves.time, f0=15.0)
        d = np.abs(F @ q)[0, 0]
        left.append(d[-300:].max() / d.max())
    assert left[0] == pytest.approx(left[1], rel=1e-6)
    assert max(left) < 1e-3
