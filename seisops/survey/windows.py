"""Every shot on the part of the model that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops._table import together
from seisops.errors import ParameterError
from seisops.fusion import fuse
from seisops.maps import Arranged, Composed, LinearMap, Map
from seisops.operators import Embedding, Identity, LinearOperator, compose
from seisops.shotwise import Parts, Shotwise, ShotwiseMap
from seisops.spaces import Axis, PerShot, Space, Traces
from seisops.survey.shot import Shot
from seisops.wave._validate import real
from seisops.wave.discretise.discretisation import Discretisation, discretise
from seisops.wave.equation import WaveEquation
from seisops.wave.grid import Grid
from seisops.wave.jacobian import Jacobian, Parametric, names
from seisops.wave.modeling import Modeling
from seisops.wave.sampling.perturbation import CONDITIONS, Perturbation
from seisops.wave.sampling.projection import Projection
from seisops.wave.space import Wavefield
from seisops.wave.storage.policies import Policy, policy
from seisops.wave.storage.pool import Pool
from seisops.wave.time import Time

__all__ = ["Recipe", "WindowedModeling"]


@dataclass(frozen=True)
class Recipe:
    """How to make the operators of each shot of a survey.

    Attributes
    ----------
    shots : tuple of Shot
        The geometry, without data.
    medium : WaveEquation
        On the whole grid.
    discretisations : mapping
        That of the whole grid for every time axis: its time step and the profiles of its layer serve all windows.
    margin : float or None
        Metres by which windows are larger than what holds the points, along horizontal axes; None for the whole grid.
    interpolation : str
    heard, driven : str or None
        The components that receivers hear and sources drive; None for the first of the medium.
    """

    shots: tuple[Shot, ...]
    medium: WaveEquation
    discretisations: Mapping[Time, Discretisation]
    margin: float | None
    interpolation: str
    heard: str | None = None
    driven: str | None = None

    @property
    def dtype(self) -> np.dtype:
        """Of models and traces."""
        return np.dtype(next(iter(self.discretisations.values())).dtype)

    @property
    def device(self) -> str:
        """Where waves are propagated."""
        return next(iter(self.discretisations.values())).device

    def window(self, shot: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """First node and number of nodes of a shot's window."""
        grid = self.medium.grid
        first, shape = [0] * grid.ndim, list(grid.shape)
        if self.margin is not None:
            points = np.concatenate([self.shots[shot].sources, self.shots[shot].receivers])
            for d in range(grid.ndim - 1):
                cells = (points[:, d] - grid.origin[d]) / grid.spacing[d]
                margin = self.margin / grid.spacing[d]
                low = min(max(floor(cells.min() - margin), 0), grid.shape[d] - 2)
                high = max(min(ceil(cells.max() + margin), grid.shape[d] - 1), low + 1)
                first[d], shape[d] = low, high - low + 1
        return tuple(first), tuple(shape)

    def work(self, shot: int) -> int:
        """Grid points of a shot's window times its samples."""
        return prod(self.window(shot)[1]) * self.shots[shot].time.n

    def modeling(self, shot: int) -> LinearOperator:
        """The modeling operator of a shot on its window."""
        one, (first, shape) = self.shots[shot], self.window(shot)
        medium = self.medium.window(first, shape)
        discretisation = replace(self.discretisations[one.time], grid=medium.grid)
        waves = Wavefield(medium.grid, one.time, 1, self.dtype.name, device=discretisation.device)
        A = Modeling._frozen(waves, medium, discretisation)
        met = (one.receivers, self.heard), (one.sources, self.driven)
        R, S = (Projection(waves, at[None], self.interpolation, component=component) for at, component in met)
        return fuse(R * A * S.H)

    def made_of(self, shots: Sequence[int]) -> list:
        """The medium and its discretisations, components, and the points, time axis and window of each shot."""
        some = [self.shots[i] for i in shots]
        geometry = [(s.sources, s.receivers, s.time, self.window(i)) for s, i in zip(some, shots, strict=True)]
        axes = dict.fromkeys(s.time for s in some)
        named = [self.heard, self.driven] if self.heard or self.driven else []
        return [self.medium, [self.discretisations[time] for time in axes], self.interpolation, *named, geometry]

    def models(self, by: Perturbation, grid: Grid | None = None) -> Space:
        """Of perturbations, on the whole grid or another."""
        return by.space(Wavefield(grid or self.medium.grid, Time(2, 1.0), 1, self.dtype.name, device="cpu"))

    def restriction(self, shot: int, by: Perturbation) -> LinearOperator:
        """From perturbations to the window of a shot."""
        first, shape = self.window(shot)
        part, whole = self.models(by, self.medium.grid.window(first, shape)), self.models(by)
        where = tuple(slice(i, i + n) for i, n in zip(first, shape, strict=True))
        leading = (slice(None),) * (len(whole.shape) - len(where))
        return Embedding(part, whole, (*leading, *where)).H

    def space(self, counts: Sequence[int]) -> Space:
        """Of traces, so many in each shot."""
        axes = [Axis("time", s.time.n, s.time.step, s.time.start) for s in self.shots]
        if len(set(axes)) == 1:
            return Traces(counts, axes[0], self.dtype)
        return PerShot([Traces([n], axis, self.dtype) for n, axis in zip(counts, axes, strict=True)])


