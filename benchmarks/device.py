"""Waves on a graphics processor: first whether they are right, then how fast, in less than ten minutes.

Run it with ``python benchmarks/device.py`` on a machine with a card and CuPy; it needs nothing else.
``--parts right races roof table`` chooses parts, ``--seconds`` the time for all of them; each says what it left out.

right: data, adjoints, Born data and images of the card against the processor's, dot tests, shots in a batch against one by
one, arrays of CuPy in and out. Nothing is timed if it is wrong.
races: the smallest of these again under compute-sanitizer, if that is on the path: memcheck, racecheck.
roof: bytes that copies on the card move in a second. A point of a second-order equation takes 16 bytes a step (8 in float32
are read of two levels, 4 of a coefficient, 4 are written): that is the ceiling.
table: acoustic waves, density, TTI, elastic, viscoacoustic; batches of shots in 2D, and cubes in 3D; a solve and a gradient;
and deepwave's scalar waves beside them in the same run, if it is installed. Media are rough, order 8, float32, a layer of 8
cells in addition to the shape. Steps of a solve are timed by the difference between a long and a short record, so that what
happens once a solve does not count. Beside each figure stands how far the data of a small model are from those of the same
code in cells of half the size: what its order and precision cost.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np

import seisops as so
from seisops.engine import backend

ROUNDS = 3
#: Seconds after all of the time in which a row that has begun may end.
GRACE = 30.0
#: Of all the time, what the parts may take at most; what one leaves, the next have.
SHARES = {"right": 0.3, "races": 0.15, "roof": 0.02, "table": 1.0}
SPACING, ORDER = 10.0, 8

RIGHT = [
    ("acoustic", (50, 41), so.PML(), False, "float64", so.storage.Full()),
    ("density", (50, 41), so.PML(), True, "float64", so.storage.Full()),
    ("density", (50, 41), so.PML(), False, "float32", so.storage.Checkpointed(n=3)),
    ("acoustic", (50, 41), so.PML(), False, "float64", so.storage.Boundary()),
    ("acoustic", (50, 41), so.Sponge(cells=10), False, "float64", so.storage.Subsampled(every=2)),
    ("tti", (50, 41), so.PML(), False, "float64", so.storage.Full()),
    ("elastic", (50, 41), so.PML(), True, "float64", so.storage.Full()),
    ("viscoacoustic", (50, 41), so.PML(), False, "float64", so.storage.Full()),
    ("acoustic", (24, 23, 22), so.PML(), False, "float64", so.storage.Full()),
    ("density", (24, 23, 22), so.PML(), True, "float64", so.storage.Full()),
]
#: Medium, shape, shots, layer, samples of the short and of the long record.
FAST = [
    ("acoustic", (512, 512), 1, so.PML(), 100, 600),
    ("acoustic", (512, 512), 16, so.PML(), 100, 600),
    ("acoustic", (1000, 1000), 16, so.PML(), 100, 400),
    ("acoustic", (256,) * 3, 1, None, 100, 400),
    ("acoustic", (256,) * 3, 1, so.PML(), 100, 400),
    ("density", (256,) * 3, 1, so.PML(), 100, 300),
    ("acoustic", (512,) * 3, 1, so.PML(), 50, 150),
    ("density", (1000, 1000), 16, so.PML(), 100, 300),
    ("tti", (1000, 1000), 16, so.PML(), 100, 300),
    ("elastic", (1000, 1000), 16, so.PML(), 100, 300),
    ("viscoacoustic", (1000, 1000), 16, so.PML(), 100, 300),
    ("tti", (256,) * 3, 1, so.PML(), 50, 150),
    ("elastic", (256,) * 3, 1, so.PML(), 50, 150),
    ("viscoacoustic", (256,) * 3, 1, so.PML(), 50, 150),
    ("density", (512,) * 3, 1, so.PML(), 50, 100),
]
GRADIENTS = [
    ("acoustic", (512, 512), 16, 600), ("acoustic", (1000, 1000), 4, 600), ("acoustic", (128,) * 3, 1, 300),
    ("acoustic", (256,) * 3, 1, 150), ("density", (512, 512), 4, 300), ("tti", (512, 512), 4, 300),
    ("elastic", (512, 512), 4, 300), ("viscoacoustic", (512, 512), 4, 300),
]  # fmt: skip
#: What the wavelet of a small model has at most.
FREQUENCY = 15.0


class Clock:
    """The time that is left of some."""

    def __init__(self, seconds: float):
        self.end = time.perf_counter() + seconds

    @property
    def left(self) -> float:
        return self.end - time.perf_counter()

    def part(self, share: float) -> Clock:
        """A share of what is left."""
        return Clock(share * max(0.0, self.left))


def say(*words) -> None:
    print(*words, flush=True)


def stop() -> None:
    """What was said stands; the rest would take longer than there is time, such as kernels that are compiled for minutes."""
    say("out of time in the middle of a row: stopped")
    os._exit(3)


def within(clock: Clock, rows: list, what: str) -> Iterator:
    """The rows for which there is time, if each takes as long as the longest so far; what is left out is said."""
    longest, left = 0.0, list(rows)
    while left:
        if clock.left < longest or clock.left <= 0:
            say(f"{what}: no time for {len(left)} more: {', '.join(map(named, left))}")
            return
        start, row = time.perf_counter(), left.pop(0)
        yield row
        longest = max(longest, time.perf_counter() - start)


def named(row: tuple) -> str:
    return f"{row[0]} {'x'.join(map(str, row[1]))}"


# ---- models


def medium(name: str, grid: so.Grid, rough: bool = True) -> so.WaveEquation:
    """A medium whose cells differ, or are all the same."""
    rng = np.random.default_rng(5)

    def one(low: float, high: float):
        return rng.uniform(low, high, grid.shape).astype("float32") if rough else 0.5 * (low + high)

    vp = one(1500.0, 2500.0)
    match name:
        case "acoustic":
            return so.Acoustic(grid, vp=vp)
        case "density":
            return so.Acoustic(grid, vp=vp, rho=one(1000.0, 2000.0))
        case "tti":
            angles = dict(theta=one(0.3, 0.5)) | (dict(phi=one(0.1, 0.5)) if grid.ndim == 3 else {})
            return so.TTI(grid, vp=one(1900.0, 2100.0), epsilon=one(0.1, 0.2), delta=one(0.0, 0.08), **angles)
        case "elastic":
            return so.Elastic(grid, vp=one(1900.0, 2100.0), vs=one(950.0, 1050.0), rho=one(1400.0, 1600.0))
        case "viscoacoustic":
            return so.ViscoAcoustic(grid, vp=vp, qp=one(40.0, 80.0), f0=FREQUENCY)
    raise ValueError(name)


#: What derivatives are by.
BY = {"elastic": ("vp", "vs", "rho")}


def modeling(name, shape, boundary, surface, dtype, device, samples, step=0.002, shots=1):
    """From one point to thirty, for each shot; and what is frozen of it."""
    grid = so.Grid(shape, SPACING)
    waves = so.Wavefield(grid, so.Time(samples, step), shots, dtype=dtype, device=device)
    far = np.array(grid.extent)[:, 1]
    Pr = so.Projection(waves, [far * x for x in np.linspace(0.2, 0.8, 30)])
    A = so.Modeling(waves, medium(name, grid), boundary=boundary, free_surface=surface, space_order=ORDER)
    sources = [[(0.6 - 0.01 * s) * far + 1] for s in range(shots)]
    return Pr * A * so.Projection(waves, sources).H, A.discretisation


# ---- right


def right(clock: Clock, device: str, rows: list = RIGHT) -> None:
    """Raise AssertionError unless the device says what the processor says."""
    for *case, storage in within(clock, rows, "right"):
        found, tolerance = [], 1e-12 if case[4] == "float64" else 1e-5
        for place in ("cpu", device):
            F, _ = modeling(*case, place, 40)
            q, y = F.domain.random(1), F.range.random(2)
            J = so.Jacobian(F, q, wrt=BY.get(case[0], "m"), storage=storage)
            found.append((F @ q, F.H @ y, J @ J.domain.random(3), J.H @ y))
        off = [np.linalg.norm(a - b) / np.linalg.norm(a) for a, b in zip(*found, strict=True)]
        dots = so.check.dot_test(F), so.check.dot_test(J)
        told = (*case[:2], case[2], "surface" if case[3] else "", case[4], type(storage).__name__)
        say(*told, ": off by", *(f"{x:.0e}" for x in off), "; dot tests", *(f"{x:.0e}" for x in dots))
        assert max(off) < tolerance and max(dots) < tolerance
    together(device)


def together(device: str) -> None:
    """Shots in a batch are what they are alone; arrays of a device come back as such."""
    F, _ = modeling("acoustic", (50, 41), so.PML(), False, "float64", device, 40, shots=4)
    q, y = F.domain.random(1), F.range.random(2)
    d, back = F @ q, F.H @ y
    alone = [(F[s] @ q[s : s + 1], F[s].H @ y[s : s + 1]) for s in range(4)]
    off = max(
        np.linalg.norm(whole[s] - one[k][0]) / np.linalg.norm(one[k][0])
        for s, one in enumerate(alone)
        for k, whole in enumerate((d, back))
    )
    say(f"4 shots together and alone: off by {off:.0e}")
    assert off < 1e-12
    xp = arrays_of(device)
    if xp is not None:
        there = F @ xp.asarray(q)
        off = np.linalg.norm(xp.asnumpy(there) - d) / np.linalg.norm(d)
        say(f"{type(there).__module__}'s arrays in and out: off by {off:.0e}")
        assert isinstance(there, xp.ndarray) and off < 1e-12


def arrays_of(device: str):
    """What makes arrays of a device."""
    if not device.startswith("cuda"):
        return None
    import cupy

    return cupy


def races(clock: Clock, device: str) -> None:
    """The smallest of what was right, under compute-sanitizer."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        say("races: compute-sanitizer is not on the path: left out")
        return
    for kind in within(clock, [("memcheck", ()), ("racecheck", ())], "races"):
        command = [tool, "--tool", kind[0], "--error-exitcode", "9", sys.executable, __file__, "--parts", "smallest"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=max(1.0, clock.left))
        except subprocess.TimeoutExpired:
            say(f"races: {kind[0]} took longer than there is time: stopped")
            continue
        say(f"races: {kind[0]}: {done.stdout.strip().splitlines()[-1] if done.stdout.strip() else 'said nothing'}")
        assert done.returncode == 0, done.stdout + done.stderr


