"""Modules: what torch users hold, check and cast; what they compute is in `functions`, or in `traced`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from seisops._pylops import pylops
from seisops.errors import ParameterError, SpaceError
from seisops.maps import Map
from seisops.operators import LinearOperator
from seisops.torch import traced
from seisops.torch.batches import new_token
from seisops.torch.compiler import apart, require_no_transform
from seisops.torch.functions import Enter, Value
from seisops.torch.tensors import as_shape, domain_dtype, ends_with, in_words, require_floats, torch_dtype
from seisops.torch.traced import handle_of, require_reverse_mode

__all__ = ["LinearLayer", "MapLayer"]


@apart("_forward_apart", "_make_adjoint")
class LinearLayer(torch.nn.Module):
    """A linear operator as a torch module.

    Parameters
    ----------
    op : pylops.LinearOperator
        The operator.
    traceable : bool, optional
        See `lift`.

    Notes
    -----
    It maps ``(*batch, *domain)`` to ``(*batch, *range)``, and flat ``(*batch, n)`` to flat ``(*batch, m)``. Results have the
    dtype of the operator: what comes in is cast, and its gradient is cast back. A real operator acts on the real and on
    the imaginary part of a complex tensor.
    """

    def __init__(self, op: pylops.LinearOperator, traceable: bool = False) -> None:
        super().__init__()
        if traceable and not op.clinear:
            raise ParameterError(
                f"cannot trace {op}: it is linear over the reals only, and whether its results are complex shows when it "
                "is applied: use lift(op) without traceable"
            )
        self.op = op
        self.traceable = traceable
        self._origin: tuple[LinearLayer, ...] = ()  # a tuple, as a module that is an attribute becomes a child
        self._dims, self._size = as_shape(op.dims), int(op.shape[1])
        self._dtype = torch_dtype(domain_dtype(op))
        self._handle = handle_of(op)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._handle = handle_of(self.op)

    @property
    def H(self) -> LinearLayer:
        """The layer of the adjoint; ``layer.H.H is layer``."""
        if self._origin:
            return self._origin[0]
        require_no_transform()
        return self._make_adjoint()

    def _make_adjoint(self) -> LinearLayer:
        adjoint = LinearLayer(self.op.H, self.traceable)
        adjoint._origin = (self,)
        return adjoint

    def forget(self) -> None:
        """Release what the operator holds that it could compute again, and what is spare."""
        if isinstance(self.op, LinearOperator):
            self.op.forget()

    def forward(self, x: Tensor) -> Tensor:
        """Apply the operator to every element of a batch.

        Parameters
        ----------
        x : Tensor
            Of shape ``(*batch, *domain)``, or ``(*batch, n)`` for flat results.
        """
        if self.traceable:
            return self._forward(x)
        require_no_transform()
        return self._forward_apart(x)

    def _forward_apart(self, x: Tensor) -> Tensor:
        return self._forward(x)

    def _forward(self, x: Tensor) -> Tensor:
        dims = self._dims
        require_floats(self, "the argument", x)
        flat = not ends_with(x, dims)
        if flat and not ends_with(x, (self._size,)):
            raise SpaceError(
                f"cannot apply {self} to a tensor of shape {tuple(x.shape)}: expected {in_words(dims)}"
                + (f" or {in_words((self._size,))}" if len(dims) > 1 else "")
            )
        y = self._cast(x.unflatten(-1, dims) if flat else x)
        return y.flatten(x.ndim - 1) if flat else y

    def _cast(self, x: Tensor) -> Tensor:
        dtype = self._dtype
        if not self.op.clinear:  # linear over the reals: only the precision is the operator's
            dtype = dtype.to_complex() if x.is_complex() else dtype.to_real()
        elif x.is_complex() and not dtype.is_complex:
            return torch.complex(self._cast(x.real), self._cast(x.imag))
        x = x.to(dtype)
        if self.traceable:
            require_reverse_mode()
            return traced.apply(x, self._handle, False)
        return Enter.apply(self.op, x)

    def extra_repr(self) -> str:
        """Return the operator and its spaces."""
        op = self.op
        return str(op) if isinstance(op, LinearOperator) else f"{op}: {as_shape(op.dims)} -> {as_shape(op.dimsd)}"


@apart("_forward_apart")
class MapLayer(torch.nn.Module):
    """A nonlinear map as a torch module.

    Parameters
    ----------
    map : Map
        The map.
    traceable : bool, optional
        See `lift`.

    Notes
    -----
    Every argument is a tensor ``(*batch, *space)``; the batches broadcast against each other, and the result is
    ``(*batch, *range)``. The map is linearised once for each element of the batch, in the forward pass; what that holds
    lives as long as the tensors that autograd saves, and is counted in ``map.held_bytes``.
    """

    def __init__(self, map: Map, traceable: bool = False) -> None:
        super().__init__()
        self.map = map
        self.traceable = traceable
        self._shapes = tuple(space.shape for space in map.domain)
        self._dtypes = tuple(torch_dtype(space.dtype) for space in map.domain)
        self._handle = handle_of(map)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._handle = handle_of(self.map)

    def forget(self) -> None:
        """Release what the map could compute again, and what is spare; results stay differentiable."""
        self.map.forget()

    def forward(self, *x: Tensor) -> Tensor:
        """Return the value of the map for every element of a batch.

        Parameters
        ----------
        *x : Tensor
            One tensor for every argument of the map.
        """
        if self.traceable:
            return self._forward(*x)
        require_no_transform()
        return self._forward_apart(*x)

    def _forward_apart(self, *x: Tensor) -> Tensor:
        return self._forward(*x)

    def _forward(self, *x: Tensor) -> Tensor:
        if len(x) != len(self._shapes):
            raise SpaceError(f"{self} takes {len(self._shapes)} arguments, got {len(x)}")
        for i, (shape, dtype, part) in enumerate(zip(self._shapes, self._dtypes, x, strict=True)):
            require_floats(self, f"argument {i}", part)
            if not ends_with(part, shape):
                raise SpaceError(
                    f"cannot apply {self}: argument {i} has shape {tuple(part.shape)}, expected {in_words(shape)} "
                    f"of {self.map.domain[i]}"
                )
            if part.is_complex() and not dtype.is_complex:
                raise SpaceError(
                    f"cannot apply {self}: argument {i} is complex, {self.map.domain[i]} is real: take its real part"
                )
            if part.device != x[0].device:
                raise SpaceError(
                    f"cannot apply {self}: argument 0 is on {x[0].device}, argument {i} on {part.device}: "
                    "move them to one device"
                )
        leads = [part.shape[: part.ndim - len(shape)] for part, shape in zip(x, self._shapes, strict=True)]
        for place in range(1, max(map(len, leads)) + 1):
            if len({lead[-place] for lead in leads if len(lead) >= place} - {1}) > 1:
                raise SpaceError(
                    f"cannot apply {self}: the batches of its arguments, {', '.join(str(tuple(lead)) for lead in leads)}, "
                    "do not broadcast: make their sizes equal, or 1"
                )
        parts = [part.to(dtype) for part, dtype in zip(x, self._dtypes, strict=True)]
        if self.traceable:
            require_reverse_mode()
            keep = torch.is_grad_enabled() and any(part.requires_grad for part in parts)
            return traced.value(parts, self._handle, keep)[0]
        return Value.apply(self.map, any(map(_may_be_differentiated, parts)), new_token(), None, *parts)

    def extra_repr(self) -> str:
        """Return the map and its spaces."""
        return repr(self.map).strip("<>")


def _may_be_differentiated(x: Tensor) -> bool:
    if torch.func.debug_unwrap(x, recurse=False) is not x:  # inside torch.func: by which transforms, nobody says
        return torch.is_grad_enabled()
    return (x.requires_grad and torch.is_grad_enabled()) or forward_ad.unpack_dual(x).tangent is not None
