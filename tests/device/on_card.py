"""Expressions whose products on a device are held against the processor's, by medium, boundary and storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import seisops as so

__all__ = ["BOUNDARIES", "MEDIA", "STORAGES", "TOLERANCE", "Case", "furthest"]

#: By precision, how far two computations of the same may be apart, and a dot test from 0.
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}

#: Class, parameters, and by which of them an image is.
MEDIA = {
    "acoustic": (so.Acoustic, {}, "m"),
    "density": (so.Acoustic, dict(rho=(1000.0, 2000.0)), "rho"),
    "tilted": (so.TTI, dict(epsilon=(0.1, 0.2), delta=(0.0, 0.08), theta=(0.3, 0.5)), "theta"),
    "viscoacoustic": (so.ViscoAcoustic, dict(qp=(40.0, 80.0), f0=20.0), "m"),
    "elastic": (so.Elastic, dict(vs=(800.0, 900.0), rho=(1000.0, 1200.0)), ("vp", "vs", "rho")),
    "viscoelastic": (
        so.ViscoElastic,
        dict(vs=(800.0, 900.0), rho=(1000.0, 1200.0), qp=(40.0, 80.0), qs=(30.0, 60.0), f0=20.0),
        "vp",
    ),
}
BOUNDARIES = {
    "PML": (so.PML(cells=4), False),
    "PML below a surface": (so.PML(cells=4), True),
    "sponge": (so.Sponge(cells=6), False),
    "edges": (None, False),
}
STORAGES = {
    "whole": so.storage.Full(),
    "checkpoints": so.storage.Checkpointed(n=3),
    "edges": so.storage.Boundary(),
    "every second": so.storage.Subsampled(every=2),
    "compressed": so.storage.Compressed(),
    "frequencies": so.storage.Fourier(frequencies=(12.0, 24.0, 36.0, 48.0)),
    "probed": so.storage.Probed(r=16),
}


@dataclass(frozen=True)
class Case:
    """A model, from a point to three, for a few shots."""

    medium: str = "acoustic"
    boundary: str = "PML"
    shape: tuple[int, ...] = (34, 29)
    dtype: str = "float64"
    shots: int = 1
    samples: int = 30

    def modeling(self, device: str) -> so.LinearOperator:
        """Data of sources."""
        kind, given, _ = MEDIA[self.medium]
        boundary, surface = BOUNDARIES[self.boundary]
        grid, rng = so.Grid(self.shape, 10.0), np.random.default_rng(5)
        values = {"vp": (1600.0, 1800.0), **given}
        if kind is so.TTI and len(self.shape) == 3:
            values["phi"] = (0.1, 0.5)
        values = {n: rng.uniform(*v, self.shape) if isinstance(v, tuple) else v for n, v in values.items()}
        waves = so.Wavefield(grid, so.Time(self.samples, 0.002), self.shots, dtype=self.dtype, device=device)
        far = np.array(grid.extent)[:, 1]
        A = so.Modeling(waves, kind(grid, **values), boundary, surface, space_order=4)
        Pr = so.Projection(waves, [0.2 * far, 0.77 * far, 0.5 * far + 3])
        sources = [[0.6 * far + 1 + 10 * s] for s in range(self.shots)]
        return Pr * A * so.Projection(waves, sources).H

    def jacobian(self, F: so.LinearOperator, storage: Any) -> so.Jacobian:
        """Of the medium's parameter."""
        return so.Jacobian(F, F.domain.random(1), wrt=MEDIA[self.medium][2], storage=storage)

    def products(self, device: str, storage: Any) -> list[np.ndarray]:
        """Data, adjoint, Born data, image."""
        F = self.modeling(device)
        q, y, J = F.domain.random(1), F.range.random(2), self.jacobian(F, storage)
        return [F @ q, F.H @ y, J @ J.domain.random(3), J.H @ y]


def furthest(found: list[np.ndarray], known: list[np.ndarray]) -> float:
    """The largest relative difference."""
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(found, known, strict=True))
