"""Waves at a plane: planes that are none, images, closed forms in time and of plane waves, and the trace of another code."""

import numpy as np
import pytest
from reference import traces
from test_truth import ricker
from truth import Homogeneous, difference, fit
from truth_elastic import Elastic
from truth_interface import Interface, Wave, fluid_over_solid
from truth_viscous import constant_q

STEP = 0.001
T = STEP * np.arange(500)
SOLID, OTHER = Elastic(2000.0, 1100.0, 1200.0), Elastic(2600.0, 1500.0, 2100.0)
SEA, HEAVY_SEA = Elastic(1500.0, 0.0, 1000.0), Elastic(1500.0, 0.0, 1700.0)
LOSSY = Elastic(constant_q(40, 0.012).velocity(2000.0), constant_q(25, 0.015).velocity(1100.0), 1200.0)
LAND, BOTTOM, CONTACT = Interface(None, SOLID), Interface(SEA, SOLID), Interface(SOLID, OTHER)
HIGH, LOW = (0.0, -60.0), (120.0, 45.0)
PAIRS = [("vz", "vx"), ("vx", "vx"), ("vz", "sxz"), ("sxz", "szz"), ("p", "vz"), ("p", "p")]


START = STEP * np.flatnonzero(np.abs(ricker(T)) > 1e-9)[0]


def record(medium, drive, heard, source, receiver, t=T):
    return medium.record(drive, heard, ricker(t), STEP, source, receiver)


# ---- planes that are none, and mirrors


@pytest.mark.parametrize("medium", [SOLID, SEA, LOSSY], ids=["solid", "sea", "lossy"])
@pytest.mark.parametrize(("source", "receiver"), [(HIGH, LOW), (LOW, HIGH), ((0.0, 60.0), LOW)])
@pytest.mark.parametrize(("drive", "heard"), PAIRS)
def test_a_plane_within_a_medium_is_none(medium, source, receiver, drive, heard):
    """What crosses it is the sum over wavenumbers alone, and it is the whole space; nothing comes back."""
    exact = record(medium, drive, heard, source, receiver)
    crossing = record(Interface(medium, medium), drive, heard, source, receiver)
    if medium.fluid and heard == "sxz":
        assert not exact.any() and not crossing.any()
    else:
        assert difference(crossing, exact) < 1e-7


@pytest.mark.parametrize(("drive", "heard"), [("p", "p"), ("p", "vx"), ("vz", "p"), ("vx", "vz")])
def test_the_free_surface_of_a_fluid_is_a_mirror(drive, heard):
    mirror = Homogeneous(SEA.vp, SEA.rho, "free")
    scale = 2 * SEA.rho * SEA.vp**2 if drive == "p" else SEA.rho  # to q and a
    got = scale * record(Interface(None, SEA), drive, heard, (0.0, 60.0), LOW)
    assert difference(got, record(mirror, drive, heard, (0.0, 60.0), LOW)) < 1e-9


def test_where_density_alone_changes_images_are_weaker():
    """Whatever the angle, by the difference of the densities over their sum."""
    back = (HEAVY_SEA.rho - SEA.rho) / (HEAVY_SEA.rho + SEA.rho)
    seas, (x, z) = Interface(SEA, HEAVY_SEA), LOW
    direct, image = (record(SEA, "p", "p", source, (x, -z)) for source in (HIGH, (0.0, 60.0)))
    assert difference(record(seas, "p", "p", HIGH, (x, -z)), direct + back * image) < 1e-9
    assert difference(record(seas, "p", "p", HIGH, LOW), (1 + back) * record(SEA, "p", "p", HIGH, LOW)) < 1e-9


# ---- conditions at the plane: what comes is heard by the closed form, what leaves by the sum


@pytest.mark.parametrize("drive", ["vz", "vx", "p", "sxz"])
def test_no_traction_at_a_free_surface(drive):
    for heard in ("szz", "sxz"):
        alone = record(SOLID, drive, heard, (0.0, 60.0), (120.0, 0.0))
        assert np.linalg.norm(record(LAND, drive, heard, (0.0, 60.0), (120.0, 0.0))) < 1e-9 * np.linalg.norm(alone)


