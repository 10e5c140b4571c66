"""Time loops on the processor: pieces, compiled one by one, and one compiled loop that goes through them."""

from __future__ import annotations

import ctypes
import operator
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import DTypeLike

from seisops.engine.arrays import ALIGNMENT, aligned, zeros
from seisops.engine.backend.compiled import compiled
from seisops.engine.lower.loop import Loop, coefficients
from seisops.engine.lower.nodes import Rule
from seisops.engine.lower.piece import ANYWHERE, Array, Piece, Placed, Text
from seisops.engine.lower.schedule import least, schedule
from seisops.engine.threads import count, forked, side_by_side

__all__ = ["CPU", "Processor", "Program", "check", "check_histories", "histories", "inset", "layout"]

#: How `march.c` calls the rules of time levels.
KINDS = {"modulo": 0, "row": 1, "every": 2}
#: Bytes that a tile should stay within: about what the second cache of a core holds.
TILE = 2**18
#: Cells of a tile along the first two axes of three.
SQUARE = 8
#: How many times as many cells as temporaries are computed beyond a tile it has along an axis, at least; temporaries of
#: strips weigh as their cells do, as all pieces of a group share its tiles.
OVERLAP = 4
#: Cells of grids that are as good as endless.
ENDLESS = 10**6
#: Bytes of fields up to which each core has a shot of its own.
SMALL = 2**23
#: Bindings that are remembered for an order of pieces.
MOST = 16


@cache
def _march():
    (library,) = compiled([(Path(__file__).parent / "march.c").read_text()])
    function = library.library["march"]
    function.restype = ctypes.c_int
    function.argtypes = [ctypes.c_void_p] * 6 + [ctypes.c_int64] * 4
    return function


def done() -> None:
    """Wait for what has been done at once."""


class Processor:
    """The processor, with NumPy's arrays."""

    name = "cpu"

    def __reduce__(self):
        return "CPU"

    @property
    def concurrency(self) -> int:
        """As many shots as threads are wanted."""
        return count()

    #: What arrays are made and worked on with.
    xp = np

    @property
    def host(self) -> Processor:
        """Its arrays are the host's."""
        return self

    def active(self) -> AbstractContextManager:
        return nullcontext()

    def together(self, nbytes: int, most: int | None = None) -> Callable[[Callable, int], Iterator] | None:
        """Several shots at once are better off than one on all cores if their fields stay close to each core."""
        return side_by_side if count() > 1 and nbytes <= SMALL else None

    @property
    def free_bytes(self) -> int:
        return psutil.virtual_memory().available

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        return zeros(shape, dtype)

    def copy(self, source: np.ndarray, target: np.ndarray) -> Callable[[], None]:
        np.copyto(target, source)
        return done

    def to_device(self, a: np.ndarray, dtype: DTypeLike) -> np.ndarray:
        return aligned(np.ascontiguousarray(a, dtype))

    def to_host(self, a: np.ndarray) -> np.ndarray:
        return a

    def compile(self, loop: Loop) -> Program:
        return Program(loop)


#: That of this process.
CPU = Processor()


class Program:
    """A compiled time loop, called with the arrays that it works on.

    It may be called from several threads at once, with arrays of their own; other Python threads run meanwhile.

    Parameters
    ----------
    loop : Loop

    Attributes
    ----------
    names : frozenset of str
        Arrays that it needs.
    """

    def __init__(self, loop: Loop):
        self.loop, self.dtype = loop, np.dtype(loop.dtype)
        self._orders: dict[tuple[int, ...], Order] = {}
        first = self.order((ENDLESS,) * len(loop.axes))
        self.names, self._least = frozenset(first.names), first.ordered.least

    @property
    def sources(self) -> list[str]:
        """The C text of the pieces."""
        return [t.source for t in self.order((ENDLESS,) * len(self.loop.axes)).texts]

    def order(self, shape: Sequence[int]) -> Order:
        """The order of the pieces on a grid of a given shape; it matters only where strips of a layer may meet."""
        endless = (ENDLESS,) * len(shape)
        key = endless if endless not in self._orders or min(shape) >= self._least else tuple(shape)
        if key not in self._orders:
            ordered = self.loop.notes.get((*self.loop.what, "cpu", key), lambda: _ordered(self.loop, key))
            self._orders[key] = Order(ordered, self.dtype)
        return self._orders[key]

    def working_bytes(self, shape: Sequence[int]) -> int:
        """Those of the rows of tiles that threads are at: nothing to speak of."""
        return 0

    def __call__(
        self,
        arrays: Mapping[str, np.ndarray],
        shape: Sequence[int],
        numbers: Mapping[str, float],
        steps: tuple[int, int],
        direction: int = 1,
        bounds: Mapping[str, int] | None = None,
        threads: int | None = None,
    ) -> None:
        """Run the loop.

        Parameters
        ----------
        arrays : mapping
            With the dtype and the axes of their symbols; unit stride along the last.
        shape : sequence of int
            Cells of the grid.
        numbers : mapping
            ``dt`` and spacings.
        steps : (int, int)
            First and last, both included, smaller first.
        direction : int, optional
            1 from the first to the last, -1 the other way.
        bounds : mapping, optional
            Numbers of points and taps.
        threads : int, optional
            Number of OpenMP threads; by default that of :func:`seisops.engine.threads.count`, which holds in any case where
            the process was forked.

        Raises
        ------
        TypeError
            Missing arrays, or none of the right dtype.
        ValueError
            Arrays of the wrong shape or layout, or too small for what is looked at.
        """
        if missing := self.names - arrays.keys():
            raise TypeError(f"arguments of a compiled time loop: missing {', '.join(sorted(missing))}")
        self.order(shape).run(arrays, tuple(shape), numbers, steps, direction, bounds or {}, _threads(threads))


