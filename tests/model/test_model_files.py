"""Models in files: what they hold is stated and checked, and what is written is read again."""

from __future__ import annotations

import numpy as np
import pytest

import seisops as so
from seisops.model.files import KINDS, read_model, write_model


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
def test_every_kind_of_file_gives_a_model_in_si_units(tmp_path, name, options, stored):
    path, array = tmp_path / name, stored(velocities())
    write = {
        ".npy": lambda: np.save(path, array),
        ".npz": lambda: np.savez(path, model=array, n=np.arange(2)),
        ".h5": lambda: write_hdf5(path, model=array, n=np.arange(2)),
        ".segy": lambda: write_segy(path, array),
    }
    write[path.suffix]()
    found = read_model(path, **options)
    assert found.values.flags.c_contiguous and found.axes == "xz"
    vp = found.values if options.get("quantity", "vp") == "vp" else found.values**-0.5
    np.testing.assert_allclose(vp, velocities(), rtol=3e-6)


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
        (lambda vp: vp[None, None], {}, "two or three dimensions"),
        (lambda vp: vp, {"quantity": "rho", "units": "g/cm3"}, "perhaps rho in kg/m3"),
        (lambda vp: vp, {"quantity": "q"}, "state vp in m/s or km/s; m in .*; rho in kg/m3 or g/cm3"),
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


# -- what is written


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("suffix", KINDS)
def test_what_is_written_is_read_again(tmp_path, suffix, ndim):
    pytest.importorskip({".zarr": "zarr", ".npy": "numpy"}.get(suffix, "segyio"))
    shape, spacing, origin = ((6, 4, 5), (12.5, 25.0, 10.0), (100.0, -50.0, 20.0))
    if ndim == 2:
        shape, spacing, origin = ((a[0], a[2]) for a in (shape, spacing, origin))
    grid = so.Grid(shape, spacing, origin)
    vp = np.random.default_rng(0).uniform(1500.0, 4500.0, grid.shape).astype(np.float32)
    path = tmp_path / f"vp{suffix}"
    write_model(path, grid, vp, "vp", "m/s")
    found = read_model(path)
    np.testing.assert_array_equal(found.values, vp)
    if suffix == ".zarr":
        assert (found.axes, found.spacing, found.origin) == ("".join(grid.axes), grid.spacing, grid.origin)
    with pytest.raises(so.ParameterError, match="exists"):
        write_model(path, grid, vp)
    write_model(path, grid, 2 * vp, "vp", "m/s", overwrite=True)
    np.testing.assert_array_equal(read_model(path).values, 2 * vp)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_store_says_its_axes(tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("zarr")
    vp, path = velocities(), tmp_path / "vp.zarr"
    at = {"x": 10.0 * np.arange(7), "z": 5.0 + 20.0 * np.arange(5)}
    xarray.Dataset({"vp": (("z", "x"), vp.T)}, at).to_zarr(path)
    found = read_model(path)
    np.testing.assert_array_equal(found.values, vp)
    assert found.spacing == (10.0, 20.0) and found.origin == (0.0, 5.0)
    with pytest.raises(so.ParameterError, match="has axes 'zx', as it says, and 'xz' is stated"):
        read_model(path, order="xz")
    at["x"][3] += 1.0
    xarray.Dataset({"vp": (("x", "z"), vp)}, at).to_zarr(tmp_path / "odd.zarr")
    with pytest.raises(so.ParameterError, match="coordinates x are not evenly spaced"):
        read_model(tmp_path / "odd.zarr")


def test_headers_of_a_section_say_where_it_is(tmp_path):
    segyio = pytest.importorskip("segyio")
    grid = so.Grid((7, 5), (12.5, 10.0), (100.0, 20.0))
    write_model(tmp_path / "vp.segy", grid, velocities())
    with segyio.open(tmp_path / "vp.segy", ignore_geometry=True) as file:
        assert (
            file.bin[segyio.BinField.Interval] == 10000 and file.header[0][segyio.TraceField.DelayRecordingTime] == 20
        )
        x = [header[segyio.TraceField.CDP_X] / 100 for header in file.header]
    assert x == grid.coordinates("x").tolist()


@pytest.mark.parametrize(
    ("name", "spacing", "origin", "message"),
    [
        ("a.txt", 10.0, 0.0, "unknown kind of file '.txt'; use one of .npy"),
        ("a.segy", 40.0, 0.0, "in steps of 40 m: write .npy or .zarr"),
        ("a.segy", 10.0, 2.5, "z is from 2.5 m"),
        ("nowhere/a.npy", 10.0, 0.0, "there is no folder"),
    ],
)
def test_what_a_file_cannot_hold_is_not_written(tmp_path, name, spacing, origin, message):
    pytest.importorskip("segyio")
    grid = so.Grid((7, 5), spacing, origin)
    with pytest.raises(so.ParameterError, match=message):
        write_model(tmp_path / name, grid, velocities())
    assert not list(tmp_path.iterdir())
    with pytest.raises(so.ParameterError, match=r"shape \(5, 7\) is not on"):
        write_model(tmp_path / "a.npy", grid, velocities().T)
