"""A program that is killed at many places, in children that start it again: ``killed.py FOLDER``.

It prints the numbers of an undisturbed run, and those of the one that was killed; a kill leaves a letter each.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pylops
from inversion_worlds import Rosenbrock
from scipy.optimize import minimize

from seisops.inversion import Batches, Journal, LeastSquares, entries

folder = Path(sys.argv[1])
misfit = LeastSquares(Rosenbrock(50), np.linspace(0, 0.1, 100))
PATIENCE = 0.002


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def program(path, where="", number=-1):
    """Two optimisers, stochastic steps and a linear solver, all remembered by one journal; the numbers that come out."""
    journal = Journal(path, problem="killed")
    count = 0

    def expensive(x):
        nonlocal count
        count += 1
        if where == "during" and count == number:
            kill()
        time.sleep(PATIENCE if where == "any time" else 0)
        return misfit(x)

    written = 0
    fsync, replace = os.fsync, os.replace

    def counted_fsync(descriptor):
        nonlocal written
        written += 1
        if where == "written, not moved" and written == number:
            kill()
        fsync(descriptor)

    def counted_replace(a, b):
        replace(a, b)
        if where == "moved" and written >= number:
            kill()

    entries.os.fsync, entries.os.replace = counted_fsync, counted_replace
    steps = 0

    def between(*state):
        nonlocal steps
        steps += journal.computed > 0
        if where == "between" and steps == number:
            kill()

    remembered = journal(expensive)
    options = {"maxiter": 60, "ftol": 0.0, "gtol": 0.0}
    first = minimize(remembered, np.zeros(100), jac=True, method="L-BFGS-B", options=options, callback=between)
    x = first.x
    batches = Batches(100, 20, seed=3)
    for k in range(10):
        mask = np.zeros(100)
        mask[list(batches[k])] = 1.0
        x = x - 1e-4 * mask * remembered(x)[1]
        between()
    newton = minimize(
        remembered, x, jac=True, method="Newton-CG", options={"maxiter": 3},
        hessp=lambda x, p: journal(misfit).gauss_newton(x) @ p,
    )  # fmt: skip
    A = journal.operator(misfit.gauss_newton(newton.x))
    solution = pylops.cgls(A, np.ones(100), niter=8)[0]
    return b"".join(np.asarray(a, float).tobytes() for a in (first.x, first.fun, x, newton.x, newton.fun, solution))


def attempt(path, where, number):
    """Run the program in a child; whether it came to its end."""
    child = os.fork()
    if not child:
        result = program(path, where, number)
        (folder / "result").write_bytes(result)
        os._exit(0)
    if where == "any time":
        time.sleep(random.uniform(0.01, 0.05))
        os.kill(child, signal.SIGKILL)
    return not os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main():
    random.seed(5)
    whole = program(folder / "undisturbed")
    path = folder / "killed"
    places = [
        *(("any time", 0),) * 4, *(("during", n) for n in (1, 3, 12)), *(("between", n) for n in (1, 2, 8)),
        *(("written, not moved", n) for n in (1, 2, 25, 37)), *(("moved", n) for n in (1, 3, 12)),
        *(("any time", 0),) * 2,
    ]  # fmt: skip
    kills = 0
    for where, number in places:
        kills += not attempt(path, where, number)
        print(where, number, len(Journal(path)))
    if not attempt(path, "", 0):
        raise SystemExit("an undisturbed attempt did not end well")
    left = [p.name for p in path.iterdir() if not p.name.endswith((".entry", ".lock"))]
    print("kills", kills, "of", len(places), "left", left)
    print("same" if (folder / "result").read_bytes() == whole else "DIFFERENT", len(Journal(path)))


if __name__ == "__main__":
    main()