def smallest(clock: Clock, device: str) -> None:
    """What the sanitizer goes through: it is a hundred times as slow."""
    right(clock, device, [("acoustic", (20, 17), so.PML(cells=3), False, "float64", so.storage.Full())])


# ---- how fast


def roof() -> float:
    """Bytes read and written in a second by copies."""
    import cupy

    a = cupy.zeros(2**28, "float32")
    b = cupy.empty_like(a)
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    cupy.copyto(b, a)
    start.record()
    for _ in range(20):
        cupy.copyto(b, a)
    end.record()
    end.synchronize()
    return 20 * 2 * a.nbytes / cupy.cuda.get_elapsed_time(start, end) * 1e3


def least(work: Callable[[], object]) -> float:
    """The least time of a few rounds, in seconds, after one that does not count."""
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


@dataclass(frozen=True)
class Code:
    """What waves are computed by.

    Attributes
    ----------
    name : str
    record : callable
        ``record(medium, shape, shots, boundary, samples)`` returns the work of a solve, and the steps that it takes.
    small : callable
        ``small(medium, ndim, refined)`` returns data of a small model, in cells of so many parts of the spacing.
    """

    name: str
    record: Callable
    small: Callable


def seisops(device: str) -> Code:
    """This package."""

    def record(name, shape, shots, boundary, samples):
        F, frozen = modeling(name, shape, boundary, False, "float32", device, samples, 0.0012, shots)
        xp, q = arrays_of(device), F.domain.random(0)
        q = q if xp is None else xp.asarray(q)
        return partial(F.__matmul__, q), frozen.steps

    def small(name, ndim, refined):
        grid = so.Grid((40 * refined + 1,) * ndim, SPACING / refined)
        waves = so.Wavefield(grid, so.Time(150, 0.002), device=device)
        A = so.Modeling(waves, medium(name, grid, rough=False), so.PML(cells=20 * refined), space_order=ORDER)
        Pr, Ps = (so.Projection(waves, [[at] * (ndim - 1) + [200.0]]) for at in (290.0, 110.0))
        return (Pr * A * Ps.H) @ so.ricker(waves.time, FREQUENCY).reshape(1, 1, -1).astype("float32")

    return Code("seisops", record, small)


