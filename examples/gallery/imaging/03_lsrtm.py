"""
Least-squares migration
=======================

Which perturbation explains the data? Every solver of PyLops and SciPy takes the Jacobian as it is.
"""

import matplotlib.pyplot as plt
import numpy as np
import pylops

import seisops as so
from seisops.demo import smoothed, thrust_belt

grid = so.Grid(shape=(111, 61), spacing=20.0)
time = so.Time(n=251, step=0.005)
waves = so.Wavefield(grid, time, shots=4)
m = thrust_belt(grid) ** -2.0
m0 = smoothed(m, cells=5)
receivers = [(x, 40.0) for x in grid.coordinates("x")[::2]]
sources = [[(x, 40.0)] for x in np.linspace(200.0, 1950.0, 4)]
Pr, Ps = so.Projection(waves, receivers), so.Projection(waves, sources)
F = Pr * so.Modeling(waves, so.Acoustic(grid, m=m0)) * Ps.H
J = so.Jacobian(F, np.tile(so.ricker(time, f0=8.0), (4, 1, 1)))
d = J @ (m - m0)  # linearised data

# %%
# Least squares finds :math:`\min_x \|J D x - d\|`, with a preconditioner D on the right: nothing moves in the water,
# and what lies deep counts as much as what is shallow. An iteration costs a product with J and one with its adjoint,
# two solves for each shot; wavefields in the background are kept.

D = so.model.DepthScaling(J) * so.model.WaterMask(J, m0**-0.5)
x, _, _, _, _, norms = pylops.cgls(J * D, d.ravel(), niter=12, tol=0.0)
image = (D @ x).reshape(grid.shape)

# %%
# Migration has the reflectors as they are seen by a band-limited wavelet; least squares finds steps and amplitudes, in
# s2/m2.

migrated = D @ (D.H @ (J.H @ d))
figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.0), layout="constrained")
so.plot.image(grid, migrated, "migration", ax=axes[0, 0])
for ax, name, values in ((axes[0, 1], "truth", m - m0), (axes[1, 0], "least squares", image)):
    so.plot.image(grid, 1e9 * values, name, "s2/m2 x 1e9", ax=ax)
    ax.images[0].set_clim(-25, 25)
so.plot.curves({"residual": 100 * norms / norms[0]}, ylabel="% of the data's norm", ax=axes[1, 1])

print(f"misfit {100 * norms[-1] / norms[0]:.0f} % of the data after {len(norms) - 1} iterations")
