"""What runs on a graphics processor: skipped without one, and without CuPy."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def cupy():
    """CuPy, and a card that it reaches."""
    module = pytest.importorskip("cupy", reason="no CuPy")
    try:
        count = module.cuda.runtime.getDeviceCount()
    except module.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no graphics processor: {error}")
    if not count:
        pytest.skip("no graphics processor")
    return module
