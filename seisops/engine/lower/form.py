"""What a piece computes in a cell, as sums of products of arrays and of differences of them.

Derivatives are taken as they stand: one of an array is a sum over its taps, one of anything else is a sum over the taps of a
temporary, which is computed once for each cell instead of once for each tap. Coefficients of time step and cell sizes alone
become numbers when a time loop runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import sympy
from devito import Derivative

from seisops.engine.symbols.stencils import stencil
from seisops.engine.symbols.template import Template

__all__ = ["Call", "Form", "Index", "Load", "Node", "Rule", "Sum", "Taps", "Temporary", "nodes", "shifted"]

#: A derivative or average of so few taps is taken of whole expressions: a temporary would cost more.
FEW = 2


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
        found = (n for n in nodes(self, inside=True) if isinstance(n, Load))
        return self.key, tuple((n.name, n.rule.offset if n.rule else 0) for n in found)

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

    def moved(self, variable: str, by: int) -> Temporary:
        return replace(self, at=tuple((v, k + by if v == variable else k) for v, k in self.at))


@dataclass(frozen=True)
class Sum(Node):
    """Terms ``coefficient * product of nodes``, in the order of their keys."""

    terms: tuple[tuple[sympy.Expr, tuple[Node, ...]], ...]

    @cached_property
    def key(self) -> tuple:
        return (2, *((str(c) if c.is_Number else "", *(f.key for f in factors)) for c, factors in self.terms))

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    def __hash__(self) -> int:
        return self._hash

    def moved(self, variable: str, by: int) -> Sum:
        return _sum({tuple(f.moved(variable, by) for f in factors): c for c, factors in self.terms})


@dataclass(frozen=True)
class Taps(Node):
    """A finite difference: terms ``weight * product of nodes``, whose weights are numbers."""

    terms: tuple[tuple[sympy.Float, tuple[Node, ...]], ...]

    @cached_property
    def key(self) -> tuple:
        return (3, *((float(w), *(f.key for f in factors)) for w, factors in self.terms))

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

    def moved(self, variable: str, by: int) -> Call:
        return replace(self, arguments=tuple(a.moved(variable, by) for a in self.arguments))


def _sum(terms: Mapping[tuple[Node, ...], sympy.Expr]) -> Sum:
    kept = [(c, factors) for factors, c in terms.items() if c != 0]
    return Sum(tuple(sorted(kept, key=_order)))


def _order(term: tuple) -> tuple:
    c, factors = term
    return len(factors), tuple(f.key for f in factors), tuple(f.order for f in factors), str(c)


def shifted(node: Node, by: Mapping[str, int]) -> Node:
    """A node some cells further along some axes."""
    for variable, k in by.items():
        if k:
            node = node.moved(variable, k)
    return node


def nodes(node: Node, inside: bool = False) -> Iterator[Node]:
    """A node and all that it is made of; that of temporaries only if wanted."""
    yield node
    match node:
        case Sum() | Taps():
            for _, factors in node.terms:
                for f in factors:
                    yield from nodes(f, inside)
        case Call():
            for a in node.arguments:
                yield from nodes(a, inside)
        case Temporary() if inside:
            yield from nodes(node.of, inside)
        case Load():
            for i in node.at:
                if i.table is not None:
                    yield from nodes(i.table, inside)


class Form:
    """Takes symbolic expressions apart.

    Parameters
    ----------
    template : Template
    load : callable
        Makes a `Load` of a function with its indices.
    reciprocal : callable
        The function that holds one over another one, with the same indices; None if none does.
    """

    def __init__(self, template: Template, load: Callable, reciprocal: Callable):
        self.template, self._load, self._reciprocal = template, load, reciprocal
        self._known: dict = {}

    def sum(self, expr) -> Sum:
        """An expression as a sum of products."""
        return _sum(self._terms(sympy.sympify(expr)))

    def _terms(self, expr) -> dict[tuple[Node, ...], sympy.Expr]:
        if expr in self._known:
            return self._known[expr]
        if getattr(expr, "is_DiscreteFunction", False):
            out = {(self._load(expr),): sympy.S.One}
        elif isinstance(expr, Derivative):
            out = self._derivative(expr)
        elif expr.is_Add:
            out = {}
            for a in expr.args:
                for factors, c in self._terms(a).items():
                    out[factors] = out.get(factors, sympy.S.Zero) + c
        elif expr.is_Mul:
            out = {(): sympy.S.One}
            for a in expr.args:
                out = _product(out, self._terms(a))
        elif expr.is_Pow:
            out = self._power(*expr.args)
        elif expr.args and any(self._terms(a).keys() != {()} for a in expr.args):
            out = {(Call(expr.func, tuple(self.sum(a) for a in expr.args)),): sympy.S.One}
        else:
            out = {(): expr}
        self._known[expr] = out
        return out

    def _power(self, base, exponent) -> dict[tuple[Node, ...], sympy.Expr]:
        if exponent.is_Integer and exponent < 0 and (one_over := self._reciprocal(base)) is not None:
            base, exponent = one_over, -exponent
        terms = self._terms(base)
        if terms.keys() <= {()}:
            return {(): terms.get((), sympy.S.Zero) ** exponent}
        if exponent.is_Integer and exponent > 0 and len(terms) == 1:
            ((factors, c),) = terms.items()
            return {tuple(sorted(factors * int(exponent), key=lambda f: f.order)): c**exponent}
        return {(Call(sympy.Pow, (_sum(terms),), exponent),): sympy.S.One}

    def _derivative(self, expr) -> dict[tuple[Node, ...], sympy.Expr]:
        taps = stencil(expr, self.template, dict.fromkeys(expr.dims, sympy.S.One))
        unit = sympy.prod(d.spacing**-order for d, order in zip(expr.dims, expr.deriv_order, strict=True))
        axes = [d.name for d in expr.dims]
        moves = {offsets: dict(zip(axes, offsets, strict=True)) for offsets in taps}
        inner, out = self._terms(expr.expr), {}
        if len(taps) > FEW and (len(inner) > 1 or not all(map(_simple, inner))):
            inner = {(Temporary(_sum(inner), tuple((d.name, 0) for d in self.template.dimensions)),): sympy.S.One}
        for factors, c in inner.items():
            terms = [(w, tuple(shifted(f, moves[k]) for f in factors)) for k, w in taps.items()]
            if len(terms) == 1:
                ((w, moved),) = terms
                out[moved] = out.get(moved, sympy.S.Zero) + c * unit * w
            else:
                out[(_taps(terms),)] = c * unit
        return out


def _taps(terms: list) -> Taps:
    return Taps(tuple(sorted(terms, key=_order)))


def _simple(factors: tuple[Node, ...]) -> bool:
    """Whether a product is an array, times others that depend on one axis only."""
    return all(isinstance(f, Load) for f in factors) and sum(len(f.at) > 1 for f in factors) <= 1


def _product(a: dict, b: dict) -> dict:
    """The product of two sums; one of several terms is a factor of its own."""
    a, b = (({(_sum(s),): sympy.S.One} if len(s) > 1 else s) for s in (a, b))
    if not a or not b:
        return {}
    ((f, c),), ((g, d),) = a.items(), b.items()
    return {tuple(sorted((*f, *g), key=lambda n: n.order)): c * d}