@dataclass(frozen=True)
class ModelingOf:
    """The modeling operator of a shot on its window."""

    recipe: Recipe

    def __call__(self, shot: int) -> LinearOperator:
        return self.recipe.modeling(shot)

    def made_of(self, shots: Sequence[int]) -> list:
        """What the recipe takes for the shots."""
        return self.recipe.made_of(shots)

    def work(self, shot: int) -> int:
        """That of the recipe."""
        return self.recipe.work(shot)


@dataclass(frozen=True)
class JacobianOf:
    """The Jacobian of a shot, from models on the whole grid. Shots are counted as those of the source q."""

    recipe: Recipe
    numbers: tuple[int, ...]
    space: Space
    q: NDArray
    by: Perturbation
    storage: Policy
    pool: Pool

    def __call__(self, shot: int) -> LinearOperator:
        number, q = self.numbers[shot], self.space.take(self.q, [shot]).ravel()
        J = Jacobian.within(self.pool, self.recipe.modeling(number), q, self.by, self.storage)
        return compose(J, self.recipe.restriction(number, self.by))

    def made_of(self, shots: Sequence[int]) -> list:
        """What the recipe takes for the shots, their source, what is perturbed and the storage."""
        recipe = self.recipe.made_of([self.numbers[i] for i in shots])
        return [*recipe, self.space.take(self.q, shots), self.by, self.storage]

    def work(self, shot: int) -> int:
        """That of the recipe."""
        return self.recipe.work(self.numbers[shot])


@dataclass(frozen=True)
class ParametricOf:
    """The map of a shot, from parameters on the whole grid."""

    recipe: Recipe
    wrt: tuple[str, ...]
    storage: Policy
    pool: Pool

    def __call__(self, shot: int) -> Map:
        G = Parametric.within(self.pool, self.recipe.modeling(shot), self.wrt, self.storage)
        R = self.recipe.restriction(shot, Perturbation(self.wrt[:1]))
        n = len(self.wrt)
        domain = [*[R.domain] * n, G.domain[-1]]
        windows = [Arranged(LinearMap(R), domain, [(i,)]) for i in range(n)]
        return Composed(G, *windows, Arranged(LinearMap(Identity(domain[-1])), domain, [(n,)]))

    def made_of(self, shots: Sequence[int]) -> list:
        """What the recipe takes for the shots, the parameters and the storage."""
        return [*self.recipe.made_of(shots), self.wrt, self.storage]

    def work(self, shot: int) -> int:
        """That of the recipe."""
        return self.recipe.work(shot)


