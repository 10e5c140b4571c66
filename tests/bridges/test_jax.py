"""Operators and maps in JAX: reverse mode to any order, under jit and vmap, against JAX's own derivatives."""

import numpy as np
import pylops
import pytest

import seisops as so
from seisops.check import dot_test
from seisops.engine.kernel import Kernel
from seisops.errors import ParameterError, SpaceError
from seisops.maps import Arranged, Linearization, Map
from seisops.operators import LinearOperator
from seisops.spaces import Axis, Space

jax = pytest.importorskip("jax")
jnp = jax.numpy
lift = pytest.importorskip("seisops.jax").lift

X = Space("x", [Axis("i", 3)], "float64")
Y = Space("y", [Axis("j", 2), Axis("k", 2)], "float64")
M = np.random.default_rng(0).standard_normal((4, 3))


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


class Rows(LinearOperator):
    """dx -> M (factor dx)."""

    def __init__(self, factor):
        self.factor = factor
        super().__init__(X, Y)

    def _apply(self, x):
        return (M @ (self.factor * x)).reshape(2, 2)

    def _apply_adjoint(self, y):
        return self.factor * (M.T @ y.ravel())


class Wave(Map):
    """(a, b) -> M (sin(a + k pi/2) b): its tangent is a sum of two more of them, with another k and other arguments."""

    def __init__(self, k=0):
        self.k, self.log = k, []
        super().__init__((X, X), Y)

    def _call(self, a, b):
        self.log.append("value")
        return (M @ (np.sin(a + self.k * np.pi / 2) * b)).reshape(2, 2)

    def _linearize(self, a, b):
        self.log.append("linearize")
        value = Wave._call(Wave(self.k), a, b)
        by_b = np.sin(a + self.k * np.pi / 2)
        return Linearization(value, [Rows(np.cos(a + self.k * np.pi / 2) * b), Rows(by_b)])

    def _make_tangent(self):
        return Arranged(Slope(self.k), (X, X, X, X), [(0,), (1,), (2,)]) + Arranged(self, (X, X, X, X), [(0,), (3,)])


class Slope(Map):
    """(a, b, da) -> M (cos(a + k pi/2) b da)."""

    def __init__(self, k):
        self.k = k
        super().__init__((X, X, X), Y)

    def _linearize(self, a, b, da):
        s, c = np.sin(a + self.k * np.pi / 2), np.cos(a + self.k * np.pi / 2)
        return Linearization((M @ (c * b * da)).reshape(2, 2), [Rows(-s * b * da), Rows(c * da), Rows(c * b)])


def reference(a, b):
    return (jnp.asarray(M) @ (jnp.sin(a) * b)).reshape(2, 2)


def misfit(f):
    return lambda a, b: jnp.sum(jnp.cos(f(a, b)) ** 3)


POINT = np.random.default_rng(1).uniform(0.2, 0.8, (2, 3))


def same(a, b):
    jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, rtol=1e-12, atol=1e-12), a, b)


