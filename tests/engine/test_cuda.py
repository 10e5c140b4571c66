"""Pieces as CUDA kernels: compiled for the processor and held against its own loops, whatever order threads come in."""

import gc
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
from cuda_on_host import Host
from test_pieces import KINDS, SHAPE, arrays_of, expressions, grid_assignment, maker

import seisops as so
from seisops.engine import backend
from seisops.engine.backend import cuda
from seisops.engine.backend.abreast import abreast, together
from seisops.engine.backend.arguments import Table
from seisops.engine.backend.cpu import Program
from seisops.engine.backend.launches import Item, deferred, sections
from seisops.engine.lower.loop import Loop, Made
from seisops.engine.lower.nodes import Index, Load, Rule, Statement, summed
from seisops.engine.lower.piece import Array, End, Piece
from seisops.engine.symbols.names import PREFIX
from seisops.engine.symbols.template import Template
from seisops.errors import ParameterError
from seisops.wave.sampling import ways

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")

FORWARD, BACKWARD, SCATTERED = range(3)


@pytest.fixture
def host(kernels, settled, monkeypatch):
    """A device named "host" that stands for a graphics processor."""
    out, real = Host(kernels, SCATTERED), backend.device
    monkeypatch.setattr(backend, "device", lambda name: out if name == "host" else real(name))
    gc.collect()  # operators of another test
    so.memory.forget()  # and what they ran on
    return out


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("order", [FORWARD, BACKWARD, SCATTERED])
@pytest.mark.parametrize("deep", [1, 6])
def test_expressions_are_those_of_the_processor(kernels, monkeypatch, ndim, order, deep):
    """What occurs in wave equations and what is harder, each as a piece of one and the same time loop."""
    monkeypatch.setattr("seisops.engine.backend.cuda.DEEP", deep)
    monkeypatch.setattr("seisops.engine.backend.cuda.MANY", 10)
    t = Template(ndim, 4, "float64")
    numbers = {"dt": 0.3, **{d.spacing.name: 1.5 for d in t.dimensions}}
    cut = (slice(t.space_order, -t.space_order),) * ndim
    given = {
        n: np.ascontiguousarray(a[(..., *cut)] if a.ndim >= ndim else a[cut[:1]])
        for n, a in arrays_of(t, 2 * t.space_order).items()
    }
    outs, one = [f"out{n}" for n in range(len(KINDS))], maker(t)
    written = zip(outs, expressions(t).values(), strict=True)
    made = Made(tuple(one.piece(grid_assignment(t.image(out), expr)) for out, expr in written))
    given |= {name: c.values(given, numbers) for name, c in one.constancy.found.items()}
    axes, found = [d.name for d in t.dimensions], []
    for compiled in (Program, Host(kernels, order).compile):
        arrays = given | {PREFIX + out: np.full(SHAPE[ndim], np.nan) for out in outs}
        compiled(Loop(lambda: made, axes, "float64"))(arrays, SHAPE[ndim], numbers, (0, 0))
        found.append([arrays[PREFIX + out] for out in outs])
    for kind, one, other in zip(KINDS, *found, strict=True):
        assert np.allclose(one, other, rtol=1e-12, atol=1e-12 * np.abs(one).max()), kind


TILTED = dict(epsilon=0.2, delta=0.1, theta=0.3)
CASES = {
    "surface": ((20, 17), dict(rho=1500.0), so.PML(cells=3), True, "rho", so.storage.Full(), "float64"),
    "made again": ((22, 19), {}, so.PML(cells=3), False, "m", so.storage.Boundary(), "float64"),
    "some steps": ((20, 17), {}, None, False, "m", so.storage.Subsampled(every=2), "float32"),
    "tilted": ((20, 17), TILTED, None, False, "theta", so.storage.Full(), "float64"),
    "in parts": ((9, 8, 10), {}, so.PML(cells=2), False, "m", so.storage.Checkpointed(n=2), "float64"),
}