class WindowedModeling(Shotwise):
    """Modeling of a survey, each shot on the part of the model that it needs and on its own time axis.

    Made by :meth:`Survey.modeling`. Maps the signals of all sources to the traces of all receivers.

    Parameters
    ----------
    recipe : Recipe
    """

    symbol = "F"
    parametric = True

    def __init__(self, recipe: Recipe, numbers: Sequence[int] | None = None):
        self.recipe = recipe
        self.numbers = tuple(range(len(recipe.shots)) if numbers is None else numbers)
        counts = [(len(s.sources), len(s.receivers)) for s in recipe.shots]
        domain, range_ = (recipe.space(c).select(self.numbers) for c in zip(*counts, strict=True))
        super().__init__(Parts(ModelingOf(recipe), self.numbers, False), domain, range_)

    _fingerprint = Shotwise._fingerprint

    def _about(self) -> dict[str, str]:
        steps = together(d.about() for d in self.recipe.discretisations.values())
        return {"medium": self.recipe.medium.in_words(), **steps}

    def select(self, shots: Sequence[int]) -> WindowedModeling:
        """Return the operator of some shots."""
        return WindowedModeling(self.recipe, self.parts.select(shots).numbers)

    def at(self, **parameters: ArrayLike) -> WindowedModeling:
        """Return the operator in another medium, discretised as before."""
        medium = self.recipe.medium.replace(**parameters)
        for discretisation in self.recipe.discretisations.values():
            discretisation.check(medium)
        return WindowedModeling(replace(self.recipe, medium=medium), self.numbers)

    def jacobian(
        self,
        q: ArrayLike,
        wrt: str | Sequence[str] = "m",
        storage="auto",
        lags: Mapping[str, Sequence[int]] | None = None,
        condition: str = CONDITIONS[0],
    ) -> Shotwise:
        """Return the Born operator at a source: from one model on the whole grid to the traces of all shots.

        Parameters
        ----------
        q : array_like
            An array of `domain`.
        wrt : str or tuple of str, optional
            Perturbed parameters, as of :class:`~seisops.Jacobian`: for several the domain has a leading axis
            (parameter, x, [y,] z).
        storage : str or Policy, optional
            How each shot keeps its background; see :mod:`seisops.storage`.
        lags, condition
            As of :class:`~seisops.Jacobian`.
        """
        by = Perturbation.of(self.recipe.medium.grid, names(wrt), lags, condition)
        by.check(self.recipe.medium)
        storage = policy(storage)
        pool = storage.pool(self.recipe.device)
        q = self.domain.owned(q)
        self.domain.require_finite(q, "jacobian(q): q")
        build = JacobianOf(self.recipe, self.numbers, self.domain, q, by, storage, pool)
        return Shotwise(Parts(build, range(len(self.numbers)), True), self.recipe.models(by), self.range)

    def as_map(self, wrt: str | Sequence[str] = "m", storage="auto") -> ShotwiseMap:
        """Return the nonlinear map ``(m, q) -> F(m) q``, with models on the whole grid.

        Parameters
        ----------
        wrt : str or tuple of str, optional
            Parameters of the medium that become arguments, before q.
        storage : str or Policy, optional
            How each shot keeps its background; see :mod:`seisops.storage`.
        """
        wrt = names(wrt)
        self.recipe.medium.check_wrt(wrt)
        storage = policy(storage)
        build = ParametricOf(self.recipe, wrt, storage, storage.pool(self.recipe.device))
        domain = [*[self.recipe.models(Perturbation(wrt[:1]))] * len(wrt), self.domain]
        return ShotwiseMap(Parts(build, self.numbers, False), domain, self.range, build.pool)


def windowed(
    shots: Sequence[Shot], medium: WaveEquation, margin: float | None, boundary, free_surface: bool, space_order: int,
    max_velocity: float | None, dispersion: bool, interpolation: str, dtype: str,
    heard: str | None, driven: str | None, device: str | None,
) -> WindowedModeling:  # fmt: skip
    """See :meth:`Survey.modeling`."""
    if not isinstance(medium, WaveEquation):
        raise ParameterError(f"modeling needs a medium such as Acoustic(grid, vp=...), got {type(medium).__name__}")
    if margin is not None:
        margin = real("modeling margin", margin, "metres", positive=True)
    for component in (heard, driven):
        medium.check_component(component)
    geometry = tuple(Shot(s.sources, s.receivers, s.time, None, s.record, s.dead) for s in shots)
    for i, shot in enumerate(geometry):
        for what, points in (("source", shot.sources), ("receiver", shot.receivers)):
            outside = np.flatnonzero(~medium.grid.contains(points))
            if outside.size:
                raise ParameterError(
                    f"{what} {outside[0]} of shot {i} is at {points[outside[0]].tolist()} m, outside the model: "
                    f"{medium.grid.describe_extent()}{medium.grid.depth_hint(points[outside[0]])}"
                )
    discretisations = {
        time: discretise(
            Wavefield(medium.grid, time, 1, dtype, device=device), medium, boundary, free_surface, space_order, max_velocity,
            None, dispersion,
        )
        for time in dict.fromkeys(shot.time for shot in geometry)
    }  # fmt: skip
    return WindowedModeling(Recipe(geometry, medium, discretisations, margin, interpolation, heard, driven))
