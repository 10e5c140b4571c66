"""A text that determines equations completely, the same in every process."""

from __future__ import annotations

from collections.abc import Mapping

import devito
import sympy

from seisops.engine.derive.system import System

__all__ = ["describe", "describe_expression", "describe_system", "in_order"]

_FUNCTION = ("dtype", "dimensions", "staggered", "space_order", "time_order", "save", "shape", "halo", "padding")


def describe(equations) -> str:
    """A text that determines equations completely, the same in every process.

    `str` of an equation names neither types nor halos nor orders of derivatives, and fails for some.

    Parameters
    ----------
    equations : sequence of devito.Eq
        Evaluated or not.
    """
    return _Describer().text(equations)


def describe_expression(expr) -> str:
    """The same of an expression."""
    describer = _Describer()
    return "\n".join([describer._of(expr), *sorted(describer._declared.values())])


def describe_system(system: System) -> str:
    """The same of the residuals of a system."""
    rows = zip(system.fields, system.residuals, strict=True)
    return describe([devito.Eq(u, row) for u, row in rows])


class _Describer:
    """Writes expressions as text, and what their symbols are as declarations at the end."""

    def __init__(self):
        self._known: dict[object, str] = {}
        self._declared: dict[str, str] = {}

    def text(self, equations) -> str:
        lines = [
            f"{type(e).__name__} {self._of(e.lhs)} = {self._of(e.rhs)} {self._of(e.implicit_dims)} {e.subdomain}"
            for e in equations
        ]
        return "\n".join([*lines, *sorted(self._declared.values())])

    def _of(self, e) -> str:
        if isinstance(e, sympy.Basic):
            if e not in self._known:
                self._known[e] = self._basic(e)
            return self._known[e]
        if isinstance(e, Mapping):
            return "{" + ",".join(sorted(f"{self._of(k)}:{self._of(v)}" for k, v in e.items())) + "}"
        if isinstance(e, tuple | list):
            return "(" + ",".join(self._of(i) for i in e) + ")"
        return str(e)

    def _basic(self, e: sympy.Basic) -> str:
        if isinstance(e, sympy.Float):
            return f"{e._mpf_}@{e._prec}"
        if isinstance(e, sympy.Number):
            return str(e)
        kind = type(e).__name__
        if getattr(e, "is_Derivative", False):
            return f"{kind}({self._of(e.expr)};{self._options(e, (*e.__rkwargs__, 'dims'))})"
        if getattr(e, "is_AbstractFunction", False):
            self._declare(e.function, _FUNCTION)
            return f"{e.name}[{','.join(self._of(i) for i in e.indices)}]"
        if e.is_Symbol:
            own = getattr(e, "__rargs__", ()) + getattr(e, "__rkwargs__", ())
            self._declare(e, tuple(name.lstrip("*") for name in own))
            return e.name
        args = [self._of(a) for a in e.args]
        if isinstance(e, sympy.Add | sympy.Mul) and e.is_commutative:
            args.sort()
        return f"{kind}({','.join(args)})"

    def _declare(self, symbol, options: tuple[str, ...]) -> None:
        if symbol.name not in self._declared:
            self._declared[symbol.name] = symbol.name  # in case its options mention it
            self._declared[symbol.name] = f"{symbol.name}: {type(symbol).__name__} {self._options(symbol, options)}"

    def _options(self, e, names: tuple[str, ...]) -> str:
        return ",".join(f"{name}={self._of(getattr(e, name))}" for name in names if hasattr(e, name))


def in_order(arguments) -> list:
    """Expressions in an order that is the same in every process, as that of SymPy's sums and products is not."""
    return sorted(arguments, key=_Describer()._of)
