"""Regular grids in two or three dimensions."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from seisops._table import Told
from seisops.errors import ParameterError
from seisops.wave._validate import integer, real

#: Distance, in cells, below which a point counts as lying on a node or on the edge of a grid.
NODE_TOLERANCE = 1e-6


@dataclass(frozen=True, repr=False)
class Grid(Told):
    """A regular grid of nodes ``x[i] = origin + i * spacing`` on every axis, z pointing down.

    Parameters
    ----------
    shape : tuple of int
        Number of nodes, ``(nx, nz)`` or ``(nx, ny, nz)``, at least two on every axis.
    spacing : float or tuple of float
        Distance between nodes in metres, one number for all axes or one per axis.
    origin : float or tuple of float, optional
        Coordinate of the first node in metres, one number for all axes or one per axis.

    Examples
    --------
    >>> Grid(shape=(401, 201), spacing=10.0)
    Grid(shape=(401, 201), spacing=(10, 10) m, x 0 to 4000 m, z 0 to 2000 m)
    """

    shape: tuple
    spacing: tuple
    origin: Any = 0.0  # a tuple once constructed

    def __post_init__(self):
        if not isinstance(self.shape, Iterable) or len(tuple(self.shape)) not in (2, 3):
            raise ParameterError(f"Grid shape must be (nx, nz) or (nx, ny, nz), got {self.shape!r}")
        shape = tuple(integer(f"Grid shape[{i}]", n, minimum=2) for i, n in enumerate(self.shape))
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "spacing", self._per_axis("spacing", self.spacing, positive=True))
        object.__setattr__(self, "origin", self._per_axis("origin", self.origin, positive=False))

    def _per_axis(self, name, value, positive):
        values = tuple(np.ravel(value)) if np.ndim(value) else (value,) * self.ndim
        if len(values) != self.ndim:
            raise ParameterError(
                f"Grid {name} has {len(values)} values, {value!r}, but shape {self.shape} has "
                f"{self.ndim} axes: pass one number for all axes or one for each of {self.axes}"
            )
        named = zip(self.axes, values, strict=True)
        return tuple(real(f"Grid {name} of {axis}", number, "metres", positive) for axis, number in named)

    @property
    def ndim(self):
        """Number of axes, 2 or 3."""
        return len(self.shape)

    @property
    def axes(self):
        """Names of the axes, ``("x", "z")`` or ``("x", "y", "z")``."""
        return ("x", "z") if self.ndim == 2 else ("x", "y", "z")

    @property
    def size(self):
        """Number of nodes."""
        return math.prod(self.shape)

    @property
    def extent(self):
        """First and last coordinate of every axis in metres, ``((x0, x1), ..., (z0, z1))``."""
        ranges = zip(self.origin, self.shape, self.spacing, strict=True)
        return tuple((first, first + (n - 1) * h) for first, n, h in ranges)

    @property
    def cell_volume(self):
        """Product of the spacings: m2 in two dimensions, m3 in three."""
        return math.prod(self.spacing)

    def coordinates(self, axis):
        """Coordinates of the nodes along one axis in metres, float64.

        Parameters
        ----------
        axis : int or str
            Index or name of the axis.
        """
        number = isinstance(axis, int | np.integer) and not isinstance(axis, bool) and -self.ndim <= axis < self.ndim
        if axis not in self.axes and not number:
            raise ParameterError(f"{axis!r} is no axis of {self!r}: use one of {self.axes}")
        d = self.axes.index(axis) if axis in self.axes else axis
        return self.origin[d] + self.spacing[d] * np.arange(self.shape[d])

    def window(self, first, shape):
        """The grid of a part of the nodes.

        Parameters
        ----------
        first, shape : sequence of int
            Index of the part's first node, and its number of nodes, along every axis.
        """
        steps = zip(self.origin, first, self.spacing, strict=True)
        return Grid(tuple(shape), self.spacing, tuple(o + i * h for o, i, h in steps))

    def contains(self, points, margin=0.0):
        """Tell which points lie between the first and the last node of every axis (both included).

        Rounding of up to `NODE_TOLERANCE` cells beyond an edge is forgiven; NaN is outside.

        Parameters
        ----------
        points : array_like of shape (..., ndim)
            Coordinates in metres.
        margin : float, optional
            Metres by which points may lie outside.

        Returns
        -------
        ndarray of bool, shape (...)
        """
        cells = (np.asarray(points, dtype=float) - self.origin) / self.spacing
        slack = NODE_TOLERANCE + margin / np.array(self.spacing)
        inside = (cells >= -slack) & (cells <= np.array(self.shape) - 1 + slack)
        return inside.all(axis=-1)

    def describe_extent(self):
        """The extent in words with units, for messages."""
        ranges = zip(self.axes, self.extent, strict=True)
        return ", ".join(f"{axis} {lo:g} to {hi:g} m" for axis, (lo, hi) in ranges)

    def depth_hint(self, point):
        """That z points down, for messages about a point outside that is above all depths; else nothing.

        Parameters
        ----------
        point : array_like of shape (ndim,)
            Coordinates in metres.
        """
        z = float(point[-1])
        return f"; z points down: {-z:g} m below z = 0 is z={-z:g} m" if z < 0.0 <= self.origin[-1] else ""

    def _rows(self):
        for axis, n, h, (low, high) in zip(self.axes, self.shape, self.spacing, self.extent, strict=True):
            yield axis, f"{n} nodes, {h:g} m apart, {low:g} to {high:g} m"

    def __repr__(self):
        spacing = ", ".join(f"{h:g}" for h in self.spacing)
        return f"Grid(shape={self.shape}, spacing=({spacing}) m, {self.describe_extent()})"
