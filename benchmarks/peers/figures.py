"""Rows as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
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
    figure, axes = plt.subplots(
        len(found), 2, figsize=(11, 0.34 * sum(heights) + 1), squeeze=False, height_ratios=heights, layout="constrained"
    )
    for (case, rows), (left, right) in zip(found.items(), axes, strict=True):
        _panel(left, rows, [row.least for row in rows], "{:.3g} s")
        _panel(right, rows, [row.memory for row in rows], "{:.0f} MiB")
        for row, bar in zip(rows, left.patches, strict=True):
            left.plot(row.median, bar.get_y() + bar.get_height() / 2, "k|")
        left.set_title(f"{CASES[case].title}: seconds (bar: least, tick: median)", fontsize=9, loc="left")
        right.set_title("peak memory above import", fontsize=9, loc="left")
        right.set_yticklabels([])
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _panel(axis, rows: Sequence[Row], values: Sequence[float], form: str) -> None:
    bars = axis.barh([row.contender.name for row in rows], values, color=[COLOURS[row.contender.peer] for row in rows])
    axis.bar_label(bars, [form.format(v) for v in values], padding=5, fontsize=7)
    axis.margins(x=0.2)
    axis.invert_yaxis()
    axis.tick_params(labelsize=8)


def sweeps(points: Sequence[dict], path: Path) -> None:
    """Time and memory against what was varied: a panel for each sweep; the overhead of a shot is one number."""
    names = [name for name in dict.fromkeys(p["sweep"] for p in points) if name != "overhead"]
    figure, axes = plt.subplots(len(names), 2, figsize=(11, 3 * len(names)), squeeze=False, layout="constrained")
    for name, (left, right) in zip(names, axes, strict=True):
        mine = [p for p in points if p["sweep"] == name]
        for line in dict.fromkeys(p["line"] for p in mine):
            on = [p for p in mine if p["line"] == line]
            x = [p["x"] for p in on]
            left.loglog(x, [p["min"] for p in on], "o-", label=line)
            right.loglog(x, [p["memory_mib"] for p in on], "o-", label=line)
        left.set(title=name, xlabel=mine[0]["unit"], ylabel="s")
        right.set(xlabel=mine[0]["unit"], ylabel="MiB above import")
        left.legend(fontsize=7)
        for axis in (left, right):
            places = sorted({p["x"] for p in mine})
            axis.set_xticks(places, [f"{x:.3g}" if x < 1e4 else f"{x:.2g}" for x in places])
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)
