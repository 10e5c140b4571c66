r"""
A source that is not known
==========================

Recorded data have an unknown wavelet. A filter for each shot that makes modeled data fit best is found anew at each
evaluation, and derivatives know that it changes with the model.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import seisops as so
from seisops.demo import smoothed, thrust_belt

grid = so.Grid(shape=(101, 51), spacing=24.0)
time = so.Time(n=251, step=0.006)
waves = so.Wavefield(grid, time, shots=4)
vp = thrust_belt(grid)
vp0 = smoothed(vp**-2.0, cells=4) ** -0.5
receivers = [(x, 48.0) for x in grid.coordinates("x")[::2]]
sources = [[(x, 48.0)] for x in np.linspace(200.0, 2200.0, 4)]
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp0), max_velocity=4600.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H

# %%
# The true wavelet is later by 50 ms, of another phase and four times as strong as the one that is guessed.

guess = np.tile(so.ricker(time, f0=5.0), (4, 1, 1))
q = np.tile(4.0 * so.gaussian_derivative(time, f0=4.5, delay=0.35), (4, 1, 1))
d = F.at(vp=vp) @ q

# %%
# With ``estimate_source=True`` the misfit is :math:`\min_s \frac12 \| s * G(v, q) - d \|^2`, one filter s for each shot
# and all of its receivers (Pratt 1999, doi:10.1190/1.1444597). The same inversion with the guess as it is has no
# chance.

P = 1000.0 * so.model.DepthScaling(waves, power=0.5) * so.model.WaterMask(waves, vp0, tolerance=20.0)
G = so.Parametric(F, wrt="vp")
bounds = [((1500.0 - v) / 1000.0, (4500.0 - v) / 1000.0) for v in vp0.ravel()]
models = {"truth": vp}
for name, source, estimate in (("true source", q, False), ("a guess", guess, False), ("estimated", guess, True)):
    misfit = so.inversion.Misfit(G, d, source, estimate_source=estimate, weights=10 / np.linalg.norm(d), P=P, start=vp0)
    found = minimize(misfit, np.zeros(grid.size), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 8})
    models[name] = misfit.model(found.x)
    error = np.linalg.norm(models[name] - vp) / np.linalg.norm(vp0 - vp)
    print(f"{name}: error of the model {100 * error:.0f} % of that of the start")

figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.0), layout="constrained")
for ax, (name, v) in zip(axes.flat, models.items(), strict=True):
    so.plot.model(grid, v, name, limits=(1500.0, 4300.0), ax=ax)
