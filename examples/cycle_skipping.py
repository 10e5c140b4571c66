"""A slow lens below the sources: where least squares skips cycles, envelopes and reconstructed wavefields show the way.

Run it with ``python examples/cycle_skipping.py --figure cycle-skipping.png``; it takes some minutes, and with ``--small``
seconds. The page "Larger runs" of the documentation shows what it draws.

Waves come through the lens to receivers below it, late by more than a period. From a constant velocity, least squares of the
traces fits them to the wrong cycle and makes fast places of slow ones. The envelopes of the same traces have no cycles. And
wavefields that need not solve the wave equation exactly fit them at once; where they do not solve it, as near to the source
as can be, tells the way. Least squares goes on from either.

The lens is the one of the examples of JUDI.jl's wavefield reconstruction (Rizzuti, Louboutin, Wang & Herrmann 2021,
doi:10.1190/geo2020-0743.1), on cells of 20 m.
"""

import argparse

import numpy as np
from scipy.optimize import minimize

import seisops as so
from seisops.inversion import LeastSquares, Misfit, WavefieldReconstruction, loss

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--small", action="store_true", help="fewer shots and iterations")
options.add_argument("--figure", metavar="FILE", help="draw the models")
options = options.parse_args()
shots, iterations = (1, 2) if options.small else (7, 15)

grid = so.Grid(shape=(101, 101), spacing=20.0)
waves = so.Wavefield(grid, so.Time(n=301, step=0.00667), shots=shots)
x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij")
start = np.full(grid.shape, 2000.0)
vp = start - 500.0 * np.exp(-(((x - 1000.0) / 250.0) ** 2) - ((z - 1000.0) / 500.0) ** 2)

F = (
    so.Projection(waves, [(place, 1960.0) for place in grid.coordinates("x")[2:-2]])
    * so.Modeling(waves, so.Acoustic(grid, vp=start), max_velocity=2600.0)
    * so.Projection(waves, [[(place, 40.0)] for place in np.linspace(100.0, 1900.0, shots)]).H
)
G = so.Parametric(F, "vp")
q = np.tile(so.ricker(waves.time, f0=6.0), (shots, 1, 1))
d = F.at(vp=vp) @ q

P = 100.0 * so.model.Smooth(waves, 60.0)
common = {"P": P, "start": start}


def inverted(misfit, x0, iterations=iterations):
    """What L-BFGS finds; misfits are divided by that of the start, since it stops at small numbers."""
    first = misfit(x0)[0]

    def relative(x):
        value, gradient = misfit(x)
        return value / first, gradient / first

    return minimize(relative, x0, jac=True, method="L-BFGS-B", options={"maxiter": iterations}).x


squares = LeastSquares(G, d, q, **common)
tried = {
    "least squares": squares,
    "envelopes": Misfit(G, d, q, loss=loss.Envelopes(), **common),
    "reconstruction": WavefieldReconstruction(F, d, q, wrt="vp", penalty=1e-3, iterations=5, focus=20.0, **common),
}
models = {"true": vp}
late, energy, period = so.data.lags(F, F @ q, d)
print(f"traces are late by up to {np.max(np.abs(late) / period):.1f} periods at the start")
for name, misfit in tried.items():
    found = inverted(misfit, np.zeros(grid.size))
    on = inverted(squares, found)
    for title, reached in ((name, found), (f"{name}, then least squares", on)):
        model = models[title] = misfit.model(reached)
        error = np.linalg.norm(model - vp) / np.linalg.norm(start - vp)
        print(f"{title}: error of the model {error:.2f} of that of the start", flush=True)

if options.figure:
    from seisops import plot

    shown = ["true", "least squares", "envelopes, then least squares", "reconstruction, then least squares"]
    axes = plot.panels(grid, {name: models[name] for name in shown}, limits=(1400.0, 2200.0), columns=2)
    axes[0].figure.savefig(options.figure, dpi=75)
