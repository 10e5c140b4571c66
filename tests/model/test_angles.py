"""Angle gathers: what a slant stack sums, and that reflections are at the angles at which rays meet the reflector."""

from __future__ import annotations

import numpy as np
import pytest

import seisops as so
from seisops.check import dot_test
from seisops.errors import ParameterError
from seisops.model import AngleGathers, TopMute
from seisops.spaces import Axis, Space

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")

ANGLES = np.radians([-50.0, -20.0, 0.0, 33.0])


def lagged(*lags: Axis, dtype: str = "float64") -> Space:
    return Space("perturbation", [*lags, Axis("x", 5, 12.5, 0.0), Axis("z", 31, 5.0, 100.0)], dtype)


def test_it_sums_along_lines_by_linear_interpolation():
    """Against NumPy's interpolation, trace by trace."""
    space = lagged(Axis("lag_x", 7, 12.5, -25.0))
    image = space.random(1)
    gathers = AngleGathers(space, ANGLES) @ image
    z, h = 5.0 * np.arange(31), -25.0 + 12.5 * np.arange(7)
    padded = np.concatenate([[-5.0], z, [155.0]])  # zero one node beyond either end
    for i, angle in enumerate(ANGLES):
        for x in range(5):
            expected = sum(
                np.interp(z + one * np.tan(angle), padded, np.pad(image[n, x], 1), left=0.0, right=0.0)
                for n, one in enumerate(h)
            )
            assert np.allclose(gathers[i, x], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_of_lags_along_two_axes_one_is_stacked(axis):
    space = lagged(Axis("lag_x", 3, 5.0, -5.0), Axis("lag_y", 4, 5.0, -5.0))
    op = AngleGathers(space, ANGLES, axis=axis)
    assert dot_test(op) < 1e-12
    image, other = space.random(2), {"x": 1, "y": 0}[axis]
    one = AngleGathers(lagged(space.axes[1 - other]), ANGLES)
    expected = np.stack([one @ part for part in np.moveaxis(image, other, 0)], axis=other)
    assert np.array_equal(op @ image, expected)


def test_its_range_has_angles():
    op = AngleGathers(lagged(Axis("lag_x", 3, 5.0, -5.0), dtype="float32"), np.radians(range(-60, 61, 20)))
    angle, *model = op.range.axes
    assert (angle.name, angle.size) == ("angle", 7)
    assert (angle.step, angle.origin) == pytest.approx((np.radians(20), np.radians(-60)))
    assert [axis.name for axis in model] == ["x", "z"]
    assert (op @ op.domain.random(1)).dtype == np.float32
    assert AngleGathers(op.domain, [0.0, 0.1, 0.5]).range.axes[0].step is None


def test_a_flat_reflector_is_at_the_angle_of_the_ray():
    """A shot to the left of what it illuminates: half the opening angle is that of the ray to the reflector."""
    grid, time = so.Grid((161, 81), 10.0), so.Time(401, 0.003)
    waves = so.Wavefield(grid, time, 1)
    A = so.Modeling(waves, so.Acoustic(grid, vp=2000.0))
    source, depth = 300.0, 500.0
    F = so.Projection(waves, [(x, 50.0) for x in grid.coordinates("x")]) * A * so.Projection(waves, [[source, 50.0]]).H
    q = so.ricker(time, 15.0)[None, None]
    reflector = np.zeros(grid.shape)
    reflector[:, 50] = 1e-8
    J = so.Jacobian(F, q, lags={"x": range(-15, 16)})
    degrees = np.arange(-60, 61, 2)
    gathers = AngleGathers(J, np.radians(degrees)) * J.H @ (so.Jacobian(F, q) @ reflector)
    for x in (450.0, 600.0, 750.0):
        found = degrees[(gathers[:, int(x / 10), 46:55] ** 2).sum(axis=1).argmax()]
        assert abs(found - np.degrees(np.arctan((x - source) / (depth - 50.0)))) < 2.5


def test_other_operators_take_images_with_lags():
    space = lagged(Axis("lag_x", 3, 12.5, -12.5))
    muted = TopMute(space, 150.0) @ np.ones(space.shape)
    assert not muted[:, :, :10].any() and (muted[:, :, -1] == 1).all()


@pytest.mark.parametrize(
    ("lags", "options", "says"),
    [
        ([], {}, "has no lags"),
        ([Axis("lag_x", 3, 5.0, -5.0)], {"axis": "y"}, "has lags along x"),
        ([Axis("lag_x", 3, 5.0, -5.0), Axis("lag_y", 3, 5.0, -5.0)], {}, "has lags along x, y"),
        ([Axis("lag_x", 3, 5.0, -5.0)], {"angles": [-60, 0, 60]}, "angles in radians"),
        ([Axis("lag_x", 3, 5.0, -5.0)], {"angles": []}, "angles in radians"),
        ([Axis("lag_x", 3, 5.0, -5.0)], {"angles": [np.nan]}, "angles in radians"),
        ([Axis("lag_x", 3, 5.0, -5.0)], {"angles": "steep"}, "angles in radians"),
    ],
    ids=str,
)
def test_what_makes_no_sense(lags, options, says):
    with pytest.raises(ParameterError, match=says):
        AngleGathers(lagged(*lags), **{"angles": ANGLES, **options})
