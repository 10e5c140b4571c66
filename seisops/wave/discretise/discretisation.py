"""What is frozen when a wave equation is discretised: padding, time step, profiles, compiled kernels.

None of it follows the values of the parameters later: otherwise the map from a model to its data would jump whenever
the number of time steps did.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import ceil
from weakref import WeakSet

import numpy as np

from seisops.engine import backend
from seisops.engine.arrays import VECTOR, in_rows, stackable, whole
from seisops.engine.backend import CPU, Device
from seisops.engine.derive.born import Born, born
from seisops.engine.derive.reverse import edges, reverse, unknown
from seisops.engine.derive.strips import Strips, reach_of_layer, reach_of_parameters
from seisops.engine.derive.system import System, adjoint
from seisops.engine.kernel import Again, Kernel, Ports
from seisops.engine.state import States
from seisops.engine.symbols.template import PREFIX, Template
from seisops.engine.threads import making
from seisops.errors import ParameterError, UnstableError
from seisops.wave._validate import integer, real
from seisops.wave.discretise.assembly import interior
from seisops.wave.discretise.padding import Padding, folded
from seisops.wave.discretise.resampling import Resampling
from seisops.wave.discretise.stability import admits, limit, lossless
from seisops.wave.equation import WaveEquation
from seisops.wave.grid import Grid
from seisops.wave.space import Wavefield
from seisops.wave.time import Time

__all__ = ["PLANS", "Discretisation", "Plan", "Plans", "discretise"]

# fraction of the stable step that is used at most: heterogeneous media and layers need a little room
SAFETY = 0.9
# fraction of the stable step up to which a medium is accepted by an existing discretisation: thick layers that damp strongly
# (40 cells to 1e-12) grow from 0.97 on, in the worst of random media
LIMIT = 0.95
# samples that the solver runs on beyond the last, so that filters between the two time axes do not meet its end
TAIL = 16


class Plan:
    """The kernels of one kind of wave equation, shared by all media, surveys and sizes.

    Parameters
    ----------
    system, transposed : System
        The equation and its adjoint.
    strips : Strips
        Where the fields of its layer live.
    device : Device, optional
        Where they run.
    """

    def __init__(self, system: System, transposed: System, strips: Strips, device: Device = CPU):
        self.system, self.transposed, self.strips, self.device = system, transposed, strips, device
        self._states: dict = {}
        self._kernels: dict = {}
        self._borns: dict = {}

    def edges(self, wrt: tuple[str, ...], shape: tuple[int, ...]) -> list[tuple[str, tuple[int, ...]]]:
        """Names of the arrays that keep what lies along the edges, and their shapes for one time step.

        A march takes them in parts, each of which has to be aligned: else it would be copied.
        """
        template, linearised = self.system.template, self.born(wrt, 1, present=True)
        part = unknown(self.strips, linearised)
        kept = [(u, "ring") for u in self.reversed.fields] + [(h.function, part) for h in linearised.histories]
        dimensions, itemsize = template.dimensions, np.dtype(template.dtype).itemsize

        def extents(edge) -> tuple[int, ...]:
            cells = tuple(edge.cells if d is edge.axis else n for d, n in zip(dimensions, shape, strict=True))
            return stackable(cells, itemsize)

        return [
            (PREFIX + edge.name(function), extents(edge))
            for function, part in kept
            for edge in edges(self.strips, part)
        ]

    def states(self, transposed: bool = False, kernel: Kernel | None = None) -> States:
        """The time levels for marches with a kernel; without one, those of a march that is to be followed."""
        in_place = tuple(kernel.in_place) if kernel else ()
        with PLANS.lock:
            if (transposed, in_place) not in self._states:
                system = self.of(transposed)
                self._states[transposed, in_place] = States(system, self.strips, in_place, self.device)
            return self._states[transposed, in_place]

    def of(self, transposed: bool) -> System:
        """The equation, or its adjoint."""
        return self.transposed if transposed else self.system

    def forget(self) -> None:
        """Release the kernels, and the memory that marches have spare."""
        with PLANS.lock:
            self._states.clear()
            self._kernels.clear()
            self._borns.clear()

    @cached_property
    def reversed(self) -> System:
        """The equation run backward in time, without its layer."""
        return reverse(self.system, self.strips)

    def born(self, wrt: tuple[str, ...], every: int, present: bool = False) -> Born:
        key = (wrt, every, present)
        with PLANS.lock:
            if key not in self._borns:
                self._borns[key] = born(self.system, *key)
            return self._borns[key]

    def beyond(self, wrt: tuple[str, ...]) -> frozenset[str]:
        """The coefficients whose perturbations and images go beyond the grid."""
        with PLANS.lock:
            linearised = next((b for (names, *_), b in self._borns.items() if names == wrt), None) or self.born(wrt, 1)
        return frozenset(p.name.removeprefix(f"{PREFIX}d_") for p in linearised.continued)

    def kernel(
        self,
        transposed: bool,
        write: Ports,
        read: Ports,
        wrt: tuple[str, ...] = (),
        every: int = 1,
        again: Ports | None = None,
    ) -> Kernel:
        """The kernel of some ports; `again` are those of a background that it makes again, see :class:`Kernel`."""
        key = (transposed, write, read, wrt, every, again)
        with PLANS.lock:
            if key not in self._kernels:
                system = self.of(transposed)
                linearised = self.born(wrt, every, bool(again) or read.edges) if wrt else None
                background = Again(self.reversed, again) if again else None
                self._kernels[key] = Kernel(system, write, read, linearised, self.strips, background, self.device)
            return self._kernels[key]


class Plans:
    """The plans of a process: one for each structure of an equation, whatever the padded grid's shape.

    The widths of the layer's strips are compiled in; grids narrower than a strip are a kind of their own.
    """

    def __init__(self):
        # symbols are made once: held by whoever makes any, for all that follows from them
        self.lock = making
        self._systems: dict = {}
        self._plans: dict[tuple, Plan] = {}
        self._alive: WeakSet[Plan] = WeakSet()  # those that operators have kept, too

    def get(
        self,
        equation: WaveEquation,
        template: tuple,
        boundary,
        free_surface: bool,
        shape: tuple[int, ...],
        on: str = "cpu",
    ) -> Plan:
        """The plan of an equation on padded grids like one of a given shape."""
        kind = (equation.kind, template, type(boundary), free_surface)
        with self.lock:
            if kind not in self._systems:
                system = equation.system(Template(*template), boundary, free_surface)
                transposed = adjoint(system)
                halo = max(reach_of_layer(s) for s in (system, transposed))
                self._systems[kind] = system, transposed, halo
            system, transposed, halo = self._systems[kind]
            strips = _strips(system, transposed, boundary, free_surface, shape, halo)
            key = (*kind, strips.key, on)
            if key not in self._plans:
                self._plans[key] = Plan(system, transposed, strips, backend.device(on))
                self._alive.add(self._plans[key])
            return self._plans[key]

    @property
    def kernels(self) -> list[Kernel]:
        """Those that have been made."""
        with self.lock:
            return [kernel for plan in self._alive for kernel in plan._kernels.values()]

    def forget(self) -> None:
        """Release all: who needs a plan again makes it again; operators that are there keep theirs, without its kernels."""
        with self.lock:
            for plan in self._alive:
                plan.forget()
            self._plans.clear()
            self._systems.clear()


#: The plans of this process.
PLANS = Plans()
plan = PLANS.get


def model_shape(shape: tuple[int, ...], boundary, free_surface: bool) -> tuple[int, ...]:
    """Cells of a padded grid that are not in the layer."""
    *others, depth = (n - 2 * boundary.cells for n in shape)
    return (*others, depth + boundary.cells if free_surface else depth)


def _strips(
    system: System, transposed: System, boundary, free_surface: bool, shape: tuple[int, ...], around: int
) -> Strips:
    """Where the fields of a layer live on a padded grid of a given shape, reaching `around` cells beyond it.

    On grids so narrow that what lies in one strip reaches the layer at the other end, or at its mirror image above a free
    surface, they live on the whole grid.
    """
    template, compact = system.template, {**system.compact, **transposed.compact}
    if not compact or min(model_shape(shape, boundary, free_surface)) <= around:
        return Strips(template, {}, {}, {})
    half = any(p.denominator > 1 for where in system.positions.values() for p in where)
    widths, sides = {}, {}
    for d, n in zip(template.dimensions, shape, strict=True):
        widths[d] = min(boundary.cells + half + around, n)
        sides[d] = ("high",) if free_surface and d is template.dimensions[-1] else ("low", "high")
    # along rows, whole vectors: the rest of one costs nothing, and leaves the rows between the strips aligned
    last, unit = template.dimensions[-1], VECTOR // np.dtype(template.dtype).itemsize
    widths[last] = min(whole(widths[last], unit), shape[-1])
    # images are made as far beyond the grid as parameters are looked at
    halo = min(around + reach_of_parameters(system), template.space_order)
    return Strips(template, compact, widths, sides, boundary.cells + half, halo)


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
    staggered : bool
        Whether fields stand between the time steps.
    radius : float
        What the bound of the scheme may reach; see :class:`seisops.wave.discretise.stability.Limit`.
    device : str
        Where waves are propagated.
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
    staggered: bool = False
    radius: float = 1.0
    device: str = "cpu"

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

    def resampling(self, time: Fraction = Fraction(0)) -> Resampling:
        """Between the samples of the data and those of the solver, which lie so many steps after its own."""
        tail = TAIL if self.dispersion or self.ratio > 1 or self.staggered else 0
        return Resampling(self.time, self.ratio, dispersion=self.dispersion, tail=tail, shift=float(time))

    @property
    def dt(self) -> float:
        return self.time.step / self.ratio

    @property
    def steps(self) -> int:
        """Number of time steps of the solver, one less than its samples."""
        return self.resampling().n - 1

    @property
    def template(self) -> tuple:
        return (self.grid.ndim, self.space_order, self.dtype)

    @property
    def largest_step(self) -> float:
        """The largest step in s that is taken unless asked for."""
        return SAFETY * self.stable_step

    @property
    def fastest(self) -> float:
        """Velocity in m/s beyond which the frozen time step would be unstable."""
        return self.velocity * LIMIT * self.stable_step / self.dt

    def plan(self, medium: WaveEquation) -> Plan:
        return plan(medium, self.template, self.boundary, self.free_surface, self.padding.shape, self.device)

    def check(self, medium: WaveEquation) -> None:
        """Raise UnstableError if the frozen time step is too large for a medium."""
        medium = medium.primal
        if admits(medium, self.template, self.dt / LIMIT, self.radius):
            return
        fastest = medium.velocity is not None and float(np.max(medium.velocity))
        if fastest and fastest > self.fastest:
            raise UnstableError(
                f"the medium reaches {fastest:.6g} m/s, but the time step of {self.dt:.6g} s was "
                f"frozen for {self.velocity:.6g} m/s and is stable up to {self.fastest:.6g} m/s only: build the "
                "operator with Modeling(..., max_velocity=...) at least as large as the medium will ever get"
            )
        raise UnstableError(
            f"the medium is stable up to a time step of {LIMIT * limit(medium, self.template).step:.6g} s, but "
            f"{self.dt:.6g} s was frozen at construction (contrasts between neighbouring cells count, too): build the "
            "operator with a medium that needs the smallest step, or with Modeling(..., substeps=...) or max_velocity=..."
        )

    def check_lossless(self, medium: WaveEquation) -> None:
        """Raise ParameterError unless waves in the medium itself can be run backward in time."""
        if self.boundary is not None and not self.boundary.compact:
            raise ParameterError(
                f"storage=Boundary() makes the wavefield again inside the layer, but {self.boundary!r} acts everywhere: use "
                "boundary=PML(), or another storage policy"
            )
        if not lossless(medium.primal, self.template, self.dt):
            raise ParameterError(
                f"storage=Boundary() runs waves backward in time, which {type(medium.primal).__name__} does not allow: it "
                "loses energy on the way. Use storage='auto' or Checkpointed()"
            )

    def profiles(self, strips: Strips) -> dict[str, np.ndarray]:
        """One-dimensional arrays of the layer, by symbol name, including the halo."""
        return _profiles(self, tuple(strips.widths.values()), strips.halo)

    def extents(self, halo: int = 0) -> tuple[int, ...]:
        """Shape of an array on the padded grid, with a halo."""
        return in_rows(tuple(n + 2 * halo for n in self.padding.shape), np.dtype(self.dtype).itemsize)

    def with_halo(self, padded: np.ndarray, outside: str = "edge") -> np.ndarray:
        """Add the halo that stencils read: mirrored above a free surface, `outside` (edge or constant) elsewhere."""
        halo = self.space_order
        top = [(0, 0)] * padded.ndim
        rest = [(halo, end - halo - n) for n, end in zip(padded.shape, self.extents(halo), strict=True)]
        if self.free_surface:
            top[-1], rest[-1] = (halo, 0), (0, rest[-1][1])
        out = np.pad(np.asarray(padded, self.dtype), rest, mode=outside)
        return np.pad(out, top, mode="reflect") if self.free_surface else out

    def without_halo(self, array: np.ndarray) -> np.ndarray:
        """Transpose of :meth:`with_halo`, for arrays that are zero above a free surface."""
        halo = self.space_order
        around = [(halo, halo)] * array.ndim
        cells = array[..., : self.padding.shape[-1] + 2 * halo]
        if self.free_surface:
            around[-1], cells = (0, halo), cells[..., halo:]
        return folded(cells, around)


@lru_cache(maxsize=16)
def _profiles(d: Discretisation, widths: tuple[int, ...], around: int) -> dict[str, np.ndarray]:
    """Profiles by symbol name; if the layer lives in strips, with their widths along each axis and the cells around them."""
    out = {}
    for axis, name in enumerate(d.grid.axes):
        lo, _ = d.padding.cells[axis]
        n, size, halo = d.grid.shape[axis], d.padding.shape[axis], d.space_order
        top = d.free_surface and axis == d.grid.ndim - 1
        for suffix, where in (("", 0.0), ("_after", 0.5), ("_before", -0.5)):

            def add(kind, values, side="", name=name, suffix=suffix):
                out[f"{PREFIX}{kind}_{name}{suffix}{side}"] = backend.device(d.device).to_device(
                    np.asarray(values), d.dtype
                )

            def profiles(depth, axis=axis):
                return d.boundary.profiles(depth, d.grid.spacing[axis], d.velocity, d.dt).items()

            position = np.arange(-halo, size + halo) + where
            if top:  # what is above the surface is the mirror image of what is below
                position = np.abs(position)
            below, above = position - (lo + n - 1), lo - position
            add("inside", (position >= 0) & (position <= size - 1))
            if not d.boundary:
                continue
            if not widths:
                for kind, values in profiles(below if top else np.maximum(above, below)):
                    add(kind, values)
                continue
            inward, outward = widths[axis] + halo + around, halo - around
            for kind, values in profiles(below[-inward : len(below) - outward]):
                add(kind, values, f"_high{widths[axis]}")
            if not top:
                for kind, values in profiles(above[outward:inward]):
                    add(kind, values, f"_low{widths[axis]}")
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
    if boundary is not None and (isinstance(boundary, type) or not hasattr(boundary, "stretch")):
        raise ParameterError(f"Modeling(boundary={boundary!r}): use PML(), Sponge() or None")
    if free_surface not in (True, False):
        raise ParameterError(f"Modeling(free_surface={free_surface!r}): True for one at the top, or False")
    template = (waves.grid.ndim, space_order, waves.dtype.name)
    found = limit(medium, template)
    step, velocity = found.step, found.velocity
    if max_velocity is not None:
        max_velocity = real("Modeling max_velocity", max_velocity, "m/s", positive=True)
        if max_velocity < velocity * (1 - 1e-12):
            raise ParameterError(
                f"Modeling(max_velocity={max_velocity:.6g} m/s) is below the {velocity:.6g} m/s that the medium reaches"
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
        interior(medium, Template(*template)).staggered,
        found.radius,
        waves.device,
    )
