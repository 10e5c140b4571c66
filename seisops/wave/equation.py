"""Wave equations: a residual, and the arrays of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import Signature
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from seisops._table import Told
from seisops.engine.kept.function import Function, function_of
from seisops.engine.kept.notes import Notes, is_noted, noted, told
from seisops.errors import ParameterError, shown
from seisops.wave.declaration import Declaration
from seisops.wave.grid import Grid
from seisops.wave.quantities import (
    ANY,
    Quantity,
    Ranges,
    arguments,
    check_possible,
    checked_ranges,
    governing,
    implausible,
    numbers,
    plausible,
)
from seisops.wave.symbolic import Symbolic, expression

if TYPE_CHECKING:
    import sympy

    from seisops.engine.derive.system import System
    from seisops.engine.symbols.template import Template

__all__ = ["WaveEquation"]


noted(Told)  # of how a medium is told nothing is derived


@noted
class WaveEquation(Told):
    """A linear wave equation ``A(p) u = q`` with the arrays of its parameters p; immutable.

    A physics is a subclass that names its parameters and fields and writes the residual of each field's equation. Its
    modeling operators, adjoints, Jacobians, absorbing layer and stable time step follow from that.

    What a medium is given by is read as ``medium.get("vp")`` or ``medium.vp``, replaced as ``medium.replace(vp=...)``, and
    differentiated by; numbers that are impossible, or hardly mean what they are taken for, are refused.

    Parameters
    ----------
    grid : Grid
    *values, **named : array_like
        What `given` has, by place or by name: one of each alternatives, each an array of the grid's shape or a scalar, which
        is broadcast.
    ranges : mapping of str to tuple of float, optional
        Lowest and highest value that this medium and its replacements may take, for quantities whose plausible values it
        leaves, as in ``{"vp": (0.1, 20.0)}``.

    Attributes
    ----------
    parameters : tuple of str
        Names of the coefficients, in the order in which `residual` receives them. Of a medium, those that it has.
    fields : tuple of str
        Names of the unknowns. Row i of the residual determines field i at the latest time that occurs in it.
    source : mapping of str to float
        By how much a source enters the row of a field; by default the first row, with weight 1.
    observe : mapping of str to float
        How much of each field is observed; by default the first field.
    components : mapping of str to mapping
        Where several things may be heard and driven, all of them by name, instead of `source` and `observe`: how much of
        each field each of them is, ``{"p": {"sxx": -0.5, "szz": -0.5}, "vz": {"vz": 1.0}}``. A source of a component
        enters the rows of the same fields, with the same weights. Samplers take the first unless they name another.
    drives : mapping of str to mapping
        By how much the source of a component enters the row of each field, where that is not as it is heard.
    staggering : mapping of str to tuple of float
        Position of a field within its cell, in cells along each axis; by default at the nodes. State it for fields
        that live half a cell away, (0.5, 0.0) for example, and write the shifts in the residual. Sources and receivers are
        interpolated from and to that place.
    timing : mapping of str to float
        Position of a field within the time step, in steps, as far as it shall differ from what follows from the residual:
        there, fields and rows stand where the terms of each row are centred at the same time, in ``(v.forward - v) / dt +
        b * p.dx`` v half a step before p. Sources and data are resampled to and from it. If the terms of a row disagree (a
        scheme of first order), all stand at whole steps unless the equation is `leapfrog`.
    surface : mapping of str to int
        Symmetry of each field about a free surface: -1 odd (it vanishes there), 1 even; and -1 for parameters that have the
        other sign in the mirror image, as the angle of an axis has. An equation without it cannot have a free surface.
    tractions : tuple of str
        Instead of `surface`, where an equation has no mirror image: the fields that vanish on a free surface. The others are
        free there. Rows may take first derivatives of fields along z, between the nodes and half a cell after them; those of
        tractions and of others are summed by parts.
    relations : mapping of str to callable
        How coefficients follow from what else a medium may be given by: ``{"m": lambda vp: vp**-2}``. They are called with
        arrays, and with symbols named as their arguments, from which derivatives of every order are derived: write
        arithmetic, and NumPy's functions (roots, powers, exponentials, logarithms, functions of angles).
    inverses : mapping of str to callable
        The way back: ``{"vp": lambda m: m**-0.5}`` offers vp beside m.
    given : tuple of str or tuple of str
        What a medium is given by, if that is not each coefficient or the one thing that it follows from and that has an
        inverse: ``(("vp", "m"), "rho")`` are one of vp and m, and rho. Coefficients that are not among them stay inside.
    defaults : mapping of str to float or None
        Values of what need not be given. With None the equation is another without it: coefficients that follow from it are
        then absent from what `residual` receives.
    settings : mapping of str to callable
        Names of what is no field, such as a reference frequency; the callable takes what is given and returns what is meant.
        The equation has them as attributes, relations may have them as arguments, and `replace` replaces them.
    multiaxial : float
        Fraction of its damping by which a PML, by default, also damps what travels along it: more than 0 where waves would
        grow in it otherwise. See :class:`~seisops.PML`.
    ending : tuple of str
        Coefficients that are zero in a PML, where waves would grow in it otherwise; others stay what they are at the edge
        of the model.
    transition : int
        Cells before a PML, by default, in which they become zero.
    quantities : mapping of str to Quantity
        Units, and values that are plausible, of parameters and of what they follow from. Numbers beyond them are refused,
        as those of another unit, unless `ranges` says that they are meant. By default any finite numbers are taken.
    reflects : mapping of str to str
        By a coefficient that is a squared slowness, the one that multiplies the whole equation, in its divergence as well,
        as one over density does: perturbed, it reflects and lets waves pass unchanged. Needed by
        ``Jacobian(condition="inverse_scattering")`` alone.
    leapfrog : bool
        Whether time is discretised by centred second differences (or by first differences staggered in time), so that
        its dispersion is known and can be undone.

    Examples
    --------
    >>> class Acoustic(WaveEquation):
    ...     parameters = ("m",)
    ...     relations = {"m": lambda vp: vp**-2}
    ...     inverses = {"vp": lambda m: m**-0.5}
    ...     leapfrog = True
    ...     def residual(self, fields, parameters):
    ...         return (parameters.m * fields.u.dt2 - fields.u.laplace,)
    ...     def speeds(self):
    ...         return self.vp, self.vp
    """

    parameters: tuple[str, ...] = ()
    fields: tuple[str, ...] = ("u",)
    source: Mapping[str, float] = {}
    observe: Mapping[str, float] = {}
    components: Mapping[str, Mapping[str, float]] = {}
    drives: Mapping[str, Mapping[str, float]] = {}
    staggering: Mapping[str, tuple[float, ...]] = {}
    timing: Mapping[str, float] = {}
    surface: Mapping[str, int] = {}
    tractions: tuple[str, ...] = ()
    relations: Mapping[str, Callable] = {}
    inverses: Mapping[str, Callable] = {}
    given: tuple[str | tuple[str, ...], ...] = ()
    defaults: Mapping[str, float | None] = {}
    settings: Mapping[str, Callable[[Any], Any]] = {}
    quantities: Mapping[str, Quantity] = {}
    reflects: Mapping[str, str] = {}
    leapfrog: bool = False
    multiaxial: float = 0.0
    ending: tuple[str, ...] = ()
    transition: int = 0

    _declared: ClassVar[Declaration] = Declaration("WaveEquation")
    __signature__: ClassVar[Signature | None] = None
    # of media that have none
    _ranges: Ranges = {}
    _settings: Mapping[str, Any] = {}

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        cls._declared = Declaration.of(cls)
        cls.__signature__ = cls._declared.signature if cls.__init__ is WaveEquation.__init__ else None

    def __init__(self, grid: Grid, *values, ranges: Ranges | None = None, **named):
        if not isinstance(grid, Grid):
            raise ParameterError(f"{type(self).__name__}(grid={grid!r:.80}): the first argument must be a seisops Grid")
        declared = self._declared
        self._require_axes(grid)
        chosen = declared.chosen(declared.said(values, named))
        ranges = checked_ranges(self, ranges)
        settings = {name: declared.set(name, chosen[name]) for name in self.settings if name in chosen}
        arrays = {n: self._taken(grid, n, a, ranges) for n, a in chosen.items() if n not in settings}
        found = {c: declared.follow(c, {**settings, **arrays}) for c in declared.coefficients}
        coefficients = {c: self._on(grid, c, a) for c, a in found.items() if a is not None}
        self._require_way_back(grid, arrays, coefficients, settings)
        self._freeze(grid, coefficients, ranges, settings)
        self.check()
        self._require_plausible(arrays, ranges)

    def check(self) -> None:
        """Refuse values that contradict each other, by a ParameterError; called when a medium is made."""

    def plausible(self, name: str) -> tuple[float, float] | None:
        """Lowest and highest value that a quantity may take in this medium and its replacements; None if any may be."""
        return plausible(type(self), name, self._ranges) if name in self.quantities else None

    def doubts(self, surface: str) -> Iterator[str]:
        """What is not right in this medium at a ``"free"`` or ``"rigid"`` surface, or at none, ``""``.

        Texts of warnings, for whoever makes a :class:`~seisops.Modeling` with it.
        """
        yield from ()

    @classmethod
    def _require_axes(cls, grid: Grid) -> None:
        """Refuse a grid with other axes than fields have their places along."""
        for name, place in cls.staggering.items() if isinstance(cls.staggering, Mapping) else ():
            if len(place) != grid.ndim:
                raise ParameterError(
                    f"{cls.__name__}.staggering has {name!r} at {place}, along {len(place)} axes, and the grid has the axes "
                    f"{tuple(grid.axes)}: state another equation for grids of {grid.ndim} dimensions"
                )

    @classmethod
    def _taken(cls, grid: Grid, name: str, value, ranges: Ranges) -> np.ndarray:
        """A parameter on the grid, checked; see :func:`broadcast`."""
        a = broadcast(grid, name, value, cls.quantities.get(name, ANY))
        fault = implausible(cls, name, a, ranges)
        if fault:
            unit = cls.quantities[governing(cls, name)].unit
            raise ParameterError(
                f"{fault}. If it is meant, state what may occur{unit and f', in {unit}'}: "
                f"{cls.__name__}(..., ranges={{{governing(cls, name)!r}: (lowest, highest)}})"
            )
        return a

    @classmethod
    def _on(cls, grid: Grid, name: str, value: Any) -> np.ndarray:
        """A coefficient in every cell, whatever its relation made of its arguments."""
        try:
            a = np.asarray(value, float, order="C")
            return a if a.shape == grid.shape else np.array(np.broadcast_to(a, grid.shape), order="C")
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"{cls.__name__}.relations[{name!r}] makes a {type(value).__name__} of arrays of shape {grid.shape} "
                f"({str(error).strip():.200}): it has to return a number for each cell, or one for all"
            ) from error

    def _require_way_back(
        self, grid: Grid, arrays: Mapping, coefficients: Mapping, settings: Mapping[str, Any]
    ) -> None:
        """Refuse inverses that do not undo relations, by some of the numbers of a medium."""
        some = np.linspace(0, grid.size - 1, min(grid.size, 16)).astype(int)
        known = {c: a.flat[some] for c, a in coefficients.items()}
        for name, a in arrays.items() if self._declared.inverses else ():
            given, read = a.flat[some], self._declared.follow(name, {**settings, **known})
            if read is None:
                continue
            # what is no number may be rounding, as a root of zero
            wrong = np.isfinite(read) & ~np.isclose(read, given, rtol=1e-6, atol=1e-9 * np.abs(given).max())
            if wrong.any():
                unit = self.quantities.get(name, ANY).unit
                raise ParameterError(
                    f"{type(self).__name__}: {name} = {given[wrong][0]:.6g} {unit} is read back as "
                    f"{np.broadcast_to(read, given.shape)[wrong][0]:.6g} {unit}: its `relations` and `inverses` contradict "
                    "each other, let one undo the other"
                )

    def _require_plausible(self, given: Mapping[str, np.ndarray], ranges: Ranges) -> None:
        """Refuse what is given if something that follows from it, as velocities from moduli, hardly occurs."""
        told = {*given, *(governing(type(self), name) for name in given if name in self.quantities)}
        for name, quantity in self.quantities.items():
            if quantity.plausible is None or name in told or name not in self.perturbable:
                continue
            values = self.get(name)
            # what is not finite says of itself that there is none, as the quality factor where nothing is lost
            fault = implausible(type(self), name, values[np.isfinite(values)], ranges)
            if fault:
                units = ", ".join(f"{n} in {self.quantities[n].unit or '1'}" for n in given if n in self.quantities)
                how = self.relations.get(name) or self.inverses[name]
                used = [f"{n} = {shown(self._settings[n])}" for n in arguments(how) if n in self._settings]
                units += f" (with {', '.join(used)})" if used else ""
                raise ParameterError(
                    f"{type(self).__name__}: {fault.partition(': ')[0]}, as follows from what is given. Is it {units}? If "
                    f"it is meant, state what may occur: {type(self).__name__}(..., ranges={{{name!r}: (lowest, highest)}})"
                )

    def _freeze(
        self,
        grid: Grid,
        values: Mapping[str, np.ndarray],
        ranges: Ranges | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        for a in values.values():
            a.flags.writeable = False
        state = {
            "grid": grid,
            "_values": dict(values),
            "_ranges": dict(ranges or {}),
            "_settings": dict(settings or {}),
        }
        present = self._declared.present(values)
        if present != self._declared.coefficients:
            state["parameters"] = present
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name, value):
        raise AttributeError(f"{type(self).__name__} is immutable: use replace({name}=...)")

    def __getattr__(self, name: str) -> Any:
        """What a medium is given by, by name; None where it is absent."""
        declared = type(self)._declared
        if name not in declared.names:
            return super().__getattribute__(name)  # says what is wrong, also within a property
        if name in declared.settings:
            return self._settings.get(name)
        return self.get(name) if name in self.perturbable else None

    def __dir__(self):
        return [*super().__dir__(), *self._declared.names]

    def __reduce__(self):
        return _thaw, (type(self), self.grid, self._values, self._ranges, self._settings)

    def residual(self, fields, parameters) -> tuple:
        """The equations ``A(p) u``, without source, in Devito's symbolic language.

        Parameters
        ----------
        fields : namedtuple of devito.TimeFunction
            The unknowns, by name and in order.
        parameters : namedtuple of devito.Function
            The coefficients, by name and in order.

        Returns
        -------
        tuple of expressions
            One row for each field.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define residual(fields, parameters)")

    # -- what one perturbs, and what the residual needs

    @property
    def perturbable(self) -> tuple[str, ...]:
        """Names with respect to which one can differentiate."""
        declared = self._declared
        known = declared.leaves(self.parameters)
        return tuple(name for name in declared.arrays if declared.follow(name, known, lambda *_: True) is not None)

    @property
    def stated(self) -> tuple[str, ...]:
        """Names of what determines it: of alternatives that it may be given by the first, such as vp of vp and m."""
        return tuple(name for name in self._declared.coordinates(()) if name in self.perturbable)

    def get(self, name: str) -> np.ndarray:
        """The array of a perturbable parameter, in the unit in which it is given."""
        self.check_names([name])
        return self._declared.follow(name, {**self._settings, **self.coefficients()})

    def replace(self, **parameters) -> WaveEquation:
        """The same equation with some parameters replaced; see the class for their names and units."""
        self.check_names([name for name in parameters if name not in self.settings])
        read = {**dict.fromkeys(self.perturbable, self.get), **dict.fromkeys(self._settings, self._settings.get)}
        given = self._declared.restated(parameters, read)
        # equations that take no ranges have none
        ranges = {"ranges": self._ranges} if self._ranges else {}
        return type(self)(self.grid, **ranges, **given)

    def supplied(self, names: Iterable[str]) -> WaveEquation:
        """The same with coefficients that it was made without, 1 everywhere."""
        values = {**self._values, **{name: np.ones(self.grid.shape) for name in names}}
        values = {c: values[c] for c in self._declared.coefficients if c in values}
        return _thaw(type(self), self.grid, values, self._ranges, self._settings)

    def coefficients(self) -> Mapping[str, np.ndarray]:
        """Arrays of what the residual calls `parameters`."""
        return self._values

    def expressions(self, wrt: Sequence[str]) -> dict[str, sympy.Expr]:
        """The coefficients that depend on what is perturbed, as expressions of symbols named like that."""
        import sympy

        declared = self._declared
        known = {**{name: Symbolic(sympy.Symbol(name)) for name in declared.coordinates(wrt)}, **self._settings}
        return {c: _rational(declared.expression(c, known)) for c in declared.depend(self.parameters, wrt)}

    def evaluate(self, expr: sympy.Expr) -> np.ndarray:
        """The values of an expression of `expressions`, or of a derivative of one, in every cell."""
        names, function = self._function(expr)
        return self._everywhere(function(*map(self.get, names)))

    def derivatives(self, name: str, wrt: Sequence[str] = ()) -> Mapping[str, np.ndarray]:
        """Derivative of each coefficient with respect to a perturbable parameter, point by point.

        `wrt` are those by which one differentiates together: they are held, and of other alternatives the first.
        """
        self.check_names([name])
        wrt = tuple(wrt) or (name,)
        notes = Notes(told(self.kind) if is_noted(type(self)) else None)
        slopes = notes.get(("slopes", name, wrt), lambda: self._slopes(name, wrt))
        return {c: self._everywhere(function(*map(self.get, names))) for c, (names, function) in slopes.items()}

    def _slopes(self, name: str, wrt: Sequence[str]) -> dict[str, tuple[list[str], Function]]:
        """The same as functions, with the names of what they are functions of."""
        import sympy

        slopes = {c: sympy.diff(expr, sympy.Symbol(name)) for c, expr in self.expressions(wrt).items()}
        return {c: self._function(slope) for c, slope in slopes.items() if slope != 0}

    @staticmethod
    def _function(expr: sympy.Expr) -> tuple[list[str], Function]:
        import sympy

        names = sorted(symbol.name for symbol in expr.free_symbols)
        return names, function_of([sympy.Symbol(n) for n in names], expr)

    def _everywhere(self, values: Any) -> np.ndarray:
        return np.array(np.broadcast_to(np.asarray(values, float), self.grid.shape))

    def window(self, first: Sequence[int], shape: Sequence[int]) -> WaveEquation:
        """The same equation on a part of the grid.

        Parameters
        ----------
        first, shape : sequence of int
            Index of the part's first node, and its number of nodes, along every axis.
        """
        slices = tuple(slice(i, i + n) for i, n in zip(first, shape, strict=True))
        values = {name: np.ascontiguousarray(a[slices]) for name, a in self._values.items()}
        return _thaw(type(self), self.grid.window(first, shape), values, self._ranges, self._settings)

    # -- as the engine sees it

    @property
    def order(self) -> int:
        """How many times the equation has been differentiated."""
        return 0

    @property
    def primal(self) -> WaveEquation:
        """The equation that has not been differentiated: what stability depends on."""
        return self

    @property
    def kind(self) -> tuple:
        """What equations share that can share compiled code.

        What others than this package write, or change in it, may depend on anything: there what comes of it counts.
        """
        shared = (type(self), self.parameters, self.tractions, *self._settings.items())
        if is_noted(type(self)) and "residual" not in vars(self):
            return shared
        if "_text" not in vars(self):
            object.__setattr__(self, "_text", self._described())
        return (*shared, type(self).system, self._text)

    def _described(self) -> str:
        """The residual and all that is declared about its fields, as text."""
        from seisops.wave.discretise.assembly import described  # loads Devito

        declared = (self.staggering, self.timing, self.surface)
        text = [described(self, self.grid.ndim), self.fields, self.channels, *map(dict, declared), self.leapfrog]
        text += [self.tractions] if self.tractions else []
        return str(text)

    def _fingerprint(self) -> list:
        """What makes it what it is: its residual and all that it declares, as text, and its arrays."""
        import sympy

        from seisops.wave.discretise.assembly import described  # loads Devito

        rows, times, row_times = described(self, self.grid.ndim)
        said = (self.source, self.observe, self.staggering, times, row_times, self.surface)
        names = {argument: sympy.Symbol(argument) for f in self.relations.values() for argument in arguments(f)}
        given = {n: self._settings.get(n) if n in self.settings else Symbolic(symbol) for n, symbol in names.items()}
        made = {n: self._declared.call(n, f, [given[a] for a in arguments(f)]) for n, f in self.relations.items()}
        relations = {n: str(expression(x)) for n, x in made.items()}
        values = [self._values] if self.coefficients() is self._values else [self._values, self.coefficients()]
        settings = [self._settings] if self._settings else []
        settings += [str(self.channels)] if len(self.named) > 1 else []
        structure = [rows, *map(str, map(dict, said)), self.leapfrog, relations]
        return [self.grid, self.fields, *structure, *settings, *values]

    def system(self, template: Template, boundary, surface: str) -> System:
        """The discrete system with a boundary."""
        from seisops.wave.discretise.assembly import assemble  # loads Devito

        return assemble(self, template, boundary, surface)

    @property
    def channels(self) -> tuple[tuple[Mapping[str, float], Mapping[str, float]], ...]:
        """For each component, weights of the rows that its source enters, and of the fields that it is."""
        if self.named:
            return tuple((self.drives.get(name, heard), heard) for name, heard in self.components.items())
        first = {self.fields[0]: 1.0}
        return ((self.source or first, self.observe or first),)

    def ends(self, coefficient: str) -> bool:
        """Whether a coefficient is zero in a PML."""
        return coefficient in self.ending

    def odd(self, coefficient: str) -> bool:
        """Whether a coefficient has the other sign in the mirror image above a surface."""
        return self.surface.get(coefficient, 1) < 0

    @property
    def named(self) -> tuple[str, ...]:
        """Names of the components; none where a class states a source of its own, or what is observed."""
        return () if self.source or self.observe else tuple(self.components)

    def check_component(self, name: str | None) -> None:
        """Raise a ParameterError unless there is a component of this name."""
        if name is not None and name not in self.primal.named:
            known = ", ".join(map(repr, self.primal.named)) or "one only, which has no name: leave component out"
            raise ParameterError(f"{type(self.primal).__name__} has no component {name!r}; it has {known}")

    def check_names(self, names) -> None:
        """Raise a ParameterError unless all `names` are perturbable."""
        if wrong := self._unknown(names):
            raise ParameterError(wrong)

    def check_wrt(self, names: Sequence[str]) -> None:
        """Raise a ParameterError unless one can differentiate by all `names` together."""
        if wrong := self._unknown(names):
            first = self.stated or self.perturbable
            several = f", or by several together, as in wrt={first!r}" if len(first) > 1 else ""
            wrt = names[0] if len(names) == 1 else tuple(names)
            raise ParameterError(f"wrt={wrt!r}: {wrong}. State by which, as in wrt={first[0]!r}{several}")
        self._declared.require_independent(names)

    def _unknown(self, names: Iterable[str]) -> str | None:
        """What is wrong with names that are not all perturbable."""
        unknown = [name for name in names if name not in self.perturbable]
        if not unknown:
            return None
        return (
            f"{type(self).__name__} has no parameter {', '.join(map(repr, unknown))}; "
            f"it can be differentiated with respect to {', '.join(map(repr, self.perturbable))}"
        )

    # -- speeds

    def speeds(self) -> tuple[np.ndarray | float, np.ndarray | float] | None:
        """Smallest and largest phase velocity in m/s, at every cell or in all; None where an equation does not state them.

        The smallest limits the frequencies that the grid can carry, the largest is what the absorbing layer is made for.
        """
        if type(self).velocity is WaveEquation.velocity:
            return None
        stated = self.velocity
        return None if stated is None else (stated, stated)

    @property
    def velocity(self) -> np.ndarray | float | None:
        """Largest phase velocity in m/s, as of `speeds`; an equation of one speed may state this instead."""
        speeds = self.speeds()
        return None if speeds is None else speeds[1]

    def _numbers(self) -> Iterator[tuple[str, str]]:
        """What it is given by, with the smallest and the largest value and the unit of each."""
        arrays = {name: self.get(name) for name in self.stated} or self._values
        for name, a in arrays.items():
            unit = self.quantities[name].unit if name in self.quantities else ""
            yield name, f"{np.min(a):.4g}{f' to {np.max(a):.4g}' if np.ptp(a) else ''} {unit}".rstrip()
        for name, value in self._settings.items():
            yield name, shown(value)

    def in_words(self) -> str:
        """What it is, in words, with the ranges and units of what it is given by."""
        return ", ".join([type(self).__name__, *(f"{name} {values}" for name, values in self._numbers())])

    def _rows(self) -> Iterator[tuple[str, object]]:
        yield from self._numbers()
        yield "grid", repr(self.grid)

    def __repr__(self):
        said = ", ".join(f"{name} {values}" for name, values in self._numbers())
        return f"{type(self).__name__}({said}{', ' if said else ''}on {self.grid!r})"


