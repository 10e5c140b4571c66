"""Wavelet-weighted stacks of wavefields, and extended sources."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seisops.errors import ParameterError
from seisops.operators import Sampler
from seisops.spaces import shot_numbers
from seisops.wave.sampling.coupling import Coupling, total
from seisops.wave.sampling.ways import StackWay
from seisops.wave.space import Wavefield

__all__ = ["Wavelet"]


class Wavelet(Coupling, Sampler):
    """Wavelet-weighted stack of a wavefield; its adjoint is an extended source, a point source at every grid point.

    Maps u to one image for each shot, ``w[s, x] = sum_t f(t) u[s, t, x]``; the adjoint maps weights w to the source
    ``f(t) w(x)``.

    Parameters
    ----------
    waves : Wavefield
    signature : array_like
        f at the samples of `waves.time`: ``(nt,)`` for all shots or ``(shots, nt)``.
    component : str, optional
        What of the medium's waves it is of, as of :class:`~seisops.Projection`.

    Raises
    ------
    ParameterError
        If the signature does not have the samples of the time axis, or is not finite.
    """

    def __init__(self, waves: Wavefield, signature, component: str | None = None):
        Wavefield.required("Wavelet", waves)
        try:
            signature = np.asarray(signature, dtype=waves.dtype)
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"Wavelet(signature={signature!r:.60}): give an array of samples, such as ricker(time, f0)"
            ) from error
        if signature.shape not in ((waves.time.n,), (waves.shots, waves.time.n)):
            raise ParameterError(
                f"Wavelet(signature of shape {signature.shape}): needs ({waves.time.n},) samples of {waves.time!r}, or "
                f"({waves.shots}, {waves.time.n}) with one signature for each shot"
            )
        if not np.isfinite(signature).all():
            raise ParameterError(
                f"Wavelet: {int((~np.isfinite(signature)).sum())} samples of the signature are not finite"
            )
        self.signature = np.array(np.broadcast_to(signature, (waves.shots, waves.time.n)))
        self.signature.flags.writeable = False
        self.component = component
        super().__init__(waves, waves.images())

    symbol = "W"

    def _fingerprint(self) -> list:
        return [self.signature] if self.component is None else [self.signature, self.component]

    def select(self, shots: Sequence[int]) -> Wavelet:
        signature = self.signature[shot_numbers(shots, self.domain.shots, self)]
        return Wavelet(self.domain.select(shots), signature, self.component)

    def _apply(self, x):
        return np.einsum("st,st...->s...", self.signature, x)

    def _apply_adjoint(self, y):
        return np.einsum("st,s...->st...", self.signature, y)

    # -- in a solve

    def entering(self, shot, x, where):
        signal, image = self.signature[shot], where.here(x[shot])
        return [StackWay(n, where.to_solver(signal, place), where.embed(image, place)) for n, place in where.places]

    def leaving(self, shot, where):
        return [StackWay(n, where.to_solver(self.signature[shot], place)) for n, place in where.places]

    def found(self, results, where):
        return total(where.crop(image, place) for image, (_, place) in zip(results, where.places, strict=True))

    def signals(self, x):
        return self.signature
