"""The code of the documentation runs as it stands: every block of every page, the blocks of a page one after another.

A page may have code that readers need not see, to make what its blocks take for granted: a comment of reStructuredText,
``.. run first``. Directly above a block that cannot run here a comment says why, of `REASONS`: ``.. not run: a cluster``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import ready

stopped = ready.stopped

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

#: What a block may need that there is not where tests run.
REASONS = ("a cluster", "a graphics card", "files of yours", "an excerpt of a script of examples, which run")

#: Columns of code that fit a page of 1200 pixels.
COLUMNS = 96

#: Pages of what others make run: examples, by ``tests/test_examples.py``.
ELSEWHERE = {"larger_runs"}

#: What holds of the names of a page in the end, and of the folder that it ran in.
AFTERWARDS = {
    "inversion": "assert not os.listdir()  # journals are cleared",
    "quickstart": "assert error < 1e-5 and update.shape == image.shape == dm.shape == grid.shape\n"
    # what is muted shows the interface, as two lobes of opposite sign
    "step = migrated[50:151].mean(axis=0)\n"
    "assert 40 <= min(np.argmin(step), np.argmax(step)) <= 50 <= max(np.argmin(step), np.argmax(step)) <= 60",
    "surveys": "assert again.counts == (20, 20, 20) and abs(d).max() > 0",
}

BLOCK = re.compile(
    r"^(?P<indent> *)\.\. (?:not run: (?P<why>[^\n]+)\n\n?(?P=indent)\.\. )?(?P<kind>code-block:: python|run first)\n"
    r"(?P<options>(?:(?P=indent)   :[^\n]+\n)*)\n(?P<code>(?:(?:(?P=indent)   [^\n]*)?\n)+)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A piece of code of a page: the line that it begins in, and why it is not run, if so."""

    code: str
    line: int
    why: str | None
    shown: bool


def blocks(text: str) -> list[Block]:
    found = []
    for match in BLOCK.finditer(text + "\n"):
        indent = len(match["indent"]) + 3
        code = "\n".join(line[indent:] for line in match["code"].splitlines())
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Block(code, line, match["why"], match["kind"] != "run first"))
    return found


def page(name: str) -> str:
    return (DOCS / f"{name}.rst").read_text(encoding="utf-8")


PAGES = sorted(path.stem for path in DOCS.glob("*.rst"))
RUN = [name for name in PAGES if name not in ELSEWHERE and any(b.why is None for b in blocks(page(name)))]


def program(name: str, text: str) -> str:
    """A page as one program, whose lines have the numbers that they have there."""
    lines: list[str] = []
    for block in blocks(text):
        if block.why is None:
            lines += [""] * (block.line - 1 - len(lines)) + block.code.splitlines()
    return "\n".join([*lines, AFTERWARDS.get(name, ""), ""])


