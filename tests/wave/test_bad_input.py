"""What users get wrong is refused with both values, their units, and what to do; what is merely unusual works."""

from dataclasses import dataclass

import numpy as np
import pytest
from cases import world

import seisops as so
from seisops.errors import DispersionWarning, ParameterError, SpaceError, UnstableError

GRID = so.Grid((24, 21), 10.0)
TIME = so.Time(31, 0.002)
WAVES = so.Wavefield(GRID, TIME, shots=2, dtype="float64")


def velocity(value=None, at=(3, 4)):
    """A velocity model with one odd cell."""
    vp = np.full(GRID.shape, 2000.0)
    if value is not None:
        vp[at] = value
    return vp


def acoustic(**parameters):
    return so.Acoustic(GRID, **(parameters or {"vp": 2000.0}))


def modeling(**options):
    return so.Modeling(WAVES, acoustic(), **{"boundary": so.PML(cells=6), "space_order": 4, **options})


def points(coordinates=((100.0, 100.0),), **options):
    return so.Projection(WAVES, np.array(coordinates), **options)


@dataclass
class Bad:
    """An attempt, its error, and what the message has to say."""

    attempt: object
    error: type
    says: tuple


OTHER = so.Grid((30, 21), 10.0)

BAD = {
    # media
    "NaN": Bad(
        lambda: acoustic(vp=velocity(np.nan)),
        ParameterError,
        ("vp is not finite in 1 of 504 cells", "nan m/s", "(3, 4)"),
    ),
    "infinite": Bad(lambda: acoustic(m=velocity(np.inf)), ParameterError, ("m is not finite", "inf s2/m2", "(3, 4)")),
    "negative velocity": Bad(
        lambda: acoustic(vp=velocity(-1500.0)), ParameterError, ("vp is not positive", "-1500.0 m/s", "(3, 4)")
    ),
    "zero density": Bad(lambda: acoustic(vp=2000.0, rho=0.0), ParameterError, ("rho is not positive", "0.0 kg/m3")),
    "transposed": Bad(
        lambda: acoustic(vp=velocity().T),
        ParameterError,
        ("vp has shape (21, 24) (transposed?)", "(24, 21)", "('x', 'z')"),
    ),
    "wrong shape": Bad(lambda: acoustic(vp=np.ones((5, 5))), ParameterError, ("(5, 5)", "(24, 21)", "one number")),
    "text": Bad(lambda: acoustic(vp="fast"), ParameterError, ("vp='fast'", "not an array of real numbers")),
    "velocity and slowness": Bad(lambda: acoustic(vp=2000.0, m=1e-6), ParameterError, ("exactly one", "m/s", "both")),
    "neither": Bad(lambda: so.Acoustic(GRID), ParameterError, ("exactly one", "neither")),
    "no grid": Bad(lambda: so.Acoustic((24, 21), vp=2000.0), ParameterError, ("seisops Grid", "(24, 21)")),
    "unknown parameter replaced": Bad(lambda: acoustic().replace(qp=50.0), ParameterError, ("'qp'", "'m', 'vp'")),
    "density of a medium without": Bad(lambda: world().F.at(rho=1000.0), ParameterError, ("'rho'", "'m', 'vp'")),
    # points
    "outside": Bad(
        lambda: points([[100.0, 100.0], [240.0, 50.0]]),
        ParameterError,
        ("point 1", "x=240 m, z=50 m", "x 0 to 230 m", "z 0 to 200 m"),
    ),
    "beyond the margin": Bad(lambda: points([[-31.0, 100.0]], margin=30.0), ParameterError, ("x=-31 m",)),
    "beyond the layer": Bad(
        lambda: points([[-90.0, 100.0]], margin=100.0) * modeling() @ WAVES.zeros(),
        ParameterError,
        ("outside the padded grid",),
    ),
    "NaN position": Bad(lambda: points([[np.nan, 1.0]]), ParameterError, ("not a finite position",)),
    "points transposed": Bad(lambda: points(np.ones((2, 5))), ParameterError, ("(2, 5)", "transpose")),
    "one point": Bad(lambda: points([1.0, 2.0]), ParameterError, ("coords[None]",)),
    "shots of points": Bad(lambda: points(np.ones((3, 4, 2))), ParameterError, ("3 shots", "has 2")),
    "interpolation": Bad(lambda: points(interpolation="cubic"), ParameterError, ("'cubic'", "'sinc' or 'linear'")),
    "margin below zero": Bad(lambda: points(margin=-3.0), ParameterError, ("margin=-3.0", "metres", "0 or more")),
    "margin that is no number": Bad(lambda: points(margin=np.nan), ParameterError, ("margin=nan", "0 or more")),
    "positions as text": Bad(lambda: points([["100", "50"]]), ParameterError, ("not an array of numbers",)),
    "direction as text": Bad(
        lambda: so.Force(WAVES, [[100.0, 50.0]], ["1", "0"]), ParameterError, ("direction", "not an array of numbers")
    ),
    "times as text": Bad(lambda: so.Snapshots(WAVES, ["0.02"]), ParameterError, ("times=", "in seconds")),
    "frequency as text": Bad(lambda: so.ricker(TIME, f0="5"), ParameterError, ("f0", "in Hz", "got '5'")),
    "reference frequency as text": Bad(
        lambda: so.ViscoAcoustic(GRID, 2000.0, 50.0, f0="5"), ParameterError, ("f0='5'", "in Hz, one number")
    ),
    "spacing as text": Bad(lambda: so.Grid((24, 21), "10"), ParameterError, ("spacing of x", "metres", "got '10'")),
    "time step as an array of text": Bad(
        lambda: so.Time(31, np.array("0.002")), ParameterError, ("Time step", "seconds")
    ),
    "ranges as text": Bad(
        lambda: so.Acoustic(GRID, vp=2000.0, ranges={"vp": ("1", "9000")}), ParameterError, ("lowest and the highest",)
    ),
    "frequencies as text": Bad(lambda: so.storage.Fourier(["10"]), ParameterError, ("frequencies=['10']", "in Hz")),
    "wavelet of another length": Bad(
        lambda: so.Wavelet(WAVES, np.ones(30)), ParameterError, ("(30,)", "(31,)", "(2, 31)")
    ),
    "wavelet not finite": Bad(
        lambda: so.Wavelet(WAVES, np.full(31, np.nan)), ParameterError, ("31 samples", "not finite")
    ),
    # modeling
    "no wavefield": Bad(lambda: so.Modeling(GRID, acoustic()), ParameterError, ("Wavefield", "Grid")),
    "no medium": Bad(lambda: so.Modeling(WAVES, velocity()), ParameterError, ("Acoustic(grid, vp=...)", "ndarray")),
    "another grid": Bad(
        lambda: so.Modeling(WAVES, so.Acoustic(OTHER, vp=2000.0)),
        ParameterError,
        ("(30, 21)", "(24, 21)", "one grid for both"),
    ),
    "odd order": Bad(lambda: modeling(space_order=5), ParameterError, ("space_order=5", "even, from 2 to 16")),
    "order that is no integer": Bad(
        lambda: modeling(space_order=8.0), ParameterError, ("space_order=8.0", "integer, even, from 2 to 16")
    ),
    "cells that are no integer": Bad(lambda: so.PML(cells=8.0), ParameterError, ("PML(cells=8.0)", "integer")),
    "cells that are true": Bad(lambda: so.Sponge(cells=True), ParameterError, ("Sponge(cells=True)", "integer")),
    "bits that are no integer": Bad(lambda: so.storage.Compressed(16.0), ParameterError, ("bits=16.0", "16 or 8")),
    "axis that is no integer": Bad(lambda: GRID.coordinates(0.0), ParameterError, ("0.0 is no axis", "('x', 'z')")),
    "argument that is no integer": Bad(
        lambda: so.Parametric(world().F).jacobian(world().medium.m, world().F.domain.zeros(), argument=0.0),
        ParameterError,
        ("no argument 0.0", "counted from 0"),
    ),
    "above a rigid surface": Bad(
        lambda: points([[100.0, -3.0]], margin=5.0) * modeling(boundary={"z_min": "rigid"}),
        ParameterError,
        ("above the rigid surface at z = 0 m", "without a rigid surface"),
    ),
    "order too high": Bad(lambda: modeling(space_order=18), ParameterError, ("space_order=18", "16")),
    "boundary": Bad(lambda: modeling(boundary=20), ParameterError, ("boundary=20", "PML()", "Sponge()", "None")),
    "no cells": Bad(lambda: so.PML(cells=0), ParameterError, ("PML(cells=0)", "positive")),
    "reflection": Bad(lambda: so.PML(reflection=2.0), ParameterError, ("reflection=2.0", "between 0 and 1")),
    "unstable step": Bad(
        lambda: so.Modeling(so.Wavefield(GRID, so.Time(31, 0.008)), acoustic(), space_order=4, substeps=1),
        UnstableError,
        ("substeps=1", "0.008 s", "2000 m/s", "at least 3 substeps"),
    ),
    "no substeps": Bad(lambda: modeling(substeps=0), ParameterError, ("substeps", "at least 1", "got 0")),
    "headroom": Bad(lambda: modeling(max_velocity=1500.0), ParameterError, ("1500 m/s", "2000 m/s")),
    "faster than anything": Bad(
        lambda: modeling(max_velocity=1e6),
        ParameterError,
        ("max_velocity=1e+06 m/s", "20000 m/s", "2000 m/s of the medium", "Acoustic(..., ranges={'vp': "),
    ),
    "too fast": Bad(
        lambda: modeling(max_velocity=2100.0).at(vp=9000.0), UnstableError, ("9000 m/s", "2100 m/s", "max_velocity")
    ),
    # spaces
    "dtype of a wavefield": Bad(
        lambda: so.Wavefield(GRID, TIME, dtype="float16"), ParameterError, ("float16", "'float32' or 'float64'")
    ),
    "order of a product": Bad(
        lambda: modeling() * points(),
        SpaceError,
        ("Ainv, on the left, takes", "the Projection P, on the right, gives", "Did you mean P.H on the right?"),
    ),
    "source without adjoint": Bad(lambda: points() * modeling() * points(), SpaceError, ("Did you mean",)),
    "another number of shots": Bad(
        lambda: so.Projection(so.Wavefield(GRID, TIME, shots=3, dtype="float64"), [[50.0, 50.0]]) * modeling(),
        SpaceError,
        ("shot=3", "shot=2"),
    ),
    "another time axis": Bad(
        lambda: so.Projection(so.Wavefield(GRID, so.Time(31, 0.004), 2, "float64"), [[50.0, 50.0]]) * modeling(),
        SpaceError,
        ("step=0.004", "step=0.002"),
    ),
    "another precision": Bad(
        lambda: so.Projection(so.Wavefield(GRID, TIME, 2), [[50.0, 50.0]]) * modeling(),
        SpaceError,
        ("float32 and float64", "same dtype"),
    ),
    "data of another shape": Bad(lambda: world().F @ np.zeros((2, 5, 31)), SpaceError, ("(2, 5, 31)", "point=2")),
    "complex data": Bad(lambda: world().F @ (1j * np.ones(world().F.domain.shape)), SpaceError, ("complex", "x.real")),
    "shot out of range": Bad(lambda: world().F[2], IndexError, ("shot 2", "2 shots, 0 to 1")),
    # derivatives
    "unknown parameter": Bad(lambda: world().jacobian(wrt="rho"), ParameterError, ("'rho'", "'m', 'vp'")),
    "parameter twice": Bad(lambda: world().jacobian(wrt=("m", "m")), ParameterError, ("('m', 'm')", "different names")),
    "no parameter": Bad(lambda: world().jacobian(wrt=()), ParameterError, ("wrt=()",)),
    "unknown parameter of a map": Bad(lambda: so.Parametric(world().F, wrt="qp"), ParameterError, ("'qp'",)),
    "storage": Bad(lambda: world().jacobian(storage="disk"), ParameterError, ("'disk'", "'auto'", "Full()")),
    "subsampling": Bad(lambda: so.storage.Subsampled(every=0), ParameterError, ("every", "at least 1")),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")
def test_refused(name):
    bad = BAD[name]
    with pytest.raises(bad.error) as caught:
        bad.attempt()
    for fragment in bad.says:
        assert fragment in str(caught.value), f"{fragment!r} is not in {str(caught.value)!r}"
    if bad.error is not IndexError:
        assert isinstance(caught.value, so.SeisopsError)
        assert isinstance(caught.value, RuntimeError if bad.error is UnstableError else ValueError)


def test_a_velocity_that_is_meant_is_taken():
    """Whatever the medium says that may occur; and as much faster than vp as waves of a medium are."""
    medium = so.Acoustic(GRID, vp=2000.0, ranges={"vp": (50.0, 3e4)})
    assert so.Modeling(WAVES, medium, space_order=4, max_velocity=3e4).discretisation.velocity == 3e4
    with pytest.raises(ParameterError, match="beyond the 30000 m/s"):
        so.Modeling(WAVES, medium, space_order=4, max_velocity=3.1e4)
    fast = so.TTI(GRID, 19e3, epsilon=0.4, delta=0.1)
    most = 19e3 * 1.8**0.5
    assert so.Modeling(WAVES, fast, space_order=4).discretisation.velocity > 20e3
    assert so.Modeling(WAVES, fast, space_order=4, max_velocity=1.01 * most).discretisation.velocity == 1.01 * most
    with pytest.raises(
        ParameterError, match="beyond the 26832.8 m/s that waves reach where vp is the largest plausible"
    ):
        so.Modeling(WAVES, fast, space_order=4, max_velocity=1.1 * most)


# ---- a grid too coarse


def coarse(f0):
    """A source of some frequency on the small grid, where 2.5 points per wavelength carry 60 Hz."""
    time = so.Time(61, 0.002)
    waves = so.Wavefield(GRID, time, dtype="float64")
    P = so.Projection(waves, [[100.0, 100.0]])
    A = so.Modeling(waves, so.Acoustic(GRID, vp=1500.0), boundary=so.PML(cells=6), space_order=4)
    return P * A * P.H, so.ricker(time, f0=f0, delay=0.05).reshape(1, 1, -1)


def test_a_grid_too_coarse_for_a_source_is_said_once():
    F, q = coarse(50.0)
    with pytest.warns(DispersionWarning) as caught:
        F @ q
        F @ q
    messages = [str(w.message) for w in caught if w.category is DispersionWarning]
    assert len(messages) == 1
    for fragment in ("Hz", "1500 m/s", "points per wavelength", "10 m", "lower frequency"):
        assert fragment in messages[0], messages[0]


def test_a_grid_fine_enough_is_silent(recwarn):
    F, q = coarse(15.0)
    F @ q
    F.H @ (F @ q)
    assert not [w for w in recwarn if w.category is DispersionWarning]


# ---- unusual but right


def layouts(x):
    """The same numbers in other arrays."""
    spaced = np.zeros((*x.shape[:-1], 2 * x.shape[-1]))
    spaced[..., ::2] = x
    return {
        "Fortran order": np.asfortranarray(x),
        "every other element": spaced[..., ::2],
        "a view backwards": np.ascontiguousarray(x[..., ::-1])[..., ::-1],
        "flat": x.ravel(),
        "nested lists": x.tolist(),
        "big endian": x.astype(">f8"),
        "read only": read_only(x),
    }


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("name", layouts(np.zeros((2, 2))))
@pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")
def test_layouts_of_data(name):
    w = world()
    q, d = w.F.domain.random(0), w.F.range.random(1)
    kept = q.copy()
    for op, x in ((w.F, q), (w.F.H, d), (w.jacobian(), w.waves.model().random(2))):
        assert np.array_equal(np.ravel(op @ np.asarray(layouts(x)[name])), (op @ x).ravel())
    assert np.array_equal(q, kept)


@pytest.mark.parametrize("dtype", ["float32", "int64", "float16", "bool"])
@pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")
def test_dtypes_of_data_are_cast(dtype):
    F = world().F
    q = (10 * F.domain.random(0)).astype(dtype)
    y = F @ q
    assert y.dtype == np.float64
    assert np.array_equal(y, F @ q.astype("float64"))


@pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")
def test_layouts_of_models():
    vp = np.random.default_rng(0).uniform(1500.0, 2000.0, GRID.shape)
    F, q = world().F, world().F.domain.random(0)
    expected = F.at(vp=vp) @ q
    for name, other in layouts(vp).items():
        if name != "flat":
            assert np.array_equal(F.at(vp=other) @ q, expected), name


def test_what_a_medium_was_given_is_copied():
    vp = velocity()
    medium = acoustic(vp=vp)
    vp[:] = 1.0
    assert medium.vp == pytest.approx(2000.0)
    with pytest.raises(ValueError, match="read-only"):
        medium.m[0, 0] = 1.0
    with pytest.raises(AttributeError, match="replace"):
        medium.grid = OTHER


@pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")
def test_what_a_jacobian_was_given_is_copied():
    w = world()
    q, dm = w.F.domain.random(0), w.waves.model().random(1)
    J = so.Jacobian(w.F, q)
    q[:] = 0.0
    assert np.abs(J @ dm).max() > 0


def test_silence_stays_silence():
    F = world().F
    assert not (F @ F.domain.zeros()).any()
    assert not (F.H @ F.range.zeros()).any()


@pytest.mark.filterwarnings("ignore::seisops.DispersionWarning")
def test_scalars_and_one_point_and_one_shot():
    waves = so.Wavefield(GRID, TIME, dtype="float64")
    P = so.Projection(waves, [[100.0, 100.0]])
    F = P * so.Modeling(waves, so.Acoustic(GRID, vp=2000), boundary=so.PML(cells=6), space_order=4) * P.H
    assert (F @ np.ones((1, 1, 31))).shape == (1, 1, 31)
