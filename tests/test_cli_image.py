"""The command that migrates: where a reflector comes out, what may be stated, and how it refuses."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import seisops as so
from seisops.cli import main
from seisops.model.files import read_model, write_model

GRID = so.Grid((81, 41), 10.0)
TIME = so.Time(161, 0.004)
F0, VELOCITY, DEPTH = 15.0, 2000.0, 250.0
# receivers that differ from shot to shot, and in number
RECEIVERS = [
    np.array([(x, 20.0) for x in np.arange(first, last, 20.0)])
    for first, last in ((10.0, 600.0), (10.0, 800.0), (200.0, 800.0))
]
STATED = ["--spacing=10", f"--f0={F0:g}", "--mute=2000", "--no-figure", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A line over a thin layer, modeled, and the velocity around it."""
    folder = tmp_path_factory.mktemp("line")
    vp = np.full(GRID.shape, VELOCITY)
    np.save(folder / "vp.npy", vp)
    vp[:, GRID.coordinates("z") == DEPTH] = 2300.0
    survey = so.Survey.from_arrays([(x, 20.0) for x in (200.0, 400.0, 600.0)], RECEIVERS, TIME)
    q = np.tile(so.ricker(TIME, F0), (3, 1, 1))
    survey = survey.with_data(survey.modeling(so.Acoustic(GRID, vp=vp)) @ q)
    survey.to_segy(folder / "line.segy")
    return folder


def image(folder, output, *more, stated=STATED, survey="line.segy", velocity="vp.npy"):
    """The image that the command makes of a line."""
    arguments = ["image", folder / survey, "--velocity", folder / velocity, "--output", output, *stated, *more]
    assert main(list(map(str, arguments))) == 0
    return np.load(output)


def refused(capsys, folder, tmp_path, *more, stated=STATED, survey="line.segy", velocity="vp.npy") -> str:
    output = ["--output", tmp_path / "image.npy"]
    arguments = ["image", folder / survey, "--velocity", folder / velocity, *output, *stated, *more]
    assert main(list(map(str, arguments))) == 1
    assert not (tmp_path / "image.npy").exists()
    return capsys.readouterr().err


def profile(image):
    """What there is at each depth, in the middle."""
    return image[20:61].mean(axis=0)


@pytest.mark.parametrize("more", [(), ("--iterations=4",)], ids=["reverse time", "least squares"])
def test_a_flat_reflector_comes_out_at_its_depth(folder, tmp_path, more):
    found = profile(image(folder, tmp_path / "image.npy", *more, "--top-mute=60"))
    at = int(np.argmax(np.abs(found)))
    assert abs(GRID.coordinates("z")[at] - DEPTH) <= 10.0
    assert found[at] < 0  # faster rock is less slowness
    if more:  # in s2/m2
        assert 0.3 < found[at] / (2300.0**-2 - VELOCITY**-2) < 1.0
    without = profile(image(folder, tmp_path / "direct.npy", *more, stated=[s for s in STATED if "mute" not in s]))
    assert abs(GRID.coordinates("z")[np.argmax(np.abs(without))] - DEPTH) > 100.0  # the direct wave drowns it


