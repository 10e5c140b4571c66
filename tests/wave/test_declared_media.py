"""Media are what they are declared to be: given by one of alternatives, read back, replaced and differentiated by all."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from own_media import ByVelocity, Lossy, Rock, Slope, Tilted
from test_own_equations import around, elastic
from test_products import check_exact

import seisops as so
from seisops.check import taylor_test
from seisops.errors import ParameterError
from seisops.inversion import fingerprint
from seisops.wave.tangent import TangentEquation

GRID = so.Grid((22, 19), 10.0)


def values(low, high, seed=0):
    return np.random.default_rng(seed).uniform(low, high, GRID.shape)


VP, VS, RHO = values(1700.0, 2000.0), values(900.0, 1000.0, 1), values(1000.0, 1200.0, 2)

#: By what each is given, in the order in which it is.
MEDIA = {
    "acoustic": (so.Acoustic, {"vp": VP}),
    "acoustic by slowness": (so.Acoustic, {"m": VP**-2}),
    "dense": (so.Acoustic, {"vp": VP, "rho": RHO}),
    "damped": (ByVelocity, {"vp": VP, "r": values(1e-6, 2e-6, 3)}),
    "elastic": (Rock, {"vp": VP, "vs": VS, "rho": RHO}),
    "tilted": (Tilted, {"vp": VP, "epsilon": values(0.1, 0.2), "theta": 0.4}),
    "lossy": (Lossy, {"m": VP**-2, "qp": values(30.0, 60.0), "f0": 20.0}),
    "lossy and dense": (Lossy, {"vp": VP, "qp": 50.0, "f0": 20.0, "rho": RHO, "law": 2}),
}
PERTURBABLE = {
    "acoustic": ("m", "vp"),
    "acoustic by slowness": ("m", "vp"),
    "dense": ("m", "vp", "rho"),
    "damped": ("m", "r", "vp"),
    "elastic": ("vp", "vs", "rho"),
    "tilted": ("m", "epsilon", "delta", "theta", "vp"),
    "lossy": ("vp", "m", "qp"),
    "lossy and dense": ("vp", "m", "qp", "rho"),
}
COEFFICIENTS = {
    "acoustic": ("m",),
    "acoustic by slowness": ("m",),
    "elastic": ("lam", "mu", "b"),
    "lossy": ("relaxed", "r"),
    "lossy and dense": ("relaxed", "r", "b"),
}


def make(name):
    equation, given = MEDIA[name]
    return equation(GRID, **given)


@pytest.mark.parametrize("name", MEDIA)
def test_all_that_a_medium_may_be_given_by_is_read_back(name):
    medium = make(name)
    assert medium.perturbable == PERTURBABLE[name]
    assert medium.parameters == tuple(medium.coefficients()) == COEFFICIENTS.get(name, type(medium).parameters)
    for parameter, value in MEDIA[name][1].items():
        np.testing.assert_allclose(getattr(medium, parameter), value, rtol=1e-12)
    for parameter in medium.perturbable:
        np.testing.assert_array_equal(medium.get(parameter), getattr(medium, parameter))
        again = medium.replace(**{parameter: medium.get(parameter)})
        for coefficient, array in again.coefficients().items():
            np.testing.assert_allclose(array, medium.coefficients()[coefficient], rtol=1e-12)


@pytest.mark.parametrize("name", MEDIA)
def test_derivatives_are_those_of_what_replace_does(name):
    """One parameter moves, whatever it is an alternative of, and all others stay."""
    medium = make(name)
    for parameter in medium.perturbable:
        x = medium.get(parameter)
        h = 1e-4 * (np.abs(x).max() or 1.0)
        after, before = (medium.replace(**{parameter: x + step}).coefficients() for step in (h, -h))
        slopes = medium.derivatives(parameter)
        for coefficient in medium.parameters:
            found = (after[coefficient] - before[coefficient]) / (2 * h)
            if coefficient in slopes:
                np.testing.assert_allclose(slopes[coefficient], found, rtol=1e-5)
            else:
                assert np.abs(found * h).max() <= 1e-12 * np.abs(after[coefficient]).max()


@pytest.mark.parametrize("name", MEDIA)
def test_media_travel_as_they_are(name):
    medium = make(name)
    for other in (pickle.loads(pickle.dumps(medium)), copy.deepcopy(medium), medium.window((0, 0), GRID.shape)):
        assert type(other) is type(medium) and other.kind == medium.kind and other.parameters == medium.parameters
        for coefficient, array in medium.coefficients().items():
            np.testing.assert_array_equal(other.coefficients()[coefficient], array)
        assert other.replace(**{medium.perturbable[0]: medium.get(medium.perturbable[0])}).kind == medium.kind
        assert fingerprint(other) == fingerprint(medium)


def test_parameters_may_be_called_what_they_like():
    class Own(so.WaveEquation):
        parameters = ("kind", "grid_ratio")

        def residual(self, fields, parameters):
            return (parameters.kind * fields.u.dt2 - parameters.grid_ratio * fields.u.laplace,)

    medium = Own(GRID, kind=VP, grid_ratio=1.0).replace(grid_ratio=2.0)
    np.testing.assert_array_equal(medium.get("kind"), VP)
    assert medium.kind[:2] == (Own, Own.parameters) and medium.grid_ratio.max() == 2.0


def test_numbers_are_kept():
    m = VP**-1.9
    medium = so.Acoustic(GRID, m=m, rho=RHO)
    for same in (medium, medium.replace(rho=2 * RHO), medium.replace(m=1e-7).replace(m=m)):
        np.testing.assert_array_equal(same.m, m)
    np.testing.assert_array_equal(so.Acoustic(GRID, vp=VP).m, VP**-2)
    np.testing.assert_array_equal(medium.replace(vp=VP).coefficients()["b"], 1 / RHO)
    assert not ByVelocity(GRID, vp=VP, r=0.0).m.flags.writeable and not medium.m.flags.writeable


def test_velocity_beside_slowness_in_an_equation_of_ones_own():
    medium = ByVelocity(GRID, vp=VP, r=1e-6)
    F = around(medium, so.PML(cells=5), 0.002, order=4)
    check_exact(so.Jacobian(F, F.domain.random(0), wrt=("vp", "r")))
    by_m, by_v = (so.Jacobian(F, F.domain.random(0), wrt=wrt) for wrt in ("m", "vp"))
    dv = values(-1.0, 1.0, 5)
    d = by_v @ dv
    assert np.linalg.norm(d - by_m @ (-2 * medium.vp**-3 * dv)) < 1e-12 * np.linalg.norm(d)
    for wrong, got in (({}, "neither"), ({"vp": VP, "m": VP**-2}, "both")):
        with pytest.raises(ParameterError, match=f"ByVelocity needs exactly one of m and vp, got {got}"):
            ByVelocity(GRID, r=1e-6, **wrong)


@pytest.mark.parametrize("name", ["elastic", "lossy and dense"])
def test_gradients_by_what_a_medium_is_given_by(name):
    medium = make(name)
    F = around(medium, so.PML(cells=5), 0.001, n=60)
    q, wrt = np.tile(so.ricker(so.Time(60, 0.001), f0=60.0, delay=0.02), (2, 1, 1)), PERTURBABLE[name][:3]
    wrt = tuple(parameter for parameter in wrt if parameter != "m")
    check_exact(so.Jacobian(F, q, wrt=wrt))
    x = tuple(medium.get(parameter) for parameter in wrt)
    dx = tuple(np.abs(a).max() * values(-1.0, 1.0, i) for i, a in enumerate(x))
    result = taylor_test(so.Parametric(F, wrt=wrt), (*x, q), (*dx, 0 * q), steps=(1e-2, 5e-3, 2.5e-3))
    assert all(1.9 < rate < 2.1 for rate in result.rates), result


def test_velocities_and_moduli_are_one_medium():
    vp, vs, rho = VP, VS, RHO
    grid = so.Grid(GRID.shape, 10.0)
    rock = Rock(grid, vp=vp, vs=vs, rho=rho)
    plain = type(elastic())(grid, **rock.coefficients())
    F, other = (around(medium, so.PML(cells=5), 0.0015) for medium in (rock, plain))
    q = F.domain.random(1)
    np.testing.assert_array_equal(F @ q, other @ q)


def test_what_need_not_be_given():
    np.testing.assert_array_equal(Tilted(GRID, m=VP**-2).delta, 0.0)
    assert so.Acoustic(GRID, vp=VP).rho is None and Lossy(GRID, vp=VP, qp=50.0, f0=20.0).law == 1
    plain, dense = (so.Acoustic(GRID, vp=VP, rho=rho) for rho in (None, RHO))
    assert plain.kind != dense.kind and dense.replace(rho=None).kind == plain.kind
    with pytest.raises(ParameterError, match="no parameter 'rho'"):
        plain.get("rho")
    with pytest.raises(AttributeError, match="density"):
        plain.density  # noqa: B018


def test_settings_are_no_fields():
    medium = make("lossy")
    assert medium.f0 == 20.0 and medium.replace(f0=30).f0 == 30.0 and medium.replace(vp=2000.0).f0 == 20.0
    np.testing.assert_allclose(medium.replace(f0=30.0).coefficients()["r"], 1.5 * medium.coefficients()["r"])
    kinds = [m.kind for m in (medium, medium.replace(f0=30.0), medium.replace(law=2))]
    assert len(set(kinds)) == 3
    assert len({fingerprint(m) for m in (medium, medium.replace(f0=30.0), medium.replace(law=2))}) == 3
    with pytest.raises(ParameterError, match="f0=-1: a positive number in Hz"):
        medium.replace(f0=-1)
    with pytest.raises(ParameterError, match="no parameter 'f0'; it can be differentiated with respect to 'vp', 'm'"):
        medium.derivatives("f0")


def test_derivatives_of_every_order_go_through_all_relations():
    medium = make("lossy")
    first = TangentEquation(medium, {"vp": 2.0, "qp": 1.0})
    m, qp, dm = medium.m, medium.qp, -2 * medium.vp**-3 * 2.0
    np.testing.assert_allclose(first.coefficients()["tan0_r"], 6 * 20.0 * (dm / qp - m / qp**2))
    np.testing.assert_allclose(first.derivatives("qp")["tan0_r"], 6 * 20.0 * (-dm / qp**2 + 2 * m / qp**3))


def test_signatures_and_places():
    assert str(inspect.signature(so.Acoustic)) == "(grid, vp=None, rho=None, *, m=None, ranges=None)"
    assert "vp" in dir(so.Acoustic(GRID, vp=VP))
    np.testing.assert_array_equal(so.Acoustic(GRID, VP, rho=RHO).rho, so.Acoustic(GRID, VP, RHO).rho)

    class Own(ByVelocity):
        def __init__(self, grid, vp):
            super().__init__(grid, vp=vp, r=0.0)

    assert str(inspect.signature(Own)) == "(grid, vp)"
    for attempt, says in (
        (lambda: so.Acoustic(GRID, VP, vp=VP), "vp was given twice"),
        (lambda: so.Acoustic(GRID, 1, 2, 3, 4), "got 4 values after the grid"),
        (lambda: so.Acoustic(GRID, velocity=VP), r"\('vp', 'm', 'rho'\): unknown \['velocity'\]"),
        (lambda: Rock(GRID, vp=VP), r"\('vp', 'vs', 'rho'\): missing \['vs', 'rho'\]"),
        (lambda: Rock(GRID, vp=VP, vs=1.5, rho=RHO), "perhaps vs in km/s"),
        (lambda: Rock(GRID, vp=VP, vs=VS, rho=RHO).replace(vs=-VS), "vs is not positive"),
    ):
        with pytest.raises(ParameterError, match=says):
            attempt()


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({"given": ("vp",)}, "given by 'vp', which has to be one of its parameters"),
        ({"given": ("m", "q")}, "given by 'q'"),
        ({"given": ("q",), "inverses": {"q": lambda m: m}}, "parameters has 'm', which has to be in .*`relations`"),
        ({"inverses": {"vp": lambda m: m**-0.5}}, "lacks 'vp'"),
        ({"defaults": {"rho": None}}, "lacks 'rho'"),
        ({"given": ("m",), "settings": {"f0": float}}, "lacks 'f0'"),
        ({"settings": {"order": int}}, "settings has 'order', .* another name"),
    ],
)
def test_declarations_that_lead_nowhere_are_refused(declared, says):
    with pytest.raises(ParameterError, match=says):
        type("Own", (so.WaveEquation,), {"parameters": ("m",), **declared})


def test_speeds():
    rock = Rock(GRID, vp=VP, vs=VS, rho=RHO)
    smallest, largest = rock.speeds()
    np.testing.assert_allclose(smallest, VS)
    np.testing.assert_allclose(rock.velocity, VP)
    assert largest is not smallest and TangentEquation(rock, {"vp": 1.0}).speeds()[0].max() == smallest.max()
    own = Slope(GRID, m=VP**-2)  # which states its one velocity
    np.testing.assert_array_equal(own.speeds(), [own.velocity, own.velocity])
    nothing = type("Own", (so.WaveEquation,), {"parameters": ("m",)})(GRID, m=1.0)
    assert nothing.speeds() is None and nothing.velocity is None


def test_the_slower_waves_say_whether_a_grid_is_coarse():
    F = around(Rock(GRID, vp=VP, vs=0.1 * VS, rho=RHO), None, 0.0015)
    q = np.tile(so.ricker(so.Time(25, 0.0015), f0=40.0, delay=0.02), (2, 1, 1))
    with pytest.warns(so.DispersionWarning, match=f"at {0.1 * VS.min():.4g} m/s"):
        F @ q


def test_errors_within_properties_say_so():
    class Own(ByVelocity):
        @property
        def wavelength(self):
            return self.vp / self.frequency

    with pytest.raises(AttributeError, match="frequency"):
        Own(GRID, vp=VP, r=0.0).wavelength  # noqa: B018


def test_inverses_undo_relations():
    class Contradictory(so.WaveEquation):
        parameters = ("m",)
        relations = {"m": lambda vp: vp**-2}
        inverses = {"vp": lambda m: m**-1.0}
        quantities = {"vp": so.Quantity("m/s")}

    grid = so.Grid((12, 11), 10.0)
    assert np.all(Contradictory(grid, m=1.0).vp == 1.0)
    with pytest.raises(so.ParameterError, match="vp = 2000 m/s is read back as 4e\\+06 m/s.*contradict each other"):
        Contradictory(grid, vp=2000.0)
