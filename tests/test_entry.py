"""What enters is looked at once, where it enters, and a message says what was expected and what to do."""

import re
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pylops
import pytest

import seisops as so
from seisops import check
from seisops.errors import ParameterError, SelectionError, SpaceError
from seisops.spaces import Traces

GRID = so.Grid((31, 25), 10.0)
TIME = so.Time(41, 0.004)
WAVES = so.Wavefield(GRID, TIME, shots=3)
RECEIVERS = np.array([[100.0, 50.0], [200.0, 60.0], [250.0, 10.0]])
Pr, Ps = so.Projection(WAVES, RECEIVERS), so.Projection(WAVES, [(150.0, 100.0)])
MEDIUM = so.Acoustic(GRID, vp=2000.0)
F = Pr * so.Modeling(WAVES, MEDIUM, so.PML(cells=6), space_order=4) * Ps.H
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


@pytest.mark.parametrize("enter", [lambda q: F @ q, lambda q: G(M, q)], ids=["operator", "map"])
def test_what_overflows_is_said_where_it_enters(enter):
    with pytest.raises(ParameterError, match="that are NaN or infinite, first -?inf"):
        enter(Q.astype("float64") * 1e39)


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


def test_what_was_looked_at_is_not_looked_at_again(data, monkeypatch):
    misfit, J = so.inversion.LeastSquares(G, data, Q), so.Jacobian(F, Q)
    looked = []
    monkeypatch.setattr(Traces, "require_finite", lambda self, *rest: looked.append(self))
    misfit(M)
    pylops.cgls(J, data.ravel(), niter=2)
    assert not looked
    F @ Q
    assert looked == [F.domain]


def test_layers_of_operators_check_what_they_are_given_but_no_derivatives():
    torch = pytest.importorskip("torch")
    layer, q = so.torch.lift(F), torch.tensor(Q, requires_grad=True)
    batch = torch.stack([torch.tensor(Q), torch.tensor(spoilt(Q, (2, 0, 7)))])
    for apply in (layer, torch.vmap(layer), so.torch.lift(F, traceable=True)):
        with pytest.raises(ParameterError, match="element 1 of the batch.* first nan at shot 2, trace 0, sample 7"):
            apply(batch)
    with pytest.raises(ParameterError, match="shot 0, trace 1, sample 2"):
        layer.H(torch.tensor(spoilt(np.zeros(F.range.shape, "float32"), (0, 1, 2))))
    # as of a loss that overflows: what scales gradients takes note of it
    layer(q).backward(torch.full(F.range.shape, torch.inf))
    assert not torch.isfinite(q.grad).all()
    # no solve to protect: as NumPy would
    assert torch.isnan(so.torch.lift(pylops.Identity(2))(torch.tensor([1.0, torch.nan])))[1]


RAGGED = so.Projection(WAVES, [RECEIVERS, RECEIVERS[:1], RECEIVERS[1:]])


@pytest.mark.parametrize("kind", ["array", "diagonal", "restriction"])
def test_bad_data_of_shots_with_other_numbers_of_traces(kind):
    H = so.Parametric(RAGGED * so.Modeling(WAVES, MEDIUM, so.PML(cells=6), space_order=4) * Ps.H)
    d = H(MEDIUM.m, Q)
    where = (4, 9)  # the first of two traces of shot 2
    weights = np.ones_like(d)
    weights[where] = 0
    keep = {
        "array": weights,
        "diagonal": pylops.Diagonal(weights.ravel(), dtype="float32"),
        "restriction": pylops.Restriction(d.size, np.flatnonzero(weights), dtype="float32"),
    }[kind]
    with pytest.raises(ParameterError, match="shot 2, trace 0, sample 9: mend the data"):
        so.inversion.LeastSquares(H, spoilt(d, where), Q)
    with pytest.raises(ParameterError, match="shot 2, trace 1, sample 9: mend the data"):
        so.inversion.LeastSquares(H, spoilt(spoilt(d, where), (5, 9), -np.inf), Q, weights=keep)
    excluded, clean = (so.inversion.LeastSquares(H, x, Q, weights=keep) for x in (spoilt(d, where), d))
    for one, other in zip(excluded(M), clean(M), strict=True):
        np.testing.assert_array_equal(one, other)
    if kind == "array":
        np.testing.assert_array_equal(excluded.select([-1, 0])(M)[1], clean.select([2, 0])(M)[1])


def test_bad_data_of_encoded_shots(data):
    E = so.inversion.Encoding.random(2, 3)
    Fe, encoded = E.encode(F), E.data(F) @ spoilt(data, (1, 2, 5))
    weights = np.ones(encoded.shape)
    weights[:, 2, 5] = 0  # of all encoded shots, of which each has a share of shot 1
    options = dict(weights=weights)
    a = so.inversion.LeastSquares(so.Parametric(Fe), encoded, E.sources(F) @ Q, **options)
    b = so.inversion.LeastSquares(so.Parametric(Fe), E.data(F) @ data, E.sources(F) @ Q, **options)
    for one, other in zip(a(M), b(M), strict=True):
        np.testing.assert_array_equal(one, other)


