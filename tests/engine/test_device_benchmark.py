"""The benchmark of graphics processors, as far as it goes without one: it compares, and keeps its time."""

import importlib.util
import sys
import threading

import numpy as np
import pytest
from test_device_arrays import card  # noqa: F401 - a fixture

import seisops as so

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")


@pytest.fixture(scope="module")
def bench(root):
    spec = importlib.util.spec_from_file_location("benchmark_of_devices", root / "benchmarks" / "device.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_it_compares_a_device_with_the_processor(bench, card, capsys):  # noqa: F811
    row = ("density", (20, 18), so.PML(cells=3), True, "float64", so.storage.Full())
    bench.right(bench.Clock(60.0), "host", [row])
    said = capsys.readouterr().out
    assert "(20, 18)" in said and "off by" in said and "4 shots together and alone" in said


def test_it_stops_at_what_is_wrong(bench, card, monkeypatch):  # noqa: F811
    real = card.to_device
    monkeypatch.setattr(card, "to_device", lambda a, dtype: real(1.0001 * a if np.ndim(a) == 2 else a, dtype))
    row = ("acoustic", (20, 18), None, False, "float64", so.storage.Full())
    with pytest.raises(AssertionError):
        bench.right(bench.Clock(60.0), "host", [row])


def test_it_says_that_there_is_no_card(bench, capsys):
    with pytest.raises(SystemExit):
        bench.main(["--device", "cuda:99"])
    assert 'device="cuda:99"' in capsys.readouterr().err


def test_it_says_what_there_is_no_time_for(bench, capsys):
    bench.table(bench.Clock(0.0), "cpu", None, [bench.seisops("cpu")])
    said = capsys.readouterr().out
    assert f"no time for {len(bench.FAST)} more" in said and "acoustic 512x512" in said
    assert f"no time for {len(bench.GRADIENTS)} more" in said


def test_it_prints_figures(bench, capsys):
    codes = [code for code in (bench.seisops("cpu"), bench.deepwave("cpu")) if code is not None]
    rows = [("acoustic", (40, 40), 2, so.PML(), 30, 130)]
    bench.table(bench.Clock(60.0), "cpu", 1e10, codes, rows, [("acoustic", (40, 40), 2, 30)])
    lines = capsys.readouterr().out.splitlines()
    steps = [line for line in lines if "us a step" in line]
    assert len(steps) == len(codes) and all("GPts/s" in line and "of the ceiling" in line for line in steps)
    assert all(float(line.rpartition("off by ")[2]) < 0.1 for line in steps), steps
    assert sum("times the forward's" in line for line in lines) == len(codes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["acoustic", "density", "tti", "elastic", "viscoacoustic"])
def test_its_small_models_are_of_waves(bench, name):
    assert float(bench.off(bench.seisops("cpu"), name, 2, {})) < 0.05


def test_its_parts_end_in_time(bench, monkeypatch, capsys):
    """Each has its share of what is left."""
    monkeypatch.setattr(bench, "RIGHT", [])
    monkeypatch.setattr(bench.shutil, "which", lambda name: None)
    bench.main(["--device", "cpu", "--seconds", "20", "--parts", "races"])
    said = capsys.readouterr().out
    assert "races: at most 3 s" in said and "compute-sanitizer is not on the path: left out" in said


def test_it_stops_in_the_middle_of_a_row(bench, monkeypatch, capsys):
    """Of what takes much longer than anything before, as compilers do."""
    ended = threading.Event()
    monkeypatch.setattr(bench, "GRACE", 0.0)
    monkeypatch.setattr(bench.os, "_exit", lambda status: ended.set())
    monkeypatch.setattr(bench, "races", lambda clock, device: ended.wait(60.0))
    bench.main(["--device", "cpu", "--seconds", "0.1", "--parts", "races"])
    assert ended.is_set() and "stopped" in capsys.readouterr().out
