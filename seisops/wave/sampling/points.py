"""Points between the nodes of a grid: where they are, shot by shot, and their interpolation weights."""

from functools import partial
from itertools import accumulate

import numpy as np
from scipy.special import i0, perm

from seisops.errors import ParameterError, shown
from seisops.spaces import shot_numbers
from seisops.wave._validate import floats, number_or_nan
from seisops.wave.grid import NODE_TOLERANCE, Grid
from seisops.wave.sampling.moves import windowed_sincs

#: Nodes per axis in the window of each interpolation, and of a derivative.
WIDTHS = {"node": 1, "linear": 2, "sinc": 8}
SLOPE = 10

#: Wavenumbers, per cell, for which derivatives are made: four points for a wavelength, and more.
BAND = np.pi / 2

#: Shape of the Kaiser window of half-width 4, best for wavenumbers up to pi/2 per cell (Hicks 2002, table 1).
KAISER_SHAPE = 6.31

#: Samples next to a surface without a mirror through which polynomials are put, at most.
ONE_SIDED = 6


class Coordinates:
    """Validated, immutable coordinates of the points (sources or receivers) of every shot.

    Parameters
    ----------
    coordinates : array_like or sequence of array_like
        Metres, in the order of the axes of the grid: ``(points, ndim)`` for the same points in all shots,
        ``(shots, points, ndim)``, or one ``(points, ndim)`` array per shot, which may differ in length; an empty list is
        a shot without points.
    grid : Grid
        Grid whose extent must contain the points.
    shots : int
        Number of shots.
    margin : float, optional
        Metres by which points may lie outside the extent, inside an absorbing layer; not negative.

    Attributes
    ----------
    shared : bool
        Whether one array holds for all shots.
    """

    __slots__ = ("_shots", "grid", "margin", "shared")

    grid: Grid
    margin: float
    shared: bool
    _shots: tuple

    def __init__(self, coordinates, grid, shots, margin=0.0):
        if not number_or_nan(margin) >= 0:
            raise ParameterError(
                f"margin={shown(margin)}: give the metres by which points may lie outside the model, 0 or more"
            )
        per_shot = _split_shots(coordinates, grid, shots)
        shared = per_shot is None
        if shared:
            per_shot = (_checked(coordinates, grid, None, margin),) * shots
        else:
            per_shot = tuple(_checked(points, grid, shot, margin) for shot, points in enumerate(per_shot))
        self._set(grid, per_shot, margin, shared)

    def _set(self, grid, per_shot, margin, shared):
        for name, value in (("grid", grid), ("_shots", per_shot), ("margin", margin), ("shared", shared)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name, value):
        raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be set")

    def __reduce__(self):
        return _rebuild, (self.grid, self._shots, self.margin, self.shared)

    @property
    def counts(self):
        """Number of points of every shot, a tuple."""
        return tuple(len(points) for points in self._shots)

    @property
    def offsets(self):
        """Index of the first point of every shot among the points of all, then their total."""
        return tuple(accumulate(self.counts, initial=0))

    def __len__(self):
        return len(self._shots)

    def shot(self, i):
        """Coordinates of the points of shot `i`: a read-only float64 array of shape (points, ndim)."""
        return self._shots[i]

    def require_below(self, surface, kind):
        """Refuse points above a surface, at `surface` in m, which is "free" or "rigid": there is no medium there."""
        for shot, points in enumerate(self._shots):
            above = np.flatnonzero(points[:, -1] < surface - NODE_TOLERANCE * self.grid.spacing[-1])
            if len(above):
                raise ParameterError(
                    f"point {above[0]} of shot {shot}, at {tuple(map(float, points[above[0]]))} m, lies above the {kind} "
                    f"surface at z = {surface:g} m, where there is no medium: move it down, or model without a {kind} "
                    "surface"
                )

    def select(self, shots):
        """The points of some shots only.

        Parameters
        ----------
        shots : int, slice or sequence of int
            Which shots, in the order wanted.

        Returns
        -------
        Coordinates
        """
        chosen = tuple(self._shots[i] for i in shot_numbers(shots, len(self), self))
        return _rebuild(self.grid, chosen, self.margin, self.shared)

    def elsewhere(self, positions):
        """The same points in other places, which are checked.

        Parameters
        ----------
        positions : ndarray
            Metres: (points, ndim) if all shots share them, (shots, points, ndim), or where shots have different numbers of
            points (all points, ndim).
        """
        # an edge is no number of single precision
        slack = np.finfo(positions.dtype).eps * max(abs(end) for ends in self.grid.extent for end in ends)
        if positions.ndim == 2 and not self.shared:
            positions = np.split(positions, self.offsets[1:-1])
        return Coordinates(positions, self.grid, len(self), self.margin + slack)

    def __eq__(self, other):
        if not isinstance(other, Coordinates):
            return NotImplemented
        return (self.grid, self.counts) == (other.grid, other.counts) and all(
            a is b or np.array_equal(a, b) for a, b in zip(self._shots, other._shots, strict=True)
        )

    def __hash__(self):
        return hash((self.grid, self.counts))

    def __repr__(self):
        low, high = min(self.counts, default=0), max(self.counts, default=0)
        number = f"{low}" if low == high else f"{low} to {high}"
        return f"Coordinates(shots={len(self)}, {number} points per shot, in {self.grid.describe_extent()})"


