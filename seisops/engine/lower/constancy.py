"""Finds what follows from the parameters of a medium alone, and takes more than sums and products to compute.

A function of parameters, or one over one, need not be computed in each cell at each step: it is an array as they are, and an
average of it, too. Sums and products of parameters are cheaper to compute than to read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import sympy
from devito import Derivative

from seisops.engine.derive.describe import describe_expression, in_order
from seisops.engine.derive.system import plain_function
from seisops.engine.kept.function import function_of
from seisops.engine.lower.constant import Constant
from seisops.engine.symbols.names import CONSTANT
from seisops.engine.symbols.stencils import stencil
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import leaves

__all__ = ["Constancy"]


class _Kind(NamedTuple):
    """Whether an expression has nothing but parameters in it, whether it has any, and whether an array of it pays."""

    fixed: bool
    parameters: bool
    pays: bool


class Constancy:
    """Finds constants in expressions.

    Parameters
    ----------
    template : Template

    Attributes
    ----------
    found : dict
        Constants by the name of their symbol.
    """

    def __init__(self, template: Template):
        self.template = template
        self.found: dict[str, Constant] = {}
        self._kinds: dict = {}  # of the expressions of one template

    def of(self, expr):
        """What stands for an expression that is a constant that pays: mostly a symbol; else None."""
        kind = self._kind(expr)
        return self._symbol(expr) if kind.fixed and kind.pays else None

    def factor(self, product):
        """The constant in a product, None if there is none, and the factors beside it."""
        mine = [a for a in product.args if self._kind(a).fixed and self._kind(a).parameters]
        if not any(self._kind(a).pays for a in mine):
            return None, product.args
        symbol = self._symbol(sympy.Mul(*mine, evaluate=False) if len(mine) > 1 else mine[0])
        return symbol, product.args if symbol is None else [a for a in product.args if a not in mine]

    def _kind(self, expr) -> _Kind:
        if expr not in self._kinds:
            self._kinds[expr] = self._new_kind(expr)
        return self._kinds[expr]

    def _new_kind(self, expr) -> _Kind:
        if getattr(expr, "is_DiscreteFunction", False):
            return _Kind(self.template.is_parameter(expr.function), True, False)
        if isinstance(expr, Derivative):
            inner = self._kind(expr.expr)
            # at points, where cells are what tables say, there is nothing beside a cell
            return inner._replace(pays=inner.pays or any(f.indices != f.function.dimensions for f in leaves(expr)))
        if not expr.args:
            return _Kind(not getattr(expr, "is_Dimension", False), False, False)
        found = [self._kind(a) for a in expr.args]
        fixed, parameters = all(k.fixed for k in found), any(k.parameters for k in found)
        arithmetic = expr.is_Add or expr.is_Mul or expr.is_Pow and expr.exp.is_Integer and expr.exp > 0
        return _Kind(fixed, parameters, parameters and (not arithmetic or any(k.pays for k in found)))

    def _symbol(self, expr):
        """The symbol of a constant, where the expression has it; None if parts of it are in different cells.

        Parameters that cancel leave a number, or one that follows from the time step.
        """
        functions = leaves(expr)
        places = {tuple(zip(f.function.dimensions, f.indices, strict=True)) for f in functions}
        if len(places) != 1:
            return None
        here = expr.xreplace({f: f.function for f in functions})
        name = CONSTANT + hashlib.sha256(describe_expression(here).encode()).hexdigest()[:16]
        symbol = self.template.parameter(name)
        if symbol.name not in self.found:
            arrays: dict = {}
            numbers: dict = {}
            value = self._plain(here, dict.fromkeys(self.template.dimensions, 0), arrays, numbers)
            if not value.free_symbols.intersection(arrays.values()):
                return value
            function = function_of([*arrays.values(), *numbers.values()], value)
            self.found[symbol.name] = Constant(symbol.name, tuple(arrays), tuple(numbers), function)
        return symbol.subs({d: i for d, i in places.pop() if i != d})

    def _plain(self, expr, at: Mapping, arrays: dict, numbers: dict):
        """An expression of SymPy's own, of symbols for arrays in some cells, and for numbers."""
        if getattr(expr, "is_DiscreteFunction", False):
            return arrays.setdefault((expr.function.name, tuple(at.values())), sympy.Symbol(f"array{len(arrays)}"))
        if isinstance(expr, Derivative):
            terms = []
            for offsets, weight in stencil(expr, self.template, dict.fromkeys(expr.dims, sympy.S.One)).items():
                there = {**at, **{d: at[d] + k for d, k in zip(expr.dims, offsets, strict=True)}}
                terms.append(weight * self._plain(expr.expr, there, arrays, numbers))
            unit = sympy.prod(d.spacing**-order for d, order in zip(expr.dims, expr.deriv_order, strict=True))
            return sympy.Add(*terms) * self._plain(sympy.sympify(unit), at, arrays, numbers)
        if expr.is_Symbol:
            return numbers.setdefault(expr.name, sympy.Symbol(expr.name))
        if not expr.args:
            return expr
        arguments = in_order(expr.args) if expr.is_Add or expr.is_Mul else expr.args
        return plain_function(expr.func)(*(self._plain(a, at, arrays, numbers) for a in arguments))
