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
    prior = np.sqrt(np.diag(P @ P.T))
    assert np.allclose(posterior.std(20_000, prior=True), prior, rtol=0.03)
    # the error of the prior's variance is in that of the posterior
    assert np.allclose(posterior.std(20_000) ** 2, np.diag(covariance), atol=0.03 * prior.max() ** 2)


def test_of_a_diagonal_prior_the_standard_deviation_is_exact():
    rng = np.random.default_rng(0)
    A, sigma = rng.standard_normal((4, 9)), rng.uniform(0.5, 2.0, 9)
    misfit = LeastSquares(pylops.MatrixMult(A), np.zeros(4), P=sigma)
    covariance = np.linalg.inv(A.T @ A + np.diag(sigma**-2))
    assert np.allclose(Posterior(misfit, np.zeros(9), rank=4).std(samples=1), np.sqrt(np.diag(covariance)))


def test_a_prior_by_a_map_counts_by_its_derivative():
    """Between bounds, the slope of the change of variables is the standard deviation before there are data."""
    w = world()
    inside = so.model.Bounded(w.waves, 0.5 * w.medium.m.min(), 2.0 * w.medium.m.max())
    x, h = inside.inverse(w.medium.m).ravel(), 1e-5
    posterior = Posterior(Misfit(w.G, w.d, w.q, P=inside), x, rank=2)
    slope = (inside(x + h) - inside(x - h)) / (2 * h)
    assert np.allclose(posterior.std(samples=1, prior=True), np.abs(slope), rtol=1e-6)


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
    prior, after = more.std(prior=True), more.std()
    assert after.shape == misfit.model(x).shape and (after <= prior).all() and after.min() < 0.9 * prior.max()
    assert "nats" in repr(more) and more.samples(2).shape == (2, *after.shape)
    both = Posterior(misfit + 0.0 * misfit, x, 6)
    assert np.allclose(both.eigenvalues, few.eigenvalues)


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
    for bad, said in (((500.0, 10.0), "outside"), ((1.0, 2.0, 3.0), "x, z")):
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
