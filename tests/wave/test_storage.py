"""Storage policies: each with its class of exactness, its memory and its cost, as they say themselves."""

import errno
import math
import os
import pickle
import re
from dataclasses import dataclass, replace
from functools import cache
from itertools import zip_longest

import numpy as np
import pytest
from cases import BOUNDARIES, TOLERANCE, world
from registry import POLICIES, example, layout, least, policies, whole

import seisops as so
from seisops.check import dot_test, taylor_test
from seisops.engine.kernel import Kernel
from seisops.errors import ParameterError, UnfusedError
from seisops.wave.sampling.imaging import Imaging
from seisops.wave.solver import KernelMarch
from seisops.wave.storage import schedule
from seisops.wave.storage.background import Checkpoints, Whole
from seisops.wave.storage.layout import Layout
from seisops.wave.storage.policies import (
    Auto,
    Boundary,
    Checkpointed,
    Compressed,
    Disk,
    Fourier,
    Full,
    Host,
    Probed,
    Subsampled,
    policy,
)
from seisops.wave.storage.pool import Pool

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")


def imaging(op):
    """The imaging condition in a Jacobian."""
    (found,) = (leaf for leaf in op._operator.leaves() if isinstance(leaf, Imaging))
    return found


#: Policies that change no bit of a derivative; those that do, with how far they may be from the exact products.
EXACT = {name: kept.make for name, kept in POLICIES.items() if not kept.error}
APPROXIMATE = {
    name: (kept.make(None, None), kept.error) for name, kept in POLICIES.items() if kept.kind.exactness == "approximate"
}

FEW = ("checkpoints", "one copy", "disk", "auto, none held")


def source(w, F=None):
    """A ricker wavelet in each trace, of different strength."""
    F = F or w.F
    pulse = so.ricker(w.time, f0=25.0, delay=0.03)
    return (pulse * np.arange(1, F.domain.size // w.time.n + 1)[:, None]).reshape(F.domain.shape)


def products(J, dm, y):
    return J @ dm, J.H @ y


@cache
def exact(w, wrt="m"):
    """The Jacobian with everything in memory, and its products."""
    J = so.Jacobian(w.F, source(w), wrt=wrt, storage=Full())
    dm, y = J.domain.random(1), J.range.random(2)
    return J, dm, y, products(J, dm, y)


def relative(a, b):
    return np.linalg.norm(np.ravel(a - b)) / np.linalg.norm(np.ravel(b))


def same(found, wanted):
    return all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True)) and all(np.any(b) for b in wanted)


# ---- sizes


def test_histories_are_as_many_as_the_page_says(root):
    """The table in ``docs/storage.rst``, in two dimensions."""
    text = (root / "docs/storage.rst").read_text(encoding="utf-8").partition(".. _storage-sizes:")[2]
    text = text.partition("At the edges")[0]
    rows = re.findall(r"^   \* - ``(\w+)\((.*)\)``\n     - (.*)\n     - (.*)\n", text, re.MULTILINE)
    values = dict(vp=2000.0, vs=1000.0, rho=2000.0, epsilon=0.2, delta=0.1, theta=0.3, qp=50.0, qs=40.0)
    waves = so.Wavefield(so.Grid((40, 36), 10.0), so.Time(5, 0.002))
    for kind, given, by, arrays in rows:
        given = given.split(", ")
        f0 = {"f0": 10.0} if kind.startswith("Visco") else {}
        medium = getattr(so, kind)(waves.grid, **{name: values[name] for name in given}, **f0)
        solver, counts = so.Modeling(waves, medium).solver, [int(one.split(", ")[0]) for one in arrays.split("; ")]
        for group, count in zip_longest(by.split("; "), counts, fillvalue=counts[-1]):
            together = re.search(r"\bwith\b|\ball\b|\bboth\b", group)
            asked = [(name,) for name in re.findall(r"``(\w+)``", group.partition("with")[0])]
            for wrt in [*asked, *([tuple(given)] if together else [])]:
                coefficients = tuple(sorted({c for name in wrt for c in medium.derivatives(name, wrt)}))
                assert len(solver.layout(coefficients, Full().keep).shapes) == count, (kind, wrt)
    assert len({kind for kind, *_ in rows}) == 6 and len(rows) > 10


