"""Pseudo-acoustic waves in transversely isotropic media with a vertical or tilted axis."""

from __future__ import annotations

import numpy as np

from seisops.engine.kept.notes import noted
from seisops.errors import ParameterError
from seisops.wave.equation import WaveEquation
from seisops.wave.equations.properties import DENSITY, P_VELOCITY, SQUARED_SLOWNESS
from seisops.wave.equations.staggered import ahead, behind, between, divergence, mean_ahead, mean_behind
from seisops.wave.quantities import Quantity

__all__ = ["TTI"]


@noted
class TTI(WaveEquation):
    r"""Transversely isotropic medium, pseudo-acoustic, with a vertical axis of symmetry (VTI) or a tilted one (TTI).

    With second derivatives :math:`G_\parallel` along the axis of symmetry and :math:`G_\perp` across it, two fields obey

    .. math:: m \, r_{tt} - s \, G_\perp p - G_\parallel r = q, \qquad m \, w_{tt} - G_\perp p = 0, \qquad
              p = 2 (\epsilon - \delta) \, w + s \, r, \quad s = \sqrt{1 + 2 \delta},

    with m the squared slowness along the axis. Eliminating w in favour of p gives the equations of Zhang, Zhang & Zhang
    (2011, doi:10.1190/1.3554411), of the stresses p across and r along the axis, the acoustic limit (no shear stiffness
    along the axis) of elastic waves. In this form they are symmetric in any medium: sources and receivers are reciprocal,
    and energy is conserved as long as :math:`\delta \le \epsilon`. Where angles are given, with n the direction of the axis,

    .. math:: G_\parallel f = \nabla \cdot \big(n \, (n \cdot \nabla f)\big), \qquad G_\perp f = \nabla^2 f - G_\parallel f,

    with densities, divided by them inside as :class:`~seisops.Acoustic` divides. For epsilon = delta = 0 the discrete
    equations are those of :class:`~seisops.Acoustic`, to rounding.

    The component ``"p"`` is r, which is pressure where the medium is isotropic. A source in an anisotropic place also makes
    the diamond-shaped quasi-SV wave of pseudo-acoustics, slow, and stronger the more epsilon exceeds delta: put sources
    where the medium is isotropic, as in water, or let epsilon equal delta around them (Duveneck & Bakker 2011,
    doi:10.1190/1.3533964).

    Parameters
    ----------
    grid : Grid
    vp : array_like, optional
        Velocity along the axis of symmetry in m/s, of the grid's shape or a scalar. Exactly one of `vp` and `m` is needed.
    epsilon, delta : array_like, optional
        Thomsen parameters (Thomsen 1986, doi:10.1190/1.1442051), delta nowhere larger than epsilon; by default 0.
    theta : array_like, optional
        Angle in radians from the z axis, which points down, to the axis of symmetry, towards x. Left out, it is vertical,
        which costs about a quarter.
    phi : array_like, optional
        In 3D, angle in radians from the x axis to the plane of the tilt, towards y; only with `theta`. Left out, it is 0.
    rho : array_like, optional
        Density in kg/m3, as of :class:`~seisops.Acoustic`.
    m : array_like, optional
        Squared slowness along the axis in s2/m2.
    ranges : mapping of str to tuple of float, optional
        Lowest and highest ``"vp"``, ``"rho"``, ``"epsilon"``, ``"delta"`` that the medium and its replacements may take.

    Raises
    ------
    ParameterError
        If not exactly one of `vp` and `m` is given, a shape does not fit, a value is not finite or outside the plausible
        range, `delta` is larger than `epsilon` anywhere, or `phi` is given without `theta` or in 2D.
    """

    parameters = ("m", "epsilon", "anellipticity", "theta", "phi", "b")
    given = (("vp", "m"), "epsilon", "delta", "theta", "phi", "rho")
    defaults = {"epsilon": 0.0, "delta": 0.0, "theta": None, "phi": None, "rho": None}
    relations = {
        "m": lambda vp: vp**-2,
        "anellipticity": lambda epsilon, delta: epsilon - delta,
        "b": lambda rho: 1 / rho,
    }
    inverses = {
        "vp": lambda m: m**-0.5,
        "delta": lambda epsilon, anellipticity: epsilon - anellipticity,
        "rho": lambda b: 1 / b,
    }
    fields = ("r", "w")
    components = {"p": {"r": 1.0}}
    leapfrog = True
    surface = {"r": -1, "w": -1, "theta": -1}
    quantities = {
        "vp": P_VELOCITY,
        "m": SQUARED_SLOWNESS,
        "rho": DENSITY,
        "epsilon": Quantity("", (-0.4, 2.0), others={"percent": 0.01}),
        "delta": Quantity("", (-0.4, 2.0), others={"percent": 0.01}),
        "theta": Quantity("rad", (-6.3, 6.3), others={"degrees": np.pi / 180}),
        "phi": Quantity("rad", (-6.3, 6.3), others={"degrees": np.pi / 180}),
    }

    @property
    def ending(self):
        return () if self.theta is None else ("anellipticity",)

    @property
    def transition(self):
        return 0 if self.theta is None or not (self.epsilon - self.delta).any() else 12

    def check(self):
        if self.phi is not None and (self.theta is None or self.grid.ndim == 2):
            raise ParameterError("TTI: phi, the azimuth of the tilt, is given " + (
                "without theta, the tilt" if self.theta is None else "in two dimensions, where theta is all there is"
            ))  # fmt: skip
        for name in ("epsilon", "delta"):
            flat = getattr(self, name) <= -0.5
            if flat.any():
                i = tuple(int(n) for n in np.argwhere(flat)[0])
                raise ParameterError(
                    f"TTI: {name} is {getattr(self, name)[i]:.6g} in {int(flat.sum())} of {flat.size} cells, first at index "
                    f"{i}: no wave has a speed there, whose square is vp**2 (1 + 2 {name}); give more than -0.5"
                )
        wrong = self.delta > self.epsilon + 1e-9
        if wrong.any():
            i = tuple(int(n) for n in np.argwhere(wrong)[0])
            raise ParameterError(
                f"TTI: delta {self.delta[i]:.6g} is larger than epsilon {self.epsilon[i]:.6g} in {int(wrong.sum())} of "
                f"{wrong.size} cells, first at index {i}: pseudo-acoustic waves grow without bound there; lower delta to "
                "epsilon, as in delta=np.minimum(delta, epsilon)"
            )

    def residual(self, fields, parameters):
        from devito import sqrt  # media are there before equations are

        r, w = fields
        known = parameters._asdict()
        b, beyond = known.get("b"), known["anellipticity"]
        strength = sqrt(1 + 2 * (known["epsilon"] - beyond))
        p = 2 * beyond * w + strength * r
        axes, order = r.space_dimensions, r.space_order
        if "theta" in known:
            direction = _direction(known, axes)
            along = _rotated(r, direction, axes, order, b)
            across = _rotated(p, direction, axes, order, b, rest=True)
        else:
            along, across = divergence(r, axes[-1:], order, b), divergence(p, axes[:-1], order, b)
        mass = known["m"] if b is None else known["m"] * b
        # the second row times s is taken from the first: so its derivatives need no `across` of the background
        return mass * (r.dt2 - strength * w.dt2) - along, mass * w.dt2 - across

    def speeds(self):
        vp = self.vp
        slower = np.sqrt(np.minimum(1 + 2 * np.minimum(self.delta, self.epsilon), 1))
        return vp * slower, vp * np.sqrt(np.maximum(1 + 2 * self.epsilon, 1))


