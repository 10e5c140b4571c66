"""Time loops on graphics processors: each piece a few functions, launched in the order of a schedule, over and over.

Arrays are CuPy's. Where they stand at a step is in a table in the memory of the device, a row for each shot, so that shots
are gone through abreast; the first launch of a step makes the table of the next. The launches of some steps make up a CUDA
graph, which serves all steps of a march.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seisops._extras import install
from seisops.engine.backend.abreast import abreast, together
from seisops.engine.backend.cpu import check, layout
from seisops.engine.backend.device import BESIDE
from seisops.engine.backend.launches import Box, Item, Section, arrangements, deferred, related, sections
from seisops.engine.lower.cuda import ARGUMENTS, HEAD, NAME, TAPS, THREADS, Kernels, argument_bytes, kernel, kernels
from seisops.engine.lower.loop import Loop, coefficients
from seisops.engine.lower.nodes import Rule
from seisops.engine.lower.piece import Piece
from seisops.engine.lower.work import Part, Stage, Work, stages
from seisops.engine.lower.work import together as work_of
from seisops.errors import ParameterError

__all__ = ["Cuda", "Program", "Table"]

#: Threads of a block along the last axis, at most; as was fastest on an H100.
WIDE = 32
#: Cells along the first axis that a thread goes through in boxes of more than so many.
DEEP, MANY = 16, 2**20
#: Shapes that are remembered.
MOST = 16
#: Of rules that never come back to an entry.
ENDLESS = 2**31 - 1
#: Steps of a CUDA graph: an even number, as there are two tables.
GRAPH = 16
#: Bytes of wavefields of shots that are gone through abreast, about; a card is busy with that.
FULL = 2**27
#: Shots that are gone through abreast, at most.
CREW = 64

#: What makes the text of :mod:`seisops.engine.lower.cuda` one for NVRTC.
PREAMBLE = """
#define restrict __restrict__
typedef long long int64_t;
typedef unsigned long long uint64_t;
typedef int int32_t;
"""


@dataclass(frozen=True)
class Launch:
    """A kernel, its blocks, and its arguments after the table and the length of a row.

    Attributes
    ----------
    function : kernel
    blocks : int
        For each shot, without those that make the table of the next step.
    arguments : list
    """

    function: Any
    blocks: int
    arguments: list


@dataclass
class Table:
    """Where arrays stand, for each shot.

    Attributes
    ----------
    bases : ndarray of shape (shots, pointers, 2)
        Cell 0 of entry 0, and bytes from one entry to the next.
    rules : ndarray of shape (pointers, 3)
        ``offset, divisor, period`` of the entry at a step, ``(step + offset) / divisor % period``.
    """

    bases: NDArray
    rules: NDArray

    @property
    def width(self) -> int:
        """The length of a row."""
        return HEAD + self.bases.shape[1]

    @property
    def blocks(self) -> int:
        """What of a launch makes the next, for each shot."""
        return -(-max(HEAD, self.bases.shape[1]) // THREADS)

    def at(self, step: int, first: int) -> NDArray:
        """The table of a step, as the first launch of the step before makes it.

        Parameters
        ----------
        step, first : int
            The step, and that with which it began.
        """
        offset, divisor, period = self.rules.T
        entry = (np.uint32(step) + offset) // divisor % period
        head = np.broadcast_to(np.array([step, first], np.uint64), (len(self.bases), HEAD))
        return np.concatenate([head, self.bases[..., 0] + entry.astype(np.uint64) * self.bases[..., 1]], axis=1)


class Launcher(Protocol):
    """What compiles and launches kernels."""

    def function(self, source: str) -> Any:
        """A kernel of some text."""

    def address(self, a: Any) -> int:
        """Where an array begins."""

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> Any:
        """An array in which anything may stand."""

    def march(self, step: Sequence[Launch], after: Sequence[Launch], table: Table, steps: range) -> None:
        """Go through steps, with all launches of each, then through those that come after the last."""


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
        Without CuPy and what it needs of CUDA, or without such a device.
    """

    number: int = 0

    def __post_init__(self):
        try:
            import cupy
        except ImportError as error:
            raise ParameterError(
                f'device="{self.name}" needs CuPy: {install("cuda")} for CUDA 13, pip install "cupy-cuda12x[ctk]" for '
                f"CUDA 12 ({error})"
            ) from None
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise ParameterError(f'device="{self.name}": there is no such device ({error})') from None
        if self.number >= count:
            raise ParameterError(f'device="{self.name}": there are {count} devices, numbered from 0')
        try:
            cupy.cuda.nvrtc.getVersion()
        except RuntimeError as error:
            raise ParameterError(
                f'device="{self.name}" needs the compiler and the libraries of CUDA beside CuPy: {install("cuda")} brings '
                f'those of CUDA 13, pip install "cupy-cuda12x[ctk]" those of CUDA 12 ({error})'
            ) from None

    def __reduce__(self):
        return type(self), (self.number,)

    @property
    def name(self) -> str:
        return f"cuda:{self.number}"

    concurrency = CREW

    @property
    def xp(self):
        return self._cupy

    @cached_property
    def host(self) -> Pinned:
        return Pinned(self)

    @cached_property
    def _copies(self):
        """The stream of copies, beside which time loops go on."""
        with self.active():
            return self._cupy.cuda.Stream(non_blocking=True)

    def copy(self, source, target) -> Callable[[], None]:
        cupy = self._cupy
        with self.active():
            self._copies.wait_event(cupy.cuda.get_current_stream().record())
            if isinstance(source, cupy.ndarray):
                source.get(stream=self._copies, out=target, blocking=False)
            else:
                target.set(source, stream=self._copies)
            return self._copies.record().synchronize

    def together(self, nbytes: int, most: int | None = None) -> Callable[[Callable, int], Iterator] | None:
        room = self.free_bytes // max(BESIDE * nbytes, 1) if most is None else most
        most = min(CREW, FULL // max(nbytes, 1), room)
        return partial(abreast, most=most, within=self._within) if most > 1 else None

    def _within(self) -> Callable[[], AbstractContextManager]:
        """What puts a thread on this device, and on the stream of who calls."""
        with self.active():
            stream = self._cupy.cuda.get_current_stream()

        @contextmanager
        def enter() -> Iterator[None]:
            with self.active(), stream:
                yield

        return enter

    def active(self) -> AbstractContextManager:
        return self._cupy.cuda.Device(self.number)

    @cached_property
    def _cupy(self):
        import cupy

        return cupy

    @property
    def free_bytes(self) -> int:
        with self.active():
            free, _ = self._cupy.cuda.runtime.memGetInfo()
            return int(free + self._cupy.get_default_memory_pool().free_bytes())

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike):
        with self.active():
            return self._cupy.zeros(shape, dtype)

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike):
        with self.active():
            return self._cupy.empty(shape, dtype)

    def to_device(self, a, dtype: DTypeLike):
        with self.active():
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
            with self.active():
                self._functions[source] = self._cupy.RawKernel(PREAMBLE + source, NAME, options=("--std=c++14",))
                self._functions[source].compile()  # not while launches are captured
        return self._functions[source]

    def address(self, a) -> int:
        return a.data.ptr

    def march(self, step, after, table: Table, steps: range) -> None:
        cupy, shots = self._cupy, len(table.bases)
        with self.active():
            tables = [cupy.asarray(table.at(steps.start, steps.start)), cupy.empty((shots, table.width), np.uint64)]
            bases, rules = cupy.asarray(table.bases), cupy.asarray(table.rules)
            made = (bases, rules, np.uint32(len(table.rules)), np.int32(steps.step))

            def launch(several, n: int, leads: bool) -> None:
                """The launches of a step, counted from the first."""
                now, following = tables[n % 2], tables[(n + 1) % 2]
                for one in several:
                    more, leads = ((following, *made), False) if leads else ((), leads)
                    blocks = one.blocks + (table.blocks if more else 0)
                    arguments = (now, np.uint32(table.width), *more, *one.arguments)
                    one.function((blocks, shots), (THREADS,), arguments)

            stream = cupy.cuda.Stream(non_blocking=True)
            before = cupy.cuda.get_current_stream()
            stream.wait_event(before.record())
            with stream:
                whole = len(steps) // GRAPH if len(steps) >= 2 * GRAPH else 0
                if whole:
                    stream.begin_capture()
                    for n in range(GRAPH):
                        launch(step, n, True)
                    graph = stream.end_capture()
                    for _ in range(whole):
                        graph.launch(stream)
                for n in range(whole * GRAPH, len(steps)):
                    launch(step, n, True)
                launch(after, len(steps), False)
            before.wait_event(stream.record())
            stream.synchronize()  # what was made for the march goes when this returns


