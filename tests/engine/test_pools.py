"""Memory that is spare: whose it is, who else takes it, and where it ends."""

import gc
import os
import signal
import threading
import weakref

import numpy as np
import pytest

from seisops.engine.backend import memory
from seisops.engine.backend.memory import Pool, Pools

SHAPES = ((4, 5), (6,))
NBYTES = 26 * 8


def memories(arrays):
    """What the arrays lie in, and what goes when they are released."""
    return [weakref.ref(a.base) for a in arrays]


def alive(refs):
    gc.collect()
    return [ref for ref in refs if ref() is not None]


def test_what_is_handed_in_is_taken_again():
    pool = Pool(Pools())
    arrays = pool.new(SHAPES, "float64")
    assert [a.shape for a in arrays] == list(SHAPES) and not any(a.any() for a in arrays)
    assert pool.spare_bytes == 0 and pool.reuse(SHAPES, "float64") is None
    pool.give(arrays)
    assert pool.spare_bytes == NBYTES
    assert pool.reuse(SHAPES, "float32") is None and pool.reuse(SHAPES[:1], "float64") is None
    again = pool.reuse(SHAPES, "float64")
    assert all(a is b for a, b in zip(again, arrays, strict=True)) and pool.spare_bytes == 0


def test_pools_of_a_kind_help_each_other():
    pools = Pools()
    one, other, stranger = Pool(pools), Pool(pools), Pool(Pools())
    arrays = one.new(SHAPES, "float64")
    one.give(arrays)
    assert stranger.reuse(SHAPES, "float64") is None
    assert other.reuse(SHAPES, "float64")[0] is arrays[0]
    other.give(arrays)
    assert (one.spare_bytes, other.spare_bytes, pools.spare_bytes) == (0, NBYTES, NBYTES)


def test_it_is_released_when_asked_for_and_goes_with_its_owner():
    pools = Pools()
    one, other = Pool(pools), Pool(pools)
    first, second = one.new(SHAPES, "float64"), other.new(SHAPES, "float64")
    refs = memories(first), memories(second)
    one.give(first)
    other.give(second)
    del first, second
    assert [len(alive(r)) for r in refs] == [2, 2]
    one.clear()
    assert one.spare_bytes == 0 and [len(alive(r)) for r in refs] == [0, 2]
    del other
    assert not alive(refs[1]) and pools.spare_bytes == 0


def test_there_is_an_end_to_what_is_spare(monkeypatch):
    """What one had in use at once may stay, of whoever it is; what was handed in last."""
    monkeypatch.setattr(memory, "SPARE", 0)
    pools = Pools()
    few = [Pool(pools) for _ in range(5)]
    sets = [pool.new(SHAPES, "float64") for pool in few]
    for pool, arrays in zip(few, sets, strict=True):
        pool.give(arrays)
    assert [pool.spare_bytes for pool in few] == [0, 0, 0, 0, NBYTES]
    much = Pool(pools)
    sets = [much.new(SHAPES, "float64") for _ in range(3)]
    for arrays in sets:
        much.give(arrays)
    assert much.spare_bytes == 3 * NBYTES == pools.spare_bytes
    few[0].give(few[0].new([(1000,)], "float64"))
    assert few[0].spare_bytes == 8000 == pools.spare_bytes
    monkeypatch.setattr(memory, "SPARE", 10**6)
    few[1].give(few[1].new(SHAPES, "float64"))
    assert pools.spare_bytes == 8000 + NBYTES


def finishes(work):
    """Whether something is done in a while: a thread that waits for itself never is."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(30)
    return not thread.is_alive()


def test_handing_in_waits_for_nobody():
    """Finalizers do it in the middle of anything."""
    pools = Pools()
    pool = Pool(pools)
    arrays = pool.new(SHAPES, "float64")

    def in_the_middle():
        with pools._at_work():
            pool.give(arrays)

    assert finishes(in_the_middle)
    assert pool.spare_bytes == NBYTES


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_does_not_wait_for_threads_that_it_does_not_have():
    pools = Pools()
    pool = Pool(pools)
    held, done = threading.Event(), threading.Event()

    def hold():
        with pools._at_work():
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    child = os.fork()
    if not child:
        signal.alarm(30)  # or else it is killed
        pool.give(pool.new(SHAPES, "float64"))
        os._exit(0 if pool.spare_bytes == NBYTES else 1)
    status = os.waitpid(child, 0)[1]
    done.set()
    thread.join()
    assert status == 0


def test_threads_share_without_losing_count():
    pools = Pools()
    mine = [Pool(pools) for _ in range(4)]

    def work(pool):
        for _ in range(300):
            arrays = pool.reuse(SHAPES, "float64") or pool.new(SHAPES, "float64")
            arrays[0][...] = id(pool)
            assert np.all(arrays[0] == id(pool))
            pool.give(arrays)

    threads = [threading.Thread(target=work, args=(pool,)) for pool in mine]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sets = sum(len(alike) for pool in mine for alike in pool._free.values())
    assert 1 <= sets <= 4 and pools.spare_bytes == sets * NBYTES
    assert sum(pool._used for pool in mine) == 0
