"""``seisops fwi``: full-waveform inversion of a survey, as a TOML file says; killed and run again it goes on."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisops.cli.inputs import Data, Machine, Model, Source, observed
from seisops.cli.keys import Bands, Choice, File, Flag, Number, Numbers, Text, Whole, example, from_table, key, near
from seisops.cli.outputs import drawing, require_figures, require_writable, section
from seisops.errors import ParameterError
from seisops.inversion.journal import Journal
from seisops.inversion.loss import (
    L1,
    Adaptive,
    Correlation,
    Envelopes,
    Huber,
    Loss,
    Squares,
    StudentT,
    Transport,
)  # fmt: skip
from seisops.inversion.multiscale import MultiscaleResult, multiscale
from seisops.model.bounded import Bounded
from seisops.model.files import KINDS, write_model
from seisops.model.smooth import Smooth
from seisops.model.weights import TopMute, WaterMask
from seisops.operators import Identity, LinearOperator
from seisops.survey.atomic import replacing
from seisops.survey.windows import WindowedModeling
from seisops.wave.costs import Work, duration, plan
from seisops.wave.equations.acoustic import Acoustic
from seisops.wave.quantities import implausible

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["SECTIONS", "Inversion", "Output", "add"]

EXAMPLES = """\
examples:
  seisops fwi --example > config.toml
      all keys, with what they mean; edit it

  seisops fwi config.toml --dry-run
      what it will cost: memory, solves and time

  seisops fwi config.toml
      the inversion; killed, the same command goes on where it was
