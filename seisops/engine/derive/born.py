"""The derivative of a wave equation with respect to its parameters, and what of the background it needs.

Differentiating ``A(p) u = q`` gives ``A du = -(dA/dp dp) u``: the Born source. It is a sum of terms "linear expression
of (dp times a factor of the background field)". Those factors are all that has to be remembered of the background;
the source is linear in dp, and its transpose is the imaging condition.

A perturbation may scatter what the background is some cells away (:func:`~seisops.engine.symbols.names.displaced`): the same
rows, with the factors of another place. That is how subsurface offsets are made.

Several factors are often made of fewer fields at several times. Then the fields are kept in their place, each at the latest
time at which it is looked at, and the factors are made again of what was kept at the same step and at those before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import sympy
from devito import Derivative

from seisops.engine.derive.describe import in_order
from seisops.engine.derive.layers import restricted
from seisops.engine.derive.system import System, linearize
from seisops.engine.facts import FACTORS, Keep
from seisops.engine.symbols.names import displacement
from seisops.engine.symbols.stencils import stencil
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import depends, differentiated, leaves, move, replaced, shifts, time_offset
from seisops.errors import ParameterError

__all__ = ["Apart", "Born", "born", "combinations"]


@dataclass(frozen=True)
class Apart:
    """Source rows that take the background some cells away.

    Attributes
    ----------
    rows : tuple of expressions
        As those of :class:`Born`, linear in one tangent, which they have in the same cell.
    cells : mapping of devito.Dimension to int
        How far away. Nothing comes from beyond the grid.
    """

    rows: tuple
    cells: Mapping

    @property
    def within(self) -> dict:
        """Where the background is in the grid, as the `beyond` of an assignment: fewer cells before, and after."""
        return {d: (min(n, 0), -max(n, 0)) for d, n in self.cells.items()}


@dataclass(frozen=True)
class Born:
    """Source rows ``-(dA/dp dp) u`` of the linearised equation.

    Attributes
    ----------
    template : Template
    rows : tuple of expressions
        One for each residual, linear in `tangents`, with the background replaced by `histories`.
    tangents : tuple of devito.Function
        The perturbations, in the order asked for.
    histories : tuple of indexed devito functions
        Factors of the background field, or fields, at the time index of the residual: saved, or present only.
    factors : tuple of expressions
        What is saved in each, in terms of the background's fields.
    every : int
        Every how many time steps the background is saved and acts.
    before : int
        How many steps back the rows look at histories: so many entries precede that of the first step.
    fields : frozenset
        Those of the factors that are fields, which are looked at at several times.
    apart : tuple of Apart
        Rows of the tangents that take the background from elsewhere.
    """

    template: Template
    rows: tuple
    tangents: tuple
    histories: tuple
    factors: tuple
    every: int
    before: int = 0
    fields: frozenset = frozenset()
    apart: tuple[Apart, ...] = ()

    def beyond(self, term, tangent) -> dict:
        """How many cells beyond the grid, along each axis, a term of a row looks at a tangent: ``{axis: cells}``.

        Where it is averaged or differentiated by itself it is continued there, as parameters are. Backgrounds vanish there:
        what is done to a tangent's product with one does not count, nor along an axis what is restricted to the grid.
        """
        backgrounds = {
            h.function: restricted(f, halves=True) for h, f in zip(self.histories, self.factors, strict=True)
        }
        return {d: n for d, n in _looked(term, tangent, backgrounds, self.template).reach.items() if n > 0}

    @cached_property
    def continued(self) -> frozenset:
        """The tangents that are looked at beyond the grid."""
        terms = [term for row in self.rows for term in sympy.Add.make_args(row)]
        return frozenset(p for p in self.tangents if any(self.beyond(term, p) for term in terms))


def born(system: System, wrt: Sequence[str], keep: Keep = FACTORS, present: bool = False) -> Born:
    """Linearise a system with respect to the parameters named in `wrt`.

    With `present`, the background is not kept, but there at each step.
    """
    template, fields = system.template, system.fields
    coefficients = tuple(dict.fromkeys(displacement(name)[0] for name in wrt))
    tangents = {template.parameter(name): template.perturbation(name) for name in coefficients}
    sources = [-linearize(r, tangents) for r in system.residuals]
    wanted: dict = {}  # factors of the background, and whether they are looked at in other cells

    def noted(factor, around: bool) -> dict:
        wanted[factor] = wanted.get(factor, False) or around
        return {factor: sympy.S.One}

    for row in sources:
        _separated(row, fields, tangents.values(), noted)
    if not wanted:
        raise ParameterError(f"the wave equation does not depend on {', '.join(coefficients)}")
    made_of = combinations(list(wanted), fields)
    again = _again(system, wanted, made_of) if keep.fields and keep.every == 1 and not present else {}
    if again:
        made_of = {**combinations([f for f in wanted if f not in again], fields), **again}
    around: dict = {}
    for factor, of in made_of.items():
        around.update({kept: around.get(kept, False) or wanted[factor] for kept in of})
    before = max((_back(f, newest) for factor, of in again.items() for newest in of for f in leaves(factor)), default=0)
    histories = {}
    for factor, halo in around.items():
        # symbols are shared by name: what differs in kind needs a name of its own
        how = "now" if present else f"{keep.every}{'_of_fields' if again else ''}"
        name = f"history{len(histories)}_{'_'.join(coefficients)}_{how}"
        made = template.present(name, halo=halo) if present else template.saved(name, every=keep.every, halo=halo)
        histories[factor] = move(made, {template.time: template.time + before} if before else {})

    def saved(factor, around: bool) -> dict:
        if factor not in again:
            return {histories[kept]: c for kept, c in made_of[factor].items()}
        newest = {f.function: f for f in again[factor]}

        def earlier(f):
            history = histories[newest[f.function]]
            return move(history, {template.time: template.time - _back(f, newest[f.function])})

        return {replaced(factor, newest, earlier): sympy.S.One}

    rows = tuple(_separated(row, fields, tangents.values(), saved) for row in sources)
    kept, factors = tuple(histories.values()), tuple(histories)
    earlier_too = frozenset(f for of in again.values() for f in of)
    found = Born(template, rows, tuple(tangents.values()), kept, factors, keep.every, before, earlier_too)
    return found if coefficients == tuple(wrt) else _apart(found, system, wrt)


def _again(system: System, wanted: Collection, made_of: Mapping) -> dict:
    """Factors that are made of fields in the same cell, as ``{factor: {field: 1}}``; none if as much would have to be kept.

    Differences in space would have to be taken again, which takes longer than to keep them.
    """
    step, leads = system.template.step, dict(zip(system.fields, system.leads, strict=True))
    found = {}
    for factor in wanted:
        looked = [f for f in in_order(leaves(factor)) if f.function in leads]
        elsewhere = any(map(_cells, looked)) or any(differentiated(factor, f.function) for f in looked)
        # of what lives in strips there is but one time level
        if not elsewhere and not any(f.function.name in system.compact for f in looked):
            newest = [move(f, {step: step + (leads[f.function] - time_offset(f)) * step.spacing}) for f in looked]
            found[factor] = dict.fromkeys(newest, sympy.S.One)
    kept = {f for of in found.values() for f in of}
    rest = combinations([f for f in wanted if f not in found], system.fields)
    fewer = len(kept) + len({f for of in rest.values() for f in of})
    return found if fewer < len({f for of in made_of.values() for f in of}) else {}


def _back(f, newest) -> int:
    """How many steps lie between an appearance of a field and its newest one; 0 for another function."""
    return time_offset(newest) - time_offset(f) if f.function is newest.function else 0


def _apart(found: Born, system: System, wrt: Sequence[str]) -> Born:
    """The same by what is displaced, too."""
    template, here, apart = found.template, {}, []
    kept = {h.function for h in found.histories}
    for name in wrt:
        coefficient, cells = displacement(name)
        tangent = template.perturbation(coefficient)
        zero = {other: sympy.S.Zero for other in found.tangents if other is not tangent}
        if not cells:
            here[tangent] = name
            continue
        rows = [row.xreplace(zero) for row in found.rows]
        _require_pointwise(coefficient, rows, tangent, system)
        by_axis = {d: cells[d.name] for d in template.dimensions if d.name in cells}
        moved = {d: d + n * d.spacing for d, n in by_axis.items()}
        # at every time at which they are looked at
        looked = {f for row in rows for f in leaves(row) if f.function in kept}
        elsewhere = {f: f.subs(moved) for f in looked} | {tangent: template.perturbation(name)}
        apart.append(Apart(tuple(row.xreplace(elsewhere) for row in rows), by_axis))
    zero = {tangent: sympy.S.Zero for tangent in found.tangents if tangent not in here}
    rows = tuple(row.xreplace(zero) for row in found.rows) if zero else found.rows
    return replace(found, rows=rows, tangents=tuple(template.perturbation(name) for name in wrt), apart=tuple(apart))


def _require_pointwise(coefficient: str, rows: Sequence, tangent, system: System) -> None:
    """Refuse what does more with a perturbation than multiply it by the background in the grid's cells."""
    for row, field in zip(rows, system.fields, strict=True):
        averaged = row.atoms(Derivative) or any(_shifted(f, [tangent]) for f in leaves(row))
        layered = row != 0 and (
            field.name in system.compact or any(f.function.name in system.compact for f in leaves(row))
        )
        if averaged or layered:
            raise ParameterError(
                f"images with lags are of coefficients that multiply the background in the same cell: {coefficient} is "
                f"{'averaged or differentiated' if averaged else 'in the absorbing layer, too,'} in the wave equation"
            )


