"""SEG-Y files that are wrong about themselves: what can be told from the bytes is, and the rest can be stated."""

from __future__ import annotations

import struct
import warnings

import numpy as np
import pytest
from rawsegy import line, segy

from seisops.errors import ParameterError
from seisops.survey import Survey
from seisops.survey.inspect import check

RNG = np.random.default_rng(0)


@pytest.fixture
def write(tmp_path):
    def write(traces, samples, name="a.segy", **binary):
        path = tmp_path / name
        path.write_bytes(segy(traces, samples, **binary))
        return path

    return write


def patched(path, byte, kind, value, order=">"):
    raw = bytearray(path.read_bytes())
    struct.pack_into(order + kind, raw, byte - 1, value)
    path.write_bytes(raw)
    return path


# ---- lengths


def test_stale_counts_in_trace_headers(write):
    """The size of the file says who is right."""
    traces, samples = line(ns=50)
    stale = [{**t, "ns": 49} for t in traces]
    survey = Survey.from_segy(write(stale, samples))
    assert np.array_equal(survey.data.reshape(6, 50), samples)
    assert "49; the size of the file is that of 50" in survey.notes[0]
    assert any("the size of the file is that of 50" in str(f) for f in check(write(stale, samples)))


def test_counts_that_may_be_right(write):
    """Two traces of 300 samples are as long as four of 120: 2 (240 + 4 x 300) = 4 (240 + 4 x 120)."""
    traces, samples = line(1, 2, ns=300)
    path = write([{**t, "ns": 120} for t in traces], samples)
    with pytest.raises(ParameterError, match=r"300 samples by the binary header.*with 120.*state it: samples=\.\.\."):
        Survey.from_segy(path)
    assert Survey.from_segy(path, samples=300).data.shape[-1] == 300


def test_a_count_that_is_stated(write):
    traces, samples = line(ns=50)
    path = write(traces, samples, ns=49)
    with pytest.raises(ParameterError, match="samples=... to state the right number"):
        Survey.from_segy(path)
    survey = Survey.from_segy(path, samples=50)
    assert np.array_equal(survey.data.reshape(6, 50), samples) and "50 samples were stated" in survey.notes[0]
    path = write([{**t, "ns": 0} for t in traces], samples, ns=0)
    with pytest.raises(ParameterError, match=r"state it, samples=\.\.\."):
        Survey.from_segy(path)
    assert np.array_equal(Survey.from_segy(path, samples=50).data.reshape(6, 50), samples)


def test_a_stated_count_that_does_not_fit(write):
    """It is what is wrong, not the file; of 2640 bytes in all there are traces of 50 samples, and of some other numbers."""
    traces, samples = line(ns=50)
    for own, said in (
        (50, "the binary header says 50, which fits"),
        (0, "states none"),
        (49, "49, which does not fit"),
    ):
        path = write([{**t, "ns": own} for t in traces], samples, ns=own)
        with pytest.raises(ParameterError) as caught:
            Survey.from_segy(path, samples=51)
        words = str(caught.value)
        assert "samples=51 does not fit the 2640 bytes of its traces, which would be 5 traces of 444 bytes" in words
        assert said in words and "a number that fits (6, 50, 72, 105, 160 and others)" in words
        assert "if it is right, the file was cut short: truncated='drop' reads 5 whole traces" in words
        for fitting in (6, 50, 72, 105, 160):
            assert not 2640 % (240 + 4 * fitting)
    with pytest.raises(ParameterError, match=r"samples=5000 does not fit .* 0 traces of 20240 bytes .*samples= out$"):
        Survey.from_segy(write(traces, samples), samples=5000, truncated="drop")
    assert len(Survey.from_segy(write(traces, samples), samples=51, truncated="drop").notes) == 2


@pytest.mark.parametrize("n", [40_000, 70_000])
def test_long_traces(write, n):
    traces, samples = line(1, 2, ns=n)
    short = {"ns": n % 2**16} if n > 2**16 else {}
    path = write([{**t, **short} for t in traces], samples, **short)
    options = {"samples": n} if short else {}
    assert np.array_equal(Survey.from_segy(path, **options).data.reshape(2, n), samples)


