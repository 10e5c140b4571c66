"""Differences that end at a free surface: summed by parts, exact for polynomials, and no stiffer than inside."""

import numpy as np
import pytest

from seisops.engine.symbols.closure import _inside, closure

ORDERS = (2, 4, 6, 8, 10, 12, 14, 16)
N = 48


def differences(order):
    """Of what is free and of tractions, at the nodes and at the half cells, with the weights of both."""
    found, inside = closure(order), _inside(order, N)
    tables = []
    for kind in (found.free, found.tractions):
        for added, whole in zip(kind, inside, strict=True):
            table = whole.copy()
            table[: added.shape[0], : added.shape[1]] += added
            tables.append(table)
    return (*tables, found.weight(False, N), found.weight(True, N))


@pytest.mark.parametrize("order", ORDERS)
def test_summed_by_parts(order):
    """But at the other end, where nothing is closed."""
    at_nodes, at_halves, traction_at_nodes, traction_at_halves, nodes, halves = differences(order)
    for d, t, w, v in (
        (at_nodes, traction_at_halves, nodes, halves),
        (at_halves, traction_at_nodes, halves, nodes),
    ):
        total = w[:, None] * d + (v[:, None] * t).T
        assert np.abs(total[: N - order, : N - order]).max() < 1e-13


@pytest.mark.parametrize("order", ORDERS)
def test_exact_for_polynomials(order):
    degree, x, y = min(order // 2, 3), np.arange(N) / 8, (np.arange(N) + 0.5) / 8
    at_nodes, at_halves, traction_at_nodes, traction_at_halves, *_ = differences(order)
    near = slice(0, N - order)
    for power in range(degree + 1):
        for table, samples, at in ((at_nodes[1:], y, x[1:]), (at_halves, x, y)):
            exact = power * at ** max(power - 1, 0)
            np.testing.assert_allclose(8 * (table @ samples**power)[near], exact[near], atol=1e-9)
    for power in range(1, degree + 1):
        for table, samples, at in ((traction_at_nodes, y, x), (traction_at_halves, x, y)):
            np.testing.assert_allclose(8 * (table @ samples**power)[near], power * at[near] ** (power - 1), atol=1e-9)
    assert np.abs(8 * (at_nodes @ y ** (degree + 1)) - (degree + 1) * x**degree)[1:3].max() > 1e-5  # and no further


@pytest.mark.parametrize("order", ORDERS)
def test_what_vanishes_on_the_surface_is_nothing_there(order):
    """And so no distribution of it is without a difference: one would run along the surface of a fluid, undamped."""
    at_nodes, _, _, traction_at_halves, nodes, halves = differences(order)
    assert not at_nodes[0].any() and not traction_at_halves[:, 0].any()
    scaled = np.sqrt(halves[:, None] / nodes[None, 1:]) * traction_at_halves[:, 1:]
    # the smallest are those of the longest waves of this many cells
    assert np.linalg.svd(scaled[: N - order, : N - order], compute_uv=False).min() > 0.7 * np.pi / (2 * (N - order))


@pytest.mark.parametrize("order", ORDERS)
def test_weights_and_steps(order):
    """Every sample has a part of a cell, all together what lies below the surface; steps hardly need to be smaller."""
    at_nodes, at_halves, _, _, nodes, halves = differences(order)
    assert nodes.min() > 0.25 and halves.min() > 0.25
    assert nodes.sum() == pytest.approx(N - 0.5) and halves.sum() == pytest.approx(N)
    inside = np.abs(_inside(order, N)[0][N // 2]).sum()
    for d, w, v in ((at_nodes, nodes, halves), (at_halves, halves, nodes)):
        scaled = np.sqrt(w[:, None] / v[None, :]) * d
        assert np.linalg.norm(scaled, 2) < 1.05 * inside
