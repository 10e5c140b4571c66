"""Full-waveform inversion that survives being killed: SciPy's L-BFGS-B through a journal.

Run it with ``python examples/fwi.py``; it takes less than a minute. Interrupt it and run it again: it goes on where it
was. Run it once more when it is done: no misfit is evaluated, and the result is the same to the last bit.
"""

import argparse

import numpy as np
from scipy.optimize import Bounds, minimize

import seisops as so
from seisops.demo import smoothed, thrust_belt
from seisops.inversion import Journal, LeastSquares

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--small", action="store_true", help="a smaller model and fewer iterations")
options.add_argument("--journal", metavar="FOLDER", default="fwi-journal", help="where evaluations are kept")
options.add_argument("--progress", action="store_true", help="show a bar")
options = options.parse_args()

grid = so.Grid(shape=(61, 41) if options.small else (121, 61), spacing=20.0)
time = so.Time(n=201 if options.small else 301, step=0.005)
shots = 3 if options.small else 6
iterations = 6 if options.small else 15
waves = so.Wavefield(grid, time, shots=shots)

m = thrust_belt(grid).astype(np.float64) ** -2  # squared slowness in s2/m2
m0 = smoothed(m, cells=4)

(left, right), _ = grid.extent
receivers = np.array([(x, 40.0) for x in grid.coordinates("x")[::2]])
sources = np.array([[(x, 40.0)] for x in np.linspace(left, right, shots + 2)[1:-1]])
q = np.tile(so.ricker(time, f0=6.0), (shots, 1, 1))
Ainv = so.Modeling(waves, so.Acoustic(grid, m=m0), max_velocity=4500.0)
F = so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H
data = F.at(m=m) @ q

# the unknown x is in s2/km2, numbers of order one, and moves nothing in the water
unit = 1e-6
below = np.where(np.ptp(m, axis=0) > 0, 1.0, 0.0)
G = so.Parametric(F)
misfit = LeastSquares(G, data, q, weights=10.0 / np.linalg.norm(data), P=unit * below, start=m0)

journal = Journal(options.journal, problem={"model": grid.shape, "shots": shots})
remembered = journal(misfit, progress=options.progress, total=iterations + 2)
slow, fast = ((v**-2 - m0.ravel()) / unit for v in (1400.0, 4400.0))
losses = []


def objective(x):
    value, gradient = remembered(x)
    losses.append(value)
    return value, gradient


found = minimize(
    objective,
    np.zeros(misfit.domain.size),
    jac=True,
    method="L-BFGS-B",
    bounds=Bounds(fast, slow),
    options={"maxiter": iterations, "ftol": 0.0, "gtol": 0.0},
)
journal.close()

error = np.linalg.norm(misfit.model(found.x) - m) / np.linalg.norm(m0 - m)
print(f"evaluations: {journal.replayed} from the journal {journal.path}, {journal.computed} computed")
print(f"error of the model: {100 * error:.1f} % of that of the start")
print(f"loss: {losses[0] / losses[0]:.2f} -> {found.fun / losses[0]:.3f}")
print(f"run it again to go on from, or to replay, what is in {journal.path}; remove that folder to start anew")
