"""``seisops demo``: models shots, migrates them and inverts them; or runs a page of the gallery."""

from __future__ import annotations

import argparse
from contextlib import nullcontext, redirect_stdout
from functools import partial
from math import ceil
from os import devnull
from pathlib import Path

import numpy as np
from tqdm import tqdm

from seisops.cli import gallery
from seisops.cli.inputs import Layout
from seisops.cli.keys import add_options, from_options, keys
from seisops.cli.outputs import drawing, refuse_folder, require_figures
from seisops.demo import Settings, report, run, save, smoothed, thrust_belt
from seisops.errors import ParameterError
from seisops.wave.grid import Grid

__all__ = ["add"]

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

  seisops demo --list
      pages of the gallery: jobs of a few lines that run in less than a minute

  seisops demo rtm
      one of them, its figures, and the script to go on with, in ./seisops-demo-rtm
"""


def add(commands) -> None:
    """Add the command."""
    demo = commands.add_parser(
        "demo",
        help="model shots, migrate them and invert them; or run a page of the gallery",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Models shots over a 2D model, migrates them, runs least-squares migration (PyLops' cgls) and\n"
        "full-waveform inversion (SciPy's L-BFGS-B), and writes a table, arrays and figures to a folder. With the name\n"
        "of a page of the gallery that is run instead; of the options it takes --output, --force and --quiet.",
    )
    which = demo.add_mutually_exclusive_group()
    which.add_argument("page", nargs="?", metavar="PAGE", help="page of the gallery, or the beginning of its name")
    which.add_argument("--list", action="store_true", help="list the pages of the gallery")
    demo.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where results go (default: ./seisops-demo, and of a page ./seisops-demo-PAGE)",
    )
    demo.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    demo.add_argument("--no-figures", action="store_true", help="leave the figures out (they need matplotlib)")
    demo.add_argument("--quiet", action="store_true", help="print nothing: no progress, no table")

    model = demo.add_argument_group("model", "By formula, or from a file; what its numbers mean has to be stated.")
    model.add_argument(
        "--model", type=Path, metavar="FILE", help="HDF5, NumPy (.npy, .npz) or SEG-Y file of the true model"
    )
    model.add_argument(
        "--start",
        type=Path,
        metavar="FILE",
        help="file of the starting model, if not the same (default: the true model, smoothed)",
    )
    model.add_argument("--start-dataset", metavar="NAME", help="name of the starting model in its file")
    add_options(demo, Layout, "files")

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
    demo.set_defaults(command=partial(_run, demo))


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.list:
        print(gallery.listed())
        return 0
    if options.page is not None:
        return _page(parser, options)
    folder = options.output or Path("seisops-demo")
    refuse_folder(folder, options.force)
    if not options.no_figures:
        require_figures("--no-figures")
    grid, m, m0 = _models(options)
    settings = _settings(options, grid, m0)
    with tqdm(total=settings.solves, unit="solve", disable=options.quiet) as bar:

        def progress(step: str, solves: int) -> None:
            bar.set_description(step, refresh=not solves)
            bar.update(solves)

        result = run(grid, m, m0, settings, progress)
        bar.total = bar.n
        bar.refresh()
    with nullcontext() if options.no_figures else drawing():
        written = save(result, folder, figures=not options.no_figures)
    if not options.quiet:
        print(report(result), "\nwritten: ", ", ".join(p.name for p in written), f" in {folder}", sep="")
    return 0


def _page(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Run a page of the gallery."""
    given = [
        action.option_strings[0]
        for action in parser._actions
        if action.dest not in ("page", "output", "force", "quiet", "help", "list")
        and getattr(options, action.dest) != action.default
    ]
    page = gallery.find(options.page)
    folder = options.output or Path(f"seisops-demo-{page.name.replace('/', '-')}")
    if given:
        raise ParameterError(
            f"{', '.join(given)} is of the demonstration, not of a page: run the page {page.name} without, and change "
            f"the script that it leaves in {folder}"
        )
    refuse_folder(folder, options.force)
    gallery.require(page)
    with open(devnull, "w") as nothing, redirect_stdout(nothing) if options.quiet else nullcontext():
        written = page.run(folder)
    if not options.quiet:
        print(f"written: {', '.join(p.name for p in written)} in {folder}")
    return 0


def _models(options: argparse.Namespace):
    """The grid, and the true and starting squared slowness."""
    if options.model is None:
        given = [
            f"--{name.replace('_', '-')}"
            for name in ("start", "start_dataset", *(one.name for one in keys(Layout)))
            if getattr(options, name) is not None
        ]
        if given:
            raise ParameterError(f"{', '.join(given)} describes a file: name it with --model")
        grid = Grid(SHAPE, SPACING)
        m = thrust_belt(grid).astype(np.float64) ** -2
    else:
        layout = from_options(Layout, options)
        true = layout.read(options.model, options.dataset)
        grid, m = layout.grid(true, options.model), layout.velocities(true) ** -2.0
        if grid.ndim != 2:
            raise ParameterError(f"{options.model} has axes {true.in_words}: the demonstration needs two dimensions")
    if options.start is None and options.start_dataset is None:
        return grid, m, smoothed(m, cells=0.06 * grid.shape[1])
    path = options.start or options.model
    start = layout.read(path, options.start_dataset)
    layout.same_grid((options.model, true), (path, start))
    return grid, m, layout.velocities(start) ** -2.0


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
