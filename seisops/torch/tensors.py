"""Tensors as arrays and back, their dtypes and shapes, and what is refused of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import seisops._arrays as _arrays
from seisops._pylops import pylops
from seisops.errors import ParameterError
from seisops.maps import Map
from seisops.operators import LinearOperator
from seisops.spaces import Space

__all__ = [
    "as_shape",
    "domain_dtype",
    "ends_with",
    "home_of",
    "in_line",
    "in_words",
    "range_dtype",
    "require_finite",
    "require_floats",
    "to_array",
    "to_tensor",
    "torch_dtype",
]


def home_of(op: pylops.LinearOperator | Map) -> tuple[int, int] | None:
    """Where its waves are: tensors that are there need not be anywhere else."""
    return op.home if isinstance(op, LinearOperator | Map) else None


def to_array(x: Tensor, home: tuple[int, int] | None) -> NDArray:
    """The array of a tensor: its own memory if it is at `home`, else on the CPU."""
    x = x.detach()
    if not _is_at(x, home):
        x = x.cpu()
    x = x.resolve_conj().resolve_neg()
    return _arrays.own(x) if _is_at(x, home) else x.numpy()


def _is_at(x: Tensor, home: tuple[int, int] | None) -> bool:
    return home not in (None, _arrays.HOST) and _arrays.place(x.detach()) == home


def to_tensor(x: NDArray, like: Tensor) -> Tensor:
    """The tensor of an array, on the device of another; the memory of an array that is on a device."""
    if _arrays.place(x) != _arrays.HOST:
        return torch.from_dlpack(x)
    return torch.from_numpy(x).to(like.device)


@contextmanager
def in_line(x: Tensor, home: tuple[int, int] | None) -> Iterator[None]:
    """In the block, what is computed on a card is queued where torch queues its own work on the tensor."""
    if not (x.is_cuda and _is_at(x, home)):
        yield
        return
    cuda = _arrays.namespace(x.detach()).cuda
    with cuda.Device(x.device.index), _stream(cuda, torch.cuda.current_stream(x.device)):
        yield


def _stream(cuda: Any, stream: Any) -> Any:
    """A stream of torch as one of CuPy: by the protocol that later releases of both have, or else by where it is."""
    if hasattr(cuda.Stream, "from_external") and hasattr(stream, "__cuda_stream__"):
        return cuda.Stream.from_external(stream)
    return cuda.ExternalStream(stream.cuda_stream)


def torch_dtype(dtype: np.dtype) -> torch.dtype:
    """Torch's name of a dtype."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def domain_dtype(op: pylops.LinearOperator) -> np.dtype:
    """The dtype of what an operator is applied to."""
    return op.domain.dtype if isinstance(op, LinearOperator) else _own_dtype(op)


def range_dtype(op: pylops.LinearOperator) -> np.dtype:
    """The dtype of its results."""
    return op.range.dtype if isinstance(op, LinearOperator) else _own_dtype(op)


def _own_dtype(op: pylops.LinearOperator) -> np.dtype:
    return np.result_type(np.float32, np.float32 if op.dtype is None else op.dtype)


def as_shape(dims: Sequence[Any]) -> tuple[int, ...]:
    """Dimensions as PyLops has them, as integers."""
    return tuple(int(n) for n in dims)


def ends_with(x: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether these are the last dimensions of a tensor."""
    return tuple(x.shape[x.ndim - len(shape) :]) == shape if x.ndim >= len(shape) else False


def in_words(shape: tuple[int, ...]) -> str:
    """A shape with any batch in front of it, for messages."""
    return f"({', '.join(['*batch', *map(str, shape)])})"


def require_finite(what: str, space: Space, batch: NDArray) -> None:
    """Refuse a batch with NaN or infinity in it, and say where."""
    bad = ~np.isfinite(batch)
    if bad.any():
        first = int(np.argmax(bad)) // space.size
        one = batch.reshape(-1, *space.shape)[first]
        of = f" in element {first} of the batch" if len(bad.ravel()) > space.size else ""
        space.require_finite(one, f"cannot apply {what}{of}", "look for the step before that made them")


def require_floats(layer: torch.nn.Module, what: str, x: Any) -> None:
    """Refuse what is no tensor of floats."""
    if not isinstance(x, Tensor):
        raise ParameterError(
            f"cannot apply {layer}: {what} is a {type(x).__name__}, not a tensor: torch.as_tensor makes one"
        )
    if not (x.is_floating_point() or x.is_complex()):
        raise ParameterError(f"cannot apply {layer}: {what} is of {x.dtype}: convert it, as in x.to(torch.float32)")
