"""The normal form of an expression: every product around a propagator becomes one solve.

The rules, for samplers R and S, a propagator A and anything small L and N::

    L R * A * S.H N             ->  L {R A S.H} N              one solve
    (L1 R1 + L2 R2) * A * W     ->  [L1, L2] {[R1; R2] A W}     readers and writers of sums and stacks collect
    R * (A1 + A2) * W           ->  {R A1 W} + {R A2 W}        sums and stacks of propagators distribute
    [{R1 A W}; {R2 A W}]        ->  {[R1; R2] A W}             solves that share one side merge

They apply only across boundaries that are wavefields; whatever is small stays as it was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import DTypeLike, NDArray

from seisops._pylops import linearoperator as stock
from seisops._pylops import pylops
from seisops.errors import ParameterError
from seisops.operators import (
    Adjoint,
    BlockDiag,
    Everything,
    Expression,
    External,
    Gather,
    HStack,
    Identity,
    LinearOperator,
    Product,
    Propagator,
    Sampler,
    Scaled,
    Stack,
    Sum,
    VStack,
    add,
    as_operator,
    compose,
    require_affordable,
    rules,
    scale,
)
from seisops.spaces import DirectSum, Space, compatible, joint

__all__ = [
    "Fused",
    "FusedSolve",
    "fuse",
    "holds_ours",
    "kind",
    "normalise",
    "operands",
    "propagates",
    "take_apart",
]


class FusedSolve(Expression):
    """One solve: what is read, the propagator, and what is written.

    Parameters
    ----------
    propagator : Propagator
        The propagator.
    readers, writers : tuple of Sampler
        What is read from the wavefield, and written into it.
    adjoint : bool, optional
        Whether the adjoint of the propagator stands in the middle.

    Notes
    -----
    Equal to ``VStack(readers) @ A @ HStack([w.H for w in writers])`` with A the propagator or its adjoint;
    for one reader or writer without the stack. The operator that does it, ``propagator.solve(...)``, is made
    when first applied, and is shared with the adjoint.
    """

    _is_normal = True
    _derived = (*Expression._derived, "_solution")
    _solution: LinearOperator | None = None

    def __init__(
        self,
        propagator: Propagator,
        readers: tuple[Sampler, ...],
        writers: tuple[Sampler, ...],
        adjoint: bool = False,
    ) -> None:
        self.propagator = propagator
        self.readers = tuple(readers)
        self.writers = tuple(writers)
        self.is_adjoint = adjoint
        self.children = (propagator, *self.readers, *self.writers)
        self.said: set = set()  # what the solve warned of, and what is made of it need not warn of again
        super().__init__(joint([w.range for w in self.writers]), joint([r.range for r in self.readers]))

    def _outer(self, left: bool) -> Sequence[LinearOperator]:
        return ()  # what it is made of has met

    def _rebuild(self, children: tuple[LinearOperator, ...]) -> FusedSolve:
        propagator, *samplers = children
        n = len(self.readers)
        rebuilt = FusedSolve(propagator, tuple(samplers[:n]), tuple(samplers[n:]), self.is_adjoint)
        rebuilt.said = self.said
        return rebuilt

    def _fingerprint(self) -> Sequence[Any]:
        return [self.is_adjoint, self.propagator, self.readers, self.writers]

    def _make_adjoint(self) -> FusedSolve:
        return FusedSolve(self.propagator, self.writers, self.readers, not self.is_adjoint)

    def factors(self) -> list[LinearOperator]:
        """Return the factors of the equal product: readers, propagator, adjoint writers."""
        factors: list[LinearOperator] = [self.propagator.H if self.is_adjoint else self.propagator]
        if not isinstance(self.readers[0], Everything) or len(self.readers) > 1:
            factors.insert(0, _stacked(VStack, self.readers))
        if not isinstance(self.writers[0], Everything) or len(self.writers) > 1:
            factors.append(_stacked(HStack, [w.H for w in self.writers]))
        return factors

    def solution(self) -> LinearOperator:
        """Return the operator that performs the solve."""
        if self._solution is None:
            if self._origin is not None:
                self._solution = self._origin.solution().H
            else:
                self._solution = self.propagator.solve(self.readers, self.writers, self.is_adjoint)
                self._solution.said = self.said
        return self._solution

    def _check_budget(self) -> None:
        for sampler in (*self.readers, *self.writers):
            if isinstance(sampler, Everything):
                what = f"reading or writing all of the wavefield in {self._formula()}"
                require_affordable(
                    sampler.domain,
                    what,
                    "put a sampler on that side, such as Pr * Ainv * Ps.H, or Snapshots(waves, times) for some samples",
                )

    def _forward(self, x: NDArray) -> NDArray:
        self._check_budget()
        return self.solution()._normal_form()._forward(x)

    def _backward(self, y: NDArray) -> NDArray:
        self._check_budget()
        return self.solution()._normal_form()._backward(y)

    def _formula(self) -> str:
        return f"{{{' * '.join(factor._formula() for factor in self.factors())}}}"


@dataclass(frozen=True)
class Fused:
    """An operator taken apart around its one solve: ``left @ FusedSolve(...) @ right``.

    Parameters
    ----------
    left, right : LinearOperator
        What stands on either side; identities where nothing does.
    readers, writers : tuple of Sampler
        What is read from the wavefield, and written into it.
    propagator : Propagator
        The propagator.
    adjoint : bool
        Whether its adjoint stands in the middle.
    """

    left: LinearOperator
    readers: tuple[Sampler, ...]
    propagator: Propagator
    adjoint: bool
    writers: tuple[Sampler, ...]
    right: LinearOperator

    @property
    def operator(self) -> LinearOperator:
        """The operator put together again; a sampler that occurs twice on one side is used once."""
        readers, spread = _distinct(self.readers)
        writers, gather = _distinct(self.writers)
        solve = FusedSolve(self.propagator, readers, writers, self.adjoint)
        return compose(self.left, spread.H, solve, gather, self.right)


def fuse(op: pylops.LinearOperator) -> LinearOperator:
    """Return the normal form of an expression, in which every product around a propagator is one solve.

    Parameters
    ----------
    op : pylops.LinearOperator
        Any operator: products, sums, stacks and the like built by PyLops are opened where they contain
        operators of ours.

    Returns
    -------
    LinearOperator
        An equal operator. Braces mark the solves in its printed form.
    """
    if not isinstance(op, LinearOperator):
        op = _adopt(op, _dtype_inside(op))
    opened = op.map_leaves(lambda leaf: _adopt(leaf.op, leaf.dtype) if _is_closed(leaf) else leaf)
    return opened._normal_form()


def take_apart(op: pylops.LinearOperator) -> Fused:
    """Take an operator apart around its one solve.

    Parameters
    ----------
    op : pylops.LinearOperator
        An operator whose normal form has one solve, such as ``Pr * Ainv * Ps.H``.

    Returns
    -------
    Fused
        Its parts.

    Raises
    ------
    ParameterError
        If the normal form is something else, such as a sum of solves.
    """
    normal = fuse(op)
    parts = _apart(normal)
    if parts is None:
        raise ParameterError(f"expected an operator with one solve, such as Pr * Ainv * Ps.H, got {normal._formula()}")
    return parts


@rules.normal_form.define
def normalise(op: LinearOperator) -> LinearOperator:
    """Return the normal form of an expression of ours.

    Parameters
    ----------
    op : LinearOperator
        The expression.
    """
    if not op.children or not propagates(op):
        return op
    match op:
        case FusedSolve():
            return op
        case Adjoint():
            return op if not op.op.children else normalise(op.op).H
        case Scaled():
            return scale(op.scalar, normalise(op.op))
        case Sum():
            return _merged_sum([normalise(term) for term in op.children])
        case VStack():
            return _merged_column([normalise(child) for child in op.children])
        case HStack():
            return _merged_column([normalise(child).H for child in op.children]).H
        case BlockDiag():
            return BlockDiag([normalise(child) for child in op.children])
        case Product():
            return _normal_product(op)
    return op


def _normal_product(op: Product) -> LinearOperator:
    simple = compose(*op.children)
    if not isinstance(simple, Product):
        return normalise(simple)
    return compose(*(_segment(factors) for factors in _segments(simple.children)))


def propagates(op: LinearOperator) -> bool:
    """Whether an expression contains a solve."""
    return any(isinstance(leaf, Propagator) for leaf in op.leaves())


def _segments(factors: Sequence[LinearOperator]) -> list[list[LinearOperator]]:
    """Cut a product where the space between two factors is small."""
    segments: list[list[LinearOperator]] = []
    for factor in factors:
        reopens = isinstance(factor, FusedSolve) and (factor.domain.extended or factor.range.extended)
        for f in factor.factors() if reopens else [factor]:
            if segments and (segments[-1][-1].domain.extended or f.range.extended):
                segments[-1].append(f)
            else:
                segments.append([f])
    return segments


def _segment(factors: list[LinearOperator]) -> LinearOperator:
    """Fuse a product whose inner boundaries are wavefields."""
    k = next((i for i, factor in enumerate(factors) if propagates(factor)), None)
    if k is None:
        return compose(*factors)
    if len(factors) == 1:
        return normalise(factors[0])
    before, factor, after = factors[:k], factors[k], factors[k + 1 :]
    is_adjoint = isinstance(factor, Adjoint)
    propagator = factor.op if is_adjoint else factor

    if isinstance(propagator, Propagator):
        readers, left = _reader(before, factor.range)
        writers, right = _writer(after, factor.domain)
        return Fused(left, readers, propagator, is_adjoint, writers, normalise(right)).operator
    if isinstance(factor, Sum):
        writers, right = _writer(after, factor.domain)
        near = [_stacked(HStack, [w.H for w in writers])] if after and not _is_everything(writers) else []
        terms = _merged_sum([_product([*before, term, *near]) for term in factor.children])
        return compose(terms, normalise(right))
    distributed = _distribute(before, factor, after)
    if distributed is not None:
        return normalise(distributed)
    return compose(*(normalise(f) for f in factors))


def _product(factors: Sequence[LinearOperator]) -> LinearOperator:
    return normalise(compose(*factors))


def _distribute(
    before: list[LinearOperator], stack: LinearOperator, after: list[LinearOperator]
) -> LinearOperator | None:
    """Multiply a stack that holds propagators into what stands beside it; None where nothing can be done."""
    if isinstance(stack, VStack) and after:
        return compose(*before, VStack([compose(op, *after) for op in stack.children]))
    if isinstance(stack, HStack) and before:
        return compose(HStack([compose(*before, op) for op in stack.children]), *after)
    if before and isinstance(stack, (VStack, BlockDiag)):
        met = _meet(before[-1], stack)
        if met is not None:
            return compose(*before[:-1], met, *after)
    if after and isinstance(stack, (HStack, BlockDiag)):
        met = _meet(stack, after[0])
        if met is not None:
            return compose(*before, met, *after[1:])
    return None


def _meet(left: LinearOperator, right: LinearOperator) -> LinearOperator | None:
    """Multiply two neighbours, one of them a stack, block by block."""
    if isinstance(left, Sum):
        return Sum([compose(term, right) for term in left.children])
    if isinstance(right, Sum):
        return Sum([compose(left, term) for term in right.children])
    if not (isinstance(left, (HStack, BlockDiag)) and isinstance(right, (VStack, BlockDiag))):
        return None
    if len(left.children) != len(right.children):
        return None
    pairs = list(zip(left.children, right.children, strict=True))
    if not all(compatible(a.domain, b.range) for a, b in pairs):
        return None
    blocks = [compose(a, b) for a, b in pairs]
    if isinstance(left, HStack):
        return Sum(blocks) if isinstance(right, VStack) else HStack(blocks)
    return VStack(blocks) if isinstance(right, VStack) else BlockDiag(blocks)


def _writer(factors: Sequence[LinearOperator], space: Space) -> tuple[tuple[Sampler, ...], LinearOperator]:
    """Write a product that ends in a space of wavefields as ``HStack([S.H ...]) @ right``."""
    if not factors:
        return (Everything(space),), Identity(space)
    first, *others = factors
    samplers, right = _written(first)
    return samplers, compose(right, *others)


def _written(op: LinearOperator) -> tuple[tuple[Sampler, ...], LinearOperator]:
    match op:
        case Adjoint() if isinstance(op.op, Sampler):
            return (op.op,), Identity(op.domain)
        case Everything():
            return (op,), Identity(op.domain)
        case Scaled():
            samplers, right = _written(op.op)
            return samplers, scale(op.scalar, right)
        case Product():
            return _writer(op.children, op.range)
        case Sum():
            return _collected(op.children, VStack)
        case HStack():
            return _collected(op.children, BlockDiag)
    return (Everything(op.range),), op


def _collected(ops: Sequence[LinearOperator], stack: type[Stack]) -> tuple[tuple[Sampler, ...], LinearOperator]:
    written = [_written(op) for op in ops]
    return tuple(s for samplers, _ in written for s in samplers), _stacked(stack, [right for _, right in written])


def _reader(factors: Sequence[LinearOperator], space: Space) -> tuple[tuple[Sampler, ...], LinearOperator]:
    """Write a product that starts from wavefields as ``left @ VStack([R ...])``: the mirror of a writer."""
    samplers, right = _writer([factor.H for factor in reversed(factors)], space)
    return samplers, right.H


def _is_everything(samplers: tuple[Sampler, ...]) -> bool:
    return len(samplers) == 1 and isinstance(samplers[0], Everything)


def _stacked(stack: type[Stack], ops: Sequence[LinearOperator]) -> LinearOperator:
    """Stack operators; one stands for itself, and identities on the diagonal are an identity."""
    if len(ops) == 1:
        return ops[0]
    if stack is BlockDiag and all(isinstance(op, Identity) for op in ops):
        return Identity(DirectSum([op.domain for op in ops]))
    return stack(ops)


def _distinct(samplers: tuple[Sampler, ...]) -> tuple[tuple[Sampler, ...], LinearOperator]:
    """Every sampler once, and the operator that adds what is meant for the same one."""
    keys = [_key(sampler) for sampler in samplers]
    unique = list(dict.fromkeys(keys))
    if len(unique) == len(samplers):
        return samplers, Identity(joint([sampler.range for sampler in samplers]))
    chosen = tuple(samplers[keys.index(key)] for key in unique)
    return chosen, Gather([sampler.range for sampler in samplers], [unique.index(key) for key in keys])


# ---- solves that share one side


def _apart(op: LinearOperator) -> Fused | None:
    match op:
        case FusedSolve():
            return Fused(Identity(op.range), op.readers, op.propagator, op.is_adjoint, op.writers, Identity(op.domain))
        case Scaled():
            parts = _apart(op.op)
            return parts and replace(parts, left=scale(op.scalar, parts.left))
        case Product():
            solving = [i for i, factor in enumerate(op.children) if propagates(factor)]
            if len(solving) != 1:
                return None
            before, middle, after = (
                op.children[: solving[0]],
                op.children[solving[0]],
                op.children[solving[0] + 1 :],
            )
            parts = _apart(middle)
            return parts and replace(parts, left=compose(*before, parts.left), right=compose(parts.right, *after))
    return None


def _key(op: LinearOperator) -> tuple:
    """What two operators share if they are the same expression of the same leaves."""
    if isinstance(op, (Identity, Everything)):
        return (type(op), op.domain)
    if not op.children:
        return (id(op.op if isinstance(op, External) else op),)
    return (type(op), getattr(op, "scalar", None), *map(_key, op.children))


def _written_alike(op: LinearOperator) -> tuple:
    parts = _apart(op)
    if parts is None:
        return (id(op),)
    side = (*parts.writers, parts.right)
    return (id(parts.propagator), parts.adjoint, *map(_key, side))


def _merge(group: list[LinearOperator], stack: type[Stack]) -> list[LinearOperator]:
    """Merge operators that differ only in what they read into one solve."""
    parts = [part for part in map(_apart, group) if part is not None]
    if len(parts) < 2:
        return group
    left = _stacked(stack, [part.left for part in parts])
    readers = tuple(reader for part in parts for reader in part.readers)
    return [replace(parts[0], left=left, readers=readers).operator]


def _merged_column(ops: list[LinearOperator]) -> LinearOperator:
    groups = _grouped(ops)
    order = [i for numbers in groups for i in numbers]
    merged = [op for numbers in groups for op in _merge([ops[i] for i in numbers], BlockDiag)]
    column = merged[0] if len(merged) == 1 < len(ops) else VStack(merged)
    return column if order == sorted(order) else compose(Gather([ops[i].range for i in order], order), column)


def _merged_sum(ops: list[LinearOperator]) -> LinearOperator:
    terms = [term for op in ops for term in (op.children if isinstance(op, Sum) else (op,))]
    terms = _merged_terms([term.H for term in _merged_terms(terms)])
    return add(*(term.H for term in terms))


def _merged_terms(terms: list[LinearOperator]) -> list[LinearOperator]:
    return [op for numbers in _grouped(terms) for op in _merge([terms[i] for i in numbers], HStack)]


def _grouped(ops: Sequence[LinearOperator]) -> list[list[int]]:
    """The numbers of operators that differ only in what they read, together."""
    groups: dict[tuple, list[int]] = {}
    for i, op in enumerate(ops):
        groups.setdefault(_written_alike(op), []).append(i)
    return list(groups.values())


# ---- opening what PyLops built

# by name: naming the classes themselves would import all of PyLops
_STACKS = {"VStack": VStack, "HStack": HStack, "BlockDiag": BlockDiag}


def kind(op: pylops.LinearOperator) -> str:
    """The name of the operator's class among those that PyLops offers; empty for any other class."""
    return type(op).__name__ if type(op).__module__.startswith("pylops.") else ""


