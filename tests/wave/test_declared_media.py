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


class Base(so.WaveEquation):
    parameters = ("m",)
    fields = ("u", "w")

    def residual(self, fields, parameters):
        return tuple(parameters.m * f.dt2 - f.laplace for f in fields)


STATED = {
    "source of no field": ({"source": {"p": 1.0}}, "source={'p': 1.0} has 'p', which is none of the fields"),
    "observed that is no field": ({"observe": {"p": 1.0}}, "observe.* has 'p'"),
    "place of no field": ({"staggering": {"p": (0.5, 0.0)}}, "staggering.* has 'p'"),
    "time of no field": ({"timing": {"p": 0.5}}, "timing.* has 'p'"),
    "surface of no field": ({"surface": {"p": -1}}, "surface.* has 'p'"),
    "weight that is no number": ({"source": {"u": np.nan}}, "source=.*'u' has nan; give how much .* a finite number"),
    "weight in words": ({"observe": {"u": "1.0"}}, "observe=.*'u' has '1.0'"),
    "weights of no name": ({"source": ("u",)}, "source=.*give a mapping, by name how much of a source"),
    "place on a line": ({"staggering": {"u": (0.5,)}}, "staggering=.*'u' has \\(0.5,\\); .* as in \\(0.5, 0.0\\)"),
    "place by one number": ({"staggering": {"u": 0.5}}, "staggering=.*'u' has 0.5"),
    "place in between": ({"staggering": {"u": (0.25, 0.0)}}, "staggering=.*-0.5, 0 or 0.5"),
    "place in the next cell": ({"staggering": {"u": (1.0, 0.0)}}, "staggering="),
    "place in words": ({"staggering": {"u": ("x", "z")}}, "staggering="),
    "places along other axes": (
        {"staggering": {"u": (0.5, 0.0), "w": (0.0, 0.0, 0.5)}},
        "along the same axes",
    ),
    "time in words": ({"timing": {"u": "half"}}, "timing=.*'u' has 'half'"),
    "neither odd nor even": ({"surface": {"u": 0, "w": 1}}, "surface=.*'u' has 0; give -1 .* or 1"),
    "odd in words": ({"surface": {"u": "odd"}}, "surface=.*'u' has 'odd'"),
    "fields in one word": ({"fields": "u"}, "fields='u': give a tuple of names, as in \\('u',\\)"),
    "no fields": ({"fields": ()}, "one field at least"),
    "a field twice": ({"fields": ("u", "u")}, "has 'u' twice"),
    "a field with a blank": ({"fields": ("u x",)}, "'u x' is no name of an attribute"),
    "a field that is no name": ({"fields": (1,)}, "1 is no name"),
    "parameters in one word": ({"parameters": "m"}, "parameters='m': give a tuple"),
    "parameters in a list": ({"parameters": ["m"]}, "parameters=\\['m'\\]: give a tuple"),
    "a parameter twice": ({"parameters": ("m", "m")}, "has 'm' twice"),
    "a parameter that Python reserves": ({"parameters": ("m", "lambda")}, "'lambda' is no name"),
    "a parameter that is hidden": ({"parameters": ("m", "_b")}, "'_b' is no name"),
    "a parameter called grid": ({"parameters": ("grid",)}, "'grid', which media are made with already"),
    "a field that is a parameter": ({"fields": ("u", "m")}, "'m' in both fields=.* and parameters="),
    "given in one word": ({"given": "m"}, "given='m': give a tuple"),
    "given twice": (
        {"given": (("m", "vp"), "vp"), "relations": {"m": lambda vp: vp**-2}, "inverses": {"vp": lambda m: m**-0.5}},
        "has 'vp' twice",
    ),
    "nothing among what is given": ({"given": ((), "m")}, "give a tuple of names, or of alternatives"),
    "relation that is a number": ({"relations": {"m": 2.0}}, "relations=.*'m' has 2.0; give a function"),
    "relation of anything": ({"relations": {"m": lambda *all: all[0]}}, "relations=.*'m' has .*; give a function"),
    "inverse that is a text": ({"inverses": {"m": "m**2"}}, "inverses=.*give a function"),
    "relation of what is nowhere": ({"relations": {"b": lambda m: 1 / m}}, "relations has 'b', which is neither"),
    "setting by a number": ({"settings": {"f0": 10.0}}, "settings=.*'f0' has 10.0; give a function"),
    "default in words": ({"defaults": {"m": "fast"}}, "defaults=.*'m' has 'fast'; give a finite number, or None"),
    "default that is no number": ({"defaults": {"m": np.nan}}, "defaults=.*'m' has nan"),
    "quantity of nothing": ({"quantities": {"vp": so.Quantity("m/s")}}, "quantities has 'vp', which is neither"),
    "quantity by its unit": ({"quantities": {"m": "s2/m2"}}, "quantities=.*'m' has 's2/m2'; give a seisops.Quantity"),
}


