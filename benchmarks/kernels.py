"""What kernels of a graphics card take, known without one: ``python benchmarks/kernels.py [--all] [MEDIUM ...]``.

Each launch of a time step is counted: bytes, where each entry of an array that it reads counts once, and each that it
writes once; additions and multiplications. A step would take what its launches take one after the other, each as long as
its bytes take at the speed of copies, or its operations at that of the card, if that is longer. It is the least that
these launches can take, not what they will: addresses, loads that wait for one another and launches themselves take time
besides. With NVRTC (``pip install nvidia-cuda-nvrtc-cu12``), the registers of a thread, the bytes that it spills and
those of arguments are the most of any kernel, for an H100.

Of the media named, such as Acoustic, or of all, in two and three dimensions, without and with a layer of 8 cells, order 8,
single precision, one source and a line of receivers. With ``--all``, the kernels of all products are compiled besides, in
single and double precision, for an A100 and an H100; of all media that takes an hour on one core.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path

import seisops as so
from seisops.engine.backend.forecast import CARDS, Card, Launch, launched, least
from seisops.engine.lower.cuda import ARGUMENTS
from seisops.engine.lower.loop import Loop
from seisops.engine.lower.ports import Ports
from seisops.engine.lower.work import Work
from seisops.wave.discretise.schemes import SCHEMES
from seisops.wave.faces import Faces

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "engine")]

import nvrtc  # noqa: E402
import registry  # noqa: E402
from recorded import recorded  # noqa: E402

SHAPES = {2: ((1000, 1000), (3000, 3000)), 3: ((256, 256, 256), (512, 512, 512))}
SMALL = {2: (40, 37), 3: (40, 38, 37)}
ORDER, LAYER = 8, 8
RECEIVERS = 100


def loop(medium: so.WaveEquation, shape, boundary) -> Loop:
    """The time loop of a source and receivers at points."""
    axes, ports = medium.grid.axes, Ports(points=(0,))
    scheme = SCHEMES.get(medium, (len(shape), ORDER, "float32"), Faces.of(boundary, False, axes), shape)
    return scheme.kernel(False, ports, ports).program.loop


@dataclass
class Row:
    """A medium on a grid.

    Attributes
    ----------
    name : str
    cells : tuple of int
        Of the model.
    layer : bool
    launches : list of Launch
    needed : float
        Bytes of a cell of the model that a step has to move at least, without a layer.
    """

    name: str
    cells: tuple[int, ...]
    layer: bool
    launches: list[Launch]
    needed: float

    @property
    def work(self) -> Work:
        """Of a step."""
        return sum((each.work for each in self.launches), start=Work())

    def seconds(self, card: Card) -> float:
        """Of a step."""
        return sum(each.work.seconds(card.bandwidth, card.peaks[4]) for each in self.launches)

    def fraction(self, card: Card) -> float:
        """Of the speed at which a cell would take no more than what it needs."""
        return self.needed * prod(self.cells) / card.bandwidth / self.seconds(card)

    def costliest(self, n: int = 3) -> str:
        """The launches that move most: bytes for each cell of the model, and the boxes that they go through."""
        most = sorted(self.launches, key=lambda each: -each.work.moved)[:n]
        return "; ".join(f"{each.work.moved / prod(self.cells):.1f} ({_boxes(each)})" for each in most)


def _boxes(launch: Launch) -> str:
    """How many parts of how many cells."""
    found: dict[str, int] = {}
    for part in launch.parts:
        sides = "x".join(str(end - first) for first, end in part.box)
        found[sides] = found.get(sides, 0) + 1
    return ", ".join(f"{n} of {sides}" if n > 1 else sides for sides, n in found.items())


def forms(ndim: int, media: Sequence[str]) -> Iterator[tuple[str, so.WaveEquation]]:
    """Media in all forms, with a name for each."""
    grid = so.Grid(SMALL[ndim], 10.0)
    for kind in dict.fromkeys(entry.kind for entry in registry.MEDIA.values()):
        if media and kind.__name__ not in media:
            continue
        for given in registry.forms(kind, grid):
            yield " ".join([kind.__name__, *given]), registry.example(kind, grid, given)


def rows(media: Sequence[str]) -> Iterator[Row]:
    """The table."""
    for ndim, sizes in SHAPES.items():
        for name, medium in forms(ndim, media):
            for model in sizes if isinstance(medium, so.Acoustic) else sizes[:1]:
                needed = None
                for boundary in (None, so.PML(cells=LAYER)):
                    shape = tuple(n + (2 * LAYER if boundary else 0) for n in model)
                    made = loop(medium, shape, boundary)
                    bounds: dict[str, int] = {}
                    for piece in made.made.pieces:
                        bounds |= dict(zip(piece.bound, (RECEIVERS, 8), strict=False))
                    launches = launched(made, shape, bounds)
                    if needed is None:
                        needed = least(launches, made).moved / prod(model)
                    yield Row(name, model, boundary is not None, launches, needed)


def compiled(source: str, architecture: str) -> tuple[int, int, int]:
    """Registers, bytes spilled and bytes of arguments."""
    made = nvrtc.compiled(source, architecture)
    return made.registers, made.spill_stores + made.spill_loads, made.parameters


def table(media: Sequence[str], pool: ProcessPoolExecutor) -> None:
    """Print what is known of each medium."""
    cards = " ".join(f"{card.name:>11}" for card in CARDS)
    print("us a step, and the fraction of what the medium alone needs at the speed of copies, on each card")
    print(f"{'':47} {'a cell and step':>23}  {'most of a kernel':^18}")
    head = f"{'medium':22} {'model':12} {'layer':5} {'launches':>8} {'bytes':>7} {'needed':>7} {'flops':>6} "
    print(f"{head} {'regs':>5} {'spills':>6} {'args':>6} {cards}  costliest launches, bytes a cell")
    for row in rows(media):
        points = prod(row.cells)
        found = [(0, 0, 0)]
        if nvrtc.available():
            # each launch has a kernel, sometimes the same
            texts = list(dict.fromkeys(each.kernel for each in row.launches))
            found = list(pool.map(compiled, texts, [nvrtc.ARCHITECTURES[-1]] * len(texts)))
        registers, spills, arguments = (max(numbers) for numbers in zip(*found, strict=True))
        speeds = " ".join(f"{1e6 * row.seconds(card):6.0f} {row.fraction(card):.2f}" for card in CARDS)
        print(
            f"{row.name:22} {'x'.join(map(str, row.cells)):12} {'PML' if row.layer else '-':5} {len(row.launches):8} "
            f"{row.work.moved / points:7.1f} {row.needed:7.1f} {row.work.flops / points:6.0f}  "
            f"{registers or '':5} {spills if registers else '':6} {arguments or '':6} {speeds}  {row.costliest()}",
            flush=True,
        )


def everything(media: Sequence[str], pool: ProcessPoolExecutor) -> bool:
    """Compile all kernels of some media, say what they take, and whether all is as it should be."""
    right = True
    for ndim, shape in SMALL.items():
        for name, medium in forms(ndim, media):
            for dtype in ("float32", "float64"):
                sources = recorded(medium, dtype, boundary=so.PML(cells=LAYER))
                for architecture in nvrtc.ARCHITECTURES:
                    found = list(pool.map(compiled, sources, [architecture] * len(sources)))
                    registers, spills, arguments = (max(numbers) for numbers in zip(*found, strict=True))
                    spilling = sum(s > 0 for _, s, _ in found)
                    print(
                        f"{name:22} {ndim}D {dtype} {architecture}: {len(found)} kernels, {registers} registers, "
                        f"{arguments} bytes of arguments, {spilling} spill, {spills} bytes at most in {shape}",
                        flush=True,
                    )
                    right &= not spills and arguments <= ARGUMENTS
    return right


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("media", nargs="*", help="names of media; by default all")
    parser.add_argument("--all", action="store_true", help="compile the kernels of all products, too")
    asked = parser.parse_args()
    if asked.all and not nvrtc.available():
        raise SystemExit("--all needs NVRTC: pip install nvidia-cuda-nvrtc-cu12")
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as workers:
        table(asked.media, workers)
        if asked.all and not everything(asked.media, workers):
            raise SystemExit("some kernels spill, or take more arguments than drivers do")
