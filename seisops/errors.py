"""Exceptions and warnings: each derives from `SeisopsError` and from the builtin a Python user expects."""

__all__ = [
    "DispersionWarning",
    "ParameterError",
    "SeisopsError",
    "SelectionError",
    "SpaceError",
    "UnfusedError",
    "UnstableError",
]


class SeisopsError(Exception):
    """Base class of every error raised on purpose by seisops."""


class SpaceError(SeisopsError, ValueError):
    """Spaces, shapes or dtypes that do not fit together."""


class ParameterError(SeisopsError, ValueError):
    """A parameter of a medium, a survey or an operator is missing, unknown or has an impossible value."""


class SelectionError(SeisopsError, IndexError):
    """Shots are asked for that are not there."""


class UnfusedError(
    MemoryError, SeisopsError
):  # in this order: what workers raise is unpickled by MemoryError's __new__
    """An expression would materialise a wavefield larger than its memory budget."""


class UnstableError(SeisopsError, RuntimeError):
    """A medium is too fast for the time step frozen in an operator."""


class DispersionWarning(UserWarning):
    """The grid is too coarse for the highest frequency of a source in the slowest part of a medium."""
