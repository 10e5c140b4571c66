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
import sympy
from devito import Derivative
from scipy.ndimage import correlate1d

from seisops.engine.stability.plane_waves import Symbol
from seisops.engine.symbols.terms import depends, leaves, time_offset

__all__ = ["Bound"]

# steps of the power iteration at most, and relative gain in three of them below which it ends
MOST, GAIN = 200, 4e-3
# cells of a large grid
LARGE = 2**16
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
        self._shape = np.broadcast(*self._values.values(), 0).shape
        # the iteration on a large grid takes time, and needs three digits only
        self._dtype = np.float32 if prod(self._shape) > LARGE else np.float64

    # -- in each cell as if the medium were everywhere as there

    @cached_property
    def cells(self) -> dict[str, np.ndarray]:
        """The values of the cells; where there are many fields, and so much to do for each, of cells that differ."""
        if all(np.ptp(v) == 0 for v in self._values.values()):
            return {name: np.ravel(v)[:1] for name, v in self._values.items()}
        flat = {name: np.broadcast_to(v, self._shape).ravel() for name, v in self._values.items()}
        if len(self._symbol.rows) == 1:
            return flat
        return dict(zip(flat, np.unique(np.stack(list(flat.values())), axis=1), strict=True))

    def local(self, dt: float) -> np.ndarray:
        """N in homogeneous media like those of each of the cells: (cells, fields, fields)."""
        symbol, n = self._symbol, len(self._symbol.rows)
        size = np.broadcast(*self.cells.values(), 0).size
        own, other = np.zeros((n, size)), np.zeros((size, n, n))
        for i, (row, found) in enumerate(zip(symbol.rows, symbol.values(self.cells, self._spacing, dt), strict=True)):
            for term, c in zip(row, found, strict=True):
                if term.field == i and not term.derivatives:
                    own[i] += c * (-1) ** term.offset
                else:
                    other[:, i, term.field] += np.abs(c) * symbol.bound(term, self._spacing)
        return other / _positive(np.abs(own)).T[:, :, None]

    def radii(self, dt: float) -> np.ndarray:
        """Spectral radius of N in homogeneous media like those of each of the cells."""
        return _radii(self.local(dt))

    # -- in the medium

    @property
    def varies(self) -> bool:
        """Whether anything but the coefficients of a cell itself, which :meth:`radii` know, decides."""
        varying = {name for name, v in self._values.items() if np.ptp(v) > 0}
        return any(
            f.function.name in varying
            for row in self._symbol.system.residuals
            for d in sympy.sympify(row).atoms(Derivative)
            for f in leaves(d)
        )

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
        local = self.local(dt)
        worst = local[int(np.argmax(_radii(local)))]
        x = np.ones(len(worst))
        for _ in range(50):
            x = worst @ x + STAY * x
            x /= x.max()
        return [np.full(self._shape, v, self._dtype) for v in np.maximum(x, 1e-12)]

    def _matrix(self, dt: float) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
        system = self._symbol.system
        rows = []
        for i, row in enumerate(system.residuals):
            own, other = _split(row, system.fields[i], system.fields)
            p = sum((self._coefficient(c, dt) * (-1) ** k for k, c in own), 0.0)
            act = self._magnitude(other, dt)
            scale = 1 / _positive(np.abs(np.broadcast_to(p, self._shape)))
            rows.append((act, scale))
        return lambda x: [(act(x) * scale).astype(self._dtype) for act, scale in rows]

    def _magnitude(self, expr, dt: float) -> Callable[[list[np.ndarray]], np.ndarray]:
        """A linear expression of the fields with the magnitudes of all that it consists of."""
        fields = self._symbol.system.fields
        if expr == 0:
            return lambda x: np.zeros(self._shape, self._dtype)
        if getattr(expr, "is_DiscreteFunction", False):
            j = fields.index(expr.function)
            return lambda x: x[j]
        if expr.is_Add:
            parts = [self._magnitude(a, dt) for a in expr.args]
            return lambda x: sum(part(x) for part in parts)
        if isinstance(expr, Derivative):
            inner = self._magnitude(expr.expr, dt)
            return lambda x: self._differentiated(inner(x), expr, np.abs)
        active = next(a for a in expr.args if depends(a, fields))
        factor = 1.0
        for a in expr.args:
            if a is not active:
                factor = factor * np.abs(self._coefficient(a, dt))
        inner = self._magnitude(active, dt)
        factor = np.asarray(factor, self._dtype)
        return lambda x: factor * inner(x)

    def _coefficient(self, expr, dt: float):
        """The value of an expression of parameters in every cell."""
        expr = sympy.sympify(expr)
        if getattr(expr, "is_DiscreteFunction", False):
            return self._values[expr.function.name]
        if isinstance(expr, Derivative):
            inner = np.broadcast_to(self._coefficient(expr.expr, dt), self._shape)
            return self._differentiated(inner, expr, lambda w: w)
        if expr.args:
            parts = [self._coefficient(a, dt) for a in expr.args]
            plain = {"Add": sympy.Add, "Mul": sympy.Mul, "Pow": sympy.Pow}.get(expr.func.__name__)
            stand_ins = sympy.symbols(f"a0:{len(parts)}")
            function = (plain or getattr(sympy, expr.func.__name__))(*stand_ins)
            return sympy.lambdify(stand_ins, function, "numpy")(*parts)
        units = dict(zip((d.spacing for d in self._symbol.template.dimensions), self._spacing, strict=True))
        return float(expr.subs({**units, self._symbol.template.step.spacing: dt}))

    def _differentiated(self, a: np.ndarray, derivative: Derivative, of_weights: Callable) -> np.ndarray:
        """A derivative of an array that is continued by its edges, with some function of its weights."""
        dimensions = self._symbol.template.dimensions
        weights = self._symbol.weights(derivative, self._spacing)
        pivot = max(weights, key=lambda offsets: abs(weights[offsets]))  # of a product of weights along each axis
        for n, d in enumerate(derivative.dims):
            taps = {k[n]: w for k, w in weights.items() if k[:n] + k[n + 1 :] == pivot[:n] + pivot[n + 1 :]}
            reach, scale = max(map(abs, taps)), 1.0 if n == 0 else weights[pivot]
            kernel = np.zeros(2 * reach + 1)
            for k, w in taps.items():
                kernel[k + reach] = of_weights(w / scale)
            a = correlate1d(a, kernel, axis=dimensions.index(d), mode="nearest")
        return a


