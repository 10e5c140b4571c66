"""Storage policies where waves are on a device: in its memory, or from there to that of the host and back."""

import gc
import re
from collections import Counter
from functools import cached_property

import numpy as np
import pytest
from cases import TOLERANCE, World
from cuda_on_host import GUARD
from device_arrays import Walled, crossed, known, ndarray
from registry import POLICIES, layout, whole

import seisops as so
from seisops.check import dot_test
from seisops.engine import backend
from seisops.errors import UnfusedError
from seisops.wave.sampling.imaging import Imaging
from seisops.wave.storage import background, policies
from seisops.wave.storage.background import Checkpoints, Streamed, Whole
from seisops.wave.storage.codecs import Integers
from seisops.wave.storage.layout import Layout, Segment
from seisops.wave.storage.policies import Auto, Checkpointed, Compressed, Fourier, Full, Host, Probed, policy
from seisops.wave.storage.pool import Pool

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning", "ignore::seisops.DispersionWarning")


class Card(Walled):
    """A device with a memory of its own, of so many bytes.

    What is copied crosses at once, or as late as it may: both have to do.
    """

    late, memory = False, 2**40

    @property
    def free_bytes(self):
        return self.memory

    def copy(self, source, target):
        assert isinstance(source, ndarray) != isinstance(target, ndarray)
        assert source.shape == target.shape and source.flags.c_contiguous and target.flags.c_contiguous
        if self.late:
            return lambda: super(Card, self).copy(source, target)
        return super().copy(source, target)


class Counted(Card):
    """One that knows what is taken."""

    @property
    def taken(self):
        return sum(m.nbytes - 2 * GUARD for m in (m() for m in self._memory) if m is not None)

    @property
    def free_bytes(self):
        return max(0, self.memory - self.taken)


class On(World):
    """A world on a device."""

    device = "cpu"

    @cached_property
    def waves(self):
        return so.Wavefield(self.grid, self.time, shots=self.shots, dtype=self.dtype, device=self.device)


class OnCard(On):
    device = "host"


@pytest.fixture
def card(kernels, settled, monkeypatch, request):
    """A device named "host" that stands for a graphics processor."""
    out, real = getattr(request, "param", Card)(kernels, order=2), backend.device
    monkeypatch.setattr(backend, "device", lambda name: out if name == "host" else real(name))
    gc.collect()  # operators of another test
    so.memory.forget()  # and what they ran on
    with known():
        yield out


@pytest.fixture
def short(monkeypatch):
    """Blocks of few steps, so that small histories have several."""
    for module in (background, policies):
        monkeypatch.setattr(module, "SEGMENT_BYTES", 2**15)
    monkeypatch.setattr(background.Background, "BLOCK_BYTES", 2**15)


def source(w):
    n = w.F.domain.size // w.time.n
    return (so.ricker(w.time, f0=25.0, delay=0.03) * np.arange(1, n + 1)[:, None]).reshape(w.F.domain.shape)


def made(w, storage):
    J = so.Jacobian(w.F, source(w), storage=storage)
    return J, J.domain.random(1), J.range.random(2)


def products(J, dm, y):
    """Twice: what is kept is met again."""
    return J @ dm, J.H @ y, J @ dm, J.H @ y


def imaging(J):
    (found,) = (leaf for leaf in J._operator.leaves() if isinstance(leaf, Imaging))
    return found


def kept(J):
    return list(imaging(J)._kept.values())


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


#: Rounding of the history, which may differ in the last bit, may go the other way at an entry or two.
ROUNDED = {"16 bits": 1e-6, "8 bits": 1e-4}


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_is_that_of_the_processor(name, card, short, tmp_path):
    """The same products, and as much that is held; what it does to derivatives is the same on a device."""
    found = []
    for w in (On(), OnCard()):
        storage = POLICIES[name].make(w, tmp_path)
        J, dm, y = made(w, storage)
        found.append((*products(J, dm, y), J.held_bytes if policy(storage).keep_bytes is not None else 0))
    assert card.launched > 100
    *one, held = found[0]
    *other, there = found[1]
    assert held == there or POLICIES[name].kind is Host
    for a, b in zip(one, other, strict=True):
        assert relative(b, a) < ROUNDED.get(name, 1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    "name", ["on the host", "disk", "16 bits", "a few frequencies", "probed", "checkpoints", "every second"]
)
def test_products_are_exact_pairs(name, dtype, card, short, tmp_path):
    w = OnCard(dtype=dtype)
    J = so.Jacobian(w.F, source(w), storage=POLICIES[name].make(w, tmp_path))
    assert dot_test(J) < TOLERANCE[dtype]


# ---- what stays on the device


