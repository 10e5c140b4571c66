"""Files that are either written whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from seisops.errors import ParameterError

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path, overwrite: bool, ours: Callable[[Path], bool]) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when all is written, and is removed if not.

    Parameters
    ----------
    path : Path
        Where the file or folder is to be.
    overwrite : bool
        Whether it may take the place of another.
    ours : callable
        Whether what is there is of the kind that is written, and may be overwritten at all.

    Raises
    ------
    ParameterError
        If `path` exists and may not be overwritten, or its folder does not exist.
    OSError
        If writing fails, as on a full disk; nothing is left of the attempt, and what was there stays.
    """
    _check(path, overwrite, ours)
    beside = path.parent / f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.partial"
    try:
        yield beside
        _check(path, overwrite, ours)
        _move(beside, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(error.errno or 0, f"{reason}; {path} was not written, and nothing was left of it") from error
    finally:
        _remove(beside)


def _check(path: Path, overwrite: bool, ours: Callable[[Path], bool]) -> None:
    if not path.parent.is_dir():
        raise ParameterError(f"{path} cannot be written: there is no folder {path.parent}")
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise ParameterError(f"{path} exists: pass overwrite=True to replace it")
    if not ours(path):
        raise ParameterError(
            f"{path} is something else than what would take its place: remove it first, or write elsewhere"
        )


def _move(beside: Path, path: Path) -> None:
    if not (path.is_dir() and not path.is_symlink()):
        os.replace(beside, path)
        return
    # a folder cannot be replaced in one step: the old one steps aside, and comes back if the new one cannot move in
    aside = beside.with_suffix(".old")
    os.rename(path, aside)
    try:
        os.rename(beside, path)
    except OSError:
        os.rename(aside, path)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
