"""SEG-Y out: what is written comes back, with precision stated; a file is written whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import struct

import numpy as np
import pytest
from rawsegy import line, read, same, segy

from seisops.errors import ParameterError
from seisops.survey import Survey, check
from seisops.survey.segy_write import chosen_scalar
from seisops.wave.time import Time

TIME = Time(11, 0.004)


def ragged(seed, scalar=-1000, ndim=2, shots=6, time=TIME, dtype="f4"):
    """A survey whose coordinates a scalar holds exactly."""
    rng = np.random.default_rng(seed)
    unit = lambda n: rng.integers(-200_000, 200_000, n) / -scalar if scalar < 0 else rng.integers(-99, 99, n) * scalar  # noqa: E731
    counts = rng.integers(1, 8, shots)
    receivers = [np.unique(np.stack([unit(n) for _ in range(ndim)], 1), axis=0) for n in counts]
    sources = np.stack([unit(shots) for _ in range(ndim)], 1).astype(float)
    data = [rng.standard_normal((len(r), time.n)).astype(dtype) for r in receivers]
    return Survey.from_arrays(sources, [r.astype(float) for r in receivers], time, data)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("scalar", [1, 10, 1000, -1, -10, -100, -1000, -10000])
def test_a_ragged_survey_comes_back(tmp_path, scalar, ndim):
    survey = ragged(0, scalar, ndim)
    path = tmp_path / "a.segy"
    survey.to_segy(path)
    again = Survey.from_segy(path, depth="elevation")
    assert same(survey, again) and [s.record for s in again] == [s.record for s in survey]
    again.to_segy(tmp_path / "b.segy")
    assert same(survey, Survey.from_segy(tmp_path / "b.segy", depth="elevation"))
    assert (tmp_path / "b.segy").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("scalars", [(0, -1), (-10, 10), (-1000, 0), (-3, 7), (10, -10000), (-100, 1)])
def test_odd_scalars_read_written_and_read(tmp_path, scalars):
    """Unsorted and ragged, each trace with scalars of its own."""
    rng = np.random.default_rng(5)
    traces, samples = line(shots=4, receivers=5, ns=6, source_elevation=3)
    for trace in traces:
        trace.update(scalar=int(rng.choice(scalars)), elevation_scalar=scalars[trace["record"] % 2])
        trace["sx"] = (1013, 2027, 3049, 4057)[trace["record"] - 1]
    keep = rng.permutation(20)[:15]
    path = tmp_path / "a.segy"
    path.write_bytes(segy([traces[i] for i in keep], samples[keep]))
    survey = Survey.from_segy(path, by="source", depth="elevation")
    exact = not {-3, 7} & set(scalars)
    survey.to_segy(tmp_path / "b.segy")
    again = Survey.from_segy(tmp_path / "b.segy", depth="elevation")
    assert same(survey, again, exact=exact)


def test_other_readers_agree(tmp_path):
    segyio = pytest.importorskip("segyio")
    survey = ragged(1, -100, 3)
    path = tmp_path / "a.segy"
    survey.to_segy(path)
    expected = [
        (tuple(s.sources[0]), tuple(r), 0.0, tuple(d)) for s in survey for r, d in zip(s.receivers, s.data, strict=True)
    ]
    assert read(path.read_bytes()) == expected
    with segyio.open(path, ignore_geometry=True) as file:
        assert np.array_equal(file.trace.raw[:], np.concatenate([s.data for s in survey]))
        assert file.bin[3217] == 4000 and file.bin[3221] == 11 and file.bin[3225] == 5 and file.bin[3255] == 1
        assert file.bin[segyio.BinField.SEGYRevision] == 1
        assert file.attributes(9)[:].tolist() == np.repeat(np.arange(6) + 1, survey.counts).tolist()
        assert set(file.attributes(71)[:].tolist()) == {-1000}
        assert b"Written by seisops" in file.text[0]
    assert [f for f in check(path, samples=True) if f.level != "note" and "above the datum" not in f.message] == []


@pytest.mark.parametrize("start", [0.0, 0.1, -0.5, 0.0005, 0.001234, 12.5])
def test_the_time_axis_comes_back(tmp_path, start):
    survey = ragged(2, time=Time(7, 0.000125, start))
    survey.to_segy(tmp_path / "a.segy")
    assert same(survey, Survey.from_segy(tmp_path / "a.segy", depth="elevation"))


def test_shots_may_begin_at_different_times(tmp_path):
    data = np.ones((2, 1, 5), "f4")
    survey = Survey.from_arrays([(0, 1), (1, 1)], [(0, 0)], [Time(5, 0.004, 0.1), Time(5, 0.004, 0.25)], list(data))
    survey.to_segy(tmp_path / "a.segy")
    assert same(survey, Survey.from_segy(tmp_path / "a.segy"))


def test_double_precision_and_dead_traces_come_back(tmp_path):
    survey = ragged(3, dtype="f8")
    marked = Survey(
        [type(s)(s.sources, s.receivers, s.time, s.data, s.record, np.arange(len(s.receivers)) == 1) for s in survey]
    )
    marked.to_segy(tmp_path / "a.segy")
    again = Survey.from_segy(tmp_path / "a.segy", depth="elevation")
    assert again.dtype == np.float64 and again.live().n_traces < again.n_traces
    assert all(np.array_equal(a.data, b.data) for a, b in zip(again, marked, strict=True))
    assert again.live().n_traces == marked.live().n_traces


def test_large_shots_are_written_in_pieces(tmp_path, monkeypatch):
    from seisops.survey import segy_write

    survey = ragged(7)
    survey.to_segy(tmp_path / "a.segy")
    monkeypatch.setattr(segy_write, "BATCH", 700)
    survey.to_segy(tmp_path / "b.segy")
    assert (tmp_path / "a.segy").read_bytes() == (tmp_path / "b.segy").read_bytes()


def test_modeled_data_take_the_place_of_data(tmp_path):
    survey = ragged(4)
    survey.to_segy(tmp_path / "a.segy", data=2 * survey.data)
    assert np.array_equal(Survey.from_segy(tmp_path / "a.segy", depth="elevation").data, 2 * survey.data)
    empty = Survey.from_arrays([(0, 0)], [(0, 0)], TIME)
    with pytest.raises(ParameterError, match="no data"):
        empty.to_segy(tmp_path / "b.segy")
    empty.to_segy(tmp_path / "b.segy", data=np.zeros((1, 1, 11)))


# -- precision


def test_coordinates_come_back_to_the_precision(tmp_path):
    rng = np.random.default_rng(0)
    survey = Survey.from_arrays(
        rng.uniform(0, 1e4, (3, 3)), rng.uniform(0, 1e4, (5, 3)), TIME, np.zeros((3, 5, 11), "f4")
    )
    survey.to_segy(tmp_path / "a.segy")
    again = Survey.from_segy(tmp_path / "a.segy")
    worst = max(np.abs(a.receivers - b.receivers).max() for a, b in zip(survey, again, strict=True))
    assert 1e-4 < worst <= 0.0005 + 1e-9
    survey.to_segy(tmp_path / "b.segy", precision=1e-4)
    again = Survey.from_segy(tmp_path / "b.segy")
    assert max(np.abs(a.receivers - b.receivers).max() for a, b in zip(survey, again, strict=True)) <= 0.00005 + 1e-9


def test_positions_too_large_for_32_bits(tmp_path):
    # a northing of 6 000 km does not fit in millimetres; in centimetres it does
    exact = Survey.from_arrays(
        [(500_000.25, 6_000_000.5, 1.0)], [(500_010.0, 6_000_020.75, 0.0)], TIME, np.zeros((1, 1, 11))
    )
    exact.to_segy(tmp_path / "a.segy")
    assert same(exact.astype("float64"), Survey.from_segy(tmp_path / "a.segy"))
    odd = Survey.from_arrays(
        [(500_000.123, 6_000_000.5, 1.0)], [(500_010.0, 6_000_020.75, 0.0)], TIME, np.zeros((1, 1, 11))
    )
    with pytest.raises(ParameterError, match=r"x and y up to 6000020.75 m fit .* to 0.01 m.*precision=0.01"):
        odd.to_segy(tmp_path / "b.segy")
    odd.to_segy(tmp_path / "b.segy", precision=0.01)
    assert Survey.from_segy(tmp_path / "b.segy")[0].sources[0, 0] == 500_000.12
    far = Survey.from_arrays([(1e14, 1.0)], [(1.5, 0.0)], TIME, np.zeros((1, 1, 11)))
    with pytest.raises(ParameterError, match="to no power of ten"):
        far.to_segy(tmp_path / "c.segy")


@pytest.mark.parametrize(
    ("values", "scalar"),
    [
        ([0.0], -1000),
        ([1.5, 2.25], -1000),
        ([0.0001], -10000),
        ([3e6], -100),
        ([3e7], -10),
        ([2e9], 1),
        ([2e10], 10),
        ([3e6, 0.25], -100),
        ([3e7, 0.5], -10),
    ],
)
def test_the_scalar_that_is_chosen(values, scalar):
    assert chosen_scalar("x", np.array(values), 0.001) == scalar


# -- what SEG-Y cannot hold


@pytest.mark.parametrize(
    ("time", "message"),
    [
        (Time(5, 0.0012345678), "1234.5678 us"),
        (Time(5, 0.1), "65535, and the sample interval is 100000 us"),
        (Time(70_000, 0.001), "65535 samples, and traces have 70000"),
        (Time(5, 0.004, 100.0), "first sample"),
        (Time(5, 0.004, 1e-7), "first sample"),
    ],
)
def test_time_axes_that_do_not_fit(tmp_path, time, message):
    survey = Survey.from_arrays([(0.0, 1.0)], [(1.0, 1.0)], time, np.zeros((1, 1, time.n), "f4"))
    with pytest.raises(ParameterError, match=message):
        survey.to_segy(tmp_path / "a.segy")
    assert os.listdir(tmp_path) == []


def test_several_lengths_do_not_fit(tmp_path):
    times = [Time(5, 0.004), Time(6, 0.004)]
    survey = Survey.from_arrays([(0, 1), (1, 1)], [(0, 0)], times, [np.zeros((1, t.n), "f4") for t in times])
    with pytest.raises(ParameterError, match=r"5 samples of 0.004 s, 6 samples of 0.004 s.*by_time"):
        survey.to_segy(tmp_path / "a.segy")


# -- whole or not at all


def test_nothing_is_overwritten_unless_told(tmp_path):
    survey, path = ragged(0), tmp_path / "a.segy"
    path.write_text("precious")
    with pytest.raises(ParameterError, match="exists: pass overwrite=True"):
        survey.to_segy(path)
    assert path.read_text() == "precious"
    survey.to_segy(path, overwrite=True)
    assert same(survey, Survey.from_segy(path, depth="elevation"))
    with pytest.raises(ParameterError, match="no folder"):
        survey.to_segy(tmp_path / "none" / "a.segy")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ParameterError, match="something else"):
        survey.to_segy(tmp_path / "folder", overwrite=True)


def test_a_file_can_replace_the_one_it_is_made_from(tmp_path):
    path = tmp_path / "a.segy"
    ragged(0).to_segy(path)
    survey = Survey.from_segy(path, depth="elevation")
    expected = survey[2:].load()
    survey[2:].to_segy(path, overwrite=True)
    assert same(expected, Survey.from_segy(path, depth="elevation"))
    with pytest.raises(ParameterError, match="has changed"):
        survey[0].data  # noqa: B018


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("after", [0, 4000, 6000])
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, after, exists):
    survey, path = ragged(0), tmp_path / "a.segy"
    if exists:
        path.write_text("precious")
    real_open = open

    class Full(io.FileIO):
        def write(self, block):
            if self.tell() + len(block) > after:
                super().write(bytes(block)[: max(0, after - self.tell())])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(block)

    def opened(name, mode="r", *rest, **named):
        return Full(name, "x") if mode == "xb" else real_open(name, mode, *rest, **named)

    monkeypatch.setattr("builtins.open", opened)
    with pytest.raises(OSError, match="No space left on device.*was not written") as raised:
        survey.to_segy(path, overwrite=True)
    assert raised.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == (["a.segy"] if exists else [])
    assert not exists or path.read_text() == "precious"


def test_a_source_that_fails_leaves_nothing(tmp_path):
    ragged(0).to_segy(tmp_path / "a.segy")
    survey = Survey.from_segy(tmp_path / "a.segy", depth="elevation")
    data = bytearray((tmp_path / "a.segy").read_bytes())
    struct.pack_into(">f", data, len(data) - 8, np.nan)
    stamp = os.stat(tmp_path / "a.segy").st_mtime_ns
    (tmp_path / "a.segy").write_bytes(bytes(data))
    os.utime(tmp_path / "a.segy", ns=(stamp, stamp))
    with pytest.raises(ParameterError, match="has nan at sample 9"):
        survey.to_segy(tmp_path / "b.segy")
    assert os.listdir(tmp_path) == ["a.segy"]
