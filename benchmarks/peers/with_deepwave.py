"""deepwave (Richardson, https://github.com/ar4/deepwave): its default PML of 20 cells, all shots in one call.

Acoustic waves: it solves ``lap u - u_tt / v^2 = f`` with f at a cell, seisops ``u_tt / v^2 - lap u = s delta`` with a delta
divided by the cell's volume: ``f = -s / volume``.

Its other media are of first order in time, on staggered grids, with pressure and stress at the samples and velocity half a
step before them. Their sources of pressure are rates, half a step after the samples: the sums of ``s step / volume`` up to
there, which in the second difference of pressure are s again, times what the medium's equation divides by. That is the
bulk modulus with density, which deepwave multiplies by itself; v^2 with losses, in a place that has next to none; for the
stress along the axis of a VTI medium v^2, and ``sqrt(1 + 2 delta)`` times that across it. A force is ``s / volume``, at
the samples; velocities are brought from half a step before the samples to them by a spline, untimed.

Parameters are tensors that require gradients, and what a function of deepwave takes is computed of them, so that gradients
are by what those of seisops are by, sources included.
"""

from __future__ import annotations

import os
import warnings

import deepwave
import numpy as np
import torch
from scipy.interpolate import CubicSpline

from .job import Job, Skipped, require
from .problem import ORDER, Problem

VERSION = deepwave.__version__
PML, HALO = 20, ORDER // 2  # cells

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
warnings.filterwarnings("ignore", module="deepwave")  # about resolution, which is the same for all codes


