"""
Boundaries and the free surface
===============================

What waves meet at the faces of the grid is said to :class:`~seisops.Modeling`: layers that absorb, a surface that is
free or rigid, or nothing.
"""

import matplotlib.pyplot as plt
import numpy as np

import seisops as so

grid = so.Grid(shape=(151, 101), spacing=10.0)
time = so.Time(n=201, step=0.004)
waves = so.Wavefield(grid, time)
Ps = so.Projection(waves, [(500.0, 150.0)])
q = so.ricker(time, f0=12.0)[None, None]

# %%
# By default there is a perfectly matched layer around the model. A free surface, at the first z, sends waves back with
# the opposite sign: a ghost of the source follows the direct wave. A lid that nothing moves sends them back with the
# same sign. Faces are called by their axis and end; those that are not named have a layer.

boundaries = {
    "absorbing everywhere": so.PML(),
    "free surface": {"z_min": "free"},
    "rigid lid": {"z_min": "rigid"},
    "edges that reflect": None,
}
both = so.VStack([so.Snapshots(waves, [0.5]), so.Projection(waves, [(900.0, 400.0)])])
figure, axes = plt.subplots(2, 2, figsize=(10.0, 7.0), layout="constrained")
traces = {}
for ax, (name, boundary) in zip(axes.flat, boundaries.items(), strict=True):
    F = both * so.Modeling(waves, so.Acoustic(grid, vp=2000.0), boundary=boundary) * Ps.H
    u, traces[name] = F.range.split(F @ q)
    so.plot.image(grid, u[0, 0], name, clip=99.5, ax=ax)

# %%
# The trace at a receiver tells the same. In a whole space there is an exact solution for it: the direct wave of one
# source for the layer, and for surfaces a second one from the mirror image of the source, with its sign
# (``tests/wave/test_green.py`` holds the operators against it).

figure, ax = plt.subplots(figsize=(8.0, 3.6), layout="constrained")
for name, trace in traces.items():
    ax.plot(time.samples, trace[0, 0], label=name)
ax.set(xlabel="time (s)", ylabel="pressure (Pa)")
ax.legend()

# %%
# What absorbs costs cells. A layer of twice the thickness reflects less, and faces may differ:

thick = {"z_min": "free", "x_min": so.PML(cells=16), "x_max": so.PML(cells=16)}
F = both * so.Modeling(waves, so.Acoustic(grid, vp=2000.0), boundary=thick) * Ps.H
difference = np.abs(F.range.split(F @ q)[1] - traces["free surface"]).max() / np.abs(traces["free surface"]).max()
print(f"largest change with thicker layers: {difference:.0e}; dot test {so.check.dot_test(F):.0e}")
