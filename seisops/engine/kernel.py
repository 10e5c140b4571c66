"""One marching loop of a system with its ports, and running it.

The same kernel serves surveys of any size: arrays and bounds are given when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import devito
import numpy as np
import sympy

from seisops.engine.backend import CPU, Device
from seisops.engine.derive.born import Born
from seisops.engine.derive.reverse import earliest, edges, reverse, unknown
from seisops.engine.derive.strips import CORE, MODEL, Strips, reach
from seisops.engine.derive.system import System, transpose
from seisops.engine.lower.advance import Advance
from seisops.engine.lower.assignment import RECIPROCAL, Assignment
from seisops.engine.lower.piece import Maker
from seisops.engine.lower.ports import AGAIN, READ, Image, Ports, at
from seisops.engine.lower.sheet import Sheet
from seisops.engine.symbols.template import PREFIX, Template
from seisops.engine.symbols.terms import leaves, looked_around, occurrences, time_offset
from seisops.errors import ParameterError

__all__ = ["Again", "Kernel", "Ports", "build_count"]

_builds = 0


def build_count() -> int:
    """Number of kernels that this process has made so far."""
    return _builds


@dataclass(frozen=True)
class Again:
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


class Kernel:
    """One marching loop with its ports, compiled.

    Parameters
    ----------
    system : System
        The equation to march, in its own direction of time.
    write, read : Ports
    born : Born, optional
        Needed by image, history and edge ports; the latter's is present, and so is one that goes with `again`.
    strips : Strips, optional
        Where the fields of a layer live; by default the system has none.
    again : Again, optional
        The background that an image port reads; by default its history is given.
    device : Device, optional
        Where it runs.
    """

    def __init__(
        self,
        system: System,
        write: Ports,
        read: Ports,
        born: Born | None = None,
        strips: Strips | None = None,
        again: Again | None = None,
        device: Device = CPU,
    ):
        global _builds
        self.system, self.write, self.read, self.born, self.again = system, write, read, born, again
        self.device = device
        self.template: Template = system.template
        self.strips = strips or Strips(system.template, {}, {}, {})
        sheet = Sheet(self.strips)
        assignments = self._assignments(sheet)
        self.in_place = self._in_place(assignments)
        maker = Maker(self.template, self.strips, sheet.edges, self.in_place)
        pieces = [maker.piece(a) for a in assignments]
        integers = {name for name, f in maker.functions.items() if np.dtype(f.dtype).kind == "i"}
        axes = [d.name for d in self.template.dimensions]
        self.program = device.compile(pieces, axes, self.template.dtype, integers)
        _builds += 1

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
        """Whether images need the background's factors in the same cell only."""
        return not any(h.function.space_order for h in self.born.histories)

    def _within(self, factor):
        """A factor of the background inside the strips."""
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
                out += sheet.everywhere(h, factor, when) + march.mirror(h, factor, when)
        if self.read.edges:
            out += self._keep_edges(sheet)
        if self.read.image:
            out += self._images(sheet)
        return out

    def _keep_edges(self, sheet: Sheet) -> list[Assignment]:
        """Keep what making the wavefield again needs: its earliest level in the ring, the factors where they are unknown."""
        wanted = [(f.function, f, "ring") for f in earliest(reverse(self.system, self.strips))]
        part = unknown(self.strips, self.born)
        wanted += [(h.function, factor, part) for h, factor in zip(self.born.histories, self.born.factors, strict=True)]
        return [a for f, expr, part in wanted for edge in edges(self.strips, part) for a in sheet.keep(f, expr, edge)]

    def _images(self, sheet: Sheet) -> list[Assignment]:
        when, out = self.template.when(self.born.every), []
        for (p, around), expr in self._gradients().items():
            image = Image(READ).symbol(self.template, p, p in self.born.continued)
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
            for term in sympy.Add.make_args(row):
                for p, expr in transpose(term, w, self.born.tangents).items():
                    key = p, tuple(self._around(expr, self.born.beyond(term, p)).items())
                    out[key] = out.get(key, sympy.S.Zero) + expr
        return out

    def _around(self, expr, beyond: Mapping) -> dict:
        """Cells around the grid in which images are made of what is in it; above a free surface images are mirrored."""
        z, functions = self.template.dimensions[-1], {f.function for f in leaves(expr)}
        for d, n in beyond.items():
            along = {f for f in functions if self.strips.compact.get(f.name) is d}
            for some, halo in ((functions - along, self.template.space_order), (along, self.strips.halo)):
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
        out = sheet.add(image, expr.xreplace(dict(zip(histories, factors, strict=True))), inside)
        order = list(inside)  # corners belong to the strips of the axis that comes first
        for edge in edges(self.strips, part):
            place = sheet.along(edge)
            kept = expr.xreplace({h: place.kept(h.function) for h in histories})
            before = {d: side for d, side in inside.items() if order.index(d) < order.index(edge.axis)}
            out += place.only(sheet.add(image, kept, {**before, **place.box}))
        return out

    # -- running

    def reciprocals(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Reciprocals of the parameters that the loop divides by, but for those that are among the arrays."""
        out, start = {}, PREFIX + RECIPROCAL
        for name in self.program.names:
            if name.startswith(start) and name not in arrays:
                parameter = arrays[PREFIX + name.removeprefix(start)]
                out[name] = self.device.zeros(parameter.shape, parameter.dtype)
                with np.errstate(divide="ignore"):  # as dividing by it would
                    np.divide(1, parameter, out=out[name])
        return out

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
            Every array, the state's and the :meth:`reciprocals` too, by symbol name, with the halo that its symbol has;
            those that this kernel has no symbol for are ignored.
        bounds : mapping
            Numbers of points and of taps of each set of points, by the names of the loops over them.
        threads : int, optional
            OpenMP threads; by default as many as the environment says.
        """
        template = self.template
        scalars = {d.spacing.name: float(h) for d, h in zip(template.dimensions, spacing, strict=True)}
        scalars["dt"] = float(dt)
        bounds = {name: int(n) for name, n in bounds.items()}
        known = {n: a for n, a in arrays.items() if n in self.program.names}
        self.program(known, tuple(shape), scalars, steps, self.system.direction, bounds, threads)
