"""Tensors as arrays and back, their dtypes and shapes, and what is refused of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisops._pylops import pylops
from seisops.errors import ParameterError
from seisops.operators import LinearOperator
from seisops.spaces import Space

__all__ = [
    "as_shape",
    "domain_dtype",
    "ends_with",
    "in_words",
    "range_dtype",
    "require_finite",
    "require_floats",
    "to_numpy",
    "to_tensor",
    "torch_dtype",
]


def to_numpy(x: Tensor) -> NDArray:
    """The array of a tensor, on the CPU."""
    return x.detach().cpu().resolve_conj().resolve_neg().numpy()


def to_tensor(x: NDArray, like: Tensor) -> Tensor:
    """The tensor of an array, on the device of another."""
    return torch.from_numpy(x).to(like.device)


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
