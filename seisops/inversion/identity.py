"""What a map or an operator is, in numbers, text and arrays of which a fingerprint can be taken.

Ours say so themselves (``_fingerprint``): a class, its spaces, and what it is made of, down to arrays. A plain PyLops
operator is what it does: seeded products with it and with its adjoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from seisops._pylops import pylops
from seisops.errors import unidentified
from seisops.maps import Map
from seisops.operators import LinearOperator
from seisops.spaces import Space

__all__ = ["described"]

# digits that products with a plain operator have in common on every machine
DIGITS = 6


def described(x: Any) -> Any:
    """Return what is known about something, as :func:`~seisops.inversion.fingerprint.fingerprint` takes it.

    Parameters
    ----------
    x : object
        Map, operator, medium, dataclass, number, text, array, or a sequence or mapping of those. A map or operator that
        stands for another (one that is distributed) is described by that.

    Raises
    ------
    ParameterError
        If it is, or is made of, something that does not say what it is.
    """
    if x is None or isinstance(x, str | bytes | bool | int | float | complex | np.ndarray | np.generic):
        return x
    if isinstance(x, Fraction | np.dtype | type):
        return f"{x.__module__}.{x.__qualname__}" if isinstance(x, type) else str(x)
    if isinstance(x, Space):
        return described(x._identity())
    if isinstance(x, Mapping):
        return {str(key): described(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [described(part) for part in x]
    whole = getattr(x, "stands_for", None)
    if isinstance(whole, LinearOperator | Map):
        return described(whole)
    name = described(type(x))
    if callable(getattr(type(x), "_fingerprint", None)):
        return [name, *_spaces(x), *described(list(x._fingerprint()))]
    if isinstance(x, pylops.LinearOperator):
        return [name, *_products(x)]
    if is_dataclass(x):
        return [name, {f.name: described(getattr(x, f.name)) for f in fields(x) if f.compare}]
    raise unidentified(x)


def _spaces(x: Any) -> list[Any]:
    return [described(x.domain), described(x.range)] if isinstance(x, LinearOperator | Map) else []


def _products(op: pylops.LinearOperator) -> list[Any]:
    """Products of a plain operator with random vectors, as far as they are the same on every machine."""
    rng, dtype = np.random.default_rng(0), np.dtype(op.dtype or float)
    out: list[Any] = [str(dtype), op.shape]
    for apply, n in ((op.matvec, op.shape[1]), (op.rmatvec, op.shape[0])):
        x = rng.standard_normal(n) + (1j * rng.standard_normal(n) if dtype.kind == "c" else 0)
        y = np.asarray(apply(x.astype(dtype))).astype(complex)
        scale = float(np.abs(y).max(initial=0.0))
        out += [f"{scale:.{DIGITS - 1}e}", np.round(y / (scale or 1.0), DIGITS) + 0.0]
    return out
