"""Seismic modeling and inversion written as mathematics: operators, their adjoints, and their derivatives."""

from seisops import check
from seisops.errors import (
    DispersionWarning,
    ParameterError,
    SeisopsError,
    SpaceError,
    UnfusedError,
    UnstableError,
)
from seisops.fusion import fuse
from seisops.maps import Map
from seisops.operators import BlockDiag, HStack, Identity, LinearOperator, VStack
from seisops.spaces import Space
from seisops.wave import storage
from seisops.wave.boundaries import PML, Sponge
from seisops.wave.equation import WaveEquation
from seisops.wave.equations.acoustic import Acoustic
from seisops.wave.grid import Grid
from seisops.wave.jacobian import Jacobian, Parametric
from seisops.wave.modeling import Modeling
from seisops.wave.samplers import Projection, Wavelet
from seisops.wave.space import Wavefield
from seisops.wave.time import Time
from seisops.wave.wavelets import gaussian_derivative, ormsby, ricker

__all__ = [
    "Acoustic",
    "BlockDiag",
    "DispersionWarning",
    "Grid",
    "HStack",
    "Identity",
    "Jacobian",
    "LinearOperator",
    "Map",
    "Modeling",
    "PML",
    "Parametric",
    "ParameterError",
    "Projection",
    "SeisopsError",
    "Space",
    "SpaceError",
    "Sponge",
    "Time",
    "UnfusedError",
    "UnstableError",
    "VStack",
    "WaveEquation",
    "Wavefield",
    "Wavelet",
    "check",
    "fuse",
    "gaussian_derivative",
    "ormsby",
    "ricker",
    "storage",
]
