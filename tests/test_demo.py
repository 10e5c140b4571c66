"""The demonstration: models by formula and from files, and every step of the run at a small size."""

from __future__ import annotations

import numpy as np
import pytest

import seisops as so
from seisops.demo import Settings, report, run, save, smoothed, thrust_belt
from seisops.demo.models import seabed
from seisops.demo.workflow import preconditioner
from seisops.model.files import read_model

GRID = so.Grid(shape=(61, 31), spacing=20.0)
WAVES = so.Wavefield(GRID, so.Time(n=11, step=0.004))


# -- models by formula


@pytest.mark.parametrize("shape", [(61, 31), (241, 101)])
def test_the_formula_scales_with_the_grid(shape):
    vp = thrust_belt(so.Grid(shape, 10.0))
    assert vp.shape == shape and vp.dtype == np.float32
    assert (vp[:, 0] == 1500.0).all() and 3500.0 < vp.max() < 5000.0
    # a thrust: somewhere faster rock lies over slower
    assert (np.diff(vp, axis=1) < -100.0).any()


def test_smoothing_keeps_the_water():
    m = thrust_belt(GRID).astype(float) ** -2
    water = seabed(m)
    assert 3 <= water <= 5
    smooth = smoothed(m, cells=2.0)
    assert np.array_equal(smooth[:, :water], m[:, :water])
    assert np.abs(np.diff(smooth, axis=1))[:, water:].max() < 0.5 * np.abs(np.diff(m, axis=1))[:, water:].max()


def test_a_model_without_water_has_none():
    rough = np.random.default_rng(0).uniform(1.0, 2.0, (5, 4))
    assert seabed(rough) == 0
    assert seabed(np.ones((5, 4))) == 0


# -- the run


@pytest.fixture(scope="module")
def result():
    m = thrust_belt(GRID).astype(float) ** -2
    settings = Settings(shots=2, f0=8.0, duration=0.8, mute=90.0, iterations=3, fwi_iterations=2)
    steps = []
    found = run(GRID, m, smoothed(m, cells=2.0), settings, lambda step, solves: steps.append((step, solves)))
    found.steps = steps
    return found


def test_every_step_leaves_its_arrays(result):
    assert result.data.shape == (2, 31, 201)
    for name in ("rtm", "lsrtm", "fwi"):
        a = getattr(result, name)
        assert a.shape == GRID.shape and np.isfinite(a).all() and a.any(), name


def test_misfits_and_model_error_fall(result):
    assert len(result.lsrtm_misfit) == 4 and result.lsrtm_misfit[0] == 1.0
    assert (np.diff(result.lsrtm_misfit) < 0).all()
    assert len(result.fwi_misfit) == len(result.fwi_error) == 3
    assert (np.diff(result.fwi_misfit) < 0).all()
    assert result.fwi_error[-1] < result.fwi_error[0] == 1.0


def test_nothing_changes_above_the_mute_and_velocities_stay_in_their_bounds(result):
    muted = GRID.coordinates("z") <= 90.0
    assert not result.lsrtm[:, muted].any()
    assert np.array_equal(result.fwi[:, muted], result.m0[:, muted])
    assert result.m.min() / 1.05 < result.fwi.min() and result.fwi.max() < 1.05 * result.m.max()


def test_progress_tells_of_about_as_many_solves_as_were_announced(result):
    told = sum(solves for _, solves in result.steps)
    assert 0.7 * result.settings.solves < told < 1.5 * result.settings.solves


def test_the_report_and_the_files_hold_the_numbers(result, tmp_path):
    pytest.importorskip("matplotlib")
    text = report(result)
    assert f"{100 * result.fwi_error[-1]:.1f}" in text and "2 shots" in text and "GiB at the peak" in text
    paths = save(result, tmp_path / "out")
    named = {"table.txt", "arrays.npz", "model.png", "shot.png", "rtm.png", "lsrtm.png", "fwi.png"}
    assert named <= {p.name for p in paths}
    assert all(p.stat().st_size for p in paths)
    with np.load(tmp_path / "out" / "arrays.npz") as arrays:
        assert np.array_equal(arrays["fwi"], result.fwi)
        assert arrays["t"].shape == (201,) and arrays["x"].shape == (61,)


def test_the_preconditioner_mutes_then_scales_with_depth():
    d = (preconditioner(WAVES, 100.0) @ np.ones(GRID.size, dtype=np.float32)).reshape(GRID.shape)
    assert d.dtype == np.float32 and not d[:, :6].any()
    np.testing.assert_allclose(d[:, 8:], np.broadcast_to(np.arange(8, 31) / 30.0, (61, 23)), rtol=1e-6)
    assert (preconditioner(WAVES, 0.0) @ np.ones(GRID.size, dtype=np.float32)).reshape(GRID.shape)[:, 1:].all()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"shots": 0}, "shots must be an integer"),
        ({"f0": -1.0}, "f0 must be a positive"),
        ({"mute": -5.0}, "mute must not be negative"),
        ({"iterations": 1.5}, "iterations must be an integer"),
    ],
)
def test_settings_are_checked(bad, message):
    with pytest.raises(so.ParameterError, match=message):
        Settings(**bad)


@pytest.mark.slow
def test_least_squares_migration_of_overthrust_halves_the_misfit(data):
    pytest.importorskip("h5py")
    path, stated = data / "overthrust_model.h5", {"quantity": "m", "units": "s2/km2", "order": "zx"}
    m, m0 = (read_model(path, name, **stated).values[100:300] for name in ("m", "m0"))
    settings = Settings(shots=2, f0=8.0, duration=2.4, mute=300.0, iterations=10, fwi_iterations=2)
    result = run(so.Grid(m.shape, 25.0), m, m0, settings)
    assert result.lsrtm_misfit[-1] < 0.5
    assert result.fwi_misfit[-1] < result.fwi_misfit[0] and result.fwi_error[-1] < 1.0
