"""What the torch layer adds to a step of full-waveform inversion: forward and backward, against ``G.linearize``.

Run it with ``python benchmarks/torch_layer.py``; both are timed in turn, and the ratio of the medians is printed.
"""

import time
from statistics import median

import numpy as np
import torch

import seisops as so
from seisops.torch import lift

SHOTS, ROUNDS = 4, 15

grid = so.Grid(shape=(201, 101), spacing=10.0)
axis = so.Time(n=251, step=0.004)
waves = so.Wavefield(grid, axis, shots=SHOTS)
vp = np.tile(np.linspace(1500.0, 3000.0, 101), (201, 1))
Pr = so.Projection(waves, [(x, 20.0) for x in np.arange(100.0, 1901.0, 20.0)])
Ps = so.Projection(waves, [[(x, 20.0)] for x in np.linspace(200.0, 1800.0, SHOTS)])
F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=vp)) * Ps.H
G = so.Parametric(F)
q = np.tile(so.ricker(axis, f0=10.0), (SHOTS, 1, 1)).astype("float32")
m = (vp**-2.0).astype("float32")
d = G(1.02 * m, q)


def plain():
    with G.linearize(m, q) as at_m:
        residual = at_m.value - d
        return 0.5 * np.vdot(residual, residual), at_m.pullback(residual, [True, False])[0]


layer = lift(G)
inputs = torch.from_numpy(m).requires_grad_(), torch.from_numpy(q), torch.from_numpy(d)


def through_torch():
    m, q, d = inputs
    m.grad = None
    loss = 0.5 * (layer(m, q) - d).square().sum()
    loss.backward()
    return loss.item(), m.grad.numpy()


def seconds(step):
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


same = np.linalg.norm(plain()[1] - through_torch()[1]) / np.linalg.norm(plain()[1])
pairs = [(seconds(plain), seconds(through_torch)) for _ in range(ROUNDS)]
without, within = map(median, zip(*pairs, strict=True))
print(f"gradients differ by {same:.1e}")
print(f"without torch {without:.3f} s, through the layer {within:.3f} s: ratio {within / without:.3f}")
