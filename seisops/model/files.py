"""Models in files. Nothing is guessed: what a file's numbers mean is stated, and checked."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops._extras import missing
from seisops.errors import ParameterError
from seisops.survey.atomic import replacing
from seisops.wave.equations.acoustic import Acoustic
from seisops.wave.grid import Grid
from seisops.wave.quantities import check_possible, implausible, numbers

__all__ = ["KINDS", "UNITS", "Stored", "named", "read_model", "write_model"]

#: What a model may hold: the factor that brings its numbers to SI.
UNITS = {name: Acoustic.quantities[name].units for name in ("vp", "m", "rho")}

#: Kinds of files that models are written to.
KINDS = (".npy", ".sgy", ".segy", ".zarr")

#: By how much spacings along an axis may differ that are the same, as a fraction.
EVEN = 1e-4


@dataclass(frozen=True, eq=False)
class Stored:
    """What is in a file.

    Attributes
    ----------
    values : ndarray
        Of two or three dimensions.
    axes : str or None
        Names of the axes, as ``"xz"``, where the file says.
    spacing, origin : tuple of float or None
        In metres, for each axis, where the file says.
    """

    values: NDArray
    axes: str | None = None
    spacing: tuple[float, ...] | None = None
    origin: tuple[float, ...] | None = None

    @property
    def in_words(self) -> str:
        """The names of the axes, as ``"(x, z)"``."""
        return f"({', '.join(self.axes or '')})"

    def ordered(self, order: str | None, name: str) -> Stored:
        """The same with axes (x, [y,] z).

        Parameters
        ----------
        order : str or None
            Of the axes in the file, as ``"zx"``; by default as the file says, and otherwise x first and z last.
        name : str
            Of the file, for messages.
        """
        wanted = {2: "xz", 3: "xyz"}.get(self.values.ndim)
        if wanted is None:
            raise ParameterError(f"{name} has shape {self.values.shape}: a model has two or three dimensions")
        if order is not None and sorted(order) != sorted(wanted):
            raise ParameterError(
                f"order={order!r}: use {wanted!r} or {wanted[::-1]!r}, the order of the axes of {name}, of shape "
                f"{self.values.shape}"
            )
        if order is not None and self.axes is not None and order != self.axes:
            raise ParameterError(
                f"{name} has axes {self.axes!r}, as it says, and {order!r} is stated: leave the order out"
            )
        places = [(order or self.axes or wanted).index(axis) for axis in wanted]
        moved = (None if of is None else tuple(of[i] for i in places) for of in (self.spacing, self.origin))
        return Stored(np.ascontiguousarray(self.values.transpose(places)), wanted, *moved)


def read_model(
    path: str | Path,
    dataset: str | None = None,
    quantity: str = "vp",
    units: str | None = None,
    order: str | None = None,
) -> Stored:
    """A model from a file, in SI units, with axes (x, [y,] z).

    Parameters
    ----------
    path : str or Path
        HDF5 (.h5, .hdf5, .jld), NumPy (.npy, .npz), Zarr (.zarr) or SEG-Y (.sgy, .segy): one trace for each x, or, where
        headers name several inlines and several crosslines, for each of both.
    dataset : str, optional
        Name of the array in an HDF5, .npz or Zarr file that holds several.
    quantity : {"vp", "m", "rho"}, optional
        Whether the file holds velocity, squared slowness or density.
    units : str, optional
        Those of the quantity: m/s or km/s, s2/m2 or s2/km2, kg/m3 or g/cm3; by default the first of them.
    order : str, optional
        Which axis comes first in the file, as ``"zx"``; by default as the file says, and otherwise x first and z last.

    Raises
    ------
    ParameterError
        If the file does not hold what is stated: numbers are not plausible in the units, axes are others.
    ImportError
        If it takes a package to read it that is not there.
    """
    name = named(path, dataset)
    units = units or next(iter(UNITS.get(quantity, {})), "")
    if units not in UNITS.get(quantity, {}):
        known = "; ".join(f"{q} in {' or '.join(u)}" for q, u in UNITS.items())
        raise ParameterError(f"{name}: {quantity!r} in {units!r} is unknown: state {known}")
    stored = read_stored(path, dataset).ordered(order, name)
    array = numbers(name, stored.values)
    check_possible(name, array, Acoustic.quantities[quantity])
    fault = implausible(Acoustic, quantity, array, {}, units, f"{name}, read as {quantity},")
    if fault:
        raise ParameterError(f"{fault}. State what the file holds")
    return replace(stored, values=array * UNITS[quantity][units])


def named(path: str | Path, dataset: str | None) -> str:
    """What a model in a file is called in messages."""
    return f"{path}" + (f" ({dataset})" if dataset else "")


# ---- reading


def read_stored(path: str | Path, dataset: str | None = None) -> Stored:
    """The array in a file, and what the file says of its axes; see :func:`read_model`."""
    path = Path(path)
    readers = {
        ".npy": _numpy,
        ".npz": _numpy,
        ".sgy": _segy,
        ".segy": _segy,
        ".h5": _hdf5,
        ".hdf5": _hdf5,
        ".jld": _hdf5,
        ".zarr": _zarr,
    }
    if path.suffix.lower() not in readers:
        raise ParameterError(f"{path}: unknown kind of file {path.suffix!r}; use one of {', '.join(readers)}")
    if not (path.is_dir() if path.suffix.lower() == ".zarr" else path.is_file()):
        raise ParameterError(f"{path}: no such file")
    found = readers[path.suffix.lower()](path, dataset)
    return found if isinstance(found, Stored) else Stored(found)


def _numpy(path: Path, dataset: str | None) -> NDArray:
    with open(path, "rb") as file:
        try:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return content
            return content[_chosen(path, dataset, {k: content[k].shape for k in content.files})]
        except (OSError, EOFError, ValueError) as error:
            raise ParameterError(f"{path} is not a NumPy file: {error}") from error


def _hdf5(path: Path, dataset: str | None) -> NDArray:
    try:
        import h5py
    except ImportError as error:
        raise missing(f"{path}: HDF5 files need", "h5py", "io") from error
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ParameterError(f"{path} is not an HDF5 file: {error}") from error
    with file:
        shapes: dict[str, tuple] = {}
        file.visititems(lambda k, v: shapes.update({k: v.shape} if isinstance(v, h5py.Dataset) else {}))
        return np.asarray(file[_chosen(path, dataset, shapes)][()])


def _segyio(path: Path) -> Any:
    try:
        import segyio
    except ImportError as error:
        raise missing(f"{path}: SEG-Y files need", "segyio", "io") from error
    return segyio


def _segy(path: Path, dataset: str | None) -> NDArray:
    """Traces in the order of the file, or on their inlines and crosslines where headers name several of both."""
    segyio = _segyio(path)
    if dataset is not None:
        raise ParameterError(f"{path}: a SEG-Y file has no dataset {dataset!r}; leave the name out")
    try:
        with segyio.open(path, "r", ignore_geometry=True) as file:
            traces = np.array(file.trace.raw[:])
            lines = [np.array(file.attributes(byte)[:]) for byte in (189, 193)]
    except (OSError, RuntimeError) as error:
        raise ParameterError(f"{path} is not a SEG-Y file: {error}") from error
    counts = [len(np.unique(line)) for line in lines]
    if min(counts) == 1 or counts[0] * counts[1] != len(traces):
        return traces
    return traces[np.lexsort(lines[::-1])].reshape(*counts, -1)


def _zarr(path: Path, dataset: str | None) -> Stored:
    zarr = _zarr_package(path)
    try:
        found = zarr.open(str(path), mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise ParameterError(f"{path} is not a Zarr store: {error}") from error
    if not hasattr(found, "arrays"):
        return Stored(np.asarray(found[...]))
    arrays = dict(found.arrays())
    array = arrays[_chosen(path, dataset, {name: a.shape for name, a in arrays.items()})]
    axes = tuple(getattr(array.metadata, "dimension_names", None) or ())
    if sorted(axes) != list("xyz" if array.ndim == 3 else "xz") or not set(axes) <= set(arrays):
        return Stored(np.asarray(array[...]))
    spacing, origin = zip(*(_even(path, axis, np.asarray(arrays[axis][...])) for axis in axes), strict=True)
    return Stored(np.asarray(array[...]), "".join(axes), spacing, origin)


def _zarr_package(path: Path) -> Any:
    try:
        import zarr
    except ImportError as error:
        raise missing(f"{path}: Zarr stores need", "zarr", "io") from error
    return zarr


def _even(path: Path, axis: str, x: NDArray) -> tuple[float, float]:
    """Spacing and origin of coordinates."""
    steps = np.diff(x)
    if x.ndim != 1 or not len(steps) or not steps[0] > 0 or np.ptp(steps) > EVEN * steps[0]:
        raise ParameterError(f"{path}: the coordinates {axis} are not evenly spaced and growing")
    return float((x[-1] - x[0]) / len(steps)), float(x[0])


def _chosen(path: Path, dataset: str | None, shapes: dict[str, tuple]) -> str:
    models = [name for name, shape in shapes.items() if len(shape) in (2, 3)]
    if dataset is None and len(models) == 1:
        return models[0]
    if dataset not in shapes:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        problem = f"has no dataset {dataset!r}" if dataset else "does not say which dataset is the model"
        raise ParameterError(f"{path} {problem}; it holds {listed}: name one of them")
    return dataset


# ---- writing


def write_model(
    path: str | os.PathLike, grid: Grid, values: ArrayLike, name: str = "model", unit: str = "", overwrite: bool = False
) -> None:
    """Write an array on a grid; the file appears when it is complete.

    Parameters
    ----------
    path : path-like
        ``.npy``; ``.zarr``, with coordinates and axes named as xarray does; ``.segy`` or ``.sgy``, one trace for each x (and
        y, by inlines and crosslines), whose sample interval is that in depth in mm.
    grid : Grid
    values : array_like of the grid's shape
    name, unit : str, optional
        What it is, for those files that say.
    overwrite : bool, optional
        Whether a file may be replaced.

    Raises
    ------
    ParameterError
        If the kind of file is unknown, it exists, or it cannot hold the grid.
    """
    path, values = Path(path), np.asarray(values)
    if values.shape != grid.shape:
        raise ParameterError(f"{path}: an array of shape {values.shape} is not on {grid!r}")
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise ParameterError(f"{path}: unknown kind of file {path.suffix!r}; use one of {', '.join(KINDS)}")
    if kind == ".zarr":
        with replacing(path, overwrite, _is_written) as beside:
            _write_zarr(beside, grid, values, name, unit)
        return
    with replacing(path, overwrite, Path.is_file) as beside:
        if kind == ".npy":
            with open(beside, "xb") as file:
                np.save(file, values)
        else:
            _write_segy(path, beside, grid, values, name)


def _is_written(path: Path) -> bool:
    return (path / "zarr.json").is_file()


def _write_zarr(path: Path, grid: Grid, values: NDArray, name: str, unit: str) -> None:
    zarr = _zarr_package(path)
    group = zarr.open_group(str(path), mode="w-", zarr_format=3)
    for axis in grid.axes:
        x = grid.coordinates(axis)
        group.create_array(axis, data=x, dimension_names=(axis,), attributes={"units": "m"})
    group.create_array(name, data=values, dimension_names=grid.axes, attributes={"units": unit})


def _write_segy(path: Path, beside: Path, grid: Grid, values: NDArray, name: str) -> None:
    segyio = _segyio(path)
    interval, start = round(1e3 * grid.spacing[-1]), grid.origin[-1]
    if abs(1e3 * grid.spacing[-1] - interval) > 1e-6 or not 1 <= interval <= 32767 or start != round(start):
        raise ParameterError(
            f"{path}: SEG-Y holds depths from whole metres on in steps of whole mm up to 32.767 m; z is from {start:g} m "
            f"on in steps of {grid.spacing[-1]:g} m: write .npy or .zarr"
        )
    spec = segyio.spec()
    spec.format, spec.samples, spec.tracecount = 5, np.arange(grid.shape[-1]), values[..., 0].size
    at = [grid.coordinates(axis) for axis in grid.axes[:-1]]
    with segyio.create(beside, spec) as file:
        lines = {1: f"{name} written by seisops", 2: "one trace for each x, samples in depth: the interval is in mm"}
        file.text[0] = segyio.tools.create_text_header(lines)
        file.bin.update(hdt=interval, hns=grid.shape[-1], mfeet=1)
        for i, index in enumerate(np.ndindex(values.shape[:-1])):
            x, y = (at[0][index[0]], at[1][index[1]] if len(at) == 2 else 0.0)
            inline, crossline = (index[0] + 1, index[1] + 1) if len(at) == 2 else (1, i + 1)
            file.header[i] = {
                1: i + 1, 5: i + 1, 21: i + 1, 29: 1, 71: -100, 89: 1, 109: round(start), 115: grid.shape[-1], 117: interval,
                181: round(100 * x), 185: round(100 * y), 189: inline, 193: crossline,
            }  # fmt: skip
            file.trace[i] = values[index].astype(np.float32)
