"""The figures of the page on media: ``python docs/figures/physics.py``, or some of them by their names.

They are elastic, tti, viscoacoustic and fibre. Each takes seconds on one core, and is written beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import seisops as so
from seisops import plot
from seisops.wave.equations.relaxation import dispersion, quality, solids

HERE = Path(__file__).resolve().parent


def elastic() -> Figure:
    """An explosion in the sea: pressure, and the rotation of what moves, which is S waves alone."""
    grid = so.Grid(shape=(261, 161), spacing=10.0)
    time = so.Time(n=151, step=0.004)
    waves = so.Wavefield(grid, time)
    sea = (grid.coordinates("z") < 500.0) & np.ones(grid.shape, bool)
    vp, vs, rho = (np.where(sea, *pair) for pair in ((1500.0, 2600.0), (0.0, 1300.0), (1000.0, 2200.0)))
    source = so.Projection(waves, [(1300.0, 250.0)])
    Ainv = so.Modeling(waves, so.Elastic(grid, vp, vs, rho))
    q = so.ricker(time, f0=20.0)[None, None]
    p, vx, vz = ((so.Snapshots(waves, 0.6, c) * Ainv * source.H @ q)[0, 0] for c in ("p", "vx", "vz"))
    rotation = slope(vx, 10.0, axis=1) - slope(vz, 10.0, axis=0)

    figure = Figure(figsize=(10.0, 3.1), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    said = (
        (
            "pressure (Pa)",
            p,
            {"direct": (320, 150), "reflected": (1300, 150), "head": (330, 420), "transmitted": (1300, 1200)},
        ),
        ("rotation of velocity (1/s)", rotation, {"converted to S": (1300, 780), "S of head wave": (400, 800)}),
    )
    for ax, (title, values, labels) in zip(panels, said, strict=True):
        plot.image(grid, values, title=title, clip=99.0, ax=ax)
        ax.axhline(500.0, color="tab:blue", linewidth=1)
        for label, place in labels.items():
            ax.text(*place, label, color="tab:red", ha="center", va="center", fontsize=9)
    return figure


def slope(values: np.ndarray, step: float, axis: int) -> np.ndarray:
    """The first derivative, to fourth order in the inside; 0 along the edges."""
    a = np.moveaxis(values, axis, 0)
    out = np.zeros_like(a)
    out[2:-2] = (8 * (a[3:-1] - a[1:-3]) - (a[4:] - a[:-4])) / (12 * step)
    return np.moveaxis(out, 0, axis)


def tti() -> Figure:
    """A source in tilted rock, with and without the quasi-SV wave that it makes, and the front by its group velocity."""
    grid = so.Grid(shape=(241, 241), spacing=10.0)
    time = so.Time(n=101, step=0.004)
    waves = so.Wavefield(grid, time)
    vp, epsilon, delta, theta = 2500.0, 0.25, 0.05, np.radians(35.0)
    x, z = np.meshgrid(grid.coordinates("x"), grid.coordinates("z"), indexing="ij", sparse=True)
    near = np.exp(-((np.hypot(x - 1200.0, z - 1200.0) / 150.0) ** 8))
    source = so.Projection(waves, [(1200.0, 1200.0)])
    snapshot = so.Snapshots(waves, 0.4)
    q = so.ricker(time, f0=15.0)[None, None]
    delay = 1.5 / 15.0  # where the peak of the wavelet is

    figure = Figure(figsize=(9.5, 4.3), layout="constrained")
    for ax, (title, d) in zip(
        figure.subplots(1, 2, sharey=True),
        (
            ("source in tilted rock", np.full(grid.shape, delta)),
            ("epsilon = delta around the source", delta + (epsilon - delta) * near),
        ),
        strict=True,
    ):
        medium = so.TTI(grid, vp, epsilon=epsilon, delta=d, theta=theta)
        field = (snapshot * so.Modeling(waves, medium) * source.H @ q)[0, 0]
        plot.image(grid, field, title=title, clip=99.0, ax=ax)
        fx, fz = front(vp, epsilon, delta, theta)
        ax.plot(1200.0 + (0.4 - delay) * fx, 1200.0 + (0.4 - delay) * fz, "--", color="tab:red", linewidth=1)
    return figure


def front(vp: float, epsilon: float, delta: float, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Group velocities of qP waves in all directions; see Alkhalifah (2000), doi:10.1190/1.1444815."""
    angle = np.linspace(0.0, 2 * np.pi, 721)
    sine = np.sin(angle) ** 2
    root = np.sqrt((1 + 2 * epsilon * sine) ** 2 - 2 * (epsilon - delta) * np.sin(2 * angle) ** 2)
    phase = vp * np.sqrt(0.5 + epsilon * sine + 0.5 * root)
    turn = np.gradient(phase, angle)
    across, along = phase * np.sin(angle) + turn * np.cos(angle), phase * np.cos(angle) - turn * np.sin(angle)
    return along * np.sin(theta) + across * np.cos(theta), along * np.cos(theta) - across * np.sin(theta)


