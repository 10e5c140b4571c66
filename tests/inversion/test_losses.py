"""Losses: gradients and Hessians of every one, alone and with all that may stand around it; and what they are for."""

from __future__ import annotations

import pickle

import numpy as np
import pylops
import pytest
from inversion_worlds import SHOTS, world
from scipy.optimize import minimize

import seisops as so
from seisops.check import dot_test
from seisops.errors import ParameterError, SpaceError
from seisops.inversion import Encoding, LeastSquares, Misfit, fingerprint, loss
from seisops.maps import Linearization, Map
from seisops.operators import LinearOperator
from seisops.spaces import Axis, Traces

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")

#: In the unit of data of norm 1.
LOSSES = {
    "squares": loss.Squares(),
    "huber": loss.Huber(0.02),
    "l1": loss.L1(0.02),
    "student": loss.StudentT(0.02),
    "correlation": loss.Correlation(),
    "envelopes": loss.Envelopes(0.1),
    "transport": loss.Transport(floor=0.05),
    "adaptive": loss.Adaptive(0.1),
}
assert {type(one).__name__ for one in LOSSES.values()} == set(loss.__all__) - {"Loss"}


def misfit_of(name, **options):
    w = world()
    options.setdefault("weights", 1.0 / np.linalg.norm(w.d))
    return Misfit(w.G, w.d, w.q, loss=LOSSES[name], **options)


def around(name):
    """With a mute and a filter of data, a change of variables within bounds, and the source estimated."""
    w = world()
    B, M = so.data.Bandpass(w.F, high=100.0, order=2), so.data.Mute(w.F, velocity=4000.0, taper=0.01)
    bounds = so.model.Bounded(w.waves, 0.5 * w.medium.m, 2.0 * w.medium.m)
    P = bounds @ (0.2 * so.model.Smooth(w.waves, 15.0))
    return misfit_of(name, weights=(1.0 / np.linalg.norm(w.d)) * B * M, P=P, estimate_source=1e-2)


STEPS = 0.5 ** np.arange(2, 6)


def expansion(misfit, x, dx):
    """Rates at which the expansions of first and of second order come near."""
    value, gradient = misfit(x)
    curved = misfit.hessian(x) @ dx
    moved = np.array([misfit(x + h * dx)[0] for h in STEPS]) - value
    first = np.abs(moved - STEPS * (gradient @ dx))
    second = np.abs(moved - STEPS * (gradient @ dx) - 0.5 * STEPS**2 * (dx @ curved))
    return [-np.median(np.diff(np.log2(one))) for one in (first, second)]


def point(misfit):
    rng = np.random.default_rng(0)
    x, dx, z = rng.standard_normal((3, misfit.domain.size))
    if misfit.P is None:
        m = np.ravel(world().medium.m)
        return m * (1 + 0.01 * x), 0.02 * m.mean() * dx, 0.02 * m.mean() * z
    return 0.1 * x, 0.3 * dx, z


@pytest.mark.parametrize("how", [misfit_of, around])
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_and_hessians(name, how):
    misfit = how(name)
    x, dx, z = point(misfit)
    first, second = expansion(misfit, x, dx)
    assert abs(first - 2) < 0.1
    if name != "huber":  # whose second derivative jumps
        assert abs(second - 3) < 0.25
    H, GN = misfit.hessian(x), misfit.gauss_newton(x)
    for op in (H, GN):
        assert dot_test(op) < 1e-10
    assert dx @ (GN @ dx) > 0 and z @ (GN @ z) > 0
    misfit.forget()


@pytest.mark.parametrize("name", ["squares", "student", "envelopes"])
def test_encoded_subsets_muted_filtered_and_changed(name):
    """Random sums of shots, some of them, with all that may stand around."""
    w = world()
    E = Encoding.random(3, SHOTS, "gaussian", seed=1)
    Fe, d, q = E.encode(w.F), E.data(w.F.range) @ w.d, E.sources(w.F) @ w.q
    W = so.data.Bandpass(Fe, high=100.0, order=2) * so.data.Mute(Fe, velocity=4000.0, taper=0.01)
    P = so.model.Bounded(w.waves, 0.5 * w.medium.m, 2.0 * w.medium.m) @ (0.2 * so.model.Smooth(w.waves, 15.0))
    whole = Misfit(
        so.Parametric(Fe), d, q, loss=LOSSES[name], weights=(1.0 / np.linalg.norm(d)) * W, P=P, estimate_source=1e-2
    )
    misfit = whole.select([0, 2])
    x, dx, z = point(misfit)
    first, second = expansion(misfit, x, dx)
    assert abs(first - 2) < 0.1 and abs(second - 3) < 0.25
    assert dot_test(misfit.hessian(x)) < 1e-10 and z @ (misfit.gauss_newton(x) @ z) > 0
    assert np.isclose(misfit(x)[0] + whole.select([1])(x)[0], whole(x)[0], rtol=1e-10)


