"""Wave equations that users might write: each is its residual and nothing else."""

import numpy as np
from devito import Derivative, cos, sin, sqrt

from seisops import WaveEquation


def half(f, *axes, order=None, after=True):
    """`f` between the nodes along some axes (averaged), or its derivative there (with `order`)."""
    for d in axes:
        where = d + d.spacing / 2 if after else d - d.spacing / 2
        if order is None:
            f = Derivative(f, d, deriv_order=0, fd_order=2, x0={d: where})
        else:
            f = Derivative(f, d, fd_order=order, x0={d: where})
    return f


class ElasticWaves(WaveEquation):
    """Velocity and stress in two dimensions (Virieux 1986), staggered in space and time; b is 1/density."""

    parameters = ("lam", "mu", "b")
    fields = ("vx", "vz", "txx", "tzz", "txz")
    source = {"txx": 1.0, "tzz": 1.0}
    observe = {"txx": 1.0, "tzz": 1.0}
    staggering = {"vx": (0.5, 0.0), "vz": (0.0, 0.5), "txz": (0.5, 0.5)}
    leapfrog = True

    def residual(self, fields, parameters):
        vx, vz, txx, tzz, txz = fields
        lam, mu, b = parameters
        x, z = vx.space_dimensions
        dt, order = vx.grid.stepping_dim.spacing, vx.space_order

        def forward(f, d):
            return half(f, d, order=order)

        def backward(f, d):
            return half(f, d, order=order, after=False)

        dxx, dzz = backward(vx.forward, x), backward(vz.forward, z)
        return (
            (vx.forward - vx) / dt - half(b, x) * (forward(txx, x) + backward(txz, z)),
            (vz.forward - vz) / dt - half(b, z) * (backward(txz, x) + forward(tzz, z)),
            (txx.forward - txx) / dt - (lam + 2 * mu) * dxx - lam * dzz,
            (tzz.forward - tzz) / dt - (lam + 2 * mu) * dzz - lam * dxx,
            (txz.forward - txz) / dt - half(mu, x, z) * (forward(vx.forward, z) + forward(vz.forward, x)),
        )

    @property
    def velocity(self):
        c = self.coefficients()
        return np.sqrt((c["lam"] + 2 * c["mu"]) * c["b"])


class TiltedWaves(WaveEquation):
    """Pseudo-acoustic waves in a tilted transversely isotropic medium (Zhang, Zhang & Zhang 2011).

    gp and gr are the derivatives of p and r along the axis of symmetry: fields without a derivative in time.
    """

    parameters = ("m", "epsilon", "delta", "theta")
    fields = ("p", "r", "gp", "gr")
    source = {"p": 1.0, "r": 1.0}
    observe = {"p": 0.5, "r": 0.5}
    leapfrog = True

    def residual(self, fields, parameters):
        p, r, gp, gr = fields
        m, epsilon, delta, theta = parameters

        def along(f):
            return sin(theta) * f.dx + cos(theta) * f.dz

        def divergence(f):
            return (sin(theta) * f).dx + (cos(theta) * f).dz

        across, axial = p.laplace - divergence(gp), divergence(gr)
        strength = sqrt(1 + 2 * delta)
        return (
            m * p.dt2 - (1 + 2 * epsilon) * across - strength * axial,
            m * r.dt2 - strength * across - axial,
            gp - along(p),
            gr - along(r),
        )

    @property
    def velocity(self):
        c = self.coefficients()
        return np.sqrt((1 + 2 * c["epsilon"]) / c["m"])


class Heat(WaveEquation):
    """Diffusion, T_t - div(kappa grad T), by forward differences in time."""

    parameters = ("kappa",)
    fields = ("T",)

    def residual(self, fields, parameters):
        (T,) = fields
        flux = (half(parameters.kappa, d) * half(T, d, order=T.space_order) for d in T.space_dimensions)
        divergence = sum(
            half(f, d, order=T.space_order, after=False) for f, d in zip(flux, T.space_dimensions, strict=True)
        )
        return ((T.forward - T) / T.grid.stepping_dim.spacing - divergence,)


class Implicit(WaveEquation):
    """Diffusion by backward differences: cannot be marched explicitly."""

    parameters = ("kappa",)

    def residual(self, fields, parameters):
        u = fields.u
        return ((u.forward - u) / u.grid.stepping_dim.spacing - parameters.kappa * u.forward.laplace,)


class Nonlinear(WaveEquation):
    """A residual that is quadratic in its field."""

    parameters = ("m",)

    def residual(self, fields, parameters):
        u = fields.u
        return (parameters.m * u.dt2 - u * u.laplace,)
