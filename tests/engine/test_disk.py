"""The folder of compiled programs: ours is kept tidy, and nothing of anybody else's is ever touched."""

import json
import os
import resource
import shutil
import signal
import tempfile
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trees import grow

from seisops.engine.kept import disk

CODE = b"\x7fELF and so on"
A, B, C, D = "a" * 64, "b" * 64, "c" * 16, "d" * 16  # of somebody else


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEISOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(disk, "_warned", set())
    return tmp_path / "cache"


def keep(name, code=CODE):
    """Keep an entry; returns where."""
    with tempfile.TemporaryDirectory() as made, disk.opened() as found:
        library = Path(made) / "program.so"
        library.write_bytes(code)
        return found and found.write(name * 64, {}, library) and found.path


def kept(name):
    with disk.opened() as found:
        return found.read(name * 64) is not None


def used():
    with disk.opened() as found:
        return found and found.path


def content(folder):
    """Everything below a folder, with what is in it."""
    return {(path, path.is_file() and path.read_bytes()) for path in folder.rglob("*")}


def aged(folder, seconds=disk.LIFETIME + 60):
    """Everything below a folder, links themselves included, last used long ago."""
    old = time.time() - seconds
    for path in [*folder.rglob("*")]:
        os.utime(path, (old, old), follow_symlinks=False)


# ---- which folder


@pytest.mark.parametrize("chosen", ["", "0", "off"])
def test_none(tmp_path, monkeypatch, chosen):
    monkeypatch.setenv("SEISOPS_CACHE", chosen)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert used() is None and not list(tmp_path.iterdir())


