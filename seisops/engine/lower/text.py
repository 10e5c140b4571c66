"""The C text of a piece: a function that goes through the cells of a box, under names that say nothing of where they are.

``(pointers, strides, scalars, box, scratch)``: arrays by pointers to their cell 0, which the caller has moved to the right
time level; in elements, how far apart the rows of each are; numbers; the first cell of the box and the one after its last
along each axis; and room for temporaries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import sympy
from sympy import ccode
from sympy.printing.pycode import PythonCodePrinter

from seisops.engine.lower.nodes import Call, Index, Load, Node, Statement, Sum, Taps, Temporary, nodes
from seisops.engine.lower.piece import VECTOR, Text

__all__ = ["Writer", "factored", "text"]

#: Writes coefficients as what :mod:`math` computes.
PYTHON = PythonCodePrinter({"fully_qualified_modules": False, "inline": True, "allow_unknown_functions": True})

#: Rows of two axes that are computed together, of temporaries and of what is made of them.
ROWS = 32


def text(
    statements: Sequence[Statement], axes: Sequence[str], dtype, integers: Iterable[str] = (), cells: int = 0
) -> Text:
    """Write a piece.

    Parameters
    ----------
    statements : sequence of Statement
    axes : sequence of str
        Variables of the loops, from outside to inside; two for points: those to which something is added and its taps.
    dtype : dtype
    integers : iterable of str
        Names of arrays of 32-bit integers.
    cells : int, optional
        Number of cells along rows, if that is to be known to the compiler.
    """
    writer = Writer(axes, np.dtype(dtype), frozenset(integers), cells)
    points = axes[0] not in ("x",)
    writer.points(statements) if points else writer.cells(statements)
    return writer.finished()


def _differences(of: Sum) -> frozenset[Taps | Temporary]:
    """The differences, of temporaries or not, that a temporary is made of; nothing if there are none."""
    found = frozenset(n for n in nodes(of) if isinstance(n, Taps | Temporary))
    return found if any(isinstance(n, Taps) for n in found) else frozenset()


def factored(terms: Sequence[tuple]) -> tuple[Node, list, list] | None:
    """What most terms have as a factor, those without it, and the others; None if no two have one in common."""
    count: dict[Node, int] = {}
    for _, factors in terms:
        for f in dict.fromkeys(factors):
            count[f] = count.get(f, 0) + 1
    common = [f for f, n in count.items() if n > 1]
    if not common:
        return None
    most = max(common, key=lambda f: count[f])
    those, others = [], []
    for c, factors in terms:
        if most in factors:
            left = list(factors)
            left.remove(most)
            those.append((c, tuple(left)))
        else:
            others.append((c, factors))
    return most, those, others


class Writer:
    def __init__(self, axes: Sequence[str], dtype: np.dtype, integers: frozenset[str], cells: int):
        self.row_cells = cells
        self.axes, self.outer, self.inner = tuple(axes), tuple(axes[:-1]), axes[-1]
        self.real = {"float32": "float", "float64": "double"}[dtype.name]
        self.suffix = "f" if dtype.itemsize == 4 else ""
        self.integers = integers
        self.out = Text()
        self.slots: dict[tuple, int] = {}
        self.stride_numbers: dict[tuple[int, int], int] = {}
        self.scalar_numbers: dict[sympy.Expr, int] = {}
        self.written: set[int] = set()
        self.body: list[str] = []
        self.numbers: dict[Sum, int] = {}  # of temporaries
        self.extents: dict[Sum, dict[str, list[int]]] = {}
        self.lowest: dict[Sum, int] = {}  # of the cells along the first axis that are still looked at
        self.looked: set[tuple[int, int]] = set()  # at temporaries, that many cells along the first axis away

    # -- arguments

    def slot(self, load: Load) -> int:
        key = (load.name, load.rule)
        if key not in self.slots:
            self.slots[key] = len(self.out.loads)
            self.out.loads.append(load)
        return self.slots[key]

    def stride(self, slot: int, axis: int) -> str:
        key = (slot, axis)
        if key not in self.stride_numbers:
            self.stride_numbers[key] = len(self.out.strides)
            self.out.strides.append(key)
        return f"s{self.stride_numbers[key]}"

    def scalar(self, c: sympy.Expr) -> str:
        if c not in self.scalar_numbers:
            self.scalar_numbers[c] = len(self.out.scalars)
            self.out.scalars.append(PYTHON.doprint(c))
        return f"c{self.scalar_numbers[c]}"

    # -- expressions

    def load(self, load: Load) -> str:
        slot = self.slot(load)
        terms = []
        for axis, index in enumerate(load.at):
            last = axis == len(load.at) - 1
            place = self.index(index)
            if self.row(load, axis):  # already in the pointer
                place = str(index.shift) if index.shift else ""
            if place:
                terms.append(place if last else f"({place}) * {self.stride(slot, axis)}")
        name = f"a{slot}" if any(self.row(load, axis) for axis in range(len(load.at))) else f"p{slot}"
        return f"{name}[{' + '.join(terms) or '0'}]"

    def row(self, load: Load, axis: int) -> bool:
        """Whether a pointer to the row takes an index into account."""
        index = load.at[axis]
        return axis < len(load.at) - 1 and index.table is None and index.variable in self.outer and index.sign == 1

    def index(self, index: Index) -> str:
        if index.table is not None:
            place = f"(int64_t){self.load(index.table)}"
        elif index.variable:
            place = index.variable if index.sign > 0 else f"-{index.variable}"
        else:
            return str(index.shift)
        return (
            place if not index.shift else f"{place} + {index.shift}" if index.shift > 0 else f"{place} - {-index.shift}"
        )

    def temporary(self, t: Temporary) -> str:
        n, at = self.numbers[t.of], dict(t.at)
        name, others = f"t{n}", self.outer
        if not self.in_row(t.of):
            name, others = self.plane(n, at[others[0]]), others[1:]
        terms = [f"{at[v]} * m{n}{v}" for v in others if at[v]]
        return f"{name}[{' + '.join([*terms, self.inner])}{f' + {at[self.inner]}' if at[self.inner] else ''}]"

    def plane(self, n: int, k: int) -> str:
        """The name of a temporary so many cells along the first axis away."""
        self.looked.add((n, k))
        return f"t{n}" if not k else f"t{n}_{k}" if k > 0 else f"t{n}__{-k}"

    def in_row(self, of: Sum) -> bool:
        return all(self.extents[of][v] == [0, 0] for v in self.outer)

    def number(self, c: sympy.Expr) -> str:
        if not c.is_Number:
            return self.scalar(c)
        value = float(c)
        literal = repr(int(value)) + ".0" if value.is_integer() and abs(value) < 2**24 else repr(value)
        return literal + self.suffix

    def node(self, node: Node) -> str:
        match node:
            case Load():
                return self.load(node)
            case Temporary():
                return self.temporary(node)
            case Taps():
                return self.local(node)
            case Sum():
                return f"({self.sum(node)})"
            case Call():
                names = [sympy.Symbol(f"argument{i}") for i in range(len(node.arguments))]
                extra = () if node.exponent is None else (node.exponent,)
                out = str(ccode(node.function(*names, *extra)))
                for name, argument in zip(names, node.arguments, strict=True):
                    out = out.replace(name.name, f"({self.sum(argument)})")
                return out
        raise TypeError(node)

    def local(self, taps: Taps) -> str:
        """A difference, computed once for each cell."""
        if taps not in self.locals:
            value = self.taps(taps)
            self.locals[taps] = f"d{len(self.locals)}"
            self.lines.append(f"const {self.real} {self.locals[taps]} = {value};")
        return self.locals[taps]

    def taps(self, taps: Taps) -> str:
        """A sum of products with numbers, those of one magnitude together."""
        groups: dict[float, list] = {}
        for w, factors in taps.terms:
            groups.setdefault(abs(float(w)), []).append((w, factors))
        out = []
        for magnitude, terms in groups.items():
            positive = [self.product(f) for w, f in terms if w > 0]
            negative = [self.product(f) for w, f in terms if w < 0]
            if not positive:
                positive, negative, magnitude = negative, [], -magnitude
            inner = " + ".join(positive) + "".join(f" - {n}" for n in negative)
            weight = self.number(sympy.Float(magnitude, 17))
            out.append(inner if magnitude == 1 and not out else f"{weight} * ({inner})")
        return " + ".join(out)

    def product(self, factors: Sequence[Node]) -> str:
        return " * ".join(self.node(f) for f in factors) or f"1.0{self.suffix}"

    def sum(self, s: Sum) -> str:
        return self.terms(list(s.terms)) if s.terms else f"0.0{self.suffix}"

    def terms(self, terms: list) -> str:
        """Terms with what they have in common taken out."""
        if (found := factored(terms)) is None:
            return " + ".join(self.term(c, factors) for c, factors in terms)
        most, those, others = found
        product = f"{self.node(most)} * ({self.terms(those)})"
        return f"{self.terms(others)} + {product}" if others else product

    def term(self, c: sympy.Expr, factors: tuple[Node, ...]) -> str:
        if c == 1 and factors:
            return self.product(factors)
        if c == -1 and factors:
            return f"-{self.product(factors)}"
        return " * ".join([self.number(c), *(self.node(f) for f in factors)])

    # -- loops

    def cells(self, statements: Sequence[Statement]) -> None:
        """Temporaries and what is wanted, from plane to plane along the first axis.

        What is looked at in other planes is computed as far ahead as it is looked at, some planes at a time, and kept in a
        ring of as many planes.
        """
        families = self.temporaries([s.value for s in statements])
        rows = [f for f in families if self.in_row(f[0])]
        ahead = [f for f in families if not self.in_row(f[0])]
        stages = [self.stage([f], (), self.extents[f[0]]) for f in ahead]
        stages.append(self.stage(rows, statements, dict.fromkeys(self.axes, (0, 0))))
        first = self.outer[0]
        ends = [self.extents[f[0]][first] for f in ahead] + [(0, 0)]
        self.body.append(
            f"for (int64_t n = b0 + {min(low - high for low, high in ends)}; n < b1; n += {self.together}) {{"
        )
        self.body.append(f"const int64_t end = n + {self.together} < b1 ? n + {self.together} : b1;")
        for (low, high), lines in zip(ends, stages, strict=True):
            start = f"(n > b0 + {low - high} ? n : b0 + {low - high}) + {high}"
            self.body += [f"for (int64_t {first} = {start}; {first} < end + {high}; {first}++) {{", *lines, "}"]
        self.body.append("}")

    def temporaries(self, sums: Sequence[Sum]) -> list[list[Sum]]:
        """The temporaries of some sums, those first that others are made of; notes how far each is wanted.

        Those that are made of the same differences are a family: they are computed together, as far as any is wanted.
        """
        families: dict[object, list[Sum]] = {}

        def visit(s: Sum) -> None:
            for node in nodes(s):
                if isinstance(node, Temporary) and node.of not in self.numbers:
                    visit(node.of)
                    self.numbers[node.of] = len(self.numbers)
                    families.setdefault(_differences(node.of) or node.of, []).append(node.of)

        for s in sums:
            visit(s)
        nowhere = dict.fromkeys(self.axes, (0, 0))
        for family in families.values():
            self.extents.update(dict.fromkeys(family, {v: [0, 0] for v in self.axes}))
        self.lowest = dict.fromkeys(self.numbers, 0)
        for those in [sums, *reversed(families.values())]:
            for s in those:
                around = self.extents.get(s, nowhere)
                for node in nodes(s):
                    if isinstance(node, Temporary):
                        extent = self.extents[node.of]
                        for v, k in node.at:
                            low, high = extent[v]
                            extent[v] = [min(low, around[v][0] + k), max(high, around[v][1] + k)]
                        v, k = node.at[0]
                        self.lowest[node.of] = min(self.lowest[node.of], around[v][1] + k)
        for of in self.numbers:
            extent = self.extents[of]
            outer = [None if self.in_row(of) else tuple(extent[v]) for v in self.outer]
            self.out.temporaries.append((*outer, tuple(extent[self.inner])))
            self.out.planes.append(self.depth(of))
        return list(families.values())

    @property
    def together(self) -> int:
        """How many planes are computed at a time: rows are few cells to begin and to end, planes of three axes are not."""
        return ROWS if len(self.axes) == 2 else 1

    def depth(self, of: Sum) -> int:
        """How many planes of a temporary are held at once."""
        return self.extents[of][self.axes[0]][1] - self.lowest[of] + self.together

    def stage(
        self, families: Sequence[Sequence[Sum]], statements: Sequence[Statement], around: Mapping[str, Sequence[int]]
    ) -> list[str]:
        """What there is to do in a plane: families of temporaries, row by row, and then statements."""
        inner: list[str] = []
        self.looked = set()
        for family in families:
            self.prepare(family)
            inner += self.simd(*self.extents[family[0]][self.inner])
        if statements:
            self.assign(statements)
            inner += self.simd(0, 0)
        heads = [self.head(v, axis, *around[v]) for axis, v in enumerate(self.outer[1:], 1)]
        return [*heads, *self.pointers(), *self.places(), *inner, "}" * len(heads)]

    def prepare(self, family: Sequence[Sum]) -> None:
        """The lines of temporaries that are computed together, in a cell."""
        self.locals: dict[Taps, str] = {}
        self.lines: list[str] = []
        for of in family:
            value = self.sum(of)
            self.lines.append(f"t{self.numbers[of]}[{self.inner}] = {value};")
            self.looked.add((self.numbers[of], 0))

    def assign(self, statements: Sequence[Statement]) -> None:
        """The lines of statements, in a cell."""
        self.locals, self.lines = {}, []
        for s in statements:
            value = self.sum(s.value)
            self.written.add(self.slot(s.target))
            self.lines.append(f"{self.load(s.target)} {'+=' if s.add else '='} {value};")

    def simd(self, low: int, high: int) -> list[str]:
        """The loop along a row; one of few cells has a length that the compiler knows."""
        axis = len(self.axes) - 1
        if not self.row_cells:
            return ["#pragma omp simd", self.head(self.inner, axis, low, high), *self.lines, "}"]
        first, _ = self.ends(axis, low, high)
        loop = f"for (int64_t i = 0; i < {self.row_cells + high - low}; i++) {{"
        return ["#pragma omp simd", loop, f"const int64_t {self.inner} = {first} + i;", *self.lines, "}"]

    def ends(self, axis: int, low: int, high: int) -> tuple[str, str]:
        """The first cell along an axis and the one after the last, some cells from those of the box."""
        return tuple(f"b{2 * axis + k}{f' + {n}' if n else ''}" for k, n in ((0, low), (1, high)))

    def head(self, variable: str, axis: int, low: int, high: int) -> str:
        first, end = self.ends(axis, low, high)
        return f"for (int64_t {variable} = {first}; {variable} < {end}; {variable}++) {{"

    def pointers(self) -> list[str]:
        """Where the rows of arrays and temporaries begin."""
        out = []
        for slot, load in enumerate(self.out.loads):
            axes = [axis for axis in range(len(load.at)) if self.row(load, axis)]
            if axes:
                places = [f"{load.at[axis].variable} * {self.stride(slot, axis)}" for axis in axes]
                out.append(f"{self.type(load, slot)} *restrict a{slot} = {' + '.join([f'p{slot}', *places])};")
        return out

    def places(self) -> list[str]:
        """Where the rows of temporaries begin, in the planes in which they are looked at."""
        out = []
        for of, n in self.numbers.items():
            extent = self.extents[of]
            start = f"w{n} - b{2 * len(self.outer)} - ({extent[self.inner][0]})"
            rows = [f"({v} - b{2 * axis} - ({extent[v][0]})) * m{n}{v}" for axis, v in enumerate(self.outer[1:], 1)]
            for k in sorted(k for m, k in self.looked if m == n):
                begin = [start]
                if not self.in_row(of):
                    plane = f"{self.axes[0]} - b0 + {k - extent[self.axes[0]][0]}"
                    begin += [f"(uint32_t)({plane}) % {self.depth(of)}u * m{n}{self.axes[0]}", *rows]
                out.append(f"{self.real} *restrict {self.plane(n, k)} = {' + '.join(begin)};")
        return out

    def type(self, load: Load, slot: int) -> str:
        kind = "int32_t" if load.name in self.integers else self.real
        return kind if slot in self.written else f"const {kind}"

    def points(self, statements: Sequence[Statement]) -> None:
        """Sums over the taps of each point."""
        row, tap = self.axes
        for s in statements:
            self.locals, self.lines = {}, []
            value = self.sum(s.value)
            self.written.add(self.slot(s.target))
            target = self.load(s.target)
            inner = [self.head(tap, 1, 0, 0), *self.lines, f"sum += {value};", "}"]
            self.body += [self.head(row, 0, 0, 0), *self.pointers(), f"{self.real} sum = 0;", *inner]
            self.body += [f"{target} += sum;", "}"]

    def finished(self) -> Text:
        out, lines = self.out, []
        for slot, load in enumerate(out.loads):
            kind = self.type(load, slot)
            lines.append(f"{kind} *restrict p{slot} = ({kind} *)pointers[{slot}];")
        lines += [f"const int64_t s{n} = strides[{n}];" for n in range(len(out.strides))]
        lines += [f"const {self.real} c{n} = ((const {self.real} *)scalars)[{n}];" for n in range(len(out.scalars))]
        lines += [f"const int64_t b{n} = box[{n}];" for n in range(2 * len(self.axes))]
        start = f"({self.real} *)scratch"
        for of, n in self.numbers.items():
            extent = self.extents[of]
            size = f"m{n}"
            cells = [f"b{2 * a + 1} - b{2 * a} + {extent[v][1] - extent[v][0]}" for a, v in enumerate(self.axes)]
            lines.append(f"const int64_t {size} = ({cells[-1]} + {VECTOR - 1}) / {VECTOR} * {VECTOR};")
            total = size
            if not self.in_row(of):
                for v, count in reversed(list(zip(self.outer, [str(self.depth(of)), *cells[1:-1]], strict=True))):
                    lines.append(f"const int64_t m{n}{v} = {total};")
                    total = f"m{n}{v} * ({count})"
            lines.append(f"{self.real} *restrict w{n} = {start};")
            start = f"w{n} + {total}"
        arguments = (
            "char *const *pointers, const int64_t *strides, const void *scalars, const int64_t *box, char *scratch"
        )
        out.source = "\n".join(
            ["#include <math.h>", "#include <stdint.h>", f"void piece({arguments})", "{", *lines, *self.body, "}", ""]
        )
        return out
