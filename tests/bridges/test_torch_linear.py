"""Linear operators as torch layers: every transform of torch, against the matrix."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pylops
import pytest
import torch
from killable import run
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.utils.checkpoint import checkpoint
from toys import World

import seisops as so
import seisops.torch
from seisops.errors import ParameterError, SpaceError
from seisops.operators import External, Identity

lift = seisops.torch.lift

torch.set_num_threads(1)

RNG = np.random.default_rng(0)
REAL = RNG.standard_normal((3, 4))
COMPLEX = REAL + 1j * RNG.standard_normal((3, 4))
KERNEL = RNG.standard_normal((3, 2))


def ours():
    w = World()
    return w.Pr * w.A * w.Ps.H


OPERATORS = {
    "matrix": lambda: pylops.MatrixMult(REAL),
    "complex matrix": lambda: pylops.MatrixMult(COMPLEX, dtype="complex128"),
    "convolution": lambda: pylops.signalprocessing.Convolve2D((3, 4), KERNEL, offset=(1, 1)),
    "fft": lambda: pylops.signalprocessing.FFT((2, 6), axis=1, dtype="complex128"),
    "real fft": lambda: pylops.signalprocessing.FFT((2, 6), axis=1, real=True),
    "real part": lambda: pylops.Real(5, dtype="complex128"),
    "imaginary part": lambda: pylops.Imag(5, dtype="complex128"),
    "a product with the real fft": lambda: pylops.signalprocessing.FFT(4, real=True) @ pylops.MatrixMult(REAL.T @ REAL),
    "ours": ours,
    "ours, adjoint": lambda: ours().H,
    "ours, a sum of traces": lambda: so.VStack([ours(), 2.0 * ours()]),
    "ours, complex": lambda: External(pylops.MatrixMult(COMPLEX, dtype="complex128")),
}


def shapes(op):
    return tuple(int(n) for n in op.dims), tuple(int(n) for n in op.dimsd)


def tensor(*shape, seed=1, dtype=torch.float64, requires_grad=False):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return x.requires_grad_(requires_grad)


def apply(op, x):
    """The operator element by element, by NumPy alone; a real operator on complex arrays by its parts."""
    x = x.detach().numpy()
    dims, dimsd = shapes(op)
    lead = x.shape[: x.ndim - len(dims)]
    rows = x.reshape(-1, op.shape[1])
    if np.iscomplexobj(x) and op.clinear and op.dtype.kind != "c":
        rows = [op.matvec(row.real.copy()) + 1j * op.matvec(row.imag.copy()) for row in rows]
    else:
        rows = [op.matvec(row) for row in rows]
    return np.reshape(rows, (*lead, *dimsd))


DTYPES = [torch.float64, torch.complex128]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_values(name, dtype):
    op = OPERATORS[name]()
    dims, dimsd = shapes(op)
    layer = lift(op)
    for lead in ((), (2,), (2, 3), (0, 2)):
        x = tensor(*lead, *dims, dtype=dtype)
        y = layer(x)
        assert y.shape == (*lead, *dimsd)
        if 0 not in lead:
            np.testing.assert_allclose(y.numpy(), apply(op, x), atol=1e-13)
        flat = layer(x.reshape(*lead, op.shape[1]))
        assert flat.shape == ((*lead, *dimsd) if len(dims) == 1 else (*lead, op.shape[0]))
        torch.testing.assert_close(flat.reshape(y.shape), y, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_derivatives(name, dtype):
    op = OPERATORS[name]()
    layer = lift(op)
    for lead in ((), (2,)):
        x = tensor(*lead, *shapes(op)[0], dtype=dtype, requires_grad=True)
        assert gradcheck(layer, x, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True)
        assert gradgradcheck(layer, x, check_batched_grad=True, check_fwd_over_rev=True)


@pytest.mark.parametrize("name", OPERATORS)
def test_adjoint(name):
    layer = lift(OPERATORS[name]())
    assert layer.H.H is layer
    complex_range = layer(tensor(*shapes(layer.op)[0])).is_complex()
    y = tensor(*shapes(layer.op)[1], dtype=torch.complex128 if complex_range else torch.float64, requires_grad=True)
    assert gradcheck(layer.H, y, check_forward_ad=True)
    np.testing.assert_allclose(layer.H(y).detach().numpy(), apply(layer.op.H, y), atol=1e-13)


def test_a_wrong_adjoint_is_found():
    class Wrong(pylops.MatrixMult):
        def _rmatvec(self, y):
            return 1.001 * super()._rmatvec(y)

    x = tensor(4, requires_grad=True)
    assert gradcheck(lift(pylops.MatrixMult(REAL)), x, rtol=1e-5)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        gradcheck(lift(Wrong(REAL)), x, rtol=1e-5)


def cubed(f):
    return lambda x: (f(x) ** 3).sum()


V = tensor(4, seed=9)

TRANSFORMS = {
    "grad": lambda f: grad(cubed(f)),
    "vjp": lambda f: lambda x: vjp(f, x)[1](torch.ones(3, dtype=x.dtype)),
    "jvp": lambda f: lambda x: jvp(f, (x,), (V,)),
    "jacrev": jacrev,
    "jacfwd": jacfwd,
    "hessian": lambda f: hessian(cubed(f)),
    "jacrev of jacrev": lambda f: jacrev(jacrev(cubed(f))),
    "jacfwd of jacfwd": lambda f: jacfwd(jacfwd(cubed(f))),
    "jacrev of jacfwd": lambda f: jacrev(jacfwd(cubed(f))),
    "hessian of nothing": hessian,
    "third derivative": lambda f: jacfwd(hessian(cubed(f))),
}


def assert_same(mine, theirs):
    flat = [torch.utils._pytree.tree_leaves(value) for value in (mine, theirs)]
    for a, b in zip(*flat, strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def matrix(x):
    return x @ torch.as_tensor(REAL).T


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    layer, transform = lift(pylops.MatrixMult(REAL)), TRANSFORMS[name]
    x = tensor(4)
    assert_same(transform(layer)(x), transform(matrix)(x))
    x = tensor(2, 4, 3)
    mine, theirs = (vmap(vmap(transform(f), in_dims=1), out_dims=0) for f in (layer, matrix))
    assert_same(mine(x), theirs(x))
    if name not in ("vjp", "jvp"):
        mine, theirs = (transform(vmap(f, in_dims=1, out_dims=-1)) for f in (layer, matrix))
        assert_same(mine(x[0]), theirs(x[0]))


def test_hessian_is_the_normal_operator():
    layer = lift(ours())
    b = tensor(layer.op.shape[0])
    normal = hessian(lambda x: 0.5 * ((layer(x) - b) ** 2).sum())(tensor(layer.op.shape[1]))
    dense = np.stack([layer.op.matvec(e) for e in np.eye(layer.op.shape[1])], axis=1)
    np.testing.assert_allclose(normal.numpy(), dense.T @ dense, atol=1e-11)


def test_vectorised_functional():
    x, layer = tensor(4), lift(pylops.MatrixMult(REAL))
    for strategy in ("reverse-mode", "forward-mode"):
        jacobian = torch.autograd.functional.jacobian(layer, x, vectorize=True, strategy=strategy)
        assert_same(jacobian, torch.as_tensor(REAL))
        mine = torch.autograd.functional.hessian(cubed(layer), x, vectorize=True, outer_jacobian_strategy=strategy)
        assert_same(mine, hessian(cubed(matrix))(x))


# ---- what comes in


def test_dtypes():
    """Results have the dtype of the operator, gradients that of the input."""
    single = pylops.MatrixMult(REAL.astype("float32"), dtype="float32")
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        x = tensor(4).to(dtype).requires_grad_()
        y = lift(single)(x)
        assert y.dtype == torch.float32
        y.sum().backward()
        assert x.grad.dtype == dtype
        torch.testing.assert_close(x.grad.double(), torch.as_tensor(REAL.sum(0)), rtol=1e-2, atol=1e-2)
    assert lift(single)(tensor(4, dtype=torch.complex128)).dtype == torch.complex64
    double = lift(pylops.MatrixMult(COMPLEX, dtype="complex128"))
    x = tensor(4, dtype=torch.float32, requires_grad=True)
    y = double(x)
    assert y.dtype == torch.complex128
    y.real.sum().backward()
    torch.testing.assert_close(x.grad, torch.as_tensor(COMPLEX.real.sum(0)).float())
    # PyLops itself returns float64 from this product
    assert lift(2.0 * single)(tensor(4)).dtype == torch.float32
    assert lift(pylops.signalprocessing.FFT(4, real=True, dtype="float32"))(tensor(4)).dtype == torch.complex64
    assert lift(World("float32").Pr)(torch.zeros(World().waves.shape)).dtype == torch.float32


def test_layouts():
    """Strides, conjugates and negatives are those of torch."""
    layer = lift(pylops.MatrixMult(COMPLEX, dtype="complex128"))
    x = tensor(4, 5, dtype=torch.complex128)
    expected = x.mT @ torch.as_tensor(COMPLEX).T
    torch.testing.assert_close(layer(x.mT), expected)
    torch.testing.assert_close(layer(x.conj().mT), x.conj().mT.resolve_conj() @ torch.as_tensor(COMPLEX).T)
    torch.testing.assert_close(layer(x.conj().imag.mT), -x.imag.mT.to(x.dtype) @ torch.as_tensor(COMPLEX).T)
    torch.testing.assert_close(layer(x[:, :1].mT.expand(3, 4)), expected[:1].expand(3, 3))


def test_results_are_new_memory():
    """Not that of the argument, nor that of the operator."""
    layer = lift(Identity(World().Ps.range))
    x = tensor(*layer.op.domain.shape)
    y = layer(x)
    y.zero_()
    assert x.abs().min() > 0


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (np.zeros((3, 4)), ParameterError, "the argument is a ndarray"),
        (3.0, ParameterError, "the argument is a float"),
        (torch.zeros(3, 4, dtype=torch.int32), ParameterError, "torch.int32: convert it"),
        (torch.zeros(3, 4, dtype=torch.bool), ParameterError, "torch.bool: convert it"),
        (torch.zeros(4, 3), SpaceError, "shape (4, 3): expected (*batch, 3, 4) or (*batch, 12)"),
        (torch.zeros(()), SpaceError, "shape ()"),
        (torch.zeros(4), SpaceError, "shape (4,)"),
    ],
)
def test_refusals(x, error, words):
    with pytest.raises(error) as caught:
        lift(OPERATORS["convolution"]())(x)
    assert words in str(caught.value)


def test_printing():
    assert repr(lift(ours())) == f"LinearLayer({ours()})"
    assert repr(lift(pylops.MatrixMult(REAL))) == "LinearLayer(<3x4 MatrixMult with dtype=float64>: (4,) -> (3,))"


# ---- modules among others


@pytest.mark.parametrize("name", ["convolution", "real fft", "ours"])
def test_copies(name, tmp_path):
    layer = lift(OPERATORS[name]())
    torch.save(layer, tmp_path / "layer.pt")
    copies = [
        copy.deepcopy(layer),
        copy.deepcopy(layer.H).H,
        pickle.loads(pickle.dumps(layer)),
        torch.load(tmp_path / "layer.pt", weights_only=False),
    ]
    x = tensor(*shapes(layer.op)[0])
    for other in copies:
        torch.testing.assert_close(other(x), layer(x), rtol=0, atol=0)
        torch.testing.assert_close(other.H(other(x)), layer.H(layer(x)), rtol=0, atol=0)
    assert not layer.state_dict() and len(list(layer.H.modules())) == 1


def test_checkpoint_and_hooks():
    layer = lift(ours())
    x = tensor(*layer.op.domain.shape, requires_grad=True)
    (expected,) = torch.autograd.grad((layer(x) ** 3).sum(), x)
    y = checkpoint(lambda x: layer(x) ** 3, x, use_reentrant=False)
    assert_same(torch.autograd.grad(y.sum(), x), (expected,))
    with torch.autograd.graph.save_on_cpu():
        y = layer(x) ** 3
    assert_same(torch.autograd.grad(y.sum(), x), (expected,))


def test_threads():
    layer = lift(ours())
    inputs = [tensor(2, *layer.op.domain.shape, seed=i, requires_grad=True) for i in range(8)]
    expected = [torch.autograd.grad((layer(x) ** 2).sum(), x)[0] for x in inputs]
    results = [None] * len(inputs)

    def work(i):
        for _ in range(10):
            (results[i],) = torch.autograd.grad((layer(inputs[i]) ** 2).sum(), inputs[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_same(results, expected)


def test_import_is_lazy():
    """`import seisops` never imports the bridge, and the bridge never the compiler."""
    import subprocess
    import sys

    code = (
        "import sys, seisops; assert 'seisops.torch' not in sys.modules; "
        "import seisops.torch; assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- torch.compile


@pytest.mark.parametrize("name", ["matrix", "convolution", "real fft", "ours"])
def test_compile(name):
    """The layer runs between two graphs."""
    torch.compiler.reset()
    layer = lift(OPERATORS[name]())
    x = tensor(2, *shapes(layer.op)[0], requires_grad=True)
    graphs = []

    def backend(graph, inputs):
        if any(node.op == "placeholder" for node in graph.graph.nodes):  # else nothing is computed
            graphs.append(graph)
        return graph

    def f(x):
        return (torch.view_as_real(layer(torch.sin(x)) + 0j) ** 3).sum()

    (expected,) = torch.autograd.grad(f(x), x)
    assert_same(torch.autograd.grad(torch.compile(f, backend=backend)(x), x), (expected,))
    assert len(graphs) == 2


def some_of(names, *quick):
    """All names, but those that are not given marked as slow."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]


