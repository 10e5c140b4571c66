"""What objects say of themselves: spaces, units, the medium, the time step and the boundary, and a table in notebooks."""

from __future__ import annotations

from html import unescape

import numpy as np
import pytest

import seisops as so

GRID = so.Grid(shape=(21, 11), spacing=10.0)
TIME = so.Time(n=51, step=0.004)
WAVES = so.Wavefield(GRID, TIME, shots=2)
VP = np.linspace(1500.0, 3000.0, GRID.size).reshape(GRID.shape)


def modeling(**options):
    Ainv = so.Modeling(WAVES, so.Acoustic(GRID, vp=VP, rho=1000.0), **options)
    return so.Projection(WAVES, [(50.0, 20.0)]) * Ainv * so.Projection(WAVES, [(100.0, 50.0)]).H


def misfit():
    F = modeling()
    q = np.ones(F.domain.shape, "f4")
    return so.inversion.LeastSquares(so.Parametric(F, wrt="vp"), np.zeros(F.range.shape, "f4"), q)


def survey():
    return so.Survey.from_arrays([(50.0, 10.0)], [(100.0, 10.0)], TIME)


SOLVES = ("medium: Acoustic, vp 1500 to 3000 m/s, rho 1000 kg/m3", "time step: 0.001333 s, 3 for each sample",
          "boundary: PML of 8 cells", "space order: 8")  # fmt: skip

#: What is made, and what it has to say.
SAID = {
    "modeling": (modeling, SOLVES),
    "adjoint": (lambda: modeling().H, SOLVES),
    "fused": (lambda: so.fuse(2.0 * modeling()), SOLVES),
    "solve": (lambda: modeling().children[1], SOLVES),
    "Jacobian": (lambda: so.Jacobian(modeling(), np.ones((2, 1, 51), "f4")), (*SOLVES, "by: m", "storage: Auto, exact")),
    "map": (lambda: so.Parametric(modeling(), wrt=("vp", "rho"), storage=so.storage.Boundary()),
            (*SOLVES, "by: vp, rho", "storage: Boundary, exact to rounding", "model[x=21, z=11]")),
    "misfit": (misfit, (*SOLVES, "by: vp", "loss: Squares()")),
    "surface": (lambda: modeling(free_surface=True), ("boundary: PML of 8 cells, free surface at z_min",)),
    "faces": (lambda: modeling(boundary={"x_min": None, "x_max": so.PML(12)}),
              ("boundary: PML of 8 cells, nothing at x_min, PML of 12 cells at x_max",)),
    "windows": (lambda: survey().modeling(so.Acoustic(GRID, 2000.0)), ("medium: Acoustic, vp 2000 m/s", "boundary: PML")),
    "wavefield": (lambda: WAVES, ("shot=2", "time: step=0.004 s, origin=0 s", "x: step=10 m, origin=0 m")),
    "snapshots": (lambda: WAVES.snapshots([10]), ("time: from 0.04 s",)),
    "projection": (lambda: so.Projection(WAVES, [(1.0, 1.0)], component="vz"), ("interpolation: sinc", "component: vz")),
    "band": (lambda: so.data.Bandpass(modeling(), 5.0, 20.5), ("low: 5; high: 20.5; order: 4",)),
    "medium": (lambda: so.ViscoAcoustic(GRID, vp=2000.0, qp=50.0, f0=12.0),
               ("ViscoAcoustic(vp 2000 m/s, qp 50, f0 12.0, mechanisms 1, on Grid(shape=(21, 11)",)),
    "grid": (lambda: GRID, ("spacing=(10, 10) m",)),
    "time": (lambda: TIME, ("step=0.004 s",)),
    "survey": (survey, ("Survey of 1 shots", "Time(n=51, step=0.004 s", "sources   x 50 m, z 10 m")),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_on_a_line(name):
    make, said = SAID[name]
    text = repr(make())
    assert [part for part in said if part not in text] == [], text
    assert "\n" not in text or name == "survey"


@pytest.mark.parametrize("name", SAID)
def test_a_notebook_shows_a_table_of_the_same(name):
    made = SAID[name][0]()
    shown = made._repr_html_()
    assert shown.startswith("<table><caption><code>") and shown.count("<tr>") >= 2
    text = unescape(shown)
    values = {
        "modeling": "0.001333 s",
        "medium": "2000 m/s",
        "wavefield": "10 m",
        "survey": "x 50 m",
        "misfit": "kg/m3",
    }
    assert values.get(name, "") in text


def test_what_parts_say_alike_is_said_once():
    F = modeling()
    other = so.Projection(WAVES, [(50.0, 20.0)]) * so.Modeling(WAVES, so.Acoustic(GRID, 1600.0)) * F.children[2]
    assert repr(so.VStack([F, F])).count("Acoustic") == 1
    assert "rho 1000 kg/m3 and Acoustic, vp 1600 m/s;" in repr(F + other)
