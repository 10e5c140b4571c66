"""seisops alone: time and memory against the size of the grid, the number of shots and of steps, by storage policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

from .cases import APPROXIMATE, Contender
from .problem import Problem
from .race import Race, Row, Say


@dataclass(frozen=True)
class Point:
    """One measurement of a sweep.

    Attributes
    ----------
    sweep, line : str
        The panel and the line in it.
    x : float
        What is varied, in `unit`.
    task : str
    problem : Problem
    options : dict
    """

    sweep: str
    line: str
    x: float
    unit: str
    task: str
    problem: Problem
    options: dict = field(default_factory=dict)


def squares(small: bool) -> list[tuple[int, int]]:
    sizes = [(100, 100), (200, 200), (400, 200), (400, 400), (800, 400), (1600, 800)]
    return sizes[:2] if small else sizes


def points(policies: Sequence[str], small: bool) -> Iterator[Point]:
    """All measurements."""
    steps = 101 if small else 501
    for shape in squares(small):
        yield from _both("2D grid", prod(shape), "cells", Problem(shape, 10.0, steps, 0.001, receivers=100))
    for n in (30, 40) if small else (50, 75, 100, 150, 200):
        yield from _both("3D grid", n**3, "cells", Problem((n,) * 3, 20.0, 41 if small else 151, 0.0017, receivers=25))
    line = Problem((200, 100), 10.0, steps, 0.001, receivers=100)
    for n in (1, 2) if small else (1, 2, 4, 8, 16, 32, 64):
        yield from _both("shots", n, "shots", line.with_(shots=n))
    numbers = (101, 201) if small else (251, 501, 1001, 2001, 4001)
    for n in numbers:
        p = line.with_(samples=n)
        yield Point("steps", "forward", n - 1, "steps", "forward", p)
        for policy in policies:
            yield Point("steps", f"gradient, {policy}", n - 1, "steps", "gradient", p, {"policy": policy})
    yield from _overhead(20 if small else 200)


def _both(sweep: str, x: float, unit: str, p: Problem) -> Iterator[Point]:
    yield Point(sweep, "forward", x, unit, "forward", p)
    yield Point(sweep, "gradient, auto", x, unit, "gradient", p, {"policy": "auto"})


def _overhead(most: int) -> Iterator[Point]:
    """Shots of next to no work: what a shot costs besides its steps."""
    for n in (1, most):
        p = Problem((50, 50), 10.0, 2, 0.001, shots=n, receivers=10)
        for dispersion in (True, False):
            line = "2 samples" if dispersion else "2 samples, dispersion=False"
            yield Point("overhead", line, n, "shots", "forward", p, {"dispersion": dispersion})


def measure(all_points: Iterable[Point], threads: int, say: Say, log, rounds: int = 3) -> list[dict]:
    """Each point in a process of its own; those that fail or do not fit are told and left out."""
    found = []

    def inside(line: str) -> None:
        say(f"  {line.strip()}")

    for point in all_points:
        say(f"{point.sweep}, {point.line}, {point.x:g} {point.unit}")
        approximate = point.options.get("policy") in APPROXIMATE
        contender = Contender("seisops", "seisops", point.options, approximate)
        (row,) = Race(point.task, point.problem, threads, inside, log).run([contender], rounds)
        if row.done:
            found.append(record(point, row))
    return found


def record(point: Point, row: Row) -> dict:
    """A point with what was measured."""
    updates = prod(point.problem.shape) * (point.problem.samples - 1) * point.problem.shots
    return {
        "sweep": point.sweep,
        "line": point.line,
        "x": point.x,
        "unit": point.unit,
        "shape": "x".join(map(str, point.problem.shape)),
        "steps": row.steps,
        "shots": point.problem.shots,
        "min": row.least,
        "median": row.median,
        "million_updates_per_second": updates / row.least / 1e6,
        "memory_mib": row.memory,
    }


def overhead(found: Sequence[dict]) -> dict[str, float]:
    """Milliseconds that one more shot of next to no work costs, by line."""
    out = {}
    for line in dict.fromkeys(p["line"] for p in found if p["sweep"] == "overhead"):
        few, *rest = sorted((p for p in found if p["line"] == line), key=lambda p: p["x"])
        if rest:
            out[line] = 1e3 * (rest[-1]["min"] - few["min"]) / (rest[-1]["x"] - few["x"])
    return out
