"""Elastic waves in layered rock: isotropic where it is, pseudo-acoustic without shear, and as fast as Thomsen says."""

import numpy as np
import pytest
from cases import check_exact
from rock import GRIDS
from truth import difference

import seisops as so
from seisops.check import taylor_test

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")


def rough(grid, **more):
    rng = np.random.default_rng(11)
    vp, vs, rho = (rng.uniform(*ends, grid.shape) for ends in ((1700.0, 2000.0), (800.0, 1000.0), (1000.0, 1200.0)))
    vs[..., :3] = 0.0
    named = more or {"epsilon": (0.1, 0.2), "delta": (0.02, 0.08), **({"gamma": (0.0, 0.1)} if grid.ndim == 3 else {})}
    thomsen = {name: rng.uniform(*ends, grid.shape) for name, ends in named.items()}
    thomsen = {name: np.where(vs > 0, a, 0.0) for name, a in thomsen.items()}
    return so.ElasticVTI(grid, vp, vs, rho, **thomsen)


def heard(medium, component, driven, **options):
    waves = so.Wavefield(medium.grid, so.Time(31, 0.002), dtype="float64")
    low, high = np.array(medium.grid.extent, float).T
    points = np.random.default_rng(1).uniform(low, high, (5, len(low)))
    A = so.Modeling(waves, medium, so.PML(cells=5), space_order=4, **options)
    Pr = so.Projection(waves, points[:3], component=component)
    return Pr * A * so.Projection(waves, points[3:], component=driven).H


def test_without_anisotropy_it_is_elastic():
    medium = rough(GRIDS[2], epsilon=(0.0, 0.0))
    same = so.Elastic(medium.grid, medium.vp, medium.vs, medium.rho)
    F, G = (heard(m, "vx", "vz") for m in (medium, same))
    q = F.domain.random(0)
    assert np.linalg.norm(F @ q - G @ q) < 1e-12 * np.linalg.norm(G @ q)


def test_exact():
    F = heard(rough(GRIDS[2]), "sxx", "vz")
    check_exact(F, 1e-11)
    names = ("vp", "vs", "rho", "epsilon", "delta")
    q, medium, rng = F.domain.random(0), rough(GRIDS[2]), np.random.default_rng(2)
    check_exact(so.Jacobian(F, q, wrt=names), 1e-11)
    x = [medium.get(name) for name in names]
    # not by rigidity where there is none: its harmonic mean bends sharply there
    dx = [rng.uniform(-1.0, 1.0, a.shape) * np.abs(a).max() * (medium.vs > 0) for a in x]
    result = taylor_test(so.Parametric(F, names), (*x, q), (*dx, 0 * q), steps=(1e-2, 5e-3, 2.5e-3))
    assert all(1.9 < rate < 2.1 for rate in result.rates), result


@pytest.mark.slow
def test_three_dimensions_and_a_free_surface():
    F = heard(rough(so.Grid((13, 12, 15), 10.0)), "vy", "vz", free_surface=True)
    check_exact(F, 1e-11)
    check_exact(so.Jacobian(F, F.domain.random(0), wrt="gamma"), 1e-11)


def test_without_shear_it_is_pseudo_acoustic():
    """The same equations as of `TTI`: r is minus szz, and with delta = 0 a source drives both normal stresses alike."""
    vp, rho, f0, h = 2500.0, 2000.0, 12.0, 10.0
    grid, time = so.Grid((121, 101), h), so.Time(201, 0.002)
    waves = so.Wavefield(grid, time)
    P = so.Projection(waves, [(400.0, 500.0)])
    points = [(753.0, 611.0), (600.0, 800.0), (811.0, 500.0)]
    late = time.samples - 1.3 / f0
    integral = late * np.exp(-((np.pi * f0 * late) ** 2))  # of the Ricker wavelet
    vti = so.Modeling(waves, so.TTI(grid, vp, epsilon=0.2))
    expected = (so.Projection(waves, points) * vti * P.H @ so.ricker(time, f0, delay=1.3 / f0)[None, None])[0]
    elastic = so.Modeling(waves, so.ElasticVTI(grid, vp, 0.0, rho, epsilon=0.2))
    Ps, Pr = so.Projection(waves, P.points, component="p"), so.Projection(waves, points, component="szz")
    found = -2 * vp**2 * (Pr * elastic * Ps.H @ integral[None, None])[0]
    assert max(difference(a, b) for a, b in zip(found, expected, strict=True)) < 0.02


