"""Shots to distribute. Workers import this module with what they are sent: it takes no more than the package does."""

import os
import time

import numpy as np

import seisops as so
from seisops.maps import Linearization
from seisops.operators import LinearOperator
from seisops.spaces import Axis, Space

SHOTS = 6


def waves(shots=SHOTS, dtype="float32"):
    return so.Wavefield(so.Grid((24, 21), 10.0), so.Time(31, 0.002), shots=shots, dtype=dtype)


def modeling(w, ragged=False):
    rng = np.random.default_rng(0)
    low, high = np.array(w.grid.extent).T
    counts = range(1, w.shots + 1) if ragged else [3] * w.shots
    receivers = [rng.uniform(low, high, (n, 2)) for n in counts]
    vp = rng.uniform(1500.0, 2000.0, w.grid.shape)
    A = so.Modeling(w, so.Acoustic(w.grid, vp=vp), boundary=so.PML(cells=6), space_order=4)
    return so.Projection(w, receivers) * A * so.Projection(w, rng.uniform(low, high, (w.shots, 1, 2))).H


def point(G):
    F = G.F
    rng = np.random.default_rng(5)
    m = np.asarray(F.children[0].medium.m if F.children else F.medium.m, "float32")
    return m, F.domain.random(rng), F.range.random(rng)


class Fragile(LinearOperator):
    """The identity on images of shots, which fails for some of them, and takes its time."""

    def __init__(self, numbers, broken=(), seconds=0.0):
        self.numbers, self.broken, self.seconds = tuple(numbers), tuple(broken), seconds
        super().__init__(*[Space("images", [Axis("shot", len(self.numbers)), Axis("x", 4)], "float32")] * 2)

    def select(self, shots):
        return Fragile([self.numbers[i] for i in shots], self.broken, self.seconds)

    def _apply(self, x):
        time.sleep(self.seconds)
        if bad := set(self.numbers) & set(self.broken):
            raise ValueError(f"cannot do {sorted(bad)}")
        return x.copy()

    _apply_adjoint = _apply


class Flaky(Fragile):
    """Fails a few times, as told by a file."""

    def __init__(self, numbers, path, times, error=OSError):
        self.path, self.times, self.error = path, times, error
        super().__init__(numbers)

    def select(self, shots):
        return Flaky([self.numbers[i] for i in shots], self.path, self.times, self.error)

    def _apply(self, x):
        if 1 in self.numbers:
            count = len(self.path.read_text()) if self.path.exists() else 0
            self.path.write_text("x" * (count + 1))
            if count < self.times:
                raise self.error("stale file handle")
        return x.copy()


class Slow(LinearOperator):
    """The sum of images of shots, which takes its time."""

    def __init__(self, shots):
        self.count = shots
        image = [Axis("x", 4)]
        super().__init__(Space("images", [Axis("shot", shots), *image], "float32"), Space("image", image, "float32"))

    def select(self, shots):
        return Slow(len(shots))

    def _apply(self, x):
        time.sleep(0.5)
        return x.sum(axis=0)

    def _apply_adjoint(self, y):
        time.sleep(0.5)
        return np.repeat(y[None], self.count, axis=0)


class Dying(Slow):
    """Ends its worker whenever it is asked a second time."""

    def __init__(self, shots, path):
        self.path = path
        super().__init__(shots)

    def select(self, shots):
        return Dying(len(shots), self.path)

    def _apply(self, x):
        if self.path.exists():
            os._exit(1)
        return x.sum(axis=0)


class Hoarding(Fragile):
    """Takes more memory than its worker may, and keeps it."""

    def select(self, shots):
        return Hoarding([self.numbers[i] for i in shots])

    def _apply(self, x):
        os.hoard = [*getattr(os, "hoard", []), np.ones(25_000_000)]
        return x.copy()


def linearisations(dask_worker):
    """How many a worker holds."""
    return sum(isinstance(made, Linearization) for made in dask_worker.plugins["seisops"].left.values())
