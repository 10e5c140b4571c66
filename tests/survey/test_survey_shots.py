"""Surveys in memory: a sequence of shots, some of them, some of their traces, and what operators take."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import seisops as so
from seisops.errors import ParameterError, SpaceError
from seisops.survey import Shot, Survey
from seisops.wave.time import Time

TIME = Time(11, 0.004)
RECEIVERS = np.array([(10.0 * i, 5.0) for i in range(6)])
SOURCES = np.array([(0.0, 2.0), (25.0, 2.0), (50.0, 2.0)])


def regular():
    data = np.arange(3 * 6 * 11, dtype="f4").reshape(3, 6, 11)
    return Survey.from_arrays(SOURCES, RECEIVERS, TIME, data), data


def ragged(seed=0, shots=5):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 7, shots)
    receivers = [rng.integers(0, 10**6, (n, 2)) / 1000 for n in counts]
    data = [rng.standard_normal((n, 11)).astype("f4") for n in counts]
    return Survey.from_arrays(rng.integers(0, 10**6, (shots, 2)) / 1000, receivers, TIME, data), data


# -- construction


def test_the_data_are_an_array_of_the_space():
    survey, data = regular()
    assert survey.space.shape == (3, 6, 11)
    assert np.array_equal(survey.data, data) and survey.data.dtype == np.float32
    survey, parts = ragged()
    assert survey.space.ragged and survey.data.shape == (survey.n_traces, 11)
    assert np.array_equal(survey.data, np.concatenate(parts))
    assert np.array_equal(survey.space.shot(survey.data, 3), parts[3])


@pytest.mark.parametrize("form", ["points", "stack", "list"])
def test_coordinates_in_every_form(form):
    receivers = {"points": RECEIVERS, "stack": np.stack([RECEIVERS] * 3), "list": [RECEIVERS.tolist()] * 3}[form]
    sources = {"points": SOURCES, "stack": SOURCES[:, None], "list": [s[None] for s in SOURCES]}[form]
    survey = Survey.from_arrays(sources, receivers, [TIME] * 3)
    assert [shot.sources.shape for shot in survey] == [(1, 2)] * 3
    assert np.array_equal(survey.receivers, RECEIVERS)


def test_several_sources_for_a_shot():
    survey = Survey.from_arrays([SOURCES, SOURCES[:1]], RECEIVERS, TIME)
    assert [len(shot.sources) for shot in survey] == [3, 1]
    assert np.allclose(survey[0].offsets, [0, 10, 5, 5, 10, 0])  # from the nearest
    with pytest.raises(ParameterError, match="2 sources"):
        Survey.from_arrays([SOURCES[:2]], RECEIVERS, TIME, np.zeros((1, 6, 11), "f4")).to_segy("never.segy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SOURCES, [RECEIVERS] * 2, TIME), "3 shots and receivers for 2"),
        ((SOURCES, RECEIVERS, [TIME] * 2), "3 shots and time for 2"),
        ((SOURCES, np.zeros((4, 3)), TIME), "sources have 2 coordinates and receivers 3"),
        ((SOURCES, RECEIVERS[:, 0], TIME), "receivers of shape"),
        ((SOURCES, RECEIVERS, 0.004), "give a Time"),
        (([(0.0, np.nan)], RECEIVERS, TIME), "not finite"),
        ((SOURCES, RECEIVERS, TIME, np.zeros((3, 5, 11))), "not in traces"),
        ((SOURCES, RECEIVERS, TIME, [np.zeros((6, 11))] * 2), "for 2 shots"),
        ((SOURCES, RECEIVERS, TIME, np.full((3, 6, 11), np.inf)), "not finite"),
        ((SOURCES, RECEIVERS, TIME, np.zeros((3, 6, 11), complex)), "complex"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises((ParameterError, SpaceError), match=message):
        Survey.from_arrays(*arguments)


def test_surveys_and_shots_do_not_change():
    survey, _ = regular()
    with pytest.raises(AttributeError):
        survey.notes = ()
    with pytest.raises(AttributeError):
        survey[0].time = TIME
    with pytest.raises(ValueError):
        survey[0].receivers[0, 0] = 1.0
    with pytest.raises(ValueError):
        survey[0].data[0, 0] = 1.0


def test_a_pickled_shot_takes_only_its_own_data_along():
    survey = Survey.from_arrays(SOURCES, RECEIVERS, Time(20_001, 0.001), np.ones((3, 6, 20_001), "f4"))
    one = pickle.dumps(survey[1])
    assert len(one) < 1.1 * survey.nbytes / 3 + 5000
    assert np.array_equal(pickle.loads(one).data, survey[1].data)
    part = pickle.dumps(survey[1].take([0, 3]).window(0.0, 1.0))
    assert len(part) < 2 * 1001 * 4 + 5000


# -- the sequence


def test_indexing():
    survey, data = regular()
    assert isinstance(survey[1], Shot) and np.array_equal(survey[-1].data, data[2])
    assert np.array_equal(survey[1:].data, data[1:])
    assert np.array_equal(survey[[2, 0]].data, data[[2, 0]])
    assert np.array_equal(survey[np.array([True, False, True])].data, data[[0, 2]])
    assert len(list(survey)) == 3
    with pytest.raises(so.SelectionError, match="shot 3 is out of range: the survey has 3 shots, 0 to 2"):
        survey[3]
    for bad in ([], slice(3, None), [0.5], True, "x", slice("x"), [True, False]):
        with pytest.raises(ParameterError, match="survey"):
            survey[bad]


def test_select_sort_and_decimate():
    survey, data = regular()
    assert len(survey.select(lambda shot: shot.sources[0, 0] > 10)) == 2
    with pytest.raises(ParameterError, match="false for all 3"):
        survey.select(lambda shot: False)
    mixed = survey[[1, 2, 0]]
    assert np.array_equal(mixed.sort("x").data, data)
    assert np.array_equal(mixed.sort("record").data, data)
    assert np.array_equal(mixed.sort(lambda shot: -shot.sources[0, 0]).data, data[::-1])
    with pytest.raises(ParameterError, match="'y'"):
        survey.sort("y")
    assert np.array_equal(survey.decimate(shots=2, receivers=3).data, data[::2, ::3])
    with pytest.raises(ParameterError, match="decimate shots"):
        survey.decimate(shots=0)


# -- traces


def test_offset_window():
    survey, data = regular()
    near = survey.offset_window(0.0, 25.0)
    assert near.counts == (3, 6, 3)
    assert np.array_equal(near[0].data, data[0, :3]) and np.array_equal(near[2].data, data[2, 3:])
    far = survey.offset_window(40.0)
    assert len(far) == 2 and "1 shots had no trace" in far.notes[0]
    with pytest.raises(ParameterError, match="offsets are 0 to 50 m"):
        survey.offset_window(1000.0)
    with pytest.raises(ParameterError, match="must not exceed"):
        survey.offset_window(2.0, 1.0)


def test_window_and_time_axes():
    survey, data = regular()
    cut = survey.window(time=(0.008, 0.02))
    assert cut.time == Time(4, 0.004, 0.008) and np.array_equal(cut.data, data[..., 2:6])
    assert np.array_equal(cut.window(time=(0.012, 1.0)).data, data[..., 3:6])
    late = Survey.from_arrays(SOURCES, RECEIVERS, [TIME, Time(11, 0.004, 0.008), TIME])
    with pytest.raises(SpaceError, match="2 time axes.*window.*by_time"):
        late.space  # noqa: B018
    with pytest.raises(SpaceError, match="2 time axes"):
        late.waves(so.Grid((11, 11), 10.0))
    assert late.window(time=(0.008, 0.04)).time == Time(9, 0.004, 0.008)
    parts = late.by_time()
    assert {time: len(part) for time, part in parts.items()} == {TIME: 2, Time(11, 0.004, 0.008): 1}
    for bad in ((0.0, 0.001), (5.0, 6.0), (1,), (0, np.nan), 3.0):
        with pytest.raises(ParameterError, match="window"):
            survey.window(time=bad)


def test_dead_traces():
    shot = Shot(SOURCES[0], RECEIVERS, TIME, np.ones((6, 11), "f4"), dead=[False, True] * 3)
    survey = Survey([shot, Shot(SOURCES[1], RECEIVERS, TIME, np.ones((6, 11), "f4"))])
    assert survey.live().counts == (3, 6) and not survey.live()[0].dead.any()
    assert "3 traces" in repr(survey)


def test_keep_takes_one_truth_value_for_each_receiver():
    survey, _ = regular()
    assert survey.keep(lambda shot: shot.receivers[:, 0] > 15).counts == (4, 4, 4)
    with pytest.raises(ParameterError, match="6 truth values"):
        survey.keep(lambda shot: [True])


# -- lines in three dimensions


def crooked(angle, off=0.0, at=(5e5, 6e6), n=20):
    s = np.arange(n) * 25.0
    d = np.array([np.sin(angle), np.cos(angle)])
    p = np.array([-d[1], d[0]])
    xy = np.array(at) + s[:, None] * d + off * np.cos(np.arange(n) * np.pi)[:, None] * p
    points = np.column_stack([xy, np.full(n, 7.0)])
    return Survey.from_arrays(points[::5], points, TIME, np.ones((4, n, 11), "f4")), s


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 2, 2.5, 3.0])
def test_a_line_in_three_dimensions(angle):
    survey, s = crooked(angle)
    flat = survey.project()
    x = flat[0].receivers[:, 0]
    assert flat.ndim == 2 and np.allclose(np.sort(x), s, atol=1e-6)
    assert x.min() == pytest.approx(0, abs=1e-6) and (flat[0].receivers[:, 1] == 7.0).all()
    assert np.array_equal(flat.data, survey.data)
    assert np.allclose(flat[2].offsets, survey[2].offsets, atol=1e-6)
    assert "the farthest point was" in flat.notes[-1]


def test_a_stated_line():
    survey, s = crooked(0.4)
    flat = survey.project(origin=(5e5, 6e6), azimuth=0.4)
    assert np.allclose(flat[0].receivers[:, 0], s, atol=1e-6)
    backwards = survey.project(origin=(5e5, 6e6), azimuth=0.4 + np.pi)
    assert np.allclose(backwards[0].receivers[:, 0], -s, atol=1e-6)
    east = Survey.from_arrays([(3.0, 4.0, 1.0)], [(5.0, 4.0, 0.0)], TIME).project((0.0, 4.0), np.pi / 2)
    assert east[0].sources.tolist() == [[3.0, 1.0]] and east[0].receivers.tolist() == [[5.0, 0.0]]  # to the last bit
    with pytest.raises(ParameterError, match="azimuth"):
        Survey.from_arrays([(3.0, 4.0, 1.0)], [(3.0, 4.0, 0.0)], TIME).project()


def test_points_off_the_line_are_refused_unless_told():
    survey, s = crooked(0.4, off=40.0)
    with pytest.raises(ParameterError, match=r"lies 4\d.* m off.*tolerance is 25 m"):
        survey.project()
    told = survey.project(tolerance=50.0)
    assert np.abs(np.sort(told[0].receivers[:, 0]) - s).max() < 10 and " m off it" in told.notes[0]
    with pytest.raises(ParameterError, match="already"):
        regular()[0].project()


# -- what operators take


@pytest.mark.parametrize("make", [regular, ragged])
def test_operators_take_the_survey(make):
    survey, _ = make()
    grid = so.Grid((101, 101), 10.0)
    waves = survey.waves(grid)
    receivers, sources = so.Projection(waves, survey.receivers), so.Projection(waves, survey.sources)
    assert receivers.range == survey.space and sources.range.shots == len(survey)
    assert receivers.range.asarray(survey.data).shape == survey.space.shape
    assert survey.astype("float64").waves(grid).dtype == np.float64
    with pytest.raises(SpaceError, match="it has no y"):
        survey.waves(so.Grid((11, 11, 11), 10.0))


def test_modeled_data_go_back_into_the_survey():
    survey, data = regular()
    again = survey.with_data(2 * data)
    assert np.array_equal(again[1].data, 2 * data[1]) and again.receivers is survey.receivers
    assert np.array_equal(survey.with_data(2 * data.ravel()).data, 2 * data)
    with pytest.raises(ParameterError, match="no data"):
        Survey.from_arrays(SOURCES, RECEIVERS, TIME)[0].data  # noqa: B018


def test_more_data_than_memory_is_refused(monkeypatch):
    import psutil

    survey, _ = regular()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("m", (), {"available": 10})())
    for ask in (lambda: survey.data, survey.load):
        with pytest.raises(ParameterError, match="memory are free: take them shot by shot"):
            ask()


def test_the_survey_says_what_it_is():
    text = repr(regular()[0])
    for part in (
        "3 shots",
        "18 traces (6 per shot)",
        "offsets 0 to 50 m",
        "x 0 to 50 m",
        "z 5 m",
        "792 bytes of float32",
    ):
        assert part in text
    assert "1 to 6 per shot" in repr(ragged(4, 30)[0])
    assert "none" in repr(Survey.from_arrays(SOURCES, RECEIVERS, TIME))
