"""What is elsewhere: operators that are worked off there, as by a cluster, and arrays that lie there, as in files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from seisops._pylops import pylops
from seisops.fusion import fuse
from seisops.operators import (
    LinearOperator,
    Product,
    Scaled,
    Stack,
    Sum,
    compose,
    scale,
)
from seisops.spaces import Space

__all__ = ["Elsewhere", "OnDemand", "here", "sent", "there"]


class Elsewhere(LinearOperator):
    """An operator that is worked off elsewhere."""

    @property
    @abstractmethod
    def stands_for(self) -> LinearOperator:
        """The same operator here."""

    @abstractmethod
    def spread(self, other: Any) -> Any:
        """Another operator, map or sum over shots, worked off where this one is."""


class OnDemand(Sequence):
    """An array of a space with shots that lies elsewhere until it is asked for, as the data of a survey.

    A sequence of shots: made of an iterable of them, and by a list of their numbers some are chosen.
    """

    __slots__ = ()

    @abstractmethod
    def __getitem__(self, index: Any) -> Any:
        """A shot, or with a list of numbers the array of some shots."""

    @property
    @abstractmethod
    def space(self) -> Space:
        """The space of the array."""

    @property
    @abstractmethod
    def data(self) -> NDArray:
        """The array, read now."""

    @abstractmethod
    def with_data(self, data: ArrayLike) -> OnDemand:
        """The same shots with other data."""

    @abstractmethod
    def to_zarr(self, path: str, *, overwrite: bool = False) -> None:
        """Write a store."""

    @classmethod
    @abstractmethod
    def from_zarr(cls, path: str) -> OnDemand:
        """What a store holds, read when it is asked for."""


def there(op: pylops.LinearOperator) -> Elsewhere | None:
    """The first operator of an expression that is worked off elsewhere."""
    if not isinstance(op, pylops.LinearOperator):
        return None
    ours = op if isinstance(op, LinearOperator) else fuse(op)
    return next((leaf for leaf in ours.leaves() if isinstance(leaf, Elsewhere)), None)


def sent(make: Callable[..., Any], op: pylops.LinearOperator, *args: Any, **options: Any) -> Any:
    """Make something of the operators here that an expression stands for, and have it worked off where they are."""
    return there(op).spread(make(here(fuse(op)), *args, **options))


def here(op: LinearOperator) -> LinearOperator:
    """An expression with what is worked off here in place of what is worked off elsewhere."""
    match op:
        case Scaled():
            return scale(op.scalar, here(op.op))
        case Product():
            return compose(*map(here, op.children))
        case Sum():
            return Sum([here(term) for term in op.children])
        case Stack():
            return type(op)([here(block) for block in op.children])
    return op.stands_for if isinstance(op, Elsewhere) else op
