"""Derivatives by the positions of sources and receivers: of weights, of data against Green's function, of the map."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from cases import TOLERANCE, world
from scipy.optimize import minimize
from scipy.special import hankel2

import seisops as so
from seisops.check import diagnose, dot_test, taylor_test
from seisops.engine.symbols.places import Place
from seisops.errors import ParameterError, SpaceError
from seisops.wave.grid import Grid
from seisops.wave.sampling.moves import windowed_sincs
from seisops.wave.sampling.points import KAISER_SHAPE, weights
from seisops.wave.solver import Solver

pytestmark = [
    pytest.mark.filterwarnings("ignore::seisops.DispersionWarning"),
    pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning"),  # random sources begin and end with jumps
]


def distance(a, b):
    """Relative difference of two arrays."""
    return np.linalg.norm(np.ravel(a) - np.ravel(b)) / np.linalg.norm(np.ravel(b))


# ---- weights


def test_windowed_sincs_are_differentiated_exactly():
    """Also in the node, at other nodes and at the ends of the window."""

    def kernel(x):
        window = mpmath.besseli(0, KAISER_SHAPE * mpmath.sqrt(1 - (x / 4) ** 2)) / mpmath.besseli(0, KAISER_SHAPE)
        return window * mpmath.sinc(mpmath.pi * x)

    x = np.array([-4.0, -3.99, -2.3, -1.0, 1e-9, 0.0, 0.3, 1.0, 2.0, 3.5, 4.0])
    with mpmath.workdps(40):
        for order in range(4):
            exact = [mpmath.taylor(kernel, mpmath.mpf(v), order)[order].real * mpmath.factorial(order) for v in x]
            found = windowed_sincs(x, 4.0, KAISER_SHAPE, order)
            np.testing.assert_allclose((-1) ** order * found, np.array(exact, float), rtol=0, atol=1e-13)


GRID = Grid((21, 16), (10.0, 5.0), origin=(100.0, 0.0))
WHERE = (6, 0), (33, 22)
PLACES = {
    "nodes": None,
    "odd": Place((Fraction(0),) * 2, parity=-1),
    "even": Place((Fraction(0),) * 2, parity=1),
    "half a cell off": Place((Fraction(1, 2), Fraction(1, 2)), parity=1),
    "no mirror": Place((Fraction(0),) * 2, closed=True),
    "held": Place((Fraction(0), Fraction(0)), closed=True, held=True),
}


def table(points, *options, moved=None, **named):
    """Weights of all cells, for each point."""
    gridpoints, coefficients = weights(points, GRID, *WHERE, *options, moved=moved, **named)
    out = np.zeros((len(points), *WHERE[1]))
    for p, (first, c) in enumerate(zip(gridpoints, coefficients, strict=True)):
        i, k = (slice(n, n + c.shape[1]) for n in first)
        out[p, i, k] = np.multiply.outer(c[0], c[1])
    return out


def between_nodes(n=60, seed=0):
    """Points at least a tenth of a cell from nodes and from what lies half a cell off."""
    rng = np.random.default_rng(seed)
    cells = (
        rng.integers(0, np.array(GRID.shape) - 1, (n, 2))
        + rng.choice([0.0, 0.5], (n, 2))
        + rng.uniform(0.1, 0.4, (n, 2))
    )
    return GRID.origin + cells * GRID.spacing


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("interpolation", ["sinc", "linear"])
@pytest.mark.parametrize("derivative", [None, 1])
def test_derivatives_of_weights_are_those_of_differences(interpolation, place, derivative):
    points, options = between_nodes(), (interpolation, PLACES[place])
    plain = table(points, *options, derivative=derivative, entering=True)
    np.testing.assert_array_equal(table(points, *options, derivative=derivative, entering=True, moved=(0, 0)), plain)
    h = 1e-4
    for lower, axis in (((0, 0), 0), ((0, 0), 1), ((1, 0), 1), ((0, 1), 1), ((1, 1), 0)):
        step = h * np.eye(2)[axis]
        ahead, behind = (
            table(points + s * step, *options, derivative=derivative, entering=True, moved=lower) for s in (1, -1)
        )
        higher = tuple(n + (d == axis) for d, n in enumerate(lower))
        exact = table(points, *options, derivative=derivative, entering=True, moved=higher)
        np.testing.assert_allclose(exact, (ahead - behind) / (2 * h), rtol=0, atol=1e-8 * max(1.0, np.abs(exact).max()))
        assert np.abs(exact).max() > 1e-4 or interpolation == "linear"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("interpolation", ["sinc", "linear"])
def test_on_nodes_they_are_the_mean_of_both_sides(interpolation, place):
    rng, options = np.random.default_rng(1), (interpolation, PLACES[place])
    nodes = rng.integers(0, np.array(GRID.shape), (40, 2))
    points = GRID.origin + nodes * GRID.spacing
    h = 1e-3
    for axis in range(2):
        moved = tuple(np.eye(2, dtype=int)[axis])
        step = h * np.eye(2)[axis] * GRID.spacing
        exact = table(points, *options, moved=moved)
        sides = [table(points + s * step, *options, moved=moved) for s in (1, -1)]
        np.testing.assert_allclose(exact, sum(sides) / 2, rtol=0, atol=h)
        if interpolation == "sinc" and place == "nodes":
            assert 5e-4 < np.abs(sides[0] - sides[1]).max() * GRID.spacing[axis] < 1e-2
            inside = (nodes[:, axis] > 4) & (nodes[:, axis] < 12)  # symmetric: exact for what is linear
            x = GRID.origin[axis] + GRID.spacing[axis] * (np.arange(WHERE[1][axis]) - WHERE[0][axis])
            line = np.expand_dims(x, 1 - axis) + np.zeros(WHERE[1])
            ones = np.einsum("pik->p", exact[inside])
            slope = np.einsum("pik,ik->p", exact[inside], line)
            np.testing.assert_allclose(ones, 0.0, atol=1e-12)
            assert np.abs(slope - 1).max() < 0.05


# ---- data


C = 2000.0


def analytic_slope(signal, step, offset):
    """The gradient by the receiver of pressure in two dimensions: Morse & Feshbach (1953), sec. 7.3; (H0)' = -H1."""
    r, count = np.linalg.norm(offset), 16 * len(signal)
    k = 2 * np.pi * np.fft.rfftfreq(count, step) / C
    slope = np.zeros(len(k), complex)
    slope[1:] = 0.25j * k[1:] * hankel2(1, k[1:] * r)
    trace = np.fft.irfft(np.fft.rfft(signal, count) * slope, count)[: len(signal)]
    return np.multiply.outer(np.asarray(offset) / r, trace)


