"""The command ``seisops``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
from tqdm import tqdm

import seisops
from seisops.demo import Settings, read_model, report, run, save, smoothed, thrust_belt
from seisops.demo.files import UNITS
from seisops.doctor import examined
from seisops.errors import ParameterError, SeisopsError
from seisops.survey import check, info
from seisops.wave.costs import plan
from seisops.wave.equations.acoustic import Acoustic
from seisops.wave.grid import Grid
from seisops.wave.modeling import Modeling
from seisops.wave.sampling.projection import Projection
from seisops.wave.space import Wavefield
from seisops.wave.storage.policies import Auto, Subsampled
from seisops.wave.time import Time

__all__ = ["main"]

# the model by formula: (x, z) cells and their size in m
SHAPE, SPACING = (241, 101), (12.5, 12.5)

EXAMPLES = """\
examples:
  seisops demo
      a thrust belt by formula: a few minutes, figures in ./seisops-demo

  seisops demo --model vp.npy --spacing 12.5 --units km/s
      your own velocity, axes (x, z); the start is a smoothed copy of it

  seisops demo --model overthrust_model.h5 --dataset m --start-dataset m0 --quantity m --units s2/km2 --order zx \\
      --spacing 25 --shots 4 --f0 8 --duration 3 --mute 300 --iterations 20
      squared slowness from HDF5, stored (z, x), with a starting model in the same file

  seisops demo --model model.segy --spacing 25,10
      velocity from SEG-Y, one trace for each x, cells of 25 m by 10 m
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    # Threads that spin for long while they wait for one another slow a busy machine down many times; threads that sleep
    # at once are three times slower on an idle one. OpenMP reads this once, when the first compiled solve is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (SeisopsError, ImportError, OSError) as error:
        print(f"seisops: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("seisops: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seisops", description="Seismic modeling and inversion written as mathematics."
    )
    parser.add_argument("--version", action="version", version=f"seisops {seisops.__version__}")
    commands = parser.add_subparsers(title="commands", required=True)
    demo = commands.add_parser(
        "demo",
        help="model shots, migrate them and invert them",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Models shots over a 2D model, migrates them, runs least-squares migration (PyLops' cgls) and\n"
        "full-waveform inversion (SciPy's L-BFGS-B), and writes a table, arrays and figures to a folder.",
    )
    demo.set_defaults(command=_demo)
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("seisops-demo"),
        metavar="FOLDER",
        help="where results go (default: ./seisops-demo)",
    )
    demo.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    demo.add_argument("--no-figures", action="store_true", help="leave the figures out (they need matplotlib)")
    demo.add_argument("--quiet", action="store_true", help="print nothing: no progress, no table")

    model = demo.add_argument_group("model", "By formula, or from a file; what its numbers mean has to be stated.")
    model.add_argument(
        "--model", type=Path, metavar="FILE", help="HDF5, NumPy (.npy, .npz) or SEG-Y file of the true model"
    )
    model.add_argument("--dataset", metavar="NAME", help="its name in an HDF5 or .npz file that holds several arrays")
    model.add_argument(
        "--start",
        type=Path,
        metavar="FILE",
        help="file of the starting model, if not the same (default: the true model, smoothed)",
    )
    model.add_argument("--start-dataset", metavar="NAME", help="name of the starting model in its file")
    model.add_argument(
        "--quantity",
        choices=sorted(UNITS),
        default="vp",
        help="what files hold: velocity (vp) or squared slowness (m) (default: vp)",
    )
    model.add_argument(
        "--units",
        choices=[u for units in UNITS.values() for u in units],
        help="their units (default: m/s for vp, s2/m2 for m)",
    )
    model.add_argument("--order", choices=("xz", "zx"), default="xz", help="order of the axes in files (default: xz)")
    model.add_argument(
        "--spacing",
        type=_spacing,
        metavar="METRES",
        help=f"size of the cells: one number, or x,z; needed with --model (default: {SPACING[0]:g})",
    )

    work = demo.add_argument_group("work")
    work.add_argument("--shots", type=int, default=Settings.shots, help="sources, evenly spaced (default: %(default)s)")
    work.add_argument(
        "--f0",
        type=float,
        default=Settings.f0,
        metavar="HZ",
        help="peak frequency of the Ricker wavelet (default: %(default)s)",
    )
    work.add_argument(
        "--duration",
        type=float,
        metavar="S",
        help="length of the records (default: down to the deepest "
        "cell and back at the start's mean velocity, and 1.5 times that)",
    )
    work.add_argument(
        "--step",
        type=float,
        default=Settings.step,
        metavar="S",
        help="sampling interval of the records (default: %(default)s)",
    )
    work.add_argument(
        "--mute",
        type=float,
        metavar="M",
        help="depth above which nothing is imaged or updated (default: an eighth of the model's)",
    )
    work.add_argument(
        "--iterations", type=int, default=Settings.iterations, help="of least-squares migration (default: %(default)s)"
    )
    work.add_argument(
        "--fwi-iterations",
        type=int,
        default=Settings.fwi_iterations,
        help="of full-waveform inversion (default: %(default)s)",
    )
    work.add_argument(
        "--memory",
        type=float,
        default=Settings.memory,
        metavar="GIB",
        help="forward wavefields to keep; less is slower (default: %(default)s)",
    )
    _add_segy(commands)
    _add_plan(commands)
    return parser


