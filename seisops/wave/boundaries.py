"""Absorbing boundaries, each a transformation of the residual: what they need in the adjoint follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import log

import numpy as np
import sympy
from devito import Derivative
from devito.finite_differences.tools import centered

from seisops.engine.location import position, sign
from seisops.engine.template import Template
from seisops.engine.terms import depends, occurrences, time_offset
from seisops.errors import ParameterError

__all__ = ["PML", "Sponge"]


class Stretch:
    """Rewrites spatial derivatives while keeping track of where on the grid each expression lives.

    Derivatives that stand inside another derivative are restricted to the grid (multiplied by an indicator that
    vanishes outside), which makes the discrete operator a finite matrix whose transpose is exact up to the last cell.
    """

    def __init__(self, template: Template, fields, positions, parity):
        self.template = template
        self.fields = list(fields)
        self.positions = dict(positions)
        self.parity = dict(parity)
        self.rows: list = []
        self.auxiliary: list = []

    def profile(self, kind: str, dimension, where: Fraction):
        """The profile `kind` along `dimension`, at nodes or at half cells before or after them."""
        suffix = {Fraction(0): "", Fraction(1, 2): "_after", Fraction(-1, 2): "_before"}[where]
        return self.template.profile(f"{kind}_{dimension.name}{suffix}", dimension)

    def __call__(self, expr, nested: bool = False):
        if isinstance(expr, Derivative) and depends(expr, self.fields):
            return self.derivative(expr, nested)
        if expr.args and not getattr(expr, "is_DiscreteFunction", False):
            return expr.func(*(self(a, nested) for a in expr.args))
        return expr

    def derivative(self, expr: Derivative, nested: bool):
        inner = self(expr.expr, nested=True)
        for d, order, width in zip(expr.dims, expr.deriv_order, expr.fd_order, strict=True):
            x0 = {d: expr.x0[d]} if d in expr.x0 else {}
            last = d is expr.dims[-1]
            inner = self.along(Derivative(inner, (d, order), fd_order=width, x0=x0, transpose=expr.transpose),
                               nested or not last)
        return inner

    def along(self, expr: Derivative, nested: bool):
        """One derivative along one axis; boundaries override :meth:`stretched`."""
        (d,) = expr.dims
        where = position(expr, self.positions, self.template.dimensions)[self.template.dimensions.index(d)]
        stretched, extra = self.stretched(expr, d, where)
        if nested and expr.deriv_order[0] > 0:
            stretched = self.profile("inside", d, where) * stretched
        return stretched + extra

    def stretched(self, expr, dimension, where):
        """The derivative itself, and what the layer adds to it."""
        return expr, sympy.S.Zero


class CPMLStretch(Stretch):
    """Every derivative D e becomes D e + psi, with psi(t) = b psi(t - 1) + a D e (t)."""

    def stretched(self, expr, dimension, where):
        order = expr.deriv_order[0]
        if order == 0:
            return expr, sympy.S.Zero
        if order == 1:
            return expr, self.memory(expr, dimension, where)
        if order == 2 and not expr.x0:
            slope = Derivative(expr.expr, (dimension, 1), fd_order=expr.fd_order[0])
            total = expr + Derivative(self.memory(slope, dimension, where), (dimension, 1), fd_order=expr.fd_order[0])
            return total, self.memory(total, dimension, where)
        raise ParameterError(
            f"a PML cannot stretch {expr}, a derivative of order {order}"
            + (" at half cells" if expr.x0 else "") + "; write it as nested derivatives of order 1 or 2"
        )

    def memory(self, slope, dimension, where):
        """A new field that remembers `slope` inside the layer."""
        ahead = max(time_offset(f) for u in self.fields for f in occurrences(slope, u))
        name = f"mem{len(self.auxiliary)}"
        psi = self.template.field(name, levels=2)
        self.auxiliary.append(psi)
        self.fields.append(psi)
        self.positions[psi.name] = position(slope, self.positions, self.template.dimensions)
        self.parity[psi.name] = sign(slope, self.parity, self.template.dimensions)
        now = psi.forward if ahead == 1 else psi
        before = psi if ahead == 1 else psi.backward
        a, b = self.profile("a", dimension, where), self.profile("b", dimension, where)
        self.rows.append(now - b * before - a * slope)
        return now


@dataclass(frozen=True)
class PML:
    """Convolutional perfectly matched layer (Komatitsch & Martin 2007, doi:10.1190/1.2757586), without time lag.

    Every derivative of the residual is stretched, so that the layer fits any wave equation. With depth q in (0, 1],
    thickness L and the largest velocity v,

        sigma = -(order + 1) v ln(R) / (2 L) q^order,   alpha = pi f (1 - q),
        b = exp(-(sigma + alpha) dt),                   a = sigma / (sigma + alpha) (b - 1).

    Parameters
    ----------
    cells : int
        Thickness of the layer outside the model, in cells.
    reflection : float
        R, the reflection coefficient that the profile is designed for.
    order : int
        Order of the profile's growth with depth.
    wavelength : float
        Dominant wavelength, in cells at the largest velocity, that sets the frequency f = v / (wavelength h).

    Raises
    ------
    ParameterError
        If `cells` is not a positive integer, or another parameter is out of its range.
    """

    cells: int = 12
    reflection: float = 1e-4
    order: int = 2
    wavelength: float = 20.0

    def __post_init__(self):
        _check_cells(self)
        if not 0 < self.reflection < 1:
            raise ParameterError(f"PML(reflection={self.reflection!r}): must lie between 0 and 1, for example 1e-4")
        if self.order < 1 or self.wavelength <= 0:
            raise ParameterError(f"{self!r}: order must be at least 1 and wavelength positive")

    stretch = CPMLStretch

    def damp(self, expr, template):
        """A PML leaves derivatives in time as they are."""
        return expr

    def profiles(self, depth, spacing: float, velocity: float, step: float) -> dict[str, np.ndarray]:
        """Values of the profiles ``a`` and ``b`` at points of the given depth in the layer.

        Parameters
        ----------
        depth : ndarray
            Depth in the layer in cells; 0 or less in the model.
        spacing, velocity, step : float
            Cell size in m, largest velocity in m/s, time step in s.
        """
        q = np.clip(depth / self.cells, 0.0, 1.0)
        sigma = -(self.order + 1) * velocity * log(self.reflection) / (2 * self.cells * spacing) * q**self.order
        alpha = np.pi * velocity / (self.wavelength * spacing) * (1 - q)
        b = np.where(q > 0, np.exp(-(sigma + alpha) * step), 0.0)
        a = np.where(q > 0, sigma / np.maximum(sigma + alpha, np.finfo(float).tiny) * (b - 1), 0.0)
        return {"a": a, "b": b}


@dataclass(frozen=True)
class Sponge:
    """Damping layer: every derivative in time d/dt becomes d/dt + eta (Cerjan et al. 1985, doi:10.1190/1.1441945).

    Cheaper per cell than a :class:`PML` and far less absorbing; kept for comparison and for equations that a PML does
    not suit. With depth q in (0, 1] and thickness L, eta = -3 v ln(R) / (2 L) q^2.

    Parameters
    ----------
    cells : int
        Thickness of the layer outside the model, in cells.
    reflection : float
        R, the attenuation across the layer and back that the profile is designed for.
    """

    cells: int = 40
    reflection: float = 1e-3

    def __post_init__(self):
        _check_cells(self)
        if not 0 < self.reflection < 1:
            raise ParameterError(f"Sponge(reflection={self.reflection!r}): must lie between 0 and 1, for example 1e-3")

    stretch = Stretch

    def damp(self, expr, template):
        """Replace d/dt by d/dt + eta in an expression whose time derivatives are not yet expanded."""
        if isinstance(expr, Derivative):
            inner = self.damp(expr.expr, template)
            plain = expr._rebuild(expr=inner)
            if template.step not in expr.dims:
                return plain
            eta = sum(template.profile(f"eta_{d.name}", d) for d in template.dimensions)
            if expr.deriv_order[0] == 1:
                forward = inner.subs(template.step, template.step + template.step.spacing)
                return plain + eta * (inner + forward) / 2
            if expr.deriv_order[0] == 2:
                return plain + 2 * eta * Derivative(inner, (template.step, 1), fd_order=2, side=centered) + eta**2 * inner
            raise ParameterError(f"a Sponge cannot damp {expr}, a derivative in time of order above 2")
        if expr.args and not getattr(expr, "is_DiscreteFunction", False):
            return expr.func(*(self.damp(a, template) for a in expr.args))
        return expr

    def profiles(self, depth, spacing: float, velocity: float, step: float) -> dict[str, np.ndarray]:
        """Values of the profile ``eta`` (1/s) at points of the given depth in the layer, in cells."""
        q = np.clip(depth / self.cells, 0.0, 1.0)
        return {"eta": -3 * velocity * log(self.reflection) / (2 * self.cells * spacing) * q**2}


def _check_cells(boundary) -> None:
    if not isinstance(boundary.cells, int | np.integer) or boundary.cells < 1:
        raise ParameterError(f"{type(boundary).__name__}(cells={boundary.cells!r}): must be a positive number of cells")
