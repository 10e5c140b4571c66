"""Tensors that are where waves are: layers take their memory and give back their own, and nothing goes by the host.

Torch has no device here but the processor: its tensors say that they are elsewhere, and refuse to become NumPy's.
"""

from types import SimpleNamespace

import device_arrays as xp
import numpy as np
import pytest
from test_device_arrays import card, read_at_points, so_model  # noqa: F401 - a fixture

import seisops as so

torch = pytest.importorskip("torch")
tensors = pytest.importorskip("seisops.torch.tensors")

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")


@pytest.fixture
def elsewhere(card, monkeypatch):  # noqa: F811
    """Tensors on the device of `device_arrays`."""

    def refuse(self, *args, **kwargs):
        raise TypeError("can't convert a tensor of a device to numpy")

    monkeypatch.setattr(torch.Tensor, "__dlpack_device__", lambda self: (xp.KIND, 0))
    for name in ("numpy", "cpu", "__array__"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    real = torch.from_numpy
    monkeypatch.setattr(torch, "from_numpy", lambda a: refuse(a) if a.size else real(a))
    monkeypatch.setattr(xp.ndarray, "__dlpack_device__", lambda self: (xp.KIND, 0))


def tensor(a):
    """A tensor of its own memory."""
    return torch.tensor(np.asarray(a).tolist(), dtype=torch.float64).reshape(np.shape(a))


def numbers(x):
    return np.array(x.detach().tolist()).reshape(x.shape)


def test_layers_of_operators(elsewhere):
    here, there = read_at_points("cpu"), read_at_points("host")
    q, y = here.domain.random(1), here.range.random(2)
    layer, x = so.torch.lift(there), tensor(q).requires_grad_()
    out = layer(x)
    (grad,) = torch.autograd.grad(out, x, tensor(y))
    assert np.linalg.norm(numbers(out) - here @ q) < 1e-12 * np.linalg.norm(here @ q)
    assert np.linalg.norm(numbers(grad) - here.H @ y) < 1e-12 * np.linalg.norm(here.H @ y)
    batch = layer(torch.stack([x, 2 * x]))
    assert np.allclose(numbers(batch[1]), 2 * numbers(out), rtol=1e-12, atol=0)


def test_layers_of_maps_train(elsewhere):
    """A step of a training: what crosses is the model, where media are, and no data."""
    G = so.Parametric(read_at_points("cpu"))
    m, q, y = so_model(G), G.domain[1].random(1), G.range.random(2)
    with G.linearize(m, q) as at:
        known = (at.value, *at.pullback(y))
    layer = so.torch.lift(so.Parametric(read_at_points("host")))
    m, q = tensor(m).requires_grad_(), tensor(q).requires_grad_()
    xp.crossed.clear()
    out = layer(m, q)
    grads = torch.autograd.grad(out, (m, q), tensor(y))
    crossed = {shape for way, shape in xp.crossed if way == "out" and np.prod(shape) > 32}
    assert crossed <= {tuple(m.shape)}, crossed
    for one, other in zip(known, (out, *grads), strict=True):
        assert np.linalg.norm(one - numbers(other)) < 1e-11 * np.linalg.norm(one)


def test_second_derivatives(elsewhere):
    G = so.Parametric(read_at_points("host"))
    m, q = tensor(so_model(G)).requires_grad_(), tensor(G.domain[1].random(1))
    layer, dm = so.torch.lift(G), tensor(1e-9 * G.domain[0].random(2))
    (g,) = torch.autograd.grad(layer(m, q).square().sum(), m, create_graph=True)
    (hessian,) = torch.autograd.grad((g * dm).sum(), m)
    here = so.Parametric(read_at_points("cpu"))
    value, J = here(so_model(here), numbers(q)), so.Jacobian(here.F, numbers(q))
    exact = (
        2 * (J.H @ (J @ numbers(dm)))
        + here.second((so_model(here), numbers(q)), (numbers(dm), np.zeros(q.shape)), 2 * value)[0]
    )
    assert np.linalg.norm(numbers(hessian) - exact) < 1e-10 * np.linalg.norm(exact)


def test_operators_take_tensors_and_return_them(elsewhere):
    here, there = read_at_points("cpu"), read_at_points("host")
    q, y = here.domain.random(1), here.range.random(2)
    found = there @ tensor(q), there.H @ tensor(y)
    for one, other in zip((here @ q, here.H @ y), found, strict=True):
        assert isinstance(other, torch.Tensor) and other.shape == one.shape
        assert np.linalg.norm(numbers(other) - one) < 1e-12 * np.linalg.norm(one)
    G = so.Parametric(there)
    with G.linearize(tensor(so_model(G)), tensor(q)) as at:
        assert all(isinstance(a, torch.Tensor) for a in (at.value, *at.pullback(tensor(y))))


def test_streams_are_handed_over():
    """By the protocol, or by the address of a stream where CuPy or torch has no such thing yet."""
    old = SimpleNamespace(Stream=SimpleNamespace(), ExternalStream=lambda pointer: ("old", pointer))
    new = SimpleNamespace(Stream=SimpleNamespace(from_external=lambda s: ("new", s.__cuda_stream__()[1])))
    before = SimpleNamespace(cuda_stream=7)
    now = SimpleNamespace(cuda_stream=7, __cuda_stream__=lambda: (0, 7))
    assert tensors._stream(new, now) == ("new", 7)
    assert tensors._stream(old, now) == tensors._stream(old, before) == ("old", 7)
