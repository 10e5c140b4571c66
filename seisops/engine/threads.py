"""How many threads a compiled loop takes, and independent pieces of work side by side.

A small problem does not gain from many cores: its loops over time wait for the slowest core many times in every step, and
what each core computes is in another's cache. Several such problems at once do gain. A Python thread waits for its
compiled loop without holding up the others.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import devito

__all__ = ["count", "side_by_side"]

Found = TypeVar("Found")

_here = threading.local()


def count() -> int:
    """Threads of a loop that is started here: ``OMP_NUM_THREADS``, else the number of cores, or a share of that."""
    return getattr(_here, "share", None) or _default(os.environ.get("OMP_NUM_THREADS"))


@cache
def _default(chosen: str | None) -> int:
    """The number that Devito would take; of a list for nested regions the outermost."""
    if chosen:
        return max(1, int(chosen.split(",")[0]))
    return max(1, devito.configuration["platform"].cores_physical_per_numa_domain)


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
