"""Surveys in Zarr stores, with the names of `dimensions`: written shot by shot, read when asked for."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisops._extras import missing
from seisops.errors import ParameterError
from seisops.survey.atomic import replacing
from seisops.survey.dimensions import NAMES, data_dimensions, named, shots_of, time_attributes
from seisops.survey.shot import Shot
from seisops.survey.stores import runs
from seisops.survey.together import counts_of, space_of, time_of

__all__ = ["read_zarr", "write_zarr"]

#: Bytes of a chunk at most.
CHUNK = 2**25
#: What our stores say they are.
KIND = "seisops survey"


def _zarr():
    try:
        import zarr
    except ImportError as error:
        raise missing("Zarr stores need", "zarr", "io") from error
    return zarr


def write_zarr(shots: Sequence[Shot], notes: Sequence[str], path: str | os.PathLike, overwrite: bool) -> None:
    """See `Survey.to_zarr`."""
    zarr = _zarr()
    path = Path(path)
    arrays = named(shots)
    missing = [i for i, shot in enumerate(shots) if shot.traces is None]
    if missing and len(missing) < len(shots):
        raise ParameterError(f"to_zarr: shot {missing[0]} has no data, and others have")
    with replacing(path, overwrite, _is_store) as beside:
        group = zarr.open_group(str(beside), mode="w-", zarr_format=3)
        group.attrs.update({"kind": KIND, "notes": list(notes)})
        for name, (dims, values) in arrays.items():
            values = values.astype(np.uint8) if values.dtype == bool else values
            array = group.create_array(
                name,
                shape=values.shape,
                dtype=values.dtype,
                dimension_names=dims,
                fill_value=_lost(values.dtype),
                compressors=_checked(zarr),
                attributes=time_attributes(time_of(shots)) if name == "time" else {},
            )
            array[...] = values
        if not missing:
            _write_data(group, _checked(zarr), shots, [name for name in arrays if name != "time"])
        with warnings.catch_warnings():
            # that the metadata in one place are not in the standard yet; readers that do not know them do without
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(str(beside))
        _sync(beside)


def _checked(zarr: Any) -> tuple:
    """How chunks are packed: with a checksum, so that no bit changes unseen."""
    return zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()


def _write_data(group: Any, compressors: tuple, shots: Sequence[Shot], coordinates: list[str]) -> None:
    dims, space = data_dimensions(shots), space_of(shots)
    n = space.shape[-1]
    rows = max(1, CHUNK // max(1, n * space.dtype.itemsize))
    rows = min(rows, int(np.median(counts_of(shots))))
    array = group.create_array(
        "data",
        shape=space.shape,
        dtype=space.dtype,
        dimension_names=dims,
        fill_value=_lost(space.dtype),
        compressors=compressors,
        chunks=(rows, n) if len(dims) == 2 else (1, rows, n),
        attributes={"coordinates": " ".join(coordinates)},
        config={"write_empty_chunks": True},
    )
    if len(dims) == 2:
        first = 0
        for block in _blocks(shots, rows):
            array[first : first + len(block)] = block
            first += len(block)
        return
    for i, shot in enumerate(shots):
        for a in range(0, len(shot.receivers), rows):
            array[i, a : a + rows] = _finite(shot.take(slice(a, a + rows)).data, i, a)


def _lost(dtype: np.dtype) -> float | int:
    """What a chunk that is lost is read as: what no survey holds, so that it is refused; zeros would not be."""
    if dtype.kind == "f":
        return float("nan")
    return int(np.iinfo(dtype).max if dtype.kind == "u" else np.iinfo(dtype).min)


def _whole(name: str, values: NDArray) -> NDArray:
    """`values`, once none is seen to be lost."""
    if values.dtype.kind not in "fiu":
        return values
    lost = np.isnan(values) if values.dtype.kind == "f" else values == _lost(values.dtype)
    if np.any(lost):
        raise ParameterError(f"{name} is missing or damaged: {np.sum(lost)} of {values.size} values are lost")
    return values


def _blocks(shots: Sequence[Shot], rows: int) -> Iterator[NDArray]:
    """All traces, a whole chunk at a time, so that none is written twice."""
    waiting: list[NDArray] = []
    for i, shot in enumerate(shots):
        for a in range(0, len(shot.receivers), rows):
            waiting.append(_finite(shot.take(slice(a, a + rows)).data, i, a))
            if sum(map(len, waiting)) >= rows:
                joined = np.concatenate(waiting)
                yield joined[:rows]
                waiting = [joined[rows:]]
    rest = np.concatenate(waiting)
    if len(rest):
        yield rest


def _finite(data: NDArray, shot: int, first: int) -> NDArray:
    bad = np.flatnonzero(~np.isfinite(data).all(axis=1))
    if bad.size:
        raise ParameterError(f"to_zarr: receiver {first + bad[0]} of shot {shot} has samples that are not finite")
    return data


def _sync(folder: Path) -> None:
    """Bring all files of a folder to the disk, before it takes its name."""
    for path in folder.rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def _is_store(path: Path) -> bool:
    return path.is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zgroup"))


@dataclass(frozen=True, eq=False)
class _ZarrStore:
    """Traces in the array ``data`` of a Zarr store, numbered from the first shot to the last.

    Attributes
    ----------
    path : str
    shape : tuple of int
        Of the array: (trace, time) or (shot, receiver, time).
    dtype : dtype
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype
    place = "in a Zarr store"

    def read(self, rows: NDArray[np.int64], samples: slice) -> NDArray:
        """Some samples of some traces; neighbours are read together."""
        array = _opened(self.path)["data"]
        if array.shape != self.shape or array.dtype != self.dtype:
            raise ParameterError(
                f"{self.path} has changed since it was opened: its data were {self.shape} {self.dtype} and are "
                f"{array.shape} {array.dtype}. Read the survey again"
            )
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        out = np.empty((len(rows), samples.stop - samples.start), self.dtype)
        for a, b in runs(ordered):
            first, last = int(ordered[a]), int(ordered[b - 1])
            if len(self.shape) == 2:
                out[order[a:b]] = self._read(array, (slice(first, last + 1), samples))
                continue
            n = self.shape[1]
            for shot in range(first // n, last // n + 1):
                low, high = max(first, shot * n), min(last + 1, (shot + 1) * n)
                part = self._read(array, (shot, slice(low - shot * n, high - shot * n), samples))
                out[order[a + low - first : a + high - first]] = part
        return out

    def _read(self, array: Any, key: tuple) -> NDArray:
        try:
            part = array[key]
        except (OSError, ValueError, RuntimeError) as error:
            raise ParameterError(f"{self.path}: data{list(key)} cannot be read: {error}") from error
        if not np.isfinite(part).all():
            raise ParameterError(f"{self.path}: a part of data{list(key)} is missing or damaged: it is not finite")
        return part


def _opened(path: str) -> Any:
    zarr = _zarr()
    try:
        return zarr.open_group(path, mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise ParameterError(f"{path} is no Zarr store that can be read: {error}") from error


def read_zarr(path: str | os.PathLike) -> tuple[list[Shot], tuple[str, ...]]:
    """The shots of a survey and notes about them; see `Survey.from_zarr`."""
    zarr = _zarr()
    name = str(Path(path).absolute())
    if not Path(name).is_dir():
        raise ParameterError(f"{path}: no such folder")
    group = _opened(name)
    try:
        members = {k: v for k, v in group.members() if isinstance(v, zarr.Array)}
        arrays = {k: (_dimensions(v), _whole(f"{path}: {k}", v[...])) for k, v in members.items() if NAMES.match(k)}
        attributes = dict(members["time"].attrs) if "time" in members else {}
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ParameterError(f"{path} is damaged: {error}") from error
    if "data" not in members:
        return shots_of(str(path), arrays, attributes, None, None), _notes(group)
    data = members["data"]
    store = _ZarrStore(name, data.shape, data.dtype)
    return shots_of(str(path), arrays, attributes, _dimensions(data), store), _notes(group)


def _dimensions(array: Any) -> tuple[str, ...]:
    """Names of the dimensions, in format 3 or 2."""
    return tuple(getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS", ()))


def _notes(group: Any) -> tuple[str, ...]:
    return tuple(group.attrs.get("notes", ()))
