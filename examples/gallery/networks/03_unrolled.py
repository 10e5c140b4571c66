r"""
Learning to migrate
===================

An iteration of least squares is a step along a gradient. Unrolled, with a small network after each step, a few
iterations learn what images of rock look like, and do with three solves what takes least squares ten.
"""

import matplotlib.pyplot as plt
import numpy as np
import pylops
import torch
from scipy.ndimage import gaussian_filter

import seisops as so

# %%
# One shot in which sixteen sources fire at once.

torch.manual_seed(0)
grid = so.Grid(shape=(48, 32), spacing=20.0)
time = so.Time(n=129, step=0.006)
waves = so.Wavefield(grid, time)
x, z = (grid.coordinates(axis) for axis in "xz")
rng = np.random.default_rng(1)
receivers, sources = [(a, 40.0) for a in x[::2]], [(a, 40.0) for a in np.linspace(x[3], x[-4], 16)]
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=1800.0 + 0.8 * z * np.ones(grid.shape)))
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
D = so.model.DepthScaling(waves, power=0.5) * so.model.TopMute(waves, depth=120.0)
A = so.Jacobian(F, rng.normal(size=(1, 16, 1)) * so.ricker(time, f0=8.0)) * D

# %%
# It learns from random layers with folds and faults, as many as one likes.


def rock(rng):
    """Coefficients x of an image D x of random layers, of unit size."""
    a, b = np.meshgrid(np.linspace(-0.75, 0.75, 48), np.arange(32), indexing="ij")
    depth = b - rng.uniform(-4, 4) * (a > rng.uniform(-0.6, 0.6)) - rng.uniform(-6, 6) * a
    depth -= rng.uniform(-4, 4) * np.cos(np.pi * a * rng.uniform(0.5, 2.0) + rng.uniform(0, 6))
    tops = np.cumsum(rng.uniform(4, 9, size=12)) - 6
    layers = rng.normal(size=13)[np.searchsorted(tops, depth.ravel())].reshape(a.shape)
    image = (gaussian_filter(layers, 0.7) - gaussian_filter(layers, 3.0)) * (z > 140.0)
    return (image / image.std()).astype("float32")


# %%
# Operators are scaled such that a step of one along the gradient is a good one. The network is
# :math:`x_{k+1} = x_k - s_k A^T (A x_k - d) + C_k(x_k, A^T (A x_k - d))`, and starts as plain gradient descent.

g = A.H @ (A @ rock(rng))
A = float(np.linalg.norm(g) / np.linalg.norm(A @ g)) * A
layer = so.torch.lift(A)


class Update(torch.nn.Module):
    """A step along the gradient, and what a small network adds to it."""

    def __init__(self, channels=24):
        super().__init__()
        self.step = torch.nn.Parameter(torch.tensor(1.0))
        layers = [torch.nn.Conv2d(2, channels, 5, padding=2), torch.nn.ReLU()]
        layers += [torch.nn.Conv2d(channels, channels, 3, padding=2, dilation=2), torch.nn.ReLU()]
        self.network = torch.nn.Sequential(*layers, torch.nn.Conv2d(channels, 1, 3, padding=1))
        torch.nn.init.zeros_(self.network[-1].weight)
        torch.nn.init.zeros_(self.network[-1].bias)

    def forward(self, x, gradient):
        """The next coefficients."""
        return x - self.step * gradient + self.network(torch.stack([x, gradient], dim=1))[:, 0]


updates = torch.nn.ModuleList(Update() for _ in range(2))


def migrate(d):
    """Coefficients of an image from a batch of data: three solves each."""
    x = torch.zeros(len(d), *grid.shape)
    for i, update in enumerate(updates):
        x = update(x, layer.H(layer(x) - d if i else -d))
    return x


optimizer = torch.optim.Adam(updates.parameters(), lr=3e-3)
losses = []
for _ in range(100):
    true = torch.tensor(np.stack([rock(rng), rock(rng)]))
    loss = torch.sum((migrate(layer(true)) - true) ** 2) / torch.sum(true**2)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(f"loss of the first ten models {np.mean(losses[:10]):.2f}, of the last ten {np.mean(losses[-10:]):.2f}")

# %%
# On models that it has never seen it is compared with conjugate gradients, which take two solves for an iteration and
# two to begin with.

errors, unseen = {}, np.random.default_rng(12345)
for _ in range(6):
    true = rock(unseen)
    d = A @ true
    found = {}
    for n in (1, 4):
        found[f"least squares, {2 * n + 2} solves"] = pylops.cgls(A, d.ravel(), niter=n, tol=0.0)[0].reshape(grid.shape)
    with torch.no_grad():
        found["network, 3 solves"] = migrate(torch.tensor(d)[None])[0].numpy()
    for name, x in found.items():
        errors.setdefault(name, []).append(np.linalg.norm(x - true) / np.linalg.norm(true))
for name, values in errors.items():
    print(f"{name}: error {np.mean(values):.2f}")

figure, axes = plt.subplots(2, 2, figsize=(10.0, 6.6), layout="constrained")
for ax, (name, x) in zip(axes.flat, {"truth": true, **found}.items(), strict=True):
    so.plot.image(grid, x, name, ax=ax)
    ax.images[0].set_clim(-2.5, 2.5)
