"""Pieces of work side by side."""

import threading
import time

import pytest

from seisops.engine.threads import count, side_by_side


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
