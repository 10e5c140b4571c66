"""Operators and maps as torch layers, differentiable in every mode and to any order.

A layer knows a `pylops.LinearOperator` or a `seisops.Map`, and no physics. Three functions are closed under
differentiation:

- `Apply`, ``A x``: its derivative is ``A`` in forward and ``A.H`` in reverse mode;
- `Value`, ``F(x)``: in forward mode the value of another map, the tangent ``(x, dx) -> J(x) dx``; in reverse a `Pullback`;
- `Pullback`, ``J(x).H y``: linear in y, with the tangent as its adjoint. By x, since ``<z, J(x).H y> = <J(x) z, y>``, its
  derivative is that of the tangent: again a `Pullback`.
"""

from __future__ import annotations

from seisops._pylops import pylops
from seisops.maps import Map
from seisops.torch.layers import LinearLayer, MapLayer

__all__ = ["LinearLayer", "MapLayer", "lift"]


def __dir__() -> list[str]:
    return __all__


def lift(op: pylops.LinearOperator | Map, traceable: bool = False) -> LinearLayer | MapLayer:
    """Return an operator or a map as a torch module.

    Parameters
    ----------
    op : pylops.LinearOperator or Map
        A linear operator, ours or one of PyLops, or a nonlinear map.
    traceable : bool, optional
        Whether ``torch.compile`` sees one opaque call in place of leaving its graph, as ``fullgraph=True`` demands. Such a
        layer has reverse mode only (of a map, the first derivative only) and refuses the others.

    Returns
    -------
    LinearLayer or MapLayer
        A module without parameters: autograd in reverse and forward mode, to any order (of a map: as far as it has
        tangents), the transforms of ``torch.func``, tensors on any device. The
        computation runs where the operator does, for waves the `device` of their Wavefield: tensors on that device stay
        there, on torch's current stream, those on another go through the memory of the host.
    """
    if isinstance(op, Map):
        return MapLayer(op, traceable)
    if isinstance(op, pylops.LinearOperator):
        return LinearLayer(op, traceable)
    raise TypeError(
        f"cannot lift a {type(op).__name__}: give a pylops.LinearOperator or a seisops.Map "
        "(pylops.MatrixMult makes an operator of an array)"
    )
