"""Journals: the same bits after being killed anywhere, nothing computed twice, and nothing of another run believed."""

import errno
import os
import resource
import subprocess
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pylops
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inversion_worlds import SHOTS, Rosenbrock, world
from scipy.optimize import minimize
from trees import grow

import seisops as so
from seisops.engine.kernel import Kernel
from seisops.errors import ParameterError
from seisops.inversion import Journal, JournalWarning, LeastSquares, Progress, fingerprint, lock
from seisops.inversion.entries import Damaged, Entry, Foreign, read, write

HERE = Path(__file__).parent


class Counting:
    """A misfit that counts its evaluations, and stops the program at one of them."""

    def __init__(self, pairs=3, stop=None):
        self.misfit, self.count, self.stop = LeastSquares(Rosenbrock(pairs), np.zeros(2 * pairs)), 0, stop

    def __call__(self, x):
        if self.count == self.stop:
            raise KeyboardInterrupt
        self.count += 1
        return self.misfit(x)


def optimise(path, counting, method="L-BFGS-B", **options):
    journal = Journal(path, **options)
    remembered = journal(counting)

    def hessp(x, p):
        return journal(counting.misfit).gauss_newton(x) @ p

    found = minimize(
        remembered, np.full(6, -0.5), jac=True, method=method, hessp=hessp if method != "L-BFGS-B" else None
    )
    return found, journal


@pytest.mark.parametrize("method", ["L-BFGS-B", "Newton-CG", "trust-krylov"])
def test_an_optimiser_is_replayed_and_goes_on(tmp_path, method):
    plain, first = optimise(tmp_path / "a", Counting(), method)
    assert first.replayed == 0 and first.computed == len(first) > 10
    with pytest.raises(KeyboardInterrupt):
        optimise(tmp_path / "b", Counting(stop=4), method)
    rest = Counting()
    again, second = optimise(tmp_path / "b", rest, method)
    assert np.array_equal(again.x, plain.x) and again.fun == plain.fun and np.array_equal(again.jac, plain.jac)
    assert again.nfev == plain.nfev == rest.count + 4 and second.replayed >= 4
    none = Counting(stop=0)
    last, third = optimise(tmp_path / "b", none, method)
    assert none.count == 0 == none.misfit.G.linearized and third.computed == 0 and third.replayed == len(first)
    assert np.array_equal(last.x, plain.x)


def test_waves_are_not_solved_again(tmp_path, monkeypatch):
    w = world(dtype="float32")
    misfit = LeastSquares(w.G, w.d, w.q, P=1e-8 * np.ones((1, 21)), start=w.medium.m, weights=1 / np.linalg.norm(w.d))
    x0 = np.zeros(misfit.domain.size)

    def run(path, maxiter):
        return minimize(Journal(path)(misfit), x0, jac=True, method="L-BFGS-B", options={"maxiter": maxiter})

    plain = run(tmp_path / "a", 4)
    run(tmp_path / "b", 2)
    runs, kernel = [], Kernel.run
    monkeypatch.setattr(Kernel, "run", lambda self, *a, **k: (runs.append(1), kernel(self, *a, **k))[1])
    again = run(tmp_path / "b", 2)
    assert not runs
    again = run(tmp_path / "b", 4)
    assert 0 < len(runs) <= 2 * SHOTS * (plain.nfev - 2)
    assert np.array_equal(again.x, plain.x) and again.fun == plain.fun


