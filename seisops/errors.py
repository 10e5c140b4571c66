"""Exceptions and warnings: each derives from `SeisopsError` and from the builtin a Python user expects."""

import sys

__all__ = [
    "AccuracyWarning",
    "CompilerError",
    "DispersionWarning",
    "ParameterError",
    "SeisopsError",
    "SelectionError",
    "SpaceError",
    "UnfusedError",
    "UnstableError",
]

# whose frames are not to blame for a warning
LIBRARIES = {"seisops", "pylops", "pyproximal", "scipy", "torch", "jax", "distributed"}


class SeisopsError(Exception):
    """Base class of every error raised on purpose by seisops."""


class SpaceError(SeisopsError, ValueError):
    """Spaces, shapes or dtypes that do not fit together."""


class ParameterError(SeisopsError, ValueError):
    """A parameter of a medium, a survey or an operator is missing, unknown or has an impossible value."""


class SelectionError(SeisopsError, IndexError, TypeError):
    """Shots are asked for that are not there, or by what is no number of a shot."""


class UnfusedError(
    MemoryError, SeisopsError
):  # in this order: what workers raise is unpickled by MemoryError's __new__
    """An expression would materialise a wavefield larger than its memory budget."""


class UnstableError(SeisopsError, RuntimeError):
    """A medium is too fast for the time step frozen in an operator."""


class CompilerError(SeisopsError, RuntimeError):
    """There is no C compiler, or it does not compile what it should."""


class AccuracyWarning(UserWarning):
    """Results are other than they seem: something does not suit the source, the time axis, the points or the grid."""


class DispersionWarning(AccuracyWarning):
    """The grid is too coarse for the highest frequency of a source in the slowest part of a medium."""


def shown(value: object, size: int = 80) -> str:
    """What a user gave, for a message: on one line, cut to a size, and arrays by their shape."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"an array of {getattr(value, 'dtype', 'numbers')} of shape {shape}"
    return shortened(" ".join(repr(value).split()), size)


def shortened(text: str, size: int) -> str:
    """A text, cut to a size."""
    return text if len(text) <= size else f"{text[: size - 3]}..."


def unidentified(x: object) -> ParameterError:
    """What to raise where a fingerprint is asked of something that does not say what it is."""
    cls = type(x)
    return ParameterError(
        f"cannot take a fingerprint of a {cls.__qualname__}: {cls.__module__}.{cls.__qualname__} does not say what it is. "
        "Define its method _fingerprint(self), which returns the numbers, text, arrays, operators and maps that it is made "
        "of, or give those"
    )


def outside() -> int:
    """The `stacklevel` at which the caller's warning is blamed on the first frame that is neither ours nor a solver's."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in LIBRARIES:
        frame, level = frame.f_back, level + 1
    return level