def viscoacoustic() -> Figure:
    """A trace with and without losses, and how constant Q is."""
    grid = so.Grid(shape=(201, 61), spacing=10.0)
    time = so.Time(n=601, step=0.002)
    waves = so.Wavefield(grid, time)
    F = so.Projection(waves, [(1800.0, 300.0)]) * so.Modeling(waves, so.Acoustic(grid, 2000.0))
    F = F * so.Projection(waves, [(200.0, 300.0)]).H
    q = so.ricker(time, f0=15.0)[None, None]
    lossy = so.ViscoAcoustic(grid, 2000.0, qp=30.0, f0=15.0, mechanisms=3)
    G = so.Projection(waves, [(1800.0, 300.0)]) * so.Modeling(waves, lossy) * so.Projection(waves, [(200.0, 300.0)]).H

    figure = Figure(figsize=(10.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(time.samples, (F @ q)[0, 0], label="Acoustic", color="0.6")
    left.plot(time.samples, (G @ q)[0, 0], label="ViscoAcoustic, qp = 30 at 15 Hz", color="tab:red")
    left.set(title="pressure 1600 m away", xlabel="time (s)", xlim=(0.75, 1.15))
    left.legend(frameon=False, fontsize=8)
    f = np.geomspace(1.5, 150.0, 200)
    for count, line in ((1, "-"), (2, "-"), (3, "--")):
        one = solids(15.0, count)
        times, weights = [s.time for s in one], [s.weight for s in one]
        tau = so.ViscoAcoustic(grid, 2000.0, qp=30.0, f0=15.0, mechanisms=count).tau.flat[0]
        found = [quality(tau, *dispersion(x, times, weights)) for x in f]
        right.semilogx(f, found, label=f"mechanisms={count}", linestyle=line)
    right.axvspan(15.0 / 10**0.5, 15.0 * 10**0.5, color="0.92")
    right.set(title="quality factor", xlabel="frequency (Hz)", ylim=(0.0, 100.0))
    right.legend(frameon=False, fontsize=8)
    return figure


def fibre() -> Figure:
    """An explosion beside a trench and a well, as geophones along the cable hear it, and as a fibre does."""
    grid = so.Grid(shape=(161, 111), spacing=10.0)
    time = so.Time(n=301, step=0.002)
    waves = so.Wavefield(grid, time)
    layers = np.digitize(grid.coordinates("z"), (250.0, 600.0)) * np.ones(grid.shape, int)
    vp, vs, rho = (np.choose(layers, values) for values in ((1800, 2400, 3000), (1000, 1300, 1700), (1900, 2100, 2300)))
    line = np.array([[100.0, 40.0], [900.0, 40.0], [900.0, 1000.0]])
    cable = so.Fibre(waves, line, gauge=10.0, spacing=10.0)
    along = np.where((cable.distances < 800.0)[:, None], [1.0, 0.0], [0.0, 1.0])
    geophones = so.Force(waves, cable.positions, along)
    Ainv = so.Modeling(waves, so.Elastic(grid, vp, vs, rho))
    F = so.VStack([geophones, cable]) * Ainv * so.Projection(waves, [(700.0, 450.0)]).H
    velocity, strain = F.range.split(F @ so.ricker(time, f0=15.0)[None, None])

    figure = Figure(figsize=(11.0, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    plot.model(grid, vs, title="where it lies", label="vs (m/s)", ax=left)
    left.plot(*line.T, color="tab:red", linewidth=2)
    left.plot(700.0, 450.0, "*", color="white", markersize=12)
    for ax, title, traces in (
        (middle, "geophones: velocity along the cable", velocity),
        (right, "fibre: strain rate", strain),
    ):
        plot.record(time, traces[0], cable.distances, title=title, clip=98.0, ax=ax)
        ax.set(xlabel="along the cable (m)")
        ax.axvline(800.0, color="tab:red", linewidth=1)
    return figure


def main(names: list[str]) -> None:
    """Draw what is named, or all."""
    for make in (elastic, tti, viscoacoustic, fibre):
        if not names or make.__name__ in names:
            make().savefig(HERE / f"{make.__name__}.png", dpi=110)


if __name__ == "__main__":
    main(sys.argv[1:])