def test_killed_anywhere(tmp_path):
    done = subprocess.run(
        [sys.executable, str(HERE / "killed.py"), str(tmp_path)], capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *_, left, last = done.stdout.splitlines()
    kills = int(left.split()[1])
    assert kills > 12 and left.endswith("left ['journal.json']"), done.stdout
    assert last.startswith("same"), done.stdout


def test_a_linear_solver_is_replayed(tmp_path):
    w = world()
    J = so.Jacobian(w.F, w.q)
    b = J.range.random(0).ravel()
    plain = pylops.cgls(J, b, niter=4, tol=0)[0]
    journal = Journal(tmp_path)
    np.testing.assert_array_equal(pylops.cgls(journal.operator(J), b, niter=2, tol=0)[0], pylops.cgls(J, b, niter=2)[0])
    again = Journal(tmp_path)
    A = again.operator(J)
    np.testing.assert_array_equal(pylops.cgls(A, b, niter=4, tol=0)[0], plain)
    assert again.replayed == len(journal) - again.computed and A.shots is None
    # a plain operator too
    M = pylops.MatrixMult(np.arange(6.0).reshape(2, 3))
    a = Journal(tmp_path / "matrix").operator(M)
    np.testing.assert_array_equal(a @ np.ones(3), M @ np.ones(3))
    np.testing.assert_array_equal(a.H @ np.ones(2), M.H @ np.ones(2))


def steps(journal, function, start=0.5, n=5):
    f, x = journal(function), start * np.ones(6)
    for _ in range(n):
        x = x - 1e-4 * f(x)[1]
    return x


@pytest.mark.parametrize(("entry", "keep"), [(4, 0), (4, 10), (4, 60), (4, -1), (2, 300), (0, -8)])
def test_a_truncated_entry_is_computed_again(tmp_path, entry, keep):
    plain = steps(Journal(tmp_path), Counting())
    path = tmp_path / f"{entry:06d}.entry"
    whole = path.read_bytes()
    path.write_bytes(whole[:keep])
    rest = Counting()
    with pytest.warns(JournalWarning, match=f"{entry:06d}.entry is damaged: .*; it is computed again") as caught:
        again = steps(Journal(tmp_path), rest)
    assert caught[0].filename == __file__
    assert np.array_equal(again, plain) and rest.count == 1 and path.read_bytes() == whole


def test_a_flipped_bit_and_a_lost_entry_are_computed_again(tmp_path):
    plain = steps(Journal(tmp_path), Counting())
    for n, position in ((1, -3), (3, 40)):
        path = tmp_path / f"{n:06d}.entry"
        content = bytearray(path.read_bytes())
        content[position] ^= 4
        path.write_bytes(content)
    (tmp_path / "000002.entry").unlink()
    rest = Counting()
    with pytest.warns(JournalWarning):
        assert np.array_equal(steps(Journal(tmp_path), rest), plain) and rest.count == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(steps(Journal(tmp_path), Counting(stop=0)), plain)


@pytest.mark.parametrize(
    "make",
    [
        lambda k: Rosenbrock(3) * k,
        lambda k: LeastSquares(Rosenbrock(3), np.full(6, k)).__call__,
        lambda k: partial(np.multiply, k),
        lambda k: partial(LeastSquares(Rosenbrock(3), np.full(6, k)).__call__),
    ],
    ids=["map", "method", "partial", "partial method"],
)
def test_what_a_function_is_made_of_counts(tmp_path, make):
    """In another run one of the same name and shape is refused, and the same is replayed."""
    x = np.linspace(0.0, 1.0, 6)
    first = Journal(tmp_path)(make(2.0))(x)
    again = Journal(tmp_path)
    np.testing.assert_array_equal(np.hstack(again(make(2.0))(x)), np.hstack(first))
    assert again.replayed == 1
    with pytest.raises(so.ParameterError, match="another run: evaluation 0"):
        Journal(tmp_path)(make(3.0))(x)


def test_a_journal_without_entries_is_a_journal(tmp_path):
    assert Journal(tmp_path) and not len(Journal(tmp_path))


def test_foreign_files_are_refused(tmp_path):
    steps(Journal(tmp_path / "a"), Counting())
    steps(Journal(tmp_path / "b", problem="another"), Counting())
    ours, theirs = tmp_path / "a" / "000003.entry", tmp_path / "b" / "000003.entry"
    whole = ours.read_bytes()
    ours.write_bytes(theirs.read_bytes())
    with pytest.raises(
        so.ParameterError, match=r"another run: evaluation 3 has the problem 'another' there and '' here"
    ):
        steps(Journal(tmp_path / "a"), Counting())
    ours.write_bytes((tmp_path / "a" / "000002.entry").read_bytes())
    with pytest.raises(so.ParameterError, match="has the number 2 there and 3 here"):
        steps(Journal(tmp_path / "a"), Counting())
    ours.write_bytes(b"not at all what was expected to be here")
    with pytest.raises(so.ParameterError, match="no entry of this journal"):
        steps(Journal(tmp_path / "a"), Counting())
    ours.write_bytes(whole)
    steps(Journal(tmp_path / "a"), Counting(stop=0))

    other = tmp_path / "photographs"
    other.mkdir()
    (other / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(so.ParameterError, match="exists and is not a journal"):
        steps(Journal(other), Counting())
    with pytest.raises(so.ParameterError, match="exists and is not a journal"):
        steps(Journal(other / "holiday.jpg"), Counting())
    (other / "journal.json").write_text('{"dear": "diary"}')
    with pytest.raises(so.ParameterError, match="not the header of a journal"):
        steps(Journal(other), Counting())


def test_another_run_is_refused(tmp_path):
    steps(Journal(tmp_path, problem="8 Hz"), Counting())
    with pytest.raises(so.ParameterError, match=r"problem '8 Hz', this is '10 Hz': use another path, or journal.clear"):
        steps(Journal(tmp_path, problem="10 Hz"), Counting())
    with pytest.raises(so.ParameterError, match=r"evaluation 0 was at 6 numbers of norm 1.2\d* there .*journal.clear"):
        steps(Journal(tmp_path, problem="8 Hz"), Counting(), start=2.0)
    with pytest.raises(so.ParameterError, match="differ in some bits"):
        steps(Journal(tmp_path, problem="8 Hz"), Counting(), start=-0.5)
    with pytest.raises(so.ParameterError, match="evaluation 0 has the name 'Counting' there and 'LeastSquares "):
        steps(Journal(tmp_path, problem="8 Hz"), Counting().misfit)
    # data that differ are noticed by the misfit's own fingerprint
    steps(Journal(tmp_path / "b"), LeastSquares(Rosenbrock(), np.zeros(6)))
    with pytest.raises(so.ParameterError, match="has the name"):
        steps(Journal(tmp_path / "b"), LeastSquares(Rosenbrock(), np.full(6, 1e-9)))


def test_verification_notices_what_no_fingerprint_can(tmp_path):
    steps(Journal(tmp_path), Counting())
    same = Counting()
    steps(Journal(tmp_path, verify=True), same)
    assert same.count == 1
    changed = Counting()
    changed.misfit = LeastSquares(Rosenbrock(), np.full(6, 1e-15))
    steps(Journal(tmp_path), changed)
    assert changed.count == 0  # that is what it is for
    with pytest.raises(so.ParameterError, match="gives other numbers"):
        steps(Journal(tmp_path, verify=True), changed)


def test_clearing_removes_journals_only(tmp_path):
    journal = Journal(tmp_path / "j")
    steps(journal, Counting())
    (tmp_path / "j" / ".000005.entry.1.partial").write_bytes(b"seisops jour")
    (tmp_path / "j" / "notes.txt").write_text("mine")
    Journal(tmp_path / "j", problem="of another problem").clear()
    assert [p.name for p in (tmp_path / "j").iterdir()] == ["notes.txt"]
    (tmp_path / "j" / "notes.txt").unlink()
    journal.clear()
    assert not (tmp_path / "j").exists() and len(journal) == 0
    journal.clear()
    counting = Counting()
    steps(journal, counting)
    assert counting.count == len(journal) == 5


def test_after_clearing_other_journals_at_that_path_begin_anew(tmp_path):
    path = tmp_path / "j"
    journal, other = Journal(path), Journal(path)
    steps(journal, Counting())
    steps(other, Counting(), n=2)
    journal.clear()
    counting = Counting()
    steps(other, counting)
    assert counting.count == len(other) == other.computed == 5 and other.replayed == 0
    steps(journal, counting)
    assert counting.count == journal.replayed == 5
    # and whichever of them is cleared, one of another problem does not take up what was begun for this one
    other.clear()
    journal.clear()
    assert not path.exists()
    steps(Journal(path, "8 Hz"), counting)
    with pytest.raises(ParameterError, match="of the problem '8 Hz'"):
        steps(other, counting)


def test_clearing_lets_go_of_the_folder_once(tmp_path):
    """Another program may have it from then on, and the lock of before takes nothing from it when it is forgotten."""
    path = tmp_path / "j"
    journal, other = Journal(path), Journal(path)
    steps(journal, Counting())
    steps(other, Counting())
    journal.clear()
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout.readline() == "open\n"
        for taking in (journal, other):
            with pytest.raises(ParameterError, match="is in use by process"):
                steps(taking, Counting())
        assert (path / lock.LOCK).exists()
        holder.communicate("go on")


FOREIGN = {
    "2024-diary.entry": b"dear diary",
    "000007.entry": b"dear diary",
    ".download.partial": b"half",
    ".000005.entry.partial": b"half",
    "notes.txt": b"mine",
    ".000005.entry": b"mine",
}


@pytest.mark.parametrize("header", [b'{"name": "another program", "kind": "diary"}', b"[]", b"", None])
def test_clearing_leaves_what_others_wrote(tmp_path, header):
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name, content in {**FOREIGN, **({} if header is None else {"journal.json": header})}.items():
        (folder / name).write_bytes(content)
    (folder / "000001.entry").mkdir()
    before = {f.name: f.is_file() and f.read_bytes() for f in folder.iterdir()}
    with pytest.raises(so.ParameterError, match="is not a journal: there is nothing to clear"):
        Journal(folder).clear()
    assert before == {f.name: f.is_file() and f.read_bytes() for f in folder.iterdir()}


NAMES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20),
    st.sampled_from([
        "journal.json", "000000.entry", "000001.entry", "0000001.entry", "2024-diary.entry", "000001.entry.txt",
        ".000001.entry.12.partial", ".journal.json.7.partial", ".download.partial", lock.LOCK, "journal.lock",
    ]),
).filter(lambda name: name not in (".", ".."))  # fmt: skip
# nothing that begins as an entry or a header of ours does
CONTENTS = st.one_of(
    st.binary(max_size=40).map(lambda b: b"." + b), st.sampled_from([b"my notes", b"[1, 2]", b'{"kind": "diary"}'])
)
TREES = st.dictionaries(NAMES, CONTENTS | st.dictionaries(NAMES, CONTENTS, max_size=3), max_size=5)


