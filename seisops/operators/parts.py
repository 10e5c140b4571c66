"""Operators that move parts of arrays: into a larger one, or onto each other."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisops.errors import SpaceError
from seisops.operators.base import LinearOperator
from seisops.spaces import DirectSum, Space, joint, require_space, split

__all__ = ["Embedding", "Gather"]


class Embedding(LinearOperator):
    """Places an array into a part of a larger one, with zeros around it; its adjoint takes that part out.

    Parameters
    ----------
    part, whole : Space
        The spaces of what is placed, and of the larger arrays. For a part of a direct sum see :meth:`among`.
    where : int or slice or tuple of int and slice
        The place, an index into the larger arrays such as ``0`` or ``(slice(3, 9), slice(2, 8))``.
    """

    symbol = "E"
    anywhere = True
    _number: int | None = None  # which of `_spaces` the part is, where the whole is their direct sum
    _spaces: tuple[Space, ...] = ()

    def __init__(self, part: Space, whole: Space, where: Any) -> None:
        require_space(part, "Embedding: part")
        require_space(whole, "Embedding: whole")
        places = where if isinstance(where, tuple) else (where,)
        self.where = tuple(place if isinstance(place, slice) else operator.index(place) for place in places)
        # found on an array of the whole that takes no memory
        self._placed = np.broadcast_to(np.empty(()), whole.shape)[self.where].shape
        if math.prod(self._placed) != part.size:
            raise SpaceError(f"{part} does not fit into {whole} at {where}: arrays there have shape {self._placed}")
        super().__init__(part, whole)

    @classmethod
    def among(cls, spaces: Sequence[Space], number: int) -> Embedding:
        """Return the embedding of one of several spaces into their direct sum.

        Parameters
        ----------
        spaces : sequence of Space
            What the sum consists of; a direct sum among them counts as one.
        number : int
            Which one of them, counted from 0.
        """
        start = sum(space.size for space in spaces[:number])
        new = cls(spaces[number], DirectSum(spaces), slice(start, start + spaces[number].size))
        new._spaces, new._number = tuple(spaces), number
        return new

    def _fingerprint(self) -> Sequence[Any]:
        return [[w.start, w.stop, w.step] if isinstance(w, slice) else w for w in self.where]

    @property
    def shots(self) -> int | None:
        """The number of shots of the whole."""
        return self._range.shots

    def select(self, shots: Sequence[int]) -> LinearOperator:
        """Return the same for the arrays of some shots."""
        if self._number is None:
            return super().select(shots)
        return Embedding.among([space.select(shots) for space in self._spaces], self._number)

    def _apply(self, x: NDArray) -> NDArray:
        out = self._range.zeros(x)
        out[self.where] = x.reshape(self._placed)
        return out

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        return y[self.where].reshape(self._domain.shape).copy()


class Gather(LinearOperator):
    """Adds the parts of a direct sum that belong together: part i to part ``targets[i]`` of the result.

    Parameters
    ----------
    spaces : sequence of Space
        The parts; a direct sum among them counts as one.
    targets : sequence of int
        For every part the number of the part of the result that it goes to.
    """

    symbol = "gather"
    anywhere = True

    def __init__(self, spaces: Sequence[Space], targets: Sequence[int]) -> None:
        for i, space in enumerate(spaces):
            require_space(space, f"Gather: part {i}")
        self.spaces = tuple(spaces)
        self.targets = tuple(targets)
        firsts = [self.targets.index(target) for target in range(max(targets) + 1)]
        self.results = tuple(self.spaces[first] for first in firsts)
        super().__init__(DirectSum(self.spaces), joint(self.results))

    def _fingerprint(self) -> Sequence[Any]:
        return [self.targets]

    @property
    def shots(self) -> int | None:
        """The number of shots of the parts."""
        return self._domain.shots

    def select(self, shots: Sequence[int]) -> Gather:
        """Return the same for the arrays of some shots."""
        return Gather([space.select(shots) for space in self.spaces], self.targets)

    def _pairs(self, whole: NDArray, gathered: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
        """Every part of the whole, and the part of the result that it goes to: views."""
        results = split(gathered, self.results)
        for part, target in zip(split(whole, self.spaces), self.targets, strict=True):
            yield part, results[target]

    def _apply(self, x: NDArray) -> NDArray:
        y = self._range.zeros(x)
        for part, total in self._pairs(x, y):
            total += part
        return y

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        x = self._domain.zeros(y)
        for part, total in self._pairs(x, y):
            part[...] = total
        return x