class Looking(pylops.MatrixMult):
    """A matrix that writes down whether the compiler is looking at its NumPy."""

    def __init__(self, matrix, seen):
        self.seen = seen
        super().__init__(matrix)

    def _matvec(self, x):
        self.seen.append(torch.compiler.is_compiling())
        return super()._matvec(x)

    def _rmatvec(self, y):
        self.seen.append(torch.compiler.is_compiling())
        return super()._rmatvec(y)


@pytest.mark.parametrize("name", some_of(TRANSFORMS, "grad", "jvp", "jacrev", "hessian"))
def test_compile_a_transform(name):
    """Whatever wraps the layer, the compiler sees nothing of the operator, and the numbers are the same."""
    torch.compiler.reset()
    seen = []
    layer, transform = lift(Looking(REAL, seen)), TRANSFORMS[name]
    for f, x in ((transform(layer), tensor(4)), (vmap(transform(layer)), tensor(2, 4))):
        compiled = torch.compile(
            lambda x, f=f: torch.utils._pytree.tree_map(torch.neg, f(torch.sin(x))), backend="eager"
        )
        torch.testing.assert_close(
            compiled(x), torch.utils._pytree.tree_map(torch.neg, f(torch.sin(x))), rtol=0, atol=0
        )
    assert seen and not any(seen)


