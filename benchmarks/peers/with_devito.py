"""Devito's example solvers, ``AcousticWaveSolver`` and ``AnisotropicWaveSolver`` of ``examples.seismic``: a sponge of 40
cells, shots one by one.

It works in m, ms and km/s, and injects ``dt^2 / m`` times the source at a cell, not divided by its volume: a source
``s / volume`` gives the data of seisops, with no factor between them. Squared slowness in ms2/m2 is 1e6 times that in
s2/m2. Its loops leave out the first and the last sample, hence one sample more. By default its methods make new wavefields
in every call; given wavefields that were made once, they are faster. Both are measured.

The solver of tilted media (Zhang, Zhang & Zhang 2011, doi:10.1190/1.3554411) drives both of its fields and hears their sum.
They are the same where the medium is isotropic, as it is at sources and receivers: half of that sum is pressure. Its
derivatives along the axis are of half the order, forth and back: with order 16 they are of order 8, as those of seisops.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from .job import Job, Skipped, require
from .problem import ORDER, Problem

try:
    import devito
    from devito import Function, TimeFunction
    from examples.seismic import AcquisitionGeometry, SeismicModel
    from examples.seismic.acoustic import AcousticWaveSolver
    from examples.seismic.tti import AnisotropicWaveSolver
except ImportError as error:
    raise Skipped(f"Devito's example solver cannot be imported: {error}") from error

VERSION = devito.__version__
SPONGE = 40  # cells
MS, KM, M = 1e3, 1e-3, 1e6  # from s, from m, from s2/m2


class Survey:
    """A problem, set up around the model of a velocity; `reuse` is whether wavefields are made once."""

    def __init__(self, problem: Problem, velocity, sponge: int = SPONGE, reuse: bool = False, order: int = ORDER):
        p = self.problem = problem
        self.sponge, self.reuse, self.order = sponge, reuse, order
        self.tilted = "theta" in p.names
        self.model = SeismicModel(
            origin=(0.0,) * p.ndim,
            spacing=(p.spacing,) * p.ndim,
            shape=p.shape,
            space_order=order,
            vp=velocity * np.float32(KM),
            **({name: value for name, value in p.model(velocity).items() if name != "vp"} if self.tilted else {}),
            nbl=sponge,
            bcs="damp",
            dt=np.float32(p.step * MS),
        )
        sources = p.sources[:, 0] * p.spacing
        geometry = AcquisitionGeometry(
            self.model, p.places * p.spacing, sources[:1], t0=0.0, tn=p.step * MS * p.samples, src_type=None
        )
        if geometry.nt != p.samples + 1:
            raise Skipped(f"the example solver makes {geometry.nt} samples of {p.samples + 1}")
        kind = AnisotropicWaveSolver if self.tilted else AcousticWaveSolver
        self.solver = kind(self.model, geometry, space_order=order)
        self.sources = sources
        self.src = geometry.new_src(name="src", src_type=None)
        self.rec = geometry.new_rec(name="rec")
        self.src.data[: p.samples, 0] = p.wavelet[0, 0] / p.volume
        self.fields: dict = {}

    def field(self, name: str, shot: int | None = None, **options):
        """A wavefield that was made before, set to zero (the history of a shot needs no zeros), or None to have one made."""
        if not self.reuse:
            return None
        key = (name, shot)
        if key not in self.fields:
            order = self.order
            self.fields[key] = TimeFunction(name=name, grid=self.model.grid, time_order=2, space_order=order, **options)
        if not options:
            self.fields[key].data_with_halo.fill(0.0)
        return self.fields[key]

    def history(self, shot: int = 0):
        """The whole forward wavefield; the levels that are not computed stay zero."""
        return self.field("u", shot, save=self.problem.samples + 1)

    def require_history(self, shots: int):
        """Check that the histories of some shots fit; new ones are not always freed before the next is made."""
        cells = math.prod(n + 2 * (self.sponge + self.order) for n in self.problem.shape)
        require(4 * cells * (self.problem.samples + 1) * shots, "the example solver's forward wavefield")

    def at(self, shot: int):
        self.src.coordinates.data[0] = self.sources[shot]

    def forward(self, shot: int, u=None, save: bool = False):
        """Data and wavefield."""
        self.at(shot)
        rec, u, _ = self.solver.forward(src=self.src, rec=self.rec, u=u, save=save)
        return self.read(rec), u

    def data(self, shot: int):
        if not self.tilted:
            return self.forward(shot, self.field("u"))[0]
        self.at(shot)
        rec = self.solver.forward(src=self.src, rec=self.rec, u=self.field("u"), v=self.field("v"))[0]
        return self.read(rec) / 2

    def born(self, shot: int, dm):
        self.at(shot)
        u, U = self.field("u"), self.field("U")
        return self.read(self.solver.jacobian(dm, src=self.src, rec=self.rec, u=u, U=U)[0])

    def gradient(self, shots):
        """The gradient of all shots, from pairs of a residual and a forward wavefield."""
        grad = Function(name="grad", grid=self.model.grid)
        for residual, u in shots:
            self.rec.data[: self.problem.samples] = residual.T
            self.solver.jacobian_adjoint(self.rec, u, v=self.field("v"), grad=grad)  # adds to it
        return grad

    def read(self, rec):
        """Data (receiver, time)."""
        return np.ascontiguousarray(np.asarray(rec.data)[: self.problem.samples].T)

    def crop(self, grad):
        """By squared slowness in s2/m2, without the sponge."""
        return np.array(grad.data[(slice(self.sponge, -self.sponge),) * self.problem.ndim]) * np.float32(M)


def model_all(p: Problem, velocity, sponge: int):
    """Data (shot, receiver, time) in a model."""
    s = Survey(p, velocity, sponge, reuse=True)
    return np.stack([s.data(shot) for shot in range(p.shots)])


def forward(p: Problem, reuse: bool = False, wide: int = 0, sponge: int = SPONGE, order: int = ORDER) -> Job:
    s = Survey(p, p.true, sponge, reuse, order)

    def run():
        return np.stack([s.data(shot) for shot in range(p.shots)])

    note = f"sponge {sponge}" if order == ORDER else f"sponge {sponge}, order {order}"
    return Job(run, lambda d: {"data": d}, p.samples - 1, note, widened(partial(forward, order=order), p, wide))


def gradient(p: Problem, reuse: bool = False, wide: int = 0, sponge: int = SPONGE) -> Job:
    """Forward with the wavefield saved, and the gradient, shot by shot."""
    s = Survey(p, p.start, sponge, reuse)
    s.require_history(1 if reuse else p.shots)
    observed = model_all(p, p.true, sponge)

    def shots():
        for shot in range(p.shots):
            data, u = s.forward(shot, s.history(), save=True)
            yield data - observed[shot], u

    return Job(
        lambda: s.gradient(shots()),
        lambda g: {"by m": s.crop(g)},
        p.samples - 1,
        f"sponge {sponge}, all steps kept{', in the same memory' * reuse}",
        widened(gradient, p, wide),
    )


def lsrtm(p: Problem, keep: bool = False, reuse: bool = False, wide: int = 0, sponge: int = SPONGE) -> Job:
    """Born, which solves for the background beside the perturbation, and the gradient.

    The gradient needs the background's history: computed again for each shot, or kept for all shots between iterations.
    """
    s = Survey(p, p.start, sponge, reuse)
    s.require_history(1 if reuse and not keep else p.shots)
    residual = model_all(p, p.true, sponge) - model_all(p, p.start, sponge)
    dm = Function(name="dm", grid=s.model.grid, space_order=0)
    dm.data[(slice(sponge, -sponge),) * p.ndim] = p.perturbation * np.float32(M)
    kept: dict = {}

    def background(shot: int):
        if shot in kept:
            return kept[shot]
        u = s.forward(shot, s.history(shot if keep else 0), save=True)[1]
        if keep:
            kept[shot] = u
        return u

    def run():
        data = np.stack([s.born(shot, dm) for shot in range(p.shots)])
        return data, s.gradient((residual[shot], background(shot)) for shot in range(p.shots))

    def results(out):
        return {"data": out[0], "image": s.crop(out[1])}

    note = f"sponge {sponge}, " + ("u of all shots kept" if keep else "u computed again in every iteration")
    return Job(run, results, p.samples - 1, note, widened(lsrtm, p, wide))


def widened(task, p: Problem, wide: int):
    """The same task once with a sponge so wide that little comes back: what is left to compare is the equation."""
    if not wide:
        return None

    def check():
        job = task(p, reuse=True, sponge=wide)
        return job.results(job.run())

    return check


TASKS = {"forward": forward, "gradient": gradient, "lsrtm": lsrtm}
