"""Batches: every shot once in every epoch, and the same ones in every run."""

import numpy as np
import pytest
from inversion_worlds import world

import seisops as so
from seisops.inversion import Batches, Journal, LeastSquares


@pytest.mark.parametrize(("shots", "size"), [(7, 3), (6, 2), (5, 5), (1, 1), (100, 7)])
def test_epochs_without_replacement(shots, size):
    batches = Batches(shots, size, seed=4)
    for epoch in range(5):
        of_epoch = [batches[epoch * batches.per_epoch + k] for k in range(batches.per_epoch)]
        assert all(len(b) == size for b in of_epoch[:-1]) and all(list(b) == sorted(b) for b in of_epoch)
        assert sorted(s for b in of_epoch for s in b) == list(range(shots))


def test_the_same_in_every_run():
    # in any order, and for ever: these numbers are part of journals
    assert [Batches(7, 3)[k] for k in (4, 0, 1)] == [(0, 2, 6), (1, 2, 3), (0, 4, 6)]
    a, b = (Batches(20, 5, seed=s) for s in (0, 1))
    assert [a[k] for k in range(8)] != [b[k] for k in range(8)] and a[0] != a[4]
    counts = np.zeros((5, 5))
    for seed in range(2000):
        counts[np.arange(5), [Batches(5, 1, seed)[k][0] for k in range(5)]] += 1
    assert np.abs(counts - 400).max() < 90  # every shot comes anywhere, equally often


def test_what_cannot_be_is_refused():
    for arguments in ((0, 1), (3, 0), (3, 4), (3, 1, -1), (3.5, 1)):
        with pytest.raises(so.ParameterError):
            Batches(*arguments)
    for k in (-1, 1.0, slice(2)):
        with pytest.raises(so.ParameterError, match="numbered by iteration"):
            Batches(3, 1)[k]
    with pytest.raises(TypeError):
        iter(Batches(3, 1))


def test_a_stochastic_inversion_is_replayed(tmp_path):
    w = world(dtype="float32")
    misfit = LeastSquares(w.G, w.d, w.q, weights=1 / np.linalg.norm(w.d), P=1e-8, start=w.medium.m)
    batches = Batches(shots=w.F.shots, size=2, seed=1)

    def descend(journal, n):
        x = np.zeros(misfit.domain.size)
        for k in range(n):
            _, gradient = journal(misfit.select(batches[k]))(x)
            x = x - 1e-2 * gradient / np.linalg.norm(gradient)
        return x

    plain = descend(Journal(tmp_path / "a"), 5)
    descend(Journal(tmp_path / "b"), 3)
    journal = Journal(tmp_path / "b")
    assert np.array_equal(descend(journal, 5), plain) and (journal.replayed, journal.computed) == (3, 2)
    batches = Batches(shots=w.F.shots, size=2, seed=2)
    with pytest.raises(so.ParameterError, match="another run"):
        descend(Journal(tmp_path / "b"), 5)
