"""Compiled time loops: the C routine of a Devito operator called directly, and kept on disk between processes.

`devito.Operator.apply` takes milliseconds to work out the arguments of every call. What it works out is fixed here when
a program is made, and a call only converts and checks what the caller passes. A program that was made once, on this
machine, for the same equations, is loaded without lowering or compiling anything.
"""

from __future__ import annotations

import ctypes
import hashlib
import operator
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Set
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import devito
import numpy as np
import sympy
from devito.arch.archinfo import get_cpu_info

from seisops.engine.arrays import ALIGNMENT
from seisops.engine.cache import Folder, opened
from seisops.engine.derive import System
from seisops.engine.threads import count, forked
from seisops.engine.tuning import tuned

__all__ = ["Argument", "Program", "describe", "program"]

LANGUAGE = "openmp"
FORMAT = 1  # of what is kept on disk; to be raised when that changes

THREADS = ("nthreads", "nthreads_nonaffine")
TIMERS = "timers"
INTEGER, REAL = "integer", "real"
_SCALARS = {"int32": ctypes.c_int, "float32": ctypes.c_float, "float64": ctypes.c_double}
_ARRAYS = ("int8", "int16", "int32", "int64", "float32", "float64")
_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1


class _DataObject(ctypes.Structure):
    """`struct dataobj` of generated code, which looks at `data` and `size` only, unless there is MPI or a device."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("size", ctypes.POINTER(ctypes.c_int)),
        ("nbytes", ctypes.c_ulong),
        ("npsize", ctypes.POINTER(ctypes.c_ulong)),
        ("dsize", ctypes.POINTER(ctypes.c_ulong)),
        ("hsize", ctypes.POINTER(ctypes.c_int)),
        ("hofs", ctypes.POINTER(ctypes.c_int)),
        ("oofs", ctypes.POINTER(ctypes.c_int)),
        ("dmap", ctypes.c_void_p),
    ]


@dataclass(frozen=True)
class Argument:
    """One argument of a compiled routine.

    Attributes
    ----------
    name : str
    kind : str
        ``"array"``, ``"integer"``, ``"real"``, ``"threads"`` or ``"timers"``.
    dtype : str
        Type of the elements, or of the number.
    ndim : int
        Number of axes of an array; of timers, the number of timers.
    written : bool
        Whether the routine writes to the array.
    default : int or float, optional
        Value of a number that the caller need not give.
    range : (str, str), optional
        Names of the bounds of the loop that is tiled by blocks of this size, `default` unless the loop is shorter.
    extent : (str, int, int), optional
        The number is by default the extent of an array along an axis without that many cells of halo, as it is for
        arrays that the routine allocates.
    """

    name: str
    kind: str
    dtype: str = ""
    ndim: int = 0
    written: bool = False
    default: float | None = None
    range: tuple[str, str] | None = None
    extent: tuple[str, int, int] | None = None

    @property
    def required(self) -> bool:
        """Whether the caller has to give it."""
        return self.kind not in ("threads", "timers") and self.default is None and self.extent is None


class _Frame:
    """What the routine is handed, in C's types: filled in anew for each call, allocated once."""

    def __init__(self, arguments: tuple[Argument, ...]):
        self.passed: list[Any] = []
        self.arrays: list[tuple[str, np.dtype, int, bool, _DataObject, ctypes.Array]] = []
        self.numbers: list[tuple[Argument, Any]] = []
        self.threads: list[ctypes.c_int] = []
        for a in arguments:
            if a.kind == "array":
                size = (ctypes.c_int * a.ndim)()
                data = _DataObject(size=size)
                self.arrays.append((a.name, np.dtype(a.dtype), a.ndim, a.written, data, size))
                self.passed.append(ctypes.byref(data))
            elif a.kind == "timers":
                self.passed.append(ctypes.byref((ctypes.c_double * max(a.ndim, 1))()))
            else:
                number: Any = _SCALARS[a.dtype]()
                self.passed.append(number)
                if a.kind == "threads":
                    self.threads.append(number)
                else:
                    self.numbers.append((a, number))

    def fill(self, arguments: Mapping[str, Any], threads: int) -> list[Any]:
        """Convert and check a call's arguments; returns the arrays, to be kept alive until the call is over."""
        alive: list[Any] = []
        for name, dtype, ndim, written, data, size in self.arrays:
            a = arguments[name]
            flags = a.flags if isinstance(a, np.ndarray) and a.dtype == dtype and a.ndim == ndim else None
            if flags is None or not flags.c_contiguous or (written and not flags.writeable):
                raise _unsuited(name, a, dtype, ndim)
            address = a.ctypes.data
            if address % ALIGNMENT:
                raise ValueError(f"array {name} does not start at a multiple of {ALIGNMENT} bytes: see engine.arrays")
            data.data, data.nbytes = address, a.nbytes
            size[:] = a.shape
            alive.append(a)
        for argument, number in self.numbers:
            number.value = _number(argument, arguments)
        for n in self.threads:
            n.value = threads
        return alive


