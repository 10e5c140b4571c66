"""Nonlinear maps as torch layers: every transform of torch, against the same formula written in torch."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import threading
import weakref
from functools import partial, reduce

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.utils.checkpoint import checkpoint

import seisops.torch
from seisops.errors import ParameterError, SpaceError
from seisops.maps import Arranged, Composed, Linearization, LinearMap, Map
from seisops.operators import LinearOperator
from seisops.spaces import Axis, Space

lift = seisops.torch.lift

torch.set_num_threads(1)

A_SPACE = Space("a", [Axis("i", 2)], "float64")
B_SPACE = Space("b", [Axis("i", 2), Axis("j", 2)], "float64")
Z_SPACE = Space("z", [Axis("k", 3)], "float64")
Y_SPACE = Space("y", [Axis("l", 2), Axis("m", 1)], "float64")

RNG = np.random.default_rng(0)
MATRICES = {
    "A": RNG.standard_normal((3, 2)),
    "B": RNG.standard_normal((3, 4)),
    "C": RNG.standard_normal((2, 3)),
}


class Matrix(LinearOperator):
    """A matrix between spaces."""

    def __init__(self, domain, range, matrix):
        self.matrix = np.asarray(matrix, np.result_type(domain.dtype, range.dtype))
        super().__init__(domain, range)

    def _apply(self, x):
        return (self.matrix @ x.ravel()).reshape(self.range.shape)

    def _apply_adjoint(self, y):
        return (self.matrix.conj().T @ y.ravel()).reshape(self.domain.shape)


class Sines(Map):
    """(x, v_1, ..., v_r) -> d^k sin(x) / dx^k * v_1 * ... * v_r, element by element: it has tangents of any order."""

    def __init__(self, space, k=0, r=1):
        self.k, self.r = k, r
        super().__init__([space] * (r + 1), space)

    def _linearize(self, x, *v):
        def product(k, factors):
            return reduce(np.multiply, factors, np.sin(x + k * math.pi / 2))

        others = [product(self.k, v[:i] + v[i + 1 :]) for i in range(self.r)]
        factors = [product(self.k + 1, v), *others]
        return Linearization(product(self.k, v), [Matrix(*self.domain[:1], self.range, np.diag(d)) for d in factors])

    def _make_tangent(self):
        n = self.r + 1
        space = self.range
        by_x = Arranged(Sines(space, self.k + 1, self.r + 1), [space] * 2 * n, [(i,) for i in range(n + 1)])
        by_v = [Arranged(self, [space] * 2 * n, [(i + n if i == j else i,) for i in range(n)]) for j in range(1, n)]
        return reduce(lambda f, g: f + g, by_v, by_x)


def smooth(dtype="float64"):
    """(a, b) -> C (sin(A a) * B b)."""
    a, b, z, y = (Space(s.name, s.axes, dtype) for s in (A_SPACE, B_SPACE, Z_SPACE, Y_SPACE))
    first = Arranged(LinearMap(Matrix(a, z, MATRICES["A"])), (a, b), [(0,)])
    second = Arranged(LinearMap(Matrix(b, z, MATRICES["B"])), (a, b), [(1,)])
    return Matrix(z, y, MATRICES["C"]) @ Composed(Sines(z), first, second)


def formula(a, b):
    """The same in torch."""
    A, B, C = (torch.as_tensor(MATRICES[name]).to(a.dtype) for name in "ABC")
    z = torch.sin(a @ A.T) * (b.flatten(-2) @ B.T)
    return (z @ C.T).unsqueeze(-1)


class Watched(Linearization):
    """A linearisation that writes down what it is asked for."""

    def __init__(self, inner, log, prefix):
        self.log, self.prefix = log, prefix
        super().__init__(inner.value, lambda: inner.jacobians, lambda: log.append(prefix + "close"))

    def pushforward(self, *dx):
        self.log.append(self.prefix + "push")
        return super().pushforward(*dx)

    def pullback(self, y, wanted=None):
        self.log.append(self.prefix + "pull " + "".join("01"[w] for w in wanted))
        return super().pullback(y, wanted)


class Counting(Map):
    """Another map, every call of which is written down; the tangent's with a leading T."""

    def __init__(self, inner, log=None, tangents=9, prefix=""):
        self.inner, self.log, self.tangents, self.prefix = inner, [] if log is None else log, tangents, prefix
        self.alive = weakref.WeakSet()
        super().__init__(inner.domain, inner.range)

    def _call(self, *x):
        self.log.append(self.prefix + "value")
        return self.inner(*x)

    def _linearize(self, *x):
        self.log.append(self.prefix + "linearize")
        at_x = Watched(self.inner.linearize(*x), self.log, self.prefix)
        self.alive.add(at_x)
        return at_x

    def _make_tangent(self):
        if not self.tangents:
            return super()._make_tangent()
        return Counting(self.inner.tangent(), self.log, self.tangents - 1, self.prefix + "T")

    def take(self):
        """What was called since the last time."""
        log, self.log[:] = list(self.log), []
        return log


