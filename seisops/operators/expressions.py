"""The nodes that expressions are made of: adjoints, products, sums and multiples of operators.

Expressions are immutable trees. `compose`, `add` and `scale` make nodes, simplified.
"""

from __future__ import annotations

import math
import weakref
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisops.errors import ParameterError, SpaceError
from seisops.operators import rules
from seisops.operators.agreement import common_domain, common_range, require_composable, require_met
from seisops.operators.base import LinearOperator
from seisops.operators.identity import Identity, Zero
from seisops.spaces import Space

__all__ = ["Adjoint", "Expression", "Product", "Scaled", "Sum", "add", "compose", "scale", "total"]


class Expression(LinearOperator):
    """Base of the nodes that expressions are made of: immutable, with `children`.

    Notes
    -----
    A node is applied through its normal form, in which every solve is fused with its neighbours; the normal
    form is found when the expression is first applied.
    """

    _is_normal = False

    @property
    def shots(self) -> int | None:
        """The number of shots that the parts with shots have in common."""
        counts = {child.shots for child in self.children if child.shots is not None}
        if len(counts) > 1:
            raise SpaceError(f"the parts of {self._formula()} have different numbers of shots: {sorted(counts)}")
        return counts.pop() if counts else None

    def _normal_form(self) -> LinearOperator:
        if self._is_normal:
            return self
        if self._normal is None:
            if self._origin is not None:
                normal = self._origin._normal_form().H  # shares the solves of the operator itself
            else:
                normal = rules.normal_form(self)
                for form in (normal, normal._origin):
                    if isinstance(form, Expression):
                        form._is_normal = True
            if normal is self:
                self._is_normal = True
                return self
            self._normal = normal
        return self._normal

    def _apply(self, x: NDArray) -> NDArray:
        return self._range.asarray(np.ravel(self._normal_form()._forward(x)))

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._domain.asarray(np.ravel(self._normal_form()._backward(y)))

    @abstractmethod
    def _forward(self, x: NDArray) -> NDArray: ...

    @abstractmethod
    def _backward(self, y: NDArray) -> NDArray: ...

    def _fingerprint(self) -> Sequence[Any]:
        return self.children

    def _ends(self, left: bool) -> Iterator[LinearOperator]:
        for child in self._outer(left):
            yield from child._ends(left)

    def _outer(self, left: bool) -> Sequence[LinearOperator]:
        """Its children that meet all of what stands on the left of it in a product, or on the right."""
        return self.children

    def _flattened(self, ops: Sequence[LinearOperator]) -> tuple[LinearOperator, ...]:
        """Operators, with the children of nodes like this one in place of these."""
        return tuple(inner for op in ops for inner in (op.children if type(op) is type(self) else (op,)))


@rules.adjoint.define
class Adjoint(Expression):
    """The adjoint of a leaf; users write ``A.H``.

    Parameters
    ----------
    op : LinearOperator
        The operator.
    """

    _fingerprint = Expression._fingerprint

    def __init__(self, op: LinearOperator) -> None:
        self.children = (op,)
        super().__init__(op.range, op.domain)

    @property
    def op(self) -> LinearOperator:
        """The operator whose adjoint this is."""
        return self.children[0]

    def _ends(self, left: bool) -> Iterator[LinearOperator]:
        return self.op._ends(not left)

    def adjoint(self) -> LinearOperator:
        """Return the operator itself."""
        if self.op._adjoint_link is None:  # after unpickling
            self.op._adjoint_link = weakref.ref(self)
        return self.op

    def _rebuild(self, children: tuple[LinearOperator, ...]) -> LinearOperator:
        return children[0].H

    def _normal_form(self) -> LinearOperator:
        return self if not self.op.children else self.op._normal_form().H

    def _forward(self, x: NDArray) -> NDArray:
        return self.op._backward(x)

    def _backward(self, y: NDArray) -> NDArray:
        return self.op._forward(y)

    def _formula(self) -> str:
        return f"{self.op._enclosed(4)}.H"


class Product(Expression):
    """The product of operators, applied from right to left; users write ``A @ B`` or ``A * B``.

    Parameters
    ----------
    factors : sequence of LinearOperator
        The factors. Products among them are flattened.

    Raises
    ------
    SpaceError
        If the domain of a factor does not fit the range of the next.
    """

    _binding = 3

    _fingerprint = Expression._fingerprint

    def __init__(self, factors: Sequence[LinearOperator]) -> None:
        if not factors:
            raise ParameterError("a product needs at least one factor")
        for left, right in zip(factors[:-1], factors[1:], strict=True):
            require_composable(left, right)
            require_met(left, right)
        self.children = self._flattened(factors)
        super().__init__(self.children[-1].domain, self.children[0].range)

    def _rebuild(self, children: tuple[LinearOperator, ...]) -> LinearOperator:
        return compose(*children)

    def _outer(self, left: bool) -> Sequence[LinearOperator]:
        return self.children[:1] if left else self.children[-1:]

    def _make_adjoint(self) -> LinearOperator:
        return Product([factor.H for factor in reversed(self.children)])

    def _forward(self, x: NDArray) -> NDArray:
        for factor in reversed(self.children):
            x = factor._forward(x)
        return x

    def _backward(self, y: NDArray) -> NDArray:
        for factor in self.children:
            y = factor._backward(y)
        return y

    def _formula(self) -> str:
        first, *others = self.children
        return " * ".join([first._enclosed(2), *(factor._enclosed(3) for factor in others)])


