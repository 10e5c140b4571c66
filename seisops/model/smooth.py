"""Smoothing of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from seisops.errors import ParameterError
from seisops.model.models import axes_in_space, model_of
from seisops.operators import LinearOperator
from seisops.wave._validate import floats

__all__ = ["Smooth"]


class Smooth(LinearOperator):
    """Convolution with a Gaussian, of models that go on as in a mirror beyond the grid; its own adjoint.

    What is constant stays as it is. Mirrored about the faces of the outermost cells, the matrix is symmetric: SciPy's
    ``gaussian_filter(mode="reflect")``.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        What the models are those of.
    length : array_like
        Standard deviation in metres: one, or one along each axis, 0 for none.

    Raises
    ------
    ParameterError
        If lengths are not finite, negative, or not as many as axes.

    Notes
    -----
    As P of a misfit it is a change of variables, ``m = m0 + P x``, with smooth updates; the inverse of a prior's
    covariance that is a Gaussian is `P` times its adjoint.
    """

    symbol = "Smooth"

    def __init__(self, of: Any, length: ArrayLike) -> None:
        space = model_of(of, "Smooth")
        axes = axes_in_space(space)
        try:
            lengths = np.broadcast_to(floats(length), (len(axes),))
        except (TypeError, ValueError):
            raise ParameterError(f"Smooth: length {length!r:.60} is not one for each of {len(axes)} axes") from None
        if not np.isfinite(lengths).all() or (lengths < 0).any():
            raise ParameterError(f"Smooth: lengths must be finite and not negative, got {lengths.tolist()} metres")
        self.lengths = tuple(lengths.tolist())
        self._sigma = [0.0] * len(space.axes)
        for (i, axis), n in zip(axes.items(), self.lengths, strict=True):
            self._sigma[i] = n / (axis.step or 1.0)
        super().__init__(space, space)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.lengths]

    def _make_adjoint(self) -> Smooth:
        return self

    def _apply(self, x: NDArray) -> NDArray:
        return ndimage.gaussian_filter(x, self._sigma, mode="reflect")

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return self._apply(y)
