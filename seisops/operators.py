"""The algebra: linear operators between spaces, and the expressions they form.

A leaf implements `_apply` and `_apply_adjoint`; everything else follows. Expressions are immutable trees of a
few nodes (`Adjoint`, `Product`, `Sum`, `Scaled`, the stacks). Every operator is a true
`pylops.LinearOperator`.
"""

from __future__ import annotations

import math
import operator
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator as ScipyOperator

from seisops._pylops import pylops
from seisops.errors import ParameterError, SpaceError, UnfusedError, unidentified
from seisops.spaces import Anonymous, DirectSum, Space, as_array, compatible, shot_numbers

__all__ = [
    "Adjoint",
    "BlockDiag",
    "Everything",
    "Expression",
    "External",
    "HStack",
    "Identity",
    "LinearOperator",
    "Product",
    "Propagator",
    "Sampler",
    "Scaled",
    "Sum",
    "VStack",
    "Zero",
    "as_operator",
    "compose",
    "require_affordable",
]


class LinearOperator(pylops.LinearOperator):
    """A linear operator from one space to another.

    Parameters
    ----------
    domain, range : Space
        The spaces it maps from and to.

    Notes
    -----
    A leaf implements `_apply` and `_apply_adjoint` on arrays shaped as the spaces (C-contiguous, of the
    space's dtype), and keeps what it was built from unchanged. It may set

    - `symbol`, its name in printed expressions;
    - `shots` and `select`, where they do not follow from the spaces;
    - `parametric = True` and `at`, where it depends on the parameters of a medium.
    """

    #: Name in printed expressions; the name of the class where empty.
    symbol: str = ""
    #: Whether a leaf depends on parameters of a medium, that is implements `at`.
    parametric: bool = False
    #: The operators an expression is made of; empty for leaves.
    children: tuple[LinearOperator, ...] = ()

    __array_ufunc__ = None
    _binding = 4  # how tightly the printed form binds: sum 1, scaled 2, product 3, anything else 4

    # derived data, rebuilt when missing and never pickled
    _origin: LinearOperator | None = None  # the operator whose adjoint this is
    _adjoint_link: Callable[[], LinearOperator | None] | None = None
    _normal: LinearOperator | None = None
    _derived: tuple[str, ...] = ("_origin", "_adjoint_link", "_normal")

    def __init__(self, domain: Space, range: Space) -> None:
        self._domain = domain
        self._range = range
        super().__init__(dtype=np.result_type(domain.dtype, range.dtype), shape=(range.size, domain.size))
        self._dims = domain.shape
        self._dimsd = range.shape

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in self._derived}

    # ---- what a leaf says

    @property
    def domain(self) -> Space:
        """The space the operator maps from."""
        return self._domain

    @property
    def range(self) -> Space:
        """The space the operator maps to."""
        return self._range

    @abstractmethod
    def _apply(self, x: NDArray) -> NDArray:
        """Return the operator applied to an array of `domain`."""

    @abstractmethod
    def _apply_adjoint(self, y: NDArray) -> NDArray:
        """Return the adjoint applied to an array of `range`."""

    def _fingerprint(self) -> Sequence[Any]:
        """What makes it what it is, besides its class and spaces: numbers, text, arrays, and operators or maps.

        A class that is made in another way than the one that says so (it has an `__init__` of its own), or does something
        else (it has an `_apply` of its own), says so itself.
        """
        raise unidentified(self)

    @property
    def shots(self) -> int | None:
        """The number of shots, or None where the operator does not know of shots."""
        return self._domain.shots if self._domain.shots is not None else self._range.shots

    def select(self, shots: Sequence[int]) -> LinearOperator:
        """Return the operator for some of its shots; users write ``op[1:3]``.

        Parameters
        ----------
        shots : sequence of int
            Indices in ``range(self.shots)``.

        Returns
        -------
        LinearOperator
            The operator itself where it does not know of shots.
        """
        if self.children:
            return self.map_leaves(lambda leaf: leaf.select(shots))
        if self.shots is None:
            return self
        raise SpaceError(
            f"{self._formula()} cannot be restricted to shots: {type(self).__name__} does not define `select`"
        )

    def at(self, **parameters: ArrayLike) -> LinearOperator:
        """Return the same operator with other medium parameters.

        Parameters
        ----------
        **parameters
            New values by name, such as ``m=...``: given to every leaf that depends on the medium.

        Raises
        ------
        ParameterError
            If nothing in the expression depends on the parameters of a medium.
        """
        if not any(leaf.parametric for leaf in self.leaves()):
            names = ", ".join(parameters)
            raise ParameterError(
                f"cannot set {names or 'parameters'} of {self._formula()}: no part of it depends on a medium"
            )
        return self.map_leaves(lambda leaf: leaf.at(**parameters) if leaf.parametric else leaf)

    @property
    def solves(self) -> bool:
        """Whether applying it costs a solve, so that `@` looks first whether all that goes in is finite."""
        return any(child.solves for child in self.children) if self.children else self.parametric

    @property
    def held_bytes(self) -> int:
        """How much memory it holds that it could compute again, such as background wavefields."""
        return sum(leaf.held_bytes for leaf in self.leaves()) if self.children else 0

    @property
    def spare_bytes(self) -> int:
        """How much memory it has that holds nothing, and waits for what it will hold next."""
        return sum(leaf.spare_bytes for leaf in self.leaves()) if self.children else 0

    def forget(self) -> None:
        """Release what it could compute again, and what is spare."""
        for leaf in self.leaves() if self.children else ():
            leaf.forget()

    # ---- expressions

    def leaves(self) -> Iterator[LinearOperator]:
        """Iterate over the leaves of the expression, from left to right."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()

    def map_leaves(self, fn: Callable[[LinearOperator], LinearOperator]) -> LinearOperator:
        """Return the same expression with every leaf replaced.

        Parameters
        ----------
        fn : callable
            Maps a leaf to its replacement. It is called once for each leaf, however often the leaf occurs.
        """
        return self._mapped(fn, {})

    def _mapped(
        self, fn: Callable[[LinearOperator], LinearOperator], done: dict[int, LinearOperator]
    ) -> LinearOperator:
        if id(self) not in done:
            children = tuple(child._mapped(fn, done) for child in self.children)
            if not children:
                done[id(self)] = fn(self)
            elif all(new is old for new, old in zip(children, self.children, strict=True)):
                done[id(self)] = self
            else:
                done[id(self)] = self._rebuild(children)
        return done[id(self)]

    def _rebuild(self, children: tuple[LinearOperator, ...]) -> LinearOperator:
        raise NotImplementedError(f"{type(self).__name__} is a leaf")

    def _normal_form(self) -> LinearOperator:
        """Return the equal expression that is applied in place of this one."""
        return self

    def _guard(self) -> None:
        for space, side in ((self._domain, "domain"), (self._range, "range")):
            require_affordable(space, f"applying {self._formula()} by itself (its {side})", _UNFUSED_FIX)

    def _forward(self, x: NDArray) -> NDArray:
        """Apply as written: expressions apply their children; leaves take any layout, check and cast."""
        self._guard()
        return self._range.asarray(self._apply(self._domain.asarray(np.ravel(x))))

    def _backward(self, y: NDArray) -> NDArray:
        self._guard()
        return self._domain.asarray(self._apply_adjoint(self._range.asarray(np.ravel(y))))

    # ---- adjoint: A.H.H is A; it holds its origin, the origin only a weak link: no cycle keeps arrays alive

    def _make_adjoint(self) -> LinearOperator:
        return Adjoint(self)

    def adjoint(self) -> LinearOperator:
        """Return the adjoint; the same object every time, and ``A.H.H is A``."""
        if self._origin is not None:
            return self._origin
        adjoint = self._adjoint_link and self._adjoint_link()
        if adjoint is None:
            adjoint = self._make_adjoint()
            if adjoint is not self:
                adjoint._origin = self
            self._adjoint_link = weakref.ref(adjoint)
        return adjoint

    def transpose(self) -> LinearOperator:
        """Return the transpose: the adjoint, for real operators."""
        return super().transpose() if self.dtype.kind == "c" else self.adjoint()

    @property
    def H(self) -> LinearOperator:
        """The adjoint."""
        return self.adjoint()

    @property
    def T(self) -> LinearOperator:
        """The transpose."""
        return self.transpose()

    def conj(self) -> LinearOperator:
        """Return the complex conjugate: the operator itself, if it is real."""
        return super().conj() if self.dtype.kind == "c" else self

    # ---- application, in the conventions of PyLops

    def _matvec(self, x: NDArray) -> NDArray:
        return self._normal_form()._forward(x).ravel()

    def _rmatvec(self, y: NDArray) -> NDArray:
        return self._normal_form()._backward(y).ravel()

    def _matmat(self, X: NDArray) -> NDArray:
        return _columns(self._matvec, X, self._range)

    def _rmatmat(self, Y: NDArray) -> NDArray:
        return _columns(self._rmatvec, Y, self._domain)

    # what PyLops calls: beside complex operators it hands complex vectors to real ones

    def matvec(self, x: NDArray) -> NDArray:
        """Return ``A x`` of a flat array (or a column), in the operator's dtype; of a complex one, of both its parts."""
        return _by_parts(super().matvec, _vector(self, x, self._domain), self._domain)

    def rmatvec(self, x: NDArray) -> NDArray:
        """Return ``A.H x`` of a flat array (or a column), in the operator's dtype; of a complex one, of both its parts."""
        return _by_parts(super().rmatvec, _vector(self, x, self._range), self._range)

    def matmat(self, X: NDArray) -> NDArray:
        """Return ``A X`` of a matrix, column by column."""
        return _by_parts(super().matmat, _matrix(self, X, self._domain), self._domain)

    def rmatmat(self, X: NDArray) -> NDArray:
        """Return ``A.H X`` of a matrix, column by column."""
        return _by_parts(super().rmatmat, _matrix(self, X, self._range), self._range)

    def dot(self, x: Any) -> Any:
        """Apply to an array, compose with an operator, or scale by a number.

        Parameters
        ----------
        x : array_like or operator or scalar
            An array of shape ``domain.shape`` (the result has ``range.shape``), a flat array (the result is
            flat), a matrix of ``domain.size`` rows, another operator, or a number.
        """
        result = self._times(x)
        if result is NotImplemented:
            raise TypeError(f"cannot multiply {self!r} by a {type(x).__name__}")
        return result

    __call__ = dot

    def _times(self, x: Any) -> Any:
        if _is_scalar(x):
            return scale(x, self)
        if _is_operator(x):
            # a complex operator of PyLops makes a complex product of PyLops
            return super().dot(x) if _is_complex_beside(self, x) else compose(self, as_operator(x, self.dtype))
        if not (isinstance(x, (np.ndarray, Sequence)) or hasattr(x, "__array__")):
            return NotImplemented
        x = as_array(x, self._domain)
        if x.dtype.kind == "c" and self._domain.dtype.kind != "c":
            raise SpaceError(f"a complex array ({x.dtype}) is not in {self._domain}, which is real: take x.real")
        if (
            type(self._domain) is Anonymous
            and len(self._domain.shape) == 1
            and x.size == self._domain.size
            and x.ndim > 2
        ):
            x = x.ravel()  # a plain operator that knows of no shape has none that could be wrong
        fits = x.shape == self._domain.shape or x.shape[:1] == (self._domain.size,)
        if fits and x.dtype.kind in "fc" and self.solves:
            self._domain.require_finite(x, f"{self._formula()} @ x: x", "mend it, or set it to zero")
        if x.shape == self._domain.shape:
            # PyLops switches n-dimensional results off inside its solvers, which want flat arrays back
            y = self.matvec(x.ravel())
            return y if x.ndim == 1 and not pylops.get_ndarray_multiplication() else y.reshape(self._range.shape)
        return self.matmat(x) if x.ndim == 2 and x.shape[1] != 1 else self.matvec(x)

    # ---- operator syntax

    def __mul__(self, x: Any) -> Any:
        return self._times(x)

    def __matmul__(self, x: Any) -> Any:
        if _is_scalar(x):
            raise ValueError("a number cannot be multiplied by @: write * instead")
        return self._times(x)

    def __rmul__(self, x: Any) -> LinearOperator:
        if _is_scalar(x):
            return scale(x, self)
        if _is_operator(x):
            return compose(as_operator(x, self.dtype), self)
        if isinstance(x, np.ndarray):
            raise TypeError(
                f"cannot multiply an array of shape {x.shape} by {self._formula()} from the left: "
                "write A.H @ x, or pylops.MatrixMult(x) and pylops.Diagonal(x) for operators made of arrays"
            )
        return NotImplemented

    def __rmatmul__(self, x: Any) -> LinearOperator:
        if _is_scalar(x):
            raise ValueError("a number cannot be multiplied by @: write * instead")
        return self.__rmul__(x)

    def __truediv__(self, x: Any, niter: int = 100, densesolver: str = "scipy") -> Any:
        return scale(1 / x, self) if _is_scalar(x) else super().__truediv__(x, niter, densesolver)

    def __add__(self, x: Any) -> LinearOperator:
        return Sum([self, as_operator(x, self.dtype)]) if _is_operator(x) else NotImplemented

    def __radd__(self, x: Any) -> LinearOperator:
        if _is_operator(x):
            return Sum([as_operator(x, self.dtype), self])
        return self if _is_scalar(x) and x == 0 else NotImplemented  # sum(operators) starts from 0

    def __sub__(self, x: Any) -> LinearOperator:
        return self + scale(-1, as_operator(x, self.dtype)) if _is_operator(x) else NotImplemented

    def __rsub__(self, x: Any) -> LinearOperator:
        return as_operator(x, self.dtype) + scale(-1, self) if _is_operator(x) else NotImplemented

    def __neg__(self) -> LinearOperator:
        return scale(-1, self)

    def __pow__(self, power: int) -> LinearOperator:
        power = operator.index(power)
        if power < 0:
            raise ParameterError(f"cannot raise {self._formula()} to the power {power}: it has no inverse")
        if not compatible(self._domain, self._range):
            raise SpaceError(f"cannot raise {self._formula()} to a power: it maps {self._domain} to {self._range}")
        return compose(*[self] * power) if power else Identity(self._domain)

    def __getitem__(self, key: Any) -> LinearOperator:
        if self.shots is None:
            raise TypeError(f"{self._formula()} has no shots to select from")
        return self.select(shot_numbers(key, self.shots, self._formula()))

    # ---- printing

    def _formula(self) -> str:
        return self.symbol or type(self).__name__

    def __str__(self) -> str:
        return f"{self._formula()} : {self._domain} -> {self._range}"

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"<{type(self).__name__} {rows}x{columns} {self.dtype}: {self._formula()}>"


