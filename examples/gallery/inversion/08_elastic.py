"""
Elastic inversion
=================

Nodes on the bottom of the sea hear pressure and velocities, and so P and S waves. Both velocities are looked for at
once.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import seisops as so

# %%
# Water over rock, with a lens in which P waves are slower and S waves are not, as in gas, and one with slow S waves.

grid = so.Grid(shape=(91, 51), spacing=20.0)
time = so.Time(n=251, step=0.005)
waves = so.Wavefield(grid, time, shots=4)
x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")
rock = z > 160.0
vp0, vs0, rho = np.where(rock, 2400.0, 1500.0), np.where(rock, 1300.0, 0.0), np.where(rock, 2100.0, 1000.0)
gas, soft = (np.exp(-((x - a) ** 2 + (z - 550.0) ** 2) / 130.0**2) for a in (600.0, 1200.0))
vp, vs = vp0 - 250.0 * gas * rock, vs0 - 150.0 * soft * rock

# %%
# The three components of the nodes are one operator, of one solve for each shot. Velocities are counted as the
# pressures that they have in P waves.

nodes = [(x, 180.0) for x in grid.coordinates("x")[2:-2:2]]
guns = so.Projection(waves, [[(x, 60.0)] for x in np.linspace(200.0, 1600.0, 4)], component="p")
heard = so.VStack(
    [
        so.Projection(waves, nodes, component="p"),
        4e6 * so.Projection(waves, nodes, component="vx"),
        4e6 * so.Projection(waves, nodes, component="vz"),
    ]
)
medium = so.Elastic(grid, vp=vp0, vs=vs0, rho=rho)
F = heard * so.Modeling(waves, medium, boundary={"z_min": "free"}, space_order=4, max_velocity=3000.0) * guns.H
q = np.tile(so.ricker(time, f0=4.0), (4, 1, 1))
d = F.at(vp=vp, vs=vs) @ q

# %%
# The unknown x is vp and vs, one after the other, in units of 100 m/s, and nothing in the water.

G = so.Parametric(F, wrt=("vp", "vs"))
P = 100.0 * np.tile(rock.ravel(), 2)
misfit = so.inversion.LeastSquares(G, d, q, weights=100 / np.linalg.norm(d), P=P, start=(vp0, vs0))
found = minimize(misfit, np.zeros(misfit.domain.size), jac=True, method="L-BFGS-B", options={"maxiter": 14})
by_vp, by_vs = misfit.model(found.x)

figure, axes = plt.subplots(2, 2, figsize=(11.0, 6.6), layout="constrained")
pictures = {"vp, true": vp - vp0, "vp, found": by_vp - vp0, "vs, true": vs - vs0, "vs, found": by_vs - vs0}
for ax, (name, change) in zip(axes.flat, pictures.items(), strict=True):
    limits = (-250.0, 100.0) if name.startswith("vp") else (-150.0, 60.0)
    so.plot.model(grid, change, name, "change (m/s)", limits=limits, ax=ax)
print(f"misfit {misfit(0 * found.x)[0]:.1f} -> {found.fun:.2f} in {found.nfev} evaluations")
