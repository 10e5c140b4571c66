"""Wave equations: a residual, and the arrays of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature

import numpy as np
import sympy

from seisops.engine.derive.describe import describe_system
from seisops.engine.derive.system import System
from seisops.engine.symbols.template import Template
from seisops.errors import ParameterError
from seisops.wave.discretise.assembly import assemble, rows_within
from seisops.wave.discretise.schemes import SCHEMES
from seisops.wave.grid import Grid
from seisops.wave.quantities import (
    ANY,
    Quantity,
    Ranges,
    check_possible,
    checked_ranges,
    governing,
    implausible,
    numbers,
)

__all__ = ["WaveEquation"]


class WaveEquation:
    """A linear wave equation ``A(p) u = q`` with the arrays of its parameters p; immutable.

    A physics is a subclass that names its parameters and fields and writes the residual of each field's equation. Its
    modeling operators, adjoints, Jacobians, absorbing layer and stable time step follow from that.

    Parameters
    ----------
    grid : Grid
    ranges : mapping of str to tuple of float, optional
        Lowest and highest value that this medium and its replacements may take, for quantities whose plausible values it
        leaves, as in ``{"vp": (0.1, 20.0)}``.
    **parameters : array_like
        One array of the grid's shape (or a scalar, which is broadcast) for every name in `parameters`.

    Attributes
    ----------
    parameters : tuple of str
        Names of the coefficients, in the order in which `residual` receives them.
    fields : tuple of str
        Names of the unknowns. Row i of the residual determines field i at the latest time that occurs in it.
    source : mapping of str to float
        By how much a source enters the row of a field; by default the first row, with weight 1.
    observe : mapping of str to float
        How much of each field is observed; by default the first field.
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
        Symmetry of each field about a free surface: -1 odd (it vanishes there), 1 even. An equation without it cannot
        have a free surface.
    relations : mapping of str to callable
        How coefficients follow from what else one may want to perturb: ``{"m": lambda vp: vp**-2}`` offers vp beside m.
        Derivatives of every order are derived from it; it is called with SymPy symbols named as its arguments.
    quantities : mapping of str to Quantity
        Units, and values that are plausible, of parameters and of what they follow from. Numbers beyond them are refused,
        as those of another unit, unless `ranges` says that they are meant. By default any finite numbers are taken.
    leapfrog : bool
        Whether time is discretised by centred second differences (or by first differences staggered in time), so that
        its dispersion is known and can be undone.

    Examples
    --------
    >>> class Acoustic(WaveEquation):
    ...     parameters = ("m",)
    ...     leapfrog = True
    ...     def residual(self, fields, parameters):
    ...         return (parameters.m * fields.u.dt2 - fields.u.laplace,)
    """

    parameters: tuple[str, ...] = ()
    fields: tuple[str, ...] = ("u",)
    source: Mapping[str, float] = {}
    observe: Mapping[str, float] = {}
    staggering: Mapping[str, tuple[float, ...]] = {}
    timing: Mapping[str, float] = {}
    surface: Mapping[str, int] = {}
    relations: Mapping[str, Callable] = {}
    quantities: Mapping[str, Quantity] = {}
    leapfrog: bool = False
    _ranges: Ranges = {}

    def __init__(self, grid: Grid, ranges: Ranges | None = None, **parameters):
        missing = [name for name in self.parameters if name not in parameters]
        unknown = [name for name in parameters if name not in self.parameters]
        if missing or unknown:
            raise ParameterError(
                f"{type(self).__name__} has the parameters {self.parameters}: "
                + "; ".join(f"{kind} {names}" for kind, names in (("missing", missing), ("unknown", unknown)) if names)
            )
        if not isinstance(grid, Grid):
            raise ParameterError(f"{type(self).__name__}(grid={grid!r:.80}): the first argument must be a seisops Grid")
        ranges = checked_ranges(self, ranges)
        self._freeze(grid, {n: self._taken(grid, n, parameters[n], ranges) for n in self.parameters}, ranges)

    @classmethod
    def _taken(cls, grid: Grid, name: str, value, ranges: Ranges) -> np.ndarray:
        """A parameter on the grid, checked; see :func:`broadcast`."""
        a = broadcast(grid, name, value, cls.quantities.get(name, ANY))
        fault = implausible(cls, name, a, ranges)
        if fault:
            raise ParameterError(
                f"{fault}. If it is meant, state what may occur, in {cls.quantities[governing(cls, name)].unit}: "
                f"{cls.__name__}(..., ranges={{{governing(cls, name)!r}: (lowest, highest)}})"
            )
        return a

    def _freeze(self, grid: Grid, values: Mapping[str, np.ndarray], ranges: Ranges | None = None) -> None:
        for a in values.values():
            a.flags.writeable = False
        object.__setattr__(self, "grid", grid)
        object.__setattr__(self, "_values", dict(values))
        if ranges:
            object.__setattr__(self, "_ranges", dict(ranges))

    def __setattr__(self, name, value):
        raise AttributeError(f"{type(self).__name__} is immutable: use replace({name}=...)")

    def __reduce__(self):
        return _thaw, (type(self), self.grid, self._values, self._ranges)

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
        return self.parameters

    def get(self, name: str) -> np.ndarray:
        """The array of a perturbable parameter, or of what a relation depends on."""
        return self.coefficients()[name]

    def replace(self, **parameters) -> WaveEquation:
        """The same equation with some parameters replaced; see the class for their names and units."""
        self.check_names(parameters)
        # equations that take no ranges have none
        ranges = {"ranges": self._ranges} if self._ranges else {}
        return type(self)(self.grid, **ranges, **{**self._values, **parameters})

    def coefficients(self) -> Mapping[str, np.ndarray]:
        """Arrays of what the residual calls `parameters`."""
        return self._values

    def expressions(self, wrt: Sequence[str]) -> dict[str, sympy.Expr]:
        """The coefficients that depend on what is perturbed, as expressions of symbols named like that."""
        out: dict[str, sympy.Expr] = {}
        for coefficient in self.parameters:
            if coefficient in wrt:
                out[coefficient] = sympy.Symbol(coefficient)
            elif coefficient in self.relations:
                relation = self.relations[coefficient]
                arguments = list(signature(relation).parameters)
                if set(arguments) & set(wrt):
                    out[coefficient] = relation(*map(sympy.Symbol, arguments))
        return out

    def evaluate(self, expr: sympy.Expr) -> np.ndarray:
        """The values of an expression of `expressions`, or of a derivative of one, in every cell."""
        names = sorted(symbol.name for symbol in expr.free_symbols)
        values = sympy.lambdify([sympy.Symbol(n) for n in names], expr, "numpy")(*map(self.get, names))
        return np.array(np.broadcast_to(np.asarray(values, float), self.grid.shape))

    def derivatives(self, name: str) -> Mapping[str, np.ndarray]:
        """Derivative of each coefficient with respect to a perturbable parameter, point by point."""
        self.check_names([name])
        slopes = {c: sympy.diff(expr, sympy.Symbol(name)) for c, expr in self.expressions([name]).items()}
        return {c: self.evaluate(slope) for c, slope in slopes.items() if slope != 0}

    def window(self, first: Sequence[int], shape: Sequence[int]) -> WaveEquation:
        """The same equation on a part of the grid.

        Parameters
        ----------
        first, shape : sequence of int
            Index of the part's first node, and its number of nodes, along every axis.
        """
        slices = tuple(slice(i, i + n) for i, n in zip(first, shape, strict=True))
        values = {name: np.ascontiguousarray(a[slices]) for name, a in self._values.items()}
        return _thaw(type(self), self.grid.window(first, shape), values, self._ranges)

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
        """What equations share that can share compiled code."""
        return (type(self), self.parameters)

    def _fingerprint(self) -> list:
        """What makes it what it is: its residual and all that it declares, as text, and its arrays."""
        within = SCHEMES.interior(self, (self.grid.ndim, 4, "float64"))
        declared = (self.source, self.observe, self.staggering, within.times, within.row_times, self.surface)
        relations = {n: str(f(*map(sympy.Symbol, signature(f).parameters))) for n, f in self.relations.items()}
        rows = describe_system(rows_within(self, Template(self.grid.ndim, 4, "float64")).system)
        values = [self._values] if self.coefficients() is self._values else [self._values, self.coefficients()]
        return [self.grid, self.fields, rows, *map(str, map(dict, declared)), self.leapfrog, relations, *values]

    def system(self, template: Template, boundary, free_surface: bool) -> System:
        """The discrete system with a boundary."""
        return assemble(self, template, boundary, free_surface)

    def check_names(self, names) -> None:
        """Raise a ParameterError unless all `names` are perturbable."""
        unknown = [name for name in names if name not in self.perturbable]
        if unknown:
            raise ParameterError(
                f"{type(self).__name__} has no parameter {', '.join(map(repr, unknown))}; "
                f"it can be differentiated with respect to {', '.join(map(repr, self.perturbable))}"
            )

    # -- speed and stability

    @property
    def velocity(self) -> np.ndarray | None:
        """Largest phase velocity in m/s at every cell, or None where an equation does not state one."""
        return None

    @property
    def slowest(self) -> float | None:
        """Smallest velocity in m/s, which limits the frequencies that the grid can carry; None if unknown."""
        return None if self.velocity is None else float(np.min(self.velocity))

    def __repr__(self):
        ranges = (
            f"{name} {np.min(a):.4g}" + (f" to {np.max(a):.4g}" if np.ptp(a) else "")
            for name, a in self._values.items()
        )
        return f"{type(self).__name__}({', '.join(ranges)}, on {self.grid!r})"


def _thaw(cls, grid, values, ranges=None):
    medium = object.__new__(cls)
    medium._freeze(grid, values, ranges)
    return medium


def broadcast(grid: Grid, name: str, value, quantity: Quantity = ANY) -> np.ndarray:
    """A float64 copy of a parameter on the grid, checked: of the grid's shape or scalar, finite, positive if need be."""
    a = numbers(name, value)
    if a.ndim and a.shape != grid.shape:
        hint = " (transposed?)" if a.shape == grid.shape[::-1] else ""
        raise ParameterError(
            f"{name} has shape {a.shape}{hint}, the grid has shape {grid.shape} in the order {tuple(grid.axes)}: "
            "pass an array of the grid's shape or one number"
        )
    check_possible(name, a, quantity)
    return np.array(np.broadcast_to(a, grid.shape), order="C")
