"""The steps of the demonstration, each a few lines of operators."""

from __future__ import annotations

import resource
import sys
import time as clock
from collections.abc import Callable
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize

from seisops._pylops import pylops
from seisops.errors import ParameterError
from seisops.model import DepthScaling, TopMute
from seisops.operators import LinearOperator
from seisops.wave._validate import integer, not_negative, real
from seisops.wave.equations.acoustic import Acoustic
from seisops.wave.grid import Grid
from seisops.wave.jacobian import Jacobian, Parametric
from seisops.wave.modeling import Modeling
from seisops.wave.sampling.projection import Projection
from seisops.wave.space import Wavefield
from seisops.wave.storage import policies as storage
from seisops.wave.time import Time
from seisops.wave.wavelets import ricker

__all__ = ["Result", "Settings", "run"]

# how far beyond the models' extremes an inverted velocity may go
SLACK = 1.02
# one s2/km2 in s2/m2: squared slowness in numbers of order one, for a solver that compares them with one another
UNIT = 1e-6


@dataclass(frozen=True)
class Settings:
    """What the demonstration does.

    Parameters
    ----------
    shots : int
        Sources, evenly spaced along x.
    f0 : float
        Peak frequency in Hz of the Ricker wavelet.
    duration, step : float
        Length and sampling interval of the records in s.
    mute : float
        Depth in m above which nothing is imaged or updated; a taper of half that length follows.
    iterations, fwi_iterations : int
        Of least-squares migration and of full-waveform inversion.
    memory : float
        GiB of forward wavefields that are kept; what does not fit is computed again whenever it is needed.
    """

    shots: int = 5
    f0: float = 10.0
    duration: float = 1.4
    step: float = 0.004
    mute: float = 150.0
    iterations: int = 10
    fwi_iterations: int = 6
    memory: float = 4.0

    def __post_init__(self):
        for name in ("shots", "iterations", "fwi_iterations"):
            integer(name, getattr(self, name), minimum=1)
        for name, unit in (("f0", "Hz"), ("duration", "s"), ("step", "s")):
            real(name, getattr(self, name), unit, positive=True)
        for name, unit in (("mute", "m"), ("memory", "GiB")):
            not_negative(name, getattr(self, name), unit)

    @property
    def solves(self) -> int:
        """Solves of the wave equation that the run will take, about."""
        return self.shots * (6 + 2 * self.iterations + 2 * (self.fwi_iterations + 2))


@dataclass
class Result:
    """Arrays and measurements of a run; models and images have the shape (x, z), squared slowness is in s2/m2.

    Attributes
    ----------
    grid, time, settings
        What was run.
    sources, receivers : ndarray of shape (points, 2)
        Coordinates in m.
    m, m0 : ndarray
        True and starting squared slowness.
    data : ndarray of shape (shots, receivers, time)
    rtm, lsrtm, fwi : ndarray
        Migrated image; perturbation of squared slowness by least squares; inverted squared slowness.
    lsrtm_misfit, fwi_misfit, fwi_error : list of float
        Norms of the residual relative to the data's, and of the model's error relative to the start's, by iteration.
    seconds : dict of str to float
        Wall-clock time of every step.
    peak_bytes : int
        Largest resident memory of the process by the end of the run.
    """

    grid: Grid
    time: Time
    settings: Settings
    sources: NDArray
    receivers: NDArray
    m: NDArray
    m0: NDArray
    data: NDArray = field(init=False)
    rtm: NDArray = field(init=False)
    lsrtm: NDArray = field(init=False)
    fwi: NDArray = field(init=False)
    lsrtm_misfit: list[float] = field(default_factory=list)
    fwi_misfit: list[float] = field(default_factory=list)
    fwi_error: list[float] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: int = 0

    @property
    def seconds_per_shot(self) -> float:
        """Time to model one shot, compilation aside."""
        return self.seconds["modelling"] / self.settings.shots

    def arrays(self) -> dict[str, NDArray]:
        """Everything that is an array, by name, with the axes needed to draw it."""
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        out = {name: np.asarray(a) for name, a in named.items() if isinstance(a, np.ndarray | list)}
        axes = {axis: self.grid.coordinates(axis) for axis in self.grid.axes}
        return {**out, **axes, "t": self.time.samples}


Progress = Callable[[str, int], None]


