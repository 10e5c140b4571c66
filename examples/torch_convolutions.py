"""Convolution, wave equation, convolution: one network, with kernels on either side of the physics to train.

The velocity is an update convolved in space, the data are traces convolved in time, and between them waves are modelled.
Run it with ``python examples/torch_convolutions.py``; it takes less than a minute.
"""

import argparse

import numpy as np
import torch

import seisops as so
import seisops.torch

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--small", action="store_true", help="fewer iterations")
options.add_argument("--figure", metavar="FILE", help="draw the medium and the kernels")
options = options.parse_args()

grid = so.Grid(shape=(61, 41), spacing=15.0)
time = so.Time(n=131, step=0.006)
waves = so.Wavefield(grid, time, shots=4)
x, z = np.meshgrid(*(grid.coordinates(axis) for axis in "xz"), indexing="ij")

# sources at the top, receivers on all sides
across, down = np.arange(30.0, 871.0, 30.0), np.arange(60.0, 541.0, 30.0)
receivers = np.array([(a, b) for a in across for b in (30.0, 570.0)] + [(a, b) for a in (30.0, 870.0) for b in down])
sources = np.array([[(a, 30.0)] for a in (90.0, 330.0, 570.0, 810.0)])
vp = 2100.0 + 200.0 * np.exp(-((x - 450.0) ** 2 + (z - 300.0) ** 2) / 100.0**2)
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp), max_velocity=2800.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
q = torch.tensor(so.ricker(time, f0=9.0), dtype=torch.float32).expand(4, 1, -1)


class Network(torch.nn.Module):
    """The update of the medium, the kernel that smooths it, the waves, and the kernel of the recorder."""

    def __init__(self):
        super().__init__()
        # relative changes of the squared slowness, which itself is 1e-7 s2/m2: too small for any optimizer's step
        self.update = torch.nn.Parameter(torch.zeros(grid.shape))
        self.space = torch.nn.Conv2d(1, 1, kernel_size=7, padding=3, bias=False)
        torch.nn.init.constant_(self.space.weight, 1 / 49)
        self.waves = so.torch.lift(so.Parametric(F, wrt="m"))
        self.time = torch.nn.Conv1d(1, 1, kernel_size=9, padding=4, bias=False)
        torch.nn.init.dirac_(self.time.weight)

    def m(self):
        """Squared slowness in s2/m2."""
        return 2100.0**-2 * (1 + self.space(self.update[None])[0])

    def forward(self, q):
        """The data of sources."""
        traces = self.waves(self.m(), q)
        return self.time(traces.reshape(-1, 1, time.n)).reshape(traces.shape)


# the recorder smears, and delays; a kernel of torch is the response backwards in time
recorder = torch.tensor([0.0, 0.1, 0.4, 0.8, 0.5, 0.2, 0.0, 0.0, 0.0])
data = torch.tensor(F @ q.numpy()).reshape(-1, 1, time.n)
data = torch.nn.functional.conv1d(data, recorder[None, None], padding=4).reshape(F.range.shape)

network = Network()
optimizer = torch.optim.Adam(
    [
        {"params": [network.update], "lr": 0.02},
        {"params": network.space.parameters(), "lr": 0.0003},
        {"params": network.time.parameters(), "lr": 0.02},
    ]
)


def errors():
    """Relative errors of the velocity, and of the recorder's response to the wavelet."""
    found = network.m().detach().numpy() ** -0.5
    response, wavelet = network.time(q[0]).detach(), torch.nn.functional.conv1d(q[0], recorder[None, None], padding=4)
    return np.linalg.norm(found - vp) / np.linalg.norm(vp - 2100.0), float((response - wavelet).norm() / wavelet.norm())


before, losses = errors(), []
for i in range(20 if options.small else 150):
    optimizer.zero_grad()
    loss = torch.sum((network(q) - data) ** 2) / torch.sum(data**2)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if i % 20 == 0:
        print(f"iteration {i}: {losses[-1]:.4f}")

after = errors()
print(f"error of the velocity: {before[0]:.2f} -> {after[0]:.2f}, of the recorder: {before[1]:.2f} -> {after[1]:.2f}")
print(f"loss: {losses[0] / losses[0]:.2f} -> {losses[-1] / losses[0]:.4f}")

if options.figure:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained")
    for axis, picture, title in zip(
        axes[0], (vp, network.m().detach().numpy() ** -0.5), ("true", "found"), strict=True
    ):
        shown = axis.imshow(picture.T, vmin=2050, vmax=2300, extent=(0, 900, 600, 0))
        axis.set(title=f"{title} velocity (m/s)", xlabel="x (m)", ylabel="z (m)")
        figure.colorbar(shown, ax=axis)
    shown = axes[1, 0].imshow(network.space.weight.detach()[0, 0].T)
    axes[1, 0].set(title="kernel in space")
    figure.colorbar(shown, ax=axes[1, 0])
    t, response = time.samples[:60], network.time(q[0]).detach()[0, :60]
    truth = torch.nn.functional.conv1d(q[0], recorder[None, None], padding=4)[0, :60]
    axes[1, 1].plot(t, q[0, 0, :60], "0.7", t, truth, "k", t, response, "o")
    axes[1, 1].set(title="wavelet (grey), and as recorded: true, found", xlabel="time (s)")
    figure.savefig(options.figure)
