"""Operators on models do what they say: scalings, mutes, smoothing, splines, bounds."""

from __future__ import annotations

import numpy as np
import pytest

import seisops as so
from seisops.errors import ParameterError
from seisops.model import Bounded, DepthScaling, Regrid, Smooth, Splines, TopMute, WaterMask

GRID = so.Grid((31, 21), (10.0, 5.0), origin=(0.0, 50.0))
WAVES = so.Wavefield(GRID, so.Time(n=11, step=0.004), dtype="float64")
ONES = np.ones(GRID.shape)
Z = GRID.coordinates("z")


def test_depth_scaling():
    assert np.allclose((DepthScaling(WAVES) @ ONES)[3], (Z - 50.0) / 100.0)
    assert np.allclose((DepthScaling(WAVES, 0.5, top=100.0) @ ONES)[3], np.sqrt(np.clip((Z - 100.0) / 50.0, 0, None)))


def test_a_top_mute_follows_the_sea_floor():
    depth = np.linspace(60.0, 90.0, 31)
    kept = TopMute(WAVES, depth, taper=20.0) @ ONES
    for column, bottom in zip(kept, depth, strict=True):
        assert (
            not column[bottom >= Z].any() and np.all(column[bottom + 20.0 <= Z] == 1) and np.all(np.diff(column) >= 0)
        )


def test_a_water_mask_ends_at_the_first_rock():
    vp = np.full(GRID.shape, 1500.0)
    vp[:15, 6:], vp[15:, 9:] = 2000.0, 1700.0
    vp[:, 15] = 1500.0  # below rock there is no water
    kept = WaterMask(WAVES, vp) @ ONES
    assert not kept[:15, :6].any() and kept[:15, 6:].all() and not kept[15:, :9].any() and kept[15:, 9:].all()


def test_smoothing_keeps_what_is_constant_and_spreads_the_rest():
    S = Smooth(WAVES, (20.0, 10.0))
    assert np.allclose(S @ ONES, 1.0)
    spike = np.zeros(GRID.shape)
    spike[15, 10] = 1.0
    out = S @ spike
    x = GRID.coordinates("x") - 150.0
    assert np.isclose(np.sum(out * x[:, None] ** 2), 400.0, rtol=0.02) and np.isclose(out.sum(), 1.0)
    assert np.allclose(Smooth(WAVES, 0.0) @ spike, spike)


@pytest.mark.parametrize("degree", [1, 3])
def test_splines_hold_polynomials_of_their_degree(degree):
    B = Splines(WAVES, (60.0, 30.0), degree=degree)
    assert np.allclose(B @ np.ones(B.domain.shape), 1.0)
    smooth = (GRID.coordinates("x")[:, None] / 100.0) ** degree + (Z / 100.0) ** degree
    c = np.linalg.lstsq(B.todense(), smooth.ravel(), rcond=None)[0]
    assert np.allclose(B @ c.reshape(B.domain.shape), smooth)
    assert B.domain.size < 0.2 * B.range.size


def test_regridding_keeps_constants_bounds_and_ramps():
    ramp = 2.0 * GRID.coordinates("x")[:, None] + 3.0 * Z
    fine = so.Grid((61, 41), (5.0, 2.5), origin=(0.0, 50.0))
    x, z = (fine.coordinates(a) for a in fine.axes)
    assert np.allclose(Regrid(WAVES, fine) @ ramp, 2.0 * x[:, None] + 3.0 * z)  # linear interpolation
    coarse = so.Grid((11, 6), (30.0, 20.0), origin=(0.0, 50.0))
    R = Regrid(WAVES, so.Wavefield(coarse, WAVES.time))
    x, z = (coarse.coordinates(a) for a in coarse.axes)
    assert np.allclose((R @ ramp)[1:-1, 1:-1], (2.0 * x[:, None] + 3.0 * z)[1:-1, 1:-1])  # averages
    assert np.allclose(R @ ONES, 1.0) and np.allclose((Regrid(WAVES, GRID) @ ramp), ramp)
    spike = np.zeros(GRID.shape)
    spike[15, 8] = 1.0
    out = R @ spike
    assert out.min() >= 0 and np.count_nonzero(out) == 1 and np.isclose(out[5, 2], 1 / 12)
    beyond = Regrid(WAVES, so.Grid((5, 5), 100.0, origin=(-50.0, 0.0))) @ ramp
    assert ramp.min() <= beyond.min() and beyond.max() <= ramp.max()
    with pytest.raises(ParameterError, match="axes"):
        Regrid(WAVES, so.Grid((3, 3, 3), 10.0))


def test_bounds_of_several_parameters():
    both = so.spaces.DirectSum([WAVES.model(), WAVES.model()])
    n = GRID.size
    B = Bounded(both, np.repeat([1.0, 10.0], n), np.repeat([2.0, 30.0], n), around=np.repeat([1.5, 11.0], n))
    assert np.allclose(B(np.zeros(2 * n)), np.repeat([1.5, 11.0], n))


def test_bounds_hold_whatever_is_asked_for():
    P = Splines(WAVES, 40.0)
    M = Bounded(WAVES, 1500.0, np.linspace(2000.0, 3000.0, 21)) @ P
    x = 1e3 * P.domain.random(0)
    assert np.all(M(x) >= 1500.0) and np.all(M(x) <= np.linspace(2000.0, 3000.0, 21))
    B = Bounded(WAVES, 1500.0, 3000.0)
    m = np.linspace(1501.0, 2999.0, GRID.shape[0] * GRID.shape[1]).reshape(GRID.shape)
    assert np.allclose(B(B.inverse(m)), m)
    with pytest.raises(ParameterError, match="1 of 651 values.* first 3000 at"):
        B.inverse(np.where(m == m.max(), 3000.0, m))


