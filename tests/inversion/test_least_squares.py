"""Misfits: gradient and Hessians against Taylor's expansion and finite differences, and what an evaluation costs."""

import pickle

import numpy as np
import pylops
import pytest
from inversion_worlds import SHOTS, Rosenbrock, world
from scipy.optimize import minimize

import seisops as so
from seisops.check import dot_test
from seisops.engine.kernel import Kernel
from seisops.inversion import LeastSquares
from seisops.operators import Embedding, Pointwise
from seisops.spaces import DirectSum


def smooth_mask(w):
    return np.linspace(0.2, 1.0, w.grid.shape[1])[None, :]


def filtering(w):
    """A plain operator on the data, which is not symmetric and changes their size."""
    d = w.d
    derivative = pylops.FirstDerivative(d.shape, axis=-1, kind="forward")
    return pylops.Restriction(d.size, np.arange(0, d.size, 2)) * derivative


def smoothing(w):
    """A change of variables that is not symmetric."""
    rows = pylops.CausalIntegration(w.grid.shape, axis=1, sampling=0.2)
    return pylops.Diagonal(np.linspace(1.0, 2.0, rows.shape[0])) * rows


CASES = {
    "plain": lambda: plain(world()),
    "weights as an array": lambda: plain(world(), weights=np.linspace(0.0, 1.0, 31)),
    "weights for shots": lambda: plain(world(), weights=np.linspace(0.5, 1.0, SHOTS)[:, None, None]),
    "weights as an operator": lambda: plain(world(), weights=filtering(world())),
    "mask": lambda: plain(world(), P=smooth_mask(world()), start=world().medium.m),
    "change of variables": lambda: plain(world(), P=smoothing(world()), start=world().medium.m),
    "all of it": lambda: plain(
        world(), P=1e-8 * smoothing(world()), weights=filtering(world()), start=world().medium.m
    ),
    "velocity": lambda: plain(world(wrt="vp"), P=100.0, start=world().medium.vp),
    "velocity and density": lambda: both(),
}


def plain(w, **options):
    scale = 1.0 / np.linalg.norm(w.d)
    options.setdefault("weights", scale)
    return LeastSquares(w.G, w.d, w.q, **options)


def both():
    w = world(density=True, wrt=("vp", "rho"))
    n = w.medium.vp.size
    P = pylops.BlockDiag([pylops.Diagonal(np.full(n, 100.0)), pylops.Diagonal(np.full(n, 50.0))])
    return plain(w, P=P, start=(w.medium.vp, w.medium.rho))


def point(misfit, seed=0):
    """A point, and two directions of a size at which terms of third order matter, but not those of fourth."""
    rng = np.random.default_rng(seed)
    x, dx, z = rng.standard_normal((3, misfit.domain.size))
    if misfit.start is None:
        x, size = np.ravel(world().medium.m) * (1 + 0.01 * x), 0.02 * world().medium.m.mean()
    elif misfit.G.wrt == ("m",):
        model = misfit.P.matvec(np.abs(x))
        size = 0.02 * world().medium.m.mean() * np.sqrt(model.size) / np.linalg.norm(model)
        x = 0.2 * size * x
    else:
        size, x = 0.2, 0.1 * x
    return x, size * dx, size * z


@pytest.mark.parametrize("name", CASES)
def test_gradient_and_hessians(name):
    misfit = CASES[name]()
    x, dx, z = point(misfit)
    value, gradient = misfit(x)
    assert type(value) is float and gradient.dtype == np.float64 and gradient.shape == x.shape
    assert gradient.reshape(misfit.gradient_shape).size == x.size

    H, GN = misfit.hessian(x), misfit.gauss_newton(x)
    curved = H @ dx
    steps = 0.5 ** np.arange(2, 6)
    moved = np.array([misfit(x + h * dx)[0] for h in steps]) - value
    first = np.abs(moved - steps * (gradient @ dx))
    second = np.abs(moved - steps * (gradient @ dx) - 0.5 * steps**2 * (dx @ curved))
    assert abs(np.median(np.diff(np.log2(first))) + 2) < 0.1, first
    assert abs(np.median(np.diff(np.log2(second))) + 3) < 0.15, second

    h = 1e-3
    difference = (misfit(x + h * dx)[1] - misfit(x - h * dx)[1]) / (2 * h)
    assert np.linalg.norm(curved - difference) < 1e-4 * np.linalg.norm(difference)
    # the other one is near, and differs: the map is not linear
    assert np.linalg.norm(GN @ dx - difference) > 1e-4 * np.linalg.norm(difference)
    for op in (H, GN):
        forward, backward = z @ (op @ dx), dx @ (op @ z)
        assert abs(forward - backward) < 1e-10 * np.linalg.norm(z) * np.linalg.norm(op @ dx)
        assert dot_test(op) < 1e-10
    assert dx @ (GN @ dx) > 0
    misfit.forget()


