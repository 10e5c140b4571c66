r"""
Wavefield reconstruction
========================

Waves that come through a slow lens are late by a period. Least squares skips it. A wavefield that need not solve the
wave equation exactly does not.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import seisops as so
from seisops.inversion import LeastSquares, WavefieldReconstruction

grid = so.Grid(shape=(51, 51), spacing=20.0)
waves = so.Wavefield(grid, so.Time(n=151, step=0.006), shots=3)
x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")
start = np.full(grid.shape, 2000.0)
vp = start - 500.0 * np.exp(-(((x - 500.0) / 125.0) ** 2) - ((z - 500.0) / 250.0) ** 2)

receivers = [(x, 960.0) for x in grid.coordinates("x")[2:-2]]
sources = [[(x, 40.0)] for x in (200.0, 500.0, 800.0)]
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=start), max_velocity=2400.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
q = np.tile(so.ricker(waves.time, f0=12.5), (3, 1, 1))
d = F.at(vp=vp) @ q

# %%
# :class:`~seisops.inversion.WavefieldReconstruction` is the misfit :math:`\min_u \frac12 \|P_r u - d\|^2 +
# \frac{\lambda^2}{2} \|W (A(m) u - q)\|^2`. In its dual form, in which no wavefield is unknown, a few iterations of
# conjugate gradients find the best wavefield. What does not solve the wave equation costs more the farther it is from
# the source: W grows with the distance, by one for each ``focus``. Late waves then seem to come from behind the
# source, and a slower medium brings them back. Velocities stay between bounds, whatever a line search tries.

P = so.model.Bounded(waves, 1400.0, 2400.0, around=start) @ (0.1 * so.model.Smooth(waves, 40.0))
squares = LeastSquares(so.Parametric(F, "vp"), d, q, P=P)
wri = WavefieldReconstruction(F, d, q, wrt="vp", penalty=1e-3, iterations=5, focus=20.0, P=P)


def inverted(misfit, x0):
    """The model that eight iterations find; misfits are relative, since L-BFGS-B stops at small numbers."""
    relative = (1.0 / misfit(x0)[0]) * misfit
    return minimize(relative, x0, jac=True, method="L-BFGS-B", options={"maxiter": 8}).x


# %%
# Eight iterations of each, and of least squares from what reconstruction found.

x0 = np.zeros(grid.size)
skipped, reconstructed = inverted(squares, x0), inverted(wri, x0)
models = {
    "true": vp,
    "least squares": squares.model(skipped),
    "reconstruction": squares.model(reconstructed),
    "then least squares": squares.model(inverted(squares, reconstructed)),
}
for name, model in models.items():
    print(f"{name}: error {np.linalg.norm(model - vp) / np.linalg.norm(start - vp):.2f} of that of the start")

figure, axes = plt.subplots(2, 2, figsize=(10.0, 8.0), layout="constrained", sharex=True, sharey=True)
for ax, (name, model) in zip(axes.flat, models.items(), strict=True):
    so.plot.model(grid, model, name, limits=(1400.0, 2200.0), ax=ax)
