"""Imports go one way: each layer of the package imports only from those above it.

The imports are read from the source, not observed: PyLops itself loads torch and Devito. Every import
counts for the direction, also one inside a function or under ``TYPE_CHECKING``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "seisops"

#: From the top down; a layer imports from the lines above its own, never from its own line's other members.
LAYERS = (
    ("errors", "_pylops"),
    ("spaces",),
    ("operators",),
    ("fusion",),
    ("elsewhere",),
    ("maps",),
    ("check",),
    ("engine",),
    ("wave",),
    ("memory",),
    ("survey", "storage"),
    ("inversion",),
    ("torch", "jax", "dask", "plot"),
    ("demo",),
    ("cli",),
    ("__main__",),
)
RANK = {layer: rank for rank, line in enumerate(LAYERS) for layer in line}
BRIDGES = {"torch", "jax", "dask", "plot", "demo", "cli", "__main__"}

#: Layers that see less than everything above them.
ONLY = {"engine": {"errors", "spaces"}}

#: The outside that only one bridge knows; elsewhere in the package not even inside a function ...
OUTSIDE = {"torch": {"torch"}, "jax": {"jax"}, "dask": {"dask"}, "distributed": {"dask"}, "matplotlib": {"plot"}}
#: ... optional dependencies, imported where they are used ...
LAZY = {"segyio", "h5py", "xarray", "zarr"}
#: ... and Devito, the engine's alone, but for being the language of the residuals.
DEVITO = ("seisops.engine", "seisops.wave.equations")


@dataclass(frozen=True)
class Import:
    module: str  # that imports, as in "seisops.wave.media"
    target: str  # that is imported, dotted
    line: int
    eager: bool  # carried out when the module is imported


def layer(module: str) -> str:
    """The layer of a dotted name in the package; the package's own face is ``""``."""
    return module.partition(".")[2].partition(".")[0]


def modules(root: Path) -> dict[str, Path]:
    """Every module of the package under ``root``, by its dotted name."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(root: Path) -> list[Import]:
    """Every import in the package under ``root``."""
    known = modules(root)
    return [
        Import(module, target, line, eager)
        for module, path in known.items()
        for target, line, eager in _targets(module, path, known)
    ]


def _targets(module: str, path: Path, known: dict[str, Path]) -> Iterator[tuple[str, int, bool]]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]

    def absolute(name: str, level: int) -> str:
        if not level:
            return name
        base = package.split(".")[: len(package.split(".")) - level + 1]
        return ".".join([*base, name] if name else base)

    def visit(node: ast.AST, eager: bool) -> Iterator[tuple[str, int, bool]]:
        match node:
            case ast.Import():
                for alias in node.names:
                    yield alias.name, node.lineno, eager
            case ast.ImportFrom():
                base = absolute(node.module or "", node.level)
                for alias in node.names:
                    name = f"{base}.{alias.name}"
                    yield name if name in known or base == PACKAGE else base, node.lineno, eager
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(text)), *_],
            ):
                bare = text.lstrip(".")
                yield absolute(bare, len(text) - len(bare)), node.lineno, eager
        for child in ast.iter_child_nodes(node):
            yield from visit(child, eager and not _deferred(node, child))

    return visit(ast.parse(path.read_text(encoding="utf-8"), str(path)), True)


def _deferred(node: ast.AST, child: ast.AST) -> bool:
    """Whether ``child`` of ``node`` does not run when the module is imported."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            return child is node.body or (isinstance(node.body, list) and child in node.body)
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            return child in node.body
    return False


def violations(root: Path) -> list[str]:
    """What breaks the one-way rule in the package under ``root``, a sentence each."""
    known = modules(root)
    bad = [
        f"{module}: the layer {layer(module)!r} is not in the list of layers"
        for module in known
        if layer(module) and layer(module) not in RANK
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
    if own == other or own not in RANK:
        return ""
    if own in ONLY and other not in ONLY[own]:
        return f"{own} sees {' and '.join(sorted(ONLY[own]))} only"
    return "" if RANK[other] < RANK[own] else f"{other} is not above {own} in the list of layers"


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


def test_media_are_declared_apart_from_the_engine(root):
    """To have a medium takes no symbols, which are slow to load; and what assembles an equation does not know its class."""
    declare = ("seisops.wave.declaration", "seisops.wave.equation", "seisops.wave.quantities", "seisops.wave.equations")
    heavy = ("sympy", "devito", "seisops.engine", "seisops.wave.discretise")
    for found in imports(root):
        if found.module.startswith(declare):
            assert not (found.eager and found.target.startswith(heavy)), found
        if found.module == "seisops.wave.discretise.assembly":
            assert found.target not in declare, found


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
    "engine.build": "from ..errors import SeisopsError\nfrom . import lower\nfrom devito import Operator",
    "engine.lower": "import devito",
    "wave.__init__": "from .media import Acoustic\nfrom ..engine import build",
    "wave.media": "from .equations.acoustic import residual",
    "wave.equations.__init__": "",
    "wave.equations.acoustic": "from devito import div, grad",
    "survey.__init__": "",
    "survey.segy": "def read(path):\n    import segyio",
    "torch": "import torch\nfrom .maps import Map\nimport seisops as so",
    "dask": "from distributed import Client",
    "plot": "import matplotlib.pyplot as plt",
    "demo": "from . import Grid\ndef show():\n    import matplotlib.pyplot as plt",
    "cli": "from . import demo",
    "maps": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy",
}


def write(root: Path, sources: dict[str, str]) -> Path:
    for module, source in sources.items():
        path = root.joinpath(PACKAGE, *module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source + "\n", encoding="utf-8")
    return root


def test_a_layered_tree_passes(tmp_path):
    assert violations(write(tmp_path, GOOD)) == []


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
        ("engine.build", "from ..wave.media import Acoustic"),
        ("engine.build", "from .. import operators"),
        ("engine.build", "from ..operators import LinearOperator"),
        ("wave.media", "from ..survey import segy"),
        ("wave.media", "import devito"),
        ("wave.equations_too", "import devito"),
        ("maps", "def name():\n    from devito import Grid"),
        ("maps", "import torch"),
        ("maps", "def name():\n    import torch.nn.functional"),
        ("maps", "try:\n    from matplotlib import pyplot\nexcept ImportError:\n    pass"),
        ("maps", "def name(x):\n    from .torch import lift"),
        ("survey.segy", "import segyio"),
        ("survey.segy", "class Reader:\n    from h5py import File"),
        ("inversion.objectives", "from dask import delayed"),
        ("torch", "from . import dask"),
        ("dask", "from .cli import main"),
        ("cli", "import matplotlib"),
        ("__init__", "from . import torch"),
        ("wave.media", "from examples.seismic import Model"),
        ("stray", ""),
    ],
)
def test_a_planted_import_is_caught(tmp_path, module, source):
    found = violations(write(tmp_path, {**GOOD, module: source}))
    assert len(found) == 1 and found[0].startswith(f"{PACKAGE}.{module}".removesuffix(".__init__")), found
