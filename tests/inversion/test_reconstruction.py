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


def test_with_a_large_penalty_it_is_least_squares():
    w, (x, _) = world(), point()
    value, gradient = misfit_of(penalty=1e8)(x)
    expected, by = LeastSquares(w.G, w.d, w.q, weights=1.0 / np.linalg.norm(w.d))(x)
    assert np.isclose(value, expected, rtol=1e-6) and np.linalg.norm(gradient - by) < 1e-5 * np.linalg.norm(by)


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
