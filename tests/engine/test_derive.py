"""The recursions over residuals, against dense matrices of the same expressions on a small periodic grid."""

from fractions import Fraction
from itertools import product
from math import prod

import numpy as np
import pytest
import sympy
from devito import Derivative, cos, left, sin, sqrt

import seisops as so
from seisops.engine.derive.born import born, combinations
from seisops.engine.derive.layers import PMLStretch, Stretch
from seisops.engine.derive.system import System, adjoint, expand_time, linearize, march, transpose
from seisops.engine.facts import Keep
from seisops.engine.stability.plane_waves import stable_step
from seisops.engine.stability.rows import TakenApart
from seisops.engine.symbols.location import sign
from seisops.engine.symbols.names import PREFIX
from seisops.engine.symbols.stencils import evaluate, stencil
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import leaves, move, replaced, time_offset
from seisops.errors import ParameterError, UnstableError

SHAPE = (7, 6)
SPACING = (10.0, 8.0)
DT = 0.01


def template(order=2, ndim=2):
    return Template(ndim, order, "float64")


class Dense:
    """Evaluates linear expressions as matrices; indices wrap around, so that transposition is exact everywhere."""

    def __init__(self, template, values):
        self.template, self.values = template, values
        self.cells = {d.spacing: h for d, h in zip(template.dimensions, SPACING, strict=True)}
        self.cells[template.step.spacing] = DT

    def __call__(self, expr, fields):
        """``{(function, time offset): matrix}`` of an expression that is linear in `fields`."""
        expr = evaluate(expand_time(sympy.sympify(expr), self.template), self.template)
        return self._matrices(expr, set(fields))

    def _matrices(self, expr, fields):
        if not any(f.function in fields for f in leaves(expr)):
            assert expr == 0, f"{expr} has no field"
            return {}
        if getattr(expr, "is_DiscreteFunction", False):
            offset = time_offset(expr) if expr.function.is_TimeFunction else 0
            return {(expr.function, offset): self._shift(expr)}
        if expr.is_Add:
            out = {}
            for a in expr.args:
                for key, matrix in self._matrices(a, fields).items():
                    out[key] = out.get(key, 0) + matrix
            return out
        assert expr.is_Mul, expr
        (inner,) = [a for a in expr.args if any(f.function in fields for f in leaves(a))]
        factor = np.ones(np.prod(SHAPE))
        for a in expr.args:
            if a is not inner:
                factor = factor * self.number(a)
        return {key: factor[:, None] * matrix for key, matrix in self._matrices(inner, fields).items()}

    def number(self, expr):
        """A coefficient at every cell, flat."""
        return self._number(evaluate(sympy.sympify(expr), self.template)) * np.ones(np.prod(SHAPE))

    def _number(self, expr):
        if getattr(expr, "is_DiscreteFunction", False):
            return self._shift(expr) @ self.values[expr.function.name].ravel()
        if expr in self.cells or expr.is_Number:
            return float(self.cells.get(expr, expr))
        arguments = [self._number(a) for a in expr.args]
        if expr.is_Add or expr.is_Mul:
            return (sum if expr.is_Add else prod)(arguments)
        return arguments[0] ** arguments[1] if expr.is_Pow else getattr(np, expr.func.__name__)(*arguments)

    def _shift(self, f):
        """The matrix that moves an array by the offset of an appearance."""
        offsets = []
        for index, d in zip(f.indices, f.function.dimensions, strict=True):
            if d in self.template.dimensions:
                offsets.append(int(round(float(sympy.expand((index - d) / d.spacing)))))
        index = np.arange(np.prod(SHAPE)).reshape(SHAPE)
        index = np.roll(index, [-k for k in offsets], axis=(0, 1)).ravel()
        return np.eye(np.prod(SHAPE))[index]


def setting(order=2):
    t = template(order)
    u, v, w = t.field("u"), t.field("v"), t.field("w")
    m, b = t.parameter("m"), t.parameter("b")
    rng = np.random.default_rng(0)
    values = {f"{PREFIX}{n}": rng.uniform(0.5, 1.5, SHAPE) for n in ("m", "b", "d_m", "d_b")}
    return t, u, v, w, m, b, values


def after(d):
    return {d: d + d.spacing / 2}


def before(d):
    return {d: d - d.spacing / 2}


def shifted(f, d, x0, order=2):
    return Derivative(f, d, fd_order=order, x0=x0)


