import pickle

import numpy as np
import pytest

from seisops.errors import ParameterError
from seisops.wave.grid import Grid


def test_two_dimensions():
    grid = Grid((401, 201), 10.0)
    assert grid.ndim == 2 and grid.axes == ("x", "z") and grid.size == 401 * 201
    assert grid.spacing == (10.0, 10.0) and grid.origin == (0.0, 0.0)
    assert grid.extent == ((0.0, 4000.0), (0.0, 2000.0))
    assert grid.cell_volume == 100.0
    assert repr(grid) == "Grid(shape=(401, 201), spacing=(10, 10) m, x 0 to 4000 m, z 0 to 2000 m)"


def test_three_dimensions_per_axis():
    grid = Grid(np.array([5, 4, 3]), [10.0, 20.0, 5.0], origin=(100, -50, 0))
    assert grid.axes == ("x", "y", "z") and grid.cell_volume == 1000.0
    assert grid.extent == ((100.0, 140.0), (-50.0, 10.0), (0.0, 10.0))
    np.testing.assert_array_equal(grid.coordinates(1), [-50.0, -30.0, -10.0, 10.0])
    np.testing.assert_array_equal(grid.coordinates("z"), grid.coordinates(-1))


def test_value_semantics():
    grid = Grid([4, 3], 2)
    assert grid == Grid((4, 3), (2.0, 2.0), (0, 0)) and hash(grid) == hash(Grid((4, 3), 2.0))
    assert pickle.loads(pickle.dumps(grid)) == grid
    assert all(type(n) is int for n in Grid(np.array([4, 3]), 1).shape)
    with pytest.raises(AttributeError):
        grid.shape = (3, 3)


def test_contains():
    grid = Grid((11, 6), 0.1, origin=(0.3, 0.0))
    edges = np.array([[0.3, 0.0], [1.3, 0.5], [1.3000000001, 0.5], [1.301, 0.5], [0.5, -0.001], [np.nan, 0.1]])
    np.testing.assert_array_equal(grid.contains(edges), [True, True, True, False, False, False])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(shape=(5,), spacing=1), r"\(nx, nz\) or \(nx, ny, nz\), got \(5,\)"),
        (dict(shape=5, spacing=1), "got 5"),
        (dict(shape=(5, 1), spacing=1), r"shape\[1\] must be an integer of at least 2, got 1"),
        (dict(shape=(5.0, 4), spacing=1), r"shape\[0\] must be an integer of at least 2, got 5.0"),
        (dict(shape=(5, True), spacing=1), "got True"),
        (dict(shape=(5, 4), spacing=0), "spacing of x must be a positive and finite number in metres, got 0"),
        (dict(shape=(5, 4), spacing=(1, np.inf)), "spacing of z must be"),
        (dict(shape=(5, 4), spacing=(1, 2, 3)), "spacing has 3 values.*has 2 axes"),
        (dict(shape=(5, 4), spacing="wide"), "spacing of x must be"),
        (
            dict(shape=(5, 4), spacing=1, origin=np.nan),
            "origin of x must be a finite number in metres, got nan",
        ),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ParameterError, match=message):
        Grid(**arguments)


@pytest.mark.parametrize("axis", ["y", 2, -3])
def test_refuses_an_axis(axis):
    with pytest.raises(ParameterError, match="is no axis of Grid"):
        Grid((5, 4), 1).coordinates(axis)
