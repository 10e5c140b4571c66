"""The assignments of one time step as they are written down: on the grid, in strips, along edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import devito
import sympy

from seisops.engine.derive.reverse import Edge
from seisops.engine.derive.strips import Strips
from seisops.engine.lower.assignment import GRID, Assignment

__all__ = ["Sheet"]


class Sheet:
    """Makes assignments, each in its place.

    Parameters
    ----------
    strips : Strips

    Attributes
    ----------
    edges : dict
        Where what is kept along edges lies, by name.
    """

    def __init__(self, strips: Strips):
        self.strips, self.template = strips, strips.template
        self.edges: dict[str, Edge] = {}

    def put(self, lhs, rhs, box: Mapping = GRID, when: tuple = (), kind=devito.Eq) -> list[Assignment]:
        """``lhs = rhs`` in one place."""
        return [Assignment(kind, lhs, rhs, when, box)]

    def add(self, lhs, rhs, box: Mapping = GRID, when: tuple = ()) -> list[Assignment]:
        """``lhs += rhs`` in one place."""
        return self.put(lhs, rhs, box, when, devito.Inc)

    def everywhere(self, lhs, rhs, when: tuple = (), box: Mapping = GRID, add: bool = False) -> list[Assignment]:
        """``lhs = rhs``, or ``lhs += rhs``, on the grid or in a strip: first what is not restricted any further."""
        parts = self.strips.separate(rhs, frozenset(box))
        grid = parts.pop(frozenset(), None)
        out: list[Assignment] = []
        if not add:
            out += self.put(lhs, grid if grid is not None else sympy.S.Zero, box, when)
        elif grid is not None:
            out += self.add(lhs, grid, box, when)
        for axes, part in parts.items():
            for corner in self.strips.boxes(axes):
                out += self.add(lhs, part, {**corner, **box}, when)
        return out

    def within(self, part: Mapping, lhs, rhs, when: tuple = ()) -> list[Assignment]:
        """``lhs += rhs`` on a part of the grid: the `beyond` of assignments."""
        return [replace(a, beyond=dict(part)) for a in self.everywhere(lhs, rhs, when, add=True)]

    def keep(self, function, expr, edge: Edge) -> list[Assignment]:
        """Keep an expression along an edge, as that of a function."""
        place = self.along(edge)
        return place.only(self.everywhere(place.kept(function), expr, box=place.box))

    def bring_back(self, lhs, edge: Edge) -> list[Assignment]:
        """Put what was kept of a function along an edge in its place."""
        place = self.along(edge)
        return place.only(self.put(lhs, place.kept(lhs.function), place.box))

    def along(self, edge: Edge) -> Along:
        """The cells of an edge."""
        return Along(self, edge)


class Along:
    """The cells of an edge.

    Attributes
    ----------
    box : mapping
        The strip in which they are.
    """

    def __init__(self, sheet: Sheet, edge: Edge):
        self.edge, self._sheet = edge, sheet
        self.box = {edge.axis: edge.side}
        self._part = (edge.axis, edge.first, edge.cells)

    def kept(self, function):
        """What is kept of a function here."""
        out = self._sheet.template.edge(self.edge.name(function))
        self._sheet.edges[out.function.name] = self.edge
        return out

    def only(self, assignments: list[Assignment]) -> list[Assignment]:
        """The assignments, of the strip, restricted to these cells."""
        return [replace(a, part=self._part) for a in assignments]
