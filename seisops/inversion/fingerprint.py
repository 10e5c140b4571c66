"""A hash of settings and arrays, the same in every run of a program."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seisops.errors import ParameterError

__all__ = ["fingerprint"]


def fingerprint(*things: Any) -> str:
    """Return a hash, of 64 hexadecimal digits, of numbers, text, arrays, and sequences and mappings of those.

    Parameters
    ----------
    *things
        What to tell apart. Arrays count with their dtype, shape and every bit.

    Raises
    ------
    ParameterError
        If something is of another kind.
    """
    digest = hashlib.sha256()
    _feed(digest, things)
    return digest.hexdigest()


def _feed(digest: Any, x: Any) -> None:
    if isinstance(x, np.ndarray | np.generic) and not np.asarray(x).dtype.hasobject:
        x = np.asarray(x)
        digest.update(f"array {x.dtype.str} {x.shape};".encode())
        digest.update(np.ascontiguousarray(x).reshape(-1).view(np.uint8))
    elif isinstance(x, Mapping):
        digest.update(f"mapping {len(x)};".encode())
        for key in sorted(x, key=str):
            _feed(digest, key)
            _feed(digest, x[key])
    elif isinstance(x, str | bytes):
        raw = x.encode() if isinstance(x, str) else x
        digest.update(f"{type(x).__name__} {len(raw)};".encode() + raw)
    elif isinstance(x, Sequence):
        digest.update(f"sequence {len(x)};".encode())
        for part in x:
            _feed(digest, part)
    elif x is None or isinstance(x, bool | int | float | complex):
        digest.update(f"{type(x).__name__} {x!r};".encode())
    else:
        raise ParameterError(
            f"cannot take a fingerprint of a {type(x).__name__}: give the numbers, text and arrays that it is made of"
        )