def test_default(tmp_path, monkeypatch):
    monkeypatch.delenv("SEISOPS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert used() == tmp_path / "seisops"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(disk.sys, "platform", "linux")
    assert used() == tmp_path / ".cache" / "seisops"
    monkeypatch.setattr(disk.sys, "platform", "darwin")
    assert used() == tmp_path / "Library" / "Caches" / "seisops"


def test_a_relative_one_stays_where_it_was_first(tmp_path, monkeypatch):
    disk._settled.cache_clear()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEISOPS_CACHE", "programs")
    assert used() == tmp_path / "programs"
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert used() == tmp_path / "programs"
    monkeypatch.setenv("SEISOPS_CACHE", "others")
    assert used() == tmp_path / "elsewhere" / "others"
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["others"]


def test_it_is_tagged(folder):
    assert keep("1") == folder
    assert (folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    (folder / "thesis").mkdir()  # by somebody who does not mind
    assert used() == folder and kept("1")


def test_one_from_before_it_was_tagged(folder):
    keep("1")
    (folder / disk.TAG).unlink()
    assert used() == folder and kept("1")
    keep("2")
    assert (folder / disk.TAG).exists()


@pytest.mark.parametrize("theirs", ["thesis", disk.TAG])
def test_that_of_somebody_else_gets_one_of_ours(folder, theirs):
    folder.mkdir(mode=0o700)
    (folder / theirs).write_text("Signature: 8a477f597d28d172789f06886806bc55\n# of pip")
    assert keep("1") == folder / disk.OWN and kept("1")
    assert {p.name for p in folder.iterdir()} == {theirs, disk.OWN}


def test_even_our_name_may_be_taken(folder):
    (folder / disk.OWN).mkdir(parents=True, mode=0o700)
    (folder / disk.OWN / "thesis").touch()
    with pytest.warns(RuntimeWarning, match="not kept.*somebody else keeps something in it"):
        assert used() is None


def test_one_that_is_exchanged_meanwhile(folder, tmp_path):
    """Between the look at a folder and the load from it nothing else can take its place."""
    keep("1")
    with disk.opened() as found:
        folder.rename(tmp_path / "away")
        shutil.copytree(tmp_path / "away", folder)
        next(folder.glob("*.so")).write_bytes(b"\x7fELF somebody else's code")
        _, path = found.read("1" * 64)
        assert path.read_bytes() == CODE
        found.write("2" * 64, {}, path)
    assert not list(folder.glob("2*")) and list((tmp_path / "away").glob("2*"))


def test_a_disk_that_fills_up(folder):
    """The system refuses to write past a limit, with less room than a library takes, in a child of its own."""
    keep("1")
    before = content(folder)
    child = os.fork()
    if not child:
        code = 1
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with disk.opened() as found, warnings.catch_warnings(record=True) as caught:
            library = folder.parent / "large.so"
            library.write_bytes(CODE * 1000)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
            warnings.simplefilter("always")
            code = found.write("2" * 64, {}, library) is not None or "not kept" not in str(caught[0].message)
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert content(folder) == before


# ---- what is removed, and what is not


def test_what_has_not_been_used_for_long_is_removed(folder):
    keep("1")
    aged(folder)
    keep("2")
    assert kept("2") and not kept("1")
    assert len(content(folder)) == 3 and (folder / disk.TAG).exists()


def test_what_is_used_stays(folder):
    keep("1")
    aged(folder)
    assert kept("1")
    keep("2")
    assert kept("1")


def test_what_killed_processes_left_is_removed(folder):
    keep("1")
    left = {
        f"{'0' * 64}-{'1' * 16}.so": CODE,  # before its description was written
        f"{'1' * 64}-{'1' * 16}.so": CODE,  # another process has described its own
        f".{'1' * 64}-{'3' * 16}.so.{'1' * 16}.partial": CODE[:2],
        f".{'0' * 64}.json.{'1' * 16}.partial": b'{\n "sha256": "ab',
        f".{'0' * 64}-{'2' * 16}.so.{'1' * 16}.partial": b"",
    }
    for name, begun in left.items():
        (folder / name).write_bytes(begun)
    keep("2")
    assert all((folder / name).exists() for name in left)  # somebody may be at it
    aged(folder, 2 * 86400)
    keep("3")
    assert not any((folder / name).exists() for name in left)
    assert kept("1") and kept("2") and kept("3")


def test_it_is_looked_through_about_once_a_day(folder, monkeypatch):
    """Whoever writes: with thousands of programs that takes longer than to keep one."""
    looked = []
    monkeypatch.setattr(disk.Folder, "_expire", lambda self: looked.append(self.path))
    for name in "123":
        keep(name)
    assert not looked
    for later in (2 * 86400, -2 * 86400):  # also where a clock was wrong
        aged(folder, later)
        for name in "123":
            keep(name)
        assert looked == [folder]
        looked.clear()
    aged(folder, 2 * 86400)
    with disk.opened() as found:
        found.write_note("4" * 64, b"a note")
    assert looked == [folder]


def foreign(name, content=b""):
    return lambda folder: (folder / name).write_bytes(content)


def tree(name):
    def make(folder):
        (folder / name / "chapters").mkdir(parents=True)
        (folder / name / "chapters" / "one.tex").write_text("mine")

    return make


FOREIGN = {
    "a folder": tree("thesis"),
    "a folder of builds": tree("build-thesis01"),
    "a file": foreign("line1.segy", CODE),
    "a library": foreign("libmine.so", CODE),
    "a library named by a hash": foreign(f"{A}.so", CODE),
    "a text named as a library": foreign(f"{A}-{C}.so", b"my notes"),
    "a description of somebody else": foreign(f"{A}.json", b'{"sha256": "0", "content": {"library": "mine.so"}}'),
    "a text named as a description": foreign(f"{A}.json", b"my notes"),
    "an array named as a description": foreign(f"{A}.json", b"[1, 2]"),
    "a text named as half a description": foreign(f".{A}.json.{D}.partial", b"my notes"),
    "settings": foreign("settings.json", b"{}"),
    "a folder named as a library": tree(f"{A}-{C}.so"),
    "a hidden file": foreign(".download.partial", b"mine"),
}


@pytest.mark.parametrize("first", [True, False], ids=["in ours", "in theirs"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_what_others_keep_stays(folder, kind, first):
    if first:
        keep("1")
    else:
        folder.mkdir(mode=0o700)
    ours = content(folder)
    FOREIGN[kind](folder)
    theirs = content(folder) - ours
    aged(folder)
    keep("2")
    aged(folder)
    keep("3")
    assert theirs <= content(folder) and kept("3") and not kept("1") and not kept("2")


NAMES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20),
    st.sampled_from([
        *(f"{x}{end}" for x in (A, B) for end in (".json", f"-{C}.so", f"-{C}.dylib", ".so", "", ".json~")),
        f".{A}.json.{D}.partial", f".{A}-{C}.so.{D}.partial", disk.TAG, disk.OWN, "journal.json", A.upper() + ".json",
    ]),
).filter(lambda name: name not in (".", ".."))  # fmt: skip
# nothing that begins as a library or a description of ours does
CONTENTS = st.one_of(
    st.binary(max_size=40).map(lambda b: b"." + b), st.sampled_from([b"my notes", b"[1, 2]", b'{"library": 1}'])
)
TREES = st.recursive(
    st.dictionaries(NAMES, CONTENTS, max_size=3),
    lambda inner: st.dictionaries(NAMES, CONTENTS | inner, max_size=4),
    max_leaves=6,
)


@pytest.mark.parametrize("first", [True, False], ids=["in ours", "in theirs"])
@given(tree=TREES)
def test_whatever_others_keep_stays(first, tree):
    with tempfile.TemporaryDirectory() as made, pytest.MonkeyPatch.context() as patch:
        folder = Path(made) / "cache"
        patch.setenv("SEISOPS_CACHE", str(folder))
        patch.setattr(disk, "_warned", set())
        if first:
            keep("1")
            tree.pop(disk.TAG, None)
        folder.mkdir(mode=0o700, exist_ok=True)
        ours = content(folder)
        grow(folder, tree)
        theirs = content(folder) - ours
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where our folder would be there may be a file
            for name in "23":
                aged(folder)
                keep(name)
        assert theirs <= content(folder)
        assert not list(folder.rglob("1*.so"))


def test_links_are_not_followed(folder, tmp_path):
    keep("1")
    elsewhere = tmp_path / "elsewhere"
    tree("thesis")(elsewhere)
    (folder / f"{A}-{C}.so").symlink_to(elsewhere, target_is_directory=True)
    (folder / f"{B}-{C}.so").symlink_to(elsewhere / "thesis" / "chapters" / "one.tex")
    (folder / "thesis").symlink_to(elsewhere / "thesis", target_is_directory=True)
    aged(folder)
    keep("2")
    assert (folder / "thesis" / "chapters" / "one.tex").read_text() == "mine"
    assert (folder / f"{A}-{C}.so").is_symlink() and (folder / f"{B}-{C}.so").is_symlink()


def test_descriptions_are_whole(folder):
    keep("1")
    record = json.loads(next(folder.glob("*.json")).read_text())
    assert set(record) == {"sha256", "content"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir() if path.suffix in (".so", ".json"))


def test_a_folder_of_files_with_names_like_ours_is_not_ours(folder):
    """As a store that names what it keeps by its hash."""
    folder.mkdir()
    (folder / f"{A}.json").write_text('{"of": "somebody else"}')
    assert used() == folder / disk.OWN
    assert not (folder / disk.TAG).exists()
