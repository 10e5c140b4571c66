"""What is another problem has another fingerprint; what is the same has the same, in every process."""

import pickle
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pylops
import pytest
from inversion_worlds import Rosenbrock

import seisops as so
from seisops.errors import ParameterError
from seisops.inversion import Journal, fingerprint
from seisops.inversion.encoding import Encoding
from seisops.inversion.fingerprint import is_probed
from seisops.operators import LinearOperator, Pointwise
from seisops.survey.windows import Recipe

GRID = so.Grid((21, 15), 10.0)
RECEIVERS = ((50.0, 20.0), (100.0, 20.0), (151.0, 23.0))


class Waves(so.WaveEquation):
    parameters = ("m", "r")
    leapfrog = True

    def residual(self, fields, parameters):
        return (parameters.m * fields.u.dt2 - fields.u.laplace + parameters.r * fields.u.dtc,)


class Damped(Waves):
    def residual(self, fields, parameters):
        return (parameters.m * fields.u.dt2 - fields.u.laplace + 2 * parameters.r * fields.u.dtc,)


Damped.__name__, Damped.__qualname__ = Waves.__name__, Waves.__qualname__


@dataclass(frozen=True)
class World:
    """Settings of a problem."""

    vp: float = 2000.0
    rho: float | None = None
    step: float = 0.004
    origin: float = 0.0
    receivers: tuple = RECEIVERS
    source: tuple = (100.0, 100.0)
    interpolation: str = "sinc"
    boundary: object = so.PML()
    surface: bool = False
    order: int = 4
    substeps: int | None = None
    dispersion: bool = True
    max_velocity: float | None = None
    scalar: float = 1.0
    dtype: str = "float32"
    f0: float = 10.0
    equation: type | None = None
    extended: bool = False

    @property
    def F(self):
        grid = so.Grid((21, 15), 10.0, origin=(self.origin, 0.0))
        time = so.Time(51, self.step)
        waves = so.Wavefield(grid, time, 2, self.dtype)
        if self.equation:
            medium = self.equation(grid, m=self.vp**-2, r=1e-9)
        else:
            medium = so.Acoustic(grid, vp=self.vp, rho=self.rho)
        Pr = so.Projection(waves, np.array(self.receivers), self.interpolation)
        if self.extended:
            P = so.Wavelet(waves, so.ricker(time, self.f0, delay=0.1))
        else:
            P = so.Projection(waves, [self.source], self.interpolation)
        A = so.Modeling(
            waves, medium, self.boundary, self.surface, self.order, self.max_velocity, self.substeps, self.dispersion
        )
        F = Pr * A * P.H
        return F if self.scalar == 1 else self.scalar * F

    @property
    def q(self):
        F = self.F
        return np.random.default_rng(0).standard_normal(F.domain.shape)


BASE = World()
FOREIGN = {
    "velocity": dict(vp=2000.0001),
    "density": dict(rho=1000.0),
    "another density": dict(rho=1001.0),
    "time step": dict(step=0.0040001),
    "origin": dict(origin=1e-3),
    "receivers": dict(receivers=(*RECEIVERS[:2], (151.0, 23.001))),
    "fewer receivers": dict(receivers=RECEIVERS[:2]),
    "order of receivers": dict(receivers=RECEIVERS[::-1]),
    "source": dict(source=(100.0, 100.001)),
    "interpolation": dict(interpolation="linear"),
    "thickness of the layer": dict(boundary=so.PML(9)),
    "reflection of the layer": dict(boundary=so.PML(reflection=1.1e-5)),
    "kind of layer": dict(boundary=so.Sponge(8)),
    "no layer": dict(boundary=None),
    "free surface": dict(surface=True),
    "order": dict(order=6),
    "substeps": dict(substeps=5),
    "dispersion": dict(dispersion=False),
    "largest velocity": dict(max_velocity=2001.0),
    "scalar": dict(scalar=2.0),
    "another scalar": dict(scalar=2.0000001),
    "precision": dict(dtype="float64"),
    "extended source": dict(extended=True),
    "another wavelet": dict(extended=True, f0=10.001),
    "equation": dict(equation=Waves),
    "another equation of that name": dict(equation=Damped),
}


def test_operators_that_differ():
    prints = {name: fingerprint(replace(BASE, **changes).F) for name, changes in {"base": {}, **FOREIGN}.items()}
    assert len(set(prints.values())) == len(prints)


