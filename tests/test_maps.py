"""Maps: values, linearisations, the chain rule."""

import pickle

import numpy as np
import pylops
import pytest
from toys import World

from seisops.check import dot_test, taylor_test
from seisops.errors import ParameterError, SpaceError
from seisops.maps import Arranged, Composed, Linearization, LinearMap, Map, Stacked
from seisops.operators import External, LinearOperator
from seisops.spaces import Axis, DirectSum, Space

X = Space("x", [Axis("i", 3)], "float64")
Y = Space("y", [Axis("j", 2), Axis("k", 2)], "float64")


class Times(LinearOperator):
    """Elementwise product with an array, then a matrix."""

    def __init__(self, domain, range, matrix, factor):
        self.matrix, self.factor = matrix, factor
        super().__init__(domain, range)

    def _apply(self, x):
        return (self.matrix @ (self.factor.ravel() * x.ravel())).reshape(self.range.shape)

    def _apply_adjoint(self, y):
        return (self.factor.ravel() * (self.matrix.T @ y.ravel())).reshape(self.domain.shape)


class Bilinear(Map):
    """(a, b) -> M (sin(a) b): one nonlinear and one linear argument; counts what is open."""

    def __init__(self, space=X, range=Y, seed=0):
        self.matrix = np.random.default_rng(seed).standard_normal((range.size, space.size))
        self.open = 0
        super().__init__((space, space), range)

    def _linearize(self, a, b):
        self.open += 1
        by_a = Times(self.domain[0], self.range, self.matrix, np.cos(a) * b)
        by_b = Times(self.domain[1], self.range, self.matrix, np.sin(a))
        return Linearization(by_b @ b, lambda: [by_a, by_b], self._close)

    def _close(self):
        self.open -= 1

    def _make_tangent(self):
        return BilinearTangent(self)


class BilinearTangent(Map):
    """(a, b, da, db) -> M (cos(a) b da + sin(a) db)."""

    def __init__(self, of):
        self.of = of
        super().__init__(of.domain * 2, of.range)

    def _linearize(self, a, b, da, db):
        factors = (np.cos(a) * db - np.sin(a) * b * da, np.cos(a) * da, np.cos(a) * b, np.sin(a))
        jacobians = [Times(s, self.range, self.of.matrix, f) for s, f in zip(self.domain, factors, strict=True)]
        return Linearization(jacobians[2] @ da + jacobians[3] @ db, jacobians)


class Square(Map):
    """x -> M x^2."""

    def __init__(self, domain=X, range=Y, seed=0):
        self.matrix = np.random.default_rng(seed).standard_normal((range.size, domain.size))
        super().__init__((domain,), range)

    def _call(self, x):
        return (self.matrix @ x.ravel() ** 2).reshape(self.range.shape)

    def _linearize(self, x):
        return Linearization(self._call(x), [Times(*self.domain, self.range, self.matrix, 2 * x)])

    def _make_tangent(self):
        return SquareTangent(self)


class SquareTangent(Map):
    """(x, dx) -> 2 M (x dx)."""

    def __init__(self, of):
        self.of = of
        super().__init__(of.domain * 2, of.range)

    def _linearize(self, x, dx):
        by_x, by_dx = (Times(self.domain[0], self.range, self.of.matrix, 2 * f) for f in (dx, x))
        return Linearization(by_x @ x, [by_x, by_dx])


class Cube(Map):
    """x -> x^3, without a tangent."""

    def __init__(self, space=X):
        super().__init__((space,), space)

    def _linearize(self, x):
        return Linearization(x**3, [Times(X, X, np.eye(3), 3 * x**2)])


def matrix(domain, range, seed):
    weights = np.random.default_rng(seed).standard_normal((range.size, domain.size))
    return Times(domain, range, weights, np.ones(domain.size))


