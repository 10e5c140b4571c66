"""Tests of operators and maps: they return numbers and raise nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops._pylops import pylops
from seisops.errors import ParameterError
from seisops.maps import LinearMap, Map
from seisops.operators import as_operator

__all__ = ["TaylorResult", "diagnose", "dot_test", "linearity_test", "taylor_test"]


def __dir__() -> list[str]:
    return __all__


def dot_test(op: pylops.LinearOperator, seed: int = 0, trials: int = 1) -> float:
    r"""Return the relative error of an operator's adjoint.

    Parameters
    ----------
    op : pylops.LinearOperator
        Any operator.
    seed : int, optional
        Seed of the random vectors.
    trials : int, optional
        Number of random vectors; the largest error counts.

    Returns
    -------
    float
        The error, about the rounding of the operator's dtype for an exact adjoint.

    Notes
    -----
    For a random :math:`u` and :math:`v = w / |w| + A u / |A u|` with a random :math:`w`, the error is

    .. math:: \frac{|\langle A u, v \rangle - \langle u, A^H v \rangle|}{(|A u| |v| + |u| |A^H v|) / 2}.

    The second part of :math:`v` keeps the inner products as large as the norms, so that a wrong scale shows
    in full. Inner products are accumulated in double precision.
    """
    return max(_dot_errors(_linear("dot_test", op), seed, trials)[0])


def diagnose(op: pylops.LinearOperator, seed: int = 0, trials: int = 5) -> str:
    """Say in words what is wrong with an operator's adjoint.

    Parameters
    ----------
    op : pylops.LinearOperator
        Any operator.
    seed : int, optional
        Seed of the random vectors.
    trials : int, optional
        Number of random vectors.

    Returns
    -------
    str
        Whether the adjoint is exact, scaled by a factor, or something else.
    """
    op = _linear("diagnose", op)
    errors, ratios = _dot_errors(op, seed, trials)
    error = max(errors)
    if error <= _tolerance(op):
        return f"the adjoint is exact to rounding: relative error {error:.1e}"
    mean = np.mean(ratios)
    if np.isfinite(mean) and np.ptp(ratios) < 1e-3 * abs(mean):
        return f"the adjoint seems to be scaled by {mean:.6g}: relative error {error:.1e}"
    return f"the adjoint is wrong, and not by a constant factor: relative error {error:.1e}"


def linearity_test(op: pylops.LinearOperator, seed: int = 0) -> float:
    r"""Return the relative error of ``A (a u + b v) = a A u + b A v``.

    Parameters
    ----------
    op : pylops.LinearOperator
        Any operator.
    seed : int, optional
        Seed of the random vectors.

    Returns
    -------
    float
        :math:`|A(a u + b v) - a A u - b A v| / (|a A u| + |b A v|)`.
    """
    op = _linear("linearity_test", op)
    rng = np.random.default_rng(seed)
    u, v = (_random(rng, op.shape[1], _dtype(op)) for _ in range(2))
    a, b = 0.7, -1.3
    mixed, au, bv = (_double(op.matvec(np.asarray(x, _dtype(op)))) for x in (a * u + b * v, u, v))
    return _ratio(np.linalg.norm(mixed - a * au - b * bv), np.linalg.norm(a * au) + np.linalg.norm(b * bv))


@dataclass(frozen=True)
class TaylorResult(Sequence):
    r"""Errors of a map's Taylor expansion; as a sequence, their rates of convergence, near 2 for an exact Jacobian.

    Parameters
    ----------
    steps : tuple of float
        The lengths :math:`h` along the direction.
    errors : tuple of float
        :math:`|F(x + h\,dx) - F(x) - h J dx|`; its rate is 2 for an exact Jacobian.
    zeroth_errors : tuple of float
        :math:`|F(x + h\,dx) - F(x)|`; its rate is 1 where the derivative in that direction is not zero.
    """

    steps: tuple[float, ...]
    errors: tuple[float, ...]
    zeroth_errors: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.rates)

    def __getitem__(self, index):
        return self.rates[index]

    @property
    def rates(self) -> tuple[float, ...]:
        """Rates of the first-order errors from step to step; NaN where an error is zero."""
        return _rates(self.steps, self.errors)

    @property
    def zeroth_rates(self) -> tuple[float, ...]:
        """Rates of the zeroth-order errors from step to step; NaN where an error is zero."""
        return _rates(self.steps, self.zeroth_errors)

    @property
    def rate(self) -> float:
        """Median of `rates`."""
        return float(np.median(self.rates))

    @property
    def zeroth_rate(self) -> float:
        """Median of `zeroth_rates`."""
        return float(np.median(self.zeroth_rates))


def taylor_test(
    map: Map | pylops.LinearOperator,
    x: ArrayLike | tuple[ArrayLike, ...],
    dx: ArrayLike | tuple[ArrayLike, ...] | None = None,
    steps: Sequence[float] = (1e-2, 5e-3, 2.5e-3, 1.25e-3, 6.25e-4),
    seed: int = 0,
) -> TaylorResult:
    """Return how fast a map's Taylor expansion converges: the test of its Jacobian.

    Parameters
    ----------
    map : Map or operator
        The map; an operator counts as a map of one argument.
    x : array_like or tuple of array_like
        The point; a tuple, or a list, for several arguments.
    dx : array_like or tuple of array_like, optional
        The direction, likewise; by default random, with the norm of `x` (or 1 where `x` is zero).
    steps : sequence of float, optional
        Multiples of `dx`.
    seed : int, optional
        Seed of the random direction.

    Returns
    -------
    TaylorResult
        The errors and their rates. In single precision rounding hides the rates of small steps: test maps in
        float64.
    """
    if not isinstance(map, Map):
        map = LinearMap(as_operator(map))
    point = _arguments(map, "point", x)
    if dx is None:
        rng = np.random.default_rng(seed)
        direction = [_direction(space.random(rng), part) for space, part in zip(map.domain, point, strict=True)]
    else:
        direction = _arguments(map, "direction", dx)

    with map.linearize(*point) as at_x:
        value = _double(at_x.value)
        slope = sum(_double(j.matvec(d.ravel())) for j, d in zip(at_x.jacobians, direction, strict=True))
    errors, zeroth = [], []
    for h in steps:
        moved = _double(map(*(p + h * d for p, d in zip(point, direction, strict=True)))) - value
        errors.append(float(np.linalg.norm(moved - h * slope)))
        zeroth.append(float(np.linalg.norm(moved)))
    return TaylorResult(tuple(float(h) for h in steps), tuple(errors), tuple(zeroth))


def _dot_errors(op: pylops.LinearOperator, seed: int, trials: int) -> tuple[list[float], list[float]]:
    """Relative errors, and ratios of the two inner products, for every trial."""
    rng = np.random.default_rng(seed)
    dtype = _dtype(op)
    errors, ratios = [], []
    for _ in range(trials):
        u = _random(rng, op.shape[1], dtype)
        au = op.matvec(u)
        w = _random(rng, op.shape[0], np.result_type(dtype, au.dtype))
        v = np.asarray(_unit(w) + _unit(au), w.dtype)
        ahv = op.rmatvec(v)
        u, v, au, ahv = map(_double, (u, v, au, ahv))
        forward, backward = np.vdot(v, au), np.vdot(ahv, u)
        if not getattr(op, "clinear", True):
            forward, backward = (
                forward.real,
                backward.real,
            )  # real-linear: complex arrays are pairs of real ones
        norms = np.linalg.norm(au) * np.linalg.norm(v) + np.linalg.norm(u) * np.linalg.norm(ahv)
        errors.append(_ratio(abs(forward - backward), norms / 2))
        ratios.append(_ratio(np.real(backward * np.conj(forward)), abs(forward) ** 2))
    return errors, ratios


def _dtype(op: pylops.LinearOperator) -> np.dtype:
    return np.result_type(np.float32 if op.dtype is None else op.dtype, np.float32)


def _tolerance(op: pylops.LinearOperator) -> float:
    return 1e-5 if np.finfo(_dtype(op)).eps > 1e-10 else 1e-12


def _random(rng: np.random.Generator, size: int, dtype: np.dtype) -> NDArray:
    x = rng.standard_normal(size)
    return np.asarray(x + 1j * rng.standard_normal(size) if dtype.kind == "c" else x, dtype)


def _direction(dx: NDArray, x: NDArray) -> NDArray:
    return dx * float(np.linalg.norm(x) or 1.0) / float(np.linalg.norm(dx))


def _double(x: NDArray) -> NDArray:
    return np.asarray(x, np.result_type(x.dtype, np.float64)).ravel()


def _unit(x: NDArray) -> NDArray:
    norm = np.linalg.norm(_double(x))
    return x / norm if norm else x


def _ratio(numerator: Any, denominator: Any) -> float:
    """A quotient of norms; an exact zero over zero is no error."""
    if denominator == 0:
        return 0.0 if numerator == 0 else float("inf")
    return float(numerator / denominator)


def _rates(steps: Sequence[float], errors: Sequence[float]) -> tuple[float, ...]:
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.diff(np.log(errors)) / np.diff(np.log(steps))
    return tuple(float(rate) if np.isfinite(rate) else float("nan") for rate in rates)


def _linear(what: str, op: Any) -> Any:
    if isinstance(op, Map):
        arguments = ", ".join(f"x{i}" for i in range(len(op.domain)))
        raise ParameterError(
            f"{what} needs a linear operator, and {op!r} is a nonlinear map: test its derivative at a point, "
            f"{what}(G.jacobian({arguments})), or how that fits the map, taylor_test(G, ({arguments},))"
        )
    return op if isinstance(op, pylops.LinearOperator) else as_operator(op)


def _arguments(map: Map, what: str, x: Any) -> list[NDArray]:
    """The arrays of a point or a direction; a list of as many as the map has arguments is a tuple."""
    n = len(map.domain)
    parts = tuple(x) if isinstance(x, tuple) or (n > 1 and isinstance(x, list)) else (x,)
    if len(parts) != n:
        raise ParameterError(
            f"taylor_test of {map!r}: the {what} has {len(parts)} of {n} arguments: give one array for each, in a tuple, "
            f"as in taylor_test(G, ({', '.join(f'x{i}' for i in range(n))},))"
        )
    return [space.asarray(part) for space, part in zip(map.domain, parts, strict=True)]