def _thaw(cls, grid, values, ranges=None, settings=None):
    medium = object.__new__(cls)
    medium._freeze(grid, values, ranges, settings)
    return medium


def _rational(expr: sympy.Expr) -> sympy.Expr:
    """An expression with roots as SymPy knows them: the square of one is what it is a root of, where that is zero, too."""
    import sympy

    def decimal(e) -> bool:
        return e.is_Pow and e.exp.is_Float

    return sympy.sympify(expr).replace(decimal, lambda e: sympy.Pow(e.base, sympy.nsimplify(e.exp, rational=True)))


def broadcast(grid: Grid, name: str, value, quantity: Quantity = ANY) -> np.ndarray:
    """A float64 copy of a parameter on the grid, checked: of the grid's shape or scalar, finite, positive if need be."""
    a = numbers(name, value)
    if a.ndim and a.shape != grid.shape:
        hint = " (transposed?)" if a.shape == grid.shape[::-1] else ""
        fix = (
            "a medium is that of all shots; so.PerShot(so.Parametric(F)) is the map of which each shot has its own"
            if a.shape[1:] == grid.shape
            else "pass an array of the grid's shape or one number"
        )
        raise ParameterError(
            f"{name} has shape {a.shape}{hint}, the grid has shape {grid.shape} in the order {tuple(grid.axes)}: {fix}"
        )
    check_possible(name, a, quantity)
    return np.array(np.broadcast_to(a, grid.shape), order="C")
