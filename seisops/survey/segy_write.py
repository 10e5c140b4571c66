"""SEG-Y out: shot by shot, with scalars that bring coordinates back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seisops.errors import ParameterError
from seisops.survey.atomic import replacing
from seisops.survey.segy_format import BINARY_HEADER, FORMATS, TEXT_HEADER, TRACE_HEADER, trace_header_dtype
from seisops.survey.segy_geometry import scaled
from seisops.survey.segy_read import DEAD
from seisops.survey.shot import Shot
from seisops.survey.together import counts_of, dtype_of
from seisops.wave._validate import real

__all__ = ["chosen_scalar", "write_segy"]

#: Scalars of coordinates in the order in which they are tried: millimetres are what most programs write.
SCALARS = (-1000, -10000, -100, -10, 1, 10, 100, 1000, 10000)
#: Bytes that are written at a time.
BATCH = 2**26
INT16, INT32 = np.iinfo(np.int16), np.iinfo(np.int32)


def write_segy(shots: Sequence[Shot], path: str | os.PathLike, overwrite: bool, precision: float) -> None:
    """See `Survey.to_segy`."""
    path = Path(path)
    precision = real("to_segy precision", precision, "metres", positive=True)
    with replacing(path, overwrite, Path.is_file) as beside:
        plan = _Plan(shots, path, precision)
        with open(beside, "xb") as file:
            file.write(plan.text() + plan.binary())
            first = 1
            for i, count in enumerate(plan.counts):
                for a in range(0, count, plan.batch):
                    file.write(plan.traces(i, a, min(a + plan.batch, count), first))
                first += count
            file.flush()
            os.fsync(file.fileno())


class _Plan:
    """What is the same for all traces of a file: time axis, format, scalars."""

    def __init__(self, shots: Sequence[Shot], path: Path, precision: float):
        self.shots, self.path = shots, path
        self.counts = counts_of(shots)
        for i, shot in enumerate(shots):
            if shot.traces is None:
                raise ParameterError(f"{path}: shot {i} has no data to write: pass data=...")
            if len(shot.sources) > 1:
                raise ParameterError(
                    f"{path}: shot {i} has {len(shot.sources)} sources, and a SEG-Y trace has one; use to_zarr"
                )
        self.n, self.interval = self._sampling()
        self.delays, self.time_scalar = self._delays()
        self.code = {"float32": 5, "float64": 6}[dtype_of(shots).name]
        horizontal = [p[:, :-1].ravel() for shot in shots for p in (shot.sources, shot.receivers)]
        vertical = [p[:, -1] for shot in shots for p in (shot.sources, shot.receivers)]
        self.coordinate_scalar = chosen_scalar(
            "x and y" if shots[0].ndim == 3 else "x", np.concatenate(horizontal), precision
        )
        self.elevation_scalar = chosen_scalar("z", np.concatenate(vertical), precision)

    def _sampling(self) -> tuple[int, int]:
        axes = {(shot.time.n, shot.time.step) for shot in self.shots}
        if len(axes) > 1:
            listed = ", ".join(f"{n} samples of {step:g} s" for n, step in sorted(axes)[:4])
            raise ParameterError(
                f"{self.path}: a SEG-Y file has one length of traces and one sample interval, and the shots have "
                f"{listed}: "
                f"write one file for each of survey.by_time(), or cut them with survey.window"
            )
        n, step = axes.pop()
        interval = round(step * 1e6)
        if abs(step * 1e6 - interval) > 1e-6 or not 1 <= interval <= 65535:
            raise ParameterError(
                f"{self.path}: SEG-Y holds whole microseconds from 1 to 65535, and the sample interval is "
                f"{step * 1e6:.10g} us: use to_zarr"
            )
        if n > 65535:
            raise ParameterError(
                f"{self.path}: SEG-Y holds 65535 samples, and traces have {n}: use to_zarr or survey.window"
            )
        return n, interval

    def _delays(self) -> tuple[NDArray[np.int64], int]:
        starts = np.array([shot.time.start for shot in self.shots])
        for scalar in (1, -10, -100, -1000):
            delays = np.rint(starts * 1000.0 * abs(scalar))
            if np.all(np.abs(delays) <= INT16.max) and np.allclose(delays / (1000.0 * abs(scalar)), starts, 0, 1e-9):
                return delays.astype(np.int64), scalar if delays.any() else 0
        raise ParameterError(
            f"{self.path}: SEG-Y holds times of the first sample in whole ms up to 32.767 s (or fewer whole us), "
            "and they "
            f"are {starts.min():.10g} to {starts.max():.10g} s: use to_zarr"
        )

    def text(self) -> bytes:
        """The textual header, in EBCDIC."""
        lines = [
            "Written by seisops",
            f"{len(self.shots)} shots, {sum(self.counts)} traces of {self.n} samples of {self.interval} us",
            "Lengths in metres; depths positive down from datum 0",
            f"Scalars: coordinates {self.coordinate_scalar}, elevations and depths {self.elevation_scalar}",
            "Source depth: bytes 49-52 (45-48 if above the datum)",
            "Receiver depth: minus the elevation in bytes 41-44",
            "Field record: bytes 9-12; trace number in it: 13-16",
        ]
        lines += [""] * (38 - len(lines)) + ["SEG Y REV2.0" if self.code == 6 else "SEG Y REV1", "END TEXTUAL HEADER"]
        return "".join(f"C{i + 1:2d} {line}"[:80].ljust(80) for i, line in enumerate(lines)).encode("cp500")

    def binary(self) -> bytes:
        """The binary header."""
        counts = set(self.counts)
        most = max(counts)
        fields = {
            3213: most if len(counts) == 1 and most <= INT16.max else 0,
            3217: self.interval,
            3221: self.n,
            3225: self.code,
            3255: 1,  # metres
            3501: 0x0200 if self.code == 6 else 0x0100,
            3503: 1,  # traces of one length
        }
        header = np.zeros(BINARY_HEADER, np.uint8)
        for byte, value in fields.items():
            header[byte - 1 - TEXT_HEADER :][:2] = np.frombuffer(value.to_bytes(2, "big"), np.uint8)
        return header.tobytes()

    @property
    def batch(self) -> int:
        """Traces that are written at a time."""
        return max(1, BATCH // (8 * self.n + TRACE_HEADER))

    def traces(self, i: int, a: int, b: int, first: int) -> bytes:
        """Traces `a` to `b` of shot `i` with their headers; its first trace is number `first` of the file."""
        shot = self.shots[i]
        assert shot.traces is not None  # as __init__ made sure
        count, data = b - a, shot.traces.take(slice(a, b)).read()
        bad = np.flatnonzero(~np.isfinite(data).all(axis=1))
        if bad.size:
            raise ParameterError(f"{self.path}: receiver {a + bad[0]} of shot {i} has samples that are not finite")
        stored = np.dtype(">" + FORMATS[self.code].stored)
        rows = np.zeros((count, TRACE_HEADER + self.n * stored.itemsize), np.uint8)
        rows[:, :TRACE_HEADER] = self._headers(i, a, b, first)
        rows[:, TRACE_HEADER:] = np.ascontiguousarray(data, stored).view(np.uint8)
        return rows.tobytes()

    def _headers(self, i: int, a: int, b: int, first: int) -> NDArray[np.uint8]:
        shot = self.shots[i].take(slice(a, b))
        # filled in as a view of zeroed bytes: copies of structured arrays leave what is between the fields undefined
        raw = np.zeros((b - a, TRACE_HEADER), np.uint8)
        out = raw.view(trace_header_dtype(">"))[:, 0]
        numbers = np.arange(a, b)
        out["line_sequence"] = out["file_sequence"] = _wrapped(first + numbers)
        out["record"] = _wrapped(i + 1 if shot.record is None else shot.record)
        out["source_point"] = _wrapped(i + 1)
        out["trace_number"] = numbers + 1
        out["trace_id"] = 1 if shot.dead is None else np.where(shot.dead, DEAD, 1)
        out["offset"] = np.clip(np.rint(shot.offsets), 0, INT32.max)
        out["coordinate_scalar"], out["elevation_scalar"] = self.coordinate_scalar, self.elevation_scalar
        for name, points in (("source", shot.sources), ("receiver", shot.receivers)):
            out[f"{name}_x"] = _stored(points[:, 0], self.coordinate_scalar)
            if points.shape[1] == 3:
                out[f"{name}_y"] = _stored(points[:, 1], self.coordinate_scalar)
        z = shot.sources[0, -1]
        out["source_depth" if z >= 0 else "source_elevation"] = _stored(np.abs(z), self.elevation_scalar)
        out["receiver_elevation"] = _stored(-shot.receivers[:, -1], self.elevation_scalar)
        out["coordinate_units"] = 1
        out["n_samples"], out["interval"] = self.n, self.interval
        out["delay"], out["time_scalar"] = self.delays[i], self.time_scalar
        return raw


def _wrapped(number):
    """A number as 32 bits hold it: sequence numbers of very large files begin again at 0."""
    return np.asarray(number) % (INT32.max + 1) if np.min(number) >= 0 else np.clip(number, INT32.min, INT32.max)


def _stored(metres: NDArray, scalar: int) -> NDArray[np.int64]:
    return np.rint(metres * -float(scalar) if scalar < 0 else metres / scalar).astype(np.int64)


def chosen_scalar(what: str, metres: NDArray[np.float64], precision: float) -> int:
    """The scalar with which coordinates come back exactly, or else the finest that 32 bits allow.

    Parameters
    ----------
    what : str
        Which coordinates, for messages.
    metres : ndarray
    precision : float
        Metres to which coordinates may be rounded, if they cannot come back exactly.

    Raises
    ------
    ParameterError
        If they would have to be rounded further.
    """
    possible = []
    largest = float(np.abs(metres).max())
    for scalar in SCALARS:
        unit = scalar if scalar > 0 else -1.0 / scalar
        if largest / unit > INT32.max - 1:
            continue
        values = _stored(metres, scalar)
        if np.array_equal(scaled(values, np.full(values.shape, scalar)), metres):
            return scalar
        possible.append((unit, scalar))
    # the coarsest unit that is fine enough: rounding moves points by at most half of it
    enough = [(unit, scalar) for unit, scalar in possible if unit <= precision * (1 + 1e-9)]
    if enough:
        return max(enough)[1]
    finest = f"to {min(possible)[0]:g} m" if possible else "to no power of ten"
    raise ParameterError(
        f"{what} up to {largest:.10g} m fit into the 32-bit integers of SEG-Y {finest}, and "
        f"precision={precision:g} m is "
        f"asked for: "
        + (f"pass precision={min(possible)[0]:g}, " if possible else "")
        + "move the origin, or use to_zarr"
    )