MAPS = {
    "square": lambda: Square(),
    "bilinear": lambda: Bilinear(),
    "linear": lambda: LinearMap(matrix(X, Y, 1)),
    "operator after map": lambda: matrix(Y, X, 2) @ Bilinear(),
    "map after operator": lambda: Square() @ matrix(Y, X, 2),
    "map after map": lambda: Square(Y, X) @ Square(),
    "plain after map": lambda: External(pylops.Diagonal(np.arange(4.0))) @ Bilinear(),
    "chain of three": lambda: matrix(X, Y, 3) @ Square(Y, X) @ Bilinear(),
    "scaled": lambda: 2 * Square(),
    "negated": lambda: -Bilinear(),
    "sum": lambda: Square() + Square(seed=3),
    "difference": lambda: Square() - 2 * Square(seed=3),
    "map plus operator": lambda: Square() + matrix(X, Y, 4),
    "operator plus map": lambda: matrix(X, Y, 4) + Square(),
    "stacked": lambda: Stacked([Bilinear(), matrix(Y, X, 2) @ Bilinear(seed=5)]),
}


@pytest.mark.parametrize("name", MAPS)
def test_derivatives(name):
    f = MAPS[name]()
    x = tuple(0.5 + 0.1 * space.random(i) for i, space in enumerate(f.domain))
    value = f(*x)
    assert value.shape == f.range.shape and value.dtype == f.range.dtype
    with f.linearize(*x) as at_x:
        np.testing.assert_array_equal(at_x.value.ravel(), value.ravel())
        assert len(at_x.jacobians) == len(f.domain) and at_x.jacobians is at_x.jacobians
        for jacobian, space in zip(at_x.jacobians, f.domain, strict=True):
            assert jacobian.domain == space and jacobian.shape[0] == f.range.size
            assert dot_test(jacobian) < 1e-12
    result = taylor_test(f, x)
    if name == "linear":
        assert max(result.errors) < 1e-14
    else:
        assert abs(result.rate - 2) < 0.05
    assert abs(result.zeroth_rate - 1) < 0.05
    assert f.jacobian(*x).domain == f.domain[0]
    assert f.jacobian(*x, argument=len(x) - 1).domain == f.domain[-1]
    assert "\n" not in repr(f)


def test_sum_of_map_and_difference_have_the_values_of_arithmetic():
    f, g, a = Square(), Square(seed=3), matrix(X, Y, 4)
    x = X.random(0)
    flat = [np.ravel(v) for v in ((f - 2 * g)(x), (a + f)(x), (-f)(x))]
    expected = [f(x) - 2 * g(x), a @ x + f(x), -f(x)]
    for mine, theirs in zip(flat, expected, strict=True):
        np.testing.assert_allclose(mine, theirs.ravel())


def test_closing():
    f = Bilinear()
    composed = Square(Y, X) @ f
    x = (X.random(0), X.random(1))
    composed(*x)
    assert f.open == 0
    at_x = composed.linearize(*x)
    jacobian = at_x.jacobians[0]
    assert f.open == 1
    at_x.close()
    at_x.close()
    assert f.open == 0 and jacobian is not None
    with pytest.raises(ParameterError, match="closed"):
        at_x.jacobians  # noqa: B018


class Broken(Square):
    def _linearize(self, x):
        raise RuntimeError("no solve")


@pytest.mark.parametrize("make", [lambda f: Broken(Y, X) @ f, lambda f: Stacked([f, Broken(Y, X) @ Bilinear()])])
def test_failures_close_what_was_opened(make):
    f = Bilinear()
    with pytest.raises(RuntimeError, match="no solve"):
        make(f).linearize(X.random(0), X.random(1))
    assert f.open == 0


@pytest.mark.parametrize(
    ("attempt", "error", "words"),
    [
        (lambda: Square()(X.zeros(), X.zeros()), SpaceError, "1 arguments, got 2"),
        (lambda: Square()(np.zeros(4)), SpaceError, "(4,)"),
        (
            lambda: Square() @ Square(),
            SpaceError,
            "cannot form G @ H: the map G, <Square: (x[i=3]) -> y[j=2, k=2]>, takes <x[i=3] float64>; H, <Square:",
        ),
        (lambda: matrix(X, Y, 0) @ Square(), SpaceError, "takes <x[i=3] float64>; H, <Square: (x[i=3])"),
        (lambda: Bilinear(Y, X) @ Square(), SpaceError, "2 arguments"),
        (
            lambda: Square() + Square(Y, X),
            SpaceError,
            "cannot add the maps <Square: (x[i=3]) -> y[j=2, k=2]> and <Square: ",
        ),
        (lambda: Stacked([Square(), Bilinear()]), SpaceError, "different arguments"),
        (lambda: Stacked([]), ParameterError, "at least one"),
        (lambda: Square().jacobian(X.zeros(), argument=1), ParameterError, "argument 1"),
        (lambda: Cube().second((X.zeros(),), (X.zeros(),), X.zeros()), NotImplementedError, "Gauss-Newton"),
        (lambda: (Square() @ Cube()).tangent(), NotImplementedError, "Cube"),
        (lambda: Square() @ 3, TypeError, "unsupported"),
        (lambda: Square() + "text", TypeError, "unsupported"),
    ],
)
def test_refusals(attempt, error, words):
    with pytest.raises(error) as caught:
        attempt()
    assert words in str(caught.value)


