"""Pages of the gallery by the command: which are listed, what names mean, and what a run leaves."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from seisops._extras import install
from seisops.cli import gallery, main
from seisops.demo.gallery import NEEDS, PAGES, Page, pages
from seisops.errors import ParameterError

NAMES = [page.name for page in pages()]

#: A page as those of the gallery are, of which a test can wait for the end.
PAGE = '''"""
A page
======

What it shows.
"""

import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation

print("dot test:", 0)
figure, ax = plt.subplots()
(line,) = ax.plot([0, 1])
plt.figure()
shown = FuncAnimation(figure, lambda i: line.set_ydata([i, 1]), frames=2)
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A gallery of one page, and a folder to be in."""
    (tmp_path / "pages" / "modeling").mkdir(parents=True)
    (tmp_path / "pages" / "modeling" / "01_a_page.py").write_text(PAGE)
    (tmp_path / "here").mkdir()
    monkeypatch.setattr("seisops.demo.gallery.PAGES", tmp_path / "pages")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def refused(capsys, *arguments) -> str:
    assert main(["demo", *map(str, arguments)]) == 1
    return capsys.readouterr().err


def test_pages_are_those_of_the_documentation(root):
    files = sorted((root / "examples" / "gallery").glob("*/*.py"))
    assert sorted(page.path.resolve() for page in pages()) == files and len(set(NAMES)) == len(NAMES) == len(files) > 25


def test_the_list_has_every_name_and_title_by_section(capsys):
    assert main(["demo", "--list"]) == 0
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines() if line.startswith("  ")] == NAMES
    headings = [line for line in said.splitlines() if line and not line.startswith(" ")]
    assert headings == ["modeling", "imaging", "inversion", "networks", "practice"]
    assert re.search(r"^  rtm +Reverse-time migration$", said, re.MULTILINE)
    with pytest.raises(SystemExit):
        main(["demo", "rtm", "--list"])


@pytest.mark.parametrize("page", pages(), ids=NAMES)
def test_what_a_page_imports_is_known(page):
    text = page.path.read_text(encoding="utf-8")
    assert "import matplotlib.pyplot as plt" in text  # by which the script's end saves figures
    tree = ast.parse(text)
    lines = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    found = {
        name for n in lines for name in ([n.module] if isinstance(n, ast.ImportFrom) else [a.name for a in n.names])
    }
    roots = {name.partition(".")[0] for name in found} - sys.stdlib_module_names
    # what is installed with seisops
    assert roots - {"numpy", "scipy", "pylops", "devito", "seisops"} <= set(page.needs)
    assert "matplotlib" in page.needs and page.title and set(page.needs.values()) <= {p for _, p in NEEDS.values()}


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("rtm", "rtm"),
        ("imaging/rtm", "rtm"),
        ("gauss", "gauss_newton"),
        ("gauss-newton", "gauss_newton"),
        ("imaging/e", "imaging/extended_source"),
        ("networks/extended_source", "networks/extended_source"),
        ("multi", "multiscale"),
    ],
)
def test_names_and_their_beginnings(word, name):
    assert gallery.find(word).name == name


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("rtn", "no page 'rtn' in the gallery: did you mean 'rtm'?"),
        ("zzzz", "seisops demo --list names all"),
        ("", "seisops demo --list names all"),
        ("extended_source", "several pages: imaging/extended_source, networks/extended_source"),
        ("so", "several pages: source_estimation, source_location, sources_and_receivers"),
    ],
)
def test_names_that_there_are_not_or_several_of(word, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        gallery.find(word)


def test_a_run_prints_and_leaves_a_script_figures_and_movies(own, capsys):
    pytest.importorskip("matplotlib")
    assert main(["demo", "a"]) == 0
    said = capsys.readouterr().out
    folder = own / "seisops-demo-a_page"
    assert sorted(path.name for path in folder.iterdir()) == ["a_page.py", "figure-1.png", "figure-2.png", "shown.gif"]
    assert said.splitlines()[0] == "dot test: 0" and Path.cwd() == own
    for path in folder.iterdir():
        assert path.name in said and path.stat().st_size > 300
    assert (folder / "a_page.py").read_text().startswith(PAGE)


def test_the_script_draws_again_what_it_is_changed_to(own, capsys):
    pytest.importorskip("matplotlib")
    assert main(["demo", "a", "--output", "there", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    folder = own / "there"
    script = (folder / "a_page.py").read_text()
    (folder / "a_page.py").write_text(script.replace("\nplt.figure()\n", "\n"))
    (folder / "figure-1.png").unlink(), (folder / "figure-2.png").unlink()
    done = subprocess.run([sys.executable, "a_page.py"], cwd=folder, capture_output=True, text=True)
    assert done.stdout == "dot test: 0\n", done.stderr
    assert (folder / "figure-1.png").is_file() and not (folder / "figure-2.png").exists()


def test_a_folder_that_is_not_empty_is_written_into_with_force_alone(own, capsys):
    pytest.importorskip("matplotlib")
    folder = own / "seisops-demo-a_page"
    folder.mkdir()
    (folder / "a_page.py").write_text("changed")
    (folder / "mine.txt").write_text("kept")
    assert "not empty" in refused(capsys, "a_page") and (folder / "a_page.py").read_text() == "changed"
    assert main(["demo", "a_page", "--force"]) == 0
    assert "mine.txt" not in capsys.readouterr().out and (folder / "mine.txt").read_text() == "kept"
    assert (folder / "a_page.py").read_text().startswith(PAGE)


@pytest.mark.parametrize("option", ["--shots=3", "--no-figures", "--model=vp.npy", "--spacing=20"])
def test_options_of_the_demonstration_are_no_pages(own, capsys, option):
    said = refused(capsys, "a", option)
    assert option.partition("=")[0] in said and "a_page without" in said and not list(own.iterdir())


def test_what_is_missing_is_told_before_any_work(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = refused(capsys, "layer")
    assert f"the page layer needs matplotlib and torch: {install('plot')} and {install('torch')}" in said
    assert not list(tmp_path.iterdir())
    assert main(["demo", "--list"]) == 0
    assert re.search(r"a layer \(needs .*torch\)", capsys.readouterr().out)


@pytest.mark.slow
def test_a_page_of_the_gallery(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "rtm"]) == 0
    assert re.search(r"dot test: \de-0[6-9]", capsys.readouterr().out)
    assert (tmp_path / "seisops-demo-rtm" / "figure-1.png").stat().st_size > 30_000


def test_names_of_files_have_numbers():
    assert all(re.fullmatch(r"\d\d_[a-z_]+", path.stem) for path in PAGES.glob("*/*.py"))
    assert Page("rtm", PAGES / "imaging" / "01_rtm.py").section == "imaging"
