"""Derivatives by what elastic, tilted and viscous media are given by: exact, first and second, however kept."""

import pickle

import numpy as np
import pytest
import torch
from cases import check_exact
from rock import GRIDS, MADE, rock
from test_second_order import check
from torch.autograd import gradcheck, gradgradcheck

import seisops as so
import seisops.torch
from seisops.check import taylor_test

# random sources are rough on purpose
pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")

# by rigidity only in solids: between one and a fluid its harmonic mean bends sharply where it begins
#: Medium, number of dimensions, layer, component that is driven and that is heard, and what one differentiates by.
JACOBIANS = [
    *(("elastic", 2, "pml", "vz", "vx", wrt) for wrt in ("vp", "rho", "lam", "ip", "b")),
    *(("solid", 2, "pml", "sxz", "p", wrt) for wrt in ("vs", "si", "mu", ("vp", "vs", "rho"), ("lam", "mu", "rho"))),
    ("solid", 3, "none", "vy", "sxz", ("vp", "vs", "rho")),
    *(("vti", 2, "pml", None, None, wrt) for wrt in ("vp", "epsilon", "delta", ("m", "epsilon", "delta"))),
    *(("tti", 2, "none", None, None, wrt) for wrt in ("theta", "delta", ("vp", "epsilon", "delta", "theta"))),
    ("tti", 3, "none", None, None, ("vp", "theta", "phi")),
    ("dense_tti", 2, "pml", None, None, ("vp", "rho", "theta")),
    *(("viscous", 2, "pml", None, None, wrt) for wrt in ("vp", "qp", "m", "tau", ("vp", "qp"))),
    ("dense_viscous", 2, "none", None, None, ("vp", "qp", "rho")),
]


def ids(case):
    name, ndim, *_, wrt = case
    return f"{name} {ndim}D {wrt if isinstance(wrt, str) else ' '.join(wrt)}"


@pytest.mark.parametrize("case", JACOBIANS, ids=ids)
def test_jacobian(case):
    name, ndim, layer, driven, heard, wrt = case
    F = rock(name, ndim, layer).F(driven, heard)
    check_exact(so.Jacobian(F, F.domain.random(0), wrt=wrt), 1e-11)


def direction(medium, wrt, rng):
    """A tenth of the parameter in every cell, into what is allowed: with delta not larger than epsilon."""
    x = medium.get(wrt)
    dx = rng.uniform(-1.0, 1.0, x.shape) * np.abs(x).max()
    return {"delta": -np.abs(dx), "epsilon": np.abs(dx), "mu": np.abs(dx)}.get(wrt, dx)


@pytest.mark.parametrize("case", [case for case in JACOBIANS if case[1] == 2], ids=ids)
def test_taylor_expansion(case):
    """By several at once, too: each of them is held while another moves."""
    name, ndim, layer, driven, heard, wrt = case
    w = rock(name, ndim, layer)
    F, names, rng = w.F(driven, heard), (wrt,) if isinstance(wrt, str) else wrt, np.random.default_rng(4)
    x, dx = [w.medium.get(n) for n in names], [direction(w.medium, n, rng) for n in names]
    q = F.domain.random(5)
    result = taylor_test(so.Parametric(F, wrt), (*x, q), (*dx, 0 * q), steps=(1e-2, 5e-3, 2.5e-3, 1.25e-3))
    assert all(1.9 < rate < 2.1 for rate in result.rates), result


def test_taylor_expansion_by_the_azimuth():
    w, names = rock("tti", 3, "none"), ("vp", "theta", "phi")
    F, x = w.F(), [w.medium.get(n) for n in names]
    q, dx = F.domain.random(5), np.random.default_rng(4).uniform(-1.0, 1.0, x[-1].shape)
    directions = 0 * x[0], 0 * x[1], dx, 0 * q
    result = taylor_test(so.Parametric(F, names), (*x, q), directions, steps=(2e-2, 1e-2, 5e-3))
    assert all(1.9 < rate < 2.1 for rate in result.rates), result


