"""Snapshots of a wavefield: those of the whole wavefield, without it in memory; and sources at some times."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from cases import TOLERANCE, World, world
from test_fused import Long, deep, peak
from test_places import flow

import seisops as so
from seisops.check import dot_test
from seisops.engine.kernel import Kernel
from seisops.errors import ParameterError, UnfusedError
from seisops.wave.sampling import snapshots, ways

pytestmark = [
    pytest.mark.filterwarnings("ignore::seisops.DispersionWarning"),
    pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning"),
]

#: Each a stack, sums over blocks of some steps, sums over all.
MANNERS = ("stacks", "blocks", "whole")


@pytest.fixture(params=MANNERS)
def manner(request, monkeypatch):
    """How snapshots are made."""
    monkeypatch.setattr(snapshots, "FEW", 100 if request.param == "stacks" else 0)
    monkeypatch.setattr(ways, "BLOCK_BYTES", 1 if request.param == "blocks" else 2**40)
    return request.param


def taken(w, numbers=(9, 3, 14, 0, 3)):
    """Snapshots in no order, at the first sample too, one twice."""
    return so.Snapshots(w.waves, w.time.samples[list(numbers)])


def check_same(S, A, P):
    """What is fused is what is picked of the whole wavefield; so is its transpose."""
    tolerance = TOLERANCE[A.dtype.name]
    F = S * A * P.H
    q, y = P.range.random(0), S.range.random(1)
    for fused, apart in ((F @ q, S @ ((A * P.H) @ q)), (F.H @ y, P @ (A.H @ (S.H @ y)))):
        assert fused.dtype == A.dtype and np.linalg.norm(apart) > 0
        assert np.linalg.norm(fused - apart) < tolerance * np.linalg.norm(apart)
    for op in (F, P * A * S.H, S * A * S.H):
        assert dot_test(op) < tolerance


WORLDS = {
    "ratio one": {},
    "substeps": {"substeps": True},
    "free surface with substeps": {"surface": True, "substeps": True},
    "variable density and a sponge": {"density": True, "boundary": "sponge"},
    "three dimensions": {"ndim": 3, "boundary": "none"},
    "float32 with substeps": {"dtype": "float32", "substeps": True},
}


@pytest.mark.parametrize("options", WORLDS.values(), ids=WORLDS)
def test_they_are_those_of_the_whole_wavefield(options, manner):
    w = world(**options)
    assert not options.get("substeps") or w.A.discretisation.ratio > 1
    # where there is no layer, interpolation reaches into none
    points = w.Ps if w.boundary == "none" else deep(w, 2, 2)
    check_same(taken(w), w.A, points)


def test_without_resampling(manner):
    w = World()
    A = so.Modeling(w.waves, w.medium, boundary=so.PML(cells=6), space_order=4, dispersion=False)
    assert A.discretisation.resampling().is_identity
    check_same(taken(w), A, deep(w, 2, 2))


@pytest.mark.parametrize("free_surface", [False, True])
def test_components_half_a_cell_and_half_a_step_away(free_surface, manner):
    waves = so.Wavefield(so.Grid((41, 31), 10.0), so.Time(41, 0.004), dtype="float64")
    A = so.Modeling(waves, flow(), so.Sponge(cells=6), free_surface, space_order=4)
    S = so.Snapshots(waves, waves.time.samples[[4, 11, 23]])
    q = so.Wavelet(waves, so.ricker(waves.time, f0=12.0))
    x = q.range.random(0)
    fused, apart = (S * A * q.H) @ x, S @ ((A * q.H) @ x)
    assert np.linalg.norm(fused - apart) < 1e-12 * np.linalg.norm(apart)
    assert max(map(dot_test, (S * A * q.H, q * A * S.H, S * A * S.H))) < 1e-12


def test_ragged_shots_stacks_and_sums(manner):
    w = world(substeps=True)
    Ps = so.Projection(w.waves, [np.array([[60.0, 55.0], [71.0, 63.0]]), np.array([[120.0, 100.0]])])
    S, T = taken(w), taken(w, (2, 5))
    check_same(S, w.A, Ps)
    q = Ps.range.random(0)
    several = so.VStack([S, w.Pr, T, w.Pw]) * w.A * Ps.H
    assert dot_test(several) < 1e-12
    parts = [((R * w.A * Ps.H) @ q).ravel() for R in (S, w.Pr, T, w.Pw)]
    assert np.allclose(several @ q, np.concatenate(parts), rtol=0, atol=1e-12 * np.abs(parts[0]).max())
    both = w.Pr * w.A * so.HStack([S.H, Ps.H, T.H])
    assert dot_test(both) < 1e-12


def test_beside_the_whole_wavefield(manner):
    w = world()
    S, everything = taken(w), so.Identity(w.waves)
    op = so.VStack([everything, S]) * w.A * so.HStack([S.H, everything])
    assert dot_test(op) < 1e-12
    x = op.domain.random(0)
    u, found = np.split(op @ x.ravel(), [w.waves.size])
    picked = S @ u.reshape(w.waves.shape)
    assert np.linalg.norm(found.reshape(S.range.shape) - picked) < 1e-12 * np.linalg.norm(picked)


POLICIES = {
    "full": so.storage.Full(),
    "nothing kept": so.storage.Full(keep_bytes=0),
    "checkpoints": so.storage.Checkpointed(n=2),
    "edges": so.storage.Boundary(),
    "every third step": so.storage.Subsampled(3),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("side", ["read", "written"])
def test_jacobians(policy, side, manner):
    w = world()
    S = taken(w)
    F = S * w.A * w.Ps.H if side == "read" else w.Pr * w.A * S.H
    q, dm = F.domain.random(3), w.waves.model().random(4)
    J = so.Jacobian(F, q, storage=POLICIES[policy])
    assert dot_test(J) < 1e-12
    # of all of the wavefield
    whole = w.A * w.Ps.H if side == "read" else w.Pr * w.A
    x = q if side == "read" else S.H @ q
    expected = so.Jacobian(whole, x, storage=POLICIES[policy]) @ dm
    expected = S @ expected if side == "read" else expected
    assert np.linalg.norm(J @ dm - expected) < 1e-12 * np.linalg.norm(expected)


def test_second_derivatives(manner):
    w = World()
    G = so.Parametric(taken(w) * w.A * w.Ps.H)
    x = w.medium.m, G.F.domain.random(1)
    dx = 0.01 * w.medium.m * np.random.default_rng(2).standard_normal(w.grid.shape), G.F.domain.random(3)
    rates = so.check.taylor_test(G, x, dx)
    assert np.allclose(rates, 2.0, atol=0.1)
    assert dot_test(G.tangent().jacobian(*x, *dx)) < 1e-12


def test_shots_and_copies():
    w = world(substeps=True)
    F = taken(w) * w.A * w.Ps.H
    q = F.domain.random(0)
    u = F @ q
    assert u.shape == (2, 5, *w.grid.shape) and F.range.name == "snapshots"
    assert np.array_equal(F[1] @ q[1:], u[1:])
    assert np.array_equal(F[[1, 0]] @ q[::-1], u[::-1])
    assert np.array_equal(pickle.loads(pickle.dumps(F)) @ q, u)
    assert np.allclose(u[:, 1], u[:, 4], rtol=0, atol=1e-14 * np.abs(u).max())


def test_in_torch():
    torch = pytest.importorskip("torch")
    w = world()
    F = taken(w) * w.A * w.Ps.H
    q = torch.tensor(F.domain.random(0), requires_grad=True)
    y = F.range.random(1)
    u = so.torch.lift(F)(q)
    u.backward(torch.tensor(y))
    assert np.array_equal(u.detach().numpy(), F @ q.detach().numpy())
    assert np.array_equal(q.grad.numpy(), F.H @ y)


def test_times_are_those_of_samples():
    time = so.Time(101, 0.004, start=-0.1)
    waves = so.Wavefield(so.Grid((11, 12), 10.0), time, shots=3)
    S = so.Snapshots(waves, np.float32([-0.1, 0.3, 0.1]))
    assert S.numbers == (0, 100, 50) and np.allclose(S.times, [-0.1, 0.3, 0.1])
    assert S.range.shape == (3, 3, 11, 12)
    assert so.Snapshots(waves, 0.1).range.axes[1] == replace(S.range.axes[1], size=1, origin=S.times[2])
    (_, axis, *_), times = so.Snapshots(waves, time.samples[10:40:10]).range.axes, time.samples
    assert (axis.name, axis.size) == ("time", 3) and np.allclose((axis.step, axis.origin), (0.04, times[10]))


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (0.0015, "0.0015 s lies between the samples of Time.*: take 0 s or 0.004 s"),
        ([0.0, 0.1999], "0.1999 s lies between .*: take 0.196 s or 0.2 s"),
        ([0.0, 0.5], "nothing at 0.5 s on Time"),
        (-0.004, "nothing at -0.004 s"),
        (np.nan, "nothing at nan s"),
        (100, "nothing at 100 s .* whose times are in seconds"),
        ([], r"times of shape \(0,\)"),
        ([[0.0]], r"times of shape \(1, 1\)"),
        ("all", "give times in seconds"),
    ],
)
def test_other_times_are_refused(times, message):
    waves = so.Wavefield(so.Grid((11, 12), 10.0), so.Time(101, 0.004))
    with pytest.raises(ParameterError, match=message):
        so.Snapshots(waves, times)


def test_only_snapshots_are_in_memory(monkeypatch):
    w = Long(dtype="float32", shots=1)
    monkeypatch.setattr(ways, "BLOCK_BYTES", 2**20)
    for numbers in ([700], range(0, 800, 100)):
        F = taken(w, numbers) * w.A * w.Ps.H
        q = F.domain.random(0)
        u = F @ q
        F.H @ u
        for product in (lambda F=F, q=q: F @ q, lambda F=F, u=u: F.H @ u):
            assert peak(product) < w.waves.nbytes / 4


def test_many_share_the_kernel_of_whole_fields(monkeypatch):
    monkeypatch.setattr(snapshots, "FEW", 0)
    w = world()
    (w.A * w.Ps.H) @ w.Ps.range.random(0)
    before = Kernel.made
    for numbers in ((1,), (1, 2), range(9)):
        (taken(w, numbers) * w.A * w.Ps.H) @ w.Ps.range.random(0)
    assert Kernel.made == before


def test_a_wavefield_beyond_the_budget_is_told_of_them():
    w = world()
    small = so.Wavefield(w.grid, w.time, shots=2, dtype="float64", max_bytes=100_000)
    A = so.Modeling(small, w.medium, boundary=so.PML(cells=6), space_order=4)
    P = so.Projection(small, [[100.0, 100.0]])
    with pytest.raises(UnfusedError, match="Snapshots"):
        (A * P.H) @ P.range.random(0)
    S = so.Snapshots(small, small.time.samples[[3, 20]])
    assert np.abs((S * A * P.H) @ P.range.random(0)).max() > 0


@pytest.mark.parametrize(
    ("some", "others", "says"),
    [
        ((3,), (5,), ("from 0.006", "from 0.01")),
        ((0, 1, 4), (0, 3, 4), ("[0, 0.002, 0.008]", "[0, 0.006, 0.008]")),
        ((0, 1, 2), (0, 2, 4), ("step=0.002", "step=0.004")),
        ((2, 1, 4), (2, 3, 4), ("[0.004, 0.002, 0.008]", "step=0.002")),
    ],
)
def test_snapshots_at_other_times_are_told_apart(some, others, says):
    w = world()
    S, T = taken(w, some), taken(w, others)
    assert S.range != T.range and S.range == taken(w, some).range and repr(S.range) != repr(T.range)
    with pytest.raises(so.SpaceError) as caught:
        S + T
    assert all(fragment in str(caught.value) for fragment in says), str(caught.value)
    assert S.range.select([1]) == S.select([1]).range and pickle.loads(pickle.dumps(S.range)) == S.range
