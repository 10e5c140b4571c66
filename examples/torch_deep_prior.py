"""Full-waveform inversion for the weights of a network that draws the model: a deep prior, against pixels.

The network sees noise that never changes, and its weights are all that is inverted for; what it finds hard to draw, such
as speckle, it draws late. Both inversions start from one model and take the same number of solves. Run it with
``python examples/torch_deep_prior.py``; it takes a minute or two.
"""

import argparse

import numpy as np
import torch

import seisops as so
import seisops.torch
from seisops.demo import thrust_belt

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--small", action="store_true", help="a smaller model and fewer iterations")
options.add_argument("--noise", type=float, default=0.1, help="norm of the noise, relative to that of the data")
options.add_argument("--figure", metavar="FILE", help="draw the models")
options = options.parse_args()
torch.manual_seed(0)

shape, samples, shots, iterations = ((64, 32), 141, 2, 32) if options.small else ((96, 48), 201, 4, 120)
grid = so.Grid(shape, spacing=25.0)
time = so.Time(samples, step=0.008)
waves = so.Wavefield(grid, time, shots)
x, z = (grid.coordinates(axis) for axis in "xz")

# the water is known; below it the start is a velocity that grows with depth
vp = torch.tensor(thrust_belt(grid))
free = torch.tensor(z > 0.12 * z[-1])
start = torch.where(free, torch.tensor(np.interp(z, (0.12 * z[-1], z[-1]), (1800.0, 3700.0))), 1500.0)
start = start.float().repeat(len(x), 1)

receivers = np.array([(a, 50.0) for a in x[::2]])
sources = np.array([[(a, 50.0)] for a in np.linspace(x[4], x[-5], shots)])
low, high = 1400.0, 4500.0
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp.numpy()), max_velocity=high)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
q = torch.tensor(so.ricker(time, f0=5.0), dtype=torch.float32).expand(shots, 1, -1)
layer = so.torch.lift(so.Parametric(F, wrt="m"))

data = layer(vp**-2, q)
noise = torch.randn_like(data)
data = data + options.noise * data.norm() / noise.norm() * noise


def velocity(change):
    """Velocity in m/s, within its limits: both inversions change a dimensionless number that is 0 at the start."""
    return low + (high - low) * torch.sigmoid(torch.logit((start - low) / (high - low)) + free * change)


class Pixels(torch.nn.Module):
    """One weight for every cell."""

    def __init__(self):
        super().__init__()
        self.change = torch.nn.Parameter(torch.zeros(shape))

    def forward(self):
        """The velocity in m/s."""
        return velocity(self.change)


class DeepPrior(torch.nn.Module):
    """A decoder from noise on a coarse grid to the model, by three steps of upsampling and convolution."""

    def __init__(self, channels=32):
        super().__init__()
        self.register_buffer("noise", torch.randn(1, 8, shape[0] // 8, shape[1] // 8))
        stack = []
        for inputs in (8, channels, channels):
            stack += [
                torch.nn.Upsample(scale_factor=2, mode="bilinear"),
                torch.nn.Conv2d(inputs, channels, 3, padding=1),
                torch.nn.LeakyReLU(0.2),
            ]
        last = torch.nn.Conv2d(channels, 1, 3, padding=1)
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.zeros_(last.bias)
        self.decoder = torch.nn.Sequential(*stack, last)

    def forward(self):
        """The velocity in m/s."""
        return velocity(self.decoder(self.noise)[0, 0])


def invert(name, network, rate):
    """Fit the data by Adam; the losses, the errors of the model, and the model."""
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    losses, errors = [], []
    for i in range(iterations):
        optimizer.zero_grad()
        v = network()
        loss = torch.sum((layer(v**-2, q) - data) ** 2) / torch.sum(data**2)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        errors.append(float((v.detach() - vp).norm() / (start - vp).norm()))
        if i % 20 == 0 or i == iterations - 1:
            print(f"{name}, iteration {i}: data {losses[-1] / losses[0]:.3f}, model {errors[-1]:.3f}", flush=True)
    return losses, errors, v.detach()


# each at a rate that serves it well: pixels were tried at 0.02 to 0.4, the network at 0.001 to 0.02, where it diverges
results = {"pixels": invert("pixels", Pixels(), 0.1), "deep prior": invert("deep prior", DeepPrior(), 0.003)}

print(f"{'method':11} solves  data   model (error relative to the start's)")
for name, (losses, errors, _) in results.items():
    print(f"{name:11} {2 * shots * iterations:6d}  {losses[-1] / losses[0]:.3f}  {errors[-1]:.3f}")
losses = results["deep prior"][0]
print(f"loss: {losses[0] / losses[0]:.2f} -> {losses[-1] / losses[0]:.2f}")

if options.figure:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(10, 6), layout="constrained")
    pictures = {"true": vp, "start": start, **{name: found for name, (_, _, found) in results.items()}}
    for axis, (name, picture) in zip(axes.flat, pictures.items(), strict=True):
        shown = axis.imshow(picture.T, vmin=1500, vmax=4000, extent=(x[0], x[-1], z[-1], z[0]))
        axis.set(title=name, xlabel="x (m)", ylabel="z (m)")
    figure.colorbar(shown, ax=axes, label="velocity (m/s)")
    figure.savefig(options.figure)
