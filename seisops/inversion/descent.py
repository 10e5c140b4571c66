"""Descent within a set of models, whatever proposes where to go: evaluations, line searches, when to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult

from seisops.errors import ParameterError
from seisops.inversion.constraints.constraint import projection
from seisops.inversion.following import followed, journal_of
from seisops.wave._validate import floats, integer, not_negative, real

__all__ = ["Point", "Proposer", "descend", "minimised"]

#: Part of the decrease that the slope promises which is asked for (Armijo).
DECREASE = 1e-4
#: How much a step may be shortened at once, at most and at least.
SHORTER = 0.1, 0.5
#: Evaluations of a line search.
TRIALS = 20

MESSAGES = {
    0: "the projected gradient is as small as asked for",
    1: "all iterations are done",
    2: f"no lower value was found in {TRIALS} evaluations along a line: the gradient may be wrong, or as good as zero",
    99: "the callback raised StopIteration",
}


@dataclass
class Point:
    """Where a function was evaluated, in the set.

    Attributes
    ----------
    x, gradient : ndarray
        Flat.
    value : float
    """

    x: NDArray
    value: float
    gradient: NDArray


class Proposer(Protocol):
    """What says where to go."""

    def target(self, at: Point) -> tuple[NDArray, float]:
        """A point of the set to go to, and how large the projected gradient is at most, as the first step would see it."""

    def learn(self, before: Point, after: Point) -> None:
        """What a step tells of the curvature."""

    def arc(self, at: Point, part: float) -> NDArray | None:
        """A point of the set on the way to the target that is no straight line, if there is one."""


def descend(
    function: Callable[[NDArray], Point], start: Point, project: Callable[[NDArray], NDArray], proposer: Proposer,
    iterations: int, memory: int, tolerance: float,
) -> Iterator[tuple[Point, float, int | None]]:  # fmt: skip
    """Iterate over the points that are found, the projected gradient, and why it ends.

    Parameters
    ----------
    function : callable
        Evaluates, in the set.
    start : Point
    project : callable
        Of what rounding leaves outside.
    proposer : Proposer
    iterations : int
    memory : int
        How many values are looked at, of which the largest is to be undercut.
    tolerance : float
        Part of the first projected gradient at which it ends.
    """
    at, values, first = start, [start.value], None
    for _ in range(iterations):
        target, optimality = proposer.target(at)
        first = optimality if first is None else first
        if optimality <= tolerance * first or np.array_equal(target, at.x):
            yield at, optimality, 0
            return
        found = _searched(function, at, target, project, proposer, max(values[-memory:]))
        if found is None:
            yield at, optimality, 2
            return
        proposer.learn(at, found)
        at = found
        values.append(at.value)
        yield at, optimality, None
    yield at, optimality, 1


def _searched(
    function: Callable[[NDArray], Point], at: Point, target: NDArray, project: Callable[[NDArray], NDArray],
    proposer: Proposer, level: float,
) -> Point | None:  # fmt: skip
    """A point on the way to a target that is sufficiently below a level."""
    part, trial = 1.0, target
    for _ in range(TRIALS):
        found = function(trial)
        slope = float(at.gradient @ (trial - at.x))
        if found.value <= level + DECREASE * slope and slope < 0:
            return found
        shorter = SHORTER[0]
        if np.isfinite(found.value):  # the minimum of a parabola
            shorter = -0.5 * slope / max(found.value - at.value - slope, np.finfo(float).tiny)
        part *= float(np.clip(shorter, *SHORTER))
        along = proposer.arc(at, part)
        # of a point between two of the set the projection is that point, but for rounding
        trial = project(at.x + part * (target - at.x)) if along is None else along
    return None


def minimised(
    function: Callable[[NDArray], tuple[float, NDArray]],
    x0: ArrayLike,
    onto: Any,
    proposer: Callable[[Callable[[NDArray], NDArray], float], Proposer],
    *,
    iterations: int,
    memory: int,
    tolerance: float,
    first: float | None,
    callback: Callable[[OptimizeResult], Any] | None,
    journal: Any,
    progress: bool,
    who: str,
) -> OptimizeResult:
    """The minimum of a function in a set, as :func:`spg` and :func:`pqn` return it.

    Parameters
    ----------
    function, x0, iterations, memory, tolerance, first, callback, journal, progress
        As of :func:`spg`.
    onto : Constraint, pyproximal.ProxOperator, callable or None
        The set.
    proposer : callable
        Makes what says where to go of the projection and the length of the first step.
    who : str
        Who asks, for messages.
    """
    iterations = integer(f"{who} iterations", iterations, minimum=1)
    memory = integer(f"{who} memory", memory, minimum=1)
    tolerance = not_negative(f"{who} tolerance", tolerance, "parts of the first projected gradient")
    if not callable(function):
        raise ParameterError(
            f"{who} needs a function that returns value and gradient, such as a Misfit, got {function!r:.80}"
        )
    given = _numbers(x0, who)
    shape, project = given.shape, projection(onto, given)
    if first is not None:
        first = real(f"{who} first", first, "the unit of x", positive=True)
    count = 0

    with followed(function, journal_of(journal, who), progress, iterations + 2) as evaluated:

        def at(x: NDArray) -> Point:
            nonlocal count
            count += 1
            value, gradient = evaluated(x.reshape(shape).copy())
            return Point(x, float(value), np.array(gradient, np.float64).ravel())

        start = best = at(project(given.ravel()))
        if not (np.isfinite(start.value) and np.isfinite(start.gradient).all()):
            raise ParameterError(f"{who}: value or gradient at the start are NaN or infinite")
        if start.gradient.size != start.x.size:
            raise ParameterError(f"{who}: x has {start.x.size} numbers, the gradient {start.gradient.size}")
        status, optimality, done = 0, 0.0, 0
        if start.gradient.any():
            steps = descend(at, start, project, proposer(project, _first(start, first)), iterations, memory, tolerance)
            for done, (found, optimality, ends) in enumerate(steps, 1):
                if ends is not None:
                    status, done = ends, done - 1
                    break
                best = found if found.value <= best.value else best
                try:
                    if callback is not None:
                        callback(_result(found, shape, done, count, optimality))
                except StopIteration:
                    status = 99
                    break
    result = _result(best, shape, done, count, optimality)
    result.update(status=status, success=status in (0, 1), message=MESSAGES[status])
    return result


def _numbers(x0: ArrayLike, who: str) -> NDArray:
    try:
        given = floats(x0)
    except (TypeError, ValueError):
        raise ParameterError(f"{who}: x0 must be an array of numbers, got {x0!r:.80}") from None
    if not given.size or not np.isfinite(given).all():
        raise ParameterError(f"{who}: x0 must be numbers, none of them NaN or infinite")
    return given


def _first(start: Point, first: float | None) -> float:
    """The length of the first step, times the gradient."""
    steepest = float(np.abs(start.gradient).max())
    if first is not None:
        return first / steepest
    if start.value > 0:  # of squares that may become zero along the gradient
        return 2.0 * start.value / float(start.gradient @ start.gradient)
    return (0.01 * float(np.abs(start.x).max()) or 1.0) / steepest


def _result(at: Point, shape: tuple[int, ...], nit: int, nfev: int, optimality: float) -> OptimizeResult:
    return OptimizeResult(
        x=at.x.reshape(shape).copy(),
        fun=at.value,
        jac=at.gradient.copy(),
        nit=nit,
        nfev=nfev,
        njev=nfev,
        optimality=optimality,
    )
