"""What an operator may be given: numbers, operators, vectors and matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator as ScipyOperator

import seisops._arrays as _arrays
from seisops._pylops import pylops
from seisops.errors import SpaceError
from seisops.spaces import Space, as_array

__all__ = ["by_parts", "columns", "is_operator", "is_scalar", "matrix", "vector"]


def is_scalar(x: Any) -> bool:
    """Whether it is a number."""
    return isinstance(x, (int, float, complex, np.number)) or (isinstance(x, np.ndarray) and x.ndim == 0)


def is_operator(x: Any) -> bool:
    """Whether it is a linear operator: ours, of PyLops or SciPy, or a sparse matrix."""
    return isinstance(x, (pylops.LinearOperator, ScipyOperator)) or sparse.issparse(x)


def vector(x: ArrayLike, space: Space, applied: str) -> NDArray:
    """An element of a space as a flat array or a column; `applied` is what is to be applied to it."""
    x = as_array(x, space)
    if x.shape not in ((space.size,), (space.size, 1)):
        raise SpaceError(
            f"cannot apply {applied} to an array of shape {x.shape}: "
            f"expected {space} of shape {space.shape}, or a flat array of {space.size} elements"
        )
    return x


def matrix(X: Any, space: Space, applied: str) -> Any:
    """A matrix, dense or sparse, whose columns are elements of a space; `applied` is what is to be applied to them."""
    X = X if sparse.issparse(X) else as_array(X, space)
    if X.ndim != 2 or X.shape[0] != space.size:
        raise SpaceError(
            f"cannot apply {applied} to a matrix of shape {X.shape}: expected {space.size} rows, elements of {space}"
        )
    return X


def columns(apply: Callable[[NDArray], NDArray], X: Any, space: Space) -> NDArray:
    """Apply something to the columns of a matrix, dense or sparse; the results, in a space, are columns again."""
    dense = X.tocsc() if sparse.issparse(X) else X
    Y = _arrays.zeros((space.size, X.shape[1]), space.dtype, dense)
    for j in range(X.shape[1]):
        column = dense[:, [j]].toarray() if sparse.issparse(dense) else dense[:, j]
        Y[:, j] = apply(np.ravel(column))
    return Y


def by_parts(apply: Callable[[Any], NDArray], given: Any, space: Space, x: Any) -> Any:
    """Apply something real to a complex array: to its imaginary part as well, where that is anything.

    The result is an array of the library of what was `given`, of which `x` was made, and where that is.
    """
    with _arrays.current(x):
        if x.dtype.kind != "c" or space.dtype.kind == "c":
            return _arrays.returned(apply(x), given)
        real, imaginary = apply(x.real), x.imag
        anything = imaginary.nnz if sparse.issparse(imaginary) else imaginary.any()
        whole = real + 1j * apply(imaginary) if anything else real.astype(np.result_type(real.dtype, np.complex64))
        return _arrays.returned(whole, given)
