"""Compiled functions: kept in memory and on disk, safe against damage, compiled as Devito's compiler would be called."""

import ctypes
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from seisops.engine.backend import compiled as module
from seisops.engine.backend.compiled import compiled
from seisops.engine.kept import disk
from seisops.errors import CompilerError

TINY = "int answer(void) { return 42; }\n"


def check_tiny(library):
    assert library.library["answer"]() == 42 and library.source == TINY
    assert ctypes.CFUNCTYPE(ctypes.c_int)(library.address("answer"))() == 42


def make():
    """As a process does that has not made it yet; returns it, and whether it had to be compiled."""
    module.KNOWN.libraries.clear()
    before = module.KNOWN.compilations
    (library,) = compiled([TINY])
    return library, module.KNOWN.compilations > before


def check_made_and_kept():
    """It is compiled once, and found from then on."""
    for expected in (True, False):
        library, new = make()
        assert new is expected
        check_tiny(library)


def never(*_):
    raise AssertionError("compiled although it is in the cache")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEISOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(disk, "_warned", set())
    monkeypatch.setattr(module, "KNOWN", module._Known())
    return tmp_path / "cache"


# ---- in memory


def test_the_same_text_is_compiled_once(monkeypatch):
    one, other, again = compiled([TINY, TINY.replace("42", "43"), TINY])
    assert one is again and other.library["answer"]() == 43 and module.KNOWN.compilations == 2
    monkeypatch.setattr(module, "_compile", never)
    assert compiled([TINY])[0] is one


def test_texts_of_one_function_share_a_library(folder, monkeypatch):
    """Each of them with its own; as many are compiled at a time as there are processors."""
    seen, compile_ = [], module._compile
    monkeypatch.setattr(module, "_compile", lambda *args: seen.append(args) or compile_(*args))
    monkeypatch.setattr(module.os, "cpu_count", lambda: 2)
    texts = [TINY.replace("42", str(n)) for n in range(5)]

    def said(which):
        return [ctypes.CFUNCTYPE(ctypes.c_int)(p.address("answer"))() for p in compiled(which, "answer")]

    assert said(texts) == [0, 1, 2, 3, 4] and len(seen) == 2
    assert [p.source for p in compiled(texts, "answer")] == texts
    monkeypatch.setattr(module, "KNOWN", module._Known())
    assert said(texts[::-1]) == [4, 3, 2, 1, 0] and len(seen) == 2 and module.KNOWN.compilations == 0
    truncate(folder)  # one of them, whichever it is
    monkeypatch.setattr(module, "KNOWN", module._Known())
    assert said(texts) == [0, 1, 2, 3, 4] and len(seen) == 3


def test_processors_that_ignore_denormal_numbers_are_nobodys_business(folder):
    """What is loaded does not change how the process computes; gcc adds that to whatever may be inexact."""
    code = """
    import numpy as np
    t.compiled([t.TINY])
    assert np.float32(1e-38) * np.float32(0.01) > 0
    """
    finished(script(code, folder))


# ---- on disk


def test_a_library_is_kept(folder):
    check_made_and_kept()
    assert {p.suffix for p in folder.iterdir()} == {".json", ".so", ".TAG"} or sys.platform == "darwin"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_key_knows_the_compiler(monkeypatch):
    before = module._environment()
    assert module._environment() == before
    monkeypatch.setenv("CFLAGS", "-fno-tree-vectorize")
    assert "-fno-tree-vectorize" in module._environment()


def test_flags_of_the_user_reach_the_compiler(monkeypatch):
    seen = []
    run = subprocess.run
    monkeypatch.setattr(module.subprocess, "run", lambda command, **rest: seen.append(command) or run(command, **rest))
    monkeypatch.setenv("CFLAGS", "-fno-tree-vectorize")
    make()
    assert any("-fno-tree-vectorize" in c and "-fopenmp" in c for c in seen)


