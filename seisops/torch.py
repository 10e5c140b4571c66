"""Operators and maps as torch layers, differentiable in every mode and to any order.

A layer knows a `pylops.LinearOperator` or a `seisops.Map`, and no physics. Three functions are closed under
differentiation:

- `Apply`, ``A x``: its derivative is ``A`` in forward and ``A.H`` in reverse mode;
- `Value`, ``F(x)``: in forward mode the value of another map, the tangent ``(x, dx) -> J(x) dx``; in reverse a `Pullback`;
- `Pullback`, ``J(x).H y``: linear in y, with the tangent as its adjoint. By x, since ``<z, J(x).H y> = <J(x) z, y>``, its
  derivative is that of the tangent: again a `Pullback`.
"""

from __future__ import annotations

import functools
import math
import sys
import weakref
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad

from seisops._pylops import pylops
from seisops.errors import ParameterError, SpaceError
from seisops.maps import Linearization, Map
from seisops.operators import LinearOperator
from seisops.spaces import Space

__all__ = ["LinearLayer", "MapLayer", "lift"]


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
        tangents), the transforms of ``torch.func``, tensors on any device (the computation itself runs on the CPU).
    """
    if isinstance(op, Map):
        return MapLayer(op, traceable)
    if isinstance(op, pylops.LinearOperator):
        return LinearLayer(op, traceable)
    raise TypeError(
        f"cannot lift a {type(op).__name__}: give a pylops.LinearOperator or a seisops.Map "
        "(pylops.MatrixMult makes an operator of an array)"
    )


# ---- out of torch.compile's sight
#
# Beyond its graphs the compiler looks at every Python function that runs while it is on: what a layer calls, what the engine
# of autograd calls back, and their NumPy, which it replaces by torch. What torch calls of ours is therefore kept apart.


def _apart(*names: str) -> Callable[[type], type]:
    """Decorate a class some of whose methods torch.compile leaves alone, together with all that they call.

    That is ``torch.compiler.disable``, as soon as there is a compiler: it takes a second to import.
    """

    def decorate(owner: type) -> type:
        for name in names:
            _keep_apart(owner, name)
        return owner

    return decorate


def _keep_apart(owner: type, name: str) -> None:
    method = owner.__dict__[name]
    kind = staticmethod if isinstance(method, staticmethod) else lambda function: function
    function = getattr(owner, name)

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        if "torch._dynamo" not in sys.modules:
            return function(*args)
        hidden = torch.compiler.disable(function)
        setattr(owner, name, kind(hidden))  # from now on without this frame, which the compiler looks at
        return hidden(*args)

    setattr(owner, name, kind(run))


class _Eagerly(BaseException):
    """Raised only where torch.compile reads code, which then leaves the function around it to Python."""


def _require_no_transform() -> None:
    """Break no graph inside torch.func: whoever breaks one there, torch.compile fails as it goes on (seen in 2.13)."""
    if torch.compiler.is_dynamo_compiling() and torch._C._are_functorch_transforms_active():
        raise _Eagerly("a layer under torch.func is not compiled, nor is the function that it is in")


# ---- modules


@_apart("_forward_apart", "_make_adjoint")
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
        self._dims, self._size = _shape(op.dims), int(op.shape[1])
        self._dtype = _torch_dtype(_domain_dtype(op))
        self._handle = _handle(op)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._handle = _handle(self.op)

    @property
    def H(self) -> LinearLayer:
        """The layer of the adjoint; ``layer.H.H is layer``."""
        if self._origin:
            return self._origin[0]
        _require_no_transform()
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
        _require_no_transform()
        return self._forward_apart(x)

    def _forward_apart(self, x: Tensor) -> Tensor:
        return self._forward(x)

    def _forward(self, x: Tensor) -> Tensor:
        dims = self._dims
        _require_floats(self, "the argument", x)
        flat = not _ends_with(x, dims)
        if flat and not _ends_with(x, (self._size,)):
            raise SpaceError(
                f"cannot apply {self} to a tensor of shape {tuple(x.shape)}: expected {_batch(dims)}"
                + (f" or {_batch((self._size,))}" if len(dims) > 1 else "")
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
            _require_reverse_mode()
            return _traced_apply(x, self._handle, False)
        return Enter.apply(self.op, x)

    def extra_repr(self) -> str:
        """Return the operator and its spaces."""
        op = self.op
        return str(op) if isinstance(op, LinearOperator) else f"{op}: {_shape(op.dims)} -> {_shape(op.dimsd)}"


@_apart("_forward_apart")
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
        self._dtypes = tuple(_torch_dtype(space.dtype) for space in map.domain)
        self._handle = _handle(map)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._handle = _handle(self.map)

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
        _require_no_transform()
        return self._forward_apart(*x)

    def _forward_apart(self, *x: Tensor) -> Tensor:
        return self._forward(*x)

    def _forward(self, *x: Tensor) -> Tensor:
        if len(x) != len(self._shapes):
            raise SpaceError(f"{self} takes {len(self._shapes)} arguments, got {len(x)}")
        for i, (shape, dtype, part) in enumerate(zip(self._shapes, self._dtypes, x, strict=True)):
            _require_floats(self, f"argument {i}", part)
            if not _ends_with(part, shape):
                raise SpaceError(
                    f"cannot apply {self}: argument {i} has shape {tuple(part.shape)}, expected {_batch(shape)} "
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
            _require_reverse_mode()
            keep = torch.is_grad_enabled() and any(part.requires_grad for part in parts)
            return _traced_value(parts, self._handle, keep)[0]
        return Value.apply(self.map, any(map(_may_be_differentiated, parts)), _token(), None, *parts)

    def extra_repr(self) -> str:
        """Return the map and its spaces."""
        return repr(self.map).strip("<>")


# ---- the linear function


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


@_apart("backward")
class Apply(Function):
    """``A x`` for a batch of x."""

    @staticmethod
    def forward(op: pylops.LinearOperator, x: Tensor) -> Tensor:
        arrays = _numpy(x)
        lead = arrays.shape[: arrays.ndim - len(op.dims)]
        dtype = _range_dtype(op)
        flat = [op.matvec(arrays[index].ravel()) for index in np.ndindex(lead)]
        if not op.clinear:  # real or complex as it comes, one of them for the whole batch; the precision stays
            comes = np.result_type(np.float32, *flat) if flat else arrays.dtype
            dtype = np.result_type(dtype.type(0).real, np.complex64 if comes.kind == "c" else np.float32)
        out = np.empty((len(flat), op.shape[0]), dtype)
        for row, y in zip(out, flat, strict=True):
            row[...] = y
        return _tensor(out.reshape(*lead, *_shape(op.dimsd)), x)

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
            _require_finite(f"{op}: the argument", op.domain, _numpy(x))
        return Apply.forward(op, x)

    @staticmethod
    def vmap(info: Any, dims: tuple, op: pylops.LinearOperator, x: Tensor) -> tuple[Tensor, int]:
        return Enter.apply(op, x.movedim(dims[1], 0)), 0


# ---- the nonlinear functions
#
# A token is a small tensor, saved beside the point. Its storage carries the linearisations, so that they live as long
# as what autograd saves: they go after a backward pass, and when checkpointing drops what it will compute again. Who finds
# a token without linearisations makes them anew, at the cost of the forward solve. Functions see storages only
# in `forward`: under the transforms of torch.func, tensors are wrapped elsewhere.


@_apart("backward")
class Value(Function):
    """``F(x)`` for a batch of x.

    The token `base` belongs to a `Tangent`: the linearisations of the map that it is the tangent of.
    """

    @staticmethod
    def forward(map: Map, keep: bool, token: Tensor, base: Tensor | None, *x: Tensor | None) -> Tensor:
        points = Points(map.domain, x)
        if not isinstance(map, Tangent):
            points.require_finite(map)
        kept = Kept.of(token, map)
        out = np.empty((*points.lead, *map.range.shape), map.range.dtype)
        for index in np.ndindex(points.lead):
            at_x = kept.linearize(points, index) if keep else kept.get(points, index)
            if at_x is not None:
                value = at_x.value
            elif isinstance(map, Tangent):
                value = map.push(Kept.of(base, map.base), points, index)
            else:
                value = map(*points.at(index))
            out[index] = value.reshape(map.range.shape)
        return _tensor(out, next(part for part in x if part is not None))

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
        return none + pull(ctx.map, token, base, wanted, _leads(ctx.map.domain, x), y, x)

    @staticmethod
    def jvp(ctx: Any, *inputs: Any) -> Tensor:
        token, base, *x = ctx.saved_tensors
        return push(ctx.map, token, base, x, inputs[4:])

    @staticmethod
    def vmap(info: Any, dims: tuple, map: Map, keep: bool, token: Tensor, base: Tensor | None, *x: Tensor | None):
        return Value.apply(map, keep, token, base, *_to_front(dims[4:], map.domain, x)), 0


@_apart("backward")
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
        points = Points(map.domain, x)
        kept = Kept.of(token, map)
        out = [
            np.zeros((*target, *space.shape), space.dtype)
            for space, want, target in zip(map.domain, wanted, targets, strict=True)
            if want
        ]
        sums = Points([space for space, want in zip(map.domain, wanted, strict=True) if want], out)
        ys = Points((map.range,), (y,))
        for index in np.ndindex(np.broadcast_shapes(points.lead, ys.lead)):
            (y_here,) = ys.at(index)
            parts = kept.linearize(points, index).pullback(y_here, wanted)
            for total, part in zip(sums.at(index), (part for part in parts if part is not None), strict=True):
                total += part.reshape(total.shape)
        return tuple(_tensor(array, y) for array in out)

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
        tangent = _token()
        # the second derivative first: it linearises the tangent, whose value is then at hand
        x_bar = (None,) * n
        if any(by_x):
            wanted = (*by_x, *[False] * n)
            leads = _leads(ctx.map.domain, x)
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
            terms.append(pull(Tangent(ctx.map), _token(), token, wanted, targets, y, (*x, *dx))[:n])
        changes = [sum(parts) for parts, want in zip(zip(*terms, strict=True), ctx.wanted, strict=True) if want]
        return tuple(changes)

    @staticmethod
    def vmap(
        info: Any, dims: tuple, map: Map, wanted: tuple, targets: tuple, token: Tensor, base: Tensor | None, *yx: Any
    ):
        spaces = (map.range, *map.domain)
        depth = _depth(dims[5:], spaces, yx)
        padded = tuple((info.batch_size, *[1] * (depth - len(target)), *target) for target in targets)
        out = Pullback.apply(map, wanted, padded, token, base, *_to_front(dims[5:], spaces, yx))
        kept = (target for target, want in zip(targets, wanted, strict=True) if want)
        shapes = ((info.batch_size, *target, *part.shape[depth + 1 :]) for target, part in zip(kept, out, strict=True))
        return tuple(part.reshape(shape) for part, shape in zip(out, shapes, strict=True)), (0,) * len(out)


def push(
    map: Map, token: Tensor, base: Tensor | None, x: Sequence[Any], dx: Sequence[Any], tangent: Tensor | None = None
) -> Tensor:
    """``J(x) dx``, where None is a direction that does not move; `tangent` is a token of the tangent at this point."""
    if isinstance(map, Tangent) and all(part is None for part in dx[: len(dx) // 2]):
        # linear in its second half: no further tangent is needed
        half = len(dx) // 2
        return push(map.base, _token() if base is None else base, None, x[:half], dx[half:])
    return Value.apply(Tangent(map), False, _token() if tangent is None else tangent, token, *x, *dx)


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
        base = _token() if base is None else base
        return (None,) * half + pull(map.base, base, None, wanted[half:], targets[half:], y, x[:half])
    if not any(wanted):
        return (None,) * len(x)
    parts = iter(Pullback.apply(map, tuple(wanted), tuple(targets), token, base, y, *x))
    return tuple(next(parts) if want else None for want in wanted)


class Tangent(Map):
    """``(x, dx) -> J(x) dx``, for whose value a linearisation of the map will do: only its derivatives need second ones."""

    def __init__(self, base: Map) -> None:
        self.base = base
        super().__init__(base.domain * 2, base.range)

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


class Points:
    """Arrays of spaces with leading dimensions, which broadcast against each other; None stands for zeros."""

    def __init__(self, spaces: Sequence[Space], x: Sequence[Any]) -> None:
        self.spaces = tuple(spaces)
        self.arrays = [_numpy(part) if isinstance(part, Tensor) else part for part in x]
        self.leads = _leads(self.spaces, self.arrays)
        self.lead = np.broadcast_shapes(*self.leads)

    def __getitem__(self, part: slice) -> Points:
        return Points(self.spaces[part], self.arrays[part])

    def at(self, index: tuple[int, ...]) -> list[Any]:
        """Return the views of one element of the batch, given by its index in a batch of at least as many dimensions."""
        return [
            None if part is None else part[(*_folded(index, lead), ...)]
            for part, lead in zip(self.arrays, self.leads, strict=True)
        ]

    def key(self, index: tuple[int, ...]) -> tuple[int, int]:
        """Return the size of the batch and the number of one element, whatever dimensions of one element it has."""
        number = 0
        for i, n in zip(_folded(index, self.lead), self.lead, strict=True):
            number = number * n + i
        return math.prod(self.lead), number

    def require_finite(self, map: Map) -> None:
        """Refuse NaN and infinity before anything is solved."""
        for i, (space, part) in enumerate(zip(self.spaces, self.arrays, strict=True)):
            _require_finite(f"{map!r}: argument {i}", space, part)


@_apart("__del__")
class Kept:
    """The linearisations of a map at the elements of a batch."""

    def __init__(self, map: Map) -> None:
        self.map = map
        self._at: dict[tuple[int, int], Linearization] = {}

    @classmethod
    def of(cls, token: Tensor, map: Map) -> Kept:
        """Return what the storage of a token carries."""
        storage = token.untyped_storage()
        if not hasattr(storage, "kept"):
            storage.kept = cls(map)
        return storage.kept

    def get(self, points: Points, index: tuple[int, ...]) -> Linearization | None:
        """Return the linearisation at an element, if there is one."""
        return self._at.get(points.key(index))

    def linearize(self, points: Points, index: tuple[int, ...]) -> Linearization:
        """Return the linearisation at an element, which costs a solve where there is none."""
        at_x = self.get(points, index)
        if at_x is None:
            x = (
                space.zeros() if part is None else part
                for space, part in zip(points.spaces, points.at(index), strict=True)
            )
            at_x = self._at[points.key(index)] = self.map.linearize(*x)
        return at_x

    def __del__(self) -> None:
        for at_x in self._at.values():
            at_x.close()


# ---- what torch.compile can trace: the same functions, opaque to it
#
# A graph holds numbers and tensors: an operator is its handle, its linearisations travel on a token. Reverse mode
# of first order is all that torch derives properly from such an operation: in forward mode it takes zeros, silently.

_handles: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()  # owns nothing: layers and graphs do


def _handle(owner: pylops.LinearOperator | Map) -> int:
    _handles[id(owner)] = owner
    return id(owner)


def _owner(handle: int) -> Any:
    if handle not in _handles:
        raise ParameterError("the layer of a compiled graph is gone: keep it as long as you call the graph")
    return _handles[handle]


def _require_reverse_mode() -> None:
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        raise NotImplementedError(
            "a layer made by lift(..., traceable=True) has reverse mode only, no forward mode and no transforms of "
            "torch.func: use lift(...) without traceable"
        )


@torch.library.custom_op("seisops::apply", mutates_args=())
def _traced_apply(x: Tensor, handle: int, adjoint: bool) -> Tensor:
    op = _owner(handle)
    return Apply.forward(op.H, x) if adjoint else Enter.forward(op, x)


@_traced_apply.register_fake
def _(x: Tensor, handle: int, adjoint: bool) -> Tensor:
    op = _owner(handle)
    dtype = (_domain_dtype if adjoint else _range_dtype)(op)
    domain, range = (op.dimsd, op.dims) if adjoint else (op.dims, op.dimsd)
    return x.new_empty((*x.shape[: x.ndim - len(domain)], *_shape(range)), dtype=_torch_dtype(dtype))


def _keep_apply(ctx: Any, inputs: tuple, output: Tensor) -> None:
    _, ctx.handle, ctx.adjoint = inputs
    ctx.owner = _owner(ctx.handle)  # alive as long as the graph


def _traced_apply_backward(ctx: Any, y: Tensor) -> tuple:
    _require_reverse_mode()
    return _traced_apply(y, ctx.handle, not ctx.adjoint), None, None


_traced_apply.register_autograd(_traced_apply_backward, setup_context=_keep_apply)


@torch.library.custom_op("seisops::value", mutates_args=())
def _traced_value(x: list[Tensor], handle: int, keep: bool) -> tuple[Tensor, Tensor]:
    token = _token()
    return Value.forward(_owner(handle), keep, token, None, *x), token


@_traced_value.register_fake
def _(x: list[Tensor], handle: int, keep: bool) -> tuple[Tensor, Tensor]:
    map = _owner(handle)
    lead = torch.broadcast_shapes(*_leads(map.domain, x))
    return x[0].new_empty((*lead, *map.range.shape), dtype=_torch_dtype(map.range.dtype)), _token()


def _keep_value(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    x, ctx.handle, _ = inputs
    ctx.owner = _owner(ctx.handle)
    ctx.wanted = [part.requires_grad for part in x]
    ctx.save_for_backward(output[1], *x)


def _traced_value_backward(ctx: Any, y: Tensor, _: None) -> tuple:
    _require_reverse_mode()
    token, *x = ctx.saved_tensors
    parts = iter(_traced_pullback(y, token, x, ctx.handle, ctx.wanted))
    return [next(parts) if want else None for want in ctx.wanted], None, None


_traced_value.register_autograd(_traced_value_backward, setup_context=_keep_value)


@torch.library.custom_op("seisops::pullback", mutates_args=())
def _traced_pullback(y: Tensor, token: Tensor, x: list[Tensor], handle: int, wanted: list[bool]) -> list[Tensor]:
    map = _owner(handle)
    return list(Pullback.forward(map, tuple(wanted), _leads(map.domain, x), token, None, y, *x))


@_traced_pullback.register_fake
def _(y: Tensor, token: Tensor, x: list[Tensor], handle: int, wanted: list[bool]) -> list[Tensor]:
    return [torch.empty_like(part) for part, want in zip(x, wanted, strict=True) if want]


def _no_second_derivative(ctx: Any, *y: Any) -> None:
    raise NotImplementedError(
        "a map made traceable by lift(..., traceable=True) has first derivatives only: use lift(...) without traceable"
    )


_traced_pullback.register_autograd(_no_second_derivative)


# ---- helpers


def _is_batched(x: Tensor, level: int) -> bool:
    # what is not batched at that level is expanded to the given size
    return torch._remove_batch_dim(x, level, 1, 0).shape[0] == torch._remove_batch_dim(x, level, 2, 0).shape[0]


def _token() -> Tensor:
    return torch.zeros(1, device="cpu")


def _save(ctx: Any, tensors: Sequence[Tensor | None]) -> None:
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)
    ctx.set_materialize_grads(False)


def _may_be_differentiated(x: Tensor) -> bool:
    if torch.func.debug_unwrap(x, recurse=False) is not x:  # inside torch.func: by which transforms, nobody says
        return torch.is_grad_enabled()
    return (x.requires_grad and torch.is_grad_enabled()) or forward_ad.unpack_dual(x).tangent is not None


def _numpy(x: Tensor) -> NDArray:
    return x.detach().cpu().resolve_conj().resolve_neg().numpy()


def _tensor(x: NDArray, like: Tensor) -> Tensor:
    return torch.from_numpy(x).to(like.device)


def _torch_dtype(dtype: np.dtype) -> torch.dtype:
    return torch.from_numpy(np.empty(0, dtype)).dtype


def _domain_dtype(op: pylops.LinearOperator) -> np.dtype:
    return op.domain.dtype if isinstance(op, LinearOperator) else _own_dtype(op)


def _range_dtype(op: pylops.LinearOperator) -> np.dtype:
    return op.range.dtype if isinstance(op, LinearOperator) else _own_dtype(op)


def _own_dtype(op: pylops.LinearOperator) -> np.dtype:
    return np.result_type(np.float32, np.float32 if op.dtype is None else op.dtype)


def _shape(dims: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(n) for n in dims)


def _ends_with(x: Tensor, shape: tuple[int, ...]) -> bool:
    return tuple(x.shape[x.ndim - len(shape) :]) == shape if x.ndim >= len(shape) else False


def _batch(shape: tuple[int, ...]) -> str:
    return f"({', '.join(['*batch', *map(str, shape)])})"


def _lead(x: Any, space: Space) -> tuple[int, ...]:
    return () if x is None else tuple(x.shape[: x.ndim - len(space.shape)])


def _leads(spaces: Sequence[Space], x: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    return tuple(_lead(part, space) for part, space in zip(x, spaces, strict=True))


def _folded(index: tuple[int, ...], lead: tuple[int, ...]) -> tuple[int, ...]:
    """An index of a broadcast batch as the index of one that broadcasts to it."""
    return tuple(min(i, n - 1) for i, n in zip(index[len(index) - len(lead) :], lead, strict=True))


def _depth(dims: Sequence[int | None], spaces: Sequence[Space], x: Sequence[Tensor | None]) -> int:
    return max(len(lead) - (dim is not None) for dim, lead in zip(dims, _leads(spaces, x), strict=True))


def _to_front(dims: Sequence[int | None], spaces: Sequence[Space], x: Sequence[Any]) -> list[Tensor | None]:
    """The batched tensors with the batch in front, and as many leading dimensions after it in each of them."""
    depth = _depth(dims, spaces, x)
    out = []
    for dim, lead, part in zip(dims, _leads(spaces, x), x, strict=True):
        if dim is not None:
            part = part.movedim(dim, 0)
            part = part.reshape(part.shape[0], *[1] * (depth + 1 - len(lead)), *part.shape[1:])
        out.append(part)
    return out


def _require_finite(what: str, space: Space, batch: NDArray) -> None:
    bad = ~np.isfinite(batch)
    if bad.any():
        first = int(np.argmax(bad)) // space.size
        one = batch.reshape(-1, *space.shape)[first]
        of = f" in element {first} of the batch" if len(bad.ravel()) > space.size else ""
        space.require_finite(one, f"cannot apply {what}{of}", "look for the step before that made them")


def _require_floats(layer: torch.nn.Module, what: str, x: Any) -> None:
    if not isinstance(x, Tensor):
        raise ParameterError(
            f"cannot apply {layer}: {what} is a {type(x).__name__}, not a tensor: torch.as_tensor makes one"
        )
    if not (x.is_floating_point() or x.is_complex()):
        raise ParameterError(f"cannot apply {layer}: {what} is of {x.dtype}: convert it, as in x.to(torch.float32)")
