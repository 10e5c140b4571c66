r"""
Where sources are
=================

Data depend on where sources and receivers are as well, and can be differentiated by that: earthquakes are located by
their whole records.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import seisops as so
from seisops.inversion import LeastSquares

grid = so.Grid(shape=(81, 61), spacing=20.0)
time = so.Time(n=161, step=0.006)
waves = so.Wavefield(grid, time, shots=5)
vp = 1800.0 + 0.8 * grid.coordinates("z") + np.zeros(grid.shape)

true = np.array([[(400.0, 700.0)], [(650.0, 820.0)], [(830.0, 610.0)], [(1050.0, 900.0)], [(1260.0, 760.0)]])
guess = true + np.random.default_rng(0).uniform(-60.0, 60.0, true.shape)
Ps = so.Projection(waves, guess)
receivers = [(x, 20.0) for x in grid.coordinates("x")[2:-2:3]]
F = so.Projection(waves, receivers) * so.Modeling(waves, so.Acoustic(grid, vp=vp)) * Ps.H
q = np.tile(so.ricker(time, f0=6.0), (5, 1, 1))

# %%
# ``so.Positions(Ps)`` as what the map is by makes positions its argument: :math:`(x, q) \mapsto F(x)\, q`. Gradients come
# from the slopes of the sinc that interpolates, in the same two solves for each event as any other gradient.

G = so.Parametric(F, wrt=so.Positions(Ps))
d = G(true, q)
noisy = d + 0.3 * d.std() * np.random.default_rng(1).standard_normal(d.shape)

# %%
# Positions are looked for in units of 20 m from the guess, five events at once.

misfit = LeastSquares(G, noisy, q, weights=10 / np.linalg.norm(d), P=np.full(true.shape, 20.0), start=guess)
found = minimize(misfit, np.zeros(true.size), jac=True, method="L-BFGS-B", options={"maxiter": 20})
located = misfit.model(found.x)
for name, where in {"guessed": guess, "located": located}.items():
    print(f"{name}: off by {np.linalg.norm(where - true, axis=-1).max():.1f} m at most")

figure, axes = plt.subplots(1, 2, figsize=(11.0, 4.0), layout="constrained")
so.plot.record(time, noisy[2], receivers, "an event", ax=axes[0])
so.plot.model(grid, vp, "guessed (white), located (red), true (black)", ax=axes[1])
for points, style in ((guess, "wo"), (located, "r^"), (true, "k+")):
    axes[1].plot(*points[:, 0].T, style)
