"""Attenuation and dispersion of viscoacoustic waves, against another code's traces and against what Q was asked for."""

import numpy as np
import pytest
from reference import traces
from truth import Homogeneous, difference

import seisops as so
from seisops.wave.equations.relaxation import solids

C = 2000.0
TAU_EPSILON = (3.3490038309560245e-2, 3.3205062588009785e-3, 3.3551297958320871e-4)
TAU_SIGMA = (3.1830988618379068e-2, 3.1830988618379068e-3, 3.1830988618379068e-4)


def record(make, shape, h, time, source, receivers, signal):
    waves = so.Wavefield(so.Grid(shape, h), time, dtype="float64")
    A = so.Modeling(waves, make(waves.grid))
    F = so.Projection(waves, receivers) * A * so.Projection(waves, [source]).H
    return (F @ signal[None, None])[0]


@pytest.mark.parametrize(("kind", "bound"), [("p", 2e-2), ("p_lossless", 1e-2)])
def test_traces_of_another_code(data, kind, bound):
    """Three given solids, and the velocity that waves have before anything relaxes; 4 pi times the Green's function."""
    reference, lossless = traces(data, "viscoacoustic"), kind == "p_lossless"
    weights = (np.divide(TAU_EPSILON, TAU_SIGMA) - 1) / 3
    given = tuple(zip(TAU_SIGMA, weights, strict=True))

    def make(grid):
        if lossless:
            return so.Acoustic(grid, C)
        return so.ViscoAcoustic(grid, C, tau=1.0, f0=float("inf"), mechanisms=given)

    t = reference["t_lossless" if lossless else "t"]
    time = so.Time(int((t[-1] + 0.06) / 5e-4) + 1, 5e-4, start=-0.06)
    source = np.array([100.0, 100.0])
    (found,) = record(make, (401, 81), 2.5, time, source, [source + [800.0, 0.0]], so.ricker(time, 50.0, delay=0.0))
    truth = np.interp(time.samples, t, reference[kind] / (4 * np.pi), left=0.0, right=0.0)
    assert difference(found, truth) < bound


def test_hardly_any_loss_is_none():
    time, source = so.Time(151, 0.002), np.array([300.0, 300.0])
    receivers, signal = source + [[150.0, 80.0], [-90.0, 210.0]], so.ricker(time, 15.0)
    lossless, lossy = (
        record(make, (61, 61), 10.0, time, source, receivers, signal)
        for make in (
            lambda grid: so.Acoustic(grid, C),
            lambda grid: so.ViscoAcoustic(grid, C, 1e6, f0=15.0, mechanisms=2),
        )
    )
    assert difference(lossy, lossless) < 1e-3


def test_memory_between_the_steps_is_neither_driven_nor_heard():
    """So that at one step for each sample data are what the scheme makes, sample by sample, as of acoustic waves."""
    grid, time = so.Grid((21, 21), 10.0), so.Time(30, 0.001)
    waves, n = so.Wavefield(grid, time, dtype="float64"), time.n - 1
    media = so.Acoustic(grid, C), so.ViscoAcoustic(grid, C, 30.0, f0=15.0)
    assert [so.Modeling(waves, medium, dispersion=False).discretisation.steps for medium in media] == [n, n]
    velocities = so.Elastic(grid, C, 0.0, 1000.0)
    assert so.Modeling(waves, velocities, dispersion=False).discretisation.steps > n


@pytest.mark.parametrize("rho", [None, 1800.0])
@pytest.mark.parametrize("mechanisms", [1, 3])
def test_a_point_source_in_a_lossy_whole_space(mechanisms, rho):
    """The equations say what the modulus is: the correspondence principle does the rest, with a source as it is driven."""
    q, f0 = 40.0, 12.0
    time, source = so.Time(226, 0.002), np.array([553.7, 546.2])
    receivers, signal = source + [[210.0, 260.0], [-246.3, 158.4]], so.ricker(time, 10.0)
    medium = so.ViscoAcoustic(so.Grid((111, 111), 10.0), C, q, rho, f0=f0, mechanisms=mechanisms)
    found = record(lambda grid: medium, (111, 111), 10.0, time, source, receivers, signal)
    m, tau = (float(medium.coefficients()[name][0, 0]) for name in ("m", "tau"))

    def velocity(w):
        return np.sqrt((1 + tau * sum(s.weight * 1j * w * s.time / (1 + 1j * w * s.time) for s in medium.solids)) / m)

    exact = [Homogeneous(velocity).pressure(signal, time.step, source, r) for r in receivers]
    # with density data are so much larger, as those of Acoustic
    assert difference(found, (rho or 1.0) * np.array(exact)) < 5e-3
    # a negative control: without loss it is far off
    assert (
        difference(
            found, (rho or 1.0) * np.array([Homogeneous(C).pressure(signal, time.step, source, r) for r in receivers])
        )
        > 0.05
    )


