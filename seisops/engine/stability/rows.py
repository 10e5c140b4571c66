"""The rows of an equation, taken apart into plain data for the analysis of its stability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy
from devito import Derivative

from seisops.engine.derive.system import System
from seisops.engine.kept.function import Function, function_of
from seisops.engine.stability.arithmetic import (
    Difference,
    Differenced,
    Expression,
    Number,
    Of,
    Parameter,
    Scaled,
    Total,
    Unknown,
)
from seisops.engine.stability.plane_waves import Row, Symbol, Term
from seisops.engine.symbols.stencils import stencil
from seisops.engine.symbols.terms import depends, leaves, time_offset
from seisops.errors import ParameterError

__all__ = ["Part", "TakenApart"]


@dataclass(frozen=True)
class Part:
    """Part of a row; see :class:`~seisops.engine.stability.plane_waves.Term`.

    Attributes
    ----------
    field, offset : int
    coefficient : expression
        Of parameters, spacings and the time step.
    derivatives : tuple of devito.Derivative
    """

    field: int
    offset: int
    coefficient: sympy.Expr
    derivatives: tuple


class TakenApart:
    """The rows of an equation, taken apart.

    Parameters
    ----------
    system : System
        Without boundaries.
    """

    def __init__(self, system: System):
        self.system, self.template = system, system.template
        self._differences: dict = {}
        self.parts: list[list[Part]] = [list(self._parts(row, sympy.S.One, ())) for row in system.residuals]
        functions = {f.function for row in self.parts for part in row for f in leaves(part.coefficient)}
        #: Names of the parameters that occur.
        self.names = sorted(f.name for f in functions)

    def _parts(self, expr, coefficient, derivatives):
        fields = self.system.fields
        if not depends(expr, fields):
            if expr != 0:
                raise ParameterError(f"the residual is not linear in the fields: {expr} stands alone")
        elif getattr(expr, "is_DiscreteFunction", False):
            yield Part(fields.index(expr.function), time_offset(expr), coefficient, derivatives)
        elif expr.is_Add:
            for a in expr.args:
                yield from self._parts(a, coefficient, derivatives)
        elif expr.is_Mul:
            active = [a for a in expr.args if depends(a, fields)]
            if len(active) > 1:
                raise ParameterError(f"the residual is not linear in the fields: {expr}")
            for a in expr.args:
                if a is not active[0]:
                    coefficient = coefficient * a
            yield from self._parts(active[0], coefficient, derivatives)
        elif isinstance(expr, Derivative):
            yield from self._parts(expr.expr, coefficient, (*derivatives, expr))
        else:
            raise ParameterError(f"the residual is not linear in the fields: {expr}")

    def of_step(self, part: Part, values: Mapping[str, float], spacing: tuple[float, ...]) -> sympy.Expr:
        """The coefficient of a part as an expression of the time step."""
        plain: dict = {}
        expr = sympy.sympify(_constant(part.coefficient, plain))
        units = {d.spacing: h for d, h in zip(self.template.dimensions, spacing, strict=True)}
        return expr.xreplace({**{s: sympy.Float(values[name]) for name, s in plain.items()}, **units})

    @cached_property
    def symbol(self) -> Symbol:
        """All that is plain data."""
        system = self.system
        inside = (
            (f.function.name, d)
            for row in system.residuals
            for d in sympy.sympify(row).atoms(Derivative)
            for f in leaves(d)
        )
        return Symbol(
            self.template.ndim,
            self.template.space_order,
            tuple(u.name for u in system.fields),
            system.leads,
            tuple(self.names),
            frozenset(name for name, _ in inside),
            tuple(tuple(map(self._term, row)) for row in self.parts),
            self._coefficients(),
            tuple(self._row(i, row) for i, row in enumerate(system.residuals)),
        )

    def _term(self, part: Part) -> Term:
        return Term(part.field, part.offset, tuple(map(self._difference, part.derivatives)))

    def _coefficients(self) -> Function:
        """All coefficients where everything is constant in space."""
        plain: dict = {}
        exprs = [_constant(part.coefficient, plain) for row in self.parts for part in row]
        arguments = [plain.get(name, sympy.Symbol(name)) for name in self.names]
        return function_of([*arguments, *self._units.values()], [sympy.sympify(e).xreplace(self._units) for e in exprs])

    @cached_property
    def _units(self) -> dict:
        """Plain symbols for cell sizes and time step."""
        units = [d.spacing for d in self.template.dimensions]
        return {s: sympy.Symbol(s.name) for s in (*units, self.template.step.spacing)}

    def _difference(self, derivative: Derivative) -> Difference:
        if derivative not in self._differences:
            dimensions = self.template.dimensions
            taps = stencil(derivative, self.template, dict.fromkeys(dimensions, sympy.S.One))
            self._differences[derivative] = Difference(
                tuple(dimensions.index(d) for d in derivative.dims),
                tuple(int(n) for n in derivative.deriv_order),
                tuple((k, float(w)) for k, w in taps.items()),
            )
        return self._differences[derivative]

    # -- where coefficients vary

    def _row(self, i: int, row) -> Row:
        own, other = _split(row, self.system.fields[i], self.system.fields)
        return Row(tuple((k, self._coefficient(c)) for k, c in own), self._linear(other))

    def _linear(self, expr) -> Expression:
        """An expression that is linear in the fields."""
        fields = self.system.fields
        if expr == 0:
            return Total(())
        if getattr(expr, "is_DiscreteFunction", False):
            return Unknown(fields.index(expr.function))
        if expr.is_Add:
            return Total(tuple(map(self._linear, expr.args)))
        if isinstance(expr, Derivative):
            return Differenced(self._difference(expr), self._linear(expr.expr))
        active = next(a for a in expr.args if depends(a, fields))
        factors = tuple(self._coefficient(a) for a in expr.args if a is not active)
        return Scaled(factors, self._linear(active))

    def _coefficient(self, expr) -> Expression:
        """An expression of parameters."""
        expr = sympy.sympify(expr)
        if getattr(expr, "is_DiscreteFunction", False):
            return Parameter(expr.function.name)
        if isinstance(expr, Derivative):
            return Differenced(self._difference(expr), self._coefficient(expr.expr))
        if not leaves(expr):
            return Number(function_of(list(self._units.values()), expr.xreplace(self._units)))
        stand_ins = sympy.symbols(f"a0:{len(expr.args)}")
        return Of(function_of(stand_ins, _plain(expr)(*stand_ins)), tuple(map(self._coefficient, expr.args)))


def _plain(expr):
    """The function of an expression, as SymPy has it."""
    name = expr.func.__name__
    return {"Add": sympy.Add, "Mul": sympy.Mul, "Pow": sympy.Pow}.get(name) or getattr(sympy, name)


def _constant(expr, plain: dict):
    """A coefficient where everything is constant in space: derivatives vanish, interpolation is the identity.

    Parameters become symbols, of which `plain` takes note by name.
    """
    expr = sympy.sympify(expr)
    if getattr(expr, "is_DiscreteFunction", False):
        return plain.setdefault(expr.function.name, sympy.Symbol(expr.function.name))
    if isinstance(expr, Derivative):
        return _constant(expr.expr, plain) if not any(expr.deriv_order) else sympy.S.Zero
    if expr.args:
        arguments = [_constant(a, plain) for a in expr.args]
        return _plain(expr)(*arguments)
    return expr


def _split(row, field, fields):
    """What a row holds of its own field in the same cell, ``[(time offset, coefficient)]``, and all else."""
    own, other = [], []
    for term in sympy.Add.make_args(_expanded(row, fields)):
        active = [a for a in sympy.Mul.make_args(term) if depends(a, fields)]
        if len(active) == 1 and getattr(active[0], "is_DiscreteFunction", False) and active[0].function is field:
            own.append((time_offset(active[0]), term / active[0]))
        else:
            other.append(term)
    return own, sum(other, sympy.S.Zero)


def _expanded(expr, fields):
    """Products over sums of fields multiplied out, outside of derivatives."""
    if expr.is_Add:
        return sum((_expanded(a, fields) for a in expr.args), sympy.S.Zero)
    if expr.is_Mul:
        active = next((a for a in expr.args if depends(a, fields)), None)
        if active is not None and active.is_Add:
            rest = [a for a in expr.args if a is not active]
            return sum((_expanded(expr.func(*rest, a), fields) for a in active.args), sympy.S.Zero)
    return expr
