"""Inversion of data of which a tenth of the traces are dead or wild: least squares, and Student's t.

Run it with ``python examples/robust_fwi.py --figure robust-fwi.png``; it takes a minute or two, and with ``--small``
seconds. The page "Larger runs" of the documentation shows what it draws.
"""

import argparse

import numpy as np

import seisops as so
from seisops.demo import smoothed, thrust_belt
from seisops.inversion import loss, multiscale

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--small", action="store_true", help="a smaller model and fewer iterations")
options.add_argument("--figure", metavar="FILE", help="draw the models, a record, and errors by iteration")
options = options.parse_args()

grid = so.Grid(shape=(81, 41) if options.small else (161, 61), spacing=20.0)
time = so.Time(n=201 if options.small else 301, step=0.005)
shots, iterations = (4, 5) if options.small else (8, 12)
waves = so.Wavefield(grid, time, shots=shots)

vp = thrust_belt(grid).astype(np.float64)
vp0 = smoothed(vp**-2, cells=4.0) ** -0.5
x = grid.coordinates("x")
F = (
    so.Projection(waves, [(a, 40.0) for a in x[::2]])
    * so.Modeling(waves, so.Acoustic(grid, vp=vp0), max_velocity=5200.0)
    * so.Projection(waves, [[(a, 40.0)] for a in x.max() * (np.arange(shots) + 0.5) / shots]).H
)
q = np.tile(so.ricker(time, f0=7.0), (shots, 1, 1))
d = F.at(vp=vp) @ q

# of each shot one trace in twenty is dead, and as many are noise ten times as strong as the data
rng = np.random.default_rng(0)
kind = rng.choice(3, d.shape[:2], p=(0.9, 0.05, 0.05))
size = np.sqrt(np.mean(d**2))
bad = np.where((kind == 0)[..., None], d, 0.0)
bad[kind == 2] = 10.0 * size * rng.standard_normal((np.count_nonzero(kind == 2), time.n))

P = so.model.DepthScaling(waves, power=0.5) * so.model.WaterMask(waves, vp0, tolerance=20.0)
common = {"wrt": "vp", "bounds": (1400.0, 5200.0), "iterations": iterations, "P": P, "truth": vp}
found = {
    "least squares, good data": multiscale(F, d, q, (4.0, None), vp0, **common),
    "least squares": multiscale(F, bad, q, (4.0, None), vp0, **common),
    "Student's t": multiscale(F, bad, q, (4.0, None), vp0, loss=loss.StudentT(scale=0.05 * size), **common),
}
for name, result in found.items():
    print(f"{name}: error of the model {100 * result.bands[-1].errors[-1]:.0f} % of that of the start")

if options.figure:
    from matplotlib.figure import Figure

    from seisops import plot

    figure = Figure(figsize=(12.0, 8.2), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.3, 1.0))
    models = {"true": vp, **{name: result.model for name, result in found.items()}}
    axes = above.subplots(2, 2, sharex=True, sharey=True)
    plot.panels(grid, models, limits=(vp.min(), vp.max()), axes=axes)
    record, errors = below.subplots(1, 2)
    plot.record(time, bad[shots // 2], x[::2], "a record, with dead and wild traces", ax=record)
    curves = {name: [100 * e for band in result.bands for e in band.errors] for name, result in found.items()}
    plot.curves(curves, ylabel="error of the model (%)", ax=errors)
    figure.savefig(options.figure, dpi=75)
