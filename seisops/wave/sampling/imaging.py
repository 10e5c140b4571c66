"""The imaging condition: how a perturbation of parameters scatters a background wavefield, and its transpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

import seisops._arrays as _arrays
from seisops.engine.facts import Keep
from seisops.engine.lower.ports import Ports
from seisops.errors import ParameterError, SpaceError
from seisops.operators import Sampler
from seisops.wave.discretise.padding import Padding
from seisops.wave.equation import WaveEquation
from seisops.wave.sampling.coupling import Coupling
from seisops.wave.sampling.perturbation import Perturbation, moved
from seisops.wave.sampling.ways import ImageWay
from seisops.wave.space import Wavefield
from seisops.wave.storage.background import Background, March, Run
from seisops.wave.storage.layout import Layout
from seisops.wave.storage.policies import Policy
from seisops.wave.storage.pool import Arrays, Pool
from seisops.wave.storage.room import at_once

__all__ = ["Imaging"]

Found = TypeVar("Found")


class Source(Protocol):
    """What makes the backgrounds of shots."""

    def signals(self) -> Iterator[np.ndarray]:
        """The strongest signal of each source."""

    def layout(self, coefficients: tuple[str, ...], keep: Keep) -> Layout:
        """How the history of a shot lies in memory."""

    def again(
        self, shot: int, coefficients: tuple[str, ...], keep: Keep, records: Ports
    ) -> AbstractContextManager[March]:
        """A march for the background of a shot; see :data:`seisops.wave.storage.background.Start`."""

    def replay(self, shot: int, edges: Arrays, end: Arrays) -> object:
        """What the background of a shot is made again from, beside an adjoint field."""


class Imaging(Coupling, Sampler):
    """Zero-lag correlation of an adjoint field with a background; its adjoint is the Born source ``-(dA/dp dp) u``.

    Unlike the other samplers it acts on the solver's own time steps. It holds the background of each shot, up to the budget
    of all who share its pool, and asks for it again beyond that.

    Parameters
    ----------
    waves : Wavefield
    medium : WaveEquation
        Where to linearise.
    by : Perturbation
        What is perturbed.
    storage : Policy
        How backgrounds are kept.
    source : Source
        What makes the backgrounds.
    pool : Pool
        Where the memory of backgrounds comes from, and goes to; it says how much of it may be held.
    """

    symbol = "Im"

    def __init__(
        self,
        waves: Wavefield,
        medium: WaveEquation,
        by: Perturbation,
        storage: Policy,
        source: Source,
        pool: Pool,
    ):
        self.medium, self.by, self.storage, self.source, self.pool = medium, by, storage, source, pool
        self.derivatives = by.derivatives(medium)
        self._moved = sorted({c for d in self.derivatives.values() for c in d})
        self.coefficients = tuple(name for c in self._moved for name in by.named(c))
        super().__init__(waves, by.space(waves))
        self._join()

    def _join(self) -> None:
        """Begin with no backgrounds; all that follows is changed by who keeps the books of the pool."""
        self._there: dict[tuple, dict] = {}  # derivatives of coefficients in the memory of devices
        self._kept: dict[int, Background] = {}
        # marches that are beside a background that is kept, or was
        self._beside: Counter[Background] = Counter()
        # backgrounds that have not been made yet, shots of those that are being made; of those that are to be kept, what
        # counts, and what memory they take
        self._planned: dict[int, Background] = {}
        self._making: Counter[int] = Counter()
        self._promised: dict[int, tuple[int, int]] = {}
        self.claimed_bytes = self.promised_bytes = 0
        self.pool.join(self)

    #: Backgrounds are large, and computed again where they are needed.
    _derived = (
        *Sampler._derived,
        *("_there", "_kept", "_beside", "_planned", "_making", "_promised", "claimed_bytes", "promised_bytes"),
    )

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._join()

    @property
    def every(self) -> int:
        """Every how many steps the background is used."""
        return self.storage.every

    @property
    def keep(self) -> Keep:
        """What is kept of the background."""
        return self.storage.keep

    def _fingerprint(self) -> list:
        return [self.medium, self.by, self.storage, self.source.solve, self.source.x]

    # -- backgrounds

    @property
    def held_bytes(self) -> int:
        return sum(b.nbytes for b in tuple(self._kept.values()))

    def forget(self) -> None:
        """Hand in all backgrounds."""
        self.pool.leave(self)

    def let_go(self) -> None:
        """Hand in all backgrounds, those that are in use when they no longer are; called by who keeps the books."""
        for background in self._kept.values():
            self.claimed_bytes -= background.held_bytes
            if background not in self._beside:
                background.release()
        self._kept.clear()
        self._cancel()

    def record(self, shot: int, march: March) -> None:
        """Take the forward march of a shot through all rows, and hold its background if the budget allows."""
        with self._made(shot) as background:
            for _ in background.record(march, shot in self._promised):
                pass

    def meet(self, shot: int, backward: bool, run: Run[Found]) -> Found:
        """Run a march with an image port through all rows of a shot, beside its background.

        Parameters
        ----------
        shot : int
        backward : bool
        run : callable
            Takes what takes the march through the rows (`through`), or a background that it makes itself (`replay`).
        """
        with self._held(shot) as background:
            if background is not None:
                return background.met(backward, run, partial(self.source.replay, shot))
        with self._made(shot) as background:
            return background.made(backward, shot in self._promised, run, partial(self.source.replay, shot))

    @contextmanager
    def _held(self, shot: int) -> Iterator[Background | None]:
        """The background that is kept of a shot, if there is one; nobody else gets its memory as long as the block lasts."""
        with self.pool.books():
            background = self._kept.get(shot)
            if background is not None:
                self._beside[background] += 1
        try:
            yield background
        finally:
            if background is not None:
                with self.pool.books():
                    self._beside -= Counter([background])
                    if background not in self._beside and self._kept.get(shot) is not background:
                        background.release()

    def at_once(self, beside: int) -> int:
        """Shots for which there is memory at the same time, if each takes so many bytes besides its background."""
        layout = self.source.layout(self.coefficients, self.keep)
        with self.pool.books():
            self._plan_all(layout)
            kept, promised = [*self._kept.values()], [b for s, b in self._planned.items() if s in self._promised]
            passing = [b for s, b in self._planned.items() if s not in self._promised]
        return at_once(self.pool, beside, kept, promised, passing)

    def _take_up(self, shot: int) -> Background:
        """An empty background. All are planned at once, in order: they share the budget, whoever is ready first."""
        layout = self.source.layout(self.coefficients, self.keep)
        with self.pool.books():
            if shot not in self._planned:
                self._plan_all(layout)
            # one more, if another product is making this one at the same time: the first to be ready is kept
            background = self._planned.pop(shot, None) or self._empty(shot, layout)
            self._making[shot] += 1
            return background

    def _plan_all(self, layout: Layout) -> None:
        for shot in range(self.domain.shots):
            if not any(shot in taken for taken in (self._kept, self._planned, self._making)):
                self._plan(shot, layout)

    def _plan(self, shot: int, layout: Layout) -> None:
        background = self._planned[shot] = self._empty(shot, layout)
        if background.held_bytes <= self.pool.left:
            self._promised[shot] = background.held_bytes, background.nbytes
            self.claimed_bytes += background.held_bytes
            self.promised_bytes += background.nbytes

    def _empty(self, shot: int, layout: Layout) -> Background:
        """A background of the kind that the policy chooses for what is left of the budget."""
        to_come = self.domain.shots - len(self._kept) - len(self._planned) - len(self._making)
        again = partial(self.source.again, shot, self.coefficients, self.keep)
        return self.storage.background(layout, again, self.pool, self.pool.left, max(1, to_come))

    def _settle(self, shot: int) -> bool:
        """Withdraw what was promised, and say whether there was anything."""
        held, nbytes = self._promised.pop(shot, (None, 0))
        self.claimed_bytes -= held or 0
        self.promised_bytes -= nbytes
        return held is not None

    @contextmanager
    def _made(self, shot: int) -> Iterator[Background]:
        """A background to be made in the block; then held, if that was promised and is still possible."""
        background, done = self._take_up(shot), False
        try:
            yield background
            done = True
        finally:
            with self.pool.books():
                self._making -= Counter([shot])
                holds = self._settle(shot) and done and background.recorded
                if holds and background.held_bytes <= self.pool.left:
                    self._kept[shot] = background
                    self.claimed_bytes += background.held_bytes
                else:
                    background.release()
                if not done:  # the others will be planned anew
                    self._cancel()

    def _cancel(self) -> None:
        """Drop what is planned."""
        for shot in self._planned:
            self._settle(shot)
        self._planned.clear()

    def energy(self, padding: Padding) -> np.ndarray:
        """The energy of the backgrounds of all shots in each cell of the model: the sum of the squares of their history.

        Raises
        ------
        ParameterError
            If there is more than one history: what they have in common has no unit.
        """
        if len(self.source.layout(self.coefficients, Keep(self.every)).shapes) > 1:
            raise ParameterError(
                f"derivatives by {', '.join(self.by.wrt)} of {type(self.medium).__name__} are made of several histories of "
                "the background, of different units, which have no illumination in common: probe the Hessian instead, "
                "so.model.Illumination(J, probes=8)"
            )
        total: list[np.ndarray] = []

        def add(first: int, last: int, histories: Arrays) -> None:
            (h,) = histories
            halo = (h.shape[1] - padding.shape[0]) // 2  # rows along the last axis are longer still
            inside = tuple(slice(halo, halo + size) for size in padding.shape)
            if not total:
                total.append(_arrays.zeros(self.domain.grid.shape, np.float64, h))
            for entry in h:
                total[0] += np.square(entry[inside][padding.interior], dtype=np.float64)

        for shot in range(self.domain.shots):
            self.meet(shot, False, lambda through: through(add))
        return _arrays.to_host(total[0]) * self.every

    # -- in a solve

    @property
    def imaging(self):
        return self

    def entering(self, shot, x, where):
        odd = frozenset(c for c in self._moved if self.medium.odd(c))
        return [ImageWay(self.spread(where.here(x), where.padding), odd)]

    def leaving(self, shot, where):
        return [ImageWay()]

    def found(self, results, where):
        return self.gather(results[0], where.padding)

    def deliver(self, values, shot, out):
        out += values

    # -- perturbations

    def spread(self, perturbation: np.ndarray, padding: Padding) -> dict[str, np.ndarray]:
        """Perturbations of the padded coefficients, where they scatter."""
        parts, axes = self.by.apart(perturbation, padding.grid.ndim), padding.grid.axes
        out = {c: _arrays.zeros(padding.shape, self.domain.dtype, perturbation) for c in self.coefficients}
        for name, part in zip(self.by.wrt, parts, strict=True):
            for c, factor in self._factors(name, perturbation).items():
                for called, cells, image in zip(self.by.named(c), self.by.offsets, part, strict=True):
                    scattering = (factor * image).astype(self.domain.dtype, copy=False)
                    padded = padding.apply(scattering, self.medium.ends(c))
                    out[called] += moved(padded, [cells.get(axis, 0) for axis in axes])
        return out

    def _factors(self, name: str, beside: np.ndarray) -> dict[str, np.ndarray]:
        """How much each coefficient moves with a parameter, where an array is; there they are kept."""
        where = _arrays.place(beside)
        if where == _arrays.HOST:
            return self.derivatives[name]
        if (name, where) not in self._there:
            by = self.derivatives[name]
            self._there[name, where] = {c: _arrays.at(np.asarray(factor), where) for c, factor in by.items()}
        return self._there[name, where]

    def gather(self, images: dict[str, np.ndarray], padding: Padding) -> np.ndarray:
        """Transpose of `spread`."""
        axes, folded = padding.grid.axes, {}
        for c in self._moved:
            for called, cells in zip(self.by.named(c), self.by.offsets, strict=True):
                back = moved(images[called], [-cells.get(axis, 0) for axis in axes])
                folded[called] = padding.apply_adjoint(back, self.medium.ends(c))
        parts = [
            sum(
                (factor * np.stack([folded[called] for called in self.by.named(c)])).astype(
                    self.domain.dtype, copy=False
                )
                for c, factor in self._factors(name, next(iter(images.values()))).items()
            )
            for name in self.by.wrt
        ]
        return np.stack(parts).reshape(self.range.shape)

    def select(self, shots: Sequence[int]):
        raise SpaceError("the background of an image belongs to its shots: select the shots of the Jacobian instead")

    def _apply(self, x):
        raise SpaceError("an imaging condition acts on the solver's time steps: use it in a Jacobian")

    _apply_adjoint = _apply