def mean(f, d):
    return Derivative(f, d, deriv_order=0, fd_order=2, x0=after(d))


EXPRESSIONS = {
    "the field": lambda u, m, b, x, z: u,
    "a coefficient": lambda u, m, b, x, z: m * b * u,
    "a time shift": lambda u, m, b, x, z: m * u.forward - b * u.backward,
    "second difference in time": lambda u, m, b, x, z: m * u.dt2,
    "one-sided in time": lambda u, m, b, x, z: m * Derivative(u, u.grid.stepping_dim),
    "space shift": lambda u, m, b, x, z: m * u.subs({x: x + 2 * x.spacing, z: z - z.spacing}),
    "Laplacian": lambda u, m, b, x, z: u.laplace,
    "Laplacian of a product": lambda u, m, b, x, z: m * (b * u).laplace,
    "first order": lambda u, m, b, x, z: m * u.dx + b * u.dz,
    "mixed": lambda u, m, b, x, z: (m * u.dx).dz,
    "between nodes": lambda u, m, b, x, z: shifted(u, x, after(x)),
    "there and back": lambda u, m, b, x, z: shifted(mean(b, x) * shifted(u, x, after(x)), x, before(x)),
    "averaged field": lambda u, m, b, x, z: b * mean(mean(u, x), z),
    "averaged coefficient": lambda u, m, b, x, z: mean(mean(b, x), z) * shifted(u, z, after(z)),
    "nested in time and space": lambda u, m, b, x, z: m * (u.forward - u).dx - (b * u.dt2).dz,
    "a power": lambda u, m, b, x, z: u.dx / sqrt(m) + cos(b) * u,
    "a sum times a coefficient": lambda u, m, b, x, z: b * (m * u.dx + u.forward),
}


def check_same(a, b):
    """Two sets of matrices are equal; those that are missing are zero."""
    for key in set(a) | set(b):
        assert np.allclose(a.get(key, 0), b.get(key, 0), rtol=1e-10, atol=1e-12), key


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_transpose_is_the_transposed_matrix(name, order):
    t, u, _, w, m, b, values = setting(order)
    x, z = t.dimensions
    dense = Dense(t, values)
    expr = EXPRESSIONS[name](u, m, b, x, z)
    there = dense(expr, [u])
    back = dense(transpose(expand_time(expr, t), w, [u])[u], [w])
    assert any(np.abs(a).max() > 0 for a in there.values())
    check_same({(w, -k): a.T for (_, k), a in there.items()}, back)


def test_transpose_of_the_transpose():
    t, u, _, w, m, b, values = setting()
    x, z = t.dimensions
    dense = Dense(t, values)
    for name in ("there and back", "averaged coefficient", "nested in time and space"):
        expr = expand_time(EXPRESSIONS[name](u, m, b, x, z), t)
        twice = transpose(transpose(expr, w, [u])[u], u, [w])[w]
        check_same(dense(expr, [u]), dense(twice, [u]))


@pytest.mark.parametrize(
    "name",
    [
        "a coefficient",
        "second difference in time",
        "Laplacian of a product",
        "there and back",
        "averaged coefficient",
        "a power",
    ],
)
def test_linearisation_is_the_derivative_of_the_matrix(name):
    t, u, _, _, m, b, values = setting()
    x, z = t.dimensions
    expr = EXPRESSIONS[name](u, m, b, x, z)
    dm, db = t.parameter("d_m"), t.parameter("d_b")
    slope = Dense(t, values)(linearize(expand_time(expr, t), {m: dm, b: db}), [u])
    h = 1e-4

    def moved(way):
        at = {n: values[n] + way * h * values[f"{PREFIX}d_{n.removeprefix(PREFIX)}"] for n in (m.name, b.name)}
        return Dense(t, {**values, **at})(expr, [u])

    ahead, behind = moved(1), moved(-1)
    for key in set(slope) | set(ahead):
        numeric = (ahead[key] - behind[key]) / (2 * h)
        assert np.allclose(slope.get(key, 0), numeric, rtol=1e-6, atol=1e-6 * max(1e-9, np.abs(numeric).max())), key


def test_linearisation_of_what_does_not_depend_is_zero():
    t, u, _, _, m, b, _ = setting()
    assert linearize(u.laplace, {m: t.parameter("d_m")}) == 0
    assert linearize(m * u, {b: t.parameter("d_b")}) == 0


