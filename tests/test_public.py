"""What completion shows of a public module is what it offers, and all of it is in the reference."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import seisops as so

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "api.rst"


def documented() -> list[str]:
    """The modules of the reference, of which it has all that is in ``__all__``."""
    text = REFERENCE.read_text(encoding="utf-8")
    listed = text.partition(".. autosummary::")[2]
    return [line.strip() for line in listed.splitlines() if line.strip().startswith("seisops")]


def named(name: str) -> ModuleType:
    """A module by its dotted name; the test skips where what a bridge leads to is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        assert name.removeprefix("seisops.") in so._BRIDGES, error
        pytest.skip(str(error))


def offered(module: ModuleType) -> list[object]:
    return [getattr(module, name) for name in module.__all__]


BRIDGES = [f"seisops.{name}" for name in so._BRIDGES]
ROOMS = [f"seisops.{name}" for name in dir(so) if name not in so._BRIDGES and isinstance(getattr(so, name), ModuleType)]
PUBLIC = sorted({*documented(), *BRIDGES, *ROOMS} - {"seisops"})


@pytest.mark.parametrize("name", PUBLIC)
def test_completion_shows_what_a_module_offers(name):
    module = named(name)
    assert dir(module) == sorted(module.__all__) and len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)


def test_completion_shows_what_the_package_offers():
    shown = set(dir(so))
    assert set(so.__all__) <= shown and shown - set(so.__all__) <= {*so._BRIDGES, "maps", "survey", "__version__"}
    assert "storage" in shown and "torch" in shown and "wave" not in shown


@pytest.mark.parametrize("name", ["seisops", *PUBLIC])
def test_the_reference_has_all_that_is_offered(name):
    """In the page of this module or of another; a module has a page of its own."""
    pages = documented()
    if name in pages:
        return
    found = [thing for page in pages if page not in BRIDGES for thing in offered(named(page))]
    for public, thing in zip(named(name).__all__, offered(named(name)), strict=True):
        has_page = isinstance(thing, ModuleType) and thing.__name__ in pages
        assert has_page or any(thing is other for other in found), f"{name}.{public} is not in docs/api.rst"


def test_pages_of_modules_are_of_what_exists():
    for page in documented():
        assert page in ["seisops", *PUBLIC] and named(page).__all__
