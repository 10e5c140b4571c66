"""What commands refuse before any work: numbers that cannot be meant, and folders that take no files."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import seisops as so
from seisops.cli import main
from seisops.cli.fwi import SECTIONS, sections
from seisops.cli.image import Imaging
from seisops.cli.inputs import Data, Machine, Model, Source
from seisops.cli.keys import Bands, Key, Kind, Number, Numbers, Whole, Wholes, example, keys
from seisops.cli.plan import SAMPLES, Planned

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLAN = ["plan", "--shape=61,41", "--spacing=10", "--vmax=2000", "--duration=0.2", "--no-trial"]
IMAGE = ["image", "nothing.segy", "--velocity=nothing.npy", "--f0=10", "--spacing=10", "--output=nothing.npy"]

#: Numbers of commands that may have any sign: places, and times before and after others.
ANY_SIGN = {"datum", "depths", "start", "mute_delay", "peak", "wavelet_start", "origin"}

#: Numbers that may be zero.
ZERO = {"offsets", "mute_taper", "tolerance", "depth_scaling", "top_mute", "top_taper", "memory", "iterations", "layer"}


def numeric(*of: type) -> Iterator[Key]:
    """The keys of sections that are numbers."""
    return (one for section in of for one in keys(section) if isinstance(one.kind, Number | Whole))


def wrong(one: Key) -> Iterator[float | int]:
    """Numbers that a key does not take."""
    yield from (np.nan, np.inf, -np.inf)
    if one.name not in ANY_SIGN:
        yield -1
    if one.name not in ANY_SIGN | ZERO:
        yield 0


def listed(kind: Kind, value: float) -> list[float] | float:
    """As many of them as a kind takes."""
    return [value] * kind.counts[0] if isinstance(kind, Numbers | Wholes) else value


COMMANDS = {"plan": (PLAN, (Planned,)), "image": (IMAGE, (Data, Model, Source, Imaging, Machine))}
OPTIONS = [(name, one) for name, (_, of) in COMMANDS.items() for one in numeric(*of)]


@pytest.mark.parametrize(("command", "one"), OPTIONS, ids=lambda x: x if isinstance(x, str) else x.option)
def test_options_are_numbers_that_can_be_meant(capsys, command, one):
    given, _ = COMMANDS[command]
    for value in (*wrong(one), "x", ""):
        several = listed(one.kind, value)
        text = ",".join(map(str, several)) if isinstance(several, list) else str(several)
        assert main([*given, f"{one.option}={text}"]) == 1, (one.option, text)
        said = capsys.readouterr()
        assert said.err.startswith("seisops: ") and one.option in said.err and not said.out


WHOLE, POSITIVE, NOT_NEGATIVE = "nan inf 1.5 -1 0 x", "nan inf -1 0 x", "nan inf -1 x"
DEMONSTRATION = {
    "--shots": WHOLE, "--iterations": WHOLE, "--fwi-iterations": WHOLE, "--f0": POSITIVE, "--duration": POSITIVE,
    "--step": POSITIVE, "--mute": NOT_NEGATIVE, "--memory": NOT_NEGATIVE,
}  # fmt: skip


@pytest.fixture
def idle(monkeypatch):
    """Commands that fail where work begins."""
    for work in ("demo.run", "image.migrated", "image.least_squares", "fwi.multiscale"):
        monkeypatch.setattr(f"seisops.cli.{work}", lambda *_, **__: pytest.fail("work has begun"))
    for read in ("image.Data.read", "fwi.Data.read"):
        monkeypatch.setattr(f"seisops.cli.{read}", lambda _: pytest.fail("work has begun"))


@pytest.mark.parametrize("option", DEMONSTRATION)
def test_options_of_the_demonstration(idle, tmp_path, capsys, option):
    for value in DEMONSTRATION[option].split():
        try:
            status = main(["demo", f"{option}={value}", "--no-figures", "--output", str(tmp_path / "out")])
        except SystemExit as done:  # what cannot be read, the parser refuses
            status = done.code
        assert status in (1, 2) and option.strip("-") in capsys.readouterr().err.replace("_", "-"), value
        assert not (tmp_path / "out").exists()


CONFIGURED = [(name, one) for name, section in SECTIONS.items() for one in numeric(section)]
STATED = tomllib.loads("\n".join(example(SECTIONS)))


@pytest.mark.parametrize(("section", "one"), CONFIGURED, ids=lambda x: x if isinstance(x, str) else x.name)
def test_numbers_of_a_configuration(tmp_path, section, one):
    for value in (*wrong(one), "x", True):
        said = {**STATED, section: {**STATED[section], one.name: listed(one.kind, value)}}
        with pytest.raises(so.ParameterError, match=rf"\[{section}\] {one.name}"):
            sections(said, tmp_path / "config.toml")


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_bands_of_a_configuration(tmp_path, value):
    assert isinstance(next(one.kind for one in keys(SECTIONS["inversion"]) if one.name == "bands"), Bands)
    with pytest.raises(so.ParameterError, match=r"\[inversion\] bands"):
        sections({**STATED, "inversion": {**STATED["inversion"], "bands": [4.0, value]}}, tmp_path / "config.toml")


# ---- plans of what does not fit


def test_a_plan_takes_no_memory_of_the_model(root):
    """The model alone would take 100 GB; the process may have 4."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({4 << 30}, {resource.RLIM_INFINITY}))"
    planned = [
        "plan",
        "--shape=5000,5000,500",
        "--spacing=10",
        "--vmax=4000",
        "--duration=2",
        "--density",
        "--no-trial",
    ]
    run = f"{limit}; from seisops.cli import main; raise SystemExit(main({planned!r}))"
    done = subprocess.run([sys.executable, "-c", run], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    points, *_ = next(line for line in done.stdout.splitlines() if line.startswith("a solve: ")).split()[2:]
    assert int(points.replace(",", "")) > 5000 * 5000 * 500
    assert "gradient" in done.stdout and "1 of a worker" in done.stdout


def test_records_without_end_are_refused(capsys):
    assert main([*PLAN[:-2], "--duration=2", "--step=1e-9", "--no-trial"]) == 1
    assert f"2e+09 samples, more than {SAMPLES:,}: state --duration and --step in seconds" in capsys.readouterr().err
    assert main([*PLAN, "--spacing=1,2,3"]) == 1
    assert "--spacing takes 1 number, or as many as --shape has, 2, got 3" in capsys.readouterr().err


# ---- folders that take no files


@pytest.fixture(params=["in a file", "no room", "proc"])
def closed(request, tmp_path, monkeypatch):
    """A folder in which nothing can be written."""
    if request.param == "proc":
        if not Path("/proc/self").exists():
            pytest.skip("there is no such folder here")
        return Path("/proc")
    if request.param == "in a file":
        (tmp_path / "file").write_text("here")
        return tmp_path / "file" / "below"

    def full(dir: Path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("seisops.cli.outputs.TemporaryFile", full)
    (tmp_path / "full").mkdir()
    return tmp_path / "full"


@pytest.mark.parametrize("arguments", [["demo"], ["demo", "rtm"], ["image"], ["fwi"]], ids=" ".join)
def test_what_cannot_be_written_is_refused_before_the_work(idle, tmp_path, capsys, monkeypatch, closed, arguments):
    monkeypatch.setattr("seisops.demo.gallery.Page.run", lambda *_: pytest.fail("work has begun"))
    (tmp_path / "config.toml").write_text("\n".join(example(SECTIONS)).replace('"inversion"', f'"{closed / "new"}"'))
    more = {
        "demo": ["--output", str(closed / "new")],
        "image": [*IMAGE[1:-1], "--no-figure", "--output", str(closed / "new.npy")],
        "fwi": [str(tmp_path / "config.toml")],
    }
    before = sorted(tmp_path.rglob("*"))
    assert main([*arguments, *more[arguments[0]]]) == 1
    said = capsys.readouterr().err
    assert said.startswith("seisops: ") and str(closed) in said and "written" in said
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_is_tried_and_left_as_it_was(tmp_path):
    from seisops.cli.outputs import require_writable

    require_writable(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("mine")
    require_writable(tmp_path / "a")
    require_writable(tmp_path / "a" / "b" / "c")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mine"]
