"""Surveys as xarray datasets, lazy where the survey is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seisops._extras import missing
from seisops.errors import ParameterError
from seisops.spaces import Traces
from seisops.survey.dimensions import NAMES, data_dimensions, named, shots_of, time_attributes
from seisops.survey.shot import Shot
from seisops.survey.together import data_of, space_of, time_of

if TYPE_CHECKING:
    import xarray

__all__ = ["read_dataset", "write_dataset"]


def _xarray():
    try:
        import xarray
    except ImportError as error:
        raise missing("datasets need", "xarray", "io") from error
    return xarray


def write_dataset(shots: Sequence[Shot], notes: Sequence[str]) -> xarray.Dataset:
    """See `Survey.to_xarray`."""
    xr = _xarray()
    coordinates = {name: (dims, values, _attributes(shots, name)) for name, (dims, values) in named(shots).items()}
    missing = [i for i, shot in enumerate(shots) if shot.traces is None]
    data = {}
    if len(missing) < len(shots):
        if missing:
            raise ParameterError(f"to_xarray: shot {missing[0]} has no data, and others have")
        data["data"] = (data_dimensions(shots), _lazy(xr, shots))
    return xr.Dataset(data, coordinates, {"notes": list(notes)} if notes else {})


def _attributes(shots: Sequence[Shot], name: str) -> dict:
    if name == "time":
        return time_attributes(time_of(shots))
    return {"units": "m"} if name.startswith(("receiver_", "source_")) and name != "source_shot" else {}


def _lazy(xr, shots: Sequence[Shot]):
    """The data as xarray takes them: an array if they are in memory, else one that reads what is indexed."""
    if all(shot.traces is not None and shot.traces.in_memory for shot in shots):
        return data_of(shots)
    from xarray.backends import BackendArray
    from xarray.core import indexing

    space = space_of(shots)
    ragged = len(space.shape) == 2

    class OnDemand(BackendArray):
        shape, dtype = space.shape, space.dtype

        def __getitem__(self, key):
            return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._outer)

        def _outer(self, key):
            picks = [np.atleast_1d(np.arange(n)[k]) for n, k in zip(self.shape, key, strict=True)]
            if ragged:
                rows = picks[0]
            else:
                rows = (picks[0][:, None] * self.shape[1] + picks[1]).ravel()
            block = _read_rows(shots, space, rows)[:, picks[-1]]
            block = block.reshape([len(p) for p in picks])
            return block[tuple(0 if np.ndim(k) == 0 and not isinstance(k, slice) else slice(None) for k in key)]

    return indexing.LazilyIndexedArray(OnDemand())


def _read_rows(shots: Sequence[Shot], space: Traces, rows: NDArray) -> NDArray:
    """Traces by their numbers from the first shot to the last."""
    out, offsets = np.empty((len(rows), space.shape[-1]), space.dtype), np.array(space.offsets)
    owner = np.searchsorted(offsets, rows, "right") - 1
    for i in np.unique(owner):
        mine = np.flatnonzero(owner == i)
        out[mine] = shots[int(i)].take(rows[mine] - offsets[i]).data
    return out


@dataclass(frozen=True, eq=False)
class _DatasetStore:
    """Traces in a variable of a dataset, (trace, time) or (shot, receiver, time).

    Attributes
    ----------
    variable : xarray.Variable
    """

    variable: xarray.Variable
    place = "in an xarray dataset"

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the variable."""
        return self.variable.dtype

    def read(self, rows: NDArray[np.int64], samples: slice) -> NDArray:
        """Some samples of some traces."""
        if self.variable.ndim == 2:
            return np.asarray(self.variable[rows, samples])
        shots, receivers = np.divmod(rows, self.variable.shape[1])
        out = np.empty((len(rows), samples.stop - samples.start), self.dtype)
        for i in np.unique(shots):
            mine = np.flatnonzero(shots == i)
            out[mine] = np.asarray(self.variable[int(i), receivers[mine], samples])
        return out


def read_dataset(dataset: xarray.Dataset) -> tuple[list[Shot], tuple[str, ...]]:
    """The shots of a survey and notes about them; see `Survey.from_xarray`."""
    xr = _xarray()
    if not isinstance(dataset, xr.Dataset):
        raise ParameterError(f"from_xarray takes an xarray.Dataset, got {type(dataset).__name__}")
    arrays = {str(name): (v.dims, v.values) for name, v in dataset.variables.items() if NAMES.match(str(name))}
    store, dims = None, None
    if "data" in dataset:
        variable = dataset.variables["data"]
        if variable.dtype not in (np.float32, np.float64):
            raise ParameterError(f"from_xarray: data have dtype {variable.dtype}: use float32 or float64")
        dims, store = tuple(map(str, variable.dims)), _DatasetStore(variable)
    attributes = dataset["time"].attrs if "time" in dataset.variables else {}
    return shots_of("the dataset", arrays, attributes, dims, store), tuple(dataset.attrs.get("notes", ()))
