"""A layer of a network that is a wave equation: ``d = W (J x) + b``, with an image, weights and a bias to train.

J is a linearised (Born) modelling operator, W a dense layer on the samples of every trace: here it has to learn what an
unknown recorder does to them. Run it with ``python examples/torch_born_layer.py``; it takes half a minute.
"""

import argparse

import numpy as np
import torch

import seisops as so
import seisops.torch

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--small", action="store_true", help="fewer iterations")
options.add_argument("--figure", metavar="FILE", help="draw the image and the weights")
options = options.parse_args()
torch.manual_seed(0)

grid = so.Grid(shape=(61, 41), spacing=15.0)
time = so.Time(n=121, step=0.006)
waves = so.Wavefield(grid, time, shots=5)
x, z = (grid.coordinates(axis) for axis in "xz")

receivers = np.array([(a, 30.0) for a in x[::2]])
sources = np.array([[(a, 30.0)] for a in (50.0, 250.0, 450.0, 650.0, 850.0)])
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=2000.0))
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
J = so.Jacobian(F, np.tile(so.ricker(time, f0=9.0), (5, 1, 1)))

# two reflectors, in units in which they are 1; the operator is scaled for the data to be about 1 as well: gradients of
# the image, of the weights and of the bias are then of one size, and float32 does not overflow
true = np.zeros(grid.shape, dtype="float32")
true[:, 18], true[20:45, 30] = 1.0, -1.0
J = (1.0 / float(np.abs(J @ true).max())) * J

# the recorder rings, and drifts away from zero
t = time.samples
lag = np.subtract.outer(t, t)
ringing = np.where(lag >= 0, np.exp(-np.abs(lag) / 0.02) * np.cos(2 * np.pi * 12.0 * lag), 0.0)
data = torch.tensor(J @ true @ ringing.T + 0.1 * t, dtype=torch.float32)

born = so.torch.lift(J)
dense = torch.nn.Linear(time.n, time.n)
torch.nn.init.eye_(dense.weight)
torch.nn.init.zeros_(dense.bias)
image = torch.nn.Parameter(torch.zeros(grid.shape))

optimizer = torch.optim.Adam([{"params": [image], "lr": 0.05}, {"params": dense.parameters(), "lr": 0.002}])
losses = []
for i in range(25 if options.small else 150):
    optimizer.zero_grad()
    loss = torch.mean((dense(born(image)) - data) ** 2) / torch.mean(data**2)
    loss.backward()
    if i == 0:  # at image 0 the weights have no gradient yet: there is nothing that they could weigh
        print(
            "gradients at the start:",
            *(
                f"{name} {norm:.1e}"
                for name, norm in (
                    ("image", image.grad.norm()),
                    ("weights", dense.weight.grad.norm()),
                    ("bias", dense.bias.grad.norm()),
                )
            ),
        )
    optimizer.step()
    losses.append(loss.item())
    if i % 10 == 0:
        print(f"iteration {i}: {losses[-1]:.4f}")

found = image.detach().numpy()
print(f"correlation of the image with the true one: {np.corrcoef(found.ravel(), true.ravel())[0, 1]:.2f}")
print(f"loss: {losses[0] / losses[0]:.2f} -> {losses[-1] / losses[0]:.4f}")

if options.figure:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.5), layout="constrained")
    extent = (x[0], x[-1], z[-1], z[0])
    for axis, picture, title in ((axes[0], true, "true image"), (axes[1], found, "found image")):
        axis.imshow(picture.T, cmap="gray", extent=extent)
        axis.set(title=title, xlabel="x (m)", ylabel="z (m)")
    axes[2].imshow(dense.weight.detach(), cmap="seismic", vmin=-1, vmax=1)
    axes[2].set(title="weights", xlabel="sample in", ylabel="sample out")
    figure.savefig(options.figure)
