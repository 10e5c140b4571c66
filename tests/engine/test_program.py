"""Compiled time loops called directly: same results as Devito's own call, kept on disk, safe against damage."""

import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import devito
import numpy as np
import pytest
from devito.symbolics import IntDiv
from devito.types import Scalar

from seisops.engine import cache
from seisops.engine import program as module
from seisops.engine.arrays import aligned, zeros
from seisops.engine.program import Program, describe, program
from seisops.engine.template import PREFIX, Template
from seisops.engine.tuning import tuned

STEPS, POINTS, TAPS = 12, 5, 3
SHAPES = {2: (19, 23), 3: (17, 19, 21)}
OPTIMISE = ("advanced", {"par-dynamic-work": 10**6})


def equations(t: Template) -> list:
    """Waves with density and a damping profile, sources and receivers, every step saved, and every third."""
    u, m, b, a = t.field("u"), t.parameter("m"), t.parameter("b"), t.profile("a", t.dimensions[0])
    dt = t.step.spacing
    flow = sum((b * u.diff(d)).diff(d) for d in t.dimensions)
    step = devito.Eq(u.forward, 2 * u - u.backward + dt**2 / m * (flow - a * u))
    row, tap, point = (devito.Dimension(name=f"{PREFIX}{n}") for n in ("row", "tap", "point"))
    weight = t.table("weight", (row, tap))
    cells = {d: t.table(f"cell_{d.name}", (row, tap), np.int32) for d in t.dimensions}
    which = t.table("which", (row,), np.int32)
    dims = (t.time, row, tap)
    data = t.table("data", (t.time, point)).subs(point, which)
    inject = devito.Inc(u.forward.subs(cells), weight * data, implicit_dims=dims)
    gather = devito.Inc(t.table("traces", (t.time, row)), weight * u.forward.subs(cells), implicit_dims=dims)
    keep = devito.Eq(t.saved("kept"), u.forward)
    scale = devito.Constant(name=f"{PREFIX}scale", dtype=t.dtype, value=0.5)
    level = devito.Dimension(name=f"{PREFIX}level")
    table = devito.Function(
        name=f"{PREFIX}history", grid=t.grid, dimensions=(level, *t.dimensions), shape=(3, *t.grid.shape), space_order=0
    )
    history = devito.Eq(table.subs(level, IntDiv(t.time, 3)), scale * (u - u.backward), implicit_dims=t.when(3))
    return [step, inject, gather, keep, history]


def lower(t: Template):
    with devito.switchconfig(log_level="WARNING"):
        return devito.Operator(equations(t), name="Waves", language="openmp", opt=OPTIMISE)


def arguments(t: Template, seed=0) -> dict:
    """Arrays and numbers for `equations`, the same for the same seed."""
    rng = np.random.default_rng(seed)
    shape, halo = SHAPES[t.ndim], t.space_order
    grown = tuple(n + 2 * halo for n in shape)
    inside = {
        d.name: rng.integers(0, n, (POINTS, TAPS), dtype=np.int32) for d, n in zip(t.dimensions, shape, strict=True)
    }
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
    arrays |= {f"cell_{name}": a for name, a in inside.items()}
    arrays["which"] = rng.permutation(POINTS).astype(np.int32)
    values: dict = {PREFIX + name: aligned(a) for name, a in arrays.items()}
    for d, n in zip(t.dimensions, shape, strict=True):
        values |= {f"{d.name}_m": 0, f"{d.name}_M": n - 1, d.spacing.name: t.dtype(1.5)}
    values |= {f"{PREFIX}row_m": 0, f"{PREFIX}row_M": POINTS - 1, f"{PREFIX}tap_m": 0, f"{PREFIX}tap_M": TAPS - 1}
    return values | {"time_m": 0, "time_M": STEPS - 1, "dt": t.dtype(0.1)}


def results(values: dict) -> dict:
    return {name: a for name, a in values.items() if isinstance(a, np.ndarray)}


