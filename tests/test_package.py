"""What is installed from a wheel: complete, and at work in an environment of its own with the oldest dependencies stated."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

import seisops

#: What runs from the wheel with nothing installed but its dependencies: the algebra, one medium against closed forms, all
#: products, losses. The tests themselves use hypothesis.
FILES = (
    "test_check.py", "test_fusion.py", "test_maps.py", "test_spaces.py", "inversion/test_losses.py", "wave/test_green.py",
    "wave/test_products.py",
)  # fmt: skip


@pytest.fixture(scope="module")
def setup(root) -> ConfigParser:
    """What setup.cfg says."""
    config = ConfigParser()
    config.read(root / "setup.cfg")
    return config


@pytest.fixture(scope="module")
def built(root, tmp_path_factory) -> Path:
    """A folder with the source distribution, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"  # a build leaves things beside the sources
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    if tracked.returncode != 0:
        pytest.skip("not a checkout of git: what belongs to the sources is not known")
    for name in filter(None, tracked.stdout.split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (root / name).is_symlink():
            (source / name).symlink_to((root / name).readlink())
        elif (root / name).is_file():
            (source / name).write_bytes((root / name).read_bytes())
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, source], check=True, capture_output=True)
    return folder


def test_the_citation_is_of_this_version(root, setup):
    stated = re.findall(r"^version: *[\"']?([^\"'\s]+)", (root / "CITATION.cff").read_text(encoding="utf-8"), re.M)
    assert stated == [setup["metadata"]["version"]]
    if not seisops.__version__.startswith("unknown"):
        assert stated == [seisops.__version__]


def oldest(requirements: str, only: tuple[str, ...] = ()) -> list[str]:
    """The lower bounds of requirements, as versions to install, where they are required."""
    lines = [line.strip() for line in requirements.splitlines() if line.strip() and not line.strip().startswith("#")]
    found = [re.match(r"([\w-]+)>=([\w.]+)[^;]*(;.*)?", line) for line in lines]
    return [f"{match[1]}=={match[2]}{match[3] or ''}" for match in found if match and (not only or match[1] in only)]


@pytest.mark.slow
def test_wheel_and_source_distribution_are_complete(built, root):
    (wheel,), (sources,) = built.glob("*.whl"), built.glob("*.tar.gz")
    modules = {str(path.relative_to(root)) for path in (root / "seisops").rglob("*.py")}
    others = {"seisops/py.typed", "seisops/engine/backend/march.c"}
    gallery = root / "examples" / "gallery"
    pages = {f"seisops/demo/pages/{path.relative_to(gallery)}" for path in gallery.glob("*/*.py")}
    assert len(pages) > 25
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        named = next(name for name in archive.namelist() if name.endswith("METADATA"))
        metadata = archive.read(named).decode()
    assert packed == modules | others | pages
    assert "License-File: LICENSE" in metadata and "Description-Content-Type: text/markdown" in metadata
    with tarfile.open(sources) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert modules | others | pages | {"LICENSE", "README.md", "setup.cfg", "pyproject.toml"} <= names


@pytest.mark.slow
def test_the_wheel_works_with_the_oldest_dependencies(built, root, setup, tmp_path):
    """In an environment that has nothing else, away from the checkout."""
    (wheel,) = built.glob("*.whl")
    versions = oldest(setup["options"]["install_requires"])
    assert len(versions) == 8, versions
    extra = oldest(setup["options.extras_require"]["test"], only=("hypothesis",))
    bin = tmp_path / "venv" / "bin"
    alone = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}

    def run(*command) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
        return done.stdout

    run(sys.executable, "-m", "venv", "venv")
    # of most of what is installed nothing is ever imported
    install = ("install", "--disable-pip-version-check", "--no-compile")
    run(bin / "python", "-m", "pip", *install, wheel, *versions, *extra)
    examined = run(bin / "seisops", "doctor")
    assert "extras       none" in examined and all(v.replace("==", " ") in examined for v in versions[:4])
    assert str(tmp_path / "venv") in run(bin / "python", "-c", "import seisops; print(seisops.__file__)")
    listed = run(bin / "seisops", "demo", "--list")
    assert "Reverse-time migration" in listed and "(needs matplotlib and torch)" in listed
    run(bin / "pytest", "-q", "-p", "no:cacheprovider", *(root / "tests" / name for name in FILES))
