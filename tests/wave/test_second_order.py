"""Second derivatives of modeling: exact, symmetric, and one code path for every expression and equation."""

import numpy as np
import pylops
import pytest
import sympy
from cases import world
from own_media import VelocityPressure, VerticalAxis
from physics import Heat, TiltedWaves

import seisops as so
from seisops.check import dot_test, taylor_test
from seisops.engine.kernel import Kernel
from seisops.wave.tangent import TangentEquation

# Systems of a field and its derivative take long to lower, with layers and density above all: there the order is the
# lowest. What is proven holds for the discrete equations, whatever their order.
WORLDS = {
    "m": (dict(), "m"),
    "vp": (dict(), "vp"),
    "substeps": (dict(substeps=True), "m"),
    "sponge": (dict(boundary="sponge"), "m"),
    "surface": (dict(surface=True, order=2), "m"),
    "no layer": (dict(boundary="none"), "vp"),
    "3D": (dict(ndim=3, boundary="none", order=2), "m"),
    "m and density": (dict(density=True, boundary="none"), ("m", "rho")),
    "vp and density": (dict(density=True, boundary="sponge"), ("vp", "rho")),
    "vp and density under a surface": (dict(density=True, surface=True, order=2), ("vp", "rho")),
}


def point(G, medium, seed=0):
    """A point, two directions of a tenth of its size, and data."""
    rng = np.random.default_rng(seed)
    x = [*(medium.get(name) for name in G.wrt), G.domain[-1].random(rng)]

    def direction():
        return [a * (0.1 * rng.standard_normal(a.shape)) for a in x]

    y = G.range.random(rng)
    return x, direction(), direction(), y / np.linalg.norm(y)


def inner(a, b):
    return sum(float(np.vdot(u, v)) for u, v in zip(a, b, strict=True))


def check(G, medium, tolerance=1e-10):
    """The tangent is the derivative; the second derivative is symmetric and that of the gradient; all are exact."""
    x, dx, z, y = point(G, medium)
    T = G.tangent()
    with G.linearize(*x) as at_x:
        pushed = at_x.pushforward(*dx)
    np.testing.assert_allclose(T(*x, *dx), pushed, rtol=0, atol=1e-12 * np.abs(pushed).max())

    by_dx, by_z = G.second(x, dx, y), G.second(x, z, y)
    forward, backward = inner(by_dx, z), inner(by_z, dx)
    assert abs(forward - backward) < tolerance * max(abs(forward), abs(backward))

    def gradient(step):
        with G.linearize(*(a + step * d for a, d in zip(x, dx, strict=True))) as at:
            return at.pullback(y)

    h = 1e-3
    for exact, after, before in zip(by_dx, gradient(h), gradient(-h), strict=True):
        difference = (after - before) / (2 * h)
        assert np.linalg.norm(difference) > 0
        assert np.linalg.norm(exact - difference) < 1e-5 * np.linalg.norm(difference)

    with T.linearize(*x, *dx) as at_x:
        assert max(dot_test(jacobian) for jacobian in at_x.jacobians) < 1e-12
    assert abs(taylor_test(T, (*x, *dx), seed=3).rate - 2) < 0.05


@pytest.mark.parametrize("name", WORLDS)
def test_media(name):
    options, wrt = WORLDS[name]
    w = world(**options)
    check(so.Parametric(w.F, wrt), w.medium)


