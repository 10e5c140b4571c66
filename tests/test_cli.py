"""The command: what it writes, what it prints, and how it refuses."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

import seisops as so
from seisops.cli import main, parser
from seisops.cli.completion import _actions

SMALL = ["--spacing=20", "--shots=1", "--f0=8", "--duration=0.6", "--iterations=1", "--fwi-iterations=1"]


@pytest.fixture
def velocity(tmp_path):
    x, z = np.indices((41, 25))
    vp = np.where(z < 12 + x / 20, 1500.0, 2000.0)
    np.save(tmp_path / "vp.npy", vp)
    return tmp_path / "vp.npy"


def refused(capsys, *arguments) -> str:
    assert main(["demo", *map(str, arguments)]) == 1
    return capsys.readouterr().err


def test_a_run_writes_a_table_arrays_and_figures(tmp_path, velocity, capsys):
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    assert main(["demo", "--model", str(velocity), *SMALL, "--output", str(out)]) == 0
    said = capsys.readouterr()
    assert "least-squares" in said.out and "inversion" in said.err and "solve" in said.err
    assert (out / "fwi.png").is_file()
    assert (out / "table.txt").read_text().strip() in said.out
    assert "not empty" in refused(capsys, "--output", out)


def test_quiet_says_nothing_and_figures_can_be_left_out(tmp_path, velocity, capfd):
    out = tmp_path / "out"
    assert main(["demo", "--model", str(velocity), *SMALL, "--output", str(out), "--quiet", "--no-figures"]) == 0
    assert capfd.readouterr() == ("", "")
    assert sorted(p.name for p in out.iterdir()) == ["arrays.npz", "table.txt"]


def test_an_output_that_is_not_empty_or_a_file_is_refused(tmp_path, velocity, capsys):
    assert "not empty" in refused(capsys, "--output", tmp_path)
    assert "--force" in refused(capsys, "--output", tmp_path)
    assert "is a file" in refused(capsys, "--output", velocity)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--units", "km/s", "--spacing", "20"], "outside the plausible 0.05 to 20 km/s: perhaps vp in m/s"),
        (["--quantity", "m", "--spacing", "20"], "perhaps vp in m/s"),
        ([], "state the size of its cells"),
        (["--spacing", "20", "--start-dataset", "m0", "--start", "missing.h5"], "missing.h5: no such file"),
        (["--spacing", "20", "--shots", "0"], "shots must be an integer"),
        (
            ["--spacing", "20", "--mute", "500", "--quiet"],
            "a mute of 500 m leaves nothing of a model that is 480 m deep",
        ),
    ],
)
def test_a_model_that_does_not_fit_what_is_stated(tmp_path, velocity, capsys, arguments, message):
    said = refused(capsys, "--no-figures", "--output", tmp_path / "out", "--model", velocity, *arguments)
    assert said.startswith("seisops: ") and message in said
    assert not (tmp_path / "out").exists()


def test_a_start_on_another_grid(tmp_path, velocity, capsys):
    np.save(tmp_path / "start.npy", np.full((40, 25), 1500.0))
    said = refused(
        capsys,
        "--no-figures",
        "--output",
        tmp_path / "out",
        "--model",
        velocity,
        "--spacing",
        "20",
        "--start",
        tmp_path / "start.npy",
    )
    assert "(40, 25)" in said and "same grid" in said


def test_a_start_that_leaves_nothing_to_image(tmp_path, velocity, capsys):
    said = refused(
        capsys,
        "--no-figures",
        "--quiet",
        "--output",
        tmp_path / "out",
        "--model",
        velocity,
        "--start",
        velocity,
        *SMALL,
    )
    assert "nothing to image" in said and "starting model" in said


def test_options_of_a_file_need_a_file(tmp_path, capsys):
    said = refused(capsys, "--no-figures", "--output", tmp_path / "out", "--spacing", "10", "--start-dataset", "m0")
    assert "--start-dataset, --spacing" in said and "--model" in said


@pytest.mark.parametrize(("module", "file"), [("h5py", "a.h5"), ("segyio", "a.segy")])
def test_a_missing_package_names_its_extra(tmp_path, capsys, monkeypatch, module, file):
    (tmp_path / file).write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    said = refused(capsys, "--no-figures", "--output", tmp_path / "out", "--model", tmp_path / file, "--spacing", "10")
    assert module in said and '[io]"' in said


def test_missing_matplotlib_is_told_before_the_work(tmp_path, capsys, monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == "matplotlib" or n == "seisops.plot"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = refused(capsys, "--output", tmp_path / "out")
    assert '[plot]"' in said and "--no-figures" in said


def test_help_explains_with_examples(capsys):
    with pytest.raises(SystemExit) as done:
        main(["demo", "--help"])
    said = capsys.readouterr().out
    assert done.value.code == 0 and "examples:" in said and "overthrust_model.h5" in said


def test_python_m_seisops_is_the_command(root):
    done = subprocess.run([sys.executable, "-m", "seisops", "--version"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("seisops ")


@pytest.mark.slow
def test_the_demonstration_at_its_default_size(tmp_path):
    pytest.importorskip("matplotlib")
    assert main(["demo", "--output", str(tmp_path / "out"), "--quiet"]) == 0
    with np.load(tmp_path / "out" / "arrays.npz") as a:
        assert a["lsrtm_misfit"][-1] < 0.5
        assert a["fwi_misfit"][-1] < 0.6 * a["fwi_misfit"][0]
        assert a["fwi_error"][-1] < 0.85


@pytest.fixture
def line(tmp_path):
    """Two shots in a SEG-Y file."""
    shots = so.Survey.from_arrays(
        [(100.0, 10.0), (200.0, 10.0)], [(x, 5.0) for x in (0.0, 50.0, 100.0)], so.Time(51, 0.004), np.ones((2, 3, 51))
    )
    shots.to_segy(tmp_path / "line.segy")
    return tmp_path / "line.segy"


def test_segy_info(line, capsys):
    assert main(["segy", "info", str(line)]) == 0
    said = capsys.readouterr().out
    assert "6 traces of 51 samples of 4 ms" in said and "100 to 200 m" in said


def test_segy_info_leaves_lines_of_the_header_out_that_say_nothing(line, tmp_path, capsys):
    raw = bytearray(line.read_bytes())
    header = ["C 1 CLIENT", "C 2", "", "C40 END EBCDIC", "C 3   "] + [""] * 35
    raw[:3200] = "".join(text.ljust(80) for text in header).encode("cp500")
    (tmp_path / "named.segy").write_bytes(raw)
    assert main(["segy", "info", str(tmp_path / "named.segy")]) == 0
    said = [text for text in capsys.readouterr().out.splitlines() if text.startswith("  | ")]
    assert said == ["  | C 1 CLIENT", "  | C40 END EBCDIC"]


def test_errors_about_files_name_options(line, tmp_path, capsys):
    """Python's arguments have other names than options; what there is no option for is said to be Python's."""
    twice = so.Survey.from_arrays([(0.0, 10.0)], [(5.0, 5.0), (5.0, 5.0)], so.Time(51, 0.004), np.ones((1, 2, 51)))
    twice.to_segy(tmp_path / "twice.segy")
    np.save(tmp_path / "vp.npy", np.full((21, 11), 2000.0))
    stated = [f"--velocity={tmp_path / 'vp.npy'}", "--spacing=10", "--f0=15", f"--output={tmp_path / 'image.npy'}"]
    assert main(["image", str(tmp_path / "twice.segy"), *stated]) == 1
    said = capsys.readouterr().err
    assert "on_duplicate='first'" in said and "on_duplicate= is --duplicates" in said
    assert main(["image", str(tmp_path / "twice.segy"), *stated, "--duplicates=first", "--dry-run"]) == 0
    capsys.readouterr()
    assert main(["segy", "check", str(tmp_path / "twice.segy")]) == 1
    assert "on_duplicate= is --duplicates" in capsys.readouterr().out
    raw = bytearray(line.read_bytes())
    raw[3224:3226] = (77).to_bytes(2, "big")
    (tmp_path / "odd.segy").write_bytes(raw)
    assert main(["image", str(tmp_path / "odd.segy"), *stated]) == 1
    said = capsys.readouterr().err
    assert "format=..." in said and "format= and byteorder= of Survey.from_segy in Python" in said
    with pytest.raises(so.ParameterError) as plain:
        so.Survey.from_segy(tmp_path / "odd.segy")
    assert "Python" not in str(plain.value)


def test_segy_check(line, tmp_path, capsys):
    assert main(["segy", "check", str(line), "--samples"]) == 0
    capsys.readouterr()
    broken = tmp_path / "broken.segy"
    broken.write_bytes(line.read_bytes()[:-100])
    assert main(["segy", "check", str(broken)]) == 1
    assert "error" in capsys.readouterr().out
    assert main(["segy", "info", str(tmp_path / "nothing.segy")]) == 1
    assert "nothing.segy" in capsys.readouterr().err


def test_plan(capsys):
    grid = ["plan", "--shape=61,41", "--spacing=10", "--vmax=2000", "--duration=0.2"]
    assert main([*grid, "--shots=12", "--workers=4", "--density", "--every=2"]) == 0
    said = capsys.readouterr().out
    assert "12 shots on 4 workers" in said and "approximate" in said and " s here" in said
    assert main([*grid, "--no-trial"]) == 0
    assert "here" not in capsys.readouterr().out
    assert main([*grid[:1], "--shape=61", *grid[2:], "--no-trial"]) == 1
    assert "shape" in capsys.readouterr().err


def test_the_doctor_says_what_there_is_and_that_it_works(capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    names = [line.split()[0] for line in said.splitlines()]
    assert names == ["seisops", "packages", "extras", "machine", "compiler", "kept", "adjoint", "derivative", "time"]
    assert so.__version__ in said and "WRONG" not in said


def test_the_doctor_says_what_is_wrong(capsys, monkeypatch):
    monkeypatch.setattr("seisops.doctor.chosen", lambda: ("no-such-compiler", ()))
    monkeypatch.setattr("seisops.doctor.dot_test", lambda op: 1e-3)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "WRONG: there is no no-such-compiler" in said and "WRONG: exact to 1e-03" in said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_and_options(shell, capsys):
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    for word in ("image", "fwi", "demo", "segy", "plan", "doctor", "top-mute", "dry-run", "no-trial", "gauss_newton"):
        assert word in said


def test_completion_says_what_it_needs(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert '[completion]"' in capsys.readouterr().err


def test_warnings_are_told_in_a_line(tmp_path, capsys):
    survey = so.Survey.from_arrays([(100.0, 10.0)], [(200.0, 10.0)], so.Time(51, 0.004), np.ones((1, 1, 51)))
    survey.to_segy(tmp_path / "line.segy")
    np.save(tmp_path / "vp.npy", np.full((31, 21), 1500.0))
    stated = ["--spacing=10", "--f0=60", "--no-figure", "--quiet", f"--output={tmp_path / 'image.npy'}"]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["image", str(tmp_path / "line.segy"), f"--velocity={tmp_path / 'vp.npy'}", *stated]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said and all(line.startswith("seisops: warning: ") for line in said) and "coarse" in said[0]


def test_every_option_is_documented(root):
    text = (root / "docs" / "commands.rst").read_text(encoding="utf-8")
    names = {option for action in _actions(parser()) for option in action.option_strings if option.startswith("--")}
    assert len(names) > 50
    assert not [name for name in sorted(names - {"--help"}) if f"``{name}``" not in text]