def _add_plan(commands) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="what this machine has, and whether it works",
        description="Prints versions, the compiler, threads and the folder of what is compiled, and tests a small wave "
        "equation; the exit status is 1 if something is wrong.",
    )
    doctor.set_defaults(command=_doctor)

    plan_ = commands.add_parser(
        "plan",
        help="memory, solves and time of a survey before it runs",
        description="Says what modeling a survey, its gradients and its migration will cost on this machine: memory of each "
        "process, number of solves, and time, from a trial of a few steps.",
    )
    plan_.set_defaults(command=_plan)
    plan_.add_argument("--shape", type=_counts, required=True, metavar="NX,NZ", help="cells of the model: x,z or x,y,z")
    plan_.add_argument("--spacing", type=_numbers, required=True, metavar="METRES", help="size of the cells")
    plan_.add_argument("--vmax", type=float, required=True, metavar="M/S", help="largest velocity")
    plan_.add_argument("--duration", type=float, required=True, metavar="S", help="length of the records")
    plan_.add_argument(
        "--step", type=float, default=0.004, metavar="S", help="sampling interval of the records (default: %(default)s)"
    )
    plan_.add_argument("--shots", type=int, default=1, help="number of shots (default: %(default)s)")
    plan_.add_argument("--workers", type=int, default=1, help="processes that share them (default: %(default)s)")
    plan_.add_argument("--space-order", type=int, default=8, help="order of the stencil (default: %(default)s)")
    plan_.add_argument("--density", action="store_true", help="with variable density")
    plan_.add_argument(
        "--every", type=int, default=1, metavar="N", help="keep the background at every N-th step only (default: all)"
    )
    plan_.add_argument(
        "--memory",
        type=float,
        metavar="GIB",
        help="backgrounds to keep in each process; the others are computed again (default: 2)",
    )
    plan_.add_argument("--no-trial", action="store_true", help="compile and time nothing")


def _doctor(options: argparse.Namespace) -> int:
    well = True
    for finding in examined():
        print(finding, flush=True)
        well &= finding.well
    return 0 if well else 1


def _plan(options: argparse.Namespace) -> int:
    spacing = options.spacing if len(options.spacing) > 1 else options.spacing * len(options.shape)
    grid = Grid(options.shape, spacing)
    time = Time(max(2, ceil(options.duration / options.step) + 1), options.step)
    waves = Wavefield(grid, time, shots=options.shots)
    medium = Acoustic(grid, vp=options.vmax, rho=1000.0 if options.density else None)
    middle = Projection(waves, [[(lo + hi) / 2 for lo, hi in grid.extent]])
    F = middle * Modeling(waves, medium, space_order=options.space_order) * middle.H
    budget = {} if options.memory is None else {"keep_bytes": int(options.memory * 2**30)}
    storage = Auto(**budget) if options.every == 1 else Subsampled(options.every, **budget)
    print(plan(F, storage, options.workers, trial=not options.no_trial))
    return 0


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _add_segy(commands) -> None:
    segy = commands.add_parser("segy", help="look into SEG-Y files").add_subparsers(title="commands", required=True)
    info_ = segy.add_parser(
        "info",
        help="what is in them: shots, geometry, time axes, formats",
        description="Prints what is in SEG-Y files, from their headers.",
    )
    info_.set_defaults(command=_segy_info)
    check_ = segy.add_parser(
        "check",
        help="what is odd about them",
        description="Prints what is odd about SEG-Y files; the exit status is 1 if they cannot be read as they are.",
    )
    check_.add_argument("--samples", action="store_true", help="read all samples too")
    check_.set_defaults(command=_segy_check)
    for command in (info_, check_):
        command.add_argument("files", nargs="+", type=Path, metavar="FILE")


