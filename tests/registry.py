"""Every kind of operator, map, medium and storage policy, registered with an example of which all that it meets is tested.

To add one, write a function that makes an example in a small world, and say what it may not do::

    @operator(MyOperator, select=False)
    def my_operator(w):
        return MyOperator(w.waves)

Samplers are looked at within solves, too, on either side; points in an example belong four cells within the model, as
beyond that a wavefield on the grid does not have what they see of the layer.

A storage policy is a row of `POLICIES`. Tests are in ``test_registry.py`` and ``wave/test_storage.py``; one of them fails
for a kind that has no example.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pylops
from cases import BOUNDARIES, World, world

import seisops as so
from seisops.data.filters import Response
from seisops.data.matching import ByLag, Matched
from seisops.data.tracemap import Following, TraceDerivative, TraceMap
from seisops.data.tracewise import Tracewise
from seisops.data.weights import Weighting
from seisops.elsewhere import Elsewhere
from seisops.errors import ParameterError
from seisops.fusion import FusedSolve
from seisops.inversion import Encoding, LeastSquares
from seisops.inversion.encoding import AllShots, Mix, Spread
from seisops.inversion.journal import RememberedOperator
from seisops.inversion.misfit import GaussNewton, Hessian
from seisops.inversion.posterior import _Named, _Within
from seisops.maps import Arranged, Composed, LinearMap, Map, Stacked
from seisops.model.bounded import BoundedTangent
from seisops.operators import (
    Adjoint,
    Embedding,
    Everything,
    Expression,
    External,
    Gather,
    LinearOperator,
    Pointwise,
    Product,
    Propagator,
    Sampler,
    Scaled,
    Stack,
    Sum,
    Zero,
)
from seisops.shotwise import Shotwise, ShotwiseMap
from seisops.survey.windows import WindowedModeling
from seisops.wave import equations
from seisops.wave.modeling import Solve
from seisops.wave.positions import Displaced
from seisops.wave.sampling.channel import Channel
from seisops.wave.sampling.combination import Combination, Combined
from seisops.wave.sampling.imaging import Imaging
from seisops.wave.sampling.moving import Moving
from seisops.wave.sampling.perturbation import Perturbation
from seisops.wave.storage.layout import Layout
from seisops.wave.storage.policies import (
    Auto,
    Boundary,
    Checkpointed,
    Compressed,
    Disk,
    Fourier,
    Full,
    Host,
    Policy,
    Probed,
    Subsampled,
)

__all__ = [
    "MAPS",
    "MEDIA",
    "OPERATORS",
    "POLICIES",
    "VALUES",
    "Entry",
    "Kept",
    "example",
    "forms",
    "kinds",
    "layout",
    "least",
    "map_",
    "media",
    "medium",
    "operator",
    "optional",
    "parts",
    "policies",
    "whole",
]


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
MEDIA: dict[str, Entry] = {}


def operator(kind: type, **may: bool) -> Callable:
    """Register what makes an operator in which `kind` takes part; `may` as in :class:`Entry`."""
    return _register(OPERATORS, kind, may)


def map_(kind: type, **may: bool) -> Callable:
    """Register what makes a map in which `kind` takes part, and its arguments at a point."""
    return _register(MAPS, kind, may)


def medium(kind: type, **may: bool) -> Callable:
    """Register what makes a medium of a kind."""
    return _register(MEDIA, kind, may)


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


@operator(so.Force)
def force(w):
    return so.Force(w.waves, w.deep(2, 1).points, [(1.0, 2.0), (-1.0, 0.5)])


@operator(so.MomentTensor)
def moment_tensor(w):
    return so.MomentTensor(w.waves, w.deep(2, 1).points, [[1.0, 0.5], [0.5, -2.0]])


@operator(so.Dipole)
def dipole(w):
    P = so.Dipole(w.waves, [[70.0, 81.0], [133.0, 110.0]], (1.0, 2.0))
    return P * w.A * w.deep(2, 2).H


@operator(so.Fibre)
def fibre(w):
    return so.Fibre(w.waves, [[60.0, 60.0], [100.0, 70.0], [120.0, 130.0]], 25.0, 13.0, wrapping=0.5)


@operator(Combination)
def combination(w):
    return force(w).children[0]


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
    w = replace(w, density=True)
    return w.jacobian(w.extended, wrt=("m", "rho"))


@operator(so.Jacobian)
def jacobian_with_lags(w):
    return w.jacobian(wrt="vp", lags={"x": (-3, 0, 3), "z": range(2)})


@operator(so.Jacobian)
def jacobian_of_what_reflects(w):
    return w.jacobian(condition="inverse_scattering")


@operator(
    Imaging, select=False, apart=False
)  # shots are selected of its Jacobian; a wavefield does not reach into the layer, where there is an image
def imaging(w):
    return w.jacobian(storage=so.storage.Full())._operator


@operator(Moving)
def moving(w):
    P = w.deep(2, 3)
    direction = P.domain.positions(P.points.counts, P.points.shared).random(6)
    return Moving(P, (0, None, 1), (1, direction))


@operator(Displaced)
def displaced(w):
    return Displaced(w.waves.positions(w.Pr.points.counts, False), w.Pr.range, w.Pr.range.random(7), 1)


@operator(Displaced)
def displaced_in_all_shots(w):
    return Displaced(w.waves.positions(w.Pr.points.counts, True), w.Pr.range, w.Pr.range.random(7), 0)


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
    return Embedding(w.waves.model(), Perturbation(("m", "vp")).space(w.waves), 1)


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


# ---- on traces and on models


@operator(so.data.Mute)
def mute(w):
    F = product(w)
    return so.data.Mute(F, velocity=1500.0, delay=0.03, taper=0.02) * F


@operator(so.data.OffsetWindow)
def offset_window(w):
    return so.data.OffsetWindow(product(w), 20.0, 90.0, taper=30.0)


@operator(so.data.Gain)
def gain(w):
    return so.data.Gain(w.F, power=0.5)


@operator(so.data.Bandpass)
def bandpass(w):
    return so.data.Bandpass(product(w), 5.0, 40.0, order=2, zero_phase=False)


@operator(so.data.TimePower)
def time_power(w):
    return so.data.TimePower(product(w), 0.5)


@operator(so.data.TimeShift)
def time_shift(w):
    return so.data.TimeShift(product(w), 0.011)


@operator(so.data.Resample)
def resample(w):
    return so.data.Resample(product(w), so.Time(n=30, step=0.003, start=0.01))


@operator(so.model.DepthScaling, select=False)
def depth_scaling(w):
    return so.model.DepthScaling(w.waves, power=0.5)


@operator(so.model.TopMute, select=False)
def top_mute(w):
    return so.model.TopMute(w.jacobian(), 55.0, taper=25.0)


@operator(so.model.WaterMask, select=False)
def water_mask(w):
    water = np.where(w.grid.coordinates("z") < 70.0, 1500.0, 2000.0)
    return so.model.WaterMask(w.waves, np.broadcast_to(water, w.grid.shape))


@operator(so.model.Illumination, select=False)
def illumination(w):
    return so.model.Illumination(w.jacobian())


@operator(so.model.Smooth, select=False)
def smooth(w):
    return so.model.Smooth(w.waves, (30.0, 15.0))


@operator(so.model.Splines, select=False)
def splines(w):
    return so.model.Splines(w.waves, (60.0, 40.0))


@operator(so.model.AngleGathers, select=False)
def angle_gathers(w):
    J = w.jacobian(lags={"x": range(-3, 4)})
    return so.model.AngleGathers(J, (-0.8, 0.0, 0.3, 1.0))


@operator(so.model.Regrid, select=False)
def regrid(w):
    return so.model.Regrid(w.waves, so.Grid((9,) * w.grid.ndim, 17.0, origin=-5.0))


# ---- inversion


@operator(_Within, select=False)
def within(w: World) -> LinearOperator:
    space = w.waves.model()
    vectors = np.linalg.qr(np.random.default_rng(0).standard_normal((space.size, 3)))[0].T
    return _Within(space, vectors, np.array([0.9, 0.5, 0.1]), identity=-1.0)


@operator(_Named, select=False)
def named(w):
    space = w.waves.model()
    R = External(pylops.Gradient(space.shape), w.waves.dtype)
    return _Named(space, R.H * R)


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


@operator(Shotwise)
def shotwise_with_lags(w):
    F = windowed(w)
    return F.jacobian(F.domain.random(5), lags={"x": range(-2, 3)})


# ---- maps, and a point of each


def point(w: World, F: LinearOperator) -> tuple:
    return np.asarray(w.medium.m, w.dtype), F.domain.random(5)


@map_(so.Parametric)
def parametric(w):
    return so.Parametric(w.F), point(w, w.F)


@map_(so.Parametric)
def parametric_by_positions(w):
    # near the origin, as a part of a coordinate is how far they move; in the middles of cells
    heard, driven = (np.array(cells) * 10.0 + 5.0 for cells in ([(0, 2), (3, 1)], [[(2, 3)], [(4, 1)]]))
    Pr, Ps = so.Projection(w.waves, heard), so.Projection(w.waves, driven)  # of all shots, and of each
    F = Pr * w.A * Ps.H
    m, q = point(w, F)
    return so.Parametric(F, (so.Positions(Pr), "m", so.Positions(Ps))), (heard, m, driven, q)


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


@map_(so.PerShot)
def per_shot(w):
    m, q = point(w, w.F)
    return so.PerShot(so.Parametric(w.F)), (np.stack([m, 1.1 * m]), q)


def observed(w: World):
    """What modeled traces are compared with, and those."""
    F = product(w)
    return F, F.range.random(2), (F.range.random(3),)


@map_(so.data.Normalized)
def normalized(w):
    F, _, u = observed(w)
    return so.data.Normalized(F), u


@map_(so.data.Envelope)
def envelope(w):
    F, _, u = observed(w)
    return so.data.Envelope(F, 0.5), u


@map_(so.data.Distribution)
def distribution(w):
    F, _, u = observed(w)
    return so.data.Distribution(F, 1.0), u


@map_(so.data.MatchingFilter)
def matching_filter(w):
    F, d, u = observed(w)
    return so.data.MatchingFilter(F, d, 0.5), u


@map_(so.data.MatchedSource)
def matched_source(w):
    F, d, u = observed(w)
    return so.data.MatchedSource(F, d, 0.1), u


@map_(ByLag)
def by_lag(w):
    M, u = matching_filter(w)
    return ByLag(M.range), (M(*u),)


@map_(Following)
def following(w):
    M, u = matched_source(w)
    return Following(so.data.Envelope(M.range, 0.5), M), u


@operator(TraceDerivative)
def trace_derivative(w):
    M, u = matched_source(w)
    return M.jacobian(*u)


@map_(so.model.Bounded, select=False)
def bounded(w):
    return so.model.Bounded(w.waves, 1.0, 2.0), (w.waves.model().random(3),)


@map_(BoundedTangent, select=False)
def bounded_tangent(w):
    model = w.waves.model()
    return so.model.Bounded(w.waves, 1.0, 2.0).tangent(), (model.random(3), model.random(4))


# ---- media


@medium(so.Acoustic)
def acoustic(w):
    return w.medium


@medium(so.Acoustic)
def acoustic_with_density(w):
    return world(density=True, dtype=w.dtype).medium


#: By the name of a parameter, between what numbers each cell of an example has its own; of a setting its value.
VALUES: dict[str, Any] = {
    "vp": (1600.0, 1800.0),
    "vs": (800.0, 900.0),
    "rho": (1000.0, 1200.0),
    "qp": (40.0, 80.0),
    "qs": (30.0, 60.0),
    "epsilon": (0.1, 0.2),
    "delta": (0.0, 0.08),
    "gamma": (0.1, 0.2),
    "theta": (0.3, 0.5),
    "phi": (0.1, 0.5),
    "f0": 20.0,
}


#: What only media in three dimensions have.
SPATIAL = {"gamma"}


def optional(kind: type[so.WaveEquation]) -> tuple[str, ...]:
    """What makes an equation another one, by being given."""
    return tuple(name for name, value in kind.defaults.items() if value is None)


def example(kind: type[so.WaveEquation], grid: so.Grid, given: Sequence[str] = ()) -> so.WaveEquation:
    """A medium whose cells differ: of the first of all alternatives, and of what is optional if it is among `given`.

    Raises
    ------
    ParameterError
        If the medium cannot be given that on this grid.
    """
    rng, values = np.random.default_rng(12), {}
    for names in kind._declared.given:
        name = next((name for name in names if name in given), names[0])
        if name in SPATIAL and grid.ndim == 2:
            continue
        left_out = name in kind.settings and name in kind.defaults
        if left_out or (name in optional(kind) and name not in given):
            continue
        if name not in VALUES:
            raise KeyError(f"{kind.__name__} is given by {name!r}: say between what values, in VALUES of {__file__}")
        known = VALUES[name]
        values[name] = rng.uniform(*known, grid.shape) if isinstance(known, tuple) else known
    return kind(grid, **values)


def forms(kind: type[so.WaveEquation], grid: so.Grid) -> Iterator[tuple[str, ...]]:
    """What of all that is optional a medium may be given together, in every way that it is not refused."""
    for n in range(len(optional(kind)) + 1):
        for given in combinations(optional(kind), n):
            try:
                example(kind, grid, given)
            except ParameterError:
                continue
            yield given


@medium(so.TTI)
def transversely_isotropic(w):
    return example(so.TTI, w.grid)


@medium(so.ViscoAcoustic)
def viscoacoustic(w):
    return example(so.ViscoAcoustic, w.grid)


@medium(so.Elastic)
def elastic(w):
    return example(so.Elastic, w.grid)


@medium(so.ElasticVTI)
def elastic_vti(w):
    return example(so.ElasticVTI, w.grid)


@medium(so.ViscoElastic)
def viscoelastic(w):
    return example(so.ViscoElastic, w.grid)


# ---- storage policies


def layout(w: World, wrt: Sequence[str] = ("m",)) -> Layout:
    """How the history of a shot lies in memory."""
    return w.A.solver.layout(wrt)


def whole(w: World) -> int:
    """Bytes of all of a history."""
    return layout(w).whole_bytes


def least(w: World, copies: int = 0) -> int:
    """Memory for the shortest segment, and for some copies of the state."""
    return layout(w).buffer_bytes(layout(w).unit) + copies * layout(w).state_bytes


class Kept(NamedTuple):
    """An example of a storage policy.

    Attributes
    ----------
    kind : type
        The policy.
    make : callable
        Makes it for a world and a directory: a policy, or what an argument `storage` may be.
    error : float
        How far products with J and with J.H may be from the exact ones: 0 if no bit may change, at most 1e-10 if it
        is exact to rounding.
    """

    kind: type[Policy]
    make: Callable[[World, Path], Policy | str]
    error: float = 0.0


POLICIES = {
    "auto": Kept(Auto, lambda w, path: "auto"),
    "whole": Kept(Full, lambda w, path: Full()),
    "whole, none held": Kept(Full, lambda w, path: Full(keep_bytes=0)),
    "checkpoints": Kept(Checkpointed, lambda w, path: Checkpointed()),
    "checkpoints, none held": Kept(Checkpointed, lambda w, path: Checkpointed(keep_bytes=0)),
    "no checkpoint": Kept(Checkpointed, lambda w, path: Checkpointed(n=0)),
    "three checkpoints": Kept(Checkpointed, lambda w, path: Checkpointed(n=3)),
    "many checkpoints": Kept(Checkpointed, lambda w, path: Checkpointed(n=100)),
    "checkpoints and part of the history": Kept(Checkpointed, lambda w, path: Checkpointed(bytes=whole(w) * 3 // 4)),
    "two copies": Kept(Checkpointed, lambda w, path: Checkpointed(bytes=least(w, 2))),
    "one copy": Kept(Checkpointed, lambda w, path: Checkpointed(bytes=least(w, 1))),
    "least memory": Kept(Checkpointed, lambda w, path: Checkpointed(bytes=least(w))),
    "on the host": Kept(Host, lambda w, path: Host()),
    "disk": Kept(Disk, lambda w, path: Disk(path)),
    "disk, none held": Kept(Disk, lambda w, path: Disk(path, keep_bytes=0)),
    "auto, one whole": Kept(Auto, lambda w, path: Auto(keep_bytes=whole(w) * 3 // 2)),
    "auto, none whole": Kept(Auto, lambda w, path: Auto(keep_bytes=whole(w) * 2 // 3)),
    "auto, none held": Kept(Auto, lambda w, path: Auto(keep_bytes=0)),
    "edges": Kept(Boundary, lambda w, path: Boundary(), 1e-10),
    "every second": Kept(Subsampled, lambda w, path: Subsampled(2), 0.01),
    "16 bits": Kept(Compressed, lambda w, path: Compressed(), 3e-4),
    "8 bits": Kept(Compressed, lambda w, path: Compressed(bits=8), 0.05),
    "all frequencies of the source": Kept(
        Fourier, lambda w, path: Fourier(frequencies=np.arange(0, 225, 1 / 0.092)), 0.02
    ),
    "a few frequencies": Kept(Fourier, lambda w, path: Fourier(frequencies=(11.0, 22.0, 33.0, 44.0, 55.0)), 1.0),
    "probed": Kept(Probed, lambda w, path: Probed(r=32), 2.0),
}


# ---- what there is

#: What other kinds derive from; nothing is ever only one of these.
ABSTRACT = {
    *(LinearOperator, Expression, Propagator, Sampler, Stack, Combined, AllShots, Elsewhere, Map),
    *(Tracewise, Weighting, Response, TraceMap, Matched),
}

#: Forms that others take, which their own tests compare with those; bridges have theirs, distributed and lifted.
FORMS = {RememberedOperator}
BRIDGES = ("seisops.dask.", "seisops.torch.", "seisops.jax")


def kinds() -> set[type]:
    """All kinds of operators and maps that the package defines."""
    for module in pkgutil.walk_packages(so.__path__, "seisops."):
        if not module.name.startswith((*BRIDGES, "seisops.dask", "seisops.torch", "seisops.__main__", "seisops.plot")):
            importlib.import_module(module.name)
    found = {*_derived(LinearOperator), *_derived(Map)} - ABSTRACT - FORMS
    return {kind for kind in found if not kind.__module__.startswith(BRIDGES)}


def media() -> set[type[so.WaveEquation]]:
    """All wave equations that the package offers."""
    for module in pkgutil.iter_modules(equations.__path__, "seisops.wave.equations."):
        importlib.import_module(module.name)
    derived = (kind for kind in _derived(so.WaveEquation) if kind.__module__.startswith("seisops.wave.equations."))
    return {kind for kind in derived if kind.parameters}  # others are there for what several have in common


def policies() -> set[type[Policy]]:
    """All storage policies that the package defines."""
    return {kind for kind in _derived(Policy) if not kind.__abstractmethods__}


def _derived(base: type) -> Iterator[type]:
    """What in the package derives from a class."""
    for kind in base.__subclasses__():
        if kind.__module__.startswith("seisops."):
            yield kind
        yield from _derived(kind)


def parts(thing: LinearOperator | Map) -> Iterator[LinearOperator | Map]:
    """An operator or a map, and all that it is made of."""
    yield thing
    inside: Sequence = thing._parts if isinstance(thing, Map) else thing.children
    for part in inside:
        yield from parts(part)
