"""Modeling in torch: derivatives through the wave equation, and what they cost.

Maps are tested as functions of a few dimensionless numbers (squared slowness is 1e-7 s2/m2), each of which moves all
of the model, or all of the sources.
"""

from __future__ import annotations

import os
import threading
from functools import cache

import numpy as np
import pytest
import torch
from killable import run
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, hessian, jacrev, jvp, vjp, vmap
from torch.utils.checkpoint import checkpoint

import seisops as so
import seisops.torch
from seisops.engine.kernel import Kernel

lift = seisops.torch.lift

torch.set_num_threads(1)

# sources that are random from sample to sample
pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")

GRID = so.Grid((8, 7), 10.0)
SHOTS = 2


@cache
def modeling(dense=False, extended=False):
    waves = so.Wavefield(GRID, so.Time(12, 0.002), shots=SHOTS, dtype="float64")
    rng = np.random.default_rng(0)
    vp = rng.uniform(1500.0, 2000.0, GRID.shape)
    rho = rng.uniform(1000.0, 1200.0, GRID.shape) if dense else None
    boundary = so.Sponge(cells=4) if dense or extended else so.PML(cells=6)  # whose kernels are slow to build
    A = so.Modeling(waves, so.Acoustic(GRID, vp=vp, rho=rho), boundary=boundary, space_order=4, max_velocity=2300.0)
    Pr, Ps = (so.Projection(waves, rng.uniform(0.0, 60.0, (SHOTS, n, 2))) for n in (2, 1))
    writer = so.Wavelet(waves, rng.standard_normal(12)) if extended else Ps
    return Pr * A * writer.H, A.medium


CASES = {
    "point source": (("m",), {}),
    "extended source": (("m",), {"extended": True}),
    "m and rho": (("m", "rho"), {"dense": True}),
}


#: Which of the numbers move: those of the medium, those of the source.
MOVING = [("point source", "x"), ("point source", "c"), *((name, "xc") for name in CASES)]


@cache
def case(name):
    """A map, its point, a function of few numbers ``(x, c)`` made of it, and the numbers."""
    wrt, options = CASES[name]
    F, medium = modeling(**options)
    G = so.Parametric(F, wrt=wrt)
    layer = lift(G)
    generator = torch.Generator().manual_seed(1)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    parameters = [torch.tensor(medium.get(name)) for name in wrt]
    directions, sources = random(2, len(wrt), *GRID.shape), random(2, *F.domain.shape)
    weights = random(2, *F.range.shape)
    scale = weights.flatten(1).norm() * torch.as_tensor(F @ F.domain.random(2)).norm()

    def f(x, c):
        """Numbers for parameters and for sources to a few weighted sums of the data."""
        moved = [p * (1 + 0.1 * torch.tanh(torch.tensordot(x, directions[:, i], 1))) for i, p in enumerate(parameters)]
        d = layer(*moved, torch.tensordot(c, sources, 1))
        return 10 * torch.tensordot(weights, d, d.ndim) / scale

    return G, (*parameters, sources[0]), f, (0.5 * random(2), random(2))


def inputs(name, moving="xc"):
    _, _, _, x = case(name)
    return tuple(part.clone().requires_grad_(letter in moving) for part, letter in zip(x, "xc", strict=True))


@pytest.mark.parametrize("name", CASES)
def test_the_layer_is_the_map(name):
    G, point, _, _ = case(name)
    x = [part.clone().requires_grad_() for part in point]
    y = lift(G)(*x)
    arrays = [part.numpy() for part in point]
    expected = G(*arrays)
    # a kernel that keeps a history rounds elsewhere
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=0, atol=1e-14 * np.abs(expected).max())
    seed = G.range.random(5)
    y.backward(torch.as_tensor(seed))
    with G.linearize(*arrays) as at_x:
        for part, expected in zip(x, at_x.pullback(seed), strict=True):
            np.testing.assert_array_equal(part.grad.numpy(), expected)


