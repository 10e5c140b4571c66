"""Configuration of the documentation: ``sphinx-build -W docs docs/_build/html``."""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from importlib.metadata import metadata
from pathlib import Path

from sphinx_gallery.sorting import ExplicitOrder

from seisops.demo.gallery import SECTIONS

project = "seisops"
author = metadata("seisops")["Author"]
copyright = f"2026, {author}"
release = metadata("seisops")["Version"]
version = ".".join(release.split(".")[:2])

HERE = Path(__file__).resolve().parent
# the picture of layers and rooms, what reads the imports that it is drawn of, tables of media, and thumbnails
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "tests")]

extensions = [
    "formulas",
    "measured",
    "media",
    "planned",
    "rooms",
    "thumbnails",
    "sphinx_gallery.gen_gallery",  # before what stands for torch is there
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

# what pages of the gallery tell while they are run is on them, and what their libraries note is nowhere
os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")
for name in ("matplotlib.animation", "seisops"):
    logging.getLogger(name).setLevel("ERROR")
import_module("pylops")  # now, as what it imports of Devito sets fonts: Sphinx-Gallery sets them back before each page

# Pages of examples/gallery, run here: a page is a file, and a section a folder with a header.
sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples" / "gallery"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "subsection_order": ExplicitOrder([f"../examples/gallery/{name}" for name in SECTIONS]),
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "image_scrapers": ("thumbnails",),
    "capture_repr": (),
    "matplotlib_animations": True,
    "remove_config_comments": True,
    "show_signature": False,
    "download_all_examples": False,
    "write_computation_times": False,
    # names that a page uses are links, and pages of the reference show the examples that use them
    "doc_module": ("seisops",),
    "reference_url": {"seisops": None},
    "backreferences_dir": "generated/backreferences",
}

# Class pages list the members themselves; a second list would document each of them twice.
numpydoc_show_class_members = False

# Formulas without a network: KaTeX, which the package brings, makes MathML, which browsers draw with their own fonts.
katex_options = 'output: "mathml", throwOnError: true'
katex_css_path = "katex-math.css"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_title = f"seisops {release}"
