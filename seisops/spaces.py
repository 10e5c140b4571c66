"""Spaces: the named, shaped and typed sets of arrays that operators map between.

Two arrays of equal size but different meaning (traces of 8 shots, an image of the same size) live in
different spaces, and operators refuse to confuse them.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import seisops._arrays as _arrays
from seisops._table import Told
from seisops.errors import ParameterError, SelectionError, SpaceError, shown

__all__ = [
    "Anonymous",
    "AtPoints",
    "Axis",
    "DirectSum",
    "PerShot",
    "Space",
    "Traces",
    "as_array",
    "compatible",
    "difference",
    "doubled",
    "join",
    "joint",
    "require_space",
    "shot_numbers",
    "split",
]


#: Of what axes are sampled in, after a number.
UNITS = {"time": " s", "x": " m", "y": " m", "z": " m"}


@dataclass(frozen=True)
class Axis:
    """One axis of a space.

    Parameters
    ----------
    name : str
        Name such as ``"shot"``, ``"time"`` or ``"x"``.
    size : int
        Number of samples.
    step, origin : float, optional
        Sampling in SI units, where the axis is sampled uniformly.
    """

    name: str
    size: int
    step: float | None = None
    origin: float | None = None

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ParameterError(f"axis {self.name!r} cannot have {self.size} samples")

    def in_words(self) -> str:
        """Its sampling, with the unit of times and distances."""
        unit = UNITS.get(self.name, "")
        if self.step is not None:
            return f"step={self.step:g}{unit}, origin={self.origin or 0:g}{unit}"
        return "" if self.origin is None else f"from {self.origin:.9g}{unit}"


class Space(Told):
    """A named space of real or complex arrays of one shape and dtype; immutable and hashable.

    Parameters
    ----------
    name : str
        What the arrays are, such as ``"image"``.
    axes : sequence of Axis
        The axes of the arrays, slowest first.
    dtype : dtype, optional
        A real or complex floating-point type.

    Notes
    -----
    Two spaces are equal when their class, name, axes and dtype are. A subclass with data of its own that
    matters for equality extends `_identity`.
    """

    #: Whether arrays of this space are wavefields, which expressions avoid to materialise.
    extended: bool = False
    #: The largest array of this space that may be materialised, in bytes.
    max_bytes: float = math.inf

    def __init__(self, name: str, axes: Sequence[Axis], dtype: DTypeLike = "float32") -> None:
        self._name = name
        self._axes = tuple(axes)
        self._dtype = np.dtype(dtype)
        if self._dtype.kind not in "fc":
            raise ParameterError(
                f"{name} cannot have dtype {self._dtype}: give a floating-point dtype such as 'float32'"
            )

    @property
    def name(self) -> str:
        """What the arrays are."""
        return self._name

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the arrays, slowest first."""
        return self._axes

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the arrays."""
        return self._dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the arrays."""
        return tuple(axis.size for axis in self._axes)

    @property
    def size(self) -> int:
        """The number of elements of an array (exact for any shape)."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The memory of one array."""
        return self.size * self._dtype.itemsize

    @property
    def shots(self) -> int | None:
        """The number of shots, or None where the space does not know of shots."""
        return next((axis.size for axis in self._axes if axis.name == "shot"), None)

    def select(self, shots: Sequence[int]) -> Space:
        """Return the space of the same arrays for some shots only.

        Parameters
        ----------
        shots : sequence of int
            Indices in ``range(self.shots)``.

        Returns
        -------
        Space
            `self` where the space does not know of shots.
        """
        if self.shots is None:
            return self
        if type(self) is not Space:
            raise SpaceError(f"{self} does not say how to select shots: {type(self).__name__} has to define `select`")
        shots = self._numbers(shots)
        axes = (Axis("shot", len(shots)) if axis.name == "shot" else axis for axis in self._axes)
        return Space(self._name, tuple(axes), self._dtype)

    def take(self, x: NDArray, shots: Sequence[int]) -> NDArray:
        """Return the part of an array that belongs to some shots: an element of ``select(shots)``.

        Parameters
        ----------
        x : ndarray
            An array of this space, of shape `shape`.
        shots : sequence of int
            Indices in ``range(self.shots)``.
        """
        return x if self.shots is None else x[self._at(shots)]

    def put(self, x: NDArray, part: NDArray, shots: Sequence[int]) -> None:
        """Write what :meth:`take` returns back in place; where the space does not know of shots, add it.

        Parameters
        ----------
        x : ndarray
            An array of this space, of shape `shape`.
        part : ndarray
            An array of ``select(shots)``.
        shots : sequence of int
            Indices in ``range(self.shots)``.
        """
        if self.shots is None:
            x += part
        else:
            x[self._at(shots)] = part

    def _numbers(self, shots: Sequence[int]) -> list[int]:
        """Shots of this space, counted from 0; what it does not have is refused."""
        return shot_numbers(shots, self.shots or 0, self)

    def _at(self, shots: Sequence[int]) -> tuple:
        axis = next(i for i, axis in enumerate(self._axes) if axis.name == "shot")
        return (slice(None),) * axis + (self._numbers(shots),)

    def zeros(self, like: NDArray | None = None) -> NDArray:
        """Return an array of zeros.

        Parameters
        ----------
        like : array, optional
            An array on a graphics processor: that of zeros is there, too.
        """
        return _arrays.zeros(self.shape, self._dtype, like)

    def random(self, rng: np.random.Generator | int) -> NDArray:
        """Return a standard normal array.

        Parameters
        ----------
        rng : numpy.random.Generator or int
            A generator, or the seed of one.
        """
        rng = np.random.default_rng(rng)
        x = rng.standard_normal(self.shape)
        if self._dtype.kind == "c":
            x = x + 1j * rng.standard_normal(self.shape)
        return np.asarray(x, self._dtype)

    def asarray(self, x: ArrayLike) -> NDArray:
        """Return `x` as a C-contiguous array of this space's shape and dtype.

        Parameters
        ----------
        x : array_like
            An array of shape `shape`, or flat of `size` elements, of any real dtype (or complex, for a
            complex space) and memory order. One that is on a graphics processor stays there, as an array of CuPy.

        Returns
        -------
        ndarray
            `x` itself, or a view of it, where nothing has to be converted.

        Raises
        ------
        SpaceError
            If the shape does not fit, or the dtype cannot be cast (complex to real, objects, text).
        """
        x = as_array(x, self)
        if x.shape not in (self.shape, (self.size,)):
            raise SpaceError(
                f"an array of shape {x.shape} is not in {self}: expected shape {self.shape} or ({self.size},)"
            )
        if x.dtype.kind not in "biufc":
            raise SpaceError(f"an array of dtype {x.dtype} is not in {self}: expected numbers, as {self.dtype}")
        if x.dtype.kind == "c" and self._dtype.kind != "c":
            raise SpaceError(f"a complex array ({x.dtype}) is not in {self}, which is real ({self.dtype}): take x.real")
        return _arrays.contiguous(x, self._dtype).reshape(self.shape)

    def owned(self, x: ArrayLike) -> NDArray:
        """Return `x` as `asarray` does, in memory of its own: for whoever looks at it again later.

        Parameters
        ----------
        x : array_like
            An array as `asarray` takes it.
        """
        x = as_array(x, self)
        out = self.asarray(x)
        with _arrays.current(x):
            return out.copy() if _arrays.namespace(x).may_share_memory(out, x) else out

    def require_finite(self, x: NDArray, what: str, fix: str = "") -> None:
        """Refuse NaN, infinity and what overflows here; say how many there are, and where the first one is.

        Parameters
        ----------
        x : ndarray
            An array of this space, or a matrix whose columns are.
        what : str
            What the array is, such as ``"F @ x: x"``.
        fix : str, optional
            What to do about it.

        Raises
        ------
        ParameterError
            If a value is NaN or infinite, or would be in this space.
        """
        with _arrays.current(x):
            if x.dtype.kind == "f":
                with np.errstate(over="ignore"):  # what overflows there is said here
                    x = x.astype(self._dtype, copy=False)
            bad = ~np.isfinite(x)
            if bad.any():
                first = int(np.argmax(bad))
                value, place = x.ravel()[first].item(), self.place(first // max(1, x.size // self.size))
                raise ParameterError(
                    f"{what}, {self}, has {int(np.count_nonzero(bad))} of {x.size} values that are NaN or infinite, first "
                    f"{value} at {', '.join(f'{name} {i}' for name, i in place.items())}" + (fix and f": {fix}")
                )

    def place(self, element: int) -> dict[str, int]:
        """Return where an element of an array is, by name.

        Parameters
        ----------
        element : int
            Its index in the flattened array.
        """
        index = np.unravel_index(element, self.shape)
        return {axis.name: int(i) for axis, i in zip(self._axes, index, strict=True)}

    def _identity(self) -> tuple:
        return (type(self), self._name, self._axes, self._dtype)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Space) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __str__(self) -> str:
        return f"{self._name}[{', '.join(f'{axis.name}={axis.size}' for axis in self._axes)}]"

    def __repr__(self) -> str:
        scales = (f"{axis.name}: {said}" for axis in self._axes if (said := axis.in_words()))
        return f"<{'; '.join([f'{self} {self._dtype}', *scales])}>"

    def _title(self) -> str:
        return self._name

    def _rows(self) -> Iterator[tuple[str, object]]:
        for axis in self._axes:
            said = axis.in_words()
            yield axis.name, f"{axis.size}{'; ' if said else ''}{said}"
        yield "dtype", self._dtype
        yield "memory", f"{self.nbytes / 2**20:.4g} MiB"


