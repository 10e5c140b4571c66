"""From trace headers to metres and seconds: scalars, units, elevations, depths and time axes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from seisops.errors import ParameterError
from seisops.survey.segy_file import SegyFile
from seisops.survey.segy_format import FORMATS, TRACE_HEADER

__all__ = ["DEPTHS", "FOOT", "UNITS", "intervals", "length_unit", "positions", "scaled", "starts", "unit_codes"]

#: Metres of an international foot.
FOOT = 0.3048
#: What the user may state that lengths are in, and metres of each.
UNITS = {"m": 1.0, "ft": FOOT}
#: What the elevation fields may hold.
DEPTHS = ("elevation", "depth")

unit_codes = {2: "seconds of arc", 3: "decimal degrees", 4: "degrees, minutes and seconds"}


def scaled(values: NDArray, scalars: NDArray) -> NDArray[np.float64]:
    """Values with the scalars of SEG-Y, trace by trace: positive multiplies, negative divides, 0 is 1.

    Division is exact to rounding, so that one position written with two scalars is one position.
    """
    values = np.asarray(values, np.int64)
    factors = np.where(scalars == 0, 1, scalars).astype(np.int64)
    return np.where(factors > 0, values * factors, values / np.abs(factors))


def length_unit(file: SegyFile, headers: Mapping[str, NDArray], units: str | None) -> tuple[float, str]:
    """Metres of the file's unit of length, and a note on it (empty where there is nothing to say).

    Raises
    ------
    ParameterError
        If coordinates are angles, or a code is unknown and `units` does not state what they are.
    """
    if units is not None:
        if units not in UNITS:
            raise ParameterError(f"units={units!r}: use {' or '.join(map(repr, UNITS))}, or None to follow the file")
        return UNITS[units], ""
    codes = headers["coordinate_units"]
    odd = np.flatnonzero((codes != 0) & (codes != 1))
    if odd.size:
        code = int(codes[odd[0]])
        what = f"in {unit_codes[code]}" if code in unit_codes else "of an unknown unit"
        raise ParameterError(
            f"{file.path}: the coordinates of {odd.size} of {codes.size} traces, first trace {odd[0]}, are {what} "
            f"(code {code} in bytes 89-90), and modeling needs metres. Project them to metres first; if they are "
            "lengths "
            f"and the code is wrong, pass units='m' or units='ft'"
        )
    if file.measurement not in (0, 1, 2):
        raise ParameterError(
            f"{file.path}: the measurement system in bytes 3255-3256 is {file.measurement}; 1 is metres, 2 is feet. "
            f"State it: units='m' or units='ft'"
        )
    if file.measurement == 2:
        return FOOT, f"coordinates were converted from feet ({FOOT} m): {file.path}"
    return 1.0, ""


def positions(
    headers: Mapping[str, NDArray], metre: float, datum: float, depth: str | tuple[float, float]
) -> tuple[NDArray, NDArray]:
    """Sources and receivers of every trace, two arrays (traces, 3) of x, y, z in metres, z down.

    Parameters
    ----------
    headers : mapping
        Fields by name, as :meth:`SegyFile.headers` returns them.
    metre : float
        Metres of the unit of length.
    datum : float
        Elevation in metres of z = 0.
    depth : {"elevation", "depth"} or (float, float)
        What the elevation fields hold; or z of all sources and all receivers in metres.
    """
    scalar, n = headers["coordinate_scalar"], len(headers["coordinate_scalar"])
    sources, receivers = np.empty((n, 3)), np.empty((n, 3))
    for column, axis in enumerate("xy"):
        sources[:, column] = scaled(headers[f"source_{axis}"], scalar) * metre
        receivers[:, column] = scaled(headers[f"receiver_{axis}"], scalar) * metre
    if not isinstance(depth, str):
        sources[:, 2], receivers[:, 2] = depth
        return sources, receivers
    scalar, sign = headers["elevation_scalar"], -1 if depth == "elevation" else 1
    # whole numbers are added before they are scaled, so that -12.3 m + 4.5 m is -7.8 m to the last bit
    below = headers["source_depth"].astype(np.int64) + sign * headers["source_elevation"].astype(np.int64)
    sources[:, 2] = scaled(below, scalar) * metre
    receivers[:, 2] = scaled(sign * headers["receiver_elevation"].astype(np.int64), scalar) * metre
    if datum:
        sources[:, 2] = np.round(sources[:, 2] + datum, 9)
        receivers[:, 2] = np.round(receivers[:, 2] + datum, 9)
    # no negative zeros
    return sources + 0.0, receivers + 0.0


def intervals(file: SegyFile, headers: Mapping[str, NDArray]) -> NDArray[np.float64]:
    """Sample interval of every trace in seconds, once binary and trace headers are seen to agree.

    Raises
    ------
    ParameterError
        If they disagree, or neither states an interval.
    """
    own, common = headers["interval"].astype(np.float64), file.interval
    for stated in (common, *own[:1]):
        if stated > np.iinfo(np.int16).max and not (2**16 - stated) % 250:  # 4 ms are -4000 us
            raise ParameterError(
                f"{file.path} states a sample interval of {stated:g} us, or of {stated - 2**16:g} us if that is a signed "
                "number: pass step=... in seconds to state the right one"
            )
    if common:
        # the interval of revision 2 is a fraction, of which the trace header holds the whole part
        odd = np.flatnonzero((own != 0) & (np.abs(own - common) >= (1 if common % 1 else 1e-9)))
        if odd.size:
            raise ParameterError(
                f"{file.path}: the binary header states a sample interval of {common:g} us, but the headers of "
                f"{odd.size} "
                f"of {own.size} traces differ, first trace {odd[0]} with {own[odd[0]]:g} us. Pass step=... in "
                "seconds to "
                f"state the right one"
            )
        return np.full(own.size, common / 1e6)
    missing = np.flatnonzero(own == 0)
    if missing.size:
        raise ParameterError(
            f"{file.path}: neither the binary header (bytes 3217-3218) nor the header of trace {missing[0]} (117-118) "
            f"states a sample interval. Pass step=... in seconds"
        )
    return own / 1e6


def check_samples(file: SegyFile, headers: Mapping[str, NDArray]) -> str:
    """A note if trace headers state another number of samples than the file has by its size; empty if they do not.

    Raises
    ------
    ParameterError
        If the file may as well be read by what they state.
    """
    own = headers["n_samples"]
    odd = np.flatnonzero((own != 0) & (own != file.n_samples))
    if not odd.size or file.n_samples > np.iinfo(np.uint16).max:
        return ""
    what = (
        f"traces have {file.n_samples} samples by the binary header, but the headers of {odd.size} of {own.size} traces "
        f"differ, first trace {odd[0]} with {own[odd[0]]}"
    )
    nbytes, sample = file.n_traces * file.stride, FORMATS[file.format].nbytes
    uniform = (nbytes % (TRACE_HEADER + int(n) * sample) == 0 for n in np.unique(own[odd]))
    each = np.where(own == 0, file.n_samples, own).sum(dtype=np.int64) * sample + own.size * TRACE_HEADER == nbytes
    if each or any(uniform):
        raise ParameterError(
            f"{file.path}: {what}. Traces of different lengths in one file are not supported; if all have one length, "
            "state it: samples=..."
        )
    return f"{what}; the size of the file is that of {file.n_samples}"


def starts(file: SegyFile, headers: Mapping[str, NDArray]) -> NDArray[np.float64]:
    """Time of the first sample of every trace in seconds: the delay recording time, with its scalar."""
    delay = headers["delay"].astype(np.int64)
    if not file.revision:  # which has no scalar of times
        return delay / 1000.0
    scalar = headers["time_scalar"].astype(np.int64)
    scalar[scalar == 0] = 1
    return np.where(scalar > 0, delay * scalar / 1000.0, delay / (1000.0 * np.abs(scalar)))