def script(code, folder, **environment):
    """Another process, in which `t` is this file."""
    start = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_compiled as t\n"
    return subprocess.Popen(
        [sys.executable, "-c", start + textwrap.dedent(code)],
        env={**os.environ, "SEISOPS_CACHE": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process) -> str:
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return out.strip()


def test_another_process_compiles_nothing(folder):
    make()
    code = """
    t.module._compile = t.never
    library, new = t.make()
    t.check_tiny(library)
    print(new)
    """
    assert finished(script(code, folder)) == "False"


@pytest.mark.slow
def test_processes_that_make_the_same_library_at_once(folder):
    code = """
    t.check_tiny(t.make()[0])
    """
    for p in [script(code, folder) for _ in range(3)]:
        finished(p)
    library, new = make()
    assert not new
    check_tiny(library)
    assert not list(folder.glob("*.partial"))


def index(folder) -> Path:
    return next(folder.glob("*.json"))


def library(folder) -> Path:
    return folder / json.loads(index(folder).read_text())["content"]["library"]


def truncate(folder):
    path = library(folder)
    data = path.read_bytes()
    path.unlink()  # whoever has it loaded keeps what they have
    path.write_bytes(data[: len(data) // 2])


def tamper(folder):
    path = library(folder)
    data = bytearray(path.read_bytes())
    path.unlink()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def rewrite(folder, change, consistent):
    record = json.loads(index(folder).read_text())
    change(record["content"])
    if consistent:
        record["sha256"] = disk._checksum(disk._text(record["content"]))
    index(folder).write_text(json.dumps(record))


DAMAGE = {
    "truncated library": truncate,
    "changed library": tamper,
    "no library": lambda f: library(f).unlink(),
    "empty library": lambda f: (library(f).unlink(), library(f).touch()),
    "garbage": lambda f: index(f).write_bytes(b"\x00\xff{{{"),
    "empty description": lambda f: index(f).write_text(""),
    "no object": lambda f: index(f).write_text("[1, 2]"),
    "half a description": lambda f: index(f).write_text(index(f).read_text()[:200]),
    "wrong checksum": lambda f: rewrite(f, lambda c: c.update(sha256="0" * 64), True),
    "changed description": lambda f: rewrite(f, lambda c: c.update(source="int other(void);"), False),
    "path elsewhere": lambda f: rewrite(f, lambda c: c.update(library="../../etc/passwd"), True),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_noticed_and_repaired(folder, kind):
    make()
    DAMAGE[kind](folder)
    check_made_and_kept()


def test_a_sound_entry_of_another_name_is_not_loaded(folder):
    """As a program that copies or merges files may leave it."""
    compiled([TINY.replace("42", "43")])
    other = index(folder)
    make()
    (ours,) = set(folder.glob("*.json")) - {other}
    ours.write_bytes(other.read_bytes())
    library, new = make()
    assert new
    check_tiny(library)


@pytest.mark.parametrize("chosen", ["", "0", "off"])
def test_nothing_is_kept_if_nothing_shall_be(tmp_path, monkeypatch, chosen, recwarn):
    monkeypatch.setenv("SEISOPS_CACHE", chosen)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        library, new = make()
        assert new
        check_tiny(library)
    assert not list(tmp_path.iterdir()) and not recwarn.list


def test_a_relative_folder(tmp_path, monkeypatch):
    disk._settled.cache_clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEISOPS_CACHE", "programs")
    assert make()[1]
    check_tiny(make()[0])
    assert list((tmp_path / "programs").glob("*.json"))


def works_without(text):
    """Programs are made, and one warning says why they are not kept."""
    with pytest.warns(RuntimeWarning, match=text) as caught:
        for _ in range(2):
            library, new = make()
            assert new
            check_tiny(library)
    assert len([w for w in caught if "compiled programs" in str(w.message)]) == 1


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720])
def test_a_directory_that_others_can_write_to(folder, mode):
    folder.mkdir()
    folder.chmod(mode)
    works_without("others can write to it")
    assert not list(folder.iterdir())


def test_a_directory_of_somebody_else(folder, monkeypatch):
    folder.mkdir()
    owner = os.getuid()
    monkeypatch.setattr(disk.os, "getuid", lambda: owner + 1)
    works_without("belongs to another user")


def test_no_directory(folder):
    folder.write_text("a file")
    works_without("not kept")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_that_is_read_only(folder):
    folder.mkdir(mode=0o500)
    works_without("not kept")


def test_a_full_disk(folder, monkeypatch):
    def replace(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.os, "replace", replace)
    works_without("No space left")
    assert not list(folder.iterdir())


def unloadable(monkeypatch, reason):
    """Let the loader fail on what is kept, and only on that."""
    load = ctypes.CDLL

    def refuse(path):
        if not Path(path).parent.name.startswith("seisops-"):
            raise OSError(f"{path}: {reason}")
        return load(path)

    monkeypatch.setattr(module.ctypes, "CDLL", refuse)


@pytest.mark.parametrize("more", ["", ": Operation not permitted"])
def test_a_folder_that_nothing_is_run_from(folder, monkeypatch, more):
    unloadable(monkeypatch, f"failed to map segment from shared object{more}")
    works_without("libraries cannot be loaded from there .* noexec.*SEISOPS_CACHE names another folder")
    assert [path.name for path in folder.iterdir()] == [disk.TAG]  # nothing piles up


def test_what_cannot_be_loaded_for_another_reason_is_made_anew(monkeypatch, recwarn):
    unloadable(monkeypatch, "invalid ELF header")
    for _ in range(2):
        library, new = make()
        assert new
        check_tiny(library)
    assert not recwarn.list


def test_compiling_takes_no_room_in_the_folder(folder, monkeypatch):
    """So that where the folder's disk is full, but not that of temporary files, all works but keeping."""
    seen = []
    compile_ = module._compile
    monkeypatch.setattr(module, "_compile", lambda s, where, name: seen.append(where) or compile_(s, where, name))
    make()
    assert seen and folder not in seen[0].parents


def test_no_compiler(monkeypatch):
    for cc in ("/nowhere/cc", __file__):  # which is there, and cannot be started
        monkeypatch.setattr(module, "_command", lambda cc=cc: (cc, ("-O1",)))
        with pytest.raises(RuntimeError, match="no C compiler .* install one, .* CC") as caught:
            make()
        assert isinstance(caught.value, CompilerError)


def test_a_text_that_does_not_compile():
    with pytest.raises(CompilerError, match="the C compiler failed"):
        compiled(["int f( {"])


@pytest.mark.parametrize(
    ("tune", "cpu", "flags", "expected"),
    [
        ("znver3", ["avx2", "avx512f"], ["-march=native", "-O3"], True),
        ("znver4", ["avx2", "avx512f"], ["-march=native", "-O3"], False),
        ("znver3", ["avx2"], ["-march=native", "-O3"], False),
        ("znver3", ["avx2", "avx512f"], ["-march=x86-64-v3", "-O3"], False),
    ],
)
def test_a_compiler_that_takes_the_processor_for_an_older_one(tmp_path, monkeypatch, tune, cpu, flags, expected):
    compiler = tmp_path / "cc"
    compiler.write_text(f"#!/bin/sh\necho '  -mtune=                     \t\t{tune}'\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(module, "_processor", lambda: ("", " ".join(cpu)))
    module._tuning.cache_clear()
    try:
        assert bool(module._tuning(str(compiler), *flags)) is expected
    finally:
        module._tuning.cache_clear()