def test_it_tells_what_it_does_and_draws(folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    pytest.importorskip("zarr")
    out = tmp_path / "image.zarr"
    arguments = [
        "image",
        folder / "line.segy",
        "--velocity",
        folder / "vp.npy",
        *STATED[:3],
        "--output",
        out,
        "--iterations=2",
    ]
    assert main(list(map(str, arguments))) == 0
    said = capsys.readouterr()
    misfits = [float(line.split()[1]) for line in said.out.splitlines() if line.split()[0] in "012"]
    assert misfits[0] == 100.0 and misfits[2] < misfits[1] < 70.0
    assert "image.png" in said.out and "least squares" in said.err
    assert (tmp_path / "image.png").stat().st_size > 1000
    import zarr

    group = zarr.open(str(out), mode="r")
    assert group["image"].shape == GRID.shape and group["image"].attrs["units"] == "s2/m2"
    np.testing.assert_array_equal(group["z"][...], GRID.coordinates("z"))


def test_images_of_some_shots_add_up(folder, tmp_path):
    whole = image(folder, tmp_path / "whole.npy")
    some = [image(folder, tmp_path / f"{i}.npy", f"--shots={shots}") for i, shots in enumerate(("0:3:2", "1"))]
    assert np.linalg.norm(sum(some) - whole) < 1e-6 * np.linalg.norm(whole)


def test_the_same_survey_model_and_source_in_other_files(folder, tmp_path):
    pytest.importorskip("zarr")
    pytest.importorskip("segyio")
    expected = image(folder, tmp_path / "a.npy")
    so.Survey.from_segy(folder / "line.segy").to_zarr(folder / "line.zarr")
    write_model(folder / "vp.zarr", GRID, np.load(folder / "vp.npy"), "vp", "m/s")
    write_model(folder / "vp.segy", GRID, 1e-3 * np.load(folder / "vp.npy"))
    np.savetxt(folder / "wavelet.txt", so.ricker(so.Time(80, 0.004), F0))
    plain = [s for s in STATED if not s.startswith(("--f0", "--spacing"))]
    wavelet = f"--wavelet={folder / 'wavelet.txt'}"
    found = image(folder, tmp_path / "b.npy", wavelet, stated=plain, survey="line.zarr", velocity="vp.zarr")
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)
    found = image(folder, tmp_path / "c.npy", "--units=km/s", velocity="vp.segy")
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)
    # a finer wavelet, from before the records on
    fine = so.Time(400, 0.001, -0.1)
    np.save(folder / "fine.npy", so.ricker(fine, F0, delay=0.1))
    stated = [
        f"--wavelet={folder / 'fine.npy'}",
        "--wavelet-step=0.001",
        "--wavelet-start=-0.1",
        "--mute-delay=0.2",
        *plain,
    ]
    found = image(folder, tmp_path / "d.npy", "--spacing=10", stated=stated)
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)


def test_workers_give_the_same_image(folder, tmp_path, root):
    pytest.importorskip("distributed")
    expected = image(folder, tmp_path / "here.npy")
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "seisops",
        "image",
        folder / "line.segy",
        "--velocity",
        folder / "vp.npy",
    ]
    done = subprocess.run(
        [*map(str, command), *STATED, "--output", str(tmp_path / "there.npy"), "--workers=2"],
        cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "there.npy"), expected)


def test_a_dry_run_says_what_it_costs_and_does_nothing(folder, tmp_path, capsys):
    arguments = [
        "image",
        folder / "line.segy",
        "--velocity",
        folder / "vp.npy",
        *STATED,
        "--output",
        tmp_path / "a.npy",
    ]
    assert main([*map(str, arguments), "--dry-run", "--iterations=5"]) == 0
    said = capsys.readouterr().out
    # the background and the image of each shot, then two solves in each iteration
    assert "Survey of 3 shots" in said and f"in all {2 * 3 + 5 * 2 * 3} solves, about" in said
    assert "memory of a worker" in said and not list(tmp_path.iterdir())


def test_what_exists_is_refused(folder, tmp_path, capsys):
    (tmp_path / "a.npy").write_text("mine")
    arguments = [
        "image",
        str(folder / "line.segy"),
        f"--velocity={folder / 'vp.npy'}",
        *STATED,
        f"--output={tmp_path / 'a.npy'}",
    ]
    assert main(arguments) == 1
    assert "a.npy exists: name another with --output, or overwrite with --force" in capsys.readouterr().err
    assert (tmp_path / "a.npy").read_text() == "mine"
    assert main([*arguments, "--force"]) == 0 and np.load(tmp_path / "a.npy").shape == GRID.shape
    (tmp_path / "b.png").write_text("mine")
    arguments = [a for a in arguments if a not in ("--no-figure", arguments[-1])]
    assert main([*arguments, f"--output={tmp_path / 'b.npy'}"]) == 1
    assert "b.png exists" in capsys.readouterr().err


