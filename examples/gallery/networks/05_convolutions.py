"""
Convolutions around waves
=========================

Convolution, wave equation, convolution: one network. A recorder that smears and delays is learned together with the
medium, and with the kernel that makes the medium smooth.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import seisops as so

torch.manual_seed(0)
grid = so.Grid(shape=(61, 41), spacing=15.0)
time = so.Time(n=131, step=0.006)
waves = so.Wavefield(grid, time, shots=4)
x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")

# %%
# Receivers are on all sides of a fast body, sources at the top.

vp = 2100.0 + 200.0 * np.exp(-((x - 450.0) ** 2 + (z - 300.0) ** 2) / 100.0**2)
receivers = [(a, b) for a in np.arange(30.0, 871.0, 30.0) for b in (30.0, 570.0)]
receivers += [(a, b) for a in (30.0, 870.0) for b in np.arange(60.0, 541.0, 30.0)]
sources = [[(a, 30.0)] for a in (90.0, 330.0, 570.0, 810.0)]
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp), max_velocity=2800.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
q = torch.tensor(so.ricker(time, f0=9.0), dtype=torch.float32).expand(4, 1, -1)

recorder = torch.nn.Conv1d(1, 1, kernel_size=9, padding=4, bias=False)
# backwards in time, as convolutions of torch are correlations
recorder.weight.data[0, 0] = torch.tensor([0.0, 0.1, 0.4, 0.8, 0.5, 0.2, 0.0, 0.0, 0.0])
data = recorder(torch.tensor(F @ q.numpy()).reshape(-1, 1, time.n)).detach()

# %%
# With k the kernel in space, h that in time and c a relative change of squared slowness, data are
# :math:`h * F(m_0 (1 + k * c)) \, q`. All three are parameters of torch.


class Network(torch.nn.Module):
    """A convolution in space, waves, and a convolution in time."""

    def __init__(self):
        super().__init__()
        self.change = torch.nn.Parameter(torch.zeros(1, *grid.shape))
        self.space = torch.nn.Conv2d(1, 1, kernel_size=7, padding=3, bias=False)
        self.waves = so.torch.lift(so.Parametric(F))
        self.time = torch.nn.Conv1d(1, 1, kernel_size=9, padding=4, bias=False)
        torch.nn.init.constant_(self.space.weight, 1 / 49)
        torch.nn.init.dirac_(self.time.weight)

    def m(self):
        """Squared slowness in s2/m2."""
        return 2100.0**-2 * (1 + self.space(self.change)[0])

    def forward(self, q):
        """The traces of sources."""
        return self.time(self.waves(self.m(), q).reshape(-1, 1, time.n))


network = Network()
rates = {network.change: 0.02, network.space.weight: 0.0003, network.time.weight: 0.02}
optimizer = torch.optim.Adam([{"params": [parameter], "lr": rate} for parameter, rate in rates.items()])
losses = []
for _ in range(120):
    optimizer.zero_grad()
    loss = torch.sum((network(q) - data) ** 2) / torch.sum(data**2)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(f"loss {losses[0]:.2f} -> {losses[-1]:.4f}")

# %%
# Of a kernel is known what the wavelet tells: where that has no energy, kernels may differ.

found = network.m().detach().numpy() ** -0.5
error = np.linalg.norm(found - vp) / np.linalg.norm(vp - 2100.0)
print(f"error of the velocity: {error:.2f} of that of the start")
wavelets = {"recorded": recorder(q[0]).detach(), "found": network.time(q[0]).detach(), "as sent": q[0]}
error = (wavelets["found"] - wavelets["recorded"]).norm() / wavelets["recorded"].norm()
print(f"error of the recorded wavelet: {error:.3f}")

figure, axes = plt.subplots(2, 2, figsize=(10.0, 6.8), layout="constrained")
traces = {name: trace[0] for name, trace in wavelets.items()}
so.plot.traces(time, traces, title="wavelet", ax=axes[0, 0]).set_xlim(0.0, 0.35)
axes[1, 0].imshow(network.space.weight.detach()[0, 0].T)
axes[1, 0].set(title="kernel in space", xlabel="cells along x", ylabel="cells along z")
so.plot.model(grid, vp, "true velocity", limits=(2050.0, 2300.0), ax=axes[0, 1])
so.plot.model(grid, found, "found", limits=(2050.0, 2300.0), ax=axes[1, 1])
