"""Expressions of operators that are worked off elsewhere, as by a cluster: what they are here, and how they get there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seisops._pylops import pylops
from seisops.fusion import fuse
from seisops.operators import (
    LinearOperator,
    Product,
    Scaled,
    Stack,
    Sum,
    compose,
    scale,
)

__all__ = ["here", "sent", "there"]


def there(op: pylops.LinearOperator) -> LinearOperator | None:
    """The first operator of an expression that is worked off elsewhere: it has a method ``spread``."""
    if not isinstance(op, pylops.LinearOperator):
        return None
    ours = op if isinstance(op, LinearOperator) else fuse(op)
    return next((leaf for leaf in ours.leaves() if hasattr(leaf, "spread")), None)


def sent(make: Callable[..., Any], op: pylops.LinearOperator, *args: Any, **options: Any) -> Any:
    """Make something of the operators here that an expression stands for, and have it worked off where they are."""
    return there(op).spread(make(here(fuse(op)), *args, **options))


def here(op: LinearOperator) -> LinearOperator:
    """An expression with what is worked off here in place of what is worked off elsewhere."""
    match op:
        case Scaled():
            return scale(op.scalar, here(op.op))
        case Product():
            return compose(*map(here, op.children))
        case Sum():
            return Sum([here(term) for term in op.children])
        case Stack():
            return type(op)([here(block) for block in op.children])
    return op.stands_for if hasattr(op, "spread") else op
