"""Traces on another time axis."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from seisops.data.tracewise import Tracewise, kinds_of_traces, traces_of
from seisops.errors import ParameterError
from seisops.spaces import Axis, PerShot, Traces, joint
from seisops.wave.time import Time

__all__ = ["Resample"]

#: Zero crossings of the sinc on either side, and the parameter of its Kaiser window: 1e-5 below 0.8 of the Nyquist frequency
CROSSINGS, WINDOW = 24, 9.0


class Resample(Tracewise):
    r"""Traces on another time axis, by a sinc with a Kaiser window; frequencies that it cannot hold are filtered out.

    Where the new axis goes beyond the old one there is silence; where it begins later or ends earlier, what is recorded
    before or after is gone: so a record begins after the shot, ``so.data.Resample(F, so.Time(n, step, start=0.1))``.

    Parameters
    ----------
    of : LinearOperator, Map, Survey or Space
        What the traces are those of.
    time : Time
        The new axis.

    Notes
    -----
    Frequencies below 0.8 of the lower of the two Nyquist frequencies pass within 1e-5. The adjoint is the transpose, not
    the way back: that is to resample to the first axis again.
    """

    symbol = "Resample"

    def __init__(self, of: Any, time: Time) -> None:
        if not isinstance(time, Time):
            raise ParameterError(f"Resample needs a Time, the new axis, got {time!r}")
        space, self.time = traces_of(of, "Resample"), time
        new = Axis("time", time.n, time.step, time.start)
        parts = [Traces(part.counts, new, part.dtype, part.name) for part in kinds_of_traces(space)]
        for part in kinds_of_traces(space):
            axis = part.time_axis
            first, last = axis.origin or 0.0, (axis.origin or 0.0) + (axis.size - 1) * axis.step
            if time.start > last or time.start + time.duration < first:
                raise ParameterError(
                    f"Resample leaves nothing: {time!r} has no time in common with the traces, from {first:g} to {last:g} s"
                )
        # shots with axes of their own have one then
        one = isinstance(space, PerShot)
        range_ = Traces([n for part in parts for n in part.counts], new, space.dtype) if one else joint(parts)
        super().__init__(space, range_)

    _derived = (*Tracewise._derived, "_matrices")

    @cached_property
    def _matrices(self) -> dict[Axis, sparse.csr_array]:
        axes = {part.time_axis for part in kinds_of_traces(self.domain)}
        return {axis: _matrix(axis, self.time).astype(self.dtype) for axis in axes}

    def _fingerprint(self) -> Sequence[Any]:
        return [self.time]

    def select(self, shots: Sequence[int]) -> Resample:
        """Return the same of some shots."""
        return Resample(self.domain.select(shots), self.time)

    def _along(self, traces: NDArray, axis: Axis, first: int, adjoint: bool) -> NDArray:
        matrix = self._matrices[axis]
        return ((matrix.T if adjoint else matrix) @ traces.T).T


def _matrix(axis: Axis, time: Time) -> sparse.csr_array:
    """The weights of the samples of one axis in those of another."""
    band = min(1.0, axis.step / time.step)  # of the Nyquist frequency of the old axis
    half = CROSSINGS / band
    position = (time.samples - (axis.origin or 0.0)) / axis.step
    first = np.ceil(position - half).astype(int)
    columns = first[:, None] + np.arange(int(np.floor(2 * half)) + 1)
    distance = columns - position[:, None]
    inside = (np.abs(distance) <= half) & (columns >= 0) & (columns < axis.size)
    taper = np.i0(WINDOW * np.sqrt(np.clip(1 - (distance / half) ** 2, 0, None))) / np.i0(WINDOW)
    values = band * np.sinc(band * distance) * taper
    rows = np.broadcast_to(np.arange(time.n)[:, None], columns.shape)
    return sparse.csr_array((values[inside], (rows[inside], columns[inside])), shape=(time.n, axis.size))
