"""What every medium of the package can do, measured, for the tables of ``docs/capabilities.rst``.

    python benchmarks/capabilities.py [--media NAME ...] [--dims 2] [--given NAME ...] [--boundaries NAME ...] [--missing]
    python benchmarks/capabilities.py --speed

Media, what they are given by, their components, boundaries and storage policies are those that are declared; examples are
those of ``tests/registry.py``. Each row of ``docs/capabilities.csv`` is one measurement in a small random medium with a
fixed seed, which :func:`measure` repeats. What is refused has a row that says how. Rows of what is not measured this time
stay as they are in the file. With ``--speed``, ``docs/speeds.csv`` is made instead: times of one thread for a cell and a
step, of all media in turn. The exit status is 1 if a row is worse than is promised.

Nearly all of the time goes into making kernels, which are kept on disk: half an hour of one core in all, and a tenth of it
the next time.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from functools import cache
from importlib.metadata import version
from itertools import product
from math import isfinite, prod
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pylops

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "docs" / "_ext")]

from cases import BOUNDARIES, World, world  # noqa: E402
from media import media  # noqa: E402
from registry import POLICIES, Kept, example, forms  # noqa: E402

import seisops as so  # noqa: E402
from seisops.check import dot_test, taylor_test  # noqa: E402
from seisops.wave.faces import FREE, RIGID  # noqa: E402

__all__ = [
    "Combination",
    "Row",
    "all_of",
    "combinations",
    "fault",
    "known",
    "measure",
    "speeds",
    "wanted",
    "written",
]

MATRIX, SPEEDS = ROOT / "docs" / "capabilities.csv", ROOT / "docs" / "speeds.csv"

#: The largest error of an adjoint, relative to what is transposed.
ERROR = {"float64": 1e-11, "float32": 1e-5}

#: How far the rate of a Taylor expansion may be from 2.
RATE = 0.1

#: Rounding of a gradient whose policy is exact to rounding.
ROUNDING = 1e-9

#: Storage policies by the names of their classes, each with the example that is registered first.
STORAGE: dict[str, Kept] = {}
for _kept in POLICIES.values():
    STORAGE.setdefault(_kept.kind.__name__, _kept)

#: What z may begin with.
SURFACES = ("", FREE, RIGID)

# speed: cells along each axis, samples, and rounds of which medians are taken
CELLS, SAMPLES, ROUNDS = 400, 201, 5


@dataclass(frozen=True)
class Combination:
    """What is measured.

    Attributes
    ----------
    medium : str
        Name of its class.
    given : str
        What it is given of all that is optional, with spaces between.
    dims : int
    boundary : str
        As in ``tests/cases.py``.
    surface : str
        What z begins with: ``free``, ``rigid``, or nothing but the boundary: empty.
    driven, heard : str
        Components.
    parameter : str
        What is differentiated by, with spaces between; empty without derivatives.
    storage : str
        Name of the policy's class; empty without derivatives.
    dtype : str
    what : str
        ``F``, ``extended`` (F of an extended source) and ``J`` are errors of dot tests; ``taylor`` is the rate of the
        expansion along the first parameter; ``off`` is how far the gradient is from the exact one.
    """

    medium: str
    given: str
    dims: int
    boundary: str
    surface: str
    driven: str
    heard: str
    parameter: str
    storage: str
    dtype: str
    what: str

    @property
    def solve(self) -> tuple:
        """What is solved for: other things are refused where that is."""
        return self.medium, self.given, self.dims, self.boundary, self.surface

    @property
    def names(self) -> tuple[str, ...]:
        """Of parameters."""
        return tuple(self.parameter.split())


@dataclass(frozen=True)
class Row:
    """A measurement.

    Attributes
    ----------
    of : Combination
    value : float or None
        See :class:`Combination`; None if it is refused.
    size : float or None
        Norm of what was computed, by which it is recognised when it is computed again.
    refused : str
        The error's message.
    versions, date : str
    """

    of: Combination
    value: float | None
    size: float | None
    refused: str
    versions: str
    date: str


# ---- what there is to measure


def grid(dims: int) -> so.Grid:
    """Of all examples."""
    return world(ndim=dims).grid


@cache
def made(name: str, given: str, dims: int) -> so.WaveEquation:
    """An example of a medium."""
    return example(media()[name], grid(dims), given.split())


def combinations(name: str, dims: int) -> Iterator[Combination]:
    """All that is measured of a medium.

    In two dimensions with every boundary: modeling, and its derivatives along each parameter. With the first boundary also
    every component, every policy, each parameter alone, and single precision. In three dimensions the first boundary.
    """
    first, *others = product(BOUNDARIES, SURFACES)
    for given in forms(media()[name], grid(dims)):
        medium = made(name, " ".join(given), dims)
        one, *more = medium.components
        plain = Combination(name, " ".join(given), dims, *first, one, one, "", "", "float64", "F")
        parameters = differentiated(medium)
        together, *_ = sets = [" ".join(held(medium, p)) for p in parameters]
        for where in (first, *(others if dims == 2 else ())):
            here = replace(plain, boundary=where[0], surface=where[1])
            yield from solved(here, sets)
            for p in parameters:
                yield replace(here, parameter=" ".join(held(medium, p)), storage="Full", what="taylor")
        yield from solved(replace(plain, dtype="float32"), sets[:1])
        for driven, heard in zip((one, *more), (*more, one), strict=True) if more else ():
            through = replace(plain, driven=driven, heard=heard)
            yield through
            if dims == 2:
                yield replace(through, parameter=together, storage="Full", what="J")
        if dims == 2:
            for p in parameters:
                yield replace(plain, parameter=p, storage="Full", what="J")
            for policy in STORAGE:
                for what in ("J", "off"):
                    if (policy, what) != ("Full", "J"):  # which is there
                        yield replace(plain, parameter=together, storage=policy, what=what)


def all_of() -> list[Combination]:
    """All that is measured of all media, once each."""
    return list(dict.fromkeys(c for name, dims in product(media(), (2, 3)) for c in combinations(name, dims)))


def differentiated(medium: so.WaveEquation) -> list[str]:
    """All that one may differentiate by, in the order in which it is given."""
    return [name for name in medium._declared.names if name in medium.perturbable]


def held(medium: so.WaveEquation, parameter: str) -> tuple[str, ...]:
    """A parameter, and all that is held while it is perturbed."""
    others = (n for n in medium._declared.coordinates((parameter,)) if n in medium.perturbable and n != parameter)
    return parameter, *others


def solved(plain: Combination, sets: Iterable[str]) -> Iterator[Combination]:
    """Modeling from points and from everywhere, and its derivatives by sets of parameters."""
    yield plain
    yield replace(plain, what="extended")
    for names in sets:
        yield replace(plain, parameter=names, storage="Full", what="J")


def wanted(those: Iterable[Combination], found: dict[Combination, Row]) -> list[Combination]:
    """Those of which there are rows: what is refused of a solve is said once."""
    refused = {c.solve for c, row in found.items() if c.what == "F" and row.refused}
    return [c for c in those if c.what == "F" or c.solve not in refused]


# ---- measuring


class IndependentError(ValueError):
    """Data do not depend on a parameter, as in two dimensions on one of three."""


@cache
def modeled(name: str, given: str, dims: int, boundary: str, surface: str, dtype: str) -> so.Modeling:
    """The solve, whose kernels others share."""
    waves, around = world(ndim=dims, dtype=dtype).waves, BOUNDARIES[boundary]
    if surface:
        around = {f"{axis}_{end}": around for axis in waves.grid.axes for end in ("min", "max")} | {"z_min": surface}
    return so.Modeling(waves, made(name, given, dims), around, space_order=4)


def measure(c: Combination) -> tuple[float, float]:
    """A value, and the norm of what was computed.

    Raises
    ------
    ParameterError
        If the package refuses it.
    IndependentError
        If there is nothing to measure.
    """
    w = world(ndim=c.dims, dtype=c.dtype)
    A = modeled(*c.solve, c.dtype)
    Pr, Ps = points(A, 3, c.heard), points(A, 2, c.driven)
    F = Pr * A * (so.Wavelet(w.waves, w.Pw.signature, c.driven) if c.what == "extended" else Ps).H
    match c.what:
        case "F" | "extended":
            return dotted(F)
        case "taylor":
            return expanded(F, A.medium, c.names)
    with TemporaryDirectory() as folder:
        storage = STORAGE[c.storage].make(w, Path(folder))
        if c.what == "J":
            J = so.Jacobian(F, F.domain.random(5), wrt=c.names, storage=storage)
            # perturbations that are as large as the parameters: in their units one of them would hide all others
            scale = np.concatenate([np.full(w.grid.size, np.abs(A.medium.get(name)).mean()) for name in c.names])
            return dotted(J * pylops.Diagonal(scale.astype(c.dtype), dtype=c.dtype))
        return away(w, F, c.names, storage)


def points(A: so.Modeling, n: int, component: str) -> so.Projection:
    """Points anywhere in the model and in the inner half of its layer, other ones in each shot."""
    waves = A.domain
    low, high = np.array(waves.grid.extent).T
    before, after = 0.5 * np.array(A.discretisation.padding.cells).T * waves.grid.spacing
    where = np.random.default_rng(n).uniform(low - before, high + after, (waves.shots, n, len(low)))
    return so.Projection(waves, where, margin=float(max(after)), component=component)


def dotted(op: pylops.LinearOperator) -> tuple[float, float]:
    """The error of the adjoint, and the norms of a product and of an adjoint one, multiplied."""
    rng = np.random.default_rng(7)
    x, y = (rng.standard_normal(n).astype(op.dtype) for n in reversed(op.shape))
    return dot_test(op), norm(np.linalg.norm(np.float64(op.matvec(x))), np.linalg.norm(np.float64(op.rmatvec(y))))


def expanded(F: so.LinearOperator, medium: so.WaveEquation, wrt: Sequence[str]) -> tuple[float, float]:
    """The rate that is farthest from 2, along the first parameter, all others being held."""
    point, q = [medium.get(name) for name in wrt], F.domain.random(5)
    along = np.random.default_rng(4).uniform(-1.0, 1.0, point[0].shape) * np.abs(point[0]).max()
    direction = (along, *(0 * a for a in point[1:]), 0 * q)
    result = taylor_test(so.Parametric(F, tuple(wrt)), (*point, q), direction, steps=(2e-2, 1e-2, 5e-3))
    size = norm(result.zeroth_errors[0])
    return max(result.rates, key=lambda rate: abs(rate - 2)), size


def away(w: World, F: so.LinearOperator, wrt: Sequence[str], storage) -> tuple[float, float]:
    """How far the gradient of a policy is from that of whole histories, at most of all parameters."""
    q = np.broadcast_to(so.ricker(w.time, f0=25.0, delay=0.03), F.domain.shape)
    y = F @ q
    found, full = (so.Jacobian(F, q, wrt, s).H @ y for s in (storage, so.storage.Full()))
    pairs = zip(found, full, strict=True) if len(wrt) > 1 else [(found, full)]
    each = [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs]
    return float(max(each)), norm(np.linalg.norm(found))


def norm(*sizes: float) -> float:
    """The product of some norms, of what is neither zero nor lost."""
    if not any(sizes):
        raise IndependentError("data do not depend on it")
    if not all(isfinite(size) and size > 0 for size in sizes):
        raise ArithmeticError(f"norms of what was computed are {sizes}")
    return float(prod(sizes))


def measured(c: Combination) -> Row:
    """A row, whether it is refused or not."""
    try:
        value, size = measure(c)
    except (so.ParameterError, IndependentError) as error:
        return Row(c, None, None, " ".join(str(error).split()), versions(), date.today().isoformat())
    return Row(c, value, size, "", versions(), date.today().isoformat())


@cache
def versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("seisops", "devito", "numpy"))


def fault(row: Row) -> str:
    """What is worse in a row than is promised; nothing if it is as it should be."""
    c, value = row.of, row.value
    if value is None:
        return "" if row.refused and row.size is None else "neither measured nor refused"
    if row.refused or not row.size or not isfinite(value):
        return f"no measurement: value {value}, size {row.size}, {row.refused!r}"
    match c.what:
        case "taylor":
            return "" if abs(value - 2) <= RATE else f"the expansion converges at a rate of {value}"
        case "off":
            return "" if 0 <= value <= allowed(c.storage) else f"the gradient is off by {value}"
    return "" if 0 <= value <= ERROR[c.dtype] else f"the adjoint is off by {value}"


def allowed(storage: str) -> float:
    """How far a gradient may be from the exact one; of approximate policies, twice what is registered for smooth waves."""
    exactness, error = STORAGE[storage].kind.exactness, STORAGE[storage].error
    return {"exact": 0.0, "exact to rounding": ROUNDING}.get(exactness, 2 * error)


# ---- speed


def speeds() -> list[dict[str, str | float]]:
    """Medians of times for a cell and a step on one thread, and memory.

    Each medium takes turns with the first one, beside which its times are put: what slows a machine down meanwhile concerns
    both. Whole histories lie in memory that the round before has used.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    square = so.Grid((CELLS, CELLS), 10.0)
    every = [(name, given) for name, kind in media().items() for given in forms(kind, square)]
    first, rows = Raced(square, *every[0]), []
    for name, given in every:
        this = first if (name, given) == every[0] else Raced(square, name, given)
        times = []
        for _ in range(ROUNDS + 1):
            theirs = first.times()
            times.append((theirs, theirs if this is first else this.times()))
        base, own = np.median(times[1:], axis=0)  # the first round compiles
        plan = so.plan(this.G, trial=False)
        updates = plan.cells * plan.steps
        rows.append(
            {
                "medium": name,
                "given": " ".join(given),
                **{what: f"{1e9 * t / updates:.3g}" for what, t in zip(("forward", "gradient"), own, strict=True)},
                **{f"{what}_relative": f"{r:.3g}" for what, r in zip(("forward", "gradient"), own / base, strict=True)},
                "solve_bytes": f"{plan.solve_bytes / plan.cells:.3g}",
                "history_bytes": f"{plan.history_bytes / updates:.3g}",
                "versions": versions(),
                "date": date.today().isoformat(),
            }
        )
        if this is not first:
            this.G.forget()
    return rows


