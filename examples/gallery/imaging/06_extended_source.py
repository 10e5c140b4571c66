r"""
Extended sources
================

A source need not be a point. ``Pw.H`` is one whose wavelet is known and whose strength is an image; from data, least
squares tells where waves came from.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import lsqr

import seisops as so
from seisops.demo import thrust_belt

# %%
# Three bodies give off the same wavelet at the same time. :class:`~seisops.Wavelet` weights a wavefield with it and
# sums over time; its adjoint spreads an image w of strengths over time, and data are
#
# .. math:: d = P_r A^{-1} P_w^T w,
#
# one solve, however many cells radiate.

grid = so.Grid(shape=(121, 81), spacing=15.0)
time = so.Time(n=251, step=0.004)
waves = so.Wavefield(grid, time)
x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")
w = sum(
    a * np.exp(-((x - b) ** 2 + (z - c) ** 2) / 900.0) for a, b, c in ((1, 500, 500), (-1, 900, 800), (1, 1300, 600))
)

receivers = [(x, 30.0) for x in grid.coordinates("x")]
Pw = so.Wavelet(waves, so.ricker(time, f0=10.0))
F = so.Projection(waves, receivers) * so.Modeling(waves, so.Acoustic(grid, vp=thrust_belt(grid))) * Pw.H
d = F @ w[None]
rng = np.random.default_rng(0)
d += d.std() * rng.standard_normal(d.shape)  # noise, as strong as the data

# %%
# Waves go upward only, so that data do not tell everything. Damped least squares, :math:`\min \|F w - d\|^2 + \lambda^2
# \|w\|^2`, says how large w may be: SciPy's LSQR takes :math:`\lambda` as ``damp``, in units of F. Here it is a tenth
# of what F does to the image of the data, which is nearly its largest singular value.

adjoint = F.H @ d
size = float(np.sqrt(np.linalg.norm(F.H @ (F @ adjoint)) / np.linalg.norm(adjoint)))
damped = lsqr(F, d.ravel(), damp=0.1 * size, iter_lim=60)[0].reshape(grid.shape)
free = lsqr(F, d.ravel(), iter_lim=60)[0].reshape(grid.shape)

figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.6), layout="constrained")
pictures = {"truth": w, "adjoint": adjoint[0], "least squares": free, "least squares, damped": damped}
for ax, (name, picture) in zip(axes.flat, pictures.items(), strict=True):
    so.plot.image(grid, picture, name, clip=99.9, ax=ax)

for name, picture in list(pictures.items())[1:]:
    print(f"{name}: correlation with the truth {np.vdot(picture, w) / np.linalg.norm(picture) / np.linalg.norm(w):.2f}")
