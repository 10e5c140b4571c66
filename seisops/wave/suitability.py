"""What makes the results of a solve other than they seem: said once, with the numbers and what would do.

Each check is a function of a solve and of what it is applied to, and yields warnings. Thresholds are such that what passes
in silence is off by less than about 1 %, as measured in homogeneous media (``tests/wave/test_suitability.py``). Sources and
points are looked at where a source is, not in adjoint solves, nor in Born solves but for their backgrounds.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import seisops._arrays as _arrays
from seisops.errors import AccuracyWarning, DispersionWarning, outside
from seisops.wave.sampling.coupling import Coupling
from seisops.wave.sampling.imaging import Imaging
from seisops.wave.sampling.where import Where
from seisops.wave.wavelets import bandwidth

__all__ = ["warn"]

# grid points per shortest wavelength (a tenth of the peak amplitude) below which dispersion spoils the result
COARSE = 2.5

# part of a source, in norm, that may get lost between its samples and those of the solver: data are off by less
LOST = 0.01

# first sample of a source, relative to its largest, from which its start is to blame for that
ABRUPT = 0.02

# samples from either end within which most gets lost, if it is to blame
NEAR = 8

# part of a spectrum's peak where its band ends, for what comes back from beyond half the sampling rate
BAND = 0.01


class Solve(Protocol):
    """What is looked at of a solve: readers after a modeling operator after writers."""

    modeling: Any
    reading: tuple[Coupling, ...]
    writing: tuple[Coupling, ...]
    is_adjoint: bool
    said: set  # the kinds of warnings that were given
    looked: set  # those that need not be looked for again

    @property
    def shots(self) -> int:
        """The number of shots."""

    @property
    def imaging(self) -> list[Imaging]:
        """The imaging conditions among its samplers."""

    def where(self, entering: bool) -> list[Where]:
        """Where each of the writers enters the wavefield, or each of the readers leaves it."""


def warn(solve: Solve, parts: Sequence[NDArray]) -> None:
    """Warn of everything that makes the results of a solve other than they seem: of each kind once.

    Looked at are the geometry and the first sources that are not zero. Those later on may be no sources, as the random ones
    of dot tests and the iterates of solvers.

    Parameters
    ----------
    solve : Solve
    parts : sequence of ndarray
        What it is applied to, an array for each writer.
    """
    found = {}
    for check in CHECKS:
        key = (check.__name__, solve.is_adjoint)
        if key in solve.said or key in solve.looked:
            continue
        if check in OF_SOURCES and not solve.is_adjoint and not any(np.any(x) for x in _signals(solve, parts)):
            continue
        solve.looked.add(key)
        warned = list(check(solve, parts))
        if warned:
            solve.said.add(key)
        found.update({str(warning): warning for warning in warned})  # channels may say the same
    for warning in found.values():
        warnings.warn(warning, stacklevel=outside())


def coarse_grid(solve: Solve, parts: Sequence[NDArray]) -> Iterator[UserWarning]:
    """Too few grid points for a wavelength."""
    medium, grid = solve.modeling.medium, solve.modeling.domain.grid
    speeds = medium.speeds()
    if speeds is None:
        return
    slowest = float(np.min(speeds[0]))
    for signal in sources(solve, parts):
        highest = bandwidth(signal, solve.modeling.domain.time, level=0.1)
        points = slowest / (highest * max(grid.spacing)) if highest else np.inf
        if points < COARSE:
            yield DispersionWarning(
                f"the grid is coarse for this source: {highest:.4g} Hz at {slowest:.4g} m/s is "
                f"{points:.2g} points per wavelength at a spacing of {max(grid.spacing):.4g} m; use at most "
                f"{slowest / (COARSE * highest):.4g} m, or a source of lower frequency"
            )


def coarse_time(solve: Solve, parts: Sequence[NDArray]) -> Iterator[UserWarning]:
    """Sources that their own samples do not carry: of frequencies too high, or with jumps."""
    time, resampling = solve.modeling.domain.time, solve.modeling.discretisation.resampling()
    for signal in sources(solve, parts):
        missing = np.abs(signal - resampling.down(resampling.up(signal)))
        lost = np.linalg.norm(missing) / np.linalg.norm(signal)
        if lost <= LOST:
            continue
        first, last = (abs(signal[n]) / np.abs(signal).max() for n in (0, -1))
        where = int(np.argmax(missing))
        highest = bandwidth(signal, time, level=BAND)
        if first > ABRUPT and where < NEAR:
            yield AccuracyWarning(
                f"the source starts with a jump: its first sample is {first:.2g} of its largest, and {lost:.1%} of it gets "
                "lost, as samples carry no jumps; delay it, so that it starts from nothing"
            )
        elif last > ABRUPT and where >= time.n - NEAR:
            yield AccuracyWarning(
                f"the source ends with a jump: its last sample is {last:.2g} of its largest, and {lost:.1%} of it gets "
                "lost, as samples carry no jumps; let the time axis go on until it is over, or taper it"
            )
        elif highest < resampling.passband:
            yield AccuracyWarning(
                f"the source jumps at {time.samples[where]:.4g} s: most of it lies below {highest:.4g} Hz, but {lost:.1%} "
                f"of it lies beyond the {resampling.passband:.4g} Hz that samples every {time.step:.4g} s carry undamped, "
                "and gets lost; smooth it"
            )
        else:
            # samples do not show what lies beyond half their rate
            enough = time.step * (resampling.passband / highest if highest < 0.99 * time.nyquist else 0.5)
            yield AccuracyWarning(
                f"the time axis is coarse for this source: samples every {time.step:.4g} s carry up to "
                f"{resampling.passband:.4g} Hz undamped, it reaches {highest:.4g} Hz, and {lost:.1%} of it gets lost; "
                f"use a step of at most {enough:.2g} s, or a source of lower frequency"
            )


def silent_points(solve: Solve, parts: Sequence[NDArray]) -> Iterator[UserWarning]:
    """Shots all of whose sources or receivers lie on a surface where what they emit or hear vanishes."""
    d = solve.modeling.discretisation
    if not d.surface or solve.is_adjoint or solve.imaging:
        return
    grid = solve.modeling.domain.grid
    for side, does, samplers in (("sources", "drive", solve.writing), ("receivers", "hear", solve.reading)):
        met = list(zip(samplers, solve.where(entering=side == "sources"), strict=True))
        for sampler, _ in met:
            # of what is combined at the same points, as in a dipole, one may be silent and another not
            together = [one for one in met if one[0].points == sampler.points]
            silent = {shot: n for shot in range(solve.shots) if (n := min(s.silent(shot, at) for s, at in together))}
            if not silent:
                continue
            shot, n = next(iter(silent.items()))
            more = f" and of {len(silent) - 1} more" if len(silent) > 1 else ""
            # stress that is driven in the nodes of a surface at which differences end is heard in these very nodes
            but = ", but for what is driven in the same nodes" if d.closed else ""
            yield AccuracyWarning(
                f"all {side} of shot {shot} ({n}){more} lie on the {d.faces.surface} surface at z = {grid.origin[-1]:g} m, "
                f"where what they {does} vanishes: data are exactly 0{but}; move them down by a cell "
                f"({grid.spacing[-1]:g} m) or so"
            )


def sparse_background(solve: Solve, parts: Sequence[NDArray]) -> Iterator[UserWarning]:
    """Backgrounds kept at so few steps that their products with perturbations, or with adjoint fields, are aliased."""
    d = solve.modeling.discretisation
    for imaging in solve.imaging:
        every, rate = imaging.every, 1.0 / (imaging.every * d.dt)
        highest = max((bandwidth(s, d.time, level=BAND) for s in imaging.source.signals()), default=0.0)
        # Taken at a rate, what is scattered comes with mirror images at the rate less its frequencies. They do no harm where
        # neither the grid nor the data carry them; an image holds them against data of the source's own band.
        carried = highest
        if not solve.is_adjoint:
            carried = min(d.time.nyquist, 0.5 * d.velocity * float(np.linalg.norm(1.0 / np.array(d.grid.spacing))))
        if every > 1 and rate < highest + carried:
            enough = int(1.0 / ((highest + carried) * d.dt))
            yield AccuracyWarning(
                f"{type(imaging.storage).__name__}({every}) keeps the background {rate:.4g} times a second, but it reaches "
                f"{highest:.4g} Hz: what it scatters is aliased from {max(0.0, rate - highest):.4g} Hz on, and "
                + (
                    f"images see up to {carried:.4g} Hz; "
                    if solve.is_adjoint
                    else f"data carry up to {carried:.4g} Hz; "
                )
                + (f"use every={enough} or less" if enough > 1 else "use another policy")
            )


OF_SOURCES = (coarse_grid, coarse_time)
CHECKS = (*OF_SOURCES, silent_points, sparse_background)


def sources(solve: Solve, parts: Sequence[NDArray]) -> Iterator[NDArray]:
    """The strongest signal of each writer that has any, in a solve that has sources; scaled, as only its shape matters."""
    if solve.is_adjoint:
        return
    for signals in _signals(solve, parts):
        traces = signals.reshape(-1, signals.shape[-1])
        peaks = np.abs(traces).max(axis=1)
        strongest = int(np.argmax(peaks))
        if peaks[strongest] > 0:
            yield _arrays.to_host(traces[strongest]).astype(np.float64) / float(peaks[strongest])


def _signals(solve: Solve, parts: Sequence[NDArray]) -> Iterator[NDArray]:
    for sampler, x in zip(solve.writing, parts, strict=True):
        signals = sampler.signals(x)
        if signals is not None and signals.size:
            yield signals