def test_what_is_read_is_never_written_over(folder, tmp_path, capsys):
    line, vp = tmp_path / "line.segy", tmp_path / "vp.npy"
    for path in (line, vp):
        path.write_bytes((folder / path.name).read_bytes())
    for output in (line, vp):
        before = output.read_bytes()
        arguments = ["image", str(line), f"--velocity={vp}", *STATED, "--force", f"--output={output}"]
        assert main(arguments) == 1
        assert "is read, and would be written over" in capsys.readouterr().err and output.read_bytes() == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--units=km/s"], "vp.npy, read as vp, is 2000 km/s in 3321 of 3321 cells, .*: perhaps vp in m/s"),
        (["--quantity=m"], "perhaps vp in m/s"),
        (["--spacing=5"], r"receiver \d+ of shot 0 is at \[410.0, 20.0\] m, outside the model: x 0 to 400 m"),
        (["--origin=100,0"], r"receiver 0 of shot 0 is at \[10.0, 20.0\] m, outside the model: x 100 to 900 m"),
        (["--spacing=10,10,10"], "spacing 10 x 10 x 10 m: .* has 2 axes: give 1 number, or 2"),
        (["--spacing=wide"], "--spacing must be a positive and finite number in m, got 'wide'"),
        (["--f0=-3"], "--f0 must be a positive and finite number in Hz, got -3.0"),
        (["--order=yz"], "use 'xz' or 'zx'"),
        (["--shots=9"], "shot 9 is out of range"),
        (["--shots=1:2:3:4"], "--shots takes numbers of shots"),
        (["--wavelet=nothing.npy"], "state one"),
        (["--velocity=missing.npy"], "missing.npy: no such file"),
        (["--density={folder}/vp.npy", "--density-units=g/cm3"], "perhaps rho in kg/m3"),
        (["--top-mute=900"], "leave nothing of a grid that ends at 400 m"),
        (["--mute=2"], "perhaps km/s"),
        (["--output={tmp}/image.jpg"], "unknown kind of file"),
        (["--output={tmp}/no/image.npy"], "there is no folder"),
        (["--start=0.1"], "records of shot 0 begin 0.1 s after it"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_work(folder, tmp_path, capsys, more, message):
    import re

    more = [one.format(folder=folder, tmp=tmp_path) for one in more]
    said = refused(capsys, folder, tmp_path, *more)
    assert said.startswith("seisops: ") and re.search(message, said), said


def test_what_files_say_of_their_grids_counts(folder, tmp_path, capsys):
    pytest.importorskip("zarr")
    write_model(tmp_path / "vp.zarr", GRID, np.load(folder / "vp.npy"), "vp", "m/s")
    velocity = [f"--velocity={tmp_path / 'vp.zarr'}"]
    said = refused(capsys, folder, tmp_path, *velocity, "--spacing=12.5")
    assert "spacing: 12.5 x 12.5 m is stated, and" in said and "says 10 x 10 m" in said
    other = so.Grid(GRID.shape, 12.5)
    write_model(tmp_path / "rho.zarr", other, np.full(GRID.shape, 1000.0), "rho", "kg/m3")
    said = refused(capsys, folder, tmp_path, *velocity, f"--density={tmp_path / 'rho.zarr'}")
    assert "they must be on the same grid" in said and "12.5 x 12.5 m in" in said
    np.save(tmp_path / "small.npy", np.full((80, 41), 1000.0))
    said = refused(capsys, folder, tmp_path, *velocity, f"--density={tmp_path / 'small.npy'}")
    assert "shape (80, 41)" in said and "(81, 41), both (x, z)" in said


def test_what_is_said_of_segy_is_not_said_of_zarr(folder, tmp_path, capsys):
    pytest.importorskip("zarr")
    so.Survey.from_segy(folder / "line.segy").to_zarr(tmp_path / "line.zarr")
    said = refused(
        capsys, tmp_path, tmp_path, "--datum=10", "--by=record", survey="line.zarr", velocity=folder / "vp.npy"
    )
    assert "by, datum: said of SEG-Y" in said


def test_map_coordinates_are_taken_to_a_line_when_asked(folder, tmp_path, capsys):
    survey = so.Survey.from_segy(folder / "line.segy")

    def mapped(points):
        return np.stack([0.8 * points[:, 0], 500.0 + 0.6 * points[:, 0], points[:, 1]], axis=1)

    so.Survey([shot.replace(mapped(shot.sources), mapped(shot.receivers)) for shot in survey]).to_segy(
        tmp_path / "map.segy"
    )
    said = refused(capsys, tmp_path, tmp_path, survey="map.segy", velocity=folder / "vp.npy")
    assert "coordinates x, y, z" in said and "project takes it to a line" in said
    # the first receiver, at 10 m, is where the line begins
    found = image(
        tmp_path, tmp_path / "a.npy", "--project", "--origin=-10,0", survey="map.segy", velocity=folder / "vp.npy"
    )
    expected = image(folder, tmp_path / "b.npy")
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)