# ---- helpers


_UNFUSED_FIX = (
    "keep the wavefield inside a product, such as Pr * Ainv * Ps.H; use seisops.fuse() on an expression "
    "that starts with a plain PyLops operator"
)


def require_affordable(space: Space, what: str, fix: str) -> None:
    """Refuse to materialise a wavefield that is larger than its budget.

    Parameters
    ----------
    space : Space
        The space of the array about to be allocated. Only extended spaces are limited.
    what : str
        What was attempted, such as ``"applying Ps.H by itself"``.
    fix : str
        What to write instead.

    Raises
    ------
    UnfusedError
        If `space` is extended and ``space.nbytes`` exceeds ``space.max_bytes``.
    """
    if space.extended and space.nbytes > space.max_bytes:
        raise UnfusedError(
            f"{what} would materialise {space} of {_gib(space.nbytes)}; "
            f"the budget is {_gib(space.max_bytes)}. Instead, {fix}; or raise max_bytes of the wavefield"
        )


def _gib(nbytes: float) -> str:
    return f"{nbytes / 2**30:.3g} GiB"


def _is_scalar(x: Any) -> bool:
    return isinstance(x, (int, float, complex, np.number)) or (isinstance(x, np.ndarray) and x.ndim == 0)


def _is_operator(x: Any) -> bool:
    return isinstance(x, (pylops.LinearOperator, ScipyOperator)) or sparse.issparse(x)


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
    if not _is_operator(x):
        hint = ""
        if hasattr(x, "__array__"):
            hint = ": pylops.MatrixMult makes one of an array"
        elif hasattr(x, "linearize"):
            hint = (
                ", which is nonlinear: take the operator that it is made of, G.F, or its derivative, G.jacobian(m, q)"
            )
        raise TypeError(f"expected a linear operator, got a {type(x).__name__}{hint}")
    return External(pylops.MatrixMult(x, dtype=x.dtype) if sparse.issparse(x) else pylops.aslinearoperator(x), dtype)


