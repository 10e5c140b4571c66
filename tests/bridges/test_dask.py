"""Distributed operators and maps: the same numbers as without a cluster, whatever happens to its workers."""

import gc
import os
import pickle
import signal
import tempfile
import threading
import time

import numpy as np
import pylops
import pytest
from shots import SHOTS, Fragile, Slow, linearisations, modeling, point, waves

import seisops as so
from seisops.check import dot_test
from seisops.errors import ParameterError
from seisops.maps import LinearMap
from seisops.operators import LinearOperator
from seisops.spaces import Axis, Space

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
sodask = pytest.importorskip("seisops.dask")


@pytest.fixture(scope="module", autouse=True)
def workers():
    """Workers forked from one process that has imported Dask and SciPy, which takes longer than most of these tests.

    They import the package themselves. And they are without Dask's profiler: it looks into the frames of other threads,
    which CPython 3.11 may not survive.
    """
    with dask.config.set(
        {"distributed.worker.multiprocessing-method": "forkserver", "distributed.worker.profile.enabled": False}
    ):
        distributed.utils.get_mp_context().set_forkserver_preload(["distributed.nanny", "scipy.sparse.linalg", "zarr"])
        yield


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


CASES = {
    "modeling": lambda F: F,
    "ragged": lambda F: modeling(waves(), ragged=True),
    "Jacobian": lambda F: so.Jacobian(F, F.domain.random(3)),
    "some shots": lambda F: F[[4, 1, 2]],
    "scaled stack": lambda F: so.HStack([2.0 * F, F]),
    "joint": lambda F: so.HStack([so.Jacobian(F, F.domain.random(3)), F]),
}


@pytest.mark.parametrize("shots_per_task", [1, 4])
@pytest.mark.parametrize("name", CASES)
def test_operators(client, name, shots_per_task):
    op = CASES[name](modeling(waves()))
    D = so.dask.distribute(op, client, shots_per_task=shots_per_task)
    x, y = op.domain.random(1), op.range.random(2)
    for ours, expected in ((D @ x, op @ x), (D.H @ y, op.H @ y)):
        assert ours.shape == expected.shape and ours.dtype == expected.dtype
        assert np.linalg.norm(ours - expected) <= 1e-6 * np.linalg.norm(expected)
    assert dot_test(D) < 1e-5


@pytest.mark.parametrize("name", CASES)
def test_the_same_bits_when_asked(client, name):
    op = CASES[name](modeling(waves()))
    D = so.dask.distribute(op, client, same_order=True)
    x, y = op.domain.random(1), op.range.random(2)
    assert np.array_equal(D @ x, op @ x) and np.array_equal(D.H @ y, op.H @ y)


def test_maps(client):
    G = so.Parametric(modeling(waves()))
    D = so.dask.distribute(G, client, same_order=True)
    m, q, y = point(G)
    assert np.array_equal(D(m, q), G(m, q))
    with G.linearize(m, q) as at, D.linearize(m, q) as there:
        assert np.array_equal(there.value, at.value)
        for ours, expected in zip(there.pullback(y), at.pullback(y), strict=True):
            assert np.array_equal(ours, expected)
        assert there.pullback(y, [False, True])[0] is None
        assert np.array_equal(there.pushforward(m, None), at.pushforward(m, None))
        assert dot_test(there.jacobians[0]) < 1e-5
    with pytest.raises(ParameterError, match="closed"):
        there.jacobians  # noqa: B018
    for ours, expected in zip(D.second((m, q), (m, q), y), G.second((m, q), (m, q), y), strict=True):
        assert np.array_equal(ours, expected)
    part = D.select([1, 2])
    assert np.array_equal(part(m, q[1:3]), G(m, q)[1:3])