def test_adjoint_of_a_system_transposes_its_block_matrix():
    t, u, v, _, m, b, values = setting()
    x, _ = t.dimensions
    dt = t.step.spacing
    rows = (
        (u.forward - u) / dt - mean(b, x) * shifted(v, x, after(x)),
        (v.forward - v) / dt - m * shifted(u.forward, x, before(x)),
    )
    system = System(t, (u, v), rows, source=({1: 2.0},), observe=({0: 0.5},))
    other = adjoint(system)
    assert other.direction == -1 and other.source == ({0: 0.5},) and other.observe == ({1: 2.0},)
    dense = Dense(t, values)
    blocks = [dense(row, [u, v]) for row in rows]
    for j, row in enumerate(other.residuals):
        expected = {
            (other.fields[i], -k): a.T
            for i, block in enumerate(blocks)
            for (f, k), a in block.items()
            if f is system.fields[j]
        }
        check_same(expected, dense(row, other.fields))


def test_the_step_solves_its_row():
    """The update puts in what makes the residual equal to the source."""
    t, u, _, _, m, b, values = setting()
    dense = Dense(t, values)
    row = expand_time(m * u.dt2 + b * (u.forward - u.backward) / t.step.spacing - u.laplace, t)
    (step,) = march(System(t, (u,), (row,), ({0: 1.0},), ({0: 1.0},)))
    assert step.field == u.forward
    residual, value = dense(row, [u]), dense(step.value, [u])
    scale = dense.number(step.scale)
    leading = residual.pop((u, 1))
    assert np.allclose(leading * scale[None], np.eye(len(scale)))
    check_same({key: -scale[:, None] * a for key, a in residual.items()}, value)


def test_rows_are_put_in_an_order_that_can_be_marched():
    t, u, v, _, m, b, _ = setting()
    dt = t.step.spacing
    rows = ((u.forward - u) / dt - v.forward.dx, (v.forward - v) / dt - u.dx)
    assert [s.index for s in march(System(t, (u, v), rows, ({0: 1.0},), ({0: 1.0},)))] == [1, 0]
    assert [s.index for s in march(adjoint(System(t, (u, v), rows, ({0: 1.0},), ({0: 1.0},))))] == [0, 1]


# ---- what is refused


def test_implicit_schemes_are_refused():
    t, u, _, _, m, _, _ = setting()
    row = (u.forward - u) / t.step.spacing - m * u.forward.laplace
    with pytest.raises(ParameterError, match="implicit"):
        march(System(t, (u,), (row,), ({0: 1.0},), ({0: 1.0},)))


def test_rows_that_need_each_other_are_refused():
    t, u, v, *_ = setting()
    rows = (u.forward - v.forward.dx, v.forward - u.forward.dx)
    with pytest.raises(ParameterError, match=r"so_u, so_v need each other"):
        march(System(t, (u, v), rows, ({0: 1.0},), ({0: 1.0},)))


@pytest.mark.parametrize(
    "expr", [lambda u, m: u * u, lambda u, m: m * u.dx * u, lambda u, m: sqrt(u), lambda u, m: u**2]
)
def test_nonlinear_expressions_are_refused(expr):
    _, u, _, w, m, *_ = setting()
    with pytest.raises(ParameterError, match="not linear in so_u"):
        transpose(expr(u, m), w, [u])


def test_terms_without_the_field_are_refused():
    _, u, _, w, m, *_ = setting()
    with pytest.raises(ParameterError, match="does not contain"):
        transpose(m * u + m, w, [u])


# ---- the weights of derivatives


def moments(derivative, t, d, at=0.0):
    """What the derivative makes of x^p / p!, for a spacing of one: sums of weights times powers of offsets."""
    taps = {k: float(w.subs(d.spacing, 1)) for (k,), w in stencil(derivative, t).items()}
    return [sum(w * (k - at) ** p for k, w in taps.items()) / float(sympy.factorial(p)) for p in range(12)], taps


