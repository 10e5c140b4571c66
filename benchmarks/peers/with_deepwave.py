"""deepwave (Richardson, https://github.com/ar4/deepwave): its default PML of 20 cells, all shots in one call.

It solves ``lap u - u_tt / v^2 = f`` with f at a cell, seisops ``u_tt / v^2 - lap u = s delta`` with a delta divided by the
cell's volume: ``f = -s / volume``. Gradients by v become those by squared slowness m through ``dv / dm = -v^3 / 2``.
"""

from __future__ import annotations

import os
import warnings

import deepwave
import torch

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
        self.v = torch.tensor(p.start, requires_grad=True)
        self.true = torch.tensor(p.true)
        self.arguments = {
            "source_amplitudes": torch.tensor(-p.wavelet / p.volume),
            "source_locations": torch.tensor(p.sources),
            "accuracy": ORDER,
            "pml_freq": p.f0,
            "max_vel": p.limit,
            "nt": self.samples,
        }
        self.receivers = torch.tensor(p.places).expand(p.shots, -1, -1).contiguous()

    def data(self, v):
        out = deepwave.scalar(
            v,
            self.problem.spacing,
            self.problem.step,
            receiver_locations=self.receivers,
            model_gradient_sampling_interval=self.every,
            **self.arguments,
        )
        if out.info.step_ratio != 1:
            raise Skipped(f"deepwave takes {out.info.step_ratio} steps for each sample: choose a smaller step")
        return out[-1][..., : self.problem.samples]

    def born(self, dv):
        out = deepwave.scalar_born(
            self.v.detach(),
            self.problem.spacing,
            self.problem.step,
            dv=dv,
            sc_receiver_locations=self.receivers,
            **self.arguments,
        )
        return out[-1]

    def truth(self):
        with torch.no_grad():
            return self.data(self.true)

    def history(self) -> int:
        """Bytes that a gradient keeps of the forward wavefield."""
        size = self.problem.shots * 4 * (self.samples // self.every)
        for n in self.problem.shape:
            size *= n + 2 * (PML + HALO)
        return size

    def by_m(self, g):
        """A gradient by velocity as one by squared slowness."""
        return (-0.5 * self.v.detach() ** 3 * g).numpy()

    def by_v(self, dm):
        """A perturbation of squared slowness as one of velocity."""
        return -0.5 * self.v.detach() ** 3 * torch.tensor(dm)


def forward(p: Problem) -> Job:
    s = Survey(p)
    return Job(s.truth, lambda d: {"data": d.numpy()}, s.samples, "PML 20")


def gradient(p: Problem, every: int = 1) -> Job:
    s = Survey(p, every)
    require(s.history(), "deepwave's forward wavefield")
    d = s.truth()

    def run():
        s.v.grad = None
        loss = 0.5 * (s.data(s.v) - d).square().sum()
        loss.backward()
        return s.v.grad

    note = "PML 20, all steps kept" if every == 1 else f"PML 20, every {every}th step kept: approximate"
    return Job(run, lambda g: {"gradient": s.by_m(g)}, s.samples, note)


def lsrtm(p: Problem) -> Job:
    """Born modeling and its derivative by autograd; the background is solved for in every iteration."""
    s = Survey(p)
    require(s.history(), "deepwave's forward wavefield")
    with torch.no_grad():
        residual = s.truth() - s.data(s.v)
    dv = s.by_v(p.perturbation).requires_grad_()

    def run():
        dv.grad = None
        d = s.born(dv)
        d.backward(residual)
        return d.detach(), dv.grad

    return Job(run, lambda out: {"data": out[0].numpy(), "image": s.by_m(out[1])}, s.samples, "PML 20, scalar_born")


TASKS = {"forward": forward, "gradient": gradient, "lsrtm": lsrtm}
