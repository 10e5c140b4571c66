"""What modeling and its derivatives will cost, before they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from enum import Enum
from math import ceil, inf, prod
from typing import Any

import numpy as np

from seisops._pylops import pylops
from seisops.errors import ParameterError, UnfusedError
from seisops.fusion import fuse
from seisops.maps import Arranged, Composed, LinearMap, Map, Stacked
from seisops.operators import LinearOperator, Propagator
from seisops.wave._validate import integer
from seisops.wave.grid import Grid
from seisops.wave.jacobian import Jacobian, Parametric, device_of, the_modeling
from seisops.wave.modeling import Modeling
from seisops.wave.sampling.perturbation import Perturbation
from seisops.wave.sampling.projection import Projection
from seisops.wave.space import Wavefield
from seisops.wave.storage.layout import Layout
from seisops.wave.storage.policies import Policy, policy
from seisops.wave.storage.room import foreseen
from seisops.wave.time import Time

__all__ = ["Costs", "ShotGroup", "Trial", "Work", "duration", "plan"]

# steps of the two trial runs, whose difference is free of what a run costs once
TRIALS = (40, 240)

# bytes of the background of a trial that there is room for, whatever is kept
ROOM = 2**28


class Work(Enum):
    """What is forecast."""

    MODELING = "F q, F.H d"
    MAP = "G(m, q)"
    GRADIENT = "gradient of full-waveform inversion"
    BORN = "J dm"
    MIGRATION = "J.H d"
    LEAST_SQUARES = "iteration of least-squares migration"
    HESSIAN = "Hessian times a vector, beyond Gauss-Newton"

    @classmethod
    def _missing_(cls, value):
        raise ParameterError(f"solves({value!r}): the products are {', '.join(repr(each.value) for each in cls)}")


@dataclass(frozen=True)
class Trial:
    """Times of a shot in s, from a few steps on this machine.

    Attributes
    ----------
    solve : float
        A solve that models.
    gradient : float
        What a gradient takes beyond its two solves: to keep the background, and to correlate.
    born, image : float
        What products with J, and with J.H, take beyond their solve, once there is a background.
    """

    solve: float
    gradient: float
    born: float
    image: float

    def scaled(self, factor: float) -> Trial:
        """That of a model so many times as large."""
        return Trial(*(factor * seconds for seconds in (self.solve, self.gradient, self.born, self.image)))

    def products(self, histories: float, born: float, images: float) -> float:
        """What so many backgrounds that are kept, and so many products with J and J.H, take beyond their solves."""
        return histories * max(self.gradient - self.image, 0.0) + born * self.born + images * self.image


@dataclass(frozen=True)
class ShotGroup:
    """Shots of a process whose backgrounds are kept in the same way.

    Attributes
    ----------
    shots : int
    way : str
        In words.
    held : bool
        Whether the backgrounds stay from one product to the next.
    held_bytes : int
        Memory for a shot that stays, or that a product needs where it does not.
    working_bytes : int
        Memory that a product needs besides, for one shot at a time.
    forward, backward : float
        Solves that products with J, and with J.H, compute again.
    host_bytes : int
        What of `held_bytes` is in memory of the host, where waves are on a device.
    """

    shots: int
    way: str
    held: bool
    held_bytes: int
    working_bytes: int
    forward: float
    backward: float
    host_bytes: int

    def solves(self, what: Work | str) -> tuple[float, float]:
        """Solves of a shot for one application of something, and for the first one."""
        what = Work(what)
        make, f, b = 0 if self.held else 1, self.forward, self.backward
        j, jt = 1 + max(f, make), 1 + b + make
        later = {
            Work.GRADIENT: 2 + b + make,
            Work.BORN: j,
            Work.MIGRATION: jt,
            Work.LEAST_SQUARES: j + jt,
            Work.HESSIAN: 4 + 2 * (b + make),
        }.get(what, 1)
        # J makes the background on its way, whatever is computed again later
        first = {Work.BORN: 2, Work.MIGRATION: 2 + b, Work.LEAST_SQUARES: 2 + jt}.get(what, later)
        return later, first

    def seconds(self, what: Work | str, trial: Trial) -> tuple[float, float]:
        """Seconds of a shot for one application of something, and for the first one."""
        what = Work(what)
        make = 0 if self.held else 1
        # backgrounds that are made and kept, products with J, with J.H
        later = {
            Work.GRADIENT: (1, 0, 1),
            Work.BORN: (make, 1, 0),
            Work.MIGRATION: (make, 0, 1),
            Work.LEAST_SQUARES: (2 * make, 1, 1),
            Work.HESSIAN: (2, 1, 2),
        }.get(what, (0, 0, 0))
        first = {Work.BORN: (1, 1, 0), Work.MIGRATION: (1, 0, 1), Work.LEAST_SQUARES: (1 + make, 1, 1)}.get(what, later)
        several = zip(self.solves(what), (later, first), strict=True)
        one, begin = (solves * trial.solve + trial.products(*products) for solves, products in several)
        return one, begin


@dataclass(frozen=True)
class Costs:
    """What a survey will cost; print it.

    Attributes
    ----------
    shots : int
    workers : int
        Processes that share the shots.
    cells : int
        Grid points of a solve, absorbing layer included.
    steps : int
        Time steps of a solve.
    step : float
        Their length in s.
    substeps : int
        Time steps for each sample of the data.
    fields : int
        Arrays of the wave equation and its layer, over all time levels.
    solve_bytes : int
        Memory of a solve.
    history_bytes : int
        Memory of the background wavefield of a shot, kept whole (at every step that the policy keeps).
    budget_bytes : int
        How much of the backgrounds is kept from one product to the next, in each process.
    exactness : str
        Class of the storage policy.
    trial : Trial or None
        Times of a shot, from a few steps on this machine; None if none were made.
    storage : str
        The storage policy.
    backgrounds : tuple of ShotGroup
        How the backgrounds of a process's shots are kept; those that do not fit the budget last. Empty if the policy has no
        memory for them.
    second : tuple of ShotGroup
        Likewise, of the larger backgrounds that second derivatives need; empty if the policy has no memory for them.
    device : str
        Where waves are propagated.
    free_bytes : int
        Its memory that can be taken now.
    advice : str
        What to do where a device has too little of it, in words; empty where it has enough, and on the processor.
    """

    shots: int
    workers: int
    cells: int
    steps: int
    step: float
    substeps: int
    fields: int
    solve_bytes: int
    history_bytes: int
    budget_bytes: int
    exactness: str
    trial: Trial | None
    storage: str
    backgrounds: tuple[ShotGroup, ...]
    second: tuple[ShotGroup, ...]
    device: str
    free_bytes: int = field(compare=False)
    advice: str = ""

    @property
    def seconds(self) -> float | None:
        """Time of a solve in s; None if there was no trial."""
        return None if self.trial is None else self.trial.solve

    @property
    def kept(self) -> int:
        """Shots of each process whose backgrounds fit the budget."""
        return sum(k.shots for k in self.backgrounds if k.held)

    @property
    def worker_bytes(self) -> int:
        """Memory of a process that computes derivatives, beside Python and the models; that only models, if none fit."""
        held = sum(k.shots * k.held_bytes for k in self.backgrounds if k.held)
        needed = max((k.working_bytes + (0 if k.held else k.held_bytes) for k in self.backgrounds), default=0)
        return self.solve_bytes + held + needed

    @property
    def device_bytes(self) -> int:
        """What of `worker_bytes` is on the device: all but backgrounds that are in memory of the host."""
        own = [(k, k.held_bytes - k.host_bytes) for k in self.backgrounds]
        held = sum(k.shots * nbytes for k, nbytes in own if k.held)
        return (
            self.solve_bytes + held + max((k.working_bytes + (0 if k.held else nbytes) for k, nbytes in own), default=0)
        )

    def solves(self, what: Work | str) -> tuple[float, float]:
        """Solves of all shots for one application of something, and for the first one.

        Where histories are computed again that need not be a whole number; it is infinite where they do not fit at all.

        Parameters
        ----------
        what : Work or str
            As the printed table has it, such as ``"J.H d"``.
        """
        return self._summed(what, lambda group: group.solves(what))

    def takes(self, what: Work | str) -> tuple[float, float] | None:
        """Seconds for one application of something, and for the first one; None if there was no trial.

        Parameters
        ----------
        what : Work or str
            As the printed table has it, such as ``"J.H d"``.
        """
        trial = self.trial
        if trial is None:
            return None
        later, first = self._summed(what, lambda group: group.seconds(what, trial))
        return later / self.workers, first / self.workers

    def _summed(self, what: Work | str, of_shot: Callable[[ShotGroup], tuple[float, float]]) -> tuple[float, float]:
        """What all shots take together, for one application of something and for the first."""
        later = first = 0.0
        left, backgrounds = self.shots, self._groups(Work(what))
        if not backgrounds:
            return inf, inf
        for k in backgrounds:
            n = min(left, k.shots * self.workers)
            left -= n
            one, begin = of_shot(k)
            later, first = later + n * one, first + n * begin
        return later, first

    def _groups(self, what: Work) -> tuple[ShotGroup, ...]:
        """How the backgrounds are kept that something needs; none if there is no memory for them."""
        if what in (Work.MODELING, Work.MAP) and not self.backgrounds:
            return (ShotGroup(self.shots, "without", False, 0, 0, 0.0, 0.0, 0),)
        return self.second if what is Work.HESSIAN else self.backgrounds

    def _of_the_device(self) -> list[str]:
        """Lines about the memory of a device other than the processor."""
        if self.device == "cpu":
            return []
        needs = f"a solve needs {_size(self.solve_bytes)}, derivatives {_size(self.device_bytes)}"
        lines = [f"of the memory of {self.device}, {_size(self.free_bytes)} are free; of that {needs}"]
        return [*lines, f"  too little: {self.advice}"] if self.advice else lines

    def __str__(self) -> str:
        each = ceil(self.shots / self.workers)
        lines = [
            f"{self.shots} shots on {self.workers} worker{'s' * (self.workers > 1)}",
            f"a solve: {self.cells:,} points x {self.steps:,} steps of {1e3 * self.step:.4g} ms "
            f"({self.substeps} for each sample)",
            f"  memory {_size(self.solve_bytes)}"
            + ("" if self.seconds is None else f", about {self.seconds:.3g} s here"),
            f"backgrounds: {self.storage}, {self.exactness}; whole, one takes {_size(self.history_bytes)}, the "
            f"{each} of a worker {_size(each * self.history_bytes)}; {_size(self.budget_bytes)} may be kept",
            *(
                map(_said, self.backgrounds)
                if self.backgrounds
                else ["  none: the parts of one do not fit this memory"]
            ),
            f"memory of a worker: {_size(self.worker_bytes)}" + " with derivatives" * bool(self.backgrounds),
            *self._of_the_device(),
            "",
            f"{'one application':44} {'solves':>8} {'the first':>10}"
            + ("" if self.seconds is None else f"{'time':>11}"),
        ]
        for what in Work:
            (n, first), takes = self.solves(what), self.takes(what)
            took = "" if takes is None or n == inf else f" {duration(takes[0]):>10}"
            lines.append(f"{what.value:44} {_count(n):>8} {_count(first):>10}{took}")
        return "\n".join(lines)


def _said(kept: ShotGroup) -> str:
    """What becomes of some shots' backgrounds, in words."""
    products = {"J": Work.BORN, "J.H": Work.MIGRATION}
    more = [f"{n:.3g} in {name}" for name, what in products.items() if (n := kept.solves(what)[0] - 1)]
    extra = f"; solves beside its own: {', '.join(more)}" if more else ""
    whose = f"  {kept.shots} of a worker's shots"
    if kept.held:
        return f"{whose}: {kept.way}, {_size(kept.held_bytes)} each{extra}"
    return f"{whose}: not kept, {_size(kept.held_bytes + kept.working_bytes)} at a time{extra}"


