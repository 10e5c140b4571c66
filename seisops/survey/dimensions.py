"""Surveys as named arrays with named dimensions, and back: what Zarr stores and xarray datasets have in common.

==============  =======================================  ===============================
name            shots of one length                      shots of different lengths
==============  =======================================  ===============================
data            shot, receiver, time                     trace, time
shot                                                     trace
receiver_x ...  shot, receiver                           trace
source_x ...    shot                                     trace
record          shot                                     trace
dead            shot, receiver                           trace
time            time                                     time
==============  =======================================  ===============================

With several sources for a shot, ``source_x`` ... have the dimension ``source``; ``source_shot`` says whose they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seisops.errors import ParameterError
from seisops.survey.shot import Shot
from seisops.survey.stores import Store, StoredTraces
from seisops.survey.together import axes_of, counts_of, time_of
from seisops.wave.time import Time

__all__ = ["NAMES", "Named", "data_dimensions", "named", "shots_of", "time_attributes"]

#: Names of all arrays but the data.
NAMES = re.compile("(time|shot|record|dead|source_shot|(source|receiver)_[xyz])$")
#: Arrays by name, each with the names of its dimensions.
Named = Mapping[str, tuple[tuple[str, ...], NDArray]]


def data_dimensions(shots: Sequence[Shot]) -> tuple[str, ...]:
    """The dimensions of the data."""
    return ("trace", "time") if len(set(counts_of(shots))) > 1 else ("shot", "receiver", "time")


def time_attributes(time: Time) -> dict[str, float | str]:
    """The time axis to the last bit, which its samples do not give."""
    return {"step": time.step, "start": time.start, "units": "s"}


def named(shots: Sequence[Shot]) -> Named:
    """All of the shots but their data."""
    counts, axes, time = counts_of(shots), axes_of(shots), time_of(shots)
    ragged = len(data_dimensions(shots)) == 2
    numbers = np.repeat(np.arange(len(shots)), counts)
    per_trace = ("trace",) if ragged else ("shot", "receiver")

    def traces(parts):
        return per_trace, np.concatenate(parts).reshape((-1,) if ragged else (len(shots), counts[0]))

    def per_shot(values):
        values = np.asarray(values)
        return (("trace",), values[numbers]) if ragged else (("shot",), values)

    out = {"time": (("time",), time.samples)}
    if ragged:
        out["shot"] = (("trace",), numbers)
    for d, axis in enumerate(axes):
        out[f"receiver_{axis}"] = traces([shot.receivers[:, d] for shot in shots])
    single = all(len(shot.sources) == 1 for shot in shots)
    for d, axis in enumerate(axes):
        values = np.concatenate([shot.sources[:, d] for shot in shots])
        out[f"source_{axis}"] = per_shot(values) if single else (("source",), values)
    if not single:
        out["source_shot"] = (("source",), np.repeat(np.arange(len(shots)), [len(shot.sources) for shot in shots]))
    if all(shot.record is not None for shot in shots):
        out["record"] = per_shot([shot.record for shot in shots])
    if any(shot.dead is not None for shot in shots):
        out["dead"] = traces([np.zeros(len(s.receivers), bool) if s.dead is None else s.dead for s in shots])
    return out


def shots_of(
    what: str, arrays: Named, attributes: Mapping, dims: tuple[str, ...] | None, store: Store | None
) -> list[Shot]:
    """The shots that named arrays describe.

    Parameters
    ----------
    what : str
        Where they come from, for messages.
    arrays : mapping
        As `named` returns them.
    attributes : mapping
        Those of ``time``: ``step`` and ``start``, where they are known.
    dims : tuple of str or None
        The dimensions of the data, if there are any.
    store : Store or None
        The traces, numbered from the first shot to the last.
    """

    def get(name: str) -> tuple[tuple[str, ...], NDArray]:
        if name not in arrays:
            raise ParameterError(f"{what} has no {name!r}; it has {', '.join(sorted(arrays))}. See Survey.to_xarray")
        return arrays[name]

    axes = ("x", "y", "z") if "receiver_y" in arrays else ("x", "z")
    time = _time(what, get("time")[1], attributes)
    own = get("receiver_x")[0]
    if own not in (("trace",), ("shot", "receiver")):
        raise ParameterError(f"{what}: receiver_x has dimensions {own}: needs ('trace',) or ('shot', 'receiver')")
    if dims is not None and dims != (*own, "time"):
        raise ParameterError(f"{what}: data have dimensions {dims} and receiver_x has {own}: needs {(*own, 'time')}")

    def per_trace(name: str) -> NDArray:
        found, values = get(name)
        if found != own or values.shape != get("receiver_x")[1].shape:
            raise ParameterError(f"{what}: {name} has dimensions {found} {values.shape}, and receiver_x has {own}")
        return values.ravel()

    shape = get("receiver_x")[1].shape
    shot_of = per_trace("shot") if own == ("trace",) else np.repeat(np.arange(shape[0]), shape[1])
    ids, first, inverse = np.unique(shot_of, return_index=True, return_inverse=True)
    receivers = np.stack([per_trace(f"receiver_{axis}") for axis in axes], axis=1)
    dead = per_trace("dead").astype(bool) if "dead" in arrays else None
    order = np.argsort(inverse, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
    # shots in the order in which they appear
    shots = []
    for k in np.argsort(first, kind="stable"):
        rows = members[k]
        position = int(k) if own != ("trace",) else rows
        shots.append(
            Shot(
                np.stack([_of_shot(what, f"source_{axis}", get, position, ids[k]) for axis in axes], axis=-1),
                receivers[rows],
                time,
                None if store is None else StoredTraces(store, rows, 0, time.n),
                int(_of_shot(what, "record", get, position, ids[k])[0]) if "record" in arrays else None,
                dead[rows] if dead is not None and dead[rows].any() else None,
            )
        )
    return shots


def _of_shot(what: str, name: str, get: Callable, position: int | NDArray, number: int) -> NDArray:
    """What holds for one shot: its entry, the one value of all its traces, or those of its sources."""
    dims, values = get(name)
    if dims == ("source",):
        return values[get("source_shot")[1] == number]
    found = np.unique(values[position])
    if len(found) != 1:
        raise ParameterError(f"{what}: {name} differs among the traces of shot {number}: {found[0]} and {found[1]}")
    return found


def _time(what: str, samples: NDArray, attributes: Mapping) -> Time:
    if len(samples) < 2:
        raise ParameterError(f"{what}: time has {len(samples)} samples, and a survey needs two")
    steps = np.diff(samples)
    step = float(attributes.get("step", (samples[-1] - samples[0]) / (len(samples) - 1)))
    start = float(attributes.get("start", samples[0]))
    if np.abs(steps - step).max() > 1e-6 * abs(step) or abs(samples[0] - start) > 1e-6 * abs(step):
        # samples that were cut or thinned out since: their attributes do not hold any more
        step, start = float((samples[-1] - samples[0]) / (len(samples) - 1)), float(samples[0])
    if not step > 0 or np.abs(steps - step).max() > 1e-4 * step:
        raise ParameterError(
            f"{what}: time is not uniform: steps are {steps.min():g} to {steps.max():g} s; resample the data first"
        )
    return Time(len(samples), round(step, 12), round(start, 12))
