"""Surveys: sequences of shots, each with its own sources, receivers, time axis and traces."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from seisops._table import Told
from seisops.elsewhere import OnDemand
from seisops.errors import ParameterError, SelectionError, SpaceError, shown
from seisops.spaces import Traces
from seisops.survey.datasets import read_dataset, write_dataset
from seisops.survey.line import fitted
from seisops.survey.segy_read import Rules, read_segy
from seisops.survey.segy_write import write_segy
from seisops.survey.shot import Shot, checked_points
from seisops.survey.together import axes_of, counts_of, data_of, dtype_of, require_memory, space_of, time_of
from seisops.survey.windows import WindowedModeling, windowed
from seisops.survey.zarr_files import read_zarr, write_zarr
from seisops.wave._validate import integer, real
from seisops.wave.boundaries import PML
from seisops.wave.equation import WaveEquation
from seisops.wave.grid import Grid
from seisops.wave.space import Wavefield
from seisops.wave.time import Time

if TYPE_CHECKING:
    import xarray

__all__ = ["Survey"]


class Survey(OnDemand, Told):
    """An immutable sequence of shots. Shots may have different receivers, sources and time axes, and data in files.

    Parameters
    ----------
    shots : iterable of Shot
        At least one.
    notes : iterable of str, optional
        What was done to the data on their way here, such as a conversion from feet.

    See Also
    --------
    Survey.from_arrays, Survey.from_segy, Survey.from_zarr, Survey.from_xarray

    Examples
    --------
    >>> survey = Survey.from_arrays([(0.0, 5.0), (100.0, 5.0)], [(x, 10.0) for x in range(50)], Time(101, 0.004))
    >>> len(survey), survey[0].receivers.shape
    (2, (50, 2))
    """

    __slots__ = ("_shots", "notes")

    _shots: tuple[Shot, ...]
    notes: tuple[str, ...]

    def __init__(self, shots: Iterable[Shot], notes: Iterable[str] = ()):
        shots = tuple(shots)
        if not shots:
            raise ParameterError("a survey needs at least one shot")
        for i, shot in enumerate(shots):
            if not isinstance(shot, Shot):
                raise ParameterError(f"shot {i} of a survey is {shot!r}, not a Shot; see Survey.from_arrays")
            if shot.ndim != shots[0].ndim:
                raise ParameterError(f"shot 0 has {shots[0].ndim} coordinates and shot {i} has {shot.ndim}")
        object.__setattr__(self, "_shots", shots)
        object.__setattr__(self, "notes", tuple(notes))

    def __setattr__(self, name, value):
        raise AttributeError(f"a Survey is immutable: {name!r} cannot be set")

    def __reduce__(self):
        return Survey, (self._shots, self.notes)

    # -- where surveys come from

    @classmethod
    def from_arrays(
        cls,
        sources: ArrayLike | Sequence[ArrayLike],
        receivers: ArrayLike | Sequence[ArrayLike],
        time: Time | Sequence[Time],
        data: ArrayLike | Sequence[ArrayLike] | None = None,
    ) -> Survey:
        """A survey from coordinates and data in memory.

        Parameters
        ----------
        sources : array_like or list of array_like
            Metres: ``(shots, ndim)`` with one source for each shot, ``(shots, n_sources, ndim)``, or a list with one
            array ``(n_sources, ndim)`` for each shot.
        receivers : array_like or list of array_like
            Metres: ``(n_receivers, ndim)`` for all shots, ``(shots, n_receivers, ndim)``, or a list with one array
            ``(n_receivers, ndim)`` for each shot.
        time : Time or sequence of Time
            For all shots, or one for each.
        data : array_like or list of array_like, optional
            ``(shots, n_receivers, nt)``, ``(traces, nt)`` with the traces of one shot after another, or a list with one
            array ``(n_receivers, nt)`` for each shot. Not copied where it is of float32 or float64: do not change it.

        Returns
        -------
        Survey
        """
        per_source = _per_shot("sources", sources)
        if per_source is None:
            per_source = list(np.asarray(sources)[:, None, :])
        n = len(per_source)
        per_receiver = _per_shot("receivers", receivers)
        if per_receiver is None:
            per_receiver = [checked_points("receivers", np.asarray(receivers))] * n
        if not isinstance(time, (Time, list, tuple)):
            raise ParameterError(f"from_arrays(time={time!r}): give a Time, or a list with one for each shot")
        times = [time] * n if isinstance(time, Time) else list(time)
        for name, values in (("receivers", per_receiver), ("time", times)):
            if len(values) != n:
                raise ParameterError(f"sources are given for {n} shots and {name} for {len(values)}")
        parts = enumerate(zip(per_source, per_receiver, times, strict=True))
        shots = [Shot(s, r, t, record=i + 1) for i, (s, r, t) in parts]
        survey = cls(shots)
        return survey if data is None else survey.with_data(data)

    @classmethod
    def from_segy(
        cls,
        paths: str | os.PathLike | Sequence[str | os.PathLike],
        *,
        by: str | Sequence[str] = "source",
        datum: float = 0.0,
        depth: str | tuple[float, float] | None = None,
        units: str | None = None,
        ndim: int | None = None,
        step: float | None = None,
        start: float | None = None,
        trace_ids: Sequence[int] | None = None,
        dead: str = "keep",
        on_duplicate: str = "raise",
        truncated: str = "raise",
        samples: int | None = None,
        format: int | None = None,
        byteorder: str | None = None,
        tolerance: float = 0.0,
    ) -> Survey:
        """A survey from SEG-Y files: their headers are read now and once, traces when they are asked for.

        Scalars of coordinates and elevations are applied trace by trace (0 is 1); feet become metres; z points down
        from the datum: ``datum - elevation`` for receivers, ``datum - surface elevation + source depth`` for sources.

        Parameters
        ----------
        paths : path-like or sequence of path-like
            One file or several; a shot may go on in another file if shots are told apart by their source.
        by : {"source", "record", "point"} or tuple of these, optional
            What tells shots apart: the position of the source (by default, needs no header but coordinates), the field
            record number (bytes 9-12) or the energy source point (17-20), both in their file. Shots are in the order
            in which they first appear; their traces may lie anywhere.
        datum : float, optional
            Elevation of z = 0 in metres.
        depth : {"elevation", "depth"} or (float, float), optional
            What the elevation fields (41-44, 45-48) hold: elevations, as the standard says, or depths, positive down,
            as some programs write. Or z of all sources and all receivers in metres. By default elevations, with a
            warning if that puts everything above z = 0.
        units : {"m", "ft"}, optional
            What lengths are in, where the file is wrong about it.
        ndim : {2, 3}, optional
            By default 2, coordinates (x, z), if y is 0 everywhere, and otherwise 3.
        step, start : float, optional
            Sample interval and time of the first sample in seconds, in place of what headers say.
        trace_ids : sequence of int, optional
            Trace identification codes (bytes 29-30) to read. By default all but auxiliary traces (3-10 and 18-22).
        dead : {"keep", "drop"}, optional
            Dead traces (code 2) are kept and marked in `Shot.dead`, or left out.
        on_duplicate : {"raise", "first", "keep"}, optional
            Traces of one shot at one receiver position: an error, only the first, or all.
        truncated : {"raise", "drop"}, optional
            A file that ends in the middle of a trace: an error, or that trace is left out.
        samples : int, optional
            Samples of a trace, in place of what headers say.
        format : int, optional
            Code of the samples (1 IBM float, 5 IEEE float, ...), in place of what the binary header says.
        byteorder : {"big", "little"}, optional
            Order of bytes, where it cannot be told from the file.
        tolerance : float, optional
            Sources that are at most so many metres apart are one shot, with the position of its first trace.

        Returns
        -------
        Survey
            `notes` say what was left out, converted or missing.

        Raises
        ------
        ParameterError
            If a file is no SEG-Y, is damaged, contradicts itself, or leaves open what a number means.
        """
        rules = Rules(by, datum, depth, units, ndim, step, start, trace_ids, dead, on_duplicate, truncated,
                      samples, format, byteorder, tolerance)  # fmt: skip
        return cls(*read_segy(paths, rules))

    @classmethod
    def from_zarr(cls, path: str | os.PathLike) -> Survey:
        """A survey from a Zarr store that `to_zarr` wrote; traces are read when they are asked for.

        Parameters
        ----------
        path : path-like
        """
        return cls(*read_zarr(path))

    @classmethod
    def from_xarray(cls, dataset: xarray.Dataset) -> Survey:
        """A survey from a dataset with the names that `to_xarray` gives; what is lazy stays lazy.

        Parameters
        ----------
        dataset : xarray.Dataset
        """
        return cls(*read_dataset(dataset))

    # -- the sequence of shots

    def __len__(self) -> int:
        return len(self._shots)

    @overload
    def __getitem__(self, index: int) -> Shot: ...

    @overload
    def __getitem__(self, index: slice | Sequence[int] | NDArray) -> Survey: ...

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            try:
                chosen = self._shots[index]
            except TypeError:
                raise ParameterError(f"survey[{shown(index)}]: the ends of a slice are numbers of shots") from None
            if not chosen:
                raise ParameterError(f"survey[{index.start}:{index.stop}:{index.step}] of {len(self)} shots is empty")
            return Survey(chosen, self.notes)
        if np.ndim(index) == 0:
            if isinstance(index, (bool, np.bool_)) or not isinstance(index, (int, np.integer)):
                raise ParameterError(
                    f"survey[{shown(index)}]: use a number, a slice, or a list of numbers or truth values"
                )
            if not -len(self) <= index < len(self):
                raise SelectionError(
                    f"shot {index} is out of range: the survey has {len(self)} shots, 0 to {len(self) - 1}"
                )
            return self._shots[int(index)]
        numbers = np.asarray(index)
        if numbers.dtype.kind == "b" and numbers.shape == (len(self),):
            numbers = np.flatnonzero(numbers)
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not len(numbers):
            raise ParameterError(
                f"survey[...] of {len(self)} shots takes a list of shot numbers or of {len(self)} truth values, not "
                f"{numbers.dtype} of shape {numbers.shape}, and at least one"
            )
        return Survey([self[int(i)] for i in numbers], self.notes)

    def select(self, predicate: Callable[[Shot], bool]) -> Survey:
        """The shots for which a function is true.

        Parameters
        ----------
        predicate : callable
            Takes a `Shot`.
        """
        chosen = [shot for shot in self if predicate(shot)]
        if not chosen:
            raise ParameterError(f"select: the predicate is false for all {len(self)} shots")
        return Survey(chosen, self.notes)

    def sort(self, by: str | Callable[[Shot], Any]) -> Survey:
        """The shots in another order; those that are equal stay in theirs.

        Parameters
        ----------
        by : {"x", "y", "z", "record"} or callable
            A coordinate of the (first) source, the number of the shot, or a function of a `Shot`.
        """
        if callable(by):
            return Survey(sorted(self, key=by), self.notes)
        axes = self.axes
        if by == "record":
            missing = next((i for i, shot in enumerate(self) if shot.record is None), None)
            if missing is not None:
                raise ParameterError(f"sort('record'): shot {missing} has no number")
            return Survey(sorted(self, key=lambda shot: shot.record or 0), self.notes)
        if by not in axes:
            raise ParameterError(f"sort({by!r}): use one of {(*axes, 'record')} or a function of a shot")
        return Survey(sorted(self, key=lambda shot: shot.sources[0, axes.index(by)]), self.notes)

    def decimate(self, shots: int = 1, receivers: int = 1) -> Survey:
        """Every so many shots, and every so many receivers of each.

        Parameters
        ----------
        shots, receivers : int, optional
            Keep the first and then one in so many.
        """
        shots = integer("decimate shots", shots, minimum=1)
        receivers = integer("decimate receivers", receivers, minimum=1)
        chosen = self._shots[::shots]
        if receivers > 1:
            chosen = tuple(shot.take(slice(None, None, receivers)) for shot in chosen)
        return Survey(chosen, self.notes)

    def by_time(self) -> dict[Time, Survey]:
        """One survey for each time axis, in the order in which the axes appear."""
        groups: dict[Time, list[Shot]] = {}
        for shot in self:
            groups.setdefault(shot.time, []).append(shot)
        return {time: Survey(shots, self.notes) for time, shots in groups.items()}

    # -- traces

    def keep(self, receivers: Callable[[Shot], ArrayLike]) -> Survey:
        """The traces for which a function is true; shots without any are left out, which `notes` say.

        Parameters
        ----------
        receivers : callable
            Takes a `Shot`, returns one truth value for each of its receivers.
        """
        shots, dropped = [], 0
        for i, shot in enumerate(self):
            mask = np.asarray(receivers(shot))
            if mask.dtype != bool or mask.shape != (len(shot.receivers),):
                raise ParameterError(
                    f"keep: shot {i} needs {len(shot.receivers)} truth values, got {mask.dtype} of shape {mask.shape}"
                )
            if mask.all():
                shots.append(shot)
            elif mask.any():
                shots.append(shot.take(mask))
            else:
                dropped += 1
        if not shots:
            raise ParameterError(f"no trace is left of {self.n_traces} in {len(self)} shots")
        note = [f"{dropped} shots had no trace to keep and were left out"] if dropped else []
        return Survey(shots, [*self.notes, *note])

    def offset_window(self, minimum: float = 0.0, maximum: float = np.inf) -> Survey:
        """The traces whose horizontal distance from the (nearest) source lies between two distances, both included.

        Parameters
        ----------
        minimum, maximum : float, optional
            Metres.
        """
        if not minimum <= maximum:
            raise ParameterError(f"offset_window({minimum!r} m, {maximum!r} m): the first must not exceed the second")
        low, high = self.offset_range
        try:
            return self.keep(lambda shot: (shot.offsets >= minimum) & (shot.offsets <= maximum))
        except ParameterError as error:
            raise ParameterError(
                f"offset_window({minimum:g} m, {maximum:g} m): {error}; offsets are {low:g} to {high:g} m"
            ) from None

    def live(self) -> Survey:
        """The traces that are not known to be dead."""
        return self.keep(lambda shot: np.ones(len(shot.receivers), bool) if shot.dead is None else ~shot.dead)

    def window(self, time: tuple[float, float]) -> Survey:
        """The samples between two times, both included.

        Parameters
        ----------
        time : (float, float)
            Seconds. What lies outside a shot's own axis is left out.
        """
        try:
            t0, t1 = (real("window time", value, "seconds") for value in time)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"window(time={time!r}): give two times in seconds, (t0, t1)") from error
        return Survey([shot.window(t0, t1) for shot in self], self.notes)

    def project(
        self, origin: Sequence[float] | None = None, azimuth: float | None = None, tolerance: float = 25.0
    ) -> Survey:
        """The survey on a vertical plane: coordinates (x, y, z) become (distance along a line, z).

        Parameters
        ----------
        origin : (float, float), optional
            x and y in metres of the point of the line at distance 0. By default the line lies best among all sources
            and receivers, and the first of them is at distance 0.
        azimuth : float, optional
            Direction of the line in radians, clockwise from y (north). By default the best one, towards growing x.
        tolerance : float, optional
            Metres by which sources and receivers may lie off the line. ``numpy.inf`` takes any.

        Returns
        -------
        Survey
            `notes` say which line it is, and how far off it points were.

        Raises
        ------
        ParameterError
            If a point lies farther off the line, or the survey has no y.
        """
        if self.ndim == 2:
            raise ParameterError("project: the survey has coordinates (x, z) already; it takes (x, y, z) to a line")
        line = fitted(np.concatenate([p for shot in self for p in (shot.sources, shot.receivers)]), origin, azimuth)
        farthest = max(
            (float(line.away(points).max()), i, name)
            for i, shot in enumerate(self)
            for name, points in (("source", shot.sources), ("receiver", shot.receivers))
        )
        if not farthest[0] <= tolerance:
            raise ParameterError(
                f"project: a {farthest[2]} of shot {farthest[1]} lies {farthest[0]:.4g} m off {line}, and the "
                "tolerance is "
                f"{tolerance:g} m: this may be no 2D line. If it is to be projected all the same, pass "
                f"tolerance={np.ceil(farthest[0]):g} or more"
            )

        def flat(points: NDArray) -> NDArray:
            return np.stack([line.along(points), points[:, 2]], axis=1)

        note = f"projected to {line}; the farthest point was {farthest[0]:.4g} m off it"
        return Survey([s.replace(flat(s.sources), flat(s.receivers)) for s in self], [*self.notes, note])

    # -- what operators take

    @property
    def ndim(self) -> int:
        """Coordinates of a point: 2 for (x, z), 3 for (x, y, z)."""
        return self._shots[0].ndim

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the coordinates."""
        return axes_of(self)

    @property
    def sources(self) -> NDArray | list[NDArray]:
        """Coordinates as `Projection` takes them: one array if all shots have the same sources, else one for each."""
        return _shared([shot.sources for shot in self])

    @property
    def receivers(self) -> NDArray | list[NDArray]:
        """Coordinates as `Projection` takes them: one array if all shots have the same receivers, else one for each."""
        return _shared([shot.receivers for shot in self])

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of receivers of every shot."""
        return counts_of(self)

    @property
    def n_traces(self) -> int:
        """Number of traces of all shots."""
        return sum(self.counts)

    @property
    def time(self) -> Time:
        """The time axis that all shots share.

        Raises
        ------
        SpaceError
            If they do not share one.
        """
        return time_of(self)

    @property
    def dtype(self) -> np.dtype:
        """The dtype that holds the data of all shots exactly; float32 where there are none."""
        return dtype_of(self)

    def waves(self, grid: Grid, dtype: DTypeLike | None = None, device: str | None = None) -> Wavefield:
        """The space of wavefields of these shots on a grid, which projections and modeling operators share.

        Parameters
        ----------
        grid : Grid
        dtype : {"float32", "float64"}, optional
            By default that of the data.
        device : str, optional
            Where waves are propagated, "cpu" or "cuda"; see :class:`~seisops.Wavefield`.

        Raises
        ------
        SpaceError
            If shots have different time axes, or the grid has another number of axes than the coordinates.
        """
        if isinstance(grid, Grid) and grid.ndim != self.ndim:
            cure = "survey.project() takes it to a line" if self.ndim == 3 else "it has no y"
            raise SpaceError(f"waves: the grid has axes {grid.axes} and the survey has coordinates {self.axes}: {cure}")
        return Wavefield(grid, self.time, len(self), np.dtype(dtype or self.dtype).name, device=device)

    @property
    def space(self) -> Traces:
        """The space of the data, equal to the range of ``Projection(survey.waves(grid), survey.receivers)``."""
        return space_of(self)

    @property
    def data(self) -> NDArray:
        """All traces as one array of `space`: (shots, receivers, nt), or (traces, nt) where shots differ in length.

        Raises
        ------
        ParameterError
            If there are none, or they are larger than the memory that is free.
        """
        return data_of(self)

    def with_data(self, data: ArrayLike | Sequence[ArrayLike]) -> Survey:
        """The same shots with other data, in memory.

        Parameters
        ----------
        data : array_like or list of array_like
            An array of `space`, of any float dtype of 32 or 64 bits; or one array ``(n_receivers, nt)`` for each shot.
        """
        if isinstance(data, (list, tuple)) and any(np.ndim(part) == 2 for part in data):
            if len(data) != len(self):
                raise ParameterError(f"data are given for {len(data)} shots, and the survey has {len(self)}")
            parts = [np.asarray(part) for part in data]
        else:
            array, space = np.asarray(data), self.space
            flat = (self.n_traces, space.shape[-1])
            if array.shape not in (space.shape, flat, (space.size,)):
                raise SpaceError(f"data of shape {array.shape} are not in {space}: needs {space.shape} or {flat}")
            rows = array.reshape(flat)
            parts = [rows[a:b] for a, b in zip(space.offsets[:-1], space.offsets[1:], strict=True)]
        shots = []
        for i, (shot, part) in enumerate(zip(self, parts, strict=True)):
            bad = np.flatnonzero(~np.isfinite(part).all(axis=-1)) if part.dtype.kind == "f" else np.empty(0)
            if bad.size:
                raise ParameterError(f"data of shot {i}, receiver {bad[0]} (and {len(bad) - 1} more) are not finite")
            shots.append(shot.replace(data=part))
        return Survey(shots, self.notes)

    def astype(self, dtype: DTypeLike) -> Survey:
        """The survey with data of another dtype, converted when they are read.

        Parameters
        ----------
        dtype : {"float32", "float64"}
        """
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise ParameterError(f"astype({dtype}): use 'float32' or 'float64'")
        shots = [s if s.traces is None else s.replace(data=s.traces.astype(dtype)) for s in self]
        return Survey(shots, self.notes)

    def load(self) -> Survey:
        """The survey with its data in memory.

        Raises
        ------
        ParameterError
            If there are none, or they are larger than the memory that is free.
        """
        require_memory(self.nbytes)
        return Survey([shot.replace(data=shot.data) for shot in self], self.notes)

    # -- modeling

    def modeling(
        self,
        medium: WaveEquation,
        margin: float | None = None,
        boundary: Any = PML(),
        free_surface: bool = False,
        space_order: int = 8,
        max_velocity: float | None = None,
        dispersion: bool = True,
        interpolation: str = "sinc",
        dtype: str = "float32",
        component: str | None = None,
        source_component: str | None = None,
        device: str | None = None,
    ) -> WindowedModeling:
        """The modeling operator of the survey, each shot on its own time axis and on the part of the model it needs.

        Parameters
        ----------
        medium : WaveEquation
            On a grid that holds all points.
        margin : float, optional
            Metres by which the window of a shot is larger than what holds its sources and receivers, along the
            horizontal axes; by default every shot is solved on the whole grid. What lies beyond is not seen by the shot,
            and gradients are zero there.
        boundary, free_surface, space_order, max_velocity, dispersion
            See :class:`~seisops.Modeling`. The time step and the layer are those of the whole model, for all windows.
        interpolation : {"sinc", "linear"}, optional
            See :class:`~seisops.Projection`.
        dtype : {"float32", "float64"}, optional
        component, source_component : str, optional
            What the receivers hear, and what the sources drive, as the medium names it; see :class:`~seisops.Projection`.
            Each is by default the first component, which is pressure: ``component="vz"`` alone is vertical velocity of
            explosions.
        device : str, optional
            Where waves are propagated, "cpu" or "cuda"; see :class:`~seisops.Wavefield`.

        Returns
        -------
        WindowedModeling
            An operator from the signals of the sources to traces; it has ``jacobian`` and ``as_map``.

        Raises
        ------
        ParameterError
            If a point is outside the model, the medium has no such component, or an argument is invalid.
        """
        return windowed(
            self, medium, margin, boundary, free_surface, space_order, max_velocity, dispersion, interpolation, dtype,
            component, source_component, device,
        )  # fmt: skip

    # -- where surveys go

    def to_segy(
        self,
        path: str | os.PathLike,
        data: ArrayLike | None = None,
        *,
        overwrite: bool = False,
        precision: float = 0.001,
    ) -> None:
        """Write a SEG-Y file, shot by shot: revision 1 with IEEE floats (float64 data: revision 2, 8-byte floats).

        The file appears when it is complete; if writing fails nothing is left, and what was there stays.

        Parameters
        ----------
        path : path-like
        data : array_like, optional
            What to write in place of the data of the survey, as for `with_data`.
        overwrite : bool, optional
            Whether a file may be replaced.
        precision : float, optional
            Metres to which coordinates may be rounded: they come back within half of it. SEG-Y holds integers of 32
            bits and a power of ten, which is chosen such that coordinates come back exactly where that can be.

        Raises
        ------
        ParameterError
            If SEG-Y cannot hold the survey: several sources for a shot, several sampling intervals, an interval of a
            fraction of a microsecond, positions too large for the precision.
        OSError
            If writing fails.
        """
        write_segy(self if data is None else self.with_data(data), path, overwrite, precision)

    def to_zarr(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Write a Zarr store, shot by shot, with the names of `to_xarray`; ``xarray.open_zarr`` opens it too.

        The store appears when it is complete; if writing fails nothing is left, and what was there stays.

        Parameters
        ----------
        path : path-like
        overwrite : bool, optional
            Whether a store may be replaced.
        """
        write_zarr(self, self.notes, path, overwrite)

    def to_xarray(self) -> xarray.Dataset:
        """A dataset with named coordinates; data in files are read when they are asked for.

        Returns
        -------
        xarray.Dataset
            ``data`` with dimensions (shot, receiver, time), or (trace, time) with a coordinate ``shot`` where shots
            differ in length; coordinates ``receiver_x`` ..., ``source_x`` ..., ``record`` and ``time``.
        """
        return write_dataset(self, self.notes)

    # -- in words

    @property
    def nbytes(self) -> int:
        """Bytes of all data in memory."""
        return sum(
            s.traces.shape[0] * s.traces.shape[1] * s.traces.dtype.itemsize for s in self if s.traces is not None
        )

    @property
    def offset_range(self) -> tuple[float, float]:
        """The smallest and the largest horizontal distance of a receiver from its (nearest) source, in metres."""
        offsets = [shot.offsets for shot in self]
        return float(min(o.min() for o in offsets)), float(max(o.max() for o in offsets))

    def extent(self, what: str) -> tuple[tuple[float, float], ...]:
        """The smallest and the largest coordinate along every axis in metres.

        Parameters
        ----------
        what : {"sources", "receivers"}
        """
        if what not in ("sources", "receivers"):
            raise ParameterError(f"extent({what!r}): use 'sources' or 'receivers'")
        points = [getattr(shot, what) for shot in self]
        low, high = np.min([p.min(axis=0) for p in points], axis=0), np.max([p.max(axis=0) for p in points], axis=0)
        return tuple(zip(low.tolist(), high.tolist(), strict=True))

    def _title(self) -> str:
        counts = self.counts
        each = f"{counts[0]}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
        low, high = self.offset_range
        return f"Survey of {len(self)} shots, {self.n_traces} traces ({each} per shot), offsets {low:g} to {high:g} m"

    def _rows(self) -> Iterator[tuple[str, str]]:
        times = list(dict.fromkeys(shot.time for shot in self))
        yield from ((what, self._extent_in_words(what)) for what in ("sources", "receivers"))
        yield "time", f"{times[0]!r}" + (f" and {len(times) - 1} more axes" if len(times) > 1 else "")
        yield "data", self._data_in_words()
        dead = sum(int(shot.dead.sum()) for shot in self if shot.dead is not None)
        if dead:
            yield "dead", f"{dead} traces"
        yield from (("note", note) for note in self.notes)

    def __repr__(self) -> str:
        return "\n".join([self._title(), *(f"  {name:9s} {value}" for name, value in self._rows())])

    def _extent_in_words(self, what: str) -> str:
        extent = zip(self.axes, self.extent(what), strict=True)
        ranges = (
            (axis, f"{low:.10g}" if low == high else f"{low:.10g} to {high:.10g}") for axis, (low, high) in extent
        )
        return ", ".join(f"{axis} {values} m" for axis, values in ranges)

    def _data_in_words(self) -> str:
        traces = [shot.traces for shot in self if shot.traces is not None]
        if not traces:
            return "none"
        places = dict.fromkeys(t.store.place for t in traces)
        size, unit = float(self.nbytes), "bytes"
        for unit in ("bytes", "kB", "MB", "GB", "TB"):
            if size < 1000 or unit == "TB":
                break
            size /= 1000
        some = f" of {len(traces)} shots" if len(traces) < len(self) else ""
        return f"{size:.3g} {unit} of {self.dtype}{some}, {' and '.join(places)}"


def _per_shot(name: str, points: Any) -> list | None:
    """One entry for each shot, or None if `points` is one array (points, ndim)."""
    if isinstance(points, (list, tuple)) and any(_depth(entry) == 2 for entry in points):
        return list(points)
    if _depth(points) not in (2, 3):
        raise ParameterError(
            f"{name} of shape {np.shape(points) if _depth(points) >= 0 else 'that is not rectangular'}: see "
            f"Survey.from_arrays for what they may be"
        )
    return list(np.asarray(points)) if _depth(points) == 3 else None


def _depth(nested: Any) -> int:
    try:
        return np.ndim(nested)
    except ValueError:
        return -1


def _shared(points: list[NDArray]) -> NDArray | list[NDArray]:
    first = points[0]
    same = all(p is first or (p.shape == first.shape and np.array_equal(p, first)) for p in points)
    return first if same else points
