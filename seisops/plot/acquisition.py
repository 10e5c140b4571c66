"""Where sources and receivers are: as operators, maps and surveys say, or as coordinates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from seisops.data.geometry import points_of
from seisops.elsewhere import here, there
from seisops.errors import ParameterError
from seisops.fusion import FusedSolve, fuse
from seisops.maps import Map
from seisops.operators import Adjoint, LinearOperator
from seisops.plot.canvas import Limits, alone
from seisops.plot.fields import laid, model, shape_of
from seisops.spaces import shot_numbers
from seisops.survey import Shot, Survey
from seisops.survey.shot import checked_points
from seisops.survey.windows import WindowedModeling
from seisops.wave.equation import WaveEquation
from seisops.wave.jacobian import Jacobian, Parametric
from seisops.wave.modeling import Modeling

__all__ = ["geometry"]


def geometry(
    of: Any,
    receivers: ArrayLike | None = None,
    title: str = "",
    ax: Axes | None = None,
    *,
    over: WaveEquation | None = None,
    parameter: str | None = None,
    shot: int | None = None,
    limits: Limits | None = None,
    cmap: str = "viridis",
    at: Sequence[float] | None = None,
) -> Axes:
    """Draw sources as stars and receivers as triangles, over the model.

    Parameters
    ----------
    of : LinearOperator, Map, Survey, Shot or array_like
        A modeling expression such as ``Pr * Ainv * Ps.H``, its Jacobian or its map: its projections say where points are,
        however it was put together. Or a survey; or coordinates (points, ndim) of sources in metres.
    receivers : array_like of shape (points, ndim), optional
        Coordinates of receivers, where those of sources are given.
    title : str, optional
    ax : matplotlib.axes.Axes, optional
        Where to draw, over what is there: ``plot.geometry(F, ax=plot.model(grid, vp))``. By default in a new figure.
    over : WaveEquation, optional
        The medium that is drawn beneath. By default in a new figure that of an expression, elsewhere none.
    parameter : str, optional
        The parameter of the medium that is drawn; by default the first that it is given by.
    shot : int, optional
        The points of one shot; by default those of all.
    limits, cmap, at : optional
        Of the model, as of :func:`model`.

    Returns
    -------
    matplotlib.axes.Axes
        In three dimensions with a model there are three slices, as of :func:`model`, to which points are projected;
        without there is a map.

    Raises
    ------
    ParameterError
        If nothing says where sources or receivers are: an extended source has no points.
    SelectionError
        If there is no such shot.
    """
    found = _found(of, receivers)
    if shot is not None:
        found = found.of_shot(shot)
    sources, heard = _distinct(found.sources), _distinct(found.receivers)
    some = sources if len(sources) else heard
    if not len(some):
        raise ParameterError(
            f"{of!r:.200} does not say where sources or receivers are: give an expression with projections, such as "
            "Pr * Ainv * Ps.H, a Survey, or coordinates"
        )
    beneath = over if over is not None or ax is not None else found.medium
    if beneath is not None:
        name = parameter or beneath.stated[0]
        ax = model(beneath, name, title, limits=limits, ax=ax, cmap=cmap, at=at)
        slices = laid(beneath.grid, ax)
    else:
        ax = alone(ax, (8.0, 4.0) if found.medium is None else shape_of(found.medium.grid))
        slices = _slices(ax, some.shape[1], title)
    for name, one in slices.items():
        columns = ["xyz".index(axis) if some.shape[1] == 3 else "xz".index(axis) for axis in name]
        kept = one.get_xlim(), one.get_ylim()
        if len(heard):
            one.plot(*heard[:, columns].T, "v", color="white", markeredgecolor="black", markersize=5, label="receivers",
                     linestyle="none", clip_on=False)  # fmt: skip
        if len(sources):
            one.plot(*sources[:, columns].T, "*", color="tab:red", markeredgecolor="black", markersize=11,
                     markeredgewidth=0.5, label="sources", linestyle="none", clip_on=False)  # fmt: skip
        if one.images:
            one.set(xlim=kept[0], ylim=kept[1])
    next(iter(slices.values())).legend(loc="lower right", fontsize="small", framealpha=0.7)
    return ax


@dataclass(frozen=True)
class Points:
    """What is known of where a survey was.

    Attributes
    ----------
    sources, receivers : list of list of ndarray
        For each shot, arrays (points, ndim).
    medium : WaveEquation or None
    """

    sources: list[list[NDArray]]
    receivers: list[list[NDArray]]
    medium: WaveEquation | None = None

    def of_shot(self, shot: int) -> Points:
        """Those of one shot."""
        count = max(len(self.sources), len(self.receivers))
        (number,) = shot_numbers([shot], count, f"a geometry of {count} shots")
        return Points(self.sources[number : number + 1], self.receivers[number : number + 1], self.medium)


def _found(of: Any, receivers: ArrayLike | None) -> Points:
    match of:
        case Survey() | Shot():
            shots = [of] if isinstance(of, Shot) else list(of)
            return Points([[s.sources] for s in shots], [[s.receivers] for s in shots])
        case LinearOperator() | Map():
            return _joined(_walk(of))
    sources = [[checked_points("sources", of)]]
    heard = [] if receivers is None else [[checked_points("receivers", receivers)]]
    if heard and heard[0][0].shape[1] != sources[0][0].shape[1]:
        raise ParameterError(
            f"sources have {sources[0][0].shape[1]} coordinates and receivers {heard[0][0].shape[1]}: give (x, z) or "
            "(x, y, z) for both"
        )
    return Points(sources, heard)


def _walk(of: Any) -> Iterable[Points]:
    """What the parts of an operator or a map know."""
    match of:
        case WindowedModeling():
            shots = [of.recipe.shots[i] for i in of.numbers]
            yield Points([[s.sources] for s in shots], [[s.receivers] for s in shots], of.recipe.medium)
        case Jacobian() | Parametric():
            yield from _walk(of.F)
        case Map():
            for part in of._parts:
                yield from _walk(part)
        case LinearOperator():
            yield from _of_operator(fuse(of if there(of) is None else here(of)))


def _of_operator(op: LinearOperator) -> Iterable[Points]:
    """Of what is fused: what enters a solve are sources, and what leaves it are receivers; the adjoint's the other way."""
    match op:
        case FusedSolve():
            written, read = _at(op.writers), _at(op.readers)
            medium = op.propagator.medium if isinstance(op.propagator, Modeling) else None
            yield Points(read, written, medium) if op.is_adjoint else Points(written, read, medium)
        case Jacobian() | WindowedModeling():
            yield from _walk(op)
        case Modeling():
            yield Points([], [], op.medium)
        case Adjoint():
            for found in _of_operator(op.op):
                is_solved = isinstance(op.op, Jacobian | WindowedModeling)
                yield found if is_solved else Points(found.receivers, found.sources, found.medium)
        case _ if not op.children:
            yield Points([], _at([op]))
        case _:
            for child in op.children:
                yield from _of_operator(child)


