"""What one time loop does: a system's rows with its ports, as pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import devito
import numpy as np
import sympy

from seisops.engine.derive.born import Born
from seisops.engine.derive.reverse import earliest, edges, reverse, unknown
from seisops.engine.derive.strips import CORE, MODEL, Strips, reach
from seisops.engine.derive.system import System, transpose
from seisops.engine.kept.announce import announced
from seisops.engine.lower.advance import Advance
from seisops.engine.lower.assignment import Assignment
from seisops.engine.lower.loop import Made
from seisops.engine.lower.maker import Maker
from seisops.engine.lower.ports import AGAIN, READ, ImagePort, Ports
from seisops.engine.lower.sheet import Sheet
from seisops.engine.symbols.terms import at, leaves, looked_around, occurrences, time_offset
from seisops.errors import ParameterError

__all__ = ["Replayed", "TimeLoop"]


@dataclass(frozen=True)
class Replayed:
    """A background that is made again in the same loop, from what a run with the port `edges` has kept.

    Attributes
    ----------
    system : System
        Of :func:`~seisops.engine.derive.reverse.reverse`.
    write : Ports
        What had entered the background.
    """

    system: System
    write: Ports


class TimeLoop:
    """A marching loop with its ports, in symbols.

    Parameters
    ----------
    system : System
        The equation to march, in its own direction of time.
    write, read : Ports
    born : Born, optional
        Needed by image, history and edge ports; the latter's is present, and so is one that goes with `again`.
    strips : Strips, optional
        Where the fields of a layer live; by default the system has none.
    again : Replayed, optional
        The background that an image port reads; by default its history is given.
    """

    def __init__(
        self,
        system: System,
        write: Ports,
        read: Ports,
        born: Born | None = None,
        strips: Strips | None = None,
        again: Replayed | None = None,
    ):
        self.system, self.write, self.read, self.born, self.again = system, write, read, born, again
        self.template = system.template
        self.strips = strips or Strips(system.template, {}, {}, {})

    def made(self) -> Made:
        """Its pieces."""
        sheet = Sheet(self.strips)
        assignments = self._assignments(sheet)
        in_place = self._in_place(assignments)
        maker = Maker(self.template, self.strips, sheet.edges, in_place)
        pieces = []
        with announced(f"deriving {len(assignments)} pieces of a wave equation", len(assignments)) as done:
            for a in assignments:
                pieces.append(maker.piece(a))
                done()
        integers = frozenset(name for name, f in maker.functions.items() if np.dtype(f.dtype).kind == "i")
        return Made(tuple(pieces), integers, tuple(u.name for u in in_place), tuple(maker.constancy.found.values()))

    def _in_place(self, assignments: list) -> dict:
        """Where a field's newest level may take the place of its oldest: ``{function: (newest, oldest)}``, time offsets.

        That is where nothing but the field's own update, point by point, looks at the oldest. A march that is to be
        followed keeps all levels, whatever it needs itself, so that others can take it up.
        """
        out = {}
        for u, lead in zip(self.system.fields, self.system.leads, strict=True):
            oldest = lead - u.time_order * self.system.direction
            if self.read.history or self.read.edges or u.name in self.strips.compact or u.time_order != 2:
                continue
            looking = [a for a in assignments if any(time_offset(f) == oldest for f in occurrences(a.rhs, u))]
            own = len(looking) == 1 and looking[0].kind is devito.Eq and looking[0].lhs.function is u
            if own and not looked_around(looking[0].rhs, u, oldest):
                out[u] = (lead, oldest)
        return out

    def _assignments(self, sheet: Sheet) -> list[Assignment]:
        out = self._made_again(sheet) if self.again else []
        march = Advance(sheet, self.system, self.write, born=self.born)
        return out + march.assignments() + self._readings(sheet, march)

    def _made_again(self, sheet: Sheet) -> list[Assignment]:
        """The background one step back, and its factors there where their neighbours are looked at."""
        march = Advance(sheet, self.again.system, self.again.write, AGAIN, self.born, again=True)
        out = march.assignments()
        if not self._pointwise:
            for h, factor in zip(self.born.histories, self.born.factors, strict=True):
                out += sheet.put(h, self._within(factor), self.strips.inside())
                for edge in edges(self.strips):
                    out += sheet.bring_back(h, edge)
                out += march.mirror(h, factor)
        return out

    @property
    def _pointwise(self) -> bool:
        """Whether images are made in pieces: they need the background's factors in the same cell only, kept in one place."""
        twice = self.strips.overlapping and unknown(self.strips, self.born) == "strip"
        return not twice and not any(h.function.space_order for h in self.born.histories)

    def _within(self, factor):
        """What is left of an expression inside the strips."""
        return self.strips.separate(factor)[frozenset()]

    def _readings(self, sheet: Sheet, march: Advance) -> list[Assignment]:
        system, template = self.system, self.template
        out: list[Assignment] = []
        observed = [sum(o * march.field(j) for j, o in component.weights) for component in system.exits]
        for port in self.read.at_points(READ):
            data, weight, cells, dims = port.symbols(template)
            gathered = weight * at(observed[port.component], cells)
            out += sheet.add(data, gathered, when=(template.time, *dims))
        for port in self.read.stacked(READ):
            image, signal = port.symbols(template)
            out += sheet.add(image, signal * observed[port.component])
        for port in self.read.whole(READ):
            out += sheet.put(port.symbols(template), observed[port.component])
        if self.read.history:
            when = template.when(self.born.every)
            for h, factor in zip(self.born.histories, self.born.factors, strict=True):
                kept = sheet.everywhere(h, factor, when) + march.mirror(h, factor, when)
                out += [replace(a, behind=self._behind(factor)) for a in kept]
        if self.read.edges:
            out += self._keep_edges(sheet)
        if self.read.image:
            out += self._images(sheet)
        return out

    def _behind(self, factor) -> int:
        """Steps by which a factor of the background may be kept later than it is complete.

        Where it looks at the newest level, in the same cell alone, the step has to be over; in the next one that level is
        read anyway. Differences of the newest level are better taken where the step itself takes them.
        """
        newest = list(zip(self.system.fields, self.system.leads, strict=True))
        looked = any(time_offset(f) == lead for u, lead in newest for f in occurrences(factor, u))
        around = any(looked_around(factor, u, lead) for u, lead in newest)
        return self.system.direction if looked and not around else 0

    def _keep_edges(self, sheet: Sheet) -> list[Assignment]:
        """Keep what making the wavefield again needs: its earliest level in the ring, the factors where they are unknown."""
        wanted = [(f.function, f, "ring") for f in earliest(reverse(self.system, self.strips))]
        part = unknown(self.strips, self.born)
        wanted += [(h.function, factor, part) for h, factor in zip(self.born.histories, self.born.factors, strict=True)]
        return [a for f, expr, part in wanted for edge in edges(self.strips, part) for a in sheet.keep(f, expr, edge)]

    def _images(self, sheet: Sheet) -> list[Assignment]:
        when, out = self.template.when(self.born.every), []
        for (p, around), expr in self._gradients().items():
            image = ImagePort(READ).symbol(self.template, p, p in self.born.continued)
            expr = self.born.every * expr
            if self.again and self._pointwise:
                out += self._in_pieces(sheet, image, expr)
            else:
                out += [replace(a, beyond=dict(around)) for a in sheet.everywhere(image, expr, when, add=True)]
        return out

    def _gradients(self) -> dict:
        """What is added to the image of each tangent, by the cells around the grid in which that is not zero."""
        out: dict = {}
        for row, w in zip(self.born.rows, self.system.fields, strict=True):
            weighted = self._weighted(w)
            for term in sympy.Add.make_args(row):
                for p, expr in transpose(term, weighted, self.born.tangents).items():
                    key = p, tuple(self._around(expr, self.born.beyond(term, p)).items())
                    out[key] = out.get(key, sympy.S.Zero) + expr
        return out

    def _weighted(self, field):
        """A field by the part of a cell that belongs to each of its samples, where differences end at a free surface."""
        closing, where = self.system.closing, self.system.positions.get(field.name)
        if closing is None:
            return field
        return (1 - closing.lack(where is not None and where[-1] != 0)) * field

    def _around(self, expr, beyond: Mapping) -> dict:
        """Cells around the grid in which images are made of what is in it; above a free surface images are mirrored."""
        z, functions = self.template.dimensions[-1], {f.function for f in leaves(expr)}
        for d, n in beyond.items():
            along = {f for f in functions if self.strips.compact.get(f.name) is d}
            for some, halo in ((functions - along, self.template.halo), (along, self.strips.halo)):
                around = reach(expr, some, d, self.template)
                if some and n + around > halo:
                    raise ParameterError(
                        f"images by a parameter that is averaged or differentiated are made up to {n} cells beyond the "
                        f"grid along {d.name}, and look {around} cells further, where halos have {halo}: use a higher "
                        "space_order, or fewer derivatives within each other"
                    )
        return {d: (0 if d is z and self.system.parity else n, n) for d, n in beyond.items()}

    def _in_pieces(self, sheet: Sheet, image, expr) -> list[Assignment]:
        """What is added to an image, of what the background is inside the strips and was along the edges: no cell twice."""
        histories, factors = self.born.histories, [self._within(f) for f in self.born.factors]
        part = unknown(self.strips, self.born)
        inside = self.strips.inside(CORE if part == "strip" else MODEL)
        out = sheet.add(image, self._within(expr.xreplace(dict(zip(histories, factors, strict=True)))), inside)
        order = list(inside)  # corners belong to the strips of the axis that comes first
        for edge in edges(self.strips, part):
            place = sheet.along(edge)
            kept = expr.xreplace({h: place.kept(h.function) for h in histories})
            before = {d: side for d, side in inside.items() if order.index(d) < order.index(edge.axis)}
            out += place.only(sheet.everywhere(image, kept, box={**before, **place.box}, add=True))
        return out