def test_it_composes(client):
    F = modeling(waves())
    D = so.dask.distribute(F, client)
    q = F.domain.random(1)
    np.testing.assert_allclose(D[2] @ q[2:3], F[2] @ q[2:3], rtol=1e-6)
    np.testing.assert_allclose((2.0 * D + D) @ q, 3.0 * (F @ q), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(D.at(vp=1700.0) @ q, F.at(vp=1700.0) @ q, rtol=1e-6)
    W = pylops.Diagonal(np.linspace(1, 2, F.shape[0]), dtype="float32")
    np.testing.assert_allclose((W * D).matvec(q.ravel()), W * (F @ q).ravel(), rtol=1e-5)
    x = pylops.cgls(D, (F @ q).ravel(), niter=2, tol=0)[0]
    np.testing.assert_allclose(x, pylops.cgls(F, (F @ q).ravel(), niter=2, tol=0)[0], rtol=1e-4, atol=1e-5)
    again = pickle.loads(pickle.dumps(D))  # finds the current client
    np.testing.assert_allclose(again @ q, F @ q, rtol=1e-6)


EXPRESSIONS = {
    "operator": (lambda F: F, lambda D: D),
    "some shots": (lambda F: F[[4, 1]], lambda D: D[[4, 1]]),
    "another medium": (lambda F: F.at(vp=1700.0), lambda D: D.at(vp=1700.0)),
    "twice": (lambda F: 2.0 * F, lambda D: 2.0 * D),
    "sum": (lambda F: F + 0.5 * F, lambda D: D + 0.5 * D),
    "column": (lambda F: so.VStack([F, 2.0 * F]), lambda D: so.VStack([D, 2.0 * D])),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_derivatives_of_what_is_distributed(client, name):
    """They are distributed, too: the same operator, one word changed."""
    F = modeling(waves())
    D = so.dask.distribute(F, client, same_order=True)
    op, distributed_op = (make(x) for make, x in zip(EXPRESSIONS[name], (F, D), strict=True))
    q = op.domain.random(3)
    J, there = so.Jacobian(op, q), so.Jacobian(distributed_op, q)
    assert isinstance(there, sodask.DistributedOperator) and there._cluster.client is client
    y, dm = J.range.random(1), J.domain.random(2)
    assert np.array_equal(there @ dm, J @ dm) and np.array_equal(there.H @ y, J.H @ y)
    G, spread = so.Parametric(op, "vp"), so.Parametric(distributed_op, wrt="vp")
    assert isinstance(spread, sodask.DistributedMap) and spread.options is D.options
    m = np.full(J.domain.shape, 1800.0)
    assert np.array_equal(spread(m, q), G(m, q))


def test_illumination_and_encoding_of_what_is_distributed(client):
    F = modeling(waves())
    D = so.dask.distribute(F, client, same_order=True)
    q = F.domain.random(3)
    J, there = so.Jacobian(F, q), so.Jacobian(D, q)
    assert there.wrt == J.wrt
    np.testing.assert_allclose(there.illumination(), J.illumination(), rtol=1e-6)
    weights, theirs = so.model.Illumination(J), so.model.Illumination(there)
    np.testing.assert_allclose(theirs.values, weights.values, rtol=1e-6)
    with pytest.raises(ParameterError, match=r"so\.Jacobian\(D, q\)"):
        D.illumination()
    with pytest.raises(ParameterError, match="probes"):
        so.model.Illumination(2.0 * there)
    with pytest.raises(AttributeError, match="no Jacobian"):
        D.wrt  # noqa: B018
    with pytest.raises(sodask.ShotError, match="J has lags"):
        so.Jacobian(D, q, lags={"x": range(-1, 2)}).illumination()


def test_encoded_shots_of_what_is_distributed(client):
    w = waves()
    A = so.Modeling(w, so.Acoustic(w.grid, vp=1800.0), boundary=so.PML(cells=6), space_order=4)
    sources = np.linspace((20.0, 30.0), (200.0, 160.0), SHOTS)[:, None]
    F = so.Projection(w, [(50.0, 60.0), (120.0, 33.0)]) * A * so.Projection(w, sources).H
    D = so.dask.distribute(F, client)
    E = so.inversion.Encoding.random(2, SHOTS, seed=1)
    encoded, here = E.encode(D), E.encode(F)
    assert isinstance(encoded, sodask.DistributedOperator) and encoded.shots == 2
    q = E.sources(D) @ F.domain.random(1)
    np.testing.assert_allclose(encoded @ q, here @ q, rtol=1e-6)


@pytest.mark.parametrize("iterations", [1, 3])
def test_wavefield_reconstruction_of_what_is_distributed(client, iterations):
    F = modeling(waves(dtype="float64"))
    D = so.dask.distribute(F, client)
    q = F.domain.random(1)
    d = F.at(vp=1700.0) @ q
    options = dict(iterations=iterations, P=1e-8, start=np.full((24, 21), 1600.0**-2), weights=2.0)
    here, there = (so.inversion.WavefieldReconstruction(op, d, q, **options) for op in (F, D))
    assert there.fingerprint == here.fingerprint
    x = np.random.default_rng(0).standard_normal(here.domain.size)
    for one, two in ((here, there), (here.select([3, 1]), there.select([3, 1]))):
        (value, gradient), (their_value, their_gradient) = one(x), two(x)
        assert np.isclose(their_value, value, rtol=1e-12)
        assert np.linalg.norm(their_gradient - gradient) < 1e-12 * np.linalg.norm(gradient)
    again = pickle.loads(pickle.dumps(there))
    assert np.isclose(again(x)[0], here(x)[0], rtol=1e-12)


def test_derivatives_of_what_is_composed_around_it(client):
    F = modeling(waves())
    D = so.dask.distribute(F, client)
    W = pylops.Diagonal(np.linspace(1, 2, F.shape[0]), dtype="float32")
    with pytest.raises(ParameterError, match="by shots: the plain operator Diagonal cannot be restricted to shots"):
        so.Jacobian(W * D, F.domain.random(3))


def test_in_torch(client):
    torch = pytest.importorskip("torch")
    G = so.Parametric(modeling(waves()))
    m, q, _ = point(G)
    gradients = []
    for g in (G, so.dask.distribute(G, client, same_order=True)):
        x = torch.from_numpy(m.copy()).requires_grad_()
        so.torch.lift(g)(x, torch.from_numpy(q)).square().sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)


def test_wavefields_stay_on_their_workers(client):
    F = modeling(waves())
    D = so.dask.distribute(so.Jacobian(F, F.domain.random(3)), client)
    y = D.range.random(1)
    D.H @ y
    held = client.run(
        lambda dask_worker: sum(
            op.held_bytes for op in dask_worker.plugins["seisops"].left.values() if isinstance(op, LinearOperator)
        )
    )
    assert sum(held.values()) > 0
    places = dict(D._cluster._workers)
    D.H @ y
    assert D._cluster._workers == places
    D.forget()
    time.sleep(0.2)
    token = D._cluster.token
    left = client.run(lambda dask_worker: [key for key in dask_worker.plugins["seisops"].left if key[0] == token])
    assert not any(left.values())


def test_a_budget_of_nothing_keeps_nothing():
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        F = modeling(waves(2))
        J = so.Jacobian(F, F.domain.random(3))
        D = so.dask.distribute(J, client, keep_bytes=0, threads=1)
        y = J.range.random(1)
        np.testing.assert_allclose(D.H @ y, J.H @ y, rtol=1e-5, atol=1e-6 * np.abs(J.H @ y).max())
        held = client.run(
            lambda dask_worker: sum(
                op.held_bytes for op in dask_worker.plugins["seisops"].left.values() if isinstance(op, LinearOperator)
            )
        )
        assert not any(held.values())


def test_shots_on_windows(client):
    grid = so.Grid((60, 21), 10.0)
    survey = so.Survey.from_arrays(
        [(100.0 * (i + 1), 20.0) for i in range(4)],
        [[(100.0 * (i + 1) + k, 30.0) for k in (-50.0, 0.0, 50.0)[: 3 - i % 2]] for i in range(4)],
        [so.Time(31 + i, 0.002) for i in range(4)],
    )
    medium = so.Acoustic(grid, vp=2000.0)
    F = survey.modeling(medium, margin=60.0, boundary=so.PML(cells=6), space_order=4)
    q, y = F.domain.random(0), F.range.random(1)
    D = so.dask.distribute(F, client, same_order=True)
    assert np.array_equal(D @ q, F @ q)
    J = F.jacobian(q)
    assert np.array_equal(so.dask.distribute(J, client, same_order=True).H @ y, J.H @ y)
    G = F.as_map()
    m = medium.m.astype("float32")
    with G.linearize(m, q) as at, so.dask.distribute(G, client, same_order=True).linearize(m, q) as there:
        for ours, expected in zip(there.pullback(y), at.pullback(y), strict=True):
            assert np.array_equal(ours, expected)


# ---- what goes wrong


@pytest.mark.parametrize("shots_per_task", [1, 3])
def test_a_shot_that_fails(client, shots_per_task):
    op = Fragile(range(6), broken=[1, 4])
    x = op.domain.random(0)
    D = so.dask.distribute(op, client, shots_per_task=shots_per_task)
    with pytest.raises(sodask.ShotError, match="shot 1 failed on .*and 1 more.*4.*cannot do .1.") as caught:
        D @ x
    error = pickle.loads(pickle.dumps(caught.value))
    assert [f.shot for f in error.failures] == [1, 4] and "ValueError" in error.failures[0].error
    assert "in _apply" in error.failures[1].traceback and error.failures[0].worker.startswith("tcp://")

    D = so.dask.distribute(op, client, shots_per_task=shots_per_task, on_error="skip")
    good = [0, 2, 3, 5]
    y = D @ x
    assert np.array_equal(y[good], x[good]) and not y[[1, 4]].any()
    assert [f.shot for f in D.skipped] == [1, 4]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["solving", "compiling"])
