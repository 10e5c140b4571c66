"""Rows as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from .cases import CASES
from .race import Row

COLOURS = {"seisops": "tab:blue", "deepwave": "tab:orange", "devito": "tab:green"}


def bars(found: dict[str, list[Row]], path: Path) -> None:
    """Seconds and memory of every contender, a pair of panels for each case."""
    found = {case: [row for row in rows if row.done] for case, rows in found.items()}
    found = {case: rows for case, rows in found.items() if rows}
    if not found:
        return
    heights = [len(rows) + 1 for rows in found.values()]
    figure = Figure(figsize=(11, 0.36 * sum(heights) + 0.4 * len(heights) + 0.4), layout="constrained")
    axes = figure.subplots(len(found), 2, squeeze=False, height_ratios=heights)
    for (case, rows), (left, right) in zip(found.items(), axes, strict=True):
        _panel(left, rows, [row.least for row in rows], [row.median for row in rows], "{:.3g} s")
        _panel(right, rows, [row.memory for row in rows], None, "{:.0f} MiB")
        left.set_title(f"{CASES[case].title}: seconds", fontsize=9, loc="left")
        right.set_title("peak memory above import", fontsize=9, loc="left")
        right.set_yticklabels([])
    figure.suptitle("bars and numbers: the least time; lines: up to the median", fontsize=9)
    figure.savefig(path, dpi=120)


def _panel(axis: Axes, rows: Sequence[Row], values: Sequence[float], up_to: Sequence[float] | None, form: str) -> None:
    """A bar for each value, perhaps with a line that goes on, and the number behind both."""
    places = range(len(rows))
    ends = values if up_to is None else [max(pair) for pair in zip(values, up_to, strict=True)]
    axis.barh(places, values, color=[COLOURS[row.contender.peer] for row in rows])
    axis.set_yticks(places, [row.contender.name for row in rows])
    if up_to is not None:
        axis.hlines(places, values, ends, color="0.3", linewidth=1.5)
    for place, value, end in zip(places, values, ends, strict=True):
        axis.annotate(form.format(value), (end, place), (5, 0), textcoords="offset points", va="center", fontsize=7)
    axis.set_xlim(0.0, 1.2 * (max(ends) or 1.0))
    axis.invert_yaxis()
    axis.tick_params(labelsize=8)


def sweeps(points: Sequence[dict], path: Path) -> None:
    """Time and memory against what was varied: a panel for each sweep; the overhead of a shot is one number."""
    names = [name for name in dict.fromkeys(p["sweep"] for p in points) if name != "overhead"]
    figure = Figure(figsize=(11, 3 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), 2, squeeze=False)
    for name, (left, right) in zip(names, axes, strict=True):
        mine = [p for p in points if p["sweep"] == name]
        for line in dict.fromkeys(p["line"] for p in mine):
            on = [p for p in mine if p["line"] == line]
            x = [p["x"] for p in on]
            left.loglog(x, [p["min"] for p in on], "o-", label=line, markersize=4)
            right.loglog(x, [p["memory_mib"] for p in on], "o-", label=line, markersize=4)
        left.set(title=f"{name}: time", xlabel=mine[0]["unit"], ylabel="least time (s)")
        right.set(title=f"{name}: memory", xlabel=mine[0]["unit"], ylabel="MiB above import")
        right.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        places = sorted({p["x"] for p in mine})
        for axis in (left, right):
            axis.set_xticks(places, [_short(x) for x in places], fontsize=8)
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def _short(number: float) -> str:
    """A number in three digits at most: 125k, 1.3M."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.{1 if number < 10 * size else 0}f}".removesuffix(".0") + unit
    return f"{number:g}"