def _unsuited(name: str, a: Any, dtype: np.dtype, ndim: int) -> Exception:
    """What is wrong with what was passed for an array."""
    wanted = f"{name} has to be a {ndim}-dimensional NumPy array of {dtype}"
    if not isinstance(a, np.ndarray):
        return TypeError(f"{wanted}, not a {type(a).__name__}")
    if a.dtype != dtype:
        return TypeError(f"{wanted}, not of {a.dtype}")
    if a.ndim != ndim:
        return ValueError(f"{wanted}, not one of shape {a.shape}")
    if not a.flags.c_contiguous:
        return ValueError(f"{wanted} that is C-contiguous: strides {a.strides} for shape {a.shape} are not")
    return ValueError(f"{wanted} that can be written to: this one is read-only")


def _number(argument: Argument, arguments: Mapping[str, Any]) -> float:
    value = arguments.get(argument.name)
    if value is None:
        return _default(argument, arguments)
    try:
        number = operator.index(value) if argument.kind == INTEGER else float(value + 0.0)
    except TypeError:
        raise TypeError(f"{argument.name} has to be {argument.kind}, not {value!r}") from None
    if argument.kind == INTEGER and not _INT_MIN <= number <= _INT_MAX:
        raise ValueError(f"{argument.name} = {value} does not fit into a C int")
    return number


def _default(argument: Argument, arguments: Mapping[str, Any]) -> float:
    if argument.extent is not None:
        array, axis, halo = argument.extent
        return arguments[array].shape[axis] - halo
    if argument.default is None:
        raise TypeError(f"{argument.name} has to be {argument.kind}, not None")
    if argument.range is None:
        return argument.default
    first, last = (operator.index(arguments[name]) for name in argument.range)
    return max(1, min(int(argument.default), last - first + 1))


class Program:
    """A compiled time loop, called by the names of its arguments.

    It may be called from several threads at once, with arrays of their own; other Python threads run meanwhile.

    Parameters
    ----------
    source : str
        C text as compiled.
    arguments : tuple of Argument
        Of the routine, in order.
    library : ctypes.CDLL
        The compiled text.
    routine : str
        Name of the routine in it.

    Attributes
    ----------
    names : frozenset of str
        Arguments it accepts: arrays by the names of their symbols, bounds ``x_m``, ``x_M``, ..., spacings, ``dt``, ...
    source : str
        C text as compiled.
    """

    def __init__(self, source: str, arguments: tuple[Argument, ...], library: ctypes.CDLL, routine: str):
        own = [a for a in arguments if a.kind not in ("threads", "timers")]
        self.source, self.names = source, frozenset(a.name for a in own)
        self._required = frozenset(a.name for a in own if a.required)
        self._arguments = arguments
        self._routine = library[routine]
        self._routine.restype = ctypes.c_int
        # calls at the same time each need one; appending and popping are atomic
        self._frames: list[_Frame] = []

    def __call__(self, arguments: Mapping[str, Any], threads: int | None = None) -> None:
        """Run the loop.

        Parameters
        ----------
        arguments : mapping
            Arrays have the exact dtype and number of axes, are C-contiguous, start at a multiple of
            `seisops.engine.arrays.ALIGNMENT` bytes and, if the loop writes to them, are writeable. They are as large as
            the bounds and the halos of their symbols demand: that is the caller's to see to.
        threads : int, optional
            Number of OpenMP threads; by default that of :func:`seisops.engine.threads.count`, which holds in any case where
            the process was forked.

        Raises
        ------
        TypeError
            Missing or unknown arguments, no array of the right dtype, no number.
        ValueError
            An array of the wrong shape or layout, a number that does not fit into its C type.
        RuntimeError
            The routine reports an error.
        """
        given = arguments.keys()
        if not (self._required <= given <= self.names):
            raise TypeError(_misnamed(self._required.difference(given), given - self.names))
        count = _threads(threads)
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = _Frame(self._arguments)
        try:
            alive = frame.fill(arguments, count)
            code = self._routine(*frame.passed)
        finally:
            self._frames.append(frame)
        del alive
        if code:
            raise RuntimeError(f"the compiled time loop failed with error {code}")


