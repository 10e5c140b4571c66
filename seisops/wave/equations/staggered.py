"""Differences and averages between the nodes, for residuals of staggered grids."""

from __future__ import annotations

__all__ = ["ahead", "behind", "between"]


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


def _taken(f, d, times: int, order: int, shift):
    from devito import Derivative  # media are there before equations are

    return Derivative(f, d, deriv_order=times, fd_order=order, x0={d: d + shift})
