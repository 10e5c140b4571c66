"""What is frozen when a wave equation is discretised: padding, time step, profiles, compiled kernels.

None of it follows the values of the parameters later: otherwise the map from a model to its data would jump whenever
the number of time steps did.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import ceil

import numpy as np

from seisops.engine.arrays import aligned
from seisops.engine.born import Born, born
from seisops.engine.derive import System, adjoint
from seisops.engine.kernel import Kernel, Ports
from seisops.engine.template import PREFIX, Template
from seisops.errors import ParameterError, UnstableError
from seisops.wave._validate import integer
from seisops.wave.equation import WaveEquation, stable
from seisops.wave.grid import Grid
from seisops.wave.padding import Padding
from seisops.wave.resampling import Resampling
from seisops.wave.space import Wavefield
from seisops.wave.time import Time

__all__ = ["Discretisation", "discretise"]

# fraction of the stable step that is used at most: heterogeneous media and layers need a little room
SAFETY = 0.9
# fraction of the stable step up to which a medium is accepted by an existing discretisation
LIMIT = 0.98
# samples that the solver runs on beyond the last, so that filters between the two time axes do not meet its end
TAIL = 16

_lock = threading.Lock()
_plans: dict = {}


class Plan:
    """The symbols and kernels of one kind of wave equation, shared by all media, surveys and sizes."""

    def __init__(self, equation: WaveEquation, template: Template, boundary, free_surface: bool):
        self.system: System = equation.system(template, boundary, free_surface)
        self.transposed: System = adjoint(self.system)
        self._kernels: dict = {}
        self._borns: dict = {}

    def born(self, wrt: tuple[str, ...], every: int) -> Born:
        if (wrt, every) not in self._borns:
            self._borns[wrt, every] = born(self.system, wrt, every)
        return self._borns[wrt, every]

    def kernel(self, transposed: bool, write: Ports, read: Ports, wrt: tuple[str, ...] = (), every: int = 1) -> Kernel:
        key = (transposed, write, read, wrt, every)
        with _lock:
            if key not in self._kernels:
                system = self.transposed if transposed else self.system
                linearised = self.born(wrt, every) if wrt else None
                self._kernels[key] = Kernel(system, write, read, linearised)
            return self._kernels[key]


def plan(equation: WaveEquation, template: tuple, boundary, free_surface: bool) -> Plan:
    """The plan of an equation's structure; one for each kind in a process."""
    key = (equation.kind, template, type(boundary), free_surface)
    with _lock:
        if key not in _plans:
            _plans[key] = Plan(equation, Template(*template), boundary, free_surface)
        return _plans[key]


@dataclass(frozen=True)
class Discretisation:
    """A grid with its layer, a time step and an order, frozen.

    Attributes
    ----------
    grid, time, dtype
        Of the wavefields.
    space_order : int
    boundary : PML, Sponge or None
    free_surface : bool
    ratio : int
        Time steps for each sample of the data.
    velocity : float
        Largest velocity in m/s that profiles and time step were made for.
    stable_step : float
        Largest stable step in s at that velocity.
    dispersion : bool
        Whether the time dispersion of the scheme is undone in sources and data.
    """

    grid: Grid
    time: Time
    dtype: str
    space_order: int
    boundary: object
    free_surface: bool
    ratio: int
    velocity: float
    stable_step: float
    dispersion: bool

    @cached_property
    def padding(self) -> Padding:
        cells = [(self.layer, self.layer)] * self.grid.ndim
        if self.free_surface:
            cells[-1] = (0, self.layer)
        return Padding(self.grid, tuple(cells))

    @property
    def layer(self) -> int:
        """Cells of the absorbing layer."""
        return self.boundary.cells if self.boundary else 0

    @cached_property
    def resampling(self) -> Resampling:
        tail = TAIL if self.dispersion or self.ratio > 1 else 0
        return Resampling(self.time, self.ratio, dispersion=self.dispersion, tail=tail)

    @property
    def dt(self) -> float:
        return self.time.step / self.ratio

    @property
    def steps(self) -> int:
        """Number of time steps of the solver, one less than its samples."""
        return self.resampling.n - 1

    @property
    def template(self) -> tuple:
        return (self.grid.ndim, self.space_order, self.dtype)

    @property
    def fastest(self) -> float:
        """Velocity in m/s beyond which the frozen time step would be unstable."""
        return self.velocity * LIMIT * self.stable_step / self.dt

    def plan(self, medium: WaveEquation) -> Plan:
        return plan(medium, self.template, self.boundary, self.free_surface)

    def check(self, medium: WaveEquation) -> None:
        """Raise UnstableError if a medium is too fast for the frozen time step."""
        if medium.velocity is not None:
            if float(medium.velocity.max()) > self.fastest:
                raise UnstableError(
                    f"the medium reaches {float(medium.velocity.max()):.6g} m/s, but the time step of {self.dt:.6g} s was "
                    f"frozen for {self.velocity:.6g} m/s and is stable up to {self.fastest:.6g} m/s only: build the "
                    "operator with Modeling(..., max_velocity=...) at least as large as the medium will ever get"
                )
            return
        step, _ = stable(medium.primal, Template(*self.template))
        if self.dt > LIMIT * step / SAFETY:
            raise UnstableError(
                f"the medium is stable up to a time step of {step:.6g} s, but {self.dt:.6g} s was frozen at construction: "
                "build the operator with a medium that needs the smallest step"
            )

    def profiles(self) -> dict[str, np.ndarray]:
        """One-dimensional arrays of the layer, by symbol name, including the halo."""
        return _profiles(self)

    def with_halo(self, padded: np.ndarray, outside: str = "edge") -> np.ndarray:
        """Add the halo that stencils read: mirrored above a free surface, `outside` (edge or constant) elsewhere."""
        halo = self.space_order
        top = [(0, 0)] * padded.ndim
        rest = [(halo, halo)] * padded.ndim
        if self.free_surface:
            top[-1], rest[-1] = (halo, 0), (0, halo)
        out = np.pad(np.asarray(padded, self.dtype), rest, mode=outside)
        return np.pad(out, top, mode="reflect") if self.free_surface else out