def _misnamed(missing: Set[str], unknown: Set[str]) -> str:
    said = [
        f"{what} {', '.join(sorted(names))}" for what, names in (("missing", missing), ("unknown", unknown)) if names
    ]
    return f"arguments of a compiled time loop: {'; '.join(said)}"


def _threads(threads: int | None) -> int:
    if threads is not None and operator.index(threads) < 1:
        raise ValueError(f"the number of threads has to be at least 1, not {threads}")
    return count() if threads is None or forked() else threads


class _Applied(Program):
    """A loop with arguments that are not understood here, left to Devito to call."""

    def __init__(self, op: devito.Operator):
        self._operator, self.source = op, str(op)
        known = {p.name for p in op.parameters}
        self.names = frozenset(known - {*THREADS, TIMERS})
        self._counts = known.intersection(THREADS)

    def __call__(self, arguments: Mapping[str, Any], threads: int | None = None) -> None:
        if unknown := arguments.keys() - self.names:
            raise TypeError(_misnamed(set(), unknown))
        counts = dict.fromkeys(self._counts, _threads(threads))
        with devito.switchconfig(log_level="WARNING"):
            self._operator.apply(**arguments, **counts)


# ---- making programs


def program(key: str, make: Callable[[], devito.Operator]) -> tuple[Program, bool]:
    """The program of a key: from the cache on disk if it is there and sound, else lowered, compiled, and kept.

    Parameters
    ----------
    key : str
        Determines the equations completely, types and halos of symbols included: see `describe`. What else the
        compiled code depends on is added here.
    make : callable
        Lowers the equations, with ``language="openmp"``; called only if need be.

    Returns
    -------
    Program
    bool
        Whether it had to be lowered.

    Raises
    ------
    RuntimeError
        The C compiler is missing or fails.
    """
    digest = hashlib.sha256("\0".join((*_environment(), key)).encode()).hexdigest()
    with opened() as folder:
        kept = folder.read(digest) if folder else None
        if kept:
            loaded = _load(*kept)
            if loaded:
                return loaded, False
        return _build(make(), folder, digest), True


def _load(content: dict, path: Path) -> Program | None:
    """A program kept on disk; None if what is there is not what this version keeps, or cannot be loaded."""
    try:
        arguments = tuple(_restored(a) for a in content["arguments"])
        return Program(content["source"], arguments, ctypes.CDLL(str(path)), content["routine"])
    except (OSError, AttributeError, KeyError, TypeError):
        return None


def _restored(options: Mapping[str, Any]) -> Argument:
    """An argument as it was before JSON, which has no tuples."""
    exact: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in options.items()}
    return Argument(**exact)


def _build(op: devito.Operator, folder: Folder | None, digest: str) -> Program:
    text = str(op)
    arguments = _arguments(op, text)
    if arguments is None:
        return _Applied(op)
    source = tuned(text)
    content = {"routine": op.name, "source": source, "arguments": [asdict(a) for a in arguments]}
    with tempfile.TemporaryDirectory(
        prefix="seisops-", ignore_cleanup_errors=True
    ) as made:  # a library once loaded outlives its file
        library = _compile(op._compiler, source, Path(made))
        path = folder.write(digest, content, library) if folder else None
        loaded = _load(content, path) if path else None
        return loaded or Program(source, arguments, ctypes.CDLL(str(library)), op.name)


