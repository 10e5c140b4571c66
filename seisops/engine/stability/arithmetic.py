"""Expressions of arrays as plain data: what a scheme computes from the parameters of a medium, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from seisops.engine.kept.function import Function

__all__ = [
    "Difference",
    "Differenced",
    "Expression",
    "Unknown",
    "Function",
    "Number",
    "Of",
    "Parameter",
    "Scaled",
    "Total",
]


@dataclass(frozen=True)
class Difference:
    """A finite difference.

    Attributes
    ----------
    axes : tuple of int
        Along which it looks around.
    orders : tuple of int
        Of the derivative along each of them.
    taps : tuple of (tuple of int, float)
        Offsets along these axes, and weights for cells of size one.
    """

    axes: tuple[int, ...]
    orders: tuple[int, ...]
    taps: tuple[tuple[tuple[int, ...], float], ...]

    def weights(self, spacing: Sequence[float]) -> dict[tuple[int, ...], float]:
        """Weights by offsets, for cells of a given size."""
        scale = prod(spacing[a] ** -n for a, n in zip(self.axes, self.orders, strict=True))
        return {k: w * scale for k, w in self.taps}


@dataclass(frozen=True)
class Parameter:
    """An array of the medium, by the name of its symbol."""

    name: str


@dataclass(frozen=True)
class Unknown:
    """A field of the equation, by number."""

    number: int


@dataclass(frozen=True)
class Number:
    """A function of the cell sizes and the time step."""

    of: Function

    def value(self, spacing: Sequence[float], dt: float) -> float:
        """Its value."""
        return float(self.of(*spacing, dt))


@dataclass(frozen=True)
class Of:
    """A function of other expressions, cell by cell."""

    function: Function
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Differenced:
    """A finite difference of an expression."""

    by: Difference
    inner: Expression


@dataclass(frozen=True)
class Total:
    """A sum of expressions."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Scaled:
    """An expression times others, which hold no field."""

    factors: tuple[Expression, ...]
    inner: Expression


Expression: TypeAlias = "Parameter | Unknown | Number | Of | Differenced | Total | Scaled"
