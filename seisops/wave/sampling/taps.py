"""Tables of the grid cells around points, and of their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from seisops.engine.arrays import aligned, zeros

__all__ = ["KnownTaps", "Taps"]

# points that a row of the table by cell holds at most
MOST = 64

# bytes of taps that a projection keeps for its next application
KEPT = 2**26


class Taps:
    """Grid cells and weights that interpolate at points: K for each point, zero weights dropped where possible.

    Attributes
    ----------
    cells : tuple of ndarray of int32, shape (points, K)
        Index of each cell along each axis.
    weights : ndarray, shape (points, K)
    """

    def __init__(self, cells: Sequence[np.ndarray], values: np.ndarray):
        self.cells, self.weights = tuple(map(aligned, cells)), aligned(values)
        self._by_cell: dict[tuple[int, ...], tuple] = {}

    @property
    def nbytes(self) -> int:
        """Memory of the table, and about as much again of that by cell."""
        return 2 * sum(a.nbytes for a in (*self.cells, self.weights))

    @classmethod
    def of(cls, gridpoints: np.ndarray, coefficients: np.ndarray, dtype) -> Taps:
        """The tensor product of separable windows."""
        return cls.total(gridpoints, [(None, coefficients)], dtype)

    @classmethod
    def total(cls, gridpoints: np.ndarray, terms: Sequence[tuple[np.ndarray | None, np.ndarray]], dtype) -> Taps:
        """The sum of tensor products of separable windows, each with a factor for every point, or with none."""
        points, ndim, r = terms[0][1].shape
        window = np.indices((r,) * ndim).reshape(ndim, -1)
        values = sum(_tensor(coefficients, window, factor) for factor, coefficients in terms)
        keep = max(1, int((values != 0).sum(axis=1).max(initial=0)))
        order = np.argsort(values == 0, axis=1, kind="stable")[:, :keep]
        cells = [(gridpoints[:, d, None] + window[d][order]).astype(np.int32) for d in range(ndim)]
        return cls(cells, np.take_along_axis(values, order, axis=1).astype(dtype))

    @property
    def or_one(self) -> Taps:
        """The same, or where there are no points one that weighs nothing: loops want something to do."""
        if len(self.weights):
            return self
        return Taps([np.zeros((1, 1), np.int32) for _ in self.cells], np.zeros((1, 1), self.weights.dtype))

    @classmethod
    def joined(cls, parts: Sequence[Taps]) -> Taps:
        """The points of several sets, one after another."""
        if len(parts) == 1:
            return parts[0]
        width = max(p.weights.shape[1] for p in parts)

        def widen(a):
            return np.pad(a, ((0, 0), (0, width - a.shape[1])))

        ndim = len(parts[0].cells)
        cells = [np.concatenate([widen(p.cells[d]) for p in parts]) for d in range(ndim)]
        return cls(cells, np.concatenate([widen(p.weights) for p in parts]))

    def by_cell(self, shape: tuple[int, ...]) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """The transposed table: each cell once, with the points that reach it.

        A cell reached by more than MOST points takes several rows, so that one crowded cell does not widen the table.

        Parameters
        ----------
        shape : tuple of int
            Shape of the padded grid.

        Returns
        -------
        cells : tuple of ndarray of int32, shape (rows,)
        weights : ndarray, shape (rows, K)
        points : ndarray of int32, shape (rows, K)
        """
        if shape not in self._by_cell:
            self._by_cell[shape] = self._transposed(shape)
        return self._by_cell[shape]

    def _transposed(self, shape: tuple[int, ...]) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        point, tap = np.nonzero(self.weights)
        if not len(point):
            point, tap = np.zeros((2, 1), int)
        flat = np.ravel_multi_index([c[point, tap] for c in self.cells], shape)
        order = np.argsort(flat, kind="stable")
        flat, point, tap = flat[order], point[order], tap[order]
        rank = np.arange(len(flat)) - np.searchsorted(flat, flat)
        new = rank % MOST == 0
        row, column = np.cumsum(new) - 1, rank % MOST
        table = (row[-1] + 1, column.max() + 1)
        weights, points = zeros(table, self.weights.dtype), zeros(table, np.int32)
        weights[row, column], points[row, column] = self.weights[point, tap], point
        cells = tuple(aligned(c.astype(np.int32)) for c in np.unravel_index(flat[new], shape))
        return cells, weights, points


def _tensor(coefficients: np.ndarray, window: np.ndarray, factor: np.ndarray | None) -> np.ndarray:
    points, ndim, _ = coefficients.shape
    values = np.ones((points, window.shape[1]))
    for d in range(ndim):
        values *= coefficients[:, d, window[d]]
    return values if factor is None else factor[:, None] * values


class KnownTaps:
    """Taps by the points, and the grid, that they are for: those that came first, while there is room."""

    def __init__(self):
        self._taps: dict[tuple, Taps] = {}
        self._room = KEPT

    def __reduce__(self):
        return KnownTaps, ()

    def get(self, key: tuple, make: Callable[[], Taps]) -> Taps:
        """The taps kept under a key, or those that are made now."""
        taps = self._taps.get(key)
        if taps is None:
            taps = make()
            if taps.nbytes <= self._room:
                self._room -= taps.nbytes
                self._taps[key] = taps
        return taps
