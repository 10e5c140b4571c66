"""What commands are told, declared once: options of the command line and keys of a TOML file are made of the same fields.

A section is a dataclass of keyword arguments, each made by :func:`key`.
"""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from seisops.errors import ParameterError, shown
from seisops.wave._validate import integer, not_negative, real

__all__ = [
    "Bands", "Choice", "File", "Flag", "Key", "Kind", "Number", "NumberOr", "Numbers", "Shots", "Text", "Whole", "Wholes",
    "add_options", "example", "from_options", "from_table", "key", "keys", "near",
]  # fmt: skip

Section = TypeVar("Section")


class Kind(ABC):
    """What a value may be.

    Attributes
    ----------
    metavar : str
        What stands for it in the help of a command.
    choices : tuple of str
        If it is one of a few words.
    """

    metavar = ""
    choices: tuple[str, ...] = ()

    def parsed(self, text: str) -> Any:
        """What was written on a command line, as a TOML file would have it."""
        return text

    @abstractmethod
    def checked(self, name: str, value: Any) -> Any:
        """The value that is meant, or a ParameterError that names it."""


class File(Kind):
    """A path; what it leads to is looked at by who reads it."""

    def __init__(self, metavar: str = "FILE") -> None:
        self.metavar = metavar

    def checked(self, name: str, value: Any) -> Path:
        """A path."""
        return Path(_word(name, value))


class Text(Kind):
    """Any text."""

    def __init__(self, metavar: str) -> None:
        self.metavar = metavar

    def checked(self, name: str, value: Any) -> str:
        """Text."""
        return _word(name, value)


class Choice(Kind):
    """One of a few words."""

    def __init__(self, *choices: str) -> None:
        self.choices = choices

    def checked(self, name: str, value: Any) -> str:
        """The word."""
        if value not in self.choices:
            raise ParameterError(
                f"{name} is one of {', '.join(self.choices)}, got {shown(value)}{near(value, self.choices)}"
            )
        return value


class Flag(Kind):
    """Yes or no."""

    def checked(self, name: str, value: Any) -> bool:
        """A truth value."""
        if not isinstance(value, bool):
            raise ParameterError(f"{name} is true or false, got {shown(value)}")
        return value


class Number(Kind):
    """A number in a unit.

    Parameters
    ----------
    unit : str
    sign : {"positive", "not negative", "any"}, optional
    """

    def __init__(self, unit: str, sign: str = "positive") -> None:
        self.unit, self.sign = unit, sign
        self.metavar = unit.upper() if len(unit) < 4 else "NUMBER"

    def parsed(self, text: str) -> Any:
        """A number, or the text if it is none."""
        try:
            return float(text)
        except ValueError:
            return text

    def checked(self, name: str, value: Any) -> float:
        """A float."""
        value = None if isinstance(value, bool) else value
        if self.sign == "not negative":
            return not_negative(name, value, self.unit)
        return real(name, value, self.unit, positive=self.sign == "positive")


class Whole(Kind):
    """A whole number of at least so much."""

    def __init__(self, minimum: int = 1) -> None:
        self.minimum, self.metavar = minimum, "N"

    def parsed(self, text: str) -> Any:
        """An integer, or the text if it is none."""
        try:
            return int(text)
        except ValueError:
            return text

    def checked(self, name: str, value: Any) -> int:
        """An int."""
        return integer(name, value, minimum=self.minimum)


class Wholes(Whole):
    """Some whole numbers, ``401,201`` or ``[401, 201]``, of at least so much each."""

    def __init__(self, metavar: str, counts: tuple[int, ...], minimum: int = 1) -> None:
        super().__init__(minimum)
        self.counts, self.metavar = counts, metavar

    def parsed(self, text: str) -> Any:
        """A list."""
        return [super(Wholes, self).parsed(part) for part in text.split(",")]

    def checked(self, name: str, value: Any) -> tuple[int, ...]:
        """A tuple."""
        values = value if isinstance(value, list | tuple) else [value]
        if len(values) not in self.counts:
            raise ParameterError(f"{name} takes {' or '.join(map(str, self.counts))} whole numbers, got {shown(value)}")
        return tuple(super(Wholes, self).checked(name, one) for one in values)