"""

#: What journals are for.
PROBLEM = "seisops fwi"

#: Names of losses, and those whose scale is one of the data.
LOSSES = {
    "squares": Squares, "huber": Huber, "l1": L1, "student": StudentT, "correlation": Correlation,
    "envelopes": Envelopes, "transport": Transport, "adaptive": Adaptive,
}  # fmt: skip
SCALED = ("huber", "l1", "student")

#: Keys that change no number that comes out.
FREE = {("inversion", "workers"), ("inversion", "memory"), ("output", "no_figures")}


@dataclass(frozen=True, kw_only=True)
class Inversion(Machine):
    """What is fitted, and how."""

    bounds: Any = key("lowest and highest velocity in m/s", Numbers("m/s", (2,)), example="[1450.0, 5000.0]")
    bands: Any = key(
        'corners of frequency bands in Hz, one after another; "all" for all frequencies',
        Bands(),
        example='[4.0, 7.0, "all"]',
    )
    iterations: int = key("of L-BFGS in each band", Whole(1), 10, active=True)
    wrt: str = key("what is looked for: velocity, or squared slowness", Choice("vp", "m"), "vp")
    smooth: Any = key("m over which updates are smoothed", Number("m"), None, example="30.0")
    top_mute: Any = key("depth in m above which nothing moves", Number("m", "not negative"), None, example="50.0")
    top_taper: Any = key(
        "m below it over which updates set in (default: four cells)", Number("m", "not negative"), None, example="40.0"
    )
    water: bool = key("whether water, as the first node of the starting model has it, stays as it is", Flag(), False)
    loss: str = key("what is summed up of differences", Choice(*LOSSES), "squares")
    loss_scale: Any = key(
        f"of {', '.join(SCALED)}: what is large, in root mean squares of the data", Number("root mean squares"), None,
        example="0.5",
    )  # fmt: skip
    estimate_source: bool = key("whether a filter of the source is found for each shot", Flag(), False)

    def __post_init__(self) -> None:
        fault = implausible(Acoustic, "vp", np.array(self.bounds), {}, label="[inversion] bounds, velocities,")
        if fault:
            raise ParameterError(f"{fault}. State them in m/s")
        if not self.bounds[0] < self.bounds[1]:
            raise ParameterError(f"[inversion] bounds of {self.bounds}: give the lowest velocity first")

    def limits(self) -> tuple[float, float]:
        """The bounds in the unit of what is looked for."""
        low, high = self.bounds
        return (low, high) if self.wrt == "vp" else (high**-2.0, low**-2.0)

    def summed(self, data: NDArray) -> Loss:
        """The loss."""
        if self.loss not in SCALED:
            if self.loss_scale is not None:
                raise ParameterError(f"[inversion] loss_scale is of {', '.join(SCALED)}, and the loss is {self.loss!r}")
            return LOSSES[self.loss]()
        if self.loss_scale is None:
            raise ParameterError(f"[inversion] loss_scale is needed by the loss {self.loss!r}: loss_scale = 0.5")
        return LOSSES[self.loss](self.loss_scale * float(np.sqrt(np.mean(np.square(data, dtype=np.float64)))))

    def preconditioner(self, F: WindowedModeling, vp: NDArray) -> LinearOperator:
        """From what the optimiser sees to updates."""
        space = F.as_map(self.wrt).domain[0]
        P: LinearOperator = Identity(space)
        if self.smooth is not None:
            P = Smooth(space, self.smooth) * P
        if self.top_mute is not None:
            P = TopMute(space, self.top_mute, self.top_taper) * P
        return WaterMask(space, vp) * P if self.water else P


@dataclass(frozen=True, kw_only=True)
class Output:
    """What is left behind: the model, its errors, figures, and the journal of evaluations."""

    folder: Path = key("where results go; it is made", File("FOLDER"), example='"inversion"')
    model: str = key("file of the model in it, .npy, .zarr or .segy", Text("NAME"), "model.npy")
    truth: Any = key("a model, stored as the velocity is, of which errors are told", File(), None, example='"true.npy"')
    no_figures: bool = key("leave the figures out (they need matplotlib)", Flag(), False)

    @property
    def journal(self) -> Path:
        """Where evaluations are kept."""
        return self.folder / "journal"

    @property
    def config(self) -> Path:
        """A copy of the configuration, which says that the folder is ours."""
        return self.folder / "config.toml"


#: Sections of the configuration.
SECTIONS: dict[str, type] = {"data": Data, "model": Model, "source": Source, "inversion": Inversion, "output": Output}


def add(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "fwi",
        help="invert a survey for velocity",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Inverts a survey for velocity, band by band, as a configuration says. Every evaluation is kept on\n"
        "disk: a run that was killed goes on when the same command is given again, with the same numbers.",
    )
    parser.set_defaults(command=_run)
    parser.add_argument(
        "config", nargs="?", type=Path, metavar="CONFIG", help="configuration, TOML; paths in it are relative to it"
    )
    parser.add_argument(
        "--example", action="store_true", help="print a configuration with all keys, and do nothing else"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what it will cost, and do nothing else")
    parser.add_argument(
        "--force", action="store_true", help="begin anew, over results of another run in the same folder"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing: no progress, no table")


def _run(options: argparse.Namespace) -> int:
    if options.example:
        print("\n".join(example(SECTIONS)))
        return 0
    if options.config is None:
        raise ParameterError("name a configuration: seisops fwi config.toml; seisops fwi --example prints one")
    text, tables = _read(options.config)
    data, model, source, inversion, output = sections(tables, options.config)
    if not options.dry_run:
        if not output.no_figures:
            require_figures("no_figures = true in [output]")
        _refuse(output, tables, options.force)
    survey, medium = data.read(), model.medium()
    truth = None if output.truth is None else _truth(model, output.truth)
    F = model.modeling(survey, medium, max_velocity=inversion.bounds[1])
    q, weights = source.signals(survey, F.domain), data.muted(F, source)
    if options.dry_run:
        costs = plan(F.as_map(inversion.wrt, inversion.storage()), workers=inversion.workers or 1)
        gradients = len(inversion.bands) * (inversion.iterations + 3)
        solves = gradients * costs.solves(Work.GRADIENT)[0]
        takes = costs.takes(Work.GRADIENT)
        took = "" if takes is None else f", about {duration(gradients * takes[0])} here"
        print(
            survey, medium.grid, costs, "", f"in all about {gradients} gradients, {solves:,.0f} solves{took}", sep="\n"
        )
        return 0
    d, start = observed(survey, F.range), medium.vp if inversion.wrt == "vp" else medium.m
    Bounded(F.as_map(inversion.wrt).domain[0], *inversion.limits(), around=start)  # or says that it is not between them
    P, summed = inversion.preconditioner(F, medium.vp), inversion.summed(d)
    _begin(output, text, options.force)
    journal = Journal(output.journal, problem=PROBLEM)
    with inversion.spread() as over:
        result = multiscale(
            over(F) if over else F, d, q, inversion.bands, start, wrt=inversion.wrt, bounds=inversion.limits(),
            iterations=inversion.iterations, loss=summed, weights=weights, P=P,
            estimate_source=inversion.estimate_source, storage=inversion.storage(),
            truth=truth if truth is None or inversion.wrt == "vp" else truth**-2.0,
            journal=journal, progress=not options.quiet,
        )  # fmt: skip
    journal.close()
    velocity = result.model if inversion.wrt == "vp" else result.model**-0.5
    written = _save(output, medium, velocity, truth, result)
    if not options.quiet:
        print(_table(result), f"written: {', '.join(written)} in {output.folder}", sep="\n")
    return 0


# ---- the configuration


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    """The text of a configuration, and what it says."""
    if not path.is_file():
        raise ParameterError(f"{path}: no such file; seisops fwi --example prints a configuration")
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except ValueError as error:
        raise ParameterError(f"{path} is not TOML: {error}") from error


def sections(tables: Mapping[str, Any], path: Path) -> tuple[Data, Model, Source, Inversion, Output]:
    """The sections of a configuration.

    Parameters
    ----------
    tables : mapping
    path : Path
        Where they are from: paths are relative to its folder.
    """
    for name, table in tables.items():
        if name not in SECTIONS or not isinstance(table, dict):
            meant = near(name, SECTIONS) or f": its sections are {', '.join(SECTIONS)}"
            raise ParameterError(f"{path} has no section {name!r}{meant}")
    data, model, source, inversion, output = (
        from_table(section, tables.get(name, {}), f"{path}: [{name}]", path.parent)
        for name, section in SECTIONS.items()
    )
    return data, model, source, inversion, output


def _refuse(output: Output, tables: Mapping[str, Any], force: bool) -> None:
    """Raise a ParameterError if what is in the folder is not of a run of this configuration."""
    folder = output.folder
    if Path(output.model).suffix.lower() not in KINDS:
        raise ParameterError(f"[output] model {output.model!r}: unknown kind of file; use one of {', '.join(KINDS)}")
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"[output] folder: {folder} is a file")
    require_writable(folder)
    if force or not folder.is_dir() or not any(folder.iterdir()):
        return
    if not output.config.is_file():
        raise ParameterError(
            f"[output] folder: {folder} is not empty, and of no run of this command: name another, or begin with --force"
        )
    there, here = _flat(_read(output.config)[1]), _flat(tables)
    other = [at for at in {**there, **here} if at not in FREE and there.get(at) != here.get(at)]
    if other and len(Journal(output.journal)):  # something was computed
        section, name = other[0]
        raise ParameterError(
            f"{folder} has a run of another configuration: [{section}] {name} is {_said(there, other[0])} there and "
            f"{_said(here, other[0])} here: name another folder, or begin anew with --force"
        )


def _flat(tables: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    return {(section, name): value for section, table in tables.items() for name, value in table.items()}


def _said(flat: Mapping[tuple[str, str], Any], at: tuple[str, str]) -> str:
    return repr(flat[at]) if at in flat else "not stated"


def _begin(output: Output, text: str, force: bool) -> None:
    """Make the folder, with a copy of the configuration, and forget another run's evaluations."""
    output.folder.mkdir(parents=True, exist_ok=True)
    if force and output.journal.exists():
        Journal(output.journal, problem=PROBLEM).clear()
    with replacing(output.config, True, Path.is_file) as beside:
        beside.write_text(text, encoding="utf-8")


