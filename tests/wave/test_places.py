"""Where fields and rows lie within the cell and within the step, at a free surface too, and what follows for the data."""

from fractions import Fraction

import numpy as np
import physics
import pytest
from own_media import between

import seisops as so
from seisops import check
from seisops.errors import ParameterError
from seisops.wave.discretise.assembly import interior

GRID = so.Grid((41, 31), 10.0)
TIME = so.Time(81, 0.004)
WAVES = so.Wavefield(GRID, TIME, dtype="float64")
WAVELET = so.ricker(TIME, f0=12.0)
HALF = Fraction(1, 2)


def places(cls, leapfrog=None):
    """Places in time of an equation's fields and rows."""
    equation = object.__new__(cls)
    equation._freeze(GRID, {})
    if leapfrog is not None:
        object.__setattr__(equation, "leapfrog", leapfrog)
    found = interior(equation, (2, 4, "float64"))
    return list(found.times.values()), list(found.row_times.values())


class Waves(so.WaveEquation):
    parameters = ("m",)
    leapfrog = True

    def residual(self, fields, parameters):
        return (parameters.m * fields.u.dt2 - fields.u.laplace,)


class Copied(Waves):
    """What is observed is a copy, determined at its own time."""

    fields = ("u", "g")
    observe = {"g": 1.0}
    surface = {"u": -1, "g": -1}

    def residual(self, fields, parameters):
        return (*super().residual(fields, parameters), fields.g - fields.u)

    @property
    def velocity(self):
        return self.coefficients()["m"] ** -0.5


class Mixed(Copied):
    observe = {"u": 0.5, "g": 0.7}
    source = {"u": 1.0, "g": 2.0}


class Damped(Waves):
    """Damped at the time of u, though it is only one-sided there."""

    def residual(self, fields, parameters):
        return (*(row + 1e-6 * fields.u.dt for row in super().residual(fields, parameters)),)


class Backward(Waves):
    """Of first order: the terms disagree about the time of the row."""

    fields = ("u", "v")

    def residual(self, fields, parameters):
        (u, v), dt = fields, fields.u.grid.stepping_dim.spacing
        return (u.forward - u) / dt - v.forward, parameters.m * (v.forward - v) / dt - u.laplace - u.forward.laplace / 9


def test_places_in_time_follow_from_the_residual():
    assert places(Waves) == ([0], [0])
    assert places(physics.ElasticWaves) == ([-HALF, -HALF, 0, 0, 0], [0, 0, HALF, HALF, HALF])
    assert places(physics.TiltedWaves) == ([0] * 4, [0] * 4)
    assert places(Copied) == ([0, 0], [0, 0])


def test_where_terms_disagree_fields_stand_at_whole_steps_unless_the_scheme_is_centred():
    assert places(physics.Heat) == ([0], [0])
    assert places(Backward, leapfrog=False) == ([0, 0], [0, 0])
    assert places(Damped) == ([0], [0])


def test_places_in_time_can_be_stated():
    class Late(Waves):
        timing = {"u": -0.5}

    assert places(Late) == ([-HALF], [-HALF])


# -- what the data say


POINTS = [(103.0, 57.0), (200.0, 100.0), (151.0, 3.0)]


LAYER = so.PML()


def modeling(medium, boundary=LAYER, free_surface=False):
    return so.Modeling(WAVES, medium, boundary, free_surface, space_order=4)


def product(medium, points=POINTS, **options):
    P = so.Projection(WAVES, points)
    return P * modeling(medium, **options) * P.H


