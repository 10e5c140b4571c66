"""The time step is stable in the medium as it is, whatever stands beside what, and does not waste what is possible."""

import numpy as np
import pytest
from scipy.sparse import diags, identity, kron
from scipy.sparse.linalg import eigsh
from sympy import Rational, finite_diff_weights

import seisops as so
from seisops.errors import UnstableError
from seisops.wave.discretise.discretisation import LIMIT
from seisops.wave.discretise.stability import limit

GRID = so.Grid((41, 31), 10.0)
TEMPLATE = (2, 8, "float64")
Z = GRID.coordinates("z") * np.ones(GRID.shape)
RANDOM = np.random.default_rng(0).random((2, *GRID.shape))


AIR = {"rho": (1.0, 25000.0)}


def layers(above, below):
    return np.where(Z < 150.0, above, below)


MEDIA = {
    "heavy over fast": dict(vp=layers(1500.0, 4500.0), rho=layers(9100.0, 1000.0)),
    "water under air": dict(vp=layers(340.0, 1500.0), rho=layers(1.2, 1000.0)),
    "one dense cell": dict(
        vp=2000.0, rho=np.where((Z == 150.0) & (GRID.coordinates("x")[:, None] == 200.0), 8000.0, 1000.0)
    ),
    "random density": dict(vp=2000.0, rho=1000.0 * 8 ** RANDOM[0]),
    "random": dict(vp=1500.0 * 4 ** RANDOM[1], rho=1000.0 * 8 ** RANDOM[0]),
}


