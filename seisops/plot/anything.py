"""One function for what knows by itself what there is to draw of it."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from seisops.errors import ParameterError
from seisops.maps import Map
from seisops.operators import LinearOperator
from seisops.plot.acquisition import geometry
from seisops.plot.fields import medium
from seisops.plot.sections import record
from seisops.survey import Shot, Survey
from seisops.wave.equation import WaveEquation

__all__ = ["draw"]


def draw(thing: Any) -> Axes | list[Axes]:
    """Draw a medium, an operator, a map, a survey or a shot, in a new figure.

    Parameters
    ----------
    thing : WaveEquation, LinearOperator, Map, Survey or Shot
        Of a medium its parameters (:func:`medium`); of an operator or a map of modeling, and of a survey, where sources and
        receivers are (:func:`geometry`); of a shot its record (:func:`record`), or where it was if it has no data.

    Returns
    -------
    matplotlib.axes.Axes, or a list of them

    Raises
    ------
    ParameterError
        If it is something else, or an operator without sources and receivers at points.
    """
    match thing:
        case WaveEquation():
            return medium(thing)
        case Shot() if thing.traces is not None:
            return record(thing.time, thing.data, thing.receivers)
        case LinearOperator() | Map() | Survey() | Shot():
            return geometry(thing)
    raise ParameterError(
        f"there is no one picture of a {type(thing).__name__}: plot.draw takes a medium, a modeling operator or map, a "
        "Survey or a Shot; arrays are drawn by plot.model, plot.image and plot.record"
    )