class Scaled(Map):
    """A map with a wrong derivative: negative control."""

    def __init__(self, inner, factor):
        self.inner, self.factor = inner, factor
        super().__init__(inner.domain, inner.range)

    def _linearize(self, *x):
        at_x = self.inner.linearize(*x)
        return Linearization(at_x.value, [self.factor * j for j in at_x.jacobians])

    def _make_tangent(self):
        return self.inner.tangent()


def tensors(*leads, seed=1, spaces=(A_SPACE, B_SPACE), dtype=torch.float64, **options):
    """A random tensor for each space, with the given leading dimensions."""
    generator = torch.Generator().manual_seed(seed)
    leads = leads or ((),) * len(spaces)
    return tuple(
        torch.randn(*lead, *space.shape, generator=generator, dtype=dtype).requires_grad_(**options)
        if options
        else torch.randn(*lead, *space.shape, generator=generator, dtype=dtype)
        for lead, space in zip(leads, spaces, strict=True)
    )


BATCHES = {
    "single": ((), ()),
    "both": ((2,), (2,)),
    "first": ((2,), ()),
    "second": ((), (2,)),
    "outer": ((2, 1), (3,)),
    "empty": ((0,), ()),
}


@pytest.mark.parametrize("batch", BATCHES)
def test_values(batch):
    x = tensors(*BATCHES[batch])
    y = lift(smooth())(*x)
    assert y.shape == formula(*x).shape
    torch.testing.assert_close(y, formula(*x))


@pytest.mark.parametrize("batch", [name for name in BATCHES if name != "empty"])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_first_derivatives(batch, dtype):
    x = tensors(*BATCHES[batch], dtype=getattr(torch, dtype), requires_grad=True)
    layer = lift(smooth(dtype))
    options = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
    assert gradcheck(layer, x, **options)
    assert gradcheck(layer, (x[0], x[1].detach()), **options)
    assert gradcheck(layer, (x[0].detach(), x[1]), **options)


@pytest.mark.parametrize("batch", ["single", "both", "first", "outer"])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_second_derivatives(batch, dtype):
    x = tensors(*BATCHES[batch], dtype=getattr(torch, dtype), requires_grad=True)
    layer = lift(smooth(dtype))
    options = {"check_batched_grad": True, "check_fwd_over_rev": True}
    assert gradgradcheck(layer, x, **options)
    assert gradgradcheck(layer, (x[0], x[1].detach()), **options)


def test_derivatives_of_derivatives_in_every_direction():
    """The pullback and the pushforward are layers themselves, as functions of all that they depend on."""
    layer = lift(smooth())
    x = tensors(requires_grad=True)
    dx = tensors(seed=2, requires_grad=True)
    (y,) = tensors(seed=3, spaces=(Y_SPACE,), requires_grad=True)

    def pulled(a, b, y):
        return vjp(layer, a, b)[1](y)

    def pushed(a, b, da, db):
        return jvp(layer, (a, b), (da, db))[1]

    assert gradcheck(pulled, (*x, y), check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True)
    assert gradgradcheck(pulled, (*x, y), check_fwd_over_rev=True)
    # torch has no forward mode inside of its forward mode here: test_transforms nests those of torch.func
    assert gradcheck(pushed, (*x, *dx), check_batched_grad=True)
    assert gradgradcheck(pushed, (*x, *dx))


def test_a_planted_error_is_found():
    """Derivatives off by one in a thousand fail, where right ones pass."""
    x = tensors(requires_grad=True)
    for check in (gradcheck, gradgradcheck):
        assert check(lift(Scaled(smooth(), 1.0)), x, rtol=1e-5)
        with pytest.raises(RuntimeError, match="Jacobian mismatch"):
            check(lift(Scaled(smooth(), 1.001)), x, rtol=1e-5)


