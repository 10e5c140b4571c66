r"""
Encoded sources
===============

The wave equation is linear in its source: where all shots share their receivers, sources may fire at once, each with a
random weight, and one solve stands for all of them.
"""

import matplotlib.pyplot as plt
import numpy as np

import seisops as so
from seisops.demo import smoothed, thrust_belt

grid = so.Grid(shape=(101, 51), spacing=24.0)
time = so.Time(n=251, step=0.006)
shots = 24
waves = so.Wavefield(grid, time, shots=shots)
vp = thrust_belt(grid)
vp0 = smoothed(vp**-2.0, cells=4) ** -0.5
receivers = [(x, 48.0) for x in grid.coordinates("x")[::2]]
sources = [[(x, 48.0)] for x in np.linspace(50.0, 2350.0, shots)]
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp0), max_velocity=4600.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
q = np.tile(so.ricker(time, f0=5.0), (shots, 1, 1))
d = F.at(vp=vp) @ q

# %%
# An encoding is an operator on data and one on sources, :math:`\sum_s w_{ns} d_s`, and the modeling that fits them:
# encoded data of single shots are data of encoded ones, to rounding.

E = so.inversion.Encoding.random(n=1, shots=shots, seed=0)
a, b = E.encode(F) @ (E.sources(F) @ q), E.data(F.range) @ (F @ q)
print(f"difference {np.linalg.norm(a - b) / np.linalg.norm(b):.0e}, for 1 solve in place of {shots}")

# %%
# Gradients of encoded data are those of all data plus crosstalk, which is zero in the mean: new weights in each
# iteration let it average out (Krebs et al. 2009, doi:10.1190/1.3230502).

P = 1000.0 * so.model.DepthScaling(waves, power=0.5) * so.model.WaterMask(waves, vp0, tolerance=20.0)
x, mean, square = np.zeros((3, grid.size))
errors = []
for k in range(72):
    E = so.inversion.Encoding.random(n=1, shots=shots, seed=(0, k))
    G = so.Parametric(E.encode(F), wrt="vp")
    encoded = E.data(F.range) @ d
    misfit = so.inversion.LeastSquares(G, encoded, E.sources(F) @ q, weights=10 / np.linalg.norm(d), P=P, start=vp0)
    value, gradient = misfit(x)
    mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
    x = x - 0.02 * (mean / (1 - 0.9 ** (k + 1))) / np.sqrt(square / (1 - 0.99 ** (k + 1)) + 1e-12)
    errors.append(np.linalg.norm(misfit.model(x) - vp) / np.linalg.norm(vp0 - vp))

print(
    f"{len(errors)} iterations, as many solves as {len(errors) / shots:.0f} with all shots: model error {errors[-1]:.2f}"
)
figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.0), layout="constrained")
so.plot.model(grid, vp, "truth", limits=(1500.0, 4300.0), ax=axes[0, 0])
so.plot.model(grid, misfit.model(x), "found", limits=(1500.0, 4300.0), ax=axes[1, 0])
so.plot.record(time, encoded[0], grid.coordinates("x")[::2], "an encoded shot", ax=axes[0, 1])
so.plot.curves({"error of the model": errors}, ax=axes[1, 1])
