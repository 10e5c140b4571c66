"""Extension of a model into the absorbing layer, as linear maps with exact transposes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import seisops._arrays as _arrays
from seisops.errors import ParameterError, SpaceError
from seisops.wave._validate import integer
from seisops.wave.grid import Grid


@dataclass(frozen=True)
class Padding:
    r"""A layer of cells around a grid, and the maps between arrays with and without it.

    Parameters
    ----------
    grid : Grid
        The grid of the model.
    cells : tuple of (int, int)
        Cells of the layer before and after the grid on every axis, ``((x_lo, x_hi), ..., (z_lo, z_hi))``.
    transitions : tuple of (int, int), optional
        Those of them, next to the grid, along which what ends in the layer fades; by default nothing ends.

    Notes
    -----
    Edge replication on one axis is the matrix :math:`(E m)_i = m_{\min(\max(i - lo, 0), n - 1)}`; its
    transpose sums the layer into the edge cells, :math:`(E^T p)_k = \sum_{i:\,clip(i - lo) = k} p_i`. Several
    axes are the Kronecker product of such matrices. What ends in the layer is multiplied afterwards by
    :math:`\cos^2(\pi d / 2 (n + 1))` along every axis, d cells from the grid, of n in which it fades, and by 0 beyond. All
    maps keep the dtype and return C-contiguous arrays.
    """

    grid: Grid
    cells: tuple
    transitions: tuple | None = None

    def __post_init__(self):
        if np.shape(self.cells) != (self.grid.ndim, 2):
            raise ParameterError(
                f"Padding cells must be one (lo, hi) pair for each of the axes {self.grid.axes}, got {self.cells!r}"
            )
        cells = tuple(
            (integer(f"Padding cells before {a}", lo, 0), integer(f"Padding cells after {a}", hi, 0))
            for a, (lo, hi) in zip(self.grid.axes, self.cells, strict=True)
        )
        object.__setattr__(self, "cells", cells)

    @property
    def shape(self):
        """Shape of a padded array."""
        return tuple(lo + n + hi for n, (lo, hi) in zip(self.grid.shape, self.cells, strict=True))

    @property
    def origin_index(self):
        """Index, in the padded array, of the first node of the grid."""
        return tuple(lo for lo, _ in self.cells)

    @property
    def interior(self):
        """Slices that select the grid in a padded array."""
        return tuple(slice(lo, lo + n) for n, (lo, _) in zip(self.grid.shape, self.cells, strict=True))

    def apply(self, model, ends=False):
        """Replicate the edges of a model into the layer; one that `ends` there fades."""
        out = np.pad(self._checked(model, self.grid.shape, "model"), self.cells, mode="edge")
        return self._faded(out) if ends else out

    def apply_adjoint(self, padded, ends=False):
        """Transpose of `apply`: sum the layer into the edge cells."""
        padded = self._checked(padded, self.shape, "padded array")
        return folded(self._faded(padded.copy()) if ends else padded, self.cells)

    def _faded(self, padded):
        """An array, in place, without what ends in the layer."""
        for axis, fading in enumerate(self.transitions or ()):
            (lo, hi), n = self.cells[axis], self.grid.shape[axis]
            index = np.arange(lo + n + hi)
            depths = np.maximum(lo - index, 0), np.maximum(index - (lo + n - 1), 0)
            for depth, cells in zip(depths, fading, strict=True):
                left = np.cos(np.pi / 2 * np.minimum(depth / (cells + 1), 1)) ** 2
                left[depth > cells] = 0
                left = left.astype(padded.dtype).reshape([-1 if a == axis else 1 for a in range(padded.ndim)])
                padded *= _arrays.there(left, padded)
        return padded

    def _checked(self, array, shape, name):
        array = _arrays.contiguous(array)
        if array.shape != shape:
            raise SpaceError(f"a {name} with shape {array.shape} was passed where {self!r} needs shape {shape}")
        return array


def folded(array: np.ndarray, cells: Sequence[tuple[int, int]]) -> np.ndarray:
    """Sum what lies in so many cells before and after on every axis into the cells at the ends."""
    for axis, (lo, hi) in enumerate(cells):
        before, core, after = np.split(array, (lo, array.shape[axis] - hi), axis=axis)
        array = core.copy()
        edges = np.moveaxis(array, axis, 0)
        edges[0] += before.sum(axis=axis, dtype=array.dtype)
        edges[-1] += after.sum(axis=axis, dtype=array.dtype)
    return array
