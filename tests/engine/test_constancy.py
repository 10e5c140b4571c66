"""What follows from parameters alone is found, and its values are those of the expression."""

import devito
import numpy as np
import pytest
import sympy

from seisops.engine.derive.born import born
from seisops.engine.derive.system import System, expand_time
from seisops.engine.lower.constancy import Constancy
from seisops.engine.symbols.names import CONSTANT, PREFIX
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import at

T = Template(2, 4, "float64")
X, Z = T.dimensions
M, B, U = T.parameter("m"), T.parameter("b"), T.field("u")
SHAPE = (9, 11)
RNG = np.random.default_rng(0)
ARRAYS = {PREFIX + name: 1 + RNG.random(SHAPE) for name in ("m", "b")}
NUMBERS = {"dt": 0.3, "h_x": 2.0, "h_z": 3.0}
DT = T.step.spacing
A, C = ARRAYS[f"{PREFIX}m"], ARRAYS[f"{PREFIX}b"]


def half(f, d):
    return devito.Derivative(f, d, deriv_order=0, fd_order=2, x0={d: d + d.spacing / 2})


def next_to(a, axis):
    return np.concatenate([np.delete(a, 0, axis), np.take(a, [-1], axis)], axis)


VALUES = {
    "reciprocal": (1 / M, 1 / A),
    "of a product": (1 / (M * B**2), 1 / (A * C**2)),
    "of a sum with the time step": (1 / (1 + DT * M / 2), 1 / (1 + 0.15 * A)),
    "function": (devito.sin(M) * devito.cos(B), np.sin(A) * np.cos(C)),
    "root": (devito.sqrt(1 + 2 * M), np.sqrt(1 + 2 * A)),
    "harmonic average": (1 / half(1 / M, X), 2 / (1 / A + 1 / next_to(A, 0))),
    "difference over a cell": (
        1 / devito.Derivative(M + B, Z, fd_order=1, x0={Z: Z + Z.spacing / 2}),
        3.0 / (next_to(A + C, 1) - (A + C) + (np.arange(SHAPE[1]) == SHAPE[1] - 1)),
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    expr, expected = VALUES[name]
    constancy = Constancy(T)
    symbol = constancy.of(sympy.sympify(expr))
    assert symbol is not None and CONSTANT in symbol.name
    inside = (slice(0, -1), slice(0, -1))
    assert np.allclose(constancy.found[symbol.name].values(ARRAYS, NUMBERS)[inside], expected[inside], rtol=1e-14)


@pytest.mark.parametrize("expr", [M, M * B + M**2, U / 2, U * devito.sin(U), half(M, X), DT**2, sympy.sqrt(DT), 3 * M])
def test_what_is_cheap_or_changes_is_computed(expr):
    assert Constancy(T).of(sympy.sympify(expr)) is None


def test_the_factors_of_a_product():
    constancy = Constancy(T)
    symbol, others = constancy.factor(sympy.Mul(DT**2, U, 1 / M, B))
    assert symbol is constancy.of(sympy.sympify(B / M)) and set(sympy.Mul(*others).args) == {DT**2, U}
    assert constancy.factor(U * B) == (None, (U * B).args)


def test_parameters_that_cancel_leave_a_number():
    mean = half(M, X)
    number, others = Constancy(T).factor(sympy.Mul(2 * mean, U, 1 / mean, evaluate=False))
    assert number == 2 and others == [U]


def test_perturbations_are_no_parameters():
    """Their values change from run to run."""
    system = System(T, (U,), (expand_time(M * U.dt2 - U.laplace, T),), ({0: 1.0},), ({0: 1.0},))
    (row,) = born(system, ["m"]).rows
    constancy = Constancy(T)
    symbol, _ = constancy.factor(row / M)
    assert constancy.found[symbol.name].arrays == ((M.name, (0, 0)),)


def test_one_symbol_in_each_process_and_in_each_cell():
    there = {X: X + 2 * X.spacing}
    first, second = Constancy(T), Constancy(Template(2, 4, "float64"))
    other = second.template.parameter("m")
    assert first.of(sympy.sympify(1 / M)).name == second.of(sympy.sympify(1 / other)).name
    assert first.of((1 / M).subs(there)).indices == (X + 2 * X.spacing, Z) and len(first.found) == 1
    assert first.of(1 / (M + B.subs(there))) is None  # of different cells


def test_averages_at_points_are_looked_up():
    """There is nothing beside a cell that a table says."""
    row = devito.Dimension(name="row")
    cell = {X: T.table("cell", (row,), np.int32)[row]}
    symbol = Constancy(T).of(at(half(M, X), cell))
    assert symbol is not None and symbol.indices[0] == cell[X]
