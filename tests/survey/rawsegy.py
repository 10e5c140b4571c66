"""SEG-Y byte by byte with ``struct``, independent of the package: a writer and a reader to compare with."""

from __future__ import annotations

import struct

import numpy as np

#: First byte (from 1) and kind of the fields that tests write.
FIELDS = {
    "record": (9, "i"),
    "number": (13, "i"),
    "point": (17, "i"),
    "id": (29, "h"),
    "offset": (37, "i"),
    "receiver_elevation": (41, "i"),
    "source_elevation": (45, "i"),
    "source_depth": (49, "i"),
    "elevation_scalar": (69, "h"),
    "scalar": (71, "h"),
    "sx": (73, "i"),
    "sy": (77, "i"),
    "rx": (81, "i"),
    "ry": (85, "i"),
    "units": (89, "h"),
    "delay": (109, "h"),
    "ns": (115, "H"),
    "dt": (117, "H"),
    "time_scalar": (215, "h"),
}
BINARY = {
    "dt": (3217, "H"),
    "ns": (3221, "H"),
    "format": (3225, "h"),
    "measurement": (3255, "h"),
    "revision": (3501, "H"),
    "texts": (3505, "h"),
}
DEFAULTS = {"id": 1, "scalar": 1, "elevation_scalar": 1, "units": 1}
KINDS = {1: ("I", 4), 2: ("i", 4), 3: ("h", 2), 5: ("f", 4), 6: ("d", 8), 8: ("b", 1)}


def segy(traces, samples, order=">", **binary):
    """The bytes of a file: ``traces`` are dictionaries of header fields, ``samples`` an array (traces, n)."""
    samples = np.asarray(samples)
    n = samples.shape[1]
    head = bytearray(3600)
    for name, value in {"dt": 4000, "ns": n, "format": 5, "measurement": 1, **binary}.items():
        byte, kind = BINARY[name]
        struct.pack_into(order + kind, head, byte - 1, value)
    code, _ = KINDS[binary.get("format", 5)]
    out = bytes(head)
    if binary.get("texts", 0) > 0:
        out += bytes(3200 * binary["texts"])
    for fields, values in zip(traces, samples, strict=True):
        header = bytearray(240)
        for name, value in {**DEFAULTS, "ns": n, "dt": 4000, **fields}.items():
            byte, kind = FIELDS[name]
            struct.pack_into(order + kind, header, byte - 1, value)
        out += bytes(header) + struct.pack(f"{order}{n}{code}", *values.tolist())
    return out


def line(shots=2, receivers=3, ns=5, **fields):
    """Headers and samples of a small regular survey; every sample is different."""
    traces = [
        {
            "record": s + 1,
            "number": r + 1,
            "sx": 100 * s,
            "rx": 10 * r + 5,
            "receiver_elevation": -8,
            "source_depth": 6,
            **fields,
        }
        for s in range(shots)
        for r in range(receivers)
    ]
    return traces, np.arange(len(traces) * ns, dtype="f4").reshape(-1, ns) + 1


def scaled(value, scalar):
    """A coordinate by the rules of the standard, in Python's own arithmetic."""
    scalar = scalar or 1
    return float(value * scalar) if scalar > 0 else value / -scalar


def ibm(word):
    """An IBM float from its bits."""
    sign, power, fraction = word >> 31, (word >> 24) & 0x7F, word & 0xFFFFFF
    return (-1) ** sign * fraction / 2**24 * 16.0 ** (power - 64)


def read(data):
    """(source, receiver, start, samples) of every trace that is not auxiliary, from the bytes of a file."""
    order = ">"
    get = lambda byte, kind: struct.unpack_from(order + kind, data, byte - 1)[0]  # noqa: E731
    ns, code, measurement = get(3221, "H"), get(3225, "h"), get(3255, "H")
    rev1 = get(3501, "H") in (0x0100, 1, 0x0200, 0x0201)
    begin = 3600 + (3200 * get(3505, "h") if rev1 else 0)
    ns = ns or get(begin + 115, "H")  # as the binary header does not state it
    kind, size = KINDS[code]
    out, heads = [], []
    for at in range(begin, len(data) - 239, 240 + ns * size):
        heads.append((at, {name: get(at + byte, k) for name, (byte, k) in FIELDS.items()}))
    empty = [not any(data[at : at + 114]) and not any(data[at + 118 : at + 240]) for at, _ in heads]
    for (at, h), is_empty in zip(heads, empty, strict=True):
        if is_empty and not all(empty):
            continue
        if 3 <= h["id"] <= 10 or 18 <= h["id"] <= 22:
            continue
        unit = 0.3048 if measurement == 2 else 1.0
        x = [scaled(h[name], h["scalar"]) * unit for name in ("sx", "sy", "rx", "ry")]
        zs = scaled(h["source_depth"] - h["source_elevation"], h["elevation_scalar"]) * unit
        zr = scaled(-h["receiver_elevation"], h["elevation_scalar"]) * unit
        start = scaled(h["delay"], h["time_scalar"] if rev1 else 1) / 1000
        samples = struct.unpack_from(f"{order}{ns}{kind}", data, at + 240)
        if code == 1:
            samples = [ibm(word) for word in samples]
        out.append(((x[0], x[1], zs), (x[2], x[3], zr), start, samples))
    return out


def same(a, b, exact=True):
    """Whether two surveys have the same shots with the same geometry, time axes and data."""
    close = np.array_equal if exact else (lambda p, q: p.shape == q.shape and np.allclose(p, q, rtol=0, atol=6e-4))
    return len(a) == len(b) and all(
        close(s.sources, t.sources)
        and close(s.receivers, t.receivers)
        and s.time == t.time
        and s.data.dtype == t.data.dtype
        and np.array_equal(s.data, t.data)
        and np.array_equal(s.dead if s.dead is not None else [], t.dead if t.dead is not None else [])
        for s, t in zip(a, b, strict=True)
    )
