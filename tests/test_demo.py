"""The demonstration: models by formula and from files, and every step of the run at a small size."""

from __future__ import annotations

import numpy as np
import pytest

import seisops as so
from seisops.demo import Settings, read_model, report, run, save, smoothed, thrust_belt
from seisops.demo.models import seabed
from seisops.demo.workflow import preconditioner

GRID = so.Grid(shape=(61, 31), spacing=20.0)
WAVES = so.Wavefield(GRID, so.Time(n=11, step=0.004))


def velocities():
    return np.linspace(1500.0, 4500.0, 35).reshape(7, 5)


def write_hdf5(path, **arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def write_segy(path, array):
    segyio = pytest.importorskip("segyio")
    segyio.tools.from_array2D(str(path), array.astype(np.float32))


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


# -- models from files


@pytest.mark.parametrize(
    ("name", "options", "stored"),
    [
        ("a.npy", {}, lambda vp: vp),
        ("a.npy", {"units": "km/s"}, lambda vp: vp / 1e3),
        ("a.npz", {"quantity": "m", "units": "s2/km2"}, lambda vp: 1e6 / vp**2),
        ("a.npz", {"dataset": "model", "quantity": "m", "units": "s2/m2", "order": "zx"}, lambda vp: vp.T**-2.0),
        ("a.h5", {}, lambda vp: vp),
        ("a.h5", {"dataset": "model", "order": "zx"}, lambda vp: vp.T),
        ("a.segy", {}, lambda vp: vp),
    ],
)
def test_every_kind_of_file_gives_squared_slowness(tmp_path, name, options, stored):
    path, array = tmp_path / name, stored(velocities())
    write = {
        ".npy": lambda: np.save(path, array),
        ".npz": lambda: np.savez(path, model=array, n=np.arange(2)),
        ".h5": lambda: write_hdf5(path, model=array, n=np.arange(2)),
        ".segy": lambda: write_segy(path, array),
    }
    write[path.suffix]()
    m = read_model(path, **options)
    assert m.flags.c_contiguous
    np.testing.assert_allclose(m, velocities() ** -2, rtol=3e-6)


@pytest.mark.parametrize(
    ("stored", "options", "message"),
    [
        (
            lambda vp: vp / 1e3,
            {},
            r"1\.5 to 4\.5 m/s in 35 .*plausible 50 to 20000 m/s: perhaps vp in km/s \(then 1500 to 4500",
        ),
        (lambda vp: 1e6 / vp**2, {"quantity": "m", "units": "s2/m2"}, r"\(vp is 50 .*perhaps m in s2/km2 \(then 4\.9"),
        (lambda vp: vp / 1e12, {}, "no unit that is known here fits"),
        (lambda vp: vp, {"units": "s2/km2"}, "'vp' in 's2/km2' is unknown: state vp in m/s or km/s"),
        (lambda vp: vp, {"order": "yz"}, "use 'xz' or 'zx'"),
        (lambda vp: np.where(vp > 4000.0, np.nan, vp), {}, r"not finite in \d+ of 35 cells, first nan m/s"),
        (lambda vp: vp[None], {}, "two dimensions"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_fix(tmp_path, stored, options, message):
    np.save(tmp_path / "a.npy", stored(velocities()))
    with pytest.raises(so.ParameterError, match=message):
        read_model(tmp_path / "a.npy", **options)


@pytest.mark.parametrize(
    ("name", "content", "dataset", "message"),
    [
        ("a.txt", b"1 2", None, r"unknown kind of file '\.txt'"),
        ("a.npy", None, None, "no such file"),
        ("a.h5", b"nothing", None, "not an HDF5 file"),
        ("a.segy", b"nothing", None, "not a SEG-Y file"),
        ("a.npy", b"nothing", None, "not a NumPy file"),
        ("a.segy", b"nothing", "vp", "has no dataset 'vp'"),
    ],
)
def test_files_that_are_not_what_they_say(tmp_path, name, content, dataset, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    if name != "a.npy":
        pytest.importorskip("h5py")
        pytest.importorskip("segyio")
    with pytest.raises(so.ParameterError, match=message):
        read_model(tmp_path / name, dataset)


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
@pytest.mark.parametrize(("dataset", "message"), [(None, "does not say which"), ("vp", "has no dataset 'vp'")])
def test_the_dataset_is_named_when_there_are_several(tmp_path, suffix, dataset, message):
    path = tmp_path / f"a{suffix}"
    if suffix == ".h5":
        write_hdf5(path, m=velocities(), m0=velocities())
    else:
        np.savez(path, m=velocities(), m0=velocities())
    with pytest.raises(so.ParameterError, match=rf"{message}.*m \(7, 5\), m0 \(7, 5\)"):
        read_model(path, dataset)


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
    m, m0 = (read_model(path, name, **stated)[100:300] for name in ("m", "m0"))
    settings = Settings(shots=2, f0=8.0, duration=2.4, mute=300.0, iterations=10, fwi_iterations=2)
    result = run(so.Grid(m.shape, 25.0), m, m0, settings)
    assert result.lsrtm_misfit[-1] < 0.5
    assert result.fwi_misfit[-1] < result.fwi_misfit[0] and result.fwi_error[-1] < 1.0