@lru_cache(maxsize=16)
def _profiles(d: Discretisation) -> dict[str, np.ndarray]:
    out = {}
    for axis, name in enumerate(d.grid.axes):
        lo, _ = d.padding.cells[axis]
        n, size = d.grid.shape[axis], d.padding.shape[axis]
        index = np.arange(-d.space_order, size + d.space_order)
        top = d.free_surface and axis == d.grid.ndim - 1
        for suffix, where in (("", Fraction(0)), ("_after", Fraction(1, 2)), ("_before", Fraction(-1, 2))):
            position = index + float(where)
            below = position - (lo + n - 1)
            depth = below if top else np.maximum(lo - position, below)
            values = {"inside": ((position >= 0) | top) & (position <= size - 1)}
            if d.boundary:
                values.update(d.boundary.profiles(depth, d.grid.spacing[axis], d.velocity, d.dt))
            for kind, a in values.items():
                out[f"{PREFIX}{kind}_{name}{suffix}"] = aligned(np.asarray(a, dtype=d.dtype))
    return out


def discretise(
    waves: Wavefield,
    medium: WaveEquation,
    boundary,
    free_surface: bool,
    space_order: int,
    max_velocity: float | None,
    substeps: int | None,
    dispersion: bool,
) -> Discretisation:
    """Choose the time step and freeze everything else; see :class:`~seisops.Modeling` for the arguments."""
    if not isinstance(medium, WaveEquation):
        raise ParameterError(f"Modeling needs a medium such as Acoustic(grid, vp=...), got {type(medium).__name__}")
    if medium.grid != waves.grid:
        raise ParameterError(
            f"the medium is on {medium.grid!r}, the wavefields on {waves.grid!r}: use one grid for both"
        )
    if space_order not in range(2, 17, 2):
        raise ParameterError(f"Modeling(space_order={space_order!r}): must be even, from 2 to 16")
    if boundary is not None and not hasattr(boundary, "stretch"):
        raise ParameterError(f"Modeling(boundary={boundary!r}): use PML(), Sponge() or None")
    step, velocity = stable(medium, Template(waves.grid.ndim, space_order, waves.dtype.name))
    if max_velocity is not None:
        if not np.isfinite(max_velocity) or max_velocity < velocity * (1 - 1e-12):
            raise ParameterError(
                f"Modeling(max_velocity={max_velocity!r} m/s) is below the {velocity:.6g} m/s that the medium reaches"
            )
        step, velocity = step * velocity / float(max_velocity), float(max_velocity)
    needed = ceil(waves.time.step / (SAFETY * step) * (1 - 1e-12))
    if substeps is not None:
        substeps = integer("Modeling substeps", substeps, minimum=1)
        if waves.time.step / substeps > LIMIT * step:
            raise UnstableError(
                f"Modeling(substeps={substeps}) makes a time step of {waves.time.step / substeps:.6g} s, but waves at "
                f"{velocity:.6g} m/s on this grid are stable up to {LIMIT * step:.6g} s: use at least {needed} substeps, "
                "or leave them out"
            )
    return Discretisation(
        waves.grid,
        waves.time,
        waves.dtype.name,
        space_order,
        boundary,
        bool(free_surface),
        substeps or max(1, needed),
        velocity,
        step,
        bool(dispersion and medium.leapfrog),
    )
