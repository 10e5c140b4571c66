"""Batches of points: arrays with leading dimensions that broadcast, and the linearisations of a map there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seisops.maps import Linearization, Map
from seisops.spaces import Space
from seisops.torch.compiler import apart
from seisops.torch.tensors import home_of, require_finite, to_array

__all__ = ["Kept", "Points", "depth_of", "leads_of", "new_token", "to_front"]

# A token is a small tensor, saved beside the point. Its storage carries the linearisations, so that they live as long
# as what autograd saves: they go after a backward pass, and when checkpointing drops what it will compute again. Who finds
# a token without linearisations makes them anew, at the cost of the forward solve. Functions see storages only
# in `forward`: under the transforms of torch.func, tensors are wrapped elsewhere.


def new_token() -> Tensor:
    """A token that carries nothing yet."""
    return torch.zeros(1, device="cpu")


class Points:
    """Arrays of spaces with leading dimensions, which broadcast against each other; None stands for zeros.

    Tensors that are at `home`, where waves are, stay there.
    """

    def __init__(self, spaces: Sequence[Space], x: Sequence[Any], home: tuple[int, int] | None = None) -> None:
        self.spaces = tuple(spaces)
        self.arrays = [to_array(part, home) if isinstance(part, Tensor) else part for part in x]
        self.leads = leads_of(self.spaces, self.arrays)
        self.lead = np.broadcast_shapes(*self.leads)

    def __getitem__(self, part: slice) -> Points:
        return Points(self.spaces[part], self.arrays[part])

    @property
    def one(self) -> Any:
        """One of the arrays, beside which others are made."""
        return next(part for part in self.arrays if part is not None)

    @classmethod
    def of(cls, map: Map, x: Sequence[Any]) -> Points:
        """Those at which a map is taken."""
        return cls(map.domain, x, home_of(map))

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
            require_finite(f"<{map}>: argument {i}", space, part)


@apart("__del__")
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
                space.zeros(points.one) if part is None else part
                for space, part in zip(points.spaces, points.at(index), strict=True)
            )
            at_x = self._at[points.key(index)] = self.map.linearize(*x)
        return at_x

    def __del__(self) -> None:
        for at_x in self._at.values():
            at_x.close()


def _lead(x: Any, space: Space) -> tuple[int, ...]:
    return () if x is None else tuple(x.shape[: x.ndim - len(space.shape)])


def leads_of(spaces: Sequence[Space], x: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    """The leading dimensions of each part, which its space does not have."""
    return tuple(_lead(part, space) for part, space in zip(x, spaces, strict=True))


def _folded(index: tuple[int, ...], lead: tuple[int, ...]) -> tuple[int, ...]:
    """An index of a broadcast batch as the index of one that broadcasts to it."""
    return tuple(min(i, n - 1) for i, n in zip(index[len(index) - len(lead) :], lead, strict=True))


def depth_of(dims: Sequence[int | None], spaces: Sequence[Space], x: Sequence[Tensor | None]) -> int:
    """The most leading dimensions that a part has beside the one that is batched over."""
    return max(len(lead) - (dim is not None) for dim, lead in zip(dims, leads_of(spaces, x), strict=True))


def to_front(dims: Sequence[int | None], spaces: Sequence[Space], x: Sequence[Any]) -> list[Tensor | None]:
    """The batched tensors with the batch in front, and as many leading dimensions after it in each of them."""
    depth = depth_of(dims, spaces, x)
    out = []
    for dim, lead, part in zip(dims, leads_of(spaces, x), x, strict=True):
        if dim is not None:
            part = part.movedim(dim, 0)
            part = part.reshape(part.shape[0], *[1] * (depth + 1 - len(lead)), *part.shape[1:])
        out.append(part)
    return out