@pytest.mark.parametrize("name", STATED)
def test_what_cannot_be_meant_is_refused_when_a_class_is_made(name):
    stated, says = STATED[name]
    with pytest.raises(ParameterError, match=f"Own.*{says}"):
        type("Own", (Base,), stated)


def test_what_is_inherited_and_does_not_fit_says_where_from():
    base = type("Before", (Base,), {"surface": {"u": -1, "w": 1}, "source": {"u": 1.0}})
    with pytest.raises(ParameterError, match=r"Before.source={'u': 1.0} has 'u', which is none of .*\('p',\) of Own"):
        type("Own", (base,), {"fields": ("p",)})
    own = type("Own", (base,), {"fields": ("p",), "surface": {"p": -1}, "source": {}})
    assert own(GRID, m=1.0).fields == ("p",)


def test_what_is_not_said_is_left_to_subclasses():
    class Abstract(so.WaveEquation):
        quantities = {"vp": so.Quantity("m/s", positive=True)}
        relations = {"m": lambda vp: vp**-2}

        def helper(self):
            return self.vp

    class Later(Abstract):
        parameters = ("m",)
        inverses = {"vp": lambda m: m**-0.5}

    class ByMedium(Later):  # what is a property is stated of each medium
        @property
        def source(self):
            return {"u": 2.0}

    np.testing.assert_array_equal(Later(GRID, vp=VP).helper(), ByMedium(GRID, vp=VP).vp)


def test_places_are_along_the_axes_of_the_grid():
    own = type("Own", (Base,), {"staggering": {"w": (0.5, 0.0)}})
    with pytest.raises(ParameterError, match=r"Own.staggering has 'w' at \(0.5, 0.0\), .*the axes \('x', 'y', 'z'\)"):
        own(so.Grid((9, 8, 7), 10.0), m=1.0)


# ---- functions of NumPy in relations, and functions that fail


class Rooted(ByVelocity):
    """What ByVelocity is, by functions of NumPy."""

    relations = {"m": lambda vp: np.exp(-np.float64(2.0) * np.log(vp))}
    inverses = {"vp": lambda m: np.reciprocal(np.sqrt(m))}


def test_relations_by_functions_of_numpy():
    plain, rooted = (equation(GRID, vp=VP, r=1e-6) for equation in (ByVelocity, Rooted))
    slopes = [m.derivatives("vp")["m"] for m in (plain, rooted)]
    np.testing.assert_allclose(slopes[1], slopes[0], rtol=1e-12)
    seconds = [TangentEquation(m, {"vp": 2.0}).derivatives("vp")["tan0_m"] for m in (plain, rooted)]
    np.testing.assert_allclose(seconds[1], seconds[0], rtol=1e-12)
    assert fingerprint(rooted) != fingerprint(plain)
    F = around(rooted, so.PML(cells=5), 0.002, order=4)
    check_exact(so.Jacobian(F, F.domain.random(0), wrt=("vp", "r")))


