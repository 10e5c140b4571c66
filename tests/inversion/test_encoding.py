"""Encoded shots: the data of one solve with all sources, and estimates that are right on average."""

import numpy as np
import pytest
from inversion_worlds import SHOTS, world

import seisops as so
from seisops.check import dot_test
from seisops.engine.kernel import Kernel
from seisops.inversion import Encoding, LeastSquares

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [1, 2, SHOTS + 1])
def test_encoded_data_are_the_data_of_encoded_sources(n, dtype):
    w = world(dtype=dtype)
    E = Encoding.random(n, SHOTS, seed=n)
    Fe, Es, Ed = E.encode(w.F), E.sources(w.F), E.data(w.F.range)
    assert Fe.domain == Es.range and Fe.range == Ed.range and Fe.shots == n
    assert Es.range.shape == (n, SHOTS * 2, 31) and Ed.range.shape == (n, 4, 31)
    assert relative(Fe @ (Es @ w.q), Ed @ (w.F @ w.q)) < TOLERANCE[dtype]
    for op in (Es, Ed, Fe):
        assert dot_test(op) < TOLERANCE[dtype]
    np.testing.assert_allclose(Ed @ w.d, np.einsum("ns,spt->npt", E.weights, w.d), rtol=1e-5, atol=1e-5)


def test_what_can_be_encoded(monkeypatch):
    w = world()
    E = Encoding.random(2, SHOTS, "gaussian", seed=(3, 1))
    rng = np.random.default_rng(2)
    signature = rng.standard_normal(31)
    ragged = so.Projection(w.waves, [w.sources[0], w.sources[1][:1], w.sources[2]])
    outside = so.Projection(w.waves, w.receivers - [30.0, 0.0] * np.ones((4, 1)), margin=100.0)
    layered = so.Modeling(w.waves, w.medium, boundary=so.PML(cells=6), space_order=4)
    expressions = {
        "scaled": -2.0 * w.F,
        "extended sources": w.Pr * w.A * so.Wavelet(w.waves, signature).H,
        "ragged sources": w.Pr * w.A * ragged.H,
        "beyond the edge": outside * layered * so.Projection(w.waves, w.sources - 40.0, "linear", margin=100.0).H,
    }
    for name, F in expressions.items():
        Fe, Es = E.encode(F), E.sources(F)
        q = F.domain.random(1)
        if q.ndim == 3 and "extended" not in name:
            q = np.cumsum(q, axis=-1)
        assert relative(Fe @ (Es @ q), E.data(F.range) @ (F @ q)) < 1e-12, name
        assert dot_test(Es) < 1e-12 and dot_test(Fe) < 1e-12, name
    # one solve for each encoded shot
    runs, run = [], Kernel.run
    monkeypatch.setattr(Kernel, "run", lambda self, *a, **k: (runs.append(1), run(self, *a, **k))[1])
    E.encode(w.F) @ (E.sources(w.F) @ w.q)
    assert len(runs) == 2


def test_samplers_made_of_components_are_encoded():
    """Sources of all kinds with tensors and directions of their own, receivers that are forces and fibres."""
    w = world()
    rng = np.random.default_rng(4)
    E = Encoding.random(2, SHOTS, "gaussian")
    solid = so.Elastic(w.grid, 2500.0, 1300.0, rng.uniform(2000.0, 2200.0, w.grid.shape))
    Ainv = so.Modeling(w.waves, solid, boundary=so.PML(cells=6), space_order=4)
    tensors = rng.standard_normal((SHOTS, 2, 2, 2))
    moments = so.MomentTensor(w.waves, w.sources, tensors + np.swapaxes(tensors, 2, 3))
    ragged = [w.sources[0], w.sources[1][:1], w.sources[2][:0]]
    forces = so.Force(w.waves, ragged, [rng.standard_normal((len(at), 2)) for at in ragged])
    geophones = so.Force(w.waves, w.receivers, rng.standard_normal((len(w.receivers), 2)))
    fibre = so.Fibre(w.waves, [(20.0, 20.0), (130.0, 60.0), (200.0, 180.0)], gauge=40.0, spacing=25.0)
    vertical = so.Projection(w.waves, w.sources, component="vz")
    dipoles = so.Dipole(w.waves, w.sources, rng.standard_normal((SHOTS, 2, 2)))
    expressions = {
        "moments to fibre": fibre * Ainv * moments.H,
        "forces to geophones": 3.0 * (geophones * Ainv * (-1.0 * forces).H),
        "fibre as source": geophones * Ainv * fibre.H,
        "projection to fibre": fibre * Ainv * vertical.H,
        "dipoles": w.Pr * w.A * dipoles.H,
    }
    for name, F in expressions.items():
        Fe, Es = E.encode(F), E.sources(F)
        assert Fe.domain == Es.range and str(so.fuse(Fe)).count("Ainv") == 1, name
        q = np.cumsum(F.domain.random(1), axis=-1)
        assert relative(Fe @ (Es @ q), E.data(F.range) @ (F @ q)) < 1e-12, name
        assert dot_test(Es) < 1e-12 and dot_test(Fe) < 1e-12, name

    turning = so.Force(w.waves, w.receivers, rng.standard_normal((SHOTS, 4, 2)))
    with pytest.raises(so.ParameterError, match="directions or tensors of those of shot 1 are not those of shot 0"):
        E.encode(turning * Ainv * forces.H)
    with pytest.raises(so.ParameterError, match="expected receivers, a solve and sources"):
        E.encode(so.VStack([geophones, fibre]) * Ainv * forces.H)


