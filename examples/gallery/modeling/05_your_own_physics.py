"""
Your own physics in ten lines
=============================

A wave equation is written once, as its residual. The adjoint equation, the derivatives by every parameter and the
stable time step are derived from it.
"""

import matplotlib.pyplot as plt
import numpy as np

import seisops as so

# %%
# Acoustic waves that meet a resistance r to their motion, with the squared slowness m:
#
# .. math:: m \, \partial_{tt} p + r \, \partial_t p - \nabla^2 p = q.


class Resisted(so.WaveEquation):
    """Waves that lose energy: m p_tt + r p_t - laplace p = q."""

    parameters = ("m", "r")  # s2/m2 and s/m2
    relations = {"m": lambda vp: vp**-2}  # with its inverse, it offers the velocity in m/s beside m
    inverses = {"vp": lambda m: m**-0.5}
    fields = ("p",)

    def residual(self, fields, parameters):
        """What is zero where there are no sources, in Devito's symbolic language."""
        p, (m, r) = fields.p, parameters
        return (m * p.dt2 + r * p.dtc - p.laplace,)


# %%
# That is all. It is a medium like those of the package, in two and three dimensions, with layers that absorb. Here it
# resists in a body in the middle of a ring of receivers and eight sources.

grid = so.Grid(shape=(121, 121), spacing=10.0)
time = so.Time(n=201, step=0.004)
waves = so.Wavefield(grid, time, shots=8, dtype="float64")
x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")
r = 1e-5 * np.exp(-((x - 700.0) ** 2 + (z - 500.0) ** 2) / (2 * 80.0**2))


def ring(n):
    """Points on a circle."""
    angles = 2 * np.pi * np.arange(n) / n
    return 600.0 + 500.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)


Pr, Ps = so.Projection(waves, ring(64)), so.Projection(waves, ring(8)[:, None])
F = Pr * so.Modeling(waves, Resisted(grid, vp=2000.0, r=0.0)) * Ps.H
q = np.tile(so.ricker(time, f0=12.0), (8, 1, 1))
d = F.at(r=r) @ q

# %%
# What the derivative by the resistance predicts is what a small one does, and its adjoint shows where waves lose
# energy.

J = so.Jacobian(F, q, wrt="r")
change = F.at(r=1e-3 * r) @ q - F @ q
print(f"predicted to {np.linalg.norm(J @ (1e-3 * r) - change) / np.linalg.norm(change):.0e}")
print(f"dot test of F: {so.check.dot_test(F):.0e}")

S = so.Snapshots(waves, [0.48])
u = (S * so.Modeling(waves, Resisted(grid, vp=2000.0, r=r)) * Ps.H) @ q
figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 4.4), layout="constrained")
so.plot.image(grid, u[4, 0], "waves that have crossed the body", ax=left)
so.plot.image(grid, J.H @ (d - F @ q), "gradient by the resistance", ax=right)
for ax in (left, right):
    ax.contour(x, z, r, levels=[5e-6], colors="r")
