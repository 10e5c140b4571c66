"""The cases of ``tests/device``, on a stand-in for a card: that they say what they are to say on one."""

import sys
from pathlib import Path

import pytest
from test_device_arrays import card  # noqa: F401 - a fixture

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "device"))

from on_card import STORAGES, TOLERANCE, Case, furthest

import seisops as so

pytestmark = pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning")


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_case(card, dtype):  # noqa: F811
    case = Case(shape=(18, 17), dtype=dtype, shots=2)
    known = Case(shape=(18, 17), shots=2).products("cpu", STORAGES["whole"])
    assert furthest(case.products("host", STORAGES["whole"]), known) < TOLERANCE[dtype]
    assert so.check.dot_test(case.modeling("host")) < TOLERANCE[dtype]


@pytest.mark.parametrize("name", STORAGES)
def test_policies_take_its_cases(card, name):  # noqa: F811
    """With the length and the step that they have there."""
    case = Case(shape=(18, 17))
    known, found = (case.products(where, STORAGES[name]) for where in ("cpu", "host"))
    assert furthest(found, known) < 1e-8
