"""Projections find the nearest models of their sets: by closed forms, other solvers, and what characterises them."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
from scipy.optimize import minimize

import seisops as so
from seisops.errors import AccuracyWarning, ParameterError, SpaceError
from seisops.inversion import constraints, fingerprint, spg
from seisops.inversion.constraints import (
    Bounds,
    Intersection,
    Known,
    L1Ball,
    L2Ball,
    Monotone,
    NuclearBall,
    Product,
    Proximal,
    Rank,
    Scaled,
    Smoothness,
    TotalVariation,
)
from seisops.inversion.constraints.variation import Gradient
from seisops.spaces import Axis, Space

pyproximal = pytest.importorskip("pyproximal")  # it has no release for Python 3.10

GRID = so.Grid((6, 5), (10.0, 5.0))
WAVES = so.Wavefield(GRID, so.Time(n=11, step=0.004))
X = np.random.default_rng(0).normal(2000.0, 300.0, GRID.shape)
WATER = GRID.coordinates("z") < 8.0
START = np.full(GRID.shape, 1900.0)

SETS = {
    "bounds": Bounds(WAVES, 1800.0, np.linspace(1900.0, 2300.0, 5)),
    "known": Known(WAVES, WATER, 1500.0),
    "l1": L1Ball(WAVES, 0.3, center=START, relative_to=X),
    "l2": L2Ball(WAVES, 0.3, center=START, relative_to=X),
    "nuclear": NuclearBall(WAVES, 0.7, relative_to=X),
    "smooth": Smoothness(WAVES, 0.3, relative_to=X),
    "variation": TotalVariation(WAVES, 0.3, relative_to=X, tolerance=1e-6),
    "monotone": Monotone(WAVES),
    "monotone along x": Monotone(WAVES, "x", increasing=False),
    "rank": Rank(WAVES, 2),
    "half space": Proximal(WAVES, pyproximal.HalfSpace(np.ones(30), 30 * 1900.0)),
    "function": Proximal(WAVES, lambda x: np.full_like(x, x.mean())),
    "intersection": Intersection(
        Monotone(WAVES), Known(WAVES, WATER, 1500.0), Bounds(WAVES, 1500.0, 2100.0), tolerance=1e-10
    ),
    "scaled": Scaled(Bounds(WAVES, 1800.0, 2200.0), 1e2, start=START),
}  # fmt: skip
SETS["product"] = Product([WAVES.model(), WAVES.model()], SETS["bounds"], None)
assert {type(one).__name__ for one in SETS.values()} == set(constraints.__all__) - {"Ball", "Constraint"}


def given(one, seed=0):
    """A model that is outside."""
    n = one.space.size
    x = np.resize(X, n) if isinstance(one, Product) else X.ravel()
    x = x + np.random.default_rng(seed).normal(0.0, 50.0, n)
    return (x - 1900.0) / 1e2 if isinstance(one, Scaled) else x


@pytest.mark.parametrize("name", SETS)
def test_a_projection_leaves_what_is_in_the_set(name):
    one = SETS[name]
    x = given(one)
    found = one(x)
    assert found.dtype == np.float64 and one.distance(x) > 1e-3 * np.linalg.norm(x)
    again = one(found)
    assert np.allclose(again, found, rtol=1e-9, atol=1e-9) and one.distance(found) < 1e-9 * np.linalg.norm(x)
    shaped = x.reshape(one.space.shape)
    assert one(shaped).shape == one.space.shape and np.array_equal(one(shaped).ravel(), found)


@pytest.mark.parametrize("name", [name for name in SETS if SETS[name].convex])
def test_a_projection_is_the_nearest_point(name):
    """It is the one of the set to which the way from x makes no acute angle with the way to any other point of it."""
    one = SETS[name]
    x = given(one)
    found = one(x)
    rng = np.random.default_rng(1)
    for size in (0.01, 1.0, 30.0):
        for _ in range(5):
            other = one(found + size * rng.standard_normal(x.size) * np.abs(x - found).max())
            angle = (
                (x - found) @ (other - found) / (np.linalg.norm(x - found) * max(np.linalg.norm(other - found), 1e-300))
            )
            assert angle < 1e-3, (size, angle)
    # and projections bring no two points further apart
    y = given(one, 2)
    assert np.linalg.norm(one(y) - found) <= (1 + 1e-6) * np.linalg.norm(y - x)


@pytest.mark.parametrize("name", ["l2", "smooth"])
def test_smooth_balls_are_those_of_a_solver(name):
    one = SETS[name]
    found = one(X)
    scale = one.radius**2
    ref = minimize(
        lambda y: (0.5 * np.sum((y - X.ravel()) ** 2) / 1e4, (y - X.ravel()) / 1e4),
        found.ravel() + np.random.default_rng(0).normal(0.0, 10.0, found.size),
        jac=True, method="SLSQP", options={"maxiter": 500, "ftol": 1e-14},
        constraints={"type": "ineq", "fun": lambda y: 1.0 - one.measure(y) ** 2 / scale},
    )  # fmt: skip
    assert ref.success and np.linalg.norm(ref.x - found.ravel()) < 1e-4 * np.linalg.norm(found - X)
    assert np.isclose(one.measure(found), one.radius, rtol=1e-12)


def test_the_ball_of_total_variation_is_that_of_a_solver():
    """In one dimension it is a quadratic program of jumps, up and down."""
    x = X[:, :1].ravel()
    n = x.size
    grid = so.Grid((n, 2), (10.0, 5.0))
    ball = TotalVariation(
        so.Wavefield(grid, WAVES.time), 0.3, relative_to=np.repeat(x, 2).reshape(n, 2), tolerance=1e-7
    )
    found = ball(np.repeat(x, 2).reshape(n, 2))
    assert np.allclose(found[:, 0], found[:, 1], atol=1e-9)
    cumulated = np.tril(np.ones((n, n)))
    L = np.hstack([cumulated, -cumulated[:, 1:]])  # the first value and jumps up; jumps down
    scale = 300.0
    edges = ball.radius / (2 * 5.0 * scale)  # the sum of jumps, along edges of two cells
    ref = minimize(
        lambda j: (0.5 * np.sum((L @ j - x / scale) ** 2), L.T @ (L @ j - x / scale)),
        np.r_[x.mean() / scale, np.zeros(2 * n - 2)], jac=True, method="SLSQP",
        bounds=[(None, None), *[(0, None)] * (2 * n - 2)], options={"maxiter": 1000, "ftol": 1e-15},
        constraints={"type": "ineq", "fun": lambda j: edges - j[1:].sum(), "jac": lambda j: -np.r_[0.0, np.ones(2 * n - 2)]},
    )  # fmt: skip
    assert ref.success and np.allclose(scale * (L @ ref.x), found[:, 0], atol=1e-3)
    assert np.abs(found[:, 0] - x).max() > 50.0


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3])
@pytest.mark.parametrize("part", [0.4, 0.8])
def test_total_variation_keeps_its_tolerance_and_its_radius(part, tolerance):
    grid = so.Grid((14, 10), 10.0)
    waves = so.Wavefield(grid, WAVES.time)
    x = 2000.0 + np.cumsum(np.random.default_rng(3).normal(5.0, 40.0, grid.shape), axis=1)
    exact = TotalVariation(waves, part, relative_to=x, tolerance=1e-5)(x)
    ball = TotalVariation(waves, part, relative_to=x, tolerance=tolerance)
    found = ball(x)
    assert ball.measure(found) <= ball.radius * (1 + 1e-12)
    assert np.linalg.norm(found - exact) <= (tolerance + 1e-5) * np.linalg.norm(x - exact)


def test_what_total_variation_made_is_in_its_set(recwarn):
    space = so.Wavefield(so.Grid((31, 21), 10.0), so.Time(3, 0.001)).model()
    noisy = 2000.0 + 50.0 * np.random.default_rng(0).standard_normal(space.shape)
    C = constraints.TotalVariation(space, 0.3, relative_to=noisy)
    once = C(noisy)
    assert np.abs(C(once) - once).max() < 1e-9 * 50.0 and not recwarn.list


def test_total_variation_says_what_it_did_not_reach():
    ball = TotalVariation(WAVES, 0.3, relative_to=X, tolerance=1e-9, iterations=10)
    with pytest.warns(AccuracyWarning, match="after 10 iterations .* it is in the set"):
        found = ball(X)
    assert ball.measure(found) <= ball.radius * (1 + 1e-12)


def test_the_gradient_of_models_and_what_solves_with_it():
    rng = np.random.default_rng(0)
    for shape, spacing in (((6, 5), (10.0, 5.0)), ((4, 3, 5), (1.0, 2.0, 3.0))):
        D, m, p = Gradient(shape, spacing), rng.standard_normal(shape), rng.standard_normal((len(shape), *shape))
        assert np.isclose(np.sum(D(m) * p), np.sum(m * D.transposed(p)), rtol=1e-13)
        assert np.allclose(D.solved(m + 0.3 * D.transposed(D(m)), 0.3), m, atol=1e-13)
    x, z = (GRID.coordinates(a) for a in GRID.axes)
    slopes = Gradient(GRID.shape, GRID.spacing)(2.0 * x[:, None] + 3.0 * z)
    assert np.allclose(slopes[0, :-1], 2.0) and np.allclose(slopes[1, :, :-1], 3.0)


def test_measures_do_not_depend_on_the_grid():
    """A block: its edges, times its jump; a ramp: the square root of its area, times its slope."""
    for h in (10.0, 5.0):
        n = round(200.0 / h) + 1
        waves = so.Wavefield(so.Grid((n, n), h), WAVES.time)
        block = np.zeros((n, n))
        block[: round(100.0 / h) + 1] = 300.0
        assert np.isclose(TotalVariation(waves, 1.0).measure(block), 300.0 * n * h)
        ramp = np.broadcast_to(np.linspace(0.0, 400.0, n), (n, n))
        assert np.isclose(Smoothness(waves, 1.0).measure(ramp), 2.0 * np.sqrt(n * (n - 1)) * h)


def test_closed_forms():
    assert np.array_equal(SETS["bounds"](X), np.clip(X, 1800.0, np.linspace(1900.0, 2300.0, 5)))
    found = SETS["known"](X)
    assert np.all(found[:, WATER] == 1500.0) and np.array_equal(found[:, ~WATER], X[:, ~WATER])
    s = np.linalg.svd(X, compute_uv=False)
    assert np.isclose(np.linalg.norm(SETS["rank"](X) - X), np.linalg.norm(s[2:]))
    assert np.linalg.matrix_rank(SETS["rank"](X)) == 2
    found = SETS["nuclear"](X)
    shrunk = np.linalg.svd(found, compute_uv=False)
    assert np.isclose(shrunk.sum(), 0.7 * s.sum()) and np.allclose((s - shrunk)[shrunk > 1e-6], (s - shrunk)[0])
    apart = SETS["l1"](X) - START
    less = np.abs(X - START) - np.abs(apart)
    assert np.isclose(np.abs(apart).sum(), SETS["l1"].radius) and np.allclose(less[apart != 0], less.max())
    assert np.all(apart * (X - START) >= 0)
    ramp = np.tile(np.arange(5.0), (6, 1))
    assert np.allclose(Monotone(WAVES)(-ramp), -2.0) and np.array_equal(Monotone(WAVES)(ramp), ramp)
    assert np.all(np.diff(SETS["monotone along x"](X), axis=0) <= 0)
    assert np.allclose(SETS["scaled"]((X - START) / 1e2), (np.clip(X, 1800.0, 2200.0) - START) / 1e2)
    for kind in (L1Ball, L2Ball, NuclearBall, Smoothness, TotalVariation):
        assert np.allclose(
            kind(WAVES, 0.0, center=START)(X) - START,
            (X - START).mean() * issubclass(kind, constraints.variation.Variation),
        )


def test_several_parameters():
    P = SETS["product"]
    x = np.concatenate([X.ravel(), X.ravel()])
    assert np.array_equal(P(x), np.concatenate([SETS["bounds"](X).ravel(), X.ravel()])) and P.convex
    assert not Product([WAVES.model()], Rank(WAVES, 1)).convex
    F = so.Projection(WAVES, [(20.0, 10.0)]) * so.Modeling(WAVES, so.Acoustic(GRID, vp=1500.0, rho=1000.0))
    G = so.Parametric(F * so.Projection(WAVES, [(40.0, 10.0)]).H, wrt=("vp", "rho"))
    assert Product(G, Bounds(G, 1.0, 2.0), Bounds(G, 3.0, 4.0))(x)[-1] == 4.0
    with pytest.raises(ParameterError, match="2 sets .* which has 1 parameters"):
        Product([WAVES.model()], None, None)
    with pytest.raises(SpaceError, match="stands for a parameter"):
        Product([WAVES.model()], Bounds(so.Grid((9, 9), 5.0) and so.Wavefield(so.Grid((9, 9), 5.0), WAVES.time)))


def test_an_intersection_is_that_of_a_solver():
    x = X[:3, :4]
    waves = so.Wavefield(so.Grid((3, 4), 10.0), WAVES.time)
    low, high, most = 1880.0, 2200.0, L2Ball(waves, 0.5, center=1900.0, relative_to=x)
    found = Intersection(Monotone(waves), most, Bounds(waves, low, high), tolerance=1e-9)(x)
    ref = minimize(
        lambda y: (0.5 * np.sum((y - x.ravel() / 100) ** 2), y - x.ravel() / 100), np.full(12, 19.0) + 0.05 * np.arange(12),
        jac=True, method="SLSQP", bounds=[(low / 100, high / 100)] * 12, options={"maxiter": 1000, "ftol": 1e-12},
        constraints=[
            {"type": "ineq", "fun": lambda y: np.diff(y.reshape(3, 4)).ravel()},
            {"type": "ineq", "fun": lambda y: (most.radius / 100) ** 2 - np.sum((y - 19.0) ** 2)},
        ],
    )  # fmt: skip
    assert np.allclose(100 * ref.x, found.ravel(), atol=1e-2)
    assert found.max() <= high and found.min() >= low
    # alternating projections find something in all sets, not the nearest
    other = Bounds(waves, low, high)(most(Monotone(waves)(x)))
    assert np.linalg.norm(other - found) > 1.0


def test_an_intersection_of_sets_that_have_nothing_in_common():
    with pytest.raises(ParameterError, match="after 50 iterations .* nothing in common"):
        Intersection(Bounds(WAVES, 1000.0, 1100.0), Bounds(WAVES, 1200.0, 1300.0), iterations=50)(X)


def test_within_an_intersection_nothing_moves():
    # a model of zeros, or near, has no size of its own: what the sets make of it has one
    zero = np.zeros(WAVES.grid.shape)
    ball = Intersection(L2Ball(WAVES, 1.0), Monotone(WAVES), Bounds(WAVES, -1.0, 1.0))
    assert np.array_equal(ball(zero), zero) and np.array_equal(ball(zero + 1e-300), zero + 1e-300)
    lifted = Intersection(Monotone(WAVES), Bounds(WAVES, 1000.0, 2500.0))
    for tiny in (zero, 1e-30 * X):
        assert np.allclose(lifted(tiny), 1000.0, rtol=1e-3)
    assert spg(lambda x: (np.sum((x - 0.1) ** 2), 2 * (x - 0.1)), zero, ball).fun < 1e-6
    both = Intersection(Monotone(WAVES), Bounds(WAVES, 1000.0, 2500.0))
    m = np.tile(np.linspace(1500.0, 2000.0, 5), (6, 1))
    assert np.array_equal(both(m), m) and np.array_equal(Intersection(Bounds(WAVES, 0.0, 1.0))(m), np.ones_like(m))


@pytest.mark.parametrize("name", sorted(set(SETS) - {"half space", "function"}))
def test_sets_are_pickled_and_told_apart(name):
    one = SETS[name]
    x = given(one)
    assert np.array_equal(pickle.loads(pickle.dumps(one))(x), one(x))
    assert fingerprint(one) == fingerprint(pickle.loads(pickle.dumps(one)))
    assert len({fingerprint(SETS[other]) for other in ("l1", "l2", "bounds", "known", name)}) >= 4


def test_numbers_of_any_space():
    coefficients = so.model.Splines(WAVES, 20.0).domain
    assert np.isclose(np.abs(L1Ball(coefficients, 2.0)(np.ones(coefficients.shape))).sum(), 2.0)
    line = Space("x", [Axis("i", 3)], "float64")
    assert np.array_equal(Bounds(line, 0.0, 1.0)([-1.0, 0.5, 3.0]), [0.0, 0.5, 1.0])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Bounds(WAVES, 2.0, 1.0), "low must not be above high"),
        (
            lambda: Bounds(WAVES, np.ones(7)),
            r"Bounds: low of shape \(7,\) does not fit .*: give a number, or an array that",
        ),
        (lambda: Bounds(WAVES, "a", "b"), r"Bounds: low must be numbers in the unit of models, .*, got 'a'"),
        (lambda: Bounds(WAVES, 1.0, None), "Bounds: high must be numbers .*, got None"),
        (lambda: Bounds(WAVES, np.nan), "low must not be above"),
        (lambda: Known(WAVES, np.ones(5), 1500.0), "True or False"),
        (lambda: Known(WAVES, WATER, np.nan), "finite"),
        (lambda: Known(WAVES, WATER[:3], 1.0), "Known: where of shape .* does not fit"),
        (lambda: Known(WAVES, WATER, "a"), "Known: values must be numbers .*, got 'a'"),
        (lambda: Known(WAVES, "a", 1.0), "True or False in each cell, got 'a'"),
        (lambda: L1Ball(WAVES, -1.0), "L1Ball: radius must not be negative, got -1.0, in the unit of models$"),
        (lambda: L2Ball(WAVES, "a"), "L2Ball: radius must be a finite number in the unit of models, got 'a'"),
        (lambda: L2Ball(WAVES, -1.0, relative_to=1.0), "got -1.0, in fractions of what relative_to measures"),
        (lambda: L2Ball(WAVES, 1.0, relative_to="a"), "L2Ball: relative_to must be numbers"),
        (lambda: L2Ball(WAVES, 1.0, center="a"), "L2Ball: center must be numbers in the unit of models, .*, got 'a'"),
        (lambda: TotalVariation(WAVES, -1.0), "in the unit of models times m$"),
        (lambda: Smoothness(WAVES, -1.0), "in the unit of models$"),
        (lambda: L2Ball(WAVES, 1.0, center=np.nan), "NaN"),
        (lambda: Monotone(WAVES, "y"), "no axis"),
        (lambda: Rank(WAVES, 0), "^Rank: rank must be an integer of at least 1, got 0"),
        (lambda: TotalVariation(Space("x", [Axis("i", 3)]), 1.0), "on a grid"),
        (lambda: TotalVariation(WAVES, 1.0, tolerance=0.0), "positive"),
        (lambda: Bounds(WAVES, 1.0)(np.full(GRID.shape, np.nan)), "NaN"),
        (lambda: Bounds(3.0, 1.0), "needs models"),
        (lambda: Intersection(), "needs sets"),
        (lambda: Intersection(Rank(WAVES, 1)), "not convex"),
        (lambda: Intersection(np.copy), "Intersection is made of constraints, .* is none. Proximal"),
        (lambda: Intersection(3), "3 is none"),
        (
            lambda: Product((WAVES.model(), WAVES.model()), Bounds(WAVES), 3),
            "Product is made of constraints, .* 3 is none",
        ),
        (lambda: Product(3.0, None), "Product needs the spaces of several parameters: .*, got 3.0"),
        (lambda: Scaled(3.0, 1.0), "Scaled is made of constraints, .* 3.0 is none"),
        (lambda: Scaled(Bounds(WAVES), 1.0, start="a"), "Scaled: start must be numbers"),
        (lambda: Scaled(Bounds(WAVES), 0.0), "positive"),
        (lambda: Proximal(WAVES, pyproximal.L1(100.0)), "L1 is no projection"),
        (lambda: Proximal(WAVES, pyproximal.L2()), "no projection"),
        (lambda: Proximal(WAVES, lambda x: 0.5 * x), "moves what it returned"),
        (lambda: Proximal(WAVES, 3.0), "give a constraint"),
    ],
)
def test_what_makes_no_sense_is_refused(make, match):
    with pytest.raises(ParameterError, match=match):
        make()


def test_sets_of_different_models_are_refused():
    other = so.Wavefield(so.Grid((5, 5), 10.0), WAVES.time)
    with pytest.raises(SpaceError, match="different models"):
        Intersection(Bounds(WAVES), Bounds(other))
    with pytest.raises(SpaceError, match="makes arrays of shape"):
        Proximal(WAVES, lambda x: x[:-1])


def test_what_needs_pyproximal_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyproximal.projection", None)
    for one in (SETS["l1"], SETS["intersection"], SETS["variation"]):
        with pytest.raises(ImportError, match=r'\[prox\]"'):
            one(X)
    assert SETS["bounds"](X).max() <= 2300.0 and SETS["smooth"](X).size