@pytest.mark.parametrize(("plane", "same"), [(CONTACT, ["vx", "vz", "szz", "sxz"]), (BOTTOM, ["vz", "szz", "sxz"])])
@pytest.mark.parametrize("drive", ["vz", "p"])
@pytest.mark.parametrize("source", [HIGH, (0.0, 60.0)])
def test_what_goes_on_through_the_plane(plane, same, drive, source):
    most = np.linalg.norm(record(plane, drive, "szz", source, (120.0, 0.0)))
    for heard in same:
        above, below = (record(plane, drive, heard, source, (120.0, z)) for z in (-1e-9, 0.0))
        assert np.linalg.norm(above - below) < 1e-7 * (np.linalg.norm(below) if heard[0] == "v" else most)


@pytest.mark.parametrize("plane", [BOTTOM, CONTACT, Interface(SEA, LOSSY)], ids=["bottom", "contact", "lossy"])
@pytest.mark.parametrize("here", [HIGH, (0.0, 60.0)])
@pytest.mark.parametrize(("i", "j"), [("vx", "vx"), ("vx", "vz"), ("vz", "vz")])
def test_forces_are_reciprocal(plane, here, i, j):
    assert difference(record(plane, i, j, here, LOW), record(plane, j, i, LOW, here)) < 1e-7


# ---- plane waves


def reflected(slowness, sea, ground, w=60.0 - 1e-9j):
    """What leaves the bottom, first what comes back, and what came down, of potential 1."""
    k = w * slowness
    down = Wave(sea, False, k, w, up=False)
    return Interface(sea, ground).leaving(k, w, [(down, np.ones(k.shape))]), down


GRANITE = Elastic(4500.0, 2600.0, 2700.0)
SLOWNESS = np.sin(np.deg2rad(np.linspace(0.5, 89.5, 90))) / SEA.vp


@pytest.mark.parametrize("ground", [SOLID, GRANITE, HEAVY_SEA, Elastic(1800.0, 400.0, 1500.0)])
def test_the_formula_of_plane_waves(ground):
    """Before the critical angles and beyond them."""
    leaving, _ = reflected(SLOWNESS, SEA, ground)
    np.testing.assert_allclose(leaving[0][1], fluid_over_solid(SLOWNESS, SEA, ground), atol=1e-7)


def test_reflection_at_some_angles():
    """Straight down by impedances; all of it where nothing can go on."""
    z = [medium.rho * medium.vp for medium in (SEA, SOLID)]
    assert fluid_over_solid(0.0, SEA, SOLID) == pytest.approx((z[1] - z[0]) / (z[1] + z[0]), rel=1e-12)
    beyond = 1 / GRANITE.vs < SLOWNESS
    assert 40 < beyond.sum() < 80
    np.testing.assert_allclose(np.abs(fluid_over_solid(SLOWNESS[beyond], SEA, GRANITE)), 1.0, rtol=1e-12)
    assert np.abs(fluid_over_solid(SLOWNESS[~beyond], SEA, GRANITE)).min() < 0.9
    assert fluid_over_solid((1 - 1e-12) / SEA.vp, SEA, SOLID) == pytest.approx(-1.0, abs=1e-5)


def test_energy_goes_on():
    """Through the plane, per period: -Re(s_iz* v_i) / 2, of what leaves, of each wave, is what comes."""
    before = SLOWNESS[1 / SOLID.vp > SLOWNESS]
    leaving, down = reflected(before, SEA, SOLID)

    def flux(wave, potential):
        power = sum((wave.heard(f"s{i}z").conj() * wave.heard(f"v{i}")).real for i in "xz")
        return abs(potential) ** 2 * np.abs(power)

    assert len(leaving) == 3
    np.testing.assert_allclose(sum(flux(*each) for each in leaving), flux(down, 1.0), rtol=1e-6)


# ---- in time


