"""Long records in rough media: what has been put in never grows, and what has left never comes back.

A scheme can agree with its transpose to rounding and still grow, slowly, from one corner of its layer.
"""

import numpy as np
import pytest

import seisops as so
from seisops.wave.discretisation import SAFETY

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")

SHAPE, SPACING = (41, 31), 10.0
BOUNDARIES = {"pml": so.PML(), "sponge": so.Sponge(cells=10), "none": None}

#: Steps that a source lasts.
BURST = 200


def step_of(medium, boundary, surface):
    """The largest step that is taken by default, in seconds."""
    waves = so.Wavefield(medium.grid, so.Time(2, 1e-6), dtype="float64")
    A = so.Modeling(waves, medium, boundary=boundary, free_surface=surface)
    return SAFETY * A.discretisation.stable_step


def points(grid, boundary, surface, n, rng):
    """Points anywhere, some at the corners of the model and, if there is a layer, of the layer, and in it."""
    low, high = np.array(grid.extent, float).T
    cells = boundary.cells if boundary else 0
    outer = low - cells * SPACING, high + cells * SPACING
    if surface:
        outer[0][-1] = low[-1] = 0.5 * SPACING  # on the surface some fields are not heard
    some = rng.uniform(*outer, (n, grid.ndim))
    corners = [np.array(np.meshgrid(*zip(*box, strict=True))).reshape(grid.ndim, -1).T for box in ((low, high), outer)]
    return np.concatenate([some, *corners]), cells * SPACING


def levels(medium, boundary, surface, steps, seed=0):
    """Root mean square of what is heard, in ten parts of a record after the source has ended."""
    rng = np.random.default_rng(seed)
    step = step_of(medium, boundary, surface)
    waves = so.Wavefield(medium.grid, so.Time(steps + BURST, step), dtype="float64")
    A = so.Modeling(waves, medium, boundary=boundary, free_surface=surface, substeps=1, dispersion=False)
    where, margin = points(medium.grid, boundary, surface, 40, rng)
    Ps = so.Projection(waves, where[:20], margin=margin)
    Pr = so.Projection(waves, where[20:], margin=margin)
    q = Ps.range.zeros()
    # every frequency that the steps can carry but the lowest, at which a closed box fills up
    q[..., 2:BURST] = np.diff(rng.standard_normal((*q.shape[:-1], BURST)), 2)
    data = (Pr * A * Ps.H @ q)[0]
    burst = np.sqrt(np.mean(data[:, :BURST] ** 2))
    data = data[:, BURST:]
    with np.errstate(over="ignore"):
        parts = np.sqrt(np.mean(data.reshape(len(data), 10, -1) ** 2, axis=(0, 2)))
    return np.r_[burst, parts]


#: Each equation meets each boundary, and each boundary a free surface.
CASES = [
    ("acoustic", "pml", True),
    ("acoustic", "none", False),
    ("dense", "pml", False),
    ("dense", "pml", True),
    ("dense", "sponge", True),
    ("dense", "none", False),
    ("first order", "pml", True),
    ("first order", "sponge", False),
    ("first order", "none", True),
    ("vertical axis", "pml", False),
    ("slope", "pml", True),
    ("lid", "pml", True),
]
