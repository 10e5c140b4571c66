"""What of a medium is perturbed, and how that scatters: parameters, lags, and what is kept of what they reflect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seisops.engine.symbols.names import displaced
from seisops.errors import ParameterError, shown
from seisops.spaces import Axis, Space
from seisops.wave.equation import WaveEquation
from seisops.wave.grid import Grid
from seisops.wave.sampling.lags import Lags
from seisops.wave.space import Wavefield

__all__ = ["CONDITIONS", "Perturbation", "moved"]

#: How a perturbation scatters: as its derivative does, or back only.
CONDITIONS = ("correlation", "inverse_scattering")


@dataclass(frozen=True)
class Perturbation:
    """Perturbed parameters of a medium.

    Attributes
    ----------
    wrt : tuple of str
        Parameters.
    lags : Lags, optional
        At which distances from the middle the background is taken, and scattered; by default at none.
    condition : str
        One of `CONDITIONS`.
    """

    wrt: tuple[str, ...]
    lags: Lags | None = None
    condition: str = CONDITIONS[0]

    @classmethod
    def of(
        cls, grid: Grid, wrt: tuple[str, ...], lags: Mapping[str, Sequence[int]] | None, condition: str
    ) -> Perturbation:
        """What users ask for."""
        return cls(wrt, None if lags is None else Lags(grid, lags), condition)

    def __post_init__(self):
        if self.condition not in CONDITIONS:
            raise ParameterError(
                f"Jacobian(condition={shown(self.condition)}): there is {' and '.join(map(repr, CONDITIONS))}"
            )
        if self.reflects and self.lags:
            raise ParameterError(
                'Jacobian(condition="inverse_scattering", lags=...): what reflects only is made of averages of the '
                "perturbation, and lags are of what scatters in one cell: leave one of both out"
            )

    def _fingerprint(self) -> list:
        return [self.wrt, self.lags, self.condition]

    @property
    def reflects(self) -> bool:
        """Whether it scatters back only."""
        return self.condition == "inverse_scattering"

    def space(self, waves: Wavefield) -> Space:
        """The model's space, with leading axes for several parameters, and for lags."""
        model = waves.model()
        leading = [Axis("parameter", len(self.wrt))] if len(self.wrt) > 1 else []
        leading += self.lags.axes if self.lags else ()
        return Space("perturbation", [*leading, *model.axes], model.dtype) if leading else model

    def check(self, medium: WaveEquation) -> None:
        """Refuse what a medium does not have.

        Raises
        ------
        ParameterError
        """
        medium.check_wrt(self.wrt)
        if not self.reflects:
            return
        kind = type(medium).__name__
        if not medium.reflects:
            raise ParameterError(
                f'Jacobian(condition="inverse_scattering"): {kind} does not say what of it reflects and lets waves pass '
                "unchanged, as density does of an acoustic medium: use an Acoustic or ViscoAcoustic medium, or leave the "
                "condition out"
            )
        for name in self.wrt:
            moved = set(medium.derivatives(name, self.wrt))
            if not moved <= set(medium.reflects):
                raise ParameterError(
                    f'Jacobian(wrt={name!r}, condition="inverse_scattering"): {name} of {kind} is no velocity: its '
                    f"derivative moves {', '.join(sorted(moved))}; take it by {' or '.join(medium.reflects)}, or leave the "
                    "condition out"
                )

    def missing(self, medium: WaveEquation) -> list[str]:
        """Coefficients that scatter and that a medium has been made without."""
        return sorted(set(medium.reflects.values()) - set(medium.parameters)) if self.reflects else []

    def derivatives(self, medium: WaveEquation) -> dict[str, dict[str, NDArray]]:
        """By parameter, how much each coefficient moves with it, point by point."""
        by = {name: medium.derivatives(name, self.wrt) for name in self.wrt}
        if not self.reflects:
            return by
        # at normal incidence log density reflects as log velocity does, of which m is the power -2
        values = medium.coefficients()
        scales = {m: (b, values[b] / (2 * values[m])) for m, b in medium.reflects.items()}
        return {name: {scales[m][0]: scales[m][1] * rate for m, rate in moved.items()} for name, moved in by.items()}

    def coefficients(self, medium: WaveEquation) -> tuple[str, ...]:
        """What of a wave equation moves with what is perturbed."""
        return tuple(sorted({c for moved in self.derivatives(medium).values() for c in moved}))

    @property
    def offsets(self) -> list[dict[str, int]]:
        """The lags, in cells by axis."""
        return self.lags.cells if self.lags else [{}]

    def named(self, coefficient: str) -> list[str]:
        """What the engine calls the perturbations of a coefficient, one for each of the `offsets`.

        What scatters at x + h takes the background from x - h, 2 h away.
        """
        return [displaced(coefficient, {axis: -2 * n for axis, n in cells.items()}) for cells in self.offsets]

    def apart(self, array: NDArray, ndim: int) -> NDArray:
        """An array of the space as (parameter, lag, x, [y,] z)."""
        return array.reshape(len(self.wrt), len(self.offsets), *array.shape[array.ndim - ndim :])


def moved(array: NDArray, cells: Sequence[int]) -> NDArray:
    """What an array is, so many cells further along each axis; what leaves it is gone."""
    if not any(cells):
        return array
    out = np.zeros_like(array)
    by = [min(max(n, -size), size) for n, size in zip(cells, array.shape, strict=True)]
    to = tuple(slice(max(n, 0), size + min(n, 0)) for n, size in zip(by, array.shape, strict=True))
    of = tuple(slice(max(-n, 0), size + min(-n, 0)) for n, size in zip(by, array.shape, strict=True))
    out[to] = array[of]
    return out
