"""What a map or an operator is, in numbers, text and arrays of which a fingerprint can be taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seisops._pylops import pylops
from seisops.inversion.pointwise import Pointwise
from seisops.maps import Composed, LinearMap, Map, Stacked
from seisops.operators import External, LinearOperator
from seisops.wave.jacobian import Parametric
from seisops.wave.modeling import Modeling
from seisops.wave.samplers import Projection, Wavelet

__all__ = ["described"]


def described(x: Any) -> Any:
    """Return what is known about a map or an operator: all of modeling, the arrays of plain operators, names of the rest.

    Parameters
    ----------
    x : Map, operator or None
        What to describe. A map or operator that stands for another (one that is distributed) is described by that.
    """
    inner = getattr(x, "map", None)
    match x:
        case Map() if isinstance(inner, Map):
            return described(inner)
        case Parametric():
            return ["Parametric", x.wrt, repr(x.policy), described(x.F)]
        case LinearMap():
            return described(x.op)
        case Composed():
            return ["Composed", described(x.outer), *map(described, x.inner)]
        case Stacked():
            return ["Stacked", *map(described, x.maps)]
        case Map():
            return repr(x)
        case LinearOperator() if x.children:
            return [str(x), *(described(leaf) for leaf in x.leaves())]
        case LinearOperator():
            return [str(x), *_leaf(x)]
        case pylops.LinearOperator():
            return [type(x).__name__, str(x.dtype), x.shape, *_held(x)]
    return None if x is None else repr(type(x))


def _leaf(op: LinearOperator) -> list[Any]:
    match op:
        case Modeling():
            return [repr(op.discretisation), type(op.medium).__name__, dict(op.medium.coefficients())]
        case Projection():
            return [op.interpolation, *(op.points.shot(s) for s in range(len(op.points)))]
        case Wavelet():
            return [op.signature]
        case Pointwise():
            return [op.values]
        case External():
            return described(op.op)
    return []


def _held(op: pylops.LinearOperator) -> list[Any]:
    """The arrays of a plain operator and of those that it is made of; counters and caches of other kinds are no part."""
    found: list[Any] = []
    for name, value in sorted(vars(op).items()):
        for part in value if isinstance(value, Sequence) and not isinstance(value, str) else [value]:
            if isinstance(part, np.ndarray) and not part.dtype.hasobject:
                found += [name, part]
            elif isinstance(part, pylops.LinearOperator):
                found += [name, described(part)]
    return found
