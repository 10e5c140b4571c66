"""What a piece computes in a cell, as sums of products of arrays and of differences of them.

Derivatives are taken as they stand: one of an array is a sum over its taps, one of anything else is a sum over the taps of a
temporary, which is computed once for each cell instead of once for each tap. Coefficients of time step and cell sizes alone
become numbers when a time loop runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import sympy
from devito import Derivative

from seisops.engine.lower.constancy import Constancy
from seisops.engine.lower.nodes import Call, Load, Node, Sum, Taps, Temporary, nodes, shifted, summed, term_order
from seisops.engine.symbols.stencils import stencil
from seisops.engine.symbols.template import Template

__all__ = ["Form"]

#: A derivative or average of so few taps is taken of whole expressions: a temporary would cost more.
FEW = 2


class Form:
    """Takes symbolic expressions apart.

    Parameters
    ----------
    template : Template
    load : callable
        Makes a `Load` of a function with its indices.
    constancy : Constancy
        Finds what need not be computed here.
    """

    def __init__(self, template: Template, load: Callable, constancy: Constancy):
        self.template, self._load, self._constancy = template, load, constancy
        self._known: dict = {}

    def sum(self, expr) -> Sum:
        """An expression as a sum of products."""
        return summed(self._terms(sympy.sympify(expr)))

    def _terms(self, expr) -> dict[tuple[Node, ...], sympy.Expr]:
        if expr in self._known:
            return self._known[expr]
        constant, beside = self._constancy.of(expr), ()
        if constant is None and expr.is_Mul:
            constant, beside = self._constancy.factor(expr)
        if getattr(expr, "is_DiscreteFunction", False):
            out = {(self._load(expr),): sympy.S.One}
        elif constant is not None:
            out = self._terms(constant)
            for a in beside:
                out = _product(out, self._terms(a))
        elif isinstance(expr, Derivative):
            out = self._derivative(expr)
        elif expr.is_Add:
            out = {}
            for a in self._together(expr.args):
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
        terms = self._terms(base)
        if terms.keys() <= {()}:
            return {(): terms.get((), sympy.S.Zero) ** exponent}
        if exponent.is_Integer and exponent > 0 and len(terms) == 1:
            ((factors, c),) = terms.items()
            return {tuple(sorted(factors * int(exponent), key=lambda f: f.order)): c**exponent}
        return {(Call(sympy.Pow, (summed(terms),), exponent),): sympy.S.One}

    def _derivative(self, expr) -> dict[tuple[Node, ...], sympy.Expr]:
        taps = self._taps_of(expr)
        unit = sympy.prod(d.spacing**-order for d, order in zip(expr.dims, expr.deriv_order, strict=True))
        axes = [d.name for d in expr.dims]
        moves = {offsets: dict(zip(axes, offsets, strict=True)) for offsets in taps}
        inner, out = self._terms(expr.expr), {}
        if len(taps) > FEW and (len(inner) > 1 or not all(map(_simple, inner))):
            inner = {(self._temporary(summed(inner)),): sympy.S.One}
        for factors, c in inner.items():
            terms = [(w, tuple(shifted(f, moves[k]) for f in factors)) for k, w in taps.items()]
            if len(terms) == 1:
                ((w, moved),) = terms
                out[moved] = out.get(moved, sympy.S.Zero) + c * unit * w
            else:
                out[(_taps(terms),)] = c * unit
        return out

    def _together(self, terms: Sequence) -> list:
        """Terms of a sum, where differences that need temporaries are one with others of the same kind beside the same."""
        alike: dict = {}
        for term in terms:
            c, product = term.as_coeff_Mul()
            factors = sympy.Mul.make_args(product)
            wide = [f for f in factors if isinstance(f, Derivative) and len(self._taps_of(f)) > FEW]
            if len(wide) == 1:
                beside = Counter(factors)  # whatever their order
                beside.subtract(wide)
                (d,) = wide
                kind = d.dims, d.deriv_order, frozenset(self._taps_of(d).items()), frozenset((+beside).items())
                alike.setdefault(kind, []).append((term, c, d, sympy.Mul(*beside.elements())))
        out = list(terms)
        for those in alike.values():
            if len(those) == 1 or all(_simple(f) for _, _, d, _ in those for f in self._terms(d.expr)):
                continue
            _, _, first, beside = those[0]
            merged = {term for term, *_ in those}
            together = first._rebuild(expr=sympy.Add(*(c * d.expr for _, c, d, _ in those)))
            out = [term for term in out if term not in merged] + [beside * together]
        return out

    def _taps_of(self, derivative) -> dict:
        """Its weights for cells of unit size."""
        return stencil(derivative, self.template, dict.fromkeys(derivative.dims, sympy.S.One))

    def _temporary(self, of: Sum) -> Temporary:
        """A sum as a temporary; sums of differences within it, which others may have in common with it, are theirs, too."""

        def inside(f: Node) -> Node:
            shared = isinstance(f, Sum) and any(isinstance(n, Taps | Temporary) for n in nodes(f))
            return self._temporary(f) if shared else f

        if len(of.terms) == 1 and len(of.terms[0][1]) > 1:
            ((c, factors),) = of.terms
            of = summed({tuple(sorted(map(inside, factors), key=lambda n: n.order)): c})
        return Temporary(of, tuple((d.name, 0) for d in self.template.dimensions))


def _taps(terms: list) -> Taps:
    return Taps(tuple(sorted(terms, key=term_order)))


def _simple(factors: tuple[Node, ...]) -> bool:
    """Whether a product is an array, times others that depend on one axis only."""
    return all(isinstance(f, Load) for f in factors) and sum(len(f.at) > 1 for f in factors) <= 1


def _product(a: dict, b: dict) -> dict:
    """The product of two sums; one of several terms is a factor of its own."""
    a, b = (({(summed(s),): sympy.S.One} if len(s) > 1 else s) for s in (a, b))
    if not a or not b:
        return {}
    ((f, c),), ((g, d),) = a.items(), b.items()
    return {tuple(sorted((*f, *g), key=lambda n: n.order)): c * d}
