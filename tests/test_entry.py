"""What enters is looked at once, where it enters, and a message says what was expected and what to do."""

import re
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

import seisops as so
from seisops import check
from seisops.errors import ParameterError, SelectionError, SpaceError

GRID = so.Grid((31, 25), 10.0)
TIME = so.Time(41, 0.004)
WAVES = so.Wavefield(GRID, TIME, shots=3)
RECEIVERS = np.array([[100.0, 50.0], [200.0, 60.0], [250.0, 10.0]])
Pr, Ps = so.Projection(WAVES, RECEIVERS), so.Projection(WAVES, [(150.0, 100.0)])
MEDIUM = so.Acoustic(GRID, vp=2000.0)
F = Pr * so.Modeling(WAVES, MEDIUM) * Ps.H
G = so.Parametric(F)
Q = np.tile(so.ricker(TIME, f0=15.0, delay=0.08), (3, 1, 1)).astype("float32")
M = MEDIUM.m * 1.1


@pytest.fixture(scope="module")
def data():
    return F @ Q


def spoilt(a, where, value=np.nan):
    a = a.copy()
    a[where] = value
    return a


# -- numbers that are none


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "enter",
    [
        lambda q: F @ q,
        lambda q: G(M, q),
        lambda q: G.linearize(M, q),
        lambda q: so.Jacobian(F, q),
        lambda q: so.inversion.LeastSquares(G, np.zeros(F.range.shape), q),
    ],
    ids=["operator", "map", "linearize", "jacobian", "misfit"],
)
def test_sources_are_checked_where_they_enter(enter, value):
    with pytest.raises(ParameterError, match=r"1 of 123 values that are NaN or infinite, first (nan|inf)") as error:
        enter(spoilt(Q, (2, 0, 7), value))
    assert "shot 2, trace 0, sample 7" in str(error.value)


def test_layers_check_what_they_are_given():
    torch = pytest.importorskip("torch")
    layer = so.torch.lift(G)
    with pytest.raises(ParameterError, match="shot 2, trace 0, sample 7"):
        layer(torch.tensor(M, dtype=torch.float32), torch.tensor(spoilt(Q, (2, 0, 7))))


def test_bad_data_are_refused_unless_they_weigh_nothing(data):
    bad, weights = spoilt(data, (1, 2, 5)), np.ones(data.shape)
    weights[1, 2] = 0
    with pytest.raises(ParameterError, match="shot 1, trace 2, sample 5: mend the data, or give them weight 0"):
        so.inversion.LeastSquares(G, bad, Q)
    with pytest.raises(ParameterError, match="weight 0"):
        so.inversion.LeastSquares(G, spoilt(bad, (0, 0, 0)), Q, weights=weights)
    excluded = so.inversion.LeastSquares(G, bad, Q, weights=weights)
    clean = so.inversion.LeastSquares(G, spoilt(data, (1, 2), 0.0), Q, weights=weights)
    for one, other in zip(excluded(M), clean(M), strict=True):
        np.testing.assert_array_equal(one, other)
    dm = np.ones(GRID.shape)
    np.testing.assert_array_equal(excluded.hessian(M) @ dm.ravel(), clean.hessian(M) @ dm.ravel())
    np.testing.assert_array_equal(excluded.select([1])(M)[1], clean.select([1])(M)[1])


# -- shots


def test_shots_out_of_range():
    misfit = so.inversion.LeastSquares(G, np.zeros(F.range.shape), Q)
    for select in (misfit.select, F.select, G.select, WAVES.select, so.Jacobian(F, Q).select):
        with pytest.raises(SelectionError, match="shot 9 is out of range: .* has 3 shots, 0 to 2"):
            select([9])
    with pytest.raises(IndexError, match="shot 9 is out of range"):
        F[9]
    with pytest.raises(SelectionError, match="selects none of the 3 shots"):
        F[[]]
    with pytest.raises(TypeError, match="integers, not by a mask"):
        F[True]
    assert F[np.int64(1)].shots == 1 and F[-1].shots == 1


# -- the wrong thing in the wrong place

CALLS = {
    "a misfit of an operator": (
        lambda: so.inversion.LeastSquares(F, np.zeros(F.range.shape), Q),
        r"got the linear operator .* LeastSquares\(Parametric\(F\), data, q\)",
    ),
    "a misfit with source and data exchanged": (
        lambda: so.inversion.LeastSquares(G, Q, np.zeros(F.range.shape)),
        "given as data, is not in .* it fits argument 1",
    ),
    "a misfit without its source": (
        lambda: so.inversion.LeastSquares(G, np.zeros(F.range.shape))(M),
        r"give it after the data, as in LeastSquares\(G, data, source\)",
    ),
    "a Taylor test without a tuple": (
        lambda: check.taylor_test(G, M, Q),
        r"in a tuple, as in taylor_test\(G, \(x0, x1",
    ),
    "a dot test of a map": (lambda: check.dot_test(G), r"is a nonlinear map: .* dot_test\(G.jacobian"),
    "a projection of a grid": (lambda: so.Projection(GRID, RECEIVERS), "needs a Wavefield first, got Grid"),
    "a wavelet of a grid": (lambda: so.Wavelet(GRID, Q[0, 0]), "needs a Wavefield first, got Grid"),
    "modeling on a grid": (lambda: so.Modeling(GRID, MEDIUM), "needs a Wavefield first, got Grid"),
    "modeling of the medium first": (lambda: so.Modeling(MEDIUM, WAVES), "needs a Wavefield first, got Acoustic"),
    "a medium on a wavefield": (lambda: so.Acoustic(WAVES, vp=2000.0), "first argument must be a seisops Grid"),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_was_expected_is_said(name):
    call, message = CALLS[name]
    with pytest.raises((ParameterError, SpaceError)) as error:
        call()
    assert re.search(message, str(error.value).replace("\n", " "))


def test_tensors_that_want_gradients_are_told_about_layers():
    torch = pytest.importorskip("torch")
    with pytest.raises(ParameterError, match=r"seisops.torch.lift\(F\)\(x\)"):
        F @ torch.tensor(Q, requires_grad=True)
    np.testing.assert_array_equal(F @ torch.tensor(Q), F @ Q)


def test_plans_of_maps_and_jacobians():
    plans = [so.plan(x) for x in (F, G, so.Jacobian(F, Q))]
    assert len({(plan.shots, plan.steps, plan.cells) for plan in plans}) == 1 and plans[0].shots == 3


def test_names_of_the_package():
    assert so.__version__ == version("seisops")
    code = "import seisops.storage as s; from seisops.storage import Full; print(s.Full is Full)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
