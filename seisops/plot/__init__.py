"""Figures of models, images, records, geometries and wavefields; needs matplotlib (``pip install "seisops[plot]"``).

Every function draws into the axes that it is given, or makes a figure without touching matplotlib's own state, and
returns the axes: ``plot.model(grid, vp).figure.savefig("vp.png")``. Those that need several axes return a list of them.
A medium in the place of a grid says what its parameters are, and in which units.
"""

from __future__ import annotations

from seisops._extras import missing

try:
    import matplotlib  # noqa: F401
except ImportError as error:
    raise missing("seisops.plot needs", "matplotlib", "plot") from error

from seisops.plot.acquisition import geometry
from seisops.plot.animation import Movie, movie
from seisops.plot.anything import draw
from seisops.plot.common_image import gathers
from seisops.plot.fields import image, medium, model, panels
from seisops.plot.lines import curves, spectrum, traces
from seisops.plot.sections import record, records

__all__ = [
    "Movie",
    "curves",
    "draw",
    "gathers",
    "geometry",
    "image",
    "medium",
    "model",
    "movie",
    "panels",
    "record",
    "records",
    "spectrum",
    "traces",
]


def __dir__() -> list[str]:
    return __all__