def operands(op: pylops.LinearOperator) -> tuple[pylops.LinearOperator, ...]:
    """The operators that a node of PyLops is made of; none for its leaves."""
    match op:
        case LinearOperator():
            return ()
        case stock._ProductLinearOperator() | stock._SumLinearOperator():
            return tuple(op.args)
        case stock._ScaledLinearOperator() | stock._PowerLinearOperator():
            return (op.args[0],)
        case stock._AdjointLinearOperator() | stock._TransposedLinearOperator():
            return (op.A,)
        case stock._ConjLinearOperator():
            return (op.Op,)
    if kind(op) in _STACKS:
        return tuple(op.ops)
    return (op.Op,) if _is_wrapper(op) else ()


def _is_wrapper(op: pylops.LinearOperator) -> bool:
    return kind(op) in ("LinearOperator", "Block") and isinstance(op.Op, pylops.LinearOperator)


def _is_closed(leaf: LinearOperator) -> bool:
    return isinstance(leaf, External) and holds_ours(leaf.op)


def holds_ours(op: pylops.LinearOperator) -> bool:
    """Whether an operator is one of ours, or built by PyLops around one."""
    return isinstance(op, LinearOperator) or any(map(holds_ours, operands(op)))


def _dtype_inside(op: pylops.LinearOperator) -> DTypeLike | None:
    """The dtype of the first operator of ours inside, which the plain operators around it adopt."""
    if isinstance(op, LinearOperator):
        return op.dtype
    return next((dtype for dtype in map(_dtype_inside, operands(op)) if dtype is not None), None)