# ---- exactness


def test_every_policy_is_registered():
    missing = sorted(kind.__qualname__ for kind in policies() - {kept.kind for kept in POLICIES.values()})
    assert not missing, f"add an example of {', '.join(missing)} to tests/registry.py"


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_is_what_it_says(name, tmp_path):
    """An exact pair, as far from the derivative as its class of exactness says; it holds what it says, and lets go."""
    w, kept = world(), POLICIES[name]
    storage = kept.make(w, tmp_path)
    assert kept.kind is type(policy(storage))
    assert policy(storage).exactness == (
        "approximate" if kept.error > 1e-10 else "exact to rounding" if kept.error else "exact"
    )
    full, *_ = exact(w)
    # something that waves of this length see, and data of it
    x, z = np.meshgrid(*(np.linspace(0, 1, n) for n in w.grid.shape), indexing="ij")
    dm = np.exp(-((x - 0.5) ** 2 + (z - 0.5) ** 2) / 0.1)
    y = full @ dm
    wanted = products(full, dm, y)
    J = so.Jacobian(w.F, source(w), storage=storage)
    assert J.held_bytes == 0
    found = products(J, dm, y)
    for a, b in zip(found, wanted, strict=True):
        assert relative(a, b) <= kept.error
    held = J.held_bytes
    assert held == sum(b.nbytes for b in imaging(J)._kept.values()) and held <= policy(storage).budget("cpu")
    again = products(J, dm, y)
    close = kept.error if kept.kind is Boundary else 0  # its first wavefield is that of the march which records it
    assert all(relative(a, b) <= close for a, b in zip(again, found, strict=True))
    J.forget()
    assert J.held_bytes == J.spare_bytes == 0
    for other in (
        J,
        pickle.loads(pickle.dumps(J)),
        so.Jacobian(w.F, J.q, storage=replace(policy(storage), keep_bytes=0)),
    ):
        assert all(relative(a, b) <= close for a, b in zip(products(other, dm, y), found, strict=True))
    same_as_full = so.inversion.fingerprint(J) == so.inversion.fingerprint(full)
    assert same_as_full == (policy(storage).exactness == "exact")


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_gives_an_exact_pair(name, dtype, tmp_path):
    w = world(dtype=dtype)
    J = so.Jacobian(w.F, source(w), storage=POLICIES[name].make(w, tmp_path))
    for _ in range(2):  # of what is held, too
        assert dot_test(J) < TOLERANCE[dtype] * (10 if J.policy.exactness == "exact to rounding" else 1)


@pytest.mark.parametrize("name", EXACT)
def test_exact_policies_change_no_bit(name, tmp_path):
    w = world()
    storage = EXACT[name](w, tmp_path)
    _, dm, y, wanted = exact(w)
    J = so.Jacobian(w.F, source(w), storage=storage)
    for _ in range(2):
        assert same(products(J, dm, y), wanted)
    assert dot_test(J) < TOLERANCE["float64"]
    # backward first; after forgetting; elsewhere
    J = so.Jacobian(w.F, source(w), storage=storage)
    assert same((J.H @ y, J @ dm), wanted[::-1])
    J.forget()
    assert J.held_bytes == 0 and same((J.H @ y,), wanted[1:])
    assert same(products(pickle.loads(pickle.dumps(J)), dm, y), wanted)


@pytest.mark.parametrize("name", EXACT)
def test_exact_policies_in_a_nonlinear_map(name, tmp_path):
    w = world()
    q, y = source(w), exact(w)[2]
    found = []
    for storage in (Full(), EXACT[name](w, tmp_path)):
        G = so.Parametric(w.F, storage=storage)
        with G.linearize(w.medium.m, q) as at:
            found.append((at.value, *at.pullback(y), *at.pullback(2 * y)))
    assert same(*found[::-1])