EXPRESSIONS = {
    "extended source": lambda w: w.extended,
    "plain operator on the left": lambda w: pylops.Diagonal(np.linspace(1, 2, w.F.shape[0])) * w.F,
    "sum": lambda w: w.F + 2.0 * (w.points(3, 9) * w.A * w.Ps.H),
    "two sets of receivers": lambda w: so.VStack([w.F, w.points(1, 6) * w.A * w.Ps.H]),
    "column of solves": lambda w: so.VStack([w.F, w.points(3, 9) * w.A * (w.Ps.H * 2.0 + w.Ps.H)]),
    "row": lambda w: so.HStack([w.F, w.Pr * w.A * w.Ps2.H, w.extended]),
    "diagonal": lambda w: so.BlockDiag([w.F, w.Pr * w.A * w.Ps2.H]),
    "two solves": lambda w: w.Pr * w.A * w.Ps.H * (w.Ps * w.A * w.Ps2.H),
    "a wavefield": lambda w: w.A * w.Ps.H,
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(name):
    w = world(boundary="none")
    check(so.Parametric(EXPRESSIONS[name](w)), w.medium)


def test_subsampled_histories_approximate():
    w = world(boundary="none")
    exact, rough = (so.Parametric(w.F, storage=s) for s in (so.storage.Full(), so.storage.Subsampled(2)))
    x, dx, _, y = point(exact, w.medium)
    a, b = (G.second(x, dx, y)[0] for G in (exact, rough))
    assert 0 < np.linalg.norm(a - b) < 0.5 * np.linalg.norm(a)


def test_third_order():
    w = world(boundary="none")
    G = so.Parametric(w.F, "vp")
    x, dx, z, y = point(G, w.medium)
    T = G.tangent()
    third = T.second((*x, *dx), (*z, *(0 * a for a in z)), y)[:2]
    h = 1e-3
    after, before = (G.second([a + s * d for a, d in zip(x, z, strict=True)], dx, y) for s in (h, -h))
    for exact, p, m in zip(third, after, before, strict=True):
        difference = (p - m) / (2 * h)
        assert np.linalg.norm(exact - difference) < 1e-5 * np.linalg.norm(difference)


def test_cost(monkeypatch):
    w = world()
    G = so.Parametric(w.F)
    x, dx, _, y = point(G, w.medium)
    G.second(x, dx, y)
    built, runs = Kernel.made, []
    run = Kernel.run
    monkeypatch.setattr(
        Kernel, "run", lambda self, *a, **k: (runs.append(len(self.marched.fields)), run(self, *a, **k))
    )
    G.second(x, dx, y)
    # for every shot: the field and its derivative forward, their adjoints backward
    assert len(runs) == 2 * w.shots and len(set(runs)) == 1 and Kernel.made == built


class Simple(so.WaveEquation):
    parameters = ("m",)

    def residual(self, fields, parameters):
        return (parameters.m * fields.u.dt2 - fields.u.laplace,)


class Elliptic(TiltedWaves):
    """Elliptical anisotropy: one field that advances, and its derivative along the axis of symmetry, which does not."""

    parameters = ("m", "epsilon", "theta")
    fields = ("p", "g")
    source = {"p": 1.0}
    observe = {"p": 1.0}

    def residual(self, fields, parameters):
        p, g = fields
        m, epsilon, theta = parameters
        sin, cos = sympy.sin(theta), sympy.cos(theta)
        along = (sin * g).dx + (cos * g).dz
        return m * p.dt2 - (1 + 2 * epsilon) * p.laplace + 2 * epsilon * along, g - sin * p.dx - cos * p.dz


def between_values(low, high, power=1):
    return lambda rng, shape: rng.uniform(low, high, shape) ** power


M = between_values(1500.0, 2000.0, -2)
EQUATIONS = {
    "diffusion": (Heat, dict(kappa=between_values(1000.0, 2000.0)), ("kappa",)),
    "one field": (Simple, dict(m=M), ("m",)),
    "two fields": (VerticalAxis, dict(m=M, epsilon=between_values(0.1, 0.2), delta=between_values(0.0, 0.1)), ("delta",)),
    "a field without a step": (
        Elliptic, dict(m=M, epsilon=between_values(0.0, 0.1), theta=between_values(0.2, 0.5)), ("theta",),
    ),
    "staggered in space and time": (
        VelocityPressure, dict(kappa=between_values(3e9, 4e9), b=between_values(9e-4, 1e-3)), ("kappa", "b"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EQUATIONS)
def test_equations_of_users(name):
    equation, parameters, wrt = EQUATIONS[name]
    w, rng = world(boundary="none"), np.random.default_rng(0)
    medium = equation(w.grid, **{p: make(rng, w.grid.shape) for p, make in parameters.items()})
    A = so.Modeling(w.waves, medium, boundary=None, space_order=4)
    check(so.Parametric(w.Pr * A * w.Ps.H, wrt), medium)


def test_relations_are_differentiated_to_any_order():
    w = world(density=True)
    vp, dvp, rho = w.medium.vp, 3.0, w.medium.rho
    first = TangentEquation(w.medium, {"vp": dvp, "rho": 2.0})
    np.testing.assert_allclose(first.coefficients()["tan0_m"], -2 * vp**-3 * dvp)
    np.testing.assert_allclose(first.coefficients()["tan0_b"], -2.0 * rho**-2)
    slopes = first.derivatives("vp")
    np.testing.assert_allclose(slopes["m"], -2 * vp**-3)
    np.testing.assert_allclose(slopes["tan0_m"], 6 * vp**-4 * dvp)
    second = TangentEquation(first, {"vp": 1.0, "rho": 0.0, "tan0_vp": 0.0, "tan0_rho": 0.0})
    np.testing.assert_allclose(second.coefficients()["tan1_tan0_m"], 6 * vp**-4 * dvp)
    assert second.primal is w.medium and second.order == 2
    moved = first.replace(vp=2 * vp, tan0_vp=1.0)
    np.testing.assert_allclose(moved.coefficients()["tan0_m"], -2 * (2 * vp) ** -3)
    with pytest.raises(so.ParameterError, match="no parameter 'm'"):
        first.derivatives("m")


def test_a_wrong_derivative_is_noticed(monkeypatch):
    """The check itself: a second derivative that drops what the direction does to the coefficients fails."""
    w = world()
    G = so.Parametric(w.F, "vp")
    derivatives = TangentEquation.derivatives
    monkeypatch.setattr(
        TangentEquation,
        "derivatives",
        lambda self, n, wrt: {c: a for c, a in derivatives(self, n, wrt).items() if c == "m" or n != "vp"},
    )
    with pytest.raises(AssertionError):
        check(G, w.medium)


def test_newton_with_the_full_hessian_converges_quadratically():
    """Full-waveform inversion of a few numbers from data that no model explains: Gauss-Newton is linear there."""
    w = world(boundary="none")
    rng = np.random.default_rng(0)
    m0, q = w.medium.m, np.cumsum(w.F.domain.random(1), axis=-1)
    shapes = np.array([np.cos(np.pi * k * np.linspace(0, 1, m0.shape[1])) * m0 * 0.05 for k in range(1, 4)])
    G = so.Parametric(w.F)

    def model(c):
        return m0 + np.tensordot(c, shapes, 1)

    d = G(model(np.array([0.4, -0.3, 0.2])), q)
    d = d + 0.2 * np.linalg.norm(d) * (noise := rng.standard_normal(d.shape)) / np.linalg.norm(noise)

    def newton(full):
        c, norms = np.zeros(3), []
        for _ in range(6):
            with G.linearize(model(c), q) as at_c:
                residual = at_c.value - d
                columns = np.array([at_c.pushforward(s, None).ravel() for s in shapes])
            gradient, hessian = columns @ residual.ravel(), columns @ columns.T
            if full:
                moved = [G.second((model(c), q), (s, 0 * q), residual)[0] for s in shapes]
                hessian += np.tensordot(np.array(moved), shapes, ((1, 2), (1, 2)))
            norms.append(np.linalg.norm(gradient))
            c = c - np.linalg.solve(hessian, gradient)
        return np.array(norms) / norms[0]

    exact, gauss = newton(True), newton(False)
    assert exact[-1] < 1e-12 and gauss[-1] > 1e-9
    # the number of right digits doubles, until rounding
    k = int(np.argmax(exact < 1e-2))
    assert exact[k + 1] < 10 * exact[k] ** 1.8
