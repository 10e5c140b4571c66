"""Images with subsurface lags, and their angle gathers, tell whether velocities are right.

Run it with ``python examples/angle_gathers.py --figure angle-gathers.png``; it takes half a minute, and with ``--small``
seconds. The page "Gallery" of the documentation shows what it draws.

Two reflectors in a constant velocity are migrated with the right velocity, and with one that is 10 % too low. An image of
lags correlates wavefields that are h to either side of each point: in the right velocity all is at h = 0. Sums along
lines through h = 0 are gathers of angles of incidence, which then are flat.
"""

import argparse

import numpy as np

import seisops as so

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--small", action="store_true", help="fewer shots")
options.add_argument("--figure", metavar="FILE", help="draw images, lags and gathers")
options = options.parse_args()
shots = 10 if options.small else 40

grid = so.Grid(shape=(241, 101), spacing=10.0)
waves = so.Wavefield(grid, so.Time(n=451, step=0.004), shots=shots)
x, z = grid.coordinates("x"), grid.coordinates("z")
F = (
    so.Projection(waves, [(place, 20.0) for place in x])
    * so.Modeling(waves, so.Acoustic(grid, vp=2000.0))
    * so.Projection(waves, [[(place, 20.0)] for place in np.linspace(50.0, 2350.0, shots)]).H
)
q = np.tile(so.ricker(waves.time, f0=12.0), (shots, 1, 1))

reflectors = np.zeros(grid.shape)
reflectors[:, 40] = 1e-8  # flat, and below it one that dips
reflectors[np.arange(241), np.round(60 + 0.1 * np.arange(241)).astype(int)] = 1e-8
d = so.Jacobian(F, q) @ reflectors

lags = range(-20, 21)
h = grid.spacing[0] * np.array(lags)
degrees = np.arange(-50, 51, 2)
found = {}
for vp in (2000.0, 1800.0):
    J = so.Jacobian(F.at(vp=vp), q, lags={"x": lags})
    mute = so.model.TopMute(J, depth=150.0, taper=100.0)
    image = mute @ (J.H @ d)
    gathers = so.model.AngleGathers(J, np.radians(degrees)) @ image
    found[vp] = image, gathers
    middle = image[:, 60:181]
    spread = np.linalg.norm(h[:, None, None] * middle) / np.linalg.norm(middle)
    print(f"migrated with {vp:.0f} m/s, energy is {spread:.0f} m from lag 0", flush=True)

if options.figure:
    from matplotlib.figure import Figure

    from seisops import plot

    figure = Figure(figsize=(11.0, 6.0), layout="constrained")
    for row, (vp, (image, gathers)) in zip(figure.subplots(2, 3, width_ratios=(2, 1, 1)), found.items(), strict=True):
        plot.image(grid, image[20], f"{vp:.0f} m/s, lag 0", clip=99.5, ax=row[0])
        sides = (("h (m)", h, image[:, 120], "lags"), ("angle (degrees)", degrees, gathers[:, 120], "angles"))
        for ax, (label, along, panel, title) in zip(row[1:], sides, strict=True):
            high = np.percentile(np.abs(panel), 99.5)
            extent = (along[0], along[-1], z[-1], z[0])
            ax.imshow(panel.T, cmap="gray", vmin=-high, vmax=high, extent=extent, aspect="auto")
            ax.set(xlabel=label, title=f"{title} at x = {x[120]:.0f} m")
    figure.savefig(options.figure, dpi=75)
