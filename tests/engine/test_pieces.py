"""Pieces: expressions as sums of products, their C text, and the order in which they are carried out."""

import itertools
import subprocess
from dataclasses import replace

import devito
import numpy as np
import pytest
import sympy

from seisops.engine.backend.cpu import ENDLESS, Program
from seisops.engine.derive.strips import Strips
from seisops.engine.lower.assignment import GRID, Assignment
from seisops.engine.lower.constancy import Constancy
from seisops.engine.lower.form import Form
from seisops.engine.lower.loop import Loop, Made
from seisops.engine.lower.maker import Maker
from seisops.engine.lower.nodes import Load, Taps, Temporary, nodes
from seisops.engine.lower.schedule import schedule
from seisops.engine.lower.text import text
from seisops.engine.symbols.names import PREFIX
from seisops.engine.symbols.stencils import evaluate
from seisops.engine.symbols.template import Template
from seisops.engine.symbols.terms import leaves

SHAPE = {2: (13, 17), 3: (7, 9, 11)}


def maker(t: Template) -> Maker:
    return Maker(t, Strips(t, {}, {}, {}), {}, {})


def grid_assignment(lhs, rhs, kind=devito.Eq, box=GRID):
    return Assignment(kind, lhs, rhs, (), box)


def expressions(t: Template) -> dict:
    """What occurs in wave equations, and what is harder."""
    u, v, m, b = t.field("u"), t.field("v"), t.parameter("m"), t.parameter("b")
    *_, x, z = t.dimensions[0], t.dimensions[-1]
    a = t.profile("a", x)
    half = z + z.spacing / 2

    def rotated(f):
        return b * f.dx + (1 - b) * f.diff(z)

    return {
        "laplacian": sum(devito.Derivative(u, (d, 2), fd_order=t.space_order) for d in t.dimensions),
        "variable density": sum((b * u.diff(d)).diff(d) for d in t.dimensions),
        "half cells": devito.Derivative(
            devito.Derivative(b, (z, 0), fd_order=2, x0={z: half}) * devito.Derivative(u, (z, 1), fd_order=4, x0={z: half}),
            (z, 1), fd_order=4, x0={z: z - z.spacing / 2},
        ),
        "mixed": u.dx.diff(z) + m * u.diff(z).dx,
        "rotated twice": rotated(rotated(u)) / m,
        "three deep": (b * (m * u.dx).diff(z)).dx,
        "transposed": devito.Derivative(b * u, (x, 1), fd_order=4).T + devito.Derivative(u, (z, 1), fd_order=4).T,
        "profile inside": devito.Derivative(a * u, (x, 1), fd_order=t.space_order),
        "sum inside": devito.Derivative(u + 2 * v, (x, 1), fd_order=t.space_order) * (u - v),
        "differences alike": m * (b * u).dx - 2 * m * (m * v).dx + m * u.dx + (b * v).dx + (b * u).diff(z) - (m * u).diff(z),
        "quotients": (u.dx + v) / (m * b**2) + u / m,
        "functions": sympy.sqrt(m) * u + sympy.exp(-b) * v.diff(z) + (m + b) ** 3 * u + sympy.cos(m) ** 2,
        "power of a difference": (u.dx + 3) ** 2 * (b.diff(z) + 4) ** -1,
        "levels": 2 * u - u.backward + u.forward.dx,
        "shifted": u.subs(x, x + 2 * x.spacing) * m.subs(z, z - z.spacing),
        "nothing": sympy.S.Zero * u,
        "a number": sympy.Float(0.25) + t.step.spacing * x.spacing,
    }  # fmt: skip


KINDS = list(expressions(Template(2, 4, "float64")))


