"""Elastic full-waveform inversion of an ocean-bottom survey: vp and vs at once, and gas that only vp knows of.

Run it with ``python examples/elastic_fwi.py --model overthrust_model.h5 --figure elastic-fwi.png``; without ``--model``
it takes a thrust belt by formula, and with ``--small`` seconds. The page "Larger runs" of the documentation shows what
it draws.

Air guns fire in the sea, below its free surface. Nodes on the bottom hear pressure and both velocities, and thus S waves,
which are made where P waves meet rock. The rock is looked for, from a smooth start and in two bands of frequency.
"""

import argparse

import numpy as np
import pylops
from scipy.optimize import Bounds, minimize

import seisops as so
from seisops.demo import smoothed, thrust_belt
from seisops.inversion import LeastSquares
from seisops.model.files import read_model

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
which = options.add_mutually_exclusive_group()
which.add_argument("--model", metavar="FILE", help="HDF5: m in s2/km2, of 121 x 401 cells (z, x) of 25 m")
which.add_argument("--small", action="store_true", help="a smaller model and fewer iterations")
options.add_argument("--figure", metavar="FILE", help="draw the models, records and misfits")
options = options.parse_args()

grid = so.Grid(shape=(121, 81) if options.small else (401, 121), spacing=25.0)
time = so.Time(n=151 if options.small else 401, step=0.01)
shots = 2 if options.small else 10
waves = so.Wavefield(grid, time, shots=shots)
BY_VP = 0.17  # kg/m3 of density for each m/s of vp


def vp_over_vs(vp):
    """Of rock: 1.85 where it is slow, 1.65 where it is fast; fluids have no S waves."""
    return np.where(sea, np.inf, 2.0 - 6e-5 * vp)


def density(vp):
    """In kg/m3: a tangent of Gardner's relation."""
    return np.where(sea, 1000.0, 1700.0 + BY_VP * vp)


# what there is: layers below the sea and, in the crest of the fold, gas, which slows P waves alone
layers = (
    read_model(options.model, "m", "m", "s2/km2", "zx").values ** -0.5
    if options.model
    else np.float64(thrust_belt(grid))
)
sea = layers == layers[0, 0]
x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")
gas = np.hypot((x - 0.53 * x.max()) / 600.0, (z - 0.45 * z.max()) / 125.0) < 1.0
vp, vs = np.where(gas, 0.85, 1.0) * layers, layers / vp_over_vs(layers)

# what one starts from
vp0 = smoothed(layers, cells=10.0)
vs0 = vp0 / vp_over_vs(vp0)

# the survey; velocities count as the pressures that they have in P waves
floor = z[sea].max()
along = grid.coordinates("x")[2:-2:2]
geophones, hydrophones = (np.stack([along, np.full_like(along, depth)], axis=1) for depth in (floor + 25.0, floor))
guns = np.array([[(a, 50.0)] for a in x.max() * (np.arange(shots) + 0.5) / shots])
heard = so.VStack(
    [
        so.Projection(waves, hydrophones, component="p"),
        5e6 * so.Projection(waves, geophones, component="vx"),
        5e6 * so.Projection(waves, geophones, component="vz"),
    ]
)
medium = so.Elastic(grid, vp0, vs0, density(vp0))
Ainv = so.Modeling(waves, medium, boundary={"z_min": "free"}, space_order=4, max_velocity=5800.0)
F = heard * Ainv * so.Projection(waves, guns, component="p").H
G = so.Parametric(F, wrt=("vp", "vs", "rho"))

# the unknowns: vp and vs of the rock, in numbers of order one; density follows vp
rock = np.flatnonzero((z > floor) & (x > 0) & (x < x.max()) & (z < z.max()))
scaling = np.sqrt((z.ravel()[rock] - floor) / (z.max() - floor))
unit = np.concatenate([200.0 * scaling, 120.0 * scaling])  # m/s
R = pylops.Restriction(2 * grid.size, np.concatenate([rock, rock + grid.size]))
P = pylops.MatrixMult(np.array([[1, 0], [0, 1], [BY_VP, 0]]), otherdims=grid.size) * R.H * pylops.Diagonal(unit)

model, misfits = {"vp": vp0, "vs": vs0, "rho": density(vp0)}, []
for f0, iterations in ((2.0, 2), (3.8, 2)) if options.small else ((2.0, 12), (3.8, 20)):
    q = np.tile(so.ricker(time, f0=f0), (shots, 1, 1))
    data = F.at(vp=vp, vs=vs, rho=density(vp)) @ q
    before = F.at(**model) @ q
    norm = np.linalg.norm(data)
    misfits.append([100 * np.linalg.norm(before - data) / norm])

    misfit = LeastSquares(G, data, q, weights=100 / norm, P=P, start=tuple(model.values()))
    now = R @ np.stack([model["vp"], model["vs"]]).ravel()
    low, high = (np.repeat(ends, rock.size) for ends in ((1500.0, 700.0), (5700.0, 3500.0)))
    found = minimize(
        misfit,
        np.zeros(unit.size),
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds((low - now) / unit, (high - now) / unit),
        callback=lambda intermediate_result: misfits[-1].append(np.sqrt(2 * intermediate_result.fun)),
        options={"maxiter": iterations, "ftol": 0.0, "gtol": 0.0},
    )
    model = dict(zip(model, misfit.model(found.x), strict=True))
    print(f"{f0:g} Hz: misfit {misfits[-1][0]:.1f} -> {misfits[-1][-1]:.1f} % of the data in {iterations} iterations")

models = {"true": (vp, vs), "start": (vp0, vs0), "found": (model["vp"], model["vs"])}
for name, true, start, found in zip(("vp", "vs"), *models.values(), strict=True):
    errors = (np.sqrt(np.mean((v - true)[~sea] ** 2)) for v in (start, found))
    print("{}: error {:.0f} -> {:.0f} m/s, root mean square below the sea".format(name, *errors))
ratios = {title: np.mean(a[gas] / b[gas]) for title, (a, b) in models.items()}
print("vp/vs in the gas:", ", ".join(f"{title} {ratio:.2f}" for title, ratio in ratios.items()))

if options.figure:
    from matplotlib.figure import Figure

    from seisops import plot

    figure = Figure(figsize=(14.5, 8.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.55, 1.0))
    for row, (title, (a, b)) in zip(above.subplots(3, 3, sharex=True, sharey=True), models.items(), strict=True):
        ratio = np.divide(a, b, out=np.full(grid.shape, np.nan), where=~sea)
        plot.model(grid, a, f"vp, {title}", "m/s", (1500.0, 5500.0), row[0])
        plot.model(grid, np.where(sea, np.nan, b), f"vs, {title}", "m/s", (1300.0, 3400.0), row[1])
        plot.model(grid, ratio, f"vp/vs, {title}", "", (1.4, 2.1), row[2])
        for ax in row:
            ax.label_outer()
    *records, last = below.subplots(1, 4, width_ratios=(1.0, 1.0, 1.0, 1.2))
    heard = {"data": data, "start": F.at(vp=vp0, vs=vs0, rho=density(vp0)) @ q, "found": F.at(**model) @ q}
    shot, clip = shots // 2, np.percentile(np.abs(F.range.split(data)[1]), 97)
    drawn = {f"vx at the bottom, {title}": F.range.split(d)[1][shot] for title, d in heard.items()}
    plot.records(time, drawn, along, axes=records, limits=(-clip, clip))
    plot.curves({"2 Hz": misfits[0], "3.8 Hz": misfits[1]}, ylabel="misfit (% of the data's norm)", ax=last)
    figure.savefig(options.figure, dpi=72)
