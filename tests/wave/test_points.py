import pickle
from fractions import Fraction

import numpy as np
import pytest

import seisops as so
from seisops.engine.symbols.places import Place
from seisops.errors import ParameterError
from seisops.wave.grid import Grid
from seisops.wave.sampling import taps as tables
from seisops.wave.sampling.lattice import from_nodes
from seisops.wave.sampling.points import WIDTHS, Coordinates, on_nodes, weights

GRID = Grid((21, 16), (10.0, 5.0), origin=(100.0, 0.0))
ORIGIN_INDEX = (6, 0)
SHAPE = (33, 22)
ODD, EVEN = (Place((Fraction(0),) * 2, parity=parity) for parity in (-1, 1))
HALF = Place((Fraction(1, 2), Fraction(1, 2)), parity=1)


def evaluate(field, gridpoints, coefficients):
    """Interpolate a 2D field with separable weights."""
    r = coefficients.shape[-1]
    ix, iz = (gridpoints[:, d, None] + np.arange(r) for d in range(2))
    return np.einsum("pi,pk,pik->p", coefficients[:, 0], coefficients[:, 1], field[ix[:, :, None], iz[:, None, :]])


def random_points(n=200, seed=0):
    low, high = np.array(GRID.extent).T
    return np.random.default_rng(seed).uniform(low, high, (n, 2))


def padded_coordinates():
    return [GRID.origin[d] + GRID.spacing[d] * (np.arange(SHAPE[d]) - ORIGIN_INDEX[d]) for d in range(2)]


CORNERS = np.array([[x, z] for x in GRID.extent[0] for z in GRID.extent[1]])


@pytest.mark.parametrize("interpolation", ["sinc", "linear"])
@pytest.mark.parametrize("surface", [None, ODD, EVEN, HALF])
def test_windows_lie_within_the_padded_grid(interpolation, surface):
    half_cells = np.array([[100.0 - 6.5 * 10, 0.0], [95.0, -2.5], [305.0, 5.0 * 21.5], [365.0, 77.5]])
    points = np.concatenate([random_points(), CORNERS, CORNERS[:1] + [5.0, 2.5], half_cells])
    gridpoints, coefficients = weights(points, GRID, ORIGIN_INDEX, SHAPE, interpolation, surface)
    r = WIDTHS[interpolation]
    assert gridpoints.dtype == np.int32 and gridpoints.shape == points.shape
    assert coefficients.dtype == np.float64 and coefficients.shape == (*points.shape, r)
    assert (gridpoints >= 0).all() and (gridpoints + r <= SHAPE).all()
    assert np.isfinite(coefficients).all()


@pytest.mark.parametrize("interpolation", ["node", "linear", "sinc"])
def test_points_on_nodes_are_impulses(interpolation):
    nodes = np.array([[0, 0], [20, 15], [20, 0], [7, 11], [3, 1]])
    coordinates = nodes * GRID.spacing + GRID.origin
    assert on_nodes(coordinates, GRID) and not on_nodes(coordinates + [0.0, 2.5], GRID)
    gridpoints, coefficients = weights(coordinates, GRID, ORIGIN_INDEX, SHAPE, interpolation)
    assert set(np.unique(coefficients)) <= {0.0, 1.0} and (coefficients.sum(axis=-1) == 1).all()
    np.testing.assert_array_equal(gridpoints + coefficients.argmax(axis=-1), nodes + ORIGIN_INDEX)
    wobbly = weights(coordinates + 1e-9, GRID, ORIGIN_INDEX, SHAPE, interpolation)
    np.testing.assert_array_equal(wobbly[1], coefficients)


def test_linear_is_exact_for_bilinear_fields():
    x, z = padded_coordinates()
    points = random_points()
    values = evaluate(
        2 + 3 * x[:, None] - z + 0.1 * x[:, None] * z, *weights(points, GRID, ORIGIN_INDEX, SHAPE, "linear")
    )
    np.testing.assert_allclose(values, 2 + 3 * points[:, 0] - points[:, 1] + 0.1 * points.prod(axis=1), rtol=1e-12)


