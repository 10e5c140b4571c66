"""SEG-Y in: headers once, grouped into shots; traces when they are asked for."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seisops.errors import ParameterError
from seisops.survey import segy_geometry as geometry
from seisops.survey.segy_file import BYTE_ORDERS, EMPTY, SegyFile, misread, open_segy
from seisops.survey.segy_format import FORMATS
from seisops.survey.shot import Shot
from seisops.survey.stores import SegyStore, StoredTraces
from seisops.wave._validate import integer, real
from seisops.wave.time import Time

__all__ = ["AUXILIARY", "DEAD", "Rules", "file_list", "missing_numbers", "read_segy", "repeated"]

#: Trace identification codes (bytes 29-30) of dead traces, and of traces that no receiver recorded.
DEAD = 2
AUXILIARY = (*range(3, 11), *range(18, 23))
KEYS = ("source", "record", "point")
#: Metres within which sources of one field record are hardly different shots.
APART = 5.0


@dataclass(frozen=True)
class Rules:
    """How headers are to be understood: the parameters of `Survey.from_segy`."""

    by: str | Sequence[str] = "source"
    datum: float = 0.0
    depth: str | tuple[float, float] | None = None
    units: str | None = None
    ndim: int | None = None
    step: float | None = None
    start: float | None = None
    trace_ids: Sequence[int] | None = None
    dead: str = "keep"
    on_duplicate: str = "raise"
    truncated: str = "raise"
    samples: int | None = None
    format: int | None = None
    byteorder: str | None = None
    tolerance: float = 0.0

    def __post_init__(self):
        by = (self.by,) if isinstance(self.by, str) else tuple(self.by)
        if not by or not set(by) <= set(KEYS):
            raise ParameterError(f"from_segy(by={self.by!r}): use {', '.join(map(repr, KEYS))} or a tuple of them")
        object.__setattr__(self, "by", by)
        choices = {
            "units": (None, *geometry.UNITS),
            "ndim": (None, 2, 3),
            "dead": ("keep", "drop"),
            "on_duplicate": ("raise", "first", "keep"),
            "truncated": ("raise", "drop"),
            "format": (None, *FORMATS),
            "byteorder": (None, *BYTE_ORDERS),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ParameterError(f"from_segy({name}={getattr(self, name)!r}): use one of {known}")
        object.__setattr__(self, "datum", real("from_segy datum", self.datum, "metres"))
        object.__setattr__(self, "tolerance", real("from_segy tolerance", self.tolerance, "metres"))
        if self.tolerance < 0:
            raise ParameterError(f"from_segy(tolerance={self.tolerance:g}): must not be negative")
        if self.samples is not None:
            object.__setattr__(self, "samples", integer("from_segy samples", self.samples, 1))
        if self.step is not None:
            object.__setattr__(self, "step", real("from_segy step", self.step, "seconds", positive=True))
        if self.start is not None:
            object.__setattr__(self, "start", real("from_segy start", self.start, "seconds"))
        if self.depth is not None and self.depth not in geometry.DEPTHS:
            if isinstance(self.depth, str) or np.shape(self.depth) != (2,):
                raise ParameterError(
                    f"from_segy(depth={self.depth!r}): use 'elevation', 'depth', or (z of sources, z of receivers) in m"
                )
            z = tuple(real("from_segy depth", value, "metres") for value in self.depth)
            object.__setattr__(self, "depth", z)


@dataclass
class _Headers:
    """What the headers of all files say, trace by trace, in metres and seconds."""

    rows: NDArray[np.int64]  # numbers of the traces, through all files
    file: NDArray[np.int64]
    sources: NDArray[np.float64]  # (traces, 3)
    receivers: NDArray[np.float64]
    steps: NDArray[np.float64]
    starts: NDArray[np.float64]
    record: NDArray
    point: NDArray
    number: NDArray
    trace_id: NDArray

    def take(self, index) -> _Headers:
        return _Headers(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def read_segy(paths: str | os.PathLike | Sequence[str | os.PathLike], rules: Rules) -> tuple[list[Shot], list[str]]:
    """The shots of a survey and notes about them; see `Survey.from_segy`."""
    order = rules.byteorder and BYTE_ORDERS[rules.byteorder]
    files = [open_segy(path, rules.truncated, rules.samples, rules.format, order) for path in file_list(paths)]
    notes = [f"{file.path}: {note}" for file in files for note in file.notes]
    for file in files:
        if odd := misread(file):
            notes.append(f"{file.path}: {odd}")
            warnings.warn(f"{file.path}: {odd}", UserWarning, stacklevel=3)
    firsts = np.cumsum([0, *(file.n_traces for file in files)])
    parts = [_read_headers(k, file, int(firsts[k]), rules, notes) for k, file in enumerate(files)]
    headers = (
        parts[0]
        if len(parts) == 1
        else _Headers(*(np.concatenate([getattr(p, name) for p in parts]) for name in _Headers.__dataclass_fields__))
    )
    if not len(headers.rows):
        raise ParameterError(f"{_names(files)}: no trace is left to read; {'; '.join(notes)}")
    _warn_above(headers, rules)
    columns = _columns(files, headers, rules)
    shots = _shots(files, firsts, headers, columns, rules, notes)
    return shots, notes


def file_list(paths: str | os.PathLike | Sequence[str | os.PathLike]) -> list[str | os.PathLike]:
    """One path or several, as a list of different files."""
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not listed:
        raise ParameterError("from_segy: no files are given")
    for path in listed:
        if not isinstance(path, (str, os.PathLike)):
            raise ParameterError(f"from_segy: {path!r} is no path")
        if not Path(path).is_file():
            raise ParameterError(f"{path}: no such file" if not Path(path).exists() else f"{path} is not a file")
    seen: dict[Path, str | os.PathLike] = {}
    for path in listed:
        if (real_path := Path(path).resolve()) in seen:
            raise ParameterError(f"{path} is given twice (also as {seen[real_path]})")
        seen[real_path] = path
    return listed


def _read_headers(k: int, file: SegyFile, first: int, rules: Rules, notes: list[str]) -> _Headers:
    raw = file.headers()
    if rules.samples is None and (note := geometry.check_samples(file, raw)):
        notes.append(f"{file.path}: {note}")
    keep = _wanted(file, raw, rules, notes)
    # refusals name traces by their number in the file, so that all are looked at before some are left out
    metre, note = geometry.length_unit(file, _masked(raw, "coordinate_units", keep), rules.units)
    if note:
        notes.append(note)
    n = file.n_traces
    steps = geometry.intervals(file, _masked(raw, "interval", keep)) if rules.step is None else np.full(n, rules.step)
    starts = geometry.starts(file, raw) if rules.start is None else np.full(n, rules.start)
    sources, receivers = geometry.positions(raw, metre, rules.datum, rules.depth or "elevation")
    headers = _Headers(
        np.arange(first, first + n),
        np.full(n, k),
        sources,
        receivers,
        steps,
        starts,
        raw["record"],
        raw["source_point"],
        raw["trace_number"],
        raw["trace_id"],
    )
    return headers if keep.all() else headers.take(keep)


def _masked(raw: dict[str, NDArray], name: str, keep: NDArray) -> dict[str, NDArray]:
    """The headers, with those of traces that are left out as if they were like the first that is not."""
    if keep.all() or not keep.any():
        return raw
    return {**raw, name: np.where(keep, raw[name], raw[name][keep][0])}


def _wanted(file: SegyFile, raw: dict[str, NDArray], rules: Rules, notes: list[str]) -> NDArray[np.bool_]:
    ids = raw["trace_id"]
    if rules.trace_ids is not None:
        keep = np.isin(ids, list(rules.trace_ids))
        if not keep.all():
            notes.append(
                f"{file.path}: {(~keep).sum()} traces of other kinds than {list(rules.trace_ids)} were left out"
            )
    else:
        auxiliary = np.isin(ids, AUXILIARY)
        keep = ~auxiliary
        if auxiliary.any():
            kinds = sorted(set(ids[auxiliary].tolist()))
            notes.append(f"{file.path}: {auxiliary.sum()} auxiliary traces (codes {kinds}) were left out")
    blank = raw[EMPTY]
    if blank.any() and not blank.all():
        # nobody knows where it was: at (0, 0) it would be a shot of its own
        notes.append(
            f"{file.path}: {blank.sum()} traces with empty headers, first trace {blank.argmax()}, were left out"
        )
        keep &= ~blank
    dead = keep & (ids == DEAD)
    if dead.any():
        done = "left out" if rules.dead == "drop" else "kept and marked (dead='drop' leaves them out)"
        notes.append(f"{file.path}: {dead.sum()} dead traces were {done}")
        if rules.dead == "drop":
            keep &= ~dead
    return keep


def _warn_above(headers: _Headers, rules: Rules) -> None:
    z = np.concatenate([headers.sources[:, 2], headers.receivers[:, 2]])
    if rules.depth is None and z.min() < 0 and z.max() <= 0:
        warnings.warn(
            f"all sources and receivers lie at or above z = 0: z {z.min():g} to {z.max():g} m with datum "
            f"{rules.datum:g} m. "
            "On land, pass datum=... (the elevation of z = 0 in m); if these files hold depths in the elevation "
            "fields, "
            f"pass depth='depth'; if all is as it should be, depth='elevation'",
            UserWarning,
            stacklevel=4,
        )


def _columns(files: Sequence[SegyFile], headers: _Headers, rules: Rules) -> list[int]:
    """Which of x, y, z are coordinates."""
    y = np.concatenate([headers.sources[:, 1], headers.receivers[:, 1]])
    ndim = rules.ndim or (3 if y.any() else 2)
    if ndim == 2 and y.min() != y.max():
        raise ParameterError(
            f"{_names(files)}: y is {y.min():.10g} to {y.max():.10g} m, so that this is no survey along x: leave "
            "ndim out "
            f"and take it to a line with survey.project()"
        )
    return [0, 2] if ndim == 2 else [0, 1, 2]


def _shots(
    files: Sequence[SegyFile], firsts: NDArray, headers: _Headers, columns: list[int], rules: Rules, notes: list[str]
) -> list[Shot]:
    store = SegyStore(tuple(files))
    shots, gaps, doubles = [], 0, 0
    groups = _groups(headers, rules)
    _warn_split(headers, rules, len(groups))
    for rows in groups:
        own = headers.take(rows)
        if len(rows) > 1:  # one trace contradicts nobody
            _check_one(files, firsts, own, rules)
            again = repeated(own.receivers)
            if again.any() and rules.on_duplicate != "keep":
                if rules.on_duplicate == "raise":
                    raise ParameterError(_duplicate(files, firsts, own, again))
                doubles += int(again.sum())
                own = own.take(~again)
            gaps += missing_numbers(own.number)
        time = Time(files[own.file[0]].n_samples, own.steps[0], own.starts[0])
        dead = own.trace_id == DEAD
        shots.append(
            Shot(
                own.sources[:1, columns],
                own.receivers[:, columns],
                time,
                StoredTraces(store, own.rows, 0, time.n),
                int(own.record[0]),
                dead if dead.any() else None,
            )
        )
    if doubles:
        notes.append(f"{doubles} repeated traces were left out")
    if gaps:
        notes.append(f"{gaps} traces are missing by the trace numbers within records (bytes 13-16)")
    return shots


def _groups(headers: _Headers, rules: Rules) -> list[NDArray]:
    """Numbers of the traces of each shot, in the order in which shots and traces appear."""
    keys = []
    if "source" in rules.by:
        keys += [_together(headers.sources, rules.tolerance)] if rules.tolerance else list(headers.sources.T)
    if "record" in rules.by:
        keys += [headers.file, headers.record]
    if "point" in rules.by:
        keys += [headers.file, headers.point]
    order = np.lexsort(keys)
    new = np.zeros(len(order), bool)
    for key in keys:
        new[1:] |= np.diff(key[order]) != 0
    groups = np.split(order, np.flatnonzero(new))
    # lexsort is stable: each group begins with its first trace
    return sorted(groups, key=lambda rows: rows[0])


def _together(points: NDArray, tolerance: float) -> NDArray[np.int64]:
    """A number for each point (n, 3), the same for those that a chain of steps within a tolerance connects."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    places, which = np.unique(points, axis=0, return_inverse=True)
    pairs = cKDTree(places).query_pairs(tolerance, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(places),) * 2)
    return connected_components(graph, directed=False)[1][which.reshape(-1)]


