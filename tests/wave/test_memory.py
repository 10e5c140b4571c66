"""Whose memory it is: what callers do to their arrays, what a map may hold, and how it is released."""

import gc
import threading
import weakref
from functools import partial

import cases
import numpy as np
import pylops
import pytest

import seisops as so
from seisops import memory
from seisops.wave.discretise.schemes import Schemes
from seisops.wave.sampling.imaging import Imaging
from seisops.wave.storage import pool
from seisops.wave.storage.background import Background

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")

POLICIES = {
    "auto": lambda: so.storage.Auto(),
    "auto, nothing held": lambda: so.storage.Auto(keep_bytes=0),
    "whole, nothing held": lambda: so.storage.Full(keep_bytes=0),
    "checkpoints": lambda: so.storage.Checkpointed(),
    "edges": lambda: so.storage.Boundary(),
}


@pytest.fixture
def w():
    return cases.world()


def source(w):
    return w.F.domain.random(3)


def size(w):
    """Memory of the whole history of a shot."""
    return w.A.solver.layout(("m",)).whole_bytes


def products(at, dm, y):
    return [at.pushforward(dm, None), *at.pullback(y)]


def same(found, expected):
    return all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


# ---- what callers do to their arrays


@pytest.mark.parametrize("name", POLICIES)
def test_a_linearisation_has_its_point_to_itself(w, name):
    G, q, m = so.Parametric(w.F, storage=POLICIES[name]()), source(w), w.medium.m.copy()
    dm, y = G.domain[0].random(1), G.range.random(2)
    with G.linearize(m.copy(), q.copy()) as at:
        expected = products(at, dm, y)
    with G.linearize(m, q) as at:
        q *= 2
        m *= 0.9
        assert same(products(at, dm, y), expected)


def test_so_do_parts_of_a_survey(w):
    points = ([P.points.shot(s) for s in range(w.shots)] for P in (w.Ps, w.Pr))
    shots = so.Survey.from_arrays(*points, w.time)
    F = shots.modeling(w.medium, boundary=w.A.discretisation.boundary, space_order=4, dtype="float64")
    q = F.domain.random(0)
    J, x = F.jacobian(q.copy()), w.waves.model().random(1)
    expected = J @ x
    J = F.jacobian(q)
    q *= 2
    assert np.array_equal(J @ x, expected)


def test_and_behind_an_operator_that_reuses_its_result(w):
    class Reusing(pylops.LinearOperator):
        def __init__(self, space):
            self.out = np.zeros(space.size)
            super().__init__(dtype="float64", dims=space.shape, dimsd=space.shape)

        def _matvec(self, x):
            np.multiply(x, 2, out=self.out)
            return self.out

        def _rmatvec(self, y):
            return 2 * y

    q = source(w)
    R = Reusing(w.F.domain)
    G, plain = (
        so.Parametric(w.F * op, storage=so.storage.Full(keep_bytes=0)) for op in (R, 2 * so.Identity(w.F.domain))
    )
    y = G.range.random(2)
    with plain.linearize(w.medium.m, q) as at:
        expected = at.pullback(y)[0]
    with G.linearize(w.medium.m, q) as at:
        R.out[...] = 7.0
        np.testing.assert_allclose(at.pullback(y)[0], expected, rtol=1e-12)


def test_a_shot_has_its_traces_to_itself(w):
    data = np.ones((3, w.time.n))
    shot = so.Shot(w.Ps.points.shot(0), w.Pr.points.shot(0), w.time, data)
    data[...] = 2.0
    assert np.all(shot.data == 1.0)


# ---- one budget for a map


def test_open_linearisations_share_the_budget(w):
    """Three of two shots each, where there is room for three histories: no more are held, and no bit changes."""
    q, m = source(w), w.medium.m
    with so.Parametric(w.F).linearize(m, q) as at:
        dm, y = at.jacobians[0].domain.random(1), at.value
        expected = products(at, dm, y)
    G = so.Parametric(w.F, storage=so.storage.Full(keep_bytes=3 * size(w) + 100))
    pending = [G.linearize(m, q) for _ in range(3)]
    assert [at.held_bytes for at in pending] == [2 * size(w), size(w), 0] and G.held_bytes == 3 * size(w)
    for at in pending:
        assert same(products(at, dm, y), expected)
        assert G.held_bytes <= G.policy.keep_bytes
    pending[0].close()
    assert same(products(pending[2], dm, y), expected)
    assert [at.held_bytes for at in pending] == [0, size(w), 2 * size(w)] and G.held_bytes == 3 * size(w)
    del pending, at
    gc.collect()
    assert G.held_bytes == 0


