"""Elastic whole spaces: closed forms in time by hand, acoustics, reciprocity, and the traces of other codes."""

import itertools

import numpy as np
import pytest
from test_truth import ricker, ricker_integral, ricker_rate
from truth import Homogeneous, difference
from truth_elastic import Elastic
from truth_viscous import constant_q

VP, VS, RHO = 2000.0, 1100.0, 1200.0
STEP = 0.001
T = STEP * np.arange(1200)
SOLID, FLUID = Elastic(VP, VS, RHO), Elastic(VP, 0.0, RHO)
LOSSY = Elastic(constant_q(40, 0.012).velocity(VP), constant_q(25, 0.015).velocity(VS), RHO)
SOURCE3, RECEIVER3 = np.array([10.0, -20.0, 400.0]), np.array([110.0, 60.0, 290.0])
SOURCE, RECEIVER = np.array([10.0, 400.0]), np.array([140.0, 310.0])
FORCES2, STRESSES2 = ["vx", "vz"], ["sxx", "szz", "sxz"]
FORCES3, STRESSES3 = ["vx", "vy", "vz"], ["sxx", "syy", "szz", "syz", "sxz", "sxy"]
#: What sets off which waves, and what hears them; those that mean the same in plane strain and in three dimensions.
PAIRS = [("vz", "vx"), ("vx", "szz"), ("sxz", "vx"), ("szz", "sxz"), ("sxx", "sxx"), ("vz", "uz")]
SOME = [*PAIRS, ("vz", "p"), ("p", "sxx"), ("p", "vx"), ("p", "p")]
#: Of numbers of any size: errors of rounding are this large beside the largest.
ROUNDING = 1e-9


def record(medium, drive, heard, source=SOURCE, receiver=RECEIVER, t=T):
    return medium.record(drive, heard, ricker(t), STEP, source, receiver)


# ---- three dimensions, in time


def far(t, r, c):
    """Of ``1 / (4 pi rho c^2 r)``, delayed."""
    return ricker_rate(t - r / c) / (4 * np.pi * RHO * c**2 * r)


@pytest.mark.parametrize("heard", FORCES3)
@pytest.mark.parametrize("drive", FORCES3)
def test_velocity_of_a_force_in_three_dimensions(drive, heard):
    """Aki & Richards (2002), eq. 4.23, its rate: what is near is the mean of what left between P and S."""
    offset = RECEIVER3 - SOURCE3
    r = np.linalg.norm(offset)
    (i,), (j,) = (["xyz".index(name[1])] for name in (heard, drive))
    n, same = offset / r, float(heard == drive)
    # int of tau f'(t - tau) from r / VP to r / VS, by parts: -tau f(t - tau), and the integral of f(t - tau)
    ends = [-(r / c) * ricker(T - r / c) - ricker_integral(T - r / c) for c in (VS, VP)]
    near = (3 * n[i] * n[j] - same) * (ends[0] - ends[1]) / (4 * np.pi * RHO * r**3)
    exact = near + n[i] * n[j] * far(T, r, VP) + (same - n[i] * n[j]) * far(T, r, VS)
    assert difference(record(SOLID, drive, heard, SOURCE3, RECEIVER3), exact) < 1e-7


@pytest.mark.parametrize("heard", FORCES3)
def test_velocity_of_an_explosion_in_three_dimensions(heard):
    """P alone, whatever the shear: Aki & Richards (2002), eq. 4.29 of three equal dipoles."""
    offset = RECEIVER3 - SOURCE3
    r = np.linalg.norm(offset)
    late = T - r / VP
    outward = (ricker(late) / r + ricker_rate(late) / VP) / (4 * np.pi * RHO * VP**2 * r)
    exact = outward / 3 * offset["xyz".index(heard[1])] / r
    assert difference(record(SOLID, "p", heard, SOURCE3, RECEIVER3), exact) < 1e-7


def radiation(heard, drive, n):
    """Of P and S, far from a moment: n_i n_j n_k M_jk and (delta_ij - n_i n_j) n_k M_jk."""
    m = np.zeros((3, 3))
    i, j = ("xyz".index(letter) for letter in drive[1:])
    m[i, j] = m[j, i] = 1.0
    p = n * (n @ m @ n)
    return p["xyz".index(heard[1])], (m @ n - p)["xyz".index(heard[1])]


@pytest.mark.parametrize("heard", FORCES3)
@pytest.mark.parametrize("drive", STRESSES3)
def test_velocity_of_a_moment_far_away(drive, heard):
    """Aki & Richards (2002), eq. 4.29: with the rate of the moment rate, and the sign of what is put into the stress."""
    offset = np.array([21e3, 17e3, -26e3])
    r = np.linalg.norm(offset)
    got = SOLID.record(drive, heard, ricker(T), STEP, SOURCE3, SOURCE3 + offset)
    assert np.abs(got).max() < 1e-30  # too early
    t = STEP * np.arange(36000)
    got = SOLID.record(drive, heard, ricker(t), STEP, SOURCE3, SOURCE3 + offset)
    p, s = radiation(heard, drive, offset / r)
    exact = -(p * far(t, r, VP) / VP + s * far(t, r, VS) / VS)
    assert difference(got, exact) < 0.01


