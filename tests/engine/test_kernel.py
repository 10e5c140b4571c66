"""Kernels: made once for all surveys and media of a kind, on arrays whose rows start aligned."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from seisops.engine.arrays import ALIGNMENT, ROW, aligned, in_rows, zeros
from seisops.engine.derive.system import System, expand_time
from seisops.engine.facts import Field, Keep, Marched
from seisops.engine.kernel import Kernel
from seisops.engine.lower.loop import Loop
from seisops.engine.lower.piece import End
from seisops.engine.lower.ports import Ports
from seisops.engine.lower.timeloop import TimeLoop
from seisops.engine.state import States
from seisops.engine.symbols.names import CONSTANT, PREFIX
from seisops.engine.symbols.template import Template
from seisops.wave.boundaries import PML
from seisops.wave.discretise.schemes import SCHEMES
from seisops.wave.equations.acoustic import Acoustic
from seisops.wave.equations.tti import TTI
from seisops.wave.faces import Faces
from seisops.wave.grid import Grid
from seisops.wave.jacobian import Jacobian
from seisops.wave.modeling import Modeling
from seisops.wave.sampling.projection import Projection
from seisops.wave.space import Wavefield
from seisops.wave.time import Time

GRID = Grid((24, 21), 10.0)
FACES = Faces.of(PML(cells=6), False, ("x", "z"))
ENDLESS = (10**6, 10**6)
WHOLE = (End(0), End(0, True))
POINTS, STACK, FIELD, IMAGE = Ports(points=(0,)), Ports(stacks=(0,)), Ports(field=(0,)), Ports(image=True)
KINDS = {
    "points to points": (POINTS, POINTS),
    "stack to points": (STACK, POINTS),
    "points to stack": (POINTS, STACK),
    "points to field": (POINTS, FIELD),
    "field to points": (FIELD, POINTS),
    "field to field": (FIELD, FIELD),
    "Born": (IMAGE, POINTS),
    "gradient": (POINTS, IMAGE),
    "background": (POINTS, Ports(history=True)),
    "background and points": (POINTS, Ports(points=(0,), history=True)),
}


@pytest.fixture(scope="module")
def waves():
    """Acoustic waves in a layer: the kinds that other tests run."""
    return SCHEMES.get(Acoustic(GRID, vp=2000.0), (2, 4, "float64"), FACES, (36, 33))


def kernel(waves, kind, every=1, transposed=None):
    write, read = KINDS[kind]
    wrt = ("m",) if write.image or read.image or read.history else ()
    # gradients are read from the adjoint field, and nothing else here is
    return waves.kernel(read.image if transposed is None else transposed, write, read, wrt, Keep(every))


@pytest.mark.parametrize("kind", KINDS)
def test_what_happens_cell_by_cell_shares_the_rows_of_the_grid(waves, kind):
    """What is added to it along z, kept of it a step later, or made of it; unless points or strips of x enter before."""
    groups = [g for _, g in kernel(waves, kind).program.order(ENDLESS).ordered.groups if g[0][0].box[:1] == (WHOLE,)]
    assert len(groups[0]) >= 3
    assert len(groups) == 1 + kind.endswith(("to stack", "to field"))


def test_a_port_is_a_piece(waves):
    """Other ports leave all others as they are, so that nothing else has to be compiled."""
    one, other = (set(kernel(waves, kind).program.sources) for kind in ("points to points", "points to stack"))
    assert len(other - one) == 1
    # a march that is to be followed keeps all levels of the field
    assert len(set(kernel(waves, "background and points").program.sources) - one) == 2


def test_both_ends_of_an_axis_are_one_piece(waves):
    run = kernel(waves, "points to points").program
    assert len(run.order(ENDLESS).pieces) == 11 and len(set(run.sources)) == 7


def test_temporaries_of_the_same_differences_are_computed_together():
    """Row by row in rings, so that they take no more room the more rows there are."""
    medium = TTI(GRID, vp=2000.0, epsilon=0.2, delta=0.1, theta=0.3)
    waves = SCHEMES.get(medium, (2, 4, "float64"), FACES, (36, 33))
    order = kernel(waves, "points to points").program.order(ENDLESS)
    across, along = (t for p, t in zip(order.pieces, order.texts, strict=True) if p.box == (WHOLE, WHOLE))
    # p; both products of its slope; what is wanted
    assert len(across.temporaries) == 3 and across.source.count("#pragma omp simd") == 3
    # both products of the slope of r; what is wanted
    assert len(along.temporaries) == 2 and along.source.count("#pragma omp simd") == 2
    assert across.scratch((50, 60)) == across.scratch((5000, 60)) < across.scratch((50, 80))


@pytest.mark.parametrize("cells, other", [(3, 4), (20, 18)])
def test_the_width_of_the_layer_is_not_compiled_in(waves, cells, other):
    """But for the number of whole vectors along a row."""
    sources = []
    for n in (cells, other):
        faces = Faces.of(PML(cells=n), False, ("x", "z"))
        shape = tuple(k + 2 * n for k in GRID.shape)
        grid = SCHEMES.get(Acoustic(GRID, vp=2000.0), (2, 4, "float64"), faces, shape)
        assert grid is not waves
        sources.append(set(kernel(grid, "points to points").program.sources))
    assert sources[0] == sources[1]
    assert len(sources[0] - set(kernel(waves, "points to points").program.sources)) <= 2


def test_a_kernel_is_built_once(waves):
    first = kernel(waves, "points to points")
    before = Kernel.made
    assert kernel(waves, "points to points") is first
    assert SCHEMES.get(Acoustic(GRID, vp=1500.0), (2, 4, "float64"), FACES, (36, 33)) is waves
    assert Kernel.made == before


def test_a_march_by_hand():
    """u(t + 1) = u(t) + dt f(t), for a source that acts on every cell."""
    t = Template(2, 2, "float64")
    u = t.field("u")
    system = System(t, (u,), (expand_time((u.forward - u) / t.step.spacing, t),), ({0: 1.0},), ({0: 2.0},))
    loop = TimeLoop(system, Ports(stacks=(0,)), Ports(field=(0,)))
    marched = Marched(1, (), (), (Field(u.name, 2, 1, (u.name,)),))
    k = Kernel(Loop(loop.made, ("x", "z"), t.dtype), marched)
    shape, steps = (9, 8), 4
    image = np.random.default_rng(0).standard_normal(shape)
    signal = np.array([1.0, -2.0, 3.0, 0.5, 0.0])
    saved = zeros((steps + 1, *shape), "float64")
    arrays = {f"{PREFIX}write_image0": image, f"{PREFIX}write_signal0": signal, f"{PREFIX}read0_field": saved}
    states = States(marched.fields, t.space_order, t.dtype)
    for _ in range(2):  # the state is used again, and cleared
        saved[...] = 0.0
        with states.borrow(shape) as state:
            k.run(shape, (1.0, 1.0), 0.1, (0, steps - 1), {**arrays, **state}, {})
        expected = 2.0 * 0.1 * np.cumsum(signal)[:steps, None, None] * image
        assert np.allclose(saved[:steps], expected, rtol=1e-14, atol=0)
        assert not saved[steps].any()


@pytest.mark.parametrize("transposed", [False, True])
def test_the_loop_divides_by_no_parameter(waves, transposed):
    k = waves.kernel(transposed, POINTS, POINTS)
    assert not any(re.search(r"/(?! 16 \*)", source.split("{", 1)[1]) for source in k.program.sources)
    assert any(CONSTANT in name for name in k.program.names) and "so_m" not in k.program.names


def test_what_follows_from_parameters_alone_is_made_where_it_is_not_there(waves):
    k, m = kernel(waves, "points to points"), np.array([[2.0, 4.0], [0.5, 0.0]])
    made = k.constants({"so_m": m, "so_other": m}, (10.0, 10.0), 0.001)
    (name,) = made
    assert name in k.program.names and np.array_equal(made[name], [[0.5, 0.25], [2.0, np.inf]])
    assert not k.constants({name: m}, (10.0, 10.0), 0.001)


PRINTS_CODE = """
from seisops.engine.lower.ports import Ports
from seisops.wave.boundaries import PML
from seisops.wave.discretise.schemes import SCHEMES
from seisops.wave.equations.acoustic import Acoustic
from seisops.wave.equations.tti import TTI
from seisops.wave.equations.elastic import Elastic
from seisops.wave.equations.tti import TTI
from seisops.wave.faces import Faces
from seisops.wave.grid import Grid

