"""Full-waveform inversion band by band, within bounds.

Run it with ``python examples/multiscale_fwi.py --model overthrust_model.h5 --figure multiscale-fwi.png``; without
``--model`` it takes a thrust belt by formula, and with ``--small`` seconds. The page "Larger runs" of the documentation
shows what it draws.
"""

import argparse

import numpy as np

import seisops as so
from seisops.demo import smoothed, thrust_belt
from seisops.model.files import read_model

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
which = options.add_mutually_exclusive_group()
which.add_argument(
    "--model", metavar="FILE", help="HDF5: m and the start m0 in s2/km2, of 121 x 401 cells (z, x) of 25 m"
)
which.add_argument("--small", action="store_true", help="a smaller model and fewer iterations")
options.add_argument(
    "--journal", metavar="FOLDER", help="remember evaluations there, so that a run that was killed goes on"
)
options.add_argument("--figure", metavar="FILE", help="draw the models, and misfits and errors by iteration")
options = options.parse_args()

grid = so.Grid(shape=(81, 41) if options.small else (401, 121), spacing=25.0)
time = so.Time(n=201 if options.small else 626, step=0.006)
shots, bands, iterations = (4, (4.0, None), 4) if options.small else (16, (3.0, 5.0, 8.0, None), 15)
waves = so.Wavefield(grid, time, shots=shots)

if options.model:
    vp, vp0 = (read_model(options.model, name, "m", "s2/km2", "zx").values ** -0.5 for name in ("m", "m0"))
else:
    vp = thrust_belt(grid).astype(np.float64)
    vp0 = smoothed(vp**-2, cells=5.0) ** -0.5

x = grid.coordinates("x")
sources = [[(a, 50.0)] for a in x.max() * (np.arange(shots) + 0.5) / shots]
receivers = [(a, 50.0) for a in x[::2]]
q = np.tile(so.ricker(time, f0=6.0), (shots, 1, 1))

Ainv = so.Modeling(waves, so.Acoustic(grid, vp=vp0), max_velocity=6600.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
d = F.at(vp=vp) @ q

# nothing moves in the water, and more at depth; x is in fractions of the range of velocities
P = so.model.DepthScaling(waves, power=0.5) * so.model.WaterMask(waves, vp0, tolerance=50.0)
found = so.inversion.multiscale(
    F,
    d,
    q,
    bands,
    vp0,
    wrt="vp",
    bounds=(1400.0, 6600.0),
    iterations=iterations,
    P=P,
    truth=vp,
    journal=options.journal,
)
for band in found.bands:
    high = "all frequencies" if band.high is None else f"below {band.high:g} Hz"
    print(
        f"{high}: misfit {100 * band.misfits[-1] / band.misfits[0]:.0f} % of its first, error of the model "
        f"{100 * band.errors[-1]:.0f} % of that of the start, {band.evaluations} evaluations"
    )

if options.figure:
    from matplotlib.figure import Figure

    from seisops import plot

    figure = Figure(figsize=(11.0, 11.5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(3.0, 1.0))
    models = {"true": vp, "start": vp0, "found": found.model}
    plot.panels(grid, models, limits=(vp.min(), vp.max()), axes=above.subplots(3, 1, sharex=True))
    left, right = below.subplots(1, 2)
    names = ["all" if band.high is None else f"{band.high:g} Hz" for band in found.bands]
    relative = [100 * np.array(band.misfits) / band.misfits[0] for band in found.bands]
    plot.curves(dict(zip(names, relative, strict=True)), ylabel="misfit (% of the band's first)", ax=left)
    errors = {"error": [100 * e for band in found.bands for e in band.errors]}
    plot.curves(errors, ylabel="error of the model (%)", ax=right)
    figure.savefig(options.figure, dpi=75)
