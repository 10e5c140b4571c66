"""``seisops plan``: what a survey will cost before it runs."""

from __future__ import annotations

import argparse
from math import ceil

from seisops.wave.costs import plan
from seisops.wave.equations.acoustic import Acoustic
from seisops.wave.grid import Grid
from seisops.wave.modeling import Modeling
from seisops.wave.sampling.projection import Projection
from seisops.wave.space import Wavefield
from seisops.wave.storage.policies import Auto, Subsampled
from seisops.wave.time import Time

__all__ = ["add"]


def add(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "plan",
        help="memory, solves and time of a survey before it runs",
        description="Says what modeling a survey, its gradients and its migration will cost on this machine: memory of each "
        "process, number of solves, and time, from a trial of a few steps.",
    )
    parser.set_defaults(command=_run)
    parser.add_argument(
        "--shape", type=_counts, required=True, metavar="NX,NZ", help="cells of the model: x,z or x,y,z"
    )
    parser.add_argument("--spacing", type=_numbers, required=True, metavar="METRES", help="size of the cells")
    parser.add_argument("--vmax", type=float, required=True, metavar="M/S", help="largest velocity")
    parser.add_argument("--duration", type=float, required=True, metavar="S", help="length of the records")
    parser.add_argument(
        "--step", type=float, default=0.004, metavar="S", help="sampling interval of the records (default: %(default)s)"
    )
    parser.add_argument("--shots", type=int, default=1, help="number of shots (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes that share them (default: %(default)s)")
    parser.add_argument("--space-order", type=int, default=8, help="order of the stencil (default: %(default)s)")
    parser.add_argument("--density", action="store_true", help="with variable density")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="keep the background at every N-th step only (default: all)"
    )
    parser.add_argument(
        "--memory",
        type=float,
        metavar="GIB",
        help="backgrounds to keep in each process; the others are computed again (default: 2)",
    )
    parser.add_argument("--no-trial", action="store_true", help="compile and time nothing")


def _run(options: argparse.Namespace) -> int:
    spacing = options.spacing if len(options.spacing) > 1 else options.spacing * len(options.shape)
    grid = Grid(options.shape, spacing)
    time = Time(max(2, ceil(options.duration / options.step) + 1), options.step)
    waves = Wavefield(grid, time, shots=options.shots)
    medium = Acoustic(grid, vp=options.vmax, rho=1000.0 if options.density else None)
    middle = Projection(waves, [[(lo + hi) / 2 for lo, hi in grid.extent]])
    F = middle * Modeling(waves, medium, space_order=options.space_order) * middle.H
    budget = {} if options.memory is None else {"keep_bytes": int(options.memory * 2**30)}
    storage = Auto(**budget) if options.every == 1 else Subsampled(options.every, **budget)
    print(plan(F, storage, options.workers, trial=not options.no_trial))
    return 0


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))
