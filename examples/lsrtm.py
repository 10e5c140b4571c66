"""Least-squares migration: a PyLops solver on the Jacobian, preconditioned on the right.

Run it with ``python examples/lsrtm.py``; it takes less than a minute.
"""

import numpy as np
import pylops

import seisops as so
from seisops.demo import smoothed, thrust_belt

grid = so.Grid(shape=(151, 81), spacing=15.0)
time = so.Time(n=301, step=0.004)
waves = so.Wavefield(grid, time, shots=3)

m = thrust_belt(grid).astype(np.float64) ** -2  # squared slowness in s2/m2
m0 = smoothed(m, cells=5)

receivers = np.array([(x, 30.0) for x in grid.coordinates("x")[::2]])
sources = np.array([[(x, 30.0)] for x in (400.0, 1125.0, 1850.0)])
q = np.tile(so.ricker(time, f0=10.0), (3, 1, 1))

Ainv = so.Modeling(waves, so.Acoustic(grid, m=m0))
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
J = so.Jacobian(F, q)
d = J @ (m - m0)  # linearised data

# on the right
D = so.model.DepthScaling(J) * so.model.TopMute(J, depth=100.0, taper=50.0)

x, _, iterations, _, _, residual = pylops.cgls(J * D, d.ravel(), niter=6, tol=0.0)
image = (D @ x).reshape(grid.shape)
print(f"misfit after {iterations} iterations: {100 * residual[-1] / residual[0]:.0f} % of the data's norm")
