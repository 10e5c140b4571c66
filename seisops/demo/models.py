"""Models by formula."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from seisops.wave.grid import Grid

__all__ = ["seabed", "smoothed", "thrust_belt"]

# tops of the layers as fractions of the model's depth, and their velocities in m/s; the first is water
TOPS = (0.12, 0.22, 0.32, 0.41, 0.53, 0.64, 0.79)
VELOCITIES = (1500.0, 1800.0, 2150.0, 2000.0, 2600.0, 3000.0, 2800.0, 3700.0)


def thrust_belt(grid: Grid) -> NDArray:
    """Velocity in m/s of flat water over layers with an anticline and a thrust; it scales with the grid's extent.

    The layers are given where they were deposited. The thrust's hanging wall has come up its ramp, and erosion at the
    seabed has cut off what would stand out.

    Parameters
    ----------
    grid : Grid
        Of two dimensions.

    Returns
    -------
    ndarray of the grid's shape, float32
    """
    x, z = np.meshgrid(*(np.linspace(0.0, 1.0, n) for n in grid.shape), indexing="ij")
    fault = 0.77 - 0.63 / (1.0 + np.exp(-(x - 0.36) / 0.06))
    uplift = 0.11 * np.exp(-(((x - 0.40) / 0.13) ** 2)) * (z < fault)
    fold = 0.10 * np.exp(-(((x - 0.76) / 0.10) ** 2)) - 0.05 * (x - 0.5)
    deposited = z + uplift + fold
    layer = np.maximum(np.searchsorted(TOPS, deposited.ravel(), side="right").reshape(x.shape), 1)
    compaction = 500.0 * (z - TOPS[0])
    return np.where(z < TOPS[0], VELOCITIES[0], np.take(VELOCITIES, layer) + compaction).astype(np.float32)


def smoothed(m: NDArray, cells: float) -> NDArray:
    """A squared slowness smoothed below the seabed; flat water on top stays.

    Parameters
    ----------
    m : ndarray of shape (x, z)
    cells : float
        Standard deviation of the Gaussian, in cells.
    """
    water = seabed(m)
    out = np.array(m)
    out[:, water:] = gaussian_filter(m[:, water:], cells, mode="nearest")
    return out


def seabed(m: NDArray) -> int:
    """Number of rows below the first z that all have the same value: flat water; 0 where there is none."""
    same = (m == m[0, 0]).all(axis=0)
    return int(np.argmin(same)) if not same.all() else 0
