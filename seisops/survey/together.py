"""What shots have in common, taken together: their coordinates, their time axis, the space of their data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import psutil
from numpy.typing import NDArray

from seisops.errors import ParameterError, SpaceError
from seisops.spaces import Axis, Traces
from seisops.survey.shot import Shot
from seisops.wave.time import Time

__all__ = [
    "axes_of",
    "counts_of",
    "data_of",
    "dtype_of",
    "require_memory",
    "space_of",
    "time_of",
]


def axes_of(shots: Sequence[Shot]) -> tuple[str, ...]:
    """Names of the coordinates."""
    return ("x", "z") if shots[0].ndim == 2 else ("x", "y", "z")


def counts_of(shots: Sequence[Shot]) -> tuple[int, ...]:
    """Number of receivers of every shot."""
    return tuple(len(shot.receivers) for shot in shots)


def time_of(shots: Sequence[Shot]) -> Time:
    """The time axis that all shots share; a `SpaceError` if they do not."""
    axes: dict[Time, list[int]] = {}
    for i, shot in enumerate(shots):
        axes.setdefault(shot.time, []).append(i)
    if len(axes) > 1:
        listed = [f"{time!r} of {len(s)} shots (first shot {s[0]})" for time, s in list(axes.items())[:5]]
        more = f" and {len(axes) - 5} more" if len(axes) > 5 else ""
        raise SpaceError(
            f"the shots have {len(axes)} time axes: {'; '.join(listed)}{more}. Cut them to one with "
            f"survey.window(time=(t0, t1)), or take them one by one from survey.by_time()"
        )
    return shots[0].time


def dtype_of(shots: Sequence[Shot]) -> np.dtype:
    """The dtype that holds the data of all shots exactly; float32 where there are none."""
    dtypes = {shot.traces.dtype for shot in shots if shot.traces is not None}
    return np.result_type(*dtypes) if dtypes else np.dtype(np.float32)


def space_of(shots: Sequence[Shot]) -> Traces:
    """The space of the data."""
    time = time_of(shots)
    return Traces(counts_of(shots), Axis("time", time.n, time.step, time.start), dtype_of(shots))


def data_of(shots: Sequence[Shot]) -> NDArray:
    """All traces as one array of their space, read if that is needed; they must fit into the memory that is free."""
    space = space_of(shots)
    require_memory(space.nbytes)
    out = np.empty(space.shape, space.dtype)
    for i, shot in enumerate(shots):
        space.shot(out, i)[...] = shot.data
    return out


def require_memory(nbytes: int) -> None:
    """Refuse data that are larger than the memory that is free."""
    free = psutil.virtual_memory().available
    if nbytes > free:
        raise ParameterError(
            f"the data take {nbytes / 1e9:.3g} GB and {free / 1e9:.3g} GB of memory are free: take them shot by shot "
            f"(survey[i].data), or fewer of them with survey[...], decimate, offset_window or window"
        )
