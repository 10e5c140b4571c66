"""Projected quasi-Newton steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult

from seisops.errors import ParameterError
from seisops.inversion.descent import Point, descend, minimised
from seisops.inversion.spg import Spectral
from seisops.wave._validate import integer

__all__ = ["pqn"]

#: Curvature, relative to the norms, below which a step tells nothing.
CURVED = 1e-10


class QuasiNewton:
    """Goes to where a quadratic model, of limited memory, is small in the set, as spectral projected gradients find it.

    Parameters
    ----------
    project : callable
        Onto the set.
    step : float
        The first one.
    pairs : int
        How many steps the model remembers.
    inner : int
        Iterations by which its minimum is looked for.
    """

    def __init__(self, project: Callable[[NDArray], NDArray], step: float, pairs: int, inner: int) -> None:
        if not getattr(project, "convex", True):
            raise ParameterError(f"pqn needs a convex set, {project!r} is not: use spg")
        self.project, self.first, self.inner = project, step, inner
        self.steps: deque[tuple[NDArray, NDArray]] = deque(maxlen=pairs)

    def target(self, at: Point) -> tuple[NDArray, float]:
        """Where the model is small; and the projection of the first step."""
        plain = self.project(at.x - self.first * at.gradient)
        optimality = float(np.linalg.norm(plain - at.x))
        if not self.steps or not optimality:
            return plain, optimality
        curved = self._curvature()
        size = curved.size

        def model(x: NDArray) -> Point:
            moved = x - at.x
            bent = curved(moved)
            return Point(x, float(moved @ (at.gradient + 0.5 * bent)), at.gradient + bent)

        start = best = Point(at.x, 0.0, at.gradient)
        steps = descend(model, start, self.project, Spectral(self.project, 1.0 / size), self.inner, self.inner, 0.0)
        for found, _, _ in steps:
            best = found if found.value < best.value else best
        return best.x, optimality

    def arc(self, at: Point, part: float) -> None:
        """There is none: sets are convex."""

    def learn(self, before: Point, after: Point) -> None:
        """Remember a step along which the function curves upward."""
        moved, bent = after.x - before.x, after.gradient - before.gradient
        if moved @ bent > CURVED * np.linalg.norm(moved) * np.linalg.norm(bent):
            self.steps.append((moved, bent))

    def _curvature(self) -> Curvature:
        return Curvature(*(np.array(part).T for part in zip(*self.steps, strict=True)))


class Curvature:
    r"""The matrix :math:`B = \sigma - N M^{-1} N^\top` of L-BFGS, in compact form.

    Parameters
    ----------
    S, Y : ndarray
        Steps and changes of the gradient, a column each, the last one last.

    Attributes
    ----------
    size : float
        sigma, the curvature along the last step.

    Notes
    -----
    Byrd, Nocedal & Schnabel (1994), doi:10.1007/BF01582063, equation 3.1.
    """

    def __init__(self, S: NDArray, Y: NDArray) -> None:
        inner = S.T @ Y
        self.size = float(Y[:, -1] @ Y[:, -1] / inner[-1, -1])
        lower = np.tril(inner, -1)
        self._middle = np.block([[self.size * (S.T @ S), lower], [lower.T, -np.diag(np.diag(inner))]])
        self._sides = np.hstack([self.size * S, Y])

    def __call__(self, x: NDArray) -> NDArray:
        """The product with a vector."""
        return self.size * x - self._sides @ np.linalg.solve(self._middle, self._sides.T @ x)


def pqn(
    function: Callable[[NDArray], tuple[float, NDArray]],
    x0: ArrayLike,
    project: Any = None,
    *,
    iterations: int = 20,
    pairs: int = 10,
    inner: int = 10,
    memory: int = 1,
    tolerance: float = 1e-6,
    first: float | None = None,
    callback: Callable[[OptimizeResult], Any] | None = None,
    journal: Any = None,
    progress: bool = False,
) -> OptimizeResult:
    """Minimise a function in a convex set by projected quasi-Newton steps: L-BFGS in a set.

    In each iteration a quadratic model of the function, by L-BFGS, is made small in the set, by spectral projected
    gradients, which costs projections alone: it takes fewer evaluations than :func:`spg`, and more projections.

    Parameters
    ----------
    function, x0, project, iterations, memory, tolerance, first, callback, journal, progress
        As of :func:`spg`.
    pairs : int, optional
        How many steps the quadratic model remembers.
    inner : int, optional
        Iterations by which its minimum is looked for.

    Returns
    -------
    scipy.optimize.OptimizeResult
        As of :func:`spg`.

    Raises
    ------
    ParameterError
        As of :func:`spg`, and if the set is not convex.

    Notes
    -----
    Schmidt, van den Berg, Friedlander & Murphy (2009), Optimizing costly functions with simple constraints: a limited-memory
    projected quasi-Newton algorithm, AISTATS, PMLR 5, 456-463.
    """
    pairs, inner = integer("pqn pairs", pairs, minimum=1), integer("pqn inner", inner, minimum=1)
    return minimised(
        function, x0, project, partial(QuasiNewton, pairs=pairs, inner=inner), iterations=iterations, memory=memory,
        tolerance=tolerance, first=first, callback=callback, journal=journal, progress=progress, who="pqn",
    )  # fmt: skip
