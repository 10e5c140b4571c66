"""Differences and averages between the nodes, and what second derivatives are made of, for residuals."""

from __future__ import annotations

from math import comb, factorial

__all__ = ["ahead", "behind", "between", "divergence", "missed"]


def ahead(f, d, order: int):
    """The derivative of `f` along an axis, half a cell after where `f` is."""
    return _taken(f, d, 1, order, d.spacing / 2)


def behind(f, d, order: int):
    """The derivative of `f` along an axis, half a cell before where `f` is."""
    return _taken(f, d, 1, order, -d.spacing / 2)


def between(f, *axes):
    """The mean of a parameter half a cell after the nodes along some axes."""
    for d in axes:
        f = _taken(f, d, 0, 2, d.spacing / 2)
    return f


def divergence(f, axes, order: int, b=None):
    """The divergence of b times the gradient of `f`, which lies in the nodes, along some axes; of the gradient without b.

    The flux lies half a cell after the nodes, and b is averaged to there: the discrete operator is symmetric, and free of
    checkerboard modes.
    """
    from devito import Derivative  # media are there before equations are

    if b is None:
        return sum(Derivative(f, (d, 2), fd_order=order) for d in axes)
    return sum(behind(between(b, d) * ahead(f, d, order), d, order) for d in axes)


def missed(f, axes, order: int, b):
    """What the divergence of b times the gradient lacks where both are central differences in the nodes.

    These see nothing of checkerboards, and their square is too small, in its leading term by ``2 e k^(order + 2)`` at a
    wavenumber k in cells, with ``e = (order/2)!^2 / (order + 1)!`` (Fornberg 1988, doi:10.1090/S0025-5718-1988-0935077-0).
    With differences of order ``order/2 + 1``, whose square is ``(2 sin(k/2))^(order + 2)``, that is added: negative whatever
    b is, and not small for checkerboards. Nothing of it is stretched in a layer.
    """
    from devito import Derivative

    n = order // 2 + 1
    between_nodes = n % 2 == 1
    weights = tuple((-1) ** k * comb(n, k) for k in range(n + 1))
    lack = 2 * factorial(order // 2) ** 2 / factorial(order + 1)

    def difference(f, d, shift):
        x0 = {"x0": {d: d + shift}} if between_nodes else {}
        return Derivative(f, d, deriv_order=0, fd_order=n + between_nodes, weights=weights, **x0)

    sign = 1 if between_nodes else -1  # odd differences are antisymmetric
    return sum(
        sign * lack / d.spacing**2 * difference(flux, d, -d.spacing / 2)
        for d in axes
        for flux in [(between(b, d) if between_nodes else b) * difference(f, d, d.spacing / 2)]
    )


def _taken(f, d, times: int, order: int, shift):
    from devito import Derivative  # media are there before equations are

    return Derivative(f, d, deriv_order=times, fd_order=order, x0={d: d + shift})