@pytest.mark.parametrize("forgotten", ["P", "weights"])
def test_a_forgotten_transpose_is_noticed(monkeypatch, forgotten):
    """The control of the test above: without the transpose of P, or of W, Taylor's expansion has no second order."""
    misfit = CASES["all of it"]()
    x, dx, _ = point(misfit)
    value = misfit(x)[0]
    op = getattr(misfit, forgotten)
    wrong = {"P": lambda y: op.matvec(y), "weights": lambda y: np.repeat(y, 2)}[forgotten]
    monkeypatch.setattr(op, "rmatvec", wrong)
    gradient = misfit(x)[1]
    steps = 0.5 ** np.arange(2, 6)
    errors = [abs(misfit(x + h * dx)[0] - value - h * (gradient @ dx)) for h in steps]
    assert abs(np.median(np.diff(np.log2(errors))) + 1) < 0.2


def counted(monkeypatch):
    runs = []
    run = Kernel.run
    monkeypatch.setattr(Kernel, "run", lambda self, *a, **k: (runs.append(1), run(self, *a, **k))[1])
    return runs


def test_cost(monkeypatch):
    for misfit in (CASES["all of it"](), CASES["velocity and density"]()):
        x, dx, _ = point(misfit)
        misfit(x)
        runs = counted(monkeypatch)
        misfit(x)
        assert len(runs) == 2 * SHOTS  # one forward, one backward for each shot
        GN = misfit.gauss_newton(x)
        assert len(runs) == 2 * SHOTS
        runs.clear()
        GN @ dx
        assert len(runs) == 3 * SHOTS  # linearised once ...
        runs.clear()
        GN @ dx
        assert len(runs) == 2 * SHOTS  # ... and for all products
        runs.clear()
        misfit(x)
        assert len(runs) == SHOTS  # the gradient there as well
        assert GN.held_bytes > 0
        misfit(1.1 * x)
        assert GN.held_bytes == 0  # one linearisation at a time takes memory
        a, b = misfit.gauss_newton(x), misfit.gauss_newton(0.9 * x)
        one = a @ dx
        assert not np.array_equal(b @ dx, one) and np.array_equal(a @ dx, one)
        a.forget()
        monkeypatch.undo()