RECEIVERS = np.array([[303.0, 2.0], [213.0, 281.0], [-247.0, 254.0], [3.0, -501.5]])


def test_the_gradient_of_greens_function():
    """By receivers, and by the source, of which it is the opposite; at 8 points for the shortest wavelength."""
    h, f0, source = 10.0, C / (8 * 10.0 * 2.3), np.array([603.0, 598.0])
    time = so.Time(241, 0.003)
    waves = so.Wavefield(so.Grid((121, 121), h), time, dtype="float64")
    Pr, Ps = so.Projection(waves, source + RECEIVERS), so.Projection(waves, [source])
    F = Pr * so.Modeling(waves, so.Acoustic(waves.grid, vp=C)) * Ps.H
    q = so.ricker(time, f0)[None, None]
    G = so.Parametric(F, (so.Positions(Pr), so.Positions(Ps)))
    with G.linearize(source + RECEIVERS, [source], q) as at:
        by_receivers, by_source, _ = at.jacobians
        for axis in range(2):
            exact = np.array([analytic_slope(q[0, 0], time.step, offset)[axis] for offset in RECEIVERS])
            ones = np.zeros((4, 2))
            ones[:, axis] = 1.0
            heard, driven = (by_receivers @ ones)[0], (by_source @ ones[:1])[0]
            # what is heard along an axis that a receiver does not lie on is compared with the gradient as a whole
            size = [np.linalg.norm(analytic_slope(q[0, 0], time.step, offset)) for offset in RECEIVERS]
            assert (np.linalg.norm(heard - exact, axis=1) / size).max() < 0.01
            assert (np.linalg.norm(driven + exact, axis=1) / size).max() < 0.01


