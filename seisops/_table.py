"""What an object says of itself: on one line, and as a small table in notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from inspect import signature
from typing import Any

__all__ = ["Told", "listed", "made_of", "table", "together"]

#: What is said of an argument that something was made of.
PLAIN = (bool, int, float, str)


class Told:
    """What notebooks show as a table: a title, and rows of names with what they stand for."""

    __slots__ = ()

    def _title(self) -> str:
        """What stands above the table."""
        return type(self).__name__

    def _rows(self) -> Iterable[tuple[str, object]]:
        """The rows of the table."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return table(self._title(), self._rows())


def table(title: str, rows: Iterable[tuple[str, object]]) -> str:
    """HTML of a title and of names with what they stand for.

    Parameters
    ----------
    title : str
    rows : iterable of (str, object)
    """
    lines = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(str(value))}</td></tr>'
        for name, value in rows
    )
    return f"<table><caption><code>{escape(title)}</code></caption>{lines}</table>"


def listed(about: Mapping[str, object]) -> str:
    """Names and what they stand for, to end a line with."""
    return "".join(f"; {name}: {value}" for name, value in about.items())


def made_of(thing: Any) -> dict[str, str]:
    """Numbers and text that something was made of, as its constructor names them and it keeps them."""
    kept = getattr(thing, "__dict__", {})
    return {
        name: f"{kept[name]:g}" if type(kept[name]) is float else str(kept[name])
        for name in signature(type(thing)).parameters
        if isinstance(kept.get(name), PLAIN)
    }


def together(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What several parts say, by name; what they say alike is said once."""
    found: dict[str, dict[str, None]] = {}
    for part in parts:
        for name, value in part.items():
            found.setdefault(name, {})[value] = None
    return {name: " and ".join(values) for name, values in found.items()}
