r"""
Gauss-Newton
============

The Hessian of a misfit is an operator. Least squares solves for a step with it, and a few such steps do what many steps
along gradients do.
"""

import matplotlib.pyplot as plt
import numpy as np
import pylops

import seisops as so

grid = so.Grid(shape=(81, 61), spacing=20.0)
time = so.Time(n=201, step=0.006)
waves = so.Wavefield(grid, time, shots=4)
x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")
m0 = np.full(grid.shape, 2000.0**-2)
lens = np.exp(-((x - 600.0) ** 2 + (z - 500.0) ** 2) / 150.0**2) - np.exp(
    -((x - 1050.0) ** 2 + (z - 700.0) ** 2) / 150.0**2
)
m = (2000.0 + 200.0 * lens) ** -2.0

receivers = [(1560.0, z) for z in grid.coordinates("z")[1::2]] + [(x, 1160.0) for x in grid.coordinates("x")[1::2]]
sources = [[(40.0, z)] for z in (100.0, 450.0, 800.0, 1100.0)]
Ainv = so.Modeling(waves, so.Acoustic(grid, m=m0), max_velocity=2600.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
q = np.tile(so.ricker(time, f0=6.0), (4, 1, 1))
d = F.at(m=m) @ q

# %%
# A step of Gauss and Newton minimises :math:`\| J \, dx + r \|^2 + \lambda^2 \|dx\|^2`, with the residual r and its
# derivative J, which the misfit has as operators: ``misfit.gauss_newton(x)`` is :math:`P^T J^T W^T W J P`. The
# wavefield it needs is solved for once, and kept for all its products.

P = 1e-7 * so.model.Smooth(waves, 40.0)
misfit = so.inversion.LeastSquares(so.Parametric(F), d, q, weights=10 / np.linalg.norm(d), P=P, start=m0)
u = np.zeros(grid.size)
first = misfit(u)[1].reshape(grid.shape)
values = []
for _ in range(4):
    value, gradient = misfit(u)
    values.append(value)
    H = misfit.gauss_newton(u)
    u = u + pylops.cg(H + 0.01 * pylops.Identity(u.size), -gradient.ravel(), niter=6, tol=0.0)[0].ravel()
values.append(misfit(u)[0])
print("misfit:", *(f"{value:.3g}" for value in values))

# %%
# ``misfit.hessian(x)`` is the exact one, with what second derivatives of the wave equation add. Both are symmetric to
# rounding.

print(f"Gauss-Newton {so.check.dot_test(H):.0e}, exact {so.check.dot_test(misfit.hessian(u)):.0e}")

found = misfit.model(u)
figure, axes = plt.subplots(2, 2, figsize=(11.0, 7.6), layout="constrained")
so.plot.image(grid, P @ first, "first gradient", ax=axes[0, 0])
for ax, (name, v) in zip(axes.flat[1:], {"truth": m**-0.5, "found": found**-0.5}.items(), strict=False):
    so.plot.model(grid, v, name, limits=(1800.0, 2200.0), ax=ax)
so.plot.curves({"misfit": np.log10(values)}, ylabel="logarithm to base 10 of the misfit", ax=axes[1, 1])
