"""Figures: what is drawn is what was given, where it was given."""

from __future__ import annotations

import numpy as np
import pytest

import seisops as so

plot = pytest.importorskip("seisops.plot")

GRID = so.Grid(shape=(7, 5), spacing=(10.0, 20.0), origin=(100.0, 0.0))
VALUES = np.arange(35.0).reshape(7, 5)


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
        lambda: plot.image(so.Grid((3, 3, 3), 1.0), np.zeros((3, 3, 3))),
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