class Numbers(Number):
    """Some numbers in a unit, ``10,12.5`` or ``[10, 12.5]``; one may stand alone if that is one of the counts."""

    def __init__(self, unit: str, counts: tuple[int, ...], sign: str = "positive") -> None:
        super().__init__(unit, sign)
        self.counts, self.metavar = counts, f"{self.metavar},..."

    def parsed(self, text: str) -> Any:
        """A list."""
        return [super(Numbers, self).parsed(part) for part in text.split(",")]

    def checked(self, name: str, value: Any) -> tuple[float, ...]:
        """A tuple."""
        values = value if isinstance(value, list | tuple) else [value]
        if len(values) not in self.counts:
            counts = " or ".join(map(str, self.counts))
            raise ParameterError(f"{name} takes {counts} numbers in {self.unit}, got {shown(value)}")
        return tuple(super(Numbers, self).checked(name, one) for one in values)


class NumberOr(Numbers):
    """One of a few words, or some numbers."""

    def __init__(self, words: Sequence[str], unit: str, counts: tuple[int, ...], sign: str = "any") -> None:
        super().__init__(unit, counts, sign)
        self.words, self.metavar = tuple(words), "|".join([*words, self.metavar])

    def parsed(self, text: str) -> Any:
        """A word or a list."""
        return text if text in self.words else super().parsed(text)

    def checked(self, name: str, value: Any) -> Any:
        """A word or a tuple."""
        return value if value in self.words else super().checked(name, value)


class Shots(Kind):
    """Some shots: ``0:40:2``, ``0,5,7`` or ``[0, 5, 7]``."""

    metavar = "FIRST:END:STEP"

    def parsed(self, text: str) -> Any:
        """Text with colons, or a list."""
        return text if ":" in text else [Whole.parsed(Whole(), part) for part in text.split(",")]

    def checked(self, name: str, value: Any) -> slice | list[int]:
        """A slice or a list."""
        if isinstance(value, str) and value.count(":") in (1, 2):
            try:
                return slice(*(int(part) if part.strip() else None for part in value.split(":")))
            except ValueError:
                pass
        values = value if isinstance(value, list) else [value]
        if not values or not all(type(one) is int for one in values):
            raise ParameterError(f"{name} takes numbers of shots, as 0,5,7, or a slice, as 0:40:2, got {shown(value)}")
        return values


class Bands(Kind):
    """Corners of frequency bands in Hz, of which the last may be ``all``."""

    metavar = "HZ,..."

    def checked(self, name: str, value: Any) -> tuple[float | None, ...]:
        """A tuple in which None stands for all frequencies."""
        values = value if isinstance(value, list) else [value]
        if not values:
            raise ParameterError(
                f'{name} is empty: give corners in Hz, and "all" for all frequencies: [4.0, 8.0, "all"]'
            )
        return tuple(None if one == "all" else real(name, one, 'Hz, or "all"', positive=True) for one in values)


