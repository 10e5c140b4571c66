"""One time step of a system: its rows, the strips of its layer, and what enters it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import devito
import sympy
from devito import Derivative

from seisops.engine.derive.born import Born
from seisops.engine.derive.reverse import edges
from seisops.engine.derive.strips import reach
from seisops.engine.derive.system import Step, System, march
from seisops.engine.lower.assignment import GRID, Assignment
from seisops.engine.lower.ports import WRITE, PointsPort, Ports
from seisops.engine.lower.sheet import Sheet
from seisops.engine.symbols.location import position, sign
from seisops.engine.symbols.names import PREFIX
from seisops.engine.symbols.terms import at, depends, differentiated, leaves

__all__ = ["Advance"]


class Advance:
    """The assignments that take the fields of a system one step on.

    Parameters
    ----------
    sheet : Sheet
    system : System
    write : Ports
        What enters.
    side : str
        Of its ports.
    born : Born, optional
        Of which an image port writes the rows.
    again : bool, optional
        Whether the system is one of :func:`~seisops.engine.derive.reverse.reverse`: made inside the strips, with what lies
        along the edges brought back.
    """

    def __init__(
        self,
        sheet: Sheet,
        system: System,
        write: Ports,
        side: str = WRITE,
        born: Born | None = None,
        again: bool = False,
    ):
        self.sheet, self.system, self.write, self.side, self.born, self.again = sheet, system, write, side, born, again
        self.strips, self.template = sheet.strips, system.template
        self.steps: list[Step] = march(system)

    def assignments(self) -> list[Assignment]:
        dense = self._dense()
        values = [s.value + s.scale * dense[s.index] if dense[s.index] != 0 else s.value for s in self.steps]
        out: list[Assignment] = []
        waiting: list = []
        for step, value in zip(self.steps, values, strict=True):
            if step.field.function.name in self.strips.compact:
                waiting.append((step, value))
                continue
            parts = self.strips.separate(value)
            grid = parts.pop(frozenset())
            late = self._late(waiting, parts)
            out += self._rows([row for row in waiting if row not in late])
            waiting = []
            out += self.sheet.put(step.field, grid, self.strips.inside() if self.again else GRID)
            out += self._layer(step, parts, late)
            out += self._entries(step)
        return out + self._rows(waiting)

    def field(self, index: int):
        """The field that a row determines, at the time at which it does."""
        return next(s.field for s in self.steps if s.index == index)

    def _dense(self) -> list:
        """What is written to every cell at every step, by row."""
        system, template = self.system, self.template
        dense = [sympy.S.Zero] * len(system.fields)
        for port in self.write.stacked(self.side):
            image, signal = port.symbols(template)
            for i, s in system.entries[port.component].weights:
                dense[i] = dense[i] + s * (image * signal)
        for port in self.write.whole(self.side):
            for i, s in system.entries[port.component].weights:
                dense[i] = dense[i] + s * port.symbols(template)
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

    def _layer(self, step: Step, parts: Mapping, late: list) -> list[Assignment]:
        """What the strips add to a field.

        Loops over strips of the last axis come first: they share rows with the loop over the grid before them.
        """
        out: list[Assignment] = []
        for axes in sorted(parts, key=lambda axes: (len(axes), -max(self.template.dimensions.index(d) for d in axes))):
            home = next(d for d in self.template.dimensions if d in axes)
            compact = {f.function for f in leaves(parts[axes]) if self.strips.compact.get(f.function.name) is home}
            beyond = reach(parts[axes], compact, home, self.template)
            for box in self.strips.boxes(axes):
                added = [
                    a
                    for row, value in late
                    if axes == {self.strips.compact[row.field.function.name]}
                    for a in self._row(row, value, box)
                ]
                added += self.sheet.add(step.field, parts[axes], box)
                out += self._in_layer(added, box, beyond)
        return out

    def _in_layer(self, assignments: list[Assignment], box: Mapping, beyond: int = 0) -> list[Assignment]:
        """What is zero farther than so many cells beyond the layer, nearer to it and in it alone."""
        home = next(iter(box))
        layer = self.strips.in_layer(home, box[home], beyond)
        return [replace(a, part=layer) for a in assignments]

    def _rows(self, rows: list) -> list[Assignment]:
        """The updates of fields that live in strips, strip by strip as far as they do not read one another."""
        out: list[Assignment] = []
        while rows:
            ready = []
            for n, (step, value) in enumerate(rows):
                if not depends(value, [s.field.function for s, _ in rows[:n]]):
                    ready.append((step, value))
            rows = [row for row in rows if row not in ready]
            for home in self.template.dimensions:
                mine = [row for row in ready if self.strips.compact[row[0].field.function.name] is home]
                for box in self.strips.boxes(frozenset([home])) if mine else ():
                    for step, value in mine:
                        # nobody adds to anything here
                        out += self._in_layer(self._row(step, value, box), box)
        return out

    def _row(self, step: Step, value, box: Mapping) -> list[Assignment]:
        """The update of a field that lives in strips, in one of them."""
        out = self.sheet.everywhere(step.field, value, box=box)
        if self._kick(step) != 0:
            out += self.sheet.everywhere(step.field, self._kick(step), self._when, box, add=True)
        return out + self.mirror(step.field, box=box)

    @property
    def _when(self) -> tuple:
        """The steps at which the background is there."""
        return self.template.when(self.born.every)

    def _kick(self, step: Step):
        """What a background that is there at some steps only writes to a field at those."""
        if not self.write.image or self.born.every == 1:
            return sympy.S.Zero
        return self.born.every * step.scale * self.born.rows[step.index]

    def _entries(self, step: Step) -> list[Assignment]:
        """What is written at some steps or cells only, after the step has been made."""
        out: list[Assignment] = []
        if self._kick(step) != 0:
            out += self.sheet.everywhere(step.field, self._kick(step), self._when, add=True)
        for apart in self.born.apart if self.write.image else ():
            if (row := apart.rows[step.index]) != 0:
                kick = self.born.every * step.scale * row
                out += self.sheet.within(apart.within, step.field, kick, self._when)
        for port in self.write.at_points(self.side):
            for i, s in self.system.entries[port.component].weights:
                if i == step.index:
                    out += self._injection(step, port, s)
        if self.again:
            for edge in edges(self.strips, "ring"):
                out += self.sheet.bring_back(step.field, edge)
        return out + self.mirror(step.field)

    def _injection(self, step: Step, port: PointsPort, factor: float) -> list[Assignment]:
        data, weight, cells, dims = port.symbols(self.template)
        scale = factor * at(step.scale, cells)
        return self.sheet.add(at(step.field, cells), scale * weight * data, when=(self.template.time, *dims))

    def mirror(self, field, factor=None, when: tuple = (), box: Mapping = GRID) -> list[Assignment]:
        """Extend what is kept in `field` over the halo above a free surface, if anything along z ever looks there.

        `factor` is what is kept, where that is not the field itself.
        """
        z, halo = self.template.dimensions[-1], self.template.halo
        looked_at = field.function in self._reaching if factor is None else field.function.space_order > 0
        if self.system.parity is None or not looked_at or z in box:
            return []
        solved, factor = factor is None, field if factor is None else factor
        parity = sign(factor, self.system.parity, self.template.dimensions)
        where = position(factor, self.system.positions, self.template.dimensions)[-1]
        above = devito.CustomDimension(name=f"{PREFIX}above", symbolic_min=1, symbolic_max=halo, symbolic_size=halo)
        # k and -k - 2 where are at the same distance from the surface
        image = parity * field.subs(z, above - 1 if where > 0 else above)
        out = self.sheet.put(field.subs(z, 1 - above if where < 0 else -above), image, box, when)
        if solved and parity < 0 and where == 0:
            out = self.sheet.put(field.subs(z, 0), sympy.S.Zero, box, when) + out
        return out

    @cached_property
    def _reaching(self) -> set:
        """Functions of which a derivative along z is taken."""
        rows = list(self.system.residuals)
        if self.born:
            rows += [*self.born.rows, *self.born.factors]
        z = self.template.dimensions[-1]
        return {f.function for row in rows for d in row.atoms(Derivative) if z in d.dims for f in leaves(d.expr)}
