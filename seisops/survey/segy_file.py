"""One SEG-Y file: its layout, the headers of its traces, and its samples on demand."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seisops.errors import ParameterError
from seisops.survey.segy_format import (
    DATA_START,
    FORMATS,
    IBM,
    IEEE,
    TEXT_HEADER,
    TRACE_FIELDS,
    TRACE_HEADER,
    decoded,
    trace_header_dtype,
)

__all__ = ["BYTE_ORDERS", "EMPTY", "SegyFile", "misread", "open_segy"]

#: Bytes that are read at a time.
CHUNK = 2**22
#: The last of extended textual headers whose number is not stated begins like this.
LAST_TEXT = "((SEG: EndText))"
#: Different samples that tell formats apart: all of them differ in 4 bits by chance once in 1e14.
ENOUGH = 500
#: How many samples, and in how many traces, are looked at for that, at most about.
LOOKED, TRACES = 2048, 100
#: How many numbers of samples that fit are named.
NAMED = 5
#: Beside the fields of trace headers.
EMPTY = "empty"
#: What orders of bytes are called.
BYTE_ORDERS = {"big": ">", "little": "<"}


@dataclass(frozen=True)
class SegyFile:
    """Where everything is in a SEG-Y file; small, and safe to send to another process that sees the file.

    Attributes
    ----------
    path : str
    size, modified : int
        Bytes, and time of the last change in ns: data are refused from a file that has changed since.
    start : int
        First byte of the traces.
    n_traces, n_samples : int
    interval : float
        Sample interval of the binary header in microseconds, 0 if it is not stated.
    format : int
        Code of the samples, a key of `FORMATS`.
    byteorder : {">", "<"}
    revision : int
        0, 1 or 2.
    measurement : int
        1 metres, 2 feet, 0 not stated, anything else wrong.
    notes : tuple of str
        What was odd, and what was done about it.
    """

    path: str
    size: int
    modified: int
    start: int
    n_traces: int
    n_samples: int
    interval: float
    format: int
    byteorder: str
    revision: int
    measurement: int
    notes: tuple[str, ...] = ()

    @property
    def stride(self) -> int:
        """Bytes of a trace with its header."""
        return TRACE_HEADER + self.n_samples * FORMATS[self.format].nbytes

    @property
    def dtype(self) -> np.dtype:
        """The float dtype that holds the samples exactly."""
        return np.dtype(FORMATS[self.format].dtype)

    def headers(self) -> dict[str, NDArray]:
        """The fields of all trace headers, and whether nothing but numbers of samples and intervals is in one: `EMPTY`.

        Samples are not read.
        """
        found, empty = np.empty(self.n_traces, trace_header_dtype("=")), np.empty(self.n_traces, bool)
        layout, batch = trace_header_dtype(self.byteorder), 4096
        with _opened(self) as fd:
            for first in range(0, self.n_traces, batch):
                rows = range(first, min(first + batch, self.n_traces))
                block = b"".join(self._header(fd, row) for row in rows)
                found[rows.start : rows.stop] = np.frombuffer(block, layout)
                raw = np.frombuffer(block, np.uint8).reshape(-1, TRACE_HEADER)
                empty[rows.start : rows.stop] = ~(raw[:, :114].any(axis=1) | raw[:, 118:].any(axis=1))
        return {**{name: np.ascontiguousarray(found[name]) for name in TRACE_FIELDS}, EMPTY: empty}

    def read(self, first: int, count: int, samples: slice) -> Iterator[NDArray]:
        """Samples of `count` traces from trace `first` on, some traces at a time, each piece (traces, samples)."""
        batch = max(1, CHUNK // self.stride)
        with _opened(self) as fd:
            for row in range(first, first + count, batch):
                rows = np.empty((min(batch, first + count - row), self.stride), np.uint8)
                # all but the header in front of the first trace
                self._fill(fd, row, rows.reshape(-1).data[TRACE_HEADER:])
                piece = decoded(rows[:, TRACE_HEADER:], self.format, self.byteorder)[:, samples]
                self._check_finite(piece, row, samples.start or 0)
                yield piece

    def text(self) -> list[str]:
        """Lines of the first textual header, from EBCDIC or ASCII; empty ones at the end left out."""
        with _opened(self) as fd:
            lines = _text(os.pread(fd, TEXT_HEADER, 0))
        while lines and not lines[-1].strip():
            lines.pop()
        return [line.rstrip() for line in lines]

    def _fill(self, fd: int, row: int, buffer: memoryview, skip: int = 0) -> None:
        """Read what follows the header of a trace, some bytes later."""
        start = self.start + row * self.stride + TRACE_HEADER + skip
        try:
            n = os.preadv(fd, [buffer], start)
        except OSError as error:
            raise ParameterError(f"{self.path}: trace {row} cannot be read: {error.strerror}") from error
        if n != len(buffer):
            self._short(row, n + skip + TRACE_HEADER)

    def _header(self, fd: int, row: int) -> bytes:
        try:
            block = os.pread(fd, TRACE_HEADER, self.start + row * self.stride)
        except OSError as error:
            raise ParameterError(f"{self.path}: the header of trace {row} cannot be read: {error.strerror}") from error
        if len(block) != TRACE_HEADER:
            self._short(row, len(block))
        return block

    def _short(self, row: int, n: int) -> None:
        row += n // self.stride
        raise ParameterError(f"{self.path}: the file ends in trace {row} of {self.n_traces}; it was cut short")

    def _check_finite(self, piece: NDArray, first: int, sample: int) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            if np.isfinite(piece.sum(dtype=np.float64)):
                return
        bad = np.argwhere(~np.isfinite(piece))
        if len(bad):
            row, column = bad[0]
            raise ParameterError(
                f"{self.path}: trace {first + row} has {piece[row, column]} at sample {sample + column}, and "
                f"{len(bad) - 1} more samples here are not finite in {piece.dtype}. The file is damaged or not of "
                "format "
                f"{self.format} ({FORMATS[self.format].name}); leave such traces out with Survey.keep(...)"
            )


class _opened:
    """The descriptor of a file that is still the one whose layout was read."""

    def __init__(self, file: SegyFile):
        self.file = file

    def __enter__(self) -> int:
        path = self.file.path
        try:
            self.fd = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise ParameterError(f"{path} cannot be opened: {error.strerror}") from error
        stat = os.fstat(self.fd)
        if (stat.st_size, stat.st_mtime_ns) != (self.file.size, self.file.modified):
            os.close(self.fd)
            raise ParameterError(
                f"{path} has changed since its headers were read: it had {self.file.size} bytes and now has "
                f"{stat.st_size}, last changed at {stat.st_mtime_ns / 1e9:.6f} s (then "
                f"{self.file.modified / 1e9:.6f} s). "
                f"Read the survey again"
            )
        return self.fd

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def open_segy(
    path: str | os.PathLike,
    truncated: str = "raise",
    samples: int | None = None,
    format: int | None = None,
    byteorder: str | None = None,
) -> SegyFile:
    """The layout of a SEG-Y file, from its binary header and its size.

    Parameters
    ----------
    path : path-like
    truncated : {"raise", "drop"}, optional
        What to do with a file that ends in the middle of a trace: refuse it, or leave that trace out and say so.
    samples, format, byteorder : optional
        Samples of a trace, code of the samples and order of bytes (a value of `BYTE_ORDERS`), in place of what the file
        says.

    Raises
    ------
    ParameterError
        If it is no SEG-Y file, holds no traces, ends in the middle of one, or is of a kind that is not supported.
    """
    name = str(Path(path).absolute())
    try:
        with open(name, "rb") as file:
            stat, head = os.fstat(file.fileno()), file.read(DATA_START)
            size = stat.st_size
            if not size:
                raise ParameterError(f"{path} is empty: a SEG-Y file has at least {DATA_START} bytes of headers")
            if len(head) < DATA_START:
                raise ParameterError(
                    f"{path} is not SEG-Y: it has {size} bytes, and the headers alone take {DATA_START}"
                )
            order, code = _format(str(path), head, format, byteorder)
            revision = _revision(head, order)
            notes: list[str] = ["the file is little-endian"] if order == "<" else []
            if format is not None and format != _field(head, 3225, "h", order):
                notes.append(f"format {format} was stated, the file says {_field(head, 3225, 'h', order)}")
            texts = _extended_texts(str(path), file, head, order, revision)
            if not revision:
                texts = _unannounced(
                    file, head, order, samples or _sampling(head, order, 0)[0], FORMATS[code].nbytes, size
                )
                if texts:
                    notes.append(f"{texts} extended textual headers were skipped, though the revision is not stated")
    except OSError as error:
        raise ParameterError(f"{path} cannot be read: {error.strerror}") from error

    start = DATA_START + texts * TEXT_HEADER
    n_samples, interval = _sampling(head, order, revision)
    end = size - _trailer(str(path), head, order, revision, start)
    if start >= end:
        raise ParameterError(f"{path} holds no traces: its headers take {start} bytes, and it has {size}")
    own = n_samples
    if samples is not None:
        if samples != own:
            notes.append(f"{samples} samples were stated, the binary header says {own}")
        n_samples = samples
    if not n_samples:
        n_samples = _first_trace_samples(name, start, order)
        if not n_samples:
            raise ParameterError(
                f"{path}: neither the binary header (bytes 3221-3222) nor the first trace header (115-116) states a "
                f"number of samples: state it, samples=..."
            )
        notes.append(f"the binary header states no number of samples; the first trace header states {n_samples}")
    stride = TRACE_HEADER + n_samples * FORMATS[code].nbytes
    n_traces, rest = divmod(end - start, stride)
    if rest:
        what = f"{path} ends in the middle of trace {n_traces}, after {rest} of its {stride} bytes"
        if truncated != "drop" or not n_traces:
            if samples not in (None, own):
                raise ParameterError(f"{path}: {_misfit(samples, own, end - start, FORMATS[code].nbytes)}")
            raise ParameterError(
                f"{what} ({n_samples} samples of {FORMATS[code].nbytes} bytes): the file was cut short, or its "
                "number of "
                f"samples is wrong. Pass truncated='drop' to read the {n_traces} whole traces, or samples=... to state the "
                "right number"
            )
        notes.append(f"{what}; it was left out")
    return SegyFile(
        name,
        size,
        stat.st_mtime_ns,
        start,
        n_traces,
        n_samples,
        interval,
        code,
        order,
        revision,
        _field(head, 3255, "H", order),
        tuple(notes),
    )


def _misfit(samples: int, own: int, size: int, nbytes: int) -> str:
    """Why a number of samples that was stated cannot be that of traces of so many bytes in all, and which could be."""
    stride = TRACE_HEADER + samples * nbytes
    n_traces, rest = divmod(size, stride)
    fitting, leave = _fitting(size, nbytes), ", or leave samples= out"
    if not own:
        said = "the binary header states none"
    elif own in fitting:
        said = f"the binary header says {own}, which fits"
    else:
        said, leave = f"the binary header says {own}, which does not fit either", ""
    nearest = sorted(sorted(fitting, key=lambda n: abs(n - samples))[:NAMED])
    listed = ", ".join(map(str, nearest)) + (" and others" if len(fitting) > len(nearest) else "")
    drop = (
        f"; if it is right, the file was cut short: truncated='drop' reads {n_traces} whole traces" if n_traces else ""
    )
    return (
        f"samples={samples} does not fit the {size} bytes of its traces, which would be {n_traces} traces of {stride} bytes "
        f"({samples} samples of {nbytes} bytes) and {rest} bytes of another; {said}. State a number that fits "
        f"({listed or 'there is none'}){leave}{drop}"
    )


def _fitting(size: int, nbytes: int) -> list[int]:
    """Numbers of samples of which whole traces are so many bytes, in order."""
    whole = [d for d in range(1, math.isqrt(size) + 1) if size % d == 0]
    strides = {*whole, *(size // d for d in whole)}
    return sorted(
        (d - TRACE_HEADER) // nbytes for d in strides if d > TRACE_HEADER and (d - TRACE_HEADER) % nbytes == 0
    )


def misread(file: SegyFile, most: int = 512) -> str:
    """Why the samples look like another format than that of the file, by a few of its traces; empty if they do not.

    IBM floats are normalised: the first hexadecimal digit of their fraction is not 0. Of IEEE floats those bits are the
    last one of the exponent and the first ones of the fraction, which are all 0 in one of sixteen.
    """
    if FORMATS[file.format].nbytes != 4 or file.format not in (IBM, IEEE):
        return ""
    found, looked = np.empty(0, np.uint32), 0
    with _opened(file) as fd:
        # from the middle on to either side, as far as it takes: traces may be short, or dead
        for row in sorted(
            range(0, file.n_traces, max(1, file.n_traces // TRACES)), key=lambda n: abs(n - file.n_traces // 2)
        ):
            raw = np.empty(4 * min(file.n_samples, most), np.uint8)
            file._fill(fd, row, raw.data, file.stride - TRACE_HEADER - raw.size)
            words = raw.view(f"{file.byteorder}u4").astype(np.uint32)
            found = np.union1d(found, words[(words & 0x7FFFFFFF) != 0])
            looked += len(words)
            if len(found) >= 2 * ENOUGH or looked >= LOOKED:
                break
    if len(found) < ENOUGH:
        return ""
    share, orders = np.mean((found >> 20) & 0xF == 0), len(np.unique((found >> 24) & 0x7F))
    if file.format == IBM and share > 0.02:
        looks = IEEE
    elif file.format == IEEE and share == 0 and orders > 2:  # of one octave, IEEE floats may have no such digit either
        looks = IBM
    else:
        return ""
    return (
        f"samples are {FORMATS[file.format].name}s by the binary header, but look like {FORMATS[looks].name}s: if their "
        f"amplitudes make no sense, pass format={looks}"
    )


def _field(head: bytes, byte: int, kind: str, order: str):
    """A number of the binary header at a byte of the file, counted from 1."""
    return struct.unpack_from(order + kind, head, byte - 1)[0]


def _format(path: str, head: bytes, format: int | None, byteorder: str | None) -> tuple[str, int]:
    """Byte order and sample format; a code is below 256, so that its order is plain."""
    orders = "><" if byteorder is None else byteorder
    codes = {order: _field(head, 3225, "h", order) for order in orders}
    unsupported = {
        4: "fixed point with gain",
        7: "3-byte integer",
        15: "3-byte unsigned integer",
    }
    for order, code in codes.items():
        if code in FORMATS or (format is not None and 0 < code < 256):
            return order, code if format is None else format
    if format is not None:
        return orders[0], format
    known = ", ".join(f"{code} {kind.name}" for code, kind in FORMATS.items())
    for code in codes.values():
        if code in unsupported:
            raise ParameterError(
                f"{path} has samples of format {code} ({unsupported[code]}), not supported; known: {known}"
            )
    raise ParameterError(
        f"{path} is not SEG-Y, or damaged: its binary header states sample format {codes[orders[0]]} (bytes 3225-3226); "
        f"known: {known}. If it is SEG-Y, state it: format=..., and byteorder='little' if that is so"
    )


def _revision(head: bytes, order: str) -> int:
    """0, 1 or 2; some writers put revision 1 as the integer 1. Anything else makes no promise: 0."""
    word = _field(head, 3501, "H", order)
    return {0x0001: 1, 0x0100: 1, 0x0200: 2, 0x0201: 2}.get(word, 0)


def _sampling(head: bytes, order: str, revision: int) -> tuple[int, float]:
    """Number of samples and their interval in microseconds, 0 where not stated."""
    n, interval = _field(head, 3221, "H", order), float(_field(head, 3217, "H", order))
    if revision >= 2:
        extended, exact = _field(head, 3269, "i", order), _field(head, 3273, "d", order)
        n = extended if extended > 0 else n
        interval = exact if np.isfinite(exact) and exact > 0 else interval
    return n, interval


def _extended_texts(path: str, file, head: bytes, order: str, revision: int) -> int:
    """The number of extended textual headers."""
    if not revision:
        return 0
    stated = _field(head, 3505, "h", order)
    if stated >= 0:
        return stated
    count = 0
    while block := file.read(TEXT_HEADER):
        count += 1
        if _text(block)[0].startswith(LAST_TEXT):
            return count
    raise ParameterError(
        f"{path} states a variable number of extended textual headers (bytes 3505-3506: {stated}), but none of them "
        f"is the last, {LAST_TEXT}"
    )


def _unannounced(file, head: bytes, order: str, n_samples: int, nbytes: int, size: int) -> int:
    """The number of extended textual headers of a file of revision 0, which has none, if only so it makes sense."""
    stated, stride = _field(head, 3505, "h", order), TRACE_HEADER + n_samples * nbytes
    if not n_samples or not stated:
        return 0
    has_stanza = _text(file.read(TEXT_HEADER))[0].startswith("((")
    file.seek(DATA_START)
    if not has_stanza and (size - DATA_START) % stride == 0:
        return 0
    if stated < 0:
        stated = 0
        while block := file.read(TEXT_HEADER):
            stated += 1
            if _text(block)[0].startswith(LAST_TEXT):
                break
        else:
            return 0
    rest = size - DATA_START - stated * TEXT_HEADER
    return stated if rest > 0 and rest % stride == 0 else 0


def _trailer(path: str, head: bytes, order: str, revision: int, start: int) -> int:
    """Bytes after the traces (revision 2), once what else revision 2 may add is ruled out."""
    if revision < 2:
        return 0
    # revision 2.1 has made two numbers of this one; the second is the type of the survey
    headers = "h" if _field(head, 3501, "H", order) == 0x0201 else "i"
    extra, first, trailer = (_field(head, b, k, order) for b, k in ((3507, headers), (3521, "Q"), (3529, "i")))
    if extra:
        raise ParameterError(f"{path} has {extra} additional headers for each trace (bytes 3507-3510): not supported")
    if first not in (0, start):
        raise ParameterError(
            f"{path} states that traces begin at byte {first} (3521-3528), but its headers end at byte {start}"
        )
    if trailer < 0:
        raise ParameterError(f"{path} has a trailer of unstated length (bytes 3529-3532: {trailer}): not supported")
    return trailer * TEXT_HEADER


def _first_trace_samples(path: str, start: int, order: str) -> int:
    with open(path, "rb") as file:
        file.seek(start + TRACE_FIELDS["n_samples"][0] - 1)
        word = file.read(2)
    return struct.unpack(order + "H", word)[0] if len(word) == 2 else 0


def _text(block: bytes) -> list[str]:
    """Lines of 80 characters, from whichever of EBCDIC and ASCII makes more of them letters and spaces."""
    readings = [block.decode(code, "replace") for code in ("cp500", "latin-1")]
    text = max(readings, key=lambda t: sum(c.isascii() and (c.isalnum() or c == " ") for c in t))
    text = "".join(c if c.isprintable() else " " for c in text)
    return [text[i : i + 80] for i in range(0, len(text), 80)]
