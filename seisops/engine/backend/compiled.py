"""Compiled functions: C text in, something to call out; kept in memory and on disk by what they say."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from seisops.engine.kept.announce import announced
from seisops.engine.kept.disk import Folder, opened
from seisops.engine.kept.notes import Notes
from seisops.engine.threads import making
from seisops.errors import CompilerError

__all__ = ["Library", "chosen", "compiled"]

FORMAT = 4  # of what is kept on disk; to be raised when that changes
LANGUAGE = "openmp"
#: What Devito's choice depends on, beside its own variables.
CHOOSING = ("CC", "CFLAGS", "CXX", "PATH")


class Library:
    """A compiled text, loaded.

    Attributes
    ----------
    library : ctypes.CDLL
    source : str
    names : mapping of str to str
        What its functions are called in the library, where that is not what the text calls them.
    """

    def __init__(self, library: ctypes.CDLL, source: str, names: Mapping[str, str]):
        self.library, self.source, self.names = library, source, names

    def address(self, name: str) -> int:
        """Where a function of it begins."""
        return ctypes.cast(self.library[self.names.get(name, name)], ctypes.c_void_p).value


class _Known:
    """What this process has loaded, by text; and how much of it had to be compiled."""

    def __init__(self):
        self.libraries: dict[str, Library] = {}
        self.compilations = 0


KNOWN = _Known()


def compiled(sources: Sequence[str], function: str | None = None) -> list[Library]:
    """Libraries of some texts: compiled side by side, as far as they are not kept from before.

    Parameters
    ----------
    sources : sequence of str
    function : str, optional
        The function that each text defines, and nothing else. Then those that a processor has to compile are one text to the
        compiler, which takes longer to start than to compile most of them.
    """
    environment = _environment()
    keys = [hashlib.sha256("\0".join((*environment, source)).encode()).hexdigest() for source in sources]
    with making, opened() as folder:
        missing = dict.fromkeys(k for k in keys if k not in KNOWN.libraries)
        by_key = dict(zip(keys, sources, strict=True))
        for key in list(missing):
            kept = folder.read(key) if folder else None
            # an entry that came by its name otherwise than from here may be sound, and another one
            library = _loaded(kept[1]) if kept and kept[0].get("source") == by_key[key] else None
            if library is not None:
                KNOWN.libraries[key] = Library(library, by_key[key], kept[0].get("names", {}))
                del missing[key]
        if missing:
            names = {key: {function: f"{function}_{key[:16]}"} if function else {} for key in missing}
            texts = {key: _renamed(by_key[key], names[key]) for key in missing}
            processors = os.cpu_count() or 1
            lots = _dealt(texts, processors if function else len(texts))
            with (
                tempfile.TemporaryDirectory(prefix="seisops-", ignore_cleanup_errors=True) as made,
                ThreadPoolExecutor(max_workers=processors) as pool,
                announced(f"compiling {len(missing)} pieces of a wave equation", len(lots)) as done,
            ):

                def compile_lot(lot: list[str]) -> Path:
                    path = _compile("".join(texts[k] for k in lot), Path(made), lot[0][:16])
                    done()
                    return path

                for lot, path in zip(lots, list(pool.map(compile_lot, lots)), strict=True):
                    for key in lot:
                        KNOWN.libraries[key] = _kept(folder, key, by_key[key], names[key], path)
                        KNOWN.compilations += 1
        return [KNOWN.libraries[k] for k in keys]


def _renamed(source: str, names: Mapping[str, str]) -> str:
    """A text with other names for some of its functions."""
    before = "".join(f"#define {name} {other}\n" for name, other in names.items())
    return before + source + "".join(f"#undef {name}\n" for name in names)


def _dealt(texts: Mapping[str, str], lots: int) -> list[list[str]]:
    """Keys of texts in so many lots, or fewer, of about the same length of text."""
    out: list[list[str]] = [[] for _ in range(min(lots, len(texts)))]
    long = [0] * len(out)
    for key in sorted(texts, key=lambda k: (-len(texts[k]), k)):
        i = long.index(min(long))
        out[i].append(key)
        long[i] += len(texts[key])
    return out


def _kept(folder: Folder | None, key: str, source: str, names: Mapping[str, str], path: Path) -> Library:
    kept = folder.write(key, {"source": source, "names": names}, path) if folder else None
    if kept is None:
        return Library(ctypes.CDLL(str(path)), source, names)
    try:
        return Library(ctypes.CDLL(str(kept)), source, names)
    except OSError as error:
        library = Library(ctypes.CDLL(str(path)), source, names)
        folder.withdraw(kept, error)
        return library


def _loaded(path: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None


def _compile(source: str, where: Path, name: str) -> Path:
    """Compile a text, without what the compiler adds to programs that may ignore denormal numbers everywhere."""
    text, made, library = where / f"{name}.c", where / f"{name}.o", where / f"{name}.so"
    text.write_text(source)
    cc, flags = _command()
    for command in (
        [cc, *flags, "-c", str(text), "-o", str(made)],
        [cc, "-shared", "-fopenmp", str(made), "-o", str(library), "-lm"],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, cwd=where, check=False)
        except OSError as e:
            raise CompilerError(
                f"there is no C compiler {command[0]} that can be started ({e}): install one, such as gcc with OpenMP, or "
                "name yours in the environment variable CC before Python starts"
            ) from e
        if done.returncode:
            raise CompilerError(f"the C compiler failed: {' '.join(command)}\n{done.stderr[-4000:]}")
    return library


def _command() -> tuple[str, tuple[str, ...]]:
    """The compiler, and how it is to compile."""
    cc, flags = chosen()
    return cc, (*flags, "-fopenmp", *_tuning(cc, *flags))


def chosen() -> tuple[str, tuple[str, ...]]:
    """What Devito would compile with.

    Where nobody has imported Devito, that is its own choice, as an earlier process noted it; whoever imports it next has
    asked for this before. Later on its configuration may have been changed.
    """
    if "devito" in sys.modules:
        return _devitos()
    said = sorted((k, v) for k, v in os.environ.items() if k.startswith("DEVITO_") or k in CHOOSING)
    return Notes((_machine(), tuple(said))).get(("compiler",), _devitos)


def _devitos() -> tuple[str, tuple[str, ...]]:
    import devito

    configuration = devito.configuration
    compiler = configuration["compiler"].__new_with__(
        platform=configuration["platform"], language=LANGUAGE, mpi=configuration["mpi"]
    )
    flags = [f for f in compiler.cflags if f not in ("-shared", "-Wall", "-g")]
    return compiler.cc, tuple(flags)


def _environment() -> tuple[str, ...]:
    """All but its text that compiled code depends on."""
    cc, flags = _command()
    return (*_machine(), *_tools(cc), *flags)


@cache
def _machine() -> tuple[str, ...]:
    """Hardware: none of it changes while a process runs."""
    return (str(FORMAT), platform.system(), platform.machine(), *platform.libc_ver(), *_processor())


def _processor() -> tuple[str, str]:
    """What a processor is called, and what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not on Linux
        from cpuinfo import get_cpu_info

        found = get_cpu_info()
        return str(found.get("brand_raw")), " ".join(sorted(found.get("flags") or ()))
    said = dict(line.replace("\t", "").split(":", 1) for line in reversed(lines) if ":" in line)
    return said.get("model name", "").strip(), " ".join(sorted(said.get("flags", said.get("Features", "")).split()))


@cache
def _tuning(cc: str, *flags: str) -> tuple[str, ...]:
    """What makes gcc weigh instructions for a processor with AVX-512 that it does not know.

    Before release 12.3 gcc takes AMD's Zen 4 for Zen 3: it uses AVX-512, at the costs of a processor that has none.
    """
    path = shutil.which(cc)
    if path is None or "-march=native" not in flags or "avx512f" not in _processor()[1].split():
        return ()
    takes = Notes((_machine(), _tools(cc))).get(
        ("tuning",), lambda: _said(path, "-march=native", "-Q", "--help=target")
    )
    known = re.search(r"-mtune=\s+(znver[123])\s", takes)
    return ("-mtune=skylake-avx512", "-mprefer-vector-width=512") if known else ()


@cache
def _tools(cc: str) -> tuple[str, ...]:
    """Which compiler it is that goes by this name."""
    path = shutil.which(cc)
    if path is None:
        return (cc,)
    return str(Path(path).resolve()), _said(path, "--version")


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
