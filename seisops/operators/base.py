"""Linear operators between spaces: what each of them says, and how it is applied, adjointed and taken apart."""

from __future__ import annotations

import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import seisops._arrays as _arrays
from seisops._table import Told, listed, made_of, together
from seisops.errors import ParameterError, SpaceError, unidentified
from seisops.operators import rules
from seisops.operators.arguments import by_parts, columns, matrix, vector
from seisops.operators.budget import require_affordable
from seisops.operators.syntax import Syntax
from seisops.spaces import Space, require_space

__all__ = ["LinearOperator"]

_UNFUSED_FIX = (
    "keep the wavefield inside a product, such as Pr * Ainv * Ps.H; use seisops.fuse() on an expression "
    "that starts with a plain PyLops operator"
)


class LinearOperator(Syntax, Told):
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
    - `parametric = True` and `at`, where it depends on the parameters of a medium;
    - `anywhere = True`, where it works on arrays of a graphics processor as on NumPy's. Otherwise it gets NumPy's, and what
      is on a card goes through the memory of the host.
    """

    #: Name in printed expressions; the name of the class where empty.
    symbol: str = ""
    #: Whether a leaf depends on parameters of a medium, that is implements `at`.
    parametric: bool = False
    #: Whether a leaf works on arrays wherever they are: on NumPy's, and on those of a graphics processor.
    anywhere: bool = False
    #: The operators an expression is made of; empty for leaves.
    children: tuple[LinearOperator, ...] = ()

    _binding = 4  # how tightly the printed form binds: sum 1, scaled 2, product 3, anything else 4

    # derived data, rebuilt when missing and never pickled
    _origin: LinearOperator | None = None  # the operator whose adjoint this is
    _adjoint_link: Callable[[], LinearOperator | None] | None = None
    _normal: LinearOperator | None = None
    _derived: tuple[str, ...] = ("_origin", "_adjoint_link", "_normal")

    def __init__(self, domain: Space, range: Space) -> None:
        for which, space in (("domain", domain), ("range", range)):
            require_space(space, f"the {which} of {type(self).__name__}")
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
    def home(self) -> tuple[int, int] | None:
        """Where its waves are, as DLPack says it: arrays that are there need not be anywhere else; None without waves."""
        return next((home for child in self.children if (home := child.home) is not None), None)

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

    def _ends(self, left: bool) -> Iterator[LinearOperator]:
        """The leaves, or those of adjoints, that meet what stands on the left of it in a product, or on the right."""
        yield self

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
        return self._entered(self._apply, self._domain, x, self._range)

    def _backward(self, y: NDArray) -> NDArray:
        self._guard()
        return self._entered(self._apply_adjoint, self._range, y, self._domain)

    def _entered(self, apply: Callable[[NDArray], NDArray], given: Space, x: NDArray, made: Space) -> NDArray:
        """Apply something of a leaf to any layout, where the array is; on the host, if the leaf works on NumPy's alone."""
        x = given.asarray(np.ravel(x))
        if self.anywhere:
            return made.asarray(apply(x))
        return _arrays.there(made.asarray(apply(_arrays.to_host(x))), x)

    # ---- adjoint: A.H.H is A; it holds its origin, the origin only a weak link: no cycle keeps arrays alive

    def _make_adjoint(self) -> LinearOperator:
        return rules.adjoint(self)

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
        return columns(self._matvec, X, self._range)

    def _rmatmat(self, Y: NDArray) -> NDArray:
        return columns(self._rmatvec, Y, self._domain)

    # what PyLops calls: beside complex operators it hands complex vectors to real ones. Results are where arrays are

    def matvec(self, x: NDArray) -> NDArray:
        """Return ``A x`` of a flat array (or a column), in the operator's dtype; of a complex one, of both its parts."""
        return by_parts(super().matvec, x, self._domain, vector(x, self._domain, self._formula()))

    def rmatvec(self, x: NDArray) -> NDArray:
        """Return ``A.H x`` of a flat array (or a column), in the operator's dtype; of a complex one, of both its parts."""
        return by_parts(super().rmatvec, x, self._range, vector(x, self._range, self._formula()))

    def matmat(self, X: NDArray) -> NDArray:
        """Return ``A X`` of a matrix, column by column."""
        return by_parts(super().matmat, X, self._domain, matrix(X, self._domain, self._formula()))

    def rmatmat(self, X: NDArray) -> NDArray:
        """Return ``A.H X`` of a matrix, column by column."""
        return by_parts(super().rmatmat, X, self._range, matrix(X, self._range, self._formula()))

    # ---- printing

    def _formula(self) -> str:
        return self.symbol or type(self).__name__

    def _enclosed(self, binding: int) -> str:
        """The formula, in brackets where what stands around it binds more tightly.

        Parameters
        ----------
        binding : int
            How tightly that binds: sum 1, scaled 2, product 3, anything else 4.
        """
        return self._formula() if self._binding >= binding else f"({self._formula()})"

    def __str__(self) -> str:
        return f"{self._formula()} : {self._domain} -> {self._range}"

    def _about(self) -> dict[str, str]:
        """What else there is to say, by name: of a leaf what it was made of, of an expression what its solves say."""
        if self.children:
            return together(child._about() for child in self.children if child.solves)
        return made_of(self)

    def _title(self) -> str:
        return self._formula()

    def _rows(self) -> Iterator[tuple[str, object]]:
        rows, columns = self.shape
        yield from (("from", repr(self._domain)[1:-1]), ("to", repr(self._range)[1:-1]))
        yield "matrix", f"{rows} x {columns}"
        if self.shots is not None:
            yield "shots", self.shots
        yield from self._about().items()

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"<{type(self).__name__} {rows}x{columns} {self.dtype}: {self._formula()}{listed(self._about())}>"
