"""
A shot record
=============

Data are a product of three operators and one solve of the wave equation. What has been recorded is drawn with
:mod:`seisops.plot`.
"""

import matplotlib.pyplot as plt
import numpy as np

import seisops as so
from seisops.demo import thrust_belt

# %%
# Receivers are projections of the wavefield on points, sources the transpose of such a projection. Points are given in
# metres and need not be on the grid.

grid = so.Grid(shape=(201, 101), spacing=15.0)
time = so.Time(n=451, step=0.004)
waves = so.Wavefield(grid, time)
vp = thrust_belt(grid)
receivers = np.array([(x, 33.0) for x in np.arange(20.0, 2990.0, 20.0)])

Pr = so.Projection(waves, receivers)
Ps = so.Projection(waves, [(1000.0, 21.0)])

# %%
# A density makes the contrasts of impedance stronger than those of velocity. Here it follows velocity below the water
# (Gardner, Gardner & Gregory 1974, doi:10.1190/1.1440465).

rho = np.where(vp > 1500.0, 310.0 * vp**0.25, 1000.0)
F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=vp, rho=rho), free_surface=True) * Ps.H
d = F @ so.ricker(time, f0=10.0)[None, None]  # (shots, receivers, time)

# %%
# Beside it is the same after a mute of all that comes before 1.6 km/s, and a gain by time. Both are operators on
# traces, with adjoints, and could stand in ``F`` as well.

shown = so.data.Gain(F, power=1.5) * so.data.Mute(F, velocity=1600.0, delay=0.3)
figure, (model, left, right) = plt.subplots(
    1, 3, figsize=(13.0, 4.6), layout="constrained", width_ratios=(1.5, 1.0, 1.0)
)
so.plot.model(grid, vp, "velocity, source and receivers", ax=model)
model.plot(*receivers[::5].T, "wv", markersize=3)
model.plot(1000.0, 21.0, "r*", markersize=12)
so.plot.record(time, d[0], receivers, "pressure", ax=left)
so.plot.record(time, (shown @ d)[0], receivers, "muted, with gain", ax=right)

# %%
# That the adjoint is one is checked with random numbers: :math:`\langle F q, d \rangle = \langle q, F^T d \rangle`.

print(f"dot test: {so.check.dot_test(F):.0e}")