@pytest.mark.parametrize("first", [True, False], ids=["in ours", "in theirs"])
@given(tree=TREES)
def test_clearing_leaves_whatever_others_wrote(first, tree):
    with tempfile.TemporaryDirectory() as made:
        folder, ours = Path(made) / "j", set()
        folder.mkdir()
        if first:
            steps(Journal(folder), Counting(), n=2)
            ours = {file.name for file in folder.iterdir()} | {lock.LOCK}
        grow(folder, {name: inner for name, inner in tree.items() if name not in ours})
        theirs = {
            (p, p.is_file() and p.read_bytes()) for p in folder.rglob("*") if p.parent != folder or p.name not in ours
        }
        try:
            Journal(folder).clear()
        except ParameterError:
            assert not first and tree
        assert theirs == {(p, p.is_file() and p.read_bytes()) for p in folder.rglob("*")}
        assert folder.exists() is (not first or bool(theirs))


def test_a_run_that_was_killed_over_its_header_goes_on(tmp_path):
    left = tmp_path / ".journal.json.123.partial"
    left.write_bytes(b'{"kind": "seis')
    counting = Counting()
    steps(Journal(tmp_path), counting)
    assert counting.count == 5 and not left.exists()
    again = tmp_path / "again"
    again.mkdir()
    (again / left.name).write_bytes(b"")
    Journal(again).clear()
    assert not again.exists()