class Sum(Expression):
    """The sum of operators; users write ``A + B``.

    Parameters
    ----------
    terms : sequence of LinearOperator
        The terms, with one domain and one range. Sums among them are flattened.
    """

    _binding = 1

    _fingerprint = Expression._fingerprint

    def __init__(self, terms: Sequence[LinearOperator]) -> None:
        if not terms:
            raise ParameterError("a sum needs at least one term")
        self.children = self._flattened(terms)
        ops = self.children
        super().__init__(common_domain(ops, "sum", self._formula), common_range(ops, "sum", self._formula))

    def _rebuild(self, children: tuple[LinearOperator, ...]) -> LinearOperator:
        return Sum(children)

    def _make_adjoint(self) -> LinearOperator:
        return Sum([term.H for term in self.children])

    def _forward(self, x: NDArray) -> NDArray:
        return total((term._forward(x) for term in self.children), self._range)

    def _backward(self, y: NDArray) -> NDArray:
        return total((term._backward(y) for term in self.children), self._domain)

    def _formula(self) -> str:
        first, *others = (term._formula() for term in self.children)
        return first + "".join(f" - {term[1:]}" if term.startswith("-") else f" + {term}" for term in others)


class Scaled(Expression):
    """An operator times a number; users write ``2.0 * A``.

    Parameters
    ----------
    scalar : float or complex
        The number.
    op : LinearOperator
        The operator. Its dtype is kept.
    """

    _binding = 2

    def __init__(self, scalar: complex, op: LinearOperator) -> None:
        # a Python number is weak in NumPy's promotion, so that a float32 operator stays float32
        scalar = np.asarray(scalar).item()
        if isinstance(scalar, complex):
            if op.dtype.kind != "c":
                raise SpaceError(
                    f"cannot scale {op._formula()} by the complex number {scalar}: it is real ({op.dtype})"
                )
        else:
            scalar = float(scalar)
        self.scalar = scalar
        self.children = (op,)
        super().__init__(op.domain, op.range)

    @property
    def op(self) -> LinearOperator:
        """The operator that is scaled."""
        return self.children[0]

    def _rebuild(self, children: tuple[LinearOperator, ...]) -> LinearOperator:
        return scale(self.scalar, children[0])

    def _make_adjoint(self) -> LinearOperator:
        return Scaled(self.scalar.conjugate(), self.op.H)

    def _forward(self, x: NDArray) -> NDArray:
        return self.scalar * self.op._forward(x)

    def _backward(self, y: NDArray) -> NDArray:
        return self.scalar.conjugate() * self.op._backward(y)

    def _formula(self) -> str:
        inner = self.op._enclosed(3)
        if self.scalar == -1:
            return f"-{inner}"
        return f"{self.scalar:g} * {inner}" if isinstance(self.scalar, float) else f"{self.scalar} * {inner}"

    def _fingerprint(self) -> Sequence[Any]:
        return [self.scalar, self.op]


@rules.compose.define
def compose(*factors: LinearOperator) -> LinearOperator:
    """Return the product of operators: scalars move to the front, identities vanish, zero absorbs.

    Parameters
    ----------
    *factors : LinearOperator
        The factors, from left to right.
    """
    product = Product(factors)
    if any(isinstance(factor, Zero) for factor in product.children):
        return Zero(product.domain, product.range)
    scalars = [factor.scalar for factor in product.children if isinstance(factor, Scaled)]
    if scalars:
        bare = [factor.op if isinstance(factor, Scaled) else factor for factor in product.children]
        return scale(math.prod(scalars), compose(*bare))
    kept = [factor for factor in product.children if not isinstance(factor, Identity)]
    if len(kept) > 1:
        return Product(kept)
    return kept[0] if kept else product.children[0]


@rules.scale.define
def scale(scalar: complex, op: LinearOperator) -> LinearOperator:
    """Return an operator times a number, simplified: factors multiply, one vanishes.

    Parameters
    ----------
    scalar : float or complex
        The number.
    op : LinearOperator
        The operator.
    """
    if isinstance(op, Scaled):
        scalar, op = scalar * op.scalar, op.op
    return op if scalar == 1 else Scaled(scalar, op)


@rules.add.define
def add(*terms: LinearOperator) -> LinearOperator:
    """Return the sum of operators; one stands for itself.

    Parameters
    ----------
    *terms : LinearOperator
        The terms.
    """
    return terms[0] if len(terms) == 1 else Sum(terms)


def total(arrays: Iterator[NDArray], space: Space) -> NDArray:
    """Sum arrays of one size, in the layout of `space`, without writing into any of them."""
    total = space.asarray(np.ravel(next(arrays)))
    for array in arrays:
        total = total + space.asarray(np.ravel(array))
    return total