# ---- by derivatives of what has been tested


@pytest.mark.parametrize("ndim", [2, 3])
def test_moments_are_pairs_of_forces_and_stresses_follow_strains(ndim):
    """By finite differences of fourth order: here alone, so that no derivative is taken twice in the same way."""
    source, receiver = (SOURCE, RECEIVER) if ndim == 2 else (SOURCE3, RECEIVER3)
    stresses = STRESSES2 if ndim == 2 else STRESSES3
    axes, h = "xz" if ndim == 2 else "xyz", 0.5

    def slope(of, axis):
        at = [of(k * h * np.eye(ndim)[axis]) for k in (-2, -1, 1, 2)]
        return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h)

    for drive in stresses:
        i, j = (axes.index(letter) for letter in drive[1:])
        # f = div(M delta) is felt as minus the derivatives with the source, of forces whose signal is the moment
        pairs = {(i, j), (j, i)}
        expected = sum(
            -slope(lambda d, a=a: SOLID.record(f"v{axes[a]}", "uz", ricker(T), STEP, source + d, receiver), b)
            for a, b in pairs
        )
        assert difference(record(SOLID, drive, "vz", source, receiver), expected) < 1e-6
    for heard in stresses:
        i, j = (axes.index(letter) for letter in heard[1:])
        grad = [
            [slope(lambda d, a=a: record(SOLID, "vz", f"u{axes[a]}", source, receiver + d), b) for b in range(ndim)]
            for a in range(ndim)
        ]
        mu = RHO * VS**2
        expected = mu * (grad[i][j] + grad[j][i])
        if i == j:
            expected += (RHO * VP**2 - 2 * mu) * sum(grad[k][k] for k in range(ndim))
        assert difference(record(SOLID, "vz", heard, source, receiver), expected) < 1e-6


@pytest.mark.parametrize("medium", [SOLID, LOSSY], ids=["solid", "lossy"])
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("other", ["vz", "sxz", "sxx"])
def test_pressure_is_the_mean_of_normal_stresses(medium, ndim, other):
    """Heard, and driven."""
    where = (SOURCE, RECEIVER) if ndim == 2 else (SOURCE3, RECEIVER3)
    normal = ["sxx", "szz", "syy"][:ndim]
    mean = -sum(record(medium, other, name, *where) for name in normal) / ndim
    assert difference(record(medium, other, "p", *where), mean) < ROUNDING
    mean = -sum(record(medium, name, other, *where) for name in normal) / ndim
    assert difference(record(medium, "p", other, *where), mean) < ROUNDING


@pytest.mark.parametrize(("drive", "heard"), PAIRS)
@pytest.mark.parametrize("medium", [SOLID, LOSSY], ids=["solid", "lossy"])
def test_a_line_of_points_is_two_dimensional(medium, drive, heard):
    """Plane strain: sources stand all along y."""
    t, gap = T[:800], 10.0

    def point(y):
        return record(medium, drive, heard, np.insert(SOURCE, 1, y), np.insert(RECEIVER, 1, 0.0), t)

    line = gap * (point(0.0) + 2 * sum(point(gap * i) for i in range(1, int(1.2 * VP * t[-1] / gap))))
    assert difference(line, record(medium, drive, heard, t=t)) < 1e-6


@pytest.mark.parametrize("ndim", [2, 3])
def test_stresses_are_those_of_strains(ndim):
    """Hooke's law, for rates of both: a force that grows as the integral of another makes its stress in time."""
    where = (SOURCE, RECEIVER) if ndim == 2 else (SOURCE3, RECEIVER3)
    mu = RHO * VS**2
    lame = RHO * VP**2 - 2 * mu

    def rates(name):
        return SOLID.record("vx", name, ricker_integral(T), STEP, *where)

    trace = sum(rates(f"e{i}{i}") for i in ("xz" if ndim == 2 else "xyz"))
    for i, j in ("xx", "xz", "zz"):
        found = 2 * mu * rates(f"e{i}{j}") + lame * trace * (i == j)
        assert difference(found, record(SOLID, "vx", f"s{i}{j}", *where)) < 1e-6


# ---- symmetries


