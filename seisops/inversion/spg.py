"""Spectral projected gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult

from seisops.inversion.descent import Point, minimised

__all__ = ["Spectral", "spg"]

#: How much longer or shorter than the first step one may be.
LONGEST = 1e10
#: How much longer a step is than the one before where the function curves downward.
LONGER = 10.0


class Spectral:
    """Goes to the projection of a step along the gradient, as long as the curvature of the step before says.

    Parameters
    ----------
    project : callable
        Onto the set.
    step : float
        The first one.
    """

    def __init__(self, project: Callable[[NDArray], NDArray], step: float) -> None:
        self.project, self.step, self.first = project, step, step
        self.convex = getattr(project, "convex", True)

    def target(self, at: Point) -> tuple[NDArray, float]:
        """The projection of the step; and how far it would be at most with the first one."""
        target = self.project(at.x - self.step * at.gradient)
        # the distance grows with the step, at most as much
        return target, float(np.linalg.norm(target - at.x)) * max(1.0, self.first / self.step)

    def arc(self, at: Point, part: float) -> NDArray | None:
        """In a set that is not convex, the projection of a part of the step."""
        return None if self.convex else self.project(at.x - part * self.step * at.gradient)

    def learn(self, before: Point, after: Point) -> None:
        """The step of Barzilai and Borwein."""
        moved, bent = after.x - before.x, after.gradient - before.gradient
        curvature = float(moved @ bent)
        step = float(moved @ moved) / curvature if curvature > 0 else LONGER * self.step
        self.step = float(np.clip(step, self.first / LONGEST, self.first * LONGEST))


def spg(
    function: Callable[[NDArray], tuple[float, NDArray]],
    x0: ArrayLike,
    project: Any = None,
    *,
    iterations: int = 20,
    memory: int = 10,
    tolerance: float = 1e-6,
    first: float | None = None,
    callback: Callable[[OptimizeResult], Any] | None = None,
    journal: Any = None,
    progress: bool = False,
) -> OptimizeResult:
    """Minimise a function in a set by spectral projected gradients.

    Parameters
    ----------
    function : callable
        Returns value and gradient, such as a :class:`Misfit` or a sum of misfits. It is evaluated at points of the set only.
    x0 : array_like
        Where to begin: its projection. The function gets x in this shape.
    project : Constraint, pyproximal.ProxOperator or callable, optional
        The set: one of :mod:`seisops.inversion.constraints`, the proximal operator of a set, or a function that returns the
        nearest point of it. By default all x.
    iterations : int, optional
        At most.
    memory : int, optional
        A step is taken if it is below the largest of so many values before; with 1 values decrease.
    tolerance : float, optional
        It ends when the projected gradient is at most this part of the first one.
    first : float, optional
        By how much x may change in the first step, in its unit, before it is projected. By default what the value and the
        gradient say if the smallest value is zero.
    callback : callable, optional
        Called after each iteration with what is known so far; it ends by raising ``StopIteration``.
    journal : path or Journal, optional
        Where evaluations are remembered, so that a run that was killed goes on.
    progress : bool, optional
        Whether to show a bar.

    Returns
    -------
    scipy.optimize.OptimizeResult
        As of ``scipy.optimize.minimize``, with the best point; ``optimality`` bounds the norm of the projected gradient
        ``P(x - t g) - x`` before the last step, with t the first step.

    Raises
    ------
    ParameterError
        If arguments make no sense, what projects is no projection, or value and gradient are not finite at the start.

    Notes
    -----
    Birgin, Martinez & Raydan (2000), Nonmonotone spectral projected gradient methods on convex sets, SIAM J. Optim. 10(4),
    doi:10.1137/S1052623497330963: their SPG2; in a set that is not convex, a
    :class:`~seisops.inversion.constraints.Rank`, along the arc of projections, as their SPG1.
    """
    return minimised(
        function, x0, project, Spectral, iterations=iterations, memory=memory, tolerance=tolerance, first=first,
        callback=callback, journal=journal, progress=progress, who="spg",
    )  # fmt: skip
