"""Where within a cell an expression lives, and how it continues above a free surface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import prod

import sympy
from devito import Derivative, centered

from seisops.engine.symbols.names import PREFIX
from seisops.engine.symbols.terms import leaves
from seisops.errors import ParameterError

__all__ = ["misplaced", "position", "sign"]


def position(expr, positions: Mapping[str, tuple], dimensions: tuple) -> tuple[Fraction, ...]:
    """Offset, in cells along each axis, of the points at which `expr` is evaluated.

    Parameters
    ----------
    expr : expression
    positions : mapping
        Those of the fields, by name of their symbol. Anything else adapts to where it is used.
    dimensions : tuple of devito.Dimension
        The axes of the grid.
    """
    field = _carrier(expr, positions)
    if field is None:
        return (Fraction(0),) * len(dimensions)
    if isinstance(expr, Derivative):
        where = list(position(expr.expr, positions, dimensions))
        for d, x0 in expr.x0.items():
            if d in dimensions:
                where[dimensions.index(d)] += Fraction(str(sympy.nsimplify((x0 - d) / d.spacing)))
        return tuple(where)
    if field is expr:
        return tuple(Fraction(p) for p in positions[expr.function.name])
    return position(field, positions, dimensions)


def sign(expr, parity: Mapping[str, int], dimensions: tuple) -> int:
    """1 when `expr` is even about a free surface, -1 when it is odd.

    `parity` has that of fields and parameters, by name of their symbol; what is not among them is even.

    Raises
    ------
    ParameterError
        If it is neither.
    """
    expr = sympy.sympify(expr)

    def of(part) -> int:
        return sign(part, parity, dimensions)

    if getattr(expr, "is_DiscreteFunction", False):
        return parity.get(expr.function.name, 1)
    if isinstance(expr, Derivative):
        return of(expr.expr) * _turned(expr, dimensions[-1])
    if expr.is_Mul:
        return prod(map(of, expr.args))
    odd = [a for a in expr.args if of(a) < 0]
    if not odd:
        return 1
    if expr.is_Add and len(odd) == len(expr.args):
        return -1
    if expr.is_Pow and expr.exp.is_Integer:
        return (-1) ** int(expr.exp)
    # functions, of which SymPy knows whether they are odd or even
    mirrored = expr.func(*(-a if a in odd else a for a in expr.args))
    if not expr.is_Add and mirrored in (expr, -expr):
        return 1 if mirrored == expr else -1
    names = ", ".join(sorted({f.function.name.removeprefix(PREFIX) for f in leaves(expr)}))
    raise ParameterError(
        f"an expression of {names} is neither even nor odd above a surface, where all is the mirror image of what is below: "
        "state in `surface` which fields and parameters are odd, or model without a surface"
    )


def _turned(derivative: Derivative, z) -> int:
    """1 when a derivative of what is even along z is even, -1 when it is odd."""
    if z not in derivative.dims:
        return 1
    weights = list(derivative.weights or ())
    if derivative.side is not None and derivative.side is not centered:
        weights = [0, 1]
    if not weights:
        return (-1) ** dict(zip(derivative.dims, derivative.deriv_order, strict=True))[z]
    back = weights[::-1]
    for turned in (1, -1):
        if back == [turned * w for w in weights]:
            return turned
    raise ParameterError(
        f"{derivative} is taken from one side along {z}, and in the mirror image above a surface from the other: take "
        "centred differences, or model without a surface"
    )


def misplaced(expr, positions: Mapping[str, tuple], dimensions: tuple, axis: int) -> Iterator[tuple]:
    """Coefficients that multiply a field at another place along an axis: ``(coefficient, its place, the field's)``.

    Coefficients live in the nodes unless they are averaged or differentiated to half cells.
    """
    inner = (expr.expr,) if isinstance(expr, Derivative) else getattr(expr, "args", ())
    if getattr(expr, "is_DiscreteFunction", False):
        return
    if expr.is_Mul and _carrier(expr, positions) is not None:
        there = position(expr, positions, dimensions)[axis]
        for a in expr.args:
            if _carrier(a, positions) is None:
                yield from ((f, at, there) for f, at in _places(a, dimensions[axis]) if at != there)
    for a in inner:
        yield from misplaced(a, positions, dimensions, axis)


def _places(expr, dimension) -> Iterator[tuple]:
    """The coefficients of an expression without fields, and where along an axis they are taken."""
    if getattr(expr, "is_DiscreteFunction", False):
        if dimension in expr.function.dimensions:
            yield expr, Fraction(0)
        return
    shift = Fraction(0)
    if isinstance(expr, Derivative) and dimension in expr.x0:
        shift = Fraction(str(sympy.nsimplify((expr.x0[dimension] - dimension) / dimension.spacing)))
    for a in (expr.expr,) if isinstance(expr, Derivative) else expr.args:
        yield from ((f, at + shift) for f, at in _places(a, dimension))


def _carrier(expr, known: Mapping):
    """`expr` itself if it is a field or a derivative of one, else the first argument that contains a field."""
    if not any(f.function.name in known for f in leaves(expr)):
        return None
    if getattr(expr, "is_DiscreteFunction", False) or isinstance(expr, Derivative):
        return expr
    return next(a for a in expr.args if any(f.function.name in known for f in leaves(a)))
