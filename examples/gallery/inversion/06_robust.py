"""
Dead and wild traces
====================

Least squares believes every number. Student's t takes what is far from the model for noise.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

import seisops as so
from seisops.demo import smoothed, thrust_belt
from seisops.inversion import loss, multiscale

grid = so.Grid(shape=(101, 51), spacing=24.0)
time = so.Time(n=251, step=0.006)
waves = so.Wavefield(grid, time, shots=5)
vp = thrust_belt(grid)
vp0 = smoothed(vp**-2.0, cells=4) ** -0.5
receivers = [(x, 48.0) for x in grid.coordinates("x")[::2]]
sources = [[(x, 48.0)] for x in np.linspace(200.0, 2200.0, 5)]
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp0), max_velocity=4600.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
q = np.tile(so.ricker(time, f0=5.0), (5, 1, 1))
d = F.at(vp=vp) @ q

# %%
# Of each shot a trace in twenty is dead, and as many are noise, five times as strong as the data.

rng = np.random.default_rng(0)
kind = rng.choice(3, d.shape[:2], p=(0.9, 0.05, 0.05))
bad = np.where((kind == 0)[..., None], d, 0.0)
bad[kind == 2] = 5.0 * d.std() * rng.standard_normal((np.count_nonzero(kind == 2), time.n))

# %%
# The losses of :mod:`seisops.inversion` are arguments of every misfit. That of Student's t is the sum of :math:`\log(1
# + r^2 / \nu s^2)`, whose derivative falls off where residuals are larger than the scale s. ``multiscale`` would warn
# that some of the data are far from what the model makes. Here one knows why.

warnings.simplefilter("ignore", so.AccuracyWarning)
options = {"wrt": "vp", "bounds": (1400.0, 4600.0), "iterations": 10, "truth": vp}
options["P"] = so.model.DepthScaling(waves, power=0.5) * so.model.WaterMask(waves, vp0, tolerance=20.0)
found = {
    "good data": multiscale(F, d, q, (None,), vp0, **options),
    "least squares": multiscale(F, bad, q, (None,), vp0, **options),
    "Student's t": multiscale(F, bad, q, (None,), vp0, loss=loss.StudentT(scale=0.05 * d.std()), **options),
}

figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.0), layout="constrained")
so.plot.record(time, bad[2], grid.coordinates("x")[::2], "a record", clip=95, ax=axes[0, 0])
for ax, (name, result) in zip(axes.flat[1:], found.items(), strict=True):
    so.plot.model(grid, result.model, name, limits=(1500.0, 4300.0), ax=ax)
    print(f"{name}: error of the model {100 * result.bands[0].errors[-1]:.0f} % of that of the start")
