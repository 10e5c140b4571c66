"""Forces, dipoles and moment tensors: against exact seismograms, exact adjoints, one solve, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from cases import World, check_exact
from rock import rock
from test_elastic import OFFSETS, RHO, SOURCE, STEP, VP, VS, homogeneous, solid
from truth import Homogeneous, difference, fit
from truth_elastic import Elastic

import seisops as so
from seisops.errors import ParameterError

TRUTH = Elastic(VP, VS, RHO)
RECEIVERS = SOURCE[2] + OFFSETS[2]
#: Oblique, and of some length; a slip of 30 degrees on a fault, and what changes volume, too.
DIRECTION, LISTENING = np.array([3.0, -2.0]), np.array([1.0, 4.0])
ACROSS, SLIP = (np.array([np.cos(a), np.sin(a)]) for a in np.radians([30.0, 120.0]))
DOUBLE_COUPLE = np.outer(ACROSS, SLIP) + np.outer(SLIP, ACROSS)
MIXED = np.array([[2.0, -0.7], [-0.7, 0.4]])


def unit(n):
    return n / np.linalg.norm(n)


def moment(tensor):
    """The truth's components of a moment tensor, whose rate comes off the stress; what is not on the diagonal once."""
    return {"sxx": -tensor[0, 0], "szz": -tensor[1, 1], "sxz": -tensor[0, 1]}


def force(direction):
    return dict(zip(("vx", "vz"), unit(direction), strict=True))


def exact(driven, heard, signal, receivers=RECEIVERS):
    """A sum of components driven, and of those heard, with weights."""
    return [
        sum(
            a * b * TRUTH.record(d, h, signal, STEP[2], SOURCE[2], r)
            for d, a in driven.items()
            for h, b in heard.items()
        )
        for r in receivers
    ]


def compare(data, truth, step=1.0):
    found = fit(data, truth, step=step)
    assert abs(found.delay) < 0.02 and abs(found.amplitude - 1) < 4e-3, found
    assert difference(data, truth) < 5e-3