@pytest.mark.parametrize("order", [2, 4, 8, 16])
@pytest.mark.parametrize(("deriv_order", "where"), [(1, 0), (2, 0), (1, 1), (1, -1), (0, 1)])
def test_weights_are_exact(order, deriv_order, where):
    t = template(order)
    (x, _), u = t.dimensions, t.field("u")
    x0 = {x: x + where * x.spacing / 2} if where else {}
    d = Derivative(u, x, deriv_order=deriv_order, fd_order=order, x0=x0)
    sums, taps = moments(d, t, x, at=where / 2)
    accurate = order + (2 if deriv_order == 2 and not where else 0)
    for p in range(min(accurate, len(sums))):
        assert sums[p] == pytest.approx(float(p == deriv_order), abs=1e-13), p
    points = sorted(range(min(taps), max(taps) + 1))
    exact = sympy.finite_diff_weights(deriv_order, points, sympy.Rational(where, 2))[deriv_order][-1]
    for k, w in zip(points, exact, strict=True):
        assert taps.get(k, 0.0) == pytest.approx(float(w), rel=1e-15, abs=1e-300)


@pytest.mark.parametrize("where", [0, 1, -1])
def test_a_derivative_and_its_transpose_have_mirrored_weights(where):
    t = template(8)
    (x, _), u = t.dimensions, t.field("u")
    d = Derivative(u, x, fd_order=8, x0={x: x + where * x.spacing / 2} if where else {})
    there, back = stencil(d, t), stencil(d.T, t)
    assert {(-k,): w for (k,), w in there.items()} == back


def test_weights_that_are_stated():
    """On as many points on either side, exact, and mirrored in the transpose; kept in layers."""
    t = template(8)
    (x, _), u = t.dimensions, t.field("u")
    half = {"x0": {x: x + x.spacing / 2}}
    d = Derivative(u, x, deriv_order=0, fd_order=4, weights=(-1, 3, -3, 1), **half)
    assert stencil(d, t) == {(-1,): -1, (0,): 3, (1,): -3, (2,): 1}
    assert stencil(d.T, t) == {(1,): -1, (0,): 3, (-1,): -3, (-2,): 1}
    assert stencil(Derivative(u, x, deriv_order=0, fd_order=2, weights=(0.25, 0.5, 0.25)), t)[1,] == 0.25
    assert stencil(Derivative(u, x, fd_order=2, weights=(-0.5, 0, 0.5)), t).keys() == {(-1,), (1,)}
    with pytest.raises(ParameterError, match="3 weights do not lie as many on either side"):
        stencil(Derivative(u, x, deriv_order=0, fd_order=2, weights=(1, 2, 1), **half), t)
    positions, parity = {u.name: (Fraction(0), Fraction(0))}, {u.name: -1}
    for stretch in (Stretch, PMLStretch):
        one_sided = Derivative(u, x, fd_order=2, side=left)
        for given in (d, one_sided):
            (kept,) = (e for e in stretch(t, [u], positions, parity)(given).atoms(Derivative) if u in leaves(e))
            assert stencil(kept, t) == stencil(given, t)


def test_what_is_odd_about_a_surface():
    """By fields, parameters and derivatives; what is neither is refused, but along other axes."""
    t, u, v, _, m, b, _ = setting(4)
    (x, z), parity = t.dimensions, {u.name: -1, m.name: -1}
    third = {"deriv_order": 0, "fd_order": 4, "weights": (-1, 3, -3, 1)}
    odd = [
        u,
        v * m,
        Derivative(v, z),
        Derivative(u, (z, 2)),
        sin(m) * v,
        u + 2 * m * v,
        m**3,
        cos(m) * u,
        u.forward / b,
    ]
    even = [
        v,
        b,
        u * m,
        Derivative(u, z),
        cos(m) * v,
        sin(m) * u,
        m**2,
        Derivative(sin(m) * Derivative(u, x), x),
        sqrt(b),
    ]
    odd += [Derivative(u, x, **third, x0=after(x)), Derivative(v, z, **third, x0=after(z))]
    even += [Derivative(u, z, **third, x0=after(z)), Derivative(v, z, deriv_order=0, fd_order=2, weights=(1, 2, 1))]
    for expressions, of in ((odd, -1), (even, 1)):
        for expr in expressions:
            assert sign(expr, parity, t.dimensions) == of, expr
    for expr in (u + v, m * u + u, sin(m) + cos(m), sqrt(1 + m)):
        with pytest.raises(ParameterError, match="neither even nor odd above a surface"):
            sign(expr, parity, t.dimensions)
    assert sign(Derivative(u, x, side=left), parity, t.dimensions) == -1
    for one_sided in ({"side": left}, {"deriv_order": 0, "fd_order": 2, "weights": (0, 1, 1)}):
        with pytest.raises(ParameterError, match="from one side along z"):
            sign(Derivative(u, z, **one_sided), parity, t.dimensions)


