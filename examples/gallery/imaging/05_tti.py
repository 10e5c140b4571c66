r"""
Imaging in a tilted medium
==========================

Shale is faster along its layers than across them. Migrated without anisotropy, what lies below dipping shale is blurred
and out of place; the operator with anisotropy is the same line with another medium.
"""

import matplotlib.pyplot as plt
import numpy as np
import pylops

import seisops as so

# %%
# Layers of shale that dip by 30 degrees, over a flat reflector. :class:`~seisops.TTI` takes Thomsen's parameters, and
# the angle between its axis of symmetry and the vertical.

grid = so.Grid(shape=(101, 56), spacing=20.0)
time = so.Time(n=201, step=0.006)
waves = so.Wavefield(grid, time, shots=3)
x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")
shale = np.clip((z - 150.0) / 100.0, 0.0, 1.0) * np.clip((850.0 - z) / 50.0, 0.0, 1.0)
medium = so.TTI(grid, vp=2200.0, epsilon=0.2 * shale, delta=0.08 * shale, theta=np.radians(30.0) * shale)

dm = -2e-8 * (np.abs(z - 900.0) < 12.0) + 2e-8 * (np.abs(z - 350.0 - 0.577 * (x - 700.0)) < 12.0) * (shale == 1.0)
receivers = [(x, 40.0) for x in grid.coordinates("x")[::2]]
sources = [[(x, 40.0)] for x in np.linspace(200.0, 1750.0, 3)]
Pr, Ps = so.Projection(waves, receivers), so.Projection(waves, sources)
F = Pr * so.Modeling(waves, medium) * Ps.H
J = so.Jacobian(F, np.tile(so.ricker(time, f0=8.0), (3, 1, 1)))
d = J @ dm

# %%
# The same data are inverted with the operator that made them, and with one from which anisotropy is left out.

D = so.model.DepthScaling(J) * so.model.TopMute(J, depth=100.0)
images = {}
for name, operator in (("TTI", J), ("isotropic", J.at(epsilon=0.0, delta=0.0))):
    found, _, _, _, _, norms = pylops.cgls(operator * D, d.ravel(), niter=4, tol=0.0)
    images[name] = (D @ found).reshape(grid.shape)
    print(f"{name}: misfit {100 * norms[-1] / norms[0]:.0f} % of the data after 4 iterations")

# %%
# A snapshot shows why: wavefronts are no circles, and lean with the layers.

one = so.Wavefield(grid, time)
U = so.Snapshots(one, [0.402]) * so.Modeling(one, medium) * so.Projection(one, [(975.0, 140.0)]).H
u = U @ so.ricker(time, f0=10.0)[None, None]

figure, axes = plt.subplots(2, 2, figsize=(11.0, 6.6), layout="constrained")
so.plot.image(grid, u[0, 0], "a wavefront", clip=99.5, ax=axes[0, 0])
for ax, name, values in zip(
    axes.flat[1:], ("truth", "isotropic", "TTI"), (dm, images["isotropic"], images["TTI"]), strict=True
):
    so.plot.image(grid, 1e9 * values, name, "s2/m2 x 1e9", ax=ax)
    ax.images[0].set_clim(-10, 10)
