"""Zarr stores and xarray datasets: surveys go there and come back, lazily."""

from __future__ import annotations

import builtins
import errno
import os
import pickle
import shutil

import numpy as np
import pytest
from rawsegy import line, same, segy

from seisops.errors import ParameterError
from seisops.survey import Shot, Survey
from seisops.wave.time import Time

zarr = pytest.importorskip("zarr")
xr = pytest.importorskip("xarray")

TIME = Time(11, 0.004, 0.1)


def survey_of(kind, seed=0):
    rng = np.random.default_rng(seed)
    counts = {"regular": [4] * 5, "one": [3], "large": [40] * 7}.get(kind, [3, 1, 7, 7, 2])
    ndim = 3 if kind == "3d" else 2
    dtype = "f8" if kind == "double" else "f4"
    return Survey(
        [
            Shot(
                rng.uniform(0, 1e6, (rng.integers(1, 4) if kind == "sources" else 1, ndim)),
                rng.uniform(0, 1e6, (n, ndim)),
                TIME,
                rng.standard_normal((n, 11)).astype(dtype),
                record=100 - i,
                dead=rng.random(n) < 0.3 if kind == "dead" and i != 1 else None,
            )
            for i, n in enumerate(counts)
        ],
        ["made up"],
    )


KINDS = ["regular", "one", "ragged", "3d", "double", "sources", "dead", "large"]