def test_a_worker_that_is_killed(moment):
    F = modeling(waves(16))
    G = so.Parametric(F)
    m, q, y = point(G)
    with G.linearize(m, q) as at:
        expected = at.pullback(y)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        D = so.dask.distribute(G, client)
        if moment == "solving":
            D(m, q)  # compiles
        victim = next(iter(client.run(os.getpid).values()))
        killed = threading.Event()

        def kill():
            if moment == "compiling":
                # the workers build their operators for seconds when they start on their first shot
                while not any(client.processing().values()):
                    time.sleep(0.01)
                time.sleep(1.0)
            else:
                while not any(client.processing().values()):
                    time.sleep(0.001)
            os.kill(victim, signal.SIGKILL)
            killed.set()

        thread = threading.Thread(target=kill)
        thread.start()
        with D.linearize(m, q) as there:
            gradient = there.pullback(y)
        thread.join()
        assert killed.is_set()
    for ours, reference in zip(gradient, expected, strict=True):
        assert np.linalg.norm(ours - reference) < 1e-5 * np.linalg.norm(reference)


@pytest.mark.parametrize("adjoint", [False, True], ids=["summed up", "of each shot"])
def test_a_worker_that_dies_with_its_results(monkeypatch, adjoint):
    op = Slow(4)
    x = (op.range if adjoint else op.domain).random(0)
    watch = sodask.cluster.Cluster._watch
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        D = so.dask.distribute(op, client)
        lost = []

        def watch_and_kill(self, step, futures):
            watch(self, step, futures)
            os.kill(client.run(os.getpid)[client.who_has(futures)[futures[0].key][0]], signal.SIGKILL)
            end = time.time() + 60
            while not lost and time.time() < end:
                lost.extend(f.key for f in futures if f.status == "lost")

        monkeypatch.setattr(sodask.cluster.Cluster, "_watch", watch_and_kill)
        y = D.H @ x if adjoint else D @ x
        assert lost and not D.skipped
    np.testing.assert_allclose(y, op.H @ x if adjoint else op @ x, rtol=1e-6)