def test_maps_and_jacobians_that_differ():
    F, dense, q = BASE.F, World(rho=1000.0).F, BASE.q
    found = [
        so.Parametric(F),
        so.Parametric(F, wrt="vp"),
        so.Parametric(dense),
        so.Parametric(dense, wrt=("m", "rho")),
        so.Parametric(F, storage=so.storage.Subsampled(2)),
        so.Parametric(F, storage=so.storage.Subsampled(3)),
        so.Parametric(F).tangent(),
        so.Jacobian(F, q),
        so.Jacobian(F, 1.0001 * q),
        so.Jacobian(F, q).H,
        so.Jacobian(F, q, wrt="vp"),
        so.VStack([F, F]),
        so.HStack([F, F]),
        so.BlockDiag([F, F]),
        F + F,
        F.H,
        F[0],
    ]
    assert len({fingerprint(x) for x in found}) == len(found)


def test_weights_and_encodings_that_differ():
    F = BASE.F
    found = [Encoding.random(1, 2, seed=seed, kind="gaussian") for seed in range(5)]
    operators = [x for E in found for x in (E.data(F.range), E.sources(F), E.encode(F) * E.sources(F))]
    operators += [Pointwise(F.range, 1.0), Pointwise(F.range, 2.0), so.Identity(F.range), 3 * so.Identity(F.range)]
    prints = [fingerprint(x) for x in operators]
    # an encoded operator knows no weights: three of each encoding, with one of the sources in the product
    assert len(set(prints)) == len(prints)


PLAIN = {
    "identity": lambda: pylops.Identity(40),
    "twice": lambda: 2 * pylops.Identity(40),
    "three times": lambda: 3 * pylops.Identity(40),
    "smoothing": lambda: 1e-6 * pylops.Smoothing1D(5, 40),
    "stronger smoothing": lambda: 2e-6 * pylops.Smoothing1D(5, 40),
    "wider smoothing": lambda: 1e-6 * pylops.Smoothing1D(7, 40),
    "derivative": lambda: pylops.FirstDerivative(40, sampling=1.0),
    "finer derivative": lambda: pylops.FirstDerivative(40, sampling=1.0000001),
    "sum": lambda: pylops.Identity(40) + 0.5 * pylops.Smoothing1D(5, 40),
    "another sum": lambda: pylops.Identity(40) + 0.6 * pylops.Smoothing1D(5, 40),
    "function": lambda: pylops.FunctionOperator(lambda x: 2 * x, lambda x: 2 * x, 40, dtype="float64"),
    "another function": lambda: pylops.FunctionOperator(lambda x: 3 * x, lambda x: 3 * x, 40, dtype="float64"),
    "another adjoint": lambda: pylops.FunctionOperator(lambda x: 2 * x, lambda x: 3 * x, 40, dtype="float64"),
    "transform": lambda: pylops.signalprocessing.FFT(40),
    "no adjoint": lambda: pylops.FunctionOperator(lambda x: 2 * x, 40, dtype="float64"),
    "weights": lambda: pylops.Diagonal(np.r_[1.0, 1e-8, np.ones(38)]),
    "small weights that differ": lambda: pylops.Diagonal(np.r_[1.0, 2e-8, np.ones(38)]),
    "matrix": lambda: pylops.MatrixMult(np.eye(40)),
    "another matrix": lambda: pylops.MatrixMult(np.eye(40) + 1e-20),
    "power": lambda: (2 * pylops.Identity(40)) ** 2,
    "column": lambda: pylops.VStack([pylops.Identity(40), 2 * pylops.Identity(40)]),
    "diagonal": lambda: pylops.BlockDiag([pylops.Identity(40), 2 * pylops.Identity(40)]),
    "another diagonal": lambda: pylops.BlockDiag([2 * pylops.Identity(40), pylops.Identity(40)]),
}


def test_plain_operators_are_what_they_do():
    prints = {name: fingerprint(make()) for name, make in PLAIN.items()}
    assert len(set(prints.values())) == len(prints)
    assert prints == {name: fingerprint(make()) for name, make in PLAIN.items()}


