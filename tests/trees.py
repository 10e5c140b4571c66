"""Files and folders of somebody else."""

from __future__ import annotations

from pathlib import Path

__all__ = ["grow"]


def grow(folder: Path, tree: dict) -> None:
    """Make files (bytes) and folders (mappings) by their names."""
    for name, inner in tree.items():
        if isinstance(inner, dict):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
            grow(folder / name, inner)
        else:
            (folder / name).write_bytes(inner)
