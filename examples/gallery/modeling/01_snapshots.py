"""
A movie of waves
================

A wavefield is a product of operators like any other. Snapshots at some times come out of the solve while it runs; the
field between them is never in memory.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

import seisops as so
from seisops.demo import thrust_belt

# %%
# Spaces first: a grid in metres with axes (x, z), the samples of sources and data in seconds, and wavefields on both.
# The medium is a thrust belt by formula, below flat water.

grid = so.Grid(shape=(201, 101), spacing=15.0)
time = so.Time(n=301, step=0.004)
waves = so.Wavefield(grid, time)
vp = thrust_belt(grid)

# %%
# A source is a projection on a point, transposed: :math:`P_s^T` puts its strength into the grid. With the solution
# :math:`A^{-1}` of the wave equation between it and what reads the wavefield, here snapshots every 48 ms, that is
#
# .. math:: u = S \, A^{-1} P_s^T q.

instants = time.samples[25::12]
Ps = so.Projection(waves, [(1500.0, 30.0)])
S = so.Snapshots(waves, instants)
U = S * so.Modeling(waves, so.Acoustic(grid, vp=vp)) * Ps.H
u = U @ so.ricker(time, f0=10.0)[None, None]  # (shots, snapshots, x, z)

# %%
# Waves spread, and are drawn as strong as they are at each time.

figure, ax = plt.subplots(figsize=(7.5, 4.0), layout="constrained")
so.plot.model(grid, vp, ax=ax)
field = ax.imshow(u[0, 0].T, extent=ax.images[0].get_extent(), cmap="gray", alpha=0.6)


def draw(i):
    """Show one snapshot over the velocity."""
    field.set_data(u[0, i].T)
    field.set_clim(np.array([-1.0, 1.0]) * np.percentile(np.abs(u[0, i]), 99.5))
    ax.set_title(f"{instants[i]:.2f} s")


movie = FuncAnimation(figure, draw, frames=len(instants), interval=120)

# %%
# The adjoint of a snapshot is a source that is everywhere at that time: ``U.H`` takes snapshots back to the source, in
# one solve backward in time, exactly.

print(f"dot test: {so.check.dot_test(U):.0e}")
