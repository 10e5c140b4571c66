"""Notes of what was derived: found by later processes, which then import neither SymPy nor Devito; safe against damage."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import seisops as so
from seisops.engine.kept import notes as module
from seisops.engine.kept.notes import Notes, told
from seisops.wave.discretise.schemes import Schemes
from seisops.wave.faces import Faces

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


def changed_residual(factor):
    return lambda self, fields, parameters: (factor * parameters.m * fields.u.dt2 - fields.u.laplace,)


def test_equations_of_others_are_derived_in_each_process():
    """What they do is not known by their names, whatever they are called."""
    grid = so.Grid((12, 11), 10.0)
    ours = so.Acoustic(grid, vp=2000.0)
    assert told((ours.kind, so.PML)) == told((so.Acoustic(grid, vp=1500.0).kind, so.PML)) is not None
    assert told((ours.kind,)) != told((so.Acoustic(grid, vp=2000.0, rho=1000.0).kind,))
    pickle.dumps([ours, so.PML(), so.Sponge()])  # Python notes something in classes then
    assert told((ours.kind, so.PML, so.Sponge)) is not None
    names = {name: getattr(so.Acoustic, name) for name in ("__module__", "__qualname__")}
    assert told((type("Acoustic", (so.Acoustic,), names)(grid, vp=2000.0).kind,)) is None
    assert told((type("PML", (so.PML,), {"__module__": so.PML.__module__}),)) is None
    object.__setattr__(ours, "residual", lambda fields, parameters: changed_residual(2)(ours, fields, parameters))
    assert told((ours.kind,)) is None


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (so.Acoustic, "residual", changed_residual(2.0)),
        (so.Acoustic, "surface", {"u": 1}),
        (so.Acoustic, "source", {"u": 2.5}),
        (so.Acoustic, "leapfrog", False),
        (so.WaveEquation, "observe", {"u": 2.5}),
        (so.WaveEquation, "system", lambda self, *given: None),
        (so.PML, "stretch", so.Sponge.stretch),
        (so.Sponge, "profiles", so.PML.profiles),
    ],
)
def test_what_somebody_has_changed_in_ours_is_not_noted(monkeypatch, owner, name, value):
    medium = so.Acoustic(so.Grid((12, 11), 10.0), vp=2000.0)
    kind = medium.kind, so.PML, so.Sponge
    assert told(kind) is not None
    monkeypatch.setattr(owner, name, value)
    assert told((type(medium), so.PML, so.Sponge)) is None
    monkeypatch.undo()
    assert told(kind) is not None


def test_what_changes_an_equation_counts_at_once(monkeypatch):
    """Within a process, too: constants that a residual reads from its class, and what is changed in ours."""
    grid = so.Grid((21, 19), 10.0)

    class Damped(so.WaveEquation):
        parameters = ("m",)
        leapfrog = True
        damping = 0.0

        def residual(self, fields, parameters):
            return (parameters.m * fields.u.dt2 + self.damping * fields.u.dtc - fields.u.laplace,)

    def data(medium):
        waves = so.Wavefield(grid, so.Time(60, 0.002), dtype="float64")
        P = so.Projection(waves, [(100.0, 90.0)])
        F = P * so.Modeling(waves, medium, boundary=so.Sponge(4), space_order=4, substeps=2) * P.H
        return F @ so.ricker(waves.time, f0=20.0).reshape(F.domain.shape)

    first = data(Damped(grid, m=2000.0**-2))
    monkeypatch.setattr(Damped, "damping", 3e-5)
    assert np.linalg.norm(data(Damped(grid, m=2000.0**-2)) - first) > 0.1 * np.linalg.norm(first)
    before = data(so.Acoustic(grid, vp=2000.0))
    monkeypatch.setattr(so.Acoustic, "source", {"u": 2.5})
    assert np.allclose(data(so.Acoustic(grid, vp=2000.0)), 2.5 * before)


def test_a_scheme_that_was_released_is_made_again(folder):
    schemes, medium = Schemes(), so.Acoustic(so.Grid((12, 11), 10.0), vp=2000.0)
    given = medium, (2, 4, "float64"), Faces.of(so.PML(cells=4), False, ("x", "z")), (20, 19)
    scheme = schemes.get(*given)
    first = scheme.of(True)
    schemes.forget()
    assert scheme.of(True) == first and schemes.get(*given) is scheme  # as it is in use