def assert_same(one: dict, other: dict):
    for name, a in results(one).items():
        assert np.array_equal(a, other[name]), name
    assert any(results(one)[PREFIX + name].any() for name in ("traces", "kept", "history"))


def small() -> Template:
    return Template(2, 2, "float32")


def tiny():
    """An operator that is made and compiled quickly."""
    t = small()
    equation = devito.Eq(t.saved("kept"), t.image("image") * t.signal("signal"))
    with devito.switchconfig(log_level="WARNING"):
        return devito.Operator(equation, name="Tiny", language="openmp", opt=OPTIMISE)


def tiny_arguments() -> dict:
    values = {"kept": np.zeros((3, 4, 5)), "image": np.arange(20.0).reshape(4, 5), "signal": np.array([1.0, 2.0, 3.0])}
    values = {PREFIX + name: aligned(a.astype("float32")) for name, a in values.items()}
    return values | {"x_m": 0, "x_M": 3, "z_m": 0, "z_M": 4, "time_m": 0, "time_M": 2}


def check_tiny(run):
    values = tiny_arguments()
    run(values)
    expected = values[f"{PREFIX}signal"][:, None, None] * values[f"{PREFIX}image"]
    assert np.array_equal(values[f"{PREFIX}kept"], expected)


def never():
    raise AssertionError("lowered although it is in the cache")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEISOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_warned", set())
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    """Templates, operators and programs by number of dimensions and dtype, each made once."""
    made: dict = {}

    def get(ndim, dtype):
        if (ndim, dtype) not in made:
            t = Template(ndim, 4, dtype)
            op = lower(t)
            made[ndim, dtype] = t, op, program(describe(equations(t)), lambda: op)[0]
        return made[ndim, dtype]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEISOPS_CACHE", str(tmp_path_factory.mktemp("programs")))
        yield get


# ---- calling


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_results_are_those_of_devito(waves, ndim, dtype, threads):
    t, op, run = waves(ndim, dtype)
    expected, values = arguments(t), arguments(t)
    # injecting from several threads adds in any order: the last bits may differ, so one point
    if threads > 1:
        expected[f"{PREFIX}row_M"] = values[f"{PREFIX}row_M"] = 0
    with devito.switchconfig(log_level="WARNING"):
        op.apply(**expected, nthreads=threads, nthreads_nonaffine=threads)
    run(values, threads=threads)
    assert_same(expected, values)


def test_a_run_may_be_cut_into_pieces(waves):
    t, _, run = waves(2, "float32")
    whole, pieces = arguments(t), arguments(t)
    run(whole, threads=1)
    for step in range(STEPS):
        run({**pieces, "time_m": step, "time_M": step}, threads=1)
    assert_same(whole, pieces)


def test_names(waves):
    t, _, run = waves(3, "float32")
    assert isinstance(run, Program)
    assert run.names >= arguments(t).keys()
    assert not run.names & {"nthreads", "nthreads_nonaffine", "timers"}


def test_what_has_a_default_may_be_given(waves):
    t, _, run = waves(3, "float32")
    optional = run.names - arguments(t).keys()
    assert {f"{PREFIX}every3f", "x0_blk0_size", "y0_blk0_size", "z_size", f"{PREFIX}scale"} <= optional
    expected, values = arguments(t), arguments(t)
    run(expected, threads=1)
    run({**values, "x0_blk0_size": 3, "y0_blk0_size": 100}, threads=1)
    assert_same(expected, values)


def test_fields_smaller_than_a_block(waves):
    t, op, run = waves(3, "float64")
    expected, values = ({**arguments(t), "x_M": 2, "y_M": 4} for _ in range(2))
    for v in (expected, values):  # points inside what is left
        v[f"{PREFIX}cell_x"][...], v[f"{PREFIX}cell_y"][...] = 1, 2
    with devito.switchconfig(log_level="WARNING"):
        op.apply(**expected, nthreads=1, nthreads_nonaffine=1)
    run(values, threads=1)
    assert_same(expected, values)


