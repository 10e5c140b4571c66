"""The map from a medium to its data is smooth: what discretises it does not follow the medium."""

import numpy as np
import pytest

import seisops as so
from seisops.errors import UnstableError
from seisops.wave.discretise.discretisation import LIMIT

GRID = so.Grid((24, 21), 10.0)
TIME = so.Time(41, 0.0025)


def layered(velocity):
    """Two layers, of which the lower one has the given velocity in m/s."""
    vp = np.full(GRID.shape, 1600.0)
    vp[:, 10:] = velocity
    return so.Acoustic(GRID, vp=vp)


def modeling(velocity, **options):
    waves = so.Wavefield(GRID, TIME, dtype="float64")
    A = so.Modeling(waves, layered(velocity), boundary=so.PML(cells=6), space_order=4, **options)
    Pr = so.Projection(waves, [[60.0, 55.0], [180.0, 150.0]])
    Ps = so.Projection(waves, [[115.0, 80.0]])
    return A, Pr * A * Ps.H


def jumps(data):
    """Norms of the differences between neighbours."""
    return np.array([np.linalg.norm(b - a) for a, b in zip(data[:-1], data[1:], strict=True)])


@pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")
def test_data_follow_the_medium_without_a_jump():
    velocities = np.linspace(2000.0, 2600.0, 25)
    ratios = [modeling(v)[0].discretisation.ratio for v in velocities[[0, -1]]]
    assert ratios[0] < ratios[1], "the sweep has to pass a change of the number of substeps"
    _, F = modeling(2000.0, max_velocity=2600.0)
    q = np.asarray(so.ricker(TIME, f0=15.0, delay=0.04)).reshape(1, 1, -1)
    steps = jumps([F.at(vp=layered(v).vp) @ q for v in velocities])
    assert np.abs(steps[1:] / steps[:-1] - 1).max() < 0.03
    # with everything chosen anew for each medium the data jump: the measure sees it
    ratios = [modeling(v)[0].discretisation.ratio for v in velocities]
    at_change = int(np.argmax(np.diff(ratios)))
    fresh = [modeling(v, dispersion=False)[1] @ q for v in velocities[at_change - 2 : at_change + 4]]
    steps = jumps(fresh)
    assert np.abs(steps[1:] / steps[:-1] - 1).max() > 0.2


def test_what_is_frozen_stays():
    A, F = modeling(2000.0)
    moved = A.at(vp=1700.0)
    assert moved.discretisation is A.discretisation
    assert F.at(vp=1700.0).at(vp=layered(2000.0).vp).shape == F.shape


def test_a_medium_too_fast_is_refused_with_both_velocities():
    A, F = modeling(2000.0)
    fastest = A.discretisation.fastest
    assert fastest == pytest.approx(2000.0 * LIMIT * A.discretisation.stable_step / A.discretisation.dt)
    F.at(vp=0.999 * fastest)
    with pytest.raises(UnstableError) as caught:
        F.at(vp=1.5 * fastest)
    message = str(caught.value)
    for fragment in (f"{1.5 * fastest:.6g} m/s", "2000 m/s", f"{fastest:.6g} m/s", "max_velocity"):
        assert fragment in message, message
    with pytest.raises(UnstableError, match="max_velocity"):
        so.Parametric(F)((1.5 * fastest * np.ones(GRID.shape)) ** -2.0, F.domain.zeros())


def test_headroom_is_kept():
    A, F = modeling(2000.0, max_velocity=3000.0)
    assert A.discretisation.velocity == 3000.0
    F.at(vp=3000.0)


def test_headroom_below_the_medium_is_refused():
    with pytest.raises(so.ParameterError, match=r"1900.*below the 2000 m/s"):
        modeling(2000.0, max_velocity=1900.0)
