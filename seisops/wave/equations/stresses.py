"""What equations of particle velocity and stress have in common: where fields lie, and what is heard and driven."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from seisops.engine.kept.notes import noted
from seisops.errors import ParameterError
from seisops.wave.equation import WaveEquation
from seisops.wave.equations.staggered import ahead, behind, between

__all__ = ["StressVelocity", "harmonic"]

# Pa added to a modulus where one divides by it: fluids have no shear modulus, rocks 1e9 and more
TRACE = 1e-3
# what waves need to decay along a PML: in rock of one density, and more by the mean difference of its logarithm from node to
# node, where layers of 8 cells lie beside random cells; no more than the last
ROCK, ROUGHER, MOST = 0.05, 0.75, 0.5
# nodes of water over a solid, beside land, from which on waves in it are right to a few per cent
DEEP = 6


def harmonic(modulus, *axes):
    """The harmonic mean of a modulus half a cell after the nodes along some axes, which is 0 where one of them is."""
    return 1 / between(1 / (modulus + TRACE), *axes)


@noted
class StressVelocity(WaveEquation):
    """Particle velocity and stress, staggered in space and time (Virieux 1986, doi:10.1190/1.1442147)."""

    leapfrog = True
    #: The coefficient that is zero in fluids. What asks for it often need not follow vs from it in every cell.
    rigidity = "mu"

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes."""
        return self.grid.axes

    @property
    def multiaxial(self) -> float:  # type: ignore[override]
        """What a PML needs beside this medium: the more, the rougher its density is along the faces of the grid."""
        logarithm, steps = np.log(self.get("rho")), []
        for axis in range(logarithm.ndim):
            for face in (0, -1):
                along = np.take(logarithm, face, axis)
                steps += [np.abs(np.diff(along, axis=i)).ravel() for i in range(along.ndim)]
        return min(ROCK + ROUGHER * float(np.concatenate(steps).mean()), MOST)

    @property
    def velocities(self) -> tuple[str, ...]:
        """Names of the components of the particle velocity."""
        return tuple(f"v{i}" for i in self.axes)

    @property
    def stresses(self) -> tuple[str, ...]:
        """Names of the stresses, the normal ones first."""
        return (*(f"s{i}{i}" for i in self.axes), *(f"s{i}{j}" for i, j in combinations(self.axes, 2)))

    @property
    def memories(self) -> int:
        """Number of memory variables of each stress."""
        return 0

    @property
    def fields(self) -> tuple[str, ...]:
        memories = (f"r{n}_{s}" for n in range(self.memories) for s in self.stresses)
        return (*self.velocities, *memories, *self.stresses)

    @property
    def staggering(self) -> Mapping[str, tuple[float, ...]]:
        places = {f"v{i}": tuple(0.5 * (k == i) for k in self.axes) for i in self.axes}
        for s in self.stresses:
            _, i, j = s
            places[s] = tuple(0.5 * (i != j and k in (i, j)) for k in self.axes)
            places |= {f"r{n}_{s}": places[s] for n in range(self.memories)}
        return places

    @property
    def fluid_above(self) -> bool:
        """Whether all along a surface there is fluid: then waves are mirrored there as in acoustics, whatever is below.

        Waves reflected with the opposite sign are waves of solids, too; that no shear stress acts on the surface, of which
        they do not know, holds in fluids by itself. It is the more exact, and lets fluids slip along a rigid surface.
        """
        return not np.any(self.coefficients()[self.rigidity][..., 0])

    @property
    def surface(self) -> Mapping[str, int]:
        """How fields continue beyond the surface of a fluid: normal stresses odd, and so what runs along it."""
        z = self.axes[-1]
        even = {f"v{z}", *(f"s{i}{z}" for i in self.axes[:-1])}
        return {f: 1 if f.rpartition("_")[-1] in even else -1 for f in self.fields}

    @property
    def tractions(self) -> tuple[str, ...]:
        """Names of the stresses that vanish on a horizontal surface, if there is solid beside it."""
        if self.fluid_above:
            return ()
        z = self.axes[-1]
        return (*(f"s{i}{z}" for i in self.axes[:-1]), f"s{z}{z}")

    def doubts(self, surface):
        if not surface or not self.tractions:
            return
        solid = self.coefficients()[self.rigidity] != 0
        wet = ~solid[..., 0]
        shallow = wet & solid[..., :DEEP].any(axis=-1)
        if surface == "rigid" and wet.any():
            yield (
                f"{type(self).__name__}: there is fluid beside the rigid surface, but not all along it: in {int(wet.sum())} "
                f"of {wet.size} columns the surface holds it as it holds a solid. Model the water and the land apart, or "
                "make the surface free"
            )
        elif shallow.any():
            yield (
                f"{type(self).__name__}: beside land, in {int(shallow.sum())} of {wet.size} columns, there is water at the "
                f"surface that is less than {DEEP} nodes deep: waves in it and above it are wrong by tens of per cent, and "
                "some stay there. Use a finer grid, so that it is deeper in cells, or let there be water, or land, all "
                "along the surface, where any depth is right"
            )

    @property
    def components(self) -> Mapping[str, Mapping[str, float]]:
        # in plane strain there is a stress across the plane, too, which is no field, and no part of pressure
        mean = {f"s{i}{i}": -1.0 / len(self.axes) for i in self.axes}
        return {"p": mean, **{name: {name: 1.0} for name in (*self.velocities, *self.stresses)}}

    def require_stable(self, pi: np.ndarray, mu: np.ndarray, of: str = "") -> None:
        """Raise a ParameterError where a solid would expand under pressure, or give way to shear.

        Parameters
        ----------
        pi, mu : ndarray
            Moduli of P waves, lam + 2 mu, and of S waves in Pa, on the grid.
        of : str, optional
            What they are of, for the message.
        """
        n = len(self.axes)
        bad = (mu < 0) | (pi - (2 - 2 / n) * mu <= 0)
        if bad.any():
            i = tuple(int(k) for k in np.argwhere(bad)[0])
            raise ParameterError(
                f"{type(self).__name__}: {of}moduli of P and S waves, {pi[i]:.6g} Pa (lam + 2 mu) and {mu[i]:.6g} Pa (mu), "
                f"in {int(bad.sum())} of {bad.size} cells, first at index {i}, make no stable medium: mu must not be "
                f"negative, and vp has to be more than {np.sqrt(2 - 2 / n):.4g} times vs"
            )

    # -- for residuals

    def momentum(self, fields, rho) -> Iterator:
        """The rows of the velocities: density times acceleration less the divergence of the stress."""
        u, dims, order, dt = self._known(fields)
        for i, d in dims.items():
            inner = ((ahead if i == j else behind)(u[f"s{min(i, j)}{max(i, j)}"], e, order) for j, e in dims.items())
            yield between(rho, d) * (u[f"v{i}"].forward - u[f"v{i}"]) / dt - sum(inner)

    def strain_rates(self, fields) -> dict:
        """The derivatives of the new velocities, by stress: along each axis, and of shears the sums of two."""
        u, dims, order, _ = self._known(fields)
        out = {f"s{i}{i}": behind(u[f"v{i}"].forward, d, order) for i, d in dims.items()}
        for i, j in combinations(self.axes, 2):
            across = ahead(u[f"v{i}"].forward, dims[j], order), ahead(u[f"v{j}"].forward, dims[i], order)
            out[f"s{i}{j}"] = across[0] + across[1]
        return out

    def _known(self, fields) -> tuple:
        first = fields[0]
        dims = dict(zip(self.axes, first.space_dimensions, strict=True))
        return fields._asdict(), dims, first.space_order, first.grid.stepping_dim.spacing