def _size(nbytes: int) -> str:
    return f"{nbytes / 2**30:.3g} GiB" if nbytes >= 2**29 else f"{nbytes / 2**20:.3g} MiB"


def _count(solves: float) -> str:
    if solves == inf:
        return "no room"
    return f"{solves:,.0f}" if solves == round(solves) else f"{solves:,.1f}"


def plan(
    F: LinearOperator | Map, storage=None, workers: int = 1, trial: bool = True, grid: Grid | None = None
) -> Costs:
    """Say what a modeling operator and its derivatives will cost.

    Parameters
    ----------
    F : LinearOperator or Map
        A modeling expression such as ``Pr * Ainv * Ps.H``, or a Jacobian, a map or a misfit of one, also distributed or
        composed. Of ``Survey.modeling``, whose shots may have windows and time axes of their own, the shot that takes most
        stands for all.
    storage : str or Policy, optional
        As for :class:`~seisops.Jacobian`; by default that of the Jacobian or map, and ``"auto"`` for modeling.
    workers : int, optional
        Processes that will share the shots, each as fast as this one.
    trial : bool, optional
        Whether to time a few steps here, of modeling and of derivatives; this compiles the wave equation.
    grid : Grid, optional
        Another grid than that of `F`, of the same cells, to forecast what a large model will cost by a part of it, in the
        memory of the part: with the time step of the part, and a trial's time in the ratio of the cells.

    Raises
    ------
    ParameterError
        If `F` contains no solve, or has other cells than a grid that is stated.
    """
    workers = integer("plan workers", workers, minimum=1)
    modeling, by, own, shots = next(_planned(F), (None, None, None, None))
    if not isinstance(modeling, Modeling):
        raise ParameterError(
            f"plan: {F!r:.200} contains no Modeling: give a modeling operator such as Pr * Ainv * Ps.H, a Jacobian or a map"
        )
    part, modeling = modeling, modeling if grid is None else _enlarged(modeling, grid)
    d, chosen = modeling.discretisation, policy(storage or own or "auto")
    fields = d.scheme(modeling.medium).of(False).fields
    itemsize = np.dtype(d.dtype).itemsize
    cells = prod(d.padding.shape)
    levels = sum(u.order + 1 for u in fields)
    by = by or Perturbation(modeling.medium.perturbable[:1])
    layout = modeling.solver.layout(by.coefficients(modeling.medium), chosen.keep)
    # a field beside its derivative: histories of both
    both = replace(layout, shapes=2 * layout.shapes, state_shapes=2 * layout.state_shapes)
    shots = shots or modeling.domain.shots
    each = ceil(shots / workers)
    pool, backgrounds = chosen.pool(d.device), _if_any(chosen, layout, each, d.device)
    costs = Costs(
        shots=shots,
        workers=workers,
        cells=cells,
        steps=d.steps,
        step=d.dt,
        substeps=d.ratio,
        fields=levels,
        solve_bytes=(levels + len(modeling.medium.parameters)) * cells * itemsize + modeling.solver.working_bytes,
        history_bytes=layout.whole_bytes,
        budget_bytes=chosen.budget(d.device),
        exactness=chosen.exactness,
        trial=_timed(part, by, chosen).scaled(cells / prod(part.discretisation.padding.shape)) if trial else None,
        storage=type(chosen).__name__.lower(),
        backgrounds=backgrounds,
        second=_if_any(chosen, both, each, d.device),
        device=d.device,
        free_bytes=pool.room_bytes,
    )
    if d.device == "cpu" or not backgrounds or costs.device_bytes <= costs.free_bytes:
        return costs
    return replace(costs, advice=chosen.background(layout, nullcontext, pool, 0, 1).alternatives(costs.solve_bytes))


