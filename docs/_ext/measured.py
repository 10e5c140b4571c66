"""Directives that say what media were measured to do: ``.. measured:: Elastic``, ``.. policies::``, ``.. refused::``,
``.. speeds::`` and ``.. measurements::``; and beside other codes: ``.. beside::``, ``.. reflected::``, ``.. conditions::``.

Nothing in these tables is written by hand: they are made of ``docs/capabilities.csv`` and ``docs/speeds.csv``, which
``benchmarks/capabilities.py`` writes, and of ``docs/media.json``, a ``compare.json`` of ``benchmarks/compare.py``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from media import media, table

__all__ = [
    "beside",
    "conditions",
    "measured",
    "measurements",
    "policies",
    "reflected",
    "refused",
    "rows",
    "setup",
    "speeds",
]

DOCS = Path(__file__).resolve().parents[1]

Row = dict[str, str]

NOTHING = "–"


@cache
def rows(name: str = "capabilities") -> list[Row]:
    """The rows of a file of measurements."""
    with (DOCS / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measurements() -> list[list[str]]:
    """How many there are, with what, and when."""
    found = rows()
    counts = [sum(row["what"] == what for row in found) for what in ("F", "extended", "J", "taylor", "off")]
    head = ["modeling", "extended sources", "derivatives", "Taylor rates", "gradients", "refused", "with", "from", "to"]
    days = sorted({row["date"] for row in found})
    by = "; ".join(sorted({row["versions"] for row in found}))
    return [head, [*map(str, counts), str(sum(bool(row["refused"]) for row in found)), by, days[0], days[-1]]]


def measured(name: str) -> list[list[str]]:
    """Rows of a table, the first its head: the largest errors of a medium's modeling and of its derivatives."""
    mine = [row for row in rows() if row["medium"] == name]
    if not mine:
        raise ValueError(f".. measured:: {name}: docs/capabilities.csv has no row of it; it has {sorted(media())}")
    flat = [row for row in mine if row["dims"] == "2" and row["dtype"] == "float64"]
    first = flat[0]
    # what is looked at apart from the boundary stands in columns of its own
    plain = [row for row in flat if row["driven"] == row["heard"] == first["driven"] and row["storage"] in ("", "Full")]
    columns: dict[str, list[Row]] = {}
    for boundary in dict.fromkeys(row["boundary"] for row in plain):
        for surface in dict.fromkeys(row["surface"] for row in plain):
            said = f"{boundary}, {surface} surface" if surface else boundary
            columns[said] = [row for row in plain if (row["boundary"], row["surface"]) == (boundary, surface)]
    columns["other components"] = [row for row in flat if row["driven"] != row["heard"]]
    columns["other policies"] = [row for row in flat if row["storage"] not in ("", "Full")]
    columns["3D"] = [row for row in mine if row["dims"] == "3" and row["dtype"] == "float64"]
    columns["single precision"] = [row for row in mine if row["dtype"] == "float32"]
    lines: dict[str, Callable[[Row], bool]] = {
        "modeling": lambda row: row["what"] == "F",
        "extended sources": lambda row: row["what"] == "extended",
    }
    for p in dict.fromkeys(p for row in mine for p in row["parameter"].split()):
        lines[f"by ``{p}``"] = lambda row, p=p: row["what"] == "J" and p in row["parameter"].split()
    out = [["", *columns, "Taylor rate"]]
    for said, belongs in lines.items():
        p = said.removeprefix("by ``").removesuffix("``")
        rates = [row for row in mine if row["what"] == "taylor" and row["parameter"].split()[0] == p]
        out.append([said, *(_worst(filter(belongs, of)) for of in columns.values()), _rates(rates)])
    return out


def _worst(some: Iterable[Row]) -> str:
    """The largest error; that all is refused, or that nothing was measured."""
    some = list(some)
    values = [float(row["value"]) for row in some if row["value"]]
    if values:
        return f"{max(values):.0e}" if any(values) else "0"
    return "refused" if some else NOTHING


def _rates(some: Iterable[Row]) -> str:
    """The rate that is farthest from 2."""
    values = [float(row["value"]) for row in some if row["value"]]
    return f"{max(values, key=lambda x: abs(x - 2)):.2f}" if values else NOTHING


def policies() -> list[list[str]]:
    """Rows of a table, the first its head: how far the gradient of every policy is from that of whole histories."""
    off = [row for row in rows() if row["what"] == "off"]
    names = list(dict.fromkeys(row["storage"] for row in off))
    out = [["medium", *(f"``{name}``" for name in names)]]
    for medium, given in dict.fromkeys((row["medium"], row["given"]) for row in off):
        mine = {row["storage"]: row for row in off if (row["medium"], row["given"]) == (medium, given)}
        out.append([_called(medium, given), *(_worst([mine[name]]) if name in mine else NOTHING for name in names)])
    return out


