"""Operators on traces do what they say: mutes, windows, gains, filters, other time axes."""

from __future__ import annotations

import numpy as np
import pytest

import seisops as so
from seisops.data import (
    Bandpass,
    Gain,
    MatchingFilter,
    Mute,
    OffsetWindow,
    Resample,
    TimePower,
    TimeShift,
    lags,
    offsets,
)
from seisops.errors import ParameterError
from seisops.spaces import Axis, DirectSum, PerShot, Traces

GRID = so.Grid((41, 31), 10.0)
TIME = so.Time(n=101, step=0.004)
MEDIUM = so.Acoustic(GRID, vp=1500.0)
#: Well sampled, and over long before its ends.
LONG = so.Time(n=501, step=0.004)
TRACES = Traces([1], Axis("time", LONG.n, LONG.step, LONG.start), "float64")


def relative(a, b):
    return np.linalg.norm(np.ravel(a) - np.ravel(b)) / np.linalg.norm(b)


def modeling(receivers=((0.0, 20.0), (50.0, 20.0), (300.0, 60.0)), sources=((100.0, 20.0), (300.0, 20.0)), time=TIME):
    waves = so.Wavefield(GRID, time, shots=len(sources), dtype="float64")
    Ps = so.Projection(waves, [[at] for at in sources])
    return so.Projection(waves, list(receivers)) * so.Modeling(waves, MEDIUM) * Ps.H


def ricker(f0=20.0, at=0.5, time=LONG):
    return so.ricker(time, f0, delay=at)


# ---- where things are


def test_offsets_of_all_that_has_them():
    F = modeling()
    expected = [[100.0, 50.0, 200.0], [300.0, 250.0, 0.0]]
    q = F.domain.random(0)
    for of in (F, 2.0 * F, F + F, so.Jacobian(F, q), so.Parametric(F)):
        assert np.allclose(offsets(of), expected)
    survey = so.Survey.from_arrays([(100.0, 20.0), (300.0, 20.0)], [(0.0, 20.0), (50.0, 20.0), (300.0, 60.0)], TIME)
    assert np.allclose(offsets(survey), expected)
    assert np.allclose(offsets(survey.modeling(MEDIUM)), expected)


def test_offsets_of_ragged_surveys_and_of_several_components():
    survey = so.Survey.from_arrays([(100.0, 20.0), (300.0, 20.0)], [[(0.0, 20.0), (50.0, 20.0)], [(310.0, 20.0)]], TIME)
    assert np.allclose(offsets(survey.modeling(MEDIUM)), [100.0, 50.0, 10.0])
    apart = so.Survey([survey[0], survey[1].window(0.0, 0.2)])
    F = apart.modeling(MEDIUM)
    assert isinstance(F.range, PerShot) and np.allclose(offsets(F), [100.0, 50.0, 10.0])
    medium = so.Elastic(GRID, vp=2000.0, vs=1000.0, rho=2000.0)
    waves = so.Wavefield(GRID, TIME, shots=1, dtype="float64")
    two = so.VStack([so.Projection(waves, [(50.0, 20.0)], component=c) for c in ("vx", "vz")])
    F = two * so.Modeling(waves, medium) * so.Force(waves, [(90.0, 20.0)], (0.0, 1.0)).H
    assert isinstance(F.range, DirectSum) and np.allclose(offsets(F), [40.0, 40.0])
    F = (
        so.Force(waves, [(50.0, 20.0)], (1.0, 1.0))
        * so.Modeling(waves, medium)
        * so.Projection(waves, [(90.0, 20.0)]).H
    )
    assert np.allclose(offsets(F), [[40.0]])


def test_what_knows_no_geometry_takes_it():
    F = modeling()
    with pytest.raises(ParameterError, match="does not say where"):
        Mute(F.range, velocity=1500.0)
    given = Mute(F.range, velocity=1500.0, distances=offsets(F))
    assert np.allclose(given.times, offsets(F).ravel() / 1500.0)
    with pytest.raises(ParameterError, match="needs traces"):
        Gain(MEDIUM)
    with pytest.raises(ParameterError, match="for each trace"):
        Mute(F, picks=np.zeros(7))


# ---- weights


def test_a_mute_is_before_and_after_the_direct_wave():
    F = modeling()
    after, before = (Mute(F, velocity=1500.0, delay=0.04, taper=0.02, keep=keep) for keep in ("after", "before"))
    ones = np.ones(F.range.shape)
    weights, t = after @ ones, TIME.samples
    assert np.allclose(weights + before @ ones, 1.0)
    first = np.hypot(offsets(F), [[0.0, 0.0, 40.0]] * 2) / 1500.0 + 0.04
    assert np.all(weights[t < first[..., None]] == 0) and np.all(weights[t > first[..., None] + 0.0201] == 1)
    assert np.all(np.diff(weights, axis=-1) >= 0)


