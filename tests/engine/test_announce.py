"""What is derived and compiled says so: in the log, and in a terminal by a bar."""

from __future__ import annotations

import io
import logging
import sys

import numpy as np
import pytest

import seisops as so
from seisops.engine.backend import compiled
from seisops.engine.kept.announce import announced


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_first_product_says_what_it_makes_and_where_it_is_kept(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("SEISOPS_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(compiled, "KNOWN", compiled._Known())
    grid = so.Grid((21, 17), 10.0)
    waves = so.Wavefield(grid, so.Time(31, 0.003))
    A = so.Modeling(waves, so.Acoustic(grid, vp=2000.0), so.PML(cells=7), space_order=6)
    so.memory.forget()
    F = so.Projection(waves, [(100.0, 100.0)]) * A * so.Projection(waves, [(60.0, 70.0)]).H
    with caplog.at_level(logging.INFO, logger="seisops"):
        F @ np.zeros(F.domain.shape)
    said = [record.getMessage() for record in caplog.records]
    assert any("compiling" in line and f"kept for later in {tmp_path / 'kept'}" in line for line in said), said
    assert any("deriving" in line for line in said)
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="seisops"):
        F @ np.ones(F.domain.shape)
    assert not caplog.records


@pytest.mark.parametrize("watched", [True, False])
def test_a_bar_only_where_somebody_looks_on(monkeypatch, watched):
    screen = Terminal() if watched else io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    with announced("compiling 2 pieces", 2) as done:
        done()
        done()
    assert ("compiling 2 pieces" in screen.getvalue()) == watched