def _adopt(op: pylops.LinearOperator, dtype: DTypeLike | None) -> LinearOperator:
    """Return an operator built by PyLops as an expression of ours; what is wholly plain stays one leaf."""
    if not holds_ours(op):
        return as_operator(op, dtype)
    parts = operands(op)
    match op:
        case LinearOperator():
            return op
        case stock._ProductLinearOperator():
            return compose(*(_adopt(factor, dtype) for factor in _joined_factors(op)))
        case stock._ScaledLinearOperator():
            return scale(op.args[1], _adopt(parts[0], dtype))
        case stock._PowerLinearOperator():
            return _adopt(parts[0], dtype) ** op.args[1]
        case stock._AdjointLinearOperator():
            return _adopt(parts[0], dtype).H
        case stock._TransposedLinearOperator():
            return _adopt(parts[0], dtype).T
        case stock._ConjLinearOperator():
            return _adopt(parts[0], dtype).conj()
    adopted = [_adopt(part, dtype) for part in parts]
    if isinstance(op, stock._SumLinearOperator):
        return Sum(adopted)
    return _STACKS[kind(op)](adopted) if kind(op) in _STACKS else adopted[0]


def _joined_factors(op: pylops.LinearOperator) -> list[pylops.LinearOperator]:
    """The factors of a plain product, plain neighbours joined: they may hand each other any dtype."""
    factors: list[pylops.LinearOperator] = []
    for factor in _flat_factors(op):
        if factors and not holds_ours(factor) and not holds_ours(factors[-1]):
            factors[-1] = factors[-1] * factor
        else:
            factors.append(factor)
    return factors


def _flat_factors(op: pylops.LinearOperator) -> list[pylops.LinearOperator]:
    if isinstance(op, stock._ProductLinearOperator):
        return [factor for operand in op.args for factor in _flat_factors(operand)]
    return [op]
