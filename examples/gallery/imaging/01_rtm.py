"""
Reverse-time migration
======================

The derivative of data by the medium is an operator, and its adjoint is migration. What stands before it and behind it,
a mute of traces and a scaling of images, are operators as well.
"""

import matplotlib.pyplot as plt
import numpy as np

import seisops as so
from seisops.demo import smoothed, thrust_belt

grid = so.Grid(shape=(151, 81), spacing=15.0)
time = so.Time(n=351, step=0.004)
waves = so.Wavefield(grid, time, shots=6)
m = thrust_belt(grid) ** -2.0  # squared slowness in s2/m2
m0 = smoothed(m, cells=5)
receivers = [(x, 30.0) for x in grid.coordinates("x")[::2]]
sources = [[(x, 30.0)] for x in np.linspace(200.0, 2050.0, 6)]

# %%
# Data are modeled in the true medium, and migrated in a smooth one, in which there is no reflection to explain: what is
# left of the data is what reflectors made.

Pr, Ps = so.Projection(waves, receivers), so.Projection(waves, sources)
F = Pr * so.Modeling(waves, so.Acoustic(grid, m=m0)) * Ps.H
q = np.tile(so.ricker(time, f0=10.0), (6, 1, 1))
residual = F.at(m=m) @ q - F @ q

# %%
# The Jacobian is :math:`J = P_r A^{-1} \,\mathrm{diag}(u)^T`, with u the second derivative by time of the wavefield in
# the smooth medium; :math:`J^T` runs the data backward, and correlates. It is exact: no imaging condition is chosen
# here.

J = so.Jacobian(F, q)
M = so.data.Mute(J, velocity=1500.0, delay=0.25)  # nothing before the direct wave has passed
D = so.model.DepthScaling(J) * so.model.WaterMask(J, m0**-0.5)

plain = J.H @ residual
image = D @ (M * J).H @ (M @ residual)

figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.0), layout="constrained")
so.plot.model(grid, m0**-0.5, "smooth velocity", ax=axes[0, 0])
so.plot.image(grid, m - m0, "true perturbation", ax=axes[0, 1])
so.plot.image(grid, plain, "adjoint of the Jacobian", ax=axes[1, 0])
so.plot.image(grid, image, "muted, scaled with depth, no water", ax=axes[1, 1])

# %%
# An image is not yet the perturbation: :math:`J^T J` is not the identity. What it would take is the next pages'
# subject, and begins with the same operator. Its dot test:

print(f"dot test: {so.check.dot_test(J):.0e}")
