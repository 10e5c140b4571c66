"""Fixtures that the whole test suite shares."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

import seisops as so

# torch compiles here and now, not in processes of its own that import torch before, and does not try out vectors first
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "0")

# the same examples in every run, however long a busy machine takes for one
settings.register_profile("tests", deadline=None, derandomize=True, database=None, max_examples=200)
settings.load_profile("tests")


def pytest_collection_finish() -> None:
    """What has been imported stays: it need not be looked through whenever garbage is collected; and that less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="module")
def settled() -> None:
    """For tests of which each has garbage collected: what was there before those of their module is not looked through."""
    so.memory.forget()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def kernels(tmp_path_factory) -> Path:
    """Where kernels are compiled for what stands for a graphics processor: once for all tests, in whatever process."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= "kernels"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of reference models and shot records; the test skips where there is none.

    It is never part of the project: ``SEISOPS_DATA`` names it, or it lies at ``../shared/data``.
    """
    folder = Path(os.environ.get("SEISOPS_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}; set SEISOPS_DATA to where they are")
    return folder
