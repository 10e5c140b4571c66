"""Exact seismograms of homogeneous elastic media, lossless or not, in two dimensions (plane strain) and three.

With particle velocity v, stress s and the stiffness of an isotropic medium, waves of first order obey

    rho v_t - div s = f delta(x - x'),
    s_t - (lambda div v + mu (grad v + grad v^T)) = m delta(x - x'),      lambda + 2 mu = rho vp^2,   mu = rho vs^2,

where f is a point force (N; N/m in two dimensions) and m a moment rate (N m/s; N/s), symmetric: "sxz" is both sxz and szx.
The pressure is p = -(sum of normal stresses) / ndim, and a signal that drives "p" drives each row of a normal stress
with -1/ndim of itself. In a fluid, f = rho a and m = ndim kappa q, of the acoustic f and q in `truth.Homogeneous`.

A force alone displaces by u_i = G_ij f_j, with Green's tensor in the frequency domain (in time e^{i w t})

    G_ij = (delta_ij g_s / vs^2 + d2/(dx_i dx_j) (g_s - g_p) / w^2) / rho,

where g_p and g_s are the scalar Green's functions of ``G_tt / c^2 - lap G = delta``, in three dimensions Aki & Richards
(2002), Quantitative Seismology, 2nd ed., eq. 4.23 in time; in two Eason, Fulton & Sneddon (1956), Phil. Trans. R. Soc.
A 248. Without shear (vs = 0), g_s is nothing, except at the source. A moment M, of which m is the rate, adds to the
stress, so that it acts as the force div (M delta): u_i = dG_ij/dx_k M_jk. (Aki & Richards, ch. 3, take M off the
stress: theirs has the opposite sign.) Away from the source stresses follow from u by Hooke's law, and v = i w u.

What is heard and what is driven thus are sums of derivatives of G, by the same rule. Losses are velocities that depend on
the frequency, and are complex: the correspondence principle, e.g. Carcione (2015), Wave Fields in Real Media, 3rd ed.;
m then goes to the stress as it is, and f to the momentum.
"""

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from truth import Green, Velocity, at, heard_through


class Term(NamedTuple):
    """A factor, at each frequency, of the derivatives along `axes` of the displacement along `i`."""

    factor: complex | np.ndarray
    i: int
    axes: tuple[int, ...] = ()


def numbered(name, ndim):
    """A component by the numbers of its axes: "vz" is (1,) in two dimensions."""
    return tuple(("xz" if ndim == 2 else "xyz").index(letter) for letter in name[1:])


@dataclass(frozen=True)
class Elastic:
    """Elastic waves in a whole space.

    Parameters
    ----------
    vp, vs : float or callable
        Velocities in m/s, or what they are at angular frequencies; no shear where vs is 0.
    rho : float
        Density in kg/m3.
    """

    vp: Velocity
    vs: Velocity
    rho: float

    def record(self, drive, heard, signal, step, source, receiver):
        """What a force or a moment rate makes heard.

        Parameters
        ----------
        drive : str
            "vx", "vy" or "vz" for a force along that axis; "sxx", "sxz" and so on, or "p", for a moment rate.
        heard : str
            Likewise, a component of the particle velocity or of the stress, or pressure; "ux", "uy" or "uz" too, the
            displacement, and "exx", "exz" and so on, the rate of the strain (grad u + grad u^T) / 2.
        signal : ndarray
            Samples of f or m.
        step : float
            Between samples, in seconds.
        source, receiver : array_like
            Metres.
        """
        offset = np.subtract(receiver, source)

        def transfer(w):
            green, pairs = (
                self.green(w, offset),
                product(self.hears(heard, w, len(offset)), self.drives(drive, w, len(offset))),
            )
            return sum(a.factor * b.factor * green(a.i, b.i, *a.axes, *b.axes) for a, b in pairs)

        return heard_through(transfer, signal, step)

    def green(self, w, offset):
        """Derivatives of Green's tensor, as a function of i, j and the axes."""
        vp, vs = at(self.vp, w), at(self.vs, w)
        gp, gs = Green(w / vp, offset), None if self.fluid else Green(w / vs, offset)

        def tensor(i, j, *axes):
            if gs is None:
                return -gp(i, j, *axes) / (self.rho * w**2)
            shear = gs(*axes) / vs**2 if i == j else 0.0
            return (shear + (gs(i, j, *axes) - gp(i, j, *axes)) / w**2) / self.rho

        return tensor

    @property
    def fluid(self):
        return not callable(self.vs) and self.vs == 0

    def hears(self, name, w, ndim):
        """Terms of what is heard."""
        numbers = numbered(name, ndim)
        mu = self.rho * at(self.vs, w) ** 2
        lame = self.rho * at(self.vp, w) ** 2 - 2 * mu
        if name == "p":
            return [Term(-(lame + 2 * mu / ndim), k, (k,)) for k in range(ndim)]
        if name[0] in "uv":
            return [Term(1j * w if name[0] == "v" else 1.0, *numbers)]
        i, j = numbers
        if name[0] == "e":
            return [Term(0.5j * w, i, (j,)), Term(0.5j * w, j, (i,))]
        shear = [Term(mu, i, (j,)), Term(mu, j, (i,))]
        return shear + [Term(lame, k, (k,)) for k in range(ndim)] if i == j else shear

    def drives(self, name, w, ndim):
        """Terms of what is driven."""
        numbers = numbered(name, ndim)
        if name == "p":
            return [Term(-1 / (1j * w * ndim), k, (k,)) for k in range(ndim)]
        if name[0] == "v":
            return [Term(1.0, *numbers)]
        return [Term(1 / (1j * w), i, (j,)) for i, j in {numbers, numbers[::-1]}]