def test_a_journal_replays_none_of_another_problem(tmp_path):
    replayed = []
    for at, base, others in (
        ("waves", lambda: BASE.F, {name: replace(BASE, **changes) for name, changes in FOREIGN.items()}),
        ("plain", PLAIN["twice"], PLAIN),
    ):
        (x, y), path = (np.ones(n) for n in base().shape[::-1]), tmp_path / at
        for vector, product in ((x, "matvec"), (y, "rmatvec")):
            getattr(Journal(path / product).operator(base()), product)(vector)
        for name, other in others.items():
            op = other.F if at == "waves" else other()
            if name == "twice":
                continue
            for product, n in (("matvec", op.shape[1]), ("rmatvec", op.shape[0])):
                journal = Journal(path / product, verify=False)
                with pytest.raises(ParameterError, match="belongs to another run"):
                    getattr(journal.operator(op), product)(np.ones(n))
                replayed.append(journal.replayed)
    assert len(replayed) > 2 * 40 and not any(replayed)


def test_what_is_probed_is_verified(tmp_path):
    """By default, and only that."""
    calls = []

    def double(x):
        calls.append(len(x))
        return 2.0 * x

    def make():
        return pylops.FunctionOperator(double, double, 40, dtype="float64")

    def told(op, **options):
        journal = Journal(tmp_path / type(op).__name__, **options)
        op = journal.operator(op)
        calls.clear()
        for i in range(3):
            op @ np.full(40, 1.0 + i)
        return len(calls), journal.replayed

    assert told(make()) == (3, 0)
    assert told(make()) == (1, 3) and told(make(), verify=False) == (0, 3) and told(make(), verify=True) == (1, 3)
    assert is_probed(make(), BASE.F) and is_probed(pylops.Smoothing1D(3, 40) * make())
    assert not is_probed(BASE.F, 2 * pylops.MatrixMult(np.eye(3)), so.Parametric(BASE.F))


def test_surveys_that_differ():
    def modeling(vp=2000.0, order=4, receivers=RECEIVERS, margin=None):
        shots = [so.Shot([(x, 100.0)], receivers, so.Time(51, 0.004)) for x in (60.0, 140.0)]
        survey = so.Survey(shots)
        return survey.modeling(so.Acoustic(GRID, vp=vp), margin=margin, space_order=order)

    variants = [{}, dict(vp=2000.1), dict(order=6), dict(receivers=RECEIVERS[:2]), dict(margin=30.0)]
    operators = [modeling(**v) for v in variants]
    maps = [F.as_map() for F in operators]
    for found in (operators, maps):
        assert len({fingerprint(x) for x in found}) == len(found)
    assert fingerprint(operators[1]) == fingerprint(modeling(vp=2000.1))


def test_misfits_that_differ():
    F, q = BASE.F, BASE.q
    d = F @ q
    w = np.ones(d.shape)
    made = [
        so.inversion.LeastSquares(so.Parametric(F), *arguments, **options)
        for arguments, options in (
            ((d, q), {}),
            ((d * 1.0001, q), {}),
            ((d, q * 1.0001), {}),
            ((d, q), dict(weights=w)),
            ((d, q), dict(weights=2 * w)),
            ((d, q), dict(P=1e-6 * pylops.Smoothing2D((3, 3), GRID.shape))),
            ((d, q), dict(P=2e-6 * pylops.Smoothing2D((3, 3), GRID.shape))),
            ((d, q), dict(start=np.full(GRID.shape, 2.5e-7))),
        )
    ]
    assert len({m.fingerprint for m in made}) == len(made)


def test_what_is_the_same_has_the_same():
    for world in (BASE, World(equation=Waves), World(extended=True)):
        assert fingerprint(world.F) == fingerprint(world.F)
    assert fingerprint(pickle.loads(pickle.dumps(BASE.F))) == fingerprint(BASE.F)
    assert fingerprint(so.Jacobian(BASE.F, BASE.q)) == fingerprint(so.Jacobian(BASE.F, BASE.q))


def matrix(F):
    return pylops.MatrixMult(np.eye(F.shape[0], dtype="float32"))


FORMS = {
    "product": lambda F, G: F,
    "adjoint": lambda F, G: F.H,
    "scaled": lambda F, G: -2 * F,
    "sum": lambda F, G: F + 2 * G,
    "one twice": lambda F, G: F + 2 * F,
    "normal equations": lambda F, G: F.H * F,
    "column": lambda F, G: so.VStack([F, G]),
    "column of one twice": lambda F, G: so.VStack([F, F]),
    "row": lambda F, G: so.HStack([F, 2 * G]),
    "diagonal": lambda F, G: so.BlockDiag([F, G]),
    "beside a plain one": lambda F, G: matrix(F) * F * G.H,
    "column of PyLops": lambda F, G: pylops.VStack([F, G]),
    "some shots": lambda F, G: (F + G)[[1]],
    "map": lambda F, G: so.Parametric(F),
    "Jacobian": lambda F, G: so.Jacobian(F, BASE.q),
}


