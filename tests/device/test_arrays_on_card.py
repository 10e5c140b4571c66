"""Arrays of CuPy go in and come out: where they are, in the order of streams, and without copies by the host."""

from __future__ import annotations

import pytest
from on_card import Case, furthest

import seisops as so
from seisops.errors import ParameterError

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")


def host(arrays):
    return [a.get() for a in arrays]


@pytest.mark.parametrize("shots", [1, 3])
def test_products(cupy, shots):
    case = Case(shots=shots)
    known = case.products("cpu", "auto")
    F = case.modeling("cuda")
    q, y = map(cupy.asarray, (F.domain.random(1), F.range.random(2)))
    J = so.Jacobian(F, q)
    found = [F @ q, F.H @ y, J @ cupy.asarray(J.domain.random(3)), J.H @ y]
    assert all(isinstance(a, cupy.ndarray) for a in found)
    assert furthest(host(found), known) < 1e-12


def test_maps(cupy):
    found = []
    for device in ("cpu", "cuda"):
        G = so.Parametric(Case().modeling(device))
        m = next(leaf.medium for leaf in G.F.leaves() if hasattr(leaf, "medium")).get("m")
        m, q, y = m, G.domain[1].random(1), G.range.random(2)
        if device == "cuda":
            m, q, y = map(cupy.asarray, (m, q, y))
        with G.linearize(m, q) as at:
            found.append([at.value, *at.pullback(y), *G.second((m, q), (1e-3 * m, q), y)])
    assert furthest(host(found[1]), found[0]) < 1e-11


def test_solvers_of_pylops(cupy):
    import pylops

    found = []
    for device in ("cpu", "cuda"):
        F = Case().modeling(device)
        J = so.Jacobian(F, F.domain.random(1))
        d = (J @ J.domain.random(3)).ravel()
        d = cupy.asarray(d) if device == "cuda" else d
        found.append(pylops.cgls(J, d, niter=5, tol=0)[0])
    assert isinstance(found[1], cupy.ndarray)
    assert furthest(host(found[1:]), found[:1]) < 1e-9


def test_work_waits_for_what_its_stream_has_to_do(cupy):
    """What is queued before on a stream of its own is there, and what comes after sees the result."""
    F = Case(samples=60).modeling("cuda")
    q = F.domain.random(1)
    known = F @ q
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        late, work = cupy.zeros(q.shape), cupy.ones((2048, 2048))
        for _ in range(20):
            work = work @ work * 1e-4  # some time
        late += cupy.asarray(q) + 0 * work[0, 0]
        d = F @ late
        twice = 2 * d
    stream.synchronize()
    assert furthest([twice.get()], [2 * known]) < 1e-12


def test_several_cards(cupy):
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("one card")
    F, G = Case().modeling("cuda:0"), Case().modeling("cuda:1")
    q = F.domain.random(1)
    with cupy.cuda.Device(1):
        there = cupy.asarray(q)
    d = G @ there  # the current device is another
    assert d.device.id == 1
    assert furthest([d.get(), G @ q], [F @ q] * 2) < 1e-12
    with pytest.raises(ParameterError, match="on device 'cuda:0'"):
        F @ there


def test_default_device():
    with so.default_device("cuda") as name:
        waves = so.Wavefield(so.Grid((20, 20), 10.0), so.Time(5, 0.001))
    assert waves.device == name == "cuda:0"
