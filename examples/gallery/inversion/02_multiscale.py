"""
From low frequencies to high ones
=================================

Waves that are late by more than half a period are fitted to the wrong cycle. Low frequencies have long periods:
inverted first, they bring the model to where higher ones go on.
"""

import matplotlib.pyplot as plt
import numpy as np

import seisops as so
from seisops.demo import thrust_belt

# %%
# The start knows nothing but that velocity grows with depth below the water.

grid = so.Grid(shape=(101, 51), spacing=24.0)
time = so.Time(n=251, step=0.006)
waves = so.Wavefield(grid, time, shots=5)
vp = thrust_belt(grid)
z = grid.coordinates("z") * np.ones(grid.shape)
vp0 = np.where(vp == 1500.0, 1500.0, 1700.0 + 2.0 * (z - 150.0))

receivers = [(x, 48.0) for x in grid.coordinates("x")[::2]]
sources = [[(x, 48.0)] for x in np.linspace(200.0, 2200.0, 5)]
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp0), max_velocity=4600.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
q = np.tile(so.ricker(time, f0=6.0), (5, 1, 1))
d = F.at(vp=vp) @ q

# %%
# :func:`~seisops.inversion.multiscale` filters source and data alike, which commutes with modeling, and gives each band
# L-BFGS with the model of the band before (Bunks et al. 1995, doi:10.1190/1.1443880). At the start of a band it looks
# how late traces are, and warns where cycles may be skipped.

P = so.model.DepthScaling(waves, power=0.5) * so.model.WaterMask(waves, vp)
options = {"wrt": "vp", "bounds": (1400.0, 4600.0), "P": P, "truth": vp}
bands = so.inversion.multiscale(F, d, q, (3.0, 5.0, None), vp0, iterations=5, **options)
at_once = so.inversion.multiscale(F, d, q, (None,), vp0, iterations=15, **options)

figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.0), layout="constrained")
models = {"truth": vp, "all frequencies at once": at_once.model, "below 3 Hz, 5 Hz, then all": bands.model}
for ax, (name, v) in zip(axes.flat, models.items(), strict=False):
    so.plot.model(grid, v, name, limits=(1500.0, 4300.0), ax=ax)
errors = {"at once": at_once.bands[0].errors, "by bands": sum((band.errors for band in bands.bands), [])}
so.plot.curves(errors, ylabel="error of the model", ax=axes[1, 1])

for name, found in (("by bands", bands), ("at once", at_once)):
    print(f"{name}: error of the model {100 * found.bands[-1].errors[-1]:.0f} % of that of the start")