def _split(row, field, fields):
    """What a row holds of its own field in the same cell, ``[(time offset, coefficient)]``, and all else."""
    own, other = [], []
    for term in sympy.Add.make_args(_expanded(row, fields)):
        active = [a for a in sympy.Mul.make_args(term) if depends(a, fields)]
        if len(active) == 1 and getattr(active[0], "is_DiscreteFunction", False) and active[0].function is field:
            own.append((time_offset(active[0]), term / active[0]))
        else:
            other.append(term)
    return own, sum(other, sympy.S.Zero)


def _expanded(expr, fields):
    """Products over sums of fields multiplied out, outside of derivatives."""
    if expr.is_Add:
        return sum((_expanded(a, fields) for a in expr.args), sympy.S.Zero)
    if expr.is_Mul:
        active = next((a for a in expr.args if depends(a, fields)), None)
        if active is not None and active.is_Add:
            rest = [a for a in expr.args if a is not active]
            return sum((_expanded(expr.func(*rest, a), fields) for a in active.args), sympy.S.Zero)
    return expr


def _radii(matrices: np.ndarray) -> np.ndarray:
    """Spectral radii of many small matrices without negative entries."""
    if matrices.shape[-1] == 1:
        return matrices[:, 0, 0]
    return np.abs(np.linalg.eigvals(matrices)).max(axis=-1)


def _positive(a: np.ndarray) -> np.ndarray:
    return np.maximum(a, np.finfo(float).tiny * 1e20)