@pytest.mark.parametrize("name", FEW)
def test_taylor_expansion(name, tmp_path):
    w = world()
    G = so.Parametric(w.F, storage=EXACT[name](w, tmp_path))
    rng = np.random.default_rng(3)
    dm = rng.uniform(-1.0, 1.0, w.grid.shape) * w.medium.m.max()
    q = source(w)
    result = taylor_test(G, (w.medium.m, q), (dm, 0 * q), steps=(1e-2, 5e-3, 2.5e-3))
    assert all(1.9 < rate < 2.1 for rate in result.rates), result


WORLDS = {
    "substeps": {"substeps": True},
    "free surface": {"surface": True},
    "density": {"density": True, "boundary": "none"},
    "three dimensions": {"ndim": 3, "boundary": "none"},
    "single precision": {"dtype": "float32"},
}


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("options", WORLDS.values(), ids=WORLDS)
def test_worlds(options, name, tmp_path):
    w, wrt = world(**options), ("m", "rho") if options.get("density") else "m"
    storage = EXACT[name](w, tmp_path)
    if isinstance(storage, Checkpointed) and storage.bytes:
        sizes = layout(w, ("b", "m") if options.get("density") else ("m",))
        storage = Checkpointed(bytes=sizes.buffer_bytes(sizes.unit) + sizes.state_bytes)
    _, dm, y, wanted = exact(w, wrt)
    J = so.Jacobian(w.F, source(w), wrt=wrt, storage=storage)
    for _ in range(2):
        assert same(products(J, dm, y), wanted)
    assert dot_test(J) < TOLERANCE[w.dtype]


@dataclass(frozen=True)
class OfFactors(Full):
    """The factors themselves, as policies keep them that do not give back what they were given."""

    fields = False