def test_so_do_shots_and_tangents(w):
    q, m, room = source(w), w.medium.m, so.storage.Full(keep_bytes=size(w) + 100)
    G = so.Parametric(w.F, storage=room)
    with G.select([0]).linearize(m, q[:1]), G.select([1]).linearize(m, q[1:]):
        assert G.held_bytes == size(w)
        with G.tangent().linearize(m, q, 0.1 * m, q):
            assert G.held_bytes == size(w)


def test_so_do_the_solves_of_a_jacobian(w):
    F = so.HStack([w.F, 2.0 * w.Pr * w.A.at(m=w.medium.m) * w.Ps2.H])
    J = so.Jacobian(F, F.domain.random(0), storage=so.storage.Full(keep_bytes=3 * size(w) + 100))
    J @ J.domain.random(1)
    assert len([leaf for leaf in J._operator.leaves() if isinstance(leaf, Imaging)]) == 2
    assert J.held_bytes == 3 * size(w)


# ---- what is spare, and how all of it is released


def histories(at):
    """References that go with the memory of the histories that a linearisation holds."""
    leaves = [leaf for j in at.jacobians for leaf in j.leaves() if isinstance(leaf, Imaging)]
    return [weakref.ref(a.base) for leaf in leaves for b in leaf._kept.values() for a in b.histories]


def alive(refs):
    return [ref for ref in refs if ref() is not None]


@pytest.fixture
def alone(monkeypatch):
    """With no other maps in the process."""
    monkeypatch.setattr(pool, "BACKGROUNDS", pool.Backgrounds())
    monkeypatch.setattr(memory, "BACKGROUNDS", pool.BACKGROUNDS)
    monkeypatch.setattr(memory, "SCHEMES", Schemes())  # those that other tests have made can stay


def forget_map(G, misfit):
    G.forget()


def forget_misfit(G, misfit):
    misfit.forget()


def forget_all(G, misfit):
    memory.forget()


@pytest.mark.parametrize("forget", [forget_map, forget_misfit, forget_all])
def test_closed_linearisations_leave_memory_that_can_be_released(w, alone, forget):
    G, q = so.Parametric(w.F), source(w)
    misfit = so.inversion.LeastSquares(G, w.F @ q, q)
    at = G.linearize(w.medium.m, q)
    refs = histories(at)
    assert len(refs) == 2 and G.held_bytes == memory.held().backgrounds == 2 * size(w) and G.spare_bytes == 0
    at.close()
    assert (G.held_bytes, G.spare_bytes, len(alive(refs))) == (0, 2 * size(w), 2)
    assert (memory.held().backgrounds, memory.held().spare) == (0, misfit.spare_bytes) == (0, 2 * size(w))
    with G.linearize(w.medium.m, q) as at:  # in the same memory
        assert len(alive(refs)) == 2 and G.spare_bytes == 0
    forget(G, misfit)
    assert G.held_bytes == G.spare_bytes == memory.held().spare == 0 and not alive(refs)


@pytest.mark.parametrize("forget", [forget_map, forget_misfit, forget_all])
def test_open_linearisations_stay_good(w, alone, forget):
    G, q = so.Parametric(w.F), source(w)
    misfit = so.inversion.LeastSquares(G, 0.9 * (w.F @ q), q)
    dm, y = G.domain[0].random(1), G.range.random(2)
    with G.linearize(w.medium.m, q) as at:
        expected, refs = products(at, dm, y), histories(at)
        forget(G, misfit)
        assert at.held_bytes == 0 and not alive(refs)
        assert same(products(at, dm, y), expected)
        assert at.held_bytes == 2 * size(w)


def test_maps_made_of_maps_release_theirs(w, alone):
    G = so.Parametric(w.F)
    scaled = 2.0 * G - G
    with scaled.linearize(w.medium.m, source(w)):
        assert scaled.held_bytes == G.held_bytes > 0
    assert scaled.held_bytes == 0 and scaled.spare_bytes == G.spare_bytes > 0
    scaled.forget()
    assert scaled.spare_bytes == G.spare_bytes == 0