def _columns(apply: Callable[[NDArray], NDArray], X: Any, space: Space) -> NDArray:
    dense = X.tocsc() if sparse.issparse(X) else X
    Y = np.empty((space.size, X.shape[1]), space.dtype)
    for j in range(X.shape[1]):
        column = dense[:, [j]].toarray() if sparse.issparse(dense) else dense[:, j]
        Y[:, j] = apply(np.ravel(column))
    return Y


def _vector(op: LinearOperator, x: ArrayLike, space: Space) -> NDArray:
    x = as_array(x, space)
    if x.shape not in ((space.size,), (space.size, 1)):
        raise SpaceError(
            f"cannot apply {op._formula()} to an array of shape {x.shape}: "
            f"expected {space} of shape {space.shape}, or a flat array of {space.size} elements"
        )
    return x


def _by_parts(apply: Callable[[Any], NDArray], x: Any, space: Space) -> NDArray:
    """Apply something real to a complex array: to its imaginary part as well, where that is anything."""
    if x.dtype.kind != "c" or space.dtype.kind == "c":
        return apply(x)
    real, imaginary = apply(x.real), x.imag
    anything = imaginary.nnz if sparse.issparse(imaginary) else imaginary.any()
    return real + 1j * apply(imaginary) if anything else real.astype(np.result_type(real.dtype, np.complex64))


