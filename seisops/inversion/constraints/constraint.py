"""Sets of models, each as the projection onto it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError, SpaceError, shown
from seisops.model.models import axes_in_space, model_of
from seisops.spaces import Space, doubled
from seisops.wave._validate import floats, not_negative
from seisops.wave.space import Wavefield

__all__ = ["Ball", "Constraint", "Proximal", "model_in", "projection"]

#: Of random arrays by which projections are known, as nobody knows the unit of a penalty.
SCALES = 1e-6, 1.0, 1e6
#: By what part of the radius a model may be beyond it that is taken to be within.
ROUNDING = 1e-10


class Constraint:
    r"""A set C of models, as the projection onto it: :math:`P_C(x) = \arg\min_{y \in C} \|y - x\|`.

    Called with a model, flat or in its shape, it returns the nearest one of the set, in float64.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        What the models are those of: of an operator its domain, of a map that of the first argument, or any space.

    Attributes
    ----------
    space : Space
        Where the models are, in float64.
    convex : bool
        Whether the set is.
    """

    convex = True
    #: Whether models have to be of one parameter, on a grid.
    on_grid = False

    def __init__(self, of: Any) -> None:
        named = isinstance(of, Space) and not isinstance(of, Wavefield)
        self.space = doubled(of if named else model_of(of, type(self).__name__))
        if self.on_grid and len(axes_in_space(self.space)) != len(self.space.axes):
            raise ParameterError(
                f"{type(self).__name__} needs models of one parameter on a grid: a Parametric, a Wavefield, or a space such "
                f"as waves.model(), got {self.space}"
            )

    def __call__(self, x: ArrayLike) -> NDArray:
        """Return the nearest model of the set.

        Parameters
        ----------
        x : array_like
            A model, flat or in its shape.
        """
        given = self.space.asarray(x)
        self.space.require_finite(given, f"{type(self).__name__}: x")
        return np.array(self._project(given)).reshape(np.shape(x))

    def _project(self, x: NDArray) -> NDArray:
        """The nearest model of the set, of one that is in it that itself; in the shape of models."""
        raise NotImplementedError

    def distance(self, x: ArrayLike) -> float:
        """Return how far a model is from the set, as the norm of the difference.

        Parameters
        ----------
        x : array_like
            A model, flat or in its shape.
        """
        return float(np.linalg.norm(np.ravel(x) - self(np.ravel(x))))

    def _fingerprint(self) -> Sequence[Any]:
        return [{name: value for name, value in vars(self).items() if not name.startswith("_")}]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.space}>"


class Ball(Constraint):
    """The models of which some measure is at most a radius.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        As of :class:`Constraint`.
    radius : float
        The largest measure.
    center : array_like, optional
        Of what the measure is 0; a number, or a model.
    relative_to : array_like, optional
        A model; the radius is a fraction of its measure.
    """

    #: What the measure is in.
    unit = "the unit of models"

    def __init__(self, of: Any, radius: float, center: ArrayLike = 0.0, relative_to: ArrayLike | None = None) -> None:
        super().__init__(of)
        name = type(self).__name__
        self.center = model_in(self.space, f"{name}: center", center)
        self.space.require_finite(self.center, f"{name}: center")
        unit = self.unit if relative_to is None else "fractions of what relative_to measures"
        self.radius = not_negative(f"{name}: radius", radius, unit)
        if relative_to is not None:
            whole = model_in(self.space, f"{name}: relative_to", relative_to)
            self.space.require_finite(whole, f"{name}: relative_to")
            self.radius *= self.measure(whole)

    def measure(self, x: ArrayLike) -> float:
        """Return what the radius bounds, of a model.

        Parameters
        ----------
        x : array_like
            A model, flat or in its shape.
        """
        return self._measure(self.space.asarray(x) - self.center)

    def _measure(self, x: NDArray) -> float:
        raise NotImplementedError

    def _shrunk(self, x: NDArray) -> NDArray:
        """The nearest to what is outside, about a center of 0."""
        raise NotImplementedError

    def _project(self, x: NDArray) -> NDArray:
        apart = x - self.center
        if self._measure(apart) <= (1.0 + ROUNDING) * self.radius:
            return x
        found = self._shrunk(apart)
        # what rounding and iterations leave beyond the radius
        over = self._measure(found) / self.radius if self.radius else 1.0
        return self.center + (found / over if over > 1.0 else found)


class Proximal(Constraint):
    """What a proximal operator of PyProximal, or a function of your own, projects onto.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        As of :class:`Constraint`.
    projection : pyproximal.ProxOperator or callable
        The proximal operator of the indicator of a set, such as ``pyproximal.HalfSpace(w, b)``, or a function that returns
        the nearest model. Both take flat arrays.

    Raises
    ------
    ParameterError
        If it does not leave random models that it returned as they are, or its result depends on the step, as that of
        the proximal operator of a norm does.
    """

    def __init__(self, of: Any, projection: Any) -> None:
        super().__init__(of)
        self.projection = projection
        _require_projection(projection, (self.space.size,))

    def _project(self, x: NDArray) -> NDArray:
        return np.asarray(_applied(self.projection, x.ravel())).reshape(x.shape)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.space, self.projection]

    def __repr__(self) -> str:
        return f"<Proximal of {self.space}: {self.projection!r}>"


def model_in(space: Space, name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Numbers for each cell of models, of a number, a model, flat or in its shape, or what broadcasts to that.

    Parameters
    ----------
    space : Space
        Of models.
    name : str
        What the value is, for messages.
    value : array_like

    Raises
    ------
    ParameterError
        If it is no numbers, or they do not fit.
    """
    try:
        given = floats(value)
    except (TypeError, ValueError):
        raise ParameterError(
            f"{name} must be numbers in the unit of models, one or an array of shape {space.shape}, got {shown(value)}"
        ) from None
    if given.shape == (space.size,):
        return given.reshape(space.shape)
    try:
        return np.broadcast_to(given, space.shape)
    except ValueError:
        raise ParameterError(
            f"{name} of shape {given.shape} does not fit {space}: give a number, or an array that broadcasts to its shape "
            f"{space.shape}"
        ) from None