class Survey:
    """A problem, set up."""

    def __init__(self, problem: Problem, every: int = 1):
        p = self.problem = problem
        self.every = every
        self.samples = -(-p.samples // every) * every  # a multiple of the interval, as deepwave asks for
        self.model = {name: torch.tensor(value, requires_grad=True) for name, value in p.model(p.start).items()}
        self.true = {name: torch.tensor(value) for name, value in p.model(p.true).items()}
        self.strength = torch.tensor(p.wavelet / p.volume)
        self.rate = torch.tensor((np.cumsum(p.wavelet, axis=-1, dtype=float) * p.step / p.volume).astype(np.float32))
        self.sources = torch.tensor(p.sources)
        self.receivers = torch.tensor(p.places).expand(p.shots, -1, -1).contiguous()
        self.common = {
            "accuracy": ORDER,
            "pml_freq": p.f0,
            "max_vel": p.limit,
            "nt": self.samples,
        }
        self.sampled = {**self.common, "model_gradient_sampling_interval": every}

    def at_sources(self, parameter):
        """A parameter in the cells of the sources, (shot, source, 1)."""
        return parameter[tuple(self.sources.movedim(-1, 0))][..., None]

    def data(self, model):
        """Data (shot, receiver, time) of parameters by name, as deepwave samples them."""
        out, *heard = MEDIA[self.problem.medium](self, self.problem.spacing, self.problem.step, **model)
        if out.info.step_ratio != 1:
            raise Skipped(f"deepwave takes {out.info.step_ratio} steps for each sample: choose a smaller step")
        return torch.cat(heard, dim=1)[..., : self.problem.samples]

    def read(self, d):
        """Data at the samples."""
        d = d.detach().numpy()
        if self.problem.medium != "elastic":
            return d
        n = np.arange(d.shape[-1])
        return CubicSpline(n - 0.5, d, axis=-1)(n).astype(np.float32)

    def born(self, dm):
        out = deepwave.scalar_born(
            self.model["m"].detach() ** -0.5,
            self.problem.spacing,
            self.problem.step,
            dv=-0.5 * self.model["m"].detach() ** -1.5 * dm,
            source_amplitudes=-self.strength,
            source_locations=self.sources,
            sc_receiver_locations=self.receivers,
            **self.common,
        )
        return out[-1]

    def truth(self):
        with torch.no_grad():
            return self.data(self.true)

    def history(self) -> int:
        """Bytes that a gradient keeps of the forward wavefield."""
        size = KEPT[self.problem.medium] * self.problem.shots * 4 * (self.samples // self.every)
        for n in self.problem.shape:
            size *= n + 2 * (PML + HALO)
        return size


def acoustic(s: Survey, h: float, dt: float, m):
    out = deepwave.scalar(
        m**-0.5,
        h,
        dt,
        source_amplitudes=-s.strength,
        source_locations=s.sources,
        receiver_locations=s.receivers,
        **s.sampled,
    )
    return out, out.receiver_amplitudes


def density(s: Survey, h: float, dt: float, vp, rho):
    out = deepwave.acoustic(
        vp,
        rho,
        h,
        dt,
        source_amplitudes_volume_rate=s.rate,
        source_locations_volume_rate=s.sources,
        receiver_locations_p=s.receivers,
        **s.sampled,
    )
    return out, out.receiver_amplitudes_p


def elastic(s: Survey, h: float, dt: float, vp, vs, rho):
    """A vertical force, both velocities: deepwave's y is x here, its x is z."""
    out = deepwave.elastic(
        *deepwave.vpvsrho_to_lambmubuoyancy(vp, vs, rho),
        h,
        dt,
        source_amplitudes_x=s.strength,
        source_locations_x=s.sources,
        receiver_locations_y=s.receivers,
        receiver_locations_x=s.receivers,
        **s.sampled,
    )
    return out, out.receiver_amplitudes_y, out.receiver_amplitudes_x


def vti(s: Survey, h: float, dt: float, vp, epsilon, delta):
    """deepwave's axis of symmetry is its first: models and points are transposed. Density is 1."""
    c33, across = vp**2, torch.sqrt(1 + 2 * delta)
    stiffness = ((1 + 2 * epsilon) * c33, across * c33, c33)
    along = s.at_sources(c33) * s.rate
    sources, receivers = s.sources.flip(-1), s.receivers.flip(-1)
    out = deepwave.acoustic_vti(
        *(c.T.contiguous() for c in stiffness),
        torch.ones(c33.shape[::-1]),
        h,
        dt,
        source_amplitudes_sigma_v=along,
        source_amplitudes_sigma_h=s.at_sources(across) * along,
        source_locations_sigma_v=sources,
        source_locations_sigma_h=sources,
        receiver_locations_sigma_v=receivers,
        **s.sampled,
    )
    return out, out.receiver_amplitudes_sigma_v


def viscoacoustic(s: Survey, h: float, dt: float, m, qp):
    """One standard linear solid, with the relaxation times that seisops gives it, too. Density is 1."""
    out = deepwave.viscoacoustic(
        m**-0.5,
        torch.ones_like(m),
        qp,
        h,
        dt,
        q_freq=s.problem.f0,
        source_amplitudes_pressure_rate=s.rate / s.at_sources(m),
        source_locations_pressure_rate=s.sources,
        receiver_locations_p=s.receivers,
        **s.sampled,
    )
    return out, out.receiver_amplitudes_p


#: What deepwave returns, and data of each component of it.
MEDIA = {"acoustic": acoustic, "density": density, "elastic": elastic, "VTI": vti, "viscoacoustic": viscoacoustic}
#: Fields of the grid's size that deepwave keeps of each step for a gradient, in 2D.
KEPT = {"acoustic": 1, "density": 3, "elastic": 5, "VTI": 2, "viscoacoustic": 3}


def forward(p: Problem) -> Job:
    s = Survey(p)
    return Job(s.truth, lambda d: {"data": s.read(d)}, s.samples, f"PML {PML}")


def gradient(p: Problem, every: int = 1) -> Job:
    s = Survey(p, every)
    require(s.history(), "deepwave's forward wavefield")
    d = s.truth()

    def run():
        for parameter in s.model.values():
            parameter.grad = None
        loss = 0.5 * (s.data(s.model) - d).square().sum()
        loss.backward()
        return {name: parameter.grad for name, parameter in s.model.items()}

    def results(by):
        return {f"by {name}": g.numpy() for name, g in by.items()}

    kept = "all steps kept" if every == 1 else f"every {every}th step kept: approximate"
    return Job(run, results, s.samples, f"PML {PML}, {kept}")


def lsrtm(p: Problem) -> Job:
    """Born modeling and its derivative by autograd; the background is solved for in every iteration."""
    s = Survey(p)
    require(s.history(), "deepwave's forward wavefield")
    with torch.no_grad():
        residual = s.truth() - s.data(s.model)
    dm = torch.tensor(p.perturbation, requires_grad=True)

    def run():
        dm.grad = None
        d = s.born(dm)
        d.backward(residual)
        return d.detach(), dm.grad

    def results(out):
        return {"data": out[0].numpy(), "image": out[1].numpy()}

    return Job(run, results, s.samples, f"PML {PML}, scalar_born")


TASKS = {"forward": forward, "gradient": gradient, "lsrtm": lsrtm}