def test_it_takes_the_direct_wave_away():
    F = modeling(receivers=[(250.0, 20.0), (300.0, 20.0)], sources=[(100.0, 20.0)], time=so.Time(n=126, step=0.002))
    d = F @ so.ricker(so.Time(n=126, step=0.002), 25.0)[None, None]
    M = Mute(F, velocity=1500.0, delay=0.12, taper=0.01)
    assert np.linalg.norm(M @ d) < 0.02 * np.linalg.norm(d)  # and what is left comes off the layer
    kept = Mute(F, velocity=1500.0, delay=0.12, taper=0.01, keep="before") @ d
    assert relative(kept, d) < 0.02


def test_a_mute_along_a_reflection_and_along_picks():
    F = modeling()
    x = np.hypot(offsets(F), [[0.0, 0.0, 40.0]] * 2)
    M = Mute(F, velocity=2000.0, t0=0.1, taper=0.0)
    assert np.allclose(M.times, np.sqrt(0.1**2 + (x / 2000.0) ** 2).ravel())
    picks = np.linspace(0.1, 0.2, 6).reshape(2, 3)
    assert np.array_equal(Mute(F, picks=picks).times, picks.ravel())
    assert np.array_equal(Mute(F, picks=picks)[[1]].times, picks[1])


def test_a_window_of_offsets():
    F = modeling()
    kept = OffsetWindow(F, 50.0, 250.0) @ np.ones(F.range.shape)
    assert np.array_equal(kept[..., 0], [[1, 1, 1], [0, 1, 0]])
    tapered = OffsetWindow(F, 0.0, 300.0, taper=100.0) @ np.ones(F.range.shape)
    assert np.allclose(tapered[..., 0], [[1, 1, 1], [0, 0.5, 1]])


def test_gain():
    F = modeling()
    assert np.allclose((Gain(F, 2.0) @ np.ones(F.range.shape))[0, 0], TIME.samples**2)


# ---- filters


def test_fractional_derivatives_of_what_has_them_in_closed_form():
    tau, a = LONG.samples - 0.5, (np.pi * 20.0) ** 2
    gauss = np.exp(-a * tau**2)
    rick, slope, integral = (1 - 2 * a * tau**2) * gauss, (-6 * a * tau + 4 * a**2 * tau**3) * gauss, tau * gauss
    trace = rick[None, None]
    assert relative(TimePower(TRACES, 1.0) @ trace, slope) < 1e-12
    assert relative(TimePower(TRACES, -1.0) @ trace, integral) < 1e-12
    half = TimePower(TRACES, 0.5)
    assert relative(half @ (half @ trace), slope) < 1e-6
    assert relative(TimePower(TRACES, -0.5) @ (half @ trace), rick) < 1e-6


def test_a_half_integral_is_that_of_a_step():
    """Of a step it is ``2 sqrt(t / pi)``, for ever: nothing comes round."""
    step = np.ones((1, 1, LONG.n))
    found = (TimePower(TRACES, -0.5) @ step).ravel()
    expected = 2 * np.sqrt((LONG.samples + 0.5 * LONG.step) / np.pi)  # the first sample stands for the step before it
    assert np.allclose(found[50:-5], expected[50:-5], rtol=2e-3)


def test_a_shift_moves_by_parts_of_a_sample():
    assert relative(TimeShift(TRACES, 0.0123) @ ricker()[None, None], ricker(at=0.5123)) < 1e-12
    with pytest.raises(ParameterError, match="nothing is left"):
        TimeShift(TRACES, 2.5)


def test_other_time_axes():
    finer = so.Time(n=900, step=0.0015, start=0.1)
    assert relative(Resample(TRACES, finer) @ ricker()[None, None], ricker(time=finer)) < 2e-5
    coarser = so.Time(n=251, step=0.008)
    assert relative(Resample(TRACES, coarser) @ ricker(10.0)[None, None], ricker(10.0, time=coarser)) < 2e-5
    high = np.sin(2 * np.pi * 90.0 * LONG.samples) * np.hanning(LONG.n)
    assert np.abs(Resample(TRACES, coarser) @ high[None, None]).max() < 2e-4  # which it cannot hold


