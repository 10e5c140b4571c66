"""Minimisation in sets of models: the minima of other solvers, in few evaluations, none of them outside."""

from __future__ import annotations

import numpy as np
import pytest
from inversion_worlds import world
from scipy.optimize import Bounds as Box
from scipy.optimize import minimize, nnls, rosen, rosen_der

import seisops as so
from seisops.errors import ParameterError, SpaceError
from seisops.inversion import Journal, LeastSquares, WavefieldReconstruction, pqn, spg
from seisops.inversion.constraints import Bounds, L2Ball, Product, Rank, Scaled
from seisops.inversion.pqn import Curvature
from seisops.spaces import Axis, Space

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")
SOLVERS = pytest.mark.parametrize("solver", [spg, pqn])
N = 40
LINE = Space("x", [Axis("i", N)], "float64")


def quadratic(condition=1e2, seed=0):
    """``x.H x / 2 - b.x`` with eigenvalues from 1 to a condition number, and what it is made of."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((N, N)))[0]
    H, b = (Q * np.geomspace(1.0, condition, N)) @ Q.T, rng.standard_normal(N) * condition**0.5
    return lambda x: (0.5 * x @ H @ x - b @ x, H @ x - b), H, b


class Inside:
    """A function that notes where it was evaluated."""

    def __init__(self, function):
        self.function, self.points = function, []

    def __call__(self, x):
        self.points.append(x.copy())
        return self.function(x)


@SOLVERS
@pytest.mark.parametrize("memory", [1, 10])
def test_a_quadratic_within_bounds(solver, memory):
    f, _, _ = quadratic()
    ref = minimize(
        f, np.zeros(N), jac=True, bounds=Box(-0.1, 0.3), options={"ftol": 1e-16, "gtol": 1e-12, "maxiter": 5000}
    )
    watched = Inside(f)
    found = solver(watched, np.ones(N), Bounds(LINE, -0.1, 0.3), iterations=400, memory=memory, tolerance=1e-8)
    assert found.success and found.status == 0 and found.optimality > 0
    assert (
        np.allclose(found.x, ref.x, atol=1e-6) and np.isclose(found.fun, f(found.x)[0]) and found.fun <= ref.fun + 1e-9
    )
    assert 3 < np.sum((ref.x == -0.1) | (ref.x == 0.3)) < N - 3
    assert np.array_equal(found.jac, f(found.x)[1]) and found.nfev == len(watched.points) < 2 * found.nit + 10
    assert all(np.all(x >= -0.1) and np.all(x <= 0.3) for x in watched.points)


@SOLVERS
def test_in_a_ball_the_minimum_is_that_of_a_damped_system(solver):
    f, H, b = quadratic(seed=1)
    found = solver(f, np.zeros(N), L2Ball(LINE, 0.5), iterations=400, tolerance=1e-9)
    mu = float(np.linalg.norm(f(found.x)[1]) / np.linalg.norm(found.x))
    assert np.isclose(np.linalg.norm(found.x), 0.5)
    assert np.allclose(np.linalg.solve(H + mu * np.eye(N), b), found.x, atol=1e-6)


@SOLVERS
def test_a_function_of_your_own_projects(solver):
    A, d = np.random.default_rng(2).standard_normal((60, N)), np.random.default_rng(3).standard_normal(60)
    found = solver(
        lambda x: (0.5 * np.sum((A @ x - d) ** 2), A.T @ (A @ x - d)), np.ones(N), lambda x: np.maximum(x, 0.0),
        iterations=500, tolerance=1e-10,
    )  # fmt: skip
    assert np.allclose(found.x, nnls(A, d)[0], atol=1e-7)


@SOLVERS
def test_proximal_operators_of_sets_project(solver):
    pyproximal = pytest.importorskip("pyproximal")
    f, _, _ = quadratic()
    found = solver(f, np.zeros(N), pyproximal.Box(-0.1, 0.3), iterations=300, tolerance=1e-8)
    same = solver(f, np.zeros(N), Bounds(LINE, -0.1, 0.3), iterations=300, tolerance=1e-8)
    assert np.array_equal(found.x, same.x)
    with pytest.raises(ParameterError, match="no projection"):
        solver(f, np.zeros(N), pyproximal.L1(0.1))


@SOLVERS
def test_a_sparse_vector_is_recovered(solver):
    pytest.importorskip("pyproximal")
    from seisops.inversion.constraints import L1Ball

    rng = np.random.default_rng(0)
    A, x = rng.standard_normal((25, N)), np.zeros(N)
    x[[3, 20, 31]] = 1.0, -2.0, 0.5
    d = A @ x
    found = solver(
        lambda y: (0.5 * np.sum((A @ y - d) ** 2), A.T @ (A @ y - d)), np.zeros(N), L1Ball(LINE, 3.5), iterations=2000,
        tolerance=1e-9,
    )  # fmt: skip
    assert np.allclose(found.x, x, atol=1e-5)


def test_where_all_is_allowed_it_is_lbfgs():
    """The quadratic model is that of L-BFGS: its matrix takes each last step to the change of the gradient."""
    rng = np.random.default_rng(0)
    H = quadratic(10.0)[1]
    S = rng.standard_normal((N, 5))
    B = Curvature(S, H @ S)
    assert np.allclose(B(S[:, -1]), H @ S[:, -1])
    dense = np.array([B(e) for e in np.eye(N)])
    assert np.allclose(dense, dense.T) and np.linalg.eigvalsh(dense).min() > 0
    # updated one after another, as Nocedal & Wright (2006), equation 6.19
    steps = H @ S
    step = steps[:, -1] @ steps[:, -1] / (steps[:, -1] @ S[:, -1]) * np.eye(N)
    for s, y in zip(S.T, steps.T, strict=True):
        step = step - np.outer(step @ s, step @ s) / (s @ step @ s) + np.outer(y, y) / (y @ s)
    assert np.allclose(dense, step)


@SOLVERS
def test_a_curved_valley(solver):
    start = np.full(4, -1.0)
    free = solver(lambda x: (rosen(x), rosen_der(x)), start, iterations=1000, tolerance=1e-9)
    assert np.allclose(free.x, 1.0, atol=1e-4)
    bounded = Bounds(Space("x", [Axis("i", 4)], "float64"), -2.0, 0.8)
    found = solver(lambda x: (rosen(x), rosen_der(x)), start, bounded, iterations=500, tolerance=1e-8)
    ref = minimize(rosen, start, jac=rosen_der, bounds=Box(-2.0, 0.8), options={"ftol": 1e-16, "gtol": 1e-10})
    assert np.isclose(found.fun, ref.fun, rtol=1e-8) and np.allclose(found.x, ref.x, atol=1e-4)


def test_quasi_newton_steps_take_fewer_evaluations():
    f, _, _ = quadratic(1e4)
    few, many = (
        solver(f, np.zeros(N), Bounds(LINE, -0.1, 0.3), iterations=2000, tolerance=1e-5) for solver in (pqn, spg)
    )
    assert few.status == many.status == 0 and few.nfev < 0.7 * many.nfev


def test_a_set_that_is_not_convex():
    """The nearest matrix of a rank is known; all evaluations are of that rank."""
    waves = so.Wavefield(so.Grid((6, 5), 10.0), so.Time(n=3, step=0.004))
    target = np.random.default_rng(0).standard_normal((6, 5))
    weights = np.linspace(1.0, 2.0, 6)[:, None]
    watched = Inside(lambda x: (0.5 * np.sum(weights * (x - target) ** 2), weights * (x - target)))
    found = spg(watched, target + 1.0, Rank(waves, 2), iterations=200, tolerance=1e-7)
    assert found.x.shape == (6, 5) and all(np.linalg.matrix_rank(x, tol=1e-8) <= 2 for x in watched.points)
    # of weights of rows, the nearest one of weighted rows
    u, s, v = np.linalg.svd(weights**0.5 * target, full_matrices=False)
    assert np.allclose(found.x, (u[:, :2] * s[:2]) @ v[:2] / weights**0.5, atol=1e-4)
    with pytest.raises(ParameterError, match="convex"):
        pqn(watched, target, Rank(waves, 2))


@SOLVERS
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_unit_of_x_does_not_matter(solver, size):
    f, _, _ = quadratic()

    def scaled(x):
        value, gradient = f(x / size)
        return 1e3 * value + 1e5, 1e3 * gradient / size

    found = solver(scaled, np.zeros(N), Bounds(LINE, -0.1 * size, 0.3 * size), iterations=300)
    best = solver(f, np.zeros(N), Bounds(LINE, -0.1, 0.3), iterations=300, tolerance=1e-9)
    assert found.status == 0 and np.allclose(found.x / size, best.x, atol=1e-4) and found.nfev < 100


@SOLVERS
def test_what_a_callback_sees_and_how_it_stops(solver):
    f, _, _ = quadratic()
    seen = []

    def callback(result):
        seen.append(result)
        if len(seen) == 3:
            raise StopIteration

    found = solver(f, np.zeros(N), iterations=20, callback=callback, memory=1)
    assert found.nit == 3 and found.status == 99 and not found.success and "callback" in found.message
    assert [one.nit for one in seen] == [1, 2, 3] and np.all(np.diff([one.fun for one in seen]) < 0)
    assert np.array_equal(seen[-1].x, found.x) and seen[0].nfev >= 2
    seen = [None] * 10
    assert solver(f, np.zeros(N), iterations=4, callback=callback).status == 1


@SOLVERS
def test_the_length_of_the_first_step(solver):
    f, _, _ = quadratic()
    watched = Inside(f)
    solver(watched, np.zeros(N), iterations=1, first=1e-3)
    assert np.isclose(np.abs(watched.points[1]).max(), 1e-3)


@SOLVERS
def test_where_there_is_nothing_to_do(solver):
    f, H, b = quadratic()
    found = solver(f, np.linalg.solve(H, b))
    assert found.fun <= f(np.linalg.solve(H, b))[0] + 1e-12
    flat = solver(lambda x: (1.0, np.zeros_like(x)), np.ones(3))
    assert flat.status == 0 and flat.nit == 0 and flat.nfev == 1 and np.array_equal(flat.x, np.ones(3))
    corner = solver(lambda x: (x.sum(), np.ones(N)), np.zeros(N), Bounds(LINE, 0.0, 1.0))
    assert corner.status == 0 and corner.nit == 0 and corner.nfev == 1


@SOLVERS
def test_a_wrong_gradient_is_told(solver):
    found = solver(lambda x: (0.5 * x @ x + 1.0, -x), np.ones(5))
    assert found.status == 2 and not found.success and "gradient may be wrong" in found.message


@SOLVERS
def test_values_that_are_infinite_are_passed_by(solver):
    def f(x):
        return (np.inf if x[0] > 1.5 else float(np.sum((x - 1.0) ** 4))), 4 * (x - 1.0) ** 3

    found = solver(f, np.full(3, -3.0), iterations=100, tolerance=1e-9)
    assert np.allclose(found.x, 1.0, atol=0.02)


@SOLVERS
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"x0": np.array([np.nan])}, "NaN"),
        ({"x0": "a"}, "array of numbers"),
        ({"function": 3}, "value and gradient"),
        ({"function": lambda x: (np.nan, x)}, "at the start"),
        ({"function": lambda x: (1.0, x[1:])}, "the gradient"),
        ({"iterations": 0}, "at least 1"),
        ({"memory": 0}, "at least 1"),
        ({"tolerance": -1.0}, "negative"),
        ({"first": 0.0}, "positive"),
        ({"project": lambda x: x + 1.0}, "no projection"),
    ],
)
def test_what_makes_no_sense_is_refused(solver, change, match):
    options = {"function": lambda x: (x @ x, 2 * x), "x0": np.ones(4), **change}
    with pytest.raises(ParameterError, match=match):
        solver(options.pop("function"), options.pop("x0"), **options)


def test_sets_of_other_models_are_refused():
    with pytest.raises(SpaceError, match="has 3 numbers"):
        spg(lambda x: (x @ x, 2 * x), np.ones(3), Bounds(LINE))


# ---- misfits


@SOLVERS
def test_misfits_sums_and_several_parameters(solver):
    w = world(density=True, wrt=("vp", "rho"))
    vp, rho = w.medium.vp.astype(float), w.medium.rho.astype(float)
    d = w.F.at(vp=vp + 20.0, rho=rho - 10.0) @ w.q
    misfit = LeastSquares(w.G, d, w.q, P=np.r_[np.full(vp.size, 100.0), np.full(vp.size, 50.0)], start=(vp, rho))
    sets = Product(
        w.G,
        Scaled(Bounds(w.waves, 1400.0, 2010.0), 100.0, start=vp),
        Scaled(Bounds(w.waves, 1000.0, 1300.0), 50.0, start=rho),
    )
    watched = Inside(misfit + 1e-12 * misfit)
    found = solver(watched, np.zeros(misfit.domain.size), sets, iterations=4, memory=1)
    assert found.fun < 0.5 * misfit(np.zeros(misfit.domain.size))[0]
    for x in watched.points:
        new_vp, new_rho = misfit.model(x)
        assert new_vp.max() <= 2010.0 * (1 + 1e-12) and new_rho.min() >= 1000.0 * (1 - 1e-12)


def test_wavefield_reconstruction_is_minimised_too():
    w = world()
    misfit = WavefieldReconstruction(w.F, w.d, w.q, P=w.medium.m)
    x0 = np.ones(misfit.domain.size)
    found = pqn(misfit, x0, Bounds(misfit.domain, 0.8, 1.2), iterations=2, first=0.05)
    assert found.fun < misfit(x0)[0] and found.x.min() >= 0.8


@SOLVERS
def test_a_run_that_was_killed_goes_on(solver, tmp_path):
    w = world()
    misfit = LeastSquares(w.G, w.d, w.q, P=w.medium.m)
    x0, sets = np.ones(misfit.domain.size), Bounds(misfit.domain, 0.9, 1.1)
    plain = solver(misfit, x0, sets, iterations=3)
    first = solver(misfit, x0, sets, iterations=2, journal=tmp_path / "run")
    assert 0 < first.nit == 2
    journal = Journal(tmp_path / "run", problem=solver.__name__)
    again = solver(misfit, x0, sets, iterations=3, journal=journal)
    assert journal.replayed == first.nfev and journal.computed == plain.nfev - first.nfev
    assert np.array_equal(again.x, plain.x) and again.fun == plain.fun


@SOLVERS
def test_progress_is_shown(solver, capsys):
    solver(quadratic()[0], np.zeros(N), iterations=2, progress=True)
    assert "eval" in capsys.readouterr().err