def _separated(expr, fields: Collection, tangents: Collection, remember: Callable, around: bool = False):
    """Replace the largest factors that contain fields, but no tangent, by sums ``{symbol: coefficient}`` of what is saved.

    `remember` makes the sum of a factor, given whether it is looked at in other cells.
    """
    if not depends(expr, tangents) or getattr(expr, "is_DiscreteFunction", False):
        return expr
    if isinstance(expr, Derivative):
        return expr._rebuild(expr=_separated(expr.expr, fields, tangents, remember, True))
    if expr.is_Add:
        # in an order of their own: that of SymPy differs from process to process, and the numbers of histories with it
        return sympy.Add(*(_separated(a, fields, tangents, remember, around) for a in in_order(expr.args)))
    if not expr.is_Mul:
        raise ParameterError(f"the residual is not linear in the fields: {expr}")
    args = in_order(expr.args)
    background = [a for a in args if depends(a, fields) and not depends(a, tangents)]
    others = sympy.Mul(*(_separated(a, fields, tangents, remember, around) for a in args if a not in background))
    if not background:
        return others
    # the transpose of a perturbation's derivative (or average, or shift) is one of what stands beside it
    moved = any(isinstance(n, Derivative) or _shifted(n, tangents) for n in sympy.preorder_traversal(others))
    of = remember(sympy.Mul(*background), around or moved)
    return sympy.Add(*(c * others * symbol for symbol, c in of.items()))


