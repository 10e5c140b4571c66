"""The figures of the page on performance, of the tables on that page: ``python docs/figures/performance.py``.

Nothing is measured: ``docs/performance.rst`` has all numbers, and ``benchmarks/peers/figures.py`` draws them as it does
when they are measured.
"""

from __future__ import annotations

import re
import sys
from math import prod
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "performance.rst"
sys.path.insert(0, str(HERE.parents[1] / "benchmarks"))

from peers.cases import CASES, Contender  # noqa: E402
from peers.figures import bars, sweeps  # noqa: E402
from peers.race import Row  # noqa: E402

#: What was varied in each sweep, and the unit of it; of steps, those that are added to take out dispersion do not count.
VARIED = {
    "2D grid": ("cells", lambda row: prod(map(int, row["shape"].split("x")))),
    "3D grid": ("cells", lambda row: prod(map(int, row["shape"].split("x")))),
    "shots": ("shots", lambda row: int(row["shots"])),
    "steps": ("steps", lambda row: int(row["steps"]) - 16),
}


def table(title: str) -> list[dict[str, str]]:
    """The rows of the first table below a title, by the names of its columns."""
    text = PAGE.read_text(encoding="utf-8")
    match = re.search(rf"^{re.escape(title)}\n[~-]+\n\n\.\. list-table::\n((?:(?:   .*)?\n)+)", text, re.MULTILINE)
    if match is None:
        raise ValueError(f"{PAGE} has no table below {title!r}")
    lines = re.split(r"^   \* - ?", match[1], flags=re.MULTILINE)[1:]
    head, *rows = ([cell.strip() for cell in re.split(r"\n {5}- ?", line)] for line in lines)
    return [dict(zip(head, row, strict=True)) for row in rows]


def compared() -> dict[str, list[Row]]:
    """What the codes took at each case."""
    found = {}
    for name, case in CASES.items():
        if f"\n{name}: {case.title}\n" not in PAGE.read_text(encoding="utf-8"):
            continue
        found[name] = []
        for row in table(f"{name}: {case.title}"):
            who = row[""].removesuffix(" (alone)")
            least, median = float(row["min s"]), float(row["median s"])
            contender = Contender(who, re.match(r"\w+", who)[0])
            found[name].append(Row(contender, [least, median, median], memory=float(row["MiB"])))
    return found


def scaled() -> list[dict]:
    """What seisops took, against what was varied."""
    return [
        {
            "sweep": sweep,
            "line": row["line"],
            "x": x(row),
            "unit": unit,
            "min": float(row["min"]),
            "memory_mib": float(row["memory_mib"]),
        }
        for sweep, (unit, x) in VARIED.items()
        for row in table(sweep)
    ]


if __name__ == "__main__":
    bars(compared(), HERE / "performance.png")
    sweeps(scaled(), HERE / "scaling.png")
