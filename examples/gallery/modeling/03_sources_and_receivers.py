"""
Sources and receivers of all kinds
==================================

Explosions, forces and moment tensors; pressure, velocities and strain along a fibre: all are linear forms of what a
medium has, its *components*, and all stand where a :class:`~seisops.Projection` stands.
"""

import matplotlib.pyplot as plt
import numpy as np

import seisops as so

# %%
# Solid rock has particle velocities ``vx`` and ``vz``, stresses ``sxx``, ``szz`` and ``sxz``, and the pressure ``p``.

grid = so.Grid(shape=(151, 121), spacing=10.0)
time = so.Time(n=226, step=0.002)
waves = so.Wavefield(grid, time)
Ainv = so.Modeling(waves, so.Elastic(grid, vp=3000.0, vs=1700.0, rho=2300.0))
q = so.ricker(time, f0=15.0)[None, None]
middle = [(750.0, 600.0)]

# %%
# Four sources at the same place: an explosion, a vertical force, one along the diagonal, and slip on a fault that dips
# by 45 degrees. Each radiates P and S waves in its own way, of which the vertical velocity after 0.3 s is drawn.

sources = {
    "explosion": so.Projection(waves, middle, component="p"),
    "vertical force": so.Projection(waves, middle, component="vz"),
    "force along the diagonal": so.Force(waves, middle, direction=(1.0, 1.0)),
    "thrust fault": so.MomentTensor(waves, middle, so.double_couple(np.pi / 2, np.pi / 4, np.pi / 2, ndim=2)),
}
S = so.Snapshots(waves, [0.3], component="vz")
figure, axes = plt.subplots(2, 2, figsize=(9.0, 7.6), layout="constrained")
for ax, (name, Ps) in zip(axes.flat, sources.items(), strict=True):
    so.plot.image(grid, (S * Ainv * Ps.H @ q)[0, 0], name, ax=ax)

# %%
# Receivers are stacked, and all of them read the same solve: hydrophones, geophones along the vertical and along any
# other direction, and a fibre, which has the strain rate of each of its gauges,
#
# .. math:: d = \frac1L \int t \cdot \frac{\partial v}{\partial s} \, ds.
#
# The fibre lies in a trench, and from x = 800 m on in a well.

line = np.array([(x, 100.0) for x in np.arange(50.0, 801.0, 10.0)])
well = [(50.0, 100.0), (800.0, 100.0), (800.0, 1000.0)]
heard = so.VStack(
    [
        so.Projection(waves, line, component="p"),
        so.Projection(waves, line, component="vz"),
        so.Force(waves, line, direction=(1.0, 1.0)),
        so.Fibre(waves, well, gauge=20.0, spacing=10.0),
    ]
)
F = heard * Ainv * sources["explosion"].H
records = F.range.split(F @ q)

figure, axes = plt.subplots(1, 4, figsize=(13.0, 4.0), layout="constrained")
names = "pressure", "vertical velocity", "velocity along the diagonal", "strain rate of the fibre"
for ax, name, record in zip(axes, names, records, strict=True):
    so.plot.record(time, record[0], title=name, ax=ax)

# %%
# The stack is one operator, with one adjoint that drives all of them at once.

print(so.fuse(F))
print(f"dot test: {so.check.dot_test(F):.0e}")
