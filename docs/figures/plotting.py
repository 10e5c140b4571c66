"""The figures of the page on plotting: ``python docs/figures/plotting.py``, or some of them by their names.

Each is one call of :mod:`seisops.plot`, of a model by formula, and takes seconds on one core. They are written beside this
file, as ``plot-NAME.png`` and ``plot-movie.gif``.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import pylops

import seisops as so
from seisops import plot

HERE = Path(__file__).resolve().parent

GRID = so.Grid(shape=(201, 101), spacing=10.0)
TIME = so.Time(n=301, step=0.004)
WAVES = so.Wavefield(GRID, TIME, shots=3)
SOURCES = [[(x, 20.0)] for x in (400.0, 1000.0, 1600.0)]
RECEIVERS = [(x, 20.0) for x in np.arange(50.0, 2000.0, 50.0)]
WAVELET = so.ricker(TIME, f0=12.0)


@cache
def velocity() -> np.ndarray:
    """Water over layers that dip, with a lens."""
    x, z = np.meshgrid(*(GRID.coordinates(axis) for axis in "xz"), indexing="ij")
    layers = np.digitize(z - 60.0 * np.sin(x / 400.0), (250.0, 480.0, 700.0))
    vp = np.choose(layers, (1500.0, 2000.0, 2500.0, 3200.0))
    return np.where((z > 480.0) & (np.hypot((x - 1100.0) / 350.0, (z - 560.0) / 60.0) < 1.0), 1800.0, vp)


@cache
def smooth(length: float = 120.0) -> np.ndarray:
    """The same without its details."""
    S = so.model.Smooth(WAVES, length)
    return np.where(velocity() == 1500.0, 1500.0, 1.0 / (S @ (1.0 / velocity()).ravel()).reshape(GRID.shape))


@cache
def modeling() -> so.LinearOperator:
    """Three shots in the true medium."""
    medium = so.Acoustic(GRID, vp=velocity(), rho=1000.0 + 0.5 * (velocity() - 1500.0))
    return so.Projection(WAVES, RECEIVERS) * so.Modeling(WAVES, medium) * so.Projection(WAVES, SOURCES).H


@cache
def data() -> tuple[np.ndarray, np.ndarray]:
    """What the true medium makes, and what the smooth one does."""
    F, q = modeling(), np.tile(WAVELET, (3, 1, 1))
    return F @ q, F.at(vp=smooth(), rho=1000.0 + 0.5 * (smooth() - 1500.0)) @ q


def model():
    """A model."""
    return plot.model(GRID, velocity(), "velocity")


def image():
    """A perturbation."""
    return plot.image(GRID, 1e6 * (velocity() ** -2 - smooth() ** -2), "perturbation", "m - m0 (s2/km2)")


def slices():
    """Three dimensions."""
    grid = so.Grid(shape=(81, 61, 51), spacing=20.0)
    x, y, z = (grid.coordinates(axis) for axis in "xyz")
    depth = z[None, None] - 0.15 * x[:, None, None] + 120.0 * np.sin(y / 250.0)[None, :, None]
    return plot.model(grid, 1500.0 + 500.0 * np.digitize(depth, (150.0, 350.0, 600.0)), at=(900.0, 500.0, 400.0))


def panels():
    """Several models."""
    models = {"true": velocity(), "smooth": smooth(), "smoother": smooth(300.0)}
    return plot.panels(modeling().children[1].medium, models, label="vp", columns=2)


def medium():
    """All parameters of a medium."""
    vp = velocity()
    vs = np.where(vp == 1500.0, 0.0, (vp - 1100.0) / 1.3)
    return plot.medium(so.Elastic(GRID, vp=vp, vs=vs, rho=1000.0 + 0.5 * (vp - 1500.0)), columns=2)


def geometry():
    """Sources and receivers."""
    return plot.geometry(modeling(), title="three shots")


def record():
    """A record in shades."""
    return plot.record(TIME, data()[0][1], RECEIVERS, "a shot", gain=1.0)


def wiggles():
    """The same as wiggles."""
    return plot.record(TIME, data()[0][1], RECEIVERS, "a shot", style="wiggle", gain=1.0)


def records():
    """Observed and modelled."""
    observed, modelled = data()
    return plot.records(TIME, {"observed": observed[1], "modelled": modelled[1]}, RECEIVERS, gain=1.0, clip=99.0)


def traces():
    """One receiver."""
    observed, modelled = data()
    return plot.traces(TIME, {"observed": observed[1], "modelled": modelled[1]}, receiver=4, title="x = 250 m")


def spectrum():
    """Spectra of wavelets."""
    time = so.Time(n=501, step=0.004)
    wavelets = {
        "ricker, 12 Hz": so.ricker(time, f0=12.0, delay=1.0),
        "ormsby, 3 to 40 Hz": so.ormsby(time, (3.0, 8.0, 25.0, 40.0), delay=1.0),
    }
    return plot.spectrum(time, wavelets, phase=True, origin=1.0)


def gathers():
    """Migrated shot by shot, as gathers over the places of sources."""
    places = np.arange(100.0, 1950.0, 100.0)
    waves = so.Wavefield(GRID, TIME, shots=len(places))
    F = so.Projection(waves, RECEIVERS) * so.Modeling(waves, so.Acoustic(GRID, vp=smooth()))
    F = F * so.Projection(waves, [[(x, 20.0)] for x in places]).H
    q = np.tile(WAVELET, (len(places), 1, 1))
    reflected = so.Jacobian(F, q) @ (velocity() ** -2 - smooth() ** -2)
    shots = [[i] for i in range(len(places))]
    images = [so.Jacobian(F[i], q[i]).H @ reflected[i] for i in shots]
    return plot.gathers(
        GRID, GRID.coordinates("z") * images, places, at=[600.0, 1000.0, 1400.0], label="source at x (m)"
    )


def curves():
    """Least squares, with and without a preconditioner."""
    F = modeling().at(vp=smooth())
    J = 1e-6 * so.Jacobian(F, np.tile(WAVELET, (3, 1, 1)))  # of perturbations in s2/km2
    d = (J @ (1e6 * (velocity() ** -2 - smooth() ** -2))).ravel()
    D = so.model.DepthScaling(WAVES, power=1.0) * so.model.TopMute(WAVES, 150.0)
    found = {
        name: 100 * pylops.cgls(operator, d, niter=12, tol=0.0)[5] / np.linalg.norm(d)
        for name, operator in {"plain": J, "scaled with depth": J * D}.items()
    }
    return plot.curves(found, ylabel="residual (% of the data's norm)", title="least-squares migration")


def movie() -> plot.Movie:
    """Waves that move."""
    times = np.arange(0.1, 1.0, 0.04)
    read = so.Snapshots(WAVES, times) * modeling().children[1] * modeling().children[2]
    snapshots = (read[1] @ WAVELET[None, None])[0]
    return plot.movie(modeling().children[1].medium, snapshots, times, clip=99.0)


FIGURES = (
    model, image, slices, panels, medium, geometry, record, wiggles, records, traces, spectrum, gathers, curves, movie,
)  # fmt: skip


def main(names: list[str]) -> None:
    """Draw what is named, or all."""
    matplotlib.rcdefaults()  # PyLops loads Devito's examples, which set fonts of their own
    for make in FIGURES:
        if names and make.__name__ not in names:
            continue
        made = make()
        if isinstance(made, plot.Movie):
            made.ax.figure.set_dpi(60)
            made.save(HERE / f"plot-{make.__name__}.gif")
        else:
            first = made[0] if isinstance(made, list) else made
            first.figure.savefig(HERE / f"plot-{make.__name__}.png", dpi=70)


if __name__ == "__main__":
    main(sys.argv[1:])