@pytest.mark.parametrize(
    ("attempt", "error", "words"),
    [
        (
            lambda c: so.dask.distribute(pylops.Identity(4, dtype="float32"), c),
            ParameterError,
            "does not know of shots",
        ),
        (lambda c: so.dask.distribute(Fragile([0]), c, on_error="ignore"), ParameterError, "'raise' or 'skip'"),
        (lambda c: so.dask.distribute(Fragile([0]), c, shots_per_task=0), ParameterError, "shots_per_task=0"),
        (lambda c: so.dask.distribute(LinearMap(so.Identity(Space("x", [Axis("x", 3)]))), c), ParameterError, "shots"),
    ],
)
def test_refusals(client, attempt, error, words):
    with pytest.raises(error, match=words):
        attempt(client)


def test_progress(client, capsys):
    so.dask.distribute(Fragile(range(3)), client, progress=True) @ np.zeros((3, 4), "float32")
    assert "3/3" in capsys.readouterr().err
    so.dask.distribute(Fragile(range(3)), client) @ np.zeros((3, 4), "float32")
    assert capsys.readouterr().err == ""


# ---- surveys in files


@pytest.mark.parametrize("counts", [[3] * 5, [1, 2, 3, 2, 4]], ids=["equal", "ragged"])
def test_traces_stay_in_files(client, tmp_path, counts):
    pytest.importorskip("zarr")
    rng = np.random.default_rng(0)
    points = [[rng.uniform(0, 200, (n, 2)) for n in some] for some in ([1] * 5, counts)]
    survey = so.Survey.from_arrays(*points, so.Time(31, 0.002))
    w = survey.waves(so.Grid((24, 21), 10.0), "float32")
    A = so.Modeling(w, so.Acoustic(w.grid, vp=2000.0), boundary=so.PML(cells=6), space_order=4)
    F = so.Projection(w, survey.receivers) * A * so.Projection(w, survey.sources).H
    q = F.domain.random(0)
    D = so.dask.distribute(F, client, shots_per_task=2)
    modeled = D.save(q, survey, tmp_path / "shots")
    assert len(list((tmp_path / "shots").glob("*.zarr"))) == 3 and "Zarr" in repr(modeled)
    d = F @ q
    np.testing.assert_array_equal(modeled.data, d)
    J = so.Jacobian(F, q)
    image = so.dask.distribute(J, client, shots_per_task=2).H @ modeled
    expected = J.H @ d
    assert np.linalg.norm(image - expected) < 1e-6 * np.linalg.norm(expected)
    with pytest.raises(so.SpaceError, match="the survey's data"):
        D.H @ modeled[1:]

    # one of the files is damaged: its shots fail, and say why
    store = sorted((tmp_path / "shots").glob("*.zarr"))[1]
    for chunk in (store / "data").rglob("c/**/*"):
        if chunk.is_file():
            chunk.write_bytes(chunk.read_bytes()[:7])
    with pytest.raises(sodask.ShotError, match="cannot be read|damaged") as caught:
        so.dask.distribute(J, client).H @ modeled
    assert {f.shot for f in caught.value.failures} <= {2, 3}


