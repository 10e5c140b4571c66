"""Lowering of a system and its ports to one compiled Devito operator, and running it.

A *port* is how something small meets the wavefield at every step: traces at points, a wavelet-weighted stack, the whole
field, the background's history, an image. Ports that write add to the right-hand side; ports that read observe. The
same kernel serves surveys of any size: arrays and bounds are given when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import devito
import numpy as np
import sympy
from devito import Derivative

from seisops.engine.arrays import aligned
from seisops.engine.assignment import GRID, Assignment
from seisops.engine.born import Born
from seisops.engine.derive import System, march, transpose
from seisops.engine.hazards import racing, stray, time_loops
from seisops.engine.location import position, sign
from seisops.engine.program import describe, program
from seisops.engine.reverse import Edge, earliest, edges, reverse
from seisops.engine.strips import CORE, Strips
from seisops.engine.template import PREFIX, Template
from seisops.engine.terms import depends, differentiated, leaves, looked_around, names, occurrences, time_offset

__all__ = ["Kernel", "Ports", "build_count"]

# loops are regular: a static schedule beats handing out rows one by one
OPTIMISE = ("advanced", {"par-dynamic-work": 10**6})

# without sharing of subexpressions between loops and iterations, where that comes out wrong
PLAIN = ("advanced", {"par-dynamic-work": 10**6, "cire-mingain": 10**9})

_builds = 0


def build_count() -> int:
    """Number of operators that this process has lowered so far."""
    return _builds


@dataclass(frozen=True)
class Ports:
    """Which ways into (or out of) the wavefield a kernel has.

    Attributes
    ----------
    points : tuple of int
        Channels with traces at points.
    stacks : tuple of int
        The channel of every wavelet-weighted stack.
    field : tuple of int
        Channels with the whole field at every step.
    image : bool
        Perturbations of parameters (writing: Born source; reading: gradient).
    history : bool
        The background's factors (reading only).
    edges : bool
        What :class:`Kernel` needs along the edges of the model to run backward in time (reading only).
    """

    points: tuple[int, ...] = ()
    stacks: tuple[int, ...] = ()
    field: tuple[int, ...] = ()
    image: bool = False
    history: bool = False
    edges: bool = False


class Kernel:
    """One marching loop with its ports, compiled.

    Parameters
    ----------
    system : System
        The equation to march, in its own direction of time.
    write, read : Ports
    born : Born, optional
        Needed by image and history ports.
    strips : Strips, optional
        Where the fields of a layer live; by default the system has none.
    again : bool, optional
        Whether the system is run backward in time, to make the wavefield again: inside the strips, with what lies along
        the edges read from where a run with the port `edges` has left it.
    """

    def __init__(
        self,
        system: System,
        write: Ports,
        read: Ports,
        born: Born | None = None,
        strips: Strips | None = None,
        again: bool = False,
    ):
        global _builds
        self.system, self.write, self.read, self.born = system, write, read, born
        self.template: Template = system.template
        self.strips = strips or Strips(system.template, {}, {}, {})
        self._phase = 0  # of the loops over strips; see Strips.place
        self.again, self._inside = again, dict.fromkeys(self.strips.sides, CORE) if again else GRID
        assignments = self._assignments()
        self.in_place = self._in_place(assignments)
        assignments = [replace(a, in_place=self.in_place) for a in assignments]
        key = describe([a.symbolic for a in assignments]) + repr([self.strips.key, *(a.place for a in assignments)])
        self.program, lowered = program(key, lambda: self._lower(assignments))
        _builds += lowered

    def _in_place(self, assignments: list) -> dict:
        """Where a field's newest level may take the place of its oldest: ``{function: (newest, oldest)}``, time offsets.

        That is where nothing but the field's own update, point by point, looks at the oldest. A march that is to be
        followed keeps all levels, whatever it needs itself, so that others can take it up.
        """
        out = {}
        for u, lead in zip(self.system.fields, self.system.leads, strict=True):
            oldest = lead - u.time_order * self.system.direction
            if self.read.history or self.read.edges or self.again or u.name in self.strips.compact or u.time_order != 2:
                continue
            looking = [a for a in assignments if any(time_offset(f) == oldest for f in occurrences(a.rhs, u))]
            own = len(looking) == 1 and looking[0].kind is devito.Eq and looking[0].lhs.function is u
            if own and not looked_around(looking[0].rhs, u, oldest):
                out[u] = (lead, oldest)
        return out

    def _lower(self, assignments: list) -> devito.Operator:
        name = "Forward" if self.system.direction > 0 else "Again" if self.again else "Adjoint"
        equations = [a.lowered(self.template, self.strips) for a in assignments]
        faults: list[str] = []
        for options in (OPTIMISE, PLAIN):
            # language per operator, not in devito.configuration: that belongs to the user
            with devito.switchconfig(log_level="WARNING"):
                operator = devito.Operator(equations, name=name, language="openmp", opt=options)
            faults = [*racing(operator), *stray(operator)]
            if time_loops(operator) == 1 and not faults:
                return operator
        raise RuntimeError(
            f"Devito lowered the {name.lower()} equation of {names(self.system.fields)} to a wrong loop nest "
            f"({time_loops(operator)} loops over time; {'; '.join(faults) or 'no races'}): "
            "please report it with the equation"
        )

    # -- symbols of the ports

    def _points(self, kind: str, channel: int):
        """Data of a set of points, the tables of weights and cells, and the loops over them.

        Reading gathers K cells for each point. Writing gathers too, K points for each cell, so that no two threads add to
        the same cell and sums come out the same in every run.
        """
        template, side = self.template, f"{kind}{channel}"
        row = devito.Dimension(name=f"{PREFIX}{side}_row")
        tap = devito.Dimension(name=f"{PREFIX}{side}_tap")
        weight = template.table(f"{side}_weight", (row, tap))
        if kind == "write":
            point = devito.Dimension(name=f"{PREFIX}{side}_point")
            which = template.table(f"{side}_points", (row, tap), np.int32)
            data, place = template.table(f"{side}_data", (template.time, point)).subs(point, which), (row,)
        else:
            data, place = template.table(f"{side}_data", (template.time, row)), (row, tap)
        cells = {d: template.table(f"{side}_cell_{d.name}", place, np.int32) for d in template.dimensions}
        return data, weight, cells, (row, tap)

    def _assignments(self) -> list[Assignment]:
        steps, dense = march(self.system), self._dense()
        values = [s.value + s.scale * dense[s.index] if dense[s.index] != 0 else s.value for s in steps]
        equations: list = []
        waiting: list = []
        for step, value in zip(steps, values, strict=True):
            if step.field.function.name in self.strips.compact:
                waiting.append((step, value))
                continue
            parts = self.strips.separate(value)
            grid = parts.pop(frozenset())
            late = self._late(waiting, parts)
            equations += self._rows([row for row in waiting if row not in late])
            waiting = []
            equations += self._put(step.field, grid, self._inside)
            equations += self._layer(step, parts, late)
            equations += self._entries(step)
        return equations + self._rows(waiting) + self._readings(steps)

    def _dense(self) -> list:
        """What is written to every cell at every step, by row."""
        system, template = self.system, self.template
        dense = [sympy.S.Zero] * len(system.fields)
        for k, channel in enumerate(self.write.stacks):
            stack = template.image(f"write_image{k}") * template.signal(f"write_signal{k}")
            for i, s in system.source[channel].items():
                dense[i] = dense[i] + s * stack
        for channel in self.write.field:
            for i, s in system.source[channel].items():
                dense[i] = dense[i] + s * template.saved(f"write{channel}_field")
        if self.write.image and self.born.every == 1:
            for i, row in enumerate(self.born.rows):
                dense[i] = dense[i] + row
        return dense

    def _late(self, waiting: list, parts: Mapping) -> list:
        """The rows of strip fields that may share a loop with what the strips add to a field: nobody else reads them."""
        late = []
        for step, value in waiting:
            function = step.field.function
            part = parts.get(frozenset([self.strips.compact[function.name]]))
            others = [v for s, v in waiting if s is not step]
            if (
                part is not None
                and not depends(sympy.Tuple(*others), [function])
                and not differentiated(part, function)
            ):
                late.append((step, value))
        return late

    def _layer(self, step, parts: Mapping, late: list) -> list:
        """What the strips add to a field.

        Loops over strips of the last axis come first: they share rows with the loop over the grid before them.
        """
        equations: list = []
        self._phase += 1
        for axes in sorted(parts, key=lambda axes: (len(axes), -max(self.template.dimensions.index(d) for d in axes))):
            for box in self.strips.boxes(axes):
                for row, value in late:
                    if axes == {self.strips.compact[row.field.function.name]}:
                        equations += self._row(row, value, box)
                equations += self._add(step.field, parts[axes], box)
        return equations

    def _rows(self, rows: list) -> list:
        """The updates of fields that live in strips, strip by strip as far as they do not read one another."""
        equations: list = []
        while rows:
            ready = []
            for n, (step, value) in enumerate(rows):
                if not depends(value, [s.field.function for s, _ in rows[:n]]):
                    ready.append((step, value))
            rows = [row for row in rows if row not in ready]
            self._phase += 1
            for home in self.template.dimensions:
                mine = [row for row in ready if self.strips.compact[row[0].field.function.name] is home]
                for box in self.strips.boxes(frozenset([home])) if mine else ():
                    for step, value in mine:
                        # nobody adds to anything here: beyond the layer there is nothing to compute
                        layer = self.strips.in_layer(home, box[home])
                        equations += [replace(a, part=layer) for a in self._row(step, value, box)]
        return equations

    def _row(self, step, value, box: Mapping) -> list:
        """The update of a field that lives in strips, in one of them."""
        equations = self._everywhere(step.field, value, box=box)
        if self._kick(step) != 0:
            equations += self._everywhere(step.field, self._kick(step), self._when, box, add=True)
        return equations + self._mirror(step.field, box=box)

    def _everywhere(self, lhs, rhs, when: tuple = (), box: Mapping = GRID, add: bool = False) -> list:
        """``lhs = rhs``, or ``lhs += rhs``, on the grid or in a strip: first what is not restricted any further."""
        parts = self.strips.separate(rhs, frozenset(box))
        grid = parts.pop(frozenset(), None)
        equations: list = []
        if not add:
            equations += self._put(lhs, grid if grid is not None else sympy.S.Zero, box, when)
        elif grid is not None:
            equations += self._add(lhs, grid, box, when)
        for axes, part in parts.items():
            for corner in self.strips.boxes(axes):
                equations += self._add(lhs, part, {**corner, **box}, when)
        return equations

    def _put(self, lhs, rhs, box: Mapping = GRID, when: tuple = (), kind=devito.Eq) -> list:
        return [Assignment(kind, lhs, rhs, when, box, self._phase)]

    def _add(self, lhs, rhs, box: Mapping = GRID, when: tuple = ()) -> list:
        return self._put(lhs, rhs, box, when, devito.Inc)

    @property
    def _when(self) -> tuple:
        """The steps at which the background is there."""
        return self.template.when(self.born.every)

    def _kick(self, step):
        """What a background that is there at some steps only writes to a field at those."""
        if not self.write.image or self.born.every == 1:
            return sympy.S.Zero
        return self.born.every * step.scale * self.born.rows[step.index]

    def _entries(self, step) -> list:
        """What is written at some steps or cells only, after the step has been made."""
        equations: list = []
        if self._kick(step) != 0:
            equations += self._everywhere(step.field, self._kick(step), self._when, add=True)
        for channel in self.write.points:
            if step.index in self.system.source[channel]:
                equations += self._injection(step, channel)
        if self.again:
            for edge in edges(self.strips, ring=True):
                kept, box, part = self._edge(step.field.function, edge)
                equations += [replace(a, part=part) for a in self._put(step.field, kept, box)]
        return equations + self._mirror(step.field)

    def _edge(self, function, edge: Edge) -> tuple:
        """What is kept of a function along an edge, with the strip and the part of it where that is."""
        self._phase += 1
        part = (edge.axis, edge.first, edge.cells)
        loop = self.strips.loop(edge.axis, edge.side, self._phase, part)
        kept = self.template.edge(edge.name(function), edge.axis, loop, edge.first + self.strips.halo)
        return kept, {edge.axis: edge.side}, part

    def _keep_edges(self) -> list:
        """Keep what making the wavefield again needs: its earliest level in the ring, the factors in layer and ring."""
        equations: list = []
        wanted = [(f.function, f, True) for f in earliest(reverse(self.system, self.strips))]
        wanted += [
            (h.function, factor, False) for h, factor in zip(self.born.histories, self.born.factors, strict=True)
        ]
        for function, expr, ring in wanted:
            for edge in edges(self.strips, ring):
                kept, box, part = self._edge(function, edge)
                equations += [replace(a, part=part) for a in self._everywhere(kept, expr, box=box)]
        return equations

    def _readings(self, steps) -> list:
        system, template, equations = self.system, self.template, []
        observed = [sum(o * steps_field(steps, j) for j, o in weights.items()) for weights in system.observe]
        for channel in self.read.points:
            data, weight, cells, dims = self._points("read", channel)
            gathered = weight * at(observed[channel], cells)
            equations += self._add(data, gathered, when=(template.time, *dims))
        for k, channel in enumerate(self.read.stacks):
            weighted = template.signal(f"read_signal{k}") * observed[channel]
            equations += self._add(template.image(f"read_image{k}"), weighted)
        for channel in self.read.field:
            equations += self._put(template.saved(f"read{channel}_field"), observed[channel])
        if self.read.history:
            for h, factor in zip(self.born.histories, self.born.factors, strict=True):
                if self.again:
                    equations += self._put(h, self.strips.separate(factor)[frozenset()], self._inside)
                    for edge in edges(self.strips, ring=False):
                        kept, box, part = self._edge(h.function, edge)
                        equations += [replace(a, part=part) for a in self._put(h, kept, box)]
                else:
                    equations += self._everywhere(h, factor, self._when)
                equations += self._mirror(h, factor, self._when)
        if self.read.edges:
            equations += self._keep_edges()
        if self.read.image:
            gradients = {p: sympy.S.Zero for p in self.born.tangents}
            for row, w in zip(self.born.rows, system.fields, strict=True):
                for p, expr in transpose(row, w, gradients).items():
                    gradients[p] = gradients[p] + expr
            for p, expr in gradients.items():
                image = template.image(f"read_{p.name.removeprefix(PREFIX)}")
                equations += self._everywhere(image, self.born.every * expr, self._when, add=True)
        return equations

    def _injection(self, step, channel: int) -> list:
        data, weight, cells, dims = self._points("write", channel)
        scale = self.system.source[channel][step.index] * at(step.scale, cells)
        return self._add(at(step.field, cells), scale * weight * data, when=(self.template.time, *dims))

    def _mirror(self, field, factor=None, when: tuple = (), box: Mapping = GRID) -> list:
        """Extend what is kept in `field` over the halo above a free surface, if anything along z ever looks there.

        `factor` is what is kept, where that is not the field itself.
        """
        z, halo = self.template.dimensions[-1], self.template.space_order
        looked_at = field.function in self._reaching if factor is None else field.function.space_order > 0
        if self.system.parity is None or not looked_at or z in box:
            return []
        factor = field if factor is None else factor
        parity = sign(factor, self.system.parity, self.template.dimensions)
        half = position(factor, self.system.positions, self.template.dimensions)[-1] != 0
        above = devito.CustomDimension(name=f"{PREFIX}above", symbolic_min=1, symbolic_max=halo, symbolic_size=halo)
        image = parity * field.subs(z, above - 1 if half else above)
        equations = self._put(field.subs(z, -above), image, box, when)
        if parity < 0 and not half:
            equations = self._put(field.subs(z, 0), sympy.S.Zero, box, when) + equations
        return equations

    @cached_property
    def _reaching(self) -> set:
        """Functions of which a derivative along z is taken."""
        rows = list(self.system.residuals)
        if self.born:
            rows += [*self.born.rows, *self.born.factors]
        z = self.template.dimensions[-1]
        return {f.function for row in rows for d in row.atoms(Derivative) if z in d.dims for f in leaves(d.expr)}

    # -- running

    def run(
        self,
        shape: Sequence[int],
        spacing: Sequence[float],
        dt: float,
        steps: tuple[int, int],
        arrays: Mapping[str, np.ndarray],
        bounds: Mapping[str, int],
        threads: int | None = None,
    ) -> None:
        """March from one time index to another.

        Parameters
        ----------
        shape : sequence of int
            Padded grid.
        spacing : sequence of float
            Cell sizes in m.
        dt : float
            Time step in s.
        steps : (int, int)
            First and last value of the time index, both included, smaller first.
        arrays : mapping
            Every array, the state's too, by symbol name, with the halo that its symbol has; those that this kernel has no
            symbol for are ignored.
        bounds : mapping
            Number of points and taps of each set of points.
        threads : int, optional
            OpenMP threads; by default as many as the environment says.
        """
        template = self.template
        arguments = dict(arrays)
        for d, n, h in zip(template.dimensions, shape, spacing, strict=True):
            arguments[f"{d.name}_m"], arguments[f"{d.name}_M"] = 0, int(n) - 1
            arguments[d.spacing.name] = template.dtype(h)
        for name, n in bounds.items():
            arguments[f"{PREFIX}{name}_m"], arguments[f"{PREFIX}{name}_M"] = 0, int(n) - 1
        arguments["time_m"], arguments["time_M"] = steps
        arguments["dt"] = template.dtype(dt)
        known = {n: a for n, a in arguments.items() if n in self.program.names}
        self.program({n: aligned(a) if isinstance(a, np.ndarray) else a for n, a in known.items()}, threads)


def steps_field(steps, j):
    return next(s.field for s in steps if s.index == j)


def at(expr, cells):
    """`expr` at the grid cells of a set of points."""
    expr = sympy.sympify(expr)
    return expr.xreplace({f: f.subs(cells) for f in leaves(expr) if any(d in f.function.dimensions for d in cells)})