def test_compile_the_adjoint_under_a_transform():
    torch.compiler.reset()
    layer, y = lift(pylops.MatrixMult(REAL)), tensor(3)

    def f(y):
        return grad(lambda y: (layer.H(torch.sin(y)) ** 2).sum())(y)

    torch.testing.assert_close(torch.compile(f, backend="eager")(y), f(y), rtol=0, atol=0)


class Net(torch.nn.Module):
    """A layer and its adjoint between others."""

    def __init__(self, layer):
        super().__init__()
        torch.manual_seed(0)
        self.before, self.layer, self.after = torch.nn.Linear(4, 4), layer, torch.nn.Linear(4, 1)
        self.double()

    def forward(self, x):
        y = torch.tanh(self.layer(torch.tanh(self.before(x))))
        return self.after(self.layer.H(y)).square().mean()


def trained(net, x, compile=lambda step: step):
    """Losses and weights of some steps, each of them forward, backward and the optimiser's in one function."""
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def step(x):
        optimiser.zero_grad()
        loss = net(x)
        loss.backward()
        optimiser.step()
        return loss.detach()

    step = compile(step)
    return [step(x) for _ in range(4)], [p.detach() for p in net.parameters()]


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compile_a_training_step(backend):
    torch.compiler.reset()
    x, seen = tensor(3, 4), []
    expected = trained(Net(lift(pylops.MatrixMult(REAL))), x)
    found = trained(Net(lift(Looking(REAL, seen))), x, lambda step: torch.compile(step, backend=backend))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert seen and not any(seen)


