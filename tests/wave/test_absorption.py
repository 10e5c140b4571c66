"""What the absorbing layer reflects, against a run on a domain so large that nothing comes back."""

from functools import lru_cache

import numpy as np
import pytest

import seisops as so

H, C, SIZE = 10.0, 2000.0, 81


def acoustic(grid):
    return so.Acoustic(grid, vp=C)


def dense(grid):
    return so.Acoustic(grid, vp=C, rho=1000.0)


def elastic(grid):
    return so.Elastic(grid, C, C / 1.7, 2000.0)


def viscous(grid):
    return so.ViscoAcoustic(grid, C, 50.0, f0=10.0, mechanisms=2)


def vti(grid):
    return so.TTI(grid, C, 0.1, 0.05)


def record(boundary, wavelength, near_edge, margin, velocity, make=acoustic):
    """Traces at 49 points of a square model, `margin` cells larger on every side."""
    f0, step = C / (wavelength * H), 0.003
    time = so.Time(int((1.5 * SIZE * H / C + 2.5 / f0) / step) + 1, step)
    waves = so.Wavefield(so.Grid((SIZE + 2 * margin,) * 2, H), time)
    origin = margin * H
    middle = origin + SIZE // 2 * H
    source = [[origin + 2 * H if near_edge else middle, middle]]
    line = origin + H * np.linspace(1, SIZE - 2, 7).round()
    receivers = [(x, z) for x in line for z in line]
    ainv = so.Modeling(waves, make(waves.grid), boundary=boundary, max_velocity=velocity)
    data = so.Projection(waves, receivers) * ainv * so.Projection(waves, source).H
    return (data @ so.ricker(time, f0, delay=1.2 / f0)[None, None])[0]


@lru_cache
def open_space(wavelength, near_edge, velocity, make):
    margin = int(0.75 * SIZE + 1.25 * wavelength) + 20
    return record(so.PML(cells=20), wavelength, near_edge, margin, velocity, make)


def reflection(boundary, wavelength, near_edge, velocity=None, make=acoustic):
    """Largest reflected amplitude relative to the largest incident one at the same point, and the energies' ratio."""
    incident = open_space(wavelength, near_edge, velocity, make)
    reflected = record(boundary, wavelength, near_edge, 0, velocity, make) - incident
    peaks = np.abs(reflected).max(axis=1) / np.abs(incident).max(axis=1)
    return peaks.max(), 10 * np.log10(np.sum(reflected**2) / np.sum(incident**2))


@pytest.mark.parametrize("wavelength", [8, 20, 40])
@pytest.mark.parametrize("near_edge", [False, True], ids=["middle", "edge"])
def test_default_layer(wavelength, near_edge):
    peak, energy = reflection(so.PML(), wavelength, near_edge)
    assert peak < 1e-3
    assert energy < -60


@pytest.mark.parametrize("near_edge", [False, True], ids=["middle", "edge"])
def test_default_layer_of_a_medium_with_density(near_edge):
    peak, energy = reflection(so.PML(), 20, near_edge, make=dense)
    assert peak < 1e-3
    assert energy < -60


#: Medium, whether near the edge, largest peak and energy. Waves that run along the layer decay in it where it is
#: multiaxial; of a source in anisotropic ground come the slow waves of pseudo-acoustics, too.
OTHERS = [
    (elastic, False, 5e-3, -79),
    (elastic, True, 7e-2, -37),
    (viscous, False, 1e-3, -70),
    (viscous, True, 1e-3, -70),
    (vti, False, 1e-3, -70),
    (vti, True, 2e-2, -42),
]


@pytest.mark.parametrize(("make", "near_edge", "peak", "energy"), OTHERS)
def test_default_layer_of_other_media(make, near_edge, peak, energy):
    found = reflection(so.PML(), 20, near_edge, make=make)
    assert found[0] < peak and found[1] < energy, found


def test_what_decay_along_the_layer_costs():
    """Elastic waves of a source near the edge: less where they do not decay, or where the layer is thicker."""
    plain, default, thick = (
        reflection(b, 20, True, make=elastic)[1] for b in (so.PML(multiaxial=0), so.PML(), so.PML(12))
    )
    assert plain < -70 and thick < -41 and plain < thick - 20 < default - 22, (plain, default, thick)


@pytest.mark.parametrize("near_edge", [False, True], ids=["middle", "edge"])
def test_layer_made_for_twice_the_velocity(near_edge):
    peak, _ = reflection(so.PML(), 40, near_edge, 2 * C)
    assert peak < (3e-2 if near_edge else 3e-3)


def test_thin_layers_reflect_more():
    """A negative control for the measurement."""
    assert reflection(so.PML(cells=3), 20, False)[0] > 5e-3
    assert reflection(so.Sponge(cells=10), 20, False)[0] > 5e-2


def test_stable_for_long():
    """Noise in a rough medium, at the largest step that is accepted, does not grow in 20 000 steps.

    It decays slowly, since waves as short as two cells are trapped between cells of different velocity.
    """
    rng = np.random.default_rng(0)
    grid = so.Grid((41, 41), H)
    vp = rng.choice([1500.0, 4000.0], grid.shape)
    limit = so.Modeling(so.Wavefield(grid, so.Time(2, 1e-4)), so.Acoustic(grid, vp=vp)).discretisation.stable_step
    time = so.Time(20_000, 0.95 * limit)
    waves = so.Wavefield(grid, time)
    ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp), substeps=1, dispersion=False)
    points = so.Projection(waves, [(105.0, 203.0), (300.0, 12.0)])
    q = np.zeros(points.range.shape, "float32")
    q[..., :100] = rng.standard_normal(q[..., :100].shape)
    traces = (points * ainv * points.H) @ q
    late, early = np.abs(traces[..., -500:]).max(), np.abs(traces[..., :500]).max()
    assert 0 < late < 0.5 * early
