"""A journal of evaluations: a deterministic program that was killed repeats itself from disk, then goes on."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.errors import ParameterError, outside
from seisops.inversion import entries
from seisops.inversion.entries import Damaged, Entry, Foreign
from seisops.inversion.fingerprint import fingerprint, is_probed
from seisops.inversion.lock import LOCK, Lock, Taken, is_lock
from seisops.inversion.progress import Bar, Shown
from seisops.operators import LinearOperator, as_operator

__all__ = ["Journal", "JournalWarning", "Remembered"]

HEADER = "journal.json"
KIND = "seisops journal"
ENTRY = re.compile(r"\d{6,}\.entry")
PARTIAL = re.compile(r"\.(\d{6,}\.entry|journal\.json)\.\d+\.partial")


class JournalWarning(UserWarning):
    """An entry of a journal cannot be used; it is computed again."""


class Journal:
    """Keeps every evaluation of functions and operators on disk, so that a long computation survives being killed.

    Run the same program again with the same journal: what was evaluated before is read instead of computed, with the
    same bits, and from there on it is computed.

    Parameters
    ----------
    path : path-like
        A folder, which is made.
    problem : optional
        What the journal is for: a text, or whatever :func:`fingerprint` takes, as arrays, operators, media. A journal of
        another problem is refused.
    verify : bool, optional
        Evaluate the first entry of an old journal again, and refuse it if a single bit differs. It costs one evaluation
        each time the program starts, and notices what the fingerprint does not know, such as another version of a
        library or another number of threads. By default that is done where something can be told from others by what it
        does only, as an operator of PyLops that is not made of others: for its first entry.

    Attributes
    ----------
    replayed, computed : int
        How many evaluations were read, and how many were computed, so far.

    Notes
    -----
    Evaluations are numbered in the order in which they are asked for. The computation has to be deterministic: the same
    evaluations give the same next one. Optimisers of SciPy and solvers of PyLops are; random choices are, if they depend
    on a seed and the iteration alone, as in :class:`Batches`. One program at a time uses a journal, from its first
    evaluation on; another one is refused.
    """

    def __init__(self, path: Any, problem: Any = "", verify: bool | None = None) -> None:
        self.path = Path(path).absolute()
        self.problem = problem if isinstance(problem, str) else fingerprint(problem)
        self.verify = None if verify is None else bool(verify)
        self._verified = False
        self.replayed = self.computed = 0
        self._lock: Lock | None = None
        self._failed: list[str] = []  # since the last entry
        self._bar: Bar | None = None

    def __call__(
        self, function: Callable[..., Any], progress: bool = False, total: int | None = None, stage: str = ""
    ) -> Remembered:
        """Return a function that is remembered.

        Parameters
        ----------
        function : callable
            Takes arrays and numbers, and returns an array, a number, or a tuple of those, such as value and gradient. If
            it says what it is made of, as a :class:`LeastSquares`, an operator and a map do, that is kept as well, and so is
            what a method belongs to and what a partial function was given: others are refused. Of any other function only
            its name is known.
        progress : bool, optional
            Show a bar; all functions of a journal share it, and the values of each are compared with its own first.
        total : int, optional
            How many evaluations there will be, for the estimate of time.
        stage : str, optional
            What the function is one of, such as a band of frequencies: it stands in front of the bar.
        """
        if progress and self._bar is None:
            self._bar = Bar(total)
        return Remembered(function, self, self._bar.of(stage) if progress and self._bar else None)

    def operator(self, op: Any) -> LinearOperator:
        """Return an operator whose products are remembered, for linear solvers such as ``pylops.cgls``.

        Parameters
        ----------
        op : operator
            An operator of ours, of PyLops or of SciPy. Its fingerprint is kept: products of another one are refused.
        """
        op = as_operator(op)
        return RememberedOperator(op, self, f"{op} {fingerprint(op)}", is_probed(op))

    def clear(self) -> None:
        """Remove everything that was remembered, and the folder, if nothing else is in it; what is not of a journal stays.

        Other journals of this process at the same path begin anew as well, with their next evaluation.

        Raises
        ------
        ParameterError
            If the folder is no journal, or another program uses it; nothing is removed.
        """
        ours = [*self._entries(), *([self.path / HEADER] if _header(self.path / HEADER) is not None else [])]
        was_open = self._lock is not None
        if not (ours or was_open) and self._is_foreign():
            raise ParameterError(f"{self.path} is not a journal: there is nothing to clear")
        if not (ours or was_open or self._partial()):
            return
        if self.path.is_dir():  # another object may have cleared it
            lock = self._locked()
            for file in (*ours, *self._partial()):
                file.unlink(missing_ok=True)
            with suppress(OSError):  # it is not empty
                self.path.rmdir()
            lock.end()
        self._begin_anew()

    def close(self) -> None:
        """End the bar, if there is one."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __bool__(self) -> bool:
        """True, also where nothing is kept yet."""
        return True

    def __len__(self) -> int:
        """How many entries are on disk."""
        return sum(1 for _ in self._entries())

    def __repr__(self) -> str:
        return f"<Journal {str(self.path)!r}: {len(self)} evaluations, {self.replayed} of them replayed>"

    def remember(self, name: str, inputs: tuple, compute: Callable[[], Any], probed: bool = False) -> tuple[Any, bool]:
        """Return the next evaluation, and whether it was read.

        Parameters
        ----------
        name : str
            Of what is evaluated.
        inputs : tuple
            Where it is evaluated.
        compute : callable
            Does it.
        probed : bool, optional
            Whether what is evaluated is told from others by what it does only.
        """
        self._open()
        number = self.replayed + self.computed
        about = {"number": number, "problem": self.problem, "name": name, "inputs": fingerprint(*inputs)}
        key = fingerprint(name, about["inputs"])
        notes = [_note(x) for x in inputs]
        entry = self._read(number)
        if entry is None:
            return self._compute(about, key, notes, compute), False
        if key in entry.about["failed"]:
            compute()
            raise self._another_run(f"before evaluation {number} one failed there that does not fail here")
        self._compare(entry, about, notes)
        if not self._verified and (number == 0 if self.verify else self.verify is None and probed):
            if not _same(_normal(compute())[1], entry.items):
                raise self._another_run(f"evaluation {number}, computed again at the same place, gives other numbers")
            self._verified = True
        self.replayed += 1
        return _restored(entry), True

    def _compute(self, about: dict, key: str, notes: list, compute: Callable[[], Any]) -> Any:
        try:
            kind, items = _normal(compute())
        except Exception:
            # whoever asked may catch it and ask elsewhere; if not, it does not matter to the next run
            self._failed.append(key)
            raise
        entry = Entry({**about, "notes": notes, "failed": [f for f in self._failed if f != key], "result": kind}, items)
        with self._explained(f"evaluation {about['number']}"):
            entries.write(self._file(about["number"]), entry)
        self._failed = []
        self.computed += 1
        return _restored(entry)

    # ---- what is on disk

    def _entries(self) -> Iterator[Path]:
        """The entries, in order, by name and content."""
        named = sorted(f for f in self.path.glob("*.entry") if ENTRY.fullmatch(f.name))
        return filter(entries.is_entry, named)

    def _partial(self) -> list[Path]:
        """What runs that were killed left half-written."""
        found = [f for f in self.path.glob(".*.partial") if PARTIAL.fullmatch(f.name) and _is_begun(f)]
        return [*found, *filter(is_lock, [self.path / LOCK])]

    def _is_foreign(self) -> bool:
        """Whether there is something else than what a run leaves that was killed before it wrote a header."""
        if not self.path.is_dir():
            return self.path.exists()
        return not set(self.path.iterdir()).issubset(self._partial())

    def _file(self, number: int) -> Path:
        return self.path / f"{number:06d}.entry"

    def _begin_anew(self) -> None:
        self._lock = None
        self._failed = []
        self.replayed = self.computed = 0

    def _open(self) -> None:
        if self._lock is not None and self._lock.is_over:  # another object has cleared it
            self._begin_anew()
        if self._lock is not None:
            return
        header = self.path / HEADER
        is_journal = _header(header) is not None or any(self._entries())
        if not is_journal and header.exists():
            raise self._not_ours()
        if not is_journal and self._is_foreign():
            raise ParameterError(f"{self.path} exists and is not a journal: use another path, or remove what is there")
        with self._explained("the journal"):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = self._locked()
            if self._problem_there() is None:
                entries.replace(header, [_text(self.problem)])
        for left in self._partial():
            if left.name != LOCK:
                left.unlink(missing_ok=True)
        self._lock = lock

    def _locked(self) -> Lock:
        """Have the journal for this program alone."""
        try:
            return Lock(self.path)
        except Taken as holder:
            raise ParameterError(
                f"the journal at {self.path} is in use by {holder}: wait until it has ended, or use another path"
            ) from None

    def _problem_there(self) -> str | None:
        """The problem of the journal as its header says, which is this one; None if there is no header."""
        header = self.path / HEADER
        problem, is_lost = _header(header), False
        if problem is None:
            entry = next(filter(None, (self._read(int(file.stem)) for file in self._entries())), None)
            is_lost = entry is not None and (not header.exists() or _is_cut(header, entry.about["problem"]))
            if is_lost:
                problem = entry.about["problem"]  # every entry says it too
                warnings.warn(
                    f"{header} was lost or damaged; the evaluations beside it are of the problem {problem!r}",
                    JournalWarning,
                    stacklevel=outside(),
                )
            elif header.exists():
                raise self._not_ours()
        if problem not in (None, self.problem):
            raise ParameterError(
                f"the journal at {self.path} is of the problem {problem!r}, this is {self.problem!r}: use another "
                "path, or journal.clear()"
            )
        return None if is_lost else problem

    def _not_ours(self) -> ParameterError:
        return ParameterError(f"{self.path / HEADER} is not the header of a journal: use another path, or remove it")

    def _read(self, number: int) -> Entry | None:
        path = self._file(number)
        try:
            return entries.read(path)
        except FileNotFoundError:
            return None
        except Foreign as error:
            raise ParameterError(
                f"{path} is no entry of this journal, {error}: remove it, or use another path"
            ) from None
        except Damaged as error:
            warnings.warn(f"{path} is damaged: {error}; it is computed again", JournalWarning, stacklevel=outside())
            return None

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Say what could not be written, and that the rest is safe."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(
                error.errno or 0,
                f"{reason}: {what} could not be written to {self.path}; the {len(self)} evaluations there are safe. Make "
                "room and run the same program again",
            ) from error

    def _compare(self, entry: Entry, about: dict, notes: list) -> None:
        for key, value in about.items():
            if entry.about[key] == value:
                continue
            number = about["number"]
            if key == "inputs":
                there, here = entry.about["notes"], notes
                which = f"was at {', '.join(there)} there and is at {', '.join(here)} here"
                if there == here:
                    which += ", which differ in some bits"
            else:
                which = f"has the {key} {entry.about[key]!r} there and {value!r} here"
            raise self._another_run(f"evaluation {number} {which}")

    def _another_run(self, what: str) -> ParameterError:
        return ParameterError(
            f"the journal at {self.path} belongs to another run: {what}. The program, its settings, its libraries or the "
            "number of threads have changed: use another path, or journal.clear()"
        )


