"""Small worlds in which every operator kind can be built, and the registry of one case for each kind.

Kernels are compiled once for each kind of equation and boundary in a process: the worlds share as many as they can.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

import seisops as so
import seisops.wave
from seisops.operators import Embedding, Expression, LinearOperator, Propagator, Sampler
from seisops.wave.sampling.channel import Channel

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}

BOUNDARIES = {"pml": so.PML(cells=6), "sponge": so.Sponge(cells=6), "none": None}


@dataclass(frozen=True)
class World:
    """A random medium on a small grid, and the operators around it."""

    ndim: int = 2
    dtype: str = "float64"
    order: int = 4
    boundary: str = "pml"
    surface: bool = False
    density: bool = False
    substeps: bool = False
    shots: int = 2

    @property
    def grid(self) -> so.Grid:
        return so.Grid((24, 21), 10.0) if self.ndim == 2 else so.Grid((13, 12, 11), 10.0)

    @property
    def time(self) -> so.Time:
        return so.Time(15, 0.005) if self.substeps else so.Time(31, 0.002)

    @cached_property
    def waves(self) -> so.Wavefield:
        return so.Wavefield(self.grid, self.time, shots=self.shots, dtype=self.dtype)

    @cached_property
    def medium(self) -> so.Acoustic:
        rng = np.random.default_rng(11)
        vp = rng.uniform(1500.0, 2000.0, self.grid.shape)
        rho = rng.uniform(1000.0, 1200.0, self.grid.shape) if self.density else None
        return so.Acoustic(self.grid, vp=vp, rho=rho)

    def points(self, n: int, seed: int, **options) -> so.Projection:
        """Points anywhere in the model, between nodes, other ones in each shot."""
        low, high = np.array(self.grid.extent).T
        rng = np.random.default_rng(seed)
        return so.Projection(self.waves, rng.uniform(low, high, (self.shots, n, self.ndim)), **options)

    @cached_property
    def Pr(self) -> so.Projection:
        return self.points(3, 1)

    @cached_property
    def Ps(self) -> so.Projection:
        return self.points(2, 2)

    @cached_property
    def Ps2(self) -> so.Projection:
        return self.points(1, 3, interpolation="linear")

    @cached_property
    def Pw(self) -> so.Wavelet:
        signature = np.random.default_rng(4).standard_normal((self.shots, self.time.n))
        return so.Wavelet(self.waves, signature)

    @cached_property
    def A(self) -> so.Modeling:
        return so.Modeling(
            self.waves,
            self.medium,
            boundary=BOUNDARIES[self.boundary],
            free_surface=self.surface,
            space_order=self.order,
        )

    @cached_property
    def F(self) -> LinearOperator:
        return self.Pr * self.A * self.Ps.H

    @cached_property
    def extended(self) -> LinearOperator:
        return self.Pr * self.A * self.Pw.H

    def jacobian(self, F=None, **options) -> so.Jacobian:
        F = self.F if F is None else F
        return so.Jacobian(F, F.domain.random(5), **options)


@cache
def world(**options) -> World:
    """The world with these options; one object for each, so that its operators are shared."""
    return World(**options)


REGISTRY: dict[type, object] = {}


def case(kind: type):
    """Register a builder of an operator in which `kind` takes part."""

    def register(builder):
        REGISTRY[kind] = builder
        return builder

    return register


@case(so.Projection)
def projection():
    return world().Pr


@case(so.Wavelet)
def wavelet():
    return world().Pw


@case(so.Snapshots)
def snapshots():
    w = world()
    return so.Snapshots(w.waves, w.time.samples[[3, 20, 30]])


@case(so.Modeling)
def modeling():
    return world().A


@case(seisops.wave.modeling.Solve)
def solve():
    w = world()
    return w.A.solve((w.Pr,), (w.Ps,), adjoint=False)


@case(so.Jacobian)
def jacobian():
    return world().jacobian()


@case(seisops.wave.sampling.imaging.Imaging)
def imaging():
    return world().jacobian(storage=so.storage.Full())._operator


@case(Embedding)
def embedding():
    w = world()
    several = seisops.wave.sampling.imaging.perturbation_space(w.waves, ("m", "vp"))
    return Embedding(w.waves.model(), several, 1)


@case(Channel)
def channel():
    return so.Parametric(world().F).tangent().inner.F


@case(so.Identity)
def identity():
    return so.Identity(world().waves)


@case(so.VStack)
def vstack():
    w = world()
    return so.VStack([w.F, w.points(1, 6) * w.A * w.Ps.H])


@case(so.HStack)
def hstack():
    w = world()
    return so.HStack([w.F, w.Pr * w.A * w.Ps2.H])


@case(so.BlockDiag)
def blockdiag():
    w = world()
    return so.BlockDiag([w.F, w.Pr * w.A * w.Ps2.H])


#: What other kinds derive from; nothing is ever only one of these.
ABSTRACT = {LinearOperator, Propagator, Sampler, Expression}


def kinds() -> set[type]:
    """The operators of the public interface, and those defined anywhere in the wave layer."""
    for module in pkgutil.walk_packages(seisops.wave.__path__, "seisops.wave."):
        importlib.import_module(module.name)
    public = {getattr(so, name) for name in so.__all__}
    found, stack = set(), [LinearOperator]
    while stack:
        kind = stack.pop()
        stack += kind.__subclasses__()
        if kind.__module__.startswith("seisops.wave.") or kind in public:
            found.add(kind)
    return found - ABSTRACT


def parts(op: LinearOperator):
    """An operator and all that it is made of."""
    yield op
    for child in op.children:
        yield from parts(child)