SOURCES = {
    "double couple": (lambda w: so.MomentTensor(w, [SOURCE[2]], DOUBLE_COUPLE), moment(DOUBLE_COUPLE)),
    "mixed": (lambda w: so.MomentTensor(w, [SOURCE[2]], MIXED), moment(MIXED)),
    "explosion": (lambda w: so.MomentTensor(w, [SOURCE[2]], np.eye(2)), {"p": 2.0}),
    "force": (lambda w: so.Force(w, [SOURCE[2]], DIRECTION), force(DIRECTION)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_elastic_sources_and_receivers(name):
    """Off the nodes, in a whole space: the rate of a moment in N/s and a force in N/m make these m/s and Pa."""
    shot = homogeneous(2, solid)
    make, driven = SOURCES[name]
    R = [so.Projection(shot.waves, RECEIVERS, component="vx")]
    R += [so.Force(shot.waves, RECEIVERS, LISTENING), so.MomentTensor(shot.waves, RECEIVERS, MIXED)]
    F = so.VStack(R) * shot.A * make(shot.waves).H
    found = (F @ shot.signal[None, None].astype("float32")).reshape(3, len(RECEIVERS), -1)
    step = shot.A.discretisation.dt / STEP[2]
    for data, heard in zip(found, ({"vx": 1.0}, force(LISTENING), moment(MIXED)), strict=True):
        compare(data, exact(driven, heard, shot.signal.astype(float)), step)


def test_dipoles_in_a_fluid_are_forces():
    """Of strength f / rho; and read, minus density times the acceleration."""
    shot = homogeneous(2, lambda grid: so.Acoustic(grid, VP, rho=RHO))
    space, n, m = Homogeneous(VP, RHO), unit(DIRECTION), unit(LISTENING)
    P, signal = so.Projection(shot.waves, RECEIVERS), shot.signal[None, None].astype("float32")
    D = so.Dipole(shot.waves, RECEIVERS, LISTENING)

    def truth(driven, heard):
        return [
            sum(
                a * b * space.record(d, h, signal[0, 0].astype(float), STEP[2], SOURCE[2], r)
                for d, a in driven
                for h, b in heard
            )
            for r in RECEIVERS
        ]

    pressure = P * shot.A * so.Dipole(shot.waves, [SOURCE[2]], DIRECTION).H @ signal
    compare(pressure[0], truth([("vx", n[0]), ("vz", n[1])], [("p", 1.0)]))
    gradient = D * shot.A * so.Projection(shot.waves, [SOURCE[2]]).H @ signal
    # the signal is the rate of what is injected, of which the velocity's rate is heard
    compare(gradient[0], truth([("p", 1.0)], [("vx", -RHO * m[0]), ("vz", -RHO * m[1])]))


@pytest.mark.parametrize("direction", [(0.0, 1.0), (1.0, 1.0)])
def test_a_dipole_below_a_free_surface(direction):
    """A cell and a half: its derivatives look at the mirror image of the field."""
    c, h, step = 2000.0, 10.0, 0.002
    time = so.Time(281, step)
    waves = so.Wavefield(so.Grid((91, 71), h), time)
    source, receivers = np.array([403.0, 15.0]), [[620.0, 12.0], [250.0, 300.0]]
    A = so.Modeling(waves, so.Acoustic(waves.grid, c), free_surface=True)
    signal = so.ricker(time, c / (8 * h * 2.3), delay=0.13)
    data = so.Projection(waves, receivers) * A * so.Dipole(waves, [source], direction).H @ signal[None, None]
    space, n = Homogeneous(c, surface="free"), unit(np.array(direction))
    truth = [
        sum(
            a * space.record(d, "p", signal.astype(float), step, source, np.array(r))
            for d, a in zip(("vx", "vz"), n, strict=True)
            if a
        )
        for r in receivers
    ]
    for one, other in zip(data[0], truth, strict=True):
        assert difference(one, other) < 1e-2


# ---- the algebra, in rough media


def several(w, seed=3):
    """Two points of each shot, anywhere, with what differs from point to point."""
    rng = np.random.default_rng(seed)
    low, high = np.array(w.waves.grid.extent).T
    x = rng.uniform(low, high, (w.waves.shots, 2, len(low)))
    n, m = rng.standard_normal((2, len(low))), rng.standard_normal((2, len(low), len(low)))
    return x, n, m + np.swapaxes(m, 1, 2)


def around(w):
    x, n, m = several(w)
    R = so.VStack([so.Force(w.waves, x, n), so.MomentTensor(w.waves, x + 5.0, m, margin=5.0), w.points("p")])
    return R, so.HStack([so.MomentTensor(w.waves, x, m).H, so.Force(w.waves, x, n[0]).H])


def test_adjoints_are_exact():
    w = rock("elastic")
    R, S = around(w)
    check_exact(R * w.A * S, 1e-11)


def test_adjoints_are_exact_in_three_dimensions():
    w = rock("elastic", 3)
    x, n, m = several(w)
    check_exact(so.Force(w.waves, x, n) * w.A * so.MomentTensor(w.waves, x, m).H, 1e-11)


def test_derivatives_by_the_medium_are_exact():
    w = rock("elastic")
    x, n, m = several(w)
    F = so.Force(w.waves, x, n) * w.A * so.MomentTensor(w.waves, x, m).H
    check_exact(so.Jacobian(F, F.domain.random(5), wrt=("lam", "mu", "rho")), 1e-11)


@pytest.mark.parametrize("surface", [False, True])
def test_adjoints_of_dipoles_are_exact(surface):
    w = World(surface=surface)
    x = np.array([[60.0, 0.0], [113.0, 3.0], [41.0, 200.0]])
    D = so.Dipole(w.waves, x, [(1.0, 2.0), (0.0, 1.0), (1.0, 0.0)])
    check_exact(D * w.A * D.H)


def test_everything_is_one_solve(monkeypatch):
    """Forward and adjoint, with what stands around it."""
    runs = []
    original = so.Modeling.solve
    monkeypatch.setattr(so.Modeling, "solve", lambda self, *sides: runs.append(sides) or original(self, *sides))
    w = rock("elastic")
    R, S = around(w)
    F = 2.0 * R * w.A * S
    y = F @ F.domain.random(0)
    assert len(runs) == 1 and so.fuse(F)._formula().count("Ainv") == 1
    F.H @ y
    assert len(runs) == 1, "the adjoint is that of the same solve"


def test_shots_of_their_own():
    """Other numbers of points, directions and tensors in each shot; some of the shots are those of all."""
    w = rock("elastic", shots=3)
    x = [[[60.0, 70.0], [120.0, 90.0]], [[100.0, 50.0]], [[100.0, 50.0]]]
    n = [[[1.0, 0.0], [1.0, 2.0]], [0.0, 1.0], [[3.0, 1.0]]]
    F = so.Force(w.waves, x, n) * w.A * so.MomentTensor(w.waves, x, [np.eye(2), [MIXED], MIXED]).H
    q = F.domain.random(1)
    d, parts = F @ q, F[[2, 0]]
    check_exact(F, 1e-11)
    assert np.array_equal(np.ravel(parts @ F.domain.take(q, [2, 0])), np.ravel(F.range.take(d, [2, 0])))
    alone = w.A[[1]]
    P = [so.Projection(alone.domain, x[1], component=name) for name in ("vz", "sxx", "szz", "sxz")]
    S = sum(a * p.H for a, p in zip((-2.0, -0.4, 0.7), P[1:], strict=True))
    np.testing.assert_allclose(
        P[0] * alone * S @ F.domain.take(q, [1]), [d[[2]]], rtol=1e-12, atol=1e-12 * np.abs(d).max()
    )


def test_what_is_along_an_axis_is_a_projection():
    w = rock("elastic")
    x, _, _ = several(w)
    q = np.random.default_rng(0).standard_normal((1, 2, w.waves.time.n))

    def same(S, scale, component):
        P = so.Projection(w.waves, x, component=component)
        a, b = w.points("vx") * w.A * S.H @ q, scale * (w.points("vx") * w.A * P.H @ q)
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13 * np.abs(b).max())

    same(so.Force(w.waves, x, (0.0, 3.0)), 1.0, "vz")
    same(so.MomentTensor(w.waves, x, [[0.0, 2.0], [2.0, 0.0]]), -2.0, "sxz")
    same(so.MomentTensor(w.waves, x, np.eye(2)), 2.0, "p")
    heard = [leaf for leaf in so.Force(w.waves, x, (0.0, 3.0)).leaves() if isinstance(leaf, so.Projection)]
    assert [P.component for P in heard] == ["vz"], "what weighs nothing is left out"


# ---- what is refused

WAVES = so.Wavefield(so.Grid((24, 21), 10.0), so.Time(31, 0.002), shots=2)
POINTS = [[100.0, 90.0], [120.0, 60.0], [50.0, 60.0]]


# ---- faults

#: By strike, dip and rake in degrees, entries of the tensor that are not zero, with x north, y east and z down.
FAULTS = {
    "upright, north, left-lateral": ((0, 90, 0), {"xy": 1}),
    "its auxiliary plane": ((90, 90, 180), {"xy": 1}),
    "upright, northeast, left-lateral": ((45, 90, 0), {"xx": -1, "yy": 1}),
    "thrust of 45 degrees, north": ((0, 45, 90), {"yy": -1, "zz": 1}),
    "normal fault of 45 degrees, east": ((90, 45, -90), {"xx": 1, "zz": -1}),
    "upright dip slip, east side up": ((0, 90, 90), {"yz": -1}),
    "flat, to the north": ((0, 0, 0), {"xz": -1}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_tensors_of_faults(name):
    angles, entries = FAULTS[name]
    expected = np.zeros((3, 3))
    for (i, j), value in entries.items():
        expected["xyz".index(i), "xyz".index(j)] = expected["xyz".index(j), "xyz".index(i)] = value
    found = so.double_couple(*np.radians(angles))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    swapped = so.double_couple(*np.radians(angles), north="y")
    np.testing.assert_allclose(swapped, expected[[1, 0, 2]][:, [1, 0, 2]], atol=1e-12)


def test_any_fault_is_a_double_couple():
    """By entries as in box 4.4 of Aki & Richards (2002): no volume changes, as it would in an explosion, no third couple."""
    rng = np.random.default_rng(0)
    s, d, r = rng.uniform(-np.pi, np.pi, 40), rng.uniform(0.0, np.pi / 2, 40), rng.uniform(-np.pi, np.pi, 40)
    m = so.double_couple(s, d, r)
    sin, cos = np.sin, np.cos
    box = {
        (0, 0): -(sin(d) * cos(r) * sin(2 * s) + sin(2 * d) * sin(r) * sin(s) ** 2),
        (0, 1): sin(d) * cos(r) * cos(2 * s) + sin(2 * d) * sin(r) * sin(2 * s) / 2,
        (0, 2): -(cos(d) * cos(r) * cos(s) + cos(2 * d) * sin(r) * sin(s)),
        (1, 1): sin(d) * cos(r) * sin(2 * s) - sin(2 * d) * sin(r) * cos(s) ** 2,
        (1, 2): -(cos(d) * cos(r) * sin(s) - cos(2 * d) * sin(r) * cos(s)),
        (2, 2): sin(2 * d) * sin(r),
    }
    for (i, j), value in box.items():
        np.testing.assert_allclose(m[:, i, j], value, atol=1e-14)
        np.testing.assert_array_equal(m[:, i, j], m[:, j, i])
    np.testing.assert_allclose(np.linalg.eigvalsh(m), [[-1.0, 0.0, 1.0]] * 40, atol=1e-14)
    assert so.double_couple(0.1, d, r[:, None]).shape == (40, 40, 3, 3)


def test_the_tensor_of_an_earthquake():
    """Tohoku, 11 March 2011, by the Global CMT catalogue: tensor and best double couple, which it is to a few percent."""
    rr, tt, pp, rt, rp, tp = 1.730, -0.281, -1.450, 2.120, 4.550, -0.657
    tensor = np.array([[tt, -tp, rt], [-tp, pp, -rp], [rt, -rp, rr]])
    found = 5.31 * so.double_couple(*np.radians((203.0, 10.0, 88.0)))
    assert np.linalg.norm(found - tensor) < 0.03 * np.linalg.norm(tensor)


def test_faults_in_a_section():
    dip = np.radians([20.0, 90.0])
    for strike, rake in ((np.pi / 2, np.pi / 2), (-np.pi / 2, -np.pi / 2)):
        flat = so.double_couple(strike, dip, rake, ndim=2)
        np.testing.assert_array_equal(flat, so.double_couple(strike, dip, rake)[:, ::2, ::2])
        np.testing.assert_allclose(np.linalg.eigvalsh(flat), [[-1.0, 1.0]] * 2, atol=1e-14)
    # the block above a fault that dips to the right of its strike, away from x, goes up it
    flat = so.double_couple(np.float32(np.pi / 2), np.float32(np.pi / 6), np.float32(np.pi / 2), ndim=2)
    up, across = np.array([np.cos(np.pi / 6), -np.sin(np.pi / 6)]), np.array([-np.sin(np.pi / 6), -np.cos(np.pi / 6)])
    np.testing.assert_allclose(flat, np.outer(up, across) + np.outer(across, up), atol=1e-6)
    S = so.MomentTensor(WAVES, POINTS, so.double_couple(np.pi / 2, [0.3] * len(POINTS), np.pi / 2, ndim=2))
    assert S.range == so.Projection(WAVES, POINTS).range


@pytest.mark.parametrize(
    ("angles", "options", "message"),
    [
        ((30.0, 0.5, 0.1), {}, r"strike is 30 rad, outside -6.283 to 6.283 rad: if it is in degrees, .*radians\(30\)"),
        ((0.0, [0.5, 45.0], 0.1), {}, r"dip is 45 rad, outside 0 to 1.571 rad: .*radians\(45\)"),
        ((0.0, -0.1, 0.0), {}, "dip is -0.1 rad"),
        ((0.0, 0.5, np.nan), {}, "rake is nan rad"),
        ((0.0, "steep", 0.0), {}, "double_couple dip='steep' is not an array of real numbers"),
        ((np.zeros(2), np.zeros(3), 0.0), {}, r"strike \(2,\), dip \(3,\), rake \(\), which do not broadcast"),
        ((0.0, 0.5, 0.0), {"north": "z"}, "north='z'.: 'x' or 'y'"),
        ((0.0, 0.5, 0.0), {"ndim": 4}, "ndim is 3, or 2"),
        ((0.0, 0.5, 0.0), {"ndim": 2, "north": "y"}, "section along x"),
        (
            (0.0, 0.5, np.pi / 2),
            {"ndim": 2},
            "0.841 of the moment lies across .* strike 0 and rake 1.571 rad. Model",
        ),
        ((np.pi / 2, 1.5, 0.0), {"ndim": 2}, "lies across the section"),
    ],
)
def test_angles_that_are_refused(angles, options, message):
    with pytest.raises(ParameterError, match=message):
        so.double_couple(*angles, **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: so.Force(WAVES, POINTS, (0.0, 0.0)), "Force direction of point 0 of shot 0 is zero"),
        (lambda: so.Force(WAVES, POINTS, [(1, 0), (0, 0), (1, 1)]), "point 1 of shot 0 is zero"),
        (
            lambda: so.Force(WAVES, POINTS, (1.0, 0.0, 0.0)),
            r"shape \(3,\); expected \(2,\) for all points, or \(3, 2\)",
        ),
        (lambda: so.Force(WAVES, POINTS, [(1, 0), (0, 1)]), r"shape \(2, 2\)"),
        (lambda: so.Force(WAVES, POINTS, [[(1.0, 0.0)] * 3] * 3), "given for 3 shots, but the wavefield has 2"),
        (lambda: so.Dipole(WAVES, POINTS, (np.nan, 0.0)), "Dipole direction of shot 0 has values that are not finite"),
        (lambda: so.Force(WAVES, POINTS, "up"), "not an array of numbers"),
        (lambda: so.Force(WAVES.grid, POINTS, (1, 0)), "Force needs a Wavefield first"),
        (lambda: so.Force(WAVES, [[900.0, 0.0]], (1, 0)), "outside the model"),
        (lambda: so.MomentTensor(WAVES, POINTS, np.eye(3)), r"shape \(3, 3\); expected \(2, 2\)"),
        (lambda: so.MomentTensor(WAVES, POINTS, [[1, 2], [2.5, 1]]), "Mxz is 2 and Mzx is 2.5"),
        (lambda: so.MomentTensor(WAVES, POINTS, np.zeros((2, 2))), "is zero"),
        (lambda: so.Projection(WAVES, POINTS, derivative="y"), "the grid has the axes"),
    ],
)
def test_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize(
    ("S", "missing"), [(so.Force(WAVES, POINTS, (1, 1)), "vx"), (so.MomentTensor(WAVES, POINTS, np.eye(2)), "sxx")]
)
def test_media_without_the_components(S, missing):
    """Named when a product is formed, with those that there are."""
    A = so.Modeling(WAVES, so.Acoustic(WAVES.grid, 2000.0))
    for form in (lambda: S * A, lambda: A * S.H):
        with pytest.raises(ParameterError, match=f"Acoustic has no component '{missing}'; it has 'p'"):
            form()