@pytest.mark.slow
def test_compile_a_training_step_for_good():
    torch.compiler.reset()
    x = tensor(3, 4)
    found = trained(Net(lift(pylops.MatrixMult(REAL))), x, torch.compile)
    assert_same(found, trained(Net(lift(pylops.MatrixMult(REAL))), x))


def test_compile_gradients():
    """First and second ones, asked for inside what is compiled."""
    torch.compiler.reset()
    seen = []
    layer = lift(Looking(REAL, seen))

    def f(x):
        x = x.detach().requires_grad_()
        (first,) = torch.autograd.grad((layer(torch.sin(x)) ** 3).sum(), x, create_graph=True)
        return first.detach(), torch.autograd.grad((first**2).sum(), x)[0]

    x = tensor(2, 4)
    torch.testing.assert_close(torch.compile(f, backend="eager")(x), f(x), rtol=0, atol=0)
    assert seen and not any(seen)


def test_compile_only_the_backward_pass():
    """The compiler comes after the layer was applied; in a process where nobody has asked for it before."""
    code = """
import sys, numpy as np, pylops, torch, seisops.torch
layer = seisops.torch.lift(pylops.MatrixMult(np.array([[1.0, 2.0]])))
x = torch.ones(2, dtype=torch.float64, requires_grad=True)
y = layer(x)
assert "torch._dynamo" not in sys.modules
torch.compile(lambda y: (3.0 * y).sum().backward(), backend="eager")(y)
print(*x.grad.tolist())
"""
    assert run(code, threads=1) == ["3.0", "6.0"]