def test_shots_may_have_time_axes_of_their_own(folder, tmp_path, capsys):
    shots = list(so.Survey.from_segy(folder / "line.segy"))
    shots[1] = shots[1].replace(time=so.Time(TIME.n, TIME.step, -0.1))
    so.Survey(shots).to_segy(tmp_path / "early.segy")
    plain = [s for s in STATED if "mute" not in s]
    for more in ((), ("--iterations=2",)):
        found = image(
            tmp_path,
            tmp_path / f"a{len(more)}.npy",
            *more,
            stated=plain,
            survey="early.segy",
            velocity=folder / "vp.npy",
        )
        expected = image(folder, tmp_path / f"b{len(more)}.npy", *more, stated=plain)
        assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)
    said = refused(capsys, tmp_path, tmp_path, survey="early.segy", velocity=folder / "vp.npy")
    assert "records begin at -0.1 to 0 s: state mute_delay" in said


def test_three_dimensions(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("segyio")
    grid, time = so.Grid((21, 17, 29), 20.0), so.Time(141, 0.005)
    vp = np.full(grid.shape, 2000.0)
    write_model(tmp_path / "vp.segy", grid, vp)
    vp[..., 20] = 2400.0
    receivers = [(x, y, 40.0) for x in grid.coordinates("x")[::2] for y in grid.coordinates("y")[::2]]
    survey = so.Survey.from_arrays([(200.0, 160.0, 40.0)], receivers, time)
    q = so.ricker(time, 12.0)[None, None]
    survey.with_data(survey.modeling(so.Acoustic(grid, vp=vp)) @ q).to_segy(tmp_path / "cube.segy")
    stated = ["--spacing=20", "--f0=12", "--mute=2000", "--top-mute=80", "--quiet"]
    found = image(tmp_path, tmp_path / "image.npy", stated=stated, survey="cube.segy", velocity="vp.segy")
    assert found.shape == grid.shape and (tmp_path / "image.png").stat().st_size > 1000
    assert abs(int(np.argmax(np.abs(found[10, 8]))) - 20) <= 1


def test_density_is_used(folder, tmp_path):
    rho = np.full(GRID.shape, 1.0)
    np.save(tmp_path / "rho.npy", rho)
    density = [f"--density={tmp_path / 'rho.npy'}", "--density-units=g/cm3"]
    plain, even = image(folder, tmp_path / "a.npy"), image(folder, tmp_path / "b.npy", *density)
    at = [int(np.argmax(np.abs(profile(i)))) for i in (plain, even)]
    assert at[0] == at[1]
    rho[:, 10:] = 2.0
    np.save(tmp_path / "rho.npy", rho)
    assert np.linalg.norm(image(folder, tmp_path / "c.npy", *density) - even) > 0.1 * np.linalg.norm(even)


def test_missing_matplotlib_is_told_before_the_work(folder, tmp_path, capsys, monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == "matplotlib" or n == "seisops.plot"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = refused(capsys, folder, tmp_path, stated=[s for s in STATED if s != "--no-figure"])
    assert '[plot]"' in said and "--no-figure" in said


def test_the_image_is_read_as_a_model_is(folder, tmp_path):
    pytest.importorskip("zarr")
    out = tmp_path / "image.zarr"
    arguments = ["image", folder / "line.segy", "--velocity", folder / "vp.npy", *STATED, "--output", out]
    assert main(list(map(str, arguments))) == 0
    with pytest.raises(so.ParameterError, match="not positive"):
        read_model(out)
