"""The tests of operators: they must pass what is right and catch what is wrong."""

import numpy as np
import pylops
import pytest
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator
from toys import Points, World

from seisops.check import TaylorResult, diagnose, dot_test, linearity_test, taylor_test
from seisops.errors import ParameterError
from seisops.maps import Linearization, Map
from seisops.operators import LinearOperator, Zero
from seisops.spaces import Axis, Space

SPACE = Space("x", [Axis("i", 2000)], "float64")


class Planted(LinearOperator):
    """A diagonal operator with a wrong adjoint."""

    def __init__(self, wrong, dtype="float64"):
        space = Space("x", [Axis("i", 2000)], dtype)
        self.diagonal = space.random(1)
        self.wrong = wrong
        super().__init__(space, space)

    def _apply(self, x):
        return self.diagonal * x

    def _apply_adjoint(self, y):
        return self.wrong(self.diagonal * y)


def one_element(y):
    y = y.copy()
    y[1000] *= 1.5
    return y


PLANTED = {
    "scaled by two": (lambda y: 2 * y, "scaled by 2"),
    "scaled by a little": (lambda y: 1.001 * y, "scaled by 1.001"),
    "sign": (lambda y: -y, "scaled by -1"),
    "shifted": (lambda y: np.roll(y, 1), "not by a constant factor"),
    "reversed": (lambda y: y[::-1], "not by a constant factor"),
    "one element of many": (one_element, "not by a constant factor"),
    "nothing": (lambda y: 0 * y, "wrong"),
}


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_wrong_adjoints_are_caught(name, dtype):
    wrong, words = PLANTED[name]
    op = Planted(wrong, dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    assert dot_test(op, trials=10) > 5 * tolerance
    if name != "one element of many" and name != "nothing":
        assert words in diagnose(op)
    assert dot_test(Planted(lambda y: y, dtype)) < tolerance
    assert "exact to rounding" in diagnose(Planted(lambda y: y, dtype))


def test_a_wrong_sampler_is_caught_through_a_solve():
    class Wrong(Points):
        def _apply_adjoint(self, y):
            out = super()._apply_adjoint(y)
            out[0, 0] = 0
            return out

    w = World()
    wrong = Wrong.random(w.waves, 1, "W")
    assert dot_test(w.Pr * w.A * wrong.H) > 1e-3
    assert dot_test(w.Pr * w.A * w.Pr.H) < 1e-12


PLAIN = {
    "real": lambda: pylops.FirstDerivative(50),
    "restriction": lambda: pylops.Restriction(50, [1, 2, 30]),
    "complex": lambda: pylops.signalprocessing.FFT(50, dtype="complex128"),
    "real-linear": lambda: pylops.signalprocessing.FFT(50, real=True),
    "single": lambda: pylops.Diagonal(np.arange(5, dtype="float32"), dtype="float32"),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_operators(name):
    op = PLAIN[name]()
    tolerance = 1e-5 if name == "single" else 1e-12
    assert dot_test(op, seed=3, trials=4) < tolerance
    assert linearity_test(op) < tolerance
    assert dot_test(op, seed=1) == dot_test(op, seed=1)


def test_operators_of_scipy_and_maps():
    matrix = sparse.csr_matrix(np.arange(24.0).reshape(4, 6))
    for op in (matrix, aslinearoperator(matrix)):
        assert dot_test(op) < 1e-12 and linearity_test(op) < 1e-12 and "exact" in diagnose(op)
    for test in (dot_test, linearity_test, diagnose):
        with pytest.raises(ParameterError, match=r"nonlinear map: .*G.jacobian\(x0\)\).* taylor_test\(G, \(x0,\)\)"):
            test(Cube())


def test_degenerate_operators():
    assert dot_test(Zero(SPACE, SPACE)) == linearity_test(Zero(SPACE, SPACE)) == 0.0
    assert np.isnan(dot_test(Planted(lambda y: np.full_like(y, np.nan))))


def test_linearity_test_catches():
    class Affine(Planted):
        def _apply(self, x):
            return super()._apply(x) + 1

    class Square(Planted):
        def _apply(self, x):
            return x**2

    assert linearity_test(Planted(lambda y: y)) < 1e-12
    assert linearity_test(Affine(lambda y: y)) > 1e-2
    assert linearity_test(Square(lambda y: y)) > 1e-2


class Cube(Map):
    """x -> x^3, with a Jacobian that is off by a factor."""

    def __init__(self, factor=1.0):
        self.factor = factor
        super().__init__((SPACE,), SPACE)

    def _linearize(self, x):
        op = Planted(lambda y: y)
        op.diagonal = self.factor * 3 * x**2
        return Linearization(x**3, [op])


@pytest.mark.parametrize(("factor", "rate"), [(1.0, 2.0), (1.01, 1.0), (0.0, 1.0), (-1.0, 1.0)])
def test_taylor_test(factor, rate):
    result = taylor_test(Cube(factor), SPACE.random(2), steps=[0.01 * 2**-k for k in range(8)])
    assert result.rates[-1] == pytest.approx(rate, abs=0.1)
    assert result.zeroth_rate == pytest.approx(1.0, abs=0.05)
    assert len(result.errors) == len(result.steps) == 8 and len(result.rates) == 7


def test_taylor_test_takes_directions_and_zero_points():
    x = SPACE.random(2)
    dx = np.zeros(2000)
    dx[3] = 1.0
    result = taylor_test(Cube(), (x,), (dx,), steps=(0.1, 0.05))
    h = 0.1
    assert result.errors[0] == pytest.approx(abs(3 * x[3] * h**2 + h**3))
    assert taylor_test(Cube(), SPACE.zeros()).rate == pytest.approx(3.0)


def test_taylor_test_of_an_operator_shows_rounding_only():
    w = World()
    op = w.Pr * w.A * w.Ps.H
    assert max(taylor_test(op, op.domain.random(0)).errors) < 1e-12


def test_taylor_result_without_errors():
    result = TaylorResult((0.1, 0.05), (0.0, 0.0), (0.1, 0.05))
    assert np.isnan(result.rate) and result.zeroth_rate == pytest.approx(1.0)


def test_taylor_result_is_the_sequence_of_its_rates():
    result = TaylorResult((2.0, 1.0), (4.0, 1.0), (2.0, 1.0))
    np.testing.assert_allclose(result, [2.0])
    assert len(result) == 1 and result[0] == result.rate