@pytest.mark.parametrize("name", CASES)
def test_solves_are_those_of_the_processor(host, name):
    """Data, adjoints, Born data and images, with all that a layer, a surface and storage make of a time loop."""
    shape, more, boundary, surface, wrt, storage, dtype = CASES[name]
    grid, rng = so.Grid(shape, 10.0), np.random.default_rng(0)
    vp, far, found = rng.uniform(1500.0, 2500.0, shape), np.array(grid.extent)[:, 1], []
    for device in ("cpu", "host"):
        waves = so.Wavefield(grid, so.Time(25, 0.002), dtype=dtype, device=device)
        Pr = so.Projection(waves, [0.2 * far, 0.77 * far, 0.5 * far + 3], interpolation="linear")
        medium = (so.TTI if more is TILTED else so.Acoustic)(grid, vp=vp, **more)
        A = so.Modeling(waves, medium, boundary, surface, space_order=4)
        F = Pr * A * so.Projection(waves, [0.6 * far + 1], interpolation="linear").H
        q, y = F.domain.random(1), F.range.random(2)
        J = so.Jacobian(F, q, wrt=wrt, storage=storage)
        found.append((F @ q, F.H @ y, J @ J.domain.random(3), J.H @ y))
    assert host.launched > 100
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    for one, other in zip(*found, strict=True):
        assert np.linalg.norm(one - other) < tolerance * np.linalg.norm(one)


@pytest.mark.parametrize("storage", [so.storage.Full(), so.storage.Boundary(), so.storage.Checkpointed(n=2)], ids=str)
def test_shots_are_marched_abreast(host, storage):
    """By launches in common, as far as they are alike; their numbers are those of one by one, to every bit."""
    grid, points = so.Grid((22, 19), 10.0), [[(50.0, 60.0)], [(105.0, 63.0)], [(150.0, 40.0)], [(40.0, 33.0)]]
    waves = so.Wavefield(grid, so.Time(25, 0.002), shots=4, dtype="float64", device="host")
    heard = [[(50.0, 100.0), (120.0, 90.0)]] * 3 + [[(99.0, 99.0)]]  # other numbers of points, and of taps
    vp = np.random.default_rng(0).uniform(1500.0, 2500.0, grid.shape)
    A = so.Modeling(waves, so.Acoustic(grid, vp=vp), so.PML(cells=3), space_order=4)
    F = so.Projection(waves, heard) * A * so.Projection(waves, points).H
    q, y, found, launched = F.domain.random(1), F.range.random(2), [], []
    for host.concurrency in (1, 4):
        host.launched = host.abreast = 0
        J = so.Jacobian(F, q, storage=storage)
        found.append((F @ q, F.H @ y, J @ J.domain.random(3), J.H @ y))
        launched.append(host.launched)
        assert host.abreast == host.concurrency
    assert launched[1] < 0.3 * launched[0]
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


def test_threads_apply_one_operator_at_once(host):
    """Each with a crew of its own."""
    grid = so.Grid((22, 19), 10.0)
    waves = so.Wavefield(grid, so.Time(25, 0.002), shots=2, dtype="float64", device="host")
    A = so.Modeling(waves, so.Acoustic(grid, vp=2000.0), so.PML(cells=3), space_order=4)
    F = so.Projection(waves, [(50.0, 100.0)]) * A * so.Projection(waves, [(105.0, 63.0)]).H
    q = F.domain.random(1)
    wanted = F @ q
    with ThreadPoolExecutor(3) as threads:
        for found in [threads.submit(lambda: F @ q) for _ in range(12)]:
            assert np.array_equal(found.result(), wanted)


