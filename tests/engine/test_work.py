"""What kernels move and compute, counted before they run, against counts by hand."""

import re

import pytest
import sympy
from registry import example

import seisops as so
from seisops.engine.backend.forecast import CARDS, launched, least
from seisops.engine.lower.cuda import ARGUMENTS, BYTES
from seisops.engine.lower.nodes import Call, Index, Load, Statement, Taps, Temporary, summed
from seisops.engine.lower.piece import Array, End, Piece
from seisops.engine.lower.ports import Ports
from seisops.engine.lower.work import FUNCTION, Part, Work, flops, stages, together
from seisops.wave.discretise.schemes import SCHEMES
from seisops.wave.faces import Faces

AXES = {2: ("x", "z"), 3: ("x", "y", "z")}
ONE = sympy.S.One


def load(name, x=0, z=0, rule=None):
    return Load(name, rule, (Index("x", x), Index("z", z)))


def piece(*statements, box=((0, 10), (0, 20)), every=1):
    names = {
        n.name
        for s in statements
        for n in (s.target, *(f for _, fs in s.value.terms for f in fs))
        if hasattr(n, "name")
    }
    arrays = {name: Array(name, ((0, End(0)), (1, End(0)))) for name in {*names, "a", "b"}}
    ends = tuple((End(first), End(end)) for first, end in box)
    return Piece(("x", "z"), ends, statements, arrays, (), every)


def parts(p, box=((0, 10), (0, 20)), dtype="float32"):
    return [Part(p, stage, box) for stage in stages(p, dtype)]


def test_entries_count_once_where_they_are_read():
    """A cross of cells: the box, and beside it what is looked at along either axis."""
    cross = summed({(load("a", x, z),): ONE for x, z in ((0, 0), (-1, 0), (1, 0), (0, -2), (0, 2))})
    work = together(parts(piece(Statement(load("b"), cross, False))), "float32")
    assert work == Work(4 * (10 * 20 + 2 * 20 + 4 * 10), 4 * 10 * 20, 4 * 10 * 20)


def test_what_has_just_been_written_is_not_read_again():
    """By the same thread, or else it would be another launch."""
    first = piece(Statement(load("b"), summed({(load("a"),): ONE}), False))
    second = piece(Statement(load("b"), summed({(load("a"),): sympy.Float(3.0)}), True))
    n = 10 * 20
    assert together(parts(first), "float64") == Work(8 * n, 8 * n, 0)
    assert together(parts(second), "float64") == Work(2 * 8 * n, 8 * n, 2 * n)
    assert together([*parts(first), *parts(second)], "float64") == Work(8 * n, 8 * n, 2 * n)
    # in part of the box only, and at every fourth step
    corner = parts(second, ((5, 10), (10, 20)))
    assert together([*corner, *parts(first)], "float64") == Work(8 * (n + 50), 8 * n, 2 * 50)
    assert together(parts(piece(*second.statements, every=4)), "float64") == Work(4 * n, 2 * n, n / 2)


def test_temporaries_are_arrays_as_far_as_they_are_looked_at():
    inner = summed({(load("a"), load("c")): ONE})
    around = [Temporary(inner, (("x", 0), ("z", k))) for k in (-1, 1)]
    difference = Taps(((sympy.Float(-0.5), (around[0],)), (sympy.Float(0.5), (around[1],))))
    p = piece(Statement(load("b"), summed({(difference,): ONE}), False))
    p.arrays["c"] = p.arrays["a"]
    made, result = parts(p)
    wide, n = 10 * 22, 10 * 20
    assert made.stage.around == ((0, 0), (-1, 1))
    assert together([made], "float32") == Work(4 * wide, 4 * wide, wide)  # a and c are one array
    assert together([result], "float32") == Work(4 * wide, 4 * n, 2 * n)
    assert least_of(made, result) == Work(4 * wide, 4 * n, wide + 2 * n)


def least_of(*those):
    return together(those, "float32", temporaries=False)


