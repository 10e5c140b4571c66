"""How many lines a job takes: of the pages of the gallery, and of other codes' own examples of the same job.

``python benchmarks/lines.py FILE...`` prints, for each file of Python or Julia, its number of statements, each of
which counts as one line however it is broken. What does not count: comments and documentation, blank lines, imports,
drawing and printing, lone ``end``, and in Python ``if __name__ == "__main__":``. Loops and functions in which nothing
else is left do not count either.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

#: Names by which figures are drawn, and what is told, in the files that are compared.
DRAWN = {
    "plt", "plot", "ax", "axes", "axs", "fig", "figure", "figures", "shown", "movie", "animation", "FuncAnimation", "Figure",
    "imshow", "subplot", "colorbar", "title", "xlabel", "ylabel", "savefig", "print", "println", "show", "PyPlot",
    "plot_simage", "plot_velocity", "plot_sdata", "plot_fslice", "pltsave", "tight_layout", "legend", "@printf", "@info",
}  # fmt: skip
IMPORTS = (ast.Import, ast.ImportFrom, ast.Pass, ast.Global)


def drawn(node: ast.AST) -> bool:
    """Whether a statement names what draws or prints."""
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    names |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    return bool(names & DRAWN)


def of_python(text: str) -> int:
    """Statements of a program in Python."""
    return sum(map(_count, ast.parse(text).body))


def _count(node: ast.stmt) -> int:
    if isinstance(node, IMPORTS) or isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return 0
    blocks = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
    blocks += [handler.body for handler in getattr(node, "handlers", [])]
    if not any(blocks):
        return 0 if drawn(node) else 1
    inside = sum(_count(child) for block in blocks for child in block)
    main = isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
    return inside + (inside > 0 and not main)


def of_julia(text: str) -> int:
    """Statements of a program in Julia, by brackets: what draws is told by its first name or its call."""
    text = re.sub(r"#=.*?=#", "", text, flags=re.DOTALL)
    text = re.sub(r'"""(?:.|\n)*?"""', '""', text)
    count, open_, statement = 0, 0, ""
    for line in text.splitlines():
        line = re.sub(r"#.*", "", line).strip()
        statement += " " + line
        open_ += sum(map(line.count, "([{")) - sum(map(line.count, ")]}"))
        if open_ > 0 or not statement.strip() or line.endswith((",", "=", "+", "*", "|>")):
            continue
        words = statement.split()
        statement, open_ = "", 0
        if words[0] in ("end", "using", "import", "else", '""') or set(re.findall(r"@?\w+", " ".join(words))) & DRAWN:
            continue
        count += 1
    return count


def lines(path: Path) -> int:
    """Statements of a file."""
    text = path.read_text(encoding="utf-8")
    return of_julia(text) if path.suffix == ".jl" else of_python(text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{lines(Path(name)):4d}  {name}")
