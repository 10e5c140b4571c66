"""What is at each face of a model: layers of their own, free and rigid surfaces, and nothing."""

import numpy as np
import pytest
from cases import check_exact
from rock import MADE
from truth import Homogeneous, difference

import seisops as so

GRID = so.Grid((24, 21), 10.0)
WAVES = so.Wavefield(GRID, so.Time(91, 0.002), dtype="float64")
MEDIUM = so.Acoustic(GRID, np.random.default_rng(1).uniform(1500.0, 2000.0, GRID.shape), rho=1000.0)


def F(boundary, medium=MEDIUM, component=None, beyond=0.0, **options):
    low, high = np.array(GRID.extent, float).T
    points = np.random.default_rng(2).uniform(low - [beyond, 0.0], high, (5, 2))
    points[0, 1] = points[4, 1] = 0.0
    A = so.Modeling(WAVES, medium, boundary, space_order=4, **options)
    Pr, Ps = (so.Projection(WAVES, p, margin=beyond, component=component) for p in (points[:3], points[3:]))
    return Pr * A * Ps.H


def test_all_faces_alike_are_one_boundary():
    x = F(None).domain.random(0)
    pml, names = so.PML(cells=6), ("x_min", "x_max", "z_min", "z_max")
    for boundary, one in (
        (dict.fromkeys(names, pml), pml),
        (dict.fromkeys(names), None),
        ({"z_min": so.Sponge(cells=6)}, so.Sponge(cells=6)),
        ({"z_max": "pml"}, so.PML()),
    ):
        assert np.array_equal(F(boundary) @ x, F(one) @ x)
    free = F({**dict.fromkeys(names, pml), "z_min": "free"}) @ x
    assert np.array_equal(free, F(pml, free_surface=True) @ x)
    assert np.array_equal(free, F({**dict.fromkeys(names, pml), "z_min": "free"}, free_surface=True) @ x)


UNLIKE = {
    "thick and thin": {"x_min": so.PML(cells=6), "x_max": so.PML(cells=3), "z_min": so.PML(4, reflection=1e-3)},
    "one side": {"x_min": so.PML(cells=6), "x_max": None, "z_min": None, "z_max": None},
    "free": {"x_min": so.PML(cells=6), "x_max": None, "z_min": "free", "z_max": so.PML(cells=3)},
    "rigid": {"x_min": so.PML(cells=6), "x_max": so.PML(cells=6), "z_min": "rigid", "z_max": so.PML(cells=6)},
    "sponges": {"x_min": so.Sponge(cells=6), "x_max": None, "z_min": "rigid", "z_max": so.Sponge(cells=3)},
}


@pytest.mark.parametrize("name", UNLIKE)
@pytest.mark.parametrize("medium", ["acoustic", "solid"])
def test_faces_of_their_own(name, medium):
    """Exact adjoints and derivatives, whatever keeps the history, with points in a layer."""
    made = MEDIUM if medium == "acoustic" else MADE["solid"](GRID, np.random.default_rng(3))
    f = F(UNLIKE[name], made, "vz" if medium == "solid" else None, beyond=40.0)
    check_exact(f, 1e-11)
    q, y = f.domain.random(0), f.range.random(1)
    J = so.Jacobian(f, q, wrt=("vp", "rho"))
    check_exact(J, 1e-11)
    if name != "sponges":
        again = so.Jacobian(f, q, wrt=("vp", "rho"), storage=so.storage.Boundary()).H @ y
        assert np.linalg.norm(again - J.H @ y) < 1e-10 * np.linalg.norm(again)


@pytest.mark.parametrize("surface", ["free", "rigid"])
@pytest.mark.parametrize("medium", [so.Acoustic, so.Elastic])
def test_images_at_a_surface(surface, medium):
    """Of a fluid: pressure of a source and of its mirror image, of the opposite sign or the same."""
    c, rho, h, f0 = 2000.0, 1000.0, 10.0, 12.0
    grid, time = so.Grid((121, 81), h), so.Time(251, 0.002)
    waves = so.Wavefield(grid, time)
    fluid = so.Acoustic(grid, c, rho=rho) if medium is so.Acoustic else so.Elastic(grid, c, 0.0, rho)
    source, receivers = np.array([400.0, 93.0]), np.array([[633.0, 0.0], [701.0, 47.0], [520.0, 210.0]])
    A = so.Modeling(waves, fluid, boundary={"z_min": surface})
    Ps, Pr = so.Projection(waves, [source], component="p"), so.Projection(waves, receivers, component="p")
    late = time.samples - 1.3 / f0
    ricker, kappa = so.ricker(time, f0, delay=1.3 / f0), rho * c**2
    integral = late * np.exp(-((np.pi * f0 * late) ** 2))
    signal, scale = (ricker, 1.0) if medium is so.Acoustic else (integral, 2 * kappa)
    data = scale * (Pr * A * Ps.H @ signal[None, None])[0]
    for got, receiver in zip(data, receivers, strict=True):
        expected = Homogeneous(c, rho, surface).record("p", "p", integral, time.step, source, receiver)
        if surface == "free" and receiver[1] == 0.0:
            assert np.abs(got).max() < 0.02 * np.abs(data).max()
        else:
            assert difference(got, expected) < 0.02


def test_a_layer_of_its_own_absorbs():
    """What leaves through the face that has none comes back, and nothing else does."""
    grid, time = so.Grid((81, 81), 10.0), so.Time(301, 0.002)
    waves = so.Wavefield(grid, time)
    P = so.Projection(waves, [(400.0, 400.0)])

    def late(boundary):
        data = (P * so.Modeling(waves, so.Acoustic(grid, 2000.0), boundary) * P.H @ so.ricker(time, 15.0)[None, None])[
            0, 0
        ]
        return np.abs(data[220:]).max()

    thin, thick = so.PML(cells=2), so.PML(cells=12)
    open_, closed = late(thick), late({"x_max": None})
    assert closed > 30 * open_
    assert open_ < late({"x_min": thin, "x_max": thick, "z_min": thick, "z_max": thick}) < closed


@pytest.mark.parametrize(
    ("boundary", "options", "words"),
    [
        ({"top": "free"}, {}, "no face 'top'; it has x_min, x_max, z_min, z_max"),
        ({"x_min": "free"}, {}, "a free surface is at the low end of the last axis only"),
        ("rigid", {}, "as in boundary={'z_min': 'rigid'}"),
        ({"z_min": "rigid"}, {"free_surface": True}, "cannot be both"),
        ({"z_min": "wall"}, {}, "use PML"),
        ({"x_min": so.PML}, {}, "use PML"),
        ({"x_min": so.PML(), "x_max": so.Sponge()}, {}, "of one kind"),
        ({"x_min": so.PML(multiaxial=0.1)}, {}, "of one kind"),
        (7, {}, "use PML"),
    ],
)
def test_faces_that_cannot_be(boundary, options, words):
    with pytest.raises(so.ParameterError, match=words):
        so.Modeling(WAVES, MEDIUM, boundary, **options)
