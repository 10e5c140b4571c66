"""The functions of autograd: of an operator, of a map, of a map's pullback; closed under differentiation."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import seisops._arrays as _arrays
from seisops._pylops import pylops
from seisops.maps import Linearization, Map
from seisops.operators import LinearOperator
from seisops.torch.batches import Kept, Points, depth_of, leads_of, new_token, to_front
from seisops.torch.compiler import apart
from seisops.torch.tensors import (
    as_shape,
    home_of,
    in_line,
    range_dtype,
    require_finite,
    to_array,
    to_tensor,
)  # fmt: skip

__all__ = ["Apply", "Enter", "Pullback", "Value"]


class Function(torch.autograd.Function):
    """A function whose rule for `vmap` serves torch's older vmap as well, which looks for none.

    That one is behind ``torch.autograd.grad(is_grads_batched=True)``, the vectorised ``torch.autograd.functional`` and
    ``gradcheck``; its interface is private to torch.
    """

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Apply the function; see `torch.autograd.Function`."""
        nesting = torch._C._vmapmode_increment_nesting() - 1
        torch._C._vmapmode_decrement_nesting()
        for level in range(nesting, 0, -1):
            dims = tuple(0 if isinstance(x, Tensor) and _is_batched(x, level) else None for x in args)
            if any(dim is not None for dim in dims):
                bare = [
                    x if dim is None else torch._remove_batch_dim(x, level, 1, 0)
                    for x, dim in zip(args, dims, strict=True)
                ]
                size = next(x.shape[0] for x, dim in zip(bare, dims, strict=True) if dim is not None)
                out, _ = cls.vmap(SimpleNamespace(batch_size=size), dims, *bare)
                if isinstance(out, tuple):
                    return tuple(torch._add_batch_dim(part, 0, level) for part in out)
                return torch._add_batch_dim(out, 0, level)
        return super().apply(*args)


def _is_batched(x: Tensor, level: int) -> bool:
    # what is not batched at that level is expanded to the given size
    return torch._remove_batch_dim(x, level, 1, 0).shape[0] == torch._remove_batch_dim(x, level, 2, 0).shape[0]


# ---- the linear function


