"""The derivative of a wave equation with respect to its parameters, and what of the background it needs.

Differentiating ``A(p) u = q`` gives ``A du = -(dA/dp dp) u``: the Born source. It is a sum of terms "linear expression
of (dp times a factor of the background field)". Those factors are all that has to be remembered of the background;
the source is linear in dp, and its transpose is the imaging condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy
from devito import Derivative

from seisops.engine.derive import System, linearize
from seisops.engine.describe import in_order
from seisops.engine.terms import depends
from seisops.errors import ParameterError

__all__ = ["Born", "born"]


@dataclass(frozen=True)
class Born:
    """Source rows ``-(dA/dp dp) u`` of the linearised equation.

    Attributes
    ----------
    rows : tuple of expressions
        One for each residual, linear in `tangents`, with the background replaced by `histories`.
    tangents : tuple of devito.Function
        The perturbations, in the order asked for.
    histories : tuple of indexed devito functions
        Factors of the background field, at the time index of the residual: saved, or present only.
    factors : tuple of expressions
        What is saved in each, in terms of the background's fields.
    every : int
        Every how many time steps the background is saved and acts.
    """

    rows: tuple
    tangents: tuple
    histories: tuple
    factors: tuple
    every: int


def born(system: System, wrt: Sequence[str], every: int = 1, present: bool = False) -> Born:
    """Linearise a system with respect to the parameters named in `wrt`.

    With `present`, the background is not kept, but there at each step.
    """
    template = system.template
    tangents = {template.parameter(name): template.parameter(f"d_{name}") for name in wrt}
    histories: dict = {}

    def remember(factor, differentiated: bool):
        key = (factor, differentiated)
        if key not in histories:
            # symbols are shared by name: what differs in kind needs a name of its own
            name = f"history{len(histories)}_{'_'.join(wrt)}_{'now' if present else every}"
            if present:
                histories[key] = template.present(name, halo=differentiated)
            else:
                histories[key] = template.saved(name, every=every, halo=differentiated)
        return histories[key]

    def separate(expr, differentiated=False):
        """Replace the largest factors that contain the background, but no perturbation, by saved fields."""
        if not depends(expr, tangents.values()):
            return expr
        if getattr(expr, "is_DiscreteFunction", False):
            return expr
        if isinstance(expr, Derivative):
            return expr._rebuild(expr=separate(expr.expr, True))
        if expr.is_Mul:
            # in an order of their own: that of SymPy differs from process to process, and the numbers of histories with it
            args = in_order(expr.args)
            background = [a for a in args if depends(a, system.fields) and not depends(a, tangents.values())]
            others = [separate(a, differentiated) for a in args if a not in background]
            if background:
                factor = background[0]
                for a in background[1:]:
                    factor = factor * a
                # the transpose of a perturbation's derivative (or average) is one of what stands beside it
                moved = any(isinstance(n, Derivative) for a in others for n in sympy.preorder_traversal(a))
                others.append(remember(factor, differentiated or moved))
            out = others[0]
            for a in others[1:]:
                out = out * a
            return out
        if expr.is_Add:
            return sum((separate(a, differentiated) for a in in_order(expr.args)), sympy.S.Zero)
        raise ParameterError(f"the residual is not linear in the fields: {expr}")

    rows = tuple(separate(-linearize(r, tangents)) for r in system.residuals)
    if not histories:
        raise ParameterError(f"the wave equation does not depend on {', '.join(wrt)}")
    return Born(
        rows,
        tuple(tangents.values()),
        tuple(histories.values()),
        tuple(factor for factor, _ in histories),
        every,
    )
