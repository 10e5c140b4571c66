"""What is another problem has another fingerprint; what is the same has the same, in every process."""

import pickle
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pylops
import pytest

import seisops as so
from seisops.errors import ParameterError
from seisops.inversion import fingerprint
from seisops.inversion.encoding import Encoding
from seisops.inversion.identity import described
from seisops.inversion.pointwise import Pointwise
from seisops.operators import LinearOperator

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


def of(x):
    return fingerprint(described(x))


def test_operators_that_differ():
    prints = {name: of(replace(BASE, **changes).F) for name, changes in {"base": {}, **FOREIGN}.items()}
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
    assert len({of(x) for x in found}) == len(found)


def test_weights_and_encodings_that_differ():
    F = BASE.F
    found = [Encoding.random(1, 2, seed=seed, kind="gaussian") for seed in range(5)]
    operators = [x for E in found for x in (E.data(F.range), E.sources(F), E.encode(F) * E.sources(F))]
    operators += [Pointwise(F.range, 1.0), Pointwise(F.range, 2.0), so.Identity(F.range), 3 * so.Identity(F.range)]
    prints = [of(x) for x in operators]
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
    "finer derivative": lambda: pylops.FirstDerivative(40, sampling=1.001),
    "sum": lambda: pylops.Identity(40) + 0.5 * pylops.Smoothing1D(5, 40),
    "another sum": lambda: pylops.Identity(40) + 0.6 * pylops.Smoothing1D(5, 40),
    "function": lambda: pylops.FunctionOperator(lambda x: 2 * x, lambda x: 2 * x, 40, dtype="float64"),
    "another function": lambda: pylops.FunctionOperator(lambda x: 3 * x, lambda x: 3 * x, 40, dtype="float64"),
    "another adjoint": lambda: pylops.FunctionOperator(lambda x: 2 * x, lambda x: 3 * x, 40, dtype="float64"),
    "transform": lambda: pylops.signalprocessing.FFT(40),
}


def test_plain_operators_are_what_they_do():
    prints = {name: of(make()) for name, make in PLAIN.items()}
    assert len(set(prints.values())) == len(prints)
    assert prints == {name: of(make()) for name, make in PLAIN.items()}


def test_surveys_that_differ():
    def modeling(vp=2000.0, order=4, receivers=RECEIVERS, margin=None):
        shots = [so.Shot([(x, 100.0)], receivers, so.Time(51, 0.004)) for x in (60.0, 140.0)]
        survey = so.Survey(shots)
        return survey.modeling(so.Acoustic(GRID, vp=vp), margin=margin, space_order=order)

    variants = [{}, dict(vp=2000.1), dict(order=6), dict(receivers=RECEIVERS[:2]), dict(margin=30.0)]
    operators = [modeling(**v) for v in variants]
    maps = [F.as_map() for F in operators]
    for found in (operators, maps):
        assert len({of(x) for x in found}) == len(found)
    assert of(operators[1]) == of(modeling(vp=2000.1))


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
        assert of(world.F) == of(world.F)
    assert of(pickle.loads(pickle.dumps(BASE.F))) == of(BASE.F)
    assert of(so.Jacobian(BASE.F, BASE.q)) == of(so.Jacobian(BASE.F, BASE.q))


def test_another_process_finds_the_same():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_identity as t; "
        "print(t.of(t.BASE.F), t.of(t.World(rho=1e3).F))"
    )
    here = __file__.rpartition("/")[0]
    found = subprocess.run([sys.executable, "-c", code, here], capture_output=True, text=True, check=True).stdout
    assert found.split() == [of(BASE.F), of(World(rho=1e3).F)]


def test_what_does_not_say_what_it_is_is_refused():
    class Silent(LinearOperator):
        def _apply(self, x):
            return x

        _apply_adjoint = _apply

    space = BASE.F.range
    with pytest.raises(ParameterError, match=r"Silent does not say what it is. Define its method _fingerprint\(self\)"):
        of(BASE.F.H * Silent(space, space))
    with pytest.raises(ParameterError, match="does not say what it is"):
        of(object())
