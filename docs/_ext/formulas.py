"""Formulas of several rows or columns: KaTeX wants to be told what Sphinx takes for granted, that they are aligned."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes

__all__ = ["aligned", "setup"]


def aligned(text: str) -> str:
    """A displayed formula, in an environment if it has rows or columns and says nothing of them."""
    several = re.search(r"(?<!\\)&|\\\\", text) and r"\begin{" not in text
    return f"\\begin{{aligned}}\n{text.strip()}\n\\end{{aligned}}" if several else text


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""

    def align(app: Any, doctree: nodes.document) -> None:
        for block in doctree.findall(nodes.math_block):
            text = aligned(block.astext())
            block[:] = [nodes.Text(text)]

    app.connect("doctree-read", align)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
