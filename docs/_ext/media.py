"""Directives that say what media declare.

They are ``.. capabilities::``, ``.. parameters:: Elastic``, ``.. quality::`` and ``.. quantities::``.

Nothing in these tables is written by hand: they are read off the classes, and off media that are made of the lowest
plausible value of all that is needed.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

import seisops as so
from seisops.wave.quantities import ANY

__all__ = ["capabilities", "media", "parameters", "quality", "quantities", "setup"]

#: Numbers that are not to be broken after their hyphens.
UNBROKEN = re.compile(r"(?<![\w`.-])\d+(\.\d+)?e-\d+(?![\w`.-])")


def media() -> dict[str, type[so.WaveEquation]]:
    """The wave equations that the package has, by name."""
    public = {name: getattr(so, name) for name in so.__all__}
    return {
        name: thing
        for name, thing in sorted(public.items())
        if isinstance(thing, type) and issubclass(thing, so.WaveEquation) and thing is not so.WaveEquation
    }


def example(kind: type[so.WaveEquation], ndim: int, **others: Any) -> so.WaveEquation:
    """A medium of a few cells; of what need not be given it has what is stated."""
    grid = so.Grid(shape=(4,) * ndim, spacing=10.0)
    needed = [names[0] for names in kind._declared.given if not any(name in kind.defaults for name in names)]
    return kind(grid, **({name: _lowest(kind, name) for name in needed} | others))


def _lowest(kind: type[so.WaveEquation], name: str) -> float:
    ends = kind.quantities.get(name, ANY).plausible
    return 1.0 if ends is None else ends[0]


def capabilities() -> list[list[str]]:
    """Rows of a table, the first its head: what each medium is given by, hears and drives, and where."""
    rows = [["medium", "given by", "components in 2D", "more in 3D", "free surface", "PML by default"]]
    for name, kind in media().items():
        flat, deep = example(kind, 2), example(kind, 3)
        more = [c for c in deep.components if c not in flat.components]
        layer = f"multi-axial, {flat.multiaxial:g}" if flat.multiaxial else "plain"
        rows.append(
            [
                f":class:`~seisops.{name}`",
                ", ".join(_alternatives(kind, names) for names in kind._declared.given),
                ", ".join(flat.components),
                ", ".join(more) or "none",
                "yes" if flat.surface or flat.tractions else "no",
                layer,
            ]
        )
    return rows


def _alternatives(kind: type[so.WaveEquation], names: tuple[str, ...]) -> str:
    said = " or ".join(f"``{name}``" for name in names)
    return f"[{said}]" if any(name in kind.defaults for name in names) else said


def parameters(name: str) -> list[list[str]]:
    """Rows of a table, the first its head: all that a medium may be given by."""
    kind = media()[name]
    rows = [["parameter", "instead of", "unit", "plausible", "left out", "other units"]]
    for names in kind._declared.given:
        for n in names:
            quantity = kind.quantities.get(n, ANY)
            ends = quantity.plausible
            plausible = f"{quantity.summit:g} or more in size, or 0" if quantity.summit else ""
            default = kind.defaults.get(n, "") if n in kind.defaults else ""
            rows.append(
                [
                    f"``{n}``",
                    f"``{names[0]}``" if n != names[0] else "",
                    quantity.unit if n not in kind.settings else "a setting",
                    plausible if ends is None else f"{ends[0]:g} to {ends[1]:g}",
                    "absent" if default is None else f"{default:g}" if default != "" else "",
                    ", ".join(quantity.others),
                ]
            )
    return rows


def quantities() -> list[list[str]]:
    """Rows of a table, the first its head: what any medium may be given by, with what is plausible of it, and by which."""
    found: dict[tuple[str, ...], list[str]] = {}
    for medium in media():
        for name, _, unit, plausible, _, others in (_of(row) for row in parameters(medium)[1:]):
            found.setdefault((name, unit, plausible, others), []).append(f":ref:`{medium} <physics-{medium.lower()}>`")
    head = ["parameter", "unit", "plausible", "other units", "of"]
    return [head, *([*said, ", ".join(of)] for said, of in sorted(found.items()))]


def _of(row: list[str]) -> list[str]:
    return [*row[:2], row[2] or "none", row[3] or "any", *row[4:]]


def quality(q: float = 50.0, f0: float = 1.0) -> list[list[str]]:
    """Rows of a table, the first its head: how far the quality factor is from what was asked for, over frequency."""
    from seisops.wave.equations.relaxation import BAND, dispersion, solids
    from seisops.wave.equations.relaxation import quality as of

    octave, band = np.geomspace(0.5, 2.0, 101), np.geomspace(BAND**-0.5, BAND**0.5, 101)
    rows = [["mechanisms", "f0 / 2 to 2 f0", f"a factor of {BAND:g} around f0"]]
    for count in (1, 2, 3, 4):
        found = solids(f0, count)
        times, weights = [one.time for one in found], [one.weight for one in found]
        tau = example(so.ViscoAcoustic, 2, qp=q, f0=f0, mechanisms=count).tau.flat[0]
        off = [max(abs(of(tau, *dispersion(f0 * x, times, weights)) / q - 1) for x in ends) for ends in (octave, band)]
        rows.append([str(count), *(f"{100 * x:.1f} %" for x in off)])
    return rows


def table(rows: list[list[str]]) -> str:
    """Rows as reStructuredText, without columns that are empty."""
    full = [k for k in range(len(rows[0])) if any(row[k] for row in rows[1:])]
    lines = [".. list-table::", "   :header-rows: 1", *["   :class: many"] * (len(full) > 7), ""]
    for row in rows:
        lines += [f"   {'* -' if k == full[0] else '  -'} {_whole(row[k])}".rstrip() for k in full]
    return "\n".join([*lines, ""])


def _whole(cell: str) -> str:
    """A cell whose numbers do not go on in the next line after a hyphen."""
    return UNBROKEN.sub(lambda found: found[0].replace("-", "\N{NON-BREAKING HYPHEN}"), cell)


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    from sphinx.util.docutils import SphinxDirective

    made = {f.__name__: f for f in (capabilities, parameters, quality, quantities)}

    class Table(SphinxDirective):
        """A table that a function of this module makes, of the arguments of the directive."""

        optional_arguments = 1

        def run(self) -> list:
            return self.parse_text_to_nodes(table(made[self.name](*self.arguments)))

    for name in made:
        app.add_directive(name, Table)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