def normal(survey):
    """With no dead traces where none are marked."""
    return [
        s if s.dead is None or s.dead.any() else Shot(s.sources, s.receivers, s.time, s.data, s.record) for s in survey
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_zarr_gives_back_the_survey_to_the_last_bit(tmp_path, kind):
    survey = survey_of(kind)
    survey.to_zarr(tmp_path / "a.zarr")
    again = Survey.from_zarr(tmp_path / "a.zarr")
    assert same(normal(survey), again) and again.notes == survey.notes
    assert [s.record for s in again] == [s.record for s in survey]
    assert "in a Zarr store" in repr(again)
    assert same(normal(survey[[2, 0]] if len(survey) > 2 else survey), again[[2, 0]] if len(survey) > 2 else again)
    assert same(again, pickle.loads(pickle.dumps(again)))
    cut = again.window(time=(0.11, 0.13)).keep(lambda s: s.receivers[:, 0] > 3e5)
    assert np.array_equal(cut.data, survey.window(time=(0.11, 0.13)).keep(lambda s: s.receivers[:, 0] > 3e5).data)


@pytest.mark.parametrize("kind", KINDS)
def test_xarray_gives_back_the_survey(kind):
    survey = survey_of(kind)
    dataset = survey.to_xarray()
    assert dataset.data.dims == (("trace", "time") if survey.space.ragged else ("shot", "receiver", "time"))
    assert same(normal(survey), Survey.from_xarray(dataset))


@pytest.mark.parametrize("kind", KINDS)
def test_xarray_opens_the_store(tmp_path, kind):
    survey = survey_of(kind)
    survey.to_zarr(tmp_path / "a.zarr")
    with xr.open_dataset(tmp_path / "a.zarr", engine="zarr") as dataset:
        expected = survey.to_xarray()
        assert set(dataset.variables) == set(expected.variables)
        for name in expected.variables:
            assert dataset[name].dims == expected[name].dims and np.array_equal(dataset[name], expected[name])
        assert same(normal(survey), Survey.from_xarray(dataset))


@pytest.mark.parametrize("kind", ["regular", "ragged"])
def test_datasets_of_files_are_lazy(tmp_path, monkeypatch, kind):
    traces, samples = line(shots=4, receivers=5, ns=11)
    keep = [i for i in range(20) if kind == "regular" or i not in (1, 7)]
    (tmp_path / "a.segy").write_bytes(segy([traces[i] for i in keep], samples[keep]))
    survey = Survey.from_segy(tmp_path / "a.segy")
    expected = survey.data
    read, counted = os.preadv, []
    monkeypatch.setattr(os, "preadv", lambda *a: counted.append(1) or read(*a))
    dataset = survey.to_xarray()
    assert not counted
    part = dataset.isel({dataset.data.dims[0]: 1}).data
    assert np.array_equal(part.values, expected[1]) and len(counted) == 1
    for key in [np.s_[2], np.s_[1:3, ..., 4], np.s_[[2, 0]], np.s_[..., ::3], np.s_[-1], np.s_[:, 0]]:
        assert np.array_equal(dataset.data[key].values, expected[key])
    lazy = Survey.from_xarray(dataset)
    counted.clear()
    assert np.array_equal(lazy[2].data, survey[2].data) and len(counted) <= 4


def test_datasets_that_were_worked_on():
    survey = survey_of("regular")
    dataset = survey.to_xarray()
    cut = Survey.from_xarray(dataset.isel(time=slice(2, 9, 2), shot=[3, 1]))
    assert cut.time == Time(4, 0.008, 0.108) and np.array_equal(cut.data, survey.data[[3, 1], :, 2:9:2])
    ragged = survey_of("ragged").to_xarray()
    order = np.random.default_rng(0).permutation(ragged.sizes["trace"])
    mixed = Survey.from_xarray(ragged.isel(trace=order)).sort(lambda shot: -shot.record)
    assert mixed.counts == survey_of("ragged").counts
    later = ragged.isel(trace=np.argsort(-ragged.shot.values, kind="stable"))  # shots as they appear, not by number
    assert [shot.record for shot in Survey.from_xarray(later)] == [96, 97, 98, 99, 100]
    one = Survey.from_xarray(ragged.sel(trace=ragged.shot == 2))
    assert len(one) == 1 and np.array_equal(one[0].data, survey_of("ragged")[2].data)


def test_datasets_that_are_no_survey():
    dataset = survey_of("ragged").to_xarray()
    for wrong, message in [
        (dataset.drop_vars("receiver_x"), "no 'receiver_x'"),
        (dataset.assign_coords(time=dataset.time**2), "not uniform"),
        (dataset.isel(time=[0]), "two"),
        (dataset.transpose("time", "trace"), "dimensions"),
        (dataset.assign_coords(source_x=dataset.receiver_x), "differs among the traces of shot"),
        (dataset.assign(data=dataset.data.astype(int)), "dtype int"),
    ]:
        with pytest.raises(ParameterError, match=message):
            Survey.from_xarray(wrong)
    with pytest.raises(ParameterError, match="Dataset"):
        Survey.from_xarray(dataset.data)


def test_surveys_without_data(tmp_path):
    survey = Survey.from_arrays([(0.0, 1.0)], [(1.0, 2.0)], TIME)
    survey.to_zarr(tmp_path / "a.zarr")
    for again in (Survey.from_zarr(tmp_path / "a.zarr"), Survey.from_xarray(survey.to_xarray())):
        assert again[0].traces is None and np.array_equal(again.receivers, survey.receivers)


def test_several_time_axes_are_refused(tmp_path):
    survey = Survey.from_arrays([(0, 1), (1, 1)], [(0, 0)], [Time(5, 0.004), Time(6, 0.004)])
    for write in (lambda: survey.to_zarr(tmp_path / "a.zarr"), survey.to_xarray):
        with pytest.raises(ValueError, match="2 time axes.*by_time"):
            write()
    assert os.listdir(tmp_path) == []


def test_one_shot_reads_only_its_chunks(tmp_path):
    survey = survey_of("regular")
    survey.to_zarr(tmp_path / "a.zarr")
    again = Survey.from_zarr(tmp_path / "a.zarr")
    chunks = tmp_path / "a.zarr" / "data" / "c"
    for shot in (0, 1, 3, 4):
        shutil.rmtree(chunks / str(shot))
    assert np.array_equal(again[2].data, survey[2].data)
    # a chunk that is lost is no zeros
    with pytest.raises(ParameterError, match=r"a\.zarr.*missing or damaged"):
        again[1].data  # noqa: B018


@pytest.mark.parametrize("kind", ["regular", "ragged", "3d"])
def test_no_bit_of_a_chunk_changes_unseen(tmp_path, kind):
    survey = survey_of(kind)
    survey.to_zarr(tmp_path / "a.zarr")
    rng, tried = np.random.default_rng(0), 0
    for chunk in sorted((tmp_path / "a.zarr").glob("*/c/**/*")):
        if not chunk.is_file():
            continue
        whole = chunk.read_bytes()
        for at in rng.integers(len(whole), size=6):
            chunk.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << int(rng.integers(8)))]) + whole[at + 1 :])
            with pytest.raises(ParameterError, match=r"a\.zarr"):
                Survey.from_zarr(tmp_path / "a.zarr").data  # noqa: B018
            tried += 1
        chunk.write_bytes(whole)
    assert tried > 60 and same(Survey.from_zarr(tmp_path / "a.zarr"), survey)


