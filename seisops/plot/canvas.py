"""What all figures have in common: numbers that can be drawn, limits of colours, and where figures come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError, SpaceError, shown
from seisops.wave._validate import number_or_nan
from seisops.wave.time import Time

__all__ = [
    "Limits",
    "alone",
    "arrays",
    "given",
    "grown",
    "known",
    "limited",
    "plain",
    "require_time",
    "require_traces",
    "several",
    "spread",
    "symmetric",
]

Limits = tuple[float, float]


@contextmanager
def plain() -> Iterator[None]:
    """Matplotlib as it is by itself: PyLops loads Devito's examples where they are, which set fonts of their own."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def arrays(values: ArrayLike, what: str = "an array to draw") -> NDArray:
    """Real numbers, floating, of which NaN is left blank; so is what is masked."""
    found = np.ma.asarray(values) if np.ma.isMaskedArray(values) else np.asarray(values)
    if found.dtype.kind not in "biuf":
        hint = ": take its real part or magnitude" if found.dtype.kind == "c" else ""
        raise ParameterError(f"{what} holds {found.dtype}, not real numbers{hint}")
    found = found if found.dtype.kind == "f" else found.astype(np.float64)
    return np.ma.filled(found, np.nan)


def known(values: NDArray) -> NDArray:
    """Those of some numbers that colours are made for."""
    return values[np.isfinite(values)]


def require_time(who: str, time: Any) -> None:
    """Refuse what is no time axis where one comes first."""
    if not isinstance(time, Time):
        raise ParameterError(f"{who} needs a Time first, then traces, got {type(time).__name__}")


def limited(limits: Limits | None, values: Iterable[NDArray]) -> Limits:
    """Limits that were given, checked; or the smallest and the largest of some values."""
    if limits is None:
        ends = [(float(a.min()), float(a.max())) for a in map(known, values) if a.size]
        return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (0.0, 1.0)
    try:
        low, high = map(number_or_nan, limits)
    except (TypeError, ValueError):
        low = high = np.nan
    if not -np.inf < low < high < np.inf:
        raise ParameterError(f"limits={shown(limits)}: give the smallest and the largest value of the colours")
    return low, high


def symmetric(values: Iterable[NDArray], clip: float) -> Limits:
    """Limits about zero that a percentile of magnitudes lies within, the largest of some arrays."""
    if not 0 < number_or_nan(clip) <= 100:
        raise ParameterError(f"clip={shown(clip)}: give a percentile of the magnitudes, above 0 and up to 100")
    sizes = (np.abs(known(a)) for a in values)
    high = max((float(np.percentile(a, clip)) for a in sizes if a.size), default=0.0) or 1.0
    return -high, high


def alone(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """The axes that were given, or those of a new figure."""
    if ax is None:
        return Figure(figsize=size, layout="constrained").subplots()
    if not isinstance(ax, Axes):
        raise ParameterError(f"ax={shown(ax)}: give axes of matplotlib, or leave them out for a new figure")
    return ax


def several(
    axes: Sequence[Axes] | None, count: int, columns: int, size: tuple[float, float], share: bool = True
) -> list[Axes]:
    """As many axes as are needed: those that were given, or those of a new figure, of which each has a size."""
    if axes is None:
        rows = -(-count // columns)
        figure = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
        made = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).ravel().tolist()
        for spare in made[count:]:
            spare.remove()
        return made[:count]
    found = list(np.ravel(axes))
    if len(found) != count or not all(isinstance(ax, Axes) for ax in found):
        raise ParameterError(f"{count} axes of matplotlib are needed, got {len(found)} things: one for each panel")
    return found


def given(named: Any, who: str, what: str) -> dict[str, Any]:
    """What is named and is not empty, as a dictionary."""
    if not isinstance(named, Mapping) or not named:
        raise ParameterError(f"{who} takes {what} by name, as {{'true': a, 'found': b}}, got {type(named).__name__}")
    return dict(named)


def spread(axes: Sequence[Axes]) -> list[bool]:
    """Which of several axes have a colour bar beside them that is that of all: the last of each row."""
    where = [ax.get_subplotspec() for ax in axes]
    return [
        place is None or place.is_last_col() or ax is axes[-1] or not _follows(place, after)
        for ax, place, after in zip(axes, where, [*where[1:], None], strict=True)
    ]


def _follows(place, after) -> bool:
    """Whether the next axes stand in the same row."""
    return (
        after is not None and after.rowspan.start == place.rowspan.start and after.colspan.start > place.colspan.start
    )


def grown(time: Time, traces: NDArray, gain: float) -> NDArray:
    """Traces times a power of time, that is 1 at a second and that of zero before zero."""
    power = number_or_nan(gain)
    if not 0 <= power < np.inf:
        raise ParameterError(f"gain={shown(gain)}: give the power of time by which amplitudes grow, 0 or more")
    return traces * np.maximum(time.samples, 0.0) ** power if power else traces


def require_traces(time: Time, traces: ArrayLike, what: str = "traces") -> NDArray:
    """Traces (receivers, time) of one shot."""
    found = arrays(traces, what)
    if found.ndim != 2 or found.shape[1] != time.n or not len(found):
        hint = f": for one of the shots, d[0] of shape {found.shape[1:]}" * (found.ndim == 3)
        raise SpaceError(f"{what} of shape {found.shape} are not (receivers, {time.n}) on {time!r}{hint}")
    return found