def execute(name: str, text: str, folder: Path) -> None:
    """Run a page in a process of its own; warnings are errors."""
    code = program(name, text)
    path = folder.parent / f"{name}.py"
    path.write_text(code, encoding="utf-8")
    ready.run(
        f"""
import os, warnings
warnings.simplefilter("error", UserWarning)
os.environ.setdefault("MPLBACKEND", "agg")
os.chdir({str(folder)!r})
with open({str(path)!r}) as file:
    text = file.read()
exec(compile(text, {f"docs/{name}.rst"!r}, "exec"), {{"os": os, "__name__": "__main__"}})
""",
        "torch" in code,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_the_code_of_the_page_runs(name, tmp_path):
    if "import deepwave" in page(name):
        pytest.importorskip("deepwave")
    if re.search(r"to_zarr|to_xarray", page(name)):
        pytest.importorskip("zarr")
        pytest.importorskip("xarray")
    folder = tmp_path / "here"
    folder.mkdir()
    execute(name, page(name), folder)


def test_code_that_does_not_run_is_noticed(tmp_path):
    text = (
        "Page\n====\n\n.. code-block:: python\n\n   x = 1\n\n.. run first\n\n   y = x\n\n* - .. code-block:: python\n"
    )
    text += "\n   .. code-block:: python\n\n      assert y == 2\n"
    assert [(b.code.strip(), b.line) for b in blocks(text)] == [("x = 1", 6), ("y = x", 10), ("assert y == 2", 16)]
    with pytest.raises(AssertionError, match=r'docs/some.rst", line 16'):
        execute("some", text, tmp_path)
    execute("some", text.replace("   .. code", "   .. not run: a cluster\n\n   .. code"), tmp_path)


@pytest.mark.parametrize("name", PAGES)
def test_every_block_is_run_or_says_why_not(name):
    text = page(name)
    found = blocks(text)
    assert text.count(".. code-block:: python") == sum(b.shown for b in found), "a block that the test does not see"
    for block in found:
        assert block.why is None or block.why.startswith(REASONS), f"{name}.rst, line {block.line}: {block.why}"


@pytest.mark.parametrize("name", sorted(set(PAGES) - ELSEWHERE))
def test_code_fits_its_page(name):
    """Nothing has to be scrolled to."""
    long = [
        f"{name}.rst, line {block.line + k}: {line}"
        for block in blocks(page(name))
        for k, line in enumerate(block.code.splitlines())
        if block.shown and len(line) > COLUMNS
    ]
    assert not long


def test_formulas_of_rows_and_columns_are_aligned(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "_ext")
    formulas = pytest.importorskip("formulas", exc_type=ImportError)
    assert formulas.aligned("a &= b") == "\\begin{aligned}\na &= b\n\\end{aligned}" != formulas.aligned(r"a \& b")
    assert formulas.aligned(r"a = b \\ c = d").startswith(r"\begin{aligned}") and formulas.aligned("a = b") == "a = b"
    stated = r"\begin{cases} a & b \\ c & d \end{cases}"
    assert formulas.aligned(stated) == stated


def test_the_readme_stands_alone():
    """As where packages are listed: no links into the checkout, and what it names is there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not re.findall(r"\]\((?!https?://)", text)
    named = re.findall(r"`(docs/[\w./-]+|examples|docs|CHANGELOG\.md)`", text)
    assert len(named) > 15 and not [path for path in named if not (ROOT / path).exists()]


@pytest.mark.parametrize("extension", [b.stem for b in (DOCS / "_ext").glob("*.py")])
def test_what_makes_tables_is_in_the_configuration(extension):
    assert f'    "{extension}",\n' in (DOCS / "conf.py").read_text(encoding="utf-8")


def test_numbers_of_tables_are_not_broken_after_their_hyphens(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "_ext")
    from media import table

    made = table([["errors", "from"], ["2e-16 and 1.5e-8", "2026-01-02"], ["``1e-16`` in-between", "x-1"]])
    assert "2e\u201116 and 1.5e\u20118" in made and "2026-01-02" in made
    assert "``1e-16`` in-between" in made and "- x-1" in made


@pytest.fixture
def planned(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "_ext")
    import planned

    return planned


def test_tables_of_costs(planned):
    head, *rows = planned.solves()
    of = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert of["gradient of full-waveform inversion"] == {
        "product": "gradient of full-waveform inversion",
        "all is kept": "2",
        "``Checkpointed``": "3",
        "``Boundary``": "3",
        "beyond ``keep_bytes``": "3",
    }
    assert of["J.H d"]["all is kept"] == "1, the first 2"
    head, *rows = planned.takes()
    cells, first = 416 * 216, planned.rows("speeds")[0]
    assert len(rows) == len(planned.rows("speeds")) and rows[0][0] == "Acoustic"
    assert float(rows[0][1]) == pytest.approx(1e-9 * float(first["forward"]) * cells * 1500, rel=0.06)
    assert float(rows[0][3]) == pytest.approx(float(first["solve_bytes"]) * cells / 2**20, rel=0.02)
