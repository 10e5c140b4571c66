"""Models from files. Nothing is guessed: what a file's numbers mean is stated, and checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seisops.errors import ParameterError
from seisops.wave.equations.acoustic import Acoustic
from seisops.wave.quantities import check_possible, implausible, numbers

__all__ = ["UNITS", "read_array", "read_model", "squared_slowness"]

#: What a model may hold: the factor that brings its numbers to SI.
UNITS = {name: Acoustic.quantities[name].units for name in ("vp", "m")}


def read_model(
    path: str | Path, dataset: str | None = None, quantity: str = "vp", units: str = "m/s", order: str = "xz"
) -> NDArray:
    """Squared slowness in s2/m2, of shape (x, z), from a file.

    Parameters
    ----------
    path : str or Path
        HDF5 (.h5, .hdf5, .jld), NumPy (.npy, .npz) or SEG-Y (.sgy, .segy; one trace for each x).
    dataset : str, optional
        Name of the array in an HDF5 or .npz file that holds several.
    quantity : {"vp", "m"}, optional
        Whether the file holds velocity or squared slowness.
    units : str, optional
        m/s or km/s for velocity, s2/m2 or s2/km2 for squared slowness.
    order : {"xz", "zx"}, optional
        Which axis comes first in the file.

    Raises
    ------
    ParameterError
        If the file does not hold what is stated.
    """
    array = read_array(path, dataset)
    name = f"{path}" + (f" ({dataset})" if dataset else "")
    if array.ndim != 2:
        raise ParameterError(f"{name} has shape {array.shape}: the demonstration needs a model of two dimensions")
    if order not in ("xz", "zx"):
        raise ParameterError(f"order={order!r}: use 'xz' or 'zx', the order of the axes in the file")
    return squared_slowness(array if order == "xz" else array.T, quantity, units, name)


def squared_slowness(array: NDArray, quantity: str, units: str, name: str) -> NDArray:
    """Squared slowness in s2/m2 from an array of stated quantity and units; see :func:`read_model`."""
    if quantity not in UNITS or units not in UNITS[quantity]:
        known = "; ".join(f"{q} in {' or '.join(u)}" for q, u in UNITS.items())
        raise ParameterError(f"{name}: {quantity!r} in {units!r} is unknown: state {known}")
    array = numbers(name, array)
    check_possible(name, array, Acoustic.quantities[quantity])
    fault = implausible(Acoustic, quantity, array, {}, units, f"{name}, read as {quantity},")
    if fault:
        raise ParameterError(f"{fault}. State what the file holds")
    array = array * UNITS[quantity][units]
    return np.ascontiguousarray(array if quantity == "m" else array**-2.0)


def read_array(path: str | Path, dataset: str | None = None) -> NDArray:
    """The array in a file; see :func:`read_model`."""
    path = Path(path)
    readers = {
        ".npy": _numpy,
        ".npz": _numpy,
        ".sgy": _segy,
        ".segy": _segy,
        ".h5": _hdf5,
        ".hdf5": _hdf5,
        ".jld": _hdf5,
    }
    if path.suffix.lower() not in readers:
        raise ParameterError(f"{path}: unknown kind of file {path.suffix!r}; use one of {', '.join(readers)}")
    if not path.is_file():
        raise ParameterError(f"{path}: no such file")
    return readers[path.suffix.lower()](path, dataset)


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
        raise ImportError(f"{path}: HDF5 files need h5py; install it with: pip install 'seisops[io]'") from error
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ParameterError(f"{path} is not an HDF5 file: {error}") from error
    with file:
        shapes: dict[str, tuple] = {}
        file.visititems(lambda k, v: shapes.update({k: v.shape} if isinstance(v, h5py.Dataset) else {}))
        return np.asarray(file[_chosen(path, dataset, shapes)][()])


def _segy(path: Path, dataset: str | None) -> NDArray:
    try:
        import segyio
    except ImportError as error:
        raise ImportError(f"{path}: SEG-Y files need segyio; install it with: pip install 'seisops[io]'") from error
    if dataset is not None:
        raise ParameterError(f"{path}: a SEG-Y file has no dataset {dataset!r}; leave the name out")
    try:
        with segyio.open(path, "r", ignore_geometry=True) as file:
            return np.array(file.trace.raw[:])
    except (OSError, RuntimeError) as error:
        raise ParameterError(f"{path} is not a SEG-Y file: {error}") from error


def _chosen(path: Path, dataset: str | None, shapes: dict[str, tuple]) -> str:
    planes = [name for name, shape in shapes.items() if len(shape) == 2]
    if dataset is None and len(planes) == 1:
        return planes[0]
    if dataset not in shapes:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        problem = f"has no dataset {dataset!r}" if dataset else "does not say which dataset is the model"
        raise ParameterError(f"{path} {problem}; it holds {listed}: name one of them")
    return dataset
