"""One code at one case in a process of its own, so that its peak of memory is its own: told what to do line by line."""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from importlib import import_module
from time import perf_counter

import numpy as np

from .job import Job, Skipped, TooLarge, reserve
from .problem import Problem
from .reflection import energies


def memory(line: str) -> float:
    """A line of this process's status, such as VmRSS (resident) or VmHWM (its peak), in MiB."""
    with open("/proc/self/status") as status:
        return next(int(text.split()[1]) for text in status if text.startswith(line)) / 1024


def make(module, spec: dict) -> Job:
    """The job that a specification describes."""
    problem, task, options = Problem(**spec["problem"]), spec["task"], spec["options"]
    if task == "reflection":
        return energies(problem, **options, forward=module.TASKS["forward"])
    return module.TASKS[task](problem, **options)


class Worker:
    """Answers commands; every answer is a dictionary."""

    def __init__(self, spec: dict):
        reserve(spec["reserve"])
        module = import_module(f"{__package__}.with_{spec['peer']}")
        before = memory("VmRSS")
        start = perf_counter()
        self.job = make(module, spec)
        made = perf_counter()
        self.out = self.job.run()
        self.first = {
            "setup": made - start,
            "first": perf_counter() - made,
            "memory": memory("VmHWM") - before,
            "passing": memory("VmHWM") - memory("VmRSS"),
            "steps": self.job.steps,
            "note": self.job.note,
        }

    def time(self, calls: int) -> dict:
        """Seconds of some calls, one by one."""
        seconds = []
        gc.collect()  # what earlier calls left must not be paid for by this one
        for _ in range(calls):
            self.out = None
            start = perf_counter()
            self.out = self.job.run()
            seconds.append(perf_counter() - start)
        return {"seconds": seconds}

    def save(self, path: str) -> dict:
        """Results of the last call, into a file."""
        np.savez(path, **self.job.results(self.out))
        return {"path": path}

    def check(self, path: str) -> dict:
        """Results without the code's own boundary, into a file."""
        if self.job.check is None:
            return {"path": None}
        np.savez(path, **self.job.check())
        return {"path": path}


def answer(call, *arguments) -> dict:
    """What a call returns, or why it did not."""
    try:
        return call(*arguments)
    except Skipped as why:
        return {"skipped": str(why), "too_large": isinstance(why, TooLarge)}
    except Exception as error:  # noqa: BLE001 - whatever a code raises is its result, and the others go on
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    # Libraries print where they like: their words go to the log, answers to the original standard output.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(message: dict) -> None:
        print(json.dumps(message), file=out, flush=True)

    worker: list[Worker] = []

    def begin(spec: dict) -> dict:
        worker.append(Worker(spec))
        return worker[0].first

    for line in sys.stdin:
        command = json.loads(line)
        name, arguments = command["do"], command["with"]
        say(answer(begin if name == "begin" else getattr(worker[0], name), *arguments))


if __name__ == "__main__":
    main()
