"""Operators of PyLops, SciPy and the like among ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

from seisops._pylops import pylops
from seisops.errors import SpaceError
from seisops.operators import rules
from seisops.operators.arguments import is_operator
from seisops.operators.base import LinearOperator
from seisops.spaces import Anonymous

__all__ = ["External", "as_operator"]


class External(LinearOperator):
    """A plain PyLops operator as a leaf of our expressions.

    Parameters
    ----------
    op : pylops.LinearOperator
        The operator.
    dtype : dtype, optional
        Precision of its spaces, such as that of the operators around it (most PyLops operators are float64
        unless told otherwise); by default that of `op`.
    """

    anywhere = True  # as far as PyLops' operators do

    def __init__(self, op: pylops.LinearOperator, dtype: DTypeLike | None = None) -> None:
        own = np.result_type(np.float32 if op.dtype is None else op.dtype, np.float32)
        # only precision is adopted: a complex operator stays complex, refused where it meets a real space
        dtype = own if dtype is None or np.dtype(dtype).kind != own.kind else dtype
        self.op = op
        self.symbol = type(op).__name__.strip("_")
        super().__init__(Anonymous(op.dims, dtype), Anonymous(op.dimsd, dtype))

    def _fingerprint(self) -> Sequence[Any]:
        return [self.op]

    def _apply(self, x: NDArray) -> NDArray:
        return self.op.matvec(x.ravel())

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self.op.rmatvec(y.ravel())

    @property
    def shots(self) -> None:
        """None: a plain operator does not know of shots."""
        return None

    def select(self, shots: Sequence[int]) -> LinearOperator:
        """Refuse: nothing says which part of a plain operator belongs to a shot."""
        raise SpaceError(
            f"the plain operator {self._formula()} cannot be restricted to shots: select the shots first and "
            f"compose after, as in F[i] * {self._formula()}, with an operator made for those shots"
        )


@rules.as_operator.define
def as_operator(x: Any, dtype: DTypeLike | None = None) -> LinearOperator:
    """Return an operator of any kind as one of ours.

    Parameters
    ----------
    x : LinearOperator, pylops.LinearOperator, scipy.sparse.linalg.LinearOperator or sparse matrix
        The operator.
    dtype : dtype, optional
        Precision that a plain operator adopts; by default its own.
    """
    if isinstance(x, LinearOperator):
        return x
    if not is_operator(x):
        hint = ""
        if hasattr(x, "__array__"):
            hint = ": pylops.MatrixMult makes one of an array"
        elif hasattr(x, "linearize"):
            hint = (
                ", which is nonlinear: take the operator that it is made of, G.F, or its derivative, G.jacobian(m, q)"
            )
        raise TypeError(f"expected a linear operator, got a {type(x).__name__}{hint}")
    return External(pylops.MatrixMult(x, dtype=x.dtype) if sparse.issparse(x) else pylops.aslinearoperator(x), dtype)