def test_data_of_moved_points():
    """Central differences of data for which all is built anew at each place."""
    w, h = world(density=True, surface=True), 1e-3
    rng = np.random.default_rng(0)
    at = {
        "Pr": w.grid.spacing[0] * (rng.integers(1, 19, (2, 3, 2)) + 0.3),
        "Ps": 10.0 * (rng.integers(1, 19, (2, 2, 2)) + 0.6),
    }
    step = {name: rng.uniform(-1, 1, a.shape) for name, a in at.items()}

    def data(t):
        Pr, Ps = (so.Projection(w.waves, at[name] + t * step[name]) for name in ("Pr", "Ps"))
        return Pr, Ps, Pr * w.A * Ps.H

    Pr, Ps, F = data(0.0)
    q = F.domain.random(0)
    G = so.Parametric(F, (so.Positions(Ps), so.Positions(Pr)))
    with G.linearize(at["Ps"], at["Pr"], q) as linear:
        found = linear.pushforward(step["Ps"], step["Pr"], None)
    difference = (data(h)[2] @ q - data(-h)[2] @ q) / (2 * h)
    assert distance(found, difference) < 1e-7


# ---- the map


def apart(w, counts, seed):
    """Points as far from nodes as from what lies half a cell off, so that small moves pass neither."""
    rng = np.random.default_rng(seed)
    high = np.array(w.grid.shape) - 2
    return [10.0 * (rng.integers(1, high, (n, w.grid.ndim)) + 0.25) for n in counts]


def shared(w):
    (r,), (s,) = apart(w, [3], 1), apart(w, [2], 2)
    Pr, Ps = so.Projection(w.waves, r), so.Projection(w.waves, s)
    return Pr * w.A * Ps.H, Pr, Ps, r, s


def in_each_shot(w):
    r, s = np.stack(apart(w, [3, 3], 1)), np.stack(apart(w, [1, 1], 2))
    Pr, Ps = so.Projection(w.waves, r), so.Projection(w.waves, s, "linear")
    return Pr * w.A * Ps.H, Pr, Ps, r, s


def ragged(w):
    r, s = apart(w, [3, 1], 1), apart(w, [0, 2], 2)
    Pr, Ps = so.Projection(w.waves, r), so.Projection(w.waves, s)
    return Pr * w.A * Ps.H, Pr, Ps, np.concatenate(r), np.concatenate(s)


def dipoles(w):
    r, (s,) = np.stack(apart(w, [2, 2], 1)), apart(w, [2], 2)
    Pr, Ps = so.Dipole(w.waves, r, (1.0, 2.0)), so.Dipole(w.waves, s, [(1.0, 0.0), (0.3, 0.4)])
    return Pr * w.A * Ps.H, Pr, Ps, r, s


def elastic(w):
    medium = so.Elastic(w.grid, vp=1700.0, vs=900.0, rho=1100.0)
    A = so.Modeling(w.waves, medium, boundary=so.PML(cells=6), space_order=4, free_surface=True)
    (r,), s = apart(w, [3], 1), np.stack(apart(w, [1, 1], 2))
    Pr = so.Force(w.waves, r, (0.3, 1.0))
    Ps = so.MomentTensor(w.waves, s, [[1.0, 0.4], [0.4, -0.5]])
    return Pr * A * Ps.H, Pr, Ps, r, s


