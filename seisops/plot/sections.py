"""Records of shots: their traces side by side, time downwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError, SpaceError
from seisops.plot.canvas import (
    Limits,
    alone,
    arrays,
    given,
    grown,
    limited,
    require_time,
    require_traces,
    several,
    symmetric,
)
from seisops.wave.time import Time

__all__ = ["record", "records"]

STYLES = ("density", "wiggle")


def record(
    time: Time,
    traces: ArrayLike,
    positions: ArrayLike | None = None,
    title: str = "",
    clip: float = 97.0,
    ax: Axes | None = None,
    *,
    style: str = "density",
    gain: float = 0.0,
    limits: Limits | None = None,
    cmap: str = "gray",
) -> Axes:
    """Draw the traces of one shot, time downwards.

    Parameters
    ----------
    time : Time
    traces : array_like of shape (receivers, time.n)
    positions : array_like, optional
        Of the receivers in metres: x, or coordinates (x, [y,] z), of which the one that varies most is drawn. By default
        their numbers. Traces stand where their receivers do, and are as wide as these are apart.
    title : str, optional
    clip : float, optional
        Percentile of the magnitudes at which the shades end, or at which a wiggle reaches the next trace.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.
    style : {"density", "wiggle"}, optional
        Shades, or lines that are filled where they are positive.
    gain : float, optional
        Power of time by which amplitudes are multiplied, as of :class:`seisops.data.Gain`.
    limits : tuple of float, optional
        Where the shades end, instead of a percentile, after the gain; wiggles take the larger magnitude.
    cmap : str, optional
        Colours of shades, as matplotlib names them.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    SpaceError
        If the traces are not those of a shot on this time axis, or positions do not fit them.
    ParameterError
        If something else is no Time, no array of real numbers, no style or no limits.
    """
    require_time("record", time)
    shown = grown(time, require_traces(time, traces), gain)
    ends = symmetric([shown], clip) if limits is None else limited(limits, [])
    return _draw(time, shown, positions, title, ends, alone(ax, (5.0, 5.5)), style, cmap)


def records(
    time: Time,
    records: Mapping[str, ArrayLike],
    positions: ArrayLike | None = None,
    clip: float = 97.0,
    axes: Sequence[Axes] | None = None,
    *,
    difference: bool = True,
    style: str = "density",
    gain: float = 0.0,
    limits: Limits | None = None,
    cmap: str = "gray",
) -> list[Axes]:
    """Draw records of one shot side by side, in the same shades: observed, modelled, and their difference.

    Parameters
    ----------
    time : Time
    records : mapping of str to array_like
        Traces (receivers, time.n), by the titles of the panels.
    positions : array_like, optional
        As of :func:`record`.
    clip : float, optional
        Percentile of the magnitudes of the first record at which the shades end.
    axes : sequence of matplotlib.axes.Axes, optional
        Where to draw, one for each panel; by default in a new figure.
    difference : bool, optional
        Whether of two records the difference, the second minus the first, is a third panel.
    style, gain, limits, cmap : optional
        As of :func:`record`.

    Returns
    -------
    list of matplotlib.axes.Axes

    Raises
    ------
    SpaceError, ParameterError
        As :func:`record`; if records differ in shape.

    Examples
    --------
    >>> plot.records(time, {"observed": d[0], "modelled": (F @ q)[0]}, receivers)  # doctest: +SKIP
    """
    require_time("records", time)
    named = given(records, "records", "records")
    found = {name: grown(time, require_traces(time, a, f"{name!r}"), gain) for name, a in named.items()}
    shapes = {a.shape for a in found.values()}
    if len(shapes) > 1:
        raise SpaceError(f"records of one shot have one shape, not {' and '.join(map(str, sorted(shapes)))}")
    first, *others = found.values()
    ends = symmetric([first], clip) if limits is None else limited(limits, [])
    if difference and len(others) == 1:
        found["difference"] = others[0] - first
    axes = several(axes, len(found), len(found), (3.6, 5.0))
    for ax, (name, a) in zip(axes, found.items(), strict=True):
        _draw(time, a, positions, name, ends, ax, style, cmap)
        if ax is not axes[0]:
            ax.set_ylabel("")
    return axes


def _draw(time: Time, traces: NDArray, positions, title: str, limits: Limits, ax: Axes, style: str, cmap: str) -> Axes:
    if style not in STYLES:
        raise ParameterError(f"style={style!r}: use {' or '.join(map(repr, STYLES))}")
    where, axis = _along(positions, len(traces))
    if style == "wiggle":
        _wiggle(ax, time, traces, where, max(map(abs, limits)))
    else:
        _density(ax, time, traces, where, limits, cmap)
    ax.set(xlabel=f"{axis} (m)" if axis else "receiver", ylabel="time (s)", title=title)
    return ax


def _density(ax: Axes, time: Time, traces: NDArray, where: NDArray, limits: Limits, cmap: str) -> None:
    look = {"cmap": cmap, "vmin": limits[0], "vmax": limits[1]}
    end, apart = time.start + time.duration, np.diff(where)
    if not len(apart) or np.allclose(apart, apart[0], rtol=1e-3, atol=1e-3 * np.abs(apart).max()):
        ends = (where[0], where[-1]) if len(apart) else (where[0] - 0.5, where[0] + 0.5)
        ax.imshow(traces.T, extent=(*ends, end, time.start), aspect="auto", **look)
    else:
        ax.pcolormesh(where, time.samples, traces.T, shading="nearest", **look)
        ax.set_ylim(end, time.start)


def _wiggle(ax: Axes, time: Time, traces: NDArray, where: NDArray, high: float) -> None:
    """Lines about their positions, as one, with gaps between them."""
    apart = float(np.median(np.abs(np.diff(where)))) if len(where) > 1 else 1.0
    gap = np.full((len(traces), 1), np.nan)
    across = np.hstack([where[:, None] + apart * np.clip(traces / high, -1.0, 1.0), gap]).ravel()
    rest = np.repeat(where, time.n + 1)
    down = np.tile(np.append(time.samples, np.nan), len(traces))
    ax.plot(across, down, color="black", linewidth=0.5)
    ax.fill_betweenx(down, rest, across, where=across > rest, interpolate=True, color="black", linewidth=0.0)
    ends = where[0] - np.copysign(apart, where[-1] - where[0]), where[-1] + np.copysign(apart, where[-1] - where[0])
    ax.set(xlim=ends, ylim=(time.start + time.duration, time.start))


def _along(positions: ArrayLike | None, count: int) -> tuple[NDArray, str]:
    """Where each trace is drawn, and the name of the axis along which; none for numbers of receivers."""
    if positions is None:
        return np.arange(count), ""
    where = arrays(positions, "positions").astype(float)
    axis = "x"
    if where.shape in ((count, 2), (count, 3)):
        widest = int(np.argmax(np.ptp(where, axis=0)))
        where, axis = where[:, widest], ("xz" if where.shape[1] == 2 else "xyz")[widest]
    elif where.shape != (count,):
        raise SpaceError(
            f"positions of shape {where.shape} are not those of {count} receivers: expected ({count},), or coordinates "
            f"(x, [y,] z) of one shot, of shape ({count}, 2) or ({count}, 3)"
        )
    apart = np.diff(where)
    if not (np.all(apart > 0) or np.all(apart < 0)):
        raise SpaceError(
            f"receivers are not in order along {axis}, from which {int(np.sum(apart <= 0))} of {count - 1} steps lead back "
            "or nowhere: draw those of one line, sorted, or their numbers, without positions"
        )
    return where, axis
