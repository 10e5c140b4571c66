"""The CUDA C of pieces: functions for one thread each, and kernels that share cells out among threads.

What a processor computes row by row on the way, temporaries, fills arrays of the box here: each has a function of its own,
which is done before that of the one that wants it. Where arrays stand at a time step is looked up in memory, in a row of a
table for each shot, so that one and the same launch serves all shots and all steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from seisops.engine.lower.nodes import Statement, Sum
from seisops.engine.lower.piece import Text
from seisops.engine.lower.text import Writer

__all__ = ["HEAD", "NAME", "TAPS", "THREADS", "Function", "Kernels", "kernel", "kernels"]


@dataclass(frozen=True)
class Function:
    """What a thread does in one cell, or for one point, as text.

    Its arguments are ``now, every, back, arrays.., temporaries.., strides.., box.., rows.., scalars..`` and
    the cell: a row of the table; the steps from one to the next in which this is done, and by how many it comes later; for
    each array its place in the row, where cell 0 of its entry is, and so for each temporary; then numbers, which for points
    are in the row as well, as each shot has its own: elements from row to row of arrays, the box, and those of temporaries.

    Attributes
    ----------
    source : str
        Under the name `NAME`.
    arguments : tuple of (str, str)
        Type and name of each, but for the row and the cell.
    axes : int
        Numbers that say which cell, or which point and which part of its taps.
    around : tuple of (int, int)
        Cells that it computes beyond the box, along each axis; empty for points.
    """

    source: str
    arguments: tuple[tuple[str, str], ...]
    axes: int
    around: tuple[tuple[int, int], ...] = ()


NAME = "piece"
#: Threads of a block.
THREADS = 256
#: Taps of a point that one thread sums, where others do so with the rest of them.
TAPS = 16
#: Numbers before the pointers in a row of the table: the step, and the first of all.
HEAD = 2

#: What moves a table on: ``(step + offset) / divisor % period`` is the entry that an array shows at a step.
ADVANCE = f"""static __device__ __forceinline__ void advance(
  const uint64_t *now, uint64_t *next, const uint64_t *bases, const unsigned *rules, unsigned pointers, int by, unsigned k)
{{
  const unsigned step = (unsigned)now[0] + by;
  if (k < {HEAD}) next[k] = k ? now[k] : step;
  if (k >= pointers) return;
  const unsigned *rule = rules + 3 * k;
  const unsigned entry = (step + rule[0]) / rule[1] % rule[2];
  next[{HEAD} + k] = bases[2 * k] + entry * bases[2 * k + 1];
}}
"""


def kernel(functions: Sequence[Function], sections: Sequence[Sequence[int]], leads: bool = False) -> str:
    """A kernel named `NAME` of which each block belongs to a section, whose functions a thread calls one after another.

    A launch has blocks for each section, and as many along the second axis as there are shots.

    Its arguments are ``now``, the table; the length of a row; if it leads, ``next, bases, rules, pointers, by``, for the
    table of the following step, which the first blocks make; for each section the number of its blocks, the cells along the
    first axis that a thread goes through, and for each axis from the last to the first the first cell, that after the last,
    the blocks and the logarithm of the threads of a block; then those of each function.

    Parameters
    ----------
    functions : sequence of Function
    sections : sequence of sequence of int
        The numbers of their functions, all of cells of as many axes.
    leads : bool, optional
        Whether it is the first of a step.
    """
    names: dict[str, str] = {}
    declared = ["const uint64_t *__restrict__ tables", "unsigned width"]
    body = ["const uint64_t *__restrict__ now = tables + (uint64_t)blockIdx.y * width;", "unsigned block = blockIdx.x;"]
    for f in functions:
        names.setdefault(f.source, f"{NAME}{len(names)}")
    out = [source.replace(f" {NAME}(", f" {name}(") for source, name in names.items()]
    if leads:
        out.insert(0, ADVANCE)
        declared += ["uint64_t *next", "const uint64_t *bases", "const unsigned *rules", "unsigned pointers", "int by"]
        places = "next + (uint64_t)blockIdx.y * width, bases + 2 * (uint64_t)blockIdx.y * pointers"
        body += [
            f"const unsigned blocks = (max(pointers, {HEAD}u) + {THREADS - 1}) / {THREADS};",
            "if (block < blocks) {",
            f"advance(now, {places}, rules, pointers, by, block * {THREADS} + threadIdx.x);",
            "return;",
            "}",
            "block -= blocks;",
        ]
    for k, section in enumerate(sections):
        axes = functions[section[0]].axes
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
        for n in section:
            given = ", ".join(["now", *(f"{name}_{n}" for _, name in functions[n].arguments), *reversed(cell)])
            body.append(f"{names[functions[n].source]}({given});")
        body += ["}", "return;", "}", f"block -= blocks{k};"]
    for n, f in enumerate(functions):
        declared += [f"{kind} {name}_{n}" for kind, name in f.arguments]
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
    points : bool
        Whether it is about points.
    """

    functions: list[Function] = field(default_factory=list)
    text: Text = field(default_factory=Text)
    parts: bool = False
    points: bool = False

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
            start = f"({self.real} *)now[w{n}] - b{2 * len(self.outer)} - ({extent[self.inner][0]})"
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
            begin = [*self.pointers(), f"{self.real} sum = 0;"]
            within = [f"if ({row} >= b1) return;", *begin]
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
                f"t0[{row} * m0 + part] = sum;",
            ]
            rest = [f"for (int part = 0; part < m0; part++) sum += t0[{row} * m0 + part];", f"{target} += sum;"]
            room = f"{self.real} *restrict t0 = ({self.real} *)now[w0];"
            one = [f"if ({row} >= b1 || part >= m0) return;", *begin, room, *some]
            self.bodies += [(one, (), True), ([*within, room, *rest], (), False)]

    def finished_kernels(self) -> Kernels:
        out, text = Kernels(text=self.out, parts=self.parts, points=self.axes[0] not in ("x",)), self.out
        arguments, first = [("unsigned", "every"), ("int", "back")], []
        for slot, load in enumerate(text.loads):
            kind = self.type(load, slot)
            arguments.append(("int", f"k{slot}"))
            first.append(f"{kind} *__restrict__ p{slot} = ({kind} *)now[k{slot}];")
        sizes = [("long long", f"s{n}") for n in range(len(text.strides))]
        sizes += [("int", f"b{n}") for n in range(2 * len(self.axes))]
        for n in self.numbers.values():
            arguments.append(("int", f"w{n}"))
            sizes += [("long long", f"m{n}{v}") for v in self.outer]
        if self.parts:
            arguments.append(("int", "w0"))
            sizes.append(("int", "m0"))
        if out.points:  # each shot has its own numbers of them
            first += [f"const {kind} {name} = ({kind})now[{name}_at];" for kind, name in sizes]
            sizes = [("int", f"{name}_at") for _, name in sizes]
        arguments += [*sizes, *((self.real, f"c{n}") for n in range(len(text.scalars)))]
        given = ["const uint64_t *now", *(f"{kind} {name}" for kind, name in arguments)]
        when = [
            "const unsigned step = (unsigned)now[0] - back;",
            "if (back && now[0] == now[1]) return;",  # there is none before the first
            "if (every != 1 && step % every) return;",
        ]
        for body, around, some in self.bodies:
            variables = self.axes if around else (self.axes[0], "part") if some else self.axes[:1]
            declared = [*given, *(f"int {v}" for v in variables)]
            used = set(re.findall(r"\w+", "\n".join(body)))
            mine = [line for line in first if line.split(" = ")[0].split()[-1] in used]
            head = f"static __device__ __forceinline__ void {NAME}({', '.join(declared)})"
            source = "\n".join([head, "{", *when, *mine, *body, "}", ""])
            out.functions.append(Function(source, tuple(arguments), len(variables), around))
        return out
