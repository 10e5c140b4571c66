"""The page of messages: each is what the package says, and each public error and warning is there."""

from __future__ import annotations

import ast
import os
import re
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pylops
import pytest

import seisops as so
import seisops.errors
from seisops.inversion import Batches, Encoding, Journal, LeastSquares

PAGE = "docs/troubleshooting.rst"

grid = so.Grid((41, 31), 10.0)
time, slow = so.Time(101, 0.004), so.Time(51, 0.008)
waves, narrow = so.Wavefield(grid, time, shots=2), so.Wavefield(grid, time, shots=2, max_bytes=10**5)
sources = [[(100.0, 20.0)], [(300.0, 20.0)]]
receivers = [(x, 20.0) for x in (100.0, 200.0, 300.0)]
medium, rock = so.Acoustic(grid, vp=2000.0), so.Elastic(grid, 2500.0, 1200.0, 2100.0)
Pr, Ps = so.Projection(waves, receivers), so.Projection(waves, sources)
Ainv = so.Modeling(waves, medium)
F = Pr * Ainv * Ps.H
G = so.Parametric(F)
q = np.tile(so.ricker(time, 15.0), (2, 1, 1))
m = np.full(grid.shape, 2000.0**-2)
line = so.Survey.from_arrays([(1.0, 2.0)], [(3.0, 4.0)], time)
faster = so.Survey.from_arrays([(1.0, 2.0)], [(3.0, 4.0)], so.Time(50, 0.002))


@cache
def data():
    return F @ q


class Own(so.LinearOperator):
    """An operator that does not say what it is."""

    def _apply(self, x):
        return x

    _apply_adjoint = _apply


def vertical(rock):
    return so.Projection(waves, receivers, component="vz") * so.Modeling(waves, rock) * Ps.H


def F_free(points):
    return points * so.Modeling(waves, medium, free_surface=True) * Ps.H


def lossy(F):
    return Pr * so.Modeling(waves, so.ViscoAcoustic(grid, 2000.0, qp=50.0, f0=15.0)) * Ps.H


def slowly_sampled(wavelet):
    field = so.Wavefield(grid, slow, shots=2)
    E = so.Projection(field, receivers) * so.Modeling(field, medium) * so.Projection(field, sources).H
    return E @ np.tile(wavelet, (2, 1, 1))


def shallow_water():
    vp, vs = np.full(grid.shape, 2500.0), np.full(grid.shape, 1200.0)
    vp[:20, :3], vs[:20, :3] = 1500.0, 0.0
    so.Modeling(waves, so.Elastic(grid, vp, vs, 2000.0), free_surface=True)


def far_start():
    below = so.Projection(waves, [(x, 280.0) for x in (50.0, 350.0)])
    H = below * so.Modeling(waves, medium, max_velocity=2600.0) * Ps.H
    so.inversion.multiscale(
        H, H @ q, q, (None,), np.full(grid.shape, 1500.0), wrt="vp", bounds=(1400.0, 2500.0), iterations=1
    )


def written(problem="a", vp=2000.0, damage=False):
    """A journal of one evaluation, and what another program says that finds it."""
    misfit = LeastSquares(G, data(), q)
    Journal("here", problem="a")(misfit)(m)
    if damage:
        path = next(Path("here").glob("*.entry"))
        text = path.read_bytes()
        path.write_bytes(text[:-20] + b"damaged!" + text[-12:])
    Journal("here", problem=problem)(misfit)(np.full(grid.shape, vp**-2))


def saved(receivers, cut=0):
    points = [(3.0, 4.0)] * receivers
    data = np.ones((1, receivers, time.n), "float32")
    so.Survey.from_arrays([(1.0, 2.0)], points, time, data=data).to_segy("line.sgy")
    os.truncate("line.sgy", os.path.getsize("line.sgy") - cut)
    return so.Survey.from_segy("line.sgy")


def lifted(op, *parts):
    """A layer at tensors of some shapes, or at other things."""
    import torch

    so.torch.lift(op)(*(torch.zeros(part) if isinstance(part, tuple) else part for part in parts))


def in_forward_mode():
    import torch

    x = torch.zeros(2, 1, 101)
    torch.func.jvp(so.torch.lift(F, traceable=True), (x,), (x,))


def double_in_jax():
    one = so.Wavefield(grid, time, dtype="float64")
    E = so.Projection(one, receivers) * so.Modeling(one, medium) * so.Projection(one, sources[0]).H
    so.jax.lift(E)(np.zeros((1, 1, 101), "float32"))


def equation(residual):
    class Mine(so.WaveEquation):
        parameters = ("m",)

        def residual(self, fields, parameters):
            return residual(fields.u, parameters.m)

    (Pr * so.Modeling(waves, Mine(grid, m=1.0)) * Ps.H) @ q


def no_compiler():
    from seisops.engine.backend import compiled

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_command", lambda: ("nowhere-cc", ()))
        compiled.compiled(["int of_no_other_test(void) { return 1; }"])


