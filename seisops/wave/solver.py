"""One run of a kernel for one shot: arrays on the solver's time axis in, arrays on it out.

Time indices. The solver's samples are n = 0 .. N. Forward, the loop runs over n = 0 .. N - 1, where row n of the
equation takes the source at n and determines the field at n + 1. Backward, it runs over n = N .. 0, where column n takes
the data at n and determines the adjoint field at n - 1, the multiplier of row n - 1.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import psutil

from seisops.engine.arrays import aligned, zeros
from seisops.engine.kernel import Ports
from seisops.engine.template import PREFIX
from seisops.errors import UnfusedError
from seisops.wave.discretisation import Discretisation
from seisops.wave.equation import WaveEquation
from seisops.wave.samplers import Taps

__all__ = ["Background", "Input", "Output", "Pool", "Solver"]


@dataclass
class Input:
    """What enters the wavefield, on the solver's time axis (N + 1 samples) and the padded grid.

    Attributes
    ----------
    points : dict
        By channel, where the points are and their signals of shape (points, N + 1).
    stacks : list of (channel, image, signal)
    fields : dict
        By channel, an array of shape (N + 1, ...).
    image : mapping from coefficient to padded perturbation, or None
    """

    points: dict[int, tuple[Taps, np.ndarray]] = field(default_factory=dict)
    stacks: list[tuple[int, np.ndarray, np.ndarray]] = field(default_factory=list)
    fields: dict[int, np.ndarray] = field(default_factory=dict)
    image: Mapping[str, np.ndarray] | None = None


@dataclass
class Output:
    """What to read: points by channel, signals of stacks with their channel, channels of whole fields, flags."""

    points: dict[int, Taps] = field(default_factory=dict)
    signals: list[tuple[int, np.ndarray]] = field(default_factory=list)
    fields: tuple[int, ...] = ()
    image: bool = False
    history: bool = False


@dataclass(frozen=True)
class Background:
    """Saved factors of a background wavefield, and what they were saved for."""

    wrt: tuple[str, ...]
    every: int
    histories: tuple[np.ndarray, ...]

    @property
    def nbytes(self) -> int:
        return sum(h.nbytes for h in self.histories)


class Pool:
    """Memory of backgrounds that nobody needs any more, for the next ones: fresh pages cost more than a solve."""

    def __init__(self):
        self._free: list[tuple[np.ndarray, ...]] = []
        self._lock = threading.Lock()

    def __reduce__(self):
        return Pool, ()

    def take(self, shapes: Sequence[tuple[int, ...]], dtype) -> tuple[np.ndarray, ...] | None:
        """Arrays of these shapes, if there are any; they hold what was last written."""
        with self._lock:
            for i, arrays in enumerate(self._free):
                if [(a.shape, a.dtype) for a in arrays] == [(s, np.dtype(dtype)) for s in shapes]:
                    return self._free.pop(i)
        return None

    def give(self, background: Background) -> None:
        """Hand in a background that is not used any more."""
        self._free.append(background.histories)

    def clear(self) -> None:
        """Release the memory."""
        self._free.clear()


class Solver:
    """Runs the kernels of one medium.

    Parameters
    ----------
    discretisation : Discretisation
    medium : WaveEquation
    """

    def __init__(self, discretisation: Discretisation, medium: WaveEquation):
        self.discretisation = discretisation
        self.plan = discretisation.plan(medium)
        self.coefficients = {
            PREFIX + name: aligned(discretisation.with_halo(discretisation.padding.apply(a)))
            for name, a in medium.coefficients().items()
        }

    def background_bytes(self, wrt: tuple[str, ...], every: int) -> int:
        """Memory of the background of one shot."""
        return (
            sum(prod(shape) for shape in self._history_shapes(wrt, every))
            * np.dtype(self.discretisation.dtype).itemsize
        )

    def _new_background(self, wrt, every, pool: Pool | None) -> tuple[np.ndarray, ...]:
        shapes = self._history_shapes(wrt, every)
        used = pool.take(shapes, self.discretisation.dtype) if pool else None
        if used is not None:
            return used  # every row that is read is written first
        needed, available = self.background_bytes(wrt, every), psutil.virtual_memory().available
        if needed > available:
            raise UnfusedError(
                f"the background wavefield of one shot needs {needed / 2**30:.3g} GiB ({self.discretisation.steps} steps), "
                f"but {available / 2**30:.3g} GiB of memory are free: keep fewer of its steps with "
                "storage=seisops.storage.Subsampled(every=...), or use a coarser grid or a shorter record"
            )
        return tuple(zeros(s, self.discretisation.dtype) for s in shapes)

    def _history_shapes(self, wrt, every):
        rows = self.discretisation.steps // every + 1
        return [
            (rows, *(n + 2 * h.function.space_order for n in self.discretisation.padding.shape))
            for h in self.plan.born(wrt, every).histories
        ]

    def run(
        self,
        transposed: bool,
        given: Input,
        wanted: Output,
        wrt: tuple[str, ...] = (),
        every: int = 1,
        background: Background | None = None,
        pool: Pool | None = None,
    ) -> dict:
        """March once through time.

        Parameters
        ----------
        transposed : bool
            Whether to solve the transposed equation, backward in time.
        given : Input
        wanted : Output
        wrt : tuple of str
            Coefficients with respect to which image and history ports differentiate.
        every : int
            Every how many steps the background is kept.
        background : Background, optional
            Where an image port reads.
        pool : Pool, optional
            Where memory for a new background may come from.

        Returns
        -------
        dict
            ``traces`` (by channel, (points, N + 1)), ``stacks`` (list of padded images), ``fields`` (by channel,
            (N + 1, ...)), ``image`` (mapping) and ``background``, as far as wanted.
        """
        d, template = self.discretisation, self.plan.system.template
        steps, shape = d.steps, d.padding.shape
        write = Ports(
            points=tuple(sorted(given.points)),
            stacks=tuple(channel for channel, _, _ in given.stacks),
            field=tuple(sorted(given.fields)),
            image=given.image is not None,
        )
        read = Ports(
            points=tuple(sorted(wanted.points)),
            stacks=tuple(channel for channel, _ in wanted.signals),
            field=tuple(sorted(wanted.fields)),
            image=wanted.image,
            history=wanted.history,
        )
        kernel = self.plan.kernel(transposed, write, read, wrt, every)
        rows = steps + 1
        dtype = template.dtype
        arrays = {**self.coefficients, **d.profiles()}
        bounds: dict[str, int] = {}
        # writing: row n takes sample n, in both directions
        for channel, (taps, traces) in given.points.items():
            self._taps(arrays, bounds, "write", channel, taps)
            arrays[f"{PREFIX}write{channel}_data"] = np.ascontiguousarray(traces.T, dtype)
        for k, (_, image, signal) in enumerate(given.stacks):
            arrays[f"{PREFIX}write_image{k}"] = np.ascontiguousarray(image, dtype)
            arrays[f"{PREFIX}write_signal{k}"] = np.ascontiguousarray(signal, dtype)
        for channel, values in given.fields.items():
            arrays[f"{PREFIX}write{channel}_field"] = np.ascontiguousarray(values, dtype)
        if write.image:
            for name in wrt:
                arrays[f"{PREFIX}d_{name}"] = d.with_halo(given.image[name], "constant")
        # reading: row n of a loop determines sample n + 1 forward, n - 1 backward
        for channel, taps in wanted.points.items():
            self._taps(arrays, bounds, "read", channel, taps)
            arrays[f"{PREFIX}read{channel}_data"] = zeros((rows, len(taps.weights)), dtype)
        for k, (_, signal) in enumerate(wanted.signals):
            shifted = np.zeros(steps + 1, dtype)
            if transposed:
                shifted[1:] = signal[:-1]
            else:
                shifted[:-1] = signal[1:]
            arrays[f"{PREFIX}read_signal{k}"] = shifted
            arrays[f"{PREFIX}read_image{k}"] = zeros(shape, dtype)
        for channel in wanted.fields:
            arrays[f"{PREFIX}read{channel}_field"] = zeros((rows, *shape), dtype)
        if read.image:
            for name in wrt:
                arrays[f"{PREFIX}read_d_{name}"] = zeros(shape, dtype)
        if wrt:
            histories = background.histories if background else self._new_background(wrt, every, pool)
            arrays.update(
                {h.function.name: a for h, a in zip(self.plan.born(wrt, every).histories, histories, strict=True)}
            )
        kernel.run(shape, d.grid.spacing, d.dt, (0, steps if transposed else steps - 1), arrays, bounds)

        out: dict = {}
        out["traces"] = {c: _on_samples(arrays[f"{PREFIX}read{c}_data"], transposed).T for c in read.points}
        out["stacks"] = [arrays[f"{PREFIX}read_image{k}"] for k in range(len(read.stacks))]
        out["fields"] = {c: _on_samples(arrays[f"{PREFIX}read{c}_field"], transposed) for c in read.field}
        if read.image:
            out["image"] = {name: self._gradient(arrays[f"{PREFIX}read_d_{name}"]) for name in wrt}
        if read.history:
            out["background"] = Background(wrt, every, histories)
        return out

    def _gradient(self, image):
        if self.discretisation.free_surface:
            # the image of a half space and its mirror image: the surface itself belongs to both
            image[..., 0] *= 0.5
        return image

    def _taps(self, arrays, bounds, kind: str, channel: int, taps: Taps) -> None:
        side = f"{kind}{channel}"
        if kind == "write":
            cells, weights, arrays[f"{PREFIX}{side}_points"] = taps.by_cell(self.discretisation.padding.shape)
        else:
            cells, weights = taps.cells, taps.weights
        arrays[f"{PREFIX}{side}_weight"] = weights
        for axis, index in zip(self.discretisation.grid.axes, cells, strict=True):
            arrays[f"{PREFIX}{side}_cell_{axis}"] = index
        bounds[f"{side}_row"], bounds[f"{side}_tap"] = weights.shape


def _on_samples(rows: np.ndarray, transposed: bool) -> np.ndarray:
    """Rows of the loop as samples 0 .. N of the solver's axis; the sample that no row determines is zero."""
    edge = np.zeros_like(rows[:1])
    return np.concatenate([rows[1:], edge]) if transposed else np.concatenate([edge, rows[:-1]])
