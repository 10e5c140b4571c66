"""Compiled time loops: the same results as Devito's own lowering of the same equations, and checked arguments."""

import subprocess
import sys
import threading
from pathlib import Path

import devito
import numpy as np
import pytest

from seisops.engine.arrays import aligned
from seisops.engine.backend.cpu import Program, _threads
from seisops.engine.derive.strips import Strips
from seisops.engine.lower.assignment import GRID, Assignment
from seisops.engine.lower.loop import Loop, Made
from seisops.engine.lower.maker import Maker
from seisops.engine.symbols.names import PREFIX
from seisops.engine.symbols.stencils import evaluate
from seisops.engine.symbols.template import Template

STEPS, POINTS, TAPS = 12, 5, 3
SHAPES = {2: (19, 23), 3: (17, 19, 21)}


def assignments(t: Template) -> list[Assignment]:
    """Waves with density and a damping profile, sources and receivers, every step saved, and every third."""
    u, m, b, a = t.field("u"), t.parameter("m"), t.parameter("b"), t.profile("a", t.dimensions[0])
    dt = t.step.spacing
    flow = sum((b * u.diff(d)).diff(d) for d in t.dimensions)
    row, tap, point = (devito.Dimension(name=f"{PREFIX}{n}") for n in ("row", "tap", "point"))
    weight = t.table("weight", (row, tap))
    cells = {d: t.table(f"cell_{d.name}", (row, tap), np.int32) for d in t.dimensions}
    one_cell = {d: t.table(f"one_{d.name}", (row,), np.int32) for d in t.dimensions}
    which = t.table("which", (row, tap), np.int32)
    data = t.table("data", (t.time, point)).subs(point, which)
    dims = (t.time, row, tap)
    return [
        Assignment(devito.Eq, u.forward, 2 * u - u.backward + dt**2 / m * (flow - a * u), (), GRID),
        Assignment(devito.Inc, u.forward.subs(one_cell), weight * data, dims, GRID),
        Assignment(devito.Inc, t.table("traces", (t.time, row)), weight * u.forward.subs(cells), dims, GRID),
        Assignment(devito.Eq, t.saved("kept"), u.forward, (), GRID),
        Assignment(devito.Eq, t.saved("history", 3), (u - u.backward) / 2, t.when(3), GRID),
    ]


def devitos(t: Template) -> devito.Operator:
    """What Devito makes of them."""
    equations = [a.kind(a.lhs, evaluate(a.rhs, t), implicit_dims=a.when) for a in assignments(t)]
    with devito.switchconfig(log_level="WARNING"):
        return devito.Operator(equations, name="Waves", language="openmp")


def ours(t: Template) -> Program:
    maker = Maker(t, Strips(t, {}, {}, {}), {}, {})
    pieces = [maker.piece(a) for a in assignments(t)]
    integers = {name for name, f in maker.functions.items() if np.dtype(f.dtype).kind == "i"}
    made = Made(tuple(pieces), frozenset(integers), (), tuple(maker.constancy.found.values()))
    return Program(Loop(lambda: made, [d.name for d in t.dimensions], t.dtype))


