"""The CUDA C of a piece: kernels of one thread for each cell, or each point, that are launched one after another.

What a processor computes row by row on the way, temporaries, fills arrays of the box here: each has a kernel of its own,
before the one that wants it. A kernel looks up the time step itself, in memory, so that one and the same launch serves all
steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from seisops.engine.lower.form import Sum
from seisops.engine.lower.text import Statement, Text, Writer

__all__ = ["Launch", "kernels"]


@dataclass(frozen=True)
class Launch:
    """A kernel as text, with what its arguments are.

    ``(counter, every, arrays, ..., strides, ..., scalars, ..., box, ..., temporaries, ...)``: where the step is kept and at
    which steps anything is done; for each array its cell 0, the elements from entry to entry, and ``offset, divisor, period``
    of the rule ``(step + offset) / divisor % period`` that says which; for each temporary its first element, and the elements
    from row to row.

    Attributes
    ----------
    source : str
        Under the name `NAME`.
    around : tuple of (int, int)
        Cells that it computes beyond the box, along each axis; empty for points.
    """

    source: str
    around: tuple[tuple[int, int], ...] = ()


NAME = "piece"


@dataclass
class Kernels:
    """The kernels of a piece.

    Attributes
    ----------
    launches : list of Launch
        In their order.
    text : Text
        What their arguments are: `loads`, `strides`, `scalars`, and of `temporaries` how far each goes beyond the box.
    """

    launches: list[Launch] = field(default_factory=list)
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
    return writer.launched()


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
        """Which cell a thread has: the last axis is that of threads side by side."""
        out = []
        for axis, (v, (low, high), way) in enumerate(
            zip(reversed(self.axes), reversed(extent), ("x", "y", "z"), strict=False)
        ):
            axis = len(self.axes) - 1 - axis
            first, end = self.ends(axis, low, high)
            out.append(f"const int {v} = {first} + (int)(blockIdx.{way} * blockDim.{way} + threadIdx.{way});")
            out.append(f"if ({v} >= {end}) return;")
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
                        f"const int {row} = b0 + (int)(blockIdx.x * blockDim.x + threadIdx.x);",
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

    def launched(self) -> Kernels:
        out, text = Kernels(text=self.out), self.out
        declared = ["const unsigned *counter", "unsigned every"]
        first = []
        for slot, load in enumerate(text.loads):
            kind = self.type(load, slot)
            declared += [f"{kind} *q{slot}", f"long long e{slot}", *(f"unsigned {v}{slot}" for v in "fgh")]
            entry = f" + (long long)((step + f{slot}) / g{slot} % h{slot}) * e{slot}" if load.rule is not None else ""
            first.append(f"{kind} *__restrict__ p{slot} = q{slot}{entry};")
        declared += [f"long long s{n}" for n in range(len(text.strides))]
        declared += [f"{self.real} c{n}" for n in range(len(text.scalars))]
        declared += [f"int b{n}" for n in range(2 * len(self.axes))]
        for n in self.numbers.values():
            declared += [f"{self.real} *w{n}", *(f"long long m{n}{v}" for v in self.outer)]
        head = ["const unsigned step = *counter;", "if (step % every) return;"]
        for body, around in self.bodies:
            used = "\n".join(body)
            mine = [line for slot, line in enumerate(first) if f"p{slot}" in used]
            source = [f'extern "C" __global__ void {NAME}({", ".join(declared)})', "{", *head, *mine, *body, "}", ""]
            out.launches.append(Launch("\n".join(source), around))
        return out
