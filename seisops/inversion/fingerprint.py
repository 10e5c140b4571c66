"""A hash of settings, arrays, operators and maps, the same in every run of a program."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seisops.inversion.identity import Products, made_of

__all__ = ["fingerprint", "is_probed"]

#: Numbers of an array that are looked at together.
BLOCK = 1 << 20


def fingerprint(*things: Any) -> str:
    """Return a hash, of 64 hexadecimal digits, of numbers, text, arrays, operators, maps, media, and collections of those.

    Parameters
    ----------
    *things
        What to tell apart. Arrays count with their dtype, shape and every bit (but for denormal numbers, which are
        zeros to some processes), sequences and mappings with what is in them. Whatever has a method ``_fingerprint()``
        counts with its class and what that returns (operators and maps with their spaces as well), dataclasses with
        their class and fields, plain PyLops operators with what they do. One that is fused or distributed counts as the
        operator or map that it is; a storage policy that is exact as any other.

    Raises
    ------
    ParameterError
        If something does not say what it is made of.
    """
    digest = hashlib.sha256()
    _feed(digest, things, _Known())
    return digest.hexdigest()


def is_probed(*things: Any) -> bool:
    """Whether a fingerprint rests on products with random vectors somewhere, for want of anything else that is known."""
    known = _Known()
    _feed(hashlib.sha256(), things, known)
    return known.probed


class _Known(dict):
    """Hashes taken so far, by identity: ``{id(x): (x, hash)}``; and whether any of them rests on products."""

    probed = False


def _feed(digest: Any, x: Any, known: _Known) -> None:
    if isinstance(x, np.ndarray | np.generic) and not np.asarray(x).dtype.hasobject:
        x = np.asarray(x)
        digest.update(f"array {x.dtype.str} {x.shape};".encode())
        _feed_array(digest, x)
    elif isinstance(x, Mapping):
        digest.update(f"mapping {len(x)};".encode())
        for key in sorted(x, key=str):
            _feed(digest, key, known)
            _feed(digest, x[key], known)
    elif isinstance(x, str | bytes):
        raw = x.encode() if isinstance(x, str) else x
        digest.update(f"{type(x).__name__} {len(raw)};".encode() + raw)
    elif x is None or isinstance(x, bool | int | float | complex):
        digest.update(f"{type(x).__name__} {x!r};".encode())
    elif getattr(x, "stands_for", None) is not None:
        _feed(digest, x.stands_for, known)
    elif isinstance(x, Sequence) and not hasattr(x, "_fingerprint"):
        digest.update(f"sequence {len(x)};".encode())
        known.probed |= isinstance(x, Products)
        for part in x:
            _feed(digest, part, known)
    else:
        digest.update(b"object;" + _whole(x, known))


def _feed_array(digest: Any, x: np.ndarray) -> None:
    """All bytes, with zeros for denormal numbers: processes keep them or not, by what they have loaded."""
    flat = np.ascontiguousarray(x).reshape(-1)
    if x.dtype.kind not in "fc":
        digest.update(flat.view(np.uint8))
        return
    flat = flat.view(x.real.dtype)
    for first in range(0, flat.size, BLOCK):
        block = flat[first : first + BLOCK]
        digest.update(np.where(np.abs(block) < np.finfo(block.dtype).tiny, block.dtype.type(0), block).view(np.uint8))


def _whole(x: Any, known: _Known) -> bytes:
    """The hash of what is made of other things: taken once, in however many places one medium stands."""
    if id(x) not in known:
        own = hashlib.sha256()
        _feed(own, made_of(x), known)
        known[id(x)] = x, own.digest()  # with x, whose id is nobody else's as long as it is there
    return known[id(x)][1]
