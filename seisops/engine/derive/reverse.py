"""A lossless wave equation run backward in time, from what was seen along the edges of the model.

The rows of a wave equation also determine its fields at the earliest time that they contain. Inside the model, where there
is no layer, the wavefield can so be made again from its last two levels and from values in a ring along the edges (as
wide as stencils reach), which the forward run has kept (Dussaud et al. 2008, doi:10.1190/1.3059336).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from devito import Derivative

from seisops.engine.derive.born import Born
from seisops.engine.derive.strips import Strips
from seisops.engine.derive.system import System
from seisops.engine.symbols.names import PREFIX
from seisops.engine.symbols.terms import move

__all__ = ["Edge", "earliest", "edges", "reverse", "unknown"]


def reverse(system: System, strips: Strips) -> System:
    """The equation without its layer, each row determining its field at the earliest time."""
    kept = [i for i, u in enumerate(system.fields) if u.name not in strips.compact]

    def channels(by_row: tuple[Mapping[int, float], ...]) -> tuple[Mapping[int, float], ...]:
        return tuple({kept.index(i): w for i, w in channel.items()} for channel in by_row)

    return replace(
        system,
        fields=tuple(system.fields[i] for i in kept),
        residuals=tuple(strips.separate(system.residuals[i])[frozenset()] for i in kept),
        source=channels(system.source),
        observe=channels(system.observe),
        direction=-system.direction,
        compact={},
    )


def earliest(system: System) -> tuple:
    """The fields at the times that the rows of a reversed system determine."""
    step = system.template.step
    return tuple(
        move(u, {step: step + k * step.spacing}) if k else u for u, k in zip(system.fields, system.leads, strict=True)
    )


@dataclass(frozen=True)
class Edge:
    """Some cells at one end of an axis, in which a field is kept at every step.

    Attributes
    ----------
    axis : devito.Dimension
    side : str
        ``"low"`` or ``"high"``.
    first, cells : int
        Cells of the strip: the first of them, counted from the low end of the strip, and their number.
    """

    axis: object
    side: str
    first: int
    cells: int

    def name(self, function) -> str:
        """Name of the array that keeps a function here."""
        return f"edge_{function.name.removeprefix(PREFIX)}_{self.axis.name}_{self.side}"


def edges(strips: Strips, part: str = "strip") -> Iterator[Edge]:
    """Where values are kept: in the whole strips along the edges, in their layer only, or in the ring that this leaves."""
    for axis, sides in strips.sides.items():
        width, layer = strips.widths[axis], min(strips.layer, strips.widths[axis])
        for side in sides:
            low = side == "low"
            yield {
                "strip": Edge(axis, side, 0, width),
                "layer": Edge(axis, side, 0 if low else width - layer, layer),
                "ring": Edge(axis, side, layer if low else 0, width - layer),
            }[part]


def unknown(strips: Strips, born: Born) -> str:
    """The part of the strips in which factors of a background do not follow from its fields inside and in the ring.

    In the ring they follow if nobody looks around there, neither they at the fields nor others at them.
    """
    looking = (
        bool(born.apart)
        or any(h.function.space_order for h in born.histories)
        or any(f.has(Derivative) for f in born.factors)
    )
    layered = any(set(strips.separate(f)) != {frozenset()} for f in born.factors)
    return "strip" if looking or layered else "layer"