def two_solves(w):
    r, s = np.stack(apart(w, [3, 3], 1)), np.stack(apart(w, [1, 1], 2))
    Pr, Ps = so.Projection(w.waves, r), so.Projection(w.waves, s)
    return so.VStack([Pr * w.A * Ps.H, 2.0 * (w.Ps2 * w.A * Ps.H)]), Pr, Ps, r, s


def the_same_points(w):
    r, s = np.stack(apart(w, [2, 2], 1)), np.stack(apart(w, [1, 1], 2))
    Pr, Ps = so.Projection(w.waves, r), so.Projection(w.waves, s)
    return (Pr + Pr) * w.A * so.HStack([Ps.H, Pr.H]), Pr, Ps, r, s


EXPRESSIONS = {f.__name__: f for f in (shared, in_each_shot, ragged, dipoles, elastic, two_solves, the_same_points)}


@pytest.mark.parametrize("name", [*EXPRESSIONS, "3D"])
def test_derivatives(name):
    """Exact: transposes, first and second derivative converge at their orders, the gradient's derivative is symmetric."""
    w = world(ndim=3, boundary="none", order=2) if name == "3D" else world()
    F, Pr, Ps, r, s = EXPRESSIONS[name if name in EXPRESSIONS else "in_each_shot"](w)
    G = so.Parametric(F, (so.Positions(Pr), so.Positions(Ps)))
    x = (r, s, F.domain.random(3))
    rng = np.random.default_rng(4)
    dx, z = (tuple(rng.standard_normal(a.shape) for a in x) for _ in range(2))
    y = G.range.random(5)
    y /= np.linalg.norm(G(*x))
    with G.linearize(*x) as at:
        assert distance(at.value, F @ x[-1]) < TOLERANCE["float64"] and distance(G(*x), at.value) < 1e-15
        assert max(map(dot_test, at.jacobians)) < TOLERANCE["float64"], [*map(diagnose, at.jacobians)]
        together, alone = at.pullback(y), [J.H @ np.ravel(y) for J in at.jacobians]
        assert max(map(distance, together, alone)) < TOLERANCE["float64"]
        pushed = at.pushforward(*dx)
    result = taylor_test(G, x, dx, steps=(0.4, 0.2, 0.1, 0.05))
    assert all(1.9 < rate < 2.1 for rate in result.rates[1:]), result

    T = G.tangent()
    assert distance(T(*x, *dx), pushed) < TOLERANCE["float64"]
    by_dx, by_z = G.second(x, dx, y), G.second(x, z, y)
    forward, backward = (sum(float(np.vdot(a, b)) for a, b in zip(*p, strict=True)) for p in ((by_dx, z), (by_z, dx)))
    assert abs(forward - backward) < 1e-11 * sum(
        np.linalg.norm(a) * np.linalg.norm(b) for a, b in zip(by_dx, z, strict=True)
    )

    def gradient(t):
        with G.linearize(*(a + t * d for a, d in zip(x, dx, strict=True))) as at:
            return at.pullback(y)

    h = 1e-3
    for exact, ahead, behind in zip(by_dx, gradient(h), gradient(-h), strict=True):
        assert distance(exact, (ahead - behind) / (2 * h)) < 1e-6


