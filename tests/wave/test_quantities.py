"""Numbers in other units are refused, with what they may be; those that are meant are taken once that is said."""

import pickle

import numpy as np
import pytest
from cases import world

import seisops as so
from seisops.wave.tangent import TangentEquation

GRID = so.Grid((24, 21), 10.0)
VP = np.linspace(1500.0, 4500.0, 504).reshape(GRID.shape)
TANK = {"vp": (1.0, 10.0)}


def one_cell(value):
    vp = VP.copy()
    vp[3, 4] = value
    return vp


MISTAKES = {
    "km/s": (
        {"vp": VP / 1e3},
        (
            "vp is 1.5 to 4.5 m/s in 504 of 504 cells",
            "50 to 20000 m/s",
            "perhaps vp in km/s (then 1500 to 4500 m/s)",
            "ranges={'vp'",
        ),
    ),
    "km/s in one cell": ({"vp": one_cell(1.5)}, ("vp is 1.5 m/s in 1 of 504 cells", "vp in km/s (then 1500 m/s)")),
    "velocity as slowness": (
        {"m": VP},
        ("m is 1500 to 4500 s2/m2", "2.5e-09 to 0.0004 s2/m2 (vp is 50 to 20000 m/s)", "perhaps vp in m/s."),
    ),
    "slowness as velocity": ({"vp": VP**-2}, ("4.938e-08 to 4.444e-07 m/s", "perhaps m in s2/m2.")),
    "s2/km2": ({"m": 1e6 * VP**-2}, ("perhaps m in s2/km2 (then 4.938e-08 to 4.444e-07 s2/m2)", "ranges={'vp'")),
    "g/cm3": (
        {"vp": VP, "rho": 1.0},
        ("rho is 1 kg/m3", "50 to 25000 kg/m3", "perhaps rho in g/cm3 (then 1000 kg/m3)", "ranges={'rho'"),
    ),
    "nothing known": ({"vp": 1e-9}, ("no unit that is known here fits it",)),
    "another range": ({"vp": VP, "ranges": TANK}, ("1500 to 4500 m/s", "1 to 10 m/s")),
    "range of what follows": ({"vp": 1.5, "ranges": {"m": (0.1, 1.0)}}, ("{'m': (0.1, 1.0)}", "vp, rho")),
    "range upside down": (
        {"vp": 1.5, "ranges": {"vp": (10.0, 1.0)}},
        ("(10.0, 1.0)", "lowest and the highest value in m/s"),
    ),
    "range of one number": ({"vp": 1.5, "ranges": {"vp": 1.5}}, ("1.5", "lowest and the highest")),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_numbers_in_other_units_are_refused(name):
    parameters, says = MISTAKES[name]
    with pytest.raises(so.ParameterError) as caught:
        so.Acoustic(GRID, **parameters)
    for fragment in says:
        assert fragment in str(caught.value), f"{fragment!r} is not in {str(caught.value)!r}"


@pytest.mark.parametrize(
    "parameters",
    [{"vp": v} for v in (104.0, 331.0, 1482.0, 5960.0, 18e3)] + [{"vp": VP, "rho": r} for r in (70.0, 22.6e3)],
)
def test_what_occurs_is_taken(parameters):
    medium = so.Acoustic(GRID, **parameters)
    for name, value in parameters.items():
        np.testing.assert_allclose(medium.get(name), np.broadcast_to(value, GRID.shape))


@pytest.mark.parametrize("end", [50.0, 20e3])
def test_the_ends_of_a_range_survive_rounding(end):
    m = np.full(GRID.shape, end**-2, "float32")
    assert so.Acoustic(GRID, m=m).replace(vp=end).replace(m=m).window((0, 0), (9, 9)).replace(vp=end)


def test_where_the_medium_is_moved_the_same_holds():
    F, q = world().F, world().F.domain.random(0)
    for attempt in (
        lambda: F.at(vp=1.5),
        lambda: so.Parametric(F)(world().medium.vp, q),
        lambda: so.Jacobian(F, q).at(m=1.0),
        lambda: TangentEquation(world().medium, {"m": 1e-9}).replace(m=1.0),
    ):
        with pytest.raises(so.ParameterError, match="perhaps vp in"):
            attempt()


def slow():
    """A medium that is meant to be slow."""
    return so.Acoustic(GRID, vp=VP / 1e3, ranges=TANK)


@pytest.mark.parametrize(
    "kept",
    [
        lambda medium: medium.replace(vp=2.0),
        lambda medium: pickle.loads(pickle.dumps(medium)),
        lambda medium: medium.window((2, 3), (9, 8)),
        lambda medium: pickle.loads(pickle.dumps(medium.window((2, 3), (9, 8)))).replace(m=0.1),
        lambda medium: so.Modeling(so.Wavefield(GRID, so.Time(31, 2.0)), medium).at(vp=3.0).medium,
        lambda medium: TangentEquation(medium, {"vp": 1e-3}).replace(vp=2.0).base,
        lambda medium: pickle.loads(pickle.dumps(TangentEquation(medium, {"vp": 1e-3}))).base,
    ],
)
def test_what_is_said_to_be_meant_stays(kept):
    medium = kept(slow())
    assert medium.replace(vp=3.0).vp == pytest.approx(3.0)
    with pytest.raises(so.ParameterError, match="1 to 10 m/s"):
        medium.replace(vp=3000.0)


def test_a_direction_is_no_parameter():
    """It has the unit of one, and any size."""
    for name, size in (("vp", 1e-9), ("m", -1.0)):
        assert TangentEquation(world().medium, {name: size}).get(f"tan0_{name}").max() == size


class Damped(so.WaveEquation):
    """An equation of one's own, that says what its numbers are."""

    parameters = ("m", "r")
    relations = {"m": lambda c: c**-2, "r": lambda a, b: a * b}
    quantities = {
        "c": so.Quantity("m/s", (100.0, 1e4), positive=True),
        "m": so.Quantity("s2/m2", positive=True, others={"s2/km2": 1e-6}),
        "r": so.Quantity("s/m2", (-1.0, 1.0)),
    }


def test_equations_of_ones_own():
    medium = Damped(GRID, m=VP**-2, r=-0.5)
    for wrong, says in (
        ({"m": 0.25}, r"m is 0\.25 s2/m2 .*\(c is 100 to 10000 m/s\): perhaps m in s2/km2 .* in m/s: Damped\(.*'c'"),
        ({"r": 2.0}, "r is 2 s/m2 .*outside the plausible -1 to 1 s/m2: no unit"),
        ({"m": -1.0}, "m is not positive .* first -1.0 s2/m2"),
    ):
        with pytest.raises(so.ParameterError, match=says):
            medium.replace(**wrong)
    there = Damped(GRID, m=0.25, r=3.0, ranges={"c": (1.0, 3.0), "r": (-np.inf, np.inf)})
    assert there.replace(r=-1e9).get("r").max() == -1e9
    with pytest.raises(so.ParameterError, match="1 to 3 m/s"):
        there.replace(m=1e-6)


def test_equations_that_say_nothing_take_anything():
    class Plain(so.WaveEquation):
        parameters = ("m",)

        def __init__(self, grid, m):
            super().__init__(grid, m=m)

    assert Plain(GRID, 1e9).replace(m=-1e-9).get("m").max() == -1e-9
    with pytest.raises(so.ParameterError, match="ranges may be stated of nothing"):
        so.WaveEquation(GRID, ranges={"m": (1, 2)})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lam": 6.8e4, "mu": 3.2e4, "rho": 2000.0}, "vp is 8.124 m/s .* lam in Pa, mu in Pa, rho in kg/m3"),
        (
            {"lam": 6.8, "mu": 3.2, "rho": 2000.0},
            r"lam is 6.8 Pa .* 10000 Pa or more .* lam in GPa \(then 6.8e\+09 Pa\)",
        ),
        ({"lam": -10.0, "vs": 1200.0, "rho": 2000.0}, "lam is -10 Pa in 20 of 20 cells"),
        ({"vp": 2500.0, "mu": 3.2, "rho": 2000.0}, "mu is 3.2 Pa .* perhaps mu in GPa"),
        ({"ip": 5.0, "si": 2.5, "rho": 2000.0}, "vp is 0.0025 m/s .* ip in kg/m2/s"),
        ({"vp": 2500.0, "vs": 1200.0, "b": 0.5}, "rho is 2 kg/m3 .* b in m3/kg"),
        ({"vp": 2500.0, "vs": 1.2, "rho": 2000.0}, r"perhaps vs in km/s \(then 1200 m/s\)"),
    ],
)
def test_what_follows_from_moduli_is_looked_at(given, said):
    grid = so.Grid((5, 4), 10.0)
    with pytest.raises(so.ParameterError, match=said):
        so.Elastic(grid, **given)
    with pytest.raises(so.ParameterError, match="outside the plausible"):
        so.Elastic(grid, 2500.0, 1200.0, 2000.0).replace(**given)
    meant = {name: (1e-9, 1e9) for name in ("vp", "vs", "rho")}
    assert so.Elastic(grid, **given, ranges=meant).grid == grid


