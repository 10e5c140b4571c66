"""The head: hands the shots of an operator or a map out to the workers, and puts together what comes back."""

from __future__ import annotations

import logging
import threading
import time
import uuid
import weakref
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import dask
import distributed
from distributed import Client, LocalCluster, as_completed
from distributed.comm import CommClosedError
from numpy.typing import NDArray
from tqdm.auto import tqdm

from seisops.dask.errors import ClusterError, Failure, ShotError
from seisops.dask.steps import Step
from seisops.dask.worker import Done, InFiles, Workshop, drop, hold, is_prepared, merge, work
from seisops.elsewhere import OnDemand
from seisops.errors import ParameterError, SpaceError
from seisops.maps import Map
from seisops.operators import LinearOperator
from seisops.spaces import Space

__all__ = ["Cluster", "Options"]

# how many partial images a task adds up
FAN_IN = 4
# seconds after which one is told that nobody works
PATIENCE = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How shots are worked off; see :func:`distribute`."""

    shots_per_task: int
    threads: int
    keep_bytes: int
    retries: int
    on_error: str
    same_order: bool
    progress: bool
    timeout: float


class Cluster:
    """Hands the shots of one operator or map out, and puts together what comes back."""

    def __init__(self, whole: LinearOperator | Map, options: Options, client: Client | None) -> None:
        if whole.shots is None:
            raise ParameterError(f"cannot distribute {whole!r}: it does not know of shots")
        self.whole, self.options = whole, options
        self.token = uuid.uuid4().hex
        size = 1 if options.same_order else options.shots_per_task
        self.batches = [tuple(range(i, min(i + size, whole.shots))) for i in range(0, whole.shots, size)]
        try:
            for batch in self.batches[:1]:
                whole.select(batch)
        except SpaceError as error:
            raise ParameterError(f"cannot distribute {whole!r} by shots: {error}") from None
        self.skipped: list[Failure] = []
        self.known_client = client  # None until it is asked for
        self._remote, self._gone = None, None
        self._workers: dict[tuple[int, ...], str] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"whole": self.whole, "options": self.options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["whole"], state["options"], None)

    @property
    def client(self) -> Client:
        """The given client, or the current one, or one of processes on this machine."""
        if self.known_client is None:
            try:
                self.known_client = distributed.default_client()
            except ValueError:
                self.known_client = Client(LocalCluster(threads_per_worker=1, dashboard_address=":0"))
        if self.known_client.status not in ("running", "newly-created"):
            raise ClusterError(
                f"the Dask client of {self.whole!r} is {self.known_client.status}: call distribute() again with one that is "
                "connected"
            )
        return self.known_client

    def hold(self, space: Space, x: NDArray | OnDemand) -> list[Any]:
        """What each batch gets of an array: its part (of one on demand, where to read it), or a handle of all of it."""
        if isinstance(x, OnDemand):
            return [InFiles(x[list(batch)]) for batch in self.batches]
        if space.shots is None:
            shared = self.client.submit(hold, x, key=f"model-{uuid.uuid4().hex}", pure=False)
            return [shared] * len(self.batches)
        return [space.take(x, batch) for batch in self.batches]

    def run(self, step: Step, held: Sequence[list[Any]]) -> list[NDArray]:
        """Carry a step out for all shots."""
        run = uuid.uuid4().hex
        self._prepare()
        if self._gone is None:
            self._gone = weakref.finalize(self, _release, self.client, self.token)
            self._gone.atexit = False  # the workers may be gone, and what they hold goes with them
        try:
            with Attendance(self.client, self.options.timeout) as attendance:
                return self._worked_off(step, held, run, attendance)
        except (CommClosedError, CancelledError) as error:
            raise ClusterError(
                attendance.verdict
                or f"the cluster was restarted, or the connection to its scheduler was lost ({error}): "
                "linearisations are lost with it, and have to be made again; call distribute() again if it has a new client"
            ) from error

    def _worked_off(self, step: Step, held: Sequence[list[Any]], run: str, attendance: Attendance) -> list[NDArray]:
        client = self.client
        if self._remote is None or self._remote.status in ("lost", "cancelled", "error"):  # the cluster was restarted
            self._remote = client.submit(hold, self.whole, key=f"operator-{self.token}-{run}", pure=False)
        alive = set(client.scheduler_info(n_workers=-1)["workers"])
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
            futures = [
                client.submit(
                    work, step.select(batch), self._remote, self.token, batch, self.options.retries,
                    *(parts[i] for parts in held),
                    key=f"{step.name}-{_label(batch)}-{run}", pure=False, retries=self.options.retries,
                    # where its wavefields are, if that worker still is; anywhere else they are computed again
                    workers=[self._workers[batch]] if self._workers.get(batch) in alive else None,
                    allow_other_workers=self._workers.get(batch) in alive,
                )
                for i, batch in enumerate(self.batches)
            ]  # fmt: skip
        attendance.futures = futures
        self._watch(step, futures)
        batches, ends, failures = self._ended(self.batches, futures)
        if any(space.shots is None for space in step.outputs) and len(ends) > 1:
            batches, ends = [sum(batches, ())], self._tree(step, ends, run)
        out = [space.zeros() for space in step.outputs]
        for done in self._gathered(batches, ends, failures):
            failures += done.failures
            self._workers.update(done.workers)
            for shots, mine in done.own:
                for space, whole, part in zip(step.outputs, out, mine, strict=True):
                    if part is not None:
                        space.put(whole, part, shots)
            for whole, part in zip(out, done.shared, strict=True):
                if part is not None:
                    whole += part.reshape(whole.shape)
        self.skipped = sorted(failures, key=lambda f: f.shot)
        if failures and self.options.on_error == "raise":
            raise ShotError(self.skipped)
        return out

    def _prepare(self) -> None:
        """Set the workers up; the scheduler does so for those to come. Workers that die meanwhile do not matter."""
        client, timeout = self.client, self.options.timeout
        answers = client.run(is_prepared, on_error="return")
        _installed(answers)
        if not answers or any(answer is False for answer in answers.values()):
            with suppress(OSError):
                client.register_plugin(Workshop(self.options.threads, self.options.keep_bytes))
        if not answers:
            logger.warning("the cluster has no worker yet: waiting for one, up to %g s", timeout)
            try:
                client.wait_for_workers(1, timeout=timeout)
            except TimeoutError:
                raise ClusterError(_nobody(timeout)) from None
            _installed(client.run(is_prepared, on_error="return"))

    def _tree(self, step: Step, futures: list, run: str) -> list:
        """Sum up on the workers: pairs of neighbours, or one after another in the order of the shots."""
        level = 0
        fan_in = len(futures) if self.options.same_order else FAN_IN
        while len(futures) > 1:
            groups = [futures[i : i + fan_in] for i in range(0, len(futures), fan_in)]
            futures = [
                group[0] if len(group) == 1 else
                self.client.submit(merge, *group, key=f"sum-{step.name}-{level}-{i}-{run}", pure=False)
                for i, group in enumerate(groups)
            ]  # fmt: skip
            level += 1
        return futures

    def _watch(self, step: Step, futures: list) -> None:
        sizes = {f.key: len(batch) for f, batch in zip(futures, self.batches, strict=True)}
        with tqdm(total=self.whole.shots, desc=step.name, unit="shot", disable=not self.options.progress) as bar:
            for future in as_completed(futures, loop=self.client.loop, raise_errors=False):
                bar.update(sizes[future.key])

    def _ended(self, batches: Sequence[tuple], futures: Sequence[Any]) -> tuple[list[tuple], list, list[Failure]]:
        """Tasks with a result and their shots, and shots whose workers died again and again.

        A result that was lost since, with the worker that had it, is on its way again: it counts as a result.
        """
        good, ends, failures = [], [], []
        for batch, future in zip(batches, futures, strict=True):
            status = future.status
            if status == "cancelled":
                raise CancelledError(future.key)
            if status != "error":
                good.append(batch)
                ends.append(future)
                continue
            error = future.exception()
            where = getattr(getattr(error, "last_worker", None), "address", "a lost worker")
            kind = f"{type(error).__name__}: {error}"
            if isinstance(error, ModuleNotFoundError):
                kind += ". It has to be installed wherever workers run"
            failures += [Failure(shot, where, kind, "") for shot in batch]
        return good, ends, failures

    def _gathered(self, batches: list[tuple], ends: list, failures: list[Failure]) -> list[Done]:
        """What came back; `failures` takes what was lost after it was done, and could not be computed again."""
        while True:
            try:
                return self.client.gather(ends)
            except (CommClosedError, CancelledError):
                raise
            except Exception:
                batches, left, lost = self._ended(batches, ends)
                if len(left) == len(ends):
                    raise
                ends = left
                failures += lost

    def drop(self, token: str) -> None:
        """Release what the workers hold for a token, without waiting for it."""
        if self.known_client is not None:
            _release(self.known_client, token)


def _release(client: Client, token: str) -> None:
    """Let workers drop what belongs to a token; finalizers do so, in any thread."""
    if client.status == "running":
        client.loop.add_callback(_dropped, client, token)


async def _dropped(client: Client, token: str) -> None:
    """Ask workers to drop what belongs to a token; if the cluster ends meanwhile, it is gone anyway."""
    with suppress(CommClosedError):
        await client.run(drop, token, wait=False, on_error="ignore")


class Attendance(threading.Thread):
    """Looks whether anybody works, says so if not, and gives up after a while: a context for the time of a run.

    Attributes
    ----------
    futures : list
        What is cancelled when it gives up.
    verdict : str
        Why it gave up; empty if it did not.
    """

    def __init__(self, client: Client, timeout: float) -> None:
        super().__init__(name="seisops-attendance", daemon=True)
        self.client, self.timeout = client, timeout
        self.futures: list = []
        self.verdict = ""
        self._over = threading.Event()

    def __enter__(self) -> Attendance:
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()

    def run(self) -> None:
        """Look every few seconds."""
        since = None
        while not self._over.wait(PATIENCE):
            with suppress(OSError, TimeoutError, ValueError):  # of a connection that is lost, or is just made again
                workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
                if any(worker.get("status") != "paused" for worker in workers):
                    since = None
                    continue
                if since is None:
                    since = time.monotonic()
                    what = "all workers are paused, as their memory is full" if workers else "no worker is left"
                    logger.warning("%s: waiting for one, up to %g s", what, self.timeout)
                if time.monotonic() - since > self.timeout:
                    self.verdict = _full(self.timeout) if workers else _nobody(self.timeout)
                    self.client.cancel(self.futures, force=True)
                    return


def _nobody(timeout: float) -> str:
    return (
        f"no worker came within {timeout:g} s: start some (as by cluster.scale(4)), or wait longer with "
        "distribute(..., timeout=SECONDS)"
    )


def _full(timeout: float) -> str:
    return (
        f"all workers have been paused for {timeout:g} s, as their memory is full: give them more, or less to do at a time "
        "(fewer threads of a worker, storage=so.storage.Checkpointed(...))"
    )


def _installed(answers: dict[str, Any]) -> None:
    """Refuse workers that lack what their tasks are made of."""
    # Dask wraps what was raised before a function could be called
    lacking = {
        address: a for address, a in answers.items() if isinstance(a, Exception) and "ModuleNotFoundError" in repr(a)
    }
    if lacking:
        raise ClusterError(
            f"{len(lacking)} of {len(answers)} workers (the first at {next(iter(lacking))}) say "
            f"{str(next(iter(lacking.values())))!r}: install seisops there, in the same version as here"
        )


def _label(batch: tuple[int, ...]) -> str:
    return f"shot {batch[0]}" if len(batch) == 1 else f"shots {batch[0]} to {batch[-1]}"
