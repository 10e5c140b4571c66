"""Exact seismograms at a plane, in two dimensions: below a free surface, at the bottom of the sea, between two solids.

The plane is z = 0. Along it, waves of every wavenumber k go their own way; up and down a wave of velocity c goes as
e^{-i k x} e^{+/- nu z}, nu = sqrt(k^2 - w^2 / c^2). A line source at depth h sends up (Aki & Richards (2002),
Quantitative Seismology, 2nd ed., sec. 6.1, in two dimensions)

    G = 1/(2 pi) int e^{-i k x} e^{nu (z - h)} / (2 nu) dk,

so that derivatives are factors, d = (-i k, nu) for what goes up and (-i k, -nu) for what goes down. Displacements are
those of potentials, along d for P and across it, along d' = (-d_z, d_x), for S. As d_x^2 + d_z^2 = -w^2 / c^2, Green's
tensor in `truth_elastic` is -(d_i d_j g_p + d'_i d'_j g_s) / (rho w^2): a source sends each wave as strongly as it is
heard where it is sent. Waves then leave the plane to both sides, such that

    at a free surface   there is no traction: szz = sxz = 0;
    between media       ux, uz, szz and sxz are the same on both sides (ux only between two solids, sxz = 0 in a fluid).

The integral over k is a sum, as if there were sources all along x, so far apart that those others are not heard within
the record: Bouchon & Aki (1977), Bull. Seism. Soc. Am. 67. The damped frequencies of `truth.heard_through` keep off the
poles of waves along the plane. Both is exact; that the sum ends where waves do not reach the plane costs `NEGLECTED`.
"""

import math
from dataclasses import dataclass

import numpy as np
from truth import at, heard_through
from truth_elastic import Elastic

#: What is left on their way of the waves that are left out.
NEGLECTED = 1e-14


class Wave:
    """P or S of wavenumbers k and frequencies w, which go together as arrays do, on its way up or down."""

    def __init__(self, medium, shear, k, w, up):
        self.medium, self.w, self.up = medium, w, up
        nu = np.sqrt(k**2 - (w / at(medium.vs if shear else medium.vp, w)) ** 2 + 0j)
        self.nu = np.where(nu.real < 0, -nu, nu)
        self.along = (-1j * k, self.nu if up else -self.nu)
        self.displacement = (-self.along[1], self.along[0]) if shear else self.along

    def heard(self, name):
        """Of a potential of 1 at the plane, there."""
        return self._sum(self.medium.hears(name, self.w, 2))

    def sent(self, name, distance):
        """Potential at the plane, of a source at a distance from it."""
        strength = -self._sum(self.medium.drives(name, self.w, 2)) / (self.medium.rho * self.w**2)
        return strength * np.exp(-self.nu * distance) / (2 * self.nu)

    def _sum(self, terms):
        total = np.zeros(self.nu.shape, complex)
        for factor, i, axes in terms:
            total += factor * self.displacement[i] * math.prod(self.along[j] for j in axes)
        return total


def waves(medium, k, w, up):
    """P, and S where there is shear."""
    return [Wave(medium, shear, k, w, up) for shear in ((False,) if medium.fluid else (False, True))]


@dataclass(frozen=True)
class Interface:
    """Elastic waves on both sides of z = 0.

    Parameters
    ----------
    above, below : Elastic
        Media where z is negative, and where it is not; z = 0 is a free surface where there is None above.
    """

    above: Elastic | None
    below: Elastic

    def record(self, drive, heard, signal, step, source, receiver):
        """What a force or a moment rate makes heard: see `Elastic.record`."""
        (x0, z0), (x, z) = source, receiver
        below, beneath = z0 >= 0, z >= 0
        here = self.below if below else self.above
        fastest = max(np.real(at(medium.vp, 1e9)) for medium in self.media)
        spacing = abs(x - x0) + 1.05 * fastest * step * len(signal)

        def transfer(w):
            w = w[:, None]
            slowest = max(np.abs(w / at(medium.vp if medium.fluid else medium.vs, w)).max() for medium in self.media)
            end = np.hypot(slowest, np.log(NEGLECTED) / (abs(z0) + abs(z)))
            count = int(end * spacing / (2 * np.pi))
            k = 2 * np.pi / spacing * np.arange(-count, count + 1)
            incoming = [(wave, wave.sent(drive, abs(z0))) for wave in waves(here, k, w, up=below)]
            total = sum(
                potential * wave.heard(heard) * np.exp(-wave.nu * abs(z))
                for wave, potential in self.leaving(k, w, incoming)
                if wave.up != beneath
            )
            return total @ np.exp(-1j * k * (x - x0)) / spacing

        answer = heard_through(transfer, signal, step)
        return answer + here.record(drive, heard, signal, step, source, receiver) if below == beneath else answer

    @property
    def media(self):
        return [medium for medium in (self.above, self.below) if medium]

    def leaving(self, k, w, incoming):
        """Waves that leave the plane, with their potentials there, by those that come with theirs."""
        up = waves(self.above, k, w, up=True) if self.above else []
        out = [*up, *waves(self.below, k, w, up=False)]
        solids = [medium for medium in self.media if not medium.fluid]
        conditions = (
            ["szz"] + ["sxz"] * bool(solids) + ["uz"] * bool(self.above) + ["ux"] * bool(self.above and solids[1:])
        )

        # what leaves upwards, or comes downwards, is heard above: it counts against what is below
        matrix = np.array([[(-1) ** wave.up * wave.heard(name) for wave in out] for name in conditions])
        come = np.array([sum((-1) ** wave.up * a * wave.heard(name) for wave, a in incoming) for name in conditions])
        matrix, come = np.moveaxis(matrix, (0, 1), (-2, -1)), np.moveaxis(come, 0, -1)
        potentials = np.moveaxis(np.linalg.solve(matrix, come[..., None])[..., 0], -1, 0)
        return list(zip(out, potentials, strict=True))


def fluid_over_solid(slowness, sea, ground):
    """Pressure of the plane wave that comes back, per that which comes down; `slowness` in s/m, along the bottom.

    By impedances, and with the angle of S: Brekhovskikh (1980), Waves in Layered Media, 2nd ed., ch. 1,

        R = (Z_p cos^2 2 theta_s + Z_s sin^2 2 theta_s - Z) / (Z_p cos^2 2 theta_s + Z_s sin^2 2 theta_s + Z).
    """

    def impedance(rho, c):  # rho c / cos(theta); beyond the critical angle waves decay
        return rho / np.conj(np.sqrt(c**-2.0 - slowness**2 + 0j))

    twice = 2 * (slowness * ground.vs) ** 2
    z = impedance(ground.rho, ground.vp) * (1 - twice) ** 2
    if ground.vs:
        z = z + impedance(ground.rho, ground.vs) * twice * (2 - twice)
    return (z - impedance(sea.rho, sea.vp)) / (z + impedance(sea.rho, sea.vp))
