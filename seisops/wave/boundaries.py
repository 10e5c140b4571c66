"""Absorbing boundaries, each a transformation of the residual: what they need in the adjoint follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from numbers import Real

import numpy as np

from seisops.engine.kept.notes import noted
from seisops.errors import ParameterError, shown
from seisops.wave._validate import integer

__all__ = ["PML", "Sponge"]


@noted
@dataclass(frozen=True)
class PML:
    """Convolutional perfectly matched layer (Komatitsch & Martin 2007, doi:10.1190/1.2757586), without time lag.

    Every derivative of the residual is stretched, so that the layer fits any wave equation. With depth q in (0, 1],
    thickness L and the largest velocity v,

        sigma = -(order + 1) v ln(R) / (2 L) q^order,   alpha = pi f (1 - q),
        b = exp(-(sigma + alpha) dt),                   a = sigma / (sigma + alpha) (b - 1).

    Parameters
    ----------
    cells : int
        Thickness of the layer outside the model, in cells.
    reflection : float
        R, the reflection coefficient that the profile is designed for.
    order : int
        Order of the profile's growth with depth.
    wavelength : float
        Dominant wavelength, in cells at the largest velocity, that sets the frequency f = v / (wavelength h).
    multiaxial : float, optional
        Fraction of sigma q^2 at which all waves in the layer decay, those that travel along it, too: a multi-axial layer
        (Meza-Fajardo & Papageorgiou 2008, doi:10.1785/0120070223), in which waves do not grow, but which reflects more. By
        default what the medium needs: 0 but for elastic waves, for which it is 0.05 at 8 cells where density is smooth along
        the faces of the grid, about 0.3 where it differs threefold from cell to cell, and more in proportion in thicker
        layers.
    transition : int, optional
        Further cells, between the model and the layer, that absorb nothing: there the medium turns into what it is in the
        layer, where that is another one. By default what the medium needs: 12 where :class:`~seisops.TTI` has angles and
        epsilon exceeds delta anywhere, else 0.

    Notes
    -----
    With the default, 8 cells, the largest reflected amplitude is below 5e-4 of the incident one (-77 dB in energy at 20
    cells per wavelength) for dominant wavelengths of 8 to 40 cells, for sources in the middle and two cells from the
    edge; and below 3e-3 where waves travel at half the velocity that the layer was made for.

    Layers of this kind can amplify waves whose phase and group travel in opposite directions along an axis (Becache,
    Fauqueux & Joly 2003, doi:10.1016/S0021-9991(03)00184-0): those of rough elastic media, for which `multiaxial` is there,
    and of tilted anisotropic ones whatever it is. There :class:`~seisops.TTI` is elliptic in the layer, in which nothing
    grows; so that this does not reflect, it turns elliptic in `transition` cells before.

    What comes back in such a medium, of epsilon 0.2, delta 0.1 and a tilt of 35 degrees, 20 cells to the wavelength, as
    energy and as largest amplitude relative to the incident one at the same point, where epsilon = delta around the source;
    a source elsewhere makes slow waves, which come in at all angles (energy, middle):

    ==================  ===============  ===============  =========
    layer               middle           edge             elsewhere
    ==================  ===============  ===============  =========
    transition 0        -33 dB, 9e-2     -30 dB, 8e-2     -13 dB
    transition 8        -41 dB, 4e-2     -33 dB, 6e-2     -24 dB
    transition 12       -45 dB, 2e-2     -36 dB, 5e-2     -31 dB
    transition 24       -54 dB, 5e-3     -41 dB, 2e-2     -40 dB
    ``Sponge()``        -24 dB, 6e-2     -24 dB, 1e-1     -29 dB
    ``Sponge(60)``      -32 dB, 2e-2     -32 dB, 5e-2     -37 dB
    ==================  ===============  ===============  =========

    Where the density differs from cell to cell, too (1000 to 3000 kg/m3), of 40 such media waves grew within 20,000 steps in
    4 with 0.05, in 3 with 0.1, in 13 with ``PML(12, multiaxial=0.05)``, and in none of 56 with the default, of 8, 12 or 20
    cells.

    What `multiaxial` costs elastic waves, at 20 cells for the wavelength of P: the largest reflected amplitude relative to
    the incident one at the same point, and the energy, for a source in the middle and one two cells from the edge; and in
    how many random media waves grew within 40,000 steps, of rock that differs from cell to cell (vp 1800 to 4000 m/s, vs 0.3
    to 0.65 of it), alone and below a free surface, and of cells of air, water and steel.

    =====  ==========  ==============  ==============  ========  ========  ==========
    cells  multiaxial  middle          edge            rock      surface   air, steel
    =====  ==========  ==============  ==============  ========  ========  ==========
    8      0           3e-4, -93 dB    4e-4, -73 dB
    8      0.02        1.4e-3, -87 dB  2.4e-2, -46 dB  10 of 24
    8      0.05        3.6e-3, -81 dB  5.5e-2, -39 dB  0 of 24   5 of 24   4 of 4
    8      0.1         6.9e-3, -75 dB  9.4e-2, -34 dB  0 of 24   2 of 24   1 of 4
    8      0.3                                                   0 of 8    0 of 6
    12     0.05        1.8e-3, -87 dB  2.5e-2, -45 dB  2 of 24
    12     0.075       2.7e-3, -83 dB  3.5e-2, -42 dB
    20     0.05                                        5 of 24
    12     0.1         3.5e-3, -81 dB  4.6e-2, -40 dB
    =====  ==========  ==============  ==============  ========  ========  ==========

    In smooth media 0 does; where waves grow, take more of it, with a layer of 12 cells, or a :class:`Sponge`, in which
    nothing grows.

    Raises
    ------
    ParameterError
        If `cells` is not a positive integer, or another parameter is out of its range.
    """

    cells: int = 8
    reflection: float = 1e-5
    order: int = 2
    wavelength: float = 40.0
    multiaxial: float | None = None
    transition: int | None = None

    def __post_init__(self):
        _check_cells(self)
        if self.transition is not None:
            integer("PML transition, in cells,", self.transition, 0)
        if not (isinstance(self.reflection, Real) and 0 < self.reflection < 1):
            raise ParameterError(f"PML(reflection={self.reflection!r}): must lie between 0 and 1, for example 1e-5")
        numbers = isinstance(self.order, Real) and isinstance(self.wavelength, Real)
        if not (numbers and self.order >= 1 and self.wavelength > 0):
            raise ParameterError(f"{self!r}: order must be at least 1 and wavelength positive")
        if self.multiaxial is not None and not (isinstance(self.multiaxial, Real) and 0 <= self.multiaxial <= 1):
            raise ParameterError(f"{self!r}: multiaxial is a fraction of the damping, between 0 and 1")

    #: Whether the interior knows nothing of it.
    compact = True

    @property
    def variant(self) -> str:
        """What is derived apart from others of the class."""
        return "multiaxial" if self.multiaxial else ""

    @property
    def stretch(self) -> type:
        """What becomes of a residual, see :mod:`seisops.engine.derive.layers`."""
        from seisops.engine.derive.layers import MultiaxialStretch, PMLStretch

        return MultiaxialStretch if self.multiaxial else PMLStretch

    @property
    def around(self) -> int:
        """Cells between the model and the end of the grid."""
        return self.cells + (self.transition or 0)

    def suited(self, multiaxial: float, transition: int = 0) -> PML:
        """The same for waves that need some damping along the layer, or cells before it, if nothing is said of these."""
        found = self
        if self.multiaxial is None and multiaxial:
            # thicker layers damp less, and waves are in them for longer
            found = replace(found, multiaxial=min(multiaxial * max(self.cells / PML.cells, 1.0), 1.0))
        return replace(found, transition=transition) if self.transition is None and transition else found

    def profiles(self, depth, spacing: float, velocity: float, step: float) -> dict[str, np.ndarray]:
        """Values of the profiles ``a`` and ``b`` at points of the given depth in the layer.

        Parameters
        ----------
        depth : ndarray
            Cells from the model on; 0 or less in it.
        spacing, velocity, step : float
            Cell size in m, largest velocity in m/s, time step in s.
        """
        q = np.clip((depth - (self.transition or 0)) / self.cells, 0.0, 1.0)
        sigma = -(self.order + 1) * velocity * log(self.reflection) / (2 * self.cells * spacing) * q**self.order
        alpha = np.pi * velocity / (self.wavelength * spacing) * (1 - q)
        b = np.where(q > 0, np.exp(-(sigma + alpha) * step), 0.0)
        a = np.where(q > 0, sigma / np.maximum(sigma + alpha, np.finfo(float).tiny) * (b - 1), 0.0)
        if not self.multiaxial:
            return {"a": a, "b": b}
        lost = {f"lost{steps}": -np.expm1(-steps * self.multiaxial * sigma * q**2 * step) for steps in (1, 2)}
        return {"a": a, "b": b, **lost}


@noted
@dataclass(frozen=True)
class Sponge:
    """Damping layer: every difference in time d/dt becomes d/dt + eta (Cerjan et al. 1985, doi:10.1190/1.1441945).

    Cheaper per cell than a :class:`PML` and far less absorbing; kept for comparison and for equations that a PML does
    not suit. With depth q in (0, 1] and thickness L, eta = -3 v ln(R) / (2 L) q^2.

    Parameters
    ----------
    cells : int
        Thickness of the layer outside the model, in cells.
    reflection : float
        R, the attenuation across the layer and back that the profile is designed for.
    """

    cells: int = 40
    reflection: float = 1e-3

    def __post_init__(self):
        _check_cells(self)
        if not (isinstance(self.reflection, Real) and 0 < self.reflection < 1):
            raise ParameterError(f"Sponge(reflection={self.reflection!r}): must lie between 0 and 1, for example 1e-3")

    compact = False
    variant = ""
    transition = None

    @property
    def around(self) -> int:
        """Cells between the model and the end of the grid."""
        return self.cells

    @property
    def stretch(self) -> type:
        """What becomes of a residual, see :mod:`seisops.engine.derive.layers`."""
        from seisops.engine.derive.layers import SpongeStretch

        return SpongeStretch

    def profiles(self, depth, spacing: float, velocity: float, step: float) -> dict[str, np.ndarray]:
        """Values of ``fade = exp(-eta dt / 2)`` at points of the given depth in the layer, in cells."""
        q = np.clip(depth / self.cells, 0.0, 1.0)
        return {"fade": np.exp(3 * velocity * log(self.reflection) / (4 * self.cells * spacing) * q**2 * step)}


def _check_cells(boundary) -> None:
    cells = boundary.cells
    if not isinstance(cells, int | np.integer) or isinstance(cells, bool) or cells < 1:
        raise ParameterError(
            f"{type(boundary).__name__}(cells={shown(cells)}): must be a positive number of cells, an integer"
        )
