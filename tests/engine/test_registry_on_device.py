"""All that is registered, on a stand-in for a graphics processor: the numbers of the processor's own loops.

Threads come in a scattered order, temporaries begin as NaN, and nothing is written beyond the ends of arrays
(:mod:`cuda_on_host`).
"""

import gc
from functools import cached_property

import numpy as np
import pytest
from cases import TOLERANCE, World
from cuda_on_host import Host
from registry import MAPS, MEDIA, OPERATORS

import seisops as so
from seisops.engine import backend

pytestmark = [
    pytest.mark.filterwarnings("ignore::seisops.DispersionWarning"),
    pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning"),
]

#: Dimensions and precisions in turn, so that each row is met in one of them, and each kind of row in all.
WORLDS = [(2, "float64"), (3, "float32"), (2, "float32"), (3, "float64")]


@pytest.fixture(scope="module", autouse=True)
def host(kernels):
    """A device named "host" that stands for a graphics processor; all tests march on it by the same time loops."""
    out, real = Host(kernels, order=2), backend.device
    so.memory.forget()
    gc.collect()  # operators of other tests, and what they ran on
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "device", lambda name: out if name == "host" else real(name))
        yield out
    so.memory.forget()


class Small(World):
    """A world of few steps, in a thin layer."""

    time = so.Time(17, 0.002)

    @cached_property
    def A(self):
        return so.Modeling(self.waves, self.medium, boundary=so.PML(cells=2), space_order=self.order)


def rows(registry):
    return [pytest.param(name, *WORLDS[n % len(WORLDS)], id=name) for n, name in enumerate(registry)]


def check(one, other, dtype):
    assert np.linalg.norm(np.ravel(one) - np.ravel(other)) <= 10 * TOLERANCE[dtype] * np.linalg.norm(np.ravel(one))


def made(entry, ndim, dtype):
    """An example on the processor, and on the device; in two dimensions, or a longer time, if there is none otherwise."""
    for kind, axes in ((Small, ndim), (Small, 2), (World, 2)):
        try:
            here = entry.make(kind(ndim=axes, dtype=dtype))
        except (ValueError, IndexError):
            continue
        with so.default_device("host"):
            return here, entry.make(kind(ndim=axes, dtype=dtype))
    raise AssertionError(f"{entry.kind} in no world")


@pytest.mark.parametrize(("name", "ndim", "dtype"), rows(OPERATORS))
def test_an_operator(name, ndim, dtype):
    here, there = made(OPERATORS[name], ndim, dtype)
    x, y = here.domain.random(0), here.range.random(1)
    check(here @ x, there @ x, dtype)
    check(here.H @ y, there.H @ y, dtype)


@pytest.mark.parametrize(("name", "ndim", "dtype"), rows(MAPS))
def test_a_map(name, ndim, dtype):
    (here, x), (there, _) = made(MAPS[name], ndim, dtype)
    check(here(*x), there(*x), dtype)
    y = here.range.random(2)
    with here.linearize(*x) as a, there.linearize(*x) as b:
        for one, other in zip(a.pullback(y), b.pullback(y), strict=True):
            check(one, other, dtype)


@pytest.mark.parametrize("name", MEDIA)
def test_a_medium(name):
    """Data and gradients by all that it is given by, beside a layer."""
    w, found = Small(), []
    medium = MEDIA[name]()
    (low, high), rng = np.array(w.grid.extent).T, np.random.default_rng(1)
    heard, driven = (rng.uniform(low, high, (w.shots, n, 2)) for n in (3, 2))
    wrt = tuple(p for p in medium._declared.first if p in medium.perturbable)
    for device in ("cpu", "host"):
        with so.default_device(device):
            waves = so.Wavefield(w.grid, w.time, w.shots, w.dtype)
        Pr, Ps = (so.Projection(waves, points) for points in (heard, driven))
        F = Pr * so.Modeling(waves, medium, so.PML(cells=2), space_order=4) * Ps.H
        q, y = F.domain.random(5), F.range.random(6)
        found.append((F @ q, F.H @ y, so.Jacobian(F, q, wrt=wrt).H @ y))
    for one, other in zip(*found, strict=True):
        check(one, other, w.dtype)


def test_the_device_is_used(host):
    before = host.launched
    with so.default_device("host"):
        F = OPERATORS["product"].make(Small())
    F @ F.domain.random(0)
    assert host.launched > before + 20
