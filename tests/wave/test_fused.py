"""A fused product is the product of its factors, without their wavefields in memory."""

import tracemalloc

import numpy as np
import pytest
from cases import World, world

import seisops as so
from seisops.errors import UnfusedError

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")


deep = World.deep


def edge(w, seed, interpolation):
    """Points on nodes, or between the outermost two with linear interpolation."""
    cells = [[0, 0], [23, 20], [0, 11], [12, 20]]
    shift = 3.3 if interpolation == "linear" else 0.0
    inwards = np.where(np.array(cells) > 15, -shift, shift)
    return so.Projection(w.waves, np.array(cells) * 10.0 + inwards, interpolation)


PAIRS = {
    "deep": (lambda w: deep(w, 3, 1), lambda w: deep(w, 2, 2)),
    "nodes at the edge": (lambda w: edge(w, 1, "sinc"), lambda w: edge(w, 2, "sinc")),
    "linear at the edge": (lambda w: edge(w, 1, "linear"), lambda w: deep(w, 2, 2, interpolation="linear")),
    "stack of an extended source": (lambda w: w.Pw, lambda w: w.Pw),
    "points and an extended source": (lambda w: deep(w, 3, 1), lambda w: w.Pw),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("options", [{}, {"substeps": True}], ids=["ratio one", "substeps"])
def test_fused_is_unfused(pair, options):
    w = world(**options)
    R, S = (build(w) for build in PAIRS[pair])
    F = R * w.A * S.H
    q, d = S.range.random(0), R.range.random(1)
    for fused, steps in ((F @ q, R @ (w.A @ (S.H @ q))), (F.H @ d, S @ (w.A.H @ (R.H @ d)))):
        assert np.linalg.norm(steps) > 0
        assert np.linalg.norm(fused - steps) < 1e-12 * np.linalg.norm(steps)


def test_stacks_and_sums_are_those_of_their_parts():
    w = world()
    R, S, T = deep(w, 2, 1), deep(w, 2, 2), deep(w, 2, 3)
    q, p = S.range.random(0), T.range.random(1)
    both = (R * w.A * so.HStack([S.H, T.H])) @ np.concatenate([q.ravel(), p.ravel()])
    apart = (R * w.A * S.H) @ q + (R * w.A * T.H) @ p
    assert np.allclose(both.reshape(apart.shape), apart, rtol=0, atol=1e-12 * np.abs(apart).max())
    summed = (R * w.A * (S.H + T.H)) @ q
    assert np.allclose(summed, (R * w.A * S.H) @ q + (R * w.A * T.H) @ q, rtol=0, atol=1e-12 * np.abs(summed).max())
    stacked = (so.VStack([R, w.Pw]) * w.A * S.H) @ q.ravel()
    parts = [((P * w.A * S.H) @ q).ravel() for P in (R, w.Pw)]
    for a, b in zip(np.split(stacked, [parts[0].size]), parts, strict=True):
        assert np.linalg.norm(a - b) < 1e-12 * np.linalg.norm(b)


def test_solves_that_share_a_side_are_one(monkeypatch):
    runs = []
    original = so.Modeling.solve
    monkeypatch.setattr(so.Modeling, "solve", lambda self, *sides: runs.append(sides) or original(self, *sides))
    w = World()
    op = so.VStack([w.F, w.points(1, 6) * w.A * w.Ps.H]) + so.VStack([w.F, w.points(1, 7) * w.A * w.Ps.H])
    op @ op.domain.random(0)
    assert len(runs) == 1


class Long(World):
    """Many samples on a larger grid: a wavefield of 12 MB."""

    @property
    def grid(self):
        return so.Grid((64, 61), 10.0)

    @property
    def time(self):
        return so.Time(800, 0.002)


def peak(function):
    """Bytes allocated at most while a function runs."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_wavefield_is_allocated():
    w = Long(dtype="float32", shots=1)
    F, q = w.F, w.F.domain.random(0)
    d = F @ q
    F.H @ d
    for product in (lambda: F @ q, lambda: F.H @ d):
        assert peak(product) < w.waves.nbytes / 5
    # what the measure says of a product that is not fused
    assert peak(lambda: w.Ps.H @ q) > w.waves.nbytes


def test_a_wavefield_beyond_the_budget_is_refused():
    w = world()
    small = so.Wavefield(w.grid, w.time, shots=2, dtype="float64", max_bytes=100_000)
    A = so.Modeling(small, w.medium, boundary=so.PML(cells=6), space_order=4)
    P = so.Projection(small, [[100.0, 100.0]])
    fused = P * A * P.H
    q = fused.domain.random(0)
    assert np.abs(fused @ q).max() > 0
    for attempt in (lambda: (A * P.H) @ q, lambda: P.H @ q, lambda: (P * A).H @ q):
        with pytest.raises(UnfusedError) as caught:
            attempt()
        message = str(caught.value)
        assert f"{small.nbytes / 2**30:.3g} GiB" in message
        assert "Pr * Ainv * Ps.H" in message or "Pr * Ainv" in message
        assert "max_bytes" in message or "fewer shots" in message
        assert isinstance(caught.value, MemoryError)


def test_a_plain_operator_on_the_left_is_refused_beyond_the_budget_and_fused_on_request():
    import pylops

    w = world()
    small = so.Wavefield(w.grid, w.time, shots=2, dtype="float64", max_bytes=100_000)
    A = so.Modeling(small, w.medium, boundary=so.PML(cells=6), space_order=4)
    P = so.Projection(small, [[100.0, 100.0]])
    R = pylops.Diagonal(np.full(P.range.size, 2.0))
    op = (R * P) * A * P.H
    q = P.range.random(0)
    with pytest.raises(UnfusedError, match="fuse"):
        op @ q.ravel()
    assert np.allclose(so.fuse(op) @ q.ravel(), 2.0 * ((P * A * P.H) @ q).ravel(), rtol=1e-12, atol=0)
