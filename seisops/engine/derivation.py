"""What follows from an equation with its layer: its adjoint, its derivatives, its loops over time; in symbols.

All that is said here to others is plain data, so that they need not derive what an earlier process noted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from seisops.engine.derive.born import Born, born
from seisops.engine.derive.reverse import edges, reverse, unknown
from seisops.engine.derive.strips import Strips, reach_of_layer, reach_of_parameters
from seisops.engine.derive.system import System, adjoint
from seisops.engine.facts import FACTORS, EdgeArray, Field, History, Keep, Layer, Marched, Reach
from seisops.engine.lower.ports import Ports
from seisops.engine.lower.timeloop import Replayed, TimeLoop
from seisops.engine.symbols.names import PREFIX

__all__ = ["Both", "Derivation"]


@dataclass(frozen=True)
class Both:
    """An equation with its layer, and its adjoint."""

    system: System
    transposed: System

    @classmethod
    def of(cls, system: System) -> Both:
        """An equation with its adjoint."""
        return cls(system, adjoint(system))

    @property
    def compact(self) -> Mapping:
        """Axes along which fields and profiles are compact."""
        return {**self.system.compact, **self.transposed.compact}

    def reach(self) -> Reach:
        """How far it looks."""
        axes = list(self.system.template.dimensions)
        return Reach(
            tuple((name, axes.index(d)) for name, d in self.compact.items()),
            max(map(reach_of_layer, (self.system, self.transposed))),
            reach_of_parameters(self.system),
            any(p.denominator > 1 for where in self.system.positions.values() for p in where),
            self.system.closing is not None,
        )


class Derivation:
    """An equation whose layer has a certain width.

    Parameters
    ----------
    both : Both
    layer : Layer
        Where the fields of its layer live.
    """

    def __init__(self, both: Both, layer: Layer):
        template = both.system.template
        axes = template.dimensions if layer.compact else ()
        self.both = both
        self.strips = Strips(
            template,
            both.compact if layer.compact else {},
            dict(zip(axes, layer.widths, strict=False)),
            dict(zip(axes, layer.sides, strict=False)),
            layer.cells,
            layer.halo,
            layer.overlapping,
        )
        self._borns: dict[tuple, Born] = {}

    @cached_property
    def reversed(self) -> System:
        """The equation run backward in time, without its layer."""
        return reverse(self.both.system, self.strips)

    def system(self, transposed: bool) -> System:
        """The equation, or its adjoint."""
        return self.both.transposed if transposed else self.both.system

    def marched(self, transposed: bool) -> Marched:
        """What there is to know to march it."""
        system = self.system(transposed)
        fields = [self._field(u, lead) for u, lead in zip(system.fields, system.leads, strict=True)]
        return Marched(system.direction, system.entries, system.exits, tuple(fields))

    def _field(self, u, lead: int) -> Field:
        parts, home = tuple(part.name for _, part in self.strips.parts(u)), self.strips.compact.get(u.name)
        if home is None:
            return Field(u.name, u.time_order, lead, parts)
        axis = self.strips.template.dimensions.index(home)
        return Field(u.name, u.time_order, lead, parts, axis, self.strips.widths[home] + 2 * self.strips.halo)

    def born(self, wrt: Sequence[str], keep: Keep = FACTORS, present: bool = False) -> Born:
        """Its derivative by some coefficients."""
        key = (tuple(wrt), keep, present)
        if key not in self._borns:
            self._borns[key] = born(self.both.system, *key)
        return self._borns[key]

    def histories(self, wrt: Sequence[str], keep: Keep, present: bool) -> tuple[History, ...]:
        """What of a background its derivative needs."""
        linearised = self.born(wrt, keep, present)
        out = []
        for h, factor in zip(linearised.histories, linearised.factors, strict=True):
            # of factors, which may be what lives in strips, nothing earlier is looked at
            field = factor.function.name if factor in linearised.fields else ""
            halo = self.strips.template.halo if h.function.space_order else 0
            out.append(History(h.function.name, halo, linearised.before, field))
        return tuple(out)

    def beyond(self, wrt: Sequence[str]) -> frozenset[str]:
        """The coefficients whose perturbations and images go beyond the grid."""
        return frozenset(p.name.removeprefix(f"{PREFIX}d_") for p in self.born(wrt).continued)

    def edges(self, wrt: Sequence[str]) -> tuple[EdgeArray, ...]:
        """What is kept along the edges to run a background backward."""
        linearised, axes = self.born(wrt, present=True), self.strips.template.dimensions
        part = unknown(self.strips, linearised)
        kept = [(u, "ring") for u in self.reversed.fields] + [(h.function, part) for h in linearised.histories]
        return tuple(
            EdgeArray(PREFIX + edge.name(function), axes.index(edge.axis), edge.cells)
            for function, part in kept
            for edge in edges(self.strips, part)
        )

    def loop(
        self, transposed: bool, write: Ports, read: Ports, wrt: Sequence[str], keep: Keep, again: Ports | None
    ) -> TimeLoop:
        """A loop over time."""
        linearised = self.born(wrt, keep, bool(again) or read.edges) if wrt else None
        replayed = Replayed(self.reversed, again) if again else None
        return TimeLoop(self.system(transposed), write, read, linearised, self.strips, replayed)
