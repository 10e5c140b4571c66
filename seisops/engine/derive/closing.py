"""Differences that end at a surface at the low end of the last axis: in symbols, with their adjoints."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction
from functools import cached_property

from devito import Derivative

from seisops.engine.symbols.closure import FREE, LACK, TRACTIONS, called, closure
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import leaves, move
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
