"""Small worlds in which operators of every kind can be built; the registry of those is in ``registry.py``.

Kernels are compiled once for each kind of equation and boundary in a process: the worlds share as many as they can.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

import seisops as so
from seisops.check import diagnose, dot_test
from seisops.operators import LinearOperator

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}

BOUNDARIES = {"pml": so.PML(cells=6), "sponge": so.Sponge(cells=6), "none": None}


@dataclass(frozen=True)
class World:
    """A random medium on a small grid, and the operators around it."""

    ndim: int = 2
    dtype: str = "float64"
    order: int = 4
    boundary: str = "pml"
    surface: bool = False
    density: bool = False
    substeps: bool = False
    shots: int = 2
    samples: int = 31

    @property
    def grid(self) -> so.Grid:
        return so.Grid((24, 21), 10.0) if self.ndim == 2 else so.Grid((13, 12, 11), 10.0)

    @property
    def time(self) -> so.Time:
        return so.Time(15, 0.005) if self.substeps else so.Time(self.samples, 0.002)

    @cached_property
    def waves(self) -> so.Wavefield:
        return so.Wavefield(self.grid, self.time, shots=self.shots, dtype=self.dtype)

    @cached_property
    def medium(self) -> so.Acoustic:
        rng = np.random.default_rng(11)
        vp = rng.uniform(1500.0, 2000.0, self.grid.shape)
        rho = rng.uniform(1000.0, 1200.0, self.grid.shape) if self.density else None
        return so.Acoustic(self.grid, vp=vp, rho=rho)

    def points(self, n: int, seed: int, **options) -> so.Projection:
        """Points anywhere in the model, between nodes, other ones in each shot."""
        low, high = np.array(self.grid.extent).T
        rng = np.random.default_rng(seed)
        return so.Projection(self.waves, rng.uniform(low, high, (self.shots, n, self.ndim)), **options)

    def deep(self, n: int, seed: int, **options) -> so.Projection:
        """Points at least four cells from the model's edge, where interpolation does not reach into the layer."""
        low, high = np.array(self.grid.extent).T
        points = np.random.default_rng(seed).uniform(low + 40.0, high - 40.0, (self.shots, n, self.ndim))
        return so.Projection(self.waves, points, **options)

    @cached_property
    def Pr(self) -> so.Projection:
        return self.points(3, 1)

    @cached_property
    def Ps(self) -> so.Projection:
        return self.points(2, 2)

    @cached_property
    def Ps2(self) -> so.Projection:
        return self.points(1, 3, interpolation="linear")

    @cached_property
    def Pw(self) -> so.Wavelet:
        signature = np.random.default_rng(4).standard_normal((self.shots, self.time.n))
        return so.Wavelet(self.waves, signature)

    @cached_property
    def A(self) -> so.Modeling:
        return so.Modeling(
            self.waves,
            self.medium,
            boundary=BOUNDARIES[self.boundary],
            free_surface=self.surface,
            space_order=self.order,
        )

    @cached_property
    def F(self) -> LinearOperator:
        return self.Pr * self.A * self.Ps.H

    @cached_property
    def extended(self) -> LinearOperator:
        return self.Pr * self.A * self.Pw.H

    def jacobian(self, F=None, **options) -> so.Jacobian:
        F = self.F if F is None else F
        return so.Jacobian(F, F.domain.random(5), **options)


@cache
def world(**options) -> World:
    """The world with these options; one object for each, so that its operators are shared."""
    return World(**options)


def check_exact(op: LinearOperator, tolerance: float | None = None, seed: int = 0) -> None:
    """The dot test holds to the rounding of the operator's dtype, and is not about zeros."""
    tolerance = tolerance or TOLERANCE[op.dtype.name]
    y = op.matvec(op.domain.random(seed + 7).ravel())
    x = op.rmatvec(op.range.random(seed + 8).ravel())
    for a in (x, y):
        assert a.dtype == op.dtype
        assert np.isfinite(a).all()
        assert np.linalg.norm(a.astype(float)) > 0
    assert dot_test(op, seed=seed) < tolerance, diagnose(op)
