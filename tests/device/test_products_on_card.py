"""What a card computes is what the processor computes, and adjoints are exact there: every medium, boundary and policy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from on_card import BOUNDARIES, MEDIA, STORAGES, TOLERANCE, Case, furthest

import seisops as so
from seisops.errors import ParameterError

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")

DEEP = (14, 13, 12)


def require_right(case, storage=STORAGES["whole"], exact=True):
    """Data, adjoints, Born data and images against the processor's, and dot tests."""
    try:
        found = case.products("cuda", storage)
    except ParameterError as error:
        if "coded by the processor" not in str(error):
            raise
        pytest.skip(str(error))
    known = case.products("cpu", storage)
    # single precision is held against what it rounds
    if case.dtype == "float32":
        known = replace(case, dtype="float64").products("cpu", storage) if exact else known
    assert furthest(found, known) < TOLERANCE[case.dtype] * (1 if exact else 1e4)
    F = case.modeling("cuda")
    assert so.check.dot_test(F) < TOLERANCE[case.dtype]
    assert so.check.dot_test(case.jacobian(F, storage)) < TOLERANCE[case.dtype]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("medium", MEDIA)
def test_media(medium, dtype):
    require_right(Case(medium, dtype=dtype))


@pytest.mark.parametrize("medium", MEDIA)
def test_media_in_three_dimensions(medium):
    require_right(Case(medium, shape=DEEP, boundary="PML below a surface"))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("medium", ["acoustic", "density"])
def test_boundaries(medium, boundary, dtype):
    require_right(Case(medium, boundary, dtype=dtype))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("storage", STORAGES)
def test_storage(storage, dtype):
    require_right(
        Case(dtype=dtype), STORAGES[storage], exact=storage in ("whole", "checkpoints", "edges", "every second")
    )


def test_storage_on_disk(tmp_path):
    require_right(Case(), so.storage.Disk(tmp_path))


@pytest.mark.parametrize("shape", [(34, 29), DEEP])
def test_a_batch_of_shots_is_what_each_is_alone(shape):
    case = Case(shape=shape, shots=5)
    F = case.modeling("cuda")
    q, y = F.domain.random(1), F.range.random(2)
    d, back, J = F @ q, F.H @ y, case.jacobian(F, "auto")
    image = J.H @ y
    alone = np.zeros(image.shape)
    for s in range(5):
        assert furthest([d[s : s + 1], back[s : s + 1]], [F[s] @ q[s : s + 1], F[s].H @ y[s : s + 1]]) < 1e-13
        alone += J[s].H @ y[s : s + 1]
    assert furthest([image], [alone]) < 1e-13


def test_maps():
    case = Case()
    G = so.Parametric(case.modeling("cuda"))
    m = next(leaf.medium for leaf in G.F.leaves() if hasattr(leaf, "medium")).get("m")
    q = G.domain[1].random(1)
    rates = so.check.taylor_test(G, (m, q))
    assert min(np.atleast_1d(rates)) > 1.95
