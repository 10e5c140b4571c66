"""The comparison with the peers at its smallest: that all compute the same, and that what it says is there."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest

pytestmark = pytest.mark.slow

DIFFERENCE = 0.05  # largest relative difference between the codes
OF_MEDIA = 0.02  # of data and gradients of other media, which are of first order in time there; 0.008 was measured
REFLECTION = -40.0  # dB, of a source in the centre of the small domain; deepwave's PML of 20 cells has about -57


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    """Folder, output and records of a run with one thread, as another test may use the other core."""
    pytest.importorskip("deepwave")
    folder = tmp_path_factory.mktemp("benchmark")
    command = [
        sys.executable,
        "benchmarks/compare.py",
        "--small",
        "--rounds",
        "2",
        "--threads",
        "1",
        "--storage",
        "auto",
    ]
    command += [
        "--cases",
        "forward2d",
        "gradient2d",
        "reflection",
        "--only",
        "seisops",
        "deepwave",
        "--out",
        str(folder),
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr + (folder / "compare.log").read_text()
    return folder, done.stdout, json.loads((folder / "compare.json").read_text())


def rows(run) -> dict[tuple[str, str], dict]:
    return {(row["case"], row["contender"]): row for row in run[2]["rows"]}


def test_files_are_written(run):
    folder, said, _ = run
    assert {f"compare.{kind}" for kind in ("md", "csv", "json", "png", "log")} <= {p.name for p in folder.iterdir()}
    assert (folder / "compare.png").read_bytes().startswith(b"\x89PNG")
    text = (folder / "compare.md").read_text()
    for word in ("processor", "packages", "OMP_NUM_THREADS=1", "forward2d", "gradient2d", "Energy of reflections"):
        assert word in text
    with (folder / "compare.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(rows(run)) == 5
    assert "round 2 of 2" in said


def test_figures_are_numbers(run):
    for row in rows(run).values():
        ratios = [value for name, value in row.items() if "/" in name]
        assert len(ratios) == 2
        figures = [*ratios, row["min"], row["median"], row["memory_mib"], row["first"]]
        assert all(math.isfinite(x) and x > 0 for x in figures), row
        assert row["min"] <= row["median"]


def test_the_codes_compute_the_same(run):
    found = rows(run)
    assert found["forward2d", "seisops"]["differs"] == 0.0
    for row in found.values():
        assert row["differs"] < DIFFERENCE, row
    # what remains is not zero: two codes were compared, not one with itself
    assert found["forward2d", "deepwave"]["differs"] > 1e-6
    assert found["gradient2d", "deepwave"]["differs"] > 1e-6


def test_boundaries_are_compared(run):
    level = run[2]["reflection"]
    assert set(level) == {"seisops", "deepwave"}
    for name in level["seisops"]:
        assert math.isfinite(level["seisops"][name]) and math.isfinite(level["deepwave"][name])
    assert level["seisops"]["centre"] < REFLECTION


@pytest.fixture
def peers(root, monkeypatch):
    """Compares a code's results with those of seisops, at the small version of a case, in this process."""
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(root / "benchmarks")
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    from peers.cases import CASES, LAYERS
    from peers.race import differences

    def compared(peer: str, name: str, task: str, **options) -> dict[str, float]:
        """Relative L2 differences, by what they are of."""
        problem = CASES[name].small
        layer = {"layer": LAYERS[problem.medium]} if problem.medium in LAYERS else {}
        found = []
        for who, asked in (("seisops", layer), (peer, options)):
            job = import_module(f"peers.with_{who}").TASKS[task](problem, **asked)
            found.append(job.results(job.run()))
        ours, theirs = found
        assert list(ours) == list(theirs) and all(np.any(value) for value in ours.values())
        return differences(theirs, ours, problem)

    return compared


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("medium", ["density", "elastic", "vti", "visco"])
def test_other_media_are_those_of_another_code(peers, medium):
    """Data, and derivatives by every parameter, scaled as the equations say and not fitted."""
    pytest.importorskip("deepwave")
    data = peers("deepwave", f"{medium}2d", "forward")
    by = peers("deepwave", f"{medium}gradient2d", "gradient")
    parameters = {"density": "vp rho", "elastic": "vp vs rho", "vti": "vp epsilon delta", "visco": "m qp"}
    assert list(data) == ["data"] and list(by) == [f"by {name}" for name in parameters[medium].split()]
    for found in (*data.values(), *by.values()):
        assert 1e-6 < found < OF_MEDIA, (data, by)  # two codes were compared


@pytest.mark.filterwarnings("ignore")
def test_tilted_media_are_those_of_the_example_solver(peers):
    """With a sponge of which nothing comes back in time."""
    pytest.importorskip("examples.seismic.tti", reason="the installed Devito carries no examples")
    found = peers("devito", "tti2d", "forward", sponge=80)
    assert 1e-6 < found["data"] < OF_MEDIA, found


def test_a_code_that_computes_something_else_fails(root, monkeypatch):
    """A negative control: what differs without saying so is told, and what says so is not."""
    monkeypatch.syspath_prepend(root / "benchmarks")
    from peers.cases import Contender
    from peers.race import Row
    from peers.tables import wrong

    def row(differs, away=None, **options):
        away = {"data": away} if away else {}
        return Row(Contender("x", "deepwave", **options), seconds=[1.0], differs={"data": differs}, away=away)

    good = [row(0.01), row(0.2, away=0.01), row(0.2, approximate=True)]
    bad = [row(0.2), row(float("nan")), row(0.01, away=0.2), Row(Contender("y", "devito"), failed=True, why="it broke")]
    assert wrong(good) == []
    assert wrong(bad) == bad
    assert wrong([Row(Contender("z", "devito"), why="not installed")]) == []
    (unchecked,) = bad[:1]
    unchecked.unchecked = True  # what its boundary reflects is part of the difference
    assert wrong([unchecked]) == []
