"""Whether operators fit together, and what is said where they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seisops.errors import SpaceError, shortened
from seisops.operators.base import LinearOperator
from seisops.operators.wavefield import Propagator, Sampler
from seisops.spaces import Anonymous, Space, compatible, difference

__all__ = ["common_domain", "common_range", "require_composable", "require_met"]


def common_domain(ops: Sequence[LinearOperator], what: str, formula: Callable[[], str]) -> Space:
    """The one domain of several operators, of which `what` is to be formed, which the formula writes."""
    return _common([op.domain for op in ops], ops, what, formula, "domain")


def common_range(ops: Sequence[LinearOperator], what: str, formula: Callable[[], str]) -> Space:
    """The one range of several operators, of which `what` is to be formed, which the formula writes."""
    return _common([op.range for op in ops], ops, what, formula, "range")


def _common(
    spaces: Sequence[Space], ops: Sequence[LinearOperator], what: str, formula: Callable[[], str], side: str
) -> Space:
    # the first with a meaning: plain operators take the space of what they are combined with
    common = next((space for space in spaces if not isinstance(space, Anonymous)), spaces[0])
    i = spaces.index(common)
    for k, (space, op) in enumerate(zip(spaces, ops, strict=True)):
        if not compatible(common, space):
            a, b = _told_apart(common, space)
            raise SpaceError(
                f"cannot form the {what} {shortened(formula(), 120)}: the {side} of {_named(ops[i])}, number {i + 1}, "
                f"is {a}; that of {_named(op)}, number {k + 1}, is {b}{difference(common, space)}."
                f"{_dtype_hint(common, space) or _adjoint_hint(ops[i], op) or _instead(what, common, space, ops[i], op)}"
            )
    return common


def require_composable(left: LinearOperator, right: LinearOperator) -> None:
    """Refuse a product whose inner spaces differ."""
    if compatible(left.domain, right.range):
        return
    inner, outer = _told_apart(left.domain, right.range)
    message = (
        f"cannot form the product {shortened(left._enclosed(2), 60)} * {shortened(right._enclosed(3), 60)}: {_named(left)}, "
        f"on the left, takes {inner}; {_named(right)}, on the right, gives {outer}{difference(left.domain, right.range)}."
        f"{_dtype_hint(left.domain, right.range)}"
    )
    if compatible(left.range, right.range):
        message += f" Did you mean {shortened(left._enclosed(4), 60)}.H on the left?"
    elif compatible(left.domain, right.domain):
        message += f" Did you mean {shortened(right._enclosed(4), 60)}.H on the right?"
    elif compatible(right.domain, left.range):
        message += " They fit the other way round."
    raise SpaceError(message)


def _named(op: LinearOperator) -> str:
    """An operator as a user knows it: a formula; of a leaf the kind as well."""
    formula, kind = shortened(op._formula(), 60), type(op).__name__
    return formula if op.children or formula == kind else f"the {kind} {formula}"


def _adjoint_hint(first: LinearOperator, other: LinearOperator) -> str:
    fits = compatible(first.domain, other.range) and compatible(first.range, other.domain)
    return f" Did you mean {shortened(other._enclosed(4), 60)}.H?" if fits else ""


def _instead(what: str, a: Space, b: Space, first: LinearOperator, other: LinearOperator) -> str:
    """What to form of operators whose spaces a and b are of different kinds."""
    if difference(a, b):
        return ""
    if what == "sum" and compatible(first.range, other.range):
        return " HStack([A, B]) has an input for each, and adds the results."
    if what == "sum" and compatible(first.domain, other.domain):
        return " VStack([A, B]) keeps the results apart."
    return " BlockDiag([A, B]) has an input and a result for each."


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