def test_clearing_takes_entries_that_were_cut(tmp_path):
    journal = Journal(tmp_path / "j")
    steps(journal, Counting())
    for name, left in (("000002.entry", 7), ("000003.entry", 40)):
        entry = tmp_path / "j" / name
        entry.write_bytes(entry.read_bytes()[:left])
    Journal(tmp_path / "j").clear()
    assert not (tmp_path / "j").exists()


def test_clearing_a_journal_among_files_of_others(tmp_path):
    steps(Journal(tmp_path), Counting())
    (tmp_path / "000003.entry").unlink()
    for name, content in FOREIGN.items():
        (tmp_path / name).write_bytes(content)
    Journal(tmp_path).clear()
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == FOREIGN
    empty = tmp_path / "empty"
    empty.mkdir()
    Journal(empty).clear()
    Journal(tmp_path / "none").clear()
    assert empty.is_dir() and not (tmp_path / "none").exists()


HOLDER = """
import sys, numpy as np
from seisops.inversion import Journal
journal = Journal(sys.argv[1], "8 Hz")
journal(np.negative)(np.ones(3))
print("open", flush=True)
sys.stdin.read()
journal(np.negative)(np.zeros(3))
"""


def test_two_programs_at_once(tmp_path):
    """One stops with a sentence, and nothing is lost."""
    path = tmp_path / "j"
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "open\n"
        unfinished = path / f".000001.entry.{other.pid}.partial"
        unfinished.write_bytes(b"seisops jour")
        before = {file: file.read_bytes() for file in path.iterdir()}
        for attempt in (lambda: steps(Journal(path, "8 Hz"), Counting()), Journal(path).clear):
            with pytest.raises(
                ParameterError, match=rf"is in use by process {other.pid} on .*: wait until it has ended"
            ):
                attempt()
        assert before == {file: file.read_bytes() for file in path.iterdir()}
        other.communicate("go on")
        assert not other.returncode
    assert len(Journal(path)) == 2
    again = Journal(path, "8 Hz")
    assert np.array_equal(again(np.negative)(np.ones(3)), -np.ones(3)) and again.replayed == 1
    assert not unfinished.exists()
    again.clear()
    assert not path.exists()