@pytest.mark.parametrize("how", [misfit_of, around])
@pytest.mark.parametrize("name", LOSSES)
def test_shots_add_up_and_pickles_are_the_same(name, how):
    misfit = how(name)
    x = point(misfit)[0]
    value, gradient = misfit(x)
    parts = [misfit.select([s])(x) for s in range(SHOTS)]
    assert np.isclose(sum(v for v, _ in parts), value, rtol=1e-10)
    assert np.linalg.norm(sum(g for _, g in parts) - gradient) < 1e-9 * np.linalg.norm(gradient)
    copy = pickle.loads(pickle.dumps(misfit))
    assert copy(x)[0] == value and copy.fingerprint == misfit.fingerprint


def test_fingerprints_differ():
    found = {misfit_of(name).fingerprint for name in LOSSES} | {misfit_of("squares", estimate_source=True).fingerprint}
    assert len(found) == len(LOSSES) + 1 and fingerprint(loss.Huber(1.0)) != fingerprint(loss.Huber(2.0))


def test_squares_are_least_squares():
    w, misfit = world(), misfit_of("squares")
    x = point(misfit)[0]
    value, gradient = LeastSquares(w.G, w.d, w.q, weights=1.0 / np.linalg.norm(w.d))(x)
    assert misfit(x)[0] == value and np.array_equal(misfit(x)[1], gradient)


def test_a_forgotten_derivative_of_the_source_is_noticed(monkeypatch):
    """The control: if the filter is taken as fixed, gradients of what is not least squares are wrong."""
    misfit = misfit_of("l1", estimate_source=1e-2)
    source = misfit._features
    monkeypatch.setattr(source, "_backward", lambda u, y, k: y)
    x, dx, _ = point(misfit)
    value, gradient = misfit(x)
    errors = [abs(misfit(x + h * dx)[0] - value - h * (gradient @ dx)) for h in STEPS]
    assert -np.median(np.diff(np.log2(errors))) < 1.2


def test_sums():
    w = world()
    one, other = misfit_of("squares"), misfit_of("correlation")
    R = pylops.FirstDerivative(w.grid.shape, axis=0)
    tikhonov = LeastSquares(R, np.zeros(w.grid.shape), weights=1e7)
    total = one + 0.5 * other + 1e-3 * tikhonov
    x, dx, _ = point(one)
    expected = [one(x), other(x), tikhonov(x)]
    value, gradient = total(x)
    assert np.isclose(value, sum(a * v for a, (v, _) in zip((1, 0.5, 1e-3), expected, strict=True)))
    assert np.allclose(gradient, sum(a * g for a, (_, g) in zip((1, 0.5, 1e-3), expected, strict=True)))
    first, second = expansion(total, x, dx)
    assert abs(first - 2) < 0.1 and abs(second - 3) < 0.25
    assert dot_test(total.gauss_newton(x)) < 1e-10
    assert sum([one, other])(x)[0] == expected[0][0] + expected[1][0]
    parts = [total.select([s]) for s in range(SHOTS)]
    assert np.isclose(sum(p(x)[0] for p in parts), value + (SHOTS - 1) * 1e-3 * tikhonov(x)[0])
    assert total.shots == SHOTS and pickle.loads(pickle.dumps(total)).fingerprint == total.fingerprint
    total.forget()
    with pytest.raises(SpaceError, match="different x"):
        one + LeastSquares(pylops.Identity(3), np.zeros(3))


# ---- what they are for


class Shifted(Map):
    """From a shift in seconds to a trace whose arrival is so late."""

    def __init__(self, time: so.Time, f0: float):
        self.time, self.f0 = time, f0
        axis = Axis("time", time.n, time.step, time.start)
        super().__init__((Traces([1], Axis("shift", 1), "float64"),), Traces([1], axis, "float64"))

    def _linearize(self, *x):
        tau = self.time.samples - 1.0 - x[0].item()
        a = (np.pi * self.f0) ** 2
        trace = (1 - 2 * a * tau**2) * np.exp(-a * tau**2)
        slope = (6 * a * tau - 4 * a**2 * tau**3) * np.exp(-a * tau**2)
        return Linearization(trace[None, None], [Column(self.domain[0], self.range, slope)])