def test_products_with_bad_data_say_where(data):
    J = so.Jacobian(F, Q)
    for op in (F.H, J.H, so.VStack([F, 2 * F]).H * so.VStack([so.Identity(F.range)] * 2)):
        with pytest.raises(ParameterError, match="1 of 369 values .* shot 1, trace 2, sample 5: mend it"):
            op @ spoilt(data, (1, 2, 5))
    survey = so.Survey.from_arrays(
        [(150.0, 100.0)] * 2, [RECEIVERS] * 2, [TIME, so.Time(31, 0.004)]
    )  # time axes that differ
    W = survey.modeling(MEDIUM, boundary=so.PML(cells=6), space_order=4)
    d = W.range.zeros()
    d[3 * 41 + 2 * 31 + 4] = np.nan
    with pytest.raises(ParameterError, match="shot 1, trace 2, sample 4"):
        W.H @ d
    with pytest.raises(ParameterError, match="shot 1, trace 2, sample 4"):
        W.jacobian(W.domain.random(0)).H @ d
    q = W.domain.zeros()
    q[41 + 7] = np.inf
    for enter in (W.jacobian, lambda q: W.as_map()(M, q), lambda q: W @ q):
        with pytest.raises(ParameterError, match="first inf at shot 1, trace 0, sample 7"):
            enter(q)


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
    with pytest.raises(SelectionError, match="integers, not by a mask"):
        F[True]
    for key, says in (("a", "'a'"), (1.0, "1.0"), (None, "None"), ([0.5], r"\[0.5\]"), (slice("a"), "slice"), (
        np.ones(99), r"an array of float64 of shape \(99,\)"
    )):  # fmt: skip
        with pytest.raises(
            SelectionError, match=f"shots of .*, 0 to 2, are selected by integers or a slice, not by {says}"
        ):
            F[key]
    with pytest.raises(TypeError):  # as of lists
        F["a"]
    assert F[np.int64(1)].shots == 1 and F[-1].shots == 1


@pytest.mark.parametrize("shots", [2, -1, [2], (-1,), slice(2, None), np.array([2])], ids=str)
def test_shots_are_selected_in_one_way(data, shots):
    misfit = so.inversion.LeastSquares(G, data, Q)
    np.testing.assert_array_equal(F.select(shots) @ Q[2:], data[2:])
    np.testing.assert_array_equal(G.select(shots)(MEDIUM.m, Q[2:]), data[2:])
    np.testing.assert_array_equal(misfit.select(shots).data, data[2:])
    assert so.Wavelet(WAVES, np.arange(3.0)[:, None] * np.ones(41)).select(shots).signature[0, 0] == 2.0
    x = RAGGED.range.random(0)
    np.testing.assert_array_equal(RAGGED.range.take(x, shots)[0], RAGGED.range.shot(x, 2))
    with pytest.raises(SelectionError, match="shot 3 is out of range: Coordinates.* has 3 shots"):
        RAGGED.points.select([3])


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
    "an equation of one's own on a wavefield": (lambda: Own(WAVES, m=1e-6), "first argument must be a seisops Grid"),
    "the name of a wavelet": (lambda: so.Wavelet(WAVES, "ricker"), r"an array of samples, such as ricker\(time, f0\)"),
    "a wavelet without its time axis": (lambda: so.ricker(0.004, 15.0), "needs a Time first, .* got float 0.004"),
    "corners before the time axis": (lambda: so.ormsby((1, 2, 3, 4), TIME), "needs a Time first, .* got tuple"),
    "a layer by words": (lambda: so.PML(8, "weak"), r"reflection='weak'\): must lie between 0 and 1"),
    "a source for a name": (lambda: so.Parametric(F, Q), "give the name of a parameter"),
    "a stack of one operator": (lambda: so.VStack(F), r"takes a list of at least one operator, \[A, B\]"),
    "encoded data of an array": (lambda: so.inversion.Encoding.random(2, 3).data(Q), "a space such as F.range"),
    "a misfit of data": (lambda: so.inversion.LeastSquares(Q, G), "needs a map first, .* got ndarray"),
    "a misfit whose start lacks the source": (
        lambda: so.inversion.LeastSquares(G, np.zeros(F.range.shape), start=M),
        "give it after the data",
    ),
    "a misfit whose mask lacks the source": (
        lambda: so.inversion.LeastSquares(G, np.zeros(F.range.shape), P=np.ones(GRID.shape)),
        "give it after the data",
    ),
    "a plan of a medium": (lambda: so.plan(MEDIUM), "contains no Modeling: give a modeling operator"),
    "a medium on a wavefield": (lambda: so.Acoustic(WAVES, vp=2000.0), "first argument must be a seisops Grid"),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_was_expected_is_said(name):
    call, message = CALLS[name]
    with pytest.raises((ParameterError, SpaceError)) as error:
        call()
    assert re.search(message, str(error.value).replace("\n", " "))


