"""Full-waveform inversion band by band, from low frequencies to high ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from seisops.data.filters import Bandpass
from seisops.data.matching import lags
from seisops.elsewhere import there
from seisops.errors import AccuracyWarning, ParameterError, outside
from seisops.inversion.journal import Journal
from seisops.inversion.loss import Loss
from seisops.inversion.misfit import Misfit
from seisops.inversion.progress import Progress
from seisops.maps import Map
from seisops.model.bounded import Bounded
from seisops.operators import LinearOperator, Pointwise
from seisops.survey.windows import WindowedModeling
from seisops.wave._validate import integer, real
from seisops.wave.jacobian import Parametric

__all__ = ["Band", "MultiscaleResult", "multiscale"]

#: Part of the data that may be late, or early, by more than half a period before one is warned.
SKIPPED = 0.1


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
        Errors of the model by iteration, relative to that of the first of all, where the truth is given.
    skipped : float
        Part of the observed data in traces that, at the start of the band, lie more than half a period from the modeled
        ones: weak traces count by their energy.
    evaluations : int
        Misfits and gradients that were evaluated.
    """

    high: float | None
    misfits: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    skipped: float = 0.0
    evaluations: int = 0


@dataclass
class MultiscaleResult:
    """An inverted model, and how it came about.

    Attributes
    ----------
    model : ndarray
    bands : list of Band
    """

    model: NDArray
    bands: list[Band]


def multiscale(
    F: LinearOperator,
    data: ArrayLike,
    q: ArrayLike,
    bands: Sequence[float | None],
    start: ArrayLike,
    *,
    wrt: str = "m",
    bounds: tuple[ArrayLike, ArrayLike],
    iterations: int = 10,
    loss: Loss | None = None,
    weights: Any = None,
    P: Any = None,
    estimate_source: bool | float = False,
    storage: Any = "auto",
    truth: ArrayLike | None = None,
    journal: Any = None,
    progress: bool = False,
) -> MultiscaleResult:
    """Invert data for one parameter of the medium, in bands of frequencies that grow (Bunks et al. 1995).

    In each band source and data pass the same causal low-pass filter, which commutes with modeling; L-BFGS (SciPy's) begins
    with the model of the band before. It looks for numbers without bounds and of order one, of which
    :class:`~seisops.model.Bounded` makes a model between the bounds, whatever P is. The objective is scaled by the curvature
    along the first gradient, so that its first step, too, is one of the right length.

    Parameters
    ----------
    F : LinearOperator
        A modeling expression, or ``survey.modeling(...)``, made with a `max_velocity` that the bounds do not exceed.
    data, q : array_like
        Observed data and the source, in the range and the domain of F.
    bands : sequence of float or None
        Corners of the filters in Hz, in this order; None for all frequencies.
    start : array_like
        The model to begin with, strictly between the bounds.
    wrt : str, optional
        What is looked for: ``"m"`` or ``"vp"``, or another parameter of the medium.
    bounds : tuple of array_like
        Lowest and highest value in the unit of the parameter, numbers or of the model's shape.
    iterations : int, optional
        Of L-BFGS in each band.
    loss, weights, estimate_source
        As of :class:`Misfit`; weights are those of filtered data.
    P : operator or array_like, optional
        Such as a mask or a smoothing: from numbers of order one to changes of the model in fractions of ``high - low``.
    storage : str or Policy, optional
        As of :class:`~seisops.Parametric`.
    truth : array_like, optional
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
        lower frequencies, a better model, or :class:`~seisops.inversion.loss.Envelopes`.

    Notes
    -----
    Bunks, Saleck, Zaleski & Chavent (1995), Multiscale seismic waveform inversion, Geophysics 60(5), 1457-1473,
    doi:10.1190/1.1443880.
    """
    own = there(F)
    windowed = isinstance(F if own is None else own.stands_for, WindowedModeling)
    G = F.as_map(wrt, storage) if windowed else Parametric(F, wrt, storage)
    if len(G.domain) != 2:
        raise ParameterError(
            f"multiscale looks for one parameter, wrt={wrt!r}: for several give Misfit a P for all of them"
        )
    if not isinstance(bands, Sequence) or not len(bands):
        raise ParameterError("multiscale needs bands, such as (4.0, 8.0, None) in Hz; None takes all frequencies")
    if isinstance(P, Map):
        raise ParameterError(
            f"multiscale takes an operator or an array as P, and makes the map to models itself; got {P!r}"
        )
    iterations = integer("multiscale iterations", iterations, minimum=1)
    if not np.any(data):
        raise ParameterError("multiscale: the data are all zero: there is nothing to invert")
    model = G.domain[0].asarray(start).astype(np.float64)
    true = None if truth is None else G.domain[0].asarray(truth).astype(np.float64)
    if true is not None:
        G.domain[0].require_finite(true, "multiscale: truth")
    if wrt in ("vp", "m"):  # what is too fast for the time step is told before any work starts
        F.at(**{wrt: np.broadcast_to(np.asarray(bounds[wrt == "vp"], float), model.shape)})
    kept = journal if journal is None or isinstance(journal, Journal) else Journal(journal, problem="multiscale")
    out = MultiscaleResult(model, [])
    first = None if true is None else float(np.linalg.norm(model - true))
    for high in bands:
        source, observed = F.domain.asarray(q), F.range.asarray(data)
        if high is not None:
            corner = real("a corner of multiscale", high, "Hz", positive=True)
            source, observed = (
                space.asarray(Bandpass(space, high=corner, zero_phase=False) @ space.asarray(x))
                for space, x in ((F.domain, q), (F.range, data))
            )
        # a band may end at a bound, to rounding, where nothing moves any more
        inside = Bounded(G, *bounds, around=_within(out.model, *bounds) if len(out.bands) else out.model)
        change: Map = inside if P is None else inside @ _operator(P, inside)
        misfit = Misfit(
            G, observed, source, loss=loss, weights=weights, P=change, estimate_source=estimate_source
        )  # fmt: skip
        band = Band(high)
        out.bands.append(band)
        band.skipped = _skipped(G(out.model, source), observed, F, high)
        out.model = _descended(misfit, band, iterations, kept, progress, len(bands) * (iterations + 2), true, first)
        misfit.forget()
    return out


