"""
Shots on a cluster
==================

The same operator, its shots worked off by other processes: on this machine, or on as many machines as Dask is given.
"""

import matplotlib.pyplot as plt
import numpy as np
from distributed import Client

import seisops as so
from seisops.demo import smoothed, thrust_belt

# %%
# Nothing here knows of a cluster.

grid = so.Grid(shape=(151, 81), spacing=15.0)
time = so.Time(n=301, step=0.004)
waves = so.Wavefield(grid, time, shots=8)
m = thrust_belt(grid) ** -2.0
m0 = smoothed(m, cells=5)
receivers = [(x, 30.0) for x in grid.coordinates("x")[::2]]
sources = [[(x, 30.0)] for x in np.linspace(200.0, 2050.0, 8)]
Pr, Ps = so.Projection(waves, receivers), so.Projection(waves, sources)
F = Pr * so.Modeling(waves, so.Acoustic(grid, m=m0)) * Ps.H
q = np.tile(so.ricker(time, f0=10.0), (8, 1, 1))

# %%
# ``Client()`` starts processes on this machine, and so stands below ``if __name__ == "__main__"``, as in any program
# that does. With ``Client("tcp://scheduler:8786")`` it is another cluster. What comes out of ``distribute`` is an
# operator again: it composes, it has an adjoint and a Jacobian, and solvers take it.

if __name__ == "__main__":
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        D = so.dask.distribute(F, client)
        d = D.at(m=m) @ q - D @ q
        J = so.Jacobian(D, q)
        image = (
            so.model.DepthScaling(waves)
            @ so.model.TopMute(waves, depth=200.0)
            @ J.H
            @ so.data.Mute(F, 1500.0, 0.25)
            @ d
        )
        difference = np.linalg.norm(D @ q - F @ q) / np.linalg.norm(F @ q)

    print(f"relative difference from one process: {difference:.0e}")
    figure, ax = plt.subplots(figsize=(8.0, 4.4), layout="constrained")
    so.plot.image(grid, image, "migrated on two workers", ax=ax)
