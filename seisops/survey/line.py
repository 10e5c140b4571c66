"""The line on which a 2D survey lies in three dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seisops.errors import ParameterError
from seisops.wave._validate import real

__all__ = ["Line", "fitted"]


@dataclass(frozen=True)
class Line:
    """A horizontal line through a point.

    Attributes
    ----------
    origin : tuple of float
        x and y in metres of the point at distance 0.
    azimuth : float
        Direction in radians, clockwise from y (north): the x axis (east) is pi / 2.
    """

    origin: tuple[float, float]
    azimuth: float

    def along(self, points: NDArray) -> NDArray:
        """Distance of points (n, 2 or more) from the origin along the line, in metres."""
        return (points[:, :2] - self.origin) @ (_sine(self.azimuth), _cosine(self.azimuth))

    def away(self, points: NDArray) -> NDArray:
        """Distance of points from the line, in metres."""
        return np.abs((points[:, :2] - self.origin) @ (_cosine(self.azimuth), -_sine(self.azimuth)))

    def __str__(self) -> str:
        x, y = self.origin
        return f"the line through ({x:.10g}, {y:.10g}) m with azimuth {self.azimuth:.6g} rad"


def fitted(points: NDArray, origin: Sequence[float] | None, azimuth: float | None) -> Line:
    """The line closest to points, as far as it is not stated.

    Parameters
    ----------
    points : ndarray, shape (n, 2 or more)
    origin : (x, y), optional
        By default the projection of the first point along the line, so that distances begin at 0.
    azimuth : float, optional
        Radians, clockwise from y. By default the direction of least squared distance, towards growing x.
    """
    points = np.unique(points[:, :2], axis=0)
    if origin is not None:
        if np.shape(origin) != (2,):
            raise ParameterError(f"project(origin={origin!r}): give (x, y) in metres")
        origin = tuple(
            real(f"project origin {axis}", value, "metres") for axis, value in zip("xy", origin, strict=True)
        )
    centre = points.mean(axis=0) if origin is None else np.array(origin)
    if azimuth is None:
        spread = points - centre
        if not spread.any():
            raise ParameterError(
                f"project: all sources and receivers are at one place, ({centre[0]:g}, {centre[1]:g}) m, which has no "
                f"direction: state azimuth=..."
            )
        dx, dy = np.linalg.svd(spread, full_matrices=False)[2][0]
        if dx < -1e-12 or (abs(dx) <= 1e-12 and dy < 0):
            dx, dy = -dx, -dy
        azimuth = math.atan2(dx, dy)
    azimuth = real("project azimuth", azimuth, "radians")
    line = Line((float(centre[0]), float(centre[1])), azimuth)
    if origin is None:
        shift = line.along(points).min()
        line = Line((float(centre[0] + shift * _sine(azimuth)), float(centre[1] + shift * _cosine(azimuth))), azimuth)
    return line


def _sine(angle: float) -> float:
    """Exact along the axes, where rounding would move points by fractions of a micrometre."""
    return round(math.sin(angle), 15)


def _cosine(angle: float) -> float:
    return round(math.cos(angle), 15)