class AtPoints(Space):
    """Arrays at points, shot by shot, with one axis that all points have.

    Parameters
    ----------
    name : str
        What the arrays are.
    counts : sequence of int
        Number of points of every shot.
    last : Axis
        What there is at every point; the fastest axis.
    dtype : dtype, optional
        The dtype of the arrays.

    Notes
    -----
    If all shots have as many points, arrays have shape ``(shots, points, last)``; otherwise ``(sum(counts),
    last)``, where the points of shot ``i`` are those from ``offsets[i]`` to ``offsets[i + 1]``. Flattened
    arrays are the same in both cases.
    """

    #: What a point is called where shots have different numbers of them.
    one = "point"

    def __init__(self, name: str, counts: Sequence[int], last: Axis, dtype: DTypeLike = "float32") -> None:
        self._counts = tuple(int(count) for count in counts)
        if not self._counts:
            raise ParameterError(f"{name} need at least one shot")
        if self.ragged:
            points = [Axis(self.one, sum(self._counts))]
        else:
            points = [Axis("shot", len(self._counts)), Axis("point", self._counts[0])]
        super().__init__(name, [*points, last], dtype)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of points of every shot."""
        return self._counts

    @property
    def last(self) -> Axis:
        """What there is at every point."""
        return self._axes[-1]

    @property
    def ragged(self) -> bool:
        """Whether the number of points differs from shot to shot."""
        return len(set(self._counts)) > 1

    @property
    def offsets(self) -> tuple[int, ...]:
        """The first point of every shot, and the number of points."""
        offsets = [0]
        for count in self._counts:
            offsets.append(offsets[-1] + count)
        return tuple(offsets)

    @property
    def shots(self) -> int:
        """The number of shots."""
        return len(self._counts)

    def shot(self, x: NDArray, i: int) -> NDArray:
        """Return what belongs to one shot, as a view ``(points, last)``.

        Parameters
        ----------
        x : ndarray
            An array of this space, of shape `shape`.
        i : int
            The shot.
        """
        (i,) = self._numbers([i])
        if x.shape != self.shape:
            raise SpaceError(f"an array of shape {x.shape} is not in {self}: expected shape {self.shape}")
        if not self.ragged:
            return x[i]
        offsets = self.offsets
        return x[offsets[i] : offsets[i + 1]]

    def select(self, shots: Sequence[int]) -> AtPoints:
        """Return the space of the points of some shots."""
        return self._of([self._counts[i] for i in self._numbers(shots)])

    def _of(self, counts: Sequence[int]) -> AtPoints:
        """The same at so many points."""
        return AtPoints(self._name, counts, self.last, self._dtype)

    def take(self, x: NDArray, shots: Sequence[int]) -> NDArray:
        """Return what belongs to some shots."""
        return super().take(x, shots).reshape(self.select(shots).shape)

    def put(self, x: NDArray, part: NDArray, shots: Sequence[int]) -> None:
        """Write what belongs to some shots back in place."""
        super().put(x, part.reshape(-1, part.shape[-1]) if self.ragged else part, shots)

    def _at(self, shots: Sequence[int]) -> tuple:
        shots = self._numbers(shots)
        if not self.ragged:
            return (shots,)
        offsets = self.offsets
        return (np.concatenate([np.arange(offsets[i], offsets[i + 1]) for i in shots]).astype(int),)

    def place(self, element: int) -> dict[str, int]:
        """Return shot, point of the shot and place on the last axis of an element."""
        point, sample = divmod(element, self.last.size)
        shot = bisect_right(self.offsets, point) - 1
        return {"shot": shot, self.one: point - self.offsets[shot], self.last.name: sample}

    def _identity(self) -> tuple:
        return (*super()._identity(), self._counts)

    def __str__(self) -> str:
        if not self.ragged:
            return super().__str__()
        points, last = self._axes
        return f"{self._name}[{points.name}={points.size} in {self.shots} shots, {last.name}={last.size}]"

    def __repr__(self) -> str:
        counts = f"; points={list(self._counts)}>" if self.ragged else ">"
        return super().__repr__()[:-1] + counts


class Traces(AtPoints):
    """Time series at points, shot by shot; time is the fastest axis.

    Parameters
    ----------
    counts : sequence of int
        Number of points of every shot.
    time_axis : Axis
        The time axis of the traces.
    dtype : dtype, optional
        The dtype of the arrays.
    name : str, optional
        What the arrays are.

    Notes
    -----
    If all shots have as many points, arrays have shape ``(shots, points, nt)``; otherwise ``(sum(counts),
    nt)``, where the traces of shot ``i`` are those from ``offsets[i]`` to ``offsets[i + 1]``. Flattened
    arrays are the same in both cases.
    """

    one = "trace"

    def __init__(
        self, counts: Sequence[int], time_axis: Axis, dtype: DTypeLike = "float32", name: str = "traces"
    ) -> None:
        super().__init__(name, counts, time_axis, dtype)

    @property
    def time_axis(self) -> Axis:
        """The time axis of the traces."""
        return self.last

    def _of(self, counts: Sequence[int]) -> Traces:
        return Traces(counts, self.last, self._dtype, self._name)

    def place(self, element: int) -> dict[str, int]:
        """Return shot, trace of the shot and sample of an element."""
        place = super().place(element)
        return {"shot": place["shot"], "trace": place["trace"], "sample": place[self.last.name]}


class DirectSum(Space):
    """The direct sum of spaces: arrays are flat, the parts one after the other.

    Parameters
    ----------
    parts : sequence of Space
        The parts, of one dtype. Direct sums among them are flattened.
    """

    def __init__(self, parts: Sequence[Space]) -> None:
        if not isinstance(parts, Iterable):
            raise SpaceError(f"{type(self).__name__} takes a list of spaces, got {shown(parts)}")
        parts = tuple(parts)
        for i, part in enumerate(parts):
            require_space(part, f"part {i} of a direct sum")
        self._parts = tuple(leaf for part in parts for leaf in (part.parts if isinstance(part, DirectSum) else (part,)))
        if not self._parts:
            raise ParameterError("a direct sum needs at least one part")
        dtypes = {part.dtype for part in self._parts}
        if len(dtypes) > 1:
            raise SpaceError(f"the parts of a direct sum need one dtype: {', '.join(map(repr, self._parts))}")
        super().__init__("sum", (Axis("element", sum(part.size for part in self._parts)),), dtypes.pop())

    @property
    def parts(self) -> tuple[Space, ...]:
        """The parts."""
        return self._parts

    @property
    def extended(self) -> bool:  # type: ignore[override]
        """Whether one of the parts is a space of wavefields."""
        return any(part.extended for part in self._parts)

    @property
    def max_bytes(self) -> float:  # type: ignore[override]
        """The smallest budget of the parts."""
        return min(part.max_bytes for part in self._parts)

    @property
    def shots(self) -> int | None:
        """The number of shots of the parts that have shots, if it is one number."""
        shots = {part.shots for part in self._parts} - {None}
        return shots.pop() if len(shots) == 1 else None

    def select(self, shots: Sequence[int]) -> DirectSum:
        """Return the direct sum of the parts for some shots."""
        return DirectSum([part.select(shots) for part in self._parts])

    def take(self, x: NDArray, shots: Sequence[int]) -> NDArray:
        """Return the part of an array that belongs to some shots."""
        return join(part.take(piece, shots) for part, piece in zip(self._parts, self.split(x), strict=True))

    def put(self, x: NDArray, part: NDArray, shots: Sequence[int]) -> None:
        """Write what :meth:`take` returns back in place, or add it, part by part."""
        pieces = self.select(shots).split(part)
        for space, whole, piece in zip(self._parts, self.split(x), pieces, strict=True):
            space.put(whole, piece, shots)

    def split(self, x: ArrayLike) -> list[NDArray]:
        """Return the parts of an array, shaped as their spaces (views where `x` needs no conversion)."""
        return split(self.asarray(x), self._parts)

    def join(self, arrays: Sequence[ArrayLike]) -> NDArray:
        """Return the flat array made of one array for each part."""
        if len(arrays) != len(self._parts):
            raise SpaceError(
                f"{len(arrays)} arrays do not make an element of {self}, which has {len(self._parts)} parts"
            )
        return join(part.asarray(x) for part, x in zip(self._parts, arrays, strict=True))

    def place(self, element: int) -> dict[str, int]:
        """Return which part an element is in, and where it is there."""
        ends = list(accumulate(part.size for part in self._parts))
        i = bisect_right(ends, element)
        return {"part": i, **self._parts[i].place(element - ends[i] + self._parts[i].size)}

    def _identity(self) -> tuple:
        return (type(self), self._parts)

    def __str__(self) -> str:
        return " (+) ".join(map(str, self._parts))

    def __repr__(self) -> str:
        return f"<{' (+) '.join(map(repr, self._parts))}>"

    def _title(self) -> str:
        return str(self)

    def _rows(self) -> Iterator[tuple[str, object]]:
        yield from ((f"part {i}", repr(part)[1:-1]) for i, part in enumerate(self._parts))


def joint(spaces: Sequence[Space]) -> Space:
    """Return the direct sum of several spaces; one stands for itself."""
    return spaces[0] if len(spaces) == 1 else DirectSum(spaces)


def split(x: NDArray, spaces: Sequence[Space]) -> list[NDArray]:
    """Cut an array of a direct sum into the arrays that it consists of.

    Parameters
    ----------
    x : ndarray
        The array; of any shape, with the elements that the sum has.
    spaces : sequence of Space
        What the sum consists of; a direct sum among them counts as one, and so does a single space as a sum of one.

    Returns
    -------
    list of ndarray
        One array for each space, in its shape and dtype: views of a contiguous `x` where nothing has to be converted.

    Raises
    ------
    SpaceError
        If there are more or fewer elements.
    """
    x, ends = np.ravel(x), list(accumulate(space.size for space in spaces))
    if x.size != ends[-1]:
        raise SpaceError(f"an array of {x.size} elements is not in {joint(spaces)}: expected {ends[-1]}")
    return [space.asarray(x[end - space.size : end]) for space, end in zip(spaces, ends, strict=True)]


def join(arrays: Iterable[NDArray]) -> NDArray:
    """Return the array of a direct sum: the arrays that it consists of one after the other, flat.

    Parameters
    ----------
    arrays : iterable of ndarray
        One array of each space, in any shape. They are not looked at: :meth:`DirectSum.join` checks what users give.
    """
    return np.concatenate([np.ravel(array) for array in arrays])


class PerShot(DirectSum):
    """The direct sum of one space for each shot, such as traces of shots with different time axes.

    Parameters
    ----------
    parts : sequence of Space
        One for each shot.
    """

    @property
    def shots(self) -> int:
        """The number of shots."""
        return len(self.parts)

    def select(self, shots: Sequence[int]) -> PerShot:
        """Return the sum of the spaces of some shots."""
        return PerShot([self.parts[i] for i in self._numbers(shots)])

    def take(self, x: NDArray, shots: Sequence[int]) -> NDArray:
        """Return the part of an array that belongs to some shots."""
        pieces = self.split(x)
        return join(pieces[i] for i in self._numbers(shots))

    def put(self, x: NDArray, part: NDArray, shots: Sequence[int]) -> None:
        """Write what :meth:`take` returns back in place."""
        pieces = self.split(x)
        for i, piece in zip(self._numbers(shots), self.select(shots).split(part), strict=True):
            pieces[i][...] = piece

    def place(self, element: int) -> dict[str, int]:
        """Return shot and place in the shot of an element."""
        place = super().place(element)
        shot = place.pop("part")
        return {**place, "shot": shot}


class Anonymous(Space):
    """The space of a plain PyLops or SciPy operator: a shape and a dtype without a meaning.

    Parameters
    ----------
    shape : sequence of int
        The shape of the arrays.
    dtype : dtype
        The dtype of the arrays.
    """

    def __init__(self, shape: Sequence[int], dtype: DTypeLike) -> None:
        super().__init__("array", [Axis(f"axis{i}", int(size)) for i, size in enumerate(shape)], dtype)

    def __str__(self) -> str:
        return f"{self._name}[{', '.join(map(str, self.shape))}]"


def doubled(space: Space) -> Space:
    """The space of the same arrays in float64, in which optimisers compute."""
    if isinstance(space, DirectSum):
        return DirectSum([doubled(part) for part in space.parts])
    if isinstance(space, Anonymous):
        return Anonymous(space.shape, np.float64)
    return Space(space.name, space.axes, np.float64)


def as_array(x: Any, what: Any) -> NDArray:
    """Return `x` as an array, where it is; what only looks like one, as a tensor with a gradient, is refused.

    Parameters
    ----------
    x : array_like
        What a user gave.
    what : Space or str
        What it is to be, for the message.
    """
    try:
        return _arrays.own(x)
    except Exception as error:  # whatever another library says about its own arrays
        if not hasattr(x, "__array__"):
            raise
        reason = str(error).partition("\n")[0].rstrip(". ")
        raise ParameterError(
            f"a {type(x).__name__} cannot be read as an array of {what} ({reason}): operators and maps work on NumPy "
            "arrays, and on those of the graphics processor that waves are on, through CuPy, outside automatic "
            "differentiation. seisops.torch.lift(F)(x), or seisops.jax.lift(F)(x), carries gradients through; x.detach() "
            "gives them up"
        ) from error


def shot_numbers(key: Any, shots: int, what: Any) -> list[int]:
    """Return the numbers, from 0, of the shots that a key selects.

    Parameters
    ----------
    key : int, slice or sequence of int
        As for a list; negative numbers count from the end.
    shots : int
        How many there are.
    what : object
        What has them, for messages.

    Raises
    ------
    SelectionError
        If a shot is out of range, none is selected, or the key is something else, such as a mask.
    """
    these = f"shots of {what}, 0 to {shots - 1}, are selected by"
    try:
        if isinstance(key, slice):
            keys: list[Any] = list(range(*key.indices(shots)))
        else:
            keys = [key] if isinstance(key, (int, np.integer)) else list(key)
        masked = any(isinstance(k, (bool, np.bool_)) for k in keys)
        numbers = [] if masked else [operator.index(k) for k in keys]
    except TypeError:
        raise SelectionError(
            f"{these} integers or a slice, not by {shown(key, 60)}: F[1], F[[0, 2]] or F[1:3], of an operator F"
        ) from None
    if masked:
        raise SelectionError(f"{these} integers, not by a mask: use numpy.flatnonzero(mask)")
    for i in numbers:
        if not -shots <= i < shots:
            raise SelectionError(f"shot {i} is out of range: {what} has {shots} shots, 0 to {shots - 1}")
    if not numbers:
        raise SelectionError(f"{key!r} selects none of the {shots} shots of {what}")
    return [i % shots for i in numbers]


def _nameless(space: Space) -> bool:
    return isinstance(space, Anonymous) or (isinstance(space, DirectSum) and any(map(_nameless, space.parts)))


def compatible(a: Space, b: Space) -> bool:
    """Whether arrays of one space may be used as arrays of the other.

    Parameters
    ----------
    a, b : Space
        Two spaces.

    Returns
    -------
    bool
        True if they are equal, or if one of them is (or contains) the nameless space of a plain operator,
        their sizes agree, and both are real or both complex. Equal size alone is not enough.
    """
    if a == b:
        return True
    if isinstance(a, DirectSum) and isinstance(b, DirectSum) and len(a.parts) == len(b.parts):
        return all(map(compatible, a.parts, b.parts))
    return (_nameless(a) or _nameless(b)) and a.size == b.size and a.dtype.kind == b.dtype.kind


def difference(a: Space, b: Space) -> str:
    """How two spaces of one kind differ, to end a sentence with: axis by axis; empty where nothing more can be said.

    Parameters
    ----------
    a, b : Space
        Two spaces.
    """
    names = [axis.name for axis in a.axes]
    if isinstance(a, DirectSum) or a.name != b.name or names != [axis.name for axis in b.axes]:
        return ""
    pairs = [pair for pair in zip(a.axes, b.axes, strict=True) if pair[0] != pair[1]]
    told = [
        f"{x.name} ({x.size} and {y.size})"
        if x.size != y.size
        else f"{x.name} ({x.in_words() or 'no sampling'}; {y.in_words() or 'no sampling'})"
        for x, y in pairs
    ]
    return f": they differ in {', '.join(told)}" if told else ""


def require_space(x: Any, who: str) -> None:
    """Refuse what is no space, and say where there is one.

    Parameters
    ----------
    x : object
        What a user gave.
    who : str
        What needs a space.

    Raises
    ------
    SpaceError
    """
    if isinstance(x, Space):
        return
    # operators have two, and maps one for each argument
    has = [f".{name}" for name in ("domain", "range") if isinstance(getattr(x, name, None), Space)]
    has += [".domain[0]"] if isinstance(getattr(x, "domain", None), tuple) else []
    where = f"take {' or '.join(sorted(has))} of it" if has else "such as F.domain or waves.model()"
    raise SpaceError(f"{who} needs a space, got {shown(x)}: {where}")