def test_a_field_at_its_own_time_is_observed_at_that_time():
    q = np.tile(WAVELET, (1, len(POINTS), 1))
    expected = product(Waves(GRID, m=2000.0**-2)) @ q
    medium = Copied(GRID, m=2000.0**-2)
    data = product(medium) @ q
    # the layers differ a little, as the one equation states a velocity
    np.testing.assert_allclose(data, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("cls", [Copied, Mixed])
@pytest.mark.parametrize("free_surface", [False, True])
def test_adjoints_of_fields_at_different_times(cls, free_surface):
    around = so.Sponge(cells=6)
    F = product(cls(GRID, m=2000.0**-2), boundary=around, free_surface=free_surface)
    assert check.dot_test(F) < 1e-12
    assert check.dot_test(so.Jacobian(F, np.tile(WAVELET, (1, len(POINTS), 1)))) < 1e-12
    A = modeling(cls(GRID, m=2000.0**-2), around, free_surface)
    assert check.dot_test(A) < 1e-12
    assert check.dot_test(so.Projection(WAVES, POINTS) * A * so.Wavelet(WAVES, WAVELET).H) < 1e-12


def flow():
    """Waves of first order, driven by pressure and heard by the horizontal motion half a cell and half a step away."""
    return between("p", "vx")(GRID, kappa=4e9, b=1e-3)


def test_points_of_a_staggered_field_are_where_they_are_said_to_be():
    receivers = [(140.0, 150.0), (260.0, 150.0), (133.0, 88.0), (267.0, 88.0)]
    Pr, Ps = so.Projection(WAVES, receivers), so.Projection(WAVES, [(200.0, 150.0)])
    d = ((Pr * so.Modeling(WAVES, flow()) * Ps.H) @ WAVELET[None, None])[0]
    # the motion of an explosion is antisymmetric about it
    np.testing.assert_allclose(d[0], -d[1], atol=1e-7 * np.abs(d[0]).max())
    # the sinc kernel is good to a few thousandths; half a cell is 25 %
    np.testing.assert_allclose(d[2], -d[3], atol=2e-3 * np.abs(d[2]).max())


def test_extended_sources_and_wavefields_of_staggered_fields():
    A = modeling(flow(), so.Sponge(cells=6))
    Pr, Pw = so.Projection(WAVES, [(140.0, 150.0), (233.0, 88.0)]), so.Wavelet(WAVES, WAVELET)
    assert check.dot_test(A * Pw.H) < 1e-12
    assert check.dot_test(Pr * A * Pw.H) < 1e-12
    # the wavefield is given in the nodes, so that points alone read there what points in the solve read
    q = np.zeros(WAVES.images().shape)
    q[0, 20, 15] = 1.0
    fused, apart = (Pr * A * Pw.H) @ q, Pr @ ((A * Pw.H) @ q)
    np.testing.assert_allclose(apart, fused, atol=1e-2 * np.abs(fused).max())


class Even(so.Acoustic):
    """Above what does not move, pressure is even."""

    surface = {"u": 1}


@pytest.mark.parametrize("rho, boundary", [(None, so.PML()), (1000.0, None)], ids=["pml", "density"])
def test_even_fields_at_a_surface(rho, boundary):
    z = GRID.coordinates("z")
    medium = Even(GRID, vp=1500.0 + 2 * z * np.ones(GRID.shape), rho=rho and rho + z * np.ones(GRID.shape))
    points = [(103.0, 0.0), (200.0, 100.0), (151.0, 3.0), (0.0, 0.0), (300.0, 0.0)]
    F = product(medium, points, boundary=boundary, free_surface=True)
    assert check.dot_test(F) < 1e-12
    q = np.tile(WAVELET, (1, len(points), 1))
    assert np.abs((F @ q)[0, 0]).max() > 0.1 * np.abs((F @ q)[0, 1]).max()
    wrt = "m" if rho is None else ("m", "rho")
    assert check.dot_test(so.Jacobian(F, q, wrt=wrt)) < 1e-12
    if rho is None:
        A = modeling(medium, boundary, True)
        assert check.dot_test(A) < 1e-12
        assert check.dot_test(so.Projection(WAVES, points) * A * so.Wavelet(WAVES, WAVELET).H) < 1e-12
        direction = 0.02 * medium.m * np.sin(z / 20.0)
        rates = check.taylor_test(so.Parametric(F), (medium.m, q), (direction, 0 * q))
        assert np.allclose(rates, 2.0, atol=0.1)


def test_a_source_on_a_rigid_surface_is_its_own_image():
    medium, receiver = Even(GRID, vp=2000.0), [(200.0, 150.0)]
    below, on = (
        (
            so.Projection(WAVES, receiver)
            * so.Modeling(WAVES, medium, free_surface=True)
            * so.Projection(WAVES, [(200.0, z)]).H
        )
        @ WAVELET[None, None]
        for z in (1.0, 0.0)
    )
    np.testing.assert_allclose(on, below, atol=5e-3 * np.abs(below).max())
    whole = so.Grid((41, 61), 10.0, origin=(0.0, -300.0))
    waves = so.Wavefield(whole, TIME, dtype="float64")
    F = (
        so.Projection(waves, receiver)
        * so.Modeling(waves, so.Acoustic(whole, vp=2000.0))
        * so.Projection(waves, [(200.0, 0.0)]).H
    )
    np.testing.assert_allclose(on, 2 * (F @ WAVELET[None, None]), atol=2e-3 * np.abs(on).max())


def test_fields_above_a_surface_are_refused():
    class Above(between("p", "vx")):
        staggering = {"vx": (0.5, 0.0), "vz": (0.0, -0.5)}

    with pytest.raises(ParameterError, match="below them: state it as 0.5"):
        product(Above(GRID, kappa=4e9, b=1e-3), free_surface=True) @ np.tile(WAVELET, (1, len(POINTS), 1))
