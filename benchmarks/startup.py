"""How long it takes to import seisops, and until the first result: medians over fresh processes.

Run it with ``python benchmarks/startup.py``; rounds are the argument, seven by default. The first result is the data of
one shot, imports included: cold where no kernel was ever compiled, warm where an earlier process left its own.
"""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 7
IMPORTS = ("devito", "pylops", "seisops")
RESULT = """
import numpy as np
import seisops as so

grid = so.Grid(shape=(201, 101), spacing=10.0)
axis = so.Time(n=251, step=0.004)
waves = so.Wavefield(grid, axis, shots=1)
vp = np.tile(np.linspace(1500.0, 3000.0, 101), (201, 1))
Pr = so.Projection(waves, [(x, 20.0) for x in np.linspace(100.0, 1900.0, 50)])
Ps = so.Projection(waves, [(1000.0, 20.0)])
F = Pr * so.Modeling(waves, so.Acoustic(grid, vp=vp)) * Ps.H
assert np.any(F @ so.ricker(axis, f0=10.0).reshape(F.domain.shape))
"""


def seconds(code: str, caches: Path | None = None) -> float:
    """The time that `code` takes in a process of its own, from the start of the interpreter's first statement."""
    timed = f"from time import perf_counter\nstart = perf_counter()\n{code}\nprint(perf_counter() - start)"
    environment = os.environ | ({"TMPDIR": str(caches), "XDG_CACHE_HOME": str(caches)} if caches else {})
    out = subprocess.run([sys.executable, "-c", timed], env=environment, check=True, capture_output=True, text=True)
    return float(out.stdout.split()[-1])


for name in IMPORTS:  # into the file cache
    seconds(f"import {name}")
rounds = [[seconds(f"import {name}") for name in IMPORTS] for _ in range(ROUNDS)]  # in turn, against drift
taken = dict(zip(IMPORTS, map(median, zip(*rounds, strict=True)), strict=True))
for name, wall in taken.items():
    print(f"import {name:8} {wall:6.2f} s, {wall / taken['devito']:.2f} times that of devito")

cold, warm = [], []
for _ in range(ROUNDS):
    with TemporaryDirectory() as caches:
        cold.append(seconds(RESULT, Path(caches)))
        warm.append(seconds(RESULT, Path(caches)))
print(f"first result, cold {median(cold):.2f} s, warm {median(warm):.2f} s")
