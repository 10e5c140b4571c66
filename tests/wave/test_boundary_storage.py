"""The wavefield made again backward in time, from what was kept along the edges."""

import cases
import numpy as np
import physics
import pytest

import seisops as so
from seisops.wave.storage.background import AlongEdges

WORLDS = {
    "acoustic": {},
    "free surface": {"surface": True},
    "variable density": {"density": True, "order": 2},
    "float32": {"dtype": "float32"},
    "three dimensions": {"ndim": 3},
    "no layer": {"boundary": "none"},
}


def jacobians(w, wrt="m", F=None):
    F = w.F if F is None else F
    q = np.random.default_rng(3).standard_normal(F.domain.shape).astype(F.dtype)
    return [so.Jacobian(F, q, wrt=wrt, storage=s) for s in (so.storage.Full(), so.storage.Boundary())]


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("name", WORLDS)
def test_as_with_the_whole_history(name):
    w = cases.world(**WORLDS[name])
    full, edges = jacobians(w, ("m", "rho") if "density" in name else "m")
    y = np.random.default_rng(4).standard_normal(full.range.shape).astype(full.dtype)
    image = full.H @ y
    bound = 5e-4 if w.F.dtype == "float32" else 1e-10
    for _ in range(2):  # the second time from what is held
        assert relative(edges.H @ y, image) < bound
    assert relative(edges @ image, full @ image) < bound
    assert so.check.dot_test(edges) < (1e-5 if w.F.dtype == "float32" else 1e-11)


def test_memory_is_what_is_held():
    w = cases.world()
    full, edges = jacobians(w)
    y = np.ones(full.range.shape, full.dtype)
    full.H @ y, edges.H @ y
    kept = edges._operator.writers[0]._kept.values()
    assert {type(b) for b in kept} == {AlongEdges} and len(kept) == w.shots
    layer, ring, (x, z) = 6, 2, (36, 33)  # of the padded grid
    cells = 2 * (layer + ring) * (x + z)
    for b in kept:
        assert b.nbytes == sum(a.nbytes for a in (*b.edges, *b.end))
        # rows are lengthened to end where an aligned one begins: 2 x 33 cells to 2 x 36, 6 x 33 to 6 x 36
        assert sum(a.nbytes for a in b.edges) == 8 * (b.layout.steps + 1) * (cells + 2 * (layer + ring) * 3)
    assert edges.held_bytes == sum(b.nbytes for b in kept)


def test_in_a_nonlinear_map():
    w = cases.world()
    q = np.random.default_rng(5).standard_normal(w.F.domain.shape)
    G = so.Parametric(w.F, storage=so.storage.Boundary())
    rates = so.check.taylor_test(G, (w.medium.m, q))
    assert np.allclose(np.asarray(rates).ravel(), 2.0, atol=0.1)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_born_first(threads, monkeypatch):
    """What a product with J leaves behind is no background for one with its adjoint."""
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    w = cases.world()
    full, edges = jacobians(w)
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal(full.domain.shape), rng.standard_normal(full.range.shape)
    assert relative(edges @ x, full @ x) < 1e-10
    assert relative(edges.H @ y, full.H @ y) < 1e-10
    assert relative(edges @ x, full @ x) < 1e-10


def test_an_error_on_the_edges_is_noticed(monkeypatch):
    w = cases.world()
    full, edges = jacobians(w)
    y = np.random.default_rng(6).standard_normal(full.range.shape)
    image = full.H @ y
    assert relative(edges.H @ y, image) < 1e-10
    for background in edges._operator.writers[0]._kept.values():
        for a in background.edges:
            a *= 1.001
    assert relative(edges.H @ y, image) > 1e-5


def test_refused_where_energy_is_lost():
    grid = so.Grid((20, 18), 10.0)
    waves = so.Wavefield(grid, so.Time(20, 1e-4), dtype="float64")
    P = so.Projection(waves, [(100.0, 90.0)])
    heat = physics.Heat(grid, **dict.fromkeys(physics.Heat.parameters, 1.0))
    sponge = so.Modeling(waves, so.Acoustic(grid, vp=2000.0), so.Sponge(cells=5), space_order=4)
    for A, fault, wrt in (
        (so.Modeling(waves, heat, space_order=4), "loses energy", heat.parameters[0]),
        (sponge, "acts everywhere", "m"),
    ):
        F = P * A * P.H
        for made in (so.Parametric, lambda F, *rest: so.Jacobian(F, np.ones((1, 1, 20)), *rest)):
            with pytest.raises(so.ParameterError, match=fault):  # before any work
                made(F, wrt, so.storage.Boundary())
