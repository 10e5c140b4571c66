"""Ways into a wavefield and out of it, for one march: on the solver's time axis of N + 1 samples, on the padded grid.

A way is data. Those that meet a component in the same manner share a port of the kernel.

Time indices. Row n of the loop takes sample n of what enters, in both directions of time; what it determines of a component
is sample n + lead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, lcm, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seisops.engine.backend.device import Array, Device
from seisops.engine.facts import Marched
from seisops.engine.lower import ports
from seisops.engine.lower.ports import READ, Bindings, Ports, Rows
from seisops.engine.scheme import Scheme
from seisops.engine.symbols.places import ON_SURFACE
from seisops.wave.discretise.discretisation import Discretisation
from seisops.wave.sampling.taps import Taps

__all__ = ["ImageWay", "LevelsWay", "Opened", "Room", "StackWay", "TracesWay", "Way", "opened"]

# bytes of a field's levels that are there at a time, at least, where all of them together are not wanted
BLOCK_BYTES = 2**23


@dataclass(frozen=True)
class Room:
    """Where ways are opened.

    Attributes
    ----------
    device : Device
    scheme : Scheme
    discretisation : Discretisation
    transposed : bool
        Whether the transposed equation is solved.
    wrt : tuple of str
        Coefficients of an image.
    every : int
        Every how many steps a background is kept.
    """

    device: Device
    scheme: Scheme
    discretisation: Discretisation
    transposed: bool = False
    wrt: tuple[str, ...] = ()
    every: int = 1

    @property
    def marched(self) -> Marched:
        return self.scheme.of(self.transposed)

    @property
    def samples(self) -> int:
        return self.discretisation.steps + 1

    def put(self, a: NDArray, dtype: Any = None) -> Array:
        """An array on the device, for time loops to read."""
        return self.device.to_device(a, dtype or self.scheme.dtype)

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """A zeroed array on the device."""
        return self.device.zeros(shape, self.scheme.dtype)

    def lead(self, component: int) -> int:
        """By how many samples what a row determines of a component is ahead of it."""
        return self.marched.exits[component].lead

    def block(self, sums: int) -> int:
        """Rows of a part of the time loop in which a field's levels are there, of which so many sums are made.

        Adding to sums is worth the way to memory if there are as many levels to add. Parts start where the time levels of
        all fields take the places that they take at row 0, those of a background that is made again beside it, too.
        """
        unit = lcm(self.every, *(self.scheme.states(transposed).period for transposed in (False, True)))
        level = prod(self.discretisation.padding.shape) * np.dtype(self.discretisation.dtype).itemsize
        return ceil(max(sums, BLOCK_BYTES // level, 1) / unit) * unit


class Opened(NamedTuple):
    """A port with what it is given.

    Attributes
    ----------
    port
    bindings : Bindings
    results : callable
        Gives, after the march, what was read: a result for each way that shares the port.
    """

    port: Any
    bindings: Bindings
    results: Callable[[], list]


class Way:
    """A way into a wavefield, or out of it."""

    @property
    def shared(self) -> tuple | None:
        """What ways have in common that share a port; None for a port of one's own."""
        return None

    @classmethod
    def open(cls, ways: Sequence[Way], side: str, number: int, room: Room) -> Opened:
        """The port that some ways share on a side, the `number`-th of its kind."""
        raise NotImplementedError