def _segy_info(options: argparse.Namespace) -> int:
    print(info(options.files))
    return 0


def _segy_check(options: argparse.Namespace) -> int:
    findings = check(options.files, samples=options.samples)
    for finding in findings:
        print(finding)
    if not findings:
        print("nothing odd")
    return int(any(finding.level == "error" for finding in findings))


def _demo(options: argparse.Namespace) -> int:
    _check_output(options.output, options.force)
    if not options.no_figures:
        _check_plot()
    grid, m, m0 = _models(options)
    settings = _settings(options, grid, m0)
    with tqdm(total=settings.solves, unit="solve", disable=options.quiet) as bar:

        def progress(step: str, solves: int) -> None:
            bar.set_description(step, refresh=not solves)
            bar.update(solves)

        result = run(grid, m, m0, settings, progress)
        bar.total = bar.n
        bar.refresh()
    written = save(result, options.output, figures=not options.no_figures)
    if not options.quiet:
        print(report(result), "\nwritten: ", ", ".join(p.name for p in written), f" in {options.output}", sep="")
    return 0


def _check_output(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder} is a file: name a folder with --output")
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise ParameterError(f"the folder {folder} is not empty: name another with --output, or overwrite with --force")


def _check_plot() -> None:
    try:
        import seisops.plot  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{error}; or leave the figures out: --no-figures") from error


def _models(options: argparse.Namespace):
    """The grid, and the true and starting squared slowness."""
    if options.model is None:
        given = [
            f"--{name.replace('_', '-')}"
            for name in ("dataset", "start", "start_dataset", "units", "spacing")
            if getattr(options, name) is not None
        ]
        if given:
            raise ParameterError(f"{', '.join(given)} describes a file: name it with --model")
        grid = Grid(SHAPE, SPACING)
        m = thrust_belt(grid).astype(np.float64) ** -2
    else:
        if options.spacing is None:
            raise ParameterError(f"--model {options.model}: state the size of its cells in metres: --spacing 12.5")
        m = _read(options, options.model, options.dataset)
        grid = Grid(m.shape, options.spacing)
    if options.start is None and options.start_dataset is None:
        return grid, m, smoothed(m, cells=0.06 * grid.shape[1])
    m0 = _read(options, options.start or options.model, options.start_dataset)
    if m0.shape != m.shape:
        raise ParameterError(
            f"the starting model has shape {m0.shape}, the true model {m.shape}, both (x, z): "
            "they must be on the same grid"
        )
    return grid, m, m0


def _read(options: argparse.Namespace, path: Path, dataset: str | None):
    units = options.units or next(iter(UNITS[options.quantity]))
    return read_model(path, dataset, options.quantity, units, options.order)


def _settings(options: argparse.Namespace, grid: Grid, m0) -> Settings:
    depth = grid.extent[1][1] - grid.extent[1][0]
    travel = 3.0 * depth * float(np.mean(np.sqrt(m0)))
    return Settings(
        shots=options.shots,
        f0=options.f0,
        step=options.step,
        iterations=options.iterations,
        fwi_iterations=options.fwi_iterations,
        memory=options.memory,
        duration=ceil(10 * travel) / 10 if options.duration is None else options.duration,
        mute=depth / 8 if options.mute is None else options.mute,
    )


def _spacing(text: str) -> tuple[float, ...]:
    values = tuple(float(part) for part in text.split(","))
    if len(values) not in (1, 2):
        raise ValueError(text)
    return values * 2 if len(values) == 1 else values
