"""Time loops on graphics processors: each piece a few kernels, launched in the order of a schedule, over and over.

Arrays are CuPy's. The launches of one step make up a CUDA graph, which serves all steps of a march.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from seisops.engine.backend.cpu import check, layout
from seisops.engine.lower.cuda import NAME, TAPS, THREADS, Kernels, kernel, kernels
from seisops.engine.lower.loop import Loop, coefficients
from seisops.engine.lower.nodes import Rule
from seisops.engine.lower.piece import Piece
from seisops.engine.lower.schedule import FREE, SAME_CELL, relation
from seisops.errors import ParameterError

__all__ = ["Cuda", "Program"]

#: Threads of a block along the last axis, at most; as was fastest on an H100.
WIDE = 32
#: Cells along the first axis that a thread goes through in boxes of more than so many.
DEEP, MANY = 16, 2**20
#: Shapes that are remembered.
MOST = 16
#: Of rules that never come back to an entry.
ENDLESS = 2**31 - 1

#: What makes the text of :mod:`seisops.engine.lower.cuda` one for NVRTC.
PREAMBLE = """
#define restrict __restrict__
typedef long long int64_t;
typedef int int32_t;
"""
#: Moves the step on, and says which entries arrays show at it.
ADVANCE = """
extern "C" __global__ void advance(unsigned *entry, const unsigned *rules, int n, int by)
{
  const unsigned step = entry[0] + by, k = threadIdx.x;
  __syncthreads();
  if (k == 0) entry[0] = step;
  if (k < n) entry[1 + k] = (step + rules[3 * k]) / rules[3 * k + 1] % rules[3 * k + 2];
}
"""


class Launcher(Protocol):
    """What compiles and launches kernels."""

    def function(self, source: str) -> Any:
        """A kernel of some text."""

    def address(self, a: Any) -> int:
        """Where an array begins."""

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> Any: ...

    def march(self, launches: Sequence[tuple], entry: Any, rules: np.ndarray, steps: range) -> None:
        """Go through steps: say which, and which entries `rules` mean; then launch all ``(kernel, blocks, arguments)``."""


@dataclass(frozen=True)
class Cuda:
    """A graphics processor, through CuPy.

    Parameters
    ----------
    number : int
        Which of those that there are.

    Raises
    ------
    ParameterError
        Without CuPy, or without such a device.
    """

    number: int = 0

    def __post_init__(self):
        try:
            import cupy
        except ImportError as error:
            raise ParameterError(f'device="{self.name}" needs CuPy: pip install cupy-cuda12x ({error})') from None
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise ParameterError(f'device="{self.name}": there is no such device ({error})') from None
        if self.number >= count:
            raise ParameterError(f'device="{self.name}": there are {count} devices, numbered from 0')

    @property
    def name(self) -> str:
        return f"cuda:{self.number}"

    concurrency = 1

    @cached_property
    def _cupy(self):
        import cupy

        return cupy

    def _here(self):
        return self._cupy.cuda.Device(self.number)

    @property
    def free_bytes(self) -> int:
        with self._here():
            free, _ = self._cupy.cuda.runtime.memGetInfo()
            return int(free + self._cupy.get_default_memory_pool().free_bytes())

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike):
        with self._here():
            return self._cupy.zeros(shape, dtype)

    def to_device(self, a, dtype: DTypeLike):
        with self._here():
            return self._cupy.ascontiguousarray(self._cupy.asarray(a), dtype)

    def to_host(self, a) -> np.ndarray:
        return a.get() if isinstance(a, self._cupy.ndarray) else a

    def compile(self, loop: Loop) -> Program:
        return Program(loop, self)

    # -- for programs

    @cached_property
    def _functions(self) -> dict:
        return {}

    def function(self, source: str):
        if source not in self._functions:
            name = "advance" if source is ADVANCE else NAME
            self._functions[source] = self._cupy.RawKernel(PREAMBLE + source, name, options=("--std=c++14",))
        return self._functions[source]

    def address(self, a) -> int:
        return a.data.ptr

    def march(self, launches, entry, rules: np.ndarray, steps: range) -> None:
        cupy = self._cupy
        with self._here():
            entry.set(entries(rules, steps.start))
            rules = cupy.asarray(rules)
            advance, stream = self.function(ADVANCE), cupy.cuda.Stream(non_blocking=True)
            cupy.cuda.get_current_stream().synchronize()
            with stream:
                stream.begin_capture()
                for function, blocks, arguments in launches:
                    function((blocks,), (THREADS,), tuple(arguments))
                advance((1,), (max(32, len(rules)),), (entry, rules, np.int32(len(rules)), np.int32(steps.step)))
                graph = stream.end_capture()
                for _ in steps:
                    graph.launch(stream)
            stream.synchronize()


def entries(rules: np.ndarray, step: int) -> np.ndarray:
    """A step, and the entries that arrays show at it."""
    offset, divisor, period = rules.T.astype(np.uint32)
    return np.concatenate([[np.uint32(step)], (np.uint32(step) + offset) // divisor % period]).astype(np.uint32)


#: Pieces that threads go through one after the other in each cell.
Section = list[Piece]


def launches(pieces: Sequence[Piece], shape: Sequence[int]) -> list[list[Section]]:
    """Pieces in as few launches as their order allows.

    A piece joins a launch if it is unrelated to what comes after that, and to all in it but one section, with which it meets
    in the same cells only.
    """
    out: list[list[Section]] = []
    for piece in pieces:
        first, home = 0, None
        for n in reversed(range(len(out))):
            related = [(s, max(relation(p, piece, shape) for p in s)) for s in out[n]]
            met = [s for s, how in related if how != FREE]
            if not met:
                continue
            same = len(met) == 1 and max(how for _, how in related) <= SAME_CELL and not piece.bound
            first, home = (n, met[0]) if same and not met[0][0].bound else (n + 1, None)
            break
        if home is not None:
            home.append(piece)
            continue
        for launch in out[first:]:
            if bool(launch[0][0].bound) == bool(piece.bound):
                launch.append([piece])
                break
        else:
            out.append([[piece]])
    return out


@dataclass(frozen=True)
class Planned:
    """What is launched in each step on grids of one shape.

    Attributes
    ----------
    pieces : list of (Piece, box)
    launches : list of (kernel, blocks, sections)
        Of each section, the numbers of its pieces and how blocks share out its cells.
    """

    pieces: list[tuple[Piece, list]]
    launches: list[tuple]


class Program:
    """A time loop of kernels; see :class:`seisops.engine.backend.cpu.Program` for its arguments."""

    def __init__(self, loop: Loop, device: Launcher):
        # each launch goes through the whole grid: nothing would be found in a cache a step later
        self.pieces = tuple(replace(p, behind=0) for p in loop.made.pieces)
        self.integers = loop.made.integers
        self.dtype, self.device = loop.dtype, device
        self.names = frozenset(a.name for p in self.pieces for a in p.arrays.values())
        self._kernels: dict[int, Kernels] = {}
        self._plans: OrderedDict[tuple, Planned] = OrderedDict()
        self._values: dict[tuple, list] = {}

    def kernels(self, piece: Piece) -> Kernels:
        """The text of a piece."""
        if id(piece) not in self._kernels:
            self._kernels[id(piece)] = kernels(piece.statements, piece.axes, self.dtype, self.integers)
        return self._kernels[id(piece)]

    def __call__(
        self,
        arrays: Mapping[str, Any],
        shape: Sequence[int],
        numbers: Mapping[str, float],
        steps: tuple[int, int],
        direction: int = 1,
        bounds: Mapping[str, int] | None = None,
        threads: int | None = None,
    ) -> None:
        if missing := self.names - arrays.keys():
            raise TypeError(f"arguments of a compiled time loop: missing {', '.join(sorted(missing))}")
        bounds, alive, rules = bounds or {}, [], {}
        plan = self._planned(tuple(shape), tuple(sorted(bounds.items())))
        given = [self._arguments(p, box, arrays, tuple(shape), numbers, rules, alive) for p, box in plan.pieces]
        table = np.array([*rules] or [(0, 1, 1)], np.uint32)
        entry = self.device.zeros((1 + len(table),), np.uint32)
        out = []
        for function, blocks, sections in plan.launches:
            arguments = [entry]
            for numbers_of_pieces, shares in sections:
                arguments += [*shares, *(v for n in numbers_of_pieces for v in given[n])]
            out.append((function, blocks, arguments))
        first, last = steps
        self.device.march(out, entry, table, range(first, last + 1) if direction > 0 else range(last, first - 1, -1))

    def _planned(self, shape: tuple[int, ...], bounds: tuple) -> Planned:
        """What is launched on a grid of so many cells, for so many points."""
        key = shape, bounds
        if key not in self._plans:
            self._plans[key] = self._plan(shape, dict(bounds))
            while len(self._plans) > MOST:
                self._plans.popitem(last=False)
        return self._plans[key]

    def _plan(self, shape: tuple[int, ...], bounds: Mapping[str, int]) -> Planned:
        boxes = {id(p): self._box(p, shape, bounds) for p in self.pieces}
        some = [p for p in self.pieces if all(first < end for first, end in boxes[id(p)])]
        numbers = {id(p): n for n, p in enumerate(some)}
        out = []
        for launch in launches(some, shape):
            own = [p for s in launch for p in s]
            depth = max(len(self.kernels(p).functions) for p in own)
            # the last functions of all pieces go together, in the last kernel
            out += [self._launch(launch, boxes, numbers, stage) for stage in range(depth - 1, -1, -1)]
        return Planned([(p, boxes[id(p)]) for p in some], out)

    def _box(self, piece: Piece, shape, bounds) -> list[tuple[int, int]]:
        if piece.bound:
            return [(0, bounds[piece.bound[0]]), (0, bounds[piece.bound[1]])]
        return [tuple(end.of(n) for end in ends) for ends, n in zip(piece.box, shape, strict=True)]

    def _launch(self, launch: Sequence[Section], boxes, numbers: Mapping[int, int], stage: int) -> tuple:
        """The kernel of the functions that are so many before the last: see :class:`Planned`."""
        texts, sections, blocks, box = [], [], 0, []
        for section in launch:
            functions, mine, hull = [], [], None
            for p in section:
                made = self.kernels(p).functions
                if stage >= len(made):
                    continue
                f, cells = made[-1 - stage], boxes[id(p)]
                if p.bound:
                    cells = [cells[0], (0, -(-cells[1][1] // TAPS))] if f.some else cells[:1]
                functions.append(f)
                mine.append(numbers[id(p)])
                grown = [
                    (a + low, b + high)
                    for (a, b), (low, high) in zip(cells, f.around or [(0, 0)] * len(cells), strict=True)
                ]
                hull = grown if hull is None else _hull(hull, grown)
            if functions:
                box = hull
                texts.append(functions)
                shares = _shares(box)
                blocks += shares[0]
                sections.append((mine, [np.int32(n) for n in shares]))
        return self.device.function(kernel(texts, len(box))), blocks, sections

    def _scalars(self, texts: Sequence[str], numbers: Mapping[str, float]) -> list:
        """Values of coefficients of time step and cell sizes."""
        key = tuple(texts), tuple(sorted(numbers.items()))
        if key not in self._values:
            self._values[key] = [self.dtype.type(c) for c in coefficients(texts)(numbers)]
        return self._values[key]

    def _arguments(self, piece: Piece, box, arrays, shape, numbers, rules: dict, alive: list) -> list:
        made = self.kernels(piece)
        check(piece.placed, [n for ends in box for n in ends], arrays, shape)
        arguments: list = [np.uint32(piece.every)]
        layouts = []
        for load in made.text.loads:
            array = piece.arrays[load.name]
            a = arrays[array.name]
            itemsize = a.dtype.itemsize
            kind = np.dtype(np.int32) if load.name in self.integers else self.dtype
            strides = layout(array.name, a, len(array.origin), load.rule is not None, kind)
            base = -sum(o[1].of(shape[o[0]]) * s for o, s in zip(array.origin, strides, strict=True) if o is not None)
            apart = a.strides[0] // itemsize if load.rule else 0
            place = 1 + rules.setdefault(_entry(load.rule), len(rules)) if load.rule else 0
            arguments += [np.uint64(self.device.address(a) + base), np.int64(apart), np.int32(place)]
            layouts.append([s // itemsize for s in strides])
        arguments += [np.int64(layouts[slot][axis]) for slot, axis in made.text.strides]
        arguments += self._scalars(made.text.scalars, numbers)
        arguments += [np.int32(b) for ends in box for b in ends]
        for rows in made.rows([end - first for first, end in box]):
            scratch = self.device.zeros(rows, self.dtype)
            alive.append(scratch)
            arguments.append(np.uint64(self.device.address(scratch)))
            kind = np.int32 if made.parts else np.int64
            arguments += [kind(prod(rows[axis + 1 :])) for axis in range(len(rows) - 1)]
        return arguments


def _hull(box: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(min(a, c), max(b, d)) for (a, b), (c, d) in zip(box, other, strict=True)]


def _entry(rule: Rule | None) -> tuple[int, int, int]:
    """``offset, divisor, period`` of a rule."""
    if rule is None:
        return 0, 1, 1
    if rule.kind == "modulo":
        return rule.offset, 1, rule.period
    # of unsigned numbers: what is less than 0 comes round
    return (rule.offset % 2**32, 1, ENDLESS) if rule.kind == "row" else (0, rule.period, ENDLESS)


def _shares(box: Sequence[tuple[int, int]]) -> list[int]:
    """How blocks share out a box: what :func:`~seisops.engine.lower.cuda.kernel` wants of a section."""
    deep = DEEP if len(box) == 3 and prod(end - first for first, end in box) > MANY else 1
    left, total, out = THREADS.bit_length() - 1, 1, []
    for n, (first, end) in enumerate(reversed(box)):
        last = n == len(box) - 1
        cells = -(-(end - first) // (deep if last else 1))
        most = WIDE.bit_length() - 1 if n == 0 and not last else left
        log = 0
        while log < min(left, most) and 2**log < cells:
            log += 1
        if last:
            log = left  # all threads of a block belong somewhere
        many = -(-cells // 2**log)
        out += [first, end, many, log]
        left, total = left - log, total * many
    return [total, deep, *out]
