"""``seisops plan``: what a survey will cost before it runs."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from math import ceil
from typing import Any

from seisops.cli.keys import Flag, Number, Numbers, Whole, Wholes, add_options, from_options, key
from seisops.errors import ParameterError
from seisops.wave.costs import plan
from seisops.wave.equations.acoustic import Acoustic
from seisops.wave.grid import Grid
from seisops.wave.modeling import Modeling
from seisops.wave.sampling.projection import Projection
from seisops.wave.space import Wavefield
from seisops.wave.storage.policies import Auto, Policy, Subsampled
from seisops.wave.time import Time

__all__ = ["add"]

#: Cells of a trial at most: its fields are larger than caches, and smaller than any memory.
TRIED = 500_000

#: Samples of a record at most.
SAMPLES = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Planned:
    """How large it is, and what with."""

    shape: Any = key("cells of the model: x,z or x,y,z", Wholes("NX,NZ", (2, 3), minimum=2))
    spacing: Any = key("size of the cells in m, one number or one for each axis", Numbers("m", (1, 2, 3)))
    vmax: float = key("largest velocity in m/s", Number("m/s"))
    duration: float = key("length of the records in s", Number("s"))
    step: float = key("sampling interval of the records in s", Number("s"), 0.004)
    shots: int = key("number of shots", Whole(), 1)
    workers: int = key("processes that share them", Whole(), 1)
    space_order: int = key("order of the stencil", Whole(2), 8)
    density: bool = key("with variable density", Flag(), False)
    every: int = key("keep the background at every N-th step only", Whole(), 1)
    memory: Any = key(
        "GiB of backgrounds to keep in each process; the others are computed again (default: 2)",
        Number("GiB", "not negative"), None,
    )  # fmt: skip
    no_trial: bool = key("compile and time nothing", Flag(), False)

    def __post_init__(self) -> None:
        if len(self.spacing) not in (1, len(self.shape)):
            raise ParameterError(
                f"--spacing takes 1 number, or as many as --shape has, {len(self.shape)}, got {len(self.spacing)}"
            )
        samples = self.duration / self.step
        if samples > SAMPLES:
            raise ParameterError(
                f"--duration {self.duration:g} s in steps of {self.step:g} s is {samples:.3g} samples, more than "
                f"{SAMPLES:,}: state --duration and --step in seconds"
            )

    @property
    def grid(self) -> Grid:
        """The grid of the model."""
        return Grid(self.shape, self.spacing if len(self.spacing) > 1 else self.spacing[0])

    @property
    def part(self) -> Grid:
        """As much of it as a trial takes."""
        most = int(TRIED ** (1 / len(self.shape)))
        return self.grid.window((0,) * len(self.shape), [min(n, most) for n in self.shape])

    def storage(self) -> Policy:
        """How backgrounds are kept."""
        budget = {} if self.memory is None else {"keep_bytes": int(self.memory * 2**30)}
        return Auto(**budget) if self.every == 1 else Subsampled(self.every, **budget)


def add(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "plan",
        help="memory, solves and time of a survey before it runs",
        description="Says what modeling a survey, its gradients and its migration will cost on this machine: memory of each "
        "process, number of solves, and time, from a trial of a few steps. The model itself need not fit here: of a large "
        "one a part is tried.",
    )
    parser.set_defaults(command=_run)
    add_options(parser, Planned, "survey")


def _run(options: argparse.Namespace) -> int:
    asked = from_options(Planned, options)
    part = asked.part
    time = Time(max(2, ceil(asked.duration / asked.step) + 1), asked.step)
    waves = Wavefield(part, time, shots=asked.shots)
    medium = Acoustic(part, vp=asked.vmax, rho=1000.0 if asked.density else None)
    middle = Projection(waves, [[(lo + hi) / 2 for lo, hi in part.extent]])
    F = middle * Modeling(waves, medium, space_order=asked.space_order) * middle.H
    print(plan(F, asked.storage(), asked.workers, not asked.no_trial, asked.grid))
    return 0