def test_calls_from_several_threads(waves):
    t, _, run = waves(2, "float64")
    expected = [arguments(t, seed) for seed in range(6)]
    for values in expected:
        run(values, threads=1)
    together = [arguments(t, seed) for seed in range(6)]

    def repeat(values):
        for _ in range(20):
            for name in ("u", "traces", "kept", "history"):
                values[PREFIX + name].fill(0)
            run(values, threads=1)

    workers = [threading.Thread(target=repeat, args=(values,)) for values in together]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    for one, other in zip(expected, together, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("chosen, threads", [("3", 3), ("2,4", 2), (None, None)])
def test_default_number_of_threads(monkeypatch, chosen, threads):
    """That of `devito.Operator.apply`."""
    if chosen is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        threads = devito.types.parallel.NThreads().default_value
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    assert module._threads(None) == threads


def shortened(values, name):
    del values[name]


def fortran(values, name):
    values[name] = np.asfortranarray(values[name])


def shifted(values, name):
    base = zeros((values[name].size + 1,), values[name].dtype)
    values[name] = base[1:].reshape(values[name].shape)


def replaced(by):
    def change(values, name):
        values[name] = by(values[name])

    return change


def read_only(values, name):
    values[name].flags.writeable = False


WRONG = [
    (shortened, f"{PREFIX}m", TypeError, "missing so_m"),
    (shortened, "dt", TypeError, "missing dt"),
    (replaced(lambda a: a.tolist()), f"{PREFIX}m", TypeError, "not a list"),
    (replaced(lambda a: None), f"{PREFIX}m", TypeError, "not a NoneType"),
    (replaced(lambda a: a.astype("float32")), f"{PREFIX}m", TypeError, "array of float64, not of float32"),
    (replaced(lambda a: a.astype(">f8")), f"{PREFIX}m", TypeError, "not of >f8"),
    (replaced(lambda a: a[0]), f"{PREFIX}m", ValueError, "2-dimensional"),
    (fortran, f"{PREFIX}m", ValueError, "C-contiguous"),
    (shifted, f"{PREFIX}m", ValueError, "multiple of 64"),
    (read_only, f"{PREFIX}traces", ValueError, "read-only"),
    (replaced(lambda n: 1.5), "x_M", TypeError, "x_M has to be integer"),
    (replaced(lambda n: None), "x_M", TypeError, "x_M has to be integer"),
    (replaced(lambda n: 2**31), "x_M", ValueError, "C int"),
    (replaced(lambda n: "0.1"), "dt", TypeError, "dt has to be real"),
]


@pytest.mark.parametrize("change, name, error, text", WRONG)
def test_wrong_arguments(waves, change, name, error, text):
    t, _, run = waves(2, "float64")
    values = arguments(t)
    change(values, name)
    with pytest.raises(error, match=text):
        run(values, threads=1)
    good = arguments(t)
    run(good, threads=1)  # nothing is left of the call that failed
    assert good[f"{PREFIX}traces"].any()


def test_unknown_arguments(waves):
    t, _, run = waves(2, "float64")
    with pytest.raises(TypeError, match="unknown h_y, so_q"):
        run({**arguments(t), "so_q": 1, "h_y": 1.0})


def test_read_only_arrays_may_be_read(waves):
    t, _, run = waves(2, "float64")
    values = arguments(t)
    read_only(values, f"{PREFIX}m")
    run(values, threads=1)


@pytest.mark.parametrize("threads, error", [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_wrong_number_of_threads(waves, threads, error):
    t, _, run = waves(2, "float64")
    with pytest.raises(error):
        run(arguments(t), threads=threads)


def test_an_error_in_the_routine(monkeypatch):
    compile_ = module._compile
    monkeypatch.setattr(
        module,
        "_compile",
        lambda compiler, source, where: compile_(compiler, source.replace("return 0", "return 7"), where),
    )
    with pytest.raises(RuntimeError, match="error 7"):
        program("failing", tiny)[0](tiny_arguments())


# ---- C text


def test_one_parallel_region_with_contiguous_rows(waves):
    """Should Devito write its pragmas otherwise some day, this fails, and what is replaced has to be looked at."""
    for ndim in (2, 3):
        _, op, run = waves(ndim, "float32")
        made, ours = str(op), run.source
        assert "#pragma omp for schedule(static,1)\n" in made and "schedule(static,1)" not in ours
        assert made.count("#pragma omp for") == ours.count("#pragma omp for schedule(static)") > 1
        before, loop = ours.split("  for (int time", 1)
        assert before.rsplit("#pragma omp parallel num_threads(nthreads)\n  {\n", 1)[1].startswith("  _MM_SET_")
        assert "#pragma omp for" in loop and "#pragma omp parallel" not in loop[: loop.index("\n  }\n")]


@pytest.mark.parametrize("extra", ["    x = 1;", "    #pragma omp single", "      #pragma omp for nowait"])
def test_loops_that_do_more_keep_their_regions(waves, extra):
    """What one thread alone has to do must not be done by all."""
    made = str(waves(2, "float32")[1])
    fork = "    #pragma omp parallel num_threads(nthreads)\n"
    assert tuned(made.replace(fork, f"{extra}\n{fork}", 1)).count("#pragma omp parallel") > 1


def test_generated_code_looks_at_data_and_sizes_only(waves):
    for ndim in (2, 3):
        assert isinstance(waves(ndim, "float32")[2], Program)
        assert not isinstance(waves(ndim, "float32")[2], module._Applied)


# ---- left to Devito


def test_what_is_not_understood_is_left_to_devito(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_argument", lambda *_: None)
        run, lowered = program("applied", tiny)
    assert lowered and isinstance(run, module._Applied)
    assert run.names == tiny_arguments().keys()
    assert "schedule(static,1)" in run.source
    check_tiny(run)
    check_tiny(lambda values: run(values, threads=2))
    with pytest.raises(TypeError, match="unknown so_q"):
        run({**tiny_arguments(), "so_q": 1})
    assert not list(folder.glob("*"))


def test_a_kind_of_argument_that_is_not_understood():
    t = small()
    image = t.image("image")
    odd = Scalar(name="so_odd", dtype=np.int64, is_const=True)
    op = devito.Operator(devito.Eq(image, odd + 1), name="Odd", language="openmp")
    assert module._arguments(op, str(op)) is None
    assert module._arguments(tiny(), str(tiny()) + "so_u_vec->hofs[0]") is None


# ---- on disk


def test_a_program_is_kept(folder):
    run, lowered = program("tiny", tiny)
    assert lowered
    check_tiny(run)
    again, lowered = program("tiny", never)
    assert not lowered
    assert (again.names, again.source) == (run.names, run.source)
    check_tiny(again)
    assert {p.suffix for p in folder.iterdir()} == {".json", ".so", ".TAG"} or sys.platform == "darwin"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert program("another", tiny)[1]


def test_defaults_and_types_are_kept(waves):
    """Everything that a description has makes it to the disk and back."""
    t = Template(3, 4, "float32")
    _, op, run = waves(3, "float32")
    assert program("waves", lambda: op)[1]
    again, lowered = program("waves", never)
    assert not lowered and again._arguments == run._arguments
    expected, values = arguments(t), arguments(t)
    run(expected, threads=1)
    again(values, threads=1)
    assert_same(expected, values)


def test_a_key_knows_the_compiler(monkeypatch):
    before = module._environment()
    assert module._environment() == before
    monkeypatch.setenv("CFLAGS", "-fno-tree-vectorize")
    assert "-fno-tree-vectorize" in module._environment()


def test_flags_of_the_user_reach_the_compiler(monkeypatch):
    seen = []
    run = subprocess.run
    monkeypatch.setattr(module.subprocess, "run", lambda command, **rest: seen.append(command) or run(command, **rest))
    monkeypatch.setenv("CFLAGS", "-fno-tree-vectorize")
    program("flags", tiny)
    assert any("-fno-tree-vectorize" in c and "-fopenmp" in c for c in seen)


def script(code, folder, **environment):
    """Another process, in which `t` is this file."""
    start = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_program as t\n"
    return subprocess.Popen(
        [sys.executable, "-c", start + textwrap.dedent(code)],
        env={**os.environ, "SEISOPS_CACHE": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process) -> str:
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return out.strip()


@pytest.mark.slow
def test_another_process_lowers_and_compiles_nothing(folder):
    template = small()
    run, _ = program(describe(equations(template)), lambda: lower(template))
    expected = arguments(template)
    run(expected, threads=1)
    code = """
    template = t.small()
    key = t.describe(t.equations(template))
    t.module._compile = t.never
    run, lowered = t.program(key, t.never)
    values = t.arguments(template)
    run(values, threads=1)
    print(lowered, float(values[t.PREFIX + "traces"].astype("float64").sum()).hex())
    """
    for seed in ("1", "2"):  # neither do texts depend on the order of sets
        out = finished(script(code, folder, PYTHONHASHSEED=seed))
        assert out == f"False {float(expected[PREFIX + 'traces'].astype('float64').sum()).hex()}"


@pytest.mark.slow
def test_processes_that_make_the_same_program_at_once(folder):
    code = """
    run, lowered = t.program("race", t.tiny)
    t.check_tiny(run)
    print(lowered)
    """
    for p in [script(code, folder) for _ in range(3)]:
        finished(p)
    check_tiny(program("race", never)[0])
    assert not list(folder.glob("*.partial"))


def index(folder) -> Path:
    return next(folder.glob("*.json"))


def library(folder) -> Path:
    return folder / json.loads(index(folder).read_text())["content"]["library"]


def truncate(folder):
    path = library(folder)
    data = path.read_bytes()
    path.unlink()  # whoever has it loaded keeps what they have
    path.write_bytes(data[: len(data) // 2])


def tamper(folder):
    path = library(folder)
    data = bytearray(path.read_bytes())
    path.unlink()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def rewrite(folder, change, consistent):
    record = json.loads(index(folder).read_text())
    change(record["content"])
    if consistent:
        record["sha256"] = cache._checksum(cache._text(record["content"]))
    index(folder).write_text(json.dumps(record))


DAMAGE = {
    "truncated library": truncate,
    "changed library": tamper,
    "no library": lambda f: library(f).unlink(),
    "empty library": lambda f: (library(f).unlink(), library(f).touch()),
    "garbage": lambda f: index(f).write_bytes(b"\x00\xff{{{"),
    "empty description": lambda f: index(f).write_text(""),
    "no object": lambda f: index(f).write_text("[1, 2]"),
    "half a description": lambda f: index(f).write_text(index(f).read_text()[:200]),
    "wrong checksum": lambda f: rewrite(f, lambda c: c.update(sha256="0" * 64), True),
    "changed description": lambda f: rewrite(f, lambda c: c["arguments"][0].update(ndim=7), False),
    "unknown field": lambda f: rewrite(f, lambda c: c["arguments"][0].update(odd=7), True),
    "missing field": lambda f: rewrite(f, lambda c: c.pop("routine"), True),
    "unknown routine": lambda f: rewrite(f, lambda c: c.update(routine="nowhere"), True),
    "path elsewhere": lambda f: rewrite(f, lambda c: c.update(library="../../etc/passwd"), True),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_noticed_and_repaired(folder, kind):
    program("tiny", tiny)
    DAMAGE[kind](folder)
    run, lowered = program("tiny", tiny)
    assert lowered
    check_tiny(run)
    again, lowered = program("tiny", never)
    assert not lowered
    check_tiny(again)


@pytest.mark.parametrize("chosen", ["", "0", "off"])
def test_nothing_is_kept_if_nothing_shall_be(tmp_path, monkeypatch, chosen, recwarn):
    monkeypatch.setenv("SEISOPS_CACHE", chosen)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        run, lowered = program("tiny", tiny)
        assert lowered
        check_tiny(run)
    assert not list(tmp_path.iterdir()) and not recwarn.list


def test_a_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEISOPS_CACHE", "programs")
    assert program("tiny", tiny)[1]
    check_tiny(program("tiny", never)[0])
    assert list((tmp_path / "programs").glob("*.json"))


def works_without(text):
    """Programs are made, and one warning says why they are not kept."""
    with pytest.warns(RuntimeWarning, match=text) as caught:
        for _ in range(2):
            run, lowered = program("tiny", tiny)
            assert lowered
            check_tiny(run)
    assert len([w for w in caught if "compiled programs" in str(w.message)]) == 1


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720])
def test_a_directory_that_others_can_write_to(folder, mode):
    folder.mkdir()
    folder.chmod(mode)
    works_without("others can write to it")
    assert not list(folder.iterdir())


def test_a_directory_of_somebody_else(folder, monkeypatch):
    folder.mkdir()
    owner = os.getuid()
    monkeypatch.setattr(cache.os, "getuid", lambda: owner + 1)
    works_without("belongs to another user")


def test_no_directory(folder):
    folder.write_text("a file")
    works_without("not kept")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_that_is_read_only(folder):
    folder.mkdir(mode=0o500)
    works_without("not kept")


def test_a_full_disk(folder, monkeypatch):
    def replace(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "replace", replace)
    works_without("No space left")
    assert not list(folder.iterdir())


def test_compiling_takes_no_room_in_the_folder(folder, monkeypatch):
    """So that where the folder's disk is full, but not that of temporary files, all works but keeping."""
    seen = []
    compile_ = module._compile
    monkeypatch.setattr(module, "_compile", lambda c, s, where: seen.append(where) or compile_(c, s, where))
    program("tiny", tiny)
    assert seen and folder not in seen[0].parents


def test_no_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "/nowhere/cc")
    with pytest.raises(RuntimeError, match="no C compiler"):
        module._compile(devito.arch.compiler.CustomCompiler(name="custom"), "", tmp_path)


def test_a_text_that_does_not_compile(tmp_path):
    with pytest.raises(RuntimeError, match="the C compiler failed"):
        module._compile(tiny()._compiler, "int f( {", tmp_path)


# ---- texts of equations


def changed(**options):
    return describe(equations(Template(**{"ndim": 2, "space_order": 4, "dtype": "float32", **options})))


def test_a_text_determines_equations():
    text = changed()
    assert changed() == text
    assert len({text, changed(dtype="float64"), changed(space_order=8), changed(ndim=3)}) == 4
    t = small()
    u = t.field("u")
    one, two = devito.Eq(u.forward, u.dx), devito.Eq(u.forward, u.dx(x0=t.dimensions[0] + t.dimensions[0].spacing / 2))
    assert str(one.lhs) == str(two.lhs) and describe([one]) != describe([two])
    assert describe([one]) != describe([devito.Inc(u.forward, u.dx)])
    assert describe([one]) != describe([devito.Eq(u.forward, u.dx, implicit_dims=t.when(2))])
    x = t.dimensions[0]
    above = [devito.CustomDimension("above", symbolic_min=1, symbolic_max=n, symbolic_size=n) for n in (2, 3)]
    assert len({describe([devito.Eq(u.subs(x, -a), u.subs(x, a))]) for a in above}) == 2


@pytest.mark.parametrize(
    ("tune", "cpu", "flags", "expected"),
    [
        ("znver3", ["avx2", "avx512f"], ["-march=native", "-O3"], True),
        ("znver4", ["avx2", "avx512f"], ["-march=native", "-O3"], False),
        ("znver3", ["avx2"], ["-march=native", "-O3"], False),
        ("znver3", ["avx2", "avx512f"], ["-march=x86-64-v3", "-O3"], False),
    ],
)
def test_a_compiler_that_takes_the_processor_for_an_older_one(tmp_path, monkeypatch, tune, cpu, flags, expected):
    compiler = tmp_path / "cc"
    compiler.write_text(f"#!/bin/sh\necho '  -mtune=                     \t\t{tune}'\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(module, "get_cpu_info", lambda: {"flags": cpu})
    module._tuning.cache_clear()
    try:
        assert bool(module._tuning(str(compiler), *flags)) is expected
    finally:
        module._tuning.cache_clear()