@dataclass(frozen=True)
class Pinned:
    """Memory of the host that a card copies to and from while it computes.

    Parameters
    ----------
    device : Cuda
    """

    device: Cuda

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
        """A zeroed array of NumPy, of as many bytes as it has: CuPy's pool would take the next power of two."""
        cuda = self.device.xp.cuda
        with self.device.active():
            memory = cuda.PinnedMemory(max(1, prod(shape) * np.dtype(dtype).itemsize))
        out = np.ndarray(shape, dtype, cuda.PinnedMemoryPointer(memory, 0))
        out[...] = 0
        return out


@dataclass(frozen=True)
class Prepared:
    """A launch, but for what differs from march to march.

    Attributes
    ----------
    function : kernel
    blocks : int
    shares : list of int
        How blocks share out the cells of its sections.
    functions : tuple of (int, int)
        Of each function the number of its piece, and which of that piece's it is.
    parts : tuple of (int, int, box)
        The same of all that is done, and the cells of the piece for which it is.
    """

    function: Any
    blocks: int
    shares: list
    functions: tuple[tuple[int, int], ...]
    parts: tuple[tuple[int, int, Box], ...]


@dataclass(frozen=True)
class Planned:
    """What is launched on grids of one shape.

    Attributes
    ----------
    pieces : list of (Piece, box)
    step, after : list of Prepared
        In each step, and after the last.
    """

    pieces: list[tuple[Piece, list]]
    step: list[Prepared]
    after: list[Prepared]


