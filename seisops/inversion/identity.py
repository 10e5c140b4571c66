"""What operators, maps, media and settings are made of.

Ours say so themselves (``_fingerprint``), down to numbers, text and arrays, in the form in which they are applied. A plain
PyLops operator cannot: sums, products and the like are what they are made of, a matrix is its array, and all others are
what they do.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from seisops._pylops import pylops
from seisops.elsewhere import here, there
from seisops.errors import SpaceError, unidentified
from seisops.fusion import fuse, holds_ours, kind, operands
from seisops.maps import Map
from seisops.operators import LinearOperator
from seisops.spaces import Space

__all__ = ["Products", "made_of"]

#: The methods in which an operator or a map does what it does.
DOES = ("_apply", "_apply_adjoint", "_forward", "_backward", "_call", "_linearize", "solve")


def made_of(x: Any) -> list[Any]:
    """Return what something is made of, one level down, beginning with its class.

    Parameters
    ----------
    x : object
        Operator, map, medium, space, dataclass, or a type.

    Raises
    ------
    ParameterError
        If it does not say.
    """
    if isinstance(x, type):
        return [f"{x.__module__}.{x.__qualname__}"]
    x = _as_it_is_done(x)
    name, cls = made_of(type(x)), type(x)
    if isinstance(x, Space):
        return list(x._identity())
    if isinstance(x, LinearOperator | Map):
        if _says(cls, "_fingerprint"):
            return [*name, x.domain, x.range, *x._fingerprint()]
    elif callable(getattr(cls, "_fingerprint", None)):
        return [*name, *x._fingerprint()]
    elif isinstance(x, pylops.LinearOperator):
        return [*name, str(x.dtype), [int(n) for n in (*np.atleast_1d(x.dims), *np.atleast_1d(x.dimsd))], _plain(x)]
    elif is_dataclass(x) and _says(cls, "__dataclass_fields__"):
        return [*name, {f.name: getattr(x, f.name) for f in fields(x) if f.compare}]
    elif isinstance(x, np.dtype | Fraction):
        return [*name, str(x)]
    raise unidentified(x)


def _as_it_is_done(x: Any) -> Any:
    """What holds an operator of ours in the form in which it is applied, in this process, whether it is fused yet or not.

    What it was written as is not known any more of one that was fused. In this form a solve occurs once if the very same
    leaves ask for it twice, so that sums of equal operators are told from those of one and the same.
    """
    if not isinstance(x, pylops.LinearOperator) or not holds_ours(x):
        return x
    try:
        form = fuse(x)
    except SpaceError:  # complex operators beside ours have no such form
        return x
    return form if there(form) is None else fuse(here(form))


def _says(cls: type, how: str) -> bool:
    """Whether a class says what its instances are made of, or inherits that along with how they are made and what they do.

    One of the package is known by its name; one of a user's program may be another under the same name.
    """
    for c in cls.__mro__:
        does = () if c.__module__.startswith("seisops.") else DOES
        if how in vars(c) or any(name in vars(c) for name in ("__init__", *does)):
            return how in vars(c)
    return False


def _plain(op: pylops.LinearOperator) -> list[Any]:
    parts = operands(op)
    if parts:
        return [[a for a in getattr(op, "args", ()) if not isinstance(a, pylops.LinearOperator)], *parts]
    if kind(op) == "MatrixMult" and isinstance(op.A, np.ndarray):
        return [op.A]
    return _products(op)


class Products(list):
    """All that is known about something: its products with random vectors."""


def _products(op: pylops.LinearOperator) -> Products:
    """Products with random vectors, to every bit: two linear operators that agree on one agree everywhere."""
    rng, dtype = np.random.default_rng(0), np.result_type(op.dtype or float, np.float32)
    out = Products()
    for apply, n in ((op.matvec, op.shape[1]), (op.rmatvec, op.shape[0])):
        x = rng.standard_normal(n) + (1j * rng.standard_normal(n) if dtype.kind == "c" else 0)
        try:
            out.append(np.asarray(apply(x.astype(dtype))))
        except NotImplementedError:  # a function that was given without its adjoint
            out.append(None)
    return out
