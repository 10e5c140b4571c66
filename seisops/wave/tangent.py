"""The derivative of modeling in a direction: a wave equation and its tangent, solved together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from seisops.engine.kept.notes import noted
from seisops.errors import ParameterError
from seisops.fusion import FusedSolve, fuse, propagates
from seisops.operators import (
    BlockDiag,
    Embedding,
    Gather,
    HStack,
    Identity,
    LinearOperator,
    Product,
    Sampler,
    Scaled,
    Stack,
    Sum,
    VStack,
    compose,
    scale,
)
from seisops.spaces import joint
from seisops.wave.equation import WaveEquation, broadcast
from seisops.wave.modeling import Modeling
from seisops.wave.sampling.channel import Channel, located
from seisops.wave.sampling.moving import Moving

if TYPE_CHECKING:
    import sympy

__all__ = ["TangentEquation", "direction", "tangent"]


@noted
class TangentEquation(WaveEquation):
    """A wave equation and its derivative in a direction of its parameters.

    Its parameters are those that move, by their names, and their directions, by the names of :func:`direction`.

    Parameters
    ----------
    base : WaveEquation
    directions : mapping
        Direction of every parameter that moves, an array of the grid's shape or a number, by the parameter's name.
    """

    def __init__(self, base: WaveEquation, directions: Mapping[str, np.ndarray | float]):
        base.check_wrt(tuple(directions))
        values = {direction(base, name): broadcast(base.grid, name, a) for name, a in directions.items()}
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "wrt", tuple(directions))
        self._freeze(base.grid, values)

    def __reduce__(self):
        return TangentEquation, (self.base, {name: self.get(direction(self.base, name)) for name in self.wrt})

    def _fingerprint(self) -> list:
        return [self.base, self.wrt, self._values]

    @property
    def order(self) -> int:
        return self.base.order + 1

    @property
    def primal(self) -> WaveEquation:
        return self.base.primal

    @property
    def kind(self) -> tuple:
        return (TangentEquation, self.base.kind, tuple(self._rates))

    @property
    def parameters(self) -> tuple[str, ...]:
        return (*self.base.parameters, *(direction(self.base, c) for c in self._rates))

    @property
    def perturbable(self) -> tuple[str, ...]:
        return (*self.wrt, *self._values)

    def speeds(self):
        return self.base.speeds()

    def ends(self, coefficient):
        return self.base.ends(coefficient.removeprefix(direction(self.base, "")))

    def odd(self, coefficient):
        return self.base.odd(coefficient.removeprefix(direction(self.base, "")))

    def system(self, template, boundary, surface: str):
        from seisops.engine.derive.tangent import tangent as tangent_system  # loads Devito

        base = self.base.system(template, boundary, surface)
        return tangent_system(base, tuple(self._rates), direction(self.base, ""))

    @property
    def _rates(self) -> dict[str, sympy.Expr]:
        """How the coefficients of the residual move, by coefficient: the chain rule of their relations."""
        import sympy

        out = {}
        for coefficient, expr in self.base.expressions(self.wrt).items():
            moves = ((sympy.Symbol(n), sympy.Symbol(direction(self.base, n))) for n in self.wrt)
            out[coefficient] = sum(sympy.diff(expr, n) * dn for n, dn in moves)
        return out

    def expressions(self, wrt: Sequence[str]) -> dict[str, sympy.Expr]:
        import sympy

        named = {sympy.Symbol(name) for name in wrt}
        rates = {direction(self.base, c): expr for c, expr in self._rates.items()}
        expressions = {**self.base.expressions(self.wrt), **rates}  # what is held is the same in both
        return {c: expr for c, expr in expressions.items() if expr.free_symbols & named}

    def get(self, name: str) -> np.ndarray:
        return self._values[name] if name in self._values else self.base.get(name)

    def coefficients(self) -> Mapping[str, np.ndarray]:
        rates = {direction(self.base, c): self.evaluate(expr) for c, expr in self._rates.items()}
        return {**self.base.coefficients(), **rates}

    def replace(self, **parameters) -> TangentEquation:
        self.check_names(parameters)
        base = {name: a for name, a in parameters.items() if name not in self._values}
        values = {**self._values, **parameters}
        return TangentEquation(
            self.base.replace(**base) if base else self.base,
            {name: values[direction(self.base, name)] for name in self.wrt},
        )


def direction(medium: WaveEquation, name: str) -> str:
    """The name of the direction in which a parameter (or coefficient) of a medium moves."""
    return f"tan{medium.order}_{name}"


def tangent(op: LinearOperator, wrt: Sequence[str], shift: int = 0) -> LinearOperator:
    """The operator ``(q, dq) -> dF q + F dq``, with the direction of the medium among its medium's parameters.

    Parameters
    ----------
    op : LinearOperator
        A modeling expression F.
    wrt : sequence of str
        Parameters of the medium that move; their directions are zero to begin with.
    shift : int, optional
        By how much the number of a direction is larger than that of the variable of points that moves in it; directions
        are zero to begin with.
    """
    lifted: dict[int, Modeling] = {}

    def lift(modeling: Modeling) -> Modeling:
        if id(modeling) not in lifted:
            lifted[id(modeling)] = modeling.over(TangentEquation(modeling.medium, dict.fromkeys(wrt, 0.0)))
        return lifted[id(modeling)]

    normal = fuse(op)
    return fuse(compose(Embedding.among([normal.range] * 2, 1).H, _pair(normal, lift if wrt else None, shift)))


def _pair(op: LinearOperator, lift: Callable[[Modeling], Modeling] | None, shift: int) -> LinearOperator:
    """``(x, dx) -> (F x, dF x + F dx)``."""
    if not propagates(op):
        return BlockDiag([op, op])
    match op:
        case FusedSolve() if not op.is_adjoint:
            return _pair_of_solves(op, shift) if lift is None else _pair_in_one(op, lift(op.propagator), shift)
        case Scaled():
            return scale(op.scalar, _pair(op.op, lift, shift))
        case Product():
            return compose(*(_pair(factor, lift, shift) for factor in op.children))
        case Sum():
            return Sum([_pair(term, lift, shift) for term in op.children])
        case Stack():
            blocks = type(op)([_pair(block, lift, shift) for block in op.children])
            before = [] if isinstance(op, VStack) else [_sorted([block.domain for block in op.children]).H]
            after = [] if isinstance(op, HStack) else [_sorted([block.range for block in op.children])]
            return compose(*after, blocks, *before)
    raise ParameterError(f"cannot differentiate {op}")


def _pair_in_one(op: FusedSolve, lifted: Modeling, shift: int) -> LinearOperator:
    """That of a solve, by one of a field and its derivative together."""
    medium = op.propagator.medium
    channels = len(medium.primal.channels) * 2**medium.order
    heard, driven = _moved(op.readers, shift), _moved(op.writers, shift)
    readers = (*_twice(op.readers, channels), *(Channel(s, channel) for _, s, channel in heard))
    writers = (*_twice(op.writers, channels), *(Channel(s, channel + channels) for _, s, channel in driven))
    after, before = (
        _added(samplers, [*range(2 * len(samplers)), *(start + i for i, _, _ in moved)])
        for samplers, moved, start in ((op.readers, heard, len(op.readers)), (op.writers, driven, 0))
    )
    return compose(after, FusedSolve(lifted, readers, writers), before.H)


def _pair_of_solves(op: FusedSolve, shift: int) -> LinearOperator:
    """That of a solve whose medium does not move: one for the field, one for its derivative."""
    heard, driven = _moved(op.readers, shift), _moved(op.writers, shift)
    n, k = len(op.readers), len(op.writers)
    field = FusedSolve(op.propagator, (*op.readers, *(_of(s, c) for _, s, c in heard)), op.writers)
    derivative = FusedSolve(op.propagator, op.readers, (*(_of(s, c) for _, s, c in driven), *op.writers))
    field.said = derivative.said = op.said
    after = _added(op.readers, [*range(n), *(n + i for i, _, _ in heard), *range(n, 2 * n)])
    before = _added(op.writers, [*range(k), *(i for i, _, _ in driven), *range(k, 2 * k)])
    return compose(after, BlockDiag([field, derivative]), before.H)


def _moved(samplers: Sequence[Sampler], shift: int) -> list[tuple[int, Sampler, int]]:
    """What samplers become as their points move: the number of each, what they become, and of which wavefield."""
    found = []
    for i, (sampler, channel) in enumerate(map(located, samplers)):
        if isinstance(sampler, Moving):
            found += [(i, moved, channel) for moved in sampler.toward(shift)]
    return found


def _of(sampler: Sampler, channel: int) -> Sampler:
    return Channel(sampler, channel) if channel else sampler


def _added(samplers: Sequence[Sampler], targets: Sequence[int]) -> LinearOperator:
    """From what some samplers find, of a field and its derivative and in addition, to the former with that added."""
    spaces = [samplers[target % len(samplers)].range for target in targets]
    return Identity(joint(spaces)) if list(targets) == [*range(len(spaces))] else Gather(spaces, targets)


def _twice(samplers: Sequence[Sampler], channels: int) -> tuple[Sampler, ...]:
    """The samplers of some wavefields, then the same samplers of their derivatives."""
    places = [located(sampler) for sampler in samplers]
    return tuple(Channel(s, channel + shift) for shift in (0, channels) for s, channel in places)


def _sorted(spaces) -> Gather:
    """From (a, da, b, db, ...) to (a, b, ..., da, db, ...)."""
    n = len(spaces)
    return Gather([space for space in spaces for _ in range(2)], [i + shift for i in range(n) for shift in (0, n)])
