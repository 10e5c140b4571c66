"""Whether operators fit together, and what is said where they do not."""

from __future__ import annotations

from collections.abc import Sequence

from seisops.errors import SpaceError
from seisops.operators.base import LinearOperator
from seisops.operators.wavefield import Propagator, Sampler
from seisops.spaces import Anonymous, Space, compatible

__all__ = ["common_domain", "common_range", "require_composable", "require_met"]


def common_domain(ops: Sequence[LinearOperator], what: str) -> Space:
    """The one domain of several operators, of which `what` is to be formed."""
    return _common([op.domain for op in ops], ops, what, "domain")


def common_range(ops: Sequence[LinearOperator], what: str) -> Space:
    """The one range of several operators, of which `what` is to be formed."""
    return _common([op.range for op in ops], ops, what, "range")


def _common(spaces: Sequence[Space], ops: Sequence[LinearOperator], what: str, side: str) -> Space:
    # the first with a meaning: plain operators take the space of what they are combined with
    common = next((space for space in spaces if not isinstance(space, Anonymous)), spaces[0])
    first = ops[spaces.index(common)]
    for space, op in zip(spaces, ops, strict=True):
        if not compatible(common, space):
            a, b = _told_apart(common, space)
            raise SpaceError(
                f"cannot form {what}: {side} of A ({first._formula()}) is {a}, "
                f"{side} of B ({op._formula()}) is {b}."
                f"{_dtype_hint(common, space)}"
            )
    return common


def require_composable(left: LinearOperator, right: LinearOperator) -> None:
    """Refuse a product whose inner spaces differ."""
    if compatible(left.domain, right.range):
        return
    inner, outer = _told_apart(left.domain, right.range)
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


def require_met(left: LinearOperator, right: LinearOperator) -> None:
    """Refuse a product in which the solve of a wave equation meets what has no place in it."""
    ends = tuple(left._ends(left=False)), tuple(right._ends(left=True))
    for these, those in (ends, ends[::-1]):
        for solve in (leaf for leaf in these if isinstance(leaf, Propagator)):
            for sampler in (leaf for leaf in those if isinstance(leaf, Sampler)):
                solve.require_fit(sampler)


def _told_apart(a: Space, b: Space) -> tuple[str, str]:
    """Name two unequal spaces so that the difference shows."""
    return (str(a), str(b)) if str(a) != str(b) and a.dtype == b.dtype else (repr(a), repr(b))


def _dtype_hint(a: Space, b: Space) -> str:
    if a.dtype == b.dtype:
        return ""
    if a.dtype.kind == b.dtype.kind:
        return f" The dtypes differ ({a.dtype} and {b.dtype}): build both operators with the same dtype."
    return f" One is real and the other complex ({a.dtype} and {b.dtype}): see `toreal` of PyLops operators."