def _is_complex_beside(op: LinearOperator, x: Any) -> bool:
    """Whether a plain operator is complex, and ours is not."""
    return (
        isinstance(x, pylops.LinearOperator)
        and not isinstance(x, LinearOperator)
        and np.dtype(x.dtype).kind == "c"
        and op.dtype.kind != "c"
    )


def _matrix(op: LinearOperator, X: Any, space: Space) -> Any:
    X = X if sparse.issparse(X) else np.asarray(X)
    if X.ndim != 2 or X.shape[0] != space.size:
        raise SpaceError(
            f"cannot apply {op._formula()} to a matrix of shape {X.shape}: "
            f"expected {space.size} rows, elements of {space}"
        )
    return X


def _distinct(a: Space, b: Space) -> tuple[str, str]:
    """Name two unequal spaces so that the difference shows."""
    return (str(a), str(b)) if str(a) != str(b) and a.dtype == b.dtype else (repr(a), repr(b))


def _dtype_hint(a: Space, b: Space) -> str:
    if a.dtype == b.dtype:
        return ""
    if a.dtype.kind == b.dtype.kind:
        return f" The dtypes differ ({a.dtype} and {b.dtype}): build both operators with the same dtype."
    return f" One is real and the other complex ({a.dtype} and {b.dtype}): see `toreal` of PyLops operators."


