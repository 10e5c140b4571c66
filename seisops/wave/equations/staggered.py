"""Differences and averages between the nodes, and what second derivatives are made of, for residuals."""

from __future__ import annotations

__all__ = ["ahead", "behind", "between", "divergence", "mean_ahead", "mean_behind"]


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


def mean_ahead(f, d, order: int):
    """`f` half a cell after where it is, along an axis; as :func:`mean_behind` no wave becomes larger by it."""
    return _taken(f, d, 0, order, d.spacing / 2)


def mean_behind(f, d, order: int):
    """`f` half a cell before where it is; the transpose of :func:`mean_ahead`."""
    return _taken(f, d, 0, order, -d.spacing / 2)


def _taken(f, d, times: int, order: int, shift):
    from devito import Derivative  # media are there before equations are

    return Derivative(f, d, deriv_order=times, fd_order=order, x0={d: d + shift})
