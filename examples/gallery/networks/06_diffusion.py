"""
Heat instead of waves
=====================

An equation that you write gets its adjoint, its derivatives and its layer of torch as any other. Here heat spreads in a
plate, and a few thermometers tell where it spreads fast.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from devito import Derivative

import seisops as so

# %%
# The residual of :math:`T_t - \nabla \cdot \kappa \nabla T = q`, with forward differences in time. The flux is half a
# cell after the nodes, its divergence on them.


class Diffusion(so.WaveEquation):
    """T_t - div(kappa grad T) = q; kappa in m2/s."""

    parameters = ("kappa",)
    fields = ("T",)

    def residual(self, fields, parameters):
        """What is zero where no heat is brought in."""
        T, kappa, divergence = fields.T, parameters.kappa, 0
        for d in T.space_dimensions:
            after, before = {d: d + d.spacing / 2}, {d: d - d.spacing / 2}
            between = Derivative(kappa, d, deriv_order=0, fd_order=2, x0=after)
            flux = between * Derivative(T, d, fd_order=2, x0=after)
            divergence += Derivative(flux, d, fd_order=2, x0=before)
        return ((T.forward - T) / T.grid.stepping_dim.spacing - divergence,)


# %%
# A plate of rock, 40 cm wide, with two inclusions. In five experiments one heater each is on for 200 s; 49 thermometers
# are read for 40 minutes.

grid = so.Grid(shape=(41, 41), spacing=0.01)
time = so.Time(n=241, step=10.0)
waves = so.Wavefield(grid, time, shots=5)
x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")
fast, slow = (np.exp(-((x - a) ** 2 + (z - b) ** 2) / 0.05**2) for a, b in ((0.13, 0.15), (0.28, 0.26)))
true = 1e-6 * (1.0 + 0.8 * fast - 0.5 * slow)

places = np.arange(0.05, 0.36, 0.05)
sensors = np.array([(a, b) for a in places for b in places])
heaters = np.array([[(a, b)] for a, b in ((0.1, 0.1), (0.1, 0.3), (0.2, 0.2), (0.3, 0.1), (0.3, 0.3))])
heat = np.where(time.samples < 200.0, 1e-3, 0.0) * np.ones((5, 1, 1))  # m2 K/s
fastest = Diffusion(grid, kappa=2.2e-6)  # that will be tried: the time step is that of it
Ainv = so.Modeling(waves, fastest, boundary=None, space_order=2)
F = so.Projection(waves, sensors) * Ainv * so.Projection(waves, heaters).H
print(f"dot test: {so.check.dot_test(F):.0e}")

# %%
# Unknown are 9 by 9 numbers, of which an interpolation and a sigmoid make a diffusivity within bounds. Torch's L-BFGS
# fits the temperatures.

layer, q = so.torch.lift(so.Parametric(F, wrt="kappa")), torch.tensor(heat)
data = layer(torch.tensor(true), q)
c = torch.nn.Parameter(torch.full((1, 1, 9, 9), -np.log(1.5)))  # kappa = 1e-6 m2/s


def kappa():
    """Diffusivity in m2/s."""
    fine = torch.nn.functional.interpolate(c, size=grid.shape, mode="bicubic", align_corners=True)[0, 0]
    return 1e-6 * (0.2 + 2.0 * torch.sigmoid(fine))


def closure():
    """Misfit of the temperatures, and its gradient."""
    optimizer.zero_grad()
    loss = torch.sum((layer(kappa(), q) - data) ** 2) / torch.sum(data**2)
    loss.backward()
    return loss


stop = {"max_iter": 40, "tolerance_grad": 0, "tolerance_change": 0}
optimizer = torch.optim.LBFGS([c], line_search_fn="strong_wolfe", **stop)
first, last = optimizer.step(closure).item(), closure().item()
found = kappa().detach().numpy()
print(f"loss {first:.0e} -> {last:.0e}")
error = np.linalg.norm(found - true) / np.linalg.norm(true - 1e-6)
print(f"error of the diffusivity: {error:.2f} of that of the start")

figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 4.4), layout="constrained")
for ax, title, values in ((left, "true", true), (right, "found", found)):
    so.plot.model(grid, 1e6 * values, f"{title} diffusivity", "mm2/s", (0.4, 1.9), ax=ax)
    ax.plot(*sensors.T, "w.", *heaters[:, 0].T, "r^")