def _named(spaces: Sequence[Space]) -> Space:
    """The first space with a meaning: plain operators take the space of what they are combined with."""
    return next((space for space in spaces if not isinstance(space, Anonymous)), spaces[0])


def _common(spaces: Sequence[Space], ops: Sequence[LinearOperator], what: str, side: str) -> Space:
    common = _named(spaces)
    first = ops[spaces.index(common)]
    for space, op in zip(spaces, ops, strict=True):
        if not compatible(common, space):
            a, b = _distinct(common, space)
            raise SpaceError(
                f"cannot form {what}: {side} of A ({first._formula()}) is {a}, "
                f"{side} of B ({op._formula()}) is {b}."
                f"{_dtype_hint(common, space)}"
            )
    return common


# ---- nodes


class Expression(LinearOperator):
    """Base of the nodes that expressions are made of: immutable, with `children`.

    Notes
    -----
    A node is applied through its normal form, in which every solve is fused with its neighbours; the normal
    form is found when the expression is first applied.
    """

    _is_normal = False
    #: The rules of `seisops.fusion`, which come after the nodes they are about; as written without them.
    _normalise: ClassVar[Callable[[LinearOperator], LinearOperator]] = staticmethod(lambda op: op)

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
                normal = Expression._normalise(self)
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
        return f"{_enclosed(self.op, 4)}.H"


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
            _check_composable(left, right)
        self.children = _flatten(Product, factors)
        super().__init__(self.children[-1].domain, self.children[0].range)

    def _rebuild(self, children: tuple[LinearOperator, ...]) -> LinearOperator:
        return compose(*children)

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
        return " * ".join([_enclosed(first, 2), *(_enclosed(factor, 3) for factor in others)])


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
        domain = _common([term.domain for term in terms], terms, "A + B", "domain")
        range_ = _common([term.range for term in terms], terms, "A + B", "range")
        self.children = _flatten(Sum, terms)
        super().__init__(domain, range_)

    def _rebuild(self, children: tuple[LinearOperator, ...]) -> LinearOperator:
        return Sum(children)

    def _make_adjoint(self) -> LinearOperator:
        return Sum([term.H for term in self.children])

    def _forward(self, x: NDArray) -> NDArray:
        return _total((term._forward(x) for term in self.children), self._range)

    def _backward(self, y: NDArray) -> NDArray:
        return _total((term._backward(y) for term in self.children), self._domain)

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
        inner = _enclosed(self.op, 3)
        if self.scalar == -1:
            return f"-{inner}"
        return f"{self.scalar:g} * {inner}" if isinstance(self.scalar, float) else f"{self.scalar} * {inner}"

    def _fingerprint(self) -> Sequence[Any]:
        return [self.scalar, self.op]