class Own(so.WaveEquation):
    parameters = ("m",)

    def residual(self, fields, parameters):
        return (parameters.m * fields.u.dt2 - fields.u.laplace,)


def test_a_map_is_no_operator():
    for call in (so.Parametric, so.fuse, lambda x: so.Jacobian(x, Q), so.inversion.Encoding.random(2, 3).encode):
        with pytest.raises(TypeError, match="got a Parametric, which is nonlinear: .* G.F, or its derivative"):
            call(G)


def test_a_linear_operator_has_a_misfit(data):
    J = so.Jacobian(F, Q)
    value, gradient = so.inversion.LeastSquares(J, data)(np.zeros(GRID.shape))
    assert value == pytest.approx(0.5 * np.sum(data.astype(float) ** 2))
    np.testing.assert_allclose(gradient, -(J.H @ data).ravel(), rtol=1e-6)


def test_arguments_of_several_spaces_may_be_a_list():
    given = [check.taylor_test(G, x, steps=(0.1, 0.05)).errors for x in ((M, Q), [M, Q])]
    assert given[0] == given[1]


def test_tensors_that_want_gradients_are_told_about_layers():
    torch = pytest.importorskip("torch")
    with pytest.raises(ParameterError, match=r"seisops.torch.lift\(F\)\(x\)"):
        F @ torch.tensor(Q, requires_grad=True)
    np.testing.assert_array_equal(F @ torch.tensor(Q), F @ Q)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: G.linearize(M, Q).pushforward(M), "a direction for each of the 2 arguments, got 1: give None"),
        (lambda: G.second(M, (M, Q), F.range.zeros()), r"a tuple of 2 arrays each.*; x is ndarray"),
        (lambda: G.second((M, Q), (M,), F.range.zeros()), r"a tuple of 2 arrays each.*; dx is 1"),
        (
            lambda: so.inversion.LeastSquares(G, F.range.zeros(), Q, P=np.full(M.shape, np.nan)),
            "LeastSquares: P: must be finite",
        ),
        (
            lambda: so.inversion.LeastSquares(G, F.range.zeros(), Q, weights=np.ones(7)),
            "LeastSquares: weights: numbers of shape",
        ),
        (lambda: so.Modeling(WAVES, MEDIUM, boundary=so.PML), "use PML"),
        (lambda: so.Modeling(WAVES, MEDIUM, free_surface="bottom"), "free_surface='bottom'.*True for one at the top"),
        (
            lambda: so.Modeling(WAVES, MEDIUM, max_velocity=np.full(GRID.shape, 3e3)),
            "max_velocity must be a positive and finite",
        ),
        (lambda: so.Acoustic(GRID, vp="2000"), "vp='2000' is not an array of real numbers"),
        (lambda: so.Acoustic(GRID, vp=2000 + 0j), "vp=.* is not an array of real numbers"),
    ],
)
def test_slips_are_named(call, words):
    with pytest.raises((ParameterError, SpaceError), match=words):
        call()


def test_there_is_nothing_above_a_free_surface():
    above = so.Projection(WAVES, [(100.0, 50.0), (200.0, -3.0)], margin=20.0)
    A, B = (so.Modeling(WAVES, MEDIUM, so.PML(cells=6), surface, space_order=4) for surface in (True, False))
    for product in (lambda: above * A, lambda: Ps * A * above.H):
        with pytest.raises(
            ParameterError, match=r"point 1 of shot 0, at \(200.0, -3.0\) m, lies above the free surface"
        ):
            product()
    assert np.abs((above * B * Ps.H) @ Q)[:, 1].max() > 0


def test_plans_of_maps_and_jacobians():
    half, weak = 0.5 * so.Identity(F.range), so.storage.Subsampled(2)
    misfit = so.inversion.LeastSquares(G, np.zeros(F.range.shape), Q)
    J = so.Jacobian(F, Q)
    whole = so.plan(F, trial=False)
    for x in (G, J, J.H, half * J, half @ G, G - G, G.tangent(), misfit):
        plan = so.plan(x, trial=False)
        assert (
            (plan.shots, plan.steps, plan.cells) == (whole.shots, whole.steps, whole.cells) == (3, whole.steps, 43 * 37)
        )
    # what a map or a Jacobian says of itself counts, unless another is asked for
    for x in (so.Parametric(F, storage=weak), so.Jacobian(F, Q, storage=weak)):
        assert so.plan(x, trial=False) == so.plan(F, weak, trial=False)
        # but for the budget, which is a share of the memory that is free at the moment
        assert replace(so.plan(x, "auto", trial=False), budget_bytes=0) == replace(whole, budget_bytes=0)


def test_names_of_the_package():
    assert so.__version__ == version("seisops")
    code = "import seisops.storage as s; from seisops.storage import Full; print(s.Full is Full)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
