"""A network of unrolled iterations of least-squares migration: ``x <- x + CNN(x, J.H (J x - d))``.

It learns from random layers and faults to migrate one shot in which many sources fire at once. On models that it has
never seen it is compared with migration (RTM) and with conjugate gradients (LSRTM) at the same number of solves. Run it
with ``python examples/torch_unrolled_lsrtm.py``; it takes four minutes.
"""

import argparse

import numpy as np
import pylops
import torch
from scipy.ndimage import gaussian_filter

import seisops as so
import seisops.torch

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--small", action="store_true", help="a smaller model and network, fewer steps of training")
options.add_argument("--figure", metavar="FILE", help="draw the images of one unseen model")
options = options.parse_args()
torch.manual_seed(0)

if options.small:
    shape, iterations, channels, layers, steps, rate, unseen = (48, 32), 3, 24, 3, 160, 6e-3, 6
else:
    shape, iterations, channels, layers, steps, rate, unseen = (64, 40), 5, 32, 4, 400, 3e-3, 12

grid = so.Grid(shape, spacing=20.0)
time = so.Time(n=4 * shape[1] + 1, step=0.006)
waves = so.Wavefield(grid, time)
x, z = (grid.coordinates(axis) for axis in "xz")

# one shot: sixteen sources fire at once, each with a random weight
random = np.random.default_rng(1)
sources = np.array([(a, 40.0) for a in np.linspace(x[3], x[-4], 16)])
receivers = np.array([(a, 40.0) for a in x[::2]])
q = random.normal(size=(1, 16, 1)) * so.ricker(time, f0=8.0)
vp = 1800.0 + 0.8 * z * np.ones(shape)
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp))
J = so.Jacobian(so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H, q)

# a top mute and a scaling with depth, for all three methods
mute = np.clip((z - 120.0) / 80.0, 0.0, 1.0)
weight = (mute * np.sqrt(z / z[-1])).astype("float32")
D = pylops.Diagonal(weight, dims=shape, axis=1, dtype="float32")


def reflectivity(random):
    """A perturbation of random dipping, folded layers, cut by a fault, of unit size and without long wavelengths."""
    a, b = np.meshgrid(np.linspace(-1.0, 1.0, shape[0]) * shape[0] / 64, np.arange(shape[1]), indexing="ij")
    fault = random.uniform(-0.6, 0.6) + random.uniform(-0.5, 0.5) * (b / shape[1] - 0.5)
    depth = b - random.uniform(-4, 4) * (a > fault) - random.uniform(-6, 6) * a
    depth -= random.uniform(-4, 4) * np.cos(np.pi * a * random.uniform(0.5, 2.0) + random.uniform(0, 6))
    tops = np.cumsum(random.uniform(4, 9, size=12)) - 6
    m = random.normal(size=13)[np.searchsorted(tops, depth.ravel())].reshape(shape)
    m = mute * (gaussian_filter(m, 0.7) - gaussian_filter(m, 3.0))
    return (m / np.sqrt(np.mean(m**2))).astype("float32")


# scaled so that a step of 1 along the gradient is a good one; conjugate gradients do not mind
A = J * D
g = A.H @ (A @ reflectivity(random))
A = float(np.linalg.norm(g.astype(float)) / np.linalg.norm((A @ g).astype(float))) * A
layer, weights = so.torch.lift(A), torch.tensor(weight)


def simulate(models):
    """The data of models dm = D x."""
    return layer(torch.where(weights > 0, models / weights, 0.0))


class Update(torch.nn.Module):
    """One iteration: a step along the gradient, and what a small CNN adds to it; it also hands on a memory."""

    memory = 8

    def __init__(self):
        super().__init__()
        self.step = torch.nn.Parameter(torch.tensor(1.0))
        stack = [torch.nn.Conv2d(3 + self.memory, channels, 3, padding=1), torch.nn.ReLU()]
        for _ in range(layers - 1):
            stack += [torch.nn.Conv2d(channels, channels, 3, padding=2, dilation=2), torch.nn.ReLU()]
        last = torch.nn.Conv2d(channels, 1 + self.memory, 3, padding=1)
        torch.nn.init.zeros_(last.weight[:1].data)  # training begins with plain gradient descent
        torch.nn.init.zeros_(last.bias.data)
        self.cnn = torch.nn.Sequential(*stack, last)

    def forward(self, x, gradient, memory):
        """The next image and memory."""
        known = torch.stack([x, gradient, weights.expand(x.shape)], dim=1)
        out = self.cnn(torch.cat([known, memory], dim=1))
        return x - self.step * gradient + out[:, 0], torch.relu(out[:, 1:])