TRANSFORMS = {
    "value": lambda f: f,
    "grad": lambda f: jax.grad(misfit(f), (0, 1)),
    "jacrev": lambda f: jax.jacrev(f, (0, 1)),
    "second": lambda f: jax.jacrev(jax.grad(misfit(f), (0, 1)), (0, 1)),
    "second of the map": lambda f: jax.jacrev(jax.jacrev(f, (0, 1)), (0, 1)),
    "jit": lambda f: jax.jit(jax.grad(misfit(f), (0, 1))),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    same(TRANSFORMS[name](lift(Wave()))(*POINT), TRANSFORMS[name](reference)(*POINT))


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
@pytest.mark.parametrize("name", ["value", "grad", "jit"])
def test_batches(name, axes):
    x = [POINT[i] * np.array([[1.0], [2.0], [0.5]]) if axis == 0 else POINT[i] for i, axis in enumerate(axes)]
    same(*(jax.vmap(TRANSFORMS[name](f), axes)(*x) for f in (lift(Wave()), reference)))


def test_a_wrong_jacobian_is_noticed(monkeypatch):
    monkeypatch.setattr(Rows, "_apply_adjoint", lambda self, y: 1.001 * self.factor * (M.T @ y.ravel()))
    with pytest.raises(AssertionError):
        same(TRANSFORMS["grad"](lift(Wave()))(*POINT), TRANSFORMS["grad"](reference)(*POINT))


def test_what_is_computed():
    f = Wave()
    layer = lift(f)
    layer(*POINT)
    assert f.log == ["value"]
    jax.grad(misfit(layer), (0, 1))(*POINT)
    assert f.log == ["value", "linearize"]
    layer.forget()
    jax.grad(misfit(layer))(*POINT)
    assert f.log == ["value", "linearize", "linearize"]
    same(layer.tangent(*POINT, *POINT), jax.jvp(reference, tuple(POINT), tuple(POINT))[1])


@pytest.mark.parametrize("complex_input", [False, True])
def test_a_complex_operator(complex_input):
    rng = np.random.default_rng(2)
    matrix = rng.standard_normal((4, 3)) + 1j * rng.standard_normal((4, 3))
    x = rng.standard_normal(3) + (1j * rng.standard_normal(3) if complex_input else 0)
    y = rng.standard_normal(4) + 1j * rng.standard_normal(4)
    layer = lift(pylops.MatrixMult(matrix, dtype="complex128"))
    (value, pull), (expected, expected_pull) = (jax.vjp(f, x) for f in (layer, lambda x: matrix @ x))
    same((value, pull(y)), (expected, expected_pull(y)))


def test_a_plain_operator():
    op = pylops.Smoothing1D(5, 20, dtype="float64")
    x = np.random.default_rng(3).standard_normal(20)
    same(jax.jacrev(lift(op))(x), op.todense())


def test_waves(monkeypatch):
    grid, time = so.Grid((24, 21), 10.0), so.Time(31, 0.002)
    waves = so.Wavefield(grid, time, shots=2, dtype="float64")
    vp = np.random.default_rng(4).uniform(1500.0, 2000.0, grid.shape)
    A = so.Modeling(waves, so.Acoustic(grid, vp=vp), boundary=so.PML(cells=6), space_order=4)
    F = so.Projection(waves, [(50.0, 60.0), (120.0, 90.0)]) * A * so.Projection(waves, [(100.0, 20.0)]).H
    G, q = so.Parametric(F, "vp"), F.domain.random(5)
    layer = lift(G)
    runs, run = [], Kernel.run
    monkeypatch.setattr(Kernel, "run", lambda self, *a, **k: (runs.append(self), run(self, *a, **k)))

    def loss(vp, q):
        return 0.5 * jnp.sum(layer(vp, q) ** 2)

    by_vp, by_q = jax.grad(loss, (0, 1))(vp, q)
    assert len(runs) == 2 * waves.shots
    with G.linearize(vp, q) as at:
        same((by_vp, by_q), at.pullback(at.value))
        gauss = at.pullback(at.pushforward(vp, None))[0]
        expected = gauss + G.second((vp, q), (vp, 0 * q), at.value)[0]
    _, pull = jax.vjp(lambda vp: jax.grad(loss)(vp, q), vp)
    np.testing.assert_allclose(pull(vp)[0], expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())
    same(jax.jit(lift(F))(q), F @ q)
    assert dot_test(F) < 1e-12


@pytest.mark.parametrize(
    ("attempt", "error", "words"),
    [
        (lambda: lift(3), TypeError, "int"),
        (lambda: lift(Wave())(POINT[0]), SpaceError, "takes 2 arguments, got 1"),
        (lambda: lift(Wave())(POINT[0], np.zeros(4)), SpaceError, "argument 1 has shape (4,), expected (3,)"),
        (lambda: lift(Wave())(np.arange(3), POINT[1]), ParameterError, "argument 0 is of int"),
        (lambda: lift(Wave())(1j * POINT[0], POINT[1]), SpaceError, "complex"),
        (lambda: jax.jvp(lift(Wave()), tuple(POINT), tuple(POINT)), TypeError, "forward-mode"),
        (lambda: jax.jacfwd(lift(Wave()))(*POINT), TypeError, "forward-mode"),
        (lambda: jax.jacrev(jax.grad(lambda a: jnp.sum(lift(Slope(0))(a, a, a) ** 2)))(POINT[0]),
         NotImplementedError, "no second derivative"),
    ],
)  # fmt: skip
def test_refusals(attempt, error, words):
    with pytest.raises(error) as caught:
        attempt()
    assert words in str(caught.value)


def test_single_precision_is_asked_for():
    with jax.enable_x64(False), pytest.raises(ParameterError, match="jax_enable_x64"):
        lift(Wave())(*POINT)