@pytest.mark.parametrize("points_per_wavelength, tolerance", [(4, 2.8e-3), (8, 1.5e-3), (16, 1.1e-3)])
def test_sinc_reproduces_band_limited_fields(points_per_wavelength, tolerance):
    # one axis is good to 1.34e-3 at 4 points per wavelength and 7.3e-4 at 8; two axes to twice that
    x, z = padded_coordinates()
    points = random_points(2000)
    points = points[(points[:, 1] > 20.0)]
    k = 2 * np.pi / (points_per_wavelength * np.array(GRID.spacing))
    field = np.exp(1j * (k[0] * x[:, None] + k[1] * z))
    values = evaluate(field, *weights(points, GRID, ORIGIN_INDEX, SHAPE, "sinc"))
    assert np.abs(values - np.exp(1j * points @ k)).max() < tolerance


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("points_per_wavelength, tolerance", [(4, 2.6e-3), (8, 1.0e-3), (64, 9e-4)])
def test_derivatives_of_band_limited_fields(points_per_wavelength, tolerance, axis):
    """Along one axis, 7.4e-4 of itself at 4 points for a wavelength and 2e-4 at more; across it, what a sinc is off by."""
    x, _ = padded_coordinates()
    points = random_points(2000)
    points = points[points[:, 1] > 20.0]
    k = 2 * np.pi / (points_per_wavelength * np.array(GRID.spacing))
    made = weights(points, GRID, ORIGIN_INDEX, (33, 28), "sinc", derivative=axis)
    z = GRID.spacing[1] * np.arange(28)
    field = np.exp(1j * (k[0] * x[:, None] + k[1] * z))
    values = evaluate(field, *made)
    assert np.abs(values / (1j * k[axis] * np.exp(1j * points @ k)) - 1).max() < tolerance


def test_derivatives_on_nodes_look_along_one_axis():
    nodes = np.array([[7, 8], [12, 6]]) * GRID.spacing + GRID.origin
    for interpolation in ("node", "linear", "sinc"):
        _, coefficients = weights(nodes, GRID, ORIGIN_INDEX, SHAPE, interpolation, derivative=0)
        assert np.count_nonzero(coefficients[:, 1]) == 2 and coefficients[:, 1].max() == 1.0
        assert np.abs(coefficients[:, 0].sum(axis=1)).max() < 2e-6 / GRID.spacing[0]


def test_a_derivative_needs_ten_nodes():
    with pytest.raises(ParameterError, match="a derivative needs 10 nodes"):
        weights([[110.0, 10.0]], GRID, (0, 0), (21, 9), derivative=0)


@pytest.mark.parametrize("derivative", [None, 0, 1])
@pytest.mark.parametrize("interpolation", ["sinc", "linear"])
@pytest.mark.parametrize("place", [ODD, EVEN, HALF, Place(HALF.cell, parity=-1)])
def test_fields_continue_above_a_free_surface(interpolation, place, derivative):
    points = np.concatenate([random_points(), CORNERS, [[150.0, 2.5], [151.0, 1.0], [152.0, 5.0]]])
    rng = np.random.default_rng(1)
    field = rng.standard_normal(SHAPE)
    options = {"interpolation": interpolation, "derivative": derivative}
    folded = evaluate(field, *weights(points, GRID, ORIGIN_INDEX, SHAPE, place=place, **options))
    above = 10
    if place.cell[-1]:
        extended = np.concatenate([place.parity * field[:, above - 1 :: -1], field], axis=1)
    else:
        surface = field[:, :1] if place.parity > 0 else np.zeros((SHAPE[0], 1))
        extended = np.concatenate([place.parity * field[:, above:0:-1], surface, field[:, 1:]], axis=1)
    index, shape = (ORIGIN_INDEX[0], above), extended.shape
    explicit = evaluate(extended, *weights(points, GRID, index, shape, place=Place(place.cell), **options))
    np.testing.assert_allclose(folded, explicit, atol=1e-14)