class Unrolled(torch.nn.Module):
    """From data to an image, with one application of A.H in every iteration and of A between them."""

    def __init__(self):
        super().__init__()
        self.updates = torch.nn.ModuleList(Update() for _ in range(iterations))

    def forward(self, d):
        """The perturbations that a batch of data shows."""
        x, memory = torch.zeros(len(d), *shape), torch.zeros(len(d), Update.memory, *shape)
        for i, update in enumerate(self.updates):
            residual = layer(x) - d if i else -d
            x, memory = update(x, layer.H(residual), memory)
        return weights * x


def loss_of(network, models):
    """Relative squared error of the network's images of a batch of models, from their data."""
    return torch.sum((network(simulate(models)) - models) ** 2) / torch.sum(models**2)


# training: a new random model in every step; the loss of models for validation, before and after
network = Unrolled()
random = np.random.default_rng(99)
validation = torch.tensor(np.stack([reflectivity(random) for _ in range(8)]))
with torch.no_grad():
    before = loss_of(network, validation).item()
optimizer = torch.optim.Adam(network.parameters())
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps, pct_start=0.1)
random, losses = np.random.default_rng(7), []
for i in range(steps):
    loss = loss_of(network, torch.tensor(reflectivity(random))[None])
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
    if (i + 1) % (steps // 8) == 0:
        print(f"model {i + 1}: {np.mean(losses[-(steps // 8) :]):.3f}", flush=True)
with torch.no_grad():
    after = loss_of(network, validation).item()
print(f"loss: {before / before:.2f} -> {after / before:.2f}")


def error(image, true):
    """Relative L2 error."""
    return float(np.linalg.norm(image - true) / np.linalg.norm(true))


def migrate(d, true):
    """The best scaled RTM image."""
    image = (D @ (A.H @ d).ravel()).reshape(shape)
    return image * (np.vdot(image, true) / np.vdot(image, image))


def least_squares(d, n):
    """The image after n iterations of conjugate gradients."""
    return (D @ pylops.cgls(A, d.ravel(), niter=n, tol=0.0)[0]).reshape(shape)


# what each spends: the network A.H in every iteration and A between them; cgls both in its setup and in every iteration
random = np.random.default_rng(12345)
n = iterations - 1
rows = {"RTM": 1, "LSRTM": 2 * n + 2, "network": 2 * iterations - 1, "LSRTM, longer": 16 * n + 2}
table = {name: [] for name in rows}
for _ in range(unseen):
    true = reflectivity(random)
    with torch.no_grad():
        d = simulate(torch.tensor(true))
        image = network(d[None])[0].numpy()
    d = d.numpy()
    images = migrate(d, true), least_squares(d, n), image, least_squares(d, 8 * n)
    for name, image in zip(rows, images, strict=True):
        table[name].append(error(image, true))

print(f"{'method':14} solves  error (mean of {unseen} unseen models)")
for name, solves in rows.items():
    print(f"{name:14} {solves:6d}  {np.mean(table[name]):.3f}")

if options.figure:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained")
    names = ["true", *(f"{name}, {solves} solves" for name, solves in rows.items())][:4]
    for axis, picture, title in zip(axes.flat, (true, *images[:3]), names, strict=True):
        axis.imshow(picture.T, cmap="gray", vmin=-2.5, vmax=2.5, extent=(x[0], x[-1], z[-1], z[0]))
        axis.set(title=title, xlabel="x (m)", ylabel="z (m)")
    figure.savefig(options.figure)
