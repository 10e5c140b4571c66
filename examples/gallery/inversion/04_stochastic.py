"""
Stochastic inversion
====================

A few shots tell the way nearly as well as all of them. Each iteration takes some at random; operators and misfits
select.
"""

import matplotlib.pyplot as plt
import numpy as np

import seisops as so
from seisops.demo import smoothed, thrust_belt

grid = so.Grid(shape=(101, 51), spacing=24.0)
time = so.Time(n=251, step=0.006)
shots = 12
waves = so.Wavefield(grid, time, shots=shots)
vp = thrust_belt(grid)
vp0 = smoothed(vp**-2.0, cells=4) ** -0.5
receivers = [(x, 48.0) for x in grid.coordinates("x")[::2]]
sources = [[(x, 48.0)] for x in np.linspace(100.0, 2300.0, shots)]
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp0), max_velocity=4600.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
q = np.tile(so.ricker(time, f0=5.0), (shots, 1, 1))
d = F.at(vp=vp) @ q

P = 1000.0 * so.model.DepthScaling(waves, power=0.5) * so.model.WaterMask(waves, vp0, tolerance=20.0)
misfit = so.inversion.LeastSquares(so.Parametric(F, wrt="vp"), d, q, weights=10 / np.linalg.norm(d), P=P, start=vp0)

# %%
# :class:`~seisops.inversion.Batches` depends on its seed and on the number of the iteration alone, so that a run that
# is repeated makes the same choices; every epoch takes each shot once. The step is Adam's (Kingma & Ba 2015,
# arXiv:1412.6980), in km/s.

batches = so.inversion.Batches(shots=shots, size=2, seed=0)
x, mean, square = np.zeros((3, grid.size))
errors = []
for k in range(36):
    value, gradient = misfit.select(batches[k])(x)
    mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
    x = x - 0.03 * (mean / (1 - 0.9 ** (k + 1))) / np.sqrt(square / (1 - 0.99 ** (k + 1)) + 1e-12)
    errors.append(np.linalg.norm(misfit.model(x) - vp) / np.linalg.norm(vp0 - vp))

# %%
# Six iterations have the cost of one with all shots.

print(f"misfit {misfit(0 * x)[0]:.2f} -> {misfit(x)[0]:.3f} in {len(errors) // 6} passes, model error {errors[-1]:.2f}")
figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.0), layout="constrained")
for ax, (name, v) in zip(axes.flat, {"truth": vp, "start": vp0, "found": misfit.model(x)}.items(), strict=False):
    so.plot.model(grid, v, name, limits=(1500.0, 4300.0), ax=ax)
so.plot.curves({"error of the model": errors}, ax=axes[1, 1])
