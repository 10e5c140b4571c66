"""Solvers of other packages run on these operators in their dtype, and build and solve no more than needed."""

import numpy as np
import pylops
import pyproximal
import pytest
from cases import world
from scipy.sparse import linalg

import seisops as so
from seisops.engine.kernel import Kernel
from seisops.wave.discretise.schemes import SCHEMES
from seisops.wave.solver import KernelMarch

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")


def largest(op):
    """Largest singular value, by power iteration."""
    x = op.domain.random(0).ravel()
    for _ in range(12):
        x = op.rmatvec(op.matvec(x / np.linalg.norm(x)))
    return float(np.linalg.norm(x)) ** 0.5


def operators():
    """Modeling and Born operators in single precision, of norm one."""
    w = world(dtype="float32", substeps=True)
    return {name: (1.0 / largest(op)) * op for name, op in (("F", w.F), ("J", w.jacobian()))}


@pytest.fixture(params=["F", "J"])
def problem(request):
    op = operators()[request.param]
    x = op.domain.random(1).ravel()
    return op, x, op.matvec(x)


def ista(op, y, niter):
    return pylops.optimization.sparsity.fista(op, y, niter=niter, eps=1e-4, alpha=0.9)[0]


def proximal(op, y, niter):
    f = pyproximal.L2(Op=op, b=y)
    return pyproximal.optimization.primal.ProximalGradient(
        f, pyproximal.L2(sigma=1e-6), x0=np.zeros(op.shape[1], op.dtype), tau=0.9, niter=niter
    )


SOLVERS = {
    "pylops.cgls": lambda op, y, n: pylops.cgls(op, y, niter=n)[0],
    "pylops.lsqr": lambda op, y, n: pylops.lsqr(op, y, niter=n)[0],
    "pylops.fista": ista,
    "scipy.lsqr": lambda op, y, n: linalg.lsqr(op, y, iter_lim=n)[0],
    "scipy.lsmr": lambda op, y, n: linalg.lsmr(op, y, maxiter=n)[0],
    "pyproximal.ProximalGradient": proximal,
}


@pytest.mark.parametrize("name", SOLVERS)
def test_solver(name, problem, monkeypatch):
    op, _, y = problem
    seen = set()
    original = type(op)._matvec

    def watched(self, x):
        out = original(self, x)
        seen.add(out.dtype)
        return out

    monkeypatch.setattr(type(op), "_matvec", watched)
    x = np.ravel(SOLVERS[name](op, y, 6))
    assert np.isfinite(x).all()
    assert np.linalg.norm(y - op.matvec(x)) < 0.7 * np.linalg.norm(y)
    assert seen == {np.dtype("float32")}


def test_solutions_keep_single_precision(problem):
    op, _, y = problem
    assert pylops.cgls(op, y, niter=3)[0].dtype == np.float32
    assert ista(op, y, 3).dtype == np.float32


def test_residuals_fall_with_the_iterations():
    J = world().jacobian()
    y = J.matvec(J.domain.random(3).ravel())
    errors = [np.linalg.norm(y - J.matvec(pylops.cgls(J, y, niter=n)[0].ravel())) for n in (5, 10, 20)]
    assert np.linalg.norm(y) > errors[0] > errors[1] > errors[2]


# ---- what they cost


@pytest.fixture
def runs(monkeypatch):
    """The kernels that run, in order."""
    log = []
    original = Kernel.run

    def run(self, *arguments, **options):
        log.append(self)
        return original(self, *arguments, **options)

    monkeypatch.setattr(Kernel, "run", run)
    return log


