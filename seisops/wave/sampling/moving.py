"""Projections on points that move, and their derivatives as they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from seisops.spaces import AtPoints, Space
from seisops.wave.sampling.points import weights
from seisops.wave.sampling.projection import Projection
from seisops.wave.sampling.taps import Taps

__all__ = ["Moving"]


class Moving(Projection):
    """A projection whose points are a variable, or its derivative in directions in which they move.

    Its weights are those of the projection, differentiated in some directions, of which each point has its own. They
    are linear in each direction, so that the derivative of one is another: by the points it has a direction more, by a
    direction an axis in its place.

    Parameters
    ----------
    of : Projection
        Where the points are now, and how they are interpolated.
    variables : tuple of int or None
        Numbers of the variables that points and directions are; None for a direction that stays.
    directions : sequence of int or ndarray, optional
        The number of an axis, or an array in metres like that of the positions of the points.
    """

    def __init__(self, of: Projection, variables: tuple[int | None, ...], directions: Sequence[int | NDArray] = ()):
        self.variables, self.directions = tuple(variables), tuple(directions)
        super().__init__(of.domain, of.points, of.interpolation, component=of.component, derivative=of.derivative)

    def _fingerprint(self) -> list:
        return [*super()._fingerprint(), self.variables, *self.directions]

    @property
    def positions(self) -> Space:
        """The space of the coordinates of its points."""
        return self.domain.positions(self.points.counts, self.points.shared)

    def select(self, shots: Sequence[int]) -> Moving:
        directions = [d if isinstance(d, int) else self.positions.take(d, shots) for d in self.directions]
        return Moving(super().select(shots), self.variables, directions)

    def placed(self, values: Mapping[int, NDArray]) -> Moving:
        """The same where variables have other values."""
        points, *directions = (
            values.get(v, now) for v, now in zip(self.variables, (None, *self.directions), strict=True)
        )
        of = self if points is None else self.elsewhere(self.domain, self.points.elsewhere(points))
        return Moving(of, self.variables, directions)

    def by(self, variable: int) -> Iterator[tuple[int, Moving]]:
        """Its derivatives by a variable, for each coordinate of the points, that along an axis."""
        for slot, found in enumerate(self.variables):
            if found == variable:
                for axis in range(self.domain.grid.ndim):
                    yield axis, self._in_direction(slot, None, axis)

    def toward(self, shift: int) -> Iterator[Moving]:
        """What its derivative is the sum of where each variable moves by another one, of a number larger by `shift`."""
        for slot, variable in enumerate(self.variables):
            if variable is not None:
                yield self._in_direction(slot, variable + shift, self.positions.zeros())

    def _in_direction(self, slot: int, variable: int | None, direction: int | NDArray) -> Moving:
        if slot == 0:
            return Moving(self, (*self.variables, variable), (*self.directions, direction))
        variables, directions = list(self.variables), list(self.directions)
        variables[slot], directions[slot - 1] = variable, direction
        return Moving(self, tuple(variables), directions)

    def signals(self, x):
        return None if self.directions else super().signals(x)  # a derivative is no source

    # -- its weights

    def _points_of(self, shot):
        own = not self.points.shared and not all(isinstance(d, int) for d in self.directions)
        return super()._points_of(shot), shot if own else None

    def _made(self, shot, there):
        if not self.directions:
            return super()._made(shot, there)
        coordinates, grid = self.points.shot(shot), self.domain.grid
        origin_index, padded_shape, place, entering = there
        where = origin_index, padded_shape, self.interpolation, place, entering, self._axis()
        along = [self._along(d, shot) for d in self.directions]
        factors: dict[tuple[int, ...], NDArray] = {}
        for axes in product(range(grid.ndim), repeat=len(along)):
            count = Counter(axes)
            orders = tuple(count[d] for d in range(grid.ndim))
            factor = np.prod([d[:, axis] for d, axis in zip(along, axes, strict=True)], axis=0)
            factors[orders] = factors.get(orders, 0) + factor
        used = [orders for orders, factor in factors.items() if np.any(factor)] or [next(iter(factors))]
        terms = []
        for orders in used:
            gridpoints, coefficients = weights(coordinates, grid, *where, orders)
            terms.append((factors[orders], coefficients))
        return Taps.total(gridpoints, terms, self.domain.dtype)

    def _along(self, direction: int | NDArray, shot: int) -> NDArray:
        """A direction of the points of a shot."""
        if isinstance(direction, int):
            return np.tile(np.eye(self.domain.grid.ndim)[direction], (self.points.counts[shot], 1))
        space = self.positions
        return (space.shot(direction, shot) if isinstance(space, AtPoints) else direction).astype(float)
