"""What was derived from an equation, as plain data: derived once, kept in memory, and on disk from process to process.

To derive takes Devito and SymPy, which take longer to import than many a survey to model. Notes hold nothing of theirs, so
that a process which finds what it needs among them never imports either.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from seisops.engine.kept.disk import opened

__all__ = ["Notes", "is_noted", "noted", "sources", "told"]

Noted = TypeVar("Noted")
ClassT = TypeVar("ClassT", bound=type)

#: The packages whose results notes are.
DERIVING = ("devito", "sympy", "numpy")


class Notes:
    """Results by what they are of.

    Parameters
    ----------
    of : tuple or None
        All that they depend on beside what is asked for, and beside this package and those that it derives with: numbers
        and text, the same in each process. None keeps nothing on disk.
    """

    def __init__(self, of: tuple | None):
        self.of = of
        self._known: dict[tuple, object] = {}

    def get(self, what: tuple, make: Callable[[], Noted]) -> Noted:
        """A result: as it is known, as an earlier process noted it, or made now.

        Parameters
        ----------
        what : tuple
            Of numbers and text, and of tuples of those.
        make : callable
            Makes the result, of plain data.
        """
        if what not in self._known:
            self._known[what] = make() if self.of is None else self._noted(what, make)
        return self._known[what]

    def _noted(self, what: tuple, make: Callable[[], Noted]) -> Noted:
        digest = hashlib.sha256(repr((sources(), self.of, what)).encode()).hexdigest()
        with opened() as folder:
            content = folder.read_note(digest) if folder else None
        if content is not None:
            return pickle.loads(content)
        made = make()
        with opened() as folder:
            if folder:
                folder.write_note(digest, pickle.dumps(made, protocol=5))
        return made

    def forget(self) -> None:
        """Release what is in memory."""
        self._known.clear()


@cache
def sources() -> tuple[str, ...]:
    """What results depend on wherever they are derived: this package's text, and the packages that it derives with."""
    digest, root = hashlib.sha256(), Path(__file__).parents[2]
    for path in sorted(path for room in ("engine", "wave") for path in (root / room).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    python = f"python {sys.version_info.major}.{sys.version_info.minor}"
    return (digest.hexdigest(), python, *(f"{name} {version(name)}" for name in DERIVING))


def told(kind: tuple) -> tuple | None:
    """What is known by classes, numbers and text, as every process says it; None where there is anything else.

    Classes are those that are :func:`noted`, as they were written: what others do is not known by their names.
    """
    out: list = []
    for part in kind:
        if isinstance(part, tuple):
            said = told(part)
        elif isinstance(part, type):
            said = (part.__module__, part.__qualname__) if is_noted(part) else None
        else:
            said = (part,) if part is None or isinstance(part, str | int | float) else None
        if said is None:
            return None
        out.append(said)
    return tuple(out)


def noted(cls: ClassT) -> ClassT:
    """State that what is derived of a class may be noted, as long as nobody changes it: it is all in this package's text."""
    cls.__noted__ = dict(vars(cls))
    return cls


def is_noted(cls: type) -> bool:
    """Whether a class, and all that it inherits from, is :func:`noted`, and just as it was then."""
    return all(map(_untouched, cls.__mro__[:-1]))


def _untouched(cls: type) -> bool:
    now, before = vars(cls), vars(cls).get("__noted__")
    # Python itself adds names with underscores, as when something is pickled
    added = before is None or any(name not in before for name in now if not name.startswith("__"))
    return not added and all(now.get(name) is value for name, value in before.items())
