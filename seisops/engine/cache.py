"""Compiled programs kept on disk between processes.

The directory is ``$SEISOPS_CACHE``, else ``$XDG_CACHE_HOME/seisops``, else ``~/.cache/seisops`` (macOS:
``~/Library/Caches/seisops``). ``SEISOPS_CACHE`` empty, ``0`` or ``off`` keeps nothing.

An entry is a shared library and, beside it, a JSON file with its checksum and what is needed to call it. Both are made
under a name of their own and then moved into place, the JSON file last, so that processes which write the same entry at
the same time never see half of it, and there are no locks to be left behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

__all__ = ["directory", "read", "write"]

LIFETIME = 90 * 86400  # seconds since its last use after which an entry is removed
_DAY = 86400

# what this cache writes, by name; nobody else is likely to name anything so
PREFIX = ".seisops-build-"
BUILD = re.compile(re.escape(PREFIX) + r"\w+")
INDEX = re.compile(r"[0-9a-f]{64}\.json")
LIBRARY = re.compile(r"[0-9a-f]{64}-[0-9a-f]{16}\.(so|dylib)")
# how shared libraries begin: ELF, and Mach-O of one architecture or of several
NATIVE = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")

_warned: set[str] = set()


def directory() -> Path | None:
    """Where programs are kept, created if need be; None if they are not kept.

    Loading a library runs whatever is in it, so a directory that somebody else can write to is not used.

    Warns
    -----
    RuntimeWarning
        Once for each directory that cannot be used.
    """
    chosen = os.environ.get("SEISOPS_CACHE")
    if chosen is not None and chosen.strip().lower() in ("", "0", "off"):
        return None
    try:
        path = Path(chosen).expanduser() if chosen else _default()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = path.stat()
    except (OSError, RuntimeError) as e:  # RuntimeError: nobody knows where the user's home is
        _refuse(chosen or "the user's cache directory", str(e))
        return None
    if state.st_uid != os.getuid():
        _refuse(str(path), "it belongs to another user")
    elif stat.S_IMODE(state.st_mode) & 0o022:
        _refuse(str(path), "others can write to it (chmod go-w helps)")
    else:
        return path
    return None


def _default() -> Path:
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "seisops"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "seisops"
    return Path.home() / ".cache" / "seisops"


def _refuse(path: str, reason: str) -> None:
    if path not in _warned:
        _warned.add(path)
        warnings.warn(
            f"compiled programs are not kept in {path}: {reason}; every process compiles its own. "
            "SEISOPS_CACHE names another directory, SEISOPS_CACHE=off is silent",
            RuntimeWarning,
            stacklevel=2,
        )


def read(folder: Path, digest: str) -> tuple[dict, Path] | None:
    """The description of an entry and the path of its library; None if there is none, or it is damaged.

    A library is compared with its checksum before anybody loads it: loading a truncated one kills the process.
    """
    try:
        record = json.loads(_index(folder, digest).read_bytes())
        content = record["content"]
        library = folder / Path(content["library"]).name
        if record["sha256"] != _checksum(_text(content)) or content["sha256"] != _checksum(library.read_bytes()):
            return None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    _touch(_index(folder, digest), library)
    return content, library


def write(folder: Path, digest: str, content: Mapping[str, object], build: Callable[[Path], Path]) -> Path | None:
    """Keep an entry: `build` is called with an empty folder and returns the path of the library it made there.

    Returns
    -------
    Path or None
        The library where it is kept from now on; None if the directory cannot be written to.

    Warns
    -----
    RuntimeWarning
        Once for each directory that cannot be written to.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=folder, ignore_cleanup_errors=True) as made:
            library = build(Path(made))
            # a name never used before: the loader takes a path that it has seen for what it has already loaded
            kept = folder / f"{digest}-{secrets.token_hex(8)}{library.suffix}"
            full = {**content, "library": kept.name, "sha256": _checksum(library.read_bytes())}
            index = Path(made) / "index.json"
            index.write_text(json.dumps({"sha256": _checksum(_text(full)), "content": full}, indent=1))
            os.replace(library, kept)
            os.replace(index, _index(folder, digest))
    except OSError as e:
        _refuse(str(folder), str(e))
        return None
    _expire(folder)
    return kept


def _index(folder: Path, digest: str) -> Path:
    return folder / f"{digest}.json"


def _text(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _touch(*paths: Path) -> None:
    """Note that entries are in use, about once a day."""
    for path in paths:
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - _DAY:
                os.utime(path)


def _expire(folder: Path) -> None:
    """Remove what was written here and has not been used for long: entries, libraries without one, folders of killed builds.

    Whatever is not known by its name and content to be of this cache belongs to somebody, and stays.
    """
    for path in folder.iterdir():
        with suppress(OSError):
            state = path.lstat()
            if state.st_mtime >= time.time() - LIFETIME:
                continue
            if BUILD.fullmatch(path.name) and stat.S_ISDIR(state.st_mode):
                shutil.rmtree(path)
            elif stat.S_ISREG(state.st_mode) and _is_ours(path):
                path.unlink()


def _is_ours(path: Path) -> bool:
    """Whether a file is a library of this cache, or the description of one."""
    if LIBRARY.fullmatch(path.name):
        with path.open("rb") as file:
            return file.read(4) in NATIVE
    if not INDEX.fullmatch(path.name):
        return False
    try:
        record = json.loads(path.read_bytes())
        return set(record) == {"sha256", "content"} and LIBRARY.fullmatch(record["content"]["library"]) is not None
    except (ValueError, TypeError, KeyError):
        return False
