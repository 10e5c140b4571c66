"""Invert for an extended source and for the medium at once: ``F(m) Pw.H w``, differentiable in w and in m.

``Pw.H w`` is a source at every grid point, all with one signature: w are its weights. Run it with
``python examples/torch_extended_source.py``; it takes less than a minute.
"""

import argparse

import numpy as np
import pylops
import torch

import seisops as so
import seisops.torch

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--small", action="store_true", help="fewer iterations")
options.add_argument("--figure", metavar="FILE", help="draw weights and velocities")
options = options.parse_args()

grid = so.Grid(shape=(51, 51), spacing=15.0)
time = so.Time(n=121, step=0.006)
waves = so.Wavefield(grid, time, shots=4)
x, z = np.meshgrid(*(grid.coordinates(axis) for axis in "xz"), indexing="ij")

# the true sources, two spots in each of four shots, and a slow anomaly between them
spots = [((200, 250), (520, 560)), ((560, 200), (180, 520)), ((380, 150), (390, 600)), ((130, 370), (610, 390))]
true_w = np.stack([sum(np.exp(-((x - a) ** 2 + (z - b) ** 2) / 40.0**2) for a, b in shot) for shot in spots])
vp = 2200.0 - 250.0 * np.exp(-((x - 375.0) ** 2 + (z - 375.0) ** 2) / 120.0**2)

# receivers on all four sides
edge = np.arange(30.0, 721.0, 30.0)
receivers = np.concatenate([[(a, b), (b, a)] for a in edge for b in (30.0, 720.0)])

Pr, Pw = so.Projection(waves, receivers), so.Wavelet(waves, so.ricker(time, f0=9.0))
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp), max_velocity=3000.0)
F = Pr * Ainv * Pw.H
data = torch.tensor(F @ true_w)

# m is about 1e-7 s2/m2 while w is about 1: train a relative change of m, whose size is comparable, and give the
# optimizer a step for each; the change is smooth, so that it cannot take the place of the sources
m0 = 2200.0**-2
layer = so.torch.lift(so.Parametric(F, wrt="m"))
smooth = so.torch.lift(pylops.Smoothing2D((9, 9), dims=grid.shape, dtype="float32"))
change = torch.nn.Parameter(torch.zeros(grid.shape))
w = torch.nn.Parameter(torch.zeros(true_w.shape))
optimizer = torch.optim.Adam([{"params": [w], "lr": 0.03}, {"params": [change], "lr": 0.01}])


def medium():
    """Squared slowness in s2/m2."""
    return m0 * (1 + smooth(smooth(change)))


def errors():
    """Relative errors of the weights and of the velocity."""
    found = medium().detach().numpy() ** -0.5
    return (
        np.linalg.norm(w.detach().numpy() - true_w) / np.linalg.norm(true_w),
        np.linalg.norm(found - vp) / np.linalg.norm(2200.0 - vp),
    )


before, losses = errors(), []
for i in range(25 if options.small else 200):
    optimizer.zero_grad()
    loss = torch.sum((layer(medium(), w) - data) ** 2) / torch.sum(data**2)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if i % 20 == 0:
        print(f"iteration {i}: {losses[-1]:.4f}")

after = errors()
print(f"error of the weights: {before[0]:.2f} -> {after[0]:.2f}, of the velocity: {before[1]:.2f} -> {after[1]:.2f}")
print(f"loss: {losses[0] / losses[0]:.2f} -> {losses[-1] / losses[0]:.4f}")

if options.figure:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(8, 7), layout="constrained")
    found = w.detach().numpy(), medium().detach().numpy() ** -0.5
    for row, weights, velocity, name in zip(axes, (true_w, found[0]), (vp, found[1]), ("true", "found"), strict=True):
        for axis, picture, limits, title in (
            (row[0], weights[0], (-1, 1), f"{name} weights, first shot"),
            (row[1], velocity, (1900, 2300), f"{name} velocity (m/s)"),
        ):
            shown = axis.imshow(picture.T, vmin=limits[0], vmax=limits[1], extent=(0, 750, 750, 0))
            axis.set(title=title, xlabel="x (m)", ylabel="z (m)")
            figure.colorbar(shown, ax=axis)
    figure.savefig(options.figure)
