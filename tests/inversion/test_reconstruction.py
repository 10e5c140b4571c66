"""Wavefield reconstruction: value and gradient against what defines them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from inversion_worlds import SHOTS, world

import seisops as so
from seisops.errors import ParameterError
from seisops.inversion import LeastSquares, WavefieldReconstruction

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")


def misfit_of(**options):
    w = world()
    return WavefieldReconstruction(w.F, w.d, w.q, weights=1.0 / np.linalg.norm(w.d), **options)


def point():
    m, rng = np.ravel(world().medium.m), np.random.default_rng(0)
    return m * (1 + 0.01 * rng.standard_normal(m.size)), 0.02 * m.mean() * rng.standard_normal(m.size)


@pytest.mark.parametrize(("penalty", "iterations"), [(1e-2, 1), (1.0, 1), (1e-1, 40)])
def test_its_gradient_is_exact(penalty, iterations):
    """After one iteration of conjugate gradients, and where they have converged."""
    misfit, (x, dx) = misfit_of(penalty=penalty, iterations=iterations), point()
    value, gradient = misfit(x)
    errors = [abs(misfit(x + h * dx)[0] - value - h * (gradient @ dx)) for h in 0.5 ** np.arange(2, 5)]
    assert np.all(np.abs(np.diff(np.log2(errors)) + 2) < 0.1), errors


def test_it_is_the_minimum_over_wavefields():
    """Of all sources f of the field, the one that is found has the least ``|S f - d|^2 + lambda^2 |f - q|^2``."""
    w, misfit, (x, _) = world(), misfit_of(penalty=0.3, iterations=60), point()
    S = so.fuse(w.Pr * w.A).at(m=x.reshape(w.grid.shape))[[1]]
    y, f = misfit.reconstructed(x, shot=1)
    q = (w.Ps.H)[[1]] @ w.q[[1]]
    weight, level = 1.0 / np.linalg.norm(w.d), misfit._level

    def joint(field):
        misfits = weight * (S @ field - w.d[[1]])
        return 0.5 * np.sum(misfits**2) + 0.5 * level * np.sum((field - q) ** 2)

    least = joint(f)
    assert np.isclose(least, misfit.select([1])(x)[0], rtol=1e-9)
    rng = np.random.default_rng(3)
    for size in (1e-3, 1e-2, 1e-1):
        assert joint(f + size * np.abs(f).max() * rng.standard_normal(f.shape)) > least
    assert joint(q) > 1.05 * least


WEIGHTS = {
    "mute": lambda w: so.data.Mute(w.F, velocity=1500.0, taper=0.01),
    "band": lambda w: so.data.Bandpass(w.F, 10.0, 100.0),
    "other samples": lambda w: so.data.Resample(w.F, so.Time(16, 0.004)),
}


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize(("penalty", "iterations"), [(1e-2, 1), (1e-1, 40)])
def test_weights_may_be_operators_on_data(name, penalty, iterations):
    """Those of weighted data W S, with its exact gradient; dense, K is what it should be."""
    w, (x, dx) = world(), point()
    W = WEIGHTS[name](w) * (1.0 / np.linalg.norm(w.d))
    assert so.check.dot_test(W) < 1e-12
    misfit = WavefieldReconstruction(w.F, w.d, w.q, weights=W, penalty=penalty, iterations=iterations)
    value, gradient = misfit(x)
    errors = [abs(misfit(x + h * dx)[0] - value - h * (gradient @ dx)) for h in 0.5 ** np.arange(2, 5)]
    assert np.all(np.abs(np.diff(np.log2(errors)) + 2) < 0.1), errors
    if iterations > 1:  # the minimum, by a dense solve of K y = r
        m, expected = x.reshape(w.grid.shape), 0.0
        for shot in range(w.F.shots):
            one = W[[shot]]
            S = so.fuse(w.Pr * w.A).at(m=m)[[shot]]
            r = one.matvec((w.d[[shot]] - w.F[[shot]].at(m=m) @ w.q[[shot]]).ravel())
            seen = [S.domain.asarray(S.rmatvec(one.rmatvec(e))).ravel() for e in np.eye(len(r))]
            K = np.array(seen) @ np.array(seen).T / misfit._level + np.eye(len(r))
            expected += 0.5 * r @ np.linalg.solve(K, r)
        assert np.isclose(value, expected, rtol=1e-8)


def test_it_says_what_it_is():
    said = repr(misfit_of(penalty=0.03, iterations=3, focus=20.0))
    assert "penalty: 0.03; iterations: 3; focus: 20 m" in said
    table = misfit_of(iterations=2)._repr_html_()
    assert "penalty" in table and "iterations" in table and "focus" not in table and "weights" in table


def test_with_a_large_penalty_it_is_least_squares():
    w, (x, _) = world(), point()
    value, gradient = misfit_of(penalty=1e8)(x)
    expected, by = LeastSquares(w.G, w.d, w.q, weights=1.0 / np.linalg.norm(w.d))(x)
    assert np.isclose(value, expected, rtol=1e-6) and np.linalg.norm(gradient - by) < 1e-5 * np.linalg.norm(by)


def test_the_source_is_that_of_the_survey_where_points_are_beside_the_edge():
    """A wavefield has no samples beyond the grid, which interpolation between nodes reaches there."""
    grid, time = so.Grid((31, 25), 20.0), so.Time(61, 0.006)
    waves = so.Wavefield(grid, time, shots=2, dtype="float64")
    Pr = so.Projection(waves, [(x, 22.0) for x in (111.0, 333.0, 507.0)])
    A = so.Modeling(waves, so.Acoustic(grid, vp=2000.0), max_velocity=2600.0)
    F = Pr * A * so.Projection(waves, [[(151.0, 21.0)], [(428.0, 21.0)]]).H
    q, m = np.tile(so.ricker(time, 8.0, delay=0.15), (2, 1, 1)), np.full(grid.shape, 2000.0**-2)
    d = F.at(m=1.05 * m) @ q
    value, gradient = WavefieldReconstruction(F, d, q, penalty=1e9)(m)
    expected, by = LeastSquares(so.Parametric(F), d, q)(m)
    assert np.isclose(value, expected, rtol=1e-6) and np.linalg.norm(gradient - by) < 1e-6 * np.linalg.norm(by)
    assert WavefieldReconstruction(F, F @ q, q, penalty=1e-2)(m)[0] < 1e-20 * expected
    with pytest.raises(ParameterError, match="name of a parameter"):
        WavefieldReconstruction(F, d, q, wrt=so.Positions(Pr))


def test_shots_add_up_pickles_are_the_same_and_p_is_applied():
    w, misfit, (x, _) = world(), misfit_of(), point()
    value, gradient = misfit(x)
    parts = [misfit.select([s])(x) for s in range(SHOTS)]
    assert np.isclose(sum(v for v, _ in parts), value) and np.allclose(sum(g for _, g in parts), gradient)
    copy = pickle.loads(pickle.dumps(misfit))
    assert copy(x)[0] == value and copy.fingerprint == misfit.fingerprint != misfit_of(penalty=2e-2).fingerprint
    P = so.model.Smooth(w.waves, 20.0)
    moved = misfit_of(P=P, start=w.medium.m)
    assert np.allclose(moved(0 * x)[1], (P.H @ misfit(w.medium.m)[1].reshape(w.grid.shape)).ravel())
    with pytest.raises(NotImplementedError, match="first order"):
        misfit.hessian(x)
    with pytest.raises(ParameterError, match="positive"):
        misfit_of(penalty=0.0)


def test_what_is_far_from_the_source_costs_more_with_a_focus():
    """It is the minimum with W, whose gradient is exact; the reconstructed source lies nearer to that of the survey."""
    w, (x, dx), focus = world(), point(), 15.0
    misfit = misfit_of(penalty=0.3, iterations=60, focus=focus)
    S = so.fuse(w.Pr * w.A).at(m=x.reshape(w.grid.shape))[[1]]
    q, weight = (w.Ps.H)[[1]] @ w.q[[1]], 1.0 / np.linalg.norm(w.d)
    nodes = np.stack(np.meshgrid(*(w.grid.coordinates(a) for a in w.grid.axes), indexing="ij"), axis=-1)
    apart = np.min([np.linalg.norm(nodes - one, axis=-1) for one in w.sources[1]], axis=0)

    def joint(field):
        more = (1 + (apart / focus) ** 2) * (field - q) ** 2
        return 0.5 * np.sum((weight * (S @ field - w.d[[1]])) ** 2) + 0.5 * misfit._level * np.sum(more)

    f, rng = misfit.reconstructed(x, shot=1)[1], np.random.default_rng(3)
    least = joint(f)
    assert np.isclose(least, misfit.select([1])(x)[0], rtol=1e-9)
    assert all(joint(f + size * np.abs(f).max() * rng.standard_normal(f.shape)) > least for size in (1e-3, 1e-1))
    value, gradient = misfit(x)
    errors = [abs(misfit(x + h * dx)[0] - value - h * (gradient @ dx)) for h in 0.5 ** np.arange(2, 5)]
    assert np.all(np.abs(np.diff(np.log2(errors)) + 2) < 0.1), errors
    anywhere = misfit_of(penalty=0.3, iterations=60)
    spread = [np.sum(apart * g**2) / np.sum(g**2) for g in (f - q, anywhere.reconstructed(x, shot=1)[1] - q)]
    assert spread[0] < 0.5 * spread[1]
    assert pickle.loads(pickle.dumps(misfit.select([1, 2]))).select([0])(x)[0] == misfit.select([1])(x)[0]
    assert misfit.fingerprint != anywhere.fingerprint


def test_focus_needs_sources_and_a_length():
    w = world()
    with pytest.raises(ParameterError, match="positive"):
        misfit_of(focus=0.0)
    extended = w.Pr * w.A * so.Wavelet(w.waves, so.ricker(w.waves.time, 50.0)).H
    with pytest.raises(ParameterError, match="no points"):
        WavefieldReconstruction(extended, w.d, extended.domain.random(0), focus=20.0)


def test_it_goes_the_right_way_where_least_squares_skips_cycles():
    """From the constant model through a slow lens, most of a period late, above and beside the sources."""
    grid, shots = so.Grid((51, 51), 20.0), 3
    waves = so.Wavefield(grid, so.Time(n=151, step=0.006), shots=shots)
    x, z = np.meshgrid(*(grid.coordinates(a) for a in grid.axes), indexing="ij")
    start = np.full(grid.shape, 2000.0)
    true = start - 500 * np.exp(-(((x - 500) / 140) ** 2) - ((z - 500) / 280) ** 2)
    A = so.Modeling(waves, so.Acoustic(grid, vp=start), max_velocity=2200.0)
    Ps = so.Projection(waves, [[(a, 40.0)] for a in (250.0, 500.0, 750.0)])
    F = so.Projection(waves, [(a, 960.0) for a in grid.coordinates("x")[2:-2]]) * A * Ps.H
    q = np.tile(so.ricker(waves.time, 11.0), (shots, 1, 1))
    d, P = F.at(vp=true) @ q, so.model.Smooth(waves, 60.0)

    def along(misfit):
        """The cosine between the first step and the way to the truth."""
        step = -(P.H @ misfit(start)[1].reshape(grid.shape))
        return np.vdot(step, true - start) / np.linalg.norm(step) / np.linalg.norm(true - start)

    options = {"wrt": "vp", "penalty": 1e-3, "iterations": 6}
    least_squares = along(LeastSquares(so.Parametric(F, "vp"), d, q))
    anywhere, focused = (along(WavefieldReconstruction(F, d, q, focus=f, **options)) for f in (None, 20.0))
    assert least_squares < 0.1 and anywhere < 0.1 and focused > 0.5, (least_squares, anywhere, focused)
