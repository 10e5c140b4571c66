"""How to install what is missing: one hint, quoted for shells, that works for a checkout too."""

from __future__ import annotations

import re
import shlex
from configparser import ConfigParser

import pytest

from seisops import _extras
from seisops._extras import install, missing


def test_a_checkout_is_installed_by_its_path(root):
    command = shlex.split(install("plot"))
    assert command == ["pip", "install", "-e", f"{root}[plot]"]


def test_what_is_installed_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(_extras, "__file__", str(tmp_path / "seisops" / "_extras.py"))
    assert install("io") == 'pip install "seisops[io]"'
    assert str(missing("Zarr stores need", "zarr", "io")) == (
        'Zarr stores need zarr; install it with: pip install "seisops[io]"'
    )


def test_extras_are_named_by_that_alone_and_quoted_in_texts(root):
    """Brackets are a pattern to zsh."""
    for path in [*(root / "seisops").rglob("*.py"), *(root / "docs").glob("*.rst"), root / "README.md"]:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not re.search(r"pip install [^\"`]*\[", line), f"{path}: {line}"
            if path.suffix == ".py" and path.name != "_extras.py" and "pip install" in line:
                assert "raise" not in line, f"{path}: {line}"


def test_the_extras_that_are_named_exist(root):
    setup = ConfigParser()
    setup.read(root / "setup.cfg")
    there = set(setup["options.extras_require"])
    text = "\n".join(path.read_text(encoding="utf-8") for path in (root / "seisops").rglob("*.py"))
    named = set(re.findall(r"missing\([^\n]*\"(\w+)\"\) from", text)) | set(re.findall(r"install\(\"(\w+)\"\)", text))
    assert {"io", "prox", "completion", "plot", "cuda"} <= named <= there


@pytest.mark.parametrize("name", ["torch", "jax", "dask", "plot"])
def test_bridges(monkeypatch, name, root):
    import seisops

    def missing_package(module):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(seisops, "_import_module", missing_package)
    monkeypatch.delitem(vars(seisops), name, raising=False)
    with pytest.raises(ImportError, match=f"seisops.{name} needs {name}; install it with: pip install .*") as told:
        getattr(seisops, name)
    assert shlex.split(str(told.value))[-1] == f"{root}[{name}]"