def refused() -> list[list[str]]:
    """Rows of a table, the first its head: what cannot be combined, and what the package says to it."""
    said: dict[tuple[str, str], list[Row]] = {}
    for row in rows():
        if row["refused"]:
            said.setdefault((row["medium"], row["refused"]), []).append(row)
    out = [["medium", "with", "is refused by"]]
    for (medium, message), those in said.items():
        ways = dict.fromkeys(map(_way, those))
        out.append([f":class:`~seisops.{medium}`", "; ".join(ways), message])
    return out


def _way(row: Row) -> str:
    """In what a row differs from others that are not refused."""
    if row["storage"] not in ("", "Full"):
        return f"``storage.{row['storage']}``"
    parts = [f"by ``{row['parameter'].split()[0]}``"] if row["parameter"] else [row["boundary"]]
    return ", ".join([*parts, *([f"a {row['surface']} surface"] if row["surface"] else []), f"{row['dims']}D"])


def speeds() -> list[list[str]]:
    """Rows of a table, the first its head: times and memory for a cell and a step."""
    found = rows("speeds")
    base = _called(found[0]["medium"], found[0]["given"])
    out = [
        [
            "medium",
            "modeling, ns",
            "gradient, ns",
            f"modeling / {base}",
            f"gradient / {base}",
            "bytes of a cell",
            "bytes of its history",
        ]
    ]
    for row in found:
        columns = ("forward", "gradient", "forward_relative", "gradient_relative", "solve_bytes", "history_bytes")
        said = (row[column] for column in columns)
        out.append([_called(row["medium"], row["given"]), *said])
    return out


def _called(medium: str, given: str) -> str:
    """A medium, and what it is given of what may be left out."""
    return f"{medium}, {given.replace(' ', ', ')}" if given else medium


@cache
def _compared() -> dict[str, Any]:
    """A comparison with other codes; nothing where none was made yet."""
    path = DOCS / "media.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"machine": {}, "rows": []}


def beside() -> list[list[str]]:
    """Rows of a table, the first its head: times, memory and results of media in all codes that have them."""
    out = [["case", "code", "min s", "median s", "of the peer's least time", "MiB", "differs", "what it does"]]
    for row in _compared()["rows"]:
        ratios = {name.removeprefix("min / "): x for name, x in row.items() if name.startswith("min / ")}
        said = [f"{x:.2f}" + (f" ({name})" if len(ratios) > 1 else "") for name, x in ratios.items()]
        apart = row["away_from_edges"] or row["differs"]
        figures = [NOTHING] * 4
        if row["min"] is not None:
            figures = [f"{row['min']:.3f}", f"{row['median']:.3f}", ", ".join(said), f"{row['memory_mib']:.0f}"]
        agreement = NOTHING if apart is None else f"{100 * apart:.2g} %"
        out.append([f"``{row['case']}``", row["contender"], *figures, agreement, row["note"]])
    return out if len(out) > 1 else [out[0], ["not measured yet", *[NOTHING] * (len(out[0]) - 1)]]


def reflected() -> list[list[str]]:
    """Rows of a table, the first its head: energy of what comes back of elastic waves, in dB."""
    found = _compared().get("elasticreflection") or {"not measured yet": {NOTHING: None}}
    names = list(dict.fromkeys(name for levels in found.values() for name in levels))
    lines = [[code, *(_level(levels.get(name)) for name in names)] for code, levels in found.items()]
    return [["elastic waves, dB", *names], *lines]


def _level(decibel: float | None) -> str:
    return NOTHING if decibel is None else f"{decibel:.1f}"


def conditions() -> list[list[str]]:
    """Rows of a table, the first its head: the machine and the software that media were compared on."""
    said = _compared()["machine"] or {NOTHING: "not measured yet"}
    return [["", "conditions"], *map(list, said.items())]


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    from sphinx.util.docutils import SphinxDirective

    made = {f.__name__: f for f in (beside, conditions, measured, measurements, policies, reflected, refused, speeds)}

    class Table(SphinxDirective):
        """A table that a function of this module makes, of the arguments of the directive."""

        optional_arguments = 1

        def run(self) -> list:
            for name in ("capabilities", "speeds"):
                self.env.note_dependency(str(DOCS / f"{name}.csv"))
            self.env.note_dependency(str(DOCS / "media.json"))
            return self.parse_text_to_nodes(table(made[self.name](*self.arguments)))

    for name in made:
        app.add_directive(name, Table)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