# ---- stability


def laplacian(order, t):
    """Largest eigenvalue of minus the second derivative with a spacing of one: at the highest wavenumber."""
    (x, *_), u = t.dimensions, t.field("u")
    weights = stencil(Derivative(u, x, deriv_order=2, fd_order=order), t)
    return -sum(float(w.subs(x.spacing, 1)) * (-1) ** k for (k,), w in weights.items())


def slope(order, t):
    """Largest modulus of the derivative between nodes with a spacing of one."""
    (x, *_), u = t.dimensions, t.field("u")
    return sum(abs(float(w.subs(x.spacing, 1))) for w in stencil(shifted(u, x, after(x), order), t).values())


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("order", [2, 4, 8])
def test_stable_step_of_waves_is_analytic(order, ndim):
    t = template(order, ndim)
    u, m = t.field("u"), t.parameter("m")
    system = System(t, (u,), (expand_time(m * u.dt2 - u.laplace, t),), ({0: 1.0},), ({0: 1.0},))
    spacing, c = (10.0, 8.0, 5.0)[:ndim], 2000.0
    largest = laplacian(order, t) * sum(h**-2 for h in spacing)
    step = stable_step(TakenApart(system).symbol, {m.name: c**-2}, spacing, 1e-3)
    assert step == pytest.approx(2 / (c * largest**0.5), rel=1e-6)


@pytest.mark.parametrize("order", [2, 4])
def test_stable_step_of_a_staggered_leapfrog_is_analytic(order):
    t = template(order)
    p, vx, vz, k, b = t.field("p"), t.field("vx"), t.field("vz"), t.parameter("k"), t.parameter("b")
    (x, z), dt = t.dimensions, t.step.spacing
    rows = (
        (vx.forward - vx) / dt - mean(b, x) * shifted(p, x, after(x), order),
        (vz.forward - vz) / dt - mean(b, z) * shifted(p, z, after(z), order),
        (p.forward - p) / dt
        - k * (shifted(vx.forward, x, before(x), order) + shifted(vz.forward, z, before(z), order)),
    )
    step = stable_step(
        TakenApart(System(t, (vx, vz, p), rows, ({2: 1.0},), ({2: 1.0},))).symbol,
        {k.name: 4e9, b.name: 1e-3},
        SPACING,
        1e-2,
    )
    c = (4e9 * 1e-3) ** 0.5
    assert step == pytest.approx(2 / (c * slope(order, t) * sum(h**-2 for h in SPACING) ** 0.5), rel=1e-5)


@pytest.mark.parametrize("order", [2, 8])
def test_stable_step_of_diffusion_is_analytic(order):
    t = template(order)
    u, kappa = t.field("u"), t.parameter("kappa")
    row = (u.forward - u) / t.step.spacing - kappa * u.laplace
    step = stable_step(
        TakenApart(System(t, (u,), (row,), ({0: 1.0},), ({0: 1.0},))).symbol, {kappa.name: 1.5}, SPACING, 1.0
    )
    largest = laplacian(order, t) * sum(h**-2 for h in SPACING)
    assert step == pytest.approx(2 / (1.5 * largest), rel=2e-4)


def test_a_scheme_that_grows_at_every_step_is_refused():
    t = template()
    u, m = t.field("u"), t.parameter("m")
    row = (u.forward - u.backward) / (2 * t.step.spacing) - m * u.laplace
    with pytest.raises(UnstableError, match="at every time step"):
        stable_step(TakenApart(System(t, (u,), (row,), ({0: 1.0},), ({0: 1.0},))).symbol, {m.name: 1.0}, SPACING, 1.0)


def test_stable_step_where_a_field_has_no_derivative_in_time():
    """The gradient as fields of their own: the same scheme, whose rows lead at different time levels."""
    t = template(4)
    u, gx, gz, m = t.field("u"), t.field("gx"), t.field("gz"), t.parameter("m")
    x, z = t.dimensions
    div = shifted(gx, x, before(x), 4) + shifted(gz, z, before(z), 4)
    rows = (expand_time(m * u.dt2 - div, t), gx - shifted(u, x, after(x), 4), gz - shifted(u, z, after(z), 4))
    step = stable_step(
        TakenApart(System(t, (u, gx, gz), rows, ({0: 1.0},), ({0: 1.0},))).symbol, {m.name: 2000.0**-2}, SPACING, 1e-3
    )
    assert step == pytest.approx(2 / (2000.0 * slope(4, t) * sum(h**-2 for h in SPACING) ** 0.5), rel=1e-5)


