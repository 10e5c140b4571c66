"""Pieces of work side by side."""

import os
import threading
import time

import pytest
from killable import run

from seisops.engine.threads import count, side_by_side
from seisops.errors import ParameterError


@pytest.fixture
def cores(monkeypatch):
    return lambda n: monkeypatch.setenv("OMP_NUM_THREADS", str(n))


@pytest.mark.parametrize(
    ("threads", "n", "shares"),
    [
        (1, 3, [1, 1, 1]),
        (2, 5, [1, 1, 1, 1, 2]),
        (4, 6, [1, 1, 1, 1, 2, 2]),
        (4, 3, [1, 1, 1]),
        (8, 2, [4, 4]),
        (4, 0, []),
    ],
)
def test_threads_are_shared(cores, threads, n, shares):
    cores(threads)
    assert list(side_by_side(lambda i: (i, count()), n)) == list(enumerate(shares))
    assert count() == threads


def test_at_the_same_time(cores):
    cores(2)
    meeting = threading.Barrier(2, timeout=20)
    assert len({*side_by_side(lambda i: meeting.wait() * 0 + threading.get_ident(), 2)}) == 2


def test_results_come_in_order(cores):
    cores(3)

    def late(i):
        time.sleep(0.02 * (i == 0))
        return i

    assert list(side_by_side(late, 6)) == [0, 1, 2, 3, 4, 5]


def test_an_error_stops_what_has_not_begun(cores):
    cores(2)
    begun = []

    def work(i):
        begun.append(i)
        time.sleep(0.05)
        if i == 1:
            raise KeyError("the second")
        return i

    with pytest.raises(KeyError, match="the second"):
        list(side_by_side(work, 40))
    assert len(begun) < 10


@pytest.mark.parametrize("chosen", ["", "  ", None])
def test_no_number_means_all_cores(monkeypatch, chosen):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    everything = count()
    if chosen is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    assert count() == everything >= 1


@pytest.mark.parametrize(("chosen", "threads"), [("3", 3), (" 3 ", 3), ("4,2", 4), ("4, 2,1", 4)])
def test_the_outermost_number_counts(cores, chosen, threads):
    cores(chosen)
    assert count() == threads


@pytest.mark.parametrize("chosen", ["abc", "0", "-2", "2.5", "4,", ",2", "4,abc", "4,0"])
def test_no_number_of_threads_is_refused(cores, chosen):
    cores(chosen)
    with pytest.raises(ParameterError, match=f"OMP_NUM_THREADS is {chosen!r}, expected a whole number from 1 on"):
        count()


# ---- forks: each in a process of its own, which is killed where it hangs


CHILD = """
import os

def child(work):
    "What a forked process makes of a piece of work, as bytes."
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            with open(writing, "wb") as end:
                end.write(work())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as end:
        return end.read()
"""

SOLVE = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import numpy as np
import seisops as so
from seisops.engine.threads import count

grid, time = so.Grid((41, 31), 10.0), so.Time(61, 0.004)
waves = so.Wavefield(grid, time, shots=2)
Pr, Ps = so.Projection(waves, [(50.0, 20.0), (350.0, 20.0)]), so.Projection(waves, [[(100.0, 20.0)], [(300.0, 20.0)]])
F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=2000.0)) * Ps.H
q = np.tile(so.ricker(time, f0=10.0), (2, 1, 1)).astype("float32")

def first(_=None):
    return (F[0] @ q[:1]).tobytes()

def both(_=None):
    return (F @ q).tobytes()

def threaded():
    with ThreadPoolExecutor(1) as crew:
        return crew.submit(first).result()

def say(name, found, expected):
    print(name, found == expected, flush=True)

one, two = first(), both()  # on two threads; on one thread each
say("fork", child(first), one)
say("side-by-side", child(both), two)
say("grandchild", child(lambda: child(first)), one)
say("thread-of-a-child", child(threaded), one)
say("one-thread", child(lambda: bytes([count()])), bytes([1]))
say("whatever-it-is-told", child(lambda: os.environ.update(OMP_NUM_THREADS="2") or first()), one)
with multiprocessing.get_context("fork").Pool(2) as pool:
    say("pool", pool.map(first, range(4)), [one] * 4)
with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
    say("executor", list(pool.map(both, range(4))), [two] * 4)
say("parent", [first(), count()], [one, 2])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_forked_processes_solve():
    """After a solve on several threads, whose team a child waits for in vain."""
    said = run(CHILD + SOLVE, threads=2)
    ways = ["fork", "side-by-side", "grandchild", "thread-of-a-child", "one-thread", "whatever-it-is-told"]
    assert said == [word for way in (*ways, "pool", "executor", "parent") for word in (way, "True")]


LOCKS = """
import threading
from seisops.engine.threads import making

held, done = threading.Event(), []

def make():
    with making:
        held.set()
        done.extend(range(100000))

def look():
    with making:
        return str(len(done)).encode()

maker = threading.Thread(target=make)
maker.start()
held.wait()
print(child(look).decode(), flush=True)
maker.join()
with making:
    print("parent", flush=True)
    print(child(look).decode(), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_waits_for_what_is_being_made():
    assert run(CHILD + LOCKS, threads=2) == ["100000", "parent", "100000"]


MAKE = """
import threading
import numpy as np
import seisops as so

grid, time = so.Grid((41, 31), 10.0), so.Time(61, 0.004)
waves = so.Wavefield(grid, time)
Pr, Ps = so.Projection(waves, [(50.0, 20.0), (350.0, 20.0)]), so.Projection(waves, [(100.0, 20.0)])
F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=2000.0)) * Ps.H
q = so.ricker(time, f0=10.0).astype("float32")[None, None]
expected = (F @ q).tobytes()
begun = threading.Event()

class Another(so.Acoustic):
    def system(self, *options):
        begun.set()
        return super().system(*options)

def make():
    (Pr * so.Modeling(waves, Another(grid, vp=2000.0)) * Ps.H) @ q

maker = threading.Thread(target=make)
maker.start()
begun.wait()
print(child(lambda: (F @ q).tobytes()) == expected, flush=True)
maker.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_while_another_thread_makes_an_equation():
    assert run(CHILD + MAKE, threads=1) == ["True"]
