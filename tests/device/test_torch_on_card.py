"""Layers with tensors on the card: a training step without copies by the host, on torch's stream."""

from __future__ import annotations

import json

import numpy as np
import pytest
from on_card import Case, furthest

import seisops as so

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")

#: Bytes that a number, a table of pointers or of points takes.
SMALL = 2**14


@pytest.fixture
def torch():
    module = pytest.importorskip("torch")
    if not module.cuda.is_available():
        pytest.skip("a torch without CUDA")
    return module


def copies(torch, work, folder) -> list[tuple[str, int]]:
    """Copies between host and card, and their bytes, while something is done."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        work()
        torch.cuda.synchronize()
    path = folder / "trace.json"
    profile.export_chrome_trace(str(path))
    events = json.loads(path.read_text())["traceEvents"]
    found = [(e["name"], int(e["args"]["bytes"])) for e in events if e.get("cat") == "gpu_memcpy"]
    return [(name, size) for name, size in found if "HtoD" in name or "DtoH" in name]


def test_gradients(torch):
    known, y = Case().modeling("cpu"), None
    F = Case().modeling("cuda")
    q, y = F.domain.random(1), F.range.random(2)
    x = torch.tensor(q, device="cuda", requires_grad=True)
    out = so.torch.lift(F)(x)
    out.backward(torch.tensor(y, device="cuda"))
    assert out.is_cuda and x.grad.is_cuda
    found = [out.detach().cpu().numpy(), x.grad.cpu().numpy()]
    assert furthest(found, [known @ q, known.H @ y]) < 1e-12


def test_a_training_step_does_not_go_by_the_host(torch, tmp_path):
    """Of a layer of sources nothing of array size crosses; of a medium its model, which is looked at on the host."""
    case = Case(samples=6000, shots=4, dtype="float32")
    F = case.modeling("cuda")
    layer, x = so.torch.lift(F), torch.randn(F.domain.shape, device="cuda", requires_grad=True)
    assert min(F.domain.nbytes, F.range.nbytes) / 4 > SMALL  # of each shot: it would be seen

    def step():
        layer(x).square().sum().backward()

    step()
    found = copies(torch, step, tmp_path)
    assert found and all(size < SMALL for _, size in found), found

    G = so.Parametric(F)
    m = next(leaf.medium for leaf in F.leaves() if hasattr(leaf, "medium")).get("m")
    m = torch.tensor(m, dtype=torch.float32, device="cuda", requires_grad=True)
    layer = so.torch.lift(G)

    def train():
        layer(m, x.detach()).square().sum().backward()

    train()
    large = [size for name, size in copies(torch, train, tmp_path) if size >= SMALL and "DtoH" in name]
    assert all(size == m.nbytes for size in large), large


def test_a_stream_of_torchs_own(torch):
    known, F = Case().modeling("cpu"), Case().modeling("cuda")
    q = F.domain.random(1)
    layer, stream = so.torch.lift(F), torch.cuda.Stream()
    with torch.cuda.stream(stream):
        work = torch.ones((2048, 2048), device="cuda")
        for _ in range(20):
            work = work @ work * 1e-4
        x = torch.tensor(q, device="cuda") + 0 * work[0, 0].double()
        out = 2 * layer(x)
    stream.synchronize()
    assert furthest([out.cpu().numpy()], [2 * (known @ q)]) < 1e-12


def test_operators_take_tensors_and_return_them(torch):
    known, F = Case().modeling("cpu"), Case().modeling("cuda")
    q = F.domain.random(1)
    d = F @ torch.tensor(q, device="cuda")
    assert isinstance(d, torch.Tensor) and d.is_cuda
    assert np.linalg.norm(d.cpu().numpy() - known @ q) < 1e-12 * np.linalg.norm(known @ q)
