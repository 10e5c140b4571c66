"""Least-squares migration in a tilted, transversely isotropic medium, and what its image is without anisotropy.

Run it with ``python examples/tti_lsrtm.py --model overthrust_model.h5 --figure tti-lsrtm.png``; without ``--model`` it takes
a thrust belt by formula, and with ``--small`` seconds. The page "Larger runs" of the documentation shows what it draws.

Slow rock is shale, and anisotropic; its axis of symmetry is normal to the layers. Data are linearised, and made in that
medium. They are migrated in it, and as if there were no anisotropy, with the same velocity along the axis: the one that a
well through flat layers would tell.
"""

import argparse

import numpy as np
import pylops
from scipy.ndimage import gaussian_filter, shift

import seisops as so
from seisops.demo import smoothed, thrust_belt
from seisops.model.files import read_model

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
which = options.add_mutually_exclusive_group()
which.add_argument("--model", metavar="FILE", help="HDF5: m in s2/km2, of 121 x 401 cells (z, x) of 25 m")
which.add_argument("--small", action="store_true", help="a smaller model and fewer iterations")
options.add_argument("--figure", metavar="FILE", help="draw the images, a profile of them, and the residuals")
options = options.parse_args()

grid = so.Grid(shape=(101, 51) if options.small else (401, 121), spacing=25.0)
time = so.Time(n=201 if options.small else 501, step=0.006)
shots, iterations = (2, 3) if options.small else (10, 9)
waves = so.Wavefield(grid, time, shots=shots)

m = (
    read_model(options.model, "m", "m", "s2/km2", "zx").values
    if options.model
    else thrust_belt(grid).astype(np.float64) ** -2
)
m0 = smoothed(m, cells=5.0)  # squared slowness along the axis in s2/m2
z = grid.coordinates("z")
sea = z[(m == m[0, 0]).all(axis=0)].max()

# the axis is normal to the layers, by the structure tensor; slow rock has the more of anisotropy, the sea has none
gx, gz = np.gradient(gaussian_filter(m, 2.0), *grid.spacing)
xx, zz, xz = (gaussian_filter(product, 5.0) for product in (gx * gx, gz * gz, gx * gz))
theta = 0.5 * np.arctan2(2 * xz, zz - xx)
shale = np.clip((5500.0 - smoothed(m, cells=10.0) ** -0.5) / 2500.0, 0.0, 1.0) * np.clip((z - sea) / 200.0, 0.0, 1.0)
medium = so.TTI(grid, m=m0, epsilon=0.24 * shale, delta=0.1 * shale, theta=theta)

x = grid.coordinates("x")
receivers = np.stack([x[::2], np.full_like(x[::2], 50.0)], axis=1)
sources = np.array([[(a, 50.0)] for a in x.max() * (np.arange(shots) + 0.5) / shots])
q = np.tile(so.ricker(time, f0=7.0), (shots, 1, 1))

F = so.Projection(waves, receivers) * so.Modeling(waves, medium) * so.Projection(waves, sources).H
J = so.Jacobian(F, q)
d = J @ (m - m0)  # linearised data

# on the right
D = so.model.DepthScaling(J) * so.model.TopMute(J, depth=sea, taper=50.0)

deep, moves = z > 0.6 * z.max(), np.arange(-100.0, 101.0, 5.0)  # m
images, residuals = {}, {}
for name, operator in (("TTI", J), ("isotropic", J.at(epsilon=0.0, delta=0.0))):
    found, _, _, _, _, norms = pylops.cgls(operator * D, d.ravel(), niter=iterations, tol=0.0)
    operator.forget()
    images[name] = image = (D @ found).reshape(grid.shape)
    residuals[name] = 100 * norms / norms[0]
    alike = np.sum(image * (m - m0)) / (np.linalg.norm(image) * np.linalg.norm(m - m0))
    matched = [np.sum(shift(image, (0.0, -move / grid.spacing[1]))[:, deep] * (m - m0)[:, deep]) for move in moves]
    print(
        f"{name}: misfit {residuals[name][-1]:.1f} % of the data after {iterations} iterations; correlation with the "
        f"true perturbation {alike:.2f}; depths beyond {z[deep][0]:.0f} m off by {moves[np.argmax(matched)]:+.0f} m"
    )

if options.figure:
    from matplotlib.figure import Figure

    from seisops import plot

    figure = Figure(figsize=(16.0, 9.5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.5, 1.0))
    (rock, *panels), (left, right) = above.subplots(2, 2).ravel(), below.subplots(1, 2)
    plot.model(medium, "epsilon", "epsilon, and the axis of symmetry", ax=rock)
    every = np.s_[8::16, 4::8]
    a, b = np.meshgrid(x, z, indexing="ij")
    axis = np.where(medium.epsilon > 0.02, (np.sin(theta), np.cos(theta)), np.nan)
    bare = {"headwidth": 0, "headlength": 0, "headaxislength": 0, "color": "white"}
    rock.quiver(a[every], b[every], axis[0][every], axis[1][every], angles="xy", pivot="mid", scale=45, **bare)
    titles = "true perturbation of squared slowness", "found in the TTI medium", "found without anisotropy"
    for ax, title, values in zip(panels, titles, (m - m0, *images.values()), strict=True):
        plot.image(grid, 1e6 * values, title, "s2/km2", ax=ax, limits=(-0.012, 0.012))
    at = int(0.53 * len(x))
    for (title, values), line in zip({"true": m - m0, **images}.items(), ("k-", "C0-", "C3--"), strict=True):
        left.plot(z, 1e6 * values[at], line, label=title)
    left.set(xlabel="z (m)", ylabel="s2/km2", title=f"perturbation at x = {x[at]:.0f} m")
    left.legend()
    left.grid(alpha=0.3)
    plot.curves(residuals, ylabel="misfit (% of the data's norm)", ax=right)
    figure.savefig(options.figure, dpi=75)