def _threads(threads: int | None) -> int:
    if threads is not None and operator.index(threads) < 1:
        raise ValueError(f"the number of threads has to be at least 1, not {threads}")
    return count() if threads is None or forked() else threads


@dataclass(frozen=True)
class Tables:
    """Tables for `march.c`, for arrays that are laid out in a certain way.

    Attributes
    ----------
    numbers, rules, views, pieces, groups : array of int64
        Views with the bytes from where arrays begin.
    which : array of int
        The array of each view.
    scratch : int
        Bytes of temporaries for each thread.
    alive : list
        What the tables point to.
    """

    numbers: np.ndarray
    rules: np.ndarray
    views: np.ndarray
    pieces: np.ndarray
    groups: np.ndarray
    which: np.ndarray
    scratch: int
    alive: list


@dataclass(frozen=True)
class Ordered:
    """Pieces in the order of a schedule, and their texts: all that there is to know to compile and run them.

    Attributes
    ----------
    groups : tuple of (bool, tuple of (Placed, Text))
        Whether a group waits for those before, and its pieces.
    integers : frozenset of str
        Arrays of 32-bit integers.
    least : int
        Cells along an axis from which on their number does not matter to the order.
    """

    groups: tuple[tuple[bool, tuple[tuple[Placed, Text], ...]], ...]
    integers: frozenset[str]
    least: int


def _ordered(loop: Loop, shape: Sequence[int]) -> Ordered:
    from seisops.engine.lower.text import text  # takes SymPy, which whoever finds this noted does without

    made = loop.made

    def written(piece: Piece) -> tuple[Placed, Text]:
        return piece.placed, text(piece.statements, piece.axes, loop.dtype, made.integers, piece.row)

    groups = [(g.waits, tuple(map(written, g.pieces))) for g in schedule(made.pieces, shape)]
    return Ordered(tuple(groups), made.integers, least(made.pieces))


