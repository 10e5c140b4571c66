"""The CUDA C of pieces: functions for one thread each, and kernels that share cells out among threads.

What a processor computes row by row on the way, temporaries, fills arrays of the box here: each has a function of its own,
which is done before that of the one that wants it. Where arrays stand at a time step is looked up in memory, in a row of a
table for each shot, so that one and the same launch serves all shots and all steps.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from seisops.engine.lower.nodes import Load, Statement, Sum, Taps, Temporary, nodes
from seisops.engine.lower.piece import Text
from seisops.engine.lower.text import Writer

__all__ = [
    "ALONG",
    "ARGUMENTS",
    "HEAD",
    "NAME",
    "THREADS",
    "Call",
    "Function",
    "Kernels",
    "Region",
    "arguments",
    "kernel",
    "kernels",
    "size",
    "tap_parts",
]


@dataclass(frozen=True)
class Function:
    """What a thread does in one cell, or for one point, as text; in three dimensions in cells along the first axis besides.

    Its arguments are ``now, every, back, arrays.., temporaries.., strides.., box.., rows.., scalars..`` and
    the cell: a row of the table; the steps from one to the next in which this is done, and by how many it comes later; for
    each array its place in the row, where cell 0 of its entry is, and so for each temporary; then numbers, which for points
    are in the row as well, as each shot has its own: elements from row to row of arrays, the box, and those of temporaries.
    All that count are of 32 bits: what they are multiplied by is not. Those that a function does not use it does not have.

    Attributes
    ----------
    source : str
        Under the name `NAME`.
    along : str
        The same for cells with two numbers along the first axis, where to begin and where to stop; or empty.
    arguments : tuple of (str, str)
        Type and name of each, but for the row and the cells.
    axes : int
        Numbers that say which cell, or which point and which part of its taps.
    around : tuple of (int, int)
        Cells that it computes beyond the box, along each axis; empty for points.
    makes, needs : tuple
        The temporaries that it fills, and those that it looks at.
    """

    source: str
    along: str
    arguments: tuple[tuple[str, str], ...]
    axes: int
    around: tuple[tuple[int, int], ...] = ()
    makes: tuple[Hashable, ...] = ()
    needs: tuple[Hashable, ...] = ()


@dataclass(frozen=True)
class Call:
    """A function with what it is given.

    Attributes
    ----------
    function : Function
    given : tuple
        What each of its arguments is: those that are the same are one argument of a kernel.
    """

    function: Function
    given: tuple[Hashable, ...]


NAME = "piece"
#: Bytes that the arguments of a kernel may take: with all compilers and drivers.
ARGUMENTS = 4096
#: What functions have as another type: strides are never negative, and without sign take no register for an upper half.
GIVEN = {"long long": "unsigned"}
#: Bytes of an argument of each type.
BYTES = {"unsigned": 4, "int": 4, "float": 4, "double": 8}
#: Threads of a block.
THREADS = 256
#: Cells along the first axis that are computed together where they look at the same, which is loaded once.
TOGETHER = 2
#: Axes of the grids in which threads go through several cells along the first.
ALONG = 3
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


def tap_parts(taps: int) -> int:
    """Threads among which the taps of a point are shared out, where several sum them."""
    return -(-taps // TAPS)


def arguments(calls: Iterable[Call]) -> dict[Hashable, str]:
    """What some functions are given, each once, with its type: the widest first, so that nothing is left between them."""
    found = {what: kind for c in calls for what, (kind, _) in zip(c.given, c.function.arguments, strict=True)}
    return dict(sorted(found.items(), key=lambda one: -BYTES[one[1]]))


@dataclass(frozen=True)
class Region:
    """What some blocks of a kernel do.

    Attributes
    ----------
    calls : tuple of int
        The numbers of functions, which a thread calls one after another.
    boxes : int
        In the cells of so many boxes.
    deep : int
        A thread goes through so many cells along the first axis.
    """

    calls: tuple[int, ...]
    boxes: int = 1
    deep: int = 1


def kernel(calls: Sequence[Call], regions: Sequence[Region], leads: bool = False) -> str:
    """A kernel named `NAME` of which each block belongs to a region, whose functions a thread calls one after another.

    A launch has blocks for each box of a region, and as many along the second axis as there are shots.

    Its arguments are ``now``, the table; the length of a row; if it leads, ``next, bases, rules, pointers, by``, for the
    table of the following step, which the first blocks make; what functions are given, as :func:`arguments` has it; for each
    box of each region the number of its blocks, and for each axis from the last to the first the first cell, that after the
    last, the blocks and the logarithm of the threads of a block.

    Parameters
    ----------
    calls : sequence of Call
    regions : sequence of Region
        Each of cells of as many axes.
    leads : bool, optional
        Whether it is the first of a step.
    """
    names: dict[str, str] = {}
    given = arguments(calls)
    called = {what: f"a{n}" for n, what in enumerate(given)}
    declared = ["const uint64_t *__restrict__ tables", "unsigned width"]
    body = ["const uint64_t *__restrict__ now = tables + (uint64_t)blockIdx.y * width;", "unsigned block = blockIdx.x;"]
    if leads:
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
    declared += [f"{kind} {called[what]}" for what, kind in given.items()]
    boxes = 0
    for region in regions:
        mine = range(boxes, boxes + region.boxes)
        boxes = mine.stop
        axes, along = calls[region.calls[0]].function.axes, region.deep > 1
        cell = [f"i{axis}" for axis in range(axes)]
        stop = ["stop"] if along else []
        body += [f"if (block < {' + '.join(f'blocks{k}' for k in mine)}) {{", f"int {', '.join([*cell, *stop])};"]
        for k in mine:
            declared.append(f"unsigned blocks{k}")
            sizes = [("int", "first"), ("int", "end"), ("unsigned", "many"), ("int", "log")]
            declared += [f"{kind} {name}{k}_{n}" for n in range(axes) for kind, name in sizes]
            less = f"else if ((block -= blocks{k - 1}) < blocks{k})" if k > mine.start else f"if (block < blocks{k})"
            body += [f"{less if region.boxes > 1 else ''} {{", *_cell(k, axes, region.deep), "}"]
        # one after the other in all of a thread's cells: they meet in the same cells only
        cells = [cell[-1], *stop, *reversed(cell[:-1])]
        for call in (calls[n] for n in region.calls):
            name = names.setdefault(call.function.along if along else call.function.source, f"{NAME}{len(names)}")
            body.append(f"{name}({', '.join(['now', *(called[what] for what in call.given), *cells])});")
        body += ["return;", "}", *(f"block -= blocks{k};" for k in mine)]
    out = [ADVANCE] if leads else []
    out += [re.sub(rf"\b{NAME}(?=(_in)?\()", name, source) for source, name in names.items()]
    head = f'extern "C" __global__ void {NAME}({", ".join(declared)})'
    return "\n".join([*out, head, "{", *body, "}", ""])


def _cell(k: int, axes: int, deep: int) -> list[str]:
    """Which cell of a box is that of a thread; those beyond its end are none."""
    out = ["unsigned tid = threadIdx.x;"]
    for n in range(axes):
        last = n == axes - 1
        thread = f"((block % many{k}_{n}) << log{k}_{n}) + (tid & ((1u << log{k}_{n}) - 1))"
        out.append(f"i{n} = first{k}_{n} + (int)({thread}){f' * {deep}' if last and deep > 1 else ''};")
        out.append(f"if (i{n} >= end{k}_{n}) return;")
        out += [] if last else [f"block /= many{k}_{n}; tid >>= log{k}_{n};"]
    return [*out, f"stop = min(end{k}_{axes - 1}, i{axes - 1} + {deep});"] if deep > 1 else out


def size(calls: Iterable[Call], axes: Iterable[int]) -> int:
    """Bytes that the arguments of a kernel take at most, of functions in boxes of so many axes."""
    pointers, numbers, between = 4, 3, 4  # of one that leads
    boxes = sum(1 + 4 * n for n in axes)
    return 8 * pointers + 4 * (numbers + boxes) + between + sum(BYTES[kind] for kind in arguments(calls).values())


@dataclass(frozen=True)
class Kernels:
    """The kernels of a piece.

    Attributes
    ----------
    functions : list of Function
        In their order, the temporaries' first.
    arguments : tuple of (str, str)
        Type and name of all that any of them has.
    text : Text
        What those are: `loads`, `strides`, `scalars`, and of `temporaries` how far each goes beyond the box.
    parts : bool
        Whether the sums of points are made in parts, which lie in a temporary.
    """

    functions: list[Function]
    arguments: tuple[tuple[str, str], ...]
    text: Text
    parts: bool


def kernels(statements: Sequence[Statement], axes: Sequence[str], dtype, integers: Iterable[str] = ()) -> Kernels:
    """Write the kernels of a piece; see :func:`seisops.engine.lower.text.text`."""
    writer = _Device(axes, np.dtype(dtype), frozenset(integers), 0)
    points = axes[0] not in ("x",)
    writer.points(statements) if points else writer.cells(statements)
    return writer.finished_kernels()


#: What the partial sums of points are, to the functions that make and need them.
PARTS = "parts"


@dataclass(frozen=True)
class Body:
    """The lines of a function in one cell, and along several; its variables, and the rest of a :class:`Function`."""

    lines: list[str]
    along: list[str]
    variables: tuple[str, ...]
    around: tuple[tuple[int, int], ...] = ()
    makes: tuple[Hashable, ...] = ()
    needs: tuple[Hashable, ...] = ()


class _Device(Writer):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.bodies: list[Body] = []
        self.parts = False  # whether points have partial sums
        self.ahead = 0  # along the first axis, of the cell that is written of
        self.locals: dict = {}

    def in_row(self, of: Sum) -> bool:
        return False

    # -- cells that are computed together

    def load(self, load: Load) -> str:
        at = (replace(i, shift=i.shift + i.sign * self.ahead) if i.variable == self.axes[0] else i for i in load.at)
        return super().load(replace(load, at=tuple(at)) if self.ahead else load)

    def local(self, taps: Taps) -> str:
        key = taps, self.ahead
        if key not in self.locals:
            value = self.taps(taps)
            self.locals[key] = f"d{len(self.locals)}"
            self.lines.append(f"const {self.real} {self.locals[key]} = {value};")
        return self.locals[key]

    def temporary(self, t) -> str:
        n, at = self.numbers[t.of], dict(t.at)
        at[self.axes[0]] += self.ahead
        return self.place(n, [at[v] for v in self.axes])

    def place(self, n: int, at: Sequence[int]) -> str:
        """A temporary so many cells away."""
        terms = [f"{k} * m{n}{v}" for v, k in zip(self.outer, at[:-1], strict=True) if k]
        return f"t{n}[{' + '.join([*terms, self.inner])}{f' + {at[-1]}' if at[-1] else ''}]"

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
            made = [(None, of) for of in family]
            self.function(made, [tuple(self.extents[family[0]][v]) for v in self.axes])
        self.function([(s, s.value) for s in statements], [(0, 0)] * len(self.axes))

    def function(self, made: Sequence[tuple[Statement | None, Sum]], extent: Sequence[tuple[int, int]]) -> None:
        """One that assigns sums, by statements or to temporaries, in cells as far beyond the box."""
        ends = {v: self.ends(axis, *extent[axis]) for axis, v in enumerate(self.axes)}
        beyond = [f"{v} < {begin} || {v} >= {end}" for v, (begin, end) in ends.items()]
        one = self.within(made, 1)
        plain, along = [f"if ({' || '.join(beyond)}) return;", *one], []
        if len(self.axes) == ALONG:
            x, (begin, end) = self.axes[0], ends[self.axes[0]]
            along = [
                f"if ({' || '.join(beyond[1:])}) return;",
                f"{x} = max({x}, {begin});",
                f"stop = min(stop, {end});",
            ]
            if any(self.looks_along(value) for _, value in made):
                along += [f"for (; {x} + {TOGETHER} <= stop; {x} += {TOGETHER}) {{", *self.within(made, TOGETHER), "}"]
            along += [f"for (; {x} < stop; {x}++) {{", *one, "}"]
        needs = (n.of for _, value in made for n in nodes(value) if isinstance(n, Temporary))
        makes = (value for statement, value in made if statement is None)
        self.bodies.append(Body(plain, along, self.axes, tuple(extent), tuple(makes), tuple(dict.fromkeys(needs))))

    def looks_along(self, value: Sum) -> bool:
        """Whether cells look at the same along the first axis."""
        seen: dict[tuple, set[int]] = {}
        for node in nodes(value, inside=False):
            if isinstance(node, Load):
                at = {i.variable: i.shift for i in node.at}
                others = tuple(i for i in node.at if i.variable != self.axes[0])
                seen.setdefault((node.name, node.rule, others), set()).add(at.get(self.axes[0], 0))
            elif isinstance(node, Temporary):
                at = dict(node.at)
                others = tuple(k for v, k in node.at if v != self.axes[0])
                seen.setdefault((id(node.of), others), set()).add(at[self.axes[0]])
        return any(len(shifts) > 1 for shifts in seen.values())

    def within(self, made: Sequence[tuple[Statement | None, Sum]], cells: int) -> list[str]:
        """The lines of so many cells, after those of the rows that they look at."""
        lines = self.assigned(made, cells)
        used = _words(lines)
        rows = (*self.pointers(), *self.places())
        return [*(row for row in rows if re.search(r"(\w+) =", row)[1] in used), *lines]

    def assigned(self, made: Sequence[tuple[Statement | None, Sum]], cells: int) -> list[str]:
        """The lines of so many cells: of each assignment the values in all of them, then where they go."""
        self.locals, self.lines = {}, []
        for n, (statement, value) in enumerate(made):
            for self.ahead in range(cells):
                self.lines.append(f"const {self.real} v{n}_{self.ahead} = {self.sum(value)};")
            for self.ahead in range(cells):
                if statement is None:
                    target, add = self.place(self.numbers[value], [self.ahead, *[0] * (len(self.axes) - 1)]), False
                else:
                    self.written.add(self.slot(statement.target))
                    target, add = self.load(statement.target), statement.add
                self.lines.append(f"{target} {'+=' if add else '='} v{n}_{self.ahead};")
        self.ahead = 0
        return self.lines

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
                self.bodies.append(Body([*within, *one], [], (row,)))
                continue
            self.parts = True
            end = f"min(b3, b2 + (part + 1) * {TAPS})"
            some = [
                f"for (int {tap} = b2 + part * {TAPS}; {tap} < {end}; {tap}++) {{",
                *taps,
                f"w0[{row} * m0 + part] = sum;",
            ]
            rest = [f"for (int part = 0; part < m0; part++) sum += w0[{row} * m0 + part];", f"{target} += sum;"]
            one = [f"if ({row} >= b1 || part >= m0) return;", *begin, *some]
            self.bodies.append(Body(one, [], (row, "part"), makes=(PARTS,)))
            self.bodies.append(Body([*within, *rest], [], (row,), needs=(PARTS,)))

    def finished_kernels(self) -> Kernels:
        text, points = self.out, self.axes[0] not in ("x",)
        pointers = [(f"{self.type(load, slot)} *__restrict__", f"p{slot}") for slot, load in enumerate(text.loads)]
        sizes = [("long long", f"s{n}") for n in range(len(text.strides))]
        sizes += [("int", f"b{n}") for n in range(2 * len(self.axes))]
        for n in self.numbers.values():
            pointers.append((f"{self.real} *__restrict__", f"w{n}"))
            sizes += [("long long", f"m{n}{v}") for v in self.outer]
        if self.parts:
            pointers.append((f"{self.real} *__restrict__", "w0"))
            sizes.append(("int", "m0"))
        scalars = [(self.real, f"c{n}") for n in range(len(text.scalars))]
        variables = [Variable(*one, looked=True) for one in pointers]
        variables += [Variable(*one, looked=points) for one in sizes]  # each shot has its own numbers of points
        variables += [Variable(*one) for one in scalars]
        functions = []
        for body in self.bodies:
            used = _words([*body.lines, *body.along])
            mine = [v for v in variables if v.name in used]
            first, *others = body.variables
            along = _source(body.along, mine, [first, "stop", *others]) if body.along else ""
            axes, more = len(body.variables), (body.around, body.makes, body.needs)
            functions.append(Function(_source(body.lines, mine, body.variables), along, _arguments(mine), axes, *more))
        return Kernels(functions, _arguments(variables), text, self.parts)


@dataclass(frozen=True)
class Variable:
    """What a function has within.

    Attributes
    ----------
    kind, name : str
    looked : bool
        Whether it is in the table: the function is given its place there.
    """

    kind: str
    name: str
    looked: bool = False

    @property
    def argument(self) -> tuple[str, str]:
        """Type and name of what the function is given for it."""
        return ("int", f"{self.name}_at") if self.looked else (GIVEN.get(self.kind, self.kind), self.name)

    @property
    def value(self) -> str:
        """It, of what the function is given."""
        return f"({self.kind.removesuffix('__restrict__')})now[{self.name}_at]" if self.looked else self.name


def _arguments(variables: Iterable[Variable]) -> tuple[tuple[str, str], ...]:
    return (("unsigned", "every"), ("int", "back"), *(v.argument for v in variables))


def _source(lines: Iterable[str], variables: Sequence[Variable], cells: Sequence[str]) -> str:
    """A function of some lines, which have some variables, and cells."""
    of = [("int", cell) for cell in cells]
    within = [*((v.kind, v.name) for v in variables), *of]
    given = [("const uint64_t *", "now"), *_arguments(variables), *of]
    inside, outside = (", ".join(f"{kind} {name}" for kind, name in several) for several in (within, given))
    return "\n".join([
        f"static __device__ __forceinline__ void {NAME}_in({inside})", "{", *lines, "}",
        f"static __device__ __forceinline__ void {NAME}({outside})", "{",
        "if (back && now[0] == now[1]) return;",  # there is none before the first
        "if (every != 1 && ((unsigned)now[0] - back) % every) return;",
        f"{NAME}_in({', '.join([*(v.value for v in variables), *cells])});", "}", "",
    ])  # fmt: skip


def _words(lines: Iterable[str]) -> set[str]:
    return set(re.findall(r"\w+", "\n".join(lines)))
