"""Posteriors: against dense matrices where these are small, and of a wave equation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pylops
import pytest
from inversion_worlds import SHOTS, world

import seisops as so
from seisops.errors import ParameterError
from seisops.inversion import LeastSquares, Misfit, Posterior, point_spread
from seisops.operators import Pointwise

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")


def dense(n=12, data=7, seed=0):
    """A linear misfit with a prior that is no diagonal, its dense operators, and where it is least with the prior."""
    rng = np.random.default_rng(seed)
    A, P = rng.standard_normal((data, n)), np.tril(rng.standard_normal((n, n))) + 3 * np.eye(n)
    misfit = Misfit(pylops.MatrixMult(A), rng.standard_normal(data), weights=np.full(data, 0.5), P=pylops.MatrixMult(P))
    return misfit, 0.5 * A, P


def test_with_all_eigenpairs_it_is_the_gaussian_posterior():
    misfit, A, P = dense()
    posterior = Posterior(misfit, np.zeros(12), rank=7)
    covariance = np.linalg.inv(A.T @ A + np.linalg.inv(P @ P.T))
    assert np.allclose(posterior.covariance.todense(), covariance, atol=1e-10 * np.abs(covariance).max())
    assert so.check.dot_test(posterior.covariance) < 1e-12 and so.check.dot_test(posterior.resolution) < 1e-12
    H = P.T @ A.T @ A @ P
    assert np.allclose(posterior.resolution.todense(), np.linalg.solve(np.eye(12) + H, H), atol=1e-10)
    assert np.isclose(posterior.information, 0.5 * np.linalg.slogdet(np.eye(12) + H)[1])
    assert np.isclose(posterior.resolved, np.trace(np.linalg.solve(np.eye(12) + H, H)))
    assert np.allclose(posterior.eigenvectors @ posterior.eigenvectors.T, np.eye(7), atol=1e-12)


def test_samples_and_standard_deviations_are_those_of_the_covariance():
    misfit, A, P = dense()
    posterior, n = Posterior(misfit, 0.1 * np.ones(12), rank=7), 40_000
    covariance = np.linalg.inv(A.T @ A + np.linalg.inv(P @ P.T))
    drawn = posterior.samples(n, seed=1)
    assert np.allclose(drawn.mean(axis=0), misfit.model(0.1 * np.ones(12)), atol=5 * np.sqrt(covariance.max() / n))
    assert np.linalg.norm(np.cov(drawn.T) - covariance) < 0.03 * np.linalg.norm(covariance)
    assert np.linalg.norm(np.cov(posterior.samples(n, prior=True).T) - P @ P.T) < 0.03 * np.linalg.norm(P @ P.T)
    # with as many samples as there are numbers, it is exact
    assert np.allclose(posterior.std(12, prior=True), np.sqrt(np.diag(P @ P.T)), rtol=1e-12)
    assert np.allclose(posterior.std(12), np.sqrt(np.diag(covariance)), rtol=1e-10)


@pytest.mark.parametrize("weight", [1.0, 1e2, 1e4])
def test_standard_deviations_are_as_good_where_data_say_much(weight):
    """Their error is a part of them, in each cell, whatever is left of the prior there."""
    rng = np.random.default_rng(2)
    n, samples = 60, 50
    A, P = weight * rng.standard_normal((50, n)), np.tril(rng.standard_normal((n, n))) + 3 * np.eye(n)
    misfit = LeastSquares(pylops.MatrixMult(A), np.zeros(50), P=pylops.MatrixMult(P))
    covariance = P @ np.linalg.solve(np.eye(n) + P.T @ A.T @ A @ P, P.T)
    true, posterior = np.sqrt(np.diag(covariance)), Posterior(misfit, np.zeros(n), rank=n)
    assert weight == 1.0 or true.min() < 0.1 * posterior.std(n, prior=True).max()
    off = np.array([posterior.std(samples, seed) ** 2 for seed in range(20)]) / true**2 - 1.0
    error = np.sqrt(2 / samples)
    assert np.sqrt(np.mean(off**2)) < 1.1 * error and abs(off.mean()) < 3 * error / np.sqrt(len(off))
    assert np.abs(off).max() < 6 * error


def test_of_a_diagonal_prior_the_standard_deviation_is_exact():
    rng = np.random.default_rng(0)
    A, sigma = rng.standard_normal((4, 9)), rng.uniform(0.5, 2.0, 9)
    misfit = LeastSquares(pylops.MatrixMult(A), np.zeros(4), P=sigma)
    covariance = np.linalg.inv(A.T @ A + np.diag(sigma**-2))
    assert np.allclose(Posterior(misfit, np.zeros(9), rank=4).std(samples=1), np.sqrt(np.diag(covariance)))
    w = world()
    halves = so.BlockDiag(
        [2.0 * Pointwise(w.waves.model(), sigma) for sigma in rng.uniform(1.0, 2.0, (2, *w.grid.shape))]
    )
    A = pylops.MatrixMult(rng.standard_normal((3, halves.shape[0])))
    posterior = Posterior(LeastSquares(A, np.zeros(3), P=halves), np.zeros(halves.shape[0]), rank=3)
    assert np.allclose(posterior.std(samples=1) ** 2, np.diag(posterior.covariance.todense()))


def test_a_prior_by_a_map_counts_by_its_derivative():
    """Between bounds, the slope of the change of variables is the standard deviation before there are data."""
    w = world()
    inside = so.model.Bounded(w.waves, 0.5 * w.medium.m.min(), 2.0 * w.medium.m.max())
    x, h = inside.inverse(w.medium.m).ravel(), 1e-5
    posterior = Posterior(Misfit(w.G, w.d, w.q, P=inside), x, rank=2)
    slope = (inside(x + h) - inside(x - h)) / (2 * h)
    assert np.allclose(posterior.std(samples=1, prior=True), np.abs(slope), rtol=1e-6)
    # samples are taken through the map itself: none beyond the bounds, however far they are
    drawn = posterior.samples(40, seed=1, prior=True)
    random = np.random.default_rng(1).standard_normal((40, x.size))
    assert np.array_equal(drawn[3], inside(x + random[3]))
    assert (drawn > 0.5 * w.medium.m.min()).all() and (drawn < 2.0 * w.medium.m.max()).all()
    assert (w.medium.m + slope * random.reshape(drawn.shape)).min() < 0.5 * w.medium.m.min()


def wave_misfit():
    w = world()
    P = 2e-9 * so.model.Smooth(w.waves, 20.0)
    noise = 0.05 * np.abs(w.d).max()
    return Misfit(w.G, w.d, w.q, weights=1.0 / noise, P=P, start=w.medium.m)


def test_of_a_wave_equation_few_eigenpairs_are_most_of_it():
    misfit = wave_misfit()
    x = np.zeros(misfit.domain.size)
    few, more = (Posterior(misfit, x, rank) for rank in (6, 24))
    assert np.allclose(few.eigenvalues, more.eigenvalues[:6], rtol=1e-3)
    H, v = misfit.gauss_newton(x), more.eigenvectors[0]
    assert np.allclose(H @ v, more.eigenvalues[0] * v, atol=1e-6 * more.eigenvalues[0])
    assert more.eigenvalues[-1] < 1e-2 * more.eigenvalues[0] and few.information < more.information
    prior, after = more.std(x.size, prior=True), more.std(x.size)
    assert after.shape == misfit.model(x).shape and (after <= prior).all() and after.min() < 0.9 * prior.max()
    assert "nats" in repr(more) and more.samples(2).shape == (2, *after.shape)
    both = Posterior(misfit + 0.0 * misfit, x, 6)
    assert np.allclose(both.eigenvalues, few.eigenvalues)


def regularised():
    misfit = wave_misfit()
    R = pylops.Gradient(misfit.model(np.zeros(misfit.domain.size)).shape)
    return misfit, 0.1 * LeastSquares(R, np.zeros(R.dimsd))


def test_of_a_sum_the_order_does_not_count():
    misfit, rough = regularised()
    x = np.zeros(misfit.domain.size)
    one, two = Posterior(misfit + rough, x, 6), Posterior(rough + misfit, x, 6)
    assert np.allclose(one.eigenvalues, two.eigenvalues, rtol=1e-12)
    assert np.allclose(one.std(20), two.std(20), rtol=1e-9) and np.allclose(one.samples(2), two.samples(2), rtol=1e-9)
    assert np.allclose(two.samples(200).mean(), misfit.start.mean(), rtol=0.01)
    assert (rough + misfit).domain == misfit.domain and np.array_equal((rough + misfit).model(x), misfit.model(x))
    spread = point_spread(two.covariance, (100.0, 100.0))
    assert np.allclose(spread, point_spread(one.covariance, (100.0, 100.0)), rtol=1e-9)
    # a P that is the same is so whoever made it; another one is none
    smooth, start = 2e-9 * so.model.Smooth(misfit.G, 20.0), misfit.start
    again = LeastSquares(misfit.G, misfit.data, *misfit.fixed, P=smooth, start=start)
    assert Posterior(misfit + again, x, 2).eigenvalues[0] > 0
    for change, what in (({"P": 1e-9, "start": start}, "P"), ({"P": misfit.P, "start": 1.1 * start}, "start")):
        other = LeastSquares(misfit.G, misfit.data, *misfit.fixed, **change)
        for both in (misfit + other, other + misfit):
            with pytest.raises(ParameterError, match=f"different {what}"):
                Posterior(both, x, 2)


def test_a_regularisation_is_known_once():
    """Of any choice of shots, information is that of the misfit of these shots, with one regularisation."""
    misfit, rough = regularised()
    x, total = np.zeros(misfit.domain.size), rough + misfit
    posterior = Posterior(total, x, rank=8)
    shots, nats = posterior.best_shots(SHOTS)
    V = posterior.eigenvectors.T

    def of(chosen):
        H = (misfit.select(chosen) + rough).gauss_newton(x)
        return 0.5 * np.linalg.slogdet(np.eye(8) + V.T @ np.stack([H @ v for v in V.T], 1))[1]

    assert np.allclose(nats, [of(shots[: k + 1]) for k in range(SHOTS)])
    assert np.isclose(nats[-1], posterior.information, rtol=1e-6)
    assert shots[0] == max(range(SHOTS), key=lambda shot: of([shot]))
    # without shots there is one thing to choose
    known = Posterior(dense()[0], np.zeros(12), rank=7)
    assert np.allclose(known.best_shots(1)[1], known.information)


@pytest.mark.parametrize("stack", [pylops.BlockDiag, so.BlockDiag])
def test_several_parameters(stack):
    w = world(density=True)
    rho = np.full(w.grid.shape, 1100.0)
    smooth = so.model.Smooth(w.waves, 20.0)
    P = stack([2e-9 * smooth, 50.0 * smooth])
    misfit = Misfit(
        so.Parametric(w.F, ("m", "rho")), w.d, w.q, weights=20.0 / np.abs(w.d).max(), P=P, start=(w.medium.m, rho)
    )  # fmt: skip
    n = w.grid.size
    posterior = Posterior(misfit, np.zeros(2 * n), rank=4)
    assert posterior.std(3).shape == (2 * n,) and posterior.samples(5).shape == (5, 2 * n)
    assert np.allclose(posterior.samples(100)[:, n:].mean(), 1100.0, rtol=0.01)
    H = posterior.covariance
    assert H.domain == misfit.sought and so.check.dot_test(H) < 1e-12
    (spread,) = point_spread(H, (40.0, 60.0), parameter=1)
    cell = n + np.ravel_multi_index((4, 6), w.grid.shape)
    assert np.array_equal(spread, H @ np.eye(2 * n)[cell]) and np.argmax(np.abs(spread[n:])) + n == cell
    with pytest.raises(ParameterError, match="2 parameters"):
        point_spread(H, (40.0, 60.0))
    with pytest.raises(ParameterError, match="parameter=2"):
        point_spread(H, (40.0, 60.0), parameter=2)
    J = so.Jacobian(w.F, w.q, ("m", "rho"))
    (spread,) = point_spread(J.H @ J, (40.0, 60.0), parameter=1)
    assert spread.shape == (2, *w.grid.shape) and np.allclose(
        spread.ravel(), J.H @ (J @ np.eye(2 * n)[cell]), rtol=1e-12
    )


def test_the_shots_that_say_most():
    misfit = wave_misfit()
    posterior = Posterior(misfit, np.zeros(misfit.domain.size), rank=8)
    shots, nats = posterior.best_shots(SHOTS)
    assert sorted(shots) == list(range(SHOTS)) and np.isclose(nats[-1], posterior.information, rtol=1e-6)

    def of(chosen):
        H = misfit.select(list(chosen)).gauss_newton(posterior.x)
        V = posterior.eigenvectors.T
        return 0.5 * np.linalg.slogdet(np.eye(8) + V.T @ np.stack([H @ v for v in V.T], 1))[1]

    best = max(combinations(range(SHOTS), 1), key=of)
    assert shots[0] == best[0] and np.isclose(nats[0], of(best)) and np.isclose(nats[1], of(shots[:2]))
    with pytest.raises(ParameterError, match="4 of 3 shots"):
        posterior.best_shots(4)


def test_point_spread_functions_are_columns():
    w = world()
    J = so.Jacobian(w.F, w.q)
    where = np.array([(40.0, 60.0), (121.0, 99.0)])
    spread = point_spread(J.H @ J, where)
    spike = np.zeros(w.grid.shape)
    spike[12, 10] = 1.0
    assert np.array_equal(spread[1], (J.H @ (J @ spike)))
    assert np.isclose(spread[0][12, 10], spread[1][4, 6])  # a Hessian is symmetric
    assert np.array_equal(point_spread(J.H @ J, (230.0 + 1e-6, 200.0))[0][23, 20], (J.H @ J).todense()[-1, -1])
    for bad, said in (
        ((500.0, 10.0), "outside"), ((-4.0, 10.0), "outside"), ((230.0, 204.0), "outside"), ((np.nan, 10.0), "outside"),
        ((1.0, 2.0, 3.0), "x, z"), ([], "no points"), (np.zeros((0, 2)), "no points"), ([("a", 2)], "numbers"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=said):
            point_spread(J.H @ J, bad)
    with pytest.raises(ParameterError, match="on a grid"):
        point_spread(J, where)


def test_more_than_there_is_is_refused():
    misfit, *_ = dense()
    with pytest.raises(ParameterError, match="12 directions"):
        Posterior(misfit, np.zeros(12), rank=13)
    with pytest.raises(ParameterError, match="rank"):
        Posterior(misfit, np.zeros(12), rank=0)