# ---- torch.func


def total(f):
    """A scalar function whose derivatives are all different from zero."""
    return lambda a, b: (f(a, b) ** 3).sum() + f(a, b).sum()


V = {"a": tensors(seed=5), "b": tensors(seed=6)}


TRANSFORMS = {
    "grad": lambda f: grad(total(f), argnums=(0, 1)),
    "vjp": lambda f: lambda a, b: vjp(f, a, b)[1](torch.ones(2, 1, dtype=a.dtype)),
    "jvp": lambda f: lambda a, b: jvp(f, (a, b), V["a"]),
    "jacrev": lambda f: jacrev(f, argnums=(0, 1)),
    "jacfwd": lambda f: jacfwd(f, argnums=(0, 1)),
    "hessian": lambda f: hessian(f, argnums=(0, 1)),
    "jacrev of jacrev": lambda f: jacrev(jacrev(f, argnums=(0, 1)), argnums=(0, 1)),
    "jacfwd of jacfwd": lambda f: jacfwd(jacfwd(f, argnums=(0, 1)), argnums=(0, 1)),
    "jacrev of jacfwd": lambda f: jacrev(jacfwd(f, argnums=(0, 1)), argnums=(0, 1)),
    "jacfwd of jacrev of jacfwd": lambda f: jacfwd(jacrev(jacfwd(f))),
    "hessian-vector product": lambda f: lambda a, b: jvp(grad(total(f), argnums=(0, 1)), (a, b), V["b"])[1],
    "gradient of a directional derivative": lambda f: grad(
        lambda a, b: (jvp(f, (a, b), V["a"])[1] ** 2).sum(), argnums=(0, 1)
    ),
    "hessian of a scalar": lambda f: hessian(total(f), argnums=(0, 1)),
}


