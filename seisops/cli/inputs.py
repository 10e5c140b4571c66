"""What commands take in: a survey, a model of the ground, a source, and the means to work with."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

import seisops as so
from seisops.cli.keys import Choice, File, Flag, Number, NumberOr, Numbers, Shots, Text, Whole, key
from seisops.data.tracewise import Tracewise
from seisops.data.weights import Mute
from seisops.errors import ParameterError
from seisops.model.files import UNITS, Stored, read_model
from seisops.operators import LinearOperator
from seisops.spaces import Axis, Space, Traces
from seisops.survey import Survey
from seisops.survey.windows import WindowedModeling
from seisops.wave.boundaries import PML
from seisops.wave.equations.acoustic import Acoustic
from seisops.wave.grid import Grid
from seisops.wave.storage.policies import Auto, Policy
from seisops.wave.time import Time
from seisops.wave.wavelets import ricker

__all__ = ["Data", "Layout", "Machine", "Model", "Source", "for_commands", "observed", "on_demand"]

#: By how much a spacing may differ from what a file says, as a fraction.
SAME = 1e-4

#: Arguments of `Survey.from_segy`, and what they are called here.
FROM_SEGY = {
    "by": "by", "datum": "datum", "depth": "depths", "units": "lengths", "step": "step", "start": "start",
    "on_duplicate": "duplicates", "tolerance": "tolerance",
}  # fmt: skip

VELOCITIES = [u for quantity in ("vp", "m") for u in UNITS[quantity]]


@dataclass(frozen=True, kw_only=True)
class Data:
    """Shots from SEG-Y or Zarr. Headers of SEG-Y are taken at their word; what they get wrong is stated."""

    survey: Path = key("SEG-Y file, or Zarr store as Survey.to_zarr writes it", File(), example='"line.segy"')
    shots: Any = key("some of the shots: 0:40:2 is every other one of the first 40", Shots(), None, example='"0:40:2"')
    offsets: Any = key(
        "least and largest offset in m", Numbers("m", (2,), "not negative"), None, example="[100.0, 3000.0]"
    )
    mute: Any = key("velocity in m/s of the direct wave, which is muted", Number("m/s"), None, example="1500.0")
    mute_delay: Any = key(
        "seconds after its arrival up to which it is muted (default: the wavelet lasts as long after its peak as before)",
        Number("s", "any"), None, example="0.2",
    )  # fmt: skip
    mute_taper: float = key("seconds over which the mute ends", Number("s", "not negative"), 0.05)
    by: str = key("what tells shots of SEG-Y apart", Choice("source", "record", "point"), "source")
    datum: float = key("elevation of z = 0 in m", Number("m", "any"), 0.0)
    depths: Any = key(
        "what elevation fields hold, or z of all sources and all receivers in m",
        NumberOr(("elevation", "depth"), "m", (2,)), None, example="[6.0, 8.0]",
    )  # fmt: skip
    lengths: Any = key("unit of lengths, where the file is wrong about it", Choice("m", "ft"), None, example='"m"')
    step: Any = key("sampling interval in s, in place of what headers say", Number("s"), None, example="0.004")
    start: Any = key(
        "time of the first sample in s, in place of what headers say", Number("s", "any"), None, example="0.0"
    )
    duplicates: str = key("traces of one shot at one place", Choice("raise", "first", "keep"), "raise")
    tolerance: float = key("m within which sources are one", Number("m", "not negative"), 0.0)
    project: bool = key("take map coordinates (x, y, z) to the line that fits best", Flag(), False)

    def read(self) -> Survey:
        """The shots without traces that are known to be dead; their traces are read when asked for."""
        survey = self._zarr() if self.survey.suffix.lower() == ".zarr" else self._segy()
        if survey[0].traces is None:
            raise ParameterError(f"{self.survey} has no traces, only their places")
        if self.project:
            survey = survey.project()
        if self.shots is not None:
            survey = survey[self.shots]
        if self.offsets is not None:
            survey = survey.offset_window(*self.offsets)
        return survey.live().astype("float32")

    def _segy(self) -> Survey:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                survey = Survey.from_segy(
                    self.survey, **{argument: getattr(self, name) for argument, name in FROM_SEGY.items()}
                )
            except ParameterError as error:
                raise ParameterError(for_commands(error)) from error
        for one in told:
            warnings.warn(for_commands(one.message), one.category, stacklevel=1)
        return survey

    def _zarr(self) -> Survey:
        plain = Data(survey=self.survey)
        said = [name for name in FROM_SEGY.values() if getattr(self, name) != getattr(plain, name)]
        if said:
            raise ParameterError(f"{', '.join(said)}: said of SEG-Y, and {self.survey} is a Zarr store: leave it out")
        return Survey.from_zarr(self.survey)

    def muted(self, F: WindowedModeling, source: Source) -> Mute | None:
        """The mute of the direct wave of traces, if one is asked for."""
        if self.mute is None:
            return None
        delay = self.mute_delay
        if delay is None:
            starts = {shot.time.start: shot.time for shot in F.recipe.shots}
            if len(starts) > 1:
                raise ParameterError(
                    f"records begin at {min(starts):g} to {max(starts):g} s: state mute_delay, the seconds after its "
                    "arrival up to which the direct wave is muted"
                )
            delay = source.end(next(iter(starts.values())))
        return Mute(F, velocity=self.mute, delay=delay, taper=self.mute_taper)


def for_commands(message: object) -> str:
    """What is said about SEG-Y files to those who write Python, for those who write commands: names of options are added.

    Parameters
    ----------
    message : object
        An error, a warning, a finding, or its text.
    """
    text = str(message)
    named = list(dict.fromkeys(re.findall(r"\b([a-z_]+)=(?=['\"(\[.\w]|\s)", text)))
    known = [f"{argument}= is --{name}" for argument in named if (name := FROM_SEGY.get(argument))]
    others = [
        argument
        for argument in named
        if argument in signature(Survey.from_segy).parameters and argument not in FROM_SEGY
    ]
    if others:
        known.append(
            f"{' and '.join(f'{argument}=' for argument in others)} of Survey.from_segy in Python, whose to_zarr writes a "
            "store that commands read"
        )
    return f"{text} (here {'; '.join(known)}; in a configuration without the dashes)" if known else text


def observed(survey: Survey, space: Space) -> NDArray:
    """The traces of a survey as an array of a space, also where shots have time axes of their own."""
    out = space.zeros()
    for i, shot in enumerate(survey):
        space.put(out, shot.data.reshape(space.select([i]).shape), [i])
    return out


def on_demand(survey: Survey, space: Space) -> Survey | NDArray:
    """The traces of a survey, which workers read themselves; in memory where shots have time axes of their own."""
    return survey if len(survey.by_time()) == 1 else observed(survey, space)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What numbers in files of models mean."""

    dataset: Any = key("its name in a file that holds several arrays", Text("NAME"), None, example='"vp"')
    quantity: str = key("what files hold: velocity or squared slowness", Choice("vp", "m"), "vp")
    units: Any = key(
        "their units (default: m/s for vp, s2/m2 for m)", Choice(*VELOCITIES), None, example='"m/s"', active=True
    )
    order: Any = key("order of the axes in files (default: x first, z last)", Text("AXES"), None, example='"zx"')
    spacing: Any = key(
        "size of the cells in m, one number or one for each axis x,[y,]z (default: as a Zarr store says)",
        Numbers("m", (1, 2, 3)), None, example="[12.5, 12.5]", active=True,
    )  # fmt: skip
    origin: Any = key(
        "coordinates of the first node in m (default: as a Zarr store says, or 0)",
        Numbers("m", (1, 2, 3), "any"), None, example="[0.0, 0.0]",
    )  # fmt: skip

    def read(self, path: Path, dataset: str | None) -> Stored:
        """A model in a file, in SI units and with axes (x, [y,] z)."""
        return read_model(path, dataset, self.quantity, self.units, self.order)

    def velocities(self, stored: Stored) -> NDArray:
        """Velocity in m/s of what was read."""
        return stored.values if self.quantity == "vp" else stored.values**-0.5

    def same_grid(self, first: tuple[Path, Stored], other: tuple[Path, Stored]) -> None:
        """Raise a ParameterError unless two models are on the same grid, as far as they say."""
        (here, mine), (there, its) = first, other
        if its.values.shape != mine.values.shape:
            raise ParameterError(
                f"{there} has shape {its.values.shape}, {here} {mine.values.shape}, both {mine.in_words}: they must be on "
                "the same grid"
            )
        grid = self.grid(mine, here)
        for what in ("spacing", "origin"):
            at, said = getattr(grid, what), getattr(its, what)
            if said and not np.allclose(at, said, SAME, SAME):
                raise ParameterError(
                    f"{what}: {_metres(said)} in {there}, {_metres(at)} in {here}: they must be on the same grid"
                )

    def grid(self, stored: Stored, path: Path) -> Grid:
        """The grid that a model is on, by what is stated and what the file says."""
        ndim = stored.values.ndim
        at = {}
        for what, said in (("spacing", self.spacing), ("origin", self.origin)):
            in_file = getattr(stored, what)
            if said is not None and len(said) not in (1, ndim):
                raise ParameterError(f"{what} {_metres(said)}: {path} has {ndim} axes: give 1 number, or {ndim}")
            said = said and (said * ndim if len(said) == 1 else said)
            if said and in_file and not np.allclose(said, in_file, SAME, SAME):
                raise ParameterError(
                    f"{what}: {_metres(said)} is stated, and {path} says {_metres(in_file)}: leave it out, or mend the file"
                )
            at[what] = said or in_file
        if at["spacing"] is None:
            raise ParameterError(f"{path}: state the size of its cells in m, the spacing, as 12.5 or 12.5,10")
        return Grid(stored.values.shape, at["spacing"], at["origin"] or 0.0)


