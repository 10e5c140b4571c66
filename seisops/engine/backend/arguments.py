"""What the functions of pieces are given, by what it is, so that the same is one argument of a kernel; and its values.

What differs from shot to shot is in a table in the memory of the device, a row for each; functions are given places in it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seisops.engine.backend.cpu import inset, layout
from seisops.engine.lower.cuda import HEAD, THREADS, Call, Kernels, tap_parts
from seisops.engine.lower.nodes import Rule
from seisops.engine.lower.piece import Array, End, Piece

__all__ = ["Allocator", "Meaning", "Row", "Table", "Values", "calls"]

#: Of rules that never come back to an entry.
ENDLESS = 2**31 - 1

#: What an argument is; those of :meth:`Values.of`.
Meaning = tuple[Hashable, ...]


class Allocator(Protocol):
    """What makes arrays, and knows where they begin."""

    def address(self, a: Any) -> int:
        """Where an array begins."""

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> Any:
        """An array in which anything may stand."""


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


class Row:
    """A row of a table, as it is made.

    Parameters
    ----------
    memory : Allocator
    """

    def __init__(self, memory: Allocator):
        self._memory = memory
        self._bases: list[tuple[int, int]] = []
        self._rules: list[tuple[int, int, int]] = []
        self._places: dict[tuple, np.int32] = {}
        self._alive: list = []

    @property
    def bases(self) -> NDArray:
        """Its part of a table's."""
        return np.array(self._bases, np.uint64).reshape(-1, 2)

    @property
    def rules(self) -> NDArray:
        """Those of a table."""
        return np.array(self._rules, np.uint32).reshape(-1, 3)

    def room(self, shape: tuple[int, ...], dtype: DTypeLike) -> int:
        """Where there is memory as long as the row is in use."""
        self._alive.append(self._memory.empty(shape, dtype))
        return self._memory.address(self._alive[-1])

    def number(self, n: int) -> np.int32:
        """Where in the row there is a number."""
        return self._entered((int(n), 0), _entry(None, 0))

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
            self._places[key] = self._entered((base % 2**64, apart), _entry(rule, behind))
        return self._places[key]

    def _entered(self, base: tuple[int, int], rule: tuple[int, int, int]) -> np.int32:
        self._bases.append(base)
        self._rules.append(rule)
        return np.int32(HEAD + len(self._bases) - 1)


def _entry(rule: Rule | None, behind: int) -> tuple[int, int, int]:
    """``offset, divisor, period`` of a rule."""
    if rule is None:
        return 0, 1, 1
    if rule.kind == "modulo":
        # from 1: after step 0 backward comes -1, the largest unsigned number, before which no multiple of the period may be
        return (rule.offset - behind - 1) % rule.period + 1, 1, rule.period
    # of unsigned numbers: what is less than 0 comes round
    offset = (rule.offset if rule.kind == "row" else 0) - behind
    return offset % 2**32, 1 if rule.kind == "row" else rule.period, ENDLESS


def calls(piece: Piece, number: int, made: Kernels, integers: frozenset[str]) -> list[Call]:
    """The functions of a piece, with what they are given.

    Parameters
    ----------
    piece : Piece
    number : int
        Which it is of its loop: temporaries are its own.
    made : Kernels
    integers : frozenset of str
        Arrays of integers.
    """
    text = made.text
    loads = [(piece.arrays[load.name], load.rule, load.name in integers) for load in text.loads]
    layouts = [(array.name, len(array.origin), rule is not None, integer) for array, rule, integer in loads]
    out: list[Meaning] = [("unsigned", piece.every), ("signed", piece.behind)]
    out += [("array", *load, piece.behind) for load in loads]
    sizes: list[Meaning] = [("stride", *layouts[slot], axis) for slot, axis in text.strides]
    if piece.bound:
        points, taps = piece.bound
        sizes += [("signed", 0), ("bound", points), ("signed", 0), ("bound", taps)]
        if made.parts:
            out.append(("sums", number, *piece.bound))
            sizes.append(("parts", taps))
        out += [("shown", size) for size in sizes]  # each shot has its own numbers of them
    else:
        sizes += [("end", axis, end) for axis, ends in enumerate(piece.box) for end in ends]
        for n, extent in enumerate(text.temporaries):
            sides = [(axis, *ends, *more) for axis, (ends, more) in enumerate(zip(piece.box, extent, strict=True))]
            out.append(("room", number, n, *sides))
            sizes += [("elements", *sides[axis + 1 :]) for axis in range(len(sides) - 1)]
        out += sizes
    out += [("scalar", one) for one in text.scalars]
    what = {name: meaning for (_, name), meaning in zip(made.arguments, out, strict=True)}
    return [Call(f, tuple(what[name] for _, name in f.arguments)) for f in made.functions]


#: Along an axis: which, the ends of a box, and how far it goes beyond each.
Side = tuple[int, End, End, int, int]


@dataclass(frozen=True)
class Values:
    """The values of arguments in one march.

    Parameters
    ----------
    row : Row
        Of its table, which grows with what is looked up in it.
    memory : Allocator
    arrays : mapping
    shape : tuple of int
        Cells of the grid.
    bounds : mapping
        Numbers of points and of taps.
    scalar : callable
        The value of a coefficient by its text.
    dtype : dtype
    """

    row: Row
    memory: Allocator
    arrays: Mapping[str, Any]
    shape: tuple[int, ...]
    bounds: Mapping[str, int]
    scalar: Callable[[str], Any]
    dtype: np.dtype

    def of(self, meaning: Meaning) -> Any:
        """The value of one."""
        match meaning:
            case ("unsigned", n):
                return np.uint32(n)
            case ("signed", n):
                return np.int32(n)
            case ("bound", name):
                return np.int32(self.bounds[name])
            case ("parts", taps):
                return np.int32(tap_parts(self.bounds[taps]))
            case ("end", axis, end):
                return np.int32(end.of(self.shape[axis]))
            case ("elements", *sides):
                return np.uint32(prod(map(self._cells, sides)))
            case ("stride", name, axes, levels, integer, axis):
                strides = self._strides(name, axes, levels, integer)
                return np.uint32(strides[axis] // self.arrays[name].dtype.itemsize)
            case ("array", array, rule, integer, behind):
                return self._place(array, rule, integer, behind)
            case ("room", _, _, *sides):
                return self._room(tuple(map(self._cells, sides)))
            case ("sums", _, points, taps):
                return self._room((self.bounds[points], tap_parts(self.bounds[taps])))
            case ("shown", of):
                return self.row.number(self.of(of))
            case ("scalar", text):
                return self.scalar(text)
        raise AssertionError(meaning)

    def _strides(self, name: str, axes: int, levels: bool, integer: bool) -> tuple[int, ...]:
        return layout(name, self.arrays[name], axes, levels, np.dtype(np.int32) if integer else self.dtype)

    def _place(self, array: Array, rule: Rule | None, integer: bool, behind: int) -> np.int32:
        a, strides = self.arrays[array.name], self._strides(array.name, len(array.origin), rule is not None, integer)
        base = self.memory.address(a) - inset(array, strides, self.shape)
        return self.row.place(base, a.strides[0] if rule else 0, rule, behind)

    def _room(self, shape: tuple[int, ...]) -> np.int32:
        return self.row.place(self.row.room(shape, self.dtype))

    def _cells(self, side: Side) -> int:
        axis, first, end, low, high = side
        return end.of(self.shape[axis]) + high - first.of(self.shape[axis]) - low