def _within(model: NDArray, low: ArrayLike, high: ArrayLike) -> NDArray:
    apart = 1e-3 * (np.asarray(high, float) - low)
    return np.clip(model, low + apart, high - apart)


def _operator(P: Any, inside: Bounded) -> Any:
    return Pointwise(inside.domain[0], P) if isinstance(P, np.ndarray) else P


def _descended(
    misfit: Misfit, band: Band, iterations: int, kept: Journal | None, progress: bool, total: int, true: NDArray | None,
    first: float | None,
) -> NDArray:  # fmt: skip
    """The model after some iterations of L-BFGS."""
    remembered = misfit if kept is None else kept(misfit, progress=progress, total=total)
    evaluated: Any = Progress(misfit, iterations + 2) if progress and kept is None else remembered
    x = np.zeros(misfit.domain.size)
    value, gradient = evaluated(x)
    if not gradient.any():
        raise ParameterError(
            "the gradient is zero at the start: it fits the data, or they do not depend on what is looked for"
        )
    curvature = float(gradient @ (remembered.gauss_newton(x) @ gradient))
    scale = float(gradient @ gradient) / curvature if curvature > 0 else 1.0 / float(np.abs(gradient).max())
    misfit.forget()

    def told(value: float, x: NDArray) -> None:
        band.misfits.append(value)
        if true is not None and first:
            band.errors.append(float(np.linalg.norm(misfit.model(x) - true)) / first)

    def objective(x: NDArray) -> tuple[float, NDArray]:
        band.evaluations += 1
        value, gradient = evaluated(x)
        return scale * value, scale * gradient

    told(value, x)
    found = minimize(
        objective, x, jac=True, method="L-BFGS-B", options={"maxiter": iterations, "ftol": 0.0, "gtol": 0.0},
        callback=lambda intermediate_result: told(intermediate_result.fun / scale, intermediate_result.x),
    )  # fmt: skip
    if isinstance(evaluated, Progress):
        evaluated.close()
    return misfit.model(found.x)


def _skipped(modeled: NDArray, observed: NDArray, F: LinearOperator, high: float | None) -> float:
    """The part of the data that lies more than half a period away, and a warning if that is much.

    Weak traces count by their energy, and those above the median all the same: wild ones are not the data.
    """
    late, energy, period = lags(F.range, modeled, observed)
    counted = np.minimum(energy, np.median(energy[energy > 0])) if energy.any() else energy
    skipped = float(counted[np.abs(late) > 0.5 * period].sum() / max(counted.sum(), np.finfo(float).tiny))
    if skipped > SKIPPED:
        band = "of all frequencies" if high is None else f"up to {high:g} Hz"
        warnings.warn(
            f"in the band {band}, {skipped:.0%} of the data are more than half a period from what the model makes: the "
            "inversion may skip cycles; begin with lower frequencies or a better model, or take loss.Envelopes() first",
            AccuracyWarning,
            stacklevel=outside(),
        )
    return skipped
