"""Our closed forms against the traces of other codes, in two dimensions.

Those of SPECFEM2D have z upwards: a force along it pushes up. With z down it has the opposite sign, and so has what is
heard along z: their ux is the negative of ours, and their uz is ours. Nothing else is fitted, except where it is said.
"""

import numpy as np
import pytest
from reference import traces
from truth import Homogeneous, difference, fit
from truth_elastic import Elastic
from truth_viscous import StandardLinearSolids

VP, VS, RHO = 3297.849, 2222.536, 2000.0
R = np.hypot(500.0, 500.0)
TAU_SIGMA = (8.841941282883074e-2, 8.841941282883074e-3, 8.841941282883074e-4)
VOLUME = StandardLinearSolids((0.109527114743452, 1.070028707488438e-2, 1.132519034287800e-3), TAU_SIGMA)
SHEAR = StandardLinearSolids((0.112028084581976, 1.093882462934487e-2, 1.167173427475064e-3), TAU_SIGMA)
TAU_SIGMA_P = (3.1830988618379068e-2, 3.1830988618379068e-3, 3.1830988618379068e-4)
PRESSURE = StandardLinearSolids((3.3490038309560245e-2, 3.3205062588009785e-3, 3.3551297958320871e-4), TAU_SIGMA_P)


def ricker(t, f0):
    """Centred at 0."""
    a = (np.pi * f0 * t) ** 2
    return (1 - 2 * a) * np.exp(-a)


def answer(record, t, f0):
    """To a Ricker centred at 0 that has begun before the record: samples and step go in, and out where the record is."""
    step = (t[-1] - t[0]) / (len(t) - 1)
    before = int(np.ceil(2 / (f0 * step)))
    return record(ricker(t[0] + step * np.arange(-before, len(t)), f0), step)[before:]


def displacement(medium, t):
    """As SPECFEM2D has it, of an upward force, 500 m to the right and 500 m above."""

    def heard(name):
        return answer(
            lambda signal, step: medium.record("vz", name, signal, step, (0.0, 0.0), (500.0, -500.0)), t, 18.0
        )

    return np.array([-heard("ux"), heard("uz")])


def test_elastic_force(data):
    """Within 1 % as it is; what there is between the two is a pulse at each arrival.

    In time, the waves start with an inverse square root, of which a sum over samples misses, or counts twice, what is
    next to where it starts: too much or too little of the signal as it was sent, at the arrivals of P and S.
    """
    reference = traces(data, "elastic_force")
    t, got = reference["t"], np.array([reference["ux"], reference["uz"]])
    exact = displacement(Elastic(VP, VS, RHO), t)
    for one, truth in zip(got, exact, strict=True):
        assert difference(one, truth) < 0.01
    # along the ray and across it, which are at 45 degrees: P has both components alike, and S the opposite of each other
    p, s = (ricker(t - R / c, 18.0) for c in (VP, VS))
    pulses = np.array([[p, p], [s, -s]]).reshape(2, -1)
    weights, *_ = np.linalg.lstsq(pulses.T, (got - exact).ravel(), rcond=None)
    assert difference(got, exact + (weights @ pulses).reshape(got.shape)) < 0.002


def test_viscoelastic_force(data):
    """To the digits that the reference has. The velocities are those of waves that nothing has had time to relax in."""
    reference = traces(data, "viscoelastic_force")

    def shear(w):
        return VS**2 * SHEAR(w) / SHEAR.unrelaxed

    def both(w):  # in the plane, the bulk modulus is lambda + mu
        return (VP**2 - VS**2) * VOLUME(w) / VOLUME.unrelaxed + shear(w)

    medium = Elastic(lambda w: np.sqrt(both(w)), lambda w: np.sqrt(shear(w)), RHO)
    for name, truth in zip(("ux", "uz"), displacement(medium, reference["t"]), strict=True):
        assert difference(reference[name], truth) < 2e-6


@pytest.fixture
def pressures(data):
    return traces(data, "viscoacoustic")


def pressure(c, t):
    return answer(lambda signal, step: Homogeneous(c).pressure(signal, step, (0.0, 0.0), (800.0, 0.0)), t, 50.0)


def test_lossless_pressure(pressures):
    """Four pi times the Green's function."""
    exact = 4 * np.pi * pressure(2000.0, pressures["t_lossless"])
    assert difference(pressures["p_lossless"], exact) < 2e-6


def test_viscoacoustic_pressure(pressures):
    """2000 m/s again is the velocity before anything relaxes: with that of the slowest waves it would be 70 samples late."""
    t = pressures["t"]
    exact = 4 * np.pi * pressure(PRESSURE.velocity(2000.0 / np.sqrt(PRESSURE.unrelaxed)), t)
    assert difference(pressures["p"], exact) < 2e-6
    assert abs(fit(pressures["p"], pressure(PRESSURE.velocity(2000.0), t)).delay) > 30
