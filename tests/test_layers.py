"""Imports go one way: each layer of the package imports only from those above it, each room of a layer likewise.

The lists of layers and rooms are in ``imports.py``, which reads the imports. Every one counts for the direction, also one
inside a function or under ``TYPE_CHECKING``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from imports import PACKAGE, RANK, ROOMS, Import, graph, imports, layer, modules, reached, room

BRIDGES = {"torch", "jax", "dask", "plot", "demo", "cli", "__main__"}

#: Layers that see less than everything above them.
ALGEBRA = {"_arrays", "_extras", "_pylops", "_table", "errors", "spaces", "operators", "fusion", "elsewhere", "maps"}
ONLY = {
    "engine": {"_arrays", "_extras", "errors", "spaces"},
    "torch": ALGEBRA,
    "jax": ALGEBRA,
    "dask": ALGEBRA | {"memory"},  # workers hold no more than they may
}

#: The outside that only one bridge knows; elsewhere in the package not even inside a function ...
OUTSIDE = {"torch": {"torch"}, "jax": {"jax"}, "dask": {"dask"}, "distributed": {"dask"}, "matplotlib": {"plot"}}
#: ... optional dependencies, imported where they are used ...
LAZY = {"segyio", "h5py", "pyproximal", "xarray", "zarr"}
#: ... and Devito, the engine's alone, but for being the language of the residuals.
DEVITO = ("seisops.engine", "seisops.wave.equations")


def violations(root: Path) -> list[str]:
    """What breaks the one-way rule in the package under ``root``, a sentence each."""
    known = modules(root)
    bad = [
        f"{module}: the layer {layer(module)!r} is not in the list of layers"
        for module in known
        if layer(module) and layer(module) not in RANK
    ]
    bad += [
        f"{module}: the room {room(module)!r} is not in the list of the rooms of {layer(module)}"
        for module in known
        if room(module) and _line(module) is None
    ]
    for found in imports(root):
        reason = _inside(found, known) if found.target.split(".")[0] == PACKAGE else _outside(found)
        if reason:
            bad.append(f"{found.module}, line {found.line}: imports {found.target}: {reason}")
    return bad


def _inside(found: Import, known: dict[str, Path]) -> str:
    """Why this import of another part of the package is wrong; empty where it is right."""
    own, other = layer(found.module), layer(found.target)
    if other not in RANK:  # the package itself, or a name that its __init__ offers
        wrong = own not in BRIDGES and own != ""
        return "the core does not import the package's face" if wrong else ""
    if own == "":
        wrong = other in BRIDGES and found.eager
        return "a bridge is imported only when it is asked for" if wrong else ""
    if own == other and room(found.module) != room(found.target):
        mine, theirs = _line(found.module), _line(found.target)
        wrong = mine is not None and theirs is not None and mine <= theirs
        return f"{room(found.target)} is not above {room(found.module)} in the list of rooms" if wrong else ""
    if own == other or own not in RANK:
        return ""
    if own in ONLY and other not in ONLY[own]:
        return f"{own} sees {' and '.join(sorted(ONLY[own]))} only"
    return "" if RANK[other] < RANK[own] else f"{other} is not above {own} in the list of layers"


def _line(module: str) -> int | None:
    """The line of a module's room in the list of its layer."""
    lines = ROOMS.get(layer(module), ())
    return next((i for i, line in enumerate(lines) if room(module) in line), None)


def circles(root: Path) -> list[list[str]]:
    """Modules of the package under ``root`` that import one another, however deferred: each circle once, in order."""
    found = graph(root)
    there = {module: reached(module, found) for module in found}
    # mutual reach is an equivalence: its classes of more than one module are the circles
    classes = {frozenset(other for other in there[module] if module in there[other]) for module in there}
    return sorted(_shortest(circle, found) for circle in classes if circle)


def _shortest(circle: frozenset[str], graph: dict[str, set[str]]) -> list[str]:
    """The way from the first of a circle's modules, by name, back to it."""
    start = min(circle)
    ways = [[start]]
    for way in ways:
        for module in sorted(graph[way[-1]] & circle):
            if module == start:
                return way
            if module not in way:
                ways.append([*way, module])
    raise AssertionError(f"{circle} is no circle")


def _outside(found: Import) -> str:
    """Why this import of another package is wrong; empty where it is right."""
    own, other = layer(found.module), found.target.split(".")[0]
    if other == "devito" and not (found.module + ".").startswith(tuple(f"{name}." for name in DEVITO)):
        return f"devito is imported only in {' and '.join(DEVITO)}"
    if other in OUTSIDE and own not in OUTSIDE[other]:
        if own not in BRIDGES:
            return f"the core never imports {other}"
        if found.eager:
            return f"only {' and '.join(OUTSIDE[other])} imports {other} at module level"
    if other in LAZY and found.eager:
        return f"{other} is optional: import it where it is used"
    if other in ("examples", "tests", "benchmarks"):
        return f"{other} is no part of the package"
    return ""


def test_the_package_is_layered(root):
    assert modules(root) and imports(root), "no import was found: the test reads nothing"
    assert not violations(root), "\n".join(violations(root))


def test_no_modules_import_one_another(root):
    found = circles(root)
    assert not found, "\n".join(" imports ".join([*circle, circle[0]]) for circle in found)


def test_neither_devito_nor_sympy_is_loaded_before_something_is_derived(root):
    """They take longer to import than many a survey to model, and what was derived before is noted."""
    known, eager = modules(root), [found for found in imports(root) if found.eager]
    reached, ahead = set(), [PACKAGE]
    while ahead:
        module = ahead.pop()
        if module not in reached:
            reached.add(module)
            ahead += [found.target for found in eager if found.module == module and found.target in known]
    heavy = [f"{i.module}, line {i.line}: {i.target}" for i in eager if i.target.split(".")[0] in ("devito", "sympy")]
    assert heavy, "no import was found: the test reads nothing"
    assert not [said for said in heavy if said.split(",")[0] in reached]