def test_every_combination_of_shifts_has_a_transpose():
    t, u, _, w, _, b, values = setting()
    dense = Dense(t, values)
    for d, i, k in product(t.dimensions, (after, before), (0, 1)):
        expr = b * Derivative(u, d, deriv_order=k, fd_order=2, x0=i(d))
        (there,) = dense(expr, [u]).values()
        (back,) = dense(transpose(expr, w, [u])[u], [w]).values()
        assert np.allclose(there.T, back, rtol=1e-12)


def test_what_is_kept_of_the_background_is_independent():
    """As many as the rank, those of fewest terms, and everything is a combination of them, by what varies in space, too."""
    _, a, b, _, m, n, _ = setting()
    c, d = a.forward, b.forward
    factors = [
        a + b,
        2 * a,
        -a - b,
        3 * b / 2,
        c + d,
        a + c + d,
        sympy.Float(0.5) * d,
        -m * (m * c - n * (a + d)),
        n * b,
    ]
    of = combinations(factors, [a, b])
    kept = {k for terms in of.values() for k in terms}
    assert list(of) == factors and kept == {2 * a, 3 * b / 2, sympy.Float(0.5) * d, c + d}
    for factor, terms in of.items():
        assert sympy.expand(sum(n * k for k, n in terms.items()) - factor) == 0
    # nothing is divided by what may be zero somewhere
    for factor, terms in combinations([m * a, n * a, m * a + n * b], [a, b]).items():
        assert terms == {factor: 1}


def test_no_two_factors_of_the_background_are_alike():
    """Velocities and density of a solid need five: accelerations along both axes, and three strains."""
    grid = so.Grid((20, 20), 10.0)
    system = so.Elastic(grid, 2000.0, 1000.0, 2000.0).system(Template(2, 4, "float64"), so.PML(cells=4), "")
    assert len(born(system, ("lam", "mu", "rho")).histories) == 5
    assert len(born(system, ("lam",)).histories) == 1


MADE_OF_FIELDS = {
    "anisotropic": (lambda grid: so.TTI(grid, 2000.0, 0.2, 0.1), ("m", "epsilon", "anellipticity"), 4, 2),
    "viscoacoustic": (lambda grid: so.ViscoAcoustic(grid, 2000.0, 50.0, f0=10.0), ("m", "tau"), 2, 1),
    "tilted": (lambda grid: so.TTI(grid, 2000.0, 0.2, 0.1, 0.3), ("m", "epsilon", "anellipticity", "theta"), 8, 6),
    "acoustic": (lambda grid: so.Acoustic(grid, 2000.0), ("m",), 1, 1),
    "density": (lambda grid: so.Acoustic(grid, 2000.0, 2000.0), ("m", "b"), 3, 3),
    "elastic": (lambda grid: so.Elastic(grid, 2000.0, 1000.0, 2000.0), ("lam", "mu", "rho"), 5, 5),
}


@pytest.mark.parametrize("name", MADE_OF_FIELDS)
def test_fields_are_kept_where_they_are_fewer_than_their_factors(name):
    """With what was kept written in, Born sources are the same."""
    make, wrt, factors, fields = MADE_OF_FIELDS[name]
    template = Template(2, 4, "float64")
    system = make(so.Grid((20, 20), 10.0)).system(template, so.PML(cells=4), "")
    many, few = born(system, wrt), born(system, wrt, Keep(fields=True))
    assert (len(many.histories), len(few.histories)) == (factors, fields)
    assert (few.before > 0) == (fields < factors) == bool(few.fields) and many.before == 0
    assert many.continued == few.continued
    for rows in zip(many.rows, few.rows, strict=True):
        one, other = (_written_in(row, b) for row, b in zip(rows, (many, few), strict=True))
        assert sympy.expand(one - other) == 0


def _written_in(row, b):
    """A row, with the background's fields in place of its histories."""
    time, step = b.template.time, b.template.step
    known = {h.function: f for h, f in zip(b.histories, b.factors, strict=True)}

    def at(h):
        back = int(h.indices[0] - time) - b.before
        return move(known[h.function], {step: step + back * step.spacing} if back else {})

    return replaced(row, known, at)
