"""One shot: its sources, its receivers, its time axis and its traces."""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError
from seisops.survey.stores import StoredTraces
from seisops.wave._validate import floats
from seisops.wave.time import Time

__all__ = ["Shot", "checked_points"]


class Shot:
    """Sources, receivers and a time axis, and perhaps data; immutable.

    Parameters
    ----------
    sources : array_like of shape (n_sources, ndim)
        Coordinates in metres, (x, z) or (x, y, z), z down; one point may be given as (ndim,).
    receivers : array_like of shape (n_receivers, ndim)
        Coordinates in metres.
    time : Time
        The samples of the data.
    data : array_like of shape (n_receivers, nt), or StoredTraces, optional
        StoredTraces are samples somewhere else, read when they are asked for.
    record : int, optional
        The number of the shot in its survey, such as the field record number.
    dead : array_like of bool, optional
        Which traces are known to be dead.

    Raises
    ------
    ParameterError
        If shapes do not fit together, or coordinates are not finite.
    """

    __slots__ = ("dead", "receivers", "record", "sources", "time", "traces")

    sources: NDArray[np.float64]
    receivers: NDArray[np.float64]
    time: Time
    traces: StoredTraces | None
    record: int | None
    dead: NDArray[np.bool_] | None

    def __init__(
        self,
        sources: ArrayLike,
        receivers: ArrayLike,
        time: Time,
        data: ArrayLike | StoredTraces | None = None,
        record: int | None = None,
        dead: ArrayLike | None = None,
    ):
        sources, receivers = checked_points("sources", sources), checked_points("receivers", receivers)
        if sources.shape[1] != receivers.shape[1]:
            raise ParameterError(
                f"sources have {sources.shape[1]} coordinates and receivers {receivers.shape[1]}: give (x, z) or "
                f"(x, y, z) for both"
            )
        if not isinstance(time, Time):
            raise ParameterError(f"a shot needs a Time, got {time!r}")
        if data is not None and not isinstance(data, StoredTraces):
            data = np.array(data)  # the shot's own
            if data.ndim != 2:
                raise ParameterError(f"data of shape {data.shape}: one shot has data (receivers, time)")
            data = StoredTraces.of(data)
        if data is not None and data.shape != (len(receivers), time.n):
            raise ParameterError(
                f"data of shape {data.shape} do not fit {len(receivers)} receivers and {time.n} samples of {time!r}"
            )
        if dead is not None:
            dead = np.array(dead, bool)
            if dead.shape != (len(receivers),):
                raise ParameterError(f"dead has shape {dead.shape}, and there are {len(receivers)} receivers")
            dead.flags.writeable = False
        values = (sources, receivers, time, data, None if record is None else operator.index(record), dead)
        for name, value in zip(("sources", "receivers", "time", "traces", "record", "dead"), values, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name, value):
        raise AttributeError(f"a Shot is immutable: {name!r} cannot be set; make another with Shot.replace")

    def __reduce__(self):
        return Shot, (self.sources, self.receivers, self.time, self.traces, self.record, self.dead)

    @property
    def ndim(self) -> int:
        """Coordinates of a point, 2 or 3."""
        return self.sources.shape[1]

    @property
    def data(self) -> NDArray:
        """The traces (n_receivers, nt), read from their file if that is where they are."""
        if self.traces is None:
            raise ParameterError("this shot has no data: its survey was made without (see Survey.with_data)")
        return self.traces.read()

    @property
    def offsets(self) -> NDArray[np.float64]:
        """Horizontal distance of each receiver from the nearest source, in metres."""
        apart = self.receivers[:, None, :-1] - self.sources[None, :, :-1]
        return np.sqrt((apart**2).sum(-1)).min(axis=1)

    def replace(
        self,
        sources: ArrayLike | None = None,
        receivers: ArrayLike | None = None,
        time: Time | None = None,
        data: ArrayLike | StoredTraces | None = None,
    ) -> Shot:
        """The same shot with something else in it.

        Parameters
        ----------
        sources, receivers, time, data : optional
            As in the constructor; what is left out stays.
        """
        return Shot(
            self.sources if sources is None else sources,
            self.receivers if receivers is None else receivers,
            self.time if time is None else time,
            self.traces if data is None else data,
            self.record,
            self.dead,
        )

    def take(self, receivers: slice | ArrayLike) -> Shot:
        """The shot with some of its receivers.

        Parameters
        ----------
        receivers : slice, array_like of int, or array_like of bool
        """
        index = receivers if isinstance(receivers, slice) else np.asarray(receivers)
        if isinstance(index, np.ndarray) and index.dtype.kind not in "biu":
            raise ParameterError(
                f"receivers are chosen by a slice, numbers or truth values, not by dtype {index.dtype}"
            )
        return Shot(
            self.sources,
            self.receivers[index],
            self.time,
            None if self.traces is None else self.traces.take(index),
            self.record,
            None if self.dead is None else self.dead[index],
        )

    def window(self, t0: float, t1: float) -> Shot:
        """The shot with its samples from `t0` to `t1` seconds, both included.

        Parameters
        ----------
        t0, t1 : float
        """
        time = self.time
        first = max(0, int(np.ceil((t0 - time.start) / time.step - 1e-6)))
        last = min(time.n - 1, int(np.floor((t1 - time.start) / time.step + 1e-6)))
        if last - first < 1:
            raise ParameterError(f"window({t0:g} s, {t1:g} s) leaves fewer than two samples of {time!r}")
        # to the picosecond, so that shots that began at different times can share the axis
        kept = Time(last - first + 1, time.step, round(time.start + first * time.step, 12))
        traces = None if self.traces is None else self.traces.window(first, kept.n)
        return Shot(self.sources, self.receivers, kept, traces, self.record, self.dead)

    def __repr__(self):
        source = ", ".join(f"{c:g}" for c in self.sources[0])
        more = f" and {len(self.sources) - 1} more" if len(self.sources) > 1 else ""
        record = "" if self.record is None else f"record {self.record}, "
        data = "no data" if self.traces is None else f"{self.traces.dtype} data {self.traces.store.place}"
        return f"Shot({record}source at ({source}) m{more}, {len(self.receivers)} receivers, {self.time!r}, {data})"


def checked_points(name: str, points: ArrayLike) -> NDArray[np.float64]:
    """A read-only array (points, ndim) of finite coordinates; copied unless it is one already."""
    if not (isinstance(points, np.ndarray) and points.dtype == np.float64 and not points.flags.writeable):
        try:
            points = floats(points)
        except (TypeError, ValueError):
            raise ParameterError(f"{name} are not an array of numbers of shape (points, ndim)") from None
        if points.ndim == 1:
            points = points[None]
        points.flags.writeable = False
    if points.ndim != 2 or points.shape[1] not in (2, 3) or not len(points):
        raise ParameterError(f"{name} of shape {points.shape}: needs (points, 2) for x, z or (points, 3) for x, y, z")
    if not np.isfinite(points).all():
        bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
        raise ParameterError(f"{name}: point {bad[0]} at {tuple(points[bad[0]].tolist())} m is not finite")
    return points