@dataclass(frozen=True)
class TracesWay(Way):
    """TracesWay of a component at points; entering, with signals of shape (points, N + 1), which are read otherwise."""

    component: int
    taps: Taps
    signals: NDArray | None = None

    @property
    def shared(self):
        return TracesWay, self.component

    @classmethod
    def open(cls, ways, side, number, room):
        port, taps = ports.PointsPort(side, ways[0].component), Taps.joined([w.taps for w in ways])
        table = taps.or_one
        if side == READ:
            cells, weights, points = table.cells, table.weights, None
            data = room.zeros((room.samples, len(weights)))
        else:
            cells, weights, points = table.by_cell(room.discretisation.padding.shape)
            points = room.put(points, np.int32)
            signals = np.concatenate([w.signals for w in ways])
            data = room.put((signals if signals.shape[0] else np.zeros((1, room.samples))).T)
        axes = room.discretisation.grid.axes
        cells = {axis: room.put(index, np.int32) for axis, index in zip(axes, cells, strict=True)}
        bindings = port.bind(data, room.put(weights), cells, points)

        def results() -> list:
            traces = _shifted(port.result(bindings), room.lead(port.component)).T
            ends = np.cumsum([len(w.taps.weights) for w in ways]).tolist()
            return np.split(traces[: ends[-1]], ends[:-1])

        return Opened(port, bindings, results)


@dataclass(frozen=True)
class StackWay(Way):
    """A component, weighted by a signal and summed over time; entering, with an image that the signal brings in."""

    component: int
    signal: NDArray
    image: NDArray | None = None

    @classmethod
    def open(cls, ways, side, number, room):
        (way,), d = ways, room.discretisation
        port = ports.StackPort(side, number, way.component)
        if side == READ:
            image = room.zeros(d.extents())
            signal = _shifted(way.signal, -room.lead(way.component))
        else:
            image, signal = room.put(way.image), way.signal
        bindings = port.bind(image, room.put(signal))
        return Opened(port, bindings, lambda: [_cells(port.result(bindings), d)])


@dataclass(frozen=True)
class LevelsWay(Way):
    """A component in all cells: at every sample, or summed over them with weights of shape (sums, N + 1).

    Entering, with values of shape (N + 1, ...), or (sums, ...) that the weights spread over time. A field of which weighted
    sums are wanted only is there a block of rows at a time.
    """

    component: int
    weights: NDArray | None = None
    values: NDArray | None = None

    @property
    def shared(self):
        return LevelsWay, self.component

    @classmethod
    def open(cls, ways, side, number, room):
        port, shape = ports.FieldPort(side, ways[0].component), room.discretisation.padding.shape
        whole = any(w.weights is None for w in ways)
        lead = room.lead(port.component) if side == READ else 0
        if whole and side == READ:
            rows = Rows(room.zeros((room.samples, *shape)))

            def results() -> list:
                field = _shifted(rows.array, lead)
                return [field if w.weights is None else np.tensordot(room.put(w.weights), field, 1) for w in ways]

        elif whole:
            fields = [w.values if w.weights is None else np.tensordot(room.put(w.weights).T, w.values, 1) for w in ways]
            rows, results = Rows(room.put(sum(fields[1:], fields[0]))), list
        else:
            weights = np.concatenate([w.weights for w in ways])
            if side == READ:
                rows = Summed(room, np.array([_shifted(w, -lead) for w in weights]))
            else:
                rows = Spread(room, weights, np.concatenate([w.values for w in ways]))
            ends = np.cumsum([len(w.weights) for w in ways])[:-1].tolist()

            def results() -> list:
                return np.split(rows.sums.reshape(-1, *shape), ends)

        return Opened(port, port.bind(rows), results)


class Block(Rows):
    """Some rows of a field at a time, and weighted sums over all rows: a product of matrices for each block.

    Parameters
    ----------
    room : Room
    weights : ndarray of shape (sums, N + 1)
    sums : array of shape (sums, cells)
    """

    def __init__(self, room: Room, weights: NDArray, sums: Array):
        self.most = room.block(len(weights))
        # the last row joins the block before it
        super().__init__(room.zeros((min(self.most, room.samples) + 1, *room.discretisation.padding.shape)))
        self.sums, self._weights, self._there = sums, room.put(weights), weights != 0

    def _flat(self, first: int, last: int) -> Array:
        return self.array[: last - first + 1].reshape(last - first + 1, -1)

    def _wanted(self, first: int, last: int) -> slice:
        """The sums in which these rows have a part: those from the first such to the last."""
        found = np.flatnonzero(self._there[:, first : last + 1].any(axis=1))
        return slice(found[0], found[-1] + 1) if len(found) else slice(0)


