"""Lowering of a system and its ports to one compiled Devito operator, and running it.

A *port* is how something small meets the wavefield at every step: traces at points, a wavelet-weighted stack, the whole
field, the background's history, an image. Ports that write add to the right-hand side; ports that read observe. The
same kernel serves surveys of any size: arrays and bounds are given when it runs.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import devito
import numpy as np
import sympy
from devito import Derivative

from seisops.engine.arrays import aligned, zeros
from seisops.engine.born import Born
from seisops.engine.derive import System, march, transpose
from seisops.engine.location import position, sign
from seisops.engine.stencils import evaluate
from seisops.engine.template import PREFIX, Template
from seisops.engine.terms import leaves

__all__ = ["Kernel", "Ports", "build_count"]

# loops are regular: a static schedule beats handing out rows one by one
OPTIMISE = ("advanced", {"par-dynamic-work": 10**6})

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
    """

    points: tuple[int, ...] = ()
    stacks: tuple[int, ...] = ()
    field: tuple[int, ...] = ()
    image: bool = False
    history: bool = False


class Kernel:
    """One marching loop with its ports, compiled.

    Parameters
    ----------
    system : System
        The equation to march, in its own direction of time.
    write, read : Ports
    born : Born, optional
        Needed by image and history ports.
    """

    def __init__(self, system: System, write: Ports, read: Ports, born: Born | None = None):
        global _builds
        self.system, self.write, self.read, self.born = system, write, read, born
        self.template: Template = system.template
        equations = self._equations()
        name = "Forward" if system.direction > 0 else "Adjoint"
        # language per operator, not in devito.configuration: that belongs to the user
        with devito.switchconfig(log_level="WARNING"):
            evaluated = [
                e.func(e.lhs, evaluate(e.rhs, self.template), implicit_dims=e.implicit_dims) for e in equations
            ]
            self.operator = devito.Operator(evaluated, name=name, language="openmp", opt=OPTIMISE)
        self._inputs = frozenset(f.name for f in self.operator.input)
        _builds += 1
        self._local = threading.local()

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

    def _equations(self) -> list:
        system, template = self.system, self.template
        steps = march(system)
        equations: list = []
        dense = {i: sympy.S.Zero for i in range(len(system.fields))}
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
        for step in steps:
            value = step.value + step.scale * dense[step.index] if dense[step.index] != 0 else step.value
            equations.append(devito.Eq(step.field, value))
            if self.write.image and self.born.every > 1 and self.born.rows[step.index] != 0:
                kick = self.born.every * step.scale * self.born.rows[step.index]
                equations.append(devito.Inc(step.field, kick, implicit_dims=template.when(self.born.every)))
            for channel in self.write.points:
                if step.index in system.source[channel]:
                    equations.append(self._injection(step, channel))
            equations += self._mirror(step.field)
        observed = [sum(o * steps_field(steps, j) for j, o in weights.items()) for weights in system.observe]
        for channel in self.read.points:
            data, weight, cells, dims = self._points("read", channel)
            gathered = weight * at(observed[channel], cells)
            equations.append(devito.Inc(data, gathered, implicit_dims=(template.time, *dims)))
        for k, channel in enumerate(self.read.stacks):
            weighted = template.signal(f"read_signal{k}") * observed[channel]
            equations.append(devito.Inc(template.image(f"read_image{k}"), weighted))
        for channel in self.read.field:
            equations.append(devito.Eq(template.saved(f"read{channel}_field"), observed[channel]))
        if self.read.history:
            for h, factor in zip(self.born.histories, self.born.factors, strict=True):
                equations.append(devito.Eq(h, factor, implicit_dims=template.when(self.born.every)))
                equations += self._mirror(h, factor, template.when(self.born.every))
        if self.read.image:
            gradients = {p: sympy.S.Zero for p in self.born.tangents}
            for row, w in zip(self.born.rows, system.fields, strict=True):
                for p, expr in transpose(row, w, gradients).items():
                    gradients[p] = gradients[p] + expr
            for p, expr in gradients.items():
                equations.append(
                    devito.Inc(
                        template.image(f"read_{p.name.removeprefix(PREFIX)}"),
                        self.born.every * expr,
                        implicit_dims=template.when(self.born.every),
                    )
                )
        return equations

    def _injection(self, step, channel: int):
        data, weight, cells, dims = self._points("write", channel)
        scale = self.system.source[channel][step.index] * at(step.scale, cells)
        return devito.Inc(at(step.field, cells), scale * weight * data, implicit_dims=(self.template.time, *dims))

    def _mirror(self, field, factor=None, when=()) -> list:
        """Extend what is kept in `field` over the halo above a free surface, if anything along z ever looks there.

        `factor` is what is kept, where that is not the field itself.
        """
        looked_at = field.function in self._reaching if factor is None else field.function.space_order > 0
        if self.system.parity is None or not looked_at:
            return []
        z, halo = self.template.dimensions[-1], self.template.space_order
        factor = field if factor is None else factor
        parity = sign(factor, self.system.parity, self.template.dimensions)
        half = position(factor, self.system.positions, self.template.dimensions)[-1] != 0
        above = devito.CustomDimension(name=f"{PREFIX}above", symbolic_min=1, symbolic_max=halo, symbolic_size=halo)
        image = parity * field.subs(z, above - 1 if half else above)
        equations = [devito.Eq(field.subs(z, -above), image, implicit_dims=when)]
        if parity < 0 and not half:
            equations.insert(0, devito.Eq(field.subs(z, 0), 0, implicit_dims=when))
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
            Every array but the fields', by symbol name, with the halo that its symbol has; those that this kernel has no
            symbol for are ignored.
        bounds : mapping
            Number of points and taps of each set of points.
        """
        template = self.template
        arguments = {name: aligned(a) for name, a in arrays.items() if name in self._inputs}
        arguments.update(self._workspace(tuple(shape)))
        for d, n, h in zip(template.dimensions, shape, spacing, strict=True):
            arguments[f"{d.name}_m"], arguments[f"{d.name}_M"] = 0, int(n) - 1
            arguments[d.spacing.name] = template.dtype(h)
        for name, n in bounds.items():
            arguments[f"{PREFIX}{name}_m"], arguments[f"{PREFIX}{name}_M"] = 0, int(n) - 1
        arguments["time_m"], arguments["time_M"] = steps
        arguments["dt"] = template.dtype(dt)
        with devito.switchconfig(log_level="WARNING"):
            self.operator.apply(**arguments)

    def _workspace(self, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """Zeroed time levels, reused between runs: fresh pages cost more than clearing old ones."""
        if getattr(self._local, "shape", None) != shape:
            halo = self.template.space_order
            grown = tuple(n + 2 * halo for n in shape)
            self._local.arrays = {
                u.name: zeros((u.time_order + 1, *grown), self.template.dtype)
                for u in self.system.fields
                if u.name in self._inputs
            }
            self._local.shape = shape
        else:
            for a in self._local.arrays.values():
                a.fill(0)
        return self._local.arrays


def steps_field(steps, j):
    return next(s.field for s in steps if s.index == j)


def at(expr, cells):
    """`expr` at the grid cells of a set of points."""
    expr = sympy.sympify(expr)
    return expr.xreplace({f: f.subs(cells) for f in leaves(expr) if any(d in f.function.dimensions for d in cells)})