@pytest.mark.parametrize("storage", [Compressed(), Compressed(bits=8), Fourier((11.0, 33.0)), Probed(8)], ids=str)
def test_codes_are_made_where_waves_are(storage, card, short):
    """Nothing crosses that does not cross when histories are whole; what is kept is memory of the device."""
    moved = []
    for one in (Full(), storage):
        J, dm, y = made(OnCard(), one)
        crossed.clear()
        products(J, dm, y)
        moved.append(sorted(crossed))
    more = Counter(moved[1]) - Counter(moved[0])
    assert all(way == "in" and len(shape) == 2 and shape[1] <= 8 for way, shape in more)  # functions of time
    codecs = [b.codec for b in kept(J)]
    assert len(codecs) == 2
    arrays = [
        a for c in codecs for a in ([*c._coefficients] if hasattr(c, "basis") else sum((*c._codes, *c._steps), ()))
    ]
    assert all(isinstance(a, ndarray) for a in arrays) and J.held_bytes == sum(a.nbytes for a in arrays)
    J.forget()
    assert J.held_bytes == J.spare_bytes == 0


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("bits", [8, 16])
def test_integers_are_the_same_to_the_bit(bits, dtype, card, monkeypatch):
    """Scales and integers of one history, by the processor and on a device, entry by entry or all at once."""
    sizes = Layout(9, 1, 1, ((30, 20), (34, 24)), dtype, 1e-3, ())
    rng, found = np.random.default_rng(0), []
    given = [rng.standard_normal((10, *shape)).astype(dtype) * 10.0 ** rng.integers(-9, 9) for shape in sizes.shapes]
    given[0][3] = 0
    for on, piece in (("cpu", 1), ("cpu", 2**20), ("host", 2**24)):
        monkeypatch.setattr("seisops.wave.storage.codecs.PIECE_BYTES", piece)
        pool = Pool(0, on)
        codec = Integers(sizes, bits, pool)
        codec.start()
        codec.put(0, Segment(0, 9, tuple(pool.on.to_device(a, dtype) for a in given)))
        back = pool.take([a.shape for a in given], dtype, "", "")
        codec.get(0, Segment(0, 9, back))
        found.append([getattr(a, "inside", a) for a in (*codec._codes[0], *codec._steps[0], *back)])
    for others in found[1:]:
        for a, b in zip(found[0], others, strict=True):
            assert a.dtype == b.dtype and np.array_equal(a, b)
    codes, *_, back = found[0]
    assert codes.dtype == f"int{bits}" and np.abs(codes[[0, 1, 2, 4]]).max(axis=(1, 2)).min() == 2 ** (bits - 1) - 1
    assert not codes[3].any() and np.abs(back - given[1]).max() <= 0.51 * np.abs(given[1]).max() / (2 ** (bits - 1) - 1)


# ---- memory of the host


