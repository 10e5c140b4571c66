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

__all__ = ["Writer", "text"]

#: Writes coefficients as what :mod:`math` computes.
PYTHON = PythonCodePrinter({"fully_qualified_modules": False, "inline": True, "allow_unknown_functions": True})


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
        terms = [f"{at[v]} * m{n}{v}" for v in self.outer if at[v] and not self.in_row(t.of)]
        return f"t{n}[{' + '.join([*terms, self.inner])}{f' + {at[self.inner]}' if at[self.inner] else ''}]"

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
        count: dict[Node, int] = {}
        for _, factors in terms:
            for f in dict.fromkeys(factors):
                count[f] = count.get(f, 0) + 1
        common = [f for f, n in count.items() if n > 1]
        if not common:
            return " + ".join(self.term(c, factors) for c, factors in terms)
        most = max(common, key=lambda f: count[f])
        those, others = [], []
        for c, factors in terms:
            if most in factors:
                left = list(factors)
                left.remove(most)
                those.append((c, tuple(left)))
            else:
                others.append((c, factors))
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
        """Temporaries, then what is wanted."""
        order = self.temporaries([s.value for s in statements])
        stages = [t for t in order if not self.in_row(t)]
        for of in order:
            extent = self.extents[of]
            outer = [None if self.in_row(of) else tuple(extent[v]) for v in self.outer]
            self.out.temporaries.append((*outer, tuple(extent[self.inner])))
        for of in stages:
            self.loop([of], None, {v: self.extents[of][v] for v in self.outer})
        rows = [t for t in order if self.in_row(t)]
        self.loop(rows, statements, {})

    def temporaries(self, sums: Sequence[Sum]) -> list[Sum]:
        """The temporaries of some sums, those first that others are made of; notes how far each is wanted."""
        order: list[Sum] = []

        def visit(s: Sum) -> None:
            for node in nodes(s):
                if isinstance(node, Temporary) and node.of not in self.numbers:
                    visit(node.of)
                    self.numbers[node.of] = len(self.numbers)
                    order.append(node.of)

        for s in sums:
            visit(s)
        wanted = [(s, dict.fromkeys(self.axes, (0, 0))) for s in sums]
        self.extents = {of: {v: [0, 0] for v in self.axes} for of in order}
        for of in [None, *reversed(order)]:
            users = wanted if of is None else [(of, {v: tuple(self.extents[of][v]) for v in self.axes})]
            for s, around in users:
                for node in nodes(s):
                    if isinstance(node, Temporary):
                        for v, k in node.at:
                            low, high = self.extents[node.of][v]
                            self.extents[node.of][v] = [min(low, around[v][0] + k), max(high, around[v][1] + k)]
        return order

    def loop(
        self, temporaries: Sequence[Sum], statements: Sequence[Statement], around: Mapping[str, Sequence[int]]
    ) -> None:
        """The rows of a tile, and some cells around it: temporaries along each, then statements."""
        self.rows: set[int] = set()
        inner: list[str] = []
        for of in temporaries:
            self.locals: dict[Taps, str] = {}
            self.lines: list[str] = []
            value = self.sum(of)
            self.lines.append(f"t{self.numbers[of]}[{self.inner}] = {value};")
            inner += self.simd(*self.extents[of][self.inner])
        if statements:
            self.locals, self.lines = {}, []
            for s in statements:
                value = self.sum(s.value)
                self.written.add(self.slot(s.target))
                self.lines.append(f"{self.load(s.target)} {'+=' if s.add else '='} {value};")
            inner += self.simd(0, 0)
        heads = [self.head(v, axis, *around.get(v, (0, 0))) for axis, v in enumerate(self.outer)]
        self.body += [*heads, *self.pointers(), *inner, "}" * len(heads)]

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
        for of, n in self.numbers.items():
            extent = self.extents[of]
            begin = [f"({v} - b{2 * axis} - ({extent[v][0]})) * m{n}{v}" for axis, v in enumerate(self.outer)]
            start = f"w{n} - b{2 * len(self.outer)} - ({extent[self.inner][0]})"
            out.append(f"{self.real} *restrict t{n} = {' + '.join([start, *([] if self.in_row(of) else begin)])};")
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
            *outer, inner = [
                f"b{2 * a + 1} - b{2 * a} + {extent[v][1] - extent[v][0]}" for a, v in enumerate(self.axes)
            ]
            lines.append(f"const int64_t {size} = ({inner} + {VECTOR - 1}) / {VECTOR} * {VECTOR};")
            total = size
            if not self.in_row(of):
                for v, cells in reversed(list(zip(self.outer, outer, strict=True))):
                    lines.append(f"const int64_t m{n}{v} = {total};")
                    total = f"m{n}{v} * ({cells})"
            lines.append(f"{self.real} *restrict w{n} = {start};")
            start = f"w{n} + {total}"
        arguments = (
            "char *const *pointers, const int64_t *strides, const void *scalars, const int64_t *box, char *scratch"
        )
        out.source = "\n".join(
            ["#include <math.h>", "#include <stdint.h>", f"void piece({arguments})", "{", *lines, *self.body, "}", ""]
        )
        return out