@pytest.fixture
def built(monkeypatch):
    """What some modeling operators have had built, each time that one is asked: all the kernels that they march with count.

    Not those that others in this process make meanwhile. Shots, and other media, share the discretisation of an operator.
    """
    marched, before = [], {id(kernel): kernel for kernel in SCHEMES.kernels}
    original = KernelMarch.__init__

    def note(self, kernel, discretisation, *arguments, **options):
        marched.append((discretisation, kernel))
        original(self, kernel, discretisation, *arguments, **options)

    monkeypatch.setattr(KernelMarch, "__init__", note)

    def by(*modelings):
        own = [A.discretisation for A in modelings]
        kernels = {id(k): k for d, k in marched if any(d is other for other in own)}
        new = [k.program.loop.what for i, k in kernels.items() if i not in before]
        before.update(kernels)
        assert kernels, "nothing has marched"
        return new

    return by


def test_a_hundred_shots_build_nothing_new(built):
    few, many = world(), world(shots=100)
    few.F.H @ (few.F @ few.F.domain.random(0))
    built(few.A)
    d = many.F @ many.F.domain.random(0)
    many.F.H @ d
    assert d.shape[0] == 100 and not built(many.A)


def test_other_surveys_and_media_build_nothing_new(built):
    w = world()
    w.F @ w.F.domain.random(0)
    built(w.A)
    F = w.points(7, 20) * w.A * w.points(5, 21, interpolation="linear").H
    F @ F.domain.random(0)
    F.at(vp=1600.0)[0] @ F[0].domain.random(0)
    grid = so.Grid((30, 25), (9.0, 11.0), origin=(100.0, 0.0))
    waves = so.Wavefield(grid, so.Time(40, 0.0015), dtype="float64")
    P = so.Projection(waves, [[200.0, 100.0]])
    layer = so.PML(cells=6, reflection=1e-4, wavelength=20.0)  # the number of cells is compiled in, nothing else
    A = so.Modeling(waves, so.Acoustic(grid, vp=1800.0), boundary=layer, space_order=4)
    G = P * A * P.H
    assert np.abs(G @ G.domain.random(0)).max() > 0
    assert not built(w.A, A)


def test_what_is_built_again_counts(built):
    """So that the two before would notice."""
    w = world()
    w.F @ w.F.domain.random(0)
    built(w.A)
    w.A.solver.scheme.kernels.clear()
    w.F @ w.F.domain.random(0)
    assert len(built(w.A)) == 1


def test_iterations_build_nothing_and_solve_twice_each(problem, runs):
    op, _, y = problem
    op.rmatvec(y)
    before = Kernel.made
    runs.clear()
    pylops.cgls(op, y, niter=20)
    assert Kernel.made == before
    assert len(runs) <= 2 * op.shots * 21


def test_backgrounds_are_computed_once(runs):
    w = world()
    q = w.F.domain.random(0)
    J = so.Jacobian(w.F, q, storage=so.storage.Full())
    y = J.range.random(1)
    pylops.cgls(J, y.ravel(), niter=5)
    backgrounds = [k for k in runs if k.program.loop.what[3].history]
    assert len(backgrounds) == w.shots
    runs.clear()
    J @ J.domain.random(2)
    J.H @ y
    assert len(runs) == 2 * w.shots
    runs.clear()
    J.forget()
    J @ J.domain.random(2)
    assert sum(k.program.loop.what[3].history for k in runs) == w.shots


def test_backgrounds_beyond_the_budget_are_computed_anew(runs):
    w = world()
    q, dm = w.F.domain.random(0), w.waves.model().random(1)
    one = w.A.solver.layout(("m",)).whole_bytes
    kept = so.Jacobian(w.F, q) @ dm
    J = so.Jacobian(w.F, q, storage=so.storage.Full(keep_bytes=one))
    assert np.array_equal(J @ dm, kept)
    runs.clear()
    assert np.array_equal(J @ dm, kept)
    assert sum(k.program.loop.what[3].history for k in runs) == w.shots - 1


def test_a_linearisation_solves_once_and_its_adjoint_once(runs):
    w = world()
    with so.Parametric(w.F).linearize(w.medium.m, w.F.domain.random(0)) as at_x:
        assert len(runs) == w.shots
        at_x.jacobians[0].H @ at_x.value
        assert len(runs) == 2 * w.shots
