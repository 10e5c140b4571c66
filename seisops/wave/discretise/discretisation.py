"""What is frozen when a wave equation is discretised: padding, time step, profiles, compiled kernels.

None of it follows the values of the parameters later: otherwise the map from a model to its data would jump whenever
the number of time steps did.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import ceil

import numpy as np

from seisops.engine import backend
from seisops.engine.arrays import in_rows
from seisops.engine.facts import Layer
from seisops.engine.scheme import Scheme
from seisops.engine.symbols.closure import BELOW, closing, closure
from seisops.engine.symbols.names import PREFIX
from seisops.errors import AccuracyWarning, ParameterError, UnstableError, outside, shown
from seisops.wave._validate import integer, real
from seisops.wave.discretise.padding import Padding, folded
from seisops.wave.discretise.resampling import Resampling
from seisops.wave.discretise.schemes import SCHEMES
from seisops.wave.discretise.stability import admits, limit, lossless
from seisops.wave.equation import WaveEquation
from seisops.wave.faces import Faces
from seisops.wave.grid import Grid
from seisops.wave.space import Wavefield
from seisops.wave.time import Time

__all__ = ["Discretisation", "discretise"]

# fraction of the stable step that is used at most: heterogeneous media and layers need a little room
SAFETY = 0.9
# fraction of the stable step up to which a medium is accepted by an existing discretisation: thick layers that damp strongly
# (40 cells to 1e-12) grow from 0.97 on, in the worst of random media
LIMIT = 0.95
# samples that the solver runs on beyond the last, so that filters between the two time axes do not meet its end
TAIL = 16


@dataclass(frozen=True)
class Discretisation:
    """A grid with its layer, a time step and an order, frozen.

    Attributes
    ----------
    grid, time, dtype
        Of the wavefields.
    space_order : int
    faces : Faces
    ratio : int
        Time steps for each sample of the data.
    velocity : float
        Largest velocity in m/s that profiles and time step were made for.
    stable_step : float
        Largest stable step in s at that velocity.
    dispersion : bool
        Whether the time dispersion of the scheme is undone in sources and data.
    closed : bool
        Whether differences end at the free surface, rather than going on in its mirror.
    staggered : bool
        Whether anything is driven or heard between the time steps.
    radius : float
        What the bound of the scheme may reach; see :class:`seisops.wave.discretise.stability.Limit`.
    device : str
        Where waves are propagated.
    halo : int
        Cells around the padded grid that its arrays have.
    """

    grid: Grid
    time: Time
    dtype: str
    space_order: int
    faces: Faces
    ratio: int
    velocity: float
    stable_step: float
    dispersion: bool
    closed: bool = False
    staggered: bool = False
    radius: float = 1.0
    device: str = "cpu"
    halo: int = 0

    @cached_property
    def padding(self) -> Padding:
        return Padding(self.grid, self.faces.cells, self.faces.transitions)

    @property
    def boundary(self):
        """An absorbing layer like all that there are, or None."""
        return self.faces.kind

    @property
    def surface(self) -> bool:
        """Whether the low end of the last axis is a free or rigid surface."""
        return bool(self.faces.surface)

    @property
    def mirrored(self) -> bool:
        """Whether what is above the surface is the mirror image of what is below."""
        return self.surface and not self.closed

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

    def about(self) -> dict[str, str]:
        """What there is to say of it, by name."""
        said = {
            "time step": f"{self.dt:.4g} s, {self.ratio} for each sample",
            "boundary": self.faces.in_words(self.grid.axes),
            "space order": str(self.space_order),
        }
        return said if self.device == "cpu" else {**said, "device": self.device}

    def scheme(self, medium: WaveEquation) -> Scheme:
        """The kernels of a medium's equation."""
        return SCHEMES.get(medium, self.template, self.faces, self.padding.shape, self.device)

    def check(self, medium: WaveEquation) -> None:
        """Refuse a medium for which the frozen time step is too large, or the surface another one."""
        medium = medium.primal
        if self.surface and self.closed != bool(medium.tractions):
            was, now = ("solid", "fluid") if self.closed else ("fluid", "solid")
            raise ParameterError(
                f"the {self.faces.surface} surface was made for {type(medium).__name__} with {was} beside it, and now {now} "
                "is in the uppermost cells: build the operator with a medium such as this one"
            )
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

    def profiles(self, layer: Layer) -> dict[str, np.ndarray]:
        """One-dimensional arrays of the layer, by symbol name, including the halo."""
        return _profiles(self, layer.widths, layer.halo)

    def extents(self, halo: int = 0) -> tuple[int, ...]:
        """Shape of an array on the padded grid, with a halo."""
        return in_rows(tuple(n + 2 * halo for n in self.padding.shape), np.dtype(self.dtype).itemsize)

    def with_halo(self, padded: np.ndarray, outside: str = "edge", odd: bool = False) -> np.ndarray:
        """Add the halo that stencils read: the mirror image above a surface, minus that if `odd`, `outside` elsewhere.

        `outside` is ``"edge"`` or ``"constant"``.
        """
        halo = self.halo
        top = [(0, 0)] * padded.ndim
        rest = [(halo, end - halo - n) for n, end in zip(padded.shape, self.extents(halo), strict=True)]
        if self.mirrored:
            top[-1], rest[-1] = (halo, 0), (0, rest[-1][1])
        out = np.pad(padded.astype(self.dtype, copy=False), rest, mode=outside)
        if not self.mirrored:
            return out
        out = np.pad(out, top, mode="reflect")
        if odd:
            out[..., :halo] *= -1
        return out

    def without_halo(self, array: np.ndarray) -> np.ndarray:
        """Transpose of :meth:`with_halo`, for arrays that are zero above a mirroring surface."""
        halo = self.halo
        around = [(halo, halo)] * array.ndim
        cells = array[..., : self.padding.shape[-1] + 2 * halo]
        if self.mirrored:
            around[-1], cells = (0, halo), cells[..., halo:]
        return folded(cells, around)


