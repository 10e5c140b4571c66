"""The space of wavefields, and the small spaces beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from seisops.engine import backend
from seisops.errors import ParameterError
from seisops.spaces import AtPoints, Axis, Space, Traces
from seisops.wave._validate import integer
from seisops.wave.grid import Grid
from seisops.wave.time import Time

__all__ = ["Wavefield"]


class Wavefield(Space):
    """The space of wavefields u(shot, t, x, [y,] z), which projections, wavelets and modeling operators share.

    Parameters
    ----------
    grid : Grid
    time : Time
        The samples of sources and data.
    shots : int, optional
    dtype : {"float32", "float64"}, optional
    max_bytes : int, optional
        Largest wavefield that may be held in memory as an array; an expression that would need more raises
        :class:`~seisops.errors.UnfusedError`. By default 2 GiB.
    device : str, optional
        Where waves are propagated: "cpu", or "cuda" ("cuda:1", ...) for a graphics processor, through CuPy; by default that
        of :func:`~seisops.default_device`, or the processor. Operators take and return arrays of CuPy, or tensors of torch,
        that are on that device, without the host; given NumPy's they return NumPy's.

    Raises
    ------
    ParameterError
        If an argument is not of its kind.
    """

    extended = True

    def __init__(
        self,
        grid: Grid,
        time: Time,
        shots: int = 1,
        dtype: str = "float32",
        max_bytes: int = 2**31,
        device: str | None = None,
    ):
        if not isinstance(grid, Grid) or not isinstance(time, Time):
            raise ParameterError(f"Wavefield needs a Grid and a Time, got {grid!r} and {time!r}")
        if np.dtype(dtype) not in (np.dtype("float32"), np.dtype("float64")):
            raise ParameterError(f"Wavefield(dtype={dtype!r}): use 'float32' or 'float64'")
        self.grid, self.time, self.device = grid, time, backend.chosen(device)
        self.max_bytes = integer("Wavefield max_bytes", max_bytes, minimum=1)
        axes = [Axis("shot", integer("Wavefield shots", shots, minimum=1)), Axis("time", time.n, time.step, time.start)]
        super().__init__("wavefield", [*axes, *self._space_axes()], dtype)

    def _space_axes(self) -> list[Axis]:
        g = self.grid
        return [Axis(a, n, h, o) for a, n, h, o in zip(g.axes, g.shape, g.spacing, g.origin, strict=True)]

    def select(self, shots: Sequence[int]) -> Wavefield:
        """The space of the wavefields of some shots."""
        return Wavefield(self.grid, self.time, len(self._numbers(shots)), self.dtype.name, self.max_bytes, self.device)

    @classmethod
    def required(cls, what: str, waves: Any) -> Wavefield:
        """Return `waves`, or refuse what is no space of wavefields where one is needed.

        Parameters
        ----------
        what : str
            Who needs it.
        waves : object
            What was given.
        """
        if not isinstance(waves, cls):
            hint = "Wavefield(grid, time, shots) is the space of wavefields on a grid"
            raise ParameterError(f"{what} needs a Wavefield first, got {type(waves).__name__}: {hint}")
        return waves

    def traces(self, counts: Sequence[int]) -> Traces:
        """The space of time series at `counts[i]` points of shot i."""
        return Traces(counts, Axis("time", self.time.n, self.time.step, self.time.start), self.dtype)

    def positions(self, counts: Sequence[int], shared: bool) -> Space:
        """The space of the coordinates, in metres, of `counts[i]` points of shot i, or of the same points in all shots."""
        axis = Axis("axis", self.grid.ndim)
        if shared:
            return Space("positions", [Axis("point", counts[0]), axis], self.dtype)
        return AtPoints("positions", counts, axis, self.dtype)

    def images(self) -> Space:
        """The space of one image for each shot."""
        return Space("images", [Axis("shot", self.shots), *self._space_axes()], self.dtype)

    def snapshots(self, numbers: Sequence[int]) -> Space:
        """The space of the fields of each shot at some samples of the time axis."""
        times, apart = self.time.samples[list(numbers)], set(np.diff(numbers).tolist())
        step = apart.pop() * self.time.step if len(apart) == 1 else None
        axes = [Axis("shot", self.shots), Axis("time", len(numbers), step, float(times[0])), *self._space_axes()]
        if step is None and len(numbers) > 1:
            return Uneven("snapshots", axes, self.dtype, tuple(times.tolist()))
        return Space("snapshots", axes, self.dtype)

    def model(self) -> Space:
        """The space of one array on the grid, shared by all shots."""
        return Space("model", self._space_axes(), self.dtype)


class Uneven(Space):
    """A space of fields at times that are not evenly apart, and that it is told apart by.

    Parameters
    ----------
    name, axes, dtype
        As of :class:`Space`.
    times : tuple of float
        Seconds.
    """

    def __init__(self, name: str, axes: Sequence[Axis], dtype: DTypeLike, times: tuple[float, ...]):
        super().__init__(name, axes, dtype)
        self.times = times

    def select(self, shots: Sequence[int]) -> Uneven:
        axes = (Axis("shot", len(self._numbers(shots))), *self.axes[1:])
        return Uneven(self.name, axes, self.dtype, self.times)

    def _identity(self) -> tuple:
        return (*super()._identity(), self.times)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}; times=[{', '.join(f'{t:.9g}' for t in self.times)}]>"
