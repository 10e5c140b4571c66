"""
Illumination
============

Where waves were strong, images are. What sources illuminate is known from the wavefield that a Jacobian keeps, and
costs no solve; the diagonal of the Hessian, receivers included, is estimated with two solves a probe.
"""

import matplotlib.pyplot as plt
import numpy as np
import pylops

import seisops as so
from seisops.demo import smoothed, thrust_belt

grid = so.Grid(shape=(111, 61), spacing=20.0)
time = so.Time(n=251, step=0.005)
waves = so.Wavefield(grid, time, shots=3)
m = thrust_belt(grid) ** -2.0
m0 = smoothed(m, cells=4)
receivers = [(x, 40.0) for x in grid.coordinates("x")[::2]]
sources = [[(x, 40.0)] for x in (300.0, 600.0, 900.0)]  # on the left only
Pr, Ps = so.Projection(waves, receivers), so.Projection(waves, sources)
F = Pr * so.Modeling(waves, so.Acoustic(grid, m=m0)) * Ps.H
J = so.Jacobian(F, np.tile(so.ricker(time, f0=8.0), (3, 1, 1)))
d = J @ (m - m0)

# %%
# The illumination of sources is the energy of the second derivative by time of their waves at each cell, :math:`\sum_t
# u_{tt}^2`. :class:`~seisops.model.Illumination` is a diagonal operator that divides by the root of it, and of the
# diagonal of :math:`J^T J` if it is told how many probes to take.

L = so.model.Illumination(J)
H = so.model.Illumination(J, probes=8)
mute = so.model.WaterMask(J, m0**-0.5)

figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.0), layout="constrained")
so.plot.model(grid, np.log10(J.illumination()), "illumination of sources", "logarithm to base 10", ax=axes[0, 0])
so.plot.image(grid, mute @ J.H @ d, "migrated", ax=axes[0, 1])
so.plot.image(grid, mute @ L @ L @ J.H @ d, "divided by it", ax=axes[1, 0])
so.plot.image(grid, mute @ H @ H @ J.H @ d, "divided by the diagonal of the Hessian", ax=axes[1, 1])

# %%
# On the right of a Jacobian they are preconditioners. What scatters beside sources and receivers is loud, and without
# them it is what the first iterations of least squares are about; of :math:`L J^T J L` the diagonal is nearer to one
# than that of :math:`J^T J`.

figure, ax = plt.subplots(figsize=(7.0, 3.6), layout="constrained")
for name, A in {"none": J, "illumination": J * L, "diagonal of the Hessian": J * H}.items():
    norms = pylops.cgls(A, d.ravel(), niter=6, tol=0.0)[-1]
    ax.plot(100 * norms / norms[0], ".-", label=name)
    print(f"preconditioner {name}: misfit {100 * norms[-1] / norms[0]:.0f} % of the data after 6 iterations")
ax.set(xlabel="iteration", ylabel="misfit (% of the data)")
ax.legend()