class Identity(LinearOperator):
    """The identity of a space.

    Parameters
    ----------
    space : Space
        The space.
    """

    symbol = "I"

    def __init__(self, space: Space) -> None:
        super().__init__(space, space)

    def _apply(self, x: NDArray) -> NDArray:
        return x.copy()

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return y.copy()

    def _make_adjoint(self) -> LinearOperator:
        return self

    def select(self, shots: Sequence[int]) -> Identity:
        """Return the identity of the space of some shots."""
        return Identity(self._domain.select(shots))

    def _fingerprint(self) -> Sequence[Any]:
        return []


class Zero(LinearOperator):
    """The operator that maps everything to zero.

    Parameters
    ----------
    domain, range : Space
        The spaces it maps from and to.
    """

    symbol = "0"

    def _apply(self, x: NDArray) -> NDArray:
        return self._range.zeros()

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._domain.zeros()

    def _make_adjoint(self) -> LinearOperator:
        return Zero(self._range, self._domain)

    def select(self, shots: Sequence[int]) -> Zero:
        """Return the zero operator between the spaces of some shots."""
        return Zero(self._domain.select(shots), self._range.select(shots))

    def _fingerprint(self) -> Sequence[Any]:
        return []


class _Stack(Expression):
    """What the three stacks have in common."""

    _fingerprint = Expression._fingerprint

    def __init__(self, ops: Sequence[Any]) -> None:
        # an operator is a sequence as well, of its shots
        if isinstance(ops, pylops.LinearOperator) or not ops:
            raise ParameterError(f"{type(self).__name__} takes a list of at least one operator, [A, B], got {ops!r}")
        dtype = next((op.dtype for op in ops if isinstance(op, LinearOperator)), None)
        self.children = _flatten(type(self), [as_operator(op, dtype) for op in ops])
        super().__init__(*self._spaces())

    def _spaces(self) -> tuple[Space, Space]:
        raise NotImplementedError

    def _rebuild(self, children: tuple[LinearOperator, ...]) -> LinearOperator:
        return type(self)(children)


