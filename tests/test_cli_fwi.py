"""The command that inverts: what it finds, that it goes on where it was killed, and what its configuration may say."""

from __future__ import annotations

import csv
import re
import subprocess
import sys

import numpy as np
import pytest

import seisops as so
from seisops.cli import main
from seisops.cli.fwi import SECTIONS
from seisops.cli.keys import example, from_table, keys

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG = """\
[data]
survey = "wells.segy"
[model]
velocity = "start.npy"
spacing = 20
[source]
f0 = 10
[inversion]
bounds = [1600, 2800]
bands = [8, "all"]
iterations = 3
smooth = 40
[output]
folder = "{folder}"
truth = "true.npy"
no_figures = true
"""


@pytest.fixture(scope="module")
def wells(tmp_path_factory):
    """Sources in one well, receivers in another, and a fast ball between them."""
    folder = tmp_path_factory.mktemp("wells")
    grid, time = so.Grid((31, 31), 20.0), so.Time(151, 0.004)
    x, z = np.meshgrid(*(grid.coordinates(a) for a in grid.axes), indexing="ij")
    vp = 2000.0 * (1 + 0.1 * np.exp(-((x - 300) ** 2 + (z - 300) ** 2) / 110**2))
    receivers = [(560.0, depth) for depth in grid.coordinates("z")[::2]]
    survey = so.Survey.from_arrays([(40.0, depth) for depth in (100.0, 300.0, 500.0)], receivers, time)
    q = np.tile(so.ricker(time, 10.0), (3, 1, 1))
    survey.with_data(survey.modeling(so.Acoustic(grid, vp=vp)) @ q).to_segy(folder / "wells.segy")
    np.save(folder / "start.npy", np.full(grid.shape, 2000.0))
    np.save(folder / "true.npy", vp)
    return folder


def written(wells, name, *changes):
    """A configuration with some lines changed: text that is there, and what takes its place."""
    text = CONFIG.format(folder=name)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = wells / f"{name}.toml"
    path.write_text(text)
    return path


def refused(capsys, path, *more) -> str:
    assert main(["fwi", str(path), "--quiet", *more]) == 1
    return capsys.readouterr().err


