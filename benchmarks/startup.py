"""How long it takes to import seisops, and until the first results: medians over fresh processes.

Run it with ``python benchmarks/startup.py [rounds] [row ...]``: five rounds by default, and all rows, or those named. Times
are in seconds from the start of the interpreter's first statement, imports included: cold where no kernel was ever compiled,
warm where an earlier process left its own. A gradient comes after the first data of the same process; what is changed
afterwards is counted alone: another storage policy, another order of a projection, other receivers. Devito's example
solver (2D and 3D, its own caches empty) stands beside it, if it is installed. Other media (``"2D, Elastic"``, ``"3D, TTI"``)
are there with their first data, by pressure, with the default boundary and order 8. Equations of one's own
(``equations.py``, ``"2D own TTI"``) are derived in each process; the times of their first Born data and image are those of
these alone. ``python benchmarks/startup.py 0`` measures nothing and lists the rows.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
WANTED = sys.argv[2:]
IMPORTS = ("devito", "pylops", "seisops")

TIMED = """
import json
from time import perf_counter
start, times = perf_counter(), {}

def lap(name, since):
    times[name] = perf_counter() - since
    return perf_counter()
"""

#: ``{medium}`` of a grid and `vp`, and what a gradient is by, or None
SEISOPS = """
import numpy as np
import seisops as so

shape = %(shape)r
grid, axis = so.Grid(shape, spacing=10.0), so.Time(n=%(samples)d, step=0.002)
waves = so.Wavefield(grid, axis, shots=1)
depth = np.linspace(1500.0, 3000.0, shape[-1])
vp = np.broadcast_to(depth, shape)
far = 10.0 * (np.array(shape) - 1)
line = [(x, *(0.5 * far[1:-1]), 20.0) for x in np.linspace(100.0, far[0] - 100.0, 20)]
Ps = so.Projection(waves, [(0.5 * far[0], *(0.5 * far[1:-1]), 20.0)])
A = so.Modeling(waves, so.%(medium)s)
F = so.Projection(waves, line) * A * Ps.H
q = so.ricker(axis, f0=10.0).reshape(F.domain.shape)
d = F @ q
assert np.any(d)
now = lap("forward", start)
wrt = %(wrt)r
if wrt:
    assert np.any(so.Jacobian(F, q, wrt=wrt).H @ d)
    now = lap("gradient", start)
if %(changes)r:
    so.Jacobian(F, q, wrt=wrt, storage=so.storage.Checkpointed(n=4)).H @ d
    now = lap("another policy", now)
    (so.Projection(waves, line, interpolation="linear") * A * Ps.H) @ q
    now = lap("another interpolation", now)
    (so.Projection(waves, line[::2]) * A * Ps.H) @ q
    now = lap("other receivers", now)
print(json.dumps(times))
"""

#: ``{medium}``, ``{ndim}``, ``{wrt}``
OWN = """
import sys
sys.path.insert(0, %(folder)r)
import equations
import numpy as np
import seisops as so

grid = so.Grid((101,) * %(ndim)d, spacing=10.0) if %(ndim)d == 2 else so.Grid((61,) * 3, spacing=10.0)
waves = so.Wavefield(grid, so.Time(n=%(samples)d, step=0.001), shots=1)
P = so.Projection(waves, [[290.0] * %(ndim)d, [310.0] * %(ndim)d])
F = P * so.Modeling(waves, equations.%(medium)s) * so.Projection(waves, [[300.0] * %(ndim)d]).H
q = np.zeros(F.domain.shape, "float32")
q[..., 1] = 1.0
d = F @ q
assert np.any(d)
now = lap("forward", start)
J = so.Jacobian(F, q, wrt=%(wrt)r)
assert np.any(J @ J.domain.random(0))
now = lap("Born", now)
assert np.any(J.H @ d)
lap("image", now)
print(json.dumps(times))
"""

DEVITO = """
import numpy as np
from examples.seismic import AcquisitionGeometry, SeismicModel
from examples.seismic.acoustic import AcousticWaveSolver

shape = %(shape)r
vp = np.broadcast_to(np.linspace(1.5, 3.0, shape[-1], dtype="float32"), shape)
model = SeismicModel(origin=(0.0,) * len(shape), spacing=(10.0,) * len(shape), shape=shape, space_order=8, vp=vp, nbl=40,
                     bcs="damp")