def _enlarged(modeling: Modeling, grid: Grid) -> Modeling:
    """What a modeling operator would be on another grid, for its sizes: it cannot be applied, as its medium stays."""
    waves, d = modeling.domain, modeling.discretisation
    if not isinstance(grid, Grid) or grid.spacing != d.grid.spacing:
        raise ParameterError(
            f"plan(grid={grid!r:.200}) is not of the same cells as {d.grid!r}, of whose medium the time step is: give a "
            "Grid with that spacing"
        )
    larger = Wavefield(grid, waves.time, waves.shots, d.dtype, waves.max_bytes, waves.device)
    return Modeling._frozen(larger, modeling.medium, replace(d, grid=grid))


def _planned(x: Any) -> Iterator[tuple[Propagator, Perturbation | None, Policy | None, int | None]]:
    """The solves in an operator or a map, with what they are differentiated by, and how, where that is settled.

    Beside it the number of shots, where a solve is that of one of several.
    """
    match x:
        case Propagator():
            yield x, None, None, None
        case Jacobian():
            yield from ((modeling, x.by, x.policy, shots) for modeling, _, _, shots in _planned(x.scattering))
        case Parametric():
            by = Perturbation(x.wrt) if x.wrt else None
            yield from ((modeling, by, x.policy, shots) for modeling, _, _, shots in _planned(x.F))
        case Composed():
            for m in (x.outer, *x.inner):
                yield from _planned(m)
        case Stacked():
            for m in x.maps:
                yield from _planned(m)
        case Arranged():
            yield from _planned(x.inner)
        case LinearMap():
            yield from _planned(x.op)
        case LinearOperator() | Map() if hasattr(x, "costliest"):
            yield from ((*found[:3], x.shots) for found in _planned(x.costliest))
        case Map() if isinstance(getattr(x, "map", None), Map):  # it stands for another, such as a distributed one
            yield from _planned(x.map)
        case pylops.LinearOperator():
            for leaf in fuse(x).leaves():
                known = hasattr(leaf, "costliest") or isinstance(leaf, Propagator | Jacobian)
                inner = leaf if known else getattr(leaf, "op", None)
                yield from _planned(inner if isinstance(inner, LinearOperator) else None)
        case _ if isinstance(getattr(x, "G", None), Map):  # a misfit
            yield from _planned(x.G)