def values_of(t: Template, expr, arrays: dict, numbers: dict):
    """An expression on the whole grid by NumPy, from its expanded differences."""
    expr, halo = sympy.sympify(evaluate(expr, t)), 2 * t.space_order
    shape, known = SHAPE[t.ndim], {}
    for n, f in enumerate(sorted(leaves(expr), key=str)):
        a, cut = arrays[f.function.name], []
        for d, i in zip(f.function.dimensions, f.indices, strict=True):
            if d is t.step:
                a = a[int((i - d) / d.spacing) % 3]
                continue
            k = int((i - d) / d.spacing) + halo
            cut.append(slice(k, k + shape[t.dimensions.index(d)]))
        axes = [t.dimensions.index(d) for d in f.function.dimensions if d in t.dimensions]
        a = a[tuple(cut)]
        known[f] = sympy.Symbol(f"f{n}"), a.reshape([a.shape[axes.index(k)] if k in axes else 1 for k in range(t.ndim)])
    plain = expr.xreplace({f: s for f, (s, _) in known.items()})
    symbols = [s for s, _ in known.values()] + [sympy.Symbol(n) for n in numbers]
    plain = plain.xreplace({s: sympy.Symbol(s.name) for s in plain.free_symbols})
    return sympy.lambdify(symbols, plain)(*(a for _, a in known.values()), *numbers.values()) + np.zeros(shape)


