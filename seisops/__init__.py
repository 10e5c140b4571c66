"""Seismic modeling and inversion written as mathematics: operators, their adjoints, and their derivatives."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from seisops import check, memory, storage
from seisops._extras import missing as _missing
from seisops.engine.backend import default_device
from seisops.errors import (
    AccuracyWarning,
    DispersionWarning,
    ParameterError,
    SeisopsError,
    SelectionError,
    SpaceError,
    UnfusedError,
    UnstableError,
)
from seisops.fusion import fuse
from seisops.maps import Map
from seisops.operators import BlockDiag, HStack, Identity, LinearOperator, VStack
from seisops.spaces import Space
from seisops.wave.boundaries import PML, Sponge
from seisops.wave.equation import WaveEquation
from seisops.wave.equations.acoustic import Acoustic
from seisops.wave.equations.elastic import Elastic
from seisops.wave.equations.elastic_vti import ElasticVTI
from seisops.wave.equations.tti import TTI
from seisops.wave.equations.viscoacoustic import ViscoAcoustic
from seisops.wave.equations.viscoelastic import ViscoElastic
from seisops.wave.grid import Grid
from seisops.wave.jacobian import Jacobian, Parametric
from seisops.wave.modeling import Modeling
from seisops.wave.pershot import PerShot
from seisops.wave.positions import Positions
from seisops.wave.quantities import Quantity
from seisops.wave.sampling.directed import Dipole, Force, MomentTensor, double_couple
from seisops.wave.sampling.fibre import Fibre
from seisops.wave.sampling.projection import Projection
from seisops.wave.sampling.snapshots import Snapshots
from seisops.wave.sampling.wavelet import Wavelet
from seisops.wave.space import Wavefield
from seisops.wave.time import Time
from seisops.wave.wavelets import gaussian_derivative, ormsby, ricker

if TYPE_CHECKING:
    from seisops import data, inversion, model
    from seisops.survey import Shot, Survey
    from seisops.wave.costs import plan

__all__ = [
    "AccuracyWarning",
    "Acoustic",
    "BlockDiag",
    "Dipole",
    "DispersionWarning",
    "Elastic",
    "ElasticVTI",
    "Fibre",
    "Force",
    "Grid",
    "HStack",
    "Identity",
    "Jacobian",
    "LinearOperator",
    "Map",
    "Modeling",
    "MomentTensor",
    "PML",
    "Parametric",
    "ParameterError",
    "PerShot",
    "Positions",
    "Projection",
    "Quantity",
    "SeisopsError",
    "SelectionError",
    "Shot",
    "Snapshots",
    "Space",
    "SpaceError",
    "Sponge",
    "Survey",
    "Time",
    "TTI",
    "UnfusedError",
    "UnstableError",
    "VStack",
    "ViscoAcoustic",
    "ViscoElastic",
    "WaveEquation",
    "Wavefield",
    "Wavelet",
    "check",
    "data",
    "default_device",
    "double_couple",
    "fuse",
    "inversion",
    "gaussian_derivative",
    "memory",
    "model",
    "ormsby",
    "plan",
    "ricker",
    "storage",
]

#: Bridges to other packages, with the package that each needs.
_BRIDGES = {"dask": "distributed", "jax": "jax", "plot": "matplotlib", "torch": "torch"}

#: What a first result does not need, with the module that it is found in: imported when first used.
_LATER = {
    "Shot": "survey", "Survey": "survey", "data": "", "inversion": "", "model": "", "plan": "wave.costs", "survey": "",
}  # fmt: skip


def __getattr__(name: str):
    """What is imported when first used, such as bridges to other packages (``so.torch.lift``); the version."""
    if name == "__version__":
        return _version()
    if name in _LATER:
        home = _LATER[name]
        module = _import_module(f"{__name__}.{home or name}")
        return getattr(module, name) if home else module
    if name not in _BRIDGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return _import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != _BRIDGES[name] and error.name != name:
            raise
        raise _missing(f"seisops.{name} needs", error.name or name, name) from error


def __dir__() -> list[str]:
    return [*__all__, *_BRIDGES, "maps", "survey", "__version__"]


def _version() -> str:
    """What is installed under our name; where nothing is, as in a copy of the source that is only on the path."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(__name__)
    except PackageNotFoundError:
        return "unknown (seisops is not installed)"
