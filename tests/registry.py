"""Every kind of operator and every kind of map, registered once with an example: what all of them meet is tested of each.

To add one, write a function that makes an example in a small world, and say what it may not do::

    @operator(MyOperator, select=False)
    def my_operator(w):
        return MyOperator(w.waves)

Samplers are looked at within solves, too, on either side; points in an example belong four cells within the model, as
beyond that a wavefield on the grid does not have what they see of the layer.

Its tests are in ``test_registry.py``; one of them fails for a kind that has no example.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pylops
from cases import BOUNDARIES, World, world

import seisops as so
from seisops.elsewhere import Elsewhere
from seisops.fusion import FusedSolve
from seisops.inversion import Encoding, LeastSquares
from seisops.inversion.encoding import AllShots, Mix, Spread
from seisops.inversion.journal import RememberedOperator
from seisops.inversion.least_squares import GaussNewton, Hessian
from seisops.inversion.pointwise import Pointwise
from seisops.maps import Arranged, Composed, LinearMap, Map, Stacked
from seisops.operators import (
    Adjoint,
    Embedding,
    Everything,
    Expression,
    External,
    Gather,
    LinearOperator,
    Product,
    Propagator,
    Sampler,
    Scaled,
    Stack,
    Sum,
    Zero,
)
from seisops.survey.windows import Shotwise, ShotwiseMap, WindowedModeling
from seisops.wave.modeling import Solve
from seisops.wave.sampling.channel import Channel
from seisops.wave.sampling.imaging import Imaging, perturbation_space

__all__ = ["MAPS", "OPERATORS", "Entry", "kinds", "map_", "operator", "parts"]


@dataclass(frozen=True)
class Entry:
    """An example of a kind, and what it may do.

    Attributes
    ----------
    kind : type
        What takes part in it.
    make : callable
        Makes it in a world: an operator, or a map and its arguments at a point.
    select : bool
        Whether it consists of shots, so that it can be restricted to some, and distributed.
    apart : bool
        Whether it can be compared with its factors, applied one after another.
    """

    kind: type
    make: Callable[[World], Any]
    select: bool = True
    apart: bool = True

    def __call__(self, fresh: bool = False, **options: Any) -> Any:
        """The example in a world with these options; a `fresh` one shares nothing with others."""
        return self.make(World(**options) if fresh else world(**options))


#: By the names of their functions.
OPERATORS: dict[str, Entry] = {}
MAPS: dict[str, Entry] = {}


def operator(kind: type, **may: bool) -> Callable:
    """Register what makes an operator in which `kind` takes part; `may` as in :class:`Entry`."""
    return _register(OPERATORS, kind, may)


def map_(kind: type, **may: bool) -> Callable:
    """Register what makes a map in which `kind` takes part, and its arguments at a point."""
    return _register(MAPS, kind, may)


def _register(registry: dict[str, Entry], kind: type, may: dict[str, bool]) -> Callable:
    def register(make: Callable[[World], Any]) -> Callable[[World], Any]:
        assert make.__name__ not in registry, f"{make.__name__} is registered"
        registry[make.__name__] = Entry(kind, make, **may)
        return make

    return register


# ---- samplers and solves


@operator(so.Projection)
def projection(w):
    return w.deep(3, 1)


@operator(so.Wavelet)
def wavelet(w):
    return w.Pw


@operator(so.Snapshots)
def snapshots(w):
    return so.Snapshots(w.waves, w.time.samples[[9, 3, 14]])


@operator(Everything)
def everything(w):
    return Everything(w.waves)


@operator(so.Modeling)
def modeling(w):
    return w.A


@operator(Solve)
def solve(w):
    return w.A.solve((w.Pr,), (w.Ps,), adjoint=False)


@operator(FusedSolve)
def fused_solve(w):
    return so.fuse(w.deep(2, 7) * w.A * w.deep(1, 8).H)


@operator(so.Jacobian)
def jacobian(w):
    return w.jacobian()


@operator(so.Jacobian)
def jacobian_by_two_names(w):
    return w.jacobian(w.extended, wrt=("m", "vp"))


@operator(
    Imaging, select=False, apart=False
)  # shots are selected of its Jacobian; a wavefield does not reach into the layer, where there is an image
def imaging(w):
    return w.jacobian(storage=so.storage.Full())._operator


@operator(Channel, apart=False)  # both wavefields are in no space
def channel(w):
    return so.Parametric(w.F).tangent().inner.F


# ---- the algebra


@operator(Product)
def product(w):
    return w.deep(3, 1) * w.A * w.deep(2, 2).H


@operator(Product)
def extended_source_to_snapshots(w):
    return snapshots(w) * w.A * w.Pw.H


@operator(Product)
def adjoint_solve(w):
    return w.deep(3, 1) * w.A.H * w.deep(2, 2).H


@operator(Adjoint)
def adjoint(w):
    return product(w).H


@operator(Scaled)
def scaled(w):
    return -2.5 * product(w)


@operator(Sum)
def sum_(w):
    return product(w) + 0.5 * w.deep(3, 4) * w.A * w.deep(2, 5).H


@operator(so.VStack)
def vstack(w):
    return so.VStack([w.deep(3, 1), w.Pw]) * w.A * w.deep(2, 2).H


@operator(so.HStack)
def hstack(w):
    return w.deep(3, 1) * w.A * so.HStack([w.deep(2, 2).H, w.Pw.H])


@operator(so.BlockDiag)
def blockdiag(w):
    return so.BlockDiag([product(w), w.deep(3, 4) * w.A * w.deep(1, 5).H])


@operator(so.Identity)
def identity(w):
    return so.Identity(w.waves)


@operator(Zero)
def zero(w):
    F = product(w)
    return so.VStack([Zero(F.domain, F.range), F])


@operator(Embedding, select=False)
def embedding(w):
    return Embedding(w.waves.model(), perturbation_space(w.waves, ("m", "vp")), 1)


@operator(Embedding)
def embedding_among(w):
    return Embedding.among([w.F.range, w.F.domain], 1)


@operator(Gather)
def gather(w):
    return Gather([w.F.range, w.F.domain, w.F.range], [0, 1, 0])


@operator(External, select=False)
def external(w):
    weights = pylops.Diagonal(np.linspace(1.0, 2.0, w.Pr.range.size, dtype=w.dtype), dtype=w.dtype)
    return so.fuse(weights * product(w))


# ---- inversion


@operator(Pointwise)
def pointwise(w):
    return Pointwise(w.F.range, np.linspace(1.0, 2.0, w.time.n))


@operator(Mix, select=False)
def mix(w):
    return Encoding.random(3, w.shots, seed=1).data(w.F.range)


@operator(Spread, select=False)
def spread(w):
    return Encoding.random(3, w.shots, seed=1).sources(w.F)


def misfit(w: World) -> LeastSquares:
    F = product(w)
    q = F.domain.random(1)
    return LeastSquares(so.Parametric(F), F.range.random(2), q)


@operator(GaussNewton, select=False)
def gauss_newton(w):
    return misfit(w).gauss_newton(w.medium.m)


@operator(Hessian, select=False)
def hessian(w):
    return misfit(w).hessian(w.medium.m)


# ---- surveys


def windowed(w: World) -> WindowedModeling:
    survey = so.Survey.from_arrays(
        [(60.0, 50.0), (150.0, 40.0)], [[(90.0, 100.0), (55.0, 71.0)], [(160.0, 100.0)]], [w.time] * 2
    )
    return survey.modeling(w.medium, margin=60.0, dtype=w.dtype, boundary=BOUNDARIES["pml"], space_order=4)


@operator(WindowedModeling)
def windowed_modeling(w):
    return windowed(w)


@operator(Shotwise)
def shotwise(w):
    F = windowed(w)
    return F.jacobian(F.domain.random(5))


# ---- maps, and a point of each


def point(w: World, F: LinearOperator) -> tuple:
    return np.asarray(w.medium.m, w.dtype), F.domain.random(5)


@map_(so.Parametric)
def parametric(w):
    return so.Parametric(w.F), point(w, w.F)


@map_(Composed)
def composed(w):
    F = w.F
    return 2.0 * so.Parametric(F), point(w, F)


@map_(Stacked)
def stacked(w):
    F, G = w.F, w.points(1, 6) * w.A * w.Ps.H
    return Stacked([so.Parametric(F), so.Parametric(G)]), point(w, F)


@map_(Arranged)
def arranged(w):
    m, q = point(w, w.F)
    G = so.Parametric(w.F)
    return Arranged(G, G.domain[::-1], [(1,), (0,)]), (q, m)


@map_(LinearMap)
def linear(w):
    return LinearMap(w.F), (w.F.domain.random(5),)


@map_(ShotwiseMap)
def shotwise_map(w):
    F = windowed(w)
    return F.as_map(), point(w, F)


# ---- what there is

#: What other kinds derive from; nothing is ever only one of these.
ABSTRACT = {LinearOperator, Expression, Propagator, Sampler, Stack, AllShots, Elsewhere, Map}

#: Forms that others take, which their own tests compare with those; bridges have theirs, distributed and lifted.
FORMS = {RememberedOperator}
BRIDGES = ("seisops.dask.", "seisops.torch.", "seisops.jax")


def kinds() -> set[type]:
    """All kinds of operators and maps that the package defines."""
    for module in pkgutil.walk_packages(so.__path__, "seisops."):
        if not module.name.startswith((*BRIDGES, "seisops.dask", "seisops.torch", "seisops.__main__", "seisops.plot")):
            importlib.import_module(module.name)
    found, ahead = set(), [LinearOperator, Map]
    while ahead:
        kind = ahead.pop()
        ahead += kind.__subclasses__()
        if kind.__module__.startswith("seisops.") and not kind.__module__.startswith(BRIDGES):
            found.add(kind)
    return found - ABSTRACT - FORMS


def parts(thing: LinearOperator | Map) -> Iterator[LinearOperator | Map]:
    """An operator or a map, and all that it is made of."""
    yield thing
    inside: Sequence = thing._parts if isinstance(thing, Map) else thing.children
    for part in inside:
        yield from parts(part)