def test_a_lock_goes_with_whoever_was_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout.readline() == "open\n"
        other.kill()
    journal = Journal(tmp_path, "8 Hz")
    journal(np.negative)(np.ones(3))
    assert journal.replayed == 1


def test_a_refused_problem_locks_nobody_out(tmp_path):
    steps(Journal(tmp_path, "8 Hz"), Counting())
    wrong = Journal(tmp_path, "10 Hz")
    for _ in range(2):
        with pytest.raises(ParameterError, match="of the problem '8 Hz'"):
            steps(wrong, Counting())


def test_where_nothing_can_be_locked_one_goes_without(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    steps(Journal(tmp_path / "locks"), Counting())
    steps(Journal(tmp_path / "locks"), Counting(stop=0))


@pytest.mark.parametrize("left", [None, 0, 1, 20])
def test_a_header_that_is_lost_locks_nothing_out(tmp_path, left):
    whole = steps(Journal(tmp_path, "8 Hz"), Counting())
    header = tmp_path / "journal.json"
    content = header.read_bytes()
    header.unlink()
    if left is not None:
        header.write_bytes(content[:left])
    with (
        pytest.warns(JournalWarning, match="lost or damaged"),
        pytest.raises(so.ParameterError, match="of the problem '8 Hz'"),
    ):
        steps(Journal(tmp_path, "10 Hz"), Counting())
    again = Counting()
    with pytest.warns(JournalWarning, match="lost or damaged.* of the problem '8 Hz'"):
        np.testing.assert_array_equal(steps(Journal(tmp_path, "8 Hz"), again), whole)
    assert again.count == 0 and header.read_bytes() == content


def test_a_dtype_that_lost_a_sign_is_damage(tmp_path):
    whole = steps(Journal(tmp_path), Counting())
    entry = tmp_path / "000000.entry"
    entry.write_bytes(entry.read_bytes().replace(b"<f", b",f", 1))
    with pytest.warns(JournalWarning, match="damaged"):
        np.testing.assert_array_equal(steps(Journal(tmp_path), Counting()), whole)


def test_a_full_disk(tmp_path, monkeypatch):
    plain = steps(Journal(tmp_path / "plain"), Counting())
    full = tmp_path / "full"
    fsync, room = os.fsync, [6]

    def limited(descriptor):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", limited)
    with pytest.raises(
        OSError, match="No space left on device: evaluation 2 could not be written to .* the 2 eval"
    ) as e:
        steps(Journal(full), Counting())
    assert e.value.errno == errno.ENOSPC
    assert sorted(p.name for p in full.glob("[!.]*")) == ["000000.entry", "000001.entry", "journal.json"]
    assert not list(full.glob("*.partial"))
    with pytest.raises(OSError, match="the journal could not be written"):
        steps(Journal(tmp_path / "other"), Counting())
    monkeypatch.undo()
    rest = Counting()
    assert np.array_equal(steps(Journal(full), rest), plain) and rest.count == 3


def test_a_disk_that_is_really_full(tmp_path):
    """The system refuses to write past a limit, in a child of its own."""
    journal = Journal(tmp_path)
    journal(np.negative)(np.ones(10))
    child = os.fork()
    if not child:
        code = 1
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            journal(np.negative)(np.random.default_rng(0).standard_normal(10_000))
        except OSError as error:
            code = 0 if "evaluation 1 could not be written" in str(error) else 2
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [lock.LOCK, "000000.entry", "journal.json"]
    again = Journal(tmp_path)
    assert np.array_equal(again(np.negative)(np.ones(10)), -np.ones(10)) and again.replayed == 1


def test_failures_that_the_optimiser_catches(tmp_path):
    """A step that is too long raises, and is halved; a failure that ends the program leaves no trace."""
    tried = []

    def search(path, limit=1.0):
        def fragile(x):
            tried.append(float(x[0]))
            if abs(x[0]) > limit:
                raise so.UnstableError("too fast")
            return float(x[0] ** 2), 2 * x

        f, x, out = Journal(path)(fragile), np.array([0.9]), []
        for _ in range(3):
            step, gradient = 4.0, f(x)[1]
            while True:
                try:
                    out.append(f(x - step * gradient)[0])
                    break
                except so.UnstableError:
                    step /= 2
            x = x - step * gradient
        return out

    plain = search(tmp_path / "a")
    tried.clear()
    assert search(tmp_path / "a") == plain and all(abs(x) > 1 for x in tried) and tried
    with pytest.raises(so.ParameterError, match="failed there that does not fail here"):
        search(tmp_path / "a", limit=100.0)
    with pytest.raises(so.UnstableError):
        search(tmp_path / "b", limit=0.5)
    assert search(tmp_path / "b") == plain


@pytest.mark.parametrize(
    "result",
    [
        1.5, np.float32(0.1), True, 3, 1 + 2j, np.arange(4), np.ones((2, 3), np.float32), np.zeros((0, 2)),
        (0.1, np.array([0.1, -0.0, np.nan, np.inf, 1e300])), (np.array(1.0), 2), np.asfortranarray(np.ones((2, 3))),
    ],
    ids=str,
)  # fmt: skip
def test_results_come_back_as_they_were(tmp_path, result):
    first = Journal(tmp_path)(lambda: result)()
    again = Journal(tmp_path)(lambda: 1 / 0)()
    assert type(first) is type(again)
    pairs = [(first, again, result)] if not isinstance(result, tuple) else list(zip(first, again, result, strict=True))
    for a, b, r in pairs:
        assert type(a) is type(b) and np.asarray(a).dtype == np.asarray(b).dtype
        assert np.array_equal(a, r, equal_nan=True) and np.asarray(a).tobytes() == np.asarray(b).tobytes()
        if isinstance(r, np.ndarray):
            assert a.dtype == r.dtype and a.shape == r.shape
            a.flat = 0  # it is the caller's own


def test_what_cannot_be_kept_is_refused(tmp_path):
    with pytest.raises(TypeError, match="got a dict"):
        Journal(tmp_path)(lambda x: {"value": x})(1.0)
    with pytest.raises(so.ParameterError, match="fingerprint of a set"):
        fingerprint({1, 2})


def test_fingerprints():
    things = [
        0, 0.0, -0.0, "0", b"0", None, False, [], {}, [0], [[0]], [0, 0], ["a", "bc"], ["ab", "c"], {"a": 1}, {"a": 2},
        np.zeros(2), np.zeros((2, 1)), np.zeros(2, np.float32), np.float64(0), np.array(["x"]), np.arange(4)[::2],
    ]  # fmt: skip
    assert len({fingerprint(x) for x in things}) == len(things)
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint(np.arange(4)[::2]) == fingerprint(np.array([0, 2]))
    # what a journal of today says is understood tomorrow
    assert fingerprint(1, "x", np.arange(3.0)) == "ba39e063b264bbea1cd7df9d7419d20f076127fa8dd6a0b5b3e2870b24a85ac9"


def test_gradients_in_single_precision_take_half_the_room(tmp_path):
    rng = np.random.default_rng(0)
    double = rng.standard_normal(1000)
    single = double.astype(np.float32).astype(np.float64)
    sizes = []
    for item in (double, single):
        write(tmp_path / "x", Entry({}, (item,)))
        (back,) = read(tmp_path / "x").items
        assert back.dtype == np.float64 and back.tobytes() == item.tobytes()
        sizes.append((tmp_path / "x").stat().st_size)
    assert sizes[0] > 8000 and sizes[1] < 4300
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "y")
    (tmp_path / "y").write_bytes(b"seisops journal entry 2\n")
    with pytest.raises(Foreign):
        read(tmp_path / "y")
    (tmp_path / "y").write_bytes((tmp_path / "x").read_bytes() + b"x")
    with pytest.raises(Damaged, match="1 bytes too long"):
        read(tmp_path / "y")


