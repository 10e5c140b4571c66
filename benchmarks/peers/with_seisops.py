"""seisops: default layer, one solver step for each sample."""

from __future__ import annotations

from tempfile import gettempdir

import numpy as np

import seisops as so

from .job import Job, Skipped, available
from .problem import ORDER, Problem

VERSION = getattr(so, "__version__", "")

#: Storage policies by name. What this version does not have is skipped; "auto" is what users get.
POLICIES = {
    "auto": lambda p: "auto",
    "Full": lambda p: so.storage.Full(keep_bytes=available() // 2),
    "Boundary": lambda p: so.storage.Boundary(),
    "Checkpointed": lambda p: so.storage.Checkpointed(),
    "Subsampled": lambda p: so.storage.Subsampled(4),
    "Disk": lambda p: so.storage.Disk(gettempdir()),
    "Compressed": lambda p: so.storage.Compressed(),
    "Fourier": lambda p: so.storage.Fourier(band(p)),
    "Probed": lambda p: so.storage.Probed(),
}


def band(p: Problem) -> list[float]:
    """Frequencies in Hz from next to nothing to the wavelet's end, as close as the time axis can tell apart."""
    resolution = 1.01 / (p.samples * p.step)
    return list(np.arange(resolution, 2.5 * p.f0, resolution))


def storage(name: str, problem: Problem):
    """The policy of a name, or Skipped where this version does not make it from these arguments."""
    if name not in POLICIES:
        raise Skipped(f"no storage policy is called {name}: choose from {', '.join(POLICIES)}")
    if name != "auto" and not hasattr(so.storage, name):
        raise Skipped(f"this version has no seisops.storage.{name}")
    try:
        return POLICIES[name](problem)
    except (TypeError, ValueError) as error:
        raise Skipped(f"seisops.storage.{name}: {error}") from error


class Survey:
    """A problem, set up."""

    def __init__(self, problem: Problem, dispersion: bool = True):
        p = self.problem = problem
        grid = so.Grid(p.shape, p.spacing)
        waves = so.Wavefield(grid, so.Time(p.samples, p.step), shots=p.shots)
        self.Ainv = so.Modeling(
            waves,
            so.Acoustic(grid, vp=p.start),
            space_order=ORDER,
            max_velocity=p.limit,
            substeps=1,
            dispersion=dispersion,
        )
        Ps = so.Projection(waves, p.sources * p.spacing)
        self.F = so.Projection(waves, p.places * p.spacing) * self.Ainv * Ps.H
        self.q = p.wavelet
        self.m = (p.start.astype(float) ** -2).astype(np.float32)

    @property
    def truth(self):
        """The same operator in the true model."""
        return self.F.at(vp=self.problem.true)

    @property
    def steps(self) -> int:
        return self.Ainv.discretisation.steps


def forward(p: Problem, dispersion: bool = True) -> Job:
    s = Survey(p, dispersion)
    F = s.truth
    note = "PML()" if dispersion else "PML(), dispersion=False"
    return Job(lambda: F @ s.q, lambda d: {"data": d}, s.steps, note)


def gradient(p: Problem, policy: str = "auto") -> Job:
    s = Survey(p)
    kept = storage(policy, p)
    d = s.truth @ s.q
    G = so.Parametric(s.F, storage=kept)

    def run():
        with G.linearize(s.m, s.q) as at_m:
            return at_m.pullback(at_m.value - d, [True, False])[0]

    return Job(run, lambda g: {"gradient": g}, s.steps, describe(kept))


def describe(kept) -> str:
    """A policy and its class of exactness."""
    return "storage='auto'" if isinstance(kept, str) else f"{kept!r}: {kept.exactness}"


def lsrtm(p: Problem, policy: str = "auto", first: bool = False) -> Job:
    """J and its adjoint once each; the backgrounds are in memory already, unless it is the first iteration."""
    s = Survey(p)
    kept = storage(policy, p)
    residual = (s.truth @ s.q) - (s.F @ s.q)
    reused = so.Jacobian(s.F, s.q, storage=kept)
    dm = p.perturbation

    def run():
        J = so.Jacobian(s.F, s.q, storage=kept) if first else reused
        result = J @ dm, J.H @ residual
        if first:
            J.forget()
        return result

    note = f"{describe(kept)}, {'with the backgrounds' if first else 'backgrounds reused'}"
    return Job(run, lambda out: {"data": out[0], "image": out[1]}, s.steps, note)


TASKS = {"forward": forward, "gradient": gradient, "lsrtm": lsrtm}
