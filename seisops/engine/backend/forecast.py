"""What a step takes on a graphics card that need not be there: bytes and operations of each launch, at given speeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seisops.engine.backend.cuda import Program
from seisops.engine.lower.loop import Loop
from seisops.engine.lower.work import Part, Work, together

__all__ = ["CARDS", "Card", "Launch", "Nowhere", "launched", "least"]


@dataclass(frozen=True)
class Card:
    """A graphics card by its speeds.

    Attributes
    ----------
    name : str
    bandwidth : float
        Bytes that copies read and write in a second.
    peaks : mapping
        Operations in a second, by the bytes of a number: a multiplication with an addition is two.
    """

    name: str
    bandwidth: float
    peaks: Mapping[int, float]


#: Copies of an H100 as measured, the others' in proportion to their makers' figures; operations as their makers state.
CARDS = (
    Card("A100", 1.55e12, {4: 19.5e12, 8: 9.7e12}),
    Card("H100", 3.0e12, {4: 66.9e12, 8: 33.5e12}),
    Card("H200", 4.2e12, {4: 66.9e12, 8: 33.5e12}),
)


@dataclass(frozen=True)
class Launch:
    """A kernel as it is launched in each step.

    Attributes
    ----------
    kernel : object
        What the device made of its text.
    parts : tuple of Part
        What its threads go through.
    work : Work
    """

    kernel: Any
    parts: tuple[Part, ...]
    work: Work


class Nowhere:
    """Takes the text of kernels, and launches none."""

    def function(self, source: str) -> str:
        return source


def launched(
    loop: Loop, shape: Sequence[int], bounds: Mapping[str, int], direction: int = 1, device: Any = None
) -> list[Launch]:
    """The launches of a step on a grid of so many cells, for so many points.

    Parameters
    ----------
    loop : Loop
    shape : sequence of int
        Padded grid.
    bounds : mapping
        Numbers of points and of taps.
    direction : int, optional
        1 for marches forward in time, -1 backward.
    device : Launcher, optional
        By default one whose kernels are their texts.
    """
    program, out = Program(loop, device or Nowhere()), []
    plan = program.planned(tuple(shape), dict(sorted(bounds.items())), direction)
    for one in plan.step:
        mine = ((plan.pieces[n], stage, box) for n, stage, box in one.parts)
        # plans are for any number of points
        parts = program.parts((p, stage, p.extent(shape, bounds) if p.bound else box) for p, stage, box in mine)
        out.append(Launch(one.function, parts, program.work(parts)))
    return out


def least(launches: Iterable[Launch], loop: Loop) -> Work:
    """A step in one go: each entry read once and written once, without temporaries."""
    return together((p for launch in launches for p in launch.parts), loop.dtype, loop.made.integers, False)
