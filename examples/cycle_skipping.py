"""A slow lens between two wells: where least squares skips cycles, envelopes show the way.

Run it with ``python examples/cycle_skipping.py --figure cycle-skipping.png``; it takes some minutes, and with ``--small``
seconds. The page "Gallery" of the documentation shows what it draws.

Waves through the lens are late by most of a period. Least squares of the traces fits them to the wrong cycle and makes a
fast body of a slow one. The envelopes of the same traces know which way to go, and bring the model to where least squares
goes on.
"""

import argparse
import warnings

import numpy as np

import seisops as so
from seisops.inversion import loss, multiscale

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--small", action="store_true", help="a smaller model and fewer iterations")
options.add_argument("--figure", metavar="FILE", help="draw the models, and their errors by iteration")
options = options.parse_args()

grid = so.Grid(shape=(61, 61) if options.small else (201, 201), spacing=20.0 if options.small else 10.0)
time = so.Time(n=201 if options.small else 451, step=0.005 if options.small else 0.004)
shots, f0, iterations = (3, 8.0, 6) if options.small else (9, 12.0, 20)
waves = so.Wavefield(grid, time, shots=shots)

x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")
width, middle = x.max(), x.max() / 2
start = np.full(grid.shape, 2000.0)
vp = start - 500.0 * np.exp(-((x - middle) ** 2 + (z - middle) ** 2) / (2 * (0.0875 * width) ** 2))

F = (
    so.Projection(waves, [(width - 40.0, depth) for depth in grid.coordinates("z")[2:-2:4]])
    * so.Modeling(waves, so.Acoustic(grid, vp=start), max_velocity=2600.0)
    * so.Projection(waves, [[(40.0, depth)] for depth in np.linspace(0.05 * width, 0.95 * width, shots)]).H
)
q = np.tile(so.ricker(time, f0), (shots, 1, 1))
d = F.at(vp=vp) @ q

common = {
    "wrt": "vp", "bounds": (1200.0, 2500.0), "iterations": iterations, "P": so.model.Smooth(waves, 60.0), "truth": vp,
}  # fmt: skip
with warnings.catch_warnings():
    warnings.simplefilter("ignore", so.AccuracyWarning)  # it says that cycles may be skipped
    squares = multiscale(F, d, q, (None,), start, **common)
    envelopes = multiscale(F, d, q, (None,), start, loss=loss.Envelopes(), **common)
both = multiscale(F, d, q, (None,), envelopes.model, **common)

found = {"least squares": squares, "envelopes": envelopes, "then least squares": both}
for name, result in found.items():
    (band,) = result.bands
    error = np.linalg.norm(result.model - vp) / np.linalg.norm(start - vp)
    print(f"{name}: {band.skipped:.0%} skipped at the start, error of the model {error:.2f} of that of the start")

if options.figure:
    from matplotlib.figure import Figure

    from seisops import plot

    figure = Figure(figsize=(11.0, 8.5), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    models = {"true": vp, **{name: result.model for name, result in found.items()}}
    for ax, (name, values) in zip(axes, models.items(), strict=True):
        plot.model(grid, values, name, limits=(1500.0, 2400.0), ax=ax)
    figure.savefig(options.figure, dpi=75)
