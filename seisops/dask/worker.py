"""What runs on the workers, and what they keep there."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import distributed
import psutil
from distributed import WorkerPlugin
from numpy.typing import NDArray
from tornado.ioloop import PeriodicCallback

from seisops import memory
from seisops.dask.errors import Failure
from seisops.dask.steps import Step
from seisops.elsewhere import OnDemand
from seisops.errors import SeisopsError
from seisops.maps import Map
from seisops.operators import LinearOperator
from seisops.spaces import Space

__all__ = ["Done", "InFiles", "Workshop", "drop", "hold", "is_prepared", "merge", "work"]

# the share of a worker's memory that backgrounds may take, and that at which they are released: below the 80 % at which
# Dask gives a worker nothing more to do, and nothing that is held would ever be released
SHARE, PRESSURE = 0.3, 0.65


class Workshop(WorkerPlugin):
    """What a worker process keeps: what tasks leave for one another.

    Parameters
    ----------
    threads : int
        Threads of each solve.
    keep_bytes : int
        How much background wavefields may take.
    """

    name = "seisops"

    def __init__(self, threads: int, keep_bytes: int) -> None:
        self.threads, self.keep_bytes = threads, keep_bytes

    def setup(self, worker: distributed.Worker) -> None:
        """Prepare the process."""
        self._before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "GOMP_SPINCOUNT")}
        os.environ["OMP_NUM_THREADS"] = str(self.threads)
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
        self.address = worker.address
        self.lock = threading.Lock()
        self.left: OrderedDict[tuple, Any] = OrderedDict()
        self.limit = worker.memory_manager.memory_limit
        if self.limit:
            self._limited = memory.limit(int(self.limit))
            self.keep_bytes = min(self.keep_bytes, int(SHARE * self.limit))
            self._look = PeriodicCallback(self._on_pressure, 500)
            self._look.start()

    def teardown(self, worker: distributed.Worker) -> None:
        """Leave the process as it was: it may be that of the user."""
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if self.limit:
            self._look.stop()
            memory.limit(self._limited)

    async def _on_pressure(self) -> None:
        """Release what can be computed again where memory gets short, whether or not there are tasks."""
        if psutil.Process().memory_info().rss > PRESSURE * self.limit and self.left:
            await asyncio.get_running_loop().run_in_executor(None, self._relieve)

    def _relieve(self) -> None:
        self.tidy(0)
        memory.forget()
        with suppress(OSError, AttributeError):  # of glibc: gives the system back what is free
            ctypes.CDLL(None).malloc_trim(0)

    def get(self, key: tuple, make: Callable[[], Any]) -> Any:
        """Return what an earlier task left under a key, or what is made now and left there."""
        with self.lock:
            if key in self.left:
                self.left.move_to_end(key)
                return self.left[key]
        made = make()
        with self.lock:
            return self.left.setdefault(key, made)

    def tidy(self, keep_bytes: int | None = None) -> None:
        """Release what was used longest ago, as far as the budget is exceeded."""
        keep_bytes = self.keep_bytes if keep_bytes is None else keep_bytes
        with self.lock:
            # what the linearisations of a map hold counts under keys of their own
            held = {key: 0 if isinstance(made, Map) else made.held_bytes for key, made in self.left.items()}
            excess = sum(held.values()) - keep_bytes
            oldest = []
            for key, size in held.items():
                if excess > 0 and size:
                    oldest.append(self.left.pop(key))
                    excess -= size
        for made in oldest:
            made.forget()

    def drop(self, token: str) -> None:
        """Release what belongs to a token."""
        with self.lock:
            dropped = [self.left.pop(key) for key in list(self.left) if key[0] == token]
        for made in dropped:
            made.forget()


def _workshop() -> Workshop:
    return distributed.get_worker().plugins[Workshop.name]


def is_prepared(dask_worker: distributed.Worker) -> bool:
    """Whether a worker has its workshop."""
    return Workshop.name in dask_worker.plugins


async def drop(token: str, dask_worker: distributed.Worker) -> None:
    """Let a worker release what belongs to a token."""
    dask_worker.plugins[Workshop.name].drop(token)


def hold(x: Any) -> Any:
    """A task whose result is what it is given: held by a worker for the tasks that need it."""
    return x


@dataclass(frozen=True)
class InFiles:
    """The data of a few shots, to be read where they are needed."""

    array: OnDemand


@dataclass
class Done:
    """What tasks return: for some shots what is theirs; summed up what all shots contribute to; what failed, and where."""

    own: list[tuple[tuple[int, ...], tuple]]
    shared: tuple
    failures: list[Failure]
    workers: dict[tuple[int, ...], str]


def work(
    step: Step, whole: LinearOperator | Map, token: str, shots: tuple[int, ...], retries: int, *x: NDArray
) -> Done:
    """A task: one step for a few shots; shot by shot if it fails, to find out which, and again if that may help."""
    workshop = _workshop()
    done = Done([], (None,) * len(step.outputs), [], {shots: workshop.address})
    try:
        _merge_into(done, _attempt(step, whole, token, shots, x, workshop))
    except Exception as error:  # noqa: BLE001 whatever it was, the other shots go on, and the head says which it was
        for i, shot in enumerate(shots):
            single = step.select([i])
            one = [_one(space, part, i) for space, part in zip(step.inputs, x, strict=True)]
            try:
                made = _persistently(
                    lambda single=single, shot=shot, one=one: _attempt(single, whole, token, (shot,), one, workshop),
                    retries,
                    error if len(shots) == 1 else None,
                )
                _merge_into(done, made)
            except Exception as cause:  # noqa: BLE001
                kind = f"{type(cause).__name__}: {cause}"
                done.failures.append(Failure(shot, workshop.address, kind, traceback.format_exc()))
    workshop.tidy()
    return done


def _persistently(attempt: Callable[[], Done], retries: int, failed: Exception | None) -> Done:
    """Try again, unless that is in vain: what is wrong with the input is an error of ours."""
    for i in range(retries + 1):
        if failed is None:
            try:
                return attempt()
            except Exception as error:  # noqa: BLE001 whatever it was
                failed = error
        if isinstance(failed, SeisopsError) or i == retries:
            break
        time.sleep(min(0.1 * 2**i, 5.0))
        failed = None
    raise failed


def _attempt(step, whole, token, shots, x, workshop) -> Done:
    part = workshop.get((token, "part", shots), lambda: whole.select(shots))
    x = [given.array.data if isinstance(given, InFiles) else given for given in x]
    results = step.run(part, x, lambda key, make: workshop.get((key, shots), make), shots)
    mine = tuple(r if s.shots is not None else None for s, r in zip(step.outputs, results, strict=True))
    shared = tuple(r if s.shots is None else None for s, r in zip(step.outputs, results, strict=True))
    return Done([(shots, mine)], shared, [], {})


def _one(space: Space, part: NDArray | OnDemand | InFiles, i: int) -> NDArray | OnDemand | InFiles:
    """What belongs to one of the shots of a task."""
    if isinstance(part, InFiles):
        return InFiles(part.array[[i]])
    return part[[i]] if isinstance(part, OnDemand) else space.take(part, [i])


def merge(*parts: Done) -> Done:
    """A node of the tree of sums."""
    out = Done([], (None,) * len(parts[0].shared), [], {})
    for part in parts:
        _merge_into(out, part)
    return out


def _merge_into(out: Done, part: Done) -> None:
    out.own += part.own
    out.failures += part.failures
    out.workers.update(part.workers)
    out.shared = tuple(
        b if a is None else a if b is None else a + b for a, b in zip(out.shared, part.shared, strict=True)
    )
