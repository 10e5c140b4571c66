"""What torch.compile can trace: the same functions, opaque to it.

A graph holds numbers and tensors: an operator is its handle, its linearisations travel on a token. Reverse mode
of first order is all that torch derives properly from such an operation: in forward mode it takes zeros, silently.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from seisops._pylops import pylops
from seisops.errors import ParameterError
from seisops.maps import Map
from seisops.torch.batches import leads_of, new_token
from seisops.torch.functions import Apply, Enter, Pullback, Value
from seisops.torch.tensors import as_shape, domain_dtype, range_dtype, torch_dtype

__all__ = ["apply", "handle_of", "require_reverse_mode", "value"]

_handles: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()  # owns nothing: layers and graphs do


def handle_of(owner: pylops.LinearOperator | Map) -> int:
    """The number by which a graph knows an operator or a map."""
    _handles[id(owner)] = owner
    return id(owner)


def owner_of(handle: int) -> Any:
    """Whose handle it is."""
    if handle not in _handles:
        raise ParameterError("the layer of a compiled graph is gone: keep it as long as you call the graph")
    return _handles[handle]


def require_reverse_mode() -> None:
    """Refuse what torch would derive wrongly, in silence, from an opaque operation."""
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        raise NotImplementedError(
            "a layer made by lift(..., traceable=True) has reverse mode only, no forward mode and no transforms of "
            "torch.func: use lift(...) without traceable"
        )


@torch.library.custom_op("seisops::apply", mutates_args=())
def apply(x: Tensor, handle: int, adjoint: bool) -> Tensor:
    """``A x``, or ``A.H x``."""
    op = owner_of(handle)
    return Apply.forward(op.H, x) if adjoint else Enter.forward(op, x)


@apply.register_fake
def _(x: Tensor, handle: int, adjoint: bool) -> Tensor:
    op = owner_of(handle)
    dtype = (domain_dtype if adjoint else range_dtype)(op)
    domain, range = (op.dimsd, op.dims) if adjoint else (op.dims, op.dimsd)
    return x.new_empty((*x.shape[: x.ndim - len(domain)], *as_shape(range)), dtype=torch_dtype(dtype))


def _keep_apply(ctx: Any, inputs: tuple, output: Tensor) -> None:
    _, ctx.handle, ctx.adjoint = inputs
    ctx.owner = owner_of(ctx.handle)  # alive as long as the graph


def _apply_backward(ctx: Any, y: Tensor) -> tuple:
    require_reverse_mode()
    return apply(y, ctx.handle, not ctx.adjoint), None, None


apply.register_autograd(_apply_backward, setup_context=_keep_apply)


@torch.library.custom_op("seisops::value", mutates_args=())
def value(x: list[Tensor], handle: int, keep: bool) -> tuple[Tensor, Tensor]:
    """``F(x)`` and a token, which carries the linearisations if they are kept."""
    token = new_token()
    return Value.forward(owner_of(handle), keep, token, None, *x), token


@value.register_fake
def _(x: list[Tensor], handle: int, keep: bool) -> tuple[Tensor, Tensor]:
    map = owner_of(handle)
    lead = torch.broadcast_shapes(*leads_of(map.domain, x))
    return x[0].new_empty((*lead, *map.range.shape), dtype=torch_dtype(map.range.dtype)), new_token()


def _keep_value(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    x, ctx.handle, _ = inputs
    ctx.owner = owner_of(ctx.handle)
    ctx.wanted = [part.requires_grad for part in x]
    ctx.save_for_backward(output[1], *x)


def _value_backward(ctx: Any, y: Tensor, _: None) -> tuple:
    require_reverse_mode()
    token, *x = ctx.saved_tensors
    parts = iter(pullback(y, token, x, ctx.handle, ctx.wanted))
    return [next(parts) if want else None for want in ctx.wanted], None, None


value.register_autograd(_value_backward, setup_context=_keep_value)


@torch.library.custom_op("seisops::pullback", mutates_args=())
def pullback(y: Tensor, token: Tensor, x: list[Tensor], handle: int, wanted: list[bool]) -> list[Tensor]:
    """``J(x).H y`` by the wanted arguments."""
    map = owner_of(handle)
    return list(Pullback.forward(map, tuple(wanted), leads_of(map.domain, x), token, None, y, *x))


@pullback.register_fake
def _(y: Tensor, token: Tensor, x: list[Tensor], handle: int, wanted: list[bool]) -> list[Tensor]:
    return [torch.empty_like(part) for part, want in zip(x, wanted, strict=True) if want]


def _no_second_derivative(ctx: Any, *y: Any) -> None:
    raise NotImplementedError(
        "a map made traceable by lift(..., traceable=True) has first derivatives only: use lift(...) without traceable"
    )


pullback.register_autograd(_no_second_derivative)