@lru_cache(maxsize=16)
def _profiles(d: Discretisation, widths: tuple[int, ...], around: int) -> dict[str, np.ndarray]:
    """Profiles by symbol name; if the layer lives in strips, with their widths along each axis and the cells around them."""
    out = {}
    for axis, name in enumerate(d.grid.axes):
        lo, _ = d.padding.cells[axis]
        layers = dict(zip(("low", "high"), d.faces.layers[axis], strict=True))
        n, size, halo = d.grid.shape[axis], d.padding.shape[axis], d.halo
        last = axis == d.grid.ndim - 1
        top, closed = d.mirrored and last, d.closed and last
        for suffix, where in (("", 0.0), ("_after", 0.5), ("_before", -0.5)):

            def add(kind, values, side="", name=name, suffix=suffix):
                out[f"{PREFIX}{kind}_{name}{suffix}{side}"] = backend.device(d.device).to_device(
                    np.asarray(values), d.dtype
                )

            def profiles(layer, depth, axis=axis):
                return layer.profiles(depth, d.grid.spacing[axis], d.velocity, d.dt)

            position = np.arange(-halo, size + halo) + where
            if top:  # what is above the surface is the mirror image of what is below
                position = np.abs(position)
            # where there is no layer, but something has strips, is as if it were in the model
            depths = {"low": lo - position, "high": position - (lo + n - 1)}
            depths = {side: depth if layers[side] else np.minimum(depth, 0) for side, depth in depths.items()}
            layers = {side: layer or d.boundary for side, layer in layers.items()}
            add("inside", (position >= 0) & (position <= size - 1))
            if closed or top:
                add(BELOW, position != 0)
            ends = closing(d.space_order, where > 0, halo, size) if closed and where >= 0 else {}
            if not widths:
                for kind, values in ends.items():
                    add(kind, values)
            if d.boundary and not (widths and d.boundary.compact):
                low, high = (profiles(layers[side], depths[side]) for side in ("low", "high"))
                for kind in low:
                    add(kind, np.where(depths["low"] > depths["high"], low[kind], high[kind]))
            if not widths:
                continue
            inward, outward = widths[axis] + halo + around, halo - around
            cut = {"low": slice(outward, inward), "high": slice(len(position) - inward, len(position) - outward)}
            for side, part in cut.items():
                for kind, values in ends.items():
                    add(kind, values[part] if side == "low" else np.zeros_like(values[part]), f"_{side}{widths[axis]}")
                if d.boundary and d.boundary.compact and not (top and side == "low"):
                    for kind, values in profiles(layers[side], depths[side][part]).items():
                        add(kind, values, f"_{side}{widths[axis]}")
    return out


def _require_plausible(max_velocity: float, velocity: float, medium: WaveEquation) -> None:
    """Refuse a largest velocity in m/s beyond what waves would reach in a medium with the largest plausible `vp`."""
    ends = medium.plausible("vp")
    if ends is None or "vp" not in medium.perturbable:
        return
    most = ends[1] * velocity / float(np.max(medium.get("vp")))
    if max_velocity > most * (1 + 1e-6):
        name = type(medium).__name__
        raise ParameterError(
            f"Modeling(max_velocity={max_velocity:.6g} m/s) is beyond the {most:.6g} m/s that waves reach where vp is the "
            f"largest plausible, {ends[1]:.6g} m/s, and would need {max_velocity / velocity:.3g} times as many steps as the "
            f"{velocity:.6g} m/s of the medium. If it is meant, state what may occur: {name}(..., ranges={{'vp': (lowest, "
            "highest)})"
        )


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
    if not isinstance(space_order, int | np.integer) or space_order not in range(2, 17, 2):
        raise ParameterError(f"Modeling(space_order={shown(space_order)}): must be an integer, even, from 2 to 16")
    space_order = int(space_order)
    suited = medium.primal.multiaxial, medium.primal.transition
    faces = Faces.of(boundary, free_surface, waves.grid.axes, *suited)
    for doubt in medium.primal.doubts(faces.surface):
        warnings.warn(doubt, AccuracyWarning, stacklevel=outside())
    closed = bool(faces.surface and medium.primal.tractions)
    rows = closure(space_order).rows
    if closed and waves.grid.shape[-1] <= 2 * rows:
        raise ParameterError(
            f"Modeling(space_order={space_order}): a {faces.surface} surface of {type(medium.primal).__name__} needs more "
            f"than {2 * rows} nodes in depth, got {waves.grid.shape[-1]}: use a deeper grid or a lower order"
        )
    template = (waves.grid.ndim, space_order, waves.dtype.name)
    found = limit(medium, template)
    step, velocity = found.step, found.velocity
    if max_velocity is not None:
        max_velocity = real("Modeling max_velocity", max_velocity, "m/s", positive=True)
        if max_velocity < velocity * (1 - 1e-12):
            raise ParameterError(
                f"Modeling(max_velocity={max_velocity:.6g} m/s) is below the {velocity:.6g} m/s that the medium reaches"
            )
        _require_plausible(max_velocity, velocity, medium.primal)
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
    interior = SCHEMES.interior(medium, template)
    return Discretisation(
        waves.grid,
        waves.time,
        waves.dtype.name,
        space_order,
        faces,
        substeps or max(1, needed),
        velocity,
        step,
        bool(dispersion and medium.leapfrog),
        closed,
        interior.staggered(medium.channels),
        found.radius,
        waves.device,
        interior.halo,
    )
