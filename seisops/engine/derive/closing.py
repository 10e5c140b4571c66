"""Differences that end at a surface at the low end of the last axis: in symbols, with their adjoints."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property

import sympy
from devito import Derivative

from seisops.engine.symbols.closure import BELOW, FREE, LACK, SURFACE, TRACTIONS, called, closure
from seisops.engine.symbols.names import PREFIX
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import depends, leaves, move
from seisops.errors import ParameterError

__all__ = ["Closing"]


class Closing:
    """What becomes of differences along the last axis near a surface; see :class:`~seisops.engine.symbols.closure.Closure`.

    What is added to them has coefficients that depend on depth and vanish below the first rows. Transposes are those in the
    inner product of the weights: of a difference of what is free it is, up to the sign, that of a traction, so that an
    adjoint equation is closed as the equation is.

    Parameters
    ----------
    template : Template
    tractions : collection of str
        Names of the symbols of fields that vanish on the surface.
    """

    def __init__(self, template: Template, tractions: Collection[str]):
        self.template, self.tractions = template, frozenset(tractions)
        self.axis = template.dimensions[-1]
        self._shifts = closure(template.space_order).shifts

    @property
    def profiles(self) -> Iterator:
        """All coefficients, which vanish below the first rows."""
        yield self._profile(SURFACE, False)
        for half in (False, True):
            yield self.lack(half)
            for kind in (FREE, TRACTIONS):
                yield from (self._coefficient(kind, half, shift) for shift in self._shifts)

    def lack(self, half: bool):
        """One less the weight of the nodes, or half cells, in cells."""
        return self._profile(LACK, half)

    def added(self, expr: Derivative, where: Fraction):
        """What is added to the difference of a field, taken at nodes or half a cell after them."""
        field, z, half = expr.expr, self.axis, where != 0
        plain = getattr(field, "is_DiscreteFunction", False) and tuple(expr.deriv_order) == (1,) and expr.x0
        if not plain or where not in (0, Fraction(1, 2)):
            raise ParameterError(
                f"{expr}: below a surface that is no mirror (`tractions`), what is taken along z are first derivatives of "
                "fields alone, from nodes to half a cell after them or back"
            )
        kind = TRACTIONS if field.function.name in self.tractions else FREE
        return (
            sum(
                self._coefficient(kind, half, k) * move(field, {z: z + k * z.spacing} if k else {})
                for k in self._shifts
            )
            / z.spacing
        )

    def condensed(self, rows: Sequence, fields: Sequence, positions: Mapping) -> list:
        """Rows of which those that determine what vanishes on the surface, in the nodes there, leave it zero.

        What such a row ``d/dt t = a D + b + q`` has a difference D along the last axis of is, on the surface, whatever makes
        the right-hand side zero: of a free surface, the strain along z that leaves no normal stress. It takes the place of
        the difference in all other rows, where of what these determine in the same step the level before is taken. As
        the source q is not known here, it is what t sums up on the surface, and a field s that is driven by c D is heard as
        ``s - c / a t`` there.

        Raises
        ------
        ParameterError
            Such a row without a difference along the last axis, or with several.
        """
        slopes = self._slopes(rows, fields, positions)
        rows, here = list(rows), self._profile(SURFACE, False)
        for n, slope in slopes.items():
            u, terms = fields[n], sympy.Add.make_args(rows[n])
            own = sympy.Add(*(term for term in terms if depends(term, [u])))
            rest = sympy.Add(*(term for term in terms if not depends(term, [u])))
            by = _coefficient(rest, slope)
            others = {k: _coefficient(row, slope) for k, row in enumerate(rows) if k != n}
            others = {k: c for k, c in others.items() if c != 0}
            known = _put(rest, {slope: sympy.S.Zero, **{fields[k].forward: fields[k] for k in others}})
            for k in others:
                rows[k] = rows[k] + here * others[k] * (-known / by)
            for k, c in others.items():
                v = fields[k]
                if depends(sympy.expand(_put(rows[k], {v.forward: v})), [v]):
                    continue  # it relaxes, and sums nothing up
                heard = {v: v - here * (c / by) * u}
                rows = [row if m in (k, n) else _put(row, heard) for m, row in enumerate(rows)]
            rows[n] = own + self._profile(BELOW, False) * rest
        return rows

    def silent(self, rows: Sequence, fields: Sequence, positions: Mapping) -> tuple[frozenset[str], frozenset[str]]:
        """Fields that are zero in the nodes of the surface, and those whose rows, there, move nothing; by name.

        The first are those of :meth:`condensed`, where they are not driven themselves. What is driven of one of them is
        taken up by the difference along the last axis: felt by the rows that share it, as normal stress on a free surface
        makes a strain along it, and by nobody where there are none, as what moves a rigid surface. Neither is what moves
        only such a field in the same nodes.

        Parameters
        ----------
        rows, fields, positions
            As of :meth:`condensed`.
        """
        slopes = self._slopes(rows, fields, positions)
        held = {
            n for n, d in slopes.items() if not any(_coefficient(row, d) != 0 for k, row in enumerate(rows) if k != n)
        }
        unfelt = {fields[n].name for n in held}
        for n, u in enumerate(fields):
            if n in slopes or positions[u.name][-1]:
                continue
            felt = [k for k, row in enumerate(rows) if k != n and depends(row, [u])]
            taken = [d for row in rows for d in row.atoms(Derivative) if self.axis in d.dims and depends(d, [u])]
            if felt and held.issuperset(felt) and not taken:
                unfelt.add(u.name)
        return frozenset(fields[n].name for n in slopes), frozenset(unfelt)

    def _slopes(self, rows: Sequence, fields: Sequence, positions: Mapping) -> dict:
        """By number of a row that determines what vanishes in nodes of the surface, its difference along the last axis."""
        along = [d for row in rows for d in row.atoms(Derivative) if self.axis in d.dims]
        out = {}
        for n, u in enumerate(fields):
            if u.name not in self.tractions or positions[u.name][-1] or not any(depends(d, [u]) for d in along):
                continue
            slopes = [d for d in rows[n].atoms(Derivative) if self.axis in d.dims and depends(d, fields)]
            if len(slopes) != 1:
                raise ParameterError(
                    f"{u.name.removeprefix(PREFIX)} vanishes on the surface (`tractions`), in the nodes there: its row "
                    f"needs one difference along {self.axis.name}, which follows from that, and has {len(slopes)}"
                )
            (out[n],) = slopes
        return out

    def dual(self, expr):
        """A transposed expression as it is in the inner product of the weights."""
        found = {f: -self._twins[f.function.name] for f in leaves(expr) if f.function.name in self._twins}
        return expr.xreplace(found) if found else expr

    @cached_property
    def _twins(self) -> dict:
        """By name of a coefficient, that of the transposed difference, up to the sign."""
        return {
            self._coefficient(kind, half, k).name: self._coefficient(twin, not half, -k)
            for kind, twin in ((FREE, TRACTIONS), (TRACTIONS, FREE))
            for half in (False, True)
            for k in self._shifts
        }

    def _coefficient(self, kind: str, half: bool, shift: int):
        return self._profile(called(kind, shift), half)

    def _profile(self, kind: str, half: bool):
        return self.template.profile(f"{kind}_{self.axis.name}{'_after' if half else ''}", self.axis)


def _coefficient(expr, slope):
    """What a difference is multiplied by in an expression that is linear in it."""
    if expr == slope:
        return sympy.S.One
    if expr.is_Add:
        return sum((_coefficient(a, slope) for a in expr.args), sympy.S.Zero)
    if expr.is_Mul:
        (mine,) = [a for a in expr.args if slope in a.atoms(Derivative)] or (sympy.S.Zero,)
        return sympy.Mul(*(a for a in expr.args if a is not mine)) * _coefficient(mine, slope) if mine else sympy.S.Zero
    return sympy.S.Zero


def _put(expr, by: Mapping):
    """An expression with others in the place of some of its parts."""
    if expr in by:
        return by[expr]
    if isinstance(expr, Derivative):
        return expr._rebuild(expr=_put(expr.expr, by))
    if getattr(expr, "is_DiscreteFunction", False) or not expr.args:
        return expr
    args = [_put(a, by) for a in expr.args]
    return sympy.S.Zero if expr.is_Mul and 0 in args else expr.func(*args)
