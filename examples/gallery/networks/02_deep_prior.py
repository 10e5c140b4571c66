"""
A network as a prior
====================

A network that draws models from noise that never changes finds rock easier to draw than speckle. Its weights are all
that is inverted for.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import seisops as so
from seisops.demo import thrust_belt

torch.manual_seed(0)
grid = so.Grid(shape=(64, 32), spacing=25.0)
time = so.Time(n=141, step=0.008)
waves = so.Wavefield(grid, time, shots=2)
x, z = (grid.coordinates(axis) for axis in "xz")
vp = torch.tensor(thrust_belt(grid))
rock = torch.tensor(z > 0.12 * z[-1])
start = torch.where(rock, torch.tensor(np.interp(z, (96.0, z[-1]), (1800.0, 3700.0))), 1500.0).float().repeat(len(x), 1)

receivers, sources = [(a, 50.0) for a in x[::2]], [[(300.0, 50.0)], [(1300.0, 50.0)]]
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp.numpy()), max_velocity=4500.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
q = torch.tensor(so.ricker(time, f0=5.0), dtype=torch.float32).expand(2, 1, -1)

# %%
# The layer is the nonlinear map :math:`(v, q) \mapsto F(v) \, q`. Data have noise, of a fifth of their norm.

layer = so.torch.lift(so.Parametric(F, wrt="vp"))
data = layer(vp, q)
noise = torch.randn_like(data)
data = data + 0.2 * data.norm() / noise.norm() * noise

# %%
# Both inversions change a dimensionless number, of which a sigmoid makes a velocity within bounds: one has a weight for
# every cell, the other is a decoder of three convolutions.


def velocity(change):
    """Velocity in m/s, from a number that is zero at the start."""
    return 1400.0 + 3100.0 * torch.sigmoid(torch.logit((start - 1400.0) / 3100.0) + rock * change)


def decoder(channels=32):
    """From noise on a coarse grid to a model; it starts at zero."""
    stack = []
    for inputs in (8, channels, channels):
        stack += [torch.nn.Upsample(scale_factor=2, mode="bilinear"), torch.nn.Conv2d(inputs, channels, 3, padding=1)]
        stack += [torch.nn.LeakyReLU(0.2)]
    last = torch.nn.Conv2d(channels, 1, 3, padding=1)
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    return torch.nn.Sequential(*stack, last)


def invert(change, parameters, rate):
    """Errors of the model by iteration, and the model, by Adam."""
    optimizer, errors = torch.optim.Adam(parameters, lr=rate), []
    for _ in range(60):
        optimizer.zero_grad()
        v = velocity(change())
        torch.sum((layer(v, q) - data) ** 2 / data.norm() ** 2).backward()
        optimizer.step()
        errors.append(float((v.detach() - vp).norm() / (start - vp).norm()))
    return errors, v.detach()


pixels, network, seen = torch.zeros(grid.shape, requires_grad=True), decoder(), torch.randn(1, 8, 8, 4)
found = {
    "pixels": invert(lambda: pixels, [pixels], 0.1),
    "deep prior": invert(lambda: network(seen)[0, 0], network.parameters(), 0.003),
}

figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.0), layout="constrained")
so.plot.model(grid, vp, "truth", limits=(1500.0, 4300.0), ax=axes[0, 0])
for ax, (name, (errors, v)) in zip(axes.flat[1:], found.items(), strict=False):
    so.plot.model(grid, v, name, limits=(1500.0, 4300.0), ax=ax)
    print(f"{name}: error of the model {100 * errors[-1]:.0f} % of that of the start")
so.plot.curves({name: errors for name, (errors, _) in found.items()}, ylabel="error of the model", ax=axes[1, 1])
