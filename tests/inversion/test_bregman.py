"""Linearised Bregman iterations: the sparsest of all images that explain the data, with transforms, noise and batches."""

from __future__ import annotations

import numpy as np
import pylops
import pytest
from inversion_worlds import SHOTS, world
from scipy.optimize import linprog

import seisops as so
from seisops.errors import ParameterError, SpaceError
from seisops.inversion import Batches, Journal, linearized_bregman

M, N = 40, 100


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    A, x = rng.standard_normal((M, N)) / np.sqrt(M), np.zeros(N)
    x[rng.choice(N, 6, False)] = rng.uniform(1.0, 3.0, 6) * rng.choice([-1.0, 1.0], 6)
    return A, x


def least(A, d):
    """What has the smallest sum of absolute values."""
    found = linprog(np.ones(2 * A.shape[1]), A_eq=np.hstack([A, -A]), b_eq=d)
    return found.x[: A.shape[1]] - found.x[A.shape[1] :]


def soft(z, threshold):
    return np.sign(z) * np.maximum(np.abs(z) - threshold, 0.0)


def test_the_sparsest_solution_is_that_of_a_linear_program(problem):
    A, x = problem
    found = linearized_bregman(pylops.MatrixMult(A), A @ x, threshold=10.0, iterations=2000)
    assert np.allclose(found.x, least(A, A @ x), atol=1e-6) and np.allclose(found.x, x, atol=1e-6)
    assert found.residuals[0] == 1.0 and found.residuals[-1] < 1e-6 and found.nit == len(found.residuals)
    dense = np.linalg.lstsq(A, A @ x, rcond=None)[0]
    assert np.linalg.norm(dense - x) > 0.5 * np.linalg.norm(x)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0])
def test_what_it_minimises(problem, threshold):
    """Of threshold |x| + x^2 / 2 among the solutions: x is soft thresholding of z, and z in the range of the adjoint."""
    A, x = problem
    d = A @ x
    found = linearized_bregman(pylops.MatrixMult(A), d, threshold=threshold, iterations=20000)
    assert np.allclose(A @ found.x, d, atol=1e-4) and np.allclose(found.x, soft(found.z, threshold), atol=1e-14)
    assert np.allclose(A.T @ np.linalg.lstsq(A.T, found.z, rcond=None)[0], found.z, atol=1e-8)
    if not threshold:
        assert np.allclose(found.x, np.linalg.lstsq(A, d, rcond=None)[0], atol=1e-4)


def test_noise_is_left(problem):
    A, x = problem
    noise = 0.05 * np.random.default_rng(1).standard_normal(M)
    d, size = A @ x + noise, float(np.linalg.norm(noise))
    found = linearized_bregman(pylops.MatrixMult(A), d, threshold=5.0, noise=size, iterations=5000)
    assert found.status == 0 and "noise" in found.message
    assert 0.99 * size < np.linalg.norm(A @ found.x - d) < 1.002 * size
    exact = linearized_bregman(pylops.MatrixMult(A), d, threshold=5.0, iterations=5000)
    assert np.linalg.norm(found.x - x) < np.linalg.norm(exact.x - x)


def test_a_transform(problem):
    A, x = problem
    Q = np.linalg.qr(np.random.default_rng(2).standard_normal((N, N)))[0]
    there = linearized_bregman(pylops.MatrixMult(A), A @ x, threshold=10.0, iterations=500)
    found = linearized_bregman(
        pylops.MatrixMult(A @ Q), A @ x, transform=pylops.MatrixMult(Q), threshold=10.0, iterations=500
    )
    assert np.allclose(Q @ found.x, there.x, atol=1e-8)
    # complex coefficients: of one frequency, that is found from few samples
    wave = np.cos(2 * np.pi * 7 * np.arange(64) / 64 + 0.3)
    some = pylops.Restriction(64, np.sort(np.random.default_rng(3).choice(64, 20, False)))
    F = pylops.signalprocessing.FFT(64, norm="ortho")
    found = linearized_bregman(some, some @ wave, transform=F, threshold=20.0, iterations=1000)
    assert np.allclose(found.x, wave, atol=1e-3)


def test_the_threshold_follows_the_first_iteration(problem):
    A, x = problem
    seen = []
    found = linearized_bregman(pylops.MatrixMult(A), A @ x, kept=0.05, iterations=3, callback=seen.append)
    assert np.count_nonzero(seen[0].x) == 5 and found.threshold == seen[0].threshold > 0
    assert [one.nit for one in seen] == [1, 2, 3] and np.array_equal(seen[-1].x, found.x)

    def stop(result):
        raise StopIteration

    found = linearized_bregman(pylops.MatrixMult(A), A @ x, iterations=3, callback=stop)
    assert found.nit == 1 and found.status == 99 and not found.success


def test_migration_by_batches(tmp_path):
    """Least squares from random subsets of shots: as exact as of all, in the same number of solves."""
    w = world()
    J = so.Jacobian(w.F, w.q)
    D = so.model.TopMute(J, depth=30.0)
    image = np.zeros(w.grid.shape)
    image[8, 12], image[15, 14] = 2e-8, -1e-8
    d = (J * D) @ image
    batches = Batches(shots=SHOTS, size=1, seed=0)
    found = linearized_bregman(J * D, d, batches=batches, kept=0.05, iterations=90)
    alone = linearized_bregman(J * D, d, kept=0.05, iterations=30)
    assert found.x.shape == w.grid.shape

    def error(x):
        return np.linalg.norm((J * D) @ x - d) / np.linalg.norm(d)

    assert error(found.x) < 0.15 and error(alone.x) < 0.3
    assert np.count_nonzero(found.x) < 0.5 * image.size
    # remembered
    first = linearized_bregman(J * D, d, batches=batches, kept=0.05, iterations=4, journal=tmp_path / "run")
    journal = Journal(tmp_path / "run", problem="linearized_bregman")
    again = linearized_bregman(J * D, d, batches=batches, kept=0.05, iterations=6, journal=journal)
    assert journal.replayed == 8 and journal.computed == 4 and np.array_equal(again.residuals[:4], first.residuals)


def test_progress_is_shown(problem, capsys):
    A, x = problem
    linearized_bregman(pylops.MatrixMult(A), A @ x, iterations=2, progress=True)
    assert "eval" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"iterations": 0}, ParameterError, "at least 1"),
        ({"kept": 2.0}, ParameterError, "at most 1"),
        ({"threshold": -1.0}, ParameterError, "negative"),
        ({"noise": -1.0}, ParameterError, "negative"),
        ({"transform": pylops.Identity(7)}, SpaceError, "takes 7 numbers"),
        ({"batches": Batches(4, 2)}, ParameterError, "batches of 4 shots"),
        ({"d": np.zeros(M)}, ParameterError, "all zero"),
        ({"d": np.full(M, np.nan)}, ParameterError, "NaN"),
    ],
)
def test_what_makes_no_sense_is_refused(problem, change, error, match):
    A, x = problem
    options = {"d": A @ x, **change}
    with pytest.raises(error, match=match):
        linearized_bregman(pylops.MatrixMult(A), options.pop("d"), **options)
