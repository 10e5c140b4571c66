"""Derivation of everything that a wave equation implies from its residual alone.

A linear, time-invariant discrete wave equation is a residual ``A(p) u - q``, one row for each unknown field, written in
Devito's symbolic language. Here are the few recursions over unevaluated expressions that produce

* the explicit time step (:func:`march`), with the scale by which a source is injected,
* the transposed equation (:func:`adjoint`),
* the linearisation with respect to a parameter (:func:`linearize`) and
* the transpose of any linear expression (:func:`transpose`), which applied to the linearisation is the imaging condition.

The rules of transposition, for an expression ``L v`` paired with a cotangent ``w``, are those of reverse accumulation
(Griewank & Walther 2008, *Evaluating Derivatives*, ch. 3) read as linear algebra:

====================  ====================================================
expression            its transpose
====================  ====================================================
``a + b``             ``a' w + b' w``
``c a``               ``a' (c w)``; a coefficient moves onto the cotangent
``D a``               ``a' (D' w)``; Devito's ``.T`` of the derivative
``v(t + k, x + j)``   ``w(t - k, x - j)``
====================  ====================================================

All arrays vanish outside the grid, so these rules are exact up to the last cell. Above a free surface they are continued as
even or odd functions. The transpose that the rules give then belongs to the inner product of the whole, mirrored space, in
which a node on the surface counts half: for fields E u continued by E, ``A' = W A* W^-1`` with ``W = 1/2`` for what is even
and on the surface, 1 elsewhere. Solving ``A' w = d`` for ``v = W^-1 w`` is solving ``A* v = W^-1 d``, so whatever enters a
row on the surface, in either direction, enters with ``W^-1`` (half of its cell is above: a source in the other half is twice
as strong), and what leaves leaves as it is: ``F = C A^-1 W^-1 C'`` has the transpose ``C W^-1 A*^-1 C'``. Images, which are
even and in the nodes, are multiplied by W. Where differences are closed at the surface
(:mod:`~seisops.engine.derive.closing`) there is no mirror, and W are the weights of the rows near it, by which images are
multiplied row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

import devito
import sympy
from devito import Derivative

from seisops.engine.derive.closing import Closing
from seisops.engine.symbols.places import Component, Place, components
from seisops.engine.symbols.stencils import stencil
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import depends, leaves, move, names, occurrences, shifts, time_offset
from seisops.errors import ParameterError

__all__ = ["Step", "System", "adjoint", "expand_time", "linearize", "march", "plain_function", "transpose"]


@dataclass(frozen=True)
class System:
    """A linear wave equation ``sum_j A_ij u_j = s_i q``, observed as ``sum_j o_j u_j``.

    A wave equation has one channel, one q and one observation; a tangent equation has one more for every direction.

    Attributes
    ----------
    template : Template
        The grid's symbols.
    fields : tuple of devito.TimeFunction
        The unknowns.
    residuals : tuple of expressions
        ``A u``, one row for each unknown: row i is the one that determines field i.
    source, observe : tuple of mapping
        For every channel, weight of the source in row i; weight of field j in what is observed (numbers, by position).
    direction : int
        1 when the equation is solved forward in time, -1 when backward.
    positions : mapping
        Offset of each field within its cell, by the name of its symbol. Its row lies there, too.
    times, row_times : mapping
        Offset of each field, and of each row by the name of its field, from the samples of the solver, in steps; 0 if
        absent.
    parity : mapping or None
        Sign of each field's extension above a free surface, likewise; None without one.
    compact : mapping
        Axis of the layer outside of which a field (or a profile) vanishes, by the name of its symbol.
    closing : Closing or None
        How differences end at a free surface that is no mirror.
    unheard, unfelt : frozenset of str
        Names of the fields that are zero in the nodes of such a surface, and of those whose rows, there, move nothing; see
        :meth:`~seisops.engine.derive.closing.Closing.silent`.
    """

    template: Template
    fields: tuple
    residuals: tuple
    source: tuple[Mapping[int, float], ...]
    observe: tuple[Mapping[int, float], ...]
    direction: int = 1
    positions: Mapping[str, tuple] = field(default_factory=dict)
    times: Mapping[str, Fraction] = field(default_factory=dict)
    row_times: Mapping[str, Fraction] = field(default_factory=dict)
    parity: Mapping[str, int] | None = None
    compact: Mapping[str, devito.Dimension] = field(default_factory=dict)
    closing: Closing | None = None
    unheard: frozenset[str] = frozenset()
    unfelt: frozenset[str] = frozenset()

    @cached_property
    def leads(self) -> tuple[int, ...]:
        """Time offset at which row i determines field i."""
        pick = max if self.direction > 0 else min
        return tuple(
            pick(time_offset(f) for f in occurrences(r, u)) for u, r in zip(self.fields, self.residuals, strict=True)
        )

    @cached_property
    def entries(self) -> tuple[Component, ...]:
        """What sources enter."""
        silent = [u.name in self.unfelt for u in self.fields]
        return components(self.source, self._places(self.row_times), (0,) * len(self.fields), silent)

    @cached_property
    def exits(self) -> tuple[Component, ...]:
        """What is observed."""
        silent = [u.name in self.unheard for u in self.fields]
        return components(self.observe, self._places(self.times), self.leads, silent)

    def _places(self, times: Mapping[str, Fraction]) -> list[Place]:
        nodes, parity = (Fraction(0),) * self.template.ndim, self.parity or {}
        closed, held = self.template.space_order if self.closing else 0, self.unheard & self.unfelt
        return [
            Place(
                self.positions.get(u.name, nodes),
                times.get(u.name, Fraction(0)),
                parity.get(u.name, 0),
                closed,
                u.name in held,
            )
            for u in self.fields
        ]


@dataclass(frozen=True)
class Step:
    """The explicit update of one field: ``field <- value + scale * (right-hand side of its row)``."""

    index: int
    field: sympy.Expr
    value: sympy.Expr
    scale: sympy.Expr


def expand_time(expr, template: Template):
    """Replace derivatives in time by the differences that Devito makes of them; those in space stay as they are."""
    if isinstance(expr, Derivative):
        inner = expand_time(expr.expr, template)
        if expr.dims == (template.step,):
            dt = template.step.spacing
            return sum(
                w * move(inner, {template.step: template.step + k * dt} if k else {})
                for (k,), w in stencil(expr, template).items()
            )
        return expr._rebuild(expr=inner)
    if expr.args and not getattr(expr, "is_DiscreteFunction", False):
        return expr.func(*(expand_time(a, template) for a in expr.args))
    return expr


def linearize(expr, tangents: Mapping):
    """Directional derivative of `expr`: product rule, chain rule, and linearity of derivatives.

    Parameters
    ----------
    expr : expression
    tangents : mapping
        ``{function: tangent function}``; all other symbols are constants.
    """
    if not depends(expr, tangents):
        return sympy.S.Zero
    if getattr(expr, "is_DiscreteFunction", False):
        tangent = tangents[expr.function]
        return move(tangent, {d: 2 * d - s for d, s in shifts(expr).items()})
    if isinstance(expr, Derivative):
        return expr._rebuild(expr=linearize(expr.expr, tangents))
    if expr.is_Add:
        return sum((linearize(a, tangents) for a in expr.args), sympy.S.Zero)
    total = sympy.S.Zero
    for position, argument in enumerate(expr.args):
        if not depends(argument, tangents):
            continue
        slot = sympy.Dummy("slot")
        arguments = list(expr.args)
        if expr.is_Mul:
            arguments.pop(position)
            partial = expr.func(*arguments)
        else:
            arguments[position] = slot
            partial = sympy.diff(plain_function(expr.func)(*arguments), slot).subs(slot, argument)
        total += partial * linearize(argument, tangents)
    return total


def plain_function(function):
    """The SymPy function behind Devito's own class of the same name."""
    return {"Pow": sympy.Pow}.get(function.__name__) or getattr(sympy, function.__name__, function)