def without_torch():
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in sys.modules if name.startswith("seisops.torch")]:
            patch.delitem(sys.modules, name)
        patch.delattr(so, "torch", raising=False)
        patch.setitem(sys.modules, "torch", None)
        so.torch  # noqa: B018


def kept_nowhere():
    from seisops.engine.kept import disk

    disk._refuse(f"/nowhere/{time.n}", "[Errno 2] No such file or directory")


def failed_shot():
    from seisops.dask.errors import Failure, ShotError

    raise ShotError([Failure(3, "tcp://10.0.0.7:35001", "OSError: no such file", "Traceback ...")])


#: What provokes the messages of the page, from its first to its last.
ATTEMPTS = [
    lambda: F * Pr,
    lambda: F + Pr,
    lambda: so.Jacobian(F, q[0]),
    lambda: F @ q[0],
    lambda: F @ (1j * q),
    lambda: so.Parametric(F)(q),
    lambda: np.ones(3) * F,
    lambda: F @ np.where(np.arange(202).reshape(q.shape) == 3, np.nan, q),
    lambda: so.Projection(grid, [(100.0, 20.0)]),
    lambda: so.Parametric(pylops.Identity(5)),
    lambda: so.plan(so.data.Gain(F, 1.0)),
    lambda: so.Acoustic(grid, vp=2.0),
    lambda: so.Parametric(F)(np.full(grid.shape, 2000.0), q),
    lambda: so.Acoustic(grid, vp=np.full((31, 41), 2000.0)),
    lambda: so.Acoustic(grid),
    lambda: so.Acoustic(grid, vp=np.where(np.eye(41, 31) > 0, np.nan, 2000.0)),
    lambda: so.Modeling(waves, so.Acoustic(so.Grid((40, 31), 10.0), 2000.0)),
    lambda: so.TTI(grid, 2000.0, epsilon=0.1, delta=0.2),
    lambda: so.Elastic(grid, 1000.0, 1200.0, 2000.0),
    lambda: F.at(rho=1000.0),
    lambda: so.Parametric(vertical(rock)),
    lambda: vertical(medium),
    lambda: so.Projection(waves, [(500.0, 20.0)]),
    lambda: so.Projection(waves, [[(100.0, 20.0)]] * 3),
    lambda: F_free(so.Projection(waves, [(100.0, -10.0)], margin=20.0)) @ q,
    lambda: so.ricker(time, f0=150.0),
    lambda: so.ricker(time, f0=2.0),
    lambda: so.Wavelet(waves, np.ones(5)),
    lambda: so.Snapshots(waves, [9.0]),
    lambda: so.Modeling(waves, medium, boundary={"top": "free"}),
    lambda: so.Modeling(waves, medium, boundary={"x_min": so.PML(), "z_max": so.Sponge()}),
    lambda: so.Modeling(waves, medium, space_order=5),
    lambda: F.at(vp=4000.0) @ q,
    lambda: so.Modeling(waves, so.Acoustic(grid, vp=4000.0), substeps=1),
    lambda: so.Modeling(waves, medium, max_velocity=1000.0),
    lambda: so.Modeling(narrow, medium) @ np.zeros(narrow.shape, "float32"),
    lambda: so.Jacobian(F, q, storage=so.storage.Checkpointed(bytes=1000)) @ np.ones(grid.shape),
    lambda: so.Jacobian(F, q, storage="fast"),
    lambda: so.Jacobian(lossy(F), q, storage=so.storage.Boundary()) @ np.ones(grid.shape),
    lambda: so.Jacobian(F, q, storage=so.storage.Fourier((4.0, 500.0))) @ np.ones(grid.shape),
    lambda: F[5],
    lambda: F["a"],
    lambda: Encoding.random(1, 2, seed=0).encode(so.Projection(waves, sources) * Ainv * Ps.H),
    lambda: Batches(shots=2, size=3, seed=0),
    lambda: LeastSquares(G, np.where(np.arange(606).reshape(2, 3, 101) == 106, np.nan, data()), q),
    lambda: LeastSquares(G, data(), q, weights=np.ones(3)),
    lambda: so.check.dot_test(G),
    lambda: so.data.Mute(F, velocity=1.5),
    lambda: so.model.Bounded(waves, low=1500.0**-2, high=3000.0**-2),
    lambda: LeastSquares(G, data(), q, weights=Own(F.range, F.range)).fingerprint,
    lambda: written(problem="b"),
    lambda: written(vp=2010.0),
    lambda: written(damage=True),
    lambda: so.Survey.from_segy("nowhere.sgy"),
    lambda: saved(1).to_segy("line.sgy"),
    lambda: saved(1, cut=50),
    lambda: saved(2),
    lambda: line.data,
    lambda: so.Survey([*line, *faster]).waves(grid),
    lambda: line.offset_window(100.0, 200.0),
    lambda: so.Survey.from_arrays([(0.0, 0.0, 2.0)], [(100.0, 0.0, 4.0), (0.0, 300.0, 4.0)], time).project(),
    lambda: so.plot.record(time, data()),
    lambda: lifted(G, m, (2, 1, 101)),
    lambda: lifted(G, (31, 41), (2, 1, 101)),
    lambda: lifted(np.ones(3)),
    lambda: double_in_jax(),
    lambda: in_forward_mode(),
    lambda: equation(lambda u, m: (m * u.dt2 - u.laplace, u.dt)),
    lambda: equation(lambda u, m: (m * u.dt2 - u**2,)),
    lambda: no_compiler(),
    lambda: so.Wavefield(grid, time, device="cuda"),
    lambda: without_torch(),
    lambda: kept_nowhere(),
    lambda: failed_shot(),
    lambda: (Pr * so.Modeling(waves, so.Acoustic(grid, 800.0)) * Ps.H) @ np.tile(so.ricker(time, 30.0), (2, 1, 1)),
    lambda: slowly_sampled(so.ricker(slow, 30.0)),
    lambda: slowly_sampled(so.ricker(slow, 10.0, delay=0.0)),
    lambda: slowly_sampled(so.ricker(slow, 10.0, delay=0.4)),
    lambda: F_free(so.Projection(waves, [(100.0, 0.0)])) @ q,
    lambda: (
        so.Jacobian(F, np.tile(so.ricker(time, 30.0), (2, 1, 1)), storage=so.storage.Subsampled(16)) @ np.eye(41, 31)
    ),
    lambda: shallow_water(),
    lambda: F @ (1e38 * q),
    lambda: far_start(),
]