def _compile(compiler, source: str, where: Path) -> Path:
    """Compile with the command that Devito would use, in a folder of its own."""
    text, library = where / f"program.{compiler.src_ext}", where / f"program{compiler.so_ext}"
    text.write_text(source)
    flags = compiler._cmdline([str(text)], object=False)
    command = [*flags, *_tuning(compiler.cc, *flags), "-o", str(library)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=where, check=False)
    except FileNotFoundError as e:
        raise RuntimeError(f"there is no C compiler {command[0]}: {e}") from e
    if done.returncode or not library.exists():
        raise RuntimeError(f"the C compiler failed: {' '.join(command)}\n{done.stderr[-4000:]}")
    return library


def _arguments(op: devito.Operator, text: str) -> tuple[Argument, ...] | None:
    """The arguments of an operator's routine; None if there is one that is not understood."""
    # everything but these two describes the parts of an array that other processes or devices have
    if set(re.findall(r"\w+_vec->(\w+)", text)) - {"data", "size"}:
        return None
    defaults, written = _defaults(op), {f.name for f in op.writes}
    arguments = []
    for p in op.parameters:
        a = _argument(p, defaults, written)
        if a is None:
            return None
        arguments.append(a)
    return tuple(arguments)


def _argument(p, defaults: Mapping[str, Mapping[str, Any]], written: Set[str]) -> Argument | None:
    ctype = p._C_ctype
    pointed = getattr(ctype, "_type_", None)
    if p.name in THREADS and ctype is ctypes.c_int:
        return Argument(p.name, "threads", "int32")
    if isinstance(pointed, type) and issubclass(pointed, ctypes.Structure):
        members = [field[0] for field in pointed._fields_]
        if p.name == TIMERS and all(field[1] is ctypes.c_double for field in pointed._fields_):
            return Argument(p.name, "timers", ndim=len(members))
        dtype = np.dtype(p.dtype).name if p.is_DiscreteFunction else None
        if dtype in _ARRAYS and members == [field[0] for field in _DataObject._fields_]:
            return Argument(p.name, "array", dtype, p.ndim, p.name in written)
        return None
    for dtype, scalar in _SCALARS.items():
        if ctype is scalar and not p.is_DiscreteFunction and not _is_knob(p):
            kind = INTEGER if scalar is ctypes.c_int else REAL
            return Argument(p.name, kind, dtype, **defaults.get(p.name, {}))
    return None


def _is_knob(p) -> bool:
    """Whether Devito chooses the value: numbers of nested threads, of threads for I/O, of devices."""
    return bool(getattr(p, "is_PerfKnob", False))


def _defaults(op: devito.Operator) -> dict[str, dict[str, Any]]:
    """What is known about numbers that the caller need not give, as attributes of `Argument`."""
    found: dict[str, dict[str, Any]] = {}
    for p in op.parameters:
        if getattr(p, "is_Constant", False):
            found[p.name] = {"default": p.data.item()}
        elif p.is_DiscreteFunction:
            for axis, (d, halo) in enumerate(zip(p.dimensions, p.halo, strict=True)):
                if d.is_Space:
                    found.setdefault(d.size_name, {"extent": (p.name, axis, sum(halo))})
    for d in op.dimensions:
        if getattr(d, "is_Conditional", False) and d.uses_symbolic_factor:
            found[d.symbolic_factor.name] = {"default": int(d.factor_data)}
        elif getattr(d, "is_Block", False) and not d.parent.is_Incr:
            bounds = (d.root.min_name, d.root.max_name)
            found.update({n: {"default": int(size), "range": bounds} for n, size in d._arg_defaults().items()})
    return found


# ---- keys


def _environment() -> tuple[str, ...]:
    """All but the equations that compiled code depends on."""
    configuration = devito.configuration
    compiler = configuration["compiler"].__new_with__(
        platform=configuration["platform"], language=LANGUAGE, mpi=configuration["mpi"]
    )
    flags = compiler._cmdline([])
    tuning = _tuning(compiler.cc, *flags)
    return (*_machine(), *_tools(compiler.cc), *flags, *tuning, "".join(configuration._signature_items()))


@cache
def _machine() -> tuple[str, ...]:
    """Versions and hardware: none of it changes while a process runs."""
    here = Path(__file__).parent
    engine = hashlib.sha256(b"\0".join(p.name.encode() + p.read_bytes() for p in sorted(here.glob("*.py"))))
    cpu = get_cpu_info()
    return (
        str(FORMAT),
        engine.hexdigest(),
        devito.__version__,
        sympy.__version__,
        np.__version__,
        sys.version,
        platform.system(),
        platform.machine(),
        *platform.libc_ver(),
        str(cpu.get("brand")),
        " ".join(sorted(cpu.get("flags") or ())),
    )


