r"""
Sources and medium together
===========================

Of sources that are spread out neither the places nor the medium between is known. The map :math:`(m, w) \mapsto F(m) \,
P_w^T w` has derivatives by both.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import seisops as so

grid = so.Grid(shape=(51, 51), spacing=15.0)
time = so.Time(n=121, step=0.006)
waves = so.Wavefield(grid, time, shots=4)
x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")

# %%
# Two spots radiate in each of four shots, on both sides of a slow body; receivers are all around.

spots = [((200, 250), (520, 560)), ((560, 200), (180, 520)), ((380, 150), (390, 600)), ((130, 370), (610, 390))]
true = np.stack([sum(np.exp(-((x - a) ** 2 + (z - b) ** 2) / 40.0**2) for a, b in shot) for shot in spots])
vp = 2200.0 - 250.0 * np.exp(-((x - 375.0) ** 2 + (z - 375.0) ** 2) / 120.0**2)
receivers = np.concatenate([[(a, b), (b, a)] for a in np.arange(30.0, 721.0, 30.0) for b in (30.0, 720.0)])
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp), max_velocity=3000.0)
F = so.Projection(waves, receivers) * Ainv * so.Wavelet(waves, so.ricker(time, f0=9.0)).H
data = torch.tensor(F @ true)

# %%
# Squared slowness is about 1e-7 s2/m2 and w about one: a relative change is trained. It is smooth, so that it cannot
# stand for sources.

layer = so.torch.lift(so.Parametric(F))
smooth = so.torch.lift(so.model.Smooth(waves, 45.0))
change, w = torch.nn.Parameter(torch.zeros(grid.shape)), torch.nn.Parameter(torch.zeros(true.shape))
optimizer = torch.optim.Adam([{"params": [w], "lr": 0.03}, {"params": [change], "lr": 0.02}])
losses = []
for _ in range(80):
    optimizer.zero_grad()
    m = 2200.0**-2 * (1 + smooth(change))
    loss = torch.sum((layer(m, w) - data) ** 2) / torch.sum(data**2)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(f"loss {losses[0]:.2f} -> {losses[-1]:.4f}")

figure, axes = plt.subplots(2, 2, figsize=(9.6, 7.4), layout="constrained")
found = w[0].detach(), m.detach() ** -0.5
for row, name, (weights, velocity) in zip(axes, ("true", "found"), ((true[0], vp), found), strict=True):
    so.plot.image(grid, weights, f"{name} sources of the first shot", clip=99.9, ax=row[0])
    so.plot.model(grid, velocity, f"{name} velocity", limits=(1950.0, 2250.0), ax=row[1])
