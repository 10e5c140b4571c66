"""SEG-Y files before they are read: what is in them, and what is odd about it."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seisops.errors import ParameterError
from seisops.survey import segy_geometry as geometry
from seisops.survey.segy_file import SegyFile, misread, open_segy
from seisops.survey.segy_format import FORMATS
from seisops.survey.segy_read import AUXILIARY, DEAD, Rules, file_list, missing_numbers, read_segy, repeated

__all__ = ["FileInfo", "Finding", "Info", "check", "info"]


def __dir__() -> list[str]:
    return __all__


#: Scalars that the standard knows.
SCALARS = {0} | {sign * 10**power for sign in (1, -1) for power in range(5)}
#: Metres beyond which an offset, a height or a depth is taken for a mistake.
FARTHEST, HIGHEST = 100e3, 12e3
MEASUREMENTS = {0: "not stated", 1: "metres", 2: "feet"}


#: A line of a textual header that says nothing: empty, or no more than its number.
BLANK = re.compile(r"\s*(C\s*\d*\s*)?")


@dataclass(frozen=True)
class Finding:
    """Something odd in a file.

    Attributes
    ----------
    level : {"error", "warning", "note"}
        Errors are what `Survey.from_segy` refuses unless told what to do; warnings may make results wrong; notes say
        what is assumed.
    path : str
    message : str
    trace : int or None
        The first trace that it is about, counted from 0.
    """

    level: str
    path: str
    message: str
    trace: int | None = None

    def __str__(self) -> str:
        where = "" if self.trace is None else f", from trace {self.trace} on"
        # messages of errors begin with the path
        return f"{self.level}: {self.path}{where}: {self.message.removeprefix(self.path).lstrip(' :')}"


@dataclass(frozen=True)
class FileInfo:
    """What a SEG-Y file holds; ranges are (smallest, largest), in metres unless coordinates are no lengths.

    Attributes
    ----------
    path : str
    nbytes, n_traces, n_samples, n_sources, n_records, n_dead : int
    step : float
        Sample interval in seconds by the binary header, or else by the first trace header; 0 if neither states it.
    starts : (float, float)
        Times of the first samples in seconds.
    format, byteorder, lengths : str
    revision : int
    coordinate_scalars, elevation_scalars, trace_ids : tuple of int
    ranges : dict
        Of the header fields of positions, by name, and of the offsets.
    text : tuple of str
        Lines of the textual header.
    notes : tuple of str
    """

    path: str
    nbytes: int
    n_traces: int
    n_samples: int
    n_sources: int
    n_records: int
    n_dead: int
    step: float
    starts: tuple[float, float]
    format: str
    byteorder: str
    lengths: str
    revision: int
    coordinate_scalars: tuple[int, ...]
    elevation_scalars: tuple[int, ...]
    trace_ids: tuple[int, ...]
    ranges: dict[str, tuple[float, float]]
    text: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        start = _range(self.starts)
        lines = [
            self.path,
            f"  {self.nbytes / 1e6:.6g} MB, revision {self.revision}, {self.byteorder}, {self.format}",
            f"  {self.n_traces} traces of {self.n_samples} samples of {self.step * 1e3:g} ms, from {start} s",
            f"  {self.n_sources} source positions, {self.n_records} field records, {self.n_dead} dead traces",
            f"  lengths: {self.lengths}; scalars: coordinates {_listed(self.coordinate_scalars)}, elevations "
            f"{_listed(self.elevation_scalars)}; trace codes {_listed(self.trace_ids)}",
            *(f"  {name.replace('_', ' '):20s} {_range(limits)} m" for name, limits in self.ranges.items()),
            *(f"  note: {note}" for note in self.notes),
        ]
        return "\n".join(lines + [f"  | {line}" for line in self.text if not BLANK.fullmatch(line)])


@dataclass(frozen=True)
class Info:
    """What several SEG-Y files hold.

    Attributes
    ----------
    files : tuple of FileInfo
    """

    files: tuple[FileInfo, ...]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.files))


def info(paths: str | os.PathLike | Sequence[str | os.PathLike]) -> Info:
    """What SEG-Y files hold, from their headers; ``str`` of it is a summary.

    Parameters
    ----------
    paths : path-like or sequence of path-like

    Returns
    -------
    Info

    Raises
    ------
    ParameterError
        If a file is no SEG-Y file. Files that end in the middle of a trace are described without it.
    """
    return Info(tuple(_describe(open_segy(path, "drop")) for path in file_list(paths)))


def check(paths: str | os.PathLike | Sequence[str | os.PathLike], samples: bool = False) -> list[Finding]:
    """What is odd in SEG-Y files, worst first.

    Parameters
    ----------
    paths : path-like or sequence of path-like
    samples : bool, optional
        Read all samples too, in search of traces that are zero, not finite or cannot be read.

    Returns
    -------
    list of Finding
        Empty if nothing is.
    """
    listed = file_list(paths)
    found: list[Finding] = []
    for path in listed:
        found += _examine(path, samples)
    if not any(finding.level == "error" for finding in found):
        # what only shows once traces make shots
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read_segy(listed, Rules(depth="elevation"))
        except ParameterError as error:
            found.append(Finding("error", str(listed[0]), str(error)))
    order = ("error", "warning", "note")
    return sorted(found, key=lambda finding: order.index(finding.level))


def _describe(file: SegyFile) -> FileInfo:
    raw = file.headers()
    metre = geometry.FOOT if file.measurement == 2 else 1.0
    sources, receivers = geometry.positions(raw, metre, 0.0, "elevation")
    offsets = np.hypot(*(receivers - sources)[:, :2].T)
    ranges = {
        f"{name}_{axis}": _limits(points[:, d])
        for name, points in (("source", sources), ("receiver", receivers))
        for d, axis in enumerate("xy")
    }
    for name in ("source_elevation", "source_depth", "receiver_elevation"):
        ranges[name] = _limits(geometry.scaled(raw[name], raw["elevation_scalar"]) * metre)
    ranges["offset"] = _limits(offsets)
    units = sorted(set(raw["coordinate_units"].tolist()) - {0, 1})
    lengths = ", ".join(geometry.unit_codes.get(code, f"unknown unit {code}") for code in units)
    return FileInfo(
        file.path,
        file.size,
        file.n_traces,
        file.n_samples,
        len(np.unique(sources, axis=0)),
        len(np.unique(raw["record"])),
        int((raw["trace_id"] == DEAD).sum()),
        (file.interval or float(raw["interval"][0])) / 1e6,
        _limits(geometry.starts(file, raw)),
        FORMATS[file.format].name,
        "big-endian" if file.byteorder == ">" else "little-endian",
        lengths or MEASUREMENTS.get(file.measurement, f"unknown system {file.measurement}"),
        file.revision,
        _distinct(raw["coordinate_scalar"]),
        _distinct(raw["elevation_scalar"]),
        _distinct(raw["trace_id"]),
        ranges,
        tuple(file.text()),
        file.notes,
    )


def _examine(path: str | os.PathLike, samples: bool) -> Iterator[Finding]:
    """What is odd in one file."""
    try:
        open_segy(path)
    except ParameterError as error:
        yield Finding("error", str(path), str(error))
    try:
        file = open_segy(path, "drop")
        raw = file.headers()
    except ParameterError:
        return
    for note in file.notes:
        if "middle of trace" not in note:
            yield Finding("warning", file.path, note)
    for refuse in (geometry.check_samples, geometry.intervals):
        try:
            note = refuse(file, raw)
        except ParameterError as error:
            yield Finding("error", file.path, str(error))
            continue
        if isinstance(note, str) and note:
            yield Finding("warning", file.path, note)
    yield from _units(file, raw)
    yield from _scalars(file, raw)
    yield from _kinds(file, raw)
    metre = geometry.FOOT if file.measurement == 2 else 1.0
    sources, receivers = geometry.positions(raw, metre, 0.0, "elevation")
    yield from _places(file, raw, sources, receivers)
    yield from _heights(file, raw, sources, receivers)
    yield from _numbering(file, raw, sources, receivers)
    if raw["delay"].any():
        yield Finding(
            "note",
            file.path,
            f"first samples are at {_range(_limits(geometry.starts(file, raw)))} s (delay recording time)",
            _first(raw["delay"] != 0),
        )
    if samples:
        yield from _samples(file)


def _units(file: SegyFile, raw: dict[str, NDArray]) -> Iterator[Finding]:
    try:
        _, note = geometry.length_unit(file, raw, None)
    except ParameterError as error:
        yield Finding("error", file.path, str(error))
        return
    if note:
        yield Finding("note", file.path, f"lengths are in feet and become metres (x {geometry.FOOT})")
    elif not file.measurement:
        yield Finding("note", file.path, "the measurement system (bytes 3255-3256) is not stated: metres are assumed")
    if not raw["coordinate_units"].all():
        none = raw["coordinate_units"] == 0
        yield Finding(
            "note",
            file.path,
            f"coordinate units (bytes 89-90) of {none.sum()} traces are not stated: lengths are assumed",
            _first(none),
        )


def _scalars(file: SegyFile, raw: dict[str, NDArray]) -> Iterator[Finding]:
    for name, place in (("coordinate", "71-72"), ("elevation", "69-70")):
        values = raw[f"{name}_scalar"]
        distinct = _distinct(values)
        if 0 in distinct:
            yield Finding(
                "warning",
                file.path,
                f"{name} scalars (bytes {place}) of {(values == 0).sum()} traces are 0: counted as 1",
                _first(values == 0),
            )
        odd = ~np.isin(values, list(SCALARS))
        if odd.any():
            yield Finding(
                "warning",
                file.path,
                f"{name} scalars {_listed(_distinct(values[odd]))} are no powers of ten",
                _first(odd),
            )
        if len(distinct) > 1:
            yield Finding(
                "warning",
                file.path,
                f"{name} scalars differ among traces: {_listed(distinct)}",
                _first(values != values[0]),
            )


def _kinds(file: SegyFile, raw: dict[str, NDArray]) -> Iterator[Finding]:
    ids = raw["trace_id"]
    dead, auxiliary = ids == DEAD, np.isin(ids, AUXILIARY)
    if dead.any():
        yield Finding("warning", file.path, f"{dead.sum()} dead traces (code 2 in bytes 29-30)", _first(dead))
    if auxiliary.any():
        yield Finding(
            "note",
            file.path,
            f"{auxiliary.sum()} auxiliary traces (codes {_listed(_distinct(ids[auxiliary]))}) "
            f"are left out unless trace_ids says otherwise",
            _first(auxiliary),
        )
    live = _distinct(ids[~dead & ~auxiliary])
    if len(live) > 1:
        yield Finding(
            "warning",
            file.path,
            f"traces of several kinds (codes {_listed(live)} in bytes 29-30): choose with trace_ids=...",
        )


def _places(file: SegyFile, raw: dict[str, NDArray], sources: NDArray, receivers: NDArray) -> Iterator[Finding]:
    live = ~np.isin(raw["trace_id"], AUXILIARY)
    for name, points in (("source", sources), ("receiver", receivers)):
        zero = live & ~points[:, :2].any(axis=1)
        # a receiver may well stand at the origin, but not two of one shot
        again = name == "receiver" and zero.sum() > len(np.unique(sources[zero], axis=0))
        if zero.all() or again:
            yield Finding(
                "warning", file.path, f"{zero.sum()} of {zero.size} traces have their {name} at x = y = 0", _first(zero)
            )
    offsets = np.hypot(*(receivers - sources)[:, :2].T)
    far = live & (offsets > FARTHEST)
    if far.any():
        yield Finding(
            "warning",
            file.path,
            f"{far.sum()} receivers are {_range(_limits(offsets[far]))} m from their "
            f"source: are scalars and units right?",
            _first(far),
        )
    stated = np.abs(raw["offset"].astype(np.float64)) * (geometry.FOOT if file.measurement == 2 else 1.0)
    differs = live & (stated > 0) & (np.abs(stated - offsets) > 2 + 0.02 * stated)
    if differs.any():
        i = _first(differs)
        yield Finding(
            "warning",
            file.path,
            f"the offsets of {differs.sum()} traces (bytes 37-40) are not those of their "
            f"coordinates: {stated[i]:.6g} m and {offsets[i]:.6g} m",
            i,
        )


def _heights(file: SegyFile, raw: dict[str, NDArray], sources: NDArray, receivers: NDArray) -> Iterator[Finding]:
    depth = raw["source_depth"]
    if (depth < 0).any():
        yield Finding(
            "warning",
            file.path,
            f"source depths (bytes 49-52) of {(depth < 0).sum()} traces are negative; they are positive down",
            _first(depth < 0),
        )
    z = np.concatenate([sources[:, 2], receivers[:, 2]])
    if z.min() < 0 and z.max() <= 0:
        yield Finding(
            "warning",
            file.path,
            f"all sources and receivers are above the datum, at elevations of "
            f"{_range(_limits(-z))} m: on land pass datum=...; if the fields hold depths, "
            f"pass depth='depth'",
        )
    if not z.any():
        yield Finding(
            "note", file.path, "all elevations and depths are 0; depth=(z of sources, z of receivers) states them"
        )
    high = (np.abs(sources[:, 2]) > HIGHEST) | (np.abs(receivers[:, 2]) > HIGHEST)
    if high.any():
        yield Finding(
            "warning",
            file.path,
            f"{high.sum()} traces lie more than {HIGHEST:g} m from the datum: is the elevation scalar right?",
            _first(high),
        )


def _numbering(file: SegyFile, raw: dict[str, NDArray], sources: NDArray, receivers: NDArray) -> Iterator[Finding]:
    live = np.flatnonzero(~np.isin(raw["trace_id"], AUXILIARY))
    _, shot = np.unique(sources[live], axis=0, return_inverse=True)
    shot, record = shot.ravel(), raw["record"][live]
    pairs = np.unique(np.stack([record, shot], axis=1), axis=0)
    records, sources_of = np.unique(pairs[:, 0], return_counts=True)
    several = records[sources_of > 1]
    if several.size:
        yield Finding(
            "warning",
            file.path,
            f"{several.size} field records have several source positions, first record "
            f"{several[0]}: tell shots apart by='source'",
        )
    records_of = np.bincount(pairs[:, 1])
    if (records_of > 1).any():
        yield Finding(
            "note",
            file.path,
            f"{(records_of > 1).sum()} source positions have several field records; "
            f"by=('source', 'record') keeps them apart",
            int(live[np.argmax(records_of[shot] > 1)]),
        )
    again = repeated(np.column_stack([shot, receivers[live]]))
    if again.any():
        yield Finding(
            "error",
            file.path,
            f"{again.sum()} traces repeat another with the same source and receiver positions: "
            f"pass on_duplicate='first' or 'keep', or tell shots apart by=('source', 'record')",
            int(live[_first(again)]),
        )
    order = np.argsort(shot, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(shot[order])) + 1)
    missing = sum(missing_numbers(raw["trace_number"][live[group]]) for group in groups)
    if missing:
        yield Finding(
            "warning", file.path, f"{missing} traces are missing by the trace numbers within records (bytes 13-16)"
        )
    if len(groups) < len(live) and (np.diff(shot) != 0).sum() >= len(groups):
        yield Finding(
            "note", file.path, "the traces of a shot are not one after another, which makes it slower to read"
        )


def _samples(file: SegyFile) -> Iterator[Finding]:
    zero = 0
    first = None
    if odd := misread(file, file.n_samples):
        yield Finding("warning", file.path, odd)
    for row in range(file.n_traces):
        try:
            trace = next(file.read(row, 1, slice(0, file.n_samples)))
        except ParameterError as error:
            yield Finding("error", file.path, str(error), row)
            continue
        if not trace.any():
            zero, first = zero + 1, row if first is None else first
    if zero:
        yield Finding("warning", file.path, f"all samples of {zero} traces are zero", first)


def _first(mask: NDArray[np.bool_]) -> int:
    return int(np.argmax(mask))


def _distinct(values: NDArray) -> tuple[int, ...]:
    return tuple(np.unique(values).tolist())


def _limits(values: NDArray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _range(limits: tuple[float, float]) -> str:
    low, high = limits
    return f"{low:.10g}" if low == high else f"{low:.10g} to {high:.10g}"


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:8])) + (f" and {len(values) - 8} more" if len(values) > 8 else "")
