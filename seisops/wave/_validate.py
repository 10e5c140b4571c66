"""Checks of numbers that users pass, shared by the descriptions of grids, time axes and wavelets."""

import math
import operator

import numpy as np

from seisops.errors import ParameterError, shown


def integer(name, value, minimum):
    """Return `value` as an int of at least `minimum`, or raise a `ParameterError` that names it."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < minimum:
        raise ParameterError(f"{name} must be an integer of at least {minimum}, got {shown(value)}")
    return number


#: Kinds of arrays that numbers may be given as: not what only looks like one, as text, complex numbers and dates.
NUMBERS = "biufO"


def floats(value):
    """Return a float64 copy of numbers; a TypeError, or a ValueError, of what are none, as text is, whatever it says."""
    given = np.asarray(value)
    if given.dtype.kind not in NUMBERS or (
        given.dtype.kind == "O" and any(one is None or isinstance(one, str) for one in given.flat)
    ):
        raise TypeError(f"{given.dtype} is not a real number")
    return np.array(given, dtype=np.float64)


def number_or_nan(value):
    """Return `value` as a float, or NaN where it is no real number: text, several numbers, a complex one."""
    # of complex numbers float() takes the real part, and of text what it says
    if isinstance(value, str | bytes) or getattr(getattr(value, "dtype", None), "kind", "f") not in NUMBERS:
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def real(name, value, unit, positive=False):
    """Return `value` as a finite (and perhaps positive) float, or raise a `ParameterError` that names it."""
    number = number_or_nan(value)
    if not math.isfinite(number) or (positive and number <= 0):
        kind = "positive and finite" if positive else "finite"
        raise ParameterError(f"{name} must be a {kind} number in {unit}, got {shown(value)}")
    return number


def not_negative(name, value, unit):
    """Return `value` as a finite float of at least 0, or raise a `ParameterError` that names it."""
    number = real(name, value, unit)
    if number < 0:
        raise ParameterError(f"{name} must not be negative, got {shown(value)}, in {unit}")
    return number