class VStack(_Stack):
    """A column of operators: their results one after the other.

    Parameters
    ----------
    ops : sequence of operators
        The operators, with one domain; plain PyLops operators are wrapped. Columns among them are flattened.
    """

    def _spaces(self) -> tuple[Space, Space]:
        domain = _common([op.domain for op in self.children], self.children, "VStack([A, B])", "domain")
        return domain, DirectSum([op.range for op in self.children])

    def _make_adjoint(self) -> LinearOperator:
        return HStack([op.H for op in self.children])

    def _forward(self, x: NDArray) -> NDArray:
        return _joined([op._forward(x) for op in self.children])

    def _backward(self, y: NDArray) -> NDArray:
        pieces = _pieces(self._range.asarray(np.ravel(y)), [op.range for op in self.children])
        return _total((op._backward(piece) for op, piece in zip(self.children, pieces, strict=True)), self._domain)

    def _formula(self) -> str:
        return f"[{'; '.join(op._formula() for op in self.children)}]"


class HStack(_Stack):
    """A row of operators: the sum of their results on the parts of a direct sum.

    Parameters
    ----------
    ops : sequence of operators
        The operators, with one range; plain PyLops operators are wrapped. Rows among them are flattened.
    """

    def _spaces(self) -> tuple[Space, Space]:
        range_ = _common([op.range for op in self.children], self.children, "HStack([A, B])", "range")
        return DirectSum([op.domain for op in self.children]), range_

    def _make_adjoint(self) -> LinearOperator:
        return VStack([op.H for op in self.children])

    def _forward(self, x: NDArray) -> NDArray:
        pieces = _pieces(self._domain.asarray(np.ravel(x)), [op.domain for op in self.children])
        return _total((op._forward(piece) for op, piece in zip(self.children, pieces, strict=True)), self._range)

    def _backward(self, y: NDArray) -> NDArray:
        return _joined([op._backward(y) for op in self.children])

    def _formula(self) -> str:
        return f"[{', '.join(op._formula() for op in self.children)}]"


class BlockDiag(_Stack):
    """Operators on the diagonal: each acts on its part of a direct sum.

    Parameters
    ----------
    ops : sequence of operators
        The operators; plain PyLops operators are wrapped. Block diagonals among them are flattened.
    """

    def _spaces(self) -> tuple[Space, Space]:
        return DirectSum([op.domain for op in self.children]), DirectSum([op.range for op in self.children])

    def _make_adjoint(self) -> LinearOperator:
        return BlockDiag([op.H for op in self.children])

    def _forward(self, x: NDArray) -> NDArray:
        pieces = _pieces(self._domain.asarray(np.ravel(x)), [op.domain for op in self.children])
        return _joined([op._forward(piece) for op, piece in zip(self.children, pieces, strict=True)])

    def _backward(self, y: NDArray) -> NDArray:
        pieces = _pieces(self._range.asarray(np.ravel(y)), [op.range for op in self.children])
        return _joined([op._backward(piece) for op, piece in zip(self.children, pieces, strict=True)])

    def _formula(self) -> str:
        return f"diag({', '.join(op._formula() for op in self.children)})"


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


def _enclosed(op: LinearOperator, binding: int) -> str:
    return op._formula() if op._binding >= binding else f"({op._formula()})"


