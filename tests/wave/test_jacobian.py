"""Derivatives of modeling: convergence of Taylor expansions, and the same Jacobian by every way to it."""

import numpy as np
import pytest
from cases import TOLERANCE, world

import seisops as so
from seisops.check import dot_test, taylor_test
from seisops.errors import ParameterError, SpaceError
from seisops.wave.modeling import Modeling
from seisops.wave.sampling.imaging import Imaging
from seisops.wave.tangent import tangent

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")

EXACT = TOLERANCE["float64"]


def distance(a, b):
    """Relative difference of two arrays."""
    return np.linalg.norm(np.ravel(a - b)) / np.linalg.norm(np.ravel(b))


def point(G, w):
    """The medium's own parameters and a random source, and a direction in which everything moves."""
    rng = np.random.default_rng(3)
    x = (*(w.medium.get(name) for name in G.wrt), G.domain[-1].random(rng))
    dx = tuple(rng.uniform(-1.0, 1.0, a.shape) * np.abs(a).max() for a in x)
    return x, dx


DENSE = {"density": True, "boundary": "sponge"}
TAYLOR = {
    "m": ("m", {}),
    "vp": ("vp", {}),
    "m at a free surface": ("m", {"surface": True}),
    "m with substeps": ("m", {"substeps": True}),
    "m beside density": ("m", DENSE),
    "vp beside density": ("vp", DENSE),
    "rho": ("rho", DENSE),
    "m and rho": (("m", "rho"), DENSE),
}


def check_taylor(G, x, dx):
    result = taylor_test(G, x, dx, steps=(1e-2, 5e-3, 2.5e-3, 1.25e-3))
    assert all(1.9 < rate < 2.1 for rate in result.rates), result
    assert all(0.9 < rate < 1.1 for rate in result.zeroth_rates), result


@pytest.mark.parametrize("name", TAYLOR)
def test_taylor_expansion(name):
    wrt, options = TAYLOR[name]
    w = world(**options)
    G = so.Parametric(w.F, wrt=wrt)
    x, dx = point(G, w)
    check_taylor(G, x, dx)
    # by the medium alone: the source does not help
    check_taylor(G, x, (*dx[:-1], 0 * dx[-1]))


def test_taylor_expansion_of_an_extended_source():
    w = world()
    G = so.Parametric(w.extended, wrt="m")
    check_taylor(G, *point(G, w))


def test_a_planted_error_spoils_the_rates():
    """A derivative off by one in a thousand is no derivative."""
    w = world()
    G = so.Parametric(w.F, wrt="m")
    x, dx = point(G, w)
    derivative = type(w.medium).derivatives
    try:
        type(w.medium).derivatives = lambda self, name, wrt: {"m": 1.001}
        result = taylor_test(G, x, (dx[0], 0 * dx[1]), steps=(1e-2, 1e-3, 1e-4, 1e-5))
    finally:
        type(w.medium).derivatives = derivative
    assert result.rates[-1] < 1.5


# ---- one derivative by every way


@pytest.mark.parametrize("wrt", ["m", "vp"])
def test_jacobian_is_the_derivative_of_the_parametric_map(wrt):
    w = world()
    G = so.Parametric(w.F, wrt=wrt)
    (p, q), _ = point(G, w)
    J = so.Jacobian(w.F, q, wrt=wrt)
    dp, dd = J.domain.random(8), J.range.random(9)
    with G.linearize(p, q) as at_x:
        assert distance(at_x.value, w.F @ q) < EXACT
        by_parameter, by_source = at_x.jacobians
        assert distance(by_parameter @ dp, J @ dp) < EXACT
        assert distance(by_parameter.H @ dd, J.H @ dd) < EXACT
        assert distance(by_source @ q, w.F @ q) < EXACT


def test_a_closed_linearisation_says_so():
    w = world()
    G = so.Parametric(w.F)
    at_x = G.linearize(w.medium.m, w.F.domain.random(0))
    at_x.close()
    with pytest.raises(ParameterError, match="closed"):
        at_x.jacobians  # noqa: B018