def transpose(expr, cotangent, functions) -> dict:
    """Transpose of an expression that is linear in `functions`, applied to `cotangent`: ``{function: expression}``."""
    out: dict = {}
    _pull(sympy.sympify(expr), cotangent, frozenset(functions), out)
    return out


def _pull(expr, cotangent, functions, out) -> None:
    if not depends(expr, functions):
        if expr != 0:
            raise ParameterError(f"cannot transpose {expr}: it does not contain any of {names(functions)}")
    elif getattr(expr, "is_DiscreteFunction", False):
        out[expr.function] = out.get(expr.function, 0) + move(cotangent, shifts(expr))
    elif expr.is_Add:
        for a in expr.args:
            _pull(a, cotangent, functions, out)
    elif expr.is_Mul:
        active = [a for a in expr.args if depends(a, functions)]
        if len(active) != 1:
            raise ParameterError(f"cannot transpose {expr}: it is not linear in {names(functions)}")
        for a in expr.args:
            if a is not active[0]:
                cotangent = cotangent * a
        _pull(active[0], cotangent, functions, out)
    elif isinstance(expr, Derivative):
        _pull(expr.expr, expr.T._rebuild(expr=cotangent), functions, out)
    else:
        raise ParameterError(f"cannot transpose {expr}: it is not linear in {names(functions)}")


