"""A shot without receivers, or without sources, is a shot with no traces: everything works on it."""

import numpy as np
import pytest

import seisops as so
from seisops import check

GRID = so.Grid((31, 25), 10.0)
WAVES = so.Wavefield(GRID, so.Time(41, 0.004), shots=3, dtype="float64")
R = np.array([[100.0, 50.0], [200.0, 60.0], [250.0, 10.0]])
S = np.array([[150.0, 100.0]])
A = so.Modeling(WAVES, so.Acoustic(GRID, vp=2000.0), so.PML(cells=6), space_order=4)
LAYOUTS = {
    "a shot without receivers": ([R, R[:0], R[:1]], [S, S, S]),
    "a shot without sources": ([R, R, R], [S, S[:0], S]),
    "a shot without either": ([R, R[:0], R], [S, S[:0], S]),
    "no receivers at all": ([R[:0]] * 3, [S] * 3),
    "no sources at all": ([R] * 3, [S[:0]] * 3),
}


@pytest.fixture(params=LAYOUTS.values(), ids=LAYOUTS.keys())
def F(request):
    Pr, Ps = (so.Projection(WAVES, points) for points in request.param)
    return Pr * A * Ps.H


EMPTY = {
    "first": lambda nothing: [nothing, R, R],
    "last": lambda nothing: [R, R.tolist(), nothing],
    "two": lambda nothing: (nothing, R[:1], nothing),
    "all": lambda nothing: [nothing] * 3,
}


@pytest.mark.parametrize("layout", EMPTY.values(), ids=EMPTY.keys())
@pytest.mark.parametrize("ndim", [2, 3])
def test_an_empty_list_is_a_shot_without_points(layout, ndim):
    def projection(nothing):
        points = layout(nothing)
        if ndim == 2:
            return so.Projection(WAVES, points)
        waves = so.Wavefield(so.Grid((31, 12, 25), 10.0), WAVES.time, 3, dtype="float64")
        return so.Projection(
            waves, [np.insert(np.reshape(p, (-1, 2)), 1, 30.0, axis=1) if len(p) else p for p in points]
        )

    expected = projection(R[:0] if ndim == 2 else np.empty((0, 3)))
    for nothing in ([], (), np.array([])):
        P = projection(nothing)
        assert P.points == expected.points and P.range.shape == expected.range.shape


def test_an_empty_list_models_as_no_points_do():
    some, same = (
        so.Projection(WAVES, [R, nothing, R]) * A * so.Projection(WAVES, [S, S, other]).H
        for nothing, other in (([], []), (R[:0], S[:0]))
    )
    np.testing.assert_array_equal(some @ source(some), same @ source(some))


def test_points_that_are_none_are_refused():
    for wrong in ([R, [1.0], R], [[], [150.0, 100.0], []], [R, [[]], R], [], [[], []]):
        with pytest.raises(so.ParameterError, match="shape|not an array|3"):
            so.Projection(WAVES, wrong)


def source(F):
    rng = np.random.default_rng(0)
    return rng.standard_normal(F.domain.shape)


def test_modeling_has_an_exact_adjoint(F):
    assert (F @ source(F)).shape == F.range.shape
    assert check.dot_test(F) < 1e-12


@pytest.mark.parametrize("storage", ["auto", so.storage.Checkpointed(n=2), so.storage.Boundary()])
def test_migration_has_an_exact_adjoint(F, storage):
    J = so.Jacobian(F, source(F), storage=storage)
    assert (J.H @ (F @ source(F))).shape == GRID.shape
    assert check.dot_test(J) < 1e-12


def test_gradients_and_single_shots(F):
    q = source(F)
    misfit, m = so.inversion.LeastSquares(so.Parametric(F), F @ (0.9 * q), q), np.full(GRID.shape, 2000.0**-2)
    value, gradient = misfit(m)
    parts = [misfit.select([i])(m) for i in range(3)]
    assert value == pytest.approx(sum(v for v, _ in parts), rel=1e-10)
    np.testing.assert_allclose(gradient, sum(g for _, g in parts), atol=1e-10 * np.abs(gradient).max())


def test_the_other_shots_do_not_notice():
    whole = so.Projection(WAVES, [R, R, R]) * A * so.Projection(WAVES, S).H
    Pr = so.Projection(WAVES, [R, R[:0], R])
    q = source(whole)
    some = Pr * A * so.Projection(WAVES, S).H
    np.testing.assert_array_equal(some @ q, np.concatenate([(whole @ q)[i] for i in (0, 2)]))