class Summed(Block):
    """What is read, row by row, summed."""

    def __init__(self, room: Room, weights: NDArray):
        super().__init__(room, weights, room.zeros((len(weights), prod(room.discretisation.padding.shape))))

    def part(self, first, last):
        self.array[last - first] = 0  # the last row of all may determine nothing
        return self.array[: last - first + 1]

    def done(self, first, last):
        some = self._wanted(first, last)
        if some.stop:
            self.sums[some] += self._weights[some, first : last + 1] @ self._flat(first, last)


class Spread(Block):
    """What is written: the transpose of :class:`Summed`."""

    def __init__(self, room: Room, weights: NDArray, values: NDArray):
        super().__init__(room, weights, room.put(values.reshape(len(values), -1)))

    def part(self, first, last):
        some, flat = self._wanted(first, last), self._flat(first, last)
        flat[...] = self._weights[some, first : last + 1].T @ self.sums[some] if some.stop else 0
        return self.array[: last - first + 1]


@dataclass(frozen=True)
class ImageWay(Way):
    """Perturbations of coefficients, of which some are `odd` about a surface; read, the gradient by them."""

    perturbations: Mapping[str, NDArray] | None = None
    odd: frozenset[str] = frozenset()

    @classmethod
    def open(cls, ways, side, number, room):
        (way,), d, beyond = ways, room.discretisation, room.scheme.beyond(room.wrt)
        port = ports.ImagePort(side)
        if side == READ:
            arrays = {c: room.zeros(d.extents(d.halo if c in beyond else 0)) for c in room.wrt}
        else:
            # where it is looked at beyond the grid, it is there what the coefficient is
            outside = {c: "edge" if c in beyond else "constant" for c in room.wrt}
            arrays = {c: room.put(d.with_halo(way.perturbations[c], outside[c], c in way.odd)) for c in room.wrt}
        bindings = port.bind(arrays)

        def results() -> list:
            images = port.result(bindings, room.wrt)
            return [{c: _gradient(a, c in beyond, d) for c, a in images.items()}]

        return Opened(port, bindings, results)


def opened(
    ways: Iterable[Way], side: str, room: Room, records: Ports | None = None
) -> tuple[Ports, Bindings, Callable[[], list]]:
    """Open all ways on a side of a march.

    Returns
    -------
    ports : Ports
        Those that record a background among them.
    bindings : Bindings
    results : callable
        Gives, after the march, what was read: a result for each way.
    """
    ways = list(ways)
    groups: dict[Any, list[int]] = {}
    for k, way in enumerate(ways):
        groups.setdefault(way.shared or k, []).append(k)
    numbers: dict[type, int] = {}
    bindings, found = Bindings(), []
    for members in groups.values():
        kind = type(ways[members[0]])
        number = numbers[kind] = numbers.get(kind, -1) + 1
        found.append(kind.open([ways[k] for k in members], side, number, room))
        bindings |= found[-1].bindings

    def results() -> list:
        out: list = [None] * len(ways)
        for members, one in zip(groups.values(), found, strict=True):
            for k, result in zip(members, one.results(), strict=True):
                out[k] = result
        return out

    return Ports.of([one.port for one in found], records), bindings, results


def _shifted(rows: NDArray, by: int) -> NDArray:
    """Entry n moved to n + `by`; zero where none comes from."""
    out = np.zeros_like(rows)
    if by >= 0:
        out[by:] = rows[: len(rows) - by]
    else:
        out[:by] = rows[-by:]
    return out


def _cells(image: NDArray, d: Discretisation) -> NDArray:
    """Of an array on the padded grid, what belongs to it."""
    return image[..., : d.padding.shape[-1]]


def _gradient(image: NDArray, beyond: bool, d: Discretisation) -> NDArray:
    image = d.without_halo(image) if beyond else _cells(image, d)
    if d.mirrored:
        image[..., 0] *= ON_SURFACE  # parameters are in the nodes
    return image
