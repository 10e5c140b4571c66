"""What the bytes of a SEG-Y file mean: header fields and sample formats (SEG-Y revisions 0, 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BINARY_HEADER",
    "DATA_START",
    "FORMATS",
    "TRACE_FIELDS",
    "TRACE_HEADER",
    "SampleFormat",
    "decoded",
    "ibm",
    "trace_header_dtype",
]

#: Bytes of a textual header, of the binary header after it, and of a header in front of each trace.
TEXT_HEADER, BINARY_HEADER, TRACE_HEADER = 3200, 400, 240
#: Where traces begin in a file without extended textual headers.
DATA_START = TEXT_HEADER + BINARY_HEADER

#: Fields of a trace header: first byte, counted from 1 as the standard does, and kind of number.
TRACE_FIELDS = {
    "line_sequence": (1, "i4"),
    "file_sequence": (5, "i4"),
    "record": (9, "i4"),
    "trace_number": (13, "i4"),
    "source_point": (17, "i4"),
    "trace_id": (29, "i2"),
    "offset": (37, "i4"),
    "receiver_elevation": (41, "i4"),
    "source_elevation": (45, "i4"),
    "source_depth": (49, "i4"),
    "elevation_scalar": (69, "i2"),
    "coordinate_scalar": (71, "i2"),
    "source_x": (73, "i4"),
    "source_y": (77, "i4"),
    "receiver_x": (81, "i4"),
    "receiver_y": (85, "i4"),
    "coordinate_units": (89, "i2"),
    "delay": (109, "i2"),
    "n_samples": (115, "u2"),
    "interval": (117, "u2"),
    "time_scalar": (215, "i2"),
}


def trace_header_dtype(byteorder: str) -> np.dtype:
    """The structured dtype of a trace header in byte order ``">"`` or ``"<"``."""
    return np.dtype(
        {
            "names": list(TRACE_FIELDS),
            "formats": [byteorder + kind for _, kind in TRACE_FIELDS.values()],
            "offsets": [byte - 1 for byte, _ in TRACE_FIELDS.values()],
            "itemsize": TRACE_HEADER,
        }
    )


@dataclass(frozen=True)
class SampleFormat:
    """A kind of sample: its name, NumPy's code for its bytes, and the smallest float dtype that holds it exactly."""

    name: str
    stored: str
    dtype: str

    @property
    def nbytes(self) -> int:
        """Bytes of one sample."""
        return int(self.stored[1:])


#: Codes of the binary header (bytes 3225-3226). Integers of 32 bits need float64, those of 64 bits
#: are rounded to its 53; IBM floats have 24 bits or fewer.
FORMATS = {
    1: SampleFormat("IBM float", "u4", "float32"),
    2: SampleFormat("4-byte integer", "i4", "float64"),
    3: SampleFormat("2-byte integer", "i2", "float32"),
    5: SampleFormat("IEEE float", "f4", "float32"),
    6: SampleFormat("8-byte IEEE float", "f8", "float64"),
    8: SampleFormat("1-byte integer", "i1", "float32"),
    9: SampleFormat("8-byte integer", "i8", "float64"),
    10: SampleFormat("4-byte unsigned integer", "u4", "float64"),
    11: SampleFormat("2-byte unsigned integer", "u2", "float32"),
    12: SampleFormat("8-byte unsigned integer", "u8", "float64"),
    16: SampleFormat("1-byte unsigned integer", "u1", "float32"),
}
IBM, IEEE = 1, 5

# sign and power of 16 of an IBM float, by its first byte; the fraction counts in units of 2**-24
_IBM_SCALES = np.array([(-1.0 if byte & 0x80 else 1.0) * 16.0 ** ((byte & 0x7F) - 64) / 2**24 for byte in range(256)])


def ibm(words: NDArray[np.uint32]) -> NDArray[np.float32]:
    """IBM floats from their 32-bit words; those beyond the range of float32 become infinite."""
    with np.errstate(over="ignore", under="ignore"):
        return ((words & np.uint32(0xFFFFFF)) * _IBM_SCALES[words >> np.uint32(24)]).astype(np.float32)


def decoded(samples: NDArray[np.uint8], code: int, byteorder: str) -> NDArray:
    """Samples as floats from their bytes.

    Parameters
    ----------
    samples : ndarray of uint8, shape (traces, bytes)
    code : int
        A key of `FORMATS`.
    byteorder : {">", "<"}
    """
    stored = np.ascontiguousarray(samples).view(byteorder + FORMATS[code].stored)
    if code == IBM:
        return ibm(stored.astype(np.uint32))
    return stored.astype(FORMATS[code].dtype)
