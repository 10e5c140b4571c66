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
from seisops.engine.backend.arguments import Allocator, Meaning, Row, Table, Values, calls
from seisops.engine.backend.cpu import check, check_histories, histories
from seisops.engine.backend.device import BESIDE
from seisops.engine.backend.launches import Box, Item, Section, arrangements, common, deferred, related, sections
from seisops.engine.lower.cuda import (
    ALONG,
    ARGUMENTS,
    NAME,
    THREADS,
    Call,
    Kernels,
    Region,
    kernel,
    kernels,
    size,
    tap_parts,
)
from seisops.engine.lower.cuda import arguments as distinct
from seisops.engine.lower.loop import Loop, coefficients
from seisops.engine.lower.piece import Piece
from seisops.engine.lower.work import Part, Stage, Work, stages
from seisops.engine.lower.work import together as work_of
from seisops.errors import ParameterError

__all__ = ["Cuda", "Program"]

#: Threads of a block along the last axis, at most; as was fastest on an H100.
WIDE = 32
#: Cells along the first axis that a thread goes through in boxes of more than so many cells, in three dimensions.
DEEP, MANY = 16, 2**20
#: Shapes that are remembered.
MOST = 16
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


class Launcher(Allocator, Protocol):
    """What compiles and launches kernels."""

    def function(self, source: str) -> Any:
        """A kernel of some text."""

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
    given : tuple
        What its functions are given.
    shares : tuple
        For each box of each section what :func:`_shares` says; of points what their numbers, and those of taps, are called.
    parts : tuple of (int, int, box)
        Of all that is done the number of the piece, which of that piece's functions it is, and the cells for which it is.
    """

    function: Any
    given: tuple[Meaning, ...]
    shares: tuple[tuple[int, ...] | tuple[str, ...], ...]
    parts: tuple[tuple[int, int, Box], ...]

    def launch(self, given: Mapping[Meaning, Any], bounds: Mapping[str, int]) -> Launch:
        """The launch, with the values of what its functions are given, for so many points."""
        own = [
            _shares(_points([bounds[name] for name in one]), 1) if isinstance(one[0], str) else one
            for one in self.shares
        ]
        numbers = [np.int32(n) for one in own for n in one]
        return Launch(self.function, sum(one[0] for one in own), [*(given[what] for what in self.given), *numbers])


@dataclass(frozen=True)
class Planned:
    """What is launched on grids of one shape.

    Attributes
    ----------
    pieces : list of Piece
    given : tuple
        What their functions are given, each once.
    step, after : list of Prepared
        In each step, and after the last.
    """

    pieces: list[Piece]
    given: tuple[Meaning, ...]
    step: list[Prepared]
    after: list[Prepared]


#: By the identity of a piece, and which of its functions: the number of the piece, and the function with what it is given.
Calls = dict[tuple[int, int], tuple[int, Call]]


class Program:
    """A time loop of kernels; see :class:`seisops.engine.backend.cpu.Program` for its arguments."""

    def __init__(self, loop: Loop, device: Launcher):
        # each launch goes through the whole grid: nothing would be found in a cache a step later
        self.pieces = tuple(replace(p, behind=0) for p in loop.made.pieces)
        self.integers = loop.made.integers
        self.dtype, self.device = loop.dtype, device
        self.names = frozenset(a.name for p in self.pieces for a in p.arrays.values())
        self._histories = histories(self.pieces)
        self._kernels: dict[tuple, Kernels] = {}
        self._stages: dict[tuple, list[Stage]] = {}
        self._plans: OrderedDict[tuple, Planned] = OrderedDict()
        self._values: dict[tuple, Any] = {}
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
        check_histories(self._histories, arrays, steps)
        shape, bounds = tuple(shape), dict(sorted((bounds or {}).items()))
        row = Row(self.device)
        with self._making:
            plan = self.planned(shape, bounds, direction)
            for piece in plan.pieces:
                check(piece.placed, [n for ends in piece.extent(shape, bounds) for n in ends], arrays, shape)
            scalar = partial(self._scalar, numbers=numbers)
            values = Values(row, self.device, arrays, shape, bounds, scalar, self.dtype)
            given = {what: values.of(what) for what in plan.given}
        first, last = steps
        through = range(first, last + 1) if direction > 0 else range(last, first - 1, -1)
        bases, rules = row.bases, row.rules

        def march(several: list[tuple[NDArray, NDArray]]) -> None:
            most = dict(zip(bounds, np.max([points for _, points in several], axis=0).tolist(), strict=True))
            step, after = ([one.launch(given, most) for one in side] for side in (plan.step, plan.after))
            self.device.march(step, after, Table(np.stack([bases for bases, _ in several]), rules), through)

        # what shots have in common that are marched abreast
        there = tuple(map(bool, bounds.values()))
        key = self, shape, there, through, rules.tobytes(), tuple(v.tobytes() for v in given.values())
        together(key, (bases, list(bounds.values())), march)

    def working_bytes(self, shape: Sequence[int]) -> int:
        """Memory of the temporaries of pieces on a grid of so many cells: each has its own."""
        extents = (
            [
                end - first + high - low
                for (first, end), (low, high) in zip(piece.extent(shape, {}), around, strict=True)
            ]
            for piece in self.pieces
            if not piece.bound
            for around in self.kernels(piece).text.temporaries
        )
        return sum(map(prod, extents)) * self.dtype.itemsize

    def planned(self, shape: tuple[int, ...], bounds: Mapping[str, int], direction: int) -> Planned:
        """What is launched on a grid of so many cells, for so many points: the same for any number, but for none."""
        there = {name: min(n, 1) for name, n in bounds.items()}
        key = shape, tuple(there.items()), direction
        with self._making:
            if key not in self._plans:
                self._plans[key] = self._plan(shape, there, direction)
                while len(self._plans) > MOST:
                    self._plans.popitem(last=False)
            return self._plans[key]

    def _plan(self, shape: tuple[int, ...], bounds: Mapping[str, int], direction: int) -> Planned:
        known: dict[int, tuple[Piece, list[Item]]] = {}

        def items(pieces: Sequence[Piece]) -> list[Item]:
            for p in pieces:
                if id(p) not in known:
                    known[id(p)] = p, list(self._items(p, p.extent(shape, bounds)))
            return [item for p in pieces for item in known[id(p)][1]]

        def moved(step: Sequence[Sequence[list[Item]]]) -> float:
            """Bytes."""
            several = (
                [(i.piece, i.stage, i.piece.extent(shape, bounds)) for f in families for i in f] for families in step
            )
            return sum(self.work(self.parts(of)).moved for of in several)

        def arranged(pieces: Sequence[Piece]) -> list[list[list[Item]]]:
            found = arrangements(items(pieces), how)
            return min(found, key=moved) if len(found) > 1 else found[0]

        how = cache(partial(related, shape=shape))
        some = [p for p in self.pieces if all(first < end for first, end in p.extent(shape, bounds))]
        some = deferred(some, direction, lambda order: len(arrangements(items(order), how)[0]))
        called: Calls = {}
        for n, p in enumerate(some):
            several = calls(p, n, self.kernels(p), self.integers)
            called |= {(id(p), stage): (n, call) for stage, call in enumerate(several)}
        return Planned(
            some,
            tuple(dict.fromkeys(what for _, call in called.values() for what in call.given)),
            self._launches(arranged(some), called, leads=True),
            self._launches(arranged([p for p in some if p.behind]), called, leads=False),
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
                cells = _points([n for _, n in box][: f.axes])
            else:
                cells = tuple((a + low, b + high) for (a, b), (low, high) in zip(box, f.around, strict=True))
            yield Item.of(piece, stage, cells, f)

    def _launches(self, step: Sequence[Sequence[list[Item]]], called: Calls, leads: bool) -> list[Prepared]:
        """Kernels of launches one after the other, or of parts of them, so that arguments are not too many.

        Sections have no cell in common in which they meet, so that any of them may come before or after others.
        """
        out: list[Prepared] = []
        for families in step:
            some: list[Section] = []
            cut = (part for family in families for s in sections(family) for part in enumerate(_cut(s, called)))
            for after, section in cut:
                if some and (after or _size([*some, section], called) > ARGUMENTS):
                    out.append(self._launch(some, called, leads and not out))
                    some = []
                some.append(section)
            out.append(self._launch(some, called, leads and not out))
        return out

    def _launch(self, several: Sequence[Section], called: Calls, leads: bool) -> Prepared:
        found: dict[Call, int] = {}
        texts, parts, shares = [], [], []
        for section in several:
            done = []
            for item in section.items:
                n, call = called[id(item.piece), item.stage]
                done.append(found.setdefault(_call(item, section, called), len(found)))
                parts += [(n, item.stage, cells) for box in section.boxes for cells in _cells(item.box, box, call)]
            deep = _deep(section)
            texts.append(Region(tuple(done), len(section.boxes), deep))
            bound = section.items[0].piece.bound[: len(section.boxes[0])]
            shares += [bound or _shares(box, deep) for box in section.boxes]
        function = self.device.function(kernel(list(found), texts, leads))
        return Prepared(function, tuple(what for _, what in distinct(found)), tuple(shares), tuple(parts))

    def _scalar(self, text: str, numbers: Mapping[str, float]) -> Any:
        """The value of a coefficient of time step and cell sizes."""
        key = text, tuple(sorted(numbers.items()))
        if key not in self._values:
            (value,) = coefficients([text])(numbers)
            self._values[key] = self.dtype.type(value)
        return self._values[key]


def _cut(section: Section, called: Calls) -> list[Section]:
    """A section whose arguments are not too many, or some of its items after others."""
    out: list[Section] = []
    for item in section.items:
        more = replace(section, items=(*out[-1].items, item)) if out else None
        if more and _size([more], called) <= ARGUMENTS:
            out[-1] = more
        else:
            out.append(replace(section, items=(item,)))
    return out


def _call(item: Item, section: Section, called: Calls) -> Call:
    """The function of an item in a section, with what it is given there.

    That is the same in sections of one kind only: of what all threads have in common compilers compute more at once, which
    those of the inner of the grid then keep for nothing.
    """
    _, call = called[id(item.piece), item.stage]
    return replace(call, given=tuple((section.whole, what) for what in call.given))


def _size(several: Sequence[Section], called: Calls) -> int:
    functions = (_call(item, section, called) for section in several for item in section.items)
    return size(functions, (len(box) for s in several for box in s.boxes))


def _cells(box: Box, within: Box, call: Call) -> Iterator[Box]:
    """The cells of a piece for which a function has what it has in common with a box, if that is anything."""
    if both := common(box, within):
        around = call.function.around or ((0, 0),) * len(both)
        yield tuple((first - low, end - high) for (first, end), (low, high) in zip(both, around, strict=True))


def _deep(section: Section) -> int:
    """Cells along the first axis that a thread goes through."""
    box = section.boxes[0]
    return DEEP if section.whole and len(box) == ALONG and prod(end - first for first, end in box) > MANY else 1


def _points(numbers: Sequence[int]) -> Box:
    """What threads go through for so many points: each, or each with each part of so many taps."""
    (points, *taps) = numbers
    return ((0, points), *((0, tap_parts(n)) for n in taps))


def _shares(box: Box, deep: int) -> tuple[int, ...]:
    """How blocks share out a box: what :func:`~seisops.engine.lower.cuda.kernel` wants of one."""
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
    return (total, *out)