def _at(samplers: Iterable[LinearOperator]) -> list[list[NDArray]]:
    """For each shot the points of samplers that have any."""
    known = [points for points in map(points_of, samplers) if points is not None]
    return [list(shot) for shot in zip(*known, strict=True)]


def _joined(parts: Iterable[Points]) -> Points:
    parts = list(parts)

    def together(which: str) -> list[list[NDArray]]:
        known = [getattr(part, which) for part in parts if getattr(part, which)]
        return [[a for shot in shots for a in shot] for shots in zip(*known, strict=True)]

    medium = next((part.medium for part in parts if part.medium is not None), None)
    return Points(together("sources"), together("receivers"), medium)


def _distinct(shots: Sequence[Sequence[NDArray]]) -> NDArray:
    """All points once."""
    every = [a for shot in shots for a in shot]
    return np.unique(np.concatenate(every), axis=0) if every else np.empty((0, 2))


def _slices(ax: Axes, ndim: int, title: str) -> dict[str, Axes]:
    """Axes without a model of our own: slices that are there, or else a section, or a map."""
    there = {child.get_label(): child for child in ax.child_axes if child.get_label() in ("xy", "xz", "yz")}
    if there:
        return there
    across, down = ("x", "z") if ndim == 2 else ("x", "y")
    if not ax.images:
        ax.set(xlabel=f"{across} (m)", ylabel=f"{down} (m)", title=title)
        if ndim == 2 and not ax.yaxis_inverted():
            ax.invert_yaxis()
        ax.margins(0.05)
    return {across + down: ax}
