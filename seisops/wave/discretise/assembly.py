"""The discrete system of a wave equation: with a boundary, as it is solved, and without, as its scheme is analysed."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Any, Protocol

from seisops.engine.derive.closing import Closing
from seisops.engine.derive.describe import describe_system
from seisops.engine.derive.layers import Stretch
from seisops.engine.derive.strips import reach_of_fields
from seisops.engine.derive.system import System, expand_time
from seisops.engine.stability.rows import TakenApart
from seisops.engine.stability.timing import times
from seisops.engine.symbols.location import misplaced
from seisops.engine.symbols.names import PREFIX
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import occurrences, time_offset
from seisops.errors import ParameterError
from seisops.wave.discretise.interior import Interior
from seisops.wave.faces import RIGID

__all__ = ["Equation", "assemble", "described", "interior"]


class Equation(Protocol):
    """What is asked of a wave equation; see :class:`~seisops.WaveEquation`."""

    parameters: tuple[str, ...]
    fields: tuple[str, ...]
    channels: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]
    staggering: Mapping[str, tuple[float, ...]]
    timing: Mapping[str, float]
    surface: Mapping[str, int]
    tractions: Sequence[str]
    leapfrog: bool

    def residual(self, fields: Any, parameters: Any) -> Sequence: ...


def symbols(equation: Equation, template: Template):
    """The namedtuples that a residual is written with."""
    fields = namedtuple("fields", equation.fields)(*(template.field(name) for name in equation.fields))
    parameters = namedtuple("parameters", equation.parameters)(*(template.parameter(n) for n in equation.parameters))
    return fields, parameters


def residuals(equation: Equation, template: Template) -> tuple[tuple, tuple]:
    """The fields of an equation and its rows as its author wrote them."""
    fields, parameters = symbols(equation, template)
    try:
        rows = tuple(equation.residual(fields, parameters))
    except ValueError as error:
        if "fd_order" not in str(error):
            raise
        raise ParameterError(
            f"{type(equation).__name__}.residual has a derivative of a higher order than space_order={template.space_order} "
            f"({error}): model with a space_order that is at least as high"
        ) from error
    if len(rows) != len(fields):
        raise ParameterError(f"{type(equation).__name__}.residual returned {len(rows)} rows for {len(fields)} fields")
    return fields, rows


def _plain(equation: Equation, template: Template) -> System:
    """An equation without boundaries."""
    fields, rows = residuals(equation, template)
    return System(template, fields, tuple(expand_time(row, template) for row in rows), ({0: 1.0},), ({0: 1.0},))


def within(equation: Equation, system: System) -> Interior:
    """What is known of an equation without boundaries, given its system."""
    rows = TakenApart(system)
    at, after = times(rows, equation.leapfrog)
    for i, name in enumerate(equation.fields):
        if name in equation.timing:
            shift = Fraction(equation.timing[name]) - at[i]
            at[i], after[i] = at[i] + shift, after[i] + shift
    names, order = rows.symbol.fields, system.template.space_order
    halo = max(ceil(reach_of_fields(system) / order), 1) * order
    return Interior(rows.symbol, halo, dict(zip(names, at, strict=True)), dict(zip(names, after, strict=True)))


def interior(equation: Equation, template: tuple[int, int, str]) -> Interior:
    """What is known of an equation without boundaries."""
    return within(equation, _plain(equation, Template(*template)))


def described(equation: Equation, ndim: int) -> tuple[str, Mapping[str, Fraction], Mapping[str, Fraction]]:
    """An equation without boundaries as text, and where its fields and rows stand in time; see :class:`Interior`."""
    try:
        system = _plain(equation, Template(ndim, 4, "float64"))
    except ParameterError:  # it says of a derivative that it is of a higher order
        system = _plain(equation, Template(ndim, 16, "float64"))
    found = within(equation, system)
    return describe_system(system), found.times, found.row_times


def _require_levels(equation: Equation, system: System) -> None:
    """Refuse rows that look further back than fields are kept."""
    for name, u, lead in zip(equation.fields, system.fields, system.leads, strict=True):
        for row in system.residuals:
            earliest = min((time_offset(f) for f in occurrences(row, u)), default=lead)
            if earliest < lead - u.time_order:
                raise ParameterError(
                    f"{type(equation).__name__}.residual reads {name} {lead - earliest} steps before the one that it "
                    f"determines: {u.time_order} are kept; introduce a field that holds an earlier one"
                )


def _require_symmetry(equation: Equation, rows: list, positions: Mapping, template: Template) -> None:
    """Refuse rows that are not the same in the mirror image above a free surface, where parameters are even."""
    for row in rows:
        for f, at, there in misplaced(row, positions, template.dimensions, template.ndim - 1):
            raise ParameterError(
                f"{type(equation).__name__}.residual takes {f.function.name.removeprefix(PREFIX)} {_cells(at)} along z, and "
                f"multiplies by it what lies {_cells(there)}: above a free surface that is another equation than below; "
                "take it there by Derivative(..., z, deriv_order=0, fd_order=2, x0={z: z + z.spacing / 2}), or without it"
            )


def _cells(at: Fraction) -> str:
    return "at the nodes" if at == 0 else f"{float(at):+g} cells from the nodes"


def assemble(equation: Equation, template: Template, boundary, surface: str) -> System:
    """The discrete system of an equation with its boundary.

    Parameters
    ----------
    equation : Equation
        Only its structure matters, not its arrays.
    template : Template
    boundary : PML, Sponge or None
    surface : str
        ``"free"``, ``"rigid"`` or ``""``.
    """
    fields, rows = residuals(equation, template)
    rows = [expand_time(row, template) for row in rows]
    plain = System(template, fields, tuple(rows), ({0: 1.0},), ({0: 1.0},))
    mirrored = bool(surface) and not equation.tractions
    if mirrored and not set(equation.surface) >= set(equation.fields):
        raise ParameterError(
            f"{type(equation).__name__} does not say how its fields behave at a surface: set its attribute "
            "`surface` to {field: -1 or 1}, or `tractions` to the fields that vanish there, or model without a free surface"
        )
    positions = {
        f.name: tuple(Fraction(p) for p in equation.staggering.get(n, (0,) * template.ndim))
        for n, f in zip(equation.fields, fields, strict=True)
    }
    if surface and any(where[-1] < 0 for where in positions.values()):
        raise ParameterError(
            f"{type(equation).__name__}.staggering={dict(equation.staggering)}: at a surface, fields half a cell "
            "from the nodes along z have to lie below them: state it as 0.5, and shift the derivatives accordingly"
        )
    if mirrored:
        _require_symmetry(equation, rows, positions, template)
    # what is odd about a free surface is even about a rigid one, and what vanishes on one is free on the other
    free = surface != RIGID
    parity = {}
    if mirrored:
        of = equation.surface
        parity = {template.parameter(n).name: of[n] for n in equation.parameters if n in of}
        parity |= {f.name: of[n] * (1 if free else -1) for n, f in zip(equation.fields, fields, strict=True)}
    vanishing = [f.name for n, f in zip(equation.fields, fields, strict=True) if (n in equation.tractions) == free]
    closing = Closing(template, vanishing) if surface and equation.tractions else None
    stretch = (boundary.stretch if boundary else Stretch)(template, fields, positions, parity, closing)
    unheard, unfelt = closing.silent(rows, fields, positions) if closing else (frozenset[str](), frozenset[str]())
    if closing:
        rows = closing.condensed(rows, fields, positions)
    rows = [stretch(stretch.damped(row)) for row in rows]
    order = {name: i for i, name in enumerate(equation.fields)}
    driven, heard = zip(*equation.channels, strict=True)
    known = within(equation, plain)
    _require_levels(equation, plain)
    return System(
        template,
        tuple(stretch.fields),
        tuple(rows + stretch.rows),
        source=tuple({order[n]: w for n, w in weights.items()} for weights in driven),
        observe=tuple({order[n]: w for n, w in weights.items()} for weights in heard),
        positions=stretch.positions,
        times=known.times,
        row_times=known.row_times,
        parity=stretch.parity if mirrored else None,
        compact=stretch.compact,
        closing=closing,
        unheard=unheard,
        unfelt=unfelt,
    )
