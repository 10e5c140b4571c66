"""The adjoint of every product around a solve is exact."""

from dataclasses import replace

import numpy as np
import pylops
import pytest
from cases import TOLERANCE, World, check_exact, world

import seisops as so
from seisops.check import diagnose, dot_test
from seisops.engine.lower.advance import Advance
from seisops.wave.discretise import discretisation
from seisops.wave.discretise.padding import Padding
from seisops.wave.discretise.resampling import Resampling
from seisops.wave.discretise.schemes import Schemes

# random sources are meant to hold every frequency
pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")


# ---- the table of products

ROWS = {
    "points to points": lambda w: w.F,
    "extended source to points": lambda w: w.extended,
    "points to wavefield": lambda w: w.A * w.Ps.H,
    "extended source to wavefield": lambda w: w.A * w.Pw.H,
    "wavefield to points": lambda w: w.Pr * w.A,
    "wavefield to stack": lambda w: w.Pw * w.A,
    "points to stack": lambda w: w.Pw * w.A * w.Ps.H,
    "wavefield to wavefield": lambda w: w.A,
    "Jacobian of a point source": lambda w: w.jacobian(),
    "Jacobian of an extended source": lambda w: w.jacobian(w.extended),
    "Jacobian by velocity": lambda w: w.jacobian(wrt="vp"),
    "Jacobian by two names": lambda w: world(density=True).jacobian(wrt=("m", "rho")),
    "Jacobian of a sum": lambda w: w.jacobian(w.F + 0.5 * w.Pr * w.A * w.points(2, 9).H),
    "Jacobian of a stack": lambda w: w.jacobian(so.VStack([w.F, w.points(1, 6) * w.A * w.Ps.H])),
    "Jacobian subsampled": lambda w: w.jacobian(storage=so.storage.Subsampled(4)),
    "Jacobian without keeping": lambda w: w.jacobian(storage=so.storage.Full(keep_bytes=0)),
    "stack of points": lambda w: so.VStack([w.Pr, w.points(1, 6)]) * w.A * w.Ps.H,
    "stack of points and images": lambda w: so.VStack([w.Pr, w.Pw]) * w.A * w.Ps.H,
    "row of sources": lambda w: w.Pr * w.A * so.HStack([w.Ps.H, w.Pw.H]),
    "sum of sources": lambda w: w.Pr * w.A * (w.Ps.H + w.points(2, 9).H),
    "sum of readers": lambda w: (w.Pr + 2.0 * w.points(3, 9)) * w.A * w.Ps.H,
    "sum of operators": lambda w: w.F - 0.5 * w.Pr * w.A * w.points(2, 9).H,
    "sum of propagators": lambda w: w.Pr * (w.A + 0.5 * w.A.at(vp=1700.0)) * w.Ps.H,
    "adjoint solve": lambda w: w.Pr * w.A.H * w.Ps.H,
    "scaled": lambda w: -3.0 * w.F,
    "normal operator": lambda w: w.F.H * w.F,
    "one shot": lambda w: w.F[1],
    "shots reordered": lambda w: w.F[[1, 0]],
    "another medium": lambda w: w.F.at(vp=1800.0),
    "Jacobian of one shot": lambda w: w.jacobian()[0],
}


@pytest.mark.parametrize("row", ROWS)
def test_row(row):
    check_exact(ROWS[row](world()))


WORLDS = {
    "substeps": {"substeps": True},
    "sponge": {"boundary": "sponge"},
    "sponge with substeps": {"boundary": "sponge", "substeps": True},
    "no boundary": {"boundary": "none"},
    "free surface": {"surface": True},
    "free surface with substeps": {"surface": True, "substeps": True},
    "sponge and free surface": {"boundary": "sponge", "surface": True},
    "variable density": {"density": True},
    "variable density, sponge and free surface": {"density": True, "boundary": "sponge", "surface": True},
    "order 8": {"order": 8},
    "three dimensions": {"ndim": 3},
    "float32": {"dtype": "float32"},
    "float32 with substeps": {"dtype": "float32", "substeps": True},
}


@pytest.mark.parametrize("options", WORLDS.values(), ids=WORLDS)
def test_points_in_world(options):
    check_exact(world(**options).F)


@pytest.mark.parametrize("options", WORLDS.values(), ids=WORLDS)
def test_jacobian_in_world(options):
    wrt = ("m", "rho") if options.get("density") else "m"
    check_exact(world(**options).jacobian(wrt=wrt))


WAVEFIELD_ROWS = ("points to wavefield", "wavefield to points", "wavefield to wavefield", "extended source to points")


@pytest.mark.parametrize("row", WAVEFIELD_ROWS)
def test_rows_with_substeps(row):
    w = world(substeps=True)
    assert w.A.discretisation.ratio > 1
    check_exact(ROWS[row](w))


@pytest.mark.parametrize("row", ["wavefield to wavefield", "extended source to points"])
def test_rows_in_single_precision(row):
    check_exact(ROWS[row](world(dtype="float32", substeps=True)))


