"""How a band of a multiscale inversion is minimised: without bounds by a change of variables, or in a set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from seisops.errors import ParameterError
from seisops.inversion.constraints import Constraint
from seisops.inversion.following import followed
from seisops.inversion.journal import Journal
from seisops.inversion.misfit import Misfit
from seisops.inversion.pqn import pqn
from seisops.inversion.sought import Sought
from seisops.inversion.spg import spg
from seisops.maps import LinearMap, Map
from seisops.model.bounded import Bounded
from seisops.operators import LinearOperator
from seisops.spaces import join

__all__ = ["IN_SETS", "Search"]

#: What minimises in a set, by name.
IN_SETS = {"spg": spg, "pqn": pqn}

FITS = "the gradient is zero at the start: it fits the data, or they do not depend on what is looked for"


@dataclass
class Search:
    """What minimises the misfit of a band.

    Attributes
    ----------
    sought : Sought
        What is looked for.
    iterations : int
        In each band.
    bands : int
        How many there are, for the bar of a journal.
    kept : Journal or None
    progress : bool
    """

    sought: Sought
    iterations: int
    bands: int
    kept: Journal | None
    progress: bool

    @property
    def _total(self) -> int:
        """Evaluations that a bar is for: without a journal, each band has one."""
        return (self.iterations + 2) * (1 if self.kept is None else self.bands)

    def lbfgs(
        self, model: NDArray, P: LinearOperator | None, onto: LinearOperator | None, misfit: Callable[..., Misfit],
        told: Callable[[float, NDArray], None], stage: str = "",
    ) -> tuple[NDArray, int]:  # fmt: skip
        """Return the model after some iterations of L-BFGS, for numbers without bounds, and how many evaluations it took.

        Parameters
        ----------
        model : ndarray
            Where to begin, strictly between the bounds.
        P : LinearOperator or None
            What comes before the bounds.
        onto : LinearOperator or None
            What takes models to the grid of the band.
        misfit : callable
            Makes the misfit, of its P.
        told : callable
            Is told value and model after each iteration.
        stage : str, optional
            What a bar says of the band.
        """
        inside = Bounded(self.sought.whole, *self.sought.bounds, around=model)
        change: Map = inside if P is None else inside @ P
        function = misfit(change if onto is None else LinearMap(onto) @ change)
        x, evaluations = np.zeros(function.domain.size), 0
        with followed(function, self.kept, self.progress, self._total, stage) as evaluated:
            value, gradient = evaluated(x)
            if not gradient.any():
                raise ParameterError(FITS)
            hessian = (function if self.kept is None else self.kept(function)).gauss_newton(x)
            curvature = float(gradient @ (hessian @ gradient))
            scale = float(gradient @ gradient) / curvature if curvature > 0 else 1.0 / float(np.abs(gradient).max())
            function.forget()

            def objective(x: NDArray) -> tuple[float, NDArray]:
                nonlocal evaluations
                evaluations += 1
                value, gradient = evaluated(x)
                return scale * value, scale * gradient

            def at(x: NDArray) -> NDArray:
                return change(x).ravel().astype(np.float64)

            told(value, at(x))
            found = minimize(
                objective, x, jac=True, method="L-BFGS-B",
                options={"maxiter": self.iterations, "ftol": 0.0, "gtol": 0.0},
                callback=lambda intermediate_result: told(intermediate_result.fun / scale, at(intermediate_result.x)),
            )  # fmt: skip
        function.forget()
        return at(found.x), evaluations

    @cached_property
    def _scale(self) -> NDArray:
        """By which models are divided."""
        return join(np.full(s.size, a) for s, a in zip(self.sought.spaces, self.sought.scales(), strict=True))

    def within(
        self, model: NDArray, constraint: Constraint, name: str, onto: LinearOperator | None,
        misfit: Callable[..., Misfit], told: Callable[[float, NDArray], None], stage: str = "",
    ) -> tuple[NDArray, int]:  # fmt: skip
        """Return the model after some iterations in a set, and how many evaluations it took.

        Parameters
        ----------
        model : ndarray
            Where to begin.
        constraint : Constraint
            Of models, divided by the range of their bounds.
        name : str
            Of the solver.
        onto, misfit, told, stage
            As of `lbfgs`.
        """
        function, has_begun = misfit(onto), False
        with followed(function, self.kept, self.progress, self._total, stage) as evaluated:

            def objective(x: NDArray) -> tuple[float, NDArray]:
                nonlocal has_begun
                value, gradient = evaluated(self._scale * x)
                if not has_begun:
                    if not gradient.any():
                        raise ParameterError(FITS)
                    told(value, self._scale * x)
                has_begun = True
                return value, self._scale * gradient

            found = IN_SETS[name](
                objective, model / self._scale, constraint, iterations=self.iterations,
                callback=lambda result: told(result.fun, self._scale * result.x),
            )  # fmt: skip
        function.forget()
        return self._scale * found.x, found.nfev