def show(kernel):
    for _, pieces in kernel.program.order((36, 33)).ordered.groups:
        for placed, text in pieces:
            print(text.source, sorted((name, array.name) for name, array in placed.arrays.items()), text.scalars)

grid, faces = Grid((24, 21), 10.0), Faces.of(PML(cells=6), False, ("x", "z"))
acoustic = [Acoustic(grid, vp=2000.0, rho=rho) for rho in (None, 1000.0)]
for medium in (*acoustic, Elastic(grid, 2000.0, 1000.0, 1500.0), TTI(grid, 2000.0, 0.2, 0.1, theta=0.3)):
    waves = SCHEMES.get(medium, (2, 4, "float64"), faces, (36, 33))
    for transposed in (False, True):
        show(waves.kernel(transposed, Ports(), Ports()))
    if not isinstance(medium, TTI):
        show(waves.kernel(True, Ports(), Ports(image=True), tuple(medium.coefficients())))
"""


def test_every_process_makes_the_same_code():
    """Sets, and sums of SymPy, have an order of their own in each process."""
    found = set()
    for seed in "012":
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", PRINTS_CODE], env=environment, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    (code,) = found
    assert "void piece(" in code


def arithmetic(source: str) -> str:
    """What is computed, whatever it is computed of."""
    return re.sub(r"\b[aps](?=\d+\b)\d+", "_", source.split("omp simd", 1)[1])


def test_levels_do_not_matter_to_what_is_computed(waves):
    """Marches that keep all levels, and marches that do not, give the same bits."""
    short, whole = (
        {arithmetic(s) for s in kernel(waves, kind).program.sources if "tap" not in s}
        for kind in ("points to points", "background")
    )
    assert short <= whole


# ---- alignment


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(7,), (5, 8), (2, 3, 37)])
def test_rows_are_a_little_longer(shape, dtype):
    itemsize = np.dtype(dtype).itemsize
    *others, last = in_rows(shape, itemsize)
    assert tuple(others) == shape[:-1] and last * itemsize % ROW == 0 and 0 <= last - shape[-1] < ROW // itemsize


def test_rows_of_a_run_start_aligned():
    """Cells, coefficients and images alike, whatever the grid; nobody notices: see the tests of products."""
    grid = Grid((23, 18), 10.0)
    waves = Wavefield(grid, Time(20, 0.001))
    F = (
        Projection(waves, [[100.0, 80.0]])
        * Modeling(waves, Acoustic(grid, vp=2000.0))
        * Projection(waves, [[20.0, 30.0]]).H
    )
    ran = []
    with pytest.MonkeyPatch.context() as patch:
        run = Kernel.run
        patch.setattr(Kernel, "run", lambda self, *a, **k: ran.append(a[4]) or run(self, *a, **k))
        Jacobian(F, np.ones(20)).H @ np.ones(20, np.float32)
    arrays = {name: a for given in ran for name, a in given.items() if a.shape[-1] > 18 and a.ndim > 1}
    assert {"so_u", "so_adj_so_u_in_place", "so_m", "so_read_d_m", "so_mem0_low12"} <= set(arrays)
    assert any(CONSTANT in name for name in arrays)
    assert all(a.strides[-2] % ROW == 0 for a in arrays.values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (2, 3, 4)])
def test_zeros_are_aligned(shape, dtype):
    for _ in range(5):
        a = zeros(shape, dtype)
        assert a.shape == shape and a.dtype == dtype and not a.any()
        assert a.ctypes.data % ALIGNMENT == 0 and a.flags.c_contiguous and a.flags.writeable


def test_what_is_aligned_is_not_copied():
    a = zeros((4, 5), "float64")
    assert aligned(a) is a


@pytest.mark.parametrize("make", [lambda a: a[1:], lambda a: a[:, ::2], lambda a: a.T, np.asfortranarray])
def test_what_is_not_aligned_is_copied(make):
    base = zeros((5, 7), "float64")
    base[...] = np.arange(35.0).reshape(5, 7)
    a = make(base)
    b = aligned(a)
    assert b.ctypes.data % ALIGNMENT == 0 and b.flags.c_contiguous
    assert np.array_equal(a, b) and not np.shares_memory(a, b)
