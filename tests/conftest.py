"""Fixtures that the whole test suite shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# torch compiles here and now, not in processes of its own that import torch before, and does not try out vectors first
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "0")

# the same examples in every run, however long a busy machine takes for one
settings.register_profile("tests", deadline=None, derandomize=True, database=None, max_examples=200)
settings.load_profile("tests")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of reference models and shot records; the test skips where there is none.

    It is never part of the project: ``SEISOPS_DATA`` names it, or it lies at ``../shared/data``.
    """
    folder = Path(os.environ.get("SEISOPS_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}; set SEISOPS_DATA to where they are")
    return folder
