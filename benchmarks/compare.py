"""seisops, deepwave and Devito's example solver in turn: time, memory and reflections at the same problems.

    python benchmarks/compare.py [--small] [--cases NAME ...] [--storage NAME ...] [--rounds N] [--out FOLDER]
    python benchmarks/compare.py --scaling [--small] [--out FOLDER]

The codes compute the same in float32: order 8 in space, the same grid, points, wavelet, time step and number of steps, each
with its own default boundary. Acoustic waves are compared among all three, in 2D and 3D, with gradients and least-squares
migration; in 2D, modeling and gradients by all parameters with deepwave: acoustic waves with density (by vp, rho), elastic
ones of a vertical force, heard as both velocities (vp, vs, rho), VTI (vp, epsilon, delta) and viscoacoustic ones of one
standard linear solid (m, qp); and modeling of TTI with Devito's example solver. The default layer of seisops for elastic
waves absorbs less than deepwave's, and does not let waves of rough media grow: such cases take a layer that absorbs more,
``PML(12, multiaxial=0)``, and have the default beside it.

Every code at every case runs in a process of its own, and rounds of timed calls go from process to process. What they
compute is compared in the same run, and the table says by how much it differs: results that differ by more than five per
cent without being called approximate make the exit status 1.

Files in the folder: ``compare.md`` (machine and tables), ``compare.csv``, ``compare.json``, ``compare.png`` and
``compare.log`` (what the codes print); with ``--scaling`` the same named ``scaling``. A full run takes about an hour
on two cores and up to 20 GiB of memory; what needs more than there is is skipped, with a message. The peers are optional:
``pip install deepwave``, and a release of Devito that carries its ``examples``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from peers import machine, scaling, tables
from peers.cases import CASES, MIRRORS, POLICIES, Case, contenders, reflections
from peers.figures import bars, sweeps
from peers.race import Race, Row

PEERS = ("seisops", "deepwave", "devito")
BESIDES = {
    "columns": "/ NAME: ratio of the least times, in parentheses that of the medians; MiB: peak of the resident memory "
    "above import, set-up and compilation included; first s: the first call, compilation included",
    "differs": "relative L2 difference from the first line, nothing fitted; of gradients and images 10 cells off the "
    "edges. In data most of it is time dispersion, which seisops takes out by default, or what boundaries reflect",
    "away from edges": "the same with the example solver's sponge made so wide that next to nothing comes back",
}


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("--small", action="store_true", help="tiny versions of the same cases")
    names = [*CASES, *MIRRORS]
    about.add_argument("--cases", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    about.add_argument("--storage", nargs="+", default=list(POLICIES), metavar="NAME", help="policies, for gradients")
    about.add_argument("--only", nargs="+", metavar="CODE", choices=PEERS, help=f"only these of {', '.join(PEERS)}")
    about.add_argument("--rounds", type=int, help="rounds of timed calls; by default 2 to 9, by the case")
    about.add_argument("--threads", type=int, default=machine.cores(), help="by default one for each physical core")
    about.add_argument("--scaling", action="store_true", help="seisops alone, against sizes of the problem")
    about.add_argument("--out", type=Path, default=Path("benchmark-results"), metavar="FOLDER")
    return about.parse_args(given)


def say(line: str) -> None:
    print(line, flush=True)


def raced(case: Case, options: argparse.Namespace, log) -> list[Row]:
    """A case."""
    problem = case.small if options.small else case.problem
    who = contenders(case, options.storage, options.small)
    who = [c for c in who if not options.only or c.peer in options.only]
    say(f"{case.name}: {case.title}, {' x '.join(map(str, problem.shape))} cells, {problem.samples - 1} steps")
    # small runs take longer to set up than to run, and nobody reads their figures
    race = Race(case.task, problem, options.threads, say, log, abreast=machine.cores() if options.small else 1)
    rows = race.run(who, options.rounds or (3 if options.small else case.rounds))
    say(tables.aligned(tables.table(rows)) + "\n")
    return rows


def reflected(case: str, options: argparse.Namespace, log) -> dict[str, dict[str, float]]:
    """Reflections of each code in dB."""
    say(f"{case}: the source in the centre, and two cells from the edge")
    problem, who = reflections(case, options.small)
    found = {}
    for contender in who:
        if not options.only or contender.peer in options.only:
            found[contender.name] = Race("reflection", problem, options.threads, say, log).once(contender)
    say(tables.aligned(tables.levels(found)) + "\n")
    return found


def compare(options: argparse.Namespace, log) -> int:
    """Measure, write after each case, and return the exit status."""
    about = {**machine.describe(options.threads), **BESIDES}
    found, mirrors = {}, {}
    for name in options.cases:
        if name in CASES:
            found[name] = raced(CASES[name], options, log)
        else:
            mirrors[name] = reflected(name, options, log)
        publish(options.out, {**about, "load at the end": machine.load()}, found, mirrors)
    bad = [(name, row) for name, rows in found.items() for row in tables.wrong(rows)]
    for name, row in bad:
        why = row.why or "differs by " + tables.percent(row.away or row.differs)
        say(f"WRONG: {name}, {row.contender.name}: {why}")
    return 1 if bad else 0


def publish(folder: Path, about: dict[str, str], found: dict[str, list[Row]], mirrors: dict) -> None:
    """What there is so far, as files."""
    parts = ["# seisops and its peers", listed(about)]
    for name, rows in found.items():
        parts.append(f"## {name}: {CASES[name].title}\n\n{markdown(tables.table(rows))}")
    for name, levels in mirrors.items():
        parts.append(f"## Energy of reflections: {name}\n\n{markdown(tables.levels(levels))}")
    write(folder / "compare", parts, tables.records(found), {"machine": about, **mirrors})
    bars(found, folder / "compare.png")


def scale(options: argparse.Namespace, log) -> int:
    """The sweeps of seisops alone."""
    about = machine.describe(options.threads)
    points = scaling.points(options.storage, options.small)
    found = scaling.measure(points, options.threads, say, log, options.rounds or 3)
    about["load at the end"] = machine.load()
    parts = ["# How seisops scales", listed(about)]
    for sweep in dict.fromkeys(p["sweep"] for p in found):
        parts.append(f"## {sweep}\n\n{markdown(lines([p for p in found if p['sweep'] == sweep]))}")
    costs = scaling.overhead(found)
    parts.append("\n".join(f"- {line}: {cost:.2f} ms for each further shot" for line, cost in costs.items()))
    write(options.out / "scaling", parts, found, {"machine": about, "overhead_ms": costs})
    sweeps(found, options.out / "scaling.png")
    return 0


def lines(points: Sequence[dict]) -> list[list[str]]:
    """Records as lines of a table."""
    names = [name for name in points[0] if name not in ("sweep", "x", "unit")]
    form = {float: "{:.4g}".format}
    return [names, *([form.get(type(p[n]), str)(p[n]) for n in names] for p in points)]


def markdown(table: Sequence[Sequence[str]]) -> str:
    return tables.aligned(table, markdown=True)


def listed(about: dict[str, str]) -> str:
    return "\n".join(f"- **{name}**: {text}" for name, text in about.items())


def write(stem: Path, parts: Sequence[str], records: Sequence[dict], about: dict) -> None:
    """The three files beside the figure."""
    stem.with_suffix(".md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    tables.write_csv(stem.with_suffix(".csv"), records)
    tables.write_json(stem.with_suffix(".json"), {**about, "rows": records})


def main(given: Sequence[str] | None = None) -> int:
    options = arguments(given)
    options.out.mkdir(parents=True, exist_ok=True)
    start, name = perf_counter(), "scaling" if options.scaling else "compare"
    with (options.out / f"{name}.log").open("w", encoding="utf-8") as log:
        status = scale(options, log) if options.scaling else compare(options, log)
    say(f"{perf_counter() - start:.0f} s; written to {options.out / name}.md, .csv, .json, .png and .log")
    return status


if __name__ == "__main__":
    sys.exit(main())
