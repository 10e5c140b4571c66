"""The code of the guide runs as it stands."""

from __future__ import annotations

import re

import pytest


def test_the_guide_runs(root, tmp_path, monkeypatch):
    pytest.importorskip("zarr")
    pytest.importorskip("xarray")
    text = (root / "docs" / "surveys.rst").read_text(encoding="utf-8")
    parts = re.findall(r"^\.\. code-block:: python\n\n((?:(?:   [^\n]*)?\n)+)", text, re.MULTILINE)
    assert len(parts) > 5
    code = "\n".join(line.removeprefix("   ") for part in parts for line in part.splitlines())
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(code, "surveys.rst", "exec"), names)
    assert names["again"].counts == (20, 20, 20) and abs(names["d"]).max() > 0
