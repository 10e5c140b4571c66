"""Not waves at all: find the diffusivity of a plate from a few thermometers, with an equation of ten lines.

An equation that you write gets its adjoint, its Jacobians and its torch layer as any other. Run it with
``python examples/torch_diffusion.py``; it takes half a minute.
"""

import argparse

import numpy as np
import torch
from devito import Derivative

import seisops as so
import seisops.torch

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--small", action="store_true", help="fewer iterations")
options.add_argument("--figure", metavar="FILE", help="draw the diffusivities")
options = options.parse_args()


class Diffusion(so.WaveEquation):
    """T_t - div(kappa grad T) = q, by forward differences in time; kappa in m2/s."""

    parameters = ("kappa",)
    fields = ("T",)

    def residual(self, fields, parameters):
        """The flux lives half a cell after the nodes, its divergence on them."""
        T, kappa = fields.T, parameters.kappa
        divergence = 0
        for d in T.space_dimensions:
            after, before = {d: d + d.spacing / 2}, {d: d - d.spacing / 2}
            between = Derivative(kappa, d, deriv_order=0, fd_order=2, x0=after)
            divergence += Derivative(between * Derivative(T, d, fd_order=2, x0=after), d, fd_order=2, x0=before)
        return ((T.forward - T) / T.grid.stepping_dim.spacing - divergence,)


grid = so.Grid(shape=(41, 41), spacing=0.01)
time = so.Time(n=241, step=10.0)
waves = so.Wavefield(grid, time, shots=5)
x, z = np.meshgrid(*(grid.coordinates(axis) for axis in "xz"), indexing="ij")

# a plate of rock with two inclusions
UNIT = 1e-6
true = UNIT * (
    1
    + 0.8 * np.exp(-((x - 0.13) ** 2 + (z - 0.15) ** 2) / 0.05**2)
    - 0.5 * np.exp(-((x - 0.28) ** 2 + (z - 0.26) ** 2) / 0.05**2)
)

sensors = np.array([(a, b) for a in np.arange(0.05, 0.36, 0.05) for b in np.arange(0.05, 0.36, 0.05)])
heaters = np.array([[(a, b)] for a, b in ((0.1, 0.1), (0.1, 0.3), (0.2, 0.2), (0.3, 0.1), (0.3, 0.3))])
heat = np.where(time.samples < 200.0, 1e-3, 0.0) * np.ones((5, 1, 1))  # m2 K/s: on for 200 s

# the time step is frozen when the operator is made, here for the largest diffusivity that will be tried
Ainv = so.Modeling(waves, Diffusion(grid, kappa=2.2 * UNIT), boundary=None, space_order=2)
F = so.Projection(waves, sensors) * Ainv * so.Projection(waves, heaters).H
G = so.Parametric(F, wrt="kappa")
data = torch.tensor(G(true, heat))
layer, q = so.torch.lift(G), torch.tensor(heat)


def kappa(c):
    """Diffusivity in m2/s, between 0.2 and 2.2 times 1e-6: the optimizer sees few numbers, of about 1."""
    fine = torch.nn.functional.interpolate(c[None, None], size=grid.shape, mode="bicubic", align_corners=True)[0, 0]
    return UNIT * (0.2 + 2.0 * torch.sigmoid(fine))


c = torch.nn.Parameter(torch.full((9, 9), -np.log(1.5)))  # kappa = 1e-6 m2/s
optimizer = torch.optim.LBFGS(
    [c],
    max_iter=10 if options.small else 60,
    history_size=10,
    tolerance_grad=0.0,
    tolerance_change=0.0,
    line_search_fn="strong_wolfe",
)
losses = []


def closure():
    """Misfit of the temperatures, and its gradient."""
    optimizer.zero_grad()
    loss = torch.sum((layer(kappa(c), q) - data) ** 2) / torch.sum(data**2)
    loss.backward()
    if len(losses) % 10 == 0:
        print(f"evaluation {len(losses)}: {loss.item():.2e}")
    losses.append(loss.item())
    return loss


def error():
    return np.linalg.norm(kappa(c).detach().numpy() - true) / np.linalg.norm(true - UNIT)


before = error()
optimizer.step(closure)
print(f"error of the diffusivity: {before:.2f} -> {error():.2f}")
print(f"loss: {losses[0] / losses[0]:.2f} -> {losses[-1] / losses[0]:.2e}")

if options.figure:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for axis, picture, title in zip(axes, (true, kappa(c).detach().numpy()), ("true", "found"), strict=True):
        shown = axis.imshow(1e6 * picture.T, vmin=0.4, vmax=1.9, extent=(0, 0.4, 0.4, 0))
        axis.plot(*sensors.T, "w.", *heaters[:, 0].T, "r^")
        axis.set(title=f"{title} diffusivity (mm2/s)", xlabel="x (m)", ylabel="z (m)")
        figure.colorbar(shown, ax=axis)
    figure.savefig(options.figure)
