"""Figures: what is drawn is what was given, where it was given."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import seisops as so

plot = pytest.importorskip("seisops.plot")

GRID = so.Grid(shape=(7, 5), spacing=(10.0, 20.0), origin=(100.0, 0.0))
VALUES = np.arange(35.0).reshape(7, 5)
CUBE = so.Grid(shape=(4, 5, 3), spacing=(10.0, 20.0, 30.0), origin=(0.0, 100.0, 0.0))
TIME = so.Time(n=11, step=0.1)


def bars(axes) -> list[str]:
    """The labels of the colour bars that stand beside axes."""
    return [child.get_ylabel() for ax in axes for child in ax.child_axes if child.get_label() == "bar"]


def sliced(ax) -> dict:
    """The axes of slices by their names."""
    return {child.get_label(): child for child in ax.child_axes if child.get_label() in ("xy", "xz", "yz")}


def places(ax, name: str) -> np.ndarray:
    """Where points of a name are drawn."""
    (line,) = (line for line in ax.lines if line.get_label() == name)
    return np.column_stack(line.get_data())


def test_a_model_lies_in_its_extent_with_depth_downwards():
    ax = plot.model(GRID, VALUES, "title", limits=(0.0, 10.0))
    (shown,) = ax.images
    assert np.array_equal(shown.get_array(), VALUES.T)
    assert shown.get_extent() == [100.0, 160.0, 80.0, 0.0]
    assert shown.get_clim() == (0.0, 10.0)
    assert ax.get_title() == "title"


def test_an_image_has_grey_for_zero():
    (shown,) = plot.image(GRID, VALUES - 5.0, clip=100.0).images
    assert shown.get_clim() == (-29.0, 29.0)
    (blank,) = plot.image(GRID, np.zeros(GRID.shape)).images
    assert blank.get_clim() == (-1.0, 1.0)


def test_a_record_has_time_downwards():
    time = so.Time(n=11, step=0.1)
    (shown,) = plot.record(time, np.ones((3, 11)), positions=[0.0, 5.0, 10.0]).images
    assert shown.get_extent() == [0.0, 10.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("positions", "ends", "label"),
    [
        ([(0.0, 7.0), (5.0, 7.0), (10.0, 8.0)], [0.0, 10.0], "x (m)"),
        ([(3.0, 20.0), (3.0, 40.0), (3.0, 60.0)], [20.0, 60.0], "z (m)"),
        ([(0.0, 9.0, 1.0), (0.0, 6.0, 1.0), (0.0, 3.0, 1.0)], [9.0, 3.0], "y (m)"),
        (None, [0, 2], "receiver"),
    ],
)
def test_a_record_lies_along_the_axis_on_which_its_receivers_do(positions, ends, label):
    ax = plot.record(so.Time(n=11, step=0.1), np.ones((3, 11)), positions)
    assert ax.images[0].get_extent()[:2] == ends and ax.get_xlabel() == label


def test_figures_are_drawn_without_pyplot_and_written(tmp_path):
    ax = plot.curves({"a": [3.0, 2.0, 1.0]}, title="t")
    ax.figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert plot.curves({"b": [1.0]}, ax=ax) is ax


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot.model(GRID, VALUES.T),
        lambda: plot.image(CUBE, np.zeros((4, 3))),
        lambda: plot.record(so.Time(n=11, step=0.1), np.ones((11, 3))),
        lambda: plot.record(so.Time(n=11, step=0.1), np.ones((2, 3, 11))),
        lambda: plot.record(so.Time(n=11, step=0.1), np.ones((3, 11)), np.ones((2, 3, 2))),
        lambda: plot.record(so.Time(n=11, step=0.1), np.ones((3, 11)), [1.0, 2.0]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(draw):
    with pytest.raises(so.SpaceError, match="shape"):
        draw()


def test_arguments_in_the_wrong_order_are_refused():
    with pytest.raises(so.ParameterError, match="needs a Time first, then traces, got ndarray"):
        plot.record(np.ones((3, 11)), so.Time(n=11, step=0.1))
    for draw in (plot.model, plot.image):
        with pytest.raises(so.ParameterError, match="a Grid first, then an array on it, got ndarray"):
            draw(VALUES, GRID)


# ---- arrays on grids


def test_a_medium_names_its_parameters_and_their_units():
    medium = so.Acoustic(GRID, vp=2000.0 + VALUES, rho=1000.0)
    ax = plot.model(medium, "vp")
    assert np.allclose(ax.images[0].get_array(), 2000.0 + VALUES.T) and bars([ax]) == ["vp (m/s)"]
    assert bars([plot.model(medium, VALUES, label="rho")]) == ["rho (kg/m3)"]
    assert bars([plot.model(GRID, VALUES)]) == ["velocity (m/s)"]
    assert bars([plot.image(medium, VALUES, label="m")]) == ["m (s2/m2)"]
    assert bars([plot.image(GRID, VALUES, label="vp")]) == ["vp"]


def test_all_that_a_medium_is_given_by_is_drawn():
    axes = plot.medium(so.Acoustic(GRID, m=(2000.0 + VALUES) ** -2, rho=1000.0))
    assert [ax.get_title() for ax in axes] == ["vp", "rho = 1000 kg/m3"] and bars(axes) == ["vp (m/s)"]
    assert axes[0].images[0].get_clim() == pytest.approx((2000.0, 2034.0))
    (only,) = plot.medium(so.Acoustic(GRID, vp=2000.0 + VALUES), ["m"])
    assert np.allclose(only.images[0].get_array(), (2000.0 + VALUES.T) ** -2)
    tti = plot.medium(so.TTI(GRID, 2000.0 + VALUES, epsilon=VALUES / 200, theta=VALUES / 100))
    assert bars(tti) == ["vp (m/s)", "epsilon", "theta (rad)"]


@pytest.mark.parametrize("at", [None, (12.0, 161.0, 59.0)])
def test_three_dimensions_are_three_slices_through_a_point(at):
    values = np.arange(60.0).reshape(CUBE.shape)
    i, j, k = (2, 2, 1) if at is None else (1, 3, 2)
    ax = plot.model(CUBE, values, "cube", at=at)
    slices = sliced(ax)
    wanted = {"xy": values[:, :, k].T, "xz": values[:, j].T, "yz": values[i].T}
    ends = {"xy": [0.0, 30.0, 100.0, 180.0], "xz": [0.0, 30.0, 60.0, 0.0], "yz": [100.0, 180.0, 60.0, 0.0]}
    for name, array in wanted.items():
        (shown,) = slices[name].images
        assert np.array_equal(shown.get_array(), array), name
        assert shown.get_extent() == ends[name] and shown.get_clim() == (0.0, 59.0), name
    assert slices["xy"].texts[0].get_text() == f"z = {30 * k} m" and ax.get_title() == "cube"
    assert bars([ax]) == ["velocity (m/s)"]


def test_slices_are_drawn_to_one_scale(tmp_path):
    ax = plot.model(CUBE, np.zeros(CUBE.shape))
    ax.figure.savefig(tmp_path / "cube.png")
    scales = []
    for child in sliced(ax).values():
        box = child.get_window_extent()
        scales += [box.width / np.ptp(child.get_xlim()), box.height / np.ptp(child.get_ylim())]
    assert np.allclose(scales, scales[0], rtol=1e-6)


def test_panels_share_colours_and_axes_and_have_one_bar_in_a_row():
    axes = plot.panels(GRID, {"true": VALUES, "start": VALUES / 2, "found": VALUES + 1, "more": VALUES}, columns=3)
    assert [ax.get_title() for ax in axes] == ["true", "start", "found", "more"]
    assert {ax.images[0].get_clim() for ax in axes} == {(0.0, 35.0)}
    assert [len(bars([ax])) for ax in axes] == [0, 0, 1, 1]
    axes[0].figure.canvas.draw()
    assert len({round(ax.get_position().width, 6) for ax in axes}) == 1
    assert len({round(ax.get_position().height, 6) for ax in axes}) == 1
    axes[0].set_xlim(110.0, 130.0)
    assert axes[3].get_xlim() == (110.0, 130.0)


def test_panels_take_limits_a_percentile_and_axes_of_others():
    assert plot.panels(GRID, {"a": VALUES}, limits=(1.0, 2.0))[0].images[0].get_clim() == (1.0, 2.0)
    both = plot.panels(GRID, {"a": VALUES, "b": -3 * VALUES}, clip=100.0, cmap="gray")
    assert {ax.images[0].get_clim() for ax in both} == {(-102.0, 102.0)}
    mine = [plot.curves({"a": [1.0]}), plot.curves({"a": [1.0]})]
    assert plot.panels(GRID, {"a": VALUES, "b": VALUES}, axes=mine) == mine


def test_what_is_not_a_number_is_left_blank():
    holes = np.where(VALUES < 5, np.nan, VALUES)
    assert plot.model(GRID, holes).images[0].get_clim() == (5.0, 34.0)
    assert plot.image(GRID, holes, clip=100.0).images[0].get_clim() == (-34.0, 34.0)
    assert plot.model(GRID, np.full(GRID.shape, np.nan)).images[0].get_clim() == (0.0, 1.0)


#: What is masked, by functions of an array on the grid.
MASKED = {
    "model": lambda a: plot.model(GRID, a).images[0],
    "image": lambda a: plot.image(GRID, a, clip=100.0).images[0],
    "panels": lambda a: plot.panels(GRID, {"a": a})[0].images[0],
    "record": lambda a: plot.record(so.Time(n=5, step=0.1), a, clip=100.0).images[0],
    "gathers": lambda a: plot.gathers(GRID, np.ma.stack([a, a]), [0.0, 1.0], at=[130.0], clip=100.0)[0].images[0],
    "movie": lambda a: plot.movie(GRID, a[None], [0.0], clip=100.0).ax.images[0],
}


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_what_is_masked_is_left_blank_and_has_no_colours(name, dtype):
    junk = np.ma.masked_greater(np.where(VALUES == 17.0, 1e6, VALUES).astype(dtype), 1000)
    drawn, (low, high) = MASKED[name](junk), MASKED[name](junk).get_clim()
    assert np.ma.count_masked(drawn.get_array()) == (2 if name == "gathers" else 1)
    assert low >= -34.0 and high <= 34.0
    assert junk.mask.sum() == 1 and junk.data.max() == 1e6  # what was given stays


@pytest.mark.parametrize("huge", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("name", MASKED)
def test_colours_are_those_of_finite_values(name, huge):
    ends = MASKED[name](np.where(VALUES == 17.0, huge, VALUES)).get_clim()
    assert np.isfinite(ends).all() and ends == MASKED[name](np.ma.masked_equal(VALUES, 17.0)).get_clim()


def test_truth_values_and_integers_are_numbers():
    assert plot.image(GRID, VALUES > 17.0).images[0].get_clim() == (-1.0, 1.0)
    assert plot.model(GRID, VALUES > 17.0).images[0].get_clim() == (0.0, 1.0)
    assert plot.panels(GRID, {"a": VALUES > 17.0}, clip=99.0)[0].images[0].get_clim() == (-1.0, 1.0)
    small = np.ones((3, 11), np.uint8)
    last = plot.records(TIME, {"a": 2 * small, "b": small})[-1]
    assert np.all(last.images[0].get_array() == -1.0)


def test_curves_take_what_gives_numbers():
    masked = np.ma.masked_equal([3.0, 2.0, 1.0], 2.0)
    ax = plot.curves({"iterator": iter([3.0, 2.0]), "tuple": (1, 2), "masked": masked, "none yet": []})
    assert np.array_equal(ax.lines[0].get_ydata(), [3.0, 2.0]) and np.array_equal(ax.lines[0].get_xdata(), [0, 1])
    assert np.isnan(ax.lines[2].get_ydata()).tolist() == [False, True, False]


def test_spectra_of_what_is_not_finite_are_left_blank():
    some = {"whole": np.sin(TIME.samples), "broken": np.full(11, np.nan)}
    ax = plot.spectrum(TIME, some, decibels=True)
    assert np.isfinite(ax.lines[0].get_ydata()).all() and not np.isfinite(ax.lines[1].get_ydata()).any()


# ---- traces


def test_traces_stand_where_their_receivers_do():
    traces = np.random.default_rng(0).standard_normal((3, 11))
    ax = plot.record(TIME, traces, positions=[0.0, 10.0, 40.0])
    assert not ax.images and ax.get_ylim() == (1.0, 0.0)
    (mesh,) = ax.collections
    assert np.array_equal(mesh.get_array(), traces.T)
    assert np.allclose(mesh.get_coordinates()[0, :, 0], [-5.0, 5.0, 25.0, 55.0])


def test_wiggles_reach_the_next_trace_at_the_clip_and_are_filled_to_the_right():
    traces = np.zeros((3, 11))
    traces[1, 4], traces[1, 7], traces[2, 2] = 2.0, -1.0, 8.0
    ax = plot.record(TIME, traces, [0.0, 10.0, 20.0], style="wiggle", limits=(-2.0, 2.0))
    (line,) = ax.lines
    x, t = (np.asarray(a).reshape(3, 12) for a in line.get_data())
    assert np.allclose(x[1, :11], 10.0 + 5.0 * traces[1]) and np.allclose(t[1, :11], TIME.samples)
    assert np.isnan(x[:, 11]).all() and x[2, 2] == 30.0
    filled = np.concatenate([path.vertices for path in ax.collections[0].get_paths()])
    assert filled[:, 0].min() >= 10.0 and ax.get_ylim() == (1.0, 0.0)


def test_gain_is_that_of_the_operator():
    traces = np.random.default_rng(1).standard_normal((2, 11))
    waves = so.Wavefield(GRID, TIME)
    expected = so.data.Gain(waves.traces([2]), power=1.5) @ traces[None]
    shown = plot.record(TIME, traces, gain=1.5).images[0].get_array()
    assert np.allclose(shown, expected[0].T, rtol=1e-5)


def test_records_share_the_shades_of_the_first_and_end_with_the_difference():
    rng = np.random.default_rng(2)
    d, p = rng.standard_normal((2, 3, 11))
    axes = plot.records(TIME, {"observed": d, "modelled": p}, clip=100.0)
    assert [ax.get_title() for ax in axes] == ["observed", "modelled", "difference"]
    for ax, wanted in zip(axes, (d, p, p - d), strict=True):
        assert np.allclose(ax.images[0].get_array(), wanted.T)
        assert ax.images[0].get_clim() == (-np.abs(d).max(), np.abs(d).max())
    assert len(plot.records(TIME, {"a": d, "b": p}, difference=False)) == 2
    assert len(plot.records(TIME, {"a": d, "b": p, "c": p})) == 3


def test_traces_of_one_receiver_lie_over_one_another():
    d = np.random.default_rng(3).standard_normal((4, 11))
    ax = plot.traces(TIME, {"observed": d, "modelled": d[2]}, receiver=2)
    for line in ax.lines:
        assert np.array_equal(line.get_xdata(), TIME.samples) and np.array_equal(line.get_ydata(), d[2])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["observed", "modelled"]


def test_the_spectrum_of_a_wavelet_is_that_of_its_formula():
    f0, time = 10.0, so.Time(n=251, step=0.004, start=-0.2)
    wavelet = so.ricker(time, f0, delay=0.3)
    ax = plot.spectrum(time, wavelet, phase=True, origin=0.3)
    f, a = ax.lines[0].get_data()
    formula = 2 / np.sqrt(np.pi) * f**2 / f0**3 * np.exp(-((f / f0) ** 2))
    assert np.allclose(a, formula, atol=1e-6 * formula.max())
    beside = next(other for other in ax.figure.axes if other is not ax)
    seen = beside.lines[0].get_ydata()
    assert np.nanmax(np.abs(seen)) < 0.1 and np.isfinite(seen).sum() > 30
    assert formula[f > ax.get_xlim()[1]].max() < 1.01e-3 * formula.max()


def test_a_delay_turns_the_phase():
    time = so.Time(n=251, step=0.004)
    wavelet = so.ricker(time, 10.0, delay=0.3)
    ax = plot.spectrum(time, wavelet, phase=True, origin=0.29)
    f = ax.lines[0].get_xdata()
    phase = ax.figure.axes[1].lines[0].get_ydata()
    known = np.isfinite(phase)
    assert np.allclose(phase[known], -360.0 * f[known] * 0.01, atol=0.1)


def test_spectra_of_traces_are_their_root_mean_square_and_may_be_in_decibels():
    traces = np.random.default_rng(4).standard_normal((3, 11))
    ax = plot.spectrum(TIME, {"noise": traces, "louder": 10 * traces}, decibels=True)
    a, b = (line.get_ydata() for line in ax.lines)
    assert b.max() == 0.0 and np.allclose(a, np.maximum(b - 20.0, -60.0), atol=1e-9)
    energy = 0.1 * np.sqrt(np.mean(np.abs(np.fft.rfft(traces, 22)) ** 2, axis=0))
    assert np.allclose(plot.spectrum(TIME, traces).lines[0].get_ydata(), energy)


def test_curves_may_be_logarithmic():
    ax = plot.curves({"a": [3.0, 2.0, 1.0, 0.5]}, log=True)
    assert ax.get_yscale() == "log"
    assert all(tick == round(tick) for tick in ax.get_xticks())


# ---- where points are

WAVES = so.Wavefield(so.Grid((21, 11), 10.0), TIME, shots=2)
SOURCES = [[(20.0, 10.0)], [(100.0, 10.0)]]
RECEIVERS = [(x, 20.0) for x in (0.0, 50.0, 150.0)]


def modeling(waves=WAVES, sources=SOURCES, receivers=RECEIVERS):
    vp = 1500.0 + 5.0 * np.arange(waves.grid.size).reshape(waves.grid.shape)
    Ainv = so.Modeling(waves, so.Acoustic(waves.grid, vp=vp))
    return so.Projection(waves, receivers) * Ainv * so.Projection(waves, sources).H


def surveyed():
    return so.Survey.from_arrays(SOURCES, RECEIVERS, TIME)


def driven(F):
    return np.ones(F.domain.shape, "f4")


#: What knows where its points are, made of a modeling operator.
EXPRESSIONS = {
    "F": lambda F: F,
    "fused": so.fuse,
    "F.H": lambda F: F.H,
    "weighted": lambda F: so.data.Gain(F) * (2.0 * F),
    "stack": lambda F: so.VStack([F, so.Snapshots(WAVES, 0.5) * F.children[1] * F.children[2]]),
    "J": lambda F: so.Jacobian(F, driven(F)),
    "J.H": lambda F: so.Jacobian(F, driven(F)).H,
    "map": so.Parametric,
    "composed": lambda F: so.maps.LinearMap(so.data.Gain(F)) @ so.Parametric(F),
    "survey": lambda F: surveyed(),
    "windows": lambda F: surveyed().modeling(so.Acoustic(WAVES.grid, vp=1500.0)),
    "sum": lambda F: F + 0.5 * F,
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_says_where_its_points_are(name):
    ax = plot.geometry(EXPRESSIONS[name](modeling()))
    assert np.array_equal(places(ax, "sources"), [(20.0, 10.0), (100.0, 10.0)])
    assert np.array_equal(places(ax, "receivers"), RECEIVERS)
    assert bool(ax.images) == (name != "survey")
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_geometry_lies_over_the_medium_or_over_what_is_there():
    F = modeling()
    ax = plot.geometry(F, title="t", shot=1)
    assert (
        bars([ax]) == ["vp (m/s)"] and ax.images[0].get_extent() == [0.0, 200.0, 100.0, 0.0] and ax.get_title() == "t"
    )
    assert np.array_equal(places(ax, "sources"), [(100.0, 10.0)])
    mine = plot.image(WAVES.grid, np.zeros(WAVES.grid.shape))
    assert plot.geometry(F, ax=mine) is mine and len(mine.images) == 1 and mine.get_xlim() == (0.0, 200.0)
    survey = surveyed()
    over = plot.geometry(survey, over=F.children[1].medium, parameter="m")
    assert bars([over]) == ["m (s2/m2)"] and len(places(over, "receivers")) == 3


def test_a_shot_that_there_is_not_is_refused():
    with pytest.raises(so.SelectionError, match="shot 2 is out of range: a geometry of 2 shots"):
        plot.geometry(modeling(), shot=2)


def test_sources_or_receivers_alone_and_coordinates_are_drawn():
    Pr, Ps = F_ends()
    assert np.array_equal(places(plot.geometry(Pr), "receivers"), RECEIVERS)
    assert np.array_equal(places(plot.geometry(Ps.H), "sources"), [(20.0, 10.0), (100.0, 10.0)])
    ax = plot.geometry([(20.0, 10.0)], RECEIVERS)
    assert len(places(ax, "sources")) == 1 and len(places(ax, "receivers")) == 3
    extended = Pr * modeling().children[1] * so.Wavelet(WAVES, np.ones(11)).H
    assert [line.get_label() for line in plot.geometry(extended).lines] == ["receivers"]


def F_ends():
    return so.Projection(WAVES, RECEIVERS), so.Projection(WAVES, SOURCES)


def test_in_three_dimensions_points_are_projected_to_all_slices():
    waves = so.Wavefield(so.Grid((11, 9, 7), 10.0), TIME)
    F = modeling(waves, [(20.0, 30.0, 10.0)], [(50.0, 40.0, 0.0), (60.0, 50.0, 5.0)])
    ax = plot.geometry(F)
    for name, child in sliced(ax).items():
        columns = ["xyz".index(axis) for axis in name]
        assert np.array_equal(places(child, "sources"), np.array([(20.0, 30.0, 10.0)])[:, columns])
        assert len(places(child, "receivers")) == 2
    flat = plot.geometry([(20.0, 30.0, 10.0)])
    assert np.array_equal(places(flat, "sources"), [(20.0, 30.0)]) and flat.get_ylabel() == "y (m)"
    again = plot.geometry(F, ax=plot.model(waves.grid, np.zeros(waves.grid.shape)))
    assert len(places(sliced(again)["xy"], "sources")) == 1


# ---- gathers and movies


def test_gathers_are_columns_of_the_images():
    images = np.random.default_rng(5).standard_normal((3, *GRID.shape))
    axes = plot.gathers(GRID, images, [0.0, 10.0, 20.0], at=[110.0, 150.0], clip=100.0)
    high = np.abs(images[:, [1, 5]]).max()
    for ax, i in zip(axes, (1, 5), strict=True):
        (shown,) = ax.images
        assert np.array_equal(shown.get_array(), images[:, i].T) and shown.get_clim() == (-high, high)
        assert shown.get_extent() == [0.0, 20.0, 80.0, 0.0] and ax.get_title() == f"x = {100 + 10 * i} m"
    assert axes[1].get_xlabel() == "angle (degrees)"
    cube = np.random.default_rng(6).standard_normal((2, *CUBE.shape))
    (one,) = plot.gathers(CUBE, cube, [0.0, 1.0], at=[(10.0, 140.0)], label="lag (s)")
    assert np.array_equal(one.images[0].get_array(), cube[:, 1, 2].T) and one.get_title() == "x = 10 m, y = 140 m"
    assert len(plot.gathers(GRID, images, [0.0, 1.0, 2.0])) == 5


def test_a_movie_shows_all_snapshots_over_the_medium(tmp_path):
    from PIL import Image

    snapshots = np.random.default_rng(7).standard_normal((4, *GRID.shape))
    path = tmp_path / "waves.gif"
    made = plot.movie(so.Acoustic(GRID, vp=2000.0 + VALUES), snapshots, [0.1, 0.2, 0.3, 0.4], path, clip=100.0)
    beneath, waves = made.ax.images
    high = np.abs(snapshots).max()
    assert np.allclose(beneath.get_array(), 2000.0 + VALUES.T) and waves.get_clim() == (-high, high)
    made.show(2)
    assert np.array_equal(waves.get_array(), snapshots[2].T) and made.ax.get_title() == "0.300 s"
    with Image.open(path) as gif:
        assert gif.n_frames == 4
    html = made._repr_html_()
    assert html.count("data:image/png;base64") >= 4
    made.save(tmp_path / "waves.html")
    assert (tmp_path / "waves.html").stat().st_size > 10_000


def test_a_movie_of_what_is_not_a_number_shows_the_medium(tmp_path):
    snapshots = np.full((2, 7, 5), np.nan)
    snapshots[1, 3, 2] = 2.0
    made = plot.movie(so.Acoustic(GRID, 2000.0), snapshots, [0.0, 1.0], tmp_path / "a.gif")
    opacity = made.show(1)[0].get_alpha()
    assert opacity.sum() == opacity[2, 3] == 1.0
    assert plot.movie(so.Acoustic(GRID, 2000.0), snapshots[:1], [0.0]).show(0)[0].get_alpha().max() == 0.0


def test_a_movie_of_three_dimensions_moves_all_slices():
    snapshots = np.random.default_rng(8).standard_normal((2, *CUBE.shape))
    made = plot.movie(CUBE, snapshots, [0.0, 1.0], over=np.zeros(CUBE.shape))
    made.show(1)
    shown = {name: child.images[-1].get_array() for name, child in sliced(made.ax).items()}
    assert np.array_equal(shown["xz"], snapshots[1][:, 2].T) and np.array_equal(shown["xy"], snapshots[1][:, :, 1].T)


def test_one_function_draws_what_says_what_it_is():
    assert [ax.get_title() for ax in plot.draw(so.Acoustic(GRID, vp=2000.0 + VALUES))] == ["vp"]
    assert len(places(plot.draw(modeling()), "sources")) == 2
    survey = surveyed()
    assert len(places(plot.draw(survey), "receivers")) == 3
    assert len(places(plot.draw(survey[0]), "sources")) == 1
    with_data = survey.with_data(np.ones((2, 3, 11)))
    assert np.array_equal(plot.draw(with_data[1]).collections[0].get_array(), np.ones((11, 3)))
    with pytest.raises(so.ParameterError, match="no one picture of a ndarray"):
        plot.draw(VALUES)


# ---- refused


@pytest.mark.parametrize(
    ("draw", "match"),
    [
        (lambda: plot.panels(GRID, {"a": VALUES, "b": VALUES.T}), r"'b' of shape \(5, 7\) \(transposed"),
        (lambda: plot.model(CUBE, np.zeros(CUBE.shape), at=(0.0, 0.0, 0.0)), r"at=\(0.0, 0.0, 0.0\).*within x 0 to 30"),
        (lambda: plot.records(TIME, {"a": np.ones((3, 11)), "b": np.ones((2, 11))}), r"not \(2, 11\) and \(3, 11\)"),
        (lambda: plot.record(TIME, np.ones((3, 11)), [0.0, 5.0, 5.0]), "not in order along x, .* 1 of 2 steps"),
        (lambda: plot.record(TIME, np.ones((0, 11))), "traces of shape"),
        (lambda: plot.traces(TIME, {"a": np.ones((3, 11))}), "say which receiver"),
        (lambda: plot.traces(TIME, {"a": np.ones((3, 11))}, receiver=3), "no receiver 3: there are 0 to 2"),
        (lambda: plot.spectrum(TIME, np.ones(7)), r"\(7,\) are not \(..., 11\)"),
        (lambda: plot.gathers(GRID, np.ones((3, 7, 5)), [0.0, 1.0]), "cannot be drawn"),
        (lambda: plot.gathers(GRID, np.ones((3, 7, 5)), [0.0, 1.0, 5.0]), "evenly spaced"),
        (lambda: plot.gathers(GRID, np.ones((2, 7, 5)), [0.0, 1.0], at=[0.0]), r"at=\[0.0\] m lies outside"),
        (lambda: plot.gathers(GRID, np.ones((2, 7, 5)), [0.0, 1.0], at=[[1.0, 2.0]]), "names no places: give x"),
        (lambda: plot.movie(GRID, np.ones((1, 3, 7, 5)), np.ones(3)), r"for one of the shots, u\[0\]"),
        (lambda: plot.movie(GRID, np.ones((3, 7, 5)), np.ones(2)), "snapshots of shape"),
        (lambda: plot.movie(GRID, np.ones((3, 7, 5)), np.ones(3), over=np.ones((5, 7))), "over of shape"),
    ],
)
def test_what_does_not_lie_there_is_refused(draw, match):
    with pytest.raises(so.SpaceError, match=match):
        draw()


@pytest.mark.parametrize(
    ("draw", "match"),
    [
        (lambda: plot.model(GRID, "vp"), "names of parameters are known of a medium"),
        (lambda: plot.model(so.Acoustic(GRID, 2000.0), "vs"), "no parameter 'vs'"),
        (lambda: plot.model(GRID, 1j * VALUES), "complex128, not real numbers: take its real part"),
        (lambda: plot.model(GRID, VALUES, limits=(2.0, 1.0)), r"limits=\(2.0, 1.0\)"),
        (lambda: plot.model(GRID, VALUES, ax="here"), "give axes of matplotlib"),
        (lambda: plot.image(GRID, VALUES, clip=0.0), "clip=0.0: give a percentile"),
        (lambda: plot.panels(GRID, [VALUES]), "panels takes arrays by name"),
        (lambda: plot.panels(GRID, {"a": VALUES}, limits=(0.0, 1.0), clip=99.0), "not both"),
        (lambda: plot.panels(GRID, {"a": VALUES}, axes=[]), "1 axes of matplotlib are needed, got 0"),
        (lambda: plot.panels(GRID, {"a": VALUES}, columns=0), "columns must be an integer"),
        (lambda: plot.medium(GRID), "needs a medium"),
        (lambda: plot.record(TIME, np.ones((3, 11)), style="colour"), "use 'density' or 'wiggle'"),
        (lambda: plot.record(TIME, np.ones((3, 11)), gain=-1.0), "gain=-1.0"),
        (lambda: plot.records(np.ones(11), {"a": np.ones((3, 11))}), "records needs a Time first"),
        (lambda: plot.spectrum(TIME, np.ones((2, 11)), phase=True), "the phase is that of one trace"),
        (lambda: plot.curves({}), "curves takes series of numbers by name"),
        (lambda: plot.geometry(so.Snapshots(WAVES, 0.5)), "does not say where sources or receivers are"),
        (lambda: plot.geometry([(0.0, 1.0)], [(0.0, 1.0, 2.0)]), "2 coordinates and receivers 3"),
        (lambda: plot.geometry(3), "sources"),
        (lambda: plot.movie(GRID, np.ones((3, 7, 5)), np.ones(3), "a.mp4"), "must end in .gif or .html"),
        (lambda: plot.movie(GRID, np.ones((3, 7, 5)), np.ones(3), "not/there/a.gif"), "there is no folder not.there"),
        (lambda: plot.curves({"a": 5}), r"'a' of shape \(\) is no series: give one number after another"),
        (lambda: plot.curves({"a": "text"}), "'a' holds"),
        (lambda: plot.curves({"a": [[1.0, 2.0]]}), r"'a' of shape \(1, 2\) is no series"),
        (lambda: plot.model(GRID, VALUES, limits=(0.0, np.inf)), "limits="),
    ],
)
def test_what_cannot_be_meant_is_refused(draw, match):
    with pytest.raises(so.ParameterError, match=match):
        draw()


# ---- the page


def test_the_page_has_a_picture_and_a_word_of_every_function(root, monkeypatch):
    page = (root / "docs" / "plotting.rst").read_text(encoding="utf-8")
    for name in plot.__all__:
        assert f"seisops.plot.{name}`" in page, f"docs/plotting.rst says nothing of {name}"
    monkeypatch.syspath_prepend(root / "docs" / "figures")
    import plotting

    drawn = {f"plot-{make.__name__}" for make in plotting.FIGURES}
    shown = {Path(path).stem for path in re.findall(r"^\.\. figure:: (\S+)$", page, re.MULTILINE)}
    assert drawn == shown == {path.stem for path in (root / "docs" / "figures").glob("plot-*")}
