"""A scheme as it acts on plane waves in media of constant coefficients: its stability by von Neumann analysis.

Each row of a residual is taken apart into terms ``coefficients * derivatives of a field at one time``. For a plane wave
``u_j(t + k) = z^k exp(i kappa x)`` they make the residual a matrix polynomial in z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

import numpy as np
import sympy
from devito import Derivative

from seisops.engine.derive.system import System
from seisops.engine.symbols.stencils import stencil
from seisops.engine.symbols.template import PREFIX
from seisops.engine.symbols.terms import depends, leaves, time_offset
from seisops.errors import ParameterError, UnstableError

__all__ = ["Symbol", "Term", "lossless", "stable_step"]

# double roots, such as z = 1 of a wave at rest, are computed to the square root of rounding
TOLERANCE = 1e-4
# how much of their amplitude waves may lose in a step and still count as lossless
DECAY = 1e-7


@dataclass(frozen=True)
class Term:
    """Part of a row: the product of a coefficient with derivatives of a field at one time.

    Attributes
    ----------
    field, offset : int
        Number of the field, and its time in steps from that of the row.
    coefficient : expression
        Of parameters, spacings and the time step.
    derivatives : tuple of devito.Derivative
        From outside to inside; what they are taken of does not matter.
    """

    field: int
    offset: int
    coefficient: sympy.Expr
    derivatives: tuple


class Symbol:
    """The rows of an equation, taken apart.

    Parameters
    ----------
    system : System
        Without boundaries.
    """

    def __init__(self, system: System):
        self.system, self.template = system, system.template
        self.rows: list[list[Term]] = [list(self._terms(row, sympy.S.One, ())) for row in system.residuals]
        functions = {f.function for row in self.rows for term in row for f in leaves(term.coefficient)}
        #: Names of the parameters that occur.
        self.names = sorted(f.name for f in functions)

    def _terms(self, expr, coefficient, derivatives):
        fields = self.system.fields
        if not depends(expr, fields):
            if expr != 0:
                raise ParameterError(f"the residual is not linear in the fields: {expr} stands alone")
        elif getattr(expr, "is_DiscreteFunction", False):
            yield Term(fields.index(expr.function), time_offset(expr), coefficient, derivatives)
        elif expr.is_Add:
            for a in expr.args:
                yield from self._terms(a, coefficient, derivatives)
        elif expr.is_Mul:
            active = [a for a in expr.args if depends(a, fields)]
            if len(active) > 1:
                raise ParameterError(f"the residual is not linear in the fields: {expr}")
            for a in expr.args:
                if a is not active[0]:
                    coefficient = coefficient * a
            yield from self._terms(active[0], coefficient, derivatives)
        elif isinstance(expr, Derivative):
            yield from self._terms(expr.expr, coefficient, (*derivatives, expr))
        else:
            raise ParameterError(f"the residual is not linear in the fields: {expr}")

    @cached_property
    def coefficients(self):
        """All coefficients as one function of the parameters' values, the spacings and the time step."""
        plain: dict = {}
        exprs = [_constant(term.coefficient, plain) for row in self.rows for term in row]
        arguments = [plain.get(name, sympy.Symbol(name)) for name in self.names]
        units = [d.spacing for d in self.template.dimensions]
        stand_ins = {s: sympy.Symbol(s.name) for s in (*units, self.template.step.spacing)}
        exprs = [sympy.sympify(e).xreplace(stand_ins) for e in exprs]
        return sympy.lambdify([*arguments, *stand_ins.values()], exprs, "numpy", cse=True)

    def values(self, values: Mapping[str, np.ndarray], spacing: tuple[float, ...], dt: float) -> list[list[np.ndarray]]:
        """The coefficients of the terms of each row, for parameters of any shape, by name of their symbol."""
        found = iter(self.coefficients(*(np.asarray(values[name], float) for name in self.names), *spacing, dt))
        return [[np.asarray(next(found), float) for _ in row] for row in self.rows]

    def of_step(self, term: Term, values: Mapping[str, float], spacing: tuple[float, ...]) -> sympy.Expr:
        """The coefficient of a term as an expression of the time step."""
        plain: dict = {}
        expr = sympy.sympify(_constant(term.coefficient, plain))
        units = {d.spacing: h for d, h in zip(self.template.dimensions, spacing, strict=True)}
        return expr.xreplace({**{s: sympy.Float(values[name]) for name, s in plain.items()}, **units})

    def weights(self, derivative: Derivative, spacing: tuple[float, ...]) -> dict[tuple[int, ...], float]:
        """The weights of a derivative, by offsets along its axes."""
        if derivative not in self._stencils:
            unit = dict.fromkeys(self.template.dimensions, sympy.S.One)
            self._stencils[derivative] = {k: float(w) for k, w in stencil(derivative, self.template, unit).items()}
        cells = dict(zip(self.template.dimensions, spacing, strict=True))
        scale = prod(cells[d] ** -n for d, n in zip(derivative.dims, derivative.deriv_order, strict=True))
        return {k: w * scale for k, w in self._stencils[derivative].items()}

    @cached_property
    def _stencils(self) -> dict:
        return {}

    def wave(self, term: Term, spacing: tuple[float, ...], waves: np.ndarray) -> np.ndarray:
        """What the derivatives of a term make of waves of given wavenumbers, in radians for each cell."""
        out = np.ones(len(waves), complex)
        for derivative in term.derivatives:
            axes = [self.template.dimensions.index(d) for d in derivative.dims]
            out = out * sum(
                w * np.exp(1j * sum(k * waves[:, a] for k, a in zip(offsets, axes, strict=True)))
                for offsets, w in self.weights(derivative, spacing).items()
            )
        return out

    def bound(self, term: Term, spacing: tuple[float, ...]) -> float:
        """The largest value that the derivatives of a term can take, for a field between -1 and 1."""
        return prod(sum(map(abs, self.weights(d, spacing).values())) for d in term.derivatives)

    def growth(self, values: Mapping[str, np.ndarray], spacing: tuple[float, ...], dt: float) -> np.ndarray:
        """By how much the moduli of the roots z exceed one at most, for each of several sets of parameters."""
        return self.roots(values, spacing, dt, _waves(self.template.ndim)).max(axis=(-2, -1)) - 1

    def roots(self, values: Mapping[str, np.ndarray], spacing: tuple[float, ...], dt: float, waves) -> np.ndarray:
        """Moduli of the roots z: (sets of parameters, waves, roots)."""
        n, leads = len(self.rows), self.system.leads
        # counted from where each field leads: a shift of an unknown in time changes no root but 0
        offsets = [term.offset - leads[term.field] for row in self.rows for term in row]
        low, degree = min(offsets), max(offsets) - min(offsets)
        sets = np.broadcast(*(values[name] for name in self.names), 0).size
        polynomial = np.zeros((degree + 1, sets, len(waves), n, n), complex)
        for i, (row, coefficients) in enumerate(zip(self.rows, self.values(values, spacing, dt), strict=True)):
            for term, c in zip(row, coefficients, strict=True):
                k = term.offset - leads[term.field] - low
                polynomial[k, ..., i, term.field] += c.reshape(-1, 1) * self.wave(term, spacing, waves)
        companion = np.zeros((sets, len(waves), degree * n, degree * n), complex)
        for k in range(degree):
            companion[..., :n, k * n : (k + 1) * n] = -np.linalg.solve(polynomial[-1], polynomial[degree - 1 - k])
        companion[..., n:, :-n] = np.eye(prod((degree - 1, n)))
        return np.abs(np.linalg.eigvals(companion))


