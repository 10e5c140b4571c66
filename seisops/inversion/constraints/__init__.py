"""Sets of models for inversion under constraints, each as the projection onto it.

Each takes first what it is for: a map, a Jacobian, a :class:`~seisops.Wavefield`, or the space of a model. Called with a
model it returns the nearest one of the set. :func:`~seisops.inversion.spg` and :func:`~seisops.inversion.pqn` minimise
misfits in them.
"""

from seisops.inversion.constraints.balls import L1Ball, L2Ball, NuclearBall, Rank
from seisops.inversion.constraints.combined import Intersection, Product, Scaled
from seisops.inversion.constraints.constraint import Ball, Constraint, Proximal
from seisops.inversion.constraints.monotone import Monotone
from seisops.inversion.constraints.pointwise import Bounds, Known
from seisops.inversion.constraints.variation import Smoothness, TotalVariation

__all__ = [
    "Ball",
    "Bounds",
    "Constraint",
    "Intersection",
    "Known",
    "L1Ball",
    "L2Ball",
    "Monotone",
    "NuclearBall",
    "Product",
    "Proximal",
    "Rank",
    "Scaled",
    "Smoothness",
    "TotalVariation",
]


def __dir__() -> list[str]:
    return __all__
