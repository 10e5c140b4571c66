"""Steps: what is done to some shots' part of an operator or a map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from numpy.typing import NDArray

from seisops.spaces import Space

__all__ = ["Apply", "Evaluate", "Illuminate", "Pull", "Push", "Save", "Step", "Total"]


@dataclass(frozen=True)
class Step:
    """What a task does.

    Attributes
    ----------
    name : str
        In progress bars and on the dashboard.
    inputs, outputs : tuple of Space
        Of all shots on the head, of its own in a task.
    """

    name: str
    inputs: tuple[Space, ...]
    outputs: tuple[Space, ...]

    def select(self, shots: Sequence[int]) -> Step:
        """The step for some shots."""
        inputs, outputs = (tuple(s.select(shots) for s in spaces) for spaces in (self.inputs, self.outputs))
        return replace(self, inputs=inputs, outputs=outputs)

    def run(self, part, x: Sequence[NDArray], keep: Callable, shots: tuple[int, ...]) -> tuple[NDArray, ...]:
        """Return the outputs of some shots' part; ``keep(key, make)`` finds what an earlier step left, or makes it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Apply(Step):
    """Apply an operator, or its adjoint."""

    adjoint: bool

    def run(self, part, x, keep, shots):
        op = part.H if self.adjoint else part
        return (op.range.asarray(op.matvec(x[0].ravel())),)


@dataclass(frozen=True)
class Save(Apply):
    """Apply an operator, or its adjoint, and write the traces that come out; inputs are x, and their geometry."""

    folder: str

    def path(self, shots: tuple[int, ...]) -> str:
        """Where the traces of some shots are."""
        return str(Path(self.folder) / f"shots-{shots[0]:06d}-{shots[-1]:06d}.zarr")

    def run(self, part, x, keep, shots):
        x, geometry = x
        (traces,) = super().run(part, [x], keep, shots)
        geometry.with_data(traces).to_zarr(self.path(shots), overwrite=True)
        return ()


@dataclass(frozen=True)
class Illuminate(Step):
    """How much the sources of some shots illuminate each cell."""

    def run(self, part, x, keep, shots):
        return (part.illumination(),)


@dataclass(frozen=True)
class Total(Step):
    """The part of some shots in a sum over shots."""

    def run(self, part, x, keep, shots):
        return part(*x)


@dataclass(frozen=True)
class Evaluate(Step):
    """The value of a map; its linearisation stays under the key `point`, if there is one."""

    point: str | None

    def run(self, part, x, keep, shots):
        value = part(*x) if self.point is None else keep(self.point, lambda: part.linearize(*x)).value
        return (part.range.asarray(value),)


@dataclass(frozen=True)
class Push(Step):
    """The derivative of a map in a direction; inputs are the point, then the directions of the arguments that move."""

    point: str
    moving: tuple[bool, ...]

    def run(self, part, x, keep, shots):
        n = len(self.moving)
        directions = iter(x[n:])
        at_x = keep(self.point, lambda: part.linearize(*x[:n]))
        return (part.range.asarray(at_x.pushforward(*(next(directions) if m else None for m in self.moving))),)


@dataclass(frozen=True)
class Pull(Step):
    """Gradients by the wanted arguments of a map; inputs are the point, then an array of the range."""

    point: str
    wanted: tuple[bool, ...]

    def run(self, part, x, keep, shots):
        *x, y = x
        at_x = keep(self.point, lambda: part.linearize(*x))
        return tuple(g for g in at_x.pullback(y, self.wanted) if g is not None)
