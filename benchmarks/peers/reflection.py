"""How much comes back from a code's boundary: the field against that in a domain so large that nothing can."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .job import Job
from .problem import Problem


def energies(
    p: Problem, variants: dict[str, dict], cells: int, forward: Callable[..., Job], options: dict | None = None
) -> Job:
    """Energy of what a boundary reflects, in dB of the energy of the field without it.

    Parameters
    ----------
    p : Problem
        Homogeneous, with receivers in the whole model.
    variants : dict
        What to change in it, by a name.
    cells : int
        How much larger the other domain is, on each side.
    forward : callable
        Makes the modeling job of a problem.
    options : dict, optional
        For it.
    """

    def level(p: Problem) -> float:
        field, free = (data(forward(p, **(options or {}))) for p in (p, p.wider(cells)))
        return 10.0 * np.log10(np.sum((field - free) ** 2) / np.sum(free**2))

    def run():
        return {name: np.array(level(p.with_(**changes))) for name, changes in variants.items()}

    return Job(run, lambda levels: levels, p.samples - 1)


def data(job: Job) -> np.ndarray:
    return job.results(job.run())["data"].astype(np.float64)
