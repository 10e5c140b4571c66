"""Configuration of the documentation: ``sphinx-build -W docs docs/_build/html``."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import metadata
from pathlib import Path

project = "seisops"
author = metadata("seisops")["Author"]
copyright = f"2026, {author}"
release = metadata("seisops")["Version"]
version = ".".join(release.split(".")[:2])

HERE = Path(__file__).resolve().parent
# the picture of layers and rooms, what reads the imports that it is drawn of, and tables of media
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "tests")]

extensions = [
    "formulas",
    "measured",
    "media",
    "planned",
    "rooms",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinxcontrib.katex",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]

# The reference follows `__all__`: what a module offers is documented, no matter where it is written.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_typehints = "none"
autodoc_mock_imports = ["dask", "distributed", "torch"]
import_module("scipy.signal")  # looks for torch when it is loaded, and would take what stands for it for the real one

# Class pages list the members themselves; a second list would document each of them twice.
numpydoc_show_class_members = False

# Formulas without a network: KaTeX, which the package brings, makes MathML of them, drawn with fonts of the browser's own.
katex_options = 'output: "mathml", throwOnError: true'
katex_css_path = "katex-math.css"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_title = f"seisops {release}"