def test_jacobian_by_velocity_and_density():
    check_exact(world(density=True).jacobian(wrt=("rho", "vp")))


def test_subsampling_by_what_does_not_divide_the_steps():
    w = world()
    assert w.A.discretisation.steps % 4
    check_exact(w.jacobian(storage=so.storage.Subsampled(4)))


def test_subsampled_at_every_step_is_full():
    w = world()
    dm = w.waves.model().random(1)
    full, every = (w.jacobian(storage=s) @ dm for s in (so.storage.Full(), so.storage.Subsampled(every=1)))
    assert np.array_equal(full, every)


# ---- points anywhere

OUTSIDE = {
    "left": [(-33.0, 70.0)],
    "corner": [(-41.5, -52.0), (270.0, 230.5)],
    "last cell of the layer": [(-60.0, 100.0), (290.0, 260.0)],
    "edge of the model": [(0.0, 0.0), (230.0, 200.0)],
    "inside and outside": [(120.0, 100.0), (-20.0, 100.0)],
    "two in one cell": [(101.0, 101.0), (102.0, 103.0)],
}


@pytest.mark.parametrize("place", OUTSIDE)
@pytest.mark.parametrize("boundary", ["pml", "sponge"])
def test_sources_in_the_layer(place, boundary):
    w = world(boundary=boundary)
    P = so.Projection(w.waves, OUTSIDE[place], margin=60.0)
    near = so.Projection(w.waves, np.clip(np.array(OUTSIDE[place]) + 15.0, -60.0, 260.0), margin=60.0)
    check_exact(near * w.A * P.H)
    check_exact(w.jacobian(near * w.A * P.H))


@pytest.mark.parametrize("interpolation", ["sinc", "linear"])
def test_points_at_the_free_surface(interpolation):
    w = world(surface=True)
    Ps = so.Projection(w.waves, [(100.0, 0.0), (111.0, 4.0), (60.0, 10.0)], interpolation)
    Pr = so.Projection(w.waves, [(123.0, 2.0), (90.0, 0.0), (130.0, 20.0)], interpolation)
    F = Pr * w.A * Ps.H
    check_exact(F)
    d = F @ F.domain.random(0)
    scale = np.abs(d).max()
    assert np.abs(d[:, 1]).max() < 1e-12 * scale, "the pressure vanishes at the surface"
    assert np.abs(d[:, 0]).max() > 1e-3 * scale


def test_ragged_surveys():
    w = world()
    Ps = so.Projection(w.waves, [np.array([[60.0, 55.0], [71.0, 33.0]]), np.array([[120.0, 100.0]])])
    Pr = so.Projection(w.waves, [np.array([[88.0, 55.0]]), np.array([[99.0, 44.0], [100.0, 100.0], [150.0, 91.0]])])
    F = Pr * w.A * Ps.H
    assert F.shape == (4 * 31, 3 * 31)
    check_exact(F)
    check_exact(w.jacobian(F))
    q = F.domain.random(0)
    d = F @ q
    assert np.array_equal(F[1] @ q[2:].reshape(F[1].domain.shape), d[1:].reshape(1, 3, 31))
    J = so.Jacobian(F, q)
    dm = J.domain.random(1)
    assert np.array_equal(J[0] @ dm, (J @ dm)[:1].reshape(1, 1, 31))
    check_exact(J[1])


def test_shots_do_not_see_each_other():
    w = world()
    q = w.F.domain.random(0)
    alone = np.concatenate([w.F[i] @ q[i : i + 1] for i in range(2)])
    assert np.array_equal(w.F @ q, alone)


# ---- with plain PyLops operators