def _applied(projection: Any, x: NDArray, tau: float = 1.0) -> NDArray:
    return projection.prox(x.copy(), tau) if hasattr(projection, "prox") else projection(x.copy())


def _require_projection(projection: Any, shape: tuple[int, ...]) -> None:
    """Refuse what is no projection, by what it does to random arrays of a shape, small and large."""
    name = getattr(projection, "__name__", type(projection).__name__)
    if not (callable(projection) or hasattr(projection, "prox")):
        raise ParameterError(
            f"{shown(projection)} is no projection: give a constraint, a proximal operator or a function"
        )
    for scale in SCALES:
        x = scale * np.random.default_rng(0).standard_normal(shape)
        once = np.asarray(_applied(projection, x), np.float64)
        if once.size != x.size:
            raise SpaceError(f"the projection {name} makes arrays of shape {once.shape} of those of shape {x.shape}")
        once = once.reshape(shape)
        again = {"moves what it returned": _applied(projection, once)}
        if hasattr(projection, "prox"):
            again["depends on the step tau"] = _applied(projection, x, 10.0)
        allowed = 1e-3 * np.linalg.norm(x - once) + 1e-12 * np.linalg.norm(once)
        for what, other in again.items():
            if not np.linalg.norm(np.ravel(other) - once.ravel()) <= allowed:
                raise ParameterError(
                    f"{name} is no projection, it {what}: give the proximal operator of a set, as pyproximal.L1Ball, not "
                    "that of a penalty, as pyproximal.L1"
                )


def projection(onto: Any, x: NDArray) -> Callable[[NDArray], NDArray]:
    """A function of flat arrays from whatever projects: none for all models, a constraint, an operator of PyProximal.

    Parameters
    ----------
    onto : Constraint, pyproximal.ProxOperator, callable or None
    x : ndarray
        One of the arrays; functions are given its shape.
    """
    if onto is None:
        return np.copy
    if isinstance(onto, Constraint):
        if x.size != onto.space.size:
            raise SpaceError(f"the set is one of {onto.space}, x has {x.size} numbers")
        return onto
    shape = (x.size,) if hasattr(onto, "prox") else x.shape
    _require_projection(onto, shape)
    return lambda y: np.array(_applied(onto, y.reshape(shape)), np.float64).ravel()
