"""Pages of the gallery by their names: a list of them, one of them, and what one needs."""

from __future__ import annotations

from itertools import groupby

from seisops.cli.keys import near
from seisops.demo.gallery import Page, pages
from seisops.errors import ParameterError

__all__ = ["find", "listed", "require"]


def listed() -> str:
    """The names of all pages, by section, with their titles."""
    found = pages()
    width = max(len(page.name) for page in found)
    lines: list[str] = []
    for section, inside in groupby(found, key=lambda page: page.section):
        lines += ["", section]
        for page in inside:
            missing = f" (needs {' and '.join(page.missing)})" if page.missing else ""
            lines.append(f"  {page.name:{width}}  {page.title}{missing}")
    return "\n".join(lines[1:])


def find(word: str) -> Page:
    """The page of a name, or of what one name alone begins with; raises a ParameterError."""
    asked = word.replace("-", "_")
    known = {name: page for page in pages() for name in (page.name, f"{page.section}/{page.name.split('/')[-1]}")}
    meant = {known[asked]} if asked in known else {page for name, page in known.items() if _begins(name, asked)}
    if not meant:
        hint = near(asked, [page.name for page in pages()])
        raise ParameterError(f"there is no page {word!r} in the gallery{hint or ': seisops demo --list names all'}")
    if len(meant) > 1:
        names = ", ".join(sorted(page.name for page in meant))
        raise ParameterError(f"{word!r} may be one of several pages: {names}")
    return meant.pop()


def require(page: Page) -> None:
    """Raise an ImportError that says what to install if a page needs what is not there."""
    if page.missing:
        raise ImportError(
            f"the page {page.name} needs {' and '.join(page.missing)}: {' and '.join(page.missing.values())}"
        )


def _begins(name: str, asked: str) -> bool:
    """Whether a name begins so, or what stands behind its section."""
    return bool(asked) and (name.startswith(asked) or name.split("/")[-1].startswith(asked))
