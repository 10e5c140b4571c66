"""Compiled loops stay inside the arrays that they are given: they write to nothing else, and need nothing else."""

from functools import partial
from math import prod

import numpy as np
import pytest
from cases import World
from test_own_equations import around, elastic, tilted

import seisops as so
from seisops.engine import arrays
from seisops.engine.backend import cpu
from seisops.wave.sampling import taps
from seisops.wave.storage import policies as storage

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")

GUARD = 4096  # bytes before and behind: more than a row of any grid here
NOT_A_NUMBER = 0xFF  # in each byte, of floating-point numbers; minus one of integers


class Guarded:
    """Zeroed arrays between zones that are not numbers."""

    def __init__(self):
        self.made = []

    def zeros(self, shape, dtype):
        size = prod(shape) * np.dtype(dtype).itemsize
        memory = np.full(size + 2 * GUARD + arrays.ALIGNMENT, NOT_A_NUMBER, np.uint8)
        start = GUARD + -(memory.ctypes.data + GUARD) % arrays.ALIGNMENT
        own = memory[start : start + size]
        own[:] = 0
        self.made.append((memory[:start], memory[start + size :]))
        return own.view(dtype).reshape(shape)

    def intact(self):
        return all(np.all(zone == NOT_A_NUMBER) for zones in self.made for zone in zones)


@pytest.fixture
def guarded(monkeypatch):
    so.memory.forget()  # what was made before is not handed out again
    made = Guarded()
    for module in (arrays, cpu, taps):
        monkeypatch.setattr(module, "zeros", made.zeros)
    return made


def acoustic(dtype, **options):
    return World(dtype=dtype, **options).F


CASES = {
    "whole history": (acoustic, "m", storage.Full()),
    "edges": (acoustic, "m", storage.Boundary()),
    "checkpoints": (acoustic, "m", storage.Checkpointed(n=2)),
    "every second step": (acoustic, "m", storage.Subsampled(2)),
    "sponge and free surface": (partial(acoustic, boundary="sponge", surface=True), "m", storage.Full()),
    "density": (partial(acoustic, density=True), ("m", "rho"), storage.Full()),
    "3D": (partial(acoustic, ndim=3), "m", storage.Full()),
    "3D without a layer": (partial(acoustic, ndim=3, boundary="none"), "m", storage.Full()),
    "elastic": (lambda dtype: around(elastic(), so.PML(cells=5), 0.0015, dtype=dtype), "lam", storage.Full()),
    "tilted": (
        lambda dtype: around(tilted(), so.Sponge(cells=5), 0.002, order=4, dtype=dtype),
        "theta",
        storage.Full(),
    ),
}


# of the types that other tests compile these loops for
@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "float64") for name in CASES), ("whole history", "float32"), ("3D without a layer", "float32")],
)
def test_nothing_beyond_the_arrays(guarded, name, dtype):
    build, wrt, policy = CASES[name]
    F = build(dtype)
    J = so.Jacobian(F, F.domain.random(0), wrt=wrt, storage=policy)
    found = J @ J.domain.random(1), J.H @ J.range.random(2)
    assert len(guarded.made) > 10 and guarded.intact()
    assert all(np.all(np.isfinite(a)) and np.any(a) for a in found)


def test_the_guards_notice(guarded):
    a = guarded.zeros((3, 5), "float32")
    assert guarded.intact()
    beyond = np.lib.stride_tricks.as_strided(a, (4, 5), writeable=True)
    assert np.isnan(beyond[3]).all()
    beyond[3, 0] = 0.0
    assert not guarded.intact()
