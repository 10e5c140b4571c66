"""The solve of a wave equation as an operator, and what everything around it fuses into."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial

from numpy.typing import ArrayLike, NDArray

import seisops._arrays as _arrays
from seisops.engine import backend
from seisops.engine.backend.device import BESIDE
from seisops.engine.facts import Keep
from seisops.engine.lower.ports import Ports
from seisops.errors import ParameterError, SpaceError
from seisops.operators import LinearOperator, Propagator, Sampler, require_affordable
from seisops.spaces import Space, joint
from seisops.wave.boundaries import PML
from seisops.wave.discretise.discretisation import Discretisation, discretise
from seisops.wave.equation import WaveEquation
from seisops.wave.sampling.everything import coupling
from seisops.wave.sampling.imaging import Imaging
from seisops.wave.sampling.ways import Way
from seisops.wave.sampling.where import Where
from seisops.wave.solver import Replay, Solver
from seisops.wave.space import Wavefield
from seisops.wave.storage.background import March
from seisops.wave.storage.layout import Layout
from seisops.wave.storage.pool import Arrays
from seisops.wave.suitability import sources, warn

__all__ = ["Modeling", "Solve"]


class Modeling(Propagator):
    r"""Solution of a wave equation, from sources to wavefields.

    Maps source strength per grid cell, q, to the field u that obeys ``A(p) u = q / cell volume``, so that a point source
    of strength s(t) solves :math:`p_{tt}/c^2 - \nabla^2 p = s(t)\,\delta(x - x_s)` (with density, the equation of
    :class:`~seisops.Acoustic`) and data do not change when the grid is refined. The solver takes a whole number of steps
    for each sample of the data; sources are brought to its time axis and fields back by band-limited maps that are
    transposes of each other (up to the ratio of the steps).

    Parameters
    ----------
    waves : Wavefield
        The space of sources and of fields.
    medium : WaveEquation
        For example ``Acoustic(grid, vp=...)``.
    boundary : PML, Sponge, None, "pml", "none" or mapping, optional
        Absorbing layer around the model, or what is at each face: ``{"z_min": "free", "x_max": PML(cells=20)}``. ``"pml"``
        is short for ``PML()``, with its defaults, and ``"none"`` for None, for all faces or for one. Faces are
        called by their axis and end; those that are left out have a layer, ``PML()`` or, if there is one, the first
        ``Sponge`` that is stated. Layers may differ in their numbers, but are of one kind: all PML or all Sponge, with
        `multiaxial` or all without. ``"free"`` and ``"rigid"`` are surfaces without a layer, at ``"z_min"`` only: nothing
        presses on the one, nothing moves the other. None leaves edges that reflect all: second derivatives of a field, as
        of pressure without density, see zeros beyond the last cell (reflection -1); what is written with half-cell fluxes,
        as with density, lets nothing through half a cell beyond it (+1).
    free_surface : bool, optional
        Whether there is nothing above the first z, so that no pressure, and no traction of an elastic medium, acts there;
        the same as ``boundary={"z_min": "free"}``, with the layer that `boundary` is elsewhere. Where elastic media differ
        from cell to cell up to the surface, waves may grow in the layers beside it: see `multiaxial` of
        :class:`~seisops.PML`.
    space_order : int, optional
        Order of the spatial derivatives, even, 2 to 16; tilted media want 4 or more.
    max_velocity : float, optional
        Largest velocity in m/s that the medium will ever reach, for example during an inversion; by default that of
        `medium`, and at most what waves reach where vp is the largest that is plausible, or stated by ``ranges``. Time
        step and layer are frozen for it. It bounds what the step is made for, not what it can do: a medium
        that is faster is accepted as long as the step is stable for it, and raises UnstableError beyond.
    substeps : int, optional
        Steps of the solver for each sample of the data; by default as few as are stable.
    dispersion : bool, optional
        Undo the dispersion of the time stepping in sources and data (Koene et al. 2018, doi:10.1093/gji/ggx563), which
        leaves that of the grid alone. On by default for equations discretised by leapfrog.

    Raises
    ------
    ParameterError
        If an argument is invalid or does not fit the others.
    UnstableError
        If `substeps` forces an unstable step.
    """

    symbol = "Ainv"
    _solver: Solver | None = None

    @property
    def home(self) -> tuple[int, int]:
        return backend.home(self.discretisation.device)

    def __init__(
        self,
        waves: Wavefield,
        medium: WaveEquation,
        boundary=PML(),
        free_surface: bool = False,
        space_order: int = 8,
        max_velocity: float | None = None,
        substeps: int | None = None,
        dispersion: bool = True,
    ):
        Wavefield.required("Modeling", waves)
        self.medium = medium
        self.discretisation = discretise(
            waves, medium, boundary, free_surface, space_order, max_velocity, substeps, dispersion
        )
        super().__init__(waves, waves)

    _derived = (*Propagator._derived, "_solver")

    @property
    def solver(self) -> Solver:
        """The kernels and padded coefficients of this medium."""
        if self._solver is None:
            self._solver = Solver(self.discretisation, self.medium)
        return self._solver

    def together(self, room: Callable[[int], int] | None = None) -> Callable[[Callable, int], Iterator] | None:
        """What works shots off side by side, where several at once are better off than one by one.

        Parameters
        ----------
        room : callable, optional
            Of derivatives: ``room(nbytes)`` says for how many shots there is memory at once, if each takes so much besides
            its background.
        """
        device, state = backend.device(self.discretisation.device), self.solver.state_bytes
        if room is None or device.host is device:  # memory of the processor is virtual
            return device.together(state)
        return device.together(state, room(BESIDE * state))

    @classmethod
    def _frozen(cls, waves: Wavefield, medium: WaveEquation, discretisation: Discretisation) -> Modeling:
        new = object.__new__(cls)
        new.medium, new.discretisation = medium, discretisation
        Propagator.__init__(new, waves, waves)
        return new

    def _about(self) -> dict[str, str]:
        return {"medium": self.medium.in_words(), **self.discretisation.about()}

    def _fingerprint(self) -> list:
        return [self.discretisation, self.medium]

    def at(self, **parameters) -> Modeling:
        """The same discretisation with other parameters of the medium.

        Raises
        ------
        UnstableError
            If the medium gets too fast for the time step that was frozen at construction.
        """
        # media are NumPy's: they are looked at, and padded, on the host
        return self.over(self.medium.replace(**{name: _hosted(x) for name, x in parameters.items()}))

    def over(self, medium: WaveEquation) -> Modeling:
        """The same discretisation with another medium.

        Raises
        ------
        UnstableError
            If it is too fast for the time step that was frozen at construction.
        """
        self.discretisation.check(medium)
        return self._frozen(self.domain, medium, self.discretisation)

    def select(self, shots: Sequence[int]) -> Modeling:
        new = self._frozen(self.domain.select(shots), self.medium, self.discretisation)
        new._solver = self._solver
        return new

    def require_fit(self, sampler: Sampler) -> None:
        met = coupling(sampler)
        self.medium.check_component(met.component)
        met.require_fit(self.discretisation)

    def solve(self, readers: tuple[Sampler, ...], writers: tuple[Sampler, ...], adjoint: bool) -> Solve:
        return Solve(self, readers, writers, adjoint)


def _hosted(x: ArrayLike) -> ArrayLike:
    return x if _arrays.place(x) == _arrays.HOST else _arrays.to_host(x)


class Solve(LinearOperator):
    """Readers after one solve after writers: the node that every product around a :class:`Modeling` becomes.

    Its adjoint swaps readers and writers and solves the transposed equation.

    Parameters
    ----------
    modeling : Modeling
    readers, writers : tuple of Sampler
    adjoint : bool
        Whether the transposed equation is solved.
    """

    parametric = True
    anywhere = True

    def __init__(self, modeling: Modeling, readers: tuple[Sampler, ...], writers: tuple[Sampler, ...], adjoint: bool):
        self.modeling, self.readers, self.writers, self.is_adjoint = modeling, readers, writers, adjoint
        self.reading, self.writing = (tuple(map(coupling, side)) for side in (readers, writers))
        for sampler in (*readers, *writers):
            modeling.require_fit(sampler)
        self.said: set = set()  # what it warned of, shared with what is made of it
        self.looked: set = set()  # what was looked at, so that it need not be again
        super().__init__(_total(writers), _total(readers))

    @property
    def shots(self) -> int:
        return self.modeling.domain.shots

    @property
    def home(self) -> tuple[int, int]:
        return self.modeling.home

    def _fingerprint(self) -> list:
        return [self.is_adjoint, self.modeling, self.readers, self.writers]

    def select(self, shots):
        pick = [tuple(s.select(shots) for s in side) for side in (self.readers, self.writers)]
        return self._heir(self.modeling.select(shots), *pick, self.is_adjoint)

    def at(self, **parameters):
        return self._heir(self.modeling.at(**parameters), self.readers, self.writers, self.is_adjoint)

    def _make_adjoint(self):
        adjoint = self._heir(self.modeling, self.writers, self.readers, not self.is_adjoint)
        adjoint.looked = self.looked
        return adjoint

    def _heir(self, *made) -> Solve:
        """A solve made of this one: what this one said, it need not say again."""
        heir = Solve(*made)
        heir.said = self.said
        return heir

    def _apply(self, x: NDArray) -> NDArray:
        return self.apply(x)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._make_adjoint().apply(y)

    def apply(self, x: NDArray, imaging: Imaging | None = None) -> NDArray:
        """Apply, and on the way let an imaging condition record the background of each shot.

        What is given on the device where waves are stays there, and so does what is found; NumPy's arrays go there and come
        back shot by shot.
        """
        self._require_at_home(x)
        for sampler in (*self.readers, *self.writers):
            require_affordable(
                sampler.range,
                f"the wavefield of {self.modeling}",
                "read it at points, stack it, or take snapshots of it: Pr * Ainv * Ps.H, or use fewer shots: F[0:1]",
            )
        parts = self.parts(x)
        warn(self, parts)
        out = [r.range.zeros(x) for r in self.readers]
        one = partial(self._one_shot, parts=parts, recorder=imaging)
        whole = any(s.range.extended for s in (*self.readers, *self.writers))
        beside = imaging or next(iter(self.imaging), None)
        together = None if whole else self.modeling.together(beside and beside.at_once)
        with backend.device(self.modeling.discretisation.device).active():
            shots = together(one, self.shots) if together else map(one, range(self.shots))
            for shot, found in enumerate(shots):
                for reader, o, values in zip(self.reading, out, found, strict=True):
                    reader.deliver(_arrays.there(values, o), shot, o)
        return self.range.join(out) if len(out) > 1 else out[0]

    def at_source(self, x: NDArray) -> AtSource:
        """What makes the backgrounds of this solve's shots when it is applied to `x`."""
        self._require_at_home(x)
        warn(self, self.parts(x))
        return AtSource(self, x)

    def _require_at_home(self, x: NDArray) -> None:
        where, home = _arrays.place(x), self.home
        if where not in (_arrays.HOST, home):
            raise ParameterError(
                f"{self.modeling._formula()} propagates waves on device {self.modeling.discretisation.device!r}, and was "
                f"given an array on device {where[1]} of {_arrays.PACKAGES[where[0]]}: use "
                'Wavefield(..., device="cuda") with the number of that device, or an array that is where waves are'
            )

    def parts(self, x: NDArray) -> Sequence[NDArray]:
        """What it is applied to, an array for each writer."""
        return self.domain.split(x) if len(self.writers) > 1 else [x]

    def where(self, entering: bool) -> list[Where]:
        """Where each of the writers enters the wavefield, or each of the readers leaves it."""
        system = self.modeling.solver.scheme.of(self.is_adjoint)
        components = system.entries if entering else system.exits
        names = self.modeling.medium.primal.named
        side = Where(self.modeling.discretisation, components, self.is_adjoint, entering, names=names)
        return [sampler.own(side) for sampler in (self.writing if entering else self.reading)]

    @property
    def imaging(self) -> list[Imaging]:
        """The imaging conditions among its samplers."""
        return [s.imaging for s in (*self.writing, *self.reading) if s.imaging is not None]

    def given(self, shot: int, parts: Sequence[NDArray]) -> list[Way]:
        """What enters the wavefield of a shot, of an array for each writer."""
        each = zip(self.writing, parts, self.where(entering=True), strict=True)
        return [way for writer, x, where in each for way in writer.entering(shot, x, where)]

    def _one_shot(self, shot: int, parts, recorder: Imaging | None) -> list[NDArray]:
        """Solve for one shot; what each of the readers finds."""
        imaging = self.imaging
        if len(imaging) + (recorder is not None) > 1:
            raise SpaceError("two imaging conditions in one solve: build one Jacobian with both parameters in wrt")
        readers = list(zip(self.reading, self.where(entering=False), strict=True))
        wanted = [reader.leaving(shot, where) for reader, where in readers]
        met = recorder if recorder is not None else imaging[0] if imaging else None
        derivative = (met.coefficients, met.keep) if met is not None else ()
        ways = [way for several in wanted for way in several]
        run = partial(self.modeling.solver.run, self.is_adjoint, self.given(shot, parts), ways, *derivative)
        if recorder is not None:
            results = run(records=recorder.storage.records, through=partial(recorder.record, shot))
        elif imaging:
            results = imaging[0].meet(shot, self.is_adjoint, run)
        else:
            results = run()
        left = iter(results)
        return [
            reader.found([next(left) for _ in several], where)
            for (reader, where), several in zip(readers, wanted, strict=True)
        ]


