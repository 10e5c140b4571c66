"""Elastic waves with attenuation."""

from __future__ import annotations

import numpy as np

from seisops.engine.kept.notes import noted
from seisops.wave.equations.properties import DENSITY, P_VELOCITY, QUALITY, RELAXATION, S_VELOCITY
from seisops.wave.equations.relaxation import (
    Mechanism,
    at_f0,
    frequency,
    mechanisms,
    modulus_over_relaxed,
    quality,
    solids,
    strength,
    unreached,
)
from seisops.wave.equations.staggered import between
from seisops.wave.equations.stresses import StressVelocity, harmonic

__all__ = ["ViscoElastic"]


@noted
class ViscoElastic(StressVelocity):
    r"""Isotropic viscoelastic medium, solid or fluid: stresses are what standard linear solids leave of them.

    Particle velocity v, stress s and a memory variable r for each stress and mechanism obey (Robertsson, Blanch & Symes
    1994, doi:10.1190/1.1443701)

    .. math:: \rho \, \partial_t v_i - \partial_j s_{ij} &= f_i, \\
              \partial_t s_{ij} - \pi_U \, \delta_{ij} \, \theta - \mu_U \, e_{ij} - \sum_l r^l_{ij} &= g_{ij}, \\
              t_l \, \partial_t r^l_{ij} + r^l_{ij} + \pi \tau_p w_l \, \delta_{ij} \, \theta + \mu \tau_s w_l \, e_{ij} &= 0

    with :math:`\theta = \partial_k v_k` and :math:`e_{ij} = \partial_i v_j + \partial_j v_i - 2 \delta_{ij} \theta`. The
    relaxed moduli of P and S waves are :math:`\pi` and :math:`\mu`, the unrelaxed ones
    :math:`\pi_U = \pi (1 + \tau_p W)` and :math:`\mu_U = \mu (1 + \tau_s W)`, with W the sum of the weights w.
    Staggering, averages between the nodes and components are those of :class:`~seisops.Elastic`: in 2D ``"p"`` is minus the
    mean of :math:`s_{xx}` and :math:`s_{zz}`, without :math:`s_{yy}`.

    Parameters
    ----------
    grid : Grid
    vp, vs : array_like
        Phase velocities of P and S waves at `f0` in m/s, of the grid's shape or scalars; vs is 0 in fluids.
    rho : array_like
        Density in kg/m3.
    qp, qs : array_like, optional
        Quality factors at `f0`; or ``tau_p``, ``tau_s``, the strengths of the relaxation, as of
        :class:`~seisops.ViscoAcoustic`. In fluids qs does not matter.
    f0, mechanisms
        As of :class:`~seisops.ViscoAcoustic`. Mechanisms may be given as ``(relaxation time in s, weight for P, weight for
        S)``, too.
    ranges : mapping of str to tuple of float, optional
        Lowest and highest ``"vp"``, ``"vs"``, ``"rho"``, ``"qp"``, ``"qs"`` that the medium and its replacements may take.

    Raises
    ------
    ParameterError
        If of any alternatives not exactly one is given, a shape does not fit, a value is not finite or outside the plausible
        range, or the relaxed or the unrelaxed solid would expand under pressure.
    """

    parameters = ("pi", "mu", "tau_p", "tau_s", "rho")
    given = ("vp", "vs", "rho", ("qp", "tau_p"), ("qs", "tau_s"), "f0", "mechanisms")
    defaults = {"mechanisms": 1}
    settings = {"f0": frequency, "mechanisms": mechanisms}
    relations = {
        "pi": lambda vp, rho, tau_p, f0, mechanisms: rho * vp**2 / modulus_over_relaxed(tau_p, *at_f0(f0, mechanisms)),
        "mu": lambda vs, rho, tau_s, f0, mechanisms: (
            rho * vs**2 / modulus_over_relaxed(tau_s, *at_f0(f0, mechanisms, True))
        ),
        "tau_p": lambda qp, f0, mechanisms: strength(qp, *at_f0(f0, mechanisms)),
        "tau_s": lambda qs, f0, mechanisms: strength(qs, *at_f0(f0, mechanisms, True)),
    }
    inverses = {
        "vp": lambda pi, rho, tau_p, f0, mechanisms: (
            (pi / rho * modulus_over_relaxed(tau_p, *at_f0(f0, mechanisms))) ** 0.5
        ),
        "vs": lambda mu, rho, tau_s, f0, mechanisms: (
            (mu / rho * modulus_over_relaxed(tau_s, *at_f0(f0, mechanisms, True))) ** 0.5
        ),
        "qp": lambda tau_p, f0, mechanisms: quality(tau_p, *at_f0(f0, mechanisms)),
        "qs": lambda tau_s, f0, mechanisms: quality(tau_s, *at_f0(f0, mechanisms, True)),
    }
    quantities = {
        "vp": P_VELOCITY,
        "vs": S_VELOCITY,
        "rho": DENSITY,
        "qp": QUALITY,
        "qs": QUALITY,
        "tau_p": RELAXATION,
        "tau_s": RELAXATION,
    }

    @property
    def solids(self) -> tuple[Mechanism, ...]:
        """Relaxation times and weights."""
        return solids(self.f0, self.mechanisms)

    @property
    def memories(self) -> int:
        return len(self.solids)

    def _unrelaxed(self) -> tuple[np.ndarray, np.ndarray]:
        c = self.coefficients()
        return (
            c["pi"] * (1 + sum(one.weight for one in self.solids) * c["tau_p"]),
            c["mu"] * (1 + sum(one.shear for one in self.solids) * c["tau_s"]),
        )

    def check(self):
        for q, tau, shear in (("qp", self.tau_p, False), ("qs", self.tau_s, True)):
            beyond = ~((tau >= 0) & np.isfinite(tau))
            if beyond.any():
                raise unreached("ViscoElastic", q, self.get(q)[beyond].min(), self.f0, self.mechanisms, shear)
        c = self.coefficients()
        self.require_stable(c["pi"], c["mu"], "relaxed ")
        self.require_stable(*self._unrelaxed(), "unrelaxed ")

    def residual(self, fields, parameters):
        pi, mu, tau_p, tau_s, rho = parameters
        rates, dt = self.strain_rates(fields), fields[0].grid.stepping_dim.spacing
        dims = dict(zip(self.axes, fields[0].space_dimensions, strict=True))
        divergence = sum(rates[f"s{i}{i}"] for i in self.axes)
        rows, made = list(self.momentum(fields, rho)), {}
        for name in self.stresses:
            _, i, j = name
            if i == j:
                made[name] = (pi * divergence, tau_p), (2 * mu * (rates[name] - divergence), tau_s)
            else:
                made[name] = ((harmonic(mu, dims[i], dims[j]) * rates[name], between(tau_s, dims[i], dims[j])),)
        kept = {name: [getattr(fields, f"r{n}_{name}") for n in range(self.memories)] for name in self.stresses}
        for n, one in enumerate(self.solids):
            for name in self.stresses:
                r = kept[name][n]
                # P waves are those of the first modulus of normal stresses
                weights = (one.weight, one.shear) if len(made[name]) == 2 else (one.shear,)
                relaxing = sum(w * tau * rate for w, (rate, tau) in zip(weights, made[name], strict=True))
                rows.append((r.forward - r) / dt + ((r.forward + r) / 2 + relaxing) / one.time)
        whole = sum(one.weight for one in self.solids), sum(one.shear for one in self.solids)
        for name in self.stresses:
            s = getattr(fields, name)
            weights = whole if len(made[name]) == 2 else whole[1:]
            rate = sum((1 + w * tau) * rate for w, (rate, tau) in zip(weights, made[name], strict=True))
            rows.append((s.forward - s) / dt - rate - sum((r.forward + r) / 2 for r in kept[name]))
        return tuple(rows)

    def speeds(self):
        c = self.coefficients()
        slow = np.where(c["mu"] > 0, c["mu"], c["pi"]) / c["rho"]
        return slow**0.5, np.sqrt(self._unrelaxed()[0] / c["rho"])
