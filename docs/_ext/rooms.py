"""The directive ``.. rooms::``, a picture of the package's layers and rooms, drawn of what imports what in its source.

Boxes stand below all that they import. Arrows point to what is imported; those that follow from others are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from imports import ROOMS, graph, layer, reduced, room

__all__ = ["draw", "setup"]

ROOT = Path(__file__).resolve().parents[2]

# in pixels: of the picture; of letters, boxes, rows, and between boxes
WIDTH, LETTER, HEIGHT, ROW, GAP, BEND, MARGIN = 800, 7.3, 24, 46, 14, 8, 16

#: What stands in a row: a box with its name, or a place where an arrow from this box to that passes.
Slot = str | tuple[str, str, int]
Graph = dict[str, set[str]]


def draw(root: Path = ROOT) -> str:
    """The picture, in SVG that takes the colours of the page: layers, and the rooms of those that have some."""
    layers = _public(graph(root, layer))
    panels = [Panel("layers of seisops", layers, marked=set(ROOMS))]
    for name in ROOMS:
        rooms = graph(root, lambda module, name=name: room(module) if layer(module) == name else "")
        panels.append(Panel(f"rooms of {name}", _public(rooms)))
    parts, x, y, below = [], 0.0, 0.0, 0.0
    for panel in panels:
        if x + panel.width > WIDTH:
            x, y = 0.0, below
        parts.append(panel.at(x, y))
        x, below = x + panel.width + MARGIN, max(below, y + panel.height + MARGIN)
    return (
        f'<svg class="rooms" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {below - MARGIN + 1:.0f}" width="100%" '
        'font-family="monospace" font-size="12" fill="none" stroke="currentColor" role="img">\n'
        "<title>Layers and rooms of seisops, and what imports what</title>\n"
        '<defs><marker id="import" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="currentColor" stroke="none"/></marker></defs>\n'
        + "\n".join(parts)
        + "\n</svg>"
    )


def _public(found: Graph) -> Graph:
    """Without what has no name for others; its own imports are then said of who imports it."""
    for private in [name for name in found if name.startswith("_")]:
        imported = found.pop(private)
        found = {name: (to | imported if private in to else to) - {private, name} for name, to in found.items()}
    return found


class Panel:
    """A graph in rows, with a title.

    Parameters
    ----------
    title : str
    found : dict of str to set of str
        What imports what.
    marked : set of str
        Boxes that have a thicker line.
    """

    def __init__(self, title: str, found: Graph, marked: set[str] = frozenset()):
        self.title, self.marked = title, marked
        self.arrows = reduced(found)
        self.rows = _ordered(_rows(self.arrows), self.arrows)
        self.x = _placed(self.rows, self.arrows)
        left = min(self.x[slot] - _width(slot) / 2 for row in self.rows for slot in row)
        self.x = {slot: x - left + MARGIN for slot, x in self.x.items()}
        right = max(self.x[slot] + _width(slot) / 2 for row in self.rows for slot in row)
        self.width = max(right, LETTER * len(title)) + MARGIN
        self.height = len(self.rows) * ROW + HEIGHT

    def at(self, x: float, y: float) -> str:
        """The panel, with its corner somewhere."""
        row_of = {slot: k for k, row in enumerate(self.rows) for slot in row}
        tops = {slot: HEIGHT + GAP / 2 + ROW * k for slot, k in row_of.items()}
        out = [
            f'<g transform="translate({x:.1f} {y:.1f})">',
            f'<rect x="0.5" y="0.5" width="{self.width:.1f}" height="{self.height - 1:.1f}" rx="6" opacity="0.35"/>',
            f'<text x="{MARGIN / 2}" y="17" fill="currentColor" stroke="none" opacity="0.7">{escape(self.title)}</text>',
        ]
        for name, imported in self.arrows.items():
            for other in sorted(imported):
                way = [(self.x[name], tops[name])]
                for k in range(row_of[name] - 1, row_of[other], -1):
                    bend = (name, other, k)
                    way += [(self.x[bend], tops[bend] + HEIGHT), (self.x[bend], tops[bend])]
                way.append((self.x[other], tops[other] + HEIGHT))
                out.append(f'<path d="{_curve(way)}" opacity="0.6" marker-end="url(#import)"/>')
        for row in self.rows:
            for slot in (s for s in row if isinstance(s, str)):
                width, thick = _width(slot), ' stroke-width="2.2"' if slot in self.marked else ""
                left, top = self.x[slot] - width / 2, tops[slot]
                out.append(
                    f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{HEIGHT}" rx="4"{thick}/>'
                    f'<text x="{self.x[slot]:.1f}" y="{top + 16:.1f}" text-anchor="middle" fill="currentColor" '
                    f'stroke="none">{escape(slot)}</text>'
                )
        return "\n".join([*out, "</g>"])


def _curve(way: Sequence[tuple[float, float]]) -> str:
    """A smooth line through points, upward at each."""
    (x, y), *others = way
    out = f"M{x:.1f} {y:.1f}"
    for there_x, there_y in others:
        middle = (y + there_y) / 2
        out += f" C{x:.1f} {middle:.1f} {there_x:.1f} {middle:.1f} {there_x:.1f} {there_y:.1f}"
        x, y = there_x, there_y
    return out


def _width(slot: Slot) -> float:
    return LETTER * len(slot) + 14 if isinstance(slot, str) else BEND


def _rows(arrows: Graph) -> list[list[Slot]]:
    """Boxes in rows below what they import, no further up than needed; and the places where arrows pass."""
    row: dict[str, int] = {}

    def depth(name: str) -> int:
        return row.setdefault(name, 1 + max(map(depth, arrows[name]), default=-1))

    for name in arrows:
        depth(name)
    importers = {name: [other for other in arrows if name in arrows[other]] for name in arrows}
    for name in sorted(arrows, key=lambda name: -row[name]):
        if importers[name]:
            row[name] = min(row[other] for other in importers[name]) - 1
    rows: list[list[Slot]] = [[] for _ in range(1 + max(row.values()))]
    for name in arrows:
        rows[row[name]].append(name)
        for other in sorted(arrows[name]):
            for k in range(row[other] + 1, row[name]):
                rows[k].append((name, other, k))
    return rows


def _neighbours(rows: list[list[Slot]], arrows: Graph) -> dict[Slot, dict[int, list[Slot]]]:
    """What a place is joined to in the row before it (-1) and in the one after it (1)."""
    where = {slot: k for k, row in enumerate(rows) for slot in row}
    found: dict[Slot, dict[int, list[Slot]]] = {slot: {-1: [], 1: []} for slot in where}
    for name, imported in arrows.items():
        for other in sorted(imported):
            way: list[Slot] = [other, *((name, other, k) for k in range(where[other] + 1, where[name])), name]
            for above, below in zip(way, way[1:], strict=False):
                found[above][1].append(below)
                found[below][-1].append(above)
    return found


def _ordered(rows: list[list[Slot]], arrows: Graph, sweeps: int = 24) -> list[list[Slot]]:
    """Rows in an order in which few arrows cross: each place where the middle of what it is joined to is."""
    joined = _neighbours(rows, arrows)

    def crossings(rows: list[list[Slot]]) -> int:
        place = {slot: i for row in rows for i, slot in enumerate(row)}
        total = 0
        for row in rows:
            lines = [(place[slot], place[below]) for slot in row for below in joined[slot][1]]
            total += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(lines) for c, d in lines[:i])
        return total

    best, least = rows, crossings(rows)
    for sweep in range(sweeps):
        side, order = (-1, range(1, len(rows))) if sweep % 2 == 0 else (1, range(len(rows) - 2, -1, -1))
        rows = [list(row) for row in rows]
        for k in order:
            place = {slot: i for row in rows for i, slot in enumerate(row)}

            def middle(slot: Slot, place=place, side=side) -> float:
                beside = [place[other] for other in joined[slot][side]]
                return sum(beside) / len(beside) if beside else place[slot]

            rows[k].sort(key=middle)
        if (found := crossings(rows)) < least:
            best, least = rows, found
    return best


def _placed(rows: list[list[Slot]], arrows: Graph, sweeps: int = 60) -> dict[Slot, float]:
    """Where places are along their rows: as near to what they are joined to as their neighbours let them."""
    joined, x = _neighbours(rows, arrows), {}
    for row in rows:
        x.update(zip(row, _apart([0.0] * len(row), row), strict=True))
    for sweep in range(sweeps):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = []
            for slot in row:
                beside = [x[other] for side in (-1, 1) for other in joined[slot][side]]
                wanted.append(sum(beside) / len(beside) if beside else x[slot])
            x.update(zip(row, _apart(wanted, row), strict=True))
    return x


def _apart(wanted: Sequence[float], row: Sequence[Slot]) -> list[float]:
    """The places nearest to those wanted, in the sense of least squares, in which nothing in a row overlaps."""
    offsets = [0.0]
    for a, b in zip(row, row[1:], strict=False):
        offsets.append(offsets[-1] + (_width(a) + _width(b)) / 2 + GAP)
    groups: list[tuple[float, int]] = []  # their mean, and how many stand together
    for value in (w - o for w, o in zip(wanted, offsets, strict=True)):
        groups.append((value, 1))
        while len(groups) > 1 and groups[-2][0] >= groups[-1][0]:
            (a, m), (b, n) = groups.pop(-2), groups.pop()
            groups.append(((a * m + b * n) / (m + n), m + n))
    means = [mean for mean, n in groups for _ in range(n)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    from docutils import nodes
    from docutils.parsers.rst import Directive

    class Rooms(Directive):
        """The picture, where pages are of HTML."""

        def run(self) -> list[nodes.Node]:
            return [nodes.raw("", draw(), format="html")]

    app.add_directive("rooms", Rooms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