def adjoint(system: System) -> System:
    """The transposed equation ``A' w = o d``, observed as ``s' w`` and solved in the opposite direction of time."""
    template = system.template
    fields = tuple(template.field(f"adj_{u.name}", levels=u.time_order + 1) for u in system.fields)
    columns: dict = {u: sympy.S.Zero for u in system.fields}
    for row, w in zip(system.residuals, fields, strict=True):
        for u, expr in transpose(row, w, system.fields).items():
            columns[u] += system.closing.dual(expr) if system.closing else expr
    pairs = [(u.name, w.name) for u, w in zip(system.fields, fields, strict=True)]

    def renamed(by_name: Mapping) -> dict:
        return {w: by_name[u] for u, w in pairs if u in by_name}

    return replace(
        system,
        fields=fields,
        residuals=tuple(columns[u] for u in system.fields),
        source=system.observe,
        observe=system.source,
        direction=-system.direction,
        positions=renamed(system.positions),
        times=renamed(system.row_times),
        row_times=renamed(system.times),
        parity={**system.parity, **renamed(system.parity)} if system.parity else None,
        compact={**system.compact, **renamed(system.compact)},
        unheard=frozenset(w for u, w in pairs if u in system.unfelt),
        unfelt=frozenset(w for u, w in pairs if u in system.unheard),
    )


def march(system: System) -> list[Step]:
    """Solve each row for its leading field, and order the rows so that each uses what is known."""
    leading = [
        next(f for f in occurrences(r, u) if time_offset(f) == k)
        for u, r, k in zip(system.fields, system.residuals, system.leads, strict=True)
    ]
    steps, waiting = [], list(range(len(leading)))
    while waiting:
        ready = [i for i in waiting if not any(_needs(system, system.residuals[i], j) for j in waiting if j != i)]
        if not ready:
            raise ParameterError(
                f"the equations of {names([system.fields[i] for i in waiting])} need each other at the same time step; "
                "write them so that each can be advanced explicitly (shift one of them by a step)"
            )
        for i in ready:
            steps.append(_solve(system.residuals[i], leading[i], i))
            waiting.remove(i)
    return steps


def _needs(system: System, row, j: int) -> bool:
    """Whether `row` uses field j at the time level that row j of the same step determines."""
    return any((time_offset(f) - system.leads[j]) * system.direction >= 0 for f in occurrences(row, system.fields[j]))


def _solve(row, leading, index: int) -> Step:
    coefficient, rest = sympy.S.Zero, []
    for term in sympy.Add.make_args(_spread(row, leading)):
        if leading not in leaves(term):
            rest.append(term)
            continue
        factor = term / leading
        if leading in leaves(factor):
            raise ParameterError(
                f"the row of {leading.function.name} contains {leading} under a derivative: the scheme is implicit; "
                "only explicit schemes can be marched"
            )
        coefficient += factor
    coefficient = sympy.factor_terms(coefficient)
    value = sum((-term / coefficient for term in rest), sympy.S.Zero)
    return Step(index, leading, value, 1 / coefficient)


def _spread(expr, leading):
    """Multiply out products over sums that contain the leading field or no derivative, so that coefficients cancel."""
    if expr.is_Add:
        return sum((_spread(a, leading) for a in expr.args), sympy.S.Zero)
    if expr.is_Mul:
        sums = [a for a in expr.args if a.is_Add and leading in leaves(a)]
        if sums:
            others = [a for a in expr.args if a is not sums[0]]
            return sum(
                (_spread(devito.finite_differences.differentiable.Mul(*others, a), leading) for a in sums[0].args),
                sympy.S.Zero,
            )
    return expr
