"""Images of subsurface lags: what they correlate, their transposes by every storage policy, and where they focus."""

import numpy as np
import pytest
from cases import check_exact, world
from registry import POLICIES, example

import seisops as so
from seisops.check import dot_test
from seisops.errors import ParameterError
from seisops.wave.sampling.perturbation import Perturbation
from seisops.wave.storage.pool import Pool

pytestmark = pytest.mark.filterwarnings("ignore::seisops.DispersionWarning", "ignore::seisops.AccuracyWarning")

LAGS = {"x": range(-3, 4), "z": range(-1, 2)}


def apart(a, b):
    """Largest difference of two arrays, in parts of the largest value of the second."""
    return np.abs(a - b).max() / np.abs(b).max()


def elsewhere(a, cells):
    """An array so many cells before, NaN where that is beyond it."""
    out = np.full_like(a, np.nan)
    to = tuple(slice(max(n, 0), size + min(n, 0)) for n, size in zip(cells, a.shape[1:], strict=True))
    of = tuple(slice(max(-n, 0), size + min(-n, 0)) for n, size in zip(cells, a.shape[1:], strict=True))
    out[(slice(None), *to)] = a[(slice(None), *of)]
    return out


@pytest.mark.parametrize("ndim", [2, 3])
def test_it_correlates_wavefields_on_either_side(ndim):
    """Against NumPy's sum over products of whole wavefields, at one solver step for each sample."""
    w = world(ndim=ndim, shots=1)
    A = so.Modeling(w.waves, w.medium, boundary=so.PML(cells=6), space_order=4, dispersion=False)
    assert A.discretisation.ratio == 1
    F = w.Pr * A * w.Ps.H
    q, y = F.domain.random(5), F.range.random(6)
    lags = {"x": range(-2, 3), "z": range(-1, 3, 2)}
    image = so.Jacobian(F, q, lags=lags).H @ y
    u, v = ((A * w.Ps.H) @ q)[0], ((A.H * w.Pr.H) @ y)[0]
    before = np.concatenate([np.zeros_like(u[:1]), u[:-1]])
    u_tt = np.concatenate([(u[1:] - 2 * u[:-1] + before[:-1]), np.zeros_like(u[:1])]) / w.time.step**2
    inside = (slice(1, -1),) * ndim  # of the outermost cells, images have what is in the layer
    for i, h in enumerate(lags["x"]):
        for j, g in enumerate(lags["z"]):
            cells = (h, 0, g) if ndim == 3 else (h, g)
            there = elsewhere(u_tt, cells) * elsewhere(v, [-n for n in cells])
            expected = -np.prod(w.grid.spacing) * there.sum(axis=0)[inside]
            known = np.isfinite(expected)
            assert known.sum() > 0.4 * known.size
            assert apart(image[i, j][inside][known], expected[known]) < 1e-12
            if h:  # what is on the other side is another image
                assert apart(image[-1 - i, j][inside][known], expected[known]) > 0.1


@pytest.mark.parametrize("storage", POLICIES)
def test_every_storage_policy(storage, tmp_path):
    """Adjoints are exact, and products as near to those of a whole history as without lags, for what is exact."""
    w, kept = world(), POLICIES[storage]
    J = w.jacobian(lags=LAGS, storage=kept.make(w, tmp_path))
    check_exact(J)
    if kept.error < 1e-9:
        whole = w.jacobian(lags=LAGS, storage=so.storage.Full())
        x, y = J.domain.random(1), J.range.random(2)
        for a, b in ((J @ x, whole @ x), (J.H @ y, whole.H @ y)):
            assert np.array_equal(a, b) if kept.error == 0 else apart(a, b) < kept.error


WORLDS = {
    "a sponge": {"boundary": "sponge"},
    "no layer": {"boundary": "none"},
    "a free surface": {"surface": True},
    "substeps": {"substeps": True},
    "density": {"density": True},
    "three dimensions": {"ndim": 3},
    "single precision": {"dtype": "float32"},
}


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("storage", [so.storage.Full(), so.storage.Boundary()])
def test_exact_in_every_world_and_at_lag_0_the_image(name, storage):
    w = world(**WORLDS[name])
    if WORLDS[name].get("boundary") == "sponge" and isinstance(storage, so.storage.Boundary):
        pytest.skip("a sponge loses energy everywhere")
    J, plain = w.jacobian(wrt="vp", lags=LAGS, storage=storage), w.jacobian(wrt="vp", storage=storage)
    check_exact(J)
    y, dm = J.range.random(3), plain.domain.random(4)
    x = J.domain.zeros()
    x[3, 1] = dm
    rounding = 1e-14 if w.dtype == "float64" else 1e-5
    assert apart((J.H @ y)[3, 1], plain.H @ y) < rounding
    assert apart(J @ x, plain @ dm) < rounding


MEDIA = {
    "viscoacoustic": (so.ViscoAcoustic, "qp"),
    "tilted": (so.TTI, "vp"),
    "elastic": (so.Elastic, "vp"),
    "viscoelastic": (so.ViscoElastic, "vp"),
}


@pytest.mark.parametrize("name", MEDIA)
def test_other_media(name):
    """What a derivation finds to be in one cell has lags, whatever the equation."""
    kind, wrt = MEDIA[name]
    w = world(shots=1)
    F = w.Pr * so.Modeling(w.waves, example(kind, w.grid), space_order=4) * w.Ps.H
    q, y = F.domain.random(5), F.range.random(6)
    J = so.Jacobian(F, q, wrt=wrt, lags={"x": range(-2, 3)})
    check_exact(J)
    assert apart((J.H @ y)[2], so.Jacobian(F, q, wrt=wrt).H @ y) < 1e-14


