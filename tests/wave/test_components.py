"""What is heard and what is driven by name: exact, whatever the physics, the layer and the sampler."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pylops
import pytest
from cases import check_exact
from rock import rock

import seisops as so
from seisops.errors import ParameterError

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")

#: Driven, heard.
PAIRS = {
    2: [("p", "p"), ("vx", "vz"), ("vz", "szz"), ("sxz", "vx"), ("sxx", "sxz"), ("p", "vz"), ("vx", "p")],
    3: [("vy", "syz"), ("sxy", "vz"), ("p", "syy")],
}


@pytest.mark.parametrize(("ndim", "driven", "heard"), [(ndim, *pair) for ndim in PAIRS for pair in PAIRS[ndim]])
def test_points(ndim, driven, heard):
    check_exact(rock("elastic", ndim).F(driven, heard), 1e-11)


@pytest.mark.parametrize("layer", ["sponge", "none"])
@pytest.mark.parametrize(("driven", "heard"), [("vx", "szz"), ("sxz", "p")])
def test_other_layers(layer, driven, heard):
    check_exact(rock("elastic", layer=layer).F(driven, heard), 1e-11)


@pytest.mark.parametrize(("driven", "heard"), [("p", "p"), ("vz", "vx"), ("sxz", "szz")])
def test_single_precision(driven, heard):
    check_exact(rock("elastic", dtype="float32").F(driven, heard), 1e-5)


#: Rotated derivatives under a PML take long to lower: there, one layer in two dimensions stands for all.
OTHERS = [
    ("vti", 2, "pml"),
    ("vti", 3, "none"),
    ("tti", 2, "pml"),
    ("tti", 3, "none"),
    ("dense_tti", 2, "pml"),
    ("viscous", 2, "pml"),
    ("viscous", 3, "none"),
    ("dense_viscous", 2, "pml"),
]


@pytest.mark.parametrize(("name", "ndim", "layer"), OTHERS)
def test_pressure_of_other_media(name, ndim, layer):
    check_exact(rock(name, ndim, layer).F(), 1e-11)


@pytest.mark.parametrize("name", ["vti", "viscous"])
def test_pressure_in_single_precision(name):
    check_exact(rock(name, dtype="float32").F(), 1e-5)


@pytest.mark.parametrize(("component", "other"), [("vx", "szz"), ("sxz", "p"), ("p", "vz")])
def test_extended_sources_and_snapshots(component, other):
    w = rock("elastic")
    signature = np.random.default_rng(4).standard_normal(w.waves.time.n)
    Pw = so.Wavelet(w.waves, signature, component)
    S = so.Snapshots(w.waves, w.waves.time.samples[[9, 17, 30]], component)
    check_exact(w.points(other) * w.A * Pw.H, 1e-11)
    check_exact(S * w.A * w.points(other, 2, seed=2).H, 1e-11)
    check_exact(S * w.A * so.Wavelet(w.waves, signature, other).H, 1e-11)


@pytest.mark.parametrize(("name", "layer"), [("tti", "sponge"), ("viscous", "pml")])
def test_extended_sources_and_snapshots_of_pressure(name, layer):
    w = rock(name, layer=layer)
    Pw = so.Wavelet(w.waves, np.random.default_rng(4).standard_normal(w.waves.time.n), "p")
    S = so.Snapshots(w.waves, w.waves.time.samples[[9, 17, 30]])
    check_exact(w.points() * w.A * Pw.H, 1e-11)
    check_exact(S * w.A * w.points("p", 2, seed=2).H, 1e-11)


def test_a_snapshot_is_what_points_hear():
    """At nodes, where half-cell fields are brought from their own places."""
    w = rock("elastic")
    nodes = np.array([[50.0, 70.0], [120.0, 110.0]])
    source = w.points("vz", 2, seed=2).H
    for component in ("p", "vx", "sxz"):
        picture = (so.Snapshots(w.waves, w.waves.time.samples[[20]], component) * w.A * source).dot(
            q := source.domain.random(0)
        )
        heard = so.Projection(w.waves, nodes, component=component) * w.A * source @ q
        found = picture[0, 0][tuple((nodes / 10).astype(int).T)]
        np.testing.assert_allclose(found, heard[0, :, 20], rtol=0, atol=1e-11 * np.abs(picture).max())


def test_several_components_in_one_solve():
    w = rock("elastic")
    stacked = so.VStack([w.points(c) for c in ("vx", "szz", "p")]) * w.A * w.points("vz", 2, seed=2).H
    q = stacked.domain.random(3)
    parts = np.concatenate([(w.F("vz", c) @ q).ravel() for c in ("vx", "szz", "p")])
    np.testing.assert_allclose(np.ravel(stacked @ q), parts, rtol=0, atol=1e-13 * np.abs(parts).max())
    check_exact(stacked, 1e-11)


def test_pressure_is_the_mean_stress():
    for w in (rock("elastic", 2), rock("elastic", 3, "none")):
        ndim = w.waves.grid.ndim
        q = w.F("vx").domain.random(3)
        normal = [w.F("vx", f"s{i}{i}") @ q for i in w.waves.grid.axes]
        np.testing.assert_allclose(w.F("vx", "p") @ q, -sum(normal) / ndim, rtol=0, atol=1e-12 * np.abs(normal).max())
        driven = [w.F(f"s{i}{i}", "vx") @ q for i in w.waves.grid.axes]
        np.testing.assert_allclose(w.F("p", "vx") @ q, -sum(driven) / ndim, rtol=0, atol=1e-12 * np.abs(driven).max())


def test_the_first_is_meant_where_none_is_named():
    w = rock("elastic")
    q = w.F().domain.random(1)
    np.testing.assert_array_equal(w.F() @ q, w.F("p", "p") @ q)


@pytest.mark.parametrize(
    ("name", "component"), [("elastic", "vy"), ("elastic", "szx"), ("viscous", "vz"), ("tti", "w")]
)
def test_unknown_components(name, component):
    """Refused when a product is formed, whatever stands around the sampler in it."""
    w = rock(name)
    P, Q = w.points(), w.points(component)
    R = pylops.Identity(P.range.size, dtype=P.dtype)
    products = {
        "read": lambda: Q * w.A,
        "written": lambda: w.A * Q.H,
        "read in the adjoint": lambda: Q * w.A.H,
        "in a column": lambda: so.VStack([P, Q]) * w.A,
        "in a row": lambda: w.A * so.HStack([P.H, 2.0 * Q.H]),
        "in a sum": lambda: (P + 2.0 * Q) * w.A,
        "of two solves": lambda: Q * (w.A + w.A.H),
        "of a column of solves": lambda: so.VStack([w.A, w.A]) * Q.H,
        "after a product": lambda: P * w.A * Q.H,
        "in a column of PyLops, opened": lambda: so.fuse(pylops.VStack([P, Q]) * w.A),
        "in a product of PyLops, opened": lambda: so.fuse((P + R * Q) * w.A),
    }
    for what, product in products.items():
        with pytest.raises(ParameterError, match=f"no component '{component}'") as caught:
            product()
        assert all(repr(known) in str(caught.value) for known in w.medium.components), what


def test_a_component_of_one_medium_before_the_solve_of_another():
    solid, w = rock("elastic"), rock("viscous")
    assert (solid.points("vz") * solid.A * w.A).range == solid.points("vz").range


def test_components_survive_pickling_selection_and_printing():
    w = rock("elastic", shots=3)
    F = w.F("vx", "szz")
    q = F.domain.random(2)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(F)) @ q, F @ q)
    np.testing.assert_allclose(F[[0, 2]] @ q[[0, 2]], (F @ q)[[0, 2]], rtol=0, atol=1e-14 * np.abs(F @ q).max())
    assert w.points("szz")[1].component == "szz" and so.plan(F)


ANOTHER = """
import numpy as np, seisops as so
grid = so.Grid((24, 21), 10.0)
waves = so.Wavefield(grid, so.Time(31, 0.002))
A = so.Modeling(waves, so.Elastic(grid, 2000.0, 1000.0, 2000.0))
P = so.Projection(waves, [[100.0, 90.0]], component="vx")
for driven in {driven}:
    F = P * A * so.Projection(waves, [[120.0, 70.0]], component=driven).H
    print(np.linalg.norm(F @ np.sin(np.arange(31.0))[None, None]))
"""


def test_what_another_process_has_made_fits(tmp_path):
    """Fields of a layer are numbered alike, whatever of an equation was found on the disk and what was derived."""

    def norms(driven):
        environment = {**os.environ, "SEISOPS_CACHE": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", ANOTHER.format(driven=driven)],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    (first,) = norms(["vz"])
    assert norms(["vz", "vx"])[0] == first
