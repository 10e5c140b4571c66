"""Absorbing layers as transformations of a residual: new terms, new fields, and the restriction to the grid."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from devito import Derivative
from devito.finite_differences.tools import centered

from seisops.engine.derive.closing import Closing
from seisops.engine.derive.describe import describe_expression, in_order
from seisops.engine.symbols.closure import BELOW, FREE, TRACTIONS
from seisops.engine.symbols.location import position, sign
from seisops.engine.symbols.names import PREFIX
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import depends, occurrences, time_offset
from seisops.errors import ParameterError

__all__ = ["MultiaxialStretch", "PMLStretch", "SpongeStretch", "Stretch", "restricted"]

#: Kind of the profiles that are 1 on the grid and 0 beyond it.
INSIDE = "inside"
#: Kinds of the profiles that are 0 beyond the grid.
ENDING = (INSIDE, FREE, TRACTIONS)


def restricted(expr, halves: bool = False) -> frozenset:
    """The axes along which an expression vanishes beyond the grid, as far as restrictions (to half cells only) make it."""
    if getattr(expr, "is_DiscreteFunction", False):
        name = expr.function.name.removeprefix(PREFIX)
        mine = name.startswith(ENDING) and (not halves or name.endswith(("_after", "_before")))
        return frozenset(expr.function.dimensions if mine else ())
    if isinstance(expr, Derivative):
        return restricted(expr.expr, halves) - set(expr.dims)
    found = [restricted(a, halves) for a in getattr(expr, "args", ())]
    if expr.is_Mul:
        return frozenset().union(*found)
    return frozenset.intersection(*found) if expr.is_Add else frozenset()


class Stretch:
    """Rewrites spatial derivatives while keeping track of where on the grid each expression lives.

    Derivatives and averages that stand inside another, or at half cells, are restricted to the grid (multiplied by an
    indicator that vanishes outside), which makes the discrete operator a finite matrix whose transpose is exact up to the
    last cell, and keeps out what parameters are beyond it: a field half a cell after the nodes has a sample there. With a
    `closing`, differences along the last axis are closed at a free surface.
    """

    def __init__(self, template: Template, fields, positions, parity, closing: Closing | None = None):
        self.template, self.closing = template, closing
        self.fields = list(fields)
        self.positions = dict(positions)
        self.parity = dict(parity)
        self.rows: list = []
        self.auxiliary: list = []
        self.compact: dict = {p.name: closing.axis for p in closing.profiles} if closing else {}

    def profile(self, kind: str, dimension, where: Fraction):
        """The profile `kind` along `dimension`, at nodes or at half cells before or after them."""
        suffix = {Fraction(0): "", Fraction(1, 2): "_after", Fraction(-1, 2): "_before"}[where]
        return self.template.profile(f"{kind}_{dimension.name}{suffix}", dimension)

    def __call__(self, expr, nested: bool = False):
        if isinstance(expr, Derivative) and depends(expr, self.fields):
            return self.derivative(expr, nested)
        if expr.args and not getattr(expr, "is_DiscreteFunction", False):
            # fields are numbered as they come: in an order of our own, that of SymPy differs from process to process
            made = {a: self(a, nested) for a in in_order(expr.args)}
            return expr.func(*(made[a] for a in expr.args))
        return expr

    def derivative(self, expr: Derivative, nested: bool):
        inner, z = self(expr.expr, nested=True), self.template.dimensions[-1]
        for d, order, width in zip(expr.dims, expr.deriv_order, expr.fd_order, strict=True):
            x0 = {d: expr.x0[d]} if d in expr.x0 else {}
            last = d is expr.dims[-1]
            kept = {"side": expr.side, "transpose": expr.transpose, "weights": expr.weights or None}
            inner = self._vanishing(inner) if d is z else inner
            inner = self.along(Derivative(inner, (d, order), fd_order=width, x0=x0, **kept), nested or not last)
            inner = self._vanishing(inner) if d is z and nested else inner
        return inner

    def _vanishing(self, expr):
        """What is odd about a surface, zero on it, where there are parameters that are odd.

        These have on the surface the value of the ground beside it; what they make of a field that is even is zero there as
        the mean of both sides only. Of a field's differences it is so by itself, but not in the transpose.
        """
        names = {u.name for u in self.fields}
        if all(of > 0 for name, of in self.parity.items() if name not in names):
            return expr
        axes = self.template.dimensions
        if position(expr, self.positions, axes)[-1] or sign(expr, self.parity, axes) > 0:
            return expr
        return self.profile(BELOW, axes[-1], Fraction(0)) * expr

    def damped(self, expr):
        """A row, expanded in time, with what the layer makes of its differences in time."""
        return expr

    def along(self, expr: Derivative, nested: bool):
        """One derivative along one axis; boundaries override :meth:`stretched`."""
        (d,) = expr.dims
        where = position(expr, self.positions, self.template.dimensions)[self.template.dimensions.index(d)]
        stretched = self.stretched(expr, d, where)
        if nested or where:
            stretched = self.profile(INSIDE, d, where) * stretched
        if self.closing and d is self.closing.axis:
            stretched = stretched + self.closing.added(expr, where)
        return stretched

    def stretched(self, expr, dimension, where):
        """The derivative with what the layer makes of it."""
        return expr


class PMLStretch(Stretch):
    """Every derivative D e becomes D e + psi, with psi(t) = b psi(t - 1) + a D e (t); one psi wherever it stands."""

    def __init__(self, template: Template, fields, positions, parity, closing: Closing | None = None):
        super().__init__(template, fields, positions, parity, closing)
        self._memories: dict = {}

    def stretched(self, expr, dimension, where):
        order = expr.deriv_order[0]
        if order == 0:
            return expr
        if order == 1:
            return expr + self.memory(expr, dimension, where)
        if order == 2 and not expr.x0:
            slope = Derivative(expr.expr, (dimension, 1), fd_order=expr.fd_order[0], side=centered)
            psi = self.memory(slope, dimension, where)
            total = expr + Derivative(psi, (dimension, 1), fd_order=expr.fd_order[0], side=centered)
            return total + self.memory(total, dimension, where)
        raise ParameterError(
            f"a PML cannot stretch {expr}, a derivative of order {order}"
            + (" at half cells" if expr.x0 else "")
            + "; write it as nested derivatives of order 1 or 2"
        )

    def memory(self, slope, dimension, where):
        """The field that remembers `slope` inside the layer."""
        what = describe_expression(slope), dimension
        if what not in self._memories:
            self._memories[what] = self._remembered(slope, dimension, where)
        return self._memories[what]

    def _remembered(self, slope, dimension, where):
        ahead = max(time_offset(f) for u in self.fields for f in occurrences(slope, u))
        name = f"mem{len(self.auxiliary)}"
        psi = self.template.field(name, levels=2)
        self.auxiliary.append(psi)
        self.fields.append(psi)
        self.positions[psi.name] = position(slope, self.positions, self.template.dimensions)
        if self.parity:
            self.parity[psi.name] = sign(slope, self.parity, self.template.dimensions)
        now = psi.forward if ahead == 1 else psi
        before = psi if ahead == 1 else psi.backward
        a, b = self.profile("a", dimension, where), self.profile("b", dimension, where)
        self.compact[psi.name] = self.compact[a.name] = self.compact[b.name] = dimension
        # divided by a, the multiplier of this row carries the factor a: in the transposed equation, too, it is zero
        # outside the layer; march cancels the division
        self.rows.append(now / a - b / a * before - slope)
        return now


class SpongeStretch(Stretch):
    """Everything that is advanced in time decays: derivatives in space stay as they are."""

    def damped(self, expr):
        """Let what an expression, expanded in time, takes differences of in time decay at a rate eta.

        If u obeys an equation, ``exp(-eta t) u`` obeys that in which each ``u(t + k dt)`` is multiplied by
        ``exp(eta k dt)``. That is done here to fields of which a row has several times, outside of derivatives in space,
        with k counted from the middle of these times: d/dt becomes d/dt + eta up to the second order in the step, however
        differences are written down. Where eta varies, second-order schemes stay stable at the steps at which they are
        without a layer: with ``E = exp(eta dt) >= 1`` the roots of ``x'Ex l^2 + x'(K - 2)x l + x'x/E = 0`` are not larger
        than 1 for ``0 <= K <= 4``, as ``x'Ex x'x/E >= (x'x)^2``.
        """
        fade = 1
        for d in self.template.dimensions:  # in half a step
            fade = fade * self.template.profile(f"fade_{d.name}", d)
        return _decaying(expr, lambda f, k, last: f * fade ** -(2 * k - last) if 2 * k != last else f)


class MultiaxialStretch(PMLStretch):
    """A PML in which all waves decay, too, whatever their direction (Meza-Fajardo & Papageorgiou 2008).

    Stretching all axes by the same factor ``1 + eta / (i w)`` is to let everything decay at the rate eta: ``u(t - k dt)`` is
    multiplied by ``exp(-k eta dt)``, written as one minus what vanishes outside of the strips.
    """

    def damped(self, expr):
        return _decaying(expr, lambda f, k, last: f * self._left(f.function, last - k) if k != last else f)

    def _left(self, field, steps: int):
        """What is left of a field after some steps."""
        out = 1
        for d, where in zip(self.template.dimensions, self.positions[field.name], strict=True):
            lost = self.profile(f"lost{steps}", d, where)
            self.compact[lost.name] = d
            out = out * (1 - lost)
        return out


def _decaying(expr, decayed):
    """An expression with the fields of which it has several times outside of derivatives as they decay.

    `decayed` is called with a field, the number of its time among those, and that of the last.
    """
    times: dict = {}
    for f in _outside(expr):
        times.setdefault(f.function, set()).add(time_offset(f))

    def walked(e):
        if getattr(e, "is_DiscreteFunction", False):
            known = times.get(e.function, ())
            return decayed(e, time_offset(e) - min(known), max(known) - min(known)) if len(known) > 1 else e
        if isinstance(e, Derivative) or not e.args:
            return e
        return e.func(*(walked(a) for a in e.args))

    return walked(expr)


def _outside(expr) -> Iterator:
    """The fields of an expression that stand in no derivative."""
    if getattr(expr, "is_DiscreteFunction", False):
        if getattr(expr.function, "is_TimeFunction", False):
            yield expr
    elif not isinstance(expr, Derivative):
        for a in expr.args:
            yield from _outside(a)