def test_several_parameters_are_concatenated():
    w = world(density=True, wrt=("vp", "rho"))
    misfit = LeastSquares(w.G, w.d, w.q)
    x = np.concatenate([w.medium.vp.ravel(), w.medium.rho.ravel()])
    value, gradient = misfit(x)
    assert misfit.gradient_shape == x.shape
    with w.G.linearize(w.medium.vp, w.medium.rho, w.q) as at_x:
        by_vp, by_rho, _ = at_x.pullback(at_x.value - w.d)
    expected = np.concatenate([by_vp.ravel(), by_rho.ravel()])
    rounding = 1e-14 * np.abs(expected).max()  # a kernel that gives no gradient by q rounds elsewhere
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=rounding)
    vp, rho = misfit.model(x)
    assert vp.shape == rho.shape == w.grid.shape and np.array_equal(rho, w.medium.rho)
    # one of them alone, by an operator of ours into the direct sum
    whole = DirectSum(w.G.domain[:2])
    only = LeastSquares(w.G, w.d, w.q, P=Embedding.among(w.G.domain[:2], 1), start=x * np.repeat([1, 0], x.size // 2))
    assert only.domain.size == x.size // 2 and whole.size == x.size
    np.testing.assert_allclose(only(w.medium.rho)[1], by_rho.ravel(), rtol=0, atol=rounding)
    assert only(w.medium.rho)[0] == value


def test_sources_may_be_looked_for_as_well():
    w = world()
    misfit = LeastSquares(w.G, w.d)  # nothing is fixed: medium and source
    x = np.concatenate([w.medium.m.ravel(), w.q.ravel()])
    value, gradient = misfit(x)
    assert value == LeastSquares(w.G, w.d, w.q)(w.medium.m)[0] and gradient.shape == x.shape
    part = misfit.select([1])
    assert part.domain.size == w.medium.m.size + w.q[0].size


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shots_add_up(dtype):
    w = world(dtype=dtype)
    scaled = np.linspace(1.0, 2.0, SHOTS)[:, None, None] / np.linalg.norm(w.d)
    options = dict(P=1e-8 * smoothing(w), start=w.medium.m)
    whole = LeastSquares(w.G, w.d, w.q, weights=scaled, **options)
    x = np.full(whole.domain.size, 0.1)
    value, gradient = whole(x)
    parts = [whole.select([s])(x) for s in range(SHOTS)]
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    assert abs(sum(v for v, _ in parts) - value) < tolerance * value
    assert np.linalg.norm(sum(g for _, g in parts) - gradient) < tolerance * np.linalg.norm(gradient)
    both = whole.select([0, 2])
    assert both.shots == 2 and both.data.shape == w.d[[0, 2]].shape


@pytest.mark.parametrize("method", ["L-BFGS-B", "Newton-CG", "trust-krylov"])
def test_scipy_minimises_it(method):
    misfit = LeastSquares(Rosenbrock(), np.zeros(6))
    hessp = None if method == "L-BFGS-B" else lambda x, p: misfit.gauss_newton(x) @ p
    found = minimize(misfit, np.full(6, -0.5), jac=True, method=method, hessp=hessp)
    np.testing.assert_allclose(found.x, 1.0, atol=1e-3)


def test_newton_on_waves_needs_few_iterations():
    w = world()
    misfit = LeastSquares(w.G, w.d, w.q, weights=1 / np.linalg.norm(w.d), P=1e-7, start=w.medium.m)
    x = np.zeros(misfit.domain.size)
    first = misfit(x)[0]
    for _ in range(2):
        _, gradient = misfit(x)
        x = x - pylops.cgls(misfit.gauss_newton(x), gradient, niter=15, tol=0)[0].ravel()
    assert misfit(x)[0] < 0.05 * first


def test_it_travels():
    misfit = CASES["all of it"]()
    x, *_ = point(misfit)
    misfit.gauss_newton(x) @ x
    again = pickle.loads(pickle.dumps(misfit))
    assert again._held is None and again.fingerprint == misfit.fingerprint
    assert again(x)[0] == misfit(x)[0] and np.array_equal(again(x)[1], misfit(x)[1])


def test_fingerprints_tell_problems_apart():
    w = world()
    elsewhere = so.Projection(w.waves, w.receivers + 1e-3) * w.A * w.Ps.H
    sponge = so.Modeling(w.waves, w.medium, boundary=so.Sponge(cells=6), space_order=4)
    integrate = pylops.CausalIntegration(w.grid.shape, axis=1)
    diagonals = [pylops.Diagonal(a * np.ones(w.medium.m.size)) for a in (1.0, 2.0)]

    def make():
        maps = [
            w.G, world(wrt="vp").G, so.Parametric(w.F, storage=so.storage.Subsampled(2)), so.Parametric(elsewhere),
            so.Parametric(w.Pr * sponge * w.Ps.H), so.Parametric(w.F.at(m=1.001 * w.medium.m)),
            2.0 * w.G, 3.0 * w.G,
        ]  # fmt: skip
        return [
            *(LeastSquares(G, w.d, w.q) for G in maps),
            *(plain(w, P=op) for op in (2.0, integrate)),
            *(plain(w, P=op * integrate) for op in diagonals),
            plain(w), plain(w, weights=2.0), plain(w, start=w.medium.m), plain(world(dtype="float32")),
            LeastSquares(w.G, w.d + 1e-9, w.q), LeastSquares(w.G, w.d, 2 * w.q),
        ]  # fmt: skip

    misfits = make()
    prints = [m.fingerprint for m in misfits]
    assert len(set(prints)) == len(prints)
    assert [m.fingerprint for m in make()] == prints


def test_what_does_not_fit_is_refused():
    w = world()
    with pytest.raises(so.SpaceError, match="2 fixed arguments"):
        LeastSquares(w.G, w.d, w.medium.m, w.q)
    with pytest.raises(so.SpaceError, match="is not in traces"):
        LeastSquares(w.G, w.d[0], w.q)
    with pytest.raises(so.SpaceError, match=r"range of P .* what is looked for"):
        LeastSquares(w.G, w.d, w.q, P=w.F)
    with pytest.raises(so.SpaceError, match=r"domain of weights .* the range of the map"):
        LeastSquares(w.G, w.d, w.q, weights=w.F)
    with pytest.raises(so.SpaceError, match="do not broadcast"):
        LeastSquares(w.G, w.d, w.q, weights=np.ones(7))
    with pytest.raises(so.ParameterError, match="finite real"):
        LeastSquares(w.G, w.d, w.q, weights=np.nan)
    with pytest.raises(so.SpaceError, match="expected shape"):
        LeastSquares(w.G, w.d, w.q)(np.zeros(3))
    with pytest.raises(NotImplementedError, match="Gauss-Newton"):
        LeastSquares(Rosenbrock(), np.zeros(6)).hessian(np.ones(6)) @ np.ones(6)
    with pytest.raises(so.SpaceError, match="cannot be restricted"):
        LeastSquares(w.G, w.d, w.q, weights=filtering(w)).select([0])


def test_pointwise():
    w = world()
    op = Pointwise(w.F.range, np.linspace(0, 1, SHOTS)[:, None, None])
    assert dot_test(op) < 1e-12 and op.H is op
    np.testing.assert_array_equal(op[1:] @ w.d[1:], (op @ w.d)[1:])
