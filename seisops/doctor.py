"""What a machine has that seisops needs, and whether it works: ``seisops doctor``."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter

import numpy as np
import psutil

from seisops.check import dot_test, taylor_test
from seisops.engine import threads
from seisops.engine.backend.compiled import chosen
from seisops.engine.kept import disk
from seisops.errors import SeisopsError
from seisops.wave.boundaries import PML
from seisops.wave.equations.acoustic import Acoustic
from seisops.wave.grid import Grid
from seisops.wave.jacobian import Jacobian, Parametric
from seisops.wave.modeling import Modeling
from seisops.wave.sampling.projection import Projection
from seisops.wave.space import Wavefield
from seisops.wave.time import Time
from seisops.wave.wavelets import ricker

__all__ = ["Finding", "examined"]

#: What is needed, and what extras bring.
NEEDED = ("numpy", "scipy", "pylops", "devito")
EXTRAS = ("matplotlib", "segyio", "h5py", "xarray", "zarr", "pyproximal", "torch", "jax", "distributed", "cupy")


@dataclass(frozen=True)
class Finding:
    """A line of the report.

    Attributes
    ----------
    what, found : str
    well : bool
        Whether it is as it should be.
    """

    what: str
    found: str
    well: bool = True

    def __str__(self) -> str:
        return f"{self.what:12} {'' if self.well else 'WRONG: '}{self.found}"


def examined() -> Iterator[Finding]:
    """What there is, then what a small wave equation makes of it."""
    own = _version("seisops") or "not installed"
    yield Finding("seisops", f"{own}, Python {platform.python_version()}, {platform.platform()}")
    yield Finding("packages", ", ".join(f"{name} {version(name)}" for name in NEEDED))
    yield Finding("extras", ", ".join(f"{name} {v}" for name in EXTRAS if (v := _version(name))) or "none")
    cores, memory = psutil.cpu_count(logical=False) or os.cpu_count() or 1, psutil.virtual_memory()
    said = os.environ.get("OMP_NUM_THREADS")
    yield Finding(
        "machine",
        f"{cores} cores, {memory.total / 2**30:.1f} GiB of memory, {memory.available / 2**30:.1f} free; solves on "
        f"{threads.count()} threads" + (f" (OMP_NUM_THREADS={said})" if said else ""),
    )
    command, _ = chosen()
    path = shutil.which(command)
    yield Finding("compiler", path or f"there is no {command}: install it, or name yours in CC", path is not None)
    with disk.opened() as folder:
        where = "nowhere: SEISOPS_CACHE is off, or its folder cannot be used" if folder is None else str(folder.path)
    yield Finding("kept", f"what is compiled is kept in {where}")
    try:
        yield from _tested()
    except SeisopsError as error:
        yield Finding("test", str(error), False)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _tested() -> Iterator[Finding]:
    """A small wave equation: how exact its adjoint and its derivative are, and how fast it is."""
    grid, time, rng = Grid((60, 50), 10.0), Time(101, 0.004), np.random.default_rng(0)
    waves = Wavefield(grid, time, shots=1, dtype="float64")
    medium = Acoustic(grid, vp=rng.uniform(1500.0, 2500.0, grid.shape), rho=rng.uniform(1000.0, 2000.0, grid.shape))
    points = rng.uniform(0.0, 480.0, (8, 2))
    start = perf_counter()
    F = Projection(waves, points) * Modeling(waves, medium, boundary=PML()) * Projection(waves, points[:1]).H
    q = ricker(time, 12.0)[None, None]
    F @ q
    first = perf_counter() - start
    start = perf_counter()
    F @ q
    again = perf_counter() - start
    J = Jacobian(F, q)
    adjoint, born = dot_test(F), dot_test(J)
    rates = taylor_test(Parametric(F), (medium.m, q), (0.05 * medium.m * rng.standard_normal(grid.shape), 0 * q)).rates
    rate = float(np.median(rates))
    yield Finding("adjoint", f"exact to {adjoint:.0e}, of the derivative to {born:.0e}", max(adjoint, born) < 1e-12)
    yield Finding("derivative", f"expansions converge at the rate {rate:.3f}, 2 is right", abs(rate - 2) < 0.05)
    yield Finding("time", f"first data after {first:.2f} s, then {1e3 * again:.1f} ms for a shot of 60 x 50 cells")