def assert_same(mine, theirs):
    flat_mine, flat_theirs = (torch.utils._pytree.tree_leaves(value) for value in (mine, theirs))
    assert len(flat_mine) == len(flat_theirs)
    for a, b in zip(flat_mine, flat_theirs, strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    transform = TRANSFORMS[name]
    x = tensors()
    assert_same(transform(lift(smooth()))(*x), transform(formula)(*x))


@pytest.mark.parametrize("dims", [(0, 0), (0, None), (None, 0), (1, -1)])
@pytest.mark.parametrize("name", ["value", "grad", "jacrev", "jacfwd", "hessian", "hessian-vector product"])
def test_vmap_of_transforms(name, dims):
    transform = {"value": lambda f: f, **TRANSFORMS}[name]
    x = tuple(
        part if dim is None else part.movedim(0, dim)
        for part, dim in zip(tensors(*((() if dim is None else (3,)) for dim in dims)), dims, strict=True)
    )
    assert_same(vmap(transform(lift(smooth())), dims)(*x), vmap(transform(formula), dims)(*x))


@pytest.mark.parametrize("name", ["grad", "jacrev", "jacfwd", "hessian"])
def test_transforms_of_vmap(name):
    """With a batch under vmap beside one in the shape, and arguments that have one, the other, or both."""
    transform = TRANSFORMS[name]
    x = tensors((3, 2), (2,))
    for dims in ((0, None), (1, 0)):
        mine, theirs = (transform(vmap(f, dims, out_dims=1)) for f in (lift(smooth()), formula))
        assert_same(mine(*x), theirs(*x))


NESTED = {
    "twice the first": (((2, 3), (2,)), ((0, None), (0, 0))),
    "each once": (((2,), (3,)), ((None, 0), (0, None))),
    "both twice": (((2, 3), (2, 3)), ((0, 0), (0, 0))),
    "inner both": (((2, 3), (3,)), ((0, 0), (0, None))),
}


@pytest.mark.parametrize("name", NESTED)
def test_vmap_of_vmap(name):
    leads, (inner, outer) = NESTED[name]
    x = tensors(*leads)
    for transform in (lambda f: f, TRANSFORMS["grad"], TRANSFORMS["jacrev"], TRANSFORMS["hessian"]):
        mine, theirs = (vmap(vmap(transform(f), inner), outer) for f in (lift(smooth()), formula))
        assert_same(mine(*x), theirs(*x))


def test_batches_inside_vmap():
    x = tensors((3, 2, 1), (3, 4))
    for name in ("grad", "jacrev", "hessian"):
        mine, theirs = (vmap(TRANSFORMS[name](f)) for f in (lift(smooth()), formula))
        assert_same(mine(*x), theirs(*x))


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_vectorised_functional(strategy):
    """Torch's older vmap, which looks for no rule of a function."""
    x, layer = tensors(), lift(smooth())
    jacobian, hessian = torch.autograd.functional.jacobian, torch.autograd.functional.hessian
    assert_same(jacobian(layer, x, vectorize=True, strategy=strategy), jacobian(formula, x))
    mine = hessian(total(layer), x, vectorize=True, outer_jacobian_strategy=strategy)
    assert_same(mine, hessian(total(formula), x))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_gradients_of_gradients(order):
    def derivative(f):
        x = tensors((2,), (), requires_grad=True)
        value = total(f)(*x)
        for i in range(order):
            gradients = torch.autograd.grad(value, x, create_graph=i < order - 1)
            value = sum(torch.tanh(0.1 * part).sum() for part in gradients)
        return gradients

    assert_same(derivative(lift(smooth())), derivative(formula))


def test_forward_over_reverse_by_hand():
    def directional(f):
        x, dx = tensors(requires_grad=True), tensors(seed=7)
        with forward_ad.dual_level():
            dual = tuple(forward_ad.make_dual(part, move) for part, move in zip(x, dx, strict=True))
            gradients = torch.autograd.grad(total(f)(*dual), dual, create_graph=True)
            return [forward_ad.unpack_dual(part).tangent.detach() for part in gradients]

    assert_same(directional(lift(smooth())), directional(formula))


def test_an_argument_used_twice():
    def twice(f):
        (a,) = tensors(spaces=(A_SPACE,), requires_grad=True)
        return torch.autograd.grad((f(a, torch.outer(a, a)) ** 2).sum(), a)

    assert_same(twice(lift(smooth())), twice(formula))


# ---- solves and memory


def forwards(layer, *leads, **options):
    x = tensors(*(leads or ((), ())), **options)
    return x, layer(*x)


def test_one_linearisation_and_one_pullback():
    counting = Counting(smooth())
    layer = lift(counting)
    x, y = forwards(layer, requires_grad=True)
    assert counting.take() == ["linearize"]
    y.sum().backward()
    assert counting.take() == ["pull 11", "close"]


def test_only_what_is_wanted():
    counting = Counting(smooth())
    layer = lift(counting)
    a, b = tensors()
    for wanted in ("10", "01"):
        x = tuple(part.requires_grad_(want == "1") for part, want in zip((a.detach(), b.detach()), wanted, strict=True))
        layer(*x).sum().backward()
        assert counting.take() == ["linearize", f"pull {wanted}", "close"]


def test_nothing_is_kept_where_nothing_is_differentiated():
    counting = Counting(smooth())
    layer = lift(counting)
    layer(*tensors())
    with torch.no_grad():
        layer(*tensors(requires_grad=True))
    with torch.inference_mode():
        layer(*tensors())
    assert counting.take() == ["value"] * 3


def test_solves_of_forward_mode():
    counting = Counting(smooth())
    layer = lift(counting)
    jvp(layer, tensors(), V["a"])
    assert counting.take() == ["linearize", "push", "close"]
    with forward_ad.dual_level():
        layer(*map(forward_ad.make_dual, tensors(), V["a"]))
    assert counting.take() == ["linearize", "push", "close"]
    jacfwd(layer)(*tensors())  # two directions at one point
    assert counting.take() == ["linearize", "push", "push", "close"]


def test_solves_of_second_order():
    counting = Counting(smooth())
    x, y = forwards(lift(counting), requires_grad=True)
    gradients = torch.autograd.grad((y**2).sum(), x, create_graph=True)
    assert counting.take() == ["linearize", "pull 11"]
    torch.autograd.grad(gradients, x, V["a"])
    # the value of the linearised tangent is the pushforward that the Gauss-Newton part needs
    assert [call for call in counting.take() if "close" not in call] == ["Tlinearize", "Tpull 1100", "pull 11"]


def test_batches_are_linearised_once_for_each_element():
    counting = Counting(smooth())
    x, y = forwards(lift(counting), (3,), (), requires_grad=True)
    y.sum().backward()
    assert counting.take() == ["linearize"] * 3 + ["pull 11"] * 3 + ["close"] * 3
    jacrev(lift(counting))(*tensors())  # two rows at one point
    assert counting.take() == ["linearize", "pull 10", "pull 10", "close"]
    vmap(jacrev(lift(counting)), (0, None))(*tensors((3,), ()))
    assert counting.take() == ["linearize"] * 3 + ["pull 10"] * 6 + ["close"] * 3
    grad(lambda a, b: vmap(jacrev(lift(counting)), (0, None))(a, b).sum())(*tensors((3,), ()))
    calls = counting.take()
    assert calls.count("linearize") == 3 and calls.count("Tlinearize") == 3 * 2


def test_a_graph_that_is_kept():
    counting = Counting(smooth())
    x, y = forwards(lift(counting), requires_grad=True)
    first = torch.autograd.grad(y.sum(), x, retain_graph=True)
    assert len(counting.alive) == 1
    assert_same(torch.autograd.grad(y.sum(), x), first)
    assert counting.take() == ["linearize", "pull 11", "pull 11", "close"]


def test_memory_is_released():
    counting = Counting(smooth())
    layer = lift(counting)
    x, y = forwards(layer, requires_grad=True)
    assert len(counting.alive) == 1
    y.sum().backward()
    assert not counting.alive, "after a backward pass"
    x, y = forwards(layer, requires_grad=True)
    del y
    assert not counting.alive, "with the result"
    gradients = torch.autograd.grad((layer(*x) ** 2).sum(), x, create_graph=True)
    torch.autograd.grad(gradients, x, V["a"])
    del gradients
    gc.collect()
    assert not counting.alive, "after a second derivative"
    hessian(layer)(*tensors())
    gc.collect()
    assert not counting.alive, "after a transform"


def test_checkpointing_drops_the_linearisation():
    counting = Counting(smooth())
    layer = lift(counting)
    x = tensors(requires_grad=True)
    expected = torch.autograd.grad((formula(*x) ** 2).sum(), x)
    y = checkpoint(lambda a, b: layer(a, b) ** 2, *x, use_reentrant=False)
    assert counting.take() == ["linearize", "close"] and not counting.alive
    assert_same(torch.autograd.grad(y.sum(), x), expected)
    assert counting.take() == ["linearize", "pull 11", "close"] and not counting.alive


def test_saved_tensor_hooks():
    counting = Counting(smooth())
    layer = lift(counting)
    x = tensors(requires_grad=True)
    expected = torch.autograd.grad((formula(*x) ** 2).sum(), x)
    with torch.autograd.graph.save_on_cpu():
        y = layer(*x) ** 2
    assert_same(torch.autograd.grad(y.sum(), x), expected)
    assert counting.take() == ["linearize", "pull 11", "close"]
    with torch.autograd.graph.saved_tensors_hooks(pickle.dumps, pickle.loads):
        y = layer(*x) ** 2
    assert not counting.alive
    assert_same(torch.autograd.grad(y.sum(), x), expected)  # one more solve, and as right
    assert counting.take() == ["linearize", "close", "linearize", "pull 11", "close"]


def test_a_changed_point_is_refused():
    layer = lift(smooth())
    a, b = tensors(requires_grad=True)
    y = layer(a * 1.0, c := b * 1.0)
    with torch.no_grad():
        c.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_changed_result_changes_nothing_else():
    layer = lift(smooth())
    x = tensors(requires_grad=True)
    gradients = torch.autograd.grad((layer(*x).mul_(2.0) ** 2).sum(), x, create_graph=True)
    expected = torch.autograd.grad(((2 * formula(*x)) ** 2).sum(), x, create_graph=True)
    assert_same(gradients, expected)
    assert_same(torch.autograd.grad(gradients, x, V["a"]), torch.autograd.grad(expected, x, V["a"]))


# ---- maps that end


def test_a_map_without_second_derivative():
    """What needs it raises; what does not, works."""
    layer = lift(Counting(smooth(), tangents=0))
    x, y = forwards(layer, requires_grad=True)
    gradients = torch.autograd.grad((y**2).sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="Gauss-Newton"):
        torch.autograd.grad(gradients, x, V["a"])
    for name in ("hessian", "jacrev of jacrev", "jacfwd of jacfwd", "jacrev of jacfwd"):
        with pytest.raises(NotImplementedError, match="Gauss-Newton"):
            TRANSFORMS[name](layer)(*tensors())
    for name in ("grad", "vjp", "jvp", "jacrev", "jacfwd"):
        assert_same(TRANSFORMS[name](layer)(*tensors()), TRANSFORMS[name](formula)(*tensors()))
    assert gradcheck(layer, x, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True)


def test_linear_parts_need_no_second_derivative():
    """The pushforward is linear in its direction, the pullback in what it pulls back: to any order."""
    layer, x = lift(Counting(smooth(), tangents=0)), tensors()
    assert gradgradcheck(lambda a, b: jvp(layer, x, (a, b))[1], tensors(seed=2, requires_grad=True))
    (y,) = tensors(seed=3, spaces=(Y_SPACE,), requires_grad=True)
    assert gradgradcheck(lambda y: vjp(layer, *x)[1](y), (y,))
    gauss_newton = lambda f: lambda a, b: vjp(f, *x)[1](jvp(f, x, (a, b))[1])  # noqa: E731
    assert_same(jacrev(gauss_newton(layer))(*x), jacrev(gauss_newton(formula))(*x))
    assert_same(jacfwd(gauss_newton(layer))(*x), jacfwd(gauss_newton(formula))(*x))


def test_a_map_with_one_tangent():
    layer = lift(Counting(smooth(), tangents=1))
    x = tensors(requires_grad=True)
    assert gradgradcheck(layer, x, check_fwd_over_rev=True)
    with pytest.raises(NotImplementedError, match="Gauss-Newton"):
        jacrev(hessian(layer))(*tensors())


def test_a_failing_solve_shows_itself():
    class Broken(Counting):
        def _linearize(self, *x):
            raise ZeroDivisionError("no solve")

    with pytest.raises(ZeroDivisionError, match="no solve"):
        lift(Broken(smooth()))(*tensors(requires_grad=True))


# ---- what comes in


def test_dtypes():
    layer = lift(smooth("float32"))
    a, b = (part.requires_grad_() for part in tensors())
    half = a.detach().half().requires_grad_()
    y = layer(half, b)
    assert y.dtype == torch.float32
    y.sum().backward()
    assert half.grad.dtype == torch.float16 and b.grad.dtype == torch.float64
    expected = torch.autograd.grad(formula(a, b).sum(), (a, b))
    torch.testing.assert_close(b.grad, expected[1], rtol=1e-2, atol=1e-2)
    assert lift(smooth("complex128"))(a, b).dtype == torch.complex128
    assert gradcheck(lift(smooth("complex128")), (a, b))


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (lambda a, b: (a,), SpaceError, "takes 2 arguments, got 1"),
        (lambda a, b: (a, b, b), SpaceError, "takes 2 arguments, got 3"),
        (lambda a, b: (a.numpy(), b), ParameterError, "argument 0 is a ndarray"),
        (lambda a, b: (a, None), ParameterError, "argument 1 is a NoneType"),
        (lambda a, b: (a.long(), b), ParameterError, "argument 0 is of torch.int64"),
        (lambda a, b: (a, b > 0), ParameterError, "argument 1 is of torch.bool"),
        (lambda a, b: (a, b.flatten()), SpaceError, "argument 1 has shape (4,), expected (*batch, 2, 2)"),
        (lambda a, b: (a[0], b), SpaceError, "argument 0 has shape ()"),
        (lambda a, b: (a + 1j, b), SpaceError, "argument 0 is complex"),
        (lambda a, b: (a.expand(2, 2), b.expand(3, 2, 2)), SpaceError, "(2,), (3,), do not broadcast"),
        (lambda a, b: (a, b.to("meta")), SpaceError, "argument 1 on meta"),
        (lambda a, b: (a * torch.nan, b), ParameterError, "argument 0, a[i=2], has 2 of 2 values that are NaN"),
        (lambda a, b: (a, b / torch.tensor([1.0, 0.0])), ParameterError, "argument 1, b[i=2, j=2], has 2 of 4"),
    ],
)
def test_refusals(x, error, words):
    counting = Counting(smooth())
    with pytest.raises(error) as caught:
        lift(counting)(*x(*tensors()))
    assert words in str(caught.value)
    assert not counting.take(), "refused before anything is solved"