@apart("backward")
class Apply(Function):
    """``A x`` for a batch of x."""

    @staticmethod
    def forward(op: pylops.LinearOperator, x: Tensor) -> Tensor:
        with in_line(x, home_of(op)):
            arrays = to_array(x, home_of(op))
            lead = arrays.shape[: arrays.ndim - len(op.dims)]
            dtype = range_dtype(op)
            flat = [op.matvec(arrays[index].ravel()) for index in np.ndindex(lead)]
            if not op.clinear:  # real or complex as it comes, one of them for the whole batch; the precision stays
                comes = np.result_type(np.float32, *(y.dtype for y in flat)) if flat else arrays.dtype
                dtype = np.result_type(dtype.type(0).real, np.complex64 if comes.kind == "c" else np.float32)
            out = _arrays.namespace(arrays).empty((len(flat), op.shape[0]), dtype)
            for row, y in enumerate(flat):
                out[row] = y
            return to_tensor(out.reshape(*lead, *as_shape(op.dimsd)), x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.op, x = inputs
        ctx.complex = x.is_complex()

    @staticmethod
    def backward(ctx: Any, y: Tensor) -> tuple[None, Tensor]:
        x = Apply.apply(ctx.op.H, y)
        if x.is_complex() and not ctx.complex:
            x = x.real
        return None, x.to(x.dtype.to_complex()) if ctx.complex else x

    @staticmethod
    def jvp(ctx: Any, _: None, dx: Tensor) -> Tensor:
        return Apply.apply(ctx.op, dx)

    @staticmethod
    def vmap(info: Any, dims: tuple, op: pylops.LinearOperator, x: Tensor) -> tuple[Tensor, int]:
        return Apply.apply(op, x.movedim(dims[1], 0)), 0


class Enter(Apply):
    """``A x`` of what a layer is given: what is not finite is refused before anything is solved.

    Derivatives are not looked at: a scaler of gradients expects infinities there, and skips the step.
    """

    @staticmethod
    def forward(op: pylops.LinearOperator, x: Tensor) -> Tensor:
        if isinstance(op, LinearOperator) and op.solves:
            with in_line(x, home_of(op)):
                require_finite(f"{op}: the argument", op.domain, to_array(x, home_of(op)))
        return Apply.forward(op, x)

    @staticmethod
    def vmap(info: Any, dims: tuple, op: pylops.LinearOperator, x: Tensor) -> tuple[Tensor, int]:
        return Enter.apply(op, x.movedim(dims[1], 0)), 0


# ---- the nonlinear functions


@apart("backward")
class Value(Function):
    """``F(x)`` for a batch of x.

    The token `base` belongs to a `Tangent`: the linearisations of the map that it is the tangent of.
    """

    @staticmethod
    def forward(map: Map, keep: bool, token: Tensor, base: Tensor | None, *x: Tensor | None) -> Tensor:
        like = next(part for part in x if part is not None)
        with in_line(like, home_of(map)):
            points = Points.of(map, x)
            if not isinstance(map, Tangent):
                points.require_finite(map)
            kept = Kept.of(token, map)
            out = _arrays.namespace(points.one).empty((*points.lead, *map.range.shape), map.range.dtype)
            for index in np.ndindex(points.lead):
                at_x = kept.linearize(points, index) if keep else kept.get(points, index)
                if at_x is not None:
                    value = at_x.value
                elif isinstance(map, Tangent):
                    value = map.push(Kept.of(base, map.base), points, index)
                else:
                    value = map(*points.at(index))
                out[index] = value.reshape(map.range.shape)
            return to_tensor(out, like)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.map, _, *tensors = inputs
        _save(ctx, tensors)

    @staticmethod
    def backward(ctx: Any, y: Tensor | None) -> tuple:
        token, base, *x = ctx.saved_tensors
        none = (None,) * 4
        if y is None:
            return none + (None,) * len(x)
        wanted = ctx.needs_input_grad[4:]
        return none + pull(ctx.map, token, base, wanted, leads_of(ctx.map.domain, x), y, x)

    @staticmethod
    def jvp(ctx: Any, *inputs: Any) -> Tensor:
        token, base, *x = ctx.saved_tensors
        return push(ctx.map, token, base, x, inputs[4:])

    @staticmethod
    def vmap(info: Any, dims: tuple, map: Map, keep: bool, token: Tensor, base: Tensor | None, *x: Tensor | None):
        return Value.apply(map, keep, token, base, *to_front(dims[4:], map.domain, x)), 0


@apart("backward")
class Pullback(Function):
    """``J(x).H y`` by the wanted arguments, for a batch of x and y; summed over what a result's `target` batch lacks."""

    @staticmethod
    def forward(
        map: Map,
        wanted: tuple[bool, ...],
        targets: tuple,
        token: Tensor,
        base: Tensor | None,
        y: Tensor,
        *x: Tensor | None,
    ) -> tuple[Tensor, ...]:
        with in_line(y, home_of(map)):
            points = Points.of(map, x)
            kept = Kept.of(token, map)
            ys = Points((map.range,), (y,), home_of(map))
            out = [
                _arrays.zeros((*target, *space.shape), space.dtype, ys.one)
                for space, want, target in zip(map.domain, wanted, targets, strict=True)
                if want
            ]
            sums = Points([space for space, want in zip(map.domain, wanted, strict=True) if want], out)
            for index in np.ndindex(np.broadcast_shapes(points.lead, ys.lead)):
                (y_here,) = ys.at(index)
                parts = kept.linearize(points, index).pullback(y_here, wanted)
                for total, part in zip(sums.at(index), (part for part in parts if part is not None), strict=True):
                    total += part.reshape(total.shape)
            return tuple(to_tensor(array, y) for array in out)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
        ctx.map, ctx.wanted, ctx.targets, *tensors = inputs
        _save(ctx, tensors)

    @staticmethod
    def backward(ctx: Any, *z: Tensor | None) -> tuple:
        token, base, y, *x = ctx.saved_tensors
        n = len(x)
        none = (None,) * 5
        if all(part is None for part in z):
            return none + (None,) * (n + 1)
        given = iter(z)
        z = tuple(next(given) if want else None for want in ctx.wanted)
        by_y, *by_x = ctx.needs_input_grad[5:]
        tangent = new_token()
        # the second derivative first: it linearises the tangent, whose value is then at hand
        x_bar = (None,) * n
        if any(by_x):
            wanted = (*by_x, *[False] * n)
            leads = leads_of(ctx.map.domain, x)
            x_bar = pull(Tangent(ctx.map), tangent, token, wanted, leads * 2, y, (*x, *z))[:n]
        y_bar = None
        if by_y:
            y_bar = push(ctx.map, token, base, x, z, tangent).sum_to_size(y.shape)
        return (*none, y_bar, *x_bar)

    @staticmethod
    def jvp(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        token, base, y, *x = ctx.saved_tensors
        dy, *dx = inputs[5:]
        n = len(x)
        terms = []
        if dy is not None:
            terms.append(pull(ctx.map, token, base, ctx.wanted, ctx.targets, dy, x))
        if any(part is not None for part in dx):
            # the second derivative of <y, F(x)> is symmetric: what is the gradient by x there is the change here
            wanted, targets = (*ctx.wanted, *[False] * n), (*ctx.targets, *[()] * n)
            terms.append(pull(Tangent(ctx.map), new_token(), token, wanted, targets, y, (*x, *dx))[:n])
        changes = [sum(parts) for parts, want in zip(zip(*terms, strict=True), ctx.wanted, strict=True) if want]
        return tuple(changes)

    @staticmethod
    def vmap(
        info: Any, dims: tuple, map: Map, wanted: tuple, targets: tuple, token: Tensor, base: Tensor | None, *yx: Any
    ):
        spaces = (map.range, *map.domain)
        depth = depth_of(dims[5:], spaces, yx)
        padded = tuple((info.batch_size, *[1] * (depth - len(target)), *target) for target in targets)
        out = Pullback.apply(map, wanted, padded, token, base, *to_front(dims[5:], spaces, yx))
        kept = (target for target, want in zip(targets, wanted, strict=True) if want)
        shapes = ((info.batch_size, *target, *part.shape[depth + 1 :]) for target, part in zip(kept, out, strict=True))
        return tuple(part.reshape(shape) for part, shape in zip(out, shapes, strict=True)), (0,) * len(out)


def _save(ctx: Any, tensors: Sequence[Tensor | None]) -> None:
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)
    ctx.set_materialize_grads(False)


def push(
    map: Map, token: Tensor, base: Tensor | None, x: Sequence[Any], dx: Sequence[Any], tangent: Tensor | None = None
) -> Tensor:
    """``J(x) dx``, where None is a direction that does not move; `tangent` is a token of the tangent at this point."""
    if isinstance(map, Tangent) and all(part is None for part in dx[: len(dx) // 2]):
        # linear in its second half: no further tangent is needed
        half = len(dx) // 2
        return push(map.base, new_token() if base is None else base, None, x[:half], dx[half:])
    return Value.apply(Tangent(map), False, new_token() if tangent is None else tangent, token, *x, *dx)


def pull(
    map: Map,
    token: Tensor,
    base: Tensor | None,
    wanted: Sequence[bool],
    targets: Sequence[tuple],
    y: Tensor,
    x: Sequence[Any],
) -> tuple[Tensor | None, ...]:
    """``J(x).H y``, where None stands for what is not wanted."""
    half = len(x) // 2
    if isinstance(map, Tangent) and not any(wanted[:half]):
        base = new_token() if base is None else base
        return (None,) * half + pull(map.base, base, None, wanted[half:], targets[half:], y, x[:half])
    if not any(wanted):
        return (None,) * len(x)
    parts = iter(Pullback.apply(map, tuple(wanted), tuple(targets), token, base, y, *x))
    return tuple(next(parts) if want else None for want in wanted)


class Tangent(Map):
    """``(x, dx) -> J(x) dx``, for whose value a linearisation of the map will do: only its derivatives need second ones."""

    anywhere = True

    def __init__(self, base: Map) -> None:
        self.base = base
        super().__init__(base.domain * 2, base.range)

    @property
    def home(self) -> tuple[int, int] | None:
        return self.base.home

    def _fingerprint(self) -> Sequence[Any]:
        return [self.base]

    def push(self, kept: Kept, points: Points, index: tuple[int, ...]) -> NDArray:
        """Return the value, from linearisations of the map."""
        half = len(self.base.domain)
        return kept.linearize(points[:half], index).pushforward(*points[half:].at(index))

    def _linearize(self, *x: NDArray) -> Linearization:
        return self.base.tangent().linearize(*x)

    def _make_tangent(self) -> Map:
        return self.base.tangent().tangent()