class AtSource:
    """What makes the backgrounds of a solve's shots, for an imaging condition.

    Parameters
    ----------
    solve : Solve
    x : ndarray
        What the solve is applied to.
    """

    def __init__(self, solve: Solve, x: NDArray):
        self.solve, self.x = solve, x

    def layout(self, coefficients: tuple[str, ...], keep: Keep) -> Layout:
        """How the history of a shot lies in memory."""
        return self.solve.modeling.solver.layout(coefficients, keep)

    def again(
        self, shot: int, coefficients: tuple[str, ...], keep: Keep, records: Ports
    ) -> AbstractContextManager[March]:
        """A march for the background of a shot; see :data:`seisops.wave.storage.background.Start`."""
        return self.solve.modeling.solver.background(self._given(shot), coefficients, keep, records)

    def replay(self, shot: int, edges: Arrays, end: Arrays) -> Replay:
        """What the background of a shot is made again from, beside an adjoint field."""
        return Replay(self._given(shot), edges, end)

    def signals(self) -> Iterator[NDArray]:
        """The strongest signal of each source."""
        return sources(self.solve, self.solve.parts(self.x))

    def _given(self, shot: int) -> list[Way]:
        return self.solve.given(shot, self.solve.parts(self.x))


def _total(samplers: Sequence[Sampler]) -> Space:
    return joint([s.range for s in samplers])
