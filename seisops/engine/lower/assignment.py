"""What a time loop does, one assignment after another, before pieces are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import sympy

__all__ = ["GRID", "Assignment"]

#: No strip: the whole grid.
GRID: Mapping = MappingProxyType({})


@dataclass(frozen=True)
class Assignment:
    """``lhs = rhs``, or ``lhs += rhs``, on the grid or in a strip.

    Attributes
    ----------
    kind : devito.Eq or devito.Inc
    lhs, rhs : expressions
        As on the grid, derivatives unevaluated.
    when : tuple of devito.Dimension
        Loops that the expressions do not name.
    box : mapping
        The strip, ``{axis: side}``.
    part : (axis, first cell, number of cells), optional
        A part of the strip that is enough.
    beyond : mapping
        Cells before and after those of the grid that belong to it, ``{axis: (before, after)}``; negative for cells of the
        grid that do not.
    behind : int
        Steps by which it may be done later, with the sign of the direction of time; see
        :class:`~seisops.engine.lower.piece.Piece`.
    """

    kind: type
    lhs: sympy.Expr
    rhs: sympy.Expr
    when: tuple
    box: Mapping
    part: tuple | None = None
    beyond: Mapping = field(default_factory=dict)
    behind: int = 0
