"""Model two shots over two layers, and migrate them.

Run it with ``python examples/quickstart.py``; it takes a few seconds, most of them to compile the wave equation.
"""

import numpy as np

import seisops as so

# spaces: a grid in metres, axes (x, z), and the samples of sources and data in seconds
grid = so.Grid(shape=(201, 101), spacing=10.0)
time = so.Time(n=251, step=0.004)
waves = so.Wavefield(grid, time, shots=2)

# a medium: velocity in m/s
vp = np.full(grid.shape, 1500.0)
vp[:, 50:] = 2500.0

# points in metres: receivers (points, 2) for all shots, sources (shots, points, 2)
receivers = np.array([(x, 20.0) for x in np.arange(100.0, 1901.0, 20.0)])
sources = np.array([[(500.0, 20.0)], [(1500.0, 20.0)]])

# modelling is a product of operators, and one solve of the wave equation for each shot
Pr = so.Projection(waves, receivers)
Ps = so.Projection(waves, sources)
Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp))
F = Pr * Ainv * Ps.H
q = np.tile(so.ricker(time, f0=10.0), (2, 1, 1))  # (shots, sources, time)
d = F @ q  # (shots, receivers, time)
print("data:", d.shape, "dot test:", f"{so.check.dot_test(F):.1e}")

# migration is the adjoint of the Jacobian in a smooth background, here of one velocity
F0 = F.at(m=1500.0**-2)
J = so.Jacobian(F0, q)
image = J.H @ (d - F0 @ q)

# a step in velocity is imaged as a pair of lobes of opposite sign, one on either side of it
z = grid.coordinates("z")
profile = np.where(z > 300.0, image[80:121].mean(axis=0), 0.0)
lobes = sorted(z[[np.argmin(profile), np.argmax(profile)]])
print(f"reflector imaged between {lobes[0]:.0f} and {lobes[1]:.0f} m; it is at 500 m")
