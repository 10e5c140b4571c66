"""Directives that say what things cost: ``.. solves::`` and ``.. takes::``.

Nothing in these tables is written by hand: the first is what :func:`seisops.plan` says, the second is made of
``docs/speeds.csv``.
"""

from __future__ import annotations

from typing import Any

from measured import _called, rows
from media import table

import seisops as so
from seisops.wave.costs import Costs, Work

__all__ = ["SHAPE", "STEPS", "setup", "solves", "takes"]

#: Of the second table: cells of a model in 2D, and steps of the solver.
SHAPE, STEPS, LAYER = (400, 200), 1500, 8

#: Ways of keeping backgrounds, as one calls them.
WAYS = {
    "all is kept": so.storage.Full(),
    "``Checkpointed``": so.storage.Checkpointed(),
    "``Boundary``": so.storage.Boundary(),
    "beyond ``keep_bytes``": so.storage.Full(keep_bytes=1),
}


def planned(storage: Any) -> Costs:
    """What a shot costs."""
    waves = so.Wavefield(so.Grid((101, 81), 10.0), so.Time(501, 0.004))
    P = so.Projection(waves, [(500.0, 400.0)])
    return so.plan(P * so.Modeling(waves, so.Acoustic(waves.grid, vp=2000.0)) * P.H, storage=storage, trial=False)


def solves() -> list[list[str]]:
    """Rows of a table, the first its head: solves of a shot for a product, and for the first one where that differs."""
    costs = [planned(storage) for storage in WAYS.values()]
    return [["product", *WAYS], *([work.value, *(_said(*c.solves(work)) for c in costs)] for work in Work)]


def _said(later: float, first: float) -> str:
    return f"{later:.2g}" if later == first else f"{later:.2g}, the first {first:.2g}"


def takes() -> list[list[str]]:
    """Rows of a table, the first its head: time and memory of a shot of an example, on one thread."""
    nx, nz = SHAPE
    cells = (nx + 2 * LAYER) * (nz + 2 * LAYER)
    out = [["medium", "modeling, s", "gradient, s", "memory of a solve, MiB", "of the whole history, GiB"]]
    for row in rows("speeds"):
        seconds = (1e-9 * float(row[name]) * cells * STEPS for name in ("forward", "gradient"))
        solve, history = float(row["solve_bytes"]) * cells / 2**20, float(row["history_bytes"]) * cells * STEPS / 2**30
        out.append(
            [_called(row["medium"], row["given"]), *(f"{s:.2g}" for s in seconds), f"{solve:.1f}", f"{history:.2g}"]
        )
    return out


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    from sphinx.util.docutils import SphinxDirective

    class Table(SphinxDirective):
        """A table that a function of this module makes."""

        def run(self) -> list:
            self.env.note_dependency(str(app.srcdir / "speeds.csv"))
            return self.parse_text_to_nodes(table({"solves": solves, "takes": takes}[self.name]()))

    for name in ("solves", "takes"):
        app.add_directive(name, Table)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