def _shifted(expr, tangents: Collection) -> bool:
    """Whether an expression is a perturbation in another cell."""
    return getattr(expr, "is_DiscreteFunction", False) and expr.function in tangents and bool(_cells(expr))


def _cells(f) -> dict:
    """How many cells from its own an array is looked at, along the axes along which it is: ``{axis: cells}``."""
    apart = {d: int((at - d) / d.spacing) for d, at in shifts(f).items() if d.is_Space}
    return {d: n for d, n in apart.items() if n}


def combinations(factors: Sequence, fields: Collection) -> dict:
    """Each expression as a combination ``{expression: coefficient}`` of some of them that are linearly independent.

    Coefficients are what contains none of the fields: numbers, parameters, profiles. Expressions of few terms are taken
    first, so that nothing is the difference of larger numbers, and nothing is divided by what varies in space.
    """
    terms = [_terms(factor, fields) for factor in factors]
    rows: list = []  # of the echelon form: its pivot, itself, and what it is of those taken
    out: dict = {}
    for n in sorted(range(len(factors)), key=lambda n: len(terms[n])):
        left, made = dict(terms[n]), {}
        for pivot, row, of in rows:
            if c := left.get(pivot, 0):
                left = _plus(left, row, -c)
                made = _plus(made, of, c)
        if not left:
            out[factors[n]] = made
            continue
        pivot = next((term for term, c in left.items() if not leaves(c)), None)
        if pivot is not None:
            rest = _plus({factors[n]: sympy.S.One}, made, -1)
            rows.append((pivot, *({k: c / left[pivot] for k, c in v.items()} for v in (left, rest))))
        out[factors[n]] = {factors[n]: sympy.S.One}
    return {factor: out[factor] for factor in factors}


