"""Who imports whom in the package, read from its source: layers, their rooms, and what stands above what.

The imports are read, not observed: PyLops itself loads torch and Devito. Every import counts, also one inside a function
or under ``TYPE_CHECKING``. The test of layers, and the picture of them in the documentation, are made of this.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "seisops"

#: From the top down; a layer imports from the lines above its own, never from its own line's other members.
LAYERS = (
    ("errors", "_arrays", "_extras", "_pylops", "_table"),
    ("spaces",),
    ("operators",),
    ("fusion",),
    ("elsewhere",),
    ("maps",),
    ("check",),
    ("engine",),
    ("shotwise",),
    ("wave",),
    ("memory",),
    ("survey", "storage"),
    ("data", "model"),
    ("inversion",),
    ("torch", "jax", "dask", "plot"),
    ("demo", "doctor"),
    ("cli",),
    ("__main__",),
)
RANK = {layer: rank for rank, line in enumerate(LAYERS) for layer in line}

#: Rooms of a layer, from the top down: a file or folder, or a file of a folder that stands before the rest of it. A room
#: imports from the lines above its own.
ROOMS = {
    "engine": (
        ("arrays", "threads"),
        ("kept",),
        ("symbols",),
        ("facts",),
        ("derive",),
        ("stability", "lower"),
        ("backend", "derivation"),
        ("kernel", "state"),
        ("scheme",),
    ),
    "wave": (
        ("_validate",),
        ("boundaries", "grid", "quantities", "storage", "symbolic", "time", "discretise.interior"),
        ("stated", "faces"),
        ("space", "wavelets", "declaration", "discretise.assembly"),
        ("equation",),
        ("equations", "discretise"),
        ("sampling",),
        ("solver", "suitability"),
        ("modeling",),
        ("tangent", "positions"),
        ("jacobian",),
        ("pershot",),
        ("costs",),
    ),
}


@dataclass(frozen=True)
class Import:
    module: str  # that imports, as in "seisops.wave.media"
    target: str  # that is imported, dotted
    line: int
    eager: bool  # carried out when the module is imported


def layer(module: str) -> str:
    """The layer of a dotted name in the package; the package's own face is ``""``."""
    return module.partition(".")[2].partition(".")[0]


def room(module: str) -> str:
    """The room of a module within its layer, ``""`` for the layer itself or where there are no rooms."""
    own = module.split(".")[2:]
    listed = [name for line in ROOMS.get(layer(module), ()) for name in line]
    known = [name for name in listed if own[: name.count(".") + 1] == name.split(".")]
    return max(known, key=len, default=own[0] if listed and own else "")


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


def graph(root: Path, of: Callable[[str], str] = str) -> dict[str, set[str]]:
    """What imports what in the package under ``root``.

    Parameters
    ----------
    root : Path
    of : callable, optional
        What a module is part of, such as its layer; nothing if that is empty. By default modules are told apart.
    """
    known = modules(root)
    found: dict[str, set[str]] = {of(module): set() for module in known if of(module)}
    for one in imports(root):
        target = one.target
        while target and target not in known:  # a name that a module offers
            target = target.rpartition(".")[0]
        own, other = of(one.module), of(target) if target else ""
        if own and other and own != other:
            found[own].add(other)
    return found


def reached(start: str, among: dict[str, set[str]]) -> set[str]:
    """What one gets to by one import or more."""
    there, ahead = set(), list(among[start])
    while ahead:
        name = ahead.pop()
        if name not in there:
            there.add(name)
            ahead += among[name]
    return there


def reduced(among: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without what follows from the rest: what is imported by something else that is imported."""
    there = {name: reached(name, among) for name in among}
    return {name: found - set().union(*(there[other] for other in found)) for name, found in among.items()}


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