def on_nodes(coordinates, grid, place=None):
    """Tell whether every point lies on a node of the grid, to within `NODE_TOLERANCE` cells.

    If so, ``weights(..., interpolation="node")`` gives the same values with one node per point.

    Parameters
    ----------
    coordinates : array_like of shape (points, ndim)
        Metres.
    grid : Grid
    place : Place, optional
        Where within each cell the samples lie; by default in the nodes.

    Returns
    -------
    bool
    """
    cells = (np.asarray(coordinates, dtype=float) - grid.origin) / grid.spacing - _offset(place, grid.ndim)
    return bool(np.all(np.abs(cells - np.rint(cells)) <= NODE_TOLERANCE))


def weights(
    coordinates, grid, origin_index, padded_shape, interpolation="sinc", place=None, entering=False, derivative=None,
    moved=None,
):  # fmt: skip
    r"""Separable weights that interpolate a field on the padded grid at points anywhere in it.

    The value of a field `u` at point `p` is the sum over a window of `r` nodes per axis::

        u_p = sum_{i, .., k} c[p, 0, i] * .. * c[p, -1, k] * u[g[p, 0] + i, .., g[p, -1] + k]

    Parameters
    ----------
    coordinates : array_like of shape (points, ndim)
        Metres. Points anywhere in the padded grid, and up to half a cell beyond it, are fine.
    grid : Grid
        The grid without its layer.
    origin_index : tuple of int
        Index in the padded grid of the first node of the grid.
    padded_shape : tuple of int
        Shape of the padded grid. Weights of samples outside it are dropped; see :func:`within`.
    interpolation : {"sinc", "linear", "node"}, optional
        Kaiser-windowed sinc over 8 nodes, linear over 2, or the node itself (all points must be `on_nodes`).
    place : Place, optional
        Where within each cell the samples of the field lie, by default in the nodes; and how the field continues
        above a free surface at the first node of the z axis, if there is one: samples above it count on their mirror
        images, with the opposite sign if the field is odd, when those on the surface count nothing. If there is no mirror,
        points that would look above it are interpolated by a polynomial through the samples next to it, of which those on
        the surface count nothing if the field is held there.
    entering : bool, optional
        The weights are those of a source: divided by the part of a cell that belongs to each sample, which is a half on a
        mirroring surface, as the other half of the cell is above it.
    derivative : int, optional
        Number of an axis along which the derivative is taken, per metre, by the weights of :func:`slopes`; `interpolation`
        then is that across it.
    moved : sequence of int, optional
        For each axis, how often the weights are differentiated by the coordinates of the points along it, per metre. Weights
        of all such derivatives have the same windows, of a node more. Where points lie on nodes, on which windows move on,
        derivatives are the mean of those ahead and behind; see :mod:`seisops.wave.sampling.moves`.

    Returns
    -------
    gridpoints : ndarray of int32, shape (points, ndim)
        First node of each window in the padded grid.
    coefficients : ndarray of float64, shape (points, ndim, r)
        Weights; `r` is 8, 2 or 1, and 10 with a derivative; one more if moved.

    Notes
    -----
    At distance `x` cells, with :math:`I_0` the modified Bessel function and :math:`b = 6.31`,

    .. math:: c(x) = \frac{I_0\big(b \sqrt{1 - (x/4)^2}\big)}{I_0(b)} \; \frac{\sin \pi x}{\pi x},
        \qquad |x| < 4

    which interpolates plane waves along one axis with an error of at most 1.4e-3 at 4 points per wavelength
    or more, 7.3e-4 at 8; errors of several axes add up. A point closer than `NODE_TOLERANCE` cells to a node
    is put on it and gets the weights of a unit impulse.

    The weights are *not* rescaled to sum to one (they do to 4e-4): the same weights inject sources, and they
    are the band-limited discrete delta. The shape `b` minimises the largest spectral error over the whole
    band, which rescaling by the response at one wavenumber (zero, where seismic sources have no energy) would
    undo.

    Hicks, G. J. (2002), Arbitrary source and receiver positioning in finite-difference schemes using Kaiser
    windowed sinc functions, Geophysics 67(1), 156-166, doi:10.1190/1.1451454.
    """
    if interpolation not in WIDTHS:
        raise ParameterError(f"interpolation must be one of {tuple(WIDTHS)}, got {interpolation!r}")
    if interpolation == "node" and not on_nodes(coordinates, grid, place):
        raise ParameterError('interpolation "node" needs every point on a node: use "sinc" or "linear"')
    if place is not None and (place.parity or place.closed) and origin_index[-1] != 0:
        raise ParameterError(f"a free surface needs the first z node at index 0, got origin_index {origin_index}")
    r = (WIDTHS[interpolation] if derivative is None else SLOPE) + (moved is not None)
    if min(padded_shape) < r:
        fewer = ', or interpolation="linear", which needs 2' if r == WIDTHS["sinc"] else ""
        what = f"{interpolation!r} interpolation" if derivative is None else "a derivative"
        raise ParameterError(
            f"{what} needs {r} nodes along each axis, the layer included, but there are "
            f"{padded_shape}: use a larger grid{fewer}"
        )
    cells = (np.asarray(coordinates, dtype=float) - grid.origin) / grid.spacing + origin_index
    beyond = (cells < -0.5 - NODE_TOLERANCE) | (cells > np.array(padded_shape) - 0.5 + NODE_TOLERANCE)
    if beyond.any():
        bad = beyond.any(axis=-1)
        first = np.asarray(coordinates, dtype=float)[bad][0]
        low = grid.origin - np.array(origin_index) * grid.spacing
        high = low + (np.array(padded_shape) - 1) * grid.spacing
        reach = ", ".join(f"{a} {lo:g} to {hi:g} m" for a, lo, hi in zip(grid.axes, low, high, strict=True))
        raise ParameterError(
            f"{int(bad.sum())} of {bad.size} points lie outside the padded grid, first {tuple(map(float, first))} m: around "
            f"{grid!r} it has {reach}. Move them, or take a larger grid or a thicker layer"
        )
    cells = cells - _offset(place, grid.ndim)
    gridpoints = np.empty(cells.shape, dtype=np.int32)
    coefficients = np.empty((*cells.shape, r))
    for d, size in enumerate(padded_shape):
        slope, order = int(d == derivative), 0 if moved is None else moved[d]
        mirror = place if d == grid.ndim - 1 else None
        make = slopes if slope else partial(window, r=WIDTHS[interpolation])
        if moved is None:
            nodes, values = make(cells[:, d])
            if mirror is not None:
                nodes, values = below(nodes, values, cells[:, d], mirror, slope)
        else:
            nodes, values = _both_sides(make, cells[:, d], order, mirror, slope)
        if mirror is not None and entering and place.weighted:
            values = values / place.weight(size)[np.clip(nodes, 0, size - 1)]
        offset, orders = 0.0 if place is None else float(place.cell[d]), slope + order
        values = np.where(within(nodes, size, offset), values / grid.spacing[d] ** orders if orders else values, 0.0)
        gridpoints[:, d], coefficients[:, d] = _fit(nodes, values, size, r)
    return gridpoints, coefficients