class Order:
    """Pieces in the order of a schedule, compiled.

    Attributes
    ----------
    names : list of str
        Arrays that they need.
    texts : list of Text
    """

    def __init__(self, ordered: Ordered, dtype: np.dtype):
        self.ordered, self.dtype = ordered, dtype
        self.pieces, texts = zip(*(both for _, group in ordered.groups for both in group), strict=True)
        self.texts: list[Text] = list(texts)
        self._calls = [p.address("piece") for p in compiled([t.source for t in self.texts], "piece")]
        self.names = sorted({a.name for p in self.pieces for a in p.arrays.values()})
        self._written = frozenset(a.name for p in self.pieces for a in p.accesses if a.written)
        self._coefficients = list(dict.fromkeys(c for t in self.texts for c in t.scalars))
        self._evaluate = coefficients(self._coefficients)
        self._histories = histories(self.pieces)
        self._bound: OrderedDict[tuple, Tables] = OrderedDict()

    def run(self, arrays, shape, numbers, steps, direction, bounds, threads) -> None:
        """See :class:`Program`."""
        used = [arrays[name] for name in self.names]
        for name, a in zip(self.names, used, strict=True):
            if not isinstance(a, np.ndarray) or name in self._written and not a.flags.writeable:
                raise _unsuited(name, a)
        layouts = tuple((a.shape, a.strides, a.dtype.str) for a in used)
        key = (shape, tuple(numbers.items()), layouts, tuple(bounds.items()), threads)
        check_histories(self._histories, arrays, steps)
        bound = self._bound.get(key)
        if bound is None:
            bound = self._bind(dict(zip(self.names, used, strict=True)), shape, numbers, bounds, threads)
            self._bound[key] = bound
            while len(self._bound) > MOST:
                self._bound.popitem(last=False)
        views = bound.views.copy()
        views[:, 0] += np.array([a.__array_interface__["data"][0] for a in used], np.int64)[bound.which]
        scratch = zeros((max(bound.scratch * threads, 1),), np.uint8)
        tables = (bound.numbers, bound.rules, views, bound.pieces, bound.groups, scratch)
        _march()(*(t.ctypes.data for t in tables), *steps, direction, threads)

    def _bind(self, arrays: Mapping[str, np.ndarray], shape, numbers, bounds, threads: int) -> Tables:
        values = dict(zip(self._coefficients, self._evaluate(numbers), strict=True))
        alive: list = []
        rules: dict = {}
        views, which, pieces, groups, room, n = [], [], [], [], 0, 0
        bands = self._bands()
        for k, (waits, group) in enumerate(self.ordered.groups):
            rows = group[0][0]
            first, end = (0, bounds[rows.bound[0]]) if rows.bound else (e.of(shape[0]) for e in rows.box[0])
            follows = k > 0 and bands[k] is bands[k - 1]
            tile = self._tile(bands[k], shape, max(end - first, 1), threads)
            groups.append((n, len(group), first, end, *tile, int(waits), int(follows)))
            for piece, t in group:
                begin, layouts = len(views), []
                for load in t.loads:
                    array = piece.arrays[load.name]
                    a = arrays[array.name]
                    strides = layout(array.name, a, len(array.origin), load.rule is not None, self._dtype(load.name))
                    base = -inset(array, strides, shape)
                    rule = -1 if load.rule is None else rules.setdefault(load.rule, len(rules))
                    views.append((base, a.strides[0] if load.rule else 0, rule))
                    which.append(self.names.index(array.name))
                    layouts.append([s // a.itemsize for s in strides])
                apart = np.array([layouts[view][axis] for view, axis in t.strides] or [0], np.int64)
                scalars = np.array([values[c] for c in t.scalars] or [0], self.dtype)
                alive += [apart, scalars]
                if piece.bound:
                    box = [0, bounds[piece.bound[0]], 0, bounds[piece.bound[1]]]
                else:
                    box = [end.of(cells) for ends, cells in zip(piece.box, shape, strict=True) for end in ends]
                    cells = (*tile[: len(shape) - 1], box[-1] - box[-2])
                    room = max(room, t.scratch(cells) * self.dtype.itemsize)
                call = (self._calls[n], begin, len(t.loads), apart.ctypes.data, scalars.ctypes.data)
                pieces.append((*call, piece.every, piece.behind, *box, *[0] * (6 - len(box))))
                check(piece, box, arrays, shape)
                n += 1
        room = ceil(room / ALIGNMENT) * ALIGNMENT
        behind = any(piece.behind for piece in self.pieces)
        kinds = [(KINDS[r.kind], r.offset, r.period) for r in rules]
        return Tables(
            np.array([len(shape), len(rules), len(views), len(groups), room, behind], np.int64),
            *(np.array(table or [(0, 0, 0)], np.int64) for table in (kinds, views, pieces, groups)),
            np.array(which, np.intp),
            room,
            alive,
        )

    def _bands(self) -> list[list[tuple[Placed, Text]]]:
        """For each group, what goes through the grid together with it: groups of the same rows that need not wait."""
        out: list[list[tuple[Placed, Text]]] = []
        for waits, group in self.ordered.groups:
            rows = group[0][0]
            follows = out and not waits and not rows.bound and out[-1][-1][0].rows == rows.rows
            if follows:
                out[-1].extend(group)
            out.append(out[-1] if follows else list(group))
        return out

    def _dtype(self, name: str) -> np.dtype:
        return np.dtype(np.int32) if name in self.ordered.integers else self.dtype

    def _tile(self, group: Sequence[tuple[Placed, Text]], shape, rows: int, threads: int) -> tuple[int, int]:
        """Cells along the first and second axis that the pieces of a group take together."""
        if group[0][0].bound:
            return rows, 0
        share = max(1, ceil(rows / threads))
        cells = [piece.cells(shape) for piece, _ in group]
        beyond = [
            OVERLAP * sum(n * t.beyond(axis) for n, (_, t) in zip(cells, group, strict=True)) // max(sum(cells), 1)
            for axis in range(len(shape) - 1)
        ]
        if len(shape) == 3:
            return min(share, max(SQUARE, beyond[0])), max(SQUARE, beyond[1])
        arrays = max(len({load.name for _, t in group for load in t.loads}), 1)
        fitting = TILE // (shape[-1] * self.dtype.itemsize * arrays)
        return max(1, min(share, max(fitting, beyond[0]))), 1


def layout(name: str, a: np.ndarray, axes: int, levels: bool, dtype: np.dtype) -> tuple[int, ...]:
    """Strides in bytes along the axes of the grid, of an array that suits."""
    if a.dtype != dtype:
        raise TypeError(f"{name} has to be a NumPy array of {dtype}, not of {a.dtype}")
    if a.ndim < axes + levels:
        raise ValueError(f"{name} has to have {axes + levels} axes, not the shape {a.shape}")
    if axes and a.shape[-1] > 1 and a.strides[-1] != a.itemsize:
        raise ValueError(
            f"{name} has to be contiguous along its last axis: strides {a.strides} for shape {a.shape} are not"
        )
    return a.strides[a.ndim - axes :] if axes else ()


def inset(array: Array, strides: Sequence[int], shape: Sequence[int]) -> int:
    """Bytes from cell 0 of a grid to where an array begins: less than none, where that is before it."""
    return sum(o[1].of(shape[o[0]]) * s for o, s in zip(array.origin, strides, strict=True) if o is not None)


def check(piece: Placed, box: Sequence[int], arrays: Mapping[str, np.ndarray], shape: Sequence[int]) -> None:
    """Refuse arrays in which a piece would look beyond the ends; where tables say, they are trusted."""
    known = {array.name: array for array in piece.arrays.values()}
    ends = list(zip(box[::2], box[1::2], strict=True))
    if any(first >= end for first, end in ends):
        return
    for access in piece.accesses:
        a, array = arrays[access.name], known[access.name]
        if access.rule is not None and access.rule.kind == "modulo" and len(a) < access.rule.period:
            raise _small(access.name, a, f"{access.rule.period} time levels")
        for extent, origin in zip(a.shape[a.ndim - len(array.origin) :], array.origin, strict=True):
            if origin is None or access.reach is None:
                continue
            (first, end), (low, high) = ends[origin[0]], access.reach[origin[0]]
            start = origin[1].of(shape[origin[0]])
            if (low, high) != ANYWHERE and not (start <= first + low and end + high <= start + extent):
                raise _small(access.name, a, f"cells {first + low} to {end + high - 1} along axis {origin[0]}")
    for load in piece.loads:
        a = arrays[piece.arrays[load.name].name]
        for extent, index in zip(a.shape[a.ndim - len(load.at) :], load.at, strict=True):
            if index.variable in piece.points and extent < _end(piece, box, index.variable):
                raise _small(piece.arrays[load.name].name, a, f"{_end(piece, box, index.variable)} entries")


def histories(pieces: Iterable[Piece | Placed]) -> frozenset[tuple[str, Rule]]:
    """Arrays that have an entry for each step, or for some, with what says which."""
    found = ((a.name, a.rule) for p in pieces for a in p.accesses if a.rule is not None)
    return frozenset((name, rule) for name, rule in found if rule.kind != "modulo")


def check_histories(
    histories: Iterable[tuple[str, Rule]], arrays: Mapping[str, np.ndarray], steps: tuple[int, int]
) -> None:
    """Refuse arrays with fewer entries than steps up to the last ask for."""
    for name, rule in histories:
        entries = 1 + (steps[1] + rule.offset if rule.kind == "row" else steps[1] // rule.period)
        if len(arrays[name]) < entries:
            raise _small(name, arrays[name], f"entries for {entries} steps")


def _end(piece: Placed, box: Sequence[int], variable: str) -> int:
    """How far a loop goes."""
    return box[2 * piece.axes.index(variable) + 1]


def _small(name: str, a: np.ndarray, what: str) -> ValueError:
    return ValueError(f"{name} is too small: it has the shape {a.shape}, and has to have {what}")


def _unsuited(name: str, a) -> Exception:
    if not isinstance(a, np.ndarray):
        return TypeError(f"{name} has to be a NumPy array, not a {type(a).__name__}")
    return ValueError(f"{name} has to be an array that can be written to: this one is read-only")
