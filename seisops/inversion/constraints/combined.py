"""Sets made of others: intersections, several parameters, changes of unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops._extras import missing
from seisops.errors import ParameterError, SpaceError, shown
from seisops.inversion.constraints.constraint import Constraint, model_in
from seisops.maps import Map
from seisops.spaces import DirectSum, Space, doubled, join, joint, split
from seisops.wave._validate import integer, real

__all__ = ["Intersection", "Product", "Scaled"]


class Intersection(Constraint):
    """The models that are in several convex sets, by Dykstra's algorithm, of PyProximal.

    Parameters
    ----------
    *sets : Constraint
        Of the same models. Those that are returned are in the last one exactly: let that be the bounds. Of an intersection
        among them the sets count.
    tolerance : float, optional
        How much a model may be away from the other sets, and change in an iteration, at any place, as a part of the largest
        value of the model that is given, and of what each of the sets makes of it.
    iterations : int, optional
        At most.

    Raises
    ------
    ParameterError
        If a set is not convex; or, of a model, if the tolerance is not reached: there may be no model in all sets.

    Notes
    -----
    Boyle & Dykstra (1986), A method for finding projections onto the intersection of convex sets in Hilbert spaces,
    doi:10.1007/978-1-4613-9940-7_3. Of constraints on Earth models: Peters & Herrmann (2017), doi:10.1190/tle36010094.1.
    """

    def __init__(self, *sets: Constraint, tolerance: float = 1e-3, iterations: int = 1000) -> None:
        if not sets:
            raise ParameterError("Intersection needs sets, such as Bounds(G, 1500.0, 4500.0)")
        for one in sets:
            _require_constraint(one, "Intersection")
            if not one.convex:
                raise ParameterError(
                    f"Intersection: {one!r} is not convex, and Dykstra's algorithm finds nothing nearest there"
                )
            if one.space != sets[0].space:
                raise SpaceError(f"Intersection of sets of different models: {sets[0].space} and {one.space}")
        super().__init__(sets[0].space)
        self.sets = tuple(part for one in sets for part in (one.sets if isinstance(one, Intersection) else (one,)))
        self.tolerance = real("Intersection: tolerance", tolerance, "parts of the largest value", positive=True)
        self.iterations = integer("Intersection: iterations", iterations, minimum=1)

    def _project(self, x: NDArray) -> NDArray:
        if len(self.sets) == 1:
            return self.sets[0](x)
        try:
            from pyproximal.projection import GenericIntersectionProj
        except ImportError as error:
            raise missing("Intersection needs", "pyproximal", "prox") from error
        alone = [one(x) for one in self.sets]
        if all(np.array_equal(one, x) for one in alone):
            return x
        rounds, allowed = 0, self.tolerance * max(float(np.abs(one).max()) for one in (x, *alone))

        def first(y: NDArray) -> NDArray:
            nonlocal rounds
            rounds += 1
            return self.sets[0](y)

        dykstra = GenericIntersectionProj([first, *self.sets[1:]], niter=self.iterations + 1, tol=allowed)
        found = dykstra(x)
        if rounds > self.iterations:
            far = [f"{np.abs(one(found) - found).max():.3g} from {type(one).__name__}" for one in self.sets]
            raise ParameterError(
                f"Intersection: after {self.iterations} iterations the model is up to {' and '.join(far)}, with "
                f"{allowed:.3g} allowed, or still moves: the sets may have nothing in common; or give more iterations, or a "
                "larger tolerance"
            )
        return found


class Product(Constraint):
    """Models of several parameters, each in a set of its own.

    Parameters
    ----------
    of : Map or sequence of Space
        What they are those of, such as ``Parametric(F, wrt=("vp", "rho"))``: its first arguments.
    *sets : Constraint or None
        One for each parameter; None for one that is free.
    """

    def __init__(self, of: Any, *sets: Constraint | None) -> None:
        given = of.domain if isinstance(of, Map) else of
        if not isinstance(given, Sequence) or not all(isinstance(one, Space) for one in given):
            raise ParameterError(
                f'Product needs the spaces of several parameters: a map such as Parametric(F, wrt=("vp", "rho")), or a list '
                f"of spaces, got {shown(of)}"
            )
        for one in sets:
            if one is not None:
                _require_constraint(one, "Product")
        spaces = list(given)[: len(sets)]
        if not sets or len(spaces) != len(sets):
            raise ParameterError(f"Product: {len(sets)} sets for {of!r:.200}, which has {len(spaces)} parameters")
        super().__init__(joint(spaces))
        self.parts = tuple(doubled(space) for space in spaces)
        for space, one in zip(self.parts, sets, strict=True):
            if one is not None and one.space.size != space.size:
                raise SpaceError(f"Product: a set of {one.space} stands for a parameter in {space}")
        self.sets = sets
        self.convex = all(one is None or one.convex for one in sets)

    def _project(self, x: NDArray) -> NDArray:
        parts = split(x, self.parts) if isinstance(self.space, DirectSum) else [x]
        found = (part if one is None else one(part) for part, one in zip(parts, self.sets, strict=True))
        return join(found).reshape(self.space.shape)


class Scaled(Constraint):
    r"""The numbers x of which :math:`m = m_0 + a x` are models in a set: what an optimiser sees.

    Parameters
    ----------
    constraint : Constraint
        The set of models.
    scale : float
        a, in the unit of models: one number, as the nearest x are not the nearest m otherwise.
    start : array_like, optional
        :math:`m_0`: a number, or a model.
    """

    def __init__(self, constraint: Constraint, scale: float, start: ArrayLike = 0.0) -> None:
        _require_constraint(constraint, "Scaled")
        super().__init__(constraint.space)
        self.constraint, self.convex = constraint, constraint.convex
        self.scale = real("Scaled: scale", scale, "the unit of models", positive=True)
        self.start = model_in(self.space, "Scaled: start", start)

    def _project(self, x: NDArray) -> NDArray:
        return (self.constraint(self.start + self.scale * x) - self.start) / self.scale

    def _fingerprint(self) -> Sequence[Any]:
        return [self.constraint, self.scale, self.start]


def _require_constraint(one: Any, who: str) -> None:
    """Refuse what is none."""
    if not isinstance(one, Constraint):
        raise ParameterError(
            f"{who} is made of constraints, such as Bounds(G, 1500.0, 4500.0); {shown(one)} is none. "
            "Proximal(G, projection) makes one of a function, or of a proximal operator"
        )
