"""Notes of what was derived: found by later processes, which then import neither SymPy nor Devito; safe against damage."""

import json
import os
import subprocess
import sys

import pytest

import seisops as so
from seisops.engine.kept import notes as module
from seisops.engine.kept.notes import Notes, told
from seisops.wave.discretise.schemes import Schemes

#: Data, an image and what was imported, for a medium with or without density.
SOLVES = """
import hashlib, json, sys
import numpy as np
import seisops as so

rho = {rho!r}
grid, axis = so.Grid((31, 25), 10.0), so.Time(n=40, step=0.002)
waves = so.Wavefield(grid, axis, shots=2, dtype="float64")
vp = 1500.0 + 20.0 * np.arange(25) + np.zeros(grid.shape)
A = so.Modeling(waves, so.Acoustic(grid, vp=vp, rho=rho), boundary={boundary}, free_surface={surface})
F = so.Projection(waves, [(50.0, 20.0), (203.0, 31.0)]) * A * so.Projection(waves, [(150.0, 40.0)]).H
q = np.stack(2 * [so.ricker(axis, f0=25.0)]).reshape(F.domain.shape)
d = F @ q
image = so.Jacobian(F, q, wrt={wrt!r}, storage={storage}).H @ d
digest = hashlib.sha256(np.concatenate([d.ravel(), image.ravel()]).tobytes()).hexdigest()
print(json.dumps([digest, [name for name in ("sympy", "devito") if name in sys.modules]]))
"""
CASES = {
    "plain": dict(rho=None, boundary="so.PML(cells=4)", surface=False, wrt="m", storage="'auto'"),
    "surface": dict(rho=None, boundary="so.PML(cells=4)", surface=True, wrt="vp", storage="so.storage.Boundary()"),
    "density": dict(rho=1000.0, boundary="so.Sponge(cells=5)", surface=False, wrt="rho", storage="'auto'"),
    "two": dict(rho=1000.0, boundary="None", surface=False, wrt=("m", "rho"), storage="so.storage.Checkpointed(n=2)"),
}


def process(code, cache):
    env = os.environ | {"SEISOPS_CACHE": str(cache)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEISOPS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("case", CASES)
def test_a_later_process_derives_nothing(tmp_path, case):
    """It computes the same to the last bit, and imports neither of the packages that derivations take."""
    code = SOLVES.format(**CASES[case])
    first, derived = process(code, tmp_path / "cache")
    second, found = process(code, tmp_path / "cache")
    assert derived == ["sympy", "devito"] and found == []
    assert second == first


def taken(notes, made, what=("answer",)):
    """What is noted, and how often it was made for that."""

    def make():
        made.append(42)
        return {"answer": 42}

    return notes.get(what, make), len(made)


def test_they_are_kept_in_memory_and_on_disk(folder):
    made = []
    one = Notes(("a", 1))
    assert taken(one, made) == taken(one, made) == ({"answer": 42}, 1)
    assert taken(Notes(("a", 1)), made) == ({"answer": 42}, 1)
    assert taken(Notes(("a", 2)), made)[1] == 2 and taken(one, made, ("other",))[1] == 3
    one.forget()
    assert taken(one, made)[1] == 3


def test_what_nobody_can_name_is_kept_in_memory_only(folder):
    made, one = [], Notes(None)
    assert taken(one, made)[1] == taken(one, made)[1] == 1
    assert taken(Notes(None), made)[1] == 2 and not folder.exists()


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "another's", "foreign"])
def test_a_damaged_note_is_made_anew(folder, damage):
    made = []
    taken(Notes(("a",)), made)
    taken(Notes(("b",)), made)
    mine, other = sorted(folder.glob("*.note"))
    content = mine.read_bytes()
    mine.write_bytes(
        {
            "cut": content[:-3],
            "empty": b"",
            "flipped": content[:-1] + bytes([content[-1] ^ 1]),
            "another's": other.read_bytes(),
            "foreign": b"dear diary",
        }[damage]
    )
    assert [taken(Notes((of,)), made)[0] for of in "ab"] == 2 * [{"answer": 42}]
    assert len(made) == 3


def test_they_are_those_of_one_version(folder, monkeypatch):
    made = []
    taken(Notes(("a",)), made)
    monkeypatch.setattr(module, "sources", lambda: ("another",))
    assert taken(Notes(("a",)), made)[1] == 2


def test_nothing_is_kept_if_nothing_is_to_be(tmp_path, monkeypatch):
    monkeypatch.setenv("SEISOPS_CACHE", "off")
    made = []
    taken(Notes(("a",)), made)
    assert taken(Notes(("a",)), made)[1] == 2


def test_equations_of_others_are_derived_in_each_process(monkeypatch):
    """What they do is not known by their name; nor is that of ours in whose place somebody has put something."""
    grid = so.Grid((12, 11), 10.0)
    ours = so.Acoustic(grid, vp=2000.0)
    before = told((ours.kind, so.PML))
    assert before == told((so.Acoustic(grid, vp=1500.0).kind, so.PML)) is not None
    assert before != told((so.Acoustic(grid, vp=2000.0, rho=1000.0).kind, so.PML))
    assert told((type("Mine", (so.Acoustic,), {})(grid, vp=2000.0).kind,)) is None
    assert told((ours.kind, type("Layer", (so.PML,), {}))) is None

    monkeypatch.setattr(
        so.Acoustic, "residual", lambda self, fields, parameters: (2 * fields.u.dt2 - fields.u.laplace,)
    )
    assert told((ours.kind, so.PML)) != before


def test_a_scheme_that_was_released_is_made_again(folder):
    schemes, medium = Schemes(), so.Acoustic(so.Grid((12, 11), 10.0), vp=2000.0)
    given = medium, (2, 4, "float64"), so.PML(cells=4), False, (20, 19)
    scheme = schemes.get(*given)
    first = scheme.of(True)
    schemes.forget()
    assert scheme.of(True) == first and schemes.get(*given) is scheme  # as it is in use