def _both_sides(make, position, order, mirror, slope):
    """Nodes and weights, differentiated by the position; on a node, half of those ahead of it and half of those behind.

    Weights themselves are those ahead, as without derivatives; nodes are the same for all orders.
    """
    on_node = (_snapped(position) == np.rint(position)).astype(int)
    sides = []
    for behind in (0, on_node):
        nodes, values = make(position, order=order, behind=behind)
        values = values * (0.5 if order else float(behind is not on_node))
        if mirror is not None:
            nodes, values = below(nodes, values, position, mirror, slope + order, 0.5 if order else 1.0)
        sides.append((nodes, values))
    return (np.concatenate(part, axis=1) for part in zip(*sides, strict=True))


def below(nodes, values, position, place, order=0, share=1.0):
    """Weights of samples along z, at positions in samples, without samples above a free surface; see :func:`weights`.

    With an `order` they are those of so many derivatives; with a `share` so much of them.
    """
    if place.parity:
        offset = float(place.cell[-1])
        depth = nodes + offset
        factor = np.where(depth < 0, place.parity, 1.0)
        factor[depth == 0] = 0.0 if place.parity < 0 else 1.0
        return np.where(depth < 0, -nodes - int(2 * offset), nodes), values * factor
    above = ((nodes < 0) & (values != 0)).any(axis=1) if place.closed else np.zeros(len(nodes), bool)
    if above.any():
        known = np.arange(min(nodes.shape[1], ONE_SIDED))
        powers, at = known[:, None], position[above]
        exact = share * perm(powers, order) * at ** np.maximum(powers - order, 0)
        nodes, values = nodes.copy(), np.where(above[:, None], 0.0, values)
        nodes[above] = np.arange(nodes.shape[1])
        values[above, : len(known)] = np.linalg.solve(known[None, :] ** powers, exact).T
    return nodes, np.where(nodes == 0, 0.0, values) if place.held else values