def _truth(model: Model, path: Path) -> NDArray:
    """Velocity of the model that errors are told of."""
    found = model.read(path, model.dataset)
    model.same_grid((model.velocity, model.found), (path, found))
    return model.velocities(found)


# ---- results


def _save(
    output: Output, medium: Acoustic, velocity: NDArray, truth: NDArray | None, result: MultiscaleResult
) -> list[str]:
    """Write the model, misfits and figures; their names."""
    write_model(output.folder / output.model, medium.grid, velocity, "vp", "m/s", overwrite=True)
    written = [output.model, "misfits.csv"]
    with open(output.folder / "misfits.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("band", "corner (Hz)", "iteration", "misfit", "error of the model"))
        for b, band in enumerate(result.bands):
            for i, misfit in enumerate(band.misfits):
                error = band.errors[i] if band.errors else ""
                rows.writerow((b, "all" if band.high is None else band.high, i, misfit, error))
    if not output.no_figures:
        with drawing():
            for name, axes in _figures(medium, velocity, truth, result).items():
                axes.figure.savefig(output.folder / f"{name}.png", dpi=100)
                written.append(f"{name}.png")
    return written


def _figures(medium: Acoustic, velocity: NDArray, truth: NDArray | None, result: MultiscaleResult) -> dict[str, Any]:
    from seisops import plot

    models = {"start": medium.vp, "model": velocity, **({} if truth is None else {"truth": truth})}
    limits = min(float(vp.min()) for vp in models.values()), max(float(vp.max()) for vp in models.values())
    titles = {"start": "starting model", "model": "inverted", "truth": "true model"}
    drawn: dict[str, Any] = {}
    for name, vp in models.items():
        drawn[name] = plot.model(*section(medium.grid, vp), titles[name], limits=limits)
    curves = {band.name: [misfit / band.misfits[0] for misfit in band.misfits] for band in result.bands}
    drawn["misfit"] = plot.curves(curves, ylabel="misfit, relative to the band's first", title="convergence")
    return drawn


def _table(result: MultiscaleResult) -> str:
    told = any(band.errors for band in result.bands)
    lines = ["band               iterations   misfit (%)" + "   model error (%)" * told]
    for band in result.bands:
        error = f"   {100 * band.errors[-1]:15.1f}" if told else ""
        ratio = 100 * band.misfits[-1] / band.misfits[0]
        lines.append(f"{band.name:16}   {len(band.misfits) - 1:10d}   {ratio:10.1f}{error}")
    return "\n".join(lines)
