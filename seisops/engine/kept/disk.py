"""Compiled programs, and notes of what was derived, kept on disk between processes.

The folder is ``$SEISOPS_CACHE``, else ``$XDG_CACHE_HOME/seisops``, else ``~/.cache/seisops`` (macOS:
``~/Library/Caches/seisops``). ``SEISOPS_CACHE`` empty, ``0`` or ``off`` keeps nothing; a relative path is one from where
the process works when it first uses that path. A folder of ours says so in a ``CACHEDIR.TAG``, which programs that make
backups look for as well; in a folder where somebody else keeps something we use one of our own.

A program is a shared library and, beside it, a JSON file with its checksum and what is needed to call it; a note is one file
that begins with its checksum. All are written under a name of their own and then moved into place, the JSON file last, so
that processes which write the same entry at the same time never see half of it, and there are no locks to be left behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import stat
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

__all__ = ["Folder", "opened"]

LIFETIME = 90 * 86400  # seconds since its last use after which an entry is removed
_DAY = 86400

TAG = "CACHEDIR.TAG"
TAGGED = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n# Programs that seisops compiled; they may be removed at any time.\n"
)
#: In a folder that is not ours.
OWN = "seisops-programs"

# what this cache writes, by name; nobody else is likely to name anything so
INDEX = re.compile(r"([0-9a-f]{64})\.json")
LIBRARY = re.compile(r"([0-9a-f]{64})-[0-9a-f]{16}\.(so|dylib)")
NOTE = re.compile(r"([0-9a-f]{64})\.note")
PARTIAL = re.compile(r"\.([0-9a-f]{64}(-[0-9a-f]{16})?\.(so|dylib|json|note)|CACHEDIR\.TAG)\.[0-9a-f]{16}\.partial")
#: How a note begins, before its checksum.
NOTED = b"seisops note\n"
#: What the loader says where the system runs nothing, as on a file system mounted ``noexec``.
UNMAPPED = "failed to map segment"

# how shared libraries begin: ELF, and Mach-O of one architecture or of several
NATIVE = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")

_warned: set[str] = set()


class Folder:
    """A folder of ours, held open: whatever its path leads to later, reading, writing and loading go on in this one.

    Parameters
    ----------
    path : Path
        Where it is.

    Raises
    ------
    OSError
        It cannot be opened, it belongs to somebody else, or others can write to it: loading a library runs whatever is
        in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        state = os.fstat(self._descriptor)
        if state.st_uid != os.getuid():
            reason = "it belongs to another user"
        elif stat.S_IMODE(state.st_mode) & 0o022:
            reason = "others can write to it (chmod go-w helps)"
        else:
            return
        self.close()
        raise PermissionError(reason)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def read(self, digest: str) -> tuple[dict, Path] | None:
        """The description of an entry and a path to load its library by; None if there is none, or it is damaged.

        A library is compared with its checksum before anybody loads it: loading a truncated one kills the process.
        """
        index = f"{digest}.json"
        try:
            record = json.loads(self._content(index))
            content = record["content"]
            library = Path(content["library"]).name
            if record["sha256"] != _checksum(_text(content)) or content["sha256"] != _checksum(self._content(library)):
                return None
        except (OSError, ValueError, TypeError, KeyError):
            return None
        self._touch(index, library)
        return content, self._loadable(library)

    def write(self, digest: str, content: Mapping[str, object], library: Path) -> Path | None:
        """Keep an entry.

        Parameters
        ----------
        digest : str
            Its name.
        content : mapping
            Its description, of JSON's types.
        library : Path
            Where its library is now.

        Returns
        -------
        Path or None
            A path to load the library by from now on; None if it cannot be kept.

        Warns
        -----
        RuntimeWarning
            Once for each folder that cannot be written to.
        """
        code = library.read_bytes()
        # a name never used before: the loader takes a path that it has seen for what it has already loaded
        kept = f"{digest}-{secrets.token_hex(8)}{library.suffix}"
        full = {**content, "library": kept, "sha256": _checksum(code)}
        record = {"sha256": _checksum(_text(full)), "content": full}
        try:
            self._tidy()
            self._replace(kept, code)
            self._replace(f"{digest}.json", json.dumps(record, indent=1).encode())
        except OSError as e:
            with suppress(OSError):
                os.unlink(kept, dir_fd=self._descriptor)
            _refuse(str(self.path), str(e))
            return None
        return self._loadable(kept)

    def read_note(self, digest: str) -> bytes | None:
        """The content of a note; None if there is none, or it is damaged."""
        try:
            raw = self._content(f"{digest}.note")
        except OSError:
            return None
        start, checksum, content = raw[: len(NOTED)], raw[len(NOTED) : len(NOTED) + 64], raw[len(NOTED) + 64 :]
        if start != NOTED or checksum != _checksum(digest.encode() + content).encode():
            return None
        self._touch(f"{digest}.note")
        return content

    def write_note(self, digest: str, content: bytes) -> None:
        """Keep a note.

        Warns
        -----
        RuntimeWarning
            Once for each folder that cannot be written to.
        """
        try:
            self._tidy()
            # with its name: one that came by another says something else
            self._replace(f"{digest}.note", NOTED + _checksum(digest.encode() + content).encode() + content)
        except OSError as e:
            _refuse(str(self.path), str(e))

    def withdraw(self, library: Path, error: OSError) -> None:
        """Remove an entry that cannot be loaded from here, although it could be from elsewhere, and say so.

        Parameters
        ----------
        library : Path
            What `write` returned.
        error : OSError
            What the loader said. Unless it is that the system runs nothing from this folder, all stays as it is: the next
            process makes a damaged entry anew.

        Warns
        -----
        RuntimeWarning
            Once for each folder that the system runs nothing from.
        """
        if UNMAPPED not in str(error):
            return
        for name in (library.name, f"{LIBRARY.fullmatch(library.name)[1]}.json"):
            with suppress(OSError):
                os.unlink(name, dir_fd=self._descriptor)
        _refuse(str(self.path), f"libraries cannot be loaded from there ({UNMAPPED}), as if it were mounted noexec")

    def _open(self, name: str, flags: int) -> int:
        # whatever somebody put there, such as a pipe that nobody writes to, holds nobody up
        return os.open(name, flags | os.O_NONBLOCK, mode=0o600, dir_fd=self._descriptor)

    def _content(self, name: str) -> bytes:
        with open(name, "rb", opener=self._open) as file:
            return file.read()

    def _replace(self, name: str, content: bytes) -> None:
        partial = f".{name}.{secrets.token_hex(8)}.partial"
        try:
            with open(partial, "xb", opener=self._open) as file:
                file.write(content)
            os.replace(partial, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except OSError:
            with suppress(OSError):
                os.unlink(partial, dir_fd=self._descriptor)
            raise

    def _loadable(self, name: str) -> Path:
        """A path for the loader, which knows nothing of descriptors; only Linux has one that leads into this folder."""
        pinned = Path(f"/proc/self/fd/{self._descriptor}")
        return (pinned if pinned.is_dir() else self.path) / name

    def _touch(self, *names: str) -> None:
        """Note that entries are in use, about once a day."""
        for name in names:
            with suppress(OSError):
                if os.stat(name, dir_fd=self._descriptor).st_mtime < time.time() - _DAY:
                    os.utime(name, dir_fd=self._descriptor)

    def _tidy(self) -> None:
        """Tag the folder; about once a day, for who writes first, clear it up, which takes a look at each file."""
        try:
            last = os.stat(TAG, dir_fd=self._descriptor, follow_symlinks=False).st_mtime
        except FileNotFoundError:
            self._replace(TAG, TAGGED)
            return
        if not 0 <= time.time() - last < _DAY:
            with suppress(OSError):
                os.utime(TAG, dir_fd=self._descriptor, follow_symlinks=False)
            self._expire()

    def _expire(self) -> None:
        """Remove what was written here and has not been used for long, and what killed processes left.

        Whatever is not known by its name and content to be of this cache belongs to somebody, and stays.
        """
        with os.scandir(self._descriptor) as entries:
            names = sorted(entry.name for entry in entries)
        libraries = Counter(match[1] for match in map(LIBRARY.fullmatch, names) if match)
        for name in names:
            with suppress(OSError):
                state = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
                age = time.time() - state.st_mtime
                if age < _DAY or not stat.S_ISREG(state.st_mode):
                    continue
                left = age >= LIFETIME or PARTIAL.fullmatch(name) or self._is_orphan(name, libraries)
                if left and self._is_ours(name):
                    os.unlink(name, dir_fd=self._descriptor)

    def holds_ours_only(self) -> bool:
        """Whether there is nothing that somebody else keeps here."""
        with suppress(OSError):
            return all(self._is_ours(name) for name in os.listdir(self._descriptor))
        return False

    def _is_ours(self, name: str) -> bool:
        """Whether a file is a library of this cache, or the description of one, a note, or the beginning of any."""
        if LIBRARY.fullmatch(name):
            return self._content(name)[:4] in NATIVE
        if PARTIAL.fullmatch(name):
            start = self._content(name)[:4]
            return any(known.startswith(start) for known in (*NATIVE, TAGGED, NOTED, b'{\n "'))
        if NOTE.fullmatch(name):
            return self._content(name)[: len(NOTED)] == NOTED
        if not INDEX.fullmatch(name):
            return False
        try:
            record = json.loads(self._content(name))
            return set(record) == {"sha256", "content"} and LIBRARY.fullmatch(record["content"]["library"]) is not None
        except (ValueError, TypeError, KeyError):
            return False

    def _is_orphan(self, name: str, libraries: Mapping[str, int]) -> bool:
        """Whether a library has no description: its writer was killed before that, or another one wrote the same entry.

        `libraries` are how many there are of each entry.
        """
        match = LIBRARY.fullmatch(name)
        if not match:
            return False
        try:
            if libraries[match[1]] == 1:
                os.stat(f"{match[1]}.json", dir_fd=self._descriptor)
                return False
            return json.loads(self._content(f"{match[1]}.json"))["content"]["library"] != name
        except FileNotFoundError:
            return True
        except (ValueError, TypeError, KeyError):
            return False


@contextmanager
def opened() -> Iterator[Folder | None]:
    """The folder where programs are kept, made if need be; None if they are not kept.

    Warns
    -----
    RuntimeWarning
        Once for each folder that cannot be used.
    """
    chosen = os.environ.get("SEISOPS_CACHE")
    folder = None
    if chosen is None or chosen.strip().lower() not in ("", "0", "off"):
        path: Path | None = None
        try:
            path = _settled(Path(chosen).expanduser() if chosen else _default())
            folder = Folder(_ours(path))
        except (OSError, RuntimeError) as e:  # RuntimeError: nobody knows where the user's home is
            _refuse(str(path or chosen or "the user's cache folder"), str(e))
    try:
        yield folder
    finally:
        if folder is not None:
            folder.close()


@cache
def _settled(path: Path) -> Path:
    """Where a path leads for as long as the process lasts: the compiler works elsewhere, and so may the program later."""
    return path.absolute()


def _default() -> Path:
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "seisops"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "seisops"
    return Path.home() / ".cache" / "seisops"


def _ours(path: Path) -> Path:
    """A folder itself if it is ours, or nobody's yet; else one of our own in it."""
    for folder in (path, path / OWN):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(OSError):
            if (folder / TAG).read_bytes() == TAGGED:
                return folder
        with closing(Folder(folder)) as found:
            if found.holds_ours_only():
                return folder
    raise OSError("somebody else keeps something in it")


def _refuse(path: str, reason: str) -> None:
    if path not in _warned:
        _warned.add(path)
        warnings.warn(
            f"compiled programs are not kept in {path}: {reason}; every process compiles its own. "
            "SEISOPS_CACHE names another folder, SEISOPS_CACHE=off is silent",
            RuntimeWarning,
            stacklevel=2,
        )


def _text(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
