"""What modeling and its derivatives will cost, before they run."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from seisops.errors import ParameterError
from seisops.fusion import fuse
from seisops.operators import LinearOperator, Propagator
from seisops.wave._validate import integer
from seisops.wave.modeling import Modeling
from seisops.wave.samplers import Projection
from seisops.wave.space import Wavefield
from seisops.wave.storage import policy
from seisops.wave.time import Time

__all__ = ["Plan", "plan"]

# steps of the two trial runs, whose difference is free of what a run costs once
TRIALS = (40, 240)

#: Solves for each shot: of one application, and of the first one where it is more.
SOLVES = {
    "F q, F.H d": (1, 1),
    "G(m, q)": (1, 1),
    "gradient of full-waveform inversion": (2, 2),
    "J dm, J.H d": (1, 2),
    "iteration of least-squares migration": (2, 3),
    "Hessian times a vector, beyond Gauss-Newton": (4, 4),
}


@dataclass(frozen=True)
class Plan:
    """What a survey will cost; print it.

    Attributes
    ----------
    shots : int
    workers : int
        Processes that share the shots.
    cells : int
        Grid points of a solve, absorbing layer included.
    steps : int
        Time steps of a solve.
    step : float
        Their length in s.
    substeps : int
        Time steps for each sample of the data.
    fields : int
        Arrays of the wave equation and its layer, over all time levels.
    solve_bytes : int
        Memory of a solve.
    history_bytes : int
        Memory of the background wavefield that a derivative keeps for a shot.
    budget_bytes : int
        How much of the backgrounds is kept from one product to the next, in each process.
    exactness : str
        Class of the storage policy.
    seconds : float or None
        Time of a solve, from a trial of a few steps on this machine; None if there was none.
    """

    shots: int
    workers: int
    cells: int
    steps: int
    step: float
    substeps: int
    fields: int
    solve_bytes: int
    history_bytes: int
    budget_bytes: int
    exactness: str
    seconds: float | None

    @property
    def kept(self) -> int:
        """Shots of each process whose backgrounds fit the budget."""
        return min(ceil(self.shots / self.workers), self.budget_bytes // max(1, self.history_bytes))

    @property
    def worker_bytes(self) -> int:
        """Memory of a process that computes derivatives, beside Python and the models."""
        return self.solve_bytes + max(1, self.kept) * self.history_bytes

    def solves(self, what: str) -> tuple[int, int]:
        """Solves of all shots for one application of something in `SOLVES`, and for the first one."""
        later, first = SOLVES[what]
        # shots beyond the budget compute their background anew in every product after the one that made it
        beyond = self.shots - min(self.shots, self.kept * self.workers)
        if first > later:  # products with a Jacobian
            return (later * self.shots + later * beyond, first * self.shots + (later - 1) * beyond)
        again = beyond if what.startswith("gradient") else 0
        return later * self.shots + again, first * self.shots + again

    def __str__(self) -> str:
        gib = 2.0**30
        lines = [
            f"{self.shots} shots on {self.workers} worker{'s' * (self.workers > 1)}",
            f"a solve: {self.cells:,} points x {self.steps:,} steps of {1e3 * self.step:.4g} ms "
            f"({self.substeps} for each sample)",
            f"  memory {self.solve_bytes / gib:.3g} GiB"
            + ("" if self.seconds is None else f", about {self.seconds:.3g} s here"),
            f"a background: {self.history_bytes / gib:.3g} GiB a shot ({self.exactness}); {self.kept} of "
            f"{ceil(self.shots / self.workers)} shots of a worker fit into {self.budget_bytes / gib:.3g} GiB",
            f"memory of a worker: {self.worker_bytes / gib:.3g} GiB with derivatives",
            "",
            f"{'one application':44} {'solves':>8} {'the first':>10}" + ("" if self.seconds is None else f"{'time':>11}"),
        ]
        for what in SOLVES:
            n, first = self.solves(what)
            took = "" if self.seconds is None else f" {_duration(n * self.seconds / self.workers):>10}"
            lines.append(f"{what:44} {n:8,} {first:10,}{took}")
        return "\n".join(lines)


def plan(F: LinearOperator, storage="auto", workers: int = 1, trial: bool = True) -> Plan:
    """Say what a modeling operator and its derivatives will cost.

    Parameters
    ----------
    F : LinearOperator
        A modeling expression such as ``Pr * Ainv * Ps.H``.
    storage : str or Policy, optional
        As for :class:`~seisops.Jacobian`.
    workers : int, optional
        Processes that will share the shots, each as fast as this one.
    trial : bool, optional
        Whether to time a few steps here; this compiles the wave equation.

    Raises
    ------
    ParameterError
        If `F` contains no solve.
    """
    workers = integer("plan workers", workers, minimum=1)
    modeling = next((leaf for leaf in fuse(F).leaves() if isinstance(leaf, Propagator)), None)
    if not isinstance(modeling, Modeling):
        raise ParameterError(f"plan: {F} contains no Modeling")
    d, chosen = modeling.discretisation, policy(storage)
    system = d.plan(modeling.medium).system
    itemsize = np.dtype(d.dtype).itemsize
    cells = int(np.prod(d.padding.shape))
    levels = sum(u.time_order + 1 for u in system.fields)
    coefficients = tuple(modeling.medium.derivatives(modeling.medium.perturbable[0]))
    return Plan(
        shots=modeling.domain.shots,
        workers=workers,
        cells=cells,
        steps=d.steps,
        step=d.dt,
        substeps=d.ratio,
        fields=levels,
        solve_bytes=(levels + len(modeling.medium.parameters)) * cells * itemsize,
        history_bytes=modeling.solver.background_bytes(coefficients, chosen.every),
        budget_bytes=chosen.keep_bytes,
        exactness=chosen.exactness,
        seconds=_timed(modeling) * d.steps if trial else None,
    )


def _timed(modeling: Modeling) -> float:
    """Seconds of a time step."""
    d, grid = modeling.discretisation, modeling.domain.grid
    centre = [[(lo + hi) / 2 for lo, hi in grid.extent]]
    spent = []
    for steps in TRIALS:
        axis = Time(max(2, steps // d.ratio), d.time.step)
        waves, short = Wavefield(grid, axis, 1, d.dtype), replace(d, time=axis)
        P = Projection(waves, centre)
        trial = fuse(P * Modeling._frozen(waves, modeling.medium, short) * P.H)
        source = np.zeros(trial.domain.shape, d.dtype)
        trial @ source  # compiles
        spent.append((min(_seconds(trial, source) for _ in range(3)), short.steps))
    (few, n), (many, m) = spent
    return max(many - few, 0.1 * many) / (m - n)


def _seconds(op: LinearOperator, x: np.ndarray) -> float:
    start = time.perf_counter()
    op @ x
    return time.perf_counter() - start


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