@dataclass(frozen=True)
class Key:
    """A field of a section.

    Attributes
    ----------
    name, help : str
    kind : Kind
    default : Any
        MISSING where it has to be stated.
    example : str
        A value, as TOML has it.
    active : bool
        Whether an example states it.
    """

    name: str
    help: str
    kind: Kind
    default: Any
    example: str
    active: bool

    @property
    def option(self) -> str:
        """Its name on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def told(self) -> str:
        """The help, with the default."""
        if self.default in (MISSING, None, False):
            return self.help
        return f"{self.help} (default: {_told(self.default)})"


def key(help: str, kind: Kind, default: Any = MISSING, example: str = "", active: bool = False) -> Any:
    """A field of a section.

    Parameters
    ----------
    help : str
        What it is, in a few words, with its unit.
    kind : Kind
    default : optional
        Without one it has to be stated.
    example : str, optional
        As TOML has it; by default the default.
    active : bool, optional
        Whether an example states it, also where it need not be stated.
    """
    active = active or default is MISSING
    metadata = {"help": help, "kind": kind, "example": example, "active": active}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def keys(section: type) -> list[Key]:
    """The keys of a section, in their order, but for those that have to be stated, which come first."""
    return sorted((_key(one) for one in fields(section)), key=lambda one: one.default is not MISSING)


def _key(one: Field) -> Key:
    return Key(name=one.name, default=one.default, **one.metadata)


# ---- the command line


def add_options(parser: argparse.ArgumentParser, section: type, title: str, positional: Sequence[str] = ()) -> None:
    """Add the keys of a section to a parser, as a group of options.

    Parameters
    ----------
    parser : ArgumentParser
    section : type
        Its docstring describes the group.
    title : str
    positional : sequence of str, optional
        Keys that are no options.
    """
    group = parser.add_argument_group(title, section.__doc__)
    for one in keys(section):
        told = one.told.replace("%", "%%")
        if one.name in positional:
            group.add_argument(one.name, metavar=one.name.upper(), help=told)
        elif isinstance(one.kind, Flag):
            group.add_argument(one.option, action="store_true", help=told)
        elif one.kind.choices:
            group.add_argument(one.option, choices=one.kind.choices, help=told)
        else:
            group.add_argument(one.option, metavar=one.kind.metavar, required=one.default is MISSING, help=told)


def from_options(section: type[Section], options: argparse.Namespace) -> Section:
    """A section of what a command line said."""
    said = {}
    for one in keys(section):
        value = getattr(options, one.name)
        if value is not None and value is not False:
            said[one.name] = one.kind.checked(one.option, one.kind.parsed(value) if isinstance(value, str) else value)
    return section(**said)


# ---- TOML


def from_table(section: type[Section], table: Mapping[str, Any], where: str, folder: Path) -> Section:
    """A section of a table of a TOML file.

    Parameters
    ----------
    section : type
    table : mapping
    where : str
        What the table is called, for messages.
    folder : Path
        To which paths are relative.
    """
    known = {one.name: one for one in keys(section)}
    for name in table:
        if name not in known:
            meant = near(name, known) or f": its keys are {', '.join(known)}"
            raise ParameterError(f"{where} has no key {name!r}{meant}")
    missing = [name for name, one in known.items() if one.default is MISSING and name not in table]
    if missing:
        one = known[missing[0]]
        raise ParameterError(f"{where} needs {one.name}, {one.help}: {one.name} = {one.example}")
    said = {name: known[name].kind.checked(f"{where} {name}", value) for name, value in table.items()}
    return section(**{name: folder / value if isinstance(value, Path) else value for name, value in said.items()})


def example(sections: Mapping[str, type]) -> Iterator[str]:
    """Lines of a TOML file with all keys of some sections, commented."""
    for name, section in sections.items():
        yield f"[{name}]"
        for one in keys(section):
            line = f"{'' if one.active else '# '}{one.name} = {one.example or _toml(one.default)}"
            yield f"{line:36}  # {one.told}"
        yield ""


def near(word: Any, words: Sequence[str] | Mapping[str, Any]) -> str:
    """A question after what may be meant, or nothing."""
    found = get_close_matches(str(word), list(words), n=1, cutoff=0.5)
    return f": did you mean {found[0]!r}?" if found else ""


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ParameterError(f"{name} is text, got {shown(value)}")
    return value


def _told(value: Any) -> str:
    return ",".join(f"{one:g}" for one in value) if isinstance(value, tuple) else f"{value}"


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"'
