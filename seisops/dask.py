"""Operators and maps whose shots are worked off by a Dask cluster.

Shots are independent, so ``A x`` is a row of tasks, one for a few shots each. What a task needs comes from the graph and
can be computed again: a worker that dies costs the shots that it was working on. Arrays with a shot axis are cut and put
together; what all shots share (a model) is handed to every task, and what they all contribute to (an image) is summed in a
tree on the workers. Operators stay on the workers that used them, and with them compiled code and background wavefields.

Workers may come and go: whoever joins is set up, and where there is none, one waits.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import tempfile
import threading
import time
import traceback
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask
import distributed
import numpy as np
import psutil
from distributed import Client, LocalCluster, WorkerPlugin, as_completed
from distributed.comm import CommClosedError
from numpy.typing import ArrayLike, NDArray
from tornado.ioloop import PeriodicCallback
from tqdm.auto import tqdm

from seisops.errors import ParameterError, SeisopsError, SpaceError
from seisops.fusion import fuse
from seisops.maps import Linearization, Map
from seisops.operators import LinearOperator, as_operator
from seisops.spaces import Space
from seisops.survey import Survey

__all__ = ["ClusterError", "DistributedMap", "DistributedOperator", "Failure", "ShotError", "distribute"]

# how many partial images a task adds up
FAN_IN = 4
# seconds after which one is told that nobody works
PATIENCE = 5.0
# the share of a worker's memory that backgrounds may take, and that at which they are released: below the 80 % at which
# Dask gives a worker nothing more to do, and nothing that is held would ever be released
SHARE, PRESSURE = 0.3, 0.65

logger = logging.getLogger(__name__)


def distribute(
    op: LinearOperator | Map,
    client: Client | None = None,
    shots_per_task: int = 1,
    threads: int = 1,
    keep_bytes: int = 2**31,
    retries: int = 2,
    on_error: str = "raise",
    same_order: bool = False,
    progress: bool = False,
    timeout: float = 300.0,
) -> DistributedOperator | DistributedMap:
    """Return the same operator or map with its shots distributed over a cluster.

    Parameters
    ----------
    op : LinearOperator or Map
        What to distribute, such as ``Pr * Ainv * Ps.H``, a Jacobian or a Parametric.
    client : distributed.Client, optional
        The cluster. By default the current one; where there is none, processes on this machine are started, one for each
        core, and stay until this process ends or ``distributed.default_client().close()``.
    shots_per_task : int, optional
        A task costs about ten milliseconds: give it several shots where they are small.
    threads : int, optional
        Threads of each solve. They multiply with the threads of a worker.
    keep_bytes : int, optional
        How much memory background wavefields may take in each worker, from one application to the next; never more than
        30 % of what Dask grants the worker, and they are released where its memory gets short. Threads and memory are
        set when a cluster is first used.
    retries : int, optional
        How often a shot is tried again that failed for another reason than its input, such as a file that could not be
        read. Shots whose worker died are tried again as often as Dask's ``distributed.scheduler.allowed-failures`` says.
    on_error : {"raise", "skip"}, optional
        What to do about shots that fail, after all others are done: raise :class:`ShotError`, or leave zeros in their place
        and list them in ``skipped``.
    same_order : bool, optional
        Add images up shot by shot in their order, which gives bit by bit what one process gives, and takes a little longer.
    progress : bool, optional
        Show a bar while shots are worked off.
    timeout : float, optional
        How long to wait, in seconds, when there is no worker: those of a batch system may take their time.

    Raises
    ------
    ParameterError
        If `op` knows of no shots, or an argument is invalid.

    Notes
    -----
    Applying it raises :class:`ShotError` for shots that fail, and :class:`ClusterError` for a cluster that does.
    """
    if on_error not in ("raise", "skip"):
        raise ParameterError(f"distribute(on_error={on_error!r}): use 'raise' or 'skip'")
    for name, number in (
        ("shots_per_task", shots_per_task),
        ("threads", threads),
        ("keep_bytes", keep_bytes),
        ("retries", retries),
    ):
        least = 0 if name in ("keep_bytes", "retries") else 1
        if not isinstance(number, (int, np.integer)) or number < least:
            raise ParameterError(f"distribute({name}={number!r}): must be a whole number, at least {least}")
    if not timeout > 0:
        raise ParameterError(f"distribute(timeout={timeout!r}): must be a number of seconds")
    options = Options(
        shots_per_task, threads, keep_bytes, retries, on_error, bool(same_order), bool(progress), float(timeout)
    )
    if isinstance(op, Map):
        return DistributedMap(op, options, client)
    return DistributedOperator(fuse(as_operator(op)), options, client)


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


@dataclass(frozen=True)
class Failure:
    """A shot that could not be worked off.

    Attributes
    ----------
    shot : int
        Its index in the operator that was distributed.
    worker : str
        Address of the worker.
    error : str
        Kind and message of the error.
    traceback : str
        Where it happened.
    """

    shot: int
    worker: str
    error: str
    traceback: str


class ShotError(SeisopsError, RuntimeError):
    """Shots failed while all others were worked off.

    Attributes
    ----------
    failures : tuple of Failure
    """

    def __init__(self, failures: Sequence[Failure]):
        self.failures = tuple(failures)
        first = self.failures[0]
        others = f" (and {len(self.failures) - 1} more: {[f.shot for f in self.failures[1:]]})" if failures[1:] else ""
        super().__init__(
            f"shot {first.shot} failed on {first.worker}{others}: {first.error}. The other shots are done; leave out "
            f"the failed ones with on_error='skip'\n{first.traceback}"
        )

    def __reduce__(self):
        return ShotError, (self.failures,)


class ClusterError(SeisopsError, RuntimeError):
    """A cluster cannot be worked with: it has no workers, or was closed, or restarted."""


# ---- on the workers


class Workshop(WorkerPlugin):
    """What a worker process keeps: where its code is compiled, and what tasks leave for one another.

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
        """Prepare the process, before Devito is imported."""
        os.environ["OMP_NUM_THREADS"] = str(self.threads)
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
        # a folder of its own: processes that compile into one wait for each other's locks, for ever if one is killed
        folder = Path(worker.local_directory) / f"compiled-{os.getpid()}"
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        self.address = worker.address
        self.lock = threading.Lock()
        self.left: OrderedDict[tuple, Any] = OrderedDict()
        self.limit = worker.memory_manager.memory_limit
        if self.limit:
            from seisops.wave.storage.pool import BACKGROUNDS

            self._limited = BACKGROUNDS.limit_bytes
            BACKGROUNDS.limit_bytes = int(self.limit)
            self.keep_bytes = min(self.keep_bytes, int(SHARE * self.limit))
            self._look = PeriodicCallback(self._on_pressure, 500)
            self._look.start()

    def teardown(self, worker: distributed.Worker) -> None:
        """Leave the process as it was: it may be that of the user."""
        if self.limit:
            from seisops.wave.storage.pool import BACKGROUNDS

            self._look.stop()
            BACKGROUNDS.limit_bytes = self._limited

    async def _on_pressure(self) -> None:
        """Release what can be computed again where memory gets short, whether or not there are tasks."""
        if psutil.Process().memory_info().rss > PRESSURE * self.limit and self.left:
            await asyncio.get_running_loop().run_in_executor(None, self._relieve)

    def _relieve(self) -> None:
        from seisops import memory

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


