"""Rows as tables: Markdown to read, CSV and JSON to compute with."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from .race import Row

TOLERANCE = 0.05  # relative difference that results of the same computation may have


def rivals(rows: Sequence[Row]) -> list[Row]:
    """What the others are divided by: every measured contender that is not seisops."""
    return [row for row in rows if row.done and row.contender.peer != "seisops"]


def agreement(row: Row) -> float:
    """The figure that tells whether a row computes the same: without boundary effects where that was measured."""
    return max((row.away or row.differs).values(), default=float("nan"))


def wrong(rows: Iterable[Row]) -> list[Row]:
    """Rows that failed, or claim to be exact and computed something else, as far as that could be checked."""

    def differs(row: Row) -> bool:
        return row.done and not (row.contender.approximate or row.unchecked) and not agreement(row) <= TOLERANCE

    return [row for row in rows if row.failed or differs(row)]


def percent(differs: dict[str, float]) -> str:
    return ", ".join(f"{name} {100 * value:.2g} %" for name, value in differs.items()) or "-"


def cells(row: Row, against: Sequence[Row]) -> list[str]:
    """A row of the table of a case."""
    name = row.contender.name + (" (alone)" if row.apart else "")
    if not row.done:
        return [name, "failed: " + row.why if row.failed else "skipped: " + row.why]
    ratios = [f"{row.least / other.least:.2f} ({row.median / other.median:.2f})" for other in against]
    times = [f"{row.least:.3f}", f"{row.median:.3f}", *ratios]
    return [
        name,
        *times,
        f"{row.memory:.0f}",
        f"{row.first:.1f}",
        str(row.steps),
        percent(row.differs),
        "no memory to check" if row.unchecked else percent(row.away),
        row.note,
    ]


def table(rows: Sequence[Row]) -> list[list[str]]:
    """Of a case; ratios of minima, with those of medians in parentheses."""
    against = rivals(rows)
    head = ["", "min s", "median s", *(f"/ {r.contender.name}" for r in against)]
    head += ["MiB", "first s", "steps", "differs", "away from edges", "what it does"]
    return [head, *(cells(row, against) for row in rows)]


def levels(found: dict[str, dict[str, float]]) -> list[list[str]]:
    """Of the reflections, in dB."""
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    rows = [[peer, *(f"{row[n]:.1f}" if n in row else "-" for n in names)] for peer, row in found.items()]
    return [["dB", *names], *rows]


def aligned(lines: Sequence[Sequence[str]], markdown: bool = False) -> str:
    """Columns of equal width; as Markdown, the first line is a heading."""
    width = max(map(len, lines))
    lines = [[*line, *[""] * (width - len(line))] for line in lines]
    # what failed says why in one cell, which must not widen its column
    widths = [max([len(line[i]) for line in lines if line[2:3] != [""]] or [0]) for i in range(width)]
    bar = " | " if markdown else "  "
    text = [bar.join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    if not markdown:
        return "\n".join(text)
    text.insert(1, " | ".join("-" * max(w, 3) for w in widths))
    return "\n".join(f"| {line} |" for line in text)


def record(case: str, row: Row, rows: Sequence[Row]) -> dict:
    """A row for other programs."""
    out = {
        "case": case,
        "contender": row.contender.name,
        "peer": row.contender.peer,
        "approximate": row.contender.approximate,
        "calls": len(row.seconds),
        "min": row.least if row.done else None,
        "median": row.median if row.done else None,
        "first": row.first,
        "setup": row.setup,
        "memory_mib": row.memory,
        "steps": row.steps,
        "differs": max(row.differs.values(), default=None),
        "away_from_edges": max(row.away.values(), default=None),
        "alone": row.apart,
        "failed": row.failed,
        "note": row.note or row.why,
    }
    for other in rivals(rows) if row.done else ():
        out[f"min / {other.contender.name}"] = row.least / other.least
        out[f"median / {other.contender.name}"] = row.median / other.median
    return out


def records(found: dict[str, list[Row]]) -> list[dict]:
    return [record(case, row, rows) for case, rows in found.items() for row in rows]


def write_csv(path: Path, rows: Sequence[dict]) -> None:
    """Rows that may have different columns."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def write_json(path: Path, content) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
