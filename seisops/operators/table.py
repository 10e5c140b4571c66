"""What notebooks show of an object: a small table."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

__all__ = ["table"]


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