def test_what_is_wrong_is_seen(host, monkeypatch):
    """Of all that depends on each other in one launch, and of temporaries that are too small."""
    found = []
    for device in ("cpu", "host"):
        waves = so.Wavefield(so.Grid((20, 17), 10.0), so.Time(25, 0.002), dtype="float64", device=device)
        A = so.Modeling(waves, so.Acoustic(waves.grid, vp=2000.0, rho=1500.0), so.PML(cells=3), space_order=4)
        F = so.Projection(waves, [(100.0, 100.0)]) * A * so.Projection(waves, [(50.0, 50.0)]).H
        if device == "host":
            monkeypatch.setattr(cuda, "arrangements", lambda items, related: [[[[item] for item in items]]])
        found.append(F @ F.domain.random(1))
    one, other = found
    assert not np.linalg.norm(one - other) < 1e-6 * np.linalg.norm(one)
    monkeypatch.undo()
    monkeypatch.setattr(backend, "device", lambda name: host)
    so.memory.forget()
    monkeypatch.setattr(host, "empty", lambda shape, dtype: host._array((shape[0] - 1, *shape[1:]), dtype, np.nan))
    with pytest.raises(AssertionError):
        F.at(vp=2001.0) @ F.domain.random(1)


def test_who_leaves_a_crew_is_not_waited_for():
    """Threads that come to other calls, to fewer, or to none; what a call raises is raised by all that wait for it."""
    made = []

    def work(number):
        for k in range(number):  # thread 0 comes to none
            together(k if number < 4 else -k - 1, number, lambda numbers: made.append(sorted(numbers)))
        if number == 5:
            together("bad", number, lambda numbers: 1 / 0)
        return number

    assert list(abreast(work, 5, 5)) == [0, 1, 2, 3, 4]
    assert sorted(made) == [[1, 2, 3], [2, 3], [3], [4], [4], [4], [4]]
    with pytest.raises(ZeroDivisionError):
        list(abreast(work, 6, 3))
    together("alone", 7, made.append)
    assert made[-1] == [7]


def test_a_crew_that_nobody_asks_is_done():
    """Who asks no more, or runs out of threads, waits for no calls that would still come."""
    calls, many = [], 10**5

    def work(number):
        for _ in range(many if number else 0):
            together("all", number, calls.append)

    found = abreast(work, 3, 3)
    next(found)
    found.close()
    assert len(calls) < many


def test_a_crew_that_is_not_complete_is_not_waited_for(monkeypatch):
    """Of threads that cannot be started: those that are there would wait for them."""
    submit, caught = ThreadPoolExecutor.submit, []

    def some(threads, work, number, crew):
        if number == 2:
            raise RuntimeError("can't start new thread")
        return submit(threads, work, number, crew)

    def ask():
        try:
            list(abreast(lambda number: together("all", number, caught.append), 3, 3))
        except RuntimeError as error:
            caught.append(str(error))

    monkeypatch.setattr(ThreadPoolExecutor, "submit", some)
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(30.0)
    assert caught == ["can't start new thread"]


def test_cells_of_sections_are_those_of_their_items():
    """Every cell of every item is in one section with all items of that cell, in their order."""

    def inside(cell, box):
        return all(first <= c < end for c, (first, end) in zip(cell, box, strict=True))

    rng = np.random.default_rng(0)
    for ndim in (1, 2, 3) * 5:
        ends = np.sort(rng.integers(0, 9, (6, ndim, 2)), axis=-1) + (0, 1)
        family = [Item(None, n, tuple(map(tuple, box))) for n, box in enumerate(ends.tolist())]
        stacks = {}
        for cell in np.ndindex(*[10] * ndim):
            if there := [item.stage for item in family if inside(cell, item.box)]:
                stacks[cell] = there
        found = {}
        for section in sections(family):
            for box in section.boxes:
                for cell in np.ndindex(*(b - a for a, b in box)):
                    at = tuple(c + a for c, (a, _) in zip(cell, box, strict=True))
                    assert at not in found
                    found[at] = [item.stage for item in section.items if inside(at, family[item.stage].box)]
                    assert not section.whole or len(found[at]) == len(section.items)
        found = {at: stack for at, stack in found.items() if stack}
        assert found == stacks