def test_progress(tmp_path, capsys):
    steps(Journal(tmp_path), Counting(), n=3)
    assert capsys.readouterr() == ("", "")  # silent unless asked
    journal = Journal(tmp_path)
    f = journal(Counting(), progress=True, total=5)
    x = np.full(6, 0.5)
    for _ in range(5):
        x = x - 1e-4 * f(x)[1]
    bar = f._shown.bar._bar
    assert bar.n == 5 and bar.initial == 3 and bar.total == 5
    journal.close()
    said = capsys.readouterr().err
    assert "5/5" in said and "misfit" in said and "of the first" in said
    shown = Progress(lambda x: x**2, total=2)
    assert shown(3.0) == 9.0 and shown(1.0) == 1.0
    shown.close()
    assert "0.111 of the first" in capsys.readouterr().err


def test_progress_compares_each_function_with_its_own_first(tmp_path, capsys):
    journal = Journal(tmp_path)
    low = journal(lambda x: 8.0 * x, progress=True, total=4, stage="band 1 of 2")
    assert low(1.0) == 8.0 and low(0.5) == 4.0
    high = journal(lambda x: 100.0 * x, progress=True, total=4, stage="band 2 of 2")
    assert high(0.5) == 50.0 and high(0.1) == 10.0
    journal.close()
    said = capsys.readouterr().err.replace("\n", "\r").split("\r")
    last = next(line for line in reversed(said) if "misfit" in line)
    assert last.startswith("band 2 of 2:") and "misfit 10 (0.200 of its first)" in last