@pytest.mark.parametrize("medium", [SOLID, FLUID, LOSSY], ids=["solid", "fluid", "lossy"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_forces_are_reciprocal(medium, ndim):
    here, there = (SOURCE, RECEIVER) if ndim == 2 else (SOURCE3, RECEIVER3)
    for i, j in itertools.product(FORCES2 if ndim == 2 else FORCES3, repeat=2):
        assert difference(record(medium, i, j, here, there), record(medium, j, i, there, here)) < ROUNDING


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_a_stress_hears_drives_it(ndim):
    """A moment that is the stress of a strain is the transpose of hearing that stress."""
    here, there = (SOURCE, RECEIVER) if ndim == 2 else (SOURCE3, RECEIVER3)
    normal, stresses = ["sxx", "szz", "syy"][:ndim], STRESSES2 if ndim == 2 else STRESSES3
    mu = RHO * VS**2
    lame = RHO * VP**2 - 2 * mu

    def driven(row, heard, *where):
        """By the stress of a strain in this row."""
        rows = {name: lame + 2 * mu * (name == row) for name in normal} if row in normal else {row: mu}
        return sum(factor * record(SOLID, name, heard, *where) for name, factor in rows.items())

    for a in stresses:
        # what is odd in time changes sign where waves run the other way
        assert difference(-driven(a, "vz", there, here), record(SOLID, "vz", a, here, there)) < ROUNDING
        for b in stresses:
            assert difference(driven(a, b, here, there), driven(b, a, there, here)) < ROUNDING


@pytest.mark.parametrize("heard", ["vx", "vz"])
def test_moments_are_reciprocal_to_strains(heard):
    """The velocity that a moment rate makes is the strain, contracted with it, that a force makes there."""
    tensor = {("x", "x"): 2.0, ("z", "z"): 0.4, ("x", "z"): -0.7, ("z", "x"): -0.7}
    # the rate comes off the stress; "sxz" is both sxz and szx
    once = {f"s{i}{j}": -a for (i, j), a in tensor.items() if i <= j}
    velocity = sum(a * record(SOLID, name, heard) for name, a in once.items())
    integral = ricker_integral(T)  # as the rates of strains are heard
    strain = sum(a * SOLID.record(heard, f"e{i}{j}", integral, STEP, RECEIVER, SOURCE) for (i, j), a in tensor.items())
    assert difference(velocity, strain) < 1e-6


@pytest.mark.parametrize("medium", [SOLID, FLUID, LOSSY], ids=["solid", "fluid", "lossy"])
@pytest.mark.parametrize(("drive", "heard"), SOME)
def test_nothing_comes_before_p(medium, drive, heard):
    """Losses included: their waves run fastest where nothing has time to relax."""
    fastest = VP * (np.sqrt(constant_q(40, 0.012).unrelaxed) if medium is LOSSY else 1.0)
    source, receiver = np.array([0.0, 0.0]), np.array([900.0, 300.0])
    got = record(medium, drive, heard, source, receiver)
    if medium is FLUID and heard == "sxz":
        assert not got.any()
        return
    start = np.flatnonzero(np.abs(ricker(T)) > 1e-9)[0] * STEP
    early = start + np.hypot(*(receiver - source)) / fastest > T
    assert np.abs(got[early]).max() < 1e-8 * np.abs(got).max()
    assert np.abs(got[~early][:60]).max() > 1e-8 * np.abs(got).max()


# ---- limits


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("heard", ["vx", "vz", "p"])
def test_without_shear_it_is_acoustic(heard, ndim):
    """With f = rho a and m = ndim kappa q."""
    where = (SOURCE, RECEIVER) if ndim == 2 else (SOURCE3, RECEIVER3)
    acoustic = Homogeneous(VP, RHO)
    for force in ("vx", "vz"):
        assert difference(RHO * record(FLUID, force, heard, *where), record(acoustic, force, heard, *where)) < ROUNDING
    explosion = ndim * RHO * VP**2 * record(FLUID, "p", heard, *where)
    assert difference(explosion, record(acoustic, "p", heard, *where)) < ROUNDING


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("heard", ["vx", "vz", "p"])
def test_without_shear_losses_are_acoustic(heard, ndim):
    """Of a force; of an explosion kappa is no number there."""
    where = (SOURCE, RECEIVER) if ndim == 2 else (SOURCE3, RECEIVER3)
    expected = record(Homogeneous(LOSSY.vp, RHO), "vz", heard, *where)
    assert difference(RHO * record(Elastic(LOSSY.vp, 0.0, RHO), "vz", heard, *where), expected) < ROUNDING


@pytest.mark.parametrize("heard", ["vx", "vz", "sxx", "p"])
def test_little_shear_is_nearly_none(heard):
    """To an explosion; a force makes S, which is slow and strong then."""
    assert difference(record(Elastic(VP, 1.0, RHO), "p", heard), record(FLUID, "p", heard)) < 1e-5


@pytest.mark.parametrize(("drive", "heard"), SOME)
def test_high_quality_is_lossless(drive, heard):
    high = constant_q(1e6, 0.012)
    nearly = Elastic(high.velocity(VP), high.velocity(VS), RHO)
    assert difference(record(nearly, drive, heard), record(SOLID, drive, heard)) < 1e-4


@pytest.mark.parametrize("q", [5.0, 40.0, 1000.0])
def test_quality_of_one_solid(q):
    solid, w = constant_q(q, 0.01), np.geomspace(10, 1000, 201)
    m = solid(w)
    assert (m.real / m.imag).min() == pytest.approx(q, rel=1e-12) == (m.real / m.imag)[100]
    assert abs(solid(1e-12)) == pytest.approx(1.0) and abs(solid(1e12)) == pytest.approx(solid.unrelaxed)
