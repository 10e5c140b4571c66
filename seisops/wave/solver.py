"""One run of a kernel for one shot: arrays on the solver's time axis in, arrays on it out.

Time indices. The solver's samples are n = 0 .. N. Forward, the loop runs over n = 0 .. N - 1, where row n of the
equation takes the source at n and determines the field at n + 1. Backward, it runs over n = N .. 0, where column n takes
the data at n and determines the adjoint field at n - 1, the multiplier of row n - 1. Rows that determine a field at n itself
are taken up to N forward, too. Where within a step a sample lies is the resampling's business.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import lcm, prod

import numpy as np

from seisops.engine import backend
from seisops.engine.backend.device import Array
from seisops.engine.kernel import Kernel
from seisops.engine.lower.ports import Ports
from seisops.engine.state import States
from seisops.engine.symbols.names import PREFIX
from seisops.engine.symbols.places import ON_SURFACE
from seisops.errors import ParameterError
from seisops.wave.discretise.discretisation import Discretisation
from seisops.wave.equation import WaveEquation
from seisops.wave.sampling.samplers import Taps
from seisops.wave.storage.layout import Layout
from seisops.wave.storage.pool import Arrays

__all__ = ["Input", "March", "Output", "Replay", "Solver"]


@dataclass
class Input:
    """What enters the wavefield, on the solver's time axis (N + 1 samples) and the padded grid.

    Attributes
    ----------
    points : dict
        By component, where the points are and their signals of shape (points, N + 1).
    stacks : list of (component, image, signal)
    fields : dict
        By component, an array of shape (N + 1, ...).
    image : mapping from coefficient to padded perturbation, or None
    """

    points: dict[int, tuple[Taps, np.ndarray]] = field(default_factory=dict)
    stacks: list[tuple[int, np.ndarray, np.ndarray]] = field(default_factory=list)
    fields: dict[int, np.ndarray] = field(default_factory=dict)
    image: Mapping[str, np.ndarray] | None = None


@dataclass
class Output:
    """What to read: points by component, signals of stacks with their component, components of whole fields, whether an
    image, and what of a background ("history", "edges" or nothing)."""

    points: dict[int, Taps] = field(default_factory=dict)
    signals: list[tuple[int, np.ndarray]] = field(default_factory=list)
    fields: tuple[int, ...] = ()
    image: bool = False
    records: str = ""


@dataclass(frozen=True)
class Replay:
    """A background that is made again beside an adjoint field, backward in time.

    Attributes
    ----------
    given : Input
        What had entered it.
    edges, end : tuple of arrays
        What was kept along the edges, and of its end.
    """

    given: Input
    edges: Arrays
    end: Arrays


class March:
    """A run of a kernel through the time loop, in as many parts as its user likes.

    Parts are rows `first` to `last` of the loop, both included and each once: forward the parts follow each other, backward
    they go before each other. Each starts where the time levels of the fields are in the places that they had at row 0,
    so that a part is a loop from 0 over the rows that belong to it.

    Parameters
    ----------
    kernel : Kernel
    discretisation : Discretisation
    states : States
    state : mapping
        The fields' time levels.
    arrays, bounds : mapping
        As for the kernel.
    rows : collection of str
        The arrays with an entry for each row.
    histories : tuple of str
        Names of the histories, or of what is kept along the edges.
    to_the_end : bool
        Whether the last row determines anything.
    """

    def __init__(
        self,
        kernel: Kernel,
        discretisation: Discretisation,
        states: States,
        state: Mapping[str, Array],
        arrays: Mapping[str, Array],
        bounds: Mapping[str, int],
        rows: Collection[str],
        histories: tuple[str, ...],
        to_the_end: bool,
    ):
        self._kernel, self._discretisation, self._states, self._state = kernel, discretisation, states, state
        self._arrays = dict(arrays) | dict(state)
        self._bounds, self._rows, self._histories = bounds, rows, histories
        self._to_the_end = to_the_end

    def __call__(self, first: int, last: int, histories: Arrays = ()) -> None:
        """Go through rows `first` to `last`, with the histories there."""
        d, kernel = self._discretisation, self._kernel
        arrays = {**self._arrays, **dict(zip(self._histories, histories, strict=True))}
        if (first, last) != (0, d.steps):
            arrays |= {name: self._arrays[name][first : last + 1] for name in self._rows}
        end = last if self._to_the_end else min(last, d.steps - 1)
        kernel.run(d.padding.shape, d.grid.spacing, d.dt, (0, end - first), arrays, self._bounds)

    def save(self, saved: Arrays, row: int = 0) -> None:
        """Copy what is needed to go on from where the next part may start, or from any `row` counted from there."""
        self._states.save(self._state, row, saved)

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
        self.coefficients = {
            PREFIX + name: self._put(discretisation.with_halo(discretisation.padding.apply(a)))
            for name, a in medium.coefficients().items()
        }

    def _put(self, a) -> Array:
        """An array on the device, for time loops to read."""
        return self.device.to_device(a, self.scheme.dtype)

    def _zeros(self, shape: tuple[int, ...]) -> Array:
        """A zeroed array on the device."""
        return self.device.zeros(shape, self.scheme.dtype)

    def layout(self, wrt: tuple[str, ...], every: int = 1) -> Layout:
        """How the history of a shot lies in memory, for the derivative by some coefficients."""
        d, states = self.discretisation, self.scheme.states()
        return Layout(
            steps=d.steps,
            every=every,
            unit=lcm(states.period, every),
            shapes=tuple(d.extents(h.halo) for h in self.scheme.histories(wrt, every)),
            dtype=d.dtype,
            step=d.dt,
            state_shapes=states.saved_shapes(d.padding.shape),
            edges=partial(self.edges, wrt),
        )

    @property
    def state_bytes(self) -> int:
        """Memory of the fields' time levels."""
        shapes = self.scheme.states().shapes(self.discretisation.padding.shape).values()
        return sum(map(prod, shapes)) * np.dtype(self.discretisation.dtype).itemsize

    def run(
        self,
        transposed: bool,
        given: Input,
        wanted: Output,
        wrt: tuple[str, ...] = (),
        every: int = 1,
        through: Callable[[March], None] | None = None,
        replay: Replay | None = None,
    ) -> dict:
        """March once through time.

        Parameters
        ----------
        transposed : bool
            Whether to solve the transposed equation, backward in time.
        given : Input
        wanted : Output
        wrt : tuple of str
            Coefficients with respect to which image and history ports differentiate.
        every : int
            Every how many steps the background is kept.
        through : callable, optional
            Takes the march through all rows, with their histories; needed by image and history ports, unless there is:
        replay : Replay, optional
            The background of an image, made again on the way.

        Returns
        -------
        dict
            ``traces`` (by component, (points, N + 1)), ``stacks`` (list of padded images), ``fields`` (by component,
            (N + 1, ...)) and ``image`` (mapping), as far as wanted.
        """
        arrays, bounds, rows = self._arguments()
        write = self._writing(given, wrt, arrays, bounds, rows)
        read = self._reading(transposed, wanted, wrt, arrays, bounds, rows)
        with ExitStack() as stack:
            again = self._again(replay, wrt, arrays, bounds, rows, stack) if replay else None
            march = stack.enter_context(self._march(transposed, write, read, wrt, every, arrays, bounds, rows, again))
            if through:
                through(march)
            else:
                march(0, self.discretisation.steps)
        out: dict = {}
        exits = self.scheme.of(transposed).exits

        def found(name: str) -> np.ndarray:
            return self.device.to_host(arrays[PREFIX + name])

        out["traces"] = {c: _shifted(found(f"read{c}_data"), exits[c].lead).T for c in read.points}
        out["stacks"] = [self._cells(found(f"read_image{k}")) for k in range(len(read.stacks))]
        out["fields"] = {c: _shifted(found(f"read{c}_field"), exits[c].lead) for c in read.field}
        if read.image:
            beyond = self.scheme.beyond(wrt)
            out["image"] = {name: self._gradient(found(f"read_d_{name}"), name in beyond) for name in wrt}
        return out

    @contextmanager
    def background(self, given: Input, wrt: tuple[str, ...], every: int, kind: str = "history") -> Iterator[March]:
        """A march for a background; see :data:`seisops.wave.storage.background.Again`."""
        arrays, bounds, rows = self._arguments()
        write = self._writing(given, wrt, arrays, bounds, rows)
        read = Ports(history=kind == "history", edges=kind == "edges")
        with self._march(False, write, read, wrt, every, arrays, bounds, rows) as march:
            yield march

    def edges(self, wrt: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
        """Shapes, for one row, of what the edges keep so that the forward march can be gone through backward.

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
        return tuple(shape for _, shape in self.scheme.edges(wrt, self.discretisation.padding.shape))

    def _arguments(self) -> tuple[dict[str, Array], dict[str, int], set[str]]:
        """What a march is given besides its medium and before its ports: arrays, bounds, arrays by row."""
        return dict(self.discretisation.profiles(self.scheme.layer)), {}, set()

    @contextmanager
    def _march(self, transposed, write, read, wrt, every, arrays, bounds, rows, again=None) -> Iterator[March]:
        kernel = self.scheme.kernel(transposed, write, read, wrt, every, again)
        self.coefficients.update(kernel.reciprocals(self.coefficients))  # once for all marches of the medium
        states, shape = self.scheme.states(transposed, kernel), self.discretisation.padding.shape
        if read.edges:
            kept = tuple(name for name, _ in self.scheme.edges(wrt, shape))
        else:
            kept = tuple(h.name for h in self.scheme.histories(wrt, every)) if wrt and not again else ()
        # forward the last row determines nothing, but what is observed at its own time, and where a march backward begins
        own = any(component.lead < 1 for component in self.scheme.of(transposed).exits)
        to_the_end = transposed or read.edges or own
        arrays = {**self.coefficients, **arrays}
        with states.borrow(shape) as state:
            yield March(kernel, self.discretisation, states, state, arrays, bounds, rows, kept, to_the_end)

    def _again(self, replay: Replay, wrt, arrays, bounds, rows, stack: ExitStack) -> Ports:
        """Lay out a background that is to be made again from its end, and say what enters it."""
        d, states = self.discretisation, self.scheme.states()
        shape = d.padding.shape
        state = stack.enter_context(states.borrow(shape))
        states.restore(state, d.steps + 1, replay.end)
        names = (name for name, _ in self.scheme.edges(wrt, shape))
        arrays.update({**state, **dict(zip(names, replay.edges, strict=True))})
        for now in self.scheme.histories(wrt, 1, present=True):
            arrays[now.name] = self._zeros((1, *d.extents(now.halo)))
        return self._writing(replay.given, (), arrays, bounds, rows, "again")

    def _writing(self, given: Input, wrt, arrays, bounds, rows, kind: str = "write") -> Ports:
        """Put in what enters: row n takes sample n, in both directions."""
        d = self.discretisation
        for component, (taps, traces) in given.points.items():
            self._taps(arrays, bounds, kind, component, taps.or_one)
            signals = traces if len(traces) else np.zeros((1, traces.shape[1]))
            arrays[name := f"{PREFIX}{kind}{component}_data"] = self._put(signals.T)
            rows.add(name)
        for k, (_, image, signal) in enumerate(given.stacks):
            arrays[f"{PREFIX}{kind}_image{k}"] = self._put(image)
            arrays[name := f"{PREFIX}{kind}_signal{k}"] = self._put(signal)
            rows.add(name)
        for component, values in given.fields.items():
            arrays[name := f"{PREFIX}{kind}{component}_field"] = self._put(values)
            rows.add(name)
        if given.image is not None:
            for name in wrt:
                # where it is looked at beyond the grid, it is there what the coefficient is
                outside = "edge" if name in self.scheme.beyond(wrt) else "constant"
                arrays[f"{PREFIX}d_{name}"] = self._put(d.with_halo(given.image[name], outside))
        return Ports(
            points=tuple(sorted(given.points)),
            stacks=tuple(component for component, _, _ in given.stacks),
            field=tuple(sorted(given.fields)),
            image=given.image is not None,
        )

    def _reading(self, transposed, wanted: Output, wrt, arrays, bounds, rows) -> Ports:
        """Make room for what is read: what row n of a loop determines is sample n + lead."""
        d = self.discretisation
        count, shape = d.steps + 1, d.padding.shape
        for component, taps in wanted.points.items():
            self._taps(arrays, bounds, "read", component, taps.or_one)
            arrays[name := f"{PREFIX}read{component}_data"] = self._zeros((count, len(taps.or_one.weights)))
            rows.add(name)
        for k, (component, signal) in enumerate(wanted.signals):
            lead = self.scheme.of(transposed).exits[component].lead
            arrays[name := f"{PREFIX}read_signal{k}"] = self._put(_shifted(np.asarray(signal), -lead))
            rows.add(name)
            arrays[f"{PREFIX}read_image{k}"] = self._zeros(d.extents())
        for component in wanted.fields:
            arrays[name := f"{PREFIX}read{component}_field"] = self._zeros((count, *shape))
            rows.add(name)
        if wanted.image:
            for name in wrt:
                halo = d.space_order if name in self.scheme.beyond(wrt) else 0
                arrays[f"{PREFIX}read_d_{name}"] = self._zeros(d.extents(halo))
        return Ports(
            points=tuple(sorted(wanted.points)),
            stacks=tuple(component for component, _ in wanted.signals),
            field=tuple(sorted(wanted.fields)),
            image=wanted.image,
            history=wanted.records == "history",
            edges=wanted.records == "edges",
        )

    def _cells(self, image):
        """Of an array on the padded grid, what belongs to it."""
        return image[..., : self.discretisation.padding.shape[-1]]

    def _gradient(self, image, beyond: bool):
        image = self.discretisation.without_halo(image) if beyond else self._cells(image)
        if self.discretisation.free_surface:
            image[..., 0] *= ON_SURFACE  # parameters are even, and in the nodes
        return image

    def _taps(self, arrays, bounds, kind: str, component: int, taps: Taps) -> None:
        side = f"{kind}{component}"
        if kind != "read":
            cells, weights, points = taps.by_cell(self.discretisation.padding.shape)
            arrays[f"{PREFIX}{side}_points"] = self.device.to_device(points, np.int32)
        else:
            cells, weights = taps.cells, taps.weights
        arrays[f"{PREFIX}{side}_weight"] = self._put(weights)
        for axis, index in zip(self.discretisation.grid.axes, cells, strict=True):
            arrays[f"{PREFIX}{side}_cell_{axis}"] = self.device.to_device(index, np.int32)
        bounds[f"{side}_row"], bounds[f"{side}_tap"] = weights.shape


def _shifted(rows: np.ndarray, by: int) -> np.ndarray:
    """Entry n moved to n + `by`; zero where none comes from."""
    out = np.zeros_like(rows)
    if by >= 0:
        out[by:] = rows[: len(rows) - by]
    else:
        out[:by] = rows[-by:]
    return out