def _is_prepared(dask_worker: distributed.Worker) -> bool:
    return Workshop.name in dask_worker.plugins


async def _drop(token: str, dask_worker: distributed.Worker) -> None:
    dask_worker.plugins[Workshop.name].drop(token)


def _hold(x: Any) -> Any:
    return x


@dataclass(frozen=True)
class InFiles:
    """The data of a few shots, to be read where they are needed."""

    survey: Survey


@dataclass
class Done:
    """What tasks return: for some shots what is theirs; summed up what all shots contribute to; what failed, and where."""

    own: list[tuple[tuple[int, ...], tuple]]
    shared: tuple
    failures: list[Failure]
    workers: dict[tuple[int, ...], str]


def _work(
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
    x = [given.survey.data if isinstance(given, InFiles) else given for given in x]
    results = step.run(part, x, lambda key, make: workshop.get((key, shots), make), shots)
    mine = tuple(r if s.shots is not None else None for s, r in zip(step.outputs, results, strict=True))
    shared = tuple(r if s.shots is None else None for s, r in zip(step.outputs, results, strict=True))
    return Done([(shots, mine)], shared, [], {})


def _one(space: Space, part: NDArray | Survey | InFiles, i: int) -> NDArray | Survey | InFiles:
    """What belongs to one of the shots of a task."""
    if isinstance(part, InFiles):
        return InFiles(part.survey[[i]])
    return part[[i]] if isinstance(part, Survey) else space.take(part, [i])


def _merge(*parts: Done) -> Done:
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


# ---- steps: what is done to the part of an operator or a map


@dataclass(frozen=True)
class Step:
    """What a task does.

    Attributes
    ----------
    name : str
        In progress bars and on the dashboard.
    inputs, outputs : tuple of Space
        Of all shots on the head, of its own in a task.
    """

    name: str
    inputs: tuple[Space, ...]
    outputs: tuple[Space, ...]

    def select(self, shots: Sequence[int]) -> Step:
        """The step for some shots."""
        inputs, outputs = (tuple(s.select(shots) for s in spaces) for spaces in (self.inputs, self.outputs))
        return replace(self, inputs=inputs, outputs=outputs)

    def run(self, part, x: Sequence[NDArray], keep: Callable, shots: tuple[int, ...]) -> tuple[NDArray, ...]:
        """Return the outputs of some shots' part; ``keep(key, make)`` finds what an earlier step left, or makes it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Apply(Step):
    """Apply an operator, or its adjoint."""

    adjoint: bool

    def run(self, part, x, keep, shots):
        op = part.H if self.adjoint else part
        return (op.range.asarray(op.matvec(x[0].ravel())),)


@dataclass(frozen=True)
class Save(Apply):
    """Apply an operator, or its adjoint, and write the traces that come out; inputs are x, and their geometry."""

    folder: str

    def path(self, shots: tuple[int, ...]) -> str:
        """Where the traces of some shots are."""
        return str(Path(self.folder) / f"shots-{shots[0]:06d}-{shots[-1]:06d}.zarr")

    def run(self, part, x, keep, shots):
        x, geometry = x
        (traces,) = super().run(part, [x], keep, shots)
        geometry.with_data(traces).to_zarr(self.path(shots), overwrite=True)
        return ()


@dataclass(frozen=True)
class Evaluate(Step):
    """The value of a map; its linearisation stays under the key `point`, if there is one."""

    point: str | None

    def run(self, part, x, keep, shots):
        value = part(*x) if self.point is None else keep(self.point, lambda: part.linearize(*x)).value
        return (part.range.asarray(value),)


@dataclass(frozen=True)
class Push(Step):
    """The derivative of a map in a direction; inputs are the point, then the directions of the arguments that move."""

    point: str
    moving: tuple[bool, ...]

    def run(self, part, x, keep, shots):
        n = len(self.moving)
        directions = iter(x[n:])
        at_x = keep(self.point, lambda: part.linearize(*x[:n]))
        return (part.range.asarray(at_x.pushforward(*(next(directions) if m else None for m in self.moving))),)


@dataclass(frozen=True)
class Pull(Step):
    """Gradients by the wanted arguments of a map; inputs are the point, then an array of the range."""

    point: str
    wanted: tuple[bool, ...]

    def run(self, part, x, keep, shots):
        *x, y = x
        at_x = keep(self.point, lambda: part.linearize(*x))
        return tuple(g for g in at_x.pullback(y, self.wanted) if g is not None)


# ---- on the head


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
        self._client, self._remote, self._gone = client, None, None
        self._workers: dict[tuple[int, ...], str] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"whole": self.whole, "options": self.options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["whole"], state["options"], None)

    @property
    def client(self) -> Client:
        """The given client, or the current one, or one of processes on this machine."""
        if self._client is None:
            try:
                self._client = distributed.default_client()
            except ValueError:
                self._client = Client(LocalCluster(threads_per_worker=1, dashboard_address=":0"))
        if self._client.status not in ("running", "newly-created"):
            raise ClusterError(
                f"the Dask client of {self.whole!r} is {self._client.status}: call distribute() again with one that is "
                "connected"
            )
        return self._client

    def hold(self, space: Space, x: NDArray | Survey) -> list[Any]:
        """What each batch gets of an array: its part (of a survey, where to read it), or a handle of all of it."""
        if isinstance(x, Survey):
            return [InFiles(x[list(batch)]) for batch in self.batches]
        if space.shots is None:
            shared = self.client.submit(_hold, x, key=f"model-{uuid.uuid4().hex}", pure=False)
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
            self._remote = client.submit(_hold, self.whole, key=f"operator-{self.token}-{run}", pure=False)
        alive = set(client.scheduler_info(n_workers=-1)["workers"])
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
            futures = [
                client.submit(
                    _work, step.select(batch), self._remote, self.token, batch, self.options.retries,
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
        answers = client.run(_is_prepared, on_error="return")
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
            _installed(client.run(_is_prepared, on_error="return"))

    def _tree(self, step: Step, futures: list, run: str) -> list:
        """Sum up on the workers: pairs of neighbours, or one after another in the order of the shots."""
        level = 0
        fan_in = len(futures) if self.options.same_order else FAN_IN
        while len(futures) > 1:
            groups = [futures[i : i + fan_in] for i in range(0, len(futures), fan_in)]
            futures = [
                group[0] if len(group) == 1 else
                self.client.submit(_merge, *group, key=f"sum-{step.name}-{level}-{i}-{run}", pure=False)
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
        if self._client is not None:
            _release(self._client, token)


def _release(client: Client, token: str) -> None:
    """Let workers drop what belongs to a token; finalizers do so, in any thread."""
    if client.status == "running":
        client.loop.add_callback(client.run, _drop, token, wait=False, on_error="ignore")


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


class DistributedOperator(LinearOperator):
    """A linear operator whose shots are worked off by a cluster.

    Attributes
    ----------
    op : LinearOperator
        The operator.
    skipped : list of Failure
        Shots that failed in the last application, with ``on_error="skip"``.
    """

    symbol = "distributed"
    parametric = True

    def __init__(self, op: LinearOperator, options: Options, client: Client | None) -> None:
        self.op, self.options, self._cluster = op, options, Cluster(op, options, client)
        self._reversed = False
        super().__init__(op.domain, op.range)

    def _make_adjoint(self) -> DistributedOperator:
        adjoint = object.__new__(DistributedOperator)
        # the same cluster: workers keep one operator for both directions
        adjoint.op, adjoint.options, adjoint._cluster = self.op, self.options, self._cluster
        adjoint._reversed = not self._reversed
        LinearOperator.__init__(adjoint, self.range, self.domain)
        return adjoint

    @property
    def stands_for(self) -> LinearOperator:
        """The same operator in one process."""
        return self.op.H if self._reversed else self.op

    @property
    def shots(self) -> int | None:
        """The number of shots."""
        return self.op.shots

    @property
    def skipped(self) -> list[Failure]:
        """Shots that failed in the last application."""
        return self._cluster.skipped

    def select(self, shots: Sequence[int]) -> DistributedOperator:
        """Return some of the shots, distributed too."""
        part = DistributedOperator(self.op.select(shots), self.options, self._cluster._client)
        return part.H if self._reversed else part

    def at(self, **parameters: ArrayLike) -> DistributedOperator:
        """Return the operator with other parameters of the medium, distributed too."""
        moved = DistributedOperator(self.op.at(**parameters), self.options, self._cluster._client)
        return moved.H if self._reversed else moved

    def spread(self, other: LinearOperator | Map) -> DistributedOperator | DistributedMap:
        """Distribute another operator or map over the same cluster, in the same way."""
        kind = DistributedMap if isinstance(other, Map) else DistributedOperator
        return kind(other, self.options, self._cluster._client)

    def jacobian(self, *args, **options) -> DistributedOperator:
        """Return the Jacobian of a survey's modeling, distributed too; see ``Survey.modeling``."""
        return self.spread(self.stands_for.jacobian(*args, **options))

    def as_map(self, *args, **options) -> DistributedMap:
        """Return the map of a survey's modeling, distributed too; see ``Survey.modeling``."""
        return self.spread(self.stands_for.as_map(*args, **options))

    def forget(self) -> None:
        """Release what the workers hold."""
        self._cluster.drop(self._cluster.token)

    def _apply(self, x: NDArray | Survey) -> NDArray:
        step = Apply("adjoint" if self._reversed else "apply", (self.domain,), (self.range,), self._reversed)
        return self._cluster.run(step, [self._cluster.hold(self.domain, x)])[0]

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self.H._apply(y)

    def _times(self, x: Any) -> Any:
        # the data of a survey are read by the workers, each shot where it is worked off
        return self._apply(_fitting(x, self.domain, self)) if isinstance(x, Survey) else super()._times(x)

    def save(self, x: ArrayLike | Survey, survey: Survey, folder: str | os.PathLike) -> Survey:
        """Apply the operator, and let the workers write what comes out: it never passes through this process.

        Parameters
        ----------
        x : array_like or Survey
            What to apply it to.
        survey : Survey
            The geometry of the traces that come out, without data.
        folder : path-like
            Each task writes a Zarr store into it, which appears when it is complete. Stores of the same name are replaced.

        Returns
        -------
        Survey
            The traces, read from the stores when they are asked for.
        """
        x = _fitting(x, self.domain, self) if isinstance(x, Survey) else self.domain.asarray(x)
        _fitting(survey, self.range, self)
        cluster, folder = self._cluster, Path(folder).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        step = Save("save", (self.domain, self.range), (), self._reversed, str(folder))
        geometry = [survey[list(batch)] for batch in cluster.batches]
        cluster.run(step, [cluster.hold(self.domain, x), geometry])
        failed = {failure.shot for failure in self.skipped}
        stores = [Survey.from_zarr(step.path(batch)) for batch in cluster.batches if not failed & set(batch)]
        return Survey([shot for store in stores for shot in store])


def _fitting(survey: Survey, space: Space, op: LinearOperator) -> Survey:
    if survey.space.shape != space.shape:
        raise SpaceError(f"the survey's data are {survey.space!r}; {op} has {space!r} there")
    return survey


class DistributedMap(Map):
    """A nonlinear map whose shots are worked off by a cluster.

    Attributes
    ----------
    map : Map
        The map.
    skipped : list of Failure
        Shots that failed in the last step, with ``on_error="skip"``.
    """

    def __init__(self, map: Map, options: Options, client: Client | None) -> None:
        self.map, self.options, self._cluster = map, options, Cluster(map, options, client)
        super().__init__(map.domain, map.range)

    @property
    def stands_for(self) -> Map:
        """The same map in one process."""
        return self.map

    @property
    def skipped(self) -> list[Failure]:
        """Shots that failed in the last step."""
        return self._cluster.skipped

    def select(self, shots: Sequence[int]) -> DistributedMap:
        """Return some of the shots, distributed too."""
        return DistributedMap(self.map.select(shots), self.options, self._cluster._client)

    def _hold(self, spaces: Sequence[Space], x: Sequence[NDArray]) -> list[list]:
        return [self._cluster.hold(space, part) for space, part in zip(spaces, x, strict=True)]

    def _call(self, *x: NDArray) -> NDArray:
        step = Evaluate("value", self.domain, (self.range,), None)
        return self._cluster.run(step, self._hold(self.domain, x))[0]

    def forget(self) -> None:
        """Release what the workers hold for the map; open linearisations stay open."""
        super().forget()
        self._cluster.drop(self._cluster.token)

    def _linearize(self, *x: NDArray) -> Linearization:
        return DistributedLinearization(self, x)

    def _make_tangent(self) -> Map:
        return DistributedMap(self.map.tangent(), self.options, self._cluster._client)


class Point:
    """Where a distributed map is linearised. What workers hold for it goes when the last who needs it has gone.

    Parameters
    ----------
    of : DistributedMap
    x : sequence of ndarray
    """

    def __init__(self, of: DistributedMap, x: Sequence[NDArray]) -> None:
        self.of, self.key = of, uuid.uuid4().hex
        self.held = of._hold(of.domain, x)
        self.close = weakref.finalize(self, of._cluster.drop, self.key)
        self.close.atexit = False

    def value(self) -> NDArray:
        """The value of the map."""
        step = Evaluate("linearize", self.of.domain, (self.of.range,), self.key)
        return self.of._cluster.run(step, self.held)[0]

    def push(self, dx: Sequence[ArrayLike | None]) -> NDArray:
        """The derivative in a direction, of which a part at least is not None."""
        of = self.of
        moving = tuple(part is not None for part in dx)
        spaces = [space for space, moves in zip(of.domain, moving, strict=True) if moves]
        arrays = [space.asarray(part) for space, part in zip(spaces, (p for p in dx if p is not None), strict=True)]
        step = Push("push", (*of.domain, *spaces), (of.range,), self.key, moving)
        return of._cluster.run(step, [*self.held, *of._hold(spaces, arrays)])[0]

    def pull(self, y: ArrayLike, wanted: Sequence[bool]) -> tuple[NDArray | None, ...]:
        """The gradients that are wanted, of which there is one at least, and None for the others."""
        of = self.of
        outputs = tuple(space for space, want in zip(of.domain, wanted, strict=True) if want)
        step = Pull("gradient", (*of.domain, of.range), outputs, self.key, tuple(wanted))
        found = iter(of._cluster.run(step, [*self.held, *of._hold([of.range], [of.range.asarray(y)])]))
        return tuple(next(found) if want else None for want in wanted)


class DistributedLinearization(Linearization):
    """A linearisation whose wavefields stay on the workers that made them."""

    def __init__(self, of: DistributedMap, x: Sequence[NDArray]) -> None:
        self._at = Point(of, x)
        super().__init__(self._at.value(), [ByArgument(self._at, i) for i in range(len(x))], self._at.close)

    def pushforward(self, *dx: ArrayLike | None) -> NDArray:
        """Return the derivative in a direction; see :class:`~seisops.maps.Linearization`."""
        if all(part is None for part in dx):
            return super().pushforward(*dx)
        self._require_open()
        return self._at.push(dx)

    def pullback(self, y: ArrayLike, wanted: Sequence[bool] | None = None) -> tuple[NDArray | None, ...]:
        """Return gradients; see :class:`~seisops.maps.Linearization`."""
        wanted = tuple([True] * len(self._at.of.domain) if wanted is None else wanted)
        self._require_open()
        return self._at.pull(y, wanted) if any(wanted) else (None,) * len(wanted)


class ByArgument(LinearOperator):
    """The derivative by one argument of a distributed map."""

    symbol = "J"

    def __init__(self, at: Point, argument: int) -> None:
        self.at, self.argument, self.count = at, argument, len(at.of.domain)
        super().__init__(at.of.domain[argument], at.of.range)

    def _apply(self, x: NDArray) -> NDArray:
        return self.at.push([x if i == self.argument else None for i in range(self.count)])

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self.at.pull(y, [i == self.argument for i in range(self.count)])[self.argument]
