"""The gallery: its pages run as they stand, and the documentation that shows them builds without a warning."""

from __future__ import annotations

import ast
import csv
import os
import re
import runpy
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import ready

from seisops.demo.gallery import SECTIONS, Page

stopped = ready.stopped

ROOT = Path(__file__).resolve().parents[1]
GALLERY = ROOT / "examples" / "gallery"
PAGES = sorted(GALLERY.glob("*/*.py"))

#: What a page has to print: the words before a number, and the least and the largest that it may be.
SAYS = {
    "modeling/01_snapshots": {"dot test:": (0, 1e-5)},
    "modeling/02_shot_gather": {"dot test:": (0, 1e-5)},
    "modeling/03_sources_and_receivers": {"dot test:": (0, 1e-5)},
    "modeling/04_boundaries": {"thicker layers:": (0, 1e-3), "dot test": (0, 1e-5)},
    "modeling/05_your_own_physics": {"predicted to": (0, 1e-2), "dot test of F:": (0, 1e-12)},
    "imaging/01_rtm": {"dot test:": (0, 1e-5)},
    "imaging/02_illumination": {"none: misfit": (25, 40), "Hessian: misfit": (5, 20)},
    "imaging/03_lsrtm": {"misfit": (10, 30)},
    "imaging/04_sparse_lsrtm": {
        "squares: correlation with the truth": (0.3, 0.36),
        "sparse: correlation with the truth": (0.37, 0.5),
    },
    "imaging/05_tti": {"TTI: misfit": (10, 30), "isotropic: misfit": (40, 70)},
    "imaging/06_extended_source": {
        "damped: correlation with the truth": (0.6, 0.8),
        "squares: correlation with the truth": (0.2, 0.5),
    },
    "imaging/07_imaging_conditions": {"dot test:": (0, 1e-5), "right: depth from": (480, 520)},
    "inversion/01_fwi": {"error of the model": (50, 80)},
    "inversion/02_multiscale": {"by bands: error of the model": (50, 80), "at once: error of the model": (80, 100)},
    "inversion/03_gauss_newton": {"Gauss-Newton": (0, 1e-5), "exact": (0, 1e-5)},
    "inversion/04_stochastic": {"model error": (0.4, 0.65)},
    "inversion/05_encoded": {"difference": (0, 1e-5), "model error": (0.4, 0.65)},
    "inversion/06_robust": {"least squares: error of the model": (120, 400), "t: error of the model": (50, 76)},
    "inversion/07_source_estimation": {
        "a guess: error of the model": (120, 400),
        "estimated: error of the model": (50, 80),
    },
    "inversion/08_elastic": {"->": (0.2, 0.7)},
    "inversion/09_wavefield_reconstruction": {
        "least squares: error": (1.2, 4.0),
        "reconstruction: error": (0.2, 0.5),
        "then least squares: error": (0.2, 0.5),
    },
    "inversion/10_uncertainty": {"z=41]:": (15, 25), "500 m:": (7, 13)},
    "inversion/11_source_location": {"guessed: off by": (70, 90), "located: off by": (0, 5)},
    "networks/01_layer": {"->": (0, 0.02)},
    "networks/02_deep_prior": {"pixels: error of the model": (80, 120), "prior: error of the model": (45, 75)},
    "networks/03_unrolled": {"network, 3 solves: error": (0.6, 0.82), "squares, 4 solves: error": (0.85, 1.0)},
    "networks/04_extended_source": {"->": (0, 0.02)},
    "networks/05_convolutions": {
        "->": (0, 0.003),
        "of the velocity:": (0.1, 0.3),
        "of the recorded wavelet:": (0, 0.08),
    },
    "networks/06_diffusion": {"dot test:": (0, 1e-5), "->": (0, 2e-5), "of the diffusivity:": (0.1, 0.3)},
    "practice/01_segy_to_image": {"MB, revision": (1, 1)},
    "practice/02_cluster": {"one process:": (0, 1e-5)},
}  # fmt: skip


def name_of(path: Path) -> str:
    return path.relative_to(GALLERY).with_suffix("").as_posix()


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_page_runs(path, tmp_path):
    """It runs as a script, without a warning, draws, and finds what it says."""
    text = path.read_text(encoding="utf-8")
    for module in Page(path.stem, path).needs:
        pytest.importorskip(module)
    code = f"""
import matplotlib, os, runpy, warnings
matplotlib.use("agg")
warnings.simplefilter("error", UserWarning)
# a movie that nobody looks at says so
warnings.filterwarnings("ignore", "Animation was deleted")
os.chdir({str(tmp_path)!r})
runpy.run_path({str(path)!r}, run_name="__main__")
import matplotlib.pyplot as plt
print("figures:", len(plt.get_fignums()))
"""
    said = ready.run(code, "import torch" in text)
    assert int(re.search(r"figures: (\d+)", said)[1]) > 0
    for words, (least, most) in SAYS[name_of(path)].items():
        found = re.search(re.escape(words) + r" ?(\d[\d.e+-]*)", said)
        assert found, f"{words!r} is not followed by a number in {said}"
        assert least <= float(found[1].rstrip(".")) <= most, said


def test_every_page_is_held_to_something():
    assert set(map(name_of, PAGES)) == set(SAYS)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_page_is_short_and_has_a_title(path):
    text = path.read_text(encoding="utf-8")
    title, rule, *_ = ast.get_docstring(ast.parse(text)).splitlines()
    assert rule == "=" * len(title), f"{path.name}: the rule under its title is not as long as that"
    assert text.count("\n# %%\n") >= 2, f"{path.name} is code without prose"


def test_lines_are_those_that_the_documentation_tells(root):
    """And never more than those of the shortest example of the same job elsewhere."""
    count = runpy.run_path(str(root / "benchmarks" / "lines.py"))["lines"]
    with open(root / "docs" / "lines.csv", encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    told = {row[0].split("`")[1].removeprefix("gallery/"): row[1:] for row in rows}
    assert {name: int(ours) for name, (ours, *_) in told.items()} == {name_of(path): count(path) for path in PAGES}
    for name, (ours, *peers) in told.items():
        assert all(int(ours) <= int(cell.split()[0]) for cell in peers if cell), name


def test_sections_have_headers(root):
    sections = {path.parent for path in PAGES}
    assert all((folder / "GALLERY_HEADER.rst").is_file() for folder in (GALLERY, *sections))
    assert set(SECTIONS) == {folder.name for folder in sections}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("sphinx_gallery") is None or find_spec("furo") is None, reason="needs seisops[docs]")
def test_documentation_builds_without_a_warning(tmp_path):
    """With one page run, as the tests above run all; on a copy, where the others replace none that were run."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build", "gallery", "generated"))
    for beside in ROOT.iterdir():
        if beside.name != "docs" and not beside.name.startswith("."):
            (tmp_path / beside.name).symlink_to(beside)
    # the list of all pages beside each page takes half of the time, and warns of nothing
    code = "import furo, sys, sphinx.cmd.build as s; furo._compute_navigation_tree = lambda context: ''; sys.exit(s.main())"
    command = [sys.executable, "-c", code, "-q", "-W", "--keep-going", "-b", "html"]
    command += ["-D", r"sphinx_gallery_conf.filename_pattern=01_snapshots\.py$", "docs", "html"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "MPLBACKEND": "agg"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "html" / "gallery" / "modeling" / "01_snapshots.html").read_text(encoding="utf-8")
    assert "dot test:" in page and "animation" in page
    gallery = (tmp_path / "html" / "gallery" / "index.html").read_text(encoding="utf-8")
    assert all(f"{name_of(path)}.html" in gallery for path in PAGES)