def test_nan_is_found_under_transforms():
    a, b = tensors((2,), ())
    a[1, 0] = torch.nan
    with pytest.raises(ParameterError, match="element 1 of the batch, .* has 1 of 2 values that are NaN"):
        vmap(grad(total(lift(smooth()))), (0, None))(a, b)


def test_what_cannot_be_lifted():
    with pytest.raises(TypeError, match="cannot lift a ndarray"):
        lift(np.eye(3))


def test_printing():
    assert repr(lift(smooth())) == "MapLayer(Composed: (a[i=2], b[i=2, j=2]) -> y[l=2, m=1]; k: 0; r: 1)"


# ---- modules among others


def test_copies(tmp_path):
    layer = lift(smooth())
    torch.save(layer, tmp_path / "layer.pt")
    copies = [
        copy.copy(layer),
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(tmp_path / "layer.pt", weights_only=False),
    ]
    for other in copies:
        assert_same(hessian(other)(*tensors()), hessian(formula)(*tensors()))
    assert not layer.state_dict() and not list(layer.parameters())


def test_threads():
    layer = lift(smooth())
    inputs = [tensors((2,), (), seed=i, requires_grad=True) for i in range(8)]
    results = [None] * len(inputs)

    def work(i):
        for _ in range(5):
            results[i] = torch.autograd.grad((layer(*inputs[i]) ** 2).sum(), inputs[i])

    def shared(i):
        results[i] = torch.autograd.grad((y**2).sum(), inputs[0], retain_graph=True)

    for task in (work, shared):
        if task is shared:
            y = layer(*inputs[0])
        threads = [threading.Thread(target=task, args=(i,)) for i in range(len(inputs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i, x in enumerate(inputs):
            x = inputs[0] if task is shared else x
            assert_same(results[i], torch.autograd.grad((formula(*x) ** 2).sum(), x))


class Net(torch.nn.Module):
    """A layer between two others."""

    def __init__(self, layer):
        super().__init__()
        torch.manual_seed(0)
        self.before, self.layer, self.after = torch.nn.Linear(2, 2), layer, torch.nn.Linear(1, 1)
        self.double()

    def forward(self, a, b):
        return self.after(self.layer(torch.tanh(self.before(a)), b)).sum()


def parameter_gradients(net, *x, call=None):
    net.zero_grad()
    (net if call is None else call)(*x).backward()
    return [p.grad.clone() for p in net.parameters()]


class Formula(torch.nn.Module):
    forward = staticmethod(formula)


def test_compile_breaks_the_graph():
    torch.compiler.reset()
    net, x = Net(lift(smooth())), tensors((2,), ())
    expected = parameter_gradients(Net(Formula()), *x)
    graphs = []

    def backend(graph, inputs):
        if any(node.op == "placeholder" for node in graph.graph.nodes):  # else nothing is computed
            graphs.append(graph)
        return graph

    assert_same(parameter_gradients(net, *x, call=torch.compile(net, backend=backend)), expected)
    assert len(graphs) == 2, "before and after the layer"
    torch.compiler.reset()
    with pytest.raises(RuntimeError, match="graph break|skipped"):
        torch.compile(net, backend=backend, fullgraph=True)(*x)


def some_of(names, *quick):
    """All names, but those that are not given marked as slow."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]


class Looking(Counting):
    """A map that writes down whether the compiler is looking at what it calls."""

    def _call(self, *x):
        self.log.append(torch.compiler.is_compiling())
        return self.inner(*x)

    def _linearize(self, *x):
        self.log.append(torch.compiler.is_compiling())
        return self.inner.linearize(*x)

    def _make_tangent(self):
        return Looking(self.inner.tangent(), self.log)


@pytest.mark.parametrize("name", some_of(TRANSFORMS, "grad", "jvp", "jacfwd", "hessian-vector product"))
def test_compile_a_transform(name):
    """Whatever wraps the layer, the compiler sees nothing of the map, and the numbers are the same."""
    torch.compiler.reset()
    looking = Looking(smooth())
    transformed = TRANSFORMS[name](lift(looking))
    for f, x in ((transformed, tensors()), (vmap(transformed), tensors((2,), (2,)))):
        compiled = torch.compile(
            lambda a, b, f=f: torch.utils._pytree.tree_map(torch.neg, f(torch.sin(a), b)), backend="eager"
        )
        expected = torch.utils._pytree.tree_map(torch.neg, f(torch.sin(x[0]), x[1]))
        torch.testing.assert_close(compiled(*x), expected, rtol=0, atol=0)
    log = looking.take()
    assert log and not any(log)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compile_a_training_step(backend):
    """Forward, backward and the optimiser's step in one function."""

    def trained(compile, map):
        net, x = Net(lift(map)), tensors((2,), ())
        optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

        def step(*x):
            optimiser.zero_grad()
            loss = net(*x) ** 2
            loss.backward()
            optimiser.step()
            return loss.detach()

        step = compile(step)
        return [step(*x) for _ in range(4)], [p.detach() for p in net.parameters()]

    torch.compiler.reset()
    looking = Looking(smooth())
    found = trained(lambda step: torch.compile(step, backend=backend), looking)
    torch.testing.assert_close(found, trained(lambda step: step, smooth()), rtol=0, atol=0)
    log = looking.take()
    assert log and not any(log)


def test_compile_gradients():
    """First and second ones, asked for inside what is compiled."""
    torch.compiler.reset()
    looking, x = Looking(smooth()), tensors((2,), ())
    layer = lift(looking)

    def f(*x):
        x = [part.detach().requires_grad_() for part in x]
        first = torch.autograd.grad((layer(torch.sin(x[0]), x[1]) ** 3).sum(), x, create_graph=True)
        return [part.detach() for part in first], torch.autograd.grad(sum((part**2).sum() for part in first), x)

    torch.testing.assert_close(torch.compile(f, backend="eager")(*x), f(*x), rtol=0, atol=0)
    log = looking.take()
    assert log and not any(log)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile_traces_what_is_traceable(backend):
    torch.compiler.reset()
    counting = Counting(smooth())
    net, x = Net(lift(counting, traceable=True)), tensors((2,), ())
    expected = parameter_gradients(Net(Formula()), *x)
    compiled = torch.compile(net, backend=backend, fullgraph=True)
    assert_same(parameter_gradients(net, *x, call=compiled), expected)
    assert counting.take() == ["linearize"] * 2 + ["pull 10"] * 2 + ["close"] * 2
    with torch.no_grad():
        assert_same(compiled(*x), Net(Formula())(*x))
    assert counting.take() == ["value"] * 2


def test_traceable_refuses_the_rest():
    torch.compiler.reset()
    layer = lift(smooth(), traceable=True)
    x = tensors()
    named = pytest.raises(NotImplementedError, match="without traceable")
    for transform in (*TRANSFORMS.values(), vmap):
        with named:
            transform(layer)(*(part.expand(2, *part.shape) if transform is vmap else part for part in x))
    with forward_ad.dual_level(), named:
        layer(forward_ad.make_dual(x[0], x[0]), x[1])
    y = layer(*(part.requires_grad_() for part in x))
    with forward_ad.dual_level(), named:
        torch.autograd.grad(y, x, forward_ad.make_dual(torch.ones_like(y), y.detach()), retain_graph=True)
    gradients = torch.autograd.grad((y**2).sum(), x, create_graph=True)
    with named:
        torch.autograd.grad(gradients, x, V["a"])
    x = tensors()
    with pytest.raises((NotImplementedError, RuntimeError), match="without traceable|bserved exception"):
        torch.compile(lambda a, b: jvp(layer, (a, b), V["a"])[1], backend="aot_eager", fullgraph=True)(*x)


def test_traceable_derivatives():
    x = tensors((2,), (), requires_grad=True)
    assert gradcheck(lift(smooth(), traceable=True), x)
    counting = Counting(smooth())
    y = lift(counting, traceable=True)(*x)  # the layer itself is gone before the backward pass
    y.sum().backward()
    assert counting.take() == ["linearize"] * 2 + ["pull 11"] * 2 + ["close"] * 2


def _train(rank, size, rendezvous, out):
    """One of several processes, each with its shots of a batch."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=size)
    net = torch.nn.parallel.DistributedDataParallel(Net(lift(smooth())))
    a, b = tensors((4,), (4,))
    gradients = parameter_gradients(net, a[rank::size], b[rank::size])
    if rank == 0:
        torch.save(gradients, out)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_share_a_batch(tmp_path):
    out = tmp_path / "gradients.pt"
    torch.multiprocessing.start_processes(
        partial(_train, size=2, rendezvous=tmp_path / "rendezvous", out=out), nprocs=2, start_method="spawn"
    )
    a, b = tensors((4,), (4,))
    expected = [part / 2 for part in parameter_gradients(Net(Formula()), a, b)]  # DDP averages
    assert_same(torch.load(out), expected)
