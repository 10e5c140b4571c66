"""
Full-waveform inversion with bounds
===================================

Data depend on the medium through the wave equation: the map from models to data has values and exact derivatives, and
any optimiser takes the misfit that is made of it. Here that is SciPy's L-BFGS-B, which keeps each cell between bounds.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import seisops as so
from seisops.demo import smoothed, thrust_belt

grid = so.Grid(shape=(101, 51), spacing=24.0)
time = so.Time(n=251, step=0.006)
waves = so.Wavefield(grid, time, shots=5)
vp = thrust_belt(grid)
vp0 = smoothed(vp**-2.0, cells=4) ** -0.5

# %%
# The time step is frozen when the operator is made, for the fastest medium that the inversion may reach.

receivers = [(x, 48.0) for x in grid.coordinates("x")[::2]]
sources = [[(x, 48.0)] for x in np.linspace(200.0, 2200.0, 5)]
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp0), max_velocity=4600.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
q = np.tile(so.ricker(time, f0=5.0), (5, 1, 1))
d = F.at(vp=vp) @ q

# %%
# The misfit is :math:`\phi(x) = \frac12 \| w (G(v_0 + P x, q) - d) \|^2`. Optimisers like numbers of order one, so P
# has the unit in it: x is in km/s, and nothing moves in the water. A value and its gradient are one solve forward and
# one backward for each shot.

P = 1000.0 * so.model.WaterMask(waves, vp0, tolerance=20.0)
misfit = so.inversion.LeastSquares(so.Parametric(F, wrt="vp"), d, q, weights=10 / np.linalg.norm(d), P=P, start=vp0)

bounds = [((1500.0 - v) / 1000.0, (4500.0 - v) / 1000.0) for v in vp0.ravel()]
values = []
found = minimize(
    misfit,
    np.zeros(grid.size),
    jac=True,
    method="L-BFGS-B",
    bounds=bounds,
    options={"maxiter": 15},
    callback=lambda intermediate_result: values.append(intermediate_result.fun),
)
result = misfit.model(found.x)

figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.0), layout="constrained")
for ax, (name, v) in zip(axes.flat, {"truth": vp, "start": vp0, "found": result}.items(), strict=False):
    so.plot.model(grid, v, name, limits=(1500.0, 4300.0), ax=ax)
so.plot.curves({"misfit": [misfit(0 * found.x)[0], *values]}, ax=axes[1, 1])

error = np.linalg.norm(result - vp) / np.linalg.norm(vp0 - vp)
print(f"{found.nfev} evaluations; error of the model {100 * error:.0f} % of that of the start")
