import pickle

import numpy as np
import pytest

from seisops.errors import ParameterError, SpaceError
from seisops.wave.discretise.padding import Padding
from seisops.wave.grid import Grid

CASES = [
    Padding(Grid((4, 3), 1.0), ((2, 3), (1, 0))),
    Padding(Grid((2, 2), 1.0), ((0, 0), (0, 0))),
    Padding(Grid((4, 2, 3), 1.0), ((2, 1), (0, 4), (0, 3))),
    Padding(Grid((4, 3), 1.0), ((2, 3), (1, 0)), ((1, 3), (0, 0))),
]


def dense(function, shape):
    """Matrix of a linear map, column by column."""
    return np.stack([function(e.reshape(shape)).ravel() for e in np.eye(np.prod(shape))], axis=1)


@pytest.mark.parametrize("padding", CASES)
def test_exact_transposes(padding):
    for ends in (False, True):
        forward = dense(lambda model, ends=ends: padding.apply(model, ends), padding.grid.shape)
        adjoint = dense(lambda padded, ends=ends: padding.apply_adjoint(padded, ends), padding.shape)
        np.testing.assert_array_equal(adjoint, forward.T)


@pytest.mark.parametrize("padding", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layout(padding, dtype):
    rng = np.random.default_rng(0)
    model = np.asfortranarray(rng.standard_normal(padding.grid.shape).astype(dtype))
    padded = np.asfortranarray(rng.standard_normal(padding.shape).astype(dtype))
    before = padded.copy()
    results = [
        f(x, ends) for f, x in ((padding.apply, model), (padding.apply_adjoint, padded)) for ends in (False, True)
    ]
    for result in results:
        assert result.dtype == dtype and result.flags.c_contiguous and result.flags.owndata
    np.testing.assert_array_equal(padded, before)
    np.testing.assert_array_equal(results[0][padding.interior], model)


def test_edges():
    padding = Padding(Grid((2, 3), 1.0), ((1, 0), (0, 2)))
    model = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    expected = [[1, 2, 3, 3, 3], [1, 2, 3, 3, 3], [4, 5, 6, 6, 6]]
    np.testing.assert_array_equal(padding.apply(model), expected)
    np.testing.assert_array_equal(padding.apply_adjoint(np.ones((3, 5))), [[2, 2, 6], [1, 1, 3]])
    np.testing.assert_array_equal(padding.apply(model, ends=True), expected)
    assert padding.origin_index == (1, 0) and padding.shape == (3, 5)
    sudden = Padding(padding.grid, padding.cells, ((0, 0), (0, 0)))
    np.testing.assert_array_equal(sudden.apply(model, ends=True), [[0, 0, 0, 0, 0], [1, 2, 3, 0, 0], [4, 5, 6, 0, 0]])
    np.testing.assert_array_equal(sudden.apply(model), expected)
    fading = Padding(padding.grid, ((1, 0), (0, 3)), ((0, 0), (0, 2)))
    expected = [[0, 0, 0, 0, 0, 0], [1, 2, 3, 2.25, 0.75, 0], [4, 5, 6, 4.5, 1.5, 0]]
    np.testing.assert_allclose(fading.apply(model, ends=True), expected)


def test_value_semantics():
    padding = CASES[0]
    copy = pickle.loads(pickle.dumps(padding))
    assert copy == padding and hash(copy) == hash(padding)
    assert padding == Padding(padding.grid, np.array([[2, 3], [1, 0]]))


@pytest.mark.parametrize("cells", [3, (1, 2), ((1, 2),), ((1, 2), (3, 4), (5, 6))])
def test_refuses_cells(cells):
    with pytest.raises(ParameterError, match="one \\(lo, hi\\) pair for each"):
        Padding(Grid((4, 3), 1.0), cells)


def test_refuses_negative_cells_and_wrong_shapes():
    with pytest.raises(ParameterError, match="cells after z must be an integer of at least 0, got -1"):
        Padding(Grid((4, 3), 1.0), ((0, 0), (0, -1)))
    with pytest.raises(SpaceError, match=r"shape \(3, 4\).*needs shape \(4, 3\)"):
        CASES[0].apply(np.zeros((3, 4)))
