"""Where small earthquakes are, by the waveforms that they leave: L-BFGS-B over positions, wavelets unknown.

Run it with ``python examples/source_location.py --figure source-location.png``; it takes a minute, and with ``--small``
seconds. The page "Gallery" of the documentation shows what it draws.
"""

import argparse

import numpy as np
from scipy.optimize import Bounds, minimize

import seisops as so
from seisops.demo import smoothed, thrust_belt
from seisops.inversion import Misfit

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--small", action="store_true", help="a smaller model and fewer events")
options.add_argument("--figure", metavar="FILE", help="draw the events, their ways, and a record")
options = options.parse_args()

grid = so.Grid(shape=(101, 61) if options.small else (161, 81), spacing=20.0)
time = so.Time(n=261 if options.small else 361, step=0.005)
events = 2 if options.small else 6
waves = so.Wavefield(grid, time, shots=events, dtype="float64")
rng = np.random.default_rng(4)

# known velocities, as of a survey before; receivers along the surface and in a well
vp = smoothed(thrust_belt(grid).astype(np.float64) ** -2, cells=2.0) ** -0.5
(_, right), (_, bottom) = grid.extent
receivers = [(x, 40.0) for x in grid.coordinates("x")[4:-4:6]]
receivers += [(0.7 * right, z) for z in grid.coordinates("z")[5:-8:6]]

# an event for each shot; at the start they are off by more than a hundred metres
true = np.stack([rng.uniform(0.25, 0.6, events) * right, rng.uniform(0.5, 0.8, events) * bottom], axis=1)[:, None]
start = true + rng.uniform(60.0, 120.0, true.shape) * rng.choice([-1.0, 1.0], true.shape)

Pr, Ps = so.Projection(waves, receivers), so.Projection(waves, start)
F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=vp)) * Ps.H
G = so.Parametric(F, wrt=so.Positions(Ps))  # (positions, q) -> F(positions) q

# each has a time and a spectrum of its own, of which nothing is known, and there is noise of half the size
signals = [so.ricker(time, f, delay) for f, delay in rng.uniform((7.0, 0.2), (9.0, 0.3), (events, 2))]
record = G(true, np.array(signals)[:, None])
noise = (so.data.Bandpass(F, 2.0, 20.0) @ rng.standard_normal(record.size)).reshape(record.shape)
record += 0.5 * np.std(record) / np.std(noise) * noise

# the wavelet is guessed, and for each event the filter that fits best is found in every evaluation
guess = np.tile(so.ricker(time, f0=8.0, delay=0.25), (events, 1, 1))
unit = 50.0  # metres: x is of order one
weights = np.sqrt(2.0) / np.linalg.norm(record)  # the misfit of no data is one
misfit = Misfit(G, record, guess, P=np.full(true.shape, unit), start=start, weights=weights, estimate_source=0.01)
low, high = ((np.broadcast_to(edge, true.shape) - start).ravel() / unit for edge in ((0.0, 40.0), (right, bottom)))
ways = [start]
found = minimize(
    misfit,
    np.zeros(misfit.domain.size),
    jac=True,
    method="L-BFGS-B",
    bounds=Bounds(low, high),
    options={"maxiter": 25},
    callback=lambda x: ways.append(misfit.model(x)),
)

first = misfit(np.zeros(misfit.domain.size))[0]
print(f"misfit: {100 * first:.1f} -> {100 * found.fun:.1f} % in {found.nfev} evaluations, of two solves for each event")
for event, (there, here, now) in enumerate(zip(true, start, misfit.model(found.x), strict=True)):
    before, after = (np.linalg.norm(place - there) for place in (here, now))
    print(
        f"event {event}: {before:.0f} m -> {after:.1f} m from where it was, at ({there[0, 0]:.0f}, {there[0, 1]:.0f}) m"
    )

if options.figure:
    from matplotlib.figure import Figure

    from seisops import plot

    figure = Figure(figsize=(11.0, 4.2), layout="constrained")
    section, traces = figure.subplots(1, 2, width_ratios=(3, 2))
    plot.model(grid, vp, "events: starts, ways, true places", ax=section)
    section.plot(*np.transpose(receivers), "v", color="white", markersize=3)
    for way, there in zip(np.stack(ways)[:, :, 0].swapaxes(0, 1), true[:, 0], strict=True):
        section.plot(*way.T, ".-", color="black", linewidth=1.0)
        section.plot(*there, "+", color="red", markersize=10)
    plot.record(time, record[0], np.arange(len(receivers)), "record of event 0", ax=traces)
    traces.set_xlabel("receiver")
    figure.savefig(options.figure, dpi=75)
