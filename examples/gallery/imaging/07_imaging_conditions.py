r"""
Imaging conditions and lags
===========================

What an image is depends on how a perturbation is said to scatter. One condition leaves out what waves leave along their
way; another looks beside each point, and tells whether the velocity is right.
"""

import matplotlib.pyplot as plt
import numpy as np

import seisops as so

grid = so.Grid(shape=(161, 81), spacing=12.5)
time = so.Time(n=301, step=0.005)
waves = so.Wavefield(grid, time, shots=10)
x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")
vp = np.where(z > 450.0, 2400.0, 1800.0) + np.where(z > 700.0, 500.0, 0.0)

receivers = [(x, 25.0) for x in grid.coordinates("x")]
sources = [[(x, 25.0)] for x in np.linspace(50.0, 1950.0, 10)]
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=np.where(z > 450.0, 2400.0, 1800.0)), max_velocity=3200.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
q = np.tile(so.ricker(time, f0=12.0), (10, 1, 1))
residual = F.at(vp=vp) @ q - F @ q

# %%
# The adjoint of the Jacobian by squared slowness correlates all waves that meet. In a medium that reflects, waves that
# come back meet those that go on all the way up. ``condition="inverse_scattering"`` is the derivative by what reflects
# and lets waves pass: there they cancel.

ordinary = so.Jacobian(F, q).H @ residual
reflects = so.Jacobian(F, q, condition="inverse_scattering")
image = reflects.H @ residual
print(f"dot test: {so.check.dot_test(reflects):.0e}")

# %%
# With ``lags``, the wavefields are correlated h to either side of each point, for all h in one solve. Where the velocity
# is right, all is at h = 0. Sums along lines through it are gathers by angle of incidence, which then are flat.

gathers = {}
for name, scale in {"right": 1.0, "10 % too slow": 0.9}.items():
    G = F.at(vp=scale * 1800.0)
    flat = so.Jacobian(F.at(vp=1800.0), q) @ np.where(np.abs(z - 500.0) < 7.0, 1e-8, 0.0)
    E = so.Jacobian(G, q, lags={"x": range(-10, 11)})
    angles = np.arange(-45, 46, 3)
    gathers[name] = so.model.AngleGathers(E, np.radians(angles)) @ (so.model.TopMute(E, 150.0) @ (E.H @ flat))
    depths = np.abs(gathers[name][:, 80]).argmax(axis=1) * 12.5
    print(f"{name}: depth from {depths[15]:.1f} m at 0 degrees to {depths[25]:.1f} m at 30 degrees")

figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.0), layout="constrained")
so.plot.image(grid, ordinary, "correlation", clip=98.0, ax=axes[0, 0])
so.plot.image(grid, image, "inverse scattering", clip=98.0, ax=axes[0, 1])
for ax, (name, panel) in zip(axes[1], gathers.items(), strict=True):
    so.plot.gathers(grid, panel, angles, at=[1000.0], axes=[ax])
    ax.set_title(f"{name} velocity, x = 1000 m")
