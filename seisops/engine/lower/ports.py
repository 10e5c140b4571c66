"""Ports: how something small meets the wavefield at every step, and the symbols that stand for it.

Traces at points, a wavelet-weighted stack, the whole field, the background's history, an image. Ports that write add to
the right-hand side; ports that read observe.
"""

from __future__ import annotations

from dataclasses import dataclass

import devito
import numpy as np
import sympy

from seisops.engine.symbols.names import PREFIX
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import leaves

__all__ = ["Ports", "at", "points"]


@dataclass(frozen=True)
class Ports:
    """Which ways into (or out of) the wavefield a kernel has.

    Attributes
    ----------
    points : tuple of int
        Components (by number, of the system's entries or exits) with traces at points.
    stacks : tuple of int
        The component of every wavelet-weighted stack.
    field : tuple of int
        Components with the whole field at every step.
    image : bool
        Perturbations of parameters (writing: Born source; reading: gradient).
    history : bool
        The background's factors (reading only).
    edges : bool
        What is needed along the edges of the model to go backward in time (reading only).
    """

    points: tuple[int, ...] = ()
    stacks: tuple[int, ...] = ()
    field: tuple[int, ...] = ()
    image: bool = False
    history: bool = False
    edges: bool = False


def points(template: Template, kind: str, component: int):
    """Data of a set of points, the tables of weights and cells, and the loops over them.

    Reading gathers K cells for each point. Writing gathers too, K points for each cell, so that no two threads add to the
    same cell and sums come out the same in every run.
    """
    side = f"{kind}{component}"
    row = devito.Dimension(name=f"{PREFIX}{side}_row")
    tap = devito.Dimension(name=f"{PREFIX}{side}_tap")
    weight = template.table(f"{side}_weight", (row, tap))
    if kind == "read":
        data, place = template.table(f"{side}_data", (template.time, row)), (row, tap)
    else:
        point = devito.Dimension(name=f"{PREFIX}{side}_point")
        which = template.table(f"{side}_points", (row, tap), np.int32)
        data, place = template.table(f"{side}_data", (template.time, point)).subs(point, which), (row,)
    cells = {d: template.table(f"{side}_cell_{d.name}", place, np.int32) for d in template.dimensions}
    return data, weight, cells, (row, tap)


def at(expr, cells):
    """`expr` at the grid cells of a set of points."""
    expr = sympy.sympify(expr)
    return expr.xreplace({f: f.subs(cells) for f in leaves(expr) if any(d in f.function.dimensions for d in cells)})
