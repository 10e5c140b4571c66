"""Wave equations: a residual, and the arrays of its parameters."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from inspect import signature
from itertools import product

import numpy as np
import sympy

from seisops.engine.derive import System, expand_time
from seisops.engine.symbol import lossless as is_lossless
from seisops.engine.symbol import stable_step
from seisops.engine.template import PREFIX, Template
from seisops.errors import ParameterError, UnstableError
from seisops.wave.boundaries import Stretch
from seisops.wave.grid import Grid

__all__ = ["WaveEquation", "assemble"]


class WaveEquation:
    """A linear wave equation ``A(p) u = q`` with the arrays of its parameters p; immutable.

    A physics is a subclass that names its parameters and fields and writes the residual of each field's equation. Its
    modeling operators, adjoints, Jacobians, absorbing layer and stable time step follow from that.

    Parameters
    ----------
    grid : Grid
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
        that live half a cell away, (0.5, 0.0) for example, and write the shifts in the residual.
    surface : mapping of str to int
        Symmetry of each field about a free surface: -1 odd (it vanishes there), 1 even. An equation without it cannot
        have a free surface.
    relations : mapping of str to callable
        How coefficients follow from what else one may want to perturb: ``{"m": lambda vp: vp**-2}`` offers vp beside m.
        Derivatives of every order are derived from it; it is called with SymPy symbols named as its arguments.
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
    surface: Mapping[str, int] = {}
    relations: Mapping[str, Callable] = {}
    leapfrog: bool = False

    def __init__(self, grid: Grid, **parameters):
        missing = [name for name in self.parameters if name not in parameters]
        unknown = [name for name in parameters if name not in self.parameters]
        if missing or unknown:
            raise ParameterError(
                f"{type(self).__name__} has the parameters {self.parameters}: "
                + "; ".join(f"{kind} {names}" for kind, names in (("missing", missing), ("unknown", unknown)) if names)
            )
        self._freeze(grid, {name: broadcast(grid, name, parameters[name], "") for name in self.parameters})

    def _freeze(self, grid: Grid, values: Mapping[str, np.ndarray]) -> None:
        for a in values.values():
            a.flags.writeable = False
        object.__setattr__(self, "grid", grid)
        object.__setattr__(self, "_values", dict(values))

    def __setattr__(self, name, value):
        raise AttributeError(f"{type(self).__name__} is immutable: use replace({name}=...)")

    def __reduce__(self):
        return _thaw, (type(self), self.grid, self._values)

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
        return type(self)(self.grid, **{**self._values, **parameters})

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
        return _thaw(type(self), self.grid.window(first, shape), values)

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
        return None if self.velocity is None else float(self.velocity.min())

    def __repr__(self):
        ranges = (
            f"{name} {np.min(a):.4g}" + (f" to {np.max(a):.4g}" if np.ptp(a) else "")
            for name, a in self._values.items()
        )
        return f"{type(self).__name__}({', '.join(ranges)}, on {self.grid!r})"


def _thaw(cls, grid, values):
    medium = object.__new__(cls)
    medium._freeze(grid, values)
    return medium


def broadcast(grid: Grid, name: str, value, unit: str, positive: bool = False) -> np.ndarray:
    """A float64 copy of a parameter on the grid, checked: finite, of the grid's shape or scalar, positive if asked."""
    unit = f" {unit}" if unit else ""
    try:
        a = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name}={value!r} is not an array of numbers") from error
    if a.ndim and a.shape != grid.shape:
        hint = " (transposed?)" if a.shape == grid.shape[::-1] else ""
        raise ParameterError(
            f"{name} has shape {a.shape}{hint}, the grid has shape {grid.shape} in the order {tuple(grid.axes)}: "
            "pass an array of the grid's shape or one number"
        )
    bad = ~np.isfinite(a)
    what = "not finite"
    if not bad.any() and positive:
        bad, what = a <= 0, "not positive"
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        first = a[where] if a.ndim else a[()]
        raise ParameterError(
            f"{name} is {what} in {int(bad.sum())} of {bad.size} cells, first {first}{unit} at index {where}: "
            "every cell needs a valid value"
        )
    return np.array(np.broadcast_to(a, grid.shape), order="C")


def symbols(equation: WaveEquation, template: Template):
    """The namedtuples that a residual is written with."""
    fields = namedtuple("fields", equation.fields)(*(template.field(name) for name in equation.fields))
    parameters = namedtuple("parameters", equation.parameters)(*(template.parameter(n) for n in equation.parameters))
    return fields, parameters


