"""seisops: default layer, one solver step for each sample.

Forces and velocities are half a cell after the nodes along their axis, as in other codes, so that nothing is interpolated.
"""

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


#: What a PML differs in from the default, by the names of its parameters.
Layer = dict[str, float] | None

#: By the name of a medium: the class, and settings that are no parameters.
MEDIA = {
    "acoustic": lambda p: (so.Acoustic, {}),
    "density": lambda p: (so.Acoustic, {}),
    "elastic": lambda p: (so.Elastic, {}),
    "VTI": lambda p: (so.TTI, {}),
    "viscoacoustic": lambda p: (so.ViscoAcoustic, {"f0": p.f0}),
    "TTI": lambda p: (so.TTI, {}),
}


class Survey:
    """A problem, set up; `layer` has what its PML differs in from the default."""

    def __init__(self, problem: Problem, dispersion: bool = True, layer: Layer = None):
        p = self.problem = problem
        grid = so.Grid(p.shape, p.spacing)
        waves = so.Wavefield(grid, so.Time(p.samples, p.step), shots=p.shots)
        kind, settings = MEDIA[p.medium](p)
        self.boundary = "PML(" + ", ".join(f"{name}={value}" for name, value in (layer or {}).items()) + ")"
        self.model, self.true = p.model(p.start), p.model(p.true)
        self.Ainv = so.Modeling(
            waves,
            kind(grid, **self.model, **settings),
            so.PML(**(layer or {})),
            space_order=ORDER,
            max_velocity=p.limit * (1 + 1e-5),  # parameters are rounded
            substeps=1,
            dispersion=dispersion,
        )
        if p.medium == "elastic":
            x, z = (so.Projection(waves, self.beside(p.places, axis), component=f"v{'xz'[axis]}") for axis in (0, 1))
            Pr, Ps = so.VStack([x, z]), so.Projection(waves, self.beside(p.sources, 1), component="vz")
        else:
            Pr, Ps = (so.Projection(waves, cells * p.spacing) for cells in (p.places, p.sources))
        self.F = Pr * self.Ainv * Ps.H
        self.q = p.wavelet

    def beside(self, cells, axis: int):
        """Half a cell after some, in m."""
        return (cells + 0.5 * (np.arange(self.problem.ndim) == axis)) * self.problem.spacing

    def read(self, d):
        """Data (shot, receiver, time), all receivers of a component after those of the one before."""
        if self.problem.medium != "elastic":
            return d
        return np.concatenate([np.asarray(part) for part in self.F.range.split(d)], axis=1)

    def check_backward(self):
        """Skip what media that lose energy refuse."""
        try:
            self.Ainv.discretisation.check_lossless(self.Ainv.medium)
        except so.ParameterError as error:
            raise Skipped(str(error)) from error

    @property
    def truth(self):
        """The same operator in the true model."""
        return self.F.at(**self.true)

    @property
    def steps(self) -> int:
        return self.Ainv.discretisation.steps


def forward(p: Problem, dispersion: bool = True, layer: Layer = None) -> Job:
    s = Survey(p, dispersion, layer)
    F = s.truth
    note = s.boundary if dispersion else f"{s.boundary}, dispersion=False"
    return Job(lambda: F @ s.q, lambda d: {"data": s.read(d)}, s.steps, note)


def gradient(p: Problem, policy: str = "auto", layer: Layer = None) -> Job:
    s = Survey(p, layer=layer)
    kept = storage(policy, p)
    if policy == "Boundary":
        s.check_backward()
    d = s.truth @ s.q
    G = so.Parametric(s.F, wrt=p.names, storage=kept)
    at = tuple(s.model.values())
    by = [*[True] * len(at), False]  # and not by the source

    def run():
        with G.linearize(*at, s.q) as at_m:
            return at_m.pullback(at_m.value - d, by)

    def results(parts):
        return {f"by {name}": np.asarray(g) for name, g in zip(p.names, parts, strict=False)}

    return Job(run, results, s.steps, describe(kept) + (f", {s.boundary}" if layer else ""))


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
