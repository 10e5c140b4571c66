"""Ports: how something small meets the wavefield at every step, and the symbols that stand for it.

Traces at points, a wavelet-weighted stack, the whole field, the background's history, an image. Ports that write add to
the right-hand side; ports that read observe. Each owns its names: it makes the symbols of a kernel, says what arrays of a
run they stand for, and finds what was read in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from seisops.engine.symbols.names import PREFIX

if TYPE_CHECKING:
    from seisops.engine.symbols.template import Template

__all__ = ["AGAIN", "READ", "WRITE", "PointsPort", "Bindings", "ImagePort", "Ports", "Rows", "StackPort", "FieldPort"]

#: Sides of ports: out of the field, into it, and into a background that is made again beside it.
READ, WRITE, AGAIN = "read", "write", "again"

#: Of NumPy, or of what a device keeps its arrays in.
Array = Any


class Rows:
    """An array with an entry for every so many rows of the time loop.

    Parameters
    ----------
    array : array
    every : int, optional
    start : int, optional
        The row of the first entry.
    before : int, optional
        Entries that precede that of each row for it to look at.
    """

    #: Rows that there is room for at a time; None for all of them.
    most: int | None = None

    def __init__(self, array: Array, every: int = 1, start: int = 0, before: int = 0):
        self.array, self.every, self.start, self.before = array, every, start, before

    def part(self, first: int, last: int) -> Array:
        """The entries for rows `first` to `last`, both included, which a loop is about to go through."""
        return self.array[(first - self.start) // self.every : (last - self.start) // self.every + 1 + self.before]

    def done(self, first: int, last: int) -> None:
        """The loop has gone through these rows."""


@dataclass(frozen=True)
class Bindings:
    """What a run of a kernel is given, by the names of symbols.

    Attributes
    ----------
    arrays : mapping
        Those that are the same in all rows of the time loop.
    rows : mapping
        Those with entries for rows, as `Rows`.
    bounds : mapping
        Numbers of points and of taps.
    """

    arrays: Mapping[str, Array] = field(default_factory=dict)
    rows: Mapping[str, Rows] = field(default_factory=dict)
    bounds: Mapping[str, int] = field(default_factory=dict)

    def __or__(self, other: Bindings) -> Bindings:
        return Bindings({**self.arrays, **other.arrays}, {**self.rows, **other.rows}, {**self.bounds, **other.bounds})

    @property
    def most(self) -> int | None:
        """Rows that there is room for at a time; None for all of them."""
        return min((r.most for r in self.rows.values() if r.most is not None), default=None)

    def part(self, first: int, last: int) -> dict[str, Array]:
        """The arrays of a run through rows `first` to `last`, both included."""
        return {**self.arrays, **{name: r.part(first, last) for name, r in self.rows.items()}}

    def done(self, first: int, last: int) -> None:
        """A run has gone through these rows."""
        for r in self.rows.values():
            r.done(first, last)


@dataclass(frozen=True)
class PointsPort:
    """Traces at points of a component.

    Reading gathers K cells for each point. Writing gathers too, K points for each cell, so that no two threads add to the
    same cell and sums come out the same in every run.
    """

    kind: ClassVar[str] = "points"
    side: str
    component: int

    def _name(self, what: str) -> str:
        return f"{self.side}{self.component}_{what}"

    def symbols(self, template: Template) -> tuple:
        """Data of the points, the tables of weights and cells, and the loops over them."""
        import devito

        row = devito.Dimension(name=PREFIX + self._name("row"))
        tap = devito.Dimension(name=PREFIX + self._name("tap"))
        weight = template.table(self._name("weight"), (row, tap))
        if self.side == READ:
            data, place = template.table(self._name("data"), (template.time, row)), (row, tap)
        else:
            point = devito.Dimension(name=PREFIX + self._name("point"))
            which = template.table(self._name("points"), (row, tap), np.int32)
            data, place = template.table(self._name("data"), (template.time, point)).subs(point, which), (row,)
        cells = {d: template.table(self._name(f"cell_{d.name}"), place, np.int32) for d in template.dimensions}
        return data, weight, cells, (row, tap)

    def bind(self, data: Array, weights: Array, cells: Mapping[str, Array], points: Array | None = None) -> Bindings:
        """Signals (row of the loop, point); weights; cells by axis, and the points that they gather in writing."""
        table = {"weight": weights, **{f"cell_{axis}": index for axis, index in cells.items()}}
        if points is not None:
            table["points"] = points
        return Bindings(
            {PREFIX + self._name(what): a for what, a in table.items()},
            {PREFIX + self._name("data"): Rows(data)},
            {PREFIX + self._name(loop): n for loop, n in zip(("row", "tap"), weights.shape, strict=True)},
        )

    def result(self, bindings: Bindings) -> Array:
        """The signals."""
        return bindings.rows[PREFIX + self._name("data")].array


@dataclass(frozen=True)
class StackPort:
    """A component, weighted by a signal and summed over time; written, an image that a signal brings in."""

    kind: ClassVar[str] = "stacks"
    side: str
    number: int
    component: int

    def symbols(self, template: Template) -> tuple:
        """The image and the signal."""
        return template.image(f"{self.side}_image{self.number}"), template.signal(f"{self.side}_signal{self.number}")

    def bind(self, image: Array, signal: Array) -> Bindings:
        """The image; the signal, a number for each row."""
        return Bindings(
            {f"{PREFIX}{self.side}_image{self.number}": image},
            {f"{PREFIX}{self.side}_signal{self.number}": Rows(signal)},
        )

    def result(self, bindings: Bindings) -> Array:
        """The image."""
        return bindings.arrays[f"{PREFIX}{self.side}_image{self.number}"]


@dataclass(frozen=True)
class FieldPort:
    """A component in all cells at every step."""

    kind: ClassVar[str] = "field"
    side: str
    component: int

    def symbols(self, template: Template):
        """The field."""
        return template.saved(f"{self.side}{self.component}_field")

    def bind(self, rows: Rows) -> Bindings:
        """The field, an entry for each row."""
        return Bindings(rows={f"{PREFIX}{self.side}{self.component}_field": rows})


@dataclass(frozen=True)
class ImagePort:
    """Perturbations of parameters: written, the Born source; read, the gradient."""

    kind: ClassVar[str] = "image"
    side: str
    component: ClassVar[int] = 0

    def symbol(self, template: Template, tangent, halo: bool):
        """The image by a tangent (read), whose own symbol is what is written."""
        return template.image(self._name(tangent.name.removeprefix(f"{PREFIX}d_")), halo=halo)

    def bind(self, images: Mapping[str, Array]) -> Bindings:
        """An array for each parameter, by its name."""
        return Bindings({PREFIX + self._name(parameter): a for parameter, a in images.items()})

    def result(self, bindings: Bindings, parameters: Iterable[str]) -> dict[str, Array]:
        """The images."""
        return {parameter: bindings.arrays[PREFIX + self._name(parameter)] for parameter in parameters}

    def _name(self, parameter: str) -> str:
        return f"read_d_{parameter}" if self.side == READ else f"d_{parameter}"


@dataclass(frozen=True)
class Ports:
    """Which ways into (or out of) the wavefield a kernel has: what kernels are told apart by.

    Attributes
    ----------
    points : tuple of int
        Components (by number, of the system's entries or exits) with traces at points.
    stacks : tuple of int
        The component of every wavelet-weighted stack.
    field : tuple of int
        Components with the whole field at every step.
    image : bool
        Perturbations of parameters (writing: Born source; reading: gradient).
    history : bool
        The background's factors (reading only).
    edges : bool
        What is needed along the edges of the model to go backward in time (reading only).
    """

    points: tuple[int, ...] = ()
    stacks: tuple[int, ...] = ()
    field: tuple[int, ...] = ()
    image: bool = False
    history: bool = False
    edges: bool = False

    @classmethod
    def of(cls, ports: Iterable[PointsPort | StackPort | FieldPort | ImagePort], records: Ports | None = None) -> Ports:
        """The ways that some ports are, and those that record a background."""
        components: dict[str, list[int]] = {"points": [], "stacks": [], "field": [], "image": []}
        for port in ports:
            components[port.kind].append(port.component)
        return cls(
            points=tuple(sorted(components["points"])),
            stacks=tuple(components["stacks"]),
            field=tuple(sorted(components["field"])),
            image=bool(components["image"]),
            history=records is not None and records.history,
            edges=records is not None and records.edges,
        )

    def at_points(self, side: str) -> list[PointsPort]:
        """The ports at points."""
        return [PointsPort(side, component) for component in self.points]

    def stacked(self, side: str) -> list[StackPort]:
        """The ports of stacks."""
        return [StackPort(side, number, component) for number, component in enumerate(self.stacks)]

    def whole(self, side: str) -> list[FieldPort]:
        """The ports of whole fields."""
        return [FieldPort(side, component) for component in self.field]