@pytest.mark.parametrize("wrt", [("vp",), ("vp", "rho")], ids="-".join)
def test_beside_parameters_of_the_medium(wrt):
    w = world(density=True, boundary="sponge")
    F, Pr, Ps, r, s = in_each_shot(w)
    G = so.Parametric(F, (so.Positions(Ps), *wrt, so.Positions(Pr)))
    assert G.wrt == wrt and [space.name for space in G.domain] == [
        "positions",
        *["model"] * len(wrt),
        "positions",
        "traces",
    ]
    x = (s, *(w.medium.get(n) for n in wrt), r, F.domain.random(3))
    rng = np.random.default_rng(4)
    dx = [rng.uniform(-1, 1, a.shape) * (1.0 if a is s or a is r else np.abs(a).max()) for a in x]
    dx[-1] *= 0
    result = taylor_test(G, x, tuple(dx), steps=(1e-2, 5e-3, 2.5e-3))
    assert all(1.9 < rate < 2.1 for rate in result.rates), result
    y = G.range.random(1)
    with G.linearize(*x) as at:
        for J, by in zip(at.jacobians, at.pullback(y), strict=True):
            assert dot_test(J) < TOLERANCE["float64"]
            assert distance(J.H @ y, by) < TOLERANCE["float64"]
        plain = so.Jacobian(F, x[-1], wrt=wrt[0])
        dm = plain.domain.random(2)
        assert distance(at.jacobians[1] @ dm, plain @ dm) < TOLERANCE["float64"]


def test_a_derivative_that_is_off_spoils_the_rates(monkeypatch):
    """A derivative off by one in a thousand is no derivative."""
    from seisops.wave import positions

    w = world()
    F, Pr, Ps, r, s = in_each_shot(w)
    G = so.Parametric(F, so.Positions(Ps))
    q = F.domain.random(3)
    right = positions.Displaced._apply
    monkeypatch.setattr(positions.Displaced, "_apply", lambda self, x: 1.001 * right(self, x))
    result = taylor_test(G, (s, q), (np.ones_like(s), 0 * q), steps=(1e-2, 1e-3, 1e-4))
    assert result.rates[-1] < 1.5


def test_one_solve_forward_and_one_backward(monkeypatch):
    solves, run = [], Solver.run

    def counted(self, *args, **options):
        solves.append(1)
        return run(self, *args, **options)

    w = world()
    F, Pr, Ps, r, s = in_each_shot(w)
    for wrt, point in (
        ((so.Positions(Pr), so.Positions(Ps)), (r, s)),
        (("m", so.Positions(Pr), so.Positions(Ps)), (w.medium.m, r, s)),
        ((so.Positions(Pr), "m", so.Positions(Ps)), (r, w.medium.m, s)),
    ):
        G, x = so.Parametric(F, wrt), (*point, F.domain.random(3))
        y = G.range.random(1)
        monkeypatch.setattr(Solver, "run", counted)
        with G.linearize(*x) as at:
            assert len(solves) == 2  # shots
            at.pullback(y)
            assert len(solves) == 4
            at.pushforward(*x)
            assert len(solves) == 6
        with so.Parametric(F, so.Positions(Pr)).linearize(r, x[-1]) as at:
            solves.clear()
            at.jacobians[0] @ r
            at.jacobians[0].H @ y
            assert not solves  # all is there
        monkeypatch.undo()
        solves.clear()


def test_points_on_nodes():
    """Central differences of data tend to the derivative there, though to either side the slope is another one."""
    w, h = world(), 1e-3
    rng = np.random.default_rng(2)
    s = 10.0 * rng.integers(5, 15, (2, 1, 2)).astype(float)
    Ps = so.Projection(w.waves, s)
    F = w.Pr * w.A * Ps.H
    G, q = so.Parametric(F, so.Positions(Ps)), F.domain.random(0)
    for axis in range(2):
        step = np.zeros(s.shape)
        step[..., axis] = 1.0
        with G.linearize(s, q) as at:
            found = at.jacobians[0] @ step
        middle, ahead, behind = G(s, q), G(s + h * step, q), G(s - h * step, q)
        assert distance(found, (ahead - behind) / (2 * h)) < 1e-3
        assert distance(found, (ahead - middle) / h) > 1e-3


def test_single_precision():
    w = world(dtype="float32")
    F, Pr, Ps, r, s = in_each_shot(w)
    G = so.Parametric(F, ("m", so.Positions(Pr), so.Positions(Ps)))
    with G.linearize(w.medium.m, r, s, F.domain.random(3)) as at:
        assert max(map(dot_test, at.jacobians)) < TOLERANCE["float32"]
        assert at.value.dtype == np.float32


