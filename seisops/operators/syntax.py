"""What Python's operators mean for ours: products, sums, powers, numbers, arrays, and shots in brackets."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import seisops._arrays as _arrays
from seisops._pylops import pylops
from seisops.errors import ParameterError, SpaceError
from seisops.operators import rules
from seisops.operators.arguments import is_operator, is_scalar
from seisops.spaces import Anonymous, as_array, compatible, shot_numbers

__all__ = ["Syntax"]


class Syntax(pylops.LinearOperator):
    """The syntax of operators: what `LinearOperator` derives from, and nothing else."""

    __array_ufunc__ = None

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
        if is_scalar(x):
            return rules.scale(x, self)
        if is_operator(x):
            # a complex operator of PyLops makes a complex product of PyLops
            return (
                super().dot(x) if _is_complex_beside(self, x) else rules.compose(self, rules.as_operator(x, self.dtype))
            )
        if not (isinstance(x, (np.ndarray, Sequence)) or hasattr(x, "__array__")):
            return NotImplemented
        given, x = x, as_array(x, self._domain)
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
            flat = x.ndim == 1 and not pylops.get_ndarray_multiplication()
            return _arrays.returned(y if flat else y.reshape(self._range.shape), given)
        return _arrays.returned(self.matmat(x) if x.ndim == 2 and x.shape[1] != 1 else self.matvec(x), given)

    def __mul__(self, x: Any) -> Any:
        return self._times(x)

    def __matmul__(self, x: Any) -> Any:
        if is_scalar(x):
            raise ValueError("a number cannot be multiplied by @: write * instead")
        return self._times(x)

    def __rmul__(self, x: Any) -> Syntax:
        if is_scalar(x):
            return rules.scale(x, self)
        if is_operator(x):
            return rules.compose(rules.as_operator(x, self.dtype), self)
        if isinstance(x, np.ndarray):
            raise TypeError(
                f"cannot multiply an array of shape {x.shape} by {self._formula()} from the left: "
                "write A.H @ x, or pylops.MatrixMult(x) and pylops.Diagonal(x) for operators made of arrays"
            )
        return NotImplemented

    def __rmatmul__(self, x: Any) -> Syntax:
        if is_scalar(x):
            raise ValueError("a number cannot be multiplied by @: write * instead")
        return self.__rmul__(x)

    def __truediv__(self, x: Any, niter: int = 100, densesolver: str = "scipy") -> Any:
        return rules.scale(1 / x, self) if is_scalar(x) else super().__truediv__(x, niter, densesolver)

    def __add__(self, x: Any) -> Syntax:
        return rules.add(self, rules.as_operator(x, self.dtype)) if is_operator(x) else NotImplemented

    def __radd__(self, x: Any) -> Syntax:
        if is_operator(x):
            return rules.add(rules.as_operator(x, self.dtype), self)
        return self if is_scalar(x) and x == 0 else NotImplemented  # sum(operators) starts from 0

    def __sub__(self, x: Any) -> Syntax:
        return self + rules.scale(-1, rules.as_operator(x, self.dtype)) if is_operator(x) else NotImplemented

    def __rsub__(self, x: Any) -> Syntax:
        return rules.as_operator(x, self.dtype) + rules.scale(-1, self) if is_operator(x) else NotImplemented

    def __neg__(self) -> Syntax:
        return rules.scale(-1, self)

    def __pow__(self, power: int) -> Syntax:
        power = operator.index(power)
        if power < 0:
            raise ParameterError(f"cannot raise {self._formula()} to the power {power}: it has no inverse")
        if not compatible(self._domain, self._range):
            raise SpaceError(f"cannot raise {self._formula()} to a power: it maps {self._domain} to {self._range}")
        return rules.compose(*[self] * power) if power else rules.identity(self._domain)

    def __getitem__(self, key: Any) -> Syntax:
        if self.shots is None:
            raise TypeError(f"{self._formula()} has no shots to select from")
        return self.select(shot_numbers(key, self.shots, self._formula()))


def _is_complex_beside(op: Syntax, x: Any) -> bool:
    """Whether a plain operator is complex, and ours is not."""
    return (
        isinstance(x, pylops.LinearOperator)
        and not isinstance(x, Syntax)
        and np.dtype(x.dtype).kind == "c"
        and op.dtype.kind != "c"
    )
