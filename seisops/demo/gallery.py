"""Pages of the gallery: which there are, what they need, and how one is run in a folder of its own."""

from __future__ import annotations

import ast
import re
import runpy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from os import chdir
from pathlib import Path

from seisops._extras import install

__all__ = ["NEEDS", "PAGES", "SECTIONS", "Page", "pages"]

#: Where they are: a link in the sources, to where the documentation has them, and files where the package is installed.
PAGES = Path(__file__).parent / "pages"

#: Their folders, in the order in which they are shown.
SECTIONS = ("modeling", "imaging", "inversion", "networks", "practice")

#: What of a page's text needs which module, and what installs that.
NEEDS = {
    "import matplotlib": ("matplotlib", install("plot")),
    "import torch": ("torch", install("torch")),
    "from distributed": ("distributed", install("dask")),
    "to_segy": ("segyio", install("io")),
    "pylops.signalprocessing.DWT": ("pywt", "pip install PyWavelets"),
}

#: What a copy of a page has at its end.
FIGURES = """
# %%
# The figures, beside this file.

for number in plt.get_fignums():
    plt.figure(number).savefig(f"figure-{number}.png", dpi=100)
"""


@dataclass(frozen=True)
class Page:
    """A page of the gallery.

    Attributes
    ----------
    name : str
        That of its file, without the number; behind that of its section and a slash if pages of two sections share it.
    path : Path
        Its file.
    """

    name: str
    path: Path

    @property
    def section(self) -> str:
        """The folder that it is in."""
        return self.path.parent.name

    @property
    def title(self) -> str:
        """Its heading."""
        return (ast.get_docstring(ast.parse(self._text)) or "").partition("\n")[0]

    @property
    def needs(self) -> dict[str, str]:
        """Modules that it needs beside what seisops does, and what installs each."""
        return dict(needed for words, needed in NEEDS.items() if words in self._text)

    @property
    def missing(self) -> dict[str, str]:
        """Those that are not there."""
        return {module: package for module, package in self.needs.items() if find_spec(module) is None}

    @property
    def script(self) -> str:
        """Its text, with what saves the figures that it makes."""
        movies = re.findall(r"^(\w+) = FuncAnimation\(", self._text, re.MULTILINE)
        return self._text + FIGURES + "".join(f'{movie}.save("{movie}.gif", writer="pillow")\n' for movie in movies)

    def run(self, folder: Path) -> list[Path]:
        """Write the script into a folder, and run it there.

        Parameters
        ----------
        folder : Path
            Made if need be; files of the same names are written over.

        Returns
        -------
        list of Path
            The script, and the figures and movies that it saved.
        """
        import matplotlib
        import pylops  # noqa: F401  what it imports of Devito changes sizes of fonts: before settings are those of the file

        folder.mkdir(parents=True, exist_ok=True)
        script = folder / f"{_bare(self.path)}.py"
        script.write_text(self.script, encoding="utf-8")
        before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
        at = str(script.resolve())  # processes that the page starts look for it there
        with matplotlib.rc_context(fname=matplotlib.matplotlib_fname()), _in(folder):
            import matplotlib.pyplot as plt

            plt.switch_backend("agg")
            runpy.run_path(at, run_name="__main__")
            plt.close("all")
        return [script, *(p for p in sorted(folder.iterdir()) if before.get(p) != p.stat().st_mtime_ns)]

    @property
    def _text(self) -> str:
        return self.path.read_text(encoding="utf-8")


def pages() -> tuple[Page, ...]:
    """All pages, in the order in which they are shown."""
    found = [path for section in SECTIONS for path in sorted((PAGES / section).glob("*.py"))]
    times = Counter(map(_bare, found))
    return tuple(Page(f"{p.parent.name}/" * (times[_bare(p)] > 1) + _bare(p), p) for p in found)


def _bare(path: Path) -> str:
    """The name of a page's file without its number."""
    return path.stem.partition("_")[2]


@contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    chdir(folder)
    try:
        yield
    finally:
        chdir(before)