def test_maps_of_single_shots_leave_little(w, alone, monkeypatch):
    """However many there are, what is spare is not more than one of them had in use."""
    monkeypatch.setattr("seisops.engine.backend.memory.SPARE", 0)
    q, m = source(w)[:1], w.medium.m
    maps = [so.Parametric(w.F[0:1]) for _ in range(6)]
    pending = [G.linearize(m, q) for G in maps]
    assert memory.held().backgrounds == sum(G.held_bytes for G in maps) == 6 * size(w)
    for at in pending:
        at.close()
    assert memory.held().backgrounds == 0
    assert memory.held().spare == sum(G.spare_bytes for G in maps) == size(w)
    for G in maps:  # one after another, in the same memory
        with G.linearize(m, q):
            assert memory.held().spare == 0
    del maps, G
    gc.collect()
    assert memory.held().spare == 0


def test_nothing_keeps_the_medium_of_a_gradient(w):
    G, q = so.Parametric(w.F, storage=so.storage.Auto(keep_bytes=size(w))), source(w)
    with G.linearize(w.medium.m, q) as at:
        solvers = [weakref.ref(leaf.source.solve.modeling.solver) for j in at.jacobians for leaf in j.leaves()
                   if isinstance(leaf, Imaging)]  # fmt: skip
        at.pullback(at.value)
    del at
    assert solvers and not alive(solvers)


def test_plans_are_counted_and_released(w, monkeypatch):
    plans = Schemes()
    monkeypatch.setattr(memory, "SCHEMES", plans)
    d = w.A.discretisation
    plan = partial(plans.get, w.medium, d.template, d.faces, d.padding.shape)
    made = plan()
    assert plan() is made and memory.held().kernels == 0
    made.kernels["some ports"] = object()
    assert memory.held().kernels == 1 and "1 kernels" in str(memory.held())
    plans.forget()
    assert memory.held().kernels == 0 and plan() is made  # which is in use
    last = weakref.ref(made)
    del made
    plans.forget()
    gc.collect()
    assert last() is None


def test_states_are_counted_and_released(w):
    w.F @ source(w)
    assert memory.held().states >= w.A.solver.state_bytes
    memory.STATES.clear()
    assert memory.held().states == 0


# ---- at the same time


def test_what_is_in_use_is_not_handed_to_others(w):
    J = so.Jacobian(w.F, source(w))
    J @ J.domain.random(0)
    (imaging,) = (leaf for leaf in J._operator.leaves() if isinstance(leaf, Imaging))
    history = imaging._kept[0].histories[0]
    before = history.copy()

    def march(first, last, histories):
        imaging.forget()
        assert J.held_bytes == 0
        for _ in range(3):  # somebody else takes what is spare
            for a in J._pool.take([history.shape], history.dtype, "", ""):
                a.fill(np.nan)
        assert np.array_equal(histories[0], before)

    imaging.meet(0, True, lambda through: through(march))
    assert J._pool.reuse([history.shape], history.dtype)[0].base is history.base


def test_two_products_of_one_jacobian_at_the_same_time(w, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    J = so.Jacobian(w.F, source(w))
    y = J.range.random(1)
    expected = J.H @ y
    J.forget()
    make, both, found = Background.make, threading.Barrier(2), []

    def together(self, hold=True):
        both.wait(60)
        make(self, hold)

    monkeypatch.setattr(Background, "make", together)
    threads = [threading.Thread(target=lambda: found.append(J.H @ y)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and same(found, [expected] * 2)
    assert J.held_bytes == 2 * size(w) and J._pool.promised_bytes == 0


def test_no_more_is_taken_than_is_stated(w):
    G, q = so.Parametric(w.F, storage=so.storage.Full()), source(w)
    memory.forget()
    before = memory.limit(2**20)  # less than this process has already
    try:
        with pytest.raises(so.UnfusedError), G.linearize(w.medium.m, q):
            pass
    finally:
        assert memory.limit(before) == 2**20
    with G.linearize(w.medium.m, q):
        assert memory.held().backgrounds > 0
    for wrong in (0, 1.5, "1GB"):
        with pytest.raises(so.ParameterError, match="memory limit"):
            memory.limit(wrong)
    assert memory.limit(None) == before