def test_operations_are_those_that_are_written():
    a, b, c = load("a"), load("b"), load("c")
    two, step = sympy.Float(2.0), sympy.Symbol("dt")
    assert flops([summed({(a,): ONE})]) == 0
    assert flops([summed({(a,): -ONE, (b,): two})]) == 2
    assert flops([summed({(a, b): ONE, (a, c): ONE})]) == 2  # a * (b + c)
    assert flops([summed({(a, b): step, (a, c): two, (): step})]) == 5  # dt + a * (dt * b + 2 * c)
    taps = Taps(
        tuple((sympy.Float(w), (load("a", k),)) for k, w in zip((-2, -1, 1, 2), (-0.1, 0.6, -0.6, 0.1), strict=True))
    )
    assert flops([summed({(taps,): ONE})]) == 5  # 0.1 * (a - a) + 0.6 * (a - a)
    assert flops([summed({(taps, b): ONE}), summed({(taps, c): ONE})]) == 5 + 2  # the difference once
    root = Call(sympy.exp, (summed({(a,): two}),))
    assert flops([summed({(root,): ONE})]) == FUNCTION + 1
    assert flops([Statement(a, summed({(b,): ONE}), True)]) == 1


def loop(medium, shape, boundary, order=8):
    ports = Ports(points=(0,))
    faces = Faces.of(boundary, False, AXES[len(shape)])
    scheme = SCHEMES.get(medium, (len(shape), order, "float32"), faces, shape)
    return scheme.kernel(False, ports, ports).program.loop


def step(boundary, n):
    """The launches of a step of acoustic waves in three dimensions, on n cells each way within the layer."""
    shape = (n + (16 if boundary else 0),) * 3
    made = loop(so.Acoustic(so.Grid((20, 20, 20), 10.0), vp=2000.0), shape, boundary)
    points = {name: k for p in made.made.pieces for name, k in zip(p.bound, (1, 1), strict=False)}
    return made, launched(made, shape, points)


@pytest.mark.parametrize("n", [32, 256])
def test_acoustic_waves_are_as_counted_by_hand(n):
    """Two levels and the squared slowness read, one level written, and the halo of the level that is differentiated.

    Along each axis a difference takes five products and eight sums; then three of them are scaled and added, and
    multiplied by what the squared slowness gives; twice one level less the other is added.
    """
    made, launches = step(None, n)
    grid = together((p for each in launches for p in each.parts if not p.piece.bound), "float32")
    assert grid.read == 4 * (3 * n**3 + 3 * 2 * 4 * n**2)
    assert grid.written == 4 * n**3
    assert grid.flops == n**3 * (3 * (5 + 8) + (3 + 2) + 1 + (1 + 1 + 1))
    points = sum((each.work for each in launches), start=Work()).moved - grid.moved
    assert 0 < points < 200  # one source, one receiver
    assert least(launches, made).moved <= grid.moved + points


@pytest.mark.parametrize(
    "n, layered, reached", [(256, False, 0.95), (512, False, 0.95), (256, True, 0.55), (512, True, 0.7)]
)
def test_acoustic_waves_may_reach_half_of_what_copies_do(n, layered, reached):
    """Of a ceiling of 16 bytes for each point of the model, if memory is all that takes time."""
    _, launches = step(so.PML(cells=8) if layered else None, n)
    for card in CARDS:
        seconds = sum(each.work.seconds(card.bandwidth, card.peaks[4]) for each in launches)
        assert 16 * n**3 / card.bandwidth / seconds >= reached


def test_a_layer_costs_more_than_its_cells():
    """Its memory goes through the waves in a launch of its own; the rest of it goes along with the grid."""
    made, launches = step(so.PML(cells=8), 256)
    moved, needed = sum((each.work for each in launches), start=Work()).moved, least(launches, made).moved
    assert 16 * 272**3 < needed < moved
    assert 0.55 < 16 * 256**3 / moved < 16 * 256**3 / needed < 1


def test_no_kernel_takes_more_arguments_than_drivers_do():
    """Not even of tilted media in three dimensions, which need more than that of a step, nor more launches for it."""
    medium = example(so.TTI, so.Grid((20, 20, 20), 10.0), ("theta", "phi"))
    made = loop(medium, (272,) * 3, so.PML(cells=8), order=4)
    points = {name: k for p in made.made.pieces for name, k in zip(p.bound, (100, 8), strict=False)}
    taken = []
    for each in launched(made, (272,) * 3, points):
        (declared,) = re.findall(r"__global__ void piece\((.*)\)\n", each.kernel)
        taken.append(sum(8 if "*" in one else BYTES[one.split()[0]] for one in declared.split(", ")))
    assert sum(taken) > 2 * ARGUMENTS and max(taken) <= ARGUMENTS and len(taken) <= 5


def test_time_is_that_of_memory_or_of_operations():
    work = Work(read=6.0, written=2.0, flops=100.0)
    assert work.seconds(bandwidth=4.0, peak=100.0) == 2.0
    assert work.seconds(bandwidth=4.0, peak=10.0) == 10.0