def _text(problem: str) -> bytes:
    """The header of a journal of a problem."""
    return json.dumps({"kind": KIND, "format": 1, "problem": problem}).encode()


def _header(path: Path) -> str | None:
    """The problem of a journal, as its header says; None if that is lost, damaged or of somebody else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found["problem"] if found["kind"] == KIND and isinstance(found["problem"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_begun(path: Path) -> bool:
    """Whether a file is the beginning of an entry or a header, as far as it goes."""
    with suppress(OSError), path.open("rb") as file:
        start = file.read(len(entries.MAGIC))
        return any(whole.startswith(start) for whole in (entries.MAGIC, _text("")[: len(entries.MAGIC)]))
    return False


def _is_cut(path: Path, problem: str) -> bool:
    """Whether a file is the beginning of the header that a journal of a problem has."""
    with suppress(OSError):
        return _text(problem).startswith(path.read_bytes())
    return False


class Remembered:
    """A function whose evaluations a journal keeps; see :meth:`Journal.__call__`.

    Parameters
    ----------
    function : callable
        The function.
    journal : Journal
        Where they are kept.
    shown : Shown, optional
        Shows progress.
    """

    def __init__(self, function: Callable[..., Any], journal: Journal, shown: Shown | None = None) -> None:
        self.function, self.journal, self._shown = function, journal, shown
        self._name, self._probed = _told(function)

    def __call__(self, *x: ArrayLike) -> Any:
        result, was_read = self.journal.remember(self._name, x, lambda: self.function(*x), self._probed)
        if self._shown is not None:
            self._shown.tick(result, was_read)
        return result

    def gauss_newton(self, x: ArrayLike) -> LinearOperator:
        """Return the Gauss-Newton Hessian of a remembered misfit; its products are remembered."""
        return self._operator("gauss_newton", x)

    def hessian(self, x: ArrayLike) -> LinearOperator:
        """Return the exact Hessian of a remembered misfit; its products are remembered."""
        return self._operator("hessian", x)

    def _operator(self, kind: str, x: ArrayLike) -> LinearOperator:
        name = f"{self._name} {kind} at {fingerprint(np.asarray(x, np.float64).ravel())}"
        return RememberedOperator(getattr(self.function, kind)(x), self.journal, name, self._probed)


class RememberedOperator(LinearOperator):
    """An operator whose products a journal keeps.

    Parameters
    ----------
    op : LinearOperator
        The operator.
    journal : Journal
        Where they are kept.
    label : str
        What tells it from other operators.
    probed : bool, optional
        Whether that is what it does only.
    """

    symbol = "remembered"

    def __init__(self, op: LinearOperator, journal: Journal, label: str, probed: bool = False) -> None:
        self.op, self.journal, self._label, self._probed = op, journal, label, probed
        super().__init__(op.domain, op.range)

    def _fingerprint(self) -> list[Any]:
        return [self.op]

    @property
    def shots(self) -> None:
        """None: some of its shots would be another operator."""
        return None

    def _apply(self, x: NDArray) -> NDArray:
        return self.journal.remember(self._label, (x,), lambda: self.op.matvec(x.ravel()), self._probed)[0]

    def _apply_adjoint(self, y: NDArray) -> NDArray:
        name = f"adjoint of {self._label}"
        return self.journal.remember(name, (y,), lambda: self.op.rmatvec(y.ravel()), self._probed)[0]


def _told(function: Callable[..., Any]) -> tuple[str, bool]:
    """What tells a function from others, as far as it says, and whether that is its products only.

    That of a method is also the object's, that of a partial function also what has been given to it.
    """
    if isinstance(function, partial):
        name, probed = _told(function.func)
        return f"{name} of {fingerprint(function.args, function.keywords)}", probed
    name = getattr(function, "__qualname__", None) or type(function).__name__
    owner = getattr(function, "__self__", None)
    thing = function if owner is None or isinstance(owner, ModuleType) else owner
    said = getattr(thing, "fingerprint", None)
    if isinstance(said, str):
        return f"{name} {said}", callable(getattr(thing, "_fingerprint", None)) and is_probed(thing)
    if callable(getattr(thing, "_fingerprint", None)):
        return f"{name} {fingerprint(thing)}", is_probed(thing)
    return name, False


def _normal(result: Any) -> tuple[str, tuple[NDArray, ...]]:
    """What a function returned as arrays, and how to get it back."""
    items = result if isinstance(result, tuple) else (result,)
    kinds, arrays = [], []
    for item in items:
        array = np.asarray(item)
        if array.dtype.kind not in "biufc":
            raise TypeError(f"a journal keeps numbers and arrays, got a {type(item).__name__} from the function")
        kinds.append("array" if isinstance(item, np.ndarray) else "number")
        arrays.append(array)
    return ("tuple " if isinstance(result, tuple) else "") + " ".join(kinds), tuple(arrays)


def _restored(entry: Entry) -> Any:
    kinds = entry.about["result"].split()
    is_tuple = kinds[0] == "tuple"
    pairs = zip(kinds[is_tuple:], entry.items, strict=True)
    items = [np.array(array) if kind == "array" else array.item() for kind, array in pairs]
    return tuple(items) if is_tuple else items[0]


def _same(a: tuple[NDArray, ...], b: tuple[NDArray, ...]) -> bool:
    return fingerprint(*a) == fingerprint(*b)


def _note(x: Any) -> str:
    """A few words about an argument, for whoever wonders what differs."""
    x = np.asarray(x)
    if x.dtype.kind not in "biufc":
        return f"{x.ravel().tolist()!r:.60}"
    return f"{x.item():.17g}" if x.size == 1 else f"{x.size} numbers of norm {np.linalg.norm(x.ravel()):.17g}"