#: Media of which fields are kept, in place of factors that are made of them at several times; and parameters.
OF_FIELDS = {
    "viscoacoustic": (so.ViscoAcoustic, ("vp", "qp")),
    "anisotropic": (so.TTI, ("vp", "epsilon", "delta")),
    "tilted": (so.TTI, ("vp", "epsilon", "delta", "theta")),
}
WITH_FIELDS = {
    "none held": lambda sizes, path: Full(keep_bytes=0),
    "subsampled": lambda sizes, path: Subsampled(every=1),
    "checkpoints": lambda sizes, path: Checkpointed(),
    "three checkpoints": lambda sizes, path: Checkpointed(n=3),
    "one copy": lambda sizes, path: Checkpointed(bytes=sizes.buffer_bytes(sizes.unit) + sizes.state_bytes),
    "part of the history": lambda sizes, path: Checkpointed(bytes=sizes.whole_bytes * 3 // 4),
    "disk": lambda sizes, path: Disk(path),
    "auto, none held": lambda sizes, path: Auto(keep_bytes=0),
}


@cache
def of_fields(name, surface=False):
    """A solve in such a medium, its source, and its parameters."""
    w, (kind, wrt) = world(surface=surface), OF_FIELDS[name]
    medium = example(kind, w.grid, wrt)
    A = so.Modeling(w.waves, medium, boundary=BOUNDARIES["pml"], free_surface=surface, space_order=w.order)
    return w, w.Pr * A * w.Ps.H, wrt


@pytest.mark.parametrize("surface", [False, True], ids=["", "free surface"])
@pytest.mark.parametrize("name", OF_FIELDS)
def test_fields_in_place_of_factors(name, surface):
    """Fewer arrays, of which the same is made again, to rounding."""
    w, F, wrt = of_fields(name, surface)
    fields, factors = (so.Jacobian(F, source(w, F), wrt, storage=s) for s in (Full(), OfFactors()))
    few, many = (so.plan(J, trial=False).history_bytes for J in (fields, factors))
    assert few < 0.9 * many
    dm, y = fields.domain.random(1), fields.range.random(2)
    for found, wanted in zip(products(fields, dm, y), products(factors, dm, y), strict=True):
        assert relative(found, wanted) < 1e-12
    assert dot_test(fields) < TOLERANCE["float64"] and dot_test(factors) < TOLERANCE["float64"]


@pytest.mark.parametrize("name", OF_FIELDS)
@pytest.mark.parametrize("storage", WITH_FIELDS)
def test_fields_change_no_bit(storage, name, tmp_path):
    """Wherever segments begin: what precedes them is what it was."""
    w, F, wrt = of_fields(name)
    full = so.Jacobian(F, source(w, F), wrt, storage=Full())
    layout = imaging(full).source.layout(imaging(full).coefficients, Full().keep)
    assert layout.before == 2
    dm, y = full.domain.random(1), full.range.random(2)
    J = so.Jacobian(F, source(w, F), wrt, storage=WITH_FIELDS[storage](layout, tmp_path))
    for _ in range(2):
        assert same(products(J, dm, y), products(full, dm, y))
    assert dot_test(J) < TOLERANCE["float64"]


def test_what_precedes_a_segment_counts(monkeypatch):
    """The checks themselves: segments that begin with nothing before them are noticed."""
    w, F, wrt = of_fields("anisotropic")
    full, parts = (so.Jacobian(F, source(w, F), wrt, storage=s) for s in (Full(), Checkpointed(n=3)))
    y = full.range.random(2)
    wanted = full.H @ y
    assert same((parts.H @ y,), (wanted,))
    monkeypatch.setattr(
        KernelMarch, "_begin", lambda self, given: [a.__setitem__(slice(h.before), 0) for h, a in given]
    )
    assert relative(so.Jacobian(F, source(w, F), wrt, storage=Checkpointed(n=3)).H @ y, wanted) > 1e-3


def test_fields_beside_blocks_of_a_wavefield():
    """Where the march goes on block by block, all of them look back."""
    w, F, wrt = of_fields("viscoacoustic")
    snaps = so.Snapshots(w.waves, w.time.samples[[9, 14]])
    F = snaps * so.fuse(F).propagator * w.Ps.H
    for storage in (Full(), Checkpointed(n=3)):
        J = so.Jacobian(F, source(w, F), wrt, storage=storage)
        assert dot_test(J) < TOLERANCE["float64"]
        G = so.Parametric(F, wrt, storage=storage)
        medium = J.F.propagator.medium
        with G.linearize(*(medium.get(n) for n in wrt), source(w, F)) as at:
            y = F.range.random(2)
            both = np.stack(at.pullback(y)[: len(wrt)])
        assert relative(both, J.H @ y) < 1e-12


@pytest.mark.parametrize("name", APPROXIMATE)
def test_factors_are_kept_where_they_change(name):
    """Rounded or projected, they are as exact as their policy says; what is made of rounded fields is not."""
    storage, _ = APPROXIMATE[name]
    assert storage.keep.fields == (storage.keep.every == 1 and isinstance(storage, Subsampled))


EXPRESSIONS = {
    "extended source": lambda w: w.extended,
    "two sources and two sets of receivers": lambda w: so.VStack(
        [w.Pr * w.A * w.Ps.H, w.points(1, 6) * w.A * (2.0 * w.Ps.H)]
    ),
    "ragged shots": lambda w: so.Projection(w.waves, [[[60.0, 55.0]], [[30.0, 90.0], [200.0, 41.0]]]) * w.A * w.Ps.H,
    "data at every point": lambda w: w.A * w.Ps.H,
    "stacks": lambda w: w.Pw * w.A * w.Ps.H,
}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions(expression, tmp_path):
    w = world(boundary="none")
    F = EXPRESSIONS[expression](w)
    q = F.domain.random(4)
    full = so.Jacobian(F, q, storage=Full())
    dm, y = full.domain.random(1), full.range.random(2)
    wanted = products(full, dm, y)
    for storage in (Checkpointed(), Checkpointed(bytes=least(w, 1)), Disk(tmp_path), Auto(keep_bytes=0)):
        J = so.Jacobian(F, q, storage=storage)
        assert same(products(J, dm, y), wanted)
        assert same(products(J, dm, y), wanted)
    # of the value too, when it is read while the background is made
    values = []
    for storage in (Full(), Checkpointed(n=3)):
        with so.Parametric(F, storage=storage).linearize(w.medium.m, q) as at:
            values.append((at.value, *at.pullback(y)))
    assert same(*values)


@pytest.mark.parametrize("name", APPROXIMATE)
def test_approximate_policies_are_exact_pairs_near_the_derivative(name):
    storage, bound = APPROXIMATE[name]
    w = world()
    J = so.Jacobian(w.F, source(w), storage=storage)
    assert storage.exactness == "approximate" and Full().exactness == Checkpointed().exactness == "exact"
    full, *_ = exact(w)
    # something that waves of this length see, and data of it
    x, z = np.meshgrid(*(np.linspace(0, 1, n) for n in w.grid.shape), indexing="ij")
    dm = np.exp(-((x - 0.5) ** 2 + (z - 0.5) ** 2) / 0.1)
    y = full @ dm
    for found, wanted in zip(products(J, dm, y), products(full, dm, y), strict=True):
        assert 0 < relative(found, wanted) < bound
    assert dot_test(J) < TOLERANCE["float64"]
    assert np.array_equal(J @ dm, J @ dm)


def test_probing_is_right_in_the_mean():
    w = world()
    _, dm, y, wanted = exact(w)
    errors = {}
    totals = [0.0, 0.0]
    for seed in range(32):
        J = so.Jacobian(w.F, source(w), storage=Probed(r=8, seed=seed))
        totals = [t + p for t, p in zip(totals, products(J, dm, y), strict=True)]
        errors[seed + 1] = [relative(t / (seed + 1), e) for t, e in zip(totals, wanted, strict=True)]
    first = np.mean([errors[1], errors[2]])
    # over n seeds the error falls as the square root of n
    assert np.mean(errors[32]) < first / 3
    assert relative(products(so.Jacobian(w.F, source(w), storage=Probed(r=512)), dm, y)[1], wanted[1]) < first / 3


@pytest.mark.parametrize("name", ["checkpoints", "one copy", "16 bits"])
def test_second_order(name, tmp_path):
    """Gradients of gradients: exact where the policy is, and symmetric."""
    w = world()
    storage = APPROXIMATE[name][0] if name in APPROXIMATE else EXACT[name](w, tmp_path)
    if name == "one copy":  # of the larger history of a field and its derivative
        storage = Checkpointed(bytes=3 * least(w, 1))
    q, rng = source(w), np.random.default_rng(0)
    dx, z = ((w.medium.m * rng.uniform(-0.1, 0.1, w.grid.shape), 0 * q) for _ in range(2))
    y = exact(w)[2]
    full, G = (so.Parametric(w.F, storage=s) for s in (Full(), storage))
    wanted, found = (g.second((w.medium.m, q), dx, y) for g in (full, G))
    if name in EXACT:
        assert same(found, wanted)
    else:
        assert 0 < relative(found[0], wanted[0]) < 1e-2
    by_dx, by_z = np.vdot(found[0], z[0]), np.vdot(G.second((w.medium.m, q), z, y)[0], dx[0])
    assert abs(by_dx - by_z) < (1e-10 if name in EXACT else 1e-2) * abs(by_dx)


def test_in_a_network():
    torch = pytest.importorskip("torch")
    w = world()
    q, y = torch.from_numpy(source(w)), torch.from_numpy(exact(w)[2])
    grads = []
    for storage in (Full(), Checkpointed()):
        m = torch.from_numpy(w.medium.m.copy()).requires_grad_()
        (so.torch.lift(so.Parametric(w.F, storage=storage))(m, q) * y).sum().backward()
        grads.append(m.grad.numpy())
    assert same(grads[:1], grads[1:])


def test_a_shifted_history_is_noticed(monkeypatch):
    """The checks themselves: a segment whose history is off by one step on the way back fails them."""
    w = world()
    run = Checkpoints._run

    def shifted(self, march, k, arrays):
        segment = run(self, march, k, arrays)
        if k == 1:
            for a in segment.histories:
                a[1:] = a[:-1].copy()
        return segment

    J = so.Jacobian(w.F, source(w), storage=Checkpointed(n=3))
    dm, y = J.domain.random(1), J.range.random(2)
    J @ dm
    monkeypatch.setattr(Checkpoints, "_run", shifted)
    G = so.Parametric(w.F, storage=Checkpointed(n=3))
    direction = w.medium.m * np.random.default_rng(0).uniform(-1, 1, w.grid.shape)
    result = taylor_test(G, (w.medium.m, source(w)), (direction, 0 * source(w)), steps=(1e-3, 5e-4, 2.5e-4))
    assert result.rates[-1] < 1.9
    forward = J @ dm
    monkeypatch.setattr(Checkpoints, "_run", run)
    assert abs(np.vdot(forward, y) - np.vdot(dm, J.H @ y)) > 1e-6 * np.linalg.norm(forward) * np.linalg.norm(y)


# ---- cost and memory


@pytest.fixture
def solves(monkeypatch):
    """Solves, forward and backward, that something takes, in units of all time steps."""
    marched, run = [], Kernel.run

    def counting(self, shape, spacing, dt, steps, arrays, bounds, *rest, **named):
        marched.append((self.marched.direction, steps[1] - steps[0] + 1))
        return run(self, shape, spacing, dt, steps, arrays, bounds, *rest, **named)

    monkeypatch.setattr(Kernel, "run", counting)

    def count(what, w):
        marched.clear()
        what()
        n = w.A.discretisation.steps
        return sum(m for d, m in marched if d > 0) / n + sum(m for d, m in marched if d < 0) / (n + 1)

    return count


@pytest.mark.parametrize("name", EXACT)
def test_cost(name, solves, tmp_path):
    w = world()
    storage = EXACT[name](w, tmp_path)
    p = so.plan(w.F, storage, trial=False)
    _, dm, y, _ = exact(w)
    fresh = so.Jacobian(w.F, source(w), storage=storage)
    other = so.Jacobian(w.F, source(w), storage=storage)
    assert solves(lambda: fresh @ dm, w) == pytest.approx(p.solves("J dm")[1])
    assert solves(lambda: fresh @ dm, w) == pytest.approx(p.solves("J dm")[0])
    assert solves(lambda: other.H @ y, w) == pytest.approx(p.solves("J.H d")[1])
    assert solves(lambda: other.H @ y, w) == pytest.approx(p.solves("J.H d")[0])
    G = so.Parametric(w.F, storage=storage)

    def gradient():
        with G.linearize(w.medium.m, source(w)) as at:
            at.pullback(y)

    assert solves(gradient, w) == pytest.approx(p.solves("gradient of full-waveform inversion")[0])


MEMORY = {
    "whole": (Full(), lambda s, w: s.whole_bytes),
    "every fourth": (Subsampled(4), lambda s, w: (s.steps // 4 + 1) * s.entry_bytes),
    "checkpoints": (Checkpointed(n=3), lambda s, w: 3 * s.state_bytes),
    "on the host": (Host(), lambda s, w: s.whole_bytes),
    "16 bits": (Compressed(), lambda s, w: s.whole_bytes // 4 + (s.steps + 1) * s.itemsize),
    "frequencies": (Fourier((10.0, 40.0)), lambda s, w: 4 * s.entry_bytes),
    "with the mean": (Fourier((0.0, 40.0)), lambda s, w: 3 * s.entry_bytes),
    "probed": (Probed(5), lambda s, w: 5 * s.entry_bytes),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", MEMORY)
def test_memory_is_what_the_formula_says(name, threads, monkeypatch):
    storage, formula = MEMORY[name]
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    w = world()
    taken, take = [], Pool.take

    def counting(self, shapes, dtype, what, cure):
        arrays = take(self, shapes, dtype, what, cure)
        taken.append(arrays)
        return arrays

    monkeypatch.setattr(Pool, "take", counting)
    J = so.Jacobian(w.F, source(w), storage=storage)
    J @ J.domain.random(1)
    J.H @ J.range.random(1)
    backgrounds = imaging(J)._kept.values()
    assert [b.nbytes for b in backgrounds] == w.shots * [formula(layout(w), w)]
    assert J.held_bytes == sum(b.nbytes for b in backgrounds)
    used = sum(a.nbytes for a in {id(a): a for arrays in taken for a in arrays}.values())
    working = max(b.working_bytes for b in backgrounds)
    assert J.held_bytes + working <= used <= J.held_bytes + threads * working  # shots are made side by side


def arrays_of(background):
    return sum(a.nbytes for arrays in (*background._states.values(), *background._kept.values()) for a in arrays)


@pytest.mark.parametrize("nbytes", [0.3, 0.5, 0.75, 0.9])
def test_checkpoints_take_what_they_may(nbytes):
    w = world()
    allowed = int(nbytes * whole(w))
    J = so.Jacobian(w.F, source(w), storage=Checkpointed(bytes=allowed))
    J.H @ J.range.random(0)
    J.H @ J.range.random(0)
    for background in imaging(J)._kept.values():
        assert arrays_of(background) == background.nbytes
        assert background.nbytes + background.working_bytes <= allowed
    assert J.held_bytes + J.spare_bytes <= w.shots * allowed


def test_the_default_is_the_least_for_one_more_solve():
    s = Layout(2000, 1, 6, ((200, 100),), "float32", 1e-3, ((2, 216, 116), (1, 216, 30)))
    least = schedule.leanest(s)
    needed = least.held_bytes(s) + least.working_bytes(s)
    assert least.again_forward(s) == least.again_backward(s) == 1
    assert needed == pytest.approx(2 * math.sqrt(s.steps * s.state_bytes * s.entry_bytes), rel=0.05)
    assert needed < 0.08 * s.whole_bytes
    assert schedule.within(s, needed).again_backward(s) == 1 < schedule.within(s, needed - 1).again_backward(s)


@pytest.mark.parametrize("every", [1, 4])
def test_schedules_follow_their_budget(every):
    s = Layout(1001, every, 12, ((60, 50), (76, 66)), "float64", 1e-3, ((2, 76, 66),))
    shares = np.geomspace(s.buffer_bytes(12) / s.whole_bytes * 1.01, 0.99, 12)
    costs = []
    for share in shares:
        allowed = int(share * s.whole_bytes)
        found = schedule.within(s, allowed)
        assert found.held_bytes(s) + found.working_bytes(s) <= allowed
        costs.append(found.again_backward(s))
    assert costs[-1] < 0.2 and costs == sorted(costs, reverse=True)
    with pytest.raises(UnfusedError, match="shortest segment"):
        schedule.within(s, s.buffer_bytes(12) - 1)


@cache
def optimal(segments, copies):
    """The recursion that Griewank & Walther's formula solves."""
    if segments == 1:
        return 1
    if not copies:
        return segments * (segments + 1) // 2
    return min(m + optimal(segments - m, copies - 1) + optimal(m, copies) for m in range(1, segments))


def test_copies_are_placed_as_by_revolve():
    for segments in range(1, 40):
        for copies in range(8):
            assert schedule.marches(segments, copies) == optimal(segments, copies)
            assert schedule._steps([1] * segments, 0, segments, copies) == optimal(segments, copies)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.2, 1.7, 2.1])
def test_auto_never_holds_more_than_its_budget(share):
    w = world()
    budget = int(share * whole(w))
    J = so.Jacobian(w.F, source(w), storage=Auto(keep_bytes=budget))
    for _ in range(2):
        J @ J.domain.random(0)
        assert J.held_bytes <= budget
        J.H @ J.range.random(0)
        assert J.held_bytes <= budget
    kinds = [type(b) for b in imaging(J)._kept.values()]
    assert kinds.count(Whole) == (2 if share > 2 else 1 if share > 1.5 else kinds.count(Whole))
    assert share < 2 or kinds == [Whole, Whole]


def test_auto_leaves_memory_to_others(monkeypatch):
    """What is free counts too, not the budget alone."""
    w = world()
    so.memory.forget()  # what is spare here from before counts as free
    free = type("Free", (), {"available": int(1.2 * whole(w))})
    monkeypatch.setattr("seisops.wave.storage.pool.psutil.virtual_memory", lambda: free)
    _, dm, y, wanted = exact(w)
    J = so.Jacobian(w.F, source(w))
    assert same(products(J, dm, y), wanted)
    for background in imaging(J)._kept.values():
        assert isinstance(background, Checkpoints) and background.nbytes + background.working_bytes < whole(w)


# ---- disk


def test_files_have_no_name_and_go(tmp_path):
    w = world()
    J = so.Jacobian(w.F, source(w), storage=Disk(tmp_path))
    J @ J.domain.random(0)
    assert J.held_bytes == 0 and not any(tmp_path.iterdir())
    files = [b.codec._file for b in imaging(J)._kept.values()]
    assert [os.fstat(f.fileno()).st_size for f in files] == 2 * [whole(w)]
    J.forget()
    assert all(f.closed for f in files)


def test_a_full_disk(tmp_path, monkeypatch):
    w = world()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    J = so.Jacobian(w.F, source(w), storage=Disk(tmp_path))
    with pytest.raises(UnfusedError, match="No space left.*another directory"):
        J @ J.domain.random(0)


def test_a_missing_directory(tmp_path):
    w = world()
    J = so.Jacobian(w.F, source(w), storage=Disk(tmp_path / "nowhere"))
    with pytest.raises(ParameterError, match="nowhere.*a directory that exists"):
        J @ J.domain.random(0)


# ---- what cannot be

WRONG = {
    "both": (lambda: Checkpointed(n=3, bytes=10), "one of them"),
    "count": (lambda: Checkpointed(n=-1), "at least 0"),
    "bytes": (lambda: Checkpointed(bytes=0), "at least 1"),
    "bits": (lambda: Compressed(bits=12), "16 or 8"),
    "directory": (lambda: Disk(""), "give a directory"),
    "nothing": (lambda: Fourier(()), "one frequency or more"),
    "one number": (lambda: Fourier(10.0), "one frequency or more"),
    "negative": (lambda: Fourier((-10.0,)), "not negative"),
    "probes": (lambda: Probed(r=0), "at least 1"),
    "seed": (lambda: Probed(seed=None), "seed"),
    "keep": (lambda: Auto(keep_bytes=-1), "keep_bytes"),
    "name": (lambda: world().jacobian(storage="fourier"), "'auto'"),
    "class": (lambda: world().jacobian(storage=Full), "'auto'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    make, message = WRONG[name]
    with pytest.raises(ParameterError, match=message):
        make()


FREQUENCIES = {
    "beyond Nyquist": ((10.0, 250.0), "250 Hz is not below the Nyquist frequency.*250 Hz at a step of 0.002 s"),
    "too close": ((40.0, 45.0), "40 and 45 Hz cannot be told apart.*0.092 s.*10.8696 Hz apart"),
    "too low": ((3.0, 40.0), "3 Hz cannot be told from 0.*at least 5.43478 Hz"),
    "too close to the mean": ((0.0, 3.0), "0 and 3 Hz cannot be told apart"),
    "twice": ((40.0, 40.0), "40 and 40 Hz"),
}


@pytest.mark.parametrize("name", FREQUENCIES)
def test_frequencies_that_cannot_be(name):
    frequencies, message = FREQUENCIES[name]
    J = world().jacobian(storage=Fourier(frequencies))
    with pytest.raises(ParameterError, match=message):
        J @ J.domain.random(0)


def test_too_little_memory():
    w = world()
    J = w.jacobian(storage=Checkpointed(bytes=1000))
    with pytest.raises(UnfusedError, match="shortest segment alone takes"):
        J @ J.domain.random(0)


def test_no_memory(monkeypatch):
    w = world()
    free = type("Free", (), {"available": 1000})
    J = w.jacobian(storage=Full())
    monkeypatch.setattr("seisops.wave.storage.pool.psutil.virtual_memory", lambda: free)
    with pytest.raises(UnfusedError, match="background wavefield of one shot.*storage='auto'"):
        J @ J.domain.random(0)
