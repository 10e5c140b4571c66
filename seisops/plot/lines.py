"""Curves: what an inversion went through, traces over one another, and their spectra."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError, SpaceError
from seisops.plot.canvas import alone, arrays, given, known, require_time
from seisops.wave._validate import integer, real
from seisops.wave.time import Time

__all__ = ["curves", "spectrum", "traces"]

#: Below this part of the largest amplitude there is nothing to see of a spectrum, nor to be said of its phase.
FLOOR = 1e-3


def curves(
    series: Mapping[str, Iterable[float]],
    xlabel: str = "iteration",
    ylabel: str = "",
    title: str = "",
    ax: Axes | None = None,
    *,
    log: bool = False,
) -> Axes:
    """Draw named series of numbers, one point for each iteration.

    Parameters
    ----------
    series : mapping of str to iterable of float
    xlabel, ylabel, title : str, optional
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.
    log : bool, optional
        Whether the numbers are drawn on a logarithmic scale.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ParameterError
        If something is no series of real numbers.
    """
    drawn = {name: _series(name, values) for name, values in given(series, "curves", "series of numbers").items()}
    ax = alone(ax, (6.0, 4.0))
    for name, values in drawn.items():
        ax.plot(np.arange(len(values)), values, marker=".", label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title, yscale="log" if log else "linear")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    _explain(ax)
    return ax


def traces(
    time: Time,
    results: Mapping[str, ArrayLike],
    receiver: int | None = None,
    title: str = "",
    label: str = "amplitude",
    ax: Axes | None = None,
) -> Axes:
    """Draw traces of several results over one another, at one receiver.

    Parameters
    ----------
    time : Time
    results : mapping of str to array_like
        Traces (time.n,) by name, or records (receivers, time.n) of one shot, of which `receiver` is drawn. The first is
        black, and lies below the others.
    receiver : int, optional
        Which trace of records, from 0.
    title, label : str, optional
        Of the axes, and of amplitudes.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    SpaceError
        If an array is no trace on this time axis, and no record that has such a receiver.
    ParameterError
        If something else is no Time, no array of real numbers or no number of a receiver.
    """
    require_time("traces", time)
    found = {n: _trace(time, a, receiver, f"{n!r}") for n, a in given(results, "traces", "traces").items()}
    ax = alone(ax, (7.0, 3.5))
    for i, (name, trace) in enumerate(found.items()):
        look = {"color": "black", "linewidth": 2.2} if i == 0 else {"color": f"C{i}", "linewidth": 1.2}
        ax.plot(time.samples, trace, label=name, **look)
    ax.set(xlabel="time (s)", ylabel=label, title=title, xlim=(time.start, time.start + time.duration))
    ax.grid(alpha=0.3)
    _explain(ax)
    return ax


def spectrum(
    time: Time,
    traces: ArrayLike | Mapping[str, ArrayLike],
    title: str = "",
    ax: Axes | None = None,
    *,
    phase: bool = False,
    origin: float = 0.0,
    decibels: bool = False,
) -> Axes:
    r"""Draw amplitude spectra of wavelets or traces.

    Parameters
    ----------
    time : Time
    traces : array_like of shape (..., time.n), or mapping of str to array_like
        A wavelet, or traces of which the root mean square of the amplitudes is drawn; or several of them by name.
    title : str, optional
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.
    phase : bool, optional
        Whether the phase is drawn, too, dashed, in degrees on an axis at the right, where amplitudes exceed a thousandth
        of the largest. That is asked of single traces.
    origin : float, optional
        The time in seconds from which phases count: that of the peak of a wavelet takes its delay out of them.
    decibels : bool, optional
        Whether amplitudes are relative to the largest, in dB, down to -60.

    Returns
    -------
    matplotlib.axes.Axes
        Those of the amplitudes, up to the last frequency at which one exceeds a thousandth of the largest.

    Raises
    ------
    SpaceError
        If traces are not on this time axis.
    ParameterError
        If something else is no Time, no array of real numbers, or there are several traces and no one phase.

    Notes
    -----
    With the samples w at times t the spectrum is :math:`W(f) = \Delta t \sum_i w_i e^{-2 \pi i f (t_i - t_0)}`, with the
    origin t0: that of the continuous signal, where this is band-limited.
    """
    require_time("spectrum", time)
    origin = real("spectrum origin", origin, "seconds")
    named = traces if isinstance(traces, Mapping) else {"": traces}
    spectra = {
        n: _spectra(time, a, origin, f"{n!r}" if n else "traces") for n, a in given(named, "spectrum", "traces").items()
    }
    if phase and any(len(s) > 1 for s in spectra.values()):
        raise ParameterError("the phase is that of one trace: give one, or several by name, or leave out phase")
    f = _frequencies(time)
    ax = alone(ax, (6.0, 4.0))
    amplitudes = {name: np.sqrt(np.mean(np.abs(s) ** 2, axis=0)) for name, s in spectra.items()}
    high = max((float(known(a).max()) for a in amplitudes.values() if known(a).size), default=0.0) or 1.0
    beside = ax.twinx() if phase else None
    for name, a in amplitudes.items():
        drawn = 20 * np.log10(np.maximum(a / high, FLOOR)) if decibels else a
        (line,) = ax.plot(f, drawn, label=name or None)
        if beside is not None:
            degrees = np.where(a > FLOOR * high, np.degrees(np.angle(spectra[name][0])), np.nan)
            beside.plot(f, degrees, "--", color=line.get_color(), linewidth=0.8)
    if beside is not None:
        beside.set(ylabel="phase (degrees), dashed", ylim=(-190.0, 190.0), yticks=range(-180, 181, 90))
    last = max((f[a > FLOOR * high][-1] for a in amplitudes.values() if (a > FLOOR * high).any()), default=f[-1])
    ax.set(xlabel="frequency (Hz)", ylabel="amplitude (dB)" if decibels else "amplitude", title=title, xlim=(0.0, last))
    ax.grid(alpha=0.3)
    if isinstance(traces, Mapping):
        _explain(ax)
    return ax


def _explain(ax: Axes) -> None:
    """A legend where it covers least, and lets through what it covers."""
    ax.legend(fontsize="small", framealpha=0.5, loc="best")


def _series(name: str, values: Iterable[float]) -> NDArray:
    found = arrays(list(values) if isinstance(values, Iterator) else values, f"{name!r}")
    if found.ndim != 1:
        raise ParameterError(
            f"{name!r} of shape {found.shape} is no series: give one number after another, as [1.0, 0.5]"
        )
    return found


def _trace(time: Time, values: ArrayLike, receiver: int | None, what: str) -> NDArray:
    found = arrays(values, what)
    if found.ndim == 2 and receiver is not None:
        number = integer("receiver", receiver, minimum=0)
        if number >= len(found):
            raise SpaceError(f"{what} of shape {found.shape} has no receiver {number}: there are 0 to {len(found) - 1}")
        found = found[number]
    if found.shape != (time.n,):
        hint = ": say which receiver" if found.ndim == 2 and receiver is None else ""
        raise SpaceError(f"{what} of shape {found.shape} is no trace ({time.n},) on {time!r}{hint}")
    return found


def _frequencies(time: Time) -> NDArray:
    return np.fft.rfftfreq(2 * time.n, time.step)


def _spectra(time: Time, values: ArrayLike, origin: float, what: str) -> NDArray:
    """Of each trace, twice as finely as its samples say."""
    found = arrays(values, what)
    if found.ndim == 0 or found.shape[-1] != time.n or not found.size:
        raise SpaceError(f"{what} of shape {found.shape} are not (..., {time.n}) on {time!r}")
    flat = found.reshape(-1, time.n).astype(float)
    turned = np.exp(-2j * np.pi * _frequencies(time) * (time.start - origin))
    return time.step * np.fft.rfft(flat, 2 * time.n, axis=-1) * turned