def test_several_parameters_are_weighted_alike():
    F = so.Projection(WAVES, [(100.0, 60.0)]) * so.Modeling(WAVES, so.Acoustic(GRID, vp=1500.0, rho=1000.0))
    F = F * so.Projection(WAVES, [(200.0, 60.0)]).H
    J = so.Jacobian(F, F.domain.random(0), wrt=("m", "rho"))
    both = J.domain.random(1)
    for of_both, of_one in (
        (DepthScaling(J), DepthScaling(WAVES)),
        (TopMute(J, 80.0), TopMute(WAVES, 80.0)),
        (Smooth(J, 20.0), Smooth(WAVES, 20.0)),
    ):
        assert np.allclose(of_both @ both, [of_one @ part for part in both])
    assert np.allclose((Splines(J, 50.0) @ np.ones(Splines(J, 50.0).domain.shape)), 1.0)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: DepthScaling(GRID), "needs models on a grid"),
        (lambda: DepthScaling(WAVES, -1.0), "negative"),
        (lambda: DepthScaling(WAVES, top=200.0), "ends at 150 m"),
        (lambda: TopMute(WAVES, 300.0), "leave nothing"),
        (lambda: TopMute(WAVES, np.ones(4)), "not one for each column"),
        (lambda: WaterMask(WAVES, np.full((3, 3), 1500.0)), "not of the grid's shape"),
        (lambda: WaterMask(WAVES, 1500.0 * ONES), "no velocity differs"),
        (lambda: Smooth(WAVES, (1.0, 2.0, 3.0)), "not one for each of 2 axes"),
        (lambda: Smooth(WAVES, -1.0), "not negative"),
        (lambda: Splines(WAVES, 1e6), "at most the extent"),
        (lambda: Splines(WAVES, 30.0, degree=9), "from 1 to 5"),
        (lambda: Bounded(WAVES, 3.0, 2.0), "low below high"),
    ],
)
def test_what_makes_no_sense_is_refused(call, match):
    with pytest.raises(ParameterError, match=match):
        call()


# ---- illumination


def jacobian(wrt="m", **options):
    time = so.Time(n=81, step=0.004)
    waves = so.Wavefield(GRID, time, shots=2, dtype="float64")
    medium = so.Acoustic(GRID, vp=np.broadcast_to(np.linspace(1500.0, 2500.0, 21), GRID.shape))
    Pr = so.Projection(waves, [(x, 60.0) for x in GRID.coordinates("x")[::4]])
    S = so.Snapshots(waves, time.samples)
    A, Ps = so.Modeling(waves, medium), so.Projection(waves, [[(80.0, 60.0)], [(220.0, 60.0)]])
    q = np.tile(so.ricker(time, 15.0), (2, 1, 1))
    return so.Jacobian(Pr * A * Ps.H, q, wrt=wrt, **options), (S * A * Ps.H) @ q, time


@pytest.mark.parametrize("storage", ["auto", so.storage.Checkpointed(n=2), so.storage.Boundary()])
def test_illumination_is_the_energy_of_the_second_derivative(storage):
    J, u, time = jacobian(storage=storage)
    spectrum = np.fft.rfft(np.concatenate([u, np.zeros_like(u)], axis=1), axis=1)
    omega = 2 * np.pi * np.fft.rfftfreq(2 * time.n, time.step)
    utt = np.fft.irfft(-(omega**2)[None, :, None, None] * spectrum, axis=1)[:, : time.n]
    expected, found = np.sum(utt**2, axis=(0, 1)) * time.step, J.illumination()
    assert np.linalg.norm(found - expected) < 0.05 * np.linalg.norm(expected)
    by_vp = jacobian("vp")[0].illumination()
    vp = np.broadcast_to(np.linspace(1500.0, 2500.0, 21), GRID.shape)
    assert np.allclose(by_vp, (2 * vp**-3) ** 2 * found, rtol=1e-6)


def test_it_makes_the_hessian_more_even():
    J = jacobian()[0]
    some = np.zeros(GRID.shape, bool)
    some[3:-2:3, 4::3] = True
    columns = [J @ np.reshape(np.arange(J.domain.size) == i, GRID.shape).astype(float) for i in np.flatnonzero(some)]
    diagonal = np.array([np.sum(column**2) for column in columns])
    by_source, probed = (so.model.Illumination(J, 1e-3, probes=n).values[some] for n in (None, 24))
    plain, even, evener = (np.log(d).std() for d in (diagonal, diagonal * by_source**2, diagonal * probed**2))
    assert even < 0.85 * plain and evener < 0.8 * plain, (plain, even, evener)


def test_what_has_no_illumination_says_so():
    waves = so.Wavefield(GRID, so.Time(n=41, step=0.004), dtype="float64")
    medium = so.Elastic(GRID, vp=2000.0, vs=1000.0, rho=2000.0)
    F = so.Projection(waves, [(100.0, 60.0)]) * so.Modeling(waves, medium) * so.Projection(waves, [(200.0, 60.0)]).H
    J = so.Jacobian(F, F.domain.random(0), wrt="vs")
    with pytest.raises(ParameterError, match="several histories"):
        so.model.Illumination(J)
    assert so.model.Illumination(J, probes=2).values.min() == 1.0
    with pytest.raises(ParameterError, match="one parameter"):
        so.Jacobian(F, F.domain.random(0), wrt=("vp", "vs")).illumination()
    with pytest.raises(ParameterError, match="no Jacobian"):
        so.model.Illumination(so.model.Smooth(waves, 10.0))
