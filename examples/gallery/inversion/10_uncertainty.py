r"""
What a model is worth
=====================

Data say much about a model along few directions, and nothing along all others. Eigenpairs of a Hessian tell the ones
from the others.
"""

import matplotlib.pyplot as plt
import numpy as np

import seisops as so
from seisops.inversion import Misfit, Posterior, point_spread

grid = so.Grid(shape=(61, 41), spacing=20.0)
time = so.Time(n=201, step=0.005)
waves = so.Wavefield(grid, time, shots=6)
vp = np.broadcast_to(np.linspace(1800.0, 2600.0, 41), grid.shape)

receivers = [(x, 20.0) for x in grid.coordinates("x")[1::2]]
sources = [[(x, 20.0)] for x in np.linspace(100.0, 1100.0, 6)]
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp), max_velocity=3200.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
q = np.tile(so.ricker(time, f0=8.0), (6, 1, 1))
d = F @ q

# %%
# Before there are data, velocities differ by 100 m/s from the model, smoothly, over 60 m: P is a root of that
# covariance. Noise is 10 % of the largest sample. Then the misfit's Hessian is relative to the prior, and of its
# eigenvalues those above 1 are what data say.

smooth = so.model.Smooth(waves, 60.0)
spread = np.linalg.norm(point_spread(smooth, (600.0, 400.0)))  # smoothing white noise leaves so much of it
misfit = Misfit(
    so.Parametric(F, "vp"), d, q, weights=1.0 / (0.1 * np.abs(d).max()), P=(100.0 / spread) * smooth, start=vp
)  # fmt: skip
posterior = Posterior(misfit, np.zeros(grid.size), rank=40)
print(posterior)
print("eigenvalues:", *(f"{value:.3g}" for value in posterior.eigenvalues[::8]))

# %%
# Standard deviations, before and after; two models of the prior, and what the data leave of the same two; and how a
# cell depends on those around it. All of that is made of the eigenpairs, without another solve.

before, after = posterior.std(1000, prior=True), posterior.std(1000)
figure, axes = plt.subplots(3, 2, figsize=(11.0, 8.5), layout="constrained", sharex=True, sharey=True)
label = "m/s"
so.plot.model(grid, before, "standard deviation of the prior", label, (0.0, 150.0), ax=axes[0, 0])
so.plot.model(grid, after, "with the data", label, (0.0, 150.0), ax=axes[0, 1])
for ax, title, drawn in zip(axes[1], ("a model of the prior", "what data leave of it"), (True, False), strict=True):
    so.plot.model(grid, posterior.samples(1, prior=drawn)[0] - vp, title, label, (-250.0, 250.0), ax=ax)
for ax, z in zip(axes[2], (200.0, 600.0), strict=True):
    (covariance,) = point_spread(posterior.covariance, (600.0, z))
    so.plot.image(grid, covariance, f"covariance with the cell at {z:.0f} m", clip=100.0, ax=ax)

# %%
# Which shots say most: one after another, the one that adds most to what is known from those before.

shots, nats = posterior.best_shots(6)
for shot, known in zip(shots, nats, strict=True):
    print(f"shot at {sources[shot][0][0]:6.0f} m: {known:.1f} nats")
