"""Every shot on the part of the model that it needs: operators and maps made of one for each shot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError
from seisops.fusion import fuse
from seisops.maps import Arranged, Composed, Linearization, LinearMap, Map
from seisops.operators import Embedding, Identity, LinearOperator, compose
from seisops.spaces import Axis, PerShot, Space, Traces, shot_numbers
from seisops.survey.shot import Shot
from seisops.wave._validate import real
from seisops.wave.discretise.discretisation import Discretisation, discretise
from seisops.wave.equation import WaveEquation
from seisops.wave.grid import Grid
from seisops.wave.jacobian import Jacobian, Parametric, names
from seisops.wave.modeling import Modeling
from seisops.wave.sampling.imaging import perturbation_space
from seisops.wave.sampling.projection import Projection
from seisops.wave.space import Wavefield
from seisops.wave.storage.policies import Policy, policy
from seisops.wave.storage.pool import Pool
from seisops.wave.time import Time

__all__ = ["Parts", "Recipe", "Shotwise", "ShotwiseMap", "WindowedModeling"]


class Build(Protocol):
    """Makes the operators, or maps, of shots."""

    def __call__(self, shot: int) -> LinearOperator | Map:
        """That of a shot."""

    def made_of(self, shots: Sequence[int]) -> list:
        """What those of some shots are made of, for a fingerprint: without making them, of which each has a model."""

    def work(self, shot: int) -> int:
        """What that of a shot takes beside others: grid points times samples."""


class Parts(Sequence):
    """One operator or map for each shot, made when asked for.

    Parameters
    ----------
    build : Build
        Makes that of a shot from its number.
    numbers : sequence of int
        Of the shots.
    keep : bool
        Whether what was made is kept: Jacobians keep their backgrounds, modeling operators have nothing worth it.
    """

    def __init__(self, build: Build, numbers: Sequence[int], keep: bool):
        self.build, self.numbers, self.keep = build, tuple(numbers), keep
        self.made: dict[int, LinearOperator | Map] = {}

    def __getstate__(self):
        return {**self.__dict__, "made": {}}

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> LinearOperator | Map:
        number = self.numbers[index]
        part = self.made.get(number) or self.build(number)
        if self.keep:
            self.made[number] = part
        return part

    def costliest(self) -> Any:
        """The operator, or map, of the shot that takes most."""
        return self.build(max(self.numbers, key=self.build.work))

    def select(self, shots: Sequence[int]) -> Parts:
        """Those of some shots."""
        shots = shot_numbers(shots, len(self), f"a survey of {len(self)} shots")
        return Parts(self.build, [self.numbers[i] for i in shots], self.keep)

    @classmethod
    def of(cls, parts: Sequence[LinearOperator]) -> Parts:
        """Parts that exist already."""
        return cls(Made(tuple(parts)), range(len(parts)), False)

    def _fingerprint(self) -> list:
        return [type(self.build), *self.build.made_of(self.numbers)]


@dataclass(frozen=True)
class Made:
    """Operators that exist already."""

    parts: tuple[LinearOperator, ...]

    def __call__(self, shot: int) -> LinearOperator:
        return self.parts[shot]

    def made_of(self, shots: Sequence[int]) -> list:
        """Those of the shots."""
        return [self.parts[i] for i in shots]

    def work(self, shot: int) -> int:
        """All the same, as they are made."""
        return 1


class Shotwise(LinearOperator):
    """An operator that consists of one for each shot.

    Parameters
    ----------
    parts : Parts
        Each maps a shot's part of `domain` (all of it, where shots share it) to the shot's part of `range`.
    domain, range : Space
    """

    symbol = "S"
    solves = True

    def __init__(self, parts: Parts, domain: Space, range: Space):
        self.parts = parts
        super().__init__(domain, range)

    def _fingerprint(self) -> list:
        return [self.parts]

    @property
    def shots(self) -> int:
        """The number of shots."""
        return len(self.parts)

    @property
    def costliest(self) -> LinearOperator:
        """What stands for all shots in a plan: the one that takes most."""
        return self.parts.costliest()

    @property
    def held_bytes(self) -> int:
        """How much memory the parts hold."""
        return sum(part.held_bytes for part in self.parts.made.values())

    @property
    def spare_bytes(self) -> int:
        """How much memory the parts have that waits for what they hold next; they share it."""
        return max((part.spare_bytes for part in self.parts.made.values()), default=0)

    def forget(self) -> None:
        """Release what the parts hold, and what is spare."""
        for part in self.parts.made.values():
            part.forget()

    def select(self, shots: Sequence[int]) -> Shotwise:
        """Return the operators of some shots."""
        return Shotwise(self.parts.select(shots), self.domain.select(shots), self.range.select(shots))

    def _apply(self, x: NDArray) -> NDArray:
        out = self.range.zeros()
        for i, part in enumerate(self.parts):
            one = part.matvec(self.domain.take(x, [i]).ravel())
            self.range.put(out, one.reshape(self.range.select([i]).shape), [i])
        return out

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        out = self.domain.zeros()
        for i, part in enumerate(self.parts):
            one = part.rmatvec(self.range.take(y, [i]).ravel())
            self.domain.put(out, one.reshape(self.domain.select([i]).shape), [i])
        return out


class ShotwiseMap(Map):
    """A map that consists of one for each shot.

    Parameters
    ----------
    parts : Parts
        Each maps a shot's part of the arguments (all of an argument, where shots share it) to its part of `range`.
    domain : sequence of Space
    range : Space
    pool : Pool
        The memory that the parts share.
    """

    def __init__(self, parts: Parts, domain: Sequence[Space], range: Space, pool: Pool):
        self.parts, self.pool = parts, pool
        super().__init__(domain, range)

    def _fingerprint(self) -> list:
        return [self.parts]

    @property
    def shots(self) -> int:
        """The number of shots."""
        return len(self.parts)

    @property
    def costliest(self) -> Map:
        """What stands for all shots in a plan: the one that takes most."""
        return self.parts.costliest()

    def select(self, shots: Sequence[int]) -> ShotwiseMap:
        """Return the maps of some shots."""
        domain = [space.select(shots) for space in self._domain]
        return ShotwiseMap(self.parts.select(shots), domain, self._range.select(shots), self.pool)

    @property
    def held_bytes(self) -> int:
        """How much memory its open linearisations hold that could be computed again."""
        return self.pool.held_bytes

    @property
    def spare_bytes(self) -> int:
        """How much memory it has that waits for what its next linearisations hold."""
        return self.pool.spare_bytes

    def forget(self) -> None:
        """Release what it could compute again, and what is spare; open linearisations stay open."""
        super().forget()
        self.pool.forget()

    def _of(self, x: Sequence[NDArray], i: int) -> list[NDArray]:
        return [space.take(part, [i]).ravel() for space, part in zip(self._domain, x, strict=True)]

    def _put(self, out: NDArray, value: NDArray, i: int) -> None:
        self._range.put(out, value.reshape(self._range.select([i]).shape), [i])

    def _call(self, *x: NDArray) -> NDArray:
        out = self._range.zeros()
        for i, part in enumerate(self.parts):
            self._put(out, part(*self._of(x, i)), i)
        return out

    def _linearize(self, *x: NDArray) -> Linearization:
        return ShotwiseLinearization(self, x)

    def _make_tangent(self) -> Map:
        parts = Parts(Tangents(self.parts), range(len(self.parts)), False)
        return ShotwiseMap(parts, self._domain * 2, self._range, self.pool)


class Tangents:
    """The tangents of maps, by number."""

    def __init__(self, parts: Parts):
        self.parts = parts

    def __call__(self, i: int) -> Map:
        return self.parts[i].tangent()

    def made_of(self, shots: Sequence[int]) -> list:
        """The maps of the shots."""
        return [self.parts.select(shots)]

    def work(self, i: int) -> int:
        """That of the map."""
        return self.parts.build.work(self.parts.numbers[i])


class ShotwiseLinearization(Linearization):
    """The linearisations of all shots, of which each takes its own derivatives by all arguments at once."""

    def __init__(self, of: ShotwiseMap, x: Sequence[NDArray]):
        self._of = of
        self._parts: list[Linearization] = []
        value = of.range.zeros()
        try:
            for i, part in enumerate(of.parts):
                self._parts.append(part.linearize_at(*of._of(x, i)))
                of._put(value, self._parts[-1].value, i)
        except BaseException:
            self._close_parts()
            raise

        def jacobians() -> list[Shotwise]:
            columns = zip(*(part.jacobians for part in self._parts), strict=True)
            return [
                Shotwise(Parts.of(column), space, of.range) for space, column in zip(of.domain, columns, strict=True)
            ]

        super().__init__(value, jacobians, self._close_parts)

    def _close_parts(self) -> None:
        for part in self._parts:
            part.close()

    @property
    def held_bytes(self) -> int:
        """How much memory the linearisations hold."""
        return sum(part.held_bytes for part in self._parts)

    def pushforward(self, *dx: ArrayLike | None) -> NDArray:
        """Return the derivative in a direction; see :class:`~seisops.maps.Linearization`."""
        self._require_open()
        of, out = self._of, self._of.range.zeros()
        dx = [None if part is None else space.asarray(part) for space, part in zip(of.domain, dx, strict=True)]
        for i, at_x in enumerate(self._parts):
            given = (
                None if part is None else space.take(part, [i]).ravel()
                for space, part in zip(of.domain, dx, strict=True)
            )
            of._put(out, at_x.pushforward(*given), i)
        return out

    def pullback(self, y: ArrayLike, wanted: Sequence[bool] | None = None) -> tuple[NDArray | None, ...]:
        """Return gradients; see :class:`~seisops.maps.Linearization`."""
        self._require_open()
        of = self._of
        wanted = [True] * len(of.domain) if wanted is None else list(wanted)
        y = of.range.asarray(y)
        out = [space.zeros() if want else None for space, want in zip(of.domain, wanted, strict=True)]
        for i, at_x in enumerate(self._parts):
            found = at_x.pullback(of.range.take(y, [i]).ravel(), wanted)
            for space, total, part in zip(of.domain, out, found, strict=True):
                if part is not None:
                    space.put(total, part.reshape(space.select([i]).shape), [i])
        return tuple(out)


# ---- modeling on windows


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

    def models(self, wrt: tuple[str, ...], grid: Grid | None = None) -> Space:
        """Of perturbations of so many parameters, on the whole grid or another."""
        return perturbation_space(Wavefield(grid or self.medium.grid, Time(2, 1.0), 1, self.dtype.name), wrt)

    def restriction(self, shot: int, wrt: tuple[str, ...]) -> LinearOperator:
        """From a model, or those of several parameters, to the window of a shot."""
        first, shape = self.window(shot)
        part, whole = self.models(wrt, self.medium.grid.window(first, shape)), self.models(wrt)
        where = tuple(slice(i, i + n) for i, n in zip(first, shape, strict=True))
        return Embedding(part, whole, where if len(wrt) == 1 else (slice(None), *where)).H

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
    wrt: tuple[str, ...]
    storage: Policy
    pool: Pool

    def __call__(self, shot: int) -> LinearOperator:
        number, q = self.numbers[shot], self.space.take(self.q, [shot]).ravel()
        J = Jacobian.within(self.pool, self.recipe.modeling(number), q, self.wrt, self.storage)
        return compose(J, self.recipe.restriction(number, self.wrt))

    def made_of(self, shots: Sequence[int]) -> list:
        """What the recipe takes for the shots, their source, the parameters and the storage."""
        recipe = self.recipe.made_of([self.numbers[i] for i in shots])
        return [*recipe, self.space.take(self.q, shots), self.wrt, self.storage]

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
        R = self.recipe.restriction(shot, self.wrt[:1])
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

    def select(self, shots: Sequence[int]) -> WindowedModeling:
        """Return the operator of some shots."""
        return WindowedModeling(self.recipe, self.parts.select(shots).numbers)

    def at(self, **parameters: ArrayLike) -> WindowedModeling:
        """Return the operator in another medium, discretised as before."""
        medium = self.recipe.medium.replace(**parameters)
        for discretisation in self.recipe.discretisations.values():
            discretisation.check(medium)
        return WindowedModeling(replace(self.recipe, medium=medium), self.numbers)

    def jacobian(self, q: ArrayLike, wrt: str | Sequence[str] = "m", storage="auto") -> Shotwise:
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
        """
        wrt = names(wrt)
        self.recipe.medium.check_wrt(wrt)
        storage = policy(storage)
        pool = Pool(storage.keep_bytes)
        q = self.domain.owned(q)
        self.domain.require_finite(q, "jacobian(q): q")
        build = JacobianOf(self.recipe, self.numbers, self.domain, q, wrt, storage, pool)
        return Shotwise(Parts(build, range(len(self.numbers)), True), self.recipe.models(wrt), self.range)

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
        build = ParametricOf(self.recipe, wrt, storage, Pool(storage.keep_bytes))
        domain = [*[self.recipe.models(wrt[:1])] * len(wrt), self.domain]
        return ShotwiseMap(Parts(build, self.numbers, False), domain, self.range, build.pool)


def windowed(
    shots: Sequence[Shot], medium: WaveEquation, margin: float | None, boundary, free_surface: bool, space_order: int,
    max_velocity: float | None, dispersion: bool, interpolation: str, dtype: str,
    heard: str | None, driven: str | None, device: str,
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
                    f"{medium.grid.describe_extent()}"
                )
    discretisations = {
        time: discretise(
            Wavefield(medium.grid, time, 1, dtype, device=device), medium, boundary, free_surface, space_order, max_velocity,
            None, dispersion,
        )
        for time in dict.fromkeys(shot.time for shot in geometry)
    }  # fmt: skip
    return WindowedModeling(Recipe(geometry, medium, discretisations, margin, interpolation, heard, driven))
