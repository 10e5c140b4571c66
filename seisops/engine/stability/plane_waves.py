"""A scheme as it acts on plane waves in media of constant coefficients: its stability by von Neumann analysis.

Each row of a residual is taken apart into terms ``coefficients * derivatives of a field at one time``. For a plane wave
``u_j(t + k) = z^k exp(i kappa x)`` they make the residual a matrix polynomial in z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from seisops.engine.kept.function import Function
from seisops.engine.stability.arithmetic import Difference, Expression
from seisops.engine.symbols.names import PREFIX
from seisops.errors import UnstableError

__all__ = ["Row", "Symbol", "Term", "lossless", "stable_step"]

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
    derivatives : tuple of Difference
        From outside to inside; what they are taken of does not matter.
    """

    field: int
    offset: int
    derivatives: tuple[Difference, ...]


@dataclass(frozen=True)
class Row:
    """A row where coefficients vary from cell to cell.

    Attributes
    ----------
    own : tuple of (int, Expression)
        What it holds of its own field in the same cell: the time offset, and the coefficient.
    other : Expression
        All else, linear in the fields.
    """

    own: tuple[tuple[int, Expression], ...]
    other: Expression


@dataclass(frozen=True)
class Symbol:
    """The rows of an equation without boundaries, taken apart: plain data, made by :mod:`seisops.engine.stability.rows`.

    Attributes
    ----------
    ndim, space_order : int
    fields : tuple of str
        Names of the fields' symbols.
    leads : tuple of int
        Time offset at which row i determines field i.
    names : tuple of str
        Names of the parameters that occur.
    averaged : frozenset of str
        Parameters that are looked at around a cell.
    terms : tuple of tuple of Term
        Of each row.
    coefficients : Function
        Those of all terms, in order, of the parameters, the cell sizes and the time step.
    rows : tuple of Row
    """

    ndim: int
    space_order: int
    fields: tuple[str, ...]
    leads: tuple[int, ...]
    names: tuple[str, ...]
    averaged: frozenset[str]
    terms: tuple[tuple[Term, ...], ...]
    coefficients: Function
    rows: tuple[Row, ...]

    def values(self, values: Mapping[str, np.ndarray], spacing: tuple[float, ...], dt: float) -> list[list[np.ndarray]]:
        """The coefficients of the terms of each row, for parameters of any shape, by name of their symbol."""
        found = iter(self.coefficients(*(np.asarray(values[name], float) for name in self.names), *spacing, dt))
        return [[np.asarray(next(found), float) for _ in row] for row in self.terms]

    def wave(self, term: Term, spacing: tuple[float, ...], waves: np.ndarray) -> np.ndarray:
        """What the derivatives of a term make of waves of given wavenumbers, in radians for each cell."""
        out = np.ones(len(waves), complex)
        for derivative in term.derivatives:
            out = out * sum(
                w * np.exp(1j * sum(k * waves[:, a] for k, a in zip(offsets, derivative.axes, strict=True)))
                for offsets, w in derivative.weights(spacing).items()
            )
        return out

    def bound(self, term: Term, spacing: tuple[float, ...]) -> float:
        """The largest value that the derivatives of a term can take, for a field between -1 and 1."""
        return prod(sum(map(abs, d.weights(spacing).values())) for d in term.derivatives)

    def growth(self, values: Mapping[str, np.ndarray], spacing: tuple[float, ...], dt: float) -> np.ndarray:
        """By how much the moduli of the roots z exceed one at most, for each of several sets of parameters."""
        return self.roots(values, spacing, dt, _waves(self.ndim)).max(axis=(-2, -1)) - 1

    def roots(self, values: Mapping[str, np.ndarray], spacing: tuple[float, ...], dt: float, waves) -> np.ndarray:
        """Moduli of the roots z: (sets of parameters, waves, roots)."""
        n, leads = len(self.terms), self.leads
        # counted from where each field leads: a shift of an unknown in time changes no root but 0
        offsets = [term.offset - leads[term.field] for row in self.terms for term in row]
        low, degree = min(offsets), max(offsets) - min(offsets)
        sets = np.broadcast(*(values[name] for name in self.names), 0).size
        polynomial = np.zeros((degree + 1, sets, len(waves), n, n), complex)
        for i, (row, coefficients) in enumerate(zip(self.terms, self.values(values, spacing, dt), strict=True)):
            for term, c in zip(row, coefficients, strict=True):
                k = term.offset - leads[term.field] - low
                polynomial[k, ..., i, term.field] += c.reshape(-1, 1) * self.wave(term, spacing, waves)
        companion = np.zeros((sets, len(waves), degree * n, degree * n), complex)
        for k in range(degree):
            companion[..., :n, k * n : (k + 1) * n] = -np.linalg.solve(polynomial[-1], polynomial[degree - 1 - k])
        companion[..., n:, :-n] = np.eye(prod((degree - 1, n)))
        return np.abs(np.linalg.eigvals(companion))


def stable_step(symbol: Symbol, values: Mapping[str, float], spacing: tuple[float, ...], guess: float) -> float:
    """Largest time step at which no plane wave grows, for constant coefficients.

    The step is stable when all roots of the matrix polynomial satisfy ``|z| <= 1`` for a dense set of wavenumbers including
    the highest (Strikwerda 2004, *Finite Difference Schemes*, ch. 4). Found by bisection.

    Parameters
    ----------
    symbol : Symbol
        Of the equation without boundaries.
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

    def growth(dt: float) -> float:
        return float(symbol.growth(values, spacing, dt).max())

    low = guess
    while growth(low) > TOLERANCE:
        low /= 2
        if low < guess * 1e-12:
            break
    # below a limit of stability growth vanishes; where it is only proportional to the step there is no such limit
    if growth(low / 8) > TOLERANCE / 80:
        names = ", ".join(name.removeprefix(PREFIX) for name in symbol.fields)
        one_sided = (
            ", of which first derivatives are one-sided: take space_order=4 or more" if symbol.space_order == 2 else ""
        )
        raise UnstableError(
            f"plane waves of {names} grow at every time step, however small, where "
            f"{_described(symbol, values, spacing, low / 8)}: the equation or its discretisation is unstable "
            f"(space order {symbol.space_order}{one_sided})"
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


def lossless(symbol: Symbol, values: Mapping[str, float], spacing: tuple[float, ...], dt: float) -> bool:
    """Whether plane waves neither grow nor decay, so that the scheme can be run backward in time.

    All roots z of the matrix polynomial of :func:`stable_step` then lie on the unit circle, but for those at zero that
    are no waves. Arguments as there; `dt` is the time step in s.
    """
    waves = _waves(symbol.ndim)
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
