"""A time loop before a device compiles it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seisops.engine.kept.notes import Notes
from seisops.engine.lower.constant import Constant
from seisops.engine.lower.piece import Piece

__all__ = ["Loop", "Made", "coefficients"]


@dataclass(frozen=True)
class Made:
    """What a time loop consists of.

    Attributes
    ----------
    pieces : tuple of Piece
        In the order in which they take effect.
    integers : frozenset of str
        Arrays of 32-bit integers.
    in_place : tuple of str
        Fields whose newest level takes the place of their oldest.
    constants : tuple of Constant
        What is there before it starts.
    """

    pieces: tuple[Piece, ...]
    integers: frozenset[str] = frozenset()
    in_place: tuple[str, ...] = ()
    constants: tuple[Constant, ...] = ()


class Loop:
    """A time loop, whose pieces are made when somebody has to have them.

    Parameters
    ----------
    make : callable
        Makes the pieces.
    axes : sequence of str
        Those of the grid.
    dtype : dtype
    notes : Notes, optional
        Where others note what they made of it ...
    what : tuple
        ... and what it is called there.
    """

    def __init__(
        self, make: Callable[[], Made], axes: Sequence[str], dtype, notes: Notes | None = None, what: tuple = ()
    ):
        self._make, self.axes, self.dtype = make, tuple(axes), np.dtype(dtype)
        self.notes, self.what = notes or Notes(None), what

    @cached_property
    def made(self) -> Made:
        """The pieces."""
        return self._make()


def coefficients(texts: Sequence[str]) -> Callable[[Mapping[str, float]], Sequence[float]]:
    """A function of the time step and cell sizes that returns the values of some coefficients."""
    values = compile(f"({''.join(f'{text}, ' for text in texts)})", "coefficients", "eval")
    functions = dict(vars(math))
    return lambda numbers: eval(values, functions, dict(numbers))