def _warn_split(headers: _Headers, rules: Rules, shots: int) -> None:
    """Say so where one field record became several shots because its sources are a few metres apart."""
    if rules.by != ("source",) or rules.tolerance:
        return
    order = np.lexsort((headers.record, headers.file))
    new = np.flatnonzero(np.diff(headers.record[order]) | np.diff(headers.file[order])) + 1
    if not new.size:
        return
    sources, firsts = headers.sources[order], np.r_[0, new]
    spread = float((np.maximum.reduceat(sources, firsts) - np.minimum.reduceat(sources, firsts)).max())
    if 0 < spread <= APART:
        warnings.warn(
            f"sources of one field record lie up to {spread:.3g} m apart, which makes {shots} shots of {new.size + 1} "
            f"records: pass tolerance={1.1 * spread:.2g} (in m) to take them for one",
            UserWarning,
            stacklevel=4,
        )


def _check_one(files: Sequence[SegyFile], firsts: NDArray, own: _Headers, rules: Rules) -> None:
    """Raise a `ParameterError` unless the traces of a shot share one source and one time axis."""
    parts = [files[k] for k in np.unique(own.file)]
    lengths = sorted({file.n_samples for file in parts})
    if len(lengths) > 1:
        raise ParameterError(
            f"the traces of the shot at {_place(own.sources[0])} come from {_names(parts)} with "
            f"{' and '.join(map(str, lengths))} samples: read the files one by one, or pass by='record'"
        )
    sources = own.sources[:1] if rules.tolerance and "source" in rules.by else own.sources
    for what, values, cure in (
        ("sources", sources, "pass by='source' to tell shots apart by their source"),
        ("sample intervals", own.steps, "pass step=... in seconds to state it"),
        (
            "start times",
            own.starts,
            "pass by=('source', 'record') if they are different shots, or start=... in seconds to state it",
        ),
    ):
        differs = values != values[0]
        odd = np.flatnonzero(differs.any(axis=1) if differs.ndim == 2 else differs)
        if odd.size:
            j = int(odd[0])
            if DEAD in (own.trace_id[0], own.trace_id[j]):
                cure = "one of them is dead: pass dead='drop' to leave dead traces out"
            first, other = (_place(v) if np.ndim(v) else f"{v:g} s" for v in (values[0], values[j]))
            raise ParameterError(
                f"the traces of one shot ({_label(own, rules)}) have different {what}: {first} for "
                f"{_trace(files, firsts, own.rows[0])}, {other} for {_trace(files, firsts, own.rows[j])}; {cure}"
            )