@pytest.mark.parametrize("error", [so.SpaceError, so.ParameterError, so.UnfusedError, so.UnstableError])
def test_errors_travel(client, error):
    def fail(kind):
        raise kind("what happened")

    with pytest.raises(error, match="what happened"):
        client.submit(fail, error).result()


def test_workers_let_go_of_operators_that_are_gone(client):
    F = modeling(waves())
    D = so.dask.distribute(F, client)
    token = D._cluster.token
    D @ F.domain.random(0)

    def parts():
        left = client.run(lambda dask_worker: [k for k in dask_worker.plugins["seisops"].left if k[0] == token])
        return sum(map(len, left.values()))

    assert parts() == SHOTS
    del D
    for _ in range(100):
        if parts() == 0:
            break
        time.sleep(0.05)
    assert parts() == 0


def test_workers_let_go_of_linearisations_that_are_gone(client):
    """At once, without a collection of garbage; their Jacobians keep them alive, and closing lets go as well."""
    F = modeling(waves())
    G, q = so.Parametric(F), F.domain.random(0)
    D, m = so.dask.distribute(G, client), np.full((24, 21), 2000.0**-2)

    def held():
        for _ in range(100):  # what is handed in is not waited for
            found = sum(client.run(linearisations).values())
            if found <= expected:
                break
            time.sleep(0.05)
        return found

    gc.disable()
    try:
        for _ in range(3):
            lin = D.linearize(m, q)
            lin.pullback(lin.value)
        expected = SHOTS
        assert held() == SHOTS
        J = lin.jacobians[0]
        del lin
        time.sleep(0.2)
        assert held() == SHOTS
        assert np.isfinite(J.H @ F.range.random(1).ravel()).all()
        expected = 0
        del J
        assert held() == 0
        with D.linearize(m, q):
            pass
        assert held() == 0
    finally:
        gc.enable()


def test_a_cluster_in_this_process_leaves_it_as_it_was(monkeypatch):
    """What it sets is that of the user; where temporary files go is none of its business."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("TMPDIR", tempfile.gettempdir())
    before, folder = dict(os.environ), tempfile.gettempdir()
    op = so.Wavelet(waves(), so.ricker(so.Time(31, 0.002), f0=40.0)).H
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        x = op.domain.random(0)
        assert np.array_equal(so.dask.distribute(op, client, threads=2) @ x, op @ x)
        assert tempfile.gettempdir() == folder and os.environ["TMPDIR"] == before["TMPDIR"]
    assert dict(os.environ) == before
    with tempfile.TemporaryFile():
        pass
