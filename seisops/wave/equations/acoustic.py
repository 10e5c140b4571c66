"""Acoustic waves of constant or variable density."""

from __future__ import annotations

from seisops.engine.kept.notes import noted
from seisops.wave.equation import WaveEquation
from seisops.wave.equations.properties import DENSITY, P_VELOCITY, SQUARED_SLOWNESS
from seisops.wave.equations.staggered import divergence

__all__ = ["Acoustic"]


@noted
class Acoustic(WaveEquation):
    r"""Acoustic medium of constant or variable density.

    Without density, pressure p obeys (m is squared slowness)

    .. math:: m \, p_{tt} - \nabla^2 p = q,

    and with density :math:`\rho`, in kg/m3,

    .. math:: \frac{m}{\rho} p_{tt} - \nabla \cdot \Big(\frac1\rho \nabla p\Big) = q

    (Aki & Richards 2002, *Quantitative Seismology*, 2nd ed., sec. 2.1). Gradient and divergence are shifted by half a
    cell, and 1/rho is averaged in between, which makes the discrete operator symmetric and free of checkerboard modes.

    Parameters
    ----------
    grid : Grid
    vp : array_like, optional
        Velocity in m/s, of the grid's shape or a scalar. Exactly one of `vp` and `m` is needed.
    m : array_like, optional
        Squared slowness in s2/m2.
    rho : array_like, optional
        Density in kg/m3. Left out, it is 1 in the equation above: where it is the same
        everywhere, data of the same sources are `rho` times as large with it, and the waves are the same.
    ranges : mapping of str to tuple of float, optional
        Lowest and highest ``"vp"`` and ``"rho"`` that the medium and its replacements may take. By default velocities of
        50 m/s (soil) to 20 km/s (diamond) and densities of 50 kg/m3 (snow) to 25 g/cm3 (osmium); numbers beyond them are
        mostly in other units. Air of 1.2 kg/m3 needs ``ranges={"rho": (1.0, 25e3)}``.

    Attributes
    ----------
    vp, m, rho : ndarray
        What it was given by, or what follows from that; `rho` is None where it was left out.

    Raises
    ------
    ParameterError
        If both or neither of `vp` and `m` are given, a shape does not fit, or a value is not positive and finite, or
        outside the plausible range.
    """

    parameters = ("m", "b")
    given = (("vp", "m"), "rho")
    defaults = {"rho": None}
    relations = {"m": lambda vp: vp**-2, "b": lambda rho: 1 / rho}
    inverses = {"vp": lambda m: m**-0.5, "rho": lambda b: 1 / b}
    components = {"p": {"u": 1.0}}
    reflects = {"m": "b"}
    leapfrog = True
    surface = {"u": -1}
    quantities = {"vp": P_VELOCITY, "m": SQUARED_SLOWNESS, "rho": DENSITY}

    def residual(self, fields, parameters):
        u, known = fields.u, parameters._asdict()
        m, b = known["m"], known.get("b")
        mass = m if b is None else m * b
        return (mass * u.dt2 - divergence(u, u.space_dimensions, u.space_order, b),)

    def speeds(self):
        vp = self.vp
        return vp, vp