def test_several_parameters_are_a_row_of_single_ones():
    w = world(**DENSE)
    q = w.F.domain.random(0)
    rng = np.random.default_rng(1)
    dp = {"m": rng.standard_normal(w.grid.shape) * 1e-8, "rho": rng.standard_normal(w.grid.shape) * 10.0}
    linear = {}
    for wrt in ("m", "rho", ("m", "rho"), ("rho", "m")):
        G = so.Parametric(w.F, wrt=wrt)
        names = (wrt,) if isinstance(wrt, str) else wrt
        with G.linearize(*(w.medium.get(n) for n in names), q) as at_x:
            linear[wrt] = {n: j @ dp[n] for n, j in zip(names, at_x.jacobians, strict=False)}
    for wrt in (("m", "rho"), ("rho", "m")):
        for name in wrt:
            assert distance(linear[wrt][name], linear[name][name]) < EXACT
    assert distance(linear["m"]["m"], linear["rho"]["rho"]) > 0.1


def test_several_parameters_have_a_leading_axis():
    w = world(density=True)
    q = w.F.domain.random(0)
    J, Jm, Jr = (so.Jacobian(w.F, q, wrt=n) for n in (("m", "rho"), "m", "rho"))
    assert J.domain.shape == (2, *w.grid.shape)
    dd = J.range.random(1)
    assert distance(J.H @ dd, np.stack([Jm.H @ dd, Jr.H @ dd])) < EXACT


def test_slowness_and_velocity_by_the_chain_rule():
    w = world()
    q = w.F.domain.random(0)
    dv = np.random.default_rng(1).standard_normal(w.grid.shape)
    by_v, by_m = (so.Jacobian(w.F, q, wrt=n) for n in ("vp", "m"))
    assert distance(by_v @ dv, by_m @ (-2.0 * w.medium.vp**-3 * dv)) < EXACT


def test_the_derivative_by_slowness_whatever_the_medium_was_given_by():
    w = world()
    other = so.Modeling(w.waves, so.Acoustic(w.grid, m=w.medium.m), boundary=so.PML(cells=6), space_order=4)
    q, dm = w.F.domain.random(0), w.waves.model().random(1)
    assert distance(so.Jacobian(w.Pr * other * w.Ps.H, q) @ dm, so.Jacobian(w.F, q) @ dm) < 1e-10


# ---- other media, the same discretisation


def test_another_medium_equals_a_fresh_operator():
    w = world()
    vp = w.medium.vp * np.random.default_rng(2).uniform(0.9, 1.0, w.grid.shape)
    options = {"boundary": so.PML(cells=6), "space_order": 4, "max_velocity": 2100.0}
    fresh = Modeling(w.waves, so.Acoustic(w.grid, vp=vp), **options)
    frozen = Modeling(w.waves, w.medium, **options)
    q = w.Ps.range.random(0)
    for moved in (frozen.at(vp=vp), frozen.at(m=vp**-2.0), (w.Pr * frozen * w.Ps.H).at(vp=vp)):
        F = w.Pr * moved * w.Ps.H if isinstance(moved, Modeling) else moved
        assert distance(F @ q, (w.Pr * fresh * w.Ps.H) @ q) < 1e-10
    assert distance((w.Pr * frozen * w.Ps.H) @ q, (w.Pr * fresh * w.Ps.H) @ q) > 1e-2


def test_a_jacobian_moves_with_its_medium():
    w = world()
    J = w.jacobian()
    moved, fresh = J.at(vp=1800.0), so.Jacobian(w.F.at(vp=1800.0), J.q)
    dm = J.domain.random(0)
    assert np.array_equal(moved @ dm, fresh @ dm)
    assert distance(moved @ dm, J @ dm) > 1e-2


