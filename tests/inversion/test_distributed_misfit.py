"""Misfits of distributed maps: the same numbers, the same journal."""

import numpy as np
import pytest
from inversion_worlds import world

import seisops as so
from seisops.inversion import Journal, LeastSquares, multiscale

distributed = pytest.importorskip("distributed")
sodask = pytest.importorskip("seisops.dask")


@pytest.mark.slow
def test_the_same_bits(tmp_path):
    w = world(dtype="float32")
    options = dict(weights=1 / np.linalg.norm(w.d), P=1e-8 * np.linspace(0.5, 1.0, 21), start=w.medium.m)
    here = LeastSquares(w.G, w.d, w.q, **options)
    x, dx = np.random.default_rng(0).standard_normal((2, here.domain.size))
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = LeastSquares(sodask.distribute(w.G, client, same_order=True), w.d, w.q, **options)
        assert there.fingerprint == here.fingerprint
        a, b = here(x), Journal(tmp_path)(there)(x)
        assert a[0] == b[0] and np.array_equal(a[1], b[1])
        for kind in ("gauss_newton", "hessian"):
            ours, theirs = (getattr(misfit, kind)(x) @ dx for misfit in (here, there))
            assert np.linalg.norm(ours - theirs) <= 1e-6 * np.linalg.norm(ours)
        part = there.select([2, 0])
        assert part(x)[0] == pytest.approx(here.select([2, 0])(x)[0], rel=1e-6)
    # what was computed on a cluster is replayed without one
    journal = Journal(tmp_path)
    assert journal(here)(x)[0] == a[0] and journal.replayed == 1


@pytest.mark.slow
def test_surveys_are_inverted_band_by_band_on_a_cluster(tmp_path):
    grid, time = so.Grid((21, 15), 20.0), so.Time(81, 0.005)
    receivers = [(x, 20.0) for x in grid.coordinates("x")[::2]]
    survey = so.Survey.from_arrays([(x, 20.0) for x in (100.0, 300.0)], receivers, time)
    F = survey.modeling(so.Acoustic(grid, vp=2000.0), max_velocity=2500.0)
    q = np.tile(so.ricker(time, 8.0), (2, 1, 1))
    true = np.full(grid.shape, 2000.0)
    true[:, 8:] = 2100.0
    options = {"wrt": "vp", "bounds": (1500.0, 2500.0), "iterations": 2}
    d, start = F.at(vp=true) @ q, np.full(grid.shape, 2000.0)
    here = multiscale(F, d, q, (8.0,), start, **options)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = multiscale(sodask.distribute(F, client, same_order=True), d, q, (8.0,), start, **options)
    np.testing.assert_array_equal(there.model, here.model)
