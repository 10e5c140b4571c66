"""What a wave equation declares that it is given by, and how the coefficients of its residual follow from that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from seisops.errors import ParameterError, SeisopsError, shown
from seisops.wave.quantities import ANY, Quantity, arguments
from seisops.wave.stated import check_stated, require_free, require_names
from seisops.wave.symbolic import Symbolic, expression

if TYPE_CHECKING:
    import sympy

__all__ = ["Declaration"]


#: What functions raise that are called with what they are not made for.
FAILURES = (TypeError, ValueError, AttributeError, ArithmeticError, LookupError)


def _union(name: str, how: Callable, names: Sequence[set[str]]) -> set[str]:
    return set().union(*names)


@dataclass(frozen=True)
class Declaration:
    """The names of a wave equation and how they follow from each other: what its class says, put in order and checked.

    Attributes
    ----------
    equation : str
        Its name, for messages.
    coefficients : tuple of str
        What the residual is written with, also what may be absent.
    given : tuple of tuple of str
        What a medium is given by: alternatives, of which each medium takes one.
    relations, inverses, defaults, settings, quantities : mapping
        As in :class:`~seisops.WaveEquation`.
    """

    equation: str = ""
    coefficients: tuple[str, ...] = ()
    given: tuple[tuple[str, ...], ...] = ()
    relations: Mapping[str, Callable] = field(default_factory=dict)
    inverses: Mapping[str, Callable] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    quantities: Mapping[str, Quantity] = field(default_factory=dict)

    @classmethod
    def of(cls, equation: type) -> Declaration:
        """What a class declares; refused if it does not fit together."""
        check_stated(equation)
        if isinstance(equation.parameters, property):  # made of another equation, whose declaration counts
            return cls()
        parts = {
            name: getattr(equation, name) for name in ("relations", "inverses", "defaults", "settings", "quantities")
        }
        coefficients = equation.parameters
        if equation.given:
            given = _given(f"{equation.__name__}.given={equation.given!r}", equation.given)
        else:
            given = [(c, *_others(c, parts["relations"], parts["inverses"])) for c in coefficients]
            given += [(name,) for name in parts["settings"]]
        declared = cls(equation.__name__, coefficients, tuple(given), **parts)
        declared._check()
        return declared

    def _check(self) -> None:
        """Refuse names that lead nowhere; what each of the statements is, :func:`check_stated` has looked at."""
        require_names(f"{self.equation} is given by {self.given}, which", self.names)
        require_free(f"{self.equation} is given by {self.given}, which", self.names)
        for name in (*self.settings, *self.inverses, *self.defaults):
            if name not in self.names:
                raise ParameterError(f"{self.equation}.given={self.given} lacks {name!r}, of which more is declared")
        for name in self.arrays:
            if self.follow(name, self.leaves(self.coefficients), _union) is None:
                raise ParameterError(
                    f"{self.equation} is given by {name!r}, which has to be one of its parameters {self.coefficients}, "
                    "or to follow from them: state how in `inverses`"
                )
        for name in self.coefficients:
            if self.follow(name, self.leaves(self.arrays), _union) is None:
                raise ParameterError(
                    f"{self.equation}.parameters has {name!r}, which has to be in {self.given}, by which it is given, or to "
                    "follow from that: state how in `relations`"
                )
        known = {*self.names, *self.coefficients}
        for how in (*self.relations.values(), *self.inverses.values()):
            known.update(arguments(how))
        unused = [name for name in (*self.relations, *self.quantities) if name not in known]
        # what states no parameters leaves them to subclasses
        if self.coefficients and unused:
            where = "relations" if unused[0] in self.relations else "quantities"
            raise ParameterError(
                f"{self.equation}.{where} has {unused[0]!r}, which is neither one of its parameters {self.coefficients} nor "
                f"in {self.given}, by which it is given, nor does one of those follow from it"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """All that a medium may be given by, in order."""
        return tuple(name for names in self.given for name in names)

    @property
    def first(self) -> tuple[str, ...]:
        """What may be given by place: of alternatives the first."""
        return tuple(names[0] for names in self.given)

    @property
    def arrays(self) -> tuple[str, ...]:
        """Those that have a value in every cell, coefficients first."""
        return tuple(
            sorted((n for n in self.names if n not in self.settings), key=lambda n: n not in self.coefficients)
        )

    @property
    def signature(self) -> Signature:
        """How a medium is made."""
        names = [Parameter(n, Parameter.POSITIONAL_OR_KEYWORD, default=self.defaults.get(n)) for n in self.first]
        others = [Parameter(n, Parameter.KEYWORD_ONLY, default=None) for n in self.names if n not in self.first]
        grid = Parameter("grid", Parameter.POSITIONAL_OR_KEYWORD)
        return Signature([grid, *names, *others, Parameter("ranges", Parameter.KEYWORD_ONLY, default=None)])

    # -- what follows

    def follow(
        self,
        name: str,
        known: Mapping[str, Any],
        combine: Callable[[str, Callable, Sequence[Any]], Any] | None = None,
        before: tuple[str, ...] = (),
    ) -> Any:
        """What follows for a name from what is known of others, by relations or else by inverses; None if nothing does.

        Parameters
        ----------
        name : str
        known : mapping
            Arrays or symbols.
        combine : callable, optional
            Takes a name, its relation and what is known of its arguments; by default :meth:`call`.
        before : tuple of str, optional
            Names from which this one is asked for: they do not follow from it.
        """
        if name in known:
            return known[name]
        for how in (self.relations.get(name), self.inverses.get(name)):
            if how is None or name in before:
                continue
            values = [self.follow(argument, known, combine, (*before, name)) for argument in arguments(how)]
            if all(value is not None for value in values):
                return (combine or self.call)(name, how, values)
        return None

    def call(self, name: str, how: Callable, values: Sequence[Any]) -> Any:
        """What a relation or an inverse makes of arrays or symbols."""
        try:
            made = how(*values)
            if made is None:
                raise TypeError("it returns nothing")
        except SeisopsError:
            raise
        except FAILURES as error:
            symbols = any(isinstance(value, Symbolic) for value in values)
            raise self._failed(name, how, "symbols" if symbols else "arrays", error) from error
        return made

    def expression(self, name: str, known: Mapping[str, Any]) -> sympy.Expr:
        """What follows for a name from symbols (and settings), as an expression of them."""
        found = self.follow(name, known)
        try:
            return expression(found)
        except FAILURES as error:
            raise self._failed(name, self.relations.get(name, self.inverses.get(name)), "symbols", error) from error

    def _failed(self, name: str, how: Callable, what: str, error: Exception) -> ParameterError:
        where = "relations" if self.relations.get(name) is how else "inverses"
        why = ", from which derivatives follow" if what == "symbols" else ""
        return ParameterError(
            f"{self.equation}.{where}[{name!r}], a function of {', '.join(arguments(how))}, fails with {what}{why} "
            f"({type(error).__name__}: {error}): write arithmetic, as in vp**0.5, or NumPy's sqrt, exp, log and functions "
            "of angles, cell by cell"
        )

    def set(self, name: str, value: Any) -> Any:
        """What is meant by what is given for a setting."""
        try:
            meant = self.settings[name](value)
            hash(meant)
        except SeisopsError:
            raise
        except FAILURES as error:
            raise ParameterError(
                f"{self.equation}: {name}={shown(value)} is refused by {self.equation}.settings[{name!r}] "
                f"({type(error).__name__}: {error}): give what that takes, and have it return what never changes, as numbers"
            ) from error
        return meant

    def require_independent(self, wrt: Sequence[str]) -> None:
        """Raise a ParameterError if two names are one parameter, of which a medium has one at a time."""
        for names in self.given:
            same = [name for name in wrt if name in names]
            if len(same) > 1:
                raise ParameterError(
                    f"wrt={tuple(wrt)!r}: {self.equation} is given by exactly one of {' and '.join(names)}, which "
                    f"follow from each other, so that {' and '.join(map(repr, same))} do not move apart: take one, as in "
                    f"wrt={tuple(n for n in wrt if n not in same[1:])!r}"
                )

    def leaves(self, names: Iterable[str]) -> dict[str, set[str]]:
        """Names, and settings, as what they depend on: themselves, to :meth:`follow` what others depend on."""
        return {name: {name} for name in (*names, *self.settings)}

    def depend(self, coefficients: Iterable[str], wrt: Sequence[str]) -> tuple[str, ...]:
        """Those of some coefficients that depend on some of what a medium may be given by."""
        leaves = self.leaves(self.coordinates(wrt))
        return tuple(c for c in coefficients if (self.follow(c, leaves, _union) or set()) & set(wrt))

    def coordinates(self, wrt: Sequence[str]) -> tuple[str, ...]:
        """Names that determine a medium, those of `wrt` among them; of other alternatives the first."""
        out: list[str] = []
        for names in self.given:
            out += [name for name in names if name in wrt] or names[:1]
        return tuple(name for name in out if name not in self.settings)

    def present(self, values: Iterable[str]) -> tuple[str, ...]:
        """The coefficients of a medium that has some: without those that are absent from it."""
        absent = {name for name, value in self.defaults.items() if value is None}
        leaves = self.leaves(self.arrays)
        return tuple(c for c in self.coefficients if c in values or not self.follow(c, leaves, _union) & absent)

    # -- what is said of a medium

    def said(self, values: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """By name, what was given by place or by name."""
        twice = [name for name in self.first[: len(values)] if name in named]
        if len(values) > len(self.first) or twice:
            raise ParameterError(
                f"{self.equation} takes a grid and {self.first}, others by name: "
                + (f"{', '.join(twice)} was given twice" if twice else f"got {len(values)} values after the grid")
            )
        return {**dict(zip(self.first, values, strict=False)), **named}

    def chosen(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """What was said, or else the default, of one of each alternatives; of nothing that is absent."""
        out: dict[str, Any] = {}
        missing, unknown = [], [name for name in said if name not in self.names]
        exactly_one = None
        for names in self.given:
            these = [name for name in names if said.get(name) is not None]
            defaults = [name for name in names if name in self.defaults]
            if len(these) == 1:
                out[these[0]] = said[these[0]]
            elif defaults and not these:
                out.update({name: self.defaults[name] for name in defaults if self.defaults[name] is not None})
            elif len(names) == 1:
                missing.append(names[0])
            else:
                exactly_one = exactly_one or (names, "both" if len(these) == 2 else "all" if these else "neither")
        if missing or unknown:
            raise ParameterError(
                f"{self.equation} has the parameters {self.names}: "
                + "; ".join(f"{kind} {names}" for kind, names in (("missing", missing), ("unknown", unknown)) if names)
            )
        if exactly_one:
            names, got = exactly_one
            raise ParameterError(
                f"{self.equation} needs exactly one of {' and '.join(map(self._with_unit, names))}, got {got}"
            )
        return out

    def _with_unit(self, name: str) -> str:
        unit = self.quantities.get(name, ANY).unit
        return f"{name} ({unit})" if unit else name

    def restated(self, replaced: Mapping[str, Any], read: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
        """What gives a medium again with something replaced.

        Parameters
        ----------
        replaced : mapping
        read : mapping
            What can be read of the medium, and how. Of alternatives the first counts, with which others are differentiated;
            or a coefficient that follows from that alone, which stays what it is, to the last bit.
        """
        out = dict(replaced)
        for names in self.given:
            kept = [name for name in names if name in read]
            if kept and not any(name in replaced for name in names):
                same = [c for c in kept if c in self.coefficients and self._follows_from(c, kept[0])]
                name = (same or kept)[0]
                out[name] = read[name](name)
        return out

    def _follows_from(self, coefficient: str, name: str) -> bool:
        """Whether a coefficient is a function of one name, and of settings."""
        known = self.follow(coefficient, self.leaves([name]), _union)
        return known is not None and known - set(self.settings) == {name}


def _given(what: str, given: Any) -> list[tuple[str, ...]]:
    """What a class says that media are given by, as alternatives."""
    if not isinstance(given, tuple | list) or not all(given):
        raise ParameterError(f"{what}: give a tuple of names, or of alternatives, as in (('vp', 'm'), 'rho')")
    alternatives = [(names,) if isinstance(names, str) else names for names in given]
    for names in alternatives:
        require_names(what, names)
    return alternatives


def _others(coefficient: str, relations: Mapping[str, Callable], inverses: Mapping[str, Callable]) -> tuple[str, ...]:
    """What may be given instead of a coefficient, where nothing is said about it: the one thing that it is a function of."""
    names = arguments(relations[coefficient]) if coefficient in relations else ()
    return names if len(names) == 1 and names[0] in inverses else ()
