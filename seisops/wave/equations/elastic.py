"""Elastic waves in isotropic solids and fluids."""

from __future__ import annotations

import numpy as np

from seisops.engine.kept.notes import noted
from seisops.wave.equations.properties import DENSITY, MODULUS, P_VELOCITY, S_VELOCITY
from seisops.wave.equations.stresses import StressVelocity, harmonic
from seisops.wave.quantities import Quantity

__all__ = ["Elastic"]


@noted
class Elastic(StressVelocity):
    r"""Isotropic elastic medium, solid or fluid.

    Particle velocity v and stress s obey

    .. math:: \rho \, \partial_t v_i - \partial_j s_{ij} &= f_i, \\
              \partial_t s_{ij} - \lambda \delta_{ij} \, \partial_k v_k - \mu (\partial_i v_j + \partial_j v_i) &= g_{ij}

    with :math:`\mu = \rho v_s^2`, :math:`\lambda = \rho v_p^2 - 2 \mu` (Aki & Richards 2002, *Quantitative Seismology*, 2nd
    ed., sec. 2.2), in two dimensions of plane strain. Fields are staggered in space and time (Virieux 1986,
    doi:10.1190/1.1442147). Between the nodes density is the mean of its neighbours, and the shear modulus their harmonic
    mean, which makes contacts of solids, and of solids with fluids, right to second order (Moczo et al. 2002,
    doi:10.1785/0120010167).

    Components are ``"p"``, minus the mean of the normal stresses along the axes of the grid; the particle velocities
    ``"vx"``, ``"vz"``; and the stresses ``"sxx"``, ``"szz"``, ``"sxz"`` (in 3D ``"vy"``, ``"syy"``, ``"sxy"``, ``"syz"``,
    too). In 2D ``"p"`` is :math:`-(s_{xx} + s_{zz}) / 2`, without the stress across the plane, :math:`s_{yy}`, which is no
    field: a bulk modulus of :math:`\lambda + \mu`, in 3D :math:`\lambda + 2 \mu / 3`, the same in fluids. Driven, a velocity
    is a force f in N (in N/m in 2D), a stress minus the rate of a moment tensor's entry, g in N m/s, one off the diagonal of
    both entries, and ``"p"`` an explosion.

    At a free surface differences along z end such that they are summed by parts (O'Reilly et al. 2017,
    doi:10.1016/j.jcp.2017.06.030), which makes it free of traction and conserves energy.

    Parameters
    ----------
    grid : Grid
    vp : array_like, optional
        Velocity of P waves in m/s, of the grid's shape or a scalar. Instead, ``lam`` in Pa may be given, or the
        impedance ``ip`` (rho vp) in kg/m2/s.
    vs : array_like, optional
        Velocity of S waves in m/s, 0 in fluids. Instead, ``mu`` in Pa may be given, or the impedance ``si`` (rho vs).
    rho : array_like, optional
        Density in kg/m3. Instead, ``b``, one over it, may be given.
    ranges : mapping of str to tuple of float, optional
        Lowest and highest ``"vp"``, ``"vs"``, ``"rho"`` (and ``"lam"``, ``"mu"``) that the medium and its replacements may
        take.

    Raises
    ------
    ParameterError
        If of any alternatives not exactly one is given, a shape does not fit, a value is not finite or outside the plausible
        range, or vp is not large enough for vs: the solid would expand under pressure.

    Notes
    -----
    What one differentiates by is held with the first of the other alternatives: by ``vp`` with ``vs`` and ``rho``, by
    ``("lam", "mu", "rho")`` with no others.
    """

    parameters = ("lam", "mu", "rho")
    given = (("vp", "lam", "ip"), ("vs", "mu", "si"), ("rho", "b"))
    relations = {
        "lam": lambda vp, vs, rho: rho * (vp**2 - 2 * vs**2),
        "mu": lambda vs, rho: rho * vs**2,
        "rho": lambda b: 1 / b,
        "vp": lambda ip, rho: ip / rho,
        "vs": lambda si, rho: si / rho,
    }
    inverses = {
        "vp": lambda lam, mu, rho: ((lam + 2 * mu) / rho) ** 0.5,
        "vs": lambda mu, rho: (mu / rho) ** 0.5,
        "b": lambda rho: 1 / rho,
        "ip": lambda lam, mu, rho: ((lam + 2 * mu) * rho) ** 0.5,
        "si": lambda mu, rho: (mu * rho) ** 0.5,
    }
    quantities = {
        "vp": P_VELOCITY,
        "vs": S_VELOCITY,
        "rho": DENSITY,
        "b": Quantity("m3/kg", positive=True),
        "lam": MODULUS,
        "mu": MODULUS,
        "ip": Quantity("kg/m2/s", positive=True),
        "si": Quantity("kg/m2/s"),
    }

    def check(self):
        self.require_stable(self.lam + 2 * self.mu, self.mu)

    def residual(self, fields, parameters):
        lam, mu, rho = parameters
        rates, dt = self.strain_rates(fields), fields[0].grid.stepping_dim.spacing
        dims = dict(zip(self.axes, fields[0].space_dimensions, strict=True))
        divergence = sum(rates[f"s{i}{i}"] for i in self.axes)
        rows = list(self.momentum(fields, rho))
        for name in self.stresses:
            s, (_, i, j) = getattr(fields, name), name
            made = lam * divergence + 2 * mu * rates[name] if i == j else harmonic(mu, dims[i], dims[j]) * rates[name]
            rows.append((s.forward - s) / dt - made)
        return tuple(rows)

    def speeds(self):
        vp, vs = self.vp, self.vs
        return np.where(vs > 0, vs, vp), vp
