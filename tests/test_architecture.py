"""The page for who changes the code: what it names exists, and its picture shows all layers and rooms."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from imports import LAYERS, PACKAGE, ROOMS, graph, layer, modules, reached, reduced, room

PAGE = Path("docs") / "architecture.rst"
#: Of folders and files of the checkout.
PATH = re.compile(r"(seisops|tests|docs|examples|benchmarks)/[\w./-]*|[\w-]+\.(cfg|toml|md)")
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
#: Names that are nobody's: those of Python and of formulas, and words that are said of axes and of exactness.
OTHERS = {"q", "super", "x", "shot", "exact", "approximate", "ax", "from_", "to_", "keep_bytes"}


def literals(text: str) -> list[str]:
    """What stands in double backticks."""
    return re.findall(r"``([^`]+)``", text)


def definitions(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Names that a module or a class has of its own."""
    for node in tree.body:
        match node:
            case ast.ClassDef() | ast.FunctionDef():
                yield node.name, node
            case ast.Assign(targets=targets):
                yield from ((t.id, node) for t in targets if isinstance(t, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, node
    if isinstance(tree, ast.ClassDef):  # what its methods set
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield node.attr, node


@cache
def own(node: ast.AST) -> frozenset[str]:
    """Names of a class of its own."""
    return frozenset(name for name, _ in definitions(node))


class Names:
    """All names that modules of the package, and the shared ones of its tests, define."""

    def __init__(self, root: Path):
        self.modules = modules(root)
        self.known: dict[str, list[ast.AST]] = {}
        for path in (*self.modules.values(), *(root / "tests").rglob("*.py")):
            for name, node in definitions(ast.parse(path.read_text(encoding="utf-8"))):
                self.known.setdefault(name, []).append(node)
        self.methods = {name for cls in self.known for name in self._of(cls)}
        listed = [name.split(".")[-1] for lines in ROOMS.values() for line in lines for name in line]
        self.rooms = {*listed, *(name for line in LAYERS for name in line)}

    def _of(self, cls: str, seen: frozenset[str] = frozenset()) -> set[str]:
        """Attributes of the classes of a name and of those that they derive from."""
        found = set()
        for node in self.known.get(cls, ()):
            if isinstance(node, ast.ClassDef):
                found |= own(node)
                bases = {base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for base in node.bases}
                for base in bases - seen - {cls}:
                    found |= self._of(base, seen | {cls})
        return found

    def has(self, name: str) -> bool:
        """Whether there is a module, class, function, constant, or an attribute of a class, of this name."""
        if name.startswith(f"{PACKAGE}."):
            module, _, last = name.rpartition(".")
            return name in self.modules or (module in self.modules and last in self.known)
        first, _, rest = name.partition(".")
        if not rest:
            return first in self.known or first in self.methods or first in self.rooms
        return rest in self._of(first)


@cache
def names_of(root: Path) -> Names:
    """Those of a checkout, which take seconds to find."""
    return Names(root)


def strangers(text: str, root: Path) -> list[str]:
    """What a page names that does not exist."""
    names, unknown = names_of(root), []
    for literal in literals(text):
        if PATH.fullmatch(literal):
            found = (root / literal).exists()
        else:
            called = literal.removeprefix("@").partition("(")[0]
            found = not NAME.fullmatch(called) or called in OTHERS or called in dir(object) or names.has(called)
        if not found:
            unknown.append(literal)
    return unknown


def test_what_the_page_names_exists(root):
    text = (root / PAGE).read_text(encoding="utf-8")
    assert len(literals(text)) > 200
    assert strangers(text, root) == []


def test_what_does_not_exist_is_noticed(root):
    expected = ["seisops/wave/nowhere.py", "seisops.wave.nowhere", "Coupling.nothing", "Nobody", "nowhere(x)"]
    known = [
        "seisops/wave",
        "seisops.wave.grid",
        "seisops.wave.grid.Grid",
        "Wavelet.forget",
        "entering(shot, x, where)",
    ]
    text = " ".join(f"``{name}``" for name in (*known, *expected))
    assert strangers(text, root) == expected


def test_every_room_has_a_paragraph(root):
    text = (root / PAGE).read_text(encoding="utf-8")
    terms = {name for line in re.findall(r"^(``\w+``(?:, ``\w+``)*)$", text, re.MULTILINE) for name in literals(line)}
    rooms = {name.partition(".")[0] for lines in ROOMS.values() for line in lines for name in line}
    missing = {name for name in rooms if not name.startswith("_")} - terms
    assert not missing, f"say what is in {sorted(missing)}"
    assert terms <= rooms


def test_the_picture_shows_all_layers_and_rooms(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "docs" / "_ext")
    import rooms

    picture = ET.fromstring(rooms.draw(root))
    shown = [e.text for e in picture.iter() if e.tag.endswith("text")]
    names = [name for line in LAYERS for name in line if not name.startswith("_")]
    names += [name for lines in ROOMS.values() for line in lines for name in line if not name.startswith("_")]
    assert sorted(shown) == sorted([*names, "layers of seisops", *(f"rooms of {name}" for name in ROOMS)])
    width, height = map(float, picture.get("viewBox").split()[2:])
    boxes = [
        {k: float(e.get(k)) for k in ("x", "y", "width", "height")} for e in picture.iter() if e.tag.endswith("rect")
    ]
    assert all(b["x"] >= 0 and b["x"] + b["width"] <= width and b["height"] <= height for b in boxes)


@pytest.mark.parametrize("name", ["", *ROOMS])
def test_arrows_that_are_left_out_follow_from_others(root, name):
    found = graph(root, (lambda module: room(module) if layer(module) == name else "") if name else layer)
    few = reduced(found)
    assert all(few[name] <= found[name] for name in found)
    assert all(reached(name, few) == reached(name, found) for name in found)
    assert sum(map(len, few.values())) < sum(map(len, found.values()))
