"""SEG-Y in: geometry by the rules of the standard, traces on demand, and clear refusals."""

from __future__ import annotations

import os
import pickle
import struct
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from rawsegy import line, read, segy

from seisops.errors import ParameterError
from seisops.survey import Survey
from seisops.survey.segy_file import SegyFile
from seisops.survey.segy_format import ibm
from seisops.wave.time import Time


@pytest.fixture
def write(tmp_path):
    def write(*arguments, name="a.segy", **binary):
        path = tmp_path / name
        path.write_bytes(arguments[0] if isinstance(arguments[0], bytes) else segy(*arguments, **binary))
        return path

    return write


def places(survey):
    """(source, receiver, start, samples) of every trace, as the independent reader returns them."""
    return [
        (tuple(shot.sources[0]), tuple(r), shot.time.start, tuple(d))
        for shot in survey
        for r, d in zip(shot.receivers, shot.data, strict=True)
    ]


def flat(traces):
    return [((s[0], s[2]), (r[0], r[2]), t, d) for s, r, t, d in traces]


# -- a file of another code


def test_the_records_of_another_code(data):
    path = data / "unit_test_shot_records_2.segy"
    with pytest.warns(UserWarning, match="depth='depth'"):
        above = Survey.from_segy(path)
    assert set(above[0].receivers[:, 1]) == {-50.0}
    survey = Survey.from_segy(path, depth="depth")
    assert len(survey) == 2 and survey.counts == (120, 120)
    assert survey.sources[0].tolist() == [[100.0, 20.0]] and survey.sources[1].tolist() == [[1100.0, 20.0]]
    receivers = survey.receivers
    assert receivers.shape == (120, 2) and set(receivers[:, 1]) == {50.0}
    assert receivers[0, 0] == 50.0 and receivers[-1, 0] == 1150.0 and (np.diff(receivers[:, 0]) > 0).all()
    assert survey.time == Time(501, 0.002)


def test_its_samples_are_those_that_segyio_reads(data):
    segyio = pytest.importorskip("segyio")
    path = data / "unit_test_shot_records_2.segy"
    with segyio.open(path, ignore_geometry=True) as file:
        expected = np.array(file.trace.raw[:])
    assert np.array_equal(Survey.from_segy(path, depth="depth").data.reshape(240, 501), expected)


# -- scalars, units, elevations


@pytest.mark.parametrize("scalar", [0, 1, -1, 10, -10, 100, -100, -1000, -10000, 7, -3, 32767, -32768])
def test_scalars(write, scalar):
    traces, samples = line(scalar=scalar, elevation_scalar=scalar, source_elevation=-2)
    path = write(traces, samples)
    assert places(Survey.from_segy(path)) == flat(read(path.read_bytes()))


def test_each_trace_has_its_own_scalar(write):
    # one position in four notations is one source
    traces, samples = line(shots=1, receivers=4)
    for trace, scalar, x in zip(traces, (1, 0, -10, -1000), (300, 300, 3000, 300_000), strict=True):
        trace.update(scalar=scalar, sx=x, rx=x + 100 * (1 + (scalar == 0)), elevation_scalar=-scalar, source_depth=0)
    survey = Survey.from_segy(write(traces, samples))
    assert len(survey) == 1 and survey[0].sources[0, 0] == 300.0
    assert survey[0].receivers[:, 0].tolist() == [400.0, 500.0, 310.0, 300.1]
    assert survey[0].receivers[:, 1].tolist() == [8.0, 8.0, 80.0, 8000.0]


