"""Models made of few numbers: splines on a coarser grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.interpolate import BSpline

from seisops.errors import ParameterError
from seisops.model.models import along, axes_in_space, coordinates, model_of
from seisops.operators import LinearOperator
from seisops.spaces import Axis, Space
from seisops.wave._validate import floats, integer

__all__ = ["Splines"]


class Splines(LinearOperator):
    r"""B-splines on a coarser grid: from their coefficients to models, ``m = sum_k c_k B_k``.

    Their sum is 1 everywhere, so that coefficients have the unit of models, and a model is nowhere larger than the largest
    of them: what bounds coefficients bounds models.

    Parameters
    ----------
    of : LinearOperator, Map, Wavefield or Space
        What the models are those of: the range. The domain has an axis of coefficients for each axis of the grid.
    spacing : array_like
        Metres from knot to knot, about, as knots divide the extent of the grid evenly: one, or one along each axis.
    degree : int, optional
        3 for cubic splines, 1 for linear interpolation between knots.

    Raises
    ------
    ParameterError
        If a spacing is not positive, finite, and less than the extent of the grid, or the degree is not from 1 to 5.

    Notes
    -----
    de Boor (1978), *A Practical Guide to Splines*; matrices by SciPy's ``BSpline.design_matrix``, knots repeated at the ends
    """

    symbol = "Splines"

    def __init__(self, of: Any, spacing: ArrayLike, degree: int = 3) -> None:
        space = model_of(of, "Splines")
        axes, self.degree = axes_in_space(space), integer("Splines degree", degree, minimum=1)
        if self.degree > 5:
            raise ParameterError(f"Splines degree must be from 1 to 5, got {degree}")
        try:
            spacings = np.broadcast_to(floats(spacing), (len(axes),)).tolist()
        except (TypeError, ValueError):
            raise ParameterError(f"Splines: spacing {spacing!r:.60} is not one for each of {len(axes)} axes") from None
        found = list(space.axes)
        self._matrices: dict[int, sparse.csr_array] = {}
        for (i, axis), distance in zip(axes.items(), spacings, strict=True):
            x = coordinates(axis)
            if not 0 < distance <= x[-1] - x[0]:
                raise ParameterError(
                    f"Splines: spacing must be positive and at most the extent of the grid, {x[-1] - x[0]:g} m along "
                    f"{axis.name}, got {distance:g} m"
                )
            cells = max(round((x[-1] - x[0]) / distance), 1)
            knots = np.linspace(x[0], x[-1], cells + 1)
            ends = [x[0]] * self.degree, [x[-1]] * self.degree
            matrix = BSpline.design_matrix(x, np.concatenate([ends[0], knots, ends[1]]), self.degree)
            self._matrices[i] = sparse.csr_array(matrix).astype(space.dtype)
            found[i] = Axis(f"coefficient_{axis.name}", matrix.shape[1])
        super().__init__(Space("splines", found, space.dtype), space)

    def _fingerprint(self) -> Sequence[Any]:
        return [self.degree]  # the rest is in the spaces

    def _apply(self, x: NDArray) -> NDArray:
        return along(self._matrices, x)

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return along({i: matrix.T for i, matrix in self._matrices.items()}, y)
