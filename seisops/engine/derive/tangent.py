"""The derivative of a wave equation in a direction, as a wave equation: forward differentiation of the residual.

If ``A(p) u = q``, the derivative v of u in the direction (dp, dq) obeys ``A(p) v + (dA/dp dp) u = dq``. Both together are
one linear system in (u, v) with the parameters (p, dp) and the sources (q, dq), so everything that is derived for a wave
equation is derived for it too: its adjoint is the second-order adjoint equation, the gradient of ``<y, R v>`` with respect
to p is the exact Hessian of ``<y, R u>`` applied to (dp, dq) (Fichtner & Trampert 2011,
doi:10.1111/j.1365-246X.2011.04966.x), and its own tangent has the derivatives of third order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seisops.engine.derive.system import System, linearize

__all__ = ["tangent"]


def tangent(system: System, wrt: Sequence[str], prefix: str) -> System:
    """A system together with its derivative in a direction.

    Parameters
    ----------
    system : System
    wrt : sequence of str
        Coefficients that move; the others are constant.
    prefix : str
        What the names of the directions start with: the direction of a coefficient c is ``prefix + c``.

    Returns
    -------
    System
        Fields, rows and channels of `system`, then their derivatives in the same order.
    """
    template, n = system.template, len(system.fields)
    fields = {u: template.field(f"{prefix}{u.name}", levels=u.time_order + 1) for u in system.fields}
    coefficients = {template.parameter(name): template.parameter(f"{prefix}{name}") for name in wrt}

    def later(channels):
        return tuple({i + n: weight for i, weight in channel.items()} for channel in channels)

    def both(by_name):
        doubled = {**fields, **coefficients}
        return {**by_name, **{v.name: by_name[u.name] for u, v in doubled.items() if u.name in by_name}}

    def with_tangents(names):
        return names | {v.name for u, v in fields.items() if u.name in names}

    return replace(
        system,
        fields=(*system.fields, *fields.values()),
        residuals=(*system.residuals, *(linearize(row, {**fields, **coefficients}) for row in system.residuals)),
        source=(*system.source, *later(system.source)),
        observe=(*system.observe, *later(system.observe)),
        positions=both(system.positions),
        times=both(system.times),
        row_times=both(system.row_times),
        parity=both(system.parity) if system.parity else None,
        compact=both(system.compact),
        unheard=with_tangents(system.unheard),
        unfelt=with_tangents(system.unfelt),
    )
