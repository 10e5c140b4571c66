"""Shots that are solved at the same time: the same bits as one after another, and budgets that are kept."""

import cases
import numpy as np
import pytest

import seisops as so
from seisops.engine.backend import cpu
from seisops.wave.storage.background import Background, Whole

POLICIES = {
    "auto": lambda: "auto",
    "full": lambda: so.storage.Full(),
    "boundary": lambda: so.storage.Boundary(),
    "checkpoints": lambda: so.storage.Checkpointed(n=3),
    "compressed": lambda: so.storage.Compressed(),
    "nothing kept": lambda: so.storage.Checkpointed(n=2, keep_bytes=0),
    "two shots": lambda: so.storage.Full(keep_bytes=2 * 46 * 36 * 33 * 8 + 200_000),
}


@pytest.fixture
def world():
    return cases.world(shots=5)


def products(w, policy):
    """Forward, J and its adjoint, twice: made, and from what is held."""
    rng = np.random.default_rng(8)
    q = rng.standard_normal(w.F.domain.shape)
    J = so.Jacobian(w.F, q, storage=POLICIES[policy]())
    x, y = rng.standard_normal(J.domain.shape), rng.standard_normal(J.range.shape)
    found = [w.F @ q, J @ x, J.H @ y, J @ x, J.H @ y]
    return found, J


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_bits(world, policy, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone, J = products(world, policy)
    held = J.held_bytes
    for threads in ("2", "4"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        together, J = products(world, policy)
        assert J.held_bytes == held
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_array_equal(a, b)


def test_large_grids_have_all_cores(world, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    used = []
    monkeypatch.setattr(cpu, "side_by_side", lambda work, n: used.append(n) or map(work, range(n)))
    world.F @ np.zeros(world.F.domain.shape)
    assert used == [5]
    monkeypatch.setattr(cpu, "SMALL", 0)
    world.F @ np.zeros(world.F.domain.shape)
    assert used == [5]


def test_budgets_are_kept_by_whoever_comes_first(world, monkeypatch):
    """Two of five histories are held, and never more memory is promised than that."""
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    _, J = products(world, "two shots")
    imaging = J._operator.writers[0]
    assert len(imaging._kept) == 2 and all(isinstance(b, Whole) for b in imaging._kept.values())
    assert not imaging._planned and not imaging._promised and J._pool.promised_bytes == 0
    assert imaging.held_bytes <= imaging.storage.keep_bytes


def test_after_an_error(world, monkeypatch):
    """A shot that fails leaves nothing behind that spoils the next product."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    (_, _, expected, *_), J = products(world, "full")
    y = np.random.default_rng(8)
    y.standard_normal(world.F.domain.shape), y.standard_normal(J.domain.shape)
    y = y.standard_normal(J.range.shape)
    J.forget()
    make, calls = Background.make, []

    def fail(self, hold=True):
        calls.append(self)
        if len(calls) == 2:
            raise MemoryError("no more")
        make(self, hold)

    monkeypatch.setattr(Background, "make", fail)
    with pytest.raises(MemoryError, match="no more"):
        J.H @ y
    np.testing.assert_array_equal(J.H @ y, expected)
    J.forget()
    assert J.held_bytes == 0 and J._pool.promised_bytes == 0