def _terms(expr, fields: Collection) -> dict:
    """A sum as ``{term: coefficient}``, in which sums stand multiplied out."""
    out: dict = {}
    for term in in_order(sympy.Add.make_args(sympy.sympify(expr))):
        factors = in_order(sympy.Mul.make_args(term))
        coefficient = sympy.Mul(*(f for f in factors if not depends(f, fields)))
        active = sympy.Mul(*(f for f in factors if depends(f, fields)))
        inner = _terms(active, fields) if active.is_Add else {active: sympy.S.One}
        out = _plus(out, inner, coefficient)
    return out


def _plus(one: Mapping, other: Mapping, factor) -> dict:
    """One sum and `factor` times another, without what vanishes."""
    both = {k: sympy.expand(one.get(k, 0) + factor * other.get(k, 0)) for k in (*one, *other)}
    return {k: c for k, c in both.items() if c != 0}


@dataclass(frozen=True)
class _Look:
    """How far an expression looks at a tangent along each axis, and along which nothing of it is beyond the grid."""

    reach: Mapping
    ended: frozenset


def _looked(expr, tangent, backgrounds: Mapping, template: Template) -> _Look:
    """`backgrounds` has the axes along which histories are restricted to half cells of the grid."""
    if not depends(expr, [tangent]):
        return _Look({}, frozenset())
    if getattr(expr, "is_DiscreteFunction", False):
        return _Look({d: abs(n) for d, n in _cells(expr).items()}, frozenset())
    if isinstance(expr, Derivative):
        inner = _looked(expr.expr, tangent, backgrounds, template)
        reach = dict(inner.reach)
        for n, d in enumerate(expr.dims):
            if d not in inner.ended:
                reach[d] = reach.get(d, 0) + max(abs(k[n]) for k in stencil(expr, template))
        return _Look(reach, inner.ended)
    found = [_looked(a, tangent, backgrounds, template) for a in expr.args if depends(a, [tangent])]
    reach = {d: max(look.reach.get(d, 0) for look in found) for look in found for d in look.reach}
    ended = frozenset.intersection(*(look.ended for look in found))
    if expr.is_Mul:
        functions = [a.function for a in expr.args if getattr(a, "is_DiscreteFunction", False)]
        halves = restricted(expr, halves=True).union(*(backgrounds.get(f, ()) for f in functions)) - ended
        # the last half cell of the grid lies before the last node, of all cells the last
        reach = {d: n - (d in halves) for d, n in reach.items()}
        ended = ended | halves | restricted(expr)
        if any(depends(a, backgrounds) for a in expr.args if not depends(a, [tangent])):
            ended = ended.union(template.dimensions)
    return _Look(reach, ended)