def _flatten(kind: type[Expression], ops: Sequence[LinearOperator]) -> tuple[LinearOperator, ...]:
    return tuple(inner for op in ops for inner in (op.children if type(op) is kind else (op,)))


def _total(arrays: Iterator[NDArray], space: Space) -> NDArray:
    """Sum arrays of one size, in the layout of `space`, without writing into any of them."""
    total = space.asarray(np.ravel(next(arrays)))
    for array in arrays:
        total = total + space.asarray(np.ravel(array))
    return total


def _pieces(x: NDArray, spaces: Sequence[Space]) -> list[NDArray]:
    ends = np.cumsum([space.size for space in spaces])
    return [x[end - space.size : end] for end, space in zip(ends, spaces, strict=True)]


def _joined(arrays: Sequence[NDArray]) -> NDArray:
    return np.concatenate([array.ravel() for array in arrays])


def _check_composable(left: LinearOperator, right: LinearOperator) -> None:
    if compatible(left.domain, right.range):
        return
    inner, outer = _distinct(left.domain, right.range)
    message = (
        f"cannot form A @ B: domain of A ({left._formula()}) is {inner}, "
        f"range of B ({right._formula()}) is {outer}."
        f"{_dtype_hint(left.domain, right.range)}"
    )
    if compatible(left.range, right.range):
        message += " Did you mean A.H?"
    elif compatible(left.domain, right.domain):
        message += " Did you mean B.H?"
    raise SpaceError(message)


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


# ---- the leaves that a wave equation is made of


class Sampler(LinearOperator):
    """A linear map, local in time, from wavefields to something small; data only.

    Notes
    -----
    Point projections, wavelet-weighted stacks and imaging conditions are samplers. A product around a
    `Propagator` hands them to its solve as readers and, adjointed, as writers, so that no wavefield is
    stored. Applied alone, a sampler needs a wavefield in memory: that is refused where the wavefield exceeds
    its budget.
    """


class Everything(Sampler):
    """The identity of a space of wavefields as a sampler: reads, or writes, all of it.

    Parameters
    ----------
    space : Space
        The space of wavefields.
    """

    symbol = "Everything"

    def __init__(self, space: Space) -> None:
        super().__init__(space, space)

    def _apply(self, x: NDArray) -> NDArray:
        return x.copy()

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return y.copy()

    def select(self, shots: Sequence[int]) -> Everything:
        """Return the same of the wavefields of some shots."""
        return Everything(self._domain.select(shots))

    def _fingerprint(self) -> Sequence[Any]:
        return []


class Propagator(LinearOperator):
    """A map from wavefields to wavefields that costs the solve of a wave equation.

    Notes
    -----
    A subclass implements `solve`, `at` and, where its spaces do not, `shots` and `select`. Whatever an
    expression says around a propagator ends in one call of `solve`.
    """

    parametric = True

    @abstractmethod
    def solve(self, readers: tuple[Sampler, ...], writers: tuple[Sampler, ...], adjoint: bool) -> LinearOperator:
        """Return the operator ``VStack(readers) @ A @ HStack([w.H for w in writers])`` as one solve.

        Parameters
        ----------
        readers, writers : tuple of Sampler
            What is read from the wavefield and written into it; their domain is the space of wavefields. One
            of them may be `Everything`.
        adjoint : bool
            Whether A is this operator or its adjoint.

        Returns
        -------
        LinearOperator
            Its domain is the range of the writer, or the direct sum of several; its range likewise for the
            readers.
        """

    @abstractmethod
    def at(self, **parameters: ArrayLike) -> Propagator:
        """Return the same propagator with other medium parameters."""

    def _apply(self, x: NDArray) -> NDArray:
        return self._solve_everything()._forward(x)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._solve_everything()._backward(y)

    def _solve_everything(self) -> LinearOperator:
        return self.solve((Everything(self._range),), (Everything(self._domain),), adjoint=False)