@cache
def _tuning(cc: str, *flags: str) -> tuple[str, ...]:
    """What makes gcc weigh instructions for a processor with AVX-512 that it does not know.

    Before release 12.3 gcc takes AMD's Zen 4 for Zen 3: it uses AVX-512, at the costs of a processor that has none.
    """
    path = shutil.which(cc)
    if path is None or "-march=native" not in flags or "avx512f" not in (get_cpu_info().get("flags") or ()):
        return ()
    done = subprocess.run([path, "-march=native", "-Q", "--help=target"], capture_output=True, text=True, check=False)
    takes = re.search(r"-mtune=\s+(znver[123])\s", done.stdout)
    return ("-mtune=skylake-avx512", "-mprefer-vector-width=512") if takes else ()


@cache
def _tools(cc: str) -> tuple[str, ...]:
    """Which compiler it is that goes by this name."""
    path = shutil.which(cc)
    if path is None:
        return (cc,)
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return str(Path(path).resolve()), done.stdout


_FUNCTION = ("dtype", "dimensions", "staggered", "space_order", "time_order", "save", "shape", "halo", "padding")


def describe(equations) -> str:
    """A text that determines equations completely, the same in every process.

    `str` of an equation names neither types nor halos nor orders of derivatives, and fails for some.

    Parameters
    ----------
    equations : sequence of devito.Eq
        Evaluated or not.
    """
    return _Describer().text(equations)


def describe_system(system: System) -> str:
    """The same of the residuals of a system."""
    rows = zip(system.fields, system.residuals, strict=True)
    return describe([devito.Eq(u, row) for u, row in rows])


class _Describer:
    """Writes expressions as text, and what their symbols are as declarations at the end."""

    def __init__(self):
        self._known: dict[object, str] = {}
        self._declared: dict[str, str] = {}

    def text(self, equations) -> str:
        lines = [
            f"{type(e).__name__} {self._of(e.lhs)} = {self._of(e.rhs)} {self._of(e.implicit_dims)} {e.subdomain}"
            for e in equations
        ]
        return "\n".join([*lines, *sorted(self._declared.values())])

    def _of(self, e) -> str:
        if isinstance(e, sympy.Basic):
            if e not in self._known:
                self._known[e] = self._basic(e)
            return self._known[e]
        if isinstance(e, Mapping):
            return "{" + ",".join(sorted(f"{self._of(k)}:{self._of(v)}" for k, v in e.items())) + "}"
        if isinstance(e, tuple | list):
            return "(" + ",".join(self._of(i) for i in e) + ")"
        return str(e)

    def _basic(self, e: sympy.Basic) -> str:
        if isinstance(e, sympy.Float):
            return f"{e._mpf_}@{e._prec}"
        if isinstance(e, sympy.Number):
            return str(e)
        kind = type(e).__name__
        if getattr(e, "is_Derivative", False):
            return f"{kind}({self._of(e.expr)};{self._options(e, (*e.__rkwargs__, 'dims'))})"
        if getattr(e, "is_AbstractFunction", False):
            self._declare(e.function, _FUNCTION)
            return f"{e.name}[{','.join(self._of(i) for i in e.indices)}]"
        if e.is_Symbol:
            own = getattr(e, "__rargs__", ()) + getattr(e, "__rkwargs__", ())
            self._declare(e, tuple(name.lstrip("*") for name in own))
            return e.name
        args = [self._of(a) for a in e.args]
        if isinstance(e, sympy.Add | sympy.Mul) and e.is_commutative:
            args.sort()
        return f"{kind}({','.join(args)})"

    def _declare(self, symbol, options: tuple[str, ...]) -> None:
        if symbol.name not in self._declared:
            self._declared[symbol.name] = symbol.name  # in case its options mention it
            self._declared[symbol.name] = f"{symbol.name}: {type(symbol).__name__} {self._options(symbol, options)}"

    def _options(self, e, names: tuple[str, ...]) -> str:
        return ",".join(f"{name}={self._of(getattr(e, name))}" for name in names if hasattr(e, name))
