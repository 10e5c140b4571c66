"""Figures of models, images and shot records; needs matplotlib (``pip install 'seisops[plot]'``).

Every function draws into the axes that it is given, or makes a figure without touching matplotlib's own state, and
returns the axes: ``plot.model(grid, vp).figure.savefig("vp.png")``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from seisops.errors import ParameterError, SpaceError
from seisops.wave.grid import Grid
from seisops.wave.time import Time

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError("seisops.plot needs matplotlib; install it with: pip install 'seisops[plot]'") from error

__all__ = ["curves", "image", "model", "record"]


def __dir__() -> list[str]:
    return __all__


def model(
    grid: Grid,
    values: ArrayLike,
    title: str = "",
    label: str = "velocity (m/s)",
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw an array on a grid of two dimensions, for example a velocity.

    Parameters
    ----------
    grid : Grid
    values : array_like of the grid's shape
    title, label : str, optional
        Of the axes and of the colour bar.
    limits : tuple of float, optional
        Smallest and largest value of the colours; by default those of the array.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    _require_grid(grid)
    return _on_grid(grid, values, title, label, "viridis", limits, ax)


def image(
    grid: Grid, values: ArrayLike, title: str = "", label: str = "", clip: float = 99.0, ax: Axes | None = None
) -> Axes:
    """Draw an image or a perturbation in shades of grey about zero.

    Parameters
    ----------
    grid : Grid
    values : array_like of the grid's shape
    title, label : str, optional
        Of the axes and of the colour bar.
    clip : float, optional
        Percentile of the magnitudes at which the shades end.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    _require_grid(grid)
    return _on_grid(grid, values, title, label, "gray", _symmetric(values, clip), ax)


def record(
    time: Time,
    traces: ArrayLike,
    positions: ArrayLike | None = None,
    title: str = "",
    clip: float = 97.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw the traces of one shot, time downwards.

    Parameters
    ----------
    time : Time
    traces : array_like of shape (receivers, time.n)
    positions : array_like, optional
        Of the receivers in metres, evenly spaced: x, or coordinates (x, [y,] z), of which the one that varies most is
        drawn. By default their numbers.
    title : str, optional
    clip : float, optional
        Percentile of the magnitudes at which the shades end.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if not isinstance(time, Time):
        raise ParameterError(f"record needs a Time first, then traces, got {type(time).__name__}")
    traces = np.asarray(traces)
    if traces.ndim != 2 or traces.shape[1] != time.n:
        hint = f": for one of the shots, d[0] of shape {traces.shape[1:]}" * (traces.ndim == 3)
        raise SpaceError(f"traces of shape {traces.shape} are not (receivers, {time.n}) on {time!r}{hint}")
    where, axis = _along(positions, len(traces))
    ax = _axes((5.0, 5.5)) if ax is None else ax
    low, high = _symmetric(traces, clip)
    ends = (where[0], where[-1], time.start + time.duration, time.start)
    ax.imshow(traces.T, extent=ends, aspect="auto", cmap="gray", vmin=low, vmax=high)
    ax.set(xlabel=f"{axis} (m)" if axis else "receiver", ylabel="time (s)", title=title)
    return ax


def curves(
    series: Mapping[str, Sequence[float]],
    xlabel: str = "iteration",
    ylabel: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw named series of numbers, one point for each iteration.

    Parameters
    ----------
    series : mapping of str to sequence of float
    xlabel, ylabel, title : str, optional
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes((6.0, 4.0)) if ax is None else ax
    for name, values in series.items():
        ax.plot(np.arange(len(values)), values, marker=".", label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small", framealpha=0.5)
    return ax


def _along(positions, count):
    """Where each trace is drawn, and the name of the axis along which; none for numbers of receivers."""
    if positions is None:
        return np.arange(count), ""
    where = np.asarray(positions, dtype=float)
    if where.shape == (count,):
        return where, "x"
    if where.shape not in ((count, 2), (count, 3)):
        raise SpaceError(
            f"positions of shape {where.shape} are not those of {count} receivers: expected ({count},), or coordinates "
            f"(x, [y,] z) of one shot, of shape ({count}, 2) or ({count}, 3)"
        )
    widest = int(np.argmax(np.ptp(where, axis=0)))
    return where[:, widest], ("xz" if where.shape[1] == 2 else "xyz")[widest]


def _require_grid(grid):
    if not isinstance(grid, Grid):
        raise ParameterError(f"expected a Grid first, then an array on it, got {type(grid).__name__}")


def _on_grid(grid, values, title, label, colours, limits, ax):
    values = np.asarray(values)
    if grid.ndim != 2 or values.shape != grid.shape:
        raise SpaceError(
            f"an array of shape {values.shape} cannot be drawn on {grid!r}: it needs the shape (x, z) "
            "of a grid of two dimensions"
        )
    (left, right), (top, bottom) = grid.extent
    if ax is None:
        ax = _axes((8.0, float(np.clip(6.2 * (bottom - top) / (right - left), 1.5, 8.0)) + 1.0))
    low, high = limits or (values.min(), values.max())
    shown = ax.imshow(values.T, extent=(left, right, bottom, top), cmap=colours, vmin=low, vmax=high)
    ax.set(xlabel="x (m)", ylabel="z (m)", title=title)
    ax.figure.colorbar(shown, cax=ax.inset_axes((1.02, 0.0, 0.02, 1.0)), label=label)
    return ax


def _symmetric(values, clip):
    high = float(np.percentile(np.abs(np.asarray(values)), clip)) or 1.0
    return -high, high


def _axes(size):
    return Figure(figsize=size, layout="constrained").subplots()
