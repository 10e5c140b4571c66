"""The imaging condition: how a perturbation of parameters scatters a background wavefield, and its transpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from seisops.errors import SpaceError
from seisops.operators import Sampler
from seisops.spaces import Axis, Space
from seisops.wave.equation import WaveEquation
from seisops.wave.padding import Padding
from seisops.wave.solver import Background, Pool
from seisops.wave.space import Wavefield

__all__ = ["Imaging", "perturbation_space"]


def perturbation_space(waves: Wavefield, wrt: tuple[str, ...]) -> Space:
    """The model's space for one parameter; with a leading axis (parameter) for several."""
    model = waves.model()
    if len(wrt) == 1:
        return model
    return Space("perturbation", [Axis("parameter", len(wrt)), *model.axes], model.dtype)


class Imaging(Sampler):
    """Zero-lag correlation of an adjoint field with a background; its adjoint is the Born source ``-(dA/dp dp) u``.

    Unlike the other samplers it acts on the solver's own time steps. It holds the background of each shot up to a budget
    and asks for it again beyond that.

    Parameters
    ----------
    waves : Wavefield
    medium : WaveEquation
        Where to linearise.
    wrt : tuple of str
        Perturbed parameters.
    every : int
        Every how many steps the background is used.
    keep_bytes : int
        How much of the backgrounds may be held.
    background : callable
        ``background(shot, coefficients, every)`` computes the background of a shot.
    pool : Pool
        Takes the memory of backgrounds that are not held.
    """

    symbol = "Im"

    def __init__(
        self,
        waves: Wavefield,
        medium: WaveEquation,
        wrt: tuple[str, ...],
        every: int,
        keep_bytes: int,
        background: Callable[[int, tuple[str, ...], int], Background],
        pool: Pool,
    ):
        self.medium, self.wrt, self.every, self.keep_bytes = medium, wrt, every, keep_bytes
        self._background, self.pool = background, pool
        self._kept: dict[int, Background] = {}
        self.derivatives = {name: medium.derivatives(name) for name in wrt}
        self.coefficients = tuple(sorted({c for d in self.derivatives.values() for c in d}))
        super().__init__(waves, perturbation_space(waves, wrt))

    def __getstate__(self):
        return {**super().__getstate__(), "_kept": {}}  # backgrounds are large, and computed again where they are needed

    def keep(self, shot: int, background: Background) -> None:
        """Hold the background of a shot if the budget allows, else hand its memory in."""
        if self.held_bytes + background.nbytes <= self.keep_bytes:
            self._kept[shot] = background
        else:
            self.pool.give(background)

    @property
    def held_bytes(self) -> int:
        return sum(b.nbytes for b in self._kept.values())

    def forget(self) -> None:
        """Hand in all backgrounds."""
        for background in self._kept.values():
            self.pool.give(background)
        self._kept.clear()

    def ports(self, shot: int) -> dict:
        """The background of a shot and what it was made for, as the solver wants them; followed by `done`."""
        background = self._kept.get(shot)
        if background is None:
            background = self._background(shot, self.coefficients, self.every)
        return {"wrt": self.coefficients, "every": self.every, "background": background}

    def done(self, shot: int, background: Background) -> None:
        """The solver has used the background of a shot."""
        if shot not in self._kept:
            self.keep(shot, background)

    def spread(self, perturbation: np.ndarray, padding: Padding) -> dict[str, np.ndarray]:
        """Perturbations of the padded coefficients."""
        parts = perturbation[None] if len(self.wrt) == 1 else perturbation
        out = {c: np.zeros(padding.shape, self.domain.dtype) for c in self.coefficients}
        for name, part in zip(self.wrt, parts, strict=True):
            for c, factor in self.derivatives[name].items():
                out[c] += padding.apply(np.asarray(factor * part, self.domain.dtype))
        return out

    def gather(self, images: dict[str, np.ndarray], padding: Padding) -> np.ndarray:
        """Transpose of `spread`."""
        folded = {c: padding.apply_adjoint(image) for c, image in images.items()}
        parts = [
            sum(np.asarray(factor * folded[c], self.domain.dtype) for c, factor in self.derivatives[name].items())
            for name in self.wrt
        ]
        return parts[0] if len(parts) == 1 else np.stack(parts)

    def select(self, shots: Sequence[int]):
        raise SpaceError("the background of an image belongs to its shots: select the shots of the Jacobian instead")

    def _apply(self, x):
        raise SpaceError("an imaging condition acts on the solver's time steps: use it in a Jacobian")

    _apply_adjoint = _apply