def test_images_with_lags_are_those_of_the_processor(host):
    grid, found = so.Grid((24, 19), 10.0), []
    vp = np.random.default_rng(0).uniform(1500.0, 2500.0, grid.shape)
    for device in ("cpu", "host"):
        waves = so.Wavefield(grid, so.Time(25, 0.002), dtype="float64", device=device)
        Pr, Ps = so.Projection(waves, [(40.0, 50.0), (155.0, 90.0)]), so.Projection(waves, [(120.0, 60.0)])
        F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=vp), so.PML(cells=3), space_order=4) * Ps.H
        q, lags = F.domain.random(1), {"x": range(-8, 9, 4), "z": range(-1, 2)}
        whole, again = (so.Jacobian(F, q, lags=lags, storage=s) for s in (so.storage.Full(), so.storage.Boundary()))
        y = F.range.random(2)
        found.append((whole @ whole.domain.random(3), whole.H @ y, again.H @ y))
    assert host.launched > 100
    for one, other in zip(*found, strict=True):
        assert np.linalg.norm(one - other) < 1e-12 * np.linalg.norm(one)


def test_windows_of_a_survey_are_solved_where_it_is_asked_for(host):
    grid = so.Grid((20, 17), 10.0)
    survey = so.Survey.from_arrays([[(50.0, 50.0)]], [[(100.0, 100.0)]], so.Time(25, 0.002))
    found = []
    for device in ("cpu", "host"):
        F = survey.modeling(so.Acoustic(grid, vp=2000.0), 200.0, None, dtype="float64", device=device)
        q = F.domain.random(1)
        found.append((F @ q, F.jacobian(q).H @ F.range.random(2)))
    assert host.launched > 20 and survey.waves(grid, device="host").device == "host"
    for one, other in zip(*found, strict=True):
        assert np.linalg.norm(one - other) < 1e-12 * np.linalg.norm(one)
    with pytest.raises(ParameterError, match="device='gpu'"):
        survey.modeling(so.Acoustic(grid, vp=2000.0), device="gpu")


def test_what_is_done_late_stays_in_its_order():
    """Of points that are read, and what is read of those."""

    def reads(source, target):
        at = Load(target, None, (Index("row"),)), Load(source, None, (Index("row"),))
        arrays = {name: Array(name, (None,)) for name in (source, target)}
        return Piece(("row", "tap"), (), (Statement(*at, True),), arrays, ("points", "taps"))

    pieces = reads("u", "a"), reads("a", "b"), reads("u", "c")
    found = deferred(pieces, 1, lambda order: -sum(p.behind for p in order))
    assert [p.behind for p in found] == [1, 1, 1] and [p.arrays for p in found] == [p.arrays for p in pieces]


@pytest.mark.parametrize("rho", [None, 1000.0])
@pytest.mark.parametrize("shape", [(60, 50), (60, 50, 40)])
def test_launches_are_few(host, monkeypatch, shape, rho):
    """Acoustic waves: points are read with the next step, strips of a layer go along with the grid or with each other."""
    taken = []
    monkeypatch.setattr(host, "function", lambda source: source)  # none is run
    monkeypatch.setattr(host, "march", lambda step, after, table, steps: taken.append((len(step), len(after))))
    waves = so.Wavefield(so.Grid(shape, 10.0), so.Time(11, 0.002), device="host")
    far = np.array(waves.grid.extent)[:, 1]
    A = so.Modeling(waves, so.Acoustic(waves.grid, vp=2000.0, rho=rho), space_order=8)
    F = so.Projection(waves, [0.2 * far]) * A * so.Projection(waves, [0.6 * far]).H
    F @ F.domain.random(0)
    F.H @ F.range.random(0)
    # of the adjoint with density, layers come before what is divided by it; what is read of the last step comes after it
    assert taken == [(3, 2), (3 if rho is None else 4, 2)]


