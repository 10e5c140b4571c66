"""Clusters that are empty, small, closed, restarted, without the package, or fail now and then."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from shots import Dying, Flaky, Fragile, Hoarding, modeling, point, waves

import seisops as so
from seisops.errors import ParameterError

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
sodask = pytest.importorskip("seisops.dask")
test_dask = pytest.importorskip("test_dask")

client, workers = test_dask.client, test_dask.workers


@pytest.mark.parametrize("shots_per_task", [1, 3])
def test_a_shot_is_tried_again(client, tmp_path, shots_per_task):
    def attempt(name, times, error=OSError, **options):
        op = Flaky(range(6), tmp_path / name, times, error)
        x = op.domain.random(0)
        return so.dask.distribute(op, client, shots_per_task=shots_per_task, **options) @ x, x

    extra = shots_per_task > 1  # all its shots together first
    y, x = attempt("a", 2 + extra)
    assert np.array_equal(y, x) and len((tmp_path / "a").read_text()) == 3 + extra
    with pytest.raises(sodask.ShotError, match="shot 1 failed on .*stale file handle"):
        attempt("b", 9, retries=3)
    assert len((tmp_path / "b").read_text()) == 4 + extra
    with pytest.raises(sodask.ShotError, match="stale"):  # what is wrong with the input stays wrong
        attempt("c", 9, ParameterError)
    assert len((tmp_path / "c").read_text()) == 1 + extra


def cluster(n=0, **options):
    return distributed.LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None, **options)


def test_workers_may_come_later(caplog):
    op = Fragile(range(4))
    x = op.domain.random(0)
    with cluster() as empty, distributed.Client(empty, set_as_default=False) as client:
        with pytest.raises(sodask.ClusterError, match="no worker came within 0.5 s: start some"):
            so.dask.distribute(op, client, timeout=0.5) @ x
        later = threading.Timer(2.0, empty.scale, [1])
        later.start()
        assert np.array_equal(so.dask.distribute(op, client) @ x, x)
        assert "no worker yet: waiting for one, up to 300 s" in caplog.text
        later.join()


def test_all_workers_leave(monkeypatch, caplog):
    monkeypatch.setattr(sodask.cluster, "PATIENCE", 0.3)
    op = Fragile(range(4), seconds=2.0)
    with cluster(1) as leaving, distributed.Client(leaving, set_as_default=False) as client:
        away = threading.Timer(3.0, leaving.scale, [0])
        away.start()
        with pytest.raises(sodask.ClusterError, match="no worker came within 2 s"):
            so.dask.distribute(op, client, timeout=2.0) @ op.domain.random(0)
        assert "no worker is left" in caplog.text
        away.join()


def test_workers_without_the_package():
    op, without = Fragile(range(2)), ["import sys; sys.modules['seisops'] = None"]
    words = "1 of 1 workers .*seisops.*install seisops there"
    with (
        cluster(1, preload=without) as bare,
        distributed.Client(bare, set_as_default=False) as client,
        pytest.raises(sodask.ClusterError, match=words),
    ):
        so.dask.distribute(op, client) @ op.domain.random(0)


def test_a_client_that_was_closed():
    op = Fragile(range(2))
    with cluster(1) as one:
        client = distributed.Client(one, set_as_default=False)
        D = so.dask.distribute(op, client)
        client.close()
        with pytest.raises(sodask.ClusterError, match=r"is closed: call distribute\(\) again"):
            D @ op.domain.random(0)


def test_a_cluster_that_was_restarted():
    F = modeling(waves())
    G = so.Parametric(F)
    m, q, y = point(G)
    with cluster(1) as one, distributed.Client(one, set_as_default=False) as client:
        D, spread = so.dask.distribute(F, client), so.dask.distribute(G, client)
        before = D @ q
        there = spread.linearize(m, q)
        client.restart()
        with pytest.raises(sodask.ClusterError, match="restarted.*linearisations are lost"):
            there.pullback(y)
        assert np.array_equal(D @ q, before)
        with spread.linearize(m, q) as again:
            assert again.pullback(y)[0].any()
        again = so.dask.distribute(F, client)
        assert np.array_equal(again @ q, before)


@pytest.mark.slow
def test_results_that_cannot_be_computed_again(monkeypatch, tmp_path):
    op = Dying(1, tmp_path / "asked")
    watch = sodask.cluster.Cluster._watch
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        cluster(1) as one,
        distributed.Client(one, set_as_default=False) as client,
    ):

        def watch_and_kill(self, step, futures):
            watch(self, step, futures)
            op.path.touch()
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
            end = time.time() + 60
            while futures[0].status == "finished" and time.time() < end:
                time.sleep(0.01)

        monkeypatch.setattr(sodask.cluster.Cluster, "_watch", watch_and_kill)
        with pytest.raises(sodask.ShotError, match="shot 0 failed on .*KilledWorker"):
            so.dask.distribute(op, client) @ op.domain.random(0)
        client.wait_for_workers(1, timeout=60)  # Dask fails to close a cluster that is starting a worker


@pytest.mark.slow
def test_workers_that_are_full(monkeypatch, caplog):
    monkeypatch.setattr(sodask.cluster, "PATIENCE", 0.3)
    op = Hoarding(range(40))
    with (
        dask.config.set({"distributed.worker.memory.terminate": False, "distributed.worker.memory.pause": 0.5}),
        cluster(1, memory_limit="1GB") as full,
        distributed.Client(full, set_as_default=False) as client,
        pytest.raises(sodask.ClusterError, match="all workers have been paused for 2 s, as their memory is full"),
    ):
        so.dask.distribute(op, client, timeout=2.0) @ op.domain.random(0)
    assert "all workers are paused" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["700MB", "2GB"])
def test_small_workers_finish(limit):
    """Sixteen shots whose wavefields take more than a worker has, at the default settings."""
    grid = so.Grid((150, 120), 10.0)
    w = so.Wavefield(grid, so.Time(1001 if limit == "700MB" else 2501, 0.002), shots=16)
    A = so.Modeling(w, so.Acoustic(grid, vp=2000.0), boundary=so.PML(cells=6), space_order=4, substeps=1)
    F = so.Projection(w, [(500.0, 100.0)]) * A * so.Projection(w, [[(90.0 * i, 50.0)] for i in range(16)]).H
    q = np.tile(so.ricker(w.time, 10.0), (16, 1, 1)).astype("float32")
    G = so.Parametric(F)
    m = np.full(grid.shape, 2000.0**-2)
    history = 4 * grid.shape[0] * grid.shape[1] * w.time.n
    assert 16 * history > dask.utils.parse_bytes(limit)
    with cluster(1, memory_limit=limit) as small, distributed.Client(small, set_as_default=False) as client:
        there = so.dask.distribute(G, client).linearize(m, q)
        y = there.value
        gradient = there.pullback(y)[0]
    with G.linearize(m, q) as here:
        expected = here.pullback(y)[0]
    assert np.linalg.norm(gradient - expected) < 1e-5 * np.linalg.norm(expected)