SECOND = {
    "solid": ("vx", "vz", ("vp", "vs", "rho")),
    "vti": (None, None, ("m", "epsilon")),
    "viscous": (None, None, ("vp", "qp")),
    "tti": (None, None, ("vp", "epsilon", "theta")),
    "viscoelastic": ("vx", "vz", ("vp", "vs", "qp", "qs")),
    "elastic_vti": ("vx", "vz", ("vp", "vs", "epsilon", "delta")),
}


def second(name):
    driven, heard, wrt = SECOND[name]
    w = rock(name, layer="none", samples=21)
    return so.Parametric(w.F(driven, heard), wrt), w.medium


@pytest.mark.slow
@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives(name):
    check(*second(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives_in_torch(name):
    """Of a function of few numbers, each of which moves all of a parameter, or all of the source."""
    G, medium = second(name)
    layer, rng = seisops.torch.lift(G), np.random.default_rng(3)
    names = SECOND[name][2]
    start = [torch.tensor(medium.get(n)) for n in names]
    moves = [torch.tensor(0.3 * direction(medium, n, rng)) for n in names]
    q, weights = (torch.tensor(space.random(5)) for space in (G.domain[-1], G.range))

    def sums(x):
        y = layer(*(a + x[i] * dx for i, (a, dx) in enumerate(zip(start, moves, strict=True))), x[-1] * q)
        return torch.stack([torch.sum(w * y) for w in (weights, weights.flip(-1))])

    x = torch.tensor([0.1] * len(names) + [1.0], dtype=torch.float64, requires_grad=True)
    size = sums(x).detach().abs().max()
    f = lambda x: sums(x) / size  # noqa: E731
    assert gradcheck(f, x, check_forward_ad=True)
    assert gradgradcheck(f, x)


STORED = {"solid": ("vp", "vs", "rho"), "vti": ("m", "epsilon"), "viscous": ("vp", "qp")}


@pytest.mark.parametrize("name", STORED)
def test_histories(name):
    """Kept, made again from checkpoints, or made again backward from the edges: the gradient is the same."""
    w = rock(name)
    F = w.F(*(("vz", "vx") if name == "solid" else (None, None)))
    q = F.domain.random(3)
    y = F.range.random(4)
    full = so.Jacobian(F, q, STORED[name], storage=so.storage.Full()).H @ y
    for storage in (so.storage.Checkpointed(), so.storage.Boundary()):
        if name == "viscous" and isinstance(storage, so.storage.Boundary):
            with pytest.raises(so.ParameterError, match="loses energy"):
                so.Jacobian(F, q, STORED[name], storage=storage)
        else:
            J = so.Jacobian(F, q, STORED[name], storage=storage)
            assert np.linalg.norm(J.H @ y - full) < 1e-10 * np.linalg.norm(full)


# ---- media as values


@pytest.mark.parametrize("name", MADE)
def test_media_are_values(name):
    medium = MADE[name](GRIDS[2], np.random.default_rng(1))
    again = pickle.loads(pickle.dumps(medium))
    assert type(again) is type(medium) and again.parameters == medium.parameters
    for parameter, a in medium.coefficients().items():
        np.testing.assert_array_equal(again.coefficients()[parameter], a)
    assert type(medium).__name__ in repr(medium)
    for parameter in medium.perturbable:
        np.testing.assert_allclose(
            medium.replace(**{parameter: medium.get(parameter)}).get(parameter), medium.get(parameter), rtol=1e-12
        )


#: What is replaced, and what does not change then.
HELD = {
    "solid": {
        "rho": ("vp", "vs"),
        "vp": ("vs", "rho"),
        "vs": ("vp", "rho"),
        "ip": ("vs", "rho"),
        "mu": ("vp", "rho"),
        "lam": ("vs", "rho"),
    },
    "dense_tti": {"rho": ("vp", "delta", "theta"), "epsilon": ("delta", "vp"), "delta": ("epsilon", "m")},
    "dense_viscous": {"rho": ("vp", "qp"), "qp": ("vp", "rho"), "vp": ("qp",)},
}


@pytest.mark.parametrize(("name", "replaced"), [(name, replaced) for name in HELD for replaced in HELD[name]])
def test_what_is_not_replaced_is_held(name, replaced):
    medium = MADE[name](GRIDS[2], np.random.default_rng(1))
    factor = 0.99 if replaced == "delta" else 1.01
    moved = medium.replace(**{replaced: factor * medium.get(replaced)})
    np.testing.assert_allclose(moved.get(replaced), factor * medium.get(replaced), rtol=1e-12)
    for other in HELD[name][replaced]:
        np.testing.assert_allclose(moved.get(other), medium.get(other), rtol=1e-10)


def test_another_reference_frequency_holds_velocity_and_quality():
    medium = MADE["viscous"](GRIDS[2], np.random.default_rng(1))
    moved = medium.replace(f0=30.0)
    assert moved.f0 == 30.0 and moved.mechanisms == medium.mechanisms
    for name in ("vp", "qp"):
        np.testing.assert_allclose(moved.get(name), medium.get(name), rtol=1e-12)


@pytest.mark.parametrize("name", ["solid", "tti", "dense_viscous"])
def test_plan_and_shots(name):
    w = rock(name, layer="none", shots=3)
    F = w.F()
    q = F.domain.random(2)
    J = so.Jacobian(F, q, wrt="vp")
    assert so.plan(J)
    y = F.range.random(3)
    np.testing.assert_allclose(
        sum(J[[k]].H @ y[[k]] for k in range(3)), J.H @ y, rtol=0, atol=1e-12 * np.abs(J.H @ y).max()
    )


def test_by_what_to_differentiate_has_to_be_said_where_there_is_no_squared_slowness():
    F = rock("solid", layer="none", shots=3).F()
    for made in (lambda: so.Jacobian(F, F.domain.zeros()), lambda: so.Parametric(F)):
        with pytest.raises(so.ParameterError) as caught:
            made()
        for says in (
            "wrt='m': Elastic has no parameter 'm'",
            "'lam', 'mu', 'rho'",
            "wrt='vp'",
            "wrt=('vp', 'vs', 'rho')",
        ):
            assert says in str(caught.value)


WRONG = {
    "delta above epsilon": (so.TTI, dict(vp=2000.0, epsilon=0.1, delta=0.2), ("larger than epsilon", "np.minimum")),
    "azimuth alone": (so.TTI, dict(vp=2000.0, phi=0.3), ("phi", "without theta")),
    "azimuth in 2D": (so.TTI, dict(vp=2000.0, theta=0.1, phi=0.3), ("phi", "two dimensions")),
    "degrees": (so.TTI, dict(vp=2000.0, theta=35.0), ("theta", "rad", "degrees")),
    "percent": (so.TTI, dict(vp=2000.0, epsilon=20.0), ("epsilon", "percent")),
    "tilted in km/s": (so.TTI, dict(vp=2.0), ("vp", "km/s", "2000")),
    "negative rigidity": (so.Elastic, dict(lam=1e9, mu=-1e8, rho=2000.0), ("mu must not be negative",)),
    "too much shear": (so.Elastic, dict(vp=2000.0, vs=2100.0, rho=2000.0), ("vp has to be more than 1 times vs",)),
    "too much shear at low frequencies": (
        so.ViscoElastic,
        dict(vp=2000.0, vs=1980.0, rho=2000.0, qp=20.0, qs=1e6, f0=9.0),
        ("ViscoElastic: relaxed moduli", "vp has to be more than 1 times vs"),
    ),
    "too much shear at high frequencies": (
        so.ViscoElastic,
        dict(vp=2000.0, vs=1980.0, rho=2000.0, qp=1e6, qs=20.0, f0=9.0),
        ("ViscoElastic: unrelaxed moduli", "(mu)"),
    ),
    "elastic in km/s": (so.Elastic, dict(vp=2.0, vs=1.0, rho=2000.0), ("vp", "km/s", "2000")),
    "density in g/cm3": (so.Elastic, dict(vp=2000.0, vs=1000.0, rho=2.0), ("rho", "g/cm3", "2000")),
    "two for one": (so.Elastic, dict(vp=2000.0, lam=1e9, vs=1000.0, rho=2000.0), ("exactly one", "lam")),
    "no density": (so.Elastic, dict(vp=2000.0, vs=1000.0), ("exactly one", "rho")),
    "no frequency": (so.ViscoAcoustic, dict(vp=2000.0, qp=50.0), ("f0",)),
    "frequency of nothing": (so.ViscoAcoustic, dict(vp=2000.0, qp=50.0, f0=0.0), ("f0=0.0", "above 0")),
    "negative frequency": (so.ViscoAcoustic, dict(vp=2000.0, qp=50.0, f0=-3.0), ("f0=-3.0", "Hz")),
    "infinite frequency": (so.ViscoAcoustic, dict(vp=2000.0, qp=50.0, f0=np.inf), ("f0=inf", "below infinity")),
    "frequency in words": (so.ViscoAcoustic, dict(vp=2000.0, qp=50.0, f0="low"), ("f0='low'",)),
    "no mechanisms": (so.ViscoAcoustic, dict(vp=2000.0, qp=50.0, f0=9.0, mechanisms=0), ("mechanisms=0", "1 to 8")),
    "a mechanism without weight": (
        so.ViscoAcoustic,
        dict(vp=2000.0, qp=50.0, f0=9.0, mechanisms=((0.1,),)),
        ("mechanisms=((0.1,),)", "weight"),
    ),
    "a negative time": (
        so.ViscoAcoustic,
        dict(vp=2000.0, qp=50.0, f0=9.0, mechanisms=((-0.1, 2.0),)),
        ("mechanisms", "relaxation time in s"),
    ),
    "several frequencies": (
        so.ViscoAcoustic,
        dict(vp=2000.0, qp=50.0, f0=np.ones(200)),
        ("f0=an array of float64 of shape (200,): give",),
    ),
    "a complex frequency": (so.ViscoAcoustic, dict(vp=2000.0, qp=50.0, f0=np.complex64(9.0)), ("f0=", "one number")),
    "times in ms": (
        so.ViscoAcoustic,
        dict(vp=2000.0, qp=30.0, f0=12.0, mechanisms=((16.0, 2.0), (5.0, 1.0))),
        ("qp of 30 at f0 = 12 Hz", "more than 696 there", "16, 5 s", "in ms", "mechanisms=[(0.016, 2), (0.005, 1)]"),
    ),
    "times in ms, of S": (
        so.ViscoElastic,
        dict(vp=2000.0, vs=1000.0, rho=2000.0, qp=1e6, qs=30.0, f0=12.0, mechanisms=((16.0, 2.0, 1.5),)),
        ("qs of 30", "mechanisms=[(0.016, 2, 1.5)]"),
    ),
    "times that are too long": (
        so.ViscoAcoustic,
        dict(vp=2000.0, qp=30.0, f0=12.0, mechanisms=((1.0, 2.0),)),
        ("qp of 30", "around 0.1592 Hz", "take times near 1 / (2 pi f0), 0.01326 s"),
    ),
    "times in us": (
        so.ViscoAcoustic,
        dict(vp=2000.0, qp=30.0, f0=12.0, mechanisms=((13e-6, 2.0),)),
        ("tau is", "with f0 = 12.0, mechanisms = ((1.3e-05, 2.0),)"),
    ),
    "viscous in km/s": (so.ViscoAcoustic, dict(vp=2.0, qp=50.0, f0=9.0), ("vp", "km/s", "2000")),
    "quality below all": (so.ViscoAcoustic, dict(vp=2000.0, qp=0.5, f0=9.0), ("qp", "0.5")),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused(name):
    medium, parameters, says = WRONG[name]
    with pytest.raises(so.ParameterError) as caught:
        medium(GRIDS[2], **parameters)
    for fragment in says:
        assert fragment in str(caught.value), str(caught.value)
