"""Fields of an absorbing layer live in strips, and are advanced where they stand."""

import re
import sys

import numpy as np
import pytest
import sympy
from devito import Derivative

import seisops as so
from seisops.engine.derive.system import System, adjoint
from seisops.engine.derive.tangent import tangent
from seisops.engine.lower.ports import Ports
from seisops.engine.stability.plane_waves import lossless
from seisops.engine.stability.rows import TakenApart
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import leaves, occurrences, time_offset
from seisops.wave.boundaries import PML
from seisops.wave.discretise.schemes import SCHEMES
from seisops.wave.discretise.stability import lossless as is_lossless
from seisops.wave.faces import Faces

GRID = so.Grid((24, 21), 10.0)
FACES = Faces.of(PML(cells=6), False, ("x", "z"))
POINTS = Ports(points=(0,))
VALUES = {"lam": 8e9, "mu": 4e9, "b": 5e-4, "m": 2.5e-7, "epsilon": 0.2, "delta": 0.1, "theta": 0.3}


def equations(physics):
    yield so.Acoustic(GRID, vp=2000.0)
    yield so.Acoustic(GRID, vp=2000.0, rho=1000.0)
    for kind in (physics.ElasticWaves, physics.TiltedWaves):
        yield kind(GRID, **{name: VALUES.get(name, 1.0) for name in kind.parameters})


@pytest.fixture(scope="module")
def physics(root):
    sys.path.insert(0, str(root / "tests" / "wave"))
    try:
        import physics

        yield physics
    finally:
        sys.path.pop(0)


def test_nobody_looks_at_an_old_level_of_a_field_in_a_strip(physics):
    """That is why one level is enough: only the row of the field itself takes the level before, point by point."""
    for equation in equations(physics):
        system = equation.system(Template(2, 4, "float64"), PML(cells=6), "")
        for one in (system, adjoint(system), tangent(system, equation.parameters[:1], "t_")):
            fields = dict(zip(one.fields, one.leads, strict=True))
            for u, row in zip(one.fields, one.residuals, strict=True):
                for f in leaves(row):
                    if f.function.name not in one.compact or f.function not in fields:
                        continue
                    if time_offset(f) != fields[f.function]:
                        assert f.function is u
                        assert f.indices[1:] == u.dimensions[1:]
                        assert not any(f in leaves(d) for d in row.atoms(Derivative))


def test_a_difference_is_remembered_once(physics):
    """Wherever it stands: stresses of a solid need four differences in the plane, and their divergence four more."""
    solid = physics.ElasticWaves(GRID, **{name: VALUES.get(name, 1.0) for name in physics.ElasticWaves.parameters})
    system = solid.system(Template(2, 4, "float64"), PML(cells=6), "")
    assert len([u for u in system.fields if u.name in system.compact]) == 8


@pytest.fixture(scope="module")
def waves():
    return SCHEMES.get(so.Acoustic(GRID, vp=2000.0), (2, 4, "float64"), FACES, (36, 33))


@pytest.mark.parametrize("transposed", [False, True])
def test_the_layer_takes_no_memory_in_the_model(waves, transposed):
    names = waves.kernel(transposed, POINTS, POINTS).program.names
    memories = {n for n in names if "mem" in n}
    assert len(memories) == 8 and all(re.search(r"_(low|high)8$", n) for n in memories)
    shapes = waves.states(transposed).shapes((36, 33))
    assert {n: s for n, s in shapes.items() if n in memories} == {
        n: (12, 44) if re.search(r"mem[01]", n) else (44, 12)
        for n in memories  # 41 cells to a row, and some more
    }


def test_the_newest_level_takes_the_place_of_the_oldest(waves):
    """Unless somebody else looks at it: the history of the second derivative in time."""
    assert waves.kernel(False, POINTS, POINTS).in_place == ("so_u",)
    assert waves.kernel(True, POINTS, Ports(image=True), ("m",)).in_place == ("so_adj_so_u",)
    assert not waves.kernel(False, POINTS, Ports(history=True), ("m",)).in_place


def test_the_layer_divides_by_nothing(waves):
    """TakenApart are divided by profiles that vanish, and multiplied again before anything is computed."""
    for transposed in (False, True):
        for source in waves.kernel(transposed, POINTS, POINTS).program.sources:
            assert not re.search(r"/(?! 16 \*)", source.split("{", 1)[1])


@pytest.mark.parametrize("cells, shape", [(2, (5, 5)), (8, (6, 5)), (3, (30, 6))])
@pytest.mark.parametrize("free_surface", [False, True])
def test_strips_that_meet_or_overlap(cells, shape, free_surface):
    grid = so.Grid(shape, 10.0)
    waves = so.Wavefield(grid, so.Time(60, 0.002), dtype="float64")
    rng = np.random.default_rng(1)
    medium = so.Acoustic(grid, vp=2000.0 + 200 * rng.random(shape))
    A = so.Modeling(waves, medium, PML(cells=cells), free_surface=free_surface, space_order=4)
    points = rng.random((3, 2)) * [10.0 * (n - 1) for n in shape]
    F = so.Projection(waves, points, "linear") * A * so.Projection(waves, points[:1] + 1.0, "linear").H
    assert so.check.dot_test(F) < 1e-12


def test_which_equations_can_be_run_backward(physics):
    step = {"ElasticWaves": 1e-3, "Heat": 1e-4}
    for equation in (*equations(physics), physics.Heat(GRID, **dict.fromkeys(physics.Heat.parameters, 1.0))):
        dt = step.get(type(equation).__name__, 1e-3)
        assert is_lossless(equation, (2, 4, "float64"), dt) == (type(equation).__name__ != "Heat")


def test_a_little_loss_is_seen():
    t = Template(2, 4, "float64")
    u = t.field("u")
    for loss, expected in ((0.0, True), (0.05, False)):
        row = u.forward - (2 - loss * 1e-2) * u + (1 - loss * 1e-2) * u.backward - sympy.Float(1e-2) * u.laplace
        system = System(t, (u,), (row,), ({0: 1.0},), ({0: 1.0},))
        assert lossless(TakenApart(system).symbol, {}, (1.0, 1.0), 1.0) == expected
        assert occurrences(row, u)
