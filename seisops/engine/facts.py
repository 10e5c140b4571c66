"""What there is to know of an equation to march it: plain data, derived once and noted for later processes."""

from __future__ import annotations

from dataclasses import dataclass

from seisops.engine.symbols.places import Component

__all__ = ["FACTORS", "EdgeArray", "Field", "History", "Keep", "Layer", "Marched", "Reach"]


@dataclass(frozen=True)
class Field:
    """Where a field of a system is kept.

    Attributes
    ----------
    name : str
        Of its symbol.
    order : int
        Time levels that it has beside the newest.
    lead : int
        Time offset at which its row determines it.
    parts : tuple of str
        The arrays that hold it: one, or those at the ends of an axis along which it is compact.
    axis, cells : int
        That axis and the extent of the arrays along it, halo included; -1 and 0 for a field on the whole grid.
    """

    name: str
    order: int
    lead: int
    parts: tuple[str, ...]
    axis: int = -1
    cells: int = 0

    @property
    def compact(self) -> bool:
        """Whether it lives in strips, where it is advanced in place."""
        return self.axis >= 0


@dataclass(frozen=True)
class Marched:
    """An equation in its direction of time.

    Attributes
    ----------
    direction : int
        1 when it is solved forward in time, -1 when backward.
    entries, exits : tuple of Component
        What sources enter; what is observed.
    fields : tuple of Field
    """

    direction: int
    entries: tuple[Component, ...]
    exits: tuple[Component, ...]
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Reach:
    """How far an equation with its layer looks.

    Attributes
    ----------
    compact : tuple of (str, int)
        Fields and profiles of the layer that live along an axis only, and that axis.
    layer : int
        Cells beyond the layer up to which it has an influence, along any axis.
    parameters : int
        Cells around, along any axis, from which averages and derivatives of parameters alone are made.
    between : bool
        Whether fields lie between the nodes.
    closed : bool
        Whether differences end at a free surface.
    """

    compact: tuple[tuple[str, int], ...]
    layer: int
    parameters: int
    between: bool
    closed: bool = False

    def lives_along(self, axis: int) -> bool:
        """Whether anything of the layer is compact along an axis."""
        return any(home == axis for _, home in self.compact)


@dataclass(frozen=True)
class Layer:
    """Where the fields of a layer live: in strips along the edges of the grid, or on all of it.

    Attributes
    ----------
    compact : tuple of (str, int)
        As of `Reach`; empty where they live on the whole grid.
    widths : tuple of int
        Cells of a strip along each axis.
    sides : tuple of tuple of str
        Ends of each axis that have a layer: "low", "high".
    cells : int
        Cells of the layer, the outermost of a strip.
    halo : int
        Cells around a strip that its arrays have.
    overlapping : bool
        Whether strips at the ends of an axis have cells in common.
    """

    compact: tuple[tuple[str, int], ...] = ()
    widths: tuple[int, ...] = ()
    sides: tuple[tuple[str, ...], ...] = ()
    cells: int = 0
    halo: int = 0
    overlapping: bool = False


@dataclass(frozen=True)
class Keep:
    """What is kept of a background for its derivative.

    Attributes
    ----------
    every : int
        Every how many time steps it is kept, and acts.
    fields : bool
        Whether fields are kept in place of factors that can be made of them again, at this step and those before, where
        there are fewer of them; at every step only.
    """

    every: int = 1
    fields: bool = False


#: The factors, at every step.
FACTORS = Keep()


@dataclass(frozen=True)
class History:
    """What is kept of a background, step by step: a factor of it, or a field.

    Attributes
    ----------
    name : str
        Of its symbol.
    halo : int
        Cells around the grid that its arrays have.
    before : int
        Entries that precede that of the first step.
    field : str
        Name of the field that it is, of which these are earlier levels; else empty.
    """

    name: str
    halo: int
    before: int = 0
    field: str = ""


@dataclass(frozen=True)
class EdgeArray:
    """What is kept of a function along an edge: the name of its array, the axis, and cells along that."""

    name: str
    axis: int
    cells: int