def run(
    grid: Grid, m: NDArray, m0: NDArray, settings: Settings, progress: Progress = lambda step, solves: None
) -> Result:
    """Model shots, migrate them, and invert them by least squares and by full-waveform inversion.

    Parameters
    ----------
    grid : Grid
        Of two dimensions.
    m, m0 : array_like
        True and starting squared slowness in s2/m2, of the grid's shape.
    settings : Settings
    progress : callable, optional
        ``progress(step, solves)`` is told how many solves of a step have just been done, 0 when it begins.

    Raises
    ------
    ParameterError
        If there is nothing to image: the mute leaves nothing, or the two models make the same data.
    """
    depth = grid.extent[-1][1] - grid.extent[-1][0]
    if settings.mute >= depth:
        raise ParameterError(f"a mute of {settings.mute:g} m leaves nothing of a model that is {depth:g} m deep")
    time = Time(round(settings.duration / settings.step) + 1, settings.step)
    waves = Wavefield(grid, time, shots=settings.shots)
    sources, receivers = survey(grid, settings.shots)
    m, m0 = (np.asarray(a, dtype=np.float32) for a in (m, m0))
    result = Result(grid, time, settings, sources, receivers, m, m0)
    kept = storage.Full(keep_bytes=int(settings.memory * 2**30))

    Pr = Projection(waves, receivers)
    Ps = Projection(waves, sources[:, None])
    bounds = float(min(m.min(), m0.min())) / SLACK**2, float(max(m.max(), m0.max())) * SLACK**2
    Ainv = Modeling(waves, Acoustic(grid, m=m), max_velocity=bounds[0] ** -0.5)
    F = Pr * Ainv * Ps.H
    F0 = F.at(m=m0)
    q = np.tile(ricker(time, settings.f0), (settings.shots, 1, 1))
    D = preconditioner(waves, settings.mute)

    with _timed(result, progress, "compilation"):
        F[0:1] @ q[0:1]
        progress("compilation", 1)
    with _timed(result, progress, "modelling"):
        result.data = F @ q
        progress("modelling", settings.shots)

    J = Jacobian(F0, q, storage=kept)
    with _timed(result, progress, "linearised data"):
        d = J @ (m - m0)
        progress("linearised data", 2 * settings.shots)
    if not d.any():
        raise ParameterError(
            "nothing to image: the true model scatters no waves in the starting model back to the receivers; give a "
            "starting model that differs from the true one, or longer records"
        )
    with _timed(result, progress, "migration"):
        result.rtm = J.H @ d
        progress("migration", settings.shots)
    with _timed(result, progress, "least squares"):
        result.lsrtm, result.lsrtm_misfit = least_squares(
            J, D, d, settings.iterations, lambda: progress("least squares", 2 * settings.shots)
        )
    J.forget()

    with _timed(result, progress, "inversion"):
        G = Parametric(F0, storage=kept)
        result.fwi, result.fwi_misfit, result.fwi_error = invert(
            G,
            q,
            result.data,
            m0,
            D,
            bounds,
            settings.fwi_iterations,
            m,
            lambda: progress("inversion", 2 * settings.shots),
        )
    result.peak_bytes = _peak_memory()
    return result


def survey(grid: Grid, shots: int) -> tuple[NDArray, NDArray]:
    """Sources spread evenly over the top of a model, and a receiver at every second node; all two cells deep."""
    (left, right), (top, _) = grid.extent
    depth = top + 2 * grid.spacing[1]
    x = left + (right - left) * (np.arange(shots) + 0.5) / shots
    receivers = grid.coordinates("x")[::2]
    return np.stack([x, np.full_like(x, depth)], axis=1), np.stack([receivers, np.full_like(receivers, depth)], axis=1)


def preconditioner(waves: Wavefield, mute: float) -> LinearOperator:
    """Depth scaling after a tapered top mute, to stand on the right of a Jacobian."""
    return DepthScaling(waves) * TopMute(waves, mute + waves.grid.origin[1], taper=0.5 * mute)


def least_squares(
    J: Jacobian, D: LinearOperator, d: NDArray, iterations: int, tick: Callable[[], None]
) -> tuple[NDArray, list[float]]:
    """Solve ``min |J D x - d|``; the perturbation ``D x`` and the relative residual of every iteration."""
    x, _, _, _, _, residual = pylops.cgls(J * D, d.ravel(), niter=iterations, tol=0.0, callback=lambda x: tick())
    return (D @ x).reshape(J.domain.shape), [float(r / residual[0]) for r in residual]


def invert(
    G: Parametric,
    q: NDArray,
    data: NDArray,
    m0: NDArray,
    D: LinearOperator,
    bounds: tuple[float, float],
    iterations: int,
    truth: NDArray,
    tick: Callable[[], None],
) -> tuple[NDArray, list[float], list[float]]:
    """Full-waveform inversion by bounded L-BFGS over x in s2/km2, ``m = m0 + D x``: the model, misfits and errors.

    The objective is multiplied by |g|^2 / |J D g|^2 of the first gradient g: its first step, along -g, then ends at the
    minimum of the linearised problem.
    """
    D = UNIT * D
    weights = D @ np.ones(m0.size, dtype=np.float32)

    def at(x):
        return (m0.ravel() + D @ x.astype(np.float32)).reshape(m0.shape)

    def linearized(x, then):
        with G.linearize(at(x), q) as linearization:
            residual, J = linearization.value - data, linearization.jacobians[0]
            gradient = (D.H @ (J.H @ residual).ravel()).astype(np.float64)
            tick()
            return then(0.5 * float(np.linalg.norm(residual)) ** 2, gradient, J)

    start = np.zeros(m0.size)
    first, scale = linearized(
        start, lambda value, g, J: (value, float(g @ g) / float(np.linalg.norm(J @ (D @ g.astype(np.float32)))) ** 2)
    )
    misfits, errors = [_relative(2 * first, data)], [1.0]

    def objective(x):
        return linearized(x, lambda value, gradient, J: (scale * value, scale * gradient))

    def accepted(intermediate_result):
        misfits.append(_relative(2 * intermediate_result.fun / scale, data))
        errors.append(float(np.linalg.norm(at(intermediate_result.x) - truth) / np.linalg.norm(m0 - truth)))

    movable = weights > 0
    low, high = (np.divide(bound - m0.ravel(), weights, out=np.zeros(m0.size), where=movable) for bound in bounds)
    options = {"maxiter": iterations, "maxfun": 2 * iterations + 2, "maxcor": 8, "ftol": 0.0, "gtol": 0.0}
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=Bounds(low, high), callback=accepted, options=options
    )
    return at(found.x), misfits, errors


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _relative(squares: float, data: NDArray) -> float:
    return float(np.sqrt(squares) / np.linalg.norm(data))


class _timed:
    """Announces a step, and adds the wall-clock time of its block to a result."""

    def __init__(self, result: Result, progress: Progress, step: str):
        self.result, self.progress, self.step = result, progress, step

    def __enter__(self):
        self.progress(self.step, 0)
        self.start = clock.perf_counter()

    def __exit__(self, *error):
        self.result.seconds[self.step] = clock.perf_counter() - self.start
