"""Waves that move: snapshots of a wavefield one after the other, over a faint model."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import ArrayLike

from seisops.errors import ParameterError, SpaceError
from seisops.plot.canvas import Limits, alone, arrays, limited, symmetric
from seisops.plot.fields import grid_of, laid, planes, shape_of, show
from seisops.wave._validate import real
from seisops.wave.equation import WaveEquation
from seisops.wave.grid import Grid

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation

__all__ = ["Movie", "movie"]


@dataclass(frozen=True)
class Movie:
    """An animation: a notebook shows it, and it is written as a GIF or a page.

    Attributes
    ----------
    ax : matplotlib.axes.Axes
        Where it is drawn.
    show : callable
        Draws the picture of a number.
    frames : int
        How many pictures there are.
    interval : float
        How long each of them lasts, in seconds.
    """

    ax: Axes
    show: Callable[[int], list[Artist]]
    frames: int
    interval: float

    def animation(self) -> FuncAnimation:
        """Return it as matplotlib's own, for other writers."""
        from matplotlib.animation import FuncAnimation

        figure = self.ax.get_figure()
        return FuncAnimation(figure, self.show, frames=self.frames, interval=1e3 * self.interval, blit=False)

    @property
    def html(self) -> str:
        """The pictures with controls, for a page or a notebook."""
        return self.animation().to_jshtml(default_mode="loop")

    def _repr_html_(self) -> str:
        return self.html

    def save(self, file: str | os.PathLike) -> None:
        """Write it.

        Parameters
        ----------
        file : path-like
            Of a GIF, which Pillow writes; or of an HTML page.

        Raises
        ------
        ParameterError
            If the file's name ends otherwise, or there is no such folder.
        """
        path = _writable(file)
        if path.suffix.lower() == ".html":
            path.write_text(self.html, encoding="utf-8")
            return
        from matplotlib.animation import PillowWriter

        self.animation().save(path, writer=PillowWriter(fps=1.0 / self.interval), dpi=self.ax.get_figure().dpi)


def movie(
    grid: Grid | WaveEquation,
    snapshots: ArrayLike,
    times: ArrayLike,
    file: str | os.PathLike | None = None,
    *,
    over: ArrayLike | str | None = None,
    title: str = "",
    clip: float = 99.5,
    limits: Limits | None = None,
    seconds: float = 6.0,
    at: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Movie:
    """Animate a wavefield over a faint model.

    Parameters
    ----------
    grid : Grid or WaveEquation
    snapshots : array_like of shape (n, x, [y,] z)
        Of one shot, as ``(so.Snapshots(waves, times) * Ainv * Ps.H @ q)[0]``.
    times : array_like of shape (n,)
        Of the snapshots in seconds.
    file : path-like, optional
        Where to write it: a GIF, or an HTML page.
    over : array_like or str, optional
        What is drawn beneath, an array on the grid or the name of a parameter of the medium; by default the first
        parameter of a medium, and nothing for a grid.
    title : str, optional
        What stands before the time.
    clip : float, optional
        Percentile of the magnitudes of all snapshots at which colours end.
    limits : tuple of float, optional
        Where colours end, instead of a percentile.
    seconds : float, optional
        How long it takes.
    at : sequence of float, optional
        In three dimensions, the point of the slices, as of :func:`model`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    Movie

    Raises
    ------
    SpaceError
        If snapshots are not on the grid, or there is no time for each.
    ParameterError
        If something else is no grid, no array of real numbers, the file's name ends otherwise, or its folder is not there.
    """
    on, found, moments = grid_of(grid), arrays(snapshots, "snapshots"), arrays(times, "times")
    if found.shape != (moments.size, *on.shape) or moments.ndim != 1 or not moments.size:
        hint = ": for one of the shots, u[0]" if found.ndim == on.ndim + 2 else ""
        raise SpaceError(
            f"snapshots of shape {found.shape} at times of shape {moments.shape} cannot be drawn on {on!r}: they need the "
            f"shape (n, {', '.join(on.axes)}), and times (n,){hint}"
        )
    if file is not None:
        _writable(file)
    seconds = real("movie seconds", seconds, "seconds", positive=True)
    ends = symmetric(found, clip) if limits is None else limited(limits, [])
    ax = alone(ax, shape_of(on))
    beneath = _beneath(grid, over)
    if beneath is not None:
        low, high = limited(None, [beneath])
        show(on, beneath, ax, "", None, (low - 2.0 * (high - low), high), "gray", at)
    show(on, found[0], ax, _at(title, moments[0]), None, ends, "seismic", at)
    slices = {name: one.images[-1] for name, one in laid(on, ax).items()}
    largest = max(map(abs, ends))

    def frame(i: int) -> list[Artist]:
        for name, a in planes(on, found[i], at).items():
            slices[name].set_data(a)
            slices[name].set_alpha(_opacity(a, largest) if beneath is not None else None)
        ax.set_title(_at(title, moments[i]))
        return [*slices.values(), ax.title]

    figure = ax.get_figure()
    if type(figure.canvas).__name__ == "FigureCanvasBase":
        FigureCanvasAgg(figure)
    frame(0)
    made = Movie(ax, frame, len(found), seconds / len(found))
    if file is not None:
        made.save(file)
    return made


def _writable(file: str | os.PathLike) -> Path:
    path = Path(file)
    if path.suffix.lower() not in (".gif", ".html"):
        raise ParameterError(f"movie file {str(path)!r}: its name must end in .gif or .html")
    if not path.parent.is_dir():
        raise ParameterError(f"movie file {str(path)!r} cannot be written: there is no folder {path.parent}")
    return path


def _beneath(where: Grid | WaveEquation, over: ArrayLike | str | None):
    if over is None:
        return where.get(where.stated[0]) if isinstance(where, WaveEquation) and where.stated else None
    if isinstance(over, str):
        if not isinstance(where, WaveEquation):
            raise ParameterError(f"over={over!r}: names of parameters are known of a medium, not of a grid")
        return where.get(over)
    found, grid = arrays(over, "over"), grid_of(where)
    if found.shape != grid.shape:
        raise SpaceError(f"over of shape {found.shape} does not lie on {grid!r}")
    return found


def _opacity(values, largest: float):
    """Waves cover the model, and where there are none, or nothing is known, it is seen."""
    return np.nan_to_num(np.clip(np.abs(values) / (0.4 * largest), 0.0, 1.0))


def _at(title: str, moment: float) -> str:
    return f"{title}{', ' if title else ''}{moment:.3f} s"
