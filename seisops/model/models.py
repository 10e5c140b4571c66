"""The space of a model, of whatever it is that has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from seisops.errors import ParameterError
from seisops.maps import Map
from seisops.operators import LinearOperator
from seisops.spaces import Axis, Space
from seisops.wave.space import Wavefield

__all__ = ["along", "axes_in_space", "coordinates", "model_of"]


def model_of(of: Any, who: str) -> Space:
    """The space of the models of a Jacobian, a map or a wavefield, or that itself.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        Of an operator its domain, of a map that of the first argument.
    who : str
        Who asks, for messages.
    """
    space = of
    if isinstance(of, Wavefield):
        space = of.model()
    elif isinstance(of, LinearOperator):
        space = of.domain
    elif isinstance(of, Map):
        space = of.domain[0]
    if not isinstance(space, Space) or not axes_in_space(space):
        raise ParameterError(
            f"{who} needs models on a grid: a Jacobian or a Parametric, a Wavefield, or a space such as waves.model(), got "
            f"{space!r:.200}"
        )
    return space


def axes_in_space(space: Space) -> dict[int, Axis]:
    """The axes along which a model varies in space, by their numbers."""
    return {i: axis for i, axis in enumerate(space.axes) if axis.name in "xyz" and axis.step is not None}


def coordinates(axis: Axis) -> NDArray[np.float64]:
    """Those of the nodes along an axis, in metres."""
    return (axis.origin or 0.0) + (axis.step or 1.0) * np.arange(axis.size)


def along(matrices: Mapping[int, sparse.sparray], x: NDArray) -> NDArray:
    """Matrices times the columns along axes, one after another.

    Parameters
    ----------
    matrices : mapping of int to sparse array
        By axis.
    x : ndarray
    """
    for axis, matrix in matrices.items():
        first = np.moveaxis(x, axis, 0)
        out = matrix @ first.reshape(len(first), -1)
        x = np.moveaxis(out.reshape(-1, *first.shape[1:]), 0, axis)
    return x