class Program:
    """A time loop of kernels; see :class:`seisops.engine.backend.cpu.Program` for its arguments."""

    def __init__(self, loop: Loop, device: Launcher):
        # each launch goes through the whole grid: nothing would be found in a cache a step later
        self.pieces = tuple(replace(p, behind=0) for p in loop.made.pieces)
        self.integers = loop.made.integers
        self.dtype, self.device = loop.dtype, device
        self.names = frozenset(a.name for p in self.pieces for a in p.arrays.values())
        self._kernels: dict[tuple, Kernels] = {}
        self._stages: dict[tuple, list[Stage]] = {}
        self._plans: OrderedDict[tuple, Planned] = OrderedDict()
        self._values: dict[tuple, list] = {}
        self._making = threading.RLock()  # threads of a crew ask for the same at the same time

    def kernels(self, piece: Piece) -> Kernels:
        """The text of a piece."""
        key = piece.statements, piece.axes
        if key not in self._kernels:
            self._kernels[key] = kernels(*key, self.dtype, self.integers)
        return self._kernels[key]

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
        shape, names = tuple(shape), sorted(bounds or {})
        numbers_of_points = np.array([bounds[name] for name in names], np.int64)
        shown = Shown(self.device)
        with self._making:
            plan = self.planned(shape, tuple(zip(names, numbers_of_points.tolist(), strict=True)), direction)
            given = [self._arguments(p, box, arrays, shape, numbers, shown) for p, box in plan.pieces]
        first, last = steps
        rows = range(first, last + 1) if direction > 0 else range(last, first - 1, -1)
        bases, rules = np.array(shown.bases, np.uint64).reshape(-1, 2), np.array(shown.rules, np.uint32).reshape(-1, 3)

        def march(several: list[tuple[NDArray, NDArray]]) -> None:
            most = np.max([points for _, points in several], axis=0).tolist()
            plan = self.planned(shape, tuple(zip(names, most, strict=True)), direction)
            step, after = (
                [
                    Launch(p.function, p.blocks, [*p.shares, *(v for n, _ in p.functions for v in given[n])])
                    for p in side
                ]
                for side in (plan.step, plan.after)
            )
            self.device.march(step, after, Table(np.stack([bases for bases, _ in several]), rules), rows)

        # what shots have in common that are marched abreast
        there = tuple(n > 0 for n in numbers_of_points.tolist())
        key = self, shape, there, rows, rules.tobytes(), tuple(v.tobytes() for one in given for v in one)
        together(key, (bases, numbers_of_points), march)

    def planned(self, shape: tuple[int, ...], bounds: tuple, direction: int) -> Planned:
        """What is launched on a grid of so many cells, for so many points."""
        key = shape, bounds, direction
        if key not in self._plans:
            self._plans[key] = self._plan(shape, dict(bounds), direction)
            while len(self._plans) > MOST:
                self._plans.popitem(last=False)
        return self._plans[key]

    def _plan(self, shape: tuple[int, ...], bounds: Mapping[str, int], direction: int) -> Planned:
        def box(piece: Piece) -> list[tuple[int, int]]:
            if piece.bound:
                return [(0, bounds[name]) for name in piece.bound]
            return [tuple(end.of(n) for end in ends) for ends, n in zip(piece.box, shape, strict=True)]

        known: dict[int, tuple[Piece, list[Item]]] = {}

        def items(pieces: Sequence[Piece]) -> list[Item]:
            for p in pieces:
                if id(p) not in known:
                    known[id(p)] = p, list(self._items(p, box(p)))
            return [item for p in pieces for item in known[id(p)][1]]

        def moved(step: Sequence[Sequence[list[Item]]]) -> float:
            """Bytes."""
            several = ([(i.piece, i.stage, box(i.piece)) for f in families for i in f] for families in step)
            return sum(self.work(self.parts(of)).moved for of in several)

        def arranged(pieces: Sequence[Piece]) -> list[list[list[Item]]]:
            found = arrangements(items(pieces), how)
            return min(found, key=moved) if len(found) > 1 else found[0]

        how = cache(partial(related, shape=shape))
        some = [p for p in self.pieces if all(first < end for first, end in box(p))]
        some = deferred(some, direction, lambda order: len(arrangements(items(order), how)[0]))
        numbers = {id(p): n for n, p in enumerate(some)}
        return Planned(
            [(p, box(p)) for p in some],
            self._launches(arranged(some), numbers, leads=True),
            self._launches(arranged([p for p in some if p.behind]), numbers, leads=False),
        )

    def parts(self, functions: Iterable[tuple[Piece, int, Sequence]]) -> tuple[Part, ...]:
        """What some functions do: those of pieces, which they are of each, and the box of that.

        Sums of points that are made in parts count with those parts.
        """
        out = []
        for piece, stage, box in functions:
            key = piece.statements, piece.axes
            if key not in self._stages:
                self._stages[key] = stages(piece, self.dtype)
            if stage < len(self._stages[key]):
                out.append(Part(piece, self._stages[key][stage], tuple(map(tuple, box))))
        return tuple(out)

    def work(self, parts: Iterable[Part]) -> Work:
        """What a launch of some parts moves and computes."""
        return work_of(parts, self.dtype, self.integers)

    def _items(self, piece: Piece, box: Sequence[tuple[int, int]]) -> Iterator[Item]:
        """The functions of a piece."""
        for stage, f in enumerate(self.kernels(piece).functions):
            if piece.bound:
                (points, taps) = box
                cells = (points, (0, -(-taps[1] // TAPS)))[: f.axes]
            else:
                cells = tuple((a + low, b + high) for (a, b), (low, high) in zip(box, f.around, strict=True))
            yield Item.of(piece, stage, cells, f)

    def _launches(
        self, step: Sequence[Sequence[list[Item]]], numbers: Mapping[int, int], leads: bool
    ) -> list[Prepared]:
        """Kernels of launches one after the other, or of parts of them, so that arguments are not too many.

        Sections have no cell in common in which they meet, so that any of them may come before or after others.
        """
        out: list[Prepared] = []
        for families in step:
            some: list[Section] = []
            cut = (part for family in families for s in sections(family) for part in enumerate(self._cut(s)))
            for after, section in cut:
                if some and (after or self._argument_bytes([*some, section]) > ARGUMENTS):
                    out.append(self._launch(some, numbers, leads and not out))
                    some = []
                some.append(section)
            out.append(self._launch(some, numbers, leads and not out))
        return out

    def _cut(self, section: Section) -> list[Section]:
        """A section whose arguments are not too many, or some of its items after others."""
        out: list[Section] = []
        for item in section.items:
            more = Section(section.box, (*out[-1].items, item)) if out else None
            if more and self._argument_bytes([more]) <= ARGUMENTS:
                out[-1] = more
            else:
                out.append(Section(section.box, (item,)))
        return out

    def _argument_bytes(self, several: Sequence[Section]) -> int:
        functions = {(id(i.piece), i.stage): self.kernels(i.piece).functions[i.stage] for s in several for i in s.items}
        return argument_bytes(functions.values(), (len(s.box) for s in several))

    def _launch(self, several: Sequence[Section], numbers: Mapping[int, int], leads: bool) -> Prepared:
        found: dict[tuple[int, int], int] = {}
        functions, called, parts, shares, blocks = [], [], [], [], 0
        for section in several:
            mine = []
            for item in section.items:
                at = numbers[id(item.piece)], item.stage
                f = self.kernels(item.piece).functions[item.stage]
                if at not in found:
                    found[at] = len(functions)
                    functions.append(f)
                mine.append(found[at])
                around = f.around or ((0, 0),) * len(section.box)
                both = zip(section.box, item.box, around, strict=True)
                parts.append((*at, tuple((max(a, c) - low, min(b, d) - high) for (a, b), (c, d), (low, high) in both)))
            called.append(mine)
            own = _shares(section.box)
            blocks += own[0]
            shares += [np.int32(n) for n in own]
        function = self.device.function(kernel(functions, called, leads))
        return Prepared(function, blocks, shares, tuple(found), tuple(parts))

    def _scalars(self, texts: Sequence[str], numbers: Mapping[str, float]) -> list:
        """Values of coefficients of time step and cell sizes."""
        key = tuple(texts), tuple(sorted(numbers.items()))
        if key not in self._values:
            self._values[key] = [self.dtype.type(c) for c in coefficients(texts)(numbers)]
        return self._values[key]

    def _arguments(self, piece: Piece, box, arrays, shape, numbers, shown: Shown) -> list:
        made = self.kernels(piece)
        check(piece.placed, [n for ends in box for n in ends], arrays, shape)
        arguments: list = [np.uint32(piece.every), np.int32(piece.behind)]
        layouts = []
        for load in made.text.loads:
            array = piece.arrays[load.name]
            a = arrays[array.name]
            itemsize = a.dtype.itemsize
            kind = np.dtype(np.int32) if load.name in self.integers else self.dtype
            strides = layout(array.name, a, len(array.origin), load.rule is not None, kind)
            base = -sum(o[1].of(shape[o[0]]) * s for o, s in zip(array.origin, strides, strict=True) if o is not None)
            apart = a.strides[0] if load.rule else 0
            arguments.append(shown.place(self.device.address(a) + base, apart, load.rule, piece.behind))
            layouts.append([s // itemsize for s in strides])
        temporaries = made.rows([end - first for first, end in box])
        arguments += [shown.place(shown.room(rows, self.dtype)) for rows in temporaries]
        sizes: list = [np.uint32(layouts[slot][axis]) for slot, axis in made.text.strides]
        sizes += [np.int32(b) for ends in box for b in ends]
        kind = np.int32 if made.parts else np.uint32
        sizes += [kind(prod(rows[axis + 1 :])) for rows in temporaries for axis in range(len(rows) - 1)]
        arguments += [shown.number(n) for n in sizes] if made.points else sizes
        return arguments + self._scalars(made.text.scalars, numbers)


class Shown:
    """A row of a table, as it is made."""

    def __init__(self, device: Launcher):
        self.device = device
        self.bases: list[tuple[int, int]] = []
        self.rules: list[tuple[int, int, int]] = []
        self._places: dict[tuple, int] = {}
        self._alive: list = []

    def room(self, shape: tuple[int, ...], dtype: DTypeLike) -> int:
        """Where there is memory as long as the row is in use."""
        self._alive.append(self.device.empty(shape, dtype))
        return self.device.address(self._alive[-1])

    def number(self, n: int) -> np.int32:
        """Where in the row there is a number."""
        self.bases.append((int(n), 0))
        self.rules.append(_entry(None, 0))
        return np.int32(HEAD + len(self.bases) - 1)

    def place(self, base: int, apart: int = 0, rule: Rule | None = None, behind: int = 0) -> np.int32:
        """Where in the row a pointer is.

        Parameters
        ----------
        base, apart : int
            Of entry 0, and bytes from one to the next.
        rule : Rule, optional
        behind : int
            By how many steps what is done belongs to an earlier one.
        """
        key = base, apart, *_entry(rule, behind)
        if key not in self._places:
            self._places[key] = HEAD + len(self.bases)
            self.bases.append((base % 2**64, apart))
            self.rules.append(_entry(rule, behind))
        return np.int32(self._places[key])


def _entry(rule: Rule | None, behind: int) -> tuple[int, int, int]:
    """``offset, divisor, period`` of a rule."""
    if rule is None:
        return 0, 1, 1
    if rule.kind == "modulo":
        return (rule.offset - behind) % rule.period, 1, rule.period
    # of unsigned numbers: what is less than 0 comes round
    offset = (rule.offset if rule.kind == "row" else 0) - behind
    return offset % 2**32, 1 if rule.kind == "row" else rule.period, ENDLESS


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
