"""Arrays on a grid: models, images, and the parameters of a medium."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError, SpaceError, shown
from seisops.plot.canvas import Limits, alone, arrays, given, limited, several, spread, symmetric
from seisops.wave._validate import integer
from seisops.wave.equation import WaveEquation
from seisops.wave.grid import Grid

__all__ = ["bar", "grid_of", "image", "laid", "medium", "model", "panels", "planes", "shape_of", "show", "unit_of"]

#: What separates the slices of three dimensions, as a part of their width.
GAP = 0.04


def model(
    grid: Grid | WaveEquation,
    values: ArrayLike | str,
    title: str = "",
    label: str | None = None,
    limits: Limits | None = None,
    ax: Axes | None = None,
    *,
    cmap: str = "viridis",
    at: Sequence[float] | None = None,
) -> Axes:
    """Draw an array on a grid, for example a velocity; in three dimensions three slices of it.

    Parameters
    ----------
    grid : Grid or WaveEquation
        A medium tells its grid, and what its parameters are.
    values : array_like of the grid's shape, or str
        Of a medium also the name of a parameter.
    title : str, optional
        Of the axes.
    label : str, optional
        Of the colour bar; with a medium, the name of a parameter gets its unit. By default that of the parameter drawn, or
        ``"velocity (m/s)"``.
    limits : tuple of float, optional
        Smallest and largest value of the colours; by default those of the array.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.
    cmap : str, optional
        Colours, as matplotlib names them.
    at : sequence of float, optional
        In three dimensions, the point (x, y, z) in metres through which the slices go; by default the middle.

    Returns
    -------
    matplotlib.axes.Axes
        In three dimensions they hold those of the slices, ``ax.child_axes``, labelled ``"xy"``, ``"xz"`` and ``"yz"``.

    Raises
    ------
    SpaceError
        If the array is not of the grid's shape, or the point is outside.
    ParameterError
        If something else is no grid, no array of real numbers, no parameter or no limits.
    """
    found = _on(grid, values)
    ax = alone(ax, shape_of(grid_of(grid)))
    return show(grid, found, ax, title, _labelled(grid, values, label), limited(limits, [found]), cmap, at)


def image(
    grid: Grid | WaveEquation,
    values: ArrayLike,
    title: str = "",
    label: str = "",
    clip: float = 99.0,
    ax: Axes | None = None,
    *,
    limits: Limits | None = None,
    cmap: str = "gray",
    at: Sequence[float] | None = None,
) -> Axes:
    """Draw an image or a perturbation in shades of grey about zero; in three dimensions three slices of it.

    Parameters
    ----------
    grid : Grid or WaveEquation
    values : array_like of the grid's shape
    title, label : str, optional
        Of the axes and of the colour bar; with a medium, a label that is the name of a parameter gets its unit.
    clip : float, optional
        Percentile of the magnitudes at which the shades end.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.
    limits : tuple of float, optional
        Where the shades end, instead of a percentile.
    cmap, at : optional
        As of :func:`model`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    SpaceError, ParameterError
        As :func:`model`.
    """
    found = _on(grid, values)
    ends = symmetric([found], clip) if limits is None else limited(limits, [])
    return show(grid, found, alone(ax, shape_of(grid_of(grid))), title, unit_of(grid, label), ends, cmap, at)


def panels(
    grid: Grid | WaveEquation,
    values: Mapping[str, ArrayLike | str],
    label: str | None = None,
    limits: Limits | None = None,
    axes: Sequence[Axes] | None = None,
    *,
    clip: float | None = None,
    columns: int | None = None,
    cmap: str = "viridis",
    at: Sequence[float] | None = None,
) -> list[Axes]:
    """Draw several arrays on a grid side by side, in the same colours: a true model, a start, a result.

    Parameters
    ----------
    grid : Grid or WaveEquation
    values : mapping of str to array_like
        What to draw, as of :func:`model`, by the titles of the panels.
    label : str, optional
        Of the colour bar, as of :func:`model`; there is one for each row.
    limits : tuple of float, optional
        Smallest and largest value of the colours; by default those of all arrays together.
    axes : sequence of matplotlib.axes.Axes, optional
        Where to draw, one for each array; by default in a new figure, whose axes move together.
    clip : float, optional
        Instead of limits, a percentile of the magnitudes, of the array where it is largest: colours are symmetric about
        zero, as of :func:`image`.
    columns : int, optional
        Panels in a row of a new figure; by default as their shape suggests.
    cmap, at : optional
        As of :func:`model`.

    Returns
    -------
    list of matplotlib.axes.Axes

    Raises
    ------
    SpaceError, ParameterError
        As :func:`model`; if both limits and a percentile are given.

    Examples
    --------
    >>> plot.panels(medium, {"true": vp, "start": vp0, "found": found.model}, label="vp")  # doctest: +SKIP
    """
    named = given(values, "panels", "arrays")
    if clip is not None and limits is not None:
        raise ParameterError("panels takes limits, or clip, a percentile to which they are set, not both")
    found = {name: _on(grid, a, f"{name!r}") for name, a in named.items()}
    ends = limited(limits, found.values()) if clip is None else symmetric(found.values(), clip)
    width, height = shape_of(grid_of(grid))
    columns = _columns(columns, len(found), width / height)
    axes = several(axes, len(found), columns, _scaled((width, height), columns))
    text = _labelled(grid, next(iter(named.values())), label)
    for ax, (name, a), last in zip(axes, found.items(), spread(axes), strict=True):
        show(grid, a, ax, name, text if last else None, ends, cmap, at)
    _outer(axes)
    return axes


def medium(
    medium: WaveEquation,
    parameters: Sequence[str] | None = None,
    axes: Sequence[Axes] | None = None,
    *,
    columns: int | None = None,
    cmap: str = "viridis",
    at: Sequence[float] | None = None,
) -> list[Axes]:
    """Draw the parameters of a medium, each in colours and units of its own.

    Parameters
    ----------
    medium : WaveEquation
    parameters : sequence of str, optional
        Names; by default what the medium is given by. What is the same everywhere has no colour bar but its value in the
        title.
    axes : sequence of matplotlib.axes.Axes, optional
        Where to draw, one for each parameter; by default in a new figure.
    columns, cmap, at : optional
        As of :func:`panels`.

    Returns
    -------
    list of matplotlib.axes.Axes

    Raises
    ------
    ParameterError
        If it is no medium, or has no such parameter.
    """
    if not isinstance(medium, WaveEquation):
        raise ParameterError(f"plot.medium needs a medium, such as Acoustic(grid, vp), got {type(medium).__name__}")
    names = medium.stated if parameters is None else list(parameters)
    if not names:
        raise ParameterError(f"there is nothing to draw of {medium!r}: name some of {', '.join(medium.perturbable)}")
    medium.check_names(names)
    width, height = shape_of(medium.grid)
    columns = _columns(columns, len(names), width / height)
    axes = several(axes, len(names), columns, _scaled((width, height), columns))
    for ax, name in zip(axes, names, strict=True):
        a = medium.get(name)
        same = bool(np.ptp(a) == 0)
        value = f" = {a.flat[0]:g} {medium.quantities[name].unit if name in medium.quantities else ''}".rstrip()
        show(medium, a, ax, name + value * same, None if same else unit_of(medium, name), limited(None, [a]), cmap, at)
    _outer(axes)
    return axes


# ---- what other figures draw on


def grid_of(where: Any) -> Grid:
    """The grid that was given, or that of a medium."""
    grid = where.grid if isinstance(where, WaveEquation) else where
    if not isinstance(grid, Grid):
        raise ParameterError(f"expected a Grid first, then an array on it, got {type(grid).__name__}")
    return grid


def unit_of(where: Grid | WaveEquation, label: str) -> str:
    """A label; of a parameter of a medium, with its unit."""
    quantity = where.quantities.get(label) if isinstance(where, WaveEquation) else None
    return f"{label} ({quantity.unit})" if quantity is not None and quantity.unit else label


def shape_of(grid: Grid) -> tuple[float, float]:
    """Width and height in inches of a figure of one array on a grid."""
    width, height = _lengths(grid)
    inner = 6.2 if grid.ndim == 2 else 6.8  # slices fill the width, so that the layout finds room for their labels
    return 8.0, float(np.clip(inner * height / width, 1.5, 8.0)) + 1.0


def laid(grid: Grid, ax: Axes) -> dict[str, Axes]:
    """The axes of the slices of a grid by the names of their axes: in two dimensions ``ax`` itself, ``"xz"``.

    In three dimensions they are made within ``ax``, unless they are there, to the same scale: a map above a section along
    x, and beside that one along y.
    """
    if grid.ndim == 2:
        return {"xz": ax}
    there = {child.get_label(): child for child in ax.child_axes if child.get_label() in ("xy", "xz", "yz")}
    if there:
        return there
    x, y, z = (high - low for low, high in grid.extent)
    gap = GAP * (x + y)
    ax.set(xlim=(0.0, x + gap + y), ylim=(0.0, z + gap + y), aspect="equal")
    ax.set_axis_off()
    places = {"xy": (0.0, z + gap, x, y), "xz": (0.0, 0.0, x, z), "yz": (x + gap, 0.0, y, z)}
    found = {name: ax.inset_axes(place, transform=ax.transData, label=name) for name, place in places.items()}
    for name, one in found.items():
        (left, right), (low, high) = (grid.extent["xyz".index(axis)] for axis in name)
        one.set(xlim=(left, right), ylim=(high, low) if name[1] == "z" else (low, high))
    found["xy"].tick_params(labelbottom=False)
    found["yz"].tick_params(labelleft=False)
    found["xy"].set_ylabel("y (m)")
    found["xz"].set(xlabel="x (m)", ylabel="z (m)")
    found["yz"].set_xlabel("y (m)")
    return found


def planes(grid: Grid, values: NDArray, at: Sequence[float] | None) -> dict[str, NDArray]:
    """What is drawn of an array in each slice, rows downwards or, of a map, to the north."""
    if grid.ndim == 2:
        return {"xz": values.T}
    i, j, k = _nodes(grid, at)
    return {"xy": values[:, :, k].T, "xz": values[:, j, :].T, "yz": values[i, :, :].T}


def show(
    where: Grid | WaveEquation,
    values: NDArray,
    ax: Axes,
    title: str,
    label: str | None,
    limits: Limits,
    cmap: str,
    at: Sequence[float] | None = None,
) -> Axes:
    """Draw an array that fits into axes, with a colour bar unless its label is None."""
    grid = grid_of(where)
    slices, drawn = laid(grid, ax), []
    for name, a in planes(grid, values, at).items():
        (left, right), (low, high) = (grid.extent[grid.axes.index(axis)] for axis in name)
        down = name[1] == "z"
        drawn.append(
            slices[name].imshow(
                a,
                extent=(left, right, high, low) if down else (left, right, low, high),
                origin="upper" if down else "lower",
                aspect="equal" if grid.ndim == 2 else "auto",
                cmap=cmap,
                vmin=limits[0],
                vmax=limits[1],
            )
        )
    ax.set_title(title)
    if grid.ndim == 2:
        ax.set(xlabel="x (m)", ylabel="z (m)")
    else:
        _mark(grid, slices, at)
    if label is not None:
        bar(drawn[0], ax, label)
    return ax


def bar(drawn: AxesImage, ax: Axes, label: str) -> None:
    """A colour bar beside axes, as high as they are, which keep their width."""
    ax.get_figure(root=False).colorbar(drawn, cax=ax.inset_axes((1.02, 0.0, 0.02, 1.0), label="bar"), label=label)


def _on(where: Grid | WaveEquation, values: ArrayLike | str, what: str = "an array") -> NDArray:
    grid = grid_of(where)
    if isinstance(values, str):
        if not isinstance(where, WaveEquation):
            raise ParameterError(f"{values!r} is no array: names of parameters are known of a medium, not of a grid")
        return where.get(values)
    found = arrays(values, what)
    if found.shape != grid.shape:
        hint = " (transposed?)" if found.shape == grid.shape[::-1] else ""
        raise SpaceError(
            f"{what} of shape {found.shape}{hint} cannot be drawn on {grid!r}: it needs the shape ({', '.join(grid.axes)})"
        )
    return found


def _labelled(where: Grid | WaveEquation, values: ArrayLike | str, label: str | None) -> str:
    if label is None:
        return unit_of(where, values) if isinstance(values, str) else "velocity (m/s)"
    return unit_of(where, label)


def _lengths(grid: Grid) -> tuple[float, float]:
    """Width and height in metres of what is drawn of a grid."""
    *across, down = (high - low for low, high in grid.extent)
    if grid.ndim == 2:
        return across[0], down
    gap = GAP * sum(across)
    return sum(across) + gap, down + gap + across[1]


def _nodes(grid: Grid, at: Sequence[float] | None) -> list[int]:
    if at is None:
        return [n // 2 for n in grid.shape]
    point = np.asarray(at)
    if point.shape != (3,) or point.dtype.kind not in "iuf" or not grid.contains(point):
        raise SpaceError(f"at={shown(at)}: give a point (x, y, z) in metres within {grid.describe_extent()}")
    return np.rint((point - grid.origin) / grid.spacing).astype(int).tolist()


def _mark(grid: Grid, slices: Mapping[str, Axes], at: Sequence[float] | None) -> None:
    """Say where slices are, and draw where others cut them."""
    place = {axis: grid.coordinates(axis)[i] for axis, i in zip(grid.axes, _nodes(grid, at), strict=True)}
    for name, ax in slices.items():
        (missing,) = set("xyz") - set(name)
        ax.axvline(place[name[0]], color="white", linewidth=0.5, alpha=0.7)
        ax.axhline(place[name[1]], color="white", linewidth=0.5, alpha=0.7)
        said = f"{missing} = {place[missing]:g} m"
        box = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1.5}
        ax.text(0.98, 0.96, said, transform=ax.transAxes, ha="right", va="top", fontsize="x-small", bbox=box)


def _columns(columns: int | None, count: int, ratio: float) -> int:
    """Panels in a row: wide ones below one another."""
    if columns is not None:
        return integer("columns", columns, minimum=1)
    if count < 4:
        return 1 if ratio > 3.0 else count
    return 2 if ratio > 1.8 or count == 4 else 3


def _scaled(size: tuple[float, float], columns: int) -> tuple[float, float]:
    """The size of a panel that has others beside it."""
    width = {1: 8.0, 2: 5.5}.get(columns, 4.2)
    return width, (size[1] - 1.0) * width / size[0] + 0.9


def _outer(axes: Sequence[Axes]) -> None:
    """Leave labels of axes that are shared to those at the edge."""
    for ax in axes:
        if ax.axison and ax.get_subplotspec() is not None and len(ax.get_shared_x_axes().get_siblings(ax)) > 1:
            ax.label_outer()