def test_compile_many_layers():
    """Of all shapes and dtypes, more than the compiler would make versions of one function for."""
    torch.compiler.reset()
    layers = [
        lift(pylops.MatrixMult(np.ones((2, n)), otherdims=(2,) * k, dtype=dtype))
        for n, k in ((1, 0), (2, 0), (3, 1), (4, 2), (5, 3))
        for dtype in ("float32", "float64")
    ]
    x = [torch.ones(shapes(layer.op)[0], dtype=torch.float64, requires_grad=True) for layer in layers]

    def step(*x):
        loss = sum((layer(part) ** 2).sum() for layer, part in zip(layers, x, strict=True))
        return torch.autograd.grad(loss, x)

    torch.testing.assert_close(torch.compile(step, backend="eager")(*x), step(*x), rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile_traces_what_is_traceable(backend, dtype):
    torch.compiler.reset()
    for name in ("complex matrix", "convolution", "ours"):
        op = OPERATORS[name]()
        layer = lift(op, traceable=True)

        def f(x, layer=layer, adjoint=layer.H):
            return (torch.view_as_real(adjoint(layer(x * x)) + 0j) ** 2).sum()

        # for another batch it traces again: what comes of that is compiled for one of them
        for lead in ((2,), (3,)) if backend == "aot_eager" or name == "ours" else ((2,),):
            x = tensor(*lead, *shapes(op)[0], dtype=dtype, requires_grad=True)
            (expected,) = torch.autograd.grad(f(x, lift(op), lift(op.H)), x)
            assert_same(torch.autograd.grad(torch.compile(f, backend=backend, fullgraph=True)(x), x), (expected,))


def test_traceable_derivatives():
    for name in ("matrix", "complex matrix", "ours"):
        layer = lift(OPERATORS[name](), traceable=True)
        x = tensor(2, *shapes(layer.op)[0], requires_grad=True)
        assert gradcheck(layer, x, check_batched_grad=True)
        assert gradgradcheck(layer, x, check_batched_grad=True)
    y = (lift(pylops.MatrixMult(REAL), traceable=True)(x := tensor(4, requires_grad=True)) ** 3).sum()
    (gradient,) = torch.autograd.grad(y, x, create_graph=True)  # the layer itself is gone by now
    assert_same(torch.autograd.grad(gradient.sum(), x), (hessian(cubed(matrix))(x.detach()).sum(0),))


def test_traceable_refuses_the_rest():
    layer = lift(pylops.MatrixMult(REAL), traceable=True)
    x = tensor(4)
    named = pytest.raises(NotImplementedError, match="without traceable")
    for transform in TRANSFORMS.values():
        with named:
            transform(layer)(x)
    with named:
        vmap(layer)(x[None])
    with forward_ad.dual_level(), named:
        layer(forward_ad.make_dual(x, x))
    y = layer(x.requires_grad_())
    with forward_ad.dual_level(), named:
        torch.autograd.grad(y, x, forward_ad.make_dual(torch.ones_like(y), torch.ones_like(y)))
    torch.compiler.reset()
    compiled = torch.compile(layer, backend="aot_eager")
    compiled(x)
    with forward_ad.dual_level(), named:
        compiled(forward_ad.make_dual(tensor(4), tensor(4)))
    with pytest.raises(ParameterError, match="linear over the reals"):
        lift(OPERATORS["real fft"](), traceable=True)
