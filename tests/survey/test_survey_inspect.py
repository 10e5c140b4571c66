"""What is in SEG-Y files and what is odd about it, before they are read."""

from __future__ import annotations

import struct
import warnings

import numpy as np
import pytest
from rawsegy import line, segy

from seisops.errors import ParameterError
from seisops.survey import Survey, check, info


@pytest.fixture
def examine(tmp_path):
    def examine(traces, samples, cut=None, **binary):
        path = tmp_path / "a.segy"
        path.write_bytes(segy(traces, samples, **binary)[:cut])
        return {(f.level, f.message): f for f in check(path, samples=True)}, path

    return examine


def test_a_sound_file_has_no_findings(examine):
    assert examine(*line())[0] == {}


def changed(**fields):
    """A survey of 2 x 3 traces in which trace 4 is different."""
    traces, samples = line()
    traces[4].update(fields)
    return traces, samples


@pytest.mark.parametrize(
    ("traces", "binary", "level", "words", "trace"),
    [
        (line(scalar=0), {}, "warning", "coordinate scalars (bytes 71-72) of 6 traces are 0", 0),
        (changed(elevation_scalar=0), {}, "warning", "elevation scalars differ among traces: 0, 1", 4),
        (changed(scalar=-7), {}, "warning", "coordinate scalars -7 are no powers of ten", 4),
        (changed(units=2), {}, "error", "seconds of arc", None),
        (line(units=0), {}, "note", "6 traces are not stated", 0),
        (line(), {"measurement": 0}, "note", "metres are assumed", None),
        (line(), {"measurement": 2}, "note", "in feet", None),
        (line(), {"measurement": 3}, "error", "measurement system", None),
        (changed(id=2), {}, "warning", "1 dead traces", 4),
        (changed(id=5), {}, "note", "1 auxiliary traces", 4),
        (changed(id=12), {}, "warning", "several kinds (codes 1, 12", None),
        (line(sx=0, sy=0, rx=0, ry=0), {}, "warning", "6 of 6 traces have their source at x = y = 0", 0),
        (changed(rx=2_000_000_000), {}, "warning", "1 receivers are 1999999900 m from their source", 4),
        (line(offset=300), {}, "warning", "offsets of 6 traces (bytes 37-40)", 0),
        (changed(source_depth=-6), {}, "warning", "source depths (bytes 49-52) of 1 traces are negative", 4),
        (line(source_depth=0, receiver_elevation=50, source_elevation=20), {}, "warning", "pass depth='depth'", None),
        (line(source_depth=0, receiver_elevation=0), {}, "note", "all elevations and depths are 0", None),
        (changed(receiver_elevation=90_000), {}, "warning", "more than 12000 m from the datum", 4),
        (changed(dt=2000), {}, "error", "sample interval of 4000 us", None),
        (changed(ns=4), {}, "warning", "5 samples by the binary header", None),
        (changed(record=1), {}, "warning", "field records have several source positions, first record 1", None),
        (changed(record=7), {}, "note", "1 source positions have several field records", 3),
        (changed(rx=5), {}, "error", "1 traces repeat another", 4),
        (changed(number=3), {}, "", "", None),
        (changed(delay=8), {}, "note", "delay recording time", 4),
        (changed(delay=8), {}, "error", "different start times", None),
    ],
)
def test_findings(examine, traces, binary, level, words, trace):
    found, path = examine(*traces, **binary)
    if not words:
        assert not any(key[0] == "error" for key in found)
        return
    matching = [f for (kind, message), f in found.items() if kind == level and words in message]
    assert matching and matching[0].trace == trace, "\n".join(map(str, found.values()))
    assert str(path) in str(matching[0]) and (trace is None or f"trace {trace}" in str(matching[0]))


def test_errors_are_what_reading_refuses(examine):
    """A file has an error if and only if `from_segy` refuses it as it is."""
    cases = [
        line(),
        line(scalar=0),
        changed(units=2),
        changed(dt=1),
        changed(ns=2),
        changed(rx=5),
        changed(delay=9),
        changed(id=2),
        line(sx=0),
        line(rx=1),
        changed(source_depth=1),
    ]
    for traces, samples in cases:
        found, path = examine(traces, samples)
        refused = False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Survey.from_segy(path)
        except ParameterError:
            refused = True
        assert any(level == "error" for level, _ in found) == refused


def test_missing_and_scattered_traces(examine):
    traces, samples = line(shots=2, receivers=6)
    keep = [0, 6, 1, 7, 3, 8, 5, 9, 10, 11]
    found, _ = examine([traces[i] for i in keep], samples[keep])
    assert any("2 traces are missing" in message for _, message in found)
    assert any("not one after another" in message for _, message in found)


def test_samples(examine):
    traces, samples = line()
    samples[2] = 0
    samples[5, 1] = np.inf
    found, _ = examine(traces, samples)
    assert found.pop(("warning", "all samples of 1 traces are zero")).trace == 2
    assert [f.trace for f in found.values()] == [5]


def test_damaged_files(examine, tmp_path):
    found, path = examine(*line(), cut=-10)
    assert [level for level, _ in found] == ["error"] and "middle of trace 5" in next(iter(found))[1]
    path.write_bytes(b"nothing")
    assert [f.level for f in check(path)] == ["error"]
    with pytest.raises(ParameterError, match="no such file"):
        check(tmp_path / "none.segy")


def test_worst_comes_first(examine):
    found, _ = examine(*changed(units=2, id=2, delay=3))
    levels = [level for level, _ in found]
    assert levels == sorted(levels, key=("error", "warning", "note").index) and set(levels) == {
        "error",
        "warning",
        "note",
    }


def test_the_summary(tmp_path):
    path = tmp_path / "a.segy"
    data = bytearray(segy(*line(scalar=-10, delay=100), measurement=2))
    data[:22] = "C 1 Client: somebody's".encode("cp500")
    path.write_bytes(bytes(data))
    found = info(path)
    (one,) = found.files
    assert (one.n_traces, one.n_samples, one.n_sources, one.n_records, one.step) == (6, 5, 2, 2, 0.004)
    assert one.starts == (0.1, 0.1) and one.coordinate_scalars == (-10,) and one.ranges["source_x"] == (0, 10 * 0.3048)
    for part in ("6 traces of 5 samples of 4 ms, from 0.1 s", "lengths: feet", "IEEE float", "C 1 Client: somebody's"):
        assert part in str(found)
    struct.pack_into(">h", data, 3600 + 88, 2)
    path.write_bytes(bytes(data))
    assert "seconds of arc" in str(info([path]))
    with pytest.raises(ParameterError, match="empty"):
        path.write_bytes(b"")
        info(path)


def test_the_summary_of_another_code(data):
    found = info(data / "unit_test_shot_records_2.segy").files[0]
    assert found.n_sources == 2 and found.ranges["receiver_elevation"] == (50.0, 50.0)
    assert found.ranges["receiver_x"] == (50.0, 1150.0) and found.ranges["source_x"] == (100.0, 1100.0)
    findings = check(data / "unit_test_shot_records_2.segy", samples=True)
    assert [f.level for f in findings] == ["warning", "note", "note"] and "depth='depth'" in findings[0].message