def test_arguments_that_are_too_many_are_those_of_more_kernels(host, monkeypatch):
    """Sections of a launch, and what is done one after the other in the cells of one, are launched in turn."""
    few, found, made, function = 250, [], [], host.function

    def compiled(source):
        made[-1].append(source.count("(block < blocks"))
        return function(source)

    monkeypatch.setattr(host, "function", compiled)
    for device, most in (("cpu", few), ("host", few), ("host", cuda.ARGUMENTS)):
        made.append([])
        monkeypatch.setattr(cuda, "ARGUMENTS", most)
        so.memory.forget()
        waves = so.Wavefield(so.Grid((20, 17), 10.0), so.Time(25, 0.002), dtype="float64", device=device)
        A = so.Modeling(waves, so.Acoustic(waves.grid, vp=2000.0), space_order=4)
        F = so.Projection(waves, [(100.0, 100.0)]) * A * so.Projection(waves, [(50.0, 50.0)]).H
        found += [F @ F.domain.random(1), F.H @ F.range.random(2)]
    for one, other in zip(found[:2] * 2, found[2:], strict=True):
        assert np.linalg.norm(one - other) < 1e-12 * np.linalg.norm(one)
    _, small, large = made
    assert len(small) >= 2 * len(large) and max(small) < max(large)


@pytest.mark.parametrize("component", ["p", "vz"])
@pytest.mark.parametrize("nbytes", [1, 2000])
def test_snapshots_are_summed_where_waves_are(host, monkeypatch, component, nbytes):
    """Blocks of steps, and products of matrices between them.

    Of three time levels, what is read of the last step of a block backward comes with one that is none, number -1.
    """
    monkeypatch.setattr(ways, "BLOCK_BYTES", nbytes)
    grid, found = so.Grid((20, 17), 10.0), []
    medium = so.Acoustic(grid, vp=2000.0) if component == "p" else so.Elastic(grid, vp=2000.0, vs=1000.0, rho=1000.0)
    for device in ("cpu", "host"):
        waves = so.Wavefield(grid, so.Time(25, 0.002), dtype="float64", device=device)
        A = so.Modeling(waves, medium, boundary=None, space_order=4)
        Ps = so.Projection(waves, [[50.0, 50.0]], component=component)
        F = so.Snapshots(waves, waves.time.samples[4::4], component=component) * A * Ps.H
        found.append((F @ F.domain.random(0), F.H @ F.range.random(1)))
    for a, b in zip(*found, strict=True):
        assert np.linalg.norm(a - b) < 1e-12 * np.linalg.norm(a)


@pytest.mark.parametrize("storage", [so.storage.Full(), so.storage.Checkpointed(n=2)])
def test_derivatives_by_signals_are_those_of_the_processor(host, storage):
    """Of three time levels, in parts of a march: one row is read of each step, those at which parts begin among them."""
    grid, found = so.Grid((20, 17), 10.0), []
    for device in ("cpu", "host"):
        waves = so.Wavefield(grid, so.Time(24, 0.001), dtype="float64", device=device)
        medium = so.TTI(grid, vp=2000.0, epsilon=0.2, delta=0.1, theta=0.3)
        A = so.Modeling(waves, medium, None, space_order=4)
        F = so.Projection(waves, [(50.0, 60.0)]) * A * so.Projection(waves, [(90.0, 60.0)]).H
        at = so.Parametric(F, wrt="m", storage=storage).linearize(np.full(grid.shape, 2.5e-7), F.domain.random(0))
        found.append(at.pullback(F.range.random(1)))
    for one, other in zip(*found, strict=True):
        assert np.linalg.norm(one - other) < 1e-12 * np.linalg.norm(one)