def arrays_of(t: Template, wide: int, seed=0) -> dict:
    rng = np.random.default_rng(seed)
    grown = tuple(n + 2 * wide for n in SHAPE[t.ndim])
    arrays = {name: rng.standard_normal((3, *grown)) for name in ("u", "v")}
    arrays |= {name: 1 + rng.random(grown) for name in ("m", "b")}
    arrays["a"] = rng.random(grown[0])
    return {PREFIX + n: a for n, a in arrays.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("tile", [(2**18, 8), (1, 3)], ids=["one tile", "small tiles"])
def test_what_is_computed_is_what_is_written(monkeypatch, ndim, kind, tile):
    """As NumPy evaluates the expanded differences, whatever is done with temporaries, tiles and common factors."""
    monkeypatch.setattr("seisops.engine.backend.cpu.TILE", tile[0])
    monkeypatch.setattr("seisops.engine.backend.cpu.SQUARE", tile[1])
    t = Template(ndim, 4, "float64")
    expr, numbers = expressions(t)[kind], {"dt": 0.3, **{d.spacing.name: 1.5 for d in t.dimensions}}
    wide = arrays_of(t, 2 * t.space_order)
    expected = values_of(t, expr, wide, numbers)
    cut = (slice(t.space_order, -t.space_order),) * ndim
    given = {n: np.ascontiguousarray(a[(..., *cut)] if a.ndim >= ndim else a[cut[:1]]) for n, a in wide.items()}
    out = given[f"{PREFIX}out"] = np.full(SHAPE[ndim], np.nan)
    one = maker(t)
    made = Made((one.piece(grid_assignment(t.image("out"), expr)),))
    given |= {name: c.values(given, numbers) for name, c in one.constancy.found.items()}
    run = Program(Loop(lambda: made, [d.name for d in t.dimensions], "float64"))
    run(given, SHAPE[ndim], numbers, (0, 0), threads=2)
    assert np.allclose(out, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


def test_a_difference_of_products_is_computed_once_for_each_cell():
    t = Template(2, 8, "float32")
    form = Form(t, maker(t)._load, Constancy(t))
    u, b, a = t.field("u"), t.parameter("b"), t.profile("a", t.dimensions[0])
    order = t.space_order
    nested = form.sum(devito.Derivative(b * u.dx, (t.dimensions[1], 1), fd_order=order))
    assert sum(isinstance(n, Temporary) for n in nodes(nested)) == order
    assert sum(isinstance(n, Load) for n in nodes(nested, inside=False)) == 0
    plain = form.sum(devito.Derivative(a * u, (t.dimensions[0], 1), fd_order=order))
    assert not any(isinstance(n, Temporary) for n in nodes(plain, inside=True))


def test_differences_of_one_kind_beside_the_same_are_one():
    t = Template(2, 8, "float32")
    form = Form(t, maker(t)._load, Constancy(t))
    u, v, m, b = t.field("u"), t.field("v"), t.parameter("m"), t.parameter("b")

    def differences(expr) -> int:
        return len({n for n in nodes(form.sum(expr), inside=True) if isinstance(n, Taps)})

    assert differences(m * (b * u).dx - 2 * m * (m * v).dx + m * u.dx) == 1
    assert differences(m * (b * u).dx + b * (m * v).dx) == differences((b * u).dx + (m * v).diff(t.dimensions[1])) == 2
    assert differences(u.dx + v.dx) == 2  # arrays need no temporary


def source(t: Template, lhs, rhs, box=GRID) -> str:
    piece = maker(t).piece(grid_assignment(lhs, rhs, box=box))
    return text(piece.statements, piece.axes, t.dtype).source


def test_names_are_not_in_the_text():
    """So that what differs in names only is compiled once."""
    t = Template(2, 4, "float32")
    u, v, m, b = t.field("u"), t.field("z_last"), t.parameter("m"), t.parameter("a_first")
    texts = {source(t, f.forward, p * f.laplace + 2 * f - f.backward) for f, p in itertools.product((u, v), (m, b))}
    assert len(texts) == 1 and PREFIX not in next(iter(texts))


def test_weights_are_written_in_full():
    t = Template(2, 4, "float64")
    assert "1.3333333333333333" in source(t, t.image("out"), t.field("u").laplace)


def test_what_terms_have_in_common_is_taken_out():
    t = Template(2, 4, "float32")
    u, m = t.field("u"), t.parameter("m")
    assert source(t, t.image("out"), u.dx / m + u.diff(t.dimensions[1]) / m + u).count("a0[z] * (") == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_texts_compile_without_a_warning(tmp_path, dtype):
    for n, (kind, expr) in enumerate(expressions(Template(2, 4, dtype)).items()):
        t = Template(2, 4, dtype)
        path = tmp_path / f"{n}.c"
        path.write_text(source(t, t.image("out"), expressions(t)[kind]))
        flags = [
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Wno-unused-variable",
            "-Wno-unused-parameter",
            "-fopenmp-simd",
            "-Werror",
        ]
        done = subprocess.run(["gcc", *flags, "-c", str(path), "-o", "/dev/null"], capture_output=True, text=True)
        assert done.returncode == 0, (kind, expr, done.stderr)


# ---- the order of pieces


def order(t: Template, *assignments, shape=None):
    """Names of what is written, group by group, and whether each waits."""
    m = maker(t)
    pieces = [m.piece(a if isinstance(a, Assignment) else grid_assignment(*a)) for a in assignments]
    groups = schedule(pieces, shape or (ENDLESS,) * t.ndim)
    return [([[s.target.name[3:] for s in p.statements] for p in g.pieces], g.waits) for g in groups]


@pytest.fixture
def t():
    return Template(2, 4, "float32")


def test_who_waits(t):
    u, v, w = (t.image(n) for n in ("u", "v", "w"))
    f, g = t.parameter("f"), t.parameter("g")
    x, z = t.dimensions
    # nothing in common, the same cell, the same row, and another row
    assert order(t, (u, f), (v, g)) == [([["u"], ["v"]], False)]
    assert order(t, (u, f), (v, u + g)) == [([["u"], ["v"]], False)]
    assert order(t, (f, u), (v, f.diff(z))) == [([["f"], ["v"]], False)]
    assert order(t, (f, u), (v, f.dx)) == [([["f"]], False), ([["v"]], True)]
    # what is written after others have looked at it
    assert order(t, (v, f.dx), (f, u)) == [([["v"]], False), ([["f"]], True)]
    # whoever has not waited counts, and who needs nothing need not
    assert order(t, (f, u), (v, f.dx), (w, f.diff(x) + g)) == [([["f"]], False), ([["v", "w"]], True)]
    assert order(t, (f, u), (v, f.dx), (w, g)) == [([["f"], ["w"]], False), ([["v"]], True)]
    assert order(t, (f, u), (g, f.dx), (w, g.dx + f.dx)) == [([["f"]], False), ([["g"]], True), ([["w"]], True)]


def test_levels_of_a_field_lie_apart(t):
    u, v = t.field("u"), t.image("v")
    assert order(t, (u.forward, v), (v, u.dx)) == [([["u"], ["v"]], False)]
    assert order(t, (u.forward, v), (t.image("w"), u.forward.dx)) == [([["u"]], False), ([["w"]], True)]
    assert order(t, (u.forward, v), (t.image("w"), u.backward.backward.dx)) == [([["u"]], False), ([["w"]], True)]


def test_what_may_be_done_a_step_later_comes_first(t):
    u, v, h = t.field("u"), t.image("v"), t.image("h")
    kept = Assignment(devito.Eq, h, u.forward - u + u.backward, (t.time,), GRID)
    assert order(t, (u.forward, v), kept) == [([["u"], ["h"]], False)]
    # the newest level is then that which the step looks at, and the oldest that which it replaces, in the same cell
    assert order(t, (u.forward, v), replace(kept, behind=1)) == [([["h"], ["u"]], False)]
    assert order(t, (u.backward, v), replace(kept, behind=-1)) == [([["h"], ["u"]], False)]
    # whoever looks at neighbours of the oldest has to be done before
    around = replace(kept, rhs=u.forward + u.backward.dx)
    assert order(t, (u.forward, v), around) == [([["u"], ["h"]], False)]
    assert order(t, (u.forward, v), replace(around, behind=1)) == [([["h"]], False), ([["u"]], True)]


def test_slabs_need_not_wait():
    t = Template(3, 4, "float32")
    f, g, u, v, w = (t.image(n) for n in "fguvw")
    x, y, _ = t.dimensions
    assert order(t, (f, u), (v, f.diff(y))) == [([["f"]], False), ([["v"]], False)]
    assert order(t, (f, u), (v, f.diff(x))) == [([["f"]], False), ([["v"]], True)]
    # next to those whose slabs they share, wherever the others are
    fy = f.diff(y)
    assert order(t, (f, u), (g, f.diff(x)), (v, fy)) == [([["f"]], False), ([["g"], ["v"]], True)]
    assert order(t, (f, u), (g, f.diff(x)), (w, fy + g.diff(y))) == [
        ([["f"]], False),
        ([["g"]], True),
        ([["w"]], False),
    ]
    narrow = Strips(t, {}, {x: 5}, {x: ("low", "high")}, 5, 0)
    m = Maker(t, narrow, {}, {})
    strip = m.piece(grid_assignment(g, f.diff(x), box={x: "low"}))
    one, other = (m.piece(grid_assignment(*a)) for a in ((f, u), (v, fy)))
    assert [g.pieces for g in schedule([one, strip, other], (ENDLESS,) * 3)] == [[one], [other], [strip]]


def test_points_wait(t):
    row, tap = (devito.Dimension(name=f"{PREFIX}{n}") for n in ("row", "tap"))
    cells = {d: t.table(f"cell_{d.name}", (row, tap), np.int32) for d in t.dimensions}
    u = t.image("u")
    gather = Assignment(devito.Inc, t.table("traces", (t.time, row)), u.subs(cells), (t.time, row, tap), GRID)
    assert order(t, (u, t.parameter("f")), gather) == [([["u"]], False), ([["traces"]], True)]
    assert order(t, (t.image("v"), t.parameter("f")), gather) == [([["v"]], False), ([["traces"]], False)]


def test_what_shares_differences_shares_a_loop(t):
    f, u, v, w = t.parameter("f"), t.image("u"), t.image("v"), t.image("w")
    assert order(t, (u, f.dx), (v, 2 * f.dx + u), (w, f)) == [([["u", "v"], ["w"]], False)]
    # not across somebody who looks at one of them
    assert order(t, (u, f.dx), (w, u), (v, f.dx), (u, w + f.dx)) == [([["u", "v"], ["w"], ["u"]], False)]


def boxes(t: Template, width: int) -> Strips:
    x, z = t.dimensions
    return Strips(t, {}, {x: width, z: width}, {x: ("low", "high"), z: ("low", "high")}, width, 0)


def test_boxes_that_do_not_meet_do_not_wait(t):
    m = Maker(t, boxes(t, 5), {}, {})
    x = t.dimensions[0]
    u, f = t.image("u"), t.parameter("f")
    pieces = [m.piece(grid_assignment(u, f, devito.Inc, {x: side})) for side in ("low", "high")]
    assert [g.waits for g in schedule(pieces, (ENDLESS, ENDLESS))] == [False, False]
    assert [g.waits for g in schedule(pieces, (10, 40))] == [False, False]
    assert [g.waits for g in schedule(pieces, (9, 40))] == [False, True]