def test_a_small_difference_of_others_is_no_wrong_unit():
    """Lame's first parameter is about zero where vp is vs times the root of 2, as it follows, as zero, or as stated."""
    grid = so.Grid((5, 4), 10.0)
    cork = so.Elastic(grid, 1200.0 * (2 + 1e-12) ** 0.5, 1200.0, 2000.0)
    assert 0 < abs(cork.lam).max() < 1.0
    for lam, ranges in ((0.0, None), (2.0, {"lam": (-5.0, 5.0)}), (np.eye(5, 4) * 1e9, None)):
        assert so.Elastic(grid, lam=lam, vs=1200.0, rho=2000.0, ranges=ranges).grid == grid
    with pytest.raises(so.ParameterError, match="outside the plausible -5 to 5 Pa"):
        so.Elastic(grid, lam=6.0, vs=1200.0, rho=2000.0, ranges={"lam": (-5.0, 5.0)})


def test_what_is_masked_is_refused():
    grid = so.Grid((5, 4), 10.0)
    vp = np.ma.array(np.full(grid.shape, 2000.0), mask=np.eye(5, 4, dtype=bool))
    with pytest.raises(so.ParameterError, match="vp is a masked array"):
        so.Acoustic(grid, vp)
    np.testing.assert_array_equal(so.Acoustic(grid, vp.filled(1500.0)).vp, vp.filled(1500.0))


def test_the_ends_of_a_range_belong_to_it():
    grid = so.Grid((5, 4), 10.0)
    assert so.TTI(grid, 2000.0, epsilon=-0.4, delta=-0.4).epsilon.min() == -0.4