def _if_any(chosen: Policy, layout: Layout, shots: int, on: str) -> tuple[ShotGroup, ...]:
    try:
        return _backgrounds(chosen, layout, shots, on)
    except UnfusedError:
        return ()


def _backgrounds(chosen: Policy, layout: Layout, shots: int, on: str) -> tuple[ShotGroup, ...]:
    """What becomes of the backgrounds of a process's shots."""
    groups: list[ShotGroup] = []
    for n, (background, held) in enumerate(foreseen(chosen, layout, chosen.pool(on), chosen.budget(on), shots)):
        kept = ShotGroup(
            1 if held else shots - n,
            background.way,
            held,
            background.nbytes,
            background.working_bytes,
            *background.repeats,
            background.host_bytes,
        )
        if groups and replace(groups[-1], shots=1) == kept:
            groups[-1] = replace(kept, shots=groups[-1].shots + 1)
        else:
            groups.append(kept)
        if not held:
            break
    return tuple(groups)


def _timed(modeling: Modeling, by: Perturbation, storage: Policy) -> Trial:
    """Seconds of a shot."""
    d, grid = modeling.discretisation, modeling.domain.grid
    centre = [[(lo + hi) / 2 for lo, hi in grid.extent]]
    room = max(storage.budget(d.device), ROOM)
    step_bytes = modeling.solver.layout(by.coefficients(modeling.medium), storage.keep).whole_bytes // d.steps
    storage, most = replace(storage, keep_bytes=room), room // max(1, step_bytes)
    spent, steps = [], []
    for n in TRIALS if most >= TRIALS[1] else (most // 6, most):
        axis = Time(max(2, n // d.ratio), d.time.step)
        waves, short = Wavefield(grid, axis, 1, d.dtype, device=d.device), replace(d, time=axis)
        P, A = Projection(waves, centre), Modeling._frozen(waves, modeling.medium, short)
        layout = A.solver.layout(by.coefficients(modeling.medium), storage.keep)
        (kept,) = _backgrounds(storage, layout, 1, d.device)
        spent.append(_of_products(P * A * P.H, by, storage, kept))
        steps.append(short.steps)
    if steps[0] == steps[1]:
        steps[0], spent[0] = 0, (0.0, 0.0, 0.0, 0.0)
    # of the steps that one trial has more than the other
    (few, *less), (many, *more) = spent
    shorter = d.steps / (steps[1] - steps[0])
    beyond = (shorter * max(b - a, 0.0) for a, b in zip(less, more, strict=True))
    return Trial(shorter * max(many - few, 0.1 * many), *beyond)


def _of_products(F: LinearOperator, by: Perturbation, storage: Policy, kept: ShotGroup) -> tuple[float, ...]:
    """Seconds of modeling; and what a gradient, and products with J and J.H, take beyond their solves."""
    F = fuse(F)
    pool, q, medium = storage.pool(device_of(F)), F.domain.zeros(), the_modeling(F).medium
    G = Parametric.within(pool, F, by.wrt, storage)
    J, point = Jacobian.within(pool, F, q, by, storage), (*map(medium.get, by.wrt), q)
    dm, y = J.domain.zeros(), F.range.zeros()

    def gradient() -> None:
        with G.linearize(*point) as at:
            at.pullback(y)

    solve = _least(lambda: F @ q)
    products = ((Work.GRADIENT, gradient), (Work.BORN, lambda: J @ dm), (Work.MIGRATION, lambda: J.H @ y))
    found = (solve, *(_least(product) - kept.solves(what)[0] * solve for what, product in products))
    J.forget()
    return found


def _least(product: Callable[[], Any]) -> float:
    """Seconds of what was done before, which compiles it and makes its background."""
    product()
    return min(_seconds(product) for _ in range(3))


def _seconds(product: Callable[[], Any]) -> float:
    start = time.perf_counter()
    product()
    return time.perf_counter() - start


def duration(seconds: float) -> str:
    """So many seconds in words, in the unit that suits them."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