def test_jacobians_of_compositions():
    w = world()
    q = w.F.domain.random(0)
    dm = w.waves.model().random(1)
    J = so.Jacobian(w.F, q)
    other = w.points(3, 9) * w.A * w.Ps.H
    assert distance(so.Jacobian(2.0 * w.F, q) @ dm, 2.0 * (J @ dm)) < EXACT
    both = (J @ dm) + so.Jacobian(other, q) @ dm
    assert distance(so.Jacobian(w.F + other, q) @ dm, both) < EXACT
    normal = so.Jacobian(w.F.H.H, q) @ dm
    assert distance(normal, J @ dm) < EXACT


def test_storage_is_released_and_comes_back():
    J = world().jacobian()
    dm = J.domain.random(0)
    before = J @ dm
    J.forget()
    assert np.array_equal(J @ dm, before)


def test_scattering_is_reciprocal():
    """What a perturbation makes of a source here and is heard there is what it makes of one there and is heard here.

    To rounding, where there is no layer: the operator is symmetric, in any medium.
    """
    w = world(boundary="none")
    one = so.Projection(w.waves, [[60.0, 55.0]])
    two = so.Projection(w.waves, [[133.0, 101.0]])
    q = np.tile(so.ricker(w.time, f0=25.0, delay=0.03), (2, 1, 1))
    dm = w.waves.model().random(1) * 1e-8
    there = so.Jacobian(two * w.A * one.H, q) @ dm
    back = so.Jacobian(one * w.A * two.H, q) @ dm
    assert distance(there, back) < EXACT
    assert distance(there, so.Jacobian(two * w.A * one.H, q) @ dm[::-1]) > 0.1


# ---- what cannot be differentiated


def test_the_adjoint_solve_is_refused():
    w = world()
    with pytest.raises(ParameterError, match="adjoint solve"):
        J = so.Jacobian(w.F.H, w.F.range.random(0))
        dot_test(J)


def test_different_media_are_refused():
    w = world()
    both = so.VStack([w.F, w.F.at(vp=1800.0)])
    with pytest.raises(ParameterError, match="different media"):
        so.Jacobian(both, both.domain.random(0))


def test_no_solve_is_refused():
    w = world()
    with pytest.raises(ParameterError, match="no solve"):
        so.Jacobian(so.Identity(w.waves.model()), w.waves.model().random(0))


def test_a_source_of_another_survey_is_refused():
    w = world()
    with pytest.raises(SpaceError, match="expected shape"):
        so.Jacobian(w.F, np.zeros((3, 2, 31)))


def test_parameters_that_exclude_each_other_are_refused_at_once():
    F = world().F
    attempts = {
        "map": lambda: so.Parametric(F, wrt=("m", "vp")),
        "Jacobian": lambda: so.Jacobian(F, F.domain.random(0), wrt=("m", "vp")),
        "of a shot": lambda: so.Jacobian(F[1], F[1].domain.random(0), wrt=("m", "vp")),
        "derivative of modeling": lambda: tangent(F, ("m", "vp")),
    }
    for attempt in attempts.values():
        with pytest.raises(so.ParameterError, match="exactly one of vp and m") as caught:
            attempt()
        assert "('m', 'vp')" in str(caught.value) and "wrt=('m',)" in str(caught.value)


def test_a_closed_linearisation_leaves_its_memory_to_the_next():
    w = world()
    G, q = so.Parametric(w.F), w.F.domain.random(4)
    y = w.F.range.random(5)

    def linearised(m):
        with G.linearize(m, q) as at_m:
            jacobian = at_m.jacobians[0]
            (imaging,) = (leaf for leaf in jacobian.leaves() if isinstance(leaf, Imaging))
            places = {background.histories[0].ctypes.data for background in imaging._kept.values()}
            return places, jacobian.H @ y

    m = w.A.medium.m
    first, gradient = linearised(m)
    second, other = linearised(1.05 * m)
    again, repeated = linearised(m)
    assert first == second == again
    assert not np.allclose(gradient, other)
    assert np.array_equal(gradient, repeated)