def test_nothing_enters_half_a_cell_beyond_the_last_node():
    """Neither at points nor as a whole field, which is a point in every node; at the first node nothing is beyond."""
    place, nz = Place((Fraction(0), Fraction(1, 2))), GRID.shape[-1]
    for j in (0, 1, nz // 2, nz - 5, nz - 4, nz - 1):
        impulse, made = np.zeros(GRID.shape), np.zeros(GRID.shape)
        impulse[7, j] = 1.0
        at = [[GRID.origin[0] + 7 * GRID.spacing[0], j * GRID.spacing[1]]]
        (cell,), (values,) = weights(at, GRID, (0, 0), GRID.shape, "sinc", place, entering=True)
        window = np.ix_(*(k + np.arange(values.shape[-1]) for k in cell))
        made[window] = np.outer(*values)
        np.testing.assert_allclose(from_nodes(impulse, place), made, atol=1e-15)
        assert not made[:, nz - 1].any() and (made[7, nz - 2] != 0) == (j >= nz - 5)


def test_sources_on_a_free_surface_fill_half_a_cell():
    # the source and its mirror image: twice as strong on the surface, where both lie, as just below it
    dense = {}
    for z in (0.0, 1e-3):
        for entering in (False, True):
            cells, values = weights([[150.0, z]], GRID, ORIGIN_INDEX, SHAPE, "sinc", EVEN, entering)
            dense[z, entering] = np.zeros(SHAPE[1])
            np.add.at(dense[z, entering], cells[0, 1] + np.arange(8), values[0, 1])
    np.testing.assert_allclose(dense[0.0, True], dense[1e-3, True], atol=1e-3)
    assert dense[0.0, True][0] == 2.0 and dense[0.0, False][0] == 1.0


@pytest.mark.parametrize("offset", [(Fraction(1, 2), Fraction(0)), (Fraction(0), Fraction(-1, 2))])
def test_samples_half_a_cell_away(offset):
    x, z = padded_coordinates()
    points = random_points(500)
    points = points[(points[:, 1] > 25.0) & (points[:, 1] < 60.0)]
    k = np.array([0.5, 0.7]) / GRID.spacing
    lag = np.array(offset, float) * GRID.spacing
    field = np.cos(k[0] * (x[:, None] + lag[0]) + k[1] * (z + lag[1]))
    values = evaluate(field, *weights(points, GRID, ORIGIN_INDEX, SHAPE, "sinc", Place(offset)))
    np.testing.assert_allclose(values, np.cos(points @ k), atol=3e-3)
    between = [[150.0 + lag[0], 40.0 + lag[1]]]
    assert on_nodes(between, GRID, Place(offset)) and not on_nodes(between, GRID)


def test_weights_outside_are_dropped():
    # half a cell from the first node of the padded grid on both axes
    points = np.array([[100.0 - 60.0 + 5.0, 2.5]])
    gridpoints, coefficients = weights(points, GRID, ORIGIN_INDEX, SHAPE, "sinc")
    np.testing.assert_array_equal(gridpoints, [[0, 0]])
    interior, full = weights(points + 100.0, GRID, ORIGIN_INDEX, (40, 60), "sinc")
    np.testing.assert_allclose(coefficients[0, :, :5], full[0, :, 3:], atol=1e-14)
    assert (coefficients[0, :, 5:] == 0).all()


def test_three_dimensions():
    grid = Grid((12, 11, 10), 2.0)
    points = np.array([[3.3, 20.0, 0.1]])
    gridpoints, coefficients = weights(
        points, grid, (0, 0, 0), grid.shape, "sinc", Place((Fraction(0),) * 3, parity=-1)
    )
    assert gridpoints.shape == (1, 3) and coefficients.shape == (1, 3, 8)
    assert coefficients[0, 2, 0] == 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(interpolation="cubic"), r"must be one of \('node', 'linear', 'sinc'\), got 'cubic'"),
        (dict(interpolation="node"), "needs every point on a node"),
        (dict(place=ODD, origin_index=(6, 1)), "free surface needs the first z node at index 0"),
        (dict(padded_shape=(33, 7)), "needs 8 nodes along each axis"),
        (dict(coordinates=np.array([[0.0, 5.0]])), "outside the padded grid"),
    ],
)
def test_weights_refuse(arguments, message):
    defaults = dict(coordinates=random_points(3), grid=GRID, origin_index=ORIGIN_INDEX, padded_shape=SHAPE)
    with pytest.raises(ParameterError, match=message):
        weights(**{**defaults, **arguments})


def test_points_for_all_shots():
    coordinates = random_points(4)
    points = Coordinates(coordinates, GRID, shots=3)
    assert len(points) == 3 and points.counts == (4, 4, 4) and points.offsets == (0, 4, 8, 12)
    np.testing.assert_array_equal(points.shot(2), coordinates)
    assert points == Coordinates(np.stack([coordinates] * 3), GRID, 3)
    assert points == Coordinates(coordinates.tolist(), GRID, 3)
    assert repr(points) == "Coordinates(shots=3, 4 points per shot, in x 100 to 300 m, z 0 to 75 m)"


def test_ragged_points():
    arrays = [random_points(n, seed=n) for n in (3, 0, 5)]
    points = Coordinates(arrays, GRID, shots=3)
    assert points.counts == (3, 0, 5) and "0 to 5 points" in repr(points)
    chosen = points.select([2, 0])
    assert chosen.counts == (5, 3) and chosen == Coordinates([arrays[2], arrays[0]], GRID, 2)
    assert points.select(slice(1, 3)).counts == (0, 5)
    copy = pickle.loads(pickle.dumps(points))
    assert copy == points and hash(copy) == hash(points) and not copy.shot(0).flags.writeable
    assert points != Coordinates(arrays[0], GRID, 3) and points != 1