@pytest.mark.parametrize("late", [False, True], ids=["copied at once", "copied late"])
@pytest.mark.parametrize("keep", [0, 1, 2])
def test_histories_on_the_host_change_no_bit(keep, late, card, short):
    """Whether copies end at once, or no sooner than they are waited for; and whoever is kept."""
    w, card.late = OnCard(), late
    J, dm, y = made(w, Full())
    wanted = products(J, dm, y)
    there = so.Jacobian(w.F, source(w), storage=Host(keep_bytes=keep * 3 * whole(w) // 2))
    for a, b in zip(products(there, dm, y), wanted, strict=True):
        assert np.array_equal(a, b) and b.any()
    assert len(kept(there)) == keep
    # never more of the device than two blocks for each shot that is under way
    assert all(isinstance(b, Streamed) and len(b._segments) > 3 for b in kept(there))
    sizes = layout(w)
    assert there._pool.peak <= w.shots * 2 * sizes.buffer_bytes(sizes.unit) < w.shots * whole(w) / 2
    assert {b.host_bytes for b in kept(there)} <= {b.nbytes for b in kept(there)}
    arrays = [a for b in kept(there) for arrays in b._kept for a in arrays]
    assert all(isinstance(a, np.ndarray) for a in arrays) and there.held_bytes == sum(a.nbytes for a in arrays)
    assert there.spare_bytes > 0 or keep == 2
    there.forget()
    assert there.held_bytes == there.spare_bytes == 0


def test_copies_overlap_with_marches(card, short):
    """One segment is on its way while the next is marched, and not two."""
    w, card.late = OnCard(shots=1), True
    open_, most, copy = set(), [], card.copy

    def counted(source, target):
        wait, me = copy(source, target), object()
        open_.add(me)
        return lambda: (open_.discard(me), wait())

    card.copy, march = counted, card.march
    card.march = lambda *given: (most.append(len(open_)), march(*given))
    J, dm, y = made(w, Host())
    J.H @ y
    assert max(most) == 1 and most.count(1) > len(most) / 2 and not open_


def test_of_the_processor_it_is_full():
    w = On()
    J, dm, y = made(w, Host())
    full, *_ = made(w, Full())
    assert all(np.array_equal(a, b) for a, b in zip(products(J, dm, y), products(full, dm, y), strict=True))
    assert {type(b) for b in kept(J)} == {Whole} and Host().exactness == "exact"
    assert {k.way for k in so.plan(w.F, Host(), trial=False).backgrounds} == {"whole"}


def test_an_interrupted_product_leaves_nothing_under_way(card, short):
    """Memory is handed in when copies have ended, not before."""
    w, card.late = OnCard(), True
    J, dm, y = made(w, Host())
    J.H @ y
    segments = kept(J)[0].backward()
    next(segments)
    first = J._pool.peak
    segments.close()
    assert J.H @ y is not None and J._pool.peak == first


# ---- what there is room for


def test_auto_holds_what_the_device_has_room_for(card):
    w, size = OnCard(), whole(OnCard())
    assert Auto().budget("host") == 2**40 and Auto().budget("cpu") == 2**31 and Auto(keep_bytes=7).budget("host") == 7
    for memory, ways in ((20 * size, [Whole, Whole]), (1.2 * size, [Checkpoints] * 2)):
        card.memory = int(memory)
        J, dm, y = made(w, "auto")
        J.H @ y
        assert [type(b) for b in kept(J)] == ways
        del J
        so.memory.forget()


REFUSED = {
    "whole": (lambda path: Full(), 0.7, "kept whole, needs"),
    "too few bits": (lambda path: Compressed(), 0.2, "kept in 16 bits, needs"),
    "functions": (lambda path: Probed(40), 0.7, "kept as 40 functions of time, needs"),
    "checkpoints": (lambda path: Checkpointed(n=20), 0.7, "kept 7 checkpoints, needs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_before_the_march(name, card, tmp_path):
    make, share, message = REFUSED[name]
    w = OnCard()
    w.F @ source(w)  # compiled, and laid out
    J, dm, y = made(w, make(tmp_path))
    card.memory, card.launched = int(share * whole(w)), 0
    so.memory.STATES.clear()
    with pytest.raises(UnfusedError, match=message) as e:
        J.H @ y
    assert card.launched == 0 and J.held_bytes == 0
    said = str(e.value)
    assert f"but {card.memory / 2**30:.3g} GiB of the memory of host are free" in said


@pytest.mark.parametrize("card", [Counted], indirect=True)
@pytest.mark.parametrize("per_shot", [False, True])
@pytest.mark.parametrize("storage", [Full(keep_bytes=0), Checkpointed(), Host()], ids=str)
def test_no_more_shots_are_abreast_than_there_is_memory_for(storage, per_shot, card, short):
    """What goes one by one is not refused because several would go at once; with more memory, more go."""
    w = OnCard(shots=4)
    G = so.Parametric(w.F, storage=storage)
    G, m = (so.PerShot(G), np.stack([w.medium.m] * 4)) if per_shot else (G, w.medium.m)
    y, found, abreast, plan = w.F.range.random(2), [], [], so.plan(w.F, storage, trial=False)
    models = w.shots * plan.solve_bytes if per_shot else 0  # each has its own
    for room in (2**40, int(1.3 * plan.device_bytes) + models):
        so.memory.forget()
        gc.collect()
        card.memory = 2**40
        w.F @ source(w)  # compiled, and laid out
        so.memory.STATES.clear()
        card.memory, card.abreast = card.taken + room, 0
        with G.linearize(m, source(w)) as at:
            found.append(at.pullback(y)[0])
        abreast.append(card.abreast)
    assert np.array_equal(*found)
    assert abreast[0] == card.concurrency >= abreast[1]
    if storage == Full(keep_bytes=0):  # there is a history of each
        assert abreast[1] < card.concurrency


def test_a_refusal_says_what_would_do(card, short):
    w = OnCard()
    w.F @ source(w)
    J, dm, y = made(w, Full())
    card.memory = int(0.7 * whole(w))
    with pytest.raises(UnfusedError) as e:
        J.H @ y
    said = str(e.value)
    assert "Checkpointed() needs" in said
    assert "storage.Host() needs" in said and f"{whole(w) / 2**30:.3g} GiB of the host's memory" in said
    for storage in (Checkpointed(), Host(), "auto"):  # and it is true
        so.memory.forget()
        J, dm, y = made(w, storage)
        assert (J.H @ y).any()
    card.memory = 1000
    J, dm, y = made(w, Full())
    so.memory.forget()
    with pytest.raises(
        UnfusedError, match=r"a coarser grid, or a shorter record; .*Checkpointed\(\) would need [\d.e-]+ GiB$"
    ):
        J.H @ y


def test_a_solve_that_does_not_fit_is_refused(card):
    """Before it takes any: figures are those of what it would take."""
    message = r"a solve on host needs (\S+) GiB \(1,188 points .*float64\), but 9.31e-06 GiB .*device='cpu'"
    w, arrays, zeros = OnCard(shots=1), [], card.zeros
    card.zeros = lambda shape, dtype: arrays.append(zeros(shape, dtype)) or arrays[-1]
    w.F @ source(w)
    taken = sum(a.nbytes for a in arrays)
    card.memory, card.launched, w = 10_000, 0, OnCard(shots=1)
    with pytest.raises(UnfusedError, match=message) as e:
        w.F @ source(w)
    needed = float(re.search(message, str(e.value))[1]) * 2**30
    assert 0.7 * taken < needed < taken and card.launched == 0


def test_temporaries_count(card):
    """Of media with density there is one for each axis and more in a layer, in arrays as large as their boxes."""
    grid, time, rooms, empty = so.Grid((40, 30), 10.0), so.Time(6, 0.001), [], card.empty
    waves = so.Wavefield(grid, time, device="host")
    A = so.Modeling(waves, so.Acoustic(grid, vp=2000.0, rho=1000.0), so.PML(cells=8))
    F = so.Projection(waves, [(100.0, 60.0)]) * A * so.Projection(waves, [(150.0, 60.0)]).H
    card.empty = lambda shape, dtype: rooms.append(empty(shape, dtype)) or rooms[-1]
    F @ F.domain.random(0)
    taken = sum(a.nbytes for a in rooms if a.ndim == 2 and min(a.shape) > 1)
    assert A.solver.working_bytes == taken > 2 * 4 * 40 * 30
    levels = (
        (so.plan(F, trial=False).fields + 2) * A.discretisation.padding.shape[0] * A.discretisation.padding.shape[1] * 4
    )
    assert so.plan(F, trial=False).solve_bytes == levels + taken
    so.memory.forget()
    card.memory = levels + taken // 2
    with pytest.raises(UnfusedError, match="a solve on host needs"):
        A = so.Modeling(waves, so.Acoustic(grid, vp=2000.0, rho=1000.0), so.PML(cells=8))
        F = so.Projection(waves, [(100.0, 60.0)]) * A * so.Projection(waves, [(150.0, 60.0)]).H
        F @ F.domain.random(0)


def test_a_plan_says_what_the_device_has(card, short, monkeypatch):
    w = OnCard()
    size = whole(w)
    p = so.plan(w.F, Full(), trial=False)
    assert (p.device, p.free_bytes, p.advice) == ("host", 2**40, "")
    assert p.device_bytes == p.worker_bytes == p.solve_bytes + 2 * size
    assert "of the memory of host, 1.02e+03 GiB are free; of that a solve needs" in str(p)
    p = so.plan(w.F, Host(), trial=False)
    assert p.worker_bytes - p.device_bytes == sum(k.shots * k.host_bytes for k in p.backgrounds) >= 2 * size
    assert p.device_bytes < p.solve_bytes + 0.5 * size
    card.memory = p.solve_bytes + size
    p = so.plan(w.F, Full(), trial=False)
    assert "storage.Host() needs" in p.advice and f"too little: {p.advice}" in str(p)
    assert so.plan(w.F, Host(), trial=False).advice == so.plan(w.F, Checkpointed(), trial=False).advice == ""
    on_cpu = so.plan(On().F, Full(), trial=False)
    assert (on_cpu.device, on_cpu.advice, on_cpu.device_bytes) == ("cpu", "", on_cpu.worker_bytes)
    monkeypatch.setattr("seisops.wave.costs.TRIALS", (4, 24))  # steps
    assert so.plan(w.F).seconds > 0  # timed there


def test_windows_keep_theirs_on_the_device(card):
    survey = so.Survey.from_arrays([[(50.0, 50.0)]], [[(100.0, 100.0)]], so.Time(25, 0.002))
    F = survey.modeling(so.Acoustic(so.Grid((20, 17), 10.0), vp=2000.0), 200.0, None, dtype="float64", device="host")
    q, y = F.domain.random(1), F.range.random(2)
    for storage in ("auto", Full(), Host(), Compressed()):
        assert (F.jacobian(q, storage=storage).H @ y).any()
        G = F.as_map(storage=storage)
        with G.linearize(np.full((20, 17), 2000.0**-2), q) as at:
            assert at.pullback(y)[0].any()
