"""Full-waveform inversion band by band, from low frequencies to high ones."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.data.filters import Bandpass
from seisops.data.matching import lags
from seisops.data.tracemap import shots_of
from seisops.data.tracewise import kinds_of_traces
from seisops.elsewhere import here, there
from seisops.errors import AccuracyWarning, DispersionWarning, ParameterError, SpaceError, outside
from seisops.inversion.following import journal_of
from seisops.inversion.loss import Loss
from seisops.inversion.misfit import Misfit
from seisops.inversion.search import IN_SETS, Search
from seisops.inversion.sought import Sought
from seisops.maps import Map
from seisops.model.bounded import Bounded
from seisops.operators import LinearOperator
from seisops.spaces import Space, Traces, compatible, split
from seisops.survey.windows import WindowedModeling
from seisops.wave._validate import integer, real
from seisops.wave.grid import Grid
from seisops.wave.jacobian import Parametric, the_modeling
from seisops.wave.suitability import COARSE
from seisops.wave.time import Time
from seisops.wave.wavelets import bandwidth

__all__ = ["Band", "MultiscaleResult", "multiscale"]

#: Part of the data that may be late, or early, by more than half a period before one is warned.
SKIPPED = 0.1
#: Part of the peak of a spectrum where a band ends, for grids.
BAND = 0.1


@dataclass
class Band:
    """What one band made of the model it began with.

    Attributes
    ----------
    high : float or None
        Corner of the low-pass filter in Hz; None for all frequencies.
    misfits : list of float
        After each iteration, the first of the model that it began with.
    errors : list of float
        Errors of the model by iteration, relative to that of the first of all, where the truth is given; of several
        parameters a tuple for each iteration.
    skipped : float
        Part of the observed data in traces that, at the start of the band, lie more than half a period from the modeled
        ones: weak traces count by their energy.
    evaluations : int
        Misfits and gradients that were evaluated.
    points : float
        Grid points for the shortest wavelength of the band, in the slowest part of the model that it began with; NaN where
        the source has no signals, or the medium states no velocity.
    grid : Grid or None
        On which waves were modeled, where grids follow the bands.
    """

    high: float | None
    misfits: list[float] = field(default_factory=list)
    errors: list[Any] = field(default_factory=list)
    skipped: float = 0.0
    evaluations: int = 0
    points: float = math.nan
    grid: Grid | None = None

    @property
    def name(self) -> str:
        """What it is called in tables and messages."""
        return "all frequencies" if self.high is None else f"up to {self.high:g} Hz"


@dataclass(repr=False)
class MultiscaleResult:
    """An inverted model, and how it came about.

    Attributes
    ----------
    model : ndarray or tuple of ndarray
        Of several parameters one for each.
    bands : list of Band
    """

    model: Any
    bands: list[Band]

    def __str__(self) -> str:
        lines = [f"{'band':>12} {'iterations':>10} {'evaluations':>11} {'misfit':>20}" + " error of model" * self._told]
        for band in self.bands:
            high = "all" if band.high is None else f"below {band.high:g} Hz"
            misfit = f"{band.misfits[0]:.3g} -> {band.misfits[-1]:.3g}"
            error = f" {np.max(band.errors[-1]):>13.0%}" if self._told else ""
            lines.append(f"{high:>12} {len(band.misfits) - 1:>10} {band.evaluations:>11} {misfit:>20}{error}")
        return "\n".join(lines)

    __repr__ = __str__

    @property
    def _told(self) -> bool:
        return any(band.errors for band in self.bands)


def multiscale(
    F: LinearOperator | Callable[[Grid], LinearOperator],
    data: ArrayLike,
    q: ArrayLike,
    bands: Sequence[float | None],
    start: Any,
    *,
    wrt: str | Sequence[str] = "m",
    bounds: Any,
    grid: Grid | None = None,
    points: float = 5.0,
    iterations: int = 10,
    solver: str = "lbfgs",
    project: Any = None,
    loss: Loss | None = None,
    weights: Any = None,
    P: Any = None,
    estimate_source: bool | float = False,
    storage: Any = "auto",
    truth: Any = None,
    journal: Any = None,
    progress: bool = False,
) -> MultiscaleResult:
    """Invert data for parameters of the medium, in bands of frequencies that grow (Bunks et al. 1995).

    In each band source and data pass the same causal low-pass filter, which commutes with modeling, and an optimiser begins
    with the model of the band before. L-BFGS (SciPy's) looks for numbers without bounds and of order one, of which
    :class:`~seisops.model.Bounded` makes a model between the bounds, whatever P is; the objective is scaled by the curvature
    along the first gradient, so that its first step, too, is one of the right length. :func:`spg` and :func:`pqn` look for
    the model itself, within the bounds and a set besides.

    Parameters
    ----------
    F : LinearOperator or callable
        A modeling expression, or ``survey.modeling(...)``, made with a `max_velocity` that the bounds do not exceed; or a
        function that makes it on a :class:`~seisops.Grid`, with any medium on that: then grids follow the bands.
    data, q : array_like
        Observed data and the source, in the range and the domain of F.
    bands : sequence of float or None
        Corners of the filters in Hz, in this order, from low to high; None for all frequencies.
    start : array_like or tuple of array_like
        The model to begin with, strictly between the bounds; of several parameters a tuple.
    wrt : str or tuple of str, optional
        What is looked for: ``"m"`` or ``"vp"``, or other parameters of the medium, as ``("vp", "rho")``.
    bounds : tuple
        Lowest and highest value in the unit of the parameter, numbers or of the model's shape; of several parameters such a
        pair for each.
    grid : Grid, optional
        The grid of models, where F is a function.
    points : float, optional
        Where F is a function: grid points for the shortest wavelength of a band, up to a tenth of the peak of its source, in
        the slowest part of the model that the band begins with. Waves are modeled on a grid with so many, or on that of
        models if it is not finer; models stay where they are, and are averaged onto it by :class:`~seisops.model.Regrid`.
    iterations : int, optional
        Of the optimiser in each band.
    solver : str, optional
        ``"lbfgs"``, ``"spg"`` or ``"pqn"``.
    project : optional
        For ``"spg"`` and ``"pqn"``, a set besides the bounds, of :mod:`seisops.inversion.constraints`, in the unit of
        models; of several parameters a tuple, with None for those that are free, or a
        :class:`~seisops.inversion.constraints.Product`.
    loss, weights, estimate_source
        As of :class:`Misfit`; weights are those of filtered data.
    P : operator or array_like, optional
        For ``"lbfgs"``, such as a mask or a smoothing: from numbers of order one to changes of the model in fractions of
        ``high - low``; of several parameters a tuple, with None for those that have none.
    storage : str or Policy, optional
        As of :class:`~seisops.Parametric`.
    truth : array_like or tuple of array_like, optional
        A model of which errors are told.
    journal : path or Journal, optional
        Where evaluations are remembered, so that a run that was killed goes on.
    progress : bool, optional
        Whether to show a bar.

    Returns
    -------
    MultiscaleResult

    Raises
    ------
    ParameterError
        If bands, bounds or the start make no sense, or there is nothing to invert.
    UnstableError
        If the bounds admit what is too fast for the time step of F: make it with that `max_velocity`.

    Warns
    -----
    AccuracyWarning
        If a band begins with more than a tenth of the data more than half a period away: it may skip cycles. Begin with
        lower frequencies, a better model, or :class:`~seisops.inversion.loss.Envelopes`. Or if bands descend.
    DispersionWarning
        If a band begins with fewer than 2.5 grid points for its shortest wavelength.

    Notes
    -----
    Bunks, Saleck, Zaleski & Chavent (1995), Multiscale seismic waveform inversion, Geophysics 60(5), 1457-1473,
    doi:10.1190/1.1443880.
    """
    fine = _made(F, grid)
    G = _map(fine, wrt, storage)
    sought = Sought(wrt, G.domain[:-1], bounds)
    if not isinstance(bands, Sequence) or not len(bands):
        raise ParameterError("multiscale needs bands, such as (4.0, 8.0, None) in Hz; None takes all frequencies")
    bands = [None if high is None else real("a corner of multiscale", high, "Hz", positive=True) for high in bands]
    if solver not in ("lbfgs", *IN_SETS):
        raise ParameterError(f"multiscale: solver must be one of lbfgs, {', '.join(IN_SETS)}, got {solver!r:.40}")
    if solver == "lbfgs" and project is not None:
        raise ParameterError("multiscale: sets are for solver='spg' and solver='pqn'; L-BFGS knows bounds alone")
    if solver != "lbfgs" and P is not None:
        raise ParameterError(
            f"multiscale: P changes variables, in which a set is another one: leave it out for {solver!r}"
        )
    iterations = integer("multiscale iterations", iterations, minimum=1)
    points = real("multiscale points", points, "grid points for a wavelength", positive=True)
    if not np.any(data):
        raise ParameterError("multiscale: the data are all zero: there is nothing to invert")
    first = sought.joined("start", start)
    true = None if truth is None else sought.joined("truth", truth)
    Bounded(sought.whole, *sought.bounds, around=first)  # refuses what is not between the bounds
    before = sought.operator(P)
    constraint = sought.constraint(project) if solver in IN_SETS else None
    for name, space, low, high in zip(sought.names, sought.spaces, *sought.split_bounds(), strict=True):
        if name in ("vp", "m"):  # what is too fast for the time step is told before any work starts
            fine.at(**{name: (low if name == "m" else high).reshape(space.shape)})
    _warn_of_descent(bands)
    search = Search(sought, iterations, len(bands), journal_of(journal, "multiscale"), progress)
    model, out = first, MultiscaleResult(None, [])
    for high in bands:
        source, observed = fine.domain.asarray(q), fine.range.asarray(data)
        if high is not None:
            source, observed = (
                space.asarray(Bandpass(space, high=high, zero_phase=False) @ space.asarray(x))
                for space, x in ((fine.domain, q), (fine.range, data))
            )
        band = Band(high)
        out.bands.append(band)
        waves, onto = fine, None
        slowest, highest = _slowest(fine.at(**sought.named(model))), _highest(fine.domain, source)
        if not isinstance(F, LinearOperator):
            waves, band.grid = _coarser(F, fine, grid, slowest / (points * highest) if slowest and highest else None)
            onto = sought.regridded(band.grid) if band.grid != grid else None
        spacing = max(band.grid.spacing) if band.grid else _spacing(sought.spaces[0])
        band.points = slowest / (highest * spacing) if slowest and highest else math.nan
        _warn_of_dispersion(band, spacing)
        G = _map(waves, wrt, storage)
        modeled = G(*split(model if onto is None else onto.matvec(model), G.domain[:-1]), source)
        band.skipped = _skipped(modeled, observed, waves, band)

        def misfit(P: Any, G: Map = G, observed: NDArray = observed, source: NDArray = source) -> Misfit:
            return Misfit(G, observed, source, loss=loss, weights=weights, P=P, estimate_source=estimate_source)

        def told(value: float, model: NDArray, band: Band = band) -> None:
            band.misfits.append(value)
            if true is not None:
                band.errors.append(sought.errors(model, first, true))

        stage = f"band {len(out.bands)} of {len(bands)}, {band.name}"
        if constraint is not None:
            model, band.evaluations = search.within(model, constraint, solver, onto, misfit, told, stage)
        else:
            # a band may end at a bound, to rounding, where nothing moves any more
            inside = model if len(out.bands) == 1 else _within(model, *map(np.ravel, sought.bounds))
            model, band.evaluations = search.lbfgs(inside, before, onto, misfit, told, stage)
    out.model = sought.shaped(model)
    return out


def _map(F: LinearOperator, wrt: str | Sequence[str], storage: Any) -> Map:
    own = there(F)
    windowed = isinstance(F if own is None else own.stands_for, WindowedModeling)
    return F.as_map(wrt, storage) if windowed else Parametric(F, wrt, storage)


def _made(F: Any, grid: Grid | None) -> LinearOperator:
    """Modeling on the grid of models."""
    if isinstance(F, LinearOperator):
        if grid is not None:
            raise ParameterError(
                "multiscale: a grid is for F that is a function, F = lambda grid: ..., which makes modeling"
            )
        return F
    if not callable(F) or not isinstance(grid, Grid):
        raise ParameterError(
            "multiscale needs a modeling expression F; or a function that makes it on a grid, F = lambda grid: ..., and the "
            f"grid of models, grid=so.Grid(...); got {F!r:.80} and {grid!r:.80}"
        )
    return F(grid)


def _coarser(
    F: Callable[[Grid], LinearOperator], fine: LinearOperator, grid: Grid, spacing: float | None
) -> tuple[LinearOperator, Grid]:
    """Modeling on a grid of at most a spacing, of the same extent, if that is coarser along some axis."""
    if spacing is None:
        raise ParameterError(
            "multiscale: grids that follow the bands need a source of signals, and a medium that states its velocity"
        )
    cells = [max(1, math.ceil((b - a) / spacing - 1e-9)) for a, b in grid.extent]
    shape = tuple(min(n, max(cell + 1, 2)) for n, cell in zip(grid.shape, cells, strict=True))
    if shape == grid.shape:
        return fine, grid
    steps = ((b - a) / (n - 1) for (a, b), n in zip(grid.extent, shape, strict=True))
    coarse = Grid(shape, tuple(steps), grid.origin)
    found = F(coarse)
    for name, new, old in (("range", found.range, fine.range), ("domain", found.domain, fine.domain)):
        if not compatible(new, old):
            raise SpaceError(f"multiscale: the {name} of F on {coarse!r} is {new!r}, and {old!r} on {grid!r}")
    return found, coarse


def _slowest(F: LinearOperator) -> float | None:
    """The slowest velocity in a medium in m/s, if it states one."""
    F = F if there(F) is None else here(F)
    medium = F.recipe.medium if isinstance(F, WindowedModeling) else the_modeling(F).medium
    speeds = medium.speeds()
    return None if speeds is None else float(np.min(speeds[0]))


def _highest(space: Space, source: NDArray) -> float | None:
    """The highest frequency of a source of signals in Hz."""
    parts = kinds_of_traces(space)
    if not all(isinstance(part, Traces) for part in parts):
        return None
    steps = [(part.time_axis, shot) for part in parts for shot in range(part.shots)]
    shots = zip(steps, shots_of(source, space), strict=True)
    return max(bandwidth(x, Time(axis.size, axis.step or 1.0), level=BAND) for (axis, _), x in shots) or None


def _spacing(space: Space) -> float:
    return max(axis.step or 0.0 for axis in space.axes)


def _warn_of_descent(bands: Sequence[float | None]) -> None:
    for before, after in pairwise(math.inf if high is None else high for high in bands):
        if after < before:
            high = "all frequencies" if before == math.inf else f"those up to {before:g} Hz"
            warnings.warn(
                f"bands descend: one up to {after:g} Hz comes after {high}, of which it is a part. Low frequencies come "
                "first, as they skip no cycles, and high ones add detail to what they find: give bands from low to high",
                AccuracyWarning,
                stacklevel=outside(),
            )
            return


def _warn_of_dispersion(band: Band, spacing: float) -> None:
    if band.points < COARSE:
        warnings.warn(
            f"in the band of {band.name}, there are {band.points:.2g} grid points for the shortest wavelength, at a spacing "
            f"of {spacing:.4g} m: waves disperse; use at most {spacing * band.points / COARSE:.4g} m, or leave the band out",
            DispersionWarning,
            stacklevel=outside(),
        )


def _skipped(modeled: NDArray, observed: NDArray, F: LinearOperator, band: Band) -> float:
    """The part of the data that lies more than half a period away, and a warning if that is much.

    Weak traces count by their energy, and those above the median all the same: wild ones are not the data.
    """
    late, energy, period = lags(F.range, modeled, observed)
    counted = np.minimum(energy, np.median(energy[energy > 0])) if energy.any() else energy
    skipped = float(counted[np.abs(late) > 0.5 * period].sum() / max(counted.sum(), np.finfo(float).tiny))
    if skipped > SKIPPED:
        warnings.warn(
            f"in the band of {band.name}, {skipped:.0%} of the data are more than half a period from what the model makes: "
            "the inversion may skip cycles; begin with lower frequencies or a better model, or take loss.Envelopes() first",
            AccuracyWarning,
            stacklevel=outside(),
        )
    return skipped


def _within(model: NDArray, low: NDArray, high: NDArray) -> NDArray:
    apart = 1e-3 * (high - low)
    return np.clip(model, low + apart, high - apart)