def _metres(values: tuple[float, ...]) -> str:
    return f"{' x '.join(f'{one:g}' for one in values)} m"


@dataclass(frozen=True, kw_only=True)
class Model(Layout):
    """Velocity of the ground, and what waves are modeled with."""

    velocity: Path = key(
        "velocity or squared slowness: HDF5, NumPy (.npy, .npz), Zarr or SEG-Y (one trace for each x)", File(),
        example='"velocity.npy"',
    )  # fmt: skip
    density: Any = key("density, on the same grid and with the same order", File(), None, example='"density.npy"')
    density_dataset: Any = key("its name in its file", Text("NAME"), None, example='"rho"')
    density_units: str = key("its units", Choice(*UNITS["rho"]), "kg/m3")
    free_surface: bool = key("whether the top is a free surface", Flag(), False)
    layer: int = key("cells of the absorbing layer", Whole(0), PML().cells)
    margin: Any = key(
        "m of model beyond the sources and receivers of a shot in which it is solved (default: all)", Number("m"), None,
        example="1000.0",
    )  # fmt: skip
    space_order: int = key("order of differences in space", Whole(2), 8)

    @cached_property
    def found(self) -> Stored:
        """The velocity, or squared slowness, as it was read."""
        return self.read(self.velocity, self.dataset)

    def medium(self) -> Acoustic:
        """The medium."""
        grid, vp = self.grid(self.found, self.velocity), self.velocities(self.found)
        if self.density is None:
            return Acoustic(grid, vp=vp)
        rho = read_model(self.density, self.density_dataset, "rho", self.density_units, self.order)
        self.same_grid((self.velocity, self.found), (self.density, rho))
        return Acoustic(grid, vp=vp, rho=rho.values)

    def modeling(self, survey: Survey, medium: Acoustic, max_velocity: float | None = None) -> WindowedModeling:
        """The modeling operator of a survey.

        Parameters
        ----------
        survey : Survey
        medium : Acoustic
        max_velocity : float, optional
            In m/s, for the time step; by default that of the medium.
        """
        if survey.ndim != medium.grid.ndim:
            cure = ": project takes it to a line" if survey.ndim == 3 else ""
            raise ParameterError(
                f"the survey has coordinates {', '.join(survey.axes)} and {self.velocity} has axes "
                f"{', '.join(medium.grid.axes)}{cure}"
            )
        late = next((i for i, shot in enumerate(survey) if shot.time.start > 0), None)
        if late is not None:
            raise ParameterError(
                f"records of shot {late} begin {survey[late].time.start:g} s after it, and waves are modeled from time "
                "0 on: pad them, or state start if the headers are wrong"
            )
        return survey.modeling(
            medium, self.margin, PML(cells=self.layer), self.free_surface, self.space_order, max_velocity
        )


