"""Maps of which each shot has a model of its own, against a loop over shots."""

import numpy as np
import pytest
from cases import TOLERANCE, world

import seisops as so
from seisops.check import dot_test, taylor_test
from seisops.errors import ParameterError, SpaceError
from seisops.inversion import LeastSquares

pytestmark = [
    pytest.mark.filterwarnings("ignore::seisops.DispersionWarning"),
    pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning"),
]


def relative(a, b):
    return np.linalg.norm(np.ravel(a) - np.ravel(b)) / np.linalg.norm(np.ravel(b))


def models(w, seed=0):
    """One for each shot, no two alike."""
    return w.medium.m * np.random.default_rng(seed).uniform(1.0, 1.2, (w.shots, *w.grid.shape))


CASES = {
    "m": ("m", {}),
    "vp and density": (("vp", "rho"), {"density": True, "boundary": "sponge"}),
    "3D with substeps": ("m", {"ndim": 3, "boundary": "none", "order": 2, "substeps": True}),
}


def case(name):
    wrt, options = CASES[name]
    w = world(**options)
    G = so.Parametric(w.F, wrt)
    rng = np.random.default_rng(1)
    own = [w.medium.get(p) * rng.uniform(1.0, 1.1, (w.shots, *w.grid.shape)) for p in G.wrt]
    return G, (*own, w.F.domain.random(2))


@pytest.mark.parametrize("name", CASES)
def test_it_is_a_loop_over_shots(name):
    G, x = case(name)
    each, y = so.PerShot(G), G.range.random(3)
    assert [space.shape for space in each.domain] == [a.shape for a in x] and each.range == G.range
    value, (*gradients, by_q) = each(*x), each.linearize(*x).pullback(y)
    for s in range(G.shots):
        one = G.select([s])
        given = [a[s] if a.ndim == len(G.domain[0].shape) + 1 else a[[s]] for a in x[:-1]]
        with one.linearize(*given, x[-1][[s]]) as at:
            assert np.array_equal(at.value, value[[s]])
            *expected, q = at.pullback(y[[s]])
            assert np.array_equal(q, by_q[[s]])
            for found, gradient in zip(gradients, expected, strict=True):
                assert np.array_equal(found[s], gradient)


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    G, x = case(name)
    each = so.PerShot(G)
    with each.linearize(*x) as at:
        assert max(map(dot_test, at.jacobians)) < TOLERANCE["float64"]
    dx = tuple(np.random.default_rng(5).uniform(-1, 1, a.shape) * np.abs(a).max() for a in x)
    rates = taylor_test(each, x, dx, steps=(1e-2, 5e-3, 2.5e-3)).rates
    assert all(1.9 < rate < 2.1 for rate in rates), rates


def test_one_model_for_all_adds_up():
    """Of equal models data are those of the map, and the gradients of shots add up to its gradient."""
    w = world()
    G = so.Parametric(w.F)
    m, q, y = w.medium.m, w.F.domain.random(0), G.range.random(1)
    with so.PerShot(G).linearize(np.stack([m, m]), q) as each, G.linearize(m, q) as at:
        assert np.array_equal(each.value, at.value)
        assert relative(each.pullback(y)[0].sum(axis=0), at.pullback(y)[0]) < TOLERANCE["float64"]


def test_a_shot_does_not_feel_the_models_of_others():
    w = world()
    G, m, q = so.PerShot(so.Parametric(w.F)), models(world()), w.F.domain.random(0)
    other = m.copy()
    other[1] *= 1.1
    before, after = G(m, q), G(other, q)
    assert np.array_equal(before[0], after[0]) and relative(after[1], before[1]) > 1e-3