class Raced:
    """Modeling and a gradient of a medium, to be timed."""

    def __init__(self, square: so.Grid, name: str, given: Sequence[str]):
        waves = so.Wavefield(square, so.Time(SAMPLES, 8e-4))
        far = 10.0 * (CELLS - 1)
        line = so.Projection(waves, [(x, 50.0) for x in np.linspace(100.0, far - 100.0, 100)])
        medium = example(media()[name], square, given)
        wrt = held(medium, differentiated(medium)[0])
        self.F = line * so.Modeling(waves, medium, substeps=1) * so.Projection(waves, [(far / 2, 50.0)]).H
        self.G = so.Parametric(self.F, wrt, storage=so.storage.Full(keep_bytes=2**34))
        self.point, self.q = [medium.get(n) for n in wrt], so.ricker(waves.time, 20.0)[None, None].astype("float32")

    def times(self) -> tuple[float, float]:
        """Seconds of modeling, and of a gradient."""
        start = perf_counter()
        d = self.F @ self.q
        middle = perf_counter()
        with self.G.linearize(*self.point, self.q) as at:
            at.pullback(d)
        return middle - start, perf_counter() - middle


# ---- files


def known(path: Path = MATRIX) -> dict[Combination, Row]:
    """The rows of a file, by what was measured; none if it is not there."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row.of: row for row in map(_read, csv.DictReader(file))}


def _read(said: dict[str, str]) -> Row:
    of = {f.name: said[f.name] for f in fields(Combination)}
    c = Combination(**{**of, "dims": int(of["dims"])})
    value, size = (float(said[n]) if said[n] else None for n in ("value", "size"))
    return Row(c, value, size, said["refused"], said["versions"], said["date"])


def written(row: Row) -> dict[str, str | int]:
    """A row as it is in the file."""
    numbers = {"value": _digits(row.value, 4), "size": _digits(row.size, 9)}
    return {
        **asdict(row.of),
        **numbers,
        "refused": row.refused,
        "versions": row.versions,
        "date": row.date,
    }


def _digits(x: float | None, n: int) -> str:
    return "" if x is None else f"{x:.{n}g}"


def write(path: Path, rows: Sequence[dict]) -> None:
    """A file of rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def arguments(said: Sequence[str] | None) -> argparse.Namespace:
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("--media", nargs="+", choices=media(), default=list(media()), metavar="NAME")
    about.add_argument("--dims", nargs="+", type=int, choices=(2, 3), default=(2, 3))
    about.add_argument(
        "--given", nargs="*", metavar="NAME", help="only media that are given just this of what is optional"
    )
    about.add_argument("--boundaries", nargs="+", choices=BOUNDARIES, default=list(BOUNDARIES))
    about.add_argument("--missing", action="store_true", help="only what has no row")
    about.add_argument("--speed", action="store_true", help="times of all media instead")
    about.add_argument("--out", type=Path, help=f"by default {MATRIX.name} or {SPEEDS.name} in docs/")
    return about.parse_args(said)


def main(said: Sequence[str] | None = None) -> int:
    """Measure, write after each medium, and return the exit status."""
    options = arguments(said)
    # random sources and cells are rough on purpose
    warnings.simplefilter("ignore", so.AccuracyWarning)
    if options.speed:
        write(options.out or SPEEDS, speeds())
        return 0
    path, bad = options.out or MATRIX, 0
    everything = all_of()
    old = known(path)
    for name, dims in product(options.media, options.dims):
        start = perf_counter()
        these = [
            c
            for c in everything
            if (c.medium, c.dims) == (name, dims)
            and c.boundary in options.boundaries
            and (options.given is None or set(c.given.split()) == set(options.given))
            and not (options.missing and c in old)
        ]
        new: dict[Combination, Row] = {}
        for c in these:
            if c in wanted([c], old | new):
                new[c] = measured(c)
                if wrong := fault(new[c]):
                    bad += 1
                    print(f"WRONG: {c}: {wrong}", flush=True)
        old = {c: row for c, row in old.items() if c not in these} | new
        rows = [old[c] for c in everything if c in old]
        write(path, [written(row) for row in rows])
        print(f"{name} in {dims}D: {len(new)} rows in {perf_counter() - start:.0f} s", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
