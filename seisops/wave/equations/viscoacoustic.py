"""Acoustic waves with attenuation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from seisops.engine.kept.notes import noted
from seisops.wave.equation import WaveEquation
from seisops.wave.equations.properties import DENSITY, P_VELOCITY, QUALITY, RELAXATION, SQUARED_SLOWNESS
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
from seisops.wave.equations.staggered import divergence

__all__ = ["ViscoAcoustic"]


@noted
class ViscoAcoustic(WaveEquation):
    r"""Viscoacoustic medium of constant or variable density: pressure is what standard linear solids leave of compression.

    With E what pressure would be if nothing relaxed, and one memory variable :math:`\phi_l` for each mechanism,

    .. math:: \frac{m}{1 + \tau W} E_{tt} - \nabla^2 p = q, \qquad
              t_l \, \partial_t \phi_l + \phi_l = \frac{\tau w_l}{1 + \tau W} E, \qquad p = E - \sum_l \phi_l,

    where m is the squared slowness of the relaxed medium and W the sum of the weights w. The modulus is
    :math:`M = (1 + \tau \sum_l w_l \, i \omega t_l / (1 + i \omega t_l)) / m` (Blanch, Robertsson & Symes 1995,
    doi:10.1190/1.1443744). With density, divergence and gradient are those of :class:`~seisops.Acoustic`.

    Parameters
    ----------
    grid : Grid
    vp : array_like, optional
        Phase velocity at `f0` in m/s, of the grid's shape or a scalar. Exactly one of `vp` and `m` is needed.
    qp : array_like, optional
        Quality factor at `f0`. Exactly one of `qp` and `tau` is needed.
    rho : array_like, optional
        Density in kg/m3, as of :class:`~seisops.Acoustic`.
    m : array_like, optional
        Squared slowness of the relaxed medium, at low frequencies, in s2/m2.
    tau : array_like, optional
        Strength of the relaxation: ``1/qp = tau A / (1 + tau B)``, with A and B the dispersion of the mechanisms at f0.
    f0 : float
        Reference frequency in Hz, the middle of the band over which Q is constant. With mechanisms given, 0 makes `vp` the
        velocity of the relaxed medium, and infinity that of the unrelaxed one; `tau` is needed then.
    mechanisms : int or sequence of tuple of float, optional
        How many standard linear solids, fitted to constant Q over a decade around `f0`; or ``(relaxation time in s,
        weight)`` of each. By default 1.
    ranges : mapping of str to tuple of float, optional
        Lowest and highest ``"vp"``, ``"qp"`` and ``"rho"`` that the medium and its replacements may take.

    Raises
    ------
    ParameterError
        If of any alternatives not exactly one is given, a shape does not fit, or a value is not finite or outside the
        plausible range.

    Notes
    -----
    Q is what was asked for at `f0`. For Q of 50 and more it stays within 2 % of it over a decade with three mechanisms and
    within 5 % with two; with one it is larger by a quarter at half and at twice `f0`.
    """

    parameters = ("m", "tau", "b")
    given = (("vp", "m"), ("qp", "tau"), "rho", "f0", "mechanisms")
    defaults = {"rho": None, "mechanisms": 1}
    settings = {"f0": frequency, "mechanisms": mechanisms}
    relations = {
        "m": lambda vp, tau, f0, mechanisms: modulus_over_relaxed(tau, *at_f0(f0, mechanisms)) / vp**2,
        "tau": lambda qp, f0, mechanisms: strength(qp, *at_f0(f0, mechanisms)),
        "b": lambda rho: 1 / rho,
    }
    inverses = {
        "vp": lambda m, tau, f0, mechanisms: (modulus_over_relaxed(tau, *at_f0(f0, mechanisms)) / m) ** 0.5,
        "qp": lambda tau, f0, mechanisms: quality(tau, *at_f0(f0, mechanisms)),
        "rho": lambda b: 1 / b,
    }
    reflects = {"m": "b"}
    leapfrog = True
    quantities = {"vp": P_VELOCITY, "qp": QUALITY, "rho": DENSITY, "m": SQUARED_SLOWNESS, "tau": RELAXATION}

    @property
    def solids(self) -> tuple[Mechanism, ...]:
        """Relaxation times and weights."""
        return solids(self.f0, self.mechanisms)

    @property
    def fields(self) -> tuple[str, ...]:
        return ("e", *(f"phi{n}" for n in range(len(self.solids))))

    @property
    def surface(self) -> Mapping[str, int]:
        return dict.fromkeys(self.fields, -1)

    @property
    def components(self) -> Mapping[str, Mapping[str, float]]:
        return {"p": {name: 1.0 if name == "e" else -1.0 for name in self.fields}}

    drives = {"p": {"e": 1.0}}

    def residual(self, fields, parameters):
        e, *memories = fields
        known = parameters._asdict()
        m, tau, b = known["m"], known["tau"], known.get("b")
        weights = [one.weight for one in self.solids]
        unrelaxed = 1 + sum(weights) * tau
        p, order, dt = e - sum(memories), e.space_order, e.grid.stepping_dim.spacing
        mass = m if b is None else m * b
        rows = [mass / unrelaxed * e.dt2 - divergence(p, e.space_dimensions, order, b)]
        for one, weight, phi in zip(self.solids, weights, memories, strict=True):
            relaxed = weight * tau / unrelaxed * (e.forward + e) / 2 - (phi.forward + phi) / 2
            rows.append((phi.forward - phi) / dt - relaxed / one.time)
        return tuple(rows)

    def check(self):
        beyond = ~((self.tau >= 0) & np.isfinite(self.tau))
        if beyond.any():
            raise unreached("ViscoAcoustic", "qp", self.qp[beyond].min(), self.f0, self.mechanisms)

    def speeds(self):
        c = self.coefficients()
        unrelaxed = 1 + sum(one.weight for one in self.solids) * c["tau"]
        return c["m"] ** -0.5, np.sqrt(unrelaxed / c["m"])