def test_second_derivatives():
    w = world()
    G, m, q = so.PerShot(so.Parametric(w.F)), models(world()), w.F.domain.random(0)
    y, dm = G.range.random(1), 0.1 * m * np.random.default_rng(2).standard_normal(m.shape)
    exact, _ = G.second((m, q), (dm, 0 * q), y)
    h = 1e-3
    ahead, behind = (G.linearize(m + s * dm, q).pullback(y)[0] for s in (h, -h))
    assert relative(exact, (ahead - behind) / (2 * h)) < 1e-5


def test_with_positions_and_a_misfit_of_some_shots():
    w = world()
    Ps = so.Projection(w.waves, [[75.0, 85.0]])
    F = w.Pr * w.A * Ps.H
    G = so.PerShot(so.Parametric(F, ("m", so.Positions(Ps))))
    m, q = models(w), F.domain.random(0)
    x = np.array([[[73.0, 82.0]], [[124.0, 91.0]]])
    assert G.domain[1].shape == x.shape
    with G.linearize(m, x, q) as at:
        assert max(map(dot_test, at.jacobians)) < TOLERANCE["float64"]
    whole = LeastSquares(so.PerShot(so.Parametric(F)), F.range.random(1), q, start=m, P=1e-8)
    u = np.random.default_rng(0).standard_normal(whole.domain.shape)
    value, gradient = whole(u)
    parts = [whole.select([s])(u[[s]]) for s in range(2)]
    assert abs(sum(v for v, _ in parts) / value - 1) < 1e-12
    assert np.array_equal(np.concatenate([g for _, g in parts]), gradient)


def test_memory_is_that_of_the_map():
    w = world()
    G = so.Parametric(w.F)
    each, m = so.PerShot(G), models(w)
    at = each.linearize(m, w.F.domain.random(0))
    assert each.held_bytes == at.held_bytes == G.held_bytes > 0
    at.close()
    each.forget()
    assert each.held_bytes == each.spare_bytes == 0


def test_torch():
    torch = pytest.importorskip("torch")
    w = world()
    layer = so.torch.lift(so.PerShot(so.Parametric(w.F)))
    m, q = torch.from_numpy(models(w)), torch.from_numpy(w.F.domain.random(0))
    scale, direction = 1e-8, torch.from_numpy(np.random.default_rng(3).standard_normal(m.shape))
    along = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    bent = (scale * direction * torch.linspace(0, 1, m.shape[1], dtype=torch.float64)[:, None]).detach()

    def data(t):
        return layer(m + scale * direction * t[0] + bent * t[1], 1e3 * q).square().sum()

    assert torch.autograd.gradcheck(data, (along,), eps=1e-4, atol=0, rtol=1e-5)
    assert torch.autograd.gradgradcheck(data, (along,), eps=1e-4, atol=0, rtol=1e-4)
    batch = torch.stack([m, 1.1 * m])  # leading dimensions beyond that of shots are a batch
    assert layer(batch, q).shape == (2, *w.F.range.shape)


def test_what_is_refused():
    w = world()
    G, m, q = so.Parametric(w.F), models(w), w.F.domain.random(0)
    with pytest.raises(SpaceError, match=r"one model\[x=24, z=21\] for all 2 shots.*PerShot"):
        G(m, q)
    with pytest.raises(SpaceError, match="PerShot"):
        G.linearize(m, q)
    with pytest.raises(ParameterError, match=r"vp has shape \(2, 24, 21\).*PerShot"):
        so.Acoustic(w.grid, vp=np.full((2, *w.grid.shape), 1500.0))
    with pytest.raises(ParameterError, match="PerShot"):
        w.F.at(m=m)
    with pytest.raises(SpaceError, match=r"expected shape \(2, 24, 21\)"):
        so.PerShot(G)(m[0], q)
    with pytest.raises(ParameterError, match="give a map"):
        so.PerShot(w.F)
    with pytest.raises(ParameterError, match="no shots"):
        so.PerShot(so.model.Bounded(w.waves, 1.0, 2.0))
    with pytest.raises(ParameterError, match="share no argument"):
        so.PerShot(so.PerShot(G))
