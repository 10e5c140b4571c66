"""Positions of sources and receivers as variables of modeling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import seisops._arrays as _arrays
from seisops.errors import ParameterError, SpaceError
from seisops.operators import LinearOperator, Sampler
from seisops.spaces import Space
from seisops.wave.sampling.channel import Channel, located
from seisops.wave.sampling.combination import Combined
from seisops.wave.sampling.fibre import Fibre
from seisops.wave.sampling.moving import Moving
from seisops.wave.sampling.projection import Projection

__all__ = ["Displaced", "Positions", "Variable", "by_points", "placed", "steered"]


@dataclass(frozen=True, eq=False)
class Positions:
    """The positions of points, to differentiate by: of sources or of receivers.

    Said in place of the name of a parameter, ``so.Parametric(F, wrt=("m", so.Positions(Ps)))`` is the map
    ``(m, x, q) -> F(m, x) q`` of which x are the coordinates of the points of Ps.

    Parameters
    ----------
    of : Projection, Force, Dipole or MomentTensor
        Of the expression that is differentiated, the very object. Directions and tensors stay as they are.

    Raises
    ------
    ParameterError
        If it is something else.

    Notes
    -----
    x is in metres, and has the shape in which the points were given: ``(points, ndim)`` for all shots, of which gradients
    are sums over shots, ``(shots, points, ndim)``, or where shots have different numbers of points ``(all points, ndim)``,
    shot by shot. It has the dtype of the wavefield: in float32 it is rounded by 6e-8 of itself. Points outside the model
    are refused, or beyond the margin of the Projection.

    What is differentiated are the weights by which fields are interpolated, to any order and exactly. The slope of a
    windowed sinc differs from that of plane waves by 4e-3 at 8 points for a wavelength and by 2e-2 at 32; a linear
    interpolation has the slopes between nodes. As a point passes a node its data are continuous, but for what is heard as a
    derivative, as by a Dipole, which has a step of 1e-4 of itself; their slopes have a step there, of 2.8e-3 per cell of the
    field 4 cells away. On the node the derivative is the mean of both sides.
    """

    of: Projection | Combined

    def __post_init__(self) -> None:
        if isinstance(self.of, Fibre) or not isinstance(self.of, Projection | Combined):
            raise ParameterError(
                f"Positions({self.of!r:.80}): give the points that move, a Projection, Force, Dipole or MomentTensor of the "
                "expression"
            )

    @property
    def projections(self) -> list[Projection]:
        """What is made of the points."""
        return [leaf for leaf in self.of.leaves() if isinstance(leaf, Projection)]

    def __repr__(self) -> str:
        return f"Positions({self.of})"


@dataclass(frozen=True)
class Variable:
    """A variable that positions of points are, or a direction in which they move.

    Attributes
    ----------
    number : int
    space : Space
    """

    number: int
    space: Space

    def select(self, shots: Sequence[int]) -> Variable:
        """That of some shots."""
        return Variable(self.number, self.space.select(shots))

    def moved(self, shift: int) -> Variable:
        """The direction in which it moves."""
        return Variable(self.number + shift, self.space)


def steered(F: LinearOperator, arguments: Sequence[Any]) -> tuple[LinearOperator, tuple[str | Variable, ...]]:
    """An expression with variables in place of positions, and its arguments: names of parameters and variables."""
    numbers: dict[int, int] = {}
    leaves = {id(leaf) for leaf in F.leaves()}
    out: list[str | Variable] = []
    for argument in arguments:
        if not isinstance(argument, Positions):
            out.append(argument)
            continue
        number, (first, *_) = len(numbers), argument.projections
        for projection in argument.projections:
            if id(projection) not in leaves:
                raise ParameterError(
                    f"{argument!r}: these points are not in {F._formula()}. Give the object that the expression was made "
                    "of; for some shots, select those of the map, Parametric(F, ...).select(shots)"
                )
            if id(projection) in numbers:
                raise ParameterError(f"{argument!r} is given twice, or shares points with another argument")
        numbers |= {id(projection): number for projection in argument.projections}
        out.append(Variable(number, first.domain.positions(first.points.counts, first.points.shared)))
    if not numbers:
        return F, tuple(out)

    def steer(leaf: LinearOperator) -> LinearOperator:
        return Moving(leaf, (numbers[id(leaf)],)) if id(leaf) in numbers else leaf

    return F.map_leaves(steer), tuple(out)


def placed(F: LinearOperator, values: Mapping[int, NDArray]) -> LinearOperator:
    """An expression where variables have these values.

    Raises
    ------
    ParameterError
        If a point is outside the model.
    """

    def place(leaf: LinearOperator) -> LinearOperator:
        inner = leaf.sampler if isinstance(leaf, Channel) else leaf
        if not isinstance(inner, Moving) or not values.keys() & set(inner.variables):
            return leaf
        return _like(leaf, inner.placed(values))

    return F.map_leaves(place) if values else F


def by_points(samplers: Sequence[Sampler], variable: Variable) -> list[tuple[int, int, Sampler]]:
    """Derivatives of samplers by a variable: the number of each, an axis, and what samples the derivative along it."""
    found = []
    for i, sampler in enumerate(samplers):
        inner, _ = located(sampler)
        if isinstance(inner, Moving):
            found += [(i, axis, _like(sampler, moved)) for axis, moved in inner.by(variable.number)]
    return found


def _like(sampler: LinearOperator, inner: Sampler) -> Sampler:
    """A sampler of the same wavefield as another one."""
    return Channel(inner, sampler.index) if isinstance(sampler, Channel) else inner


class Displaced(LinearOperator):
    """Traces times how far the points of each move along an axis.

    Parameters
    ----------
    positions : Space
        Of displacements.
    range : Space
        Of traces.
    traces : ndarray
    axis : int
    """

    symbol = "D"
    anywhere = True

    def __init__(self, positions: Space, range: Space, traces: NDArray, axis: int):
        self.traces, self.axis = range.asarray(traces), axis
        if traces.shape[-2] != positions.shape[-2]:
            raise SpaceError(f"{positions!r} are not those of {range!r}")
        super().__init__(positions, range)

    def _fingerprint(self) -> list:
        return [self.traces, self.axis]

    def select(self, shots: Sequence[int]) -> Displaced:
        space = self.range
        return Displaced(self.domain.select(shots), space.select(shots), space.take(self.traces, shots), self.axis)

    def _apply(self, x: NDArray) -> NDArray:
        return x[..., self.axis, None] * _arrays.there(self.traces, x)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        out = self.domain.zeros(y)
        sums = np.einsum("...t,...t->...", _arrays.there(self.traces, y), y, dtype=np.float64)
        out[..., self.axis] = sums.sum(axis=0) if sums.ndim == out.ndim else sums  # of shots that share their points
        return out
