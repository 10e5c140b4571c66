"""What of a wave equation decides its time step: bounds of the discrete scheme in a medium, apart from physical speeds."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import factorial

import numpy as np

from seisops.engine.stability.bound import Bound
from seisops.engine.stability.plane_waves import TOLERANCE, stable_step
from seisops.engine.stability.plane_waves import lossless as is_lossless
from seisops.engine.symbols.names import PREFIX
from seisops.errors import UnstableError
from seisops.wave.discretise.schemes import SCHEMES
from seisops.wave.equation import WaveEquation

__all__ = ["Limit", "admits", "limit", "lossless"]

# what the bound may exceed the analysis by plane waves before it is taken to know nothing of an equation
BLUNT = 9.0
# relative error of the step that is good enough
CLOSE = 1e-3
# directions in the space of parameters in which cells are sought that are at the edge of what occurs in a medium
DIRECTIONS = 24


@dataclass(frozen=True)
class Limit:
    """The largest stable time step of a scheme in a medium.

    Attributes
    ----------
    step : float
        In s.
    velocity : float
        Largest velocity of waves in m/s: as the equation states it, or else that of acoustic waves of the same limit.
    radius : float
        Spectral radius of the scheme's bound (see :mod:`seisops.engine.stability.bound`) at that step; 1 where it is sharp.
    """

    step: float
    velocity: float
    radius: float


def limit(equation: WaveEquation, template: tuple) -> Limit:
    """The limit of a scheme, without boundaries, in the medium as it is.

    Two bounds, of which each knows what the other does not. Plane waves, in homogeneous media such as those of the cells at
    the edge of what occurs: exact in these, for any equation. And the bound of the spectral radius for the medium as a whole
    (see :mod:`seisops.engine.stability.bound`), in which coefficients are averaged between cells that differ: proven for
    equations that conserve energy, and sharp where weights alternate in sign; where it is blunt, it counts relative to its
    value in the homogeneous medium.
    """
    medium = _Medium(equation, template)
    velocity, unit = equation.velocity, _acoustic_courant(template) / np.sqrt(sum(h**-2 for h in equation.grid.spacing))
    guess = medium.guess(1e-3 if velocity is None else unit / float(np.max(velocity)))
    step = stable_step(medium.symbol, medium.worst(guess), medium.spacing, guess)
    edge = medium.edge
    if any(medium.grows(edge, dt, tolerance) for dt, tolerance in ((step, TOLERANCE), (step / 8, TOLERANCE / 80))):
        step = stable_step(medium.symbol, edge, medium.spacing, step)
    plane = step
    _, radius = medium.bound.worst(step)
    if medium.bound.varies and 0 < radius < BLUNT:
        step = medium.shortened(step, radius)
    if not np.isfinite(step) or step <= 0:
        raise UnstableError(f"{equation!r} has no stable time step")
    return Limit(step, float(np.max(velocity)) if velocity is not None else unit / plane, radius)


def admits(equation: WaveEquation, template: tuple, dt: float, radius: float) -> bool:
    """Whether a medium is stable at a time step in s, given the radius of the limit of another one."""
    medium = _Medium(equation, template)
    if len(medium.symbol.terms) > 1 and medium.grows(medium.edge, dt, TOLERANCE):
        return False
    enough = radius * (1 + CLOSE)
    if medium.bound.worst(dt, enough)[1] > enough:
        return False
    blunt = not 0 < radius < BLUNT
    return blunt or not medium.bound.varies or medium.bound.radius(dt, enough) <= enough


def lossless(equation: WaveEquation, template: tuple, dt: float) -> bool:
    """Whether the interior scheme, at a time step in s, can be run backward."""
    medium = _Medium(equation, template)
    return is_lossless(medium.symbol, medium.edge, medium.spacing, dt)


class _Medium:
    """A scheme and the values of its coefficients."""

    def __init__(self, equation: WaveEquation, template: tuple):
        self.symbol, self.spacing = SCHEMES.interior(equation, template).symbol, equation.grid.spacing
        self.values = {PREFIX + name: a for name, a in equation.coefficients().items()}
        self.bound = Bound(self.symbol, self.values, self.spacing)

    def guess(self, step: float) -> float:
        """The step at which the bound is one in the worst of the homogeneous media, or a given one if there is none."""
        first = step
        for _ in range(3):  # which is the worst may depend on the step
            cell = Bound(self.symbol, self.worst(step), self.spacing)
            for _ in range(40):
                now, half = (cell.worst(dt)[1] for dt in (step, step / 2))
                if not 0 < half < now < np.inf:
                    return first
                if abs(now - 1) < CLOSE:
                    break
                step *= now ** (-1 / np.log2(now / half))
            if self.bound.worst(step)[1] < 1 + 2 * CLOSE:
                return step
        return step

    def worst(self, dt: float) -> dict[str, np.ndarray]:
        """The coefficients of the cell in which the bound is largest."""
        worst, _ = self.bound.worst(dt)
        return {name: a[worst : worst + 1] for name, a in self.bound.cells.items()}

    @cached_property
    def edge(self) -> dict[str, np.ndarray]:
        """The coefficients of cells at the edge of what occurs: the corners of the convex hull, or some of them."""
        table = np.stack(
            [np.broadcast_to(a, np.broadcast(*self.values.values()).shape).ravel() for a in self.values.values()]
        )
        low, span = table.min(axis=1), np.ptp(table, axis=1)
        moving = table[span > 0]
        if not len(moving):
            return self._at([0])
        unit = (moving - low[span > 0, None]) / span[span > 0, None]
        axes = np.eye(len(unit))
        directions = np.concatenate([axes, -axes])
        if len(unit) > 1:
            more = np.random.default_rng(0).standard_normal((DIRECTIONS * (len(unit) - 1), len(unit)))
            directions = np.concatenate([directions, more])
        return self._at(sorted({int((direction @ unit).argmax()) for direction in directions}))

    def _at(self, cells: list[int]) -> dict[str, np.ndarray]:
        return {name: np.ravel(a)[cells] if np.size(a) > 1 else np.ravel(a) for name, a in self.values.items()}

    def grows(self, values: dict[str, np.ndarray], dt: float, tolerance: float) -> bool:
        """Whether plane waves grow in any of some homogeneous media."""
        return bool(self.symbol.growth(values, self.spacing, dt).max() > tolerance)

    def shortened(self, step: float, radius: float) -> float:
        """A step, not larger, at which the bound in the medium is not larger than it is at `step` in the homogeneous one."""
        enough = radius * (1 + CLOSE)
        for _ in range(8):
            found = self.bound.radius(step, enough)
            if found <= enough:
                return step
            now, half = (self.bound.worst(dt)[1] for dt in (step, step / 2))
            order = np.log2(now / half) if 0 < half < now else 2.0
            step *= (found / radius) ** (-1 / order)
        return step


def _acoustic_courant(template: tuple) -> float:
    """v dt sqrt(sum 1/h^2) at the limit of the second-order scheme of the acoustic equation."""
    reach = template[1] // 2
    # of the centred second derivative at offset k: 2 (-1)^(k + 1) (n!)^2 / (k^2 (n - k)! (n + k)!), and minus their sum at 0
    weights = [
        Fraction(2 * factorial(reach) ** 2, k**2 * factorial(reach - k) * factorial(reach + k))
        for k in range(1, reach + 1)
    ]
    signed = sum(w * (-1) ** k for k, w in enumerate(weights))
    return 2 / np.sqrt(float(2 * (sum(weights) + abs(signed))))
