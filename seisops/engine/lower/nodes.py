"""What a piece computes in a cell: sums of products of arrays, and of differences of them.

Plain data, compared by value. Coefficients are expressions of the time step and cell sizes, or numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sympy

__all__ = [
    "Call",
    "Index",
    "Load",
    "Node",
    "Rule",
    "Statement",
    "Sum",
    "Taps",
    "Temporary",
    "nodes",
    "shifted",
    "summed",
    "term_order",
]


@dataclass(frozen=True)
class Rule:
    """Which of its entries along the first axis an array shows at a time step.

    Attributes
    ----------
    kind : {"modulo", "row", "every"}
        Entry ``(step + offset) mod period``, ``step + offset``, ``step // period``.
    offset, period : int
    """

    kind: str
    offset: int = 0
    period: int = 1

    def before(self, steps: int) -> Rule:
        """That of the same entry, so many steps later."""
        if self.kind == "every":
            return self  # may be the same or not
        moved = self.offset - steps
        return replace(self, offset=moved % self.period if self.kind == "modulo" else moved)


@dataclass(frozen=True)
class Index:
    """Place along an axis of an array: ``sign * variable + shift``, or what a table says.

    Attributes
    ----------
    variable : str
        Of the loops; empty for a number.
    shift : int
    sign : int
    table : Load, optional
    """

    variable: str
    shift: int = 0
    sign: int = 1
    table: Load | None = None


class Node:
    """Part of an expression. Nodes are compared by value."""

    @cached_property
    def key(self) -> tuple:
        """What orders nodes, without the names of arrays, so that texts of the same shape are the same text."""
        raise NotImplementedError

    @cached_property
    def order(self) -> tuple:
        """Where it stands among others: names and levels decide between those of one shape, the same in each process."""
        return self.key, tuple(n.order for n in self.parts)

    @property
    def parts(self) -> Iterator[Node]:
        """What it is made of, of arrays nothing."""
        return iter(())

    def moved(self, variable: str, by: int) -> Node:
        """The same some cells further."""
        raise NotImplementedError


@dataclass(frozen=True)
class Load(Node):
    """An array in a cell.

    Attributes
    ----------
    name : str
        Of its symbol.
    rule : Rule, optional
    at : tuple of Index
        Along its axes, without that of time.
    """

    name: str
    rule: Rule | None
    at: tuple[Index, ...]

    @cached_property
    def key(self) -> tuple:
        return (0, *((i.variable, i.sign, i.shift) if i.table is None else ("@", 0, i.shift) for i in self.at))

    @cached_property
    def order(self) -> tuple:
        return self.key, (self.name, self.rule.offset if self.rule else 0), *(n.order for n in self.parts)

    @property
    def parts(self):
        return (i.table for i in self.at if i.table is not None)

    def moved(self, variable: str, by: int) -> Load:
        at = tuple(replace(i, shift=i.shift + i.sign * by) if i.variable == variable else i for i in self.at)
        return replace(self, at=at)


@dataclass(frozen=True)
class Temporary(Node):
    """A sum that is computed before, in all the cells in which it is wanted, in the cell that lies `at` from this one."""

    of: Sum
    at: tuple[tuple[str, int], ...]

    @cached_property
    def key(self) -> tuple:
        return (1, *self.at, self.of.key)

    @property
    def parts(self):
        return iter((self.of,))

    def moved(self, variable: str, by: int) -> Temporary:
        return replace(self, at=tuple((v, k + by if v == variable else k) for v, k in self.at))


@dataclass(frozen=True)
class Sum(Node):
    """Terms ``coefficient * product of nodes``, in the order of their keys."""

    terms: tuple[tuple[sympy.Expr, tuple[Node, ...]], ...]

    @cached_property
    def key(self) -> tuple:
        return (2, *((str(c) if c.is_Number else "", *(f.key for f in factors)) for c, factors in self.terms))

    @property
    def parts(self):
        return (f for _, factors in self.terms for f in factors)

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    def __hash__(self) -> int:
        return self._hash

    def moved(self, variable: str, by: int) -> Sum:
        return summed({tuple(f.moved(variable, by) for f in factors): c for c, factors in self.terms})


@dataclass(frozen=True)
class Taps(Node):
    """A finite difference: terms ``weight * product of nodes``, whose weights are numbers."""

    terms: tuple[tuple[sympy.Float, tuple[Node, ...]], ...]

    @cached_property
    def key(self) -> tuple:
        return (3, *((float(w), *(f.key for f in factors)) for w, factors in self.terms))

    @property
    def parts(self):
        return (f for _, factors in self.terms for f in factors)

    def moved(self, variable: str, by: int) -> Taps:
        return Taps(tuple((w, tuple(f.moved(variable, by) for f in factors)) for w, factors in self.terms))


@dataclass(frozen=True)
class Call(Node):
    """A function of sums."""

    function: type
    arguments: tuple[Sum, ...]
    exponent: sympy.Expr | None = None

    @cached_property
    def key(self) -> tuple:
        return (4, self.function.__name__, str(self.exponent), *(a.key for a in self.arguments))

    @property
    def parts(self):
        return iter(self.arguments)

    def moved(self, variable: str, by: int) -> Call:
        return replace(self, arguments=tuple(a.moved(variable, by) for a in self.arguments))


@dataclass(frozen=True)
class Statement:
    """``target = value`` or ``target += value``."""

    target: Load
    value: Sum
    add: bool


def summed(terms: Mapping[tuple[Node, ...], sympy.Expr]) -> Sum:
    """A sum of terms ``{factors: coefficient}``, in order."""
    kept = [(c, factors) for factors, c in terms.items() if c != 0]
    return Sum(tuple(sorted(kept, key=term_order)))


def term_order(term: tuple) -> tuple:
    """What orders the terms of a sum."""
    c, factors = term
    return len(factors), tuple(f.key for f in factors), tuple(f.order for f in factors), str(c)


def shifted(node: Node, by: Mapping[str, int]) -> Node:
    """A node some cells further along some axes."""
    for variable, k in by.items():
        if k:
            node = node.moved(variable, k)
    return node


def nodes(node: Node, inside: bool = False) -> Iterator[Node]:
    """A node and all that it is made of, each object once; that of temporaries only if wanted."""
    left, seen = [node], set()
    while left:
        n = left.pop()
        if id(n) in seen:
            continue
        seen.add(id(n))
        yield n
        if inside or not isinstance(n, Temporary):
            left.extend(reversed([*n.parts]))
