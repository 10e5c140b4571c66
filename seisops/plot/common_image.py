"""Common-image gathers: images by angle, offset or lag, at some places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from seisops.errors import SpaceError
from seisops.plot.canvas import arrays, several, symmetric
from seisops.plot.fields import grid_of
from seisops.wave.equation import WaveEquation
from seisops.wave.grid import Grid

__all__ = ["gathers"]


def gathers(
    grid: Grid | WaveEquation,
    images: ArrayLike,
    axis: ArrayLike,
    at: ArrayLike | None = None,
    label: str = "angle (degrees)",
    clip: float = 99.0,
    axes: Sequence[Axes] | None = None,
    *,
    cmap: str = "gray",
) -> list[Axes]:
    """Draw gathers of images at some places, side by side in the same shades: events are flat where the model is right.

    Parameters
    ----------
    grid : Grid or WaveEquation
    images : array_like of shape (n, x, [y,] z)
        An image for each angle, offset or lag.
    axis : array_like of shape (n,)
        The angles, offsets or lags, evenly spaced.
    at : array_like, optional
        Where, in metres: x of each gather, in three dimensions (x, y). By default five places along x, in the middle of y.
    label : str, optional
        What the axis is, with its unit: ``"offset (m)"``.
    clip : float, optional
        Percentile of the magnitudes of all gathers drawn at which the shades end.
    axes : sequence of matplotlib.axes.Axes, optional
        Where to draw, one for each place; by default in a new figure.
    cmap : str, optional

    Returns
    -------
    list of matplotlib.axes.Axes

    Raises
    ------
    SpaceError
        If the images are not on the grid, their axis does not fit them or is not evenly spaced, or a place is outside.
    ParameterError
        If something else is no grid or no array of real numbers.
    """
    on, found, along = grid_of(grid), arrays(images, "images"), arrays(axis, "axis")
    if found.shape != (along.size, *on.shape) or along.ndim != 1:
        raise SpaceError(
            f"images of shape {found.shape} with an axis of shape {along.shape} cannot be drawn on {on!r}: they need the "
            f"shape (n, {', '.join(on.axes)}), and an axis (n,)"
        )
    apart = np.diff(along)
    if not len(apart) or not np.allclose(apart, apart[0], rtol=1e-3) or apart[0] == 0:
        raise SpaceError("gathers need an axis of at least two values, evenly spaced")
    nodes = _nodes(on, at)
    taken = [found[(slice(None), *node)] for node in nodes]
    low, high = symmetric(taken, clip)
    axes = several(axes, len(nodes), len(nodes), (2.0, 4.5))
    top, bottom = on.extent[-1]
    for ax, node, one in zip(axes, nodes, taken, strict=True):
        ends = (along[0], along[-1], bottom, top)
        ax.imshow(one.T, extent=ends, aspect="auto", cmap=cmap, vmin=low, vmax=high)
        places = (f"{a} = {on.coordinates(a)[i]:g} m" for a, i in zip(on.axes, node, strict=False))
        ax.set_title(", ".join(places), fontsize="medium")
        ax.set(xlabel=label if ax is axes[len(axes) // 2] else "", ylabel="z (m)" if ax is axes[0] else "")
        ax.locator_params(axis="x", nbins=4)
    return axes


def _nodes(grid: Grid, at: ArrayLike | None) -> list[tuple[int, ...]]:
    """Indices along the horizontal axes of the gathers' places."""
    across = grid.ndim - 1
    if at is None:
        middle = (grid.shape[1] // 2,) * (across - 1)
        return [(int(i), *middle) for i in np.linspace(0, grid.shape[0] - 1, 7).round()[1:-1]]
    places = arrays(at, "at").astype(float)
    places = places.reshape(-1, 1) if across == 1 and places.ndim < 2 else np.atleast_2d(places)
    depth = np.full((len(places), 1), grid.origin[-1])
    if places.shape[1:] != (across,) or not len(places):
        need = "x, of shape (places,)" if across == 1 else "(x, y), of shape (places, 2)"
        raise SpaceError(f"at of shape {np.shape(at)} names no places: give {need}")
    outside = ~grid.contains(np.hstack([places, depth]))
    if outside.any():
        raise SpaceError(f"at={places[outside][0].tolist()} m lies outside {grid.describe_extent()}")
    return [tuple(np.rint((p - grid.origin[:-1]) / grid.spacing[:-1]).astype(int).tolist()) for p in places]
