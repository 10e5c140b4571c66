"""Plans before a run: what they say is what happens."""

from dataclasses import replace

import numpy as np
import pytest
from cases import world

import seisops as so
from seisops.engine.kernel import Kernel
from seisops.wave.costs import Trial, Work
from seisops.wave.sampling.imaging import Imaging


@pytest.fixture
def counted(monkeypatch):
    """Solves that something takes: time steps, however many calls they are made in, in units of those of a solve."""
    marched, run = [], Kernel.run

    def counting(self, shape, spacing, dt, steps, arrays, bounds, *rest, **named):
        marched.append((len(self.marched.fields), self.marched.direction, steps[1] - steps[0] + 1))
        return run(self, shape, spacing, dt, steps, arrays, bounds, *rest, **named)

    monkeypatch.setattr(Kernel, "run", counting)

    def count(what, steps, fields):
        marched.clear()
        what()
        # backward there is one more; a field and its derivative together are two solves
        return sum(m / (steps + (direction < 0)) * n / fields for n, direction, m in marched)

    return count


POLICIES = {
    "0 whole": lambda size: so.storage.Full(keep_bytes=0),
    "1 whole": lambda size: so.storage.Full(keep_bytes=size),
    "2 whole": lambda size: so.storage.Full(keep_bytes=2 * size),
    "auto, nothing kept": lambda size: so.storage.Auto(keep_bytes=0),
    "auto, 1 whole": lambda size: so.storage.Auto(keep_bytes=3 * size // 2),
    "auto, 2 whole": lambda size: so.storage.Auto(keep_bytes=2 * size),
    "checkpoints": lambda size: so.storage.Checkpointed(n=3),
    "checkpoints, 1 shot kept": lambda size: so.storage.Checkpointed(n=1, keep_bytes=size // 4),
}


@pytest.mark.parametrize("name", POLICIES)
def test_solves_and_memory_are_those_of_the_run(counted, name):
    w = world()
    size = w.A.solver.layout(("m",)).whole_bytes
    storage = POLICIES[name](size)
    p = so.plan(w.F, storage, trial=False)
    assert p.history_bytes == size and p.seconds is None
    assert (p.cells, p.steps, p.shots) == (36 * 33, w.A.discretisation.steps, 2)
    if name[0].isdigit():
        assert p.kept == int(name[0])

    fields = len(w.A.solver.scheme.of(False).fields)
    J, G, q = w.jacobian(storage=storage), so.Parametric(w.F, storage=storage), w.F.domain.random(1)
    x, y = J.domain.random(2), J.range.random(3)

    def check(what, product, which=0):
        assert counted(product, p.steps, fields) == pytest.approx(p.solves(what)[which])

    def gradient():
        with G.linearize(w.medium.m, q) as at:
            at.pullback(y)

    check("F q, F.H d", lambda: w.F @ q)
    check("gradient of full-waveform inversion", gradient)
    check("J dm", lambda: J @ x, 1)
    check("J dm", lambda: J @ x)
    check("J.H d", lambda: J.H @ y)
    both = "iteration of least-squares migration"
    check(both, lambda: (J @ x, J.H @ y))
    fresh = w.jacobian(storage=storage)
    check(both, lambda: (fresh @ x, fresh.H @ y), 1)
    (imaging,) = (leaf for leaf in J._operator.leaves() if isinstance(leaf, Imaging))
    held = sum(b.nbytes for b in imaging._kept.values())
    working = max(k.working_bytes + (0 if k.held else k.held_bytes) for k in p.backgrounds)
    assert len(imaging._kept) == p.kept and p.worker_bytes == p.solve_bytes + held + working


@pytest.mark.parametrize("keep", [0, 2])
def test_solves_of_a_hessian(counted, keep):
    w = world()
    size = w.A.solver.layout(("m",)).whole_bytes
    storage = so.storage.Full(keep_bytes=2 * keep * size)
    p, G, q = so.plan(w.F, storage, trial=False), so.Parametric(w.F, storage=storage), w.F.domain.random(1)
    dx = (w.medium.m * 0.1, 0.1 * q)
    fields = len(w.A.solver.scheme.of(False).fields)
    found = counted(lambda: G.second((w.medium.m, q), dx, w.F.range.random(3)), p.steps, fields)
    assert found == pytest.approx(p.solves("Hessian times a vector, beyond Gauss-Newton")[0])


def test_a_plan_says_what_becomes_of_the_shots():
    w = world(shots=100)
    size = w.A.solver.layout(("m",)).whole_bytes
    p = so.plan(w.F, so.storage.Auto(keep_bytes=15 * size), workers=4, trial=False)
    whole, *_ = p.backgrounds
    assert whole.way == "whole" and whole.held and 5 < whole.shots < 15
    assert sum(k.shots for k in p.backgrounds) == p.kept == 25
    assert sum(k.shots * k.held_bytes for k in p.backgrounds) <= 15 * size
    assert p.worker_bytes <= p.solve_bytes + 15 * size + max(k.working_bytes for k in p.backgrounds)
    said = str(p)
    assert "auto, exact" in said and f"{whole.shots} of a worker's shots: whole" in said
    assert "checkpoint" in said and "solves beside its own: 1 in J, 1 in J.H" in said
    later, _ = p.solves("J.H d")
    assert 100 + 4 * (24 - whole.shots) <= later <= 100 + 4 * (25 - whole.shots)


def test_time_and_words():
    w = world()
    p = so.plan(w.F, so.storage.Subsampled(2), workers=3)
    built = Kernel.made
    assert so.plan(w.F, so.storage.Subsampled(2)).seconds > 0 and Kernel.made == built
    said = str(p)
    assert "2 shots on 3 workers" in said and "approximate" in said and "about" in said
    assert p.history_bytes < so.plan(w.F, trial=False).history_bytes and np.isfinite(p.seconds)


KEPT = {
    "kept": so.storage.Full(),
    "not kept": so.storage.Full(keep_bytes=0),
    "checkpoints": so.storage.Checkpointed(n=3),
}


@pytest.mark.parametrize("name", KEPT)
def test_times_count_what_derivatives_take_besides(name):
    """Of made-up times: what a gradient, J and J.H take beyond their solves stands in the sums."""
    p = so.plan(world().F, KEPT[name], trial=False)
    assert p.takes("F q, F.H d") is None and p.seconds is None
    timed = replace(p, trial=Trial(solve=1.0, gradient=0.75, born=0.25, image=0.5))
    shots, make = p.shots, 0 if p.kept else 1
    extra = {
        Work.MODELING: (0.0, 0.0),
        Work.MAP: (0.0, 0.0),
        Work.GRADIENT: (0.75, 0.75),
        Work.BORN: (0.25 + 0.25 * make, 0.5),
        Work.MIGRATION: (0.5 + 0.25 * make, 0.75),
        Work.LEAST_SQUARES: (0.75 + 0.5 * make, 1.0 + 0.25 * make),
    }
    for what, more in extra.items():
        expected = [solves + shots * beyond for solves, beyond in zip(p.solves(what), more, strict=True)]
        assert timed.takes(what) == pytest.approx(expected), what
    assert replace(timed, workers=2).takes(Work.GRADIENT)[0] < timed.takes(Work.GRADIENT)[0]
    assert timed.takes(Work.HESSIAN)[0] > p.solves(Work.HESSIAN)[0]


@pytest.mark.parametrize("storage", [so.storage.Full(), so.storage.Checkpointed(n=4)], ids=repr)
def test_what_is_planned_is_what_happens(monkeypatch, storage):
    """By a clock that ticks with each time step, and once more for each history that is written or read in it."""
    ticks, run = [], Kernel.run

    def counting(self, shape, spacing, dt, steps, arrays, bounds, *rest, **named):
        histories = sum(a.ndim == 1 + len(shape) and len(a) > 4 for a in arrays.values())  # states have fewer rows
        ticks.append((steps[1] - steps[0] + 1) * (1 + histories))
        return run(self, shape, spacing, dt, steps, arrays, bounds, *rest, **named)

    def seconds(product):
        before = len(ticks)
        product()
        return float(sum(ticks[before:]))

    monkeypatch.setattr(Kernel, "run", counting)
    monkeypatch.setattr("seisops.wave.costs._seconds", seconds)
    w = world(samples=150)
    p = so.plan(w.F, storage)
    assert p.steps > 140 and p.trial.gradient > 0 and p.trial.born > 0 and p.trial.image > 0
    J, G, q = w.jacobian(storage=storage), so.Parametric(w.F, storage=storage), w.F.domain.random(1)
    x, y = J.domain.random(2), J.range.random(3)

    def gradient():
        with G.linearize(w.medium.m, q) as at:
            at.pullback(y)

    J.H @ y
    products = {"F q, F.H d": lambda: w.F @ q, "gradient of full-waveform inversion": gradient}
    products |= {"J dm": lambda: J @ x, "J.H d": lambda: J.H @ y}
    for what, product in products.items():
        real = seconds(product)
        assert p.takes(what)[0] == pytest.approx(real, rel=0.08), what
        if what != "F q, F.H d":  # which counting solves alone falls short of
            assert p.solves(what)[0] * p.seconds < 0.9 * real


def test_second_derivatives_need_more_memory():
    w = world()
    s = w.A.solver.layout(("m",))
    p = so.plan(w.F, so.storage.Checkpointed(bytes=s.buffer_bytes(s.unit)), trial=False)
    assert p.second == () and p.solves("Hessian times a vector, beyond Gauss-Newton")[0] == np.inf
    assert "no room" in str(p)


@pytest.mark.parametrize(
    "storage", ["auto", so.storage.Boundary(), so.storage.Subsampled(3), so.storage.Checkpointed(n=4)]
)
def test_a_part_says_what_the_whole_will_cost(storage):
    time, small, large = so.Time(51, 0.004), so.Grid((31, 27), 10.0), so.Grid((83, 47), 10.0)

    def modeling(grid):
        waves = so.Wavefield(grid, time, shots=5)
        medium = so.Acoustic(grid, vp=2000.0, rho=1000.0)
        P = so.Projection(waves, [(100.0, 100.0)])
        return P * so.Modeling(waves, medium, free_surface=True) * P.H

    part, whole = modeling(small), modeling(large)
    assert so.plan(part, storage, 2, trial=False, grid=large) == so.plan(whole, storage, 2, trial=False)
    assert so.plan(part, storage, trial=False, grid=small) == so.plan(part, storage, trial=False)
    J = so.Jacobian(part, part.domain.random(1), wrt="vp", storage=storage)
    assert so.plan(J, trial=False, grid=large).cells == so.plan(whole, trial=False).cells


def test_what_does_not_fit_is_planned_without_backgrounds():
    part = world().F
    huge = so.Grid((10**6, 10**5), world().medium.grid.spacing)
    p = so.plan(part, grid=huge)
    assert p.cells > 10**11 and p.seconds > 1e3 and p.backgrounds == p.second == () and p.kept == 0
    assert p.solves("F q, F.H d") == p.solves("G(m, q)") == (2, 2) and p.solves("J.H d")[0] == np.inf
    assert p.worker_bytes == p.solve_bytes and "do not fit" in str(p) and "no room" in str(p)


def test_refusals():
    with pytest.raises(so.ParameterError, match=r"plan\(grid=Grid.*is not of the same cells as Grid"):
        so.plan(world().F, grid=so.Grid((99, 99), 1.0))
    with pytest.raises(so.ParameterError, match=r"plan\(grid=\(99, 99\)\) is not"):
        so.plan(world().F, grid=(99, 99))
    with pytest.raises(so.ParameterError, match="no Modeling"):
        so.plan(world().Pr)
    with pytest.raises(so.ParameterError, match="workers"):
        so.plan(world().F, workers=0)
    with pytest.raises(so.ParameterError, match=r"solves\('J.H'\): the products are 'F q, F.H d', .*'J.H d'"):
        so.plan(world().F, trial=False).solves("J.H")


def test_products_go_by_what_the_table_calls_them():
    p = so.plan(world().F, trial=False)
    table = str(p)
    for product in Work:
        assert p.solves(product) == p.solves(product.value) and f"\n{product.value} " in table
        assert p.backgrounds[0].solves(product) == p.backgrounds[0].solves(product.value)
