"""Finite-difference weights in full precision.

Devito rounds the weights of its derivatives to nine digits, and products of rounded weights again. That breaks the exact
symmetries (of a derivative and its transpose, of even and odd extensions) on which exact adjoints rest, so derivatives
are evaluated here: the points are those that Devito would take, the weights are rational numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import sympy
from devito import Derivative
from devito.finite_differences.differentiable import EvalDerivative
from devito.finite_differences.tools import direct, transpose

from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import occurrences
from seisops.errors import ParameterError

__all__ = ["evaluate", "stencil"]

DIGITS = 17


def stencil(
    derivative: Derivative, template: Template, spacings: Mapping | None = None
) -> dict[tuple[int, ...], sympy.Expr]:
    """Weights ``{offsets along derivative.dims: weight}`` of a derivative, with the spacings as symbols or as given.

    The weights on given points are those of polynomial interpolation (Fornberg 1988, doi:10.1090/S0025-5718-1988-0935077-0),
    or those that the derivative states, on as many points, as many on either side.
    """
    axes, spacings = [], spacings or {}
    for d, order, width in zip(derivative.dims, derivative.deriv_order, derivative.fd_order, strict=True):
        at = (derivative.x0.get(d, d) - d) / d.spacing
        if derivative.weights:
            stated = zip(_centred(at, derivative), map(sympy.sympify, derivative.weights), strict=True)
            taps = {k: w for k, w in stated if w != 0}
        else:
            key = (order, width, at, derivative.side)
            if key not in _KNOWN:
                points = sorted(_devitos(derivative, d, order, width, template))
                exact = sympy.finite_diff_weights(order, points, sympy.nsimplify(at))[order][-1]
                _KNOWN[key] = {k: sympy.Float(w, DIGITS) for k, w in zip(points, exact, strict=True) if w != 0}
            taps = _KNOWN[key]
        if derivative.transpose == transpose:
            taps = {-k: w for k, w in taps.items()}
        unit = spacings.get(d, d.spacing) ** order
        axes.append({k: w / unit for k, w in taps.items()})
    return {tuple(k for k, _ in taps): sympy.prod([w for _, w in taps]) for taps in product(*(a.items() for a in axes))}


#: Weights along one axis, by what they depend on: order, width, place in cells and side; whatever axis and template.
_KNOWN: dict[tuple, dict[int, sympy.Expr]] = {}


def _centred(at, derivative: Derivative) -> range:
    """The points of weights that are stated."""
    n = len(derivative.weights)
    first = sympy.nsimplify(at) - sympy.Rational(n - 1, 2)
    if not first.is_Integer:
        raise ParameterError(
            f"{derivative}: {n} weights do not lie as many on either side of where it is: an odd number belongs to nodes, "
            "an even one to half cells"
        )
    return range(int(first), int(first) + n)


def _devitos(derivative: Derivative, d, order: int, width: int, template: Template) -> dict[int, sympy.Expr]:
    """Weights along one axis as Devito takes them, for a spacing of one."""
    options: dict = {"side": derivative.side} if derivative.side is not None else {}
    x0 = {d: derivative.x0[d]} if derivative.x0.get(d, d) != d else {}
    probe = template.field("probe", levels=5)
    plain = Derivative(probe, (d, order), fd_order=width, x0=x0, transpose=direct, **options)
    rounded = {}
    for term in sympy.Add.make_args(sympy.expand(plain.evaluate)):
        (f,) = occurrences(term, probe)
        index = dict(zip(probe.dimensions, f.indices, strict=True))[d]
        rounded[int(round(float((index - d) / d.spacing)))] = term / f * d.spacing**order
    return rounded


def evaluate(expr, template: Template):
    """Replace every derivative by its finite difference."""
    expr = sympy.sympify(expr)
    if isinstance(expr, Derivative):
        terms = []
        for offsets, weight in stencil(expr, template).items():
            shifted = expr.expr
            for d, k in zip(expr.dims, offsets, strict=True):
                if k:
                    shifted = shifted._subs(d, d + k * d.spacing)
            terms.append(evaluate(shifted, template) * weight)
        return EvalDerivative(*terms, base=expr.expr)
    if expr.args and not getattr(expr, "is_DiscreteFunction", False):
        return expr.func(*(evaluate(a, template) for a in expr.args))
    return expr
