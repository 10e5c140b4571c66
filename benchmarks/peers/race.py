"""The codes in turn: each in a process of its own, one at a time, round by round."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from .cases import Contender
from .problem import Problem

HERE = Path(__file__).resolve().parents[1]
LIMIT = 1800.0  # seconds for one answer
TURN, MOST = 0.3, 5  # seconds that a turn should last, and the most calls it may take for that

Say = Callable[[str], None]


def surroundings(peer: str, threads: int) -> dict[str, str]:
    """Environment variables of a process."""
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    if peer == "devito":
        env.update(DEVITO_LANGUAGE="openmp", DEVITO_LOGGING="ERROR")
    return env


class Stopped(Exception):
    """A process failed, ended, or took too long to answer."""


class Process:
    """A worker process; a context manager that ends it."""

    def __init__(self, peer: str, threads: int, log):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "peers.worker"],
            cwd=HERE,
            env=surroundings(peer, threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def ask(self, do: str, *arguments) -> dict:
        """The answer to a command."""
        guard = threading.Timer(LIMIT, self.process.kill)
        guard.start()
        try:
            print(json.dumps({"do": do, "with": arguments}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            guard.cancel()
        if not line:
            raise Stopped(f"no answer within {LIMIT:.0f} s, or its process ended: exit code {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Stopped(answer["error"])
        return answer

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_) -> None:
        with suppress(BrokenPipeError):  # it ended before it read its last command
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@dataclass
class Row:
    """What was measured of one contender at one case.

    Attributes
    ----------
    seconds : list of float
        Of all timed calls.
    setup, first : float
        Seconds to set up, and of the first call, compilation included.
    memory : float
        Peak of the resident memory above import, after one call, in MiB.
    differs, away : dict
        Relative difference of each result from that of the case's first contender: as timed, and with boundaries
        that reflect next to nothing.
    unchecked : bool
        Whether there was no memory to measure `away`.
    why : str
        Why it was skipped, or how it failed.
    apart : bool
        Whether it ran alone after the others, for want of memory.
    """

    contender: Contender
    seconds: list[float] = field(default_factory=list)
    setup: float = 0.0
    first: float = 0.0
    memory: float = 0.0
    steps: int = 0
    note: str = ""
    differs: dict[str, float] = field(default_factory=dict)
    away: dict[str, float] = field(default_factory=dict)
    unchecked: bool = False
    why: str = ""
    failed: bool = False
    apart: bool = False

    @property
    def least(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def done(self) -> bool:
        return bool(self.seconds)


@dataclass
class Entry:
    """A contender whose process is running."""

    row: Row
    process: Process
    calls: int = 1
    passing: float = 0.0  # MiB that it wants during its turn only

    def turn(self) -> None:
        self.row.seconds += self.process.ask("time", self.calls)["seconds"]


class Race:
    """Contenders at one task and problem.

    Parameters
    ----------
    task : str
    problem : Problem
    threads : int
    say : callable
        Takes lines about the progress.
    log : file
        Takes what the processes print.
    abreast : int
        How many contenders are set up at a time. More than one is faster, and spoils the times of first calls.
    """

    def __init__(self, task: str, problem: Problem, threads: int, say: Say, log, abreast: int = 1):
        self.task, self.problem, self.threads, self.say, self.log = task, problem, threads, say, log
        self.abreast = abreast

    def run(self, contenders: Sequence[Contender], rounds: int) -> list[Row]:
        """Measure all, and compare their results with the first one's."""
        rows = [Row(c) for c in contenders]
        with tempfile.TemporaryDirectory() as folder:
            apart = self._together(rows, rounds, Path(folder))
            for row in apart:  # with the memory of the others
                row.apart = True
                self._together([row], rounds, Path(folder))
            compare(rows, Path(folder), self.problem)
        return rows

    def once(self, contender: Contender) -> dict[str, float]:
        """The figures that a contender's results hold; none where it is skipped or fails."""
        row = Row(contender)
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            entries: list[Entry] = []
            self._begin(row, stack, entries, [])
            if not entries:
                return {}
            entry, path = entries[0], Path(folder) / "figures.npz"
            if self._guarded(entry, lambda: entry.process.ask("save", str(path))) is None:
                return {}
            return {name: float(figure) for name, figure in np.load(path).items()}

    def _together(self, rows: list[Row], rounds: int, folder: Path) -> list[Row]:
        """Interleaved; returns those that want more memory than the others leave them."""
        wanting: list[Row] = []
        with ExitStack() as stack:
            entries: list[Entry] = []
            with ThreadPoolExecutor(self.abreast) as pool:
                list(pool.map(lambda row: self._begin(row, stack, entries, wanting), rows))
            for entry in entries:
                self._guarded(entry, lambda e=entry: self._warm(e))
            entries = [e for e in entries if not e.row.failed]
            for i in range(rounds if entries else 0):
                self.say(f"  round {i + 1} of {rounds}")
                turn = i % len(entries)
                for entry in entries[turn:] + entries[:turn]:  # nobody always follows the same one
                    self._guarded(entry, entry.turn)
            for entry in entries:
                if entry.row.done:
                    self._guarded(entry, lambda e=entry: self._save(e, folder))
        return [] if len(rows) == 1 and rows[0].apart else wanting

    def _begin(self, row: Row, stack: ExitStack, entries: list[Entry], wanting: list[Row]) -> None:
        """Set up and call once; add to those that run, or to those that want more memory."""
        c, reserve = row.contender, int(2**20 * max((e.passing for e in entries), default=0.0))
        entry = Entry(row, stack.enter_context(Process(c.peer, self.threads, self.log)))
        spec = {"peer": c.peer, "task": self.task, "problem": self.problem.fields(), "options": c.options}
        spec["reserve"] = reserve
        answer = self._guarded(entry, lambda: entry.process.ask("begin", spec))
        if row.failed:
            return
        if "skipped" in answer:
            row.why = answer["skipped"]
            if answer["too_large"]:
                wanting.append(row)
            self.say(f"  {c.name}: skipped, {row.why}")
            return
        row.setup, row.first, row.memory = (answer[name] for name in ("setup", "first", "memory"))
        row.steps, row.note, row.why = answer["steps"], answer["note"], ""
        entry.passing = answer["passing"]
        times = f"set up in {row.setup:.1f} s, first call {row.first:.2f} s"
        self.say(f"  {c.name}: {times}, {row.memory:.0f} MiB")
        entries.append(entry)

    def _warm(self, entry: Entry) -> None:
        """Another call, which tells how many fit into a turn."""
        (seconds,) = entry.process.ask("time", 1)["seconds"]
        entry.calls = max(1, min(MOST, round(TURN / seconds)))

    def _guarded(self, entry: Entry, call):
        """A failure ends a contender's race, and nobody else's."""
        if entry.row.failed:
            return None
        try:
            return call()
        except Stopped as error:
            entry.row.failed, entry.row.why, entry.row.seconds = True, str(error), []
            self.say(f"  {entry.row.contender.name}: FAILED, {error}")
            return None

    def _save(self, entry: Entry, folder: Path) -> None:
        name = entry.row.contender.name
        entry.process.ask("save", str(folder / f"{name}.npz"))
        checked = entry.process.ask("check", str(folder / f"{name}.check.npz"))
        if "skipped" in checked:
            entry.row.unchecked = True
            self.say(f"  {name}: not checked without its boundary, {checked['skipped']}")


def compare(rows: Sequence[Row], folder: Path, problem: Problem) -> None:
    """Relative differences of the rows' results from the first one's."""
    first = next((p for p in (folder / f"{row.contender.name}.npz" for row in rows) if p.exists()), None)
    if first is None:
        return
    reference = dict(np.load(first))
    for row in rows:
        path = folder / f"{row.contender.name}.npz"
        if path.exists():
            row.differs = differences(dict(np.load(path)), reference, problem)
        if path.with_suffix(".check.npz").exists():
            row.away = differences(dict(np.load(path.with_suffix(".check.npz"))), reference, problem)


def differences(found: dict, reference: dict, problem: Problem) -> dict[str, float]:
    """Relative L2 differences; of images, away from the edges, where codes treat the layer's share differently."""
    out = {}
    for name, b in reference.items():
        a = found[name]
        if name != "data":
            a, b = a[problem.inner()], b[problem.inner()]
        out[name] = float(np.linalg.norm(a.astype(float) - b) / np.linalg.norm(b.astype(float)))
    return out