def test_a_linear_map_has_no_curvature():
    f = LinearMap(matrix(X, Y, 0))
    assert not np.any(f.second((X.zeros(),), (X.zeros(),), Y.zeros()))


def test_maps_around_solves():
    w = World()
    solve = w.Pr * w.A * w.Ps.H
    f = solve @ Square(X, w.Ps.range)
    x = X.random(0)
    jacobian = f.jacobian(x)
    w.log.clear()
    jacobian @ x
    assert w.log == ["A"] and dot_test(jacobian) < 1e-12
    assert Stacked([f, f]).range == DirectSum([w.Pr.range, w.Pr.range])


@pytest.mark.parametrize("name", MAPS)
def test_tangents(name):
    f = MAPS[name]()
    rng = np.random.default_rng(7)
    x, dx, z = ([0.5 + 0.3 * space.random(rng) for space in f.domain] for _ in range(3))
    y = f.range.random(rng)
    T = f.tangent()
    assert T is f.tangent() and T.domain == f.domain * 2 and "_tangent" not in pickle.loads(pickle.dumps(f)).__dict__
    with f.linearize(*x) as at_x:
        pushed = at_x.pushforward(*dx)
        np.testing.assert_allclose(T(*x, *dx).ravel(), pushed.ravel(), rtol=1e-12, atol=1e-13)
        summed = sum(j.matvec(d.ravel()) for j, d in zip(at_x.jacobians, dx, strict=True))
        np.testing.assert_allclose(pushed.ravel(), summed, rtol=1e-12, atol=1e-13)
        pulled = at_x.pullback(y)
        for part, jacobian in zip(pulled, at_x.jacobians, strict=True):
            np.testing.assert_allclose(part.ravel(), jacobian.rmatvec(y.ravel()), rtol=1e-12, atol=1e-13)
        some = at_x.pullback(y, [False] * (len(x) - 1) + [True])
        assert some[:-1] == (None,) * (len(x) - 1)
        np.testing.assert_array_equal(some[-1], pulled[-1])
        assert not at_x.pushforward(*[None] * len(x)).any()
    with T.linearize(*x, *dx) as at_x:
        assert max(dot_test(jacobian) for jacobian in at_x.jacobians) < 1e-12
    if name != "linear":
        assert abs(taylor_test(T, (*x, *dx)).rate - 2) < 0.05
    forward, backward = (
        sum(np.vdot(a, b) for a, b in zip(f.second(x, u, y), v, strict=True)) for u, v in ((dx, z), (z, dx))
    )
    assert abs(forward - backward) <= 1e-12 * max(1.0, abs(forward))


def test_several_arguments_compose():
    f = Composed(Bilinear(Y, X), Bilinear(), Arranged(Square(), (X, X), [(1,)]))
    x = [0.5 + 0.1 * X.random(i) for i in range(2)]
    assert abs(taylor_test(f, tuple(x)).rate - 2) < 0.05
    assert abs(taylor_test(f.tangent(), (*x, *x)).rate - 2) < 0.05
    whole = Arranged(LinearMap(matrix(DirectSum([X, X]), Y, 1)), (X, X), [(1, 0)])
    np.testing.assert_allclose(whole(*x), LinearMap(matrix(DirectSum([X, X]), Y, 1))(np.concatenate(x[::-1])))
    with whole.linearize(*x) as at_x:
        np.testing.assert_allclose(at_x.pushforward(*x).ravel(), whole(*x).ravel())
    with pytest.raises(SpaceError, match="takes 2 arguments, not 1|arguments, not one"):
        Composed(Bilinear(Y, X), Bilinear())
    with pytest.raises(SpaceError, match="takes"):
        Arranged(Square(), (X, X), [(0, 1)])