def test_velocities_along_the_axes():
    """Of qP, and of S from a force across the way, some wavelengths away."""
    vp, vs, epsilon = 2500.0, 1300.0, 0.2
    grid, time, f0 = so.Grid((201, 201), 10.0), so.Time(351, 0.002), 12.0
    waves = so.Wavefield(grid, time)
    A = so.Modeling(waves, so.ElasticVTI(grid, vp, vs, 2200.0, epsilon=epsilon, delta=0.1))
    q = so.ricker(time, f0)[None, None]

    def speed(component, direction, near, far):
        points = [1000.0 + d * np.array(direction) for d in (near, far)]
        P, Ps = (so.Projection(waves, at, component=component) for at in (points, [(1000.0, 1000.0)]))
        spectra = np.fft.rfft((P * A * Ps.H @ q)[0], 8 * time.n)
        likeness = np.fft.irfft(spectra[1] * spectra[0].conj())
        k = likeness.argmax()
        before, most, after = likeness[k - 1 : k + 2]
        return (far - near) / ((k + 0.5 * (before - after) / (before - 2 * most + after)) * time.step)

    assert speed("vz", (0.0, 1.0), 300.0, 700.0) == pytest.approx(vp, rel=6e-3)
    assert speed("vx", (1.0, 0.0), 300.0, 700.0) == pytest.approx(vp * np.sqrt(1 + 2 * epsilon), rel=6e-3)
    for component, direction in (("vz", (1.0, 0.0)), ("vx", (0.0, 1.0))):
        assert speed(component, direction, 200.0, 400.0) == pytest.approx(vs, rel=6e-3)


def test_nothing_grows():
    x, z = np.meshgrid(np.arange(60) * 10.0, np.arange(50) * 10.0, indexing="ij")
    odd = (x // 100 + z // 100) % 2 == 1
    grid = so.Grid((60, 50), 10.0)
    vp, vs, rho, epsilon, delta = (
        np.where(odd, *pair) for pair in ((2000.0, 3500.0), (900.0, 2000.0), (1600.0, 2500.0), (0.2, 0.05), (0.1, 0.0))
    )
    medium = so.ElasticVTI(grid, vp, vs, rho, epsilon=epsilon, delta=delta)
    waves = so.Wavefield(grid, so.Time(6000, 0.004))
    points = np.random.default_rng(0).uniform([0.0, 0.0], [590.0, 490.0], (40, 2))
    F = so.Projection(waves, points, component="vz") * so.Modeling(waves, medium)
    data = np.abs(
        F * so.Projection(waves, [(300.0, 250.0)], component="vz").H @ so.ricker(waves.time, 12.0)[None, None]
    )
    data = data[0].max(axis=0)
    assert data[-600:].max() < 0.02 * data.max()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"vp": 2000.0, "vs": 1900.0, "delta": -0.3}, "no stable solid"),
        ({"vp": 2000.0, "vs": 1000.0, "epsilon": -0.3, "delta": 0.3}, "raise epsilon"),
        ({"vp": 2.0, "vs": 1.0}, "km/s"),
        (
            {"vp": 2000.0, "vs": 1000.0, "gamma": 0.1},
            "gamma, .*, is given in two dimensions, .*nothing depends on it: leave",
        ),
    ],
)
def test_what_cannot_be(values, words):
    with pytest.raises(so.ParameterError, match=words):
        so.ElasticVTI(GRIDS[2], rho=2000.0, **values)