def test_an_edge_that_single_precision_misses_is_in_the_model():
    grid, time = so.Grid((31, 31), 3.3), so.Time(20, 0.001)
    waves = so.Wavefield(grid, time)
    edge = grid.extent[0][1]
    Pr = so.Projection(waves, [[edge, 50.0]])
    G = so.Parametric(Pr * so.Modeling(waves, so.Acoustic(grid, vp=1500.0)) * Pr.H, so.Positions(Pr))
    assert np.isfinite(G([[np.nextafter(np.float32(edge), np.float32(1e9)), 50.0]], G.domain[-1].zeros())).all()


# ---- what is refused


def test_points_outside_the_model():
    w = world(surface=True)
    F, Pr, Ps, r, s = in_each_shot(w)
    G, q = so.Parametric(F, so.Positions(Ps)), F.domain.random(0)
    outside = s.copy()
    outside[1, 0] = (-3.0, 50.0)
    with pytest.raises(ParameterError, match=r"point 0 of shot 1 at \(x=-3 m, z=50 m\) lies outside the model"):
        G(outside, q)
    outside[1, 0] = (np.nan, 50.0)
    with pytest.raises(ParameterError, match="not a finite position"):
        G.linearize(outside, q)
    with pytest.raises(SpaceError, match=r"positions\[shot=2, point=1, axis=2\]"):
        G(s[0], q)


def test_a_margin_stays():
    w = world()
    Ps = so.Projection(w.waves, np.full((2, 1, 2), 50.0), margin=30.0)
    F = w.Pr * w.A * Ps.H
    G, q = so.Parametric(F, so.Positions(Ps)), F.domain.random(0)
    assert np.abs(G(np.full((2, 1, 2), -20.0), q)).max() > 0
    with pytest.raises(ParameterError, match="outside the model"):
        G(np.full((2, 1, 2), -31.0), q)


def test_positions_of_something_else():
    w = world()
    with pytest.raises(ParameterError, match="these points are not in"):
        so.Parametric(w.F, so.Positions(w.Ps2))
    with pytest.raises(ParameterError, match="given twice"):
        so.Parametric(w.F, (so.Positions(w.Ps), so.Positions(w.Ps)))
    fibre = so.Fibre(w.waves, [[60.0, 60.0], [100.0, 70.0]], 25.0)
    for wrong in (fibre, w.Pw, "Ps"):
        with pytest.raises(ParameterError, match="Positions"):
            so.Positions(wrong)
    with pytest.raises(ParameterError, match=r"so\.Positions of points"):
        so.Parametric(w.F, (w.Ps,))
    with pytest.raises(ParameterError, match=r"wrt"):
        so.Jacobian(w.F, w.F.domain.random(0), wrt=so.Positions(w.Ps))


# ---- a use


def test_a_source_is_found():
    """From 40 m away, by what receivers around it hear."""
    grid, time = so.Grid((61, 41), 10.0), so.Time(121, 0.003)
    waves = so.Wavefield(grid, time, dtype="float64")
    Pr = so.Projection(waves, [(x, z) for x in (50.0, 300.0, 550.0) for z in (30.0, 370.0)])
    true, start = np.array([[322.0, 214.0]]), np.array([[295.0, 185.0]])
    Ps = so.Projection(waves, start)
    F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=2000.0)) * Ps.H
    q = so.ricker(time, 12.0)[None, None]
    G = so.Parametric(F, so.Positions(Ps))
    observed = G(true, q)
    misfit = so.inversion.LeastSquares(
        G, observed, q, weights=1 / np.linalg.norm(observed), P=np.full((1, 2), 10.0), start=start
    )
    found = minimize(misfit, np.zeros(2), jac=True, method="L-BFGS-B", options={"maxiter": 30})
    assert np.linalg.norm(misfit.model(found.x) - true) < 0.01