def test_denormal_numbers_are_zeros():
    """To a process that has loaded what was compiled with -ffast-math, as operators of Devito are, they are."""
    assert fingerprint(np.array([1, 1e-40], "f4")) == fingerprint(np.array([1, 0], "f4"))
    assert fingerprint(np.array([1e-310 + 1e-310j, 1])) == fingerprint(np.array([0j, 1]))
    assert fingerprint(np.array([1.2e-38], "f4")) != fingerprint(np.array([0], "f4"))


@pytest.mark.parametrize("name", FORMS)
def test_fused_and_distributed_ones_are_what_they_were_made_of(name):
    distribute, form = pytest.importorskip("seisops.dask").distribute, FORMS[name]
    F, G = BASE.F, World(vp=2100.0).F
    op = form(F, G)
    found = [form(make(F), make(G)) for make in (so.fuse, distribute)]
    if not isinstance(op, so.Map):
        found += [so.fuse(op), pickle.loads(pickle.dumps(so.fuse(op)))]
    if name != "beside a plain one":  # which knows of no shots
        found.append(distribute(op))
    assert {fingerprint(x) for x in found} == {fingerprint(op)}


def test_forms_that_differ():
    F, G = BASE.F, World(vp=2100.0).F
    assert (
        len(
            {
                fingerprint(so.fuse(form(F, G)))
                for name, form in FORMS.items()
                if name not in ("map", "column of PyLops")
            }
        )
        == 13
    )


def test_another_process_finds_the_same():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_identity as t; "
        "print(t.fingerprint(t.BASE.F), t.fingerprint(t.World(rho=1e3).F))"
    )
    here = __file__.rpartition("/")[0]
    found = subprocess.run([sys.executable, "-c", code, here], capture_output=True, text=True, check=True).stdout
    assert found.split() == [fingerprint(BASE.F), fingerprint(World(rho=1e3).F)]


def test_what_does_not_say_what_it_is_is_refused():
    class Silent(LinearOperator):
        def _apply(self, x):
            return x

        _apply_adjoint = _apply

    space = BASE.F.range
    with pytest.raises(ParameterError, match=r"Silent does not say what it is. Define its method _fingerprint\(self\)"):
        fingerprint(BASE.F.H * Silent(space, space))
    with pytest.raises(ParameterError, match="does not say what it is"):
        fingerprint(object())


class Loud(so.Projection):
    """A projection with something of its own, of which the fingerprint that it inherits knows nothing."""

    def __init__(self, waves, points, gain):
        self.gain = gain
        super().__init__(waves, points)


class Loudness(Loud):
    def _fingerprint(self):
        return [*super()._fingerprint(), self.gain]


def test_what_is_made_in_another_way_says_so_itself():
    waves = so.Wavefield(GRID, so.Time(51, 0.004), 2)
    with pytest.raises(ParameterError, match="Loud does not say what it is"):
        fingerprint(Loud(waves, RECEIVERS, 2.0))
    assert fingerprint(Loudness(waves, RECEIVERS, 2.0)) == fingerprint(Loudness(waves, RECEIVERS, 2.0))
    assert fingerprint(Loudness(waves, RECEIVERS, 2.0)) != fingerprint(Loudness(waves, RECEIVERS, 3.0))


def test_what_does_something_else_says_so_itself():
    """Two programs may have a class of one name that inherits what it is made of, and does not do the same with it."""

    class Louder(Pointwise):
        def _apply(self, x):
            return 2 * self.values * x

        _apply_adjoint = _apply

    class Told(Louder):
        def _fingerprint(self):
            return ["twice", *super()._fingerprint()]

    space = BASE.F.range
    with pytest.raises(ParameterError, match="Louder does not say what it is"):
        fingerprint(2.0 * Louder(space, 2.0))
    assert fingerprint(Told(space, 2.0)) == fingerprint(Told(space, 2.0)) != fingerprint(Told(space, 3.0))


def test_coefficients_that_a_class_computes():
    class Stiff(Waves):
        factor = 1.0

        def coefficients(self):
            return {**self._values, "m": self.factor * self._values["m"]}

    class Stiffer(Stiff):
        factor = 2.0

    Stiffer.__name__, Stiffer.__qualname__ = Stiff.__name__, Stiff.__qualname__
    assert len({fingerprint(cls(GRID, m=2.5e-7, r=1e-9)) for cls in (Stiff, Stiffer)}) == 2