def test_misfit_and_error_of_the_model_fall(wells, capsys):
    pytest.importorskip("matplotlib")
    assert main(["fwi", str(written(wells, "found", ("no_figures = true", "")))]) == 0
    said, out = capsys.readouterr(), wells / "found"
    assert "up to 8 Hz" in said.out and "all frequencies" in said.out and "evaluations" in said.err
    vp, true = np.load(out / "model.npy"), np.load(wells / "true.npy")
    assert np.linalg.norm(vp - true) < 0.6 * np.linalg.norm(2000.0 - true) and 1600 < vp.min() < vp.max() < 2800
    with open(out / "misfits.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["corner (Hz)"] for row in rows] == ["8.0"] * 4 + ["all"] * 4
    for band in "01":
        misfits = [float(row["misfit"]) for row in rows if row["band"] == band]
        assert (np.diff(misfits) < 0).all() and misfits[-1] < 0.3 * misfits[0]
    error = float(rows[-1]["error of the model"])
    assert np.isclose(error, np.linalg.norm(vp - true) / np.linalg.norm(2000.0 - true))
    names = {"config.toml", "journal", "model.npy", "misfits.csv", "start.png", "model.png", "truth.png", "misfit.png"}
    assert {p.name for p in out.iterdir()} == names


KILLED = """
import os, signal, sys
from seisops.inversion import entries
write, left = entries.write, [int(sys.argv[2])]
def counted(path, entry):
    write(path, entry)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
entries.write = counted
from seisops.cli import main
main(["fwi", sys.argv[1], "--quiet"])
"""


def test_a_run_that_was_killed_goes_on_with_the_same_numbers(wells, root, monkeypatch):
    assert main(["fwi", str(written(wells, "whole")), "--quiet"]) == 0
    path, out = written(wells, "killed"), wells / "killed"
    for kept, more in ((3, 3), (8, 5)):  # in the first band, and in the second
        done = subprocess.run([sys.executable, "-c", KILLED, str(path), str(more)], cwd=root, capture_output=True)
        assert done.returncode == -9 and not (out / "model.npy").exists()
        assert len(so.inversion.Journal(out / "journal")) == kept
    first = (out / "journal" / "000000.entry").stat().st_mtime_ns
    assert main(["fwi", str(path), "--quiet"]) == 0
    for name in ("model.npy", "misfits.csv"):
        assert (out / name).read_bytes() == (wells / "whole" / name).read_bytes()
    assert (out / "journal" / "000000.entry").stat().st_mtime_ns == first
    # what is finished is only read
    monkeypatch.setattr(so.inversion.Misfit, "__call__", None)
    assert main(["fwi", str(path), "--quiet"]) == 0


def test_a_folder_of_something_else_is_refused(wells, capsys):
    assert main(["fwi", str(written(wells, "mine")), "--quiet"]) == 0
    first = np.load(wells / "mine" / "model.npy")
    other = written(wells, "mine", ("iterations = 3", "iterations = 2\nmemory = 1.5"))
    said = refused(capsys, other)
    assert "another configuration: [inversion] iterations is 3 there and 2 here" in said and "--force" in said
    np.testing.assert_array_equal(np.load(wells / "mine" / "model.npy"), first)
    assert main(["fwi", str(other), "--quiet", "--force"]) == 0
    assert not np.array_equal(np.load(wells / "mine" / "model.npy"), first)
    # memory and processes change no number
    assert main(["fwi", str(written(wells, "mine", ("iterations = 3", "iterations = 2"))), "--quiet"]) == 0
    (wells / "theirs").mkdir()
    (wells / "theirs" / "thesis.tex").write_text("")
    assert "not empty, and of no run of this command" in refused(capsys, written(wells, "theirs"))
    assert "is a file" in refused(capsys, written(wells, "start.npy"))


def test_a_run_that_computed_nothing_is_in_nobodys_way(wells, capsys):
    short = ("iterations = 3", "iterations = 1")
    silent = so.Survey.from_segy(wells / "wells.segy")
    silent.with_data(0 * silent.data).to_segy(wells / "silent.segy")
    said = refused(capsys, written(wells, "again", short, ("wells.segy", "silent.segy")))
    assert "all zero" in said and (wells / "again" / "config.toml").is_file()
    assert main(["fwi", str(written(wells, "again", short)), "--quiet"]) == 0


def test_data_that_changed_meanwhile_are_refused(wells, capsys):
    np.save(wells / "moved.npy", np.full((31, 31), 2000.0))
    path = written(wells, "moved", ("start.npy", "moved.npy"), ("iterations = 3", "iterations = 1"))
    assert main(["fwi", str(path), "--quiet"]) == 0
    np.save(wells / "moved.npy", np.full((31, 31), 2050.0))
    assert "belongs to another run" in refused(capsys, path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("smooth", "smoth", r"\[inversion\] has no key 'smoth': did you mean 'smooth'\?"),
        ("f0", "wobble", r"\[source\] has no key 'wobble': its keys are f0, peak, wavelet"),
        ("[source]", "[sauce]", "no section 'sauce': did you mean 'source'"),
        ("bounds = [1600, 2800]\n", "", r"\[inversion\] needs bounds, lowest and highest velocity in m/s: bounds = \[1450"),
        ("f0 = 10", 'f0 = "10 Hz"', r"\[source\] f0 must be a positive and finite number in Hz, got '10 Hz'"),
        ("f0 = 10", "f0 = true", r"\[source\] f0 must be a positive"),
        ("spacing = 20", "spacing = [20, 20, 20, 20]", r"\[model\] spacing takes 1 or 2 or 3 numbers in m"),
        ("spacing = 20", 'spacing = 20\nunits = "km/s"', "read as vp, is 2000 km/s .* perhaps vp in m/s"),
        ("spacing = 20", 'spacing = 20\nunits = "kms"', r"\[model\] units is one of m/s, km/s.*did you mean 'km/s'"),
        ("spacing = 20", "spacing = 10", r"receiver \d+ of shot 0 is at .* outside the model"),
        ("[1600, 2800]", "[1.6, 2.8]", r"\[inversion\] bounds, .* 1.6 to 2.8 m/s .* perhaps vp in km/s"),
        ("[1600, 2800]", "[2800, 1600]", "give the lowest velocity first"),
        ("[1600, 2800]", "[2100, 2800]", "not between their bounds"),
        ('[8, "all"]', '[8, "al"]', r"\[inversion\] bands must be a positive and finite number in Hz, or \"all\", got 'al'"),
        ('[8, "all"]', "[]", "bands is empty"),
        ("iterations = 3", "iterations = 2.5", r"\[inversion\] iterations must be an integer"),
        ("smooth = 40", 'loss = "hubert"', "did you mean 'huber'"),
        ("smooth = 40", 'loss = "huber"', "loss_scale is needed"),
        ("smooth = 40", "loss_scale = 0.5", "the loss is 'squares'"),
        ("no_figures = true", "no_figures = 1", "no_figures is true or false, got 1"),
        ("no_figures = true", 'model = "a.doc"', "unknown kind of file"),
        ("true.npy", "wells.segy", "wells.segy, read as vp|wells.segy is not positive"),
        ("wells.segy", "well.segy", "well.segy"),
        ("f0 = 10", "f0 = ", "is not TOML"),
    ],
)  # fmt: skip
def test_a_configuration_that_makes_no_sense_is_refused(wells, capsys, old, new, message):
    said = refused(capsys, written(wells, "refused", (old, new)))
    assert said.startswith("seisops: ") and re.search(message, said), said
    assert not (wells / "refused").exists()


