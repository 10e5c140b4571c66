"""One run of a kernel for one shot: arrays on the solver's time axis in, arrays on it out.

Time indices. The solver's samples are n = 0 .. N. Forward, the loop runs over n = 0 .. N - 1, where row n of the
equation takes the source at n and determines the field at n + 1. Backward, it runs over n = N .. 0, where column n takes
the data at n and determines the adjoint field at n - 1, the multiplier of row n - 1. Rows that determine a field at n itself
are taken up to N forward, too. Where within a step a sample lies is the resampling's business.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from math import lcm, prod
from typing import Any

import numpy as np

from seisops.engine import backend
from seisops.engine.backend.device import Array
from seisops.engine.facts import FACTORS, History, Keep
from seisops.engine.kernel import Kernel
from seisops.engine.lower.ports import AGAIN, READ, WRITE, Bindings, Ports, Rows
from seisops.engine.state import STATES, States
from seisops.engine.symbols.closure import closure
from seisops.engine.symbols.names import PREFIX
from seisops.engine.threads import making
from seisops.errors import AccuracyWarning, ParameterError, UnfusedError, outside
from seisops.wave.discretise.discretisation import Discretisation
from seisops.wave.equation import WaveEquation
from seisops.wave.sampling.ways import Room, Way, opened
from seisops.wave.storage.background import March
from seisops.wave.storage.layout import Layout
from seisops.wave.storage.pool import BACKGROUNDS, Arrays

__all__ = ["KernelMarch", "Replay", "Solver"]


@dataclass(frozen=True)
class Replay:
    """A background that is made again beside an adjoint field, backward in time.

    Attributes
    ----------
    given : sequence of Way
        What had entered it.
    edges, end : tuple of arrays
        What was kept along the edges, and of its end.
    """

    given: Sequence[Way]
    edges: Arrays
    end: Arrays


class KernelMarch:
    """A run of a kernel through the time loop, in as many parts as its user likes.

    Parts are rows `first` to `last` of the loop, both included and each once: forward the parts follow each other, backward
    they go before each other. Each starts where the time levels of the fields are in the places that they had at row 0,
    so that a part is a loop from 0 over the rows that belong to it. Where bindings have room for some rows only, a part is
    gone through block by block.

    Parameters
    ----------
    kernel : Kernel
    discretisation : Discretisation
    states : States
    state : mapping
        The fields' time levels.
    bindings : Bindings
        All else that it is given.
    histories : tuple of History
        The histories, or what is kept along the edges.
    every : int
        Rows from one entry of a history to the next.
    recording : bool
        Whether it makes the histories.
    to_the_end : bool
        Whether the last row determines anything, forward.
    """

    def __init__(
        self,
        kernel: Kernel,
        discretisation: Discretisation,
        states: States,
        state: Mapping[str, Array],
        bindings: Bindings,
        histories: tuple[History, ...],
        every: int,
        recording: bool,
        to_the_end: bool,
    ):
        self._kernel, self._discretisation, self._states, self._state = kernel, discretisation, states, state
        self._bindings, self._histories, self._every = bindings | Bindings(state), histories, every
        self._recording, self._to_the_end = recording, to_the_end

    def __call__(self, first: int, last: int, histories: Arrays = ()) -> None:
        """Go through rows `first` to `last`, with the histories there."""
        d, kernel = self._discretisation, self._kernel
        given = list(zip(self._histories, histories, strict=True))
        rows = {h.name: Rows(a, self._every, first, h.before) for h, a in given}
        bindings = self._bindings | Bindings(rows=rows)
        if self._recording:
            self._begin(given)
        for start, stop in self._blocks(first, last, bindings.most):
            arrays = bindings.part(start, stop)
            end = stop if self._to_the_end else min(stop, d.steps - 1)
            kernel.run(d.padding.shape, d.grid.spacing, d.dt, (0, end - start), arrays, bindings.bounds)
            bindings.done(start, stop)

    def _begin(self, given: Sequence[tuple[History, Array]]) -> None:
        """Fill in what precedes the entry of the first row: the levels from which the march goes on."""
        shape = self._discretisation.padding.shape
        for h, a in given:
            cells = tuple(slice(n + 2 * h.halo) for n in shape)
            for entry in range(h.before if h.field else 0):
                a[entry][cells] = self._states.level(self._state, h.field, h.before - entry, h.halo, shape)

    def _blocks(self, first: int, last: int, most: int | None) -> list[tuple[int, int]]:
        """Rows `first` to `last` in blocks of `most`, in the order of the march; the last has one row more."""
        starts = range(first, max(last, first + 1), most or last + 1)
        blocks = [(start, min(start + starts.step, last) - 1) for start in starts]
        blocks[-1] = (blocks[-1][0], last)
        return blocks[:: self._kernel.marched.direction]

    def save(self, saved: Arrays, row: int = 0) -> None:
        """Copy what is needed to go on from where the next part may start, or from any `row` counted from there."""
        self._states.save(self._state, row, saved)

    @property
    def finite(self) -> bool:
        """Whether the fields are finite where it stands."""
        return all(bool(np.isfinite(float(a.sum()))) for a in self._state.values())

    def restore(self, saved: Arrays | None, row: int = 0) -> None:
        """Go on from such a copy, or from rest."""
        if saved is None:
            for a in self._state.values():
                a.fill(0)
        else:
            self._states.restore(self._state, row, saved)


class Solver:
    """Runs the kernels of one medium.

    Parameters
    ----------
    discretisation : Discretisation
    medium : WaveEquation
    """

    def __init__(self, discretisation: Discretisation, medium: WaveEquation):
        self.discretisation, self.medium = discretisation, medium
        self.scheme = discretisation.scheme(medium)
        self._lossless = False  # not known to be
        self.device = backend.device(discretisation.device)
        self._coefficients: dict[str, Array] = {}

    @property
    def coefficients(self) -> dict[str, Array]:
        """Those of the medium on its padded grid, and what marches have found constant in them, on the device."""
        with making:
            if not self._coefficients:
                d, medium, room = self.discretisation, self.medium, Room(self.device, self.scheme, self.discretisation)
                for name, a in medium.coefficients().items():
                    padded = d.padding.apply(a, medium.ends(name))
                    self._coefficients[PREFIX + name] = room.put(d.with_halo(padded, odd=medium.odd(name)))
        return self._coefficients

    def layout(self, wrt: tuple[str, ...], keep: Keep = FACTORS) -> Layout:
        """How the history of a shot lies in memory, for the derivative by some coefficients."""
        d, states, histories = self.discretisation, self.scheme.states(), self.scheme.histories(wrt, keep)
        return Layout(
            steps=d.steps,
            every=keep.every,
            before=max(h.before for h in histories),
            unit=lcm(states.period, keep.every),
            shapes=tuple(d.extents(h.halo) for h in histories),
            dtype=d.dtype,
            step=d.dt,
            state_shapes=states.saved_shapes(d.padding.shape),
            edges=partial(self.edges, wrt),
        )

    def _require_room(self, states: States, kernel: Kernel) -> None:
        """Refuse a solve for which a device has no memory. That of the processor is virtual, and not refused.

        Parameters
        ----------
        states : States
            Time levels of the fields.
        kernel : Kernel
            Which may have temporaries.

        Raises
        ------
        UnfusedError
            With what it needs, and what is free.
        """
        device, d = self.device, self.discretisation
        if device.host is device or self._coefficients:
            return
        shapes = [*states.shapes(d.padding.shape).values(), *len(self.medium.coefficients()) * [d.extents(d.halo)]]
        needed = sum(map(prod, shapes)) * np.dtype(d.dtype).itemsize
        needed += kernel.program.working_bytes(d.padding.shape)
        if needed > device.free_bytes:
            for pools in (BACKGROUNDS, STATES):
                pools.clear()
        free = device.free_bytes
        if needed > free:
            raise UnfusedError(
                f"a solve on {device.name} needs {needed / 2**30:.3g} GiB ({prod(d.padding.shape):,} points with their "
                f"layer, {d.dtype}), but {free / 2**30:.3g} GiB of its memory are free: use a smaller or coarser grid, "
                "float32, another device, or the processor: Wavefield(device='cpu')"
            )

    @property
    def working_bytes(self) -> int:
        """Memory of what a march forward takes besides: on devices, of temporaries."""
        if self.device.host is self.device:
            return 0
        points = Ports(points=(0,))
        return self.scheme.kernel(False, points, points).program.working_bytes(self.discretisation.padding.shape)

    @property
    def state_bytes(self) -> int:
        """Memory of the fields' time levels."""
        shapes = self.scheme.states().shapes(self.discretisation.padding.shape).values()
        return sum(map(prod, shapes)) * np.dtype(self.discretisation.dtype).itemsize

    def run(
        self,
        transposed: bool,
        given: Sequence[Way],
        wanted: Sequence[Way],
        wrt: tuple[str, ...] = (),
        keep: Keep = FACTORS,
        records: Ports | None = None,
        through: Callable[[March], None] | None = None,
        replay: Replay | None = None,
    ) -> list[Any]:
        """March once through time.

        Parameters
        ----------
        transposed : bool
            Whether to solve the transposed equation, backward in time.
        given, wanted : sequence of Way
            What enters the wavefield, and what leaves it.
        wrt : tuple of str
            Coefficients with respect to which images and histories differentiate.
        keep : Keep
            What is kept of the background.
        records : Ports, optional
            What is taken down of a background.
        through : callable, optional
            Takes the march through all rows, with their histories; needed by images and histories, unless there is:
        replay : Replay, optional
            The background of an image, made again on the way.

        Returns
        -------
        list
            What was read, a result for each way that was wanted.
        """
        room = Room(self.device, self.scheme, self.discretisation, transposed, wrt, keep.every)
        with self.device.active(), ExitStack() as stack:
            write, entering, _ = opened(given, WRITE, room)
            read, leaving, results = opened(wanted, READ, room, records)
            again, beside = self._again(replay, wrt, stack) if replay else (None, Bindings())
            bindings = entering | leaving | beside
            march = stack.enter_context(self._march(transposed, write, read, wrt, keep, bindings, again))
            if through:
                through(march)
            else:
                march(0, self.discretisation.steps)
            self._warn(march)
            return results()

    def _warn(self, march: KernelMarch) -> None:
        """Warn of waves that have overflown."""
        if not march.finite:
            warnings.warn(self._overflow(), AccuracyWarning, stacklevel=outside())

    def _overflow(self) -> str:
        d, layer, medium = self.discretisation, self.discretisation.boundary, type(self.medium.primal).__name__
        advice = (
            f"; waves may grow in {layer!r} beside rough media: try PML(multiaxial=0.3) or a Sponge"
            if layer is not None and layer.compact
            else ""
        )
        return (
            f"after {d.steps} steps of {d.dt:.6g} s the wavefield of {medium} is no longer finite "
            f"in {d.dtype}, and what was made of it neither: look for what is not finite or huge in what was given{advice}"
        )

    @contextmanager
    def background(
        self, given: Sequence[Way], wrt: tuple[str, ...], keep: Keep, records: Ports
    ) -> Iterator[KernelMarch]:
        """A march for a background; see :data:`seisops.wave.storage.background.Start`."""
        room = Room(self.device, self.scheme, self.discretisation, False, wrt, keep.every)
        with self.device.active():
            write, bindings, _ = opened(given, WRITE, room)
            with self._march(False, write, records, wrt, keep, bindings) as march:
                yield march
                self._warn(march)

    def edges(self, wrt: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
        """Shapes, for one row, of what the edges keep so that the forward march can be gone through backward.

        Raises
        ------
        ParameterError
            If the wave equation loses energy elsewhere than in a layer that lives along the edges.
        """
        self.require_reversible()
        d, layer = self.discretisation, self.scheme.layer
        if (
            d.closed
            and "high" in layer.sides[-1]
            and d.padding.shape[-1] - layer.widths[-1] < closure(d.space_order).rows
        ):
            raise ParameterError(
                f"storage=Boundary() keeps what lies beside the surface and beside the layer below, and {d.grid!r} is so "
                "shallow that they are one: use a deeper grid, or another storage policy"
            )
        return tuple(shape for _, shape in self.scheme.edges(wrt, self.discretisation.padding.shape))

    def require_reversible(self) -> None:
        """Refuse waves that cannot be run backward in time from what the edges keep.

        Raises
        ------
        ParameterError
            If the wave equation loses energy elsewhere than in a layer that lives along the edges.
        """
        if not self._lossless:
            self.discretisation.check_lossless(self.medium)
            if self.discretisation.boundary is not None and not self.scheme.layer.compact:
                raise ParameterError(
                    f"storage=Boundary() makes the wavefield again between the layers, but {self.discretisation.grid!r} is "
                    f"narrower than stencils reach: use a larger grid, or another storage policy"
                )
            self._lossless = True

    @contextmanager
    def _march(
        self,
        transposed: bool,
        write: Ports,
        read: Ports,
        wrt: tuple[str, ...],
        keep: Keep,
        bindings: Bindings,
        again: Ports | None = None,
    ) -> Iterator[KernelMarch]:
        kernel = self.scheme.kernel(transposed, write, read, wrt, keep, again)
        d, states = self.discretisation, self.scheme.states(transposed, kernel)
        self._require_room(states, kernel)
        coefficients, shape = self.coefficients, d.padding.shape
        coefficients.update(kernel.constants(coefficients, d.grid.spacing, d.dt))  # for all marches of the medium
        if read.edges:
            kept = tuple(History(name, 0) for name, _ in self.scheme.edges(wrt, shape))
        else:
            kept = self.scheme.histories(wrt, keep) if wrt and not again else ()
        medium = Bindings({**coefficients, **self.discretisation.profiles(self.scheme.layer)})
        # forward the last row determines nothing, but what is observed at its own time, and where a march backward begins
        to_the_end = transposed or read.edges or any(c.lead < 1 for c in self.scheme.of(transposed).exits)
        with states.borrow(shape) as state:
            rows = 1 if read.edges else keep.every
            yield KernelMarch(kernel, d, states, state, medium | bindings, kept, rows, read.history, to_the_end)

    def _again(self, replay: Replay, wrt: tuple[str, ...], stack: ExitStack) -> tuple[Ports, Bindings]:
        """Lay out a background that is to be made again from its end; what enters it, and all that it is given."""
        d, states = self.discretisation, self.scheme.states()
        shape = d.padding.shape
        state = stack.enter_context(states.borrow(shape))
        states.restore(state, d.steps + 1, replay.end)
        names = (name for name, _ in self.scheme.edges(wrt, shape))
        kept = {name: Rows(a) for name, a in zip(names, replay.edges, strict=True)}
        room = Room(self.device, self.scheme, d)
        histories = self.scheme.histories(wrt, present=True)
        present = {now.name: room.zeros((1, *d.extents(now.halo))) for now in histories}
        write, entering, _ = opened(replay.given, AGAIN, room)
        return write, entering | Bindings({**state, **present}, kept)
