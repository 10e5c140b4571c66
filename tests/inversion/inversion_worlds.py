"""A small world of waves with a map, and maps that count what they cost."""

from __future__ import annotations

from functools import cache

import numpy as np

import seisops as so
from seisops.maps import Linearization, Map
from seisops.operators import as_operator
from seisops.spaces import Axis, Space

SHOTS = 3


class World:
    """Random medium, fixed spread, random point sources, data of another medium."""

    def __init__(self, dtype: str = "float64", density: bool = False, wrt="m"):
        rng = np.random.default_rng(0)
        self.grid = so.Grid((24, 21), 10.0)
        self.waves = so.Wavefield(self.grid, so.Time(31, 0.002), shots=SHOTS, dtype=dtype)
        low, high = np.array(self.grid.extent).T
        self.receivers = rng.uniform(low, high, (4, 2))
        self.sources = rng.uniform(low, high, (SHOTS, 2, 2))
        vp = rng.uniform(1500.0, 2000.0, self.grid.shape)
        rho = rng.uniform(1000.0, 1200.0, self.grid.shape) if density else None
        self.medium = so.Acoustic(self.grid, vp=vp, rho=rho)
        A = so.Modeling(self.waves, self.medium, boundary=None, space_order=4, max_velocity=2600.0)
        self.A = A
        self.Pr, self.Ps = so.Projection(self.waves, self.receivers), so.Projection(self.waves, self.sources)
        self.F = self.Pr * A * self.Ps.H
        self.G = so.Parametric(self.F, wrt)
        # smooth in time: random samples would be mostly above the band of the data
        self.q = np.cumsum(self.F.domain.random(1), axis=-1)
        self.d = self.F.at(m=self.medium.m * (1 + 0.05 * rng.standard_normal(self.grid.shape))) @ self.q


@cache
def world(**options) -> World:
    """The world with these options, one object for each."""
    return World(**options)


class Rosenbrock(Map):
    """``(x, y) -> (1 - x, 10 (y - x^2))`` for pairs, at no cost; it counts its linearisations, and their products."""

    def __init__(self, pairs: int = 3, dtype: str = "float64") -> None:
        self.linearized = self.products = 0
        super().__init__(
            (Space("x", [Axis("pair", 2 * pairs)], dtype),), Space("residual", [Axis("pair", 2 * pairs)], dtype)
        )

    def _fingerprint(self):
        return []  # its spaces say it all

    def _linearize(self, *x):
        self.linearized += 1
        a, b = np.split(x[0], 2)
        n = len(a)
        J = np.block([[-np.eye(n), np.zeros((n, n))], [np.diag(-20 * a), 10 * np.eye(n)]])
        import pylops

        return Linearization(np.concatenate([1 - a, 10 * (b - a**2)]), [as_operator(pylops.MatrixMult(J), x[0].dtype)])
