"""Plans before a run: what they say is what happens."""

import numpy as np
import pytest
from cases import world

import seisops as so
from seisops.engine.kernel import Kernel, build_count
from seisops.wave.imaging import Imaging


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_solves_and_memory_are_those_of_the_run(monkeypatch, keep):
    w = world()
    J0 = w.jacobian()
    J0 @ J0.domain.random(0)
    (imaging,) = (leaf for leaf in J0._operator.leaves() if isinstance(leaf, Imaging))
    size = imaging._kept[0].nbytes
    storage = so.storage.Full(keep_bytes=keep * size)
    p = so.plan(w.F, storage, trial=False)
    assert p.history_bytes == size and p.kept == keep and p.seconds is None
    assert (p.cells, p.steps, p.shots) == (36 * 33, w.A.discretisation.steps, 2)

    runs, run = [], Kernel.run
    monkeypatch.setattr(Kernel, "run", lambda self, *a, **k: (runs.append(self), run(self, *a, **k)))

    def counted(what):
        runs.clear()
        what()
        return len(runs)

    J, G, q = w.jacobian(storage=storage), so.Parametric(w.F, storage=storage), w.F.domain.random(1)
    x, y = J.domain.random(2), J.range.random(3)

    def gradient():
        with G.linearize(w.medium.m, q) as at:
            at.pullback(y)

    assert counted(lambda: w.F @ q) == p.solves("F q, F.H d")[0]
    assert counted(gradient) == p.solves("gradient of full-waveform inversion")[0]
    assert counted(lambda: J @ x) == p.solves("J dm, J.H d")[1]
    assert counted(lambda: J @ x) == p.solves("J dm, J.H d")[0]
    both = "iteration of least-squares migration"
    assert counted(lambda: (J @ x, J.H @ y)) == p.solves(both)[0]
    fresh = w.jacobian(storage=storage)
    assert counted(lambda: (fresh @ x, fresh.H @ y)) == p.solves(both)[1]


def test_time_and_words():
    w = world()
    p = so.plan(w.F, so.storage.Subsampled(2), workers=3)
    built = build_count()
    assert so.plan(w.F).seconds > 0 and build_count() == built
    said = str(p)
    assert "2 shots on 3 workers" in said and "approximate" in said and "about" in said
    assert p.history_bytes < so.plan(w.F, trial=False).history_bytes and np.isfinite(p.seconds)


def test_refusals():
    with pytest.raises(so.ParameterError, match="no Modeling"):
        so.plan(world().Pr)
    with pytest.raises(so.ParameterError, match="workers"):
        so.plan(world().F, workers=0)