def test_a_dry_run_says_what_it_costs_and_does_nothing(wells, capsys):
    assert main(["fwi", str(written(wells, "dry")), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "Survey of 3 shots" in said and "in all about 12 gradients, 72 solves, about" in said
    assert not (wells / "dry").exists()


@pytest.mark.parametrize(
    "more", ['wrt = "m"\ntop_mute = 40', 'loss = "student"\nloss_scale = 2.0\nestimate_source = true', "water = true"]
)
def test_other_ways_to_fit(wells, more, capsys):
    name = f"other{len(more)}"
    change = ("smooth = 40", more)
    path = written(wells, name, change, ("iterations = 3", "iterations = 2"), ('[8, "all"]', '["all"]'))
    if "water" in more:
        assert "no velocity differs" in refused(capsys, path)
        return
    assert main(["fwi", str(path), "--quiet"]) == 0
    vp, true = np.load(wells / name / "model.npy"), np.load(wells / "true.npy")
    assert np.linalg.norm(vp - true) < 0.95 * np.linalg.norm(2000.0 - true)
    if "top_mute" in more:
        np.testing.assert_allclose(vp[:, :3], 2000.0, rtol=1e-6)


def test_the_example_has_all_keys_and_each_is_valid(capsys, tmp_path):
    assert main(["fwi", "--example"]) == 0
    text = capsys.readouterr().out
    tables = tomllib.loads(text)
    for name, section in SECTIONS.items():
        from_table(section, tables[name], name, tmp_path)
    everything = tomllib.loads(re.sub(r"^# ", "", "\n".join(example(SECTIONS)), flags=re.M))
    for name, section in SECTIONS.items():
        assert set(everything[name]) == {one.name for one in keys(section)}
        from_table(section, everything[name], name, tmp_path)


def test_no_configuration(capsys, tmp_path):
    assert "--example" in refused(capsys, tmp_path / "nothing.toml")
    assert main(["fwi"]) == 1 and "name a configuration" in capsys.readouterr().err
