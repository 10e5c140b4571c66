"""Inversion band by band: it gets where one band does not, within bounds, and goes on where it was."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import seisops as so
from seisops.errors import AccuracyWarning, ParameterError
from seisops.inversion import Journal, multiscale


def crosswell(contrast=0.1, radius=110.0, shots=4):
    """Sources in one well, receivers in another, and a fast ball between them."""
    grid = so.Grid((41, 41), 15.0)
    time = so.Time(n=151, step=0.004)
    waves = so.Wavefield(grid, time, shots=shots)
    x, z = np.meshgrid(*(grid.coordinates(a) for a in grid.axes), indexing="ij")
    start = np.full(grid.shape, 2000.0)
    true = start * (1 + contrast * np.exp(-((x - 300) ** 2 + (z - 300) ** 2) / radius**2))
    A = so.Modeling(waves, so.Acoustic(grid, vp=start), max_velocity=3100.0)
    Ps = so.Projection(waves, [[(30.0, a)] for a in np.linspace(60.0, 540.0, shots)])
    F = so.Projection(waves, [(570.0, a) for a in grid.coordinates("z")[::2]]) * A * Ps.H
    q = np.tile(so.ricker(time, 12.0), (shots, 1, 1))
    return F, F.at(vp=true) @ q, q, start, true


BOUNDS = (1600.0, 3000.0)


def test_the_model_is_found_within_bounds():
    F, d, q, start, true = crosswell()
    P = so.model.Smooth(so.Parametric(F), 30.0)
    found = multiscale(F, d, q, (8.0, None), start, wrt="vp", bounds=BOUNDS, iterations=8, P=P, truth=true)
    assert [band.high for band in found.bands] == [8.0, None]
    for band in found.bands:
        assert band.misfits[-1] < 0.2 * band.misfits[0] and band.skipped < 0.1 and 8 <= band.evaluations < 20
        assert len(band.errors) == len(band.misfits) == 9
    assert found.bands[0].errors[0] == 1.0 and found.bands[1].errors[-1] < 0.5
    assert np.isclose(found.bands[1].errors[-1], np.linalg.norm(found.model - true) / np.linalg.norm(start - true))
    assert found.model.min() > BOUNDS[0] and found.model.max() < BOUNDS[1]
    assert "below 8 Hz" in str(found) and "error of model" in repr(found) and len(str(found).splitlines()) == 3


def test_low_frequencies_first_where_high_ones_skip_cycles():
    F, d, q, start, true = crosswell(contrast=0.4, radius=200.0)
    P = so.model.Smooth(so.Parametric(F), 30.0)
    with pytest.warns(AccuracyWarning, match="half a period"):
        at_once = multiscale(F, d, q, (None,), start, wrt="vp", bounds=BOUNDS, iterations=16, P=P, truth=true)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        steps = multiscale(F, d, q, (4.0, 7.0, None), start, wrt="vp", bounds=BOUNDS, iterations=8, P=P, truth=true)
    assert steps.bands[-1].errors[-1] < 0.5 * at_once.bands[0].errors[-1]
    assert at_once.bands[0].skipped > 0.2 > steps.bands[-1].skipped


def test_a_run_goes_on_where_it_was(tmp_path):
    F, d, q, start, _ = crosswell(shots=2)
    options = {"wrt": "vp", "bounds": BOUNDS, "iterations": 2, "progress": True}
    first = multiscale(F, d, q, (8.0, None), start, journal=tmp_path / "runs", **options)
    journal = Journal(tmp_path / "runs", problem="multiscale")
    again = multiscale(F, d, q, (8.0, None), start, journal=journal, **options)
    assert journal.computed == 0 and journal.replayed > 6 and np.array_equal(again.model, first.model)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"bands": ()}, "needs bands"),
        ({"bands": (-3.0,)}, "positive"),
        ({"bands": (200.0,)}, "below 125 Hz"),
        ({"bounds": (2500.0, 2800.0)}, "not between their bounds"),
        ({"wrt": ("vp", "rho")}, "no parameter"),
        ({"wrt": ("vp",)}, "as a tuple with one of each"),
        ({"iterations": 0}, "at least 1"),
        ({"bands": 8.0}, "needs bands"),
        ({"truth": np.nan * np.ones((41, 41))}, "NaN"),
        ({"P": lambda F: so.model.Bounded(so.Parametric(F), 1.0, 2.0)}, "makes the map"),
        ({"data": 0.0}, "all zero"),
        ({"solver": "newton"}, "solver must be one of lbfgs, spg, pqn"),
        (
            {"project": so.inversion.constraints.Bounds(so.Wavefield(so.Grid((41, 41), 15.0), so.Time(9, 0.1)))},
            "knows bounds",
        ),
        ({"solver": "spg", "P": np.ones((41, 41))}, "another one"),
        ({"bounds": 3000.0}, "bounds of vp must be the lowest"),
        ({"grid": so.Grid((41, 41), 15.0)}, "a grid is for F that is a function"),
        ({"points": 0.0}, "positive"),
    ],
)
def test_what_makes_no_sense_is_refused(change, match):
    F, d, q, start, _ = crosswell(shots=1)
    options = {"bands": (8.0,), "wrt": "vp", "bounds": BOUNDS, **change}
    if callable(options.get("P")):
        options["P"] = options["P"](F)
    data = options.pop("data", 1.0) * d
    with pytest.raises(ParameterError, match=match):
        multiscale(F, data, q, options.pop("bands"), start, **options)


def test_bounds_beyond_the_time_step_are_told_before_any_work(monkeypatch):
    F, d, q, start, _ = crosswell(shots=1)
    monkeypatch.setattr(so.Parametric, "linearize", lambda *x: pytest.fail("work was done"))
    with pytest.raises(so.UnstableError, match="max_velocity"):
        multiscale(F, d, q, (8.0,), start, wrt="vp", bounds=(1600.0, 5000.0))


@pytest.mark.parametrize("solver", ["spg", "pqn"])
def test_in_a_set_of_models(solver, tmp_path):
    """The model is in it, and nearer to the truth than within bounds alone."""
    pytest.importorskip("pyproximal")
    from seisops.inversion.constraints import Intersection, Monotone

    F, d, q, start, _ = crosswell(shots=3)
    x = np.full(start.shape, 2000.0)
    x[:, 20:] = 2150.0
    d = F.at(vp=x) @ q
    V = so.Parametric(F, wrt="vp")
    known = Intersection(Monotone(V), tolerance=1e-6)
    options = {"wrt": "vp", "bounds": BOUNDS, "iterations": 6, "truth": x, "solver": solver}
    free = multiscale(F, d, q, (8.0, None), start, **options)
    found = multiscale(F, d, q, (8.0, None), start, project=known, journal=tmp_path / "run", **options)
    for band in found.bands:
        assert band.misfits[-1] < 0.3 * band.misfits[0] and len(band.errors) == len(band.misfits) == 7
        assert 7 <= band.evaluations < 20
    assert found.bands[-1].errors[-1] < 0.9 * free.bands[-1].errors[-1]
    assert np.all(np.diff(found.model, axis=1) > -1e-2) and found.model.min() >= BOUNDS[0]
    assert np.diff(free.model, axis=1).min() < -10.0
    journal = Journal(tmp_path / "run", problem="multiscale")
    again = multiscale(F, d, q, (8.0, None), start, project=known, journal=journal, **options)
    assert journal.computed == 0 and np.array_equal(again.model, found.model)


def two(shots=3):
    """Velocity and density, both unknown."""
    F, _, q, start, true = crosswell(shots=shots)
    rho = np.full(start.shape, 1800.0)
    denser = rho.copy()
    denser[12:20, 18:26] = 2000.0
    waves = F.domain and so.Wavefield(so.Grid((41, 41), 15.0), so.Time(n=151, step=0.004), shots=shots)
    A = so.Modeling(waves, so.Acoustic(waves.grid, vp=start, rho=rho), max_velocity=3100.0)
    Ps = so.Projection(waves, [[(30.0, a)] for a in np.linspace(60.0, 540.0, shots)])
    F = so.Projection(waves, [(570.0, a) for a in waves.grid.coordinates("z")[::2]]) * A * Ps.H
    return F, F.at(vp=true, rho=denser) @ q, q, (start, rho), (true, denser)


@pytest.mark.parametrize("solver", ["lbfgs", "pqn"])
def test_several_parameters(solver):
    F, d, q, start, truth = two()
    S = so.model.Smooth(F.domain and so.Parametric(F), 30.0)
    options = (
        {"P": (S, None)}
        if solver == "lbfgs"
        else {"project": (None, so.inversion.constraints.Bounds(S.domain, high=1990.0))}
    )
    if solver == "pqn":
        pytest.importorskip("pyproximal")
    found = multiscale(
        F, d, q, (8.0, None), start, wrt=("vp", "rho"), bounds=(BOUNDS, (1500.0, 2200.0)), iterations=6, truth=truth,
        solver=solver, **options,
    )  # fmt: skip
    vp, rho = found.model
    assert (
        vp.shape == rho.shape == (41, 41)
        and rho.min() >= 1500.0
        and rho.max() <= (1990.0 if solver == "pqn" else 2200.0)
    )
    last = found.bands[-1]
    assert last.misfits[-1] < 0.2 * last.misfits[0] and last.errors[-1][0] < 0.7 and len(last.errors[-1]) == 2
    assert np.ptp(rho) > 10.0
    with pytest.raises(ParameterError, match="give start as a tuple"):
        multiscale(F, d, q, (8.0,), start[0], wrt=("vp", "rho"), bounds=(BOUNDS, (1500.0, 2200.0)))


def test_sets_of_several_parameters_are_a_product():
    pytest.importorskip("pyproximal")
    from seisops.inversion.constraints import Bounds, Product

    F, d, q, start, _ = two(shots=1)
    G = so.Parametric(F, ("vp", "rho"))
    least = Bounds(G.domain[1], high=1850.0)
    options = {"wrt": ("vp", "rho"), "bounds": (BOUNDS, (1500.0, 2200.0)), "iterations": 1, "solver": "spg"}
    one, two_ = (
        multiscale(F, d, q, (8.0,), start, project=p, **options) for p in ((None, least), Product(G, None, least))
    )
    assert (
        all(np.array_equal(a, b) for a, b in zip(one.model, two_.model, strict=True)) and two_.model[1].max() <= 1850.0
    )
    with pytest.raises(ParameterError, match="give project as a tuple"):
        multiscale(F, d, q, (8.0,), start, project=Product(G.domain[:1], None), **options)
    F, d, q, start, _ = crosswell(shots=1)
    V, options = so.Parametric(F, "vp"), {"wrt": "vp", "bounds": BOUNDS, "iterations": 1, "solver": "spg"}
    least = Bounds(V, high=2020.0)
    one, two_ = (multiscale(F, d, q, (8.0,), start, project=p, **options) for p in (least, Product(V, least)))
    assert np.array_equal(one.model, two_.model)


@pytest.mark.parametrize("bands", [(8.0, 4.0), (None, 8.0), (4.0, None, 8.0)])
def test_bands_that_descend_are_told_before_any_work(bands, monkeypatch):
    F, d, q, start, _ = crosswell(shots=1)
    monkeypatch.setattr(so.Parametric, "__call__", lambda *x: 1 / 0)
    with (
        pytest.warns(so.AccuracyWarning, match="bands descend: one up to .* after") as told,
        pytest.raises(ZeroDivisionError),
    ):
        multiscale(F, d, q, bands, start, wrt="vp", bounds=BOUNDS)
    assert len(told) == 1 and told[0].filename == __file__


def on_grids(n=81, h=7.5):
    """Modeling on any grid of the same extent; what was made, on which."""
    made = []
    time = so.Time(n=151, step=0.004)

    def F(grid):
        made.append(grid)
        waves = so.Wavefield(grid, time, shots=3)
        A = so.Modeling(waves, so.Acoustic(grid, vp=2000.0), max_velocity=3100.0)
        Ps = so.Projection(waves, [[(45.0, a)] for a in (90.0, 300.0, 510.0)])
        return so.Projection(waves, [(555.0, a) for a in np.arange(60.0, 550.0, 30.0)]) * A * Ps.H

    return F, so.Grid((n, n), h), made, np.tile(so.ricker(time, 12.0), (3, 1, 1))


@pytest.mark.parametrize("solver", ["lbfgs", "spg"])
def test_grids_follow_the_bands(solver):
    F, grid, made, q = on_grids()
    x, z = np.meshgrid(*(grid.coordinates(a) for a in grid.axes), indexing="ij")
    start = np.full(grid.shape, 2000.0)
    true = start * (1 + 0.1 * np.exp(-((x - 300) ** 2 + (z - 300) ** 2) / 110.0**2))
    d = F(grid).at(vp=true) @ q
    P = {"P": so.model.Smooth(so.Parametric(F(grid)), 30.0)} if solver == "lbfgs" else {}
    made.clear()
    found = multiscale(
        F,
        d,
        q,
        (6.0, None),
        start,
        wrt="vp",
        bounds=BOUNDS,
        grid=grid,
        points=5.0,
        iterations=6,
        truth=true,
        solver=solver,
        **P,
    )
    low, whole = found.bands
    assert low.grid.shape[0] < 0.6 * whole.grid.shape[0] < grid.shape[0] == found.model.shape[0]
    assert made == [grid, low.grid, whole.grid] and low.grid.extent == whole.grid.extent == grid.extent
    assert 5.0 <= low.points < 5.5 and 5.0 <= whole.points < 5.5
    assert whole.errors[-1] < 0.6 and all(band.misfits[-1] < 0.3 * band.misfits[0] for band in found.bands)
    # on the coarser grid the data are those of the finer one, but for dispersion
    coarse = F(whole.grid)
    R = so.model.Regrid(so.Parametric(F(grid)), whole.grid)
    assert np.linalg.norm(coarse.at(vp=R @ true) @ q - d) < 0.03 * np.linalg.norm(d)


def test_grids_that_would_be_finer_are_those_of_models():
    F, grid, made, q = on_grids(41, 15.0)
    start = np.full(grid.shape, 2000.0)
    d = F(grid).at(vp=2050.0) @ q
    made.clear()
    found = multiscale(F, d, q, (None,), start, wrt="vp", bounds=BOUNDS, grid=grid, points=20.0, iterations=1)
    assert found.bands[0].grid == grid and made == [grid] and 4.0 < found.bands[0].points < 10.0
    with pytest.raises(ParameterError, match="function that makes it on a grid"):
        multiscale(F, d, q, (None,), start, wrt="vp", bounds=BOUNDS)
    with pytest.raises(so.errors.SpaceError, match="the range of F on"):
        other = lambda g: F(g) if g == grid else F(g)[:2]  # noqa: E731
        multiscale(other, d, q, (4.0,), start, wrt="vp", bounds=BOUNDS, grid=grid, points=3.0)


def test_bands_that_disperse_are_told():
    F, grid, _, _ = on_grids(21, 30.0)
    waves = F(grid)
    q = np.tile(so.ricker(so.Time(n=151, step=0.004), 12.0), (3, 1, 1))
    start = np.full(grid.shape, 1700.0)
    with pytest.warns(so.errors.DispersionWarning) as told:
        d = waves.at(vp=1750.0) @ q
        found = multiscale(waves, d, q, (5.0, None), start, wrt="vp", bounds=BOUNDS, iterations=1)
    assert found.bands[0].points > 2.5 > found.bands[1].points
    bands = [str(one.message) for one in told if "in the band" in str(one.message)]
    assert len(bands) == 1 and "of all frequencies" in bands[0] and "at a spacing of 30 m" in bands[0]


def test_a_survey_with_windows():
    grid = so.Grid((61, 31), 15.0)
    start = np.full(grid.shape, 2000.0)
    true = start.copy()
    true[25:35, 12:18] = 2200.0
    time = [so.Time(n=121, step=0.004), so.Time(n=101, step=0.004)]
    receivers = [
        [(x, 420.0) for x in np.arange(100.0, 500.0, 40.0)],
        [(x, 420.0) for x in np.arange(300.0, 800.0, 40.0)],
    ]
    survey = so.Survey.from_arrays([(300.0, 30.0), (500.0, 30.0)], receivers, time)
    F = survey.modeling(so.Acoustic(grid, vp=start), margin=150.0, max_velocity=3100.0)
    q = np.concatenate([so.ricker(t, 10.0) for t in time])
    found = multiscale(F, F.at(vp=true) @ q, q, (6.0, None), start, wrt="vp", bounds=BOUNDS, iterations=4, truth=true)
    assert all(band.misfits[-1] < 0.5 * band.misfits[0] for band in found.bands)
    assert found.bands[-1].errors[-1] < 1.0


def test_progress_is_shown(capsys):
    F, d, q, start, _ = crosswell(shots=1)
    multiscale(F, d, q, (8.0,), start, wrt="vp", bounds=BOUNDS, iterations=1, progress=True)
    assert "0.000 of" not in (said := capsys.readouterr().err)
    assert "band 1 of 1, up to 8 Hz: " in said and "of its first" in said
