"""What the class of a wave equation states, looked at one by one: that it is of its kind, and names what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from inspect import Parameter, signature
from keyword import iskeyword
from math import isfinite
from numbers import Real
from typing import Any

from seisops.errors import ParameterError
from seisops.wave.quantities import Quantity

__all__ = ["check_stated", "require_free", "require_names"]

#: What else a medium is made with.
TAKEN = ("self", "grid", "ranges")


def check_stated(equation: type) -> None:
    """Raise a ParameterError if a class states what cannot be meant; what is a property is stated of each medium."""
    for name in ("fields", "parameters"):
        if _is_stated(equation, name):
            require_names(_told(equation, name), getattr(equation, name))
    for name, (fits, what) in KINDS.items():
        if _is_stated(equation, name):
            _require_values(equation, name, fits, what)
    taken = [name for name in equation.settings if hasattr(equation, name)] if _is_stated(equation, "settings") else []
    if taken:
        raise ParameterError(
            f"{equation.__name__}.settings has {taken[0]!r}, which media have as an attribute already: find another name"
        )
    if not _is_stated(equation, "fields"):
        return
    fields = equation.fields
    if not fields:
        raise ParameterError(f"{_told(equation, 'fields')}: an equation has one field at least, as in fields = ('u',)")
    for name in (name for name in OF_FIELDS if _is_stated(equation, name)):
        # parameters may be odd in a mirror, too
        more = equation.parameters if name == "surface" and _is_stated(equation, "parameters") else ()
        lost = [one for one in getattr(equation, name) if one not in (*fields, *more)]
        if lost:
            raise ParameterError(
                f"{_told(equation, name)} has {lost[0]!r}, which is none of the fields {fields} of {equation.__name__}: "
                "state it of fields, and again where these are others"
            )
    for name in (name for name in ("components", "drives") if _is_stated(equation, name)):
        lost = [field for weights in getattr(equation, name).values() for field in weights if field not in fields]
        if lost:
            raise ParameterError(
                f"{_told(equation, name)} has {lost[0]!r}, which is none of the fields {fields} of {equation.__name__}"
            )
    for name in equation.tractions if _is_stated(equation, "tractions") else ():
        if name not in fields:
            raise ParameterError(
                f"{_told(equation, 'tractions')} has {name!r}, which is none of the fields {fields} of {equation.__name__}"
            )
    both = [field for field in fields if _is_stated(equation, "parameters") and field in equation.parameters]
    if both:
        raise ParameterError(
            f"{equation.__name__} has {both[0]!r} in both fields={fields} and parameters={equation.parameters}: one is "
            "solved for, and the other is known; find another name for one"
        )
    if _is_stated(equation, "staggering") and len({len(place) for place in equation.staggering.values()}) > 1:
        raise ParameterError(
            f"{_told(equation, 'staggering')}: all positions are along the same axes, 2 or 3 numbers each"
        )


def require_names(what: str, names: Any) -> None:
    """Raise a ParameterError unless `names` are a tuple of different names, as Python has them."""
    if not isinstance(names, tuple):
        raise ParameterError(f"{what}: give a tuple of names, as in ('u',)")
    for name in names:
        if not isinstance(name, str) or not name.isidentifier() or iskeyword(name) or name.startswith("_"):
            raise ParameterError(
                f"{what}: {name!r} is no name of an attribute; take letters, digits and _, the first one a letter, and no "
                "word that Python reserves"
            )
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ParameterError(f"{what} has {twice[0]!r} twice: give different names")


def require_free(what: str, names: Iterable[str]) -> None:
    """Raise a ParameterError if a medium cannot be given something by one of some names."""
    for name in names:
        if name in TAKEN:
            raise ParameterError(f"{what} has {name!r}, which media are made with already: find another name")


def _is_stated(equation: type, name: str) -> bool:
    return not isinstance(getattr(equation, name), property | cached_property)


def _told(equation: type, name: str) -> str:
    """What is stated, and by which class where another one has it from there."""
    by = next(c for c in equation.__mro__ if name in vars(c))
    return f"{by.__name__}.{name}={getattr(equation, name)!r:.200}"


def _require_values(equation: type, name: str, fits: Callable[[Any], bool], what: str) -> None:
    stated = getattr(equation, name)
    if not isinstance(stated, Mapping):
        raise ParameterError(f"{_told(equation, name)}: give a mapping, by name {what}")
    for key, value in stated.items():
        # that of a setting is for its function to judge
        if not fits(value) and not (name == "defaults" and key in equation.settings):
            raise ParameterError(f"{_told(equation, name)}: {key!r} has {value!r}; give {what}")


def _is_number(x: Any) -> bool:
    return isinstance(x, Real) and isfinite(x)


def _are_weights(x: Any) -> bool:
    return isinstance(x, Mapping) and len(x) > 0 and all(map(_is_number, x.values()))


def _is_place(x: Any) -> bool:
    return isinstance(x, tuple | list) and len(x) in (2, 3) and all(_is_number(p) and p in (-0.5, 0, 0.5) for p in x)


def _is_relation(x: Any) -> bool:
    try:
        kinds = [p.kind for p in signature(x).parameters.values()]
    except (TypeError, ValueError):  # no function, or one that does not say what it takes
        return False
    return all(kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)


OF_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "source": (_is_number, "how much of a source enters the row of a field, a finite number"),
    "observe": (_is_number, "how much of a field is observed, a finite number"),
    "staggering": (_is_place, "where a field lies within its cell, -0.5, 0 or 0.5 along 2 or 3 axes, as in (0.5, 0.0)"),
    "timing": (_is_number, "where a field lies within the time step, a finite number"),
    "surface": (
        lambda x: _is_number(x) and x in (-1, 1),
        "-1 for a field (or parameter) that is odd about a free surface, or 1, even",
    ),
}
WEIGHTS = "how much of each field it is, finite numbers by field, as in {'vz': 1.0}"
RELATION = "a function whose arguments are named like what it follows from, as in lambda vp: vp**-2"
#: What the values of a mapping have to be, and how to say that.
KINDS = OF_FIELDS | {
    "components": (_are_weights, WEIGHTS),
    "drives": (_are_weights, WEIGHTS),
    "relations": (_is_relation, RELATION),
    "inverses": (_is_relation, RELATION),
    "settings": (callable, "a function of what is given that returns what is meant, as in float"),
    "defaults": (lambda x: x is None or _is_number(x), "a finite number, or None for what may be absent"),
    "quantities": (lambda x: isinstance(x, Quantity), "a seisops.Quantity"),
}