def stable_step(
    system: System | Symbol, values: Mapping[str, float], spacing: tuple[float, ...], guess: float
) -> float:
    """Largest time step at which no plane wave grows, for constant coefficients.

    The step is stable when all roots of the matrix polynomial satisfy ``|z| <= 1`` for a dense set of wavenumbers including
    the highest (Strikwerda 2004, *Finite Difference Schemes*, ch. 4). Found by bisection.

    Parameters
    ----------
    system : System or Symbol
        The equation, without boundaries.
    values : mapping
        Value of each parameter, by the name of its symbol; of several sets of them the worst counts.
    spacing : tuple of float
        Cell sizes in m.
    guess : float
        A step in s of the right order of magnitude.

    Raises
    ------
    UnstableError
        If the scheme grows at every step.
    """
    symbol = system if isinstance(system, Symbol) else Symbol(system)
    template = symbol.template

    def growth(dt: float) -> float:
        return float(symbol.growth(values, spacing, dt).max())

    low = guess
    while growth(low) > TOLERANCE:
        low /= 2
        if low < guess * 1e-12:
            break
    # below a limit of stability growth vanishes; where it is only proportional to the step there is no such limit
    if growth(low / 8) > TOLERANCE / 80:
        names = ", ".join(u.name.removeprefix(PREFIX) for u in symbol.system.fields)
        raise UnstableError(
            f"plane waves of {names} grow at every time step, however small, where "
            f"{_described(symbol, values, spacing, low / 8)}: the equation or its discretisation is unstable "
            f"(space order {template.space_order}; first derivatives of order 2 are one-sided in Devito)"
        )
    high = low
    while growth(high) <= TOLERANCE:
        low, high = high, 2 * high
        if high > guess * 1e12:
            return high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if growth(middle) <= TOLERANCE else (low, middle)
    return low


def lossless(system: System | Symbol, values: Mapping[str, float], spacing: tuple[float, ...], dt: float) -> bool:
    """Whether plane waves neither grow nor decay, so that the scheme can be run backward in time.

    All roots z of the matrix polynomial of :func:`stable_step` then lie on the unit circle, but for those at zero that
    are no waves. Arguments as there; `dt` is the time step in s.
    """
    symbol = system if isinstance(system, Symbol) else Symbol(system)
    waves = _waves(symbol.template.ndim)
    # at rest, wavenumber 0, roots are double, and computed to the square root of rounding only
    roots = symbol.roots(values, spacing, dt, waves[waves.any(axis=1)])
    return bool(np.all((np.abs(roots - 1) < DECAY) | (roots < DECAY)))


def _described(symbol: Symbol, values, spacing, dt: float) -> str:
    """The set of parameters in which waves grow most, in words."""
    worst = int(np.argmax(symbol.growth(values, spacing, dt)))
    named = ((name, np.ravel(values[name])) for name in symbol.names)
    return ", ".join(f"{name.removeprefix(PREFIX)} = {v[worst if v.size > 1 else 0]:.6g}" for name, v in named)


def _waves(ndim: int) -> np.ndarray:
    """Wavenumbers in radians for each cell: a dense set including the highest."""
    samples = 9 if ndim == 2 else 5
    return np.array(list(product(np.linspace(0, np.pi, samples), repeat=ndim)))


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
        plain_function = {"Add": sympy.Add, "Mul": sympy.Mul, "Pow": sympy.Pow}.get(expr.func.__name__)
        return (plain_function or getattr(sympy, expr.func.__name__))(*arguments)
    return expr