def test_several_parameters_at_a_time():
    w = world(shots=1)
    F = w.Pr * so.Modeling(w.waves, example(so.ViscoAcoustic, w.grid), space_order=4) * w.Ps.H
    q = F.domain.random(5)
    J = so.Jacobian(F, q, wrt=("vp", "qp"), lags={"x": range(-1, 2)})
    assert [axis.name for axis in J.domain.axes] == ["parameter", "lag_x", "x", "z"]
    check_exact(J)
    x = J.domain.random(1)
    each = [so.Jacobian(F, q, wrt=name, lags={"x": range(-1, 2)}) @ dp for name, dp in zip(J.wrt, x, strict=True)]
    # each by itself holds the other
    assert apart(J @ x, sum(each)) < 1e-12


def test_a_transpose_that_takes_the_other_side_is_none():
    """A negative control: what scatters to the left of what it hears is not the transpose of what scatters to the right."""
    J = world().jacobian(lags={"x": range(-3, 4)})
    x, y = J.domain.random(1), J.range.random(2)
    left, right = np.vdot(J @ x, y), np.vdot(x, J.H @ y)
    turned = np.vdot(x, (J.H @ y)[::-1])
    assert abs(left - right) < 1e-12 * abs(left)
    assert abs(left - turned) > 0.1 * abs(left)


def test_lags_beyond_a_window():
    """Where the background would come from beyond the grid of a shot, there is nothing."""
    w = world(shots=1)
    F = w.jacobian().F
    wide = so.Grid((201, 21), 10.0)
    J = so.Jacobian.within(
        Pool(np.inf, "cpu"), F, F.domain.random(5), Perturbation.of(wide, ("m",), {"x": range(-50, 51, 50)}, "correlation"),
        so.storage.Full(),
    )  # fmt: skip
    assert dot_test(J) < 1e-12
    image = J.H @ J.range.random(1)
    assert np.abs(image[1]).max() > 0
    assert not image[[0, 2]].any()


def scattered(velocity):
    """The image, with lags, of a point in a medium of 2000 m/s, migrated with another velocity."""
    grid, time = so.Grid((101, 61), 10.0), so.Time(301, 0.003)
    sources = np.array([[(x, 20.0)] for x in np.linspace(50.0, 950.0, 8)])
    waves = so.Wavefield(grid, time, len(sources))
    A = so.Modeling(waves, so.Acoustic(grid, vp=2000.0), max_velocity=2500.0)
    F = so.Projection(waves, [(x, 20.0) for x in grid.coordinates("x")]) * A * so.Projection(waves, sources).H
    q = np.tile(so.ricker(time, 12.0), (len(sources), 1, 1))
    point = np.zeros(grid.shape)
    point[50, 30] = 1e-8
    data = so.Jacobian(F, q) @ point
    return (so.Jacobian(F.at(vp=velocity), q, lags={"x": range(-12, 13)}).H @ data)[:, 35:66, 12:50]


def test_images_focus_in_the_right_velocity():
    """There, energy is at lag 0, and elsewhere farther from it, by ||h I|| / ||I|| (Symes 2008) and within 20 m of it."""
    h = np.arange(-12, 13)[:, None, None] * 10.0
    images = {velocity: scattered(velocity) for velocity in (1800.0, 2000.0, 2250.0)}
    width = {v: np.linalg.norm(h * image) / np.linalg.norm(image) for v, image in images.items()}
    near = {v: (np.linalg.norm(image[10:15]) / np.linalg.norm(image)) ** 2 for v, image in images.items()}
    strongest = np.unravel_index(np.abs(images[2000.0]).argmax(), images[2000.0].shape)
    assert strongest == (12, 15, 18)  # lag 0, where the point is
    for wrong in (1800.0, 2250.0):
        assert width[wrong] > 1.1 * width[2000.0]
        assert near[wrong] < 0.75 * near[2000.0]


def test_selected_shots_have_the_same_lags():
    J = world().jacobian(lags=LAGS)
    y = J.range.random(3)
    parts = sum(J[i].H @ J.range.take(y, [i]) for i in range(2))
    assert apart(parts, J.H @ y) < 1e-13
    assert [axis.origin for axis in J.domain.axes[:2]] == [-30.0, -10.0]


@pytest.mark.parametrize(
    ("lags", "says"),
    [
        (10, "give cells by axis"),
        ({}, "give cells by axis"),
        ({"y": [0]}, "one of x, z"),
        ({"x": []}, "whole numbers of cells"),
        ({"x": 3}, "whole numbers of cells"),
        ({"x": [0.5, 1.5]}, "whole numbers of cells"),
        ({"x": [0, 1, 3]}, "evenly spaced"),
        ({"x": [2, 1, 0]}, "ascending"),
        ({"x": range(-12, 13)}, "use lags of up to 11"),
    ],
)
def test_lags_that_make_no_sense(lags, says):
    with pytest.raises(ParameterError, match=says):
        world().jacobian(lags=lags)


@pytest.mark.parametrize("wrt", ["rho", ("m", "rho")])
def test_what_is_averaged_has_no_lags(wrt):
    with pytest.raises(ParameterError, match="b is averaged or differentiated"):
        world(density=True).jacobian(wrt=wrt, lags={"x": range(2)})


def test_there_is_no_illumination_of_lags():
    with pytest.raises(ParameterError, match="J has lags"):
        world().jacobian(lags=LAGS).illumination()