@pytest.mark.parametrize(("mechanisms", "bound"), [(1, 1e-6), (2, 0.05), (3, 0.025)])
@pytest.mark.parametrize("q", [50.0, 200.0])
def test_the_modulus_has_the_quality_asked_for(q, mechanisms, bound):
    """At f0 for one mechanism, over a decade around it for more; and the phase velocity at f0 is vp."""
    f0 = 20.0
    medium = so.ViscoAcoustic(so.Grid((5, 5), 10.0), C, q, f0=f0, mechanisms=mechanisms)
    m, tau = (float(medium.coefficients()[name][0, 0]) for name in ("m", "tau"))

    def modulus(f):
        iw = 2j * np.pi * np.asarray(f)
        return (1 + tau * sum(s.weight * iw * s.time / (1 + iw * s.time) for s in solids(f0, mechanisms))) / m

    band = f0 * np.geomspace(10**-0.5, 10**0.5, 41) if mechanisms > 1 else np.array([f0])
    found = modulus(band).real / modulus(band).imag
    np.testing.assert_allclose(found, q, rtol=bound)
    assert modulus(f0).real / modulus(f0).imag == pytest.approx(q, rel=1e-9)
    assert 1 / np.real(modulus(f0) ** -0.5) == pytest.approx(C, rel=1e-9)


def test_plane_waves_fade_and_run_as_constant_q_says():
    """A line of sources across a model that is too wide for its ends to be heard; spectra at two receivers, over a decade.

    Amplitudes fall as exp(-w x / (2 Q c)), and the phase velocity is vp (1 + ln(f / f0) / (pi Q)).
    """
    q, f0, h = 50.0, 12.0, 10.0
    grid, time = so.Grid((241, 131), h), so.Time(286, 0.002)
    waves = so.Wavefield(grid, time, dtype="float64")
    A = so.Modeling(waves, so.ViscoAcoustic(grid, C, q, f0=f0, mechanisms=3))
    line = np.zeros((1, *grid.shape))
    line[0, :, 10] = 1.0
    # a wide band: what is common to both receivers does not matter
    late = time.samples - 0.12
    pulse = -late * np.exp(-((late / 0.012) ** 2))
    away = np.array([100.0, 500.0])
    P = so.Projection(waves, [[1200.0, 100.0 + d] for d in away])
    near, far = (P * A * so.Wavelet(waves, pulse).H @ line)[0]
    count = 4 * time.n
    f = np.fft.rfftfreq(count, time.step)
    band = (f > f0 / 10**0.5) & (f < f0 * 10**0.5)
    ratio = (np.fft.rfft(far, count) / np.fft.rfft(near, count))[band]
    w, x = 2 * np.pi * f[band], np.diff(away)[0]
    expected = C * (1 + np.log(f[band] / f0) / (np.pi * q))
    phase = -np.unwrap(np.angle(ratio))
    # of the first of the band whole turns are missing
    phase += 2 * np.pi * np.round((w[0] * x / expected[0] - phase[0]) / (2 * np.pi))
    np.testing.assert_allclose(w * x / phase, expected, rtol=0.02)
    np.testing.assert_allclose(np.abs(ratio), np.exp(-w * x / (2 * q * expected)), rtol=0.02)


@pytest.mark.parametrize("f0", [0.0, float("inf")])
def test_no_quality_where_nothing_is_lost(f0):
    grid = so.Grid((11, 11), 10.0)
    with pytest.raises(so.ParameterError, match="give the frequency in Hz"):
        so.ViscoAcoustic(grid, C, 30.0, f0=f0, mechanisms=[(0.01, 1.0)])
    with pytest.raises(so.ParameterError, match="give the frequency in Hz"):
        so.ViscoElastic(grid, C, C / 2, 2000.0, qp=30.0, qs=20.0, f0=f0, mechanisms=[(0.01, 1.0)])


@pytest.mark.parametrize("tau", [0.0, 0.02])
def test_nothing_may_be_lost(tau):
    """Of a medium that is given by its relaxation, at some places or at the frequency that Q is asked for."""
    grid = so.Grid((11, 11), 10.0)
    some = np.where(np.arange(121).reshape(11, 11) % 2, tau, 0.0)
    assert np.isinf(so.ViscoAcoustic(grid, C, tau=some, f0=15.0).get("qp")).sum() == (some == 0).sum()
    given = ((0.01, 1.0),)
    assert np.isinf(so.ViscoAcoustic(grid, C, tau=some, f0=float("inf"), mechanisms=given).get("qp")).all()
