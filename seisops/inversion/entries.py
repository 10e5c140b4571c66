"""The files of a journal: written whole or not at all, and recognised when they are damaged or somebody else's.

An entry is a line that says what it is, a line of JSON that says what it holds, and the bytes of its arrays.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisops.inversion.fingerprint import fingerprint

__all__ = ["Damaged", "Entry", "Foreign", "is_entry", "read", "replace", "write"]

MAGIC = b"seisops journal entry 1\n"


class Damaged(Exception):
    """An entry of ours that is not whole; the text says why."""


class Foreign(Exception):
    """A file that is no entry of ours."""


@dataclass(frozen=True)
class Entry:
    """One evaluation.

    Attributes
    ----------
    about : dict
        What was evaluated where, of JSON's types.
    items : tuple of ndarray
        What came out.
    """

    about: dict[str, Any]
    items: tuple[NDArray, ...]


def write(path: Path, entry: Entry) -> None:
    """Write an entry; when this returns it is on the disk, and when it raises nothing half-written is in its place.

    Parameters
    ----------
    path : Path
        Where it will be.
    entry : Entry
        The entry.

    Raises
    ------
    OSError
        If it cannot be written, as on a full disk.
    """
    stored = [_narrow(item) for item in entry.items]
    head = {
        "about": entry.about,
        "items": [{"dtype": a.dtype.str, "shape": i.shape, "as": i.dtype.str}
                  for a, i in zip(stored, entry.items, strict=True)],
    }  # fmt: skip
    head = json.loads(json.dumps(head))
    line = json.dumps({**head, "digest": fingerprint(head, stored)}) + "\n"
    replace(path, [MAGIC, line.encode(), *(a.view(np.uint8) for a in stored)])


def read(path: Path) -> Entry:
    """Read an entry.

    Parameters
    ----------
    path : Path
        Where it is.

    Raises
    ------
    FileNotFoundError
        If there is none.
    Damaged, Foreign
        If it is not whole, or something else.
    """
    with open(path, "rb") as file:
        magic = file.read(len(MAGIC))
        if not MAGIC.startswith(magic):
            raise Foreign("it was not written by a journal of this kind")
        if magic != MAGIC:
            raise Damaged(f"it ends after {len(magic)} bytes")
        try:
            head = json.loads(file.readline())
            digest, specs = head.pop("digest"), head["items"]
            dtypes = [np.dtype(spec["dtype"]) for spec in specs]
            sizes = [int(np.prod(spec["shape"], dtype=np.int64)) for spec in specs]
        except (ValueError, KeyError, TypeError, AttributeError, SyntaxError) as error:  # the last of dtypes
            raise Damaged(f"its description cannot be read ({error})") from None
        missing = sum(d.itemsize * n for d, n in zip(dtypes, sizes, strict=True)) + file.tell() - path.stat().st_size
        if missing:
            raise Damaged(f"it is {abs(missing)} bytes too {'short' if missing > 0 else 'long'}")
        stored = [np.fromfile(file, d, n) for d, n in zip(dtypes, sizes, strict=True)]
    if fingerprint(head, stored) != digest:
        raise Damaged("its contents have changed since it was written")
    items = [a.astype(spec["as"]).reshape(spec["shape"]) for a, spec in zip(stored, specs, strict=True)]
    return Entry(head["about"], tuple(items))


def is_entry(path: Path) -> bool:
    """Whether a file is an entry of ours, which may be cut short, but not to nothing."""
    with suppress(OSError), open(path, "rb") as file:
        magic = file.read(len(MAGIC))
        return magic != b"" and MAGIC.startswith(magic)
    return False


def _narrow(item: NDArray) -> NDArray:
    """A flat array of the same numbers in half the bytes, where every bit survives: gradients of float32 operators."""
    flat = np.ascontiguousarray(item).reshape(-1)
    if flat.dtype == np.float64:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            half = flat.astype(np.float32)
        if np.array_equal(half.astype(np.float64).view(np.uint64), flat.view(np.uint64)):
            return half
    return flat


def replace(path: Path, chunks: Iterable[Any]) -> None:
    """Write a file beside its place, wait until it is on the disk, and move it there.

    Parameters
    ----------
    path : Path
        The place.
    chunks : iterable of buffers
        What to write.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    _settle(path.parent)


def _settle(folder: Path) -> None:
    """Have the new name on the disk as well."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that do so anyway
            raise
    finally:
        os.close(descriptor)