# ---- formats


def test_an_order_and_a_format_that_are_stated(write):
    traces, samples = line(ns=20)
    path = patched(write(traces, samples, order="<"), 3225, "h", 0, "<")
    with pytest.raises(ParameterError, match=r"states sample format 0 .*state it: format=\.\.\., and byteorder="):
        Survey.from_segy(path)
    survey = Survey.from_segy(path, format=5, byteorder="little")
    assert np.array_equal(survey.data.reshape(6, 20), samples)
    for wrong in ({"format": 7}, {"byteorder": "<"}, {"samples": 0}, {"tolerance": -1.0}):
        with pytest.raises(ParameterError, match=f"from_segy.*{next(iter(wrong))}"):
            Survey.from_segy(path, **wrong)


@pytest.mark.parametrize("code", [4, 7, 15])
@pytest.mark.parametrize("order", [">", "<"])
def test_formats_that_are_known_and_not_read(write, order, code):
    path = patched(write(*line(), order=order), 3225, "h", code, order)
    with pytest.raises(ParameterError, match=f"samples of format {code} .*not supported"):
        Survey.from_segy(path)


SHORT_AND_LONG = pytest.mark.parametrize(("shots", "ns"), [(2, 400), (21, 120)], ids=["long traces", "short traces"])


@SHORT_AND_LONG
def test_one_kind_of_float_that_is_called_another(write, shots, ns):
    traces, _ = line(shots, 3)
    samples = (RNG.standard_normal((3 * shots, ns)) * np.exp(-np.arange(ns) / 60)).astype("f4")
    samples[3 * shots // 2] = 0  # dead
    path = patched(write(traces, samples), 3225, "h", 1)
    with pytest.warns(UserWarning, match="IBM floats by the binary header, but look like IEEE floats.*format=5"):
        Survey.from_segy(path)
    assert "look like IEEE" in "".join(map(str, check(path, samples=True)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(Survey.from_segy(path, format=5).data.reshape(3 * shots, ns), samples)
        Survey.from_segy(write(traces, samples))
        Survey.from_segy(write(traces, np.full_like(samples, 1500.0) + 100 * np.abs(samples)))  # of one octave


@SHORT_AND_LONG
def test_the_other_way_round(write, shots, ns):
    traces, _ = line(shots, 3)
    digits, powers = RNG.integers(2**20, 2**24, (3 * shots, ns)), RNG.integers(60, 67, (3 * shots, ns))
    words = (powers << 24 | digits | RNG.integers(0, 2, (3 * shots, ns)) << 31).astype("u4")
    path = write(traces, words, format=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = Survey.from_segy(path).data
    patched(path, 3225, "h", 5)
    with pytest.warns(UserWarning, match="IEEE floats by the binary header, but look like IBM floats.*format=1"):
        Survey.from_segy(path)
    assert np.array_equal(Survey.from_segy(path, format=1).data, expected)


@pytest.mark.parametrize(("code", "kind"), [(9, "i8"), (12, "u8")])
def test_integers_of_64_bits(write, code, kind):
    traces, _ = line(1, 2, ns=6)
    samples = np.arange(12).reshape(2, 6) * 10**14 - (5 * 10**14 if code == 9 else 0)
    path = patched(write(traces, samples.astype("f8"), format=6), 3225, "h", code)
    raw = bytearray(path.read_bytes())
    for i in range(2):
        at = 3600 + i * (240 + 48) + 240
        raw[at : at + 48] = samples[i].astype(f">{kind}").tobytes()
    path.write_bytes(raw)
    assert np.array_equal(Survey.from_segy(path).data.reshape(2, 6), samples)


# ---- texts that no revision announces


@pytest.mark.parametrize("count", [2, -1])
def test_extended_texts_of_revision_0(write, count):
    traces, samples = line()
    path = write(traces, samples)
    texts = b" " * 3200 + b"((SEG: EndText))".ljust(3200)
    raw = path.read_bytes()
    path.write_bytes(raw[:3600] + texts + raw[3600:])
    patched(path, 3505, "h", count)
    survey = Survey.from_segy(path)
    assert np.array_equal(survey.data.reshape(6, 5), samples) and "2 extended textual headers" in survey.notes[0]
    patched(path, 3505, "h", 0)
    with pytest.raises(ParameterError, match="middle of trace"):
        Survey.from_segy(path)


# ---- revision 2.1, intervals


def test_the_type_of_a_survey_is_no_header(write):
    path = patched(write(*line(), revision=0x0201), 3509, "h", 3)
    assert len(Survey.from_segy(path)) == 2
    with pytest.raises(ParameterError, match="2 additional headers"):
        Survey.from_segy(patched(path, 3507, "h", 2))


def test_intervals_below_zero(write):
    traces, samples = line()
    path = write([{**t, "dt": 2**16 - 4000} for t in traces], samples, dt=2**16 - 4000)
    with pytest.raises(ParameterError, match="61536 us, or of -4000 us if that is a signed number: pass step="):
        Survey.from_segy(path)
    assert Survey.from_segy(path, step=0.004)[0].time.step == 0.004
    slow = write([{**t, "dt": 40_001} for t in traces], samples, dt=40_001)
    assert Survey.from_segy(slow)[0].time.step == pytest.approx(0.040001)


# ---- places


def test_an_empty_header_is_no_shot(write):
    traces, samples = line()
    empty = dict.fromkeys(traces[0], 0) | {"id": 0, "scalar": 0, "elevation_scalar": 0, "units": 0}
    path = write([*traces[:2], empty, *traces[3:]], samples)
    survey = Survey.from_segy(path)
    assert survey.counts == (2, 3)
    assert any("1 traces with empty headers, first trace 2" in note for note in survey.notes)
    patched(path, 3600 + 2 * 260 + 189, "i", 7)  # a line number: somebody knows where it was
    assert len(Survey.from_segy(path)) == 3


def test_sources_that_are_not_quite_in_one_place(write):
    traces, samples = line(3, 4)
    moved = [{**t, "sx": t["sx"] + i % 2} for i, t in enumerate(traces)]
    path = write(moved, samples)
    with pytest.warns(UserWarning, match=r"up to 1 m apart, which makes 6 shots of 3 records: pass tolerance=1\.1"):
        assert len(Survey.from_segy(path)) == 6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        survey = Survey.from_segy(path, tolerance=1.1)
        assert len(Survey.from_segy(write(traces, samples, "b.segy"))) == 3
    assert survey.counts == (4, 4, 4) and [s[0, 0] for s in survey.sources] == [0.0, 100.0, 200.0]
    assert np.array_equal(survey.data.reshape(12, 5), samples)


def test_the_cure_of_dead_traces_is_named(write):
    traces, samples = line(1, 3)
    twice = [traces[0], {**traces[1], "rx": traces[0]["rx"], "id": 2}, traces[2]]
    path = write(twice, samples)
    with pytest.raises(ParameterError, match="Dead traces .*pass dead='drop'"):
        Survey.from_segy(path)
    assert Survey.from_segy(path, dead="drop").counts == (2,)
    late = write([traces[0], {**traces[1], "delay": 8, "id": 2}, traces[2]], samples)
    with pytest.raises(ParameterError, match="different start times.*pass dead='drop'"):
        Survey.from_segy(late)


def test_receivers_at_the_origin_are_nothing_odd(write):
    """Those of two shots, in a plane; two of one shot are."""
    traces, samples = line()
    moved = [{**t, "rx": t["rx"] - 5} for t in traces]
    assert not any("x = y = 0" in str(f) for f in check(write(moved, samples)))
    assert any("receiver at x = y = 0" in str(f) for f in check(write([{**t, "rx": 0} for t in traces], samples)))


def test_findings_name_their_file_once(write):
    path = write([{**t, "dt": 3000} for t in line()[0]], line()[1])
    found = [str(f) for f in check(path) if f.level == "error"]
    assert found and all(f.count(str(path)) == 1 for f in found)
