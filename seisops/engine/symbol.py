"""Stability of an explicit scheme by von Neumann analysis of its residual."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import prod

import numpy as np
import sympy
from devito import Derivative

from seisops.engine.derive import System
from seisops.engine.stencils import stencil
from seisops.engine.template import PREFIX
from seisops.engine.terms import depends, time_offset
from seisops.errors import ParameterError, UnstableError

__all__ = ["lossless", "stable_step"]

# double roots, such as z = 1 of a wave at rest, are computed to the square root of rounding, and weights are rounded at 1e-9
TOLERANCE = 1e-4
# how much of their amplitude waves may lose in a step and still count as lossless
DECAY = 1e-7


def stable_step(system: System, values: Mapping[str, float], spacing: tuple[float, ...], guess: float) -> float:
    """Largest time step at which no plane wave grows, for constant coefficients.

    Substituting ``u_j(t + k) -> z^k exp(i kappa x)`` turns the residual into a matrix polynomial in z; the step is
    stable when all its roots satisfy ``|z| <= 1`` for a dense set of wavenumbers including the highest
    (Strikwerda 2004, *Finite Difference Schemes*, ch. 4). Found by bisection.

    Parameters
    ----------
    system : System
        The equation, without boundaries.
    values : mapping
        Value of each parameter, by the name of its symbol.
    spacing : tuple of float
        Cell sizes in m.
    guess : float
        A step in s of the right order of magnitude.

    Raises
    ------
    UnstableError
        If the scheme grows at every step.
    """
    template = system.template
    rows = _symbols(system, values, spacing, _waves(template.ndim))

    def growth(dt: float) -> float:
        return float(_roots(rows, system, template.step.spacing, dt).max()) - 1

    low = guess
    while growth(low) > TOLERANCE:
        low /= 2
        if low < guess * 1e-12:
            break
    # below a limit of stability growth vanishes; where it is only proportional to the step there is no such limit
    if growth(low / 8) > TOLERANCE / 80:
        names = ", ".join(u.name.removeprefix(PREFIX) for u in system.fields)
        raise UnstableError(
            f"plane waves of {names} grow at every time step, however small: the equation or its discretisation is "
            f"unstable (space order {template.space_order}; first derivatives of order 2 are one-sided in Devito)"
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


def lossless(system: System, values: Mapping[str, float], spacing: tuple[float, ...], dt: float) -> bool:
    """Whether plane waves neither grow nor decay, so that the scheme can be run backward in time.

    All roots z of the matrix polynomial of :func:`stable_step` then lie on the unit circle, but for those at zero that
    are no waves. Arguments as there; `dt` is the time step in s.
    """
    waves = _waves(system.template.ndim)
    # at rest, wavenumber 0, roots are double, and computed to the square root of rounding only
    rows = _symbols(system, values, spacing, waves[waves.any(axis=1)])
    roots = _roots(rows, system, system.template.step.spacing, dt)
    return bool(np.all((np.abs(roots - 1) < DECAY) | (roots < DECAY)))


def _waves(ndim: int) -> np.ndarray:
    """Wavenumbers in radians for each cell: a dense set including the highest."""
    samples = 9 if ndim == 2 else 5
    return np.array(list(product(np.linspace(0, np.pi, samples), repeat=ndim)))


def _symbols(system: System, values, spacing, waves) -> list[dict]:
    cells = dict(zip(system.template.dimensions, spacing, strict=True))
    return [_symbol(r, system, values, waves, cells) for r in system.residuals]


def _symbol(expr, system, values, waves, cells) -> dict:
    """Terms ``{(field, time offset): coefficient(dt) per wave}``; a coefficient is a list of (sympy in dt, array)."""
    if not depends(expr, system.fields):
        return {None: [(_number(expr, values, cells), np.ones(len(waves)))]}
    if getattr(expr, "is_DiscreteFunction", False):
        return {(system.fields.index(expr.function), time_offset(expr)): [(sympy.S.One, np.ones(len(waves)))]}
    if expr.is_Add:
        out: dict = {}
        for a in expr.args:
            for key, terms in _symbol(a, system, values, waves, cells).items():
                out.setdefault(key, []).extend(terms)
        return out
    if expr.is_Mul:
        factor, inner = sympy.S.One, None
        for a in expr.args:
            if not depends(a, system.fields):
                factor *= _number(a, values, cells)
            elif inner is None:
                inner = _symbol(a, system, values, waves, cells)
            else:
                raise ParameterError(f"the residual is not linear in the fields: {expr}")
        return {key: [(c * factor, w) for c, w in terms] for key, terms in inner.items()}
    if isinstance(expr, Derivative):
        wave = np.zeros(len(waves), complex)
        axes = [system.template.dimensions.index(d) for d in expr.dims]
        for offsets, weight in stencil(expr, system.template, cells).items():
            wave += complex(weight) * np.exp(1j * sum(k * waves[:, a] for k, a in zip(offsets, axes, strict=True)))
        inner = _symbol(expr.expr, system, values, waves, cells)
        return {key: [(c, w * wave) for c, w in terms] for key, terms in inner.items()}
    raise UnstableError(f"cannot analyse the stability of {expr}")


def _number(expr, values, cells):
    """Value of a coefficient where everything is constant in space: derivatives vanish, interpolation is the identity."""
    expr = sympy.sympify(expr)
    if getattr(expr, "is_DiscreteFunction", False):
        return sympy.Float(values[expr.function.name])
    if isinstance(expr, Derivative):
        return _number(expr.expr, values, cells) if not any(expr.deriv_order) else sympy.S.Zero
    if expr.args:
        arguments = [_number(a, values, cells) for a in expr.args]
        plain = {"Add": sympy.Add, "Mul": sympy.Mul, "Pow": sympy.Pow}.get(expr.func.__name__)
        return (plain or getattr(sympy, expr.func.__name__))(*arguments)
    return expr.subs({d.spacing: h for d, h in cells.items()})


def _roots(rows, system, dt_symbol, dt: float) -> np.ndarray:
    """Moduli of the roots z of all waves."""
    n = len(rows)
    # counted from where each field leads: a shift of an unknown in time changes no root but 0
    rows = [{(j, k - system.leads[j]): terms for (j, k), terms in row.items()} for row in rows]
    offsets = [k for row in rows for (_, k) in row]
    low, high = min(offsets), max(offsets)
    size = len(next(iter(rows[0].values()))[0][1])
    polynomial = np.zeros((high - low + 1, size, n, n), complex)
    for i, row in enumerate(rows):
        for (j, k), terms in row.items():
            for c, w in terms:
                polynomial[k - low, :, i, j] += complex(sympy.sympify(c).subs(dt_symbol, dt)) * w
    top = polynomial[-1]
    degree = high - low
    companion = np.zeros((size, degree * n, degree * n), complex)
    for k in range(degree):
        companion[:, :n, k * n : (k + 1) * n] = -np.linalg.solve(top, polynomial[degree - 1 - k])
    companion[:, n:, :-n] = np.eye(prod((degree - 1, n)))
    return np.abs(np.linalg.eigvals(companion))