def test_examples_is_no_package(root):
    # Devito's wheel carries a package `examples`, which ours would shadow.
    assert not [*(root / "examples").rglob("__init__.py")]


GOOD = {
    "__init__": "from . import errors\ndef __getattr__(name):\n    from . import torch",
    "errors": "",
    "spaces": "from .errors import SpaceError\nimport numpy as np",
    "fusion": "from . import operators, spaces",
    "operators": "import pylops\nfrom seisops.spaces import Space",
    "engine.__init__": "",
    "engine.kernel": "from ..errors import SeisopsError\nfrom . import lower\nfrom devito import Operator",
    "engine.lower.__init__": "import devito\nfrom .piece import Piece",
    "engine.lower.piece": "from seisops.engine.symbols import terms",
    "engine.symbols.__init__": "",
    "engine.symbols.terms": "",
    "wave.__init__": "from .modeling import Modeling\nfrom ..engine import kernel",
    "wave.modeling": "from .equations.acoustic import residual\nfrom .discretise import discretise",
    "wave.discretise.__init__": "from ..equation import WaveEquation",
    "wave.discretise.assembly": "from seisops.wave.grid import Grid",
    "wave.equation": "from .discretise.assembly import assemble",
    "wave.grid": "",
    "wave.equations.__init__": "",
    "wave.equations.acoustic": "from devito import div, grad",
    "survey.__init__": "",
    "survey.segy": "def read(path):\n    import segyio",
    "torch": "import torch\nfrom .maps import Map",
    "dask": "from distributed import Client",
    "plot": "import matplotlib.pyplot as plt",
    "demo": "from . import Grid\ndef show():\n    import matplotlib.pyplot as plt",
    "cli": "from . import demo\nimport seisops as so",
    "maps": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy",
}


def write(root: Path, sources: dict[str, str]) -> Path:
    for module, source in sources.items():
        path = root.joinpath(PACKAGE, *module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source + "\n", encoding="utf-8")
    return root


def test_a_layered_tree_passes(tmp_path):
    root = write(tmp_path, GOOD)
    assert violations(root) == [] and circles(root) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("errors", "from .spaces import Space"),
        ("spaces", "import seisops.operators"),
        ("operators", "from . import fusion"),
        ("operators", "def fuse():\n    from .fusion import fuse"),
        ("operators", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .wave import media"),
        ("operators", "import importlib\nfusion = importlib.import_module('.fusion', __package__)"),
        ("operators", "import seisops"),
        ("operators", "from seisops import Grid"),
        ("engine.kernel", "from ..wave.modeling import Modeling"),
        ("engine.kernel", "from .. import operators"),
        ("engine.kernel", "from ..operators import LinearOperator"),
        ("engine.symbols.terms", "def lowered():\n    from ..lower.piece import Piece"),
        ("engine.lower.piece", "from seisops.engine import kernel"),
        ("engine.stray", ""),
        ("wave.grid", "from .discretise import assembly"),
        ("wave.discretise.assembly", "from seisops.wave.equation import WaveEquation"),
        ("wave.equation", "from .discretise import discretise"),
        ("wave.modeling", "from ..survey import segy"),
        ("wave.modeling", "import devito"),
        ("wave.grid", "import devito"),
        ("maps", "def name():\n    from devito import Grid"),
        ("maps", "import torch"),
        ("maps", "def name():\n    import torch.nn.functional"),
        ("maps", "try:\n    from matplotlib import pyplot\nexcept ImportError:\n    pass"),
        ("maps", "def name(x):\n    from .torch import lift"),
        ("survey.segy", "import segyio"),
        ("survey.segy", "class Reader:\n    from h5py import File"),
        ("inversion.objectives", "from dask import delayed"),
        ("torch", "from . import dask"),
        ("torch", "from seisops.wave.modeling import Modeling"),
        ("dask", "from .cli import main"),
        ("dask", "def read(path):\n    from seisops.survey import segy"),
        ("cli", "import matplotlib"),
        ("__init__", "from . import torch"),
        ("wave.modeling", "from examples.seismic import Model"),
        ("stray", ""),
    ],
)
def test_a_planted_import_is_caught(tmp_path, module, source):
    found = violations(write(tmp_path, {**GOOD, module: source}))
    assert len(found) == 1 and found[0].startswith(f"{PACKAGE}.{module}".removesuffix(".__init__")), found


@pytest.mark.parametrize(
    ("planted", "circle"),
    [
        ({"survey.segy": "from .survey import Survey", "survey.survey": "from .segy import read"}, ("segy", "survey")),
        (
            {"survey.segy": "def read():\n    from seisops.survey import survey", "survey.survey": "from .shot import Shot",
             "survey.shot": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .segy import read"},
            ("segy", "survey", "shot"),
        ),
        ({"survey.segy": "from importlib import import_module\nimport_module('.survey', __package__)",
          "survey.survey": "from seisops.survey import segy"}, ("segy", "survey")),
        ({"survey.__init__": "from .segy import read", "survey.segy": "from seisops.survey import Survey"}, ("", "segy")),
    ],
    ids=["two", "three, deferred", "by name", "a package and its own"],
)  # fmt: skip
def test_a_planted_circle_is_caught(tmp_path, planted, circle):
    expected = [f"{PACKAGE}.survey.{name}".rstrip(".") for name in circle]
    assert circles(write(tmp_path, {**GOOD, **planted})) == [expected]
