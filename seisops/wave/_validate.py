"""Checks of numbers that users pass, shared by the descriptions of grids, time axes and wavelets."""

import math
import operator

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


def number_or_nan(value):
    """Return `value` as a float, or NaN where it is no real number: text that is none, several numbers, a complex one."""
    if getattr(getattr(value, "dtype", None), "kind", "") == "c":  # of which float() takes the real part
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