def _label(own: _Headers, rules: Rules) -> str:
    labels = {
        "source": f"source at {_place(own.sources[0])}",
        "record": f"field record {own.record[0]}",
        "point": f"source point {own.point[0]}",
    }
    return ", ".join(labels[key] for key in rules.by)


def _duplicate(files: Sequence[SegyFile], firsts: NDArray, own: _Headers, again: NDArray[np.bool_]) -> str:
    j = int(np.flatnonzero(again)[0])
    i = int(np.flatnonzero((own.receivers == own.receivers[j]).all(axis=1))[0])
    if DEAD in (own.trace_id[i], own.trace_id[j]):
        cure = "Dead traces (code 2 in bytes 29-30) are among them: pass dead='drop' to leave them out"
    elif own.trace_id[i] != own.trace_id[j]:
        cure = (
            f"Their kinds are {own.trace_id[i]} and {own.trace_id[j]} (bytes 29-30): read one component with "
            f"trace_ids=[{own.trace_id[i]}]"
        )
    elif own.record[i] != own.record[j] or own.file[i] != own.file[j]:
        cure = (
            f"Their field records are {own.record[i]} and {own.record[j]}: pass by=('source', 'record') if they are "
            f"different shots"
        )
    else:
        cure = "Pass on_duplicate='first' to keep the first of them, or 'keep' to keep all"
    return (
        f"{again.sum()} traces of the shot at {_place(own.sources[0])} repeat a receiver position: "
        f"{_trace(files, firsts, own.rows[i])} and {_trace(files, firsts, own.rows[j])} are both at "
        f"{_place(own.receivers[j])}. {cure}"
    )