def test_a_journal_refuses_products_of_another_operator(tmp_path):
    """Operators that are printed alike are told apart."""
    F = BASE.F
    pairs = [
        [pylops.MatrixMult(a * np.eye(3)) for a in (1.0, 2.0)],
        [Encoding.random(1, 2, seed=seed, kind="gaussian").data(F.range) for seed in (0, 1)],
        [Pointwise(F.range, a) for a in (1.0, 2.0)],
    ]
    for i, (ours, other) in enumerate(pairs):
        journal, again = Journal(tmp_path / str(i)), Journal(tmp_path / str(i))
        x = np.ones(ours.shape[1])
        product = journal.operator(ours) @ x
        with pytest.raises(ParameterError, match="another run"):
            Journal(tmp_path / str(i)).operator(other) @ x
        assert np.array_equal(again.operator(ours) @ x, product) and again.replayed == 1


def test_a_journal_refuses_products_of_a_hessian_elsewhere(tmp_path):
    misfit = so.inversion.LeastSquares(Rosenbrock(), np.zeros(6))
    x, dx = np.linspace(0.0, 1.0, 6), np.ones(6)
    product = Journal(tmp_path)(misfit).gauss_newton(x) @ dx
    for other in (Journal(tmp_path)(misfit).gauss_newton(1.01 * x), Journal(tmp_path)(misfit).hessian(x)):
        with pytest.raises(ParameterError, match="another run"):
            other @ dx
    assert np.array_equal(Journal(tmp_path)(misfit).gauss_newton(x) @ dx, product)


def test_memory_for_exact_backgrounds_does_not_matter():
    """Results are the same to the last bit: a journal may be gone on with in more memory, or less."""
    F, kept = BASE.F, so.storage
    exact = (
        "auto",
        kept.Full(),
        kept.Full(keep_bytes=0),
        kept.Checkpointed(),
        kept.Checkpointed(n=3),
        kept.Disk("/tmp"),
    )
    assert len({fingerprint(so.Parametric(F, storage=policy)) for policy in exact}) == 1
    rounded = (
        kept.Full(),
        kept.Boundary(),
        kept.Compressed(),
        kept.Compressed(8),
        kept.Fourier([5.0]),
        kept.Probed(seed=1),
    )
    assert len({fingerprint(so.Parametric(F, storage=policy)) for policy in rounded}) == len(rounded)


def test_surveys_are_told_apart_without_making_their_shots(monkeypatch):
    """A window of the model for each shot would be as many models as there are shots."""

    def refuse(recipe, shot):
        raise AssertionError("a shot was made")

    shots = [so.Shot([(x, 100.0)], RECEIVERS, so.Time(51, 0.004)) for x in (60.0, 100.0, 140.0)]
    F = so.Survey(shots).modeling(so.Acoustic(GRID, vp=2000.0), space_order=4)
    q = F.domain.random(0)
    monkeypatch.setattr(Recipe, "modeling", refuse)
    found = [
        F, F[:2], F[1:], F[[1, 0]], F.jacobian(q), F.jacobian(q)[:2], F.jacobian(2 * q), F.jacobian(q, "vp"),
        F[:2].jacobian(2 * q[:2]), F.as_map(), F.as_map("vp"), F.as_map().select([0]), F.as_map().tangent(),
    ]  # fmt: skip
    assert len({fingerprint(x) for x in found}) == len(found)
    # those of some shots, however they were chosen, and after having been sent elsewhere
    assert fingerprint(F[1:]) == fingerprint(so.Survey(shots[1:]).modeling(F.recipe.medium, space_order=4))
    assert fingerprint(F[1:].jacobian(q[1:])) == fingerprint(F.jacobian(q)[1:])
    for x in found:
        assert fingerprint(pickle.loads(pickle.dumps(x))) == fingerprint(x)


def test_a_medium_counts_once_and_keys_by_their_kind():
    F = BASE.F
    assert fingerprint(F, F) == fingerprint(F, BASE.F) != fingerprint(F)
    assert fingerprint({1: 2}) != fingerprint({"1": 2})
    with pytest.raises(ParameterError, match="fingerprint of a set"):
        fingerprint([{1, 2}])


def test_operators_of_some_columns_have_fingerprints():
    """PyLops gives them a number as dimensions."""
    A = pylops.MatrixMult(np.arange(12.0).reshape(3, 4))
    one, same, other = (fingerprint(A.apply_columns(columns)) for columns in ([0, 1], [0, 1], [1, 2]))
    assert one == same != other
