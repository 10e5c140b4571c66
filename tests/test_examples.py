"""The examples, and the code of the README, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import ready

stopped = ready.stopped

ROOT = Path(__file__).resolve().parents[1]
#: All but one, which is run, killed and run again in ``tests/inversion/test_inversion_docs.py``.
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.stem != "fwi")


def execute(path: str, *arguments: str) -> str:
    """What a script prints in a process of its own; warnings are errors."""
    code = f"""
import os, runpy, sys, warnings
warnings.simplefilter("error", UserWarning)
os.chdir({str(ROOT)!r})
sys.argv[:] = {[path, *arguments]}
sys.path.insert(0, {str(Path(path).parent)!r})
runpy.run_path({path!r}, run_name="__main__")
"""
    return ready.run(code, "torch" in Path(path).read_text(encoding="utf-8"))


#: Those of ``docs/larger_runs.rst``, which draw what they find.
GALLERY = (
    "angle_gathers", "cycle_skipping", "elastic_fwi", "multiscale_fwi", "robust_fwi", "source_location", "tti_lsrtm",
)  # fmt: skip

#: How far the loss of an example must fall, relative to the first, where it is not 0.7.
FALLS = {"torch_unrolled_lsrtm": 0.85}


def blocks(path: str, pattern: str) -> list[str]:
    return re.findall(pattern, (ROOT / path).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example(path, tmp_path):
    if path.stem == "jobqueue":
        compile(path.read_text(encoding="utf-8"), path.name, "exec")  # needs a batch system to run
        return
    options = ["--small"] if path.stem in GALLERY or path.stem.startswith("torch_") else []
    if path.stem in GALLERY:
        options += ["--figure", str(tmp_path / "figure.png")]
    said = execute(str(path), *options)
    numbers = [float(n) for n in re.findall(r"\d+(?:\.\d+)?(?:e[-+]\d+)?", said)]
    if path.stem == "quickstart":
        *_, above, below, true = numbers
        assert above <= true <= below <= above + 80.0
        assert float(re.search(r"dot test: (\S+)", said)[1]) < 1e-5
    elif path.stem == "lsrtm":
        assert numbers[-1] < 60.0
    elif path.stem == "own_equation":
        dot_f, dot_j, remainder = numbers
        assert dot_f < 1e-12 and dot_j < 1e-12 and remainder < 1e-2
    elif path.stem == "cluster":
        assert "(8, 91, 251)" in said and numbers[-1] < 1e-5
    elif path.stem == "elastic_fwi":
        misfits, errors = (
            [tuple(map(float, pair)) for pair in re.findall(pattern, said)]
            for pattern in (r"misfit (\S+) -> (\S+) %", r"error (\d+) -> (\d+) m/s")
        )
        assert len(misfits) == len(errors) == 2, said
        assert all(after < 0.75 * before for before, after in misfits), said
        assert all(after < 0.99 * before for before, after in errors), said
        assert (tmp_path / "figure.png").stat().st_size > 10_000
    elif path.stem == "tti_lsrtm":
        tti, isotropic = (
            [float(n) for n in re.search(rf"^{name}: misfit (\S+) .* (\S+); .* (\S+) m$", said, re.MULTILINE).groups()]
            for name in ("TTI", "isotropic")
        )
        assert tti[0] < 50.0 < 60.0 < isotropic[0] and isotropic[1] < 0.5 < tti[1]
        assert abs(tti[2]) <= 5.0 and isotropic[2] < -20.0
        assert (tmp_path / "figure.png").stat().st_size > 10_000
    elif path.stem == "multiscale_fwi":
        (low, high), errors = ([float(n) for n in re.findall(p, said)] for p in (r"misfit (\d+) %", r"model (\d+) %"))
        assert max(low, high) < 20.0 and errors[1] < errors[0] < 90.0 and errors[1] < 75.0, said
    elif path.stem == "cycle_skipping":
        squares, _, envelopes, _, reconstruction, _ = (float(n) for n in re.findall(r"model (\S+) of", said))
        assert max(envelopes, reconstruction) < 1.0 < squares, said
    elif path.stem == "angle_gathers":
        right, wrong = (float(n) for n in re.findall(r"energy is (\d+) m", said))
        assert right < 0.9 * wrong, said
    elif path.stem == "robust_fwi":
        good, squares, student = (float(n) for n in re.findall(r"model (\d+) %", said))
        assert good < 80.0 and student < good + 3.0 and squares > 120.0, said
    elif path.stem == "source_location":
        distances = [tuple(map(float, pair)) for pair in re.findall(r": (\S+) m -> (\S+) m", said)]
        assert len(distances) == 2 and all(before > 100.0 and after < 10.0 for before, after in distances), said
        assert (tmp_path / "figure.png").stat().st_size > 10_000
    elif path.stem.startswith("torch_"):
        fell = re.search(r"^loss: 1\.00\d* -> (\S+)", said, re.MULTILINE)
        assert float(fell[1]) < FALLS.get(path.stem, 0.7), said
        if path.stem == "torch_unrolled_lsrtm":
            solves, errors = (
                {
                    row[0]: float(row[column])
                    for row in re.findall(r"^(RTM|LSRTM|network) +(\d+) +(\S+)", said, re.MULTILINE)
                }
                for column in (1, 2)
            )
            assert solves["network"] <= solves["LSRTM"]
            assert errors["network"] < 0.95 * errors["LSRTM"] < errors["RTM"]
    else:
        pytest.fail(f"say here what {path.name} has to print")


@pytest.mark.slow
def test_the_code_of_the_readme(tmp_path):
    code, *_ = blocks("README.md", r"^```python\n(.*?)^```")
    assert len([line for line in code.splitlines() if line.strip()]) <= 14
    path = tmp_path / "code.py"
    path.write_text(
        code + "\nassert d.shape == (2, 91, 251) and image.shape == grid.shape and d.any() and image.any()\n"
    )
    execute(str(path))
