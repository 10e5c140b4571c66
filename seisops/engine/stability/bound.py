r"""A bound of the time step of a scheme in a medium that varies from cell to cell.

Write row i of a residual as ``P_i(z) u_i + sum_j C_ij u_j``, with P_i the polynomial in the time shift z of what the row
holds of its own field in the same cell, and C_ij all else. At the highest frequency, z = -1, explicit schemes lose their
stability: ``u(t + 1) - 2 u(t) + u(t - 1) = -dt^2 A u`` when ``dt^2 A`` has an eigenvalue of 4 = P(-1), a staggered pair
of first order when ``dt^2 B C`` has. Consider ``N = |P(-1)|^-1 |C|``, with the magnitudes of all weights and coefficients:
a matrix without negative entries whose spectral radius is not less than that of ``P(-1)^-1 C``, and equal to it where the
weights of derivatives alternate in sign along each axis, as those of centred second derivatives and of staggered first ones
do (flipping the sign of every other cell turns one into the other). Of N, for any positive x,

.. math:: \rho(N) \le \max_i \frac{(N x)_i}{x_i}

(Collatz 1942, doi:10.1007/BF01180013; Wielandt 1950, doi:10.1007/BF02230720), a bound that holds for whatever medium and
improves with each step of the power iteration ``x <- N x``. With x = 1 it is Gershgorin's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from math import prod

import numpy as np

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
from seisops.engine.stability.plane_waves import Symbol

__all__ = ["Bound"]

# steps of the power iteration at most, and relative gain in three of them below which it ends
MOST, GAIN = 200, 4e-3
# cells of a large grid
LARGE = 2**16
# of radii: cells of which eigenvalues are computed at first, iterations before that, and what is close enough
FIRST, STEPS, CLOSE = 64, 2, 1e-6
# of the iterate that stays in it: matrices of staggered systems are periodic
STAY = 0.1


class Bound:
    """The matrix N of a scheme in a medium, as it acts on arrays.

    Parameters
    ----------
    symbol : Symbol
        The equation, without boundaries.
    values : mapping
        Arrays of the parameters, by name of their symbol.
    spacing : tuple of float
        Cell sizes in m.
    """

    def __init__(self, symbol: Symbol, values: Mapping[str, np.ndarray], spacing: tuple[float, ...]):
        self._symbol, self._spacing = symbol, spacing
        self._values = {name: np.asarray(values[name], float) for name in symbol.names}
        self._known: tuple = (None, None, None)
        self._shape = np.broadcast(*self._values.values(), 0).shape
        # the iteration on a large grid takes time, and needs three digits only
        self._dtype = np.float32 if prod(self._shape) > LARGE else np.float64

    # -- in each cell as if the medium were everywhere as there

    @cached_property
    def cells(self) -> dict[str, np.ndarray]:
        """The values of the cells; of one where all are alike."""
        if all(np.ptp(v) == 0 for v in self._values.values()):
            return {name: np.ravel(v)[:1] for name, v in self._values.items()}
        return {name: np.broadcast_to(v, self._shape).ravel() for name, v in self._values.items()}

    def local(self, dt: float, part: slice = slice(None)) -> np.ndarray:
        """N in homogeneous media like those of each of the cells, or of some: (cells, fields, fields)."""
        symbol, n = self._symbol, len(self._symbol.terms)
        cells = {name: a[part] for name, a in self.cells.items()}
        size = np.broadcast(*cells.values(), 0).size
        own, other = np.zeros((n, size)), np.zeros((n, n, size))
        for i, (row, found) in enumerate(zip(symbol.terms, symbol.values(cells, self._spacing, dt), strict=True)):
            for term, c in zip(row, found, strict=True):
                if term.field == i and not term.derivatives:
                    own[i] += c * (-1) ** term.offset
                else:
                    other[i, term.field] += np.abs(c) * symbol.bound(term, self._spacing)
        other /= _positive(np.abs(own))[:, None]
        return np.moveaxis(other, -1, 0)

    def worst(self, dt: float, enough: float = -1.0) -> tuple[int, float]:
        """The cell in whose homogeneous medium the spectral radius of N is largest, and that.

        If it is not larger than `enough`, it is not sought further, and that is `enough`, of any cell.
        """
        cell, radius, _ = self._worst(dt, enough)
        return cell, radius

    def _worst(self, dt: float, enough: float = -1.0) -> tuple[int, float, np.ndarray]:
        """The worst cell, its spectral radius and its N; of the step that was asked for last it is known.

        Of matrices without negative entries, one whose entries are not less than those of another has no smaller radius:
        where that of the largest entries of many cells is small enough, no cell needs its own. Of them is then N, too.
        """
        if self._known[:2] != (dt, enough):
            size, found, most = np.broadcast(*self.cells.values(), 0).size, (0, enough, None), 0.0
            for start in range(0, size, LARGE):
                local = self.local(dt, slice(start, start + LARGE))
                most = np.maximum(most, top := local.max(axis=0))
                if np.abs(np.linalg.eigvals(top)).max() <= found[1]:
                    continue
                cell, radius = _largest(local, found[1])
                if radius > found[1]:
                    found = start + cell, radius, local[cell]
            self._known = dt, enough, found if found[2] is not None else (*found[:2], most)
        return self._known[2]

    # -- in the medium

    @property
    def varies(self) -> bool:
        """Whether anything but the coefficients of a cell itself, which :meth:`worst` knows, decides."""
        return any(np.ptp(v) > 0 for name, v in self._values.items() if name in self._symbol.averaged)

    def radius(self, dt: float, enough: float = 0.0) -> float:
        """A bound of the spectral radius of N, as sharp as the iteration makes it, or at least `enough`."""
        apply = self._matrix(dt)
        x = self._start(dt)
        best = [np.inf]
        for _ in range(MOST):
            y = apply(x)
            bound = max(float((b / a).max()) for a, b in zip(x, y, strict=True))
            best.append(min(bound, best[-1]))
            if best[-1] <= enough or (len(best) > 4 and best[-4] - best[-1] <= GAIN * best[-1]):
                break
            top = max(float(b.max()) for b in y)
            x = [_positive((b + STAY * bound * a) / top) for a, b in zip(x, y, strict=True)]
        return best[-1]

    def _start(self, dt: float) -> list[np.ndarray]:
        """The Perron vector of the cell that is worst by itself, in every cell."""
        *_, worst = self._known[2] if self._known[0] == dt else self._worst(dt)
        x = np.ones(len(worst))
        for _ in range(50):
            x = worst @ x + STAY * x
            x /= x.max()
        return [np.full(self._shape, v, self._dtype) for v in np.maximum(x, 1e-12)]

    def _matrix(self, dt: float) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
        rows = []
        for row in self._symbol.rows:
            p = sum((self._coefficient(c, dt) * (-1) ** k for k, c in row.own), 0.0)
            act = self._magnitude(row.other, dt)
            scale = 1 / _positive(np.abs(np.broadcast_to(p, self._shape)))
            rows.append((act, scale))
        return lambda x: [(act(x) * scale).astype(self._dtype) for act, scale in rows]

    def _magnitude(self, expr: Expression, dt: float) -> Callable[[list[np.ndarray]], np.ndarray]:
        """A linear expression of the fields with the magnitudes of all that it consists of."""
        match expr:
            case Total(()):
                return lambda x: np.zeros(self._shape, self._dtype)
            case Unknown(j):
                return lambda x: x[j]
            case Total(terms):
                parts = [self._magnitude(a, dt) for a in terms]
                return lambda x: sum(part(x) for part in parts)
            case Differenced(by, inner):
                inside = self._magnitude(inner, dt)
                return lambda x: self._differenced(inside(x), by, np.abs)
            case Scaled(factors, inner):
                factor = 1.0
                for a in factors:
                    factor = factor * np.abs(self._coefficient(a, dt))
                inside, factor = self._magnitude(inner, dt), np.asarray(factor, self._dtype)
                return lambda x: factor * inside(x)
        raise TypeError(expr)

    def _coefficient(self, expr: Expression, dt: float):
        """The value of an expression of parameters in every cell."""
        match expr:
            case Parameter(name):
                return self._values[name]
            case Differenced(by, inner):
                inside = np.broadcast_to(self._coefficient(inner, dt), self._shape)
                return self._differenced(inside, by, lambda w: w)
            case Of(function, arguments):
                return function(*(self._coefficient(a, dt) for a in arguments))
            case Number():
                return expr.value(self._spacing, dt)
        raise TypeError(expr)

    def _differenced(self, a: np.ndarray, by: Difference, of_weights: Callable) -> np.ndarray:
        """A difference of an array that is continued by its edges, with some function of its weights."""
        from scipy.ndimage import correlate1d  # takes a while to import, and few media need it

        weights = by.weights(self._spacing)
        pivot = max(weights, key=lambda offsets: abs(weights[offsets]))  # of a product of weights along each axis
        for n, axis in enumerate(by.axes):
            taps = {k[n]: w for k, w in weights.items() if k[:n] + k[n + 1 :] == pivot[:n] + pivot[n + 1 :]}
            reach, scale = max(map(abs, taps)), 1.0 if n == 0 else weights[pivot]
            kernel = np.zeros(2 * reach + 1)
            for k, w in taps.items():
                kernel[k + reach] = of_weights(w / scale)
            a = correlate1d(a, kernel, axis=axis, mode="nearest")
        return a


def _largest(matrices: np.ndarray, known: float = -1.0) -> tuple[int, float]:
    """The largest spectral radius of many small matrices without negative entries, and of which it is.

    If none is larger than what is `known`, it is that. Those whose bound, see above, is not larger than the largest that is
    known need no eigenvalues: nearly all.
    """
    if matrices.shape[-1] == 1:
        cell = int(np.argmax(matrices))
        return cell, float(matrices[cell, 0, 0])
    left, found, many = np.arange(len(matrices)), (0, known), FIRST
    values, vectors = np.linalg.eig(matrices[0])
    # fields differ in unit: that of one cell tells how large they are beside each other
    x = np.abs(vectors[:, np.argmax(np.abs(values))])
    x = np.tile(np.maximum(x / x.max(), 1e-12)[:, None], len(matrices))
    while len(left):
        for _ in range(STEPS):
            y = np.einsum("cij,jc->ic", matrices[left], x)
            bounds = (y / x).max(axis=0)
            y += bounds * x  # matrices of staggered systems are periodic
            x = _positive(y / _positive(y.max(axis=0)))
        order = np.argsort(-bounds, kind="stable")
        top, rest = order[:many], order[many:]
        radii = np.abs(np.linalg.eigvals(matrices[left[top]])).max(axis=-1)
        best = int(np.argmax(radii))
        found = max(found, (int(left[top[best]]), float(radii[best])), key=lambda f: f[1])
        rest = rest[bounds[rest] > found[1] * (1 + CLOSE)]
        left, x, many = left[rest], x[:, rest], 4 * many
    return found


def _positive(a: np.ndarray) -> np.ndarray:
    return np.maximum(a, np.finfo(float).tiny * 1e20)
