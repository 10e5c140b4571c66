"""Whole fields between the nodes of the grid and the place of a component, half a cell or so away."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import sparse

import seisops._arrays as _arrays
from seisops.engine.symbols.places import Place
from seisops.wave.sampling.points import WIDTHS, below, window, within

__all__ = ["from_nodes", "to_nodes"]


def to_nodes(samples: np.ndarray, place: Place) -> np.ndarray:
    """A component that is given where it lies, interpolated at the nodes of the (padded) grid.

    Parameters
    ----------
    samples : ndarray of shape (..., x, [y,] z)
    place : Place
    """
    return _along_axes(samples, place, False)


def from_nodes(values: np.ndarray, place: Place) -> np.ndarray:
    """The transpose, for what enters: like a source in each node, divided by the part of a cell that belongs to samples."""
    values = _along_axes(values, place, True)
    if not place.weighted:
        return values
    return values / _arrays.there(place.weight(values.shape[-1]).astype(values.dtype), values)


def _along_axes(a: np.ndarray, place: Place, transposed: bool) -> np.ndarray:
    ndim = len(place.cell)
    for d in range(ndim):
        last = d == ndim - 1
        if place.cell[d] == 0 and not (last and (place.parity < 0 or place.held)):
            continue
        axis = a.ndim - ndim + d
        of = place if last else Place((place.cell[d],)), a.shape[axis], np.dtype(a.dtype).name
        where = _arrays.place(a)
        if where == _arrays.HOST:
            matrix = _matrix(*of).T if transposed else _matrix(*of)
        else:
            matrix = _matrix_at(*of, transposed, where)
        flat = np.moveaxis(a, axis, 0)
        product = matrix @ _arrays.contiguous(flat).reshape(flat.shape[0], -1)
        a = np.moveaxis(product.reshape(flat.shape), 0, axis)
    return a


@lru_cache(maxsize=16)
def _matrix(place: Place, n: int, dtype: str) -> sparse.csr_array:
    """Interpolation at n nodes from as many samples along one axis, that of z if there is a free surface."""
    r = WIDTHS["sinc"] if place.cell[-1] else WIDTHS["node"]
    position = np.arange(n) - float(place.cell[-1])
    nodes, values = below(*window(position, r), position, place)
    rows = np.broadcast_to(np.arange(n)[:, None], nodes.shape)
    inside = within(nodes, n, float(place.cell[-1]))
    entries = values[inside].astype(dtype), (rows[inside], nodes[inside])
    return sparse.csr_array(entries, shape=(n, n))


@lru_cache(maxsize=16)
def _matrix_at(place: Place, n: int, dtype: str, transposed: bool, where: tuple[int, int]) -> _arrays.Rows:
    """The matrix, or its transpose, in the memory of a device."""
    matrix = _matrix(place, n, dtype)
    return _arrays.Rows(matrix.T if transposed else matrix, where)
