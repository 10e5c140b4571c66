"""The CUDA C of pieces: functions for one thread each, and kernels that share cells out among threads.

What a processor computes row by row on the way, temporaries, fills arrays of the box here: each has a function of its own,
whose kernel comes before that of the one that wants it. A kernel looks up the time step itself, in memory, so that one and
the same launch serves all steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from seisops.engine.lower.nodes import Statement, Sum
from seisops.engine.lower.piece import Text
from seisops.engine.lower.text import Writer

__all__ = ["NAME", "TAPS", "THREADS", "Function", "Kernels", "kernel", "kernels"]


@dataclass(frozen=True)
class Function:
    """What a thread does in one cell, or for one point, as text.

    Its arguments are ``entry, every, arrays, ..., strides, ..., scalars, ..., box, ..., temporaries, ...`` and the cell: the
    step and after it the entries that arrays show at it, in memory; for each array its cell 0, the elements from entry to
    entry, and where its entry is; for each temporary its first element, and the elements from row to row.

    Attributes
    ----------
    source : str
        Under the name `NAME`.
    arguments : tuple of (str, str)
        Type and name of each, but for the entries and the cell.
    around : tuple of (int, int)
        Cells that it computes beyond the box, along each axis; empty for points.
    some : bool
        Whether it sums some of the taps of a point only, `TAPS` of them.
    """

    source: str
    arguments: tuple[tuple[str, str], ...]
    around: tuple[tuple[int, int], ...] = ()
    some: bool = False


NAME = "piece"
#: Threads of a block.
THREADS = 256
#: Taps of a point that one thread sums, where others do so with the rest of them.
TAPS = 16


def kernel(sections: Sequence[Sequence[Function]], axes: int) -> str:
    """A kernel named `NAME` of which each block belongs to a section, whose functions a thread calls one after another.

    Its arguments are ``entry``; for each section the number of its blocks, the cells along the first axis that a thread
    goes through, and for each axis from the last to the first the first cell, that after the last, the blocks and the
    logarithm of the threads of a block; then those of each function.
    """
    names: dict[str, str] = {}
    out, declared, body = [], ["const unsigned *__restrict__ entry"], ["unsigned block = blockIdx.x;"]
    for k, functions in enumerate(sections):
        declared += [f"unsigned blocks{k}", f"int deep{k}"]
        cell, left = [], f"tid{k}"
        body += [f"if (block < blocks{k}) {{", f"unsigned {left} = threadIdx.x;"]
        for axis in range(axes):
            first, end, many, log = (f"{v}{k}_{axis}" for v in ("first", "end", "many", "log"))
            declared += [f"int {first}", f"int {end}", f"unsigned {many}", f"int {log}"]
            deep = f" * deep{k}" if axis == axes - 1 else ""
            thread = f"((block % {many}) << {log}) + ({left} & ((1u << {log}) - 1))"
            body.append(f"{'' if deep else 'const '}int i{axis} = {first} + (int)({thread}){deep};")
            if axis < axes - 1:
                body.append(f"block /= {many}; {left} >>= {log};")
            cell.append(f"i{axis}")
        outside = " || ".join(f"i{axis} >= end{k}_{axis}" for axis in range(axes - 1))
        body += [f"if ({outside}) return;"] if outside else []
        last = axes - 1
        body.append(f"const int stop = min(end{k}_{last}, i{last} + deep{k});")
        body.append(f"for (; i{last} < stop; i{last}++) {{")
        for n, f in enumerate(functions):
            if f.source not in names:
                names[f.source] = f"{NAME}{len(names)}"
                out.append(f.source.replace(f" {NAME}(", f" {names[f.source]}("))
            declared += [f"{kind} {name}_{k}_{n}" for kind, name in f.arguments]
            given = ", ".join(["entry", *(f"{name}_{k}_{n}" for _, name in f.arguments), *reversed(cell)])
            body.append(f"{names[f.source]}({given});")
        body += ["}", "return;", "}", f"block -= blocks{k};"]
    head = f'extern "C" __global__ void {NAME}({", ".join(declared)})'
    return "\n".join([*out, head, "{", *body, "}", ""])


@dataclass
class Kernels:
    """The kernels of a piece.

    Attributes
    ----------
    functions : list of Function
        In their order, the temporaries' first.
    text : Text
        What their arguments are: `loads`, `strides`, `scalars`, and of `temporaries` how far each goes beyond the box.
    parts : bool
        Whether the sums of points are made in parts, which lie in a temporary.
    """

    functions: list[Function] = field(default_factory=list)
    text: Text = field(default_factory=Text)
    parts: bool = False

    def rows(self, cells: Sequence[int]) -> list[tuple[int, ...]]:
        """Shape of each temporary on a box of so many cells."""
        if self.parts:
            return [(cells[0], -(-cells[1] // TAPS))]
        return [
            tuple(n + high - low for n, (low, high) in zip(cells, extent, strict=True))
            for extent in self.text.temporaries
        ]


def kernels(statements: Sequence[Statement], axes: Sequence[str], dtype, integers: Iterable[str] = ()) -> Kernels:
    """Write the kernels of a piece; see :func:`seisops.engine.lower.text.text`."""
    writer = _Device(axes, np.dtype(dtype), frozenset(integers), 0)
    points = axes[0] not in ("x",)
    writer.points(statements) if points else writer.cells(statements)
    return writer.finished_kernels()


class _Device(Writer):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.bodies: list[tuple[list[str], tuple, bool]] = []
        self.parts = False  # whether points have partial sums

    def in_row(self, of: Sum) -> bool:
        return False

    def temporary(self, t) -> str:
        n, at = self.numbers[t.of], dict(t.at)
        terms = [f"{at[v]} * m{n}{v}" for v in self.outer if at[v]]
        return f"t{n}[{' + '.join([*terms, self.inner])}{f' + {at[self.inner]}' if at[self.inner] else ''}]"

    def places(self) -> list[str]:
        """Where the rows of temporaries begin."""
        out = []
        for of, n in self.numbers.items():
            extent = self.extents[of]
            rows = [f"({v} - b{2 * axis} - ({extent[v][0]})) * m{n}{v}" for axis, v in enumerate(self.outer)]
            start = f"w{n} - b{2 * len(self.outer)} - ({extent[self.inner][0]})"
            out.append(f"{self.real} *restrict t{n} = {' + '.join([start, *rows])};")
        return out

    def cells(self, statements: Sequence[Statement]) -> None:
        """Functions for a cell of each family of temporaries, then for one of what is wanted."""
        for family in self.temporaries([s.value for s in statements]):
            self.prepare(family)
            self.function([tuple(self.extents[family[0]][v]) for v in self.axes])
        self.assign(statements)
        self.function([(0, 0)] * len(self.axes))

    def function(self, extent: Sequence[tuple[int, int]]) -> None:
        """One of the lines written, for cells as far beyond the box."""
        body = [*self.cell(extent), *self.pointers(), *self.places(), *self.lines]
        self.bodies.append((body, tuple(extent), False))

    def cell(self, extent: Sequence[tuple[int, int]]) -> list[str]:
        """Whether a thread's cell is in the box."""
        out = []
        for axis, (v, (low, high)) in enumerate(zip(self.axes, extent, strict=True)):
            first, end = self.ends(axis, low, high)
            out.append(f"if ({v} < {first} || {v} >= {end}) return;")
        return out

    def points(self, statements: Sequence[Statement]) -> None:
        """The sum over the taps of one point; where many are read, by several threads first."""
        row, tap = self.axes
        for s in statements:
            self.locals, self.lines = {}, []
            value = self.sum(s.value)
            self.written.add(self.slot(s.target))
            target = self.load(s.target)
            within = [f"if ({row} >= b1) return;", *self.pointers(), f"{self.real} sum = 0;"]
            taps = [*self.lines, f"sum += {value};", "}"]
            if any(index.table is not None for index in s.target.at):
                one = [f"for (int {tap} = b2; {tap} < b3; {tap}++) {{", *taps, f"{target} += sum;"]
                self.bodies.append(([*within, *one], (), False))
                continue
            self.parts = True
            end = f"min(b3, b2 + (part + 1) * {TAPS})"
            some = [
                f"for (int {tap} = b2 + part * {TAPS}; {tap} < {end}; {tap}++) {{",
                *taps,
                f"w0[{row} * m0 + part] = sum;",
            ]
            rest = [f"for (int part = 0; part < m0; part++) sum += w0[{row} * m0 + part];", f"{target} += sum;"]
            self.bodies += [([*within, *some], (), True), ([*within, *rest], (), False)]

    def finished_kernels(self) -> Kernels:
        out, text = Kernels(text=self.out, parts=self.parts), self.out
        arguments, first = [("unsigned", "every")], []
        for slot, load in enumerate(text.loads):
            kind = self.type(load, slot)
            arguments += [(f"{kind} *", f"q{slot}"), ("long long", f"e{slot}"), ("int", f"f{slot}")]
            entry = f" + entry[f{slot}] * e{slot}" if load.rule is not None else ""
            first.append(f"{kind} *__restrict__ p{slot} = q{slot}{entry};")
        arguments += [("long long", f"s{n}") for n in range(len(text.strides))]
        arguments += [(self.real, f"c{n}") for n in range(len(text.scalars))]
        arguments += [("int", f"b{n}") for n in range(2 * len(self.axes))]
        for n in self.numbers.values():
            arguments += [(f"{self.real} *", f"w{n}"), *(("long long", f"m{n}{v}") for v in self.outer)]
        if self.parts:
            arguments += [(f"{self.real} *", "w0"), ("int", "m0")]
        given = ["const unsigned *entry", *(f"{kind} {name}" for kind, name in arguments)]
        for body, around, some in self.bodies:
            variables = self.axes if around else (self.axes[0], "part") if some else self.axes[:1]
            declared = [*given, *(f"int {v}" for v in variables)]
            used = "\n".join(body)
            mine = [line for slot, line in enumerate(first) if f"p{slot}" in used]
            head = f"static __device__ __forceinline__ void {NAME}({', '.join(declared)})"
            source = [head, "{", "if (every != 1 && entry[0] % every) return;", *mine, *body, "}", ""]
            out.functions.append(Function("\n".join(source), tuple(arguments), around, some))
        return out
