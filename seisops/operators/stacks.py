"""Columns, rows and diagonals of operators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisops._pylops import pylops
from seisops.errors import ParameterError, shown
from seisops.operators.agreement import common_domain, common_range
from seisops.operators.base import LinearOperator
from seisops.operators.expressions import Expression, total
from seisops.operators.outside import as_operator
from seisops.spaces import DirectSum, Space, join, split

__all__ = ["BlockDiag", "HStack", "Stack", "VStack"]


class Stack(Expression):
    """What the three stacks have in common."""

    _fingerprint = Expression._fingerprint

    def __init__(self, ops: Sequence[Any]) -> None:
        # an operator is a sequence as well, of its shots
        parts = [] if isinstance(ops, pylops.LinearOperator) or not isinstance(ops, Iterable) else list(ops)
        if not parts:
            raise ParameterError(
                f"{type(self).__name__} takes a list of at least one operator, [A, B], got {shown(ops)}"
            )
        dtype = next((op.dtype for op in parts if isinstance(op, LinearOperator)), None)
        self.children = self._flattened([as_operator(op, dtype) for op in parts])
        super().__init__(*self._spaces())

    def _spaces(self) -> tuple[Space, Space]:
        raise NotImplementedError

    def _rebuild(self, children: tuple[LinearOperator, ...]) -> LinearOperator:
        return type(self)(children)


class VStack(Stack):
    """A column of operators: their results one after the other.

    Parameters
    ----------
    ops : sequence of operators
        The operators, with one domain; plain PyLops operators are wrapped. Columns among them are flattened.
    """

    def _spaces(self) -> tuple[Space, Space]:
        domain = common_domain(self.children, "column", self._formula)
        return domain, DirectSum([op.range for op in self.children])

    def _outer(self, left: bool) -> Sequence[LinearOperator]:
        return () if left else self.children

    def _make_adjoint(self) -> LinearOperator:
        return HStack([op.H for op in self.children])

    def _forward(self, x: NDArray) -> NDArray:
        return join([op._forward(x) for op in self.children])

    def _backward(self, y: NDArray) -> NDArray:
        pieces = split(self._range.asarray(np.ravel(y)), [op.range for op in self.children])
        return total((op._backward(piece) for op, piece in zip(self.children, pieces, strict=True)), self._domain)

    def _formula(self) -> str:
        return f"[{'; '.join(op._formula() for op in self.children)}]"


class HStack(Stack):
    """A row of operators: the sum of their results on the parts of a direct sum.

    Parameters
    ----------
    ops : sequence of operators
        The operators, with one range; plain PyLops operators are wrapped. Rows among them are flattened.
    """

    def _spaces(self) -> tuple[Space, Space]:
        range_ = common_range(self.children, "row", self._formula)
        return DirectSum([op.domain for op in self.children]), range_

    def _outer(self, left: bool) -> Sequence[LinearOperator]:
        return self.children if left else ()

    def _make_adjoint(self) -> LinearOperator:
        return VStack([op.H for op in self.children])

    def _forward(self, x: NDArray) -> NDArray:
        pieces = split(self._domain.asarray(np.ravel(x)), [op.domain for op in self.children])
        return total((op._forward(piece) for op, piece in zip(self.children, pieces, strict=True)), self._range)

    def _backward(self, y: NDArray) -> NDArray:
        return join([op._backward(y) for op in self.children])

    def _formula(self) -> str:
        return f"[{', '.join(op._formula() for op in self.children)}]"


class BlockDiag(Stack):
    """Operators on the diagonal: each acts on its part of a direct sum.

    Parameters
    ----------
    ops : sequence of operators
        The operators; plain PyLops operators are wrapped. Block diagonals among them are flattened.
    """

    def _spaces(self) -> tuple[Space, Space]:
        return DirectSum([op.domain for op in self.children]), DirectSum([op.range for op in self.children])

    def _outer(self, left: bool) -> Sequence[LinearOperator]:
        return ()  # each meets a part

    def _make_adjoint(self) -> LinearOperator:
        return BlockDiag([op.H for op in self.children])

    def _forward(self, x: NDArray) -> NDArray:
        pieces = split(self._domain.asarray(np.ravel(x)), [op.domain for op in self.children])
        return join([op._forward(piece) for op, piece in zip(self.children, pieces, strict=True)])

    def _backward(self, y: NDArray) -> NDArray:
        pieces = split(self._range.asarray(np.ravel(y)), [op.range for op in self.children])
        return join([op._backward(piece) for op, piece in zip(self.children, pieces, strict=True)])

    def _formula(self) -> str:
        return f"diag({', '.join(op._formula() for op in self.children)})"