@pytest.mark.parametrize("heard", ["ux", "uz"])
@pytest.mark.parametrize("x", [40.0, 150.0])
def test_an_explosion_below_a_free_surface(heard, x):
    """Garvin (1956), Proc. R. Soc. A 234, by the path of Cagniard and de Hoop; Sanchez-Sesma et al. (2013).

    With p along the path t = p x + eta_p h, from the arrival of P on, displacements at the surface are

        u = -1 / (2 pi rho vp^2) int m(t - t') Im(F dp/dt') dt',    R = (1 / vs^2 - 2 p^2)^2 + 4 p^2 eta_p eta_s,
        F_x = -2 p eta_s / (vs^2 R),    F_z = (1 / vs^2 - 2 p^2) / (vs^2 R),    eta = sqrt(1 / c^2 - p^2),

    and t' = (r / vp) cosh(a) takes away the singularity at the arrival.
    """
    h, vp, vs, rho = 60.0, SOLID.vp, SOLID.vs, SOLID.rho
    r = np.hypot(x, h)
    a = np.linspace(0.0, np.arccosh(T[-1] * vp / r), 6001)
    late = r / vp * np.cosh(a)
    p = (x * np.cosh(a) + 1j * h * np.sinh(a)) / (r * vp)
    dp = (x * np.sinh(a) + 1j * h * np.cosh(a)) / (r * vp)
    eta_p, eta_s = (np.sqrt(c**-2 - p**2) for c in (vp, vs))
    rayleigh = (vs**-2 - 2 * p**2) ** 2 + 4 * p**2 * eta_p * eta_s
    f = (-2 * p * eta_s if heard == "ux" else vs**-2 - 2 * p**2) / (vs**2 * rayleigh)
    kernel = np.imag(f * dp) * np.gradient(a) * np.where((a == a[0]) | (a == a[-1]), 0.5, 1.0)
    exact = -np.array([(ricker(t - late) * (late < t) * kernel).sum() for t in T]) / (2 * np.pi * rho * vp**2)
    assert difference(record(LAND, "p", heard, (0.0, h), (x, 0.0)), exact) < 1e-5


def test_waves_along_a_free_surface():
    """Rayleigh's are as fast as where R of the above is zero, between 0.87 and 0.96 of vs."""
    c = np.linspace(0.87, 0.96, 900001) * SOLID.vs
    eta_p, eta_s = (np.sqrt(c**-2.0 - each**-2) for each in (SOLID.vp, SOLID.vs))
    speed = c[np.abs((SOLID.vs**-2 - 2 * c**-2.0) ** 2 - 4 * c**-2.0 * eta_p * eta_s).argmin()]
    t = STEP * np.arange(1600)
    near, far = (record(LAND, "vz", "vz", (0.0, 20.0), (x, 0.0), t) for x in (900.0, 1300.0))
    assert 400.0 / (fit(far, near).delay * STEP) == pytest.approx(speed, rel=2e-3)


@pytest.mark.parametrize("plane", [BOTTOM, CONTACT], ids=["bottom", "contact"])
@pytest.mark.parametrize("z", [-30.0, 50.0])
def test_nothing_comes_too_early(plane, z):
    """Nothing runs faster along the plane than what is fastest below it."""
    got = record(plane, "p", "vz", (0.0, -60.0), (500.0, z))
    assert np.abs(got[START + 500.0 / plane.below.vp > T]).max() < 1e-8 * np.abs(got).max()


@pytest.mark.parametrize(("drive", "heard"), PAIRS)
def test_high_quality_is_lossless(drive, heard):
    high = constant_q(1e6, 0.012)
    nearly = Elastic(high.velocity(SOLID.vp), high.velocity(SOLID.vs), SOLID.rho)
    for source in (HIGH, (0.0, 60.0)):
        got = record(Interface(SEA, nearly), drive, heard, source, LOW)
        assert difference(got, record(BOTTOM, drive, heard, source, LOW)) < 1e-4


# ---- of another code


@pytest.mark.parametrize("trace", [0, 1])
def test_force_in_a_half_space(data, trace):
    """EX2DDIR, to its digits: particle velocity, along z upwards, of a downward force of 2 N/m.

    The Ricker is centred at 0.08 s, with samples from 0 on.
    """
    reference = traces(data, "half_space_force")
    step, before = 0.0005, 400
    signal = 2 * ricker(step * np.arange(-before, reference["ux"].shape[1]), 14.5, 0.08)
    half = Interface(None, Elastic(1500.0, 1000.0, 2200.0))
    receiver = [(60.0, 20.0), (62.0, 22.0)][trace]
    vx, vz = (half.record("vz", name, signal, step, (0.0, 60.0), receiver)[before:] for name in ("vx", "vz"))
    assert difference(reference["ux"][trace], vx) < 0.002
    assert difference(reference["uz"][trace], -vz) < 0.002
