"""Operators on models: mutes, scalings and smoothings to stand behind a Jacobian or in a misfit, coarser models, bounds,
angle gathers.

Each takes first what it is for: a Jacobian, a misfit's map, a :class:`~seisops.Wavefield`, or the space of a model. With
``D = so.model.DepthScaling(J) * so.model.TopMute(J, depth=60.0)``, ``J * D`` is an operator from preconditioned models.
"""

from seisops.model.angles import AngleGathers
from seisops.model.bounded import Bounded
from seisops.model.regrid import Regrid
from seisops.model.smooth import Smooth
from seisops.model.splines import Splines
from seisops.model.weights import DepthScaling, Illumination, TopMute, WaterMask

__all__ = [
    "AngleGathers",
    "Bounded",
    "DepthScaling",
    "Illumination",
    "Regrid",
    "Smooth",
    "Splines",
    "TopMute",
    "WaterMask",
]


def __dir__() -> list[str]:
    return __all__
