"""``seisops image``: reverse-time migration and least-squares migration of a survey."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from seisops._pylops import pylops
from seisops.cli.inputs import Data, Machine, Model, Source, observed, on_demand
from seisops.cli.keys import File, Flag, Number, Whole, add_options, from_options, key
from seisops.cli.outputs import drawing, refuse_file, require_figures, section
from seisops.errors import ParameterError
from seisops.model.files import KINDS, write_model
from seisops.model.weights import DepthScaling, TopMute
from seisops.operators import LinearOperator
from seisops.survey import Survey
from seisops.wave.costs import Costs, Work, duration, plan
from seisops.wave.grid import Grid

__all__ = ["add"]

EXAMPLES = """\
examples:
  seisops image line.segy --velocity vp.npy --spacing 12.5 --f0 15 --output image.npy --dry-run
      what it will cost: memory, solves and time

  seisops image line.segy --velocity vp.npy --spacing 12.5 --f0 15 --mute 1500 --output image.npy
      reverse-time migration, the direct wave in water muted; image.png beside it

  seisops image line.segy --velocity vp.segy --units km/s --spacing 25,10 --wavelet far-field.txt --shots 0:100:4 \\
      --iterations 10 --top-mute 200 --output image.segy
      ten iterations of least-squares migration of every fourth shot
"""


@dataclass(frozen=True, kw_only=True)
class Imaging:
    """Reverse-time migration, or least squares by conjugate gradients."""

    output: Path = key(f"where the image goes: {', '.join(KINDS)}", File(), example='"image.npy"')
    iterations: int = key("of least-squares migration; 0 is reverse-time migration", Whole(0), 0)
    depth_scaling: float = key("power of depth by which the image is scaled", Number("powers", "not negative"), 1.0)
    top_mute: Any = key("depth in m above which nothing is imaged", Number("m", "not negative"), None)
    top_taper: Any = key(
        "m below it over which the image sets in (default: four cells)", Number("m", "not negative"), None
    )
    no_figure: bool = key("leave the picture out (it needs matplotlib)", Flag(), False)
    force: bool = key("write over files that exist", Flag(), False)
    quiet: bool = key("print nothing: no progress, no misfits", Flag(), False)
    dry_run: bool = key("print what it will cost, and do nothing else", Flag(), False)

    @property
    def picture(self) -> Path:
        """Where the picture goes."""
        return self.output.with_suffix(".png")

    def refuse(self, read: Sequence[Path | None]) -> None:
        """Raise an error if something is in the way, before any work; what is read always is."""
        if self.output.suffix.lower() not in KINDS:
            raise ParameterError(f"--output {self.output}: unknown kind of file; use one of {', '.join(KINDS)}")
        refuse_file(self.output, self.force, read)
        if not self.no_figure:
            refuse_file(self.picture, self.force, read)
            require_figures("--no-figure")

    def scaling(self, J: LinearOperator) -> LinearOperator:
        """What stands on the right of a Jacobian."""
        D: LinearOperator = DepthScaling(J, self.depth_scaling)
        return D if self.top_mute is None else D * TopMute(J, self.top_mute, self.top_taper)


def add(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "image",
        help="migrate a survey",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Migrates a SEG-Y or Zarr survey in a velocity: reverse-time migration, J.H applied to the data, or\n"
        "with --iterations least-squares migration: the perturbation of squared slowness whose linearised data fit.",
    )
    parser.set_defaults(command=_run)
    add_options(parser, Data, "data", positional=("survey",))
    add_options(parser, Model, "model")
    add_options(parser, Source, "source")
    add_options(parser, Imaging, "image")
    add_options(parser, Machine, "machine")


def _run(options: argparse.Namespace) -> int:
    data, model, source = from_options(Data, options), from_options(Model, options), from_options(Source, options)
    imaging, machine = from_options(Imaging, options), from_options(Machine, options)
    if not imaging.dry_run:
        imaging.refuse([data.survey, model.velocity, model.density, source.wavelet])
    survey, medium = data.read(), model.medium()
    F = model.modeling(survey, medium)
    q = source.signals(survey, F.domain)
    J = F.jacobian(q, storage=machine.storage())
    mute, D = data.muted(F, source), imaging.scaling(J)
    A = J if mute is None else mute * J
    if imaging.dry_run:
        _foretell(survey, medium.grid, plan(J, workers=machine.workers or 1), imaging.iterations)
        return 0
    with machine.spread() as over:
        if imaging.iterations:
            observations = observed(survey, F.range)
            d = observations if mute is None else mute @ observations
            image = least_squares((over(A) if over else A) * D, D, d, imaging.iterations, imaging.quiet)
            what, unit = "least-squares migration", "s2/m2"
        else:
            image = D @ (migrated(A, survey, imaging.quiet) if over is None else over(A).H @ on_demand(survey, F.range))
            what, unit = "reverse-time migration", ""
    image = np.asarray(image).reshape(medium.grid.shape)
    write_model(imaging.output, medium.grid, image, "image", unit, overwrite=imaging.force)
    if not imaging.no_figure:
        with drawing():
            _draw(imaging.picture, medium.grid, image, what, unit)
    if not imaging.quiet:
        print(f"{what} of {len(survey)} shots: {imaging.output}" + f", {imaging.picture}" * (not imaging.no_figure))
    return 0


def migrated(A: LinearOperator, survey: Survey, quiet: bool) -> NDArray:
    """``A.H d`` shot by shot: the traces of one shot are in memory at a time."""
    image = A.domain.zeros()
    for i in tqdm(range(len(survey)), desc="migration", unit="shot", disable=quiet):
        one = A.select([i])
        image += one.H @ survey[i].data.reshape(one.range.shape)
    return image


def least_squares(AD: LinearOperator, D: LinearOperator, d: NDArray, iterations: int, quiet: bool) -> NDArray:
    """``D x`` of the x that minimises ``|A D x - d|``, after some iterations of conjugate gradients; misfits are printed."""
    if not d.any():
        raise ParameterError("the data are all zero: there is nothing to image")
    with tqdm(total=iterations, desc="least squares", unit="iteration", disable=quiet) as bar:
        x, _, _, _, _, residual = pylops.cgls(
            AD, d.ravel(), niter=iterations, tol=0.0, callback=lambda x: bar.update(1)
        )
    if not quiet:
        print("iteration  misfit (%)")
        for i, norm in enumerate(residual):
            print(f"{i:9d}  {100 * norm / residual[0]:10.1f}")
    return D @ x


def _foretell(survey: Survey, grid: Grid, costs: Costs, iterations: int) -> None:
    """Print what there is, what it costs, and how long all of it will take."""
    solves = costs.solves(Work.MIGRATION)[1] + iterations * costs.solves(Work.LEAST_SQUARES)[0]
    first, later = costs.takes(Work.MIGRATION), costs.takes(Work.LEAST_SQUARES)
    took = "" if first is None or later is None else f", about {duration(first[1] + iterations * later[0])} here"
    print(survey, grid, costs, "", f"in all {solves:,.0f} solves{took}", sep="\n")


def _draw(path: Path, grid: Grid, image: NDArray, title: str, unit: str) -> None:
    from seisops import plot

    plane, values = section(grid, image)
    if unit:
        values, unit = 1e6 * values, "m - m0 (s2/km2)"
    plot.image(plane, values, title, unit).figure.savefig(path, dpi=100)
