"""Waves on a graphics processor: first whether they are right, then how fast.

Run it with ``python benchmarks/device.py [right|fast]`` on a machine with a card and CuPy; it needs nothing else.
Right means: data, adjoints, Born data and images of the card against the processor's, and dot tests. The ceiling is the
bandwidth of copies on the card, in which a point of a second-order equation takes 16 bytes a step (8 in float32 are read of
two levels, 4 of a coefficient, 4 are written). Steps are timed by the difference between a long and a short record, so that
what happens once a solve does not count; the table says what that is, too. Media are rough, order 8, float32, a layer of 8
cells in addition to the shape.
"""

from __future__ import annotations

import sys
import time
import warnings

import cupy
import numpy as np

import seisops as so

ROUNDS = 3
RIGHT = [
    ((50, 41), False, so.PML(), False, "float64", so.storage.Full()),
    ((50, 41), True, so.PML(), True, "float64", so.storage.Full()),
    ((50, 41), True, so.PML(), False, "float32", so.storage.Checkpointed(n=3)),
    ((50, 41), False, so.PML(), False, "float64", so.storage.Boundary()),
    ((50, 41), False, so.Sponge(cells=10), False, "float64", so.storage.Subsampled(every=2)),
    ((24, 23, 22), False, so.PML(), False, "float64", so.storage.Full()),
    ((24, 23, 22), True, so.PML(), True, "float64", so.storage.Full()),
]
FAST = [
    ("2D", (1000, 1000), False, so.PML(), 100, 600),
    ("2D", (3000, 3000), False, so.PML(), 100, 600),
    ("3D, no layer", (256, 256, 256), False, None, 100, 600),
    ("3D", (256, 256, 256), False, so.PML(), 100, 600),
    ("3D", (512, 512, 512), False, so.PML(), 50, 150),
    ("3D, density", (256, 256, 256), True, so.PML(), 100, 300),
]
GRADIENTS = [("2D", (600, 600), 1000), ("3D", (128, 128, 128), 300)]


def modeling(shape, rho, boundary, surface, dtype, device, samples, step=0.002):
    """From one point to a few, in a rough medium."""
    rng = np.random.default_rng(5)
    grid = so.Grid(shape, 10.0)
    vp = rng.uniform(1500.0, 2500.0, shape)
    medium = so.Acoustic(grid, vp=vp, rho=rng.uniform(1000.0, 2000.0, shape) if rho else None)
    waves = so.Wavefield(grid, so.Time(samples, step), dtype=dtype, device=device)
    far = np.array(grid.extent)[:, 1]
    Pr = so.Projection(waves, [far * x for x in np.linspace(0.2, 0.8, 30)])
    A = so.Modeling(waves, medium, boundary=boundary, free_surface=surface, space_order=8)
    return Pr * A * so.Projection(waves, [0.6 * far + 1]).H, A.discretisation


def right() -> None:
    """Raise AssertionError unless the card says what the processor says."""
    for *case, storage in RIGHT:
        found = []
        for device in ("cpu", "cuda"):
            F, _ = modeling(*case, device, 40)
            q, y = F.domain.random(1), F.range.random(2)
            J = so.Jacobian(F, q, wrt="rho" if case[1] else "m", storage=storage)
            found.append((F @ q, F.H @ y, J @ J.domain.random(3), J.H @ y))
        off = [np.linalg.norm(a - b) / np.linalg.norm(a) for a, b in zip(*found, strict=True)]
        dots = so.check.dot_test(F), so.check.dot_test(J)
        print(*case[:2], case[2], "surface" if case[3] else "", case[4], type(storage).__name__, end=": ")
        print("off by", *(f"{x:.0e}" for x in off), "; dot tests", *(f"{x:.0e}" for x in dots), flush=True)
        assert max(off) < (1e-12 if case[4] == "float64" else 1e-5)
        assert max(dots) < (1e-12 if case[4] == "float64" else 1e-5)


def ceiling() -> float:
    """Bytes read and written in a second by copies."""
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


def least(work) -> float:
    """The least time of a few rounds, in seconds, after one that does not count."""
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def fast() -> None:
    """Print the table."""
    roof = ceiling()
    print(f"copies {roof * 1e-9:.0f} GB/s, {roof / 16e9:.0f} GPts/s at 16 bytes a point")
    for name, shape, rho, boundary, short, long in FAST:
        walls, steps = [], []
        for samples in (short, long):
            F, discretisation = modeling(shape, rho, boundary, False, "float32", "cuda", samples, step=0.0012)
            q = F.domain.random(0)
            walls.append(least(lambda F=F, q=q: F @ q))
            steps.append(discretisation.steps)
        step = (walls[1] - walls[0]) / (steps[1] - steps[0])
        points = np.prod(shape) / step
        print(
            f"{name:14} {'x'.join(map(str, shape)):12} {step * 1e6:8.1f} us a step, {points * 1e-9:6.1f} GPts/s, "
            f"{points * 16 / roof:.2f} of the ceiling, {1e3 * (walls[0] - steps[0] * step):.1f} ms a solve besides",
            flush=True,
        )
    for name, shape, samples in GRADIENTS:
        F, _ = modeling(shape, False, so.PML(), False, "float32", "cuda", samples, step=0.0012)
        q = F.domain.random(0)
        forward, y = least(lambda F=F, q=q: F @ q), F.range.random(1)
        G, m = so.Parametric(F, storage=so.storage.Full(keep_bytes=2**36)), squared_slowness(F)
        both = least(lambda G=G, q=q, y=y, m=m: G.linearize(m, q).pullback(y))
        print(
            f"{name:14} {'x'.join(map(str, shape)):12} gradient {both / forward:.2f} times the forward's {forward:.3f} s"
        )


def squared_slowness(F):
    """Squared slowness of an expression's medium."""
    return next(leaf.medium for leaf in F.leaves() if hasattr(leaf, "medium")).get("m")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    print(cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())
    if wanted != "fast":
        right()
    if wanted != "right":
        fast()