LINEAR = {
    "F": lambda: modeling()[0],
    "F.H": lambda: modeling()[0].H,
    "extended F": lambda: modeling(extended=True)[0],
    "J": lambda: so.Jacobian(modeling()[0], modeling()[0].domain.random(5)),
    "J.H": lambda: so.Jacobian(modeling()[0], modeling()[0].domain.random(5)).H,
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_layers(name):
    """In a few directions of the domain and the range: one element of each would take as many solves."""
    layer = lift(op := LINEAR[name]())
    generator = torch.Generator().manual_seed(1)
    directions, weights = (
        torch.randn(2, *space.shape, generator=generator, dtype=torch.float64) for space in (op.domain, op.range)
    )
    scale = np.linalg.norm(op @ directions[0].numpy())

    def f(x):
        d = layer(torch.tensordot(x, directions, 1))
        return torch.tensordot(weights, d, d.ndim) / scale

    x = torch.randn(2, generator=generator, dtype=torch.float64, requires_grad=True)
    assert gradcheck(f, x, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True)
    assert gradgradcheck(f, x, check_batched_grad=True, check_fwd_over_rev=True)


@pytest.mark.parametrize(("name", "moving"), MOVING)
def test_first_derivatives(name, moving):
    _, _, f, _ = case(name)
    options = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
    assert gradcheck(f, inputs(name, moving), **options)


@pytest.mark.parametrize(("name", "moving"), MOVING)
def test_second_derivatives(name, moving):
    _, _, f, _ = case(name)
    assert gradgradcheck(f, inputs(name, moving), check_batched_grad=True, check_fwd_over_rev=True)


def test_a_wrong_gradient_is_found(monkeypatch):
    """One off by one in a thousand."""
    _, _, f, _ = case("point source")
    assert gradcheck(f, inputs("point source", "x"), rtol=1e-5)
    medium = type(modeling()[1])
    monkeypatch.setattr(medium, "derivatives", lambda self, name, wrt: {"m": 1.001})
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        gradcheck(f, inputs("point source", "x"), rtol=1e-5)


def misfit(f):
    return lambda x, c: 0.5 * (f(x, c) ** 2).sum()


@pytest.mark.parametrize("name", CASES)
def test_hessian_every_way(name):
    """Forward over reverse, reverse over reverse, and differences of the gradient."""
    _, _, f, x = case(name)
    first = grad(misfit(f), argnums=(0, 1))
    over = torch.stack(
        [torch.cat([part.flatten() for part in row], -1) for row in _rows(hessian(misfit(f), (0, 1))(*x))]
    )
    reverse = _rows(jacrev(first, (0, 1))(*x))
    reverse = torch.stack([torch.cat([part.flatten() for part in row], -1) for row in reverse])
    torch.testing.assert_close(over, reverse, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(over, over.T, rtol=1e-10, atol=1e-12)
    flat, h = torch.cat(x), 1e-5
    for i in range(len(flat)):
        e = h * torch.eye(len(flat), dtype=torch.float64)[i]
        up, down = (torch.cat(first(*(flat + sign * e).split(2))) for sign in (1, -1))
        torch.testing.assert_close(over[i], (up - down) / (2 * h), rtol=1e-6, atol=1e-9)


def _rows(blocks):
    """Blocks of a Hessian, row by row."""
    for block in blocks:
        for i in range(block[0].shape[0]):
            yield [part[i] for part in block]


@pytest.mark.parametrize("name", CASES)
def test_hessian_is_symmetric(name):
    """On the whole model and all sources, in SI units."""
    G, point, _, _ = case(name)
    layer = lift(G)
    x = tuple(part.clone().requires_grad_() for part in point)
    v, w = (
        [part * torch.as_tensor(np.random.default_rng(seed).uniform(-1, 1, part.shape)) for part in point]
        for seed in (1, 2)
    )
    gradients = torch.autograd.grad(0.5 * (layer(*x) ** 2).sum(), x, create_graph=True)
    hv, hw = (torch.autograd.grad(gradients, x, direction, retain_graph=True) for direction in (v, w))
    a, b = (sum(torch.sum(p * q) for p, q in zip(*pair, strict=True)) for pair in ((hv, w), (v, hw)))
    size = sum(torch.sum(p.abs() * q.abs()) for p, q in zip(hv, w, strict=True))
    assert abs(a - b) <= 1e-10 * size


@pytest.mark.parametrize("name", ["F", "extended F"])
def test_hessian_of_least_squares_is_the_normal_operator(name):
    layer = lift(op := LINEAR[name]())
    x, b = (torch.as_tensor(space.random(seed)) for seed, space in enumerate((op.domain, op.range)))
    for seed in range(3):
        v = torch.as_tensor(op.domain.random(seed + 5))
        _, hv = jvp(grad(lambda x: 0.5 * ((layer(x) - b) ** 2).sum()), (x,), (v,))
        np.testing.assert_allclose(hv.numpy(), op.H @ (op @ v.numpy()), rtol=1e-12, atol=1e-15)


def test_batches_of_models():
    G, (m, q), _, _ = case("point source")
    layer = lift(G)
    models = m * torch.tensor([0.95, 1.0, 1.05], dtype=torch.float64)[:, None, None]
    one = lambda m: grad(lambda m: (layer(m, q) ** 2).sum())(m)  # noqa: E731
    expected = torch.stack([one(part) for part in models])
    torch.testing.assert_close(vmap(one)(models), expected, rtol=1e-12, atol=0)
    leaf = models.clone().requires_grad_()
    (layer(leaf, q) ** 2).sum().backward()
    torch.testing.assert_close(leaf.grad, expected, rtol=1e-12, atol=0)


# ---- what it costs, and where it is kept


@pytest.fixture
def solves(monkeypatch):
    """The directions of all runs of kernels for one shot."""
    runs, run = [], Kernel.run

    def counted(self, *args, **named):
        runs.append("Forward" if self.marched.direction > 0 else "Adjoint")
        return run(self, *args, **named)

    monkeypatch.setattr(Kernel, "run", counted)

    def take():
        taken, runs[:] = list(runs), []
        assert taken[::SHOTS] == taken[1::SHOTS], "both shots take the same way"
        return taken[::SHOTS]

    return take


def test_solves(solves):
    G, point, _, _ = case("point source")
    solves()  # of those that made the case
    layer = lift(G)
    m, q = (part.clone().requires_grad_() for part in point)
    y = layer(m, q)
    assert solves() == ["Forward"]
    y.sum().backward()
    assert solves() == ["Adjoint"], "both gradients from one solve"
    layer(m.detach(), q).sum().backward()
    assert solves() == ["Forward", "Adjoint"]
    with torch.no_grad():
        layer(m, q)
    assert solves() == ["Forward"]
    jvp(layer, point, point)
    assert solves() == ["Forward", "Forward"]
    vjp(layer, *point)[1](y.detach())
    assert solves() == ["Forward", "Adjoint"]
    y = checkpoint(layer, m, q, use_reentrant=False)
    y.sum().backward()
    assert solves() == ["Forward", "Forward", "Adjoint"]


def test_solves_of_second_order(solves):
    G, point, _, _ = case("point source")
    solves()  # of those that made the case
    m, q = (part.clone().requires_grad_() for part in point)
    gradients = torch.autograd.grad((lift(G)(m, q) ** 2).sum(), (m, q), create_graph=True)
    assert solves() == ["Forward", "Adjoint"]
    torch.autograd.grad(gradients, (m, q), point)
    # the field together with its derivative, their adjoints; and the Gauss-Newton part
    assert solves() == ["Forward", "Adjoint", "Adjoint"]


def test_graphs_at_the_same_time():
    """The wavefields of graphs that live side by side do not mix, though their memory is used again."""
    G, (m, q), _, _ = case("point source")
    layer = lift(G)
    models = [(m * factor).requires_grad_() for factor in (0.95, 0.98, 1.0, 1.03)]
    expected = [torch.autograd.grad((layer(part, q) ** 2).sum(), part)[0] for part in models]
    misfits = [(layer(part, q) ** 2).sum() for part in models[:3]]
    found = {1: torch.autograd.grad(misfits[1], models[1])}
    misfits.append((layer(models[3], q) ** 2).sum())
    for i in (3, 0, 2):
        found[i] = torch.autograd.grad(misfits[i], models[i])
    for i, part in enumerate(expected):
        torch.testing.assert_close(found[i][0], part, rtol=0, atol=0)


def test_threads():
    G, (m, q), _, _ = case("point source")
    layer = lift(G)
    models = [(m * factor).requires_grad_() for factor in np.linspace(0.95, 1.05, 6)]
    expected = [torch.autograd.grad((layer(part, q) ** 2).sum(), part)[0] for part in models]
    found = [[] for _ in models]

    def work(i):
        for _ in range(5):
            found[i] += torch.autograd.grad((layer(models[i], q) ** 2).sum(), models[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(models))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for results, right in zip(found, expected, strict=True):
        assert len(results) == 5
        for result in results:
            torch.testing.assert_close(result, right, rtol=0, atol=0)


LOADER = """
import numpy as np
import torch
import seisops as so

grid, time = so.Grid((41, 31), 10.0), so.Time(61, 0.004)
waves = so.Wavefield(grid, time, shots=2)
Pr, Ps = so.Projection(waves, [(50.0, 20.0), (350.0, 20.0)]), so.Projection(waves, [[(100.0, 20.0)], [(300.0, 20.0)]])
F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=2000.0)) * Ps.H
layer = so.torch.lift(F[0])
q = torch.from_numpy(so.ricker(time, f0=10.0)).float()[None, None]

class Shots(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return layer(q * (i + 1))

shots = Shots()
expected = [shots[i] for i in range(4)]  # on two threads
for shot, right in zip(torch.utils.data.DataLoader(shots, batch_size=None, num_workers=2), expected, strict=True):
    print(torch.equal(shot, right))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_workers_of_a_loader_model_shots():
    """Forked after a solve on several threads."""
    assert run(LOADER, threads=2) == ["True"] * 4


@pytest.mark.slow
def test_compile():
    torch.compiler.reset()
    G, point, _, _ = case("point source")
    x = tuple(part.clone().requires_grad_() for part in point)
    expected = torch.autograd.grad((lift(G)(*x) ** 2).sum(), x)
    for traceable in (False, True):
        layer = lift(G, traceable=traceable)
        compiled = torch.compile(lambda m, q: (layer(m, q) ** 2).sum(), backend="aot_eager", fullgraph=traceable)  # noqa: B023
        for mine, theirs in zip(torch.autograd.grad(compiled(*x), x), expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=0)


def test_a_batch_shares_the_budget_of_its_map():
    """Whatever the batch, no more is held than `keep_bytes`; forgetting releases that, and the gradient is the same."""
    F, medium = modeling()
    size = so.fuse(F).propagator.solver.layout(("m",)).whole_bytes
    G = so.Parametric(F, storage=so.storage.Full(keep_bytes=3 * size + 100))
    layer, rng = lift(G), np.random.default_rng(1)
    m = torch.tensor(np.stack([medium.m * (1 + 0.01 * i) for i in range(4)]))
    q = torch.tensor(rng.standard_normal(F.domain.shape))
    found = []
    for forget in (False, True):
        leaf = m.clone().requires_grad_()
        misfit = (layer(leaf, q) ** 2).sum()
        assert G.held_bytes == 3 * size
        if forget:
            layer.forget()
            assert G.held_bytes == G.spare_bytes == 0
        misfit.backward()
        assert G.held_bytes <= G.policy.keep_bytes
        del misfit
        assert G.held_bytes == 0
        found.append(leaf.grad)
    assert torch.equal(*found) and found[0].abs().sum() > 0
    layer.forget()
    assert G.spare_bytes == 0


@pytest.mark.slow
def test_compile_full_waveform_inversion():
    """To the bit: the gradient of the medium, an optimiser's step, a batch of media and directions from them."""
    torch.compiler.reset()
    G, (m, q), _, _ = case("point source")
    layer = lift(G)

    def inverted(compile):
        x = torch.zeros_like(m, requires_grad=True)
        optimiser = torch.optim.SGD([x], lr=1e-3)

        def step(d):
            optimiser.zero_grad()
            loss = (layer(m * (1.0 + x), q) - d).square().mean()
            loss.backward()
            optimiser.step()
            return loss.detach()

        step, d = compile(step), layer(0.99 * m, q)
        return [step(d) for _ in range(3)], x.detach()

    def compiled(function):
        return torch.compile(function, backend="aot_eager")

    torch.testing.assert_close(inverted(compiled), inverted(lambda step: step), rtol=0, atol=0)
    media = torch.stack([m, 0.98 * m])
    for f in (vmap(lambda m: layer(m, q)), lambda m: jvp(vmap(lambda m: layer(m, q)), (m,), (0.01 * m,))):
        torch.testing.assert_close(compiled(f)(media), f(media), rtol=0, atol=0)
