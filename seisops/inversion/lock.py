"""A folder for one program at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import ClassVar
from weakref import WeakValueDictionary, finalize

__all__ = ["LOCK", "Lock", "Taken", "is_lock"]

LOCK = ".journal.lock"
HOLDER = re.compile(rb"process \d+ on \S+")
# of systems and disks on which nothing can be locked, or nothing written: there we go without
_UNABLE = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL, errno.EACCES, errno.EPERM, errno.EROFS}


class Taken(Exception):
    """Another program has the folder; the text says which, if it is known."""


class Lock:
    """What a program holds while it has a folder for itself: until nothing refers to it, or the program ends, however.

    The system lets go of it when a program is killed: what is left then is a file that locks nobody out. Whoever asks
    again in the same process is given the same one, until it is ended.

    Parameters
    ----------
    path : Path
        A folder that exists.

    Raises
    ------
    Taken
        Another program has it.
    OSError
        There is no such folder, or the disk is full.

    Attributes
    ----------
    is_over : bool
        Whether it was ended, for all who have it.
    """

    _held: ClassVar[WeakValueDictionary[tuple[int, str], Lock]] = WeakValueDictionary()

    def __new__(cls, path: Path) -> Lock:
        key = os.getpid(), os.path.realpath(path)
        self = cls._held.get(key)
        if self is None:
            self = super().__new__(cls)
            self.is_over, self._key, self._let_go = False, key, None
            file = _locked(path.absolute() / LOCK)
            if file is not None:
                self._let_go = finalize(self, _release, path.absolute() / LOCK, file, os.getpid())
            cls._held[key] = self
        return self

    def end(self) -> None:
        """Let go of it, whoever else in this process has it."""
        self.is_over = True
        self._held.pop(self._key, None)
        if self._let_go is not None:
            self._let_go()

    def __reduce__(self):
        return type(None), ()  # whoever gets a copy has no lock


def is_lock(path: Path) -> bool:
    """Whether a file is one that locks folders."""
    with suppress(OSError):
        content = path.read_bytes() if path.is_file() else b"none"
        return path.name == LOCK and (content == b"" or HOLDER.fullmatch(content) is not None)
    return False


def _release(path: Path, file: int, process: int) -> None:
    if os.getpid() == process and is_lock(path):  # not in a fork
        with suppress(OSError):
            if os.path.samestat(os.fstat(file), os.stat(path)):  # the folder may be another one by now
                path.unlink()
    os.close(file)


def _locked(path: Path) -> int | None:
    """The descriptor of a file that is locked, and still there; None where that cannot be."""
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            if error.errno in _UNABLE:
                return None
            raise
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_there = os.path.samestat(os.fstat(file), os.stat(path))
        except FileNotFoundError:  # whoever had it has removed it meanwhile
            is_there = False
        except BlockingIOError:
            holder = os.read(file, 200).decode(errors="replace")
            os.close(file)
            raise Taken(holder or "another program") from None
        except OSError as error:
            os.close(file)
            if error.errno in _UNABLE:
                return None
            raise
        if is_there:
            if is_lock(path):
                with suppress(OSError):  # of a full disk: it is locked nevertheless
                    os.ftruncate(file, 0)
                    os.write(file, f"process {os.getpid()} on {os.uname().nodename}".encode())
            return file
        os.close(file)