@dataclass(frozen=True, kw_only=True)
class Source:
    """The signal of all shots: a Ricker wavelet, or a file."""

    f0: Any = key("peak frequency of a Ricker wavelet in Hz", Number("Hz"), None, example="10.0", active=True)
    peak: Any = key(
        "time of its peak in s (default: 1.5 / f0 after the first sample)", Number("s", "any"), None, example="0.15"
    )
    wavelet: Any = key(
        "samples of another one: .npy, or text with one number a line", File(), None, example='"wavelet.npy"'
    )
    wavelet_step: Any = key("their interval in s (default: that of the data)", Number("s"), None, example="0.002")
    wavelet_start: Any = key(
        "time of the first of them in s (default: that of the data)", Number("s", "any"), None, example="0.0"
    )

    def signals(self, survey: Survey, space: Space) -> NDArray:
        """The signals of all sources.

        Parameters
        ----------
        survey : Survey
        space : Space
            The domain of its modeling operator.
        """
        made: dict[Time, NDArray] = {}
        out = space.zeros()
        for i, shot in enumerate(survey):
            if shot.time not in made:
                made[shot.time] = self.signal(shot.time)
            part = space.select([i]).shape
            space.put(out, np.broadcast_to(made[shot.time], part), [i])
        return out

    def signal(self, time: Time) -> NDArray:
        """The samples on a time axis."""
        if (self.f0 is None) == (self.wavelet is None):
            raise ParameterError(
                "the source is a Ricker wavelet of a peak frequency, f0 in Hz, or samples in a file, wavelet: state one"
            )
        if self.wavelet is None:
            return ricker(time, self.f0, self.peak)
        samples = self._samples
        step = self.wavelet_step or time.step
        start = time.start if self.wavelet_start is None else self.wavelet_start
        own = Traces([1], Axis("time", len(samples), step, start), np.float64)
        on: Tracewise = so.data.Resample(own, time)
        return np.ravel(on @ samples)

    @cached_property
    def _samples(self) -> NDArray:
        path = self.wavelet
        try:
            read = np.load(path, allow_pickle=False) if path.suffix.lower() == ".npy" else np.loadtxt(path)
        except (ValueError, EOFError) as error:
            raise ParameterError(f"{path} holds no wavelet: {error}") from error
        samples = np.squeeze(np.asarray(read))
        if samples.ndim != 1 or len(samples) < 2 or samples.dtype.kind not in "iuf" or not np.isfinite(samples).all():
            raise ParameterError(
                f"{path} of shape {np.shape(read)} holds no wavelet: finite samples, one after another"
            )
        return samples.astype(np.float64)

    def end(self, time: Time) -> float:
        """When it is over, in seconds, if it lasts as long after its peak as before."""
        return time.start + 2 * time.step * float(np.argmax(np.abs(self.signal(time))))


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Memory and processes."""

    memory: float = key("GiB of forward wavefields that are kept; less is slower", Number("GiB", "not negative"), 2.0)
    workers: Any = key("processes of this machine that share the shots (Dask)", Whole(), None, example="4")

    @property
    def _bytes(self) -> int:
        return int(self.memory * 2**30)

    def storage(self) -> Policy:
        """How forward wavefields are kept."""
        return Auto(keep_bytes=self._bytes)

    @contextmanager
    def spread(self) -> Iterator[Any]:
        """A function that has operators worked off by the processes that are asked for, or None if none are."""
        if self.workers is None:
            yield None
            return
        distribute = so.dask.distribute  # says what to install
        from distributed import Client, LocalCluster

        threads = max(1, (psutil.cpu_count(logical=False) or 1) // self.workers)
        with (
            LocalCluster(n_workers=self.workers, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):

            def over(op: LinearOperator) -> LinearOperator:
                return distribute(op, client, threads=threads, keep_bytes=self._bytes, same_order=True)

            yield over
