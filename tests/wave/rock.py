"""Small random media of every physics beyond acoustics, and operators around them, for tests of what holds to rounding."""

from functools import cache

import numpy as np
from cases import BOUNDARIES

import seisops as so

GRIDS = {2: so.Grid((24, 21), 10.0), 3: so.Grid((13, 12, 11), 10.0)}


def elastic(grid, rng):
    """Rock below, water above, with a bottom between two nodes."""
    vp, vs, rho = (rng.uniform(*ends, grid.shape) for ends in ((1700.0, 2000.0), (800.0, 1000.0), (1000.0, 1200.0)))
    vs[..., :3] = 0.0
    return so.Elastic(grid, vp, vs, rho)


def solid(grid, rng):
    """Where there is shear everywhere, one may differentiate by its speed."""
    vp, vs, rho = (rng.uniform(*ends, grid.shape) for ends in ((1700.0, 2000.0), (800.0, 1000.0), (1000.0, 1200.0)))
    return so.Elastic(grid, vp, vs, rho)


def vti(grid, rng, **more):
    epsilon = rng.uniform(0.1, 0.2, grid.shape)
    delta = epsilon * rng.uniform(0.2, 0.9, grid.shape)
    return so.TTI(grid, rng.uniform(1700.0, 2000.0, grid.shape), epsilon, delta, **more)


def tti(grid, rng, **more):
    angles = {"theta": rng.uniform(0.3, 0.5, grid.shape)}
    if grid.ndim == 3:
        angles["phi"] = rng.uniform(0.1, 0.5, grid.shape)
    return vti(grid, rng, **angles, **more)


def dense_tti(grid, rng):
    return tti(grid, rng, rho=rng.uniform(1000.0, 1200.0, grid.shape))


def viscous(grid, rng, rho=None):
    vp, qp = rng.uniform(1700.0, 2000.0, grid.shape), rng.uniform(30.0, 80.0, grid.shape)
    return so.ViscoAcoustic(grid, vp, qp, rho, f0=20.0, mechanisms=2)


def dense_viscous(grid, rng):
    return viscous(grid, rng, rng.uniform(1000.0, 1200.0, grid.shape))


MADE = {f.__name__: f for f in (elastic, solid, vti, tti, dense_tti, viscous, dense_viscous)}


class Rock:
    """A medium, its waves, and points anywhere in the model and in its layer, other ones in each shot."""

    def __init__(self, name, ndim=2, layer="pml", dtype="float64", shots=1, samples=31):
        grid = GRIDS[ndim]
        self.medium = MADE[name](grid, np.random.default_rng(11))
        self.waves = so.Wavefield(grid, so.Time(samples, 0.002), shots=shots, dtype=dtype)
        self.A = so.Modeling(self.waves, self.medium, BOUNDARIES[layer], space_order=4)
        self.beyond = 30.0 if layer != "none" else 0.0

    def points(self, component=None, n=3, seed=1):
        low, high = np.array(self.waves.grid.extent, float).T
        rng = np.random.default_rng(seed)
        where = rng.uniform(low - self.beyond, high + self.beyond, (self.waves.shots, n, len(low)))
        return so.Projection(self.waves, where, margin=self.beyond, component=component)

    def F(self, driven=None, heard=None):
        return self.points(heard) * self.A * self.points(driven, 2, seed=2).H


@cache
def rock(*args, **options):
    """The world of these options; one object for each, so that kernels are shared."""
    return Rock(*args, **options)