#: A function of NumPy, and its slope between 0 and 1.
FUNCTIONS = {
    np.sqrt: lambda x: 0.5 * x**-0.5,
    np.square: lambda x: 2 * x,
    np.reciprocal: lambda x: -(x**-2),
    np.exp: np.exp,
    np.exp2: lambda x: np.log(2) * 2**x,
    np.log: lambda x: 1 / x,
    np.log2: lambda x: 1 / (x * np.log(2)),
    np.log10: lambda x: 1 / (x * np.log(10)),
    np.sin: np.cos,
    np.cos: lambda x: -np.sin(x),
    np.tan: lambda x: np.cos(x) ** -2,
    np.arcsin: lambda x: (1 - x**2) ** -0.5,
    np.arccos: lambda x: -((1 - x**2) ** -0.5),
    np.arctan: lambda x: 1 / (1 + x**2),
    np.sinh: np.cosh,
    np.cosh: np.sinh,
    np.tanh: lambda x: np.cosh(x) ** -2,
    np.arcsinh: lambda x: (x**2 + 1) ** -0.5,
    np.arctanh: lambda x: 1 / (1 - x**2),
    np.deg2rad: lambda x: np.pi / 180 + 0 * x,
    np.radians: lambda x: np.pi / 180 + 0 * x,
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_functions_of_numpy_have_derivatives(function):
    def relation(x):
        return function(x)

    own = type("Own", (so.WaveEquation,), {"parameters": ("m", "x"), "given": ("x",), "relations": {"m": relation}})
    x = values(0.2, 0.8)
    np.testing.assert_allclose(own(GRID, x=x).derivatives("x")["m"], FUNCTIONS[function](x), rtol=1e-12)


FAILING = {
    "not cell by cell": (lambda vp: vp / np.mean(vp), "TypeError"),
    "greater of two": (lambda vp: np.maximum(vp, 1.0) ** -2, "TypeError"),
    "chosen by the numbers": (lambda vp: np.where(vp > 1000.0, vp, 1000.0) ** -2, "TypeError"),
    "method of arrays": (lambda vp: vp.clip(1.0) ** -2, "AttributeError"),
    "by another array": (lambda vp: VP * vp, "TypeError"),
}


@pytest.mark.parametrize("name", FAILING)
def test_relations_that_have_no_derivative_say_so(name):
    relation, kind = FAILING[name]
    own = type("Own", (ByVelocity,), {"relations": {"m": relation}, "inverses": {"vp": lambda m: m}})
    medium = own(GRID, m=1e-6, r=0.0)
    with pytest.raises(
        ParameterError, match=rf"Own.relations\['m'\], a function of vp, .*\({kind}: .*vp\*\*0.5"
    ) as caught:
        medium.derivatives("vp")
    assert type(caught.value.__cause__).__name__ == kind


def test_relations_that_fail_with_arrays_say_so():
    def absent(vp):
        return vp.slowness

    for relation, says in (
        (absent, "a function of vp, fails with arrays .*slowness"),
        (lambda vp: None, "fails with arrays .*it returns nothing"),
        (lambda vp: vp[:3], r"makes a ndarray of arrays of shape \(22, 19\) .*\(3,19\)"),
        (lambda vp: "fast", "makes a str of arrays"),
    ):
        own = type("Own", (ByVelocity,), {"relations": {"m": relation}})
        with pytest.raises(ParameterError, match=rf"Own.relations\['m'\].*{says}"):
            own(GRID, vp=VP, r=0.0)


def test_settings_that_fail_say_so():
    for given in ("ten", None, [1.0, 2.0]):
        with pytest.raises(
            ParameterError, match=r"Lossy.* (missing|f0=.*is refused by Lossy.settings\['f0'\] \(TypeError)"
        ):
            Lossy(GRID, vp=VP, qp=50.0, f0=given)
    with pytest.raises(
        ParameterError, match=r"law='second' is refused by Lossy.settings\['law'\] \(ValueError"
    ) as caught:
        Lossy(GRID, vp=VP, qp=50.0, f0=20.0, law="second")
    assert isinstance(caught.value.__cause__, ValueError)
    own = type("Own", (Base,), {"settings": {"terms": list}})
    with pytest.raises(ParameterError, match=r"terms=\(1, 2\).*unhashable.*what never changes"):
        own(GRID, m=1.0, terms=(1, 2))
