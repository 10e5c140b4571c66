"""Derivatives are exact up to the last cell, whatever parameters are beyond it; and small grids are grids."""

import numpy as np
import pytest
from physics import half

import seisops as so
from seisops.check import dot_test
from seisops.errors import ParameterError, UnstableError

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


CASES = [(kind, surface) for kind in (Across, Corners, Averaged, Curved) for surface in (False, True)]
CASES.remove((Across, True))  # not an equation for a free surface, see below


@pytest.mark.parametrize("boundary", [None, so.Sponge(cells=3), so.PML(cells=2)], ids=["none", "sponge", "pml"])
@pytest.mark.parametrize(("kind", "surface"), CASES)
def test_gradients_are_exact_in_every_cell(kind, surface, boundary):
    """Against central differences, cell by cell, in the corners and along the edges; then the transpose."""
    rng = np.random.default_rng(1)
    mu = rng.uniform(0.5, 0.8, GRID.shape)
    F = through(kind(GRID, m=rng.uniform(1600.0, 2000.0, GRID.shape) ** -2.0, mu=mu), boundary, surface)
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


def test_images_that_halos_are_too_narrow_for_are_refused():
    class Deep(so.WaveEquation):
        parameters = ("m", "mu")

        def residual(self, fields, parameters):
            u, (m, mu) = fields.u, parameters
            return (m * u.dt2 - u.laplace + 1e-2 * mu.dx2.dx2 * u,)

    F = through(Deep(GRID, m=2000.0**-2, mu=1.0), None)
    with pytest.raises(ParameterError, match="4 cells beyond the grid along x.*halos of 4 cells"):
        so.Jacobian(F, F.domain.random(0), wrt="mu").H @ F.range.random(1)


@pytest.mark.parametrize("surface", [False, True], ids=["", "surface"])
@pytest.mark.parametrize("shape", [(2, 14), (14, 2), (4, 5), (2, 3)])
@pytest.mark.parametrize("rho", [False, True], ids=["", "rho"])
def test_models_narrower_than_a_stencil(rho, shape, surface):
    """What lies in the layer at one end of the grid reaches that at the other end, and its own image above a surface."""
    grid, rng = so.Grid(shape, 10.0), np.random.default_rng(0)
    medium = so.Acoustic(
        grid, vp=rng.uniform(1500.0, 2200.0, shape), rho=rng.uniform(1000.0, 2500.0, shape) if rho else None
    )
    F = through(medium, so.PML(cells=2), surface, order=8)
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


def test_substeps_too_few_for_a_sponge():
    grid = so.Grid((24, 20), 10.0)
    waves, medium = so.Wavefield(grid, so.Time(101, 0.0015)), so.Acoustic(grid, vp=2000.0)
    with pytest.raises(UnstableError, match="substeps=1.*use at least [2-9] substeps"):
        so.Modeling(waves, medium, boundary=so.Sponge(cells=1), substeps=1)
    assert so.Modeling(waves, medium, boundary=so.Sponge(), substeps=1).discretisation.ratio == 1