def residuals(equation: WaveEquation, template: Template) -> tuple[tuple, tuple]:
    """The fields of an equation and its rows as its author wrote them."""
    fields, parameters = symbols(equation, template)
    rows = tuple(equation.residual(fields, parameters))
    if len(rows) != len(fields):
        raise ParameterError(f"{type(equation).__name__}.residual returned {len(rows)} rows for {len(fields)} fields")
    return fields, rows


def assemble(equation: WaveEquation, template: Template, boundary, free_surface: bool) -> System:
    """The discrete system of an equation with its boundary.

    Parameters
    ----------
    equation : WaveEquation
        Only its structure matters, not its arrays.
    template : Template
    boundary : PML, Sponge or None
    free_surface : bool
    """
    fields, rows = residuals(equation, template)
    damp = boundary.damp if boundary else lambda expr, template: expr
    rows = [expand_time(damp(row, template), template) for row in rows]
    if free_surface and set(equation.surface) != set(equation.fields):
        raise ParameterError(
            f"{type(equation).__name__} does not say how its fields behave at a free surface: set its attribute "
            "`surface` to {field: -1 or 1}, or model without a free surface"
        )
    positions = {
        f.name: tuple(Fraction(p) for p in equation.staggering.get(n, (0,) * template.ndim))
        for n, f in zip(equation.fields, fields, strict=True)
    }
    parity = {f.name: equation.surface.get(n, 1) for n, f in zip(equation.fields, fields, strict=True)}
    stretch = (boundary.stretch if boundary else Stretch)(template, fields, positions, parity)
    rows = [stretch(row) for row in rows]
    order = {name: i for i, name in enumerate(equation.fields)}
    first = {equation.fields[0]: 1.0}
    return System(
        template,
        tuple(stretch.fields),
        tuple(rows + stretch.rows),
        source=({order[n]: w for n, w in (equation.source or first).items()},),
        observe=({order[n]: w for n, w in (equation.observe or first).items()},),
        positions=stretch.positions,
        parity=stretch.parity if free_surface else None,
        compact=stretch.compact,
    )


def stable(equation: WaveEquation, template: Template) -> tuple[float, float]:
    """Stable time step in s of the interior scheme for a medium, and the largest velocity in m/s that it stands for."""
    system, grid, velocity = _interior(equation, template), equation.grid, equation.velocity
    unit = _acoustic_courant(template.ndim, template.space_order) / np.sqrt(sum(h**-2 for h in grid.spacing))
    guess = 1e-3 if velocity is None else unit / float(velocity.max())
    step = min(stable_step(system, corner, grid.spacing, guess) for corner in _corners(equation))
    if not np.isfinite(step) or step <= 0:
        raise UnstableError(f"{equation!r} has no stable time step")
    return step, float(velocity.max()) if velocity is not None else unit / step


def lossless(equation: WaveEquation, template: Template, dt: float) -> bool:
    """Whether the interior scheme, at a time step in s, can be run backward."""
    system = _interior(equation, template)
    return all(is_lossless(system, corner, equation.grid.spacing, dt) for corner in _corners(equation))


# by structure: media of one kind come and go with every step of an inversion
_interiors: dict[tuple, System] = {}


def _interior(equation: WaveEquation, template: Template) -> System:
    """The discrete system without boundaries."""
    key = (equation.kind, template.ndim, template.space_order, template.dtype)
    if key not in _interiors:
        fields, rows = residuals(equation, template)
        rows = tuple(expand_time(row, template) for row in rows)
        _interiors[key] = System(template, fields, rows, ({0: 1.0},), ({0: 1.0},))
    return _interiors[key]


def _corners(equation: WaveEquation) -> list[dict[str, float]]:
    """Constant coefficients, by symbol, that bound what the medium contains: those where waves are fastest, if known."""
    coefficients, velocity = equation.coefficients(), equation.velocity
    if velocity is not None:
        fastest = np.unravel_index(int(np.argmax(velocity)), equation.grid.shape)
        return [{PREFIX + name: float(a[fastest]) for name, a in coefficients.items()}]
    extremes = [sorted({float(a.min()), float(a.max())}) for a in coefficients.values()]
    return [{PREFIX + n: v for n, v in zip(coefficients, c, strict=True)} for c in product(*extremes)]


def _acoustic_courant(ndim: int, space_order: int) -> float:
    """v dt sqrt(sum 1/h^2) at the limit of the second-order scheme of the acoustic equation, about."""
    return 2.0 / np.pi if space_order > 2 else 1.0
