"""Time loops on graphics processors: each piece a few kernels, launched in the order of a schedule, over and over.

Arrays are CuPy's. The launches of one step make up a CUDA graph, which serves all steps of a march.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Protocol

import numpy as np
import sympy
from numpy.typing import DTypeLike

from seisops.engine.backend.cpu import check, layout
from seisops.engine.lower.cuda import Kernels, kernels
from seisops.engine.lower.form import Rule
from seisops.engine.lower.piece import Piece
from seisops.engine.lower.schedule import schedule
from seisops.errors import ParameterError

__all__ = ["Cuda", "Program"]

#: Threads of a block, along the last axis and in all.
WIDE, THREADS = 64, 256
#: Of rules that never come back to an entry.
ENDLESS = 2**31 - 1

#: What makes the text of :mod:`seisops.engine.lower.cuda` one for NVRTC.
PREAMBLE = """
#define restrict __restrict__
typedef long long int64_t;
typedef int int32_t;
"""
ADVANCE = 'extern "C" __global__ void advance(unsigned *counter, int by) { *counter += by; }'


class Launcher(Protocol):
    """What compiles and launches kernels."""

    def function(self, source: str) -> Any:
        """A kernel of some text, called ``function(grid, block, arguments)``."""

    def address(self, a: Any) -> int:
        """Where an array begins."""

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> Any: ...

    def march(self, launches: Sequence[tuple], counter: Any, first: int, last: int, direction: int) -> None:
        """Go through steps: set the counter to the first, then launch all and move it on, for each."""


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

            count = cupy.cuda.runtime.getDeviceCount()
        except ImportError as error:
            raise ParameterError(f'device="{self.name}" needs CuPy: pip install cupy-cuda12x ({error})') from None
        except Exception as error:  # CuPy's own, of a driver that is not there
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

    def compile(self, pieces, axes, dtype, integers) -> Program:
        return Program(pieces, axes, dtype, integers, self)

    # -- for programs

    def function(self, source: str):
        name = "advance" if source is ADVANCE else "piece"
        return self._cupy.RawKernel(PREAMBLE + source, name, options=("--std=c++14",))

    def address(self, a) -> int:
        return a.data.ptr

    def march(self, launches, counter, first: int, last: int, direction: int) -> None:
        cupy = self._cupy
        with self._here():
            counter[...] = first if direction > 0 else last
            advance, stream = _advance(self), cupy.cuda.Stream(non_blocking=True)
            cupy.cuda.get_current_stream().synchronize()
            with stream:
                stream.begin_capture()
                for function, grid, block, arguments in launches:
                    function(grid, block, arguments)
                advance((1,), (1,), (counter, np.int32(direction)))
                graph = stream.end_capture()
                for _ in range(last - first + 1):
                    graph.launch(stream)
            stream.synchronize()


def _advance(device: Cuda):
    return device.function(ADVANCE)


class Program:
    """A time loop of kernels; see :class:`seisops.engine.backend.cpu.Program` for its arguments."""

    def __init__(self, pieces: Sequence[Piece], axes: Sequence[str], dtype, integers: Iterable[str], device: Launcher):
        self.pieces, self.axes, self.dtype, self.device = tuple(pieces), tuple(axes), np.dtype(dtype), device
        self.integers = frozenset(integers)
        self.names = frozenset(a.name for p in self.pieces for a in p.arrays.values())
        self._kernels: dict[Piece, tuple[Kernels, list]] = {}

    def kernels(self, piece: Piece) -> Kernels:
        """The text of a piece."""
        return kernels(piece.statements, piece.axes, self.dtype, self.integers)

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
        ordered = [p for g in schedule(self.pieces, shape) for p in g.pieces]
        counter, alive, launches = self.device.zeros((1,), np.uint32), [], []
        for piece in ordered:
            launches += self._launches(piece, arrays, tuple(shape), numbers, bounds or {}, counter, alive)
        self.device.march(launches, counter, *steps, direction)

    def _launches(self, piece: Piece, arrays, shape, numbers, bounds, counter, alive: list) -> list[tuple]:
        made = self.kernels(piece)
        functions = [self.device.function(launch.source) for launch in made.launches]
        if piece.bound:
            box = [0, bounds[piece.bound[0]], 0, bounds[piece.bound[1]]]
        else:
            box = [end.of(n) for ends, n in zip(piece.box, shape, strict=True) for end in ends]
        cells = [end - first for first, end in zip(box[::2], box[1::2], strict=True)]
        if min(cells) <= 0:
            return []
        check(piece, box, arrays, shape)
        arguments: list = [np.uint64(self.device.address(counter)), np.uint32(piece.every)]
        layouts = []
        for load in made.text.loads:
            array = piece.arrays[load.name]
            a = arrays[array.name]
            itemsize = a.dtype.itemsize
            kind = np.dtype(np.int32) if load.name in self.integers else self.dtype
            strides = layout(array.name, a, len(array.origin), load.rule is not None, kind)
            base = -sum(o[1].of(shape[o[0]]) * s for o, s in zip(array.origin, strides, strict=True) if o is not None)
            arguments += [
                np.uint64(self.device.address(a) + base),
                np.int64(a.strides[0] // itemsize if load.rule else 0),
                *map(np.uint32, _entry(load.rule)),
            ]
            layouts.append([s // itemsize for s in strides])
        arguments += [np.int64(layouts[slot][axis]) for slot, axis in made.text.strides]
        arguments += [self.dtype.type(float(c.subs(numbers_of(numbers, c)))) for c in made.text.scalars]
        arguments += [np.int32(b) for b in box]
        for rows in made.rows(cells):
            scratch = self.device.zeros(rows, self.dtype)
            alive.append(scratch)
            arguments.append(np.uint64(self.device.address(scratch)))
            arguments += [np.int64(prod(rows[axis + 1 :])) for axis in range(len(rows) - 1)]
        out = []
        for function, launch in zip(functions, made.launches, strict=True):
            around = launch.around or ((0, 0),)
            extent = [n + high - low for n, (low, high) in zip(cells, around, strict=False)]
            out.append((function, *_threads(extent if launch.around else cells[:1]), tuple(arguments)))
        return out


def numbers_of(numbers: Mapping[str, float], c: sympy.Expr) -> dict:
    """Values of the symbols of a coefficient."""
    return {s: numbers[s.name] for s in c.free_symbols}


def _entry(rule: Rule | None) -> tuple[int, int, int]:
    """``offset, divisor, period`` of a rule."""
    if rule is None:
        return 0, 1, 1
    if rule.kind == "modulo":
        return rule.offset, 1, rule.period
    # of unsigned numbers: what is less than 0 comes round
    return (rule.offset % 2**32, 1, ENDLESS) if rule.kind == "row" else (0, rule.period, ENDLESS)


def _threads(cells: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Grid and block for a thread for each cell, the last axis side by side."""
    wide = 1
    while wide < min(WIDE, cells[-1]):
        wide *= 2
    block, left = [wide], max(THREADS // wide, 1)
    for n in reversed(cells[:-1]):
        size = 1
        while 2 * size <= min(left, n):
            size *= 2
        block.append(size)
        left //= size
    grid = [-(-n // b) for n, b in zip(reversed(cells), block, strict=True)]
    return tuple(grid), tuple(block)