middle = np.array([[5.0 * (n - 1) for n in shape]])
geometry = AcquisitionGeometry(model, middle, middle, t0=0.0, tn=2.0 * %(samples)d, src_type="Ricker", f0=0.01)
solver = AcousticWaveSolver(model, geometry, space_order=8)
d, u, _ = solver.forward(save=False)
lap("forward", start)
d, u, _ = solver.forward(save=True)
solver.jacobian_adjoint(d, u)
lap("gradient", start)
print(json.dumps(times))
"""

#: Equations of one's own (benchmarks/equations.py), which are derived in each process; times of J and J.H are their own.
OWN_MEDIA = {
    "2D own TTI": ("TiltedWaves(grid, m=2000.0**-2, epsilon=0.2, delta=0.1, theta=0.6)", 2, "m"),
    "3D own TTI": ("TiltedWaves3(grid, m=2000.0**-2, epsilon=0.2, delta=0.1, theta=0.6, phi=0.4)", 3, "m"),
    "2D own viscoacoustic": ("LossyWaves(grid, kappa=4e9, tau=0.05, rate=60.0, b=1e-3)", 2, "kappa"),
    "2D own elastic": ("ElasticWaves(grid, lam=4e9, mu=2e9, b=5e-4)", 2, "lam"),
}
#: Media of the package: what is differentiated by, or None for first data alone.
MEDIA = {
    "": ("Acoustic(grid, vp)", "m"),
    ", density": ("Acoustic(grid, vp, rho=1000.0 + 0.3 * vp)", "rho"),
    ", Elastic": ("Elastic(grid, vp, vp / 1.8, rho=1000.0 + 0.3 * vp)", None),
    ", ElasticVTI": ("ElasticVTI(grid, vp, vp / 1.8, rho=1000.0 + 0.3 * vp, epsilon=0.2, delta=0.1%(gamma)s)", None),
    ", VTI": ("TTI(grid, vp, epsilon=0.2, delta=0.1)", None),
    ", TTI": ("TTI(grid, vp, epsilon=0.2, delta=0.1, theta=0.6%(phi)s)", None),
    ", ViscoAcoustic": ("ViscoAcoustic(grid, vp, qp=50.0, f0=10.0)", None),
    ", ViscoElastic": ("ViscoElastic(grid, vp, vp / 1.8, rho=1000.0 + 0.3 * vp, qp=50.0, qs=30.0, f0=10.0)", None),
}
#: What media have in three dimensions only.
THIRD = {"2D": {"gamma": "", "phi": ""}, "3D": {"gamma": ", gamma=0.1", "phi": ", phi=0.4"}}
SHAPES = {"2D": ((201, 101), 250), "3D": ((61, 61, 61), 100)}
FOLDER = str(Path(__file__).resolve().parent)
ROWS = (
    {
        f"{dims}{name}": SEISOPS
        % {
            "shape": shape,
            "samples": samples,
            "medium": medium % THIRD[dims],
            "wrt": wrt,
            "changes": not name and dims == "2D",
        }
        for dims, (shape, samples) in SHAPES.items()
        for name, (medium, wrt) in MEDIA.items()
    }
    | {
        f"{name}, Devito's example": DEVITO % {"shape": shape, "samples": samples}
        for name, (shape, samples) in SHAPES.items()
    }
    | {
        name: OWN % {"medium": medium, "ndim": ndim, "wrt": wrt, "samples": 60 if ndim == 2 else 10, "folder": FOLDER}
        for name, (medium, ndim, wrt) in OWN_MEDIA.items()
    }
)


def run(code: str, caches: Path | None = None) -> str | None:
    """The last line that a process of its own prints; None if it fails."""
    environment = os.environ | {"DEVITO_LOGGING": "ERROR"}
    if caches:
        environment |= {"TMPDIR": str(caches), "XDG_CACHE_HOME": str(caches), "SEISOPS_CACHE": str(caches / "seisops")}
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True)
    if out.returncode:
        sys.stderr.write(out.stderr.splitlines()[-1] + "\n")
        return None
    return out.stdout.splitlines()[-1]


def imports() -> None:
    """Time to import, in turn, against drift."""
    code = "from time import perf_counter\nstart = perf_counter()\nimport {}\nprint(perf_counter() - start)"
    for name in IMPORTS:  # into the file cache
        run(code.format(name))
    rounds = [[float(run(code.format(name))) for name in IMPORTS] for _ in range(ROUNDS)]
    taken = dict(zip(IMPORTS, map(median, zip(*rounds, strict=True)), strict=True))
    for name, wall in taken.items():
        print(f"import {name:8} {wall:6.2f} s, {wall / taken['devito']:.2f} times that of devito")


def first_results() -> None:
    """Cold and warm, all rows in turn."""
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(ROUNDS):
        for name, code in ROWS.items():
            if WANTED and name not in WANTED:
                continue
            with TemporaryDirectory() as caches:
                for state in ("cold", "warm"):
                    line = run(TIMED + code, Path(caches))
                    for what, wall in json.loads(line or "{}").items():
                        found.setdefault(name, {}).setdefault(f"{what}, {state}", []).append(wall)
    for name, times in found.items():
        print(f"{name:24}", "  ".join(f"{what} {median(walls):.2f}" for what, walls in times.items()), flush=True)


if __name__ == "__main__":
    if unknown := [name for name in WANTED if name not in ROWS]:
        sys.exit(f"no such rows: {unknown}; there are {list(ROWS)}")
    if not ROUNDS:
        print(*map(repr, ROWS), sep="\n")
        sys.exit()
    if not WANTED:
        imports()
    first_results()
