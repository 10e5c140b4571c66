"""The CUDA C of pieces: functions for one thread each, and kernels that share cells out among threads.

What a processor computes row by row on the way, temporaries, fills arrays of the box here: each has a function of its own,
whose kernel comes before that of the one that wants it. A kernel looks up the time step itself, in memory, so that one and
the same launch serves all steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from seisops.engine.lower.form import Sum
from seisops.engine.lower.text import Statement, Text, Writer

__all__ = ["NAME", "THREADS", "Function", "Kernels", "kernel", "kernels"]


@dataclass(frozen=True)
class Function:
    """What a thread does in one cell, or for one point, as text.

    Its arguments are ``step, every, arrays, ..., strides, ..., scalars, ..., box, ..., temporaries, ...`` and the cell: for
    each array its cell 0, the elements from entry to entry, and ``offset, divisor, period`` of the rule
    ``(step + offset) / divisor % period`` that says which; for each temporary its first element, and the elements from row
    to row.

    Attributes
    ----------
    source : str
        Under the name `NAME`.
    arguments : tuple of (str, str)
        Type and name of each, but for the step and the cell.
    around : tuple of (int, int)
        Cells that it computes beyond the box, along each axis; empty for points.
    """

    source: str
    arguments: tuple[tuple[str, str], ...]
    around: tuple[tuple[int, int], ...] = ()


NAME = "piece"
#: Threads of a block.
THREADS = 256


def kernel(sections: Sequence[Sequence[Function]], axes: int) -> str:
    """A kernel named `NAME` of which each block belongs to a section, whose functions a thread calls one after another.

    Its arguments are ``counter``; for each section the number of its blocks, and for each axis from the last to the first
    the first cell, that after the last, the blocks and the logarithm of the threads of a block; then those of each function.
    """
    names: dict[str, str] = {}
    out, declared, body = (
        [],
        ["const unsigned *counter"],
        ["const unsigned step = *counter;", "int block = blockIdx.x;"],
    )
    for k, functions in enumerate(sections):
        declared.append(f"int blocks{k}")
        cell, left = [], f"tid{k}"
        body += [f"if (block < blocks{k}) {{", f"int {left} = threadIdx.x;"]
        for axis in range(axes):
            first, end, many, log = (f"{v}{k}_{axis}" for v in ("first", "end", "many", "log"))
            declared += [f"int {v}" for v in (first, end, many, log)]
            body.append(f"const int i{axis} = {first} + ((block % {many}) << {log}) + ({left} & ((1 << {log}) - 1));")
            body.append(f"block /= {many}; {left} >>= {log};")
            cell.append(f"i{axis}")
        body.append(f"if ({' || '.join(f'i{axis} >= end{k}_{axis}' for axis in range(axes))}) return;")
        for n, f in enumerate(functions):
            if f.source not in names:
                names[f.source] = f"{NAME}{len(names)}"
                out.append(f.source.replace(f" {NAME}(", f" {names[f.source]}("))
            declared += [f"{kind} {name}_{k}_{n}" for kind, name in f.arguments]
            given = ", ".join(["step", *(f"{name}_{k}_{n}" for _, name in f.arguments), *reversed(cell)])
            body.append(f"{names[f.source]}({given});")
        body += ["return;", "}", f"block -= blocks{k};"]
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
    """

    functions: list[Function] = field(default_factory=list)
    text: Text = field(default_factory=Text)

    def rows(self, cells: Sequence[int]) -> list[tuple[int, ...]]:
        """Shape of each temporary on a box of so many cells."""
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
        self.bodies: list[tuple[list[str], tuple]] = []

    def in_row(self, of: Sum) -> bool:
        return False

    def temporary(self, t) -> str:
        n, at = self.numbers[t.of], dict(t.at)
        terms = [f"{at[v]} * m{n}{v}" for v in self.outer if at[v]]
        return f"t{n}[{' + '.join([*terms, self.inner])}{f' + {at[self.inner]}' if at[self.inner] else ''}]"

    def loop(
        self, temporaries: Sequence[Sum], statements: Sequence[Statement], around: Mapping[str, Sequence[int]]
    ) -> None:
        """One cell: of a temporary, or of what is wanted."""
        lines: list[str] = []
        extent = [(0, 0)] * len(self.axes)
        self.locals: dict = {}
        self.lines = lines
        for of in temporaries:
            extent = [tuple(self.extents[of][v]) for v in self.axes]
            lines.append(f"t{self.numbers[of]}[{self.inner}] = {self.sum(of)};")
        for s in statements or ():
            value = self.sum(s.value)
            self.written.add(self.slot(s.target))
            lines.append(f"{self.load(s.target)} {'+=' if s.add else '='} {value};")
        self.bodies.append(([*self.cell(extent), *self.pointers(), *lines], tuple(extent)))

    def cell(self, extent: Sequence[tuple[int, int]]) -> list[str]:
        """Whether a thread's cell is in the box."""
        out = []
        for axis, (v, (low, high)) in enumerate(zip(self.axes, extent, strict=True)):
            first, end = self.ends(axis, low, high)
            out.append(f"if ({v} < {first} || {v} >= {end}) return;")
        return out

    def points(self, statements: Sequence[Statement]) -> None:
        """The sum over the taps of one point."""
        row, tap = self.axes
        for s in statements:
            self.locals, self.lines = {}, []
            value = self.sum(s.value)
            self.written.add(self.slot(s.target))
            target = self.load(s.target)
            self.bodies.append(
                (
                    [
                        f"if ({row} >= b1) return;",
                        *self.pointers(),
                        f"{self.real} sum = 0;",
                        f"for (int {tap} = b2; {tap} < b3; {tap}++) {{",
                        *self.lines,
                        f"sum += {value};",
                        "}",
                        f"{target} += sum;",
                    ],
                    (),
                )
            )

    def finished_kernels(self) -> Kernels:
        out, text = Kernels(text=self.out), self.out
        arguments, first = [("unsigned", "every")], []
        for slot, load in enumerate(text.loads):
            kind = self.type(load, slot)
            arguments += [
                (f"{kind} *", f"q{slot}"),
                ("long long", f"e{slot}"),
                *(("unsigned", f"{v}{slot}") for v in "fgh"),
            ]
            entry = f" + (long long)((step + f{slot}) / g{slot} % h{slot}) * e{slot}" if load.rule is not None else ""
            first.append(f"{kind} *__restrict__ p{slot} = q{slot}{entry};")
        arguments += [("long long", f"s{n}") for n in range(len(text.strides))]
        arguments += [(self.real, f"c{n}") for n in range(len(text.scalars))]
        arguments += [("int", f"b{n}") for n in range(2 * len(self.axes))]
        for n in self.numbers.values():
            arguments += [(f"{self.real} *", f"w{n}"), *(("long long", f"m{n}{v}") for v in self.outer)]
        variables = self.axes if self.bodies[0][1] else self.axes[:1]
        declared = ["unsigned step", *(f"{kind} {name}" for kind, name in arguments), *(f"int {v}" for v in variables)]
        for body, around in self.bodies:
            used = "\n".join(body)
            mine = [line for slot, line in enumerate(first) if f"p{slot}" in used]
            head = f"static __device__ __forceinline__ void {NAME}({', '.join(declared)})"
            source = [head, "{", "if (step % every) return;", *mine, *body, "}", ""]
            out.functions.append(Function("\n".join(source), tuple(arguments), around))
        return out
