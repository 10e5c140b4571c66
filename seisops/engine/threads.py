"""How many threads a compiled loop takes, and independent pieces of work side by side.

A small problem does not gain from many cores: its loops over time wait for the slowest core many times in every step, and
what each core computes is in another's cache. Several such problems at once do gain. A Python thread waits for its
compiled loop without holding up the others.

Threads do not survive a fork. In the child, OpenMP would wait for ever for those that its parent had: what is left there
solves on one thread. A lock that another thread held at the time would never be given back: see `making`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

import psutil

from seisops.errors import ParameterError

__all__ = ["count", "forked", "making", "side_by_side"]

Found = TypeVar("Found")

_here = threading.local()

#: Held by whoever makes symbols, equations or kernels. A fork waits for it: the child has no use for what is half made, and
#: the locks that are held meanwhile are Devito's and Python's too.
making = threading.RLock()


def count() -> int:
    """Threads of a loop that is started here: ``OMP_NUM_THREADS``, else the number of cores, or a share of that.

    One in the thread that a fork left alone in its process.
    """
    if forked():
        return 1
    return getattr(_here, "share", None) or _default(os.environ.get("OMP_NUM_THREADS"))


def forked() -> bool:
    """Whether this thread was copied by a fork: OpenMP would have it wait for others that were not."""
    return getattr(_here, "copied", False)


@cache
def _default(chosen: str | None) -> int:
    """The cores of a domain of memory; of a list for nested regions the outermost."""
    if chosen is None or not chosen.strip():
        domains = len(list(Path("/sys/devices/system/node").glob("node[0-9]*")))
        return max(1, (psutil.cpu_count(logical=False) or os.cpu_count() or 1) // max(1, domains))
    try:
        counts = [int(part) for part in chosen.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 1:
        raise ParameterError(
            f"cannot tell how many threads to solve on: OMP_NUM_THREADS is {chosen!r}, expected a whole number from 1 on, "
            "or several separated by commas, of which the first counts; without it all cores are used"
        )
    return counts[0]


def _take(share: int) -> None:
    _here.share = share


def side_by_side(work: Callable[[int], Found], n: int) -> Iterator[Found]:
    """``work(0)``, .., ``work(n - 1)``, as many at a time as there are threads, which they share; results in order.

    What is left over when n is not a multiple of their number gets more threads each.
    """
    threads, done = count(), 0
    while done < n:
        workers = min(threads, n - done)
        end = done + (n - done) // workers * workers
        if workers == 1:
            yield from map(work, range(done, end))
        else:
            with ThreadPoolExecutor(workers, "seisops", _take, (threads // workers,)) as crew:
                results = [crew.submit(work, i) for i in range(done, end)]
                try:
                    for result in results:
                        yield result.result()
                finally:
                    crew.shutdown(cancel_futures=True)
        done = end


def _after_fork() -> None:
    """Make do with the one thread that is left."""
    _here.copied = True
    making.release()


if hasattr(os, "register_at_fork"):  # where there are forks
    os.register_at_fork(before=making.acquire, after_in_parent=making.release, after_in_child=_after_fork)