def test_z_is_down_from_the_datum(write):
    traces, samples = line(source_elevation=300, source_depth=12, receiver_elevation=305)
    path = write(traces, samples)
    survey = Survey.from_segy(path, datum=310.0)
    assert survey[0].sources[0, 1] == 22.0 and survey[0].receivers[0, 1] == 5.0
    survey = Survey.from_segy(path, depth="depth")
    assert survey[0].sources[0, 1] == 312.0 and survey[0].receivers[0, 1] == 305.0
    survey = Survey.from_segy(path, depth=(6.0, 8.0))
    assert survey[0].sources[0, 1] == 6.0 and survey[0].receivers[0, 1] == 8.0
    with pytest.warns(UserWarning, match="z -305 to -288 m with datum 0 m"):
        Survey.from_segy(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Survey.from_segy(path, depth="elevation")


def test_feet_become_metres_and_the_survey_says_so(write):
    traces, samples = line(scalar=-10)
    path = write(traces, samples, measurement=2)
    survey = Survey.from_segy(path)
    assert survey[1].sources[0, 0] == 10 * 0.3048 and "converted from feet" in repr(survey)
    assert places(survey) == flat(read(path.read_bytes()))
    assert Survey.from_segy(path, units="m")[1].sources[0, 0] == 10.0
    plain = write(traces, samples, name="b.segy")
    assert Survey.from_segy(plain, units="ft")[1].sources[0, 0] == 10 * 0.3048


@pytest.mark.parametrize(("code", "message"), [(2, "seconds of arc"), (3, "decimal degrees"), (77, "unknown unit")])
def test_angles_are_refused(write, code, message):
    traces, samples = line()
    traces[4]["units"] = code
    path = write(traces, samples)
    with pytest.raises(ParameterError, match=rf"a.segy.*1 of 6 traces, first trace 4.*{message}.*units="):
        Survey.from_segy(path)
    assert len(Survey.from_segy(path, units="m")) == 2


def test_an_unknown_measurement_system_is_refused(write):
    with pytest.raises(ParameterError, match="3255-3256 is 9"):
        Survey.from_segy(write(*line(), measurement=9))


def test_two_and_three_dimensions(write):
    traces, samples = line(sy=40, ry=40)
    path = write(traces, samples)
    assert Survey.from_segy(path).ndim == 3 and Survey.from_segy(path, ndim=2).ndim == 2
    assert Survey.from_segy(path)[0].receivers[1].tolist() == [15.0, 40.0, 8.0]
    traces[2]["ry"] = 41
    path = write(traces, samples)
    with pytest.raises(ParameterError, match="y is 40 to 41 m"):
        Survey.from_segy(path, ndim=2)
    assert Survey.from_segy(path).project().ndim == 2
    assert Survey.from_segy(write(*line()), ndim=3).ndim == 3


# -- shots


def test_unsorted_traces(write):
    traces, samples = line(shots=4, receivers=5, ns=7)
    order = np.random.default_rng(3).permutation(20)
    path = write([traces[i] for i in order], samples[order])
    survey = Survey.from_segy(path).sort("record")
    assert survey.counts == (5,) * 4
    for s, shot in enumerate(survey):
        places_in_file = [i - 5 * s for i in order if i // 5 == s]
        assert np.array_equal(shot.receivers[:, 0], 10.0 * np.array(places_in_file) + 5)
        assert np.array_equal(shot.data, samples[5 * s : 5 * s + 5][places_in_file])


def test_what_tells_shots_apart(write):
    traces, samples = line(shots=2)
    for i, trace in enumerate(traces):
        trace.update(record=1, point=i // 3 + 10)
    path = write(traces, samples)
    assert Survey.from_segy(path).counts == (3, 3)
    assert Survey.from_segy(path, by="point").counts == (3, 3)
    with pytest.raises(
        ParameterError, match=r"field record 1\) have different sources: .*x=0.*trace 0.*x=100.*trace 3"
    ):
        Survey.from_segy(path, by="record")
    with pytest.raises(ParameterError, match="by="):
        Survey.from_segy(path, by="cdp")


def test_two_records_from_one_place(write):
    traces, samples = line(shots=2)
    for trace in traces:
        trace["sx"] = 0
    path = write(traces, samples)
    with pytest.raises(ParameterError, match=r"trace 0 of .* and trace 3 of .*field records are 1 and 2: pass by="):
        Survey.from_segy(path)
    assert Survey.from_segy(path, by=("source", "record")).counts == (3, 3)
    assert Survey.from_segy(path, by="record").counts == (3, 3)


def test_repeated_traces(write):
    traces, samples = line()
    path = write([*traces, traces[1]], np.concatenate([samples, -samples[:1]]))
    with pytest.raises(ParameterError, match=r"trace 1 of .* and trace 6 of .*x=15.*on_duplicate"):
        Survey.from_segy(path)
    first = Survey.from_segy(path, on_duplicate="first")
    assert first.counts == (3, 3) and np.array_equal(first[0].data, samples[:3]) and "1 repeated" in first.notes[0]
    assert Survey.from_segy(path, on_duplicate="keep").counts == (4, 3)


def test_missing_traces_make_a_ragged_survey_and_a_note(write):
    traces, samples = line(shots=2, receivers=6)
    keep = [0, 1, 3, 5, *range(6, 12)]
    survey = Survey.from_segy(write([traces[i] for i in keep], samples[keep]))
    assert survey.counts == (4, 6) and "2 traces are missing" in survey.notes[0]
    assert Survey.from_segy(write(*line())).notes == ()


def test_components_are_not_mixed(write):
    traces, samples = line(shots=1)
    both = [{**trace, "id": kind} for trace in traces for kind in (11, 12)]
    path = write(both, np.repeat(samples, 2, axis=0))
    with pytest.raises(ParameterError, match=r"kinds are 11 and 12.*trace_ids=\[11\]"):
        Survey.from_segy(path)
    assert Survey.from_segy(path, trace_ids=[12]).counts == (3,)


def test_dead_and_auxiliary_traces(write):
    traces, samples = line()
    traces[1]["id"], traces[3]["id"] = 2, 6
    path = write(traces, samples)
    survey = Survey.from_segy(path)
    assert survey.counts == (3, 2) and survey[0].dead.tolist() == [False, True, False] and survey[1].dead is None
    assert "1 auxiliary" in survey.notes[0] and "1 dead traces were kept" in survey.notes[1]
    dropped = Survey.from_segy(path, dead="drop")
    assert dropped.counts == (2, 2) and np.array_equal(dropped[0].data, samples[[0, 2]])
    assert Survey.from_segy(path, trace_ids=[1]).counts == (2, 2)
    with pytest.raises(ParameterError, match="no trace is left"):
        Survey.from_segy(path, trace_ids=[50])


def test_several_files(write):
    traces, samples = line(shots=3, receivers=4, ns=6)
    a = write(traces[:6], samples[:6], name="a.segy")
    b = write(traces[6:], -samples[6:], name="b.segy", format=5)
    survey = Survey.from_segy([a, b])
    assert survey.counts == (4, 4, 4)
    assert np.array_equal(survey.data.reshape(12, 6), np.concatenate([samples[:6], -samples[6:]]))
    assert "in 2 SEG-Y files" in repr(survey)
    # field records begin again in every file
    assert Survey.from_segy([a, b], by="record").counts == (4, 2, 2, 4)
    with pytest.raises(ParameterError, match="given twice"):
        Survey.from_segy([a, a])


def test_files_are_looked_at_once_and_not_for_each_shot(write, monkeypatch):
    """Opening as many files as there are shots, and reading one of them, would take as long as all files times all shots."""
    paths = [write(*line(4, 2), name=f"{k}.segy") for k in range(6)]
    asked = []
    known = SegyFile.dtype.fget
    monkeypatch.setattr(SegyFile, "dtype", property(lambda file: asked.append(file.path) or known(file)))
    survey = Survey.from_segy(paths, by=("source", "record"))
    assert len(survey) == 24 and sorted(asked) == [str(path) for path in paths]
    copy = pickle.loads(pickle.dumps(survey))
    assert np.array_equal(copy[-1:].data, survey[-1:].data) and len(asked) <= 12


def test_files_of_different_time_axes(write):
    a = write(*line(ns=6), name="a.segy")
    traces, samples = line(ns=9, dt=2000)
    b = write([{**t, "sx": t["sx"] + 1000} for t in traces], samples, name="b.segy", dt=2000)
    survey = Survey.from_segy([a, b])
    assert [shot.time for shot in survey] == [Time(6, 0.004)] * 2 + [Time(9, 0.002)] * 2
    assert np.array_equal(survey[2].data, samples[:3])
    assert list(survey.by_time()) == [Time(6, 0.004), Time(9, 0.002)]
    c = write([{**t, "rx": t["rx"] + 500} for t in traces], samples, name="c.segy", dt=2000)
    with pytest.raises(ParameterError, match="with 6 and 9 samples"):
        Survey.from_segy([a, c])


# -- time


@pytest.mark.parametrize(
    ("delay", "scalar", "revision", "start"),
    [
        (100, 0, 0, 0.1),
        (100, -10, 0, 0.1),
        (100, -10, 0x100, 0.01),
        (-40, 1, 0x100, -0.04),
        (3, 10, 1, 0.03),
    ],
)
def test_delay(write, delay, scalar, revision, start):
    survey = Survey.from_segy(write(*line(delay=delay, time_scalar=scalar), revision=revision))
    assert survey.time == Time(5, 0.004, start)
    assert Survey.from_segy(write(*line(delay=delay)), start=0.0).time.start == 0.0


def test_delays_within_a_shot(write):
    traces, samples = line()
    traces[1]["delay"] = 8
    path = write(traces, samples)
    with pytest.raises(ParameterError, match="different start times: 0 s for trace 0 .*0.008 s for trace 1 .*start="):
        Survey.from_segy(path)
    assert Survey.from_segy(path, start=0.5).time.start == 0.5


def test_delays_that_differ_from_shot_to_shot(write):
    traces, samples = line(ns=12)
    for trace in traces[3:]:
        trace["delay"] = 8
    survey = Survey.from_segy(write(traces, samples))
    assert [shot.time.start for shot in survey] == [0.0, 0.008]
    cut = survey.window(time=(0.008, 0.04))
    assert cut.time == Time(9, 0.004, 0.008)
    assert np.array_equal(cut[0].data, samples[:3, 2:11]) and np.array_equal(cut[1].data, samples[3:, :9])


def test_headers_that_disagree(write):
    traces, samples = line()
    traces[4]["dt"] = 2000
    path = write(traces, samples)
    with pytest.raises(ParameterError, match="4000 us.*1 of 6 traces differ, first trace 4 with 2000 us.*step="):
        Survey.from_segy(path)
    assert Survey.from_segy(path, step=0.004).time.step == 0.004
    traces[4].update(dt=0, ns=0)  # not stated is no contradiction
    assert Survey.from_segy(write(traces, samples)).time == Time(5, 0.004)
    traces[4]["ns"] = 4
    survey = Survey.from_segy(write(traces, samples))  # of which the size of the file knows better
    assert survey.counts == (3, 3) and "1 of 6 traces differ, first trace 4 with 4" in survey.notes[0]


def test_what_only_one_header_states(write):
    survey = Survey.from_segy(write(*line(), dt=0, ns=0))
    assert survey.time == Time(5, 0.004) and "states no number of samples" in survey.notes[0]
    with pytest.raises(ParameterError, match="neither.*117-118.*step="):
        Survey.from_segy(write(*line(dt=0), dt=0))
    with pytest.raises(ParameterError, match="neither.*115-116"):
        Survey.from_segy(write([{**t, "ns": 0} for t in line()[0]], line()[1], ns=0))


def test_40_000_samples(write):
    samples = np.zeros((1, 40_000), "f4")
    assert Survey.from_segy(write(line(1, 1)[0], samples)).time.n == 40_000


# -- samples


def test_traces_in_any_order(write):
    traces, samples = line(shots=2, receivers=8, ns=6)
    a, b = write(traces[:5], samples[:5], name="a.segy"), write(traces[5:], samples[5:], name="b.segy")
    survey = Survey.from_segy([b, a])  # the first shot is in both, and begins in the second file
    assert np.array_equal(survey.sort("x")[0].receivers[:, 0], 10.0 * np.array([5, 6, 7, 0, 1, 2, 3, 4]) + 5)
    for order in ([3, 1, 2], [7, 0], [4, 4, 1], slice(None, None, -1), np.arange(8) % 3 == 1):
        part = survey[1].take(order)
        assert np.array_equal(part.data, samples[8:][order]) and np.array_equal(part.data, survey[1].data[order])
        assert np.array_equal(part.receivers, survey[1].receivers[order])
        assert np.array_equal(survey[0].take(order).data, samples[[5, 6, 7, 0, 1, 2, 3, 4]][order])


@pytest.mark.parametrize(
    ("code", "values", "dtype"),
    [
        (2, [-(2**31), 2**31 - 1, 0, 1], "float64"),
        (3, [-32768, 32767, 0, 1], "float32"),
        (5, [-1.5, 3e38, 1e-40, 0], "float32"),
        (6, [1e300, -1e-300, 0.1, 0], "float64"),
        (8, [-128, 127, 0, 1], "float32"),
    ],
)
def test_formats(write, code, values, dtype):
    values = np.array([values])
    survey = Survey.from_segy(write(line(1, 1)[0], values, format=code))
    assert survey.dtype == dtype and np.array_equal(survey[0].data, values.astype(dtype))
    cut = survey.astype("float32").window(time=(0.004, 0.008)) if code != 6 else survey.window(time=(0.004, 0.008))
    assert np.array_equal(cut[0].data, values[:, 1:3].astype(cut.dtype))


def test_ibm_floats_are_those_that_segyio_reads(tmp_path):
    segyio = pytest.importorskip("segyio")
    rng = np.random.default_rng(0)
    values = (rng.standard_normal((6, 50)) * 10.0 ** rng.integers(-30, 30, (6, 50))).astype("f4")
    values[0, :3] = 0.0, -0.0, 1.0
    spec = segyio.spec()
    spec.format, spec.samples, spec.tracecount = 1, np.arange(50) * 4.0, 6
    with segyio.create(tmp_path / "a.segy", spec) as file:
        file.bin[segyio.su.hdt] = 4000
        for i, trace in enumerate(values):
            file.header[i] = {73: 0, 81: i, 115: 50, 117: 4000, 29: 1}
            file.trace[i] = trace
    with segyio.open(tmp_path / "a.segy", ignore_geometry=True) as file:
        expected = np.array(file.trace.raw[:])
    survey = Survey.from_segy(tmp_path / "a.segy")
    assert np.array_equal(survey[0].data, expected)
    assert np.allclose(survey[0].data, values, rtol=1e-6, atol=0)


def test_ibm_words():
    words = np.array([0x42640000, 0xC276A000, 0x00000000, 0x41100000, 0x7FFFFFFF], np.uint32)
    assert ibm(words).tolist() == [100.0, -118.625, 0.0, 1.0, np.inf]


def test_samples_that_are_not_finite_are_refused(write):
    traces, samples = line()
    samples[4, 2] = np.nan
    survey = Survey.from_segy(write(traces, samples))
    assert np.array_equal(survey[0].data, samples[:3])
    with pytest.raises(ParameterError, match=r"a.segy: trace 4 has nan at sample 2"):
        survey[1].data  # noqa: B018
    whole = survey.keep(lambda shot: (shot.sources[0, 0] < 50) | (shot.receivers[:, 0] != 15))
    assert whole.load().counts == (3, 2)


def test_little_endian_files(write):
    traces, samples = line()
    survey = Survey.from_segy(write(segy(traces, samples, order="<")))
    assert survey.counts == (3, 3) and np.array_equal(survey.data.reshape(6, 5), samples)
    assert "little-endian" in survey.notes[0]


def test_extended_textual_headers(write):
    path = write(*line(), revision=0x0100, texts=2)
    assert Survey.from_segy(path).counts == (3, 3)
    data = bytearray(segy(*line(), revision=0x0100, texts=2))
    struct.pack_into(">h", data, 3504, -1)
    with pytest.raises(ParameterError, match="EndText"):
        Survey.from_segy(write(bytes(data)))
    data[6800:6815] = "((SEG: EndText))".encode("cp500")[:15]
    data[6800:6816] = "((SEG: EndText))".encode("cp500")
    assert Survey.from_segy(write(bytes(data))).counts == (3, 3)


def test_revision_2(write):
    traces, samples = line()
    data = bytearray(segy([{**t, "dt": 333} for t in traces], samples, revision=0x0200, dt=333))
    struct.pack_into(">d", data, 3272, 333.25)
    assert Survey.from_segy(write(bytes(data))).time.step == 333.25e-6
    for byte, kind, value, message in (
        (3507, "i", 1, "additional headers"),
        (3521, "Q", 9999, "begin at byte 9999"),
        (3529, "i", -1, "trailer"),
    ):
        bad = bytearray(data)
        struct.pack_into(">" + kind, bad, byte - 1, value)
        with pytest.raises(ParameterError, match=message):
            Survey.from_segy(write(bytes(bad)))
    struct.pack_into(">i", data, 3528, 1)
    assert Survey.from_segy(write(bytes(data) + bytes(3200))).counts == (3, 3)


# -- files that cannot be read


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"x" * 100, "not SEG-Y: it has 100 bytes"),
        (bytes(3600), "format 0"),
        (b"The quick brown fox. " * 400, "not SEG-Y"),
        (segy(*line())[:3600], "no traces"),
        (segy(*line())[:3700], "in the middle of trace 0"),
    ],
)
def test_no_segy(write, content, message):
    with pytest.raises(ParameterError, match=rf"a\.segy.*{message}"):
        Survey.from_segy(write(content))