def test_points_are_immutable():
    coordinates = random_points(2)
    points = Coordinates(coordinates, GRID, 1)
    coordinates[:] = 0
    assert points.shot(0).min() > 0
    with pytest.raises(ValueError, match="read-only"):
        points.shot(0)[0, 0] = 1.0
    with pytest.raises(AttributeError, match="immutable"):
        points.grid = None


def test_that_z_points_down_is_said_where_depths_begin_at_zero_alone():
    above, higher = Grid((21, 16), 5.0, (100.0, -20.0)), GRID
    assert "z points down" in higher.depth_hint((110.0, -30.0)) and not higher.depth_hint((0.0, 5.0))
    assert not above.depth_hint((110.0, -30.0))


OUTSIDE = [[110.0, 5.0], [99.0, 80.0], [90.0, 5.0]]


@pytest.mark.parametrize(
    "coordinates, shots, message",
    [
        ([110.0, 5.0], 1, r"one point of shape \(2,\): pass coords\[None\]"),
        (np.zeros((2, 7)), 1, r"have shape \(2, 7\).*: pass their transpose"),
        (np.zeros((7, 3)), 1, r"needs \(points, 2\)"),
        (np.zeros((4, 7, 2)), 3, "given for 4 shots, but the wavefield has 3"),
        ([random_points(2)], 3, "given for 1 shots, but the wavefield has 3"),
        (
            OUTSIDE,
            1,
            r"point 1 at \(x=99 m, z=80 m\) lies outside the model, x 100 .* 75 m \(and 1 more\)",
        ),
        (
            np.array([[110.0, -5.0]]),
            1,
            r"lies outside the model, x 100 .* 75 m; z points down: 5 m below z = 0 is z=5 m$",
        ),
        ([random_points(2), np.array(OUTSIDE)], 2, r"point 1 of shot 1 at \(x=99 m"),
        ([random_points(2), random_points(2)[0]], 2, "coordinates of shot 1 are one point"),
        ([[110.0, np.nan]] * 2, 1, r"point 0 at \(x=110 m, z=nan m\) is not a finite position"),
        ([[110.0, 5.0], [110.0]], 1, "not an array of numbers"),
        ("here", 1, "not an array of numbers"),
    ],
)
def test_points_refuse(coordinates, shots, message):
    with pytest.raises(ParameterError, match=message):
        Coordinates(coordinates, GRID, shots)


# ---- what a projection keeps of them


def projection(coordinates, shots=3):
    return so.Projection(so.Wavefield(GRID, so.Time(11, 0.001), shots=shots), coordinates)


def table(P, shot, origin=ORIGIN_INDEX, shape=SHAPE, place=None):
    return P.taps(shot, origin, shape, place)


def test_shots_with_the_same_points_share_a_table():
    P = projection(random_points(5))
    taps = table(P, 0)
    assert table(P, 2) is taps and table(P, 0).by_cell(SHAPE) is taps.by_cell(SHAPE)
    others = [table(P, 0, place=ODD), table(P, 0, shape=(40, 22)), table(P, 0, origin=(7, 0))]
    assert len({id(t) for t in (taps, *others)}) == 4
    assert not np.array_equal(others[2].cells[0], taps.cells[0])

    Q = projection([random_points(5, seed) for seed in range(3)])
    assert [np.array_equal(table(Q, shot).weights, taps.weights) for shot in range(3)] == [True, False, False]


def test_tables_beyond_the_room_are_made_anew(monkeypatch):
    P = projection([random_points(5, seed) for seed in range(3)])
    kept = [table(P, shot) for shot in range(3)]
    monkeypatch.setattr(tables, "KEPT", kept[0].nbytes + kept[1].nbytes // 2)
    Q = projection([random_points(5, seed) for seed in range(3)])
    assert table(Q, 0) is table(Q, 0) and table(Q, 1) is not table(Q, 1)
    for shot in range(3):
        assert np.array_equal(table(Q, shot).weights, kept[shot].weights)


def test_tables_do_not_travel():
    P = projection([random_points(50, seed) for seed in range(3)])
    before = len(pickle.dumps(P))
    wanted = [table(P, shot) for shot in range(3)]
    assert len(pickle.dumps(P)) == before
    Q = pickle.loads(pickle.dumps(P))
    for shot in range(3):
        assert table(Q, shot) is not wanted[shot] and np.array_equal(table(Q, shot).weights, wanted[shot].weights)
