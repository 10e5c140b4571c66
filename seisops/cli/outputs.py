"""What commands leave behind: files that are there already are refused, figures of models and images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from seisops.errors import ParameterError
from seisops.wave.grid import Grid

__all__ = ["drawing", "refuse_file", "refuse_folder", "require_figures", "require_writable", "section"]


def refuse_folder(folder: Path, force: bool) -> None:
    """Raise a ParameterError if something is in a folder, unless it may be overwritten, or nothing can be written there."""
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder} is a file: name a folder with --output")
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise ParameterError(f"the folder {folder} is not empty: name another with --output, or overwrite with --force")
    require_writable(folder)


def refuse_file(path: Path, force: bool, read: Iterable[Path | None] = ()) -> None:
    """Raise a ParameterError if a file is there, unless it may be overwritten, or its folder is not or takes none.

    Files that are `read` are never written over.
    """
    if path.exists() and any(other is not None and other.exists() and path.samefile(other) for other in read):
        raise ParameterError(f"{path} is read, and would be written over: name another with --output")
    if not path.parent.is_dir():
        raise ParameterError(f"{path} cannot be written: there is no folder {path.parent}")
    if path.exists() and not force:
        raise ParameterError(f"{path} exists: name another with --output, or overwrite with --force")
    require_writable(path.parent)


def require_writable(folder: Path) -> None:
    """Raise a ParameterError if no files can be made in a folder, by making one; a folder that is not there stays so."""
    made: list[Path] = []
    try:
        made += [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = error.strerror or str(error)
        raise ParameterError(f"nothing can be written to the folder {folder} ({why}): name another") from error
    finally:
        for one in made:
            with suppress(OSError):
                one.rmdir()


def require_figures(without: str) -> None:
    """Raise an ImportError that says what to do if figures cannot be made, before any work.

    Parameters
    ----------
    without : str
        What leaves them out.
    """
    try:
        import seisops.plot  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{error}; or leave the figures out: {without}") from error


@contextmanager
def drawing() -> Iterator[None]:
    """Settings of matplotlib as they are in the user's file: Devito's examples, which PyLops imports, change sizes."""
    import matplotlib

    with matplotlib.rc_context(fname=matplotlib.matplotlib_fname()):
        yield


def section(grid: Grid, values: NDArray) -> tuple[Grid, NDArray]:
    """What is drawn of an array on a grid: all of it, or the section through the middle along x."""
    if grid.ndim == 2:
        return grid, values
    (x, _, z), middle = grid.shape, grid.shape[1] // 2
    plane = Grid((x, z), (grid.spacing[0], grid.spacing[2]), (grid.origin[0], grid.origin[2]))
    return plane, np.asarray(values)[:, middle]