def within(nodes, size, offset):
    """Tell which samples lie on the grid, from its first node to its last along an axis.

    Of fields half a cell after the nodes, arrays have a sample beyond the last node. There is no medium there, and no other
    field moves it. What entered it would move others all the same, which neither energy nor reciprocity allows: the grid
    ends, at either end, as with a wall in that place, which takes what is done to it.

    Parameters
    ----------
    nodes : ndarray of int
        Numbers of samples.
    size : int
        Number of nodes.
    offset : float
        Where the samples lie, in cells from the nodes.

    Returns
    -------
    ndarray of bool
    """
    return (nodes + offset >= 0) & (nodes + offset <= size - 1)


def _offset(place, ndim):
    return np.zeros(ndim) if place is None else np.array(place.cell, dtype=float)


def window(position, r, order=0, behind=0):
    """Nodes around positions (in cells) and their weights, both of shape (points, r).

    With an `order` weights are differentiated by the position so often; `behind` tells by how many nodes windows lie behind.
    """
    position = _snapped(position)
    nodes = (np.floor(position).astype(int) - behind)[:, None] + np.arange(1 - (r + 1) // 2, r // 2 + 1)
    distance = nodes - position[:, None]
    if r == WIDTHS["sinc"]:
        if order:
            return nodes, windowed_sincs(distance, r / 2, KAISER_SHAPE, order)
        taper = np.sqrt(np.clip(1 - (2 * distance / r) ** 2, 0, None))
        window = i0(KAISER_SHAPE * taper) / i0(KAISER_SHAPE)
        # sin(pi x) is not exactly zero at the floating-point integers
        return nodes, np.where(distance == np.rint(distance), distance == 0, np.sinc(distance) * window)
    if order:
        return nodes, np.broadcast_to([-1.0, 1.0] if order == 1 else [0.0, 0.0], nodes.shape)
    return nodes, np.clip(1 - np.abs(distance), 0, None)


def slopes(position, order=0, behind=0):
    r"""Nodes around positions (in cells) and weights of the derivative there, per cell, both of shape (points, 10).

    With an `order` weights are differentiated by the position so often; `behind` is that of :func:`window`.

    Notes
    -----
    Of plane waves of wavenumber k they make :math:`i k (1 + e)`, with the least sum of :math:`|e|^2` over k up to pi/2 per
    cell. Their largest error is 7.4e-4 at 4 points for a wavelength and 2e-4 at 5 or more; of a constant 1 they make 1.4e-6.
    The derivative of a windowed sinc (Hicks 2002) does not know that slow waves have small derivatives: with the window of
    :func:`weights` it is off by 4e-3 at 8 points for a wavelength and by 2e-2 at 32.
    """
    position = _snapped(position)
    first = np.floor(position).astype(int) - behind
    window = np.arange(1 - SLOPE // 2, SLOPE // 2 + 1)
    k = BAND * (np.arange(64) + 0.5) / 64
    of_nodes = np.exp(1j * np.outer(k, window)) / k[:, None]
    wanted = 1j * (1j * k[:, None]) ** order * np.exp(1j * np.outer(k, position - first))
    fitted = np.linalg.lstsq(np.r_[of_nodes.real, of_nodes.imag], np.r_[wanted.real, wanted.imag], rcond=None)[0]
    return first[:, None] + window, fitted.T


def _snapped(position):
    """Positions, of which those that differ from a node by rounding are on it."""
    nearest = np.rint(position)
    return np.where(np.abs(position - nearest) <= NODE_TOLERANCE, nearest, position)


def _fit(nodes, values, size, r):
    """Gather weights in a window of `r` nodes that lies within [0, size), dropping those of nodes outside."""
    first = np.clip(nodes.min(axis=1), 0, size - r)
    point, column = np.nonzero((nodes >= 0) & (nodes < size) & (values != 0))
    fitted = np.zeros((len(values), r))
    np.add.at(fitted, (point, (nodes - first[:, None])[point, column]), values[point, column])
    return first, fitted


def _split_shots(coordinates, grid, shots):
    """The arrays of coordinates shot by shot, or None if one array holds for all shots."""
    per_shot = isinstance(coordinates, (list, tuple)) and (
        any(_ndim(points) == 2 for points in coordinates) or (coordinates and all(map(_is_empty, coordinates)))
    )
    if not per_shot and _ndim(coordinates) != 3:
        return None
    if len(coordinates) != shots:
        raise ParameterError(
            f"coordinates are given for {len(coordinates)} shots, but the wavefield has {shots}: pass one "
            f"(points, {grid.ndim}) array per shot, or a single one for all shots"
        )
    return [np.empty((0, grid.ndim)) if _is_empty(points) else points for points in coordinates]


def _is_empty(points):
    """Whether these are the points of a shot that has none, as a list of nothing."""
    return _ndim(points) == 1 and len(points) == 0


def _ndim(nested):
    """Number of axes of nested sequences, -1 if they are not rectangular."""
    try:
        return np.ndim(nested)
    except ValueError:
        return -1


def _checked(points, grid, shot, margin):
    """A read-only float64 copy of the points of one shot (of all shots if `shot` is None)."""
    where = "coordinates" if shot is None else f"coordinates of shot {shot}"
    try:
        points = floats(points)
    except (TypeError, ValueError):
        raise ParameterError(f"{where} are not an array of numbers of shape (points, {grid.ndim})") from None
    if points.shape == (grid.ndim,):
        raise ParameterError(
            f"{where} are one point of shape {points.shape}: pass coords[None], shape (1, {grid.ndim})"
        )
    if points.ndim != 2 or points.shape[1] != grid.ndim:
        hint = ": pass their transpose" if points.ndim == 2 and points.shape[0] == grid.ndim else ""
        raise ParameterError(
            f"{where} have shape {points.shape}, but a {grid.ndim}D grid needs (points, {grid.ndim}), one "
            f"column for each of the axes {grid.axes}{hint}"
        )
    outside = np.flatnonzero(~grid.contains(points, margin))
    if outside.size:
        first = outside[0]
        point = ", ".join(f"{a}={c:g} m" for a, c in zip(grid.axes, points[first], strict=True))
        of = "" if shot is None else f" of shot {shot}"
        finite = np.isfinite(points[first]).all()
        fault = "lies outside the model, " if finite else "is not a finite position in "
        more = f" (and {outside.size - 1} more)" if outside.size > 1 else ""
        raise ParameterError(
            f"point {first}{of} at ({point}) {fault}{grid.describe_extent()}{more}{grid.depth_hint(points[first])}"
        )
    points.flags.writeable = False
    return points


def _rebuild(grid, per_shot, margin, shared):
    points = Coordinates.__new__(Coordinates)
    points._set(grid, per_shot, margin, shared)
    for array in per_shot:
        array.flags.writeable = False
    return points