def _direction(parameters, axes) -> list:
    """The axis of symmetry, a unit vector."""
    from devito import cos, sin  # media are there before equations are

    theta, phi = parameters["theta"], parameters.get("phi")
    if len(axes) == 2:
        return [sin(theta), cos(theta)]
    if phi is None:
        return [sin(theta), 0, cos(theta)]
    return [sin(theta) * cos(phi), sin(theta) * sin(phi), cos(theta)]


def _rotated(f, direction, axes, order: int, b, rest: bool = False):
    """The second derivative along a direction, or the `rest` of the Laplacian.

    Without a density, minus the square of the first derivative, which is antisymmetric. With one, all is made of the slopes
    half way between nodes that `divergence` is made of, times the root of b, and of their means in the nodes: as no mean is
    larger than what it is of, neither part is positive, whatever the density, and waves do not grow.
    """
    from devito import Derivative, sqrt

    tilted = [(n, d) for n, d in zip(direction, axes, strict=True) if n != 0]
    if b is None:
        slope = sum(n * Derivative(f, d, fd_order=order) for n, d in tilted)
        along = sum(Derivative(n * slope, d, fd_order=order) for n, d in tilted)
        return divergence(f, axes, order) - along if rest else along
    roots = {d: sqrt(between(b, d)) for d in axes}
    slopes = {d: roots[d] * ahead(f, d, order) for d in axes}
    slope = sum(n * mean_behind(slopes[d], d, order) for n, d in tilted)
    along = {d: mean_ahead(n * slope, d, order) for n, d in tilted}
    flux = {d: slopes[d] - along.get(d, 0) for d in axes} if rest else along
    return sum(behind(roots[d] * flux[d], d, order) for d in flux)