def values(t: Template, seed=0) -> dict:
    """Arrays, the same for the same seed."""
    rng = np.random.default_rng(seed)
    shape, halo = SHAPES[t.ndim], t.space_order
    grown = tuple(n + 2 * halo for n in shape)
    arrays = {
        "u": np.zeros((3, *grown)),
        "m": 1 + rng.random(grown),
        "b": 1 + rng.random(grown),
        "a": rng.random(grown[0]),
        "weight": rng.random((POINTS, TAPS)),
        "data": rng.standard_normal((STEPS, POINTS)),
        "traces": np.zeros((STEPS, POINTS)),
        "kept": np.zeros((STEPS, *shape)),
        "history": np.zeros((STEPS // 3, *shape)),
    }
    arrays = {name: a.astype(t.dtype) for name, a in arrays.items()}
    for d, n in zip(t.dimensions, shape, strict=True):
        arrays[f"cell_{d.name}"] = rng.integers(0, n, (POINTS, TAPS), dtype=np.int32)
        arrays[f"one_{d.name}"] = rng.permutation(n)[:POINTS].astype(np.int32)
    arrays["which"] = rng.integers(0, POINTS, (POINTS, TAPS), dtype=np.int32)
    return {PREFIX + name: aligned(a) for name, a in arrays.items()}


def march(run: Program, t: Template, arrays: dict, steps=(0, STEPS - 1), threads=1):
    numbers = {"dt": 0.1, **{d.spacing.name: 1.5 for d in t.dimensions}}
    bounds = {f"{PREFIX}row": POINTS, f"{PREFIX}tap": TAPS}
    arrays = arrays | {c.name: aligned(c.values(arrays, numbers)) for c in run.loop.made.constants}
    run(arrays, SHAPES[t.ndim], numbers, steps, 1, bounds, threads)


def march_devito(op: devito.Operator, t: Template, arrays: dict):
    given = dict(arrays)
    for d, n in zip(t.dimensions, SHAPES[t.ndim], strict=True):
        given |= {f"{d.name}_m": 0, f"{d.name}_M": n - 1, d.spacing.name: t.dtype(1.5)}
    given |= {f"{PREFIX}row_m": 0, f"{PREFIX}row_M": POINTS - 1, f"{PREFIX}tap_m": 0, f"{PREFIX}tap_M": TAPS - 1}
    with devito.switchconfig(log_level="WARNING"):
        op.apply(**given, time_m=0, time_M=STEPS - 1, dt=t.dtype(0.1), nthreads=1, nthreads_nonaffine=1)


def differences(one: dict, other: dict) -> dict:
    names = [PREFIX + n for n in ("u", "traces", "kept", "history")]
    assert all(one[n].any() for n in names)
    return {n: np.abs(one[n] - other[n]).max() / np.abs(other[n]).max() for n in names}


@pytest.fixture(scope="module")
def waves():
    """Templates and programs by number of dimensions and dtype, each made once."""
    made: dict = {}

    def get(ndim, dtype):
        if (ndim, dtype) not in made:
            t = Template(ndim, 4, dtype)
            made[ndim, dtype] = t, ours(t)
        return made[ndim, dtype]

    return get


# ---- results


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_results_are_those_of_devito(waves, ndim, dtype):
    t, run = waves(ndim, dtype)
    expected, found = values(t), values(t)
    march_devito(devitos(t), t, expected)
    march(run, t, found)
    assert max(differences(found, expected).values()) < 100 * np.finfo(dtype).eps


@pytest.mark.parametrize("ndim", [2, 3])
def test_results_do_not_depend_on_threads(waves, ndim):
    """Not in a single bit: every cell is written by one thread, in the same order."""
    t, run = waves(ndim, "float32")
    one, several = values(t), values(t)
    march(run, t, one)
    march(run, t, several, threads=3)
    assert not any(differences(one, several).values())


def test_a_run_may_be_cut_into_parts(waves):
    t, run = waves(2, "float32")
    whole, parts = values(t), values(t)
    march(run, t, whole)
    for step in range(STEPS):
        march(run, t, parts, (step, step))
    assert not any(differences(whole, parts).values())


def test_backward(waves):
    """From the last step to the first: where nothing is connected in time, the order does not matter."""
    t = waves(2, "float64")[0]
    maker = Maker(t, Strips(t, {}, {}, {}), {}, {})
    total, seen = t.image("total"), t.saved("seen")
    pieces = [
        maker.piece(Assignment(devito.Inc, total, t.signal("signal"), (), GRID)),
        maker.piece(Assignment(devito.Eq, seen, total, (), GRID)),
    ]
    run = Program(Loop(lambda: Made(tuple(pieces)), ("x", "z"), "float64"))
    signal = np.array([1.0, 10.0, 100.0])
    for direction, expected in ((1, [1, 11, 111]), (-1, [111, 110, 100])):
        arrays = {"total": np.zeros((4, 5)), "seen": np.zeros((3, 4, 5)), "signal": signal}
        run({PREFIX + n: a for n, a in arrays.items()}, (4, 5), {}, (0, 2), direction)
        assert np.array_equal(arrays["seen"][:, 2, 3], expected)


def test_calls_from_several_threads(waves):
    t, run = waves(2, "float64")
    expected = [values(t, seed) for seed in range(6)]
    for arrays in expected:
        march(run, t, arrays)
    together = [values(t, seed) for seed in range(6)]

    def repeat(arrays):
        for _ in range(20):
            for name in ("u", "traces", "kept", "history"):
                arrays[PREFIX + name].fill(0)
            march(run, t, arrays)

    workers = [threading.Thread(target=repeat, args=(arrays,)) for arrays in together]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    for one, other in zip(expected, together, strict=True):
        assert not any(differences(one, other).values())


def test_rows_need_not_be_aligned_nor_dense(waves):
    t, run = waves(3, "float32")
    expected, found = values(t), values(t)
    march(run, t, expected)
    for name, a in found.items():
        wide = np.zeros((*a.shape[:-1], a.shape[-1] + 3), a.dtype)
        wide[..., 1:-2] = a
        found[name] = wide[..., 1:-2]
    march(run, t, found)
    assert not any(differences(expected, found).values())


FLUSHES = """
import numpy as np, test_program as t
template = t.Template(2, 4, "float32")
arrays = t.values(template)
arrays["so_data"][...] = 1e-37
t.march(t.ours(template), template, arrays)
kept = np.abs(arrays["so_kept"])
assert kept.max() > 0 and kept[kept > 0].min() >= np.finfo("float32").tiny
assert np.float32(1e-38) * np.float32(0.01) > 0
"""


def test_denormal_numbers_are_flushed_in_loops_only():
    """They are slow, and a layer's fields decay into them; but they are the caller's elsewhere."""
    subprocess.run([sys.executable, "-c", FLUSHES], cwd=Path(__file__).parent, check=True)


@pytest.mark.parametrize("chosen, threads", [("3", 3), ("2,4", 2), (None, None)])
def test_default_number_of_threads(monkeypatch, chosen, threads):
    """That of `devito.Operator.apply`."""
    if chosen is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        threads = devito.types.parallel.NThreads().default_value
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    assert _threads(None) == threads


# ---- arguments


def without(arrays, name):
    del arrays[name]


def replaced(by):
    def change(arrays, name):
        arrays[name] = by(arrays[name])

    return change


def read_only(arrays, name):
    arrays[name].flags.writeable = False


WRONG = [
    (without, "b", TypeError, "missing so_b"),
    (replaced(lambda a: a.tolist()), "b", TypeError, "not a list"),
    (replaced(lambda a: None), "b", TypeError, "not a NoneType"),
    (replaced(lambda a: a.astype("float32")), "b", TypeError, "array of float64, not of float32"),
    (replaced(lambda a: a.astype(">f8")), "b", TypeError, "not of >f8"),
    (replaced(lambda a: a.astype("int64")), "which", TypeError, "array of int32, not of int64"),
    (replaced(lambda a: a[0]), "b", ValueError, "2 axes"),
    (replaced(np.asfortranarray), "b", ValueError, "contiguous along its last axis"),
    (replaced(lambda a: a[:-3]), "b", ValueError, "so_b is too small"),
    (replaced(lambda a: a[:, :-1].copy()), "u", ValueError, "so_u is too small"),
    (replaced(lambda a: a[:-1]), "kept", ValueError, "so_kept is too small"),
    (replaced(lambda a: a[:-1]), "history", ValueError, "so_history is too small"),
    (replaced(lambda a: a[:2]), "u", ValueError, "so_u is too small"),
    (replaced(lambda a: a[:-1]), "weight", ValueError, "so_weight is too small"),
    (replaced(lambda a: a[:, :-1].copy()), "traces", ValueError, "so_traces is too small"),
    (read_only, "traces", ValueError, "read-only"),
]


@pytest.mark.parametrize("change, name, error, text", WRONG)
def test_wrong_arguments(waves, change, name, error, text):
    t, run = waves(2, "float64")
    arrays = values(t)
    change(arrays, PREFIX + name)
    with pytest.raises(error, match=text):
        march(run, t, arrays)
    good = values(t)
    march(run, t, good)  # nothing is left of the call that failed
    assert good[f"{PREFIX}traces"].any()


def test_read_only_arrays_may_be_read(waves):
    t, run = waves(2, "float64")
    arrays = values(t)
    read_only(arrays, f"{PREFIX}b")
    march(run, t, arrays)


@pytest.mark.parametrize("threads, error", [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_wrong_number_of_threads(waves, threads, error):
    t, run = waves(2, "float64")
    with pytest.raises(error):
        march(run, t, values(t), threads=threads)
