"""Optical fibres: what gauges of any shape hear, against exact strain rates and against fields that are known."""

import pickle

import numpy as np
import pytest
from cases import check_exact
from rock import rock
from test_directed import compare
from test_elastic import RHO, SOURCE, STEP, VP, VS, homogeneous, solid
from truth import difference
from truth_elastic import Elastic

import seisops as so
from seisops.errors import ParameterError

TRUTH = Elastic(VP, VS, RHO)
#: Bent once, by 63 degrees, in the middle of the fourth gauge.
GAUGE, SPACING = 35.0, 47.0
CORNER = np.array([650.0, 640.0]) + (3 * SPACING + GAUGE / 2) * np.array([2.0, 1.0]) / 5**0.5
BENT = np.array([[650.0, 640.0], CORNER, CORNER + [0.0, 150.0]])
HELIX = np.radians(30.0)


def along(line, starts, gauge, cuts=40):
    """Points in the middle of pieces of gauges, and tangents there: shapes (channels, cuts, ndim)."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    s = starts[:, None] + gauge * (np.arange(cuts) + 0.5) / cuts
    piece = np.clip(np.searchsorted(arc, s) - 1, 0, len(line) - 2)
    tangents = np.diff(line, axis=0) / np.diff(arc)[:, None]
    return line[piece] + (s - arc[piece])[..., None] * tangents[piece], tangents[piece]


@pytest.mark.parametrize("driven", ["vz", "sxz"])
def test_a_bent_fibre_against_strain_rates(driven):
    """Straight and as a helix: of exact strain rates, integrated over each gauge, those in its direction and across it."""
    shot = homogeneous(2, solid)
    F = [so.Fibre(shot.waves, BENT, GAUGE, SPACING, wrapping=angle) for angle in (None, HELIX)]
    signal = shot.signal.astype(float)
    found = so.VStack(F) * shot.A * so.Projection(shot.waves, [SOURCE[2]], component=driven).H @ signal[None, None]
    starts = F[0].distances - GAUGE / 2
    points, tangents = along(BENT, starts, GAUGE, cuts=12)
    assert np.ptp(tangents, axis=1).any(axis=1).sum() == 1, "one gauge is bent"

    def rate(name, x):
        return TRUTH.record(driven, name, signal, STEP[2], SOURCE[2], x)

    straight, helix = [], []
    for channel, ways in zip(points, tangents, strict=True):
        rates = [[rate(name, x) for name in ("exx", "ezz", "exz")] for x in channel]
        axial = [t[0] ** 2 * e[0] + t[1] ** 2 * e[1] + 2 * t[0] * t[1] * e[2] for t, e in zip(ways, rates, strict=True)]
        across = [e[0] + e[1] - a for e, a in zip(rates, axial, strict=True)]
        straight.append(np.mean(axial, axis=0))
        helix.append(np.sin(HELIX) ** 2 * straight[-1] + np.cos(HELIX) ** 2 / 2 * np.mean(across, axis=0))
    found = found.reshape(2, len(starts), -1)
    for data, truth in zip(found, (straight, helix), strict=True):
        compare(data, truth, shot.A.discretisation.dt / STEP[2])
        assert max(map(difference, data, truth)) < 5e-3, "each channel"


LINES = {
    2: np.array([[50.0, 60.0], [90.0, 60.0], [120.0, 110.0], [120.0, 140.0], [170.0, 90.0]]),
    3: np.array([[50.0, 50.0, 50.0], [70.0, 50.0, 50.0], [70.0, 60.0, 50.0], [60.0, 55.0, 60.0]]),
}


@pytest.mark.parametrize("spacing", [None, 3.7, 25.0])
@pytest.mark.parametrize("ndim", LINES)
def test_gauges_of_a_field_that_grows_evenly(ndim, spacing):
    """Which is the same array for all components here: each gauge hears its slope along t times the sum of t."""
    grid = so.Grid((24, 21) if ndim == 2 else (13, 12, 11), 10.0)
    waves = so.Wavefield(grid, so.Time(2, 0.002), dtype="float64")
    line, gauge, slope = LINES[ndim], 17.0, np.array([2.0, -1.0, 0.5])[:ndim]
    x = np.stack(np.meshgrid(*(grid.coordinates(d) for d in range(ndim)), indexing="ij"), axis=-1)
    field = np.broadcast_to(x @ slope, waves.shape)
    fibre = so.Fibre(waves, line, gauge, spacing, interpolation="linear")
    _, tangents = along(line, fibre.distances - gauge / 2, gauge, cuts=17000)
    expected = np.mean(tangents.sum(axis=-1) * (tangents @ slope), axis=1)
    np.testing.assert_allclose((fibre @ field)[0, :, 0], expected, atol=1e-3)
    bends = np.ptp(tangents, axis=1).any(axis=1)
    assert bends.any()
    np.testing.assert_allclose((fibre @ field)[0, ~bends, 0], expected[~bends], rtol=1e-9)
    np.testing.assert_allclose(fibre.positions, along(line, fibre.distances - gauge / 2, gauge, cuts=1)[0][:, 0])
    helix = so.Fibre(waves, line, gauge, spacing, HELIX, interpolation="linear")
    across = slope.sum() - expected
    both = np.sin(HELIX) ** 2 * expected + np.cos(HELIX) ** 2 / 2 * across
    np.testing.assert_allclose((helix @ field)[0, :, 0], both, atol=2e-3)
    everywhere = so.Fibre(waves, line, gauge, spacing, np.arcsin(3**-0.5), interpolation="linear")
    np.testing.assert_allclose((everywhere @ field)[0, :, 0], slope.sum() / 3, atol=1e-3)


def test_of_some_shots_it_is_a_fibre_still():
    """Alone, within a stack and pickled: its channels are where they were."""
    waves = so.Wavefield(so.Grid((24, 21), 10.0), so.Time(3, 0.002), shots=3, dtype="float64")
    fibre = so.Fibre(waves, LINES[2], 17.0, 25.0)
    force = so.Force(waves, [(50.0, 60.0)], [[(1.0, 2.0)], [(1.0, 0.0)], [(0.0, 3.0)]])
    some = so.VStack([force, fibre])[[2, 0]].children
    field = waves.random(0)
    for kept in (fibre[1:], fibre[0], some[1], pickle.loads(pickle.dumps(fibre[1:]))):
        assert isinstance(kept, so.Fibre) and str(kept).startswith("Fibre")
        np.testing.assert_array_equal(kept.positions, fibre.positions)
        np.testing.assert_array_equal(kept.distances, fibre.distances)
    assert isinstance(some[0], so.Force) and some[0].shots == 2
    for whole, part in ((force, some[0]), (fibre, some[1])):
        heard = part @ field[[2, 0]]
        assert heard.any() and np.array_equal(heard, (whole @ field)[[2, 0]])
        assert part.H.H is part and part[1].domain.shots == 1


def test_a_straight_gauge_is_a_difference():
    w = rock("elastic")
    fibre = so.Fibre(w.waves, [[60.0, 50.0], [180.0, 50.0], [180.0, 50.0 + 30.0]], gauge=20.0, spacing=10.0)
    assert np.array_equal(fibre.distances, 10.0 * np.arange(1, 15))
    np.testing.assert_allclose(fibre.positions[[0, 1, 13]], [[70.0, 50.0], [80.0, 50.0], [180.0, 70.0]])
    ends = [[70.0, 50.0], [90.0, 50.0]]
    P = so.Projection(w.waves, ends, component="vx")
    S = w.points("sxz", 2, seed=2).H
    q = S.domain.random(4)
    v, d = P * w.A * S @ q, fibre * w.A * S @ q
    np.testing.assert_allclose(d[0, 1], (v[0, 1] - v[0, 0]) / 20.0, rtol=0, atol=1e-12 * np.abs(d).max())
    # around the bend, half of a gauge on either side
    P, Q = (
        so.Projection(w.waves, [x, [180.0, 50.0]], component=c)
        for x, c in (([170.0, 50.0], "vx"), ([180.0, 60.0], "vz"))
    )
    v, u = P * w.A * S @ q, Q * w.A * S @ q
    bent = (v[0, 1] - v[0, 0] + u[0, 0] - u[0, 1]) / 20.0
    np.testing.assert_allclose(d[0, 11], bent, rtol=0, atol=1e-12 * np.abs(d).max())


@pytest.mark.parametrize("wrapping", [None, 0.6])
def test_adjoints_are_exact_and_one_solve(wrapping, monkeypatch):
    runs = []
    original = so.Modeling.solve
    monkeypatch.setattr(so.Modeling, "solve", lambda self, *sides: runs.append(sides) or original(self, *sides))
    w = rock("elastic")
    fibre = so.Fibre(w.waves, LINES[2], 17.0, 5.0, wrapping)
    F = so.VStack([fibre, w.points("p")]) * w.A * so.Fibre(w.waves, LINES[2][1:], 12.0).H
    check_exact(F, 1e-11)
    assert len(runs) == 1


WAVES = so.Wavefield(so.Grid((24, 21), 10.0), so.Time(31, 0.002), shots=2)
LINE = [[50.0, 60.0], [90.0, 60.0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: so.Fibre(WAVES, LINE, 40.1), "gauge of 40.1 m is longer than the fibre, which has 40 m"),
        (lambda: so.Fibre(WAVES, LINE, 0.0), "Fibre gauge must be a positive and finite number in metres"),
        (lambda: so.Fibre(WAVES, LINE, 10.0, spacing=-1.0), "Fibre spacing must be"),
        (lambda: so.Fibre(WAVES, LINE, 10.0, wrapping=30.0), "more than pi/2.*30 degrees are 0.5236"),
        (lambda: so.Fibre(WAVES, LINE[:1], 10.0), r"shape \(1, 2\); expected \(vertices, 2\)"),
        (lambda: so.Fibre(WAVES, [[50.0, 60.0, 1.0], [60.0, 0.0, 1.0]], 5.0), r"shape \(2, 3\)"),
        (lambda: so.Fibre(WAVES, [*LINE, LINE[1]], 10.0), "vertices 1 and 2 in the same place"),
        (lambda: so.Fibre(WAVES, [LINE[0], [np.nan, 0.0]], 10.0), "not finite"),
        (lambda: so.Fibre(WAVES, [[50.0, 60.0], [950.0, 60.0]], 10.0), "outside the model"),
        (lambda: so.Fibre(WAVES.grid, LINE, 10.0), "Fibre needs a Wavefield first"),
    ],
)
def test_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_a_medium_without_velocities():
    A = so.Modeling(WAVES, so.Acoustic(WAVES.grid, 2000.0))
    with pytest.raises(ParameterError, match="Acoustic has no component 'vx'; it has 'p'"):
        so.Fibre(WAVES, LINE, 10.0) * A
