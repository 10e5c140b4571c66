"""Differences along the last axis of a staggered grid that end at a free surface: plain numbers, for all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

__all__ = ["BELOW", "FREE", "LACK", "SURFACE", "TRACTIONS", "Closure", "called", "closing", "closure"]

#: Kinds of what is added to differences near the end: of fields that are free there, and of those that vanish.
FREE, TRACTIONS = "free", "tractions"
#: What is one less the weight of a row.
LACK = "lack"
#: What is 1 on the surface alone, and 1 everywhere else.
SURFACE, BELOW = "surface", "below"

#: Rows near the surface in which differences are others than inside, at most; more if those inside look further.
ROWS = 6


@dataclass(frozen=True)
class Closure:
    r"""Differences near the end of an axis with nodes 0, 1, ... and half cells 1/2, 3/2, ... in cells.

    Fields are of two kinds: tractions, which vanish at the end, and others, which are free there. Their differences are
    summed by parts: with the weights w of nodes and half cells, in cells, and any f in the half cells and t in the nodes,

    .. math:: \sum_j w_j \, t_j \, (D f)_j = - \sum_i w_{i + 1/2} \, (\bar D t)_{i + 1/2} \, f_{i + 1/2},

    and likewise for f in the nodes and t in the half cells. A system in which the differences of tractions are the
    :math:`\bar D` to the D of its other fields conserves a discrete energy in any medium, as the half space does (Strand
    1994, doi:10.1006/jcph.1994.1005; on staggered grids O'Reilly et al. 2017, doi:10.1016/j.jcp.2017.06.030).

    Attributes
    ----------
    rows : int
        In so many rows of either kind differences are others than inside.
    shifts : range
        Where these rows look, in samples from the one with the number of the row.
    weights : tuple of ndarray
        Of the first nodes and half cells: the part of a cell that belongs to them.
    free, tractions : tuple of ndarray
        What is to be added to differences that take all beyond the end as zero: for differences at the nodes, of what is in
        the half cells, and for those at the half cells, of what is in the nodes; by row and column.
    """

    rows: int
    shifts: range
    weights: tuple[np.ndarray, np.ndarray]
    free: tuple[np.ndarray, np.ndarray]
    tractions: tuple[np.ndarray, np.ndarray]

    def weight(self, half: bool, n: int) -> np.ndarray:
        """Weights of the first n nodes or half cells."""
        out = np.ones(n)
        out[: self.rows] = self.weights[half][:n]
        return out

    def along(self, kind: str, half: bool, shift: int) -> np.ndarray:
        """What row i adds of the sample i + shift, for the rows that add anything."""
        table = np.pad(getattr(self, kind)[half], ((0, 0), (self.rows, 0)))
        return np.array([table[row, self.rows + row + shift] for row in range(self.rows)])


@lru_cache(maxsize=8)
def closure(order: int) -> Closure:
    """The closure for differences that are inside of some order.

    Near the end, differences of what is free are exact for polynomials up to a degree, half the order but 3 at most, and
    those of tractions for all of these that vanish at the end. That are linear equations for weights and differences;
    of all solutions it is the one closest to differences that do not know of the end.
    """
    rows, degree = min(order + 1, max(ROWS, order // 2)), min(order // 2, 3)
    size = 2 * rows + order  # beyond the rows by as much as differences look
    at_nodes, at_halves = _inside(order, size)
    nodes, halves = np.arange(size), np.arange(size) + 0.5
    near = rows * rows

    equations, right = [], []

    def require(table, offset: int, weight: int, samples, places, power: int, transposed: bool) -> None:
        """That sums of a table with samples**power, row by row or column by column, are weights times derivatives."""
        scale = float(rows) ** max(power - 1, 0)
        for n in range(rows):
            known, equation = 0.0, np.zeros(2 * near + 2 * rows)
            for k in range(size):
                entry, value = (k, n) if transposed else (n, k), samples[k] ** power / scale * (-1 if transposed else 1)
                if k < rows:
                    equation[offset + entry[0] * rows + entry[1]] = value
                else:
                    known += table[entry] * value
            equation[weight + n] = -power * places[n] ** (power - 1) / scale if power else 0.0
            equations.append(equation)
            right.append(-known)

    of_nodes, of_halves = 2 * near, 2 * near + rows
    for power in range(degree + 1):
        require(at_nodes, 0, of_nodes, halves, nodes, power, False)
        require(at_halves, near, of_halves, nodes, halves, power, False)
        if power:  # the transposes, of tractions
            require(at_nodes, 0, of_halves, nodes, halves, power, True)
            require(at_halves, near, of_nodes, halves, nodes, power, True)
    first = np.r_[at_nodes[:rows, :rows].ravel(), at_halves[:rows, :rows].ravel(), 0.5, np.ones(2 * rows - 1)]
    matrix = np.array(equations)
    x = first + np.linalg.lstsq(matrix, np.array(right) - matrix @ first, rcond=1e-12)[0]
    a, b = (x[n * near : (n + 1) * near].reshape(rows, rows) for n in (0, 1))
    w, v = x[2 * near :].reshape(2, rows)
    a[0] = 0  # what vanishes on the surface is nothing there, and what is conjugate to it follows from that

    def added(near: np.ndarray, weights: np.ndarray, inside: np.ndarray) -> np.ndarray:
        whole = inside[:rows].copy()
        whole[:, :rows] = near
        return whole / weights[:, None] - inside[:rows]

    free = added(a, w, at_nodes), added(b, v, at_halves)
    tractions = added(-b.T, w, at_nodes), added(-a.T, v, at_halves)
    furthest = max(rows - 1, order // 2)
    return Closure(rows, range(-furthest, furthest + 1), (w, v), free, tractions)


def called(kind: str, shift: int) -> str:
    """The kind of the coefficients of samples so many rows further."""
    return f"{kind}{'m' if shift < 0 else ''}{abs(shift)}"


def closing(order: int, half: bool, halo: int, n: int) -> dict[str, np.ndarray]:
    """What equations near the end are written with, at n nodes or half cells and in the halo around them, by kind."""
    found = closure(order)
    values = {called(kind, k): found.along(kind, half, k) for kind in (FREE, TRACTIONS) for k in found.shifts}
    values[LACK] = 1 - found.weights[half]
    values[SURFACE] = np.eye(1, found.rows)[0] * (not half)
    return {kind: np.pad(rows, (halo, halo + n - len(rows))) for kind, rows in values.items()}


def _inside(order: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Differences at the nodes and at the half cells, with zeros beyond the end."""
    half = order // 2
    x = np.arange(half) + 0.5
    # Lagrange's interpolation of f(x) / x, which is even, in x^2 at 0
    after = [np.prod([s**2 / (s**2 - t**2) for s in x if s != t]) / (2 * t) for t in x]
    offsets, taps = np.r_[-x[::-1], x], np.r_[-np.array(after)[::-1], after]
    at_nodes, at_halves = np.zeros((size, size)), np.zeros((size, size))
    for row in range(size):
        for offset, tap in zip(offsets, taps, strict=True):
            column = row + int(offset - 0.5), row + int(offset + 0.5)
            for table, k in zip((at_nodes, at_halves), column, strict=True):
                if 0 <= k < size:
                    table[row, k] = tap
    return at_nodes, at_halves