def test_damaged_stores(tmp_path):
    path = tmp_path / "a.zarr"
    with pytest.raises(ParameterError, match="no such folder"):
        Survey.from_zarr(path)
    path.mkdir()
    with pytest.raises(ParameterError, match="a.zarr"):
        Survey.from_zarr(path)
    path.rmdir()
    survey_of("ragged").to_zarr(path)
    again = Survey.from_zarr(path)
    for chunk in (path / "data" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"rubbish")
    with pytest.raises(ParameterError, match="a.zarr"):
        again[0].data  # noqa: B018
    for name in ("receiver_x", "shot", "time", "record"):
        shutil.copytree(path, tmp_path / name)
        shutil.rmtree(tmp_path / name / name)
        with pytest.raises(ParameterError, match=f"{name} is missing or damaged"):
            Survey.from_zarr(tmp_path / name)


# -- whole or not at all


def test_nothing_is_overwritten_unless_told(tmp_path):
    path = tmp_path / "a.zarr"
    survey_of("ragged").to_zarr(path)
    with pytest.raises(ParameterError, match="overwrite=True"):
        survey_of("regular").to_zarr(path)
    survey_of("regular").to_zarr(path, overwrite=True)
    assert same(survey_of("regular"), Survey.from_zarr(path)) and os.listdir(tmp_path) == ["a.zarr"]
    Survey.from_zarr(path)[1:].to_zarr(path, overwrite=True)  # onto the store that it is read from
    assert same(survey_of("regular")[1:], Survey.from_zarr(path))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("precious")
    with pytest.raises(ParameterError, match="something else"):
        survey_of("regular").to_zarr(tmp_path / "home", overwrite=True)
    assert (tmp_path / "home" / "thesis.tex").exists()


@pytest.mark.parametrize("exists", [False, True])
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, exists):
    path = tmp_path / "a.zarr"
    if exists:
        survey_of("ragged").to_zarr(path)
    calls = []

    def full(array, *_):
        calls.append(array)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("seisops.survey.zarr_files._finite", full)
        with pytest.raises(OSError, match="No space left on device.*was not written"):
            survey_of("regular").to_zarr(path, overwrite=True)
    assert calls and os.listdir(tmp_path) == (["a.zarr"] if exists else [])
    assert not exists or same(survey_of("ragged"), Survey.from_zarr(path))


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("zarr", lambda path: survey_of("regular").to_zarr(path)),
        ("zarr", lambda path: Survey.from_zarr(path)),
        ("xarray", lambda path: survey_of("regular").to_xarray()),
        ("xarray", lambda path: Survey.from_xarray(None)),
    ],
)
def test_what_is_missing_is_named(tmp_path, monkeypatch, package, use):
    original = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=rf'{package}.*pip install .*\[io\]"'):
        use(tmp_path / "a.zarr")