def deepwave(device: str) -> Code | None:
    """Scalar waves of deepwave, if it is installed."""
    try:
        import deepwave as dw
        import torch
    except ImportError:
        return None
    if device != "cpu" and not torch.cuda.is_available():
        return None

    def scalar(v, spacing, step, signals, sources, receivers, width):
        return dw.scalar(
            v, spacing, step, source_amplitudes=signals, source_locations=sources, receiver_locations=receivers,
            accuracy=ORDER, pml_width=width, pml_freq=FREQUENCY, max_vel=2500.0,
        )[-1]  # fmt: skip

    def on(a, **options):
        return torch.tensor(a, device="cuda" if device.startswith("cuda") else device, **options)

    def record(name, shape, shots, boundary, samples):
        if name != "acoustic":
            return None
        rng = np.random.default_rng(5)
        v = on(rng.uniform(1500.0, 2500.0, shape).astype("float32"))
        middle = [[[n // 2 for n in shape]]] * shots
        # a cell has one receiver at most
        heard = dict.fromkeys(tuple(int(n * x) for n in shape) for x in np.linspace(0.2, 0.8, 30))
        line = [list(heard)] * shots
        signals = torch.randn((shots, 1, samples), device=v.device)
        given = (v, SPACING, 0.0012, signals, on(middle), on(line), 8 if boundary else 0)

        def work():
            with torch.no_grad():
                out = scalar(*given)
            float(out.sum())  # waits

        work.given, work.torch, work.scalar = given, torch, scalar
        return work, samples

    def small(name, ndim, refined):
        v = on(np.full((40 * refined + 1,) * ndim, 2000.0, "float32"))
        time_axis = so.Time(150, 0.002)
        signal = on(so.ricker(time_axis, FREQUENCY).reshape(1, 1, -1).astype("float32"))
        at = [[[int(x / SPACING * refined)] * (ndim - 1) + [20 * refined]] for x in (110.0, 290.0)]
        # a source is in a cell, whatever its volume
        out = scalar(v, SPACING / refined, 0.002, signal, on([at[0]]), on([at[1]]), 20 * refined)
        return out.cpu().numpy() * refined**ndim

    return Code("deepwave", record, small)


def off(code: Code, name: str, ndim: int, known: dict) -> str:
    """How far data of a small model are from those in cells of half the size."""
    if (code.name, name, ndim) not in known:
        try:
            coarse, fine = (code.small(name, ndim, refined) for refined in (1, 2))
            known[code.name, name, ndim] = f"{np.linalg.norm(coarse - fine) / np.linalg.norm(fine):.1e}"
        except Exception as error:  # noqa: BLE001 - the figures are worth having without
            known[code.name, name, ndim] = f"unknown ({type(error).__name__})"
    return known[code.name, name, ndim]


def table(
    clock: Clock, device: str, bandwidth: float | None, codes: list[Code], rows=FAST, gradients=GRADIENTS
) -> None:
    """Print steps and gradients."""
    known: dict = {}
    solves = clock.part(0.65)
    for name, shape, shots, boundary, short, long in within(solves, rows, "solves"):
        for code in codes:
            try:
                both = [code.record(name, shape, shots, boundary, samples) for samples in (short, long)]
                if None in both:
                    continue
                walls = [least(work) for work, _ in both]
            except Exception as error:  # noqa: BLE001 - of one row, such as want of memory
                say(
                    f"{code.name:9} {name:14} {'x'.join(map(str, shape)):12}: {type(error).__name__}: {str(error)[:150]}"
                )
                continue
            step = (walls[1] - walls[0]) / (both[1][1] - both[0][1])
            points = shots * np.prod(shape) / step
            ceiling = "" if bandwidth is None else f", {points * 16 / bandwidth:.2f} of the ceiling of 16 bytes"
            say(
                f"{code.name:9} {name:14} {'x'.join(map(str, shape)):12} {shots:3} shots, "
                f"{'layer' if boundary else 'none ':5} {step * 1e6:9.1f} us a step, {points * 1e-9:7.2f} GPts/s{ceiling}, "
                f"{1e3 * (walls[0] - both[0][1] * step):.1f} ms a solve besides; off by {off(code, name, len(shape), known)}"
            )
    for name, shape, shots, samples in within(clock, gradients, "gradients"):
        for code in codes:
            try:
                found = gradient(code, device, name, shape, shots, samples)
            except Exception as error:  # noqa: BLE001
                say(
                    f"{code.name:9} {name:14} {'x'.join(map(str, shape)):12}: {type(error).__name__}: {str(error)[:150]}"
                )
                continue
            if found:
                forward, both = found
                say(
                    f"{code.name:9} {name:14} {'x'.join(map(str, shape)):12} {shots:3} shots, {samples} samples: gradient "
                    f"{both:.3f} s, {both / forward:.2f} times the forward's {forward:.3f} s"
                )


def gradient(code: Code, device: str, name: str, shape, shots: int, samples: int) -> tuple[float, float] | None:
    """Seconds of a solve, and of a solve with its gradient by the model."""
    if code.name == "seisops":
        F, _ = modeling(name, shape, so.PML(), False, "float32", device, samples, 0.0012, shots)
        G = so.Parametric(F, wrt=BY.get(name, "m"), storage="auto")
        held = next(leaf.medium for leaf in F.leaves() if hasattr(leaf, "medium"))
        xp, numbers = arrays_of(device), count()
        q, y, values = F.domain.random(next(numbers)), F.range.random(next(numbers)), [held.get(p) for p in G.wrt]
        if xp is not None:
            q, y, *values = map(xp.asarray, (q, y, *values))

        def both():
            with G.linearize(*values, q) as at:
                at.pullback(y, [True] * len(values) + [False])

        return least(partial(F.__matmul__, q)), least(both)
    made = code.record(name, shape, shots, so.PML(), samples)
    if made is None:
        return None
    work, _ = made
    v, *rest = work.given
    v = v.clone().requires_grad_()

    def learned():
        v.grad = None
        work.scalar(v, *rest).square().sum().backward()
        float(v.grad.sum())

    return least(work), least(learned)


def main(argv: list[str] | None = None) -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="Waves on a graphics processor: right, and how fast.")
    parser.add_argument("--parts", nargs="+", default=list(SHARES), choices=[*SHARES, "smallest"])
    parser.add_argument("--seconds", type=float, default=540.0, help="for all parts together")
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    try:
        backend.device(given.device)
    except so.ParameterError as error:
        parser.error(str(error))
    clock, bandwidth = Clock(given.seconds), None
    watch = threading.Timer(given.seconds + GRACE, stop)
    watch.daemon = True
    watch.start()
    if given.device.startswith("cuda"):
        import cupy

        say(cupy.cuda.runtime.getDeviceProperties(0)["name"].decode(), "CuPy", cupy.__version__)
    for part in given.parts:
        part_clock = clock.part(SHARES.get(part, 1.0))
        say(f"-- {part}: at most {part_clock.left:.0f} s")
        if part == "roof":
            bandwidth = roof()
            say(f"copies {bandwidth * 1e-9:.0f} GB/s, {bandwidth / 16e9:.0f} GPts/s at 16 bytes a point")
        elif part == "table":
            codes = [code for code in (seisops(given.device), deepwave(given.device)) if code is not None]
            table(part_clock, given.device, bandwidth, codes)
        else:
            {"right": right, "races": races, "smallest": smallest}[part](part_clock, given.device)
    watch.cancel()
    say(f"done, {clock.left:.0f} s left")


if __name__ == "__main__":
    main()
