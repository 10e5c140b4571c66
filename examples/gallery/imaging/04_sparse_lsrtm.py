r"""
Sparse least-squares migration
==============================

From few and noisy data, least squares makes noisy images. Those of rock are made of few wavelets: FISTA finds how few
explain the data.
"""

import matplotlib.pyplot as plt
import numpy as np
import pylops

import seisops as so
from seisops.demo import smoothed, thrust_belt

# %%
# One shot of sixteen sources that fire at once, each with a random weight, a receiver every 80 m, and noise as strong
# as the data: a product with the Jacobian is one solve.

rng = np.random.default_rng(0)
grid = so.Grid(shape=(112, 64), spacing=20.0)
time = so.Time(n=251, step=0.005)
waves = so.Wavefield(grid, time)
m = thrust_belt(grid) ** -2.0
m0 = smoothed(m, cells=4)
dm = m - smoothed(m, cells=1.2)
receivers = [(x, 40.0) for x in grid.coordinates("x")[::4]]
sources = [(x, 40.0) for x in np.linspace(100.0, 2100.0, 16)]
Pr, Ps = so.Projection(waves, receivers), so.Projection(waves, sources)
F = Pr * so.Modeling(waves, so.Acoustic(grid, m=m0)) * Ps.H
J = so.Jacobian(F, rng.normal(size=(1, 16, 1)) * so.ricker(time, f0=8.0))
d = (J @ dm).ravel()
d += d.std() * rng.standard_normal(d.size).astype("float32")

# %%
# The unknown s holds coefficients of Haar's wavelets, :math:`dm = D W^T s`, and
#
# .. math:: \min_s \tfrac12 \| J D W^T s - d \|^2 + \epsilon \| s \|_1 .
#
# **Units.** Squared slowness is of the order of 1e-7 s2/m2, and the operator as much larger than one. So it is scaled:
# ``unit`` is one over its largest singular value, which a few power iterations find. Then ``alpha=1`` is a step that
# converges, FISTA has no eigenvalue to look for, and s is of the size of the data.
#
# **Eps.** After a step along the gradient, FISTA takes ``alpha * eps / 2`` off the magnitude of each coefficient. Twice
# the largest coefficient of the gradient at zero is where nothing is left; a small part of it keeps what stands out of
# the noise.

D = so.model.DepthScaling(J) * so.model.WaterMask(J, m0**-0.5)
W = pylops.signalprocessing.DWT2D(grid.shape, wavelet="haar", level=3, dtype="float32")
A = J * D * W.H
s = A.H @ d
for _ in range(8):
    s = A.H @ (A @ (s / np.linalg.norm(s)))
unit = 0.95 / np.sqrt(np.linalg.norm(s))
A = float(unit) * A

eps = 0.005 * 2 * float(np.abs(A.H @ d).max())
s, _, _ = pylops.fista(A, d, niter=40, eps=eps, alpha=1.0)
sparse = (D @ (W.H @ (unit * s))).reshape(grid.shape)

# %%
# Conjugate gradients with as many solves explain the data, noise included, by an image that is noise for the most part.

squares = (D @ pylops.cgls(J * D, d, niter=40, tol=0.0)[0]).reshape(grid.shape)

figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.0), layout="constrained")
so.plot.image(grid, D @ D.H @ J.H @ d.reshape(J.dimsd), "migration", ax=axes[0, 0])
for ax, name, image in zip(axes.flat[1:], ("truth", "least squares", "sparse"), (dm, squares, sparse), strict=True):
    so.plot.image(grid, 1e9 * image, name, "s2/m2 x 1e9", ax=ax)
    ax.images[0].set_clim(-15, 15)
for name, image in (("least squares", squares), ("sparse", sparse)):
    alike = np.vdot(image, dm) / np.linalg.norm(image) / np.linalg.norm(dm)
    print(f"{name}: correlation with the truth {alike:.2f}")
print(f"{np.count_nonzero(s)} of {s.size} coefficients are not zero")
