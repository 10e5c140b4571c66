"""Two hundred rough media: waves stay at a step that is accepted, and at a little more many of them grow."""

from dataclasses import replace

import numpy as np
import pytest
from own_media import EQUATIONS, ROUGH

import seisops as so
from seisops.engine.stability.bound import _largest
from seisops.wave.discretise.discretisation import LIMIT

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")

GRID = so.Grid((22, 19), 10.0)
STEPS = 400
#: How many of each equation, of every kind of roughness in turn.
MEDIA = {"dense": 140, "first order": 60}


def medium(name, i):
    rough = list(ROUGH.values())[i % len(ROUGH)]
    return EQUATIONS[name](GRID, *rough(GRID, np.random.default_rng(i)))


def growth(medium, fraction):
    """Late over early amplitude of what a noise makes of a medium, at a fraction of the step that is held to be stable.

    The choice of the step is taken out of the way: a discretisation is frozen data, whose time axis may be another.
    """
    waves = so.Wavefield(GRID, so.Time(STEPS, 1e-6), dtype="float64")
    modeling = so.Modeling(waves, medium, boundary=None, space_order=4, substeps=1, dispersion=False)
    frozen = modeling.discretisation
    waves = so.Wavefield(GRID, so.Time(STEPS, fraction * frozen.stable_step), dtype="float64")
    A = so.Modeling._frozen(waves, medium, replace(frozen, time=waves.time))
    rng = np.random.default_rng(0)
    P = so.Projection(waves, rng.uniform([0.0, 0.0], [210.0, 180.0], (12, 2)))
    q = P.range.zeros()
    # without a sum or a moment, which would fill the box
    q[..., 2:60] = np.diff(np.pad(rng.standard_normal((12, 52)), ((0, 0), (4, 4))), 2)
    data = np.abs((P * A * P.H @ q)[0])
    with np.errstate(over="ignore", invalid="ignore"):
        grown = data[:, -STEPS // 4 :].max() / data[:, : STEPS // 4].max()
    return grown if np.isfinite(grown) else np.inf


@pytest.mark.parametrize("name", MEDIA)
def test_what_is_accepted_is_stable(name):
    """The largest step that is accepted; the one that is chosen by default is smaller."""
    found = np.array([growth(medium(name, i), LIMIT) for i in range(MEDIA[name])])
    assert found.min() > 0 and found.max() < 4, {i: found[i] for i in np.flatnonzero(found >= 4)}


@pytest.mark.parametrize("name", MEDIA)
def test_a_little_more_is_not(name):
    """The bound is close: at 1.1 of it, most media grow."""
    found = np.array([growth(medium(name, i), 1.1) for i in range(2 * len(ROUGH))])
    assert np.count_nonzero(found > 1e3) > len(ROUGH), found


def test_the_worst_of_many_cells():
    """Found without the eigenvalues of all: of matrices with zeros, periodic ones, and fields of very different units."""
    rng = np.random.default_rng(0)
    for n in (1, 2, 5):
        for most in (1, 3):
            matrices = rng.exponential(size=(2000, n, n)) ** rng.integers(1, most + 1)
            matrices[:, rng.random((n, n)) < 0.4] = 0.0
            units = 10.0 ** rng.uniform(-9, 9, n)
            matrices *= units[:, None] / units
            radii = np.abs(np.linalg.eigvals(matrices)).max(axis=-1)
            cell, largest = _largest(matrices)
            assert largest == pytest.approx(radii.max(), rel=1e-5, abs=1e-12)
            assert largest == pytest.approx(radii[cell], rel=1e-9, abs=1e-12)