@pytest.mark.parametrize(("low", "high"), [(5.0, 30.0), (None, 30.0), (5.0, None)])
def test_a_band(low, high):
    """6 dB at the corners of zero phase, 3 dB causal; as Butterworth's formula says elsewhere."""
    spike = np.zeros(TRACES.shape)
    spike[..., LONG.n // 2] = 1.0
    zero = (Bandpass(TRACES, low, high) @ spike).ravel()
    causal = (Bandpass(TRACES, low, high, zero_phase=False) @ spike).ravel()
    f = np.fft.rfftfreq(LONG.n, LONG.step)
    for corner in (c for c in (low, high) if c):
        at = np.argmin(np.abs(f - corner))
        assert (
            abs(np.abs(np.fft.rfft(zero))[at] - 0.5) < 0.02 and abs(np.abs(np.fft.rfft(causal))[at] - 0.5**0.5) < 0.02
        )
    assert np.allclose(zero, zero[::-1], atol=1e-8) and not causal[: LONG.n // 2].any()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: Bandpass(TRACES), "needs low, high or both"),
        (lambda: Bandpass(TRACES, high=130.0), "below 125 Hz; leave it out$"),
        (lambda: Bandpass(Traces([1], Axis("time", 61, 6.0)), high=8.0), "perhaps the step is 6 ms"),
        (lambda: Bandpass(TRACES, 30.0, 5.0), "low < high"),
        (lambda: Mute(TRACES), "either a velocity"),
        (lambda: Mute(TRACES, velocity=1500.0, distances=[0.0], taper=-1.0), "negative"),
        (lambda: Mute(TRACES, picks=[np.nan]), "NaN"),
        (lambda: OffsetWindow(TRACES, 100.0, 50.0, offsets=[0.0]), "smaller offset first"),
        (lambda: TimePower(TRACES, 7.0), "between -4 and 4"),
        (lambda: Resample(TRACES, 0.004), "needs a Time"),
        (lambda: Gain(TRACES, -1.0), "negative"),
    ],
)
def test_what_makes_no_sense_is_refused(call, match):
    with pytest.raises(ParameterError, match=match):
        call()


def test_what_leaves_nothing_is_refused():
    F = modeling()
    for call, match in (
        (lambda: Mute(F, velocity=2.0), "km/s"),
        (lambda: Mute(F, velocity=1500.0, delay=150.0), "leaves nothing"),
        (lambda: OffsetWindow(F, 5000.0, 9000.0), "has no traces"),
        (lambda: Resample(F, so.Time(10, 0.004, start=2.0)), "leaves nothing"),
        (lambda: Mute(F, picks=np.zeros((3, 2))), "for each trace"),
        (lambda: lags(F, np.full(F.range.shape, np.nan), np.ones(F.range.shape)), "NaN"),
    ):
        with pytest.raises(ParameterError, match=match):
            call()


def test_shots_with_time_axes_of_their_own():
    """Data of a survey with windows: resampled they have one axis, and all losses know of their shots."""
    points = [[(0.0, 20.0), (50.0, 20.0)], [(310.0, 20.0)]]
    survey = so.Survey.from_arrays([(100.0, 20.0), (300.0, 20.0)], points, [TIME, so.Time(n=61, step=0.004)])
    F = survey.modeling(MEDIUM, dtype="float64")
    R = Resample(F, so.Time(n=120, step=0.002, start=0.02))
    assert isinstance(F.range, PerShot) and isinstance(R.range, Traces) and R.range.counts == (2, 1)
    assert so.check.dot_test(R) < 1e-12 and so.check.dot_test(R * F) < 1e-12
    x = F.range.random(0)
    assert np.array_equal((R[[1]] @ F.range.take(x, [1])).ravel(), R.range.take(R @ x, [1]).ravel())
    filters = MatchingFilter(F, x)
    assert isinstance(filters.range, PerShot)
    u = F.range.random(1)
    part = filters.select([1])(F.range.take(u, [1]))
    assert np.array_equal(part.ravel(), filters.range.take(filters(u), [1]).ravel())


def test_filters_do_not_depend_on_how_strong_the_observed_traces_are():
    F = modeling()
    u, v = F.range.random(0), F.range.random(1)
    for scale in (1e-6, 1e6):
        same = [so.data.MatchedSource(F, s * v)(u) / s for s in (1.0, scale)]
        assert np.allclose(*same, rtol=1e-6)
        same = [MatchingFilter(F, s * v)(u) / s for s in (1.0, scale)]
        assert np.allclose(*same, rtol=1e-6)
    assert not MatchingFilter(F, v)(0 * u).any()