def test_unsupported_formats(write):
    data = bytearray(segy(*line()))
    struct.pack_into(">h", data, 3224, 4)
    with pytest.raises(ParameterError, match="fixed point with gain"):
        Survey.from_segy(write(bytes(data)))


def test_a_file_that_was_cut_short(write):
    path = write(segy(*line())[:-10])
    with pytest.raises(ParameterError, match="middle of trace 5, after 250 of its 260 bytes.*truncated='drop'"):
        Survey.from_segy(path)
    survey = Survey.from_segy(path, truncated="drop")
    assert survey.counts == (3, 2) and "it was left out" in survey.notes[0]


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(ParameterError, match="no such file"):
        Survey.from_segy(tmp_path / "none.segy")
    with pytest.raises(ParameterError, match="not a file"):
        Survey.from_segy(tmp_path)
    with pytest.raises(ParameterError, match="no files"):
        Survey.from_segy([])


def test_a_file_that_changes_under_the_survey(write):
    path = write(*line())
    survey = Survey.from_segy(path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ParameterError, match="has changed since"):
        survey[0].data  # noqa: B018
    path.unlink()
    with pytest.raises(ParameterError, match="cannot be opened"):
        survey[0].data  # noqa: B018


def test_a_trace_that_cannot_be_read(write, monkeypatch):
    survey = Survey.from_segy(write(*line()))
    preadv = os.preadv

    def failing(fd, buffers, offset):
        if offset >= 3600 + 3 * 260:
            raise OSError(5, "Input/output error")
        return preadv(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", failing)
    assert survey[0].data.shape == (3, 5)
    with pytest.raises(ParameterError, match="a.segy: trace 3 cannot be read: Input/output error"):
        survey[1].data  # noqa: B018


@pytest.mark.parametrize(
    "wrong",
    [
        {"depth": "down"},
        {"depth": (1.0,)},
        {"units": "km"},
        {"ndim": 1},
        {"dead": "no"},
        {"on_duplicate": "last"},
        {"step": 0.0},
        {"datum": np.nan},
        {"truncated": "keep"},
        {"by": ()},
    ],
)
def test_parameters_are_checked(write, wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        Survey.from_segy(write(*line()), **wrong)


# -- larger than memory


def bytes_read():
    counters = Path("/proc/self/io")
    if not counters.exists():
        pytest.skip("counting bytes needs /proc/self/io")
    return int(counters.read_text().split()[1])


def test_headers_are_read_without_data_and_a_shot_reads_its_own_traces(write):
    shots, receivers, ns = 40, 25, 2000
    traces, _ = line(shots, receivers, 1)
    samples = np.repeat(np.arange(1000, dtype="f4")[:, None], ns, axis=1)
    path = write([{**t, "ns": ns} for t in traces], samples)
    size, trace = path.stat().st_size, 4 * ns
    assert size > 8e6
    overhead = bytes_read()
    overhead = bytes_read() - overhead
    before = bytes_read()
    survey = Survey.from_segy(path)
    assert bytes_read() - before < shots * receivers * 240 + 20_000 + overhead
    before = bytes_read()
    assert (survey[7].data[3] == 7 * 25 + 3).all()
    assert bytes_read() - before < receivers * (trace + 240) + 20_000 + overhead
    before = bytes_read()
    far = survey.offset_window(0.0, 2000.0)[[3, 9]].decimate(receivers=2)
    assert bytes_read() - before < 20_000
    assert far.load().n_traces == far.n_traces
    assert bytes_read() - before < 2 * receivers * (trace + 240) + 40_000
    assert len(pickle.dumps(survey[7])) < 10_000


def test_a_large_file_takes_little_memory(tmp_path):
    """A sparse file of 0.48 GB: the headers of 2000 traces, and zeros."""
    traces, ns, path = 2000, 60_000, tmp_path / "large.segy"
    head = bytearray(segy(*line(1, 1, 1)))[:3600]
    struct.pack_into(">H", head, 3220, ns)
    stride = 240 + 4 * ns
    with open(path, "wb") as file:
        file.write(head)
        for i in range(traces):
            one = segy([{"sx": i // 20, "rx": i, "ns": ns}], np.zeros((1, 1), "f4"))[3600:3840]
            file.seek(3600 + i * stride)
            file.write(one)
        file.truncate(3600 + traces * stride)
    assert path.stat().st_size > 4.7e8
    tracemalloc.start()
    survey = Survey.from_segy(path)
    assert len(survey) == 100 and survey[50].data.shape == (20, ns)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 20 * stride, f"{peak} bytes for a shot of {20 * stride}"
