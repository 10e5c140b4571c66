"""Wave equations as a user would write them, of more fields than acoustics, for benchmarks."""

import numpy as np
from devito import Derivative, cos, sin, sqrt

import seisops as so


def half(f, d, order=None, after=True):
    """`f` half a cell on along an axis (averaged), or its derivative there (with `order`)."""
    x0 = {d: d + d.spacing / 2 if after else d - d.spacing / 2}
    if order is None:
        return Derivative(f, d, deriv_order=0, fd_order=2, x0=x0)
    return Derivative(f, d, fd_order=order, x0=x0)


class TiltedWaves(so.WaveEquation):
    """Pseudo-acoustic waves in a tilted transversely isotropic medium (Zhang et al. 2011, doi:10.1190/1.3554411).

    Two fields; the second derivative along the axis of symmetry is minus the square of the first, rotated.
    """

    parameters = ("m", "epsilon", "delta", "theta")
    fields = ("p", "r")
    source = {"p": 1.0, "r": 1.0}
    observe = {"p": 0.5, "r": 0.5}
    leapfrog = True

    def residual(self, fields, parameters):
        p, r = fields
        m, epsilon, delta, *angles = parameters
        axes = p.space_dimensions

        def axial(f):
            inner = sum(n * Derivative(f, d, fd_order=f.space_order) for n, d in zip(direction, axes, strict=True))
            return sum(Derivative(n * inner, d, fd_order=f.space_order) for n, d in zip(direction, axes, strict=True))

        theta = angles[0]
        direction = (sin(theta), cos(theta))
        if len(angles) > 1:
            direction = (sin(theta) * cos(angles[1]), sin(theta) * sin(angles[1]), cos(theta))
        across, strength = p.laplace - axial(p), sqrt(1 + 2 * delta)
        return (
            m * p.dt2 - (1 + 2 * epsilon) * across - strength * axial(r),
            m * r.dt2 - strength * across - axial(r),
        )

    @property
    def velocity(self):
        c = self.coefficients()
        return np.sqrt((1 + 2 * c["epsilon"]) / c["m"])


class TiltedWaves3(TiltedWaves):
    """The same in three dimensions."""

    parameters = ("m", "epsilon", "delta", "theta", "phi")


class LossyWaves(so.WaveEquation):
    """Viscoacoustic waves: velocity, pressure and one standard linear solid (Robertsson et al. 1994, doi:10.1190/1.1443701).

    kappa is the relaxed modulus, tau what it lacks to the unrelaxed one, rate the frequency of its relaxation in 1/s.
    """

    parameters = ("kappa", "tau", "rate", "b")
    fields = ("vx", "vz", "p", "s")
    source = {"p": 1.0}
    observe = {"p": 1.0}
    staggering = {"vx": (0.5, 0.0), "vz": (0.0, 0.5)}
    leapfrog = True

    def residual(self, fields, parameters):
        vx, vz, p, s = fields
        kappa, tau, rate, b = parameters
        (x, z), order, dt = p.space_dimensions, p.space_order, p.grid.stepping_dim.spacing
        divergence = sum(half(v.forward, d, order, after=False) for v, d in ((vx, x), (vz, z)))
        return (
            (vx.forward - vx) / dt + half(b, x) * half(p, x, order),
            (vz.forward - vz) / dt + half(b, z) * half(p, z, order),
            (p.forward - p) / dt + kappa * (1 + tau) * divergence + (s.forward + s) / 2,
            (s.forward - s) / dt + rate * ((s.forward + s) / 2 + kappa * tau * divergence),
        )

    @property
    def velocity(self):
        c = self.coefficients()
        return np.sqrt(c["kappa"] * (1 + c["tau"]) * c["b"])


class ElasticWaves(so.WaveEquation):
    """Velocity and stress in two dimensions (Virieux 1986, doi:10.1190/1.1442147); b is 1/density."""

    parameters = ("lam", "mu", "b")
    fields = ("vx", "vz", "txx", "tzz", "txz")
    source = {"txx": 1.0, "tzz": 1.0}
    observe = {"txx": 1.0, "tzz": 1.0}
    staggering = {"vx": (0.5, 0.0), "vz": (0.0, 0.5), "txz": (0.5, 0.5)}
    leapfrog = True

    def residual(self, fields, parameters):
        vx, vz, txx, tzz, txz = fields
        lam, mu, b = parameters
        (x, z), order, dt = vx.space_dimensions, vx.space_order, vx.grid.stepping_dim.spacing

        def forward(f, d):
            return half(f, d, order)

        def backward(f, d):
            return half(f, d, order, after=False)

        dxx, dzz = backward(vx.forward, x), backward(vz.forward, z)
        return (
            (vx.forward - vx) / dt - half(b, x) * (forward(txx, x) + backward(txz, z)),
            (vz.forward - vz) / dt - half(b, z) * (backward(txz, x) + forward(tzz, z)),
            (txx.forward - txx) / dt - (lam + 2 * mu) * dxx - lam * dzz,
            (tzz.forward - tzz) / dt - (lam + 2 * mu) * dzz - lam * dxx,
            (txz.forward - txz) / dt - half(half(mu, x), z) * (forward(vx.forward, z) + forward(vz.forward, x)),
        )

    @property
    def velocity(self):
        c = self.coefficients()
        return np.sqrt((c["lam"] + 2 * c["mu"]) * c["b"])
