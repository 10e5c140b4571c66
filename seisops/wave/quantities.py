"""What the numbers of a medium are: their units, and the values that occur."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from types import MappingProxyType
from typing import Protocol

import numpy as np

from seisops.errors import ParameterError, shown
from seisops.wave._validate import floats, number_or_nan

__all__ = [
    "ANY",
    "Quantity",
    "Ranges",
    "arguments",
    "check_possible",
    "checked_ranges",
    "governing",
    "implausible",
    "numbers",
    "plausible",
    "span",
]

# by how much the ends of a range may be missed on the way from one quantity to another, and in single precision
ROUNDING = 1e-6


@dataclass(frozen=True)
class Quantity:
    """What the numbers of a parameter are.

    Parameters
    ----------
    unit : str, optional
        The unit in which they are given.
    plausible : tuple of float, optional
        Lowest and highest value that occur. Numbers beyond them are refused, as those of another unit, unless a medium
        says that they are meant. By default, those that follow from the parameter that this one is a monotone function of
        (see ``WaveEquation.relations``), or any if it is none.
    positive : bool, optional
        Whether other numbers are impossible.
    others : mapping of str to float, optional
        Other units in use, and how much of `unit` each of them is.
    summit : float, optional
        For what may be zero: the largest size of a value of a medium, if it is not zero everywhere, is hardly below this.
        Of what has no `plausible` range, as what is a difference of others, it is asked of what users give, unless they
        state any `ranges`.
    """

    unit: str = ""
    plausible: tuple[float, float] | None = None
    positive: bool = False
    others: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    summit: float = 0.0

    @property
    def units(self) -> dict[str, float]:
        """All units, `unit` first, by name: how much of `unit` each of them is."""
        return {self.unit: 1.0, **self.others}


#: Any finite numbers.
ANY = Quantity()


class Physics(Protocol):
    """What is asked of a wave equation."""

    quantities: Mapping[str, Quantity]
    relations: Mapping[str, Callable]


Ranges = Mapping[str, tuple[float, float]]


def arguments(relation: Callable) -> tuple[str, ...]:
    """The names of what a relation is a function of."""
    return tuple(signature(relation).parameters)


def numbers(name: str, value) -> np.ndarray:
    """A float64 copy of what was given for a parameter."""
    if np.ma.is_masked(value):
        raise ParameterError(
            f"{name} is a masked array, and some of it is masked: give numbers for all cells, as by .filled()"
        )
    try:
        return floats(value)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name}={shown(value)} is not an array of real numbers") from error


def check_possible(name: str, a: np.ndarray, quantity: Quantity) -> None:
    """Raise a ParameterError unless all numbers are finite, and positive where that is needed."""
    unit = f" {quantity.unit}" if quantity.unit else ""
    bad, what = ~np.isfinite(a), "not finite"
    if not bad.any() and quantity.positive:
        bad, what = a <= 0, "not positive"
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ParameterError(
            f"{name} is {what} in {int(bad.sum())} of {bad.size} cells, first {a[where]}{unit} at index {where}: "
            "every cell needs a valid value"
        )


def checked_ranges(physics: Physics, ranges: Ranges | None) -> dict[str, tuple[float, float]]:
    """What a medium says of the values that are meant, by name of a quantity that has a plausible range of its own."""
    known = [name for name, quantity in physics.quantities.items() if quantity.plausible or quantity.summit]
    out = {}
    for name, ends in (ranges or {}).items():
        if name not in known:
            raise ParameterError(
                f"ranges={{{name!r}: {ends!r}}}: ranges may be stated of {', '.join(known) or 'nothing'}"
            )
        quantity = physics.quantities[name]
        try:
            low, high = map(number_or_nan, ends)
        except (TypeError, ValueError):
            low = high = np.nan
        if not low < high or (quantity.positive and low < 0):
            raise ParameterError(
                f"ranges={{{name!r}: {ends!r}}}: give the lowest and the highest value in {quantity.unit}"
            )
        out[name] = (low, high)
    return out


def implausible(
    physics: Physics, name: str, values: np.ndarray, ranges: Ranges, unit: str | None = None, label: str | None = None
) -> str | None:
    """What is wrong with numbers that hardly mean what they are taken for, and what they may mean; None if they do.

    Parameters
    ----------
    physics : WaveEquation or type of it
        Its `quantities` and `relations` count.
    name : str
        Of the quantity that the numbers are taken for.
    values : ndarray
    ranges : mapping
        Plausible values of this medium, as of :func:`checked_ranges`.
    unit : str, optional
        Unit of the numbers, by default that of the quantity.
    label : str, optional
        What to call them, by default `name`.
    """
    ends = plausible(physics, name, ranges)
    if ends is None:
        return None
    quantity = physics.quantities[name]
    unit = quantity.unit if unit is None else unit
    low, high = (end / quantity.units[unit] for end in ends)
    bad = values[(values < low - ROUNDING * abs(low)) | (values > high + ROUNDING * abs(high))]
    stated = name in ranges or (ranges and not quantity.plausible)
    summit = 0.0 if stated else quantity.summit / quantity.units[unit]
    if not bad.size and 0 < np.abs(values).max(initial=0.0) < summit:
        bad, low = values[values != 0], summit
    if not bad.size:
        return None
    of, fits = governing(physics, name), _readings(physics, name, bad, ranges)
    follows = (
        ""
        if of == name
        else " ({} is {:g} to {:g} {})".format(of, *plausible(physics, of, ranges), physics.quantities[of].unit)
    )
    of_unit = f" {unit}" if unit else ""
    where = f"{low:g} to {high:g}{of_unit}" if high < np.inf else f"{low:g}{of_unit} or more in size"
    return (
        f"{label or name} is {span(bad)}{of_unit} in {bad.size} of {values.size} cells, outside the plausible "
        f"{where}{follows}: " + (f"perhaps {' or '.join(fits)}" if fits else "no unit that is known here fits it")
    )


def governing(physics: Physics, name: str) -> str:
    """The quantity whose plausible values decide: this one, or what it is a function of."""
    of = _argument(physics, name)
    return name if physics.quantities[name].plausible or of is None else governing(physics, of)


def plausible(physics: Physics, name: str, ranges: Ranges) -> tuple[float, float] | None:
    """Lowest and highest plausible value of a quantity; None if any are."""
    quantity = physics.quantities.get(name)
    if quantity is None:
        return None
    if quantity.plausible or name in ranges:
        return ranges.get(name, quantity.plausible)
    if quantity.summit:
        return -np.inf, np.inf
    of = _argument(physics, name)
    ends = plausible(physics, of, ranges) if of else None
    if ends is None:
        return None
    with np.errstate(divide="ignore"):
        low, high = sorted(float(physics.relations[name](np.float64(end))) for end in ends)
    return low, high


def _argument(physics: Physics, name: str) -> str | None:
    """What a quantity is a function of, if of one other that is known."""
    relation = physics.relations.get(name)
    names = arguments(relation) if relation else ()
    return names[0] if len(names) == 1 and names[0] in physics.quantities else None


def _readings(physics: Physics, name: str, values: np.ndarray, ranges: Ranges) -> list[str]:
    """The quantities and units as which numbers would be plausible: the same, what it follows from, and what from it."""
    out = []
    for other, quantity in physics.quantities.items():
        if other != name and _argument(physics, other) != name and _argument(physics, name) != other:
            continue
        ends = plausible(physics, other, ranges)
        for unit, factor in quantity.units.items():
            low, high = factor * values.min(), factor * values.max()
            if ends and ends[0] <= low and quantity.summit <= max(high, -low) and high <= ends[1]:
                then = "" if factor == 1 else f" (then {span(factor * values)} {quantity.unit}".rstrip() + ")"
                out.append(f"{other} in {unit}{then}" if unit else f"{other} as a fraction")
    return out


def span(values: np.ndarray) -> str:
    """The smallest and the largest of some numbers, for a message."""
    low, high = float(values.min()), float(values.max())
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