class Column(LinearOperator):
    def __init__(self, domain, range, values):
        self.values = values
        super().__init__(domain, range)

    def _apply(self, x):
        return x * self.values

    def _apply_adjoint(self, y):
        return np.sum(y * self.values, axis=-1, keepdims=True)


TIME = so.Time(n=401, step=0.005)


def found(name, shift, **options):
    """Where an optimiser ends that starts from a shift, in seconds."""
    G = Shifted(TIME, 8.0)
    misfit = Misfit(G, G(np.zeros((1, 1, 1))), loss=name, **options)
    return abs(minimize(misfit, [shift], jac=True, method="L-BFGS-B", options={"maxiter": 60, "gtol": 1e-9}).x.item())


@pytest.mark.parametrize("wide", [loss.Envelopes(), loss.Transport(), loss.Adaptive()])
def test_arrivals_that_are_periods_late_are_found(wide):
    """0.09 s is most of a period of 8 Hz: squares skip a cycle."""
    assert found(loss.Squares(), 0.09) > 0.05
    assert found(wide, 0.09) < 2e-3


@pytest.mark.parametrize("wide", [loss.Transport(), loss.Adaptive()])
def test_arrivals_that_are_several_periods_late_are_found(wide):
    assert found(loss.Squares(), 0.4) > 0.1
    assert found(wide, 0.4) < 2e-3


@pytest.mark.parametrize("robust", [loss.Huber(0.05), loss.L1(0.01), loss.StudentT(0.05)])
def test_a_wild_sample_does_not_count(robust):
    G = Shifted(TIME, 8.0)
    data = G(np.zeros((1, 1, 1)))
    data[..., 210:216] += 20.0

    def shift_of(one):
        return abs(minimize(Misfit(G, data, loss=one), [0.02], jac=True, method="L-BFGS-B").x.item())

    assert shift_of(robust) < 0.2 * shift_of(loss.Squares())


def test_amplitudes_do_not_correlate():
    w = world()
    x = np.ravel(w.medium.m)
    scaled = np.array([1.0, 5.0, 0.1])[:, None, None] * w.d
    same = [Misfit(w.G, d, w.q, loss=loss.Correlation(1e-14))(x)[0] for d in (w.d, scaled)]
    assert np.isclose(*same, rtol=1e-6)


def test_a_source_is_estimated():
    """Data of another wavelet, and of another strength in each shot, are explained at the true model."""
    w = world()
    time = so.Time(n=101, step=0.002)
    waves = so.Wavefield(w.grid, time, shots=SHOTS, dtype="float64")
    F = so.Projection(waves, w.receivers) * so.Modeling(waves, w.medium) * so.Projection(waves, w.sources[:, :1]).H
    q = np.tile(so.ricker(time, 20.0), (SHOTS, 1, 1))
    other = np.array([1.0, -2.0, 0.5])[:, None, None] * so.ricker(time, 24.0, delay=0.07)
    d = F @ other
    m = np.ravel(w.medium.m)
    G = so.Parametric(F)
    plain, estimated = LeastSquares(G, d, q), Misfit(G, d, q, estimate_source=1e-8)
    power = 0.5 * np.sum(d * d)
    assert plain(m)[0] > 0.5 * power and estimated(m)[0] < 0.01 * power  # what comes after the records is not known
    assert estimated(1.1 * m)[0] > 5 * estimated(m)[0]
    u = F @ q
    filters = so.data.MatchedSource(F, d, 1e-8).filters(u)
    padded = np.fft.irfft(np.fft.rfft(q[1, 0], filters[1].size) * np.fft.rfft(filters[1]))[: time.n]
    assert np.linalg.norm(padded - other[1, 0]) < 0.1 * np.linalg.norm(other[1, 0])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: Misfit(world().G, world().d, world().q, loss="huber"), "give one of seisops.inversion.loss"),
        (lambda: loss.Huber(-1.0), "positive"),
        (lambda: Misfit(world().G, 0 * world().d, world().q, loss=loss.Envelopes()), "all zero"),
        (lambda: Misfit(world().G, world().d, world().q, P=world().G), "has 2 arguments"),
        (
            lambda: Misfit(pylops.Identity(4), np.ones(4), loss=loss.Correlation()),
            "needs traces",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call, match):
    with pytest.raises(ParameterError, match=match):
        call()