def largest_step(vp, rho, order=8):
    """Of the assembled matrix ``(b m)^-1 div b grad``, by its largest eigenvalue."""
    weights = finite_diff_weights(1, [Rational(2 * k + 1, 2) for k in range(-order // 2, order // 2)], 0)[1][-1]
    vp, b = np.broadcast_to(vp, GRID.shape), 1 / np.broadcast_to(rho, GRID.shape)

    def gradient(n):
        return diags([float(w) for w in weights], list(range(-order // 2 + 1, order // 2 + 1)), shape=(n, n)) / 10.0

    total = 0
    for axis, n in enumerate(GRID.shape):
        between = np.zeros(GRID.shape)
        along = np.moveaxis(between, axis, 0)
        along[:-1] = np.moveaxis((b + np.roll(b, -1, axis)) / 2, axis, 0)[:-1]
        factors = [identity(k) for k in GRID.shape]
        factors[axis] = gradient(n)
        G = kron(*factors)
        total = total + G.T @ diags(between.ravel()) @ G
    scale = diags((b / vp**2).ravel() ** -0.5)
    return 2 / eigsh(scale @ total @ scale, k=1, which="LA", tol=1e-6, return_eigenvectors=False)[0] ** 0.5


@pytest.mark.parametrize("name", MEDIA)
def test_the_bound_is_safe_and_close(name):
    medium = so.Acoustic(GRID, ranges=AIR, **MEDIA[name])
    exact = largest_step(**MEDIA[name])
    assert 0.93 * exact < limit(medium, TEMPLATE).step <= exact * (1 + 1e-6)


def test_constant_density_needs_no_other_step():
    plain, constant = (limit(so.Acoustic(GRID, vp=2000.0, rho=rho), TEMPLATE).step for rho in (None, 1000.0))
    assert constant == pytest.approx(plain, rel=0.01)
    rough = limit(so.Acoustic(GRID, vp=MEDIA["random"]["vp"]), TEMPLATE)
    assert rough.step == pytest.approx(plain * 2000.0 / rough.velocity, rel=1e-6)


WAVES = so.Wavefield(GRID, so.Time(401, 0.004))
POINTS = so.Projection(WAVES, [(150.0, 100.0), (250.0, 250.0)])


def modeling(medium, **options):
    return POINTS * so.Modeling(WAVES, medium, **options) * POINTS.H


@pytest.mark.parametrize("name", ["heavy over fast", "water under air", "one dense cell"])
def test_contrasts_march(name):
    q = np.tile(so.ricker(WAVES.time, f0=8.0), (1, 2, 1))
    d = modeling(so.Acoustic(GRID, ranges=AIR, **MEDIA[name]), boundary=None) @ q
    early, late = (np.abs(part).max(axis=-1) for part in np.split(d[..., 1:], 2, axis=-1))
    assert np.isfinite(d).all() and (late < 5 * early).all()


def test_a_contrast_that_needs_smaller_steps_is_refused():
    F = modeling(so.Acoustic(GRID, vp=2000.0, rho=layers(1000.0, 2000.0)))
    with pytest.raises(UnstableError, match="3000 m/s, but the time step"):
        F.at(vp=3000.0, rho=1000.0)
    with pytest.raises(UnstableError, match="stable up to a time step of .* \\(contrasts between"):
        F.at(rho=layers(1000.0, 20000.0))


def test_contrasts_that_the_step_has_room_for_are_accepted():
    F = modeling(so.Acoustic(GRID, vp=2000.0, rho=1000.0))
    assert F.at(rho=layers(1000.0, 2000.0)).range == F.range
    modeling(so.Acoustic(GRID, vp=2000.0, rho=layers(1000.0, 2000.0)), max_velocity=2100.0)


def test_physical_speeds_are_not_those_of_the_scheme():
    medium = so.Acoustic(GRID, vp=2000.0, rho=layers(1000.0, 8000.0))
    A = so.Modeling(WAVES, medium)
    assert medium.velocity.max() == pytest.approx(2000.0) and A.discretisation.velocity == pytest.approx(2000.0)
    assert A.discretisation.stable_step < limit(so.Acoustic(GRID, vp=2000.0, rho=1000.0), TEMPLATE).step


class VerticalAxis(so.WaveEquation):
    """Two coupled fields (Duveneck & Bakker 2011), unstable where delta exceeds epsilon."""

    parameters = ("m", "epsilon", "delta")
    fields = ("p", "r")
    leapfrog = True

    def residual(self, fields, parameters):
        (p, r), (m, epsilon, delta) = fields, parameters
        root = (1 + 2 * delta) ** 0.5
        return (m * p.dt2 - (1 + 2 * epsilon) * p.dx2 - root * r.dz2, m * r.dt2 - root * p.dx2 - r.dz2)

    @property
    def velocity(self):
        c = self.coefficients()
        return ((1 + 2 * c["epsilon"]) / c["m"]) ** 0.5


def test_only_parameters_that_occur_together_count():
    F = modeling(VerticalAxis(GRID, m=2000.0**-2, epsilon=layers(0.0, 0.2), delta=layers(0.0, 0.1)))
    with pytest.raises(UnstableError):
        F.at(epsilon=layers(0.0, 0.2), delta=layers(0.1, 0.1))
    with pytest.raises(UnstableError, match="m = 2.5e-07, epsilon = 0, delta = 0.1|delta = 0.1, epsilon = 0"):
        so.Modeling(WAVES, VerticalAxis(GRID, m=2000.0**-2, epsilon=layers(0.0, 0.2), delta=layers(0.1, 0.1)))


def test_the_limit_of_a_frozen_step():
    A = so.Modeling(WAVES, so.Acoustic(GRID, vp=2000.0, rho=1000.0))
    step, dt = A.discretisation.stable_step, A.discretisation.dt
    F = POINTS * A * POINTS.H
    F.at(vp=2000.0 * 0.999 * LIMIT * step / dt)
    with pytest.raises(UnstableError):
        F.at(vp=2000.0 * 1.01 * LIMIT * step / dt)


def test_thick_layers_at_the_edge_of_what_is_accepted():
    """What damps strongly lowers the limit a little, in rough media."""
    rng, grid = np.random.default_rng(6), so.Grid((23, 19), 1.0)
    vp, rho = 1500.0 * 4 ** rng.random(grid.shape), 1000.0 * 8 ** rng.random(grid.shape)
    waves = so.Wavefield(grid, so.Time(301, 0.001), dtype="float64")
    A = so.Modeling(waves, so.Acoustic(grid, vp=vp, rho=rho), so.PML(20, 1e-8), True)
    fastest = vp * 0.999 * LIMIT * A.discretisation.stable_step / A.discretisation.dt
    F = so.Projection(waves, [(8.8, 7.2), (22.0, 18.0)]) * A.at(vp=fastest) * so.Projection(waves, [(11.0, 9.0)]).H
    d = np.abs(F @ so.ricker(waves.time, 120.0)[None, None])
    assert 0 < d[..., 200:].max() < d[..., :100].max()