def test_a_plan_serves_any_number_of_points(host, monkeypatch):
    """More shots than plans are remembered of, each with its own number of receivers; launched in common, and one by one."""
    plans, plan, shots = [], cuda.Program._plan, 2 * cuda.MOST
    monkeypatch.setattr(cuda.Program, "_plan", lambda *args: (plans.append(1), plan(*args))[1])
    grid, found = so.Grid((20, 17), 10.0), []
    receivers = [np.random.default_rng(n).uniform(0, 160, (n + 1, 2)) for n in range(shots)]
    for device, most in (("cpu", 1), ("host", 64), ("host", 1)):
        monkeypatch.setattr(type(host), "concurrency", most)
        waves = so.Wavefield(grid, so.Time(6, 0.002), dtype="float64", device=device, shots=shots)
        Pr, Ps = so.Projection(waves, receivers), so.Projection(waves, [(50.0, 60.0)])
        F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=2000.0), None, space_order=4) * Ps.H
        found.append((np.concatenate([*(F @ F.domain.random(0))]), F.H @ F.range.random(1)))
    assert len(plans) == 2  # of F and of its adjoint
    for one, other in zip(found[0] * 2, [*found[1], *found[2]], strict=True):
        assert np.linalg.norm(one - other) < 1e-12 * np.linalg.norm(one)


def test_arrays_with_fewer_entries_than_steps_are_refused(kernels):
    """Before a kernel would write beyond them."""
    place, grid = (Index("x"), Index("y")), (End(0), End(0, True))
    copied = Statement(Load("h", Rule("row"), place), summed({(Load("b", None, place),): sympy.Integer(1)}), False)
    arrays = {name: Array(name, ((0, End(0)), (1, End(0)))) for name in "hb"}
    made = Made((Piece(("x", "y"), (grid, grid), (copied,), arrays),))
    run = Host(kernels, FORWARD).compile(Loop(lambda: made, ("x", "y"), "float64"))
    given = {"b": np.ones((6, 5)), "h": np.zeros((3, 6, 5))}
    with pytest.raises(ValueError, match="h is too small.*entries for 4 steps"):
        run(given, (6, 5), {}, (0, 3))
    assert not given["h"].any()
    run(given, (6, 5), {}, (0, 2))
    assert given["h"].all()


def test_entries_come_round():
    """Time levels in turn, an entry for each step, or for every third; for two shots."""
    rules = np.array([(2, 1, 3), (2**32 - 1, 1, 2**31 - 1), (0, 3, 2**31 - 1)], np.uint32)
    table = Table(np.array([[(0, 8)] * 3, [(100, 8), (200, 8), (300, 16)]], np.uint64), rules)
    assert table.at(1, 1).tolist() == [[1, 1, 0, 0, 0], [1, 1, 100, 200, 300]]
    assert table.at(7, 1).tolist() == [[7, 1, 0, 48, 16], [7, 1, 100, 248, 332]]


def test_devices_that_are_not_there():
    grid, time = so.Grid((20, 20), 10.0), so.Time(5, 0.001)
    with pytest.raises(ParameterError, match='device="cuda:7"'):
        so.Wavefield(grid, time, device="cuda:7")
    for wrong in ("gpu", ["cuda"], "cuda:", "cuda:-1", "cuda:\N{ARABIC-INDIC DIGIT THREE}", "cuda:0 "):
        with pytest.raises(ParameterError, match=re.escape(f'device={str(wrong)!r}: use "cpu", "cuda"')):
            so.Wavefield(grid, time, device=wrong)


def test_devices_of_torch_are_known_by_their_names():
    torch = pytest.importorskip("torch")
    assert backend.device(torch.device("cpu")) is backend.CPU
    with pytest.raises(ParameterError, match='device="cuda:7"'):
        backend.device(torch.device("cuda:7"))


def test_cupy_without_the_rest_of_cuda(monkeypatch):
    """Packages of CuPy bring no compiler: who asks for a device is told, not who multiplies later."""

    def version():
        raise RuntimeError('Failure finding "libnvrtc.so.13"')

    runtime = SimpleNamespace(getDeviceCount=lambda: 1, CUDARuntimeError=RuntimeError)
    nvrtc = SimpleNamespace(getVersion=version)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime, nvrtc=nvrtc)))
    with pytest.raises(
        ParameterError, match=r"needs the compiler and the libraries of CUDA.*cupy-cuda12x\[ctk\].*libnvrtc"
    ):
        cuda.Cuda()
    monkeypatch.setattr(nvrtc, "getVersion", lambda: (13, 0))
    assert cuda.Cuda().name == "cuda:0"
