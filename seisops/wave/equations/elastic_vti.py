"""Elastic waves in transversely isotropic solids with a vertical axis."""

from __future__ import annotations

import numpy as np

from seisops.engine.kept.notes import noted
from seisops.errors import ParameterError
from seisops.wave.equations.properties import DENSITY, MODULUS, P_VELOCITY, S_VELOCITY
from seisops.wave.equations.stresses import StressVelocity, harmonic
from seisops.wave.quantities import Quantity

__all__ = ["ElasticVTI"]


@noted
class ElasticVTI(StressVelocity):
    r"""Elastic medium that is transversely isotropic about the vertical: layered rock, shale.

    Particle velocity v and stress s obey, with the strain rates :math:`e_{ij} = \partial_i v_j + \partial_j v_i`
    (:math:`e_{ii} = \partial_i v_i`),

    .. math:: \rho \, \partial_t v_i - \partial_j s_{ij} &= f_i, \\
              \partial_t s_{xx} - c_{11} e_{xx} - (c_{11} - 2 c_{66}) e_{yy} - c_{13} e_{zz} &= g_{xx}, \\
              \partial_t s_{zz} - c_{13} (e_{xx} + e_{yy}) - c_{33} e_{zz} &= g_{zz}, \\
              \partial_t s_{xz} - c_{44} e_{xz} = g_{xz}, \quad \partial_t s_{xy} - c_{66} e_{xy} &= g_{xy},

    and likewise with x and y exchanged; in two dimensions there is no y. Moduli are those of Thomsen (1986,
    doi:10.1190/1.1442051), exact in his parameters:

    .. math:: c_{33} = \rho v_p^2, \quad c_{44} &= \rho v_s^2, \quad c_{11} = (1 + 2 \epsilon) c_{33}, \quad
              c_{66} = (1 + 2 \gamma) c_{44}, \\
              (c_{13} + c_{44})^2 &= (c_{33} - c_{44}) (c_{33} - c_{44} + 2 \delta c_{33}).

    Fields lie, and parameters are averaged between the nodes, as in :class:`~seisops.Elastic`, and components are the same:
    in 2D ``"p"`` is minus the mean of :math:`s_{xx}` and :math:`s_{zz}`, without :math:`s_{yy}`.

    Parameters
    ----------
    grid : Grid
    vp, vs : array_like
        Velocities of P and S waves along the axis in m/s; vs is 0 in fluids. Instead of them, ``c33`` and ``c44`` in Pa may
        be given.
    rho : array_like
        Density in kg/m3.
    epsilon, delta, gamma : array_like, optional
        Thomsen's parameters, without unit; 0 by default. gamma is of waves that shake horizontally across their path: in
        two dimensions nothing depends on it, it is refused unless it is 0, and derivatives by it are zero.
    ranges : mapping of str to tuple of float, optional
        Lowest and highest values that the medium and its replacements may take, by name.

    Raises
    ------
    ParameterError
        If of any alternatives not exactly one is given, a shape does not fit, a value is not finite or outside the plausible
        range, or the moduli make no stable solid; in two dimensions, if gamma is not 0.
    """

    rigidity = "c44"
    parameters = ("c33", "c44", "rho", "epsilon", "delta", "gamma")
    given = (("vp", "c33"), ("vs", "c44"), "rho", "epsilon", "delta", "gamma")
    defaults = {"epsilon": 0.0, "delta": 0.0, "gamma": 0.0}
    relations = {"c33": lambda vp, rho: rho * vp**2, "c44": lambda vs, rho: rho * vs**2}
    inverses = {"vp": lambda c33, rho: (c33 / rho) ** 0.5, "vs": lambda c44, rho: (c44 / rho) ** 0.5}
    quantities = {
        "vp": P_VELOCITY,
        "vs": S_VELOCITY,
        "rho": DENSITY,
        "c33": Quantity("Pa", positive=True),
        "c44": MODULUS,
        "epsilon": Quantity("", (-0.4, 2.0), others={"percent": 0.01}),
        "delta": Quantity("", (-0.4, 2.0), others={"percent": 0.01}),
        "gamma": Quantity("", (-0.4, 2.0), others={"percent": 0.01}),
    }

    @property
    def fluid_above(self) -> bool:
        known = self.coefficients()
        return super().fluid_above and not any(np.any(known[name][..., 0]) for name in ("epsilon", "delta"))

    def check(self):
        if len(self.axes) == 2 and self.gamma.any():
            raise ParameterError(
                "ElasticVTI: gamma, of waves that shake horizontally, is given in two dimensions, where none shake "
                "across the plane and nothing depends on it: leave it out"
            )
        c33, c44 = self.c33, self.c44
        c11, c66 = c33 * (1 + 2 * self.epsilon), c44 * (1 + 2 * self.gamma)
        square = (c33 - c44) * (c33 - c44 + 2 * self.delta * c33)
        c13 = np.sqrt(np.maximum(square, 0.0)) - c44
        # compression along and across the axis must cost energy; fluids, where it just does not, may pass by rounding
        across = c11 - c66 if len(self.axes) == 3 else c11
        bad = (c44 < 0) | (square < 0) | (across * c33 < c13**2 * (1 - 1e-9)) | (c66 < 0)
        if bad.any():
            i = tuple(int(n) for n in np.argwhere(bad)[0])
            raise ParameterError(
                f"ElasticVTI: vp {self.vp[i]:.6g} m/s, vs {self.vs[i]:.6g} m/s, epsilon {self.epsilon[i]:.4g}, delta "
                f"{self.delta[i]:.4g} and gamma {self.gamma[i]:.4g} in {int(bad.sum())} of {bad.size} cells, first at index "
                f"{i}, make no stable solid: it would expand under pressure. Lower vs, |delta| or gamma, or raise epsilon"
            )

    def residual(self, fields, parameters):
        from devito import sqrt  # media are there before equations are

        c33, c44, rho, epsilon, delta, gamma = parameters
        rates, dt = self.strain_rates(fields), fields[0].grid.stepping_dim.spacing
        dims, z = dict(zip(self.axes, fields[0].space_dimensions, strict=True)), self.axes[-1]
        c11, c66 = (1 + 2 * epsilon) * c33, (1 + 2 * gamma) * c44
        c13 = sqrt((c33 - c44) * (c33 - c44 + 2 * delta * c33)) - c44
        flat = sum(rates[f"s{i}{i}"] for i in self.axes[:-1])
        rows = list(self.momentum(fields, rho))
        for name in self.stresses:
            s, (_, i, j) = getattr(fields, name), name
            if i != j:
                made = harmonic(c44 if z in (i, j) else c66, dims[i], dims[j]) * rates[name]
            elif i == z:
                made = c13 * flat + c33 * rates[name]
            else:
                others = flat - rates[name]
                made = c11 * rates[name] + c13 * rates[f"s{z}{z}"] + ((c11 - 2 * c66) * others if others != 0 else 0)
            rows.append((s.forward - s) / dt - made)
        return tuple(rows)

    def speeds(self):
        vp, vs = self.vp, self.vs
        # qSV at 45 degrees, roughly, where it is slowest; qP is fastest along or across the axis, or between
        sigma = np.where(vs > 0, (vp / np.where(vs > 0, vs, 1.0)) ** 2 * (self.epsilon - self.delta), 0.0)
        slow = vs * np.sqrt(np.clip(1 + np.minimum(np.minimum(sigma / 2, 2 * self.gamma), 0.0), 0.1, None))
        fast = vp * np.sqrt(1 + 2 * np.maximum(np.maximum(self.epsilon, self.delta), 0.0))
        return np.where(vs > 0, slow, vp), fast
