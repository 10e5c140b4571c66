"""
A wave equation as a layer
==========================

``so.torch.lift`` makes a ``torch.nn.Module`` of an operator or a map. Here a recorder that rings is learned together
with the image of which it recorded the data.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import seisops as so

torch.manual_seed(0)
grid = so.Grid(shape=(61, 41), spacing=15.0)
time = so.Time(n=121, step=0.006)
waves = so.Wavefield(grid, time, shots=5)
receivers = [(x, 30.0) for x in grid.coordinates("x")[::2]]
sources = [[(x, 30.0)] for x in (50.0, 250.0, 450.0, 650.0, 850.0)]
Pr, Ps = so.Projection(waves, receivers), so.Projection(waves, sources)
F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=2000.0)) * Ps.H
J = so.Jacobian(F, np.tile(so.ricker(time, f0=9.0), (5, 1, 1)))

# %%
# Images and data are numbers of order one, so that gradients by the image, the weights and the bias are of one size.

true = np.zeros(grid.shape, dtype="float32")
true[:, 18], true[20:45, 30] = 1.0, -1.0
J = (1.0 / float(np.abs(J @ true).max())) * J

lag = np.subtract.outer(time.samples, time.samples)
ringing = np.where(lag >= 0, np.exp(-np.abs(lag) / 0.02) * np.cos(2 * np.pi * 12.0 * lag), 0.0)
data = torch.tensor(J @ true @ ringing.T + 0.1 * time.samples, dtype=torch.float32)

# %%
# Born modeling, then a dense layer on the samples of each trace: :math:`d = W J x + b`, with x, W and b unknown. Torch
# differentiates through the wave equation, by its exact adjoint.

born, dense = so.torch.lift(J), torch.nn.Linear(time.n, time.n)
torch.nn.init.eye_(dense.weight)
torch.nn.init.zeros_(dense.bias)
image = torch.nn.Parameter(torch.zeros(grid.shape))

optimizer = torch.optim.Adam([{"params": [image], "lr": 0.05}, {"params": dense.parameters(), "lr": 0.002}])
losses = []
for _ in range(70):
    optimizer.zero_grad()
    loss = torch.mean((dense(born(image)) - data) ** 2) / torch.mean(data**2)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(f"loss {losses[0]:.2f} -> {losses[-1]:.4f}")

figure, axes = plt.subplots(2, 2, figsize=(10.0, 6.6), layout="constrained")
so.plot.image(grid, true, "true image", clip=100, ax=axes[0, 0])
so.plot.image(grid, image.detach(), "found", clip=100, ax=axes[1, 0])
axes[0, 1].imshow(dense.weight.detach(), cmap="seismic", vmin=-1, vmax=1)
axes[0, 1].set(title="weights", xlabel="sample in", ylabel="sample out")
so.plot.curves({"loss": np.log10(losses)}, ylabel="logarithm to base 10", ax=axes[1, 1])