def test_the_encoded_gradient_is_unbiased():
    """Its mean over many encodings is the gradient, as far as the spread of the mean allows; without 1/n it is not."""
    w = world()
    x = w.medium.m
    full = LeastSquares(w.G, w.d, w.q)(x)
    for n, kind, draws in ((1, "rademacher", 150), (2, "gaussian", 100)):
        values, gradients = [], []
        for seed in range(draws):
            E = Encoding.random(n, SHOTS, kind, seed)
            G = so.Parametric(E.encode(w.F))
            value, gradient = LeastSquares(G, E.data(w.F.range) @ w.d, E.sources(w.F) @ w.q)(x)
            values.append(value)
            gradients.append(gradient)
        values, gradients = np.array(values), np.array(gradients)
        spread = np.std(values) / np.sqrt(draws)
        assert abs(values.mean() - full[0]) < 3 * spread and spread < 0.2 * full[0]
        deviation = np.linalg.norm(gradients.mean(axis=0) - full[1])
        expected = np.sqrt(gradients.var(axis=0).sum() / draws)
        assert 0.3 * expected < deviation < 2 * expected < 0.4 * np.linalg.norm(full[1])
    assert np.linalg.norm(2 * gradients.mean(axis=0) - full[1]) > 5 * expected  # weights that forget 1/sqrt(n)


def test_weights():
    for kind in ("rademacher", "gaussian"):
        E = Encoding.random(4, 6, kind, seed=1)
        assert E.n == 4 and E.shots == 6 and np.array_equal(E.weights, Encoding.random(4, 6, kind, seed=1).weights)
        assert not np.array_equal(E.weights, Encoding.random(4, 6, kind, seed=(1, 1)).weights)
        many = np.mean([(W := Encoding.random(4, 6, kind, seed=s).weights).T @ W for s in range(3000)], axis=0)
        np.testing.assert_allclose(many, np.eye(6), atol=0.06)
    assert set(np.unique(np.abs(Encoding.random(4, 6).weights))) == {0.5}
    with pytest.raises(ValueError, match="read-only"):
        E.weights[0, 0] = 1.0


def test_what_cannot_be_encoded_is_refused():
    w = world()
    E = Encoding.random(2, SHOTS)
    low, high = np.array(w.grid.extent).T
    moving = so.Projection(w.waves, np.random.default_rng(0).uniform(low, high, (SHOTS, 4, 2)))
    ragged = so.Projection(w.waves, [w.receivers, w.receivers[:2], w.receivers])
    signatures = so.Wavelet(w.waves, np.random.default_rng(0).standard_normal((SHOTS, 31)))
    for F, reason in (
        (moving * w.A * w.Ps.H, "those of shot 1 are not where those of shot 0 are. Encode groups"),
        (ragged * w.A * w.Ps.H, "shot 0 has 4 and shot 1 has 2"),
        (w.Pr * w.A * signatures.H, "the same signature"),
        (so.VStack([w.F, moving * w.A * w.Ps.H]), "expected receivers, a solve and sources"),
        (w.F.H, "expected receivers, a solve and sources"),
        (w.F * so.Identity(w.F.domain) + moving * w.A * moving.H * moving * w.A * w.Ps.H, "one solve"),
        (w.A * w.Ps.H, "expected receivers"),
        (w.F.H * w.F, "one solve"),
    ):
        with pytest.raises(so.ParameterError, match=reason):
            E.encode(F)
    with pytest.raises(so.SpaceError, match="3 shots into 2> cannot encode .* has 2 shots"):
        E.encode(w.F[:2])
    with pytest.raises(so.SpaceError, match="cannot be summed"):
        E.data(ragged.range)
    with pytest.raises(so.SpaceError, match="has no shots"):
        E.data(w.waves.model())
    with pytest.raises(so.SpaceError, match=r"Encoding\(weights\[:, shots\]\)"):
        (E.data(w.F.range) * w.F)[0]
    for weights in (np.ones(3), np.full((1, 3), np.nan), np.ones((0, 3)), [["a"]]):
        with pytest.raises(so.ParameterError, match="finite real weights"):
            Encoding(weights)
    with pytest.raises(so.ParameterError, match="'rademacher' or 'gaussian'"):
        Encoding.random(2, 3, "phase")