#: Messages that need what is not there where tests run: their text stands in these modules.
IN_SOURCE = {"ClusterError": "seisops/dask/cluster.py"}


def quoted(root) -> list[str]:
    """The messages of the page."""
    found = re.findall(r"^\.\. code-block:: text\n\n((?:   [^\n]+\n)+)", (root / PAGE).read_text("utf-8"), re.MULTILINE)
    return [" ".join(text.split()) for text in found]


def matches(quote: str, said: str) -> bool:
    """Whether a message is what was quoted; three dots stand for anything."""
    pattern = ".*".join(re.escape(part.strip()) for part in quote.split("..."))
    return re.fullmatch(pattern, " ".join(said.split()).replace(" ...", "...")) is not None


def said(attempt: Callable) -> list[str]:
    """All that is said of an attempt."""
    with warnings.catch_warnings(record=True) as warned, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            attempt()
            raised = []
        except Exception as error:  # noqa: BLE001
            raised = [f"{type(error).__name__}: {error}"]
    return raised + [f"{w.category.__name__}: {w.message}" for w in warned]


#: What is not always installed, by a name that attempts use.
OPTIONAL = {
    "lifted": "torch",
    "in_forward_mode": "torch",
    "double_in_jax": "jax",
    "failed_shot": "distributed",
    "from_segy": "segyio",
    "saved": "segyio",
    "plot": "matplotlib",
}


@pytest.mark.parametrize("number", range(len(ATTEMPTS)))
def test_the_message_is_what_the_page_says(root, number, tmp_path, monkeypatch):
    attempt = ATTEMPTS[number]
    for name in OPTIONAL.keys() & set(attempt.__code__.co_names):
        pytest.importorskip(OPTIONAL[name])
    monkeypatch.chdir(tmp_path)
    provoked = [quote for quote in quoted(root) if quote.partition(":")[0] not in IN_SOURCE]
    found = said(attempt)
    assert any(matches(provoked[number], message) for message in found), f"{attempt}\nsays {found}"


def test_there_is_an_attempt_for_each_message(root):
    quotes = quoted(root)
    assert len(ATTEMPTS) == sum(quote.partition(":")[0] not in IN_SOURCE for quote in quotes) > 70
    assert len(set(quotes)) == len(quotes)


@pytest.mark.parametrize("kind", IN_SOURCE)
def test_what_cannot_be_provoked_stands_in_the_source(root, kind):
    tree = ast.parse((root / IN_SOURCE[kind]).read_text("utf-8"))
    strings = [n for n in ast.walk(tree) if isinstance(n, ast.JoinedStr)]
    texts = [" ".join(v.value for v in s.values if isinstance(v, ast.Constant)) for s in strings]
    for quote in (quote for quote in quoted(root) if quote.startswith(kind)):
        words = re.sub(r"\.\.\.|closed", " ", quote.partition(": ")[2]).split()
        assert any(" ".join(words) in " ".join(text.split()) for text in texts), quote


def test_a_message_that_differs_is_noticed(root):
    quote = quoted(root)[0]
    assert matches(quote, quote) and not matches(quote, quote.replace("takes", "gives"))
    assert matches("E: a ... b", "E: a much\n b") and not matches("E: a ... b", "E: a much c")


def test_every_public_error_and_warning_is_there(root):
    text = (root / PAGE).read_text("utf-8")
    kinds = {*seisops.errors.__all__, "JournalWarning", "ShotError", "ClusterError"}
    assert not [kind for kind in kinds if kind not in text]
    provoked = {quote.partition(":")[0] for quote in quoted(root)}
    assert kinds - {"SeisopsError"} <= provoked
