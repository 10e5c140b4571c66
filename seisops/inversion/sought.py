"""What is looked for: parameters of a medium, between their bounds, in one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisops.errors import ParameterError
from seisops.inversion.constraints import Bounds, Constraint, Intersection, Product, Scaled
from seisops.maps import Map
from seisops.model.regrid import Regrid
from seisops.operators import BlockDiag, Identity, LinearOperator, Pointwise, as_operator
from seisops.spaces import Space, join, joint, split
from seisops.wave._validate import floats
from seisops.wave.grid import Grid
from seisops.wave.jacobian import names

__all__ = ["Sought"]


class Sought:
    """What is looked for: one parameter or several, in one flat array, between bounds.

    Parameters
    ----------
    wrt : str or sequence of str
    spaces : sequence of Space
        Of the parameters.
    bounds : tuple
        As of :func:`multiscale`.
    """

    def __init__(self, wrt: str | Sequence[str], spaces: Sequence[Space], bounds: Any) -> None:
        self.single, self.names, self.spaces = isinstance(wrt, str), names(wrt), tuple(spaces)
        self.whole = joint(self.spaces)
        pairs = self._each("bounds", bounds)
        ends = []
        for name, space, pair in zip(self.names, self.spaces, pairs, strict=True):
            try:
                low, high = (np.broadcast_to(floats(end), space.shape) for end in pair)
            except (TypeError, ValueError):
                raise ParameterError(
                    f"multiscale: bounds of {name} must be the lowest and the highest value, numbers or of shape "
                    f"{space.shape}, got {pair!r:.80}"
                ) from None
            ends.append((low, high))
        self.bounds = tuple(join(part).reshape(self.whole.shape) for part in zip(*ends, strict=True))

    def _each(self, what: str, given: Any) -> Sequence[Any]:
        """One thing for each parameter."""
        if self.single:
            return (given,)
        if not isinstance(given, Sequence) or len(given) != len(self.names):
            raise ParameterError(
                f"multiscale looks for several parameters, {', '.join(self.names)}: give {what} as a tuple with one of each"
            )
        return given

    def split_bounds(self) -> tuple[list[NDArray], list[NDArray]]:
        """Lowest and highest values, by parameters."""
        low, high = (split(end, self.spaces) for end in self.bounds)
        return low, high

    def joined(self, what: str, given: Any) -> NDArray:
        """A model as one flat array, in float64."""
        parts = []
        for space, part in zip(self.spaces, self._each(what, given), strict=True):
            part = space.asarray(part)
            space.require_finite(part, f"multiscale: {what}")
            parts.append(part.astype(np.float64))
        return join(parts)

    def shaped(self, model: NDArray) -> Any:
        """The model as users have it."""
        parts = [p.reshape(s.shape) for p, s in zip(split(model, self.spaces), self.spaces, strict=True)]
        return parts[0] if self.single else tuple(parts)

    def named(self, model: NDArray) -> dict[str, NDArray]:
        """The model by the names of its parameters."""
        return dict(zip(self.names, split(self.whole.asarray(model), self.spaces), strict=True))

    def errors(self, model: NDArray, first: NDArray, true: NDArray) -> Any:
        """How far a model is from the true one, relative to the first one."""
        parts = zip(*(split(a, self.spaces) for a in (model, first, true)), strict=True)
        found = [float(np.linalg.norm(m - t) / (np.linalg.norm(f - t) or 1.0)) for m, f, t in parts]
        return found[0] if self.single else tuple(found)

    def regridded(self, grid: Grid) -> LinearOperator:
        """What takes models to another grid."""
        each = [Regrid(space, grid) for space in self.spaces]
        return each[0] if len(each) == 1 else BlockDiag(each)

    def operator(self, P: Any) -> LinearOperator | None:
        """What comes before the bounds."""
        if P is None:
            return None
        each = []
        for space, one in zip(self.spaces, self._each("P", P), strict=True):
            if isinstance(one, Map):
                raise ParameterError(
                    f"multiscale takes an operator or an array as P, and makes the map to models itself; got {one!r}"
                )
            if one is None:
                one = Identity(space)
            each.append(Pointwise(space, one) if isinstance(one, np.ndarray) else as_operator(one))
        return each[0] if len(each) == 1 else BlockDiag(each)

    def scales(self) -> list[float]:
        """The largest difference of bounds, of each parameter."""
        return [float(np.max(high - low)) for low, high in zip(*self.split_bounds(), strict=True)]

    def constraint(self, project: Any) -> Constraint:
        """Bounds, and a set besides, of numbers of order one."""
        if isinstance(project, Product):
            project = project.sets[0] if self.single and len(project.sets) == 1 else project.sets
        sets = (None,) * len(self.names) if project is None else self._each("project", project)
        each = []
        for space, low, high, scale, one in zip(self.spaces, *self.split_bounds(), self.scales(), sets, strict=True):
            bounds: Constraint = Bounds(space, low.reshape(space.shape), high.reshape(space.shape))
            if isinstance(one, Intersection):
                bounds = Intersection(one, bounds, tolerance=one.tolerance, iterations=one.iterations)
            elif one is not None:
                bounds = Intersection(one, bounds)
            each.append(Scaled(bounds, scale))
        return Product(self.spaces, *each)