def repeated(points: NDArray) -> NDArray[np.bool_]:
    """Which points (n, 3) are equal to an earlier one."""
    order = np.lexsort(points.T)
    same = np.zeros(len(points), bool)
    same[order[1:]] = (np.diff(points[order], axis=0) == 0).all(axis=1)
    return same


def missing_numbers(numbers: NDArray) -> int:
    """How many numbers are left out between the first and the last, if they number the traces at all.

    They do if they are positive and all different, and most of them are there.
    """
    numbers = np.unique(numbers) if len(numbers) == len(np.unique(numbers)) else numbers[:0]
    if not len(numbers) or numbers[0] < 1:
        return 0
    span = int(numbers[-1]) - int(numbers[0]) + 1
    return span - len(numbers) if span <= 2 * len(numbers) else 0


def _trace(files: Sequence[SegyFile], firsts: NDArray, row: int) -> str:
    k = int(np.searchsorted(firsts, row, "right")) - 1
    return f"trace {row - firsts[k]} of {files[k].path}"


def _place(point: NDArray) -> str:
    return "(" + ", ".join(f"{axis}={c:.10g}" for axis, c in zip("xyz", point, strict=True)) + ") m"


def _names(files: Sequence[SegyFile]) -> str:
    return files[0].path if len(files) == 1 else f"{files[0].path} and {len(files) - 1} more files"