def plain(space, seed):
    """A weighting that knows nothing of spaces, and mixes neighbours."""
    smooth = pylops.FirstDerivative(space.shape, axis=-1, edge=True, dtype=space.dtype)
    return pylops.Diagonal(np.abs(space.random(seed)) + 0.5, dtype=space.dtype) @ smooth


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_plain_operators_on_either_side(dtype):
    w = world(dtype=dtype)
    W, V = plain(w.F.range, 1), plain(w.F.domain, 2)
    W.dtype = V.dtype = np.dtype(dtype)
    for op in (so.fuse(W @ w.F), w.F @ V, so.fuse(W * w.F * V)):
        check_exact(op)
    assert dot_test(W @ w.F) < TOLERANCE[dtype]
    x = w.F.domain.random(3)
    assert np.allclose(so.fuse(W @ w.F) @ x.ravel(), W @ (w.F @ x.ravel()), rtol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("real", [True, False])
def test_complex_operators_beside_ours(real):
    """A left factor with a complex range works as it does beside the operators of PyLops."""
    w = world(boundary="none")
    F = w.F
    matrix = pylops.MatrixMult(F.todense())
    W = pylops.signalprocessing.FFT(F.range.shape, axis=-1, real=real)
    G, expected = W * F, W * matrix
    y = np.random.default_rng(0).standard_normal(G.shape[0]) + 1j * np.random.default_rng(1).standard_normal(G.shape[0])
    x = F.domain.random(2).ravel()
    for ours, theirs in ((G, expected), (W * (2.0 * F), W * (2.0 * matrix))):
        np.testing.assert_allclose(ours.matvec(x), theirs.matvec(x), atol=1e-12 * np.abs(theirs.matvec(x)).max())
        for adjoint in (ours.rmatvec(y), ours.H.matvec(y), ours.H @ y):
            np.testing.assert_allclose(adjoint, theirs.rmatvec(y), atol=1e-12 * np.abs(theirs.rmatvec(y)).max())
    # of a Fourier transform of real arrays, the domain is real
    assert pylops.utils.dottest(G, *G.shape, complexflag=2 if real else 3, rtol=1e-10)
    found, wanted = (np.ravel(pylops.cgls(op, op.matvec(x), niter=5, tol=0)[0]) for op in (G, expected))
    np.testing.assert_allclose(found, wanted, atol=1e-9 * np.abs(wanted).max())
    z = np.arange(F.shape[0]) * (1 + 2j)
    both = (F * pylops.Diagonal(np.ones(F.shape[1], complex), dtype="complex128")).H @ z
    np.testing.assert_allclose(both, matrix.H @ z, atol=1e-12 * np.abs(both).max())


def test_flat_operators_beside_ours():
    w = world(boundary="none")
    J, W = w.jacobian(), pylops.Diagonal(np.linspace(1.0, 2.0, w.F.shape[0]))
    r = w.F.range.random(0)
    np.testing.assert_array_equal((W * J).H @ r, J.H @ (W * r.ravel()).reshape(r.shape))


def test_fusing_what_pylops_composed():
    w = world()
    R = plain(w.Pr.range, 1)
    opened = so.fuse((R * w.Pr) * w.A * w.Ps.H)
    check_exact(opened)
    q = w.F.domain.random(2)
    assert np.allclose(opened @ q.ravel(), R @ (w.F @ q).ravel(), rtol=1e-12, atol=0)


# ---- wrong adjoints are caught


def fresh(**options):
    """Operators that share nothing with the cached ones."""
    return World(**options)


def test_resampling_again_instead_of_transposing_is_caught(monkeypatch):
    monkeypatch.setattr(Resampling, "up_adjoint", Resampling.down)
    assert dot_test(fresh(substeps=True).F) > 1e-2


def test_cropping_the_gradient_is_caught(monkeypatch):
    folded = Padding.apply_adjoint
    monkeypatch.setattr(Padding, "apply_adjoint", lambda self, padded, ends=False: folded(self, padded, ends=True))
    w = fresh()
    assert dot_test(w.F) < TOLERANCE["float64"]
    assert dot_test(w.jacobian(w.points(3, 2, margin=0.0) * w.A * w.Ps.H)) > 1e-6


def test_another_interpolation_in_the_adjoint_is_caught(monkeypatch):
    w = fresh()
    op = w.A.solve((w.Pr,), (w.Ps,), adjoint=False)
    forward, taps, wrong = op._apply, so.Projection.taps, []
    assert dot_test(op) < TOLERANCE["float64"]

    def other(self, *arguments, **options):
        sampler = so.Projection(self.domain, self.points, "linear") if wrong else self
        return taps(sampler, *arguments, **options)

    def with_wrong_points(x):
        wrong.append(True)
        try:
            return forward(x)
        finally:
            wrong.clear()

    monkeypatch.setattr(so.Projection, "taps", other)
    assert dot_test(op) < TOLERANCE["float64"]
    monkeypatch.setattr(op, "_apply", with_wrong_points)
    assert dot_test(op) > 1e-3


def test_a_tampered_injection_scale_is_caught(monkeypatch):
    monkeypatch.setenv("SEISOPS_CACHE", "off")  # where what is derived would be found
    monkeypatch.setattr(discretisation, "SCHEMES", Schemes())
    injection = Advance._injection

    def tampered(self, step, component, factor):
        scale = step.scale * (1.001 if self.system.direction < 0 else 1.0)
        return injection(self, replace(step, scale=scale), component, factor)

    monkeypatch.setattr(Advance, "_injection", tampered)
    op = fresh(boundary="none").F
    assert dot_test(op) > 1e-5
    assert "scaled by 1.001" in diagnose(op)


def test_products_repeat_bit_by_bit():
    """Sources whose windows overlap are added in the same order in every run, by however many threads."""
    rng = np.random.default_rng(8)
    waves = so.Wavefield(so.Grid((31, 29), 10.0), so.Time(41, 0.004))
    points = so.Projection(waves, rng.uniform(100.0, 200.0, (40, 2)))
    F = points * so.Modeling(waves, so.Acoustic(waves.grid, vp=2000.0), space_order=4) * points.H
    q = F.domain.random(9)
    data = F @ q
    assert all(np.array_equal(F @ q, data) for _ in range(5))
